package filterpattern

import (
	"maps"
	"slices"
	"strings"
)

// step is one part of a property selector: a key, an index, or any of them.
type step struct {
	key   string
	index int
	kind  stepKind
}

type stepKind int

const (
	byKey stepKind = iota
	byIndex
	anyKey
	anyIndex
)

// An array that a line could hold is far shorter.
const maxIndex = 1 << 20

// jsonCondition reads a selector and what is said of it.
func (p *parser) jsonCondition() (condition, error) {
	path, err := p.selector()
	if err != nil {
		return nil, err
	}
	wild := false
	for _, s := range path {
		wild = wild || s.kind == anyKey || s.kind == anyIndex
	}
	p.space()
	switch {
	case p.keyword("IS"):
		return p.is(path)
	case p.keyword("NOT"):
		if p.space(); !p.keyword("EXISTS") {
			return nil, p.fault("expected EXISTS after NOT")
		}
		if wild {
			return nil, p.fault("NOT EXISTS of a wildcard has no documented meaning")
		}
		return func(document any) Verdict { return verdict(len(find(document, path)) == 0) }, nil
	case p.keyword("EXISTS"):
		return nil, p.fault("CloudWatch has no EXISTS: write = *")
	}
	o, err := p.operand()
	if err != nil {
		return nil, err
	}
	return func(document any) Verdict {
		return judgeAny(find(document, path), wild && o.operator == "!=", o.json)
	}, nil
}

// judgeAny is Matches where one of the values matches. For != of several, the
// documentation does not say whether one or all must differ.
func judgeAny(values []any, unsure bool, judge func(value any) Verdict) Verdict {
	if len(values) == 0 {
		return Differs
	}
	low, high := Matches, Differs
	for _, value := range values {
		v := judge(value)
		low, high = min(low, v), max(high, v)
	}
	if unsure && low != high {
		return Undocumented
	}
	return high
}

// is reads what follows IS.
func (p *parser) is(path []step) (condition, error) {
	p.space()
	var want any
	switch {
	case p.keyword("NULL"):
	case p.keyword("TRUE"):
		want = true
	case p.keyword("FALSE"):
		want = false
	case p.keyword("NOT"):
		return nil, p.fault("CloudWatch has no IS NOT: use NOT EXISTS or != ")
	default:
		return nil, p.fault("expected NULL, TRUE or FALSE after IS")
	}
	return func(document any) Verdict {
		return judgeAny(find(document, path), false, func(value any) Verdict {
			if text, ok := value.(string); ok && want != nil && (strings.EqualFold(text, "true") || strings.EqualFold(text, "false")) {
				return Undocumented
			}
			switch value.(type) {
			case nil, bool:
				return verdict(value == want)
			}
			return Differs
		})
	}, nil
}

// keyword takes a word in capitals that stands alone.
func (p *parser) keyword(word string) bool {
	rest, ok := strings.CutPrefix(p.text[p.at:], word)
	if !ok || rest != "" && wordCharacter(rest[0]) {
		return false
	}
	p.at += len(word)
	return true
}

// selector reads $.a, $.a[0].b, $.a[*], $.*, $.['a.b'].
func (p *parser) selector() ([]step, error) {
	if !p.take("$") {
		return nil, p.fault("expected a property selector, such as $.eventName")
	}
	var path []step
	wild := 0
	for !p.done() {
		var s step
		var err error
		switch {
		case p.take(".['"):
			key := p.run(func(c byte) bool { return c != '\'' && c != '\\' })
			if key == "" || !p.take("']") {
				return nil, p.fault("expected a key and ']")
			}
			s.key = key
		case p.take(".*"):
			s.kind = anyKey
		case p.take("."):
			if s.key = p.run(func(c byte) bool { return wordCharacter(c) || c == '-' }); s.key == "" {
				return nil, p.fault("expected a key of letters, digits, - and _; one with other characters is written $.['a.b']")
			}
		case len(path) > 0 && p.take("["):
			s, err = p.index()
		default:
			return path, p.selected(path, wild)
		}
		if err != nil {
			return nil, err
		}
		if s.kind == anyKey || s.kind == anyIndex {
			wild++
			p.wildcards++
		}
		path = append(path, s)
	}
	return path, p.selected(path, wild)
}

func (p *parser) selected(path []step, wild int) error {
	switch {
	case len(path) == 0:
		return p.fault("expected a key after $, such as $.eventName")
	case wild > 1:
		return p.fault("a property selector can have one wildcard")
	case p.wildcards > maxWildcards:
		return p.fault("a pattern can have %d wildcard selectors", maxWildcards)
	}
	return nil
}

func (p *parser) index() (step, error) {
	s := step{kind: byIndex}
	if p.take("*") {
		s.kind = anyIndex
	} else {
		digits := p.run(func(c byte) bool { return c >= '0' && c <= '9' })
		if digits == "" {
			return s, p.fault("expected an index or *")
		}
		for _, digit := range digits {
			if s.index = s.index*10 + int(digit-'0'); s.index > maxIndex {
				return s, p.fault("no line has so many elements")
			}
		}
	}
	if !p.take("]") {
		return s, p.fault("expected ]")
	}
	return s, nil
}

// find is every value that the selector points to: one at most where it has no
// wildcard.
func find(document any, path []step) []any {
	found := []any{document}
	for _, s := range path {
		var next []any
		for _, value := range found {
			next = append(next, s.of(value)...)
		}
		found = next
	}
	return found
}

func (s step) of(value any) []any {
	switch value := value.(type) {
	case map[string]any:
		if s.kind == anyKey {
			return slices.Collect(maps.Values(value))
		}
		if field, ok := value[s.key]; ok && s.kind == byKey {
			return []any{field}
		}
	case []any:
		switch {
		case s.kind == anyIndex:
			return value
		case s.kind == byIndex && s.index < len(value):
			return value[s.index : s.index+1]
		}
	}
	return nil
}
