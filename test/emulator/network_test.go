package emulator_test

import (
	"fmt"
	"slices"
	"strings"
)

// ingress lists the rules into a security group, wherever they were declared,
// such as "tcp 22 203.0.113.0/24" and "tcp 443 sg-0123".
func (c *cloud) ingress(group string) []string {
	c.t.Helper()
	return c.rules(group, "SecurityGroupIngress", "Source")
}

// egress lists the rules out of a security group.
func (c *cloud) egress(group string) []string {
	c.t.Helper()
	return c.rules(group, "SecurityGroupEgress", "Destination")
}

func (c *cloud) rules(group, property, end string) []string {
	c.t.Helper()
	rules := []string{}
	add := func(r resource, path ...any) {
		at := func(name string) string { return r.text(append(slices.Clone(path), name)...) }
		ports := at("FromPort")
		if to := at("ToPort"); to != ports {
			ports += "-" + to
		}
		peer := at("CidrIp") + at("CidrIpv6") + at(end+"SecurityGroupId") + at(end+"PrefixListId")
		rules = append(rules, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s", at("IpProtocol"), ports, peer)), " "))
	}
	inline := c.get("AWS::EC2::SecurityGroup", group)
	items, _ := inline.at(property).([]any)
	for i := range items {
		add(inline, property, i)
	}
	for _, r := range c.list("AWS::EC2::" + property) {
		if r.text("GroupId") == group {
			add(r)
		}
	}
	slices.Sort(rules)
	return rules
}

// The groups of the app, by how their descriptions begin.
const (
	bastionGroup   = "Bastion "
	endpointsGroup = "Interface endpoints"
	connectGroup   = "EC2 Instance Connect Endpoint"
)

// nowhere is the rule in a group that would get the way out to everywhere if it
// had none.
const (
	nowhere    = "-1 127.0.0.1/32"
	cdkNowhere = "icmp 252-86 255.255.255.255/32"
)
