//go:build linux

package recorder

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/chain"
	"github.com/postern-cdk/postern/internal/host/recorder/launch"
	"github.com/postern-cdk/postern/internal/host/settings"
)

// why says what ended a session.
type why string

const (
	whyExit    why = "exit"
	whyHangup  why = "hangup"
	whyIdle    why = "idle"
	whyEnded   why = "ended"   // by an operator
	whyRevoked why = "revoked" // the person may no longer log in
	whyFailed  why = "recording-failed"
	whyFull    why = "record-full"
	whyDisk    why = "disk-filled"
	whyPorts   why = "ports-taken"
	whyStopped why = "stopped" // the recorder, or the host
	whyCrashed why = "crashed" // the recorder, or the host
)

// told is what the person reads.
var told = map[why]string{
	whyIdle:    "Nothing was typed for a long time: this session ends.",
	whyEnded:   "An operator of this bastion has ended this session.",
	whyRevoked: "Your access to this bastion was revoked: this session ends.",
	whyFailed:  "This session can't be recorded any more, so that it ends. The operators of this bastion know from an alarm.",
	whyFull:    "The record of this session is as large as one may be: this session ends.",
	whyDisk:    "Your files fill the disk of this bastion: your sessions end. Its operators know from an alarm.",
	whyPorts:   "Your programs have so many sockets that others could have none: your sessions end. The operators of this bastion know from an alarm.",
	whyStopped: "This bastion is stopping its sessions.",
}

// How much a person may have written: what comes after the first bytes is slowed
// down, so that nobody fills the disk in the time that it takes to notice.
// leastRecord, or an eighth of what is free at its start, is what one session may
// write in all.
const (
	freeRunBytes   = 128 << 20
	bytesPerSecond = 1 << 20
	leastRecord    = 256 << 20
	freeRunLines   = 2000
	linesPerSecond = 100
	// Each session, one that is refused too, is files, streams and requests of its own:
	// many short ones would keep the records of others waiting.
	freeRunSessions   = 60
	sessionsPerSecond = 4
	chunk             = 32 << 10
	lastWords         = 3 * time.Second
)

type session struct {
	r     *Recorder
	peer  *peer
	id    string
	start time.Time
	conn  *net.UnixConn

	record *chain.Writer
	cmd    *exec.Cmd
	outer  [3]*os.File // what sshd made
	inner  [3]*os.File // what the session has; of a terminal only the first
	modes  *unix.Termios
	term   bool
	enrols bool // and does nothing else

	limit    int64
	bytes    *throttle // of all sessions of the person
	lines    *throttle
	opened   atomic.Bool // the record
	closed   atomic.Bool
	in, out  atomic.Int64
	written  atomic.Int64
	typed    atomic.Int64 // Unix nanoseconds
	resized  chan struct{}
	ending   chan struct{}
	endOnce  sync.Once
	why      atomic.Value
	over     chan struct{}
	writing  sync.Mutex // of the terminal's output
	began    int        // numbers of lines in the shell's history
	ended    int
	last     string         // line that the hook told
	settling sync.WaitGroup // of what reads the session's ends
}

// beginning is the line of the command log that a session begins with.
type beginning struct {
	Source   string   `json:"source"`
	Instance string   `json:"instance"`
	Person   string   `json:"person"`
	UID      int      `json:"uid"`
	Address  string   `json:"address"`
	Port     int      `json:"port"`
	Terminal bool     `json:"terminal"`
	Command  string   `json:"command,omitempty"`
	Key      identity `json:"key"`
	Reason   string   `json:"reason,omitempty"`
}

// ending is the one that it ends with.
type ending struct {
	Source  string  `json:"source"`
	Person  string  `json:"person,omitempty"`
	Address string  `json:"address,omitempty"`
	Why     why     `json:"why"`
	Status  int     `json:"status"`
	Signal  string  `json:"signal,omitempty"`
	Seconds float64 `json:"seconds"`
	In      int64   `json:"bytesIn"`
	Out     int64   `json:"bytesOut"`
	// Sum is the digest of the last segment, which holds those of all before it.
	Sum string `json:"sum,omitempty"`
}

// typedLine, doneLine and programLine are what happens in between.
type typedLine struct {
	Source    string `json:"source"`
	Person    string `json:"person"`
	Address   string `json:"address"`
	Dir       string `json:"dir"`
	Number    int    `json:"n"`
	Line      string `json:"line"`
	Truncated bool   `json:"truncated,omitempty"`
}

