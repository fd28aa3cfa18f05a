// Package tree holds what every construct needs of the construct tree: how to
// refuse bad props before the tree is touched, and how to look around in it.
package tree

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Must panics where err is not nil, naming the kind of construct and the path
// it would have had. CDK constructors report bad input by panicking; ours do it
// before they touch the tree.
func Must(kind string, scope constructs.Construct, id string, err error) {
	if err == nil {
		return
	}
	path := id
	if scope != nil {
		if parent := *scope.Node().Path(); parent != "" {
			path = parent + "/" + id
		}
	}
	panic(fmt.Errorf("%s %q: %w", kind, path, err))
}

// Validate attaches a check that runs when the whole tree is finished and whose
// faults stop the synthesis. The check must not panic: that would kill the
// jsii process.
func Validate(scope constructs.IConstruct, faults func() []string) {
	scope.Node().AddValidation(&validation{faults: faults})
}

type validation struct{ faults func() []string }

var _ constructs.IValidation = (*validation)(nil)

// Validate implements constructs.IValidation.
func (v *validation) Validate() *[]*string {
	list := []*string{}
	for _, fault := range v.faults() {
		list = append(list, jsii.String(fault))
	}
	return &list
}

// Warn advises without stopping anything. The ID is stable, so that a user can
// acknowledge it.
func Warn(scope constructs.IConstruct, id, message string) {
	awscdk.Annotations_Of(scope).AddWarningV2(jsii.String("postern:"+id), jsii.String(message))
}

// Strings turns plain strings into what CDK props take; nil stays nil.
func Strings(list []string) *[]*string {
	if list == nil {
		return nil
	}
	return jsii.Strings(list...)
}

// Optional is nil for the empty string.
func Optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Acknowledge records at one resource why a finding of a rule pack is accepted
// there: "AwsSolutions-S1", "NIST.800.53.R5-S3BucketReplicationEnabled". cdk-nag
// reads it from the resource's metadata, where a reviewer of the template finds
// it too. A construct that is no resource itself stands for its default child.
func Acknowledge(construct constructs.IConstruct, reason string, rules ...string) {
	resource := resourceOf(construct)
	const key = "cdk_nag"
	list := []any{}
	if old, ok := resource.GetMetadata(jsii.String(key)).(map[string]any); ok {
		list, _ = old["rules_to_suppress"].([]any)
	}
	for _, rule := range rules {
		list = append(list, map[string]any{"id": rule, "reason": reason})
	}
	resource.AddMetadata(jsii.String(key), map[string]any{"rules_to_suppress": list})
}

// AcknowledgeValidation records why a finding of the CDK's own CloudFormation
// validation, such as "CloudFormation-Validate::E1152", is accepted below a
// construct.
func AcknowledgeValidation(construct constructs.IConstruct, reason string, rules ...string) {
	for _, rule := range rules {
		awscdk.Validations_Of(construct).Acknowledge(&awscdk.Acknowledgment{Id: jsii.String(rule), Reason: jsii.String(reason)})
	}
}

func resourceOf(construct constructs.IConstruct) awscdk.CfnResource {
	if resource, ok := construct.(awscdk.CfnResource); ok {
		return resource
	}
	resource, ok := construct.Node().DefaultChild().(awscdk.CfnResource)
	if !ok {
		panic(fmt.Errorf("%s has no resource of its own to acknowledge a rule at", *construct.Node().Path()))
	}
	return resource
}
