package test_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/constructs/network"
	"github.com/postern-cdk/postern/internal/cdktest"
)

func TestNetworkDefaults(t *testing.T) {
	stack := cdktest.NewStack(t)
	net := network.New(stack, "Network", nil)
	template := cdktest.Template(stack)
	all := resourcesOf(t, template)
	noCustomResource(t, all)

	assert.Equal(t, map[string]int{
		"AWS::EC2::VPC": 1, "AWS::EC2::Subnet": 4, "AWS::EC2::RouteTable": 4, "AWS::EC2::SubnetRouteTableAssociation": 4,
		"AWS::EC2::Route": 2, "AWS::EC2::InternetGateway": 1, "AWS::EC2::VPCGatewayAttachment": 1,
		"AWS::EC2::FlowLog": 1, "AWS::Logs::LogGroup": 1, "AWS::KMS::Key": 1,
		"AWS::IAM::Role": 2, "AWS::IAM::ManagedPolicy": 2, "AWS::SSM::Document": 1, "AWS::SSM::Association": 1,
	}, countTypes(all))
	assert.NotNil(t, net.FlowLogGroup())
	assert.InDelta(t, 1.0, net.MonthlyCost(), 0.001)

	for id, subnet := range ofType(all, "AWS::EC2::Subnet") {
		assert.Equal(t, false, subnet.Properties["MapPublicIpOnLaunch"], id)
	}
	for id, group := range ofType(all, "AWS::Logs::LogGroup") {
		assert.Equal(t, "Retain", group.DeletionPolicy, id)
		assert.NotContains(t, group.Properties, "LogGroupName", id)
		assert.InDelta(t, 365, group.Properties["RetentionInDays"], 0, id)
		assert.Contains(t, group.Properties, "KmsKeyId", id)
	}
	for _, key := range ofType(all, "AWS::KMS::Key") {
		assert.Equal(t, "Retain", key.DeletionPolicy)
		assert.Equal(t, true, key.Properties["EnableKeyRotation"])
		text, _ := json.Marshal(key.Properties["KeyPolicy"])
		assert.Contains(t, string(text), `"Sid":"CloudWatchLogs"`)
		assert.Contains(t, string(text), `:logs:us-east-1:123456789012:log-group:*`)
	}
	template.HasResourceProperties(jsii.String("AWS::EC2::FlowLog"), map[string]any{
		"TrafficType": "ALL", "LogDestinationType": "cloud-watch-logs", "MaxAggregationInterval": 600, "LogFormat": network.LogFormat,
	})
	template.HasResourceProperties(jsii.String("AWS::IAM::ManagedPolicy"), map[string]any{
		"PolicyDocument": map[string]any{"Statement": []any{map[string]any{
			"Action":   []any{"logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"},
			"Effect":   "Allow",
			"Resource": map[string]any{"Fn::GetAtt": []any{assertions.Match_StringLikeRegexp(jsii.String("^NetworkFlowLogs")), "Arn"}},
		}}},
	})
}

func TestNetworkClosesTheDefaultSecurityGroup(t *testing.T) {
	stack := cdktest.NewStack(t)
	network.New(stack, "Network", &network.Props{FlowLogsOff: true})
	template := cdktest.Template(stack)
	group := map[string]any{"Fn::GetAtt": []any{assertions.Match_StringLikeRegexp(jsii.String("^Network")), "DefaultSecurityGroup"}}
	template.HasResourceProperties(jsii.String("AWS::SSM::Association"), map[string]any{
		"Name":               map[string]any{"Ref": assertions.Match_StringLikeRegexp(jsii.String("Runbook"))},
		"ScheduleExpression": "rate(1 day)",
		"Parameters": map[string]any{
			"GroupId":              []any{group},
			"AutomationAssumeRole": []any{map[string]any{"Fn::GetAtt": []any{assertions.Match_AnyValue(), "Arn"}}},
		},
	})
	template.HasResourceProperties(jsii.String("AWS::IAM::ManagedPolicy"), map[string]any{
		"PolicyDocument": map[string]any{"Statement": []any{
			map[string]any{"Action": "ec2:DescribeSecurityGroups", "Effect": "Allow", "Resource": "*"},
			map[string]any{
				"Action": []any{"ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress"},
				"Effect": "Allow",
				"Resource": map[string]any{"Fn::Join": []any{"", []any{
					"arn:aws:ec2:us-east-1:123456789012:security-group/", group,
				}}},
			},
		}},
	})

	open := cdktest.NewStack(t)
	network.New(open, "Network", &network.Props{FlowLogsOff: true, DefaultSecurityGroupOpen: true})
	cdktest.Template(open).ResourceCountIs(jsii.String("AWS::SSM::Association"), jsii.Number(0))
}

