package test_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/bastion"
	"github.com/postern-cdk/postern/constructs/compliance"
	"github.com/postern-cdk/postern/constructs/watch"
	"github.com/postern-cdk/postern/internal/cdktest"
)

var _ compliance.Host = (*bastion.Bastion)(nil)

// scannedHost stands for a bastion.
type scannedHost struct {
	constructs.IConstruct
	tag  string
	role awsiam.IRole
}

func (h *scannedHost) SessionTag() (key, value string) { return "postern:bastion", h.tag }
func (h *scannedHost) Role() awsiam.IRole              { return h.role }

func scanned(scope constructs.Construct, id string) *scannedHost {
	role := awsiam.NewRole(scope, jsii.String(id), &awsiam.RoleProps{AssumedBy: awsiam.NewServicePrincipal(jsii.String("ec2.amazonaws.com"), nil)})
	return &scannedHost{role, "/postern/Test/" + id, role}
}

func TestComplianceByDefault(t *testing.T) {
	for name, app := range map[string]awscdk.App{
		"with flags":    cdktest.NewApp(t),
		"without flags": cdktest.NewAppWithoutFlags(t),
	} {
		t.Run(name, func(t *testing.T) {
			stack := cdktest.StackIn(app, "Test")
			c := compliance.New(stack, "Compliance", nil)
			all := resourcesOf(t, cdktest.Template(stack))
			assert.Equal(t, map[string]int{"AWS::Config::ConfigRule": 7}, countTypes(all), "rules, and never a recorder or a channel")
			assert.Len(t, c.ConfigRuleNames(), 7)

			have := map[string]string{}
			for id, r := range all {
				source := r.Properties["Source"].(map[string]any)
				assert.Equal(t, "AWS", source["Owner"], id)
				assert.NotEmpty(t, r.Properties["Description"], id)
				have[source["SourceIdentifier"].(string)] = textOf(t, []any{r.Properties["Scope"], r.Properties["InputParameters"], r.Properties["MaximumExecutionFrequency"]})
			}
			assert.Equal(t, map[string]string{
				"INCOMING_SSH_DISABLED":          `[{"ComplianceResourceTypes":["AWS::EC2::SecurityGroup"]},null,null]`,
				"RESTRICTED_INCOMING_TRAFFIC":    `[{"ComplianceResourceTypes":["AWS::EC2::SecurityGroup"]},{"blockedPort1":"22","blockedPort2":"3389"},null]`,
				"EC2_IMDSV2_CHECK":               `[{"ComplianceResourceTypes":["AWS::EC2::Instance"]},null,null]`,
				"VPC_FLOW_LOGS_ENABLED":          `[null,{"trafficType":"ALL"},"TwentyFour_Hours"]`,
				"ENCRYPTED_VOLUMES":              `[{"ComplianceResourceTypes":["AWS::EC2::Volume"]},null,null]`,
				"EC2_INSTANCE_MANAGED_BY_SSM":    `[{"ComplianceResourceTypes":["AWS::EC2::Instance","AWS::SSM::ManagedInstanceInventory"]},null,null]`,
				"CLOUDWATCH_LOG_GROUP_ENCRYPTED": `[null,null,"TwentyFour_Hours"]`,
			}, have)
			warnings := warningsOf(stack)
			require.Len(t, warnings, 1)
			assert.Contains(t, warnings[0], "aws configservice describe-configuration-recorders")
			assert.Contains(t, warnings[0], "[ack: postern:compliance-no-recorder]")
		})
	}
}

