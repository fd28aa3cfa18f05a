package policy

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postern-cdk/postern/internal/check"
)

// PortDocument is a session document that forwards connections to one port of one
// host: schema 1.0, session type Port. Who starts a session chooses neither.
//
// The schema names the inputs for every type of session and requires them for
// shells only; Session Manager ends idle forwarding too.
//
// docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-schema.html
type PortDocument struct {
	// Description is for who lists documents.
	Description string
	// Host that the instance connects to, a name that the instance resolves or an
	// address. "" is the instance itself.
	Host string
	// Port is 1 to 65535. May be a token.
	Port string
	// LocalPort is what the client listens on where nothing else is asked for. 0
	// is a free one, which the client tells.
	LocalPort int
	// Stdio hands the connection to the client's standard streams instead of a
	// port, as a ProxyCommand of ssh needs it. Host must be "" then: the agent takes
	// one connection only and knows of no other host.
	Stdio bool
	// IdleTimeout ends a session that nothing passes through: 1 to 60 whole
	// minutes. 0 is DefaultIdleTimeout.
	IdleTimeout time.Duration
	// MaxDuration ends a session: 1 to 1440 whole minutes. 0 is never.
	MaxDuration time.Duration
}

type portDocument struct {
	SchemaVersion string                   `json:"schemaVersion"`
	Description   string                   `json:"description,omitempty"`
	SessionType   string                   `json:"sessionType"`
	Inputs        portInputs               `json:"inputs"`
	Parameters    map[string]portParameter `json:"parameters,omitempty"`
	Properties    portProperties           `json:"properties"`
}

type portInputs struct {
	IdleSessionTimeout string `json:"idleSessionTimeout"`
	MaxSessionDuration string `json:"maxSessionDuration,omitempty"`
}

type portParameter struct {
	Type           string `json:"type"`
	Description    string `json:"description"`
	Default        string `json:"default"`
	AllowedPattern string `json:"allowedPattern"`
}

type portProperties struct {
	Host            string `json:"host,omitempty"`
	PortNumber      string `json:"portNumber"`
	Type            string `json:"type,omitempty"`
	LocalPortNumber string `json:"localPortNumber,omitempty"`
}

// LocalPortParameter is the one parameter of a port document: the port on the
// client's side.
const LocalPortParameter = "localPortNumber"

// localPortPattern accepts 0 to 65535.
const localPortPattern = `^(0|[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$`

// JSON is the content of the document.
func (d *PortDocument) JSON() string {
	idle := d.IdleTimeout
	if idle == 0 {
		idle = DefaultIdleTimeout
	}
	document := portDocument{
		SchemaVersion: "1.0",
		Description:   d.Description,
		SessionType:   "Port",
		Inputs:        portInputs{IdleSessionTimeout: minutes(idle), MaxSessionDuration: minutes(d.MaxDuration)},
		Properties:    portProperties{Host: d.Host, PortNumber: d.Port},
	}
	if !d.Stdio {
		document.Parameters = map[string]portParameter{LocalPortParameter: {
			Type:           "String",
			Description:    "Port of your computer; 0 is one that is free",
			Default:        strconv.Itoa(d.LocalPort),
			AllowedPattern: localPortPattern,
		}}
		document.Properties.Type = "LocalPortForwarding"
		document.Properties.LocalPortNumber = "{{ " + LocalPortParameter + " }}"
	}
	return marshal(document)
}

// refusedByAgent are addresses that the agent forwards nothing to, as it comes.
// It compares whole addresses with whatever the host resolves to.
//
// github.com/aws/amazon-ssm-agent, README.md: Mgs.DeniedPortForwardingRemoteIPs
var refusedByAgent = map[netip.Addr]string{
	netip.MustParseAddr("169.254.169.254"): "the instance metadata",
	netip.MustParseAddr("fd00:ec2::254"):   "the instance metadata",
	netip.MustParseAddr("169.254.169.253"): "the DNS server of the VPC",
	netip.MustParseAddr("fd00:ec2::253"):   "the DNS server of the VPC",
	netip.MustParseAddr("169.254.169.123"): "the time service",
	netip.MustParseAddr("fd00:ec2::123"):   "the time service",
	netip.MustParseAddr("169.254.169.250"): "the licence service of Windows",
	netip.MustParseAddr("169.254.169.251"): "the licence service of Windows",
	netip.MustParseAddr("fd00:ec2::250"):   "the licence service of Windows",
}

