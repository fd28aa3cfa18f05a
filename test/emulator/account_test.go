package emulator_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestExampleAccount(t *testing.T) {
	t.Parallel()
	c := fresh(t, "account", "examples/account")
	c.deploy("")
	assert.Equal(t, []string{"Evidence", "Watch"}, c.names())

	calls := c.one("AWS::CloudTrail::Trail")
	assert.Equal(t, "Account", calls.id)
	for _, yes := range []string{"IsLogging", "IsMultiRegionTrail", "EnableLogFileValidation"} {
		assert.Equal(t, "true", calls.text(yes), yes)
	}
	t.Run("the bucket lets this trail in, and no other", func(t *testing.T) {
		bucket := calls.text("S3BucketName")
		sources := 0
		for _, statement := range c.get("AWS::S3::BucketPolicy", bucket).at("PolicyDocument", "Statement").([]any) {
			s := statement.(map[string]any)
			if sid, _ := s["Sid"].(string); strings.HasPrefix(sid, "CloudTrail") {
				sources++
				source := s["Condition"].(map[string]any)["StringEquals"].(map[string]any)["aws:SourceArn"]
				assert.Equal(t, calls.text("Arn"), source, "the ARN that the trail came to have")
			}
		}
		assert.Equal(t, 2, sources)
	})
	t.Run("the role writes to the log group that the trail names", func(t *testing.T) {
		group := calls.text("CloudWatchLogsLogGroupArn")
		name := strings.Split(group, ":")[6]
		assert.Equal(t, group, c.get("AWS::Logs::LogGroup", name).text("Arn"))
		role := calls.text("CloudWatchLogsRoleArn")
		writer := c.get("AWS::IAM::Role", role[strings.LastIndex(role, "/")+1:]).text("ManagedPolicyArns", 0)
		assert.Contains(t, c.get("AWS::IAM::ManagedPolicy", writer).text("PolicyDocument"), ":log-group:"+name+":log-stream:"+localAccount+"_CloudTrail_"+region+"*")
		for _, filter := range c.list("AWS::Logs::MetricFilter") {
			assert.Contains(t, filter.id, name)
		}
	})
	assert.Len(t, c.list("AWS::Config::ConfigRule"), 7)
	assert.Empty(t, c.list("AWS::Config::ConfigurationRecorder"), "that is the account's")

	t.Run("again and away", func(t *testing.T) {
		assert.Contains(t, c.deploy(""), "Evidence (no changes)")
		out, err := c.cdk("", "destroy", "Watch", "--force")
		require.NoError(t, err, out)
		assert.Equal(t, []string{"Evidence"}, c.names())
		assert.Empty(t, c.list("AWS::Config::ConfigRule"))
		assert.Len(t, c.list("AWS::CloudTrail::Trail"), 1, "the record goes on")
	})
}
