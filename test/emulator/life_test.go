package emulator_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/localcfn"
)

var allStacks = []string{"Postern-Access", "Postern-Archive", "Postern-Network", "Postern-Watch"}

const (
	opened  = "bastion: {allowedCidrs: [203.0.113.0/24]}"
	changed = "bastion: {allowedCidrs: [198.51.100.0/24], instanceType: t4g.small}"
)

// TestLife is the app's life in one account, from bootstrap to destroy. Each
// step goes on from the one before.
func TestLife(t *testing.T) {
	t.Parallel()
	server := start(t, localcfn.Options{})
	c := connect(t, server.URL(), "postern", ".")
	step := func(name string, f func(t *testing.T)) {
		t.Helper()
		if !t.Run(name, func(t *testing.T) { c.t = t; f(t) }) {
			t.FailNow()
		}
		c.t = t
	}

	step("bootstrap", func(t *testing.T) {
		c.bootstrap(localAccount)
		assert.NotEmpty(t, c.outputs("CDKToolkit")["BucketName"])
		assert.Empty(t, c.names())
	})
	step("deploy without configuration", func(t *testing.T) {
		c.deploy("") // the CDK's own validation is on
		assert.Equal(t, allStacks, c.names())
		for _, name := range allStacks {
			assert.Equal(t, "CREATE_COMPLETE", string(c.stack(name).StackStatus), name)
			assert.Equal(t, name == "Postern-Archive", aws.ToBool(c.stack(name).EnableTerminationProtection), name)
		}
	})
	step("what is there", func(t *testing.T) { reference(t, c) })

	c.environ = append(c.environ, "CDK_VALIDATION=false")
	c.assemblies = map[string]string{} // synthesize anew
	step("deploy again changes nothing", func(t *testing.T) {
		before, events := c.snapshot(), c.events()
		out := c.deploy("")
		for _, name := range allStacks {
			assert.Contains(t, out, name+" (no changes)")
		}
		assert.Equal(t, events, c.events())
		assert.Equal(t, before, c.snapshot())
	})
	step("diff is empty", func(t *testing.T) {
		out, err := c.cdk("", "diff", "--fail")
		require.NoError(t, err, out)
		assert.Contains(t, out, "Number of stacks with differences: 0")
		assert.Equal(t, 4, strings.Count(out, "There were no differences"), out)
	})
	step("diff names the network that would be let in", func(t *testing.T) {
		events := c.events()
		out, err := c.cdk(opened, "diff")
		require.NoError(t, err, out)
		assert.Contains(t, out, "Number of stacks with differences: 1")
		assert.Regexp(t, `\+ .*Bastion/SecurityGroup\.GroupId.*In +. TCP 22 +. 203\.0\.113\.0/24`, out)
		assert.NotRegexp(t, `requires replacement|be replaced|\breplace\b`, out)
		assert.Equal(t, events, c.events(), "a diff changes nothing")
	})
	step("an update opens the door and replaces nothing", func(t *testing.T) {
		physical := c.physical()
		c.deploy(opened)
		assert.Contains(t, c.ingress(c.described(bastionGroup).id), "tcp 22 203.0.113.0/24")
		assert.Equal(t, physical, c.physical())
		outputs := c.outputs("Postern-Access")
		assert.Contains(t, outputs["SSHConfig"], "HostName "+outputs["PublicAddress"]+"\n", "the port is open")
		assert.NotContains(t, outputs["SSHConfig"], "ProxyCommand")
	})
	step("a failed update goes back to the state before", func(t *testing.T) {
		before, physical, outputs := c.snapshot(), c.physical(), c.outputs("Postern-Access")
		// The group comes after the security group and the launch template.
		require.NoError(t, server.Fail(localcfn.Fail{Type: "AWS::AutoScaling::AutoScalingGroup", Operation: "Update", Message: "no capacity today"}))
		out, err := c.tryDeploy(changed)
		assert.Equal(t, 1, exitCode(err), out)
		assert.Contains(t, out, "no capacity today")
		assert.Regexp(t, `UPDATE_COMPLETE +\| AWS::EC2::SecurityGroup `, out)
		assert.Regexp(t, `UPDATE_COMPLETE +\| AWS::EC2::LaunchTemplate `, out)
		assert.Equal(t, "UPDATE_ROLLBACK_COMPLETE", string(c.stack("Postern-Access").StackStatus))
		assert.Equal(t, physical, c.physical())
		assert.Equal(t, outputs, c.outputs("Postern-Access"))
		assert.Equal(t, versionless(t, before), versionless(t, c.snapshot()))
		server.ClearFaults()
	})
	step("the same update succeeds then", func(t *testing.T) {
		physical := c.physical()
		c.deploy(changed)
		assert.Contains(t, c.ingress(c.described(bastionGroup).id), "tcp 22 198.51.100.0/24")
		assert.NotContains(t, c.ingress(c.described(bastionGroup).id), "tcp 22 203.0.113.0/24")
		template := c.one("AWS::EC2::LaunchTemplate")
		assert.Equal(t, "t4g.small", template.text("LaunchTemplateData", "InstanceType"))
		assert.Equal(t, template.text("LatestVersionNumber"), c.one("AWS::AutoScaling::AutoScalingGroup").text("LaunchTemplate", "Version"))
		assert.Equal(t, physical, c.physical())
	})
	step("an endpoint that would be replaced stays, and the door with it", func(t *testing.T) {
		const replacing = changed + "\ninstanceConnect: {preserveClientIp: true}"
		out, err := c.cdk(replacing, "diff")
		require.NoError(t, err, out)
		assert.Regexp(t, `InstanceConnect.*replace`, out)

		before, physical := c.snapshot(), c.physical()
		out, err = c.tryDeploy(replacing)
		assert.Equal(t, 1, exitCode(err), out)
		assert.Contains(t, out, "The maximum number of EC2 Instance Connect Endpoints has been reached")
		assert.Equal(t, physical, c.physical())
		assert.Equal(t, versionless(t, before), versionless(t, c.snapshot()))
		c.deploy(changed)
		assert.Equal(t, physical, c.physical())
	})
	step("destroy leaves the archive", func(t *testing.T) {
		out, err := c.cdk(changed, "destroy", "Postern-Watch", "Postern-Access", "Postern-Network", "--force")
		require.NoError(t, err, out)
		assert.Equal(t, []string{"Postern-Archive"}, c.names())
		for _, kind := range []string{
			"AWS::EC2::VPC", "AWS::EC2::EIP", "AWS::EC2::VPCEndpoint", "AWS::EC2::InstanceConnectEndpoint",
			"AWS::AutoScaling::AutoScalingGroup", "AWS::IAM::Role", "AWS::CloudWatch::Alarm", "AWS::SNS::Topic", "AWS::SSM::Document",
		} {
			assert.Empty(t, c.list(kind), kind)
		}
	})

	evidence := func() map[string]map[string]any {
		all := c.snapshot()
		require.Len(t, all, 15, "key, bucket, access-log bucket, their policies, nine log groups, trail: %v", slices.Sorted(maps.Keys(all)))
		return all
	}
	kept := evidence()
	step("the archive's stack is protected", func(t *testing.T) {
		out, err := c.cdk(changed, "destroy", "Postern-Archive", "--force")
		assert.Equal(t, 1, exitCode(err), out)
		assert.Contains(t, out, "TerminationProtection")
		assert.Equal(t, []string{"Postern-Archive"}, c.names())
		assert.Equal(t, kept, c.snapshot())
	})
	step("what is in the archive outlives its stack", func(t *testing.T) {
		_, err := c.stacks.UpdateTerminationProtection(t.Context(), &cloudformation.UpdateTerminationProtectionInput{
			StackName: aws.String("Postern-Archive"), EnableTerminationProtection: aws.Bool(false),
		})
		require.NoError(t, err)
		out, err := c.cdk(changed, "destroy", "Postern-Archive", "--force")
		require.NoError(t, err, out)
		assert.Empty(t, c.names())
		left := map[string]map[string]any{}
		for _, kind := range []string{"AWS::KMS::Key", "AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::Logs::LogGroup", "AWS::CloudTrail::Trail"} {
			for _, r := range c.list(kind) {
				left[kind+" "+r.id] = r.properties
			}
		}
		assert.Equal(t, kept, left)
	})
	step("a new life does not trip over the old one", func(t *testing.T) {
		c.deploy("")
		assert.Equal(t, allStacks, c.names())
		assert.Len(t, c.list("AWS::KMS::Key"), 2, "the old archive's is still there")
		assert.Len(t, c.list("AWS::CloudTrail::Trail"), 2, "the old one logs on")
	})
}

