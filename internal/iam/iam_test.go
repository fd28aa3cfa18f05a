package iam_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/iam"
)

func parse(t *testing.T, document string) *iam.Policy {
	t.Helper()
	p, err := iam.Parse("P", []byte(document))
	require.NoError(t, err)
	return p
}

// allow is a policy of one statement under a condition.
func allow(t *testing.T, condition string) *iam.Policy {
	t.Helper()
	return parse(t, `{"Version": "2012-10-17", "Statement": {"Sid": "S", "Effect": "Allow", "Action": "a:B", "Resource": "*", "Condition": `+condition+`}}`)
}

func TestConditions(t *testing.T) {
	for _, c := range []struct {
		condition string
		context   iam.Context
		want      bool
	}{
		{`{"StringEquals": {"k": "v"}}`, iam.Context{"k": "v"}, true},
		{`{"StringEquals": {"k": "v"}}`, iam.Context{"K": "v"}, true},
		{`{"StringEquals": {"k": "v"}}`, iam.Context{"k": "V"}, false},
		{`{"StringEquals": {"k": "v"}}`, nil, false},
		{`{"StringEquals": {"k": ["u", "v"]}}`, iam.Context{"k": "v"}, true},
		{`{"StringEquals": {"k": "v*"}}`, iam.Context{"k": "vv"}, false},
		{`{"StringEquals": {"k": "v", "l": "w"}}`, iam.Context{"k": "v"}, false},
		{`{"StringEquals": {"k": "v", "l": "w"}}`, iam.Context{"k": "v", "l": "w"}, true},
		{`{"StringEquals": {"k": "v"}, "Bool": {"b": "true"}}`, iam.Context{"k": "v", "b": "false"}, false},
		{`{"StringEqualsIfExists": {"k": "v"}}`, nil, true},
		{`{"StringEqualsIfExists": {"k": "v"}}`, iam.Context{"k": "w"}, false},
		{`{"StringNotEquals": {"k": "v"}}`, nil, true},
		{`{"StringNotEquals": {"k": ["u", "v"]}}`, iam.Context{"k": "v"}, false},
		{`{"StringNotEquals": {"k": ["u", "v"]}}`, iam.Context{"k": "w"}, true},
		{`{"StringEqualsIgnoreCase": {"k": "V"}}`, iam.Context{"k": "v"}, true},
		{`{"StringNotEqualsIgnoreCase": {"k": "V"}}`, iam.Context{"k": "v"}, false},
		{`{"StringLike": {"k": "v*x?"}}`, iam.Context{"k": "v--xy"}, true},
		{`{"StringLike": {"k": "v*x?"}}`, iam.Context{"k": "v--x"}, false},
		{`{"StringNotLike": {"k": "v*"}}`, iam.Context{"k": "vw"}, false},
		{`{"StringLike": {"k": "${*}*"}}`, iam.Context{"k": "*a"}, true},
		{`{"StringLike": {"k": "${*}*"}}`, iam.Context{"k": "a"}, false},
		{`{"StringEquals": {"k": "${aws:userid}"}}`, iam.Context{"k": "me", "aws:userid": "me"}, true},
		{`{"StringEquals": {"k": "${aws:UserId}"}}`, iam.Context{"k": "me", "aws:userid": "me"}, true},
		{`{"StringEquals": {"k": "${aws:userid}"}}`, iam.Context{"k": "you", "aws:userid": "me"}, false},
		{`{"StringEquals": {"k": "${aws:userid}"}}`, iam.Context{"k": "${aws:userid}"}, false},
		{`{"StringNotEquals": {"k": "${aws:userid}"}}`, iam.Context{"k": "x"}, true},
		{`{"StringLike": {"k": "${aws:userid}-*"}}`, iam.Context{"k": "me-too-1", "aws:userid": "me"}, true},
		{`{"StringLike": {"k": "${aws:userid}"}}`, iam.Context{"k": "anyone", "aws:userid": "*"}, false},
		{`{"StringLike": {"k": "${aws:PrincipalTag/team, 'none'}"}}`, iam.Context{"k": "none"}, true},
		{`{"StringLike": {"k": "${aws:PrincipalTag/team, 'none'}"}}`, iam.Context{"k": "none", "aws:PrincipalTag/team": "a"}, false},
		{`{"StringEquals": {"k": "${unclosed"}}`, iam.Context{"k": "${unclosed"}, true},
		{`{"StringEquals": {"k": "a$b"}}`, iam.Context{"k": "a$b"}, true},
		{`{"Bool": {"aws:MultiFactorAuthPresent": "true"}}`, nil, false},
		{`{"Bool": {"aws:MultiFactorAuthPresent": true}}`, iam.Context{"aws:MultiFactorAuthPresent": "true"}, true},
		{`{"Bool": {"aws:MultiFactorAuthPresent": "true"}}`, iam.Context{"aws:MultiFactorAuthPresent": "false"}, false},
		{`{"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}}`, nil, true},
		{`{"Null": {"k": "true"}}`, nil, true},
		{`{"Null": {"k": "true"}}`, iam.Context{"k": "v"}, false},
		{`{"Null": {"k": "false"}}`, iam.Context{"k": "v"}, true},
		{`{"NumericLessThan": {"k": "10"}}`, iam.Context{"k": "9"}, true},
		{`{"NumericLessThan": {"k": 10}}`, iam.Context{"k": "10"}, false},
		{`{"NumericLessThanEquals": {"k": "10"}}`, iam.Context{"k": "10"}, true},
		{`{"NumericLessThanEquals": {"k": "10"}}`, iam.Context{"k": "ten"}, false},
		{`{"NumericLessThanEquals": {"k": "10"}}`, nil, false},
		{`{"NumericGreaterThan": {"k": "10"}}`, iam.Context{"k": "11"}, true},
		{`{"NumericGreaterThanEquals": {"k": "10"}}`, iam.Context{"k": "9"}, false},
		{`{"NumericEquals": {"k": "22"}}`, iam.Context{"k": "22"}, true},
		{`{"NumericNotEquals": {"k": "22"}}`, iam.Context{"k": "22"}, false},
		{`{"NumericNotEquals": {"k": "22"}}`, iam.Context{"k": "23"}, true},
		{`{"DateGreaterThan": {"k": "2026-01-01T00:00:00Z"}}`, iam.Context{"k": "2026-01-01T00:00:00Z"}, false},
		{`{"DateGreaterThan": {"k": "2026-01-01T00:00:00Z"}}`, iam.Context{"k": "2026-01-01T00:00:01Z"}, true},
		{`{"DateGreaterThanEquals": {"k": "2026-01-01"}}`, iam.Context{"k": "2026-01-01T00:00:00Z"}, true},
		{`{"DateLessThan": {"k": "2026-01-01T08:00+02:00"}}`, iam.Context{"k": "2026-01-01T05:59:59Z"}, true},
		{`{"DateLessThan": {"k": "2026-01-01T08:00+02:00"}}`, iam.Context{"k": "2026-01-01T06:00:00Z"}, false},
		{`{"DateLessThanEquals": {"k": "2026-01-01T06:00:00Z"}}`, iam.Context{"k": "2026-01-01T06:00:00Z"}, true},
		{`{"DateEquals": {"k": "2026-01-01T06:00:00Z"}}`, iam.Context{"k": "today"}, false},
		{`{"DateNotEquals": {"k": "2026-01-01T06:00:00Z"}}`, iam.Context{"k": "2026-01-01T06:00:00Z"}, false},
		{`{"IpAddress": {"k": "203.0.113.0/24"}}`, iam.Context{"k": "203.0.113.255"}, true},
		{`{"IpAddress": {"k": "203.0.113.0/24"}}`, iam.Context{"k": "203.0.114.0"}, false},
		{`{"IpAddress": {"k": "203.0.113.7"}}`, iam.Context{"k": "203.0.113.7"}, true},
		{`{"IpAddress": {"k": "203.0.113.0/24"}}`, iam.Context{"k": "2001:db8::1"}, false},
		{`{"IpAddress": {"k": "2001:db8::/32"}}`, iam.Context{"k": "2001:db8::1"}, true},
		{`{"NotIpAddress": {"k": ["203.0.113.0/24", "198.51.100.0/24"]}}`, iam.Context{"k": "198.51.100.1"}, false},
		{`{"NotIpAddress": {"k": "203.0.113.0/24"}}`, nil, true},
		{`{"NotIpAddressIfExists": {"k": "203.0.113.0/24"}}`, iam.Context{"k": "192.0.2.1"}, true},
		{`{"ArnLike": {"k": "arn:aws:iam::111122223333:role/*"}}`, iam.Context{"k": "arn:aws:iam::111122223333:role/a/b"}, true},
		{`{"ArnEquals": {"k": "arn:*:iam::111122223333:role/?"}}`, iam.Context{"k": "arn:aws-cn:iam::111122223333:role/a"}, true},
		{`{"ArnLike": {"k": "arn:aws:iam::*:role/a"}}`, iam.Context{"k": "arn:aws:iam::1:x:role/a"}, false},
		{`{"ArnNotLike": {"k": "arn:aws:iam::*:role/a"}}`, iam.Context{"k": "arn:aws:iam::1:role/a"}, false},
		{`{"ArnNotEquals": {"k": "arn:aws:iam::*:role/a"}}`, iam.Context{"k": "arn:aws:iam::1:role/b"}, true},
		{`{"ArnLike": {"k": "arn:aws:iam::*:role/a"}}`, iam.Context{"k": "role/a"}, false},
		{`{"ForAnyValue:StringEquals": {"k": ["a", "b"]}}`, iam.Context{"k": "c,b"}, true},
		{`{"ForAnyValue:StringEquals": {"k": ["a", "b"]}}`, iam.Context{"k": "c,d"}, false},
		{`{"ForAnyValue:StringEquals": {"k": ["a", "b"]}}`, nil, false},
		{`{"ForAnyValue:StringNotEquals": {"k": ["a", "b"]}}`, iam.Context{"k": "a,c"}, true},
		{`{"ForAnyValue:StringNotEquals": {"k": ["a", "b"]}}`, iam.Context{"k": "a,b"}, false},
		{`{"ForAllValues:StringLike": {"k": ["a*", "b"]}}`, iam.Context{"k": "aa,b"}, true},
		{`{"ForAllValues:StringLike": {"k": ["a*", "b"]}}`, iam.Context{"k": "aa,c"}, false},
		{`{"ForAllValues:StringLike": {"k": ["a*", "b"]}}`, nil, true},
	} {
		policies, request := []*iam.Policy{allow(t, c.condition)}, iam.Request{Action: "a:B", Resource: "*", Context: c.context}
		assert.Equal(t, c.want, iam.Evaluate(policies, request).Allowed, "%s with %v", c.condition, c.context)
		assert.Equal(t, c.want, iam.Missed(policies, request) == nil, "%s with %v", c.condition, c.context)
	}
}