// metadataNames are the names that a VPC's DNS has for the instance metadata.
var metadataNames = []string{"instance-data", "instance-data.ec2.internal"}

var (
	dnsName = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?$`)
	// notDNSName is what a resolver of the C library takes for an address: 2852039166
	// and 0xa9fea9fe are 169.254.169.254.
	notDNSName = regexp.MustCompile(`(?i)(^|\.)(0x[0-9a-f]*|[0-9]+)\.?$`)
)

// TunnelHost accepts what a tunnel may lead to, and tokens: one DNS name or
// address, that the agent doesn't refuse, and that is another host than the
// instance. vpcCidrs are the blocks of the instance's VPC, as far as they are
// known: the agent refuses the first four addresses and the last one of each.
//
// docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
func TunnelHost(host string, vpcCidrs ...string) *check.Fault {
	if check.Token(host) {
		if strings.ContainsAny(host, " \t\r\n,") {
			return &check.Fault{Problem: "is more than one host", Fix: "write one tunnel for each, or use the relay of the bastion"}
		}
		return nil
	}
	const another = "name the host that you mean: a tunnel leads to no other address of the instance's surroundings"
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil {
		return tunnelName(host)
	}
	if strings.ContainsAny(host, "[]%") {
		return &check.Fault{Problem: fmt.Sprintf("%q is not an address alone", host), Fix: "write " + address.WithZone("").String()}
	}
	address = address.Unmap()
	if what := refusedByAgent[address]; what != "" {
		return &check.Fault{Problem: fmt.Sprintf("%s is %s, which the agent on the instance forwards nothing to", host, what), Fix: another}
	}
	switch {
	case address.IsLoopback(), address.IsUnspecified():
		return &check.Fault{Problem: host + " is the instance itself", Fix: "leave Host out for a port of the instance"}
	case address.IsLinkLocalUnicast(), address.Is6() && awsLocal.Contains(address):
		return &check.Fault{Problem: host + " is a link-local address, where AWS has services for the instance alone", Fix: another}
	case address.IsMulticast(), address == broadcast:
		return &check.Fault{Problem: host + " is the address of no one host", Fix: another}
	}
	for _, cidr := range vpcCidrs {
		if block, err := netip.ParsePrefix(cidr); err == nil && slices.Contains(Reserved(block), address) {
			return &check.Fault{
				Problem: fmt.Sprintf("%s is one of the first four or the last address of %s, which AWS keeps and the agent on the instance forwards nothing to", host, cidr),
				Fix:     "name the host that you mean: none can have this address",
			}
		}
	}
	return nil
}

// awsLocal is where services of the instance's surroundings have IPv6 addresses.
var (
	awsLocal  = netip.MustParsePrefix("fd00:ec2::/32")
	broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})
)

func tunnelName(host string) *check.Fault {
	const one = "write one DNS name or address, such as db.example.internal or 10.0.1.5"
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	switch {
	case slices.Contains(metadataNames, name):
		return &check.Fault{Problem: fmt.Sprintf("%q is the instance metadata, which the agent on the instance forwards nothing to", host), Fix: one}
	case name == "localhost" || strings.HasSuffix(name, ".localhost"):
		return &check.Fault{Problem: fmt.Sprintf("%q is the instance itself", host), Fix: "leave Host out for a port of the instance"}
	case !dnsName.MatchString(host) || len(name) > 253 || notDNSName.MatchString(host):
		return &check.Fault{Problem: fmt.Sprintf("%q is not a host", host), Fix: one}
	}
	return nil
}

// Reserved are the addresses of a VPC's block that the agent refuses: the first
// four and the last one.
func Reserved(block netip.Prefix) []netip.Addr {
	block = block.Masked()
	first := block.Addr()
	reserved := []netip.Addr{first}
	for next := first.Next(); len(reserved) < 4 && block.Contains(next); next = next.Next() {
		reserved = append(reserved, next)
	}
	last := first.AsSlice()
	for bit := block.Bits(); bit < first.BitLen(); bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	if end, ok := netip.AddrFromSlice(last); ok && !slices.Contains(reserved, end) {
		reserved = append(reserved, end)
	}
	return reserved
}
