// Command bastionhostlinux makes the CDK's own bastion host. What it takes to
// compile is what ../onlybastion is held against.
package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/jsii-runtime-go"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Access"), nil)
	vpc := awsec2.NewVpc(stack, jsii.String("Vpc"), nil)
	awsec2.NewBastionHostLinux(stack, jsii.String("Bastion"), &awsec2.BastionHostLinuxProps{Vpc: vpc})
	app.Synth(nil)
}
