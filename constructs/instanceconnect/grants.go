package instanceconnect

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"

	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/policy"
)

// DefaultUser is the OS user that keys are pushed for where none is named: that of
// Amazon Linux.
const DefaultUser = "ec2-user"

// SSHGrant says how far SSH through the endpoint goes: where keys may be pushed
// and where tunnels may lead.
//
// IAM tells a key by the instance it is pushed to, and a tunnel by the address
// that it leads to, not by the instance. So whoever has a key that lives longer, or
// a password, may use it on all that the endpoint reaches on port 22, unless CIDRs
// says less.
type SSHGrant struct {
	// Instances are the IDs of instances that a key may be pushed to. These,
	// InstanceTags or AnyInstance are required.
	Instances []string

	// InstanceTags are what instances carry that a key may be pushed to, all of them.
	InstanceTags map[string]string

	// AnyInstance gives up the limit: a key may be pushed to each instance of the
	// account and region.
	AnyInstance bool

	// Users are the OS users that a key may be pushed for, such as "ubuntu". None
	// stands for [DefaultUser]. "root" is refused: the host's records would not tell
	// who it was.
	Users []string

	// CIDRs are the private addresses that tunnels may lead to. None is all that the
	// endpoint reaches.
	CIDRs []string

	// MaxDuration is how long a tunnel may last, from a second to an hour in whole
	// seconds. 0 stands for the service's own hour. With less, clients must say how
	// long a tunnel is to be, as the commands of [Way] do, or are refused
	// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/permissions-for-ec2-instance-connect-endpoint.html).
	MaxDuration time.Duration

	// EndpointTags are what the endpoint must carry, besides being this one.
	EndpointTags map[string]string
}

// RDPGrant says how far RDP through the endpoint goes. Its zero value, and nil,
// is to all that the endpoint reaches on port 3389, for an hour.
//
// There is nothing but the tunnel to grant: Windows asks for the password, and has
// no key pushed to it.
type RDPGrant struct {
	// CIDRs are the private addresses that tunnels may lead to. None is all that the
	// endpoint reaches.
	CIDRs []string

	// MaxDuration is how long a tunnel may last; see [SSHGrant].
	MaxDuration time.Duration

	// EndpointTags are what the endpoint must carry, besides being this one.
	EndpointTags map[string]string
}

// Way is what a grant allows: for operator.Props.InstanceConnect, and for commands
// that keep within it.
type Way struct {
	connect policy.Connect
	region  string
}

// ForSSH is SSH through the endpoint within a grant, to be granted by an
// operator. grant says at least which instances.
func (e *Endpoint) ForSSH(grant *SSHGrant) *Way {
	g := grant.withDefaults()
	e.must("ForSSH", g.validate())
	connect := e.connect(SSH, g.CIDRs, g.MaxDuration, g.EndpointTags)
	connect.Users = g.Users
	for _, id := range g.Instances {
		connect.Instances = append(connect.Instances, policy.Target{ID: id})
	}
	if len(g.InstanceTags) > 0 {
		connect.Instances = append(connect.Instances, policy.Target{Tags: tags(g.InstanceTags)})
	}
	if g.AnyInstance {
		connect.Instances = []policy.Target{{ID: "*"}}
	}
	return e.way(connect)
}

// ForRDP is RDP through the endpoint within a grant, to be granted by an operator.
// grant may be nil.
func (e *Endpoint) ForRDP(grant *RDPGrant) *Way {
	g := grant.withDefaults()
	e.must("ForRDP", g.validate())
	return e.way(e.connect(RDP, g.CIDRs, g.MaxDuration, g.EndpointTags))
}

// GrantSSH lets a user, group or role open tunnels to port 22, push the keys that
// go with them, and find instances. While the endpoint is absent it opens nothing.
// For conditions, such as a second factor, use an operator.
func (e *Endpoint) GrantSSH(who awsiam.IGrantable, grant *SSHGrant) awsiam.Grant {
	return e.grant(who, "GrantSSH", func() *Way { return e.ForSSH(grant) })
}

// GrantRDP lets a user, group or role open tunnels to port 3389, and find
// instances. While the endpoint is absent it opens nothing.
func (e *Endpoint) GrantRDP(who awsiam.IGrantable, grant *RDPGrant) awsiam.Grant {
	return e.grant(who, "GrantRDP", func() *Way { return e.ForRDP(grant) })
}

func (e *Endpoint) grant(who awsiam.IGrantable, method string, way func() *Way) awsiam.Grant {
	if who == nil {
		var faults check.Faults
		faults.Add("who", "is nil", "pass a user, group or role")
		e.must(method, faults.Err())
	}
	connect := way().connect
	return attach.ToPrincipal(who, policy.ConnectStatements(attach.ScopeOf(e), attach.CallerOf(who), connect, policy.When{}))
}

func (e *Endpoint) connect(port int, cidrs []string, longest time.Duration, endpointTags map[string]string) policy.Connect {
	return policy.Connect{
		Endpoint: e.Id(), EndpointTags: tags(endpointTags),
		Port: port, CIDRs: cidrs, MaxDuration: longest,
	}
}

