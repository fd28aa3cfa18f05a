// Command postern is the CDK app: it reads the configuration from the context
// key "postern" and synthesizes the stacks. The CDK CLI runs it.
package main

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	// For its effect on the process that the CDK runs in.
	_ "github.com/postern-cdk/postern/internal/nodeheap"
	"github.com/postern-cdk/postern/stacks"
	"github.com/postern-cdk/postern/stacks/config"
)

func main() {
	err := run()
	stderr := os.Stderr
	// jsii now and then calls the orderly end of its own process abnormal.
	os.Stderr, _ = os.Open(os.DevNull)
	jsii.Close()
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "\npostern: %v\n", err)
		os.Exit(1)
	}
}

func run() (err error) {
	// The CDK reports bad input by panicking; a user of the app needs the message,
	// not where in our code it was found.
	defer func() {
		switch fault := recover().(type) {
		case nil:
		case runtime.Error:
			err = fmt.Errorf("a fault of Postern itself, please report it with your configuration: %w\n%s", fault, debug.Stack())
		default:
			err = fmt.Errorf("%v", fault)
		}
	}()
	app := awscdk.NewApp(nil)
	if all, ok := app.Node().GetAllContext(nil).(map[string]any); ok {
		if err := config.Misspelt(slices.Sorted(maps.Keys(all))); err != nil {
			return err
		}
	}
	c, err := config.Load(app.Node().TryGetContext(jsii.String(config.Key)))
	if err != nil {
		return err
	}
	stacks.New(app, c)
	app.Synth(nil)
	return nil
}
