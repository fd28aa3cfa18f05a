package report_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sebdah/goldie/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/report"
)

type object = map[string]any

const topic = "arn:aws:sns:us-east-1:123456789012:Watch-Topic"

// sound is a deployment that a reviewer has nothing to say against: the parts
// of the reference architecture, by hand.
func sound() report.Inventory {
	add := func(resourceType, id, logicalID string, properties object) report.Resource {
		return report.Resource{Type: resourceType, Identifier: id, Stack: "Access", LogicalID: logicalID, Properties: properties}
	}
	blocked := object{"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true}
	endpoint := func(service string) object {
		return object{"ServiceName": "com.amazonaws.us-east-1." + service, "VpcEndpointType": "Interface", "SubnetIds": []any{"subnet-1", "subnet-2"}, "PrivateDnsEnabled": true}
	}
	return report.Inventory{
		Where: "http://localhost:4566", Local: true, Account: "123456789012", Region: "us-east-1",
		Stacks: []string{"PosternArchive", "PosternNetwork", "PosternAccess", "PosternWatch"},
		Resources: []report.Resource{
			add("AWS::EC2::VPC", "vpc-1", "Vpc", object{"CidrBlock": "10.0.0.0/16"}),
			add("AWS::EC2::FlowLog", "fl-1", "FlowLog", object{"ResourceId": "vpc-1", "ResourceType": "VPC", "TrafficType": "ALL", "LogGroupName": "Network-FlowLogs"}),
			add("AWS::EC2::VPCEndpoint", "vpce-1", "Ssm", endpoint("ssm")),
			add("AWS::EC2::VPCEndpoint", "vpce-2", "SsmMessages", endpoint("ssmmessages")),
			add("AWS::EC2::VPCEndpoint", "vpce-3", "S3", object{"ServiceName": "com.amazonaws.us-east-1.s3", "VpcEndpointType": "Gateway"}),
			add("AWS::EC2::SecurityGroup", "sg-b", "BastionGroup", object{"GroupDescription": "Access/Bastion/SecurityGroup", "GroupId": "sg-b", "SecurityGroupEgress": []any{object{"IpProtocol": "tcp", "FromPort": 443.0, "ToPort": 443.0, "CidrIp": "0.0.0.0/0"}}}),
			add("AWS::EC2::SecurityGroup", "sg-e", "EndpointGroup", object{"GroupDescription": "Access/InstanceConnect/SecurityGroup", "GroupId": "sg-e"}),
			add("AWS::EC2::SecurityGroupIngress", "sgr-1", "FromEndpoint", object{"GroupId": "sg-b", "IpProtocol": "tcp", "FromPort": 22.0, "ToPort": 22.0, "SourceSecurityGroupId": "sg-e"}),
			add("AWS::EC2::SecurityGroupEgress", "sgr-2", "ToBastion", object{"GroupId": "sg-e", "IpProtocol": "tcp", "FromPort": 22.0, "ToPort": 22.0, "DestinationSecurityGroupId": "sg-b"}),
			add("AWS::EC2::InstanceConnectEndpoint", "eice-1", "Endpoint", object{"SubnetId": "subnet-1", "PreserveClientIp": false, "SecurityGroupIds": []any{"sg-e"}}),
			add("AWS::EC2::LaunchTemplate", "lt-1", "Template", object{"LaunchTemplateData": object{
				"InstanceType":        "t4g.nano",
				"MetadataOptions":     object{"HttpTokens": "required", "HttpPutResponseHopLimit": 1.0},
				"BlockDeviceMappings": []any{object{"DeviceName": "/dev/xvda", "Ebs": object{"VolumeSize": 8.0, "Encrypted": true}}},
			}}),
			add("AWS::AutoScaling::AutoScalingGroup", "Access-Bastion", "BastionASG", object{"MinSize": "1", "MaxSize": "2", "LaunchTemplate": object{"LaunchTemplateId": "lt-1", "Version": "1"}}),
			add("AWS::Logs::LogGroup", "Archive-Bastion", "Logs", object{"LogGroupName": "Archive-Bastion", "RetentionInDays": 365.0, "KmsKeyId": "arn:aws:kms:us-east-1:123456789012:key/1"}),
			add("AWS::S3::Bucket", "archive-logs", "Bucket", object{
				"BucketName": "archive-logs", "PublicAccessBlockConfiguration": blocked,
				"VersioningConfiguration": object{"Status": "Enabled"},
				"ObjectLockConfiguration": object{"Rule": object{"DefaultRetention": object{"Mode": "GOVERNANCE", "Days": 365.0}}},
				"LoggingConfiguration":    object{"DestinationBucketName": "archive-access"},
			}),
			add("AWS::S3::Bucket", "archive-access", "AccessLogs", object{"BucketName": "archive-access", "PublicAccessBlockConfiguration": blocked, "VersioningConfiguration": object{"Status": "Enabled"}}),
			add("AWS::KMS::Key", "key-1", "Key", object{"EnableKeyRotation": true}),
			add("AWS::SNS::Topic", topic, "Topic", object{"TopicName": "Watch-Topic", "KmsMasterKeyId": "key-1"}),
			add("AWS::SNS::Subscription", "sub-1", "OnCall", object{"TopicArn": topic, "Protocol": "email", "Endpoint": "oncall@example.com"}),
			add("AWS::CloudWatch::Alarm", "alarm-1", "InService", object{"AlarmName": "bastion-in-service", "AlarmActions": []any{topic}, "Namespace": "AWS/AutoScaling", "MetricName": "GroupInServiceInstances"}),
			add("AWS::CloudWatch::Alarm", "alarm-2", "Heartbeat", object{"AlarmName": "bastion-heartbeat", "AlarmActions": []any{topic}, "Namespace": "Postern/Bastion", "MetricName": "mem_used_percent"}),
			add("AWS::CloudWatch::Dashboard", "Postern", "Dashboard", object{"DashboardName": "Postern"}),
			add("AWS::SSM::Document", "Access-Shell", "Shell", object{"Name": "Access-Shell", "DocumentType": "Session", "Content": object{"sessionType": "Standard_Stream", "inputs": object{
				"cloudWatchLogGroupName": "Archive-Bastion", "cloudWatchEncryptionEnabled": true, "s3BucketName": "archive-logs", "s3EncryptionEnabled": true,
				"runAsEnabled": true, "runAsDefaultUser": "ec2-user", "idleSessionTimeout": "20", "maxSessionDuration": "720", "kmsKeyId": "",
			}}}),
			add("AWS::SSM::Document", "Access-Orders", "Orders", object{
				"Name": "Access-Orders", "DocumentType": "Session",
				"Content": `{"sessionType":"Port","properties":{"type":"LocalPortForwarding","host":"orders.internal","portNumber":"5432"}}`,
			}),
			add("AWS::SSM::Document", "CloserDocument", "Closer", object{"Name": "CloserDocument", "DocumentType": "Automation"}),
			add("AWS::IAM::ManagedPolicy", "arn:aws:iam::123456789012:policy/developers", "Developers", object{
				"Description": "Postern: Access/Operator/Developers", "Roles": []any{"Developer"}, "Groups": []any{"developers"},
				"PolicyDocument": object{"Statement": []any{
					object{"Effect": "Allow", "Action": "ssm:StartSession", "Resource": "arn:aws:ec2:us-east-1:123456789012:instance/*"},
					object{"Effect": "Allow", "Action": []any{"ssm:DescribeDocument", "ssm:GetDocument"}, "Resource": []any{"arn:aws:ssm:us-east-1:123456789012:document/Access-Shell", "arn:aws:ssm:us-east-1:123456789012:document/Access-Orders"}},
					object{"Effect": "Deny", "Action": "ssm:SendCommand", "Resource": "*"},
				}},
			}),
			add("AWS::IAM::ManagedPolicy", "arn:aws:iam::123456789012:policy/host", "Host", object{"Description": "What hosts do", "Roles": []any{"Bastion"}}),
		},
		Outputs: []report.Output{
			{Stack: "PosternAccess", Key: "Shell", Description: "A shell on the bastion", Value: "aws ssm start-session --target i-0123456789abcdef0 --document-name a-name-so-long-that-the-line-must-not-be-wrapped"},
			{Stack: "PosternAccess", Key: "SshConfig", Value: "Match originalhost bastion\n  User ec2-user\n"},
			{Stack: "PosternNetwork", Key: "ExportsOutputRefVpc", Value: "vpc-1"},
		},
	}
}

// with returns the sound deployment with one resource's properties changed.
func with(t *testing.T, id string, change func(object)) report.Inventory {
	t.Helper()
	inv := sound()
	for _, r := range inv.Resources {
		if r.Identifier == id {
			change(r.Properties)
			return inv
		}
	}
	require.Fail(t, "no resource "+id)
	return inv
}

// without returns the sound deployment without resources of the types.
func without(types ...string) report.Inventory {
	inv := sound()
	inv.Resources = slices.DeleteFunc(inv.Resources, func(r report.Resource) bool { return slices.Contains(types, r.Type) })
	return inv
}

// plus returns a deployment with more in it.
func plus(inv report.Inventory, more ...report.Resource) report.Inventory {
	inv.Resources = append(inv.Resources, more...)
	return inv
}

func set(key string, value any) func(object) { return func(o object) { o[key] = value } }

// template sets a key of the launch template's data.
func template(t *testing.T, key string, value any) report.Inventory {
	t.Helper()
	return with(t, "lt-1", func(o object) { o["LaunchTemplateData"].(object)[key] = value })
}

func ingress(source, value string, from, to float64) func(object) {
	return set("SecurityGroupIngress", []any{object{"IpProtocol": "tcp", "FromPort": from, "ToPort": to, source: value}})
}

func whats(t *testing.T, r *report.Report, level report.Level) []string {
	t.Helper()
	var list []string
	for _, f := range r.Findings {
		if f.Level == level {
			list = append(list, f.What)
		}
		assert.NotEmpty(t, f.Fix, f.What)
	}
	return list
}

func TestSoundDeploymentIsGood(t *testing.T) {
	r := report.Make(sound())
	assert.Empty(t, r.Findings)
	assert.True(t, r.Safe())
	assert.Zero(t, r.ExitCode())
}

func TestWhatFails(t *testing.T) {
	tests := map[string]struct {
		inventory report.Inventory
		want      string
	}{
		"22 open to everyone": {
			with(t, "sg-b", ingress("CidrIp", "0.0.0.0/0", 22, 22)),
			"Access/Bastion/SecurityGroup lets 0.0.0.0/0 in on port 22",
		},
		"22 open to everyone on IPv6": {
			with(t, "sg-b", ingress("CidrIpv6", "::/0", 22, 22)),
			"Access/Bastion/SecurityGroup lets ::/0 in on port 22",
		},
		"22 open to half of everyone": {
			with(t, "sg-b", ingress("CidrIp", "128.0.0.0/1", 22, 22)),
			"Access/Bastion/SecurityGroup lets 128.0.0.0/1 in on port 22",
		},
		"3389 open to everyone": {
			with(t, "sg-b", ingress("CidrIp", "0.0.0.0/0", 3389, 3389)),
			"Access/Bastion/SecurityGroup lets 0.0.0.0/0 in on port 3389",
		},
		"rule of its own, port as text": {
			with(t, "sgr-1", func(o object) {
				delete(o, "SourceSecurityGroupId")
				o["CidrIp"], o["FromPort"], o["ToPort"] = "0.0.0.0/0", "22", "22"
			}),
			"Access/Bastion/SecurityGroup lets 0.0.0.0/0 in on port 22",
		},
		"EICE may go anywhere": {
			with(t, "sgr-2", func(o object) { delete(o, "DestinationSecurityGroupId"); o["CidrIp"] = "0.0.0.0/0" }),
			"the EC2 Instance Connect Endpoint may reach every address on port 22",
		},
		"every door closed": {
			without("AWS::EC2::InstanceConnectEndpoint", "AWS::EC2::VPCEndpoint"),
			"every door is closed: nobody can get in",
		},
		"shell unrecorded": {
			with(t, "Access-Shell", inputs(object{"cloudWatchLogGroupName": "", "s3BucketName": ""})),
			"sessions of Access-Shell are not recorded",
		},
		"log group without a key": {
			with(t, "Archive-Bastion", func(o object) { delete(o, "KmsKeyId") }),
			"log group Archive-Bastion is not encrypted with a key of yours",
		},
		"bucket without a lock": {
			with(t, "archive-logs", func(o object) { delete(o, "ObjectLockConfiguration") }),
			"bucket archive-logs has no Object Lock: who can delete an object can delete evidence",
		},
		"access log bucket of nobody": {
			with(t, "archive-logs", func(o object) { delete(o, "LoggingConfiguration") }),
			"bucket archive-access has no Object Lock: who can delete an object can delete evidence",
		},
		"bucket without versions": {
			with(t, "archive-logs", func(o object) { delete(o, "VersioningConfiguration") }),
			"bucket archive-logs is not versioned: an overwritten object is gone",
		},
		"bucket half public": {
			with(t, "archive-access", set("PublicAccessBlockConfiguration", object{"BlockPublicAcls": true})),
			"bucket archive-access does not block public access in all four ways",
		},
		"no flow log":             {without("AWS::EC2::FlowLog"), "VPC vpc-1 has no flow log"},
		"flow log of another VPC": {with(t, "fl-1", set("ResourceId", "vpc-2")), "VPC vpc-1 has no flow log"},
		"no alarm": {
			without("AWS::CloudWatch::Alarm"),
			"there is no alarm: a host that is gone or an agent that is silent is not noticed",
		},
		"alarm without action": {with(t, "alarm-1", set("AlarmActions", []any{})), "no action on bastion-in-service"},
		"alarm of a mute door": {
			plus(with(t, "alarm-1", set("AlarmActions", []any{})), door("bastion-in-service")), "no action on bastion-in-service, bastion-door",
		},
		"alarm of no door": {
			plus(with(t, "alarm-1", set("AlarmActions", []any{})), door("bastion-cpu", "arn:aws:sns:us-east-1:123456789012:Watch-Topic")), "no action on bastion-in-service",
		},
		"alarm switched off": {with(t, "alarm-2", set("ActionsEnabled", false)), "no action on bastion-heartbeat"},
		"IMDSv1": {
			template(t, "MetadataOptions", object{"HttpTokens": "optional"}),
			"BastionASG answers IMDSv1: a server-side request forgery can read the role's credentials",
		},
		"IMDS not said": {
			template(t, "MetadataOptions", nil),
			"BastionASG answers IMDSv1: a server-side request forgery can read the role's credentials",
		},
		"disk in the clear": {
			template(t, "BlockDeviceMappings", []any{object{"Ebs": object{"VolumeSize": 8.0}}}),
			"BastionASG has a disk that is not encrypted",
		},
		"disk not said": {template(t, "BlockDeviceMappings", nil), "BastionASG has a disk that is not encrypted"},
		"nothing records": {
			without("AWS::Logs::LogGroup", "AWS::S3::Bucket", "AWS::EC2::FlowLog", "AWS::EC2::VPC"),
			"nothing records anything: no log group, flow log, trail or bucket",
		},
		"trail switched off": {
			plus(sound(), report.Resource{Type: "AWS::CloudTrail::Trail", Identifier: "audit", Properties: object{"IsLogging": false}}),
			"trail audit is not logging",
		},
		"something unread": {
			func() report.Inventory { inv := sound(); inv.Unread = []string{"AWS::KMS::Key"}; return inv }(),
			"resources of type AWS::KMS::Key could not be read, so they are not judged",
		},
		"nothing deployed": {
			report.Inventory{}, "nothing is deployed: none of the stacks has a resource that could be read",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := report.Make(test.inventory)
			assert.Equal(t, []string{test.want}, whats(t, r, report.Fail))
			assert.False(t, r.Safe())
			assert.Equal(t, 1, r.ExitCode())
		})
	}
}

