//go:build linux

package host_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/postern-cdk/postern/internal/filterpattern"
	"github.com/postern-cdk/postern/internal/hostalarm"
	"github.com/postern-cdk/postern/test/host/lab"
)

var updateLines = flag.Bool("update", false, "write the lines that the host delivers to internal/host/testdata/lines")

// A line as it arrived in CloudWatch Logs.
type line struct {
	Log     string `json:"log"` // the kind of record
	Message string `json:"message"`
}

// An occurrence is something that happens on a host, and the alarms that its lines
// are counted for.
type occurrence struct {
	name   string
	counts []string
	// tells is in a line that is kept, though others may look like it.
	tells  string
	occurs func(t *testing.T, l *lab.Lab)
}

// notKept is an occurrence whose lines are those of another.
const notKept = "what comes before"

// What a host tells of each occurrence is counted for the alarms that it should be,
// and for no other. The lines are kept: internal/hostalarm tries its filters on them
// where no host can be booted, and here they are compared with what the host tells
// today.
func TestLines(t *testing.T) {
	t.Parallel()
	t.Run("keys", func(t *testing.T) {
		t.Parallel()
		phone := newDevice()
		c := hardened()
		c.Choices.People.Sudo = []string{"alice"}
		l := lab.Boot(t, with(t, c, lab.Options{
			Name: "the host whose lines are kept", RootFS: lab.IntegrityRootFS, DiskMiB: 1024,
			Prepare: func(l *lab.Lab) {
				l.SSM.Put("/postern/Access/Bastion/totp/alice", phone.parameter())
				for _, name := range []string{"alice", "bob", "carol", "dave"} {
					l.Person(name)
				}
			},
		}))
		require.Equal(t, "SUCCESS", l.WaitSignal(t).Status)
		keep(t, l, occurrencesOfKeys(phone))
	})
	t.Run("codes", func(t *testing.T) {
		t.Parallel()
		// The device of the example's erin, whose codes another host takes meanwhile.
		phone := &device{secret: example.devices["erin"].secret}
		l := own(t, exampleFrom, lab.Options{Name: "the host whose lines are kept, with codes"}).get(t)
		erin := &door{Lab: l, name: "erin", key: l.Key("erin")}
		keep(t, l, []occurrence{
			{name: notKept, occurs: func(*testing.T, *lab.Lab) {}},
			{name: "wrong-code", counts: []string{hostalarm.FailedKeys}, occurs: func(t *testing.T, _ *lab.Lab) {
				_, err := erin.try(t, phone.wrong(t))
				require.Error(t, err)
			}},
			{name: "accepted-code", counts: []string{hostalarm.LoginOutsideHours}, occurs: func(t *testing.T, _ *lab.Lab) {
				s := erin.shell(t, phone.code(t))
				defer s.Close()
				_, _, err := s.Run("true")
				require.NoError(t, err)
			}},
			{name: "records-missing", counts: []string{hostalarm.RecordingGap}, occurs: func(t *testing.T, l *lab.Lab) {
				defer again(t, l)
				for _, fault := range []lab.Fault{{Service: "logs", Op: "PutLogEvents", Status: 503}, {Service: "s3", Op: "PutObject", Status: 503}} {
					defer l.Fault(fault)()
				}
				for _, name := range []string{"frank", "grace"} {
					key := lab.NewKey()
					l.S3.PutIn(example.bucket, "public-keys/"+name+".pub", lab.AuthorizedKey(key))
					reconcile(l)
				}
				l.MustRoot(t, `cd /var/log/postern/people && gone=$(ls *.jsonl | tail -n 2 | head -n 1) && chattr -ia "$gone" && rm "$gone"`)
			}},
		})
	})
	t.Run("behind", func(t *testing.T) {
		t.Parallel()
		l := own(t, func(o lab.Options) (*lab.Lab, error) { return from(&shared.hardened, o, unbanned) },
			lab.Options{Name: "the host whose lines are kept, and that is behind"}).get(t)
		keep(t, l, []occurrence{
			{name: notKept, occurs: func(*testing.T, *lab.Lab) {}},
			{name: "shipping-behind", counts: []string{hostalarm.RecordingGap}, occurs: func(t *testing.T, l *lab.Lab) {
				defer again(t, l)
				defer l.Fault(lab.Fault{Service: "logs", Op: "PutLogEvents", Status: 503})()
				l.MustRoot(t, "logger -t postern 'a line to be behind with'")
				lab.Eventually(t, 2*time.Minute, "the host tells that it is behind", func() bool {
					return strings.Contains(l.Journal(t, "-u", "postern-ship"), `"shipping-behind"`)
				})
				check(l)
			}},
		})
	})
}

