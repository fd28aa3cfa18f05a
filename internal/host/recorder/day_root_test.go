//go:build linux && hostroot

package recorder

import (
	"bufio"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/chain"
	accounts "github.com/postern-cdk/postern/internal/host/people"
	"github.com/postern-cdk/postern/internal/host/settings"
	"github.com/postern-cdk/postern/internal/insights"
	"github.com/postern-cdk/postern/internal/queries"
)

// stranger is where the failed logins come from.
const stranger = "203.0.113.66"

// sshdJournal is what journald would have of sshd, as journalctl gives it out.
type sshdJournal struct {
	mu      sync.Mutex
	entries []string
}

func (j *sshdJournal) follow(in io.Reader) {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		j.add("sshd", "sshd.service", "/usr/sbin/sshd", strings.TrimRight(lines.Text(), "\r"))
	}
}

func (j *sshdJournal) add(identifier, unit, program, message string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	entry, _ := json.Marshal(map[string]string{
		"__CURSOR": "s=day;i=" + strconv.Itoa(len(j.entries)+1), "__REALTIME_TIMESTAMP": strconv.FormatInt(time.Now().UnixMicro(), 10),
		"_UID": "0", "_PID": "812", "_EXE": program, "SYSLOG_IDENTIFIER": identifier, "_TRANSPORT": "syslog", "_SYSTEMD_UNIT": unit,
		"PRIORITY": "6", "MESSAGE": message,
	})
	j.entries = append(j.entries, string(entry))
}

func (j *sshdJournal) count(text string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(strings.Join(j.entries, "\n"), text)
}

// A day on which alice does what she should not, through the real recorder: the saved
// queries answer from what it wrote. internal/queries/testdata/README.md says how its
// records become what the guide and the tests of the queries read.
func TestDay(t *testing.T) {
	l := newLab(t, nil)
	journal := l.listenLoudly()
	out, err := exec.Command("ip", "address", "add", stranger+"/32", "dev", "lo").CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, os.WriteFile("/usr/local/bin/psql", []byte("#!/bin/sh\nprintf ' id | name  | card\\n----+-------+---------------------\\n  1 | Jones | 4111 1111 1111 1111\\n(1 row)\\n'\n"), 0o755))

	for _, user := range []string{"admin", "root", "alice"} {
		require.Error(t, l.knockFrom(stranger, user))
	}
	bob := l.enter("bob")
	bob.say("uptime", "load average")
	alice := l.enter("alice")
	alice.say("psql -h orders.internal -c 'select * from customers' | tee customers.txt", "(1 row)")
	alice.say("wc -l customers.txt", "4 customers.txt")
	alice.send("exit\n")
	require.NoError(t, alice.ends())
	bob.send("exit\n")
	require.NoError(t, bob.ends())
	client, err := l.dial("alice")
	require.NoError(t, err)
	copying, err := client.NewSession()
	require.NoError(t, err)
	require.Error(t, copying.Run("cat customers.txt"))
	_ = client.Close()
	l.ending(alice.id)
	l.ending(bob.id)
	l.awaitLogged("refused", func(m map[string]any) bool { return m["person"] == "alice" })
	require.Eventually(t, func() bool { return journal.count("from "+stranger) >= 3 }, 5*time.Second, 10*time.Millisecond)
	l.stopDaemon(unix.SIGTERM)
	for line := range strings.Lines(l.log.String()) {
		if strings.HasPrefix(line, `{"postern":`) {
			journal.add("postern-host", "postern-recorder.service", "/opt/postern/bin/postern-host", strings.TrimSpace(line))
		}
	}

	l.tellOfPeople()

	events := commandLines(t)
	rows := answers(t, queries.WhoDidWhat, map[string]string{"session": alice.id}, events)
	first, last := rows[0], rows[len(rows)-1]
	assert.Equal(t, "begin alice 127.0.0.1", first.Get("event")+" "+first.Get("person")+" "+first.Get("address"))
	assert.Equal(t, "end 0", last.Get("event")+" "+last.Get("result"))
	story := make([]string, 0, len(rows))
	for _, r := range rows {
		story = append(story, r.Get("event")+" "+r.Get("what")+" "+r.Get("arguments"))
		assert.True(t, slices.Contains([]string{"", "alice"}, r.Get("person")), r)
	}
	typed := slices.Index(story, "typed psql -h orders.internal -c 'select * from customers' | tee customers.txt ")
	started := slices.Index(story, `exec /usr/local/bin/psql "psql","-h","orders.internal","-c","select * from customers"`)
	require.Positive(t, typed, strings.Join(story, "\n"))
	assert.Greater(t, started, typed, strings.Join(story, "\n"))

	rows = answers(t, queries.PersonSessions, map[string]string{"person": "alice"}, events)
	what := make([]string, 0, len(rows))
	for _, r := range rows {
		what = append(what, r.Get("what")+" "+r.Get("sessionId"))
	}
	assert.Equal(t, []string{"begin " + alice.id, "end " + alice.id, "refused "}, what)

	if os.Getenv("POSTERN_DAY") != "" {
		tellDay(t, journal)
	}
}

