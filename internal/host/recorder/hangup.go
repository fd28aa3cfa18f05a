//go:build linux

package recorder

import (
	"errors"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// refusedGone is told to nobody: it is the reason in the log.
const refusedGone = refusal("The client hung up before the session began.")

// errHungUp is why a terminal can't be taken that leads nowhere any more.
var errHungUp = errors.New("the client hung up")

// hangupTime is how long sshd may take to let go of what it made for a client that
// is gone: its processes end one after another.
const hangupTime = 2 * time.Second

// A vanishing is what keeps somebody from being known who is at an end, or what is
// left when a client hangs up. Nobody gets a session by it. It is an alarm where
// the other end is still there.
type vanishing struct {
	error
	// shell says that a login shell is there, alive, without sshd above it.
	shell bool
}

// hangup waits for what shows that a client has gone away: nobody has the other end
// of the connection any more. A login shell without sshd may still have it, but its
// streams lead nowhere.
func (v vanishing) hangup(conn *net.UnixConn, streams []*os.File) bool {
	for deadline := time.Now().Add(hangupTime); ; time.Sleep(5 * time.Millisecond) {
		if closed(conn) || v.shell && hungUp(streams[1]) {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}

// unlessHungUp is what is wrong with sshd's terminal, or errHungUp.
func (s *session) unlessHungUp(err error) error {
	if errors.Is(err, unix.EIO) && hungUp(s.outer[1]) {
		return errHungUp
	}
	return err
}

// closed tells whether nobody has the other end of a connection any more.
func closed(conn *net.UnixConn) bool {
	is := false
	if raw, err := conn.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { is = polled(int(fd), unix.POLLHUP) })
	}
	return is
}

// hungUp tells whether sshd has let go of the other end of an output. The end of
// an input is no hangup: commands get one.
func hungUp(output *os.File) bool {
	return polled(descriptor(output), unix.POLLHUP|unix.POLLERR)
}

func polled(fd int, events int16) bool {
	poll := []unix.PollFd{{Fd: int32(fd)}} //nolint:gosec // a descriptor
	n, err := unix.Poll(poll, 0)
	return err == nil && n > 0 && fd >= 0 && poll[0].Revents&events != 0
}
