package network_test

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"

	"github.com/postern-cdk/postern/constructs/network"
)

var (
	stack    awscdk.Stack
	vpc      awsec2.IVpc
	logGroup awslogs.ILogGroup
)

// A new VPC with all defaults.
func Example() {
	net := network.New(stack, "Network", nil)
	_ = net.Vpc()
}

// Three zones, a range that fits the company's plan, NAT in each zone, and flow
// logs each minute to a log group of the archive.
func ExampleNew() {
	network.New(stack, "Network", &network.Props{
		Cidr:              "10.42.0.0/20",
		AvailabilityZones: 3,
		Nat:               network.NatPerZone,
		FlowLogs:          &network.FlowLogs{LogGroup: logGroup, EveryMinute: true},
	})
}

// Flow logs for a VPC that exists already; nothing else is made.
func ExampleNew_existing() {
	network.New(stack, "Network", &network.Props{
		Vpc:      vpc,
		FlowLogs: &network.FlowLogs{},
	})
}
