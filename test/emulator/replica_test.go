package emulator_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/localcfn"
)

// regionOf runs a local CloudFormation as one Region of the account, bootstrapped.
func regionOf(t *testing.T, where, app string) *cloud {
	t.Helper()
	server, err := localcfn.New(localcfn.Options{Account: workloadAccount, Region: where})
	require.NoError(t, err)
	require.NoError(t, server.Start("127.0.0.1:0"))
	t.Cleanup(func() { assert.NoError(t, server.Close()) })
	c := connect(t, server.URL(), app, ".")
	c.environ = append(c.environ, "CDK_VALIDATION=false", "AWS_REGION="+where)
	here := c.folder
	c.folder = t.TempDir()
	out, err := c.run("bootstrap", "aws://"+workloadAccount+"/"+where)
	c.folder = here
	require.NoError(t, err, out)
	return c
}

// Two Regions, each a CloudFormation of its own that knows nothing of the other: the
// archive names a copy that it never saw, and all of it outlives the stacks.
func TestReplica(t *testing.T) {
	t.Parallel()
	const bucketName = "copies-123456789012-eu-central-1"
	frankfurt, virginia := regionOf(t, "eu-central-1", "replica"), regionOf(t, region, "replica")
	for stack, where := range map[string]*cloud{"Copies": frankfurt, "Evidence": virginia} {
		out, err := where.cdk("", "deploy", stack, "--exclusively", "--require-approval", "never", "--progress", "events")
		require.NoError(t, err, out)
	}
	alias := frankfurt.one("AWS::KMS::Alias")
	copies := frankfurt.get("AWS::S3::Bucket", bucketName)
	assert.Equal(t, frankfurt.one("AWS::KMS::Key").id, alias.text("TargetKeyId")[strings.LastIndex(alias.text("TargetKeyId"), "/")+1:])
	assert.Equal(t, "GOVERNANCE", copies.text("ObjectLockConfiguration", "Rule", "DefaultRetention", "Mode"))
	assert.Equal(t, "Enabled", copies.text("VersioningConfiguration", "Status"), "S3 takes no other destination")

	var source resource
	for _, bucket := range virginia.list("AWS::S3::Bucket") {
		if bucket.at("ReplicationConfiguration") != nil {
			source = bucket
		}
	}
	require.NotEmpty(t, source.id, "a bucket is copied")
	to := func(path ...any) string {
		return source.text(append([]any{"ReplicationConfiguration", "Rules", 0}, path...)...)
	}
	assert.Equal(t, "arn:aws:s3:::"+bucketName, to("Destination", "Bucket"))
	assert.Equal(t, "arn:aws:kms:eu-central-1:123456789012:"+alias.text("AliasName"), to("Destination", "EncryptionConfiguration", "ReplicaKmsKeyID"))
	assert.Equal(t, "Enabled", to("Destination", "Metrics", "Status"))
	assert.Equal(t, "Disabled", to("DeleteMarkerReplication", "Status"))
	role := virginia.one("AWS::IAM::Role")
	assert.Equal(t, role.text("Arn"), source.text("ReplicationConfiguration", "Role"))
	assert.Equal(t, "All", source.text("InventoryConfigurations", 0, "IncludedObjectVersions"))

	for _, group := range virginia.list("AWS::Logs::LogGroup") {
		if group.at("DataProtectionPolicy") != nil {
			assert.Contains(t, group.text("DataProtectionPolicy", "Statement", 0, "Operation", "Audit", "FindingsDestination", "CloudWatchLogs", "LogGroup"), "Findings")
		}
	}

	kept := virginia.outputs("Evidence")["Kept"]
	assert.Contains(t, kept, "bucket "+source.id)
	for stack, where := range map[string]*cloud{"Copies": frankfurt, "Evidence": virginia} {
		out, err := where.cdk("", "destroy", stack, "--exclusively", "--force", "--progress", "events")
		require.NoError(t, err, out)
		assert.NotContains(t, where.names(), stack)
		assert.Contains(t, out, "DELETE_SKIPPED", "who destroys it sees what stays")
	}
	assert.Equal(t, bucketName, frankfurt.get("AWS::S3::Bucket", bucketName).id, "the copy stays")
	assert.Equal(t, alias.id, frankfurt.one("AWS::KMS::Alias").id)
	assert.Equal(t, source.id, virginia.get("AWS::S3::Bucket", source.id).id, "the archive stays")
	assert.Len(t, virginia.list("AWS::Logs::LogGroup"), 2)
}
