package test_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// resource is one resource of a template, decoded.
type resource struct {
	Type           string
	Properties     map[string]any
	DependsOn      any
	DeletionPolicy string
	Metadata       map[string]any
}

// resourcesOf returns the resources of a template by logical ID.
func resourcesOf(t *testing.T, template assertions.Template) map[string]resource {
	t.Helper()
	text, err := json.Marshal(template.ToJSON())
	require.NoError(t, err)
	var decoded struct{ Resources map[string]resource }
	require.NoError(t, json.Unmarshal(text, &decoded))
	return decoded.Resources
}

// ofType keeps the resources of one type.
func ofType(all map[string]resource, kind string) map[string]resource {
	kept := map[string]resource{}
	for id, r := range all {
		if r.Type == kind {
			kept[id] = r
		}
	}
	return kept
}

// onlyOf is the only resource of a type whose logical ID begins like that, or of all with "".
func onlyOf(t *testing.T, all map[string]resource, kind, name string) (string, resource) {
	t.Helper()
	var ids []string
	for id := range ofType(all, kind) {
		if strings.HasPrefix(id, name) {
			ids = append(ids, id)
		}
	}
	require.Len(t, ids, 1, kind+" "+name)
	return ids[0], all[ids[0]]
}

// one returns the properties of the only resource of a type.
func one(t *testing.T, all map[string]resource, kind string) map[string]any {
	t.Helper()
	_, r := onlyOf(t, all, kind, "")
	return r.Properties
}

// countTypes counts the resources of a template by type.
func countTypes(all map[string]resource) map[string]int {
	counts := map[string]int{}
	for _, r := range all {
		counts[r.Type]++
	}
	return counts
}

func noCustomResource(t *testing.T, all map[string]resource) {
	t.Helper()
	for id, r := range all {
		assert.False(t, strings.HasPrefix(r.Type, "Custom::") || r.Type == "AWS::CloudFormation::CustomResource" || r.Type == "AWS::Lambda::Function", id+" "+r.Type)
	}
}

// warningsOf lists the warnings of a stack that hold a stable ID of Postern.
func warningsOf(stack awscdk.Stack) []string {
	var texts []string
	for _, message := range *assertions.Annotations_FromStack(stack).FindWarning(jsii.String("*"), assertions.Match_AnyValue()) {
		if text := fmt.Sprint(message.Entry.Data); strings.Contains(text, "[ack: postern:") {
			texts = append(texts, text)
		}
	}
	return texts
}

// byLogicalName returns the resources of a type by the first part of their
// logical ID, the 8 characters of hash cut off.
func byLogicalName(t *testing.T, template assertions.Template, kind string) map[string]map[string]any {
	t.Helper()
	found := map[string]map[string]any{}
	for id, resource := range *template.FindResources(&kind, nil) {
		if len(id) > 8 {
			id = id[:len(id)-8]
		}
		text, err := json.Marshal(resource)
		require.NoError(t, err)
		var plain map[string]any
		require.NoError(t, json.Unmarshal(text, &plain))
		found[id] = plain
	}
	return found
}

func textOf(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return string(text)
}

func sidsOf(t *testing.T, document any) []string {
	t.Helper()
	var sids []string
	for _, statement := range document.(map[string]any)["Statement"].([]any) {
		if sid, ok := statement.(map[string]any)["Sid"].(string); ok {
			sids = append(sids, sid)
		}
	}
	return sids
}

// joined is a text of a template with something in the place of each reference.
func joined(value any, reference string) string {
	switch value := value.(type) {
	case string:
		return value
	case map[string]any:
		if join, ok := value["Fn::Join"].([]any); ok {
			var b strings.Builder
			for _, part := range join[1].([]any) {
				b.WriteString(joined(part, reference))
			}
			return b.String()
		}
	}
	return reference
}

func only(t *testing.T, template assertions.Template, kind string) map[string]any {
	t.Helper()
	found := byLogicalName(t, template, kind)
	require.Len(t, found, 1, kind)
	for _, resource := range found {
		return resource
	}
	return nil
}

func propertiesOf(t *testing.T, template assertions.Template, kind, id string) map[string]any {
	t.Helper()
	found := byLogicalName(t, template, kind)
	require.Contains(t, found, id, slices.Collect(maps.Keys(found)))
	properties, _ := found[id]["Properties"].(map[string]any)
	return properties
}

func logicalIDOf(t *testing.T, template assertions.Template, kind, id string) string {
	t.Helper()
	for full := range *template.FindResources(&kind, nil) {
		if len(full) > 8 && full[:len(full)-8] == id {
			return full
		}
	}
	require.Fail(t, "not found", id)
	return ""
}
