// Package patterns_test asks a matcher of EventBridge's patterns which recorded calls
// the rules take. It is a module of its own, so that nobody who requires Postern gets
// the matcher, whose module has an address that not every proxy serves.
package patterns_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"quamina.net/go/quamina"

	"github.com/postern-cdk/postern/internal/notice/noticetest"
)

// events are the recorded calls, by name.
func events(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("../../internal/notice/testdata/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	all := map[string][]byte{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		all[strings.TrimSuffix(filepath.Base(file), ".json")] = text
	}
	return all
}

// matches asks Quamina, the matcher of one of EventBridge's authors. It has no $or,
// suffix and numeric: the first is written out as a pattern for each alternative, the
// second is its shellstyle, as wildcard is, and numeric becomes the numbers of the event that fit, so
// that which belongs to which is still Quamina's to say. moto, which has all three, is
// asked in test/emulator.
func matches(t *testing.T, pattern map[string]any, event []byte) bool {
	t.Helper()
	q, err := quamina.New()
	require.NoError(t, err)
	var call any
	require.NoError(t, json.Unmarshal(event, &call))
	for _, alternative := range noticetest.Alternatives(pattern) {
		text, err := json.Marshal(translate(t, alternative, call, nil))
		require.NoError(t, err)
		require.NoError(t, q.AddPattern("it", string(text)), string(text))
	}
	found, err := q.MatchesForEvent(event)
	require.NoError(t, err)
	return len(found) > 0
}

// nothing is a value that no event has.
const nothing = "\u0001"

func translate(t *testing.T, pattern map[string]any, call any, path []string) map[string]any {
	t.Helper()
	told := map[string]any{}
	for field, value := range pattern {
		at := append(slices.Clone(path), field)
		if inner, ok := value.(map[string]any); ok {
			told[field] = translate(t, inner, call, at)
			continue
		}
		list := []any{}
		for _, wanted := range value.([]any) {
			operator, ok := wanted.(map[string]any)
			if !ok {
				list = append(list, wanted)
				continue
			}
			require.Len(t, operator, 1)
			for name, argument := range operator {
				switch name {
				case "exists", "anything-but", "prefix":
					list = append(list, operator)
				case "suffix":
					list = append(list, map[string]any{"shellstyle": "*" + argument.(string)})
				case "wildcard":
					list = append(list, map[string]any{"shellstyle": argument})
				case "numeric":
					list = append(list, fitting(t, argument.([]any), call, at)...)
				default:
					require.Failf(t, "no such operator", "%s", name)
				}
			}
		}
		told[field] = list
	}
	return told
}

// fitting are the numbers at a path of the event that are in a range.
func fitting(t *testing.T, span []any, value any, path []string) []any {
	t.Helper()
	require.Len(t, span, 2)
	limit := span[1].(float64)
	list := []any{nothing}
	var walk func(any, []string)
	walk = func(value any, path []string) {
		switch value := value.(type) {
		case []any:
			for _, one := range value {
				walk(one, path)
			}
		case map[string]any:
			if len(path) > 0 {
				walk(value[path[0]], path[1:])
			}
		case float64:
			if len(path) == 0 && (span[0] == "<=" && value <= limit || span[0] == ">=" && value >= limit) {
				list = append(list, value)
			}
		}
	}
	walk(value, path)
	return list
}

// Every rule is asked about every recorded call.
func TestWhatIsTold(t *testing.T) {
	all := events(t)
	told := map[string]bool{}
	for _, c := range noticetest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			got := []string{}
			pattern := noticetest.AsSent(t, c.Rule)
			for name, event := range all {
				if matches(t, pattern, event) {
					got = append(got, name)
					told[name] = true
				}
			}
			slices.Sort(got)
			assert.Equal(t, c.Want, got)
		})
	}
	// Half of what proves a pattern is what it leaves out.
	assert.Greater(t, len(told), 60, "calls that are told of")
	assert.Greater(t, len(all)-len(told), 30, "calls that nobody is told of")
}