type doneLine struct {
	Source string `json:"source"`
	Person string `json:"person"`
	Number int    `json:"n"`
	Status string `json:"status"`
}

type programLine struct {
	Source  string `json:"source"`
	Person  string `json:"person"`
	Address string `json:"address"`
	started
}

// untold stands for a line that the hook doesn't know.
const untold = "(a line that the shell kept out of its history)"

// refusal is what the person is told instead of getting a session.
type refusal string

func (r refusal) Error() string { return string(r) }

const (
	refusedNow      = refusal("Sessions can't be recorded on this bastion now, so that there are none. Its operators know from an alarm.")
	refusedStopping = refusal("This bastion is stopping.")
	refusedMany     = refusal("There are too many sessions. End one of yours, or try again later.")
	refusedDisk     = refusal("Your files fill the disk of this bastion: you have no session here until its operators have made room.")
	refusedCommand  = refusal("This bastion takes interactive sessions only: no commands, and no scp or sftp.")
)

// greet serves one connection of a login shell from beginning to end.
func (r *Recorder) greet(conn *net.UnixConn) {
	uid, ok := r.knock(conn)
	if !ok {
		return
	}
	var once sync.Once
	leave := func() { once.Do(func() { r.mu.Lock(); r.greeting[uid]--; r.mu.Unlock() }) }
	defer leave()

	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	fds, err := receive(conn)
	if err != nil {
		return // not our shell, or one that was killed
	}
	defer func() {
		for _, f := range fds {
			_ = f.Close()
		}
	}()
	p, err := r.identify(conn, fds)
	if gone := (vanishing{}); errors.As(err, &gone) && gone.hangup(conn, fds) {
		r.log.Note("a client hung up before its session began", "uid", uid)
		return
	}
	if err != nil {
		if r.once(strconv.Itoa(uid) + " " + err.Error()) {
			r.log.Alarm("session-refused", "someone who isn't the login shell asked for a session", "uid", uid, "reason", err)
		}
		_, _ = conn.Write([]byte("refused This bastion: " + oneLine(err.Error()) + ".\n"))
		return
	}
	time.Sleep(r.begins(uid))
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	s, err := r.prepare(conn, p, [3]*os.File(fds))
	leave()
	if err == nil {
		_ = conn.SetDeadline(time.Time{})
		defer r.running.Done()
		if s.enrols {
			err = s.enrol()
		} else {
			err = s.run()
		}
	}
	if err == nil {
		return
	}
	text, reason := refusedNow, err
	if !errors.As(err, &text) {
		r.log.Alarm(alarm, "a session could not begin", "person", p.name, "error", err)
	}
	b := r.beginning(p, false)
	b.Reason = reason.Error()
	now := time.Now()
	_, _ = r.entry(now, "refused", "", b)
	_ = r.text.write(textLine(now, p.address, p.name, "-", "recorder", p.home, "refused: "+p.command))
	_, _ = conn.Write([]byte("refused " + oneLine(string(text)) + "\n"))
}

// begins says how long a user's session has to wait before it begins.
func (r *Recorder) begins(uid int) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.begun[uid] == nil {
		r.begun[uid] = &throttle{burst: freeRunSessions, rate: sessionsPerSecond}
	}
	return r.begun[uid].take(1)
}

func oneLine(text string) string { return strings.ReplaceAll(text, "\n", " ") }

// knock lets only so many connections of one user wait at a time.
func (r *Recorder) knock(conn *net.UnixConn) (int, bool) {
	uid := -1
	if raw, err := conn.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
				uid = int(cred.Uid)
			}
		})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if uid < 0 || r.greeting[uid] >= maxGreetings {
		return uid, false
	}
	r.greeting[uid]++
	return uid, true
}

// receive takes the greeting of a login shell and its three streams.
func receive(conn *net.UnixConn) ([]*os.File, error) {
	buffer, control := make([]byte, 64), make([]byte, unix.CmsgSpace(3*4))
	n, cn, _, _, err := conn.ReadMsgUnix(buffer, control)
	if err != nil {
		return nil, err
	}
	var fds []*os.File
	messages, err := unix.ParseSocketControlMessage(control[:cn])
	for i := range messages {
		numbers, perr := unix.ParseUnixRights(&messages[i])
		err = errors.Join(err, perr)
		for _, fd := range numbers {
			unix.CloseOnExec(fd)
			_ = unix.SetNonblock(fd, true)
			fds = append(fds, os.NewFile(uintptr(fd), "stream"))
		}
	}
	if err == nil && (len(fds) != 3 || string(buffer[:n]) != "postern 1\n") {
		err = errors.New("not the login shell")
	}
	if err != nil {
		for _, f := range fds {
			_ = f.Close()
		}
		return nil, err
	}
	return fds, nil
}