// door is a composite alarm over one alarm.
func door(member string, actions ...any) report.Resource {
	return report.Resource{Type: "AWS::CloudWatch::CompositeAlarm", Identifier: "bastion-door", LogicalID: "Door", Properties: object{
		"AlarmName": "bastion-door", "AlarmRule": `ALARM("arn:aws:cloudwatch:us-east-1:123456789012:alarm:` + member + `")`, "AlarmActions": actions,
	}}
}

func TestADoorTellsOfItsAlarms(t *testing.T) {
	r := report.Make(plus(with(t, "alarm-1", set("AlarmActions", []any{})), door("bastion-in-service", "arn:aws:sns:us-east-1:123456789012:Watch-Topic")))
	assert.Empty(t, whats(t, r, report.Fail))
}

func TestWhatIsOnlyNoted(t *testing.T) {
	tests := map[string]struct {
		inventory report.Inventory
		want      string
	}{
		"nobody subscribed":        {without("AWS::SNS::Subscription"), "nobody is subscribed to topic Watch-Topic"},
		"kept for ever":            {with(t, "Archive-Bastion", set("RetentionInDays", nil)), "log group Archive-Bastion keeps its data for ever"},
		"rejected only":            {with(t, "fl-1", set("TrafficType", "REJECT")), "flow log of vpc-1 records REJECT traffic only"},
		"topic without a key":      {with(t, topic, set("KmsMasterKeyId", nil)), "topic Watch-Topic is not encrypted with a key of yours"},
		"log group may be missing": {with(t, "Access-Shell", inputs(object{"cloudWatchEncryptionEnabled": false})), "sessions of Access-Shell begin where log group Archive-Bastion is missing, and are not recorded then"},
		"bucket may be missing":    {with(t, "Access-Shell", inputs(object{"s3EncryptionEnabled": false})), "sessions of Access-Shell begin where bucket archive-logs is missing, and are not recorded then"},
		"shell as root":            {with(t, "Access-Shell", inputs(object{"runAsEnabled": false})), "sessions of Access-Shell run as ssm-user, who may become root and end what records"},
		"key pair":                 {template(t, "KeyName", "old"), "BastionASG has an EC2 key pair, which nobody rotates"},
		"template out of sight":    {without("AWS::EC2::LaunchTemplate"), "BastionASG: its launch template could not be read, so nothing is known of its disk and metadata service"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := report.Make(test.inventory)
			assert.Equal(t, []string{test.want}, whats(t, r, report.Note))
			assert.Empty(t, whats(t, r, report.Fail))
			assert.Zero(t, r.ExitCode())
		})
	}
}

