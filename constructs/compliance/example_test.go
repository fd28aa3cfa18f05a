package compliance_test

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/compliance"
)

// The organization has a rule for SSH in every account already.
func Example() {
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Watch"), nil)

	c := compliance.New(stack, "Compliance", &compliance.Props{
		ExistingRecorder: true, // aws configservice describe-configuration-recorders
		Without:          []compliance.Rule{compliance.RestrictedSsh},
	})

	fmt.Println(len(c.ConfigRuleNames()), c.RecordedTypes())
	// Output: 6 [AWS::EC2::Instance AWS::EC2::SecurityGroup AWS::EC2::VPC AWS::EC2::Volume AWS::SSM::ManagedInstanceInventory]
}
