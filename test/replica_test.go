package test_test

import (
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/constructs/watch"
	"github.com/postern-cdk/postern/internal/cdktest"
)

// overThere is a stack in another Region than cdktest's.
func overThere(app awscdk.App, id string) awscdk.Stack {
	return cdktest.StackAt(app, id, cdktest.Account, "eu-central-1")
}

func TestReplica(t *testing.T) {
	for name, app := range map[string]awscdk.App{
		"with flags":    cdktest.NewApp(t),
		"without flags": cdktest.NewAppWithoutFlags(t),
	} {
		t.Run(name, func(t *testing.T) {
			copies, evidence := overThere(app, "Copies"), cdktest.StackIn(app, "Evidence")
			replica := archive.NewReplica(copies, "Replica", nil)
			a := archive.New(evidence, "Archive", &archive.Props{Replica: replica.Target()})
			assembly := app.Synth(nil)

			t.Run("the name is known before", func(t *testing.T) {
				assert.Equal(t, "copies-123456789012-eu-central-1", replica.Target().BucketName)
				assert.Equal(t, "alias/copies-123456789012-eu-central-1", replica.Target().KeyAlias)
			})
			t.Run("the replica is deployed first", func(t *testing.T) {
				var before []string
				for _, d := range *assembly.GetStackArtifact(jsii.String("Evidence")).Dependencies() {
					before = append(before, *d.Id())
				}
				assert.Contains(t, before, "Copies")
			})
			t.Run("nothing is carried over by functions", func(t *testing.T) {
				for _, stack := range []awscdk.Stack{copies, evidence} {
					template := *cdktest.Template(stack).ToJSON()
					assert.NotContains(t, textOf(t, template), "Custom::")
					assert.NotContains(t, textOf(t, template), "AWS::SSM::Parameter\"")
					assert.Empty(t, template["Outputs"])
				}
			})
			t.Run("replica", func(t *testing.T) {
				template := cdktest.Template(copies)
				buckets := byLogicalName(t, template, "AWS::S3::Bucket")
				require.Len(t, buckets, 2)
				bucket := buckets["ReplicaBucket"]["Properties"].(map[string]any)
				assert.Equal(t, "copies-123456789012-eu-central-1", bucket["BucketName"])
				assert.JSONEq(t, `{"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 365}}}`,
					textOf(t, bucket["ObjectLockConfiguration"]))
				assert.Equal(t, map[string]any{"Status": "Enabled"}, bucket["VersioningConfiguration"])
				assert.Contains(t, textOf(t, bucket["LoggingConfiguration"]), "ReplicaAccessLogBucket")
				statementBySid(t, byLogicalName(t, template, "AWS::S3::BucketPolicy")["ReplicaAccessLogBucketPolicy"], "ServerAccessLogs")
				alias := byLogicalName(t, template, "AWS::KMS::Alias")["ReplicaAlias"]["Properties"].(map[string]any)
				assert.Equal(t, "alias/copies-123456789012-eu-central-1", alias["AliasName"])
				for id, resource := range (*template.ToJSON())["Resources"].(map[string]any) {
					assert.Equal(t, "RetainExceptOnCreate", resource.(map[string]any)["DeletionPolicy"], id)
					assert.Equal(t, "Retain", resource.(map[string]any)["UpdateReplacePolicy"], id)
				}
			})
			t.Run("source", func(t *testing.T) {
				template := cdktest.Template(evidence)
				bucket := byLogicalName(t, template, "AWS::S3::Bucket")["ArchiveBucket"]["Properties"].(map[string]any)
				role := byLogicalName(t, template, "AWS::IAM::Role")
				require.Len(t, role, 1)
				arn := func(rest string) string {
					if *evidence.Partition() == "aws" {
						return `"arn:aws:` + rest + `"`
					}
					return `{"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":` + rest + `"]]}`
				}
				assert.JSONEq(t, `[{
					"Id": "Archive", "Status": "Enabled", "Priority": 1, "Filter": {"Prefix": ""},
					"DeleteMarkerReplication": {"Status": "Disabled"},
					"SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
					"Destination": {
						"Bucket": `+arn("s3:::copies-123456789012-eu-central-1")+`,
						"EncryptionConfiguration": {"ReplicaKmsKeyID": `+arn("kms:eu-central-1:123456789012:alias/copies-123456789012-eu-central-1")+`},
						"Metrics": {"Status": "Enabled"}
					}
				}]`, textOf(t, bucket["ReplicationConfiguration"].(map[string]any)["Rules"]))
				rights := textOf(t, byLogicalName(t, template, "AWS::IAM::ManagedPolicy")["ArchiveReplicationPolicy"])
				assert.Contains(t, rights, "s3:GetObjectLegalHold")
				assert.NotContains(t, rights, "s3:ReplicateDelete")
				assert.NotContains(t, textOf(t, byLogicalName(t, template, "AWS::S3::Bucket")["ArchiveBucket"]["Metadata"]), "S3BucketReplicationEnabled",
					"nothing to acknowledge")
			})
			t.Run("metrics", func(t *testing.T) {
				failed := textOf(t, evidence.Resolve(a.FailedReplications().ToMetricConfig().MetricStat))
				assert.Contains(t, failed, "OperationsFailedReplication")
				assert.Contains(t, failed, "copies-123456789012-eu-central-1")
				assert.NotContains(t, failed, "eu-central-1\",\"metricName", "published in the archive's own Region")
				assert.Equal(t, "eu-central-1", *a.ReplicationLatency().ToMetricConfig().MetricStat.Region)
				none := archive.New(cdktest.StackIn(cdktest.NewApp(t), "None"), "Archive", nil)
				assert.Nil(t, none.FailedReplications())
				assert.Nil(t, none.ReplicationLatency())
			})
		})
	}
}

