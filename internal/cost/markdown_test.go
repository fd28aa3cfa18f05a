package cost_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/cost"
)

// A changed price must reach the reader.
func TestReadmeShowsThePrices(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	assert.Contains(t, string(readme), cost.Markdown(), "put this table in README.md")
}

func TestDoorsArePriced(t *testing.T) {
	for _, door := range cost.Doors() {
		assert.Empty(t, cost.Estimate(door.Items).Unknown(), door.Name)
	}
}
