package bastion

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/endpoints"
	"github.com/postern-cdk/postern/internal/cdktest"
)

func TestMain(m *testing.M) { cdktest.Main(m) }

type zone struct{}

func (zone) HostedZoneId() *string { return jsii.String("Z1") }
func (zone) ZoneName() *string     { return jsii.String("example.com") }

// These stand for things that validate only compares with nil.
var (
	someImage awsec2.IMachineImage = &pinnedImage{"ami-0123456789abcdef0"}
	someRole                       = struct{ awsiam.IRole }{}
	someLimit                      = struct{ awsiam.IManagedPolicy }{}
)

func knownServices() string {
	words := []string{}
	for _, service := range endpoints.Known() {
		words = append(words, string(service))
	}
	return strings.Join(words, ", ")
}

func fault(p Props) string {
	filled := p.withDefaults()
	if err := filled.validate(); err != nil {
		return err.Error()
	}
	return ""
}

func TestDefaults(t *testing.T) {
	p := (*Props)(nil).withDefaults()
	assert.Equal(t, Props{
		InstanceType:        "t4g.micro",
		RootDevice:          "/dev/xvda",
		VolumeGiB:           8,
		SignalTimeout:       15 * time.Minute,
		MaxInstanceLifetime: 30 * 24 * time.Hour,
	}, p)
	require.NoError(t, p.validate())

	for name, given := range map[string]*Props{
		"pinned":           {Image: ImagePinned, ImageId: "ami-0123456789abcdef0"},
		"latest at deploy": {Image: ImageLatestAtDeploy},
		"own image":        {MachineImage: someImage},
		"no rotation":      {NoRotation: true},
	} {
		p := given.withDefaults()
		assert.Zero(t, p.MaxInstanceLifetime, name)
		assert.NoError(t, p.validate(), name)
	}

	given := Props{InstanceType: "t3.small", RootDevice: "/dev/sda1", VolumeGiB: 30, SignalTimeout: time.Hour, MaxInstanceLifetime: day}
	assert.Equal(t, given, given.withDefaults())
}

func TestDefaultsLeaveTheGivenPropsAlone(t *testing.T) {
	given := &Props{}
	given.withDefaults()
	assert.Equal(t, &Props{}, given)
}

