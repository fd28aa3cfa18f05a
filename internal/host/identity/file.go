package identity

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/atomic"
)

// place puts text at path at once or not at all, unless it is there already, and
// says whether it wrote. The file becomes ours alone; its SELinux label stays.
func place(path string, text []byte, mode fs.FileMode) (bool, error) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			err = atomic.Write(path, text, mode)
		}
		return err == nil, err
	}
	// Packages give private keys to a group, whose programs then read the next one too.
	if system, ok := info.Sys().(*syscall.Stat_t); ok && (int(system.Uid) != os.Geteuid() || int(system.Gid) != os.Getegid()) {
		if err := os.Chown(path, os.Geteuid(), os.Getegid()); err != nil {
			return false, err
		}
	}
	if err := os.Chmod(path, mode); err != nil {
		return false, err
	}
	there, err := os.ReadFile(path)
	if err == nil && bytes.Equal(there, text) {
		return false, nil
	}
	err = atomic.Replace(path, text)
	return err == nil, err
}

// remove deletes path, and says whether it was there.
func remove(path string) (bool, error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	err := atomic.Remove(path)
	return err == nil, err
}

// lock is held by one run at a time.
func lock(path string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // /run/postern is for all to enter
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
		_ = file.Close()
		return nil, err
	}
	return func() { _ = file.Close() }, nil
}
