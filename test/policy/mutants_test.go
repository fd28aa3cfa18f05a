package policy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/postern-cdk/postern/internal/iam"
)

// mutant is a policy in which one rule is missing.
type mutant struct {
	grant, name string
	document    json.RawMessage
}

// mutants leaves out one rule after the other: a statement, an action, a resource, the
// restriction to resources, a condition, one of a condition's values, and what a
// variable stands for.
func mutants(grant string, document json.RawMessage) []mutant {
	var all []mutant
	count := len(statementsOf(document))
	for i := range count {
		// Each change begins with a fresh copy.
		change := func(name string, f func(s map[string]any) bool) {
			statements := statementsOf(document)
			s := statements[i].(map[string]any)
			sid, _ := s["Sid"].(string)
			if sid == "" {
				sid = fmt.Sprintf("statement %d", i+1)
			}
			if !f(s) {
				statements = slices.Delete(statements, i, i+1)
			}
			text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
			if err != nil {
				panic(err)
			}
			all = append(all, mutant{grant: grant, name: sid + " " + name, document: text})
		}
		whole := statementsOf(document)[i].(map[string]any)
		change("removed", func(map[string]any) bool { return false })
		for _, list := range []string{"Action", "Resource"} {
			values := listOf(whole[list])
			if len(values) < 2 {
				continue
			}
			for at, value := range values {
				change("without "+list+" "+value.(string), func(s map[string]any) bool {
					s[list] = slices.Delete(listOf(s[list]), at, at+1)
					return true
				})
			}
		}
		if resources := listOf(whole["Resource"]); len(resources) > 1 || resources[0] != "*" {
			change("on every resource", func(s map[string]any) bool { s["Resource"] = "*"; return true })
		}
		conditions, _ := whole["Condition"].(map[string]any)
		for _, operator := range slices.Sorted(maps.Keys(conditions)) {
			keys := conditions[operator].(map[string]any)
			for _, key := range slices.Sorted(maps.Keys(keys)) {
				of := func(s map[string]any) map[string]any {
					return s["Condition"].(map[string]any)[operator].(map[string]any)
				}
				change("without "+operator+" "+key, func(s map[string]any) bool { delete(of(s), key); return true })
				values := listOf(keys[key])
				for at, value := range values {
					if len(values) > 1 {
						change(fmt.Sprintf("without %s %s %s", operator, key, value), func(s map[string]any) bool {
							of(s)[key] = slices.Delete(listOf(of(s)[key]), at, at+1)
							return true
						})
					}
				}
				if base, ok := strings.CutSuffix(operator, "IfExists"); ok {
					change("with "+base+" for "+operator+" "+key, func(s map[string]any) bool {
						value := of(s)[key]
						delete(of(s), key)
						put(s, base, key, value)
						return true
					})
				} else if !strings.Contains(operator, ":") {
					change("with IfExists for "+operator+" "+key, func(s map[string]any) bool {
						value := of(s)[key]
						delete(of(s), key)
						put(s, operator+"IfExists", key, value)
						return true
					})
				}
			}
		}
	}
	return all
}

func put(s map[string]any, operator, key string, value any) {
	conditions := s["Condition"].(map[string]any)
	if conditions[operator] == nil {
		conditions[operator] = map[string]any{}
	}
	conditions[operator].(map[string]any)[key] = value
}

func statementsOf(document json.RawMessage) []any {
	var d struct{ Statement []any }
	if err := json.Unmarshal(document, &d); err != nil {
		panic(err)
	}
	return d.Statement
}

func listOf(value any) []any {
	if list, ok := value.([]any); ok {
		return list
	}
	return []any{value}
}

// composed are grants of several that open the same by more than one statement, or nothing yet. Their parts are grants
// of their own here.
var composed = []string{"made: user", "made: hours"}

// kill is a mutant and the first case that answers otherwise under it.
type kill struct {
	mutant
	by *testCase
}

// kills looks with our own evaluator for a case against each mutant.
func kills(grants map[string]json.RawMessage, except []string, cases []testCase) ([]kill, error) {
	parsed := map[string]*iam.Policy{}
	for name, document := range grants {
		p, err := iam.Parse(name, document)
		if err != nil {
			return nil, err
		}
		parsed[name] = p
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(grants)), func(grant string) bool {
		return slices.Contains(except, grant) || slices.Contains(composed, grant)
	})
	found := make([][]kill, len(names))
	faults := make([]error, len(names))
	var work sync.WaitGroup
	for i, grant := range names {
		work.Go(func() { found[i], faults[i] = killsOf(grant, grants[grant], parsed, cases) })
	}
	work.Wait()
	return slices.Concat(found...), errors.Join(faults...)
}

