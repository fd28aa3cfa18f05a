package people

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/atomic"
	"github.com/postern-cdk/postern/internal/host/settings"
)

const (
	homes      = "/home"
	loginShell = settings.BinDir + "/postern-shell"
	noShell    = "/usr/sbin/nologin"
	// passwordLock is what lckpwdf(3) locks: passwd, useradd, systemd-sysusers and
	// package scripts wait for each other by it.
	passwordLock = "/etc/.pwd.lock" //nolint:gosec // no password, a lock
)

// table is one of passwd, shadow, group and gshadow. Lines that are not ours stay
// as they are, broken ones, comments and those of NIS (+, -) too.
type table struct {
	path   string
	fields int
	lines  []string
	index  map[string]int // name to line
	had    string
}

// readTable wants a file that a system can live with: what is empty or cut in two
// is never taken for the truth and written back.
func readTable(path string, fields int, needs string) (*table, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return nil, fmt.Errorf("%s holds NUL bytes; it is broken and is left alone: repair it from %s-", path, path)
	}
	t := &table{path: path, fields: fields, had: string(text), index: map[string]int{}}
	t.lines = strings.Split(strings.TrimSuffix(t.had, "\n"), "\n")
	for i, line := range t.lines {
		name, _, _ := strings.Cut(line, ":")
		if _, twice := t.index[name]; !twice && strings.Count(line, ":") == fields-1 {
			t.index[name] = i
		}
	}
	if _, found := t.index[needs]; !found {
		return nil, fmt.Errorf("%s has no line for %s; it is broken and is left alone: repair it from %s-", path, needs, path)
	}
	return t, nil
}

// get is the fields of a name, or nil.
func (t *table) get(name string) []string {
	i, found := t.index[name]
	if !found {
		return nil
	}
	return strings.Split(t.lines[i], ":")
}

func (t *table) set(name string, fields ...string) {
	line := strings.Join(append([]string{name}, fields...), ":")
	if i, found := t.index[name]; found {
		t.lines[i] = line
		return
	}
	t.index[name] = len(t.lines)
	t.lines = append(t.lines, line)
}

// removed marks a line that is gone. No line of a file holds a line break.
const removed = "\n"

func (t *table) remove(name string) {
	if i, found := t.index[name]; found {
		t.lines[i] = removed
		delete(t.index, name)
	}
}

func (t *table) text() string {
	lines := slices.DeleteFunc(slices.Clone(t.lines), func(line string) bool { return line == removed })
	return strings.Join(lines, "\n") + "\n"
}

func (t *table) save() error {
	if t == nil {
		return nil
	}
	text := t.text()
	if text == t.had {
		return nil
	}
	if err := atomic.Replace(t.path, []byte(text)); err != nil {
		return err
	}
	t.had = text
	return nil
}

// accounts are the tables together. gshadow is nil where the system has none.
type accounts struct {
	passwd, shadow, group, gshadow *table
}

