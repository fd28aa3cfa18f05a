package emulator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudcontrol"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/cdkcli"
	"github.com/postern-cdk/postern/internal/localcfn"
)

const (
	region = "us-east-1"
	// patience is what one run of the CLI may take.
	patience = 2 * time.Minute
)

// cloud is an account to deploy to, by the CDK CLI, and to ask, by the AWS SDK.
type cloud struct {
	t       *testing.T
	app     string // the command that synthesizes
	folder  string // where the CLI runs; it has a cdk.json
	environ []string
	config  aws.Config
	stacks  *cloudformation.Client
	control *cloudcontrol.Client
	// assemblies are the folders of what was synthesized, by configuration: the
	// CLI is quicker with one of them than with the app.
	assemblies map[string]string
}

// connect makes a cloud of an endpoint. The app runs with the cdk.json of a
// folder of the repository, in a folder of its own.
func connect(t *testing.T, endpoint, app, jsonFolder string) *cloud {
	t.Helper()
	folder := t.TempDir()
	settings, err := os.ReadFile(filepath.Join(repository, jsonFolder, "cdk.json"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "cdk.json"), settings, 0o600))
	base := slices.DeleteFunc(os.Environ(), func(pair string) bool {
		return strings.HasPrefix(pair, "AWS_") || strings.HasPrefix(pair, "CDK_") || strings.HasPrefix(pair, "CI=")
	})
	environ := append(cdkcli.Environment(base, endpoint, t.TempDir()), "NO_COLOR=1")
	config := aws.Config{
		Region:       region,
		BaseEndpoint: aws.String(endpoint),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: cdkcli.TestCredential, SecretAccessKey: cdkcli.TestCredential}, nil
		}),
	}
	return &cloud{
		t: t, app: filepath.Join(binaries, app), folder: folder, environ: environ, config: config,
		stacks: cloudformation.NewFromConfig(config), control: cloudcontrol.NewFromConfig(config),
		assemblies: map[string]string{},
	}
}

// start runs a local CloudFormation until the test ends.
func start(t *testing.T, options localcfn.Options) *localcfn.Server {
	t.Helper()
	options.Region = region
	server, err := localcfn.New(options)
	require.NoError(t, err)
	require.NoError(t, server.Start("127.0.0.1:0"))
	t.Cleanup(func() { assert.NoError(t, server.Close()) })
	return server
}

// bootstrap runs `cdk bootstrap` in an empty folder: in one with a cdk.json the
// CLI would synthesize first.
func (c *cloud) bootstrap(account string) {
	c.t.Helper()
	here := c.folder
	defer func() { c.folder = here }()
	c.folder = c.t.TempDir()
	out, err := c.run("bootstrap", "aws://"+account+"/"+region)
	require.NoError(c.t, err, out)
}

// localAccount is the account of a local CloudFormation.
const localAccount = "000000000000"

// bootstrapped is the state of a local CloudFormation after the CLI's bootstrap.
var bootstrapped struct {
	once  sync.Once
	state []byte
}

// fresh is a local CloudFormation of its own, bootstrapped, for an app. The CDK's
// validation is off: TestLife has it on, and it takes seconds each time.
func fresh(t *testing.T, app, jsonFolder string) *cloud {
	t.Helper()
	c, _ := freshWith(t, localcfn.Options{}, app, jsonFolder)
	return c
}

// freshWith is fresh with options, and tells the server.
func freshWith(t *testing.T, options localcfn.Options, app, jsonFolder string) (*cloud, *localcfn.Server) {
	t.Helper()
	bootstrapped.once.Do(func() {
		file := filepath.Join(t.TempDir(), "state.json")
		server, err := localcfn.New(localcfn.Options{Region: region, StateFile: file})
		require.NoError(t, err)
		require.NoError(t, server.Start("127.0.0.1:0"))
		connect(t, server.URL(), app, jsonFolder).bootstrap(localAccount)
		require.NoError(t, server.Close())
		bootstrapped.state, err = os.ReadFile(file)
		require.NoError(t, err)
	})
	require.NotEmpty(t, bootstrapped.state, "the bootstrap failed in another test")
	file := filepath.Join(t.TempDir(), "state.json")
	require.NoError(t, os.WriteFile(file, bootstrapped.state, 0o600))
	options.StateFile = file
	server := start(t, options)
	c := connect(t, server.URL(), app, jsonFolder)
	c.environ = append(c.environ, "CDK_VALIDATION=false")
	return c, server
}

