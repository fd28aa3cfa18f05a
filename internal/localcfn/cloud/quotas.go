package cloud

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-cdk/postern/internal/localcfn/schema"
	"github.com/postern-cdk/postern/internal/localcfn/template"
)

// quota limits how many resources of a type there are in a scope.
type quota struct {
	limit   int
	scope   func(c *Cloud, o *Object) string // "" is the region
	message func(limit int, scope string) string
}

// quotas are AWS's defaults where they are low enough to meet.
// https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/eice-quotas.html
var quotas = map[string]quota{
	"AWS::EC2::VPC": {5, nil, func(int, string) string {
		return "The maximum number of VPCs has been reached. (Service: Ec2, Status Code: 400)"
	}},
	"AWS::EC2::InternetGateway": {5, nil, func(int, string) string {
		return "The maximum number of internet gateways has been reached. (Service: Ec2, Status Code: 400)"
	}},
	"AWS::EC2::EIP": {5, nil, func(int, string) string {
		return "The maximum number of addresses has been reached. (Service: Ec2, Status Code: 400)"
	}},
	"AWS::EC2::NatGateway": {5, zoneOf, func(n int, _ string) string {
		return fmt.Sprintf("Performing this operation would exceed the limit of %d NAT gateways (Service: Ec2, Status Code: 400)", n)
	}},
	"AWS::EC2::InstanceConnectEndpoint": {1, vpcOf, func(n int, vpc string) string {
		return fmt.Sprintf("The maximum number of EC2 Instance Connect Endpoints has been reached for %s: %d per VPC (Service: Ec2, Status Code: 400)", vpc, n)
	}},
}

func vpcOf(c *Cloud, o *Object) string {
	b := builder{cloud: c, o: o}
	return b.vpc()
}

func zoneOf(c *Cloud, o *Object) string {
	subnet, _ := template.Text(o.Properties["SubnetId"])
	if n := c.Find("AWS::EC2::Subnet", subnet); n != nil {
		s, _ := n.Attributes["AvailabilityZone"].(string)
		return s
	}
	return subnet
}

// refuse says why the resource can't be made: a name taken or a quota reached.
func (c *Cloud) refuse(b *builder) *Fault {
	o := b.o
	if other := c.taken(b.t, o); other != nil {
		if other.Stack != "" {
			return &Fault{fmt.Sprintf("%s already exists in stack %s", o.label(b.t), other.Stack), "AlreadyExists"}
		}
		return &Fault{fmt.Sprintf("Resource of type '%s' with identifier '%s' already exists.", o.Type, Identifier(b.t, o)), "AlreadyExists"}
	}
	q, ok := quotas[o.Type]
	if n, set := c.Quotas[o.Type]; set {
		if !ok {
			q.message = func(n int, _ string) string {
				return fmt.Sprintf("The quota of %d resources of type %s has been reached.", n, o.Type)
			}
		}
		q.limit, ok = n, true
	}
	if !ok {
		return nil
	}
	scope := ""
	if q.scope != nil {
		scope = q.scope(c, o)
	}
	count := 0
	for _, other := range c.objects[o.Type] {
		if q.scope == nil || q.scope(c, other) == scope {
			count++
		}
	}
	if count >= q.limit {
		return &Fault{q.message(q.limit, scope), "ServiceLimitExceeded"}
	}
	return nil
}

// taken finds the resource that has the same identifier or name.
func (c *Cloud) taken(t *schema.Type, o *Object) *Object {
	if other := c.objects[o.Type][o.ID]; other != nil {
		return other
	}
	name := NameProperty(t)
	if name == "" || o.Properties[name] == nil {
		return nil
	}
	for _, other := range c.objects[o.Type] {
		if template.Equal(other.Properties[name], o.Properties[name]) && namespace(other) == namespace(o) {
			return other
		}
	}
	return nil
}

// namespace tells what a name must be unique in.
func namespace(o *Object) string {
	switch o.Type {
	case "AWS::EC2::SecurityGroup":
		s, _ := template.Text(o.Properties["VpcId"])
		return s
	case "AWS::Events::Rule":
		s, _ := template.Text(o.Properties["EventBusName"])
		return s
	}
	t := schema.Lookup(o.Type)
	if t == nil {
		return ""
	}
	// A name that is only part of an identifier is unique within the rest.
	name := NameProperty(t)
	if !slices.Contains(t.PrimaryIdentifier, name) {
		var parts []string
		for _, p := range t.PrimaryIdentifier {
			if !t.IsReadOnly(p) {
				s, _ := template.Text(o.Properties[p])
				parts = append(parts, s)
			}
		}
		return strings.Join(parts, "|")
	}
	var parts []string
	for _, p := range t.PrimaryIdentifier {
		if p != name {
			s, _ := template.Text(o.Properties[p])
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, "|")
}

// label gives the name by which a message calls the resource.
func (o *Object) label(t *schema.Type) string {
	if s, ok := template.Text(o.Properties[NameProperty(t)]); ok && s != "" {
		return s
	}
	return o.Ref
}

// Identifier writes the primary identifier as a message does.
func Identifier(t *schema.Type, o *Object) string {
	m := map[string]any{}
	parts := strings.Split(o.ID, "|")
	name := NameProperty(t)
	if name != "" && !slices.Contains(t.PrimaryIdentifier, name) {
		m["/properties/"+name] = o.Properties[name]
	} else {
		for i, p := range t.PrimaryIdentifier {
			if i < len(parts) {
				m["/properties/"+p] = parts[i]
			}
		}
	}
	return template.JSON(m)
}
