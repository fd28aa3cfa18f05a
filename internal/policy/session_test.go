package policy_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/policy"
)

// The zero value refuses sessions that can't be recorded, as the agent reads it.
func TestSessionDocumentByDefault(t *testing.T) {
	document := policy.SessionDocument{}
	assert.JSONEq(t, `{
		"schemaVersion": "1.0",
		"sessionType": "Standard_Stream",
		"inputs": {
			"s3BucketName": "", "s3KeyPrefix": "", "s3EncryptionEnabled": true,
			"cloudWatchLogGroupName": "", "cloudWatchEncryptionEnabled": true, "cloudWatchStreamingEnabled": true,
			"kmsKeyId": "", "runAsEnabled": false, "runAsDefaultUser": "",
			"idleSessionTimeout": "20", "maxSessionDuration": "",
			"shellProfile": {"windows": "", "linux": ""}
		}
	}`, document.JSON())
}

func TestSessionDocumentWithEverything(t *testing.T) {
	document := policy.SessionDocument{
		Description: "Shell & co",
		Bucket:      "records", Prefix: "audit/sessions", UnencryptedBucket: true,
		LogGroup: "${Token[Group.1]}", UnencryptedLogGroup: true, LogAtEnd: true,
		Key:   "arn:aws:kms:us-east-1:123456789012:key/1",
		RunAs: true, RunAsUser: "support",
		IdleTimeout: 5 * time.Minute, MaxDuration: 24 * time.Hour,
		ShellProfile: policy.ShellProfile{Linux: "exec bash\ncd ~ && date", Windows: "date"},
	}
	assert.JSONEq(t, `{
		"schemaVersion": "1.0",
		"description": "Shell & co",
		"sessionType": "Standard_Stream",
		"inputs": {
			"s3BucketName": "records", "s3KeyPrefix": "audit/sessions", "s3EncryptionEnabled": false,
			"cloudWatchLogGroupName": "${Token[Group.1]}", "cloudWatchEncryptionEnabled": false, "cloudWatchStreamingEnabled": false,
			"kmsKeyId": "arn:aws:kms:us-east-1:123456789012:key/1", "runAsEnabled": true, "runAsDefaultUser": "support",
			"idleSessionTimeout": "5", "maxSessionDuration": "1440",
			"shellProfile": {"windows": "date", "linux": "exec bash\ncd ~ && date"}
		}
	}`, document.JSON())
	assert.Contains(t, document.JSON(), "${Token[Group.1]}", "a token stays one")
	assert.Contains(t, document.JSON(), "~ && date", "nothing is escaped for a browser")
}

func TestSessionHost(t *testing.T) {
	host := policy.SessionHost{
		LogGroup: "arn:aws-cn:logs:cn-north-1:123456789012:log-group:sessions:*",
		Bucket:   "arn:aws-cn:s3:::records", Prefix: "audit",
		BucketKey: "arn:aws-cn:kms:cn-north-1:123456789012:key/records",
		Key:       "arn:aws-cn:kms:cn-north-1:123456789012:key/sessions",
	}
	china := policy.Scope{Partition: "aws-cn", Region: "cn-north-1", Account: "123456789012", URLSuffix: "amazonaws.com.cn"}
	assert.JSONEq(t, `{"Version": "2012-10-17", "Statement": [
		{"Sid": "FindLogGroup", "Effect": "Allow", "Action": ["logs:DescribeLogGroups"], "Resource": ["*"], "Condition": {"StringEquals": {"aws:RequestedRegion": "cn-north-1"}}},
		{"Sid": "Stream", "Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"], "Resource": ["arn:aws-cn:logs:cn-north-1:123456789012:log-group:sessions:*"]},
		{"Sid": "ExamineBucket", "Effect": "Allow", "Action": ["s3:GetEncryptionConfiguration"], "Resource": ["arn:aws-cn:s3:::records"]},
		{"Sid": "Transcript", "Effect": "Allow", "Action": ["s3:PutObject"], "Resource": ["arn:aws-cn:s3:::records/audit/*"]},
		{"Sid": "TranscriptOwner", "Effect": "Allow", "Action": ["s3:PutObjectAcl"], "Resource": ["arn:aws-cn:s3:::records/audit/*"],
			"Condition": {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}},
		{"Sid": "TranscriptKey", "Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": ["arn:aws-cn:kms:cn-north-1:123456789012:key/records"],
			"Condition": {"StringLike": {"kms:EncryptionContext:aws:s3:arn": ["arn:aws-cn:s3:::records", "arn:aws-cn:s3:::records/audit/*"]}}},
		{"Sid": "SessionKey", "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": ["arn:aws-cn:kms:cn-north-1:123456789012:key/sessions"],
			"Condition": {"StringLike": {"kms:EncryptionContext:aws:ssm:SessionId": "*"}}}
	]}`, policy.Text(host.Statements(china)))
}

// What isn't there needs no permission.
func TestSessionHostWithoutDestinations(t *testing.T) {
	sids := func(host policy.SessionHost) []string {
		var document struct{ Statement []policy.Statement }
		require.NoError(t, json.Unmarshal([]byte(policy.Text(host.Statements(policy.Placeholders()))), &document))
		list := []string{}
		for _, s := range document.Statement {
			list = append(list, s.Sid)
		}
		return list
	}
	assert.Empty(t, sids(policy.SessionHost{Prefix: "x"}))
	assert.Equal(t, []string{"FindLogGroup", "Stream"}, sids(policy.SessionHost{LogGroup: "group"}))
	assert.Equal(t, []string{"ExamineBucket", "Transcript", "TranscriptOwner"}, sids(policy.SessionHost{Bucket: "bucket", Prefix: "x"}))
}
