package iam

import (
	"fmt"
	"strings"
)

// pattern is a text of a policy after its variables were replaced. What came
// out of a variable is never a wildcard.
type pattern []piece

type piece struct {
	text string
	wild byte // '*' or '?', or 0 for text
}

// expand reads a text of a policy: wildcards where they have a meaning, and
// variables from the request. It reports ok false where a variable has no value
// in the request: then the text matches nothing.
//
// docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
func expand(s string, wildcards, variables bool, context Context) (p pattern, ok bool) {
	add := func(text string) {
		if n := len(p); n > 0 && p[n-1].wild == 0 {
			p[n-1].text += text
			return
		}
		p = append(p, piece{text: text})
	}
	for s != "" {
		switch {
		case wildcards && (s[0] == '*' || s[0] == '?'):
			p = append(p, piece{wild: s[0]})
			s = s[1:]
		case variables && strings.HasPrefix(s, "${"):
			end := strings.IndexByte(s, '}')
			if end < 0 {
				add(s)
				return p, true
			}
			value, found := variable(s[2:end], context)
			if !found {
				return nil, false
			}
			add(value)
			s = s[end+1:]
		default:
			next := strings.IndexAny(s[1:], "*?$") + 1
			if next == 0 {
				next = len(s)
			}
			add(s[:next])
			s = s[next:]
		}
	}
	return p, true
}

// variable gives the value of what stands between "${" and "}".
func variable(name string, context Context) (string, bool) {
	switch name {
	case "*", "?", "$":
		return name, true
	}
	name, fallback, hasFallback := strings.Cut(name, ",")
	if value, ok := context.get(strings.TrimSpace(name)); ok && value != "" {
		return value, true
	}
	if hasFallback {
		fallback = strings.TrimSpace(fallback)
		if len(fallback) >= 2 && fallback[0] == '\'' && fallback[len(fallback)-1] == '\'' {
			return fallback[1 : len(fallback)-1], true
		}
	}
	return "", false
}

// match tells whether the whole of s fits. Of several "*" only the last may have to take
// more than it did, so the time it takes is bounded.
func (p pattern) match(s string) bool {
	at, piece := 0, 0
	star, taken := -1, 0 // the last "*", and where what it took ends
	for {
		switch {
		case piece == len(p):
			if at == len(s) {
				return true
			}
		case p[piece].wild == '*':
			star, taken = piece, at
			piece++
			continue
		case p[piece].wild == '?':
			if at < len(s) {
				at++
				piece++
				continue
			}
		case strings.HasPrefix(s[at:], p[piece].text):
			at += len(p[piece].text)
			piece++
			continue
		}
		if star < 0 || taken == len(s) {
			return false
		}
		taken++
		at, piece = taken, star+1
	}
}

// String is the pattern as a person reads it.
func (p pattern) String() string {
	var b strings.Builder
	for _, piece := range p {
		if piece.wild != 0 {
			b.WriteByte(piece.wild)
			continue
		}
		b.WriteString(piece.text)
	}
	return b.String()
}

// arn splits an ARN in its six parts: a wildcard in one never reaches into the
// next, but in the last, which may hold further colons.
func arn(s string) ([]string, error) {
	parts := splitOutsideVariables(s)
	if len(parts) < 6 || parts[0] != "arn" {
		return nil, fmt.Errorf("%q is not an ARN of six parts, such as arn:aws:ec2:eu-west-1:111122223333:instance/*", s)
	}
	return append(parts[:5:5], strings.Join(parts[5:], ":")), nil
}

// splitOutsideVariables splits at colons, but not at those of ${aws:username}.
func splitOutsideVariables(s string) []string {
	var parts []string
	start, depth := 0, 0
	for i := range len(s) {
		switch {
		case strings.HasPrefix(s[i:], "${"):
			depth++
		case s[i] == '}' && depth > 0:
			depth--
		case s[i] == ':' && depth == 0:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

// resource is an ARN of a policy, ready to be compared.
type resource struct {
	text  string
	parts []part // nil for "*"
}

// part is one part of an ARN. It is a pattern, if it has no variables.
type part struct {
	text  string
	fixed pattern
}

func parseResource(text string, variables bool) (resource, error) {
	r := resource{text: text}
	if text == "*" {
		return r, nil
	}
	texts, err := arn(text)
	if err != nil {
		return r, err
	}
	for _, t := range texts {
		p := part{text: t}
		if !variables || !strings.Contains(t, "${") {
			p.fixed, _ = expand(t, true, false, nil)
		}
		r.parts = append(r.parts, p)
	}
	return r, nil
}

// match compares part by part. A request's ARN is taken as it is.
func (r resource) match(have []string, context Context) bool {
	if r.parts == nil {
		return true
	}
	if len(have) != len(r.parts) {
		return false
	}
	for i, p := range r.parts {
		want, ok := p.fixed, true
		if want == nil {
			want, ok = expand(p.text, true, true, context)
		}
		if !ok || !want.match(have[i]) {
			return false
		}
	}
	return true
}

// resolved is the ARN with the values of its variables, as far as it has some.
func (r resource) resolved(context Context) string {
	p, ok := expand(r.text, true, true, context)
	if !ok {
		return r.text
	}
	return p.String()
}
