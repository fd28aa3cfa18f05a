//go:build linux && hostroot

package recorder

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/chain"
	"github.com/postern-cdk/postern/internal/host/settings"
)

func recordCommands(c *settings.Choices) { c.Recording.Commands = settings.CommandsRecorded }

// alive lists the processes of a user, zombies left out.
func alive(user string) []string {
	var list []string
	for _, pid := range processes() {
		if uidOf(pid) == people[user] && !zombie(pid) {
			text, _ := os.ReadFile(procPath(pid, "cmdline"))
			list = append(list, strconv.Itoa(pid)+" "+strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return list
}

func (l *lab) nothingLeft(user string) {
	l.t.Helper()
	require.Eventually(l.t, func() bool { return len(alive(user)) == 0 }, 10*time.Second, 20*time.Millisecond, "%v", alive(user))
}

// client is the login shell of a user's only session.
func client(t *testing.T, user string) int {
	t.Helper()
	for _, pid := range processes() {
		if exe, _ := os.Readlink(procPath(pid, "exe")); uidOf(pid) == people[user] && filepath.Base(exe) == "postern-shell" {
			return pid
		}
	}
	require.Fail(t, "no login shell")
	return 0
}

func TestSession(t *testing.T) {
	l := newLab(t, nil)
	s := l.login("alice")
	out := s.run("id -un; tty; grep -E 'NoNewPrivs|Seccomp:|Cap(Eff|Bnd)' /proc/self/status; umask; ulimit -c; stty size; pwd; echo $TERM $POSTERN_SESSION")
	for _, want := range []string{
		"alice\r\n/dev/pts/0\r\n", "NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000",
		"\r\n0077\r\n0\r\n24 80\r\n/home/alice\r\nxterm " + s.id,
	} {
		assert.Contains(t, out, want)
	}
	require.NoError(t, s.WindowChange(50, 132))
	require.Eventually(t, func() bool { return strings.Contains(s.run("stty size"), "50 132") }, 5*time.Second, 50*time.Millisecond)
	s.send("cd /usr; exit 7\n")
	var exit *ssh.ExitError
	require.ErrorAs(t, s.ends(), &exit)
	assert.Equal(t, 7, exit.ExitStatus())

	end := l.ending(s.id)
	assert.EqualValues(t, 7, end["status"])
	assert.Equal(t, "exit", end["why"])
	assert.Len(t, end["sum"], 64)
	assert.Equal(t, s.out.String(), l.recording(s.id, 'o'), "what was shown is what was recorded")
	assert.Contains(t, l.recording(s.id, 'r'), "132x50")
	assert.Empty(t, l.recording(s.id, 'i'), "keystrokes are recorded by choice only")
	report, err := chain.Verify(filepath.Join(settings.LogDir, "sessions", s.id))
	require.NoError(t, err)
	t.Log(report)

	begin := l.logged("begin")[0]
	assert.Equal(t, "alice", begin["person"])
	assert.Equal(t, "127.0.0.1", begin["address"])
	assert.Equal(t, "i-0123456789abcdef0", begin["instance"])
	assert.NotZero(t, begin["port"])
	assert.Equal(t, map[string]any{"fingerprint": ssh.FingerprintSHA256(l.signer.PublicKey())}, begin["key"])
	l.awaitLogged("typed", func(m map[string]any) bool { return m["line"] == "cd /usr; exit 7" && m["dir"] == "/home/alice" })
	l.awaitLogged("exec", func(m map[string]any) bool { return fmt.Sprint(m["argv"]) == "[stty size]" && m["source"] == "kernel" })
	for _, path := range []string{settings.LogDir, settings.ShadowDir} {
		text, err := os.ReadFile(path + "/bastion.log")
		require.NoError(t, err)
		assert.Contains(t, string(text), "[FROM]:127.0.0.1 [USER]:alice [SESSION]:"+s.id+" [BY]:shell [PWD]:/home/alice: cd /usr; exit 7\n")
		assert.Contains(t, string(text), "[BY]:kernel [PWD]:/home/alice: stty size\n")
	}
	assert.NotContains(t, l.log.String(), "alarm")
}

func TestKeystrokesAreRecordedByChoice(t *testing.T) {
	l := newLab(t, func(c *settings.Choices) { c.Recording.Input = true })
	s := l.login("alice")
	s.run("stty -echo; true")
	assert.Contains(t, l.recording(s.id, 'i'), "stty -echo; true")
}

func TestBytesThatAreNotText(t *testing.T) {
	l := newLab(t, nil)
	s := l.login("alice")
	s.run(`printf 'a\377b'; printf '\342'; sleep 0.2; printf '\202'; printf '\254'; sleep 0.2; printf '\342\202'; sleep 0.1; printf '\254!'`)
	var raw []byte
	events := l.events(s.id)
	for i, e := range events {
		switch {
		case e.Code != 'o':
		case i+1 < len(events) && events[i+1].Code == 'O':
			data, err := base64.StdEncoding.DecodeString(events[i+1].Data)
			require.NoError(t, err)
			raw = append(raw, data...)
		default:
			raw = append(raw, e.Data...)
		}
	}
	assert.Contains(t, string(raw), "a\xffb\xe2\x82\xac\xe2\x82\xac!")
	assert.True(t, strings.HasPrefix(s.out.String(), string(raw)))
}

// Before the recorder: what would run, or get in, without it.

func TestCommandsAreRefused(t *testing.T) {
	l := newLab(t, nil)
	for _, command := range []string{"id > /tmp/pwned", "/opt/postern/bin/postern-shell", "", "-c id", "internal-sftp"} {
		c, err := l.dial("alice")
		require.NoError(t, err)
		session, err := c.NewSession()
		require.NoError(t, err)
		var stderr bytes.Buffer
		session.Stderr = &stderr
		if command == "" {
			require.NoError(t, session.Shell())
			err = session.Wait()
		} else {
			err = session.Run(command)
		}
		var exit *ssh.ExitError
		require.ErrorAs(t, err, &exit)
		assert.Equal(t, 254, exit.ExitStatus())
		assert.Contains(t, stderr.String(), "interactive sessions only")
		require.NoError(t, c.Close())
	}
	assert.NoFileExists(t, "/tmp/pwned")
	s := l.connect("alice")
	require.Error(t, s.Run("id > /tmp/pwned"))
	assert.NoFileExists(t, "/tmp/pwned", "a command with a terminal")
	l.awaitLogged("refused", func(m map[string]any) bool { return m["command"] == "id > /tmp/pwned" && m["person"] == "alice" })
	text, err := os.ReadFile(settings.LogDir + "/bastion.log")
	require.NoError(t, err)
	assert.Contains(t, string(text), "refused: id > /tmp/pwned\n")
	out, err := exec.Command("sftp", "-q", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-P", "2222", "-i", l.key, "alice@127.0.0.1").CombinedOutput()
	require.Error(t, err, string(out))
}

func TestEnvironmentOfTheClientIsNotTaken(t *testing.T) {
	l := newLab(t, nil)
	// Even where sshd takes everything.
	config, err := os.ReadFile(l.config + "/sshd_config")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(l.config+"/sshd_config", bytes.Replace(config, []byte("AcceptEnv LANG LC_*"), []byte("AcceptEnv *"), 1), 0o644))
	require.NoError(t, l.sshd.Process.Signal(unix.SIGHUP))
	time.Sleep(300 * time.Millisecond)
	s := l.connect("alice")
	for key, value := range map[string]string{
		"BASH_ENV": "/tmp/x", "ENV": "/tmp/x", "SHELLOPTS": "noexec", "PS4": "$(id)", "LD_PRELOAD": "/tmp/x.so", "PROMPT_COMMAND": "id",
		"LC_ALL": "../../../tmp/x", "LANG": "C.UTF-8", "BASH_FUNC_id%%": "() { :; }", "HOME": "/tmp", "USER": "root", "LOGNAME": "root",
		"SSH_CONNECTION": "1.2.3.4 5 6.7.8.9 22", "GODEBUG": "x", "PATH": "/tmp", "POSTERN_SESSION": "x",
	} {
		_ = s.Setenv(key, value)
	}
	require.NoError(t, s.Shell())
	go func() { s.done <- s.Wait() }()
	s.await("recorded: ")
	out := s.run("env")
	for _, bad := range []string{"/tmp", "noexec", "1.2.3.4", "BASH_FUNC", "GODEBUG", "root"} {
		assert.NotContains(t, out, bad)
	}
	assert.Contains(t, out, "LANG=C.UTF-8")
	begin := l.awaitLogged("begin", func(m map[string]any) bool { return true })
	assert.Equal(t, "127.0.0.1", begin["address"])
	assert.Equal(t, "alice", begin["person"])
}

func TestStrangeTerminalsAreDumb(t *testing.T) {
	l := newLab(t, nil)
	s := l.connectAs("alice", "../../../home/alice/evil")
	require.NoError(t, s.Shell())
	go func() { s.done <- s.Wait() }()
	s.await("recorded: ")
	assert.Contains(t, s.run("echo $TERM."), "dumb.")
}

// Around the recorder.

// The person's own programs at the socket get nothing, whatever they send.
func TestTheSocketTakesTheLoginShellOnly(t *testing.T) {
	l := newLab(t, nil)
	s := l.login("alice")
	require.NoError(t, os.WriteFile("/home/alice/knock.py", []byte(`
import socket, array, os, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.connect("/run/postern/recorder.sock")
s.sendmsg([b"postern 1\n"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
print("answer", s.recv(500))
`), 0o644))
	out := s.run("/usr/bin/python3 ~/knock.py")
	assert.Contains(t, out, "a session can't begin within another one")
	out = s.run("/opt/postern/bin/postern-shell; echo $?")
	assert.Contains(t, out, "a session can't begin within another one")

	// From outside of a session, where only a fault elsewhere leads.
	python := exec.Command("/usr/bin/python3", "/home/alice/knock.py")
	python.SysProcAttr = asUser("alice")
	answer, _ := python.CombinedOutput()
	assert.Contains(t, string(answer), "begun by the login shell only")
	direct := exec.Command("/opt/postern/bin/postern-shell")
	direct.SysProcAttr = asUser("alice")
	answer, _ = direct.CombinedOutput()
	assert.Contains(t, string(answer), "begun through sshd only")
	assert.Len(t, l.logged("begin"), 1)
}

// A person's own sshd would say of a session that it came from anywhere.
func TestAPersonsOwnSSHDBeginsNoSession(t *testing.T) {
	l := newLab(t, nil)
	dir := "/home/alice/own"
	require.NoError(t, os.Mkdir(dir, 0o755))
	out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", dir+"/host").CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, os.WriteFile(dir+"/config", []byte("Port 2300\nListenAddress 127.0.0.1\nHostKey "+dir+"/host\nAuthorizedKeysFile "+l.config+"/authorized\nUsePAM no\nStrictModes no\nPidFile none\n"), 0o644))
	require.NoError(t, exec.Command("chown", "-R", "alice", dir).Run())
	own := exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", dir+"/config")
	own.SysProcAttr = asUser("alice")
	require.NoError(t, own.Start())
	defer func() { _ = own.Process.Kill(); _ = own.Wait() }()
	ended := make(chan error, 1)
	go func() { ended <- own.Wait() }()
	// It may be faster than the sweep; no session begins either way.
	for range 20 {
		c, err := ssh.Dial("tcp", "127.0.0.1:2300", &ssh.ClientConfig{User: "alice", Auth: []ssh.AuthMethod{ssh.PublicKeys(l.signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey()})
		if err != nil {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		session, err := c.NewSession()
		require.NoError(t, err)
		require.NoError(t, session.RequestPty("xterm", 24, 80, nil))
		text, _ := session.CombinedOutput("")
		assert.Contains(t, string(text), "the host's own sshd only")
		break
	}
	select {
	case err := <-ended:
		require.Error(t, err, "it was killed")
	case <-time.After(6 * time.Second):
		assert.Fail(t, "the person's own sshd still runs")
	}
	assert.Empty(t, l.logged("begin"))
	require.Eventually(t, func() bool { return strings.Contains(l.log.String(), "unrecorded-process") }, 5*time.Second, 20*time.Millisecond)
}

func asUser(user string) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Uid: uint32(people[user]), Gid: uint32(people[user]), Groups: []uint32{20000}}}
}

// What a person gets running outside of a session is found.
func TestProcessesOutsideOfSessionsEnd(t *testing.T) {
	l := newLab(t, nil)
	outside := exec.Command("sleep", "1000")
	outside.SysProcAttr = asUser("bob")
	require.NoError(t, outside.Start())
	ended := make(chan error, 1)
	go func() { ended <- outside.Wait() }()
	select {
	case err := <-ended:
		require.Error(t, err, "it was killed")
	case <-time.After(6 * time.Second):
		t.Error("it still runs")
	}
	assert.Contains(t, l.log.String(), "unrecorded-process")
}

func TestTerminalsOfOtherSessionsAreNotThere(t *testing.T) {
	l := newLab(t, nil)
	one, two := l.login("alice"), l.login("alice")
	out := one.run("ls /dev/pts; exec 3<>/dev/pts/1")
	assert.Contains(t, out, "\r0  ptmx\r\n")
	assert.Contains(t, out, "/dev/pts/1: Permission denied")
	require.NotEqual(t, one.id, two.id)
	// sshd's terminals are root's.
	entries, err := os.ReadDir("/dev/pts")
	require.NoError(t, err)
	terminals := 0
	for _, e := range entries {
		var stat unix.Stat_t
		if e.Name() != "ptmx" {
			require.NoError(t, unix.Stat("/dev/pts/"+e.Name(), &stat))
			assert.Zero(t, stat.Uid)
			assert.EqualValues(t, 0o600, stat.Mode&0o777)
			terminals++
		}
	}
	assert.Equal(t, 2, terminals)
	// Neither is the login shell's way to them.
	pid := client(t, "alice")
	cat := exec.Command("/bin/ls", "-l", procPath(pid, "fd"))
	cat.SysProcAttr = asUser("alice")
	text, err := cat.CombinedOutput()
	require.Error(t, err, string(text))
	// Inside, processes of others, such as root's, are not even seen.
	assert.Contains(t, one.run("ls -d /proc/1 /proc/"+strconv.Itoa(l.daemon.Process.Pid)), "cannot access '/proc/1'")
}

func TestTemporaryFilesAreTheSessionsOwnAndFew(t *testing.T) {
	l := newLab(t, nil)
	first, second := l.login("alice"), l.login("bob")
	assert.Contains(t, first.run("head -c 100M /dev/zero >/tmp/big 2>/dev/null || echo fu''ll"), "\rfull\r")
	for _, dir := range []string{"/tmp", "/var/tmp"} {
		assert.Contains(t, first.run("stat -c size:%s "+dir+"/big"), "size:67108864", "all of one size together")
		assert.NoFileExists(t, dir+"/big")
		assert.Contains(t, second.run("ls "+dir+"/big"), "No such file")
	}
	assert.Contains(t, second.run("cp /bin/true /var/tmp/x; /var/tmp/x"), "/var/tmp/x: Permission denied", "no programs")
}

func TestDetachedProcessesEndWithTheSession(t *testing.T) {
	l := newLab(t, nil)
	s := l.login("alice")
	s.run("nohup sleep 1001 >/dev/null 2>&1 & disown")
	s.run("setsid sleep 1002 </dev/null >/dev/null 2>&1 &")
	s.run("(setsid bash -c 'trap \"\" HUP TERM INT; sleep 1003 & sleep 1004' </dev/null >/dev/null 2>&1 &)")
	s.run("tmux new-session -d 'sleep 1005'")
	s.run("script -qc 'sleep 1006' /dev/null </dev/null >/dev/null 2>&1 &")
	require.Eventually(t, func() bool { return strings.Count(strings.Join(alive("alice"), "\n"), "sleep 100") >= 6 }, 5*time.Second, 20*time.Millisecond, "%v", alive("alice"))
	s.send("exit\n")
	require.NoError(t, s.ends())
	_ = s.client.Close()
	l.nothingLeft("alice")
}

// Against the recorder.

func TestKillingEverythingEndsTheSession(t *testing.T) {
	l := newLab(t, nil)
	s := l.login("alice")
	s.run("setsid sleep 1000 &")
	s.send("kill -9 -1\n")
	require.Error(t, s.ends())
	l.nothingLeft("alice")
	assert.NotEmpty(t, l.ending(s.id)["why"])
	l.awaitLogged("typed", func(m map[string]any) bool { return m["line"] == "kill -9 -1" })
	other := l.login("alice")
	other.run("true")
}

func TestKillingTheLoginShellEndsTheSession(t *testing.T) {
	l := newLab(t, nil)
	s := l.login("alice")
	s.run("setsid sleep 1000 &")
	s.send(fmt.Sprintf("kill -9 %d\n", client(t, "alice")))
	require.Error(t, s.ends())
	_ = s.client.Close()
	l.nothingLeft("alice")
	assert.Equal(t, "hangup", l.ending(s.id)["why"])
}

func TestDisconnectingEndsTheSession(t *testing.T) {
	l := newLab(t, nil)
	s := l.login("alice")
	s.run("setsid sleep 1000 &")
	require.NoError(t, s.client.Close())
	l.nothingLeft("alice")
	assert.Equal(t, "hangup", l.ending(s.id)["why"])
}

func TestAStoppedLoginShellIsRecordedFurther(t *testing.T) {
	l := newLab(t, nil)
	s := l.login("alice")
	s.run(fmt.Sprintf("kill -STOP %d", client(t, "alice")))
	s.run("echo still-here")
	assert.Regexp(t, "[\r\n]still-here\r\n", l.recording(s.id, 'o'))
	require.NoError(t, s.client.Close())
	assert.NotEmpty(t, l.ending(s.id)["why"])
}

// The recorder dies, and systemd ends what is in its group.
func TestNoSessionOutlivesTheRecorder(t *testing.T) {
	l := newLab(t, nil)
	s := l.login("alice")
	s.run("setsid sleep 1000 &")
	require.NoError(t, l.daemon.Process.Kill())
	<-l.died
	// Before systemd gets to it: nothing can be started any more. The login shell may
	// have gone by now.
	_, _ = io.WriteString(s.in, "/bin/echo unre''corded\n")
	time.Sleep(300 * time.Millisecond)
	assert.NotContains(t, s.out.String(), "unrecorded")
	l.stopDaemon(unix.SIGKILL)
	require.Error(t, s.ends())
	assert.Contains(t, s.out.String(), "The recorder of this bastion has stopped")

	none := l.connect("alice")
	require.Error(t, none.Run(""))
	assert.Contains(t, none.out.String(), "can't be recorded on this bastion now")

	l.startDaemon()
	end := l.ending(s.id)
	assert.Equal(t, "crashed", end["why"])
	assert.Len(t, end["sum"], 64)
	_, err := chain.Verify(filepath.Join(settings.LogDir, "sessions", s.id))
	require.NoError(t, err)
	assert.Contains(t, l.recording(s.id, 'm'), "stopped without ending this session")
	assert.Contains(t, l.log.String(), "recorder-died")
	l.login("alice").run("true")
}

// What a killed recorder left running, without a systemd that would have ended it.
func TestARestartEndsWhatWasLeft(t *testing.T) {
	l := newLab(t, nil)
	s := l.login("alice")
	s.run("trap '' HUP; setsid sleep 1000 &")
	require.NoError(t, l.daemon.Process.Kill())
	<-l.died
	require.NotEmpty(t, alive("alice"))
	l.startDaemon()
	require.Error(t, s.ends())
	_ = s.client.Close()
	l.nothingLeft("alice")
}

func TestStoppingEndsSessionsInOrder(t *testing.T) {
	l := newLab(t, nil)
	a, b := l.login("alice"), l.login("bob")
	start := time.Now()
	l.stopDaemon(unix.SIGTERM)
	assert.Less(t, time.Since(start), 5*time.Second)
	for _, s := range []*shell{a, b} {
		require.Error(t, s.ends())
		assert.Contains(t, s.out.String(), "is stopping its sessions")
		assert.Equal(t, "stopped", l.ending(s.id)["why"])
		_, err := chain.Verify(filepath.Join(settings.LogDir, "sessions", s.id))
		require.NoError(t, err)
	}
	l.startDaemon()
}

func TestForkBombHitsItsOwnSession(t *testing.T) {
	l := newLab(t, nil)
	other := l.login("bob")
	s := l.login("alice")
	s.send("bomb() { bomb | bomb & }; bomb\n")
	time.Sleep(time.Second)
	start := time.Now()
	other.run("/bin/true")
	assert.Less(t, time.Since(start), 5*time.Second)
	require.NoError(t, End("", "alice"))
	l.nothingLeft("alice")
	require.Error(t, s.ends())
}

func TestShellTricksDoNotStopTheRecording(t *testing.T) {
	l := newLab(t, nil)
	for _, line := range []string{
		"ulimit -f 0", "ulimit -n 20", "exec </dev/pts/0 >/dev/pts/0 2>&1", "unset PROMPT_COMMAND PS0; set +o history", "exec 61>&-",
		"exec bash --norc --noprofile", "exec env -i /bin/bash --norc", "exec script -q /dev/null", "trap '' HUP TERM; PS1='$ '",
		"enable -n history printf; HISTFILE=/dev/null HISTSIZE=0",
		"exec 198>/dev/null 199>&- ; for i in $(seq 3 255); do eval \"exec $i>&-\"; done 2>/dev/null",
	} {
		s := l.login("alice")
		s.send(line + "\n")
		time.Sleep(150 * time.Millisecond)
		s.run("/bin/echo after-the-trick")
		assert.Regexp(t, "[\r\n]after-the-trick\r\n", l.recording(s.id, 'o'), line)
		l.awaitLogged("exec", func(m map[string]any) bool {
			return m["session"] == s.id && fmt.Sprint(m["argv"]) == "[/bin/echo after-the-trick]"
		})
		require.NoError(t, s.client.Close())
		l.ending(s.id)
	}
}

// A start file of the person's runs within the recording, and can't keep it from
// telling what starts.
func TestStartFilesRunInside(t *testing.T) {
	l := newLab(t, nil)
	require.NoError(t, os.WriteFile("/home/alice/.bash_profile", []byte("PROMPT_COMMAND=; PS0=; readonly HISTCONTROL=ignorespace; /bin/echo from-profile\n"), 0o644))
	s := l.login("alice")
	s.await("from-profile")
	s.run(" /bin/echo hidden")
	l.awaitLogged("exec", func(m map[string]any) bool { return fmt.Sprint(m["argv"]) == "[/bin/echo from-profile]" })
	l.awaitLogged("exec", func(m map[string]any) bool { return fmt.Sprint(m["argv"]) == "[/bin/echo hidden]" })
	for _, bad := range []string{"exec /bin/sleep 1000", "exit 3", "set -e; false"} {
		require.NoError(t, os.WriteFile("/home/alice/.bash_profile", []byte(bad+"\n"), 0o644))
		own := l.connect("alice")
		require.NoError(t, own.Shell())
		own.await("recorded: ")
		_ = own.client.Close()
	}
}

func TestSystemCallsThatNobodyNeeds(t *testing.T) {
	l := newLab(t, nil)
	s := l.login("alice")
	require.NoError(t, os.WriteFile("/home/alice/calls.py", []byte(`
import ctypes, fcntl, os, errno, socket, termios
c = ctypes.CDLL(None, use_errno=True)
def call(name, *args):
    ctypes.set_errno(0)
    r = c.syscall(*args)
    print(name, errno.errorcode.get(ctypes.get_errno(), "OK") if r < 0 else "OK")
call("unshare", 272, 0x10000000)
call("clone-user", 56, 0x10000000 | 17, 0, 0, 0, 0)
call("clone3", 435, 0, 0)
call("ptrace", 101, 0, 0, 0, 0)
call("bpf", 321, 0, 0, 0)
call("io_uring", 425, 1, 0)
call("userfaultfd", 323, 0)
call("keyctl", 250, 0, 0)
call("perf", 298, 0, 0, 0, 0, 0)
call("setns", 308, 0, 0)
call("mount", 165, 0, 0, 0, 0, 0)
call("vm_write", 311, 1, 0, 0, 0, 0, 0)
for name, request in (("TIOCSTI", termios.TIOCSTI), ("TIOCSTI-high", termios.TIOCSTI | 1 << 32)):
    ctypes.set_errno(0)
    r = c.syscall(16, 0, ctypes.c_ulong(request), b"x")
    print(name, errno.errorcode.get(ctypes.get_errno(), "OK") if r < 0 else "OK")
for family in (38, 40, 17):
    try:
        socket.socket(family, socket.SOCK_DGRAM if family == 17 else socket.SOCK_SEQPACKET)
        print("socket", family, "OK")
    except OSError as e:
        print("socket", family, errno.errorcode[e.errno])
pid = os.fork()
if pid == 0:
    c.syscall(0x40000000 | 39)
    print("x32 OK")
    os._exit(0)
print("x32", os.waitpid(pid, 0)[1])
`), 0o644))
	out := s.run("/usr/bin/python3 ~/calls.py")
	for _, want := range []string{
		"unshare EPERM", "clone-user EPERM", "clone3 ENOSYS", "ptrace EPERM", "bpf EPERM", "io_uring EPERM", "userfaultfd EPERM", "keyctl EPERM",
		"perf EPERM", "setns EPERM", "mount EPERM", "vm_write EPERM", "TIOCSTI EPERM", "TIOCSTI-high EPERM",
		"socket 38 EAFNOSUPPORT", "socket 40 EAFNOSUPPORT", "socket 17 EAFNOSUPPORT", "x32 31",
	} {
		assert.Regexp(t, "[\r\n]"+want+"\r\n", out)
	}
	// What people do need.
	assert.Contains(t, s.run("ls | cat; (sleep 0.1 & wait); echo fine-$?"), "fine-0")
	l.awaitLogged("exec", func(m map[string]any) bool { return fmt.Sprint(m["argv"]) == "[/usr/bin/python3 /home/alice/calls.py]" })
}

func TestProgramsByFileAndByDescriptor(t *testing.T) {
	l := newLab(t, nil)
	s := l.login("alice")
	require.NoError(t, os.WriteFile("/home/alice/mem.py", []byte(`
import os
fd = os.memfd_create("hidden")
os.write(fd, open("/bin/true", "rb").read())
os.execve(fd, ["looks-harmless", "x\ny"], {})
`), 0o644))
	s.run("/usr/bin/python3 ~/mem.py")
	line := l.awaitLogged("exec", func(m map[string]any) bool { return strings.Contains(fmt.Sprint(m["argv"]), "looks-harmless") })
	assert.Contains(t, line["path"], "memfd:hidden")
	text, err := os.ReadFile(settings.LogDir + "/bastion.log")
	require.NoError(t, err)
	assert.Contains(t, string(text), `: "/memfd:hidden (deleted)": looks-harmless`)
	s.run(`/bin/echo $(printf 'a%.0s' $(seq 9000)) | wc -c`)
	long := l.awaitLogged("exec", func(m map[string]any) bool { return m["truncated"] == true })
	assert.Contains(t, fmt.Sprint(long["argv"]), "aaaaaaa")
}

func TestAdministratorsAreToldTooButMayBecomeRoot(t *testing.T) {
	l := newLab(t, nil)
	s := l.login("carol")
	out := s.run("grep -E 'NoNewPrivs|Seccomp:' /proc/self/status; unshare -r id -u")
	assert.Contains(t, out, "NoNewPrivs:\t0")
	assert.Contains(t, out, "Seccomp:\t2")
	// A set-uid program keeps its right, and what it starts is told.
	shell, err := os.ReadFile("/usr/bin/env")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile("/usr/local/bin/rootenv", shell, 0o755))
	require.NoError(t, os.Chmod("/usr/local/bin/rootenv", 0o755|os.ModeSetuid))
	assert.Contains(t, s.run("rootenv id"), "euid=0(root)")
	l.awaitLogged("exec", func(m map[string]any) bool {
		return fmt.Sprint(m["argv"]) == "[id]" && m["by"] == "/usr/local/bin/rootenv"
	})
	a := l.login("alice")
	assert.NotContains(t, a.run("rootenv id"), "euid=0", "others stay who they are")
}

// Log forging.

func TestLinesCannotBeForged(t *testing.T) {
	l := newLab(t, nil)
	s := l.login("alice")
	forged := `[ON]:2026-01-01T00:00:00Z [FROM]:10.0.0.1 [USER]:bob [SESSION]:x [BY]:kernel [PWD]:/: rm -rf /`
	s.run("/bin/echo $'x\\n" + forged + "'")
	s.run(`mkdir -p $'/home/alice/d [USER]:bob\n[ON]:x' && cd $'/home/alice/d [USER]:bob\n[ON]:x' && /bin/echo $'\e[2K\e[1Ahidden\u202e\xff'`)
	s.run(`printf '0\0/\0  777 {"time":"x","event":"end"}\n[ON]: forged\n\0' >&61; printf 'typed\0/x\n[ON]: forged\0  9 bob\0' >&61; printf 'typed' >&61`)
	s.run("printf '%s\\n' '{\"postern\":\"end\",\"chain\":\"x\",\"segment\":1,\"time\":\"x\"}' '[1.0,\"m\",\"postern {}\"]'")
	s.run("/bin/echo last")
	l.awaitLogged("exec", func(m map[string]any) bool { return fmt.Sprint(m["argv"]) == "[/bin/echo last]" })
	text, err := os.ReadFile(settings.LogDir + "/bastion.log")
	require.NoError(t, err)
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		assert.Regexp(t, `^\[ON\]:\S+ \[FROM\]:127\.0\.0\.1 \[USER\]:alice \[SESSION\]:`+s.id+` \[BY\]:(shell|kernel|recorder) \[PWD\]:`, line)
		for _, c := range line {
			assert.True(t, strconv.IsPrint(c), "%q", line)
		}
	}
	for _, m := range l.logged("") {
		assert.Equal(t, s.id, m["session"])
		assert.Equal(t, "alice", m["person"])
	}
	_, err = chain.Verify(settings.LogDir + "/commands")
	require.NoError(t, err)
}

// Disk, memory, time.

func TestFullDiskEndsSessions(t *testing.T) {
	l := newLab(t, nil)
	s := l.login("alice")
	var stat unix.Statfs_t
	require.NoError(t, unix.Statfs(settings.LogDir, &stat))
	filler, err := os.Create(settings.LogDir + "/filler")
	require.NoError(t, err)
	defer func() { _ = os.Remove(filler.Name()); _ = filler.Close() }()
	require.NoError(t, unix.Fallocate(int(filler.Fd()), 0, 0, int64(stat.Bavail)*stat.Bsize-4<<20))
	require.Error(t, s.ends())
	assert.Contains(t, s.out.String(), "can't be recorded any more")
	assert.Equal(t, "recording-failed", l.ending(s.id)["why"])
	assert.Contains(t, l.log.String(), `{"postern":"alarm","name":"recording-failed"`)
	none := l.connect("alice")
	require.Error(t, none.Run(""))
	assert.Contains(t, none.out.String(), "can't be recorded on this bastion now")
	require.NoError(t, os.Remove(filler.Name()))
	require.NoError(t, filler.Close())
	require.Eventually(t, func() bool { return strings.Contains(l.log.String(), "recorded again") }, 5*time.Second, 20*time.Millisecond)
	l.login("alice").run("true")
}

// Whoever fills the disk goes, and nobody else: neither who works there, nor who comes.
func TestWhoFillsTheDiskIsTheOnlyOneToGo(t *testing.T) {
	for name, attack := range map[string]string{
		"at once":           "fallocate -l 290M big; head -c 2G /dev/zero >bigger",
		"a nameless file":   "exec 9>big; rm big; head -c 2G /dev/zero >&9",
		"deep down":         `perl -e 'for (1..1100) { mkdir "d"; chdir "d" } exec "head -c 2G /dev/zero >big"'`,
		"in the background": "(setsid head -c 2G /dev/zero >big &); sleep 1000",
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, func(c *settings.Choices) { c.Recording.MinFreeMiB = 128 })
			require.Eventually(t, func() bool { _, err := os.Stat(settings.ShadowDir + "/.reserve"); return err == nil }, 5*time.Second, 20*time.Millisecond)
			alice, bob := l.login("alice"), l.login("bob")
			var stat unix.Statfs_t
			require.NoError(t, unix.Statfs("/home", &stat))
			filler, err := os.Create("/home/filler")
			require.NoError(t, err)
			defer func() { _ = os.Remove(filler.Name()); _ = filler.Close() }()
			require.NoError(t, unix.Fallocate(int(filler.Fd()), 0, 0, int64(stat.Bavail)*stat.Bsize-400<<20))

			bob.send("for i in {1..200}; do echo $i; sleep 0.02; done; echo co''unted\n")
			alice.send(attack + "\n")
			require.Error(t, alice.ends())
			assert.Contains(t, alice.out.String(), "Your files fill the disk")
			assert.Equal(t, "disk-filled", l.ending(alice.id)["why"])
			bob.await("counted")
			bob.run("/bin/echo still")
			assert.Contains(t, l.log.String(), `{"postern":"alarm","name":"disk-filled","text":"a person's files fill the disk`)
			assert.NotContains(t, l.log.String(), "recording-failed")
			_ = alice.client.Close()
			l.nothingLeft("alice")
			l.login("carol").run("true")
			if name != "a nameless file" { // gone with its process
				again := l.connect("alice")
				require.Error(t, again.Run(""))
				assert.Contains(t, again.out.String(), "until its operators have made room")
			}
			if name == "at once" {
				l.stopDaemon(unix.SIGKILL)
				l.startDaemon()
				require.Eventually(t, func() bool {
					again := l.connect("alice")
					return again.Run("") != nil && strings.Contains(again.out.String(), "until its operators have made room")
				}, 10*time.Second, 100*time.Millisecond, "nor after the recorder was started again")
				l.login("bob").run("true")
			} else {
				bob.send("exit\n")
				require.NoError(t, bob.ends())
			}
			for _, id := range []string{alice.id, bob.id} {
				report, err := chain.Verify(settings.LogDir + "/sessions/" + id)
				require.NoError(t, err)
				assert.Nil(t, report.Fault)
			}

			require.NoError(t, os.RemoveAll("/home/alice"))
			require.NoError(t, os.Mkdir("/home/alice", 0o700))
			require.NoError(t, os.Chown("/home/alice", people["alice"], people["alice"]))
			require.NoError(t, os.Remove(filler.Name()))
			require.NoError(t, filler.Close())
			require.Eventually(t, func() bool { return strings.Contains(l.log.String(), "there is room on the disk again") }, 5*time.Second, 20*time.Millisecond)
			l.login("alice").run("true")
		})
	}
}

