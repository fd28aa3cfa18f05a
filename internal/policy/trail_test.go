package policy_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/postern-cdk/postern/internal/policy"
)

const someTrail = "arn:aws:cloudtrail:eu-west-1:111122223333:trail/Audit"

func TestTrailBucketStatements(t *testing.T) {
	assertJSON(t, `[{
		"Sid": "CloudTrailCheck", "Effect": "Allow",
		"Principal": {"Service": "cloudtrail.amazonaws.com"},
		"Action": ["s3:GetBucketAcl"], "Resource": ["arn:aws:s3:::evidence"],
		"Condition": {"StringEquals": {"aws:SourceArn": "arn:aws:cloudtrail:eu-west-1:111122223333:trail/Audit"}}
	}, {
		"Sid": "CloudTrailWrite", "Effect": "Allow",
		"Principal": {"Service": "cloudtrail.amazonaws.com"},
		"Action": ["s3:PutObject"], "Resource": ["arn:aws:s3:::evidence/trail/AWSLogs/111122223333/*"],
		"Condition": {"StringEquals": {
			"aws:SourceArn": "arn:aws:cloudtrail:eu-west-1:111122223333:trail/Audit",
			"s3:x-amz-acl": "bucket-owner-full-control"
		}}
	}]`, policy.TrailBucketStatements(here, "arn:aws:s3:::evidence", "trail", someTrail, ""))

	statements := policy.TrailBucketStatements(here, "arn:aws:s3:::evidence", "", someTrail, "o-exampleorgid")
	assert.Equal(t, []string{"arn:aws:s3:::evidence/AWSLogs/111122223333/*", "arn:aws:s3:::evidence/AWSLogs/o-exampleorgid/*"}, statements[1].Resource)
}

func TestTrailLogStatements(t *testing.T) {
	assertJSON(t, `[{
		"Sid": "CloudTrailStreams", "Effect": "Allow",
		"Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
		"Resource": ["arn:aws:logs:eu-west-1:111122223333:log-group:calls:log-stream:111122223333_CloudTrail_eu-west-1*"]
	}]`, policy.TrailLogStatements(here, "calls", ""))
	assert.Equal(t, []string{
		"arn:aws:logs:eu-west-1:111122223333:log-group:calls:log-stream:111122223333_CloudTrail_eu-west-1*",
		"arn:aws:logs:eu-west-1:111122223333:log-group:calls:log-stream:o-exampleorgid_*",
	}, policy.TrailLogStatements(here, "calls", "o-exampleorgid")[0].Resource)
}