// A replica whose account is not known at synthesis, and one that another app made.
func TestReplicaElsewhere(t *testing.T) {
	app := cdktest.NewApp(t)
	copies := awscdk.NewStack(app, jsii.String("Copies"), &awscdk.StackProps{Env: &awscdk.Environment{Region: jsii.String("eu-central-1")}})
	evidence := awscdk.NewStack(app, jsii.String("Evidence"), &awscdk.StackProps{Env: &awscdk.Environment{Region: jsii.String("eu-west-1")}})
	replica := archive.NewReplica(copies, "Replica", nil)
	archive.New(evidence, "Archive", &archive.Props{Replica: replica.Target(), ObjectLock: archive.ObjectLock{Mode: archive.LockOff}})
	archive.New(evidence, "Other", &archive.Props{Replica: archive.ReplicaTarget{BucketName: "mine", Region: "us-west-2", KeyAlias: "alias/mine"}})
	app.Synth(nil)
	name := byLogicalName(t, cdktest.Template(copies), "AWS::S3::Bucket")["ReplicaBucket"]["Properties"].(map[string]any)["BucketName"]
	assert.JSONEq(t, `{"Fn::Join": ["", ["copies-", {"Ref": "AWS::AccountId"}, "-eu-central-1"]]}`, textOf(t, name))
	template := cdktest.Template(evidence)
	buckets := byLogicalName(t, template, "AWS::S3::Bucket")
	assert.Contains(t, textOf(t, buckets["ArchiveBucket"]), `:s3:::copies-",{"Ref":"AWS::AccountId"},"-eu-central-1"`)
	assert.Contains(t, textOf(t, buckets["OtherBucket"]), `:s3:::mine"`)
	rights := byLogicalName(t, template, "AWS::IAM::ManagedPolicy")
	assert.NotContains(t, textOf(t, rights["ArchiveReplicationPolicy"]), "s3:GetObjectRetention", "no lock, nothing to copy of it")
	assert.Contains(t, textOf(t, rights["OtherReplicationPolicy"]), `"kms:ViaService":"s3.us-west-2.amazonaws.com"`)
}

