package test_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/constructs/trail"
	"github.com/postern-cdk/postern/constructs/watch"
	"github.com/postern-cdk/postern/internal/cdktest"
)

func TestTrailByDefault(t *testing.T) {
	for name, app := range map[string]awscdk.App{
		"with flags":    cdktest.NewApp(t),
		"without flags": cdktest.NewAppWithoutFlags(t),
	} {
		t.Run(name, func(t *testing.T) {
			stack := cdktest.StackIn(app, "Test")
			made := trail.New(stack, "Trail", nil)
			template := cdktest.Template(stack)
			all := resourcesOf(t, template)
			_, r := onlyOf(t, all, "AWS::CloudTrail::Trail", "")

			assert.Equal(t, map[string]int{
				"AWS::CloudTrail::Trail": 1, "AWS::KMS::Key": 1, "AWS::S3::Bucket": 2, "AWS::S3::BucketPolicy": 2,
			}, countTypes(all), "an archive of its own, no log group and no role")
			for id, r := range all {
				if r.Type == "AWS::CloudTrail::Trail" {
					assert.Equal(t, "RetainExceptOnCreate", r.DeletionPolicy, "one that was never made whole is in the way of the next")
				} else {
					assert.Equal(t, "Retain", r.DeletionPolicy, id)
				}
			}
			p := r.Properties
			for _, yes := range []string{"IsLogging", "IsMultiRegionTrail", "IncludeGlobalServiceEvents", "EnableLogFileValidation"} {
				assert.Equal(t, true, p[yes], yes)
			}
			assert.Equal(t, "trail", p["S3KeyPrefix"])
			assert.Contains(t, textOf(t, p["S3BucketName"]), "TrailArchiveBucket")
			assert.Contains(t, textOf(t, p["KMSKeyId"]), "TrailArchiveKey")
			assert.JSONEq(t, `[{"ReadWriteType": "All", "IncludeManagementEvents": true}]`, textOf(t, p["EventSelectors"]))
			assert.NotContains(t, p, "AdvancedEventSelectors")
			assert.NotContains(t, p, "IsOrganizationTrail")
			assert.NotContains(t, p, "CloudWatchLogsRoleArn")
			assert.Contains(t, textOf(t, r.DependsOn), "TrailArchiveBucketPolicy", "CloudTrail tries the bucket when the trail is made")

			name := made.TrailName()
			assert.Regexp(t, `^Test-Trail-[A-F0-9]{8}-\$\{Token`, name)
			assert.Contains(t, textOf(t, p["TrailName"]), `{"Ref":"AWS::StackId"}`, "a stack that is made again makes another")
			assert.Equal(t, stack.Resolve(&name), p["TrailName"])
			arn := made.TrailArn()
			assert.True(t, strings.HasSuffix(arn, ":cloudtrail:us-east-1:123456789012:trail/"+name), arn)

			bucketPolicy := byLogicalName(t, template, "AWS::S3::BucketPolicy")["TrailArchiveBucketPolicy"]
			source := textOf(t, stack.Resolve(jsii.String(arn)))
			assert.Contains(t, source, ":cloudtrail:us-east-1:123456789012:trail/Test-Trail-")
			check := statementBySid(t, bucketPolicy, "CloudTrailCheck")
			assert.JSONEq(t, `{"StringEquals": {"aws:SourceArn": `+source+`}}`, textOf(t, check["Condition"]))
			write := statementBySid(t, bucketPolicy, "CloudTrailWrite")
			assert.JSONEq(t, `{"StringEquals": {"aws:SourceArn": `+source+`, "s3:x-amz-acl": "bucket-owner-full-control"}}`, textOf(t, write["Condition"]))
			assert.Contains(t, textOf(t, write["Resource"]), `/trail/AWSLogs/123456789012/*`)
			sids := sidsOf(t, byLogicalName(t, template, "AWS::KMS::Key")["TrailArchiveKey"]["Properties"].(map[string]any)["KeyPolicy"])
			assert.Equal(t, archiveKeySids, sids, "no statement twice")
			assert.Nil(t, made.LogGroup())
			assert.Empty(t, warningsOf(stack))
		})
	}
}

