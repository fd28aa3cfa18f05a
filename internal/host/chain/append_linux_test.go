//go:build linux && hostroot

package chain_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/chain"
)

// Root can't change what was written either, unless it takes the flag away first.
func TestAppendOnly(t *testing.T) {
	require.Zero(t, os.Getuid(), "this tier runs as root")
	dir := t.TempDir()
	o := options(chain.Lines)
	o.NotAppendOnly = false
	made(t, dir, o, 5)
	all := files(t, dir)
	t.Cleanup(func() {
		for _, file := range all {
			assert.NoError(t, chain.Remove(file))
		}
	})
	for _, file := range all {
		assert.ErrorIs(t, os.Truncate(file, 0), os.ErrPermission)
		assert.ErrorIs(t, os.Remove(file), os.ErrPermission)
		assert.ErrorIs(t, os.Rename(file, file+"x"), os.ErrPermission)
		_, err := os.OpenFile(file, os.O_WRONLY, 0)
		assert.ErrorIs(t, err, os.ErrPermission)
	}
	o.Resume = true
	made(t, dir, o, 1)
	all = files(t, dir)
	assert.Nil(t, verified(t, dir).Fault)
}

// A disk that is full is told by the first line that it can't take, whichever of the
// two copies is on it; when there is room again, the chain is closed and whole.
func TestFullDisk(t *testing.T) {
	require.Zero(t, os.Getuid(), "this tier runs as root")
	for _, full := range []string{"segment", "shadow"} {
		t.Run(full, func(t *testing.T) {
			// A mount of this thread only, which ends with it: it is never unlocked.
			runtime.LockOSThread()
			require.NoError(t, unix.Unshare(unix.CLONE_NEWNS|unix.CLONE_FS))
			require.NoError(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
			small := t.TempDir()
			require.NoError(t, unix.Mount("tmpfs", small, "tmpfs", 0, "size=64k"))
			defer func() { assert.NoError(t, unix.Unmount(small, unix.MNT_DETACH)) }()
			filler := filepath.Join(small, "filler")
			require.NoError(t, os.WriteFile(filler, make([]byte, 32<<10), 0o600))
			spare := filepath.Join(small, "spare")
			require.NoError(t, os.WriteFile(spare, make([]byte, 8<<10), 0o600))

			dir := filepath.Join(small, "a")
			o := options(chain.Lines)
			o.MaxBytes = 0
			o.Shadow = t.TempDir()
			if full == "shadow" {
				dir, o.Shadow = o.Shadow, dir
			}
			asked := 0
			o.Room = func() bool {
				asked++
				return asked == 1 && assert.NoError(t, os.Remove(spare))
			}
			w, err := chain.Open(dir, o)
			require.NoError(t, err)
			for i := range 100_000 {
				if err = w.Append(line(chain.Lines, i)); err != nil {
					break
				}
			}
			require.ErrorIs(t, err, unix.ENOSPC)
			assert.Equal(t, 2, asked, "the first time, there was room")
			<-w.Failed()
			require.ErrorIs(t, w.Append(line(chain.Lines, 1)), unix.ENOSPC)
			require.ErrorIs(t, w.Close(), unix.ENOSPC)
			require.NoError(t, os.Remove(filler))
			unfinished, err := chain.Finish(dir, o)
			require.NoError(t, err)
			assert.True(t, unfinished)
			assert.Nil(t, verified(t, dir).Fault)
			assert.Equal(t, content(t, dir), content(t, o.Shadow))
		})
	}
}
