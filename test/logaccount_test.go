package test_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/constructs/bastion"
	"github.com/postern-cdk/postern/constructs/network"
	"github.com/postern-cdk/postern/constructs/session"
	"github.com/postern-cdk/postern/constructs/watch"
	"github.com/postern-cdk/postern/internal/cdktest"
)

const (
	logAccount     = "999988887777"
	sourceAccount  = "123456789012" // that of cdktest.StackIn
	organization   = "o-a1b2c3d4e5"
	centralBucket  = "evidence-archivebucket-1a2b3c"
	centralKey     = "arn:aws:kms:us-east-1:999988887777:key/11111111-2222-3333-4444-555555555555"
	centralForward = "arn:aws:logs:us-east-1:999988887777:destination:Evidence-Archive"
)

// evidenceIn makes a stack in the log account.
func evidenceIn(app awscdk.App) awscdk.Stack {
	return cdktest.StackAt(app, "Evidence", logAccount, "us-east-1")
}

func central(stack awscdk.Stack) *archive.LogAccount {
	return archive.FromLogAccount(stack, "LogAccount", &archive.LogAccountProps{
		BucketName: centralBucket, KeyArn: centralKey, DestinationArn: centralForward,
	})
}

var (
	sourceBucketSids = []string{
		"SourceRecords", "SourceTranscripts", "SourceCheck", "SourceLogDelivery", "SourceLogDeliveryCheck", "SourceTrails", "SourceTrailsCheck",
	}
	sourceKeySids = []string{"SourceRecords", "SourceLogDelivery", "SourceTrails", "SourceTrailsCheck"}
)

