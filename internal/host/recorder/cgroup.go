//go:build linux

//nolint:gosec // numbers as the kernel has them, and groups that systemd makes so too
package recorder

import (
	"bufio"
	"bytes"
	"errors"
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

// cgroups is the part of the tree of control groups (version 2) that is ours:
// daemon/ holds this process, sessions/ID one session each. systemd gives it to the
// service by Delegate=yes.
type cgroups struct {
	base     string
	sessions string
	// prefix is how the kernel names what is below sessions.
	prefix string
	// limits tells whether the controllers of tasks and memory are there.
	limits bool
	// shares tells whether the processor is shared by session.
	shares bool
	// clones tells whether processes can be started in a group. To move one there, the
	// kernel waits out a grace period, which is longer than all else a login takes.
	clones bool
}

// Limits of one session, and of all of them together.
const (
	sessionTasks = 512
	allTasks     = 4096
	// reservedMiB of memory is for what is no session: sshd, the agents, this.
	reservedMiB = 192
)

// openCgroups finds where this process is, or takes base where it is given.
func openCgroups(base string) (*cgroups, error) {
	if base == "" {
		var err error
		if base, err = ownCgroup(); err != nil {
			return nil, err
		}
	}
	g := &cgroups{base: base, sessions: filepath.Join(base, "sessions")}
	own := filepath.Join(base, "daemon")
	// From 6.14 on Linux ends what is cloned into another group where the one it comes
	// from was ever killed whole. A new one never was.
	_ = os.Remove(own)
	for _, dir := range []string{own, g.sessions} {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, fmt.Errorf("no control group of our own (the service needs Delegate=yes): %w", err)
		}
	}
	// A group that has processes can't hand controllers on.
	if err := os.WriteFile(filepath.Join(own, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
		return nil, err
	}
	path, err := cgroupOf("self")
	if err != nil {
		return nil, err
	}
	g.prefix = strings.TrimSuffix(path, "daemon") + "sessions/"
	if _, err := os.Stat(filepath.Join(g.sessions, "cgroup.kill")); err != nil {
		if _, err := os.Stat(filepath.Join(g.sessions, "cgroup.freeze")); err != nil {
			return nil, fmt.Errorf("sessions can't be ended whole: %w", err)
		}
	}
	g.limits = g.hand(base) == nil && g.hand(g.sessions) == nil
	if g.limits {
		memory := totalMemory()
		g.limits = errors.Join(
			os.WriteFile(filepath.Join(g.sessions, "pids.max"), []byte(strconv.Itoa(allTasks)), 0),
			os.WriteFile(filepath.Join(g.sessions, "memory.max"), []byte(strconv.FormatInt(max(memory-reservedMiB<<20, memory/2), 10)), 0),
		) == nil
	}
	g.share(own)
	return g, nil
}

// share has this process get the processor before all sessions, and each session as
// much as another, however many programs it runs. Without the controller, as where
// it belongs to control groups of version 1, each program is one for the kernel.
// https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
func (g *cgroups) share(own string) {
	for _, dir := range []string{g.base, g.sessions} {
		if os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+cpu"), 0) != nil {
			return
		}
	}
	g.shares = os.WriteFile(filepath.Join(own, "cpu.weight"), []byte("10000"), 0) == nil
}

// hand gives the groups below dir the controllers that limit.
func (g *cgroups) hand(dir string) error {
	return os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+pids +memory"), 0)
}

// cgroupOf is the group of a process, as the kernel names it.
func cgroupOf(pid string) (string, error) {
	for _, line := range lines("/proc/" + pid + "/cgroup") {
		if path, found := strings.CutPrefix(line, "0::"); found {
			return path, nil
		}
	}
	return "", errors.New("this system has no control groups of version 2, by which sessions are ended whole")
}

// ownCgroup is the folder of the group that this process was started in.
func ownCgroup() (string, error) {
	path, err := cgroupOf("self")
	if err != nil {
		return "", err
	}
	for _, line := range lines("/proc/self/mountinfo") {
		fields, rest, found := strings.Cut(line, " - ")
		if columns := strings.Fields(fields); found && strings.HasPrefix(rest, "cgroup2 ") && len(columns) > 4 {
			relative := strings.TrimPrefix(path, columns[3])
			if columns[3] == "/" {
				relative = path
			}
			// A restarted daemon may still be in the group that it made for itself.
			return strings.TrimSuffix(filepath.Join(columns[4], relative), "/daemon"), nil
		}
	}
	return "", errors.New("control groups of version 2 are not mounted")
}

func totalMemory() int64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 512 << 20
	}
	return int64(info.Totalram) * int64(info.Unit)
}

