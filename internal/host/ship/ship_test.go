package ship

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/host/chain"
	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/settings"
)

const session = "20261121T234501Z-0a1b2c3d"

func chosen() settings.Settings {
	return settings.Settings{
		Choices:     settings.Choices{Recording: settings.Recording{Prefix: "records/", KeepDays: 30}},
		Environment: settings.Environment{Region: "eu-west-1", InstanceID: "i-0abc", LogGroup: "/all", RecordBucket: "records"},
	}
}

// output is a buffer that may be read while it is written.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// silent is a journal in which nothing happens.
type silent struct{ io.Reader }

func (silent) Close() error { return nil }

func quietJournal(context.Context, string) (Journal, error) {
	r, _ := io.Pipe()
	return silent{r}, nil
}

type harness struct {
	*service
	root string
	log  *output
	s    *Shipper
	stop func()
	wait func()
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	return &harness{service: newService(t), root: t.TempDir(), log: &output{}}
}

// run starts a shipper; the one before must have been stopped.
func (h *harness) run(t *testing.T, change ...func(*Shipper)) {
	t.Helper()
	logs, bucket := h.clients()
	h.s = &Shipper{
		Settings: chosen(), Root: h.root, Logs: logs, S3: bucket, Journal: quietJournal,
		Log: &event.Log{Out: h.log, Console: io.Discard},
	}
	for _, c := range change {
		c(h.s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.s.Run(ctx) }()
	h.wait = sync.OnceFunc(func() { require.NoError(t, <-done) })
	h.stop = func() { cancel(); h.wait() }
	t.Cleanup(h.stop)
}

func (h *harness) chain(t *testing.T, kind, name string) *chain.Writer {
	t.Helper()
	o := chain.Options{Suffix: chain.Lines, NotAppendOnly: true, MaxBytes: 2000, MaxAge: time.Hour, Resume: true}
	if kind == "sessions" {
		o.Suffix, o.Resume = chain.Cast, false
		o.First = chain.Header{Session: chain.Session{ID: name, Start: time.Now().Add(-time.Minute)}}.Line
	}
	o.Shadow = filepath.Join(h.root, settings.ShadowDir, kind, name)
	w, err := chain.Open(filepath.Join(h.root, settings.LogDir, kind, name), o)
	require.NoError(t, err)
	return w
}

// numbered lines make loss, repetition and order visible.
func numbered(t *testing.T, w *chain.Writer, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		require.NoError(t, w.Append(fmt.Appendf(nil, `{"time":%q,"n":%d}`+"\n", time.Now().UTC().Format(time.RFC3339Nano), i)))
	}
}

// firsts is the order in which numbered lines came first.
func firsts(lines []string) []int {
	var all []int
	seen := map[int]bool{}
	for _, l := range lines {
		var n struct{ N *int }
		if json.Unmarshal([]byte(l), &n) == nil && n.N != nil && !seen[*n.N] {
			seen[*n.N] = true
			all = append(all, *n.N)
		}
	}
	return all
}

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

const commandsStream = "/all|i-0abc/commands"

func (h *harness) arrives(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return len(firsts(h.lines(commandsStream))) >= n }, 40*time.Second, 20*time.Millisecond, h.log)
	require.Equal(t, upTo(n), firsts(h.lines(commandsStream)))
}

func (h *harness) sound(t *testing.T) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	assert.Empty(t, h.problems)
}

