package archive

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/tree"
)

// Where the access logs of the log bucket go in the access-log bucket.
const accessLogPrefix = "archive/"

// The TLS versions below this one are refused.
const minTLSVersion = 1.2

// newLockedBucket makes a bucket that holds on to its objects as the props say.
// What is special about it comes in special.
func newLockedBucket(scope constructs.Construct, p *Props, special *awss3.BucketProps) awss3.Bucket {
	special.Encryption = awss3.BucketEncryption_KMS
	special.BucketKeyEnabled = jsii.Bool(true)
	special.Versioned = jsii.Bool(true)
	special.EnforceSSL = jsii.Bool(true)
	special.MinimumTLSVersion = jsii.Number(minTLSVersion)
	special.BlockPublicAccess = awss3.BlockPublicAccess_BLOCK_ALL()
	special.ObjectOwnership = awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED
	special.LifecycleRules = &[]*awss3.LifecycleRule{p.lifecycle()}
	switch p.ObjectLock.Mode {
	case LockGovernance:
		special.ObjectLockDefaultRetention = awss3.ObjectLockRetention_Governance(days(p.ObjectLock.Days))
	case LockCompliance:
		special.ObjectLockDefaultRetention = awss3.ObjectLockRetention_Compliance(days(p.ObjectLock.Days))
		tree.Warn(scope, "archive-compliance-lock",
			"LockCompliance can't be undone: until its time is over nobody, not even the root user or AWS Support, "+
				"can delete what is written to the bucket, and it is paid for. Closing the account is the only way out")
	case LockLegalHold:
		special.ObjectLockEnabled = jsii.Bool(true)
	case LockOff:
	}
	bucket := awss3.NewBucket(scope, jsii.String("Bucket"), special)
	bucket.Policy().ApplyRemovalPolicy(special.RemovalPolicy)
	return bucket
}

// logAccessOf sets the access logs by L1, because the L2 would use an ACL in apps
// without the flag @aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy.
func logAccessOf(bucket awss3.Bucket, to awss3.IBucket) {
	resourceOf(bucket).SetLoggingConfiguration(&awss3.CfnBucket_LoggingConfigurationProperty{
		DestinationBucketName: to.BucketName(),
		LogFilePrefix:         jsii.String(accessLogPrefix),
	})
}

func resourceOf(bucket awss3.Bucket) awss3.CfnBucket {
	return bucket.Node().DefaultChild().(awss3.CfnBucket)
}

func newAccessLogBucket(scope constructs.Construct, p *Props, removal awscdk.RemovalPolicy) awss3.IBucket {
	bucket := awss3.NewBucket(scope, jsii.String("AccessLogBucket"), &awss3.BucketProps{
		Encryption:        awss3.BucketEncryption_S3_MANAGED,
		Versioned:         jsii.Bool(true),
		EnforceSSL:        jsii.Bool(true),
		MinimumTLSVersion: jsii.Number(minTLSVersion),
		BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
		ObjectOwnership:   awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
		RemovalPolicy:     removal,
		LifecycleRules: &[]*awss3.LifecycleRule{{
			Id:                                  jsii.String("AccessLogs"),
			Expiration:                          days(p.AccessLogRetentionDays),
			NoncurrentVersionExpiration:         days(noncurrentDays),
			AbortIncompleteMultipartUploadAfter: days(abortUploadDays),
		}},
	})
	bucket.Policy().ApplyRemovalPolicy(removal)
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
	var transitions []*awss3.Transition
	for _, m := range p.moves() {
		transitions = append(transitions, &awss3.Transition{
			StorageClass: awss3.NewStorageClass(jsii.String(m.class)), TransitionAfter: days(m.days),
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
