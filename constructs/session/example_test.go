package session_test

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/constructs/bastion"
	"github.com/postern-cdk/postern/constructs/session"
)

var (
	stack     awscdk.Stack
	host      *bastion.Bastion
	evidence  *archive.Archive
	developer awsiam.Role
	instances awsiam.IRole
)

// A recorded shell on a bastion, as a person who has an account there.
func Example() {
	shell := session.NewPreferences(stack, "Shell", nil)
	shell.AllowHost(host)
	shell.GrantShellAs(developer, "alice")
	awscdk.NewCfnOutput(stack, jsii.String("StartShell"), &awscdk.CfnOutputProps{
		Value: jsii.String(shell.StartCommand(host.InstanceIDCommand(), "why I am here")),
	})
}

// Records in an archive that is there already, sessions of an hour, and a shared
// user for those without a tag.
func ExampleNewPreferences_settings() {
	session.NewPreferences(stack, "Support", &session.PreferencesProps{
		Name: "Support-Shell",
		Settings: session.Settings{
			LogGroup:     evidence.AddLogGroup("Support"),
			Bucket:       evidence.Bucket(),
			RunAs:        session.RunAs{User: "support"},
			IdleTimeout:  10 * time.Minute,
			MaxDuration:  time.Hour,
			ShellProfile: session.ShellProfile{Linux: "exec bash -l"},
		},
	})
}

// Instances that are no bastion, by tag.
func ExamplePreferences_AllowRole() {
	shell := session.NewPreferences(stack, "Shell", &session.PreferencesProps{
		Targets: []session.Target{{Tags: map[string]string{"team": "orders"}}},
	})
	shell.AllowRole(instances)
	shell.GrantShell(developer)
}

// SSH to the bastion with no port open: what happens in it is recorded by the
// bastion, not by Session Manager.
func ExampleNewSSH() {
	ssh := session.NewSSH(stack, "SSH", nil)
	awscdk.Annotations_Of(ssh).AcknowledgeWarning(jsii.String("postern:session-ssh-unrecorded"), jsii.String("the bastion records"))
	ssh.AllowHost(host)
	ssh.GrantSSH(developer)
	awscdk.NewCfnOutput(stack, jsii.String("SSHConfig"), &awscdk.CfnOutputProps{
		Value: jsii.String(ssh.SSHConfig("bastion", "alice", host.InstanceIDCommand())),
	})
}