func TestComplianceWithEverything(t *testing.T) {
	stack := cdktest.NewStack(t)
	compliance.New(stack, "Compliance", &compliance.Props{
		ExistingRecorder: true,
		Only:             []compliance.Rule{compliance.RestrictedCommonPorts, compliance.Imdsv2},
		Without:          []compliance.Rule{compliance.Imdsv2},
		BlockedPorts:     []int{3389, 5900},
		CisScan: &compliance.CisScan{
			Hosts: []compliance.Host{scanned(stack, "One"), scanned(stack, "Two")},
			Name:  "Weekly", Level: 2, Day: "MON", Time: "04:30",
		},
	})
	all := resourcesOf(t, cdktest.Template(stack))
	rules := ofType(all, "AWS::Config::ConfigRule")
	require.Len(t, rules, 1)
	for id, rule := range rules {
		assert.True(t, strings.HasPrefix(id, "ComplianceRestrictedCommonPorts"), id)
		assert.Equal(t, map[string]any{"blockedPort1": "3389", "blockedPort2": "5900"}, rule.Properties["InputParameters"])
	}
	scans := ofType(all, "AWS::InspectorV2::CisScanConfiguration")
	require.Len(t, scans, 1)
	for _, scan := range scans {
		assert.JSONEq(t, `{"ScanName": "Weekly", "SecurityLevel": "LEVEL_2",
			"Schedule": {"Weekly": {"Days": ["MON"], "StartTime": {"TimeOfDay": "04:30", "TimeZone": "UTC"}}},
			"Targets": {"AccountIds": ["SELF"], "TargetResourceTags": {"postern:bastion": ["/postern/Test/One", "/postern/Test/Two"]}}}`,
			textOf(t, scan.Properties))
	}
	policies := ofType(all, "AWS::IAM::ManagedPolicy")
	require.Len(t, policies, 1)
	for _, policy := range policies {
		assert.Len(t, policy.Properties["Roles"], 2)
		assert.Contains(t, textOf(t, policy.Properties["PolicyDocument"]), `["inspector2:SendCisSessionHealth","inspector2:SendCisSessionTelemetry","inspector2:StartCisSession","inspector2:StopCisSession"]`)
	}
	assert.Empty(t, warningsOf(stack))
}

// What Config finds is told without a trail.
func TestComplianceNotices(t *testing.T) {
	stack := cdktest.NewStack(t)
	c := compliance.New(stack, "Compliance", &compliance.Props{ExistingRecorder: true, Only: []compliance.Rule{compliance.RestrictedSsh, compliance.Imdsv2}})
	w := watch.New(stack, "Watch", &watch.Props{Emails: []string{"a@example.com"}})
	w.AddComplianceNotices(c)
	rules := byLogicalName(t, cdktest.Template(stack), "AWS::Events::Rule")
	require.Len(t, rules, 1)
	p := rules["WatchComplianceBroken"]["Properties"].(map[string]any)
	pattern := textOf(t, p["EventPattern"])
	assert.Regexp(t, `"configRuleName":\[\{"Ref":"ComplianceRestrictedSsh[0-9A-F]*"\},\{"Ref":"ComplianceImdsv2[0-9A-F]*"\}\]`, pattern)
	assert.Contains(t, pattern, `"complianceType":["NON_COMPLIANT"]`)
	assert.Contains(t, textOf(t, p["Targets"]), "WatchTopic")
	assert.Empty(t, warningsOf(stack))

	assert.Equal(t, `watch "Test/Watch/Compliance": AddComplianceNotices: was called before, or a host has the name Compliance: call it once, and give the host another name`,
		cdktest.Panic(t, func() { w.AddComplianceNotices(c) }))
	assert.Equal(t, `watch "Test/Other/Compliance": of: is nil: pass what compliance.New made`,
		cdktest.Panic(t, func() { watch.New(stack, "Other", nil).AddComplianceNotices(nil) }))

	// Calls still ask for one.
	w.AddSessionNotices(nil)
	warnings := warningsOf(stack)
	require.Len(t, warnings, 2)
	assert.Contains(t, strings.Join(warnings, ""), "[ack: postern:watch-no-trail]")
}

func TestComplianceRefusesBadProps(t *testing.T) {
	stack := cdktest.NewStack(t)
	assert.Equal(t, `compliance "Test/Compliance": BlockedPorts[0]: 70000 is out of range: use 1 to 65535`,
		cdktest.Panic(t, func() { compliance.New(stack, "Compliance", &compliance.Props{BlockedPorts: []int{70000}}) }))
	assert.Nil(t, stack.Node().TryFindChild(jsii.String("Compliance")), "the tree is untouched")
}

func TestComplianceSatisfiesTheRulePacks(t *testing.T) {
	stack := cdktest.StackIn(newJudgedApp(t), "Test")
	compliance.New(stack, "Compliance", &compliance.Props{CisScan: &compliance.CisScan{Hosts: []compliance.Host{scanned(stack, "One")}}})
	addRulePacks(stack)
	assert.Empty(t, findings(stack))
}