// versionless takes out of a snapshot what goes up by an update and not down
// again by its rollback: the launch template's version, and who names it.
func versionless(t *testing.T, snapshot map[string]map[string]any) map[string]map[string]any {
	t.Helper()
	seen := 0
	for id, properties := range snapshot {
		switch {
		case strings.HasPrefix(id, "AWS::EC2::LaunchTemplate "):
			delete(properties, "LatestVersionNumber")
			seen++
		case strings.HasPrefix(id, "AWS::AutoScaling::AutoScalingGroup "):
			delete(properties["LaunchTemplate"].(map[string]any), "Version")
			seen++
		}
	}
	require.Equal(t, 2, seen)
	return snapshot
}

// reference asserts what a deploy without configuration leaves in an account.
func reference(t *testing.T, c *cloud) {
	key := c.one("AWS::KMS::Key")
	vpc := c.one("AWS::EC2::VPC")
	group := c.one("AWS::AutoScaling::AutoScalingGroup")
	template := c.one("AWS::EC2::LaunchTemplate")
	address := c.one("AWS::EC2::EIP")
	bastion, endpoints, connect := c.described(bastionGroup), c.described(endpointsGroup), c.described(connectGroup)

	t.Run("bastion", func(t *testing.T) {
		assert.Equal(t, "1", group.text("MinSize"))
		assert.Equal(t, "2", group.text("MaxSize"), "room for a successor before its predecessor goes")
		assert.Equal(t, template.id, group.text("LaunchTemplate", "LaunchTemplateId"))
		assert.Len(t, group.list("VPCZoneIdentifier"), 2)

		const data = "LaunchTemplateData"
		assert.Equal(t, "required", template.text(data, "MetadataOptions", "HttpTokens"))
		assert.Equal(t, "1", template.text(data, "MetadataOptions", "HttpPutResponseHopLimit"))
		assert.Nil(t, template.at(data, "KeyName"))
		assert.Equal(t, "true", template.text(data, "BlockDeviceMappings", 0, "Ebs", "Encrypted"))
		assert.Equal(t, key.text("Arn"), template.text(data, "BlockDeviceMappings", 0, "Ebs", "KmsKeyId"))
		assert.Nil(t, template.at(data, "BlockDeviceMappings", 1))
		assert.Equal(t, []string{bastion.id}, template.list(data, "NetworkInterfaces", 0, "Groups"))
		host := userData(t, template.text(data, "UserData"))
		assert.Equal(t, address.text("AllocationId"), host.environment["ALLOCATION_ID"])
		assert.Equal(t, "Postern-Access", host.environment["STACK"])
		assert.Equal(t, group.id, *c.members("Postern-Access")[host.environment["SIGNAL_RESOURCE"]].PhysicalResourceId, "it is waited for its signal")
		assert.Equal(t, key.text("Arn"), c.get("AWS::Logs::LogGroup", host.environment["LOG_GROUP"]).text("KmsKeyId"))

		assert.Equal(t, []string{"tcp 22 " + connect.id}, c.ingress(bastion.id), "no network is let in")
		assert.Equal(t, []string{"tcp 443 0.0.0.0/0", "tcp 443 " + endpoints.id}, c.egress(bastion.id))
	})
	t.Run("address", func(t *testing.T) {
		var tags []string
		for i := range template.at("LaunchTemplateData", "TagSpecifications", 0, "Tags").([]any) {
			tags = append(tags, template.text("LaunchTemplateData", "TagSpecifications", 0, "Tags", i, "Value"))
		}
		assert.Contains(t, tags, address.text("AllocationId"), "by its tag the host finds the address to take")
	})
	t.Run("endpoints", func(t *testing.T) {
		var interfaces []string
		for _, e := range c.list("AWS::EC2::VPCEndpoint") {
			assert.Equal(t, vpc.id, e.text("VpcId"))
			if e.text("VpcEndpointType") == "Gateway" {
				assert.Equal(t, "com.amazonaws.us-east-1.s3", e.text("ServiceName"))
				assert.Len(t, e.list("RouteTableIds"), 4)
				continue
			}
			interfaces = append(interfaces, e.text("ServiceName"))
			assert.Equal(t, "true", e.text("PrivateDnsEnabled"))
			assert.Equal(t, []string{endpoints.id}, e.list("SecurityGroupIds"))
		}
		assert.ElementsMatch(t, []string{"com.amazonaws.us-east-1.ssm", "com.amazonaws.us-east-1.ssmmessages"}, interfaces)
		assert.Equal(t, []string{"tcp 443 " + bastion.id}, c.ingress(endpoints.id))
		assert.Equal(t, []string{cdkNowhere}, c.egress(endpoints.id))
	})
	t.Run("instance connect", func(t *testing.T) {
		endpoint := c.one("AWS::EC2::InstanceConnectEndpoint")
		assert.Equal(t, "false", endpoint.text("PreserveClientIp"))
		assert.Equal(t, []string{connect.id}, endpoint.list("SecurityGroupIds"))
		assert.Empty(t, c.ingress(connect.id))
		assert.Equal(t, []string{nowhere, "tcp 22 " + bastion.id}, c.egress(connect.id))
	})
	t.Run("network", func(t *testing.T) {
		subnets := c.list("AWS::EC2::Subnet")
		assert.Len(t, subnets, 4)
		for _, s := range subnets {
			assert.Equal(t, "false", s.text("MapPublicIpOnLaunch"))
		}
		assert.Empty(t, c.list("AWS::EC2::NatGateway"), "no cost by the hour that nobody asked for")
		closer := c.one("AWS::SSM::Association")
		assert.Equal(t, []string{vpc.text("DefaultSecurityGroup")}, closer.list("Parameters", "GroupId"), "the default group is kept without rules")
		flow := c.one("AWS::EC2::FlowLog")
		assert.Equal(t, vpc.id, flow.text("ResourceId"))
		assert.Equal(t, "ALL", flow.text("TrafficType"))
		for _, field := range []string{"${flow-direction}", "${pkt-srcaddr}", "${pkt-dstaddr}", "${tcp-flags}"} {
			assert.Contains(t, flow.text("LogFormat"), field)
		}
	})
	t.Run("records", func(t *testing.T) {
		assert.Equal(t, "true", key.text("EnableKeyRotation"))
		groups := c.list("AWS::Logs::LogGroup")
		assert.Len(t, groups, 9, "flow logs, sessions, and seven kinds of records")
		var names []string
		for _, g := range groups {
			names = append(names, g.id)
			assert.Equal(t, key.text("Arn"), g.text("KmsKeyId"), g.id)
			assert.Equal(t, "365", g.text("RetentionInDays"), g.id)
		}
		assert.Contains(t, names, c.one("AWS::EC2::FlowLog").text("LogGroupName"))

		var locked, plain []resource
		for _, b := range c.list("AWS::S3::Bucket") {
			for _, block := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
				assert.Equal(t, "true", b.text("PublicAccessBlockConfiguration", block), b.id)
			}
			assert.Equal(t, "Enabled", b.text("VersioningConfiguration", "Status"), b.id)
			if b.text("ObjectLockEnabled") == "true" {
				locked = append(locked, b)
			} else {
				plain = append(plain, b)
			}
		}
		require.Len(t, locked, 1)
		require.Len(t, plain, 1)
		assert.Equal(t, "GOVERNANCE", locked[0].text("ObjectLockConfiguration", "Rule", "DefaultRetention", "Mode"))
		assert.Equal(t, "365", locked[0].text("ObjectLockConfiguration", "Rule", "DefaultRetention", "Days"))
		assert.Equal(t, key.text("Arn"), locked[0].text("BucketEncryption", "ServerSideEncryptionConfiguration", 0, "ServerSideEncryptionByDefault", "KMSMasterKeyID"))
		assert.Equal(t, plain[0].id, locked[0].text("LoggingConfiguration", "DestinationBucketName"))
	})
	t.Run("alarms", func(t *testing.T) {
		topic := c.one("AWS::SNS::Topic")
		assert.Equal(t, key.text("Arn"), topic.text("KmsMasterKeyId"))
		alarms := c.list("AWS::CloudWatch::Alarm")
		rules, ofHost := "", 0
		for _, door := range c.list("AWS::CloudWatch::CompositeAlarm") {
			assert.Equal(t, []string{topic.text("TopicArn")}, door.list("AlarmActions"), door.id)
			rules += door.text("AlarmRule")
		}
		for _, a := range alarms {
			if !strings.Contains(rules, a.text("Arn")) {
				assert.Equal(t, []string{topic.text("TopicArn")}, a.list("AlarmActions"), a.id)
			}
			assert.NotEqual(t, "false", a.text("ActionsEnabled"), a.id)
			assert.Contains(t, a.text("AlarmDescription"), "/docs/runbooks/", a.id)
			if strings.Contains(a.text("AlarmDescription"), group.id) {
				ofHost++
			}
		}
		assert.Equal(t, 17, ofHost, "alarms of the host: whoever they wake needs the name of its group")
		assert.Contains(t, c.one("AWS::CloudWatch::Dashboard").text("DashboardBody"), group.id)
	})
	t.Run("commands", func(t *testing.T) {
		outputs := c.outputs("Postern-Access")
		find := regexp.QuoteMeta(`"$(aws ec2 describe-instances --region us-east-1 --filters Name=tag:aws:autoscaling:groupName,Values=` + group.id + ` `)
		assert.Regexp(t, `^aws ssm start-session --region us-east-1 --target `+find+`.*\)" --document-name Postern-Access-Shell$`, outputs["StartSession"])
		assert.Regexp(t, `^aws ec2-instance-connect ssh --instance-id `+find+`.*\)" --os-user ec2-user --connection-type eice --region us-east-1$`, outputs["InstanceConnectSSH"])
		assert.Equal(t, address.text("PublicIp"), outputs["PublicAddress"])
		assert.Regexp(t, `^Match originalhost postern exec "aws ec2-instance-connect send-ssh-public-key `, outputs["SSHConfig"])
		assert.Regexp(t, `\n +ProxyCommand aws ssm start-session .*,Values=`+group.id+` `, outputs["SSHConfig"], "port 22 is closed")
	})
}

