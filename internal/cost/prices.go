// Package cost knows what the parts of Postern cost a month, so that a user
// sees the price of a door before it is built. Prices are AWS list prices in US
// dollars without tax, discounts or free tier, kept in one dated table.
package cost

import (
	"maps"
	"slices"
	"time"
)

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
	Dashboard          Part = "cloudwatch/dashboard"
	CustomMetric       Part = "cloudwatch/metric"
	LogIngest          Part = "logs/ingest"
	LogStorage         Part = "logs/storage"
	S3Standard         Part = "s3/standard"
	S3Put              Part = "s3/put"

	HighResolutionAlarm Part = "cloudwatch/high-resolution-alarm"
	CompositeAlarm      Part = "cloudwatch/composite-alarm"
	SparseMetric        Part = "cloudwatch/metric-now-and-then"
	LogIngestInfrequent Part = "logs/ingest-infrequent-access"
	LogMasking          Part = "logs/data-protection"
	LogScan             Part = "logs/insights"
	FlowLogToLogs       Part = "logs/vended"
	FlowLogToS3         Part = "logs/vended-to-s3"
	Firehose            Part = "firehose/ingest"
	S3InfrequentAccess  Part = "s3/standard-ia"
	S3GlacierInstant    Part = "s3/glacier-instant-retrieval"
	S3GlacierFlexible   Part = "s3/glacier-flexible-retrieval"
	S3DeepArchive       Part = "s3/glacier-deep-archive"
	S3Inventory         Part = "s3/inventory"
	S3Replication       Part = "s3/replication"
	TrailCopy           Part = "cloudtrail/management-events"
	TrailDataEvent      Part = "cloudtrail/data-events"
	ConfigEvaluation    Part = "config/evaluation"
	InspectorCIS        Part = "inspector/cis"
	FunctionCall        Part = "lambda/request"
	FunctionSecondARM   Part = "lambda/gb-second-arm"
	FunctionSecondX86   Part = "lambda/gb-second-x86"
	SNSPublish          Part = "sns/publish"
	SNSEmail            Part = "sns/email"
	SQSRequest          Part = "sqs/request"
	ScheduleCall        Part = "scheduler/invocation"
	StateTransition     Part = "states/transition"
	Secret              Part = "secretsmanager/secret"
	HostedZone          Part = "route53/hosted-zone"
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
	// Thousand requests, events, objects.
	Thousand Unit = "1,000"
	Million  Unit = "1,000,000"
	// GBSecond is memory in use for a second.
	GBSecond Unit = "GB-second"
	// Each is one of what is counted.
	Each Unit = "one"
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
	firehosePricing   = "aws.amazon.com/firehose/pricing"
	trailPricing      = "aws.amazon.com/cloudtrail/pricing"
	configPricing     = "aws.amazon.com/config/pricing"
	inspectorPricing  = "aws.amazon.com/inspector/pricing"
	lambdaPricing     = "aws.amazon.com/lambda/pricing"
	snsPricing        = "aws.amazon.com/sns/pricing"
	sqsPricing        = "aws.amazon.com/sqs/pricing"
	eventsPricing     = "aws.amazon.com/eventbridge/pricing"
	statesPricing     = "aws.amazon.com/step-functions/pricing"
	routePricing      = "aws.amazon.com/route53/pricing"
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
	Alarm:              {0.10, Month, "standard-resolution alarm metric", cloudWatchPricing},
	Dashboard:          {3, Month, "dashboard after the first three of the account", cloudWatchPricing},
	CustomMetric:       {0.30, Month, "custom metric", cloudWatchPricing},
	LogIngest:          {0.50, GB, "log data taken in", cloudWatchPricing},
	LogStorage:         {0.03, GBMonth, "log data kept, compressed", cloudWatchPricing},
	S3Standard:         {0.023, GBMonth, "S3 Standard", s3Pricing},
	S3Put:              {0.005, Thousand, "PUT requests; a recorded session makes one every 5 seconds at most", s3Pricing},

	HighResolutionAlarm: {0.30, Month, "high-resolution alarm metric", cloudWatchPricing},
	CompositeAlarm:      {0.50, Month, "composite alarm", cloudWatchPricing},
	SparseMetric:        {0.30, Month, "custom metric that has data now and then", cloudWatchPricing},
	LogIngestInfrequent: {0.25, GB, "log data taken in, Infrequent Access", cloudWatchPricing},
	LogMasking:          {0.12, GB, "log data scanned to mask secrets", cloudWatchPricing},
	LogScan:             {0.005, GB, "log data scanned by queries", cloudWatchPricing},
	FlowLogToLogs:       {0.50, GB, "flow logs to CloudWatch Logs, first 10 TB", cloudWatchPricing},
	FlowLogToS3:         {0.25, GB, "flow logs to S3, first 10 TB", cloudWatchPricing},
	Firehose:            {0.029, GB, "data taken in by Firehose, records rounded up to 5 KB, decompression apart", firehosePricing},
	S3InfrequentAccess:  {0.0125, GBMonth, "S3 Standard-IA, plus $0.01 for 1,000 transitions", s3Pricing},
	S3GlacierInstant:    {0.004, GBMonth, "S3 Glacier Instant Retrieval, plus $0.02 for 1,000 transitions", s3Pricing},
	S3GlacierFlexible:   {0.0036, GBMonth, "S3 Glacier Flexible Retrieval, plus $0.03 for 1,000 transitions", s3Pricing},
	S3DeepArchive:       {0.00099, GBMonth, "S3 Glacier Deep Archive, plus $0.05 for 1,000 transitions", s3Pricing},
	S3Inventory:         {0.0025, Million, "objects listed by S3 Inventory", s3Pricing},
	S3Replication:       {0.02, GB, "replication to another Region, plus a PUT for each object", s3Pricing},
	TrailCopy:           {0.02, Thousand, "management events; the first copy in a Region is free", trailPricing},
	TrailDataEvent:      {0.001, Thousand, "data events of the trail", trailPricing},
	ConfigEvaluation:    {0.001, Each, "Config rule evaluations, first 100,000", configPricing},
	InspectorCIS:        {0.03, Each, "CIS assessment of one instance", inspectorPricing},
	FunctionCall:        {0.20, Million, "function calls", lambdaPricing},
	FunctionSecondARM:   {0.0000133334, GBSecond, "function time, Arm", lambdaPricing},
	FunctionSecondX86:   {0.0000166667, GBSecond, "function time, x86", lambdaPricing},
	SNSPublish:          {0.50, Million, "messages published", snsPricing},
	SNSEmail:            {0.02, Thousand, "messages by e-mail", snsPricing},
	SQSRequest:          {0.40, Million, "queue requests", sqsPricing},
	ScheduleCall:        {1, Million, "calls by EventBridge Scheduler", eventsPricing},
	StateTransition:     {0.025, Thousand, "state transitions, standard workflow", statesPricing},
	Secret:              {0.40, Month, "secret", "aws.amazon.com/secrets-manager/pricing"},
	HostedZone:          {0.50, Month, "hosted zone", routePricing},
}

// Lookup returns a line of the table.
func Lookup(part Part) (Price, bool) {
	p, ok := table[part]
	return p, ok
}

// Parts are the parts of the table, sorted.
func Parts() []Part { return slices.Sorted(maps.Keys(table)) }

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