// A file system has room for so many files, too: whoever takes them all is the only one to go.
func TestWhoTakesAllFilesIsTheOnlyOneToGo(t *testing.T) {
	l := newLab(t, func(c *settings.Choices) { c.Recording.MinFreeMiB = 128 })
	require.Eventually(t, func() bool { _, err := os.Stat(settings.ShadowDir + "/.reserve"); return err == nil }, 5*time.Second, 20*time.Millisecond)
	alice, bob := l.login("alice"), l.login("bob")
	alice.send(`mkdir many; perl -e 'for (1..1e6) { open F, ">many/$_" or exit }'` + "\n")
	require.Error(t, alice.ends())
	assert.Contains(t, alice.out.String(), "Your files fill the disk")
	assert.Equal(t, "disk-filled", l.ending(alice.id)["why"])
	bob.run("/bin/echo still")
	assert.NotContains(t, l.log.String(), "recording-failed")
	l.login("carol").run("true")
	again := l.connect("alice")
	require.Error(t, again.Run(""))
	assert.Contains(t, again.out.String(), "until its operators have made room")

	require.NoError(t, os.RemoveAll("/home/alice/many"))
	require.Eventually(t, func() bool { return strings.Contains(l.log.String(), "there is room on the disk again") }, 5*time.Second, 20*time.Millisecond)
	l.login("alice").run("true")
}

