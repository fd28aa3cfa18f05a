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

// literal is the pattern that matches nothing but s.
func literal(s string) pattern { return pattern{{text: s}} }

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

// match tells whether the whole of s fits.
func (p pattern) match(s string) bool {
	for i, piece := range p {
		switch piece.wild {
		case 0:
			rest, ok := strings.CutPrefix(s, piece.text)
			if !ok {
				return false
			}
			s = rest
		case '?':
			if s == "" {
				return false
			}
			s = s[1:]
		case '*':
			for at := 0; at <= len(s); at++ {
				if p[i+1:].match(s[at:]) {
					return true
				}
			}
			return false
		}
	}
	return s == ""
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

// matchARN compares part by part. A request's ARN is taken as it is.
func matchARN(policy, request string, variables bool, context Context) (matches bool, resolved string) {
	want, err := arn(policy)
	if err != nil {
		return false, policy
	}
	have := strings.SplitN(request, ":", 6)
	if len(have) != 6 {
		return false, policy
	}
	matches = true
	texts := make([]string, 6)
	for i, part := range want {
		p, ok := expand(part, true, variables, context)
		if !ok {
			return false, policy
		}
		texts[i] = p.String()
		matches = matches && p.match(have[i])
	}
	return matches, strings.Join(texts, ":")
}
