package template

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/postern-cdk/postern/internal/localcfn/schema"
)

// Check finds what is wrong with the template before anything is deployed:
// types that don't exist, references that lead nowhere, circles.
// A custom resource needs somebody who answers it: custom says whether there is one
// for a type, and may be nil.
func (t *Template) Check(custom func(typ string) bool) error {
	if len(t.Transforms) > 0 {
		return errorf("Transform %s is not supported: this CloudFormation runs no macros. Deploy the processed template instead.", strings.Join(t.Transforms, ", "))
	}
	if err := t.checkTypes(custom); err != nil {
		return err
	}
	for _, id := range keys(t.Resources) {
		r := t.Resources[id]
		if path := null(r.Properties); path != "" {
			return errorf("[/Resources/%s/Properties%s] 'null' values are not allowed in templates", id, path)
		}
		if r.Condition != "" && t.Conditions[r.Condition] == nil {
			return errorf("Template format error: Unresolved condition dependency %s in the Resources block of the template", r.Condition)
		}
		for _, d := range r.DependsOn {
			if t.Resources[d] == nil {
				return errorf("Template format error: Unresolved resource dependencies [%s] in the Resources block of the template", d)
			}
		}
		for _, v := range []any{any(r.Properties), r.Metadata, r.UpdatePolicy, r.CreationPolicy} {
			if err := t.checkValue(v, "Resources"); err != nil {
				return err
			}
		}
		if name, _, ok := Call(r.Properties); ok && name != "Condition" {
			return errorf("Template format error: [/Resources/%s/Properties] must be an object, not %s", id, name)
		}
		if err := checkUpdatePolicy(r); err != nil {
			return err
		}
	}
	for _, id := range keys(t.Outputs) {
		o := t.Outputs[id]
		if o.Condition != "" && t.Conditions[o.Condition] == nil {
			return errorf("Template format error: Unresolved condition dependency %s in the Outputs block of the template", o.Condition)
		}
		for _, v := range []any{o.Value, o.ExportName} {
			if err := t.checkValue(v, "Outputs"); err != nil {
				return err
			}
		}
	}
	for _, name := range keys(t.Conditions) {
		if err := t.checkCondition(t.Conditions[name]); err != nil {
			return err
		}
	}
	return nil
}

func null(v any) string {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range keys(v) {
			if v[k] == nil {
				return "/" + k
			}
			if p := null(v[k]); p != "" {
				return "/" + k + p
			}
		}
	case []any:
		for i, x := range v {
			if x == nil {
				return fmt.Sprintf("/%d", i)
			}
			if p := null(x); p != "" {
				return fmt.Sprintf("/%d%s", i, p)
			}
		}
	}
	return ""
}

func (t *Template) checkTypes(custom func(typ string) bool) error {
	unrecognized := map[string]string{}
	for _, id := range keys(t.Resources) {
		typ := t.Resources[id].Type
		switch {
		case schema.IsCustom(typ) && custom != nil && custom(typ):
		case schema.IsCustom(typ):
			return errorf("Resource %s is a custom resource (%s), which is not supported: nothing runs in this CloudFormation, so nothing would answer it", id, typ)
		case typ == "AWS::CloudFormation::Stack" || typ == "AWS::CloudFormation::Macro":
			return errorf("Resource %s: type %s is not supported by this CloudFormation", id, typ)
		case schema.Lookup(typ) == nil:
			unrecognized[typ] = Nearest(typ, schema.Names())
		}
	}
	if len(unrecognized) == 0 {
		return nil
	}
	types := keys(unrecognized)
	message := fmt.Sprintf("Template format error: Unrecognized resource types: [%s]", strings.Join(types, ", "))
	for _, typ := range types {
		if near := unrecognized[typ]; near != "" {
			message += fmt.Sprintf(". The type nearest to %s is %s", typ, near)
		}
	}
	return Error(message)
}

var functions = []string{
	"Fn::And", "Fn::Base64", "Fn::Cidr", "Fn::Contains", "Fn::EachMemberEquals", "Fn::EachMemberIn", "Fn::Equals",
	"Fn::FindInMap", "Fn::GetAZs", "Fn::GetAtt", "Fn::GetStackOutput", "Fn::If", "Fn::ImportValue", "Fn::Join", "Fn::Not",
	"Fn::Or", "Fn::RefAll", "Fn::Select", "Fn::Split", "Fn::Sub", "Fn::Transform",
}

var pseudo = []string{
	"AWS::AccountId", "AWS::NoValue", "AWS::NotificationARNs", "AWS::Partition", "AWS::Region", "AWS::StackId",
	"AWS::StackName", "AWS::URLSuffix",
}