func (r *Recorder) beginning(p *peer, terminal bool) beginning {
	return beginning{
		Source: "recorder", Instance: r.settings.InstanceID, Person: p.name, UID: p.uid, Address: p.address,
		Port: p.port, Terminal: terminal, Command: clean(p.command), Key: p.key,
	}
}

// prepare opens the record of a session, or says why there is none.
func (r *Recorder) prepare(conn *net.UnixConn, p *peer, streams [3]*os.File) (*session, error) {
	s := &session{
		r: r, peer: p, conn: conn, outer: streams, start: time.Now(),
		resized: make(chan struct{}, 1), ending: make(chan struct{}), over: make(chan struct{}),
	}
	var err error
	if s.term, err = s.isTerminal(); hungUp(streams[1]) {
		return nil, refusedGone
	}
	if err != nil {
		return nil, err
	}
	if s.enrols, err = r.enrols(p, s.term); err != nil {
		return nil, err
	}
	if !s.enrols && (p.command != "" || !s.term) && r.settings.Recording.Commands != settings.CommandsRecorded {
		return nil, refusedCommand
	}
	if s.enrols {
		p.command = enrolment
	}
	var random [4]byte
	_, _ = rand.Read(random[:])
	s.id = s.start.UTC().Format("20060102T150405Z-") + hex.EncodeToString(random[:])
	s.typed.Store(s.start.UnixNano())
	if err := r.able(); err != nil {
		r.fail(err)
		return nil, refusedNow
	}
	free, err := r.free(r.path(settings.LogDir))
	if err != nil {
		return nil, err
	}
	s.limit = max(leastRecord, (free-int64(r.settings.Recording.MinFreeMiB)<<20)/8)

	r.mu.Lock()
	of := 0
	for _, other := range r.sessions {
		if other.peer.uid == p.uid {
			of++
		}
	}
	switch {
	case r.stopping:
		err = refusedStopping
	case r.broken != nil:
		err = refusedNow
	case r.barred[p.uid]:
		err = refusedDisk
	case of >= maxOfOne || len(r.sessions) >= maxSessions:
		err = refusedMany
	default:
		if r.seen[p.uid] == nil {
			r.seen[p.uid] = &throttles{
				bytes: throttle{burst: freeRunBytes, rate: bytesPerSecond}, lines: throttle{burst: freeRunLines, rate: linesPerSecond},
			}
		}
		s.bytes, s.lines = &r.seen[p.uid].bytes, &r.seen[p.uid].lines
		r.sessions[s.id] = s
		r.running.Add(1)
	}
	r.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return s, nil
}

// isTerminal tells whether the streams are a terminal that sshd made for this
// shell, and not one that belongs to something else.
func (s *session) isTerminal() (bool, error) {
	var stats [3]unix.Stat_t
	terminals := 0
	for i, f := range s.outer {
		fd := descriptor(f)
		if err := unix.Fstat(fd, &stats[i]); err != nil {
			return false, err
		}
		if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
			terminals++
		}
	}
	if terminals == 0 {
		return false, nil
	}
	shell, err := readProcess(s.peer.pid)
	if err != nil {
		return false, err
	}
	device := stats[0].Rdev
	if major := unix.Major(device); terminals != 3 || major < 136 || major > 143 || stats[1].Rdev != device || stats[2].Rdev != device ||
		stats[0].Mode&unix.S_IFMT != unix.S_IFCHR || int(stats[0].Uid) != s.peer.uid || shell.tty != int(unix.Major(device)<<8|unix.Minor(device)&0xff|(unix.Minor(device)&^0xff)<<12) {
		return false, errors.New("the terminal is not one that sshd made for this session")
	}
	return true, nil
}

