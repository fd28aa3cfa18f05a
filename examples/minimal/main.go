// Command minimal adds one construct to a stack: a bastion that has no public
// address and no open port, and that Session Manager reaches.
package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/bastion"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Minimal"), nil)
	bastion.New(stack, "Bastion", nil)
	app.Synth(nil)
}
