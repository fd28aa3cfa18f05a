package ship

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/postern-cdk/postern/internal/host/chain"
	"github.com/postern-cdk/postern/internal/host/settings"
)

// position is what was delivered up to.
type position struct {
	Segment int   `json:"segment"`
	Offset  int64 `json:"offset"`
	// Sum is the digest of the segment's bytes before Offset: a power failure may
	// have taken them away again, and something else be there.
	Sum string `json:"sum,omitempty"`
}

// state is what is kept of a source.
type state struct {
	Logs position `json:"logs"`
	// Bucket is the last segment that was put there.
	Bucket int `json:"bucket"`
	// Done: the chain is ended, and all of it delivered.
	Done bool `json:"done,omitempty"`
}

// source is one chain and what of it was delivered. Each sink has one worker at a
// time; mu guards what both of them and the loop look at.
type source struct {
	kind   settings.Log
	name   string // unique, the name of its state
	id     string // of a session
	dir    string
	suffix string
	spool  bool // our own copy of the journal: no marks, no bucket
	stream string
	start  time.Time // of a session

	mu    sync.Mutex
	state state
	logs  lane
	bkt   lane
	seen  int64 // size of the segment at the position when no whole line was left
	sum   hash.Hash
	last  int64 // time of the last event sent

	listed time.Time // when holes were looked for
	tail   struct {  // what closing found last
		n      int
		size   int64
		mark   chain.Mark
		closed bool
	}
}

// lane is one source's way to one sink.
type lane struct {
	busy    bool
	pending bool
	since   time.Time // pending since
	failed  int
	retry   time.Time
	err     error
	careful bool // the last batch was found invalid: one event at a time
}

func segmentPath(dir string, n int, suffix string) string {
	return filepath.Join(dir, fmt.Sprintf("%06d%s", n, suffix))
}

// load reads the state of a source. What can't be read is begun anew: twice is
// better than never.
func (c *source) load(file string) {
	text, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(text, &c.state) != nil {
		c.state = state{}
	}
	c.seen = -1
	c.sum = sha256.New()
	p := &c.state.Logs
	if p.Segment == 0 {
		p.Segment, p.Offset = 1, 0
	}
	if p.Offset == 0 {
		return
	}
	f, err := os.Open(segmentPath(c.dir, p.Segment, c.suffix))
	if err == nil {
		_, err = io.CopyN(c.sum, f, p.Offset)
		_ = f.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) || err == nil && hex.EncodeToString(c.sum.Sum(nil)) != p.Sum {
		c.sum, p.Offset, p.Sum = sha256.New(), 0, ""
	}
}

