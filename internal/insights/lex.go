package insights

import (
	"fmt"
	"strings"
	"unicode"
)

type kind int

const (
	end kind = iota
	name
	text
	number
	symbol
	pattern
)

// token is a word of a query.
type token struct {
	kind kind
	text string
	at   int
}

func (t token) String() string {
	if t.kind == end {
		return "the end"
	}
	return fmt.Sprintf("%q", t.text)
}

// lexer reads one token after the other.
type lexer struct {
	query string
	at    int
	next  token
	err   error
}

func (l *lexer) fail(format string, args ...any) {
	if l.err == nil {
		l.err = fmt.Errorf(format, args...)
	}
	l.next = token{kind: end, at: l.at}
}

func (l *lexer) skip() {
	for l.at < len(l.query) {
		switch c := l.query[l.at]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			l.at++
		case c == '#':
			if n := strings.IndexByte(l.query[l.at:], '\n'); n >= 0 {
				l.at += n
			} else {
				l.at = len(l.query)
			}
		default:
			return
		}
	}
}

// advance reads the next token.
func (l *lexer) advance() {
	if l.err != nil {
		return
	}
	l.skip()
	l.next = token{kind: end, at: l.at}
	if l.at == len(l.query) {
		return
	}
	start := l.at
	switch c := l.query[start]; {
	case c == '"' || c == '\'':
		l.next = token{kind: text, text: l.quoted(c), at: start}
	case c == '/':
		l.next = token{kind: pattern, text: l.slashes(), at: start}
	case c == '`':
		n := strings.IndexByte(l.query[start+1:], '`')
		if n < 0 {
			l.fail("a ` is not closed")
			return
		}
		l.at = start + n + 2
		l.next = token{kind: name, text: l.query[start+1 : start+1+n], at: start}
	case inName(c) && !digit(c) && c != '.':
		for l.at < len(l.query) && inName(l.query[l.at]) {
			l.at++
		}
		l.next = token{kind: name, text: l.query[start:l.at], at: start}
	case digit(c):
		for l.at < len(l.query) && (digit(l.query[l.at]) || l.query[l.at] == '.' || unicode.IsLetter(rune(l.query[l.at]))) {
			l.at++
		}
		l.next = token{kind: number, text: l.query[start:l.at], at: start}
	default:
		for _, s := range []string{"!=", "<=", ">=", "=~", "=", "<", ">", "(", ")", "[", "]", ",", "|", "*"} {
			if strings.HasPrefix(l.query[start:], s) {
				l.at += len(s)
				l.next = token{kind: symbol, text: s, at: start}
				return
			}
		}
		l.fail("%q is not understood here", c)
	}
}

// quoted reads text in quotation marks, in which a backslash stands before a
// quotation mark or another backslash.
func (l *lexer) quoted(mark byte) string {
	var b strings.Builder
	for i := l.at + 1; i < len(l.query); i++ {
		switch c := l.query[i]; {
		case c == mark:
			l.at = i + 1
			return b.String()
		case c == '\\' && i+1 < len(l.query) && (l.query[i+1] == mark || l.query[i+1] == '\\'):
			i++
			b.WriteByte(l.query[i])
		default:
			b.WriteByte(c)
		}
	}
	l.fail("a %c is not closed", mark)
	return ""
}

// slashes reads a regular expression: there is no division here.
func (l *lexer) slashes() string {
	for i := l.at + 1; i < len(l.query); i++ {
		switch l.query[i] {
		case '\\':
			i++
		case '/':
			expression := l.query[l.at+1 : i]
			l.at = i + 1
			return strings.ReplaceAll(expression, `\/`, "/")
		}
	}
	l.fail("a / is not closed, and there is no division here")
	return ""
}

// inName tells what stands in the name of a field without backticks: letters,
// digits, "@", "." and, as in Container Insights' kubernetes.pod_name, "_".
//
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-Guidelines.html
func inName(c byte) bool {
	return c == '@' || c == '.' || c == '_' || digit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func digit(c byte) bool { return c >= '0' && c <= '9' }