// Not even the bytes that are kept free are there.
func TestNoDiskAtAllShowsNothingUnrecorded(t *testing.T) {
	l := newLab(t, func(c *settings.Choices) { c.Recording.MinFreeMiB = 0 })
	s := l.login("alice")
	var stat unix.Statfs_t
	require.NoError(t, unix.Statfs(settings.LogDir, &stat))
	filler, err := os.Create(settings.LogDir + "/filler")
	require.NoError(t, err)
	defer func() { _ = os.Remove(filler.Name()); _ = filler.Close() }()
	require.NoError(t, unix.Fallocate(int(filler.Fd()), 0, 0, int64(stat.Bavail)*stat.Bsize))
	s.send("head -c 300000 /dev/zero | tr '\\0' x; /bin/echo un''recorded\n")
	require.Error(t, s.ends())
	assert.NotContains(t, s.out.String(), "unrecorded")
	assert.Contains(t, l.log.String(), `{"postern":"alarm","name":"recording-failed"`)
}

func TestAReplacedFolderEndsSessions(t *testing.T) {
	for _, path := range []string{settings.LogDir + "/sessions", settings.ShadowDir + "/sessions", settings.LogDir + "/commands"} {
		t.Run(strings.ReplaceAll(path, "/", "_"), func(t *testing.T) {
			l := newLab(t, nil)
			s := l.login("alice")
			start := time.Now()
			require.NoError(t, os.Rename(path, path+".away"))
			require.NoError(t, os.Mkdir(path, 0o700))
			require.Error(t, s.ends())
			assert.Less(t, time.Since(start), 4*time.Second, "noticed though nothing is written")
			assert.Contains(t, s.out.String(), "can't be recorded any more")
			assert.Contains(t, l.log.String(), `{"postern":"alarm","name":"recording-failed"`)
		})
	}
}

