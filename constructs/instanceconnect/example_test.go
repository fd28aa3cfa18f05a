package instanceconnect_test

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"

	"github.com/postern-cdk/postern/constructs/instanceconnect"
)

var (
	stack    awscdk.Stack
	vpc      awsec2.IVpc
	instance awsec2.Instance
	admins   awsiam.Group
	door     *instanceconnect.Endpoint
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

// SSH to all instances of a team, for half an hour at a time.
func ExampleEndpoint_GrantSSH() {
	door.GrantSSH(admins, &instanceconnect.SSHGrant{
		InstanceTags: map[string]string{"Team": "orders"},
		MaxDuration:  30 * time.Minute,
	})
}

// RDP to one subnet, and the command that keeps within the grant.
func ExampleEndpoint_ForRDP() {
	way := door.ForRDP(&instanceconnect.RDPGrant{CIDRs: []string{"10.0.1.0/24"}, MaxDuration: 15 * time.Minute})
	_ = way.OpenTunnelCommand(*instance.InstanceId(), 13389)
}
