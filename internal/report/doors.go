package report

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/postern-cdk/postern/internal/property"
	"github.com/postern-cdk/postern/internal/words"
)

// States of a door.
const (
	open    = "open"
	closed  = "closed"
	exposed = "EXPOSED"
)

func (r *Report) doors() {
	ways := 0
	for _, port := range []struct {
		number float64
		name   string
	}{{22, "SSH from a network, port 22"}, {3389, "RDP from a network, port 3389"}} {
		row := r.portDoor(port.number, port.name)
		if row.State != closed {
			ways++
		}
		r.Doors = append(r.Doors, row)
	}
	manager := r.sessionManager()
	if manager.State != closed {
		ways++
	}
	r.Doors = append(r.Doors, manager)
	r.sessions()
	for _, row := range r.instanceConnect() {
		if row.State != closed {
			ways++
		}
		r.Doors = append(r.Doors, row)
	}
	if ways == 0 {
		r.fail("every door is closed: nobody can get in",
			"Allow a network, deploy the ssm and ssmmessages endpoints, or an EC2 Instance Connect Endpoint")
	}
}

// rule is one security group rule, wherever it was declared.
type rule struct {
	group    string // ID
	protocol string
	from, to float64
	// One of peer (a security group's ID), or network (CIDR or prefix list).
	peer, network string
}

// covers reports whether the rule lets TCP on a port through.
func (u rule) covers(port float64) bool {
	switch u.protocol {
	case "-1":
		return true
	case "tcp", "6":
		return u.from <= port && port <= u.to
	default:
		return false
	}
}

func (u rule) ports() string {
	switch {
	case u.protocol == "-1":
		return "every port"
	case u.from == u.to:
		return fmt.Sprintf("port %.0f", u.from)
	default:
		return fmt.Sprintf("ports %.0f-%.0f", u.from, u.to)
	}
}

func newRule(group string, properties any, peerKey, prefixListKey string) rule {
	u := rule{group: group, protocol: strings.ToLower(property.Text(property.At(properties, "IpProtocol")))}
	u.from, _ = property.Number(property.At(properties, "FromPort"))
	u.to, _ = property.Number(property.At(properties, "ToPort"))
	u.peer = property.Text(property.At(properties, peerKey))
	for _, key := range []string{"CidrIp", "CidrIpv6", prefixListKey} {
		if s := property.Text(property.At(properties, key)); s != "" {
			u.network = s
		}
	}
	return u
}

// rules lists what all groups let in, or let out. Cloud Control may show a rule
// both in its group and as a resource of its own.
func (inv *Inventory) rules(ingress bool) []rule {
	list, peer, prefixList := "SecurityGroupEgress", "DestinationSecurityGroupId", "DestinationPrefixListId"
	if ingress {
		list, peer, prefixList = "SecurityGroupIngress", "SourceSecurityGroupId", "SourcePrefixListId"
	}
	var rules []rule
	add := func(u rule) {
		if !slices.Contains(rules, u) {
			rules = append(rules, u)
		}
	}
	for _, group := range inv.of("AWS::EC2::SecurityGroup") {
		for _, properties := range group.list(list) {
			add(newRule(group.groupID(), properties, peer, prefixList))
		}
	}
	for _, r := range inv.of("AWS::EC2::" + list) {
		add(newRule(r.text("GroupId"), r.Properties, peer, prefixList))
	}
	return rules
}

func (r Resource) groupID() string {
	if id := r.text("GroupId"); id != "" {
		return id
	}
	return r.Identifier
}

// groupName says whose a security group is: CDK's description is the path of
// its construct.
func (inv *Inventory) groupName(id string) string {
	for _, group := range inv.of("AWS::EC2::SecurityGroup") {
		if group.groupID() == id {
			return group.name("GroupDescription", "GroupName")
		}
	}
	return id
}

func (r *Report) portDoor(port float64, name string) Row {
	var networks, peers []string
	state := closed
	for _, u := range r.Inventory.rules(true) {
		if !u.covers(port) {
			continue
		}
		group := r.Inventory.groupName(u.group)
		if u.network == "" {
			peers = append(peers, fmt.Sprintf("%s from %s", group, r.Inventory.groupName(u.peer)))
			continue
		}
		networks = append(networks, fmt.Sprintf("%s from %s", group, u.network))
		if state == closed {
			state = open
		}
		if everyone(u.network) {
			state = exposed
			r.fail(fmt.Sprintf("%s lets %s in on %s", group, u.network, u.ports()),
				"Name the networks that people come from, or close it and use Session Manager or EC2 Instance Connect")
		}
	}
	detail := "no address may reach it"
	if len(networks) > 0 {
		detail = strings.Join(sortedUnique(networks), "\n")
	}
	if len(peers) > 0 {
		detail += "\nby security group: " + strings.Join(sortedUnique(peers), ", ")
	}
	return Row{What: name, State: state, Detail: detail}
}

