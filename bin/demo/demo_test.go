package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudcontrol"
	controltypes "github.com/aws/aws-sdk-go-v2/service/cloudcontrol/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// script writes an executable that stands in for the CDK CLI.
func script(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cdk")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o700))
	return path
}

// localStub is an engine that knows who is calling, and nothing else.
type localStub struct {
	*httptest.Server
	closed int
}

func (s *localStub) URL() string  { return s.Server.URL }
func (s *localStub) Close() error { s.closed++; s.Server.Close(); return nil }

// newLocalStub answers STS, one stack with one output and no resource.
func newLocalStub(t *testing.T) *localStub {
	t.Helper()
	answers := map[string]string{
		"GetCallerIdentity":  `<GetCallerIdentityResponse><GetCallerIdentityResult><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`,
		"DescribeStacks":     `<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>One</StackName></member></Stacks></DescribeStacksResult></DescribeStacksResponse>`,
		"ListStackResources": `<ListStackResourcesResponse><ListStackResourcesResult><StackResourceSummaries/></ListStackResourcesResult></ListStackResourcesResponse>`,
	}
	return &localStub{Server: httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[r.FormValue("Action")]
		if !ok {
			w.WriteHeader(http.StatusBadRequest)
		}
		fmt.Fprint(w, answer)
	}))}
}

// testDemo is a run with a script for the CLI, which finds its log in $CDK_LOG.
func testDemo(t *testing.T, cdk string, out *bytes.Buffer) (*demo, *localStub, string) {
	t.Helper()
	stub := newLocalStub(t)
	t.Cleanup(stub.Server.Close)
	log := filepath.Join(t.TempDir(), "log")
	d := &demo{
		out: out, cdk: script(t, cdk), app: script(t, ""),
		environ: []string{"PATH=" + os.Getenv("PATH"), "CDK_LOG=" + log},
		start:   func(string) (engine, error) { return stub, nil },
	}
	return d, stub, log
}

const recordingCLI = `
echo "$PWD|$*|$AWS_ENDPOINT_URL" >>"$CDK_LOG"
ls -A | grep -q . || echo "empty folder" >>"$CDK_LOG"
while [ $# -gt 0 ]; do
  [ "$1" != --output ] || { mkdir -p "$2"; echo '{"artifacts":{"One":{"type":"aws:cloudformation:stack"}}}' >"$2/manifest.json"; }
  shift
done
`

func TestRunBootstrapsDeploysAndReports(t *testing.T) {
	var out bytes.Buffer
	d, stub, log := testDemo(t, recordingCLI, &out)
	code, err := d.run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, code, "a stack without resources is no success, whatever the CLI said")
	assert.Contains(t, out.String(), "nothing is deployed")
	assert.Contains(t, out.String(), "make demo KEEP=1")
	assert.Equal(t, 1, stub.closed)

	calls, err := os.ReadFile(log)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(calls)), "\n")
	require.Len(t, lines, 3, string(calls))
	assert.Contains(t, lines[0], "/empty|--no-notices bootstrap aws://123456789012/us-east-1|"+stub.URL())
	assert.Equal(t, "empty folder", lines[1])
	assert.Contains(t, lines[2], "|--no-notices deploy --all --require-approval never --progress events --app "+d.app+" --output ")
	work := filepath.Dir(strings.Split(lines[0], "|")[0])
	assert.NoDirExists(t, work, "the working folder is taken away")
}

func TestRunStopsWhereTheCLIFails(t *testing.T) {
	for _, verb := range []string{"bootstrap", "deploy"} {
		var out bytes.Buffer
		d, stub, _ := testDemo(t, `case "$*" in *`+verb+`*) echo "what the CLI says" >&2; exit 7 ;; esac`, &out)
		_, err := d.run(t.Context())
		var hinted *hintedError
		require.ErrorAs(t, err, &hinted)
		assert.EqualError(t, err, "cdk "+verb+": exit status 7")
		assert.NotEmpty(t, hinted.hint)
		assert.Contains(t, out.String(), "what the CLI says")
		assert.NotContains(t, out.String(), "Verdict")
		assert.Equal(t, 1, stub.closed)
	}
}

func TestRunWithAnotherEndpointStartsNothing(t *testing.T) {
	var out bytes.Buffer
	d, stub, log := testDemo(t, recordingCLI, &out)
	d.start = func(string) (engine, error) { return nil, errors.New("started") }
	d.endpoint = stub.URL()
	_, err := d.run(t.Context())
	require.NoError(t, err)
	assert.NotContains(t, out.String(), "KEEP=1")
	calls, err := os.ReadFile(log)
	require.NoError(t, err)
	assert.Contains(t, string(calls), strings.Replace(stub.URL(), "127.0.0.1", "localhost", 1))
	assert.Zero(t, stub.closed)

	d.endpoint = "localhost:4566"
	_, err = d.run(t.Context())
	assert.EqualError(t, err, `POSTERN_ENDPOINT: "localhost:4566" is no URL`)
}

func TestKeepWaitsForAnInterrupt(t *testing.T) {
	var out bytes.Buffer
	d, stub, _ := testDemo(t, recordingCLI, &out)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	d.keep, d.out = true, &watcher{w: &out, word: "until Ctrl-C", seen: cancel}
	_, err := d.run(ctx)
	require.NoError(t, err)
	require.Error(t, ctx.Err(), "returned before the interrupt")
	assert.Contains(t, out.String(), "export AWS_ENDPOINT_URL="+stub.URL())
	assert.Contains(t, out.String(), "aws cloudcontrol list-resources")
	assert.Equal(t, 1, stub.closed)
}

