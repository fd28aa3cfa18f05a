package bastion

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"

	"github.com/postern-cdk/postern/constructs/endpoints"
	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/host"
	"github.com/postern-cdk/postern/internal/host/bundle"
)

// Address is how the bastion is found from outside its network.
type Address string

const (
	// AddressNone, the default, gives the bastion no public address. It lives in
	// private or isolated subnets and is reached through Session Manager, an EC2
	// Instance Connect Endpoint, or a private network.
	AddressNone Address = ""
	// AddressElasticIP puts the bastion in public subnets and gives it an Elastic
	// IP address that follows the instance when it is replaced. About $3.65 a
	// month. Sessions through the address end when the next instance takes it.
	AddressElasticIP Address = "elastic-ip"
	// AddressNetworkLoadBalancer leaves the bastion in private subnets and puts a
	// Network Load Balancer with a security group of its own before it, which
	// keeps the client's address visible. About $16.43 a month, and $3.65 for each
	// public subnet's address.
	AddressNetworkLoadBalancer Address = "network-load-balancer"
)

// Image is how the machine image of the bastion is chosen.
type Image string

const (
	// ImageAtLaunch, the default, lets EC2 look the newest image up whenever an
	// instance is launched. A deploy doesn't replace the bastion because an image
	// was published; MaxInstanceLifetime brings the newest in.
	// See https://docs.aws.amazon.com/autoscaling/ec2/userguide/using-systems-manager-parameters.html.
	ImageAtLaunch Image = ""
	// ImageLatestAtDeploy looks the newest image up at each deploy. Whoever
	// deploys next after an image was published replaces the bastion.
	ImageLatestAtDeploy Image = "latest-at-deploy"
	// ImagePinned stays with ImageId until that is changed. Security updates of
	// the image are then up to you.
	ImagePinned Image = "pinned"
)

// HostedZone is the part of a Route 53 hosted zone that a record needs. Every
// awsroute53.IHostedZone is one.
type HostedZone interface {
	HostedZoneId() *string
	ZoneName() *string
}

const (
	// DefaultInstanceType has 1 GiB of memory: installing packages in the 512 MiB
	// of a nano is tight.
	DefaultInstanceType = "t4g.micro"
	// DefaultMaxInstanceLifetime is how old an instance gets whose image is chosen
	// at launch.
	DefaultMaxInstanceLifetime = 30 * 24 * time.Hour
	// DefaultSignalTimeout is how long an instance may take to report that it is
	// ready.
	DefaultSignalTimeout = 15 * time.Minute
	// DefaultVolumeGiB is the size of the root volume of Amazon Linux 2023.
	DefaultVolumeGiB = 8
	// DefaultRootDevice is the root device of Amazon Linux 2023.
	DefaultRootDevice = "/dev/xvda"
	// Toolchain compiles what runs on the host, whatever Go compiled the app: two
	// colleagues who deploy would otherwise replace each other's bastion. The go
	// command fetches it once where it isn't there.
	Toolchain = bundle.Toolchain
	// MetricsNamespace is where the bastion puts its metrics in CloudWatch, with
	// the one dimension AutoScalingGroupName.
	MetricsNamespace = host.DefaultMetricsNamespace
)

