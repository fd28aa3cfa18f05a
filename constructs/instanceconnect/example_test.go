package instanceconnect_test

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"

	"github.com/postern-cdk/postern/constructs/instanceconnect"
)

var (
	stack    awscdk.Stack
	vpc      awsec2.IVpc
	instance awsec2.Instance
)

// SSH to one instance.
func Example() {
	door := instanceconnect.New(stack, "Door", &instanceconnect.Props{Vpc: vpc})
	door.AllowTo(instance, instanceconnect.SSH, "administration of the host")
}

// RDP, with the command to paste.
func ExampleEndpoint_OpenTunnelCommand() {
	door := instanceconnect.New(stack, "Door", &instanceconnect.Props{Vpc: vpc})
	door.AllowTo(instance, instanceconnect.RDP, "administration of the desktop")
	_ = door.OpenTunnelCommand(*instance.InstanceId(), instanceconnect.RDP, 13389)
}

// The first of the two steps that move an endpoint.
func ExampleNew_absent() {
	instanceconnect.New(stack, "Door", &instanceconnect.Props{Vpc: vpc, Absent: true})
}