func TestDelivery(t *testing.T) {
	h := newHarness(t)
	commands := h.chain(t, "commands", "")
	s := h.chain(t, "sessions", session)
	h.run(t)
	numbered(t, commands, 0, 50)
	written := time.Now()
	h.arrives(t, 50)
	assert.Less(t, time.Since(written), 2*time.Second)
	for i := range 100 {
		require.NoError(t, s.Append(chain.AppendEvent(nil, time.Duration(i)*time.Second, chain.EventOutput, []byte("hello\r\n"))))
	}
	logs, bucket, err := Delivered(h.root, session)
	require.NoError(t, err)
	assert.False(t, logs || bucket, "it has not ended")
	require.NoError(t, s.Close())
	require.NoError(t, commands.Close())
	require.Eventually(t, func() bool {
		logs, bucket, err := Delivered(h.root, session)
		return err == nil && logs && bucket
	}, 10*time.Second, 20*time.Millisecond)

	// Nothing is written: nothing is requested.
	require.Eventually(t, func() bool {
		lines := h.lines(commandsStream)
		h.mu.Lock()
		defer h.mu.Unlock()
		return strings.Contains(lines[len(lines)-1], `"end"`) && len(h.objects) ==
			len(glob(t, h.s.path(settings.LogDir, "commands", "*")))+len(glob(t, h.s.path(settings.LogDir, "sessions", session, "*")))
	}, 10*time.Second, 20*time.Millisecond)
	time.Sleep(100 * time.Millisecond)
	requests := h.count()
	time.Sleep(2 * time.Second)
	assert.Equal(t, requests, h.count())
	h.stop()
	h.sound(t)

	// What was downloaded is the record.
	dir := t.TempDir()
	for key, body := range h.objects {
		file := filepath.Join(dir, key)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, body, 0o600))
	}
	records, err := chain.Find(os.DirFS(dir))
	require.NoError(t, err)
	require.Len(t, records, 2)
	for _, r := range records {
		report, err := r.Verify(os.DirFS(dir), chain.Leave{})
		require.NoError(t, err)
		assert.Nil(t, report.Fault, r.Name)
		assert.Equal(t, "i-0abc", r.Instance)
	}
	day := time.Now().Add(-time.Minute).UTC().Format("2006/01/02")
	assert.Contains(t, h.objects, "records/"+day+"/i-0abc/"+session+"/000001.cast")
	var all []string
	for _, file := range glob(t, h.s.path(settings.LogDir, "sessions", session, "*")) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		all = append(all, strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")...)
	}
	assert.Equal(t, all, h.lines("/all|i-0abc/sessions/"+session))
	var status Status
	text, err := os.ReadFile(filepath.Join(h.root, StatusFile))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &status))
	assert.Zero(t, status.Logs.BacklogBytes+status.Bucket.BacklogBytes)
	assert.Empty(t, h.log.String())
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	require.NoError(t, err)
	sort.Strings(found)
	return found
}

// Each fault lasts for some requests; then all lines are there, in their order.
func TestFaults(t *testing.T) {
	faults := map[string]func(w http.ResponseWriter, r *http.Request){
		"403": func(w http.ResponseWriter, _ *http.Request) { refuse(w, 403, "AccessDeniedException") },
		"404": func(w http.ResponseWriter, _ *http.Request) { refuse(w, 404, "ResourceNotFoundException") },
		"500": func(w http.ResponseWriter, _ *http.Request) { refuse(w, 500, "InternalFailure") },
		"throttling": func(w http.ResponseWriter, _ *http.Request) {
			refuse(w, 400, "ThrottlingException")
		},
		"slow down":           func(w http.ResponseWriter, _ *http.Request) { refuse(w, 503, "SlowDown") },
		"expired credentials": func(w http.ResponseWriter, _ *http.Request) { refuse(w, 400, "ExpiredTokenException") },
		"clock wrong":         func(w http.ResponseWriter, _ *http.Request) { refuse(w, 400, "InvalidSignatureException") },
		"invalid":             func(w http.ResponseWriter, _ *http.Request) { refuse(w, 400, "InvalidParameterException") },
		"not JSON": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "<html>")
		},
		"slow": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(3 * time.Second):
			}
		},
		"half an answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__ty`)
			panic(http.ErrAbortHandler)
		},
		"connection reset": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	}
	for name, answer := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			w := h.chain(t, "commands", "")
			numbered(t, w, 0, 30)
			left := 4
			h.set(func(op, _ string, w http.ResponseWriter, r *http.Request) bool {
				if left--; left < 0 {
					return false
				}
				answer(w, r)
				return true
			})
			h.run(t)
			numbered(t, w, 30, 60)
			h.arrives(t, 60)
			require.NoError(t, w.Close())
			h.stop()
			h.sound(t)
			assert.Len(t, h.objects, len(glob(t, filepath.Join(h.root, settings.LogDir, "commands/*"))))
		})
	}
}

