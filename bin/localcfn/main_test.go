package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/localcfn"
)

// TestMain runs the command itself where a test starts this binary as it.
func TestMain(m *testing.M) {
	if os.Getenv("LOCALCFN_TEST_COMMAND") == "yes" {
		main()
		return
	}
	os.Exit(m.Run())
}

// A process that is killed in the middle of a deployment leaves a state file
// that the next one reads, whole, and a stack that can be deleted.
func TestKilledInTheMiddle(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	var template strings.Builder
	template.WriteString("Resources:\n  B: {Type: AWS::S3::Bucket, Properties: {BucketName: assets}}\n")
	for i := range 60 {
		fmt.Fprintf(&template, "  T%d: {Type: AWS::SNS::Topic, DependsOn: B}\n", i)
	}
	launch := func(delay string) (*exec.Cmd, string) {
		t.Helper()
		c := exec.Command(os.Args[0], "--state", file, "--delay", delay)
		c.Env = append(os.Environ(), "LOCALCFN_TEST_COMMAND=yes")
		c.Stderr = os.Stderr
		out, err := c.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, c.Start())
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if url, ok := strings.CutPrefix(lines.Text(), "export AWS_ENDPOINT_URL="); ok {
				return c, url
			}
		}
		t.Fatal("it never said where it listens")
		return nil, ""
	}
	call := func(endpoint string, pairs ...string) string {
		t.Helper()
		f := url.Values{"Version": {"2010-05-15"}, "StackName": {"s"}}
		for i := 0; i < len(pairs); i += 2 {
			f.Set(pairs[i], pairs[i+1])
		}
		answer, err := http.PostForm(endpoint, f)
		require.NoError(t, err)
		b, err := io.ReadAll(answer.Body)
		require.NoError(t, errors.Join(err, answer.Body.Close()))
		return string(b)
	}

	c, endpoint := launch("5ms")
	assert.Contains(t, call(endpoint, "Action", "CreateStack", "TemplateBody", template.String()), "<StackId>")
	// Uploads save the state again and again; one of them is cut off.
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			r, err := http.NewRequest(http.MethodPut, fmt.Sprintf("%s/assets/%d", endpoint, i%5), strings.NewReader(strings.Repeat("x", 1<<19)))
			if err != nil {
				return
			}
			if answer, err := http.DefaultClient.Do(r); err == nil {
				_ = answer.Body.Close()
			}
		}
	}()
	time.Sleep(150 * time.Millisecond)
	require.NoError(t, c.Process.Kill())
	close(stop)
	<-stopped
	require.Error(t, c.Wait(), "it was killed")

	c, endpoint = launch("0s")
	assert.Contains(t, call(endpoint, "Action", "DescribeStacks"), "<StackStatus>CREATE_FAILED</StackStatus><StackStatusReason>The process ended while this was under way.</StackStatusReason>")
	for i := range 5 {
		r, err := http.NewRequest(http.MethodDelete, fmt.Sprintf("%s/assets/%d", endpoint, i), nil)
		require.NoError(t, err)
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
	}
	call(endpoint, "Action", "DeleteStack")
	assert.Contains(t, call(endpoint, "Action", "DescribeStacks"), "Stack with id s does not exist")
	require.NoError(t, c.Process.Signal(os.Interrupt))
	require.NoError(t, c.Wait())
}

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
