package network

import (
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/cdktest"
)

func TestMain(m *testing.M) { cdktest.Main(m) }

// What stands for a collaborator where only its presence counts.
type (
	anyVpc      struct{ awsec2.IVpc }
	anyLogGroup struct{ awslogs.ILogGroup }
	anyBucket   struct{ awss3.IBucket }
)

func TestDefaults(t *testing.T) {
	p := (*Props)(nil).withDefaults()
	require.NoError(t, p.validate())
	assert.Equal(t, Props{Cidr: "10.0.0.0/16", AvailabilityZones: 2, FlowLogs: &FlowLogs{}}, p)

	given := &Props{Vpc: anyVpc{}}
	p = given.withDefaults()
	require.NoError(t, p.validate())
	assert.Nil(t, p.FlowLogs, "a given VPC gets flow logs only where they are asked for")
	assert.Empty(t, p.Cidr)

	p = (&Props{ZoneNames: []string{"eu-west-1a"}}).withDefaults()
	require.NoError(t, p.validate())
	assert.Equal(t, 1, p.AvailabilityZones)
}

func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		props Props
		want  string
	}{
		"not a range":     {Props{Cidr: "office"}, `Cidr: "office" is not a CIDR block: write an address and a prefix length, such as 203.0.113.0/24`},
		"host bits":       {Props{Cidr: "10.0.0.1/16"}, `Cidr: "10.0.0.1/16" has bits set outside its prefix: write 10.0.0.0/16 for the block or 10.0.0.1/32 for the address`},
		"too small":       {Props{Cidr: "10.0.0.0/25"}, `Cidr: "10.0.0.0/25" has no room for the subnets, or is larger than a VPC can be: use /16 to /24`},
		"too large":       {Props{Cidr: "10.0.0.0/8"}, `Cidr: "10.0.0.0/8" has no room for the subnets, or is larger than a VPC can be: use /16 to /24`},
		"IPv6":            {Props{Cidr: "2001:db8::/32"}, `Cidr: "2001:db8::/32" is not an IPv4 range: write an IPv4 range, such as 10.0.0.0/16`},
		"token":           {Props{Cidr: "${Token[TOKEN.1]}"}, `Cidr: is a token, and subnets can't be cut from a range that is not known yet: write the range itself, such as 10.0.0.0/16`},
		"too many zones":  {Props{AvailabilityZones: 5}, `AvailabilityZones: 5 is out of range: use 1 to 4`},
		"negative zones":  {Props{AvailabilityZones: -1}, `AvailabilityZones: -1 is out of range: use 1 to 4`},
		"zones twice":     {Props{ZoneNames: []string{"a", "a"}}, `ZoneNames: "a" is named twice: name each zone once`},
		"empty zone":      {Props{ZoneNames: []string{""}}, `ZoneNames: a name is empty: write names such as eu-west-1a`},
		"number or names": {Props{ZoneNames: []string{"a"}, AvailabilityZones: 2}, `AvailabilityZones: 2 is given with 1 ZoneNames: leave it out`},
		"NAT":             {Props{Nat: "per-zoen"}, `Nat: "per-zoen" is not known: did you mean "per-zone"? use one of , one, per-zone`},
		"NAT, no way":     {Props{Nat: NatOne, NoInternet: true}, `NoInternet: is set with Nat "one", which needs an internet gateway: leave out one of them`},
		"two places":      {Props{FlowLogs: &FlowLogs{LogGroup: anyLogGroup{}, Bucket: anyBucket{}}}, `FlowLogs: both LogGroup and Bucket are given, and a flow log has one destination: keep one of them; make a second Network with Vpc set for the other`},
		"prefix alone":    {Props{FlowLogs: &FlowLogs{Prefix: "vpc"}}, `FlowLogs.Prefix: "vpc" is given without a Bucket: name the Bucket, or leave it out`},
		"on and off":      {Props{FlowLogs: &FlowLogs{}, FlowLogsOff: true}, `FlowLogsOff: is set although FlowLogs says where they go: keep one of them`},
	} {
		p := c.props.withDefaults()
		assert.EqualError(t, p.validate(), c.want, name)
	}
}

func TestGivenVpcIsNotShaped(t *testing.T) {
	p := (&Props{
		Vpc: anyVpc{}, Cidr: "10.0.0.0/16", AvailabilityZones: 2, ZoneNames: []string{"a"}, Nat: NatOne,
		NoInternet: true, DefaultSecurityGroupOpen: true,
	}).withDefaults()
	lines := strings.Split(p.validate().Error(), "\n")
	require.Len(t, lines, 6)
	for i, field := range []string{"Cidr", "AvailabilityZones", "ZoneNames", "Nat", "NoInternet", "DefaultSecurityGroupOpen"} {
		assert.Equal(t, field+": is set although Vpc is given, and a given VPC is not changed: leave it out, or leave out Vpc to have one made", lines[i])
	}
}

func TestPropsAreNotChanged(t *testing.T) {
	given := &Props{}
	given.withDefaults()
	assert.Equal(t, &Props{}, given)
}

func TestMonthlyCost(t *testing.T) {
	for _, c := range []struct {
		props Props
		want  float64
	}{
		{Props{}, 1},
		{Props{FlowLogsOff: true}, 0},
		{Props{FlowLogs: &FlowLogs{LogGroup: anyLogGroup{}}}, 0},
		{Props{FlowLogsOff: true, Nat: NatOne}, 36.50},
		{Props{FlowLogsOff: true, Nat: NatPerZone, AvailabilityZones: 3}, 109.50},
	} {
		p := c.props.withDefaults()
		assert.InDelta(t, c.want, p.monthlyCost(), 0.001)
	}
}

func TestLogFormatBeginsAsTheDefault(t *testing.T) {
	assert.True(t, strings.HasPrefix(LogFormat, "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} "+
		"${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status} "))
	for _, field := range []string{"flow-direction", "pkt-srcaddr", "pkt-dstaddr", "tcp-flags", "subnet-id", "instance-id"} {
		assert.Contains(t, LogFormat, "${"+field+"}")
	}
}