func readAccounts(root string) (*accounts, error) {
	var a accounts
	var err error
	for _, one := range []struct {
		to     **table
		name   string
		fields int
	}{{&a.passwd, "passwd", 7}, {&a.shadow, "shadow", 9}, {&a.group, "group", 4}, {&a.gshadow, "gshadow", 4}} {
		*one.to, err = readTable(filepath.Join(root, "/etc", one.name), one.fields, "root")
		if one.to == &a.gshadow && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	return &a, nil
}

// changed says whether there is something to save.
func (a *accounts) changed() bool {
	for _, t := range []*table{a.passwd, a.shadow, a.group, a.gshadow} {
		if t != nil && t.text() != t.had {
			return true
		}
	}
	return false
}

// edit changes the tables under the system's lock.
func edit(ctx context.Context, root string, change func(*accounts) error, save ...func(*accounts) error) error {
	unlock, err := lockPasswords(ctx, root)
	if err != nil {
		return err
	}
	defer unlock()
	a, err := readAccounts(root)
	if err != nil {
		return err
	}
	if err := change(a); err != nil {
		return err
	}
	for _, step := range save {
		if err := step(a); err != nil {
			return err
		}
	}
	return nil
}

// lockPasswords waits for the lock as long as lckpwdf(3) does.
func lockPasswords(ctx context.Context, root string) (func(), error) {
	f, err := os.OpenFile(filepath.Join(root, passwordLock), os.O_WRONLY|os.O_CREATE|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for {
		err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EINTR) {
			_ = f.Close()
			return nil, &fs.PathError{Op: "lock", Path: passwordLock, Err: err}
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, fmt.Errorf("%s is held by another program (useradd, passwd, a package): %w", passwordLock, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// uid of an account that was made by Postern. Where the state knows nothing, the
// account says so itself by its range and shell.
func (a *accounts) uid(name string, known int) (int, bool) {
	fields := a.passwd.get(name)
	if fields == nil || !grammar.MatchString(name) {
		return 0, false
	}
	uid, err := strconv.Atoi(fields[2])
	if err != nil || uid < settings.FirstUID || uid > settings.LastUID {
		return 0, false
	}
	shell := fields[6] == loginShell || fields[6] == noShell
	return uid, uid == known || shell && fields[2] == fields[3] && fields[5] == homes+"/"+name && CheckName(name) == nil
}

// ours lists the accounts that were made by Postern.
func (a *accounts) ours(known map[string]*person) map[string]int {
	all := map[string]int{}
	for name := range a.passwd.index {
		state := 0
		if p := known[name]; p != nil {
			state = p.UID
		}
		if uid, ours := a.uid(name, state); ours {
			all[name] = uid
		}
	}
	return all
}

// taken says why a name that is new can't be had here, or nil.
func (a *accounts) taken(name string) error {
	if a.passwd.get(name) != nil {
		return fmt.Errorf("there is an account %q on the host that was not made from keys; choose another name", name)
	}
	fields := a.group.get(name)
	if fields == nil {
		return nil
	}
	// The group of a person whose account a crash left half made.
	if gid, err := strconv.Atoi(fields[2]); err == nil && gid >= settings.FirstUID && gid <= settings.LastUID && fields[3] == "" {
		return nil
	}
	return fmt.Errorf("there is a group %q on the host that was not made from keys; choose another name", name)
}

// lastID is the highest ID in people's range that the tables know.
func (a *accounts) lastID() int {
	last := settings.FirstUID - 1
	for _, t := range []*table{a.passwd, a.group} {
		for _, i := range t.index {
			id, err := strconv.Atoi(strings.Split(t.lines[i], ":")[2])
			if err == nil && id <= settings.LastUID {
				last = max(last, id)
			}
		}
	}
	return last
}

// ensure makes the account what it must be.
func (a *accounts) ensure(name string, uid int, now time.Time) {
	id := strconv.Itoa(uid)
	a.group.set(name, "x", id, "")
	if a.gshadow != nil {
		a.gshadow.set(name, "!", "", "")
	}
	// "*" is no password's hash. "!" in front would make an sshd without PAM refuse
	// keys too.
	if had := a.shadow.get(name); had == nil || had[1] != "*" || had[7] != "" {
		a.shadow.set(name, "*", strconv.FormatInt(now.Unix()/86400, 10), "0", "99999", "7", "", "", "")
	}
	a.passwd.set(name, "x", id, id, "", homes+"/"+name, loginShell)
}

// lock leaves an account with which nobody can begin anything: expired for every
// way in that asks PAM, and without a shell for those that don't.
func (a *accounts) lock(name string, uid int) {
	id := strconv.Itoa(uid)
	if a.passwd.get(name) == nil {
		return
	}
	a.passwd.set(name, "x", id, id, "", homes+"/"+name, noShell)
	a.shadow.set(name, "!*", "0", "0", "99999", "7", "", "1", "")
}

// drop removes an account and its group.
func (a *accounts) drop(name string) {
	a.passwd.remove(name)
	a.shadow.remove(name)
	a.group.remove(name)
	if a.gshadow != nil {
		a.gshadow.remove(name)
	}
}

// members makes the people's group hold them, and keeps who else is in it and is
// no person that was removed.
func (a *accounts) members(people map[string]int) error {
	const name = settings.PeopleGroup
	fields := a.group.get(name)
	if fields == nil {
		gid, err := a.systemID()
		if err != nil {
			return err
		}
		fields = []string{name, "x", strconv.Itoa(gid), ""}
	}
	var all []string
	for member := range strings.SplitSeq(fields[3], ",") {
		if _, person := people[member]; !person && a.passwd.get(member) != nil {
			all = append(all, member)
		}
	}
	rest := make([]string, 0, len(people))
	for person := range people {
		rest = append(rest, person)
	}
	slices.Sort(rest)
	list := strings.Join(append(all, rest...), ",")
	a.group.set(name, fields[1], fields[2], list)
	if a.gshadow != nil {
		password, admins := "!", ""
		if had := a.gshadow.get(name); had != nil {
			password, admins = had[1], had[2]
		}
		a.gshadow.set(name, password, admins, list)
	}
	return nil
}

// systemID is a free ID as groupadd --system gives it.
func (a *accounts) systemID() (int, error) {
	used := map[string]bool{}
	for _, t := range []*table{a.passwd, a.group} {
		for _, i := range t.index {
			used[strings.Split(t.lines[i], ":")[2]] = true
		}
	}
	for id := 999; id >= 100; id-- {
		if !used[strconv.Itoa(id)] {
			return id, nil
		}
	}
	return 0, errors.New("there is no free ID from 100 to 999 for the group " + settings.PeopleGroup)
}
