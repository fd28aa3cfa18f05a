package emulator_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/notice"
)

// TestMotoNotices sends the recorded calls through moto's EventBridge, which must
// take the same of them for told as the unit tests do. A log group stands for the
// topic: moto delivers to no topic.
func TestMotoNotices(t *testing.T) {
	t.Parallel()
	c := startMoto(t, "postern", ".")
	document := func(name string) notice.Document {
		return notice.Document{Name: name, Arn: "arn:aws:ssm:eu-west-1:111122223333:document/" + name}
	}
	shell, emergency := document("Postern-Shell"), document("Postern-BreakGlass")
	rules := map[string]struct {
		rule notice.Rule
		want []string
	}{
		"started": {notice.SessionStarted(nil), []string{
			"break-glass", "identity-center-with-parameters", "reason-with-quotes", "user-with-document", "user-with-document-arn",
		}},
		"loud":        {notice.SessionStarted([]notice.Document{shell}), []string{"break-glass", "identity-center-with-parameters"}},
		"default":     {notice.SessionStartedByDefault(), []string{"role-by-default"}},
		"resumed":     {notice.SessionResumed(), []string{"resumed"}},
		"break-glass": {notice.BreakGlass("OnCall", []notice.Document{emergency, shell}), []string{"break-glass", "reason-with-quotes", "user-with-document", "user-with-document-arn"}},
	}
	var none struct{}
	for name, r := range rules {
		pattern, err := json.Marshal(r.rule.Pattern)
		require.NoError(t, err)
		c.ask("events", "AWSEvents.PutRule", map[string]string{"Name": name, "EventPattern": string(pattern), "State": "ENABLED"}, &none)
		c.send("logs", fmt.Sprintf(`{"logGroupName": %q}`, name), jsonHeader("Logs_20140328.CreateLogGroup"))
		c.ask("events", "AWSEvents.PutTargets", map[string]any{"Rule": name, "Targets": []any{map[string]string{
			"Id": "Log", "Arn": fmt.Sprintf("arn:aws:logs:%s:%s:log-group:%s", region, motoAccount, name),
		}}}, &none)
	}

	files, err := filepath.Glob(filepath.Join(repository, "internal", "notice", "testdata", "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var event struct {
			Source     string         `json:"source"`
			DetailType string         `json:"detail-type"`
			Detail     map[string]any `json:"detail"`
		}
		require.NoError(t, json.Unmarshal(text, &event))
		event.Detail["eventID"] = strings.TrimSuffix(filepath.Base(file), ".json")
		detail, err := json.Marshal(event.Detail)
		require.NoError(t, err)
		var answer struct{ FailedEntryCount int }
		c.ask("events", "AWSEvents.PutEvents", map[string]any{"Entries": []any{map[string]string{
			"Source": event.Source, "DetailType": event.DetailType, "Detail": string(detail),
		}}}, &answer)
		require.Zero(t, answer.FailedEntryCount)
	}

	for name, r := range rules {
		var answer struct {
			Events []struct{ Message string }
		}
		c.ask("logs", "Logs_20140328.FilterLogEvents", map[string]string{"logGroupName": name}, &answer)
		got := []string{}
		for _, e := range answer.Events {
			var message struct {
				Detail struct{ EventID string }
			}
			require.NoError(t, json.Unmarshal([]byte(e.Message), &message), e.Message)
			got = append(got, message.Detail.EventID)
		}
		slices.Sort(got)
		assert.Equal(t, r.want, got, name)
	}
}
