package event_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/postern-cdk/postern/internal/host/event"
)

func TestLine(t *testing.T) {
	//nolint:testifylint // the order of the keys counts
	assert.Equal(t, `{"postern":"x","b":1,"a":"two\nlines","e":"broken","c":"(0+1i)"}`+"\n",
		string(event.Line("x", "b", 1, "a", "two\nlines", "e", errors.New("broken"), "c", 1i)))
}

func TestWhatDirectsATerminalIsEscaped(t *testing.T) {
	//nolint:testifylint // the bytes count
	assert.Equal(t, `{"postern":"x","object":"\u001b[2J\u009b2J\u202egpj\u007f"}`+"\n",
		string(event.Line("x", "object", "\x1b[2J\u009b2J\u202egpj\x7f")))
}

func TestOnlyAlarmsGoToTheConsole(t *testing.T) {
	var out, console bytes.Buffer
	log := &event.Log{Out: &out, Console: &console}
	log.Note("all is well", "n", 3)
	log.Alarm("recording", "the disk is full")
	//nolint:testifylint // so does that of the lines
	assert.Equal(t, `{"postern":"note","text":"all is well","n":3}`+"\n"+
		`{"postern":"alarm","name":"recording","text":"the disk is full"}`+"\n", out.String())
	//nolint:testifylint // bytes, not JSON
	assert.Equal(t, `{"postern":"alarm","name":"recording","text":"the disk is full"}`+"\n", console.String())
}
