package watch_test

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsautoscaling"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/constructs/watch"
)

func Example() {
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Watch"), nil)

	w := watch.New(stack, "Watch", &watch.Props{Emails: []string{"oncall@example.com"}})
	w.AddHost(jumpHost{stack, "jump-host"}, &watch.HostOptions{Name: "JumpHost", SilentMinutes: 30})

	fmt.Println(*w.Node().FindChild(jsii.String("JumpHost")).Node().Path())
	// Output: Watch/Watch/JumpHost
}

// A group of your own can be watched as well as a bastion: say which it is.
func ExampleHost() {
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Watch"), nil)
	group := awsautoscaling.AutoScalingGroup_FromAutoScalingGroupName(stack, jsii.String("Group"), jsii.String("jump-host"))

	host := jumpHost{group, *group.AutoScalingGroupName()}
	watch.New(stack, "Watch", nil).AddHost(host, &watch.HostOptions{Name: "JumpHost", WithoutAgent: true})

	fmt.Println(host.AutoScalingGroupName())
	// Output: jump-host
}

// People are told of each session that somebody starts, but for those of a tunnel
// that is open all day.
func ExampleWatch_AddSessionNotices() {
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Watch"), nil)

	w := watch.New(stack, "Watch", &watch.Props{Emails: []string{"oncall@example.com"}, ExistingTrail: true})
	w.AddSessionNotices(&watch.SessionNotices{Quiet: []string{"Access-Orders"}})

	fmt.Println(*w.Node().FindChild(jsii.String("Sessions")).Node().FindChild(jsii.String("Started")).Node().Path())
	// Output: Watch/Watch/Sessions/Started
}

// Queries are saved for whoever asks what happened, and there are commands for
// those who would rather not leave the shell.
func ExampleWatch_AddQueries() {
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Watch"), nil)
	logs := awslogs.LogGroup_FromLogGroupName(stack, jsii.String("Logs"), jsii.String("/postern/bastion"))

	saved := watch.New(stack, "Watch", nil).AddQueries(&watch.QueryOptions{LogGroups: watch.LogGroups{Hosts: []awslogs.ILogGroup{logs}}})

	fmt.Println(saved.Names()[0])
	fmt.Println(saved.RunCommand("All sessions of a person")[:64])
	// Output:
	// Postern/All sessions of a person
	// text=$(aws logs describe-query-definitions --query-definition-na
}

// People are told of what changes records or lets people in, in their own time, and of
// what is not usual first.
func ExampleWatch_AddTamperNotices() {
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Watch"), nil)
	evidence := archive.New(stack, "Evidence", nil)

	w := watch.New(stack, "Watch", &watch.Props{
		Key:           evidence.Key(),
		Emails:        []string{"oncall@example.com"},
		ExistingTrail: true,
		OfficeHours:   &watch.OfficeHours{TimeZone: "Europe/Berlin", From: "08:00", Until: "18:00"},
		KnownRanges:   []string{"203.0.113.0/24"},
		Slack:         &watch.Slack{WorkspaceID: "T012ABCDEFG", ChannelID: "C012ABCDEFG"},
	})
	w.AddTamperNotices(&watch.TamperNotices{
		Buckets:   []awss3.IBucket{evidence.Bucket()},
		Keys:      []awskms.IKey{evidence.Key()},
		LogGroups: []awslogs.ILogGroup{evidence.AddLogGroup("Sessions")},
		Documents: []string{"Postern-Shell"},
	})
	w.AddSerialConsoleNotices()
	w.AddFailedAttempts()
	w.AddTunnelNotices()

	fmt.Println(*w.ChatTopic().Node().Path())
	// Output: Watch/Watch/Chat/Topic
}

type jumpHost struct {
	constructs.IConstruct
	group string
}

func (h jumpHost) AutoScalingGroupName() string { return h.group }
