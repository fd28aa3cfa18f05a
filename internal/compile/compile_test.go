package compile

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUnusedIsForgotten(t *testing.T) {
	cache := t.TempDir()
	old := time.Now().Add(-2 * unused)
	for _, name := range []string{"old", "new"} {
		require.NoError(t, os.MkdirAll(filepath.Join(cache, name), 0o700))
	}
	require.NoError(t, os.Chtimes(filepath.Join(cache, "old"), old, old))
	prune(cache)
	assert.NoDirExists(t, filepath.Join(cache, "old"))
	assert.DirExists(t, filepath.Join(cache, "new"))
}