// write keeps a file as a whole or not at all, also through a power failure.
func write(file string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(file+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// size of segment n, or -1 where it isn't there.
func (c *source) size(n int) int64 {
	info, err := os.Lstat(segmentPath(c.dir, n, c.suffix))
	if err != nil {
		return -1
	}
	return info.Size()
}

// next is the first segment from n on that is there, or 0. There are no holes but
// where something was taken away, so that they are looked for once in a while only:
// a log has very many segments.
func (c *source) next(n int) int {
	if c.size(n) >= 0 {
		return n
	}
	if time.Since(c.listed) < time.Minute {
		return 0
	}
	c.listed = time.Now()
	found := c.numbers()
	i, _ := slices.BinarySearch(found, n)
	if i == len(found) {
		return 0
	}
	c.listed = time.Time{} // until the position is behind the hole
	return found[i]
}

func (c *source) numbers() []int {
	entries, _ := os.ReadDir(c.dir)
	var found []int
	for _, e := range entries {
		if number, ok := strings.CutSuffix(e.Name(), c.suffix); ok {
			if n, err := strconv.Atoi(number); err == nil {
				found = append(found, n)
			}
		}
	}
	slices.Sort(found)
	return found
}

// closing is the mark at the end of segment n, if it is closed.
func (c *source) closing(n int) (chain.Mark, bool) {
	f, err := os.Open(segmentPath(c.dir, n, c.suffix))
	if err != nil {
		return chain.Mark{}, false
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return chain.Mark{}, false
	}
	if c.tail.n == n && c.tail.size == info.Size() {
		return c.tail.mark, c.tail.closed
	}
	c.tail.n, c.tail.size, c.tail.closed = n, info.Size(), false
	tail := make([]byte, min(info.Size(), 1024))
	if _, err := f.ReadAt(tail, info.Size()-int64(len(tail))); err != nil || !bytes.HasSuffix(tail, []byte("\n")) {
		return chain.Mark{}, false
	}
	m, ok := chain.ParseMark(tail[bytes.LastIndexByte(tail[:len(tail)-1], '\n')+1:])
	c.tail.mark, c.tail.closed = m, ok && (m.Kind == chain.MarkSeal || m.Kind == chain.MarkEnd)
	return m, c.tail.closed
}

// ended tells whether the chain is complete, and its last segment.
func (c *source) ended() (last int, ended bool) {
	found := c.numbers()
	if len(found) == 0 {
		return 0, false
	}
	last = found[len(found)-1]
	m, closed := c.closing(last)
	return last, closed && m.Kind == chain.MarkEnd
}

// record is one line and where the one behind it begins.
type record struct {
	text []byte
	at   int64 // milliseconds
}

// batch is some lines in a row, and where they end.
type batch struct {
	records []record
	end     position
	sum     hash.Hash
	read    time.Time
	missing int   // segments that should have been there
	size    int64 // of the last segment, as it was read
}

// Lines that are read at once, in bytes: what a backlog costs in memory.
const batchBytes = 192 << 10

// read takes the next whole lines, some hundred kilobytes at most.
func (c *source) read(now time.Time, limit int) (batch, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, sum := c.state.Logs, c.sum
	b := batch{end: p, read: now, sum: clone(sum)}
	bytesLeft := batchBytes
	for bytesLeft > 0 && len(b.records) < limit {
		there := c.next(b.end.Segment)
		if there == 0 {
			break
		}
		if there != b.end.Segment {
			if b.end.Segment > 1 || p.Offset > 0 {
				b.missing += there - b.end.Segment
			}
			b.end, b.sum = position{Segment: there}, sha256.New()
		}
		closed := c.next(b.end.Segment+1) != 0 // before the read: what is behind it is complete then
		n, err := c.lines(&b, &bytesLeft, limit, closed)
		if err != nil {
			return b, err
		}
		if bytesLeft <= 0 || len(b.records) >= limit {
			break
		}
		if !closed {
			if n == 0 {
				break
			}
			continue
		}
		b.end, b.sum = position{Segment: b.end.Segment + 1}, sha256.New()
	}
	b.end.Sum = hex.EncodeToString(b.sum.Sum(nil))
	return b, nil
}

func clone(h hash.Hash) hash.Hash {
	if c, ok := h.(hash.Cloner); ok {
		if copied, err := c.Clone(); err == nil {
			return copied
		}
	}
	panic("sha256 can be cloned")
}

// lines reads lines of one segment and tells how many bytes.
func (c *source) lines(b *batch, bytesLeft *int, limit int, closed bool) (int64, error) {
	f, err := os.Open(segmentPath(c.dir, b.end.Segment, c.suffix))
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if b.size = info.Size(); b.size < b.end.Offset {
		b.end.Offset, b.sum = 0, sha256.New()
	}
	if _, err := f.Seek(b.end.Offset, io.SeekStart); err != nil {
		return 0, err
	}
	in := bufio.NewReaderSize(f, 32<<10)
	var n int64
	for *bytesLeft > 0 && len(b.records) < limit {
		line, err := in.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}
		if len(line) == 0 || err != nil && !closed {
			break // nothing, or a line that is being written
		}
		b.sum.Write(line)
		b.end.Offset += int64(len(line))
		n += int64(len(line))
		*bytesLeft -= len(line)
		if r, ok := c.record(line, b.read); ok {
			b.records = append(b.records, r)
		}
	}
	return n, nil
}

// record makes a line what is sent, or tells that it isn't.
func (c *source) record(line []byte, now time.Time) (record, bool) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	r := record{text: line, at: now.UnixMilli()}
	switch {
	case c.spool:
		var at int64
		var text string
		if json.Unmarshal(line, &[]any{&at, &text}) != nil {
			return r, false // a mark, or what a crash left and the journal has
		}
		r.text, r.at = []byte(text), at
	case c.suffix == chain.Cast:
		after, _ := bytes.CutPrefix(line, []byte("["))
		number, _, _ := bytes.Cut(after, []byte(","))
		if seconds, err := strconv.ParseFloat(string(number), 64); err == nil && !c.start.IsZero() && seconds >= 0 && seconds < 1e9 {
			r.at = c.start.UnixMilli() + int64(seconds*1000)
		} else if bytes.HasPrefix(line, []byte("{")) && !c.start.IsZero() {
			r.at = c.start.UnixMilli() // the header, whose time no later line may fall short of
		}
	default:
		_, after, found := bytes.Cut(line, []byte(`"time":"`))
		text, _, _ := bytes.Cut(after, []byte(`"`))
		if at, err := time.Parse(time.RFC3339Nano, string(text)); found && err == nil {
			r.at = at.UnixMilli()
		}
	}
	if r.at < 0 || r.at > now.Add(time.Hour).UnixMilli() {
		r.at = now.UnixMilli()
	}
	return r, len(bytes.TrimSpace(r.text)) > 0
}

// header reads when a session began.
func (c *source) header() {
	f, err := os.Open(segmentPath(c.dir, 1, c.suffix))
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	line, err := bufio.NewReader(f).ReadBytes('\n')
	var h chain.Header
	if err != nil || json.Unmarshal(line, &h) != nil {
		return
	}
	c.start = h.Session.Start
	if c.start.IsZero() && h.Timestamp > 0 {
		c.start = time.Unix(h.Timestamp, 0)
	}
}