// TestBadConfiguration asserts that all faults are told at once, and nothing else.
func TestBadConfiguration(t *testing.T) {
	t.Parallel()
	c := fresh(t, "postern", ".")
	out, err := c.tryDeploy(`
bastion:
  allowedCidr: [203.0.113.0/24]
  allowedCidrs: [0.0.0.0/0, 300.0.0.0/8]
  image: latest
network: {nat: two, availabilityZones: many}
instanceConnect: {absent: true, preserveClientIp: true}
`)
	assert.Equal(t, 1, exitCode(err), out)
	for _, fault := range []string{
		`bastion.allowedCidr: "allowedCidr" is not a key here: did you mean "allowedCidrs"?`,
		`network.availabilityZones: "many" is not a whole number`,
		`network.nat: "two" is not known: use one of none, one, perZone`,
		`bastion.allowedCidrs[0]: "0.0.0.0/0" lets the whole internet try SSH`,
		`bastion.allowedCidrs[1]: "300.0.0.0/8" is not a CIDR block`,
		`bastion.image: "latest" is not known`,
		`instanceConnect.preserveClientIp: is set, but instanceConnect.absent leaves the endpoint out`,
	} {
		assert.Contains(t, out, fault)
	}
	quiet(t, c, out)

	// A file that nobody reads is none, and the defaults would take its place.
	out, err = c.tryDeploy("", "-c", "posten=postern.yaml")
	assert.Equal(t, 1, exitCode(err), out)
	assert.Contains(t, out, `context key "posten": is read by nobody, so that the defaults would be deployed: did you mean postern?`)
	quiet(t, c, out)

	// Only the finished tree shows this one.
	out, err = c.tryDeploy("bastion: {address: none}\nendpoints: {absent: true}")
	assert.Equal(t, 1, exitCode(err), out)
	assert.Contains(t, out, "[Postern-Access/Bastion] the bastion can't reach ssm, ")
	quiet(t, c, out)
}

// quiet asserts that a refusal shows nothing of the app's inside, and that
// nothing was deployed.
func quiet(t *testing.T, c *cloud, out string) {
	t.Helper()
	for _, trace := range []string{"goroutine ", "panic", ".go:", "main.main"} {
		assert.NotContains(t, out, trace)
	}
	assert.Empty(t, c.names())
}