func TestReplicaRefusesBadProps(t *testing.T) {
	app := cdktest.NewApp(t)
	stack := cdktest.StackIn(app, "Test")
	assert.Equal(t, `archive replica "Test/Replica": BucketName: "Mine" is no name of a bucket here: use 3 to 63 lower-case letters, digits and hyphens`,
		cdktest.Panic(t, func() { archive.NewReplica(stack, "Replica", &archive.ReplicaProps{BucketName: "Mine"}) }))
	near := archive.NewReplica(stack, "Near", nil)
	assert.Equal(t, `archive "Test/Archive": Replica.Region: "us-east-1" is the Region of the archive itself: make the Replica in a stack of another Region`,
		cdktest.Panic(t, func() { archive.New(stack, "Archive", &archive.Props{Replica: near.Target()}) }))
	anywhere := awscdk.NewStack(app, jsii.String("Anywhere"), nil)
	assert.Equal(t, `archive replica "Anywhere/Replica": scope: is in a stack that names no Region, so the archive can't say where to copy to: give the stack's Env a Region`,
		cdktest.Panic(t, func() { archive.NewReplica(anywhere, "Replica", nil) }))
	assert.Nil(t, anywhere.Node().TryFindChild(jsii.String("Replica")), "the tree is untouched")
}

func TestInventory(t *testing.T) {
	stack := cdktest.NewStack(t)
	archive.New(stack, "Archive", &archive.Props{Inventory: &archive.Inventory{}})
	own := awss3.NewBucket(stack, jsii.String("Lists"), &awss3.BucketProps{Encryption: awss3.BucketEncryption_KMS})
	archive.New(stack, "Daily", &archive.Props{Inventory: &archive.Inventory{Daily: true, Bucket: own}})
	archive.New(stack, "Imported", &archive.Props{Inventory: &archive.Inventory{
		Bucket: awss3.Bucket_FromBucketName(stack, jsii.String("Theirs"), jsii.String("theirs")),
	}})
	template := cdktest.Template(stack)
	buckets, policies := byLogicalName(t, template, "AWS::S3::Bucket"), byLogicalName(t, template, "AWS::S3::BucketPolicy")
	inventory := func(bucket string) map[string]any {
		list := buckets[bucket]["Properties"].(map[string]any)["InventoryConfigurations"].([]any)
		require.Len(t, list, 1)
		return list[0].(map[string]any)
	}
	weekly := inventory("ArchiveBucket")
	assert.Equal(t, "Weekly", weekly["ScheduleFrequency"])
	assert.Equal(t, "All", weekly["IncludedObjectVersions"])
	for _, field := range []string{"ObjectLockMode", "ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus", "ReplicationStatus"} {
		assert.Contains(t, weekly["OptionalFields"], field)
	}
	destination := weekly["Destination"].(map[string]any)
	assert.Equal(t, "CSV", destination["Format"], "what S3 Batch Operations take")
	assert.Contains(t, textOf(t, destination["BucketArn"]), "ArchiveAccessLogBucket")
	statement := statementBySid(t, policies["ArchiveAccessLogBucketPolicy"], "Inventory")
	assert.Contains(t, textOf(t, statement["Resource"]), `"/inventory/*"`)
	assert.Contains(t, textOf(t, statement["Condition"].(map[string]any)["ArnLike"]), "ArchiveBucket")

	assert.Equal(t, "Daily", inventory("DailyBucket")["ScheduleFrequency"])
	assert.Contains(t, textOf(t, inventory("DailyBucket")["Destination"]), "Lists")
	statementBySid(t, policies["ListsPolicy"], "Inventory")
	assert.Contains(t, sidsOf(t, byLogicalName(t, template, "AWS::KMS::Key")["ListsKey"]["Properties"].(map[string]any)["KeyPolicy"]), "Inventory")

	warnings := warningsOf(stack)
	require.Len(t, warnings, 1)
	assert.Contains(t, warnings[0], "[ack: postern:archive-inventory-policy]")
	assert.Contains(t, warnings[0], "INVENTORY_BUCKET/inventory/*")
}

