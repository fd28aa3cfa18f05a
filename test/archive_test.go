package test_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/internal/cdktest"
)

var archiveKeySids = []string{
	"CloudWatchLogs", "LogDelivery", "CloudTrailEncrypt", "CloudTrailCheck",
	"CloudWatchAlarms", "EventBridgeRules", "AutoScalingVolumes", "AutoScalingVolumeGrants",
}

func TestArchiveByDefault(t *testing.T) {
	for name, app := range map[string]awscdk.App{
		"with flags":    cdktest.NewApp(t),
		"without flags": cdktest.NewAppWithoutFlags(t),
	} {
		t.Run(name, func(t *testing.T) {
			stack := cdktest.StackIn(app, "Test")
			a := archive.New(stack, "Archive", nil)
			a.AddLogGroup("Sessions")
			template := cdktest.Template(stack)
			buckets := byLogicalName(t, template, "AWS::S3::Bucket")
			policies := byLogicalName(t, template, "AWS::S3::BucketPolicy")
			keys := byLogicalName(t, template, "AWS::KMS::Key")
			groups := byLogicalName(t, template, "AWS::Logs::LogGroup")
			require.Len(t, buckets, 2)
			require.Len(t, keys, 1)
			require.Len(t, groups, 1)

			t.Run("nothing else is made", func(t *testing.T) {
				kinds := map[string]int{}
				for _, resource := range (*template.ToJSON())["Resources"].(map[string]any) {
					kinds[resource.(map[string]any)["Type"].(string)]++
				}
				assert.Equal(t, map[string]int{
					"AWS::KMS::Key": 1, "AWS::S3::Bucket": 2, "AWS::S3::BucketPolicy": 2, "AWS::Logs::LogGroup": 1,
				}, kinds)
			})
			t.Run("everything is retained", func(t *testing.T) {
				for id, resource := range (*template.ToJSON())["Resources"].(map[string]any) {
					assert.Equal(t, "Retain", resource.(map[string]any)["DeletionPolicy"], id)
					assert.Equal(t, "Retain", resource.(map[string]any)["UpdateReplacePolicy"], id)
				}
			})
			t.Run("key", func(t *testing.T) {
				key := keys["ArchiveKey"]["Properties"].(map[string]any)
				assert.Equal(t, true, key["EnableKeyRotation"])
				assert.Equal(t, archiveKeySids, sidsOf(t, key["KeyPolicy"]))
				statements := key["KeyPolicy"].(map[string]any)["Statement"].([]any)
				assert.Contains(t, textOf(t, statements[0]), "kms:*", "the account's IAM policies rule the key")
				for _, statement := range statements[1:] {
					assert.NotEmpty(t, statement.(map[string]any)["Condition"], "%v", statement)
				}
				assert.Contains(t, textOf(t, statements), `logs.us-east-1.`)
			})
			t.Run("log bucket", func(t *testing.T) {
				bucket := buckets["ArchiveBucket"]["Properties"].(map[string]any)
				assert.Equal(t, map[string]any{"Status": "Enabled"}, bucket["VersioningConfiguration"])
				assert.Equal(t, true, bucket["ObjectLockEnabled"])
				assert.JSONEq(t, `{"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 365}}}`,
					textOf(t, bucket["ObjectLockConfiguration"]))
				assert.Contains(t, textOf(t, bucket["BucketEncryption"]), `"BucketKeyEnabled":true`)
				assert.Contains(t, textOf(t, bucket["BucketEncryption"]), `"aws:kms"`)
				assert.JSONEq(t, `{"Rules": [{"Id": "Archive", "Status": "Enabled",
					"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
					"Transitions": [{"StorageClass": "STANDARD_IA", "TransitionInDays": 90}]}]}`,
					textOf(t, bucket["LifecycleConfiguration"]), "kept forever, cheaper after 90 days")
				assert.Equal(t, "archive/", bucket["LoggingConfiguration"].(map[string]any)["LogFilePrefix"])
				assert.Contains(t, textOf(t, bucket["LoggingConfiguration"]), "ArchiveAccessLogBucket")
				assert.Equal(t, []string{"LogDeliveryWrite", "LogDeliveryCheck"},
					sidsOf(t, policies["ArchiveBucketPolicy"]["Properties"].(map[string]any)["PolicyDocument"]))
			})
			t.Run("access-log bucket", func(t *testing.T) {
				bucket := buckets["ArchiveAccessLogBucket"]["Properties"].(map[string]any)
				assert.NotContains(t, bucket, "ObjectLockConfiguration", "S3 delivers no access logs to a locked bucket")
				assert.NotContains(t, bucket, "ObjectLockEnabled")
				assert.NotContains(t, bucket, "AccessControl", "by policy, not by ACL")
				assert.Contains(t, textOf(t, bucket["BucketEncryption"]), `"AES256"`)
				assert.JSONEq(t, `{"Rules": [{"Id": "AccessLogs", "Status": "Enabled", "ExpirationInDays": 365,
					"NoncurrentVersionExpiration": {"NoncurrentDays": 30},
					"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}]}`, textOf(t, bucket["LifecycleConfiguration"]))
				statement := statementBySid(t, policies["ArchiveAccessLogBucketPolicy"], "ServerAccessLogs")
				assert.Equal(t, map[string]any{"Service": "logging.s3.amazonaws.com"}, statement["Principal"])
				assert.Contains(t, textOf(t, statement["Condition"]), `"aws:SourceAccount":"123456789012"`)
				assert.Contains(t, textOf(t, statement["Condition"].(map[string]any)["ArnLike"]), "ArchiveBucket")
			})
			t.Run("both buckets are closed", func(t *testing.T) {
				for id, bucket := range buckets {
					properties := bucket["Properties"].(map[string]any)
					assert.Equal(t, map[string]any{
						"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true,
					}, properties["PublicAccessBlockConfiguration"], id)
					assert.Contains(t, textOf(t, properties["OwnershipControls"]), "BucketOwnerEnforced", id)
					policy := textOf(t, policies[id+"Policy"])
					assert.Contains(t, policy, `"Bool":{"aws:SecureTransport":"false"}`, id)
					assert.Contains(t, policy, `"NumericLessThan":{"s3:TlsVersion":1.2}`, id)
				}
			})
			t.Run("log group", func(t *testing.T) {
				group := groups["ArchiveSessions"]["Properties"].(map[string]any)
				assert.EqualValues(t, 365, group["RetentionInDays"])
				assert.Equal(t, true, group["DeletionProtectionEnabled"])
				assert.Contains(t, textOf(t, group["KmsKeyId"]), "ArchiveKey")
				assert.NotContains(t, group, "LogGroupName")
			})
			assert.Empty(t, warningsOf(stack))
		})
	}
}

