package cost_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/cost"
)

func TestMonthly(t *testing.T) {
	assert.InDelta(t, 7.30, cost.Monthly(cost.InterfaceEndpoint, 1), 0.001)
	assert.InDelta(t, 29.20, cost.Monthly(cost.InterfaceEndpoint, 4), 0.001)
	assert.InDelta(t, 32.85, cost.Monthly(cost.NatGateway, 1), 0.001)
	assert.InDelta(t, 3.65, cost.Monthly(cost.PublicIPv4, 1), 0.001)
	assert.InDelta(t, 0.64, cost.Monthly(cost.VolumeGp3, 8), 0.001)
	assert.InDelta(t, 1.00, cost.Monthly(cost.Key, 1), 0.001)
}

func TestLookup(t *testing.T) {
	p, ok := cost.Lookup(cost.Alarm)
	require.True(t, ok)
	assert.NotEmpty(t, p.Source)
	_, ok = cost.Lookup("ec2/none")
	assert.False(t, ok)
}
