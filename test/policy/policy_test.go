package policy_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/iam"
)

// hearing is all questions of all tests with their answers, of one process.
type hearing struct {
	policies  map[string]json.RawMessage
	questions []question
	index     map[string]int
	answers   []answer
	kills     []kill
	err       error
}

func (h *hearing) ask(q question) {
	if _, ok := h.index[q.String()]; !ok {
		h.index[q.String()] = len(h.questions)
		h.questions = append(h.questions, q)
	}
}

func (h *hearing) allowed(t *testing.T, q question) bool {
	t.Helper()
	i, ok := h.index[q.String()]
	require.True(t, ok, "not asked: %s", q)
	allowed, err := h.answers[i].verdict(q)
	require.NoError(t, err)
	return allowed
}

var theWorld = sync.OnceValue(func() *world { return newWorld("aws", "eu-west-1") })

// otherWorlds are where ARNs begin otherwise.
var otherWorlds = sync.OnceValue(func() []*world {
	var worlds []*world
	for partition, region := range map[string]string{"aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"} {
		w := newWorld(partition, region)
		w.label = partition + ": "
		worlds = append(worlds, w)
	}
	return worlds
})

// allCases are those of all worlds, with the policies; and those of what constructs made.
func allCases(t *testing.T) ([]testCase, map[string]json.RawMessage) {
	t.Helper()
	w := theWorld()
	cases, policies := append(w.cases(), w.madeCases()...), w.grants()
	maps.Copy(policies, theMade(t).grants)
	for _, w := range otherWorlds() {
		cases = append(cases, w.partitionCases()...)
		maps.Copy(policies, w.grants())
	}
	return cases, policies
}

// shared is made by the first test that asks for it, and fails the others where that
// test could not make it.
type shared[T any] struct {
	once  sync.Once
	made  bool
	value T
}

func (s *shared[T]) get(t *testing.T, of func(*testing.T) T) T {
	t.Helper()
	s.once.Do(func() { s.value, s.made = of(t), true })
	require.True(t, s.made, "what is asked could not be made")
	return s.value
}

var (
	oneMade    shared[made]
	oneHearing shared[*hearing]
)

func theMade(t *testing.T) made {
	t.Helper()
	return oneMade.get(t, func(t *testing.T) made {
		t.Helper()
		return synthesize(t, theWorld())
	})
}

// heard asks once for all tests.
func heard(t *testing.T) *hearing {
	t.Helper()
	h := oneHearing.get(t, hold)
	require.NoError(t, h.err)
	return h
}

func hold(t *testing.T) *hearing {
	t.Helper()
	cases, policies := allCases(t)
	h := &hearing{policies: maps.Clone(policies), index: map[string]int{}}
	for _, c := range cases {
		for _, q := range c.questions() {
			h.ask(q)
		}
	}
	for name, document := range probePolicies() {
		h.policies[name] = document
	}
	for _, p := range probes() {
		h.ask(p.question)
	}
	for role, document := range theMade(t).trust {
		h.policies["trust of "+role] = document
	}
	for _, c := range trustCases() {
		h.ask(c.question)
	}
	for _, r := range randomCases() {
		h.policies[r.question.Policies[0]] = r.document
		h.ask(r.question)
	}
	mutated := theWorld().grants()
	maps.Copy(mutated, theMade(t).grants)
	h.kills, h.err = kills(mutated, theWorld().othersNames(), cases)
	if h.err != nil {
		return h
	}
	for _, k := range h.kills {
		if k.by == nil {
			continue
		}
		c := k.under()
		h.policies[c.policies[0]] = k.document
		for _, q := range c.questions() {
			h.ask(q)
		}
	}
	h.answers, h.err = Simulate(h.policies, h.questions)
	return h
}

func TestTable(t *testing.T) {
	h := heard(t)
	cases, policies := allCases(t)
	parsed := parseAll(t, policies)
	allows, denies := 0, 0
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			questions := c.questions()
			i := 0
			got := c.do.Decide(func(iam.Request) bool { i++; return h.allowed(t, questions[i-1]) })
			assert.Equal(t, c.want, got, "the independent evaluator, %s", c.do.Name)
			assert.Equal(t, c.want, decide(parsed, c), "our own, %s", explain(parsed, c))
		})
		if c.want {
			allows++
		} else {
			denies++
		}
	}
	assert.Greater(t, denies, allows)
	t.Logf("%d cases: %d allow, %d deny, %d questions", allows+denies, allows, denies, len(h.questions))
}

func parseAll(t *testing.T, documents map[string]json.RawMessage) map[string]*iam.Policy {
	t.Helper()
	parsed := map[string]*iam.Policy{}
	for name, document := range documents {
		p, err := iam.Parse(name, document)
		require.NoError(t, err)
		parsed[name] = p
	}
	return parsed
}

func decide(parsed map[string]*iam.Policy, c testCase) bool {
	return c.do.Decide(func(r iam.Request) bool { return iam.Evaluate(policiesOf(parsed, c), r).Allowed })
}

func policiesOf(parsed map[string]*iam.Policy, c testCase) []*iam.Policy {
	var policies []*iam.Policy
	for _, name := range c.policies {
		policies = append(policies, parsed[name])
	}
	return policies
}

func explain(parsed map[string]*iam.Policy, c testCase) string {
	var text string
	for _, r := range c.do.Requests() {
		d := iam.Evaluate(policiesOf(parsed, c), r)
		text += fmt.Sprintf("\n%s on %s: %v, by %v, missed %v", r.Action, r.Resource, d.Allowed, d.Decisive, iam.Missed(policiesOf(parsed, c), r))
	}
	return text
}
