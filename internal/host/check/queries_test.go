//go:build linux

package check

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/insights"
	"github.com/postern-cdk/postern/internal/queries"
)

// What a host complains of is found by the saved query, and what is well is not.
func TestSavedQueries(t *testing.T) {
	b := newBastion(t, "sshd down")
	var out bytes.Buffer
	log := &event.Log{Out: &out, Console: &bytes.Buffer{}}
	require.Error(t, b.Run(t.Context(), []string{"recording", "clock"}, log))
	log.Alarm("disk-filled", "a person's files fill the disk")
	var events []insights.Event
	for line := range strings.Lines(out.String()) {
		events = append(events, insights.Event{Stream: "i-0abc/host", Message: strings.TrimSpace(line)})
	}
	query, err := insights.Parse(queries.ByID(queries.HostAlarms).Text)
	require.NoError(t, err)
	rows, err := query.Run(events)
	require.NoError(t, err)
	require.Len(t, rows, 2, out.String())
	assert.Equal(t, "recording", rows[0].Get("name"))
	assert.Contains(t, rows[0].Get("what"), "can't log in")
	assert.Equal(t, "disk-filled a person's files fill the disk", rows[1].Get("name")+" "+rows[1].Get("what"))
}
