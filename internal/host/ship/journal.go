package ship

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/postern-cdk/postern/internal/host/chain"
	"github.com/postern-cdk/postern/internal/host/settings"
)

var journalKinds = []settings.Log{settings.LogSSHD, settings.LogSudo, settings.LogAudit, settings.LogHost}

const (
	cursorFile = stateDir + "/cursor"
	spoolBytes = 1 << 20
	spoolAge   = time.Hour
	lineLimit  = 16 << 20 // a line of the journal beyond that is cut: it would be all of our memory
)

// Journal is a running follower of the journal.
type Journal interface {
	io.Reader
	// Close ends it, after what it has read already.
	Close() error
}

// fields that are asked for, next to the address of each entry. The command lines of
// processes, which may hold secrets, are not among them.
const fields = "MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,_SYSTEMD_UNIT,_PID,_UID,_EXE,_TRANSPORT"

type child struct {
	io.ReadCloser
	cmd *exec.Cmd
}

func (c *child) Close() error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	_, _ = io.Copy(io.Discard, c.ReadCloser)
	return c.cmd.Wait()
}

func journalctl(_ context.Context, cursor string) (Journal, error) {
	// Without --merge, --follow shows this boot only: what was written after we stopped
	// for a reboot, or before a power cut, would never be read.
	arguments := []string{"--follow", "--merge", "--no-tail", "--all", "--quiet", "--output=json", "--output-fields=" + fields}
	if id, err := os.ReadFile("/etc/machine-id"); err == nil && len(bytes.TrimSpace(id)) > 0 {
		arguments = append(arguments, "_MACHINE_ID="+string(bytes.TrimSpace(id))) // not what an image brought along
	}
	if cursor != "" {
		arguments = append(arguments, "--after-cursor="+cursor)
	}
	cmd := exec.Command("journalctl", arguments...) // ended by Close, when it was drained
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "SYSTEMD_LOG_LEVEL=err")
	endWithUs(cmd)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &child{out, cmd}, nil
}

// follow copies the journal to the spool for as long as ctx lasts, and what it
// holds when that ends.
func (s *Shipper) follow(ctx context.Context) {
	wanted := false
	for _, kind := range journalKinds {
		wanted = wanted || s.Settings.Group(kind) != ""
	}
	if !wanted {
		return
	}
	pause, since, alarmed, barren := firstPause, time.Time{}, false, 0
	for ctx.Err() == nil {
		if s.crowded() { // the journal keeps its lines until there is room
			sleep(ctx, pressureEvery)
			continue
		}
		cursor, _ := os.ReadFile(s.path(cursorFile))
		if barren >= 3 {
			cursor = nil // it is of a journal that is gone: all of this one, rather than none
		}
		n, err := s.copyJournal(ctx, string(cursor), func() {
			if alarmed {
				s.Log.Note("the journal is followed again")
			}
			pause, since, alarmed = firstPause, time.Time{}, false
		})
		if ctx.Err() != nil {
			return
		}
		if n == 0 {
			barren++
		} else {
			barren = 0
		}
		if since.IsZero() {
			since = time.Now()
		}
		if !alarmed && time.Since(since) > behind {
			alarmed = true
			s.Log.Alarm("journal-unreadable", "the journal can't be followed", "error", err)
		}
		sleep(ctx, pause)
		pause = min(2*pause, longPause)
	}
}

// crowded tells whether a spool that grows would take the room that recordings need.
func (s *Shipper) crowded() bool { return s.Settings.Recording.MinFreeMiB > 0 && s.pressed() }

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// copyJournal copies entries behind a cursor until the follower ends.
func (s *Shipper) copyJournal(ctx context.Context, cursor string, works func()) (entries int, err error) {
	spools := map[settings.Log]*chain.Writer{}
	defer func() {
		for _, w := range spools {
			err = errors.Join(err, w.Close())
		}
	}()
	for _, kind := range journalKinds {
		if s.Settings.Group(kind) == "" {
			continue
		}
		w, err := chain.Open(s.path(journalDir, string(kind)), chain.Options{
			Suffix: chain.Lines, Resume: true, MaxBytes: spoolBytes, MaxAge: spoolAge, NotAppendOnly: true,
		})
		if err != nil {
			return 0, err
		}
		spools[kind] = w
	}
	journal, err := s.Journal(ctx, cursor)
	if err != nil {
		return 0, err
	}
	lines := make(chan []byte)
	failed := make(chan error, 1)
	go func() {
		defer close(lines)
		in := bufio.NewReaderSize(journal, 64<<10)
		for {
			line, err := readLine(in)
			if err != nil {
				failed <- err
				return
			}
			lines <- line
		}
	}()
	defer func() {
		go func() {
			for range lines { // so that the reader can end
			}
		}()
		_ = journal.Close()
	}()
	kept := cursor
	keep := func() error {
		if cursor == kept {
			return nil
		}
		for _, w := range spools {
			if err := w.Sync(); err != nil {
				return err
			}
		}
		s.at("spooled")
		kept = cursor
		return write(s.path(cursorFile), []byte(cursor))
	}
	every := time.NewTicker(time.Second)
	defer every.Stop()
	done := ctx.Done()
	var quiet, latest <-chan time.Time
	for {
		select {
		case line, more := <-lines:
			if !more {
				return entries, errors.Join(<-failed, keep())
			}
			e, err := parseEntry(line)
			if err != nil {
				continue // not an entry: journalctl's own words
			}
			if w := spools[e.kind]; w != nil {
				text, err := json.Marshal([]any{e.at, string(e.line)})
				if err != nil {
					return entries, err
				}
				if err := w.Append(append(text, '\n')); err != nil {
					return entries, err
				}
			}
			cursor = e.cursor
			if entries++; entries == 1 {
				works()
			}
			if quiet != nil {
				quiet = time.After(quietFor)
			}
		case <-every.C:
			if err := keep(); err != nil {
				return entries, err
			}
			if s.crowded() {
				return entries, errors.New("the disk is short of room")
			}
		case <-done:
			done, quiet, latest = nil, time.After(quietFor), time.After(5*time.Second)
		case <-quiet:
			return entries, keep()
		case <-latest:
			return entries, keep()
		}
	}
}

