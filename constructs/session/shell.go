package session

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/internal/survey"
	"github.com/postern-cdk/postern/internal/tree"
)

// shell is where the sessions of a document are recorded and what they are
// encrypted with, made or given, and which hosts may do so.
type shell struct {
	scope    constructs.Construct
	at       policy.Scope
	settings Settings

	logGroup  awslogs.ILogGroup // nil where there is none, as are the others
	bucket    awss3.IBucket
	bucketKey awskms.IKey
	key       awskms.IKey

	document awscdk.CfnResource
	hosts    awsiam.ManagedPolicy
}

// newShell makes what settings with their defaults filled in don't bring, below
// scope.
func newShell(scope constructs.Construct, s Settings) *shell {
	sh := &shell{scope: scope, at: attach.ScopeOf(scope), settings: s, logGroup: s.LogGroup, bucket: s.Bucket, key: s.Key}
	var made *archive.Archive
	if sh.bucket == nil && !s.WithoutBucket {
		made = archive.New(scope, "Archive", nil)
		sh.bucket = made.Bucket()
	}
	if sh.bucket != nil {
		sh.bucketKey = sh.keyOf(sh.bucket)
		if folder := attach.Folder(scope, sh.bucket); folder != "" {
			sh.settings.Prefix = s.Prefix + "/" + strings.TrimSuffix(folder, "/")
		}
	}
	switch {
	case sh.logGroup != nil:
		survey.Validate(scope, sh.unencrypted)
	case s.WithoutLogGroup:
	case made != nil:
		sh.logGroup = made.AddLogGroup("Sessions")
	default:
		sh.logGroup = sh.newLogGroup()
	}
	if sh.key == nil && !s.WithoutKey {
		// Nothing is kept that only this key opens.
		sh.key = awskms.NewKey(scope, jsii.String("Key"), &awskms.KeyProps{
			Description:       jsii.String("Encrypts sessions on their way"),
			EnableKeyRotation: jsii.Bool(true),
			RemovalPolicy:     awscdk.RemovalPolicy_DESTROY,
		})
	}
	if s.RunAs.AgentUser {
		tree.Warn(scope, "session-agent-user", "RunAs.AgentUser: sessions run as ssm-user, whom the agent makes a sudoer without a password: "+
			"everybody who may start one is root on the host, and root can end what records. Leave it out and tag roles with SSMSessionRunAs, or acknowledge this")
	}
	for _, user := range imageUsers {
		if s.RunAs.User == user {
			tree.Warn(scope, "session-image-user", "RunAs.User: images make \""+user+"\" a sudoer without a password, and everybody whose role has no tag SSMSessionRunAs becomes this user. "+
				"Acknowledge this where the hosts took that away, as a bastion does")
		}
	}
	return sh
}

// placed refuses a folder in the bucket of a log account that its policy doesn't
// know.
func (s *Settings) placed() error {
	var faults check.Faults
	if s.Bucket != nil && s.Prefix != DefaultPrefix && attach.Arranged(s.Bucket) {
		faults.Addf("Prefix", "leave it out", "the Bucket's log account takes transcripts below %q only, and not below %q", DefaultPrefix+"/ACCOUNT", s.Prefix)
	}
	return faults.Err()
}

// newLogGroup is beside a bucket that was given: under the bucket's key, so that
// one key has the records, or under a new one where it has none, or one in a log
// account.
func (sh *shell) newLogGroup() awslogs.ILogGroup {
	return awslogs.NewLogGroup(sh.scope, jsii.String("LogGroup"), &awslogs.LogGroupProps{
		EncryptionKey:             sh.recordsKey("Encrypts the records of sessions"),
		Retention:                 awslogs.RetentionDays_ONE_YEAR,
		RemovalPolicy:             awscdk.RemovalPolicy_RETAIN,
		DeletionProtectionEnabled: jsii.Bool(true),
	})
}

const recordsKeyID = "RecordsKey"

// recordsKey is the bucket's key, or a new one where that can't be used here, for log
// groups.
func (sh *shell) recordsKey(description string) awskms.IKey {
	key := sh.bucketKey
	if key == nil || attach.Arranged(sh.bucket) {
		key = awskms.NewKey(sh.scope, jsii.String(recordsKeyID), &awskms.KeyProps{
			Description:       &description,
			EnableKeyRotation: jsii.Bool(true),
			RemovalPolicy:     awscdk.RemovalPolicy_RETAIN,
		})
	}
	if !attach.ToKey(key, policy.LogGroupKeyStatements(sh.at)) {
		attach.Ask(sh.scope, "session-log-key", "Bucket's key", "the log group can't be made",
			policy.LogGroupKeyStatements(policy.Placeholders()))
	}
	return key
}

