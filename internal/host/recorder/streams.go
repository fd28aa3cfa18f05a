//go:build linux

package recorder

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/chain"
	"github.com/postern-cdk/postern/internal/host/recorder/launch"
)

// eventError says, before an event, that it was of the standard error.
const eventError = 'E'

// splitWait is how long the rest of a character is waited for.
const splitWait = 20 * time.Millisecond

// takeTerminal makes sshd's terminal root's, so that the person can't open it, and
// passes every byte on as it is.
func (s *session) takeTerminal(c *launch.Spec) error {
	fd := s.fd(0)
	if err := errors.Join(unix.Fchown(fd, 0, 0), unix.Fchmod(fd, 0o600)); err != nil {
		return err
	}
	modes, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	was := *modes
	s.modes, c.Modes = &was, &was
	modes.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	modes.Oflag &^= unix.OPOST
	modes.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	modes.Cflag = modes.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	modes.Cc[unix.VMIN], modes.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, modes); err != nil {
		return err
	}
	if size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err == nil && size.Row > 0 && size.Col > 0 {
		c.Rows, c.Cols = size.Row, size.Col
	}
	return nil
}

// show records output and then shows it.
func (s *session) show(data []byte) bool {
	s.writing.Lock()
	defer s.writing.Unlock()
	if !s.write(chain.AppendEvent(nil, s.elapsed(), chain.EventOutput, data)) {
		return false
	}
	s.out.Add(int64(len(data)))
	// One who doesn't read any more loses what is shown, and the record nothing.
	_, _ = s.outer[0].Write(data)
	return true
}

// output takes what the session's terminal puts out, for as long as it is there.
func (s *session) output() {
	buffer := make([]byte, chunk)
	held := 0
	for {
		if held > 0 {
			_ = s.inner[0].SetReadDeadline(time.Now().Add(splitWait))
		} else {
			_ = s.inner[0].SetReadDeadline(time.Time{})
		}
		n, err := readMany(s.inner[0], buffer[held:])
		n += held
		late := errors.Is(err, os.ErrDeadlineExceeded)
		if err != nil && !late && n == 0 {
			return
		}
		// The first bytes of a character are recorded and shown with the others.
		held = 0
		if err == nil {
			held = incomplete(buffer[:n])
		}
		if n > held && !s.show(buffer[:n-held]) {
			return
		}
		copy(buffer, buffer[n-held:n])
		if err != nil && !late {
			return
		}
	}
}

// readMany reads what there is, up to the size of the buffer: a terminal gives no
// more than 4 KiB at a time.
func readMany(f *os.File, buffer []byte) (int, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	total := 0
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		for total < len(buffer) {
			n, err := unix.Read(int(fd), buffer[total:])
			switch {
			case err == unix.EINTR:
				continue
			case err == unix.EAGAIN:
				return total > 0
			case err != nil:
				failed = err
				return true
			case n == 0:
				failed = io.EOF
				return true
			}
			total += n
		}
		return true
	})
	if err == nil && total == 0 {
		err = failed
	}
	return total, err
}

// incomplete is how many bytes at the end begin a character that isn't whole yet.
func incomplete(data []byte) int {
	for i := 1; i <= min(utf8.UTFMax-1, len(data)); i++ {
		c := data[len(data)-i]
		if utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(data[len(data)-i:]) {
				return i
			}
			return 0
		}
	}
	return 0
}

// input passes on what is typed.
func (s *session) input() {
	buffer := make([]byte, 4<<10)
	for {
		n, err := s.outer[0].Read(buffer)
		if n == 0 || err != nil {
			s.end(whyHangup)
			return
		}
		s.typed.Store(time.Now().UnixNano())
		s.in.Add(int64(n))
		if s.r.settings.Recording.Input && !s.write(chain.AppendEvent(nil, s.elapsed(), chain.EventInput, buffer[:n])) {
			return
		}
		if _, err := s.inner[0].Write(buffer[:n]); err != nil {
			return
		}
	}
}

