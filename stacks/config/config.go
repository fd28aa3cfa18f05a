// Package config is what `cdk deploy` users write instead of Go: one YAML or
// JSON document that is read strictly. An unknown key, a wrong type, a bad value
// or two choices that contradict each other are all reported at once, each with
// its path, what was given and the nearest thing that would be right.
//
// An empty document is valid and gives the defaults that the fields name.
//
// The package imports no CDK, so a configuration can be checked in milliseconds.
package config

import (
	"slices"

	"github.com/postern-cdk/postern/internal/host"
)

// Config is the whole document.
type Config struct {
	// Name begins the name of every stack. Defaults to "Postern".
	Name string `yaml:"name"`
	// Account is the AWS account to deploy to. Defaults to that of the
	// credentials in use.
	Account string `yaml:"account"`
	// Region is the AWS region to deploy to. Defaults to that of the credentials
	// in use.
	Region string `yaml:"region"`
	// Tags are put on every resource that can carry tags.
	Tags map[string]string `yaml:"tags"`

	Archive         Archive         `yaml:"archive"`
	Network         Network         `yaml:"network"`
	Endpoints       Endpoints       `yaml:"endpoints"`
	Bastion         Bastion         `yaml:"bastion"`
	Session         Session         `yaml:"session"`
	InstanceConnect InstanceConnect `yaml:"instanceConnect"`
	Targets         []Target        `yaml:"targets"`
	Tunnels         []Tunnel        `yaml:"tunnels"`
	Operators       []Operator      `yaml:"operators"`
	Trail           Trail           `yaml:"trail"`
	Watch           Watch           `yaml:"watch"`
	Compliance      Compliance      `yaml:"compliance"`
	MonthlyCost     MonthlyCost     `yaml:"monthlyCost"`
}

// Network configures the VPC.
type Network struct {
	// Vpc is a VPC of yours. Defaults to a new one.
	Vpc *Vpc `yaml:"vpc"`
	// Cidr is the address range of a new VPC. Defaults to 10.0.0.0/16.
	Cidr string `yaml:"cidr"`
	// AvailabilityZones is over how many zones a new VPC goes, 1 to 4. Defaults to 2.
	AvailabilityZones int `yaml:"availabilityZones"`
	// Nat is "none" (the default), "one" or "perZone". A gateway costs $32.85 a month.
	Nat Nat `yaml:"nat"`
	// FlowLogs is where a new VPC's flow logs go: "logGroup" (the default) or "bucket".
	FlowLogs FlowLogs `yaml:"flowLogs"`
}

// Vpc names a VPC that exists. With the ID alone, the CDK looks the rest up,
// which needs credentials; with the subnets named, nothing is looked up.
type Vpc struct {
	ID                string   `yaml:"id"`
	Cidr              string   `yaml:"cidr"`
	AvailabilityZones []string `yaml:"availabilityZones"`
	// PublicSubnetIDs has one subnet for each zone, or none.
	PublicSubnetIDs []string `yaml:"publicSubnetIds"`
	// PrivateSubnetIDs has one subnet with a NAT route for each zone, or none.
	PrivateSubnetIDs []string `yaml:"privateSubnetIds"`
	// IsolatedSubnetIDs has one subnet without a way out for each zone, or none.
	IsolatedSubnetIDs []string `yaml:"isolatedSubnetIds"`
	// PublicRouteTableIDs, PrivateRouteTableIDs and IsolatedRouteTableIDs go with
	// the subnets: the S3 gateway endpoint is entered there.
	PublicRouteTableIDs   []string `yaml:"publicRouteTableIds"`
	PrivateRouteTableIDs  []string `yaml:"privateRouteTableIds"`
	IsolatedRouteTableIDs []string `yaml:"isolatedRouteTableIds"`
}

// Nat is how many NAT gateways a new VPC has.
type Nat string

// The choices of NAT.
const (
	NatNone    Nat = "none"
	NatOne     Nat = "one"
	NatPerZone Nat = "perZone"
)

