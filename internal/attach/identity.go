package attach

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/policy"
)

// CallerOf is the kind of principal that a grantee is, so that a policy names its
// own sessions rightly.
func CallerOf(who awsiam.IGrantable) policy.Caller {
	// The construct itself first: what the CDK hands back may be a bare principal.
	for _, candidate := range []any{who, who.GrantPrincipal()} {
		switch candidate.(type) {
		case interface{ UserName() *string }, interface{ GroupName() *string }:
			return policy.User
		case interface{ RoleName() *string }:
			return policy.Role
		}
	}
	return ""
}

// ToPrincipal adds statements to the policy of a user, group or role. What could
// not be added, as the principal is imported, shows in the grant.
//
// The statements lose their IDs: those of several grants meet in one policy, and
// IAM refuses a policy in which two statements have the same.
func ToPrincipal(who awsiam.IGrantable, statements []policy.Statement) awsiam.Grant {
	var all awsiam.Grant
	for _, s := range statements {
		grant := awsiam.Grant_AddToPrincipal(&awsiam.GrantOnPrincipalOptions{
			Grantee:      who,
			Actions:      jsii.Strings(s.Action...),
			ResourceArns: jsii.Strings(s.Resource...),
			Conditions:   conditions(s),
		})
		if all == nil {
			all = grant
		} else {
			all = all.Combine(grant)
		}
	}
	return all
}

func conditions(s policy.Statement) *map[string]*map[string]any {
	if len(s.Condition) == 0 {
		return nil
	}
	all := map[string]*map[string]any{}
	for operator, keys := range s.Condition {
		values := map[string]any{}
		for key, v := range keys {
			if len(v) == 1 {
				values[key] = v[0]
			} else {
				values[key] = jsii.Strings(v...)
			}
		}
		all[operator] = &values
	}
	return &all
}

// NewRole makes a role that the service in trust may take. All statements are
// about the same service.
func NewRole(scope constructs.Construct, id, description string, trust []policy.Statement) awsiam.Role {
	role := awsiam.NewRole(scope, &id, &awsiam.RoleProps{
		Description: &description,
		AssumedBy: awsiam.NewServicePrincipal(jsii.String(trust[0].Principal["Service"][0]), &awsiam.ServicePrincipalOpts{
			Conditions: anyConditions(trust[0]),
		}),
	})
	for _, s := range trust[1:] {
		s.Sid = ""
		role.AssumeRolePolicy().AddStatements(parse(s))
	}
	return role
}

func anyConditions(s policy.Statement) *map[string]any {
	all := map[string]any{}
	for operator, keys := range *conditions(s) {
		all[operator] = *keys
	}
	return &all
}

// Document is a policy of statements, made whole: a call to jsii a statement would be
// as many.
func Document(statements []policy.Statement) awsiam.PolicyDocument {
	list := make([]any, len(statements))
	for i, s := range statements {
		list[i] = s.Object()
	}
	return awsiam.PolicyDocument_FromJson(map[string]any{"Version": "2012-10-17", "Statement": list})
}
