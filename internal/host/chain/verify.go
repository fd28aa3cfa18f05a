package chain

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"
)

// FaultKind says what is wrong with a chain.
type FaultKind string

// What can be wrong with a chain.
const (
	Missing   FaultKind = "missing"     // a segment isn't there
	Altered   FaultKind = "altered"     // a segment is not what was written
	Reordered FaultKind = "reordered"   // a segment has the number of another one
	CutShort  FaultKind = "cut short"   // the end of a segment isn't there
	LeftOpen  FaultKind = "left open"   // the chain has no end: it is being written, its writer died, or its end was taken away
	Forged    FaultKind = "forged link" // a segment is whole, but does not belong behind the one before it
)

// Fault is the first break of a chain.
type Fault struct {
	Kind    FaultKind `json:"kind"`
	Segment int       `json:"segment"`
	Detail  string    `json:"detail"`
}

func (f *Fault) Error() string {
	return fmt.Sprintf("segment %06d: %s: %s", f.Segment, f.Kind, f.Detail)
}

// Report is what Verify found.
type Report struct {
	Chain    string `json:"chain"`
	First    int    `json:"first"`
	Segments int    `json:"segments"`
	Bytes    int64  `json:"bytes"`
	// Torn lines are what crashes left; the chain names each.
	Torn int `json:"torn,omitempty"`
	// Ended chains have their last line.
	Ended bool `json:"ended"`
	// Head is the digest of the last segment, to be compared with one that was kept
	// elsewhere.
	Head string `json:"head"`
	// Fault is the first break. nil: the chain is whole.
	Fault *Fault `json:"fault,omitempty"`
}

// Whole tells whether nothing is wrong.
func (r Report) Whole() bool { return r.Fault == nil }

// Leave says which chains are no fault though they are not complete.
type Leave struct {
	// Open is one that has no end (yet).
	Open bool
	// Partial is one that begins after its first segment: records of one day, or of
	// a host that has removed what it had delivered.
	Partial bool
}

// Segment is one file of a chain.
type Segment struct {
	Number int
	Path   string
}

// Record is a chain as it is found in a file system.
type Record struct {
	// Name is that of the session or log, Instance that of the folder above it.
	Name, Instance string
	Suffix         string
	Segments       []Segment
}

// Find lists the chains below a directory: that of a host, or one that was
// downloaded from the bucket, where the segments of a log stand in the folders of
// the days they were written on.
func Find(fsys fs.FS) ([]Record, error) {
	type key struct{ instance, name, suffix string }
	found := map[key]*Record{}
	err := fs.WalkDir(fsys, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		n, suffix := segmentNumber(path.Base(file))
		if n == 0 || !entry.Type().IsRegular() {
			return nil
		}
		dir := path.Dir(file)
		k := key{path.Base(path.Dir(dir)), path.Base(dir), suffix}
		if k.instance == "sessions" {
			k.instance = "."
		}
		if found[k] == nil {
			found[k] = &Record{Name: k.name, Instance: k.instance, Suffix: suffix}
		}
		found[k].Segments = append(found[k].Segments, Segment{n, file})
		return nil
	})
	if err != nil {
		return nil, err
	}
	records := make([]Record, 0, len(found))
	for _, r := range found {
		sort.Slice(r.Segments, func(i, j int) bool {
			a, b := r.Segments[i], r.Segments[j]
			return a.Number < b.Number || a.Number == b.Number && a.Path < b.Path
		})
		records = append(records, *r)
	}
	sort.Slice(records, func(i, j int) bool {
		a, b := records[i], records[j]
		return a.Name < b.Name || a.Name == b.Name && a.Instance+a.Suffix < b.Instance+b.Suffix
	})
	return records, nil
}

// Verify checks the one chain in dir.
func Verify(dir string) (Report, error) {
	fsys := os.DirFS(dir)
	records, err := Find(fsys)
	if err != nil {
		return Report{}, err
	}
	if len(records) != 1 {
		return Report{}, fmt.Errorf("%s: %d chains in it, not one", dir, len(records))
	}
	return records[0].Verify(fsys, Leave{})
}

// Verify checks the chain. The error says that it could not be read; what is wrong
// with it is in the report.
func (r Record) Verify(fsys fs.FS, leave Leave) (Report, error) {
	v := verifier{leave: leave}
	for i, s := range r.Segments {
		text, err := fs.ReadFile(fsys, s.Path)
		if err != nil {
			return v.report, err
		}
		if i > 0 && s.Number == r.Segments[i-1].Number {
			if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != v.report.Head {
				v.fault(Altered, s.Number, "there are two of it, and they differ: %s and %s", r.Segments[i-1].Path, s.Path)
			}
			continue
		}
		v.segment(s.Number, text)
	}
	v.end()
	return v.report, nil
}

// verifier looks at one segment after the other.
type verifier struct {
	leave  Leave
	report Report
	// The segment before:
	number     int
	size       int64
	whole      bool // its own seal is right
	ended      bool
	unfinished *Fault // what to say about it if nothing follows it
}

func (v *verifier) fault(kind FaultKind, segment int, format string, values ...any) {
	if v.report.Fault == nil {
		v.report.Fault = &Fault{kind, segment, fmt.Sprintf(format, values...)}
	}
}