func TestIdleSessionsEnd(t *testing.T) {
	l := newLab(t, func(c *settings.Choices) { c.Recording.IdleTimeout = 2 * time.Second })
	s := l.login("alice")
	s.send("while :; do echo busy; sleep 0.2; done\n")
	require.Error(t, s.ends())
	assert.Contains(t, s.out.String(), "Nothing was typed for a long time")
	assert.Equal(t, "idle", l.ending(s.id)["why"])
}

func TestRevokedPeopleEnd(t *testing.T) {
	l := newLab(t, nil)
	s := l.login("alice")
	other := l.login("bob")
	s.run("trap '' HUP TERM; (setsid sleep 1000 &)")
	require.NoError(t, End("", "alice"))
	require.Error(t, s.ends())
	assert.Contains(t, s.out.String(), "access to this bastion was revoked")
	assert.Equal(t, "revoked", l.ending(s.id)["why"])
	l.nothingLeft("alice")
	other.run("true")
	require.Error(t, End("", "root"))
	require.Error(t, End("", "nobody-here"))

	open, err := List("")
	require.NoError(t, err)
	require.Len(t, open, 1)
	assert.Equal(t, "bob", open[0].Person)
	there, err := EndSession("", open[0].Session)
	require.NoError(t, err)
	assert.True(t, there)
	require.Error(t, other.ends())
	assert.Contains(t, other.out.String(), "An operator of this bastion has ended")
}

