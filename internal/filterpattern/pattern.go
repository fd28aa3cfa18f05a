package filterpattern

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// MaxCharacters is the most that a metric filter takes
// (docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutMetricFilter.html).
const MaxCharacters = 1024

const (
	// Both from the quotas in docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html.
	maxRegexes   = 2
	maxWildcards = 3
	// Deeper than any pattern of 1,024 characters that somebody would want to read.
	maxDepth = 64
)

// Verdict is what is known about a pattern and a line.
type Verdict int

const (
	// Differs says that the line does not match.
	Differs Verdict = iota
	// Undocumented says that AWS does not tell what happens.
	Undocumented
	// Matches says that the line matches.
	Matches
)

// String implements fmt.Stringer.
func (v Verdict) String() string {
	return [...]string{"differs", "undocumented", "matches"}[v]
}

func verdict(matches bool) Verdict {
	if matches {
		return Matches
	}
	return Differs
}

func not(v Verdict) Verdict { return Matches - v }

// all and either follow Kleene: what is undocumented only counts where nothing else
// decides.
func all(a, b Verdict) Verdict    { return min(a, b) }
func either(a, b Verdict) Verdict { return max(a, b) }

// Pattern is a filter pattern that was read.
type Pattern struct {
	text  string
	judge func(line string) Verdict
}

// SyntaxError says what in a pattern can't be read, and where.
type SyntaxError struct {
	// Offset counts bytes from the beginning of the pattern.
	Offset  int
	Message string
}

// Error implements error.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("filter pattern, at character %d: %s", e.Offset+1, e.Message)
}

// Parse reads a pattern.
func Parse(text string) (*Pattern, error) {
	if n := utf8.RuneCountInString(text); n > MaxCharacters {
		return nil, &SyntaxError{Offset: MaxCharacters, Message: fmt.Sprintf(
			"a metric filter takes %d characters, this pattern has %d: split it into several filters that feed the same metric", MaxCharacters, n)}
	}
	if !utf8.ValidString(text) {
		return nil, &SyntaxError{Message: "the pattern is not UTF-8"}
	}
	p := &parser{text: text}
	judge, err := p.parse()
	if err != nil {
		return nil, err
	}
	return &Pattern{text: text, judge: judge}, nil
}

// String is the text of the pattern.
func (p *Pattern) String() string { return p.text }

// Match reports whether the line certainly matches.
func (p *Pattern) Match(line string) bool { return p.judge(line) == Matches }

// Judge says whether the line matches, or that nobody knows.
func (p *Pattern) Judge(line string) Verdict { return p.judge(line) }

type parser struct {
	text      string
	at        int
	regexes   int
	wildcards int
}

func (p *parser) parse() (func(string) Verdict, error) {
	p.space()
	var judge func(string) Verdict
	var err error
	switch {
	case p.done():
		return func(string) Verdict { return Matches }, nil
	case p.take("{"):
		judge, err = p.json()
	case p.take("["):
		judge, err = p.delimited()
	default:
		return p.terms()
	}
	if err != nil {
		return nil, err
	}
	if p.space(); !p.done() {
		return nil, p.fault("nothing can follow the closing bracket")
	}
	return judge, nil
}

func (p *parser) json() (func(string) Verdict, error) {
	condition, err := p.expression(0, p.jsonCondition)
	if err != nil {
		return nil, err
	}
	if p.space(); !p.take("}") {
		return nil, p.fault(`expected "&&", "||" or "}"`)
	}
	return func(line string) Verdict {
		document, ok := decode(line)
		if !ok {
			return Differs
		}
		return condition(document)
	}, nil
}

// decode reads a line that is one JSON object and nothing else.
func decode(line string) (any, bool) {
	decoder := json.NewDecoder(strings.NewReader(line))
	decoder.UseNumber()
	var document map[string]any
	if decoder.Decode(&document) != nil || document == nil {
		return nil, false
	}
	_, err := decoder.Token()
	return document, errors.Is(err, io.EOF)
}

type condition func(subject any) Verdict

// expression reads conditions with && and ||, which binds less.
func (p *parser) expression(depth int, single func() (condition, error)) (condition, error) {
	left, err := p.conjunction(depth, single)
	if err != nil {
		return nil, err
	}
	for p.space(); p.take("||"); p.space() {
		right, err := p.conjunction(depth, single)
		if err != nil {
			return nil, err
		}
		left = combine(left, right, either)
	}
	return left, nil
}

func (p *parser) conjunction(depth int, single func() (condition, error)) (condition, error) {
	left, err := p.primary(depth, single)
	if err != nil {
		return nil, err
	}
	for p.space(); p.take("&&"); p.space() {
		right, err := p.primary(depth, single)
		if err != nil {
			return nil, err
		}
		left = combine(left, right, all)
	}
	return left, nil
}

func combine(a, b condition, how func(a, b Verdict) Verdict) condition {
	return func(subject any) Verdict { return how(a(subject), b(subject)) }
}

func (p *parser) primary(depth int, single func() (condition, error)) (condition, error) {
	p.space()
	if !p.take("(") {
		return single()
	}
	if depth == maxDepth {
		return nil, p.fault("parentheses are nested too deep")
	}
	inner, err := p.expression(depth+1, single)
	if err != nil {
		return nil, err
	}
	if p.space(); !p.take(")") {
		return nil, p.fault(`expected "&&", "||" or ")"`)
	}
	return inner, nil
}

func (p *parser) done() bool { return p.at == len(p.text) }

func (p *parser) space() {
	for !p.done() && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

func (p *parser) take(s string) bool {
	if !strings.HasPrefix(p.text[p.at:], s) {
		return false
	}
	p.at += len(s)
	return true
}

// run takes the characters from here on that belong to a set.
func (p *parser) run(belongs func(c byte) bool) string {
	start := p.at
	for !p.done() && belongs(p.text[p.at]) {
		p.at++
	}
	return p.text[start:p.at]
}

func (p *parser) fault(format string, args ...any) error {
	return &SyntaxError{Offset: p.at, Message: fmt.Sprintf(format, args...)}
}

func wordCharacter(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}
