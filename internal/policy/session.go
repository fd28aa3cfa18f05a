package policy

import (
	"strconv"
	"time"
)

// What a session document says where SessionDocument says nothing.
const (
	DefaultIdleTimeout = 20 * time.Minute
	// LongestSession and LongestIdle are what Session Manager takes at most.
	LongestSession = 24 * time.Hour
	LongestIdle    = time.Hour
)

// SessionDocument is a session document for shells: schema 1.0, session type
// Standard_Stream. Its zero value asks for encrypted destinations, streams, and
// ends after 20 idle minutes.
//
// docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-schema.html
type SessionDocument struct {
	// Description is for who lists documents.
	Description string
	// Bucket is the name of the bucket that takes the transcript when a session
	// ends. Prefix is the folder in it, without slashes around.
	Bucket, Prefix string
	// UnencryptedBucket lets sessions begin where the bucket has no default
	// encryption, or where the host can't find out.
	UnencryptedBucket bool
	// LogGroup is the name of the log group that takes what is shown.
	LogGroup string
	// UnencryptedLogGroup lets sessions begin where the log group has no key, is
	// missing, or where the host can't find out.
	UnencryptedLogGroup bool
	// LogAtEnd sends to the log group when a session ends, not while it lasts.
	LogAtEnd bool
	// Key is the ARN or ID of the KMS key that encrypts the session itself. "" is
	// TLS alone.
	Key string
	// RunAs starts sessions as the OS user that the caller's tag SSMSessionRunAs
	// names, or else RunAsUser; with neither, there is no session.
	RunAs     bool
	RunAsUser string
	// IdleTimeout ends a session that nobody types in: 1 to 60 whole minutes. 0 is
	// DefaultIdleTimeout.
	IdleTimeout time.Duration
	// MaxDuration ends a session: 1 to 1440 whole minutes. 0 is never.
	MaxDuration time.Duration
	// ShellProfile is what is run when a session begins.
	ShellProfile ShellProfile
}

// ShellProfile is what is run when a session begins, by operating system.
type ShellProfile struct{ Linux, Windows string }

// sessionDocument is the document as Systems Manager reads it. Fields that the
// schema requires, and the destinations, are always there: a merge of two
// documents then leaves nothing of the older one.
type sessionDocument struct {
	SchemaVersion string        `json:"schemaVersion"`
	Description   string        `json:"description,omitempty"`
	SessionType   string        `json:"sessionType"`
	Inputs        sessionInputs `json:"inputs"`
}

type sessionInputs struct {
	S3BucketName                string              `json:"s3BucketName"`
	S3KeyPrefix                 string              `json:"s3KeyPrefix"`
	S3EncryptionEnabled         bool                `json:"s3EncryptionEnabled"`
	CloudWatchLogGroupName      string              `json:"cloudWatchLogGroupName"`
	CloudWatchEncryptionEnabled bool                `json:"cloudWatchEncryptionEnabled"`
	CloudWatchStreamingEnabled  bool                `json:"cloudWatchStreamingEnabled"`
	KMSKeyID                    string              `json:"kmsKeyId"`
	RunAsEnabled                bool                `json:"runAsEnabled"`
	RunAsDefaultUser            string              `json:"runAsDefaultUser"`
	IdleSessionTimeout          string              `json:"idleSessionTimeout"`
	MaxSessionDuration          string              `json:"maxSessionDuration"`
	ShellProfile                sessionShellProfile `json:"shellProfile"`
}

type sessionShellProfile struct {
	Windows string `json:"windows"`
	Linux   string `json:"linux"`
}

// JSON is the content of the document.
func (d *SessionDocument) JSON() string {
	idle := d.IdleTimeout
	if idle == 0 {
		idle = DefaultIdleTimeout
	}
	return marshal(sessionDocument{
		SchemaVersion: "1.0",
		Description:   d.Description,
		SessionType:   "Standard_Stream",
		Inputs: sessionInputs{
			S3BucketName:                d.Bucket,
			S3KeyPrefix:                 d.Prefix,
			S3EncryptionEnabled:         !d.UnencryptedBucket,
			CloudWatchLogGroupName:      d.LogGroup,
			CloudWatchEncryptionEnabled: !d.UnencryptedLogGroup,
			CloudWatchStreamingEnabled:  !d.LogAtEnd,
			KMSKeyID:                    d.Key,
			RunAsEnabled:                d.RunAs,
			RunAsDefaultUser:            d.RunAsUser,
			IdleSessionTimeout:          minutes(idle),
			MaxSessionDuration:          minutes(d.MaxDuration),
			ShellProfile:                sessionShellProfile{Windows: d.ShellProfile.Windows, Linux: d.ShellProfile.Linux},
		},
	})
}

func minutes(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return strconv.Itoa(int(d / time.Minute))
}
