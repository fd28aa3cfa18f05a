// Command audited is two accounts: one that people come into, and one that keeps
// what they did there, where nobody can delete it and nobody of the first gets in.
package main

import (
	_ "embed"
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"go.yaml.in/yaml/v3"

	"github.com/postern-cdk/postern/stacks"
	"github.com/postern-cdk/postern/stacks/config"
)

var (
	//go:embed logs.yaml
	logs []byte
	//go:embed workload.yaml
	workload []byte
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	stacks.New(app, must(config.Parse(logs)))
	gate := must(config.Parse(workload))
	paste(app, gate)
	stacks.New(app, gate)
	app.Synth(nil)
}

// paste takes what the log account outputs from a file, where the context names
// one: -c postern=FILE. Otherwise it is what workload.yaml says.
func paste(app awscdk.App, c *config.Config) {
	name, ok := app.Node().TryGetContext(jsii.String("postern")).(string)
	if !ok {
		return
	}
	var pasted config.Config
	if err := yaml.Unmarshal(must(os.ReadFile(name)), &pasted); err != nil {
		panic(err)
	}
	if pasted.Archive.LogAccount != nil {
		c.Archive.LogAccount = pasted.Archive.LogAccount
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
