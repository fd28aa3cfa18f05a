package accesspath

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/constructs-go/constructs/v10"

	"github.com/postern-cdk/postern/constructs/endpoints"
	"github.com/postern-cdk/postern/internal/accesspath"
	"github.com/postern-cdk/postern/internal/survey"
	"github.com/postern-cdk/postern/internal/tree"
)

// Check attaches the check to a construct. It makes nothing.
func Check(scope constructs.IConstruct, props *Props) {
	p := props.withDefaults()
	if err := p.validate(); err != nil {
		panic(fmt.Errorf("access path of %q: %w", *scope.Node().Path(), err))
	}
	if p.For == "" {
		p.For = *scope.Node().Path()
	}
	places := p.places()
	vpc := survey.ID(p.Vpc.VpcId())
	survey.Validate(scope, func(s *survey.Survey) []string {
		faults, warnings := accesspath.Decide(p.request(s, vpc, places))
		for _, warning := range warnings {
			tree.Warn(scope, "access-path", warning)
		}
		return faults
	})
}

// place is a subnet as far as the subnet itself tells.
type place struct {
	id     string
	subnet accesspath.Subnet
}

func (p *Props) places() []place {
	subnets := p.Subnets
	if len(subnets) == 0 {
		subnets = append(append(subnets, *p.Vpc.IsolatedSubnets()...), *p.Vpc.PrivateSubnets()...)
	}
	places := make([]place, len(subnets))
	for i, subnet := range subnets {
		places[i] = place{
			id:     survey.ID(subnet.SubnetId()),
			subnet: accesspath.Subnet{Path: *subnet.Node().Path(), Zone: *subnet.AvailabilityZone()},
		}
	}
	return places
}

func identities(subnets *[]awsec2.ISubnet) map[string]bool {
	set := map[string]bool{}
	for _, subnet := range *subnets {
		set[survey.ID(subnet.SubnetId())] = true
	}
	return set
}

// request completes what is asked with what the finished tree tells.
func (p *Props) request(s *survey.Survey, vpc string, places []place) *accesspath.Request {
	r := &accesspath.Request{For: p.For, PublicAddress: p.PublicAddress, Nameless: map[string]string{}}
	for _, service := range p.Services {
		r.Services = append(r.Services, string(service))
	}
	for _, service := range p.Existing {
		r.Existing = append(r.Existing, string(service))
	}
	for _, node := range s.Nodes {
		if e, ok := node.(*endpoints.Endpoints); ok && survey.ID(e.Vpc().VpcId()) == vpc {
			for _, service := range e.Existing() {
				r.Existing = append(r.Existing, string(service))
			}
		}
	}
	gateways := map[string]bool{} // route tables that lead to S3
	anyGateway := false
	for _, endpoint := range s.VpcEndpoints {
		switch {
		case endpoint.Vpc != vpc:
		case endpoint.Gateway && endpoint.Service == accesspath.S3:
			anyGateway = true
			for _, table := range endpoint.RouteTables {
				gateways[table] = true
			}
		case endpoint.Gateway:
		case endpoint.PrivateDns:
			r.Endpoints = append(r.Endpoints, endpoint.Service)
		default:
			r.Nameless[endpoint.Service] = endpoint.Path
		}
	}
	var public, private map[string]bool
	for _, place := range places {
		subnet := place.subnet
		if table := s.RouteTable(place.id); table != "" {
			subnet.Known = true
			subnet.InternetGateway, subnet.Egress = s.Egress(table)
			subnet.S3Gateway = gateways[table]
		} else {
			// The group that it was imported in is all there is to know.
			if public == nil {
				public, private = identities(p.Vpc.PublicSubnets()), identities(p.Vpc.PrivateSubnets())
			}
			subnet.InternetGateway, subnet.Egress = public[place.id], private[place.id]
			subnet.S3Gateway = anyGateway
		}
		r.Subnets = append(r.Subnets, subnet)
	}
	return r
}
