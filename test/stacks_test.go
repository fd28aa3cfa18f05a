package test_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
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
tunnels:
  - {name: Orders, host: orders.example.internal, port: 5432, securityGroupId: sg-0123456789abcdef0, localPort: 15432, idleMinutes: 10, maxMinutes: 60}
  - {name: Local, port: 8080}
session: {documentName: Gate-Shell, runAs: {user: alice}, idleMinutes: 10, maxMinutes: 60, ssh: true, targets: [{tags: {team: platform}}, {instanceIds: [i-0123456789abcdef0]}]}
watch: {emails: [oncall@example.com], existingTrail: true, sessions: {notices: true, resumed: true, quiet: [AWS-StartSSHSession]}}
`,
	"private": `
account: "123456789012"
region: eu-west-1
archive: {objectLock: compliance, objectLockDays: 400, logRetentionDays: 731}
network: {cidr: 10.20.0.0/16, availabilityZones: 3, nat: perZone, flowLogs: bucket}
endpoints: {services: [kms, secretsmanager]}
bastion: {address: none, image: ami-0123456789abcdef0, spot: true, allowedCidrs: [10.99.0.0/16]}
instanceConnect: {preserveClientIp: true}
session: {keyArn: "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000", runAs: {tagOnly: true}, noMaxDuration: true, shellProfile: {linux: exec bash, windows: date}}
watch: {topicArn: "arn:aws:sns:eu-west-1:123456789012:pager", endpoints: {droppedPackets: 500}}
`,
	"balanced": `
archive: {objectLock: off}
network: {nat: one}
endpoints: {privateDnsOff: true, existing: [logs, ssm]}
bastion: {address: networkLoadBalancer, allowedCidrs: [203.0.113.0/24], image: latestAtDeploy}
`,
	"isolated": `
bastion: {address: none}
session: {ownKey: true, runAs: {agentUser: true}}
instanceConnect: {absent: true}
`,
	"people": `
name: Team
account: "123456789012"
region: eu-west-1
bastion: {host: {relay: {targets: [{name: wiki, host: wiki.example.internal, port: 443, securityGroupId: sg-0123456789abcdef1}]}}}
tunnels: [{name: Orders, host: orders.example.internal, port: 5432, securityGroupId: sg-0123456789abcdef0}]
session: {ssh: true, ownKey: true, accountDefault: merge, breakGlass: {idleMinutes: 5, maxMinutes: 30, agentUser: true}}
operators:
  - name: Developers
    roleArns: ["arn:aws:iam::123456789012:role/Developer"]
    shell: true
    tunnels: [Orders, Relay]
    only:
      weekly: [{from: "08:00", until: "18:00"}, {days: [SAT], from: "10:00", until: "12:00"}]
      timeZone: Europe/Berlin
      sourceCidrs: [203.0.113.0/24]
      vpcEndpointIds: [vpce-0123456789abcdef0]
      targetTags: {stage: test}
  - name: OnCall
    groups: [on-call]
    users: [dave]
    viewer: true
    ssh: true
    breakGlass: true
    instanceConnect: {ssh: {users: [ec2-user, alice], maxMinutes: 30}, rdp: {cidrs: [10.0.0.0/16]}}
    only: {mfaMaxAgeMinutes: 60}
  - name: Auditors
    permissionSet: true
    viewer: true
    bypassesAllowed: true
    only: {from: 2026-01-01, until: 2999-12-31, mfaAskedElsewhere: true}
  - name: Vendor
    users: [vendor]
    instanceConnect: {ssh: {instanceTags: {vendor: acme}}}
    only: {withoutMfa: true}
watch: {emails: [oncall@example.com], existingTrail: true}
`,
	"evidence": `
account: "123456789012"
region: eu-west-1
archive:
  objectLock: legal-hold
  infrequentAccessAfterDays: 30
  glacierAfterDays: 60
  glacierFlexibleAfterDays: 180
  deepArchiveAfterDays: 365
  expireAfterDays: 3650
  accessLogRetentionDays: 400
  inventory: daily
  maskSecrets: true
  replica: {region: eu-central-1, bucketName: gate-records-copy}