func occurrencesOfKeys(phone *device) []occurrence {
	try := func(l *lab.Lab, user, from string, key ssh.Signer) error {
		c, err := l.Dial(user, lab.SSHOptions{From: from, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}})
		if err == nil {
			_ = c.Close()
		}
		return err
	}
	login := []string{hostalarm.LoginOutsideHours}
	with := func(alarms ...string) []string { return append(slices.Clone(login), alarms...) }
	return []occurrence{
		{name: "boot", occurs: func(t *testing.T, l *lab.Lab) {
			lab.Eventually(t, 2*time.Minute, "a baseline", func() bool {
				_, code := l.Root(t, "test -e /var/lib/postern/integrity/aide.db.gz")
				return code == 0
			})
		}},
		{name: "day", counts: login, occurs: func(t *testing.T, l *lab.Lab) {
			s := l.Login(t, "bob")
			_, _, err := s.Run("id; echo 'Failed publickey for alice'; logger -t sshd 'Failed publickey for alice from 203.0.113.9 port 1 ssh2'; " +
				`logger -t sudo 'alice : TTY=pts/1 ; USER=root ; COMMAND=/bin/sh'; logger '{"postern":"alarm","name":"recording-failed","text":"a lie"}'`)
			require.NoError(t, err)
			s.Close()
			check(l)
			l.MustRoot(t, "systemctl start postern-digest.service postern-integrity.service postern-people.service")
		}},
		{name: "accepted", counts: login, occurs: func(t *testing.T, l *lab.Lab) {
			require.NoError(t, try(l, "alice", "198.51.100.11", l.Key("alice")))
		}},
		{name: "failed-key", counts: []string{hostalarm.FailedKeys}, occurs: func(t *testing.T, l *lab.Lab) {
			require.Error(t, try(l, "alice", "198.51.100.12", lab.NewKey()))
		}},
		{name: "invalid-user", counts: []string{hostalarm.InvalidUsers}, occurs: func(t *testing.T, l *lab.Lab) {
			require.Error(t, try(l, "oracle", "198.51.100.13", lab.NewKey()))
			require.Error(t, try(l, "root", "198.51.100.13", l.Key("alice")))
		}},
		{name: "banned", counts: []string{hostalarm.FailedKeys}, tells: "Ban 198.51.100.14", occurs: func(t *testing.T, l *lab.Lab) {
			for range 8 {
				if err := try(l, "alice", "198.51.100.14", lab.NewKey()); err == nil {
					t.Fatal("a key that nobody knows opens")
				}
			}
			lab.Eventually(t, patience, "the ban is told", func() bool { return strings.Contains(l.Journal(t, "-u", "fail2ban"), "Ban 198.51.100.14") })
		}},
		{name: "sudo", counts: with(hostalarm.Sudo), occurs: func(t *testing.T, l *lab.Lab) {
			s := l.Login(t, "alice")
			defer s.Close()
			s.Type("sudo id -un")
			wait(t, s, "One-time code of alice")
			s.Type(phone.wrong(t))
			wait(t, s, "try again")
			s.Type(phone.code(t))
			wait(t, s, `(?m)^root\r$`)
		}},
		{name: "sudo-refused", counts: with(hostalarm.Sudo), occurs: func(t *testing.T, l *lab.Lab) {
			s := l.Login(t, "alice")
			defer s.Close()
			_, code, err := s.RunFor("sudo -k -n id", patience)
			require.NoError(t, err)
			require.NotZero(t, code)
		}},
		{name: "integrity-changed", counts: []string{hostalarm.IntegrityChanged}, occurs: func(t *testing.T, l *lab.Lab) {
			l.MustRoot(t, "echo evil >/usr/local/bin/evil; systemctl start postern-integrity.service; rm /usr/local/bin/evil")
		}},
		{name: "people-failed", counts: []string{hostalarm.PeopleFailed}, occurs: func(_ *testing.T, l *lab.Lab) {
			defer l.Fault(lab.Fault{Service: "s3", Op: "ListObjectsV2", Status: 403})()
			reconcile(l)
		}},
		{name: "people-stale", counts: []string{hostalarm.PeopleFailed}, occurs: func(t *testing.T, l *lab.Lab) {
			l.MustRoot(t, "systemctl stop postern-people.timer; sed -Ei 's/\"success\":\"20[0-9]{2}/\"success\":\"2001/' /run/postern/people.json; "+
				"/opt/postern/bin/postern-host check people | systemd-cat -t postern")
			l.MustRoot(t, "systemctl start postern-people.service postern-people.timer")
		}},
		{name: "users-refused", counts: []string{hostalarm.UsersRefused}, occurs: func(_ *testing.T, l *lab.Lab) {
			key, _ := l.S3.Get(lab.PeopleBucket, "public-keys/dave.pub")
			l.S3.Put("public-keys/mallory.pub", []byte("not a key\n"))
			l.S3.Put("public-keys/dave.pub", []byte("nor this\n"))
			reconcile(l)
			l.S3.Delete("public-keys/mallory.pub")
			l.S3.Put("public-keys/dave.pub", key.Data)
			reconcile(l)
		}},
		{name: "check-failed", counts: []string{hostalarm.HostPromise}, occurs: func(t *testing.T, l *lab.Lab) {
			l.MustRoot(t, "systemctl stop postern-digest.timer")
			check(l)
			l.MustRoot(t, "systemctl start postern-digest.timer")
		}},
		{name: "recorder-died", counts: with(hostalarm.RecordingGap), occurs: func(t *testing.T, l *lab.Lab) {
			s := l.Login(t, "carol")
			_, _, err := s.Run("true")
			require.NoError(t, err)
			l.MustRoot(t, "systemctl kill -s KILL --kill-whom=main postern-recorder.service")
			require.True(t, s.Ended(10*time.Second))
		}},
		{name: "disk-filled", counts: with(hostalarm.DiskFilled), occurs: func(t *testing.T, l *lab.Lab) {
			var s *lab.Session
			lab.Eventually(t, patience, "a recorder", func() bool {
				var err error
				if s, err = l.Open("carol", lab.SSHOptions{}); err != nil {
					return false
				}
				_, _, err = s.Run("true")
				return err == nil
			})
			s.Type("head -c 2G /dev/zero >big; sleep 60")
			require.True(t, s.Ended(patience))
			l.MustRoot(t, "rm ~carol/big")
		}},
	}
}

