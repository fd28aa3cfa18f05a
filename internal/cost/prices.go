// Package cost knows what the parts of Postern cost a month, so that a user
// sees the price of a door before it is built. Prices are AWS list prices in US
// dollars without tax, discounts or free tier, kept in one dated table.
package cost

import "time"

// HoursPerMonth is the month that AWS's own calculator uses.
const HoursPerMonth = 730

// AsOf is the day the table was last compared with its sources.
var AsOf = time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)

// Region is the region whose prices the table holds. Others differ by up to
// about a third.
const Region = "us-east-1"

// Part names a line of the price table.
type Part string

// The parts that a deployment can be made of.
const (
	InstanceT4gNano    Part = "ec2/t4g.nano"
	InstanceT4gMicro   Part = "ec2/t4g.micro"
	InstanceT4gSmall   Part = "ec2/t4g.small"
	InstanceT4gMedium  Part = "ec2/t4g.medium"
	InstanceT3Nano     Part = "ec2/t3.nano"
	InstanceT3Micro    Part = "ec2/t3.micro"
	InstanceT3Small    Part = "ec2/t3.small"
	InstanceT3Medium   Part = "ec2/t3.medium"
	PublicIPv4         Part = "ec2/public-ipv4"
	VolumeGp3          Part = "ebs/gp3"
	DetailedMonitoring Part = "cloudwatch/detailed-monitoring"
	InterfaceEndpoint  Part = "vpc/interface-endpoint"
	GatewayEndpoint    Part = "vpc/gateway-endpoint"
	NatGateway         Part = "vpc/nat-gateway"
	InstanceConnect    Part = "ec2/instance-connect-endpoint"
	NetworkLB          Part = "elb/network-load-balancer"
	Key                Part = "kms/key"
	Alarm              Part = "cloudwatch/alarm"
	CompositeAlarm     Part = "cloudwatch/composite-alarm"
	Dashboard          Part = "cloudwatch/dashboard"
	CustomMetric       Part = "cloudwatch/metric"
	LogIngest          Part = "logs/ingest"
	LogStorage         Part = "logs/storage"
	S3Standard         Part = "s3/standard"
	S3Put              Part = "s3/put"
)

// Price is one line of the table.
type Price struct {
	// USD for one Unit.
	USD float64
	// Unit is what is counted: an hour of one, a month of one, a GB, a GB kept a month.
	Unit Unit
	// What is billed, in AWS's words.
	What string
	// Source of the figure.
	Source string
}

// Unit is what a price is for.
type Unit string

// The units of the table.
const (
	Hour    Unit = "hour"
	Month   Unit = "month"
	GB      Unit = "GB"
	GBMonth Unit = "GB-month"
	// Thousand requests.
	Thousand Unit = "1,000"
)

const (
	ec2Pricing        = "aws.amazon.com/ec2/pricing/on-demand"
	ebsPricing        = "aws.amazon.com/ebs/pricing"
	vpcPricing        = "aws.amazon.com/vpc/pricing"
	linkPricing       = "aws.amazon.com/privatelink/pricing"
	elbPricing        = "aws.amazon.com/elasticloadbalancing/pricing"
	kmsPricing        = "aws.amazon.com/kms/pricing"
	cloudWatchPricing = "aws.amazon.com/cloudwatch/pricing"
	s3Pricing         = "aws.amazon.com/s3/pricing"
	eiceDocs          = "docs.aws.amazon.com/AWSEC2/latest/UserGuide/connect-with-ec2-instance-connect-endpoint.html"
)

var table = map[Part]Price{
	InstanceT4gNano:    {0.0042, Hour, "t4g.nano, Linux, on demand", ec2Pricing},
	InstanceT4gMicro:   {0.0084, Hour, "t4g.micro, Linux, on demand", ec2Pricing},
	InstanceT4gSmall:   {0.0168, Hour, "t4g.small, Linux, on demand", ec2Pricing},
	InstanceT4gMedium:  {0.0336, Hour, "t4g.medium, Linux, on demand", ec2Pricing},
	InstanceT3Nano:     {0.0052, Hour, "t3.nano, Linux, on demand", ec2Pricing},
	InstanceT3Micro:    {0.0104, Hour, "t3.micro, Linux, on demand", ec2Pricing},
	InstanceT3Small:    {0.0208, Hour, "t3.small, Linux, on demand", ec2Pricing},
	InstanceT3Medium:   {0.0416, Hour, "t3.medium, Linux, on demand", ec2Pricing},
	PublicIPv4:         {0.005, Hour, "public IPv4 address, in use or idle", vpcPricing},
	VolumeGp3:          {0.08, GBMonth, "gp3 volume", ebsPricing},
	DetailedMonitoring: {2.10, Month, "detailed monitoring, 7 metrics an instance", cloudWatchPricing},
	InterfaceEndpoint:  {0.01, Hour, "interface endpoint in one Availability Zone, plus $0.01 a GB", linkPricing},
	GatewayEndpoint:    {0, Hour, "gateway endpoint", vpcPricing},
	NatGateway:         {0.045, Hour, "NAT gateway, plus $0.045 a GB", vpcPricing},
	InstanceConnect:    {0, Hour, "EC2 Instance Connect Endpoint, cross-zone transfer apart", eiceDocs},
	NetworkLB:          {0.0225, Hour, "Network Load Balancer, plus $0.006 an NLCU hour", elbPricing},
	Key:                {1, Month, "customer managed key, plus $0.03 for 10,000 requests", kmsPricing},
	CompositeAlarm:     {0.50, Month, "composite alarm", cloudWatchPricing},
	Alarm:              {0.10, Month, "standard-resolution alarm metric", cloudWatchPricing},
	Dashboard:          {3, Month, "dashboard after the first three of the account", cloudWatchPricing},
	CustomMetric:       {0.30, Month, "custom metric", cloudWatchPricing},
	LogIngest:          {0.50, GB, "log data taken in", cloudWatchPricing},
	LogStorage:         {0.03, GBMonth, "log data kept, compressed", cloudWatchPricing},
	S3Standard:         {0.023, GBMonth, "S3 Standard", s3Pricing},
	S3Put:              {0.005, Thousand, "PUT requests; a recorded session makes one every 5 seconds at most", s3Pricing},
}

// Lookup returns a line of the table.
func Lookup(part Part) (Price, bool) {
	p, ok := table[part]
	return p, ok
}

// Monthly is what quantity of a part costs a month: hours count 730 times,
// other units once. A part that the table lacks costs nothing; use [Lookup]
// where the difference matters.
func Monthly(part Part, quantity float64) float64 {
	p := table[part]
	if p.Unit == Hour {
		quantity *= HoursPerMonth
	}
	return p.USD * quantity
}