func TestVariablesNeedTheVersion(t *testing.T) {
	old := parse(t, `{"Statement": [{"Effect": "Allow", "Action": "a:B", "Resource": "*", "Condition": {"StringEquals": {"k": "${aws:userid}"}}}]}`)
	assert.False(t, iam.Evaluate([]*iam.Policy{old}, iam.Request{Action: "a:B", Resource: "*", Context: iam.Context{"k": "me", "aws:userid": "me"}}).Allowed)
	assert.True(t, iam.Evaluate([]*iam.Policy{old}, iam.Request{Action: "a:B", Resource: "*", Context: iam.Context{"k": "${aws:userid}"}}).Allowed)
}

func TestActionsAndResources(t *testing.T) {
	const here = "arn:aws:ssm:eu-west-1:111122223333:"
	for _, c := range []struct {
		statement        string
		action, resource string
		want             bool
	}{
		{`"Action": "ssm:StartSession", "Resource": "*"`, "ssm:StartSession", here + "document/D", true},
		{`"Action": "SSM:startsession", "Resource": "*"`, "ssm:StartSession", here + "document/D", true},
		{`"Action": "ssm:Start*", "Resource": "*"`, "ssm:StartSession", here + "document/D", true},
		{`"Action": "ssm:Start", "Resource": "*"`, "ssm:StartSession", here + "document/D", false},
		{`"Action": "*", "Resource": "*"`, "ssm:StartSession", here + "document/D", true},
		{`"Action": ["a:B", "ssm:?tartSession"], "Resource": "*"`, "ssm:StartSession", here + "document/D", true},
		{`"NotAction": "ssm:StartSession", "Resource": "*"`, "ssm:StartSession", here + "document/D", false},
		{`"NotAction": "ssm:StartSession", "Resource": "*"`, "ssm:ResumeSession", here + "session/S", true},
		{`"Action": "ssm:*", "Resource": "arn:aws:ssm:eu-west-1:111122223333:document/D"`, "ssm:StartSession", here + "document/D", true},
		{`"Action": "ssm:*", "Resource": "arn:aws:ssm:eu-west-1:111122223333:document/D"`, "ssm:StartSession", here + "document/d", false},
		{`"Action": "ssm:*", "Resource": "arn:aws:ssm:eu-west-1:111122223333:document/D"`, "ssm:StartSession", here + "document/D2", false},
		{`"Action": "ssm:*", "Resource": "arn:aws:ssm:*:*:document/D*"`, "ssm:StartSession", here + "document/D2", true},
		{`"Action": "ssm:*", "Resource": "arn:aws:ssm:*:document/D"`, "ssm:StartSession", here + "document/D", false},
		{`"Action": "ssm:*", "NotResource": "arn:aws:ssm:*:*:document/D"`, "ssm:StartSession", here + "document/D", false},
		{`"Action": "ssm:*", "NotResource": "arn:aws:ssm:*:*:document/D"`, "ssm:StartSession", here + "document/E", true},
		{`"Action": "ssm:*", "Resource": "arn:aws:ssm:*:*:document/D"`, "ssm:DescribeSessions", "*", false},
		{`"Action": "ssm:*", "Resource": "arn:aws:ssm:*:*:parameter/a:b:c"`, "ssm:GetParameter", here + "parameter/a:b:c", true},
		{`"Action": "ssm:*", "Resource": "arn:aws:ssm:*:*:session/${aws:username}-*"`, "ssm:ResumeSession", here + "session/alice-1", true},
		{`"Action": "ssm:*", "Resource": "arn:aws:ssm:*:*:session/${aws:username}-*"`, "ssm:ResumeSession", here + "session/alice-2-1", true},
		{`"Action": "ssm:*", "Resource": "arn:aws:ssm:*:*:session/${aws:username}-*"`, "ssm:ResumeSession", here + "session/bob-1", false},
		{`"Action": "ssm:*", "Resource": "arn:aws:ssm:*:*:session/${aws:nobody}-*"`, "ssm:ResumeSession", here + "session/alice-1", false},
	} {
		document := `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", ` + c.statement + `}]}`
		if c.statement == `"Action": "ssm:*", "Resource": "arn:aws:ssm:*:document/D"` {
			_, err := iam.Parse("P", []byte(document))
			assert.EqualError(t, err, `policy P, statement 1: Resource "arn:aws:ssm:*:document/D" is not an ARN of six parts, such as arn:aws:ec2:eu-west-1:111122223333:instance/*`)
			continue
		}
		got := iam.Evaluate([]*iam.Policy{parse(t, document)}, iam.Request{Action: c.action, Resource: c.resource, Context: iam.Context{"aws:username": "alice"}})
		assert.Equal(t, c.want, got.Allowed, "%s: %s on %s", c.statement, c.action, c.resource)
	}
}