// again lets the shipper try at once what it would try again after a pause.
func again(t *testing.T, l *lab.Lab) {
	t.Helper()
	l.MustRoot(t, "systemctl restart postern-ship")
}

func reconcile(l *lab.Lab) { _, _, _ = l.TryRoot("systemctl start postern-people.service") }

func check(l *lab.Lab) { _, _, _ = l.TryRoot("systemctl start postern-check.service") }

// keep lets things occur, one after the other, and compares what was told.
func keep(t *testing.T, l *lab.Lab, occurrences []occurrence) {
	t.Helper()
	seen := map[string]int{}
	known := map[string]bool{}
	for _, o := range occurrences {
		if !t.Run(o.name, func(t *testing.T) {
			o.occurs(t, l)
			var lines []line
			for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
				lines = append(lines, news(l, seen)...)
				counted := counts(t, lines)
				if !slices.ContainsFunc(o.counts, func(alarm string) bool { return counted[alarm] == 0 }) {
					break
				}
			}
			time.Sleep(3 * time.Second) // what comes after it
			lines = append(lines, news(l, seen)...)
			assert.ElementsMatch(t, o.counts, slices.Collect(maps.Keys(counts(t, lines))), "%s", told(t, lines))
			if o.name == notKept {
				return
			}
			compare(t, o, lines, known)
		}) {
			return
		}
	}
}

// news are lines that were not there before.
func news(l *lab.Lab, seen map[string]int) []line {
	var lines []line
	for _, name := range l.Logs.Streams() {
		group, stream, _ := strings.Cut(name, " ")
		log, _, _ := strings.Cut(strings.TrimPrefix(stream, lab.InstanceID+"/"), "/")
		events := l.Logs.Events(group, stream)
		for _, e := range events[seen[name]:] {
			lines = append(lines, line{log, e.Message})
		}
		seen[name] = len(events)
	}
	return lines
}

