//go:build linux

package recorder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/recorder/launch"
	"github.com/postern-cdk/postern/internal/host/settings"
	"github.com/postern-cdk/postern/internal/host/totp"
)

// enrolCommand is what a person asks for who wants a second factor, or another one.
const enrolCommand = "enrol"

// enrolment is what the command log has instead of what is shown.
const enrolment = "enrolment"

// enrolTime is how long a person may take to set up a device.
const enrolTime = 5 * time.Minute

var (
	errEnrolTime = fmt.Errorf("%d minutes are over", enrolTime/time.Minute)
	errEnding    = errors.New("the session ends")
)

const (
	refusedEnrol    = refusal("One-time codes on this bastion are for people who may use sudo.")
	refusedTerminal = refusal("You need a second factor, which takes a terminal to set up: ssh -t HOST " + enrolCommand)
	refusedStale    = refusal("You enrolled after this connection began: log in again, with a code.")
)

// enrols says whether a session is one in which a second factor is set up and
// nothing else, or why there can be none.
//
// Whether a code was asked for was decided at login: a connection from before the
// person enrolled must not bring a session afterwards.
func (r *Recorder) enrols(p *peer, terminal bool) (bool, error) {
	asked := p.command == enrolCommand
	atLogin := r.settings.SecondFactor.AtLogin
	if address := net.ParseIP(p.address); p.name == settings.CheckUser && address.IsLoopback() {
		return false, nil // sshd asks it for no code
	}
	enrolled := totp.Enrolled(r.root, p.name)
	switch {
	case atLogin && enrolled && !totp.EnrolledBefore(r.root, p.name, p.connected):
		return false, refusedStale
	case atLogin && !enrolled:
	case !asked:
		return false, nil
	case !atLogin && !slices.Contains(r.settings.People.Sudo, p.name):
		return false, refusedEnrol
	}
	if !terminal {
		return false, refusedTerminal
	}
	return true, nil
}

// enrol is a session that sets up a second factor. No process of the person's runs
// in it, and what is shown and typed is a secret: it is in no record.
func (s *session) enrol() error {
	r := s.r
	defer close(s.over)
	defer func() { r.mu.Lock(); delete(r.sessions, s.id); r.mu.Unlock() }()
	_, err := r.entry(s.start, "begin", s.id, r.beginning(s.peer, true))
	if err == nil {
		err = r.text.write(textLine(s.start, s.peer.address, s.peer.name, s.id, "recorder", s.peer.home, enrolment+" begins"))
	}
	if err != nil {
		r.fail(fmt.Errorf("the command log: %w", err))
		return refusedNow
	}
	status := launch.Failed
	defer func() { s.enrolled(status) }()
	if err := s.dialogTerminal(); err != nil {
		if errors.Is(s.unlessHungUp(err), errHungUp) {
			s.end(whyHangup)
			return nil
		}
		r.log.Alarm("enrolment-failed", "the terminal can't be taken from the person, so that no secret is shown on it", "session", s.id, "person", s.peer.name, "error", err)
		_, _ = s.conn.Write([]byte("refused The terminal can't be used for a secret. The operators of this bastion know from an alarm.\n"))
		s.end(whyFailed)
		return nil
	}
	limited, stop := context.WithTimeoutCause(context.Background(), enrolTime, errEnrolTime)
	defer stop()
	ctx, cancel := context.WithCancelCause(limited)
	defer cancel(nil)
	go r.guardSession(s, s.listen)
	tty := s.outer[0]
	go func() {
		select {
		case <-s.ending:
			cancel(errEnding)
		case <-ctx.Done():
		}
		// What is asked for ends now; what wipes the secret from the screen may take a moment.
		_ = tty.SetReadDeadline(time.Now())
		_ = tty.SetWriteDeadline(time.Now().Add(lastWords))
	}()
	store := &totp.Store{Root: r.root, Settings: r.settings, Log: r.log}
	err = store.Enrol(ctx, tty, tty, s.peer.name)
	_ = tty.SetWriteDeadline(time.Now().Add(lastWords))
	if text := told[s.because()]; text != "" {
		_, _ = io.WriteString(tty, "\n"+text+"\n")
		return nil
	}
	s.end(whyExit)
	switch {
	case err == nil && r.settings.SecondFactor.AtLogin:
		status = 0
		_, _ = io.WriteString(tty, "Log in again, with a code.\n")
	case err == nil:
		status = 0
		_, _ = io.WriteString(tty, "sudo asks for a code from now on.\n")
	default:
		_, _ = io.WriteString(tty, "Log in again to try once more.\n")
	}
	return nil
}

// dialogTerminal makes sshd's terminal root's, and gives it the usual modes,
// whatever the client asked for: lines that can be edited, and ^C at once.
func (s *session) dialogTerminal() error {
	fd := s.fd(0)
	if err := errors.Join(unix.Fchown(fd, 0, 0), unix.Fchmod(fd, 0o600)); err != nil {
		return err
	}
	modes, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	was := *modes
	s.modes = &was
	modes.Iflag = modes.Iflag&^(unix.IGNCR|unix.INLCR|unix.ISTRIP|unix.PARMRK|unix.IXON) | unix.ICRNL | unix.IGNBRK
	modes.Oflag = unix.OPOST | unix.ONLCR
	// Signals would go to the login shell, which ignores them.
	modes.Lflag = unix.ICANON | unix.ECHO | unix.ECHOE | unix.ECHOK
	modes.Cc[unix.VERASE], modes.Cc[unix.VEOF], modes.Cc[unix.VEOL] = 0x7f, 4, 3
	return unix.IoctlSetTermios(fd, unix.TCSETSF, modes)
}

// enrolled ends the session, as finish does for others.
func (s *session) enrolled(status int) {
	e := ending{
		Source: "recorder", Person: s.peer.name, Address: s.peer.address, Why: s.because(), Status: status, Seconds: s.elapsed().Seconds(),
	}
	_ = s.entry("end", e)
	_ = s.text("recorder", s.peer.home, fmt.Sprintf("%s ends: %s, status %d", enrolment, e.Why, e.Status))
	if s.modes != nil {
		_ = unix.IoctlSetTermios(s.fd(0), unix.TCSETSF, s.modes)
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = fmt.Fprintf(s.conn, "exit %d\n", status)
}
