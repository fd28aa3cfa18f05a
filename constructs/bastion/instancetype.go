package bastion

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-cdk/postern/internal/check"
)

// architecture is a processor family as the names of AWS's public image
// parameters spell it.
type architecture string

const (
	arm64 architecture = "arm64"
	amd64 architecture = "x86_64"
)

// withoutEBSOptimization are the families that can't be launched EBS optimized
// or only for money; all others have it built in.
// See https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-regions.html
// and https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ebs-optimized.html.
var withoutEBSOptimization = []string{"t1", "t2", "m1", "m2", "m3", "c1", "c3", "cc2", "cr1", "g2", "hs1", "i2", "r3"}

// architectureOf derives the architecture from an instance type: Graviton
// families are a1 and those with a "g" among the letters after the generation,
// such as t4g, m7gd and im4gn.
// See https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html.
func architectureOf(instanceType string) (architecture, *check.Fault) {
	parts, fault := check.InstanceType(instanceType)
	if fault != nil {
		return "", fault
	}
	series, capabilities := parts[0], parts[2]
	family := series + parts[1] + capabilities
	switch {
	case series == "mac":
		return "", &check.Fault{
			Problem: fmt.Sprintf("%q runs macOS on a dedicated host", instanceType),
			Fix:     "use a Linux type, such as t4g.micro",
		}
	case slices.Contains(withoutEBSOptimization, family):
		return "", &check.Fault{
			Problem: fmt.Sprintf("%q is of a generation without EBS optimization", instanceType),
			Fix:     "use a current type, such as t4g.micro or t3.micro",
		}
	case family == "a1", strings.Contains(capabilities, "g"):
		return arm64, nil
	default:
		return amd64, nil
	}
}

// architectureNamed returns the architecture that the name of an image
// parameter ends with, or "".
func architectureNamed(parameter string) architecture {
	switch {
	case strings.HasSuffix(parameter, "arm64"), strings.HasSuffix(parameter, "aarch64"):
		return arm64
	case strings.HasSuffix(parameter, "x86_64"), strings.HasSuffix(parameter, "amd64"):
		return amd64
	default:
		return ""
	}
}
