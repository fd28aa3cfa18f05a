// Package template reads CloudFormation templates, JSON or YAML, checks what
// can be checked without deploying, and evaluates their functions.
package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Template is a template that has been read and checked.
type Template struct {
	Body        string
	Description string
	Metadata    any
	Parameters  map[string]*Parameter
	Rules       map[string]map[string]any
	Mappings    map[string]any
	Conditions  map[string]any
	Resources   map[string]*Resource
	Outputs     map[string]*Output
	// Transforms names the macros that the template asks for.
	Transforms []string
}

// Resource is one member of Resources as written.
type Resource struct {
	LogicalID           string
	Type                string
	Condition           string
	DependsOn           []string
	Properties          map[string]any
	Metadata            any
	DeletionPolicy      any
	UpdateReplacePolicy any
	CreationPolicy      any
	UpdatePolicy        any
}

// Output is one member of Outputs as written.
type Output struct {
	Description string
	Condition   string
	Value       any
	ExportName  any
}

// Error is a fault in a template: what CloudFormation calls a ValidationError.
type Error string

func (e Error) Error() string { return string(e) }

func errorf(format string, args ...any) error { return Error(fmt.Sprintf(format, args...)) }

var alphanumeric = regexp.MustCompile(`^[A-Za-z0-9]+$`)

// Parse reads a template and checks its form.
func Parse(body string) (*Template, error) {
	if strings.TrimSpace(body) == "" {
		return nil, errorf("Template format error: unsupported structure.")
	}
	v, err := decode(body)
	if err != nil {
		return nil, err
	}
	top, ok := v.(map[string]any)
	if !ok {
		return nil, errorf("Template format error: unsupported structure.")
	}
	t := &Template{Body: body}
	var strange []string
	for k := range top {
		switch k {
		case "AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Rules", "Mappings",
			"Conditions", "Transform", "Resources", "Outputs", "Hooks":
		default:
			strange = append(strange, k)
		}
	}
	if len(strange) > 0 {
		slices.Sort(strange)
		return nil, errorf("Invalid template property or properties [%s]", strings.Join(strange, ", "))
	}
	if version, ok := top["AWSTemplateFormatVersion"]; ok && version != "2010-09-09" {
		return nil, errorf("Template format error: unsupported template format version: %v. The only valid value is 2010-09-09", version)
	}
	switch d := top["Description"].(type) {
	case nil:
	case string:
		if len(d) > 1024 {
			return nil, errorf("Template format error: 'Description' length is greater than 1024.")
		}
		t.Description = d
	default:
		return nil, errorf("Template format error: Description must be a string")
	}
	t.Metadata = top["Metadata"]
	switch x := top["Transform"].(type) {
	case nil:
	case []any:
		for _, m := range x {
			t.Transforms = append(t.Transforms, macroName(m))
		}
	default:
		t.Transforms = []string{macroName(x)}
	}
	if t.Parameters, err = parseParameters(top["Parameters"]); err != nil {
		return nil, err
	}
	if t.Mappings, err = section(top, "Mappings"); err != nil {
		return nil, err
	}
	if err := checkMappings(t.Mappings); err != nil {
		return nil, err
	}
	if t.Conditions, err = section(top, "Conditions"); err != nil {
		return nil, err
	}
	rules, err := section(top, "Rules")
	if err != nil {
		return nil, err
	}
	t.Rules = map[string]map[string]any{}
	for _, name := range keys(rules) {
		r, ok := rules[name].(map[string]any)
		if !ok {
			return nil, errorf("Template format error: Rule %s must be an object", name)
		}
		if _, ok := r["Assertions"].([]any); !ok {
			return nil, errorf("Template format error: Rule %s must have a list of Assertions", name)
		}
		t.Rules[name] = r
	}
	if err := t.parseResources(top); err != nil {
		return nil, err
	}
	if err := t.parseOutputs(top); err != nil {
		return nil, err
	}
	return t, nil
}

// Quotas of a template.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
const (
	maxResources  = 500
	maxParameters = 200
	maxOutputs    = 200
	maxMappings   = 200 // and attributes in each of them
	maxName       = 255
	maxValue      = 4096 // of a parameter
)

func checkMappings(mappings map[string]any) error {
	if len(mappings) > maxMappings {
		return errorf("Template format error: Number of mappings, %d, is greater than maximum allowed, %d", len(mappings), maxMappings)
	}
	for _, name := range keys(mappings) {
		m, ok := mappings[name].(map[string]any)
		if !ok {
			return errorf("Template format error: Every Mappings member %s must be a map", name)
		}
		if len(m) > maxMappings {
			return errorf("Template format error: Number of attributes for mapping %s, %d, is greater than maximum allowed, %d", name, len(m), maxMappings)
		}
	}
	return nil
}

// checkName checks the name of a parameter, a resource or an output.
func checkName(kind, name string) error {
	if !alphanumeric.MatchString(name) {
		return errorf("Template format error: %s name %s is non alphanumeric.", kind, name)
	}
	if len(name) > maxName {
		return errorf("Template format error: %s name %s... is longer than %d characters", kind, name[:20], maxName)
	}
	return nil
}