// What exists keeps its address range and zone whatever is added later.
func TestNetworkGrowsWithoutMovingSubnets(t *testing.T) {
	subnets := func(app awscdk.App, place *awscdk.Environment, props *network.Props) map[string]string {
		props.FlowLogsOff = true
		stack := awscdk.NewStack(app, jsii.String("Test"), &awscdk.StackProps{Env: place})
		network.New(stack, "Network", props)
		found := map[string]string{}
		for id, r := range ofType(resourcesOf(t, cdktest.Template(stack)), "AWS::EC2::Subnet") {
			text, err := json.Marshal(r.Properties)
			require.NoError(t, err)
			found[id] = string(text)
		}
		return found
	}
	known := &awscdk.Environment{Account: jsii.String("123456789012"), Region: jsii.String("us-east-1")}
	for _, cidr := range []string{"10.0.0.0/16", "10.9.0.0/20", "192.168.4.0/24"} {
		steps := []network.Props{
			{Cidr: cidr, AvailabilityZones: 1, NoInternet: true},
			{Cidr: cidr, AvailabilityZones: 1},
			{Cidr: cidr, AvailabilityZones: 2},
			{Cidr: cidr, AvailabilityZones: 2, Nat: network.NatOne},
			{Cidr: cidr, AvailabilityZones: 3, Nat: network.NatOne},
			{Cidr: cidr, AvailabilityZones: 3, Nat: network.NatPerZone},
			{Cidr: cidr, AvailabilityZones: 4, Nat: network.NatPerZone},
		}
		wanted := []int{1, 2, 4, 6, 9, 9, 12}
		before := map[string]string{}
		for i := range steps {
			now := subnets(cdktest.NewApp(t), nil, &steps[i])
			assert.Len(t, now, wanted[i], "%s step %d", cidr, i)
			for id, properties := range before {
				assert.Equal(t, properties, now[id], "%s step %d moved %s", cidr, i, id)
			}
			before = now
		}
	}
	two := subnets(cdktest.NewApp(t), known, &network.Props{})
	three := subnets(cdktest.NewApp(t), known, &network.Props{AvailabilityZones: 3, Nat: network.NatPerZone})
	assert.Len(t, two, 4)
	assert.Len(t, three, 9)
	for id, properties := range two {
		assert.Equal(t, properties, three[id])
	}
}

func TestNetworkNat(t *testing.T) {
	for nat, want := range map[network.Nat]int{network.NatNone: 0, network.NatOne: 1, network.NatPerZone: 3} {
		stack := cdktest.NewStack(t)
		net := network.New(stack, "Network", &network.Props{Nat: nat, AvailabilityZones: 3, FlowLogsOff: true})
		cdktest.Template(stack).ResourceCountIs(jsii.String("AWS::EC2::NatGateway"), jsii.Number(want))
		assert.InDelta(t, 36.5*float64(want), net.MonthlyCost(), 0.001)
	}
}

