package bastion

import (
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

// architectureOf derives the architecture from an instance type: Graviton
// families are a1 and those with a "g" among the letters after the generation,
// such as t4g, m7gd and im4gn.
// See https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html.
func architectureOf(instanceType string) (architecture, *check.Fault) {
	parts, fault := check.InstanceType(instanceType)
	if fault != nil {
		return "", fault
	}
	capabilities := parts[2]
	switch {
	case parts[0]+parts[1]+capabilities == "a1", strings.Contains(capabilities, "g"):
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