func macroName(v any) string {
	if m, ok := v.(map[string]any); ok {
		v = m["Name"]
	}
	if s, ok := v.(string); ok {
		return s
	}
	return JSON(v)
}

func section(top map[string]any, name string) (map[string]any, error) {
	switch v := top[name].(type) {
	case nil:
		return map[string]any{}, nil
	case map[string]any:
		return v, nil
	}
	return nil, errorf("Template format error: %s must be an object", name)
}

func (t *Template) parseResources(top map[string]any) error {
	resources, err := section(top, "Resources")
	if err != nil {
		return err
	}
	if len(resources) == 0 {
		return errorf("Template format error: At least one Resources member must be defined.")
	}
	if len(resources) > maxResources {
		return errorf("Template format error: Number of resources, %d, is greater than maximum allowed, %d", len(resources), maxResources)
	}
	t.Resources = map[string]*Resource{}
	for _, id := range keys(resources) {
		if err := checkName("Resource", id); err != nil {
			return err
		}
		m, ok := resources[id].(map[string]any)
		if !ok {
			return errorf("Template format error: [/Resources/%s] must be an object", id)
		}
		r := &Resource{LogicalID: id}
		for _, k := range keys(m) {
			v := m[k]
			switch k {
			case "Type":
				r.Type, _ = v.(string)
			case "Condition":
				if r.Condition, ok = v.(string); !ok {
					return errorf("Template format error: Every Condition member must be a string.")
				}
			case "DependsOn":
				if r.DependsOn, ok = stringList(v); !ok {
					return errorf("Template format error: DependsOn of resource %s must be a string or a list of strings.", id)
				}
			case "Properties":
				if v == nil {
					continue
				}
				if r.Properties, ok = v.(map[string]any); !ok {
					return errorf("Template format error: [/Resources/%s/Properties] must be an object", id)
				}
			case "Metadata":
				r.Metadata = v
			case "DeletionPolicy":
				r.DeletionPolicy = v
			case "UpdateReplacePolicy":
				r.UpdateReplacePolicy = v
			case "CreationPolicy":
				r.CreationPolicy = v
			case "UpdatePolicy":
				r.UpdatePolicy = v
			case "Description":
			default:
				return errorf("Invalid template resource property '%s'", k)
			}
		}
		if r.Type == "" {
			return errorf("Template format error: [/Resources/%s] Every Resources object must contain a Type member.", id)
		}
		if err := checkPolicies(r); err != nil {
			return err
		}
		t.Resources[id] = r
	}
	return nil
}

// snapshots lists the types that take DeletionPolicy Snapshot.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html
var snapshots = []string{
	"AWS::DocDB::DBCluster", "AWS::EC2::Volume", "AWS::ElastiCache::CacheCluster", "AWS::ElastiCache::ReplicationGroup",
	"AWS::Neptune::DBCluster", "AWS::RDS::DBCluster", "AWS::RDS::DBInstance", "AWS::Redshift::Cluster",
}

func checkPolicies(r *Resource) error {
	for _, p := range []struct {
		name    string
		value   any
		allowed []string
	}{
		{"DeletionPolicy", r.DeletionPolicy, []string{"Delete", "Retain", "RetainExceptOnCreate", "Snapshot"}},
		{"UpdateReplacePolicy", r.UpdateReplacePolicy, []string{"Delete", "Retain", "Snapshot"}},
	} {
		switch v := p.value.(type) {
		case nil:
		case string:
			if !slices.Contains(p.allowed, v) {
				return errorf("Template error: Unrecognized %s %s for resource %s", p.name, v, r.LogicalID)
			}
			if v == "Snapshot" && !slices.Contains(snapshots, r.Type) {
				return errorf("Template error: resource type %s does not support %s Snapshot", r.Type, p.name)
			}
		default:
			return errorf("Template format error: Every %s member must be a string.", p.name)
		}
	}
	return nil
}

func (t *Template) parseOutputs(top map[string]any) error {
	outputs, err := section(top, "Outputs")
	if err != nil {
		return err
	}
	if len(outputs) > maxOutputs {
		return errorf("Template format error: Number of outputs, %d, is greater than maximum allowed, %d", len(outputs), maxOutputs)
	}
	t.Outputs = map[string]*Output{}
	for _, id := range keys(outputs) {
		if err := checkName("Output", id); err != nil {
			return err
		}
		m, ok := outputs[id].(map[string]any)
		if !ok {
			return errorf("Template format error: [/Outputs/%s] must be an object", id)
		}
		o := &Output{}
		for _, k := range keys(m) {
			v := m[k]
			switch k {
			case "Value":
				o.Value = v
			case "Description":
				o.Description, _ = v.(string)
			case "Condition":
				o.Condition, _ = v.(string)
			case "Export":
				e, ok := v.(map[string]any)
				if !ok || e["Name"] == nil {
					return errorf("Template format error: Output %s is malformed: Export must have a Name", id)
				}
				o.ExportName = e["Name"]
			default:
				return errorf("Invalid output property '%s' of output %s", k, id)
			}
		}
		if o.Value == nil {
			return errorf("Template format error: Output %s is malformed: every output must have a Value", id)
		}
		t.Outputs[id] = o
	}
	return nil
}

