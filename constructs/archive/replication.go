package archive

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/internal/tree"
)

const replicationRule = "Archive"

// replicate has S3 copy what is written to the bucket.
func (a *Archive) replicate(bucket awss3.Bucket) {
	to := a.props.Replica
	stack := awscdk.Stack_Of(a)
	if to.replica != nil {
		// S3 takes only a destination that exists.
		stack.AddStackDependency(awscdk.Stack_Of(to.replica), nil)
	}
	arn := a.scope.Bucket(to.BucketName)
	keyARN := policy.Scope{Partition: a.scope.Partition, Region: to.Region, Account: a.scope.Account}.ARN("kms", to.KeyAlias)

	// S3 documents no aws:SourceAccount or aws:SourceArn here: what keeps others from
	// using the role is iam:PassRole, which is asked for whoever names it.
	role := awsiam.NewRole(a, jsii.String("ReplicationRole"), &awsiam.RoleProps{
		Description: jsii.String("S3 copies " + *a.Node().Path() + " to " + to.Region),
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("s3.amazonaws.com"), nil),
	})
	statements := policy.Replication{
		SourceARN: *bucket.BucketArn(), SourceKeyARN: *a.key.KeyArn(),
		DestinationARN: arn, DestinationRegion: to.Region, DestinationKeyAlias: to.KeyAlias,
		Locked: a.props.ObjectLock.Mode != LockOff,
	}.Statements(a.scope)
	rights := awsiam.NewManagedPolicy(a, jsii.String("ReplicationPolicy"), &awsiam.ManagedPolicyProps{
		Description: jsii.String("How S3 copies " + *a.Node().Path()),
		Roles:       &[]awsiam.IRole{role},
		Document:    attach.Document(statements),
	})
	tree.Acknowledge(rights,
		"All objects of one bucket are copied to one other. The key there is limited by its alias, as its ARN is not known in this Region.",
		"AwsSolutions-IAM5")

	resourceOf(bucket).SetReplicationConfiguration(&awss3.CfnBucket_ReplicationConfigurationProperty{
		Role: role.RoleArn(),
		Rules: &[]any{&awss3.CfnBucket_ReplicationRuleProperty{
			Id:       jsii.String(replicationRule),
			Status:   jsii.String("Enabled"),
			Priority: jsii.Number(1),
			Filter:   &awss3.CfnBucket_ReplicationRuleFilterProperty{Prefix: jsii.String("")},
			// A deletion here must not hide the copy.
			DeleteMarkerReplication: &awss3.CfnBucket_DeleteMarkerReplicationProperty{Status: jsii.String("Disabled")},
			SourceSelectionCriteria: &awss3.CfnBucket_SourceSelectionCriteriaProperty{
				SseKmsEncryptedObjects: &awss3.CfnBucket_SseKmsEncryptedObjectsProperty{Status: jsii.String("Enabled")},
			},
			Destination: &awss3.CfnBucket_ReplicationDestinationProperty{
				Bucket:                  &arn,
				EncryptionConfiguration: &awss3.CfnBucket_EncryptionConfigurationProperty{ReplicaKmsKeyId: &keyARN},
				Metrics:                 &awss3.CfnBucket_MetricsProperty{Status: jsii.String("Enabled")},
			},
		}},
	})
}

// validatePlace refuses a replica in the archive's own Region.
func (p *Props) validatePlace(region string) error {
	var faults check.Faults
	if t := p.Replica; t != (ReplicaTarget{}) && t.Region == region && p.Bucket == nil {
		faults.Add("Replica.Region", fmt.Sprintf("%q is the Region of the archive itself", region), "make the Replica in a stack of another Region")
	}
	return faults.Err()
}

// FailedReplications counts objects that could not be copied to the replica, in
// the archive's Region: what an alarm looks at. It is nil without
// [Props.Replica].
//
// docs.aws.amazon.com/AmazonS3/latest/userguide/repl-metrics.html
func (a *Archive) FailedReplications() awscloudwatch.IMetric {
	return a.replicationMetric("OperationsFailedReplication", "Sum", "")
}

// ReplicationLatency is by how many seconds the replica is behind, at most. S3
// publishes it in the Region of the replica, so that a dashboard here can show it,
// but no alarm can look at it. It is nil without [Props.Replica].
func (a *Archive) ReplicationLatency() awscloudwatch.IMetric {
	return a.replicationMetric("ReplicationLatency", "Maximum", a.props.Replica.Region)
}

func (a *Archive) replicationMetric(name, statistic, region string) awscloudwatch.IMetric {
	if a.props.Replica == (ReplicaTarget{}) {
		return nil
	}
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String("AWS/S3"), MetricName: &name, Statistic: &statistic, Region: tree.Optional(region),
		Period: awscdk.Duration_Minutes(jsii.Number(5)),
		DimensionsMap: &map[string]*string{
			"SourceBucket": a.bucket.BucketName(), "DestinationBucket": jsii.String(a.props.Replica.BucketName), "RuleId": jsii.String(replicationRule),
		},
	})
}