func TestLogAccountTakesAnOrganization(t *testing.T) {
	for name, app := range map[string]awscdk.App{
		"with flags":    cdktest.NewApp(t),
		"without flags": cdktest.NewAppWithoutFlags(t),
	} {
		t.Run(name, func(t *testing.T) {
			stack := evidenceIn(app)
			a := archive.New(stack, "Archive", &archive.Props{Sources: &archive.Sources{OrganizationID: organization}})
			assert.NotEmpty(t, a.DeliveryStreamName())
			assert.NotEmpty(t, a.DestinationArn())
			template := cdktest.Template(stack)
			assert.Empty(t, warningsOf(stack))

			bucket := byLogicalName(t, template, "AWS::S3::BucketPolicy")["ArchiveBucketPolicy"]
			key := byLogicalName(t, template, "AWS::KMS::Key")["ArchiveKey"]["Properties"].(map[string]any)["KeyPolicy"]
			assert.Subset(t, sidsOf(t, bucket["Properties"].(map[string]any)["PolicyDocument"]), sourceBucketSids)
			assert.Subset(t, sidsOf(t, key), sourceKeySids)

			t.Run("nobody without the organization", func(t *testing.T) {
				allows := 0
				for _, document := range append(documents(t, template), destinationPolicy(t, template)) {
					for _, s := range document {
						if s["Effect"] != "Allow" || !strings.Contains(textOf(t, s["Principal"]), `"*"`) {
							continue
						}
						allows++
						condition := textOf(t, s["Condition"])
						if !strings.Contains(condition, `"aws:PrincipalArn"`) { // Auto Scaling's role of this account
							assert.Contains(t, condition, `"StringEquals":{"aws:PrincipalOrgID":"`+organization+`"`, "%v", s)
						}
					}
				}
				assert.Equal(t, 7, allows, "four of the sources, one of the destination, two of Auto Scaling")
				for _, sid := range []string{"SourceLogDelivery", "SourceLogDeliveryCheck", "SourceTrails", "SourceTrailsCheck"} {
					assert.Contains(t, textOf(t, statementBySid(t, bucket, sid)["Condition"]), `"aws:SourceOrgID":"`+organization+`"`, sid)
				}
			})
			t.Run("each below its own number", func(t *testing.T) {
				assert.Contains(t, textOf(t, statementBySid(t, bucket, "SourceRecords")["Resource"]), "/sessions/${aws:PrincipalAccount}/*")
				assert.Contains(t, textOf(t, statementBySid(t, bucket, "SourceRecords")["Resource"]), "/session-manager/${aws:PrincipalAccount}/*")
				assert.Equal(t, "s3:PutObject", statementBySid(t, bucket, "SourceRecords")["Action"])
			})
			t.Run("stream", func(t *testing.T) {
				streams := byLogicalName(t, template, "AWS::KinesisFirehose::DeliveryStream")
				require.Len(t, streams, 1)
				stream := streams["ArchiveSourcesStream"]["Properties"].(map[string]any)
				assert.Contains(t, textOf(t, stream["DeliveryStreamEncryptionConfigurationInput"]), `"KeyType":"CUSTOMER_MANAGED_CMK"`)
				to := stream["ExtendedS3DestinationConfiguration"].(map[string]any)
				assert.Equal(t, "logs/!{timestamp:yyyy/MM/dd/HH}/", to["Prefix"])
				assert.Equal(t, "logs-failed/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd}/", to["ErrorOutputPrefix"])
				assert.Equal(t, "GZIP", to["CompressionFormat"])
				assert.JSONEq(t, `{"IntervalInSeconds": 300, "SizeInMBs": 64}`, textOf(t, to["BufferingHints"]))
				assert.JSONEq(t, `{"Enabled": true, "Processors": [
					{"Type": "Decompression", "Parameters": [{"ParameterName": "CompressionFormat", "ParameterValue": "GZIP"}]},
					{"Type": "AppendDelimiterToRecord", "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}]}]}`,
					textOf(t, to["ProcessingConfiguration"]))
				assert.Contains(t, textOf(t, to["CloudWatchLoggingOptions"]), `"Enabled":true`)
				assert.Contains(t, textOf(t, streams["ArchiveSourcesStream"]["DependsOn"]), "ArchiveSourcesPolicy", "Firehose tries the role at once")
			})
			t.Run("destination", func(t *testing.T) {
				destination := byLogicalName(t, template, "AWS::Logs::Destination")["ArchiveSourcesDestination"]
				properties := destination["Properties"].(map[string]any)
				assert.Equal(t, "Evidence-Archive", properties["DestinationName"], "its ARN can be foretold")
				assert.Contains(t, textOf(t, properties["TargetArn"]), "ArchiveSourcesStream")
				statements := destinationPolicy(t, template)
				require.Len(t, statements, 1)
				assert.JSONEq(t, `{"AWS": "*"}`, textOf(t, statements[0]["Principal"]))
				assert.JSONEq(t, `["logs:PutSubscriptionFilter"]`, textOf(t, statements[0]["Action"]))
				assert.JSONEq(t, `["arn:aws:logs:us-east-1:999988887777:destination:Evidence-Archive"]`, textOf(t, statements[0]["Resource"]))
			})
			t.Run("what to paste", func(t *testing.T) {
				outputs := map[string]string{}
				for id, output := range *template.FindOutputs(jsii.String("*"), nil) {
					outputs[id] = textOf(t, (*output)["Value"])
				}
				require.Len(t, outputs, 2)
				for _, value := range outputs {
					assert.Contains(t, value, "ArchiveBucket")
					assert.Contains(t, value, "ArchiveKey")
					assert.Contains(t, value, "ArchiveSourcesDestination")
				}
			})
		})
	}
}

// documents are the statements of the bucket and key policies of a template.
func documents(t *testing.T, template assertions.Template) [][]map[string]any {
	t.Helper()
	var all [][]map[string]any
	for kind, property := range map[string]string{"AWS::S3::BucketPolicy": "PolicyDocument", "AWS::KMS::Key": "KeyPolicy"} {
		for _, resource := range *template.FindResources(&kind, nil) {
			document := (*resource)["Properties"].(map[string]any)[property].(map[string]any)
			var list []map[string]any
			for _, s := range document["Statement"].([]any) {
				list = append(list, s.(map[string]any))
			}
			all = append(all, list)
		}
	}
	return all
}

// destinationPolicy is who may send to the only destination of a template, which
// takes it as text.
func destinationPolicy(t *testing.T, template assertions.Template) []map[string]any {
	t.Helper()
	kind := "AWS::Logs::Destination"
	for _, resource := range *template.FindResources(&kind, nil) {
		text := resolved(t, (*resource)["Properties"].(map[string]any)["DestinationPolicy"])
		var document struct{ Statement []map[string]any }
		require.NoError(t, json.Unmarshal([]byte(text), &document), text)
		return document.Statement
	}
	require.Fail(t, "no destination")
	return nil
}