func TestPoliciesAddUpAndDenyWins(t *testing.T) {
	one := parse(t, `{"Version": "2012-10-17", "Statement": [{"Sid": "A", "Effect": "Allow", "Action": "a:B", "Resource": "*"}]}`)
	two, err := iam.Parse("Q", []byte(`{"Version": "2012-10-17", "Statement": [
		{"Sid": "C", "Effect": "Allow", "Action": "c:D", "Resource": "*"},
		{"Sid": "Stop", "Effect": "Deny", "Action": "a:*", "Resource": "*", "Condition": {"Bool": {"k": "false"}}}]}`))
	require.NoError(t, err)
	both := []*iam.Policy{one, two}
	ask := func(action string, context iam.Context) iam.Decision {
		return iam.Evaluate(both, iam.Request{Action: action, Resource: "*", Context: context})
	}
	assert.Equal(t, iam.Decision{Allowed: true, Decisive: []string{"P/A"}}, ask("a:B", nil))
	assert.Equal(t, iam.Decision{Allowed: true, Decisive: []string{"Q/C"}}, ask("c:D", nil))
	assert.Equal(t, iam.Decision{Decisive: []string{"Q/Stop"}}, ask("a:B", iam.Context{"k": "false"}))
	assert.Equal(t, iam.Decision{}, ask("x:Y", nil))
}