// alarms that a line is counted for.
func (x line) alarms(t *testing.T) []string {
	t.Helper()
	var alarms []string
	for _, f := range hostalarm.Filters() {
		p, err := filterpattern.Parse(f.Pattern)
		require.NoError(t, err)
		verdict := p.Judge(x.Message)
		assert.NotEqual(t, filterpattern.Undocumented, verdict, "%s on %s", f.ID, x.Message)
		if verdict != filterpattern.Matches {
			continue
		}
		assert.EqualValues(t, f.Log, x.Log, "%s finds a line in the records of another kind: %s", f.ID, x.Message)
		if f.Alarm != hostalarm.HostUnproven { // which goes off where no line comes
			alarms = append(alarms, f.Alarm)
		}
	}
	assert.LessOrEqual(t, len(alarms), 1, "%s raises %s", x.Message, alarms)
	return alarms
}

func counts(t *testing.T, lines []line) map[string]int {
	t.Helper()
	counted := map[string]int{}
	for _, x := range lines {
		for _, alarm := range x.alarms(t) {
			counted[alarm]++
		}
	}
	return counted
}

// told is what was told, and what was counted.
func told(t *testing.T, lines []line) string {
	t.Helper()
	var b strings.Builder
	for _, x := range lines {
		if x.worth(t) {
			fmt.Fprintf(&b, "%s %s: %s\n", x.alarms(t), x.Log, x.Message)
		}
	}
	return b.String()
}

var (
	varying = regexp.MustCompile(`SHA256:[A-Za-z0-9+/]+|\b[0-9a-f]{8,}\b|[0-9]+`)
	fixed   = map[string]bool{"postern": true, "name": true, "result": true, "action": true, "identifier": true}
	worded  = map[string]bool{"message": true, "text": true}
)

// shape is what stays of a line from one run to the next.
func (x line) shape() string {
	var fields map[string]any
	if json.Unmarshal([]byte(x.Message), &fields) != nil {
		return x.Log + " " + varying.ReplaceAllString(x.Message, "0")
	}
	for key, value := range fields {
		text, ok := value.(string)
		switch {
		case ok && fixed[key]:
		case ok && worded[key]:
			fields[key] = varying.ReplaceAllString(text, "0")
		case key == "program":
			delete(fields, key) // which is there only where the process was
		default:
			fields[key] = fmt.Sprintf("%T", value)
		}
	}
	text, _ := json.Marshal(fields)
	if fields["identifier"] == "sudo" {
		return string(text) // one that ends at once is of the host's log, where the journal did not see its program
	}
	return x.Log + " " + string(text)
}

// worth says whether a line is kept: all that is counted, and of the rest what a filter
// could take for it. Sessions hold what was typed, and systemd's words are many.
func (x line) worth(t *testing.T) bool {
	t.Helper()
	return len(x.alarms(t)) > 0 || x.Log != "sessions" && !strings.Contains(x.Message, `"identifier":"systemd`) && !strings.Contains(x.Message, `"identifier":"cloud-init`)
}

// compare what was told with what was told when the lines were kept, or keeps them.
func compare(t *testing.T, o occurrence, lines []line, known map[string]bool) {
	t.Helper()
	var kept []line
	for _, x := range lines {
		// A file has the lines by which its occurrence is known, and others once.
		shape := x.shape()
		counted := len(x.alarms(t)) > 0 || o.tells != "" && strings.Contains(x.Message, o.tells)
		if known[shape] && !counted || !x.worth(t) || slices.ContainsFunc(kept, func(y line) bool { return y.shape() == shape }) {
			continue
		}
		known[shape] = true
		kept = append(kept, x)
	}
	file := filepath.Join("..", "..", "internal", "host", "testdata", "lines", o.name+".jsonl")
	if *updateLines {
		var b bytes.Buffer
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false)
		for _, x := range kept {
			require.NoError(t, encoder.Encode(x))
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o750))
		require.NoError(t, os.WriteFile(file, b.Bytes(), 0o644))
		return
	}
	data, err := os.ReadFile(file)
	require.NoError(t, err, "run this test with -update")
	today := map[string]bool{}
	for _, x := range kept {
		today[x.shape()] = true
	}
	for text := range strings.Lines(string(data)) {
		var x line
		require.NoError(t, json.Unmarshal([]byte(text), &x))
		if len(x.alarms(t)) > 0 {
			assert.True(t, today[x.shape()], "the host does not tell this any more, run with -update and see that its alarm still goes off:\n%s", x.Message)
		}
	}
}
