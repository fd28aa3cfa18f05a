package session

import (
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsssm"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/internal/tree"
)

// TunnelProps says what a tunnel leads to, and through which host.
type TunnelProps struct {
	// To is what the tunnel leads to. Required.
	To Destination

	// Via is the host that it goes through: its agent connects to To. Required. A
	// bastion, as Host, is opened for it; hosts by ID or tags with Through. An agent
	// before 3.1.1374.0 knows of no other host than its own, and connects to that.
	Via Target

	// Through holds the security groups of Via, where Via is instances by ID or
	// tags: they are let out to To.Peer, which admits them. Defaults to those of
	// Via.Host.
	Through awsec2.IConnectable

	// Name of the document; see [PreferencesProps]. Defaults to the stack's name and
	// the place in it, such as "Access-Orders".
	Name string

	// Description for who lists documents. Defaults to what the tunnel leads to.
	Description string

	// LocalPort of the person's computer where nothing else is asked for, up to
	// 65535. Defaults to one that is free, which the Session Manager plugin tells.
	LocalPort int

	// IdleTimeout ends a tunnel through which nothing passes, in whole minutes from
	// 1 to 60. Defaults to [DefaultIdleTimeout], or MaxDuration where that is
	// shorter.
	IdleTimeout time.Duration

	// MaxDuration ends a tunnel, in whole minutes from 1 to 1440 (a day), not less
	// than IdleTimeout. Defaults to [DefaultMaxDuration].
	MaxDuration time.Duration
}

// tunnelHost is what a bastion is, beside a [Host].
type tunnelHost interface {
	AllowTunnelTo(target awsec2.IConnectable, port float64, why string)
}

func (p *TunnelProps) withDefaults() TunnelProps {
	var q TunnelProps
	if p != nil {
		q = *p
	}
	s := times(q.IdleTimeout, q.MaxDuration).withDefaults()
	q.IdleTimeout, q.MaxDuration = s.IdleTimeout, s.MaxDuration
	return q
}

// through holds the security groups of the host, or is nil where they aren't known.
func (p *TunnelProps) through() awsec2.IConnectable {
	if connectable, ok := p.Via.Host.(awsec2.IConnectable); ok {
		return connectable
	}
	return p.Through
}

// validate examines props whose defaults are filled in.
func (p *TunnelProps) validate(vpcCidrs []string) error {
	var faults check.Faults
	faults.Merge("To", p.To.validate(vpcCidrs))
	faults.Merge("Via", p.Via.validate())
	if through := p.through(); p.Through != nil && through != p.Through {
		faults.Add("Through", "is given, and Via.Host has security groups of its own", "leave Through out, or name the instances by InstanceIDs or Tags")
	}
	if p.Name != "" {
		faults.Check("Name", ownName(p.Name))
	}
	faults.Check("LocalPort", check.Between(p.LocalPort, 0, 65535))
	times(p.IdleTimeout, p.MaxDuration).validateTimes(&faults)
	return faults.Err()
}

// Tunnel is a session document that forwards a port of a person's computer to one
// port of one host, and to nothing else: who starts it chooses neither. See the
// package comment on what is not recorded.
type Tunnel struct {
	constructs.Construct

	at       policy.Scope
	name     string
	via      Target
	resource awsssm.CfnDocument
}

var _ constructs.IConstruct = (*Tunnel)(nil)

// NewTunnel makes the document, and opens the way from the host to the target.
func NewTunnel(scope constructs.Construct, id string, props *TunnelProps) *Tunnel {
	p := props.withDefaults()
	tree.Must("session tunnel", scope, id, p.validate(vpcCidrs(p.Via.Host)))

	t := &Tunnel{via: p.Via}
	constructs.NewConstruct_Override(t, scope, &id)
	t.at = attach.ScopeOf(t)
	t.name = documentName(t, p.Name)
	if p.Description == "" {
		p.Description = "Tunnel to " + p.To.told() + ", from " + *t.Node().Path()
	}
	document := policy.PortDocument{
		Description: p.Description, Host: p.To.Host, Port: p.To.text(), LocalPort: p.LocalPort,
		IdleTimeout: p.IdleTimeout, MaxDuration: p.MaxDuration,
	}
	t.resource = newDocument(t, t.name, document.JSON())
	t.open(&p)
	return t
}