// everyone is true for the whole internet and for blocks so large that they
// might as well be: two halves of it are no better.
func everyone(network string) bool {
	prefix, err := netip.ParsePrefix(network)
	if err != nil {
		return false
	}
	if prefix.Addr().IsPrivate() {
		return false
	}
	limit := 8
	if prefix.Addr().Is6() {
		limit = 16
	}
	return prefix.Bits() < limit
}

// nowhere is true for the loopback addresses that stand for no egress: a
// security group without any rule would let everything out.
func nowhere(network string) bool {
	prefix, err := netip.ParsePrefix(network)
	return err == nil && prefix.Addr().IsLoopback()
}

func (r *Report) sessionManager() Row {
	row := Row{What: "Session Manager", State: closed}
	zones := map[string]int{}
	private := true
	for _, endpoint := range r.Inventory.of("AWS::EC2::VPCEndpoint") {
		name := endpoint.text("ServiceName")
		service := name[strings.LastIndex(name, ".")+1:]
		if service == "ssm" || service == "ssmmessages" {
			zones[service] = max(zones[service], len(endpoint.list("SubnetIds")))
			private = private && endpoint.yes("PrivateDnsEnabled")
		}
	}
	var missing []string
	for _, service := range []string{"ssm", "ssmmessages"} {
		if zones[service] == 0 {
			missing = append(missing, service)
		}
	}
	switch {
	case len(missing) == 0:
		row.State = open
		row.Detail = "endpoints ssm and ssmmessages in " + words.Count(min(zones["ssm"], zones["ssmmessages"]), "subnet")
		if !private {
			row.Detail += "; private DNS is off: clients must name the endpoints"
		}
	case len(r.Inventory.of("AWS::EC2::NatGateway")) > 0:
		row.State = open
		row.Detail = "through the NAT gateway; no endpoint " + strings.Join(missing, ", ")
	case len(r.Inventory.of("AWS::EC2::InternetGateway")) > 0 && len(r.Inventory.of("AWS::EC2::EIP")) > 0:
		row.State = open
		row.Detail = "through the internet gateway, from hosts with a public address; no endpoint " + strings.Join(missing, ", ")
	default:
		row.Detail = "no endpoint " + strings.Join(missing, ", ") + " and no NAT gateway"
	}
	return row
}

func (r *Report) instanceConnect() []Row {
	endpoints := r.Inventory.of("AWS::EC2::InstanceConnectEndpoint")
	if len(endpoints) == 0 {
		return []Row{{What: "EC2 Instance Connect Endpoint", State: closed, Detail: "none is deployed"}}
	}
	var rows []Row
	egress := r.Inventory.rules(false)
	for _, endpoint := range endpoints {
		row := Row{What: "EC2 Instance Connect Endpoint", State: closed}
		var targets []string
		for _, group := range property.Texts(endpoint.list("SecurityGroupIds")) {
			for _, u := range egress {
				if u.group != group || nowhere(u.network) || (!u.covers(22) && !u.covers(3389)) {
					continue
				}
				target := u.network
				if u.peer != "" {
					target = r.Inventory.groupName(u.peer)
				} else if everyone(u.network) {
					r.fail("the EC2 Instance Connect Endpoint may reach every address on "+u.ports(),
						"Let its security group out to the targets' security groups only")
				}
				targets = append(targets, "to "+target+" on "+u.ports())
			}
		}
		sees := "targets see the endpoint's address"
		if endpoint.yes("PreserveClientIp") {
			sees = "targets see the client's address"
		}
		if len(targets) == 0 {
			row.Detail = "in " + endpoint.text("SubnetId") + ", but its security group lets nothing out"
		} else {
			row.State = open
			row.Detail = strings.Join(sortedUnique(targets), "\n") + "\nin " + endpoint.text("SubnetId") + "; " + sees
		}
		rows = append(rows, row)
	}
	return rows
}