// run is a session from its first to its last line.
func (s *session) run() error {
	r := s.r
	defer close(s.over)
	defer func() { r.mu.Lock(); delete(r.sessions, s.id); r.mu.Unlock() }()
	if err := s.open(); err != nil {
		return err
	}
	whole := false
	defer func() {
		if !whole { // a fault of ours
			s.end(whyFailed)
			s.destroy()
			s.closed.Store(true)
			_ = s.record.Close()
		}
	}()
	if err := s.begin(); err != nil {
		if errors.Is(err, errHungUp) {
			s.end(whyHangup)
		} else {
			r.log.Alarm(alarm, "a session could not begin", "session", s.id, "person", s.peer.name, "error", err)
			_, _ = s.conn.Write([]byte("refused " + string(refusedNow) + "\n"))
			s.end(whyFailed)
		}
		s.destroy()
		if s.cmd != nil {
			err = s.cmd.Wait()
		}
		s.drain()
		s.finish(err)
		whole = true
		return nil
	}
	go r.guardSession(s, s.listen)
	status := make(chan error, 1)
	go func() { status <- s.cmd.Wait() }()

	// Both ways, and the kernel's reports, are under way. Now the session goes on
	// until its shell ends, or something else ends it.
	var result error
	select {
	case result = <-status:
		s.end(whyExit)
		s.destroy()
	case <-s.ending:
		s.farewell()
		s.destroy()
		result = <-status
	}
	s.drain()
	s.finish(result)
	whole = true
	return nil
}

// guardSession ends a session in which there is a fault of ours, and only that one.
func (r *Recorder) guardSession(s *session, do func()) {
	defer func() {
		if p := recover(); p != nil {
			r.guard(func() { panic(p) })
			s.end(whyFailed)
		}
	}()
	do()
}

// open makes the record and the first line about the session.
func (s *session) open() error {
	r := s.r
	rows, cols := uint16(24), uint16(80)
	if s.term {
		if size, err := unix.IoctlGetWinsize(s.fd(0), unix.TIOCGWINSZ); err == nil && size.Row > 0 && size.Col > 0 {
			rows, cols = size.Row, size.Col
		}
	}
	hostname, _ := os.Hostname()
	o := r.options(chain.Cast, filepath.Join(string(settings.LogSessions), s.id))
	o.Elapsed = s.elapsed
	o.First = func() []byte {
		return chain.Header{
			Width: int(cols), Height: int(rows), Timestamp: s.start.Unix(), Command: clean(s.peer.command),
			Env: map[string]string{"SHELL": "/bin/bash", "TERM": s.peer.env[slices.IndexFunc(s.peer.env, isTerm)][len("TERM="):]},
			Session: chain.Session{
				ID: s.id, Person: s.peer.name, Instance: r.settings.InstanceID, Address: s.peer.address, Port: s.peer.port,
				Host: hostname, Start: s.start.UTC(), Command: clean(s.peer.command),
			},
		}.Line()
	}
	o.End = func() []byte {
		return chain.AppendEvent(nil, s.elapsed(), chain.EventMarker, []byte("the session ends: "+string(s.because())))
	}
	var err error
	if s.record, err = chain.Open(s.dir(), o); err != nil {
		r.fail(err)
		return refusedNow
	}
	s.opened.Store(true)
	return nil
}

func isTerm(pair string) bool { return strings.HasPrefix(pair, "TERM=") }

func (s *session) dir() string {
	return s.r.path(settings.LogDir, string(settings.LogSessions), s.id)
}

func (s *session) elapsed() time.Duration { return time.Since(s.start) }

func (s *session) lastTyped() time.Time { return time.Unix(0, s.typed.Load()).UTC() }

// fd is the number of one of sshd's streams. File.Fd would make it block.
func (s *session) fd(i int) int { return descriptor(s.outer[i]) }

func descriptor(f *os.File) int {
	n := -1
	if raw, err := f.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { n = int(fd) })
	}
	return n
}

