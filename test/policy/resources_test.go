package policy_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/iam"
)

// resourceCase is a request to a resource that has a policy.
type resourceCase struct {
	name string
	// on is the ARN whose policy is asked, and under the name of that policy.
	on string
	by asker
	question
	want bool
}

// service acts by itself for an account, with what it tells IAM of that.
func (e *evidence) service(name string, context iam.Context) asker {
	return asker{name: name, caller: iam.Caller{Service: name}, context: context}
}

// onBehalf is what a service tells IAM where it acts for a resource.
func onBehalf(account, arn string) iam.Context {
	return iam.Context{"aws:SourceAccount": account, "aws:SourceArn": arn}
}

// role is a session of a role, with the policies that it has.
func (e *evidence) role(account, name string, rights ...string) asker {
	labelled := make([]string, len(rights))
	for i, r := range rights {
		labelled[i] = e.label + r
	}
	return asker{
		name: "role " + name, rights: labelled,
		caller:  iam.Caller{ARN: "arn:" + e.Partition + ":sts::" + account + ":assumed-role/" + name + "/someone"},
		context: iam.Context{"aws:PrincipalAccount": account, "aws:PrincipalArn": "arn:" + e.Partition + ":iam::" + account + ":role/" + name, "kms:CallerAccount": account},
	}
}

func (a asker) with(name string, context iam.Context) asker {
	a.name += " " + name
	a.context = a.context.With(context)
	return a
}

// ask makes the case of one action.
func (e *evidence) ask(by asker, action, resource string, context iam.Context, want bool) resourceCase {
	on := resource
	if strings.HasPrefix(action, "s3:") {
		on, _, _ = strings.Cut(resource, "/")
	}
	all := iam.Context{"aws:CurrentTime": noon, "aws:RequestedRegion": e.Region, "aws:SecureTransport": "true"}
	if strings.HasPrefix(action, "s3:") {
		all["s3:TlsVersion"] = "1.3"
	}
	for key, value := range by.context.With(context) {
		if sent(action, key) {
			all[key] = value
		}
	}
	principal := by.caller.ARN
	if principal == "" {
		principal = by.caller.Service
	}
	return resourceCase{
		on: on, by: by, want: want,
		name: fmt.Sprintf("%s%s: %s on %s %s", e.label, by.name, action, resource, readable(all)),
		question: question{
			Policies: append([]string{}, by.rights...), Principal: principal, Action: action, Resource: resource, Account: e.ownerOf(on),
			Context: all, ResourcePolicy: e.label + on,
		},
	}
}

func (e *evidence) ownerOf(arn string) string {
	if owner := e.owners[arn]; owner != "" {
		return owner
	}
	return account
}

// sent tells whether a request of an action carries a key. Those of KMS and S3 go with
// actions of their own only.
func sent(action, key string) bool {
	switch {
	case key == "s3:x-amz-acl":
		return slices.Contains([]string{"s3:PutObject", "s3:PutObjectAcl"}, action)
	case key == "kms:GrantIsForAWSResource":
		return action == "kms:CreateGrant"
	case strings.HasPrefix(key, "kms:EncryptionContext:"):
		return slices.Contains(encrypting, action)
	case strings.HasPrefix(key, "kms:"):
		return strings.HasPrefix(action, "kms:")
	default:
		return true
	}
}

// readable is what of a context tells cases apart.
func readable(context iam.Context) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(context)) {
		switch key {
		case "aws:CurrentTime", "aws:RequestedRegion", "aws:PrincipalArn", "aws:PrincipalAccount", "kms:CallerAccount":
		default:
			parts = append(parts, key+"="+context[key])
		}
	}
	return strings.Join(parts, " ")
}

var (
	allEvidence        shared[[]*evidence]
	oneResourceHearing shared[*resourceHearing]
)

// theEvidence is that of each partition; the first is the one whose mutants are tried.
func theEvidence(t *testing.T) []*evidence {
	t.Helper()
	return allEvidence.get(t, func(t *testing.T) []*evidence {
		t.Helper()
		return []*evidence{
			synthesizeEvidence(t, "", "aws", "eu-west-1", "us-west-2"),
			synthesizeEvidence(t, "aws-cn: ", "aws-cn", "cn-north-1", "cn-northwest-1"),
			synthesizeEvidence(t, "aws-us-gov: ", "aws-us-gov", "us-gov-west-1", "us-gov-east-1"),
		}
	})
}

