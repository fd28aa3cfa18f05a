package cost

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/postern-cdk/postern/internal/property"
	"github.com/postern-cdk/postern/internal/words"
)

// Resource is one resource of CloudFormation's, as a template has it or as Cloud
// Control reads it.
type Resource struct {
	Type string
	// Identifier is what CloudFormation calls its physical ID, "" in a template.
	Identifier string
	Stack      string
	LogicalID  string
	// Properties as in a template; intrinsic functions may stand in them.
	Properties map[string]any
}

// Of lists what is billed for resources, each item with the index of the resource
// that it is for. What depends on use stands with the quantity assumed in [Use].
// Resources of types that nothing is known of are items without a price.
func Of(resources []Resource) []Charge {
	b := &biller{all: resources, metrics: map[string]bool{}}
	for i := range resources {
		if strings.HasPrefix(resources[i].Type, "AWS::EC2::EIP") {
			b.spare++
		}
		if resources[i].Type == "AWS::EC2::NatGateway" {
			b.spare--
		}
		if resources[i].Type == "AWS::AutoScaling::ScheduledAction" {
			b.scheduled = true
		}
	}
	for i := range resources {
		b.at, b.r = i, &resources[i]
		if bill, ok := billed[b.r.Type]; ok {
			bill(b)
		} else if !Free(b.r.Type) {
			b.fixed(Part(b.r.Type), 1, "")
		}
	}
	return b.charges
}

// Charge is an item with the resource that it is for.
type Charge struct {
	Item
	// Of is the resource's index.
	Of int
}

// Items are the items of charges.
func Items(charges []Charge) []Item {
	items := make([]Item, len(charges))
	for i := range charges {
		items[i] = charges[i].Item
	}
	return items
}

// Free tells of a type that nothing is billed for, whatever it is used for.
func Free(resourceType string) bool {
	if _, ok := billed[resourceType]; ok {
		return false
	}
	return slices.ContainsFunc(free, func(prefix string) bool { return strings.HasPrefix(resourceType, prefix) })
}

// Types are the types that something is billed for, sorted.
func Types() []string { return slices.Sorted(maps.Keys(billed)) }

// Plain tells of a type whose price its properties don't change.
func Plain(resourceType string) bool {
	return Free(resourceType) || slices.Contains(plain, resourceType)
}

var plain = []string{
	"AWS::CloudWatch::CompositeAlarm", "AWS::CloudWatch::Dashboard", "AWS::Config::ConfigRule", "AWS::EC2::EIP",
	"AWS::EC2::InstanceConnectEndpoint", "AWS::EC2::NatGateway", "AWS::KMS::Key", "AWS::KMS::ReplicaKey", "AWS::KinesisFirehose::DeliveryStream",
	"AWS::Logs::QueryDefinition", "AWS::Route53::HostedZone", "AWS::SNS::Topic", "AWS::SQS::Queue", "AWS::SecretsManager::Secret",
	"AWS::StepFunctions::StateMachine", "AWS::Scheduler::Schedule",
}

