package cdkcli

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEnvironmentSendsNothingOfTheCallersElsewhere(t *testing.T) {
	base := []string{
		"PATH=/bin", "HOME=/home/u", "AWS_PROFILE=prod", "AWS_ACCESS_KEY_ID=AKIAREAL", "AWS_SECRET_ACCESS_KEY=real", "AWS_SESSION_TOKEN=real",
		"AWS_ENDPOINT_URL_S3=https://elsewhere", "AWS_REGION=eu-west-1", "NO_PROXY=intranet", "CDK_HOME=/home/u/.cdk",
	}
	environ := Environment(base, "http://localhost:4566", "/work")
	all := strings.Join(environ, "\n")
	for _, leak := range []string{"prod", "AKIAREAL", "real", "elsewhere", "intranet", "/home/u/.cdk"} {
		assert.NotContains(t, all, leak)
	}
	for name, want := range map[string]string{
		"PATH": "/bin", "HOME": "/home/u", "AWS_ENDPOINT_URL": "http://localhost:4566", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1", "AWS_EC2_METADATA_DISABLED": "true", "CDK_HOME": filepath.Join("/work", "cdk-home"),
		"CDK_DISABLE_CLI_TELEMETRY": "true", "CDK_DISABLE_VERSION_CHECK": "1", "NO_PROXY": "localhost,127.0.0.1",
		"JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20", "AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED": "true",
	} {
		assert.Equal(t, want, Lookup(environ, name), name)
	}
	assert.Equal(t, DefaultRegion, Lookup(Environment(nil, "http://localhost:1", "/work"), "AWS_REGION"))
}

func TestEnvironmentOfTheRealAccountIsTheCallers(t *testing.T) {
	environ := Environment([]string{"AWS_PROFILE=prod", "NO_PROXY=intranet"}, RealAccount, "/work")
	assert.Equal(t, "prod", Lookup(environ, "AWS_PROFILE"))
	assert.Equal(t, "intranet", Lookup(environ, "NO_PROXY"))
	assert.Empty(t, Lookup(environ, "AWS_ENDPOINT_URL"))
	assert.Empty(t, Lookup(environ, "AWS_ACCESS_KEY_ID"))
	assert.Equal(t, "true", Lookup(environ, "CDK_DISABLE_CLI_TELEMETRY"))
}

func TestStackNamesFollowDependencies(t *testing.T) {
	folder := t.TempDir()
	manifest := filepath.Join(folder, "manifest.json")
	require.NoError(t, os.WriteFile(manifest, []byte(`{"artifacts": {
		"Access": {"type": "aws:cloudformation:stack", "dependencies": ["Network", "Access.assets"], "properties": {"stackName": "p-access"}},
		"Access.assets": {"type": "cdk:asset-manifest"},
		"Network": {"type": "aws:cloudformation:stack", "dependencies": ["Vault"], "properties": {}},
		"Vault": {"type": "aws:cloudformation:stack"},
		"Tree": {"type": "cdk:tree"}}}`), 0o600))
	names, err := StackNames(folder)
	require.NoError(t, err)
	assert.Equal(t, []string{"Vault", "Network", "p-access"}, names)

	require.NoError(t, os.WriteFile(manifest, []byte(`{"artifacts": {}}`), 0o600))
	_, err = StackNames(folder)
	assert.ErrorContains(t, err, "the app has no stack")
	require.NoError(t, os.WriteFile(manifest, []byte(`{`), 0o600))
	_, err = StackNames(folder)
	assert.Error(t, err)
	_, err = StackNames(t.TempDir())
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// script writes an executable that stands in for the CDK CLI.
func script(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cdk")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o700))
	return path
}

func TestInterruptReachesTheCLI(t *testing.T) {
	var out bytes.Buffer
	c := CLI{Path: script(t, `trap 'echo cleaned up; exit 3' INT; echo started; while :; do sleep 0.05; done`), Out: &out}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	began := time.Now()
	err := c.Run(ctx, ".", "deploy")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Less(t, time.Since(began), stopTime)
	assert.Equal(t, "started\ncleaned up\n", out.String())
}

func TestRunTellsWhatTheCLISaysAndHowItEnds(t *testing.T) {
	var out bytes.Buffer
	folder := t.TempDir()
	c := CLI{
		Path:    script(t, `echo "$*|$PWD|$GREETING|$HOME"; read -r answer || echo "no answer" >&2; exit 7`),
		Environ: []string{"GREETING=hello"}, Out: &out,
	}
	err := c.Run(t.Context(), folder, "deploy", "--all")
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 7, exit.ExitCode())
	assert.Equal(t, "--no-notices deploy --all|"+folder+"|hello|\nno answer\n", out.String())

	out.Reset()
	c.In = strings.NewReader("yes\n")
	require.Error(t, c.Run(t.Context(), folder))
	assert.NotContains(t, out.String(), "no answer")
}
