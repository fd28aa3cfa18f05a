package network

import (
	"net/netip"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/cost"
	"github.com/postern-cdk/postern/internal/flowlog"
)

// Props says what the network is to be. The zero value, and nil, is a VPC that
// has no way out but its public subnets.
type Props struct {
	// Vpc is a VPC that exists already. Nothing is created for it; the fields that
	// shape a VPC must then be left alone. Defaults to a new VPC.
	Vpc awsec2.IVpc

	// Cidr is the IPv4 range of the new VPC, /16 to /24. It can't be a token.
	// Changing it replaces the VPC. Defaults to [DefaultCidr].
	Cidr string

	// AvailabilityZones is the number of zones, 1 to [MaxAvailabilityZones]. It
	// can grow later without moving a subnet. Defaults to 2.
	AvailabilityZones int

	// ZoneNames names the zones, such as "eu-west-1a", instead of their number.
	// Add names at the end only: a subnet is bound to its place in the list.
	// Defaults to the first zones of the region.
	ZoneNames []string

	// Nat gives a group of private subnets a way out. Defaults to none: free.
	// [NatOne] costs 36.50 USD a month, [NatPerZone] that for each zone.
	Nat Nat

	// NoInternet leaves out the public subnets and the internet gateway. Then
	// nothing in the VPC can have a public address. It excludes Nat.
	NoInternet bool

	// FlowLogs says where the flow logs go. Defaults to a retained, encrypted log
	// group of their own for a new VPC, and to none for a given one.
	FlowLogs *FlowLogs

	// FlowLogsOff gives up the record of the new VPC's traffic.
	FlowLogsOff bool

	// DefaultSecurityGroupOpen leaves the rules of the new VPC's default security
	// group as AWS makes them: open among its members and to everywhere. For
	// accounts where something else closes it. See the package comment.
	DefaultSecurityGroupOpen bool
}

// FlowLogs says where flow logs go, and how fast.
type FlowLogs struct {
	// LogGroup takes the logs, such as one of the archive's. Defaults to a log
	// group of their own, encrypted with a key of its own, kept for a year and
	// retained when the stack is deleted.
	LogGroup awslogs.ILogGroup

	// Bucket takes the logs instead of a log group, in Parquet, partitioned by
	// the hour. Its policy and its key's are extended for the delivery; where the
	// bucket or the key is imported, that has to be done by its owner:
	// https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-permissions.html
	Bucket awss3.IBucket

	// Prefix is put before the names of the objects in Bucket. Defaults to none.
	Prefix string

	// EveryMinute records flows each minute instead of every ten: finer, and up
	// to ten times as much to pay for. Nitro instances always do so.
	EveryMinute bool
}

// Nat is how private subnets reach the internet.
type Nat string

// The ways to have NAT. Prices are for us-east-1, with the public IPv4 address.
const (
	// NatNone has no private subnets: those without a public address are isolated.
	NatNone Nat = ""
	// NatOne is one NAT gateway for all zones, 36.50 USD a month. Its zone is a
	// single point of failure.
	NatOne Nat = "one"
	// NatPerZone is one NAT gateway in each zone, 36.50 USD a month each.
	NatPerZone Nat = "per-zone"
)

// DefaultCidr is the range of a new VPC.
const DefaultCidr = "10.0.0.0/16"

// MaxAvailabilityZones is the number of zones that addresses are set aside for.
const MaxAvailabilityZones = 4

// LogFormat is the format of the flow log records: the 14 default fields in their
// default order, then what tells who talked to whom through NAT, load balancers and
// endpoints, in which direction, and who began. See
// https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html.
const LogFormat = flowlog.Format

func (p *Props) withDefaults() Props {
	var q Props
	if p != nil {
		q = *p
	}
	if q.Vpc != nil {
		return q
	}
	if q.Cidr == "" {
		q.Cidr = DefaultCidr
	}
	if q.AvailabilityZones == 0 {
		q.AvailabilityZones = 2
		if len(q.ZoneNames) > 0 {
			q.AvailabilityZones = len(q.ZoneNames)
		}
	}
	if q.FlowLogs == nil && !q.FlowLogsOff {
		q.FlowLogs = &FlowLogs{}
	}
	return q
}

