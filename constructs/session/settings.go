package session

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/host"
	"github.com/postern-cdk/postern/internal/policy"
)

// Where a bastion keeps its own in a bucket.
const (
	bastionRecords = host.DefaultRecordPrefix
	bastionPeople  = host.DefaultPeoplePrefix
)

// What a session is like where [Settings] says nothing.
const (
	DefaultPrefix      = "session-manager"
	DefaultIdleTimeout = policy.DefaultIdleTimeout
	DefaultMaxDuration = 12 * time.Hour
)

// Settings are what shell sessions are like: who they run as, where they are
// recorded, how they are encrypted and when they end. Their zero value is the
// safest: recorded in a log group while they last and in a locked bucket at their
// end, both made here and encrypted; encrypted under a key of their own; as the OS
// user that the caller's tag names, and no other; over after 20 idle minutes, or
// 12 hours.
type Settings struct {
	// LogGroup takes what is shown while a session lasts. It must be encrypted
	// with a KMS key: sessions are refused otherwise. Nil makes one that stays when
	// the stack goes.
	LogGroup awslogs.ILogGroup

	// Bucket takes the transcript when a session ends. Nil makes an archive with a
	// locked bucket. One that is imported brings its key by
	// awss3.BucketAttributes.EncryptionKey.
	Bucket awss3.IBucket

	// Prefix is the folder in Bucket, such as "audit/sessions", without slashes
	// around. A bastion's own folders, "sessions" and "public-keys", are refused.
	// In the bucket of an archive.LogAccount, transcripts are in the folder with this
	// account's number of the default one, and no other is taken.
	// Defaults to [DefaultPrefix].
	Prefix string

	// Key encrypts the session between the person's and the host's ends, on top of
	// TLS. People need kms:GenerateDataKey with it, and hosts kms:Decrypt; GrantShell
	// and AllowHost see to both. Nil makes one ($1 a month). It is better not the
	// key of the records: hosts may decrypt with it.
	Key awskms.IKey

	// RunAs is the OS user that sessions run as.
	RunAs RunAs

	// IdleTimeout ends a session in which nobody types, in whole minutes from 1 to
	// 60. Defaults to [DefaultIdleTimeout], or MaxDuration where that is shorter.
	//
	// docs.aws.amazon.com/systems-manager/latest/userguide/session-preferences-timeout.html
	IdleTimeout time.Duration

	// MaxDuration ends a session whatever happens in it, in whole minutes from 1 to
	// 1440 (a day), not less than IdleTimeout. Defaults to [DefaultMaxDuration].
	//
	// docs.aws.amazon.com/systems-manager/latest/userguide/session-preferences-max-timeout.html
	MaxDuration time.Duration

	// ShellProfile is what is run when a session begins.
	ShellProfile ShellProfile

	// WithoutLogGroup gives up the record that is written while a session lasts: of
	// one on a host that dies, nothing remains.
	WithoutLogGroup bool

	// WithoutBucket gives up the second record, in a bucket that nobody can delete
	// from.
	WithoutBucket bool

	// WithoutKey gives up the session's own encryption: TLS remains.
	WithoutKey bool

	// AllowUnencryptedLogGroup gives up that sessions are refused where the log
	// group is missing, has no KMS key, or can't be examined by the host.
	AllowUnencryptedLogGroup bool

	// AllowUnencryptedBucket gives up that sessions are refused where the bucket is
	// missing, has no default encryption, or can't be examined by the host.
	AllowUnencryptedBucket bool

	// LogAtEnd gives up that the log group is written while a session lasts.
	LogAtEnd bool

	// NoMaxDuration gives up that a session ends at all while somebody types in it.
	NoMaxDuration bool
}

// RunAs is the OS user that sessions run as, on Linux and macOS; Windows has no
// such choice. The IAM user's or role's tag SSMSessionRunAs names it, which a
// session tag of a federated identity does too. The user must exist on the host,
// and is never root.
//
// docs.aws.amazon.com/systems-manager/latest/userguide/session-preferences-run-as.html
type RunAs struct {
	// User for callers without the tag: no sudoer, as everybody without a tag
	// becomes this one. Defaults to nobody: they get no session.
	User string

	// AgentUser gives up RunAs: sessions run as ssm-user, whom the agent makes with
	// sudo to everything and without a password. On Windows it gives up nothing.
	AgentUser bool
}

