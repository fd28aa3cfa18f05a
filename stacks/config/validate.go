package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/host"
	"github.com/postern-cdk/postern/internal/host/settings"
)

var (
	namePattern    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,99}$`)
	accountPattern = regexp.MustCompile(`^\d{12}$`)
	// A country, its partition where that has Regions of its own, a direction, a number.
	regionPattern = regexp.MustCompile(`^([a-z]{2}|us-gov|(us|eu)-iso[a-z]?|eusc-[a-z]{2})-(central|(north|south)?(east|west)|north|south)-\d$`)
	// A zone, a Local Zone or one of Wavelength:
	// docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-regions-availability-zones.html.
	zonePattern       = regexp.MustCompile(`^([a-z]+(?:-[a-z]+)+-\d)(?:-[a-z0-9]+(?:-[a-z0-9]+)*-\d+)?[a-z]?$`)
	zoneIDPattern     = regexp.MustCompile(`^[a-z]+\d(-[a-z]+\d+)?-az\d+$`)
	imagePattern      = regexp.MustCompile(`^ami-[0-9a-f]{8,17}$`)
	vpcPattern        = regexp.MustCompile(`^vpc-[0-9a-f]{8,17}$`)
	subnetPattern     = regexp.MustCompile(`^subnet-[0-9a-f]{8,17}$`)
	routeTablePattern = regexp.MustCompile(`^rtb-[0-9a-f]{8,17}$`)
	groupPattern      = regexp.MustCompile(`^sg-[0-9a-f]{8,17}$`)
	instancePattern   = regexp.MustCompile(`^(i-[0-9a-f]{8,17}|mi-[0-9a-f]{17})$`)
	// AWS's own documents are among those that can be quiet.
	sessionDocumentPattern = regexp.MustCompile(`^[A-Za-z0-9_.-]{3,128}$`)
	userPattern            = regexp.MustCompile(`^[a-z_][a-z0-9_.-]{0,31}$`)
	hostedZonePattern      = regexp.MustCompile(`^Z[A-Z0-9]{1,31}$`)
	prefixListPattern      = regexp.MustCompile(`^pl-[0-9a-f]{8,17}$`)
)

// maxTags of the 50 that a resource can have:
// docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html.
const maxTags = 40

// validate looks at the document as written, before defaults, so that only what
// the user chose can be at fault.
func (c *Config) validate(f *check.Faults) {
	matches(f, "name", c.Name, namePattern, "begin with a letter, then letters, digits and hyphens, 100 at most")
	matches(f, "account", c.Account, accountPattern, "write its 12 digits")
	matches(f, "region", c.Region, regionPattern, "write its code, such as eu-west-1")
	tags(f, "tags", c.Tags)
	if n := len(c.Tags); n > maxTags {
		f.Addf("tags", fmt.Sprintf("use up to %d", maxTags), "%d tags are more than a resource has room for beside those that are here", n)
	}
	c.Archive.validate(c, f)
	c.Network.validate(c, f)
	c.Endpoints.validate(f)
	c.Bastion.validate(c, f)
	for i := range c.Targets {
		c.Targets[i].validate(fmt.Sprintf("targets[%d]", i), c, f)
		for j := range i {
			if a, b := c.Targets[j], c.Targets[i]; a.SecurityGroupID == b.SecurityGroupID && a.Port == b.Port && a.Port != 0 && reflect.DeepEqual(a.Doors, b.Doors) {
				f.Addf(fmt.Sprintf("targets[%d]", i), "leave one out", "is the same group and port as targets[%d]", j)
			}
		}
	}
	c.Session.validate(c, f)
	for i := range c.Tunnels {
		c.Tunnels[i].validate(fmt.Sprintf("tunnels[%d]", i), c.Tunnels[:i], c, f)
	}
	for i := range c.Operators {
		c.Operators[i].validate(fmt.Sprintf("operators[%d]", i), c.Operators[:i], c, f)
	}
	c.Trail.validate(c, f)
	c.Watch.validate(c, f)
	c.Compliance.validate(c, f)
	if !c.Doors() && c.Archive.Sources == nil {
		f.Add("bastion.absent", "together with instanceConnect.absent leaves no way in",
			"keep one of them, name session.targets, or delete the stacks with cdk destroy; a log account has archive.sources")
	}
	if c.InstanceConnect.Absent && c.InstanceConnect.PreserveClientIp {
		f.Add("instanceConnect.preserveClientIp", "is set, but instanceConnect.absent leaves the endpoint out", "remove one of them")
	}
}

func (n *Network) validate(c *Config, f *check.Faults) {
	if n.Cidr != "" {
		if fault := check.CIDR(n.Cidr); fault != nil {
			f.Check("network.cidr", fault)
		} else if p := netip.MustParsePrefix(n.Cidr); !p.Addr().Is4() || p.Bits() < 16 || p.Bits() > 24 {
			f.Addf("network.cidr", "use an IPv4 block from /16 to /24, such as 10.0.0.0/16", "%q is not a block that a VPC with its subnets fits in", n.Cidr)
		}
	}
	if n.AvailabilityZones != 0 {
		f.Check("network.availabilityZones", check.Between(n.AvailabilityZones, 1, 4))
	}
	oneOf(f, "network.nat", n.Nat, NatNone, NatOne, NatPerZone)
	oneOf(f, "network.flowLogs", n.FlowLogs, FlowLogsToLogGroup, FlowLogsToBucket)
	if n.Vpc == nil {
		return
	}
	for _, own := range []struct {
		key string
		set bool
	}{
		{"cidr", n.Cidr != ""},
		{"availabilityZones", n.AvailabilityZones != 0},
		{"nat", n.Nat != ""},
		{"flowLogs", n.FlowLogs != ""},
	} {
		if own.set {
			f.Add("network."+own.key, "describes a new VPC, but network.vpc names one of yours", "remove one of them")
		}
	}
	n.Vpc.validate(c, f)
}

func (v *Vpc) validate(c *Config, f *check.Faults) {
	gateway := c.Endpoints.gatewayMade()
	if v.ID == "" {
		f.Add("network.vpc.id", "is missing", "write the ID of your VPC, such as vpc-0123456789abcdef0")
	}
	matches(f, "network.vpc.id", v.ID, vpcPattern, "write the ID of a VPC, such as vpc-0123456789abcdef0")
	if v.Cidr != "" {
		f.Check("network.vpc.cidr", check.CIDR(v.Cidr))
	}
	if b := &c.Bastion; len(v.PublicSubnetIDs) == 0 && len(v.PrivateSubnetIDs)+len(v.IsolatedSubnetIDs) > 0 && !b.Absent && b.Address != AddressNone {
		address := b.Address
		or(&address, AddressElasticIP)
		f.Addf("network.vpc.publicSubnetIds", "name public subnets, or set bastion.address: none", "is missing, but bastion.address %s is in public subnets", address)
	}
	named := len(v.PublicSubnetIDs) + len(v.PrivateSubnetIDs) + len(v.IsolatedSubnetIDs)
	if named > 0 && len(v.AvailabilityZones) == 0 {
		f.Add("network.vpc.availabilityZones", "is missing, but subnets are named", "list the zones in the order of the subnets")
	}
	if named == 0 && len(v.AvailabilityZones) > 0 {
		f.Add("network.vpc.availabilityZones", "is set, but no subnets are named", "name the subnets too, or only the ID to have all looked up")
	}
	zones := len(v.AvailabilityZones)
	region := c.Region
	for i, zone := range v.AvailabilityZones {
		at := fmt.Sprintf("network.vpc.availabilityZones[%d]", i)
		m := zonePattern.FindStringSubmatch(zone)
		switch {
		case zone == "":
		case zoneIDPattern.MatchString(zone):
			f.Addf(at, "write its name in this account, such as eu-west-1a", "%q is the ID of a zone", zone)
		case m == nil || !regionPattern.MatchString(m[1]) || m[1] == zone:
			f.Addf(at, "write its name, such as eu-west-1a", "%q is not an Availability Zone", zone)
		case region != "" && m[1] != region:
			f.Addf(at, "name zones of that region", "%q is not a zone of region %s", zone, region)
		case slices.Contains(v.AvailabilityZones[:i], zone):
			f.Addf(at, "leave one out", "%q is in the list already", zone)
		default:
			region = m[1]
		}
	}
	for _, group := range []struct {
		key         string
		subnets     []string
		tables      []string
		tablesField string
	}{
		{"publicSubnetIds", v.PublicSubnetIDs, v.PublicRouteTableIDs, "publicRouteTableIds"},
		{"privateSubnetIds", v.PrivateSubnetIDs, v.PrivateRouteTableIDs, "privateRouteTableIds"},
		{"isolatedSubnetIds", v.IsolatedSubnetIDs, v.IsolatedRouteTableIDs, "isolatedRouteTableIds"},
	} {
		for i, id := range group.subnets {
			matches(f, fmt.Sprintf("network.vpc.%s[%d]", group.key, i), id, subnetPattern, "write the ID of a subnet, such as subnet-0123456789abcdef0")
		}
		unique(f, "network.vpc."+group.key, group.subnets)
		for i, id := range group.tables {
			matches(f, fmt.Sprintf("network.vpc.%s[%d]", group.tablesField, i), id, routeTablePattern, "write the ID of a route table, such as rtb-0123456789abcdef0")
		}
		if n := len(group.subnets); n > 0 && zones > 0 && n != zones {
			f.Addf("network.vpc."+group.key, "name one for each zone, in the zones' order", "has %d subnets for %d zones", n, zones)
		}
		if gateway && len(group.subnets) > 0 && len(group.tables) == 0 {
			f.Add("network.vpc."+group.tablesField, "is missing, and the S3 gateway endpoint is entered in route tables",
				"name one for each subnet, or s3 in endpoints.existing where the VPC has that endpoint")
		}
		if n := len(group.tables); n > 0 && n != len(group.subnets) {
			f.Addf("network.vpc."+group.tablesField, "name one for each subnet, in the subnets' order", "has %d route tables for %d subnets", n, len(group.subnets))
		}
	}
}

// s3 is reached by a gateway endpoint, which is made unless it exists.
const s3 = "s3"

func (e *Endpoints) gatewayMade() bool { return !e.Absent && !slices.Contains(e.Existing, s3) }

func (e *Endpoints) validate(f *check.Faults) {
	for i, service := range e.Services {
		f.Check(fmt.Sprintf("endpoints.services[%d]", i), check.OneOf(service, Services...))
		if slices.Contains(e.Services[:i], service) {
			f.Addf(fmt.Sprintf("endpoints.services[%d]", i), "leave one out", "%q is in the list already", service)
		}
		if slices.Contains(e.Existing, service) {
			f.Addf(fmt.Sprintf("endpoints.services[%d]", i), "remove it from one of them", "%q is in endpoints.existing too", service)
		}
	}
	for i, service := range e.Existing {
		f.Check(fmt.Sprintf("endpoints.existing[%d]", i), check.OneOf(service, append(slices.Clone(Services), s3)...))
	}
	if e.Absent && len(e.Services) > 0 {
		f.Add("endpoints.services", "is set, but endpoints.absent leaves all out", "remove one of them")
	}
	if e.Absent && e.PrivateDnsOff {
		f.Add("endpoints.privateDnsOff", "is set, but endpoints.absent leaves all out", "remove one of them")
	}
}

func (b *Bastion) validate(c *Config, f *check.Faults) {
	oneOf(f, "bastion.address", b.Address, AddressElasticIP, AddressNetworkLoadBalancer, AddressNone)
	for i, cidr := range b.AllowedCidrs {
		field := fmt.Sprintf("bastion.allowedCidrs[%d]", i)
		if fault := check.CIDR(cidr); fault != nil {
			f.Check(field, fault)
			continue
		}
		prefix := netip.MustParsePrefix(cidr)
		limit, wide := check.TooWide(prefix)
		switch {
		case check.Everyone(cidr) && !b.AllowEveryone:
			f.Addf(field, "name your own addresses, or set bastion.allowEveryone: true if that is truly meant",
				"%q lets the whole internet try SSH", cidr)
		case wide && !b.AllowEveryone:
			f.Addf(field, "name your own addresses, or set bastion.allowEveryone: true if that is truly meant",
				"%q is wider than any one network: blocks end at /%d", cidr, limit)
		case slices.Contains(b.AllowedCidrs[:i], cidr):
			f.Addf(field, "leave one out", "%q is in the list already", cidr)
		case b.Address == AddressNetworkLoadBalancer && prefix.Addr().Is6():
			f.Addf(field, "name IPv4 blocks", "%q is an IPv6 block, and the load balancer listens on IPv4", cidr)
		case b.Address == AddressNone && !prefix.Addr().IsPrivate():
			f.Addf(field, "choose bastion.address elasticIp or networkLoadBalancer, or a private range",
				"%q is a public range, but bastion.address none leaves no public address to reach", cidr)
		}
	}
	for i, id := range b.AllowedPrefixLists {
		if slices.Contains(b.AllowedPrefixLists[:i], id) {
			f.Addf(fmt.Sprintf("bastion.allowedPrefixLists[%d]", i), "leave one out", "%q is in the list already", id)
		}
		matches(f, fmt.Sprintf("bastion.allowedPrefixLists[%d]", i), id, prefixListPattern, "write the ID of a prefix list, such as pl-0123456789abcdef0")
	}
	if b.AllowEveryone && !slices.ContainsFunc(b.AllowedCidrs, tooWide) {
		f.Add("bastion.allowEveryone", "is set, but bastion.allowedCidrs names no block that needs it", "remove it")
	}
	if rest := *b; b.Absent {
		rest.Absent, rest.Host = false, Host{}
		if !reflect.DeepEqual(rest, Bastion{}) {
			f.Add("bastion.absent", "is set, but other keys configure the bastion", "remove it or them")
		}
	}
	if b.Image != "" && b.Image != ImageAtLaunch && b.Image != ImageLatestAtDeploy && !imagePattern.MatchString(b.Image) {
		fault := check.OneOf(b.Image, ImageAtLaunch, ImageLatestAtDeploy)
		f.Add("bastion.image", fault.Problem, fault.Fix+", or the ID of an image, such as ami-0123456789abcdef0")
	}
	if b.MaxInstanceLifetimeDays != 0 {
		f.Check("bastion.maxInstanceLifetimeDays", check.Between(b.MaxInstanceLifetimeDays, 1, 365))
		if b.NoRotation {
			f.Add("bastion.noRotation", "contradicts bastion.maxInstanceLifetimeDays", "remove one of them")
		}
	}
	if b.InstanceType != "" {
		_, fault := check.InstanceType(b.InstanceType)
		f.Check("bastion.instanceType", fault)
	}
	if s := b.Schedule; s != nil {
		if s.Start == "" || s.Stop == "" {
			f.Add("bastion.schedule", "needs both start and stop", "write two cron expressions, such as start: 0 8 * * MON-FRI and stop: 0 19 * * MON-FRI")
		} else {
			f.Check("bastion.schedule.start", check.Cron(s.Start))
			f.Check("bastion.schedule.stop", check.Cron(s.Stop))
			if slices.Equal(strings.Fields(s.Start), strings.Fields(s.Stop)) {
				f.Addf("bastion.schedule.stop", "write another time", "%q is when the bastion starts, too", s.Stop)
			}
		}
		f.Check("bastion.schedule.timeZone", check.TimeZone(s.TimeZone))
	}
	if d := b.Dns; d != nil && (d.HostedZoneID == "" || d.ZoneName == "" || d.RecordName == "") {
		f.Add("bastion.dns", "needs hostedZoneId, zoneName and recordName", "write all three")
	} else if d != nil {
		f.Check("bastion.dns.recordName", check.RecordName(d.RecordName))
		matches(f, "bastion.dns.hostedZoneId", d.HostedZoneID, hostedZonePattern, "write its ID, such as Z0123456789ABCDEFGHIJ")
		if check.RecordName(strings.TrimSuffix(d.ZoneName, ".")) != nil {
			f.Addf("bastion.dns.zoneName", "write the name of the hosted zone, such as example.com", "%q is not a DNS name", d.ZoneName)
		}
	}
	if b.Dns != nil && b.Address == AddressNone {
		f.Add("bastion.dns", "is set, but bastion.address none leaves no public address to name", "choose bastion.address elasticIp or networkLoadBalancer, or remove it")
	}
	c.arn(f, "bastion.permissionsBoundaryArn", b.PermissionsBoundaryArn, policyARN)
	if b.Absent && !reflect.DeepEqual(b.Host, Host{}) {
		f.Add("bastion.host", "is set, but bastion.absent leaves the bastion out", "remove one of them")
	} else {
		readable(f, "bastion.host.bundle", b.Host.Bundle, "make it by go run ./bin/hostbundle")
	}
	b.Host.validate(f)
}

// validate looks at what reads differently here. What the host itself has rules
// for is examined by them, in its terms.
func (h *Host) validate(f *check.Faults) {
	const at = "bastion.host."
	oneOf(f, at+"recording.commands", h.Recording.Commands, CommandsRefused, CommandsRecorded)
	bucket(f, at+"people.bucketName", h.People.BucketName, "write the name of an S3 bucket, 3 to 63 lower-case letters, digits, dots and hyphens")
	rest := *h
	for _, days := range []struct {
		key   string
		value *int
	}{{"warnKeyAgeDays", &rest.People.WarnKeyAgeDays}, {"maxKeyAgeDays", &rest.People.MaxKeyAgeDays}} {
		if fault := check.Between(*days.value, 1, 3650); *days.value != 0 && fault != nil {
			f.Check(at+"people."+days.key, fault)
			*days.value = 0 // not to be said in hours too
		}
	}
	if h.HostKeys.Ephemeral {
		if len(h.People.Sudo) > 0 || h.People.SecondFactor {
			f.Add(at+"hostKeys.ephemeral", "leaves nowhere to keep the secrets of one-time passwords", "remove it, or both people.sudo and people.secondFactor")
		}
		if h.HostKeys != (HostKeys{Ephemeral: true}) {
			f.Add(at+"hostKeys.ephemeral", "is set together with choices for keys that are kept", "remove it or them")
		}
	}
	for i := range h.Relay.Targets {
		field := fmt.Sprintf("%srelay.targets[%d].securityGroupId", at, i)
		id := h.Relay.Targets[i].SecurityGroupID
		if id == "" {
			f.Add(field, "is missing", "write the ID of the target's own group, such as sg-0123456789abcdef0: the bastion is let out to it, and in there")
		}
		matches(f, field, id, groupPattern, "write the ID of a security group, such as sg-0123456789abcdef0")
	}
	if h.Relay.Port != 0 && len(h.Relay.Targets) == 0 {
		f.Add(at+"relay.port", "is set, but there are no targets", "name targets, or remove it")
	}
	for _, fault := range check.List(rest.config().Validate()) {
		f.Add(hostKey(fault.Field), fault.Problem, fault.Fix)
	}
}

// config is the host's own configuration, as far as its rules need it.
func (h *Host) config() host.Config {
	const day = 24 * time.Hour
	commands := settings.CommandsRefused
	if h.Recording.Commands == CommandsRecorded {
		commands = settings.CommandsRecorded
	}
	var relay []host.RelayTarget
	for _, t := range h.Relay.Targets {
		relay = append(relay, host.RelayTarget{Name: t.Name, Host: t.Host, Port: t.Port})
	}
	return host.Config{
		RelayTargets: relay,
		Choices: settings.Choices{
			Recording: settings.Recording{
				Commands: commands, Input: h.Recording.Input, KeepDays: h.Recording.KeepDays, MinFreeMiB: h.Recording.MinFreeMiB,
			},
			People: settings.People{
				Prefix: h.People.Prefix, Sudo: h.People.Sudo, MaxShrinkPercent: h.People.MaxShrinkPercent, AllowEmpty: h.People.AllowEmpty,
				FIPSKeysOnly: h.People.FipsKeysOnly,
				WarnKeyAge:   time.Duration(h.People.WarnKeyAgeDays) * day, MaxKeyAge: time.Duration(h.People.MaxKeyAgeDays) * day,
			},
			Certificates: settings.Certificates{Authorities: h.Certificates.Authorities, RevocationKey: h.Certificates.RevocationKey},
			SecondFactor: settings.SecondFactor{AtLogin: h.People.SecondFactor},
			Relay:        settings.Relay{Port: h.Relay.Port},
			HostKeys:     settings.HostKeys{Version: h.HostKeys.Version, Next: h.HostKeys.NextVersion, Certificate: h.HostKeys.Certificate},
		},
		Hardening: host.Hardening{
			GoldenImage: h.Hardening.GoldenImage, UpdateRelease: h.Hardening.UpdateRelease, NoUpdates: h.Hardening.NoUpdates,
			NoIntegrityCheck: h.Hardening.NoIntegrityCheck, NoBans: h.Hardening.NoBans, MutableAuditRules: h.Hardening.MutableAuditRules,
		},
	}
}

// hostKey is the key that sets a field of the host's configuration.
func hostKey(field string) string {
	path := strings.TrimPrefix(strings.TrimPrefix(field, "Choices"), ".")
	if rest, ok := strings.CutPrefix(path, "RelayTargets"); ok {
		path = "Relay.Targets" + rest
	}
	switch path {
	case "":
		return "bastion.host"
	case "HostKeys.Next":
		path = "HostKeys.NextVersion"
	case "People.FIPSKeysOnly", "People.WarnKeyAge", "People.MaxKeyAge":
		path = strings.NewReplacer("FIPS", "Fips", "Age", "AgeDays").Replace(path)
	}
	parts := strings.Split(path, ".")
	for i, part := range parts {
		parts[i] = strings.ToLower(part[:1]) + part[1:]
	}
	return "bastion.host." + strings.Join(parts, ".")
}

func (t *Target) validate(field string, c *Config, f *check.Faults) {
	if t.Name == "" {
		f.Add(field+".name", "is missing", "say what the target is: it describes the rule")
	} else {
		f.Check(field+".name", check.RuleDescription(t.Name))
	}
	if t.SecurityGroupID == "" {
		f.Add(field+".securityGroupId", "is missing", "write the ID of the target's own group, such as sg-0123456789abcdef0")
	}
	matches(f, field+".securityGroupId", t.SecurityGroupID, groupPattern, "write the ID of a security group, such as sg-0123456789abcdef0")
	f.Check(field+".port", check.Port(t.Port))
	some(f, field+".doors", t.Doors, "the bastion")
	doors := t.Doors
	if doors == nil {
		doors = []Door{DoorBastion}
	}
	for i, door := range doors {
		at := fmt.Sprintf("%s.doors[%d]", field, i)
		f.Check(at, check.OneOf(door, DoorBastion, DoorInstanceConnect))
		switch {
		case door == DoorBastion && c.Bastion.Absent, door == DoorInstanceConnect && c.InstanceConnect.Absent:
			f.Addf(at, "choose a door that is there", "%q is left out by %s.absent", door, door)
		case door == DoorInstanceConnect && t.Port != 22 && t.Port != 3389:
			f.Addf(at, "use the bastion for other ports", "EC2 Instance Connect Endpoint reaches ports 22 and 3389 only, not %d", t.Port)
		}
	}
}

func tooWide(cidr string) bool {
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil {
		return false
	}
	_, wide := check.TooWide(prefix)
	return wide
}

func matches(f *check.Faults, field, value string, pattern *regexp.Regexp, fix string) {
	if value != "" && !pattern.MatchString(value) {
		f.Addf(field, fix, "%q has the wrong form", value)
	}
}

func oneOf[S ~string](f *check.Faults, field string, value S, allowed ...S) {
	if value != "" {
		f.Check(field, check.OneOf(value, allowed...))
	}
}
