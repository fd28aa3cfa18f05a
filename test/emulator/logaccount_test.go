package emulator_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/localcfn"
)

const (
	evidenceAccount = "999988887777"
	workloadAccount = "123456789012"
	laterAccount    = "210987654321"
)

// accountOf runs a local CloudFormation as one account, bootstrapped.
func accountOf(t *testing.T, id, app string) *cloud {
	t.Helper()
	c := connect(t, start(t, localcfn.Options{Account: id}).URL(), app, ".")
	c.environ = append(c.environ, "CDK_VALIDATION=false")
	c.bootstrap(id)
	return c
}

// statements are those of a policy that a service keeps as text or as an object,
// by their IDs.
func statements(t *testing.T, policy any) map[string]map[string]any {
	t.Helper()
	text, ok := policy.(string)
	if !ok {
		encoded, err := json.Marshal(policy)
		require.NoError(t, err)
		text = string(encoded)
	}
	var document struct{ Statement []map[string]any }
	require.NoError(t, json.Unmarshal([]byte(text), &document), text)
	found := map[string]map[string]any{}
	for _, s := range document.Statement {
		sid, _ := s["Sid"].(string)
		found[sid] = s
	}
	return found
}

// words are one string or a list of them.
func words(value any) []string {
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		var list []string
		for _, item := range v {
			list = append(list, item.(string))
		}
		return list
	}
	return nil
}

