package chain

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// What a segment holds at most, where Options say nothing else.
const (
	DefaultMaxBytes = 256 << 10
	DefaultMaxAge   = 5 * time.Second
)

// syncEvery is how long what was written may be in memory only.
const syncEvery = time.Second

// ErrEnded says that a chain has its last line.
var ErrEnded = errors.New("the chain is ended")

// ErrReserved says that a line looks like a mark of the chain.
var ErrReserved = errors.New("a line looks like a mark of the chain")

// Options of a chain. The zero value of all but Suffix is the safest.
type Options struct {
	// Suffix is the format: Cast or Lines.
	Suffix string
	// Shadow is the directory of a second copy. "": none.
	Shadow string
	// First is the line that begins the record, such as the header of an asciicast.
	// nil: none.
	First func() []byte
	// Elapsed is the time since the start of the recording, for the marks of an
	// asciicast. nil: that of the last event.
	Elapsed func() time.Duration
	// End is a last line before the mark that ends the chain. nil: none.
	End func() []byte
	// Resume lets Open go on with a chain that is ended, as a log does after a
	// reboot.
	Resume bool
	// MaxBytes and MaxAge close a segment. 0: 256 KiB and 5 s since its first line.
	MaxBytes int
	MaxAge   time.Duration
	// Room is asked where the disk is full, and tells whether there is room again: what
	// could not be written is tried once more then. It must not use this chain. nil:
	// there never is.
	Room func() bool
	// NotAppendOnly leaves the segments open to being changed: for file systems that
	// don't know the flag, and for tests.
	NotAppendOnly bool
}

// Writer appends to a chain. It may be used by several goroutines.
type Writer struct {
	o       Options
	dirs    []string // the second is the shadow
	locked  *os.File
	failed  chan struct{}
	settled sync.WaitGroup

	mu      sync.Mutex
	id      string
	n       int    // number of the last segment
	prev    string // digest of the segment closed last
	size    int64  // its size
	ended   bool   // it ends the chain
	at      time.Duration
	segment *segment
	old     []*os.File // closed segments that are not on the disk for sure
	syncing *time.Timer
	err     error
}

type segment struct {
	files []*os.File
	infos []os.FileInfo
	size  int64
	sum   hash.Hash
	age   *time.Timer
}

