package template

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A value is string, bool, json.Number, []any, map[string]any or nil; while a
// change is planned also [Unknown], and between two functions [NoValue].

// Unknown stands for a value that is only known once a resource has been made.
type Unknown struct{ Causes []Cause }

// Cause is what an [Unknown] waits for: the physical ID of a resource
// (Attribute is empty) or one of its attributes.
type Cause struct{ LogicalID, Attribute string }

// NoValue is what a Ref to AWS::NoValue gives: the property it stands for is left out.
type NoValue struct{}

// unknown joins the causes of those of the values that are unknown.
func unknown(values ...any) (Unknown, bool) {
	var u Unknown
	found := false
	for _, v := range values {
		Walk(v, func(x any) {
			if y, ok := x.(Unknown); ok {
				found = true
				u.Causes = append(u.Causes, y.Causes...)
			}
		})
	}
	return u, found
}

// Causes lists what the value waits for.
func Causes(v any) []Cause {
	u, _ := unknown(v)
	slices.SortFunc(u.Causes, func(a, b Cause) int {
		return strings.Compare(a.LogicalID+"."+a.Attribute, b.LogicalID+"."+b.Attribute)
	})
	return slices.Compact(u.Causes)
}

// Walk calls f for the value and all that is in it.
func Walk(v any, f func(any)) {
	f(v)
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			Walk(x, f)
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			Walk(v[k], f)
		}
	}
}

// Text gives a scalar as CloudFormation writes it into a string.
func Text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case json.Number:
		return v.String(), true
	case int:
		return strconv.Itoa(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	}
	return "", false
}

// Equal compares as CloudFormation does: scalars by their text, so that 5
// equals "5". Nothing equals an [Unknown].
func Equal(a, b any) bool {
	switch x := a.(type) {
	case nil:
		return b == nil
	case Unknown:
		return false
	case []any:
		y, ok := b.([]any)
		return ok && slices.EqualFunc(x, y, Equal)
	case map[string]any:
		y, ok := b.(map[string]any)
		return ok && maps.EqualFunc(x, y, Equal)
	}
	s, ok := Text(a)
	t, ok2 := Text(b)
	return ok && ok2 && s == t
}

// Clone copies a value to the bottom.
func Clone(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = Clone(x)
		}
		return out
	case map[string]any:
		return CloneMap(v)
	}
	return v
}

// CloneMap copies a map to the bottom.
func CloneMap(m map[string]any) map[string]any {
	if m == nil {
		return nil
	}
	out := make(map[string]any, len(m))
	for k, x := range m {
		out[k] = Clone(x)
	}
	return out
}

// JSON writes a value for a message or an answer. Unknown reads as
// CloudFormation's own {{changeSet:KNOWN_AFTER_APPLY}}.
func JSON(v any) string {
	b, err := json.Marshal(plain(v))
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// KnownAfterApply is what a change set shows for a value not known yet.
const KnownAfterApply = "{{changeSet:KNOWN_AFTER_APPLY}}"

func plain(v any) any {
	switch v := v.(type) {
	case Unknown:
		return KnownAfterApply
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = plain(x)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = plain(x)
		}
		return out
	}
	return v
}