func TestMissedSaysWhy(t *testing.T) {
	p := parse(t, `{"Version": "2012-10-17", "Statement": [
		{"Sid": "Shell", "Effect": "Allow", "Action": "ssm:StartSession", "Resource": "arn:aws:ec2:*:*:instance/*", "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}},
		{"Sid": "Other", "Effect": "Allow", "Action": "ssm:SendCommand", "Resource": "*"}]}`)
	ask := func(resource string, context iam.Context) []string {
		return iam.Missed([]*iam.Policy{p}, iam.Request{Action: "ssm:StartSession", Resource: resource, Context: context})
	}
	const target = "arn:aws:ec2:eu-west-1:111122223333:instance/i-1"
	assert.Equal(t, []string{`P/Shell: wants Bool aws:MultiFactorAuthPresent "true", the request has no such key`}, ask(target, nil))
	assert.Equal(t, []string{`P/Shell: wants Bool aws:MultiFactorAuthPresent "true", the request has "false"`}, ask(target, iam.Context{"aws:MultiFactorAuthPresent": "false"}))
	assert.Equal(t, []string{`P/Shell: arn:aws:ssm:::document/D is not among its resources: arn:aws:ec2:*:*:instance/*`}, ask("arn:aws:ssm:::document/D", nil))
}

