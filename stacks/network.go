package stacks

import (
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/endpoints"
	"github.com/postern-cdk/postern/constructs/network"
	"github.com/postern-cdk/postern/internal/tree"
	"github.com/postern-cdk/postern/stacks/config"
)

type networkStack struct {
	awscdk.Stack
	network   *network.Network
	endpoints *endpoints.Endpoints
}

// Vpc is the VPC that the doors stand in.
func (s *networkStack) Vpc() awsec2.IVpc { return s.network.Vpc() }

func newNetworkStack(scope constructs.Construct, c *config.Config, a *archiveStack) *networkStack {
	s := &networkStack{}
	if c.Network.Vpc != nil && c.Endpoints.Absent {
		// Nothing is made, and CloudFormation refuses a stack without resources: the
		// import goes where it is used.
		return s
	}
	awscdk.NewStack_Override(s, scope, jsii.String(c.Name+"-Network"), props(c, "Postern: the network that the doors stand in."))
	s.fill(s, c, a)
	s.export(c)
	return s
}

func (s *networkStack) fill(scope constructs.Construct, c *config.Config, a *archiveStack) {
	np := &network.Props{}
	if c.Network.Vpc != nil {
		np.Vpc = importVpc(scope, c.Network.Vpc)
	} else {
		np.Cidr = c.Network.Cidr
		np.AvailabilityZones = c.Network.AvailabilityZones
		np.Nat = nats[c.Network.Nat]
		np.FlowLogs = &network.FlowLogs{LogGroup: a.flowLogs}
		if c.Network.FlowLogs == config.FlowLogsToBucket {
			np.FlowLogs = &network.FlowLogs{Bucket: a.archive.Bucket()}
		}
	}
	s.network = network.New(scope, "Network", np)

	if !c.Endpoints.Absent {
		s.endpoints = endpoints.New(scope, "Endpoints", &endpoints.Props{
			Vpc:           s.network.Vpc(),
			Existing:      services(c.Endpoints.Existing),
			PrivateDnsOff: c.Endpoints.PrivateDnsOff,
		})
		s.endpoints.Require(services(c.Endpoints.Services)...)
	}
}

// export exports what the doors and the watch may import, whichever of it they
// import now. With exports only for what is imported, moving a door from one subnet
// to another would need an export gone that is still in use, and one in use that is
// not there yet: no order of deploys gets past both. And giving up an alarm would
// need the watch deployed before the network.
func (s *networkStack) export(c *config.Config) {
	if c.Network.Vpc == nil {
		vpc := s.network.Vpc()
		s.ExportValue(vpc.VpcId(), nil)
		for _, subnets := range []*[]awsec2.ISubnet{vpc.IsolatedSubnets(), vpc.PrivateSubnets(), vpc.PublicSubnets()} {
			for _, subnet := range *subnets {
				s.ExportValue(subnet.SubnetId(), nil)
			}
		}
	}
	if s.endpoints != nil {
		s.ExportValue(s.endpoints.SecurityGroup().SecurityGroupId(), nil)
		for _, service := range s.watchable() {
			s.ExportValue(s.endpoints.Dimensions(service)["VPC Endpoint Id"], nil)
		}
	}
}

// watchable are the services that sessions go through by an endpoint made here, which
// the watch can read the metrics of.
func (s *networkStack) watchable() []endpoints.Service {
	if s.endpoints == nil {
		return nil
	}
	return slices.DeleteFunc(s.endpoints.Services(), func(service endpoints.Service) bool { return !service.CarriesSessions() })
}

var nats = map[config.Nat]network.Nat{
	config.NatNone:    network.NatNone,
	config.NatOne:     network.NatOne,
	config.NatPerZone: network.NatPerZone,
}

func services(names []string) []endpoints.Service {
	var list []endpoints.Service
	for _, name := range names {
		list = append(list, endpoints.Service(name))
	}
	return list
}

func importVpc(scope constructs.Construct, v *config.Vpc) awsec2.IVpc {
	if len(v.AvailabilityZones) == 0 {
		return awsec2.Vpc_FromLookup(scope, jsii.String("Vpc"), &awsec2.VpcLookupOptions{VpcId: jsii.String(v.ID)})
	}
	return awsec2.Vpc_FromVpcAttributes(scope, jsii.String("Vpc"), &awsec2.VpcAttributes{
		VpcId:                       jsii.String(v.ID),
		VpcCidrBlock:                tree.Optional(v.Cidr),
		AvailabilityZones:           tree.Strings(v.AvailabilityZones),
		PublicSubnetIds:             tree.Strings(v.PublicSubnetIDs),
		PublicSubnetRouteTableIds:   tree.Strings(v.PublicRouteTableIDs),
		PrivateSubnetIds:            tree.Strings(v.PrivateSubnetIDs),
		PrivateSubnetRouteTableIds:  tree.Strings(v.PrivateRouteTableIDs),
		IsolatedSubnetIds:           tree.Strings(v.IsolatedSubnetIDs),
		IsolatedSubnetRouteTableIds: tree.Strings(v.IsolatedRouteTableIDs),
	})
}
