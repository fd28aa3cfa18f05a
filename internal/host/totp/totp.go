package totp

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/pquerna/otp/hotp"
	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/atomic"
	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/settings"
	"github.com/postern-cdk/postern/internal/host/uptime"
)

// Dir holds a file for each person who is enrolled, readable by root only.
const Dir = settings.StateDir + "/totp"

const (
	// period and the steps to each side that a code is good for: RFC 6238 recommends
	// one for delay (section 5.2) and clocks that drift.
	period = 30 * time.Second
	steps  = 1
	digits = 6
	// wrongCodes within wrongWithin lock the second factor of a person for lockFor,
	// twice as long each time until a right one, at most lockMost: some 120 guesses a
	// day of a million codes, three of which are right.
	wrongCodes  = 5
	wrongWithin = 5 * time.Minute
	lockFor     = 5 * time.Minute
	lockMost    = time.Hour
)

// Why a code isn't taken. They are for the person to read.
var (
	ErrNotEnrolled = errors.New("not enrolled: run ssh HOST enrol")
	ErrWrong       = errors.New("this code is wrong")
	ErrUsed        = errors.New("this code was used before: wait for the next one")
	ErrLocked      = errors.New("too many wrong codes: wait some minutes")
)

// Client is what is asked of Parameter Store: ssm:GetParameter, ssm:PutParameter and
// ssm:DeleteParameter below PARAMETER_PATH/totp, and the use of the key.
type Client interface {
	GetParameter(ctx context.Context, in *ssm.GetParameterInput, options ...func(*ssm.Options)) (*ssm.GetParameterOutput, error)
	PutParameter(ctx context.Context, in *ssm.PutParameterInput, options ...func(*ssm.Options)) (*ssm.PutParameterOutput, error)
	DeleteParameter(ctx context.Context, in *ssm.DeleteParameterInput, options ...func(*ssm.Options)) (*ssm.DeleteParameterOutput, error)
}

// Store of second factors.
type Store struct {
	// Root is where the host's file system begins. "" but in tests.
	Root     string
	Settings settings.Settings
	// Client of Parameter Store. nil: one is made when there is a ParameterPath.
	Client Client
	Log    *event.Log

	clock func() time.Time
}

// record is what is kept of a person.
type record struct {
	Secret   string    `json:"secret"`
	Enrolled time.Time `json:"enrolled"`
	// Here is when that was on this host, where it was on this host.
	Here uptime.Moment `json:"here,omitzero"`
	// Counter of the last code that was taken.
	Counter uint64 `json:"counter,omitempty"`
	// Wrong codes of late, until when no code is taken, and how often in a row that was.
	Wrong []time.Time `json:"wrong,omitempty"`
	Until time.Time   `json:"until,omitzero"`
	Locks int         `json:"locks,omitempty"`
}

// names that a file can have. Who has one is no matter of this package.
var names = regexp.MustCompile(`\A[a-z_][a-z0-9_-]{0,31}\z`)

// Enrolled says whether a person has a second factor on this host. One that is only
// in Parameter Store is brought here when it is first asked for, which at login is
// before a session begins.
func Enrolled(root, name string) bool {
	r, err := readRecord(root, name)
	return err == nil && r.Secret != ""
}

// EnrolledBefore says whether a person had the second factor already at a moment of
// this boot. A connection that is older was let in without a code of it.
func EnrolledBefore(root, name string, moment uptime.Moment) bool {
	r, err := readRecord(root, name)
	if err != nil || r.Secret == "" {
		return false
	}
	switch r.Here.Boot {
	case moment.Boot:
		return r.Here.Since < moment.Since
	case "": // on another host: only clocks on the wall compare
		now, err := uptime.Now()
		return err == nil && r.Enrolled.Before(time.Now().Add(moment.Since-now.Since))
	default: // no connection outlives a boot
		return true
	}
}

func readRecord(root, name string) (*record, error) {
	if !names.MatchString(name) {
		return nil, fmt.Errorf("%q can't be a person's name", name)
	}
	text, err := os.ReadFile(filepath.Join(root, Dir, name))
	if err != nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%s/%s is broken; postern-host totp reset %s: %w", Dir, name, name, err)
	}
	return &r, nil
}

func (s *Store) now() time.Time {
	if s.clock != nil {
		return s.clock()
	}
	return time.Now()
}

func (s *Store) path(name string) string { return filepath.Join(s.Root, Dir, name) }

