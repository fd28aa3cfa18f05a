package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/postern-cdk/postern/internal/host/settings"
)

// target finds what is asked for among the targets: the same host, whatever its
// case and with or without the dot at its end, and the same port.
func target(targets []settings.RelayTarget, host string, port int) (settings.RelayTarget, bool) {
	i := slices.IndexFunc(targets, func(t settings.RelayTarget) bool { return t.Port == port && canonical(t.Host) == canonical(host) })
	if i < 0 {
		return settings.RelayTarget{}, false
	}
	return targets[i], true
}

// canonical writes a host one way.
func canonical(host string) string {
	if address, err := netip.ParseAddr(host); err == nil {
		return address.Unmap().String()
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// awsLocal is where AWS has services of the instance's surroundings in IPv6, the
// metadata among them.
var awsLocal = netip.MustParsePrefix("fd00:ec2::/32")

var errForbidden = errors.New("is refused")

// examine accepts the addresses of a name: all of them, or none. own are those of
// the host.
func examine(addresses, own []netip.Addr) error {
	if len(addresses) == 0 {
		return errors.New("has no address")
	}
	for _, address := range addresses {
		address = address.Unmap().WithZone("")
		var what string
		switch {
		case address.IsLoopback(), address.IsUnspecified():
			what = "the host itself"
		case address.IsLinkLocalUnicast(), awsLocal.Contains(address):
			what = "link-local, where the instance's credentials are"
		case address.IsMulticast(), address == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
			what = "of no one host"
		case slices.Contains(own, address):
			what = "the host itself"
		default:
			continue
		}
		return fmt.Errorf("%w: its address %s is %s", errForbidden, address, what)
	}
	return nil
}

// ownAddresses are those of the host's interfaces.
func ownAddresses() ([]netip.Addr, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var own []netip.Addr
	for _, item := range list {
		if network, ok := item.(*net.IPNet); ok {
			if address, ok := netip.AddrFromSlice(network.IP); ok {
				own = append(own, address.Unmap())
			}
		}
	}
	return own, nil
}

func lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if address, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{address}, nil
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}
