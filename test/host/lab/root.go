//go:build linux

package lab

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// Root runs a command line of bash on the host, as root and beside sshd, with the
// rights of a service: what Session Manager would give. Its output and exit status.
func (l *Lab) Root(t testing.TB, command string) (string, int) {
	t.Helper()
	out, code, err := l.TryRoot(command)
	if err != nil {
		t.Fatalf("as root: %s: %v\n%s", command, err, out)
	}
	return out, code
}

// MustRoot is [Lab.Root] for commands that have to succeed.
func (l *Lab) MustRoot(t testing.TB, command string) string {
	t.Helper()
	out, code := l.Root(t, command)
	if code != 0 {
		t.Fatalf("as root: %s: exit status %d\n%s", command, code, out)
	}
	return out
}

// TryRoot is [Lab.Root] where there is no test to fail.
func (l *Lab) TryRoot(command string) (string, int, error) {
	pid := l.pid()
	if pid == 0 {
		return "", 0, errors.New("the host is not running")
	}
	shell, err := l.rootShell(pid)
	if err != nil {
		return "", 0, err
	}
	out, code, err := shell.run(command)
	if err != nil {
		_ = shell.in.Close()
		return out, 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shells = append(l.shells, shell)
	return out, code, nil
}

// A rootShell is a service of the host that runs one command line after the other: a
// service for each would cost systemd more than most commands cost.
type rootShell struct {
	pid int // of the host's first process
	in  io.WriteCloser
	out io.Reader
	// mark ends the output of a command.
	mark string
}

// rootShell takes one that nobody uses, or starts another.
func (l *Lab) rootShell(pid int) (*rootShell, error) {
	l.mu.Lock()
	for len(l.shells) > 0 {
		last := l.shells[len(l.shells)-1]
		l.shells = l.shells[:len(l.shells)-1]
		if last.pid == pid {
			l.mu.Unlock()
			return last, nil
		}
		_ = last.in.Close()
	}
	l.mu.Unlock()
	nonce := make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	s := &rootShell{pid: pid, mark: hex.EncodeToString(nonce) + " "}
	cmd := exec.Command("nsenter", "-t", strconv.Itoa(pid), "-a", "--",
		"systemd-run", "--quiet", "--pipe", "--wait", "--collect", "--service-type=exec", "/bin/bash", "-c",
		// systemd would put its own variables, or nothing, in the place of $.
		strings.ReplaceAll(`while IFS= read -r -d '' command; do /bin/bash -c "$command" </dev/null 2>&1; echo "`+s.mark+`$?"; done`, "$", "$$"))
	var err error
	if s.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if s.out, err = cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *rootShell) run(command string) (string, int, error) {
	if strings.Contains(command, "\x00") {
		return "", 0, errors.New("a command line can't have a zero byte in it")
	}
	if _, err := io.WriteString(s.in, command+"\x00"); err != nil {
		return "", 0, fmt.Errorf("the host went down: %w", err)
	}
	var out []byte
	buffer := make([]byte, 32*1024)
	for {
		n, err := s.out.Read(buffer)
		out = append(out, buffer[:n]...)
		if text, status, found := bytes.Cut(out, []byte(s.mark)); found && bytes.HasSuffix(status, []byte("\n")) {
			code, err := strconv.Atoi(strings.TrimSpace(string(status)))
			return string(text), code, err
		}
		if err != nil {
			return string(out), 0, fmt.Errorf("the host went down: %w", err)
		}
	}
}

// last runs a command that the host may not survive.
func (l *Lab) last(t testing.TB, command string) {
	t.Helper()
	out, err := exec.Command("nsenter", "-t", strconv.Itoa(l.pid()), "-a", "--", "/bin/bash", "-c", command).CombinedOutput()
	if err != nil {
		t.Fatalf("as root: %s: %v\n%s", command, err, out)
	}
}
