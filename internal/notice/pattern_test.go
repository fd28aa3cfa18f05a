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
		for _, one := range noticetest.Alternatives(noticetest.AsSent(t, c.Rule)) {
			ways += combinations(one)
		}
		assert.LessOrEqual(t, ways, 1000, c.Name)
		leaves(t, noticetest.AsSent(t, c.Rule), c.Name)
	}
}

// Names that are known when they are deployed may be as long as AWS lets them be.
func TestPatternsOfLongNamesAreTaken(t *testing.T) {
	long := func(length int) string { return strings.Repeat("x", length) }
	// Of a topic of one's own, whose name CloudFormation did not make up.
	topic := "arn:aws-us-gov:sns:us-gov-west-1:111122223333:" + long(256)
	chat := "arn:aws-us-gov:sns:us-gov-west-1:111122223333:" + long(128+len("-WatchChatTopic01234567-0123456789AB"))
	function := "arn:aws-us-gov:lambda:us-gov-west-1:111122223333:function:" + long(64)
	stack := "arn:aws-us-gov:cloudformation:us-gov-west-1:111122223333:stack/" + long(128) + "/" + long(36)
	// That of a nested stack, which is not cut.
	prefix := long(128)
	rules := []notice.Rule{
		notice.WatchTampered(prefix, []string{topic, chat}), notice.WatchTampered(prefix, []string{function}),
		notice.AlarmsTampered(prefix), notice.DeliveryTampered(notice.Delivery{Watch: long(64), Queue: long(80), Function: long(64), KeyID: long(len("mrk-") + 32)}),
		notice.GuardsDeployed(stack, long(128), long(128), long(128), long(128), long(128), long(128)),
	}
	rules = append(rules, notice.TopicsTampered([]string{topic, chat})...)
	for i, r := range rules {
		text, err := json.Marshal(r.Pattern)
		require.NoError(t, err)
		assert.LessOrEqual(t, len(text), notice.MaxPattern, "%d: %s", i, text)
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
