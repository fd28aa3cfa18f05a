package noticetest

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/notice"
)

// AsSent is the pattern of a rule as EventBridge gets it.
func AsSent(t *testing.T, r notice.Rule) map[string]any {
	t.Helper()
	text, err := json.Marshal(r.Pattern)
	require.NoError(t, err)
	var pattern map[string]any
	require.NoError(t, json.Unmarshal(text, &pattern))
	return pattern
}

// Alternatives are patterns without $or, one of which matches where the pattern does.
// The pattern is as it is sent: what JSON makes of it.
func Alternatives(pattern map[string]any) []map[string]any {
	all := []map[string]any{{}}
	// with makes, of each pattern so far, one for each way to go on.
	with := func(ways []map[string]any) {
		var more []map[string]any
		for _, one := range all {
			for _, way := range ways {
				more = append(more, merge(one, way))
			}
		}
		all = more
	}
	for field, value := range pattern {
		switch value := value.(type) {
		case map[string]any:
			var ways []map[string]any
			for _, inner := range Alternatives(value) {
				ways = append(ways, map[string]any{field: inner})
			}
			with(ways)
		case []any:
			if field != "$or" {
				with([]map[string]any{{field: value}})
				continue
			}
			var ways []map[string]any
			for _, one := range value {
				ways = append(ways, Alternatives(one.(map[string]any))...)
			}
			with(ways)
		}
	}
	return all
}

func merge(a, b map[string]any) map[string]any {
	both := map[string]any{}
	for _, part := range []map[string]any{a, b} {
		for field, value := range part {
			inner, isObject := value.(map[string]any)
			before, wasObject := both[field].(map[string]any)
			if isObject && wasObject {
				value = merge(before, inner)
			}
			both[field] = value
		}
	}
	return both
}