// FlowLogs is where VPC flow logs go.
type FlowLogs string

// The choices of flow logs.
const (
	FlowLogsToLogGroup FlowLogs = "logGroup"
	FlowLogsToBucket   FlowLogs = "bucket"
)

// Endpoints configures the VPC endpoints, $7.30 a month for each service and zone.
type Endpoints struct {
	// Absent leaves all endpoints out.
	Absent bool `yaml:"absent"`
	// Services are interface endpoints wanted beyond those that a door needs.
	Services []string `yaml:"services"`
	// Existing are services that the VPC has an endpoint for already, s3 too.
	Existing []string `yaml:"existing"`
	// PrivateDnsOff leaves the services' own names pointing to the internet, as in
	// a VPC that shares endpoints through a private hosted zone.
	PrivateDnsOff bool `yaml:"privateDnsOff"`
}

// carrySessions reports whether an endpoint is made that sessions go through.
func (e *Endpoints) carrySessions(c *Config) bool {
	made := func(service string) bool { return !slices.Contains(e.Existing, service) }
	return c.Doors() && !e.Absent && (made("ssm") || made("ssmmessages") || slices.Contains(e.Services, "ec2messages"))
}

// Services are the interface endpoints that can be named.
var Services = []string{
	"ssm", "ssmmessages", "ec2messages", "ec2", "logs", "kms", "monitoring", "cloudformation", "autoscaling", "secretsmanager",
}

// Bastion configures the bastion host.
type Bastion struct {
	// Absent leaves the bastion out.
	Absent bool `yaml:"absent"`
	// Address is "elasticIp" (the default), "networkLoadBalancer" or "none".
	Address Address `yaml:"address"`
	// AllowedCidrs are the address ranges from which SSH is let in. Defaults to none:
	// port 22 is closed, and the host is reached through Session Manager or EC2
	// Instance Connect Endpoint.
	AllowedCidrs []string `yaml:"allowedCidrs"`
	// AllowedPrefixLists are managed prefix lists from which SSH is let in.
	AllowedPrefixLists []string `yaml:"allowedPrefixLists"`
	// AllowEveryone permits 0.0.0.0/0 and ::/0 in AllowedCidrs.
	AllowEveryone bool `yaml:"allowEveryone"`
	// InstanceType defaults to t4g.micro.
	InstanceType string `yaml:"instanceType"`
	// Image is "atLaunch" (the default: the newest Amazon Linux 2023 whenever an
	// instance starts), "latestAtDeploy" (the newest at each deploy, which replaces
	// the instance when it moved) or the ID of an image, which pins it.
	Image string `yaml:"image"`
	// MaxInstanceLifetimeDays replaces an instance at this age, 1 to 365 days.
	// Defaults to 30 with image "atLaunch", because that is how it gets patched, and
	// to never with other images.
	MaxInstanceLifetimeDays int `yaml:"maxInstanceLifetimeDays"`
	// NoRotation gives up the replacement by age.
	NoRotation bool `yaml:"noRotation"`
	// Spot runs the bastion on spare capacity that can be taken away.
	Spot bool `yaml:"spot"`
	// Schedule stops and starts the bastion. Defaults to always on.
	Schedule *Schedule `yaml:"schedule"`
	// Dns is the name of the bastion. Defaults to none.
	Dns *Dns `yaml:"dns"`
	// PermissionsBoundaryArn is a managed policy that bounds the instance's role.
	PermissionsBoundaryArn string `yaml:"permissionsBoundaryArn"`
	// Host is what runs on the instance.
	Host Host `yaml:"host"`
}

// Host configures what runs on the bastion. An empty one is the safest.
type Host struct {
	Recording    Recording    `yaml:"recording"`
	People       People       `yaml:"people"`
	Certificates Certificates `yaml:"certificates"`
	HostKeys     HostKeys     `yaml:"hostKeys"`
	Hardening    Hardening    `yaml:"hardening"`
	Relay        Relay        `yaml:"relay"`
	// Bundle is a file that bin/hostbundle made, for where there is no Go.
	Bundle string `yaml:"bundle"`
}

