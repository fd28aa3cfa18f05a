package archive

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/internal/tree"
)

// Where the access logs of the log bucket go in the access-log bucket.
const accessLogPrefix = "archive/"

// The TLS versions below this one are refused.
const minTLSVersion = 1.2

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
	tree.Must("archive", scope, id, p.validate())
	if p.Sources != nil && scope != nil {
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
			a.accessLogBucket = a.newAccessLogBucket()
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
		tree.Warn(a, "archive-key-policy",
			"the policy of the imported Key can't be changed from here: see that it has these statements, or log groups, "+
				"flow logs, trails, notices and encrypted volumes will fail:\n"+
				policy.Lines(policy.ArchiveKeyStatements(policy.Placeholders())))
	}
	return key
}

func (a *Archive) newBucket() awss3.IBucket {
	p := &a.props
	props := &awss3.BucketProps{
		Encryption:        awss3.BucketEncryption_KMS,
		EncryptionKey:     a.key,
		BucketKeyEnabled:  jsii.Bool(true),
		Versioned:         jsii.Bool(true),
		EnforceSSL:        jsii.Bool(true),
		MinimumTLSVersion: jsii.Number(minTLSVersion),
		BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
		ObjectOwnership:   awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
		RemovalPolicy:     awscdk.RemovalPolicy_RETAIN,
		LifecycleRules:    &[]*awss3.LifecycleRule{p.lifecycle()},
	}
	switch p.ObjectLock.Mode {
	case LockGovernance:
		props.ObjectLockDefaultRetention = awss3.ObjectLockRetention_Governance(days(p.ObjectLock.Days))
	case LockCompliance:
		props.ObjectLockDefaultRetention = awss3.ObjectLockRetention_Compliance(days(p.ObjectLock.Days))
		tree.Warn(a, "archive-compliance-lock",
			"LockCompliance can't be undone: until its time is over nobody, not even the root user or AWS Support, "+
				"can delete what is written to the bucket, and it is paid for. Closing the account is the only way out")
	case LockLegalHold:
		props.ObjectLockEnabled = jsii.Bool(true)
	case LockOff:
	}

	bucket := awss3.NewBucket(a, jsii.String("Bucket"), props)
	attach.ToBucket(bucket, policy.LogDeliveryBucketStatements(a.scope, *bucket.BucketArn(), ""))
	bucket.Policy().ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN)
	a.logAccess(bucket)
	tree.Acknowledge(bucket,
		"The archive is one bucket in one Region by design: versioning and Object Lock guard it against deletion. "+
			"A copy elsewhere belongs to an archive in a separate log account.",
		"NIST.800.53.R5-S3BucketReplicationEnabled", "PCI.DSS.321-S3BucketReplicationEnabled")
	return bucket
}

// logAccess sets the access logs by L1 and policy, because the L2 would use an
// ACL in apps without the flag @aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy.
func (a *Archive) logAccess(bucket awss3.Bucket) {
	resource := bucket.Node().DefaultChild().(awss3.CfnBucket)
	resource.SetLoggingConfiguration(&awss3.CfnBucket_LoggingConfigurationProperty{
		DestinationBucketName: a.accessLogBucket.BucketName(),
		LogFilePrefix:         jsii.String(accessLogPrefix),
	})

	source := ""
	if a.props.AccessLogBucket == nil || *awscdk.Stack_Of(a.accessLogBucket).Node().Addr() == *awscdk.Stack_Of(a).Node().Addr() {
		source = *bucket.BucketArn()
	}
	statements := policy.AccessLogStatements(a.scope, *a.accessLogBucket.BucketArn(), accessLogPrefix, source)
	if !attach.ToBucket(a.accessLogBucket, statements) {
		scope := policy.Placeholders()
		tree.Warn(a, "archive-access-log-policy",
			"the policy of the imported AccessLogBucket can't be changed from here: see that it has this statement, "+
				"or S3 will deliver no access logs:\n"+policy.Lines(policy.AccessLogStatements(
				scope, "arn:"+scope.Partition+":s3:::ACCESS_LOG_BUCKET", accessLogPrefix, "arn:"+scope.Partition+":s3:::BUCKET")))
	}
}

func (a *Archive) newAccessLogBucket() awss3.IBucket {
	bucket := awss3.NewBucket(a, jsii.String("AccessLogBucket"), &awss3.BucketProps{
		Encryption:        awss3.BucketEncryption_S3_MANAGED,
		Versioned:         jsii.Bool(true),
		EnforceSSL:        jsii.Bool(true),
		MinimumTLSVersion: jsii.Number(minTLSVersion),
		BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
		ObjectOwnership:   awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
		RemovalPolicy:     awscdk.RemovalPolicy_RETAIN,
		LifecycleRules: &[]*awss3.LifecycleRule{{
			Id:                                  jsii.String("AccessLogs"),
			Expiration:                          days(a.props.AccessLogRetentionDays),
			NoncurrentVersionExpiration:         days(noncurrentDays),
			AbortIncompleteMultipartUploadAfter: days(abortUploadDays),
		}},
	})
	bucket.Policy().ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN)
	tree.Acknowledge(bucket,
		"S3 delivers server access logs only to a bucket whose default encryption is SSE-S3.",
		"NIST.800.53.R5-S3DefaultEncryptionKMS", "PCI.DSS.321-S3DefaultEncryptionKMS")
	tree.Acknowledge(bucket,
		"Access logs are delivered on a best-effort basis and expire: they help to read the archive's history, "+
			"of which CloudTrail is the record. A second copy adds no evidence.",
		"NIST.800.53.R5-S3BucketReplicationEnabled", "PCI.DSS.321-S3BucketReplicationEnabled")
	return bucket
}

func (p *Props) lifecycle() *awss3.LifecycleRule {
	transitions := []*awss3.Transition{{
		StorageClass:    awss3.StorageClass_INFREQUENT_ACCESS(),
		TransitionAfter: days(p.InfrequentAccessAfterDays),
	}}
	if p.GlacierAfterDays != 0 {
		transitions = append(transitions, &awss3.Transition{
			StorageClass:    awss3.StorageClass_GLACIER_INSTANT_RETRIEVAL(),
			TransitionAfter: days(p.GlacierAfterDays),
		})
	}
	rule := &awss3.LifecycleRule{
		Id:                                  jsii.String("Archive"),
		Transitions:                         &transitions,
		AbortIncompleteMultipartUploadAfter: days(abortUploadDays),
	}
	if p.ExpireAfterDays != 0 {
		rule.Expiration = days(p.ExpireAfterDays)
		rule.NoncurrentVersionExpiration = days(noncurrentDays)
	}
	return rule
}

func days(n int) awscdk.Duration { return awscdk.Duration_Days(jsii.Number(float64(n))) }
