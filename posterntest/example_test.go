package posterntest_test

import (
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/bastion"
	"github.com/postern-cdk/postern/constructs/operator"
	"github.com/postern-cdk/postern/posterntest"
)

// In a test of yours, t is what the test gets.
func Example() {
	var t testing.TB

	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Access"), nil)
	vpc := awsec2.NewVpc(stack, jsii.String("Vpc"), nil)
	bastion.New(stack, "Bastion", &bastion.Props{Vpc: vpc})

	access := posterntest.Of(t, assertions.Template_FromStack(stack, nil))
	posterntest.NoIngressFromInternet(t, access)
	posterntest.EveryTargetHasAWayIn(t, access)
}

// A whole app is read from what it synthesizes. What people may do is asked of their policies there.
func ExampleRead() {
	var t testing.TB

	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Access"), nil)
	oncall := awsiam.NewGroup(stack, jsii.String("OnCall"), nil)
	operator.New(stack, "Shells", &operator.Props{
		Groups: []awsiam.IGroup{oncall},
		Shell:  []operator.Door{operator.Document{Name: "OnCall", Tags: map[string]string{"Role": "web"}}},
	})

	access := posterntest.Read(t, *app.Synth(nil).Directory()) // or Of(t, assertions.Template_FromStack(stack, nil))
	posterntest.NoIngressFromInternet(t, access)
	posterntest.EveryTargetHasAWayIn(t, access)
	posterntest.SessionsAreLogged(t, access)

	web, shell := access.ARN("ec2", "instance/i-0123456789abcdef0"), access.ARN("ssm", "document/OnCall")
	with := posterntest.Context{"ssm:resourceTag/Role": "web", "aws:MultiFactorAuthPresent": "true"}
	posterntest.Allows(t, access, posterntest.Person("Access/OnCall"), posterntest.StartSession(web, shell, with))
	posterntest.Denies(t, access, posterntest.Person("Access/OnCall"), posterntest.Do("ssm:SendCommand", web, with))
}