func TestNoNetwork(t *testing.T) {
	faults := map[string]error{
		"connection refused": &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED},
		"no DNS":             &net.DNSError{Err: "server misbehaving", Name: "logs.eu-west-1.amazonaws.com", IsTemporary: true},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			var broken atomic.Bool
			broken.Store(true)
			h.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				if broken.Load() {
					return nil, fault
				}
				return (&net.Dialer{}).DialContext(ctx, network, address)
			}
			w := h.chain(t, "commands", "")
			numbered(t, w, 0, 30)
			h.run(t)
			require.Eventually(t, func() bool {
				text, err := os.ReadFile(filepath.Join(h.root, StatusFile))
				return err == nil && strings.Contains(string(text), `"error"`)
			}, 20*time.Second, 20*time.Millisecond)
			assert.Empty(t, h.log.String(), "what can't be shipped makes no lines to be shipped")
			assert.Zero(t, h.count())
			broken.Store(false)
			h.arrives(t, 30)
		})
	}
}

// One of the two sinks is dead: the other one goes on.
func TestOneSinkDead(t *testing.T) {
	for dead, prefix := range map[string]string{"logs": "PutLog", "bucket": "PutObject"} {
		t.Run(dead, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			h.set(func(op, _ string, w http.ResponseWriter, _ *http.Request) bool {
				if strings.HasPrefix(op, prefix) {
					refuse(w, 403, "AccessDeniedException")
				}
				return strings.HasPrefix(op, prefix)
			})
			s := h.chain(t, "sessions", session)
			require.NoError(t, s.Append([]byte(`[1.5,"o","hello"]`+"\n")))
			require.NoError(t, s.Close())
			h.run(t)
			require.Eventually(t, func() bool {
				logs, bucket, err := Delivered(h.root, session)
				return err == nil && logs == (dead == "bucket") && bucket == (dead == "logs")
			}, 10*time.Second, 20*time.Millisecond)
			h.set()
			require.Eventually(t, func() bool {
				logs, bucket, err := Delivered(h.root, session)
				return err == nil && logs && bucket
			}, 40*time.Second, 20*time.Millisecond)
			h.sound(t)
		})
	}
}

// One log group that can't be written to holds no other one up.
func TestOneGroupDead(t *testing.T) {
	h := newHarness(t)
	h.set(func(_, name string, w http.ResponseWriter, _ *http.Request) bool {
		if strings.HasPrefix(name, "/people") {
			refuse(w, 403, "AccessDeniedException")
			return true
		}
		return false
	})
	people := h.chain(t, "people", "")
	numbered(t, people, 0, 10)
	w := h.chain(t, "commands", "")
	numbered(t, w, 0, 30)
	h.run(t, func(s *Shipper) { s.Settings.LogGroups = map[settings.Log]string{settings.LogPeople: "/people"} })
	h.arrives(t, 30)
	h.set()
	require.Eventually(t, func() bool { return len(firsts(h.lines("/people|i-0abc/people"))) == 10 }, 40*time.Second, 20*time.Millisecond)
}

// What was delivered long ago does not make late what is written after it.
func TestBehindIsCountedFromTheWriting(t *testing.T) {
	h := newHarness(t)
	w := h.chain(t, "commands", "")
	numbered(t, w, 0, 3)
	// A minute is a second.
	begun := time.Now()
	h.run(t, func(s *Shipper) {
		s.now = func() time.Time { return begun.Add(60 * time.Since(begun)) }
	})
	h.arrives(t, 3)
	require.NoError(t, w.Close())
	time.Sleep(5 * time.Second)
	h.set(func(op, _ string, rw http.ResponseWriter, _ *http.Request) bool {
		if op == "PutLogEvents" {
			refuse(rw, 403, "AccessDeniedException")
		}
		return op == "PutLogEvents"
	})
	numbered(t, h.chain(t, "commands", ""), 3, 4)
	told := regexp.MustCompile(`"shipping-behind".*"seconds":([0-9]+)`)
	require.Eventually(t, func() bool { return told.MatchString(h.log.String()) }, 20*time.Second, 10*time.Millisecond)
	seconds, err := strconv.Atoi(told.FindStringSubmatch(h.log.String())[1])
	require.NoError(t, err)
	assert.Less(t, seconds, 200, "the quiet before counts")
}