// watcher calls seen when the word is written.
type watcher struct {
	w    io.Writer
	word string
	seen func()
}

func (w *watcher) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(w.word)) {
		time.AfterFunc(100*time.Millisecond, w.seen)
	}
	return w.w.Write(p)
}

func TestExitCodes(t *testing.T) {
	var out, errOut bytes.Buffer
	assert.Equal(t, exitError, run(t.Context(), []string{"--cdk", "/no/such/cdk"}, &out, &errOut))
	assert.Contains(t, errOut.String(), "make demo")

	errOut.Reset()
	assert.Equal(t, exitError, run(t.Context(), []string{"--kep"}, &out, &errOut))
	assert.Contains(t, errOut.String(), "--kep")

	errOut.Reset()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	program := script(t, "")
	assert.Equal(t, exitInterrupted, run(ctx, []string{"--cdk", program, "--app", program, "--endpoint", "http://localhost:1"}, &out, &errOut))
	assert.Contains(t, errOut.String(), "Interrupted")
}

// fakeAWS has stacks, and resources by "type identifier".
type fakeAWS struct {
	resources map[string][]types.StackResourceSummary
	known     map[string]map[string]any
	listed    map[string][]string
}

func (f *fakeAWS) DescribeStacks(_ context.Context, in *cloudformation.DescribeStacksInput, _ ...func(*cloudformation.Options)) (*cloudformation.DescribeStacksOutput, error) {
	if _, ok := f.resources[*in.StackName]; !ok {
		return nil, fmt.Errorf("Stack with id %s does not exist", *in.StackName)
	}
	return &cloudformation.DescribeStacksOutput{Stacks: []types.Stack{{Outputs: []types.Output{{OutputKey: aws.String("Go"), OutputValue: aws.String("ssh x"), Description: aws.String("In")}}}}}, nil
}

// ListStackResources gives one resource a page.
func (f *fakeAWS) ListStackResources(_ context.Context, in *cloudformation.ListStackResourcesInput, _ ...func(*cloudformation.Options)) (*cloudformation.ListStackResourcesOutput, error) {
	all, n := f.resources[*in.StackName], len(aws.ToString(in.NextToken))
	out := &cloudformation.ListStackResourcesOutput{StackResourceSummaries: all[n : n+1]}
	if n+1 < len(all) {
		out.NextToken = aws.String(strings.Repeat("x", n+1))
	}
	return out, nil
}

func (f *fakeAWS) GetResource(_ context.Context, in *cloudcontrol.GetResourceInput, _ ...func(*cloudcontrol.Options)) (*cloudcontrol.GetResourceOutput, error) {
	properties, ok := f.known[*in.TypeName+" "+*in.Identifier]
	if !ok {
		return nil, errors.New("not found")
	}
	data, err := json.Marshal(properties)
	return &cloudcontrol.GetResourceOutput{ResourceDescription: &controltypes.ResourceDescription{Properties: aws.String(string(data))}}, err
}

func (f *fakeAWS) ListResources(_ context.Context, in *cloudcontrol.ListResourcesInput, _ ...func(*cloudcontrol.Options)) (*cloudcontrol.ListResourcesOutput, error) {
	out := &cloudcontrol.ListResourcesOutput{}
	for _, id := range f.listed[*in.TypeName] {
		out.ResourceDescriptions = append(out.ResourceDescriptions, controltypes.ResourceDescription{Identifier: aws.String(id)})
	}
	return out, nil
}

func TestInventory(t *testing.T) {
	resource := func(typeName, id string) types.StackResourceSummary {
		return types.StackResourceSummary{ResourceType: &typeName, PhysicalResourceId: &id, LogicalResourceId: aws.String("L" + id), ResourceStatus: types.ResourceStatusCreateComplete}
	}
	gone := resource("AWS::S3::Bucket", "gone")
	gone.ResourceStatus = types.ResourceStatusDeleteComplete
	fake := &fakeAWS{
		resources: map[string][]types.StackResourceSummary{
			"One": {resource("AWS::S3::Bucket", "logs"), resource("AWS::IAM::Role", "ignored"), gone, resource("AWS::EC2::EIP", "198.51.100.7")},
			"Two": {resource("AWS::KMS::Key", "k"), resource("AWS::KMS::Key", "k2")},
		},
		known: map[string]map[string]any{
			"AWS::S3::Bucket logs":                {"BucketName": "logs"},
			"AWS::EC2::EIP 198.51.100.7|eipalloc": {"Domain": "vpc"},
		},
		listed: map[string][]string{"AWS::EC2::EIP": {"203.0.113.9|other", "198.51.100.7|eipalloc"}},
	}
	c := &cloud{stacks: fake, control: fake}
	inventory, err := c.inventory(t.Context(), []string{"One", "Two"})
	require.NoError(t, err)
	require.Len(t, inventory.Resources, 2)
	assert.Equal(t, "Llogs", inventory.Resources[0].LogicalID)
	assert.Equal(t, map[string]any{"BucketName": "logs"}, inventory.Resources[0].Properties)
	assert.Equal(t, map[string]any{"Domain": "vpc"}, inventory.Resources[1].Properties, "found by a part of its identifier")
	assert.Equal(t, []string{"AWS::KMS::Key"}, inventory.Unread, "named once, not dropped in silence")
	require.Len(t, inventory.Outputs, 2)
	assert.Equal(t, "Two", inventory.Outputs[1].Stack)

	_, err = c.inventory(t.Context(), []string{"Three"})
	assert.ErrorContains(t, err, "stack Three: Stack with id Three does not exist")
}
