package filterpattern

import (
	"encoding/json"
	"math/big"
	"regexp"
	"strings"
)

// operand is what a property or a field is compared with.
type operand struct {
	operator string
	text     string
	number   *big.Rat
	regex    func(string) bool
}

// Longer ones first.
var operators = []string{"!=", ">=", "<=", "=", ">", "<"}

// A sign and an exponent are allowed in a pattern, a JSON number has its own grammar.
var numeric = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?$`)

func number(s string) *big.Rat {
	if !numeric.MatchString(s) {
		return nil
	}
	n, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil
	}
	return n
}

// operand reads an operator and what follows it.
func (p *parser) operand() (*operand, error) {
	o := &operand{}
	for _, operator := range operators {
		if p.take(operator) {
			o.operator = operator
			break
		}
	}
	if o.operator == "" {
		return nil, p.fault("expected one of = != > < >= <=")
	}
	p.space()
	ordered := o.operator != "=" && o.operator != "!="
	switch {
	case p.done():
		return nil, p.fault("expected a value")
	case p.text[p.at] == '%':
		if ordered {
			return nil, p.fault("a regular expression can be compared with = and != only")
		}
		var err error
		if o.regex, err = p.regex(); err != nil {
			return nil, err
		}
		return o, nil
	case p.take(`"`):
		var err error
		if o.text, err = p.quoted(); err != nil {
			return nil, err
		}
	default:
		// Beyond letters, digits and _ the documented examples have * and the dots of an
		// address unquoted, and numbers with sign and exponent.
		o.text = p.run(func(c byte) bool { return wordCharacter(c) || strings.IndexByte(".*+-", c) >= 0 })
		if o.text == "" {
			return nil, p.fault("a value with other characters than letters, digits and _ must be in double quotation marks")
		}
		o.number = number(o.text)
	}
	if ordered && o.number == nil {
		return nil, p.fault("%s compares with a number, %q is none", o.operator, o.text)
	}
	if inner := strings.TrimSuffix(strings.TrimPrefix(o.text, "*"), "*"); strings.Contains(inner, "*") {
		return nil, p.fault("* stands for any text at the beginning and at the end of a value only")
	}
	return o, nil
}

// like compares text with text that may have a wildcard at each end.
func (o *operand) like(s string) bool {
	pattern := o.text
	if pattern == "*" {
		return true
	}
	rest, open := strings.CutPrefix(pattern, "*")
	middle, openEnd := strings.CutSuffix(rest, "*")
	switch {
	case open && openEnd:
		return strings.Contains(s, middle)
	case open:
		return strings.HasSuffix(s, middle)
	case openEnd:
		return strings.HasPrefix(s, middle)
	}
	return s == pattern
}

func (o *operand) wild() bool { return strings.Contains(o.text, "*") }

// equality is the verdict on = turned around for !=.
func (o *operand) equality(equal Verdict) Verdict {
	if o.operator == "!=" {
		return not(equal)
	}
	return equal
}

func (o *operand) ordered(value *big.Rat) Verdict {
	order := value.Cmp(o.number)
	switch o.operator {
	case ">":
		return verdict(order > 0)
	case "<":
		return verdict(order < 0)
	case ">=":
		return verdict(order >= 0)
	case "<=":
		return verdict(order <= 0)
	}
	return o.equality(verdict(order == 0))
}

// json compares a value of a JSON line.
func (o *operand) json(value any) Verdict {
	switch value := value.(type) {
	case map[string]any, []any:
		// "If a property selector points to an array or object, the filter pattern won't
		// match the log format", whatever the operator.
		return Differs
	case string:
		return o.jsonString(value)
	case json.Number:
		n := number(value.String())
		switch {
		case n == nil:
			return Undocumented
		case o.number != nil:
			return o.ordered(n)
		case o.regex != nil:
			return Undocumented
		case o.wild():
			return o.equality(verdict(o.like(value.String())))
		case number(o.text) == nil:
			return o.equality(Differs)
		}
		return Undocumented
	}
	// A truth value or null, which have conditions of their own.
	return Undocumented
}

func (o *operand) jsonString(value string) Verdict {
	switch {
	case o.regex != nil:
		return o.equality(verdict(o.regex(value)))
	case o.number == nil:
		return o.equality(verdict(o.like(value)))
	case o.operator != "=" && o.operator != "!=":
		return Undocumented
	case value == o.text:
		// Account numbers are text in CloudTrail's events and unquoted in AWS's examples.
		return o.equality(Matches)
	case number(value) == nil:
		return o.equality(Differs)
	}
	return Undocumented
}

// field compares a field of a space-delimited line.
func (o *operand) field(value string) Verdict {
	switch {
	case o.regex != nil:
		return o.equality(verdict(o.regex(value)))
	case o.number == nil:
		return o.equality(verdict(o.like(value)))
	}
	if n := number(value); n != nil {
		return o.ordered(n)
	}
	if o.operator == "=" || o.operator == "!=" {
		return o.equality(Differs)
	}
	return Undocumented
}
