package policy_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/iam"
)

// probe is a question about one condition alone. A condition that the evaluator does
// not look at answers both of a pair alike.
type probe struct {
	name string
	question
	want bool
}

// conditionUse is a condition on a key, and values that do and don't meet it.
type conditionUse struct{ operator, key, value, meets, misses string }

// For each key that our policies use, an action that has it, and values. TestEvaluatorJudgesEachKey finds keys that
// are not here.
var uses = map[string][]conditionUse{
	"ssm:StartSession": {
		{"BoolIfExists", "ssm:SessionDocumentAccessCheck", "true", "true", "false"},
		{"StringEquals", "ssm:resourceTag/Stage", "prod", "prod", "test"},
		{"StringEquals", "ssm:resourceTag/postern:bastion", "Test/Bastion", "Test/Bastion", "Other/Bastion"},
		{"Bool", "aws:MultiFactorAuthPresent", "true", "true", "false"},
		{"NumericLessThanEquals", "aws:MultiFactorAuthAge", "3600", "3600", "3601"},
		{"DateGreaterThanEquals", "aws:CurrentTime", "2026-03-01T08:00:00Z", "2026-03-01T08:00:00Z", "2026-03-01T07:59:59Z"},
		{"DateLessThan", "aws:CurrentTime", "2026-03-01T08:00:00Z", "2026-03-01T07:59:59Z", "2026-03-01T08:00:00Z"},
		{"DateLessThanEquals", "aws:CurrentTime", "2026-03-01T08:00:00Z", "2026-03-01T08:00:00Z", "2026-03-01T08:00:01Z"},
		{"IpAddress", "aws:SourceIp", "203.0.113.0/24", "203.0.113.255", "203.0.114.0"},
		{"StringEquals", "aws:SourceVpce", "vpce-1", "vpce-1", "vpce-12"},
	},
	"ssm:TerminateSession": {
		{"StringEquals", "ssm:resourceTag/aws:ssmmessages:session-id", "${aws:userid}", "AIDAALICE0000000001", "AIDAALICE0000000002"},
	},
	"ssm:DescribeSessions": {
		{"StringEquals", "aws:RequestedRegion", "eu-west-1", "eu-west-1", "us-west-2"},
	},
	"ec2:CreateTags": {
		{"ForAnyValue:StringEquals", "aws:TagKeys", "Stage", "Name,Stage", "Name"},
	},
	"kms:GenerateDataKey": {
		{"StringLike", "kms:EncryptionContext:aws:ssm:SessionId", "*", "alice-1", ""},
	},
	"ec2-instance-connect:OpenTunnel": {
		{"NumericEquals", "ec2-instance-connect:remotePort", "22", "22", "3389"},
		{"IpAddress", "ec2-instance-connect:privateIpAddress", "10.0.1.0/24", "10.0.1.255", "10.0.2.0"},
		{"NumericLessThanEquals", "ec2-instance-connect:maxTunnelDuration", "1800", "1800", "1801"},
		{"StringEquals", "aws:ResourceTag/Stage", "prod", "prod", "test"},
	},
	"ec2-instance-connect:SendSSHPublicKey": {
		{"StringEquals", "ec2:osuser", "ec2-user", "ec2-user", "root"},
		{"StringEquals", "aws:ResourceTag/Stage", "prod", "prod", "test"},
		{"StringEquals", "aws:ResourceTag/postern:bastion", "Test/Bastion", "Test/Bastion", "Other/Bastion"},
	},
}

func (w *world) resourceFor(action string) string {
	switch {
	case action == "ssm:TerminateSession":
		return w.sessionOf(w.alice)
	case action == "ssm:DescribeSessions":
		return "*"
	case strings.HasPrefix(action, "kms:"):
		return w.arn("kms", w.Region, w.Account, "key/session")
	case action == "ec2-instance-connect:OpenTunnel":
		return w.arn("ec2", w.Region, w.Account, "instance-connect-endpoint/"+endpoint)
	default:
		return w.Node(host)
	}
}

func probePolicies() map[string]json.RawMessage {
	all := map[string]json.RawMessage{}
	for action, list := range uses {
		for _, u := range list {
			all[u.policy(action)] = json.RawMessage(fmt.Sprintf(
				`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": %q, "Resource": "*", "Condition": {%q: {%q: %q}}}]}`,
				action, u.operator, u.key, u.value))
		}
	}
	return all
}

func (u conditionUse) policy(action string) string {
	return strings.Join([]string{"probe", action, u.operator, u.key}, " ")
}