// quietFor is how long the journal says nothing when it has said all.
const quietFor = 500 * time.Millisecond

// readLine reads a line, and of a very long one the beginning.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		if room := lineLimit - len(line); len(part) > room {
			part = part[:room]
		}
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// entry is one line of the journal.
type entry struct {
	cursor string
	at     int64 // milliseconds
	kind   settings.Log
	line   []byte
}

func parseEntry(line []byte) (entry, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(line, &raw); err != nil {
		return entry{}, err
	}
	text := func(name string) string { return fieldText(raw[name]) }
	e := entry{cursor: text("__CURSOR")}
	if e.cursor == "" {
		return e, errors.New("no cursor")
	}
	if micro, err := strconv.ParseInt(text("__REALTIME_TIMESTAMP"), 10, 64); err == nil {
		e.at = micro / 1000
	}
	message, identifier, unit := text("MESSAGE"), text("SYSLOG_IDENTIFIER"), text("_SYSTEMD_UNIT")
	uid, exe, transport := text("_UID"), text("_EXE"), text("_TRANSPORT")
	// Fields with an underscore come from journald, others from whoever wrote.
	root := uid == "0"
	switch {
	case transport == "audit":
		e.kind = settings.LogAudit
	case strings.HasPrefix(identifier, "sshd") && root:
		e.kind = settings.LogSSHD
	case identifier == "sudo" && (exe == "/usr/bin/sudo" || exe == "" && root):
		e.kind = settings.LogSudo
	default:
		e.kind = settings.LogHost
	}
	ours := root && (strings.HasPrefix(unit, "postern-") || strings.HasPrefix(unit, "cloud-") || identifier == "postern")
	// The relay is no longer root when it tells: it is heard about connections alone.
	ours = ours && strings.HasPrefix(message, `{"postern":`) || unit == "postern-relay.service" && strings.HasPrefix(message, `{"postern":"relay",`)
	if ours && json.Valid([]byte(message)) {
		e.line = []byte(message)
		return e, nil
	}
	var err error
	e.line, err = json.Marshal(struct {
		Time       string `json:"time"`
		Unit       string `json:"unit,omitempty"`
		Identifier string `json:"identifier,omitempty"`
		PID        string `json:"pid,omitempty"`
		UID        string `json:"uid,omitempty"`
		Program    string `json:"program,omitempty"`
		Priority   string `json:"priority,omitempty"`
		Message    string `json:"message"`
	}{
		time.UnixMilli(e.at).UTC().Format("2006-01-02T15:04:05.000Z"), unit, identifier, text("_PID"), uid,
		exe, text("PRIORITY"), message,
	})
	return e, err
}

// fieldText is a field of journalctl's JSON: a string, numbers where it is not
// UTF-8, or a list where the entry has it several times.
func fieldText(raw json.RawMessage) string {
	var text string
	if len(raw) == 0 || json.Unmarshal(raw, &text) == nil {
		return text
	}
	var octets []byte
	var numbers []uint8
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return ""
	}
	for _, item := range list {
		var n uint8
		if json.Unmarshal(item, &n) == nil {
			numbers = append(numbers, n)
			continue
		}
		if s := fieldText(item); s != "" {
			if len(octets) > 0 {
				octets = append(octets, '\n')
			}
			octets = append(octets, s...)
		}
	}
	return strings.ToValidUTF8(string(append(octets, numbers...)), "\uFFFD")
}
