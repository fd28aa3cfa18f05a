//go:build linux

package check

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/chain"
	"github.com/postern-cdk/postern/internal/host/settings"
)

// recorded is the session that the checks had.
type recorded struct {
	id string
	// Two halves of a word: typed apart, printed and started together, so that
	// neither the echo of the terminal nor the history can be taken for output.
	first, second string
	port          int
}

func (r recorded) word() string { return r.first + r.second }

// closing is how long after its end a session may take to be on the disk.
const closing = 3 * time.Second

// recording logs in as people do, and looks for what it did in all that is kept.
func (h *Host) recording(ctx context.Context) (string, error) {
	seen, err := h.have(ctx)
	if err != nil {
		return "", err
	}
	limited, cancel := context.WithTimeout(ctx, closing)
	defer cancel()
	for _, look := range []func(recorded) error{h.cast, h.files, h.commandLog, h.textLog} {
		if err := until(limited, func() error { return look(seen) }); err != nil {
			return "", fmt.Errorf("session %s: %w", seen.id, err)
		}
	}
	detail := "session " + seen.id + " is recorded, chained, append-only and in the shadow"
	if h.Recording.Commands != settings.CommandsRefused {
		return detail + "; commands are recorded by choice", nil
	}
	if err := h.commandsRefused(ctx); err != nil {
		return "", err
	}
	return detail + "; commands are refused", nil
}

// have has the one session of a run.
func (h *Host) have(ctx context.Context) (recorded, error) {
	h.session.Do(func() { h.seen, h.failed = h.live(ctx) })
	return h.seen, h.failed
}

func (h *Host) live(ctx context.Context) (recorded, error) {
	var seen recorded
	random := make([]byte, 8)
	_, _ = rand.Read(random)
	text := hex.EncodeToString(random)
	seen.first, seen.second = "postern-"+text[:8], text[8:]
	client, err := h.dial(ctx)
	if err != nil {
		return seen, err
	}
	defer func() { _ = client.Close() }()
	if address, ok := client.LocalAddr().(*net.TCPAddr); ok {
		seen.port = address.Port
	}
	session, err := client.NewSession()
	if err != nil {
		return seen, fmt.Errorf("sshd gives no session: %w", err)
	}
	var screen screen
	session.Stdout, session.Stderr = &screen, &screen
	keys, err := session.StdinPipe()
	if err != nil {
		return seen, err
	}
	if err := session.RequestPty("xterm", 24, 120, ssh.TerminalModes{}); err != nil {
		return seen, fmt.Errorf("sshd gives no terminal: %w", err)
	}
	if err := session.Shell(); err != nil {
		return seen, fmt.Errorf("sshd gives no shell: %w", err)
	}
	// A session that ends at once says why.
	_, _ = fmt.Fprintf(keys, "env echo %q%q\nexit\n", seen.first, seen.second)
	err = session.Wait()
	if !strings.Contains(screen.String(), seen.word()) {
		return seen, fmt.Errorf("the session did not run a command, but ended with %w and said %q", err, last(screen.String()))
	}
	limited, cancel := context.WithTimeout(ctx, closing)
	defer cancel()
	err = until(limited, func() error {
		var err error
		seen.id, err = h.find(seen.port)
		return err
	})
	return seen, err
}

// screen is what both streams of a session show.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *screen) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(text)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// last is the end of what a session said.
func last(text string) string {
	text = strings.TrimSpace(text)
	return text[max(0, len(text)-200):]
}

func (h *Host) sessions() string {
	return h.path(filepath.Join(settings.LogDir, string(settings.LogSessions)))
}

// find is the ID of the session that came from a port. IDs sort by time, and it is
// one of the last.
func (h *Host) find(port int) (string, error) {
	entries, err := os.ReadDir(h.sessions())
	if err != nil {
		return "", fmt.Errorf("no recordings can be read: %w", err)
	}
	slices.Reverse(entries)
	for _, entry := range entries[:min(len(entries), 200)] {
		header, err := header(filepath.Join(h.sessions(), entry.Name(), "000001"+chain.Cast))
		if err == nil && header.Session.Person == settings.CheckUser && header.Session.Port == port &&
			h.now().Sub(header.Session.Start).Abs() < time.Minute {
			return entry.Name(), nil
		}
	}
	return "", errors.New("the session ran, and no recording of it is there")
}

func header(path string) (chain.Header, error) {
	var header chain.Header
	file, err := os.Open(path)
	if err != nil {
		return header, err
	}
	defer func() { _ = file.Close() }()
	line, err := bufio.NewReader(io.LimitReader(file, 64<<10)).ReadBytes('\n')
	if err != nil {
		return header, err
	}
	return header, json.Unmarshal(line, &header)
}

// cast looks for the output in the recording, and verifies the chain.
func (h *Host) cast(seen recorded) error {
	dir := filepath.Join(h.sessions(), seen.id)
	report, err := chain.Verify(dir)
	if err != nil {
		return err
	}
	if !report.Whole() {
		return fmt.Errorf("its chain is broken: %w", report.Fault)
	}
	segments, err := filepath.Glob(filepath.Join(dir, "*"+chain.Cast))
	if err != nil {
		return err
	}
	// An output may be cut in two anywhere.
	var output strings.Builder
	for _, segment := range segments {
		text, err := os.ReadFile(segment)
		if err != nil {
			return err
		}
		for line := range bytes.Lines(text) {
			if e, err := chain.ParseEvent(line); err == nil && e.Code == chain.EventOutput {
				output.WriteString(e.Data)
			}
		}
	}
	if !strings.Contains(output.String(), seen.word()) {
		return errors.New("what the session showed is not in its recording")
	}
	return nil
}