// Two accounts, each a CloudFormation of its own that knows nothing of the other:
// what the one outputs is pasted into the configuration of the other.
func TestLogAccount(t *testing.T) {
	t.Parallel()
	evidence := accountOf(t, evidenceAccount, "logaccount")
	out, err := evidence.cdk("", "deploy", "Evidence", "--require-approval", "never", "--progress", "events")
	require.NoError(t, err, out)
	var yaml, lines string
	for key, value := range evidence.outputs("Evidence") {
		switch {
		case strings.HasPrefix(key, "ArchiveSourcesYaml"):
			yaml = value
		case strings.HasPrefix(key, "ArchiveSourcesGo"):
			lines = value
		}
	}
	destination := evidence.one("AWS::Logs::Destination")
	stream := evidence.one("AWS::KinesisFirehose::DeliveryStream")
	bucket := evidence.get("AWS::S3::Bucket", strings.TrimPrefix(stream.text("ExtendedS3DestinationConfiguration", "BucketARN"), "arn:aws:s3:::"))
	key := evidence.one("AWS::KMS::Key")
	assert.YAMLEq(t, "archive:\n  logAccount:\n    bucketName: "+bucket.id+"\n    keyArn: "+key.text("Arn")+"\n    destinationArn: "+destination.text("Arn")+"\n", yaml)
	assert.Equal(t, `central := archive.FromLogAccount(stack, "LogAccount", &archive.LogAccountProps{BucketName: "`+bucket.id+`", KeyArn: "`+key.text("Arn")+
		`", DestinationArn: "`+destination.text("Arn")+`"})`, lines)

	workload := accountOf(t, workloadAccount, "logaccount")
	out, err = workload.cdk(yaml, "deploy", "Workload", "--require-approval", "never", "--progress", "events")
	require.NoError(t, err, out)
	assert.Equal(t, []string{"Evidence"}, evidence.names())
	assert.Equal(t, []string{"Workload"}, workload.names())

	t.Run("log events have a way", func(t *testing.T) {
		filters := workload.list("AWS::Logs::SubscriptionFilter")
		require.Len(t, filters, 3)
		subscribed := map[string]bool{}
		for _, f := range filters {
			assert.Equal(t, destination.text("Arn"), f.text("DestinationArn"))
			assert.Empty(t, f.text("FilterPattern"), "everything")
			subscribed[workload.get("AWS::Logs::LogGroup", f.text("LogGroupName")).id] = true
		}
		for _, group := range workload.list("AWS::Logs::LogGroup") {
			assert.Equal(t, strings.HasPrefix(group.id, "Workload-Archive"), subscribed[group.id], "%s is sent where the archive made it", group.id)
		}
		assert.Equal(t, stream.text("Arn"), destination.text("TargetArn"))
		who := statements(t, destination.at("DestinationPolicy"))["Sources"]
		assert.Equal(t, []string{workloadAccount}, words(who["Principal"].(map[string]any)["AWS"]))
		assert.Equal(t, []string{destination.text("Arn")}, words(who["Resource"]))
		assert.Equal(t, []string{"logs:PutSubscriptionFilter"}, words(who["Action"]))
		assert.Equal(t, map[string]any{"StringEquals": map[string]any{"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}, who["Condition"])

		to := func(path ...any) string {
			return stream.text(append([]any{"ExtendedS3DestinationConfiguration"}, path...)...)
		}
		assert.Equal(t, key.text("Arn"), stream.text("DeliveryStreamEncryptionConfigurationInput", "KeyARN"))
		assert.Equal(t, "Decompression", to("ProcessingConfiguration", "Processors", 0, "Type"))
		assert.True(t, strings.HasPrefix(to("ErrorOutputPrefix"), "logs-failed/"))
		failures := evidence.one("AWS::Logs::LogStream")
		assert.Equal(t, to("CloudWatchLoggingOptions", "LogGroupName"), failures.text("LogGroupName"))
		assert.Equal(t, to("CloudWatchLoggingOptions", "LogStreamName"), failures.text("LogStreamName"))
	})

	bucketPolicy := func() map[string]map[string]any {
		for _, p := range evidence.list("AWS::S3::BucketPolicy") {
			if p.text("Bucket") == bucket.id {
				return statements(t, p.at("PolicyDocument"))
			}
		}
		require.Fail(t, "the bucket has no policy")
		return nil
	}
	// What a role of the workload may do, by statement.
	role := func(name string) map[string]map[string]any {
		for id, member := range workload.members("Workload") {
			if strings.HasPrefix(id, name) && *member.ResourceType == "AWS::IAM::ManagedPolicy" {
				return statements(t, workload.get(*member.ResourceType, *member.PhysicalResourceId).at("PolicyDocument"))
			}
		}
		require.Fail(t, "no policy", name)
		return nil
	}
	// What the one side lets the caller ask for and the other lets the account do.
	t.Run("records may be put from both sides", func(t *testing.T) {
		theirs := bucketPolicy()["SourceRecords"]
		assert.Equal(t, []string{"arn:aws:iam::" + workloadAccount + ":root"}, words(theirs["Principal"].(map[string]any)["AWS"]))
		allowed := strings.ReplaceAll(strings.Join(words(theirs["Resource"]), " "), "${aws:PrincipalAccount}", workloadAccount)
		for name, sid := range map[string]string{"BastionRecordsPolicy": "Records", "ShellHostPolicy": "Transcript"} {
			own := role(name)[sid]
			assert.Equal(t, words(own["Action"]), words(theirs["Action"]))
			for _, resource := range words(own["Resource"]) {
				assert.Contains(t, strings.Fields(allowed), resource, name)
			}
		}
		used := statements(t, key.at("KeyPolicy"))["SourceRecords"]
		assert.Contains(t, words(used["Action"]), "kms:GenerateDataKey")
		assert.Equal(t, []string{key.text("Arn")}, words(role("BastionRecordsPolicy")["RecordsKey"]["Resource"]))
	})
	t.Run("flow logs may be delivered", func(t *testing.T) {
		var found bool
		for _, log := range workload.list("AWS::EC2::FlowLog") {
			found = found || strings.HasPrefix(log.text("LogDestination"), "arn:aws:s3:::"+bucket.id)
		}
		assert.True(t, found)
		assert.Equal(t, []string{"arn:aws:s3:::" + bucket.id + "/AWSLogs/" + workloadAccount + "/*"}, words(bucketPolicy()["SourceLogDelivery"]["Resource"]))
	})
	t.Run("no record has a bucket in the workload", func(t *testing.T) {
		for _, b := range workload.list("AWS::S3::Bucket") {
			assert.Contains(t, b.id, "bastionpeople")
		}
	})
	t.Run("a further account changes nothing that is pasted", func(t *testing.T) {
		ids := evidence.physical()
		out, err := evidence.cdk("later: true", "deploy", "Evidence", "--require-approval", "never", "--progress", "events")
		require.NoError(t, err, out)
		assert.Equal(t, ids, evidence.physical(), "nothing is replaced")
		who := statements(t, evidence.one("AWS::Logs::Destination").at("DestinationPolicy"))["Sources"]
		assert.Equal(t, []string{workloadAccount, laterAccount}, words(who["Principal"].(map[string]any)["AWS"]))
		assert.Len(t, words(bucketPolicy()["SourceRecords"]["Principal"].(map[string]any)["AWS"]), 2)
		assert.Equal(t, destination.text("Arn"), evidence.one("AWS::Logs::Destination").text("Arn"))
	})
	t.Run("the own account is refused", func(t *testing.T) {
		out, err := workload.cdk(strings.ReplaceAll(yaml, evidenceAccount, workloadAccount), "deploy", "Workload", "--require-approval", "never")
		require.Error(t, err)
		assert.Contains(t, out, "KeyArn: "+workloadAccount+" is this stack's own account, where evidence is within reach of those it is about")
	})
	t.Run("evidence stays", func(t *testing.T) {
		out, err := evidence.cdk("later: true", "destroy", "Evidence", "--force")
		require.NoError(t, err, out)
		assert.Equal(t, bucket.id, evidence.get("AWS::S3::Bucket", bucket.id).id)
		assert.Equal(t, key.id, evidence.get("AWS::KMS::Key", key.id).id)
		assert.Empty(t, evidence.list("AWS::Logs::Destination"), "the way ends, so that no subscription is accepted for nothing")
	})
}
