//go:build linux && !hostroot

package recorder

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestManyShortSessionsOfOnePersonWait(t *testing.T) {
	r := &Recorder{begun: map[int]*throttle{}}
	for range freeRunSessions {
		assert.Zero(t, r.begins(20000))
	}
	assert.InDelta(t, time.Second/sessionsPerSecond, r.begins(20000), float64(50*time.Millisecond))
	assert.InDelta(t, 2*time.Second/sessionsPerSecond, r.begins(20000), float64(50*time.Millisecond))
	assert.Zero(t, r.begins(20001), "nobody else does")
}
