package emulator_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSwitches changes a deployed app as its users would.
func TestSwitches(t *testing.T) {
	for _, v := range []struct {
		name, from, to string
		ask            func(t *testing.T, c *cloud, before map[string]resource)
	}{
		{
			"Elastic IP to load balancer", "", "bastion: {address: networkLoadBalancer}",
			func(t *testing.T, c *cloud, _ map[string]resource) {
				assert.Empty(t, c.list("AWS::EC2::EIP"))
				c.one("AWS::ElasticLoadBalancingV2::LoadBalancer")
				private(t, c)
			},
		},
		{
			"load balancer to Elastic IP", "bastion: {address: networkLoadBalancer}", "",
			func(t *testing.T, c *cloud, _ map[string]resource) {
				assert.Empty(t, c.list("AWS::ElasticLoadBalancingV2::LoadBalancer"))
				c.one("AWS::EC2::EIP")
			},
		},
		{
			"Elastic IP to none", "", "bastion: {address: none}",
			func(t *testing.T, c *cloud, _ map[string]resource) {
				assert.Empty(t, c.list("AWS::EC2::EIP"))
				private(t, c)
			},
		},
		{
			"no NAT gateway to one", "", "network: {nat: one}",
			func(t *testing.T, c *cloud, _ map[string]resource) {
				assert.Len(t, c.list("AWS::EC2::NatGateway"), 1)
			},
		},
		{
			"two zones to three", "", "network: {availabilityZones: 3}",
			func(t *testing.T, c *cloud, before map[string]resource) {
				zones := map[string]bool{}
				for _, s := range c.list("AWS::EC2::Subnet") {
					zones[s.text("AvailabilityZone")] = true
				}
				assert.Len(t, zones, 3)
				assert.Len(t, c.one("AWS::AutoScaling::AutoScalingGroup").list("VPCZoneIdentifier"), 3)
			},
		},
	} {
		t.Run(v.name, func(t *testing.T) {
			c := fresh(t, "postern", ".")
			c.deploy(v.from)
			before := lasting(c)
			require.NotEmpty(t, before)
			c.deploy(v.to)
			after := lasting(c)
			for id, r := range before {
				assert.Equal(t, r, after[id], "changed, or replaced")
			}
			v.ask(t, c, before)

			// And back, as far as nothing stands in the way.
			out, err := c.tryDeploy(v.from)
			require.NoError(t, err, out)
			again := lasting(c)
			for id, r := range before {
				assert.Equal(t, r, again[id], "changed, or replaced, on the way back")
			}
		})
	}
}

// lasting is what a change of the doors must not touch: the VPC, its subnets, the
// endpoints, the EC2 Instance Connect Endpoint and the evidence.
func lasting(c *cloud) map[string]resource {
	c.t.Helper()
	found := map[string]resource{}
	for _, kind := range []string{
		"AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::InstanceConnectEndpoint", "AWS::EC2::FlowLog", "AWS::KMS::Key", "AWS::S3::Bucket",
		"AWS::Logs::LogGroup", "AWS::SNS::Topic",
	} {
		for _, r := range c.list(kind) {
			found[strings.TrimPrefix(kind, "AWS::")+" "+r.id] = r
		}
	}
	return found
}
