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

// What people may do is asked of the policies that were synthesized.
func ExampleAllows() {
	var t testing.TB

	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Access"), nil)
	oncall := awsiam.NewGroup(stack, jsii.String("OnCall"), nil)
	operator.New(stack, "Shells", &operator.Props{
		Groups: []awsiam.IGroup{oncall},
		Shell:  []operator.Door{operator.Document{Name: "OnCall", Tags: map[string]string{"Role": "web"}}},
	})

	access := posterntest.Of(t, assertions.Template_FromStack(stack, nil))
	web := access.ARN("ec2", "instance/i-0123456789abcdef0")
	shell := access.ARN("ssm", "document/OnCall")
	with := posterntest.Context{"ssm:resourceTag/Role": "web", "aws:MultiFactorAuthPresent": "true"}
	posterntest.Allows(t, access, posterntest.Person("OnCall"), posterntest.StartSession(web, shell, with))
	posterntest.Denies(t, access, posterntest.Person("OnCall"),
		posterntest.StartSession(web, shell, posterntest.Context{"ssm:resourceTag/Role": "web"}), // no second factor
		posterntest.StartSession(web, "", with),                                                  // the account's default shell
		posterntest.Do("ssm:SendCommand", web, with))
}