func TestPeopleCannotGiveOrders(t *testing.T) {
	l := newLab(t, nil)
	s := l.login("alice")
	out := s.run("/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"/run/postern/recorder-control.sock\")'")
	assert.Contains(t, out, "PermissionError")
	out = s.run("ls /var/log/postern; cat /var/log/postern/bastion.log; ls /var/lib/postern/shadow; cat /opt/postern/bin/postern-shell | wc -c; /opt/postern/bin/postern-host sessions")
	assert.Equal(t, 5, strings.Count(out, "ermission denied"), out)
}

func TestManySessionsOfOnePerson(t *testing.T) {
	l := newLab(t, nil)
	for range maxOfOne {
		s := l.connect("alice")
		require.NoError(t, s.Shell())
		s.await("recorded: ")
	}
	s := l.connect("alice")
	require.Error(t, s.Run(""))
	assert.Contains(t, s.out.String(), "too many sessions")
	l.login("bob").run("true")
}

func TestSilentConnectionsDoNotHoldTheDoor(t *testing.T) {
	l := newLab(t, nil)
	for range 3 * maxGreetings {
		c, err := net.Dial("unix", settings.RecorderSocket)
		require.NoError(t, err)
		defer func() { _ = c.Close() }()
	}
	l.login("bob").run("true")
}

