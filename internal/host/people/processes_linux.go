package people

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// killAll ends every process that runs as one of the UIDs, and returns when none is
// left, with those that don't end. Recorded sessions are ended before, by the
// recorder: that also reaches what runs as root in them.
func killAll(ctx context.Context, uids []int) map[int]error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for _, uid := range uids {
		// The login's own slice, with whatever is in it. Absent without systemd.
		_ = os.WriteFile(fmt.Sprintf("/sys/fs/cgroup/user.slice/user-%d.slice/cgroup.kill", uid), []byte("1"), 0)
	}
	for quiet := 0; ; {
		left, err := processes("/proc", uids)
		if err == nil && len(left) == 0 {
			// Twice: what was just being forked may not have been in the first look.
			if quiet++; quiet == 2 {
				return nil
			}
		} else {
			quiet = 0
		}
		for uid, pids := range left {
			killAs(ctx, uid)
			for _, pid := range pids {
				kill(pid, uid)
			}
		}
		select {
		case <-ctx.Done():
			stuck := map[int]error{}
			for uid, pids := range left {
				stuck[uid] = fmt.Errorf("%d processes don't end, the first is %d: %w", len(pids), pids[0], ctx.Err())
			}
			if err != nil {
				for _, uid := range uids {
					stuck[uid] = err
				}
			}
			return stuck
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// killAs sends SIGKILL to all that the UID may signal, which is all that is its own.
// The kernel goes through them at once, which a scan that a fork bomb runs away from
// can't. Where it fails, the scan still is there.
func killAs(ctx context.Context, uid int) {
	id := uint32(uid) //nolint:gosec // within people's range
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", "kill -KILL -1")
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}, Setsid: true}
	_ = cmd.Run()
}

// kill ends a process if it is still the one that was seen: its number may have gone
// to another since.
func kill(pid, uid int) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer func() { _ = unix.Close(fd) }()
	if slices.Contains(uidsOf("/proc", pid), uid) {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}

// processes by the UID that they run as, dead ones that wait for their parent not
// among them.
func processes(proc string, uids []int) (map[int][]int, error) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil, err
	}
	found := map[int][]int{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		for _, uid := range uidsOf(proc, pid) {
			if slices.Contains(uids, uid) {
				found[uid] = append(found[uid], pid)
				break
			}
		}
	}
	return found, nil
}

// uidsOf are the real, effective, saved and file system UID of a living process.
func uidsOf(proc string, pid int) []int {
	status, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "status"))
	if err != nil {
		return nil
	}
	for line := range bytes.Lines(status) {
		fields := strings.Fields(string(line))
		if len(fields) > 1 && fields[0] == "State:" && fields[1] == "Z" {
			return nil
		}
		if len(fields) == 5 && fields[0] == "Uid:" {
			var uids []int
			for _, field := range fields[1:] {
				uid, err := strconv.Atoi(field)
				if err != nil {
					return nil
				}
				uids = append(uids, uid)
			}
			return uids
		}
	}
	return nil
}
