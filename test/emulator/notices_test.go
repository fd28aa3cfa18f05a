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

	"github.com/postern-cdk/postern/internal/notice/noticetest"
)

// TestMotoNotices sends the recorded calls through moto's EventBridge, which must
// take the same of them for told as test/patterns does, but for what is in lists of
// objects, where moto does not look. A log group stands for the topic: moto delivers
// to no topic.
func TestMotoNotices(t *testing.T) {
	t.Parallel()
	c := startMoto(t, "postern", ".")
	cases := noticetest.Cases()
	var none struct{}
	for _, r := range cases {
		name := r.Name
		pattern, err := json.Marshal(r.Rule.Pattern)
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

	for _, r := range cases {
		name := r.Name
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
		want := slices.DeleteFunc(slices.Clone(r.Want), func(name string) bool { return slices.Contains(r.ListsOfObjects, name) })
		assert.Equal(t, want, got, name)
	}
}
