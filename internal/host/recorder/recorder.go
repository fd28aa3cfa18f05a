//go:build linux

package recorder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/chain"
	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/recorder/launch"
	"github.com/postern-cdk/postern/internal/host/settings"
)

// ControlSocket takes the orders of root: see [End] and [List].
const ControlSocket = settings.RunDir + "/recorder-control.sock"

// hookFile is read by the shells of people.
const hookFile = settings.RunDir + "/hook.bash"

// How many sessions there are at most.
const (
	maxSessions  = 128
	maxOfOne     = 16
	maxGreetings = 32
)

// leastFiles is how many more a disk must have room for.
const leastFiles = 1000

// alarm is the name of all alarms about what could not be recorded.
const alarm = "recording-failed"

// sshServers are the programs that run a login shell, in the places where the
// systems have them. OpenSSH 9.8 made the part for one connection a program of its
// own.
var sshServers = []string{
	"/usr/sbin/sshd", "/usr/sbin/sshd-session", "/usr/lib/openssh/sshd-session", "/usr/lib/openssh/sshd-auth",
	"/usr/libexec/openssh/sshd-session", "/usr/libexec/sshd-session", "/usr/lib/ssh/sshd-session",
}

// Recorder is the daemon.
type Recorder struct {
	settings settings.Settings
	log      *event.Log
	root     string
	servers  []string
	cgroups  *cgroups
	// notAppendOnly is for file systems of tests that don't know the flag.
	notAppendOnly bool
	// free tells how many bytes of a file system are left.
	free func(path string) (int64, error)

	commands *chain.Writer
	text     *textLog
	folders  []*os.File // that must stay where they are

	mu       sync.Mutex
	sessions map[string]*session
	stopping bool
	broken   error                // why no session begins now
	seen     map[int]*throttles   // who had a session
	begun    map[int]*throttle    // how many sessions somebody asked for
	told     map[string]time.Time // alarms that would come again and again
	running  sync.WaitGroup
	greeting map[int]int // connections that no session is of yet, by user
	barred   map[int]bool

	reserve reserve
}

// Run records sessions until ctx is done; then those that are open end, in order.
func Run(ctx context.Context, s settings.Settings, log *event.Log) error {
	r := &Recorder{settings: s, log: log, servers: sshServers}
	return r.run(ctx, "")
}

func (r *Recorder) run(ctx context.Context, cgroup string) error {
	// 50 sessions are to fit beside all else in 512 MB.
	debug.SetGCPercent(50)
	// Files that programs of the session are handed must not be readable by others.
	unix.Umask(0o077)
	r.sessions, r.seen, r.told, r.greeting = map[string]*session{}, map[int]*throttles{}, map[string]time.Time{}, map[int]int{}
	r.begun = map[int]*throttle{}
	if r.free == nil {
		r.free = freeBytes
	}
	var err error
	if r.cgroups, err = openCgroups(cgroup); err != nil {
		r.log.Alarm(alarm, "sessions can't be held together, so that none begins", "error", err)
		return err
	}
	if !r.cgroups.limits {
		r.log.Note("no limits of tasks and memory for sessions: the controllers are not handed to this service")
	}
	if !r.cgroups.shares {
		r.log.Note("one session can slow others down: the controller of the processor is not handed to this service")
	}
	if err := r.cgroups.try(r.path(settings.BinDir, launch.Program)); err != nil {
		r.log.Note("logins take longer than they could: processes can't be started in another control group", "error", err)
	}
	if err := r.open(); err != nil {
		r.log.Alarm(alarm, "records can't be written, so that no session begins", "error", err)
		return err
	}
	defer r.close()
	r.recoverSessions()
	if err := r.check(); err != nil {
		r.fail(err)
	}
	people, err := r.listen(settings.RecorderSocket, true)
	if err != nil {
		return err
	}
	defer func() { _ = people.Close() }()
	control, err := r.listen(ControlSocket, false)
	if err != nil {
		return err
	}
	defer func() { _ = control.Close() }()
	go r.accept(people, r.greet)
	go r.accept(control, r.control)
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
	r.log.Note("recording")

	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
			r.stop()
			return nil
		case <-r.commands.Failed():
			err := fmt.Errorf("the command log: %w", r.commands.Err())
			r.fail(err)
			r.stop()
			return err // systemd starts it again, which mends what can be mended
		case <-tick.C:
			r.guard(func() { r.tick(n) })
		}
	}
}