// One who doesn't read holds up his own programs, and nobody's memory.
func TestAClientThatDoesNotRead(t *testing.T) {
	l := newLab(t, nil)
	blocked := make(blockingWriter)
	defer close(blocked)
	s := l.connect("alice")
	s.Session.Stdout = blocked
	require.NoError(t, s.Shell())
	before := rss(t, l.daemon.Process.Pid)
	s.send("head -c 500000000 /dev/zero | tr '\\0' x\n")
	time.Sleep(3 * time.Second)
	assert.Less(t, rss(t, l.daemon.Process.Pid)-before, int64(16<<20))
	open, err := List("")
	require.NoError(t, err)
	require.Len(t, open, 1)
	there, err := EndSession("", open[0].Session)
	require.NoError(t, err)
	assert.True(t, there)
	l.ending(open[0].Session)
	l.login("bob").run("true")
}

type blockingWriter chan struct{}

func (b blockingWriter) Write(p []byte) (int, error) {
	<-b
	return len(p), nil
}

func rss(t *testing.T, pid int) int64 {
	t.Helper()
	for _, line := range lines(procPath(pid, "status")) {
		if rest, found := strings.CutPrefix(line, "VmRSS:"); found {
			n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			require.NoError(t, err)
			return n << 10
		}
	}
	return 0
}

