//go:build linux

package recorder

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The saved queries are tried on lines of a day that was recorded once: the recorder
// of today writes the same fields.
func TestSavedQueries(t *testing.T) {
	of := map[string]any{"begin": beginning{}, "refused": beginning{}, "end": ending{}, "typed": typedLine{}, "done": doneLine{}, "exec": programLine{}}
	text, err := os.ReadFile(filepath.FromSlash("../../queries/testdata/day/host/commands/000001.jsonl"))
	require.NoError(t, err)
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields))
		if fields["postern"] != nil {
			continue // a mark of the chain
		}
		event, _ := fields["event"].(string)
		require.Contains(t, of, event)
		seen[event] = true
		always, ever := names(reflect.TypeOf(of[event]))
		for _, name := range always {
			assert.Contains(t, fields, name, event)
		}
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			assert.Contains(t, append(ever, "time", "event", "session"), name, event)
		}
	}
	assert.Len(t, seen, len(of))
}

// names are those of the fields of a line: of all of them, and of those that it may have.
func names(of reflect.Type) (always, ever []string) {
	for i := range of.NumField() {
		f := of.Field(i)
		if f.Anonymous {
			a, e := names(f.Type)
			always, ever = append(always, a...), append(ever, e...)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		ever = append(ever, name)
		if options != "omitempty" {
			always = append(always, name)
		}
	}
	return always, ever
}
