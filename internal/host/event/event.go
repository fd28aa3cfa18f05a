// Package event writes the lines of JSON by which a bastion tells what happens on
// it. The key "postern" says which kind of line it is, as in the bootstrap's.
package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/postern-cdk/postern/internal/host/chain"
)

// Log writes events, one line each. Its zero value writes to the standard output,
// which systemd puts in the journal.
type Log struct {
	// Out takes every line. nil: the standard output.
	Out io.Writer
	// Console takes alarms too. nil: /dev/console.
	Console io.Writer

	mu sync.Mutex
}

// Note tells something that needs no action.
func (l *Log) Note(text string, pairs ...any) { l.write("note", append([]any{"text", text}, pairs...)) }

// Alarm tells that a promise of the host is broken. name is stable: alarms are
// made of it.
func (l *Log) Alarm(name, text string, pairs ...any) {
	l.write("alarm", append([]any{"name", name, "text", text}, pairs...))
}

// Event writes a line of the given kind. pairs are keys and values in turn.
func (l *Log) Event(kind string, pairs ...any) { l.write(kind, pairs) }

func (l *Log) write(kind string, pairs []any) {
	line := Line(kind, pairs...)
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.Out
	if out == nil {
		out = os.Stdout
	}
	_, _ = out.Write(line)
	if kind != "alarm" {
		return
	}
	if l.Console != nil {
		_, _ = l.Console.Write(line)
		return
	}
	if console, err := os.OpenFile("/dev/console", os.O_WRONLY, 0); err == nil {
		_, _ = console.Write(line)
		_ = console.Close()
	}
}

// Line is one event as it is written, the line break included. Keys keep their
// order; what can't be JSON is written as Go prints it, and what could direct the
// terminal of who reads it, as JSON's escapes: values may be somebody's who is not a
// friend, such as the name of an object.
func Line(kind string, pairs ...any) []byte {
	var b bytes.Buffer
	b.WriteString(`{"postern":`)
	b.Write(value(kind))
	for i := 0; i+1 < len(pairs); i += 2 {
		b.WriteByte(',')
		b.Write(value(fmt.Sprint(pairs[i])))
		b.WriteByte(':')
		b.Write(value(pairs[i+1]))
	}
	b.WriteByte('}')
	return append(chain.Escape(b.Bytes()), '\n')
}

func value(v any) []byte {
	if err, ok := v.(error); ok {
		v = err.Error()
	}
	text, err := json.Marshal(v)
	if err != nil {
		text, _ = json.Marshal(fmt.Sprint(v))
	}
	return text
}
