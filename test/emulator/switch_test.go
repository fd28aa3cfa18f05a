package emulator_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSwitches changes a deployed app as its users would, over and over. Nothing
// that lasts may be replaced on the way: see lasting.
func TestSwitches(t *testing.T) {
	t.Parallel()
	c := fresh(t, "postern", ".")
	c.deploy("")
	for _, v := range []struct {
		name, to string
		// first are the stacks that must be deployed alone before the others: what
		// they use goes away. gone tells what may.
		first []string
		gone  func(resource) bool
		ask   func(t *testing.T)
	}{
		{name: "Elastic IP to load balancer", to: "bastion: {address: networkLoadBalancer}", ask: func(t *testing.T) {
			assert.Empty(t, c.list("AWS::EC2::EIP"))
			c.one("AWS::ElasticLoadBalancingV2::LoadBalancer")
			private(t, c)
		}},
		{name: "load balancer to no address", to: "bastion: {address: none}", first: []string{"Postern-Watch"}, ask: func(t *testing.T) {
			assert.Empty(t, c.list("AWS::ElasticLoadBalancingV2::LoadBalancer"))
			private(t, c)
		}},
		{name: "no NAT gateway to one", to: "bastion: {address: none}\nnetwork: {nat: one}", ask: func(t *testing.T) {
			private(t, c)
			for _, subnet := range c.one("AWS::AutoScaling::AutoScalingGroup").list("VPCZoneIdentifier") {
				assert.Equal(t, []string{"nat"}, c.routes(subnet))
			}
		}},
		{name: "no address to Elastic IP", to: "network: {nat: one}", ask: func(t *testing.T) {
			assert.Len(t, c.list("AWS::EC2::EIP"), 2, "the gateway's and the bastion's")
		}},
		{
			name: "one NAT gateway to none", to: "",
			gone: func(r resource) bool { return r.tags()["aws-cdk:subnet-name"] == "Private" },
			ask: func(t *testing.T) {
				assert.Empty(t, c.list("AWS::EC2::NatGateway"))
				assert.Len(t, c.list("AWS::EC2::EIP"), 1)
			},
		},
		{name: "two zones to three", to: "network: {availabilityZones: 3}", ask: func(t *testing.T) {
			assert.Equal(t, []string{"us-east-1a", "us-east-1b", "us-east-1c"}, c.zones())
			assert.Len(t, c.one("AWS::AutoScaling::AutoScalingGroup").list("VPCZoneIdentifier"), 3)
		}},
		{
			// The watch imports endpoints, but may give its alarms up in one deploy.
			name: "no alarms on endpoints", to: "network: {availabilityZones: 3}\nwatch: {endpoints: {noAlarms: true}}",
			ask: func(t *testing.T) { assert.Empty(t, endpointDoors(c)) },
		},
		{name: "alarms on endpoints again", to: "network: {availabilityZones: 3}", ask: func(t *testing.T) {
			assert.Len(t, endpointDoors(c), 1)
		}},
		{
			name: "an endpoint that is there already", to: "network: {availabilityZones: 3}\nendpoints: {existing: [ssm]}", first: []string{"Postern-Watch"},
			ask: func(t *testing.T) {
				assert.Len(t, c.list("AWS::EC2::VPCEndpoint"), 2, "ssmmessages and S3")
				require.Len(t, endpointDoors(c), 1)
				assert.Equal(t, 1, strings.Count(endpointDoors(c)[0].text("AlarmRule"), "ALARM("))
			},
		},
		{
			name: "three zones to two, no endpoints", to: "endpoints: {absent: true}", first: []string{"Postern-Watch", "Postern-Access"},
			gone: func(r resource) bool { return r.text("AvailabilityZone") == "us-east-1c" },
			ask: func(t *testing.T) {
				assert.Equal(t, []string{"us-east-1a", "us-east-1b"}, c.zones())
				assert.Empty(t, c.list("AWS::EC2::VPCEndpoint"))
				assert.Empty(t, endpointDoors(c))
			},
		},
		{
			// By themselves: the next change wants the watch first, which would import
			// endpoints that are not there yet.
			name: "endpoints again", to: "", ask: func(t *testing.T) {
				assert.Len(t, c.list("AWS::EC2::VPCEndpoint"), 3)
				assert.Len(t, endpointDoors(c), 1)
			},
		},
		{
			name: "flow logs to the bucket, no Instance Connect", to: "network: {flowLogs: bucket}\ninstanceConnect: {absent: true}",
			first: []string{"Postern-Watch", "Postern-Network"}, // queries read the log group, too
			gone: func(r resource) bool {
				return r.kind == "AWS::EC2::FlowLog" || r.kind == "AWS::EC2::InstanceConnectEndpoint"
			},
			ask: func(t *testing.T) {
				assert.Equal(t, "s3", c.one("AWS::EC2::FlowLog").text("LogDestinationType"))
				assert.Len(t, c.list("AWS::Logs::LogGroup"), 9, "the old records stay")
				assert.Empty(t, c.list("AWS::EC2::InstanceConnectEndpoint"))
			},
		},
		{
			name: "Instance Connect alone, with another choice", first: []string{"Postern-Watch", "Postern-Access"},
			to: `
network: {flowLogs: bucket}
bastion: {absent: true}
instanceConnect: {preserveClientIp: true}
targets: [{name: jump host, securityGroupId: sg-0fedcba9876543210, port: 22, doors: [instanceConnect]}]`,
			ask: func(t *testing.T) {
				assert.Equal(t, "true", c.one("AWS::EC2::InstanceConnectEndpoint").text("PreserveClientIp"))
				assert.Empty(t, c.list("AWS::AutoScaling::AutoScalingGroup"))
				assert.Len(t, c.list("AWS::Logs::LogGroup"), 9, "the old records stay")
			},
		},
	} {
		done := t.Run(v.name, func(t *testing.T) {
			c.t = t
			before := lasting(c)
			require.NotEmpty(t, before)
			if len(v.first) > 0 {
				physical := c.physical()
				out, err := c.tryDeploy(v.to)
				assert.Equal(t, 1, exitCode(err), out)
				assert.Regexp(t, `Export \S+ cannot be deleted as it is in use by `, out)
				assert.Equal(t, physical, c.physical())
				for _, stack := range v.first {
					out, err := c.cdk(v.to, "deploy", stack, "--exclusively", "--require-approval", "never")
					require.NoError(t, err, out)
				}
			}
			c.deploy(v.to)
			after := lasting(c)
			for id, r := range before {
				if v.gone == nil || !v.gone(r) {
					assert.Equal(t, r, after[id], "changed, or replaced")
				}
			}
			v.ask(t)
		})
		c.t = t
		if !done {
			return
		}
	}
}

