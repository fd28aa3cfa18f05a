package cost_test

import (
	"math"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/cost"
)

type object = map[string]any

// lines are the charges of resources as "part quantity", assumed ones with "~".
func lines(t *testing.T, resources ...cost.Resource) []string {
	t.Helper()
	var got []string
	for _, line := range cost.Estimate(cost.Items(cost.Of(resources))) {
		mark := ""
		if line.Assumed {
			mark = "~"
		}
		got = append(got, string(line.Part)+" "+mark+trim(line.Quantity))
	}
	return got
}

func TestResources(t *testing.T) {
	group := func(properties object) cost.Resource {
		return cost.Resource{Type: "AWS::AutoScaling::AutoScalingGroup", Stack: "A", LogicalID: "Group", Properties: properties}
	}
	template := func(data object) cost.Resource {
		return cost.Resource{Type: "AWS::EC2::LaunchTemplate", Stack: "A", LogicalID: "Template", Identifier: "lt-1", Properties: object{"LaunchTemplateData": data}}
	}
	small := object{
		"InstanceType":        "t4g.micro",
		"Monitoring":          object{"Enabled": true},
		"BlockDeviceMappings": []any{object{"Ebs": object{"VolumeSize": 8}}, object{"VirtualName": "ephemeral0"}},
		"NetworkInterfaces":   []any{object{"AssociatePublicIpAddress": true}},
	}
	of := func(kind string, properties object) cost.Resource {
		return cost.Resource{Type: kind, Properties: properties}
	}
	for name, test := range map[string]struct {
		resources []cost.Resource
		want      []string
	}{
		"a group in a template": {
			[]cost.Resource{template(small), group(object{"MinSize": "2", "LaunchTemplate": object{"LaunchTemplateId": object{"Ref": "Template"}}})},
			[]string{"ec2/t4g.micro 2", "ebs/gp3 16", "cloudwatch/detailed-monitoring 2", "ec2/public-ipv4 2"},
		},
		"a group as deployed": {
			[]cost.Resource{group(object{"DesiredCapacity": "1", "LaunchTemplate": object{"LaunchTemplateId": "lt-1"}}), template(small)},
			[]string{"ec2/t4g.micro 1", "ebs/gp3 8", "cloudwatch/detailed-monitoring 1", "ec2/public-ipv4 1"},
		},
		"an Elastic IP takes the place of the instance's own": {
			[]cost.Resource{
				template(small), of("AWS::EC2::EIP", nil),
				group(object{"MinSize": "1", "LaunchTemplate": object{"LaunchTemplateId": object{"Fn::GetAtt": []any{"Template", "LaunchTemplateId"}}}}),
			},
			[]string{"ec2/public-ipv4 1", "ec2/t4g.micro 1", "ebs/gp3 8", "cloudwatch/detailed-monitoring 1"},
		},
		"but that of a NAT gateway doesn't": {
			[]cost.Resource{
				template(small), of("AWS::EC2::EIP", nil), of("AWS::EC2::NatGateway", nil),
				group(object{"MinSize": "1", "LaunchTemplate": object{"LaunchTemplateId": object{"Ref": "Template"}}}),
			},
			[]string{"ec2/public-ipv4 2", "vpc/nat-gateway 1", "ec2/t4g.micro 1", "ebs/gp3 8", "cloudwatch/detailed-monitoring 1"},
		},
		"another stack's template is not this one": {
			[]cost.Resource{{Type: "AWS::EC2::LaunchTemplate", Stack: "B", LogicalID: "Template"}, group(object{"MinSize": "1", "LaunchTemplate": object{"LaunchTemplateId": object{"Ref": "Template"}}})},
			[]string{"ec2/instance of unknown type 1"},
		},
		"Spot by schedule": {
			[]cost.Resource{
				template(object{}), of("AWS::AutoScaling::ScheduledAction", nil),
				group(object{"MinSize": object{"Ref": "Size"}, "MixedInstancesPolicy": object{
					"InstancesDistribution": object{"SpotAllocationStrategy": "price-capacity-optimized"},
					"LaunchTemplate": object{
						"LaunchTemplateSpecification": object{"LaunchTemplateId": "lt-1"},
						"Overrides":                   []any{object{"InstanceType": "t4g.small"}, object{"InstanceType": "t4g.medium"}},
					},
				}}),
			},
			[]string{"ec2/t4g.small 1"},
		},
		"an instance": {[]cost.Resource{of("AWS::EC2::Instance", object{"InstanceType": "t3.nano", "Monitoring": "true"})}, []string{"ec2/t3.nano 1", "cloudwatch/detailed-monitoring 1"}},
		"endpoints": {
			[]cost.Resource{
				of("AWS::EC2::VPCEndpoint", object{"VpcEndpointType": "Interface", "ServiceName": "com.amazonaws.us-east-1.ssm", "SubnetIds": []any{object{"Ref": "A"}, object{"Ref": "B"}, object{"Ref": "C"}}}),
				of("AWS::EC2::VPCEndpoint", object{"ServiceName": object{"Fn::Join": []any{"", []any{"com.amazonaws.", object{"Ref": "AWS::Region"}, ".s3"}}}}),
				of("AWS::EC2::InstanceConnectEndpoint", nil),
			},
			[]string{"vpc/interface-endpoint 3", "vpc/gateway-endpoint 1", "ec2/instance-connect-endpoint 1"},
		},
		"load balancers": {
			[]cost.Resource{
				of("AWS::ElasticLoadBalancingV2::LoadBalancer", object{"Type": "network", "Scheme": "internet-facing", "Subnets": []any{"a", "b"}}),
				of("AWS::ElasticLoadBalancingV2::LoadBalancer", object{"Type": "network", "Scheme": "internet-facing", "SubnetMappings": []any{object{"SubnetId": "a", "AllocationId": "e"}}}),
				of("AWS::ElasticLoadBalancingV2::LoadBalancer", object{"Type": "network", "Scheme": "internal", "Subnets": []any{"a"}}),
				of("AWS::ElasticLoadBalancingV2::LoadBalancer", object{}),
			},
			[]string{"elb/network-load-balancer 3", "ec2/public-ipv4 2", "AWS::ElasticLoadBalancingV2::LoadBalancer/application 1"},
		},
		"alarms and metrics": {
			[]cost.Resource{
				of("AWS::CloudWatch::Alarm", object{"Namespace": "AWS/EC2", "MetricName": "CPUUtilization", "Period": 300}),
				of("AWS::CloudWatch::Alarm", object{"Namespace": "Postern", "MetricName": "Lag", "Period": 10}),
				of("AWS::CloudWatch::Alarm", object{"Metrics": []any{
					object{"Id": "a", "MetricStat": object{"Metric": object{"Namespace": "Postern", "MetricName": "Lag"}}},
					object{"Id": "b", "MetricStat": object{"Metric": object{"Namespace": "Postern", "MetricName": "Bans"}}},
					object{"Id": "c", "Expression": "a + b"},
				}}),
				of("AWS::Logs::MetricFilter", object{"MetricTransformations": []any{object{"MetricNamespace": "Postern", "MetricName": "Bans"}}}),
				of("AWS::Logs::MetricFilter", object{"MetricTransformations": []any{object{"MetricNamespace": "Postern", "MetricName": "Sudo", "DefaultValue": 0.0}}}),
				of("AWS::CloudWatch::CompositeAlarm", nil),
				of("AWS::CloudWatch::Dashboard", nil),
			},
			[]string{
				"cloudwatch/alarm 3", "cloudwatch/high-resolution-alarm 1", "cloudwatch/metric 2", "cloudwatch/metric-now-and-then ~0.05",
				"cloudwatch/composite-alarm 1", "cloudwatch/dashboard 1",
			},
		},
		"logs": {
			[]cost.Resource{
				of("AWS::Logs::LogGroup", object{"DataProtectionPolicy": object{}}), of("AWS::Logs::LogGroup", object{"LogGroupClass": "INFREQUENT_ACCESS"}),
				of("AWS::EC2::FlowLog", object{"LogDestinationType": "s3"}), of("AWS::EC2::FlowLog", object{}),
				of("AWS::KinesisFirehose::DeliveryStream", nil), of("AWS::Logs::QueryDefinition", nil), of("AWS::Logs::SubscriptionFilter", nil),
			},
			[]string{
				"logs/ingest ~0.1", "logs/storage ~0.4", "logs/data-protection ~0.1", "logs/ingest-infrequent-access ~0.1",
				"logs/vended-to-s3 ~1", "logs/vended ~1", "firehose/ingest ~1", "logs/insights ~0.2",
			},
		},
		"a bucket": {
			[]cost.Resource{of("AWS::S3::Bucket", object{
				"LifecycleConfiguration": object{"Rules": []any{
					object{"Status": "Enabled", "Transitions": []any{object{"StorageClass": "GLACIER_IR"}, object{"StorageClass": "DEEP_ARCHIVE"}}},
					object{"Status": "Disabled", "Transitions": []any{object{"StorageClass": "GLACIER"}}},
				}},
				"InventoryConfigurations": []any{object{}}, "ReplicationConfiguration": object{},
			})},
			[]string{"s3/standard ~1", "s3/put ~10", "s3/glacier-deep-archive ~1", "s3/glacier-instant-retrieval ~1", "s3/inventory ~0.1", "s3/replication ~1"},
		},
		"trails": {
			[]cost.Resource{
				of("AWS::CloudTrail::Trail", object{}),
				of("AWS::CloudTrail::Trail", object{"EventSelectors": []any{object{"DataResources": []any{object{}}}}}),
				of("AWS::CloudTrail::Trail", object{"AdvancedEventSelectors": []any{object{"FieldSelectors": []any{object{"Field": "eventCategory", "Equals": []any{"Data"}}}}}}),
			},
			[]string{"cloudtrail/management-events ~0", "cloudtrail/data-events ~200"},
		},
		"compliance": {
			[]cost.Resource{
				of("AWS::Config::ConfigRule", nil), of("AWS::Config::ConfigRule", nil),
				of("AWS::InspectorV2::CisScanConfiguration", object{"Schedule": object{"Weekly": object{"Days": []any{"MON", "THU"}}}}),
			},
			[]string{"config/evaluation ~40", "inspector/cis ~8.667"},
		},
		"functions and messages": {
			[]cost.Resource{
				of("AWS::Lambda::Function", object{"Architectures": []any{"arm64"}, "MemorySize": 256}), of("AWS::Lambda::Function", object{}),
				of("AWS::SNS::Topic", nil), of("AWS::SNS::Subscription", object{"Protocol": "email"}), of("AWS::SNS::Subscription", object{"Protocol": "sqs"}),
				of("AWS::SQS::Queue", nil), of("AWS::Scheduler::Schedule", nil), of("AWS::StepFunctions::StateMachine", nil), of("AWS::Events::Rule", nil),
			},
			[]string{
				"lambda/request ~0.002", "lambda/gb-second-arm ~50", "lambda/gb-second-x86 ~25", "sns/publish ~0.001", "sns/email ~1",
				"sqs/request ~0.001", "scheduler/invocation ~0.001", "states/transition ~1",
			},
		},
		"what is free": {[]cost.Resource{of("AWS::IAM::Role", nil), of("AWS::EC2::SecurityGroupIngress", nil), of("Custom::VpcRestrictDefaultSG", nil), of("AWS::EC2::VPC", nil)}, nil},
		"what is not known": {
			[]cost.Resource{of("AWS::EC2::TransitGateway", nil)},
			[]string{"AWS::EC2::TransitGateway 1"},
		},
	} {
		assert.Equal(t, test.want, lines(t, test.resources...), name)
	}
}

