//go:build linux

package host_test

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/hotp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/postern-cdk/postern/test/host/lab"
)

// patience is for what asks other programs, on a busy machine.
const patience = 30 * time.Second

// A device is an authenticator app: it knows what it was shown, and which of its codes
// were taken.
type device struct {
	secret string
	last   int64 // step
}

const step = 30

func stepNow() int64 { return time.Now().Unix() / step }

// left is how long the step goes on.
func left() time.Duration { return time.Until(time.Unix((stepNow()+1)*step, 0)) }

// A code of the step before is good until this one ends: soon is when that is too
// early for a busy machine.
const soon = 8 * time.Second

func newDevice() *device {
	secret := make([]byte, 20)
	_, _ = rand.Read(secret)
	return &device{secret: base32.StdEncoding.EncodeToString(secret)}
}

// parameter is what Parameter Store has of whoever enrolled with the device.
func (d *device) parameter() string {
	return fmt.Sprintf(`{"secret":%q,"enrolled":"2026-01-01T00:00:00Z"}`, d.secret)
}

func (d *device) at(t *testing.T, counter int64) string {
	t.Helper()
	code, err := hotp.GenerateCode(d.secret, uint64(counter))
	require.NoError(t, err)
	return code
}

// code is one that is good now and was not taken, the oldest of the three that a host
// takes: most often there is one more. Else it waits for the next step.
func (d *device) code(t *testing.T) string {
	t.Helper()
	oldest := stepNow() - 1
	if left() < soon {
		oldest++
	}
	d.last = max(d.last+1, oldest)
	if wait := time.Until(time.Unix((d.last-1)*step, 0)); wait > 0 {
		time.Sleep(wait + time.Second)
	}
	return d.at(t, d.last)
}

// wrong is a code of none of the steps around.
func (d *device) wrong(t *testing.T) string {
	t.Helper()
	good := map[string]bool{}
	for c := stepNow() - 2; c <= stepNow()+2; c++ {
		good[d.at(t, c)] = true
	}
	for _, code := range []string{"000000", "111111", "222222", "333333", "444444", "555555"} {
		if !good[code] {
			return code
		}
	}
	panic("six codes in five")
}

// A door is a way of a person to log in.
type door struct {
	*lab.Lab
	name string
	key  ssh.Signer
	// asked and told are what the last login asked for and said.
	asked, told []string
}

var clients atomic.Int32

// client is another address each time: one that fails often is banned.
func client() string { return fmt.Sprintf("198.51.100.%d", 10+clients.Add(1)%10) }

// try logs in by the key, and by the code where one is asked for.
func (d *door) try(t *testing.T, code string) (*ssh.Client, error) {
	t.Helper()
	d.asked, d.told = nil, nil
	auth := []ssh.AuthMethod{ssh.KeyboardInteractive(func(_, instruction string, questions []string, _ []bool) ([]string, error) {
		d.told = append(d.told, instruction)
		answers := make([]string, len(questions))
		for i, question := range questions {
			d.asked = append(d.asked, question)
			answers[i] = code
		}
		return answers, nil
	})}
	if d.key != nil {
		auth = append([]ssh.AuthMethod{ssh.PublicKeys(d.key)}, auth...)
	}
	client, err := d.Dial(d.name, lab.SSHOptions{Auth: auth, From: client()})
	if err == nil {
		t.Cleanup(func() { _ = client.Close() })
	}
	return client, err
}

func (d *door) open(t *testing.T, code string) *ssh.Client {
	t.Helper()
	client, err := d.try(t, code)
	require.NoError(t, err, "%s, asked %q, told %q", d.name, d.asked, d.told)
	return client
}

func (d *door) shell(t *testing.T, code string) *lab.Session {
	t.Helper()
	s, err := lab.Shell(d.open(t, code))
	require.NoError(t, err)
	return s
}

func wait(t *testing.T, s *lab.Session, pattern string) string {
	t.Helper()
	found, err := s.Wait(pattern, patience)
	require.NoError(t, err)
	return found
}