func TestBehind(t *testing.T) {
	h := newHarness(t)
	h.set(func(op, _ string, w http.ResponseWriter, _ *http.Request) bool {
		if op == "PutLogEvents" {
			refuse(w, 403, "AccessDeniedException")
		}
		return op == "PutLogEvents"
	})
	w := h.chain(t, "commands", "")
	numbered(t, w, 0, 3)
	// A minute is a second: the clock runs.
	begun := time.Now()
	h.run(t, func(s *Shipper) {
		s.now = func() time.Time { return begun.Add(60 * time.Since(begun)) }
	})
	require.Eventually(t, func() bool { return strings.Contains(h.log.String(), "shipping-behind") }, 20*time.Second, 10*time.Millisecond)
	time.Sleep(2 * time.Second)
	assert.Equal(t, 1, strings.Count(h.log.String(), "shipping-behind"), "it is told once")
	assert.Contains(t, h.log.String(), "AccessDenied")
	h.set()
	require.Eventually(t, func() bool { return strings.Contains(h.log.String(), "records reach CloudWatch Logs again") }, 20*time.Second, 10*time.Millisecond)
}

// Lines of a host whose clock is wrong, or that was off for weeks, are not lost.
func TestTimesThatAreRefused(t *testing.T) {
	for _, off := range []time.Duration{20 * 24 * time.Hour, -5 * time.Hour} {
		t.Run(off.String(), func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			h.clock = func() time.Time { return time.Now().Add(off) }
			w := h.chain(t, "commands", "")
			numbered(t, w, 0, 10)
			h.run(t)
			h.arrives(t, 10)
			assert.Contains(t, h.log.String(), "record-times-refused")
			h.sound(t)
			assert.WithinDuration(t, h.clock(), time.UnixMilli(h.times[commandsStream][0]), time.Minute)
		})
	}
}

// Times that go back and forth in one log, as somebody sets the clock, make no
// request that the service refuses as a whole.
func TestTimesThatJump(t *testing.T) {
	h := newHarness(t)
	w := h.chain(t, "commands", "")
	for i, at := range []time.Time{
		time.Now().Add(-20 * 24 * time.Hour), time.Now().Add(90 * 24 * time.Hour), {}, time.Now().Add(-time.Hour), time.Now(),
	} {
		require.NoError(t, w.Append(fmt.Appendf(nil, `{"time":%q,"n":%d}`+"\n", at.Format(time.RFC3339Nano), i)))
	}
	h.run(t)
	h.arrives(t, 5)
	h.sound(t)
}

