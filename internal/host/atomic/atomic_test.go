package atomic_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/host/atomic"
)

func content(t *testing.T, path string) (string, fs.FileMode) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	info, err := os.Lstat(path)
	require.NoError(t, err)
	return string(text), info.Mode()
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	require.NoError(t, atomic.Write(path, []byte("one"), 0o644))
	text, mode := content(t, path)
	assert.Equal(t, "one", text)
	assert.Equal(t, fs.FileMode(0o644), mode)

	require.NoError(t, atomic.WriteSoon(path, []byte("two"), 0o600))
	text, mode = content(t, path)
	assert.Equal(t, "two", text)
	assert.Equal(t, fs.FileMode(0o600), mode)

	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1)
}

func TestWriteNeverFollows(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	require.NoError(t, os.WriteFile(victim, []byte("mine"), 0o600))
	path := filepath.Join(dir, "a")
	require.NoError(t, os.Symlink(victim, path))
	require.NoError(t, os.Symlink(victim, filepath.Join(dir, ".a.postern-new")))
	assert.ErrorContains(t, atomic.Replace(path, []byte("x")), "not a regular file")
	require.NoError(t, atomic.Write(path, []byte("x"), 0o644))
	text, mode := content(t, victim)
	assert.Equal(t, "mine", text)
	assert.Equal(t, fs.FileMode(0o600), mode)
	text, mode = content(t, path)
	assert.Equal(t, "x", text)
	assert.True(t, mode.IsRegular())
}

func TestReplaceKeepsTheMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shadow")
	assert.ErrorIs(t, atomic.Replace(path, nil), fs.ErrNotExist)
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	require.NoError(t, os.Chmod(path, 0o440))
	require.NoError(t, atomic.Replace(path, []byte("new")))
	text, mode := content(t, path)
	assert.Equal(t, "new", text)
	assert.Equal(t, fs.FileMode(0o440), mode)
}

func TestRemove(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	require.NoError(t, atomic.Remove(path))
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, atomic.Remove(path))
	assert.NoFileExists(t, path)
}
