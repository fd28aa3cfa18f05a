package policy_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/iam"
)

// randomResourceCase is a resource's policy, policies of who asks, and a request that
// nobody thought of.
type randomResourceCase struct {
	policy, own json.RawMessage
	caller      iam.Caller
	question    question
}

var randomResourceCases = sync.OnceValue(func() []randomResourceCase {
	r := rand.New(rand.NewPCG(3, 4))
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	w := theWorld()
	role := func(account, name string) string { return w.arn("iam", "", account, "role/"+name) }
	session := func(account, name string) string { return w.arn("sts", "", account, "assumed-role/"+name+"/x") }
	services := []string{"logs.amazonaws.com", "s3.amazonaws.com", "delivery.logs.amazonaws.com"}
	people := []string{
		session(account, "Operators"), session(account, "Others"), session(otherAccount, "Operators"), w.arn("iam", "", account, "user/alice"), w.arn("iam", "", otherAccount, "user/alice"),
	}
	principals := []any{
		"*",
		map[string]any{"AWS": "*"},
		map[string]any{"AWS": account},
		map[string]any{"AWS": otherAccount},
		map[string]any{"AWS": []string{role(account, "Operators"), otherAccount}},
		map[string]any{"AWS": w.arn("iam", "", account, "root")},
		map[string]any{"AWS": w.arn("iam", "", otherAccount, "root")},
		map[string]any{"AWS": session(account, "Operators")},
		map[string]any{"AWS": w.arn("iam", "", account, "user/alice")},
		map[string]any{"Service": services[0]},
		map[string]any{"Service": services[:2]},
		map[string]any{"AWS": account, "Service": services[2]},
	}
	bucket, key := w.arn("s3", "", "", "evidence"), w.arn("kms", w.Region, w.Account, "key/k")
	statement := func(kms, principal bool) map[string]any {
		s := map[string]any{"Effect": pick("Allow", "Allow", "Allow", "Deny")}
		if principal {
			s["Principal"] = principals[r.IntN(len(principals))]
		}
		if kms {
			s["Action"], s["Resource"] = pick("kms:Decrypt", "kms:*", "kms:Encrypt"), "*"
		} else {
			s["Action"], s["Resource"] = pick("s3:PutObject", "s3:*", "s3:GetObject"), pick(bucket+"/*", bucket+"/a/*", "*", bucket)
		}
		if r.IntN(3) > 0 {
			conditions := []map[string]any{
				{"StringEquals": map[string]any{"aws:SourceAccount": account}},
				{"StringNotEquals": map[string]any{"aws:SourceAccount": account}},
				{"ArnLike": map[string]any{"aws:SourceArn": w.arn("logs", "*", account, "*")}},
				{"ArnNotLikeIfExists": map[string]any{"aws:SourceArn": w.arn("logs", "*", account, "*")}},
				{"Bool": map[string]any{"aws:SecureTransport": "false"}},
				{"StringEqualsIfExists": map[string]any{"aws:PrincipalOrgID": organization}},
				{"Null": map[string]any{"aws:PrincipalOrgID": "false"}},
			}
			s["Condition"] = conditions[r.IntN(len(conditions))]
		}
		return s
	}
	document := func(kms, principal bool, most int) json.RawMessage {
		var statements []any
		for range 1 + r.IntN(most) {
			statements = append(statements, statement(kms, principal))
		}
		return mustJSON(map[string]any{"Version": "2012-10-17", "Statement": statements})
	}
	var all []randomResourceCase
	for i := range 1200 {
		kms := r.IntN(2) == 0
		c := randomResourceCase{policy: document(kms, true, 3), own: document(kms, false, 2)}
		q := question{
			Action: pick("s3:PutObject", "s3:GetObject"), Resource: pick(bucket+"/a/x", bucket+"/b/x"), Account: account, Policies: []string{},
			ResourcePolicy: fmt.Sprintf("random resource %d", i), Context: iam.Context{"aws:SecureTransport": pick("true", "true", "false")},
		}
		if kms {
			q.Action, q.Resource = pick("kms:Decrypt", "kms:Encrypt"), key
		}
		switch r.IntN(6) {
		case 0:
			// Nobody in particular, which S3 alone takes.
			if kms {
				c.caller.Service = services[0]
			}
		case 1, 2:
			c.caller.Service = services[r.IntN(len(services))]
		default:
			c.caller.ARN = people[r.IntN(len(people))]
			q.Policies = []string{fmt.Sprintf("random own %d", i)}
			q.Context = q.Context.With(iam.Context{"aws:PrincipalOrgID": pick("", organization, leftOrganization)})
		}
		if c.caller.Service != "" {
			q.Context = q.Context.With(iam.Context{"aws:SourceAccount": pick("", account, otherAccount), "aws:SourceArn": pick("", w.arn("logs", w.Region, account, "x"), w.arn("logs", w.Region, otherAccount, "x"))})
		}
		q.Principal = c.caller.ARN + c.caller.Service
		c.question = q
		all = append(all, c)
	}
	return all
})

// Two programs of different people, and no difference about resources either.
func TestEvaluatorsAgreeOnResources(t *testing.T) {
	h := heardResources(t)
	allowed := 0
	for _, c := range randomResourceCases() {
		policy, err := iam.ParseResource("P", c.policy)
		require.NoError(t, err)
		own, err := iam.Parse("own", c.own)
		require.NoError(t, err)
		var mine []*iam.Policy
		if len(c.question.Policies) > 0 {
			mine = append(mine, own)
		}
		r := iam.Request{Action: c.question.Action, Resource: c.question.Resource, Context: c.question.Context}
		ours, theirs := iam.EvaluateResource(c.caller, mine, account, policy, r).Allowed, h.allowed(t, c.question)
		assert.Equal(t, theirs, ours, "%s\n%s\n%s", c.question, c.policy, c.own)
		if ours {
			allowed++
		}
	}
	assert.InDelta(t, len(randomResourceCases())/3, allowed, float64(len(randomResourceCases()))/4, "both answers come up")
}