func TestLongLines(t *testing.T) {
	h := newHarness(t)
	w := h.chain(t, "commands", "")
	long := strings.Repeat(`é"\`+"\x01", 400_000)
	text, err := json.Marshal(map[string]string{"text": long})
	require.NoError(t, err)
	require.NoError(t, w.Append(append(text, '\n')))
	numbered(t, w, 0, 1)
	h.run(t)
	h.arrives(t, 1)
	var whole strings.Builder
	for _, l := range h.lines(commandsStream) {
		var part struct{ Postern, Text string }
		if json.Unmarshal([]byte(l), &part) == nil && part.Postern == "part" {
			whole.WriteString(part.Text)
		}
	}
	assert.Equal(t, string(text), whole.String())
	h.sound(t)
}

// What stands in a chain when the process is stopped is delivered before it ends.
func TestStop(t *testing.T) {
	h := newHarness(t)
	w := h.chain(t, "commands", "")
	h.run(t)
	time.Sleep(300 * time.Millisecond)
	numbered(t, w, 0, 500)
	require.NoError(t, w.Close())
	h.stop()
	assert.Equal(t, upTo(500), firsts(h.lines(commandsStream)))
	assert.Len(t, h.objects, len(glob(t, filepath.Join(h.root, settings.LogDir, "commands/*"))))
}

// The process is killed at each of its steps: nothing is lost, nothing comes in
// another order.
func TestKill(t *testing.T) {
	if root := os.Getenv("POSTERN_SHIP_ROOT"); root != "" {
		killed(root)
	}
	h := newHarness(t)
	w := h.chain(t, "commands", "")
	s := h.chain(t, "sessions", session)
	require.NoError(t, s.Append([]byte(`[1.5,"o","hello"]`+"\n")))
	require.NoError(t, s.Close())
	lines, kills := 0, 0
	for i := range 30 {
		numbered(t, w, lines, lines+40)
		lines += 40
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestKill$")
		cmd.Env = append(os.Environ(), "POSTERN_SHIP_ROOT="+h.root, "POSTERN_SHIP_URL="+h.URL, "POSTERN_SHIP_STEP="+strconv.Itoa(i%15+1))
		out, err := cmd.CombinedOutput()
		cancel()
		if err != nil {
			status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
			require.True(t, ok && status.Signaled(), "%v: %s", err, out)
			kills++
		}
	}
	assert.Greater(t, kills, 15)
	h.run(t)
	h.arrives(t, lines)
	require.NoError(t, w.Close())
	h.stop()
	h.sound(t)
	logs, bucket, err := Delivered(h.root, session)
	require.NoError(t, err)
	assert.True(t, logs && bucket)
}

// killed ships until its step.
func killed(root string) {
	f := &service{Server: &httptest.Server{URL: os.Getenv("POSTERN_SHIP_URL")}}
	logs, bucket := f.clients()
	left, _ := strconv.Atoi(os.Getenv("POSTERN_SHIP_STEP"))
	var mu sync.Mutex
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(200*time.Millisecond, cancel)
	s := &Shipper{
		Settings: chosen(), Root: root, Logs: logs, S3: bucket, Journal: quietJournal, Log: &event.Log{Console: io.Discard},
		step: func(string) {
			mu.Lock()
			defer mu.Unlock()
			if left--; left == 0 {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		},
	}
	if err := s.Run(ctx); err != nil {
		panic(err)
	}
	os.Exit(0)
}

func TestPurge(t *testing.T) {
	h := newHarness(t)
	s := h.chain(t, "sessions", session)
	require.NoError(t, s.Close())
	other := "20261121T234502Z-0a1b2c3d"
	s = h.chain(t, "sessions", other)
	require.NoError(t, s.Close())
	w := h.chain(t, "commands", "")
	numbered(t, w, 0, 200)
	h.set(func(op, name string, w http.ResponseWriter, _ *http.Request) bool {
		if strings.Contains(name, other) && op == "PutObject" {
			refuse(w, 403, "AccessDenied")
			return true
		}
		return false
	})
	month := time.Now().Add(-31 * 24 * time.Hour)
	for _, file := range append(glob(t, filepath.Join(h.root, settings.LogDir, "sessions/*/*")), glob(t, filepath.Join(h.root, settings.LogDir, "commands/*"))...) {
		require.NoError(t, os.Chtimes(file, month, month))
	}
	impatient := func(s *Shipper) { s.patience = 100 * time.Millisecond }
	h.run(t, impatient)
	h.arrives(t, 200)
	require.Eventually(t, func() bool {
		logs, bucket, err := Delivered(h.root, session)
		return err == nil && logs && bucket
	}, 10*time.Second, 20*time.Millisecond)
	h.stop()
	all := len(glob(t, filepath.Join(h.root, settings.LogDir, "commands/*")))
	h.run(t, impatient) // purges first
	require.Eventually(t, func() bool { return len(glob(t, filepath.Join(h.root, settings.LogDir, "sessions", session))) == 0 }, 5*time.Second, 20*time.Millisecond)
	h.stop()
	assert.Empty(t, glob(t, filepath.Join(h.root, settings.ShadowDir, "sessions", session)))
	assert.NotEmpty(t, glob(t, filepath.Join(h.root, settings.LogDir, "sessions", other, "*")), "it was not delivered")
	left := glob(t, filepath.Join(h.root, settings.LogDir, "commands/*"))
	assert.Less(t, len(left), all)
	assert.NotEmpty(t, left)
	numbered(t, w, 200, 210)
	h.run(t, impatient)
	h.arrives(t, 210)
	assert.NotContains(t, h.log.String(), "records-missing")
}

// Who ends a host does not wait for the pause after the last failure.
func TestShutdownTriesAtOnce(t *testing.T) {
	h := newHarness(t)
	var refused atomic.Int32
	h.set(func(op, _ string, w http.ResponseWriter, _ *http.Request) bool {
		if op == "PutLogEvents" || op == "PutObject" {
			refused.Add(1)
			refuse(w, 503, "ServiceUnavailable")
			return true
		}
		return false
	})
	w := h.chain(t, "commands", "")
	numbered(t, w, 0, 3)
	require.NoError(t, w.Close())
	// Where the clock stands still, no pause ends.
	began := time.Now()
	h.run(t, func(s *Shipper) {
		s.now = func() time.Time { return began.Add(min(time.Since(began), 4*time.Second)) }
	})
	time.Sleep(5 * time.Second)
	require.NotZero(t, refused.Load())
	h.set()
	stopped := time.Now()
	h.stop()
	assert.Less(t, time.Since(stopped), 5*time.Second)
	h.arrives(t, 3)
	h.sound(t)
}