// Each colder class, in S3's order.
func TestArchiveInEveryClass(t *testing.T) {
	stack := cdktest.NewStack(t)
	archive.New(stack, "Archive", &archive.Props{
		InfrequentAccessAfterDays: 30, GlacierAfterDays: 60, GlacierFlexibleAfterDays: 150, DeepArchiveAfterDays: 240, ExpireAfterDays: 2555,
	})
	bucket := byLogicalName(t, cdktest.Template(stack), "AWS::S3::Bucket")["ArchiveBucket"]["Properties"].(map[string]any)
	assert.JSONEq(t, `[{"StorageClass": "STANDARD_IA", "TransitionInDays": 30}, {"StorageClass": "GLACIER_IR", "TransitionInDays": 60},
		{"StorageClass": "GLACIER", "TransitionInDays": 150}, {"StorageClass": "DEEP_ARCHIVE", "TransitionInDays": 240}]`,
		textOf(t, bucket["LifecycleConfiguration"].(map[string]any)["Rules"].([]any)[0].(map[string]any)["Transitions"]))
}

func TestArchiveSaysWhatStays(t *testing.T) {
	stack := cdktest.NewStack(t)
	kept := func(id string, props *archive.Props) string {
		return textOf(t, stack.Resolve(archive.New(stack, id, props).Kept()))
	}
	usual := kept("Archive", nil)
	for _, part := range []string{
		"Deleting this stack deletes no evidence", "ArchiveKey", "ArchiveBucket", "ArchiveAccessLogBucket",
		"locked for 365 days", "s3:BypassGovernanceRetention", "every log group", "#hdr-Leaving",
	} {
		assert.Contains(t, usual, part)
	}
	assert.Contains(t, kept("Strict", &archive.Props{ObjectLock: archive.ObjectLock{Mode: archive.LockCompliance, Days: 400}}), "locked for 400 days; nobody lifts it")
	own := kept("Own", &archive.Props{Bucket: awss3.NewBucket(stack, jsii.String("Mine"), nil)})
	assert.NotContains(t, own, "bucket ")
	assert.Contains(t, own, "OwnKey")
}

func TestWatchOfReplication(t *testing.T) {
	stack := cdktest.NewStack(t)
	a := archive.New(stack, "Archive", &archive.Props{Replica: archive.ReplicaTarget{BucketName: "mine", Region: "eu-central-1", KeyAlias: "alias/mine"}})
	w := watch.New(stack, "Watch", &watch.Props{Emails: []string{"oncall@example.com"}, ExistingTrail: true})
	assert.Equal(t, `watch "Test/Watch/Alone replication": of: "Test/Alone" is copied nowhere: give it a Replica, or leave this out`,
		cdktest.Panic(t, func() { w.AddReplication(archive.New(stack, "Alone", nil)) }))
	assert.Equal(t, `watch "Test/Watch/Replication": of: is nil: pass an archive with a Replica`, cdktest.Panic(t, func() { w.AddReplication(nil) }))
	w.AddReplication(a)
	assert.Equal(t, `watch "Test/Watch/Archive replication": of: the watch already has "Archive replication": add it once`,
		cdktest.Panic(t, func() { w.AddReplication(a) }))

	alarm := byLogicalName(t, cdktest.Template(stack), "AWS::CloudWatch::Alarm")["WatchArchivereplicationCopyFailed"]["Properties"].(map[string]any)
	assert.Equal(t, "OperationsFailedReplication", alarm["MetricName"])
	assert.Equal(t, "AWS/S3", alarm["Namespace"])
	assert.Equal(t, "notBreaching", alarm["TreatMissingData"], "S3 sends the metric when something fails")
	assert.Contains(t, textOf(t, alarm["Dimensions"]), `{"Name":"DestinationBucket","Value":"mine"}`)
	assert.Contains(t, alarm["AlarmDescription"], "docs/runbooks/copy-failed.md")
	assert.NotEmpty(t, alarm["AlarmActions"])
}
