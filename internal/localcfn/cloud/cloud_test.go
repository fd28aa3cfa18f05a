package cloud_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/localcfn/cloud"
	"github.com/postern-cdk/postern/internal/localcfn/schema"
	"github.com/postern-cdk/postern/internal/localcfn/template"
)

func create(t *testing.T, c *cloud.Cloud, typ string, props map[string]any) *cloud.Object {
	t.Helper()
	o, fault := c.Create(typ, props, cloud.Owner{StackName: "app", StackID: "arn:stack", LogicalID: "Thing"})
	require.Nil(t, fault)
	return o
}

// The shapes are those of "Return values" and of the examples on each type's
// page in the CloudFormation template reference.
func TestShapes(t *testing.T) {
	const id = `[0-9a-f]{17}`
	const uuid = `[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`
	c := cloud.New("111122223333", "us-east-1", "aws")
	for _, s := range []struct {
		typ   string
		props map[string]any
		ref   string
		atts  map[string]string
	}{
		{"AWS::EC2::VPC", map[string]any{"CidrBlock": "10.0.0.0/16"}, "vpc-" + id, map[string]string{
			"VpcId": "vpc-" + id, "DefaultSecurityGroup": "sg-" + id, "DefaultNetworkAcl": "acl-" + id, "CidrBlock": "10.0.0.0/16",
		}},
		{"AWS::EC2::Subnet", map[string]any{"VpcId": "vpc-1"}, "subnet-" + id, map[string]string{
			"AvailabilityZone": "us-east-1a", "AvailabilityZoneId": "use1-az1", "VpcId": "vpc-1",
		}},
		{"AWS::EC2::SecurityGroup", map[string]any{"GroupDescription": "x"}, "sg-" + id, map[string]string{"GroupId": "sg-" + id}},
		{"AWS::EC2::EIP", nil, `\d+\.\d+\.\d+\.\d+`, map[string]string{"AllocationId": "eipalloc-" + id, "PublicIp": `\d+\.\d+\.\d+\.\d+`}},
		{"AWS::EC2::InternetGateway", nil, "igw-" + id, nil},
		{"AWS::EC2::VPCGatewayAttachment", map[string]any{"VpcId": "vpc-1", "InternetGatewayId": "igw-1"}, `IGW\|vpc-1`, nil},
		{"AWS::EC2::Route", map[string]any{"RouteTableId": "rtb-1", "DestinationCidrBlock": "0.0.0.0/0"}, `rtb-1\|0\.0\.0\.0/0`, nil},
		{"AWS::EC2::NatGateway", map[string]any{"SubnetId": "subnet-1"}, "nat-" + id, nil},
		{"AWS::EC2::VPCEndpoint", map[string]any{"VpcId": "vpc-1", "ServiceName": "com.amazonaws.us-east-1.ssm"}, "vpce-" + id, map[string]string{"Id": "vpce-" + id}},
		{"AWS::EC2::FlowLog", map[string]any{"ResourceId": "vpc-1", "ResourceType": "VPC"}, "fl-" + id, nil},
		{"AWS::EC2::LaunchTemplate", map[string]any{"LaunchTemplateData": map[string]any{}}, "lt-" + id, map[string]string{"LatestVersionNumber": "1", "DefaultVersionNumber": "1"}},
		{"AWS::EC2::Instance", nil, "i-" + id, map[string]string{"PrivateIp": `10\.\d+\.\d+\.\d+`}},
		{"AWS::AutoScaling::AutoScalingGroup", map[string]any{"MinSize": "1", "MaxSize": "1"}, "app-Thing-[A-Z0-9]{12}", map[string]string{
			"AutoScalingGroupARN": "arn:aws:autoscaling:us-east-1:111122223333:autoScalingGroup:" + uuid + ":autoScalingGroupName/app-Thing-[A-Z0-9]{12}",
		}},
		{"AWS::AutoScaling::ScheduledAction", map[string]any{"AutoScalingGroupName": "g"}, "app-Thing-[A-Z0-9]{12}", nil},
		{"AWS::AutoScaling::LifecycleHook", map[string]any{"AutoScalingGroupName": "g", "LifecycleTransition": "x"}, "app-Thing-[A-Z0-9]{12}", nil},
		{"AWS::KMS::Key", map[string]any{}, uuid, map[string]string{"Arn": "arn:aws:kms:us-east-1:111122223333:key/" + uuid, "KeyId": uuid}},
		{"AWS::KMS::Alias", map[string]any{"AliasName": "alias/x", "TargetKeyId": "k"}, "alias/x", nil},
		{"AWS::Logs::LogGroup", nil, "app-Thing-[A-Z0-9]{12}", map[string]string{"Arn": `arn:aws:logs:us-east-1:111122223333:log-group:app-Thing-[A-Z0-9]{12}:\*`}},
		{"AWS::Logs::MetricFilter", map[string]any{"LogGroupName": "g"}, "app-Thing-[A-Z0-9]{12}", nil},
		{"AWS::S3::Bucket", nil, "app-thing-[a-z0-9]{12}", map[string]string{
			"Arn": "arn:aws:s3:::app-thing-[a-z0-9]{12}", "DomainName": `app-thing-[a-z0-9]{12}\.s3\.amazonaws\.com`,
			"RegionalDomainName": `app-thing-[a-z0-9]{12}\.s3\.us-east-1\.amazonaws\.com`,
			"WebsiteURL":         `http://app-thing-[a-z0-9]{12}\.s3-website-us-east-1\.amazonaws\.com`,
		}},
		{"AWS::SNS::Topic", nil, "arn:aws:sns:us-east-1:111122223333:app-Thing-[A-Z0-9]{12}", map[string]string{"TopicName": "app-Thing-[A-Z0-9]{12}"}},
		{"AWS::SNS::Subscription", map[string]any{"TopicArn": "arn:aws:sns:us-east-1:111122223333:t", "Protocol": "email"}, "arn:aws:sns:us-east-1:111122223333:t:" + uuid, nil},
		{"AWS::SQS::Queue", nil, "https://sqs.us-east-1.amazonaws.com/111122223333/app-Thing-[A-Z0-9]{12}", map[string]string{
			"Arn": "arn:aws:sqs:us-east-1:111122223333:app-Thing-[A-Z0-9]{12}", "QueueName": "app-Thing-[A-Z0-9]{12}",
		}},
		{"AWS::IAM::Role", map[string]any{"Path": "/a/b/", "RoleName": "r"}, "r", map[string]string{"Arn": "arn:aws:iam::111122223333:role/a/b/r", "RoleId": "AROA[A-Z0-9]{17}"}},
		{"AWS::IAM::InstanceProfile", map[string]any{"Roles": []any{"r"}}, "app-Thing-[A-Z0-9]{12}", map[string]string{"Arn": "arn:aws:iam::111122223333:instance-profile/app-Thing-[A-Z0-9]{12}"}},
		{"AWS::IAM::ManagedPolicy", map[string]any{"ManagedPolicyName": "p"}, "arn:aws:iam::111122223333:policy/p", nil},
		{"AWS::IAM::Policy", map[string]any{"PolicyName": "p"}, "app-Thing-[A-Z0-9]{12}", nil},
		{"AWS::ElasticLoadBalancingV2::LoadBalancer", map[string]any{"Type": "network"}, "arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/net/app-Thing-[A-Z0-9]{8}/[0-9a-f]{16}", map[string]string{
			"DNSName": `app-Thing-[A-Z0-9]{8}-[0-9a-f]{16}\.elb\.us-east-1\.amazonaws\.com`, "CanonicalHostedZoneID": "Z26RNL4JYFTOTI",
			"LoadBalancerFullName": "net/app-Thing-[A-Z0-9]{8}/[0-9a-f]{16}",
		}},
		{"AWS::ElasticLoadBalancingV2::TargetGroup", nil, "arn:aws:elasticloadbalancing:us-east-1:111122223333:targetgroup/app-Thing-[A-Z0-9]{8}/[0-9a-f]{16}", nil},
		{"AWS::Events::Rule", nil, "app-Thing-[A-Z0-9]{12}", map[string]string{"Arn": "arn:aws:events:us-east-1:111122223333:rule/app-Thing-[A-Z0-9]{12}"}},
		{"AWS::Events::Rule", map[string]any{"EventBusName": "bus", "Name": "r"}, `bus\|r`, map[string]string{"Arn": "arn:aws:events:us-east-1:111122223333:rule/bus/r"}},
		{"AWS::CloudWatch::Alarm", nil, "app-Thing-[A-Z0-9]{12}", map[string]string{"Arn": "arn:aws:cloudwatch:us-east-1:111122223333:alarm:app-Thing-[A-Z0-9]{12}"}},
		{"AWS::CloudWatch::Dashboard", map[string]any{"DashboardName": "d"}, "d", nil},
		{"AWS::SSM::Parameter", map[string]any{"Type": "String", "Value": "v"}, "CFN-Thing-[A-Z0-9]{12}", map[string]string{"Value": "v"}},
		{"AWS::SSM::Document", map[string]any{"Name": "doc"}, "doc", nil},
		{"AWS::SSM::Association", map[string]any{"Name": "doc"}, uuid, map[string]string{"AssociationId": uuid}},
		{"AWS::CloudTrail::Trail", nil, "app-Thing-[A-Z0-9]{12}", map[string]string{"Arn": "arn:aws:cloudtrail:us-east-1:111122223333:trail/app-Thing-[A-Z0-9]{12}"}},
		{"AWS::Lambda::Function", nil, "app-Thing-[A-Z0-9]{12}", map[string]string{"Arn": "arn:aws:lambda:us-east-1:111122223333:function:app-Thing-[A-Z0-9]{12}"}},
		{"AWS::Route53::HostedZone", map[string]any{"Name": "example.com"}, "Z[A-Z0-9]+", nil},
		{"AWS::EC2::InstanceConnectEndpoint", map[string]any{"SubnetId": "subnet-1"}, "eice-" + id, map[string]string{
			"InstanceConnectEndpointArn": "arn:aws:ec2:us-east-1:111122223333:instance-connect-endpoint/eice-" + id, "State": "create-complete",
		}},
		{"AWS::SecretsManager::Secret", map[string]any{"Name": "s"}, "arn:aws:secretsmanager:us-east-1:111122223333:secret:s-[A-Z0-9]{6}", nil},
	} {
		t.Run(s.typ, func(t *testing.T) {
			o := create(t, c, s.typ, s.props)
			assert.Regexp(t, "^"+s.ref+"$", o.Ref, "Ref")
			for name, want := range s.atts {
				got, ok := c.Attribute(o, name)
				require.True(t, ok, name)
				text, _ := template.Text(got)
				assert.Regexp(t, "^"+want+"$", text, name)
			}
			_, ok := c.Attribute(o, "Nope")
			assert.False(t, ok)
			c.Delete(o)
		})
	}
}

