// Package property reads properties of resources as JSON holds them, whatever
// their types: what is missing or of another shape reads as nothing.
package property

import (
	"strconv"
	"strings"
)

// At walks into nested objects by their keys.
func At(value any, path ...string) any {
	for _, key := range path {
		object, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = object[key]
	}
	return value
}

// List is the value where it is a list.
func List(value any) []any {
	l, _ := value.([]any)
	return l
}

// Text renders a scalar: templates may hold 22 or "22" for the same number.
func Text(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case int:
		return strconv.Itoa(v)
	default:
		return ""
	}
}

// Texts renders the scalars of a list.
func Texts(value any) []string {
	var out []string
	for _, v := range List(value) {
		out = append(out, Text(v))
	}
	return out
}

// Yes tells of true and "true".
func Yes(value any) bool { return strings.EqualFold(Text(value), "true") }

// Number reads a number.
func Number(value any) (float64, bool) {
	n, err := strconv.ParseFloat(Text(value), 64)
	return n, err == nil
}
