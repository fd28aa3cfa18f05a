package test_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/instanceconnect"
	"github.com/postern-cdk/postern/constructs/network"
	"github.com/postern-cdk/postern/internal/cdktest"
)

// solePropertiesOf returns the properties of the only resource of a type, as JSON.
func solePropertiesOf(t *testing.T, stack awscdk.Stack, kind string) string {
	t.Helper()
	id, r := onlyOf(t, resourcesOf(t, cdktest.Template(stack)), kind, "")
	return id + " " + textOf(t, r.Properties)
}

func TestInstanceConnectDefaults(t *testing.T) {
	stack := cdktest.NewStack(t)
	vpc := newVpc(stack, &network.Props{})
	door := instanceconnect.New(stack, "Door", &instanceconnect.Props{Vpc: vpc})
	door.AllowTo(newGroup(stack, "Host", vpc), 22, "administration")
	template := cdktest.Template(stack)
	all := resourcesOf(t, template)
	subnet := map[string]any{"Ref": assertions.Match_StringLikeRegexp(jsii.String("IsolatedSubnet1"))}
	template.HasResourceProperties(jsii.String("AWS::EC2::InstanceConnectEndpoint"), map[string]any{
		"SubnetId": subnet, "PreserveClientIp": false,
		"SecurityGroupIds": []any{map[string]any{"Fn::GetAtt": []any{assertions.Match_StringLikeRegexp(jsii.String("^DoorSecurityGroup")), "GroupId"}}},
	})
	template.HasResourceProperties(jsii.String("AWS::EC2::SecurityGroup"), map[string]any{
		"GroupDescription":     "EC2 Instance Connect Endpoint: out to registered targets only",
		"SecurityGroupIngress": assertions.Match_Absent(),
		"SecurityGroupEgress":  []any{map[string]any{"CidrIp": "127.0.0.1/32", "IpProtocol": "-1", "Description": "Nowhere"}},
	})
	for _, kind := range []string{"AWS::EC2::SecurityGroupEgress", "AWS::EC2::SecurityGroupIngress"} {
		rules := ofType(all, kind)
		assert.Len(t, rules, 1, kind)
		template.HasResourceProperties(&kind, map[string]any{"FromPort": 22, "ToPort": 22, "IpProtocol": "tcp", "Description": "administration"})
	}
	ids := resourcesNamed(all, "AWS::EC2::InstanceConnectEndpoint", "Door")
	require.Len(t, ids, 1)
	assert.Equal(t, map[string]any{"Ref": ids[0]}, stack.Resolve(door.Id()))
	assert.Equal(t, "aws ec2-instance-connect ssh --instance-id i-1 --os-user ec2-user --connection-type eice --region us-east-1", door.SSHCommand("i-1", ""))
	assert.Equal(t, "aws ec2-instance-connect ssh --instance-id INSTANCE_ID --os-user admin --connection-type eice --region us-east-1", door.SSHCommand("", "admin"))
	assert.Equal(t, "aws ec2-instance-connect open-tunnel --instance-id i-1 --remote-port 3389 --local-port 13389 --region us-east-1", door.OpenTunnelCommand("i-1", 3389, 13389))
	assert.Equal(t, "Host i-*\n  User ec2-user\n  ProxyCommand aws ec2-instance-connect open-tunnel --instance-id %h --remote-port %p --region us-east-1\n", door.SSHConfig())
}

// Nothing that is likely to happen to an app changes the endpoint.
func TestInstanceConnectStaysPut(t *testing.T) {
	endpoint := func(props *network.Props, more func(stack awscdk.Stack, vpc awsec2.IVpc, door *instanceconnect.Endpoint)) (string, string) {
		stack := awscdk.NewStack(cdktest.NewApp(t), jsii.String("Test"), nil)
		vpc := newVpc(stack, props)
		door := instanceconnect.New(stack, "Door", &instanceconnect.Props{Vpc: vpc})
		if more != nil {
			more(stack, vpc, door)
		}
		groups := ofType(resourcesOf(t, cdktest.Template(stack)), "AWS::EC2::SecurityGroup")
		var group string
		for id, r := range groups {
			if strings.HasPrefix(id, "Door") {
				text, err := json.Marshal(r.Properties)
				require.NoError(t, err)
				group = id + string(text)
			}
		}
		require.NotEmpty(t, group)
		return solePropertiesOf(t, stack, "AWS::EC2::InstanceConnectEndpoint"), group
	}
	wanted, wantedGroup := endpoint(&network.Props{}, nil)
	for _, props := range []*network.Props{
		{AvailabilityZones: 4}, {AvailabilityZones: 1}, {Nat: network.NatPerZone}, {NoInternet: true},
	} {
		got, gotGroup := endpoint(props, nil)
		assert.Equal(t, wanted, got)
		assert.Equal(t, wantedGroup, gotGroup)
	}
	got, gotGroup := endpoint(&network.Props{}, func(stack awscdk.Stack, vpc awsec2.IVpc, door *instanceconnect.Endpoint) {
		door.AllowTo(newGroup(stack, "A", vpc), 22, "one")
		door.AllowTo(newGroup(stack, "B", vpc), 3389, "two")
	})
	assert.Equal(t, wanted, got)
	assert.Equal(t, wantedGroup, gotGroup)
}