var shownKey = regexp.MustCompile(`key into it: ([A-Z2-7]{32})\r\n`)

// enrol answers the dialog on a terminal, as a person with a new device does.
func enrol(t *testing.T, s *lab.Session) *device {
	t.Helper()
	d := &device{secret: shownKey.FindStringSubmatch(wait(t, s, shownKey.String()))[1]}
	d.last = stepNow()
	if left() < soon {
		d.last++
	}
	wait(t, s, "The code that it shows: ")
	s.Type(d.at(t, d.last-1))
	wait(t, s, "The next code, when it changes: ")
	s.Type(d.at(t, d.last))
	wait(t, s, "you are enrolled")
	require.True(t, s.Ended(patience), "an enrolment ends by itself")
	return d
}

// logs waits for a line of the log groups that has all these texts in it.
func logs(t *testing.T, l *lab.Lab, texts ...string) {
	t.Helper()
	var near string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		near = ""
		for _, event := range l.Logs.All("") {
			found := 0
			for _, text := range texts {
				if strings.Contains(event.Message, text) {
					found++
				}
			}
			if found == len(texts) {
				return
			}
			if strings.Contains(event.Message, texts[0]) {
				near += event.Message + "\n"
			}
		}
	}
	t.Errorf("CloudWatch Logs has no line with %s. With the first of them:\n%s", strings.Join(texts, ", "), near)
}

