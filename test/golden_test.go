package test_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sebdah/goldie/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/monthlycost"
	"github.com/postern-cdk/postern/internal/cost"
)

// golden compares the templates of a cloud assembly with those kept in
// golden/NAME, one file a stack. `go test ./test -update` writes them anew; the
// difference then shows each logical ID that changed, which replaces a resource
// of a user.
func golden(t *testing.T, name, assembly string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(assembly, "*.template.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files, "no templates in %s", assembly)
	keeper := goldie.New(t,
		goldie.WithFixtureDir(filepath.Join("golden", name)),
		goldie.WithNameSuffix(".json"),
		goldie.WithDiffEngine(goldie.ColoredDiff),
	)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		keeper.Assert(t, strings.TrimSuffix(filepath.Base(file), ".template.json"), normalize(t, text))
	}
	kept, err := filepath.Glob(filepath.Join("golden", name, "*.json"))
	require.NoError(t, err)
	assert.Len(t, kept, len(files), "golden/%s holds a template that no stack makes any more", name)
}

var (
	assetHash  = regexp.MustCompile(`\b[0-9a-f]{64}\b`)
	bigBase64  = regexp.MustCompile(`[A-Za-z0-9+/=\\n]{1000,}`)
	cdkVersion = regexp.MustCompile(`"Analytics": "[^"]*"`)
)

// normalize indents a template and blots out what changes without meaning:
// asset hashes, the compressed part of user data, which the host's own goldens
// hold in the clear, and what it costs, which tests of its own pin.
func normalize(t *testing.T, text []byte) []byte {
	t.Helper()
	var template map[string]any
	require.NoError(t, json.Unmarshal(text, &template))
	if metadata, ok := template["Metadata"].(map[string]any); ok && metadata[monthlycost.MetadataKey] != nil {
		metadata[monthlycost.MetadataKey] = "COST"
	}
	outputs, _ := template["Outputs"].(map[string]any)
	for id, output := range outputs {
		if strings.HasPrefix(id, cost.OutputPrefix) {
			output.(map[string]any)["Value"] = "COST"
		}
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	require.NoError(t, enc.Encode(template))
	out := assetHash.ReplaceAllString(b.String(), "ASSET")
	out = bigBase64.ReplaceAllString(out, "PAYLOAD")
	out = cdkVersion.ReplaceAllString(out, `"Analytics": "ANALYTICS"`)
	return []byte(out)
}

func TestNormalizeKeepsWhatMatters(t *testing.T) {
	got := string(normalize(t, []byte(`{"Resources": {"A1B2": {"S3Key": "`+strings.Repeat("0a", 32)+`.zip", "UserData": "head `+strings.Repeat("QUJD", 300)+` tail", "Arn": "a<b"}}}`)))
	//nolint:testifylint // the bytes count, not only what they mean
	assert.Equal(t, `{
 "Resources": {
  "A1B2": {
   "Arn": "a<b",
   "S3Key": "ASSET.zip",
   "UserData": "head PAYLOAD tail"
  }
 }
}
`, got)
}