func TestParseRefusesWhatItCannotJudge(t *testing.T) {
	statement := func(text string) string { return `{"Version": "2012-10-17", "Statement": [` + text + `]}` }
	for document, want := range map[string]string{
		`[]`: "policy P: is not an identity-based policy that can be judged: json: cannot unmarshal array",
		`{"Version": "2012-10-17", "Statement": 5}`:                                                                                                  "policy P: Statement is neither a statement nor a list of them",
		`{"Version": "2013", "Statement": []}`:                                                                                                       `policy P: Version "2013" is not one of IAM's`,
		statement(`{"Effect": "Allow", "Principal": "*", "Action": "a:B", "Resource": "*"}`):                                                         `policy P, statement 1: is not an identity-based policy that can be judged: json: unknown field "Principal"`,
		statement(`{"Sid": "S", "Effect": "allow", "Action": "a:B", "Resource": "*"}`):                                                               `policy P, S: Effect "allow" is neither Allow nor Deny`,
		statement(`{"Sid": "S", "Effect": "Allow", "Resource": "*"}`):                                                                                `policy P, S: needs Action or NotAction, one of the two and not empty`,
		statement(`{"Sid": "S", "Effect": "Allow", "Action": [], "Resource": "*"}`):                                                                  `policy P, S: needs Action or NotAction, one of the two and not empty`,
		statement(`{"Sid": "S", "Effect": "Allow", "Action": "a:B"}`):                                                                                `policy P, S: needs Resource or NotResource, one of the two and not empty`,
		statement(`{"Sid": "S", "Effect": "Allow", "Action": "StartSession", "Resource": "*"}`):                                                      `policy P, S: Action "StartSession" is not SERVICE:NAME`,
		statement(`{"Sid": "S", "Effect": "Allow", "Action": "a:B", "Resource": "bucket"}`):                                                          `policy P, S: Resource "bucket" is not an ARN of six parts`,
		statement(`{"Sid": "S", "Effect": "Allow", "Action": "a:B", "NotResource": "arn:aws:s3:::${aws:username}"}`):                                 `policy P, S: NotResource "arn:aws:s3:::${aws:username}" has a variable`,
		statement(`{"Sid": "S", "Effect": "Allow", "Action": "a:B", "Resource": {"Ref": "X"}}`):                                                      `is not text: resolve what the template refers to first`,
		statement(`{"Sid": "S", "Effect": "Allow", "Action": "a:B", "Resource": "*", "Conditions": {}}`):                                             `json: unknown field "Conditions"`,
		statement(`{"Sid": "S", "Effect": "Allow", "Action": "a:B", "Resource": "*", "Condition": {"ForAllValues:StringMatches": {"k": ""}}}`):       `policy P, S: Condition operator "ForAllValues:StringMatches" can't be judged here: known are ArnEquals, ArnLike,`,
		statement(`{"Sid": "S", "Effect": "Allow", "Action": "a:B", "Resource": "*", "Condition": {"ForAnyValue:StringEqualsIfExists": {"k": ""}}}`): `policy P, S: Condition operator "ForAnyValue:StringEqualsIfExists" can't be judged here`,
		statement(`{"Sid": "S", "Effect": "Allow", "Action": "a:B", "Resource": "*", "Condition": {"BinaryEquals": {"k": ""}}}`):                     `policy P, S: Condition operator "BinaryEquals" can't be judged here`,
		statement(`{"Sid": "S", "Effect": "Allow", "Action": "a:B", "Resource": "*", "Condition": {"Bool": {"k": "yes"}}}`):                          `policy P, S: Condition Bool k: "yes" is neither true nor false`,
		statement(`{"Sid": "S", "Effect": "Allow", "Action": "a:B", "Resource": "*", "Condition": {"Bool": {"k": []}}}`):                             `policy P, S: Condition Bool k has no value`,
		statement(`{"Sid": "S", "Effect": "Allow", "Action": "a:B", "Resource": "*", "Condition": {"NumericEquals": {"k": "many"}}}`):                `policy P, S: Condition NumericEquals k: "many" is not a number`,
		statement(`{"Sid": "S", "Effect": "Allow", "Action": "a:B", "Resource": "*", "Condition": {"DateLessThan": {"k": "soon"}}}`):                 `policy P, S: Condition DateLessThan k: "soon" is not a date such as 2026-01-31T08:00:00Z`,
		statement(`{"Sid": "S", "Effect": "Allow", "Action": "a:B", "Resource": "*", "Condition": {"IpAddress": {"k": "home"}}}`):                    `policy P, S: Condition IpAddress k: ParseAddr("home")`,
		statement(`{"Sid": "S", "Effect": "Allow", "Action": "a:B", "Resource": "*", "Condition": {"ArnLike": {"k": "role"}}}`):                      `policy P, S: Condition ArnLike k: "role" is not an ARN of six parts`,
	} {
		_, err := iam.Parse("P", []byte(document))
		if assert.Error(t, err, document) {
			assert.Contains(t, err.Error(), want, document)
		}
	}
	_, err := iam.Parse("P", []byte(statement(`{"Sid": "S", "Effect": "no"}, {"Sid": "T", "Effect": "Allow"}`)))
	assert.EqualError(t, err, `policy P, S: Effect "no" is neither Allow nor Deny
needs Action or NotAction, one of the two and not empty
needs Resource or NotResource, one of the two and not empty
policy P, T: needs Action or NotAction, one of the two and not empty
needs Resource or NotResource, one of the two and not empty`)
}