func TestResizeFlood(t *testing.T) {
	l := newLab(t, nil)
	s := l.login("alice")
	for i := range 3000 {
		require.NoError(t, s.WindowChange(20+i%50, 80+i%100))
	}
	require.NoError(t, s.WindowChange(33, 99))
	require.Eventually(t, func() bool { return strings.Contains(s.run("stty size"), "33 99") }, 5*time.Second, 50*time.Millisecond)
	resizes := 0
	for _, e := range l.events(s.id) {
		if e.Code == 'r' {
			resizes++
		}
	}
	assert.Less(t, resizes, 200)
}

// Commands, where they are recorded.

func TestCommandsAreRecorded(t *testing.T) {
	l := newLab(t, recordCommands)
	c, err := l.dial("alice")
	require.NoError(t, err)
	defer func() { _ = c.Close() }()

	session, err := c.NewSession()
	require.NoError(t, err)
	var stdout, stderr bytes.Buffer
	session.Stdin, session.Stdout, session.Stderr = strings.NewReader("some input"), &stdout, &stderr
	err = session.Run("cat; echo oops >&2; exit 5")
	var exit *ssh.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 5, exit.ExitStatus())
	assert.Equal(t, "some input", stdout.String())
	assert.Equal(t, "oops\n", stderr.String())
	begin := l.awaitLogged("begin", func(m map[string]any) bool { return strings.HasPrefix(m["command"].(string), "cat; echo") })
	id := begin["session"].(string)
	assert.EqualValues(t, 5, l.ending(id)["status"])
	assert.Equal(t, "some input", l.recording(id, 'i'))
	// Two pipes: which of them is read first is up to the kernel.
	assert.Contains(t, []string{"some inputoops\n", "oops\nsome input"}, l.recording(id, 'o'))
	l.awaitLogged("exec", func(m map[string]any) bool { return fmt.Sprint(m["argv"]) == "[cat]" && m["session"] == id })

	session, err = c.NewSession()
	require.NoError(t, err)
	err = session.Run("kill -TERM $$")
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, "TERM", exit.Signal())

	// The end of the output is told while the command still runs.
	session, err = c.NewSession()
	require.NoError(t, err)
	out, err := session.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, session.Start("echo x; exec >&- 2>&-; sleep 2"))
	start := time.Now()
	text, err := io.ReadAll(out)
	require.NoError(t, err)
	assert.Equal(t, "x\n", string(text))
	assert.Less(t, time.Since(start), 1500*time.Millisecond)
	require.NoError(t, session.Wait())

	// With a terminal.
	s := l.connect("alice")
	require.NoError(t, s.Run("tty; stty size"))
	assert.Contains(t, s.out.String(), "/dev/pts/0\r\n24 80\r\n")
}