func TestTrailWithEverything(t *testing.T) {
	stack := cdktest.NewStack(t)
	a := archive.New(stack, "Archive", nil)
	made := trail.New(stack, "Trail", &trail.Props{
		Name: "Audit", Bucket: a.Bucket(), Key: a.Key(), Prefix: "calls/all", LogGroup: a.AddLogGroup("Trail"),
		RecordObjects: true, OrganizationID: "o-exampleorgid",
	})
	template := cdktest.Template(stack)
	all := resourcesOf(t, template)
	_, r := onlyOf(t, all, "AWS::CloudTrail::Trail", "")
	p := r.Properties

	assert.Equal(t, "Audit", p["TrailName"])
	assert.Equal(t, true, p["IsOrganizationTrail"])
	assert.NotContains(t, p, "EventSelectors", "CloudTrail takes one kind of selectors")
	selectors := strings.ReplaceAll(textOf(t, p["AdvancedEventSelectors"]), textOf(t, stack.Resolve(a.Bucket().BucketArn())), `"BUCKET"`)
	assert.JSONEq(t, `[
		{"Name": "Management events", "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]},
		{"Name": "Objects of the archive", "FieldSelectors": [
			{"Field": "eventCategory", "Equals": ["Data"]}, {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
			{"Field": "resources.ARN", "StartsWith": [{"Fn::Join": ["", ["BUCKET", "/"]]}],
			 "NotStartsWith": [{"Fn::Join": ["", ["BUCKET", "/calls/all/AWSLogs/"]]}]}]},
		{"Name": "Log files, but for their delivery", "FieldSelectors": [
			{"Field": "eventCategory", "Equals": ["Data"]}, {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
			{"Field": "resources.ARN", "StartsWith": [{"Fn::Join": ["", ["BUCKET", "/calls/all/AWSLogs/"]]}]},
			{"Field": "eventName", "NotEquals": ["PutObject"]}]}
	]`, selectors)

	write := statementBySid(t, byLogicalName(t, template, "AWS::S3::BucketPolicy")["ArchiveBucketPolicy"], "CloudTrailWrite")
	assert.Contains(t, textOf(t, write["Resource"]), "/calls/all/AWSLogs/123456789012/*")
	assert.Contains(t, textOf(t, write["Resource"]), "/calls/all/AWSLogs/o-exampleorgid/*")

	require.Contains(t, p, "CloudWatchLogsLogGroupArn")
	assert.Regexp(t, `:log-group:",\{"Ref":"ArchiveTrail[A-F0-9]{8}"\},":\*"`, textOf(t, p["CloudWatchLogsLogGroupArn"]))
	roles := ofType(all, "AWS::IAM::Role")
	require.Len(t, roles, 1)
	for id, role := range roles {
		assert.Contains(t, textOf(t, p["CloudWatchLogsRoleArn"]), id)
		assert.Equal(t, "RetainExceptOnCreate", role.DeletionPolicy)
		assert.Contains(t, textOf(t, role.Properties["ManagedPolicyArns"]), "TrailLogPolicy", "the role has its policy when the trail tries it")
	}
	policies := ofType(all, "AWS::IAM::ManagedPolicy")
	require.Len(t, policies, 1)
	for _, policy := range policies {
		assert.Equal(t, "RetainExceptOnCreate", policy.DeletionPolicy)
		statement := textOf(t, policy.Properties["PolicyDocument"])
		assert.Contains(t, statement, `["logs:CreateLogStream","logs:PutLogEvents"]`)
		assert.Contains(t, statement, `:log-stream:123456789012_CloudTrail_us-east-1*`)
		assert.Contains(t, statement, `:log-stream:o-exampleorgid_*`)
	}
	assert.NotNil(t, made.LogGroup())
	assert.Empty(t, warningsOf(stack))
}

func TestTrailMakesItsLogGroup(t *testing.T) {
	stack := cdktest.NewStack(t)
	made := trail.New(stack, "Trail", &trail.Props{WithLogGroup: true})
	groups := byLogicalName(t, cdktest.Template(stack), "AWS::Logs::LogGroup")
	require.Len(t, groups, 1)
	group := groups["TrailLogGroup"]
	assert.Equal(t, "Retain", group["DeletionPolicy"])
	assert.EqualValues(t, 365, group["Properties"].(map[string]any)["RetentionInDays"])
	assert.Equal(t, true, group["Properties"].(map[string]any)["DeletionProtectionEnabled"])
	assert.Contains(t, textOf(t, group["Properties"].(map[string]any)["KmsKeyId"]), "TrailArchiveKey")
	assert.Equal(t, "Test/Trail/LogGroup", *made.LogGroup().Node().Path())
}