func stringList(v any) ([]string, bool) {
	switch v := v.(type) {
	case nil:
		return nil, true
	case string:
		return []string{v}, true
	case []any:
		var out []string
		for _, x := range v {
			s, ok := x.(string)
			if !ok {
				return nil, false
			}
			out = append(out, s)
		}
		return out, true
	}
	return nil, false
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// decode reads JSON or YAML with CloudFormation's short-form functions.
func decode(body string) (any, error) {
	if strings.HasPrefix(strings.TrimSpace(body), "{") {
		d := json.NewDecoder(strings.NewReader(body))
		d.UseNumber()
		var v any
		err := d.Decode(&v)
		if _, end := d.Token(); err == nil && errors.Is(end, io.EOF) {
			return v, nil
		} else if err != nil && !strings.Contains(err.Error(), "invalid character") {
			return nil, errorf("Template format error: JSON not well-formed. (%v)", err)
		}
		// YAML's flow style begins with a brace, too.
	}
	var doc yaml.Node
	d := yaml.NewDecoder(strings.NewReader(body))
	err := d.Decode(&doc)
	if err == nil {
		// The decoder stops behind the first document, whatever follows it.
		var rest yaml.Node
		if err = d.Decode(&rest); err == nil {
			err = errors.New("more than one document")
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, errorf("Template format error: YAML not well-formed. (%s)", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) == 0 {
		return nil, errorf("Template format error: unsupported structure.")
	}
	return fromYAML(doc.Content[0], 0)
}

// maxDepth ends documents that are all brackets.
const maxDepth = 200

func fromYAML(n *yaml.Node, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errorf("Template format error: YAML not well-formed. (nested too deep)")
	}
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		return shortForm(n, depth)
	}
	switch n.Kind {
	case yaml.AliasNode:
		// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html
		return nil, errorf("Template error: YAML aliases are not allowed in CloudFormation templates")
	case yaml.SequenceNode:
		out := make([]any, len(n.Content))
		for i, c := range n.Content {
			v, err := fromYAML(c, depth+1)
			if err != nil {
				return nil, err
			}
			out[i] = v
		}
		return out, nil
	case yaml.MappingNode:
		out := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode {
				return nil, errorf("Template format error: YAML not well-formed. (line %d, column %d)", key.Line, key.Column)
			}
			if _, twice := out[key.Value]; twice {
				return nil, errorf("Template format error: YAML not well-formed. (line %d, column %d): key %s twice", key.Line, key.Column, key.Value)
			}
			v, err := fromYAML(n.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			out[key.Value] = v
		}
		return out, nil
	default: // a scalar
	}
	switch n.ShortTag() {
	case "!!null":
		return nil, nil
	case "!!bool":
		return n.Value == "true" || n.Value == "True" || n.Value == "TRUE", nil
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return json.Number(n.Value), nil
		}
		return n.Value, nil
	}
	return n.Value, nil
}

var shortForms = map[string]string{
	"!Ref": "Ref", "!Condition": "Condition", "!GetAtt": "Fn::GetAtt", "!Sub": "Fn::Sub", "!Join": "Fn::Join",
	"!Select": "Fn::Select", "!Split": "Fn::Split", "!FindInMap": "Fn::FindInMap", "!If": "Fn::If", "!And": "Fn::And",
	"!Or": "Fn::Or", "!Not": "Fn::Not", "!Equals": "Fn::Equals", "!ImportValue": "Fn::ImportValue",
	"!Base64": "Fn::Base64", "!Cidr": "Fn::Cidr", "!GetAZs": "Fn::GetAZs", "!Transform": "Fn::Transform",
	"!GetStackOutput": "Fn::GetStackOutput", "!Contains": "Fn::Contains", "!EachMemberIn": "Fn::EachMemberIn",
	"!EachMemberEquals": "Fn::EachMemberEquals", "!RefAll": "Fn::RefAll", "!ValueOf": "Fn::ValueOf",
	"!ValueOfAll": "Fn::ValueOfAll", "!Length": "Fn::Length", "!ToJsonString": "Fn::ToJsonString",
}

func shortForm(n *yaml.Node, depth int) (any, error) {
	name, ok := shortForms[n.Tag]
	if !ok {
		return nil, errorf("Template format error: YAML not well-formed. (line %d, column %d): unknown tag %s", n.Line, n.Column, n.Tag)
	}
	inner := *n
	inner.Tag = ""
	if inner.Kind == yaml.ScalarNode {
		inner.Tag = "!!str"
	}
	v, err := fromYAML(&inner, depth+1)
	if err != nil {
		return nil, err
	}
	if s, ok := v.(string); ok && name == "Fn::GetAtt" {
		id, attribute, _ := strings.Cut(s, ".")
		v = []any{id, attribute}
	}
	return map[string]any{name: v}, nil
}