// checkValue checks every function in a value, in all branches.
func (t *Template) checkValue(v any, block string) error {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			if err := t.checkValue(x, block); err != nil {
				return err
			}
		}
	case map[string]any:
		if name, arg, ok := Call(v); ok && name != "Condition" {
			if err := t.checkCall(name, arg, block); err != nil {
				return err
			}
		}
		for _, k := range keys(v) {
			if err := t.checkValue(v[k], block); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *Template) checkCall(name string, arg any, block string) error {
	switch name {
	case "Ref":
		id, ok := arg.(string)
		if !ok {
			return errorf("Template format error: all Ref values must be strings")
		}
		return t.checkRef(id, block)
	case "Fn::GetAtt":
		id, attribute, err := GetAttArgs(arg)
		if err != nil {
			return err
		}
		text, _ := attribute.(string)
		return t.checkGetAtt(id, text)
	case "Fn::Sub":
		text, vars, err := SubArgs(arg)
		if err != nil {
			return err
		}
		for _, n := range SubNames(text) {
			if _, own := vars[n]; own {
				continue
			}
			if id, attribute, ok := strings.Cut(n, "."); ok {
				if t.Resources[id] == nil {
					return errorf("Template error: instance of Fn::Sub references invalid resource attribute %s", n)
				}
				if err := t.checkGetAtt(id, attribute); err != nil {
					return err
				}
			} else if err := t.checkRef(n, block); err != nil {
				return err
			}
		}
	case "Fn::If":
		l, ok := arg.([]any)
		if !ok || len(l) != 3 {
			return errorf("Template error: Fn::If requires a list argument with three elements")
		}
		condition, _ := l[0].(string)
		if t.Conditions[condition] == nil {
			return errorf("Template format error: Unresolved condition dependency %s in the %s block of the template", condition, block)
		}
	case "Fn::Transform":
		return errorf("Transform %s is not supported: this CloudFormation runs no macros", macroName(arg))
	default:
		if !slices.Contains(functions, name) {
			near := Nearest(name, functions)
			if near != "" {
				near = ". Did you mean " + near + "?"
			}
			return errorf("Template format error: %s is not a function that this CloudFormation knows%s", name, near)
		}
	}
	return nil
}

func (t *Template) checkRef(id, block string) error {
	if t.Resources[id] != nil || t.Parameters[id] != nil || slices.Contains(pseudo, id) {
		return nil
	}
	return errorf("Template format error: Unresolved resource dependencies [%s] in the %s block of the template", id, block)
}

func (t *Template) checkGetAtt(id, attribute string) error {
	r := t.Resources[id]
	if r == nil {
		return errorf("Template error: instance of Fn::GetAtt references undefined resource %s", id)
	}
	typ := schema.Lookup(r.Type)
	if attribute == "" || typ == nil || schema.IsCustom(r.Type) { // whatever it answers
		return nil
	}
	names := typ.AttributeNames()
	for i := len(attribute); i > 0; i = strings.LastIndex(attribute[:i], ".") {
		if slices.Contains(names, attribute[:i]) {
			return nil
		}
	}
	near := Nearest(attribute, names)
	if near != "" {
		near = fmt.Sprintf(". Did you mean %s?", near)
	} else if len(names) > 0 && len(names) <= 12 {
		near = fmt.Sprintf(". It has %s", strings.Join(names, ", "))
	}
	return errorf("Template error: resource %s does not support attribute type %s in Fn::GetAtt%s", id, attribute, near)
}

func (t *Template) checkCondition(v any) error {
	var fault error
	Walk(v, func(x any) {
		if fault != nil {
			return
		}
		name, arg, ok := Call(x)
		if !ok {
			return
		}
		text, _ := arg.(string)
		switch name {
		case "Condition":
			if t.Conditions[text] == nil {
				fault = errorf("Template format error: Unresolved condition dependency %s in the Conditions block of the template", text)
			}
		case "Ref":
			if t.Parameters[text] == nil && !slices.Contains(pseudo, text) {
				fault = errorf("Template format error: Unresolved dependencies [%s]. Cannot reference resources in the Conditions block of the template", text)
			}
		case "Fn::GetAtt", "Fn::GetAZs", "Fn::ImportValue", "Fn::GetStackOutput":
			fault = errorf("Template error: Cannot use %s in Conditions.", name)
		}
	})
	return fault
}

// policies lists the members of UpdatePolicy and theirs.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-updatepolicy.html
var policies = map[string][]string{
	"AutoScalingReplacingUpdate": {"WillReplace"},
	"AutoScalingRollingUpdate": {
		"MaxBatchSize", "MinActiveInstancesPercent", "MinInstancesInService", "MinSuccessfulInstancesPercent",
		"PauseTime", "SuspendProcesses", "WaitOnResourceSignals",
	},
	"AutoScalingScheduledAction":  {"IgnoreUnmodifiedGroupSizeProperties"},
	"AutoScalingInstanceRefresh":  nil,
	"CodeDeployLambdaAliasUpdate": {"AfterAllowTrafficHook", "ApplicationName", "BeforeAllowTrafficHook", "DeploymentGroupName"},
	"EnableVersionUpgrade":        nil,
	"UseOnlineResharding":         nil,
}

