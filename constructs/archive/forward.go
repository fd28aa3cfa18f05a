package archive

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/policy"
)

// forwarding sends log groups to the log account.
type forwarding struct {
	role    awsiam.Role
	allowed awsiam.ManagedPolicy
}

// forward subscribes the log account to a log group, if there is one. A log group
// has two subscriptions at most, of which this is one.
//
// docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
func (a *Archive) forward(group awslogs.LogGroup) {
	if a.props.LogAccount == nil {
		return
	}
	if a.forwarding.role == nil {
		a.newForwarding()
	}
	a.forwarding.allowed.AddStatements(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions: jsii.Strings("logs:PutLogEvents"), Resources: &[]*string{group.LogGroupArn()},
	}))
	filter := awslogs.NewCfnSubscriptionFilter(group, jsii.String("Forward"), &awslogs.CfnSubscriptionFilterProps{
		LogGroupName:   group.LogGroupName(),
		FilterPattern:  jsii.String(""), // everything
		DestinationArn: a.props.LogAccount.destinationArn,
		RoleArn:        a.forwarding.role.RoleArn(),
	})
	filter.Node().AddDependency(a.forwarding.allowed)
}

// newForwarding makes the role by which CloudWatch Logs shows the log account that
// this one may send: one that takes a whole organization asks for it.
//
// docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CreateSubscriptionFilter-IAMrole.html
func (a *Archive) newForwarding() {
	path := *a.Node().Path()
	a.forwarding.role = attach.NewRole(a, "ForwardRole", "CloudWatch Logs, which sends the log groups of "+path+" to the log account",
		policy.ForwardTrustStatements(a.scope))
	a.forwarding.allowed = awsiam.NewManagedPolicy(a, jsii.String("ForwardPolicy"), &awsiam.ManagedPolicyProps{
		Description: jsii.String("The log groups of " + path + " that are sent to the log account"),
		Roles:       &[]awsiam.IRole{a.forwarding.role},
	})
}
