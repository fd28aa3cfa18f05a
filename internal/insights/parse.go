package insights

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Query that can be run.
type Query struct {
	commands []command
	// reads are the fields of events that the query names, in order of appearance.
	reads []string
	made  map[string]bool
}

// MaxLength of a query's text, in characters.
//
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutQueryDefinition.html
const MaxLength = 10_000

// maxLimit is the most rows that a limit may ask for.
const maxLimit = 10_000

// Parse reads a query, whose placeholders are filled in.
func Parse(query string) (*Query, error) {
	if names := Placeholders(query); len(names) > 0 {
		return nil, fmt.Errorf("{{%s}} is not filled in", names[0])
	}
	if len(query) > MaxLength {
		return nil, fmt.Errorf("%d characters are more than %d", len(query), MaxLength)
	}
	p := &parser{lexer: lexer{query: query}, q: &Query{made: map[string]bool{}}}
	p.advance()
	p.commands()
	if p.err != nil {
		line := 1 + strings.Count(query[:min(p.next.at, len(query))], "\n")
		return nil, fmt.Errorf("line %d: %w", line, p.err)
	}
	return p.q, nil
}

// Reads are the fields of log events that a query names, other than those that
// every event has, whose names begin with "@".
func (q *Query) Reads() []string {
	return slices.DeleteFunc(slices.Clone(q.reads), func(name string) bool { return strings.HasPrefix(name, "@") })
}

type parser struct {
	lexer
	q *Query
}

func (p *parser) is(symbols ...string) bool {
	return p.next.kind == symbol && slices.Contains(symbols, p.next.text)
}

func (p *parser) word(words ...string) bool {
	return p.next.kind == name && slices.Contains(words, p.next.text)
}

func (p *parser) take(s string) bool {
	if !p.is(s) {
		return false
	}
	p.advance()
	return true
}

func (p *parser) takeWord(w string) bool {
	if !p.word(w) {
		return false
	}
	p.advance()
	return true
}

func (p *parser) want(s string) {
	if !p.take(s) {
		p.fail("%q is expected, not %s", s, p.next)
	}
}

func (p *parser) name(what string) string {
	t := p.next
	if t.kind != name {
		p.fail("%s is expected, not %s", what, t)
		return ""
	}
	p.advance()
	return t.text
}

// read is a field that an expression names.
func (p *parser) read(f string) field {
	if !p.q.made[f] && !slices.Contains(p.q.reads, f) {
		p.q.reads = append(p.q.reads, f)
	}
	return field(f)
}

// makes notes a field that a command makes.
func (p *parser) makes(f string) {
	if p.q.made[f] || slices.Contains(p.q.reads, f) {
		p.fail("%s is a field already", f)
	}
	p.q.made[f] = true
}

func (p *parser) commands() {
	var before []string
	for p.err == nil {
		verb := p.next.text
		if p.next.kind != name {
			p.fail("a command is expected, not %s", p.next)
			return
		}
		p.advance()
		if err := follows(before, verb); err != nil {
			p.fail("%w", err)
			return
		}
		before = append(before, verb)
		switch verb {
		case "fields":
			p.fieldsCommand()
		case "display":
			p.displayCommand()
		case "filter":
			p.q.commands = append(p.q.commands, &filter{of: p.condition()})
		case "parse":
			p.parseCommand()
		case "stats":
			p.statsCommand()
		case "sort":
			p.sortCommand()
		case "limit":
			p.limitCommand()
		case "dedup":
			d := &dedup{}
			for ok := true; ok; ok = p.take(",") {
				d.by = append(d.by, p.read(p.name("a field")))
			}
			p.q.commands = append(p.q.commands, d)
		}
		if p.next.kind == end {
			return
		}
		p.want("|")
	}
}

var verbs = []string{"fields", "display", "filter", "parse", "stats", "sort", "limit", "dedup"}

// follows tells whether a command may stand where it does.
func follows(before []string, verb string) error {
	has := func(v string) bool { return slices.Contains(before, v) }
	switch {
	case !slices.Contains(verbs, verb):
		return fmt.Errorf("there is no command %q here", verb)
	case has("limit"):
		return errors.New("limit is to be the last command")
	case has("dedup") && verb != "limit":
		return fmt.Errorf("only limit may follow dedup, not %s", verb)
	case has("sort") && (verb == "stats" || verb == "sort"):
		return fmt.Errorf("%s behind sort leaves the order open", verb)
	case has("stats") && (verb == "stats" || verb == "parse" || verb == "fields"):
		return fmt.Errorf("%s may not follow stats here", verb)
	case has("display") && verb == "stats":
		return errors.New("stats may not follow display")
	}
	return nil
}

