package ship

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/host/settings"
)

func entryLine(n int, pairs ...string) string {
	fields := map[string]string{
		"__CURSOR": fmt.Sprintf("c%d", n), "__REALTIME_TIMESTAMP": fmt.Sprint(time.Now().UnixMicro()), "MESSAGE": fmt.Sprintf("line %d", n),
	}
	for i := 0; i < len(pairs); i += 2 {
		fields[pairs[i]] = pairs[i+1]
	}
	text, _ := json.Marshal(fields)
	return string(text) + "\n"
}

func TestKinds(t *testing.T) {
	ours := `{"postern":"alarm","name":"x"}`
	relayed := `{"postern":"relay","target":"x"}`
	for name, c := range map[string]struct {
		fields []string
		kind   settings.Log
		line   string // "": wrapped
	}{
		"sshd":               {[]string{"SYSLOG_IDENTIFIER", "sshd", "_UID", "0"}, settings.LogSSHD, ""},
		"sshd-session":       {[]string{"SYSLOG_IDENTIFIER", "sshd-session", "_UID", "0"}, settings.LogSSHD, ""},
		"logger -t sshd":     {[]string{"SYSLOG_IDENTIFIER", "sshd", "_UID", "20001", "_EXE", "/usr/bin/logger"}, settings.LogHost, ""},
		"sudo":               {[]string{"SYSLOG_IDENTIFIER", "sudo", "_UID", "20001", "_EXE", "/usr/bin/sudo"}, settings.LogSudo, ""},
		"logger -t sudo":     {[]string{"SYSLOG_IDENTIFIER", "sudo", "_UID", "20001", "_EXE", "/usr/bin/logger"}, settings.LogHost, ""},
		"gone before a look": {[]string{"SYSLOG_IDENTIFIER", "sudo", "_UID", "20001"}, settings.LogHost, ""},
		"audit":              {[]string{"_TRANSPORT", "audit"}, settings.LogAudit, ""},
		"our service":        {[]string{"MESSAGE", ours, "_UID", "0", "_SYSTEMD_UNIT", "postern-recorder.service"}, settings.LogHost, ours},
		"the bootstrap":      {[]string{"MESSAGE", ours, "_UID", "0", "SYSLOG_IDENTIFIER", "postern"}, settings.LogHost, ours},
		"a person's alarm":   {[]string{"MESSAGE", ours, "_UID", "20001", "SYSLOG_IDENTIFIER", "postern"}, settings.LogHost, ""},
		"another service":    {[]string{"MESSAGE", ours, "_UID", "0", "_SYSTEMD_UNIT", "x.service"}, settings.LogHost, ""},
		"the relay":          {[]string{"MESSAGE", relayed, "_UID", "990", "_SYSTEMD_UNIT", "postern-relay.service"}, settings.LogHost, relayed},
		"the relay's alarm":  {[]string{"MESSAGE", ours, "_UID", "990", "_SYSTEMD_UNIT", "postern-relay.service", "SYSLOG_IDENTIFIER", "postern"}, settings.LogHost, ""},
		"a person's relay":   {[]string{"MESSAGE", relayed, "_UID", "20001", "_SYSTEMD_UNIT", "x.service", "SYSLOG_IDENTIFIER", "postern"}, settings.LogHost, ""},
		"no JSON":            {[]string{"MESSAGE", ours + "x", "_UID", "0", "_SYSTEMD_UNIT", "postern-ship.service"}, settings.LogHost, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := parseEntry([]byte(entryLine(7, c.fields...)))
			require.NoError(t, err)
			assert.Equal(t, c.kind, e.kind)
			assert.Equal(t, "c7", e.cursor)
			if c.line != "" {
				assert.Equal(t, c.line, string(e.line))
				return
			}
			var wrapped struct{ Postern, Message, Time string }
			require.NoError(t, json.Unmarshal(e.line, &wrapped))
			assert.Empty(t, wrapped.Postern)
			assert.NotEmpty(t, wrapped.Message)
			assert.NotEmpty(t, wrapped.Time)
		})
	}
}

func TestFieldText(t *testing.T) {
	for raw, text := range map[string]string{
		`"a"`: "a", `null`: "", `[104,105,255]`: "hi\uFFFD", `["a","b"]`: "a\nb", `{}`: "", ``: "", `3`: "",
	} {
		assert.Equal(t, text, fieldText(json.RawMessage(raw)), raw)
	}
	_, err := parseEntry([]byte(`{"MESSAGE":"x"}`))
	require.Error(t, err)
	_, err = parseEntry([]byte(`-- No entries --`))
	require.Error(t, err)
}

// follower is a journal that the test writes.
type follower struct {
	mu      sync.Mutex
	lines   []string
	cursors []string
	fail    int // this many followers end right away
	pipes   []*io.PipeWriter
}

type piped struct{ *io.PipeReader }

func (p piped) Close() error { return p.PipeReader.Close() }

