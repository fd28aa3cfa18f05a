//go:build linux && !hostroot

package recorder

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheRecorderGetsTheProcessorBeforeSessions(t *testing.T) {
	for _, handed := range []bool{true, false} {
		base := t.TempDir()
		g := &cgroups{base: base, sessions: filepath.Join(base, "sessions")}
		own := filepath.Join(base, "daemon")
		require.NoError(t, os.Mkdir(own, 0o755))
		if handed {
			require.NoError(t, os.Mkdir(g.sessions, 0o755))
		}
		g.share(own)
		assert.Equal(t, handed, g.shares)
		if !handed {
			assert.NoFileExists(t, filepath.Join(own, "cpu.weight"))
			continue
		}
		for path, want := range map[string]string{"cgroup.subtree_control": "+cpu", "sessions/cgroup.subtree_control": "+cpu", "daemon/cpu.weight": "10000"} {
			text, err := os.ReadFile(filepath.Join(base, path))
			require.NoError(t, err)
			assert.Equal(t, want, string(text), path)
		}
	}
}
