//go:build linux && hostroot

package recorder

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Where the kernel starts no process in another group, it is moved there, before it is
// let go.
func TestProcessesAreInTheirGroupFromTheBeginning(t *testing.T) {
	sessions := filepath.Join(labGroup, "born")
	require.NoError(t, os.Mkdir(sessions, 0o755))
	g := &cgroups{sessions: sessions}
	t.Cleanup(func() { assert.NoError(t, removeTree(sessions)) })

	require.Error(t, g.try("/nowhere"))
	assert.False(t, g.clones)
	for _, clones := range []bool{false, true} {
		if clones {
			require.NoError(t, g.try("/bin/false"), "it ends by itself, and isn't killed")
		}
		require.Equal(t, clones, g.clones)
		group, err := g.make("one")
		require.NoError(t, err)
		cmd := exec.Command("/bin/cat")
		in, err := cmd.StdinPipe()
		require.NoError(t, err)
		cmd.SysProcAttr = &syscall.SysProcAttr{}
		g.birth(cmd.SysProcAttr, group)
		require.NoError(t, cmd.Start())
		before, err := os.ReadFile(filepath.Join(sessions, "one/cgroup.procs"))
		require.NoError(t, err)
		assert.Equal(t, clones, strings.TrimSpace(string(before)) != "")
		require.NoError(t, g.adopt("one", cmd.Process.Pid))
		after, err := os.ReadFile(filepath.Join(sessions, "one/cgroup.procs"))
		require.NoError(t, err)
		assert.NotEmpty(t, strings.TrimSpace(string(after)))
		require.NoError(t, in.Close())
		require.NoError(t, cmd.Wait())
		require.NoError(t, group.Close())
		require.NoError(t, g.remove("one"))
	}
	assert.Empty(t, g.left())
}
