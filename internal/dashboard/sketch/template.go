package sketch

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Template draws the dashboard of a CloudFormation template.
func Template(text []byte) ([]byte, error) {
	var template struct {
		Resources map[string]struct {
			Type       string
			Properties struct{ DashboardBody any }
		}
	}
	if err := json.Unmarshal(text, &template); err != nil {
		return nil, fmt.Errorf("no template: %w", err)
	}
	var names []string
	for name, resource := range template.Resources {
		if resource.Type == "AWS::CloudWatch::Dashboard" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, errors.New("the template has no AWS::CloudWatch::Dashboard")
	}
	slices.Sort(names)
	return SVG([]byte(fill(template.Resources[names[0]].Properties.DashboardBody)))
}

// hash is what the CDK puts behind logical IDs.
var hash = regexp.MustCompile(`[0-9A-F]{8}$`)

// fill spells out what is known only in a deployment, by the names of what is
// referred to.
func fill(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case map[string]any:
		if join, ok := value["Fn::Join"].([]any); ok && len(join) == 2 {
			parts, _ := join[1].([]any)
			var b strings.Builder
			for _, part := range parts {
				b.WriteString(fill(part))
			}
			return b.String()
		}
		if reference, ok := value["Ref"].(string); ok {
			return name(reference)
		}
		if attribute, ok := value["Fn::GetAtt"].([]any); ok && len(attribute) == 2 {
			resource, _ := attribute[0].(string)
			return name(resource)
		}
		if imported, ok := value["Fn::ImportValue"].(string); ok {
			return name(imported)
		}
	}
	return "..."
}

func name(id string) string {
	if _, after, found := strings.Cut(id, "::"); found {
		return strings.ToLower(after)
	}
	return hash.ReplaceAllString(id, "")
}
