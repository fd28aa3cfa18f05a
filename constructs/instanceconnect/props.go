package instanceconnect

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"

	"github.com/postern-cdk/postern/internal/check"
)

// Props says where the endpoint is to be. Everything but Absent is fixed once
// it is deployed; see the package comment.
type Props struct {
	// Vpc is the VPC of the endpoint. Required.
	Vpc awsec2.IVpc

	// Subnet takes the endpoint's network interface. From there it reaches every
	// subnet of the VPC. Defaults to the first isolated subnet, or the first
	// private or public one where the VPC has none.
	Subnet awsec2.ISubnet

	// PreserveClientIp shows the targets the address of the client instead of the
	// endpoint's. It works within the VPC only, not in a dual-stack subnet and not
	// by a transit gateway. Defaults to false.
	PreserveClientIp bool

	// Absent takes the endpoint away and leaves its security group and rules: the
	// first of the two steps that move it.
	Absent bool
}

func (p *Props) withDefaults() Props {
	var q Props
	if p != nil {
		q = *p
	}
	return q
}

func (p *Props) validate() error {
	var faults check.Faults
	if p.Vpc == nil {
		faults.Add("Vpc", "is missing", "pass network.New(...).Vpc(), or awsec2.Vpc_FromLookup(...) for one that exists")
	}
	return faults.Err()
}

// The ports that AWS lets through.
const (
	SSH = 22
	RDP = 3389
)

func validateTarget(hasTarget bool, port int, why string) error {
	var faults check.Faults
	if !hasTarget {
		faults.Add("target", "is nil", "pass what has security groups, such as an instance or a group")
	}
	if port != SSH && port != RDP {
		faults.Addf("port", "use 22 or 3389; for another port use a bastion's AllowTo", "%d does not pass an EC2 Instance Connect Endpoint", port)
	}
	if why == "" {
		faults.Add("why", "is empty", "say what the target is reached for, it becomes the description of the rule")
	} else {
		faults.Check("why", check.RuleDescription(why))
	}
	return faults.Err()
}

// record is what a deployed endpoint can't change.
func record(subnet string, preserveClientIp bool) string {
	return fmt.Sprintf("subnet=%s preserveClientIp=%t", subnet, preserveClientIp)
}
