package relay

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/insights"
	"github.com/postern-cdk/postern/internal/queries"
)

// Connections through the relay are among the accesses to a target, whichever of its
// names is asked for.
func TestSavedQueries(t *testing.T) {
	r := newRig(t).start()
	assert.Equal(t, granted+"SELECT 1", r.exchange(socks("db.internal", 5432)+"select 1"))
	line, err := json.Marshal(r.event())
	require.NoError(t, err)
	for _, target := range []string{"orders", "db.internal", r.target.Addr().String()} {
		text, err := insights.Fill(queries.ByID(queries.TargetAccess).Text, map[string]string{"target": target})
		require.NoError(t, err)
		query, err := insights.Parse(text)
		require.NoError(t, err)
		rows, err := query.Run([]insights.Event{{Stream: "i-0abc/host", Message: string(line)}})
		require.NoError(t, err)
		require.Len(t, rows, 1, target)
		assert.Equal(t, "relay", rows[0].Get("what"))
	}
}
