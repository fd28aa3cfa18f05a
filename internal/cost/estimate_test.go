package cost_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/cost"
)

func TestEstimateAddsUpWhatIsTheSame(t *testing.T) {
	lines := cost.Estimate([]cost.Item{
		{Part: cost.InterfaceEndpoint, Quantity: 2, Note: "2 zones"},
		{Part: cost.Key, Quantity: 1},
		{Part: cost.InterfaceEndpoint, Quantity: 2, Note: "2 zones"},
		{Part: cost.InterfaceEndpoint, Quantity: 1, Note: "1 zone"},
	})
	require.Len(t, lines, 3, "in the order of their first items")
	assert.Equal(t, cost.InterfaceEndpoint, lines[0].Part)
	assert.InDelta(t, 4.0, lines[0].Quantity, 0)
	assert.InDelta(t, 29.20, lines[0].USD, 0.001)
	assert.Equal(t, cost.Key, lines[1].Part)
	assert.Equal(t, "1 zone", lines[2].Note)
	assert.InDelta(t, 29.20+1+7.30, lines.Total(), 0.001)
}

func TestEstimateOfUse(t *testing.T) {
	lines := cost.Estimate([]cost.Item{{Part: cost.LogIngest}, {Part: cost.GatewayEndpoint, Quantity: 1}})
	assert.True(t, lines[0].ByUse())
	assert.False(t, lines[1].ByUse(), "free is not the same as by use")
	assert.Zero(t, lines.Total())
}

func TestEstimateSaysWhatItDoesNotKnow(t *testing.T) {
	lines := cost.Estimate([]cost.Item{{Part: cost.Instance("u7in-32tb.224xlarge"), Quantity: 1}, {Part: cost.Key, Quantity: 1}})
	assert.Equal(t, []cost.Part{"ec2/u7in-32tb.224xlarge"}, lines.Unknown())
	assert.False(t, lines[0].ByUse())
	assert.InDelta(t, 1.0, lines.Total(), 0)
	assert.Empty(t, cost.Estimate([]cost.Item{{Part: cost.Instance("t4g.nano"), Quantity: 1}}).Unknown())
}