// ShellProfile is what is run when a session begins, by operating system.
type ShellProfile struct {
	// Linux is run by sh, and by what macOS has, such as "exec bash".
	Linux string
	// Windows is run by PowerShell.
	Windows string
}

var (
	prefixForm = regexp.MustCompile(`^[A-Za-z0-9!_.'()=-]+(/[A-Za-z0-9!_.'()=-]+)*$`)
	userForm   = regexp.MustCompile(`^[a-z_][a-z0-9_.-]{0,31}$`)
	// Whom the images of AWS and others make a sudoer without a password.
	imageUsers = []string{"admin", "bitnami", "centos", "debian", "ec2-user", "fedora", "rocky", "ubuntu"}
)

const longestPrefix = 512

// A document holds 64 KB, and the rest of it takes little.
const longestProfile = 16 << 10

func (s Settings) withDefaults() Settings {
	if s.Prefix == "" && !s.WithoutBucket {
		s.Prefix = DefaultPrefix
	}
	if s.MaxDuration == 0 && !s.NoMaxDuration {
		s.MaxDuration = DefaultMaxDuration
	}
	if s.IdleTimeout == 0 {
		s.IdleTimeout = DefaultIdleTimeout
		if s.MaxDuration > 0 {
			s.IdleTimeout = min(s.IdleTimeout, s.MaxDuration)
		}
	}
	return s
}

// times are settings of a session that nothing is recorded of.
func times(idle, longest time.Duration) *Settings {
	return &Settings{IdleTimeout: idle, MaxDuration: longest}
}

// validate examines settings whose defaults are filled in.
func (s *Settings) validate() error {
	var faults check.Faults
	s.validateDestinations(&faults)
	s.validateRunAs(&faults)
	s.validateTimes(&faults)
	faults.Check("ShellProfile.Linux", profile(s.ShellProfile.Linux))
	faults.Check("ShellProfile.Windows", profile(s.ShellProfile.Windows))
	return faults.Err()
}

func (s *Settings) validateDestinations(faults *check.Faults) {
	if s.WithoutLogGroup && s.WithoutBucket {
		faults.Add("WithoutBucket", "is set together with WithoutLogGroup, so that nothing would be recorded", "leave out one of them")
	}
	for _, field := range []struct {
		name    string
		set     bool
		without string
		gone    bool
	}{
		{"LogGroup", s.LogGroup != nil, "WithoutLogGroup", s.WithoutLogGroup},
		{"AllowUnencryptedLogGroup", s.AllowUnencryptedLogGroup, "WithoutLogGroup", s.WithoutLogGroup},
		{"LogAtEnd", s.LogAtEnd, "WithoutLogGroup", s.WithoutLogGroup},
		{"Bucket", s.Bucket != nil, "WithoutBucket", s.WithoutBucket},
		{"Prefix", s.Prefix != "", "WithoutBucket", s.WithoutBucket},
		{"AllowUnencryptedBucket", s.AllowUnencryptedBucket, "WithoutBucket", s.WithoutBucket},
		{"Key", s.Key != nil, "WithoutKey", s.WithoutKey},
		{"MaxDuration", s.MaxDuration != 0, "NoMaxDuration", s.NoMaxDuration},
	} {
		if field.set && field.gone {
			faults.Add(field.name, "is set together with "+field.without, "leave out one of them")
		}
	}
	faults.Check("Prefix", prefix(s.Prefix))
	if s.Key != nil {
		faults.Check("Key", keyARN(s.Key))
	}
}

// prefix accepts a folder of a bucket as the agent makes one of it: it cleans the
// path and takes colons out, and a wildcard would be one in the host's policy.
func prefix(folder string) *check.Fault {
	const fix = `use folder names of letters, digits and !_.'()=- with slashes between, such as "audit/sessions"`
	if folder == "" || check.Token(folder) {
		return nil
	}
	if len(folder) > longestPrefix || !prefixForm.MatchString(folder) {
		return &check.Fault{Problem: fmt.Sprintf("%q can't be a folder for transcripts", folder), Fix: fix}
	}
	parts := strings.Split(folder, "/")
	for _, part := range parts {
		if part == "." || part == ".." {
			return &check.Fault{Problem: fmt.Sprintf("%q has a %q, which the agent takes out of the path", folder, part), Fix: fix}
		}
	}
	if first := parts[0] + "/"; first == bastionRecords || first == bastionPeople {
		return &check.Fault{
			Problem: fmt.Sprintf("%q is where a bastion keeps its own in a bucket, and every host may write there", folder),
			Fix:     fmt.Sprintf("use another, such as %q", DefaultPrefix),
		}
	}
	return nil
}

