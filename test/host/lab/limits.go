//go:build linux

package lab

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Room makes room in this machine's kernel for as many hosts as are up at once, all of
// which are one user's to it: systemd and what it starts watch files by some eight
// instances of inotify a host, and Linux gives a user 128 unless told otherwise. The
// returned function takes it back.
func Room() (restore func(), err error) {
	const (
		file   = "/proc/sys/fs/inotify/max_user_instances"
		enough = 1024
	)
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	before := strings.TrimSpace(string(text))
	if n, err := strconv.Atoi(before); err != nil || n >= enough {
		return func() {}, err
	}
	if err := os.WriteFile(file, []byte(strconv.Itoa(enough)), 0); err != nil {
		return nil, fmt.Errorf("no room for hosts: %w: write %d or more to it", err, enough)
	}
	return func() { _ = os.WriteFile(file, []byte(before), 0) }, nil
}
