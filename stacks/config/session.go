package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-cdk/postern/internal/check"
)

// Session configures shells through Session Manager. There is a document of their
// own name wherever there is a bastion, or targets are named: what is shown goes
// to a log group and to the bucket of the archive.
type Session struct {
	// Absent leaves the document out. Sessions are then as the account's default
	// says.
	Absent bool `yaml:"absent"`
	// DocumentName is by what people ask for the sessions. Defaults to
	// "NAME-Access-Shell".
	DocumentName string `yaml:"documentName"`
	// RunAs is the OS user that sessions run as.
	RunAs RunAs `yaml:"runAs"`
	// IdleMinutes ends a session in which nobody types, 1 to 60. Defaults to 20.
	IdleMinutes int `yaml:"idleMinutes"`
	// MaxMinutes ends a session whatever happens in it, 1 to 1440. Defaults to 720.
	MaxMinutes int `yaml:"maxMinutes"`
	// NoMaxDuration gives up that a session ends while somebody types in it.
	NoMaxDuration bool `yaml:"noMaxDuration"`
	// OwnKey encrypts sessions with a new key on top of TLS, $1 a month.
	OwnKey bool `yaml:"ownKey"`
	// KeyArn encrypts sessions with a key of yours on top of TLS.
	KeyArn string `yaml:"keyArn"`
	// ShellProfile is what is run when a session begins.
	ShellProfile ShellProfile `yaml:"shellProfile"`
	// Targets are instances of yours beside the bastion.
	Targets []SessionTarget `yaml:"targets"`
	// SSH lets SSH through Session Manager, of which it records nothing.
	SSH bool `yaml:"ssh"`
	// AccountDefault makes these the account's preferences in the region, too: what
	// everybody gets who names no document. "create" fails where there are some
	// already, "merge" puts these over them, "replace" in their place; what was there
	// is kept, and comes back when this goes. Defaults to not touching them.
	AccountDefault AccountDefault `yaml:"accountDefault"`
	// FunctionFile is a file that bin/functionzip made for it, for where there is no
	// Go.
	FunctionFile string `yaml:"functionFile"`
	// BreakGlass is the document for emergencies, which is made where an operator
	// has breakGlass.
	BreakGlass BreakGlass `yaml:"breakGlass"`
}

// AccountDefault is what becomes of the account's preferences.
type AccountDefault string

// The choices for the account's preferences.
const (
	AccountDefaultCreate  AccountDefault = "create"
	AccountDefaultMerge   AccountDefault = "merge"
	AccountDefaultReplace AccountDefault = "replace"
)

// BreakGlass is shells for emergencies.
type BreakGlass struct {
	// IdleMinutes and MaxMinutes are as in Session. They default to 10 and 60.
	IdleMinutes int `yaml:"idleMinutes"`
	MaxMinutes  int `yaml:"maxMinutes"`
	// AgentUser lets these shells become root, for repairs.
	AgentUser bool `yaml:"agentUser"`
}

// RunAs is the OS user that sessions run as where the caller's tag SSMSessionRunAs
// names none.
type RunAs struct {
	// User defaults to "ec2-user" where there is a bastion, who is no sudoer there.
	User string `yaml:"user"`
	// TagOnly gives nobody without the tag a session.
	TagOnly bool `yaml:"tagOnly"`
	// AgentUser gives up both: sessions run as ssm-user, who may become root.
	AgentUser bool `yaml:"agentUser"`
}

// ShellProfile is what is run when a session begins, by operating system.
type ShellProfile struct {
	Linux   string `yaml:"linux"`
	Windows string `yaml:"windows"`
}

// SessionTarget is instances of yours: by their IDs or by tags, all of which an
// instance must have.
type SessionTarget struct {
	InstanceIDs []string          `yaml:"instanceIds"`
	Tags        map[string]string `yaml:"tags"`
}

// ImageUser is the account that the images of Amazon Linux come with. The bastion
// takes sudo away from it.
const ImageUser = "ec2-user"

// Made reports whether there is a document for sessions.
func (s *Session) Made(c *Config) bool {
	return !s.Absent && (!c.Bastion.Absent || len(s.Targets) > 0)
}

func (s *Session) fillDefaults(c *Config) {
	if s.BreakGlass.MaxMinutes == 0 {
		s.BreakGlass.MaxMinutes = 60
	}
	if s.BreakGlass.IdleMinutes == 0 {
		s.BreakGlass.IdleMinutes = min(10, s.BreakGlass.MaxMinutes)
	}
	if s.Made(c) && !c.Bastion.Absent && !s.RunAs.TagOnly && !s.RunAs.AgentUser {
		or(&s.RunAs.User, ImageUser)
	}
}

