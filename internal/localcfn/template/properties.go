package template

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-cdk/postern/internal/localcfn/schema"
)

// CheckProperties compares properties with the type's schema. What is [Unknown]
// is taken as right. It returns faults in CloudFormation's wording, each with a path.
func CheckProperties(t *schema.Type, properties map[string]any) []string {
	c := checker{t: t}
	if t.Name == "AWS::CloudFormation::WaitConditionHandle" {
		return nil
	}
	c.object(&t.Root, properties, "", true)
	return c.faults
}

type checker struct {
	t      *schema.Type
	faults []string
}

func (c *checker) fault(path, format string, args ...any) {
	c.faults = append(c.faults, "#"+path+": "+fmt.Sprintf(format, args...))
}

func (c *checker) object(n *schema.Node, m map[string]any, path string, root bool) {
	for _, k := range keys(m) {
		p := n.Props[k]
		switch {
		case root && c.t.IsReadOnly(k):
			c.fault(path+"/"+k, "read-only property [%s] can't be set", k)
		case p != nil:
			c.value(p, m[k], path+"/"+k)
		case n.Values != nil:
			c.value(n.Values, m[k], path+"/"+k)
		case n.Closed || len(n.Props) > 0 && root:
			near := Nearest(k, settable(c.t, n, root))
			if near != "" {
				near = ", did you mean [" + near + "]?"
			}
			c.fault(path, "extraneous key [%s] is not permitted%s", k, near)
		}
	}
	for _, k := range n.Required {
		if _, ok := m[k]; !ok && !(root && c.t.IsReadOnly(k)) {
			c.fault(path, "required key [%s] not found", k)
		}
	}
}

func settable(t *schema.Type, n *schema.Node, root bool) []string {
	return slices.DeleteFunc(keys(n.Props), func(k string) bool { return root && t.IsReadOnly(k) })
}

func (c *checker) value(n *schema.Node, v any, path string) {
	n = c.t.Resolve(n)
	if n == nil {
		return
	}
	switch v := v.(type) {
	case Unknown:
		return
	case map[string]any:
		if n.Types != "" && !strings.Contains(n.Types, "o") {
			c.fault(path, "expected type: %s, found: JSONObject", typeNames(n.Types))
			return
		}
		c.object(n, v, path, false)
	case []any:
		if n.Types != "" && !strings.Contains(n.Types, "a") {
			c.fault(path, "expected type: %s, found: JSONArray", typeNames(n.Types))
			return
		}
		if n.Items != nil {
			for i, x := range v {
				c.value(n.Items, x, fmt.Sprintf("%s/%d", path, i))
			}
		}
	default:
		c.scalar(n, v, path)
	}
}

func (c *checker) scalar(n *schema.Node, v any, path string) {
	text, _ := Text(v)
	if strings.Contains(text, "{{resolve:") {
		return
	}
	found := "String"
	switch v.(type) {
	case bool:
		found = "Boolean"
	case json.Number:
		found = "Number"
	}
	ok := n.Types == "" || strings.Contains(n.Types, "s")
	number, err := strconv.ParseFloat(text, 64)
	if strings.Contains(n.Types, "n") && err == nil {
		ok = true
	}
	if strings.Contains(n.Types, "i") && err == nil && number == float64(int64(number)) {
		ok = true
	}
	if strings.Contains(n.Types, "b") && (text == "true" || text == "false") {
		ok = true
	}
	switch {
	case !ok:
		c.fault(path, "expected type: %s, found: %s", typeNames(n.Types), found)
	case len(n.Enum) > 0 && !slices.Contains(n.Enum, text):
		near := Nearest(text, n.Enum)
		if near != "" {
			near = ", did you mean " + near + "?"
		}
		c.fault(path, "%s is not a valid enum value%s", text, near)
	case err == nil && n.Min != nil && number < *n.Min && !strings.Contains(n.Types, "s"):
		c.fault(path, "%s is not greater or equal to %v", text, *n.Min)
	case err == nil && n.Max != nil && number > *n.Max && !strings.Contains(n.Types, "s"):
		c.fault(path, "%s is not less or equal to %v", text, *n.Max)
	}
}

func typeNames(letters string) string {
	names := map[rune]string{'s': "String", 'i': "Integer", 'n': "Number", 'b': "Boolean", 'a': "JSONArray", 'o': "JSONObject"}
	var out []string
	for _, l := range letters {
		out = append(out, names[l])
	}
	return strings.Join(out, " or ")
}
