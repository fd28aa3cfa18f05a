package config_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/stacks/config"
)

const guide = "../../docs/configuration.md"

func TestGuideNamesEveryKey(t *testing.T) {
	text, err := os.ReadFile(guide)
	require.NoError(t, err)
	var walk func(t reflect.Type, path string)
	walk = func(typ reflect.Type, path string) {
		for i := range typ.NumField() {
			field, key := typ.Field(i), typ.Field(i).Tag.Get("yaml")
			switch {
			case field.Type.Kind() == reflect.Struct:
				walk(field.Type, path+key+".")
			case field.Type == reflect.TypeFor[[]config.Operator](), field.Type == reflect.TypeFor[[]config.Tunnel]():
				// Their keys are in a table of their own, without what is before.
				walk(field.Type.Elem(), "")
			default:
				if !strings.Contains(string(text), "`"+path+key+"`") {
					t.Errorf("%s is not in %s", path+key, guide)
				}
			}
		}
	}
	walk(reflect.TypeFor[config.Config](), "")
}

func TestGuideExamplesAreValid(t *testing.T) {
	text, err := os.ReadFile(guide)
	require.NoError(t, err)
	blocks := strings.Split(string(text), "```yaml\n")[1:]
	require.Len(t, blocks, 11)
	for _, block := range blocks {
		document, _, closed := strings.Cut(block, "```")
		require.True(t, closed)
		_, err := config.Parse([]byte(document))
		assert.NoError(t, err, document)
	}
}
