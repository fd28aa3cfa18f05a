package filterpattern

import (
	"slices"
	"strings"
)

// terms reads a pattern for unstructured lines: words and phrases that must be in the
// line, that must not (-), or of which one must (?). A regular expression stands alone.
func (p *parser) terms() (func(string) Verdict, error) {
	if p.text[p.at] == '%' {
		found, err := p.regex()
		if err != nil {
			return nil, err
		}
		if p.space(); !p.done() {
			return nil, p.fault("nothing can follow a regular expression here")
		}
		return func(line string) Verdict { return verdict(found(line)) }, nil
	}
	var wanted, unwanted, optional []string
	for ; !p.done(); p.space() {
		list := &wanted
		switch {
		case p.take("-"):
			list = &unwanted
		case p.take("?"):
			list = &optional
		}
		term, err := p.term()
		if err != nil {
			return nil, err
		}
		*list = append(*list, term)
	}
	// The documented way to match everything.
	if len(optional)+len(unwanted) == 0 && len(wanted) == 1 && strings.TrimSpace(wanted[0]) == "" {
		return func(string) Verdict { return Matches }, nil
	}
	if slices.ContainsFunc(slices.Concat(wanted, unwanted, optional), func(term string) bool { return strings.TrimSpace(term) == "" }) {
		return nil, p.fault("an empty term beside others has no documented meaning")
	}
	// "If you combine "?" with other filter patterns, all question mark terms will be ignored."
	if len(wanted)+len(unwanted) > 0 {
		optional = nil
	}
	return func(line string) Verdict {
		within := func(term string) bool { return strings.Contains(line, term) }
		return verdict(!slices.ContainsFunc(unwanted, within) &&
			!slices.ContainsFunc(wanted, func(term string) bool { return !within(term) }) &&
			(len(optional) == 0 || slices.ContainsFunc(optional, within)))
	}, nil
}

func (p *parser) term() (string, error) {
	if p.take(`"`) {
		return p.quoted()
	}
	term := p.run(wordCharacter)
	if term == "" || !p.done() && strings.IndexByte(" \t\r\n", p.text[p.at]) < 0 {
		return "", p.fault("a term with other characters than letters, digits and _ must be in double quotation marks")
	}
	return term, nil
}

// quoted reads up to the closing quotation mark.
func (p *parser) quoted() (string, error) {
	var b strings.Builder
	for start := p.at; ; p.at++ {
		if p.done() {
			p.at = start - 1
			return "", p.fault("the quotation mark is not closed")
		}
		switch c := p.text[p.at]; c {
		case '"':
			p.at++
			return b.String(), nil
		case '\\':
			p.at++
			if p.done() || p.text[p.at] != '"' && p.text[p.at] != '\\' {
				return "", p.fault(`a backslash stands before " or \ only`)
			}
			b.WriteByte(p.text[p.at])
		default:
			b.WriteByte(c)
		}
	}
}
