package test_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/endpoints"
	"github.com/postern-cdk/postern/constructs/network"
	"github.com/postern-cdk/postern/internal/cdktest"
)

// newVpc makes a VPC without flow logs.
func newVpc(stack awscdk.Stack, props *network.Props) awsec2.IVpc {
	props.FlowLogsOff = true
	return network.New(stack, "Network", props).Vpc()
}

func newGroup(stack awscdk.Stack, id string, vpc awsec2.IVpc) awsec2.SecurityGroup {
	return awsec2.NewSecurityGroup(stack, &id, &awsec2.SecurityGroupProps{Vpc: vpc, AllowAllOutbound: jsii.Bool(false)})
}

// importVpc is a VPC that the app knows only by its attributes.
func importVpc(stack awscdk.Stack) awsec2.IVpc {
	return awsec2.Vpc_FromVpcAttributes(stack, jsii.String("Vpc"), &awsec2.VpcAttributes{
		VpcId:                       jsii.String("vpc-12345678"),
		AvailabilityZones:           jsii.Strings("us-east-1a", "us-east-1b"),
		PublicSubnetIds:             jsii.Strings("subnet-00000001", "subnet-00000002"),
		PublicSubnetRouteTableIds:   jsii.Strings("rtb-00000001", "rtb-00000002"),
		PrivateSubnetIds:            jsii.Strings("subnet-00000003", "subnet-00000004"),
		PrivateSubnetRouteTableIds:  jsii.Strings("rtb-00000003", "rtb-00000004"),
		IsolatedSubnetIds:           jsii.Strings("subnet-00000005", "subnet-00000006"),
		IsolatedSubnetRouteTableIds: jsii.Strings("rtb-00000005", "rtb-00000006"),
	})
}

// services returns what the interface endpoints of a template are for.
func services(all map[string]resource) []string {
	var found []string
	for _, r := range ofType(all, "AWS::EC2::VPCEndpoint") {
		if r.Properties["VpcEndpointType"] == "Interface" {
			name := r.Properties["ServiceName"].(string)
			found = append(found, name[strings.LastIndex(name, ".")+1:])
		}
	}
	return found
}

func TestEndpointsDefaults(t *testing.T) {
	stack := cdktest.NewStack(t)
	vpc := newVpc(stack, &network.Props{})
	e := endpoints.New(stack, "Endpoints", &endpoints.Props{Vpc: vpc})
	e.AllowFrom(newGroup(stack, "Host", vpc))
	template := cdktest.Template(stack)
	all := resourcesOf(t, template)
	noCustomResource(t, all)

	assert.ElementsMatch(t, []string{"ssm", "ssmmessages"}, services(all))
	assert.InDelta(t, 29.20, e.MonthlyCost(), 0.001)
	assert.True(t, e.Has(endpoints.S3))
	isolated := resourcesNamed(all, "AWS::EC2::Subnet", "Isolated")
	tables := ofType(all, "AWS::EC2::RouteTable")
	for id, r := range ofType(all, "AWS::EC2::VPCEndpoint") {
		policy, err := json.Marshal(r.Properties["PolicyDocument"])
		require.NoError(t, err)
		if r.Properties["VpcEndpointType"] == "Interface" {
			assert.Equal(t, true, r.Properties["PrivateDnsEnabled"], id)
			assert.ElementsMatch(t, isolated, references(r.Properties["SubnetIds"]), id)
			assert.Len(t, r.Properties["SecurityGroupIds"], 1, id)
			assert.JSONEq(t, `{"Version":"2012-10-17","Statement":[{"Sid":"ThisAccount","Effect":"Allow","Principal":"*","Action":"*","Resource":"*",
				"Condition":{"StringEquals":{"aws:PrincipalAccount":"123456789012"}}}]}`, string(policy), id)
			continue
		}
		assert.Len(t, references(r.Properties["RouteTableIds"]), len(tables), "all route tables")
		assert.JSONEq(t, `{"Version":"2012-10-17","Statement":[
			{"Sid":"ThisAccountInItsOwnBuckets","Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*",
			 "Condition":{"StringEquals":{"aws:PrincipalAccount":"123456789012","aws:ResourceAccount":"123456789012"}}},
			{"Sid":"PublicBucketsOfAws","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":[
			 "arn:aws:s3:::al2023-repos-us-east-1-de612dc2/*","arn:aws:s3:::amazon-ssm-packages-us-east-1/*","arn:aws:s3:::amazon-ssm-us-east-1/*",
			 "arn:aws:s3:::aws-patch-manager-us-east-1-*/*","arn:aws:s3:::aws-ssm-distributor-file-us-east-1/*",
			 "arn:aws:s3:::aws-ssm-document-attachments-us-east-1/*","arn:aws:s3:::aws-ssm-us-east-1/*",
			 "arn:aws:s3:::patch-baseline-snapshot-us-east-1-*/*","arn:aws:s3:::patch-baseline-snapshot-us-east-1/*",
			 "arn:aws:s3:::us-east-1-birdwatcher-prod/*"]}]}`, string(policy))
	}
	// The group of the endpoints has no rule but from the host, and no way out.
	template.HasResourceProperties(jsii.String("AWS::EC2::SecurityGroup"), map[string]any{
		"GroupDescription":     "Interface endpoints: 443 from registered security groups only",
		"SecurityGroupIngress": assertions.Match_Absent(),
		"SecurityGroupEgress":  []any{map[string]any{"CidrIp": "255.255.255.255/32", "Description": "Disallow all traffic", "FromPort": 252, "ToPort": 86, "IpProtocol": "icmp"}},
	})
	template.ResourceCountIs(jsii.String("AWS::EC2::SecurityGroupIngress"), jsii.Number(1))
	template.ResourceCountIs(jsii.String("AWS::EC2::SecurityGroupEgress"), jsii.Number(1))
}

