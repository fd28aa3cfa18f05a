package filterpattern

import (
	"regexp"
	"strings"
)

// regex reads %...%. What it may hold is listed in
// docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html#regex-expressions;
// a blank is not in the list but in its examples.
func (p *parser) regex() (func(string) bool, error) {
	p.at++
	var b strings.Builder
	class, opened, quantified := false, 0, true
	for start := p.at; ; p.at++ {
		if p.done() {
			p.at = start - 1
			return nil, p.fault("the regular expression is not closed by %%")
		}
		c := p.text[p.at]
		if c == '%' {
			break
		}
		quantifier := false
		switch {
		case c == '\\':
			if err := p.escape(&b); err != nil {
				return nil, err
			}
			quantified = false
			continue
		case class && (c == '[' || c == ']' && p.at == opened+1):
			return nil, p.fault(`write \%c for a bracket in a class`, c)
		case class && c == '^' && p.at == opened+1:
			opened++
		case class:
			class = c != ']'
		case c == '[':
			class, opened = true, p.at
		case c == ']' || c == '}':
			return nil, p.fault(`write \%c where no bracket is open`, c)
		case c == '{':
			if quantified {
				return nil, p.fault("there is nothing to repeat")
			}
			if err := p.repetition(&b); err != nil {
				return nil, err
			}
			quantified = true
			continue
		case strings.IndexByte("*+?", c) >= 0:
			quantifier = true
		}
		switch {
		case quantifier && quantified:
			return nil, p.fault("there is nothing to repeat")
		case !wordCharacter(c) && strings.IndexByte(" :_#=@/;,-^$?[]{}|*+.", c) < 0:
			return nil, p.fault("a regular expression can't have %q: write it as \\x and two hexadecimal digits", c)
		}
		quantified = quantifier || !class && strings.IndexByte("^$|", c) >= 0
		b.WriteByte(c)
	}
	if b.Len() == 0 {
		return nil, p.fault("the regular expression is empty")
	}
	compiled, err := regexp.Compile(b.String())
	if err != nil {
		return nil, p.fault("the regular expression can't be read: %v", err)
	}
	p.at++
	if p.regexes++; p.regexes > maxRegexes {
		return nil, p.fault("a pattern can have %d regular expressions", maxRegexes)
	}
	return compiled.MatchString, nil
}

func (p *parser) escape(b *strings.Builder) error {
	rest := p.text[p.at+1:]
	switch {
	case rest == "":
		return p.fault("nothing follows the backslash")
	case strings.IndexByte(`dDsSwW^$?[]{}|\*+.`, rest[0]) >= 0:
		b.WriteString(`\` + rest[:1])
		p.at++
		return nil
	case len(rest) > 2 && rest[0] == 'x' && strings.IndexByte("01234567", rest[1]) >= 0 && strings.IndexByte("0123456789ABCDEFabcdef", rest[2]) >= 0:
		b.WriteString(`\` + rest[:3])
		p.at += 3
		return nil
	}
	return p.fault(`after a backslash come an operator, one of dDsSwW, or x and two hexadecimal digits of an ASCII character`)
}

// repetition reads {m,n}, where one of both may be missing.
func (p *parser) repetition(b *strings.Builder) error {
	end := strings.IndexByte(p.text[p.at:], '}')
	if end < 0 {
		return p.fault("the brace is not closed")
	}
	inner := p.text[p.at+1 : p.at+end]
	low, high, ranged := strings.Cut(inner, ",")
	digits := func(s string) bool { return strings.Trim(s, "0123456789") == "" }
	if !digits(low) || !digits(high) || low == "" && high == "" {
		return p.fault("{%s} is no repetition: write {m}, {m,n}, {m,} or {,n}", inner)
	}
	if low == "" {
		low = "0"
	}
	b.WriteString("{" + low)
	if ranged {
		b.WriteString("," + high)
	}
	b.WriteString("}")
	p.at += end
	return nil
}