func killsOf(grant string, document json.RawMessage, parsed map[string]*iam.Policy, cases []testCase) ([]kill, error) {
	var own []testCase
	var answers []bool
	for _, c := range cases {
		if c.policies[0] == grant {
			own = append(own, c)
			answers = append(answers, c.decide(parsed[grant], parsed))
		}
	}
	var all []kill
	for _, m := range mutants(grant, document) {
		changed, err := iam.Parse(grant, m.document)
		if err != nil {
			return nil, err
		}
		if grant == "closed" && !strings.Contains(m.name, "aws:CurrentTime") {
			continue // it opens nothing, with whatever rule
		}
		k := kill{mutant: m}
		for i, c := range own {
			if c.decide(changed, parsed) != answers[i] {
				k.by = &own[i]
				break
			}
		}
		all = append(all, k)
	}
	return all, nil
}

// decide is what our own evaluator says, with another first policy.
func (c testCase) decide(first *iam.Policy, parsed map[string]*iam.Policy) bool {
	policies := []*iam.Policy{first}
	for _, other := range c.policies[1:] {
		policies = append(policies, parsed[other])
	}
	return c.do.Decide(func(r iam.Request) bool { return iam.Evaluate(policies, r).Allowed })
}

// under is the case that kills, asked under the mutant.
func (k kill) under() testCase {
	c := *k.by
	c.policies = append([]string{k.grant + " / " + k.name}, c.policies[1:]...)
	return c
}

// harmless are rules whose absence no request can show, and why they are there.
var harmless = []struct{ statement, rule, why string }{
	{"", "with Bool for BoolIfExists ssm:SessionDocumentAccessCheck", "Session Manager sends the key with every start; AWS writes IfExists"},
	{"StartDocuments", "without BoolIfExists ssm:SessionDocumentAccessCheck", "only the check on the node counts for a start without a document; AWS asks for it in all, see TestEveryStartHasTheDocumentCheck"},
	{"Look", "without Action ec2:DescribeInstances", "sessions and tunnels both need it, and either may be granted alone"},
	{"", "with IfExists for StringEquals aws:RequestedRegion", "every request has a region"},
	{"", "with IfExists for DateGreaterThanEquals aws:CurrentTime", "every request has a time"},
	{"", "with IfExists for DateLessThan aws:CurrentTime", "every request has a time"},
	{"", "with IfExists for DateLessThanEquals aws:CurrentTime", "every request has a time"},
}

// Each rule of each policy is there for something: without it, a case turns red, and the
// independent evaluator says so, too.
func TestEachRuleIsProtectedByACase(t *testing.T) {
	h := heard(t)
	used := make([]bool, len(harmless))
	survivors := 0
	for _, k := range h.kills {
		if k.by == nil {
			i := slices.IndexFunc(harmless, func(h struct{ statement, rule, why string }) bool {
				return strings.HasPrefix(k.name, h.statement) && strings.HasSuffix(k.name, " "+h.rule)
			})
			if assert.NotEqual(t, -1, i, "no case turns red where %s: %s", k.grant, k.name) {
				used[i] = true
			}
			survivors++
			continue
		}
		c := k.under()
		questions := c.questions()
		i := 0
		got := c.do.Decide(func(iam.Request) bool { i++; return h.allowed(t, questions[i-1]) })
		assert.NotEqual(t, c.want, got, "%s: %s: %q stays green for the independent evaluator", k.grant, k.name, c.name)
	}
	for i, h := range harmless {
		assert.True(t, used[i], "%q is not harmless any more: take it off the list", h.rule)
	}
	t.Logf("%d mutants, of which %d are known to be harmless", len(h.kills), survivors)
}

// One statement without it is enough for a shell by the account's default document.
func TestEveryStartHasTheDocumentCheck(t *testing.T) {
	seen := 0
	for grant, document := range theWorld().grants() {
		if slices.Contains(theWorld().othersNames(), grant) {
			continue
		}
		for _, s := range statementsOf(document) {
			s := s.(map[string]any)
			if s["Effect"] != "Allow" || !slices.Contains(listOf(s["Action"]), any("ssm:StartSession")) {
				continue
			}
			seen++
			condition, _ := s["Condition"].(map[string]any)
			assert.Equal(t, map[string]any{"ssm:SessionDocumentAccessCheck": "true"}, condition["BoolIfExists"], "%s: %s", grant, s["Sid"])
		}
	}
	assert.Positive(t, seen)
}