func statementBySid(t *testing.T, policy map[string]any, sid string) map[string]any {
	t.Helper()
	require.NotNil(t, policy)
	document := policy["Properties"].(map[string]any)["PolicyDocument"].(map[string]any)
	for _, statement := range document["Statement"].([]any) {
		if s := statement.(map[string]any); s["Sid"] == sid {
			return s
		}
	}
	require.Fail(t, "no statement "+sid, "%v", document)
	return nil
}

func TestArchiveWithEverything(t *testing.T) {
	stack := cdktest.NewStack(t)
	a := archive.New(stack, "Archive", &archive.Props{
		Key:                       awskms.NewKey(stack, jsii.String("MyKey"), &awskms.KeyProps{EnableKeyRotation: jsii.Bool(true)}),
		AccessLogBucket:           awss3.NewBucket(stack, jsii.String("MyAccessLogs"), nil),
		ObjectLock:                archive.ObjectLock{Mode: archive.LockCompliance, Days: 400},
		InfrequentAccessAfterDays: 30,
		GlacierAfterDays:          60,
		ExpireAfterDays:           500,
		LogRetentionDays:          731,
		AllowLogGroupDeletion:     true,
	})
	a.AddLogGroup("Sessions")
	template := cdktest.Template(stack)

	keys := byLogicalName(t, template, "AWS::KMS::Key")
	require.Len(t, keys, 1)
	assert.Equal(t, archiveKeySids, sidsOf(t, keys["MyKey"]["Properties"].(map[string]any)["KeyPolicy"]))

	buckets := byLogicalName(t, template, "AWS::S3::Bucket")
	require.Len(t, buckets, 2)
	bucket := buckets["ArchiveBucket"]["Properties"].(map[string]any)
	assert.JSONEq(t, `{"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 400}}}`,
		textOf(t, bucket["ObjectLockConfiguration"]))
	assert.JSONEq(t, `{"Rules": [{"Id": "Archive", "Status": "Enabled",
		"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
		"ExpirationInDays": 500, "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
		"Transitions": [{"StorageClass": "STANDARD_IA", "TransitionInDays": 30}, {"StorageClass": "GLACIER_IR", "TransitionInDays": 60}]}]}`,
		textOf(t, bucket["LifecycleConfiguration"]))
	assert.Contains(t, textOf(t, bucket["LoggingConfiguration"]), "MyAccessLogs")
	statementBySid(t, byLogicalName(t, template, "AWS::S3::BucketPolicy")["MyAccessLogsPolicy"], "ServerAccessLogs")

	group := byLogicalName(t, template, "AWS::Logs::LogGroup")["ArchiveSessions"]["Properties"].(map[string]any)
	assert.EqualValues(t, 731, group["RetentionInDays"])
	assert.Equal(t, false, group["DeletionProtectionEnabled"])
	assert.Contains(t, textOf(t, group["KmsKeyId"]), "MyKey")

	warnings := warningsOf(stack)
	require.Len(t, warnings, 1)
	assert.Contains(t, warnings[0], "LockCompliance can't be undone")
	assert.Contains(t, warnings[0], "[ack: postern:archive-compliance-lock]")
}