// Without a document, one statement without the check is enough for a shell.
func TestStartSession(t *testing.T) {
	const target = "arn:aws:ec2:eu-west-1:111122223333:instance/i-1"
	const document = "arn:aws:ssm:eu-west-1:111122223333:document/D"
	policy := func(condition string) *iam.Policy {
		return parse(t, `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ssm:StartSession", "Resource": ["`+target+`", "`+document+`"]`+condition+`}]}`)
	}
	checked, unchecked := policy(`, "Condition": {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}}`), policy("")
	decide := func(p *iam.Policy, o iam.Operation) bool {
		return o.Decide(func(r iam.Request) bool { return iam.Evaluate([]*iam.Policy{p}, r).Allowed })
	}
	for _, p := range []*iam.Policy{checked, unchecked} {
		assert.True(t, decide(p, iam.StartSession(target, document, nil)))
		assert.False(t, decide(p, iam.StartSession(target, document+"2", nil)))
		assert.False(t, decide(p, iam.StartSession(target+"2", document, nil)))
	}
	assert.False(t, decide(checked, iam.StartSession(target, "", nil)))
	assert.True(t, decide(unchecked, iam.StartSession(target, "", nil)), "the hole that the check closes")
	shell := parse(t, `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ssm:StartSession",
		"Resource": ["`+target+`", "arn:aws:ssm:*:*:document/SSM-SessionManagerRunShell"], "Condition": {"Bool": {"ssm:SessionDocumentAccessCheck": "true"}}}]}`)
	assert.True(t, decide(shell, iam.StartSession(target, "", nil)))
	assert.Equal(t, "arn:aws:ssm:eu-west-1:111122223333:document/SSM-SessionManagerRunShell", iam.DefaultShellARN(target))
	assert.Len(t, iam.StartSession(target, "", nil).Requests(), 3)
}

