package emulator_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/insights"
)

// moto reads fields, sort by time and limit, and passes over all else: there the two
// engines give the same answer.
func TestMotoQueries(t *testing.T) {
	c := startMoto(t, "minimal", "examples/minimal")
	now := time.Now().UTC().Truncate(time.Second)
	ask := func(action string, in, out any) {
		t.Helper()
		request, err := json.Marshal(in)
		require.NoError(t, err)
		body := c.send("logs", string(request), jsonHeader("Logs_20140328."+action))
		if out != nil {
			require.NoError(t, json.Unmarshal(body, out), "%s", body)
		}
	}
	type object = map[string]any
	ask("CreateLogGroup", object{"logGroupName": "/queries"}, nil)
	var events []insights.Event
	for s := range 2 {
		stream := fmt.Sprintf("i-0abc/%d", s)
		ask("CreateLogStream", object{"logGroupName": "/queries", "logStreamName": stream}, nil)
		var lines []any
		for i := range 4 {
			e := insights.Event{Time: now.Add(time.Duration(-10*i-s) * time.Second), Account: "123456789012", Group: "/queries", Stream: stream, Message: fmt.Sprintf(`{"n":%d}`, 10*i+s)}
			events = append(events, e)
			lines = append([]any{object{"timestamp": e.Time.UnixMilli(), "message": e.Message}}, lines...)
		}
		ask("PutLogEvents", object{"logGroupName": "/queries", "logStreamName": stream, "logEvents": lines}, nil)
	}
	for _, text := range []string{
		"fields @timestamp, @message | sort @timestamp desc | limit 3",
		"fields @message, @logStream | sort @timestamp asc | limit 5",
		"fields @message | limit 4",
		"fields @message | sort @timestamp asc",
	} {
		var started struct{ QueryID string }
		ask("StartQuery", object{"logGroupName": "/queries", "startTime": now.Add(-time.Hour).Unix(), "endTime": now.Add(time.Hour).Unix(), "queryString": text}, &started)
		var answer struct {
			Status  string
			Results [][]struct{ Field, Value string }
		}
		ask("GetQueryResults", object{"queryId": started.QueryID}, &answer)
		require.Equal(t, "Complete", answer.Status)
		var theirs, ours []string
		for _, row := range answer.Results {
			for _, cell := range row {
				if cell.Field == "@message" || cell.Field == "@logStream" {
					theirs = append(theirs, cell.Field+"="+strings.TrimSpace(cell.Value))
				}
			}
		}
		query, err := insights.Parse(text)
		require.NoError(t, err)
		result, err := query.Run(events)
		require.NoError(t, err)
		for _, row := range result {
			for _, cell := range row {
				if cell.Field != "@timestamp" {
					ours = append(ours, cell.Field+"="+cell.Value)
				}
			}
		}
		assert.NotEmpty(t, ours)
		assert.Equal(t, ours, theirs, text)
	}
}
