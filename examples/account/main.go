// Command account watches an AWS account that has no trail yet: who calls which API
// is recorded where nobody can quietly delete it, fourteen alarms tell of what should
// not happen, and AWS Config asks whether something is open that should be shut.
package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/constructs/compliance"
	"github.com/postern-cdk/postern/constructs/trail"
	"github.com/postern-cdk/postern/constructs/watch"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)

	// The record. It outlives everything else, so it has a stack of its own.
	evidence := awscdk.NewStack(app, jsii.String("Evidence"), &awscdk.StackProps{TerminationProtection: jsii.Bool(true)})
	kept := archive.New(evidence, "Archive", nil)
	calls := trail.New(evidence, "Trail", &trail.Props{
		Name:          "Account",
		Bucket:        kept.Bucket(),
		LogGroup:      kept.AddLogGroup("Calls"),
		RecordObjects: true, // who touches the record
	})

	// Who is told of what.
	watching := awscdk.NewStack(app, jsii.String("Watch"), nil)
	w := watch.New(watching, "Watch", &watch.Props{Key: kept.Key(), Emails: []string{"security@example.com"}, Trail: calls})
	w.AddSessionNotices(nil)
	w.AddAccountAlarms(nil, &watch.AccountAlarms{
		RefusedCalls: 10, // consoles and SDKs try what they may not, now and then
	})
	w.AddComplianceNotices(compliance.New(watching, "Compliance", &compliance.Props{
		ExistingRecorder: true, // by the landing zone; see the README
		BlockedPorts:     []int{22, 3389, 5432},
	}))

	awscdk.NewCfnOutput(evidence, jsii.String("ValidateRecord"), &awscdk.CfnOutputProps{Value: jsii.String(calls.ValidateCommand())})
	app.Synth(nil)
}