// Logins and sudo need a code; who has none yet can do nothing but get one, which no
// record has; and the next instance knows it.
func TestSecondFactor(t *testing.T) {
	t.Parallel()
	l := example.host.get(t)
	person := func(l *lab.Lab, name string) *door { return &door{Lab: l, name: name, key: l.Key(name)} }
	bob, carol, erin := person(l, "bob"), person(l, "carol"), person(l, "erin")
	x := &Target{Lab: l, T: t, Person: "bob"}
	var phone *device

	// From before bob enrols: the key is all that it proved.
	early := bob.open(t, "")
	passed := t.Run("who has no factor can only enrol", func(t *testing.T) {
		assert.Empty(t, bob.asked)
		session, err := early.NewSession()
		require.NoError(t, err)
		out, err := session.CombinedOutput("id")
		assert.Error(t, err)
		assert.Contains(t, string(out), "ssh -t HOST enrol")
		assert.NotContains(t, string(out), "uid=")

		s, err := lab.Terminal(bob.open(t, ""), "bash")
		require.NoError(t, err)
		wait(t, s, "The code that it shows: ")
		s.Type(`echo a"nswer"`)
		wait(t, s, "This is not its code")
		s.Send("\x03")
		wait(t, s, "Nothing was changed")
		require.True(t, s.Ended(patience))
		assert.NotContains(t, s.Output(), "answer")

		s, err = lab.Shell(bob.open(t, ""))
		require.NoError(t, err)
		phone = enrol(t, s)
		assert.Contains(t, s.Output(), "Log in again, with a code.\r\n")
		assert.NotContains(t, s.Output(), "This session is recorded")
		logs(t, l, `"event":"begin"`, `"person":"bob"`, `"command":"enrolment"`)
		logs(t, l, `"event":"end"`, `"person":"bob"`, `"status":0`)
		logs(t, l, `"totp"`, `"enrolled"`, `"bob"`)

		s, err = lab.Shell(early)
		require.NoError(t, err)
		wait(t, s, "log in again, with a code")
		assert.True(t, s.Ended(patience))
	})
	require.True(t, passed)
	enrolled := *phone

	t.Run("the secret is nowhere else", func(t *testing.T) {
		t.Parallel()
		p, there := l.SSM.Get(example.parameters + "/totp/bob")
		require.True(t, there)
		assert.Equal(t, "SecureString", p.Type)
		assert.Contains(t, p.Value, enrolled.secret)
		x.nowhere(t, enrolled.secret, "/var/lib/postern/totp/bob")
	})

	t.Run("a login needs the key and a code", func(t *testing.T) {
		t.Parallel()
		for what, code := range map[string]string{"wrong": phone.wrong(t), "empty": "", "of the enrolment": phone.at(t, phone.last)} {
			_, err := bob.try(t, code)
			assert.Error(t, err, what)
			assert.NotEmpty(t, bob.asked, what)
		}
		_, err := l.Dial("bob", lab.SSHOptions{From: client()})
		assert.Error(t, err, "the key alone")
		good := phone.code(t)
		_, err = (&door{Lab: l, name: "bob"}).try(t, good)
		assert.Error(t, err, "a code without the key")

		s := bob.shell(t, good)
		assert.Contains(t, strings.Join(bob.asked, " "), "One-time code of bob")
		out, _, err := s.Run("id -un")
		require.NoError(t, err)
		assert.Equal(t, "bob", out)
		_, err = bob.try(t, good)
		assert.Error(t, err, "a code is good once")
		assert.Contains(t, strings.Join(bob.told, " "), "used before")
		s.Close()
	})

	t.Run("who is not named can not become root", func(t *testing.T) {
		t.Parallel()
		tablet := example.devices["erin"]
		s := erin.shell(t, tablet.code(t))
		out, code, err := s.Run("sudo -n id -u; sudo id -u </dev/null")
		require.NoError(t, err)
		assert.NotZero(t, code, out)
		assert.NotRegexp(t, `(?m)^0$`, out)
		s, err = lab.Terminal(erin.open(t, tablet.code(t)), "enrol")
		require.NoError(t, err)
		wait(t, s, "A new device needs a code of the one you have")
		s.Send("\x03")
		assert.True(t, s.Ended(patience))
	})

	t.Run("wrong codes lock", func(t *testing.T) {
		t.Parallel()
		watch := example.devices["carol"]
		for range 5 {
			_, err := carol.try(t, watch.wrong(t))
			require.Error(t, err)
			require.NotEmpty(t, carol.asked)
		}
		_, err := carol.try(t, watch.code(t))
		assert.Error(t, err)
		assert.Contains(t, strings.Join(carol.told, " "), "too many wrong codes")
		logs(t, l, `"alarm"`, "totp-locked", "carol")
	})

	t.Run("the next instance", func(t *testing.T) {
		t.Parallel()
		// From an image of before anybody enrolled, and with the same Parameter Store.
		watch := newDevice()
		next := own(t, exampleFrom,
			lab.Options{Name: "the next instance", Prepare: func(n *lab.Lab) {
				p, _ := l.SSM.Get(example.parameters + "/totp/bob")
				n.SSM.Put(p.Name, p.Value)
				n.SSM.Put(example.parameters+"/totp/alice", watch.parameter())
				key := lab.NewKey()
				n.Know("alice", key)
				n.S3.PutIn(example.bucket, "public-keys/alice.pub", lab.AuthorizedKey(key))
			}}).get(t)
		next.MustRoot(t, "systemctl start postern-people.service; id alice")
		alice, bob, carol, dave := person(next, "alice"), person(next, "bob"), person(next, "carol"), person(next, "dave")

		t.Run("with Parameter Store", func(t *testing.T) {
			t.Run("knows a device", func(t *testing.T) {
				t.Parallel()
				phone := enrolled
				_, err := bob.try(t, "")
				require.Error(t, err)
				require.NotEmpty(t, bob.asked)
				out, _, err := bob.shell(t, phone.code(t)).Run("id -un")
				require.NoError(t, err)
				assert.Equal(t, "bob", out)
			})

			t.Run("takes another device, and then not the one before", func(t *testing.T) {
				t.Parallel()
				tablet := &device{secret: example.devices["carol"].secret}
				// Over the connection that is there.
				s, err := lab.Terminal(carol.open(t, tablet.code(t)), "enrol")
				require.NoError(t, err)
				wait(t, s, "Code: ")
				s.Type(tablet.code(t))
				other := enrol(t, s)
				require.NotEqual(t, tablet.secret, other.secret)
				_, err = carol.try(t, tablet.code(t))
				assert.Error(t, err, "the device of before")
				out, _, err := carol.shell(t, other.code(t)).Run("id -un")
				require.NoError(t, err)
				assert.Equal(t, "carol", out)
				x := &Target{Lab: next, T: t, Person: "carol"}
				x.nowhere(t, other.secret, "/var/lib/postern/totp/carol")
				p, _ := next.SSM.Get(example.parameters + "/totp/carol")
				assert.Contains(t, p.Value, other.secret)
			})

			t.Run("asks for a code for sudo, too", func(t *testing.T) {
				t.Parallel()
				s := alice.shell(t, watch.code(t))
				s.Type("sudo id -u; echo status-$?")
				wait(t, s, "One-time code of alice for sudo: ")
				s.Type(watch.wrong(t))
				wait(t, s, "One-time code of alice for sudo: ")
				s.Type(watch.at(t, watch.last)) // of the login
				wait(t, s, "One-time code of alice for sudo: ")
				s.Type(watch.code(t))
				wait(t, s, `\r\n0\r\nstatus-0`)
				s.Type("sudo id -un")
				wait(t, s, "One-time code of alice for sudo: ") // each time
				logs(t, next, "sudo", "alice", "COMMAND=/usr/bin/id -u")
				logs(t, next, `"event":"exec"`, `"person":"alice"`, `"sudo"`)
				logs(t, next, `"event":"exec"`, `"person":"alice"`, `/usr/bin/id`, `"-u"`)
				x := &Target{Lab: next, T: t, Person: "alice"}
				assert.True(t, x.IsRecorded("\r\n0\r\nstatus-0"))
				s.Close()
			})
		})

		t.Run("without Parameter Store", func(t *testing.T) {
			defer next.Fault(lab.Fault{Service: "ssm", ConnRefused: true})()
			out, _, err := alice.shell(t, watch.code(t)).Run("id -un")
			require.NoError(t, err)
			assert.Equal(t, "alice", out, "who is enrolled logs in")
			_, err = dave.try(t, "")
			assert.Error(t, err, "nobody counts as not enrolled whom nobody could look up")
		})
	})
}

