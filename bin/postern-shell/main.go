//go:build linux

// Command postern-shell is the login shell of people on a bastion. It hands its
// terminal to the recorder, postern-host record, and waits: nothing of a session
// runs in it.
//
// It is installed without the permission to read it. The kernel marks the process
// of such a program as not dumpable, so that its owner can't trace it, or take its
// files from /proc. There are as many of it as sessions: nothing is imported that
// isn't needed, and what is to be known of the session the recorder reads from
// /proc rather than being told.
package main

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	socket   = "/run/postern/recorder.sock"
	greeting = "postern 1\n"
	// failed is the exit status where there is no session.
	failed = 254
)

func main() {
	// The terminal of the session is another one, whose signals go there.
	signal.Ignore(unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGPIPE)
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, unix.SIGWINCH)

	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: socket})
	}
	if err == nil {
		err = unix.Sendmsg(fd, []byte(greeting), unix.UnixRights(0, 1, 2), nil, 0)
	}
	if err != nil {
		die("Sessions can't be recorded on this bastion now, so that there are none. Its operators know from an alarm. (" + err.Error() + ")")
	}
	go func() {
		for range resized {
			_, _ = unix.Write(fd, []byte("w"))
		}
	}()

	var answer []byte
	var buffer [512]byte
	for {
		n, err := unix.Read(fd, buffer[:])
		if err == unix.EINTR {
			continue
		}
		if n <= 0 || err != nil {
			die("\r\nThe recorder of this bastion has stopped, and this session with it.")
		}
		answer = append(answer, buffer[:n]...)
		for {
			end := index(answer, '\n')
			if end < 0 {
				break
			}
			take(string(answer[:end]))
			answer = answer[end+1:]
		}
	}
}

// take acts on a line of the recorder's: "streams" or "quiet" (the recorder has the
// input and output, or has closed the error output, and their end shows only where
// they are let go here too), "exit N", "signal N" or "refused TEXT".
func take(line string) {
	word, rest := line, ""
	if i := index([]byte(line), ' '); i >= 0 {
		word, rest = line[:i], line[i+1:]
	}
	switch word {
	case "streams":
		discard(0)
		discard(1)
	case "quiet":
		discard(2)
	case "exit":
		os.Exit(number(rest))
	case "signal":
		// sshd tells its client of the signal only where this process dies of it.
		n := unix.Signal(number(rest))
		signal.Reset(n)
		_ = unix.Kill(unix.Getpid(), n)
		select {}
	case "refused":
		die(rest)
	}
}

func discard(fd int) {
	if null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0); err == nil {
		_ = unix.Dup3(null, fd, 0)
		_ = unix.Close(null)
	}
}

func number(text string) int {
	n := 0
	for i := 0; i < len(text) && text[i] >= '0' && text[i] <= '9' && n < 1000; i++ {
		n = n*10 + int(text[i]-'0')
	}
	return n
}

func index(text []byte, c byte) int {
	for i, b := range text {
		if b == c {
			return i
		}
	}
	return -1
}

func die(text string) {
	_, _ = syscall.Write(2, []byte(text+"\r\n"))
	os.Exit(failed)
}