// keyARN accepts keys that policies can name: in one, the ARN of an alias matches
// no key.
func keyARN(key awskms.IKey) *check.Fault {
	arn := *key.KeyArn()
	if _, alias := key.(awskms.IAlias); !alias && !strings.Contains(arn, ":alias/") {
		return nil
	}
	problem := "is an alias"
	if !check.Token(arn) {
		problem = fmt.Sprintf("%q is the ARN of an alias", arn)
	}
	return &check.Fault{
		Problem: problem + ", which a policy doesn't take for its key, so that nobody could use it",
		Fix:     "pass the key itself, by awskms.Key_FromKeyArn or awskms.Key_FromLookup",
	}
}

func (s *Settings) validateRunAs(faults *check.Faults) {
	const fix = "name a user of the hosts who may not become root, or leave it out and tag people's roles with SSMSessionRunAs"
	switch user := s.RunAs.User; {
	case user == "" || check.Token(user):
	case s.RunAs.AgentUser:
		faults.Addf("RunAs.User", "leave out one of them", "%q is set together with AgentUser", user)
	case user == "root":
		faults.Add("RunAs.User", `"root" is refused by Session Manager too`, fix)
	case user == "ssm-user":
		faults.Add("RunAs.User", `"ssm-user" may become root without a password`, fix+", or set AgentUser to give that up knowingly")
	case !userForm.MatchString(user):
		faults.Addf("RunAs.User", "use a lower-case letter, then letters, digits, ., _ and -, up to 32", "%q can't be the name of an OS user", user)
	}
}

func (s *Settings) validateTimes(faults *check.Faults) {
	idle := wholeMinutes(faults, "IdleTimeout", s.IdleTimeout, policy.LongestIdle)
	if s.NoMaxDuration && s.MaxDuration == 0 {
		return
	}
	most := wholeMinutes(faults, "MaxDuration", s.MaxDuration, policy.LongestSession)
	if idle && most && s.MaxDuration < s.IdleTimeout {
		faults.Addf("MaxDuration", fmt.Sprintf("use %s or more, or a shorter IdleTimeout", short(s.IdleTimeout)),
			"%s is less than IdleTimeout %s", short(s.MaxDuration), short(s.IdleTimeout))
	}
}

// wholeMinutes accepts whole minutes up to the longest, and tells whether it did.
func wholeMinutes(faults *check.Faults, field string, d, longest time.Duration) bool {
	switch {
	case d < time.Minute || d > longest:
		faults.Addf(field, fmt.Sprintf("use %s to %s", short(time.Minute), short(longest)), "%s is out of range", short(d))
	case d%time.Minute != 0:
		faults.Addf(field, fmt.Sprintf("use %s or %s", short(d.Truncate(time.Minute)), short(d.Truncate(time.Minute)+time.Minute)),
			"%s is no number of whole minutes", short(d))
	default:
		return true
	}
	return false
}

// short is a duration without the units at its end that are zero.
func short(d time.Duration) string {
	text := d.String()
	if cut, ok := strings.CutSuffix(text, "m0s"); ok {
		text = cut + "m"
	}
	if cut, ok := strings.CutSuffix(text, "h0m"); ok {
		text = cut + "h"
	}
	return text
}

func profile(script string) *check.Fault {
	switch {
	case len(script) > longestProfile:
		return &check.Fault{
			Problem: fmt.Sprintf("%d bytes are too long", len(script)),
			Fix:     fmt.Sprintf("use up to %d, or call a script that is on the host", longestProfile),
		}
	case strings.Contains(script, "{{"):
		return &check.Fault{
			Problem: "has {{, with which Systems Manager begins a parameter",
			Fix:     "write it in another way, or call a script that is on the host",
		}
	}
	return nil
}
