package policy

import (
	"strconv"
	"time"
)

// When is under which circumstances something is allowed. Its zero value is
// always and from everywhere.
type When struct {
	// MFA asks for a second factor. IAM knows of it where somebody signed in to
	// IAM with one, or assumed a role with one; not where an identity provider or
	// IAM Identity Center asked for it.
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
		all = all.And(Condition{"NumericLessThanEquals": {"aws:MultiFactorAuthAge": {strconv.Itoa(int(w.MFAMaxAge / time.Second))}}})
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

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// And is the condition that holds where both do. It leaves both as they are. A
// key that both ask for by one operator must have one of the values of other.
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