// Recording configures what is recorded.
type Recording struct {
	// Commands is "refused" (the default: sessions with a terminal only) or
	// "recorded" (ssh bastion COMMAND, scp and sftp too).
	Commands Commands `yaml:"commands"`
	// Input records what is typed too, passwords that programs ask for among it.
	Input bool `yaml:"input"`
	// KeepDays is how long delivered records stay on the instance too. Defaults to 7.
	KeepDays int `yaml:"keepDays"`
	// MinFreeMiB of disk below which nothing is recorded, and so nobody let in.
	// Defaults to 256.
	MinFreeMiB int `yaml:"minFreeMiB"`
}

// Commands is what becomes of sessions that bring a command.
type Commands string

// The choices for commands.
const (
	CommandsRefused  Commands = "refused"
	CommandsRecorded Commands = "recorded"
)

// People configures who has an account.
type People struct {
	// BucketName is a bucket of yours with people's public keys. Defaults to that
	// of the archive.
	BucketName string `yaml:"bucketName"`
	// Prefix of the keys' objects. Defaults to "public-keys/".
	Prefix string `yaml:"prefix"`
	// Sudo names who may become root, with a one-time password.
	Sudo []string `yaml:"sudo"`
	// SecondFactor asks for a one-time password at login too.
	SecondFactor bool `yaml:"secondFactor"`
	// MaxShrinkPercent of the people may disappear at once. Defaults to 50.
	MaxShrinkPercent int `yaml:"maxShrinkPercent"`
	// AllowEmpty lets an empty listing remove everybody.
	AllowEmpty bool `yaml:"allowEmpty"`
	// FipsKeysOnly takes ECDSA and RSA keys only.
	FipsKeysOnly bool `yaml:"fipsKeysOnly"`
	// WarnKeyAgeDays and MaxKeyAgeDays are from when a key is warned of and refused.
	WarnKeyAgeDays int `yaml:"warnKeyAgeDays"`
	MaxKeyAgeDays  int `yaml:"maxKeyAgeDays"`
}

// Certificates configures who may vouch for people.
type Certificates struct {
	// Authorities are public keys of those who sign people's certificates.
	Authorities []string `yaml:"authorities"`
	// RevocationKey is the object in the people's bucket with the revocation list.
	RevocationKey string `yaml:"revocationKey"`
}

// HostKeys configures by what clients know the bastion.
type HostKeys struct {
	// Version of the keys; another one makes new keys. Defaults to "1".
	Version string `yaml:"version"`
	// NextVersion is made ahead and told to clients.
	NextVersion string `yaml:"nextVersion"`
	// Certificate presents certificates of the keys, signed by you.
	Certificate bool `yaml:"certificate"`
	// Ephemeral gives up that keys survive the instance.
	Ephemeral bool `yaml:"ephemeral"`
}

// Hardening configures the operating system.
type Hardening struct {
	// GoldenImage installs and upgrades nothing: the image brings all. Programs and
	// configuration are read-only.
	GoldenImage bool `yaml:"goldenImage"`
	// UpdateRelease of Amazon Linux that security updates are taken from.
	UpdateRelease string `yaml:"updateRelease"`
	// NoUpdates gives up security updates between replacements.
	NoUpdates bool `yaml:"noUpdates"`
	// NoIntegrityCheck gives up the notice of changed programs and configuration.
	NoIntegrityCheck bool `yaml:"noIntegrityCheck"`
	// NoBans lets one address try to log in as often as it likes.
	NoBans bool `yaml:"noBans"`
	// MutableAuditRules lets root change the audit rules without a reboot.
	MutableAuditRules bool `yaml:"mutableAuditRules"`
}

