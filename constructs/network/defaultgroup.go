package network

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsssm"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/internal/survey"
	"github.com/postern-cdk/postern/internal/tree"
)

//go:embed closer.py
var closer string

const noGroup = "resources that name no security group get the VPC's default one"

func (n *Network) guardDefaultSecurityGroup(vpc awsec2.Vpc) {
	if !n.props.DefaultSecurityGroupOpen {
		n.closeDefaultSecurityGroup(vpc)
		tree.Acknowledge(vpc,
			"an association of State Manager revokes all rules of the default security group at creation and daily, and the synthesis refuses its use",
			"NIST.800.53.R5-VPCDefaultSecurityGroupClosed", "PCI.DSS.321-VPCDefaultSecurityGroupClosed")
	}
	survey.Validate(n, func(s *survey.Survey) []string {
		warnOfTemplates(s)
		return defaultGroupUses(s, *vpc.Node().Path()+"/Resource")
	})
}

// closeDefaultSecurityGroup keeps the default group without rules, see
// https://docs.aws.amazon.com/systems-manager/latest/userguide/scheduling-automations-state-manager-associations.html.
func (n *Network) closeDefaultSecurityGroup(vpc awsec2.Vpc) {
	scope := constructs.NewConstruct(n, jsii.String("CloseDefaultSecurityGroup"))
	at := attach.ScopeOf(n)
	group := vpc.VpcDefaultSecurityGroup()

	document := awsssm.NewCfnDocument(scope, jsii.String("Runbook"), &awsssm.CfnDocumentProps{
		DocumentType:   jsii.String("Automation"),
		DocumentFormat: jsii.String("JSON"),
		Content: map[string]any{
			"schemaVersion": "0.3",
			"description":   "Revokes every rule of the default security group of a VPC",
			"assumeRole":    "{{ AutomationAssumeRole }}",
			"parameters": map[string]any{
				"GroupId":              map[string]any{"type": "String", "description": "The default security group", "allowedPattern": "^sg-[0-9a-f]+$"},
				"AutomationAssumeRole": map[string]any{"type": "String", "description": "The role that revokes the rules"},
			},
			"mainSteps": []any{map[string]any{
				"name":   "Close",
				"action": "aws:executeScript",
				"isEnd":  true,
				"inputs": map[string]any{
					"Runtime":      "python3.11",
					"Handler":      "close",
					"InputPayload": map[string]any{"GroupId": "{{ GroupId }}"},
					"Script":       closer,
				},
			}},
		},
	})
	closes := awsiam.NewManagedPolicy(scope, jsii.String("Policy"), &awsiam.ManagedPolicyProps{
		Description: jsii.String("Revokes the rules of one default security group"),
		Document: attach.Document([]policy.Statement{
			{Effect: policy.Allow, Action: []string{"ec2:DescribeSecurityGroups"}, Resource: []string{"*"}},
			{
				Effect: policy.Allow, Action: []string{"ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress"},
				Resource: []string{at.ARN("ec2", "security-group/"+*group)},
			},
		}),
	})
	tree.Acknowledge(closes, "ec2:DescribeSecurityGroups can't be limited to a resource", "AwsSolutions-IAM5")
	role := awsiam.NewRole(scope, jsii.String("Role"), &awsiam.RoleProps{
		Description: jsii.String("Closes the default security group of " + *n.Node().Path()),
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("ssm.amazonaws.com"), &awsiam.ServicePrincipalOpts{
			Conditions: &map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": at.Account}},
		}),
		ManagedPolicies: &[]awsiam.IManagedPolicy{closes},
	})
	awsssm.NewCfnAssociation(scope, jsii.String("Resource"), &awsssm.CfnAssociationProps{
		Name: document.Ref(),
		Parameters: map[string]any{
			"GroupId":              []*string{group},
			"AutomationAssumeRole": []*string{role.RoleArn()},
		},
		ScheduleExpression: jsii.String("rate(1 day)"),
		ComplianceSeverity: jsii.String("HIGH"),
	})
}

// defaultGroupUses finds what uses the default security group of a VPC in the
// tree, or would fall back to it.
func defaultGroupUses(s *survey.Survey, vpc string) []string {
	var faults []string
	examine := func(resource awscdk.CfnResource, kind string, groups any, inVpc func() bool) {
		resolved := awscdk.Stack_Of(resource).Resolve(groups)
		switch {
		case isEmpty(resolved):
			if inVpc() {
				faults = append(faults, fmt.Sprintf("%s: this %s names no security group, and %s: give it a security group of its own",
					*resource.Node().Path(), kind, noGroup))
			}
		case usesDefaultGroup(resolved) && inVpc():
			faults = append(faults, fmt.Sprintf("%s: this %s uses the default security group of %s, which is kept without rules: give it a security group of its own",
				*resource.Node().Path(), kind, vpc))
		}
	}
	inSubnet := func(subnet *string) func() bool {
		return func() bool { return s.Vpc(survey.ID(subnet)) == vpc }
	}
	for _, r := range s.Instances {
		if r.NetworkInterfaces() != nil || r.LaunchTemplate() != nil {
			continue
		}
		examine(r, "instance", r.SecurityGroupIds(), inSubnet(r.SubnetId()))
	}
	for _, r := range s.NetworkInterfaces {
		examine(r, "network interface", r.GroupSet(), inSubnet(r.SubnetId()))
	}
	for _, r := range s.InstanceConnect {
		examine(r, "EC2 Instance Connect Endpoint", r.SecurityGroupIds(), inSubnet(r.SubnetId()))
	}
	for _, e := range s.VpcEndpoints {
		if !e.Gateway {
			examine(e.Resource, "interface endpoint", e.Resource.SecurityGroupIds(), func() bool { return e.Vpc == vpc })
		}
	}
	return faults
}

func isEmpty(resolved any) bool {
	list, ok := resolved.([]any)
	return resolved == nil || ok && len(list) == 0
}

// A reference to the default group is an attribute of the VPC, or in another
// stack the name of the export that was made for it.
var defaultGroup = regexp.MustCompile(`"Fn::GetAtt":\["[^"]+","DefaultSecurityGroup"\]|FnGetAtt[0-9A-Za-z]+DefaultSecurityGroup[0-9A-F]{8}"`)

func usesDefaultGroup(resolved any) bool {
	text, err := json.Marshal(resolved)
	return err == nil && defaultGroup.Match(text)
}

// warnOfTemplates advises on launch templates that name no security group. In
// which VPC they are used is not known, so it is no more than a warning.
func warnOfTemplates(s *survey.Survey) {
	for _, r := range s.LaunchTemplates {
		data, ok := awscdk.Stack_Of(r).Resolve(r.LaunchTemplateData()).(map[string]any)
		if !ok || !isEmpty(data["securityGroupIds"]) || !isEmpty(data["securityGroups"]) || !isEmpty(data["networkInterfaces"]) {
			continue
		}
		tree.Warn(r, "launch-template-without-security-group",
			"this launch template names no security group, and "+noGroup+", which is kept without rules: give it a security group of its own")
	}
}
