//go:build linux

//nolint:gosec // numbers as the kernel has them, and groups that systemd makes so too
package recorder

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What is kept of the arguments of one program.
const (
	maxArgs     = 256
	maxArgBytes = 4 << 10
	maxAllBytes = 32 << 10
)

// notification is struct seccomp_notif, answer struct seccomp_notif_resp.
type notification struct {
	id    uint64
	pid   uint32
	flags uint32
	call  int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

type answer struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

// started is a program that is about to run, as the kernel tells.
type started struct {
	PID       int      `json:"pid"`
	Parent    int      `json:"ppid"`
	UID       int      `json:"uid"`
	Dir       string   `json:"dir"`
	By        string   `json:"by"`
	Path      string   `json:"path"`
	Args      []string `json:"argv"`
	Truncated bool     `json:"truncated,omitempty"`
}

// programs serves the notifications of a session until none can come any more.
// tell must have recorded the program before it returns; where it can't, the
// program doesn't run.
//
// A process with several threads can change its arguments between being read and
// being run. Which file is run, and all else about it, the kernel's audit log has
// exactly.
func programs(listener *os.File, tell func(started) error) error {
	conn, err := listener.SyscallConn()
	if err != nil {
		return err
	}
	for {
		var n notification
		var failed error
		if err := conn.Read(func(fd uintptr) bool {
			// Asking for a notification that isn't there blocks, whatever the mode of
			// the file.
			poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			for {
				if _, failed = unix.Poll(poll, 0); !errors.Is(failed, unix.EINTR) {
					break
				}
			}
			switch {
			case failed != nil:
				return true
			case poll[0].Revents&unix.POLLIN != 0:
				n = notification{}
				failed = ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n))
				// ENOENT: the process died in the meantime.
				return !errors.Is(failed, unix.ENOENT) && !errors.Is(failed, unix.EINTR)
			case poll[0].Revents != 0:
				failed = os.ErrClosed
				return true
			}
			return false
		}); err != nil {
			return err
		}
		if failed != nil {
			return failed
		}
		program, err := read(n)
		alive := false
		_ = conn.Control(func(fd uintptr) {
			id := n.id
			alive = ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&id)) == nil
		})
		if !alive {
			continue // what was read may be of another process
		}
		a := answer{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		if err != nil {
			// The kernel can't read it either, or it is too long for the record.
			a = answer{id: n.id, errno: -int32(unix.EFAULT)}
		} else if err := tell(program); err != nil {
			a = answer{id: n.id, errno: -int32(unix.EPERM)}
		}
		_ = conn.Control(func(fd uintptr) {
			_ = ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&a))
		})
	}
}

func ioctl(fd uintptr, request uint, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, uintptr(request), uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

// read finds out what a process is about to run.
func read(n notification) (started, error) {
	pid := int(n.pid)
	p := started{PID: pid, UID: -1}
	if pid == 0 {
		return p, fmt.Errorf("a process of another namespace")
	}
	memory, err := os.Open(procPath(pid, "mem"))
	if err != nil {
		return p, err
	}
	defer func() { _ = memory.Close() }()
	if stat, err := readProcess(pid); err == nil {
		p.Parent, p.UID, p.By = stat.parent, stat.uid, clean(stat.exe)
	}
	p.Dir = link(procPath(pid, "cwd"))
	path, args := n.args[0], n.args[1]
	at := int32(unix.AT_FDCWD)
	if n.call == unix.SYS_EXECVEAT {
		at, path, args = int32(uint32(n.args[0])), n.args[1], n.args[2]
	}
	name, _, err := readString(memory, path, unix.PathMax)
	if err != nil {
		return p, err
	}
	if !strings.HasPrefix(name, "/") && at != unix.AT_FDCWD {
		name = strings.TrimSuffix(filepath.Join(link(procPath(pid, "fd/"+strconv.Itoa(int(at)))), name), "/")
	}
	p.Path = clean(name)
	total := 0
	for i := range maxArgs + 1 {
		var pointer [8]byte
		if args == 0 {
			break
		}
		if _, err := memory.ReadAt(pointer[:], int64(args)+int64(8*i)); err != nil {
			return p, err
		}
		address := binary.NativeEndian.Uint64(pointer[:])
		if address == 0 {
			break
		}
		if i == maxArgs || total >= maxAllBytes {
			p.Truncated = true
			break
		}
		arg, cut, err := readString(memory, address, min(maxArgBytes, maxAllBytes-total))
		if err != nil {
			return p, err
		}
		p.Truncated = p.Truncated || cut
		total += len(arg) + 1
		p.Args = append(p.Args, clean(arg))
	}
	return p, nil
}

// readString reads up to a zero byte, or up to limit. It doesn't read past the page
// that the string ends in: the next one may not be there.
func readString(memory *os.File, address uint64, limit int) (text string, cut bool, err error) {
	var all []byte
	page := uint64(os.Getpagesize())
	for len(all) < limit {
		at := address + uint64(len(all))
		part := make([]byte, min(page-at%page, uint64(limit-len(all))))
		n, err := memory.ReadAt(part, int64(at))
		if i := bytes.IndexByte(part[:n], 0); i >= 0 {
			return string(append(all, part[:i]...)), false, nil
		}
		if err != nil {
			return "", false, err
		}
		all = append(all, part[:n]...)
	}
	return string(all), true, nil
}

func link(path string) string {
	target, err := os.Readlink(path)
	if err != nil {
		return "?"
	}
	return clean(target)
}

// clean makes what isn't UTF-8 visible rather than losing it: JSON has no place for
// other bytes.
func clean(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	return printable(text)
}

// commandLine is arguments as a person would read them: quoted where a shell would
// take them apart.
func commandLine(args []string) string {
	words := make([]string, len(args))
	for i, arg := range args {
		words[i] = field(arg)
	}
	return strings.Join(words, " ")
}