// Relay configures the proxy by which the tunnel "Relay" reaches several targets.
type Relay struct {
	// Targets that it leads to, and nothing else. Defaults to none: no relay.
	Targets []RelayTarget `yaml:"targets"`
	// Port that it listens on, 1024 to 65535. Defaults to 1080.
	Port int `yaml:"port"`
}

// RelayTarget is what the relay leads to.
type RelayTarget struct {
	// Name by which the log names it.
	Name string `yaml:"name"`
	// Host is a DNS name or address, as clients ask for it.
	Host string `yaml:"host"`
	Port int    `yaml:"port"`
	// SecurityGroupID is the target's own group, which gets a rule for the bastion's.
	SecurityGroupID string `yaml:"securityGroupId"`
}

// RelayName is the tunnel to the relay.
const RelayName = "Relay"

// Address is how the bastion is found.
type Address string

// The choices of address.
const (
	AddressElasticIP           Address = "elasticIp"
	AddressNetworkLoadBalancer Address = "networkLoadBalancer"
	AddressNone                Address = "none"
)

// The images that are no ID.
const (
	ImageAtLaunch       = "atLaunch"
	ImageLatestAtDeploy = "latestAtDeploy"
)

// Schedule is when the bastion runs, as 5-field cron expressions.
type Schedule struct {
	Start    string `yaml:"start"`
	Stop     string `yaml:"stop"`
	TimeZone string `yaml:"timeZone"`
}

// Dns is a record in a Route 53 hosted zone.
type Dns struct {
	HostedZoneID string `yaml:"hostedZoneId"`
	ZoneName     string `yaml:"zoneName"`
	RecordName   string `yaml:"recordName"`
}

// InstanceConnect configures the EC2 Instance Connect Endpoint, which is free.
type InstanceConnect struct {
	// Absent leaves the endpoint out, as where the VPC has one already.
	Absent bool `yaml:"absent"`
	// PreserveClientIp shows targets the client's address instead of the endpoint's.
	PreserveClientIp bool `yaml:"preserveClientIp"`
}

// Target is something that a door leads to.
type Target struct {
	// Name says what it is; it ends up in the rules' descriptions.
	Name string `yaml:"name"`
	// SecurityGroupID is the target's own group, which gets a rule for the door's group.
	SecurityGroupID string `yaml:"securityGroupId"`
	// Port is the TCP port, such as 22, 3389 or 5432.
	Port int `yaml:"port"`
	// Doors are "bastion", "instanceConnect" or both. Defaults to bastion.
	Doors []Door `yaml:"doors"`
}

// Door is a way in.
type Door string

// The doors that lead to a target.
const (
	DoorBastion         Door = "bastion"
	DoorInstanceConnect Door = "instanceConnect"
)

// MonthlyCost configures the figures of what each door costs a month.
type MonthlyCost struct {
	// Absent leaves the figures out of the outputs and of the template.
	Absent bool `yaml:"absent"`
}

// Doors reports whether there is any way in. Without one this is a log account,
// which keeps the records of others.
func (c *Config) Doors() bool {
	return !c.Bastion.Absent || !c.InstanceConnect.Absent || c.Session.Made(c)
}

// Default is the configuration of an empty document. A field that it leaves at
// its zero value has the default of the construct that it configures.
func Default() *Config {
	c := &Config{}
	c.fillDefaults()
	return c
}

// fillDefaults sets what the app decides differently from the constructs, which
// each choose the safest for themselves.
func (c *Config) fillDefaults() {
	or(&c.Name, "Postern")
	or(&c.Bastion.Address, AddressElasticIP)
	or(&c.Bastion.Image, ImageAtLaunch)
	c.Session.fillDefaults(c)
	if r := &c.Bastion.Host.Relay; len(r.Targets) > 0 {
		or(&r.Port, host.DefaultRelayPort)
	}
	for i := range c.Targets {
		if c.Targets[i].Doors == nil {
			c.Targets[i].Doors = []Door{DoorBastion}
		}
	}
}

func or[T comparable](field *T, fallback T) {
	var zero T
	if *field == zero {
		*field = fallback
	}
}