// free are types, or what types begin with.
var free = []string{
	"AWS::AutoScaling::LifecycleHook", "AWS::AutoScaling::ScalingPolicy", "AWS::AutoScaling::ScheduledAction", "AWS::AutoScaling::WarmPool",
	"AWS::CDK::", "AWS::Chatbot::", "AWS::CloudFormation::", "AWS::CloudWatch::AlarmMuteRule",
	"AWS::Config::ConfigurationRecorder", "AWS::Config::DeliveryChannel",
	"AWS::EC2::DHCPOptions", "AWS::EC2::EgressOnlyInternetGateway", "AWS::EC2::InternetGateway", "AWS::EC2::LaunchTemplate", "AWS::EC2::NetworkAcl",
	"AWS::EC2::NetworkInterface", "AWS::EC2::PrefixList", "AWS::EC2::Route", "AWS::EC2::SecurityGroup", "AWS::EC2::Subnet", "AWS::EC2::VPCGatewayAttachment",
	"AWS::EC2::VPCEndpointService", "AWS::EC2::VPCDHCPOptionsAssociation",
	"AWS::ElasticLoadBalancingV2::Listener", "AWS::ElasticLoadBalancingV2::TargetGroup",
	"AWS::Events::", "AWS::IAM::", "AWS::KMS::Alias",
	"AWS::Lambda::Alias", "AWS::Lambda::EventInvokeConfig", "AWS::Lambda::EventSourceMapping", "AWS::Lambda::LayerVersion", "AWS::Lambda::Permission",
	"AWS::Lambda::Version",
	"AWS::Logs::AccountPolicy", "AWS::Logs::Destination", "AWS::Logs::LogStream", "AWS::Logs::ResourcePolicy", "AWS::Logs::SubscriptionFilter",
	"AWS::Route53::RecordSet", "AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy", "AWS::SNS::TopicInlinePolicy", "AWS::SQS::QueuePolicy",
	"AWS::SSM::Association", "AWS::SSM::Document", "AWS::SSM::MaintenanceWindow", "AWS::SSM::Parameter", "AWS::SSM::PatchBaseline",
	"AWS::Scheduler::ScheduleGroup", "Custom::",
}

type biller struct {
	all       []Resource
	charges   []Charge
	at        int
	r         *Resource
	spare     float64 // Elastic IPs that take the place of an instance's own address
	scheduled bool
	metrics   map[string]bool
}

func (b *biller) fixed(part Part, quantity float64, note string) {
	if quantity > 0 {
		b.charges = append(b.charges, Charge{Item{Part: part, Quantity: quantity, Note: note}, b.at})
	}
}

// used adds what is billed by use, at the quantity of the table of assumptions
// times the share of it that the resource has.
func (b *biller) used(part Part, share float64, note string) {
	use := assumed[part]
	if note == "" {
		note = use.What
	}
	b.charges = append(b.charges, Charge{Item{Part: part, Quantity: use.Quantity * share, Note: note, Assumed: true}, b.at})
}

var billed = map[string]func(*biller){
	"AWS::AutoScaling::AutoScalingGroup": (*biller).group,
	"AWS::CloudTrail::Trail":             (*biller).trail,
	"AWS::CloudWatch::Alarm":             (*biller).alarm,
	"AWS::CloudWatch::CompositeAlarm":    func(b *biller) { b.fixed(CompositeAlarm, 1, "") },
	"AWS::CloudWatch::Dashboard":         func(b *biller) { b.fixed(Dashboard, 1, "") },
	"AWS::Config::ConfigRule":            func(b *biller) { b.used(ConfigEvaluation, 1, "") },
	"AWS::EC2::EIP":                      func(b *biller) { b.fixed(PublicIPv4, 1, "") },
	"AWS::EC2::FlowLog":                  (*biller).flowLog,
	"AWS::EC2::Instance":                 (*biller).instance,
	"AWS::EC2::InstanceConnectEndpoint":  func(b *biller) { b.fixed(InstanceConnect, 1, "") },
	"AWS::EC2::NatGateway":               func(b *biller) { b.fixed(NatGateway, 1, "") },
	"AWS::EC2::VPC":                      func(*biller) {},
	"AWS::EC2::VPCEndpoint":              (*biller).endpoint,
	"AWS::EC2::Volume": func(b *biller) {
		if size, ok := property.Number(b.r.Properties["Size"]); ok {
			b.fixed(VolumeGp3, size, "")
		}
	},
	"AWS::ElasticLoadBalancingV2::LoadBalancer": (*biller).loadBalancer,
	"AWS::InspectorV2::CisScanConfiguration":    (*biller).cisScan,
	"AWS::KMS::Key":                             func(b *biller) { b.fixed(Key, 1, "") },
	"AWS::KMS::ReplicaKey":                      func(b *biller) { b.fixed(Key, 1, "") },
	"AWS::KinesisFirehose::DeliveryStream":      func(b *biller) { b.used(Firehose, 1, "") },
	"AWS::Lambda::Function":                     (*biller).function,
	"AWS::Logs::LogGroup":                       (*biller).logGroup,
	"AWS::Logs::MetricFilter":                   (*biller).metricFilter,
	"AWS::Logs::QueryDefinition":                func(b *biller) { b.used(LogScan, 1, "") },
	"AWS::Route53::HostedZone":                  func(b *biller) { b.fixed(HostedZone, 1, "") },
	"AWS::S3::Bucket":                           (*biller).bucket,
	"AWS::SNS::Subscription": func(b *biller) {
		if strings.HasPrefix(property.Text(b.r.Properties["Protocol"]), "email") {
			b.used(SNSEmail, 1, "")
		}
	},
	"AWS::SNS::Topic":                  func(b *biller) { b.used(SNSPublish, 1, "") },
	"AWS::SQS::Queue":                  func(b *biller) { b.used(SQSRequest, 1, "") },
	"AWS::Scheduler::Schedule":         func(b *biller) { b.used(ScheduleCall, 1, "") },
	"AWS::SecretsManager::Secret":      func(b *biller) { b.fixed(Secret, 1, "") },
	"AWS::StepFunctions::StateMachine": func(b *biller) { b.used(StateTransition, 1, "") },
}

