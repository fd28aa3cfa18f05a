// Package atomic replaces files so that a reader, or a host that comes back from a
// crash, finds the old content or the new one and never a part.
package atomic

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Write makes the content of a file data, and its mode mode, and waits until the
// disk has it.
func Write(path string, data []byte, mode fs.FileMode) error {
	return write(path, data, mode, true, nil)
}

// WriteSoon is Write without the wait: after a crash the file may be empty. It is
// for what is compared and written anew then.
func WriteSoon(path string, data []byte, mode fs.FileMode) error {
	return write(path, data, mode, false, nil)
}

// Replace is Write for a file that exists, whose mode, owner and label stay.
func Replace(path string, data []byte) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return &fs.PathError{Op: "replace", Path: path, Err: errors.New("not a regular file")}
	}
	return write(path, data, info.Mode().Perm(), true, func(f *os.File) error {
		if system, ok := info.Sys().(*syscall.Stat_t); ok && (int(system.Uid) != os.Geteuid() || int(system.Gid) != os.Getegid()) {
			if err := f.Chown(int(system.Uid), int(system.Gid)); err != nil {
				return err
			}
		}
		return copyLabel(path, f)
	})
}

// Remove removes a file, if there is one, and waits until the disk knows.
func Remove(path string) error {
	if err := os.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return syncDir(filepath.Dir(path))
}

func write(path string, data []byte, mode fs.FileMode, wait bool, prepare func(*os.File) error) error {
	// Always the same name: what a crash leaves is used by the next run, and no sshd
	// or sudo takes a name with a dot for a person's.
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".postern-new")
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && prepare != nil {
		err = prepare(f)
	}
	// After the owner, whose change takes bits away, and whatever the umask is.
	err = errors.Join(err, f.Chmod(mode))
	if err == nil && wait {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		_ = os.Remove(temporary)
		return err
	}
	if !wait {
		return nil
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
