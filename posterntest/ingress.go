package posterntest

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/postern-cdk/postern/internal/localcfn/template"
)

// NoIngressFromInternet fails where a security group lets the internet in on a port: on 22
// and 3389, if you name none.
//
// The internet is 0.0.0.0/0 and ::/0, and any public network so large that it might as well
// be: an IPv4 block of a prefix shorter than /8, an IPv6 block of one shorter than /16.
// A rule that covers the port among others counts, so does one for all protocols, and so does
// a prefix list of the app. A network that only a deployment gives, such as a parameter
// without a default or a prefix list made elsewhere, fails too: nobody can tell what it is
// (see [App.TrustedPrefixLists]).
func NoIngressFromInternet(t testing.TB, app *App, ports ...int) {
	t.Helper()
	if len(ports) == 0 {
		ports = []int{22, 3389}
	}
	var faults []string
	for _, u := range app.rules() {
		for _, port := range ports {
			if !u.covers(port) || u.source == "" && !u.unknown {
				continue
			}
			if why := app.internet(u); why != "" {
				faults = append(faults, fmt.Sprintf("security group %s lets in %s on port %d by its rule for %s: %s",
					u.where, why, port, u.ports(), "name the networks that people come from, or take the rule away and use Session Manager or EC2 Instance Connect"))
			}
		}
	}
	report(t, "NoIngressFromInternet", faults)
}

// rule is one rule that lets something in.
type rule struct {
	group    string // what Ref gives
	where    string // the group's label
	protocol string
	from, to int
	// One of peer (a group), and source (a network or prefix list).
	peer, source string
	unknown      bool // where the source is one that only a deployment gives
}

func (u rule) covers(port int) bool {
	switch u.protocol {
	case "-1":
		return true
	case "tcp", "6", "udp", "17":
		return u.from == -1 || u.from <= port && port <= u.to
	default:
		return false
	}
}

func (u rule) ports() string {
	switch {
	case u.protocol == "-1":
		return "all protocols and ports"
	case u.from == -1:
		return "all ports of " + u.protocol
	case u.from == u.to:
		return fmt.Sprintf("%s port %d", u.protocol, u.from)
	default:
		return fmt.Sprintf("%s ports %d-%d", u.protocol, u.from, u.to)
	}
}

// rules lists what security groups let in, wherever the rule was written.
func (a *App) rules() []rule {
	var all []rule
	labels := map[string]string{}
	groups := a.resources("AWS::EC2::SecurityGroup")
	for _, g := range groups {
		labels[g.stack.unique(g.id)] = g.label()
	}
	for _, g := range groups {
		for _, properties := range listOf(g.at("SecurityGroupIngress")) {
			all = append(all, newRules(g.stack.unique(g.id), g.label(), properties)...)
		}
	}
	for _, r := range a.resources("AWS::EC2::SecurityGroupIngress") {
		group := or(r.text("GroupId"), r.text("GroupName"))
		where := or(labels[group], or(group, "that only a deployment gives"))
		all = append(all, newRules(group, where+", rule "+r.label(), r.properties)...)
	}
	return all
}

// newRules is a rule for each source of one.
func newRules(group, where string, properties any) []rule {
	p, _ := properties.(map[string]any)
	number := func(key string) int {
		text, ok := template.Text(p[key])
		n, err := strconv.Atoi(text)
		if !ok || err != nil {
			return -1 // missing or unknown: all ports
		}
		return n
	}
	protocol, ok := template.Text(p["IpProtocol"])
	if !ok {
		protocol = "-1" // unknown: the worst
	}
	base := rule{group: group, where: where, protocol: strings.ToLower(protocol), from: number("FromPort"), to: number("ToPort")}
	if base.to == -1 {
		base.to = 65535
	}
	var all []rule
	for _, key := range []string{"CidrIp", "CidrIpv6", "SourcePrefixListId"} {
		if value, given := p[key]; given {
			u := base
			u.source, u.unknown = sourceOf(value)
			all = append(all, u)
		}
	}
	for _, key := range []string{"SourceSecurityGroupId", "SourceSecurityGroupName"} {
		if value, given := p[key]; given {
			u := base
			u.peer, _ = template.Text(value)
			all = append(all, u)
		}
	}
	return all
}

// sourceOf is the text of a network, or what it waits for.
func sourceOf(value any) (source string, unknown bool) {
	if text, ok := template.Text(value); ok {
		return text, false
	}
	for _, cause := range template.Causes(value) {
		return cause.LogicalID, true
	}
	return "", true
}

// internet says in words which part of the internet a rule lets in, "" if none.
func (a *App) internet(u rule) string {
	if u.unknown {
		return fmt.Sprintf("a network that only a deployment gives (%s)", or(u.source, "an import"))
	}
	if _, err := netip.ParsePrefix(u.source); err == nil {
		if wide(u.source) {
			return u.source
		}
		return ""
	}
	if slices.Contains(a.TrustedPrefixLists, u.source) {
		return ""
	}
	for _, list := range a.resources("AWS::EC2::PrefixList") {
		if u.source != list.id && u.source != list.id+".PrefixListId" {
			continue
		}
		for _, entry := range listOf(list.at("Entries")) {
			e, _ := entry.(map[string]any)
			cidr, unknown := sourceOf(e["Cidr"])
			if unknown || wide(cidr) {
				return fmt.Sprintf("%s of the prefix list %s", or(cidr, "a network that only a deployment gives"), list.label())
			}
		}
		return ""
	}
	return fmt.Sprintf("the prefix list %s, of which this app does not tell what is in it (list it in App.TrustedPrefixLists if you know)", u.source)
}

// wide is true for the internet and for blocks so large that they might as well be.
func wide(network string) bool {
	prefix, err := netip.ParsePrefix(network)
	if err != nil || prefix.Addr().IsPrivate() {
		return false
	}
	if prefix.Addr().Is6() {
		return prefix.Bits() < 16
	}
	return prefix.Bits() < 8
}
