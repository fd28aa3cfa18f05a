// Command logaccount is an app in two environments, for the tests to deploy: the
// stack Evidence in a log account and, where the context "postern" names a file
// with what Evidence outputs, the stack Workload in a source account.
package main

import (
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"go.yaml.in/yaml/v3"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/constructs/bastion"
	"github.com/postern-cdk/postern/constructs/network"
	"github.com/postern-cdk/postern/constructs/session"
)

// The two accounts, and a further source that comes later.
const (
	logAccount    = "999988887777"
	sourceAccount = "123456789012"
	laterAccount  = "210987654321"
)

// pasted is what a person pastes from the outputs.
type pasted struct {
	Archive struct {
		LogAccount struct {
			BucketName     string `yaml:"bucketName"`
			KeyArn         string `yaml:"keyArn"`
			DestinationArn string `yaml:"destinationArn"`
		} `yaml:"logAccount"`
	} `yaml:"archive"`
	Later bool `yaml:"later"`
}

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	var p pasted
	if file, ok := app.Node().TryGetContext(jsii.String("postern")).(string); ok {
		text, err := os.ReadFile(file)
		if err == nil {
			err = yaml.Unmarshal(text, &p)
		}
		if err != nil {
			panic(err)
		}
	}
	evidence(app, p.Later)
	if p.Archive.LogAccount.BucketName != "" {
		workload(app, archive.LogAccountProps(p.Archive.LogAccount))
	}
	app.Synth(nil)
}

func stackIn(app awscdk.App, name, account string) awscdk.Stack {
	return awscdk.NewStack(app, &name, &awscdk.StackProps{
		Env: &awscdk.Environment{Account: &account, Region: jsii.String("us-east-1")},
	})
}

func evidence(app awscdk.App, later bool) {
	sources := &archive.Sources{Accounts: []string{sourceAccount}, OrganizationID: "o-a1b2c3d4e5"}
	if later {
		sources.Accounts = append(sources.Accounts, laterAccount)
	}
	archive.New(stackIn(app, "Evidence", logAccount), "Archive", &archive.Props{Sources: sources})
}

func workload(app awscdk.App, props archive.LogAccountProps) {
	stack := stackIn(app, "Workload", sourceAccount)
	central := archive.FromLogAccount(stack, "LogAccount", &props)
	a := archive.New(stack, "Archive", &archive.Props{LogAccount: central})

	network.New(stack, "Network", &network.Props{FlowLogs: &network.FlowLogs{Bucket: a.Bucket()}})
	host := bastion.New(stack, "Bastion", &bastion.Props{
		Key: a.Key(), Bucket: a.Bucket(), LogGroup: a.AddLogGroup("Host"),
		LogGroups: bastion.LogGroups{Sessions: a.AddLogGroup("Sessions")},
	})
	session.NewPreferences(stack, "Shell", &session.PreferencesProps{
		Settings: session.Settings{Bucket: a.Bucket(), LogGroup: a.AddLogGroup("SessionManager")},
	}).AllowHost(host)
}