// references returns the logical IDs in a list of Ref.
func references(list any) []string {
	var ids []string
	for _, item := range list.([]any) {
		ids = append(ids, item.(map[string]any)["Ref"].(string))
	}
	return ids
}

// resourcesNamed returns the logical IDs of a type that have a word in them.
func resourcesNamed(all map[string]resource, kind, word string) []string {
	var ids []string
	for id := range ofType(all, kind) {
		if strings.Contains(id, word) {
			ids = append(ids, id)
		}
	}
	return ids
}

func TestEndpointsAllProps(t *testing.T) {
	stack := cdktest.NewStack(t)
	vpc := importVpc(stack)
	group := awsec2.SecurityGroup_FromSecurityGroupId(stack, jsii.String("Group"), jsii.String("sg-11111111"), nil)
	existing := awsec2.SecurityGroup_FromSecurityGroupId(stack, jsii.String("ExistingGroup"), jsii.String("sg-22222222"), nil)
	e := endpoints.New(stack, "Endpoints", &endpoints.Props{
		Vpc: vpc, Services: []endpoints.Service{endpoints.CloudFormation, endpoints.KMS},
		Existing: []endpoints.Service{endpoints.SSM}, ExistingSecurityGroup: existing,
		Subnets: *vpc.PrivateSubnets(), SecurityGroup: group, PrivateDnsOff: true,
		S3ReadBuckets: []string{"packages"},
	})
	e.AllowFrom(newGroup(stack, "Host", vpc))
	e.Require(endpoints.SSM, endpoints.KMS, endpoints.Logs)
	assert.Equal(t, []endpoints.Service{endpoints.CloudFormation, endpoints.KMS, endpoints.Logs}, e.Services())
	assert.Equal(t, []endpoints.Service{endpoints.SSM}, e.Existing())
	assert.Equal(t, group, e.SecurityGroup())
	assert.InDelta(t, 43.80, e.MonthlyCost(), 0.001)

	template := cdktest.Template(stack)
	all := resourcesOf(t, template)
	assert.ElementsMatch(t, []string{"cloudformation", "kms", "logs"}, services(all))
	template.ResourceCountIs(jsii.String("AWS::EC2::SecurityGroup"), jsii.Number(1))
	for _, id := range []string{"sg-11111111", "sg-22222222"} {
		template.HasResourceProperties(jsii.String("AWS::EC2::SecurityGroupIngress"), map[string]any{"GroupId": id, "FromPort": 443, "ToPort": 443})
		template.HasResourceProperties(jsii.String("AWS::EC2::SecurityGroupEgress"), map[string]any{"DestinationSecurityGroupId": id, "FromPort": 443})
	}
	template.HasResourceProperties(jsii.String("AWS::EC2::VPCEndpoint"), map[string]any{
		"ServiceName": "com.amazonaws.us-east-1.cloudformation", "PrivateDnsEnabled": false, "SubnetIds": []any{"subnet-00000003", "subnet-00000004"},
		"PolicyDocument": map[string]any{"Statement": assertions.Match_ArrayWith(&[]any{map[string]any{
			"Sid": "SignalsToThisAccount", "Effect": "Allow", "Principal": "*",
			"Action":   []any{"cloudformation:DescribeStackResource", "cloudformation:SignalResource"},
			"Resource": "arn:aws:cloudformation:us-east-1:123456789012:stack/*",
		}})},
	})
	template.HasResourceProperties(jsii.String("AWS::EC2::VPCEndpoint"), map[string]any{
		"VpcEndpointType": "Gateway", "RouteTableIds": assertions.Match_ArrayWith(&[]any{"rtb-00000003", "rtb-00000004"}),
		"PolicyDocument": map[string]any{"Statement": assertions.Match_ArrayWith(&[]any{assertions.Match_ObjectLike(&map[string]any{
			"Sid": "NamedBuckets", "Resource": []any{"arn:aws:s3:::packages", "arn:aws:s3:::packages/*"},
			"Condition": map[string]any{"StringEquals": map[string]any{"aws:PrincipalAccount": "123456789012"}},
		})})},
	})
}

