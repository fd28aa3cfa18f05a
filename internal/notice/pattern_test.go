package notice_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/notice"
	"github.com/postern-cdk/postern/internal/notice/noticetest"
)

// asSent is a pattern as EventBridge gets it.
func asSent(t *testing.T, r notice.Rule) map[string]any {
	t.Helper()
	text, err := json.Marshal(r.Pattern)
	require.NoError(t, err)
	var pattern map[string]any
	require.NoError(t, json.Unmarshal(text, &pattern))
	return pattern
}

// EventBridge refuses a rule that can match in more than a thousand ways, or whose
// pattern is longer than it takes.
//
// docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
func TestPatternsAreTaken(t *testing.T) {
	for _, c := range noticetest.Cases() {
		var text strings.Builder
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		require.NoError(t, encoder.Encode(c.Rule.Pattern))
		assert.LessOrEqual(t, text.Len(), notice.MaxPattern, c.Name)
		ways := 0
		for _, one := range noticetest.Alternatives(asSent(t, c.Rule)) {
			ways += combinations(one)
		}
		assert.LessOrEqual(t, ways, 1000, c.Name)
		leaves(t, asSent(t, c.Rule), c.Name)
	}
}

func combinations(pattern map[string]any) int {
	n := 1
	for _, value := range pattern {
		switch value := value.(type) {
		case map[string]any:
			n *= combinations(value)
		case []any:
			n *= len(value)
		}
	}
	return n
}

// leaves looks that a pattern has lists of values at its ends, none empty, and two
// alternatives at least where it has some.
func leaves(t *testing.T, pattern map[string]any, path string) {
	t.Helper()
	for field, value := range pattern {
		here := path + "." + field
		switch value := value.(type) {
		case map[string]any:
			leaves(t, value, here)
		case []any:
			require.NotEmpty(t, value, here)
			if field != "$or" {
				continue
			}
			require.Greater(t, len(value), 1, here)
			for i, one := range value {
				leaves(t, one.(map[string]any), fmt.Sprintf("%s[%d]", here, i))
			}
		default:
			require.Failf(t, "no pattern", "%s is %v", here, value)
		}
	}
}
