package iam

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// operator is a condition operator. Its test compares one value of the policy
// with the value of the request.
type operator struct {
	name     string
	negated  bool // matches where no value of the policy does
	ifExists bool // matches where the request lacks the key
	null     bool
	// anyOf and allOf ask about each value of a key that has several.
	anyOf, allOf bool
	// check refuses a value of the policy that can never be compared, so that it is no silent denial.
	check func(value string) error
	test  func(policy, request string, variables bool, context Context) bool
}

var operators = map[string]operator{
	"StringEquals":              {test: stringTest(false, false)},
	"StringNotEquals":           {test: stringTest(false, false), negated: true},
	"StringEqualsIgnoreCase":    {test: stringTest(false, true)},
	"StringNotEqualsIgnoreCase": {test: stringTest(false, true), negated: true},
	"StringLike":                {test: stringTest(true, false)},
	"StringNotLike":             {test: stringTest(true, false), negated: true},
	"ArnEquals":                 {test: arnTest, check: checkARN},
	"ArnNotEquals":              {test: arnTest, check: checkARN, negated: true},
	"ArnLike":                   {test: arnTest, check: checkARN},
	"ArnNotLike":                {test: arnTest, check: checkARN, negated: true},
	"Bool":                      {test: boolTest, check: checkBool},
	"IpAddress":                 {test: ipTest, check: checkIP},
	"NotIpAddress":              {test: ipTest, check: checkIP, negated: true},
	"NumericEquals":             {test: numberTest(func(c int) bool { return c == 0 }), check: checkNumber},
	"NumericNotEquals":          {test: numberTest(func(c int) bool { return c == 0 }), check: checkNumber, negated: true},
	"NumericLessThan":           {test: numberTest(func(c int) bool { return c < 0 }), check: checkNumber},
	"NumericLessThanEquals":     {test: numberTest(func(c int) bool { return c <= 0 }), check: checkNumber},
	"NumericGreaterThan":        {test: numberTest(func(c int) bool { return c > 0 }), check: checkNumber},
	"NumericGreaterThanEquals":  {test: numberTest(func(c int) bool { return c >= 0 }), check: checkNumber},
	"DateEquals":                {test: dateTest(func(c int) bool { return c == 0 }), check: checkDate},
	"DateNotEquals":             {test: dateTest(func(c int) bool { return c == 0 }), check: checkDate, negated: true},
	"DateLessThan":              {test: dateTest(func(c int) bool { return c < 0 }), check: checkDate},
	"DateLessThanEquals":        {test: dateTest(func(c int) bool { return c <= 0 }), check: checkDate},
	"DateGreaterThan":           {test: dateTest(func(c int) bool { return c > 0 }), check: checkDate},
	"DateGreaterThanEquals":     {test: dateTest(func(c int) bool { return c >= 0 }), check: checkDate},
}

func operatorNames() []string { return slices.Sorted(maps.Keys(operators)) }

func findOperator(name string) (operator, bool) {
	if name == "Null" {
		return operator{name: name, null: true, check: checkBool}, true
	}
	base, ifExists := strings.CutSuffix(name, "IfExists")
	base, anyOf := strings.CutPrefix(base, "ForAnyValue:")
	base, allOf := strings.CutPrefix(base, "ForAllValues:")
	o, ok := operators[base]
	o.name, o.ifExists, o.anyOf, o.allOf = name, ifExists, anyOf, allOf
	// What IfExists means for several values, AWS does not say.
	return o, ok && !(anyOf && allOf) && !((anyOf || allOf) && ifExists)
}

// holds tells whether the request meets the condition.
func (c condition) holds(context Context, variables bool) bool {
	value, exists := context.get(c.key)
	meets := func(value string) bool {
		return slices.ContainsFunc(c.values, func(want string) bool {
			return c.operator.test(want, value, variables, context)
		}) != c.operator.negated
	}
	if c.operator.null {
		for _, want := range c.values {
			if strings.EqualFold(want, "true") != exists {
				return true
			}
		}
		return false
	}
	switch {
	case c.operator.anyOf:
		return exists && slices.ContainsFunc(strings.Split(value, ","), meets)
	case c.operator.allOf:
		return !exists || !slices.ContainsFunc(strings.Split(value, ","), func(v string) bool { return !meets(v) })
	case !exists:
		return c.operator.ifExists || c.operator.negated
	default:
		return meets(value)
	}
}

func stringTest(wildcards, ignoreCase bool) func(string, string, bool, Context) bool {
	return func(policy, request string, variables bool, context Context) bool {
		p, ok := expand(policy, wildcards, variables, context)
		if !ok {
			return false
		}
		if ignoreCase {
			return strings.EqualFold(p.String(), request)
		}
		return p.match(request)
	}
}

func arnTest(policy, request string, variables bool, context Context) bool {
	want, err := parseResource(policy, variables)
	return err == nil && want.match(strings.SplitN(request, ":", 6), context)
}

func checkARN(value string) error {
	_, err := arn(value)
	return err
}

func boolTest(policy, request string, variables bool, context Context) bool {
	p, ok := expand(policy, false, variables, context)
	return ok && checkBool(p.String()) == nil && strings.EqualFold(p.String(), request)
}

func checkBool(value string) error {
	if !strings.EqualFold(value, "true") && !strings.EqualFold(value, "false") {
		return fmt.Errorf("%q is neither true nor false", value)
	}
	return nil
}

func ipTest(policy, request string, _ bool, _ Context) bool {
	network, err := parseNetwork(policy)
	if err != nil {
		return false
	}
	address, err := netip.ParseAddr(request)
	return err == nil && network.Contains(address)
}

func parseNetwork(value string) (netip.Prefix, error) {
	if !strings.Contains(value, "/") {
		address, err := netip.ParseAddr(value)
		if err != nil {
			return netip.Prefix{}, err
		}
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	return netip.ParsePrefix(value)
}

func checkIP(value string) error {
	_, err := parseNetwork(value)
	return err
}

func numberTest(holds func(compared int) bool) func(string, string, bool, Context) bool {
	return func(policy, request string, _ bool, _ Context) bool {
		want, err := strconv.ParseFloat(policy, 64)
		if err != nil {
			return false
		}
		have, err := strconv.ParseFloat(request, 64)
		if err != nil {
			return false
		}
		switch {
		case have < want:
			return holds(-1)
		case have > want:
			return holds(1)
		default:
			return holds(0)
		}
	}
}

func checkNumber(value string) error {
	if _, err := strconv.ParseFloat(value, 64); err != nil {
		return fmt.Errorf("%q is not a number", value)
	}
	return nil
}

func dateTest(holds func(compared int) bool) func(string, string, bool, Context) bool {
	return func(policy, request string, _ bool, _ Context) bool {
		want, err := parseDate(policy)
		if err != nil {
			return false
		}
		have, err := parseDate(request)
		return err == nil && holds(have.Compare(want))
	}
}

// parseDate reads the forms of ISO 8601 that IAM takes.
// https://www.w3.org/TR/NOTE-datetime
func parseDate(value string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", time.DateOnly} {
		if t, err := time.Parse(layout, value); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a date such as 2026-01-31T08:00:00Z", value)
}

func checkDate(value string) error {
	_, err := parseDate(value)
	return err
}
