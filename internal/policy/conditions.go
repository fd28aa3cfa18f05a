package policy

import (
	"slices"
	"strconv"
	"time"
)

// When is under which circumstances something is allowed. Its zero value is
// always and from everywhere.
type When struct {
	// MFA asks for a second factor. See [When.For] for roles.
	MFA bool
	// MFAMaxAge is how long ago the second factor may have been given; 0 is any
	// time. It implies MFA.
	MFAMaxAge time.Duration
	// NotBefore and NotAfter are when access begins and ends; zero is open.
	NotBefore, NotAfter time.Time
	// SourceCIDRs are the public addresses that requests may come from.
	SourceCIDRs []string
	// VpcEndpoints are the VPC endpoints that requests may come by. With
	// SourceCIDRs, either does: a request by an endpoint has no public address.
	VpcEndpoints []string
}

// For is what of the circumstances a policy of such callers can ask for. IAM knows
// of a second factor in the requests of IAM users only. The credentials of a role
// don't tell of one, so a role must ask for it in its trust policy (see
// [When.Trust]): asked for here, nobody would get in.
//
// docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_mfa_configure-api-require.html
func (w When) For(who Caller) When {
	if who == Role {
		w.MFA, w.MFAMaxAge = false, 0
	}
	return w
}

// Trust keeps a role from being assumed without the second factor that the
// circumstances ask for. It says nothing of SAML and web identities, whose
// providers ask for it.
func (w When) Trust() []Statement {
	if !w.MFA && w.MFAMaxAge == 0 {
		return nil
	}
	// Without IDs, as several operators may ask the same role for it.
	deny := func(condition Condition) Statement {
		return Statement{Effect: Deny, Principal: anyone(), Action: []string{"sts:AssumeRole"}, Condition: condition}
	}
	// IfExists, as a request with long-lived keys does not have the key at all.
	statements := []Statement{deny(Condition{"BoolIfExists": {"aws:MultiFactorAuthPresent": {"false"}}})}
	if w.MFAMaxAge > 0 {
		statements = append(statements, deny(Condition{"NumericGreaterThan": {"aws:MultiFactorAuthAge": {seconds(w.MFAMaxAge)}}}))
	}
	return statements
}

// Limit puts the circumstances on statements that allow something. Where there
// is more than one way to meet them, each statement is there once for each.
//
// docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
func (w When) Limit(statements []Statement) []Statement {
	ways := w.ways()
	limited := make([]Statement, 0, len(statements)*len(ways))
	for i, way := range ways {
		for _, statement := range statements {
			statement.Condition = statement.Condition.And(way)
			if i > 0 && statement.Sid != "" {
				statement.Sid += "Way" + strconv.Itoa(i+1)
			}
			limited = append(limited, statement)
		}
	}
	return limited
}

func (w When) ways() []Condition {
	all := Condition{}
	if w.MFA || w.MFAMaxAge > 0 {
		// Bool and not BoolIfExists: a request without the key had no second factor.
		all = all.And(Condition{"Bool": {"aws:MultiFactorAuthPresent": {"true"}}})
	}
	if w.MFAMaxAge > 0 {
		all = all.And(Condition{"NumericLessThanEquals": {"aws:MultiFactorAuthAge": {seconds(w.MFAMaxAge)}}})
	}
	if !w.NotBefore.IsZero() {
		all = all.And(Condition{"DateGreaterThanEquals": {"aws:CurrentTime": {date(w.NotBefore)}}})
	}
	if !w.NotAfter.IsZero() {
		all = all.And(Condition{"DateLessThan": {"aws:CurrentTime": {date(w.NotAfter)}}})
	}
	var ways []Condition
	if len(w.SourceCIDRs) > 0 {
		ways = append(ways, all.And(Condition{"IpAddress": {"aws:SourceIp": unique(w.SourceCIDRs)}}))
	}
	if len(w.VpcEndpoints) > 0 {
		ways = append(ways, all.And(Condition{"StringEquals": {"aws:SourceVpce": unique(w.VpcEndpoints)}}))
	}
	if len(ways) == 0 {
		ways = append(ways, all)
	}
	return ways
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// And is the condition that holds where both do. It leaves both as they are. Of a
// key that both ask for by one operator, what other says counts, unless the values
// differ: then nothing can be said, and And panics.
func (c Condition) And(other Condition) Condition {
	if len(c) == 0 && len(other) == 0 {
		return nil
	}
	both := Condition{}
	for _, condition := range []Condition{c, other} {
		for operator, keys := range condition {
			if both[operator] == nil {
				both[operator] = map[string]Values{}
			}
			for key, values := range keys {
				if old, asked := both[operator][key]; asked && !slices.Equal(old, values) {
					panic("policy: " + operator + " " + key + " is asked for twice: " + marshal(old) + " and " + marshal(values))
				}
				both[operator][key] = values
			}
		}
	}
	return both
}

func numbered(sid string, before []Statement) string {
	n := 0
	for _, statement := range before {
		if len(statement.Sid) >= len(sid) && statement.Sid[:len(sid)] == sid {
			n++
		}
	}
	if n == 0 {
		return sid
	}
	return sid + strconv.Itoa(n+1)
}