// Props configures a bastion. The zero value, and nil, give a private bastion
// in a network of its own, open to Session Manager only.
type Props struct {
	// Vpc the bastion lives in. Defaults to a new network without NAT. Without an
	// Elastic IP it gets the seven interface endpoints that the bastion needs, about
	// $102.20 a month in two Availability Zones; a network.Network with NAT is
	// cheaper where nothing else uses them.
	Vpc awsec2.IVpc
	// Subnets for the instances, in one or more Availability Zones. Defaults to
	// the public subnets with AddressElasticIP, otherwise to the private subnets
	// with a way out, otherwise to the isolated subnets.
	Subnets []awsec2.ISubnet
	// Endpoints of the network, which then admit the bastion. Where the subnets
	// have no way out, what the bastion needs and they lack is added to them, at
	// $7.30 a month for each service and Availability Zone. Defaults to none.
	Endpoints *endpoints.Endpoints
	// ExistingEndpoints names services whose interface endpoints are in Vpc
	// already and admit the bastion, though this app doesn't know them. Defaults
	// to none.
	ExistingEndpoints []endpoints.Service

	// Address decides whether and how the bastion is reached from the internet.
	// Defaults to AddressNone.
	Address Address
	// StaticAddresses gives the load balancer one Elastic IP address in each
	// public subnet, for clients that must name addresses. Only with
	// AddressNetworkLoadBalancer.
	StaticAddresses bool
	// HostedZone where a record named RecordName points to the address. Defaults
	// to no record.
	HostedZone HostedZone
	// RecordName in HostedZone, without the zone's own name, such as "bastion".
	// Required with HostedZone.
	RecordName string

	// AllowedCidrs may reach port 22, such as "203.0.113.0/24". Defaults to none.
	// IPv6 blocks become IPv6 rules.
	AllowedCidrs []string
	// AllowedPrefixLists may reach port 22, by ID, such as "pl-0123456789abcdef0".
	// Defaults to none. What a list holds is not examined.
	AllowedPrefixLists []string
	// AllowEveryone gives up the refusal of 0.0.0.0/0, ::/0 and of blocks wider
	// than /8 (IPv4) or /16 (IPv6) in AllowedCidrs.
	AllowEveryone bool
	// EgressPrefixLists limits outgoing HTTPS to these prefix lists, such as the
	// one of S3 in the Region, beside the interface endpoints and what AllowTo
	// names. Defaults to HTTPS to anywhere that the subnets have a route to.
	// See https://docs.aws.amazon.com/vpc/latest/userguide/working-with-aws-managed-prefix-lists.html.
	EgressPrefixLists []string

	// InstanceType decides size, price and processor architecture. Defaults to
	// DefaultInstanceType, about $6.13 a month.
	InstanceType string
	// Image decides which machine image is launched. Defaults to ImageAtLaunch.
	Image Image
	// ImageId is the image to stay with, such as "ami-0123456789abcdef0". Required
	// with ImagePinned; its architecture must be that of InstanceType.
	ImageId string
	// ImageParameter is the Systems Manager parameter that names the image, for
	// ImageAtLaunch and ImageLatestAtDeploy. Defaults to the public parameter of
	// Amazon Linux 2023 for the architecture of InstanceType.
	ImageParameter string
	// MachineImage is an image of your own, instead of Image. Its architecture
	// must be that of InstanceType, its own user data is not used.
	MachineImage awsec2.IMachineImage
	// RootDevice is the name of the image's root device. A wrong one leaves the
	// root volume unencrypted and adds a second volume. Defaults to
	// DefaultRootDevice; Debian and Ubuntu have "/dev/xvda" and "/dev/sda1".
	RootDevice string
	// VolumeGiB is the size of the encrypted gp3 root volume in GiB, 1 to 16384,
	// at least the size of the image. Defaults to DefaultVolumeGiB, about $0.64 a
	// month.
	VolumeGiB int

	// MaxInstanceLifetime replaces an instance of this age, the new one first; 24
	// hours to 365 days. Sessions on the old one end. Defaults to
	// DefaultMaxInstanceLifetime where the image is chosen at launch, so that
	// updates arrive, otherwise to no limit.
	// See https://docs.aws.amazon.com/autoscaling/ec2/userguide/asg-max-instance-lifetime.html.
	MaxInstanceLifetime time.Duration
	// NoRotation gives up the replacement by age, and with it the updates that
	// come with newer images.
	NoRotation bool
	// SignalTimeout is how long a new instance may take to report that it is
	// ready, before a deploy fails and is rolled back, and before a successor that
	// no deploy asked for is ended; 5 minutes to 1 hour.
	// Defaults to DefaultSignalTimeout.
	SignalTimeout time.Duration
	// Schedule runs the bastion at working hours only. Defaults to always.
	Schedule Schedule
	// Spot gives up that the instance stays: EC2 may take it back with two
	// minutes' notice. Cheaper than on demand.
	Spot bool
	// DetailedMonitoring measures each minute instead of every five. About $2.10
	// a month.
	DetailedMonitoring bool

	// Key encrypts the root volume, and the log group made here. Defaults to a new
	// key with yearly rotation that outlives the stack, $1 a month. A given key
	// gets the policy statements that it needs; where the CDK can't add them, such
	// as to an imported key, a warning shows them.
	Key awskms.IKey
	// Host is what runs on the instance. The zero value is the safest.
	Host Host
	// Bucket is where records are locked away, below "sessions/", in that of an
	// archive.LogAccount below "sessions/ACCOUNT/". Defaults to that
	// of a new archive.Archive, which outlives the stack. The role may write to it
	// and neither read, replace nor delete what is there. An imported bucket that is
	// encrypted under a KMS key must name it:
	// awss3.Bucket_FromBucketAttributes with EncryptionKey.
	Bucket awss3.IBucket
	// LogGroup takes the journal, and the kinds of records that LogGroups doesn't
	// name. Defaults to a new encrypted one that keeps a year and outlives the stack.
	LogGroup awslogs.ILogGroup
	// LogGroups gives kinds of records a log group of their own, for other readers
	// or another retention. Defaults to LogGroup for all.
	LogGroups LogGroups
	// Role of the instances. It gets two customer managed policies of exactly what
	// the bastion does. Defaults to a new role.
	Role awsiam.IRole
	// PermissionsBoundary of the new role. Defaults to none.
	PermissionsBoundary awsiam.IManagedPolicy
	// SSH configures the SSH server. The zero value is the safest: public keys
	// only, no forwarding, short limits.
	SSH SSH
	// Topic is told of each launch and termination. Defaults to none.
	Topic awssns.ITopic
}

