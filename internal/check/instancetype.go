package check

import (
	"fmt"
	"regexp"
)

// An instance type such as "m7gd.large": family, of series, generation and
// capabilities, and size.
// See https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html.
var instanceType = regexp.MustCompile(`^([a-z]+)([0-9]{1,2})([a-z-]*)\.(nano|micro|small|medium|large|[0-9]*xlarge|metal(-[0-9]+xl)?)$`)

// InstanceType accepts what has the form of an EC2 instance type, and takes it
// apart: series, generation, capabilities, size.
func InstanceType(s string) (parts []string, fault *Fault) {
	if parts := instanceType.FindStringSubmatch(s); parts != nil {
		return parts[1:5], nil
	}
	return nil, &Fault{Problem: fmt.Sprintf("%q is not an instance type", s), Fix: "write family and size, such as t4g.micro"}
}
