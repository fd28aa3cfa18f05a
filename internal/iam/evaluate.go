package iam

import (
	"fmt"
	"strings"
)

// Context holds what IAM knows of a request, by condition key. Keys are matched
// whatever their case. A key that is not there is one that the request lacks. The
// values of a key that has several, such as aws:TagKeys, are separated by commas.
type Context map[string]string

func (c Context) get(key string) (string, bool) {
	if value, ok := c[key]; ok {
		return value, true
	}
	for k, value := range c {
		if strings.EqualFold(k, key) {
			return value, true
		}
	}
	return "", false
}

// With is a copy with further keys. An empty value takes a key away.
func (c Context) With(more Context) Context {
	all := Context{}
	for _, source := range []Context{c, more} {
		for key, value := range source {
			for old := range all {
				if strings.EqualFold(old, key) {
					delete(all, old)
				}
			}
			if value != "" {
				all[key] = value
			}
		}
	}
	return all
}

// Request is one action on one resource.
type Request struct {
	// Action such as "ssm:StartSession".
	Action string
	// Resource is an ARN, or "*" for an action without resource types.
	Resource string
	Context  Context
}

// Decision is what policies make of a request.
type Decision struct {
	Allowed bool
	// Decisive names the statements that allowed or explicitly denied it. It is
	// empty where nothing did.
	Decisive []string
}

// Evaluate decides a request. Policies add up.
func Evaluate(policies []*Policy, r Request) Decision {
	var allows, denies []string
	for _, p := range policies {
		for i := range p.statements {
			s := &p.statements[i]
			switch {
			case !s.matchAction(r.Action) || !s.matchResource(r) || s.unmet(r.Context) != nil:
			case s.deny:
				denies = append(denies, p.Name+"/"+s.name)
			default:
				allows = append(allows, p.Name+"/"+s.name)
			}
		}
	}
	if len(denies) > 0 {
		return Decision{Decisive: denies}
	}
	return Decision{Allowed: len(allows) > 0, Decisive: allows}
}

// Missed says of each statement that allows the action, but not this request of
// it, why not.
func Missed(policies []*Policy, r Request) []string {
	var missed []string
	for _, p := range policies {
		for i := range p.statements {
			s := &p.statements[i]
			if s.deny || !s.matchAction(r.Action) {
				continue
			}
			if why := s.miss(r); why != "" {
				missed = append(missed, p.Name+"/"+s.name+": "+why)
			}
		}
	}
	return missed
}

func (s *statement) miss(r Request) string {
	if !s.matchResource(r) {
		not := "not among its resources"
		if s.notRes {
			not = "among the resources that it leaves out"
		}
		resolved := make([]string, len(s.resources))
		for i, pattern := range s.resources {
			resolved[i] = pattern.resolved(r.Context)
		}
		return fmt.Sprintf("%s is %s: %s", r.Resource, not, strings.Join(resolved, ", "))
	}
	c := s.unmet(r.Context)
	if c == nil {
		return ""
	}
	has := "has no such key"
	if value, ok := r.Context.get(c.key); ok {
		has = fmt.Sprintf("has %q", value)
	}
	return fmt.Sprintf("wants %s %s %s, the request %s", c.operator.name, c.key, strings.Join(quoted(c.values), " or "), has)
}

// unmet is the first condition that the request does not meet.
func (s *statement) unmet(context Context) *condition {
	for i := range s.conditions {
		if !s.conditions[i].holds(context, s.variables) {
			return &s.conditions[i]
		}
	}
	return nil
}

// matchAction tells whether the statement is about the action.
func (s *statement) matchAction(action string) bool {
	action = strings.ToLower(action)
	for _, p := range s.actions {
		if p.match(action) {
			return !s.notActions
		}
	}
	return s.notActions
}

// matchResource tells whether the statement is about the resource.
func (s *statement) matchResource(r Request) bool {
	have := strings.SplitN(r.Resource, ":", 6)
	for _, resource := range s.resources {
		if resource.match(have, r.Context) {
			return !s.notRes
		}
	}
	return s.notRes
}

func quoted(values []string) []string {
	all := make([]string, len(values))
	for i, value := range values {
		all[i] = fmt.Sprintf("%q", value)
	}
	return all
}

// Operation is what a person does, which may take several permissions: the
// requests of at least one alternative must all be allowed.
type Operation struct {
	// Name says it in words.
	Name         string
	Alternatives [][]Request
}

// Once is the operation of a single request.
func Once(r Request) Operation {
	return Operation{Name: r.Action + " on " + r.Resource, Alternatives: [][]Request{{r}}}
}

// Requests lists all requests that may decide the operation.
func (o Operation) Requests() []Request {
	var all []Request
	for _, alternative := range o.Alternatives {
		all = append(all, alternative...)
	}
	return all
}

// Decide asks a judge about each request in turn.
func (o Operation) Decide(allowed func(Request) bool) bool {
	for _, alternative := range o.Alternatives {
		all := true
		for _, r := range alternative {
			all = allowed(r) && all
		}
		if all {
			return true
		}
	}
	return false
}