// SSH configures the SSH server of the bastion. Its zero value is the safest:
// public keys only, no root, no forwarding of anything, short limits.
type SSH struct {
	// PermitOpen lists what people may forward TCP connections to (ssh -L, -W,
	// ProxyJump), and nothing else; AllowTo opens the way there. What is forwarded
	// is not recorded. Defaults to none: no forwarding at all.
	PermitOpen []Target
	// MaxAuthTries is how many keys may be tried in one connection, 1 to 10.
	// Defaults to 4.
	MaxAuthTries int
	// MaxSessions is how many sessions one connection may multiplex, 1 to 10.
	// Defaults to 4.
	MaxSessions int
	// LoginGraceTime is how long a client may take to log in, 10 s to 2 min, in
	// whole seconds. Defaults to 30 s.
	LoginGraceTime time.Duration
	// IdleTimeout ends a session in which nothing was typed or shown for so long,
	// 1 min to 12 h, in whole seconds. Defaults to 15 min.
	IdleTimeout time.Duration
	// NoIdleTimeout lets a forgotten session stay open for ever.
	NoIdleTimeout bool
	// MinRSABits is the smallest RSA key accepted, 2048 to 16384. Defaults to 3072.
	MinRSABits int
	// AllowECDSAHostKey offers the host's NIST P-256 key too, for clients in FIPS
	// mode, which can't verify an Ed25519 key.
	AllowECDSAHostKey bool
	// Banner is shown before login: printable ASCII, up to 1,024 bytes. Defaults
	// to none.
	Banner string
}

// Target is a host and a port that may be forwarded to. Host is compared with
// the text that the client asks for, before any lookup, and may be a token.
type Target = host.Target

// withDefaults returns a copy with the defaults that need no construct tree.
func (p *Props) withDefaults() Props {
	var filled Props
	if p != nil {
		filled = *p
	}
	if filled.InstanceType == "" {
		filled.InstanceType = DefaultInstanceType
	}
	if filled.RootDevice == "" {
		filled.RootDevice = DefaultRootDevice
	}
	if filled.VolumeGiB == 0 {
		filled.VolumeGiB = DefaultVolumeGiB
	}
	if filled.SignalTimeout == 0 {
		filled.SignalTimeout = DefaultSignalTimeout
	}
	if filled.MaxInstanceLifetime == 0 && !filled.NoRotation && filled.followsImage() {
		filled.MaxInstanceLifetime = DefaultMaxInstanceLifetime
	}
	return filled
}

// followsImage reports whether a replaced instance may get a newer image
// without a deploy.
func (p *Props) followsImage() bool { return p.MachineImage == nil && p.Image == ImageAtLaunch }

// imageParameter is the name of the parameter that holds the image.
func (p *Props) imageParameter() string {
	if p.ImageParameter != "" {
		return p.ImageParameter
	}
	arch, _ := architectureOf(p.InstanceType)
	return "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-" + string(arch)
}

const day = 24 * time.Hour

var (
	imagePattern      = regexp.MustCompile(`^ami-([0-9a-f]{8}|[0-9a-f]{17})$`)
	parameterPattern  = regexp.MustCompile(`^[a-zA-Z0-9_.\-/]+(:[a-zA-Z0-9_.\-]+)?$`)
	prefixListPattern = regexp.MustCompile(`^pl-[0-9a-f]{8,17}$`)
	devicePattern     = regexp.MustCompile(`^/dev/[a-z]+[a-z0-9]*$`)
)

// pendingCidr is what the CDK gives for the block of a VPC that is still to be
// looked up.
const pendingCidr = "1.2.3.4/5"

