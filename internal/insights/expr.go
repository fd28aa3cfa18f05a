package insights

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// verdict on a condition. A missing field makes one neither true nor false: alone
// and in and, it is as good as false (absent), but whether its opposite is true is
// nowhere documented (unknown).
type verdict int

const (
	no verdict = iota
	yes
	absent
	unknown
)

// expression has a value in a row.
type expression interface{ eval(*row) (value, error) }

// condition has a verdict on a row.
type condition interface{ judge(*row) (verdict, error) }

type field string

func (f field) eval(r *row) (value, error) { return r.usable(string(f)) }

type literal value

func (l literal) eval(*row) (value, error) { return value(l), nil }

type call struct {
	function string
	args     []expression
	period   time.Duration // of bin
}

// arity is how many arguments a function takes, the most being -1 for any number.
var arity = map[string][2]int{
	"ispresent": {1, 1}, "isempty": {1, 1}, "isblank": {1, 1}, "strlen": {1, 1}, "tolower": {1, 1}, "toupper": {1, 1}, "trim": {1, 1},
	"strcontains": {2, 2}, "replace": {3, 3}, "coalesce": {1, -1}, "concat": {1, -1},
}

// asks are functions that are conditions.
var asks = map[string]bool{"ispresent": true, "isempty": true, "isblank": true, "strcontains": true}

func (c *call) eval(r *row) (value, error) {
	switch c.function {
	case "bin":
		at, err := r.get("@timestamp")
		if err != nil || at.kind != moment {
			return value{}, errors.Join(err, errors.New("bin: the row has no @timestamp"))
		}
		return momentOf(time.UnixMilli(int64(at.num)).UTC().Truncate(c.period)), nil
	case "coalesce":
		for _, arg := range c.args {
			v, err := arg.eval(r)
			if err != nil || v.kind != missing {
				return v, err
			}
		}
		return value{}, nil
	case "ispresent", "isempty", "isblank":
		return value{}, fmt.Errorf("%s: its result is not documented as a value, use it in filter", c.function)
	}
	texts := make([]string, len(c.args))
	for i, arg := range c.args {
		v, err := arg.eval(r)
		if err != nil {
			return v, err
		}
		if v.kind == missing {
			if c.function == "strcontains" {
				return value{}, nil
			}
			return v, fmt.Errorf("%s: an argument is missing in a row: use coalesce", c.function)
		}
		texts[i] = v.String()
	}
	switch c.function {
	case "concat":
		return textOf(strings.Join(texts, "")), nil
	case "strlen":
		return numberOf(float64(utf8.RuneCountInString(texts[0]))), nil
	case "tolower":
		return textOf(strings.ToLower(texts[0])), nil
	case "toupper":
		return textOf(strings.ToUpper(texts[0])), nil
	case "trim":
		return textOf(strings.TrimSpace(texts[0])), nil
	case "replace":
		return textOf(strings.ReplaceAll(texts[0], texts[1], texts[2])), nil
	default: // strcontains
		if strings.Contains(texts[0], texts[1]) {
			return numberOf(1), nil
		}
		return numberOf(0), nil
	}
}

func (c *call) judge(r *row) (verdict, error) {
	switch c.function {
	case "ispresent":
		f, ok := c.args[0].(field)
		if !ok {
			return no, errors.New("isPresent takes a field")
		}
		v, err := r.get(string(f))
		return verdictOf(v.kind != missing), err
	case "isempty", "isblank":
		v, err := c.args[0].eval(r)
		text := v.String()
		if c.function == "isblank" {
			text = strings.TrimSpace(text)
		}
		return verdictOf(v.kind == missing || text == ""), err
	default: // strcontains
		v, err := c.eval(r)
		if v.kind == missing {
			return absent, err
		}
		return verdictOf(v.num == 1), err
	}
}

func verdictOf(is bool) verdict {
	if is {
		return yes
	}
	return no
}

func opposite(v verdict) verdict {
	switch v {
	case yes:
		return no
	case no:
		return yes
	default:
		return unknown
	}
}

type not struct{ of condition }

func (n *not) judge(r *row) (verdict, error) {
	v, err := n.of.judge(r)
	return opposite(v), err
}

// junction is several conditions, all joined by and, or all by or.
type junction struct {
	all bool
	of  []condition
}

func (j *junction) judge(r *row) (verdict, error) {
	var seen [unknown + 1]bool
	for _, c := range j.of {
		v, err := c.judge(r)
		if err != nil {
			return v, err
		}
		seen[v] = true
	}
	order := []verdict{yes, unknown, absent, no}
	if j.all {
		order = []verdict{no, absent, unknown, yes}
	}
	for _, v := range order {
		if seen[v] {
			return v, nil
		}
	}
	return no, errors.New("no condition")
}

type comparison struct {
	left, right expression
	op          string
}

func (c *comparison) judge(r *row) (verdict, error) {
	left, err := c.left.eval(r)
	if err != nil {
		return no, err
	}
	right, err := c.right.eval(r)
	if err != nil {
		return no, err
	}
	if left.kind == missing || right.kind == missing {
		if c.op == "!=" {
			return unknown, nil
		}
		return absent, nil
	}
	a, aCounts := left.number()
	b, bCounts := right.number()
	switch c.op {
	case "=", "!=":
		same := left.String() == right.String()
		if aCounts && bCounts {
			same = a == b
		}
		return verdictOf(same == (c.op == "=")), nil
	}
	if !aCounts || !bCounts {
		return no, fmt.Errorf("%s %s %s: how text compares is not documented", left, c.op, right)
	}
	return verdictOf(c.op == "<" && a < b || c.op == "<=" && a <= b || c.op == ">" && a > b || c.op == ">=" && a >= b), nil
}

// like is a search for a text or a pattern; negated, for events without it.
type like struct {
	of      expression
	text    string
	pattern *regexp.Regexp
	not     bool
}

func (l *like) judge(r *row) (verdict, error) {
	v, err := l.of.eval(r)
	if err != nil || v.kind == missing {
		if l.not {
			return unknown, err
		}
		return absent, err
	}
	found := strings.Contains(v.String(), l.text)
	if l.pattern != nil {
		found = l.pattern.MatchString(v.String())
	}
	return verdictOf(found != l.not), nil
}

// member is in, or not in, a list.
type member struct {
	of   expression
	list []value
	not  bool
}

func (m *member) judge(r *row) (verdict, error) {
	for _, one := range m.list {
		is, err := (&comparison{left: m.of, right: literal(one), op: "="}).judge(r)
		if err != nil {
			return no, err
		}
		if is == absent {
			if m.not {
				return unknown, nil
			}
			return absent, nil
		}
		if is == yes {
			return verdictOf(!m.not), nil
		}
	}
	return verdictOf(m.not), nil
}

// asked is a function as a condition.
type asked struct{ *call }

var (
	_ condition  = asked{}
	_ expression = (*call)(nil)
)
