//go:build linux && hostroot

package people

import (
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const inside = "POSTERN_PEOPLE_INSIDE"

// TestKillAll ends real processes, so it runs as the first process of a PID
// namespace: nothing of the machine is in reach.
func TestKillAll(t *testing.T) {
	if os.Getenv(inside) == "" {
		require.Zero(t, os.Geteuid(), "the tests of the tag hostroot need root")
		cmd := exec.Command(os.Args[0], "-test.run=^TestKillAll$", "-test.v")
		cmd.Env = append(os.Environ(), inside+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		return
	}
	require.NoError(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	require.NoError(t, unix.Mount("proc", "/proc", "proc", 0, ""))
	start := func(uid uint32, script string) *exec.Cmd {
		cmd := exec.Command("/bin/sh", "-c", script)
		cmd.Dir = "/"
		cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}, Setsid: true}
		require.NoError(t, cmd.Start())
		return cmd
	}
	// One that ignores what can be ignored, one that forks faster than a scan, one
	// that is nobody's business here.
	start(20001, `trap "" TERM HUP INT; while :; do sleep 100; done`)
	start(20001, `f() { while [ "$i" -lt 40 ]; do i=$((i+1)); (f) & sleep 0.01; done; wait; }; i=36; f; while :; do (sleep 0.005 &) ; done`)
	start(20002, `sleep 100 & sleep 100`)
	other := start(20003, `sleep 100`)
	uids := []int{20001, 20002}
	require.Eventually(t, func() bool {
		found, err := processes("/proc", uids)
		return err == nil && len(found[20001]) > 3 && len(found[20002]) > 0
	}, 5*time.Second, 10*time.Millisecond)
	go func() { // the first process of a namespace reaps
		for {
			var status unix.WaitStatus
			_, _ = unix.Wait4(-1, &status, 0, nil)
			time.Sleep(time.Millisecond)
		}
	}()
	assert.Empty(t, killAll(t.Context(), uids))
	time.Sleep(50 * time.Millisecond)
	found, err := processes("/proc", append(uids, 20003))
	require.NoError(t, err)
	assert.Contains(t, found[20003], other.Process.Pid)
	assert.Len(t, found, 1)
}

// The real owners, labels and modes, as root has them.
func TestAsRoot(t *testing.T) {
	if os.Getenv(inside) != "" {
		return
	}
	h := newHost(t)
	h.options.owners = nil
	h.add("alice", "carol")
	h.must()
	info, err := os.Lstat(h.root + "/home/alice")
	require.NoError(t, err)
	assert.Equal(t, uint32(20000), info.Sys().(*syscall.Stat_t).Uid)
	assert.Equal(t, uint32(20000), info.Sys().(*syscall.Stat_t).Gid)
	require.NoError(t, os.Chown(h.root+"/etc/shadow", 0, 42))
	h.drop("alice")
	h.must()
	info, err = os.Lstat(h.root + "/etc/shadow")
	require.NoError(t, err)
	assert.Equal(t, uint32(42), info.Sys().(*syscall.Stat_t).Gid, "Debian's shadow is the group shadow's")
	info, err = os.Lstat(h.root + "/var/lib/postern/removed/alice-20000-20261121T120000Z/home")
	require.NoError(t, err)
	assert.Equal(t, uint32(20000), info.Sys().(*syscall.Stat_t).Uid)
	h.must()
}
