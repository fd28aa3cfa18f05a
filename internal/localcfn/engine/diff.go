package engine

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-cdk/postern/internal/localcfn/schema"
	"github.com/postern-cdk/postern/internal/localcfn/template"
)

// difference is one value that changes.
type difference struct {
	path          []string // of keys and indexes
	before, after any      // nil where there is none
}

func (d difference) kind() string {
	switch {
	case d.before == nil:
		return "Add"
	case d.after == nil:
		return "Remove"
	}
	return "Modify"
}

// compare lists what differs, as deep as it can be told.
func compare(before, after any, path []string) []difference {
	at := func(k string) []string { return append(slices.Clone(path), k) }
	switch a := before.(type) {
	case map[string]any:
		if b, ok := after.(map[string]any); ok {
			var out []difference
			all := maps.Clone(a)
			maps.Copy(all, b)
			for _, k := range slices.Sorted(maps.Keys(all)) {
				out = append(out, compare(a[k], b[k], at(k))...)
			}
			return out
		}
	case []any:
		if b, ok := after.([]any); ok && len(a) == len(b) {
			var out []difference
			for i := range a {
				out = append(out, compare(a[i], b[i], at(strconv.Itoa(i)))...)
			}
			return out
		}
	}
	if template.Equal(before, after) {
		return nil
	}
	return []difference{{path, before, after}}
}

// How a change of a property is made.
const (
	never         = "Never"
	conditionally = "Conditionally"
	always        = "Always"
)

// recreation tells how a difference is made, by the type's create-only paths.
func recreation(t *schema.Type, d difference) string {
	if touches(t.CreateOnly, d) {
		return always
	}
	if touches(t.ConditionalCreateOnly, d) {
		return conditionally
	}
	return never
}

func touches(paths []string, d difference) bool {
	for _, p := range paths {
		parts := strings.Split(p, "/")
		n := min(len(parts), len(d.path))
		same := true
		for i := range n {
			same = same && (parts[i] == d.path[i] || parts[i] == "*")
		}
		// A list that changes in length is a change of what all its items hold.
		if same && !template.Equal(collect(d.before, parts[n:]), collect(d.after, parts[n:])) {
			return true
		}
	}
	return false
}

// collect gives what lies at a path, of lists all of it.
func collect(v any, path []string) any {
	if len(path) == 0 || v == nil {
		return v
	}
	switch x := v.(type) {
	case template.Unknown:
		return x
	case []any:
		if path[0] == "*" {
			path = path[1:]
		}
		out := []any{}
		for _, item := range x {
			if c := collect(item, path); c != nil {
				out = append(out, c)
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case map[string]any:
		if path[0] == "*" {
			out := []any{}
			for _, k := range slices.Sorted(maps.Keys(x)) {
				if c := collect(x[k], path[1:]); c != nil {
					out = append(out, c)
				}
			}
			return out
		}
		return collect(x[path[0]], path[1:])
	}
	return nil
}

// conditional decides changes that the schema calls conditional. What isn't
// named here is made in place.
func conditional(typ, property string, before, after map[string]any, r *template.Resource) bool {
	switch typ {
	case "AWS::AutoScaling::AutoScalingGroup":
		// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-updatepolicy.html
		policy, _ := r.UpdatePolicy.(map[string]any)
		replacing, _ := policy["AutoScalingReplacingUpdate"].(map[string]any)
		text, _ := template.Text(replacing["WillReplace"])
		return text == "true"
	case "AWS::SSM::Document":
		// Replace is the default of UpdateMethod, and can't be done where the document has a name.
		// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ssm-document.html
		return after["UpdateMethod"] != "NewVersion"
	}
	switch typ + "." + property {
	case "AWS::EC2::VPC.InstanceTenancy":
		// In place only from dedicated to default.
		// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-vpc.html
		from, _ := template.Text(before[property])
		to, _ := template.Text(after[property])
		return !(from == "dedicated" && (to == "default" || to == ""))
	case "AWS::Events::Rule.EventBusName", "AWS::DynamoDB::Table.KeySchema":
		// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html
		return true
	}
	return false
}

// replaces decides whether the changes need a new resource.
func replaces(t *schema.Type, changes []difference, before, after map[string]any, r *template.Resource) bool {
	for _, d := range changes {
		switch recreation(t, d) {
		case always:
			return true
		case conditionally:
			if conditional(t.Name, d.path[0], before, after, r) {
				return true
			}
		}
	}
	return false
}