// resolved is text whose only function is the partition.
func resolved(t *testing.T, value any) string {
	t.Helper()
	text, ok := settled(t, value).(string)
	require.True(t, ok, "%v", value)
	return text
}

// settled is part of a template with the functions in it resolved: a reference to
// a bucket to the longest there is.
func settled(t *testing.T, value any) any {
	t.Helper()
	switch v := value.(type) {
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = settled(t, item)
		}
		return list
	case map[string]any:
		if v["Ref"] == "AWS::Partition" {
			return "aws"
		}
		if at, ok := v["Fn::GetAtt"].([]any); ok && strings.HasPrefix(at[0].(string), "ArchiveBucket") {
			return "arn:aws:s3:::" + strings.Repeat("b", 63)
		}
		if join, ok := v["Fn::Join"].([]any); ok {
			var parts []string
			for _, part := range join[1].([]any) {
				parts = append(parts, resolved(t, part))
			}
			return strings.Join(parts, join[0].(string))
		}
		object := map[string]any{}
		for key, item := range v {
			object[key] = settled(t, item)
		}
		return object
	}
	return value
}

func TestLogAccountTakesAccounts(t *testing.T) {
	for name, test := range map[string]struct {
		sources archive.Sources
		inOrg   bool
	}{
		"anywhere":           {archive.Sources{Accounts: []string{sourceAccount, "210987654321"}}, false},
		"in an organization": {archive.Sources{Accounts: []string{sourceAccount, "210987654321"}, OrganizationID: organization, Buffer: time.Minute}, true},
	} {
		t.Run(name, func(t *testing.T) {
			stack := evidenceIn(cdktest.NewApp(t))
			archive.New(stack, "Archive", &archive.Props{Sources: &test.sources})
			template := cdktest.Template(stack)
			bucket := byLogicalName(t, template, "AWS::S3::BucketPolicy")["ArchiveBucketPolicy"]

			statement := statementBySid(t, bucket, "SourceRecords")
			assert.Contains(t, textOf(t, statement["Principal"]), sourceAccount)
			assert.Contains(t, textOf(t, statement["Principal"]), "210987654321")
			assert.NotContains(t, textOf(t, statement["Principal"]), `"*"`)
			assert.Equal(t, test.inOrg, strings.Contains(textOf(t, statement["Condition"]), "aws:PrincipalOrgID"))

			statement = statementBySid(t, bucket, "SourceLogDelivery")
			assert.Contains(t, textOf(t, statement["Resource"]), "/AWSLogs/"+sourceAccount+"/*")
			assert.Contains(t, textOf(t, statement["Condition"]), `"aws:SourceAccount":["123456789012","210987654321"]`)
			assert.Equal(t, test.inOrg, strings.Contains(textOf(t, statement["Condition"]), "aws:SourceOrgID"))

			who := destinationPolicy(t, template)[0]
			assert.JSONEq(t, `{"AWS": ["123456789012", "210987654321"]}`, textOf(t, who["Principal"]))
			assert.Equal(t, test.inOrg, strings.Contains(textOf(t, who["Condition"]), "aws:PrincipalOrgID"))
		})
	}
}

// What S3, KMS and CloudWatch Logs take of policies.
func TestLogAccountPoliciesFit(t *testing.T) {
	stack := evidenceIn(cdktest.NewApp(t))
	many := make([]string, archive.MaxAccounts)
	for i := range many {
		many[i] = fmt.Sprintf("2%011d", i)
	}
	archive.New(stack, "Archive", &archive.Props{Sources: &archive.Sources{Accounts: many, OrganizationID: organization}})
	template := cdktest.Template(stack)
	size := func(document any) int { return len(textOf(t, settled(t, document))) }
	policies := byLogicalName(t, template, "AWS::S3::BucketPolicy")
	assert.Less(t, size(policies["ArchiveBucketPolicy"]["Properties"].(map[string]any)["PolicyDocument"]), 20<<10)
	key := byLogicalName(t, template, "AWS::KMS::Key")["ArchiveKey"]["Properties"].(map[string]any)["KeyPolicy"]
	assert.Less(t, size(key), 32<<10)
	text := resolved(t, byLogicalName(t, template, "AWS::Logs::Destination")["ArchiveSourcesDestination"]["Properties"].(map[string]any)["DestinationPolicy"])
	assert.Less(t, len(text), 5120)
}