// group is an Auto Scaling group with what its launch template starts.
func (b *biller) group() {
	p := b.r.Properties
	size := p["DesiredCapacity"]
	if size == nil {
		size = p["MinSize"]
	}
	desired, known := property.Number(size)
	var notes, types []string
	if !known {
		desired = 1
		notes = append(notes, "assuming one")
	}
	spec, spot := p["LaunchTemplate"], false
	if mixed := p["MixedInstancesPolicy"]; mixed != nil {
		spec = property.At(mixed, "LaunchTemplate", "LaunchTemplateSpecification")
		for _, override := range property.List(property.At(mixed, "LaunchTemplate", "Overrides")) {
			if t := property.Text(property.At(override, "InstanceType")); t != "" {
				types = append(types, t)
			}
		}
		_, spot = property.At(mixed, "InstancesDistribution", "SpotAllocationStrategy").(string)
	}
	data := map[string]any{}
	for i := range b.all {
		template := &b.all[i]
		if template.Type == "AWS::EC2::LaunchTemplate" &&
			(b.refers(property.At(spec, "LaunchTemplateId"), template) || b.refers(property.At(spec, "LaunchTemplateName"), template)) {
			data, _ = template.Properties["LaunchTemplateData"].(map[string]any)
		}
	}
	if property.Text(property.At(data, "InstanceMarketOptions", "MarketType")) == "spot" {
		spot = true
	}
	if t := property.Text(data["InstanceType"]); t != "" {
		types = append(types, t)
	}
	if spot {
		notes = append(notes, "Spot costs less")
	}
	if b.scheduled {
		notes = append(notes, "less by its schedule")
	}
	if len(types) == 0 {
		types = []string{"instance of unknown type"}
	}
	b.fixed(Instance(types[0]), desired, strings.Join(notes, ", "))
	b.volumes(data["BlockDeviceMappings"], desired)
	if property.Yes(property.At(data, "Monitoring", "Enabled")) {
		b.fixed(DetailedMonitoring, desired, "")
	}
	b.addresses(data["NetworkInterfaces"], desired)
}

func (b *biller) instance() {
	p := b.r.Properties
	b.fixed(Instance(property.Text(p["InstanceType"])), 1, "")
	b.volumes(p["BlockDeviceMappings"], 1)
	if property.Yes(p["Monitoring"]) {
		b.fixed(DetailedMonitoring, 1, "")
	}
	b.addresses(p["NetworkInterfaces"], 1)
}

func (b *biller) volumes(mappings any, instances float64) {
	for _, mapping := range property.List(mappings) {
		if size, ok := property.Number(property.At(mapping, "Ebs", "VolumeSize")); ok {
			b.fixed(VolumeGp3, size*instances, "")
		}
	}
}

// addresses are those that instances get at launch; an Elastic IP takes the place
// of one.
func (b *biller) addresses(interfaces any, instances float64) {
	public := slices.ContainsFunc(property.List(interfaces), func(i any) bool { return property.Yes(property.At(i, "AssociatePublicIpAddress")) })
	if !public {
		return
	}
	replaced := min(max(0, b.spare), instances)
	b.spare -= replaced
	b.fixed(PublicIPv4, instances-replaced, "")
}

