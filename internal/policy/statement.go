package policy

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Statement is one statement of a policy document. In a resource's policy it
// has a Principal; in a person's or role's it has none, and in a role's trust
// policy no Resource.
type Statement struct {
	Sid       string    `json:"Sid,omitempty"`
	Effect    Effect    `json:"Effect"`
	Principal Principal `json:"Principal,omitempty"`
	Action    []string  `json:"Action"`
	Resource  []string  `json:"Resource,omitempty"`
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
type Principal map[string]Values

// Condition holds, by operator, the keys and the values a request must have: for
// each key any one of its values, and all keys together.
type Condition map[string]map[string]Values

// Values are those of a condition key, or principals of a kind. One alone is written
// without a list.
type Values []string

// MarshalJSON implements json.Marshaler.
func (v Values) MarshalJSON() ([]byte, error) {
	if len(v) == 1 {
		return []byte(marshal(v[0])), nil
	}
	return []byte(marshal([]string(v))), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *Values) UnmarshalJSON(data []byte) error {
	var one string
	if err := json.Unmarshal(data, &one); err == nil {
		*v = Values{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(v))
}

// service is an AWS service acting on its own behalf.
func service(name string) Principal { return Principal{"Service": {name}} }

// anyone is every AWS principal. A statement that uses it must narrow it by
// condition.
func anyone() Principal { return Principal{"AWS": {"*"}} }

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
