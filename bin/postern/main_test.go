package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if os.Getenv("POSTERN_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// The jsii runtime takes the environment before main, so the options must be there
// sooner. This test must not import what sets them.
func TestNodeHasTheOptionsThatKeepItSmall(t *testing.T) {
	for given, want := range map[string]string{"": "--max-old-space-size=4069 --max-semi-space-size=4", "--trace-warnings": "--trace-warnings"} {
		file := filepath.Join(t.TempDir(), "options")
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "POSTERN_MAIN=1", "NODE_OPTIONS="+given, "JSII_RUNTIME=printenv NODE_OPTIONS > "+file)
		out, err := cmd.CombinedOutput()
		require.Error(t, err, "what runs in place of Node answers nothing")
		options, err := os.ReadFile(file)
		require.NoError(t, err, "%s", out)
		assert.Equal(t, want+"\n", string(options))
	}
}
