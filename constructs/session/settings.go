package session

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"

	"github.com/postern-cdk/postern/internal/policy"
)

// What a session is like where [Settings] says nothing.
const (
	DefaultPrefix      = "sessions"
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

	// Prefix is the folder in Bucket, such as "sessions" or "audit/sessions", without slashes
	// around. Defaults to [DefaultPrefix].
	Prefix string

	// Key encrypts the session between the person's and the host's ends, on top of
	// TLS. People need kms:GenerateDataKey with it, and hosts kms:Decrypt; GrantShell
	// and AllowHost see to both. Nil makes one ($1 a month). It is better not the
	// key of the records: hosts may decrypt with it.
	Key awskms.IKey

	// RunAs is the OS user that sessions run as.
	RunAs RunAs

	// IdleTimeout ends a session in which nobody types, in whole minutes from 1 to
	// 60. Defaults to [DefaultIdleTimeout].
	IdleTimeout time.Duration

	// MaxDuration ends a session whatever happens in it, in whole minutes from 1 to
	// 1440 (a day), not less than IdleTimeout. Defaults to [DefaultMaxDuration].
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
	// User for callers without the tag. Defaults to nobody: they get no session.
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
