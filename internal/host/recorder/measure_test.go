//go:build linux && hostroot

package recorder

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/host/settings"
)

// pss is what a process takes of memory, each page that it shares counted in part.
func pss(t *testing.T, pid int) (total, private int64) {
	t.Helper()
	for _, line := range lines(procPath(pid, "smaps_rollup")) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, _ := strconv.ParseInt(f[1], 10, 64)
		switch f[0] {
		case "Pss:":
			total += n
		case "Private_Clean:", "Private_Dirty:":
			private += n
		}
	}
	return total, private
}

// cpu is what a process has used of the processor.
func cpu(t *testing.T, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(procPath(pid, "stat"))
	require.NoError(t, err)
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+2:]))
	user, err := strconv.Atoi(f[11])
	require.NoError(t, err)
	system, err := strconv.Atoi(f[12])
	require.NoError(t, err)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// 50 sessions are to take less than 100 MB beyond sshd and their programs.
func TestMemoryOfFiftySessions(t *testing.T) {
	l := newLab(t, nil)
	for i := range 50 {
		user := []string{"alice", "bob", "carol"}[i%3]
		if i >= 3*maxOfOne {
			break // 48 are as many as three people may have
		}
		s := l.connect(user)
		require.NoError(t, s.Shell())
		s.await("recorded: ")
		s.run("true")
	}
	open, err := List("")
	require.NoError(t, err)
	daemon, daemonPrivate := pss(t, l.daemon.Process.Pid)
	var clients, clientsPrivate int64
	n := 0
	for _, pid := range processes() {
		if exe, _ := os.Readlink(procPath(pid, "exe")); filepath.Base(exe) == "postern-shell" {
			total, private := pss(t, pid)
			clients, clientsPrivate, n = clients+total, clientsPrivate+private, n+1
		}
	}
	t.Logf("%d sessions: daemon %d KiB PSS (%d private), %d login shells %d KiB PSS (%d private, %d each)",
		len(open), daemon, daemonPrivate, n, clients, clientsPrivate, clientsPrivate/int64(n))
	require.Len(t, open, 3*maxOfOne)
	require.Equal(t, 3*maxOfOne, n)
	assert.Less(t, daemon+clients, int64(100_000))
}

func TestBurstOfOutput(t *testing.T) {
	l := newLab(t, nil)
	s := l.login("alice")
	require.NoError(t, os.WriteFile("/home/alice/burst", []byte(strings.Repeat("0123456789 the quick brown fox jumps over the lazy dog\n", 100<<20/55)), 0o644))
	s.Session.Stdout = io.Discard
	before, start := cpu(t, l.daemon.Process.Pid), time.Now()
	s.send("cat burst; /bin/echo al''l-of-it\n")
	require.Eventually(t, func() bool { return strings.Contains(s.out.String(), "all-of-it") }, 60*time.Second, 50*time.Millisecond)
	total, _ := pss(t, l.daemon.Process.Pid)
	segments, err := filepath.Glob(filepath.Join(settings.LogDir, "sessions", s.id, "*"))
	require.NoError(t, err)
	t.Logf("100 MB of output: %v, %v of CPU, daemon %d KiB PSS, %d segments", time.Since(start).Round(time.Millisecond), cpu(t, l.daemon.Process.Pid)-before, total, len(segments))
	assert.Less(t, total, int64(60_000))
}

func TestTimeToThePrompt(t *testing.T) {
	l := newLab(t, nil)
	average := func(user string) time.Duration {
		const times = 20
		start := time.Now()
		for range times {
			s := l.connect(user)
			require.NoError(t, s.Shell())
			s.await("$ ")
			require.NoError(t, s.client.Close())
		}
		return time.Since(start) / times
	}
	plain, recorded := average("plain"), average("alice")
	t.Logf("connect to prompt: %v without a recorder, %v with it", plain, recorded)
	assert.Less(t, recorded-plain, 100*time.Millisecond)
}
