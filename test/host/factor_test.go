//go:build linux

package host_test

import (
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

	"github.com/postern-cdk/postern/internal/host"
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

func (d *device) at(t *testing.T, counter int64) string {
	t.Helper()
	code, err := hotp.GenerateCode(d.secret, uint64(counter))
	require.NoError(t, err)
	return code
}

// code is one that is good now and was not taken; it may take a step until there is one.
func (d *device) code(t *testing.T) string {
	t.Helper()
	next := max(d.last+1, stepNow())
	if wait := time.Until(time.Unix((next-1)*step, 0)); wait > 0 {
		time.Sleep(wait + time.Second)
	}
	d.last = next
	return d.at(t, next)
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
	// Both codes are to be of steps that are good when they arrive.
	if left := step - time.Now().Unix()%step; left < 8 {
		time.Sleep(time.Duration(left+1) * time.Second)
	}
	d.last = stepNow()
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

func withFactor() host.Config {
	c := hardened()
	c.Choices.SecondFactor.AtLogin = true
	c.Choices.People.Sudo = []string{"alice"}
	return c
}

// Logins and sudo need a code; who has none yet can do nothing but get one, which no
// record has; and the next instance knows it.
func TestSecondFactor(t *testing.T) {
	t.Parallel()
	doors := map[string]*door{}
	l := lab.Boot(t, with(t, withFactor(), lab.Options{Name: "codes at login", Prepare: func(l *lab.Lab) {
		for _, name := range []string{"alice", "bob", "carol", "dave"} {
			doors[name] = &door{name: name, key: l.Person(name)}
		}
	}}))
	for _, d := range doors {
		d.Lab = l
	}
	signal := l.WaitSignal(t)
	require.Equal(t, "SUCCESS", signal.Status, "the check of the recording gets through without a code")
	alice, bob, carol, dave := doors["alice"], doors["bob"], doors["carol"], doors["dave"]
	x := &Target{Lab: l, T: t, Person: "alice"}
	var phone *device

	// From before alice enrols: the key is all that it proved.
	early := alice.open(t, "")
	passed := t.Run("who has no factor can only enrol", func(t *testing.T) {
		assert.Empty(t, alice.asked)
		session, err := early.NewSession()
		require.NoError(t, err)
		out, err := session.CombinedOutput("id")
		assert.Error(t, err)
		assert.Contains(t, string(out), "ssh -t HOST enrol")
		assert.NotContains(t, string(out), "uid=")

		s, err := lab.Terminal(alice.open(t, ""), "bash")
		require.NoError(t, err)
		wait(t, s, "The code that it shows: ")
		s.Type(`echo a"nswer"`)
		wait(t, s, "This is not its code")
		s.Send("\x03")
		wait(t, s, "Nothing was changed")
		require.True(t, s.Ended(patience))
		assert.NotContains(t, s.Output(), "answer")

		s, err = lab.Shell(alice.open(t, ""))
		require.NoError(t, err)
		phone = enrol(t, s)
		assert.Contains(t, s.Output(), "Log in again, with a code.\r\n")
		assert.NotContains(t, s.Output(), "This session is recorded")
		logs(t, l, `"event":"begin"`, `"person":"alice"`, `"command":"enrolment"`)
		logs(t, l, `"event":"end"`, `"person":"alice"`, `"status":0`)
		logs(t, l, `"totp"`, `"enrolled"`, `"alice"`)

		s, err = lab.Shell(early)
		require.NoError(t, err)
		wait(t, s, "log in again, with a code")
		assert.True(t, s.Ended(patience))
	})
	require.True(t, passed)

	t.Run("the secret is nowhere else", func(t *testing.T) {
		p, there := l.SSM.Get("/postern/Access/Bastion/totp/alice")
		require.True(t, there)
		assert.Equal(t, "SecureString", p.Type)
		assert.Contains(t, p.Value, phone.secret)
		x.nowhere(t, phone.secret, "/var/lib/postern/totp/alice")
	})

	t.Run("a login needs the key and a code", func(t *testing.T) {
		for what, code := range map[string]string{"wrong": phone.wrong(t), "empty": "", "of the enrolment": phone.at(t, phone.last)} {
			_, err := alice.try(t, code)
			assert.Error(t, err, what)
			assert.NotEmpty(t, alice.asked, what)
		}
		_, err := l.Dial("alice", lab.SSHOptions{From: client()})
		assert.Error(t, err, "the key alone")
		good := phone.code(t)
		_, err = (&door{Lab: l, name: "alice"}).try(t, good)
		assert.Error(t, err, "a code without the key")

		s := alice.shell(t, good)
		assert.Contains(t, strings.Join(alice.asked, " "), "One-time code of alice")
		out, _, err := s.Run("id -un")
		require.NoError(t, err)
		assert.Equal(t, "alice", out)
		_, err = alice.try(t, good)
		assert.Error(t, err, "a code is good once")
		assert.Contains(t, strings.Join(alice.told, " "), "used before")
		s.Close()
	})

	t.Run("sudo needs a code of its own", func(t *testing.T) {
		s := alice.shell(t, phone.code(t))
		s.Type("sudo id -u; echo status-$?")
		wait(t, s, "One-time code of alice for sudo: ")
		s.Type(phone.wrong(t))
		wait(t, s, "One-time code of alice for sudo: ")
		s.Type(phone.at(t, phone.last)) // of the login
		wait(t, s, "One-time code of alice for sudo: ")
		s.Type(phone.code(t))
		wait(t, s, `\r\n0\r\nstatus-0`)
		s.Type("sudo id -un")
		wait(t, s, "One-time code of alice for sudo: ") // each time
		logs(t, l, "sudo", "alice", "COMMAND=/usr/bin/id -u")
		logs(t, l, `"event":"exec"`, `"person":"alice"`, `"sudo"`)
		logs(t, l, `"event":"exec"`, `"person":"alice"`, `/usr/bin/id`, `"-u"`)
		assert.True(t, x.IsRecorded("\r\n0\r\nstatus-0"))
		s.Close()
	})

	t.Run("who is not named can not become root", func(t *testing.T) {
		s := bob.shell(t, "")
		tablet := enrol(t, s)
		s = bob.shell(t, tablet.code(t))
		out, code, err := s.Run("sudo -n id -u; sudo id -u </dev/null")
		require.NoError(t, err)
		assert.NotZero(t, code, out)
		assert.NotRegexp(t, `(?m)^0$`, out)
		s, err = lab.Terminal(bob.open(t, tablet.code(t)), "enrol")
		require.NoError(t, err)
		wait(t, s, "A new device needs a code of the one you have")
		s.Send("\x03")
		assert.True(t, s.Ended(patience))
	})

	t.Run("wrong codes lock", func(t *testing.T) {
		watch := enrol(t, carol.shell(t, ""))
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

	t.Run("without Parameter Store", func(t *testing.T) {
		defer l.Fault(lab.Fault{Service: "ssm", ConnRefused: true})()
		out, _, err := alice.shell(t, phone.code(t)).Run("id -un")
		require.NoError(t, err)
		assert.Equal(t, "alice", out, "who is enrolled logs in")
		_, err = dave.try(t, "")
		assert.Error(t, err, "nobody counts as not enrolled whom nobody could look up")
	})

	t.Run("the next instance knows it", func(t *testing.T) {
		next := lab.Boot(t, with(t, withFactor(), lab.Options{Name: "the next instance", Prepare: func(n *lab.Lab) {
			for _, name := range l.SSM.Names() {
				p, _ := l.SSM.Get(name)
				n.SSM.Put(name, p.Value)
			}
			n.Know("alice", alice.key)
			n.S3.Put("public-keys/alice.pub", lab.AuthorizedKey(alice.key))
		}}))
		require.Equal(t, "SUCCESS", next.WaitSignal(t).Status)
		alice := &door{Lab: next, name: "alice", key: alice.key}
		_, err := alice.try(t, "")
		require.Error(t, err)
		require.NotEmpty(t, alice.asked)
		client := alice.open(t, phone.code(t))

		// Another device, over the connection that is there.
		s, err := lab.Terminal(client, "enrol")
		require.NoError(t, err)
		wait(t, s, "Code: ")
		s.Type(phone.code(t))
		other := enrol(t, s)
		require.NotEqual(t, phone.secret, other.secret)
		x := &Target{Lab: next, T: t, Person: "alice"}
		x.nowhere(t, other.secret, "/var/lib/postern/totp/alice")
		p, _ := next.SSM.Get("/postern/Access/Bastion/totp/alice")
		assert.Contains(t, p.Value, other.secret)
		_, err = alice.try(t, phone.code(t))
		assert.Error(t, err, "the device of before")
		out, _, err := alice.shell(t, other.code(t)).Run("id -un")
		require.NoError(t, err)
		assert.Equal(t, "alice", out)
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