func TestFilesAreRecordedExactly(t *testing.T) {
	l := newLab(t, recordCommands)
	data := make([]byte, 3<<20)
	source, err := os.Open("/dev/urandom")
	require.NoError(t, err)
	_, err = io.ReadFull(source, data)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile("/tmp/data", data, 0o644))
	options := []string{"-q", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-P", "2222", "-i", l.key}
	for _, mode := range [][]string{{"-O"}, {}} {
		out, err := exec.Command("scp", append(append(mode, options...), "/tmp/data", "alice@127.0.0.1:up")...).CombinedOutput()
		require.NoError(t, err, string(out))
		out, err = exec.Command("scp", append(append(mode, options...), "alice@127.0.0.1:up", "/tmp/down")...).CombinedOutput()
		require.NoError(t, err, string(out))
		down, err := os.ReadFile("/tmp/down")
		require.NoError(t, err)
		require.Equal(t, sha256.Sum256(data), sha256.Sum256(down))
		require.NoError(t, os.Remove("/tmp/down"))
	}
	sftp := exec.Command("sftp", append([]string{"-b", "-"}, append(options, "alice@127.0.0.1")...)...)
	sftp.Stdin = strings.NewReader("ls\nget up /tmp/down\nrm up\n")
	out, err := sftp.CombinedOutput()
	require.NoError(t, err, string(out))

	// scp -O -t: the file is in what came in, byte by byte.
	begin := l.awaitLogged("begin", func(m map[string]any) bool { return strings.HasPrefix(m["command"].(string), "scp -t") })
	id := begin["session"].(string)
	l.ending(id)
	var came []byte
	events := l.events(id)
	for i, e := range events {
		if e.Code == 'I' {
			part, err := base64.StdEncoding.DecodeString(e.Data)
			require.NoError(t, err)
			came = append(came, part...)
			assert.Empty(t, events[i-1].Data)
		} else if e.Code == 'i' {
			came = append(came, e.Data...)
		}
	}
	assert.True(t, bytes.Contains(came, data))
}

func TestACommandEndsWithItsClient(t *testing.T) {
	l := newLab(t, recordCommands)
	c, err := l.dial("alice")
	require.NoError(t, err)
	session, err := c.NewSession()
	require.NoError(t, err)
	require.NoError(t, session.Start("setsid sleep 1000 & exec sleep 1001"))
	begin := l.awaitLogged("begin", func(m map[string]any) bool { return true })
	require.NoError(t, c.Close())
	l.nothingLeft("alice")
	assert.Equal(t, "hangup", l.ending(begin["session"].(string))["why"])
}

func TestFourGigabytesDoNotFillTheDisk(t *testing.T) {
	l := newLab(t, recordCommands)
	c, err := l.dial("alice")
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	session, err := c.NewSession()
	require.NoError(t, err)
	session.Stdout = io.Discard
	require.NoError(t, session.Start("head -c 4294967296 /dev/zero"))
	time.Sleep(5 * time.Second)
	var size int64
	require.NoError(t, filepath.Walk(settings.LogDir+"/sessions", func(_ string, info os.FileInfo, err error) error {
		if err == nil {
			size += info.Size()
		}
		return nil
	}))
	assert.Less(t, size, int64(freeRunBytes+32<<20))
	l.login("bob").run("true")
}