// tick looks after what nobody waits for.
func (r *Recorder) tick(n int) {
	if err := r.able(); err != nil {
		r.fail(err)
	} else {
		r.mend()
		r.keepReserve()
	}
	for _, s := range r.all() {
		s.tick()
	}
	r.watchSockets()
	if n%2 == 1 {
		r.sweep()
	}
}

// able tells why nothing can be recorded, after room was made where a disk is full.
func (r *Recorder) able() error {
	err := r.check()
	if short := (*shortage)(nil); errors.As(err, &short) && r.room() {
		err = r.check()
	}
	return err
}

// once tells whether something has not been told for an hour.
func (r *Recorder) once(what string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last, found := r.told[what]; found && time.Since(last) < time.Hour {
		return false
	}
	if len(r.told) > 1000 {
		clear(r.told)
	}
	r.told[what] = time.Now()
	return true
}

// guard keeps a fault in one place from ending all sessions.
func (r *Recorder) guard(do func()) {
	defer func() {
		if p := recover(); p != nil {
			r.log.Alarm(alarm, "a fault in the recorder", "error", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	do()
}

func (r *Recorder) path(parts ...string) string {
	return filepath.Join(append([]string{r.root}, parts...)...)
}

func (r *Recorder) options(suffix, shadow string) chain.Options {
	return chain.Options{Suffix: suffix, Shadow: r.path(settings.ShadowDir, shadow), Room: r.room, NotAppendOnly: r.notAppendOnly}
}

// open opens what all sessions write to.
func (r *Recorder) open() error {
	for _, dir := range []string{settings.LogDir, settings.ShadowDir} {
		for _, part := range []string{"", string(settings.LogSessions), string(settings.LogCommands)} {
			if err := os.MkdirAll(r.path(dir, part), 0o700); err != nil {
				return err
			}
			if err := os.Chmod(r.path(dir, part), 0o700); err != nil { //nolint:gosec // a folder
				return err
			}
			f, err := os.Open(r.path(dir, part))
			if err != nil {
				return err
			}
			r.folders = append(r.folders, f)
		}
	}
	r.keepReserve()
	o := r.options(chain.Lines, string(settings.LogCommands))
	o.Resume = true
	var err error
	if r.commands, err = chain.Open(r.path(settings.LogDir, string(settings.LogCommands)), o); err != nil {
		return err
	}
	if r.text, err = openText(r.path(settings.LogDir, "bastion.log"), r.path(settings.ShadowDir, "bastion.log")); err != nil {
		return err
	}
	r.text.room = r.room
	// Everybody passes through this folder to the socket and to the hook.
	if err := os.MkdirAll(r.path(settings.RunDir), 0o755); err != nil { //nolint:gosec // a way for everybody
		return err
	}
	if err := os.Chmod(r.path(settings.RunDir), 0o755); err != nil { //nolint:gosec // as above
		return err
	}
	// Sessions cover it, whoever makes something in it later.
	if err := os.MkdirAll(r.path("/run/user"), 0o755); err != nil { //nolint:gosec // as systemd makes it
		return err
	}
	hook := r.path(hookFile)
	_ = os.Remove(hook)
	if err := os.WriteFile(hook, hookScript, 0o644); err != nil { //nolint:gosec // read by the shells of people
		return err
	}
	return os.Chmod(hook, 0o644) //nolint:gosec // whatever the umask
}

func (r *Recorder) close() {
	if r.commands != nil {
		if err := r.commands.Close(); err != nil {
			r.log.Alarm(alarm, "the command log can't be closed", "error", err)
		}
	}
	if r.text != nil {
		r.text.close()
	}
	for _, f := range r.folders {
		_ = f.Close()
	}
}

// listen makes a socket that people, or only root, may connect to.
func (r *Recorder) listen(path string, people bool) (*net.UnixListener, error) {
	path = r.path(path)
	_ = os.Remove(path)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if !people {
		return l, os.Chmod(path, 0o600)
	}
	// Without the group, everybody may knock; who gets in is decided by who it is.
	mode := os.FileMode(0o666)
	if group, err := user.LookupGroup(settings.PeopleGroup); err == nil {
		if gid, err := strconv.Atoi(group.Gid); err == nil && os.Chown(path, 0, gid) == nil {
			mode = 0o660
		}
	}
	return l, os.Chmod(path, mode)
}

func (r *Recorder) accept(l *net.UnixListener, serve func(*net.UnixConn)) {
	for {
		conn, err := l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(50 * time.Millisecond) // out of files, for as long as others hold them
			continue
		}
		go r.guard(func() {
			defer func() { _ = conn.Close() }()
			serve(conn)
		})
	}
}

// check tells why nothing can be recorded now.
func (r *Recorder) check() error {
	for _, f := range r.folders {
		if err := inPlace(f, f.Name()); err != nil {
			return err
		}
		free, err := r.free(f.Name())
		if err != nil {
			return err
		}
		if least := r.least(); free < least {
			return &shortage{folder: f.Name(), free: free, least: least}
		}
	}
	if err := r.text.there(); err != nil {
		return err
	}
	return r.commands.Err()
}

func freeBytes(path string) (int64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	// Each segment is a file.
	if stat.Files > 0 && stat.Ffree < leastFiles {
		return 0, &shortage{folder: path, free: int64(stat.Ffree), least: leastFiles, files: true}
	}
	return int64(stat.Bavail) * stat.Bsize, nil //nolint:gosec // no disk has so many
}

// fail ends all sessions and lets none begin.
func (r *Recorder) fail(err error) {
	r.mu.Lock()
	first := r.broken == nil
	r.broken = err
	r.mu.Unlock()
	if first {
		r.log.Alarm(alarm, "sessions can't be recorded: they end, and none begins", "error", err)
	}
	for _, s := range r.all() {
		s.end(whyFailed)
	}
}

func (r *Recorder) mend() {
	r.mu.Lock()
	was := r.broken
	r.broken = nil
	r.mu.Unlock()
	if was != nil {
		r.log.Note("sessions can be recorded again", "was", was)
	}
}

// stop ends all sessions and waits for their records to be closed.
func (r *Recorder) stop() {
	r.mu.Lock()
	r.stopping = true
	r.mu.Unlock()
	for _, s := range r.all() {
		s.end(whyStopped)
	}
	done := make(chan struct{})
	go func() {
		r.running.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		r.log.Alarm(alarm, "not all sessions could be ended in order")
	}
}

func (r *Recorder) all() []*session {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]*session, 0, len(r.sessions))
	for _, s := range r.sessions {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *session) int { return a.start.Compare(b.start) })
	return list
}

