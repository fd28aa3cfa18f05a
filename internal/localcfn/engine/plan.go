package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-cdk/postern/internal/localcfn/cloud"
	"github.com/postern-cdk/postern/internal/localcfn/schema"
	"github.com/postern-cdk/postern/internal/localcfn/template"
)

// Change is one line of a change set.
type Change struct {
	Action      string   `json:"action"` // Add, Modify, Remove
	LogicalID   string   `json:"logicalId"`
	PhysicalID  string   `json:"physicalId,omitempty"`
	Type        string   `json:"type"`
	Replacement string   `json:"replacement,omitempty"` // True, False, Conditional
	Policy      string   `json:"policy,omitempty"`      // what happens to the old one: Delete, Retain, ReplaceAndDelete ...
	Scope       []string `json:"scope,omitempty"`
	Details     []Detail `json:"details,omitempty"`
	Before      string   `json:"before,omitempty"`
	After       string   `json:"after,omitempty"`
}

// Detail is why and how one property changes.
type Detail struct {
	Attribute  string `json:"attribute"`
	Name       string `json:"name,omitempty"`
	Path       string `json:"path,omitempty"`
	Recreation string `json:"recreation"`
	Evaluation string `json:"evaluation"` // Static, Dynamic
	Source     string `json:"source"`
	Cause      string `json:"cause,omitempty"`
	Before     string `json:"before,omitempty"`
	After      string `json:"after,omitempty"`
	Kind       string `json:"kind,omitempty"`
}

// Problem is a fault in a resource that was found before anything was deployed.
type Problem struct {
	LogicalID string `json:"logicalId"`
	Type      string `json:"type"`
	Path      string `json:"path"` // in the template
	Message   string `json:"message"`
	Text      string `json:"text"` // with the path in the properties
}

// target is a deployment as asked for.
type target struct {
	t          *template.Template
	parameters map[string]string
	resolved   map[string]string
	bound      map[string]any
	tags       []Tag
	settings   Settings
}

// planEnv answers for a stack before it is deployed.
type planEnv struct {
	env
	// changed holds the resources that will be made or replaced, updated those changed in place.
	changed, updated map[string]bool
}

func (v *planEnv) Ref(id string) (any, error) {
	if v.changed[id] || !v.s.Resources[id].exists() {
		return template.Unknown{Causes: []template.Cause{{LogicalID: id}}}, nil
	}
	return v.env.Ref(id)
}

func (v *planEnv) GetAtt(id, attribute string) (any, error) {
	r := v.s.Resources[id]
	if v.changed[id] || !r.exists() || v.updated[id] && cloud.Changing(r.Type, attribute) {
		return template.Unknown{Causes: []template.Cause{{LogicalID: id, Attribute: attribute}}}, nil
	}
	return v.env.GetAtt(id, attribute)
}

// plan works out what a deployment would change. Faults in properties are
// collected in faults; other faults end it.
func (e *Engine) plan(s *Stack, to target) (changes []Change, faults []Problem, err error) {
	v := &planEnv{env: env{e, s, map[string]bool{}}, changed: map[string]bool{}, updated: map[string]bool{}}
	scope := &template.Scope{
		Template: to.t, Parameters: to.bound, Pseudo: e.pseudo(s.Name, s.ID, to.settings.NotificationARNs), Env: v,
	}
	order, _, err := scope.Order()
	if err != nil {
		return nil, nil, err
	}
	var old *template.Template
	if s.Body != "" {
		if old, err = s.template(); err != nil {
			return nil, nil, err
		}
	}
	for _, id := range order {
		tr := to.t.Resources[id]
		x, err := scope.Eval(anyMap(tr.Properties))
		if err != nil {
			return nil, nil, err
		}
		props := x.(map[string]any)
		t := schema.Lookup(tr.Type)
		for _, f := range template.CheckProperties(t, props) {
			path, message, _ := strings.Cut(f, ": ")
			faults = append(faults, Problem{id, tr.Type, "/Resources/" + id + "/Properties" + path[1:], message, f})
		}
		r := s.Resources[id]
		if !r.exists() {
			v.changed[id] = true
			changes = append(changes, Change{
				Action: "Add", LogicalID: id, Type: tr.Type, After: template.JSON(map[string]any{"Properties": props}),
			})
			continue
		}
		if r.Type != tr.Type {
			return nil, nil, template.Error(fmt.Sprintf("Update of resource type is not permitted. The new template modifies resource type of the following resources: [%s]", id))
		}
		c := e.planUpdate(s, old, to, t, r, tr, props)
		if c == nil {
			continue
		}
		if c.Replacement == "True" || c.Replacement == "Conditional" && replaces(t, compare(r.Declared, props, nil), r.Declared, props, tr) {
			v.changed[id] = true
		} else {
			v.updated[id] = true
		}
		changes = append(changes, *c)
	}
	for _, id := range sorted(s.Resources) {
		r := s.Resources[id]
		if slices.Contains(order, id) || !r.exists() {
			continue
		}
		changes = append(changes, Change{
			Action: "Remove", LogicalID: id, PhysicalID: r.Ref, Type: r.Type, Policy: action(r.deletionPolicy()),
			Before: template.JSON(map[string]any{"Properties": anyMap(r.Declared)}),
		})
	}
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.LogicalID, b.LogicalID) })
	// Outputs are evaluated for their faults.
	for _, key := range sorted(to.t.Outputs) {
		o := to.t.Outputs[key]
		live, err := scope.Live(o.Condition)
		if err != nil {
			return nil, nil, err
		}
		if !live {
			continue
		}
		if _, err := scope.Eval(o.Value); err != nil {
			return nil, nil, err
		}
		if _, err := scope.Eval(o.ExportName); err != nil {
			return nil, nil, err
		}
	}
	return changes, faults, nil
}

