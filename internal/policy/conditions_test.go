package policy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/postern-cdk/postern/internal/policy"
)

var (
	monday = time.Date(2026, 11, 23, 9, 0, 0, 0, time.FixedZone("CET", 3600))
	friday = time.Date(2026, 11, 27, 17, 0, 0, 0, time.UTC)
)

func allow() []policy.Statement {
	return []policy.Statement{{Sid: "S", Effect: policy.Allow, Action: []string{"a:B"}, Resource: []string{"r"}}}
}

func TestWhenAlways(t *testing.T) {
	assert.Equal(t, allow(), policy.When{}.Limit(allow()))
}

func TestWhenAllTogether(t *testing.T) {
	when := policy.When{
		MFAMaxAge: time.Hour, NotBefore: monday, NotAfter: friday,
		SourceCIDRs: []string{"203.0.113.0/24", "198.51.100.0/24"},
	}
	assertJSON(t, `[{"Sid": "S", "Effect": "Allow", "Action": ["a:B"], "Resource": ["r"], "Condition": {
		"Bool": {"aws:MultiFactorAuthPresent": "true"},
		"NumericLessThanEquals": {"aws:MultiFactorAuthAge": "3600"},
		"DateGreaterThanEquals": {"aws:CurrentTime": "2026-11-23T08:00:00Z"},
		"DateLessThan": {"aws:CurrentTime": "2026-11-27T17:00:00Z"},
		"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "198.51.100.0/24"]}
	}}]`, when.Limit(allow()))
}

// A request by an endpoint has no public address, so one statement that asks for
// both would let nobody in.
func TestAddressOrEndpoint(t *testing.T) {
	limited := policy.When{SourceCIDRs: []string{"203.0.113.0/24"}, VpcEndpoints: []string{"vpce-1", "vpce-2"}}.Limit(allow())
	assertJSON(t, `[
		{"Sid": "S", "Effect": "Allow", "Action": ["a:B"], "Resource": ["r"], "Condition": {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}},
		{"Sid": "SWay2", "Effect": "Allow", "Action": ["a:B"], "Resource": ["r"], "Condition": {"StringEquals": {"aws:SourceVpce": ["vpce-1", "vpce-2"]}}}
	]`, limited)
}

// The credentials of a role tell of no second factor: a condition on it would let
// nobody in. The role asks for it when it is assumed.
func TestSecondFactorOfARole(t *testing.T) {
	when := policy.When{MFAMaxAge: 15 * time.Minute, NotAfter: friday}
	assert.NotContains(t, policy.Lines(when.For(policy.Role).Limit(allow())), "MultiFactor")
	assert.Contains(t, policy.Lines(when.For(policy.Role).Limit(allow())), "DateLessThan")
	for _, who := range []policy.Caller{policy.User, ""} {
		assert.Contains(t, policy.Lines(when.For(who).Limit(allow())), `"Bool":{"aws:MultiFactorAuthPresent":"true"}`)
	}
	assertJSON(t, `[
		{"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": ["sts:AssumeRole"], "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}},
		{"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": ["sts:AssumeRole"], "Condition": {"NumericGreaterThan": {"aws:MultiFactorAuthAge": "900"}}}
	]`, when.Trust())
	assert.Empty(t, policy.When{NotAfter: friday}.Trust())
	assert.Len(t, policy.When{MFA: true}.Trust(), 1)
}

func TestAnd(t *testing.T) {
	a := policy.Condition{"StringEquals": {"k": {"v"}}}
	b := policy.Condition{"StringEquals": {"l": {"w"}}, "Bool": {"m": {"true"}}}
	assert.Equal(t, policy.Condition{"StringEquals": {"k": {"v"}, "l": {"w"}}, "Bool": {"m": {"true"}}}, a.And(b))
	assert.Equal(t, policy.Condition{"StringEquals": {"k": {"v"}}}, a, "it is left as it was")
	assert.Nil(t, policy.Condition(nil).And(nil))
	assert.Equal(t, a, a.And(a))
	assert.Panics(t, func() { a.And(policy.Condition{"StringEquals": {"k": {"x"}}}) }, "one of the two would be lost")
}