func (f *follower) open(_ context.Context, cursor string) (Journal, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cursors = append(f.cursors, cursor)
	r, w := io.Pipe()
	if f.fail--; f.fail >= 0 {
		_ = w.Close()
		return piped{r}, nil
	}
	f.pipes = append(f.pipes, w)
	from := 0
	for i, l := range f.lines {
		if cursor != "" && strings.Contains(l, `"`+cursor+`"`) {
			from = i + 1
		}
	}
	rest := strings.Join(f.lines[from:], "")
	go func() { _, _ = io.WriteString(w, rest) }()
	return piped{r}, nil
}

func (f *follower) add(lines ...string) {
	f.mu.Lock()
	f.lines = append(f.lines, lines...)
	w := f.pipes
	f.mu.Unlock()
	if len(w) > 0 {
		_, _ = io.WriteString(w[len(w)-1], strings.Join(lines, ""))
	}
}

func TestJournal(t *testing.T) {
	h := newHarness(t)
	f := &follower{fail: 2}
	f.add(entryLine(1, "SYSLOG_IDENTIFIER", "sshd", "_UID", "0"), "-- no entry --\n", entryLine(2))
	h.run(t, func(s *Shipper) { s.Journal = f.open })
	arrives := func(stream string, n int) {
		t.Helper()
		require.Eventually(t, func() bool { return len(h.lines("/all|i-0abc/"+stream)) == n }, 10*time.Second, 20*time.Millisecond, "%v", h.streams)
	}
	arrives("sshd", 1)
	arrives("host", 1)
	f.add(entryLine(3))
	written := time.Now()
	arrives("host", 2)
	assert.Less(t, time.Since(written), 2*time.Second)
	f.add(entryLine(4))
	h.stop()
	arrives("host", 3)
	cursor, err := os.ReadFile(filepath.Join(h.root, cursorFile))
	require.NoError(t, err)
	assert.Equal(t, "c4", string(cursor))

	f.add(entryLine(5))
	h.run(t, func(s *Shipper) { s.Journal = f.open })
	arrives("host", 4)
	f.mu.Lock()
	assert.Equal(t, []string{"", "", "", "c4"}, f.cursors)
	f.mu.Unlock()
	h.stop()
	for i, l := range h.lines("/all|i-0abc/host") {
		assert.Contains(t, l, fmt.Sprintf("line %d", i+2))
	}
	h.sound(t)
}

// Who writes to the journal to see it arrive sees how far it came.
func TestCanary(t *testing.T) {
	h := newHarness(t)
	var closed atomic.Bool
	closed.Store(true)
	h.set(func(op, name string, w http.ResponseWriter, _ *http.Request) bool {
		if op != "PutLogEvents" || !strings.HasSuffix(name, "/host") || !closed.Load() {
			return false
		}
		refuse(w, http.StatusInternalServerError, "InternalFailure")
		return true
	})
	f := &follower{}
	f.add(entryLine(1))
	h.run(t, func(s *Shipper) { s.Journal = f.open })
	c := &Canary{Root: h.root, Kind: settings.LogHost, Word: "0a1b2c3d"}
	require.EqualError(t, c.Delivered(), "a line that was written to the journal is not read from it")
	f.add(entryLine(2, "MESSAGE", "the word 0a1b2c3d"), entryLine(3))
	require.Eventually(t, func() bool {
		return strings.HasSuffix(c.Delivered().Error(), "and CloudWatch Logs has not taken it")
	}, 5*time.Second, 20*time.Millisecond)
	assert.Empty(t, h.lines("/all|i-0abc/host"))
	closed.Store(false)
	require.Eventually(t, func() bool { return c.Delivered() == nil }, 20*time.Second, 20*time.Millisecond)
	assert.Contains(t, strings.Join(h.lines("/all|i-0abc/host"), ""), "0a1b2c3d")
	require.Error(t, (&Canary{Root: h.root, Kind: settings.LogHost, Word: "another"}).Delivered())
}

// A journal that is gone is read anew, as the cursor leads nowhere.
func TestJournalThatIsAnotherOne(t *testing.T) {
	h := newHarness(t)
	require.NoError(t, write(filepath.Join(h.root, cursorFile), []byte("gone")))
	f := &follower{}
	f.add(entryLine(1))
	open := func(ctx context.Context, cursor string) (Journal, error) {
		if cursor != "" {
			r, w := io.Pipe()
			return piped{r}, w.Close()
		}
		return f.open(ctx, cursor)
	}
	h.run(t, func(s *Shipper) { s.Journal = open })
	require.Eventually(t, func() bool { return len(h.lines("/all|i-0abc/host")) == 1 }, 20*time.Second, 20*time.Millisecond)
}

func FuzzEntry(f *testing.F) {
	f.Add([]byte(entryLine(1, "SYSLOG_IDENTIFIER", "sshd", "_UID", "0")))
	f.Add([]byte(`{"__CURSOR":"c","MESSAGE":[104,255],"_UID":["0","1"]}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := parseEntry(line)
		if err == nil && (!json.Valid(e.line) || e.kind == "") {
			t.Errorf("%q gives %q", line, e.line)
		}
	})
}