func TestInstanceConnectAllProps(t *testing.T) {
	stack := cdktest.NewStack(t)
	vpc := importVpc(stack)
	door := instanceconnect.New(stack, "Door", &instanceconnect.Props{Vpc: vpc, Subnet: (*vpc.PrivateSubnets())[1], PreserveClientIp: true})
	door.AllowTo(newGroup(stack, "Host", vpc), 3389, "desktop")
	template := cdktest.Template(stack)
	template.HasResourceProperties(jsii.String("AWS::EC2::InstanceConnectEndpoint"), map[string]any{"SubnetId": "subnet-00000004", "PreserveClientIp": true})
	assert.Equal(t, "subnet=subnet-00000004 preserveClientIp=true", door.Record())
	assertions.Annotations_FromStack(stack).HasNoWarning(jsii.String("*"), assertions.Match_AnyValue())
}

func TestInstanceConnectAbsentKeepsTheRules(t *testing.T) {
	counts := map[bool]map[string]int{}
	for _, absent := range []bool{false, true} {
		stack := cdktest.NewStack(t)
		vpc := newVpc(stack, &network.Props{})
		door := instanceconnect.New(stack, "Door", &instanceconnect.Props{Vpc: vpc, Absent: absent})
		door.AllowTo(newGroup(stack, "Host", vpc), 22, "administration")
		counts[absent] = countTypes(resourcesOf(t, cdktest.Template(stack)))
		assert.Equal(t, absent, door.Id() == "")
	}
	assert.Equal(t, 1, counts[false]["AWS::EC2::InstanceConnectEndpoint"])
	delete(counts[false], "AWS::EC2::InstanceConnectEndpoint")
	assert.Equal(t, counts[false], counts[true])
}

func TestInstanceConnectOnePerVpc(t *testing.T) {
	stack := cdktest.NewStack(t)
	vpc, imported := newVpc(stack, &network.Props{}), importVpc(stack)
	group := newGroup(stack, "Group", vpc)
	raw := func(id string, subnet *string) {
		awsec2.NewCfnInstanceConnectEndpoint(stack, &id, &awsec2.CfnInstanceConnectEndpointProps{SubnetId: subnet, SecurityGroupIds: &[]*string{group.SecurityGroupId()}})
	}
	instanceconnect.New(stack, "A", &instanceconnect.Props{Vpc: vpc})
	instanceconnect.New(stack, "B", &instanceconnect.Props{Vpc: vpc, Subnet: (*vpc.PublicSubnets())[1]})
	instanceconnect.New(stack, "Gone", &instanceconnect.Props{Vpc: vpc, Absent: true})
	raw("C", (*vpc.IsolatedSubnets())[1].SubnetId())
	instanceconnect.New(stack, "D", &instanceconnect.Props{Vpc: imported, Subnet: (*imported.IsolatedSubnets())[0]})
	raw("E", jsii.String("subnet-00000002"))
	raw("F", jsii.String("subnet-00000099"))
	message := cdktest.Panic(t, func() { cdktest.Template(stack) })
	for _, pair := range []string{
		"[Test/A] Test/A/Resource and Test/B/Resource are both EC2 Instance Connect Endpoints in the VPC Test/Network/Resource/Resource, which takes one: keep one, and let the targets of both be its own with AllowTo",
		"[Test/A] Test/A/Resource and Test/C are both",
		"[Test/B] Test/B/Resource and Test/C are both",
		"[Test/D] Test/D/Resource and Test/E are both EC2 Instance Connect Endpoints in the VPC vpc-12345678",
	} {
		assert.Contains(t, message, pair)
	}
	assert.Equal(t, 4, strings.Count(message, "are both"), message)
}