// vpcCidrs are the blocks of a host's VPC that are known when the app is
// synthesized.
func vpcCidrs(host Host) (known []string) {
	inside, ok := host.(interface{ Vpc() awsec2.IVpc })
	if !ok {
		return nil
	}
	vpc := inside.Vpc()
	if resource, ok := vpc.Node().DefaultChild().(awsec2.CfnVPC); ok {
		if resource.CidrBlock() == nil {
			return nil // of an address manager
		}
		return []string{*resource.CidrBlock()}
	}
	// An imported one that wasn't told panics.
	defer func() { _ = recover() }()
	return []string{*vpc.VpcCidrBlock()}
}

// open lets the host reach the target's security groups.
func (t *Tunnel) open(p *TunnelProps) {
	if p.To.Peer == nil {
		return
	}
	why := "Tunnel " + t.name
	if check.RuleDescription(why) != nil {
		why = "Tunnel"
	}
	host, ours := p.Via.Host.(tunnelHost)
	through := p.through()
	switch {
	case ours:
		host.AllowTunnelTo(p.To.Peer, p.To.number(), why)
	case through != nil:
		through.Connections().AllowTo(p.To.Peer.Connections(), awsec2.Port_Tcp(jsii.Number(p.To.number())), &why)
	default:
		tree.Warn(t, "session-tunnel-closed", "the security groups of To.Peer are not opened: those of Via aren't known here. Pass Through, or leave Peer out of To where the way is open")
	}
}

// DocumentName is what people ask for with --document-name.
func (t *Tunnel) DocumentName() string { return t.name }

// DocumentArn is what policies allow.
func (t *Tunnel) DocumentArn() string { return t.at.Document(t.name) }

// Access is what it takes to start the tunnel: the document and the host.
func (t *Tunnel) Access() policy.Session {
	return policy.Session{Documents: []string{t.DocumentArn()}, Targets: t.via.of(t.at)}
}

// GrantTunnel lets somebody start this tunnel through its host, and end and resume
// their own sessions. IAM knows documents and hosts one by one: who has tunnels
// through two hosts may use each through both, and reaches what the security
// groups of both reach of them. What they may do in the database is the
// database's to say.
func (t *Tunnel) GrantTunnel(who awsiam.IGrantable) awsiam.Grant {
	var faults check.Faults
	if who == nil {
		faults.Add("who", "is nil", "pass a role, a user or a group")
	}
	must("session tunnel", t, "GrantTunnel", &faults)
	return attach.ToPrincipal(who, policy.SessionStatements(t.at, attach.CallerOf(who), t.Access(), policy.When{}))
}

// StartCommand opens the tunnel, until it is interrupted. localPort is where it
// listens on the person's computer; with 0 that is LocalPort of the props, or a
// free one: the plugin says which. reason is kept by CloudTrail, or "". It needs the
// AWS CLI with its Session Manager plugin.
//
// docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-sessions-start.html
func (t *Tunnel) StartCommand(localPort int, reason string) string {
	var faults check.Faults
	faults.Check("localPort", check.Between(localPort, 0, 65535))
	faults.Check("reason", reasonFault(reason))
	must("session tunnel", t, "StartCommand", &faults)
	command := startCommand(t.at, t.name, t.instance(), reason)
	if localPort > 0 {
		command += fmt.Sprintf(" --parameters %s=%d", policy.LocalPortParameter, localPort)
	}
	return command
}

// VerifyCommand fails unless sessions use the document's newest version; see
// [Preferences.VerifyCommand].
func (t *Tunnel) VerifyCommand() string { return verifyCommand(t.at, t.name) }

// SessionsCommand lists the document's sessions of the last 30 days: when, who,
// where and why.
func (t *Tunnel) SessionsCommand() string { return sessionsCommand(t.at, t.name) }

// instance is the ID of the instance, or shell for it: of several, the newest one.
func (t *Tunnel) instance() string {
	if host, ok := t.via.Host.(interface{ InstanceIDCommand() string }); ok {
		return host.InstanceIDCommand()
	}
	if len(t.via.InstanceIDs) > 0 {
		return t.via.InstanceIDs[0]
	}
	filters := ""
	for _, target := range t.via.of(t.at) {
		for _, tag := range target.Tags {
			// The CLI takes what is in brackets or has commas for more than one word.
			if strings.ContainsAny(tag.Key+tag.Value, `,'"[]{}`) {
				return ""
			}
			filters += " " + quote("Name=tag:"+tag.Key+",Values="+tag.Value)
		}
	}
	return fmt.Sprintf(`$(aws ec2 describe-instances --region %s --filters%s Name=instance-state-name,Values=running`+
		` --query 'sort_by(Reservations[].Instances[],&LaunchTime)[-1].InstanceId' --output text)`, t.at.Region, filters)
}