func (p *Props) validate() error {
	var faults check.Faults
	if p.Vpc != nil {
		p.validateGiven(&faults)
	} else {
		p.validateNew(&faults)
	}
	if logs := p.FlowLogs; logs != nil {
		if logs.LogGroup != nil && logs.Bucket != nil {
			faults.Add("FlowLogs", "both LogGroup and Bucket are given, and a flow log has one destination",
				"keep one of them; make a second Network with Vpc set for the other")
		}
		if logs.Prefix != "" && logs.Bucket == nil {
			faults.Addf("FlowLogs.Prefix", "name the Bucket, or leave it out", "%q is given without a Bucket", logs.Prefix)
		}
		if p.FlowLogsOff {
			faults.Add("FlowLogsOff", "is set although FlowLogs says where they go", "keep one of them")
		}
	}
	return faults.Err()
}

func (p *Props) validateGiven(faults *check.Faults) {
	const fix = "leave it out, or leave out Vpc to have one made"
	for _, field := range []struct {
		name string
		set  bool
	}{
		{"Cidr", p.Cidr != ""},
		{"AvailabilityZones", p.AvailabilityZones != 0},
		{"ZoneNames", len(p.ZoneNames) > 0},
		{"Nat", p.Nat != NatNone},
		{"NoInternet", p.NoInternet},
		{"DefaultSecurityGroupOpen", p.DefaultSecurityGroupOpen},
	} {
		if field.set {
			faults.Add(field.name, "is set although Vpc is given, and a given VPC is not changed", fix)
		}
	}
}

func (p *Props) validateNew(faults *check.Faults) {
	if check.Token(p.Cidr) {
		faults.Add("Cidr", "is a token, and subnets can't be cut from a range that is not known yet", "write the range itself, such as "+DefaultCidr)
	} else if fault := check.CIDR(p.Cidr); fault != nil {
		faults.Check("Cidr", fault)
	} else if prefix := netip.MustParsePrefix(p.Cidr); !prefix.Addr().Is4() {
		faults.Addf("Cidr", "write an IPv4 range, such as "+DefaultCidr, "%q is not an IPv4 range", p.Cidr)
	} else if prefix.Bits() < 16 || prefix.Bits() > 24 {
		faults.Addf("Cidr", "use /16 to /24", "%q has no room for the subnets, or is larger than a VPC can be", p.Cidr)
	}
	if p.AvailabilityZones != len(p.ZoneNames) && len(p.ZoneNames) > 0 {
		faults.Addf("AvailabilityZones", "leave it out", "%d is given with %d ZoneNames", p.AvailabilityZones, len(p.ZoneNames))
	}
	faults.Check("AvailabilityZones", check.Between(p.AvailabilityZones, 1, MaxAvailabilityZones))
	for i, zone := range p.ZoneNames {
		for _, other := range p.ZoneNames[:i] {
			if zone == other {
				faults.Addf("ZoneNames", "name each zone once", "%q is named twice", zone)
			}
		}
		if zone == "" {
			faults.Add("ZoneNames", "a name is empty", "write names such as eu-west-1a")
		}
	}
	faults.Check("Nat", check.OneOf(p.Nat, NatNone, NatOne, NatPerZone))
	if p.NoInternet && p.Nat != NatNone {
		faults.Addf("NoInternet", "leave out one of them", "is set with Nat %q, which needs an internet gateway", string(p.Nat))
	}
}

// gateways is the number of NAT gateways.
func (p *Props) gateways() int {
	switch p.Nat {
	case NatOne:
		return 1
	case NatPerZone:
		return p.AvailabilityZones
	default:
		return 0
	}
}

func (p *Props) ownsLogGroup() bool {
	return p.FlowLogs != nil && p.FlowLogs.LogGroup == nil && p.FlowLogs.Bucket == nil
}

func (p *Props) monthlyCost() float64 {
	n := float64(p.gateways())
	total := cost.Monthly(cost.NatGateway, n) + cost.Monthly(cost.PublicIPv4, n)
	if p.ownsLogGroup() {
		total += cost.Monthly(cost.Key, 1)
	}
	return total
}

// group is one group of subnets: its place in the range never depends on what
// is in use.
type group struct {
	name     string
	mask     int
	reserved bool
}

func (p *Props) groups() (isolated, private, public group) {
	bits := netip.MustParsePrefix(p.Cidr).Bits()
	return group{"Isolated", bits + 4, false},
		group{"Private", bits + 4, p.Nat == NatNone},
		group{"Public", min(bits+8, 28), p.NoInternet}
}