func (p *parser) fieldsCommand() {
	for ok := true; ok && p.err == nil; ok = p.take(",") {
		e := p.expression()
		s := &show{of: e}
		if f, is := e.(field); is {
			s.as = string(f)
		}
		if p.takeWord("as") {
			s.as = p.name("a name")
			s.alias = true
			p.makes(s.as)
		}
		if s.as == "" {
			p.fail("name the result: as NAME")
		}
		p.q.commands = append(p.q.commands, s)
	}
}

func (p *parser) displayCommand() {
	d := &display{}
	for ok := true; ok; ok = p.take(",") {
		f := p.name("a field")
		p.read(f)
		d.names = append(d.names, f)
	}
	p.q.commands = append(p.q.commands, d)
}

func (p *parser) parseCommand() {
	e := &extract{from: "@message"}
	if p.next.kind == name {
		e.from = p.next.text
		p.advance()
	}
	p.read(e.from)
	t := p.next
	switch t.kind {
	case text:
		p.advance()
		e.pattern, e.names = glob(t.text), nil
		if !p.takeWord("as") {
			p.fail("as NAME, NAME is expected, not %s", p.next)
		}
		for ok := true; ok; ok = p.take(",") {
			e.names = append(e.names, p.name("a name"))
		}
		if stars := strings.Count(t.text, "*"); stars != len(e.names) && p.err == nil {
			p.fail("%d wildcards have %d names", stars, len(e.names))
		}
	case pattern:
		p.advance()
		e.pattern = p.compile(t.text)
		if e.pattern != nil {
			e.names = e.pattern.SubexpNames()[1:]
			if len(e.names) == 0 || slices.Contains(e.names, "") {
				p.fail("each group is to have a name: (?<name>...)")
			}
		}
	default:
		p.fail("parse wants a text or a pattern, not %s", t)
	}
	for _, n := range e.names {
		p.makes(n)
	}
	p.q.commands = append(p.q.commands, e)
}

// glob makes text with wildcards a pattern: each takes as little as it can, the last
// one, where nothing follows it, all that is left.
func glob(text string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString("(?s)")
	segments := strings.Split(text, "*")
	for i, segment := range segments {
		b.WriteString(regexp.QuoteMeta(segment))
		switch {
		case i == len(segments)-1:
		case i == len(segments)-2 && segments[i+1] == "":
			b.WriteString("(.*)")
		default:
			b.WriteString("(.*?)")
		}
	}
	return regexp.MustCompile(b.String())
}

func (p *parser) compile(expression string) *regexp.Regexp {
	re, err := regexp.Compile(expression)
	if err != nil {
		p.fail("%w", err)
		return nil
	}
	return re
}

var aggregates = []string{"count", "count_distinct", "sum", "avg", "min", "max", "earliest", "latest"}

func (p *parser) statsCommand() {
	s := &stats{}
	p.q.commands = append(p.q.commands, s)
	names := map[string]bool{}
	add := func(as string) {
		if names[as] {
			p.fail("%s is twice a name", as)
		}
		names[as] = true
	}
	for ok := true; ok && p.err == nil; ok = p.take(",") {
		a := aggregate{function: p.name("a function")}
		if !slices.Contains(aggregates, a.function) {
			p.fail("stats has no function %q here", a.function)
			return
		}
		p.want("(")
		if a.function == "count" && p.take("*") {
			a.of = nil
		} else {
			a.of = p.expression()
		}
		p.want(")")
		if !p.takeWord("as") {
			p.fail("name the result: as NAME")
			return
		}
		a.as = p.name("a name")
		add(a.as)
		s.of = append(s.of, a)
	}
	if p.takeWord("by") {
		for ok := true; ok && p.err == nil; ok = p.take(",") {
			at := p.next.at
			g := grouping{of: p.expression(), as: ""}
			switch e := g.of.(type) {
			case field:
				g.as = string(e)
			case *call:
				if e.function == "bin" {
					g.as = strings.TrimSpace(p.query[at:p.next.at])
				}
			}
			if p.takeWord("as") {
				g.as = p.name("a name")
			}
			if g.as == "" {
				p.fail("name what to group by: as NAME")
			}
			add(g.as)
			s.by = append(s.by, g)
		}
	}
	if len(s.by) == 0 {
		p.fail("stats without by: what it answers to no event is not documented")
	}
	for n := range names {
		p.q.made[n] = true
	}
	s.only = names
}

