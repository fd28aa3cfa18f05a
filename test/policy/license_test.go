package policy_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The evaluator is AGPL: a tool of these tests, which nothing else may call.
func TestTheEvaluatorIsCalledByTheDriverAlone(t *testing.T) {
	const root = "../.."
	mayName := []string{
		"test/policy/simulate.mjs", "test/policy/simulate_test.go", "test/policy/license_test.go",
		"package.json", "package-lock.json", "hack/test.sh", "docs/adr/0016-policies-have-two-judges.md",
	}
	var named []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains([]string{"node_modules", ".git", ".cache", ".tools", "cdk.out"}, entry.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if !slices.Contains([]string{".go", ".mjs", ".js", ".ts", ".cjs", ".py", ".sh", ".json", ".md"}, filepath.Ext(path)) {
			return nil
		}
		text, err := os.ReadFile(path)
		if err == nil && bytes.Contains(text, []byte("cloud-copilot")) {
			relative, err := filepath.Rel(root, path)
			named = append(named, filepath.ToSlash(relative))
			return err
		}
		return err
	})
	require.NoError(t, err)
	assert.Contains(t, named, "test/policy/simulate.mjs")
	for _, file := range named {
		assert.Contains(t, mayName, file)
	}
}