trail: {recordObjects: true, organizationId: o-a1b2c3d4e5}
watch:
  emails: [oncall@example.com]
  sessions: {notices: true, ended: true}
  events: {tunnels: true, root: true}
  timeZone: Europe/Berlin
  officeHours: {days: [MON, TUE], from: "08:00", until: "18:00"}
  knownRanges: [203.0.113.0/24]
  slack: {workspaceId: T012ABCDEFG, channelId: C012ABCDEFG}
  teams: {tenantId: 00000000-0000-0000-0000-000000000000, teamId: 00000000-0000-0000-0000-000000000001, channelId: 19%3Aab12%40thread.tacv2}
  host: {failedKeysPerTenMinutes: 7, invalidUsersPerTenMinutes: 3, sudoPerTenMinutes: 2, unhealthyMinutes: 9}
  account: {alarms: true, without: [vpcs], refusedCalls: 5, consoleFailures: 3, quietCallers: ["arn:aws:iam::123456789012:role/Scanner"]}
compliance: {rules: true, existingRecorder: true, without: [encrypted-volumes], blockedPorts: [22, 5432], cisScan: {level: 2, day: MON, time: "04:30"}}
`,
	"quiet": `
archive: {inventory: weekly}
trail: {arn: "arn:aws:cloudtrail:us-east-1:123456789012:trail/Audit", logGroupName: audit}
watch: {noQueries: true, endpoints: {noAlarms: true}, events: {noTampering: true, noSerialConsole: true, noFailedAttempts: true}}
monthlyCost: {absent: true}
`,
	"logaccount": `
name: Logs
account: "999988887777"
region: eu-west-1
archive: {objectLock: compliance, objectLockDays: 400, sources: {accounts: ["123456789012"], organizationId: o-a1b2c3d4e5}}
bastion: {absent: true}
instanceConnect: {absent: true}
watch: {existingTrail: true, emails: [oncall@example.com]}
`,
	"source": `
account: "123456789012"
region: eu-west-1
archive:
  logAccount:
    bucketName: logs-archive-bucket
    keyArn: arn:aws:kms:eu-west-1:999988887777:key/00000000-0000-0000-0000-000000000000
    destinationArn: arn:aws:logs:eu-west-1:999988887777:destination:Logs-Archive-Sources
watch: {emails: [oncall@example.com]}
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

// TestStacks synthesizes each variant once and asks many things of it.
func TestStacks(t *testing.T) {
	apps := map[string]synthesized{}
	for _, name := range variantNames() {
		apps[name] = synthesize(t, cdktest.NewApp(t), variants[name])
	}
	for _, ask := range []struct {
		name string
		of   func(*testing.T, map[string]synthesized)
	}{
		{"match their goldens", stacksMatchTheirGoldens},
		{"are the same without feature flags", stacksWithoutFeatureFlags},
		{"pass cfn-lint", stacksPassCfnLint},
		{"cost what their outputs say", costMatchesTheTemplates},
		{"refer one way", stacksReferOneWay},
		{"are safe and useful by default", defaultIsSafeAndUseful},
		{"are configured", configurationReachesTheTemplates},
		{"hand out what they made", stacksHandOutWhatTheyMade},
	} {
		t.Run(ask.name, func(t *testing.T) { ask.of(t, apps) })
	}
}