// resize gives the session's terminal the size of sshd's, no more than some times
// a second.
func (s *session) resize() {
	var last unix.Winsize
	for {
		select {
		case <-s.resized:
		case <-s.ending:
			return
		}
		size, err := unix.IoctlGetWinsize(s.fd(0), unix.TIOCGWINSZ)
		if err == nil && *size != last && size.Row > 0 && size.Col > 0 {
			last = *size
			if !s.write(chain.AppendEvent(nil, s.elapsed(), chain.EventResize, fmt.Appendf(nil, "%dx%d", size.Col, size.Row))) {
				return
			}
			_ = unix.IoctlSetWinsize(descriptor(s.inner[0]), unix.TIOCSWINSZ, size)
		}
		s.pause(50 * time.Millisecond)
	}
}

// streamIn passes on what a command is given.
func (s *session) streamIn() {
	defer func() { _ = s.inner[0].Close() }()
	buffer := make([]byte, chunk)
	for {
		n, err := readMany(s.outer[0], buffer)
		if n > 0 {
			s.typed.Store(time.Now().UnixNano())
			s.in.Add(int64(n))
			if !s.write(exact(s.elapsed(), chain.EventInput, buffer[:n])) {
				return
			}
			if _, err := s.inner[0].Write(buffer[:n]); err != nil {
				return // it doesn't read any more
			}
		}
		if err != nil {
			return
		}
	}
}

// streamOut passes on what a command puts out.
func (s *session) streamOut(i int) {
	buffer := make([]byte, chunk)
	defer s.closeOut(i)
	for {
		n, err := readMany(s.inner[i], buffer)
		if n > 0 {
			s.typed.Store(time.Now().UnixNano())
			s.out.Add(int64(n))
			line := exact(s.elapsed(), chain.EventOutput, buffer[:n])
			if i == 2 {
				line = append(chain.AppendEvent(nil, s.elapsed(), eventError, nil), line...)
			}
			if !s.write(line) {
				return
			}
			if _, err := s.outer[i].Write(buffer[:n]); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				// As if the command wrote to it itself: it gets SIGPIPE.
				_ = s.inner[i].Close()
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// closeOut tells the client that no more comes. What is a socket is so for both
// ways.
func (s *session) closeOut(i int) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if unix.Shutdown(s.fd(i), unix.SHUT_WR) == nil {
		return
	}
	_ = s.outer[i].Close()
	if i == 2 {
		_, _ = s.conn.Write([]byte("quiet\n"))
	}
}

// exact is an event for bytes that nobody looks at on a terminal: those that aren't
// UTF-8 are there once.
func exact(at time.Duration, code byte, data []byte) []byte {
	if utf8.Valid(data) {
		return chain.AppendEvent(nil, at, code, data)
	}
	line := chain.AppendEvent(nil, at, code, nil)
	as := byte(chain.EventExactOutput)
	if code == chain.EventInput {
		as = chain.EventExactInput
	}
	return chain.AppendEvent(line, at, as, []byte(base64.StdEncoding.EncodeToString(data)))
}

// throttle lets burst through and then rate a second.
type throttle struct {
	burst, rate float64

	mu    sync.Mutex
	spent float64
	last  time.Time
}

// throttles are those of one person.
type throttles struct{ bytes, lines throttle }

// take spends and says how long to wait.
func (t *throttle) take(n float64) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if !t.last.IsZero() {
		t.spent = max(0, t.spent-now.Sub(t.last).Seconds()*t.rate)
	}
	t.last = now
	t.spent += n
	return time.Duration(max(0, t.spent-t.burst) / t.rate * float64(time.Second))
}

// lastSegment reads the end of what is recorded in a directory.
func lastSegment(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), chain.Cast) {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return nil
	}
	return lines(filepath.Join(dir, slices.Max(names)))
}

// lastSum is the digest that a closed recording ends with.
func lastSum(dir string) string {
	all := lastSegment(dir)
	if len(all) == 0 {
		return ""
	}
	mark, _ := chain.ParseMark([]byte(all[len(all)-1]))
	return mark.Sum
}

// lastTime is when the last event of a recording was.
func lastTime(dir string) time.Duration {
	all := lastSegment(dir)
	for i := len(all) - 1; i >= 0; i-- {
		if e, err := chain.ParseEvent([]byte(all[i])); err == nil {
			return time.Duration(e.Time * float64(time.Second))
		}
	}
	return 0
}
