package chain

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatDirectsATerminalIsEscaped(t *testing.T) {
	const text = "a\u009b2J \u007f \u202e \u2066x\u2069 \u200f é € 🙂"
	const escaped = `a\u009b2J \u007f \u202e \u2066x\u2069 \u200f é € 🙂`
	line, err := json.Marshal(text)
	require.NoError(t, err)
	assert.Equal(t, `"`+escaped+`"`, string(Escape(line)))
	var back string
	require.NoError(t, json.Unmarshal(Escape(line), &back))
	assert.Equal(t, text, back)

	event := AppendEvent(nil, time.Second, EventOutput, []byte(text))
	assert.Equal(t, `[1.000000,"o","`+escaped+"\"]\n", string(event))
	parsed, err := ParseEvent(event)
	require.NoError(t, err)
	assert.Equal(t, text, parsed.Data)
}
