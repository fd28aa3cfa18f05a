package emulator_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestVariants deploys what the configuration offers, each into an account of
// its own.
func TestVariants(t *testing.T) {
	t.Parallel()
	for _, v := range []struct {
		name, yaml string
		ask        func(t *testing.T, c *cloud)
	}{
		{"address none", "bastion: {address: none}", func(t *testing.T, c *cloud) {
			assert.Empty(t, c.list("AWS::EC2::EIP"))
			private(t, c)
			assert.ElementsMatch(t, []string{"ssm", "ssmmessages", "logs", "monitoring", "cloudformation", "ec2", "autoscaling"}, services(c), "all that the host needs, as nothing leads out")
			assert.NotContains(t, c.outputs("Postern-Access"), "PublicAddress")
		}},
		{"address networkLoadBalancer", "bastion: {address: networkLoadBalancer, allowedCidrs: [203.0.113.0/24]}", func(t *testing.T, c *cloud) {
			balancer := c.one("AWS::ElasticLoadBalancingV2::LoadBalancer")
			assert.Equal(t, "network", balancer.text("Type"))
			assert.Equal(t, "internet-facing", balancer.text("Scheme"))
			groups := balancer.list("SecurityGroups")
			require.Len(t, groups, 1)
			assert.Equal(t, []string{"tcp 22 203.0.113.0/24"}, c.ingress(groups[0]))
			assert.Contains(t, c.ingress(c.described(bastionGroup).id), "tcp 22 "+groups[0])
			target := c.one("AWS::ElasticLoadBalancingV2::TargetGroup")
			assert.Equal(t, []string{target.id}, c.one("AWS::AutoScaling::AutoScalingGroup").list("TargetGroupARNs"))
			assert.Equal(t, "22", c.one("AWS::ElasticLoadBalancingV2::Listener").text("Port"))
			assert.Equal(t, balancer.text("DNSName"), c.outputs("Postern-Access")["PublicAddress"])
			assert.Empty(t, c.list("AWS::EC2::EIP"))
			private(t, c)
		}},
		{"CIS scan and Teams", `
watch: {teams: {tenantId: 12345678-1234-1234-1234-123456789012, teamId: 87654321-1234-1234-1234-123456789012, channelId: "19%3Aabc%40thread.tacv2"}}
compliance: {cisScan: {level: 2, day: SUN, time: "03:00"}}`, func(t *testing.T, c *cloud) {
			assert.Equal(t, "LEVEL_2", c.one("AWS::InspectorV2::CisScanConfiguration").text("SecurityLevel"))
			channel := c.one("AWS::Chatbot::MicrosoftTeamsChannelConfiguration")
			assert.Len(t, channel.list("SnsTopicArns"), 2, "alarms and notices")
			assert.Len(t, channel.list("GuardrailPolicies"), 1, "without one the service takes AdministratorAccess")
		}},
		{"schedule and Spot", `bastion: {spot: true, schedule: {start: "0 8 * * MON-FRI", stop: "0 19 * * MON-FRI", timeZone: Europe/Berlin}}`, func(t *testing.T, c *cloud) {
			actions := c.list("AWS::AutoScaling::ScheduledAction")
			require.Len(t, actions, 2)
			sizes := map[string]string{}
			for _, a := range actions {
				assert.Equal(t, "Europe/Berlin", a.text("TimeZone"))
				sizes[a.text("Recurrence")] = a.text("DesiredCapacity")
			}
			assert.Equal(t, map[string]string{"0 8 * * MON-FRI": "1", "0 19 * * MON-FRI": "0"}, sizes)
			group := c.one("AWS::AutoScaling::AutoScalingGroup")
			spot := group.text("MixedInstancesPolicy", "InstancesDistribution", "OnDemandPercentageAboveBaseCapacity") == "0" ||
				c.one("AWS::EC2::LaunchTemplate").text("LaunchTemplateData", "InstanceMarketOptions", "MarketType") == "spot"
			assert.True(t, spot, "no Spot capacity: %v", group.properties)
		}},
		{"one NAT gateway, flow logs to the bucket", "network: {nat: one, flowLogs: bucket, cidr: 10.7.0.0/16}\nbastion: {address: none}", func(t *testing.T, c *cloud) {
			assert.Len(t, c.list("AWS::EC2::NatGateway"), 1)
			assert.Len(t, c.list("AWS::EC2::EIP"), 1, "the gateway's")
			assert.Equal(t, "10.7.0.0/16", c.one("AWS::EC2::VPC").text("CidrBlock"))
			flow := c.one("AWS::EC2::FlowLog")
			assert.Equal(t, "s3", flow.text("LogDestinationType"))
			bucket, _, _ := strings.Cut(strings.TrimPrefix(flow.text("LogDestination"), "arn:aws:s3:::"), "/")
			assert.Equal(t, "true", c.get("AWS::S3::Bucket", bucket).text("ObjectLockEnabled"))
			assert.Len(t, c.list("AWS::Logs::LogGroup"), 8, "the host's and the sessions'")
			private(t, c)
		}},
		{"NAT gateway per zone", "network: {nat: perZone}", func(t *testing.T, c *cloud) {
			assert.Len(t, c.list("AWS::EC2::NatGateway"), 2)
		}},
		{"targets", `
targets:
  - {name: orders database, securityGroupId: sg-0123456789abcdef0, port: 5432}
  - {name: orders database administration, securityGroupId: sg-0123456789abcdef0, port: 8443}
  - {name: jump host, securityGroupId: sg-0fedcba9876543210, port: 22, doors: [bastion, instanceConnect]}`, func(t *testing.T, c *cloud) {
			bastion, connect := c.described(bastionGroup).id, c.described(connectGroup).id
			assert.Subset(t, c.egress(bastion), []string{"tcp 5432 sg-0123456789abcdef0", "tcp 8443 sg-0123456789abcdef0", "tcp 22 sg-0fedcba9876543210"})
			assert.Contains(t, c.egress(connect), "tcp 22 sg-0fedcba9876543210")
			assert.NotContains(t, c.egress(connect), "tcp 5432 sg-0123456789abcdef0")
			into := map[string][]string{}
			for _, r := range c.list("AWS::EC2::SecurityGroupIngress") {
				into[r.text("GroupId")] = append(into[r.text("GroupId")], r.text("ToPort")+" "+r.text("SourceSecurityGroupId"))
			}
			assert.ElementsMatch(t, []string{"5432 " + bastion, "8443 " + bastion}, into["sg-0123456789abcdef0"])
			assert.ElementsMatch(t, []string{"22 " + bastion, "22 " + connect}, into["sg-0fedcba9876543210"])
		}},
		{"tunnels and a relay", `
bastion:
  host: {relay: {targets: [{name: search, host: search.internal, port: 443, securityGroupId: sg-0fedcba9876543210}]}}
tunnels:
  - {name: Orders, host: db.internal, port: 5432, securityGroupId: sg-0123456789abcdef0, localPort: 15432, idleMinutes: 5}`, func(t *testing.T, c *cloud) {
			documents := map[string]resource{}
			for _, d := range c.list("AWS::SSM::Document") {
				documents[d.text("Name")] = d
			}
			orders, relay := documents["Postern-Access-Tunnel-Orders"], documents["Postern-Access-Tunnel-Relay"]
			assert.Equal(t, "Port", orders.text("Content", "sessionType"))
			assert.Equal(t, "db.internal", orders.text("Content", "properties", "host"))
			assert.Equal(t, "5432", orders.text("Content", "properties", "portNumber"))
			assert.Equal(t, "15432", orders.text("Content", "parameters", "localPortNumber", "default"))
			assert.Equal(t, "5", orders.text("Content", "inputs", "idleSessionTimeout"))
			assert.Equal(t, "1080", relay.text("Content", "properties", "portNumber"))
			assert.Empty(t, relay.text("Content", "properties", "host"), "a port of the bastion itself")
			assert.Subset(t, c.egress(c.described(bastionGroup).id), []string{"tcp 5432 sg-0123456789abcdef0", "tcp 443 sg-0fedcba9876543210"})
			environment := userData(t, c.one("AWS::EC2::LaunchTemplate").text("LaunchTemplateData", "UserData")).environment
			assert.Equal(t, "search=search.internal:443", environment["RELAY"])
			assert.Empty(t, environment["EGRESS_PORTS"], "people on the host reach neither")
			assert.Contains(t, c.outputs("Postern-Access")["TunnelOrders"], " --document-name Postern-Access-Tunnel-Orders")
		}},
		{"tunnels and operators", `
bastion: {address: none, host: {relay: {targets: [{name: wiki, host: wiki.example.internal, port: 443, securityGroupId: sg-0fedcba9876543210}]}}}
session: {ssh: true, ownKey: true}
tunnels: [{name: Orders, host: orders.example.internal, port: 5432, securityGroupId: sg-0123456789abcdef0}]
operators:
  - {name: Developers, roleArns: ["arn:aws:iam::000000000000:role/Developer"], shell: true, tunnels: [Orders, Relay], only: {weekly: [{from: "08:00", until: "18:00"}]}}
  - {name: OnCall, groups: [on-call], breakGlass: true, instanceConnect: {ssh: {maxMinutes: 30}}}
  - {name: Auditors, permissionSet: true, viewer: true}
watch: {existingTrail: true, sessions: {notices: true}}`, func(t *testing.T, c *cloud) {
			bastion := c.described(bastionGroup).id
			assert.Empty(t, c.ingress(c.one("AWS::EC2::InstanceConnectEndpoint").list("SecurityGroupIds")[0]))
			assert.Equal(t, []string{"tcp 22 " + c.described(connectGroup).id}, c.ingress(bastion), "EC2 Instance Connect alone")
			assert.Subset(t, c.egress(bastion), []string{"tcp 5432 sg-0123456789abcdef0", "tcp 443 sg-0fedcba9876543210"})
			documents := map[string]resource{}
			for _, d := range c.list("AWS::SSM::Document") {
				if d.text("DocumentType") == "Session" {
					documents[d.text("Name")] = d
				}
			}
			require.Len(t, documents, 5)
			shell := documents["Postern-Access-Shell"]
			assert.Equal(t, "true", shell.text("Content", "inputs", "cloudWatchEncryptionEnabled"))
			groups := map[string]bool{}
			for _, g := range c.list("AWS::Logs::LogGroup") {
				groups[g.id] = true
			}
			assert.True(t, groups[shell.text("Content", "inputs", "cloudWatchLogGroupName")], "the log group is there")
			assert.Equal(t, "5432", documents["Postern-Access-Tunnel-Orders"].text("Content", "properties", "portNumber"))
			assert.Equal(t, "1080", documents["Postern-Access-Tunnel-Relay"].text("Content", "properties", "portNumber"))

			outputs := c.outputs("Postern-Access")
			assert.Contains(t, outputs["TunnelOrders"], "--document-name Postern-Access-Tunnel-Orders")
			assert.Contains(t, outputs["InstanceConnectSSHOnCall"], "maxTunnelDuration=1800")
			assert.Contains(t, outputs["StartBreakGlass"], "--document-name Postern-Access-BreakGlass")
			assert.Contains(t, outputs["OpenDevelopers"], "arn:aws:states:")
			assert.True(t, json.Valid([]byte(outputs["PermissionSetAuditors"])), "JSON to paste")
			var used bool
			for _, rule := range c.list("AWS::Events::Rule") {
				pattern, err := json.Marshal(rule.at("EventPattern"))
				require.NoError(t, err)
				used = used || strings.Contains(string(pattern), `"Postern-Access-BreakGlass"`)
			}
			assert.True(t, used, "a notice of break-glass")
			assert.Equal(t, "cron(0 8 ? * MON,TUE,WED,THU,FRI *)", c.one("AWS::Scheduler::Schedule").text("ScheduleExpression"))
		}},
		{"pinned image", "bastion: {image: ami-0123456789abcdef0, instanceType: t3.micro, maxInstanceLifetimeDays: 14}", func(t *testing.T, c *cloud) {
			template := c.one("AWS::EC2::LaunchTemplate")
			assert.Equal(t, "ami-0123456789abcdef0", template.text("LaunchTemplateData", "ImageId"))
			assert.Equal(t, "t3.micro", template.text("LaunchTemplateData", "InstanceType"))
			assert.Equal(t, "1209600", c.one("AWS::AutoScaling::AutoScalingGroup").text("MaxInstanceLifetime"))
		}},
		{"newest image at deploy", "bastion: {image: latestAtDeploy}", func(t *testing.T, c *cloud) {
			assert.Regexp(t, `^ami-[0-9a-f]{8,17}$`, c.one("AWS::EC2::LaunchTemplate").text("LaunchTemplateData", "ImageId"), "resolved by CloudFormation")
		}},
		{"name and tags", "name: Audit-Door\ntags: {team: platform, cost-center: '42'}", func(t *testing.T, c *cloud) {
			assert.Equal(t, []string{"Audit-Door-Access", "Audit-Door-Archive", "Audit-Door-Network", "Audit-Door-Watch"}, c.names())
			for _, kind := range []string{"AWS::EC2::VPC", "AWS::EC2::EIP", "AWS::KMS::Key", "AWS::EC2::InstanceConnectEndpoint"} {
				tags := c.one(kind).tags()
				assert.Equal(t, "platform", tags["team"], kind)
				assert.Equal(t, "42", tags["cost-center"], kind)
			}
		}},
		{"DNS name", "bastion: {allowedPrefixLists: [pl-0123456789abcdef0], dns: {hostedZoneId: Z0123456789ABCDEFGHIJ, zoneName: example.com, recordName: door}}", func(t *testing.T, c *cloud) {
			record := c.one("AWS::Route53::RecordSet")
			assert.Equal(t, "door.example.com.", record.text("Name"))
			assert.Equal(t, "Z0123456789ABCDEFGHIJ", record.text("HostedZoneId"))
			assert.Equal(t, []string{c.one("AWS::EC2::EIP").text("PublicIp")}, record.list("ResourceRecords"))
			assert.Contains(t, c.outputs("Postern-Access")["SSHConfig"], "HostName door.example.com\n")
			assert.Contains(t, c.ingress(c.described(bastionGroup).id), "tcp 22 pl-0123456789abcdef0")
		}},
		{"DNS name of a load balancer", "bastion: {address: networkLoadBalancer, dns: {hostedZoneId: Z0123456789ABCDEFGHIJ, zoneName: example.com, recordName: door}}", func(t *testing.T, c *cloud) {
			record := c.one("AWS::Route53::RecordSet")
			assert.Contains(t, record.text("AliasTarget", "DNSName"), c.one("AWS::ElasticLoadBalancingV2::LoadBalancer").text("DNSName"))
		}},
		{"bastion alone, no endpoints", "instanceConnect: {absent: true}\nendpoints: {absent: true}", func(t *testing.T, c *cloud) {
			assert.Empty(t, c.list("AWS::EC2::InstanceConnectEndpoint"))
			assert.Empty(t, c.list("AWS::EC2::VPCEndpoint"))
			assert.Empty(t, c.ingress(c.described(bastionGroup).id))
			assert.Len(t, c.list("AWS::EC2::EIP"), 1)
		}},
		{"Instance Connect alone", "bastion: {absent: true}\ntargets: [{name: jump host, securityGroupId: sg-0fedcba9876543210, port: 3389, doors: [instanceConnect]}]", func(t *testing.T, c *cloud) {
			assert.Empty(t, c.list("AWS::AutoScaling::AutoScalingGroup"))
			assert.Equal(t, []string{nowhere, "tcp 3389 sg-0fedcba9876543210"}, c.egress(c.described(connectGroup).id))
		}},
		{"compliance, own addresses, told by mail", "archive: {objectLock: compliance, objectLockDays: 30, logRetentionDays: 90}\nwatch: {emails: [ops@example.com]}", func(t *testing.T, c *cloud) {
			var modes []string
			for _, b := range c.list("AWS::S3::Bucket") {
				modes = append(modes, b.text("ObjectLockConfiguration", "Rule", "DefaultRetention", "Mode")+b.text("ObjectLockConfiguration", "Rule", "DefaultRetention", "Days"))
			}
			assert.ElementsMatch(t, []string{"COMPLIANCE30", ""}, modes)
			for _, g := range c.list("AWS::Logs::LogGroup") {
				assert.Equal(t, "90", g.text("RetentionInDays"))
			}
			subscription := c.one("AWS::SNS::Subscription")
			assert.Equal(t, "email ops@example.com", subscription.text("Protocol")+" "+subscription.text("Endpoint"))
		}},
	} {
		t.Run(v.name, func(t *testing.T) {
			c := fresh(t, "postern", ".")
			c.deploy(v.yaml)
			v.ask(t, c)
		})
	}
}

