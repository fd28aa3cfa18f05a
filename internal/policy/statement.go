package policy

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Statement is one statement of a policy document.
type Statement struct {
	Sid       string    `json:"Sid"`
	Effect    Effect    `json:"Effect"`
	Principal Principal `json:"Principal"`
	Action    []string  `json:"Action"`
	Resource  []string  `json:"Resource"`
	Condition Condition `json:"Condition,omitempty"`
}

// Effect is what a statement does with a request that it matches.
type Effect string

// The two effects.
const (
	Allow Effect = "Allow"
	Deny  Effect = "Deny"
)

// Principal names who a statement is about, by kind: "AWS" or "Service".
type Principal map[string]string

// Condition holds, by operator, the keys and the values a request must have.
type Condition map[string]map[string]string

// service is an AWS service acting on its own behalf.
func service(name string) Principal { return Principal{"Service": name} }

// anyone is every AWS principal. A statement that uses it must narrow it by
// condition.
func anyone() Principal { return Principal{"AWS": "*"} }

// Lines is a list of statements to paste into a policy, one a line.
func Lines(statements []Statement) string {
	lines := make([]string, len(statements))
	for i, s := range statements {
		lines[i] = marshal(s)
	}
	return strings.Join(lines, ",\n")
}

// Object is a statement as maps and lists, the form in which the CDK parses it.
func (s Statement) Object() map[string]any {
	object := map[string]any{}
	if err := json.Unmarshal([]byte(marshal(s)), &object); err != nil {
		panic(err) // a Statement holds strings only
	}
	return object
}

func marshal(value any) string {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // "<" and "&" are for a reader, not for a browser
	if err := encoder.Encode(value); err != nil {
		panic(err) // strings only
	}
	return text.String()[:text.Len()-1]
}
