//go:build linux

package recorder

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/settings"
	"github.com/postern-cdk/postern/internal/host/uptime"
)

// account is a person's entry in /etc/passwd, with the groups of /etc/group.
type account struct {
	name     string
	uid, gid int
	home     string
	groups   []int
}

// peer is a shell that asks for a session, as the kernel and sshd know it. Nothing
// of this was said by the shell itself.
type peer struct {
	account
	pid, sshd int
	// connected is when the connection began, to the tick before.
	connected uptime.Moment
	address   string
	port      int
	// command is what the client asked for; "" is a shell.
	command string
	// key tells what the person proved to be with, as far as sshd tells.
	key identity
	// env has what a session inherits of the client's environment.
	env []string
}

// identity is a key or certificate.
type identity struct {
	Fingerprint string `json:"fingerprint,omitempty"`
	Certificate string `json:"certificate,omitempty"`
	Serial      uint64 `json:"serial,omitempty"`
	Authority   string `json:"authority,omitempty"`
}

// process is what /proc tells of one.
type process struct {
	pid, parent, tty int
	uid              int
	exe              string
	started          time.Duration // since the kernel, to the tick before
}

func readProcess(pid int) (process, error) {
	p := process{pid: pid, uid: -1}
	stat, err := os.ReadFile(procPath(pid, "stat"))
	if err != nil {
		return p, err
	}
	// The name before it may hold anything, but no more than 15 bytes.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return p, fmt.Errorf("process %d can't be read", pid)
	}
	start, err := strconv.ParseInt(string(fields[19]), 10, 64)
	if err != nil {
		return p, fmt.Errorf("process %d can't be read: %w", pid, err)
	}
	p.started = time.Duration(start) * uptime.Tick
	p.parent, _ = strconv.Atoi(string(fields[1]))
	p.tty, _ = strconv.Atoi(string(fields[4]))
	p.uid = uidOf(pid)
	p.exe, err = os.Readlink(procPath(pid, "exe"))
	// An update may have replaced the file since.
	p.exe = strings.TrimSuffix(p.exe, " (deleted)")
	return p, err
}

// uidOf is the real user of a process, or -1. The owner of its folder in /proc is
// root where it isn't dumpable.
func uidOf(pid int) int {
	for _, line := range lines(procPath(pid, "status")) {
		if rest, found := strings.CutPrefix(line, "Uid:"); found {
			if fields := strings.Fields(rest); len(fields) == 4 {
				if uid, err := strconv.Atoi(fields[0]); err == nil {
					return uid
				}
			}
		}
	}
	return -1
}

