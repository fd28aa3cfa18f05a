//go:build linux && hostroot

package recorder

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/chain"
	"github.com/postern-cdk/postern/internal/host/settings"
)

// The tests of this tag run the real daemon, the real login shell and the real sshd
// as root, in namespaces of their own: the root is an overlay whose upper side is
// memory, so that accounts and files of the machine stay as they are. TestMain runs
// this program three times: from outside, as the first process within, and for the
// tests.
const stageKey = "POSTERN_RECORDER_STAGE"

var labGroup string // the control group that stands for the service's

func TestMain(m *testing.M) {
	switch stage, _, _ := strings.Cut(os.Getenv(stageKey), ":"); stage {
	case "":
		os.Exit(outside())
	case "first":
		os.Exit(first())
	}
	_, labGroup, _ = strings.Cut(os.Getenv(stageKey), ":")
	os.Exit(m.Run())
}

func outside() int {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "the tests of the tag hostroot need root")
		return 1
	}
	dir, err := os.MkdirTemp("", "recorder-")
	check(err)
	defer func() { _ = os.RemoveAll(dir) }()
	for _, program := range []string{"postern-host", "postern-session", "postern-shell"} {
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, program), "../../../bin/"+program)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		build.Stderr = os.Stderr
		check(build.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), stageKey+"=first:"+dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC, Unshareflags: unix.CLONE_NEWNS,
		Pdeathsig: unix.SIGKILL,
	}
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	check(err)
	return 0
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// first is process 1 of the namespace: it makes the root, and takes in orphans.
func first() int {
	_, dir, _ := strings.Cut(os.Getenv(stageKey), ":")
	group := labRoot(dir)
	wd, err := os.Getwd()
	check(err)
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Dir = wd
	cmd.Env = append(os.Environ(), stageKey+"=tests:"+group)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	check(cmd.Start())
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if err == nil && pid == cmd.Process.Pid {
			// Everything dies with process 1, but a group must be empty to be removed.
			_ = os.WriteFile(group+"/cgroup.kill", []byte("1"), 0)
			for range 100 {
				if removeTree(group) == nil {
					break
				}
				_, _ = unix.Wait4(-1, nil, unix.WNOHANG, nil)
				time.Sleep(10 * time.Millisecond)
			}
			return status.ExitStatus()
		}
	}
}

// labRoot makes this process's root one in which anything may be done.
func labRoot(dir string) string {
	mount := func(source, target, kind string, flags uintptr, options string) {
		if err := unix.Mount(source, target, kind, flags, options); err != nil {
			panic(fmt.Sprintf("mount %s on %s: %v", kind, target, err))
		}
	}
	programs := map[string][]byte{}
	for _, name := range []string{"postern-host", "postern-session", "postern-shell"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		check(err)
		programs[name] = text
	}
	mount("tmpfs", dir, "tmpfs", 0, "size=3g,nr_inodes=100000")
	for _, part := range []string{"upper", "work", "root"} {
		check(os.Mkdir(filepath.Join(dir, part), 0o755))
	}
	root := filepath.Join(dir, "root")
	mount("overlay", root, "overlay", 0, fmt.Sprintf("lowerdir=/,upperdir=%s/upper,workdir=%s/work", dir, dir))
	mount("proc", root+"/proc", "proc", 0, "")
	mount("tmpfs", root+"/run", "tmpfs", 0, "mode=0755")
	mount("tmpfs", root+"/dev", "tmpfs", 0, "mode=0755")
	// Logs have a disk of their own, so that a test can fill it.
	check(os.MkdirAll(root+settings.LogDir, 0o700))
	mount("tmpfs", root+settings.LogDir, "tmpfs", 0, "mode=0700,size=1500m")
	old := unix.Umask(0)
	for name, device := range map[string]uint64{
		"null": unix.Mkdev(1, 3), "zero": unix.Mkdev(1, 5), "full": unix.Mkdev(1, 7),
		"random": unix.Mkdev(1, 8), "urandom": unix.Mkdev(1, 9), "tty": unix.Mkdev(5, 0), "ptmx": unix.Mkdev(5, 2),
	} {
		check(unix.Mknod(root+"/dev/"+name, unix.S_IFCHR|0o666, int(device)))
	}
	unix.Umask(old)
	check(os.Symlink("/proc/self/fd", root+"/dev/fd"))
	check(os.Mkdir(root+"/dev/pts", 0o755))
	mount("devpts", root+"/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=0620,gid=5")
	check(os.MkdirAll(root+"/run/sshd", 0o755))
	check(os.MkdirAll(root+"/run/user", 0o755))
	check(os.MkdirAll(root+"/sys/fs/cgroup", 0o755))
	mount("cgroup2", root+"/sys/fs/cgroup", "cgroup2", 0, "")
	check(os.Chdir(root))
	check(unix.PivotRoot(".", "."))
	check(unix.Unmount(".", unix.MNT_DETACH))
	check(os.Chdir("/"))
	check(os.Chdir(sourceDir()))

	check(os.MkdirAll("/opt/postern/bin", 0o755))
	check(os.WriteFile("/opt/postern/bin/postern-host", programs["postern-host"], 0o700))
	check(os.WriteFile("/opt/postern/bin/postern-session", programs["postern-session"], 0o700))
	check(os.WriteFile("/opt/postern/bin/postern-shell", programs["postern-shell"], 0o711))
	check(os.Chmod("/opt/postern/bin/postern-shell", 0o711))

	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	check(err)
	up, err := unix.NewIfreq("lo")
	check(err)
	up.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	check(unix.IoctlIfreq(sock, unix.SIOCSIFFLAGS, up))

	group := fmt.Sprintf("/sys/fs/cgroup/recorder-test-%d", time.Now().UnixNano())
	check(os.Mkdir(group, 0o755))
	return group
}

