// Command sessions is an app of session documents alone, for the tests to deploy
// and change: "idle: MINUTES" in the file that the context "postern" names.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/session"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Sessions"), nil)
	var idle int
	if file, ok := stack.Node().TryGetContext(jsii.String("postern")).(string); ok {
		text, err := os.ReadFile(file)
		if err == nil {
			_, err = fmt.Sscanf(string(text), "idle: %d", &idle)
		}
		if err != nil {
			panic(err)
		}
	}
	hosts := awsiam.NewRole(stack, jsii.String("Hosts"), &awsiam.RoleProps{AssumedBy: awsiam.NewServicePrincipal(jsii.String("ec2.amazonaws.com"), nil)})
	people := awsiam.NewRole(stack, jsii.String("People"), &awsiam.RoleProps{AssumedBy: awsiam.NewAccountRootPrincipal()})
	targets := []session.Target{{Tags: map[string]string{"team": "orders"}}}

	shell := session.NewPreferences(stack, "Shell", &session.PreferencesProps{
		Settings: session.Settings{IdleTimeout: time.Duration(idle) * time.Minute}, Targets: targets,
	})
	shell.AllowRole(hosts)
	shell.GrantShell(people)
	ssh := session.NewSSH(stack, "SSH", &session.SSHProps{Targets: targets})
	awscdk.Annotations_Of(ssh).AcknowledgeWarning(jsii.String("postern:session-ssh-unrecorded"), jsii.String("nobody connects"))
	ssh.GrantSSH(people)
	for _, output := range []struct{ id, value string }{
		{"Start", shell.StartCommand("", "why")},
		{"Transcript", shell.TranscriptCommand("")},
		{"Follow", shell.FollowCommand("")},
	} {
		awscdk.NewCfnOutput(stack, jsii.String(output.id), &awscdk.CfnOutputProps{Value: jsii.String(output.value)})
	}
	app.Synth(nil)
}
