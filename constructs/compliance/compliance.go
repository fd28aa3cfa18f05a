package compliance

import (
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/internal/tree"
)

// Compliance is a set of Config rules and a scan.
type Compliance struct {
	constructs.Construct

	props Props
	names []string
}

var _ constructs.IConstruct = (*Compliance)(nil)

// New makes the rules and the scan. props may be nil.
func New(scope constructs.Construct, id string, props *Props) *Compliance {
	p := props.withDefaults()
	tree.Must("compliance", scope, id, p.validate())

	c := &Compliance{props: p}
	constructs.NewConstruct_Override(c, scope, &id)
	for _, q := range p.chosen() {
		c.names = append(c.names, c.rule(q))
	}
	if len(c.names) > 0 && !p.ExistingRecorder {
		tree.Warn(c, "compliance-no-recorder",
			"Config rules can't be made before AWS Config records in this account and Region, and no recorder is made here, as a Region has one for "+
				"everybody: see whether there is one (aws configservice describe-configuration-recorders), then set ExistingRecorder")
	}
	if p.CisScan != nil {
		c.scan(p.CisScan)
	}
	return c
}

// ConfigRuleNames are the names of the rules, which CloudFormation chooses.
func (c *Compliance) ConfigRuleNames() []string { return slices.Clone(c.names) }

// RecordedTypes are the types that the account's recorder must record for the rules,
// sorted.
func (c *Compliance) RecordedTypes() []string {
	var types []string
	for _, q := range c.props.chosen() {
		types = append(types, q.types...)
	}
	slices.Sort(types)
	return slices.Compact(types)
}

// rule makes one by its type's name: the module awsconfig brings in Lambda's, which
// everybody who imports this package would compile.
func (c *Compliance) rule(q question) string {
	properties := map[string]any{
		"Description": q.says,
		"Source":      map[string]any{"Owner": "AWS", "SourceIdentifier": q.identifier},
	}
	if q.periodic {
		properties["MaximumExecutionFrequency"] = "TwentyFour_Hours"
	} else {
		properties["Scope"] = map[string]any{"ComplianceResourceTypes": q.types}
	}
	if parameters := c.props.parameters(q.rule); parameters != nil {
		properties["InputParameters"] = parameters
	}
	return *awscdk.NewCfnResource(c, &q.id, &awscdk.CfnResourceProps{
		Type: jsii.String("AWS::Config::ConfigRule"), Properties: &properties,
	}).Ref()
}

// scan follows docs.aws.amazon.com/inspector/latest/user/scanning-cis.html.
func (c *Compliance) scan(s *CisScan) {
	name := s.Name
	if name == "" {
		name = *c.Node().Path()
		name = name[max(0, len(name)-maxScanName):]
	}
	tags := map[string]any{}
	var roles []awsiam.IRole
	for _, host := range s.Hosts {
		key, value := host.SessionTag()
		values, _ := tags[key].([]any)
		tags[key] = append(values, value)
		roles = append(roles, host.Role())
	}
	// The session of a scan has no resource.
	// docs.aws.amazon.com/service-authorization/latest/reference/list_amazoninspector2.html
	session := awsiam.NewManagedPolicy(c, jsii.String("CisScanPolicy"), &awsiam.ManagedPolicyProps{
		Description: jsii.String("Lets instances be scanned against the CIS benchmark: " + *c.Node().Path()),
		Roles:       &roles,
		Document: attach.Document([]policy.Statement{{
			Sid: "CisScan", Effect: policy.Allow, Resource: []string{"*"},
			Action: []string{
				"inspector2:SendCisSessionHealth", "inspector2:SendCisSessionTelemetry", "inspector2:StartCisSession", "inspector2:StopCisSession",
			},
		}}),
	})
	tree.Acknowledge(session, "The session of a CIS scan is no resource that a policy could name.", "AwsSolutions-IAM5")
	awscdk.NewCfnResource(c, jsii.String("CisScan"), &awscdk.CfnResourceProps{
		Type: jsii.String("AWS::InspectorV2::CisScanConfiguration"),
		Properties: &map[string]any{
			"ScanName":      name,
			"SecurityLevel": map[int]string{1: "LEVEL_1", 2: "LEVEL_2"}[s.Level],
			"Schedule": map[string]any{"Weekly": map[string]any{
				"Days": []any{s.Day}, "StartTime": map[string]any{"TimeOfDay": s.Time, "TimeZone": "UTC"},
			}},
			"Targets": map[string]any{"AccountIds": []any{"SELF"}, "TargetResourceTags": tags},
		},
	})
}