// Every type can be made, is found again, and gives all attributes that it says it has.
func TestEveryType(t *testing.T) {
	c := cloud.New("111122223333", "eu-west-1", "aws")
	for i, name := range schema.Names() {
		o, fault := c.Create(name, nil, cloud.Owner{StackName: "app", LogicalID: fmt.Sprint("T", i)})
		require.Nil(t, fault, name)
		assert.NotEmpty(t, o.ID, name)
		assert.NotEmpty(t, o.Ref, name)
		assert.Same(t, o, c.Get(name, o.ID))
		for _, a := range schema.Lookup(name).AttributeNames() {
			_, ok := c.Attribute(o, a)
			assert.True(t, ok, "%s.%s", name, a)
		}
	}
}

func TestNamesAreScoped(t *testing.T) {
	c := cloud.New("111122223333", "us-east-1", "aws")
	create(t, c, "AWS::EC2::SecurityGroup", map[string]any{"GroupName": "g", "VpcId": "vpc-1"})
	create(t, c, "AWS::EC2::SecurityGroup", map[string]any{"GroupName": "g", "VpcId": "vpc-2"})
	_, fault := c.Create("AWS::EC2::SecurityGroup", map[string]any{"GroupName": "g", "VpcId": "vpc-2"}, cloud.Owner{})
	require.NotNil(t, fault)
	assert.Equal(t, "AlreadyExists", fault.Code)
}

func TestPartition(t *testing.T) {
	c := cloud.New("111122223333", "cn-north-1", "aws-cn")
	o := create(t, c, "AWS::S3::Bucket", map[string]any{"BucketName": "b"})
	arn, _ := c.Attribute(o, "Arn")
	assert.Equal(t, "arn:aws-cn:s3:::b", arn)
	name, _ := c.Attribute(o, "DomainName")
	assert.Equal(t, "b.s3.amazonaws.com.cn", name)
}

func TestPublicParameters(t *testing.T) {
	for _, name := range []string{
		"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64",
		"/aws/service/ami-amazon-linux-latest/al2023-ami-minimal-kernel-default-x86_64",
		"/aws/service/ami-windows-latest/Windows_Server-2022-English-Full-Base",
	} {
		v, ok := cloud.PublicParameter("us-east-1", name)
		assert.True(t, ok, name)
		assert.Regexp(t, `^ami-[0-9a-f]{17}$`, v)
		again, _ := cloud.PublicParameter("us-east-1", name)
		assert.Equal(t, v, again)
	}
	_, ok := cloud.PublicParameter("us-east-1", "/aws/service/ami-amazon-linux-latest/al2024-arm64")
	assert.False(t, ok)
}
