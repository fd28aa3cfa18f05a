package uptime

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNow(t *testing.T) {
	first, err := Now()
	require.NoError(t, err)
	time.Sleep(time.Millisecond)
	second, err := Now()
	require.NoError(t, err)
	assert.NotEmpty(t, first.Boot)
	assert.Equal(t, first.Boot, second.Boot)
	assert.Greater(t, second.Since, first.Since)
}
