package policy_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/iam"
)

// resourceKill is a policy in which one rule is missing, and the first case that answers
// otherwise under it.
type resourceKill struct {
	mutant
	// resource tells whether it is the policy of a resource, or of who asks.
	resource bool
	by       *resourceCase
}

func (k resourceKill) mutantName() string { return k.grant + " / " + k.name }

// under is the question of the case that kills, under the mutant.
func (k resourceKill) under() question {
	q := k.by.question
	if k.resource {
		q.ResourcePolicy = k.mutantName()
		return q
	}
	q.Policies = slices.Clone(q.Policies)
	q.Policies[slices.Index(q.Policies, k.grant)] = k.mutantName()
	return q
}

// anybody are mutants of a resource's policy in which a statement is for everybody.
func anybody(arn string, document json.RawMessage) []mutant {
	var all []mutant
	for i, s := range statementsOf(document) {
		if s := s.(map[string]any); s["Effect"] != "Allow" || strings.Contains(string(mustJSON(s["Principal"])), `"*"`) {
			continue
		}
		statements := statementsOf(document)
		changed := statements[i].(map[string]any)
		changed["Principal"] = "*"
		sid, _ := changed["Sid"].(string)
		all = append(all, mutant{grant: arn, name: sid + " for everybody", document: mustJSON(map[string]any{"Version": "2012-10-17", "Statement": statements})})
	}
	return all
}

