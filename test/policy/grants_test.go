package policy_test

import (
	"encoding/json"
	"time"

	"github.com/postern-cdk/postern/internal/iam"
	"github.com/postern-cdk/postern/internal/policy"
)

// lookAround is what everybody may read who may do anything.
var lookAround = []string{
	"ec2:DescribeInstances", "ssm:DescribeInstanceInformation", "ssm:DescribeInstanceProperties", "ssm:DescribeSessions", "ssm:GetConnectionStatus",
}

// own is what everybody may do with sessions of their own.
func own(who person) []string {
	return []string{"resume own session", "end own session", "resume session of " + who.name, "end session of " + who.name, "data channel"}
}

func join(lists ...[]string) []string {
	var all []string
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

// grants are policies by name, each as it is attached to somebody.
func (w *world) grants() map[string]json.RawMessage {
	shell := policy.Session{
		Documents: []string{w.document("Shell")},
		Targets:   []policy.Target{{ARN: w.Node(host)}, {Tags: []policy.Tag{{Key: "postern:bastion", Value: "Test/Bastion"}, {Key: "Stage", Value: "prod"}}}},
		Keys:      []string{w.arn("kms", w.Region, w.Account, "key/session")},
	}
	tunnel := policy.Session{Documents: []string{w.document("TunnelDatabase")}, Targets: []policy.Target{{ARN: w.Node(host)}}}
	march := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	all := map[string]json.RawMessage{}
	for name, statements := range map[string][]policy.Statement{
		"user's shell":  policy.SessionStatements(w.Scope, policy.User, shell, policy.When{}),
		"role's shell":  policy.SessionStatements(w.Scope, policy.Role, shell, policy.When{}),
		"shell":         policy.SessionStatements(w.Scope, "", shell, policy.When{}),
		"tunnel":        policy.SessionStatements(w.Scope, "", tunnel, policy.When{}),
		"MFA":           policy.SessionStatements(w.Scope, "", shell, policy.When{MFA: true}),
		"fresh MFA":     policy.SessionStatements(w.Scope, "", shell, policy.When{MFAMaxAge: time.Hour}),
		"March":         policy.SessionStatements(w.Scope, "", shell, policy.When{NotBefore: march, NotAfter: march.AddDate(0, 1, 0)}),
		"office":        policy.SessionStatements(w.Scope, "", shell, policy.When{SourceCIDRs: []string{"203.0.113.0/24"}}),
		"office or VPC": policy.SessionStatements(w.Scope, "", shell, policy.When{SourceCIDRs: []string{"203.0.113.0/24"}, VpcEndpoints: []string{"vpce-1"}}),
	} {
		text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
		if err != nil {
			panic(err)
		}
		all[name] = text
	}
	return all
}

func (w *world) cases() []testCase {
	shell := []string{"shell on host", "shell on bastion", "data key of the session key", "read the document"}
	var cases []testCase
	add := func(more ...testCase) { cases = append(cases, more...) }

	add(w.under("user's shell", w.alice, join(lookAround, own(w.alice), shell)...)...)
	add(w.under("role's shell", w.carol, join(lookAround, own(w.carol), shell)...)...)
	add(w.under("shell", w.alice, join(lookAround, own(w.alice), shell)...)...)
	add(w.under("shell", w.carol, join(lookAround, own(w.carol), shell)...)...)
	add(w.under("tunnel", w.alice, join(lookAround, own(w.alice), []string{"tunnel to database on host"})...)...)

	noMFA := iam.Context{"aws:MultiFactorAuthPresent": "", "aws:MultiFactorAuthAge": ""}
	for _, grant := range []string{"MFA", "fresh MFA"} {
		for _, what := range []named{{"shell", w.start(host, "Shell")}, {"resume", w.mine("ssm:ResumeSession")}} {
			add(
				one(what.name+" with a second factor", grant, w.alice, what.do, true),
				one(what.name+" by a role assumed with one", grant, w.assumed, what.do, true),
				one(what.name+" with access keys, which have no such key", grant, w.alice.with(noMFA), what.do, false),
				one(what.name+" without one", grant, w.alice.with(iam.Context{"aws:MultiFactorAuthPresent": "false", "aws:MultiFactorAuthAge": ""}), what.do, false),
				one(what.name+" by somebody federated, of whose factor IAM does not know", grant, w.carol, what.do, false),
			)
		}
		add(one("end own session without a second factor", grant, w.alice.with(noMFA), w.mine("ssm:TerminateSession"), true))
	}
	add(
		one("old", "MFA", w.alice.with(iam.Context{"aws:MultiFactorAuthAge": "86400"}), w.start(host, "Shell"), true),
		one("just in time", "fresh MFA", w.alice.with(iam.Context{"aws:MultiFactorAuthAge": "3600"}), w.start(host, "Shell"), true),
		one("expired", "fresh MFA", w.alice.with(iam.Context{"aws:MultiFactorAuthAge": "3601"}), w.start(host, "Shell"), false),
		one("of unknown age", "fresh MFA", w.alice.with(iam.Context{"aws:MultiFactorAuthAge": ""}), w.start(host, "Shell"), false),
	)
	return cases
}