func TestInstanceConnectRefusesClientIpInDualStack(t *testing.T) {
	build := func(subnet int, preserve bool) awscdk.Stack {
		stack := cdktest.NewStack(t)
		vpc := awsec2.NewVpc(stack, jsii.String("Vpc"), &awsec2.VpcProps{
			IpProtocol: awsec2.IpProtocol_DUAL_STACK, RestrictDefaultSecurityGroup: jsii.Bool(false), NatGateways: jsii.Number(0),
		})
		instanceconnect.New(stack, "Door", &instanceconnect.Props{Vpc: vpc, Subnet: (*vpc.IsolatedSubnets())[subnet], PreserveClientIp: preserve})
		return stack
	}
	cdktest.Template(build(0, false))
	bad := build(1, true)
	assert.Contains(t, cdktest.Panic(t, func() { cdktest.Template(bad) }),
		"[Test/Door] PreserveClientIp does not work in the dual-stack subnet Test/Vpc/IsolatedSubnet2/Subnet: name an IPv4 Subnet, or leave PreserveClientIp out")
}

func TestInstanceConnectRecord(t *testing.T) {
	build := func(recorded string, props *instanceconnect.Props) awscdk.Stack {
		stack := cdktest.NewStack(t)
		stack.Node().SetContext(jsii.String("postern:instance-connect:Test/Door"), recorded)
		props.Vpc = newVpc(stack, &network.Props{})
		door := instanceconnect.New(stack, "Door", props)
		assert.Equal(t, "postern:instance-connect:Test/Door", door.RecordKey())
		return stack
	}
	const recorded = "subnet=Test/Network/Resource/IsolatedSubnet1/Subnet preserveClientIp=false"
	cdktest.Template(build(recorded, &instanceconnect.Props{}))
	changed := build(recorded, &instanceconnect.Props{PreserveClientIp: true})
	assert.Contains(t, cdktest.Panic(t, func() { cdktest.Template(changed) }),
		`[Test/Door] the deployed endpoint is "`+recorded+`" and this would be "subnet=Test/Network/Resource/IsolatedSubnet1/Subnet preserveClientIp=true", `+
			`a replacement that fails as a VPC takes one endpoint: undo the change, or move it in two steps, first with Absent, then with `+
			`"subnet=Test/Network/Resource/IsolatedSubnet1/Subnet preserveClientIp=true" under "postern:instance-connect:Test/Door" in the context`)
	cdktest.Template(build(recorded, &instanceconnect.Props{PreserveClientIp: true, Absent: true}))
}

func TestInstanceConnectTargetsOfOtherStacks(t *testing.T) {
	for _, app := range []awscdk.App{cdktest.NewApp(t), cdktest.NewAppWithoutFlags(t)} {
		net, data, access := cdktest.StackIn(app, "Network"), cdktest.StackIn(app, "Data"), cdktest.StackIn(app, "Access")
		vpc := newVpc(net, &network.Props{})
		door := instanceconnect.New(access, "Door", &instanceconnect.Props{Vpc: vpc})
		door.AllowTo(newGroup(data, "Host", vpc), 22, "administration")
		template := cdktest.Template(access)
		template.ResourceCountIs(jsii.String("AWS::EC2::SecurityGroupEgress"), jsii.Number(1))
		template.ResourceCountIs(jsii.String("AWS::EC2::SecurityGroupIngress"), jsii.Number(1))
		cdktest.Template(data).ResourceCountIs(jsii.String("AWS::EC2::SecurityGroupIngress"), jsii.Number(0))
	}
}

func TestInstanceConnectWarnings(t *testing.T) {
	stack := cdktest.NewStack(t)
	instanceconnect.New(stack, "Door", &instanceconnect.Props{Vpc: importVpc(stack)})
	annotations := assertions.Annotations_FromStack(stack)
	for _, text := range []string{
		"Subnet is not named and the VPC is imported, so the choice can change",
		"the endpoint reaches nothing: call AllowTo for what it should reach, or leave it out",
	} {
		annotations.HasWarning(jsii.String("/Test/Door"), assertions.Match_StringLikeRegexp(&text))
	}
}