func TestArchiveWithoutLock(t *testing.T) {
	stack := cdktest.NewStack(t)
	archive.New(stack, "Archive", &archive.Props{ObjectLock: archive.ObjectLock{Mode: archive.LockOff}})
	bucket := byLogicalName(t, cdktest.Template(stack), "AWS::S3::Bucket")["ArchiveBucket"]["Properties"].(map[string]any)
	assert.NotContains(t, bucket, "ObjectLockEnabled")
	assert.NotContains(t, bucket, "ObjectLockConfiguration")
	assert.Equal(t, map[string]any{"Status": "Enabled"}, bucket["VersioningConfiguration"])
}

// Without a default, nothing is locked until a hold or a retention is placed, which
// only a bucket with Object Lock takes.
func TestArchiveForLegalHolds(t *testing.T) {
	stack := cdktest.NewStack(t)
	archive.New(stack, "Archive", &archive.Props{ObjectLock: archive.ObjectLock{Mode: archive.LockLegalHold}})
	bucket := byLogicalName(t, cdktest.Template(stack), "AWS::S3::Bucket")["ArchiveBucket"]["Properties"].(map[string]any)
	assert.Equal(t, true, bucket["ObjectLockEnabled"])
	assert.NotContains(t, bucket, "ObjectLockConfiguration")
}

func TestArchiveWithImportedCollaborators(t *testing.T) {
	stack := cdktest.NewStack(t)
	archive.New(stack, "Archive", &archive.Props{
		Key: awskms.Key_FromKeyArn(stack, jsii.String("MyKey"),
			jsii.String("arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555")),
		AccessLogBucket: awss3.Bucket_FromBucketName(stack, jsii.String("MyAccessLogs"), jsii.String("my-access-logs")),
	})
	template := cdktest.Template(stack)
	assert.Empty(t, byLogicalName(t, template, "AWS::KMS::Key"))
	bucket := byLogicalName(t, template, "AWS::S3::Bucket")["ArchiveBucket"]["Properties"].(map[string]any)
	assert.Equal(t, map[string]any{"DestinationBucketName": "my-access-logs", "LogFilePrefix": "archive/"}, bucket["LoggingConfiguration"])

	warnings := warningsOf(stack)
	slices.Sort(warnings)
	require.Len(t, warnings, 2)
	assert.Contains(t, warnings[0], "[ack: postern:archive-access-log-policy]")
	assert.Contains(t, warnings[0], `"aws:SourceAccount":"ACCOUNT"`)
	assert.Contains(t, warnings[1], "[ack: postern:archive-key-policy]")
	for _, sid := range archiveKeySids {
		assert.Contains(t, warnings[1], fmt.Sprintf("%q:%q", "Sid", sid))
	}
}