// A source: two lines, and what is made otherwise goes to the log account.
func TestLogAccountSource(t *testing.T) {
	app := cdktest.NewApp(t)
	stack := cdktest.StackIn(app, "Workload")
	a := archive.New(stack, "Archive", &archive.Props{LogAccount: central(stack)})
	hostLogs := a.AddLogGroup("Host")
	a.AddLogGroup("Sudo")
	b := bastion.New(stack, "Bastion", &bastion.Props{Key: a.Key(), Bucket: a.Bucket(), LogGroup: hostLogs})
	shells := session.NewPreferences(stack, "Shell", &session.PreferencesProps{
		Settings: session.Settings{Bucket: a.Bucket(), LogGroup: a.AddLogGroup("Sessions")},
	})
	shells.AllowHost(b)
	network.New(stack, "Observed", &network.Props{FlowLogs: &network.FlowLogs{Bucket: a.Bucket()}})
	template := cdktest.Template(stack)

	t.Run("nothing is left to be said", func(t *testing.T) {
		for _, warning := range warningsOf(stack) {
			assert.NotContains(t, warning, "imported", "its policy is in order")
		}
		assert.Nil(t, a.AccessLogBucket())
		assert.Empty(t, a.DeliveryStreamName())
		for name := range byLogicalName(t, template, "AWS::S3::Bucket") {
			assert.Contains(t, name, "BastionPeople", "records have no bucket here")
		}
	})
	t.Run("log groups are forwarded", func(t *testing.T) {
		filters := byLogicalName(t, template, "AWS::Logs::SubscriptionFilter")
		groups := byLogicalName(t, template, "AWS::Logs::LogGroup")
		require.Len(t, filters, 3)
		for name, filter := range filters {
			properties := filter["Properties"].(map[string]any)
			assert.Empty(t, properties["FilterPattern"], "everything")
			assert.Equal(t, centralForward, properties["DestinationArn"])
			group := strings.TrimSuffix(name, "Forward")
			assert.Contains(t, groups, group)
			assert.Contains(t, textOf(t, properties["LogGroupName"]), group)
			assert.Contains(t, textOf(t, filter["DependsOn"]), "ArchiveForwardPolicy", "CloudWatch Logs tries at once")
		}
		allowed := byLogicalName(t, template, "AWS::IAM::ManagedPolicy")["ArchiveForwardPolicy"]["Properties"].(map[string]any)["PolicyDocument"]
		for _, group := range []string{"ArchiveHost", "ArchiveSudo", "ArchiveSessions"} {
			assert.Contains(t, textOf(t, allowed), group)
		}
	})
	t.Run("the bastion puts its records below the account's number", func(t *testing.T) {
		policy := byLogicalName(t, template, "AWS::IAM::ManagedPolicy")["BastionRecordsPolicy"]
		records := statementBySid(t, policy, "Records")
		assert.Equal(t, "s3:PutObject", records["Action"])
		assert.Contains(t, textOf(t, records["Resource"]), centralBucket+"/sessions/"+sourceAccount+"/*")
		key := statementBySid(t, policy, "RecordsKey")
		assert.Equal(t, centralKey, key["Resource"])
		assert.Equal(t, "kms:GenerateDataKey", key["Action"])
		assert.Contains(t, textOf(t, statementBySid(t, policy, "PeopleKeys")["Resource"]), "BastionPeopleBucket", "people are managed here")
		assert.Contains(t, b.ReplayCommand("20261121T234501Z-0a1b2c3d"), centralBucket+"/sessions/"+sourceAccount+"/2026/11/21/")
		assert.NotEqual(t, centralBucket, *b.PeopleBucket().BucketName())
	})
	t.Run("its way there is open", func(t *testing.T) {
		for name, endpoint := range byLogicalName(t, template, "AWS::EC2::VPCEndpoint") {
			if !strings.HasSuffix(name, "EndpointsS3") && !strings.HasSuffix(name, "Endpointss3") {
				continue
			}
			statement := statementBySid(t, endpoint, "RecordsElsewhere1")
			assert.Contains(t, statement["Action"], "s3:PutObject")
			assert.NotContains(t, textOf(t, statement["Action"]), "GetObject")
			assert.Contains(t, textOf(t, statement["Resource"]), centralBucket+"/*")
			assert.Contains(t, textOf(t, statement["Condition"]), `"aws:PrincipalAccount":"`+sourceAccount+`"`)
			return
		}
		assert.Fail(t, "the bastion has no S3 gateway")
	})
	t.Run("transcripts, too", func(t *testing.T) {
		host := byLogicalName(t, template, "AWS::IAM::ManagedPolicy")["ShellHostPolicy"]
		assert.Contains(t, textOf(t, statementBySid(t, host, "Transcript")["Resource"]), centralBucket+"/session-manager/"+sourceAccount+"/*")
		assert.Contains(t, textOf(t, byLogicalName(t, template, "AWS::SSM::Document")["Shell"]["Properties"]), "session-manager/"+sourceAccount)
	})
	t.Run("and flow logs", func(t *testing.T) {
		for _, log := range byLogicalName(t, template, "AWS::EC2::FlowLog") {
			if text := textOf(t, log["Properties"]); strings.Contains(text, "Observed") {
				assert.Contains(t, text, centralBucket)
				return
			}
		}
		assert.Fail(t, "no flow log goes there")
	})
}