// resourceHearing is all questions about resources with their answers.
type resourceHearing struct {
	*hearing
	cases []resourceCase
	kills []resourceKill
}

func heardResources(t *testing.T) *resourceHearing {
	t.Helper()
	h := oneResourceHearing.get(t, holdResources)
	require.NoError(t, h.err)
	return h
}

func holdResources(t *testing.T) *resourceHearing {
	t.Helper()
	h := &resourceHearing{hearing: &hearing{policies: map[string]json.RawMessage{}, index: map[string]int{}}}
	for _, e := range theEvidence(t) {
		h.cases = append(h.cases, e.cases()...)
		maps.Copy(h.policies, e.rights)
		for arn, document := range e.policies {
			h.policies[e.label+arn] = document
		}
	}
	for _, c := range h.cases {
		h.ask(c.question)
	}
	h.kills = resourceKills(t, theEvidence(t)[0])
	for _, k := range h.kills {
		if k.by != nil {
			h.policies[k.mutantName()] = k.document
			h.ask(k.under())
		}
	}
	for _, c := range randomResourceCases() {
		h.policies[c.question.ResourcePolicy] = c.policy
		if len(c.question.Policies) > 0 {
			h.policies[c.question.Policies[0]] = c.own
		}
		h.ask(c.question)
	}
	h.answers, h.err = Simulate(forTheEvaluator(h.policies, h.questions))
	return h
}

// forTheEvaluator writes the services of China as it knows them: it takes
// logs.cn-north-1.amazonaws.com.cn for no service.
func forTheEvaluator(policies map[string]json.RawMessage, questions []question) (map[string]json.RawMessage, []question) {
	const theirs, ours = ".amazonaws.com", ".amazonaws.com.cn"
	written := map[string]json.RawMessage{}
	for name, document := range policies {
		written[name] = json.RawMessage(strings.ReplaceAll(string(document), ours+`"`, theirs+`"`))
	}
	asked := slices.Clone(questions)
	for i := range asked {
		if before, ok := strings.CutSuffix(asked[i].Principal, ours); ok {
			asked[i].Principal = before + theirs
		}
	}
	return written, asked
}

// judgeOf makes our own evaluator of some policies.
func judgeOf(t *testing.T, policies, rights map[string]json.RawMessage) func(question, iam.Caller) iam.Decision {
	t.Helper()
	resources := map[string]*iam.ResourcePolicy{}
	for name, document := range policies {
		p, err := iam.ParseResource(name, document)
		require.NoError(t, err)
		resources[name] = p
	}
	own := parseAll(t, rights)
	return func(q question, caller iam.Caller) iam.Decision {
		var mine []*iam.Policy
		for _, name := range q.Policies {
			mine = append(mine, own[name])
		}
		return iam.EvaluateResource(caller, mine, q.Account, resources[q.ResourcePolicy], iam.Request{Action: q.Action, Resource: q.Resource, Context: q.Context})
	}
}

// Each service that must write can, and nobody else; what writes can't take back; and
// both judges say so of what the app synthesizes, in each partition.
func TestResourcePolicies(t *testing.T) {
	h := heardResources(t)
	policies, rights := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	for _, e := range theEvidence(t) {
		maps.Copy(rights, e.rights)
		for arn, document := range e.policies {
			policies[e.label+arn] = document
		}
	}
	ours := judgeOf(t, policies, rights)
	allows := 0
	for _, c := range h.cases {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, h.allowed(t, c.question), "the independent evaluator")
			d := ours(c.question, c.by.caller)
			assert.Equal(t, c.want, d.Allowed, "our own, by %v", d.Decisive)
		})
		if c.want {
			allows++
		}
	}
	t.Logf("%d cases: %d allow, %d deny", len(h.cases), allows, len(h.cases)-allows)
	assert.GreaterOrEqual(t, len(h.cases)/3, 60)
	assert.Greater(t, len(h.cases)-allows, allows)
}