func checkUpdatePolicy(r *Resource) error {
	if r.UpdatePolicy == nil {
		return nil
	}
	m, ok := r.UpdatePolicy.(map[string]any)
	if !ok {
		return errorf("Template error: UpdatePolicy of resource %s must be an object", r.LogicalID)
	}
	if _, _, isCall := Call(m); isCall {
		return nil
	}
	for _, k := range keys(m) {
		members, known := policies[k]
		if !known {
			return errorf("Template error: unknown UpdatePolicy %s of resource %s; it takes %s", k, r.LogicalID, strings.Join(slices.Sorted(maps.Keys(policies)), ", "))
		}
		inner, isMap := m[k].(map[string]any)
		if members == nil || !isMap {
			continue
		}
		if _, _, isCall := Call(inner); isCall {
			continue
		}
		for _, x := range keys(inner) {
			if !slices.Contains(members, x) {
				return errorf("Template error: unknown property %s of UpdatePolicy %s of resource %s; it takes %s", x, k, r.LogicalID, strings.Join(members, ", "))
			}
		}
	}
	return nil
}

// Order sorts the resources that are live so that each comes after those it
// needs, and tells what each needs. A circle is a fault that names its members.
func (s *Scope) Order() ([]string, map[string][]string, error) {
	t := s.Template
	for _, name := range keys(t.Conditions) {
		if _, err := s.Condition(name); err != nil {
			return nil, nil, err
		}
	}
	live := map[string]bool{}
	for _, id := range keys(t.Resources) {
		yes, err := s.Live(t.Resources[id].Condition)
		if err != nil {
			return nil, nil, err
		}
		live[id] = yes
	}
	needs := map[string][]string{}
	for _, id := range keys(t.Resources) {
		if !live[id] {
			continue
		}
		r := t.Resources[id]
		refs, err := s.References([]any{any(r.Properties), r.Metadata, r.UpdatePolicy, r.CreationPolicy})
		if err != nil {
			return nil, nil, err
		}
		set := map[string]bool{}
		for _, ref := range refs {
			if t.Resources[ref.LogicalID] == nil {
				continue
			}
			if !live[ref.LogicalID] {
				return nil, nil, errorf("Template format error: Unresolved resource dependencies [%s] in the Resources block of the template", ref.LogicalID)
			}
			set[ref.LogicalID] = true
		}
		for _, d := range r.DependsOn {
			if live[d] {
				set[d] = true
			}
		}
		needs[id] = slices.Sorted(maps.Keys(set))
	}
	if err := s.checkOutputs(live); err != nil {
		return nil, nil, err
	}
	order, circle := Sort(needs)
	if len(circle) > 0 {
		return nil, nil, errorf("Circular dependency between resources: [%s]", strings.Join(circle, ", "))
	}
	return order, needs, nil
}

// checkOutputs refuses outputs that use a resource whose condition is false:
// such an output needs the condition, too.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/conditions-section-structure.html
func (s *Scope) checkOutputs(live map[string]bool) error {
	for _, key := range keys(s.Template.Outputs) {
		o := s.Template.Outputs[key]
		yes, err := s.Live(o.Condition)
		if err != nil {
			return err
		}
		if !yes {
			continue
		}
		refs, err := s.References([]any{o.Value, o.ExportName})
		if err != nil {
			return err
		}
		for _, ref := range refs {
			if s.Template.Resources[ref.LogicalID] != nil && !live[ref.LogicalID] {
				return errorf("Template format error: Unresolved resource dependencies [%s] in the Outputs block of the template", ref.LogicalID)
			}
		}
	}
	return nil
}

// Sort orders the keys of needs so that each comes after those it needs. Where
// it can't, it returns the members of a circle.
func Sort(needs map[string][]string) (order, circle []string) {
	waiting := map[string]int{}
	users := map[string][]string{}
	var ready []string
	for id, list := range needs {
		for _, d := range list {
			if _, ok := needs[d]; ok {
				waiting[id]++
				users[d] = append(users[d], id)
			}
		}
	}
	for id := range needs {
		if waiting[id] == 0 {
			ready = append(ready, id)
		}
	}
	for len(ready) > 0 {
		sort.Strings(ready)
		var next []string
		for _, id := range ready {
			order = append(order, id)
			for _, u := range users[id] {
				if waiting[u]--; waiting[u] == 0 {
					next = append(next, u)
				}
			}
		}
		ready = next
	}
	if len(order) == len(needs) {
		return order, nil
	}
	// What is left holds a circle and what hangs on it: drop from the other end, too.
	left := map[string]bool{}
	for id := range needs {
		left[id] = true
	}
	for _, id := range order {
		delete(left, id)
	}
	for changed := true; changed; {
		changed = false
		for id := range left {
			used := false
			for _, u := range users[id] {
				used = used || left[u]
			}
			if !used {
				delete(left, id)
				changed = true
			}
		}
	}
	return nil, slices.Sorted(maps.Keys(left))
}

// Nearest returns the candidate that a typing error most likely meant, or "".
func Nearest(word string, candidates []string) string {
	best, limit := "", 1+max(1, len(word)/4)
	for _, c := range candidates {
		if d := len(c) - len(word); d >= limit || -d >= limit {
			continue
		}
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d < limit {
			best, limit = c, d
		}
	}
	return best
}

func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
