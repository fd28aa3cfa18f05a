package archive

import (
	"errors"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/internal/tree"
)

// Archive keeps the records of access: a key, a locked bucket, log groups.
// Nothing of it is deleted with its stack.
type Archive struct {
	constructs.Construct

	props           Props
	scope           policy.Scope
	key             awskms.IKey
	bucket          awss3.IBucket
	accessLogBucket awss3.IBucket
	delivery        delivery   // from the sources, where there are any
	forwarding      forwarding // to the log account, where there is one
}

var _ constructs.IConstruct = (*Archive)(nil)

// New makes an archive. props may be nil.
func New(scope constructs.Construct, id string, props *Props) *Archive {
	p := props.withDefaults()
	tree.Must("archive", scope, id, errors.Join(p.validate(), p.validatePlace(*awscdk.Stack_Of(scope).Region())))
	if p.Sources != nil {
		tree.Must("archive", scope, id, p.Sources.validateIn(attach.ScopeOf(scope).Account))
	}

	a := &Archive{props: p}
	constructs.NewConstruct_Override(a, scope, &id)
	a.scope = attach.ScopeOf(a)
	a.key = a.newKey()
	switch {
	case p.LogAccount != nil:
		a.bucket = p.LogAccount.bucket
	case p.Bucket != nil:
		a.bucket = p.Bucket
	default:
		a.accessLogBucket = p.AccessLogBucket
		if a.accessLogBucket == nil {
			a.accessLogBucket = newAccessLogBucket(a, &a.props, awscdk.RemovalPolicy_RETAIN)
		}
		a.bucket = a.newBucket()
	}
	if p.Sources != nil {
		a.receive()
	}
	return a
}

// Key encrypts the bucket and the log groups. Its policy also lets SNS topics
// that alarms and rules publish to, trails, and the volumes of Auto Scaling
// groups use it.
func (a *Archive) Key() awskms.IKey { return a.key }

// Bucket takes the logs. It is the log account's where Props brought a LogAccount.
func (a *Archive) Bucket() awss3.IBucket { return a.bucket }

// AccessLogBucket takes the server access logs of the log bucket. It is nil
// where Props brought a Bucket, whose access logs are yours, or a LogAccount.
func (a *Archive) AccessLogBucket() awss3.IBucket { return a.accessLogBucket }

func (a *Archive) newKey() awskms.IKey {
	key := a.props.Key
	if key == nil {
		key = awskms.NewKey(a, jsii.String("Key"), &awskms.KeyProps{
			Description:       jsii.String("Encrypts the records of access and what reports on it"),
			EnableKeyRotation: jsii.Bool(true),
			RemovalPolicy:     awscdk.RemovalPolicy_RETAIN,
		})
	}
	if !attach.ToKey(key, policy.ArchiveKeyStatements(a.scope)) {
		attach.Ask(a, "archive-key-policy", "Key", "log groups, flow logs, trails, notices and encrypted volumes will fail",
			policy.ArchiveKeyStatements(policy.Placeholders()))
	}
	return key
}

func (a *Archive) newBucket() awss3.IBucket {
	p := &a.props
	bucket := newLockedBucket(a, p, &awss3.BucketProps{
		EncryptionKey: a.key,
		RemovalPolicy: awscdk.RemovalPolicy_RETAIN,
	})
	attach.ToBucket(bucket, policy.LogDeliveryBucketStatements(a.scope, *bucket.BucketArn(), ""))
	a.logAccess(bucket)
	if p.Inventory != nil {
		a.takeInventory(bucket)
	}
	if p.Replica != (ReplicaTarget{}) {
		a.replicate(bucket)
		return bucket
	}
	tree.Acknowledge(bucket,
		"The archive is one bucket in one Region unless Props.Replica names a second: versioning and Object Lock guard it against deletion.",
		"NIST.800.53.R5-S3BucketReplicationEnabled", "PCI.DSS.321-S3BucketReplicationEnabled")
	return bucket
}

// sourceOf is the ARN of the bucket for a condition in the policy of another, or
// "" where naming it there would tie two stacks to each other.
func (a *Archive) sourceOf(bucket, destination awss3.IBucket) string {
	if *awscdk.Stack_Of(destination).Node().Addr() == *awscdk.Stack_Of(a).Node().Addr() {
		return *bucket.BucketArn()
	}
	return ""
}

// logAccess sends the access logs of the bucket to the access-log bucket.
func (a *Archive) logAccess(bucket awss3.Bucket) {
	logAccessOf(bucket, a.accessLogBucket)
	statements := policy.AccessLogStatements(a.scope, *a.accessLogBucket.BucketArn(), accessLogPrefix, a.sourceOf(bucket, a.accessLogBucket))
	if !attach.ToBucket(a.accessLogBucket, statements) {
		scope := policy.Placeholders()
		attach.Ask(a, "archive-access-log-policy", "AccessLogBucket", "S3 will deliver no access logs",
			policy.AccessLogStatements(scope, scope.Bucket("ACCESS_LOG_BUCKET"), accessLogPrefix, scope.Bucket("BUCKET")))
	}
}

// Kept says which of the archive's resources stay when its stack is deleted, for
// an output of the stack: `cdk deploy` prints it, and it is what
// `aws cloudformation describe-stacks` still tells of a stack that is gone.
func (a *Archive) Kept() string {
	var list []string
	if a.props.Key == nil {
		list = append(list, "key "+*a.key.KeyArn())
	}
	if a.props.Bucket == nil && a.props.LogAccount == nil {
		list = append(list, "bucket "+*a.bucket.BucketName()+" "+a.props.ObjectLock.String())
		if a.props.AccessLogBucket == nil {
			list = append(list, "bucket "+*a.accessLogBucket.BucketName()+" (its access logs)")
		}
	}
	list = append(list, "every log group of the archive")
	return "Deleting this stack deletes no evidence. It leaves, and you go on paying for: " + strings.Join(list, ", ") +
		". How to delete them: https://pkg.go.dev/github.com/postern-cdk/postern/constructs/archive#hdr-Leaving"
}
