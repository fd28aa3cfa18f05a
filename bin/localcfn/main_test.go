package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/localcfn"
)

func TestParseFail(t *testing.T) {
	f, err := parseFail("AWS::EC2::VPC:Create:2")
	require.NoError(t, err)
	assert.Equal(t, localcfn.Fail{Type: "AWS::EC2::VPC", Operation: "Create", Nth: 2}, f)
	for text, want := range map[string]string{
		"VPC":                    "want TYPE:OPERATION:N",
		"AWS::EC2::VPC:Create":   `"Create" is not a number from 1`,
		"AWS::EC2::VPC:Create:0": `"0" is not a number from 1`,
	} {
		_, err := parseFail(text)
		assert.ErrorContains(t, err, want, text)
	}
}

func TestRefusals(t *testing.T) {
	for want, args := range map[string][]string{
		"not a loopback address": {"--addr", "0.0.0.0:0"},
		"not twelve digits":      {"--account", "1"},
		"unknown command":        {"here"},
		`operation "Break"`:      {"--fail", "AWS::EC2::VPC:Break:1"},
		"want TYPE:OPERATION:N":  {"--fail", "x"},
	} {
		c := command()
		c.SetArgs(args)
		assert.ErrorContains(t, c.Execute(), want)
	}
}

func TestServesUntilInterrupted(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	c := command()
	c.SetArgs([]string{"--fail", "AWS::SNS::Topic:Create:1"})
	c.SetOut(w)
	done := make(chan error, 1)
	go func() { done <- c.ExecuteContext(ctx) }()
	var printed bytes.Buffer
	buffer := make([]byte, 4096)
	for !strings.Contains(printed.String(), "CDK_DISABLE_VERSION_CHECK") {
		n, err := r.Read(buffer)
		require.NoError(t, err)
		printed.Write(buffer[:n])
	}
	endpoint := regexp.MustCompile(`export AWS_ENDPOINT_URL=(http://localhost:\d+)`).FindStringSubmatch(printed.String())
	require.NotNil(t, endpoint, printed.String())
	answer, err := http.Get(endpoint[1] + "/_localcfn/health") //nolint:noctx // a local server
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	assert.Equal(t, http.StatusOK, answer.StatusCode)
	stop()
	select {
	case err := <-done:
		assert.NoError(t, err)
	case <-time.After(10 * time.Second):
		t.Fatal("still serving")
	}
}
