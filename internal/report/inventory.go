package report

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-cdk/postern/internal/cost"
	"github.com/postern-cdk/postern/internal/property"
)

// Inventory is what was found.
type Inventory struct {
	// Where it was asked: an endpoint or "AWS".
	Where string
	// Local is true where nothing runs: resources are modelled, not started.
	Local   bool
	Account string
	Region  string
	Stacks  []string
	// Resources of the stacks that Cloud Control could read.
	Resources []Resource
	// Unread are types that Cloud Control could not read there.
	Unread  []string
	Outputs []Output
}

// Resource is one resource with its properties as Cloud Control has them.
type Resource struct {
	Type       string
	Identifier string
	Stack      string
	LogicalID  string
	Properties map[string]any
}

// Output is an output of a stack.
type Output struct {
	Stack       string
	Key         string
	Value       string
	Description string
}

// Types are the resource types that the report reads. Others don't change it.
func Types() []string {
	return sortedUnique(append(cost.Types(),
		"AWS::AutoScaling::AutoScalingGroup",
		"AWS::AutoScaling::ScheduledAction",
		"AWS::CloudTrail::Trail",
		"AWS::CloudWatch::Alarm",
		"AWS::CloudWatch::CompositeAlarm",
		"AWS::CloudWatch::Dashboard",
		"AWS::EC2::EIP",
		"AWS::EC2::FlowLog",
		"AWS::EC2::InstanceConnectEndpoint",
		"AWS::EC2::InternetGateway",
		"AWS::EC2::LaunchTemplate",
		"AWS::EC2::NatGateway",
		"AWS::EC2::SecurityGroup",
		"AWS::EC2::SecurityGroupEgress",
		"AWS::EC2::SecurityGroupIngress",
		"AWS::EC2::VPC",
		"AWS::EC2::VPCEndpoint",
		"AWS::ElasticLoadBalancingV2::LoadBalancer",
		"AWS::Events::Rule",
		"AWS::IAM::ManagedPolicy",
		"AWS::KMS::Key",
		"AWS::Logs::LogGroup",
		"AWS::S3::Bucket",
		"AWS::SNS::Subscription",
		"AWS::SNS::Topic",
		"AWS::SSM::Document",
	))
}

func (inv *Inventory) of(resourceType string) []Resource {
	var found []Resource
	for _, r := range inv.Resources {
		if r.Type == resourceType {
			found = append(found, r)
		}
	}
	return found
}

func (r Resource) at(path ...string) any { return property.At(r.Properties, path...) }

func (r Resource) text(path ...string) string { return property.Text(r.at(path...)) }

func (r Resource) list(path ...string) []any {
	l, _ := r.at(path...).([]any)
	return l
}

func (r Resource) yes(path ...string) bool { return property.Yes(r.at(path...)) }

// name is the shortest thing that a reader recognises.
func (r Resource) name(properties ...string) string {
	for _, property := range properties {
		if s := r.text(property); s != "" {
			return s
		}
	}
	if r.LogicalID != "" {
		return r.LogicalID
	}
	return r.Identifier
}

// label is the name, or where CloudFormation made it up of the stack's name, the
// logical ID and a random part, the logical ID without the CDK's hash.
func (r Resource) label(properties ...string) string {
	name := r.name(properties...)
	madeUp := r.Stack + "-" + r.LogicalID + "-"
	if name == r.LogicalID || r.LogicalID != "" && len(name) > len(madeUp) && strings.EqualFold(name[:len(madeUp)], madeUp) {
		return hash.ReplaceAllString(r.LogicalID, "")
	}
	return name
}

// hash ends the logical ID of what the CDK names.
var hash = regexp.MustCompile(`[0-9A-F]{8}$`)

// few names at most three and counts the rest.
func few(names []string) string {
	if len(names) <= 3 {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:3], ", ") + " and " + strconv.Itoa(len(names)-3) + " more"
}

// sortedUnique does not touch its argument.
func sortedUnique(list []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(list)))
}