// run runs the CLI and gives all it said.
func (c *cloud) run(args ...string) (string, error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	var out bytes.Buffer
	began := time.Now()
	err := cdkcli.CLI{Path: cdkPath, Environ: c.environ, Out: &out}.Run(ctx, c.folder, args...)
	c.t.Logf("%5.1fs  cdk %s", time.Since(began).Seconds(), strings.ReplaceAll(strings.Join(args, " "), c.folder+"/", ""))
	return out.String(), err
}

// cdk runs a command of the CLI on the app, configured.
func (c *cloud) cdk(yaml, command string, args ...string) (string, error) {
	c.t.Helper()
	if assembly := c.assemblies[yaml]; assembly != "" {
		return c.run(append([]string{command, "--app", assembly}, args...)...)
	}
	assembly, err := os.MkdirTemp(c.folder, "cdk.out.")
	require.NoError(c.t, err)
	app := []string{command, "--app", c.app, "--output", assembly}
	if yaml != "" {
		file := assembly + ".yaml"
		require.NoError(c.t, os.WriteFile(file, []byte(yaml), 0o600))
		app = append(app, "-c", "postern="+file)
	}
	out, err := c.run(append(app, args...)...)
	if _, missing := os.Stat(filepath.Join(assembly, "manifest.json")); missing == nil {
		c.assemblies[yaml] = assembly
	}
	return out, err
}

// deploy deploys all stacks and must succeed.
func (c *cloud) deploy(yaml string) string {
	c.t.Helper()
	out, err := c.tryDeploy(yaml)
	require.NoError(c.t, err, out)
	return out
}

func (c *cloud) tryDeploy(yaml string, args ...string) (string, error) {
	c.t.Helper()
	return c.cdk(yaml, "deploy", append([]string{"--all", "--require-approval", "never", "--progress", "events"}, args...)...)
}

// stack describes one stack, which must be there.
func (c *cloud) stack(name string) types.Stack {
	c.t.Helper()
	out, err := c.stacks.DescribeStacks(c.t.Context(), &cloudformation.DescribeStacksInput{StackName: &name})
	require.NoError(c.t, err)
	require.Len(c.t, out.Stacks, 1)
	return out.Stacks[0]
}

// names lists the stacks that are there, but that of the bootstrap.
func (c *cloud) names() []string {
	c.t.Helper()
	var names []string
	pages := cloudformation.NewDescribeStacksPaginator(c.stacks, &cloudformation.DescribeStacksInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(c.t.Context())
		require.NoError(c.t, err)
		for _, s := range page.Stacks {
			if s.StackStatus != types.StackStatusDeleteComplete && *s.StackName != "CDKToolkit" {
				names = append(names, *s.StackName)
			}
		}
	}
	slices.Sort(names)
	return names
}

// outputs reads the outputs of a stack.
func (c *cloud) outputs(stack string) map[string]string {
	c.t.Helper()
	outputs := map[string]string{}
	for _, o := range c.stack(stack).Outputs {
		outputs[*o.OutputKey] = *o.OutputValue
	}
	return outputs
}

// events counts the events of all stacks.
func (c *cloud) events() map[string]int {
	c.t.Helper()
	count := map[string]int{}
	for _, name := range c.names() {
		pages := cloudformation.NewDescribeStackEventsPaginator(c.stacks, &cloudformation.DescribeStackEventsInput{StackName: &name})
		for pages.HasMorePages() {
			page, err := pages.NextPage(c.t.Context())
			require.NoError(c.t, err)
			count[name] += len(page.StackEvents)
		}
	}
	return count
}

// members lists the resources of a stack by logical ID.
func (c *cloud) members(stack string) map[string]types.StackResourceSummary {
	c.t.Helper()
	members := map[string]types.StackResourceSummary{}
	pages := cloudformation.NewListStackResourcesPaginator(c.stacks, &cloudformation.ListStackResourcesInput{StackName: &stack})
	for pages.HasMorePages() {
		page, err := pages.NextPage(c.t.Context())
		require.NoError(c.t, err)
		for _, r := range page.StackResourceSummaries {
			if r.ResourceStatus != types.ResourceStatusDeleteComplete {
				members[*r.LogicalResourceId] = r
			}
		}
	}
	return members
}

