package test_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each example runs as its user runs it: in a process of its own, by the command
// in its cdk.json, told by the environment where to write as the CDK CLI does.
func TestExamplesMatchTheirGoldens(t *testing.T) {
	folders, err := filepath.Glob("../examples/*/main.go")
	require.NoError(t, err)
	require.NotEmpty(t, folders)
	for _, main := range folders {
		// Read so that go test sees it change: it is not imported.
		_, err := os.ReadFile(main)
		require.NoError(t, err)
		folder := filepath.Dir(main)
		assembly := t.TempDir()
		command := exec.Command("go", "run", ".")
		command.Dir = folder
		command.Env = append(os.Environ(),
			"CDK_OUTDIR="+assembly,
			`CDK_CONTEXT_JSON={"@aws-cdk/core:validateAgainstDefaultRules": true, "aws:cdk:version-reporting": false}`)
		out, err := command.CombinedOutput()
		require.NoError(t, err, "%s: %s", folder, out)
		golden(t, filepath.Join("examples", filepath.Base(folder)), assembly)

		manifest, err := os.ReadFile(filepath.Join(folder, "cdk.json"))
		require.NoError(t, err)
		assert.JSONEq(t, `{"app": "go run ."}`, string(manifest))
		assert.FileExists(t, filepath.Join(folder, "README.md"))
	}
}