// The network's stack must not come to depend on those that use it.
func TestEndpointsRulesLandWithThePeer(t *testing.T) {
	for _, app := range []awscdk.App{cdktest.NewApp(t), cdktest.NewAppWithoutFlags(t)} {
		net, access := cdktest.StackIn(app, "Network"), cdktest.StackIn(app, "Access")
		vpc := newVpc(net, &network.Props{})
		e := endpoints.New(net, "Endpoints", &endpoints.Props{Vpc: vpc})
		e.AllowFrom(newGroup(access, "Host", vpc))
		e.Require(endpoints.Logs)
		accessTemplate, netTemplate := cdktest.Template(access), cdktest.Template(net)
		accessTemplate.ResourceCountIs(jsii.String("AWS::EC2::SecurityGroupIngress"), jsii.Number(1))
		accessTemplate.ResourceCountIs(jsii.String("AWS::EC2::SecurityGroupEgress"), jsii.Number(1))
		netTemplate.ResourceCountIs(jsii.String("AWS::EC2::SecurityGroupIngress"), jsii.Number(0))
		netTemplate.ResourceCountIs(jsii.String("AWS::EC2::SecurityGroupEgress"), jsii.Number(0))
		assert.Empty(t, *net.Dependencies())
		assert.ElementsMatch(t, []string{"ssm", "ssmmessages", "logs"}, services(resourcesOf(t, netTemplate)))
	}
}

func TestEndpointsFallBackToOtherSubnets(t *testing.T) {
	stack := cdktest.NewStack(t)
	vpc := awsec2.Vpc_FromVpcAttributes(stack, jsii.String("Vpc"), &awsec2.VpcAttributes{
		VpcId: jsii.String("vpc-12345678"), AvailabilityZones: jsii.Strings("us-east-1a"),
		PrivateSubnetIds: jsii.Strings("subnet-00000003"), PublicSubnetIds: jsii.Strings("subnet-00000001"),
		PrivateSubnetRouteTableIds: jsii.Strings("rtb-00000003"), PublicSubnetRouteTableIds: jsii.Strings("rtb-00000001"),
	})
	endpoints.New(stack, "Endpoints", &endpoints.Props{Vpc: vpc, Services: []endpoints.Service{endpoints.SSM}, S3GatewayOff: true})
	template := cdktest.Template(stack)
	template.HasResourceProperties(jsii.String("AWS::EC2::VPCEndpoint"), map[string]any{"SubnetIds": []any{"subnet-00000003"}})
	template.ResourceCountIs(jsii.String("AWS::EC2::VPCEndpoint"), jsii.Number(1))
}

func TestEndpointsFindSecondOnes(t *testing.T) {
	stack := cdktest.NewStack(t)
	vpc := newVpc(stack, &network.Props{})
	endpoints.New(stack, "A", &endpoints.Props{Vpc: vpc, Services: []endpoints.Service{endpoints.SSM}})
	endpoints.New(stack, "B", &endpoints.Props{Vpc: vpc, Services: []endpoints.Service{endpoints.SSM}, Existing: []endpoints.Service{endpoints.S3}})
	awsec2.NewGatewayVpcEndpoint(stack, jsii.String("C"), &awsec2.GatewayVpcEndpointProps{Vpc: vpc, Service: awsec2.GatewayVpcEndpointAwsService_S3()})
	// None of these is a second one.
	awsec2.NewGatewayVpcEndpoint(stack, jsii.String("D"), &awsec2.GatewayVpcEndpointProps{Vpc: vpc, Service: awsec2.GatewayVpcEndpointAwsService_DYNAMODB()})
	awsec2.NewInterfaceVpcEndpoint(stack, jsii.String("E"), &awsec2.InterfaceVpcEndpointProps{Vpc: importVpc(stack), Service: awsec2.InterfaceVpcEndpointAwsService_SSM(), Open: jsii.Bool(false)})
	message := cdktest.Panic(t, func() { cdktest.Template(stack) })
	const rest = " in the VPC Test/Network/Resource/Resource, and a second one fails to deploy or is paid for twice: remove one, or name the service in Existing of "
	assert.Contains(t, message, "[Test/A] Test/A/ssm/Resource and Test/B/ssm/Resource are both endpoints for ssm"+rest+"Test/A")
	assert.Contains(t, message, "[Test/A] Test/A/s3/Resource and Test/C/Resource are both endpoints for s3"+rest+"Test/A")
	assert.Equal(t, 2, strings.Count(message, "are both endpoints for"), message)
}