func TestInstanceConnectFaults(t *testing.T) {
	stack := cdktest.NewStack(t)
	assert.Equal(t, `instanceconnect "Test/Door": Vpc: is missing: pass network.New(...).Vpc(), or awsec2.Vpc_FromLookup(...) for one that exists`,
		cdktest.Panic(t, func() { instanceconnect.New(stack, "Door", nil) }))
	bare := awsec2.Vpc_FromVpcAttributes(stack, jsii.String("Bare"), &awsec2.VpcAttributes{VpcId: jsii.String("vpc-1"), AvailabilityZones: jsii.Strings("us-east-1a")})
	assert.Equal(t, `instanceconnect "Test/Door": Subnet: is missing, and the VPC tells of no subnets: pass a subnet of the VPC`,
		cdktest.Panic(t, func() { instanceconnect.New(stack, "Door", &instanceconnect.Props{Vpc: bare}) }))
	door := instanceconnect.New(stack, "Door", &instanceconnect.Props{Vpc: importVpc(stack)})
	assert.Equal(t, `instanceconnect "Test/Door": AllowTo: port: 80 does not pass an EC2 Instance Connect Endpoint: use 22 or 3389; for another port use a bastion's AllowTo`,
		cdktest.Panic(t, func() { door.AllowTo(door, 80, "web") }))
}

func TestInstanceConnectRulePacks(t *testing.T) {
	stack := cdktest.StackIn(newJudgedApp(t), "Test")
	vpc := network.New(stack, "Network", nil).Vpc()
	instanceconnect.New(stack, "Door", &instanceconnect.Props{Vpc: vpc}).AllowTo(newGroup(stack, "Host", vpc), 22, "administration")
	addRulePacks(stack)
	assert.Empty(t, findings(stack))
}

// Both facets go together: a tunnel without a key ends at a closed door.
func TestInstanceConnectGrantSSH(t *testing.T) {
	stack := cdktest.NewStack(t)
	vpc := newVpc(stack, &network.Props{})
	door := instanceconnect.New(stack, "Door", &instanceconnect.Props{Vpc: vpc})
	door.AllowTo(newGroup(stack, "Host", vpc), 22, "administration")
	group := awsiam.NewGroup(stack, jsii.String("Admins"), nil)
	grant := door.GrantSSH(group, &instanceconnect.SSHGrant{
		Instances: []string{"i-0123456789abcdef0"}, InstanceTags: map[string]string{"Team": "orders"},
		Users: []string{"ubuntu"}, CIDRs: []string{"10.0.1.0/28"}, MaxDuration: 10 * time.Minute, EndpointTags: map[string]string{"Stage": "test"},
	})
	assert.True(t, *grant.Success())
	template := cdktest.Template(stack)
	endpoint := resourcesNamed(resourcesOf(t, template), "AWS::EC2::InstanceConnectEndpoint", "Door")[0]
	policies := ofType(resourcesOf(t, template), "AWS::IAM::Policy")
	require.Len(t, policies, 1)
	for _, p := range policies {
		statements := p.Properties["PolicyDocument"].(map[string]any)["Statement"].([]any)
		require.Len(t, statements, 4)
		assert.JSONEq(t, `{
			"Effect": "Allow", "Action": "ec2-instance-connect:OpenTunnel",
			"Resource": {"Fn::Join": ["", ["arn:aws:ec2:us-east-1:123456789012:instance-connect-endpoint/", {"Ref": "`+endpoint+`"}]]},
			"Condition": {
				"NumericEquals": {"ec2-instance-connect:remotePort": "22"},
				"IpAddress": {"ec2-instance-connect:privateIpAddress": "10.0.1.0/28"},
				"NumericLessThanEquals": {"ec2-instance-connect:maxTunnelDuration": "600"},
				"StringEquals": {"aws:ResourceTag/Stage": "test"}
			}
		}`, textOf(t, statements[0]))
		assert.JSONEq(t, `{
			"Effect": "Allow", "Action": "ec2-instance-connect:SendSSHPublicKey", "Resource": "arn:aws:ec2:us-east-1:123456789012:instance/i-0123456789abcdef0",
			"Condition": {"StringEquals": {"ec2:osuser": "ubuntu"}}
		}`, textOf(t, statements[1]))
		assert.JSONEq(t, `{
			"Effect": "Allow", "Action": "ec2-instance-connect:SendSSHPublicKey", "Resource": "arn:aws:ec2:us-east-1:123456789012:instance/*",
			"Condition": {"StringEquals": {"ec2:osuser": "ubuntu", "aws:ResourceTag/Team": "orders"}}
		}`, textOf(t, statements[2]))
		assert.Contains(t, textOf(t, statements[3]), "ec2:DescribeInstanceConnectEndpoints")
	}
	// Whoever pastes a command is not to be refused for asking for an hour.
	assert.Equal(t, "aws ec2-instance-connect ssh --instance-id i-1 --os-user ec2-user --connection-type eice --region us-east-1 --eice-options maxTunnelDuration=600", door.SSHCommand("i-1", ""))
	assert.Equal(t, "aws ec2-instance-connect open-tunnel --instance-id i-1 --remote-port 22 --local-port 2222 --region us-east-1 --max-tunnel-duration 600", door.OpenTunnelCommand("i-1", 22, 2222))
	assert.Contains(t, door.SSHConfig(), "--remote-port %p --region us-east-1 --max-tunnel-duration 600\n")
	assert.NotContains(t, door.OpenTunnelCommand("i-1", 3389, 13389), "--max-tunnel-duration", "RDP has no cap")
}

