package emulator_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Session documents are made, changed in place under their names, and taken away;
// what was recorded stays.
func TestSessions(t *testing.T) {
	t.Parallel()
	c := fresh(t, "sessions", ".")
	c.deploy("")
	documents := func() map[string]resource {
		found := map[string]resource{}
		for _, d := range c.list("AWS::SSM::Document") {
			found[d.text("Name")] = d
		}
		return found
	}
	before := documents()
	require.Len(t, before, 2)
	shell, ssh := before["Sessions-Shell"], before["Sessions-SSH"]
	assert.Equal(t, "Session", shell.text("DocumentType"))
	inputs := func(field string) string { return documents()["Sessions-Shell"].text("Content", "inputs", field) }
	assert.Equal(t, "20", inputs("idleSessionTimeout"))
	assert.Equal(t, "22", ssh.text("Content", "properties", "portNumber"))

	// What the agent examines before it opens a session.
	group, bucket := c.get("AWS::Logs::LogGroup", inputs("cloudWatchLogGroupName")), c.get("AWS::S3::Bucket", inputs("s3BucketName"))
	assert.NotEmpty(t, group.text("KmsKeyId"))
	assert.Equal(t, "aws:kms", bucket.text("BucketEncryption", "ServerSideEncryptionConfiguration", 0, "ServerSideEncryptionByDefault", "SSEAlgorithm"))
	assert.Equal(t, "true", inputs("s3EncryptionEnabled"))
	assert.Equal(t, "true", inputs("cloudWatchEncryptionEnabled"))
	keys := []string{}
	for _, k := range c.list("AWS::KMS::Key") {
		keys = append(keys, k.text("Arn"))
	}
	assert.Contains(t, keys, inputs("kmsKeyId"), "an ARN, as no alias works in policies")

	outputs := c.outputs("Sessions")
	assert.Equal(t, `aws ssm start-session --region us-east-1 --target "INSTANCE_ID" --document-name Sessions-Shell --reason 'why'`, outputs["Start"])
	assert.Equal(t, `aws s3 cp --region us-east-1 "s3://`+bucket.id+`/session-manager/$session.log" -`, outputs["Transcript"])
	assert.Contains(t, outputs["Follow"], "aws logs tail "+group.id+" ")

	t.Run("changed", func(t *testing.T) {
		ids := c.physical()
		c.deploy("idle: 5")
		assert.Equal(t, "5", inputs("idleSessionTimeout"))
		assert.Equal(t, ids, c.physical(), "nothing is replaced")
	})
	t.Run("refused", func(t *testing.T) {
		out, err := c.tryDeploy("idle: 90")
		require.Error(t, err)
		assert.Contains(t, out, `session preferences "Sessions/Shell": Settings.IdleTimeout: 1h30m is out of range: use 1m to 1h`)
		assert.Equal(t, "5", inputs("idleSessionTimeout"))
	})
	t.Run("away", func(t *testing.T) {
		out, err := c.cdk("", "destroy", "--all", "--force")
		require.NoError(t, err, out)
		assert.Empty(t, documents())
		assert.Equal(t, group.id, c.get("AWS::Logs::LogGroup", group.id).id)
		assert.Equal(t, bucket.id, c.get("AWS::S3::Bucket", bucket.id).id)
	})
}
