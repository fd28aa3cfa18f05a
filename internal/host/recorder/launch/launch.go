//go:build linux

// Package launch becomes the shell of a recorded session: what the recorder starts,
// as root, sees to its bounds and then executes the person's shell. It is a program
// of its own, postern-session, and imports little: a person waits for its start at
// each login.
//
//nolint:gosec // numbers as the kernel has them, and groups that systemd makes so too
package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Program is what the recorder starts, in the folder of programs.
const Program = "postern-session"

// Spec is what the process that becomes a session's shell is told.
type Spec struct {
	UID, GID int
	Groups   []int
	Home     string
	Path     string
	Args     []string
	Env      []string
	// Terminal says that a new one is to be made; else its streams are 0, 1 and 2.
	Terminal   bool
	Modes      *unix.Termios
	Rows, Cols uint16
	// Administrator may become root by sudo.
	Administrator bool
	// Processes is how many the person may have.
	Processes uint64
}

// The files that it is started with, beside its streams: its [Spec] as JSON, the
// recorder's socket, and the pipe of the shell's hook.
const (
	specFile = 3 + iota
	socketFile
	hookFile
)

// hookFD is where a session's shell finds the pipe of its hook: not among the files
// that a shell uses by itself, and below 64, from where on the kernel makes a larger
// table and has a process of several threads wait for it, as long as a login may take
// in all.
const hookFD = 61

// Become turns this process into a person's shell. It doesn't return.
func Become() {
	// What seccomp, prctl and mount set counts for the thread, and execve takes the
	// thread that calls it.
	runtime.LockOSThread()
	err := becomeShell()
	_ = unix.Sendmsg(socketFile, []byte("error "+err.Error()), nil, nil, 0)
	os.Exit(Failed)
}

// Failed is the exit status of what did not become a shell.
const Failed = 254

func becomeShell() error {
	spec := os.NewFile(specFile, "spec")
	text, err := io.ReadAll(spec)
	if err != nil {
		return err
	}
	_ = spec.Close()
	var c Spec
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	if err := c.seclude(); err != nil {
		return err
	}
	if c.Terminal {
		if err := c.terminal(); err != nil {
			return fmt.Errorf("terminal: %w", err)
		}
	}
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("100"), 0)
	// Audit rules go by it. A system without audit has no such file.
	_ = os.WriteFile("/proc/thread-self/loginuid", []byte(strconv.Itoa(c.UID)), 0)
	for resource, limit := range map[int]unix.Rlimit{
		unix.RLIMIT_CORE:   {},
		unix.RLIMIT_NPROC:  {Cur: c.Processes, Max: c.Processes},
		unix.RLIMIT_NOFILE: {Cur: 1024, Max: 4096},
	} {
		if err := unix.Setrlimit(resource, &limit); err != nil {
			return err
		}
	}
	unix.Umask(0o077)
	if err := unix.Dup3(hookFile, hookFD, 0); err != nil {
		return err
	}
	_ = unix.Close(hookFile)

	rules := forPeople()
	if c.Administrator {
		rules = forEverybody()
	} else {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return err
		}
		for n := uintptr(0); n <= unix.CAP_LAST_CAP+8; n++ {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, n, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
				return err
			}
		}
	}
	listener, err := install(rules)
	if err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	if err := unix.Sendmsg(socketFile, []byte("ready"), unix.UnixRights(listener), nil, 0); err != nil {
		return err
	}
	_ = unix.Close(listener)
	var answer [8]byte
	if n, err := unix.Read(socketFile, answer[:]); err != nil || string(answer[:max(n, 0)]) != "go" {
		return errors.New("not let go")
	}
	// Of this thread only, which is the one that stays.
	if err := drop(c); err != nil {
		return err
	}
	if unix.Chdir(c.Home) != nil {
		if err := unix.Chdir("/"); err != nil {
			return err
		}
	}
	unix.CloseOnExec(socketFile)
	if err := syscall.Exec(c.Path, c.Args, c.Env); err != nil {
		return fmt.Errorf("%s: %w", c.Path, err)
	}
	return nil
}

// drop leaves root for the person.
func drop(c Spec) error {
	groups := make([]uint32, 0, len(c.Groups)+1)
	for _, g := range c.Groups {
		groups = append(groups, uint32(g))
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(unsafe.SliceData(append(groups, 0)))), 0); errno != 0 {
		return fmt.Errorf("groups: %w", errno)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, uintptr(c.GID), uintptr(c.GID), uintptr(c.GID)); errno != 0 {
		return fmt.Errorf("group: %w", errno)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(c.UID), uintptr(c.UID), uintptr(c.UID)); errno != 0 {
		return fmt.Errorf("user: %w", errno)
	}
	return nil
}

