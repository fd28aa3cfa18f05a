package monthlycost

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/postern-cdk/postern/internal/cdktest"
)

func TestMain(m *testing.M) { cdktest.Main(m) }

func TestDefaultsLeaveTheCallersPropsAlone(t *testing.T) {
	given := &Props{}
	filled := given.withDefaults()
	assert.Equal(t, "Rest", filled.RestName)
	assert.Empty(t, given.RestName)
	var none *Props
	filled = none.withDefaults()
	assert.NoError(t, filled.validate())
}

func TestCapitals(t *testing.T) {
	assert.Equal(t,
		map[string]any{"SubnetIds": []any{map[string]any{"Ref": "A"}}, "Fn::Join": "x"},
		capitals(map[string]any{"subnetIds": []any{map[string]any{"Ref": "A"}}, "Fn::Join": "x"}))
}
