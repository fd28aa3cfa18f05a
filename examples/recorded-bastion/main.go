// Command recorded-bastion is a bastion for people with accounts of their own:
// every session recorded, commands and copies too, records locked away, a second
// factor at login, one named person who may become root.
package main

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/constructs/bastion"
	"github.com/postern-cdk/postern/constructs/network"
	"github.com/postern-cdk/postern/constructs/watch"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Recorded"), nil)
	net := network.New(stack, "Network", nil)
	vpc := net.Vpc()
	database := awsec2.NewSecurityGroup(stack, jsii.String("Database"), &awsec2.SecurityGroupProps{
		Vpc: vpc, Description: jsii.String("orders database"), AllowAllOutbound: jsii.Bool(false),
	})
	evidence := archive.New(stack, "Archive", nil)
	hostLogs, sessions, commands := evidence.AddLogGroup("Host"), evidence.AddLogGroup("Sessions"), evidence.AddLogGroup("Commands")
	// Graviton, unless -c instanceType=t3.micro or the like says otherwise.
	instanceType, _ := stack.Node().TryGetContext(jsii.String("instanceType")).(string)

	host := bastion.New(stack, "Bastion", &bastion.Props{
		Vpc:          vpc,
		InstanceType: instanceType,
		Address:      bastion.AddressElasticIP,
		AllowedCidrs: []string{"203.0.113.0/24"},
		Key:          evidence.Key(),
		Bucket:       evidence.Bucket(),
		LogGroup:     hostLogs,
		LogGroups:    bastion.LogGroups{Sessions: sessions, Commands: commands},
		Host: bastion.Host{
			Recording: bastion.Recording{Commands: bastion.CommandsRecorded},
			People: bastion.People{
				SecondFactor: true,
				Sudo:         []string{"alice"},
				WarnKeyAge:   300 * 24 * time.Hour,
				MaxKeyAge:    365 * 24 * time.Hour,
			},
		},
	})
	host.AllowTo(database, 5432, "psql for support")
	watched := watch.New(stack, "Watch", &watch.Props{Key: evidence.Key(), Emails: []string{"oncall@example.com"}})
	watched.AddHost(host, nil)
	saved := watched.AddQueries(&watch.QueryOptions{LogGroups: watch.LogGroups{
		Hosts:    []awslogs.ILogGroup{hostLogs, commands},
		FlowLogs: []awslogs.ILogGroup{net.FlowLogGroup()},
	}})

	for _, output := range []struct{ id, value string }{
		{"KnownHosts", host.KnownHostsCommand()},
		{"AddAlice", host.AddPersonCommand("alice", "alice.pub")},
		{"RemoveAlice", host.RemovePersonCommand("alice")},
		{"Replay", host.ReplayScript()},
		{"WhoDidWhat", saved.RunCommand("Who did what in a session")},
	} {
		awscdk.NewCfnOutput(stack, jsii.String(output.id), &awscdk.CfnOutputProps{Value: jsii.String(output.value)})
	}
	app.Synth(nil)
}