func (sh *shell) keyOf(bucket awss3.IBucket) awskms.IKey {
	key := bucket.EncryptionKey()
	if _, made := bucket.(awss3.Bucket); key == nil && !made {
		tree.Warn(sh.scope, "session-bucket-key", "the key of the imported Bucket isn't known here: where the bucket is encrypted under a KMS key, "+
			"import it by awss3.Bucket_FromBucketAttributes with EncryptionKey, or transcripts are lost; otherwise acknowledge this")
	}
	return key
}

// unencrypted refuses a log group of the app for which every session would be
// refused.
func (sh *shell) unencrypted(*survey.Survey) []string {
	group, ok := sh.logGroup.Node().DefaultChild().(awslogs.CfnLogGroup)
	if !ok || group.KmsKeyId() != nil || sh.settings.AllowUnencryptedLogGroup {
		return nil
	}
	return []string{"LogGroup: " + *group.Node().Path() + " has no KMS key, and every session would be refused: " +
		"give it an EncryptionKey, or take one from an archive's AddLogGroup; AllowUnencryptedLogGroup gives up the check"}
}

// content is the document that says all this.
func (sh *shell) content(description string) *policy.SessionDocument {
	s := &sh.settings
	d := &policy.SessionDocument{
		Description:         description,
		UnencryptedBucket:   s.AllowUnencryptedBucket,
		UnencryptedLogGroup: s.AllowUnencryptedLogGroup,
		LogAtEnd:            s.LogAtEnd,
		RunAs:               !s.RunAs.AgentUser,
		RunAsUser:           s.RunAs.User,
		IdleTimeout:         s.IdleTimeout,
		MaxDuration:         s.MaxDuration,
		ShellProfile:        policy.ShellProfile(s.ShellProfile),
	}
	if sh.bucket != nil {
		d.Bucket, d.Prefix = *sh.bucket.BucketName(), s.Prefix
	}
	if sh.logGroup != nil {
		d.LogGroup = *sh.logGroup.LogGroupName()
	}
	if sh.key != nil {
		d.Key = *sh.key.KeyArn()
	}
	return d
}

// follow lets the document come after what hosts may do and after the bucket's
// policy. It names the bucket, the log group and the key, and so comes after them.
func (sh *shell) follow(document awscdk.CfnResource) {
	sh.document = document
	if sh.bucket != nil && sh.bucket.Policy() != nil {
		document.Node().AddDependency(sh.bucket.Policy())
	}
}

// host is what a host needs.
func (sh *shell) host() policy.SessionHost {
	h := policy.SessionHost{Prefix: sh.settings.Prefix}
	if sh.bucket != nil {
		h.Bucket = *sh.bucket.BucketArn()
	}
	if sh.bucketKey != nil {
		h.BucketKey = *sh.bucketKey.KeyArn()
	}
	if sh.logGroup != nil {
		h.LogGroup = *sh.logGroup.LogGroupArn()
	}
	if sh.key != nil {
		h.Key = *sh.key.KeyArn()
	}
	return h
}

// allowRole lets the hosts of a role open and record sessions. The document comes
// after it: no session can be started that its host would have to refuse.
func (sh *shell) allowRole(role awsiam.IRole) {
	if sh.hosts == nil {
		h := sh.host()
		sh.hosts = awsiam.NewManagedPolicy(sh.scope, jsii.String("HostPolicy"), &awsiam.ManagedPolicyProps{
			Description: jsii.String("What hosts do to open and record the sessions of " + *sh.scope.Node().Path()),
			Document:    attach.Document(h.Statements(sh.at)),
		})
		tree.Acknowledge(sh.hosts, "A transcript is named by its session, and a log stream too: both are limited to the folder and the group. logs:DescribeLogGroups takes no narrower resource.",
			"AwsSolutions-IAM5")
		if sh.document != nil {
			sh.document.Node().AddDependency(sh.hosts)
		}
	}
	sh.hosts.AttachToRole(role)
}