func TestNetworkAllProps(t *testing.T) {
	stack := cdktest.NewStack(t)
	key := awskms.NewKey(stack, jsii.String("Key"), nil)
	bucket := awss3.NewBucket(stack, jsii.String("Bucket"), &awss3.BucketProps{EncryptionKey: key})
	net := network.New(stack, "Network", &network.Props{
		Cidr: "10.42.0.0/20", ZoneNames: []string{"dummy1c", "dummy1a"}, Nat: network.NatPerZone,
		FlowLogs: &network.FlowLogs{Bucket: bucket, Prefix: "/vpc/", EveryMinute: true},
	})
	assert.Nil(t, net.FlowLogGroup())
	template := cdktest.Template(stack)
	template.HasResourceProperties(jsii.String("AWS::EC2::VPC"), map[string]any{"CidrBlock": "10.42.0.0/20"})
	template.HasResourceProperties(jsii.String("AWS::EC2::Subnet"), map[string]any{
		"CidrBlock": "10.42.0.0/24", "AvailabilityZone": "dummy1c",
	})
	template.HasResource(jsii.String("AWS::EC2::FlowLog"), map[string]any{
		"Properties": map[string]any{
			"LogDestinationType":     "s3",
			"MaxAggregationInterval": 60,
			"LogDestination":         map[string]any{"Fn::Join": []any{"", []any{map[string]any{"Fn::GetAtt": []any{assertions.Match_AnyValue(), "Arn"}}, "/vpc/"}}},
			"DestinationOptions":     map[string]any{"FileFormat": "parquet", "HiveCompatiblePartitions": false, "PerHourPartition": true},
		},
		"DependsOn": assertions.Match_ArrayWith(&[]any{assertions.Match_StringLikeRegexp(jsii.String("^BucketPolicy"))}),
	})
	text, err := json.Marshal(template.ToJSON())
	require.NoError(t, err)
	assert.Contains(t, string(text), `/vpc/AWSLogs/123456789012/*`)
	assert.Equal(t, 3, strings.Count(string(text), `"delivery.logs.amazonaws.com"`), "two statements in the bucket's policy, one in the key's")
	template.ResourceCountIs(jsii.String("AWS::Logs::LogGroup"), jsii.Number(0))
}

func TestNetworkLogGroupOfAnotherStack(t *testing.T) {
	app := cdktest.NewApp(t)
	archive, stack := cdktest.StackIn(app, "Archive"), cdktest.StackIn(app, "Network")
	group := awslogs.NewLogGroup(archive, jsii.String("Flows"), nil)
	net := network.New(stack, "Network", &network.Props{FlowLogs: &network.FlowLogs{LogGroup: group}})
	template := cdktest.Template(stack)
	template.ResourceCountIs(jsii.String("AWS::Logs::LogGroup"), jsii.Number(0))
	template.ResourceCountIs(jsii.String("AWS::KMS::Key"), jsii.Number(0))
	assert.Equal(t, group, net.FlowLogGroup())
	assert.InDelta(t, 0, net.MonthlyCost(), 0)
}

func TestNetworkTakesGivenVpc(t *testing.T) {
	stack := cdktest.NewStack(t)
	vpc := awsec2.Vpc_FromVpcAttributes(stack, jsii.String("Vpc"), &awsec2.VpcAttributes{
		VpcId: jsii.String("vpc-12345678"), AvailabilityZones: jsii.Strings("us-east-1a"),
	})
	net := network.New(stack, "Network", &network.Props{Vpc: vpc})
	assert.Equal(t, vpc, net.Vpc())
	assert.Nil(t, net.FlowLogGroup())
	awscdk.NewCfnWaitConditionHandle(stack, jsii.String("Other"), nil)
	assert.Equal(t, map[string]int{"AWS::CloudFormation::WaitConditionHandle": 1}, countTypes(resourcesOf(t, cdktest.Template(stack))))

	logged := cdktest.NewStack(t)
	vpc = awsec2.Vpc_FromVpcAttributes(logged, jsii.String("Vpc"), &awsec2.VpcAttributes{
		VpcId: jsii.String("vpc-12345678"), AvailabilityZones: jsii.Strings("us-east-1a"),
	})
	network.New(logged, "Network", &network.Props{Vpc: vpc, FlowLogs: &network.FlowLogs{}})
	template := cdktest.Template(logged)
	template.HasResourceProperties(jsii.String("AWS::EC2::FlowLog"), map[string]any{"ResourceId": "vpc-12345678"})
	template.ResourceCountIs(jsii.String("AWS::EC2::VPC"), jsii.Number(0))
}

