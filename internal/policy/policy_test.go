package policy_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/policy"
)

var here = policy.Scope{Partition: "aws", Region: "eu-west-1", Account: "111122223333", URLSuffix: "amazonaws.com"}

func TestLogGroupKeyStatements(t *testing.T) {
	assertJSON(t, `[{
		"Sid": "CloudWatchLogs", "Effect": "Allow",
		"Principal": {"Service": "logs.eu-west-1.amazonaws.com"},
		"Action": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
		"Resource": ["*"],
		"Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:eu-west-1:111122223333:log-group:*"}}
	}]`, policy.LogGroupKeyStatements(here))
}

func TestLogDeliveryKeyStatements(t *testing.T) {
	assertJSON(t, `[{
		"Sid": "LogDelivery", "Effect": "Allow",
		"Principal": {"Service": "delivery.logs.amazonaws.com"},
		"Action": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
		"Resource": ["*"],
		"Condition": {
			"StringEquals": {"aws:SourceAccount": "111122223333"},
			"ArnLike": {"aws:SourceArn": "arn:aws:logs:eu-west-1:111122223333:*"}
		}
	}]`, policy.LogDeliveryKeyStatements(here))
}

func TestTrailKeyStatements(t *testing.T) {
	assertJSON(t, `[{
		"Sid": "CloudTrailEncrypt", "Effect": "Allow",
		"Principal": {"Service": "cloudtrail.amazonaws.com"},
		"Action": ["kms:GenerateDataKey*"], "Resource": ["*"],
		"Condition": {
			"ArnLike": {"aws:SourceArn": "arn:aws:cloudtrail:*:111122223333:trail/*"},
			"StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": "arn:aws:cloudtrail:*:111122223333:trail/*"}
		}
	}, {
		"Sid": "CloudTrailCheck", "Effect": "Allow",
		"Principal": {"Service": "cloudtrail.amazonaws.com"},
		"Action": ["kms:Decrypt", "kms:DescribeKey"], "Resource": ["*"],
		"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:cloudtrail:*:111122223333:trail/*"}}
	}]`, policy.TrailKeyStatements(here))
}

func TestTopicKeyStatements(t *testing.T) {
	assertJSON(t, `[{
		"Sid": "CloudWatchAlarms", "Effect": "Allow",
		"Principal": {"Service": "cloudwatch.amazonaws.com"},
		"Action": ["kms:Decrypt", "kms:GenerateDataKey*"], "Resource": ["*"],
		"Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}}
	}, {
		"Sid": "EventBridgeRules", "Effect": "Allow",
		"Principal": {"Service": "events.amazonaws.com"},
		"Action": ["kms:Decrypt", "kms:GenerateDataKey*"], "Resource": ["*"],
		"Condition": {"ArnLike": {"kms:EncryptionContext:aws:sns:topicArn": "arn:aws:sns:eu-west-1:111122223333:*"}}
	}]`, policy.TopicKeyStatements(here))
}

// EventBridge sends no source to SNS or KMS: a condition on it loses messages.
func TestEventBridgeStatementsHaveNoSourceCondition(t *testing.T) {
	statements := append(policy.TopicKeyStatements(here), policy.EventTopicStatements("arn:aws:sns:eu-west-1:111122223333:T")...)
	seen := 0
	for _, s := range statements {
		if !slices.Equal(s.Principal["Service"], policy.Values{"events.amazonaws.com"}) {
			continue
		}
		seen++
		assert.NotContains(t, policy.Lines([]policy.Statement{s}), "aws:Source")
	}
	assert.Equal(t, 2, seen)
}

func TestAutoScalingVolumeStatements(t *testing.T) {
	assertJSON(t, `[{
		"Sid": "AutoScalingVolumes", "Effect": "Allow",
		"Principal": {"AWS": "*"},
		"Action": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
		"Resource": ["*"],
		"Condition": {
			"StringEquals": {"kms:CallerAccount": "111122223333"},
			"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"}
		}
	}, {
		"Sid": "AutoScalingVolumeGrants", "Effect": "Allow",
		"Principal": {"AWS": "*"},
		"Action": ["kms:CreateGrant"], "Resource": ["*"],
		"Condition": {
			"StringEquals": {"kms:CallerAccount": "111122223333"},
			"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"},
			"Bool": {"kms:GrantIsForAWSResource": "true"}
		}
	}]`, policy.AutoScalingVolumeStatements(here))
}

