package trail_test

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/constructs/trail"
	"github.com/postern-cdk/postern/constructs/watch"
)

func Example() {
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Evidence"), nil)

	evidence := archive.New(stack, "Archive", nil)
	t := trail.New(stack, "Trail", &trail.Props{
		Name:     "Audit",
		Bucket:   evidence.Bucket(),
		LogGroup: evidence.AddLogGroup("Trail"),
	})

	fmt.Println(t.TrailName())
	// Output: Audit
}

// An organization often has a trail already. Where its log group is in this account,
// alarms can count there.
func ExampleFromTrailAttributes() {
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Watch"), nil)

	existing := trail.FromTrailAttributes(stack, "Trail", &trail.Attributes{
		TrailArn:     "arn:aws:cloudtrail:eu-west-1:111122223333:trail/Organization",
		LogGroupName: "aws-cloudtrail-logs",
	})
	w := watch.New(stack, "Watch", &watch.Props{Emails: []string{"oncall@example.com"}, Trail: existing})
	w.AddSessionNotices(nil)
	w.AddAccountAlarms(nil, &watch.AccountAlarms{Without: []watch.AccountAlarm{watch.AccountSecurityGroups}})

	fmt.Println(existing.ValidateCommand())
	// Output: aws cloudtrail validate-logs --trail-arn arn:aws:cloudtrail:eu-west-1:111122223333:trail/Organization --start-time "$(date -u +%Y-%m-01T00:00:00Z)" --region eu-west-1
}