func TestGood(t *testing.T) {
	for name, p := range map[string]Props{
		"office":                    {Address: AddressElasticIP, AllowedCidrs: []string{"203.0.113.0/24", "2001:db8::/32"}, AllowedPrefixLists: []string{"pl-63a5400a"}},
		"private block, no address": {AllowedCidrs: []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.7.0/24", "100.64.0.0/10", "2001:db8::/32"}},
		"prefix list, no address":   {AllowedPrefixLists: []string{"pl-0123456789abcdef0"}},
		"everyone by choice":        {Address: AddressElasticIP, AllowEveryone: true, AllowedCidrs: []string{"0.0.0.0/0", "::/0", "0.0.0.0/1"}},
		"tokens":                    {AllowedCidrs: []string{"${Token[T.1]}", "${Token[T.1]}x"}, ImageParameter: "${Token[T.1]}", EgressPrefixLists: []string{"${Token[T.2]}"}},
		"record":                    {Address: AddressElasticIP, HostedZone: zone{}, RecordName: "ops.bastion"},
		"x86":                       {InstanceType: "t3.micro", ImageParameter: "/golden/x86_64"},
		"schedule":                  {Schedule: Schedule{Start: "0 7 * * MON-FRI", Stop: "30 19 * * 1-5", TimeZone: "Europe/Berlin"}},
		"a year":                    {MaxInstanceLifetime: 365 * day},
		"forwarding":                {SSH: SSH{PermitOpen: []Target{{Host: "${Token[T.1]}", Port: 5432}}, IdleTimeout: time.Hour}},
	} {
		assert.Empty(t, fault(p), name)
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		props Props
		want  string
	}{
		{
			"address",
			Props{Address: "eip"},
			`Address: "eip" is not known: use bastion.AddressNone, bastion.AddressElasticIP or bastion.AddressNetworkLoadBalancer`,
		},
		{
			"static",
			Props{StaticAddresses: true},
			`StaticAddresses: is set without a load balancer: set Address to bastion.AddressNetworkLoadBalancer; an Elastic IP is static anyway`,
		},
		{
			"record without zone",
			Props{RecordName: "b"},
			`RecordName: "b" has no zone: pass the HostedZone that it belongs to`,
		},
		{
			"zone without record",
			Props{HostedZone: zone{}, Address: AddressElasticIP},
			`RecordName: is missing: name the record in HostedZone, such as "bastion"`,
		},
		{
			"zone without address",
			Props{HostedZone: zone{}, RecordName: "b"},
			`HostedZone: is given, and there is no address for its record to point to: set Address, or leave HostedZone out`,
		},
		{
			"record name",
			Props{HostedZone: zone{}, RecordName: "b.example.com.", Address: AddressElasticIP},
			`RecordName: "b.example.com." is not a DNS name: write it without the zone's name, such as "bastion"`,
		},
		{
			"not a block",
			Props{Address: AddressElasticIP, AllowedCidrs: []string{"10.0.0.0/8", "203.0.113.7"}},
			`AllowedCidrs[1]: "203.0.113.7" is not a CIDR block: for this one address write 203.0.113.7/32`,
		},
		{
			"everyone",
			Props{Address: AddressElasticIP, AllowedCidrs: []string{"0.0.0.0/0"}},
			`AllowedCidrs[0]: "0.0.0.0/0" lets the whole internet try port 22: name the networks that people come from, or give that up with AllowEveryone`,
		},
		{
			"everyone by IPv6",
			Props{Address: AddressElasticIP, AllowedCidrs: []string{"::/0"}},
			`AllowedCidrs[0]: "::/0" lets the whole internet try port 22: name the networks that people come from, or give that up with AllowEveryone`,
		},
		{
			"half of everyone",
			Props{Address: AddressElasticIP, AllowedCidrs: []string{"128.0.0.0/1"}},
			`AllowedCidrs[0]: "128.0.0.0/1" is wider than any one network: blocks end at /8: name the networks that people come from, or give that up with AllowEveryone`,
		},
		{
			"all of IPv6",
			Props{Address: AddressElasticIP, AllowedCidrs: []string{"2000::/3"}},
			`AllowedCidrs[0]: "2000::/3" is wider than any one network: blocks end at /16: name the networks that people come from, or give that up with AllowEveryone`,
		},
		{
			"public block, no address",
			Props{AllowedCidrs: []string{"203.0.113.0/24"}},
			`AllowedCidrs[0]: "203.0.113.0/24" is a public block, and the bastion has no public address: set Address, or, where the block arrives over Direct Connect or a VPN, put it in a prefix list and name that in AllowedPrefixLists`,
		},
		{
			"wider than private",
			Props{AllowedCidrs: []string{"172.0.0.0/8"}},
			`AllowedCidrs[0]: "172.0.0.0/8" is a public block, and the bastion has no public address: set Address, or, where the block arrives over Direct Connect or a VPN, put it in a prefix list and name that in AllowedPrefixLists`,
		},
		{
			"IPv6 to a load balancer",
			Props{Address: AddressNetworkLoadBalancer, AllowedCidrs: []string{"2001:db8::/32"}},
			`AllowedCidrs[0]: "2001:db8::/32" is an IPv6 block, and the load balancer listens on IPv4: name IPv4 blocks`,
		},
		{
			"twice",
			Props{AllowedCidrs: []string{"10.0.0.0/8", "10.0.0.0/8"}},
			`AllowedCidrs[1]: "10.0.0.0/8" is AllowedCidrs[0] already: leave one out`,
		},
		{
			"prefix list",
			Props{AllowedPrefixLists: []string{"office"}},
			`AllowedPrefixLists[0]: "office" is not the ID of a prefix list: write it such as pl-0123456789abcdef0`,
		},
		{
			"prefix list twice",
			Props{EgressPrefixLists: []string{"pl-63a5400a", "pl-63a5400a"}},
			`EgressPrefixLists[1]: "pl-63a5400a" is EgressPrefixLists[0] already: leave one out`,
		},
		{
			"instance type",
			Props{InstanceType: "micro"},
			`InstanceType: "micro" is not an instance type: write family and size, such as t4g.micro`,
		},
		{
			"old instance type",
			Props{InstanceType: "t2.micro"},
			`InstanceType: "t2.micro" is of a generation without EBS optimization: use a current type, such as t4g.micro or t3.micro`,
		},
		{
			"mac",
			Props{InstanceType: "mac2.metal"},
			`InstanceType: "mac2.metal" runs macOS on a dedicated host: use a Linux type, such as t4g.micro`,
		},
		{
			"instance type as token",
			Props{InstanceType: "${Token[T.1]}"},
			`InstanceType: is a token, and the image depends on its architecture: write the instance type out, such as t4g.micro`,
		},
		{
			"image for another architecture",
			Props{ImageParameter: "/golden/x86_64"},
			`ImageParameter: "/golden/x86_64" is an image for x86_64, and t4g.micro needs one for arm64: use an image for arm64, or another InstanceType`,
		},
		{
			"parameter",
			Props{ImageParameter: "golden image"},
			`ImageParameter: "golden image" is not the name of a parameter: write it such as /golden/bastion/arm64`,
		},
		{
			"image",
			Props{Image: "newest"},
			`Image: "newest" is not known: use bastion.ImageAtLaunch, bastion.ImageLatestAtDeploy or bastion.ImagePinned`,
		},
		{
			"pinned to nothing",
			Props{Image: ImagePinned},
			`ImageId: is missing: name the image to stay with, such as ami-0123456789abcdef0`,
		},
		{
			"pinned to no image",
			Props{Image: ImagePinned, ImageId: "ami-123"},
			`ImageId: "ami-123" is not the ID of an image: write it such as ami-0123456789abcdef0`,
		},
		{
			"pinned and looked up",
			Props{Image: ImagePinned, ImageId: "ami-12345678", ImageParameter: "/golden/arm64"},
			`ImageParameter: "/golden/arm64" is given, and Image stays with ImageId: leave ImageParameter out, or Image`,
		},
		{
			"image ID unpinned",
			Props{ImageId: "ami-12345678"},
			`ImageId: "ami-12345678" is given, and Image looks the image up: set Image to bastion.ImagePinned, or leave ImageId out`,
		},
		{
			"own image and another",
			Props{MachineImage: someImage, ImageParameter: "/golden/arm64"},
			`ImageParameter: "/golden/arm64" is given together with MachineImage: leave one of the two out`,
		},
		{
			"root device",
			Props{RootDevice: "xvda"},
			`RootDevice: "xvda" is not a device name: write the image's root device, such as /dev/xvda or /dev/sda1`,
		},
		{
			"volume",
			Props{VolumeGiB: 20000},
			`VolumeGiB: 20000 is out of range: use 1 to 16384`,
		},
		{
			"lifetime",
			Props{MaxInstanceLifetime: time.Hour},
			`MaxInstanceLifetime: 1h is out of range: use 24h to 8760h (1 to 365 days), or NoRotation`,
		},
		{
			"negative lifetime",
			Props{MaxInstanceLifetime: -day},
			`MaxInstanceLifetime: -24h is out of range: use 24h to 8760h (1 to 365 days), or NoRotation`,
		},
		{
			"fine lifetime",
			Props{MaxInstanceLifetime: day + time.Millisecond},
			`MaxInstanceLifetime: 24h0m0.001s is finer than a second: use whole seconds`,
		},
		{
			"lifetime and none",
			Props{MaxInstanceLifetime: day, NoRotation: true},
			`MaxInstanceLifetime: 24h is given together with NoRotation: leave one of the two out`,
		},
		{
			"signal",
			Props{SignalTimeout: time.Minute},
			`SignalTimeout: 1m is out of range: use 5m to 1h`,
		},
		{
			"fine signal",
			Props{SignalTimeout: 10*time.Minute + time.Millisecond},
			`SignalTimeout: 10m0.001s is finer than a second: use whole seconds`,
		},
		{
			"endpoint",
			Props{ExistingEndpoints: []endpoints.Service{endpoints.SSM, "log"}},
			`ExistingEndpoints[1]: "log" is not known: did you mean "logs"? use one of ` + knownServices(),
		},
		{
			"boundary of another's role",
			Props{Role: someRole, PermissionsBoundary: someLimit},
			`PermissionsBoundary: is given together with Role, which has its own: set the boundary where the role is made, or leave Role out`,
		},
		{
			"start only",
			Props{Schedule: Schedule{Start: "0 7 * * *"}},
			`Schedule.Stop: is missing: say when the bastion goes down, such as "0 19 * * MON-FRI"`,
		},
		{
			"zone only",
			Props{Schedule: Schedule{TimeZone: "Europe/Berlin"}},
			`Schedule.Start: is missing: say when the bastion comes up, such as "0 7 * * MON-FRI"` + "\n" +
				`Schedule.Stop: is missing: say when the bastion goes down, such as "0 19 * * MON-FRI"`,
		},
		{
			"same times",
			Props{Schedule: Schedule{Start: "0 7 * * *", Stop: "0 7 * * *"}},
			`Schedule.Stop: "0 7 * * *" is also the start: use two different times`,
		},
		{
			"time zone",
			Props{Schedule: Schedule{Start: "0 7 * * *", Stop: "0 8 * * *", TimeZone: "CET/Berlin"}},
			`Schedule.TimeZone: "CET/Berlin" is not a time zone: use a name of the IANA time zone database, such as Europe/Berlin, or none for UTC`,
		},
		{
			"cron",
			Props{Schedule: Schedule{Start: "0 7 * *", Stop: "0 24 * * *"}},
			`Schedule.Start: "0 7 * *" has 4 fields: write five: minute, hour, day of month, month, day of week, such as "0 7 * * MON-FRI"` + "\n" +
				`Schedule.Stop: "24" cannot be the hour in "0 24 * * *": use 0 to 23, a range such as 1-5, or *`,
		},
		{
			"forwarding to a wildcard",
			Props{SSH: SSH{PermitOpen: []Target{{Host: "*", Port: 22}}}},
			`SSH.PermitOpen[0].Host: "*" is not a host: write one DNS name, IPv4 address or IPv6 address, without wildcards`,
		},
	} {
		assert.Equal(t, c.want, fault(c.props), c.name)
	}
}

func TestHostFaults(t *testing.T) {
	for want, host := range map[string]Host{
		"": {
			Recording:    Recording{Commands: CommandsRecorded, Input: true, KeepDays: 30, MinFreeMiB: 512},
			People:       People{Prefix: "ops/keys/", Sudo: []string{"alice"}, SecondFactor: true, MaxShrinkPercent: 10, WarnKeyAge: 24 * time.Hour, MaxKeyAge: 48 * time.Hour},
			Certificates: Certificates{RevocationKey: "revoked.krl"},
			HostKeys:     HostKeys{Version: "2026", NextVersion: "2027", Certificate: true},
			Hardening:    Hardening{UpdateRelease: "2023.9.20251117"},
		},
		`Host.Recording.Commands: "refused" is not known: write "record", or leave it out: then they are refused`:                {Recording: Recording{Commands: "refused"}},
		`Host.Recording.MinFreeMiB: 1 is out of range: use 64 to 1048576`:                                                        {Recording: Recording{MinFreeMiB: 1}},
		`Host.People.Sudo[0]: "a b" is not the name of a person: write it as the object with their keys is called, without .pub`: {People: People{Sudo: []string{"a b"}}},
		`Host: hold a token, whose value is not known when the payload is compressed: write the value itself`:                    {HostKeys: HostKeys{Version: "${Token[TOKEN.1]}"}},
		`Host.HostKeys.Ephemeral: leaves nowhere to keep the secrets of one-time passwords: leave it out, or both Host.People.Sudo and Host.People.SecondFactor`: {
			People: People{SecondFactor: true}, HostKeys: HostKeys{Ephemeral: true},
		},
		`Host.HostKeys.Ephemeral: is set together with choices for keys that are kept: leave it out, or the other fields of HostKeys`: {
			HostKeys: HostKeys{Ephemeral: true, Certificate: true},
		},
		`Host.Bundle: is a token, and the file is read now: write the path of the file`:                                {Bundle: "${Token[TOKEN.1]}"},
		`Host.Hardening.UpdateRelease: "latest" is not a release of Amazon Linux 2023: write it as in 2023.9.20251117`: {Hardening: Hardening{UpdateRelease: "latest"}},
	} {
		assert.Equal(t, want, fault(Props{Host: host}))
	}
}

func TestOwnPath(t *testing.T) {
	assert.Equal(t, "/postern/Access/Bastion", ownPath("Access", "Access", "Access/Bastion"))
	assert.Equal(t, "/postern/prod-access/Doors/The-one", ownPath("prod-access", "Stage/Access", "Stage/Access/Doors/The one"))
}

func TestPorts(t *testing.T) {
	assert.Empty(t, ports(nil))
	assert.Equal(t, "22 443 5432", ports([]int{5432, 22, 443, 22}))
}

func TestAllFaultsAtOnce(t *testing.T) {
	lines := strings.Split(fault(Props{
		Address: "eip", AllowedCidrs: []string{"x", "y"}, InstanceType: "z", SignalTimeout: 1, Schedule: Schedule{Start: "x"},
	}), "\n")
	assert.Len(t, lines, 7)
}

func TestArchitectureOf(t *testing.T) {
	for instanceType, want := range map[string]architecture{
		"t4g.nano": arm64, "t4g.micro": arm64, "m7gd.large": arm64, "im4gn.xlarge": arm64, "is4gen.medium": arm64, "a1.medium": arm64,
		"c7gn.16xlarge": arm64, "x2gd.metal": arm64, "r8g.metal-24xl": arm64, "hpc7g.4xlarge": arm64,
		"t3.micro": amd64, "t3a.nano": amd64, "m5.large": amd64, "c6i.large": amd64, "g4dn.xlarge": amd64, "g5.xlarge": amd64,
		"gr6.4xlarge": amd64, "x2iedn.xlarge": amd64, "u-6tb1.metal": "", "t4g": "", "T4G.micro": "", "t4g.micro ": "", "": "",
	} {
		got, fault := architectureOf(instanceType)
		assert.Equal(t, want, got, instanceType)
		assert.Equal(t, want == "", fault != nil, instanceType)
	}
}

func TestImageParameter(t *testing.T) {
	for instanceType, want := range map[string]string{
		"t4g.micro": "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64",
		"t3.micro":  "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
	} {
		assert.Equal(t, want, (&Props{InstanceType: instanceType}).imageParameter())
	}
	assert.Equal(t, "/mine", (&Props{InstanceType: "t3.micro", ImageParameter: "/mine"}).imageParameter())
}