// A bucket without a key of its own has one made for the trail alone.
func TestTrailIntoOwnBucket(t *testing.T) {
	stack := cdktest.NewStack(t)
	mine := awss3.NewBucket(stack, jsii.String("Mine"), nil)
	made := trail.New(stack, "Trail", &trail.Props{Bucket: mine, WithLogGroup: true})
	template := cdktest.Template(stack)
	keys := byLogicalName(t, template, "AWS::KMS::Key")
	require.Len(t, keys, 1)
	assert.Equal(t, []string{"CloudTrailEncrypt", "CloudTrailCheck", "CloudWatchLogs"},
		sidsOf(t, keys["TrailKey"]["Properties"].(map[string]any)["KeyPolicy"]), "what a trail and its log group need, and no more")
	_, r := onlyOf(t, resourcesOf(t, template), "AWS::CloudTrail::Trail", "")
	assert.Contains(t, textOf(t, r.DependsOn), "MinePolicy")
	assert.Equal(t, "Test/Trail/Key", *made.Key().Node().Path())
	assert.Equal(t, "Test/Mine", *made.Bucket().Node().Path())

	stack = cdktest.NewStack(t)
	key := awskms.NewKey(stack, jsii.String("Key"), nil)
	mine = awss3.NewBucket(stack, jsii.String("Mine"), &awss3.BucketProps{EncryptionKey: key})
	made = trail.New(stack, "Trail", &trail.Props{Bucket: mine})
	assert.Equal(t, "Test/Key", *made.Key().Node().Path(), "the bucket's key is the trail's")
}

func TestTrailWithImportedCollaborators(t *testing.T) {
	stack := cdktest.NewStack(t)
	trail.New(stack, "Trail", &trail.Props{
		Bucket: awss3.Bucket_FromBucketName(stack, jsii.String("Central"), jsii.String("central-logs")),
		Key: awskms.Key_FromKeyArn(stack, jsii.String("MyKey"),
			jsii.String("arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555")),
		WithLogGroup: true,
	})
	template := cdktest.Template(stack)
	assert.Empty(t, byLogicalName(t, template, "AWS::KMS::Key"))
	_, r := onlyOf(t, resourcesOf(t, template), "AWS::CloudTrail::Trail", "")
	assert.Equal(t, "central-logs", r.Properties["S3BucketName"])
	warnings := warningsOf(stack)
	slices.Sort(warnings)
	require.Len(t, warnings, 3)
	assert.Contains(t, warnings[0], `"arn:PARTITION:s3:::BUCKET/trail/AWSLogs/ACCOUNT/*"`)
	assert.Contains(t, warnings[0], `:trail/Test-Trail-`)
	assert.Contains(t, warnings[0], "[ack: postern:trail-bucket-policy]")
	assert.Contains(t, warnings[1], `"Sid":"CloudTrailEncrypt"`)
	assert.Contains(t, warnings[1], "[ack: postern:trail-key-policy]")
	assert.Contains(t, warnings[2], `"Sid":"CloudWatchLogs"`)
	assert.Contains(t, warnings[2], "[ack: postern:trail-log-group-key-policy]")
}

// A log account's bucket and key have their policies; the log group stays here.
func TestTrailIntoLogAccount(t *testing.T) {
	stack := cdktest.NewStack(t)
	a := archive.New(stack, "Archive", &archive.Props{LogAccount: central(stack)})
	made := trail.New(stack, "Trail", &trail.Props{Bucket: a.Bucket(), WithLogGroup: true})
	template := cdktest.Template(stack)
	_, r := onlyOf(t, resourcesOf(t, template), "AWS::CloudTrail::Trail", "")
	assert.Equal(t, "trail", r.Properties["S3KeyPrefix"])
	assert.Equal(t, *made.Key().KeyArn(), *a.Bucket().EncryptionKey().KeyArn(), "the log account's")
	assert.Contains(t, textOf(t, r.Properties["KMSKeyId"]), "arn:aws:kms:")
	group := byLogicalName(t, template, "AWS::Logs::LogGroup")["TrailLogGroup"]["Properties"].(map[string]any)
	assert.Contains(t, textOf(t, group["KmsKeyId"]), "TrailLogGroupKey")
	for _, warning := range warningsOf(stack) {
		assert.NotContains(t, warning, "postern:trail-")
	}
	assert.Equal(t, `trail "Test/Bad": Prefix: "calls" is not where the log account lets trails write: leave it out`,
		cdktest.Panic(t, func() { trail.New(stack, "Bad", &trail.Props{Bucket: a.Bucket(), Prefix: "calls"}) }))
}