// files looks at who could read or change the recording, and at its shadow.
func (h *Host) files(seen recorded) error {
	name := filepath.Join(string(settings.LogSessions), seen.id)
	segments, err := filepath.Glob(h.path(filepath.Join(settings.LogDir, name, "*")))
	if err != nil {
		return err
	}
	for _, segment := range segments {
		shadow := h.path(filepath.Join(settings.ShadowDir, name, filepath.Base(segment)))
		for _, file := range []string{segment, shadow} {
			if err := private(file); err != nil {
				return err
			}
			on, err := h.appendOnly(file)
			if err != nil {
				return fmt.Errorf("whether %s can be changed is not known: %w", file, err)
			}
			if !on {
				return fmt.Errorf("%s is not append-only", file)
			}
		}
		if err := same(segment, shadow); err != nil {
			return err
		}
	}
	for _, dir := range []string{settings.LogDir, settings.ShadowDir} {
		if err := private(h.path(filepath.Join(dir, name))); err != nil {
			return err
		}
	}
	return nil
}

// private refuses what another user than root can read or write.
func private(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	system, ok := info.Sys().(*syscall.Stat_t)
	if info.Mode().Perm()&0o077 != 0 || !ok || int(system.Uid) != os.Geteuid() {
		return fmt.Errorf("%s is not root's alone: %s", path, info.Mode())
	}
	return nil
}

func same(one, other string) error {
	a, err := os.ReadFile(one)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(other)
	if err != nil {
		return fmt.Errorf("the shadow: %w", err)
	}
	if !bytes.Equal(a, b) {
		return fmt.Errorf("%s differs from its shadow", one)
	}
	return nil
}

// appendOnly asks the file system for FS_APPEND_FL.
func appendOnly(path string) (bool, error) {
	const appendFlag = 0x20
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }()
	flags, err := unix.IoctlGetInt(int(file.Fd()), unix.FS_IOC_GETFLAGS)
	return flags&appendFlag != 0, err
}

// commandLog looks for what was typed, what the kernel saw start, and for the
// session's begin and end.
func (h *Host) commandLog(seen recorded) error {
	segments, err := filepath.Glob(h.path(filepath.Join(settings.LogDir, string(settings.LogCommands), "*"+chain.Lines)))
	if err != nil {
		return err
	}
	found := map[string]bool{}
	// The session is no longer ago than what the last segments hold.
	for _, segment := range segments[max(0, len(segments)-10):] {
		text, err := os.ReadFile(segment)
		if err != nil {
			return err
		}
		for line := range bytes.Lines(text) {
			var entry struct {
				Event, Session, Source, Line string
				Argv                         []string
			}
			if json.Unmarshal(line, &entry) != nil || entry.Session != seen.id {
				continue
			}
			switch entry.Event {
			case "typed":
				found["typed"] = found["typed"] || strings.Contains(entry.Line, fmt.Sprintf("%q%q", seen.first, seen.second))
			case "exec":
				found["exec"] = found["exec"] || entry.Source == "kernel" && slices.Contains(entry.Argv, seen.word())
			default:
				found[entry.Event] = true
			}
		}
	}
	for _, event := range []string{"begin", "typed", "exec", "end"} {
		if !found[event] {
			return fmt.Errorf("the command log has no line %q of it", event)
		}
	}
	return nil
}

// textLog looks into the log for people's eyes, and its shadow.
func (h *Host) textLog(seen recorded) error {
	for _, dir := range []string{settings.LogDir, settings.ShadowDir} {
		path := h.path(filepath.Join(dir, "bastion.log"))
		text, err := tail(path, 1<<20)
		if err != nil {
			return err
		}
		if !strings.Contains(text, "[SESSION]:"+seen.id+" ") {
			return fmt.Errorf("%s does not mention it", path)
		}
	}
	return nil
}

// tail is the end of a file.
func tail(path string, size int64) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.NewSectionReader(file, max(0, info.Size()-size), size))
	return string(text), err
}

// commandsRefused brings a command, whose output must not come back.
func (h *Host) commandsRefused(ctx context.Context) error {
	client, err := h.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	for what, ask := range map[string]func(*ssh.Session) ([]byte, error){
		"a command": func(s *ssh.Session) ([]byte, error) { return s.CombinedOutput("echo postern-$((40+2))") },
		"sftp": func(s *ssh.Session) ([]byte, error) {
			answer, err := s.StdoutPipe()
			if err != nil {
				return nil, err
			}
			in, err := s.StdinPipe()
			if err != nil {
				return nil, err
			}
			if err := s.RequestSubsystem("sftp"); err != nil {
				return nil, err
			}
			_, _ = in.Write([]byte{0, 0, 0, 5, 1, 0, 0, 0, 3})
			_ = in.Close()
			// SSH_FXP_VERSION is what an sftp server says.
			text, err := io.ReadAll(io.LimitReader(answer, 4096))
			if len(text) >= 5 && text[4] == 2 {
				return []byte("postern-42"), err
			}
			return text, err
		},
	} {
		session, err := client.NewSession()
		if err != nil {
			return fmt.Errorf("sshd gives no session: %w", err)
		}
		said, err := ask(session)
		_ = session.Close()
		if strings.Contains(string(said), "postern-42") {
			return fmt.Errorf("%s is run that should be refused", what)
		}
		var exit *ssh.ExitError
		if err == nil && what == "a command" {
			return errors.New("a command is not run, and its client is told that all is well")
		}
		if err != nil && what == "a command" && !errors.As(err, &exit) {
			return fmt.Errorf("a command is not refused in order: %w", err)
		}
	}
	return nil
}
