// Command accountdefault is an app whose stack owns the account's session
// preferences, as its context says.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/session"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	context := func(key string) string {
		value, _ := app.Node().TryGetContext(&key).(string)
		return value
	}
	idle, err := time.ParseDuration(context("idle"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:gocritic // nothing was synthesized
	}
	stack := awscdk.NewStack(app, jsii.String(context("stack")), nil)
	owner := session.NewAccountDefault(stack, context("id"), &session.AccountDefaultProps{
		OnExisting: session.OnExisting(context("onExisting")),
		Settings:   session.Settings{IdleTimeout: idle},
	})
	after := awssns.NewTopic(stack, jsii.String("After"), &awssns.TopicProps{DisplayName: jsii.String(idle.String())})
	after.Node().AddDependency(owner)
	app.Synth(nil)
}