// lasting is what a change of the doors must not touch: the VPC, its subnets, the
// EC2 Instance Connect Endpoint, who is told, and the evidence.
func lasting(c *cloud) map[string]resource {
	c.t.Helper()
	found := map[string]resource{}
	for _, kind := range []string{
		"AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::InstanceConnectEndpoint", "AWS::EC2::FlowLog",
		"AWS::KMS::Key", "AWS::S3::Bucket", "AWS::Logs::LogGroup", "AWS::SNS::Topic",
	} {
		for _, r := range c.list(kind) {
			delete(r.properties, "KeyPolicy") // grows with who may use the key
			found[kind+" "+r.id] = r
		}
	}
	return found
}

// endpointDoors are the composite alarms of Session Manager's endpoints.
func endpointDoors(c *cloud) []resource {
	c.t.Helper()
	return slices.DeleteFunc(c.list("AWS::CloudWatch::CompositeAlarm"), func(r resource) bool {
		return !strings.Contains(r.text("AlarmDescription"), "through Session Manager")
	})
}

// zones lists the Availability Zones that have a subnet.
func (c *cloud) zones() []string {
	c.t.Helper()
	var zones []string
	for _, s := range c.list("AWS::EC2::Subnet") {
		zones = append(zones, s.text("AvailabilityZone"))
	}
	slices.Sort(zones)
	return slices.Compact(zones)
}