func TestInstanceConnectGrantRDP(t *testing.T) {
	stack := cdktest.NewStack(t)
	vpc := newVpc(stack, &network.Props{})
	door := instanceconnect.New(stack, "Door", &instanceconnect.Props{Vpc: vpc})
	door.AllowTo(newGroup(stack, "Host", vpc), 3389, "administration")
	door.GrantRDP(awsiam.NewGroup(stack, jsii.String("Admins"), nil), nil)
	way := door.ForRDP(&instanceconnect.RDPGrant{MaxDuration: 5 * time.Minute})
	text := textOf(t, ofType(resourcesOf(t, cdktest.Template(stack)), "AWS::IAM::Policy"))
	assert.Contains(t, text, `{"NumericEquals":{"ec2-instance-connect:remotePort":"3389"}}`)
	assert.NotContains(t, text, "SendSSHPublicKey", "Windows has no key pushed to it")
	assert.Equal(t, "aws ec2-instance-connect open-tunnel --instance-id i-1 --remote-port 3389 --local-port 13389 --region us-east-1 --max-tunnel-duration 300", way.OpenTunnelCommand("i-1", 13389))
}

func TestInstanceConnectWays(t *testing.T) {
	stack := cdktest.NewStack(t)
	door := instanceconnect.New(stack, "Door", &instanceconnect.Props{Vpc: newVpc(stack, &network.Props{})})
	short := door.ForSSH(&instanceconnect.SSHGrant{AnyInstance: true, Users: []string{"admin"}, MaxDuration: time.Minute})
	long := door.ForSSH(&instanceconnect.SSHGrant{AnyInstance: true, MaxDuration: time.Hour})
	assert.Contains(t, short.SSHCommand("i-1"), "--os-user admin --connection-type eice --region us-east-1 --eice-options maxTunnelDuration=60")
	assert.Contains(t, short.SSHConfig(), "User admin\n")
	assert.NotContains(t, long.SSHCommand("i-1"), "maxTunnelDuration", "an hour is what clients ask for")
	assert.NotContains(t, long.OpenTunnelCommand("", 2222), "--max-tunnel-duration")
	assert.Contains(t, door.SSHCommand("i-1", ""), "maxTunnelDuration=60", "what is right for all")
}

// While the endpoint is absent a grant stays, and opens nothing.
func TestInstanceConnectGrantWhileAbsent(t *testing.T) {
	stack := cdktest.NewStack(t)
	door := instanceconnect.New(stack, "Door", &instanceconnect.Props{Vpc: newVpc(stack, &network.Props{}), Absent: true})
	door.GrantSSH(awsiam.NewGroup(stack, jsii.String("Admins"), nil), &instanceconnect.SSHGrant{AnyInstance: true})
	text := textOf(t, ofType(resourcesOf(t, cdktest.Template(stack)), "AWS::IAM::Policy"))
	assert.NotContains(t, text, "ec2-instance-connect:")
	assert.Contains(t, text, "ec2:DescribeInstances")
}

func TestInstanceConnectGrantFaults(t *testing.T) {
	stack := cdktest.NewStack(t)
	door := instanceconnect.New(stack, "Door", &instanceconnect.Props{Vpc: newVpc(stack, &network.Props{})})
	assert.Equal(t, `instanceconnect "Test/Door": GrantSSH: who: is nil: pass a user, group or role`,
		cdktest.Panic(t, func() { door.GrantSSH(nil, nil) }))
	assert.Equal(t, `instanceconnect "Test/Door": ForSSH: Instances: is empty, as is InstanceTags, so no key could be pushed anywhere: name the instances or their tags, or give the limit up with AnyInstance`,
		cdktest.Panic(t, func() { door.GrantSSH(awsiam.NewGroup(stack, jsii.String("Admins"), nil), nil) }))
	assert.Equal(t, `instanceconnect "Test/Door": ForRDP: MaxDuration: 2h0m0s is out of range: use 1s to 1h0m0s`,
		cdktest.Panic(t, func() { door.ForRDP(&instanceconnect.RDPGrant{MaxDuration: 2 * time.Hour}) }))
}