// physical maps "stack/logical ID" to the physical ID of every resource.
func (c *cloud) physical() map[string]string {
	c.t.Helper()
	ids := map[string]string{}
	for _, stack := range c.names() {
		for id, r := range c.members(stack) {
			ids[stack+"/"+id] = *r.PhysicalResourceId
		}
	}
	return ids
}

// resource is one resource as Cloud Control shows it.
type resource struct {
	kind, id   string
	properties map[string]any
}

// list asks Cloud Control for all resources of a type, by identifier. Resources
// of the bootstrap are left out.
func (c *cloud) list(kind string) []resource {
	c.t.Helper()
	var found []resource
	pages := cloudcontrol.NewListResourcesPaginator(c.control, &cloudcontrol.ListResourcesInput{TypeName: &kind})
	for pages.HasMorePages() {
		page, err := pages.NextPage(c.t.Context())
		require.NoError(c.t, err)
		for _, d := range page.ResourceDescriptions {
			r := resource{kind: kind, id: *d.Identifier}
			require.NoError(c.t, json.Unmarshal([]byte(*d.Properties), &r.properties))
			if !strings.Contains(*d.Properties, "cdk-hnb659fds-") && !strings.Contains(r.id, "cdk-bootstrap") {
				found = append(found, r)
			}
		}
	}
	slices.SortFunc(found, func(a, b resource) int { return strings.Compare(a.id, b.id) })
	return found
}

// one asks for the only resource of a type.
func (c *cloud) one(kind string) resource {
	c.t.Helper()
	found := c.list(kind)
	require.Len(c.t, found, 1, kind)
	return found[0]
}

// get asks for a resource by its identifier.
func (c *cloud) get(kind, id string) resource {
	c.t.Helper()
	out, err := c.control.GetResource(c.t.Context(), &cloudcontrol.GetResourceInput{TypeName: &kind, Identifier: &id})
	require.NoError(c.t, err)
	r := resource{kind: kind, id: id}
	require.NoError(c.t, json.Unmarshal([]byte(*out.ResourceDescription.Properties), &r.properties))
	return r
}

// described finds the security group whose description begins like that.
func (c *cloud) described(description string) resource {
	c.t.Helper()
	for _, g := range c.list("AWS::EC2::SecurityGroup") {
		if strings.HasPrefix(g.text("GroupDescription"), description) {
			return g
		}
	}
	require.Fail(c.t, "no such security group", description)
	return resource{}
}

// snapshot is every property of every resource of the stacks' types, and of what
// they left behind, by "type identifier".
func (c *cloud) snapshot() map[string]map[string]any {
	c.t.Helper()
	kinds := map[string]bool{}
	for _, stack := range c.names() {
		for _, r := range c.members(stack) {
			kinds[*r.ResourceType] = true
		}
	}
	delete(kinds, "AWS::CDK::Metadata") // the CDK's, not ours
	require.NotEmpty(c.t, kinds)
	all := map[string]map[string]any{}
	for kind := range kinds {
		for _, r := range c.list(kind) {
			all[kind+" "+r.id] = r.properties
		}
	}
	return all
}

// at walks into the properties: a string is a key, an int an index.
func (r resource) at(path ...any) any {
	var value any = r.properties
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, _ := value.(map[string]any)
			value = object[step]
		case int:
			list, _ := value.([]any)
			if step >= len(list) {
				return nil
			}
			value = list[step]
		}
	}
	return value
}

// text is a scalar as a string: a template may hold 22 or "22" for the same number.
func (r resource) text(path ...any) string {
	switch v := r.at(path...).(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// list is a list of scalars as strings.
func (r resource) list(path ...any) []string {
	items, _ := r.at(path...).([]any)
	texts := []string{}
	for i := range items {
		texts = append(texts, r.text(append(slices.Clone(path), i)...))
	}
	return texts
}

// exitCode is what the CLI ended with; -1 where it did not end by itself.
func exitCode(err error) int {
	var exit interface{ ExitCode() int }
	if err == nil {
		return 0
	}
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}
