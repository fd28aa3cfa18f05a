//go:build linux

package recorder

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/settings"
)

// Open is a session that is going on.
type Open struct {
	Session string    `json:"session"`
	Person  string    `json:"person"`
	Address string    `json:"address"`
	Port    int       `json:"port"`
	Start   time.Time `json:"start"`
	Typed   time.Time `json:"typed"` // when something last was
	Command string    `json:"command,omitempty"`
}

type order struct {
	// User or Session is to be ended; neither: the sessions are listed.
	User    string `json:"user,omitempty"`
	Session string `json:"session,omitempty"`
	Why     why    `json:"why,omitempty"`
}

type reply struct {
	Sessions []Open `json:"sessions,omitempty"`
	Ended    int    `json:"ended"`
}

// control serves root, whom alone the socket lets in.
func (r *Recorder) control(conn *net.UnixConn) {
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	var o order
	if json.NewDecoder(conn).Decode(&o) != nil {
		return
	}
	var a reply
	if o.User == "" && o.Session == "" {
		for _, s := range r.all() {
			a.Sessions = append(a.Sessions, Open{
				Session: s.id, Person: s.peer.name, Address: s.peer.address, Port: s.peer.port,
				Start: s.start, Typed: s.lastTyped(), Command: s.peer.command,
			})
		}
	} else {
		if o.Why == "" {
			o.Why = whyEnded
		}
		for _, s := range r.all() {
			if s.id == o.Session || o.User != "" && s.peer.name == o.User {
				s.end(o.Why)
				select {
				case <-s.over:
				case <-time.After(8 * time.Second):
				}
				a.Ended++
			}
		}
	}
	_ = json.NewEncoder(conn).Encode(a)
}

func ask(root string, o order) (reply, error) {
	var a reply
	conn, err := net.DialTimeout("unix", filepath.Join(root, ControlSocket), 5*time.Second)
	if err != nil {
		return a, err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
	if err := json.NewEncoder(conn).Encode(o); err != nil {
		return a, err
	}
	return a, json.NewDecoder(conn).Decode(&a)
}

// List lists the sessions that are going on.
func List(root string) ([]Open, error) {
	a, err := ask(root, order{})
	return a.Sessions, err
}

// EndSession ends one session, and says whether it was there.
func EndSession(root, id string) (bool, error) {
	a, err := ask(root, order{Session: id})
	return a.Ended > 0, err
}

// End ends all that a person has on the host: the sessions, with a message and a
// line in the records that the access was revoked, and then every process of that
// user, those of sshd among them. The account must be closed to new logins before,
// and still be there. It works without a running recorder too. root is
// "" but in tests.
func End(root, user string) error {
	uid := -1
	for _, line := range lines(filepath.Join(root, "/etc/passwd")) {
		if f := strings.Split(line, ":"); len(f) == 7 && f[0] == user {
			n, err := strconv.Atoi(f[2])
			if err != nil {
				return fmt.Errorf("%s: the user number %q", user, f[2])
			}
			uid = n
		}
	}
	if uid < 0 {
		return fmt.Errorf("there is no user %q", user)
	}
	if uid < 1000 {
		return fmt.Errorf("%s is a user of the system", user)
	}
	_, asked := ask(root, order{User: user, Why: whyRevoked})
	// A new one may begin, or fork, while the old ones are being killed.
	for range 50 {
		left := 0
		for _, pid := range processes() {
			if uidOf(pid) == uid && !zombie(pid) {
				left++
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
		if left == 0 {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.Join(fmt.Errorf("%s still has processes", user), asked)
}

func processes() []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer func() { _ = dir.Close() }()
	names, _ := dir.Readdirnames(-1)
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func zombie(pid int) bool {
	for _, line := range lines(procPath(pid, "status")) {
		if strings.HasPrefix(line, "State:") {
			return strings.Contains(line, "Z") || strings.Contains(line, "X")
		}
	}
	return true
}

// forkTime is how long sshd may take from fork to exec, and hangupForks how many of
// its forks one sweep waits for.
const (
	forkTime    = 100 * time.Millisecond
	hangupForks = 5
)

// sweep ends what people run outside of a session: user managers, timers and
// whatever else a way was found to start.
func (r *Recorder) sweep() {
	r.mu.Lock()
	seen := maps.Clone(r.seen)
	r.mu.Unlock()
	forks := hangupForks
	for _, pid := range processes() {
		uid := uidOf(pid)
		if (uid < settings.FirstUID || uid > settings.LastUID) && seen[uid] == nil {
			continue
		}
		p, err := readProcess(pid)
		if err != nil || r.cgroups.holds(pid) || r.ours(p) {
			continue
		}
		// What is just between fork and exec looks like its parent. sshd does much in
		// between, and its parent is gone where the client has hung up.
		wait := time.Millisecond
		if forks > 0 && slices.Contains(r.servers, p.exe) {
			wait, forks = forkTime, forks-1
		}
		time.Sleep(wait)
		again, err := readProcess(pid)
		if err != nil || again.uid != uid || again.parent != p.parent || r.cgroups.holds(pid) || r.ours(again) {
			continue
		}
		_ = unix.Kill(pid, unix.SIGKILL)
		if r.once(strconv.Itoa(uid) + " " + again.exe) {
			r.log.Alarm("unrecorded-process", "a person's program ran outside of a session and was ended", "uid", uid, "program", again.exe, "pid", pid)
		}
	}
}

// ours are the processes of a person that lead to a session: sshd's, and the shell.
func (r *Recorder) ours(p process) bool {
	if sameFile(procPath(p.pid, "exe"), r.path(settings.BinDir, "postern-shell")) {
		return true
	}
	// sshd forks once more before it runs the shell. A person's own copy of sshd has
	// none of root's above it.
	for range 3 {
		if !slices.Contains(r.servers, p.exe) {
			return false
		}
		if p.uid == 0 {
			return true
		}
		var err error
		if p, err = readProcess(p.parent); err != nil {
			return false
		}
	}
	return false
}