// begin starts the session's shell, held until all is in place.
func (s *session) begin() error {
	r := s.r
	if _, err := r.entry(s.start, "begin", s.id, r.beginning(s.peer, s.term)); err != nil {
		return err
	}
	notice := "session begins"
	if s.peer.command != "" {
		notice = "session begins: " + s.peer.command
	}
	if err := r.text.write(textLine(s.start, s.peer.address, s.peer.name, s.id, "recorder", s.peer.home, notice)); err != nil {
		return err
	}
	c := s.spec()
	if s.term {
		if err := s.takeTerminal(&c); err != nil {
			return s.unlessHungUp(err)
		}
	}
	socket, hook, err := s.spawn(c)
	if err != nil {
		return err
	}
	defer func() { _ = socket.Close() }()
	_ = socket.SetDeadline(time.Now().Add(15 * time.Second))
	if s.term {
		if s.inner[0], err = expect(socket, "terminal"); err != nil {
			_ = hook.Close()
			return err
		}
	}
	listener, err := expect(socket, "ready")
	if err != nil {
		_ = hook.Close()
		return err
	}
	s.settling.Go(func() {
		defer func() { _ = listener.Close() }()
		r.guardSession(s, func() { _ = programs(listener, s.program) })
	})
	s.settling.Go(func() {
		defer func() { _ = hook.Close() }()
		r.guardSession(s, func() { reports(hook, s.report) })
	})
	if s.term {
		s.show([]byte("This session is recorded: " + s.id + "\r\n"))
		go r.guardSession(s, s.input)
		go r.guardSession(s, s.resize)
		s.settling.Go(func() { r.guardSession(s, s.output) })
	} else {
		_, _ = s.conn.Write([]byte("streams\n"))
		go r.guardSession(s, s.streamIn)
		s.settling.Go(func() { r.guardSession(s, func() { s.streamOut(1) }) })
		s.settling.Go(func() { r.guardSession(s, func() { s.streamOut(2) }) })
	}
	_, err = socket.Write([]byte("go"))
	return err
}

// spec is what the shell is started with.
func (s *session) spec() launch.Spec {
	p := s.peer
	c := launch.Spec{
		UID: p.uid, GID: p.gid, Groups: p.groups, Home: p.home, Terminal: s.term, Rows: 24, Cols: 80,
		Processes:     2 * sessionTasks,
		Administrator: slices.Contains(s.r.settings.People.Sudo, p.name), Path: "/bin/bash",
		Env: append([]string{
			"HOME=" + p.home, "USER=" + p.name, "LOGNAME=" + p.name, "SHELL=/bin/bash",
			"PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin", "POSTERN_SESSION=" + s.id,
		}, p.env...),
	}
	switch command := p.command; {
	case command == "" && s.term:
		c.Args = []string{"bash", "--rcfile", s.r.path(hookFile), "-i"}
	case command == "":
		c.Args = []string{"-bash"}
	default:
		if server := sftpServer(); server != "" && (command == "internal-sftp" || strings.HasPrefix(command, "internal-sftp ")) {
			command = "exec " + server + strings.TrimPrefix(command, "internal-sftp")
		}
		c.Args = []string{"bash", "-c", command}
	}
	return c
}

// sftpServer is the program of the server that sshd has built in.
func sftpServer() string {
	for _, path := range []string{"/usr/libexec/openssh/sftp-server", "/usr/lib/openssh/sftp-server", "/usr/lib/ssh/sftp-server"} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// spawn starts the child in a control group of its own.
func (s *session) spawn(c launch.Spec) (*net.UnixConn, *os.File, error) {
	group, err := s.r.cgroups.make(s.id)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = group.Close() }()
	text, err := json.Marshal(c)
	if err != nil {
		return nil, nil, err
	}
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			_ = f.Close()
		}
	}()
	specRead, specWrite, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	theirs = append(theirs, specRead)
	go func() {
		_, _ = specWrite.Write(text)
		_ = specWrite.Close()
	}()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	far, near := os.NewFile(uintptr(pair[0]), "child"), os.NewFile(uintptr(pair[1]), "recorder")
	theirs = append(theirs, far, near)
	hook, hookWrite, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	theirs = append(theirs, hookWrite)

	s.cmd = exec.Command(s.r.path(settings.BinDir, launch.Program))
	s.cmd.Env = []string{}
	s.cmd.Dir = "/"
	s.cmd.ExtraFiles = []*os.File{specRead, far, hookWrite}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	s.r.cgroups.birth(s.cmd.SysProcAttr, group)
	if !s.term {
		for i := range 3 {
			read, write, err := os.Pipe()
			if err != nil {
				_ = hook.Close()
				return nil, nil, err
			}
			if i == 0 {
				s.cmd.Stdin, s.inner[0] = read, write
				theirs = append(theirs, read)
			} else {
				s.inner[i] = read
				theirs = append(theirs, write)
				if i == 1 {
					s.cmd.Stdout = write
				} else {
					s.cmd.Stderr = write
				}
			}
		}
	}
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		_ = hook.Close()
		return nil, nil, err
	}
	// What ends the session ends what is in its group: it is there before it does anything.
	socket, err := net.FileConn(near)
	if err := errors.Join(err, s.r.cgroups.adopt(s.id, s.cmd.Process.Pid)); err != nil {
		_ = hook.Close()
		_ = s.cmd.Process.Kill()
		return nil, nil, err
	}
	return socket.(*net.UnixConn), hook, nil
}

