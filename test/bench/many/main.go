// Command many makes an app with as many bastions as its argument says, each in a
// stack of its own, all in one network with one key and one log group.
package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/constructs/bastion"
	"github.com/postern-cdk/postern/constructs/endpoints"
	"github.com/postern-cdk/postern/constructs/network"
)

func main() {
	defer jsii.Close()
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	app := awscdk.NewApp(nil)
	shared := awscdk.NewStack(app, jsii.String("Shared"), nil)
	records := archive.New(shared, "Archive", nil)
	log := records.AddLogGroup("Host")
	vpc := network.New(shared, "Network", nil).Vpc()
	doors := endpoints.New(shared, "Endpoints", &endpoints.Props{Vpc: vpc})
	for i := range n {
		stack := awscdk.NewStack(app, jsii.String(fmt.Sprintf("Access%d", i+1)), nil)
		bastion.New(stack, "Bastion", &bastion.Props{
			Vpc:       vpc,
			Key:       records.Key(),
			LogGroup:  log,
			Endpoints: doors,
		})
	}
	app.Synth(nil)
}
