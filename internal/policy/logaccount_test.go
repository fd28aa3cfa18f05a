package policy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/policy"
)

const archiveARN = "arn:aws:s3:::evidence"

var (
	fromAccounts = policy.Sources{Accounts: []string{"444455556666"}}
	fromBoth     = policy.Sources{Accounts: []string{"444455556666"}, Organization: "o-a1b2c3d4e5"}
	fromAll      = policy.Sources{Organization: "o-a1b2c3d4e5"}
)

func everySource() map[string]policy.Sources {
	return map[string]policy.Sources{"accounts": fromAccounts, "both": fromBoth, "organization": fromAll}
}

// Rules that hold for each statement that lets another account in.
func TestSourceStatementsAreNarrow(t *testing.T) {
	for name, s := range everySource() {
		statements := slices.Concat(s.BucketStatements(here, archiveARN), s.KeyStatements(here),
			s.DestinationStatements("arn:aws:logs:eu-west-1:111122223333:destination:D"))
		for _, statement := range statements {
			t.Run(name+"/"+statement.Sid, func(t *testing.T) {
				text := policy.Lines([]policy.Statement{statement})
				if s.Organization != "" {
					key := "aws:PrincipalOrgID"
					if statement.Principal["Service"] != nil {
						key = "aws:SourceOrgID"
					}
					assert.Equal(t, policy.Values{s.Organization}, statement.Condition["StringEquals"][key])
				}
				if len(s.Accounts) > 0 {
					assert.Contains(t, text, s.Accounts[0])
					assert.NotContains(t, statement.Principal["AWS"], "*")
				}
				if slices.Contains(statement.Principal["AWS"], "*") {
					assert.NotEmpty(t, s.Organization, "everyone is in the organization")
					if statement.Sid != "Sources" { // the destination's, which takes no further condition
						assert.Equal(t, policy.Values{here.Account}, statement.Condition["StringNotEquals"]["aws:PrincipalAccount"],
							"who is in the archive's own account needs rights of their own")
					}
				}
				for _, action := range statement.Action {
					for _, reads := range []string{"GetObject", "Delete", "Retention", "LegalHold", "Bypass", "PutBucket", "s3:*", "kms:*", "CreateGrant"} {
						assert.NotContains(t, action, reads)
					}
				}
			})
		}
	}
}

func TestSourcesWriteBelowTheirNumber(t *testing.T) {
	for name, s := range everySource() {
		for _, statement := range s.BucketStatements(here, archiveARN) {
			if !slices.ContainsFunc(statement.Action, func(a string) bool { return strings.HasPrefix(a, "s3:PutObject") }) {
				continue
			}
			for _, resource := range statement.Resource {
				rest := strings.TrimPrefix(resource, archiveARN+"/")
				require.NotEqual(t, resource, rest, name)
				if statement.Principal["AWS"] != nil {
					assert.Regexp(t, `^(sessions|session-manager)/\$\{aws:PrincipalAccount\}/\*$`, rest)
				} else {
					assert.Regexp(t, `^(trail/)?AWSLogs/(444455556666/)?\*$`, rest)
				}
			}
		}
	}
}