func (v *verifier) segment(n int, text []byte) {
	first := v.report.Segments == 0
	head, _ := headOf(text)
	seal, sealThere, sealRight := sealOf(text)
	v.report.Segments++
	v.report.Bytes += int64(len(text))
	if first {
		v.report.First, v.report.Chain = n, head.Chain
	}
	missing := first && n > 1 && !v.leave.Partial || !first && n != v.number+1
	switch {
	case missing && !first && !v.whole:
		v.fault(CutShort, v.number, "its end is not there, nor is the segment after it")
	case missing:
		v.fault(Missing, v.number+1, "it is not there, segment %06d is", n)
	case first:
	case !v.whole && head.Prev != "" && v.size < head.Size:
		v.fault(CutShort, v.number, "%d of %d bytes are there", v.size, head.Size)
	case !v.whole:
		v.fault(Altered, v.number, "its seal is not that of its content")
	}

	last := text
	if i := bytes.LastIndexByte(text, '\n'); i >= 0 {
		last = text[i+1:]
	}
	v.unfinished = nil
	switch {
	case sealThere && !sealRight:
		v.fault(Altered, n, "its seal is not that of its content")
	case !sealThere && len(last) > 0 || len(text) == 0:
		v.unfinished = &Fault{CutShort, n, "it ends in the middle of a line"}
	case !sealThere:
		v.unfinished = &Fault{LeftOpen, n, "it has no seal: it is being written, its writer died, or its end was taken away"}
	case seal.Kind != MarkEnd:
		v.unfinished = &Fault{LeftOpen, n, "it is sealed, but does not end the chain: that is being written, its writer died, or its end was taken away"}
	}
	v.lines(n, text, sealThere)

	switch {
	case head.Kind == "" && v.unfinished != nil && v.unfinished.Kind == CutShort:
	case head.Kind == "":
		v.fault(Forged, n, "it has no link")
	case head.Chain != v.report.Chain || sealThere && seal.Chain != head.Chain:
		v.fault(Forged, n, "it is of chain %s, not %s", head.Chain, v.report.Chain)
	case head.Segment != n || sealThere && seal.Segment != n:
		v.fault(Reordered, n, "it says that it is segment %06d", head.Segment)
	case (head.Kind == MarkBegin) != (n == 1):
		v.fault(Forged, n, "its first mark is %q", head.Kind)
	case first:
	case head.Prev != v.report.Head:
		v.fault(Forged, n, "it goes on behind a segment with the digest %s, not %s", head.Prev, v.report.Head)
	case head.Size != v.size:
		v.fault(Forged, n, "it goes on behind a segment of %d bytes, not %d", head.Size, v.size)
	case v.ended != (head.Kind == MarkResume):
		v.fault(Forged, n, "its first mark is %q behind a segment that ends the chain: %v", head.Kind, v.ended)
	}
	sum := sha256.Sum256(text)
	v.report.Head = hex.EncodeToString(sum[:])
	v.number, v.size = n, int64(len(text))
	v.whole = sealThere && sealRight
	v.ended = v.whole && seal.Kind == MarkEnd
	v.report.Ended = v.ended
}

// lines looks for what no digest shows in a segment that has none yet, and counts
// what crashes left.
func (v *verifier) lines(n int, text []byte, sealed bool) {
	torn := 0
	for line := range bytes.Lines(text) {
		if line[len(line)-1] != '\n' {
			break
		}
		mark, isMark := ParseMark(line)
		switch {
		case isMark && mark.Kind == MarkTorn:
			v.report.Torn += torn
			torn = 0
		case isMark && (mark.Kind == MarkSeal || mark.Kind == MarkEnd) && !sealed:
			v.fault(Altered, n, "lines follow its seal")
		case !validJSON(line):
			torn++
		}
	}
	if torn > 0 {
		v.fault(Altered, n, "it has %d lines that are no JSON, and no mark that a crash tore them", torn)
	}
}

func (v *verifier) end() {
	if v.report.Segments == 0 {
		v.fault(Missing, 1, "there is no segment")
	}
	if v.unfinished == nil || v.report.Fault != nil {
		return
	}
	if v.unfinished.Kind == LeftOpen && v.leave.Open {
		return
	}
	v.report.Fault = v.unfinished
}

// headOf is the mark that a segment begins with, and whether a line of the record
// stands before it.
func headOf(text []byte) (head Mark, first bool) {
	for line := range bytes.Lines(text) {
		if line[len(line)-1] != '\n' {
			break
		}
		if m, ok := ParseMark(line); ok {
			switch m.Kind {
			case MarkBegin, MarkLink, MarkResume:
				return m, first
			case MarkTorn:
				continue
			case MarkSeal, MarkEnd:
			}
			break
		}
		if !validJSON(line) {
			continue
		}
		if first {
			break // only one line stands before the mark
		}
		first = true
	}
	return Mark{}, first
}

// unnamed is the size of the torn lines that no mark names: a crash may have come
// before the mark was written.
func unnamed(text []byte) int {
	torn := 0
	for line := range bytes.Lines(text) {
		if m, ok := ParseMark(line); ok && m.Kind == MarkTorn {
			torn = 0
		} else if !validJSON(line) {
			torn += len(line) - 1
		}
	}
	return torn
}

func validJSON(line []byte) bool { return json.Valid(line) }

// numbers lists the segments of a directory in their order.
func numbers(dir, suffix string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var found []int
	for _, entry := range entries {
		if n, s := segmentNumber(entry.Name()); n > 0 && s == suffix {
			found = append(found, n)
		}
	}
	sort.Ints(found)
	return found, nil
}

// String is one line about a chain.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "chain %s, %d segments, %d bytes: ", r.Chain, r.Segments, r.Bytes)
	switch {
	case r.Fault != nil:
		b.WriteString(r.Fault.Error())
	case r.Ended:
		b.WriteString("whole")
	default:
		b.WriteString("whole so far, not ended")
	}
	if r.Torn > 0 {
		fmt.Fprintf(&b, " (%d lines torn by a crash)", r.Torn)
	}
	return b.String()
}
