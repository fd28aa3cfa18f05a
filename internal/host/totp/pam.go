package totp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// PAM is what pam_exec tells in the environment.
type PAM struct {
	Type    string // PAM_TYPE
	Service string // PAM_SERVICE
	User    string // PAM_USER
	RHost   string // PAM_RHOST
	// Done is sshd's SSH_AUTH_INFO_0: what the person has proved so far.
	Done string
}

// FromEnvironment of a program that pam_exec runs.
func FromEnvironment(get func(string) string) PAM {
	return PAM{Type: get("PAM_TYPE"), Service: get("PAM_SERVICE"), User: get("PAM_USER"), RHost: get("PAM_RHOST"), Done: get("SSH_AUTH_INFO_0")}
}

// Authenticate decides for PAM by the code that in brings. nil lets the person go on.
func (s *Store) Authenticate(ctx context.Context, p PAM, in io.Reader) error {
	err := s.may(p)
	if err == nil {
		var text []byte
		if text, err = io.ReadAll(io.LimitReader(in, 256)); err == nil {
			err = s.Verify(ctx, p.User, string(text))
		}
	}
	result := "accepted"
	if err != nil {
		result = "refused"
	}
	if errors.Is(err, ErrNotEnrolled) && p.Service == sshd {
		// The recorder lets such a session do nothing but enrol.
		result, err = "not enrolled", nil
	}
	reason := ""
	if err != nil {
		reason = err.Error()
	}
	s.Log.Event("totp", "result", result, "person", clip(p.User), "service", clip(p.Service), "address", clip(p.RHost), "reason", reason)
	return err
}

// Unenrolled lets a person go on at login without a code that they can't have yet.
func (s *Store) Unenrolled(ctx context.Context, p PAM) error {
	if err := s.may(p); err != nil {
		return err
	}
	if p.Service != sshd {
		return errors.New("only a login may be without a code")
	}
	unlock, err := s.lock(p.User)
	if err != nil {
		return err
	}
	defer unlock()
	switch _, err := s.load(ctx, p.User); {
	case errors.Is(err, ErrNotEnrolled):
		s.Log.Event("totp", "result", "not enrolled", "person", p.User, "service", p.Service, "address", clip(p.RHost))
		return nil
	case err != nil:
		return err
	}
	return errors.New("enrolled")
}

const sshd = "sshd"

// may says whether this is a place for a code at all.
func (s *Store) may(p PAM) error {
	if p.Type != "auth" {
		return fmt.Errorf("PAM_TYPE is %q: this belongs into auth lines only", clip(p.Type))
	}
	switch p.Service {
	case "sudo", "sudo-i", "postern-sudo":
		return nil
	case sshd:
		// A code alone must not open the door where sshd is set up wrongly.
		if !s.Settings.SecondFactor.AtLogin {
			return errors.New("no code is asked for at login on this bastion")
		}
		for line := range strings.Lines(p.Done) {
			if strings.HasPrefix(line, "publickey ") {
				return nil
			}
		}
		return errors.New("a code counts only after a key: sshd needs AuthenticationMethods publickey,keyboard-interactive:pam")
	}
	return fmt.Errorf("PAM_SERVICE is %q: codes are for sudo and sshd", clip(p.Service))
}

func clip(text string) string { return text[:min(len(text), 64)] }