// Both ends, as CloudFormation gets them.
func TestLogAccountGoldens(t *testing.T) {
	app := cdktest.NewApp(t)
	archive.New(evidenceIn(app), "Archive", &archive.Props{
		Sources: &archive.Sources{Accounts: []string{sourceAccount}, OrganizationID: organization},
	})
	stack := cdktest.StackIn(app, "Workload")
	a := archive.New(stack, "Archive", &archive.Props{LogAccount: central(stack)})
	a.AddLogGroup("Sessions")
	golden(t, "constructs/logaccount", *app.Synth(nil).Directory())
}

func TestLogAccountWithImportedCollaborators(t *testing.T) {
	stack := evidenceIn(cdktest.NewApp(t))
	archive.New(stack, "Archive", &archive.Props{
		Key:     awskms.Key_FromKeyArn(stack, jsii.String("MyKey"), jsii.String(centralKey)),
		Bucket:  awss3.Bucket_FromBucketName(stack, jsii.String("MyBucket"), jsii.String(centralBucket)),
		Sources: &archive.Sources{OrganizationID: organization},
	})
	warnings := strings.Join(warningsOf(stack), "\n")
	for _, sid := range sourceBucketSids {
		assert.Contains(t, warnings, fmt.Sprintf("%q:%q", "Sid", sid))
	}
	assert.Contains(t, warnings, "[ack: postern:archive-source-bucket-policy]")
	assert.Contains(t, warnings, "[ack: postern:archive-source-key-policy]")
	assert.Contains(t, warnings, organization)
}

// Without an account and Region the policies refer to those of the deploy, in
// whichever partition.
func TestLogAccountWithoutEnvironment(t *testing.T) {
	stack := awscdk.NewStack(cdktest.NewApp(t), jsii.String("Test"), nil)
	archive.New(stack, "Archive", &archive.Props{Sources: &archive.Sources{OrganizationID: organization}})
	source := awscdk.NewStack(cdktest.NewApp(t), jsii.String("Source"), nil)
	a := archive.New(source, "Archive", &archive.Props{LogAccount: central(source)})
	a.AddLogGroup("Sessions")
	for _, s := range []awscdk.Stack{stack, source} {
		text := textOf(t, *cdktest.Template(s).ToJSON())
		assert.NotContains(t, strings.ReplaceAll(strings.ReplaceAll(text, centralKey, ""), centralForward, ""), "arn:aws:")
		assert.NotContains(t, text, "Token[")
	}
}

