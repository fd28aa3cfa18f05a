package session_test

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/session"
)

// What everybody in the account gets who names no document. The deployment fails
// where there are preferences already.
func ExampleNewAccountDefault() {
	everybody := session.NewAccountDefault(stack, "Account", nil)
	everybody.AllowRole(instances) // and all other roles whose hosts take sessions
	awscdk.Annotations_Of(everybody).AcknowledgeWarning(jsii.String("postern:session-account-default"), jsii.String("all hosts have the policy, all people the tag"))
}

// Preferences that were saved in the console stay where these say nothing, and
// come back when the stack goes.
func ExampleNewAccountDefault_adoptByMerge() {
	everybody := session.NewAccountDefault(stack, "Account", &session.AccountDefaultProps{
		OnExisting: session.AdoptByMerge,
		Settings: session.Settings{
			LogGroup:    evidence.AddLogGroup("Sessions"),
			Bucket:      evidence.Bucket(),
			RunAs:       session.RunAs{User: "support"},
			MaxDuration: 8 * time.Hour,
		},
	})
	awscdk.NewCfnOutput(stack, jsii.String("PreferencesBefore"), &awscdk.CfnOutputProps{
		Value: jsii.String(everybody.OriginalCommand()),
	})
}
