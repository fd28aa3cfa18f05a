package test_test

import (
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/internal/cdktest"
)

func TestLogGroupOptions(t *testing.T) {
	stack := cdktest.NewStack(t)
	a := archive.New(stack, "Archive", nil)
	findings := a.AddLogGroup("Findings")
	a.AddLogGroupWith("Shells", &archive.LogGroupOptions{RetentionDays: 731, Masking: &archive.Masking{Findings: findings}})
	a.AddLogGroupWith("Payments", &archive.LogGroupOptions{Masking: &archive.Masking{Identifiers: []string{"CreditCardNumber"}}})
	a.AddLogGroupWith("FlowLogs", &archive.LogGroupOptions{Class: archive.ClassInfrequentAccess, AllowDeletion: true})
	groups := byLogicalName(t, cdktest.Template(stack), "AWS::Logs::LogGroup")
	require.Len(t, groups, 4)
	properties := func(id string) map[string]any { return groups[id]["Properties"].(map[string]any) }

	usual := properties("ArchiveFindings")
	assert.NotContains(t, usual, "DataProtectionPolicy")
	assert.EqualValues(t, 365, usual["RetentionInDays"])

	shells := properties("ArchiveShells")
	assert.EqualValues(t, 731, shells["RetentionInDays"])
	assert.Equal(t, true, shells["DeletionProtectionEnabled"])
	assert.Contains(t, textOf(t, shells["KmsKeyId"]), "ArchiveKey")
	policy := shells["DataProtectionPolicy"].(map[string]any)
	assert.Equal(t, "2021-06-01", policy["Version"])
	statements := policy["Statement"].([]any)
	require.Len(t, statements, 2)
	assert.Equal(t, statements[0].(map[string]any)["DataIdentifier"], statements[1].(map[string]any)["DataIdentifier"],
		"CloudWatch Logs wants the same identifiers in both")
	identifiers := textOf(t, statements[0].(map[string]any)["DataIdentifier"])
	for _, name := range archive.Credentials() {
		assert.Contains(t, identifiers, ":dataprotection::aws:data-identifier/"+name)
	}
	for _, c := range archive.TypedSecrets() {
		assert.Contains(t, identifiers, `"`+c.Name+`"`)
		assert.Contains(t, policy["Configuration"].(map[string]any)["CustomDataIdentifier"], map[string]any{"Name": c.Name, "Regex": c.Regex})
	}
	assert.Contains(t, textOf(t, statements[0].(map[string]any)["Operation"]), `{"Audit":{"FindingsDestination":{"CloudWatchLogs":{"LogGroup":{"Ref":"ArchiveFindings`)
	assert.JSONEq(t, `{"Deidentify": {"MaskConfig": {}}}`, textOf(t, statements[1].(map[string]any)["Operation"]))

	payments := properties("ArchivePayments")["DataProtectionPolicy"].(map[string]any)
	assert.NotContains(t, payments, "Configuration")
	assert.JSONEq(t, `{"Audit": {"FindingsDestination": {}}}`, textOf(t, payments["Statement"].([]any)[0].(map[string]any)["Operation"]))
	assert.NotContains(t, textOf(t, payments), "AwsSecretKey", "only what was asked for")

	flowLogs := properties("ArchiveFlowLogs")
	assert.Equal(t, "INFREQUENT_ACCESS", flowLogs["LogGroupClass"])
	assert.Equal(t, false, flowLogs["DeletionProtectionEnabled"])
	assert.NotContains(t, shells, "LogGroupClass", "naming it would change groups that exist")
}

// Where the class can't filter, whoever filters is named.
func TestInfrequentAccessRefusesFilters(t *testing.T) {
	stack := cdktest.NewStack(t)
	a := archive.New(stack, "Archive", nil)
	cold := a.AddLogGroupWith("Cold", &archive.LogGroupOptions{Class: archive.ClassInfrequentAccess})
	awslogs.NewMetricFilter(stack, jsii.String("Other"), &awslogs.MetricFilterProps{
		LogGroup: a.AddLogGroup("Warm"), FilterPattern: awslogs.FilterPattern_AllEvents(), MetricName: jsii.String("m"), MetricNamespace: jsii.String("n"),
	})
	awslogs.NewMetricFilter(stack, jsii.String("Failures"), &awslogs.MetricFilterProps{
		LogGroup: cold, FilterPattern: awslogs.FilterPattern_AllEvents(), MetricName: jsii.String("m"), MetricNamespace: jsii.String("n"),
	})
	awslogs.NewCfnSubscriptionFilter(stack, jsii.String("Away"), &awslogs.CfnSubscriptionFilterProps{
		LogGroupName: cold.LogGroupName(), FilterPattern: jsii.String(""), DestinationArn: jsii.String("arn:aws:logs:us-east-1:123456789012:destination:x"),
	})
	message := cdktest.Panic(t, func() { cdktest.Template(stack) })
	const refused = "[Test/Archive/Cold] Class: ClassInfrequentAccess has no metric or subscription filters, but "
	assert.Contains(t, message, refused+"Test/Failures/Resource is one of this group: leave Class out, or make the group anew under another id")
	assert.Contains(t, message, refused+"Test/Away is one of this group")
	assert.NotContains(t, message, "Test/Other")
}

func TestLogGroupOptionsAreRefused(t *testing.T) {
	stack := cdktest.NewStack(t)
	a := archive.New(stack, "Archive", nil)
	assert.Equal(t, "archive log group \"Test/Archive/Sessions\": RetentionDays: 2 is no retention period of CloudWatch Logs: use 1 or 3, the periods next to it\n"+
		`Class: "GLACIER" is not known: use one of STANDARD, INFREQUENT_ACCESS`, cdktest.Panic(t, func() {
		a.AddLogGroupWith("Sessions", &archive.LogGroupOptions{RetentionDays: 2, Class: "GLACIER"})
	}))
	assert.Nil(t, a.Node().TryFindChild(jsii.String("Sessions")), "the tree is untouched")

	source := archive.New(stack, "Source", &archive.Props{LogAccount: archive.FromLogAccount(stack, "LogAccount", &archive.LogAccountProps{
		BucketName: "central", KeyArn: "arn:aws:kms:us-east-1:999988887777:key/1", DestinationArn: "arn:aws:logs:us-east-1:999988887777:destination:central",
	})})
	assert.Equal(t, `archive log group "Test/Source/Cold": Class: ClassInfrequentAccess has no subscription filters, and so no way to the LogAccount: leave it out`,
		cdktest.Panic(t, func() { source.AddLogGroupWith("Cold", &archive.LogGroupOptions{Class: archive.ClassInfrequentAccess}) }))
	kept := textOf(t, stack.Resolve(source.Kept()))
	assert.NotContains(t, kept, "bucket ", "the log account's is not this stack's")
	assert.Contains(t, kept, "SourceKey")
}
