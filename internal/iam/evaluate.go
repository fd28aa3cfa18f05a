package iam

import (
	"fmt"
	"strings"
)

// Context holds what IAM knows of a request, by condition key. Keys are matched
// whatever their case. A key that is not there is one that the request lacks.
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
	// Missed says, for each statement that has the action but did not apply, why.
	Missed []string
}

// Evaluate decides a request. Policies add up.
func Evaluate(policies []*Policy, r Request) Decision {
	var allows, denies, missed []string
	for _, p := range policies {
		for _, s := range p.statements {
			name := p.Name + "/" + s.name
			matches, why := s.match(r)
			switch {
			case matches && s.deny:
				denies = append(denies, name)
			case matches:
				allows = append(allows, name)
			case why != "" && !s.deny:
				missed = append(missed, name+": "+why)
			}
		}
	}
	if len(denies) > 0 {
		return Decision{Decisive: denies, Missed: missed}
	}
	return Decision{Allowed: len(allows) > 0, Decisive: allows, Missed: missed}
}

// match tells whether a statement applies. Why is empty where it is not about
// the action at all.
func (s statement) match(r Request) (matches bool, why string) {
	if s.matchAction(r.Action) == s.notActions {
		return false, ""
	}
	ok, resolved := s.matchResource(r)
	if ok == s.notRes {
		not := "not among its resources"
		if s.notRes {
			not = "among the resources that it leaves out"
		}
		return false, fmt.Sprintf("%s is %s: %s", r.Resource, not, strings.Join(resolved, ", "))
	}
	for _, c := range s.conditions {
		if c.holds(r.Context, s.variables) {
			continue
		}
		has := "has no such key"
		if value, ok := r.Context.get(c.key); ok {
			has = fmt.Sprintf("has %q", value)
		}
		return false, fmt.Sprintf("wants %s %s %s, the request %s", c.operator.name, c.key, strings.Join(quoted(c.values), " or "), has)
	}
	return true, ""
}

func (s statement) matchAction(action string) bool {
	for _, pattern := range s.actions {
		p, _ := expand(strings.ToLower(pattern), true, false, nil)
		if p.match(strings.ToLower(action)) {
			return true
		}
	}
	return false
}

func (s statement) matchResource(r Request) (matches bool, resolved []string) {
	for _, pattern := range s.resources {
		if pattern == "*" {
			return true, []string{"*"}
		}
		ok, text := matchARN(pattern, r.Resource, s.variables, r.Context)
		if ok {
			return true, nil
		}
		resolved = append(resolved, text)
	}
	return false, resolved
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