func TestDoors(t *testing.T) {
	const toBastion = " | by security group: Access/Bastion/SecurityGroup from Access/InstanceConnect/SecurityGroup"
	tests := map[string]struct {
		inventory  report.Inventory
		what, want string
	}{
		"closed":               {sound(), "SSH", "closed: no address may reach it" + toBastion},
		"a network":            {with(t, "sg-b", ingress("CidrIp", "203.0.113.0/24", 22, 22)), "SSH", "open: Access/Bastion/SecurityGroup from 203.0.113.0/24" + toBastion},
		"a prefix list":        {with(t, "sg-b", ingress("SourcePrefixListId", "pl-1", 22, 22)), "SSH", "open: Access/Bastion/SecurityGroup from pl-1" + toBastion},
		"a range that has it":  {with(t, "sg-b", ingress("CidrIp", "203.0.113.0/24", 20, 30)), "SSH", "open: Access/Bastion/SecurityGroup from 203.0.113.0/24" + toBastion},
		"a range that has not": {with(t, "sg-b", ingress("CidrIp", "203.0.113.0/24", 23, 30)), "SSH", "closed: no address may reach it" + toBastion},
		"every protocol": {
			with(t, "sg-b", set("SecurityGroupIngress", []any{object{"IpProtocol": "-1", "CidrIp": "198.51.100.7/32"}})),
			"RDP", "open: Access/Bastion/SecurityGroup from 198.51.100.7/32",
		},
		"UDP is not RDP": {
			with(t, "sg-b", set("SecurityGroupIngress", []any{object{"IpProtocol": "udp", "FromPort": 3389.0, "ToPort": 3389.0, "CidrIp": "0.0.0.0/0"}})),
			"RDP", "closed: no address may reach it",
		},
		"a large private block": {with(t, "sg-b", ingress("CidrIp", "10.0.0.0/8", 3389, 3389)), "RDP", "open: Access/Bastion/SecurityGroup from 10.0.0.0/8"},
		"session endpoints":     {sound(), "Session", "open: endpoints ssm and ssmmessages in 2 subnets"},
		"own DNS":               {with(t, "vpce-1", set("PrivateDnsEnabled", false)), "Session", "open: endpoints ssm and ssmmessages in 2 subnets; private DNS is off: clients must name the endpoints"},
		"half an endpoint":      {with(t, "vpce-2", set("ServiceName", "com.amazonaws.us-east-1.logs")), "Session", "closed: no endpoint ssmmessages and no NAT gateway"},
		"over NAT": {
			plus(without("AWS::EC2::VPCEndpoint"), report.Resource{Type: "AWS::EC2::NatGateway", Identifier: "nat-1"}),
			"Session", "open: through the NAT gateway; no endpoint ssm, ssmmessages",
		},
		"EICE":            {sound(), "EC2", "open: to Access/Bastion/SecurityGroup on port 22 | in subnet-1; targets see the endpoint's address"},
		"EICE, client IP": {with(t, "eice-1", set("PreserveClientIp", true)), "EC2", "open: to Access/Bastion/SecurityGroup on port 22 | in subnet-1; targets see the client's address"},
		"EICE, no egress": {without("AWS::EC2::SecurityGroupEgress"), "EC2", "closed: in subnet-1, but its security group lets nothing out"},
		"EICE, loopback": {with(t, "sgr-2", func(o object) {
			delete(o, "DestinationSecurityGroupId")
			o["IpProtocol"], o["CidrIp"] = "-1", "127.0.0.1/32"
		}), "EC2", "closed: in subnet-1, but its security group lets nothing out"},
		"EICE, other port": {with(t, "sgr-2", func(o object) { o["FromPort"], o["ToPort"] = 443.0, 443.0 }), "EC2", "closed: in subnet-1, but its security group lets nothing out"},
		"shell":            {sound(), "Shell", "recorded: to log group Archive-Bastion and bucket archive-logs | as the tag SSMSessionRunAs says, or ec2-user; ends after 20 idle minutes, 720 at most"},
		"shell, own key and no end": {
			with(t, "Access-Shell", inputs(object{"kmsKeyId": "key-1", "maxSessionDuration": "", "runAsDefaultUser": "", "s3BucketName": ""})),
			"Shell", "recorded: to log group Archive-Bastion | as the tag SSMSessionRunAs says; ends after 20 idle minutes; encrypted with a key of yours",
		},
		"shell as root": {
			with(t, "Access-Shell", inputs(object{"runAsEnabled": false})), "Shell",
			"recorded: to log group Archive-Bastion and bucket archive-logs | as ssm-user, who may become root; ends after 20 idle minutes, 720 at most",
		},
		"shell unrecorded": {
			with(t, "Access-Shell", inputs(object{"cloudWatchLogGroupName": "", "s3BucketName": ""})), "Shell",
			"NOT RECORDED: no log group and no bucket | as the tag SSMSessionRunAs says, or ec2-user; ends after 20 idle minutes, 720 at most",
		},
		"tunnel": {sound(), "Tunnel", "open: to port 5432 of orders.internal, nowhere else; its content is not recorded by Session Manager"},
		"SSH over Session Manager": {
			with(t, "Access-Orders", set("Content", object{"sessionType": "Port", "properties": object{"portNumber": "22"}})), "SSH by",
			"open: to port 22 of the host itself, nowhere else; its content is not recorded by Session Manager",
		},
		"no EICE": {without("AWS::EC2::InstanceConnectEndpoint"), "EC2", "closed: none is deployed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			doors := report.Make(test.inventory).Doors
			i := slices.IndexFunc(doors, func(row report.Row) bool { return strings.HasPrefix(row.What, test.what) })
			require.GreaterOrEqual(t, i, 0)
			assert.Equal(t, test.want, doors[i].State+": "+strings.ReplaceAll(doors[i].Detail, "\n", " | "))
		})
	}
}

