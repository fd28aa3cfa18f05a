package ship

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/postern-cdk/postern/internal/host/chain"
	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/settings"
)

// Where things are kept.
const (
	StatusFile = settings.RunDir + "/ship.json"
	stateDir   = settings.StateDir + "/ship"
	journalDir = stateDir + "/journal"
	doneSuffix = ".json"
)

const (
	poll       = 250 * time.Millisecond
	gather     = time.Second // how long lines wait for company
	behind     = time.Minute
	stopWithin = 18 * time.Second // systemd and we agree on 20
	firstPause = 500 * time.Millisecond
	longPause  = 30 * time.Second
	atOnce     = 2 // requests in flight to each of the two services: a bound on memory
)

// Shipper brings records away.
type Shipper struct {
	Settings settings.Settings
	Log      *event.Log
	// Root is "" but in tests.
	Root string
	Logs *cloudwatchlogs.Client
	S3   *s3.Client
	// Journal starts what follows the journal. nil: journalctl.
	Journal func(ctx context.Context, cursor string) (Journal, error)

	now      func() time.Time
	step     func(string) // tests end the process there
	patience time.Duration
	mu       sync.Mutex
	sources  map[string]*source
	listed   time.Time // mtime of the folder of sessions when it was listed
	looked   time.Time
	slots    map[string]chan struct{}
	wake     chan struct{}
	workers  sync.WaitGroup
	late     map[string]bool
	started  time.Time
	status   []byte
	reported time.Time
	purged   time.Time
}

// Run ships until ctx ends, and then what is left, for some seconds.
func Run(ctx context.Context, s settings.Settings, log *event.Log) error {
	shipper, err := newShipper(ctx, s, log)
	if err != nil {
		return err
	}
	return shipper.Run(ctx)
}

func newShipper(ctx context.Context, s settings.Settings, log *event.Log) (*Shipper, error) {
	// Small and steady rather than fast: the host has 512 MB for everything.
	debug.SetGCPercent(60)
	debug.SetMemoryLimit(20 << 20)
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(s.Region),
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }), // each stream waits for itself
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(timeout).WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConnsPerHost = atOnce
			t.ReadBufferSize, t.WriteBufferSize = 4<<10, 16<<10
		})))
	if err != nil {
		return nil, err
	}
	return &Shipper{Settings: s, Log: log, Logs: cloudwatchlogs.NewFromConfig(cfg), S3: s3.NewFromConfig(cfg)}, nil
}

func (s *Shipper) at(step string) {
	if s.step != nil {
		s.step(step)
	}
}

// Run ships until ctx ends, and then what is left, for some seconds.
func (s *Shipper) Run(ctx context.Context) error {
	if s.now == nil {
		s.now = time.Now
	}
	if s.Journal == nil {
		s.Journal = journalctl
	}
	s.sources, s.late = map[string]*source{}, map[string]bool{}
	s.slots = map[string]chan struct{}{"logs": make(chan struct{}, atOnce), "bucket": make(chan struct{}, atOnce)}
	s.wake = make(chan struct{}, 1)
	s.started = s.now()
	if s.patience == 0 {
		s.patience = stopWithin
	}
	if err := os.MkdirAll(s.path(journalDir), 0o700); err != nil {
		return err
	}
	for _, kind := range []settings.Log{settings.LogCommands, settings.LogPeople} {
		s.add(&source{kind: kind, name: string(kind), dir: s.path(settings.LogDir, string(kind)), suffix: chain.Lines})
	}
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		s.follow(ctx)
	}()
	for _, kind := range journalKinds {
		s.add(&source{kind: kind, name: "journal-" + string(kind), dir: s.path(journalDir, string(kind)), suffix: chain.Lines, spool: true})
	}

	// What is in flight when the end comes is finished.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	var deadline <-chan time.Time
	done := ctx.Done()
	for {
		s.discover()
		pending := s.dispatch(work, done == nil)
		s.report(done == nil)
		s.purge()
		if done == nil && !pending {
			select {
			case <-reading:
				s.discover()
				if !s.dispatch(work, true) {
					s.report(true)
					return nil
				}
			default:
			}
		}
		select {
		case <-tick.C:
		case <-s.wake:
		case <-done:
			done, deadline = nil, time.After(s.patience)
			s.hurry()
		case <-deadline:
			stop()
			s.workers.Wait()
			s.report(true)
			s.Log.Alarm("shipping-behind", "stopped before everything was delivered: it follows when the host runs again")
			return nil
		}
	}
}

// hurry ends the pauses after failures: what is not tried now may be gone with the
// instance.
func (s *Shipper) hurry() {
	for _, c := range s.sources {
		c.mu.Lock()
		for _, l := range []*lane{&c.logs, &c.bkt} {
			l.retry, l.failed = time.Time{}, 0
		}
		c.mu.Unlock()
	}
}

func (s *Shipper) path(elements ...string) string {
	return filepath.Join(append([]string{s.Root}, elements...)...)
}

func (s *Shipper) stateFile(c *source) string { return s.path(stateDir, c.name+doneSuffix) }