func (s *Session) validate(c *Config, f *check.Faults) {
	if s.Absent {
		if set := s.choices(); len(set) > 0 {
			f.Addf("session.absent", "remove it or them", "is set, but so is %s", strings.Join(set, ", "))
		}
		return
	}
	if c.Bastion.Absent && len(s.Targets) == 0 {
		if set := s.choices(); len(set) > 0 {
			f.Addf("session.targets", "name instances of yours, or remove the other keys of session",
				"is missing, and bastion.absent leaves nothing else that %s could be for", strings.Join(set, ", "))
		}
		return
	}
	documentName(f, "session.documentName", s.DocumentName)
	s.RunAs.validate(c, f)
	oneOf(f, "session.accountDefault", s.AccountDefault, AccountDefaultCreate, AccountDefaultMerge, AccountDefaultReplace)
	if s.FunctionFile != "" && s.AccountDefault == "" {
		f.Add("session.functionFile", "is set, but session.accountDefault is not, which it is for", "set that, or remove it")
	} else {
		readable(f, "session.functionFile", s.FunctionFile, "make it by go run ./bin/functionzip")
	}
	duration(f, "session", s.IdleMinutes, s.MaxMinutes)
	duration(f, "session.breakGlass", s.BreakGlass.IdleMinutes, s.BreakGlass.MaxMinutes)
	if s.NoMaxDuration && s.MaxMinutes != 0 {
		f.Add("session.noMaxDuration", "contradicts session.maxMinutes", "remove one of them")
	}
	c.arn(f, "session.keyArn", s.KeyArn, keyARN)
	if s.OwnKey && s.KeyArn != "" {
		f.Add("session.ownKey", "contradicts session.keyArn", "remove one of them")
	}
	for _, profile := range []struct{ key, text string }{{"linux", s.ShellProfile.Linux}, {"windows", s.ShellProfile.Windows}} {
		if strings.Contains(profile.text, "{{") {
			f.Add("session.shellProfile."+profile.key, "has {{, with which Systems Manager begins a parameter", "call a script that is on the host")
		}
	}
	for i := range s.Targets {
		s.Targets[i].validate(fmt.Sprintf("session.targets[%d]", i), f)
	}
}

// What Session Manager takes at most:
// docs.aws.amazon.com/systems-manager/latest/userguide/session-preferences-timeout.html and session-preferences-max-timeout.html.
const (
	maxIdleMinutes    = 60
	maxSessionMinutes = 1440
)

func (s *Session) choices() []string {
	var set []string
	for _, key := range []struct {
		name string
		set  bool
	}{
		{"documentName", s.DocumentName != ""},
		{"runAs", s.RunAs != RunAs{}},
		{"idleMinutes", s.IdleMinutes != 0},
		{"maxMinutes", s.MaxMinutes != 0},
		{"noMaxDuration", s.NoMaxDuration},
		{"ownKey", s.OwnKey},
		{"keyArn", s.KeyArn != ""},
		{"shellProfile", s.ShellProfile != ShellProfile{}},
		{"targets", s.Targets != nil},
		{"ssh", s.SSH},
		{"accountDefault", s.AccountDefault != ""},
		{"functionFile", s.FunctionFile != ""},
		{"breakGlass", s.BreakGlass != BreakGlass{}},
	} {
		if key.set {
			set = append(set, "session."+key.name)
		}
	}
	return set
}

func (r *RunAs) validate(c *Config, f *check.Faults) {
	const at, fix = "session.runAs.", "name a user of the hosts who may not become root, or set session.runAs.tagOnly"
	if r.TagOnly && r.AgentUser {
		f.Add(at+"agentUser", "contradicts session.runAs.tagOnly", "remove one of them")
	}
	switch {
	case r.User == "":
	case r.TagOnly || r.AgentUser:
		f.Addf(at+"user", "remove one of them", "%q is set together with tagOnly or agentUser", r.User)
	case r.User == "root":
		f.Add(at+"user", `"root" is refused by Session Manager too`, fix)
	case r.User == "ssm-user":
		f.Add(at+"user", `"ssm-user" may become root without a password`, fix+", or set session.runAs.agentUser to give that up knowingly")
	case slices.Contains(c.Bastion.Host.People.Sudo, r.User):
		f.Addf(at+"user", fix, "%q may become root by bastion.host.people.sudo, and everybody without a tag becomes this user", r.User)
	case !userPattern.MatchString(r.User):
		f.Addf(at+"user", "use a lower-case letter, then letters, digits, ., _ and -, up to 32", "%q can't be the name of an OS user", r.User)
	}
}

func (t *SessionTarget) validate(field string, f *check.Faults) {
	if (len(t.InstanceIDs) > 0) == (len(t.Tags) > 0) {
		f.Add(field, "has neither or both of instanceIds and tags", "write one of them")
	}
	tags(f, field+".tags", t.Tags)
	unique(f, field+".instanceIds", t.InstanceIDs)
	for i, id := range t.InstanceIDs {
		matches(f, fmt.Sprintf("%s.instanceIds[%d]", field, i), id, instancePattern, "write the ID of an instance, such as i-0123456789abcdef0")
	}
}

// duration looks at how long something may last.
func duration(f *check.Faults, field string, idle, most int) {
	minutes(f, field+".idleMinutes", idle, maxIdleMinutes)
	minutes(f, field+".maxMinutes", most, maxSessionMinutes)
	if most != 0 && idle > most {
		f.Addf(field+".maxMinutes", fmt.Sprintf("use %d or more, or fewer idleMinutes", idle), "%d is less than idleMinutes %d", most, idle)
	}
}

func minutes(f *check.Faults, field string, n, most int) {
	if n != 0 {
		f.Check(field, check.Between(n, 1, most))
	}
}

// accountDefault is the account's one document for sessions that name none.
const accountDefault = "SSM-SessionManagerRunShell"

func documentName(f *check.Faults, field, name string) {
	if name == "" {
		return
	}
	f.Check(field, check.DocumentName(name))
	if name == accountDefault {
		f.Addf(field, "choose another, and set session.accountDefault to have that one too", "%q is the account's default document", name)
	}
}