func TestEndpointsWhereNothingIsWrong(t *testing.T) {
	app := cdktest.NewApp(t)
	stack := awscdk.NewStack(app, jsii.String("Test"), nil) // no region: service names are not literal
	vpc := newVpc(stack, &network.Props{})
	e := endpoints.New(stack, "Endpoints", &endpoints.Props{Vpc: vpc, Services: []endpoints.Service{endpoints.SSM}, Existing: []endpoints.Service{endpoints.S3}})
	e.AllowFrom(newGroup(stack, "Host", vpc))
	awsec2.NewInterfaceVpcEndpoint(stack, jsii.String("Second"), &awsec2.InterfaceVpcEndpointProps{Vpc: vpc, Service: awsec2.InterfaceVpcEndpointAwsService_SSM()})
	assert.Contains(t, cdktest.Panic(t, func() { cdktest.Template(stack) }), "Test/Endpoints/ssm/Resource and Test/Second/Resource are both endpoints for ssm")
	stack.Node().TryRemoveChild(jsii.String("Second"))
	cdktest.Template(stack).ResourceCountIs(jsii.String("AWS::EC2::VPCEndpoint"), jsii.Number(1))
}

func TestEndpointsWarnWithoutPeers(t *testing.T) {
	stack := cdktest.NewStack(t)
	endpoints.New(stack, "Endpoints", &endpoints.Props{Vpc: newVpc(stack, &network.Props{})})
	assertions.Annotations_FromStack(stack).HasWarning(jsii.String("/Test/Endpoints"), assertions.Match_StringLikeRegexp(jsii.String(
		"nothing may use these endpoints, which cost money: call AllowFrom for what should, or leave them out")))
}

func TestEndpointsFaults(t *testing.T) {
	stack := cdktest.NewStack(t)
	assert.Equal(t, `endpoints "Test/E": Vpc: is missing: pass network.New(...).Vpc(), or awsec2.Vpc_FromLookup(...) for one that exists`,
		cdktest.Panic(t, func() { endpoints.New(stack, "E", nil) }))
	deaf := awsec2.NewVpc(stack, jsii.String("Deaf"), &awsec2.VpcProps{EnableDnsHostnames: jsii.Bool(false), RestrictDefaultSecurityGroup: jsii.Bool(false)})
	assert.Equal(t, `endpoints "Test/E": Vpc: has DNS support or DNS hostnames off, and private DNS needs both: turn EnableDnsSupport and EnableDnsHostnames on, or set PrivateDnsOff`,
		cdktest.Panic(t, func() { endpoints.New(stack, "E", &endpoints.Props{Vpc: deaf}) }))
	e := endpoints.New(stack, "E", &endpoints.Props{Vpc: deaf, PrivateDnsOff: true})
	assert.Equal(t, `endpoints "Test/E": Require: "s33" is not known: use one of ssm, ssmmessages, ec2messages, ec2, logs, kms, monitoring, cloudformation, autoscaling, secretsmanager`,
		cdktest.Panic(t, func() { e.Require("s33") }))
	assert.Equal(t, `endpoints "Test/E": AllowFrom: peer is nil: pass what has security groups, such as an instance or a group`,
		cdktest.Panic(t, func() { e.AllowFrom(nil) }))
}

func TestEndpointsRulePacks(t *testing.T) {
	stack := cdktest.StackIn(newJudgedApp(t), "Test")
	vpc := network.New(stack, "Network", nil).Vpc()
	e := endpoints.New(stack, "Endpoints", &endpoints.Props{Vpc: vpc, Services: []endpoints.Service{endpoints.SSM, endpoints.CloudFormation}})
	e.AllowFrom(newGroup(stack, "Host", vpc))
	addRulePacks(stack)
	assert.Empty(t, findings(stack))
}
