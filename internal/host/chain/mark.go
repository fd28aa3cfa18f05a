package chain

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"strconv"
	"strings"
	"time"
)

// MarkKind says what a mark is for.
type MarkKind string

// The kinds of marks.
const (
	MarkBegin  MarkKind = "begin"
	MarkLink   MarkKind = "link"
	MarkResume MarkKind = "resume"
	MarkSeal   MarkKind = "seal"
	MarkEnd    MarkKind = "end"
	MarkTorn   MarkKind = "torn"
)

// Mark is a line of the chain's own.
type Mark struct {
	Kind    MarkKind `json:"postern"`
	Chain   string   `json:"chain"`
	Segment int      `json:"segment"`
	Time    string   `json:"time"`
	Prev    string   `json:"prev,omitempty"`
	Size    int64    `json:"size,omitempty"`
	Bytes   int      `json:"bytes,omitempty"`
	// Sum must stay the last key: it is the digest of what stands before it.
	Sum string `json:"sum,omitempty"`
}

const castPrefix = "postern "

// wrap makes a mark a line of its format.
func wrap(suffix string, at time.Duration, m Mark) []byte {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings and numbers only
	}
	if suffix != Cast {
		return append(text, '\n')
	}
	return AppendEvent(nil, at, EventMarker, append([]byte(castPrefix), text...))
}

// sealed makes a mark whose sum is the digest of what sum has seen and of the mark
// itself up to there. sum has seen the whole line afterwards.
func sealed(suffix string, at time.Duration, m Mark, sum hash.Hash) []byte {
	hole := strings.Repeat("0", 2*sha256.Size)
	m.Sum = hole
	line := wrap(suffix, at, m)
	i := bytes.LastIndex(line, []byte(hole))
	sum.Write(line[:i])
	hex.Encode(line[i:], sum.Sum(nil))
	sum.Write(line[i:])
	return line
}

// ParseMark tells whether a line is a mark.
func ParseMark(line []byte) (Mark, bool) {
	var m Mark
	text, ok := markText(line)
	if !ok || json.Unmarshal(text, &m) != nil {
		return Mark{}, false
	}
	switch m.Kind {
	case MarkBegin, MarkLink, MarkResume, MarkSeal, MarkEnd, MarkTorn:
		return m, true
	}
	return Mark{}, false
}

// markText is the object of a line that may be a mark, whichever format it is of.
func markText(line []byte) ([]byte, bool) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	if bytes.HasPrefix(line, []byte(`{"postern":"`)) {
		return line, true
	}
	if !bytes.HasPrefix(line, []byte("[")) || !bytes.Contains(line, []byte(`"m","`+castPrefix+`{`)) {
		return nil, false
	}
	event, err := ParseEvent(line)
	if err != nil || event.Code != EventMarker {
		return nil, false
	}
	text, ok := strings.CutPrefix(event.Data, castPrefix)
	return []byte(text), ok
}

// sealOf tells whether a whole segment ends with a mark whose sum is right.
func sealOf(segment []byte) (m Mark, there, right bool) {
	if len(segment) == 0 || segment[len(segment)-1] != '\n' {
		return Mark{}, false, false
	}
	start := bytes.LastIndexByte(segment[:len(segment)-1], '\n') + 1
	m, ok := ParseMark(segment[start:])
	if !ok || m.Kind != MarkSeal && m.Kind != MarkEnd {
		return Mark{}, false, false
	}
	i := bytes.LastIndex(segment, []byte(m.Sum))
	if len(m.Sum) != 2*sha256.Size || i < start {
		return m, true, false
	}
	tail := string(segment[i+len(m.Sum):])
	if tail != "\"}\n" && tail != "\\\"}\"]\n" {
		return m, true, false
	}
	sum := sha256.Sum256(segment[:i])
	return m, true, hex.EncodeToString(sum[:]) == m.Sum
}

// reserved tells whether lines hold one that only the chain may write. What a
// person types or a program prints stands in a JSON string, where quotes are
// escaped: it can't look like a mark.
func reserved(lines []byte) bool {
	if !bytes.Contains(lines, []byte(`postern`)) {
		return false
	}
	for line := range bytes.Lines(lines) {
		if _, ok := ParseMark(line); ok {
			return true
		}
	}
	return false
}

func segmentName(n int, suffix string) string {
	s := strconv.Itoa(n)
	return strings.Repeat("0", max(0, 6-len(s))) + s + suffix
}

// segmentNumber is the number in a name that segmentName makes, or 0.
func segmentNumber(name string) (n int, suffix string) {
	number, suffix, found := strings.Cut(name, ".")
	suffix = "." + suffix
	if !found || suffix != Cast && suffix != Lines {
		return 0, ""
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || segmentName(n, suffix) != name {
		return 0, ""
	}
	return n, suffix
}
