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

// SessionHost is what the role of a host needs for the sessions of one document
// to begin and be recorded. What is "" is not there.
type SessionHost struct {
	// LogGroup is the ARN of the log group, with the ":*" of its streams.
	LogGroup string
	// Bucket is the ARN of the bucket, and Prefix the folder in it.
	Bucket, Prefix string
	// BucketKey is the ARN of the key that the bucket encrypts with.
	BucketKey string
	// Key is the ARN of the key that sessions are encrypted with.
	Key string
}

// Statements are all that the host may do, and nothing reads a record.
//
// Before it opens a shell, the agent asks for the log group (DescribeLogGroups) and
// for the bucket's default encryption (GetEncryptionConfiguration), and decrypts
// the session's data key. While it lasts, and at its end, it writes: a transcript
// of more than 5 MiB in parts, for which S3 asks kms:Decrypt, and with an ACL that
// leaves it to the bucket's owner.
//
// github.com/aws/amazon-ssm-agent: agent/session/shell/shell.go, agent/s3util/s3util.go;
// docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html,
// docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions
func (h *SessionHost) Statements(s Scope) []Statement {
	var statements []Statement
	allow := func(sid, resource string, condition Condition, actions ...string) {
		statements = append(statements, Statement{
			Sid: sid, Effect: Allow, Action: actions, Resource: []string{resource}, Condition: condition,
		})
	}
	if h.LogGroup != "" {
		// The action takes no resource:
		// docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html
		allow("FindLogGroup", "*", Condition{"StringEquals": {"aws:RequestedRegion": {s.Region}}}, "logs:DescribeLogGroups")
		allow("Stream", h.LogGroup, nil, "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents")
	}
	if h.Bucket != "" {
		objects := h.Bucket + "/" + h.Prefix + "/*"
		allow("ExamineBucket", h.Bucket, nil, "s3:GetEncryptionConfiguration")
		allow("Transcript", objects, nil, "s3:PutObject")
		allow("TranscriptOwner", objects, Condition{"StringEquals": {"s3:x-amz-acl": {"bucket-owner-full-control"}}}, "s3:PutObjectAcl")
	}
	if h.BucketKey != "" {
		// The context is the bucket with an S3 Bucket Key and the object without.
		allow("TranscriptKey", h.BucketKey, Condition{"StringLike": {"kms:EncryptionContext:aws:s3:arn": {h.Bucket, h.Bucket + "/" + h.Prefix + "/*"}}},
			"kms:Decrypt", "kms:GenerateDataKey")
	}
	if h.Key != "" {
		allow("SessionKey", h.Key, Condition{"StringLike": {"kms:EncryptionContext:aws:ssm:SessionId": {"*"}}}, "kms:Decrypt")
	}
	return statements
}

// Text is a policy of statements, to paste.
func Text(statements []Statement) string {
	return marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
}
