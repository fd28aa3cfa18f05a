package host

import (
	"cmp"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/host/settings"
	"github.com/postern-cdk/postern/internal/policy"
)

// DefaultRelayPort is where the relay listens: that of SOCKS proxies.
const DefaultRelayPort = 1080

// RelayTarget is what tunnels may reach through the relay. Host may be a token.
type RelayTarget = settings.RelayTarget

var relayName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,30}$`)

func relayWithDefaults(r settings.Relay) settings.Relay {
	return settings.Relay{Port: cmp.Or(r.Port, DefaultRelayPort)}
}

// validateRelay examines the targets, and the port where there are any.
func (c Config) validateRelay(f *check.Faults) {
	if len(c.RelayTargets) == 0 {
		if c.Choices.Relay.Port != DefaultRelayPort {
			f.Addf("Choices.Relay.Port", "name targets, or leave it out", "%d is given, and there is no relay without targets", c.Choices.Relay.Port)
		}
		return
	}
	// Whoever binds it is no longer root.
	f.Check("Choices.Relay.Port", check.Between(c.Choices.Relay.Port, 1024, 65535))
	names, addresses := map[string]bool{}, map[string]bool{}
	for i, t := range c.RelayTargets {
		field := fmt.Sprintf("RelayTargets[%d]", i)
		switch {
		case !relayName.MatchString(t.Name):
			f.Addf(field+".Name", "use lower-case letters, digits and -, up to 31", "%q can't be the name of a target", t.Name)
		case names[t.Name]:
			f.Addf(field+".Name", "name each target once", "%q is named twice", t.Name)
		}
		names[t.Name] = true
		if fault := policy.TunnelHost(t.Host); fault != nil {
			f.Add(field+".Host", fault.Problem, "name another host: the relay leads to none of the host's own surroundings")
		} else if !check.Token(t.Host) && !hostForm.MatchString(t.Host) && !hostForm.MatchString(strings.TrimSuffix(t.Host, ".")) {
			f.Addf(field+".Host", "write one DNS name, IPv4 address or IPv6 address", "%q is not a host", t.Host)
		}
		f.Check(field+".Port", check.Port(t.Port))
		address := strings.ToLower(net.JoinHostPort(t.Host, strconv.Itoa(t.Port)))
		if addresses[address] {
			f.Addf(field, "name each target once", "%s is a target already", address)
		}
		addresses[address] = true
	}
}

// relayTargets writes targets as the host reads them.
func relayTargets(targets []RelayTarget) string {
	words := make([]string, len(targets))
	for i, t := range targets {
		host := t.Host
		if strings.Contains(host, ":") && !check.Token(host) {
			host = "[" + host + "]"
		}
		words[i] = fmt.Sprintf("%s=%s:%d", t.Name, host, t.Port)
	}
	return strings.Join(words, " ")
}
