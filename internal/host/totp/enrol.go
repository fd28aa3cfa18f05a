package totp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/mdp/qrterminal/v3"
	"github.com/pquerna/otp/totp"

	"github.com/postern-cdk/postern/internal/host/uptime"
)

// attempts at each question.
const attempts = 3

// wipe clears the screen and what it scrolled away, so that the secret doesn't stay
// in a window.
const wipe = "\x1b[H\x1b[2J\x1b[3J"

// Enrol gives a person a second factor by talking to their terminal, which must be in
// its usual mode. What goes through in and out must not be recorded. Who is enrolled
// already needs a current code.
func (s *Store) Enrol(ctx context.Context, in io.Reader, out io.Writer, name string) error {
	d := newDialog(in, out)
	defer close(d.wants)
	err := s.enrol(ctx, d, name)
	result, reason := "enrolled", ""
	if err != nil {
		result, reason = "not enrolled", err.Error()
		fmt.Fprintf(out, "\nNothing was changed: %v.\n", err)
	}
	s.Log.Event("totp", "result", result, "person", name, "reason", reason)
	return err
}

func (s *Store) enrol(ctx context.Context, d *dialog, name string) error {
	unlock, err := s.lock(name)
	if err != nil {
		return err
	}
	// Not while a person thinks: their own sudo elsewhere would wait.
	_, err = s.load(ctx, name)
	unlock()
	first := errors.Is(err, ErrNotEnrolled)
	switch {
	case err == nil:
		fmt.Fprintf(d.out, "%s, you are enrolled. A new device needs a code of the one you have.\n", name)
		if err := s.current(ctx, d, name); err != nil {
			return err
		}
	case !first:
		return err
	}
	issuer := "Postern"
	if s.Settings.StackName != "" {
		issuer += " " + s.Settings.StackName
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: issuer, AccountName: name, Period: uint(period.Seconds()), SecretSize: 20})
	if err != nil {
		return err
	}
	fmt.Fprint(d.out, "Scan this with an authenticator app:\n\n")
	qrterminal.GenerateHalfBlock(key.URL(), qrterminal.L, d.out)
	fmt.Fprintf(d.out, "\nor type the key into it: %s\nor open: %s\n\n", key.Secret(), key.URL())
	counter, err := s.consecutive(ctx, d, key.Secret())
	if err != nil {
		fmt.Fprint(d.out, wipe)
		return err
	}
	fmt.Fprint(d.out, wipe)
	if unlock, err = s.lock(name); err != nil {
		return err
	}
	defer unlock()
	if _, err := s.load(ctx, name); first && err == nil {
		return errMeanwhile
	}
	here, err := uptime.Now()
	if err != nil {
		return err
	}
	if err := s.keep(ctx, name, &record{Secret: key.Secret(), Enrolled: s.now().UTC(), Here: here, Counter: counter}, first); err != nil {
		return err
	}
	// A connection that begins in the tick of the enrolment counts as older.
	time.Sleep(uptime.Tick)
	fmt.Fprintf(d.out, "%s, you are enrolled. Both codes are used up: the next one is good.\n", name)
	return nil
}

// current asks for a code of the factor that is there.
func (s *Store) current(ctx context.Context, d *dialog, name string) error {
	var err error
	for range attempts {
		var code string
		if code, err = d.ask(ctx, "Code: "); err != nil {
			return err
		}
		if err = s.Verify(ctx, name, code); err == nil {
			return nil
		}
		if !errors.Is(err, ErrWrong) && !errors.Is(err, ErrUsed) {
			return err
		}
		fmt.Fprintf(d.out, "%v.\n", err)
	}
	return err
}

// consecutive asks for two codes in a row: one could be a guess, and a device whose
// clock is wrong shows itself.
func (s *Store) consecutive(ctx context.Context, d *dialog, secret string) (uint64, error) {
	var last uint64
	for _, prompt := range []string{"The code that it shows: ", "The next code, when it changes: "} {
		taken := false
		for i := 0; i < attempts && !taken; i++ {
			code, err := d.ask(ctx, prompt)
			if err != nil {
				return 0, err
			}
			counter, found, err := match(secret, code, s.now())
			switch {
			case err != nil:
				return 0, err
			case !found:
				fmt.Fprint(d.out, "This is not its code. Is the clock of the device right?\n")
			case counter <= last:
				fmt.Fprint(d.out, "This is the same code: wait for the next one.\n")
			default:
				last, taken = counter, true
			}
		}
		if !taken {
			return 0, ErrWrong
		}
	}
	return last, nil
}

var errMeanwhile = errors.New("somebody enrolled as you meanwhile; if that wasn't you, tell an operator")

// keep a new secret, where the next instance finds it too. The first one replaces
// none that another host may have kept just now.
func (s *Store) keep(ctx context.Context, name string, r *record, first bool) error {
	if s.Settings.ParameterPath == "" {
		return s.save(name, r)
	}
	client, err := s.client(ctx)
	if err != nil {
		return err
	}
	text, err := json.Marshal(record{Secret: r.Secret, Enrolled: r.Enrolled}) //nolint:gosec // into a SecureString
	if err != nil {
		return err
	}
	in := &ssm.PutParameterInput{
		Name: aws.String(s.parameter(name)), Value: aws.String(string(text)),
		Type: types.ParameterTypeSecureString, Overwrite: aws.Bool(!first),
		Description: aws.String("Second factor of " + name),
	}
	if s.Settings.KeyID != "" {
		in.KeyId = aws.String(s.Settings.KeyID)
	}
	var exists *types.ParameterAlreadyExists
	if _, err := client.PutParameter(ctx, in); errors.As(err, &exists) {
		return errMeanwhile
	} else if err != nil {
		return err
	}
	return s.save(name, r)
}

// dialog with a person.
type dialog struct {
	out   io.Writer
	lines chan string
	wants chan bool
}

// newDialog reads a line at a time, and no byte more than asked for: what follows is
// somebody else's.
func newDialog(in io.Reader, out io.Writer) *dialog {
	d := &dialog{out: out, lines: make(chan string, 1), wants: make(chan bool)}
	go func() {
		defer close(d.lines)
		for range d.wants {
			line, ok := readLine(in)
			if !ok {
				return
			}
			d.lines <- line
		}
	}()
	return d
}

func (d *dialog) ask(ctx context.Context, prompt string) (string, error) {
	fmt.Fprint(d.out, prompt)
	select {
	case d.wants <- true:
	case <-d.lines:
		return "", io.ErrUnexpectedEOF
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	select {
	case line, ok := <-d.lines:
		if !ok && ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		if !ok {
			return "", io.ErrUnexpectedEOF
		}
		return line, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// readLine ends at a line break of any kind. What is longer than any code is cut.
func readLine(in io.Reader) (string, bool) {
	var line []byte
	one := make([]byte, 1)
	for {
		n, err := in.Read(one)
		if n == 1 {
			switch {
			case one[0] == 3 || one[0] == 4: // ^C and ^D of a raw terminal
				return "", false
			case one[0] == '\n' || one[0] == '\r':
				if len(line) > 0 {
					return string(line), true
				}
			case len(line) < 64:
				line = append(line, one[0])
			}
		}
		if err != nil {
			return string(line), len(line) > 0
		}
	}
}