// inputs changes those of a session document.
func inputs(changed object) func(object) {
	return func(o object) { maps.Copy(o["Content"].(object)["inputs"].(object), changed) }
}

func TestWhoMay(t *testing.T) {
	assert.Equal(t, []report.Row{{
		What: "Developers", State: "always", Detail: "role Developer\ngroup developers\nuses Access-Shell\nuses Access-Orders",
	}}, report.Make(sound()).People)

	const id = "arn:aws:iam::123456789012:policy/developers"
	hours := report.Make(with(t, id, func(o object) {
		o["PolicyDocument"].(object)["Statement"].([]any)[0].(object)["Action"] = "ec2-instance-connect:OpenTunnel"
	})).People
	assert.Equal(t, "in its hours", hours[0].State, "no statement of its own starts a session")
	assert.Contains(t, hours[0].Detail, "uses EC2 Instance Connect Endpoint")

	assert.Equal(t, []report.Row{{What: "No operator is configured", State: "by IAM", Detail: "policies of yours decide who may use the doors"}},
		report.Make(without("AWS::IAM::ManagedPolicy")).People)
	assert.Empty(t, report.Make(without("AWS::IAM::ManagedPolicy", "AWS::SSM::Document")).People)
}

func TestCost(t *testing.T) {
	base := report.Make(sound()).Cost.Total()
	assert.InDelta(t, 3.066+0.64+4*7.30+1+0.20+0.30+3, base, 0.001,
		"host, disk, two endpoints in two zones, key, two alarms, a metric, a dashboard")

	public := []any{object{"AssociatePublicIpAddress": true}}
	address := report.Resource{Type: "AWS::EC2::EIP", Identifier: "eip-1"}
	tests := map[string]struct {
		inventory report.Inventory
		more      float64
	}{
		"two hosts":                    {with(t, "Access-Bastion", set("DesiredCapacity", "2")), 3.066 + 0.64},
		"scaled off":                   {with(t, "Access-Bastion", set("DesiredCapacity", "0")), -3.066 - 0.64},
		"one zone less":                {with(t, "vpce-1", set("SubnetIds", []any{"subnet-1"})), -7.30},
		"detailed monitoring":          {template(t, "Monitoring", object{"Enabled": true}), 2.10},
		"public address at launch":     {template(t, "NetworkInterfaces", public), 3.65},
		"Elastic IP in its place":      {plus(template(t, "NetworkInterfaces", public), address), 3.65},
		"Elastic IP, attached or not":  {plus(sound(), address), 3.65},
		"NAT gateway with its address": {plus(sound(), address, report.Resource{Type: "AWS::EC2::NatGateway"}), 32.85 + 3.65},
		"network load balancer":        {plus(sound(), report.Resource{Type: "AWS::ElasticLoadBalancingV2::LoadBalancer", Properties: object{"Type": "network"}}), 16.425},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			assert.InDelta(t, test.more, report.Make(test.inventory).Cost.Total()-base, 0.001)
		})
	}
}

