package iam

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Policy is an identity-based policy that [Parse] understood.
type Policy struct {
	// Name is how decisions call it.
	Name       string
	statements []statement
}

type statement struct {
	name       string
	deny       bool
	actions    []pattern // in lower case
	notActions bool
	resources  []resource
	notRes     bool
	conditions []condition
	variables  bool
}

type condition struct {
	operator operator
	key      string
	values   []string
}

// Parse reads a policy document. What it can't judge is an error.
func Parse(name string, document []byte) (*Policy, error) {
	statements, err := readDocument(name, "an identity-based", document, parseStatement, func(s *statement) *string { return &s.name })
	if statements == nil {
		return nil, err
	}
	return &Policy{Name: name, statements: statements}, err
}

// readDocument reads the statements of a document that is kind of policy, and numbers
// those without a name. They are nil where it can't be read at all.
func readDocument[S any](name, kind string, document []byte, parse func(text []byte, variables bool) (S, error), nameOf func(*S) *string) ([]S, error) {
	var d struct {
		Version   string          `json:"Version"`
		ID        string          `json:"Id"`
		Statement json.RawMessage `json:"Statement"`
	}
	if err := decode(document, kind, &d); err != nil {
		return nil, fmt.Errorf("policy %s: %w", name, err)
	}
	switch d.Version {
	case "2012-10-17", "2008-10-17", "":
	default:
		return nil, fmt.Errorf("policy %s: Version %q is not one of IAM's", name, d.Version)
	}
	var raw []json.RawMessage
	if text := bytes.TrimSpace(d.Statement); len(text) > 0 && text[0] == '{' {
		raw = []json.RawMessage{d.Statement}
	} else if err := json.Unmarshal(d.Statement, &raw); err != nil {
		return nil, fmt.Errorf("policy %s: Statement is neither a statement nor a list of them", name)
	}
	statements := []S{}
	var faults []error
	for i, text := range raw {
		s, err := parse(text, d.Version == "2012-10-17")
		own := nameOf(&s)
		if *own == "" {
			*own = fmt.Sprintf("statement %d", i+1)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("policy %s, %s: %w", name, *own, err))
		}
		statements = append(statements, s)
	}
	return statements, errors.Join(faults...)
}

func parseStatement(text []byte, variables bool) (statement, error) {
	var d struct {
		Sid         string                     `json:"Sid"`
		Effect      string                     `json:"Effect"`
		Action      list                       `json:"Action"`
		NotAction   list                       `json:"NotAction"`
		Resource    list                       `json:"Resource"`
		NotResource list                       `json:"NotResource"`
		Condition   map[string]map[string]list `json:"Condition"`
	}
	if err := decode(text, "an identity-based", &d); err != nil {
		return statement{}, err
	}
	s := statement{
		name: d.Sid, variables: variables,
		notActions: d.NotAction != nil, notRes: d.NotResource != nil,
	}
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	switch d.Effect {
	case "Allow":
	case "Deny":
		s.deny = true
	default:
		fault("Effect %q is neither Allow nor Deny", d.Effect)
	}
	actions := d.Action
	if s.notActions {
		actions = d.NotAction
	}
	resources := d.Resource
	if s.notRes {
		resources = d.NotResource
	}
	if (d.Action == nil) == (d.NotAction == nil) || len(actions) == 0 {
		fault("needs Action or NotAction, one of the two and not empty")
	}
	if (d.Resource == nil) == (d.NotResource == nil) || len(resources) == 0 {
		fault("needs Resource or NotResource, one of the two and not empty")
	}
	for _, action := range actions {
		if service, name, ok := strings.Cut(action, ":"); action != "*" && (!ok || service == "" || name == "") {
			fault("Action %q is not SERVICE:NAME", action)
		}
		p, _ := expand(strings.ToLower(action), true, false, nil)
		s.actions = append(s.actions, p)
	}
	for _, text := range resources {
		r, err := parseResource(text, variables)
		if err != nil {
			fault("Resource %w", err)
		}
		if s.notRes && variables && strings.Contains(text, "${") {
			fault("NotResource %q has a variable: what that means where the request lacks it, AWS does not say", text)
		}
		s.resources = append(s.resources, r)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Condition)) {
		op, ok := findOperator(name)
		if !ok {
			fault("Condition operator %q can't be judged here: known are %s, each also with one of ForAnyValue:, ForAllValues: and IfExists, and Null", name, strings.Join(operatorNames(), ", "))
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(d.Condition[name])) {
			c := condition{operator: op, key: key, values: d.Condition[name][key]}
			if len(c.values) == 0 {
				fault("Condition %s %s has no value", name, key)
			}
			for _, value := range c.values {
				if op.check != nil && !strings.Contains(value, "${") {
					if err := op.check(value); err != nil {
						fault("Condition %s %s: %w", name, key, err)
					}
				}
			}
			s.conditions = append(s.conditions, c)
		}
	}
	return s, errors.Join(faults...)
}

// decode refuses elements that it doesn't know: Principal has no place in an
// identity-based policy, and a misspelt Condition would be no condition.
func decode(text []byte, kind string, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("is not %s policy that can be judged: %w", kind, err)
	}
	return nil
}

// list is one value or several. Scalars that are no strings are taken by their
// text, as IAM does.
type list []string

func (l *list) UnmarshalJSON(text []byte) error {
	var v any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return err
	}
	values, ok := v.([]any)
	if !ok {
		values = []any{v}
	}
	*l = list{}
	for _, value := range values {
		switch value := value.(type) {
		case string:
			*l = append(*l, value)
		case bool, json.Number:
			*l = append(*l, fmt.Sprint(value))
		default:
			return fmt.Errorf("%s is not text: resolve what the template refers to first", text)
		}
	}
	return nil
}
