package chain

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// The formats of a record, which are the suffixes of its segments.
const (
	Cast  = ".cast"  // asciicast v2: https://docs.asciinema.org/manual/asciicast/v2/
	Lines = ".jsonl" // JSON, one object a line
)

// The codes of events in an asciicast.
const (
	EventOutput = 'o'
	EventInput  = 'i'
	EventMarker = 'm'
	EventResize = 'r'
	// EventExactOutput and EventExactInput hold, in base64, the bytes of the event
	// right before them where these are not UTF-8. Players skip codes that they
	// don't know.
	EventExactOutput = 'O'
	EventExactInput  = 'I'
)

// Header is the first line of an asciicast.
type Header struct {
	Version   int               `json:"version"`
	Width     int               `json:"width"`
	Height    int               `json:"height"`
	Timestamp int64             `json:"timestamp,omitempty"`
	Command   string            `json:"command,omitempty"`
	Title     string            `json:"title,omitempty"`
	Env       map[string]string `json:"env,omitempty"`
	Session   Session           `json:"postern"`
}

// Session says whose recording it is.
type Session struct {
	ID       string    `json:"session"`
	Person   string    `json:"person"`
	Instance string    `json:"instance"`
	Address  string    `json:"address"`
	Port     int       `json:"port"`
	Host     string    `json:"host,omitempty"`
	Start    time.Time `json:"start"`
	Command  string    `json:"command,omitempty"`
}

// Line is the header as it is written.
func (h Header) Line() []byte {
	h.Version = 2
	text, err := json.Marshal(h)
	if err != nil {
		panic(err) // strings, numbers and a time of our own
	}
	return append(text, '\n')
}

// Event is one line of an asciicast.
type Event struct {
	Time float64
	Code byte
	Data string
}

// ParseEvent reads one line of an asciicast.
func ParseEvent(line []byte) (Event, error) {
	var fields [3]json.RawMessage
	var e Event
	var code string
	decoder := json.NewDecoder(bytes.NewReader(line))
	if err := decoder.Decode(&fields); err != nil {
		return e, err
	}
	if err := errors.Join(json.Unmarshal(fields[0], &e.Time), json.Unmarshal(fields[1], &code),
		json.Unmarshal(fields[2], &e.Data)); err != nil {
		return e, err
	}
	if len(code) != 1 || e.Time < 0 {
		return e, fmt.Errorf("%q at %v is no event", code, e.Time)
	}
	e.Code = code[0]
	return e, nil
}

// AppendEvent appends one line to dst: an event at a time since the start of the
// recording. Output and input that is not UTF-8 gets a second line that holds its
// exact bytes.
func AppendEvent(dst []byte, at time.Duration, code byte, data []byte) []byte {
	dst = appendEvent(dst, at, code, data)
	if code == EventOutput && !utf8.Valid(data) {
		dst = appendEvent(dst, at, EventExactOutput, base64.StdEncoding.AppendEncode(nil, data))
	}
	if code == EventInput && !utf8.Valid(data) {
		dst = appendEvent(dst, at, EventExactInput, base64.StdEncoding.AppendEncode(nil, data))
	}
	return dst
}

func appendEvent(dst []byte, at time.Duration, code byte, data []byte) []byte {
	dst = append(dst, '[')
	dst = strconv.AppendFloat(dst, max(0, at).Seconds(), 'f', 6, 64)
	dst = append(dst, ',', '"', code, '"', ',')
	dst = appendString(dst, data)
	return append(dst, ']', '\n')
}

const hexDigits = "0123456789abcdef"

// Escape writes what in a line of JSON could direct the terminal of who reads it as
// JSON's escapes: control characters that encoding/json leaves as they are, and those
// that change the direction of writing.
func Escape(line []byte) []byte {
	if !bytes.ContainsFunc(line, hidden) {
		return line
	}
	escaped := make([]byte, 0, len(line)+16)
	for _, r := range string(line) {
		if hidden(r) {
			escaped = appendEscape(escaped, r)
		} else {
			escaped = utf8.AppendRune(escaped, r)
		}
	}
	return escaped
}

// hidden tells whether a character changes how others look. None is beyond four
// hexadecimal digits.
func hidden(r rune) bool {
	return r >= 0x7f && r <= 0x9f || r == 0x061c || r >= 0x200e && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

func appendEscape(dst []byte, r rune) []byte {
	return append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}

// appendString is JSON's string without what encoding/json escapes for HTML, and
// several times as fast: it stands between a person and what is shown.
func appendString(dst, s []byte) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[start:i]...)
				dst = append(dst, `\ufffd`...)
				i++
				start = i
				continue
			}
			if hidden(r) {
				dst = appendEscape(append(dst, s[start:i]...), r)
				start = i + size
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' && c != 0x7f {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

// lastTime is the time of the last event among lines.
func lastTime(lines []byte) time.Duration {
	for len(lines) > 0 {
		lines = bytes.TrimSuffix(lines, []byte("\n"))
		i := bytes.LastIndexByte(lines, '\n') + 1
		if e, err := ParseEvent(lines[i:]); err == nil {
			return time.Duration(e.Time * float64(time.Second))
		}
		lines = lines[:i]
	}
	return 0
}