func (p *parser) sortCommand() {
	s := &order{}
	for ok := true; ok && p.err == nil; ok = p.take(",") {
		k := key{of: p.read(p.name("a field"))}
		switch {
		case p.takeWord("asc"):
		case p.takeWord("desc"):
			k.down = true
		default:
			p.fail("say asc or desc")
		}
		s.by = append(s.by, k)
	}
	p.q.commands = append(p.q.commands, s)
}

func (p *parser) limitCommand() {
	n, err := strconv.Atoi(p.next.text)
	if p.next.kind != number || err != nil || n < 1 || n > maxLimit {
		p.fail("limit takes 1 to %d, not %s", maxLimit, p.next)
		return
	}
	p.advance()
	p.q.commands = append(p.q.commands, limit(n))
}

// condition is one or several joined by the same word.
func (p *parser) condition() condition {
	first := p.negation()
	if !p.word("and", "or") {
		return first
	}
	joined := p.next.text
	j := &junction{all: joined == "and", of: []condition{first}}
	for p.takeWord(joined) {
		j.of = append(j.of, p.negation())
	}
	if p.word("and", "or") {
		p.fail("put parentheses around what belongs together: and beside or")
	}
	return j
}

func (p *parser) negation() condition {
	if p.takeWord("not") {
		return &not{p.test()}
	}
	return p.test()
}

func (p *parser) test() condition {
	if p.take("(") {
		c := p.condition()
		p.want(")")
		return c
	}
	left := p.expression()
	if p.is("=", "!=", "<", "<=", ">", ">=") {
		op := p.next.text
		p.advance()
		return &comparison{left, p.expression(), op}
	}
	negated := p.takeWord("not")
	switch {
	case p.word("like") || p.is("=~") && !negated:
		p.advance()
		return p.like(left, negated)
	case p.takeWord("in"):
		return p.member(left, negated)
	case negated:
		p.fail("like or in is expected, not %s", p.next)
	}
	c, ok := left.(*call)
	if !ok || !asks[c.function] {
		p.fail("a condition is expected before %s", p.next)
		return &junction{}
	}
	return asked{c}
}

func (p *parser) like(of expression, negated bool) condition {
	l := &like{of: of, not: negated}
	switch p.next.kind {
	case text:
		l.text = p.next.text
	case pattern:
		l.pattern = p.compile(p.next.text)
	default:
		p.fail("like wants a text or a pattern, not %s", p.next)
	}
	p.advance()
	return l
}

func (p *parser) member(of expression, negated bool) condition {
	m := &member{of: of, not: negated}
	p.want("[")
	for ok := true; ok && p.err == nil; ok = p.take(",") {
		l, is := p.expression().(literal)
		if !is {
			p.fail("in takes a list of texts and numbers")
			break
		}
		m.list = append(m.list, value(l))
	}
	p.want("]")
	return m
}

func (p *parser) expression() expression {
	t := p.next
	switch t.kind {
	case text:
		p.advance()
		return literal(textOf(t.text))
	case number:
		n, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			p.fail("%s is no number", t)
		}
		p.advance()
		return literal(value{kind: numeric, text: t.text, num: n})
	case name:
		p.advance()
		if p.take("(") {
			return p.call(t.text)
		}
		return p.read(t.text)
	default:
		p.fail("a field, a text or a number is expected, not %s", t)
		return literal(value{})
	}
}

var units = map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

func (p *parser) call(function string) expression {
	c := &call{function: strings.ToLower(function)}
	if c.function == "bin" {
		digits := strings.TrimRight(p.next.text, "abcdefghijklmnopqrstuvwxyz")
		n, err := strconv.Atoi(digits)
		unit := units[strings.TrimPrefix(p.next.text, digits)]
		if p.next.kind != number || err != nil || n < 1 || unit == 0 {
			p.fail("bin takes a time such as 5m, not %s", p.next)
		}
		c.period = time.Duration(n) * unit
		p.advance()
		p.want(")")
		p.read("@timestamp")
		return c
	}
	bounds, known := arity[c.function]
	if !known {
		p.fail("there is no function %q here", function)
		return c
	}
	for ok := !p.is(")"); ok && p.err == nil; ok = p.take(",") {
		c.args = append(c.args, p.expression())
	}
	p.want(")")
	if n := len(c.args); n < bounds[0] || bounds[1] >= 0 && n > bounds[1] {
		p.fail("%s has %d arguments", function, n)
	}
	return c
}