// identify finds out who is at the other end of a connection, or says why nobody
// is who may have a session: a [vanishing] is no proof of bad faith yet.
func (r *Recorder) identify(conn *net.UnixConn, fds []*os.File) (*peer, error) {
	var cred *unix.Ucred
	pidfd := -1
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	if err := raw.Control(func(fd uintptr) {
		if cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err != nil {
			return
		}
		var perr error
		if pidfd, perr = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PEERPIDFD); perr != nil {
			if pidfd, err = unix.PidfdOpen(int(cred.Pid), 0); errors.Is(err, unix.ESRCH) {
				err = vanishing{error: err}
			}
		}
	}); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(pidfd) }()
	pid := int(cred.Pid)
	if r.cgroups.holds(pid) {
		return nil, errors.New("a session can't begin within another one")
	}
	shell, err := readProcess(pid)
	if err != nil {
		return nil, vanishing{error: err}
	}
	switch {
	case !sameFile(procPath(pid, "exe"), filepath.Join(r.root, settings.BinDir, "postern-shell")):
		err := errors.New("sessions are begun by the login shell only")
		if _, gone := os.Stat(procPath(pid, "exe")); gone != nil {
			return nil, vanishing{error: err}
		}
		return nil, err
	case shell.uid < 0:
		return nil, vanishing{error: errors.New("the shell has ended")}
	case shell.uid != int(cred.Uid) || cred.Uid == 0:
		return nil, errors.New("this user can't have a session")
	}
	// sshd runs the shell as a child of the process that left root's rights, which
	// is a child of the one that kept them. A person's own sshd has neither.
	sshd, err := readProcess(shell.parent)
	if err != nil || !slices.Contains(r.servers, sshd.exe) || sshd.uid != shell.uid {
		return nil, orphaned(sshd, err, "sessions are begun through sshd only")
	}
	monitor, err := readProcess(sshd.parent)
	if err != nil || !slices.Contains(r.servers, monitor.exe) || monitor.uid != 0 {
		return nil, orphaned(monitor, err, "sessions are begun through the host's own sshd only")
	}
	for i, f := range fds {
		path := procPath(pid, "fd/"+strconv.Itoa(i))
		if !sameFile(path, "/proc/self/fd/"+strconv.Itoa(descriptor(f))) {
			err := errors.New("the shell's streams are not those that it sent")
			if _, gone := os.Stat(path); gone != nil {
				return nil, vanishing{error: err}
			}
			return nil, err
		}
	}
	environ, err := os.ReadFile(procPath(pid, "environ"))
	if err != nil {
		return nil, vanishing{error: err}
	}
	cmdline, err := os.ReadFile(procPath(pid, "cmdline"))
	if err != nil {
		return nil, vanishing{error: err}
	}
	if len(environ) == 0 || len(cmdline) == 0 {
		// As they are from when a process begins to end.
		return nil, vanishing{error: errors.New("the shell has ended")}
	}
	// Only now is it certain that all of this was read of the same process.
	poll := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	if n, err := unix.Poll(poll, 0); err != nil || n > 0 {
		return nil, vanishing{error: errors.New("the shell has ended")}
	}

	env := map[string]string{}
	for _, pair := range strings.Split(string(environ), "\x00") {
		if key, value, found := strings.Cut(pair, "="); found {
			if _, there := env[key]; !there {
				env[key] = value
			}
		}
	}
	now, err := uptime.Now()
	if err != nil {
		return nil, err
	}
	p := &peer{pid: pid, sshd: sshd.pid, connected: uptime.Moment{Boot: now.Boot, Since: monitor.started}}
	if p.account, err = lookup(r.root, int(cred.Uid), env["LOGNAME"]); err != nil {
		return nil, err
	}
	connection := strings.Fields(env["SSH_CONNECTION"])
	if len(connection) != 4 {
		return nil, errors.New("sshd doesn't say where the connection is from")
	}
	p.address = printable(connection[0])
	if p.port, err = strconv.Atoi(connection[1]); err != nil {
		return nil, errors.New("sshd doesn't say where the connection is from")
	}
	p.command = command(strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00"), env["SSH_ORIGINAL_COMMAND"])
	p.key = readIdentity(procPath(pid, "root"), env["SSH_USER_AUTH"], int(cred.Uid))
	p.env = inherited(env)
	return p, nil
}

// orphaned is what is wrong with a process that should be sshd. One that has ended
// leaves its children to process 1.
func orphaned(p process, err error, text string) error {
	if err != nil || p.pid <= 1 {
		return vanishing{error: errors.New(text), shell: true}
	}
	return errors.New(text)
}

// command is what the client asked for. sshd runs the login shell as "shell -c
// FORCED", the client's own command in the environment; without a forced command as
// "shell -c COMMAND" or "-shell".
func command(args []string, original string) string {
	if len(args) < 3 || args[1] != "-c" {
		return ""
	}
	if filepath.Base(args[2]) == "postern-shell" {
		return original
	}
	return args[2]
}

var (
	termForm   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+._-]{0,63}$`)
	localeName = regexp.MustCompile(`^(LANG|LANGUAGE|LC_[A-Z]{1,20})$`)
	localeForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.@:-]{0,63}$`)
)