// expect receives a file from the child under a name.
func expect(socket *net.UnixConn, name string) (*os.File, error) {
	buffer, control := make([]byte, 1024), make([]byte, unix.CmsgSpace(4))
	n, cn, _, _, err := socket.ReadMsgUnix(buffer, control)
	if err != nil {
		return nil, fmt.Errorf("the session's process: %w", err)
	}
	if string(buffer[:n]) != name {
		return nil, fmt.Errorf("the session's process: %q", buffer[:n])
	}
	messages, err := unix.ParseSocketControlMessage(control[:cn])
	if err != nil || len(messages) != 1 {
		return nil, errors.New("the session's process sent no file")
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, errors.New("the session's process sent no file")
	}
	unix.CloseOnExec(fds[0])
	_ = unix.SetNonblock(fds[0], true)
	return os.NewFile(uintptr(fds[0]), name), nil
}

// listen takes what the login shell says: that the terminal has another size, or,
// by its end, that the connection is gone.
func (s *session) listen() {
	buffer := make([]byte, 64)
	for {
		n, err := s.conn.Read(buffer)
		if err != nil || n == 0 {
			s.end(whyHangup)
			return
		}
		select {
		case s.resized <- struct{}{}:
		default:
		}
	}
}

// end makes a session end, for the first reason that is given.
func (s *session) end(because why) {
	s.endOnce.Do(func() {
		s.why.Store(because)
		close(s.ending)
	})
}

func (s *session) because() why {
	if because, ok := s.why.Load().(why); ok {
		return because
	}
	return whyExit
}

// tick looks after what shows by itself only.
func (s *session) tick() {
	if !s.opened.Load() {
		return
	}
	select {
	case <-s.record.Failed():
		if err := s.record.Err(); !s.closed.Load() {
			s.r.fail(fmt.Errorf("session %s: %w", s.id, err))
		}
	default:
	}
	if limit := s.r.settings.Recording.IdleTimeout; limit > 0 && time.Since(s.lastTyped()) > limit {
		s.end(whyIdle)
	}
	if s.written.Load() > s.limit {
		s.r.log.Alarm("record-full", "a session has written as much as one may, and ends", "session", s.id, "person", s.peer.name)
		s.end(whyFull)
	}
	// A client that went away leaves a command without a terminal running.
	if s.term {
		return
	}
	if hungUp(s.outer[1]) {
		s.end(whyHangup)
	}
}

// write puts events into the record. Where that fails, nothing is shown any more.
func (s *session) write(line []byte) bool {
	if err := s.record.Append(line); err != nil {
		if !s.closed.Load() {
			s.r.fail(fmt.Errorf("session %s: %w", s.id, err))
		}
		s.end(whyFailed)
		return false
	}
	s.spend(len(line))
	return true
}

// spend counts what was written, and slows the session down.
func (s *session) spend(n int) {
	s.written.Add(int64(n))
	s.pause(s.bytes.take(float64(n)))
}

// pause slows a session down, for as long as it is not to end.
func (s *session) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-time.After(d):
	case <-s.ending:
	}
}

// program records a program that is about to start.
func (s *session) program(p started) error {
	err := s.entry("exec", programLine{Source: "kernel", Person: s.peer.name, Address: s.peer.address, started: p})
	if err == nil {
		line := commandLine(p.Args)
		if len(p.Args) == 0 || p.Args[0] != p.Path && !strings.HasSuffix(p.Path, "/"+p.Args[0]) {
			line = field(p.Path) + ": " + line // it calls itself something else
		}
		if p.Truncated {
			line += " ..."
		}
		err = s.text("kernel", p.Dir, line)
	}
	s.pause(s.lines.take(1))
	return err
}