func anyMap(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

func action(policy string) string {
	switch policy {
	case "Retain", "RetainExceptOnCreate":
		return "Retain"
	case "Snapshot":
		return "Snapshot"
	}
	return "Delete"
}

// planUpdate works out the change of one resource that exists, or nil.
func (e *Engine) planUpdate(s *Stack, old *template.Template, to target, t *schema.Type, r *Resource, tr *template.Resource, props map[string]any) *Change {
	c := &Change{Action: "Modify", LogicalID: r.LogicalID, PhysicalID: r.Ref, Type: r.Type, Replacement: "False"}
	var oldRaw map[string]any
	if old != nil && old.Resources[r.LogicalID] != nil {
		oldRaw = old.Resources[r.LogicalID].Properties
	}
	scopes := map[string]bool{}
	for _, d := range compare(anyMap(r.Declared), props, nil) {
		name := d.path[0]
		detail := Detail{
			Attribute: "Properties", Name: name, Path: "/Properties/" + strings.Join(d.path, "/"), Kind: d.kind(),
			Recreation: recreation(t, d), Before: show(d.before), After: show(d.after),
		}
		if name == t.TagProperty && name == "Tags" {
			detail.Attribute, detail.Name = "Tags", ""
		}
		scopes[detail.Attribute] = true
		causes := template.Causes(d.after)
		direct := !template.Equal(oldRaw[name], tr.Properties[name])
		if direct || len(causes) == 0 {
			detail.Evaluation, detail.Source = "Static", "DirectModification"
			if len(causes) > 0 {
				detail.Evaluation = "Dynamic"
			} else if !direct {
				detail.Evaluation, detail.Source, detail.Cause = e.cause(s, to, tr.Properties[name])
			}
			c.Details = append(c.Details, detail)
		}
		for _, cause := range causes {
			x := detail
			x.Evaluation, x.Source, x.Cause = "Dynamic", "ResourceReference", cause.LogicalID
			if cause.Attribute != "" {
				x.Source, x.Cause = "ResourceAttribute", cause.LogicalID+"."+cause.Attribute
			}
			c.Details = append(c.Details, x)
		}
	}
	extra := extraOf(tr)
	for _, name := range []string{"CreationPolicy", "DeletionPolicy", "Metadata", "UpdatePolicy", "UpdateReplacePolicy"} {
		if !template.Equal(r.Extra[name], extra[name]) {
			scopes[name] = true
			c.Details = append(c.Details, Detail{
				Attribute: name, Path: "/" + name, Recreation: never, Evaluation: "Static", Source: "DirectModification",
				Before: show(r.Extra[name]), After: show(extra[name]), Kind: difference{nil, r.Extra[name], extra[name]}.kind(),
			})
		}
	}
	if t.TagProperty != "" && !slices.Equal(r.Tags, to.tags) {
		scopes["Tags"] = true
		c.Details = append(c.Details, Detail{Attribute: "Tags", Recreation: never, Evaluation: "Static", Source: "DirectModification", Kind: "Modify"})
	}
	if len(c.Details) == 0 {
		return nil
	}
	for _, name := range []string{"Properties", "Metadata", "CreationPolicy", "UpdatePolicy", "DeletionPolicy", "UpdateReplacePolicy", "Tags"} {
		if scopes[name] {
			c.Scope = append(c.Scope, name)
		}
	}
	for _, d := range c.Details {
		switch {
		case d.Recreation == always && d.Evaluation == "Static":
			c.Replacement = "True"
		case d.Recreation != never && c.Replacement == "False":
			c.Replacement = "Conditional"
		}
	}
	if c.Replacement != "False" {
		policy, _ := extra["UpdateReplacePolicy"].(string)
		c.Policy = map[string]string{
			"Delete": "ReplaceAndDelete", "Retain": "ReplaceAndRetain", "Snapshot": "ReplaceAndSnapshot",
		}[action(policy)]
	}
	c.Before = template.JSON(map[string]any{"Properties": anyMap(r.Declared)})
	c.After = template.JSON(map[string]any{"Properties": props})
	return c
}

// cause finds what made a value change though its expression stayed.
func (e *Engine) cause(s *Stack, to target, raw any) (evaluation, source, cause string) {
	evaluation, source = "Static", "DirectModification"
	template.Walk(raw, func(x any) {
		name, arg, ok := template.Call(x)
		if !ok || cause != "" {
			return
		}
		names := []string{}
		if text, isText := arg.(string); isText && name == "Ref" {
			names = append(names, text)
		}
		if name == "Fn::Sub" {
			if text, _, err := template.SubArgs(arg); err == nil {
				names = append(names, template.SubNames(text)...)
			}
		}
		for _, n := range names {
			if to.t.Parameters[n] == nil {
				continue
			}
			if to.parameters[n] != s.Parameters[n] || to.resolved[n] != s.Resolved[n] {
				source, cause = "ParameterReference", n
			}
		}
	})
	return evaluation, source, cause
}

func show(v any) string {
	if v == nil {
		return ""
	}
	if s, ok := template.Text(v); ok {
		return s
	}
	if _, ok := v.(template.Unknown); ok {
		return template.KnownAfterApply
	}
	return template.JSON(v)
}

// extraOf gives what a resource has beside properties.
func extraOf(r *template.Resource) map[string]any {
	out := map[string]any{}
	for k, v := range map[string]any{
		"CreationPolicy": r.CreationPolicy, "DeletionPolicy": r.DeletionPolicy, "Metadata": r.Metadata,
		"UpdatePolicy": r.UpdatePolicy, "UpdateReplacePolicy": r.UpdateReplacePolicy,
	} {
		if v != nil {
			out[k] = v
		}
	}
	return out
}
