//go:build linux

package lab

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Who ends first leaves the others their room, and the last one leaves the machine as
// it was before the first.
func TestRoom(t *testing.T) {
	folder := t.TempDir()
	limit, kept := filepath.Join(folder, "limit"), filepath.Join(folder, "kept")
	now := func() string {
		text, err := os.ReadFile(limit)
		require.NoError(t, err)
		return string(text)
	}
	enter := func() func() {
		restore, err := room(limit, kept)
		require.NoError(t, err)
		return restore
	}
	require.NoError(t, os.WriteFile(limit, []byte("128\n"), 0o600))

	first, second := enter(), enter()
	assert.Equal(t, "1024", now())
	first()
	assert.Equal(t, "1024", now(), "another has hosts")
	second()
	assert.Equal(t, "128\n", now())

	// A run that was killed holds no lock, and gave nothing back.
	require.NoError(t, os.WriteFile(limit, []byte("1024"), 0o600))
	require.NoError(t, os.WriteFile(kept, []byte("128\n"), 0o600))
	enter()()
	assert.Equal(t, "128\n", now())

	// What somebody else raised stays.
	require.NoError(t, os.WriteFile(limit, []byte("8192\n"), 0o600))
	enter()()
	assert.Equal(t, "8192\n", now())

	require.NoError(t, os.WriteFile(limit, []byte("many"), 0o600))
	_, err := room(limit, kept)
	assert.ErrorContains(t, err, "no room for hosts")
}