// The archive in one stack, the trail in another: references one way, and the
// trail waits for the policy of the bucket all the same.
func TestTrailAcrossStacks(t *testing.T) {
	app := cdktest.NewApp(t)
	evidence, recording, watching := cdktest.StackIn(app, "Archive"), cdktest.StackIn(app, "Trail"), cdktest.StackIn(app, "Watch")
	a := archive.New(evidence, "Archive", nil)
	made := trail.New(recording, "Trail", &trail.Props{Bucket: a.Bucket(), Key: a.Key(), LogGroup: a.AddLogGroup("Trail")})
	w := watch.New(watching, "Watch", &watch.Props{Emails: []string{"a@example.com"}, Trail: made})
	w.AddSessionNotices(nil)
	app.Synth(nil)
	assert.Empty(t, *evidence.Dependencies())
	assert.Len(t, *recording.Dependencies(), 1)
	assert.Empty(t, *watching.Dependencies(), "rules depend on no trail")
	statement := statementBySid(t, byLogicalName(t, cdktest.Template(evidence), "AWS::S3::BucketPolicy")["ArchiveBucketPolicy"], "CloudTrailWrite")
	assert.Contains(t, textOf(t, statement), "trail/"+made.TrailName())
	assert.Empty(t, warningsOf(watching), "who names a trail is not asked for one")
}

func TestTrailWithoutEnvironment(t *testing.T) {
	for partition, region := range map[string]string{"": "", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"} {
		t.Run(partition, func(t *testing.T) {
			props := &awscdk.StackProps{}
			if region != "" {
				props.Env = &awscdk.Environment{Account: jsii.String("123456789012"), Region: &region}
			}
			stack := awscdk.NewStack(cdktest.NewApp(t), jsii.String("Test"), props)
			trail.New(stack, "Trail", &trail.Props{WithLogGroup: true, RecordObjects: true})
			text := textOf(t, cdktest.Template(stack).ToJSON())
			assert.NotContains(t, text, "arn:aws:")
			assert.NotContains(t, text, "Token[")
			assert.Contains(t, text, ":trail/Test-Trail-")
		})
	}
}

func TestTrailThatThereIs(t *testing.T) {
	stack := cdktest.NewStack(t)
	const arn = "arn:aws:cloudtrail:eu-west-1:999999999999:trail/Organization"
	existing := trail.FromTrailArn(stack, "Existing", arn)
	assert.Equal(t, arn, existing.TrailArn())
	assert.Equal(t, "Organization", existing.TrailName())
	assert.Nil(t, existing.LogGroup())
	assert.Nil(t, existing.Bucket())
	assert.Nil(t, existing.Key())
	assert.Equal(t, `aws cloudtrail validate-logs --trail-arn `+arn+` --start-time "$(date -u +%Y-%m-01T00:00:00Z)" --region eu-west-1`, existing.ValidateCommand())

	mine := awslogs.NewLogGroup(stack, jsii.String("Mine"), nil)
	logged := trail.FromTrailAttributes(stack, "Logged", &trail.Attributes{TrailArn: arn, LogGroupName: *mine.LogGroupName()})
	assert.Equal(t, textOf(t, stack.Resolve(mine.LogGroupName())), textOf(t, stack.Resolve(logged.LogGroup().LogGroupName())))

	token := trail.FromTrailArn(stack, "Token", *awscdk.Fn_ImportValue(jsii.String("TrailArn")))
	assert.JSONEq(t, `{"Fn::Select": [1, {"Fn::Split": ["/", {"Fn::ImportValue": "TrailArn"}]}]}`, textOf(t, stack.Resolve(token.TrailName())))

	w := watch.New(stack, "Watch", &watch.Props{Emails: []string{"a@example.com"}, Trail: existing})
	w.AddSessionNotices(nil)
	assert.Empty(t, ofType(resourcesOf(t, cdktest.Template(stack)), "AWS::CloudTrail::Trail"), "nothing is made")
	assert.Empty(t, warningsOf(stack))
}

func TestTrailRefusesBadProps(t *testing.T) {
	stack := cdktest.NewStack(t)
	assert.Equal(t, `trail "Test/Trail": Prefix: "trail/" begins or ends with a slash: leave the slashes around it out`,
		cdktest.Panic(t, func() { trail.New(stack, "Trail", &trail.Props{Prefix: "trail/"}) }))
	assert.Nil(t, stack.Node().TryFindChild(jsii.String("Trail")), "the tree is untouched")
	assert.Equal(t, `trail "Test/Trail": TrailArn: is empty: take it from aws cloudtrail describe-trails`,
		cdktest.Panic(t, func() { trail.FromTrailAttributes(stack, "Trail", nil) }))
}

func TestTrailSatisfiesTheRulePacks(t *testing.T) {
	stack := cdktest.StackIn(newJudgedApp(t), "Test")
	trail.New(stack, "Plain", nil)
	trail.New(stack, "Full", &trail.Props{WithLogGroup: true, RecordObjects: true})
	addRulePacks(stack)
	assert.Empty(t, findings(stack))
}