func TestNetworkRefusesMoreZonesThanTheRegionHas(t *testing.T) {
	app := cdktest.NewApp(t)
	stack := cdktest.StackIn(app, "Test")
	stack.Node().SetContext(jsii.String("availability-zones:account=123456789012:region=us-east-1"), []string{"us-east-1a", "us-east-1b"})
	assert.Equal(t, `network "Test/Network": AvailabilityZones: 3 are asked for and the region has 2: ask for fewer, or name others in ZoneNames`,
		cdktest.Panic(t, func() { network.New(stack, "Network", &network.Props{AvailabilityZones: 3}) }))
	assert.Nil(t, stack.Node().TryFindChild(jsii.String("Network")), "the tree is not touched")
}

func TestNetworkRefusesUsesOfTheDefaultSecurityGroup(t *testing.T) {
	const fallsBack = "names no security group, and resources that name no security group get the VPC's default one: give it a security group of its own"
	const uses = "uses the default security group of Test/Network/Resource/Resource, which is kept without rules: give it a security group of its own"
	for name, c := range map[string]struct {
		build func(scope constructs.Construct, vpc awsec2.Vpc, subnet *string)
		want  string
	}{
		"interface without": {func(scope constructs.Construct, _ awsec2.Vpc, subnet *string) {
			awsec2.NewCfnNetworkInterface(scope, jsii.String("It"), &awsec2.CfnNetworkInterfaceProps{SubnetId: subnet})
		}, "[Test/It] Test/It: this network interface " + fallsBack},
		"interface with": {func(scope constructs.Construct, vpc awsec2.Vpc, subnet *string) {
			awsec2.NewCfnNetworkInterface(scope, jsii.String("It"), &awsec2.CfnNetworkInterfaceProps{
				SubnetId: subnet, GroupSet: &[]any{vpc.VpcDefaultSecurityGroup()},
			})
		}, "Test/It: this network interface " + uses},
		"instance without": {func(scope constructs.Construct, _ awsec2.Vpc, subnet *string) {
			awsec2.NewCfnInstance(scope, jsii.String("It"), &awsec2.CfnInstanceProps{SubnetId: subnet, ImageId: jsii.String("ami-12345678")})
		}, "Test/It: this instance " + fallsBack},
		"interface endpoint without": {func(scope constructs.Construct, vpc awsec2.Vpc, subnet *string) {
			awsec2.NewCfnVPCEndpoint(scope, jsii.String("It"), &awsec2.CfnVPCEndpointProps{
				VpcId: vpc.VpcId(), VpcEndpointType: jsii.String("Interface"), ServiceName: jsii.String("com.amazonaws.us-east-1.ssm"), SubnetIds: &[]any{subnet},
			})
		}, "Test/It: this interface endpoint " + fallsBack},
		"connect endpoint without": {func(scope constructs.Construct, _ awsec2.Vpc, subnet *string) {
			awsec2.NewCfnInstanceConnectEndpoint(scope, jsii.String("It"), &awsec2.CfnInstanceConnectEndpointProps{SubnetId: subnet})
		}, "Test/It: this EC2 Instance Connect Endpoint " + fallsBack},
	} {
		t.Run(name, func(t *testing.T) {
			stack := cdktest.NewStack(t)
			vpc := network.New(stack, "Network", &network.Props{FlowLogsOff: true}).Vpc().(awsec2.Vpc)
			c.build(stack, vpc, (*vpc.IsolatedSubnets())[0].SubnetId())
			assert.Contains(t, cdktest.Panic(t, func() { cdktest.Template(stack) }), strings.TrimPrefix(c.want, "[Test/It] "))
		})
	}
}