var probes = sync.OnceValue(func() []probe {
	w := theWorld()
	var all []probe
	for _, action := range slices.Sorted(maps.Keys(uses)) {
		for _, u := range uses[action] {
			for _, want := range []bool{true, false} {
				value := u.misses
				if want {
					value = u.meets
				}
				all = append(all, probe{
					name: fmt.Sprintf("%s %s=%q", u.policy(action), u.key, value), want: want,
					question: question{
						Policies: []string{u.policy(action)}, Principal: w.alice.arn, Action: action, Resource: w.resourceFor(action), Account: account,
						Context: iam.Context{"aws:userid": "AIDAALICE0000000001"}.With(iam.Context{u.key: value}),
					},
				})
			}
		}
	}
	return all
})

// An evaluator that leaves out a key would let a case pass for the wrong reason. So
// each key that a policy uses is seen to make a difference, alone.
func TestEvaluatorJudgesEachKey(t *testing.T) {
	h := heard(t)
	for _, p := range probes() {
		assert.Equal(t, p.want, h.allowed(t, p.question), p.name)
	}
	probed := map[string]bool{}
	for _, list := range uses {
		for _, u := range list {
			probed[u.operator+" "+u.key] = true
		}
	}
	for grant, document := range theWorld().grants() {
		for _, s := range statementsOf(document) {
			conditions, _ := s.(map[string]any)["Condition"].(map[string]any)
			for operator, keys := range conditions {
				for key := range keys.(map[string]any) {
					assert.True(t, probed[operator+" "+key], "%s uses %s %s, of which no probe shows that the evaluator judges it", grant, operator, key)
				}
			}
		}
	}
}

// What the evaluator leaves out or refuses is no judgement.
func TestVerdictRefusesWhatWasNotJudged(t *testing.T) {
	q := question{Policies: []string{"P"}, Action: "ssm:StartSession", Resource: theWorld().Node(host), Context: iam.Context{"ssm:madeUp": "x"}}
	for _, a := range []answer{
		{Result: "Allowed", Bare: "Allowed", Ignored: []string{"ssm:madeUp"}},
		{Error: "invalid.action", Bare: "Allowed"},
		{Result: "Allowed", Bare: "ImplicitlyDenied"},
		{},
	} {
		_, err := a.verdict(q)
		assert.Error(t, err, "%v", a)
	}
	tunnel := question{Action: "ec2-instance-connect:OpenTunnel", Context: iam.Context{"ec2-instance-connect:remotePort": "22"}}
	gap := answer{Error: "multiple.resource.types", Bare: "Allowed"}
	allowed, err := gap.verdict(tunnel)
	require.NoError(t, err)
	assert.True(t, allowed)
	tunnel.Context["ec2-instance-connect:madeUp"] = "x"
	_, err = gap.verdict(tunnel)
	assert.EqualError(t, err, "ec2-instance-connect:OpenTunnel has no key ec2-instance-connect:madeUp: docs.aws.amazon.com/service-authorization/latest/reference/list_ec2-instance-connect.html")
}

// randomCase is a policy and a request that nobody thought of.
type randomCase struct {
	document json.RawMessage
	question question
}