// private asserts that the bastion has no public address and stands in no subnet
// that the internet reaches.
func private(t *testing.T, c *cloud) {
	t.Helper()
	template := c.one("AWS::EC2::LaunchTemplate")
	assert.NotEqual(t, "true", template.text("LaunchTemplateData", "NetworkInterfaces", 0, "AssociatePublicIpAddress"))
	for _, subnet := range c.one("AWS::AutoScaling::AutoScalingGroup").list("VPCZoneIdentifier") {
		assert.NotContains(t, c.routes(subnet), "igw", "subnet %s", subnet)
	}
}

// routes lists what a subnet's default routes lead to: "igw" and "nat".
func (c *cloud) routes(subnet string) []string {
	c.t.Helper()
	var targets []string
	for _, association := range c.list("AWS::EC2::SubnetRouteTableAssociation") {
		if association.text("SubnetId") != subnet {
			continue
		}
		for _, route := range c.list("AWS::EC2::Route") {
			if route.text("RouteTableId") != association.text("RouteTableId") || route.text("DestinationCidrBlock") != "0.0.0.0/0" {
				continue
			}
			if route.text("NatGatewayId") != "" {
				targets = append(targets, "nat")
			}
			if route.text("GatewayId") != "" {
				targets = append(targets, "igw")
			}
		}
	}
	return targets
}

// services lists the services that have an interface endpoint.
func services(c *cloud) []string {
	c.t.Helper()
	var names []string
	for _, e := range c.list("AWS::EC2::VPCEndpoint") {
		if e.text("VpcEndpointType") == "Interface" {
			name := e.text("ServiceName")
			names = append(names, name[strings.LastIndex(name, ".")+1:])
		}
	}
	return names
}

// tags are those of a resource that has them as a list.
func (r resource) tags() map[string]string {
	tags := map[string]string{}
	items, _ := r.at("Tags").([]any)
	for i := range items {
		tags[r.text("Tags", i, "Key")] = r.text("Tags", i, "Value")
	}
	return tags
}