// entry writes one line of the command log, and says how long it is.
func (r *Recorder) entry(at time.Time, kind, session string, fields any) (int, error) {
	head, err := json.Marshal(struct {
		Time    string `json:"time"`
		Event   string `json:"event"`
		Session string `json:"session,omitempty"`
	}{at.UTC().Format("2006-01-02T15:04:05.000000Z"), kind, session})
	if err != nil {
		return 0, err
	}
	tail, err := json.Marshal(fields)
	if err != nil {
		return 0, err
	}
	line := chain.Escape(append(append(head[:len(head)-1], ','), tail[1:]...))
	return len(line) + 1, r.commands.Append(append(line, '\n'))
}

// recoverSessions ends what a killed daemon, or a host without power, left open.
func (r *Recorder) recoverSessions() {
	for _, id := range r.cgroups.left() {
		if err := errors.Join(r.cgroups.kill(id), r.cgroups.remove(id)); err != nil {
			r.log.Alarm(alarm, "processes of an earlier session can't be ended", "session", id, "error", err)
		}
	}
	base := r.path(settings.LogDir, string(settings.LogSessions))
	entries, err := os.ReadDir(base)
	if err != nil {
		r.log.Alarm(alarm, "earlier recordings can't be read", "error", err)
		return
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		dir := filepath.Join(base, e.Name())
		// Most are ended, or delivered and gone.
		last := lastSegment(dir)
		if len(last) == 0 {
			continue
		}
		if mark, ok := chain.ParseMark([]byte(last[len(last)-1])); ok && mark.Kind == chain.MarkEnd {
			continue
		}
		o := r.options(chain.Cast, filepath.Join(string(settings.LogSessions), e.Name()))
		o.First = func() []byte { return chain.Header{Width: 80, Height: 24, Session: chain.Session{ID: e.Name()}}.Line() }
		o.End = func() []byte {
			return chain.AppendEvent(nil, lastTime(dir), chain.EventMarker, []byte("the recorder or the host stopped without ending this session"))
		}
		unfinished, err := chain.Finish(dir, o)
		if err != nil {
			r.log.Alarm(alarm, "a recording that was left open can't be closed", "session", e.Name(), "error", err)
			continue
		}
		if unfinished {
			r.log.Alarm("recorder-died", "a session was not ended in order", "session", e.Name())
			if _, err := r.entry(time.Now(), "end", e.Name(), ending{Source: "recorder", Why: whyCrashed, Sum: lastSum(dir)}); err != nil {
				r.log.Alarm(alarm, "the command log", "error", err)
			}
		}
	}
}
