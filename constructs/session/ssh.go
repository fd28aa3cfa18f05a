package session

import (
	"fmt"
	"regexp"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsssm"
	"github.com/aws/constructs-go/constructs/v10"

	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/internal/tree"
)

// SSHProps says where SSH over Session Manager leads. The zero value, and nil,
// make a document that leads to port 22 of whatever its grants open.
type SSHProps struct {
	// Name of the document; see [PreferencesProps]. Defaults to the stack's name and
	// the place in it, such as "Access-SSH".
	Name string

	// Description for who lists documents. Defaults to where the document comes
	// from.
	Description string

	// IdleTimeout ends a connection through which nothing passes, in whole minutes
	// from 1 to 60. Defaults to [DefaultIdleTimeout], or MaxDuration where that is
	// shorter.
	IdleTimeout time.Duration

	// MaxDuration ends a connection, in whole minutes from 1 to 1440 (a day), not
	// less than IdleTimeout. Defaults to [DefaultMaxDuration].
	MaxDuration time.Duration

	// Targets that [SSH.GrantSSH] opens. Hosts of the app are added by
	// [SSH.AllowHost].
	Targets []Target
}

func (p *SSHProps) withDefaults() SSHProps {
	var q SSHProps
	if p != nil {
		q = *p
	}
	s := times(q.IdleTimeout, q.MaxDuration).withDefaults()
	q.IdleTimeout, q.MaxDuration = s.IdleTimeout, s.MaxDuration
	return q
}

// validate examines props whose defaults are filled in.
func (p *SSHProps) validate() error {
	var faults check.Faults
	if p.Name != "" {
		faults.Check("Name", ownName(p.Name))
	}
	times(p.IdleTimeout, p.MaxDuration).validateTimes(&faults)
	validateTargets(p.Targets, &faults)
	return faults.Err()
}

// SSH is a session document for SSH over Session Manager: it leads to port 22 of
// the target, and nowhere else. See the package comment on what is not recorded.
type SSH struct {
	constructs.Construct

	at       policy.Scope
	name     string
	targets  []Target
	granted  bool
	resource awsssm.CfnDocument
}

var _ constructs.IConstruct = (*SSH)(nil)

// NewSSH makes the document. props may be nil.
func NewSSH(scope constructs.Construct, id string, props *SSHProps) *SSH {
	p := props.withDefaults()
	tree.Must("session ssh", scope, id, p.validate())

	s := &SSH{targets: p.Targets}
	constructs.NewConstruct_Override(s, scope, &id)
	s.at = attach.ScopeOf(s)
	s.name = documentName(s, p.Name)
	if p.Description == "" {
		p.Description = "SSH to port 22, from " + *s.Node().Path()
	}
	document := policy.PortDocument{Description: p.Description, Port: "22", Stdio: true, IdleTimeout: p.IdleTimeout, MaxDuration: p.MaxDuration}
	s.resource = newDocument(s, s.name, document.JSON())
	tree.Warn(s, "session-ssh-unrecorded", "Session Manager records nothing of what goes through SSH, and doesn't encrypt it under a key of yours: CloudTrail has who connected to which "+
		"instance and when. Acknowledge this where the hosts record sessions themselves, as a bastion does, or use NewPreferences")
	return s
}

// DocumentName is what people ask for with --document-name.
func (s *SSH) DocumentName() string { return s.name }

// DocumentArn is what policies allow.
func (s *SSH) DocumentArn() string { return s.at.Document(s.name) }

// Access is what it takes to start the sessions: the document and the targets.
func (s *SSH) Access() policy.Session {
	return policy.Session{Documents: []string{s.DocumentArn()}, Targets: targetsOf(s.targets, s.at)}
}

// AllowHost makes a host one of the targets. A bastion's own SSHCommand and
// SSHConfig, which know its host keys too, go by this document from then on. Call it
// before [SSH.GrantSSH].
func (s *SSH) AllowHost(host Host) {
	var faults check.Faults
	if host == nil {
		faults.Add("host", "is nil", "pass a bastion, or name Targets")
	}
	if s.granted {
		faults.Add("host", "comes after GrantSSH, whose grants don't have it", "call AllowHost first")
	}
	must("session ssh", s, "AllowHost", &faults)
	s.targets = append(s.targets, Target{Host: host})
	if own, ok := host.(interface{ UseSSHDocument(name string) }); ok {
		own.UseSSHDocument(s.name)
	}
}

// GrantSSH lets somebody connect to port 22 of the targets with this document,
// and end and resume their own sessions. The host asks for a key all the same:
// that of a person it knows, or one that EC2 Instance Connect pushes.
func (s *SSH) GrantSSH(who awsiam.IGrantable) awsiam.Grant {
	var faults check.Faults
	if who == nil {
		faults.Add("who", "is nil", "pass a role, a user or a group")
	}
	if len(s.targets) == 0 {
		faults.Add("Targets", "are none, so there is nothing to connect to", "call AllowHost with a bastion, or name Targets")
	}
	must("session ssh", s, "GrantSSH", &faults)
	s.granted = true
	return attach.ToPrincipal(who, policy.SessionStatements(s.at, attach.CallerOf(who), s.Access(), policy.When{}))
}

// aliasForm is a name in ~/.ssh/config.
var aliasForm = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// SSHConfig is a block for ~/.ssh/config, after which "ssh ALIAS" connects as an
// OS user to an instance: its ID, or shell for it, such as
// Bastion.InstanceIDCommand gives. With an empty alias the block is for all
// instances by their ID: "ssh i-0123456789abcdef0".
//
// docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-getting-started-enable-ssh-connections.html
func (s *SSH) SSHConfig(alias, user, target string) string {
	var faults check.Faults
	switch {
	case alias == "" && target != "":
		faults.Add("alias", "is empty, and the block would be for all instances", `name the host, such as "bastion", or leave out target`)
	case alias != "" && target == "":
		faults.Add("target", "is empty", "pass the ID of an instance, or Bastion.InstanceIDCommand()")
	case alias != "" && !aliasForm.MatchString(alias):
		faults.Addf("alias", "use letters, digits, ., _ and -", "%q can't be a host of ~/.ssh/config", alias)
	}
	if !userForm.MatchString(user) {
		faults.Addf("user", `write the name of the account on the host, such as "alice"`, "%q can't be the name of an OS user", user)
	}
	must("session ssh", s, "SSHConfig", &faults)
	if alias == "" {
		alias, target = "i-* mi-*", "%h"
	}
	return fmt.Sprintf("Host %s\n  User %s\n  ProxyCommand %s\n", alias, user, s.ProxyCommand(target))
}

// ProxyCommand connects ssh to port 22 of an instance: its ID, "%h" for the host
// that ssh was called with, or shell for one.
func (s *SSH) ProxyCommand(target string) string { return startCommand(s.at, s.name, target, "") }

// SessionsCommand lists the document's sessions of the last 30 days: when, who,
// where and why.
func (s *SSH) SessionsCommand() string { return sessionsCommand(s.at, s.name) }

// VerifyCommand fails unless sessions use the document's newest version; see
// [Preferences.VerifyCommand].
func (s *SSH) VerifyCommand() string { return verifyCommand(s.at, s.name) }

// must panics where a method was called with faults.
func must(kind string, construct constructs.IConstruct, method string, faults *check.Faults) {
	if err := faults.Err(); err != nil {
		panic(fmt.Errorf("%s %q: %s: %w", kind, *construct.Node().Path(), method, err))
	}
}
