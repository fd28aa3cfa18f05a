package config_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/stacks/config"
)

// What the guide to tunnels has people write is a configuration, and with its keys
// misspelt it is none.
func TestTunnelGuideIsValid(t *testing.T) {
	text, err := os.ReadFile("../../docs/guide/database-tunnel.md")
	require.NoError(t, err)
	blocks := strings.Split(string(text), "```yaml\n")[1:]
	require.Len(t, blocks, 3)
	for _, block := range blocks {
		document, _, closed := strings.Cut(block, "```")
		require.True(t, closed)
		document = strings.TrimRight(document, " ")
		_, err := config.Parse([]byte(document))
		assert.NoError(t, err, document)
		_, err = config.Parse([]byte(strings.Replace(document, "host:", "hots:", 1)))
		assert.ErrorContains(t, err, "hots")
	}
}