// lock lets one process at a time decide about a person: two that take the same code
// at once must not both find it unused.
func (s *Store) lock(name string) (func(), error) {
	if !names.MatchString(name) {
		return nil, fmt.Errorf("%q can't be a person's name", name)
	}
	if err := os.MkdirAll(filepath.Join(s.Root, Dir), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(s.path("."+name+".lock"), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

func (s *Store) save(name string, r *record) error {
	text, err := json.Marshal(r) //nolint:gosec // into a file of root's
	if err != nil {
		return err
	}
	return atomic.Write(s.path(name), text, 0o600)
}

// load a person's record, from Parameter Store where the host doesn't have it. What
// can't be found out is an error, and never counts as not enrolled: who cuts the
// network off must not become the one who enrols.
func (s *Store) load(ctx context.Context, name string) (*record, error) {
	r, err := readRecord(s.Root, name)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	if s.Settings.ParameterPath == "" {
		return nil, ErrNotEnrolled
	}
	client, err := s.client(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	out, err := client.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(s.parameter(name)), WithDecryption: aws.Bool(true)})
	var absent *types.ParameterNotFound
	if errors.As(err, &absent) {
		return nil, ErrNotEnrolled
	}
	if err != nil {
		return nil, fmt.Errorf("whether %s is enrolled can't be found out: %w", name, err)
	}
	r = &record{}
	if out.Parameter == nil || json.Unmarshal([]byte(aws.ToString(out.Parameter.Value)), r) != nil || r.Secret == "" {
		// The value is a secret, whatever it is: it isn't shown.
		return nil, fmt.Errorf("the parameter %s is broken; postern-host totp reset %s", s.parameter(name), name)
	}
	return r, s.save(name, r)
}

func (s *Store) client(ctx context.Context) (Client, error) {
	if s.Client != nil {
		return s.Client, nil
	}
	loaded, err := config.LoadDefaultConfig(ctx, config.WithRegion(s.Settings.Region))
	if err != nil {
		return nil, err
	}
	s.Client = ssm.NewFromConfig(loaded)
	return s.Client, nil
}

func (s *Store) parameter(name string) string {
	return strings.TrimSuffix(s.Settings.ParameterPath, "/") + "/totp/" + name
}

// Verify takes a code once. ErrNotEnrolled, ErrWrong, ErrUsed and ErrLocked are the
// person's; others are the host's, and the code isn't taken either.
func (s *Store) Verify(ctx context.Context, name, code string) error {
	unlock, err := s.lock(name)
	if err != nil {
		return err
	}
	defer unlock()
	return s.verify(ctx, name, code)
}

func (s *Store) verify(ctx context.Context, name, code string) error {
	r, err := s.load(ctx, name)
	if err != nil {
		return err
	}
	now := s.now()
	if now.Before(r.Until) {
		return ErrLocked
	}
	counter, found, err := match(r.Secret, code, now)
	if err != nil {
		return fmt.Errorf("%s/%s: %w", Dir, name, err)
	}
	switch {
	case found && counter <= r.Counter:
		// No guess: the person was faster than the clock, or somebody looked on, who
		// gains nothing.
		return ErrUsed
	case found:
		r.Counter, r.Wrong, r.Locks, r.Until = counter, nil, 0, time.Time{}
		if err := s.save(name, r); err != nil {
			return fmt.Errorf("a code that can't be remembered as used isn't taken: %w", err)
		}
		return nil
	}
	recent := r.Wrong[:0]
	for _, at := range r.Wrong {
		if now.Sub(at) < wrongWithin {
			recent = append(recent, at)
		}
	}
	r.Wrong = append(recent, now.UTC())
	result := ErrWrong
	if len(r.Wrong) >= wrongCodes {
		wait := min(lockFor<<min(r.Locks, 10), lockMost)
		r.Wrong, r.Locks, r.Until = nil, r.Locks+1, now.Add(wait).UTC()
		result = ErrLocked
		s.Log.Alarm("totp-locked", fmt.Sprintf("%d wrong codes in a row for %s: none is taken for %s", wrongCodes, name, wait), "person", name)
	}
	return errors.Join(result, s.save(name, r))
}

// match finds the step whose code it is. It takes the same time wherever that is, and
// for a wrong code too.
func match(secret, code string, now time.Time) (counter uint64, found bool, err error) {
	code = normal(code)
	at := uint64(now.Unix()) / uint64(period.Seconds()) //nolint:gosec // after 1970
	for c := at - steps; c <= at+steps; c++ {
		right, err := hotp.GenerateCode(secret, c)
		if err != nil {
			return 0, false, errors.New("the secret is broken")
		}
		if subtle.ConstantTimeCompare([]byte(right), []byte(code)) == 1 {
			counter, found = c, true
		}
	}
	return counter, found, nil
}

// normal is a code without the spaces that apps show in it.
func normal(code string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' || r == '-' || r == 0 || r == '\r' || r == '\n' {
			return -1
		}
		return r
	}, code)
}

// Reset makes a person one who is not enrolled: an operator does it for who lost the
// device, people.Run for who was removed.
func (s *Store) Reset(ctx context.Context, name string) error {
	unlock, err := s.lock(name)
	if err != nil {
		return err
	}
	defer unlock()
	if s.Settings.ParameterPath != "" {
		client, err := s.client(ctx)
		if err != nil {
			return err
		}
		_, err = client.DeleteParameter(ctx, &ssm.DeleteParameterInput{Name: aws.String(s.parameter(name))})
		var absent *types.ParameterNotFound
		if err != nil && !errors.As(err, &absent) {
			// The host's own goes last: without it the parameter would come back.
			return err
		}
	}
	had := Enrolled(s.Root, name)
	if err := atomic.Remove(s.path(name)); err != nil {
		return err
	}
	if had {
		s.Log.Event("totp", "result", "reset", "person", name)
	}
	return nil
}
