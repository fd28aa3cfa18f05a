// Package survey looks at the finished construct tree: which network resources
// are in it, whoever made them, and which of them belong together. Checks that
// concern a whole app, such as "one endpoint for a service and VPC", stand on it.
//
// Looking through the tree costs one call to the CDK a synthesis, however many
// checks there are; see [Validate].
package survey

import (
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/tree"
)

// Survey is what was found. It is only right while nothing is added to the
// tree, so take it from [Validate] and don't keep it.
type Survey struct {
	// Nodes is the whole tree, with the Go types of those who made it.
	Nodes             []constructs.IConstruct
	VpcEndpoints      []*VpcEndpoint
	InstanceConnect   []awsec2.CfnInstanceConnectEndpoint
	Routes            []*Route
	Instances         []awsec2.CfnInstance
	LaunchTemplates   []awsec2.CfnLaunchTemplate
	NetworkInterfaces []awsec2.CfnNetworkInterface
	Subnets           map[string]awsec2.CfnSubnet   // by identity
	places            map[constructs.IConstruct]int // in Nodes
	ranges            map[constructs.IConstruct][2]int
	associations      map[string]awsec2.CfnSubnetRouteTableAssociation
	tables            map[string]string // of subnets that were asked for, both by identity
}

// VpcEndpoint is one AWS::EC2::VPCEndpoint.
type VpcEndpoint struct {
	Resource awsec2.CfnVPCEndpoint
	Path     string
	// Vpc is the identity of its VPC.
	Vpc string
	// Service is the last part of its service name, "ssm" of
	// "com.amazonaws.eu-west-1.ssm"; "" for a service that is not AWS's.
	Service string
	Gateway bool
	// PrivateDns tells whether the service's usual name resolves to the endpoint.
	PrivateDns bool
	// RouteTables are the identities of a gateway endpoint's route tables.
	RouteTables []string
}

// Route is one AWS::EC2::Route to everywhere (0.0.0.0/0).
type Route struct {
	// RouteTable is the identity of its table.
	RouteTable string
	// InternetGateway tells whether it leads to an internet gateway, which needs a
	// public address at the source; otherwise it leads to a NAT gateway, a transit
	// gateway, a network interface or the like.
	InternetGateway bool
}

// stages holds for each stage what was found in the synthesis under way. Stages
// live as long as the jsii process does, so nothing is kept alive by it.
var stages = map[awscdk.Stage]*Survey{}

// Validate attaches a check that gets the finished tree and whose faults stop
// the synthesis. All checks of a stage share one look through the tree.
func Validate(scope constructs.IConstruct, faults func(*Survey) []string) {
	stage := awscdk.Stage_Of(scope)
	if stage == nil {
		return
	}
	if _, known := stages[stage]; !known {
		stages[stage] = nil
		// A stage is visited before what it holds, so each synthesis looks anew.
		tree.Validate(stage, func() []string {
			stages[stage] = nil
			return nil
		})
	}
	tree.Validate(scope, func() []string {
		if stages[stage] == nil {
			stages[stage] = look(stage)
		}
		return faults(stages[stage])
	})
}

func look(stage awscdk.Stage) *Survey {
	s := &Survey{
		Nodes:   *stage.Node().FindAll(constructs.ConstructOrder_PREORDER),
		Subnets: map[string]awsec2.CfnSubnet{},
		tables:  map[string]string{},

		associations: map[string]awsec2.CfnSubnetRouteTableAssociation{},
	}
	for _, node := range s.Nodes {
		switch r := node.(type) {
		case awsec2.CfnVPCEndpoint:
			s.VpcEndpoints = append(s.VpcEndpoints, vpcEndpoint(r))
		case awsec2.CfnInstanceConnectEndpoint:
			s.InstanceConnect = append(s.InstanceConnect, r)
		case awsec2.CfnRoute:
			if route := defaultRoute(r); route != nil {
				s.Routes = append(s.Routes, route)
			}
		case awsec2.CfnInstance:
			s.Instances = append(s.Instances, r)
		case awsec2.CfnLaunchTemplate:
			s.LaunchTemplates = append(s.LaunchTemplates, r)
		case awsec2.CfnNetworkInterface:
			s.NetworkInterfaces = append(s.NetworkInterfaces, r)
		case awsec2.CfnSubnetRouteTableAssociation:
			s.associations[ID(r.SubnetId())] = r
		case awsec2.CfnSubnet:
			s.Subnets[*r.Node().Path()] = r
		}
	}
	return s
}

