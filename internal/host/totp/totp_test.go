package totp

import (
	"bytes"
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/pquerna/otp/hotp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/uptime"
)

// secret of the test vectors of RFC 6238, appendix B.
var secret = base32.StdEncoding.EncodeToString([]byte("12345678901234567890"))

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

type host struct {
	*Store
	t   *testing.T
	now time.Time
	out bytes.Buffer
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{t: t, now: noon}
	h.Store = &Store{Root: t.TempDir(), Log: &event.Log{Out: &h.out, Console: io.Discard}, clock: func() time.Time { return h.now }}
	h.Settings.SecondFactor.AtLogin = true
	return h
}

func (h *host) enrolled(name string) *host {
	h.t.Helper()
	require.NoError(h.t, os.MkdirAll(filepath.Join(h.Root, Dir), 0o700))
	require.NoError(h.t, h.save(name, &record{Secret: secret}))
	return h
}

func (h *host) code(secret string, step int) string {
	h.t.Helper()
	code, err := hotp.GenerateCode(secret, uint64(h.now.Unix()/30+int64(step)))
	require.NoError(h.t, err)
	return code
}

func (h *host) verify(code string) error {
	return h.Verify(context.Background(), "alice", code)
}

// Last six digits of the eight in the RFC.
func TestVectorsOfTheRFC(t *testing.T) {
	for at, code := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		h := newHost(t).enrolled("alice")
		h.now = time.Unix(at, 0)
		assert.NoError(t, h.verify(code), at)
	}
}

func TestStepsAround(t *testing.T) {
	for step, want := range map[int]error{-2: ErrWrong, -1: nil, 0: nil, 1: nil, 2: ErrWrong} {
		h := newHost(t).enrolled("alice")
		assert.ErrorIs(t, h.verify(h.code(secret, step)), want, step)
	}
}

func TestCodeIsTakenOnce(t *testing.T) {
	h := newHost(t).enrolled("alice")
	code := h.code(secret, 0)
	require.NoError(t, h.verify(code[:3]+" "+code[3:]+"\x00"))
	assert.ErrorIs(t, h.verify(code), ErrUsed)
	assert.ErrorIs(t, h.verify(h.code(secret, -1)), ErrUsed, "nor an older one")
	assert.NoError(t, h.verify(h.code(secret, 1)))
}

func TestCodeIsTakenOnceByManyAtOnce(t *testing.T) {
	h := newHost(t).enrolled("alice")
	code := h.code(secret, 0)
	var group sync.WaitGroup
	results := make([]error, 20)
	for i := range results {
		group.Go(func() { results[i] = h.verify(code) })
	}
	group.Wait()
	taken := 0
	for _, err := range results {
		if err == nil {
			taken++
		}
	}
	assert.Equal(t, 1, taken)
}

