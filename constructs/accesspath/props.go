package accesspath

import (
	"fmt"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"

	"github.com/postern-cdk/postern/constructs/endpoints"
	"github.com/postern-cdk/postern/internal/check"
)

// Props says what needs to be reached from where.
type Props struct {
	// Vpc is the VPC of the subnets. Required.
	Vpc awsec2.IVpc

	// Subnets are where it may stand. Defaults to all of the VPC's that are not
	// public.
	Subnets []awsec2.ISubnet

	// Services must be reached from each of the subnets. Defaults to none.
	Services []endpoints.Service

	// S3 tells that S3 in the same region must be reached too.
	S3 bool

	// PublicAddress tells that what stands in the subnets has a public address,
	// so that a route to an internet gateway is a way out.
	PublicAddress bool

	// Existing names the services that have an endpoint in the VPC that this app
	// does not make. Defaults to what endpoints.Props.Existing names for the VPC.
	Existing []endpoints.Service

	// For is what the services are for, as the subject of a sentence, such as
	// "the bastion". Defaults to the path of the construct.
	For string
}

func (p *Props) withDefaults() Props {
	var q Props
	if p != nil {
		q = *p
	}
	q.Services = slices.Clone(q.Services)
	if q.S3 && !slices.Contains(q.Services, endpoints.S3) {
		q.Services = append(q.Services, endpoints.S3)
	}
	return q
}

func (p *Props) validate() error {
	var faults check.Faults
	if p.Vpc == nil {
		faults.Add("Vpc", "is missing", "pass the VPC of the subnets")
	}
	for i, subnet := range p.Subnets {
		if subnet == nil {
			faults.Add(fmt.Sprintf("Subnets[%d]", i), "is nil", "pass a subnet of the VPC")
		}
	}
	for _, list := range []struct {
		name     string
		services []endpoints.Service
	}{{"Services", p.Services}, {"Existing", p.Existing}} {
		for i, service := range list.services {
			faults.Check(fmt.Sprintf("%s[%d]", list.name, i), check.OneOf(service, endpoints.Known()...))
		}
	}
	return faults.Err()
}
