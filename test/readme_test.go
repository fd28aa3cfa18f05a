package test_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The README's programs are examples, which compile.
func TestReadmeProgramsAreExamples(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	rest := string(readme)
	for _, c := range []struct{ file, begin, end string }{
		{"../constructs/bastion/example_test.go", "func Example() {\n", "}\n"},
		{"../posterntest/example_test.go", "\n", "}\n"},
	} {
		var program string
		var found bool
		_, rest, found = strings.Cut(rest, "```go\n")
		require.True(t, found)
		program, rest, found = strings.Cut(rest, "```\n")
		require.True(t, found)
		var indented strings.Builder
		for line := range strings.Lines(program) {
			if line != "\n" {
				indented.WriteString("\t")
			}
			indented.WriteString(line)
		}
		example, err := os.ReadFile(c.file)
		require.NoError(t, err)
		assert.Contains(t, string(example), c.begin+indented.String()+c.end, c.file)
	}
	assert.NotContains(t, rest, "```go\n", "a program that no example is held against")
}
