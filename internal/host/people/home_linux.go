package people

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/settings"
)

// removedHomes is below /home, for a /home on a disk of its own.
const removedHomes = "/.postern-removed"

// owners of files. Tests that aren't root put their own in place.
type owners interface {
	chown(path string, uid int) error
	owner(info fs.FileInfo) int
}

type realOwners struct{}

func (realOwners) chown(path string, uid int) error { return os.Lchown(path, uid, uid) }

func (realOwners) owner(info fs.FileInfo) int {
	if system, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(system.Uid)
	}
	return -1
}

// home makes the person's home: an empty directory, with nothing of /etc/skel,
// whose parent only root can write, so that nobody can put a link in its place.
func (r *run) home(name string, uid int) error {
	path := r.path(homes, name)
	info, err := os.Lstat(path)
	switch {
	case err == nil:
		switch owner := r.owners.owner(info); {
		case info.IsDir() && owner == uid:
			return nil
		case info.IsDir() && owner == 0 && emptyDir(path):
			// A crash came between mkdir and chown.
			return r.owners.chown(path, uid)
		default:
			// Somebody else's files are never handed to a new person.
			if err := r.keep(path, name, owner, "home"); err != nil {
				return err
			}
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(path, 0o700); err != nil { //nolint:gosec // a directory
		return err
	}
	labelHome(path)
	r.step("home made")
	return r.owners.chown(path, uid)
}

// labelHome gives what SELinux' policy would give by restorecon. Without SELinux
// there is no label, and a policy that doesn't know this one leaves its own.
func labelHome(path string) {
	if _, err := unix.Lgetxattr(path, "security.selinux", make([]byte, 256)); err == nil {
		_ = unix.Lsetxattr(path, "security.selinux", []byte("unconfined_u:object_r:user_home_dir_t:s0"), 0)
	}
}

func emptyDir(path string) bool {
	entries, err := os.ReadDir(path)
	return err == nil && len(entries) == 0
}

// keep moves what belonged to a person where only root gets at it. rename moves a
// link itself, never what it points to.
func (r *run) keep(path, name string, uid int, what string) error {
	if _, err := os.Lstat(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	folder := name + "-" + strconv.Itoa(uid) + "-" + r.now().UTC().Format("20060102T150405Z")
	err := r.moveTo(path, r.path(removedDir), folder, what)
	if errors.Is(err, unix.EXDEV) {
		err = r.moveTo(path, r.path(homes+removedHomes), folder, what)
	}
	return err
}

func (r *run) moveTo(path, base, folder, what string) error {
	dir := filepath.Join(base, folder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	to := filepath.Join(dir, what)
	for i := 2; ; i++ {
		err := unix.Renameat2(unix.AT_FDCWD, path, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
		if !errors.Is(err, unix.EEXIST) || i > 1000 {
			if err != nil {
				_ = os.Remove(dir)
				return &os.LinkError{Op: "move", Old: path, New: to, Err: err}
			}
			return nil
		}
		to = filepath.Join(dir, fmt.Sprintf("%s.%d", what, i))
	}
}

// spools hold what a person can leave behind to be run later, by name or by owner.
var spools = []string{"/var/spool/cron", "/var/spool/cron/crontabs", "/var/spool/at", "/var/spool/cron/atjobs", "/var/lib/systemd/linger"}

// keepSpools moves a person's jobs away.
func (r *run) keepSpools(name string, uid int) error {
	var faults []error
	for _, spool := range spools {
		entries, err := os.ReadDir(r.path(spool))
		if err != nil {
			continue
		}
		for _, entry := range entries {
			info, err := entry.Info()
			if err != nil || info.IsDir() || entry.Name() != name && r.owners.owner(info) != uid {
				continue
			}
			faults = append(faults, r.keep(r.path(spool, entry.Name()), name, uid, filepath.Base(spool)+"-"+entry.Name()))
		}
	}
	return errors.Join(faults...)
}

// keyFile of a person, as sshd's AuthorizedKeysFile names it.
func (r *run) keyFile(name string) string { return r.path(settings.KeysDir, name) }

// stamp is a time as the changelog writes it.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
