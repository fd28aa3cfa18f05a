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

func TestOwnerIsTheNearestAbove(t *testing.T) {
	owners := map[string]int{"App/Access": 0, "App/Access/Bastion": 1}
	for path, want := range map[string]int{
		"App/Access/Bastion/ASG/Resource": 1,
		"App/Access/Bastion":              1,
		"App/Access/BastionOther":         0,
		"App/Watch/Topic":                 7,
		"":                                7,
	} {
		assert.Equal(t, want, owner(owners, path, 7), path)
	}
}

func TestCapitals(t *testing.T) {
	assert.Equal(t,
		map[string]any{"SubnetIds": []any{map[string]any{"Ref": "A"}}, "Fn::Join": "x"},
		capitals(map[string]any{"subnetIds": []any{map[string]any{"Ref": "A"}}, "Fn::Join": "x"}))
}
