//go:build linux

package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMedian(t *testing.T) {
	assert.InDelta(t, 2, median([]float64{9, 1, 2}), 1e-9)
	assert.InDelta(t, 3, median([]float64{2, 9, 1, 4}), 1e-9)
	assert.Zero(t, median(nil))
}

func TestFit(t *testing.T) {
	slope, intercept, explained := fit([]float64{1, 10, 50}, []float64{3.5, 8, 28})
	assert.InDelta(t, 0.5, slope, 1e-9)
	assert.InDelta(t, 3, intercept, 1e-9)
	assert.InDelta(t, 1, explained, 1e-9)
	_, _, explained = fit([]float64{1, 10, 50}, []float64{1, 100, 2500})
	assert.Less(t, explained, 0.99, "a square is no line")
}

func TestDifference(t *testing.T) {
	assert.Empty(t, difference(map[string]int{"A": 2}, map[string]int{"A": 2}))
	assert.Equal(t, "A +1, B -2, C +1", difference(map[string]int{"A": 2, "C": 1}, map[string]int{"A": 1, "B": 2}))
}

func TestTable(t *testing.T) {
	b := &bench{}
	b.state("Size", "%d", 3)
	b.hold(true, "Time", "under 2 s", "1 s")
	assert.False(t, b.broken)
	b.hold(false, "Memory", "under 2 MB", "3 MB")
	assert.True(t, b.broken)
	assert.Equal(t, `| What | Measured | Budget | |
|---|---|---|---|
| Size | 3 |  |  |
| Time | 1 s | under 2 s | met |
| Memory | 3 MB | under 2 MB | **broken** |
`, table(b.rows))
}