// inherited is what a session gets of the environment that sshd made.
func inherited(env map[string]string) []string {
	term := env["TERM"]
	if !termForm.MatchString(term) {
		term = "dumb"
	}
	list := []string{
		"TERM=" + term,
		"SSH_CONNECTION=" + printable(env["SSH_CONNECTION"]),
		"SSH_CLIENT=" + printable(env["SSH_CLIENT"]),
	}
	for key, value := range env {
		if localeName.MatchString(key) && localeForm.MatchString(value) {
			list = append(list, key+"="+value)
		}
	}
	slices.Sort(list)
	return list
}

// sameFile tells whether two paths, links of /proc among them, lead to one file.
func sameFile(a, b string) bool {
	var x, y unix.Stat_t
	return unix.Stat(a, &x) == nil && unix.Stat(b, &y) == nil && x.Dev == y.Dev && x.Ino == y.Ino && x.Rdev == y.Rdev
}

// lookup finds the account of a user in the files; of several that share the
// number, the one that sshd names.
func lookup(root string, uid int, name string) (account, error) {
	var found *account
	for _, line := range lines(filepath.Join(root, "/etc/passwd")) {
		f := strings.Split(line, ":")
		if len(f) != 7 || f[2] != strconv.Itoa(uid) {
			continue
		}
		gid, err := strconv.Atoi(f[3])
		if err != nil {
			continue
		}
		if found == nil || f[0] == name {
			found = &account{name: f[0], uid: uid, gid: gid, home: f[5]}
		}
	}
	if found == nil {
		return account{}, fmt.Errorf("user %d has no account", uid)
	}
	if found.gid == 0 {
		return account{}, fmt.Errorf("%s is in the group of root", found.name)
	}
	found.groups = []int{found.gid}
	for _, line := range lines(filepath.Join(root, "/etc/group")) {
		f := strings.Split(line, ":")
		if len(f) != 4 || !slices.Contains(strings.Split(f[3], ","), found.name) {
			continue
		}
		if gid, err := strconv.Atoi(f[2]); err == nil && !slices.Contains(found.groups, gid) {
			found.groups = append(found.groups, gid)
		}
	}
	return *found, nil
}

// readIdentity reads what sshd wrote for ExposeAuthInfo. The file is the person's
// own, and the folder one that only sshd sees where it has a /tmp to itself: else
// sshd's log is what proves the key.
func readIdentity(root, path string, uid int) identity {
	// sshd's name for it. The variable could be the person's where sshd sets none.
	if name, found := strings.CutPrefix(path, "/tmp/sshauth."); !found || strings.Contains(name, "/") {
		return identity{}
	}
	fd, err := unix.Open(root+path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return identity{}
	}
	defer func() { _ = unix.Close(fd) }()
	var stat unix.Stat_t
	if unix.Fstat(fd, &stat) != nil || stat.Mode&unix.S_IFMT != unix.S_IFREG || int(stat.Uid) != uid {
		return identity{}
	}
	text := make([]byte, 64<<10)
	n, err := unix.Read(fd, text)
	if err != nil || n <= 0 {
		return identity{}
	}
	for _, line := range strings.Split(string(text[:n]), "\n") {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != "publickey" {
			continue
		}
		blob, err := base64.StdEncoding.DecodeString(f[2])
		if err != nil {
			continue
		}
		key, err := ssh.ParsePublicKey(blob)
		if err != nil {
			continue
		}
		if cert, ok := key.(*ssh.Certificate); ok {
			return identity{
				Fingerprint: ssh.FingerprintSHA256(cert.Key),
				Certificate: cert.KeyId,
				Serial:      cert.Serial,
				Authority:   ssh.FingerprintSHA256(cert.SignatureKey),
			}
		}
		return identity{Fingerprint: ssh.FingerprintSHA256(key)}
	}
	return identity{}
}