func TestArchiveWithOwnBucket(t *testing.T) {
	stack := cdktest.NewStack(t)
	mine := awss3.NewBucket(stack, jsii.String("Mine"), nil)
	a := archive.New(stack, "Archive", &archive.Props{Bucket: mine})
	a.AddLogGroup("Sessions")
	template := cdktest.Template(stack)
	assert.Len(t, byLogicalName(t, template, "AWS::S3::Bucket"), 1)
	assert.Len(t, byLogicalName(t, template, "AWS::KMS::Key"), 1)
	assert.Len(t, byLogicalName(t, template, "AWS::Logs::LogGroup"), 1)
	assert.Equal(t, *mine.Node().Path(), *a.Bucket().Node().Path())
	assert.Nil(t, a.AccessLogBucket())
}

// The access-log bucket may live in a stack that the archive's stack depends
// on: its policy must not name the archive's bucket, or the two form a cycle.
func TestArchiveAccessLogsInAnotherStack(t *testing.T) {
	app := cdktest.NewApp(t)
	logs, evidence := cdktest.StackIn(app, "Logs"), cdktest.StackIn(app, "Evidence")
	archive.New(evidence, "Archive", &archive.Props{AccessLogBucket: awss3.NewBucket(logs, jsii.String("AccessLogs"), nil)})
	app.Synth(nil)
	statement := statementBySid(t, byLogicalName(t, cdktest.Template(logs), "AWS::S3::BucketPolicy")["AccessLogsPolicy"], "ServerAccessLogs")
	assert.Equal(t, map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": "123456789012"}}, statement["Condition"])
}

// An app that names no account or region gets the same policies by reference.
func TestArchiveWithoutEnvironment(t *testing.T) {
	stack := awscdk.NewStack(cdktest.NewApp(t), jsii.String("Test"), nil)
	archive.New(stack, "Archive", nil)
	key := byLogicalName(t, cdktest.Template(stack), "AWS::KMS::Key")["ArchiveKey"]["Properties"].(map[string]any)
	text := textOf(t, key["KeyPolicy"])
	assert.Equal(t, archiveKeySids, sidsOf(t, key["KeyPolicy"]))
	assert.Contains(t, text, `{"Ref":"AWS::Partition"}`)
	assert.NotContains(t, text, "arn:aws:")
	assert.NotContains(t, text, "Token[")
}

func TestArchiveRefusesBadProps(t *testing.T) {
	stack := cdktest.NewStack(t)
	assert.Equal(t, `archive "Test/Archive": ObjectLock.Days: 40000 is out of range: use 1 to 36500`,
		cdktest.Panic(t, func() {
			archive.New(stack, "Archive", &archive.Props{ObjectLock: archive.ObjectLock{Days: 40000}})
		}))
	assert.Nil(t, stack.Node().TryFindChild(jsii.String("Archive")), "the tree is untouched")

	a := archive.New(stack, "Archive", nil)
	a.AddLogGroup("Sessions")
	assert.Equal(t, `archive log group "Test/Archive/Sessions": id: the archive already has a "Sessions": choose another`,
		cdktest.Panic(t, func() { a.AddLogGroup("Sessions") }))
	assert.Equal(t, `archive log group "Test/Archive/": id: is empty: name what is logged, such as "Sessions"`,
		cdktest.Panic(t, func() { a.AddLogGroup("") }))
}

func TestArchiveSatisfiesTheRulePacks(t *testing.T) {
	for name, props := range map[string]*archive.Props{
		"by default": nil,
		"unlocked":   {ObjectLock: archive.ObjectLock{Mode: archive.LockOff}},
		"listed":     {Inventory: &archive.Inventory{}},
		"copied":     {Replica: archive.ReplicaTarget{BucketName: "mine", Region: "eu-central-1", KeyAlias: "alias/mine"}},
	} {
		t.Run(name, func(t *testing.T) {
			stack := cdktest.StackIn(newJudgedApp(t), "Test")
			archive.New(stack, "Archive", props).AddLogGroupWith("Sessions", &archive.LogGroupOptions{Masking: &archive.Masking{}})
			addRulePacks(stack)
			assert.Empty(t, findings(stack))
		})
		t.Run("replica", func(t *testing.T) {
			stack := cdktest.StackIn(newJudgedApp(t), "Test")
			archive.NewReplica(stack, "Replica", nil)
			addRulePacks(stack)
			assert.Empty(t, findings(stack))
		})
	}
}
