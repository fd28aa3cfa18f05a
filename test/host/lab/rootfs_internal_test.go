//go:build linux

package lab

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCached(t *testing.T) {
	top := t.TempDir()
	t.Setenv(cacheVariable, top)
	// A process that was killed while it made it.
	require.NoError(t, os.MkdirAll(filepath.Join(top, "system.half-1", "root", "lost"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(top, "system.apt", "lost"), 0o755))

	_, err := cached("system", func(folder string) error {
		require.NoError(t, os.Mkdir(filepath.Join(folder, "root"), 0o755))
		return errors.New("the mirror is away")
	})
	require.EqualError(t, err, "the mirror is away")
	assert.Equal(t, []string{"system.lock"}, names(t, top))

	var made atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			folder, err := cached("system", func(folder string) error {
				made.Add(1)
				// Another is made meanwhile.
				_, err := cached("other", func(folder string) error { return os.Mkdir(filepath.Join(folder, "root"), 0o755) })
				return errors.Join(err, os.MkdirAll(filepath.Join(folder, "root", "etc"), 0o755), os.Mkdir(filepath.Join(folder, "apt"), 0o755))
			})
			assert.NoError(t, err)
			assert.Equal(t, filepath.Join(top, "system"), folder)
			assert.Equal(t, []string{"etc"}, names(t, folder))
		})
	}
	all.Wait()
	assert.EqualValues(t, 1, made.Load())
	assert.Equal(t, []string{"other", "other.lock", "system", "system.apt", "system.lock"}, names(t, top))

	t.Setenv(cacheVariable, top+":here")
	_, err = cached("system", nil)
	require.ErrorContains(t, err, "no colon, comma or backslash in its path, set "+cacheVariable)
}

func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}