// make makes the group of a session and opens it, for a process to be started in.
func (g *cgroups) make(id string) (*os.File, error) {
	dir := filepath.Join(g.sessions, id)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	if g.limits {
		memory := totalMemory()
		if err := errors.Join(
			os.WriteFile(filepath.Join(dir, "pids.max"), []byte(strconv.Itoa(sessionTasks)), 0),
			os.WriteFile(filepath.Join(dir, "memory.max"), []byte(strconv.FormatInt(max(memory-reservedMiB<<20, memory/2), 10)), 0),
		); err != nil {
			return nil, err
		}
	}
	return os.Open(dir)
}

// birth has a process started in a group that make opened.
func (g *cgroups) birth(attributes *syscall.SysProcAttr, group *os.File) {
	if g.clones {
		attributes.UseCgroupFD, attributes.CgroupFD = true, int(group.Fd())
	}
}

// adopt moves a process to the group of a session, where it was not started there.
func (g *cgroups) adopt(id string, pid int) error {
	if g.clones {
		return nil
	}
	if err := os.WriteFile(filepath.Join(g.sessions, id, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
		return fmt.Errorf("control group: %w", err)
	}
	return nil
}

// try finds out whether the kernel starts processes in another group, and lets them
// live, by one that ends at once.
func (g *cgroups) try(program string) error {
	const id = "trial"
	_ = os.Remove(filepath.Join(g.sessions, id))
	group, err := g.make(id)
	if err != nil {
		return err
	}
	defer func() { _ = group.Close() }()
	g.clones = true
	cmd := exec.Command(program)
	cmd.Env, cmd.SysProcAttr = []string{}, &syscall.SysProcAttr{}
	g.birth(cmd.SysProcAttr, group)
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		err = nil
	}
	g.clones = err == nil
	return errors.Join(err, os.Remove(filepath.Join(g.sessions, id)))
}

// left lists the sessions that a group is still there for.
func (g *cgroups) left() []string {
	entries, err := os.ReadDir(g.sessions)
	if err != nil {
		return nil
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() {
			ids = append(ids, e.Name())
		}
	}
	return ids
}

// kill ends every process of a session, whatever it has made of itself.
func (g *cgroups) kill(id string) error {
	dir := filepath.Join(g.sessions, id)
	if err := os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0); err == nil || !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if _, err := os.Stat(dir); err != nil {
		return err
	}
	// Before Linux 5.14: what is frozen can't fork away from the signals.
	if err := os.WriteFile(filepath.Join(dir, "cgroup.freeze"), []byte("1"), 0); err != nil {
		return err
	}
	for range 100 {
		pids := lines(filepath.Join(dir, "cgroup.procs"))
		if len(pids) == 0 {
			break
		}
		for _, line := range pids {
			if pid, err := strconv.Atoi(line); err == nil && pid > 1 {
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	return os.WriteFile(filepath.Join(dir, "cgroup.freeze"), []byte("0"), 0)
}

// freeze stops all processes of all sessions, or lets them go on.
func (g *cgroups) freeze(on bool) {
	want := "0"
	if on {
		want = "1"
	}
	if os.WriteFile(filepath.Join(g.sessions, "cgroup.freeze"), []byte(want), 0) != nil {
		return
	}
	for range 100 {
		if slices.Contains(lines(filepath.Join(g.sessions, "cgroup.events")), "frozen "+want) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// processes of a session, those in groups below its own too.
func (g *cgroups) processes(id string) []int {
	var pids []int
	_ = filepath.WalkDir(filepath.Join(g.sessions, id), func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			for _, line := range lines(filepath.Join(path, "cgroup.procs")) {
				if pid, err := strconv.Atoi(line); err == nil {
					pids = append(pids, pid)
				}
			}
		}
		return nil
	})
	return pids
}

// remove waits for the processes of a session to be gone and removes its group.
func (g *cgroups) remove(id string) error {
	var err error
	for wait := time.Millisecond; wait < 3*time.Second; wait *= 2 {
		if err = removeTree(filepath.Join(g.sessions, id)); err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		time.Sleep(wait)
	}
	return err
}

// removeTree removes a group and those that an administrator made below it.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeTree(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return os.Remove(dir)
}

// holds tells whether a process is in a session.
func (g *cgroups) holds(pid int) bool {
	path, err := cgroupOf(strconv.Itoa(pid))
	return err == nil && strings.HasPrefix(path, g.prefix)
}

func procPath(pid int, name string) string {
	return "/proc/" + strconv.Itoa(pid) + "/" + name
}

// lines of a small file; none where it can't be read.
func lines(path string) []string {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var all []string
	scanner := bufio.NewScanner(bytes.NewReader(text))
	for scanner.Scan() {
		all = append(all, scanner.Text())
	}
	return all
}
