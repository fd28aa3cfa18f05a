package emulator_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bootstrap is what the user data of a launch template holds.
type bootstrap struct {
	files       map[string]string // what the host unpacks and runs
	environment map[string]string // what is this host's alone
}

// userData reads the user data and asserts that EC2 would take and cloud-init
// run it.
func userData(t *testing.T, encoded string) bootstrap {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(encoded)
	require.NoError(t, err)
	assert.LessOrEqual(t, len(data), 16384)
	script := string(data)
	require.True(t, strings.HasPrefix(script, "#!/bin/bash\n"), "begins with %.40q", script)

	_, rest, found := strings.Cut(script, "<<'END'")
	require.True(t, found, "no payload")
	_, rest, _ = strings.Cut(rest, "\n")
	packed, rest, found := strings.Cut(rest, "\nEND\n")
	require.True(t, found, "the payload has no end")
	zipped, err := base64.StdEncoding.DecodeString(packed)
	require.NoError(t, err)
	unzipped, err := gzip.NewReader(bytes.NewReader(zipped))
	require.NoError(t, err)
	b := bootstrap{files: map[string]string{}, environment: map[string]string{}}
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		content, err := io.ReadAll(archive)
		require.NoError(t, err)
		b.files[header.Name] = string(content)
	}
	for _, name := range []string{"main.sh", "signal.sh", "sshd.conf", "settings.json", "bundle.sha256"} {
		assert.NotEmpty(t, b.files[name], name)
	}

	_, lines, found := strings.Cut(rest, "# ENVIRONMENT\n")
	require.True(t, found, "no environment")
	for line := range strings.Lines(lines) {
		key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		require.True(t, ok, line)
		assert.NotContains(t, value, "Token[")
		b.environment[key] = value
	}
	return b
}
