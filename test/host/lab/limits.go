//go:build linux

package lab

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// enoughInotify is for as many hosts as are up at once: systemd and what it starts
// watch files by some eight instances of inotify a host.
const enoughInotify = 1024

// Room makes room in this machine's kernel for hosts, all of which are one user's to
// it: Linux gives a user 128 instances of inotify unless told otherwise. The returned
// function takes it back, where no other process has hosts.
func Room() (restore func(), err error) {
	return room("/proc/sys/fs/inotify/max_user_instances", filepath.Join(os.TempDir(), "postern-lab.inotify"))
}

// room raises what is in the file limit. What was there before is kept in a file that
// all who need room hold a lock on: the last one reads it, whoever raised the limit
// and however that one ended.
func room(limit, kept string) (restore func(), err error) {
	lock, err := os.OpenFile(kept, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err = unix.Flock(int(lock.Fd()), unix.LOCK_SH); err == nil {
		err = raise(limit, lock)
	}
	if err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("no room for hosts: %w: write %d or more to %s", err, enoughInotify, limit)
	}
	return func() {
		defer func() { _ = lock.Close() }()
		if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
			return // another has hosts
		}
		if before, err := io.ReadAll(io.NewSectionReader(lock, 0, 32)); err == nil && len(before) > 0 && os.WriteFile(limit, before, 0) == nil {
			_ = lock.Truncate(0)
		}
	}, nil
}

func raise(limit string, before *os.File) error {
	text, err := os.ReadFile(limit)
	if err != nil {
		return err
	}
	if n, err := strconv.Atoi(strings.TrimSpace(string(text))); err != nil || n >= enoughInotify {
		return err
	}
	if _, err := before.WriteAt(text, 0); err != nil {
		return err
	}
	return os.WriteFile(limit, []byte(strconv.Itoa(enoughInotify)), 0)
}
