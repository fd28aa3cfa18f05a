package session_test

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/bastion"
	"github.com/postern-cdk/postern/constructs/session"
)

// ordersDatabase is what awsrds.NewDatabaseInstance makes.
type ordersDatabase interface {
	awsec2.IConnectable
	InstanceEndpoint() session.Endpoint
}

var (
	orders ordersDatabase
	vpc    awsec2.IVpc
	relays awsec2.ISecurityGroup
)

// A tunnel to a database, and the command that opens it.
func ExampleNewTunnel() {
	tunnel := session.NewTunnel(stack, "Orders", &session.TunnelProps{
		To:  session.DatabaseInstance(orders),
		Via: session.Target{Host: host},
	})
	tunnel.GrantTunnel(developer)
	awscdk.NewCfnOutput(stack, jsii.String("OpenOrders"), &awscdk.CfnOutputProps{
		Value: jsii.String(tunnel.StartCommand(15432, "")),
	})
}

// Any host and port, through instances that are no bastion.
func ExampleNewTunnel_byTags() {
	session.NewTunnel(stack, "Reports", &session.TunnelProps{
		To:      session.Destination{Host: "reports.example.internal", Port: 443, Peer: orders},
		Via:     session.Target{Tags: map[string]string{"Role": "relay"}},
		Through: relays,
	})
}

// One tunnel to several targets: the bastion's relay, which clients use as a
// proxy (socks5h://localhost:1080).
func ExampleNewTunnel_relay() {
	b := bastion.New(stack, "Bastion", &bastion.Props{Vpc: vpc, Host: bastion.Host{Relay: bastion.Relay{
		Targets: []bastion.RelayTarget{
			{Name: "orders", Host: *orders.InstanceEndpoint().Hostname(), Port: 5432, Peer: orders},
			{Name: "search", Host: "search.example.internal", Port: 443},
		},
	}}})
	session.NewTunnel(stack, "Relay", &session.TunnelProps{
		To:        session.Destination{Port: bastion.DefaultRelayPort},
		Via:       session.Target{Host: b},
		LocalPort: bastion.DefaultRelayPort,
	})
}