// A pattern with many wildcards takes no longer than it must.
func TestWildcardsTakeBoundedTime(t *testing.T) {
	p := allow(t, `{"StringLike": {"k": "`+strings.Repeat("*a", 200)+`*b"}}`)
	begin := time.Now()
	assert.False(t, iam.Evaluate([]*iam.Policy{p}, iam.Request{Action: "a:B", Resource: "*", Context: iam.Context{"k": strings.Repeat("a", 20000)}}).Allowed)
	assert.Less(t, time.Since(begin), 10*time.Second)
}

// Whatever a policy and a request hold, there is an answer, and it can be explained: a request that is allowed is one
// for which a statement is named.
func FuzzEvaluate(f *testing.F) {
	f.Add(`{"Version": "2012-10-17", "Statement": [{"Sid": "S", "Effect": "Allow", "Action": "ssm:*", "Resource": "arn:aws:ssm:*:*:session/${aws:username}-*", "Condition": {"StringLike": {"k": "${*}a?*"}}}]}`,
		"ssm:ResumeSession", "arn:aws:ssm:eu-west-1:111122223333:session/alice-1", "k", "*ab")
	f.Add(`{"Statement": {"Effect": "Deny", "NotAction": "a:b", "NotResource": "*", "Condition": {"ForAllValues:StringEquals": {"k": ["a", 1, true]}, "Null": {"k": "true"}}}}`, "a:B", "*", "K", "a,b")
	f.Add(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"DateLessThan": {"k": "2026-01-01"}, "IpAddress": {"k": "::/0"}, "NumericEquals": {"k": 1e3}, "ArnLike": {"k": "arn:a:b:c:d:e:f"}}}]}`, "a:B", "", "k", "")
	f.Fuzz(func(t *testing.T, document, action, resource, key, value string) {
		p, err := iam.Parse("P", []byte(document))
		if err != nil {
			return
		}
		r := iam.Request{Action: action, Resource: resource, Context: iam.Context{key: value, "aws:username": "alice"}}
		d := iam.Evaluate([]*iam.Policy{p}, r)
		assert.False(t, d.Allowed && len(d.Decisive) == 0)
		iam.Missed([]*iam.Policy{p}, r)
	})
}

func TestContextWith(t *testing.T) {
	base := iam.Context{"aws:username": "alice", "a": "1"}
	assert.Equal(t, iam.Context{"AWS:UserName": "bob", "a": "1"}, base.With(iam.Context{"AWS:UserName": "bob"}))
	assert.Equal(t, iam.Context{"a": "1"}, base.With(iam.Context{"aws:username": ""}))
	assert.Equal(t, iam.Context{"aws:username": "alice", "a": "1"}, base)
}