// tellOfPeople writes what the host told of people on that day, after what happened.
func (l *lab) tellOfPeople() {
	l.t.Helper()
	changelog, err := chain.Open(filepath.Join(settings.LogDir, "people"), chain.Options{Suffix: chain.Lines, Resume: true, NotAppendOnly: true})
	require.NoError(l.t, err)
	fingerprint := ssh.FingerprintSHA256(l.signer.PublicKey())
	for _, e := range []accounts.Entry{
		{Action: accounts.Added, Person: "carol", UID: 20003, Fingerprints: []string{fingerprint}, Object: "public-keys/carol.pub", Version: "L4kqtJlcpXroDTDmpUMLUo", ETag: "9b2cf535f27731c974343645a3985328"},
		{Action: accounts.Refused, Person: "mallory", Reason: "the RSA key has 1024 bits, 3072 are the least; better make an Ed25519 key", Object: "public-keys/mallory.pub", Version: "3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrH"},
		{Action: accounts.Removed, Person: "alice", UID: 20001, Before: []string{fingerprint}, Reason: "no longer in the bucket"},
	} {
		e.Time, e.Instance = time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"), "i-0123456789abcdef0"
		line, err := json.Marshal(e)
		require.NoError(l.t, err)
		require.NoError(l.t, changelog.Append(append(line, '\n')))
	}
	require.NoError(l.t, changelog.Close())
}

// listenLoudly has sshd say what it says on a host.
func (l *lab) listenLoudly() *sshdJournal {
	l.t.Helper()
	_ = l.sshd.Process.Kill()
	_ = l.sshd.Wait()
	text, err := os.ReadFile(l.config + "/sshd_config")
	require.NoError(l.t, err)
	loud := strings.Replace(string(text), "LogLevel ERROR", "LogLevel VERBOSE", 1)
	require.NoError(l.t, os.WriteFile(l.config+"/sshd_config", []byte(loud), 0o644))
	in, out, err := os.Pipe()
	require.NoError(l.t, err)
	l.t.Cleanup(func() { _ = out.Close() })
	l.sshd = exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", l.config+"/sshd_config")
	l.sshd.Stderr = out
	require.NoError(l.t, l.sshd.Start())
	journal := &sshdJournal{}
	go journal.follow(in)
	require.Eventually(l.t, func() bool { return journal.count("Server listening") > 0 }, 10*time.Second, 10*time.Millisecond)
	return journal
}

// knockFrom tries to log in with a key that nobody knows.
func (l *lab) knockFrom(address, user string) error {
	_, private, err := ed25519.GenerateKey(nil)
	require.NoError(l.t, err)
	key, err := ssh.NewSignerFromKey(private)
	require.NoError(l.t, err)
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}, Timeout: 5 * time.Second}
	conn, err := dialer.Dial("tcp", sshdPort)
	require.NoError(l.t, err)
	defer func() { _ = conn.Close() }()
	_, _, _, err = ssh.NewClientConn(conn, sshdPort, &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: 5 * time.Second,
	})
	return err
}

// enter opens an interactive session, in which nothing is typed yet.
func (l *lab) enter(user string) *shell {
	l.t.Helper()
	s := l.connect(user)
	require.NoError(l.t, s.Shell())
	go func() { s.done <- s.Wait() }()
	s.await("recorded: ")
	s.await("\r\n")
	_, rest, _ := strings.Cut(s.out.String(), "recorded: ")
	s.id, _, _ = strings.Cut(rest, "\r\n")
	s.await("$ ")
	return s
}

// say types a line as slowly as a person, and reads until the answer was shown.
func (s *shell) say(line, answer string) {
	s.l.t.Helper()
	time.Sleep(700 * time.Millisecond)
	s.send(line + "\n")
	s.await(answer)
}

// commandLines are the lines of the command log as events of a log group.
func commandLines(t *testing.T) []insights.Event {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(settings.LogDir, "commands", "*.jsonl"))
	require.NoError(t, err)
	var events []insights.Event
	for _, name := range names {
		for _, line := range lines(name) {
			var head struct{ Time time.Time }
			require.NoError(t, json.Unmarshal([]byte(line), &head), line)
			events = append(events, insights.Event{Time: head.Time, Account: "111122223333", Group: "/postern", Stream: "i-0123456789abcdef0/commands", Message: line})
		}
	}
	require.NotEmpty(t, events)
	return events
}

func answers(t *testing.T, id string, values map[string]string, events []insights.Event) insights.Result {
	t.Helper()
	text, err := insights.Fill(queries.ByID(id).Text, values)
	require.NoError(t, err)
	query, err := insights.Parse(text)
	require.NoError(t, err)
	result, err := query.Run(events)
	require.NoError(t, err)
	require.NotEmpty(t, result, id)
	return result
}

// tellDay prints what a shipper would find on the host, as an archive: the root of
// these tests goes with them.
func tellDay(t *testing.T, journal *sshdJournal) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(settings.LogDir, "journal.json"), []byte(strings.Join(journal.entries, "\n")+"\n"), 0o644))
	archive, err := exec.Command("tar", "-C", settings.LogDir, "--mode=u=rwX,go=rX", "-cz", "sessions", "commands", "people", "journal.json").Output()
	require.NoError(t, err)
	fmt.Println("DAY:" + base64.StdEncoding.EncodeToString(archive))
}