// report records what the shell's hook tells. A line that the shell didn't report
// before it ran it is told afterwards; an empty one has the number of the last.
func (s *session) report(p report) {
	switch {
	case p.kind == "start":
		s.ended = p.number
	case p.kind == "typed":
		if p.line == "" || p.number == s.began && p.line == s.last {
			// The same entry again: the shell keeps no history, and what was typed is not in it.
			p.line = untold
		} else {
			s.last = p.line
		}
		s.began = p.number
		s.typedLine(p)
	case p.number == s.ended:
	default:
		if p.number != s.began {
			s.typedLine(p)
		}
		s.began, s.ended = p.number, p.number
		_ = s.entry("done", doneLine{Source: "shell", Person: s.peer.name, Number: p.number, Status: clean(p.kind)})
	}
	s.pause(s.lines.take(1))
}

func (s *session) typedLine(p report) {
	_ = s.entry("typed", typedLine{
		Source: "shell", Person: s.peer.name, Address: s.peer.address, Dir: p.dir, Number: p.number, Line: p.line, Truncated: p.cut,
	})
	_ = s.text("shell", p.dir, p.line)
}

func (s *session) entry(kind string, fields any) error {
	n, err := s.r.entry(time.Now(), kind, s.id, fields)
	if err != nil {
		s.r.fail(fmt.Errorf("the command log: %w", err))
	}
	s.spend(n)
	return err
}

func (s *session) text(by, dir, line string) error {
	out := textLine(time.Now(), s.peer.address, s.peer.name, s.id, by, dir, line)
	err := s.r.text.write(out)
	if err != nil {
		s.r.fail(fmt.Errorf("bastion.log: %w", err))
	}
	s.spend(len(out))
	return err
}

// farewell tells the person why, as far as there is somebody to tell.
func (s *session) farewell() {
	text := told[s.because()]
	if text == "" {
		return
	}
	if s.term {
		text = "\r\n" + text + "\r\n"
	} else {
		text += "\n"
	}
	// Not through the record, which may be what fails.
	f := s.outer[0]
	if !s.term {
		f = s.outer[2]
	}
	_ = f.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
	_, _ = io.WriteString(f, text)
}

// destroy ends all processes of the session.
func (s *session) destroy() {
	if err := s.r.cgroups.kill(s.id); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.r.log.Alarm("session-not-ended", "processes of a session can't be ended", "session", s.id, "error", err)
	}
}

// drain waits for what the session has written to be in the record, and shown to
// one who still reads.
func (s *session) drain() {
	for _, f := range s.outer {
		_ = f.SetWriteDeadline(time.Now().Add(lastWords))
	}
	done := make(chan struct{})
	go func() {
		s.settling.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(lastWords + time.Second):
		// A process that the kernel can't end yet holds the other side.
		for _, f := range s.inner {
			if f != nil {
				_ = f.Close()
			}
		}
		<-done
	}
}

// finish closes the record and tells the login shell how the session ended.
func (s *session) finish(result error) {
	r := s.r
	if err := r.cgroups.remove(s.id); err != nil {
		r.log.Alarm("session-not-ended", "processes of a session are still there", "session", s.id, "error", err)
	}
	e := ending{
		Source: "recorder", Person: s.peer.name, Address: s.peer.address, Why: s.because(),
		Seconds: s.elapsed().Seconds(), In: s.in.Load(), Out: s.out.Load(),
	}
	var exit *exec.ExitError
	line := "exit 0\n"
	switch {
	case errors.As(result, &exit) && exit.Sys().(syscall.WaitStatus).Signaled():
		signal := exit.Sys().(syscall.WaitStatus).Signal()
		e.Status, e.Signal = 128+int(signal), unix.SignalName(signal)
		line = fmt.Sprintf("signal %d\n", signal)
	case errors.As(result, &exit):
		e.Status = exit.ExitCode()
		line = fmt.Sprintf("exit %d\n", e.Status)
	case result != nil:
		e.Status = launch.Failed
		line = fmt.Sprintf("exit %d\n", e.Status)
	}
	if e.Why != whyExit {
		line = fmt.Sprintf("exit %d\n", launch.Failed)
	}
	s.closed.Store(true)
	if err := s.record.Close(); err != nil {
		r.log.Alarm(alarm, "the end of a session can't be recorded", "session", s.id, "error", err)
	}
	e.Sum = lastSum(s.dir())
	_ = s.entry("end", e)
	_ = s.text("recorder", s.peer.home, fmt.Sprintf("session ends: %s, status %d", e.Why, e.Status))
	if s.modes != nil {
		_ = unix.IoctlSetTermios(s.fd(0), unix.TCSETS, s.modes)
	}
	for _, f := range s.inner {
		if f != nil {
			_ = f.Close()
		}
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = s.conn.Write([]byte(line))
}
