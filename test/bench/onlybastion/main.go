// Command onlybastion imports no construct of Postern but the bastion. What it
// takes to compile is held against ../bastionhostlinux.
package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/bastion"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Access"), nil)
	bastion.New(stack, "Bastion", nil)
	app.Synth(nil)
}