func (e *Endpoint) way(connect policy.Connect) *Way {
	if shortest := e.caps[connect.Port]; connect.Caps() && (shortest == 0 || connect.MaxDuration < shortest) {
		e.caps[connect.Port] = connect.MaxDuration
	}
	return &Way{connect: connect, region: *awscdk.Stack_Of(e).Region()}
}

func (e *Endpoint) must(method string, err error) {
	if err != nil {
		panic(fmt.Errorf("instanceconnect %q: %s: %w", *e.Node().Path(), method, err))
	}
}

// Connection is what it takes to connect, for an operator.
func (w *Way) Connection() policy.Connect { return w.connect }

// SSHCommand is as [Endpoint.SSHCommand], within the grant, for its first user.
func (w *Way) SSHCommand(instanceID string) string {
	return sshCommand(w.region, instanceID, w.user(), w.longest())
}

// OpenTunnelCommand is as [Endpoint.OpenTunnelCommand], within the grant and to
// its port.
func (w *Way) OpenTunnelCommand(instanceID string, localPort int) string {
	return openTunnelCommand(w.region, instanceID, w.connect.Port, localPort, w.longest())
}

// SSHConfig is as [Endpoint.SSHConfig], within the grant, for its first user.
func (w *Way) SSHConfig() string { return sshConfig(w.region, w.user(), w.longest()) }

func (w *Way) user() string {
	if len(w.connect.Users) == 0 {
		return ""
	}
	return w.connect.Users[0]
}

func (w *Way) longest() time.Duration {
	if !w.connect.Caps() {
		return 0
	}
	return w.connect.MaxDuration
}

func (g *SSHGrant) withDefaults() SSHGrant {
	var q SSHGrant
	if g != nil {
		q = *g
	}
	if len(q.Users) == 0 {
		q.Users = []string{DefaultUser}
	}
	return q
}

func (g *RDPGrant) withDefaults() RDPGrant {
	if g == nil {
		return RDPGrant{}
	}
	return *g
}

var (
	instanceID = regexp.MustCompile(`^i-[0-9a-f]{8,17}$`)
	osUser     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,30}[A-Za-z0-9_$-]?$`)
)

func (g *SSHGrant) validate() error {
	var faults check.Faults
	if len(g.Instances) == 0 && len(g.InstanceTags) == 0 && !g.AnyInstance {
		faults.Add("Instances", "is empty, as is InstanceTags, so no key could be pushed anywhere",
			"name the instances or their tags, or give the limit up with AnyInstance")
	}
	if g.AnyInstance && (len(g.Instances) > 0 || len(g.InstanceTags) > 0) {
		faults.Add("AnyInstance", "is set, and Instances or InstanceTags, too", "leave one of them out")
	}
	for i, id := range g.Instances {
		if !check.Token(id) && !instanceID.MatchString(id) {
			faults.Addf(fmt.Sprintf("Instances[%d]", i), "write it such as i-0123456789abcdef0", "%q is no ID of an instance", id)
		}
	}
	for i, user := range g.Users {
		field := fmt.Sprintf("Users[%d]", i)
		switch {
		case user == "root":
			faults.Add(field, `"root" is nobody in particular`, "name a user, who may be given sudo on the host")
		case !check.Token(user) && !osUser.MatchString(user):
			faults.Addf(field, "name one user of the instance's system", "%q is no name of a user", user)
		}
	}
	for _, tag := range tags(g.InstanceTags) {
		faults.Check("InstanceTags", check.Tag(tag.Key, tag.Value))
	}
	validateTunnel(&faults, g.CIDRs, g.MaxDuration, g.EndpointTags)
	return faults.Err()
}

func (g *RDPGrant) validate() error {
	var faults check.Faults
	validateTunnel(&faults, g.CIDRs, g.MaxDuration, g.EndpointTags)
	return faults.Err()
}

func validateTunnel(faults *check.Faults, cidrs []string, longest time.Duration, endpointTags map[string]string) {
	for i, cidr := range cidrs {
		field := fmt.Sprintf("CIDRs[%d]", i)
		if check.Everyone(cidr) {
			faults.Addf(field, "leave CIDRs out for all that the endpoint reaches", "%q is every address", cidr)
			continue
		}
		faults.Check(field, check.CIDR(cidr))
	}
	switch {
	case longest == 0:
	case longest%time.Second != 0:
		faults.Addf("MaxDuration", "use whole seconds", "%s has a part of a second", longest)
	default:
		faults.Check("MaxDuration", check.Within(longest, time.Second, time.Hour))
	}
	for _, tag := range tags(endpointTags) {
		faults.Check("EndpointTags", check.Tag(tag.Key, tag.Value))
	}
}

func tags(m map[string]string) []policy.Tag {
	var list []policy.Tag
	for _, key := range slices.SortedFunc(maps.Keys(m), strings.Compare) {
		list = append(list, policy.Tag{Key: key, Value: m[key]})
	}
	return list
}
