//go:build linux && hostroot

package recorder

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/recorder/launch"
)

// hangUp logs in as far as asked for, by a connection that it then drops.
func (l *lab) hangUp(at string, after time.Duration) {
	raw, err := net.Dial("tcp", sshdPort)
	if err != nil {
		return
	}
	defer func() { _ = raw.Close() }()
	conn, channels, requests, err := ssh.NewClientConn(raw, sshdPort, &ssh.ClientConfig{
		User: "alice", Auth: []ssh.AuthMethod{ssh.PublicKeys(l.signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: 5 * time.Second,
	})
	if err != nil {
		return
	}
	client := ssh.NewClient(conn, channels, requests)
	drop := func() {
		time.Sleep(after)
		_ = raw.(*net.TCPConn).SetLinger(0)
		_ = raw.Close()
	}
	if at == "login" {
		drop()
		return
	}
	session, err := client.NewSession()
	if err != nil {
		return
	}
	in, _ := session.StdinPipe()
	if at != "command" {
		_ = session.RequestPty("xterm", 24, 80, ssh.TerminalModes{})
	}
	switch at {
	case "terminal":
	case "command":
		_, _ = session.SendRequest("exec", false, ssh.Marshal(struct{ Command string }{"true"}))
	case "shell":
		_, _ = session.SendRequest("shell", false, nil)
	}
	drop()
	_, _ = io.WriteString(in, "x")
}

// alarms are the alarms of the recorder's log that a test has not expected.
func (l *lab) alarms() []string {
	var all []string
	for line := range strings.Lines(l.log.String()) {
		if strings.Contains(line, `"postern":"alarm"`) {
			all = append(all, line)
		}
	}
	return all
}

func TestAClientThatHangsUpIsNoAlarm(t *testing.T) {
	l := newLab(t, recordCommands)
	var all sync.WaitGroup
	turns := make(chan struct{}, 8)
	for n := range 20 {
		for _, at := range []string{"login", "terminal", "shell", "command"} {
			all.Go(func() {
				turns <- struct{}{}
				defer func() { <-turns }()
				l.hangUp(at, time.Duration(n)*time.Millisecond*3/4)
			})
		}
	}
	all.Wait()
	require.Eventually(t, func() bool { return strings.Contains(l.log.String(), "hung up before its session began") }, 5*time.Second, 20*time.Millisecond,
		"nobody hung up in time: nothing was tried")
	require.Eventually(t, func() bool { return len(alive("alice")) == 0 }, 20*time.Second, 50*time.Millisecond, "%v", alive("alice"))
	require.Eventually(t, func() bool { return len(l.logged("begin")) == len(l.logged("end")) }, 10*time.Second, 50*time.Millisecond)
	time.Sleep(hangupTime)
	assert.Empty(t, l.alarms())
}

// The terminal of a client that hung up can't be taken, at whatever moment.
func TestATerminalThatHungUpIsKnown(t *testing.T) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetPointerInt(descriptor(master), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetUint32(descriptor(master), unix.TIOCGPTN)
	require.NoError(t, err)
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	s := &session{outer: [3]*os.File{tty, tty, tty}}
	require.NoError(t, s.takeTerminal(&launch.Spec{}))
	assert.Equal(t, unix.EIO, s.unlessHungUp(unix.EIO), "the client is there")
	require.NoError(t, master.Close())
	require.ErrorIs(t, s.unlessHungUp(s.takeTerminal(&launch.Spec{})), errHungUp)
	require.ErrorIs(t, s.unlessHungUp(s.dialogTerminal()), errHungUp)
	assert.ErrorIs(t, s.unlessHungUp(unix.ENOMEM), unix.ENOMEM)
}

// Who asks for a session beside the recorder, and does as if a client had hung up.
func TestWhoAsksForASessionBesideTheRecorderIsAnAlarm(t *testing.T) {
	for name, program := range map[string]string{
		// Whoever asked has ended, and another one waits for the answer.
		"begun by the login shell only|no such file|no such process": `
s = knock_socket()
if os.fork() == 0:
    knock(s, [0, 1, 2])
    os._exit(0)
print("answer", s.recv(500))
`,
		// A login shell without sshd, as a hangup leaves it, but with streams that lead somewhere.
		"begun through sshd only": `
if os.fork() == 0:
    time.sleep(0.2)
    os.execv("/opt/postern/bin/postern-shell", ["postern-shell"])
os._exit(0)
`,
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, nil)
			require.NoError(t, os.WriteFile("/home/alice/knock.py", []byte(`
import socket, array, os, time
def knock_socket():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect("/run/postern/recorder.sock")
    return s
def knock(s, fds):
    s.sendmsg([b"postern 1\n"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
`+program), 0o644))
			python := exec.Command("/usr/bin/python3", "/home/alice/knock.py")
			python.SysProcAttr = asUser("alice")
			answer, _ := python.CombinedOutput()
			require.Eventually(t, func() bool {
				return slices.ContainsFunc(l.alarms(), func(line string) bool {
					return strings.Contains(line, "session-refused") && regexp.MustCompile(name).MatchString(line)
				})
			}, 2*hangupTime, 20*time.Millisecond, "%s\n%s", answer, &l.log)
			assert.Empty(t, l.logged("begin"))
		})
	}
}