func (s *Shipper) add(c *source) {
	c.stream = s.Settings.InstanceID + "/" + string(c.kind)
	if c.id != "" {
		c.stream += "/" + c.id
	}
	c.load(s.stateFile(c))
	if c.state.Done {
		return
	}
	if c.kind == settings.LogSessions {
		c.header()
	}
	s.sources[c.name] = c
}

func (s *Shipper) save(c *source) error {
	c.mu.Lock()
	text, err := json.Marshal(c.state)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	s.mu.Lock() // the two workers of a source
	defer s.mu.Unlock()
	return write(s.stateFile(c), text)
}

var sessionName = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}$`)

// discover finds sessions that are new. Their folder is listed only when it has
// changed, and once more a while later: its time is no finer than the clock's tick.
func (s *Shipper) discover() {
	dir := s.path(settings.LogDir, "sessions")
	info, err := os.Stat(dir)
	if err != nil || info.ModTime().Equal(s.listed) && s.looked.Sub(s.listed) > 2*time.Second {
		return
	}
	s.looked = time.Now()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	s.listed = info.ModTime()
	for _, e := range entries {
		name := "session-" + e.Name()
		if s.sources[name] != nil || !e.IsDir() || !sessionName.MatchString(e.Name()) {
			continue
		}
		c := &source{kind: settings.LogSessions, name: name, id: e.Name(), dir: filepath.Join(dir, e.Name()), suffix: chain.Cast}
		if c.size(1) <= 0 {
			s.listed = time.Time{} // not begun: look again
			continue
		}
		s.add(c)
	}
}

// dispatch starts a worker for each source that has something to deliver, and tells
// whether anything is left.
func (s *Shipper) dispatch(ctx context.Context, hurry bool) bool {
	left := false
	now := s.now()
	type waiting struct {
		*source
		since time.Time
	}
	all := make([]waiting, 0, len(s.sources))
	for _, c := range s.sources {
		all = append(all, waiting{c, c.waits(now)})
	}
	sort.Slice(all, func(i, j int) bool { return all[i].since.Before(all[j].since) }) // who waits longest is first
	for _, w := range all {
		c := w.source
		pending := s.look(c, now)
		left = left || pending
		if !pending {
			s.finish(c)
			continue
		}
		c.mu.Lock()
		ready := c.logs.pending && !c.logs.busy && now.After(c.logs.retry) &&
			(hurry || now.Sub(c.logs.since) >= gather || c.size(c.state.Logs.Segment+1) >= 0 || c.size(c.state.Logs.Segment)-c.state.Logs.Offset > batchBytes/2)
		c.mu.Unlock()
		if ready {
			s.start(ctx, "logs", c, &c.logs, s.shipLogs)
		}
		c.mu.Lock()
		ready = c.bkt.pending && !c.bkt.busy && now.After(c.bkt.retry)
		c.mu.Unlock()
		if ready {
			s.start(ctx, "bucket", c, &c.bkt, s.shipBucket)
		}
	}
	return left
}

func (c *source) waits(now time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.logs.since
	if at.IsZero() || !c.bkt.since.IsZero() && c.bkt.since.Before(at) {
		at = c.bkt.since
	}
	if at.IsZero() {
		return now
	}
	return at
}

// look tells whether a source has something to deliver.
func (s *Shipper) look(c *source, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.state.Logs
	size := c.size(p.Segment)
	if !c.logs.busy {
		c.logs.pending = s.Settings.Group(c.kind) != "" &&
			(size >= 0 && size != p.Offset && size != c.seen || c.next(p.Segment+1) != 0)
	}
	if !c.bkt.busy {
		c.bkt.pending = !c.spool && s.Settings.RecordBucket != "" && c.closed(c.state.Bucket) != 0
	}
	for _, l := range []*lane{&c.logs, &c.bkt} {
		switch {
		case !l.pending:
			l.since, l.err, l.failed = time.Time{}, nil, 0
		case l.since.IsZero():
			l.since = now
		}
	}
	return c.logs.pending || c.bkt.pending || c.logs.busy || c.bkt.busy
}

// finish lets go of a session that is delivered to its end.
func (s *Shipper) finish(c *source) {
	if c.kind != settings.LogSessions || !s.configured(c.kind) {
		return
	}
	c.mu.Lock()
	last := max(c.state.Logs.Segment, c.state.Bucket)
	m, closed := c.closing(last)
	done := closed && m.Kind == chain.MarkEnd && c.size(last+1) < 0 && s.complete(c.state, c, last)
	c.state.Done = done
	c.mu.Unlock()
	if done && s.save(c) == nil {
		delete(s.sources, c.name)
	}
}

func (s *Shipper) configured(kind settings.Log) bool {
	return s.Settings.Group(kind) != "" || s.Settings.RecordBucket != ""
}

// complete tells whether both sinks have a chain up to the end of its last segment.
func (s *Shipper) complete(st state, c *source, last int) bool {
	logs := s.Settings.Group(c.kind) == "" || st.Logs.Segment == last && st.Logs.Offset == c.size(last)
	return logs && (s.Settings.RecordBucket == "" || st.Bucket >= last)
}

// start runs one worker, if the service has room for another request.
func (s *Shipper) start(ctx context.Context, sink string, c *source, l *lane, ship func(context.Context, *source) error) {
	select {
	case s.slots[sink] <- struct{}{}:
	default:
		return
	}
	c.mu.Lock()
	l.busy = true
	c.mu.Unlock()
	s.workers.Add(1)
	go func() {
		defer s.workers.Done()
		err := ship(ctx, c)
		now := s.now()
		c.mu.Lock()
		l.busy, l.err = false, err
		if err != nil {
			pause := min(longPause, firstPause<<min(l.failed, 10))
			l.failed++
			l.retry = now.Add(pause/2 + jitter(pause/2))
		}
		c.mu.Unlock()
		<-s.slots[sink]
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}()
}

func jitter(most time.Duration) time.Duration {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(most)+1))
	if err != nil {
		return most
	}
	return time.Duration(n.Int64())
}

// Sink is how far one of the two services is.
type Sink struct {
	LagSeconds   int    `json:"lagSeconds"`
	BacklogBytes int64  `json:"backlogBytes"`
	Record       string `json:"record,omitempty"` // whose record waits longest
	Error        string `json:"error,omitempty"`
}

// Status is what StatusFile holds.
type Status struct {
	Time    time.Time `json:"time"`
	Started time.Time `json:"started"`
	Logs    Sink      `json:"logs"`
	Bucket  Sink      `json:"bucket"`
	Journal string    `json:"journal,omitempty"` // why it can't be followed
}

// report writes the status where it has changed, and tells when shipping is behind
// and when it is not any more.
func (s *Shipper) report(always bool) {
	if time.Since(s.reported) < poll && !always {
		return // a backlog is many segments to look at
	}
	s.reported = time.Now()
	now := s.now()
	st := Status{Started: s.started}
	for _, c := range s.sources {
		c.mu.Lock()
		if c.logs.pending {
			n := c.state.Logs.Segment
			if c.size(n) <= c.state.Logs.Offset && c.size(n+1) >= 0 {
				n++ // all of the segment before is delivered, however long ago it was written
			}
			st.Logs.take(now, c, &c.logs, n, c.backlog(c.state.Logs.Segment)-c.state.Logs.Offset)
		}
		if c.bkt.pending {
			n := c.state.Bucket + 1
			st.Bucket.take(now, c, &c.bkt, n, c.backlog(n))
		}
		c.mu.Unlock()
	}
	for name, sink := range map[string]*Sink{"CloudWatch Logs": &st.Logs, "the record bucket": &st.Bucket} {
		lag := time.Duration(sink.LagSeconds) * time.Second
		switch {
		case lag > behind && !s.late[name] && now.Sub(s.started) > behind:
			s.late[name] = true
			s.Log.Alarm("shipping-behind", "records wait for "+name, "record", sink.Record, "seconds", sink.LagSeconds,
				"bytes", sink.BacklogBytes, "error", sink.Error)
		case lag <= behind/2 && s.late[name]:
			s.late[name] = false
			s.Log.Note("records reach "+name+" again", "seconds", sink.LagSeconds)
		}
	}
	text, err := json.Marshal(st)
	if err != nil || string(text) == string(s.status) && !always {
		return
	}
	s.status = text
	st.Time = now.UTC()
	if text, err = json.Marshal(st); err == nil {
		_ = write(s.path(StatusFile), append(text, '\n'))
	}
}

func (k *Sink) take(now time.Time, c *source, l *lane, n int, backlog int64) {
	since := l.since
	if info, err := os.Stat(segmentPath(c.dir, n, c.suffix)); err == nil && c.size(n+1) >= 0 && info.ModTime().Before(since) {
		since = info.ModTime()
	}
	k.BacklogBytes += max(0, backlog)
	if lag := int(now.Sub(since).Seconds()); k.Record == "" || lag > k.LagSeconds {
		k.LagSeconds, k.Record, k.Error = max(0, lag), c.name, ""
		if l.err != nil {
			k.Error = short(l.err)
		}
	}
}

func (c *source) backlog(n int) int64 {
	var bytes int64
	for size := c.size(n); size >= 0; size = c.size(n) {
		bytes += size
		n++
	}
	return bytes
}

func short(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	return text[:min(len(text), 300)]
}

// Delivered tells whether a session is delivered up to its end: to CloudWatch Logs,
// and to the bucket. A session that has not ended is not.
func Delivered(root, session string) (logs, bucket bool, err error) {
	s := &Shipper{Root: root}
	c := &source{dir: s.path(settings.LogDir, "sessions", session), suffix: chain.Cast, name: "session-" + session}
	text, err := os.ReadFile(s.stateFile(c))
	if errors.Is(err, fs.ErrNotExist) {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	var st state
	if err := json.Unmarshal(text, &st); err != nil {
		return false, false, err
	}
	last, ended := c.ended()
	if !ended {
		return false, false, nil
	}
	return st.Logs.Segment == last && st.Logs.Offset == c.size(last), st.Bucket >= last, nil
}