// validate reports every fault of filled props that shows without the tree.
func (p *Props) validate() error {
	var faults check.Faults
	p.validateAddress(&faults)
	p.validateAllowed(&faults)
	p.validateImage(&faults)
	p.validateLife(&faults)
	for i, service := range p.ExistingEndpoints {
		faults.Check(fmt.Sprintf("ExistingEndpoints[%d]", i), check.OneOf(service, endpoints.Known()...))
	}
	if p.Role != nil && p.PermissionsBoundary != nil {
		faults.Add("PermissionsBoundary", "is given together with Role, which has its own",
			"set the boundary where the role is made, or leave Role out")
	}
	p.Host.validate(&faults)
	for _, fault := range check.List(p.hostConfig().Validate()) {
		faults.Add(fieldOf(fault.Field), fault.Problem, fault.Fix)
	}
	return faults.Err()
}

// hostConfig is what the host is told that needs no construct tree.
func (p *Props) hostConfig() host.Config {
	choices := p.Host.choices()
	// sshd knows of idle connections, the recorder of idle people.
	if !p.SSH.NoIdleTimeout {
		choices.Recording.IdleTimeout = cmp.Or(p.SSH.IdleTimeout, host.DefaultIdleTimeout)
	}
	return host.Config{
		MetricsNamespace: MetricsNamespace,
		SSH:              host.SSH(p.SSH),
		Choices:          choices,
		RelayTargets:     p.Host.Relay.targets(),
		Hardening:        p.Host.Hardening,
	}
}

func (p *Props) validateAddress(faults *check.Faults) {
	if fault := check.OneOf(p.Address, AddressNone, AddressElasticIP, AddressNetworkLoadBalancer); fault != nil {
		faults.Addf("Address", "use bastion.AddressNone, bastion.AddressElasticIP or bastion.AddressNetworkLoadBalancer",
			"%q is not known", string(p.Address))
	}
	if p.StaticAddresses && p.Address != AddressNetworkLoadBalancer {
		faults.Add("StaticAddresses", "is set without a load balancer",
			"set Address to bastion.AddressNetworkLoadBalancer; an Elastic IP is static anyway")
	}
	switch {
	case p.HostedZone == nil && p.RecordName != "":
		faults.Addf("RecordName", "pass the HostedZone that it belongs to", "%q has no zone", p.RecordName)
	case p.HostedZone != nil && p.RecordName == "":
		faults.Add("RecordName", "is missing", `name the record in HostedZone, such as "bastion"`)
	case p.HostedZone != nil && p.Address == AddressNone:
		faults.Add("HostedZone", "is given, and there is no address for its record to point to",
			"set Address, or leave HostedZone out")
	}
	if p.RecordName != "" {
		faults.Check("RecordName", check.RecordName(p.RecordName))
	}
}

func (p *Props) validateAllowed(faults *check.Faults) {
	for i, cidr := range p.AllowedCidrs {
		field := fmt.Sprintf("AllowedCidrs[%d]", i)
		if cidr == pendingCidr {
			continue
		}
		if fault := check.CIDR(cidr); fault != nil {
			faults.Check(field, fault)
			continue
		}
		if check.Token(cidr) {
			continue
		}
		prefix := netip.MustParsePrefix(cidr)
		switch limit, wide := check.TooWide(prefix); {
		case check.Everyone(cidr) && !p.AllowEveryone:
			faults.Addf(field, "name the networks that people come from, or give that up with AllowEveryone",
				"%q lets the whole internet try port 22", cidr)
		case wide && !p.AllowEveryone:
			faults.Addf(field, "name the networks that people come from, or give that up with AllowEveryone",
				"%q is wider than any one network: blocks end at /%d", cidr, limit)
		case p.Address == AddressNone && prefix.Addr().Is4() && !private(prefix):
			faults.Addf(field, "set Address, or, where the block arrives over Direct Connect or a VPN, put it in a prefix list and name that in AllowedPrefixLists",
				"%q is a public block, and the bastion has no public address", cidr)
		case p.Address == AddressNetworkLoadBalancer && prefix.Addr().Is6():
			faults.Addf(field, "name IPv4 blocks", "%q is an IPv6 block, and the load balancer listens on IPv4", cidr)
		}
		for j, other := range p.AllowedCidrs[:i] {
			if other == cidr {
				faults.Addf(field, "leave one out", "%q is AllowedCidrs[%d] already", cidr, j)
				break
			}
		}
	}
	prefixLists(faults, "AllowedPrefixLists", p.AllowedPrefixLists)
	prefixLists(faults, "EgressPrefixLists", p.EgressPrefixLists)
}

func prefixLists(faults *check.Faults, field string, list []string) {
	for i, id := range list {
		if !check.Token(id) && !prefixListPattern.MatchString(id) {
			faults.Addf(fmt.Sprintf("%s[%d]", field, i), "write it such as pl-0123456789abcdef0",
				"%q is not the ID of a prefix list", id)
		}
		for j, other := range list[:i] {
			if other == id {
				faults.Addf(fmt.Sprintf("%s[%d]", field, i), "leave one out", "%q is %s[%d] already", id, field, j)
				break
			}
		}
	}
}