func stacksMatchTheirGoldens(t *testing.T, apps map[string]synthesized) {
	for _, name := range []string{"default", "open", "people", "private"} {
		golden(t, name, apps[name].assembly)
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

func stacksWithoutFeatureFlags(t *testing.T, apps map[string]synthesized) {
	for _, name := range variantNames() {
		with := apps[name]
		without := synthesize(t, cdktest.NewAppWithoutFlags(t), variants[name])
		for i, file := range with.templates(t) {
			stack := strings.TrimSuffix(filepath.Base(file), ".template.json")
			assert.Equal(t, countTypes(with.template(t, stack)), countTypes(without.template(t, stack)), "%s of %s", stack, name)
			// Functions are by choice: the account's preferences, notices that say what is not usual.
			if stack != "Team-Access" && !(name == "evidence" && stack == "Postern-Watch") {
				noCustomResource(t, without.template(t, stack))
			}
			assert.Equal(t, filepath.Base(file), filepath.Base(without.templates(t)[i]))
		}
	}
}

func stacksPassCfnLint(t *testing.T, apps map[string]synthesized) {
	const tool = "cfn-lint"
	path, err := exec.LookPath(tool)
	if err != nil {
		require.NotEqual(t, "true", os.Getenv("CI"), "%s is not installed", tool)
		fmt.Printf("NOT RUN: %s: %s is not installed\n", t.Name(), tool)
		return
	}
	// W3010 finds zones by name where the account is known: the CDK pins them so
	// that no subnet moves. W6001 would have outputs without what another stack
	// exports: commands name the archive's bucket.
	args := []string{"--regions", "us-east-1", "--ignore-checks", "W3010", "--ignore-checks", "W6001", "--non-zero-exit-code", "warning", "--"}
	for _, name := range variantNames() {
		args = append(args, apps[name].templates(t)...)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	assert.NoError(t, err, "%s", out)
}

func stacksReferOneWay(t *testing.T, apps map[string]synthesized) {
	for _, name := range variantNames() {
		s := apps[name]
		order := s.postern.Stacks()
		for i, stack := range order {
			for _, dependency := range *stack.Dependencies() {
				place := slices.IndexFunc(order, func(o awscdk.Stack) bool { return *o.Node().Path() == *dependency.Node().Path() })
				assert.Less(t, place, i, "%s of %s depends on %s", *stack.Node().Path(), name, *dependency.Node().Path())
			}
		}
	}
}

func defaultIsSafeAndUseful(t *testing.T, apps map[string]synthesized) {
	s := apps["default"]
	access := s.template(t, "Postern-Access")
	for id, group := range ofType(access, "AWS::EC2::SecurityGroup") {
		assert.NotContains(t, group.Properties, "SecurityGroupIngress", id)
	}
	for id, rule := range ofType(access, "AWS::EC2::SecurityGroupIngress") {
		assert.NotContains(t, rule.Properties, "CidrIp", id)
		assert.NotContains(t, rule.Properties, "SourcePrefixListId", id)
	}
	assert.Equal(t, false, one(t, access, "AWS::EC2::InstanceConnectEndpoint")["PreserveClientIp"])
	assert.Equal(t, "1", one(t, access, "AWS::AutoScaling::AutoScalingGroup")["MinSize"])
	network := s.template(t, "Postern-Network")
	assert.Len(t, ofType(network, "AWS::EC2::VPCEndpoint"), 3, "ssm, ssmmessages and S3")
	assert.Empty(t, ofType(network, "AWS::EC2::NatGateway"))
	evidence := s.template(t, "Postern-Archive")
	for id, r := range evidence {
		assert.Contains(t, r.DeletionPolicy, "Retain", "%s of the archive", id)
	}
	assert.True(t, *s.postern.Stacks()[0].TerminationProtection())

	shell := one(t, access, "AWS::SSM::Document")
	assert.Equal(t, "Postern-Access-Shell", shell["Name"], "a name of its own: the account's default stays as it is")
	inputs := shell["Content"].(map[string]any)["inputs"].(map[string]any)
	for key, want := range map[string]any{
		"cloudWatchEncryptionEnabled": true, "s3EncryptionEnabled": true, "cloudWatchStreamingEnabled": true,
		"runAsEnabled": true, "runAsDefaultUser": "ec2-user", "idleSessionTimeout": "20", "maxSessionDuration": "720", "kmsKeyId": "",
	} {
		assert.Equal(t, want, inputs[key], key)
	}
	assert.Contains(t, textOf(t, inputs["cloudWatchLogGroupName"]), "ArchiveSessionManager")
	assert.Contains(t, textOf(t, inputs["s3BucketName"]), "ArchiveBucket")
	assert.Empty(t, ofType(access, "AWS::KMS::Key"), "nothing that costs and wasn't asked for")
	for _, stack := range []string{"Postern-Archive", "Postern-Network", "Postern-Access", "Postern-Watch"} {
		noCustomResource(t, s.template(t, stack))
	}
}

func configurationReachesTheTemplates(t *testing.T, apps map[string]synthesized) {
	open := apps["open"]
	access := open.template(t, "Gate-Access")
	text := textOf(t, access)
	for key, want := range map[string]string{
		"allowedCidrs":           `"CidrIp":"203.0.113.0/24"`,
		"allowedCidrs, IPv6":     `"CidrIpv6":"2001:db8:1::/48"`,
		"allowedPrefixLists":     `"SourcePrefixListId":"pl-0123456789abcdef0"`,
		"instanceType":           `"InstanceType":"t4g.small"`,
		"maxInstanceLifetime":    `"MaxInstanceLifetime":1209600`,
		"schedule.start":         `"Recurrence":"0 7 * * MON-FRI"`,
		"schedule.stop":          `"Recurrence":"0 19 * * MON-FRI"`,
		"schedule.timeZone":      `"TimeZone":"Europe/Berlin"`,
		"dns":                    `"Name":"gate.example.com`,
		"permissionsBoundaryArn": `"PermissionsBoundary":"arn:aws:iam::123456789012:policy/boundary"`,
		"image":                  `"ImageId":"resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"`,
	} {
		assert.Contains(t, text, want, key)
	}
	manifest, err := os.ReadFile(filepath.Join(open.assembly, "manifest.json"))
	require.NoError(t, err)
	assert.Equal(t, 4, strings.Count(strings.Join(strings.Fields(string(manifest)), ""), `"tags":{"team":"platform"}`), "CloudFormation tags what it makes")
	for id, want := range map[string]struct {
		group string
		port  float64
		count int
	}{
		"the database, by the bastion":  {"sg-0123456789abcdef0", 5432, 1},
		"the build host, by both doors": {"sg-0123456789abcdef1", 22, 2},
	} {
		count := 0
		for _, rule := range ofType(access, "AWS::EC2::SecurityGroupIngress") {
			if rule.Properties["GroupId"] == want.group && rule.Properties["FromPort"] == want.port {
				count++
			}
		}
		assert.Equal(t, want.count, count, id)
	}
	assert.Contains(t, textOf(t, open.template(t, "Gate-Watch")), `"Endpoint":"oncall@example.com"`)

	documents := map[string]map[string]any{}
	for _, d := range ofType(access, "AWS::SSM::Document") {
		documents[d.Properties["Name"].(string)] = d.Properties["Content"].(map[string]any)
	}
	require.Len(t, documents, 4)
	assert.JSONEq(t, `{"host":"orders.example.internal","portNumber":"5432","type":"LocalPortForwarding","localPortNumber":"{{ localPortNumber }}"}`, textOf(t, documents["Gate-Access-Tunnel-Orders"]["properties"]))
	assert.NotContains(t, documents["Gate-Access-Tunnel-Local"]["properties"], "host")
	inputs := documents["Gate-Shell"]["inputs"].(map[string]any)
	assert.Equal(t, "alice 10 60", fmt.Sprint(inputs["runAsDefaultUser"], " ", inputs["idleSessionTimeout"], " ", inputs["maxSessionDuration"]))
	assert.Equal(t, "Port", documents["Gate-Access-SSH"]["sessionType"])
	var told []string
	for _, rule := range ofType(open.template(t, "Gate-Watch"), "AWS::Events::Rule") {
		told = append(told, rule.Properties["Description"].(string))
	}
	assert.Subset(t, told, []string{
		"Tells that a session was started", "Tells that a session was resumed", "Tells that a session was started with the account's default document",
		"Tells that what keeps records was changed", "Tells that what lets people in was changed", "Tells that port 22 or 3389 was opened",
		"Tells that rules of the watch were changed", "Tells that a serial console was used", "Tells that access was refused",
	})
	assert.Empty(t, ofType(apps["quiet"].template(t, "Postern-Watch"), "AWS::Events::Rule"), "notices that were given up")
	assert.Empty(t, ofType(apps["quiet"].template(t, "Postern-Watch"), "AWS::Logs::QueryDefinition"))
	assert.Empty(t, ofType(apps["quiet"].template(t, "Postern-Archive"), "AWS::CloudTrail::Trail"), "there is one")
	for name, want := range map[string]map[string]float64{
		"default": {"ssm": 100, "ssmmessages": 100}, "private": {"ssm": 500, "ssmmessages": 500}, "balanced": {"ssmmessages": 100}, "doorless": {"ssm": 100, "ssmmessages": 100},
		"quiet": {}, "existing": {}, "logaccount": {},
	} {
		assert.Equal(t, want, endpointAlarms(t, apps[name]), "%s: packets that endpoints may drop, by service", name)
	}
	assert.Contains(t, textOf(t, open.template(t, "Gate-Watch")), `"anything-but":["AWS-StartSSHSession"`)

	private := apps["private"]
	inputs = one(t, private.template(t, "Postern-Access"), "AWS::SSM::Document")["Content"].(map[string]any)["inputs"].(map[string]any)
	assert.Equal(t, "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000", inputs["kmsKeyId"])
	assert.Equal(t, map[string]any{"linux": "exec bash", "windows": "date"}, inputs["shellProfile"])
	assert.Equal(t, "true ", fmt.Sprint(inputs["runAsEnabled"], " ", inputs["runAsDefaultUser"]))
	assert.Empty(t, inputs["maxSessionDuration"])
	assert.Equal(t, map[string]any{"Mode": "COMPLIANCE", "Days": 400.0},
		lockOf(t, private.template(t, "Postern-Archive")))
	for id, group := range ofType(private.template(t, "Postern-Archive"), "AWS::Logs::LogGroup") {
		assert.InDelta(t, 731, group.Properties["RetentionInDays"], 0, id)
	}
	network := private.template(t, "Postern-Network")
	assert.Equal(t, "10.20.0.0/16", one(t, network, "AWS::EC2::VPC")["CidrBlock"])
	assert.Len(t, ofType(network, "AWS::EC2::NatGateway"), 3)
	assert.Equal(t, "s3", one(t, network, "AWS::EC2::FlowLog")["LogDestinationType"])
	for _, service := range []string{"kms", "secretsmanager", "ssm", "ssmmessages"} {
		assert.Contains(t, textOf(t, network), `.eu-west-1.`+service+`"`)
	}
	text = textOf(t, private.template(t, "Postern-Access"))
	assert.Contains(t, text, `"ImageId":"ami-0123456789abcdef0"`)
	assert.Contains(t, text, `"MarketType":"spot"`)
	assert.Contains(t, text, `"PreserveClientIp":true`)
	assert.NotContains(t, text, "AWS::EC2::EIP")
	assert.Contains(t, textOf(t, private.template(t, "Postern-Watch")), `"arn:aws:sns:eu-west-1:123456789012:pager"`)

	balanced := apps["balanced"]
	assert.Nil(t, lockOf(t, balanced.template(t, "Postern-Archive")))
	network = balanced.template(t, "Postern-Network")
	assert.Len(t, ofType(network, "AWS::EC2::NatGateway"), 1)
	assert.NotContains(t, textOf(t, network), `"PrivateDnsEnabled":true`)
	access = balanced.template(t, "Postern-Access")
	one(t, access, "AWS::ElasticLoadBalancingV2::LoadBalancer")
	assert.Contains(t, textOf(t, access), `"ImageId":{"Ref":"SsmParameterValue`)

	doorless := apps["doorless"]
	access = doorless.template(t, "Postern-Access")
	assert.Empty(t, ofType(access, "AWS::AutoScaling::AutoScalingGroup"))
	assert.Empty(t, ofType(access, "AWS::SSM::Document"), "nothing to open a shell on")
	one(t, access, "AWS::EC2::InstanceConnectEndpoint")
	assert.Nil(t, doorless.postern.Bastion())

	isolated := apps["isolated"]
	inputs = one(t, isolated.template(t, "Postern-Access"), "AWS::SSM::Document")["Content"].(map[string]any)["inputs"].(map[string]any)
	assert.Equal(t, false, inputs["runAsEnabled"])
	assert.Contains(t, textOf(t, inputs["kmsKeyId"]), `"ShellKey`)
	for _, service := range []string{"logs", "monitoring", "cloudformation", "ec2", "autoscaling", "kms"} {
		assert.Contains(t, textOf(t, isolated.template(t, "Postern-Network")), `.`+service+`"`)
	}
	assert.Nil(t, isolated.postern.InstanceConnect())

	existing := apps["existing"]
	require.Len(t, existing.postern.Stacks(), 3, "no Network stack, as nothing is made there")
	text = textOf(t, existing.template(t, "Postern-Access"))
	assert.Contains(t, text, "subnet-0bbbbbbbbbbbbbbb1")
	assert.Contains(t, text, "key/00000000-0000-0000-0000-000000000000")
	assert.Empty(t, ofType(existing.template(t, "Postern-Archive"), "AWS::S3::Bucket"))
}

// endpointAlarms are the thresholds of alarms on endpoints that the door's alarm of
// Session Manager tells of, by service.
func endpointAlarms(t *testing.T, s synthesized) map[string]float64 {
	t.Helper()
	stacks := s.postern.Stacks()
	watch := s.template(t, *stacks[len(stacks)-1].StackName())
	var told string
	for id, door := range ofType(watch, "AWS::CloudWatch::CompositeAlarm") {
		if strings.HasPrefix(id, "WatchSessionManagerDoor") {
			told += textOf(t, door.Properties["AlarmRule"])
		}
	}
	found := map[string]float64{}
	for id, alarm := range ofType(watch, "AWS::CloudWatch::Alarm") {
		if alarm.Properties["MetricName"] != "PacketsDropped" {
			continue
		}
		assert.Contains(t, told, `"`+id+`"`, "nobody tells of it")
		dimensions := textOf(t, alarm.Properties["Dimensions"])
		service := regexp.MustCompile(`\.([a-z0-9]+)"\]\]\}\},|\.([a-z0-9]+)"\},\{"Name":"VPC Endpoint Id","Value":`).FindStringSubmatch(dimensions)
		require.NotNil(t, service, dimensions)
		found[service[1]+service[2]] = alarm.Properties["Threshold"].(float64)
	}
	return found
}

func lockOf(t *testing.T, archive map[string]resource) any {
	t.Helper()
	for _, bucket := range ofType(archive, "AWS::S3::Bucket") {
		if configuration, ok := bucket.Properties["ObjectLockConfiguration"].(map[string]any); ok {
			return configuration["Rule"].(map[string]any)["DefaultRetention"]
		}
	}
	return nil
}

func TestStacksOfNothingAreLeftOut(t *testing.T) {
	nothing := strings.ReplaceAll(variants["existing"], "bastion: {address: none}", "bastion: {absent: true}\nwatch: {existingTrail: true}")
	s := synthesize(t, cdktest.NewApp(t), nothing)
	require.Len(t, s.postern.Stacks(), 2, "Access and Watch")
	assert.Equal(t, "Postern-Access", *s.postern.Stacks()[0].StackName())
	_, err := os.Stat(filepath.Join(s.assembly, "Postern-Archive.template.json"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// What a user's own stacks go on from, and nil for what the configuration leaves out.
func stacksHandOutWhatTheyMade(t *testing.T, apps map[string]synthesized) {
	made := func(name string) string {
		p := apps[name].postern
		return strings.Join([]string{
			pathOf(p.Replica()), pathOf(p.Archive()), pathOf(p.Trail()), pathOf(p.Network()), pathOf(p.Endpoints()),
			pathOf(p.Bastion()), pathOf(p.InstanceConnect()), pathOf(p.Watch()), pathOf(p.MonthlyCost()),
		}, " ")
	}
	doors := "Postern-Access/Bastion Postern-Access/InstanceConnect Postern-Watch/Watch Postern-Watch/MonthlyCost"
	assert.Equal(t, "- Postern-Archive/Archive Postern-Archive/Trail Postern-Network/Network Postern-Network/Endpoints "+doors, made("default"))
	assert.Equal(t, "Postern-Replica/Replica Postern-Archive/Archive Postern-Archive/Trail Postern-Network/Network Postern-Network/Endpoints "+doors, made("evidence"))
	assert.Equal(t, "- Postern-Archive/Archive Postern-Archive/Trail Postern-Access/Network - "+doors, made("existing"))
	assert.Equal(t, "- Logs-Archive/Archive - - - - - Logs-Watch/Watch Logs-Watch/MonthlyCost", made("logaccount"))
}

// pathOf is where a construct stands, or "-" for nil.
func pathOf[C interface {
	comparable
	constructs.IConstruct
}](c C) string {
	var none C
	if c == none {
		return "-"
	}
	return *c.Node().Path()
}