func TestCodeThatCanNotBeRememberedIsNotTaken(t *testing.T) {
	h := newHost(t).enrolled("alice")
	require.NoError(t, os.Mkdir(filepath.Join(h.Root, Dir, ".alice.postern-new"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(h.Root, Dir, ".alice.postern-new", "x"), nil, 0o600))
	require.ErrorContains(t, h.verify(h.code(secret, 0)), "can't be remembered")
}

func TestWrongCodesLock(t *testing.T) {
	h := newHost(t).enrolled("alice")
	for range wrongCodes - 1 {
		require.ErrorIs(t, h.verify("000000"), ErrWrong)
	}
	require.ErrorIs(t, h.verify(""), ErrLocked)
	assert.Contains(t, h.out.String(), `"postern":"alarm","name":"totp-locked"`)
	assert.ErrorIs(t, h.verify(h.code(secret, 0)), ErrLocked, "nor is a right one taken")
	h.now = h.now.Add(lockFor)
	for range wrongCodes {
		require.Error(t, h.verify("000000"))
	}
	h.now = h.now.Add(lockFor)
	require.ErrorIs(t, h.verify(h.code(secret, 0)), ErrLocked, "twice as long")
	h.now = h.now.Add(lockFor)
	require.NoError(t, h.verify(h.code(secret, 0)))
	for range wrongCodes - 1 {
		require.ErrorIs(t, h.verify("000000"), ErrWrong)
	}
	h.now = h.now.Add(wrongWithin)
	require.ErrorIs(t, h.verify("000000"), ErrWrong, "older ones don't count")
}

func TestNamesAreNoPaths(t *testing.T) {
	h := newHost(t)
	for _, name := range []string{"", "..", "../../etc/shadow", "a/b", ".alice.lock", "alice\n"} {
		assert.Error(t, h.Verify(t.Context(), name, "1"), name)
		assert.False(t, Enrolled(h.Root, name))
	}
}

func (h *host) pam(p PAM, code string) error {
	return h.Authenticate(context.Background(), p, strings.NewReader(code))
}

func TestSudoNeedsACode(t *testing.T) {
	h := newHost(t)
	sudo := PAM{Type: "auth", Service: "sudo", User: "alice"}
	assert.ErrorIs(t, h.pam(sudo, "123456"), ErrNotEnrolled)
	assert.ErrorContains(t, h.Unenrolled(t.Context(), sudo), "only a login")
	h.enrolled("alice")
	assert.ErrorIs(t, h.pam(sudo, "000000"), ErrWrong)
	assert.NoError(t, h.pam(sudo, h.code(secret, 0)))
	assert.NotContains(t, h.out.String(), h.code(secret, 0), "no code in any log")
	assert.NotContains(t, h.out.String(), secret)
}

func TestLogin(t *testing.T) {
	h := newHost(t)
	login := PAM{Type: "auth", Service: "sshd", User: "alice", Done: "publickey ssh-ed25519 AAAA\n"}
	assert.NoError(t, h.pam(login, ""), "to enrol")
	assert.NoError(t, h.Unenrolled(t.Context(), login))
	h.enrolled("alice")
	assert.Error(t, h.Unenrolled(t.Context(), login))
	assert.ErrorIs(t, h.pam(login, ""), ErrWrong)
	assert.NoError(t, h.pam(login, h.code(secret, 0)))

	for name, p := range map[string]PAM{
		"no key before it": {Type: "auth", Service: "sshd", User: "alice"},
		"another service":  {Type: "auth", Service: "login", User: "alice"},
		"another phase":    {Type: "account", Service: "sudo", User: "alice"},
	} {
		h := newHost(t)
		assert.Error(t, h.pam(p, ""), name)
		assert.Error(t, h.Unenrolled(t.Context(), p), name)
	}
	h.Settings.SecondFactor.AtLogin = false
	h.now = h.now.Add(time.Hour)
	assert.ErrorContains(t, h.pam(login, h.code(secret, 0)), "no code is asked for at login")
}

// parameters is a Parameter Store.
type parameters struct {
	values map[string]*ssm.PutParameterInput
	err    error
}

func (p *parameters) GetParameter(_ context.Context, in *ssm.GetParameterInput, _ ...func(*ssm.Options)) (*ssm.GetParameterOutput, error) {
	had := p.values[*in.Name]
	switch {
	case p.err != nil:
		return nil, p.err
	case had == nil:
		return nil, &types.ParameterNotFound{}
	case !aws.ToBool(in.WithDecryption):
		return nil, errors.New("not decrypted")
	}
	return &ssm.GetParameterOutput{Parameter: &types.Parameter{Value: had.Value}}, nil
}

func (p *parameters) PutParameter(_ context.Context, in *ssm.PutParameterInput, _ ...func(*ssm.Options)) (*ssm.PutParameterOutput, error) {
	if p.err == nil && p.values[*in.Name] != nil && !aws.ToBool(in.Overwrite) {
		return nil, &types.ParameterAlreadyExists{}
	}
	if p.err == nil {
		p.values[*in.Name] = in
	}
	return nil, p.err
}

func (p *parameters) DeleteParameter(_ context.Context, in *ssm.DeleteParameterInput, _ ...func(*ssm.Options)) (*ssm.DeleteParameterOutput, error) {
	if p.err == nil && p.values[*in.Name] == nil {
		return nil, &types.ParameterNotFound{}
	}
	delete(p.values, *in.Name)
	return nil, p.err
}

// person sits at a terminal: reads the key that is shown, and types its codes.
type person struct {
	h     *host
	shown bytes.Buffer
	steps []int
	junk  string
}

var key = regexp.MustCompile(`key into it: ([A-Z2-7]+)`)

func (p *person) Read(b []byte) (int, error) {
	if p.junk != "" {
		n := copy(b[:1], p.junk)
		p.junk = p.junk[n:]
		return n, nil
	}
	if len(p.steps) == 0 {
		return 0, io.EOF
	}
	found := key.FindStringSubmatch(p.shown.String())
	if found == nil {
		return 0, io.EOF
	}
	p.junk, p.steps = p.h.code(found[1], p.steps[0])+"\r\n", p.steps[1:]
	return p.Read(b)
}

func (h *host) enrol(junk string, steps ...int) (*person, error) {
	p := &person{h: h, junk: junk, steps: steps}
	return p, h.Enrol(context.Background(), p, &p.shown, "alice")
}

func TestEnrol(t *testing.T) {
	h := newHost(t)
	store := &parameters{values: map[string]*ssm.PutParameterInput{}}
	h.Client, h.Settings.ParameterPath, h.Settings.KeyID, h.Settings.StackName = store, "/postern/Access/Bastion", "alias/k", "Access"
	assert.False(t, Enrolled(h.Root, "alice"))
	p, err := h.enrol("", 0, 0, 1)
	require.NoError(t, err)
	assert.True(t, Enrolled(h.Root, "alice"))
	shown := p.shown.String()
	assert.Contains(t, shown, "otpauth://totp/Postern%20Access:alice?")
	assert.Contains(t, shown, "█")
	assert.Contains(t, shown, "This is the same code")
	assert.Contains(t, shown, wipe)
	made := key.FindStringSubmatch(shown)[1]
	assert.Len(t, made, 32, "160 bits")
	assert.NotContains(t, h.out.String(), made)

	info, err := os.Stat(filepath.Join(h.Root, Dir, "alice"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	put := store.values["/postern/Access/Bastion/totp/alice"]
	require.NotNil(t, put)
	assert.Equal(t, types.ParameterTypeSecureString, put.Type)
	assert.Equal(t, "alias/k", *put.KeyId)
	assert.Contains(t, *put.Value, made)

	assert.ErrorIs(t, h.verify(h.code(made, 1)), ErrUsed, "the codes of the enrolment are used up")
	h.now = h.now.Add(time.Minute)
	require.NoError(t, h.verify(h.code(made, 0)))

	// The instance is replaced.
	require.NoError(t, os.Remove(filepath.Join(h.Root, Dir, "alice")))
	h.now = h.now.Add(time.Minute)
	require.NoError(t, h.verify(h.code(made, 0)))
	assert.True(t, Enrolled(h.Root, "alice"))

	require.NoError(t, h.Reset(t.Context(), "alice"))
	assert.Empty(t, store.values)
	assert.ErrorIs(t, h.verify("1"), ErrNotEnrolled)
	require.NoError(t, h.Reset(t.Context(), "alice"))
}

func TestWhetherEnrolledCanNotBeFoundOut(t *testing.T) {
	h := newHost(t)
	h.Client, h.Settings.ParameterPath = &parameters{err: errors.New("no network")}, "/p"
	login := PAM{Type: "auth", Service: "sshd", User: "alice", Done: "publickey x"}
	assert.ErrorContains(t, h.pam(login, ""), "no network")
	assert.ErrorContains(t, h.Unenrolled(t.Context(), login), "no network")
	_, err := h.enrol("", 0, 1)
	assert.ErrorContains(t, err, "no network")
	assert.Error(t, h.Reset(t.Context(), "alice"))
}

func TestEnrolmentThatIsNotKeptIsNone(t *testing.T) {
	h := newHost(t)
	store := &parameters{values: map[string]*ssm.PutParameterInput{}}
	h.Client, h.Settings.ParameterPath = store, "/p"
	h.clock = func() time.Time { store.err = errors.New("throttled"); return h.now }
	_, err := h.enrol("", 0, 1)
	require.ErrorContains(t, err, "throttled")
	assert.False(t, Enrolled(h.Root, "alice"))
}

func TestEnrolmentNeedsTwoCodes(t *testing.T) {
	for _, steps := range [][]int{{0}, {0, 0, 0, 0}, {1, 0, 0, 0}, {5, 5, 5}} {
		h := newHost(t)
		p, err := h.enrol("", steps...)
		require.Error(t, err)
		assert.False(t, Enrolled(h.Root, "alice"))
		assert.Contains(t, p.shown.String(), wipe)
		assert.Contains(t, p.shown.String(), "Nothing was changed")
	}
}

func TestAnotherEnrolmentNeedsTheFirst(t *testing.T) {
	h := newHost(t).enrolled("alice")
	p, err := h.enrol("000000\n111111\n222222\n", 0, 1)
	require.ErrorIs(t, err, ErrWrong)
	assert.NotContains(t, p.shown.String(), "otpauth")
	before, err := readRecord(h.Root, "alice")
	require.NoError(t, err)
	_, err = h.enrol(h.code(secret, 0)+"\n", 0, 1)
	require.NoError(t, err)
	after, err := readRecord(h.Root, "alice")
	require.NoError(t, err)
	assert.NotEqual(t, before.Secret, after.Secret)
}

func TestTwoEnrolAtOnce(t *testing.T) {
	h := newHost(t)
	var once sync.Once
	h.clock = func() time.Time { once.Do(func() { h.enrolled("alice") }); return h.now }
	_, err := h.enrol("", 0, 1)
	require.ErrorContains(t, err, "somebody enrolled as you meanwhile")
	kept, err := readRecord(h.Root, "alice")
	require.NoError(t, err)
	assert.Equal(t, secret, kept.Secret)
}

// Each host locks for itself: Parameter Store takes one first secret only.
func TestTwoEnrolAtOnceOnTwoHosts(t *testing.T) {
	h := newHost(t)
	store := &parameters{values: map[string]*ssm.PutParameterInput{}}
	h.Client, h.Settings.ParameterPath = store, "/p"
	other := &ssm.PutParameterInput{Value: aws.String(`{"secret":"` + secret + `"}`)}
	h.Client = &late{parameters: store, put: other}
	_, err := h.enrol("", 0, 1)
	require.ErrorContains(t, err, "somebody enrolled as you meanwhile")
	assert.Same(t, other, store.values["/p/totp/alice"])
	assert.False(t, Enrolled(h.Root, "alice"))

	require.NoError(t, h.verify(h.code(secret, 0)))
	h.now = h.now.Add(2 * time.Minute)
	_, err = h.enrol(h.code(secret, 0)+"\n", 0, 1)
	require.NoError(t, err, "who has the code may replace it")
	assert.NotSame(t, other, store.values["/p/totp/alice"])
}

// late is a Parameter Store in which another host is a moment faster.
type late struct {
	*parameters
	put *ssm.PutParameterInput
}

func (l *late) PutParameter(ctx context.Context, in *ssm.PutParameterInput, o ...func(*ssm.Options)) (*ssm.PutParameterOutput, error) {
	if l.values[*in.Name] == nil {
		l.values[*in.Name] = l.put
	}
	return l.parameters.PutParameter(ctx, in, o...)
}

func TestEnrolmentTakesThisMoment(t *testing.T) {
	h := newHost(t)
	before, err := uptime.Now()
	require.NoError(t, err)
	_, err = h.enrol("", 0, 1)
	require.NoError(t, err)
	after, err := uptime.Now()
	require.NoError(t, err)
	assert.False(t, EnrolledBefore(h.Root, "alice", before))
	assert.True(t, EnrolledBefore(h.Root, "alice", after))
}

func TestEnrolledBefore(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, Dir), 0o700))
	now, err := uptime.Now()
	require.NoError(t, err)
	earlier, later := now, now
	earlier.Since -= time.Second
	later.Since += time.Second
	for what, c := range map[string]struct {
		record string
		moment uptime.Moment
		before bool
	}{
		"this boot, then the connection":      {fmt.Sprintf(`{"secret":"X","here":{"boot":%q,"since":%d}}`, now.Boot, earlier.Since), now, true},
		"this boot, after the connection":     {fmt.Sprintf(`{"secret":"X","here":{"boot":%q,"since":%d}}`, now.Boot, later.Since), now, false},
		"this boot, in the tick of it":        {fmt.Sprintf(`{"secret":"X","here":{"boot":%q,"since":%d}}`, now.Boot, now.Since), now, false},
		"another boot, which ran for longer":  {fmt.Sprintf(`{"secret":"X","here":{"boot":"another","since":%d}}`, later.Since), now, true},
		"another host, before":                {fmt.Sprintf(`{"secret":"X","enrolled":%q}`, time.Now().Add(-time.Minute).Format(time.RFC3339Nano)), now, true},
		"another host, since":                 {fmt.Sprintf(`{"secret":"X","enrolled":%q}`, time.Now().Add(time.Minute).Format(time.RFC3339Nano)), now, false},
		"another host, before, and connected": {fmt.Sprintf(`{"secret":"X","enrolled":%q}`, time.Now().Add(-time.Minute).Format(time.RFC3339Nano)), uptime.Moment{Boot: now.Boot, Since: now.Since - time.Hour}, false},
		"not at all":                          {`{}`, now, false},
		"nobody knows":                        {`{`, now, false},
	} {
		require.NoError(t, os.WriteFile(filepath.Join(root, Dir, "alice"), []byte(c.record), 0o600))
		assert.Equal(t, c.before, EnrolledBefore(root, "alice", c.moment), what)
	}
	assert.False(t, EnrolledBefore(root, "bob", now))
}