// randomCases mixes what policies are made of, always the same.
var randomCases = sync.OnceValue(func() []randomCase {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	some := func(from ...string) []string {
		list := []string{pick(from...)}
		for r.IntN(3) == 0 {
			list = append(list, pick(from...))
		}
		return list
	}
	w := theWorld()
	nodes := []string{w.Node(host), w.Node(bastion), w.Node("*"), w.Node("i-0?aaaaaaaaaaaaaaa"), w.arn("ec2", "*", "*", "instance/*"), w.arn("ec2", "us-*", w.Account, "instance/"+host), "*"}
	sessions := []string{w.sessionOf(w.alice), w.sessionOf(w.aliceTwo), w.sessionOf(w.carol)}
	own := []string{
		w.arn("ssm", w.Region, w.Account, "session/${aws:username}-*"), w.arn("ssm", w.Region, w.Account, "session/${aws:username, 'carol'}-*"),
		w.arn("ssm", "*", "*", "session/${aws:nobody}-*"), w.arn("ssm", w.Region, w.Account, "session/*"), w.arn("ssm", w.Region, w.Account, "session/${*}"), "*",
	}
	conditions := []struct {
		key    string
		values []string
		ops    []string
	}{
		// All with a length: NotIpAddress of a bare address is never met by an address of the other family for the
		// evaluator, though it is for a block.
		{"aws:SourceIp", []string{"203.0.113.0/24", "198.51.100.7/32", "203.0.113.9/32", "2001:db8::/32"}, []string{"IpAddress", "NotIpAddress", "NotIpAddressIfExists"}},
		{"aws:MultiFactorAuthAge", []string{"60", "300", "3600"}, []string{"NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals", "NumericEquals", "NumericNotEquals", "NumericLessThanIfExists"}},
		{"aws:MultiFactorAuthPresent", []string{"true", "false"}, []string{"Bool", "BoolIfExists", "Null"}},
		{"aws:CurrentTime", []string{"2026-03-10T12:00:00Z", "2026-03-10T11:59:59Z", "2026-03-11T00:00:00Z"}, []string{"DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals", "DateEquals", "DateNotEquals"}},
		{"aws:username", []string{"alice", "alice-*", "ALICE", "a?ice", "${aws:username}"}, []string{"StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLikeIfExists"}},
		{"aws:PrincipalArn", []string{w.arn("iam", "", w.Account, "user/alice"), w.arn("iam", "", "*", "user/*"), w.arn("iam", "", w.Account, "role/?perators")}, []string{"ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "ArnLikeIfExists"}},
		{"aws:TagKeys", []string{"Stage", "Name", "S*"}, []string{"ForAnyValue:StringEquals", "ForAnyValue:StringLike", "ForAllValues:StringEquals", "ForAllValues:StringLike"}},
		{"ssm:resourceTag/Stage", []string{"prod", "p*", "test"}, []string{"StringEquals", "StringLike", "StringNotEquals", "StringEqualsIfExists"}},
	}
	people := []person{w.alice, w.aliceTwo, w.carol, w.alice.with(iam.Context{"aws:MultiFactorAuthPresent": "", "aws:MultiFactorAuthAge": ""})}
	var all []randomCase
	for i := range 800 {
		action := pick("ssm:StartSession", "ssm:TerminateSession", "ssm:ResumeSession")
		var statements []any
		for range 1 + r.IntN(3) {
			s := map[string]any{"Effect": pick("Allow", "Allow", "Deny")}
			s[pick("Action", "Action", "Action", "NotAction")] = some(action, "ssm:*", "ssm:Start*", "SSM:startSESSION", "ssm:?erminateSession", "*", "ec2:StartInstances")
			kind := pick("Resource", "Resource", "Resource", "NotResource")
			if action == "ssm:StartSession" {
				s[kind] = some(nodes...)
			} else {
				if kind == "NotResource" { // without variables, which our own refuses there
					s[kind] = some(own[3], w.sessionOf(w.alice), w.arn("ssm", "*", "*", "session/alice*"))
				} else {
					s[kind] = some(own...)
				}
			}
			if r.IntN(3) > 0 {
				condition := map[string]map[string][]string{}
				for range 1 + r.IntN(2) {
					c := conditions[r.IntN(len(conditions))]
					op := pick(c.ops...)
					if condition[op] == nil {
						condition[op] = map[string][]string{}
					}
					condition[op][c.key] = some(c.values...)
					if op == "Null" {
						condition[op][c.key] = []string{pick(c.values...)}
					}
				}
				s["Condition"] = condition
			}
			statements = append(statements, s)
		}
		text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
		if err != nil {
			panic(err)
		}
		p := people[r.IntN(len(people))]
		resource := pick(sessions...)
		context := p.context.With(iam.Context{"aws:SourceIp": pick(office, elsewhere, "2001:db8::1"), "aws:TagKeys": pick("", "Name", "Name,Stage")})
		if action == "ssm:StartSession" {
			resource = pick(w.Node(host), w.Node(bastion))
			context = context.With(iam.Context{"ssm:resourceTag/Stage": pick("", "prod", "test")})
		}
		all = append(all, randomCase{text, question{
			Policies: []string{fmt.Sprintf("random %d", i)}, Principal: p.arn, Action: action, Resource: resource, Account: account, Context: context,
		}})
	}
	return all
})

// Two programs of different people, and no difference.
func TestEvaluatorsAgree(t *testing.T) {
	h := heard(t)
	allowed := 0
	for _, c := range randomCases() {
		p, err := iam.Parse("P", c.document)
		require.NoError(t, err)
		r := iam.Request{Action: c.question.Action, Resource: c.question.Resource, Context: c.question.Context}
		ours, theirs := iam.Evaluate([]*iam.Policy{p}, r).Allowed, h.allowed(t, c.question)
		assert.Equal(t, theirs, ours, "%s\n%s", c.question, c.document)
		if ours {
			allowed++
		}
	}
	assert.InDelta(t, len(randomCases())/2, allowed, float64(len(randomCases()))*0.35, "both answers come up")
}
