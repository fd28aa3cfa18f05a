// Package attach puts the plain statements of package policy on the resources of
// a construct tree, and says where that was not possible: what was imported into
// an app has a policy that the app cannot change.
package attach

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/internal/tree"
)

// ScopeOf is the partition, region and account that a construct is deployed to,
// as text or as tokens.
func ScopeOf(construct constructs.IConstruct) policy.Scope {
	stack := awscdk.Stack_Of(construct)
	if scope, known := scopes[stack]; known {
		return scope
	}
	scope := policy.Scope{Partition: *stack.Partition(), Region: *stack.Region(), Account: *stack.Account()}
	switch scope.Partition {
	case "aws", "aws-us-gov":
		scope.URLSuffix = "amazonaws.com"
	case "aws-cn":
		scope.URLSuffix = "amazonaws.com.cn"
	default:
		scope.URLSuffix = *stack.UrlSuffix()
	}
	scopes[stack] = scope
	return scope
}

// What a stack or a log group was asked once stays as it is. They live as long as the
// jsii process does, so nothing is kept alive by it.
var (
	scopes = map[awscdk.Stack]policy.Scope{}
	groups = map[awslogs.ILogGroup]string{}
)

// LogGroupName is the name of a log group, for what asks many of them for it, or one
// again and again: each time would be a call to the CDK.
func LogGroupName(group awslogs.ILogGroup) string {
	name, known := groups[group]
	if !known {
		name = *group.LogGroupName()
		groups[group] = name
	}
	return name
}

// ToKey adds statements to the policy of a key and reports whether it could.
// Adding the same statement twice leaves one.
func ToKey(key awskms.IKey, statements []policy.Statement) bool {
	for _, s := range statements {
		if !*key.AddToResourcePolicy(parse(s), jsii.Bool(true)).StatementAdded {
			return false
		}
	}
	return true
}

// ToBucket adds statements to the policy of a bucket and reports whether it
// could.
func ToBucket(bucket awss3.IBucket, statements []policy.Statement) bool {
	for _, s := range statements {
		if !*bucket.AddToResourcePolicy(parse(s)).StatementAdded {
			return false
		}
	}
	return true
}

// ToTopic adds statements to the policy of a topic and reports whether it could.
func ToTopic(topic awssns.ITopic, statements []policy.Statement) bool {
	for _, s := range statements {
		if !*topic.AddToResourcePolicy(parse(s)).StatementAdded {
			return false
		}
	}
	return true
}

// Ask warns that the policy of something imported can't be changed from here, and shows
// the statements that it needs, or else something fails.
func Ask(construct constructs.IConstruct, id, imported, failing string, needs []policy.Statement) {
	these := "these statements"
	if len(needs) == 1 {
		these = "this statement"
	}
	tree.Warn(construct, id, fmt.Sprintf("the policy of the imported %s can't be changed from here: see that it has %s, or %s:\n%s",
		imported, these, failing, policy.Lines(needs)))
}

func parse(s policy.Statement) awsiam.PolicyStatement {
	return awsiam.PolicyStatement_FromJson(s.Object())
}