func mustJSON(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

// Of the policies of who writes, the statements that concern what is asked here.
var aboutEvidence = map[string][]string{
	"bastion":     {"Records ", "RecordsKey ", "PeopleNames ", "PeopleKeys ", "PeopleKeysKey "},
	"far bastion": {"Records ", "RecordsKey "},
	"replication": {""},
	"firehose":    {"Deliver ", "Find ", "Encrypt "},
}

// Of the policies of a log account, what concerns sources; and both statements without a name, about TLS.
var aboutSources = []string{"Source", "Own ", "statement 1 ", "statement 2 "}

func resourceKills(t *testing.T, e *evidence) []resourceKill {
	t.Helper()
	cases := e.cases()
	ours := judgeOf(t, e.policies, e.rights)
	answers := make([]bool, len(cases))
	for i, c := range cases {
		answers[i] = ours(c.question, c.by.caller).Allowed
	}
	own := parseAll(t, e.rights)
	resources := map[string]*iam.ResourcePolicy{}
	for arn, document := range e.policies {
		p, err := iam.ParseResource(arn, document)
		require.NoError(t, err)
		resources[arn] = p
	}
	var all []resourceKill
	try := func(m mutant, resource bool) {
		k := resourceKill{mutant: m, resource: resource}
		var changedResource *iam.ResourcePolicy
		var changed *iam.Policy
		var err error
		if resource {
			changedResource, err = iam.ParseResource(m.grant, m.document)
		} else {
			changed, err = iam.Parse(m.grant, m.document)
		}
		require.NoError(t, err)
		for i := range cases {
			c := &cases[i]
			policy := resources[c.on]
			if resource && c.on != m.grant || !resource && !slices.Contains(c.by.rights, m.grant) {
				continue
			}
			var mine []*iam.Policy
			for _, name := range c.by.rights {
				if !resource && name == m.grant {
					mine = append(mine, changed)
				} else {
					mine = append(mine, own[name])
				}
			}
			if resource {
				policy = changedResource
			}
			r := iam.Request{Action: c.Action, Resource: c.Resource, Context: c.Context}
			if iam.EvaluateResource(c.by.caller, mine, c.Account, policy, r).Allowed != answers[i] {
				k.by = c
				break
			}
		}
		all = append(all, k)
	}
	for _, arn := range e.proved() {
		for _, m := range append(mutants(arn, e.policies[arn]), anybody(arn, e.policies[arn])...) {
			// What a log account's archive has for its own account is what every archive has.
			if e.owners[arn] == "" || slices.ContainsFunc(aboutSources, func(sid string) bool { return strings.HasPrefix(m.name, sid) }) {
				try(m, true)
			}
		}
	}
	for _, who := range slices.Sorted(maps.Keys(aboutEvidence)) {
		for _, m := range mutants(who, e.rights[who]) {
			if slices.ContainsFunc(aboutEvidence[who], func(sid string) bool { return strings.HasPrefix(m.name, sid) }) {
				try(m, false)
			}
		}
	}
	return all
}

// proved are the resources whose policies are tried rule by rule. The rest are of the
// same make.
func (e *evidence) proved() []string {
	all := []string{e.key, e.listsKey, e.replicaKey, e.bucket, e.accessLogs, e.lists, e.replica, e.replicaLogs, e.topic, e.queue, e.replicator}
	for _, c := range e.centrals {
		all = append(all, c.bucket, c.key, c.destination, c.firehose, c.sender)
	}
	return all
}

// harmlessOfResources are rules whose absence no request can show, and why they are there.
var harmlessOfResources = []struct{ statement, rule, why string }{
	{"CloudWatchLogs", "without Action kms:DescribeKey", "AWS writes it, but no DescribeKey has the encryption context that the statement asks for"},
	{"statement ", "on every resource", "the policy of a bucket is about that bucket, whatever it names"},
	{"CloudTrailCheck", "on every resource", "its action is about buckets, and the policy is about one"},
	{"RecordsKey", "without StringEquals kms:ViaService", "the key's policy in the log account asks for it, too"},
	{"RecordsKey", "with IfExists for StringEquals kms:ViaService", "the key's policy in the log account asks for it, too"},
	{"", "with IfExists for StringNotEquals aws:PrincipalAccount", "a negated operator holds where the key is missing, with IfExists or without"},
	{"Sources", "on every resource", "the policy of a destination is about that destination, whatever it names"},
	{"SourceCheck", "on every resource", "its action is about buckets, and the policy is about one"},
	{"SourceLogDeliveryCheck", "on every resource", "its actions are about buckets, and the policy is about one"},
	{"SourceTrailsCheck", "on every resource", "its action is about buckets, and the policy is about one"},
	{"LogDeliveryCheck", "on every resource", "its actions are about buckets, and the policy is about one"},
	{"AllowPublishThroughSSLOnly", "on every resource", "the policy of a topic is about that topic, whatever it names"},
	{"CloudWatchAlarms", "on every resource", "the policy of a topic is about that topic, whatever it names"},
	{"EventBridgeRules", "on every resource", "the policy of a topic or queue is about that one, whatever it names"},
	{"OnlyTLS", "on every resource", "the policy of a queue is about that queue, whatever it names"},
	{"", "with IfExists for Bool aws:SecureTransport", "every request tells whether it came by TLS"},
	{"statement ", "with IfExists for NumericLessThan s3:TlsVersion", "who came without TLS has no version, and is refused for that"},
}

// Each rule of each resource's policy is there for something.
func TestEachRuleOfAResourceIsProtectedByACase(t *testing.T) {
	h := heardResources(t)
	used := make([]bool, len(harmlessOfResources))
	survivors := 0
	for _, k := range h.kills {
		if k.by == nil {
			i := slices.IndexFunc(harmlessOfResources, func(h struct{ statement, rule, why string }) bool {
				return strings.HasPrefix(k.name, h.statement) && strings.HasSuffix(k.name, h.rule)
			})
			if assert.NotEqual(t, -1, i, "no case turns red where %s: %s", k.grant, k.name) {
				used[i] = true
			}
			survivors++
			continue
		}
		assert.NotEqual(t, k.by.want, h.allowed(t, k.under()), "%s: %q stays green for the independent evaluator", k.mutantName(), k.by.name)
	}
	for i, h := range harmlessOfResources {
		assert.True(t, used[i], "%s %q is not harmless any more: take it off the list", h.statement, h.rule)
	}
	t.Logf("%d mutants, of which %d are known to be harmless", len(h.kills), survivors)
}