func TestLogAccountRefusesBadProps(t *testing.T) {
	stack := cdktest.NewStack(t)
	assert.Equal(t, `archive "Test/Archive": Sources: names nobody: name Accounts or an OrganizationID, or leave Sources out`,
		cdktest.Panic(t, func() { archive.New(stack, "Archive", &archive.Props{Sources: &archive.Sources{}}) }))
	assert.Equal(t, `archive "Test/Archive": Sources.Accounts[1]: 123456789012 is the account of the archive itself: `+
		`leave it out: what is recorded in the archive's own account needs no mention`,
		cdktest.Panic(t, func() {
			archive.New(stack, "Archive", &archive.Props{Sources: &archive.Sources{Accounts: []string{"210987654321", sourceAccount}}})
		}))
	own := strings.ReplaceAll(centralKey, logAccount, sourceAccount)
	assert.Equal(t, `log account "Test/LogAccount": KeyArn: 123456789012 is this stack's own account, where evidence is within reach of those it is about: `+
		`name the archive of another account, or leave Props.LogAccount out to have an archive here`,
		cdktest.Panic(t, func() {
			archive.FromLogAccount(stack, "LogAccount", &archive.LogAccountProps{
				BucketName: centralBucket, KeyArn: own, DestinationArn: strings.ReplaceAll(centralForward, logAccount, sourceAccount),
			})
		}))
	assert.Equal(t, `log account "Test/LogAccount": DestinationArn: is in eu-west-1 and this stack in us-east-1, and CloudWatch Logs sends log groups `+
		`to a destination of their own Region only: deploy an archive with Sources to us-east-1 in the log account, too, and paste its outputs`,
		cdktest.Panic(t, func() {
			archive.FromLogAccount(stack, "LogAccount", &archive.LogAccountProps{
				BucketName: centralBucket, KeyArn: strings.ReplaceAll(centralKey, "us-east-1", "eu-west-1"),
				DestinationArn: strings.ReplaceAll(centralForward, "us-east-1", "eu-west-1"),
			})
		}))
	assert.Empty(t, *stack.Node().Children(), "the tree is untouched")

	there := central(stack)
	a := archive.New(stack, "Archive", &archive.Props{LogAccount: there})
	assert.Contains(t, cdktest.Panic(t, func() {
		a.AddLogGroupWith("Flow", &archive.LogGroupOptions{Class: archive.ClassInfrequentAccess})
	}), "Class: ClassInfrequentAccess has no subscription filters, and so no way to the LogAccount: leave it out")
	assert.Contains(t, cdktest.Panic(t, func() {
		session.NewPreferences(stack, "Shell", &session.PreferencesProps{Settings: session.Settings{Bucket: there.Bucket(), Prefix: "shells"}})
	}), `Prefix: the Bucket's log account takes transcripts below "session-manager/ACCOUNT" only, and not below "shells": leave it out`)
	assert.Contains(t, cdktest.Panic(t, func() {
		network.New(stack, "Network", &network.Props{FlowLogs: &network.FlowLogs{Bucket: there.Bucket(), Prefix: "flow"}})
	}), `FlowLogs.Prefix: the Bucket's log account takes flow logs below "AWSLogs/ACCOUNT/" only, and not below "flow": leave it out`)

	nowhere := awscdk.NewStack(cdktest.NewApp(t), jsii.String("Nowhere"), nil)
	assert.Contains(t, cdktest.Panic(t, func() {
		bastion.New(nowhere, "Bastion", &bastion.Props{Bucket: central(nowhere).Bucket()})
	}), "Bucket: belongs to a log account, where each account's records are below its number, and the stack doesn't say what account it is for: "+
		"give the stack an Env with Account and Region")
}

func TestLogAccountSatisfiesTheRulePacks(t *testing.T) {
	app := newJudgedApp(t)
	evidence := evidenceIn(app)
	archive.New(evidence, "Archive", &archive.Props{Sources: &archive.Sources{OrganizationID: organization}})
	source := cdktest.StackIn(app, "Workload")
	a := archive.New(source, "Archive", &archive.Props{LogAccount: central(source)})
	b := bastion.New(source, "Bastion", &bastion.Props{Key: a.Key(), Bucket: a.Bucket(), LogGroup: a.AddLogGroup("Host")})
	assert.NotNil(t, b)
	for _, stack := range []awscdk.Stack{evidence, source} {
		addRulePacks(stack)
		assert.Empty(t, findings(stack))
	}
}