func TestSourceBucketStatements(t *testing.T) {
	assertJSON(t, `[{
		"Sid": "SourceLogDelivery", "Effect": "Allow", "Principal": {"Service": "delivery.logs.amazonaws.com"},
		"Action": ["s3:PutObject"], "Resource": ["arn:aws:s3:::evidence/AWSLogs/444455556666/*"],
		"Condition": {
			"StringEquals": {"aws:SourceAccount": "444455556666", "aws:SourceOrgID": "o-a1b2c3d4e5"},
			"ArnLike": {"aws:SourceArn": "arn:aws:logs:*:444455556666:*"}}
	}]`, fromBoth.BucketStatements(here, archiveARN)[3:4])
	assertJSON(t, `[{
		"Sid": "SourceTrails", "Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"},
		"Action": ["s3:PutObject"], "Resource": ["arn:aws:s3:::evidence/AWSLogs/*", "arn:aws:s3:::evidence/trail/AWSLogs/*"],
		"Condition": {
			"StringEquals": {"aws:SourceOrgID": "o-a1b2c3d4e5"},
			"ArnLike": {"aws:SourceArn": "arn:aws:cloudtrail:*:*:trail/*"}}
	}]`, fromAll.BucketStatements(here, archiveARN)[5:6])
	assertJSON(t, `[{
		"Sid": "SourceRecords", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444455556666:root"},
		"Action": ["s3:PutObject"],
		"Resource": ["arn:aws:s3:::evidence/sessions/${aws:PrincipalAccount}/*", "arn:aws:s3:::evidence/session-manager/${aws:PrincipalAccount}/*"]
	}]`, fromAccounts.BucketStatements(here, archiveARN)[:1])
}

func TestSourceKeyStatements(t *testing.T) {
	statements := fromAll.KeyStatements(here)
	assertJSON(t, `[{
		"Sid": "SourceRecords", "Effect": "Allow", "Principal": {"AWS": "*"},
		"Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": ["*"],
		"Condition": {
			"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5", "kms:ViaService": "s3.eu-west-1.amazonaws.com"},
			"StringNotEquals": {"aws:PrincipalAccount": "111122223333"}}
	}]`, statements[:1])
	assertJSON(t, `[{
		"Sid": "SourceTrails", "Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"},
		"Action": ["kms:GenerateDataKey*"], "Resource": ["*"],
		"Condition": {
			"StringEquals": {"aws:SourceOrgID": "o-a1b2c3d4e5"},
			"ArnLike": {"aws:SourceArn": "arn:aws:cloudtrail:*:*:trail/*"},
			"StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": "arn:aws:cloudtrail:*:*:trail/*"}}
	}]`, statements[2:3])
}

func TestDeliveryTrust(t *testing.T) {
	assertJSON(t, `[
		{"Sid": "Own", "Effect": "Allow", "Principal": {"Service": "logs.amazonaws.com"}, "Action": ["sts:AssumeRole"],
			"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:logs:eu-west-1:111122223333:*"}}},
		{"Sid": "Sources", "Effect": "Allow", "Principal": {"Service": "logs.amazonaws.com"}, "Action": ["sts:AssumeRole"],
			"Condition": {"StringEquals": {"aws:SourceOrgID": "o-a1b2c3d4e5"}, "ArnLike": {"aws:SourceArn": "arn:aws:logs:eu-west-1:*:*"}}}
	]`, fromAll.DeliveryTrustStatements(here))
	assert.NotContains(t, policy.Lines(fromAccounts.DeliveryTrustStatements(here)), `logs:eu-west-1:*`)
}

func TestSourcePartitions(t *testing.T) {
	china := policy.Scope{Partition: "aws-cn", Region: "cn-north-1", Account: "111122223333", URLSuffix: "amazonaws.com.cn"}
	for _, s := range everySource() {
		for _, statements := range [][]policy.Statement{
			s.BucketStatements(china, "arn:aws-cn:s3:::evidence"), s.KeyStatements(china), s.DeliveryTrustStatements(china),
			policy.ForwardTrustStatements(china), policy.FirehoseStatements(china, "arn:aws-cn:s3:::evidence", "k", "g", "logs/"),
		} {
			assert.NotContains(t, policy.Lines(statements), "arn:aws:")
		}
	}
}

func TestFirehoseWritesBelowItsPrefixes(t *testing.T) {
	statements := policy.FirehoseStatements(here, archiveARN, "key", "group", "logs/", "logs-failed/")
	assert.Equal(t, []string{archiveARN + "/logs/*", archiveARN + "/logs-failed/*"}, statements[0].Resource)
	assert.Equal(t, []string{"s3:AbortMultipartUpload", "s3:PutObject"}, statements[0].Action)
}