// seclude gives the session a view of the system of its own: terminals of other
// sessions, processes of other users and the sockets of user managers, which would
// start programs outside of the session, are not in it. Its files for the moment are
// its own, few, and no programs, and so is what its programs share in memory: it ends
// with them.
func (c *Spec) seclude() error {
	// Of this thread, which is the one that stays. What is unmounted on the host goes
	// here too; what is mounted here doesn't show there.
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWIPC); err != nil {
		return fmt.Errorf("namespaces of mounts and of IPC: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount namespace: %w", err)
	}
	// Of terminals the kernel has a number for all sessions together.
	if err := unix.Mount("devpts", "/dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,max=64,ptmxmode=0666,mode=0620,gid=5"); err != nil {
		return fmt.Errorf("/dev/pts: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", safe, "hidepid=2"); err != nil {
		return fmt.Errorf("/proc: %w", err)
	}
	// What everybody may write to would fill the disk of the records. This is memory,
	// counted as the session's, and gone with it.
	if err := unix.Mount("tmpfs", "/tmp", "tmpfs", safe, "size=64m,nr_inodes=16k,mode=1777"); err != nil {
		return fmt.Errorf("/tmp: %w", err)
	}
	if c.Administrator {
		// sudo tells the journal, and asks the bus.
		if err := cover("/run/user"); err != nil {
			return err
		}
	} else {
		if err := ownRun(); err != nil {
			return err
		}
		for _, path := range lockable {
			if err := cover(path); err != nil {
				return err
			}
		}
	}
	for _, dir := range []string{"/var/tmp", "/dev/shm", "/run/lock"} {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		if err := unix.Mount("/tmp", dir, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	return nil
}

// safe are the flags of what is mounted for a session.
const safe = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// empty is the kind of a folder in which nothing is to be.
const empty = "size=16k,mode=0755"

// lockable are files that anybody may read, and so lock: sshd, PAM and package
// managers wait for those locks, or give up, which would keep others from logging in
// and updates from being installed. Queues of messages are not the session's own where
// they are mounted from outside.
var lockable = []string{
	"/var/log/wtmp", "/var/log/lastlog", "/var/lib/wtmpdb", "/var/lib/lastlog",
	"/var/cache/debconf", "/var/lib/rpm", "/usr/lib/sysimage/rpm", "/var/lib/dnf",
	"/dev/mqueue",
}

// cover puts an empty folder, or an empty file, over one that is there.
func cover(path string) error {
	var stat unix.Stat_t
	err := unix.Lstat(path, &stat)
	switch {
	case errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR):
		return nil
	case err != nil:
	case stat.Mode&unix.S_IFMT == unix.S_IFDIR:
		err = unix.Mount("tmpfs", path, "tmpfs", safe|unix.MS_RDONLY, empty)
	case stat.Mode&unix.S_IFMT != unix.S_IFLNK:
		err = unix.Mount("/dev/null", path, "", unix.MS_BIND, "")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// ownRun gives the session a /run in which there is the way to the recorder, which
// gives none to who has one, and what /etc/resolv.conf leads to. The sockets of the system
// and its services take anybody's time and words: process 1, asked for users as fast
// as it can answer, starts nothing for minutes. Who else is there, they tell too.
func ownRun() error {
	defer unix.Umask(unix.Umask(0o022))
	keep := []string{"/run/postern"}
	if path, err := filepath.EvalSymlinks("/etc/resolv.conf"); err == nil && strings.HasPrefix(path, "/run/") && filepath.Dir(path) != "/run" {
		keep = append(keep, filepath.Dir(path))
	}
	files := make([]int, len(keep))
	for i, dir := range keep {
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		defer func() { _ = unix.Close(fd) }()
		files[i] = fd
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", safe, empty); err != nil {
		return fmt.Errorf("/run: %w", err)
	}
	for i, dir := range keep {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("/proc/self/fd/"+strconv.Itoa(files[i]), dir, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	for _, dir := range []string{"/run/lock", "/run/user"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("", "/run", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|safe, ""); err != nil {
		return fmt.Errorf("/run: %w", err)
	}
	// Beside what /etc/resolv.conf leads to.
	for _, dir := range keep[1:] {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if entry.Type() == os.ModeSocket {
				if err := cover(filepath.Join(dir, entry.Name())); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// terminal makes the session's own and hands the other side of it over.
func (c *Spec) terminal() error {
	master, err := unix.Open("/dev/pts/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return err
	}
	n, err := unix.IoctlGetUint32(master, unix.TIOCGPTN)
	if err != nil {
		return err
	}
	path := "/dev/pts/" + strconv.Itoa(int(n))
	slave, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(unix.Fchown(slave, c.UID, 5), unix.Fchmod(slave, 0o620)); err != nil {
		return err
	}
	if c.Modes != nil {
		if err := unix.IoctlSetTermios(slave, unix.TCSETS, c.Modes); err != nil {
			return err
		}
	}
	if err := unix.IoctlSetWinsize(slave, unix.TIOCSWINSZ, &unix.Winsize{Row: c.Rows, Col: c.Cols}); err != nil {
		return err
	}
	if err := unix.IoctlSetInt(slave, unix.TIOCSCTTY, 0); err != nil {
		return err
	}
	for fd := range 3 {
		if err := unix.Dup3(slave, fd, 0); err != nil {
			return err
		}
	}
	c.Env = append(c.Env, "SSH_TTY="+path)
	if err := unix.Sendmsg(socketFile, []byte("terminal"), unix.UnixRights(master), nil, 0); err != nil {
		return err
	}
	return errors.Join(unix.Close(master), unix.Close(slave))
}

// install puts this thread under rules and returns where the kernel tells of what
// they say is to be told.
func install(rules []rule) (int, error) {
	filter, err := assemble(program(rules))
	if err != nil {
		return -1, err
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	// Without the second flag, each signal to a process that waits for the answer
	// makes it ask again. Linux has it from 5.19 on.
	for _, flags := range []uintptr{
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER,
	} {
		fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
		runtime.KeepAlive(filter)
		if errno == 0 {
			unix.CloseOnExec(int(fd))
			return int(fd), nil
		}
		if errno != unix.EINVAL {
			return -1, errno
		}
	}
	return -1, unix.EINVAL
}
