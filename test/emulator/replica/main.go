// Command replica is an app in two Regions, for the tests to deploy: an archive in
// the stack Evidence, and its copy in the stack Copies.
package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/archive"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	in := func(id, region string) awscdk.Stack {
		return awscdk.NewStack(app, &id, &awscdk.StackProps{
			Env: &awscdk.Environment{Account: jsii.String("123456789012"), Region: &region},
		})
	}
	replica := archive.NewReplica(in("Copies", "eu-central-1"), "Replica", nil)
	evidence := in("Evidence", "us-east-1")
	a := archive.New(evidence, "Archive", &archive.Props{Replica: replica.Target(), Inventory: &archive.Inventory{}})
	a.AddLogGroupWith("Shells", &archive.LogGroupOptions{
		RetentionDays: 731, AllowDeletion: true, Masking: &archive.Masking{Findings: a.AddLogGroup("Findings")},
	})
	awscdk.NewCfnOutput(evidence, jsii.String("Kept"), &awscdk.CfnOutputProps{Value: jsii.String(a.Kept())})
	app.Synth(nil)
}