func (b *biller) endpoint() {
	p := b.r.Properties
	service := serviceName(p["ServiceName"])
	if property.Text(p["VpcEndpointType"]) != "Interface" {
		b.fixed(GatewayEndpoint, 1, service)
		return
	}
	zones := max(1, len(property.List(p["SubnetIds"])))
	b.fixed(InterfaceEndpoint, float64(zones), service+" in "+words.Count(zones, "zone"))
}

func (b *biller) loadBalancer() {
	p := b.r.Properties
	if property.Text(p["Type"]) != "network" {
		b.fixed(Part(b.r.Type+"/"+cmp.Or(property.Text(p["Type"]), "application")), 1, "")
		return
	}
	b.fixed(NetworkLB, 1, "")
	if property.Text(p["Scheme"]) != "internet-facing" {
		return
	}
	addresses := len(property.List(p["Subnets"]))
	for _, mapping := range property.List(p["SubnetMappings"]) {
		if property.At(mapping, "AllocationId") == nil {
			addresses++
		}
	}
	b.fixed(PublicIPv4, float64(addresses), "of the load balancer")
}

// alarm is billed by the metrics that it watches, and those that are nobody's
// service's own are billed themselves.
func (b *biller) alarm() {
	p := b.r.Properties
	metrics := []any{any(p)}
	if queries := property.List(p["Metrics"]); len(queries) > 0 {
		metrics = nil
		for _, query := range queries {
			if metric := property.At(query, "MetricStat", "Metric"); metric != nil {
				metrics = append(metrics, metric)
			}
		}
	}
	part := Alarm
	if period, ok := property.Number(p["Period"]); ok && period < 60 {
		part = HighResolutionAlarm
	}
	b.fixed(part, float64(max(1, len(metrics))), "")
	for _, metric := range metrics {
		b.metric(property.Text(property.At(metric, "Namespace")), property.Text(property.At(metric, "MetricName")), false)
	}
}

func (b *biller) metricFilter() {
	for _, transformation := range property.List(b.r.Properties["MetricTransformations"]) {
		// A metric is billed for the hours that it has data in. With a default value
		// these are all in which anything is logged.
		sparse := property.At(transformation, "DefaultValue") == nil
		b.metric(property.Text(property.At(transformation, "MetricNamespace")), property.Text(property.At(transformation, "MetricName")), sparse)
	}
}

// metric counts a custom metric once, whoever watches or makes it. Which of its
// resources comes first says whether it is billed by use.
func (b *biller) metric(namespace, name string, sparse bool) {
	id := namespace + " " + name
	if namespace == "" || strings.HasPrefix(namespace, "AWS/") || b.metrics[id] {
		return
	}
	b.metrics[id] = true
	if sparse || b.sparse(namespace, name) {
		b.used(SparseMetric, 1, "")
		return
	}
	b.fixed(CustomMetric, 1, "")
}

// sparse tells of a metric that a filter makes without a default value.
func (b *biller) sparse(namespace, name string) bool {
	for i := range b.all {
		if b.all[i].Type != "AWS::Logs::MetricFilter" {
			continue
		}
		for _, t := range property.List(b.all[i].Properties["MetricTransformations"]) {
			if property.Text(property.At(t, "MetricNamespace")) == namespace && property.Text(property.At(t, "MetricName")) == name {
				return property.At(t, "DefaultValue") == nil
			}
		}
	}
	return false
}

func (b *biller) logGroup() {
	p := b.r.Properties
	ingest := LogIngest
	if property.Text(p["LogGroupClass"]) == "INFREQUENT_ACCESS" {
		ingest = LogIngestInfrequent
	}
	b.used(ingest, 1, "")
	b.used(LogStorage, 1, "")
	if p["DataProtectionPolicy"] != nil {
		b.used(LogMasking, 1, "")
	}
}

