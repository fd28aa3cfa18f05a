package property_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/postern-cdk/postern/internal/property"
)

func TestProperty(t *testing.T) {
	properties := map[string]any{"Rule": map[string]any{"Days": "365", "On": "true"}, "Ports": []any{22.0, "3389", 443}}
	assert.Equal(t, "365", property.At(properties, "Rule", "Days"))
	assert.Nil(t, property.At(properties, "Rule", "Days", "Deeper"))
	assert.Nil(t, property.At(properties, "Other", "Days"))
	n, ok := property.Number(property.At(properties, "Rule", "Days"))
	assert.True(t, ok)
	assert.InDelta(t, 365, n, 0)
	_, ok = property.Number(map[string]any{"Ref": "Size"})
	assert.False(t, ok)
	assert.Equal(t, []string{"22", "3389", "443"}, property.Texts(properties["Ports"]))
	assert.Nil(t, property.List("22"))
	assert.True(t, property.Yes(property.At(properties, "Rule", "On")))
	assert.True(t, property.Yes(true))
	assert.False(t, property.Yes(nil))
}
