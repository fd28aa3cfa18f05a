//go:build linux

package host_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/test/host/lab"
)

// What ends all recording is tried on one host, one after the other: that recording
// comes back each time is half of what is promised.
func TestMachineFaults(t *testing.T) {
	t.Parallel()
	host := own(t, hardenedFrom, lab.Options{Name: "the host of faults", DiskMiB: 1024})
	l, person := host.get(t), host.person(t)
	home := "/home/" + person

	// works waits until sessions are recorded again.
	works := func(t *testing.T) *lab.Session {
		t.Helper()
		var session *lab.Session
		lab.Eventually(t, 30*time.Second, "a session that works", func() bool {
			s, err := l.Open(person, lab.SSHOptions{})
			if err != nil {
				return false
			}
			if out, _, err := s.RunFor("echo we'l'l", 5*time.Second); err != nil || out != "well" {
				s.Close()
				return false
			}
			session = s
			return true
		})
		t.Cleanup(session.Close)
		return session
	}
	// refused says what a new session is told where there is none.
	refused := func(t *testing.T) {
		t.Helper()
		s, err := l.Open(person, lab.SSHOptions{})
		require.NoError(t, err, "sshd lets people in, the recorder refuses")
		defer s.Close()
		assert.True(t, s.Ended(10*time.Second), "a session goes on: %q", s.Output())
		assert.Contains(t, s.Output(), "can't be recorded")
	}
	alarmed := func(t *testing.T, name, after string) {
		t.Helper()
		lab.Eventually(t, 20*time.Second, "alarm "+name, func() bool {
			out, _ := l.Root(t, "journalctl --no-pager -q -b -o cat --since=@"+after+` | grep -c '"postern":"alarm".*"`+name+`"'`)
			return strings.TrimSpace(out) != "0"
		})
	}
	// Of the log of commands, what was delivered goes where the disk is full.
	const verify = "for d in /var/log/postern/sessions/* /var/log/postern/people; do /opt/postern/bin/postern-host verify $d || bad=yes; done; [[ -z $bad ]]"
	// whole waits for all chains to be closed and true, that of the last session too.
	whole := func(t *testing.T) {
		t.Helper()
		lab.Eventually(t, 20*time.Second, "records that verify", func() bool {
			out, code := l.Root(t, verify)
			if code != 0 {
				t.Log(out)
			}
			return code == 0
		})
	}
	now := func() string { return strings.TrimSpace(l.MustRoot(t, "date +%s")) }
	// delivered says whether a text is outside of the host.
	delivered := func(text string) bool {
		for _, key := range l.S3.Keys(lab.RecordBucket, "") {
			if o, _ := l.S3.Get(lab.RecordBucket, key); strings.Contains(shown(string(o.Data)), text) {
				return true
			}
		}
		for _, e := range l.Logs.All("") {
			if strings.Contains(e.Message, text) {
				return true
			}
		}
		return false
	}

	t.Run("a recorder that is killed takes its sessions with it and nothing is lost", func(t *testing.T) {
		s, since := works(t), now()
		s.Type(`setsid nohup bash -c 'while sleep 0.2; do touch ~/goes-on; done' >/dev/null 2>&1 & echo tor"n"-chain`).Expect("torn-chain")
		lab.Eventually(t, 5*time.Second, "a process that could go on", func() bool {
			_, code := l.Root(t, "test -e "+home+"/goes-on")
			return code == 0
		})
		l.MustRoot(t, "systemctl kill -s KILL --kill-whom=main postern-recorder.service")
		assert.True(t, s.Ended(10*time.Second), "the session goes on")
		works(t).Close()
		alarmed(t, "recorder-died", since)
		out, code := l.Root(t, "rm -f "+home+"/goes-on; sleep 0.7; test -e "+home+"/goes-on")
		assert.Equal(t, 1, code, "something unrecorded still runs: %s", out)
		whole(t)
		lab.Eventually(t, 20*time.Second, "what was shown is delivered", func() bool { return delivered("torn-chain") })
	})

	t.Run("root takes the folder of the records away", func(t *testing.T) {
		s, since := works(t), now()
		l.MustRoot(t, "mv /var/log/postern/sessions /var/log/postern/away")
		assert.True(t, s.Ended(10*time.Second), "the session goes on")
		assert.Contains(t, s.Output(), "can't be recorded")
		alarmed(t, "recording-failed", since)
		refused(t)
		l.MustRoot(t, "mv /var/log/postern/away /var/log/postern/sessions")
		works(t)
	})

	t.Run("root puts another folder in the place of the records", func(t *testing.T) {
		s := works(t)
		l.MustRoot(t, "mv /var/log/postern/sessions /var/log/postern/away; mkdir -m 700 /var/log/postern/sessions")
		assert.True(t, s.Ended(10*time.Second), "the session goes on")
		refused(t)
		l.MustRoot(t, "rmdir /var/log/postern/sessions; mv /var/log/postern/away /var/log/postern/sessions")
		works(t)
	})

	t.Run("a person fills the disk, and goes alone", func(t *testing.T) {
		other, err := l.Open(host.person(t), lab.SSHOptions{})
		require.NoError(t, err)
		defer other.Close()
		_, _, err = other.Run("true")
		require.NoError(t, err)
		s, since := works(t), now()
		s.Type("head -c 2G /dev/zero >big; sleep 60")
		assert.True(t, s.Ended(30*time.Second), "the session goes on")
		assert.Contains(t, s.Output(), "Your files fill the disk")
		alarmed(t, "disk-filled", since)
		again, err := l.Open(person, lab.SSHOptions{})
		require.NoError(t, err, "sshd lets people in, the recorder refuses")
		defer again.Close()
		assert.True(t, again.Ended(10*time.Second), "a session goes on: %q", again.Output())
		assert.Contains(t, again.Output(), "until its operators have made room")
		out, _, err := other.Run(`echo still"-here"`)
		assert.NoError(t, err)
		assert.Equal(t, "still-here", out)
		out, code := l.Root(t, "id -un; rm "+home+"/big")
		assert.Zero(t, code, "the operator's way in works: %s", out)
		works(t)
	})

	t.Run("a person takes all inodes, and goes alone", func(t *testing.T) {
		other, err := l.Open(host.person(t), lab.SSHOptions{})
		require.NoError(t, err)
		defer other.Close()
		s, since := works(t), now()
		used := strings.TrimSpace(l.MustRoot(t, "df --output=iused / | tail -n 1"))
		inodes(t, l, used, 4000)
		defer inodes(t, l, "1000000", 0)
		s.Type(`python3 -c 'import os
os.mkdir("many")
for n in range(9000): open("many/%d" % n, "w").close()'; sleep 60`)
		assert.True(t, s.Ended(30*time.Second), "the session goes on")
		assert.Contains(t, s.Output(), "Your files fill the disk")
		alarmed(t, "disk-filled", since)
		out, _, err := other.Run(`echo still"-here"`)
		assert.NoError(t, err)
		assert.Equal(t, "still-here", out)
		l.MustRoot(t, "rm -r "+home+"/many")
		works(t)
	})

	t.Run("a shutdown delivers the last words", func(t *testing.T) {
		s := works(t)
		s.Type(`echo last-"words"`).Expect("last-words")
		l.Shutdown(t)
		assert.True(t, s.Ended(10*time.Second))
		assert.True(t, delivered("last-words"), "nothing outside of the host has them")
	})

	t.Run("a host that comes back is closed and whole", func(t *testing.T) {
		l.Start(t)
		works(t).Close()
		whole(t)
		out, code := l.Root(t, "nft list table inet postern")
		assert.Zero(t, code, "the firewall is there after a boot: %s", out)
	})

	t.Run("a power cut leaves what was shown five seconds before", func(t *testing.T) {
		s := works(t)
		time.Sleep(time.Second) // a segment has begun, and not with this
		s.Type(`echo before-"the-cut"`).Expect("before-the-cut")
		cut := 5 * time.Second
		// And what a busy machine keeps a host waiting for, which none of EC2's is shared with.
		var waited time.Duration
		for at := time.Now(); time.Since(at) < cut+waited; time.Sleep(200 * time.Millisecond) {
			asked := time.Now()
			l.MustRoot(t, "true")
			waited = max(waited, time.Since(asked))
		}
		l.Kill(t)
		assert.True(t, delivered("before-the-cut"), "not outside of the host after %s, and %s of waiting", cut, waited)
		l.Start(t)
		works(t).Close()
		whole(t)
	})
}

// inodes limits the files that the host's disk has room for.
func inodes(t *testing.T, l *lab.Lab, used string, more int) {
	t.Helper()
	// /proc/PID/root/WORK/root: the supervisor's own view of the host.
	parts := strings.SplitN(strings.TrimPrefix(l.Path("/"), "/proc/"), "/root/", 2)
	disk := filepath.Join("/", filepath.Dir(parts[1]), "disk")
	var count int
	_, err := fmt.Sscan(used, &count)
	require.NoError(t, err)
	out, err := exec.Command("nsenter", "-t", parts[0], "-m", "--", "mount", "-o", fmt.Sprintf("remount,nr_inodes=%d", count+more), disk).CombinedOutput()
	require.NoError(t, err, string(out))
}