func (b *biller) flowLog() {
	if property.Text(b.r.Properties["LogDestinationType"]) == "s3" {
		b.used(FlowLogToS3, 1, "")
		return
	}
	b.used(FlowLogToLogs, 1, "")
}

var storageClasses = map[string]Part{
	"STANDARD_IA": S3InfrequentAccess, "GLACIER_IR": S3GlacierInstant, "GLACIER": S3GlacierFlexible, "DEEP_ARCHIVE": S3DeepArchive,
}

func (b *biller) bucket() {
	p := b.r.Properties
	b.used(S3Standard, 1, "")
	b.used(S3Put, 1, "")
	var classes []string
	for _, rule := range property.List(property.At(p, "LifecycleConfiguration", "Rules")) {
		if property.Text(property.At(rule, "Status")) == "Disabled" {
			continue
		}
		for _, transition := range append(property.List(property.At(rule, "Transitions")), property.At(rule, "Transition")) {
			classes = append(classes, property.Text(property.At(transition, "StorageClass")))
		}
	}
	slices.Sort(classes)
	for _, class := range slices.Compact(classes) {
		if part, ok := storageClasses[class]; ok {
			b.used(part, 1, "")
		}
	}
	if len(property.List(p["InventoryConfigurations"])) > 0 {
		b.used(S3Inventory, 1, "")
	}
	if p["ReplicationConfiguration"] != nil {
		b.used(S3Replication, 1, "")
	}
}

func (b *biller) trail() {
	b.used(TrailCopy, 1, "")
	p := b.r.Properties
	data := slices.ContainsFunc(property.List(p["EventSelectors"]), func(s any) bool { return len(property.List(property.At(s, "DataResources"))) > 0 })
	for _, selector := range property.List(p["AdvancedEventSelectors"]) {
		for _, field := range property.List(property.At(selector, "FieldSelectors")) {
			data = data || property.Text(property.At(field, "Field")) == "eventCategory" && slices.Contains(property.Texts(property.At(field, "Equals")), "Data")
		}
	}
	if data {
		b.used(TrailDataEvent, 1, "")
	}
}

func (b *biller) cisScan() {
	runs := 1.0
	schedule, _ := b.r.Properties["Schedule"].(map[string]any)
	note := "a scan of one instance a month"
	switch {
	case schedule["Daily"] != nil:
		runs, note = 30, "30 scans of one instance a month"
	case schedule["Weekly"] != nil:
		days := max(1, len(property.List(property.At(schedule["Weekly"], "Days"))))
		runs = float64(days) * 52 / 12
		note = fmt.Sprintf("%.1f scans of one instance a month", runs)
	}
	b.used(InspectorCIS, runs, note)
}

func (b *biller) function() {
	p := b.r.Properties
	b.used(FunctionCall, 1, "")
	memory, ok := property.Number(p["MemorySize"])
	if !ok {
		memory = 128
	}
	part := FunctionSecondX86
	if slices.Contains(property.Texts(p["Architectures"]), "arm64") {
		part = FunctionSecondARM
	}
	b.used(part, memory/128, "")
}

// refers tells whether a value of the resource under way stands for another
// resource: its name or identifier, or a function that gives one.
func (b *biller) refers(value any, to *Resource) bool {
	switch v := value.(type) {
	case string:
		return v != "" && (v == to.Identifier || v == property.Text(to.Properties["LaunchTemplateName"]))
	case map[string]any:
		if to.Stack != b.r.Stack {
			return false
		}
		if ref, ok := v["Ref"].(string); ok {
			return ref == to.LogicalID
		}
		get := property.List(v["Fn::GetAtt"])
		return len(get) > 0 && property.Text(get[0]) == to.LogicalID
	}
	return false
}

// serviceName is the last part of an endpoint service's name.
func serviceName(value any) string {
	name := property.Text(value)
	if parts := property.List(property.At(value, "Fn::Join")); len(parts) == 2 {
		if pieces := property.List(parts[1]); len(pieces) > 0 {
			name = property.Text(pieces[len(pieces)-1])
		}
	}
	return name[strings.LastIndex(name, ".")+1:]
}