// nowhere says that a secret is in no file of the host but those, in no journal and
// in nothing that left the host, Parameter Store aside.
func (x *Target) nowhere(t *testing.T, secret string, but ...string) {
	t.Helper()
	time.Sleep(7 * time.Second) // what is not shipped yet is five seconds old
	// Not by a command line, which the journal has.
	const needle = "/root/needle"
	require.NoError(t, os.WriteFile(x.Path(needle), []byte(secret), 0o600))
	defer func() { _ = os.Remove(x.Path(needle)) }()
	out, _ := x.Root(t, "grep -rlaFf "+needle+" /boot /etc /home /opt /root /run /srv /tmp /usr/local /var 2>/dev/null")
	assert.ElementsMatch(t, append(but, needle), strings.Fields(out))
	out, code := x.Root(t, "journalctl --no-pager -a -o export | grep -cFf "+needle)
	assert.Equal(t, "0", strings.TrimSpace(out), "lines of the journal")
	assert.Equal(t, 1, code)
	assert.NotContains(t, x.Console(), secret)
	for _, event := range x.Logs.All("") {
		require.NotContains(t, event.Message, secret)
	}
	for _, bucket := range []string{lab.RecordBucket, lab.PeopleBucket} {
		for _, key := range x.S3.Keys(bucket, "") {
			o, _ := x.S3.Get(bucket, key)
			require.NotContains(t, string(o.Data), secret, key)
			require.NotContains(t, key, secret)
		}
	}
	// The dialog around it is not recorded either.
	records, _ := x.Root(t, "cat /var/log/postern/sessions/*/*.cast")
	require.Contains(t, records, `"version":2`, "there are recordings")
	require.NotContains(t, records, "otpauth")
	require.NotContains(t, records, "type the key into it")
}
