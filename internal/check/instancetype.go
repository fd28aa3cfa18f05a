package check

import (
	"fmt"
	"regexp"
	"slices"
)

// An instance type such as "m7gd.large": family, of series, generation and
// capabilities, and size.
// See https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html.
var instanceType = regexp.MustCompile(`^([a-z]+)([0-9]{1,2})([a-z-]*)\.(nano|micro|small|medium|large|[0-9]*xlarge|metal(-[0-9]+xl)?)$`)

// withoutEBSOptimization are the families that can't be launched EBS optimized
// or only for money; all others have it built in.
// See https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-regions.html
// and https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ebs-optimized.html.
var withoutEBSOptimization = []string{"t1", "t2", "m1", "m2", "m3", "c1", "c3", "cc2", "cr1", "g2", "hs1", "i2", "r3"}

// InstanceType accepts an EC2 instance type that a Linux host with an encrypted
// disk can have, and takes it apart: series, generation, capabilities, size.
func InstanceType(s string) (parts []string, fault *Fault) {
	parts = instanceType.FindStringSubmatch(s)
	if parts == nil {
		return nil, &Fault{Problem: fmt.Sprintf("%q is not an instance type", s), Fix: "write family and size, such as t4g.micro"}
	}
	parts = parts[1:5]
	switch {
	case parts[0] == "mac":
		return nil, &Fault{Problem: fmt.Sprintf("%q runs macOS on a dedicated host", s), Fix: "use a Linux type, such as t4g.micro"}
	case slices.Contains(withoutEBSOptimization, parts[0]+parts[1]+parts[2]):
		return nil, &Fault{
			Problem: fmt.Sprintf("%q is of a generation without EBS optimization", s),
			Fix:     "use a current type, such as t4g.micro or t3.micro",
		}
	}
	return parts, nil
}