func TestOnlyCommandsAreOfferedToPaste(t *testing.T) {
	var keys []string
	for _, command := range report.Make(sound()).Commands {
		keys = append(keys, command.Key)
	}
	assert.Equal(t, []string{"Shell", "SshConfig"}, keys)
}

func TestMadeUpNamesAreShownAsTheResourceIsCalled(t *testing.T) {
	inv := sound()
	for i := range inv.Resources {
		if r := &inv.Resources[i]; r.Identifier == "archive-logs" {
			r.Stack, r.LogicalID = "Postern-Archive", "ArchiveBucket49F1AC64"
			r.Properties["BucketName"] = "postern-archive-archivebucket49f1ac64-xyz"
		}
	}
	var rows []string
	for _, row := range report.Make(inv).Records {
		rows = append(rows, row.What)
	}
	assert.Contains(t, rows, "Bucket ArchiveBucket")
	assert.Contains(t, rows, "Bucket archive-access", "a name that somebody gave")
}

func render(t *testing.T, inv report.Inventory, colours bool) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, report.Make(inv).Render(&b, colours))
	return b.Bytes()
}

// What users see. Refresh with: go test ./internal/report -update
func TestRendered(t *testing.T) {
	golden := goldie.New(t)
	golden.Assert(t, "sound", render(t, sound(), false))

	bad := template(t, "InstanceType", "x9.huge")
	for _, r := range bad.Resources {
		switch r.Identifier {
		case "sg-b":
			ingress("CidrIp", "0.0.0.0/0", 22, 22)(r.Properties)
		case "archive-logs":
			delete(r.Properties, "ObjectLockConfiguration")
		case "alarm-1":
			r.Properties["AlarmActions"] = nil
		case "sub-1":
			r.Properties["TopicArn"] = "another"
		}
	}
	bad.Unread = []string{"AWS::KMS::Key"}
	golden.Assert(t, "bad", render(t, bad, false))
	golden.Assert(t, "nothing", render(t, report.Inventory{Where: "AWS", Account: "123456789012", Region: "eu-west-1"}, false))
}

func TestRenderedFitsAndIsPlain(t *testing.T) {
	for _, line := range strings.Split(string(render(t, sound(), false)), "\n") {
		assert.NotContains(t, line, "\x1b")
		assert.Equal(t, strings.TrimRight(line, " "), line)
		if !strings.HasPrefix(line, "  aws ") {
			assert.LessOrEqual(t, len(line), report.Width, line)
		}
	}
	assert.Contains(t, string(render(t, sound(), true)), "\x1b[32mGOOD\x1b[0m")
}