func TestChargesNameTheirResource(t *testing.T) {
	charges := cost.Of([]cost.Resource{{Type: "AWS::IAM::Role"}, {Type: "AWS::KMS::Key"}, {Type: "AWS::SQS::Queue"}})
	require.Len(t, charges, 2)
	assert.Equal(t, 1, charges[0].Of)
	assert.Equal(t, 2, charges[1].Of)
}

func TestUseIsApartFromWhatIsFixed(t *testing.T) {
	l := cost.Estimate(cost.Items(cost.Of([]cost.Resource{{Type: "AWS::KMS::Key"}, {Type: "AWS::Logs::LogGroup"}})))
	assert.InDelta(t, 1, l.Total(), 0.0001)
	assert.InDelta(t, 0.1*0.5+0.2*0.03, l.Use(), 0.0001)
}

// A part of the price table that is billed by use needs its assumption, and every
// price a source and words.
func TestPricesAreComplete(t *testing.T) {
	for _, part := range cost.Parts() {
		price, known := cost.Lookup(part)
		require.True(t, known, part)
		assert.NotEmpty(t, price.Source, part)
		assert.NotEmpty(t, price.What, part)
		assert.NotEmpty(t, price.Unit, part)
		assert.GreaterOrEqual(t, price.USD, 0.0, part)
		if use, ok := cost.Assumed(part); ok {
			assert.NotEmpty(t, use.What, part)
		}
	}
}

func TestTypesHaveKnownPrices(t *testing.T) {
	for _, kind := range cost.Types() {
		assert.False(t, cost.Free(kind), kind)
		properties := object{"InstanceType": "t4g.nano", "MinSize": "1", "Type": "network", "LaunchTemplate": object{"LaunchTemplateId": "lt-1"}}
		lines := cost.Estimate(cost.Items(cost.Of([]cost.Resource{
			{Type: kind, Properties: properties},
			{Type: "AWS::EC2::LaunchTemplate", Identifier: "lt-1", Properties: object{"LaunchTemplateData": properties}},
		})))
		assert.Empty(t, lines.Unknown(), kind)
	}
}

func trim(quantity float64) string {
	return strconv.FormatFloat(math.Round(quantity*1000)/1000, 'f', -1, 64)
}
