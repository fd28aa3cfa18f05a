package identity

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// place puts text at path at once or not at all, unless it is there already, and
// says whether it wrote. The file keeps its SELinux label: rename would bring the
// label of the folder.
func place(path string, text []byte, mode os.FileMode) (bool, error) {
	info, err := os.Lstat(path)
	if err == nil && info.Mode() == mode {
		there, err := os.ReadFile(path)
		if err == nil && bytes.Equal(there, text) {
			return false, nil
		}
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".postern-")
	if err != nil {
		return false, err
	}
	defer func() {
		_ = temp.Close()
		_ = os.Remove(temp.Name())
	}()
	label := make([]byte, 256)
	if n, err := unix.Lgetxattr(path, "security.selinux", label); err == nil && n > 0 {
		_ = unix.Lsetxattr(temp.Name(), "security.selinux", label[:n], 0)
	}
	if _, err := temp.Write(text); err != nil {
		return false, err
	}
	if err := errors.Join(temp.Chmod(mode), temp.Sync()); err != nil {
		return false, err
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return false, err
	}
	return true, flush(filepath.Dir(path))
}

// remove deletes path, and says whether it was there.
func remove(path string) (bool, error) {
	err := os.Remove(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// flush makes the names in a folder survive a crash.
func flush(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = folder.Close() }()
	return folder.Sync()
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