// sourceDir is where go test runs the tests of this package.
func sourceDir() string {
	dir := os.Getenv("PWD")
	if _, err := os.Stat(filepath.Join(dir, "recorder.go")); err != nil {
		return "/"
	}
	return dir
}

// lab is the host of a test.
type lab struct {
	t      *testing.T
	daemon *exec.Cmd
	died   chan struct{}
	sshd   *exec.Cmd
	log    safeBuffer
	signer ssh.Signer
	key    string
	config string
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

const sshdPort = "127.0.0.1:2222"

// people of the lab. carol may use sudo.
var people = map[string]int{"alice": 20001, "bob": 20002, "carol": 20003}

// newLab starts a host whose choices a test may change.
func newLab(t *testing.T, choose func(*settings.Choices)) *lab {
	t.Helper()
	l := &lab{t: t, config: "/etc/postern-test"}
	for _, dir := range []string{settings.LogDir, settings.ShadowDir, l.config, "/home"} {
		empty(t, dir)
	}
	passwd, err := os.ReadFile("/etc/passwd")
	require.NoError(t, err)
	if !bytes.Contains(passwd, []byte("alice")) {
		group, err := os.ReadFile("/etc/group")
		require.NoError(t, err)
		group = append(group, "postern:x:20000:alice,bob,carol\n"...)
		shadow, err := os.ReadFile("/etc/shadow")
		require.NoError(t, err)
		for name, uid := range people {
			passwd = fmt.Appendf(passwd, "%s:x:%d:%d::/home/%s:/opt/postern/bin/postern-shell\n", name, uid, uid, name)
			group = fmt.Appendf(group, "%s:x:%d:\n", name, uid)
			shadow = fmt.Appendf(shadow, "%s:*:20000::::::\n", name)
		}
		// Not recorded, to compare with.
		passwd = append(passwd, "plain:x:1500:20000::/:/bin/bash\n"...)
		shadow = append(shadow, "plain:*:20000::::::\n"...)
		require.NoError(t, os.WriteFile("/etc/passwd", passwd, 0o644))
		require.NoError(t, os.WriteFile("/etc/group", group, 0o644))
		require.NoError(t, os.WriteFile("/etc/shadow", shadow, 0o600))
	}
	require.NoError(t, os.Chmod("/home", 0o755))
	for name, uid := range people {
		home := "/home/" + name
		require.NoError(t, os.MkdirAll(home, 0o700))
		require.NoError(t, os.Chown(home, uid, uid))
	}
	_, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	l.signer, err = ssh.NewSignerFromKey(private)
	require.NoError(t, err)
	block, err := ssh.MarshalPrivateKey(private, "")
	require.NoError(t, err)
	l.key = l.config + "/id"
	require.NoError(t, os.WriteFile(l.key, pem.EncodeToMemory(block), 0o600))
	require.NoError(t, os.WriteFile(l.config+"/authorized", ssh.MarshalAuthorizedKey(l.signer.PublicKey()), 0o644))
	require.NoError(t, os.Chmod(l.config, 0o755))
	out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", l.config+"/host").CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, os.WriteFile(l.config+"/sshd_config", []byte(`
ListenAddress 127.0.0.1
Port 2222
HostKey `+l.config+`/host
AuthorizedKeysFile `+l.config+`/authorized
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PidFile none
ExposeAuthInfo yes
AcceptEnv LANG LC_*
PermitUserRC no
ForceCommand /opt/postern/bin/postern-shell
Subsystem sftp internal-sftp
AllowGroups postern
MaxSessions 100
MaxStartups 200
LogLevel ERROR
Match User plain
  ForceCommand none
`), 0o644))
	choices := settings.Choices{Recording: settings.Recording{MinFreeMiB: 16}, People: settings.People{Sudo: []string{"carol"}}}
	if choose != nil {
		choose(&choices)
	}
	text, err := json.Marshal(choices)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(settings.ChoicesFile), 0o755))
	require.NoError(t, os.WriteFile(settings.ChoicesFile, text, 0o600))
	require.NoError(t, os.WriteFile(settings.EnvironmentFile, []byte("REGION=eu-central-1\nINSTANCE_ID=i-0123456789abcdef0\nSTACK=Access\n"), 0o600))

	l.startDaemon()
	l.sshd = exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", l.config+"/sshd_config")
	l.sshd.Stderr = &l.log
	require.NoError(t, l.sshd.Start())
	t.Cleanup(func() {
		_ = l.sshd.Process.Kill()
		_ = l.sshd.Wait()
		l.stopDaemon(unix.SIGTERM)
		for name := range people {
			_ = End("", name)
		}
		if t.Failed() {
			t.Log(l.log.String())
		}
	})
	require.Eventually(t, func() bool {
		c, err := l.dial("alice")
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, 10*time.Second, 20*time.Millisecond)
	return l
}

// empty removes what append-only files there are below a directory, too.
func empty(t *testing.T, dir string) {
	t.Helper()
	_ = filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			_ = chain.Remove(path)
		}
		return nil
	})
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	require.NoError(t, os.MkdirAll(dir, 0o755))
}

// startDaemon starts the recorder as systemd would: in the service's group.
func (l *lab) startDaemon() {
	l.t.Helper()
	// A group that hands controllers on takes no process itself.
	_ = os.Mkdir(labGroup+"/daemon", 0o755)
	l.daemon = exec.Command("/bin/sh", "-c", "echo 0 >"+labGroup+"/daemon/cgroup.procs && exec /opt/postern/bin/postern-host record")
	l.daemon.Stdout, l.daemon.Stderr = &l.log, &l.log
	l.daemon.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	require.NoError(l.t, l.daemon.Start())
	l.died = make(chan struct{})
	go func(cmd *exec.Cmd, died chan struct{}) { _ = cmd.Wait(); close(died) }(l.daemon, l.died)
	require.Eventually(l.t, func() bool { _, err := List(""); return err == nil }, 10*time.Second, 10*time.Millisecond, "%s", &l.log)
}

// stopDaemon ends the recorder, and what is left in its group as systemd does.
func (l *lab) stopDaemon(signal unix.Signal) {
	_ = l.daemon.Process.Signal(signal)
	select {
	case <-l.died:
	case <-time.After(15 * time.Second):
		l.t.Error("the recorder doesn't stop")
	}
	_ = os.WriteFile(labGroup+"/cgroup.kill", []byte("1"), 0)
	for range 100 {
		if err := os.Remove(labGroup + "/daemon"); err == nil || errors.Is(err, os.ErrNotExist) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (l *lab) dial(user string) (*ssh.Client, error) {
	return ssh.Dial("tcp", sshdPort, &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(l.signer)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: 5 * time.Second,
	})
}

// shell is an interactive session.
type shell struct {
	l      *lab
	client *ssh.Client
	*ssh.Session
	in   io.Writer
	out  safeBuffer
	id   string
	done chan error
}

// login opens an interactive session and waits for its first prompt.
func (l *lab) login(user string) *shell {
	l.t.Helper()
	s := l.connect(user)
	require.NoError(l.t, s.Shell())
	go func() { s.done <- s.Wait() }()
	s.await("recorded: ")
	s.await("\r\n")
	_, rest, _ := strings.Cut(s.out.String(), "recorded: ")
	s.id, _, _ = strings.Cut(rest, "\r\n")
	s.run("PS1='$ '")
	return s
}

func (l *lab) connect(user string) *shell {
	l.t.Helper()
	return l.connectAs(user, "xterm")
}

func (l *lab) connectAs(user, term string) *shell {
	l.t.Helper()
	client, err := l.dial(user)
	require.NoError(l.t, err)
	session, err := client.NewSession()
	require.NoError(l.t, err)
	s := &shell{l: l, client: client, Session: session, done: make(chan error, 1)}
	session.Stdout, session.Stderr = &s.out, &s.out
	s.in, err = session.StdinPipe()
	require.NoError(l.t, err)
	require.NoError(l.t, session.RequestPty(term, 24, 80, ssh.TerminalModes{}))
	l.t.Cleanup(func() { _ = client.Close() })
	return s
}

func (s *shell) await(text string) {
	s.l.t.Helper()
	require.Eventually(s.l.t, func() bool { return strings.Contains(s.out.String(), text) }, 10*time.Second, 5*time.Millisecond,
		"%q was not shown: %q\n%s", text, &s.out, &s.l.log)
}

var marker int

// run runs a line and returns what it put out.
func (s *shell) run(line string) string {
	s.l.t.Helper()
	marker++
	mark := fmt.Sprintf("done%d", marker)
	from := len(s.out.String())
	_, err := io.WriteString(s.in, line+"\necho do\"\"ne"+mark[4:]+"\n")
	require.NoError(s.l.t, err)
	require.Eventually(s.l.t, func() bool { return strings.Contains(s.out.String()[from:], mark+"\r\n") }, 20*time.Second, 5*time.Millisecond,
		"%s: %q\n%s", line, &s.out, &s.l.log)
	return s.out.String()[from:]
}

func (s *shell) send(text string) {
	s.l.t.Helper()
	_, err := io.WriteString(s.in, text)
	require.NoError(s.l.t, err)
}

// ends waits for the end of the session as the client sees it.
func (s *shell) ends() error {
	s.l.t.Helper()
	select {
	case err := <-s.done:
		s.done <- err
		return err
	case <-time.After(15 * time.Second):
		require.Fail(s.l.t, "the session doesn't end", "%q\n%s", &s.out, &s.l.log)
		return nil
	}
}

// recording is what a session's record holds of one kind of event.
func (l *lab) recording(id string, code byte) string {
	l.t.Helper()
	var b strings.Builder
	for _, e := range l.events(id) {
		if e.Code == code {
			b.WriteString(e.Data)
		}
	}
	return b.String()
}

func (l *lab) events(id string) []chain.Event {
	l.t.Helper()
	names, err := filepath.Glob(filepath.Join(settings.LogDir, "sessions", id, "*.cast"))
	require.NoError(l.t, err)
	require.NotEmpty(l.t, names)
	var all []chain.Event
	for _, name := range names {
		for i, line := range lines(name) {
			if strings.HasPrefix(line, "{") {
				require.True(l.t, i == 0 && strings.HasSuffix(name, "000001.cast"), line)
				continue
			}
			e, err := chain.ParseEvent([]byte(line))
			require.NoError(l.t, err, line)
			all = append(all, e)
		}
	}
	return all
}

// logged are the lines of the command log of an event; "": of all.
func (l *lab) logged(event string) []map[string]any {
	l.t.Helper()
	names, err := filepath.Glob(filepath.Join(settings.LogDir, "commands", "*.jsonl"))
	require.NoError(l.t, err)
	var all []map[string]any
	for _, name := range names {
		text, err := os.ReadFile(name)
		require.NoError(l.t, err)
		for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
			var m map[string]any
			require.NoError(l.t, json.Unmarshal([]byte(line), &m), line)
			if m["postern"] == nil && (event == "" || m["event"] == event) {
				all = append(all, m)
			}
		}
	}
	return all
}

// awaitLogged waits for a line of the command log.
func (l *lab) awaitLogged(event string, is func(map[string]any) bool) map[string]any {
	l.t.Helper()
	var found map[string]any
	require.Eventually(l.t, func() bool {
		for _, m := range l.logged(event) {
			if is(m) {
				found = m
				return true
			}
		}
		return false
	}, 10*time.Second, 20*time.Millisecond, "no such %q line: %v\n%s", event, l.logged(""), &l.log)
	return found
}

func (l *lab) ending(id string) map[string]any {
	l.t.Helper()
	return l.awaitLogged("end", func(m map[string]any) bool { return m["session"] == id })
}