// Range is where a construct and all below it are in [Survey.Nodes], from the first to
// before the last; nothing of a construct that is not there. It is two calls to the
// CDK and once, where asking each node for its path would be one for each.
func (s *Survey) Range(construct constructs.IConstruct) (first, last int) {
	if known, ok := s.ranges[construct]; ok {
		return known[0], known[1]
	}
	if s.places == nil {
		s.places = make(map[constructs.IConstruct]int, len(s.Nodes))
		for i, node := range s.Nodes {
			s.places[node] = i
		}
		s.ranges = map[constructs.IConstruct][2]int{}
	}
	// A construct may be known by several Go values; what the CDK hands out is one.
	below := *construct.Node().FindAll(constructs.ConstructOrder_PREORDER)
	first, last = 0, 0
	if place, ok := s.places[below[0]]; ok {
		first, last = place, place+len(below)
	}
	s.ranges[construct] = [2]int{first, last}
	return first, last
}

func vpcEndpoint(r awsec2.CfnVPCEndpoint) *VpcEndpoint {
	kind := text(r.VpcEndpointType())
	e := &VpcEndpoint{
		Resource: r,
		Path:     *r.Node().Path(),
		Vpc:      ID(r.VpcId()),
		Service:  Service(flat(awscdk.Stack_Of(r).Resolve(r.ServiceName()))),
		Gateway:  kind == "" || kind == "Gateway",
	}
	e.PrivateDns = !e.Gateway && r.PrivateDnsEnabled() == true
	for _, table := range *orEmpty(r.RouteTableIds()) {
		e.RouteTables = append(e.RouteTables, ID(table))
	}
	return e
}

func defaultRoute(r awsec2.CfnRoute) *Route {
	if text(r.DestinationCidrBlock()) != "0.0.0.0/0" {
		return nil
	}
	return &Route{
		RouteTable:      ID(r.RouteTableId()),
		InternetGateway: r.GatewayId() != nil,
	}
}

// Vpc returns the identity of the VPC that a subnet in the tree belongs to, or
// "" for a subnet that is not in the tree.
func (s *Survey) Vpc(subnet string) string {
	if r, ok := s.Subnets[subnet]; ok {
		return ID(r.VpcId())
	}
	return ""
}

// RouteTable returns the identity of a subnet's route table, or "" where the
// tree does not say.
func (s *Survey) RouteTable(subnet string) string {
	association, ok := s.associations[subnet]
	if !ok {
		return ""
	}
	if _, known := s.tables[subnet]; !known {
		s.tables[subnet] = ID(association.RouteTableId())
	}
	return s.tables[subnet]
}

// Egress returns how a route table leaves the VPC: by an internet gateway, by
// something that needs no public address, or neither.
func (s *Survey) Egress(table string) (internetGateway, other bool) {
	for _, route := range s.Routes {
		if route.RouteTable == table {
			internetGateway = internetGateway || route.InternetGateway
			other = other || !route.InternetGateway
		}
	}
	return internetGateway, other
}

// Service returns the last part of an AWS service's endpoint name, or "".
// A name that was flattened from an intrinsic function does as well.
func Service(name string) string {
	if !strings.Contains(name, "com.amazonaws.") && !strings.Contains(name, "aws.api.") {
		return ""
	}
	return name[strings.LastIndex(name, ".")+1:]
}

var (
	// Tokens don't change what they stand for, so what one was found to be stays.
	identities = map[string]string{}
	oneToken   = regexp.MustCompile(`^\$\{Token\[[^]]*\]\}$`)
	own        = []string{"Ref", "Id", "VpcId", "SubnetId", "GroupId", "RouteTableId"}
)

// ID returns what an ID stands for, in a form that can be compared within an
// app whatever stack it is used in: the path of the resource, with the name of
// the attribute if that is not the resource's own ID; a literal as it is.
func ID(id *string) string {
	if id == nil {
		return ""
	}
	if !oneToken.MatchString(*id) {
		return *id
	}
	if known, ok := identities[*id]; ok {
		return known
	}
	identity := *id
	if token := awscdk.Tokenization_ReverseCompleteString(id); token != nil && *awscdk.Reference_IsReference(token) {
		var reference awscdk.Reference
		jsii.UnsafeCast(token, &reference)
		identity = *reference.Target().Node().Path()
		if attribute := *reference.DisplayName(); !slices.Contains(own, attribute) {
			identity += "." + attribute
		}
	}
	identities[*id] = identity
	return identity
}

// flat joins the strings of an intrinsic function such as Fn::Join.
func flat(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case []any:
		var b strings.Builder
		for _, item := range v {
			b.WriteString(flat(item))
		}
		return b.String()
	case map[string]any:
		if join, ok := v["Fn::Join"].([]any); ok && len(join) == 2 {
			parts, _ := join[1].([]any)
			list := make([]string, len(parts))
			for i, part := range parts {
				list[i] = flat(part)
			}
			return strings.Join(list, flat(join[0]))
		}
		if sub, ok := v["Fn::Sub"]; ok {
			return flat(sub)
		}
	}
	return ""
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func orEmpty(list *[]*string) *[]*string {
	if list == nil {
		return &[]*string{}
	}
	return list
}