func TestNetworkFindsTheDefaultSecurityGroupAcrossStacks(t *testing.T) {
	for _, app := range []awscdk.App{cdktest.NewApp(t), cdktest.NewAppWithoutFlags(t)} {
		vpc := network.New(cdktest.StackIn(app, "Network"), "Network", &network.Props{FlowLogsOff: true}).Vpc().(awsec2.Vpc)
		other := cdktest.StackIn(app, "Other")
		awsec2.NewCfnNetworkInterface(other, jsii.String("Bad"), &awsec2.CfnNetworkInterfaceProps{
			SubnetId: (*vpc.IsolatedSubnets())[0].SubnetId(), GroupSet: &[]any{vpc.VpcDefaultSecurityGroup()},
		})
		// A group that merely has the words in its name.
		group := awsec2.NewSecurityGroup(other, jsii.String("DefaultSecurityGroup"), &awsec2.SecurityGroupProps{Vpc: vpc})
		awsec2.NewCfnNetworkInterface(other, jsii.String("Good"), &awsec2.CfnNetworkInterfaceProps{
			SubnetId: (*vpc.IsolatedSubnets())[0].SubnetId(), GroupSet: &[]any{group.SecurityGroupId()},
		})
		// Another VPC's is none of ours.
		awsec2.NewCfnNetworkInterface(other, jsii.String("Elsewhere"), &awsec2.CfnNetworkInterfaceProps{SubnetId: jsii.String("subnet-00000001")})
		message := cdktest.Panic(t, func() { cdktest.Template(other) })
		assert.Contains(t, message, "Other/Bad: this network interface uses the default security group of Network/Network/Resource/Resource")
		assert.NotContains(t, message, "Other/Good")
		assert.NotContains(t, message, "Other/Elsewhere")
	}
}

func TestNetworkWarnsOfLaunchTemplates(t *testing.T) {
	stack := cdktest.NewStack(t)
	vpc := network.New(stack, "Network", &network.Props{FlowLogsOff: true}).Vpc()
	awsec2.NewLaunchTemplate(stack, jsii.String("Bare"), nil)
	awsec2.NewLaunchTemplate(stack, jsii.String("Dressed"), &awsec2.LaunchTemplateProps{
		SecurityGroup: awsec2.NewSecurityGroup(stack, jsii.String("Group"), &awsec2.SecurityGroupProps{Vpc: vpc}),
	})
	found := *assertions.Annotations_FromStack(stack).FindWarning(jsii.String("*"), assertions.Match_StringLikeRegexp(jsii.String("launch template")))
	require.Len(t, found, 1)
	assert.Equal(t, "/Test/Bare/Resource", *found[0].Id)
}

func TestNetworkWithoutFlags(t *testing.T) {
	stack := cdktest.StackIn(cdktest.NewAppWithoutFlags(t), "Test")
	network.New(stack, "Network", &network.Props{Nat: network.NatOne})
	all := resourcesOf(t, cdktest.Template(stack))
	noCustomResource(t, all)
	assert.Len(t, ofType(all, "AWS::EC2::Subnet"), 6)
}

func TestNetworkRulePacks(t *testing.T) {
	stack := cdktest.StackIn(newJudgedApp(t), "Test")
	network.New(stack, "Network", &network.Props{Nat: network.NatPerZone})
	addRulePacks(stack)
	assert.Empty(t, findings(stack))
}

// The archive's stack never comes to depend on the network's.
func TestNetworkLogsToTheArchive(t *testing.T) {
	for _, app := range []awscdk.App{cdktest.NewApp(t), cdktest.NewAppWithoutFlags(t)} {
		kept, stack := awscdk.NewStack(app, jsii.String("Archive"), nil), awscdk.NewStack(app, jsii.String("Network"), nil)
		records := archive.New(kept, "Archive", nil)
		toBucket := network.New(stack, "Network", &network.Props{FlowLogs: &network.FlowLogs{Bucket: records.Bucket()}})
		toGroup := network.New(stack, "Second", &network.Props{Vpc: toBucket.Vpc(), FlowLogs: &network.FlowLogs{LogGroup: records.AddLogGroup("Flows")}})
		assert.Nil(t, toBucket.FlowLogGroup())
		assert.NotNil(t, toGroup.FlowLogGroup())
		cdktest.Template(stack).ResourceCountIs(jsii.String("AWS::EC2::FlowLog"), jsii.Number(2))
		assert.Empty(t, *kept.Dependencies())
	}
}