// Open begins a chain in dir, which it makes, or goes on with the one that is
// there. What a crash left open is closed first: nothing that was written is taken
// away, a torn line is named, and the shadow and the chain are given what only the
// other one has.
func Open(dir string, o Options) (*Writer, error) {
	if o.Suffix != Cast && o.Suffix != Lines {
		return nil, fmt.Errorf("chain: Suffix is %q, not %q or %q", o.Suffix, Cast, Lines)
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.MaxAge <= 0 {
		o.MaxAge = DefaultMaxAge
	}
	w := &Writer{o: o, dirs: []string{dir}, failed: make(chan struct{})}
	if o.Shadow != "" {
		w.dirs = append(w.dirs, o.Shadow)
	}
	for _, d := range w.dirs {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	var err error
	if w.locked, err = lock(dir); err != nil {
		return nil, err
	}
	w.mu.Lock() // the first segment may come of age meanwhile
	if err = w.recover(); err == nil && w.ended && !o.Resume {
		err = fmt.Errorf("%s: %w", dir, ErrEnded)
	}
	if err == nil && w.n == 0 {
		err = w.begin() // so that what can't be written is known before anything happens
	}
	if err != nil {
		_ = w.fail(err)
		w.drop()
	}
	w.mu.Unlock()
	if err != nil {
		w.settled.Wait()
		return nil, err
	}
	return w, nil
}

// Finish ends a chain that a crash left without an end, and tells whether it had
// to.
func Finish(dir string, o Options) (bool, error) {
	o.Resume = false
	w, err := Open(dir, o)
	if errors.Is(err, ErrEnded) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, w.Close()
}

// ID names the chain in its marks.
func (w *Writer) ID() string { return w.id }

// Failed is closed by the first error, also one that happens between two calls.
func (w *Writer) Failed() <-chan struct{} { return w.failed }

// Err is the first error.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Append writes whole lines: to the segment in one write, then to the shadow, both
// before it returns. After an error every further call fails with it.
func (w *Writer) Append(lines []byte) error {
	if len(lines) == 0 {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	if lines[len(lines)-1] != '\n' {
		return errors.New("chain: a line without its line break")
	}
	if reserved(lines) {
		return ErrReserved
	}
	if s := w.segment; s != nil && s.size+int64(len(lines)) > int64(w.o.MaxBytes) {
		if err := w.seal(MarkSeal); err != nil {
			return err
		}
	}
	if w.segment == nil {
		if err := w.begin(); err != nil {
			return err
		}
	}
	return w.write(lines, nil)
}

// Rotate closes the open segment, if one is.
func (w *Writer) Rotate() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil || w.segment == nil {
		return w.err
	}
	return w.seal(MarkSeal)
}

// Sync returns when all that was written is on the disk.
func (w *Writer) Sync() error {
	w.mu.Lock()
	files := w.take()
	if w.segment != nil {
		files = append(files, w.segment.files...)
	}
	open := w.segment
	err := w.err
	w.mu.Unlock()
	if err != nil {
		return err
	}
	return w.flush(files, open)
}

// Close ends the chain.
func (w *Writer) Close() error {
	w.mu.Lock()
	if w.err == nil {
		_ = w.end()
	}
	err := w.err
	files := w.take()
	if err == nil {
		_ = w.fail(os.ErrClosed)
	}
	w.drop()
	w.mu.Unlock()
	w.settled.Wait()
	if flushed := w.flush(files, nil); err == nil {
		err = flushed
	}
	return err
}

func (w *Writer) end() error {
	if w.segment == nil {
		if err := w.begin(); err != nil {
			return err
		}
	}
	if w.o.End != nil {
		if err := w.write(w.o.End(), nil); err != nil {
			return err
		}
	}
	return w.seal(MarkEnd)
}

// begin makes the next segment.
func (w *Writer) begin() error {
	name := segmentName(w.n+1, w.o.Suffix)
	s := &segment{sum: sha256.New()}
	for _, dir := range w.dirs {
		const flags = os.O_CREATE | os.O_EXCL | os.O_WRONLY | os.O_APPEND
		f, err := os.OpenFile(filepath.Join(dir, name), flags, 0o600)
		if w.roomFor(err) {
			f, err = os.OpenFile(filepath.Join(dir, name), flags, 0o600)
		}
		if err == nil {
			s.files = append(s.files, f)
			err = w.protect(f)
		}
		var info os.FileInfo
		if err == nil {
			info, err = f.Stat()
		}
		if err != nil {
			for _, f := range s.files {
				_ = f.Close()
			}
			return w.fail(err)
		}
		s.infos = append(s.infos, info)
	}
	w.n++
	w.segment = s
	s.age = time.AfterFunc(w.o.MaxAge, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.segment == s && w.err == nil {
			_ = w.seal(MarkSeal)
		}
	})
	return w.write(w.opening(true), nil)
}

// opening is what a segment begins with. first says whether that of a new chain
// needs Options.First too.
func (w *Writer) opening(first bool) []byte {
	var lines []byte
	m := Mark{Kind: MarkLink, Chain: w.id, Segment: w.n, Time: now(), Prev: w.prev, Size: w.size}
	switch {
	case w.n == 1:
		var id [4]byte
		_, _ = rand.Read(id[:])
		w.id = hex.EncodeToString(id[:])
		m = Mark{Kind: MarkBegin, Chain: w.id, Segment: 1, Time: m.Time}
		if w.o.First != nil && first {
			lines = w.o.First()
		}
	case w.ended:
		m.Kind = MarkResume
	}
	return append(lines, wrap(w.o.Suffix, w.elapsed(), m)...)
}

func (w *Writer) protect(f *os.File) error {
	if w.o.NotAppendOnly {
		return nil
	}
	return setAppendOnly(f, true)
}

// write appends to the open segment. lines that sum has seen already are written
// with that sum.
func (w *Writer) write(lines []byte, sum hash.Hash) error {
	s := w.segment
	for i, f := range s.files {
		// What is written to a file that has no name any more is lost.
		there, err := os.Stat(f.Name())
		if err == nil && !os.SameFile(there, s.infos[i]) {
			err = fmt.Errorf("%s: another file is in its place", f.Name())
		}
		if err == nil {
			err = w.put(f, lines)
		}
		if err != nil {
			return w.fail(err)
		}
	}
	if sum == nil {
		s.sum.Write(lines)
	}
	s.size += int64(len(lines))
	if w.syncing == nil {
		w.settled.Add(1)
		w.syncing = time.AfterFunc(syncEvery, w.background)
	}
	return nil
}

// put writes all of lines, the rest of them after room was made.
func (w *Writer) put(f *os.File, lines []byte) error {
	n, err := f.Write(lines)
	if w.roomFor(err) {
		_, err = f.Write(lines[n:])
	}
	return err
}

func (w *Writer) roomFor(err error) bool {
	return errors.Is(err, syscall.ENOSPC) && w.o.Room != nil && w.o.Room()
}

// seal closes the open segment.
func (w *Writer) seal(kind MarkKind) error {
	s := w.segment
	m := Mark{Kind: kind, Chain: w.id, Segment: w.n, Time: now()}
	if err := w.write(sealed(w.o.Suffix, w.elapsed(), m, s.sum), s.sum); err != nil {
		return err
	}
	s.age.Stop()
	w.prev, w.size, w.ended = hex.EncodeToString(s.sum.Sum(nil)), s.size, kind == MarkEnd
	w.segment = nil
	w.old = append(w.old, s.files...)
	if len(w.old) > 16 { // faster than the disk
		return w.flush(w.take(), nil)
	}
	return nil
}

func (w *Writer) take() []*os.File {
	files := w.old
	w.old = nil
	return files
}

func (w *Writer) background() {
	defer w.settled.Done()
	w.mu.Lock()
	w.syncing = nil
	open := w.segment
	files := w.take()
	if open != nil {
		files = append(files, open.files...)
	}
	w.mu.Unlock()
	if err := w.flush(files, open); err != nil {
		w.mu.Lock()
		_ = w.fail(err)
		w.mu.Unlock()
	}
}

// flush brings files to the disk and closes those that are not of the open segment.
func (w *Writer) flush(files []*os.File, open *segment) error {
	var errs []error
	for _, f := range files {
		err := f.Sync()
		keep := false
		if open != nil {
			for _, o := range open.files {
				keep = keep || o == f
			}
		}
		if keep && errors.Is(err, os.ErrClosed) {
			err = nil // another flush got there first, when the segment had been closed
		}
		if !keep {
			err = errors.Join(err, f.Close())
		}
		errs = append(errs, err)
	}
	if len(files) > 0 {
		for _, dir := range w.dirs {
			errs = append(errs, syncDir(dir))
		}
	}
	return errors.Join(errs...)
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (w *Writer) fail(err error) error {
	if w.err == nil {
		w.err = err
		close(w.failed)
	}
	return w.err
}

// drop lets go of the open segment and the directory.
func (w *Writer) drop() {
	if s := w.segment; s != nil {
		if s.age != nil {
			s.age.Stop()
		}
		w.old = append(w.old, s.files...)
		w.segment = nil
	}
	for _, f := range w.take() {
		_ = f.Close()
	}
	if w.syncing != nil && w.syncing.Stop() {
		w.settled.Done()
	}
	_ = w.locked.Close()
}

func (w *Writer) elapsed() time.Duration {
	if w.o.Elapsed != nil {
		return w.o.Elapsed()
	}
	return w.at
}

func now() string { return time.Now().UTC().Format(time.RFC3339Nano) }

// Remove takes a segment away, its append-only flag first. It is for segments that
// were delivered.
func Remove(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	_ = setAppendOnly(f, false) // where there is no such flag, removing just works
	return errors.Join(f.Close(), os.Remove(path))
}

// recover reads what is there and closes what was left open.
func (w *Writer) recover() error {
	sizes := make([]map[int]int64, len(w.dirs))
	firsts := make([]int, len(w.dirs))
	all := map[int]bool{}
	for i, dir := range w.dirs {
		sizes[i] = map[int]int64{}
		found, err := numbers(dir, w.o.Suffix)
		if err != nil {
			return err
		}
		for _, n := range found {
			info, err := os.Stat(filepath.Join(dir, segmentName(n, w.o.Suffix)))
			if err != nil {
				return err
			}
			sizes[i][n], all[n] = info.Size(), true
		}
		if len(found) > 0 {
			firsts[i] = found[0]
		}
	}
	if len(all) == 0 {
		return nil
	}
	order := slices.Sorted(maps.Keys(all))
	last := order[len(order)-1]
	for _, n := range order[:len(order)-1] {
		differ := false
		for i := range w.dirs {
			size, there := sizes[i][n]
			if !there && n < firsts[i] { // delivered and removed
				differ = false
				break
			}
			differ = differ || !there || size != sizes[0][n]
		}
		if differ {
			if _, err := w.even(segmentName(n, w.o.Suffix)); err != nil {
				return err
			}
			w.old = append(w.old, w.segment.files...)
			w.segment = nil
		}
	}
	w.n = last
	text, err := w.even(segmentName(last, w.o.Suffix))
	if err != nil {
		return err
	}
	return w.mend(text)
}

// even gives each of the two copies of a segment what only the other one has, and
// opens it. Copies that differ stay as they are: the first one counts.
func (w *Writer) even(name string) ([]byte, error) {
	s := &segment{sum: sha256.New()}
	w.segment = s
	var texts [][]byte
	longest := []byte{}
	for _, dir := range w.dirs {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
		if err != nil {
			return nil, err
		}
		s.files = append(s.files, f)
		if err := w.protect(f); err != nil {
			return nil, err
		}
		info, err := f.Stat()
		if err != nil {
			return nil, err
		}
		s.infos = append(s.infos, info)
		text, err := os.ReadFile(f.Name())
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
		if len(text) > len(longest) {
			longest = text
		}
	}
	for i, text := range texts {
		if !bytes.HasPrefix(longest, text) {
			longest = texts[0]
			w.old = append(w.old, s.files[1:]...)
			s.files, s.infos = s.files[:1], s.infos[:1]
			break
		}
		if _, err := s.files[i].Write(longest[len(text):]); err != nil {
			return nil, err
		}
	}
	s.size = int64(len(longest))
	s.sum.Write(longest)
	return longest, nil
}

// mend closes the segment that a crash left open. text is what it holds.
func (w *Writer) mend(text []byte) error {
	s := w.segment
	var rest []byte
	if len(text) > 0 && text[len(text)-1] != '\n' {
		rest = []byte("\n")
	}
	text = slices.Concat(text, rest)
	head, first := headOf(text)
	w.id, w.at = head.Chain, lastTime(text)
	if w.n > 1 {
		// The digest is taken again rather than believed.
		before, err := os.ReadFile(filepath.Join(w.dirs[0], segmentName(w.n-1, w.o.Suffix)))
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		if err == nil {
			sum := sha256.Sum256(before)
			w.prev, w.size = hex.EncodeToString(sum[:]), int64(len(before))
			seal, _, _ := sealOf(before)
			w.ended = seal.Kind == MarkEnd
			if w.id == "" {
				w.id = seal.Chain
			}
		}
	}
	if torn := unnamed(text); torn > 0 {
		mark := wrap(w.o.Suffix, w.elapsed(), Mark{Kind: MarkTorn, Chain: w.id, Segment: w.n, Time: now(), Bytes: torn})
		rest, text = slices.Concat(rest, mark), slices.Concat(text, mark)
	}
	if len(rest) > 0 {
		if err := w.write(rest, nil); err != nil {
			return err
		}
	}
	if head.Kind == "" {
		if err := w.write(w.opening(!first), nil); err != nil {
			return err
		}
	}
	if seal, there, _ := sealOf(text); there {
		w.prev, w.size, w.ended = hex.EncodeToString(s.sum.Sum(nil)), s.size, seal.Kind == MarkEnd
		w.segment = nil
		w.old = append(w.old, s.files...)
		return nil
	}
	s.age = time.NewTimer(time.Hour)
	return w.seal(MarkSeal)
}