// privateBlocks are those that no route of the internet leads to.
var privateBlocks = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"),
}

func private(prefix netip.Prefix) bool {
	for _, block := range privateBlocks {
		if block.Contains(prefix.Addr()) && prefix.Bits() >= block.Bits() {
			return true
		}
	}
	return false
}

func (p *Props) validateImage(faults *check.Faults) {
	arch, fault := architectureOf(p.InstanceType)
	if check.Token(p.InstanceType) {
		fault = &check.Fault{
			Problem: "is a token, and the image depends on its architecture",
			Fix:     "write the instance type out, such as t4g.micro",
		}
	}
	faults.Check("InstanceType", fault)

	if p.MachineImage != nil {
		for _, given := range []struct{ field, value string }{
			{"Image", string(p.Image)}, {"ImageId", p.ImageId}, {"ImageParameter", p.ImageParameter},
		} {
			if given.value != "" {
				faults.Addf(given.field, "leave one of the two out", "%q is given together with MachineImage", given.value)
			}
		}
	} else {
		p.validateImageChoice(faults)
	}
	if named := architectureNamed(p.ImageParameter); fault == nil && named != "" && named != arch {
		faults.Addf("ImageParameter", fmt.Sprintf("use an image for %s, or another InstanceType", arch),
			"%q is an image for %s, and %s needs one for %s", p.ImageParameter, named, p.InstanceType, arch)
	}
	if !devicePattern.MatchString(p.RootDevice) {
		faults.Addf("RootDevice", "write the image's root device, such as /dev/xvda or /dev/sda1",
			"%q is not a device name", p.RootDevice)
	}
	faults.Check("VolumeGiB", check.Between(p.VolumeGiB, 1, 16384))
}

func (p *Props) validateImageChoice(faults *check.Faults) {
	switch p.Image {
	case ImageAtLaunch, ImageLatestAtDeploy:
		if p.ImageId != "" {
			faults.Addf("ImageId", "set Image to bastion.ImagePinned, or leave ImageId out", "%q is given, and Image looks the image up", p.ImageId)
		}
		if p.ImageParameter != "" && !check.Token(p.ImageParameter) && !parameterPattern.MatchString(p.ImageParameter) {
			faults.Addf("ImageParameter", "write it such as /golden/bastion/arm64", "%q is not the name of a parameter", p.ImageParameter)
		}
	case ImagePinned:
		if p.ImageId == "" {
			faults.Add("ImageId", "is missing", "name the image to stay with, such as ami-0123456789abcdef0")
		} else if !check.Token(p.ImageId) && !imagePattern.MatchString(p.ImageId) {
			faults.Addf("ImageId", "write it such as ami-0123456789abcdef0", "%q is not the ID of an image", p.ImageId)
		}
		if p.ImageParameter != "" {
			faults.Addf("ImageParameter", "leave ImageParameter out, or Image", "%q is given, and Image stays with ImageId", p.ImageParameter)
		}
	default:
		faults.Addf("Image", "use bastion.ImageAtLaunch, bastion.ImageLatestAtDeploy or bastion.ImagePinned",
			"%q is not known", string(p.Image))
	}
}

func (p *Props) validateLife(faults *check.Faults) {
	switch {
	case p.NoRotation && p.MaxInstanceLifetime != 0:
		faults.Addf("MaxInstanceLifetime", "leave one of the two out", "%s is given together with NoRotation", span(p.MaxInstanceLifetime))
	case p.MaxInstanceLifetime != 0 && (p.MaxInstanceLifetime < day || p.MaxInstanceLifetime > 365*day):
		faults.Addf("MaxInstanceLifetime", "use 24h to 8760h (1 to 365 days), or NoRotation", "%s is out of range", span(p.MaxInstanceLifetime))
	case p.MaxInstanceLifetime%time.Second != 0:
		faults.Addf("MaxInstanceLifetime", "use whole seconds", "%s is finer than a second", span(p.MaxInstanceLifetime))
	}
	switch {
	case p.SignalTimeout < 5*time.Minute || p.SignalTimeout > time.Hour:
		faults.Addf("SignalTimeout", "use 5m to 1h", "%s is out of range", span(p.SignalTimeout))
	case p.SignalTimeout%time.Second != 0:
		faults.Addf("SignalTimeout", "use whole seconds", "%s is finer than a second", span(p.SignalTimeout))
	}
	faults.Merge("Schedule", p.Schedule.validate())
}

// span writes a duration without the zero units that Go appends.
func span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}
