package test_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/cdktest"
	"github.com/postern-cdk/postern/stacks"
	"github.com/postern-cdk/postern/stacks/config"
)

// variants are configurations as users write them; between them they use every
// key. The empty one is what deploys without configuration.
var variants = map[string]string{
	"default": ``,
	"open": `
name: Gate
tags: {team: platform}
bastion:
  allowedCidrs: [203.0.113.0/24, 2001:db8:1::/48]
  allowedPrefixLists: [pl-0123456789abcdef0]
  instanceType: t4g.small
  maxInstanceLifetimeDays: 14
  schedule: {start: 0 7 * * MON-FRI, stop: 0 19 * * MON-FRI, timeZone: Europe/Berlin}
  dns: {hostedZoneId: Z0123456789ABCDEFGHIJ, zoneName: example.com, recordName: gate}
  permissionsBoundaryArn: arn:aws:iam::123456789012:policy/boundary
targets:
  - {name: orders database, securityGroupId: sg-0123456789abcdef0, port: 5432}
  - {name: build host, securityGroupId: sg-0123456789abcdef1, port: 22, doors: [bastion, instanceConnect]}
watch: {emails: [oncall@example.com]}
`,
	"private": `
account: "123456789012"
region: eu-west-1
archive: {objectLock: compliance, objectLockDays: 400, logRetentionDays: 731}
network: {cidr: 10.20.0.0/16, availabilityZones: 3, nat: perZone, flowLogs: bucket}
endpoints: {services: [kms, secretsmanager]}
bastion: {address: none, image: ami-0123456789abcdef0, spot: true, allowedCidrs: [10.99.0.0/16]}
instanceConnect: {preserveClientIp: true}
watch: {topicArn: "arn:aws:sns:eu-west-1:123456789012:pager"}
`,
	"balanced": `
archive: {objectLock: off}
network: {nat: one}
endpoints: {privateDnsOff: true, existing: [logs]}
bastion: {address: networkLoadBalancer, allowedCidrs: [203.0.113.0/24], image: latestAtDeploy}
`,
	"isolated": `
bastion: {address: none}
instanceConnect: {absent: true}
`,
	"doorless": `
bastion: {absent: true}
`,
	"existing": `
region: eu-west-1
archive: {keyArn: "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000", bucketName: team-logs}
network:
  vpc:
    id: vpc-0123456789abcdef0
    cidr: 10.20.0.0/16
    availabilityZones: [eu-west-1a, eu-west-1b]
    publicSubnetIds: [subnet-0aaaaaaaaaaaaaaa1, subnet-0aaaaaaaaaaaaaaa2]
    publicRouteTableIds: [rtb-0aaaaaaaaaaaaaaa1, rtb-0aaaaaaaaaaaaaaa2]
    privateSubnetIds: [subnet-0bbbbbbbbbbbbbbb1, subnet-0bbbbbbbbbbbbbbb2]
    privateRouteTableIds: [rtb-0bbbbbbbbbbbbbbb1, rtb-0bbbbbbbbbbbbbbb2]
endpoints: {absent: true}
bastion: {address: none}
`,
}

func variantNames() []string {
	var names []string
	for name := range variants {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// synthesized is an app after its synthesis.
type synthesized struct {
	app      awscdk.App
	postern  *stacks.Postern
	assembly string
}

func synthesize(t *testing.T, app awscdk.App, document string) synthesized {
	t.Helper()
	c, err := config.Parse([]byte(document))
	require.NoError(t, err)
	s := synthesized{app: app, assembly: *app.Outdir()}
	s.postern = stacks.New(app, c)
	app.Synth(nil)
	return s
}

// template reads one stack's template from the assembly.
func (s synthesized) template(t *testing.T, stack string) map[string]resource {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.assembly, stack+".template.json"))
	require.NoError(t, err)
	var decoded struct{ Resources map[string]resource }
	require.NoError(t, json.Unmarshal(text, &decoded))
	return decoded.Resources
}

func (s synthesized) templates(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.assembly, "*.template.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

func TestStacksMatchTheirGoldens(t *testing.T) {
	for _, name := range []string{"default", "open", "private"} {
		golden(t, name, synthesize(t, cdktest.NewApp(t), variants[name]).assembly)
	}
}

func TestStacksPassTheRulePacks(t *testing.T) {
	for _, name := range variantNames() {
		app := newJudgedApp(t)
		addRulePacks(app)
		s := synthesize(t, app, variants[name])
		for _, stack := range s.postern.Stacks() {
			assert.Empty(t, findings(stack), name)
		}
	}
}

func TestRulePacksTellWhenEveryoneMayTrySSH(t *testing.T) {
	app := newJudgedApp(t)
	addRulePacks(app)
	s := synthesize(t, app, "bastion: {allowedCidrs: [0.0.0.0/0], allowEveryone: true}")
	var found []string
	for _, stack := range s.postern.Stacks() {
		found = append(found, findings(stack)...)
	}
	require.Len(t, found, 3)
	for i, rule := range []string{"AwsSolutions-EC23", "NIST.800.53.R5-EC2RestrictedSSH", "PCI.DSS.321-EC2RestrictedSSH"} {
		assert.Contains(t, found[i], "/Postern-Access/Bastion/SecurityGroup/Resource: "+rule)
	}
}

func TestStacksWithoutFeatureFlagsMakeTheSame(t *testing.T) {
	for _, name := range variantNames() {
		with := synthesize(t, cdktest.NewApp(t), variants[name])
		without := synthesize(t, cdktest.NewAppWithoutFlags(t), variants[name])
		for i, file := range with.templates(t) {
			stack := strings.TrimSuffix(filepath.Base(file), ".template.json")
			assert.Equal(t, countTypes(with.template(t, stack)), countTypes(without.template(t, stack)), "%s of %s", stack, name)
			noCustomResource(t, without.template(t, stack))
			assert.Equal(t, filepath.Base(file), filepath.Base(without.templates(t)[i]))
		}
	}
}

func TestStacksPassCfnLint(t *testing.T) {
	const tool = "cfn-lint"
	path, err := exec.LookPath(tool)
	if err != nil {
		require.NotEqual(t, "true", os.Getenv("CI"), "%s is not installed", tool)
		fmt.Printf("NOT RUN: %s: %s is not installed\n", t.Name(), tool)
		return
	}
	// W3010 finds zones by name where the account is known: the CDK pins them so
	// that no subnet moves.
	args := []string{"--regions", "us-east-1", "--ignore-checks", "W3010", "--non-zero-exit-code", "warning", "--"}
	for _, name := range variantNames() {
		args = append(args, synthesize(t, cdktest.NewApp(t), variants[name]).templates(t)...)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	assert.NoError(t, err, "%s", out)
}

func TestStacksReferOneWay(t *testing.T) {
	for _, name := range variantNames() {
		s := synthesize(t, cdktest.NewApp(t), variants[name])
		order := s.postern.Stacks()
		for i, stack := range order {
			for _, dependency := range *stack.Dependencies() {
				place := slices.IndexFunc(order, func(o awscdk.Stack) bool { return *o.Node().Path() == *dependency.Node().Path() })
				assert.Less(t, place, i, "%s of %s depends on %s", *stack.Node().Path(), name, *dependency.Node().Path())
			}
		}
	}
}
