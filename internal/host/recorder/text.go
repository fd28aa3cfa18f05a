//go:build linux

package recorder

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// printable makes text that came from a person one line that can't be mistaken for
// another: what doesn't print, directs a terminal, changes the direction of writing
// or isn't UTF-8 is written as Go escapes it, and so is the backslash itself.
func printable(text string) string {
	quoted := strconv.Quote(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// field is text within a line, quoted where its end would be in doubt.
func field(text string) string {
	for _, c := range text {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("/._-+@,=~:", c) {
			return strconv.Quote(text)
		}
	}
	if text == "" {
		return `""`
	}
	return text
}

// textLine is a line of bastion.log. Its last part is the command, to the end of
// the line; nothing before it can be made to look like another part.
func textLine(at time.Time, address, person, session, by, dir, command string) string {
	return fmt.Sprintf("[ON]:%s [FROM]:%s [USER]:%s [SESSION]:%s [BY]:%s [PWD]:%s: %s\n",
		at.UTC().Format(time.RFC3339), field(address), field(person), session, by, field(dir), printable(command))
}

// textLog is bastion.log and its shadow: plain text for people's eyes. The chained
// command log is what counts as evidence.
type textLog struct {
	paths []string
	limit int64
	// room is asked where the disk is full. nil: there is none.
	room func() bool

	mu    sync.Mutex
	files []*os.File
	size  int64
}

const (
	textLimit = 32 << 20
	textKept  = 4
)

func openText(paths ...string) (*textLog, error) {
	t := &textLog{paths: paths, limit: textLimit}
	if err := t.open(); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *textLog) open() error {
	for _, path := range t.paths {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return err
		}
		setAppendOnly(f, true)
		info, err := f.Stat()
		if err != nil {
			return err
		}
		t.size = max(t.size, info.Size())
		t.files = append(t.files, f)
	}
	return nil
}

func (t *textLog) write(line string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.files {
		n, err := f.WriteString(line)
		if errors.Is(err, unix.ENOSPC) && t.room != nil && t.room() {
			_, err = f.WriteString(line[n:])
		}
		if err != nil {
			return err
		}
	}
	if t.size += int64(len(line)); t.size < t.limit {
		return nil
	}
	return t.rotate()
}

// rotate keeps the last few files, so that what nobody reads can't fill the disk.
func (t *textLog) rotate() error {
	for i, path := range t.paths {
		setAppendOnly(t.files[i], false)
		_ = t.files[i].Close()
		for n := textKept; n > 0; n-- {
			older, newer := path+"."+strconv.Itoa(n), path
			if n > 1 {
				newer = path + "." + strconv.Itoa(n-1)
			}
			if err := os.Rename(newer, older); err != nil && !os.IsNotExist(err) {
				return err
			}
		}
	}
	t.files, t.size = nil, 0
	return t.open()
}

// there tells whether the files are still where they were opened.
func (t *textLog) there() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, path := range t.paths {
		if err := inPlace(t.files[i], path); err != nil {
			return err
		}
	}
	return nil
}

func (t *textLog) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.files {
		_ = f.Close()
	}
}

// inPlace tells whether a path still leads to what was opened there.
func inPlace(f *os.File, path string) error {
	was, err := f.Stat()
	if err != nil {
		return err
	}
	is, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !os.SameFile(was, is) {
		return fmt.Errorf("%s was replaced", path)
	}
	return nil
}

// fsAppendFlag is FS_APPEND_FL of linux/fs.h.
const fsAppendFlag = 0x20

// setAppendOnly is a matter of the file system, and not all have it: the chained
// records insist on it, this text doesn't.
func setAppendOnly(f *os.File, on bool) {
	flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil {
		return
	}
	if on {
		flags |= fsAppendFlag
	} else {
		flags &^= fsAppendFlag
	}
	_ = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, int(flags))
}