func TestLogDeliveryBucketStatements(t *testing.T) {
	assertJSON(t, `[{
		"Sid": "LogDeliveryWrite", "Effect": "Allow",
		"Principal": {"Service": "delivery.logs.amazonaws.com"},
		"Action": ["s3:PutObject"], "Resource": ["arn:aws:s3:::b/AWSLogs/111122223333/*"],
		"Condition": {
			"StringEquals": {"aws:SourceAccount": "111122223333", "s3:x-amz-acl": "bucket-owner-full-control"},
			"ArnLike": {"aws:SourceArn": "arn:aws:logs:eu-west-1:111122223333:*"}
		}
	}, {
		"Sid": "LogDeliveryCheck", "Effect": "Allow",
		"Principal": {"Service": "delivery.logs.amazonaws.com"},
		"Action": ["s3:GetBucketAcl", "s3:ListBucket"], "Resource": ["arn:aws:s3:::b"],
		"Condition": {
			"StringEquals": {"aws:SourceAccount": "111122223333"},
			"ArnLike": {"aws:SourceArn": "arn:aws:logs:eu-west-1:111122223333:*"}
		}
	}]`, policy.LogDeliveryBucketStatements(here, "arn:aws:s3:::b", ""))
	assert.Equal(t, []string{"arn:aws:s3:::b/flows/AWSLogs/111122223333/*"},
		policy.LogDeliveryBucketStatements(here, "arn:aws:s3:::b", "flows")[0].Resource)
}

func TestAccessLogStatements(t *testing.T) {
	assertJSON(t, `[{
		"Sid": "ServerAccessLogs", "Effect": "Allow",
		"Principal": {"Service": "logging.s3.amazonaws.com"},
		"Action": ["s3:PutObject"], "Resource": ["arn:aws:s3:::to/archive/*"],
		"Condition": {
			"StringEquals": {"aws:SourceAccount": "111122223333"},
			"ArnLike": {"aws:SourceArn": "arn:aws:s3:::from"}
		}
	}]`, policy.AccessLogStatements(here, "arn:aws:s3:::to", "archive/", "arn:aws:s3:::from"))
	assertJSON(t, `[{
		"Sid": "ServerAccessLogs", "Effect": "Allow",
		"Principal": {"Service": "logging.s3.amazonaws.com"},
		"Action": ["s3:PutObject"], "Resource": ["arn:aws:s3:::to/archive/*"],
		"Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}}
	}]`, policy.AccessLogStatements(here, "arn:aws:s3:::to", "archive/", ""))
}

func TestAlarmTopicStatements(t *testing.T) {
	assertJSON(t, `[{
		"Sid": "CloudWatchAlarms", "Effect": "Allow",
		"Principal": {"Service": "cloudwatch.amazonaws.com"},
		"Action": ["sns:Publish"], "Resource": ["arn:aws:sns:eu-west-1:111122223333:T"],
		"Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}}
	}]`, policy.AlarmTopicStatements(here, "arn:aws:sns:eu-west-1:111122223333:T"))
}

// Rules that hold for each statement that a key of ours ever gets.
func TestKeyStatementsAreNarrow(t *testing.T) {
	statements := policy.ArchiveKeyStatements(here)
	assert.Len(t, statements, 8)
	sids := map[string]bool{}
	for _, s := range statements {
		t.Run(s.Sid, func(t *testing.T) {
			assert.False(t, sids[s.Sid], "Sid used twice")
			sids[s.Sid] = true
			assert.Equal(t, policy.Allow, s.Effect)
			require.NotEmpty(t, s.Condition, "no statement is unconditional")
			assert.Contains(t, policy.Lines([]policy.Statement{s}), here.Account, "each is bound to the account")
			for _, action := range s.Action {
				assert.NotEqual(t, "kms:*", action)
			}
			if slices.Contains(s.Principal["AWS"], "*") {
				assert.NotEmpty(t, s.Condition["ArnEquals"]["aws:PrincipalArn"])
				assert.NotEmpty(t, s.Condition["StringEquals"]["kms:CallerAccount"])
			}
		})
	}
}

func TestOtherPartitionsAreRespected(t *testing.T) {
	china := policy.Scope{Partition: "aws-cn", Region: "cn-north-1", Account: "111122223333", URLSuffix: "amazonaws.com.cn"}
	text := policy.Lines(policy.ArchiveKeyStatements(china))
	assert.NotContains(t, text, "arn:aws:")
	assert.Contains(t, text, "logs.cn-north-1.amazonaws.com.cn")
}

func TestLinesArePasteable(t *testing.T) {
	text := policy.Lines(policy.TopicKeyStatements(policy.Placeholders()))
	assert.Len(t, strings.Split(text, "\n"), 2)
	var list []policy.Statement
	require.NoError(t, json.Unmarshal([]byte("["+text+"]"), &list))
	assert.Equal(t, policy.TopicKeyStatements(policy.Placeholders()), list)
	assert.Contains(t, text, "arn:PARTITION:sns:REGION:ACCOUNT:*")
	assert.NotContains(t, text, `\u00`)
}

func TestObjectKeepsTokens(t *testing.T) {
	token := policy.Scope{Partition: "${Token[AWS.Partition.1]}", Region: "r", Account: "${Token[AWS.AccountId.2]}", URLSuffix: "s"}
	object := policy.AutoScalingVolumeStatements(token)[0].Object()
	assert.Equal(t, "AutoScalingVolumes", object["Sid"])
	assert.Equal(t, "${Token[AWS.AccountId.2]}", object["Condition"].(map[string]any)["StringEquals"].(map[string]any)["kms:CallerAccount"])
}

func assertJSON(t *testing.T, want string, got []policy.Statement) {
	t.Helper()
	text, err := json.Marshal(got)
	require.NoError(t, err)
	assert.JSONEq(t, want, string(text))
}