func TestLogAccountDeliveryIsWatched(t *testing.T) {
	app := newJudgedApp(t)
	stack := evidenceIn(app)
	a := archive.New(stack, "Archive", &archive.Props{Sources: &archive.Sources{OrganizationID: organization}})
	w := watch.New(stack, "Watch", &watch.Props{Key: a.Key(), Emails: []string{"evidence@example.com"}, ExistingTrail: true})
	w.AddDelivery(a)
	assert.Equal(t, `watch delivery "Evidence/Watch/Archive delivery": delivery: the watch already has "Archive delivery": add it once`,
		cdktest.Panic(t, func() { w.AddDelivery(a) }))
	assert.Equal(t, `watch delivery "Evidence/Watch/Delivery": delivery: is nil: pass an archive with Sources`, cdktest.Panic(t, func() { w.AddDelivery(nil) }))
	plain := archive.New(stack, "Plain", nil)
	assert.Equal(t, `watch delivery "Evidence/Watch/Delivery": delivery: Evidence/Plain takes no log events of other accounts: give it Sources, or leave this out`,
		cdktest.Panic(t, func() { w.AddDelivery(plain) }))

	addRulePacks(stack)
	assert.Empty(t, findings(stack))
	alarms := byLogicalName(t, cdktest.Template(stack), "AWS::CloudWatch::Alarm")
	alarm := func(name string) map[string]any {
		properties, ok := alarms["WatchArchivedelivery"+name]["Properties"].(map[string]any)
		require.True(t, ok, "%s of %v", name, alarms)
		text := properties["AlarmDescription"].(string)
		assert.Contains(t, text, "Archive Evidence/Archive: ")
		assert.Contains(t, text, "/docs/runbooks/log-delivery.md")
		assert.Len(t, properties["AlarmActions"], 1)
		assert.Len(t, properties["OKActions"], 1)
		return properties
	}
	require.Len(t, alarms, 4)
	for name, want := range map[string][]any{
		"DeliveryDelayed":     {"DeliveryToS3.DataFreshness", "Maximum", 1800., 2., "notBreaching"},
		"DeliveryNotUnpacked": {"OutputDecompressedRecords.Failed", "Sum", 1., 1., "notBreaching"},
		"DeliveryThrottled":   {"ThrottledRecords", "Sum", 1., 3., "notBreaching"},
	} {
		p := alarm(name)
		assert.Equal(t, want, []any{p["MetricName"], p["Statistic"], p["Threshold"], p["EvaluationPeriods"], p["TreatMissingData"]}, name)
		assert.Equal(t, "AWS/Firehose", p["Namespace"])
		assert.Contains(t, textOf(t, p["Dimensions"]), `"Name":"DeliveryStreamName","Value":{"Ref":"ArchiveSourcesStream`)
	}
	silent := alarm("DeliverySilent")
	assert.Equal(t, "breaching", silent["TreatMissingData"], "silence is what it is about")
	assert.Contains(t, textOf(t, silent["Metrics"]), `"IF(incoming \u003c 1, 1, 0)"`)
	assert.Contains(t, textOf(t, silent["Metrics"]), `"IncomingRecords"`)
}

// A log group that a session document makes is of this account, and so is its key.
func TestLogAccountKeyStaysThere(t *testing.T) {
	stack := cdktest.StackIn(cdktest.NewApp(t), "Workload")
	bucket := central(stack).Bucket()
	session.NewPreferences(stack, "Shell", &session.PreferencesProps{Settings: session.Settings{Bucket: bucket}})
	template := cdktest.Template(stack)
	group := byLogicalName(t, template, "AWS::Logs::LogGroup")["ShellLogGroup"]["Properties"].(map[string]any)
	assert.Contains(t, textOf(t, group["KmsKeyId"]), "ShellRecordsKey")
	assert.Empty(t, warningsOf(stack))
}
