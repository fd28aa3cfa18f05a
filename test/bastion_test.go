package test_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsautoscaling"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/constructs/bastion"
	"github.com/postern-cdk/postern/constructs/endpoints"
	"github.com/postern-cdk/postern/constructs/watch"
	"github.com/postern-cdk/postern/internal/cdktest"
)

// A bastion is what a watch takes for a host.
var _ watch.Host = (*bastion.Bastion)(nil)

// userVpc is a VPC as a user has it: public and private subnets, one NAT gateway.
func userVpc(scope constructs.Construct) awsec2.Vpc {
	return awsec2.NewVpc(scope, jsii.String("Vpc"), &awsec2.VpcProps{
		MaxAzs: jsii.Number(2), NatGateways: jsii.Number(1), RestrictDefaultSecurityGroup: jsii.Bool(false),
	})
}

// closedVpc is a VPC with isolated subnets only.
func closedVpc(scope constructs.Construct) awsec2.Vpc {
	return awsec2.NewVpc(scope, jsii.String("Vpc"), &awsec2.VpcProps{
		MaxAzs: jsii.Number(2), RestrictDefaultSecurityGroup: jsii.Bool(false),
		SubnetConfiguration: &[]*awsec2.SubnetConfiguration{{Name: jsii.String("Isolated"), SubnetType: awsec2.SubnetType_PRIVATE_ISOLATED}},
	})
}

// bastionOf makes a bastion in a VPC of the user and returns its template.
func bastionOf(t *testing.T, props bastion.Props) (*bastion.Bastion, assertions.Template) {
	t.Helper()
	stack := cdktest.NewStack(t)
	props.Vpc = userVpc(stack)
	b := bastion.New(stack, "Bastion", &props)
	return b, cdktest.Template(stack)
}

func templateData(t *testing.T, template assertions.Template) map[string]any {
	t.Helper()
	return propertiesOf(t, template, "AWS::EC2::LaunchTemplate", "BastionLaunchTemplate")["LaunchTemplateData"].(map[string]any)
}

func groupOf(t *testing.T, template assertions.Template) map[string]any {
	t.Helper()
	return only(t, template, "AWS::AutoScaling::AutoScalingGroup")
}

// statementsOf are those of the bastion's own policies, by Sid.
func statementsOf(t *testing.T, template assertions.Template) map[string]map[string]any {
	t.Helper()
	bySid := map[string]map[string]any{}
	for _, id := range []string{"BastionPolicy", "BastionRecordsPolicy"} {
		document := propertiesOf(t, template, "AWS::IAM::ManagedPolicy", id)["PolicyDocument"].(map[string]any)
		for _, statement := range document["Statement"].([]any) {
			bySid[statement.(map[string]any)["Sid"].(string)] = statement.(map[string]any)
		}
	}
	return bySid
}

// environmentOf are the deploy-time values at the end of the user data.
func environmentOf(t *testing.T, template assertions.Template) string {
	t.Helper()
	_, environment, found := strings.Cut(textOf(t, templateData(t, template)["UserData"]), `# ENVIRONMENT\n`)
	require.True(t, found)
	return environment
}

func TestBastionByDefault(t *testing.T) {
	for name, app := range map[string]awscdk.App{
		"with flags":    cdktest.NewApp(t),
		"without flags": cdktest.NewAppWithoutFlags(t),
	} {
		t.Run(name, func(t *testing.T) {
			stack := cdktest.StackIn(app, "Test")
			b := bastion.New(stack, "Bastion", nil)
			template := cdktest.Template(stack)

			t.Run("nothing is public", func(t *testing.T) {
				for id, resource := range (*template.ToJSON())["Resources"].(map[string]any) {
					kind := resource.(map[string]any)["Type"].(string)
					assert.NotContains(t, []string{"AWS::EC2::EIP", "AWS::EC2::NatGateway", "AWS::ElasticLoadBalancingV2::LoadBalancer", "AWS::Lambda::Function"}, kind, id)
					assert.NotContains(t, kind, "Custom", id)
				}
				assert.Empty(t, b.PublicAddress())
				assert.Equal(t, false, templateData(t, template)["NetworkInterfaces"].([]any)[0].(map[string]any)["AssociatePublicIpAddress"])
			})
			t.Run("no port is open", func(t *testing.T) {
				group := propertiesOf(t, template, "AWS::EC2::SecurityGroup", "BastionSecurityGroup")
				assert.NotContains(t, group, "SecurityGroupIngress")
				assert.JSONEq(t, `[{"CidrIp":"0.0.0.0/0","FromPort":443,"ToPort":443,"IpProtocol":"tcp","Description":"HTTPS to AWS and package repositories"}]`,
					textOf(t, group["SecurityGroupEgress"]))
				for id, rule := range byLogicalName(t, template, "AWS::EC2::SecurityGroupIngress") {
					assert.NotContains(t, textOf(t, rule["Properties"].(map[string]any)["GroupId"]), "BastionSecurityGroup", id)
				}
			})
			t.Run("isolated subnets with the endpoints that the host needs", func(t *testing.T) {
				assert.Contains(t, textOf(t, groupOf(t, template)["Properties"].(map[string]any)["VPCZoneIdentifier"]), "solatedSubnet")
				names := []string{}
				for _, endpoint := range byLogicalName(t, template, "AWS::EC2::VPCEndpoint") {
					text := textOf(t, endpoint["Properties"].(map[string]any)["ServiceName"])
					for _, service := range []string{"ssm", "ssmmessages", "logs", "monitoring", "ec2", "cloudformation", "autoscaling", "s3"} {
						if strings.Contains(text, "."+service+`"`) {
							names = append(names, service)
						}
					}
				}
				assert.ElementsMatch(t, []string{"ssm", "ssmmessages", "logs", "monitoring", "ec2", "cloudformation", "autoscaling", "s3"}, names)
				assert.Contains(t, textOf(t, byLogicalName(t, template, "AWS::EC2::SecurityGroupIngress")), `"SourceSecurityGroupId":{"Fn::GetAtt":["BastionSecurityGroup`)
				assert.Contains(t, textOf(t, groupOf(t, template)["DependsOn"]), "Endpointscloudformation", "the host waits for its endpoints")
			})
			t.Run("launch template", func(t *testing.T) {
				data := templateData(t, template)
				assert.Equal(t, "t4g.micro", data["InstanceType"])
				assert.Equal(t, "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64", data["ImageId"])
				assert.JSONEq(t, `{"HttpTokens":"required","HttpPutResponseHopLimit":1,"InstanceMetadataTags":"disabled"}`, textOf(t, data["MetadataOptions"]))
				assert.Equal(t, true, data["EbsOptimized"])
				assert.Equal(t, map[string]any{"Enabled": false}, data["Monitoring"])
				assert.NotContains(t, data, "KeyName")
				assert.NotContains(t, data, "InstanceMarketOptions")
				device := data["BlockDeviceMappings"].([]any)[0].(map[string]any)
				assert.Equal(t, "/dev/xvda", device["DeviceName"])
				assert.Contains(t, textOf(t, device), `"Encrypted":true,"KmsKeyId":{"Fn::GetAtt":["BastionKey`)
				assert.Contains(t, textOf(t, device), `"VolumeSize":8,"VolumeType":"gp3"`)
			})
			t.Run("user data", func(t *testing.T) {
				text := textOf(t, templateData(t, template)["UserData"])
				assert.Contains(t, text, `#!/bin/bash\n`)
				environment := environmentOf(t, template)
				var logicalID string
				for id := range *template.FindResources(jsii.String("AWS::AutoScaling::AutoScalingGroup"), nil) {
					logicalID = id
				}
				assert.Contains(t, environment, `REGION=us-east-1\nSTACK=Test\nSIGNAL_RESOURCE=`+logicalID+`\nLIFECYCLE_HOOK=proved\nBUNDLE_BUCKET=`)
				assert.Contains(t, environment, `{"Ref":"BastionLogGroup`)
				assert.Contains(t, environment, `ALLOCATION_ID=\n`)
			})
			t.Run("group", func(t *testing.T) {
				group := groupOf(t, template)
				properties := group["Properties"].(map[string]any)
				assert.Equal(t, "1", properties["MinSize"])
				assert.Equal(t, "2", properties["MaxSize"])
				assert.NotContains(t, properties, "DesiredCapacity", "a deploy must not reset it")
				assert.InDelta(t, 30*24*3600, properties["MaxInstanceLifetime"], 0)
				assert.Equal(t, map[string]any{"MinHealthyPercentage": 100.0, "MaxHealthyPercentage": 200.0}, properties["InstanceMaintenancePolicy"])
				assert.InDelta(t, 300, properties["DefaultInstanceWarmup"], 0)
				assert.Equal(t, []any{map[string]any{"Granularity": "1Minute"}}, properties["MetricsCollection"])
				assert.Equal(t, []any{
					map[string]any{"Key": "Name", "Value": "Test/Bastion", "PropagateAtLaunch": true},
					map[string]any{"Key": "postern:bastion", "Value": "/postern/Test/Bastion", "PropagateAtLaunch": true},
				}, properties["Tags"])
				assert.JSONEq(t, `[{"LifecycleHookName":"proved","LifecycleTransition":"autoscaling:EC2_INSTANCE_LAUNCHING","DefaultResult":"ABANDON","HeartbeatTimeout":900}]`,
					textOf(t, properties["LifecycleHookSpecificationList"]))
				assert.JSONEq(t, `{"StringEquals":{"aws:ResourceTag/postern:bastion":"/postern/Test/Bastion"}}`, textOf(t, statementsOf(t, template)["InService"]["Condition"]))
				assert.Equal(t, map[string]any{
					"AutoScalingCreationPolicy": map[string]any{"MinSuccessfulInstancesPercent": 100.0},
					"ResourceSignal":            map[string]any{"Count": 1.0, "Timeout": "PT15M"},
				}, group["CreationPolicy"])
				policy := group["UpdatePolicy"].(map[string]any)
				assert.Equal(t, map[string]any{"IgnoreUnmodifiedGroupSizeProperties": true}, policy["AutoScalingScheduledAction"])
				rolling := policy["AutoScalingRollingUpdate"].(map[string]any)
				assert.InDelta(t, 1, rolling["MinInstancesInService"], 0, "the old one stays until the new one is ready")
				assert.Equal(t, true, rolling["WaitOnResourceSignals"])
				assert.Equal(t, "PT15M", rolling["PauseTime"])
				assert.InDelta(t, 100, rolling["MinSuccessfulInstancesPercent"], 0)
				assert.Contains(t, textOf(t, group["DependsOn"]), "BastionPolicy")
			})
			t.Run("role", func(t *testing.T) {
				role := propertiesOf(t, template, "AWS::IAM::Role", "BastionRole")
				assert.NotContains(t, role, "ManagedPolicyArns")
				assert.NotContains(t, role, "PermissionsBoundary")
				for id, policy := range byLogicalName(t, template, "AWS::IAM::Policy") {
					assert.NotContains(t, textOf(t, policy), "BastionRole", id)
				}
				statements := statementsOf(t, template)
				actions := map[string]any{}
				for sid, statement := range statements {
					actions[sid] = statement["Action"]
				}
				assert.Equal(t, map[string]any{
					"Sessions": []any{
						"ssm:UpdateInstanceInformation", "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
						"ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
					},
					"Log":           []any{"logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"},
					"Metrics":       "cloudwatch:PutMetricData",
					"GroupName":     "ec2:DescribeTags",
					"Ready":         "cloudformation:SignalResource",
					"InService":     "autoscaling:CompleteLifecycleAction",
					"Bundle":        "s3:GetObject",
					"Records":       "s3:PutObject",
					"RecordsKey":    "kms:GenerateDataKey",
					"PeopleNames":   "s3:ListBucket",
					"PeopleKeys":    "s3:GetObject",
					"PeopleKeysKey": "kms:Decrypt",
					"Kept":          []any{"ssm:GetParameter", "ssm:GetParameters"},
					"Keep":          "ssm:PutParameter",
					"Factors":       []any{"ssm:DeleteParameter", "ssm:PutParameter"},
					"Publish":       "ssm:PutParameter",
					"KeptKey":       []any{"kms:Decrypt", "kms:Encrypt"},
				}, actions)
				assert.Contains(t, textOf(t, statements["Log"]["Resource"]), "BastionLogGroup")
				assert.Equal(t, map[string]any{"Ref": "AWS::StackId"}, statements["Ready"]["Resource"])
				assert.JSONEq(t, `{"StringEquals":{"cloudwatch:namespace":"Postern/Bastion"}}`, textOf(t, statements["Metrics"]["Condition"]))
			})
			t.Run("key and log group outlive the stack", func(t *testing.T) {
				key := byLogicalName(t, template, "AWS::KMS::Key")["BastionKey"]
				assert.Equal(t, "Retain", key["DeletionPolicy"])
				properties := key["Properties"].(map[string]any)
				assert.Equal(t, true, properties["EnableKeyRotation"])
				assert.Equal(t, archiveKeySids, sidsOf(t, properties["KeyPolicy"]))
				group := byLogicalName(t, template, "AWS::Logs::LogGroup")["BastionLogGroup"]
				assert.Equal(t, "Retain", group["DeletionPolicy"])
				assert.Contains(t, textOf(t, group["Properties"]), `"KmsKeyId":{"Fn::GetAtt":["BastionKey`)
				assert.Contains(t, textOf(t, group["Properties"]), `"RetentionInDays":365`)
			})
			t.Run("no warning", func(t *testing.T) {
				assert.Empty(t, warningsOf(stack))
			})
		})
	}
}

func TestBastionWithAllProps(t *testing.T) {
	for name, app := range map[string]awscdk.App{
		"with flags":    cdktest.NewApp(t),
		"without flags": cdktest.NewAppWithoutFlags(t),
	} {
		t.Run(name, func(t *testing.T) {
			stack := cdktest.StackIn(app, "Test")
			vpc := userVpc(stack)
			store := archive.New(stack, "Archive", nil)
			doors := endpoints.New(stack, "Endpoints", &endpoints.Props{Vpc: vpc})
			b := bastion.New(stack, "Bastion", &bastion.Props{
				Vpc:                 vpc,
				Subnets:             *vpc.PublicSubnets(),
				Endpoints:           doors,
				Address:             bastion.AddressElasticIP,
				HostedZone:          hostedZone{},
				RecordName:          "bastion",
				AllowedCidrs:        []string{"203.0.113.0/24", "2001:db8::/32"},
				AllowedPrefixLists:  []string{"pl-0123456789abcdef0"},
				EgressPrefixLists:   []string{"pl-63a5400a"},
				InstanceType:        "t3.small",
				Image:               bastion.ImagePinned,
				ImageId:             "ami-0123456789abcdef0",
				RootDevice:          "/dev/sda1",
				VolumeGiB:           20,
				MaxInstanceLifetime: 7 * 24 * time.Hour,
				SignalTimeout:       20 * time.Minute,
				Schedule:            bastion.Schedule{Start: "0 7 * * MON-FRI", Stop: "0 19 * * MON-FRI", TimeZone: "Europe/Berlin"},
				Spot:                true,
				DetailedMonitoring:  true,
				Key:                 store.Key(),
				LogGroup:            store.AddLogGroup("Journal"),
				PermissionsBoundary: awsiam.ManagedPolicy_FromManagedPolicyName(stack, jsii.String("Boundary"), jsii.String("boundary")),
				SSH:                 bastion.SSH{PermitOpen: []bastion.Target{{Host: "db.internal", Port: 5432}}, Banner: "Authorized use only\n"},
				Topic:               awssns.NewTopic(stack, jsii.String("Topic"), nil),
			})
			template := cdktest.Template(stack)
			data := templateData(t, template)
			group := groupOf(t, template)
			properties := group["Properties"].(map[string]any)

			assert.Equal(t, "t3.small", data["InstanceType"])
			assert.Equal(t, "ami-0123456789abcdef0", data["ImageId"])
			assert.Equal(t, map[string]any{"Enabled": true}, data["Monitoring"])
			assert.JSONEq(t, `{"MarketType":"spot","SpotOptions":{"InstanceInterruptionBehavior":"terminate","SpotInstanceType":"one-time"}}`,
				textOf(t, data["InstanceMarketOptions"]))
			device := data["BlockDeviceMappings"].([]any)[0].(map[string]any)
			assert.Equal(t, "/dev/sda1", device["DeviceName"])
			assert.Contains(t, textOf(t, device), `"KmsKeyId":{"Fn::GetAtt":["ArchiveKey`)
			assert.Contains(t, textOf(t, device), `"VolumeSize":20`)
			assert.InDelta(t, 7*24*3600, properties["MaxInstanceLifetime"], 0)
			assert.Contains(t, textOf(t, properties["NotificationConfigurations"]), `"autoscaling:EC2_INSTANCE_TERMINATE_ERROR"`)
			assert.Equal(t, "PT20M", group["CreationPolicy"].(map[string]any)["ResourceSignal"].(map[string]any)["Timeout"])
			assert.Equal(t, "PT20M", group["UpdatePolicy"].(map[string]any)["AutoScalingRollingUpdate"].(map[string]any)["PauseTime"])
			assert.Contains(t, environmentOf(t, template), `PERMIT_OPEN=db.internal:5432`)
			assert.Contains(t, textOf(t, propertiesOf(t, template, "AWS::IAM::Role", "BastionRole")["PermissionsBoundary"]), ":policy/boundary")
			assert.Contains(t, textOf(t, statementsOf(t, template)["Log"]["Resource"]), "ArchiveJournal")
			assert.NotContains(t, byLogicalName(t, template, "AWS::KMS::Key"), "BastionKey")
			assert.NotContains(t, byLogicalName(t, template, "AWS::Logs::LogGroup"), "BastionLogGroup")
			assert.Equal(t, archiveKeySids, sidsOf(t, byLogicalName(t, template, "AWS::KMS::Key")["ArchiveKey"]["Properties"].(map[string]any)["KeyPolicy"]),
				"the archive's key has what the bastion needs, once")

			assert.Equal(t, "bastion.example.com", b.PublicAddress())
			assert.JSONEq(t, `{"HostedZoneId":"Z0123","Name":"bastion.example.com.","Type":"A","TTL":"60","ResourceRecords":[{"Ref":"`+logicalIDOf(t, template, "AWS::EC2::EIP", "BastionAddress")+`"}]}`,
				textOf(t, propertiesOf(t, template, "AWS::Route53::RecordSet", "BastionRecord")))

			securityGroup := propertiesOf(t, template, "AWS::EC2::SecurityGroup", "BastionSecurityGroup")
			assert.JSONEq(t, `[
				{"CidrIp":"203.0.113.0/24","FromPort":22,"ToPort":22,"IpProtocol":"tcp","Description":"SSH from AllowedCidrs[0]"},
				{"CidrIpv6":"2001:db8::/32","FromPort":22,"ToPort":22,"IpProtocol":"tcp","Description":"SSH from AllowedCidrs[1]"}]`,
				textOf(t, securityGroup["SecurityGroupIngress"]))
			assert.Contains(t, textOf(t, byLogicalName(t, template, "AWS::EC2::SecurityGroupIngress")), `"SourcePrefixListId":"pl-0123456789abcdef0"`)
			assert.Contains(t, textOf(t, byLogicalName(t, template, "AWS::EC2::SecurityGroupEgress")), `"DestinationPrefixListId":"pl-63a5400a"`)
			assert.JSONEq(t, `[{"CidrIp":"169.254.169.254/32","FromPort":80,"ToPort":80,"IpProtocol":"tcp","Description":"Instance metadata"}]`,
				textOf(t, securityGroup["SecurityGroupEgress"]), "HTTPS to anywhere is gone, and no rule of EC2's takes its place")

			assert.Equal(t, map[string]any{
				"BastionScheduledActionStart": map[string]any{
					"MinSize": 1.0, "DesiredCapacity": 1.0, "MaxSize": 2.0, "Recurrence": "0 7 * * MON-FRI", "TimeZone": "Europe/Berlin",
				},
				"BastionScheduledActionStop": map[string]any{
					"MinSize": 0.0, "DesiredCapacity": 0.0, "MaxSize": 2.0, "Recurrence": "0 19 * * MON-FRI", "TimeZone": "Europe/Berlin",
				},
			}, actionsOf(t, template))
			assert.Empty(t, warningsOf(stack))
		})
	}
}

type hostedZone struct{}

func (hostedZone) HostedZoneId() *string { return jsii.String("Z0123") }
func (hostedZone) ZoneName() *string     { return jsii.String("example.com") }

// actionsOf are the scheduled actions without the name of their group.
func actionsOf(t *testing.T, template assertions.Template) map[string]any {
	t.Helper()
	actions := map[string]any{}
	for id, resource := range byLogicalName(t, template, "AWS::AutoScaling::ScheduledAction") {
		properties := resource["Properties"].(map[string]any)
		delete(properties, "AutoScalingGroupName")
		actions[id] = properties
	}
	return actions
}

func TestBastionWithElasticIP(t *testing.T) {
	b, template := bastionOf(t, bastion.Props{Address: bastion.AddressElasticIP, AllowedCidrs: []string{"203.0.113.0/24"}})
	address := logicalIDOf(t, template, "AWS::EC2::EIP", "BastionAddress")

	t.Run("public subnets, and an address from the start to ask for the other with", func(t *testing.T) {
		assert.Contains(t, textOf(t, groupOf(t, template)["Properties"].(map[string]any)["VPCZoneIdentifier"]), "PublicSubnet")
		assert.Contains(t, textOf(t, groupOf(t, template)["DependsOn"]), "VpcPublicSubnet1DefaultRoute")
		assert.Equal(t, true, templateData(t, template)["NetworkInterfaces"].([]any)[0].(map[string]any)["AssociatePublicIpAddress"])
	})
	t.Run("the host takes it", func(t *testing.T) {
		assert.Contains(t, environmentOf(t, template), `ALLOCATION_ID=",{"Fn::GetAtt":["`+address+`","AllocationId"]}`)
		assert.Equal(t, fmt.Sprintf("{%q:%q}", "Ref", address), textOf(t, awscdk.Stack_Of(b).Resolve(b.PublicAddress())))
	})
	t.Run("and may take nothing else, for nobody else", func(t *testing.T) {
		statements := statementsOf(t, template)
		allocation := `{"Fn::GetAtt":["` + address + `","AllocationId"]}`
		assert.JSONEq(t, `{"Fn::Join":["",["arn:aws:ec2:us-east-1:123456789012:elastic-ip/",`+allocation+`]]}`, textOf(t, statements["Address"]["Resource"]))
		assert.JSONEq(t, `{"StringEquals":{"aws:ResourceTag/postern:address":`+allocation+`}}`, textOf(t, statements["AddressHolders"]["Condition"]))
		assert.Equal(t, []any{"arn:aws:ec2:us-east-1:123456789012:instance/*", "arn:aws:ec2:us-east-1:123456789012:network-interface/*"},
			statements["AddressHolders"]["Resource"])
		tagged := map[string]bool{}
		for _, specification := range templateData(t, template)["TagSpecifications"].([]any) {
			s := specification.(map[string]any)
			tagged[s["ResourceType"].(string)] = strings.Contains(textOf(t, s["Tags"]), `{"Key":"postern:address","Value":`+allocation+`}`)
		}
		assert.Equal(t, map[string]bool{"instance": true, "volume": true, "network-interface": true}, tagged)
	})
	t.Run("one port, one network", func(t *testing.T) {
		assert.JSONEq(t, `[{"CidrIp":"203.0.113.0/24","FromPort":22,"ToPort":22,"IpProtocol":"tcp","Description":"SSH from AllowedCidrs[0]"}]`,
			textOf(t, propertiesOf(t, template, "AWS::EC2::SecurityGroup", "BastionSecurityGroup")["SecurityGroupIngress"]))
	})
}

func TestBastionBehindLoadBalancer(t *testing.T) {
	b, template := bastionOf(t, bastion.Props{
		Address: bastion.AddressNetworkLoadBalancer, AllowedCidrs: []string{"203.0.113.0/24"}, AllowedPrefixLists: []string{"pl-0123456789abcdef0"},
		HostedZone: hostedZone{}, RecordName: "bastion",
	})
	front := logicalIDOf(t, template, "AWS::EC2::SecurityGroup", "BastionLoadBalancerSecurityGroup")
	back := logicalIDOf(t, template, "AWS::EC2::SecurityGroup", "BastionSecurityGroup")

	t.Run("clients are examined at the load balancer", func(t *testing.T) {
		group := propertiesOf(t, template, "AWS::EC2::SecurityGroup", "BastionLoadBalancerSecurityGroup")
		assert.Contains(t, textOf(t, group["SecurityGroupIngress"]), `"CidrIp":"203.0.113.0/24"`)
		assert.Contains(t, textOf(t, group["SecurityGroupEgress"]), `"CidrIp":"255.255.255.255/32"`, "nothing but what the separate rule lets out")
		assert.NotContains(t, propertiesOf(t, template, "AWS::EC2::SecurityGroup", "BastionSecurityGroup"), "SecurityGroupIngress")
	})
	t.Run("and reach the bastion through it only", func(t *testing.T) {
		rules := map[string]string{}
		for _, kind := range []string{"AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress"} {
			for _, rule := range byLogicalName(t, template, kind) {
				properties := rule["Properties"].(map[string]any)
				assert.InDelta(t, 22, properties["FromPort"], 0)
				assert.InDelta(t, 22, properties["ToPort"], 0)
				rules[properties["Description"].(string)] = textOf(t, properties)
			}
		}
		require.Len(t, rules, 3)
		assert.Contains(t, rules["SSH from AllowedPrefixLists[0]"], `"GroupId":{"Fn::GetAtt":["`+front)
		assert.Contains(t, rules["SSH and health checks from the load balancer"], `"GroupId":{"Fn::GetAtt":["`+back)
		assert.Contains(t, rules["SSH and health checks from the load balancer"], `"SourceSecurityGroupId":{"Fn::GetAtt":["`+front)
		assert.Contains(t, rules["SSH and health checks to the bastion"], `"GroupId":{"Fn::GetAtt":["`+front)
		assert.Contains(t, rules["SSH and health checks to the bastion"], `"DestinationSecurityGroupId":{"Fn::GetAtt":["`+back)
	})
	t.Run("the bastion stays private", func(t *testing.T) {
		properties := groupOf(t, template)["Properties"].(map[string]any)
		assert.Contains(t, textOf(t, properties["VPCZoneIdentifier"]), "PrivateSubnet")
		assert.Equal(t, "ELB", properties["HealthCheckType"])
		assert.Contains(t, textOf(t, properties["TargetGroupARNs"]), "BastionTargetGroup")
		assert.Contains(t, textOf(t, groupOf(t, template)["DependsOn"]), "BastionLoadBalancerSsh", "no health check before there is one")
		assert.Contains(t, textOf(t, propertiesOf(t, template, "AWS::ElasticLoadBalancingV2::TargetGroup", "BastionTargetGroup")["TargetGroupAttributes"]),
			`{"Key":"preserve_client_ip.enabled","Value":"true"}`)
		balancer := propertiesOf(t, template, "AWS::ElasticLoadBalancingV2::LoadBalancer", "BastionLoadBalancer")
		assert.Contains(t, textOf(t, balancer["Subnets"]), "PublicSubnet")
		assert.Equal(t, "internet-facing", balancer["Scheme"])
		assert.Contains(t, textOf(t, balancer["SecurityGroups"]), front)
		assert.Len(t, byLogicalName(t, template, "AWS::EC2::EIP"), 1, "that of the NAT gateway")
	})
	t.Run("record", func(t *testing.T) {
		record := propertiesOf(t, template, "AWS::Route53::RecordSet", "BastionRecord")
		assert.Contains(t, textOf(t, record["AliasTarget"]), `"DNSName"]},`)
		assert.Contains(t, textOf(t, record["AliasTarget"]), `CanonicalHostedZoneID`)
		assert.Equal(t, "bastion.example.com", b.PublicAddress())
	})
	t.Run("without flags too", func(t *testing.T) {
		stack := cdktest.StackIn(cdktest.NewAppWithoutFlags(t), "Test")
		bastion.New(stack, "Bastion", &bastion.Props{Vpc: userVpc(stack), Address: bastion.AddressNetworkLoadBalancer, AllowedCidrs: []string{"203.0.113.0/24"}})
		template := cdktest.Template(stack)
		assert.Contains(t, textOf(t, propertiesOf(t, template, "AWS::ElasticLoadBalancingV2::LoadBalancer", "BastionLoadBalancer")["SecurityGroups"]), front)
		assert.Contains(t, textOf(t, propertiesOf(t, template, "AWS::EC2::SecurityGroup", "BastionLoadBalancerSecurityGroup")["SecurityGroupEgress"]),
			`"CidrIp":"255.255.255.255/32"`)
	})
	t.Run("static addresses by choice", func(t *testing.T) {
		b, template := bastionOf(t, bastion.Props{
			Address: bastion.AddressNetworkLoadBalancer, StaticAddresses: true, AllowedPrefixLists: []string{"pl-0123456789abcdef0"},
		})
		balancer := propertiesOf(t, template, "AWS::ElasticLoadBalancingV2::LoadBalancer", "BastionLoadBalancer")
		assert.NotContains(t, balancer, "Subnets")
		require.Len(t, balancer["SubnetMappings"], 2)
		assert.Contains(t, textOf(t, balancer["SubnetMappings"]), `["BastionLoadBalancerAddress2`)
		assert.Contains(t, textOf(t, awscdk.Stack_Of(b).Resolve(b.PublicAddress())), `"DNSName"`)
	})
}

func TestBastionImage(t *testing.T) {
	t.Run("latest at deploy", func(t *testing.T) {
		_, template := bastionOf(t, bastion.Props{Image: bastion.ImageLatestAtDeploy, InstanceType: "t3.micro"})
		assert.Contains(t, textOf(t, templateData(t, template)["ImageId"]), "SsmParameterValueawsserviceamiamazonlinuxlatestal2023amikerneldefaultx8664")
		assert.NotContains(t, groupOf(t, template)["Properties"], "MaxInstanceLifetime")
	})
	t.Run("golden image at launch", func(t *testing.T) {
		_, template := bastionOf(t, bastion.Props{ImageParameter: "/golden/arm64:3"})
		assert.Equal(t, "resolve:ssm:/golden/arm64:3", templateData(t, template)["ImageId"])
	})
	t.Run("own", func(t *testing.T) {
		_, template := bastionOf(t, bastion.Props{
			MachineImage: awsec2.MachineImage_GenericLinux(&map[string]*string{"us-east-1": jsii.String("ami-12345678")}, nil),
		})
		assert.Equal(t, "ami-12345678", templateData(t, template)["ImageId"])
		assert.Contains(t, environmentOf(t, template), "SIGNAL_RESOURCE=", "our user data, whatever the image brings")
	})
	t.Run("own that resolves at launch", func(t *testing.T) {
		_, template := bastionOf(t, bastion.Props{MachineImage: awsec2.MachineImage_ResolveSsmParameterAtLaunch(jsii.String("/own"), nil)})
		assert.Equal(t, "resolve:ssm:/own", templateData(t, template)["ImageId"])
	})
	t.Run("pinned, wherever the stack goes", func(t *testing.T) {
		stack := awscdk.NewStack(cdktest.NewApp(t), jsii.String("Test"), nil)
		bastion.New(stack, "Bastion", &bastion.Props{Vpc: userVpc(stack), Image: bastion.ImagePinned, ImageId: "ami-12345678"})
		template := cdktest.Template(stack)
		assert.Equal(t, "ami-12345678", templateData(t, template)["ImageId"])
		assert.NotContains(t, *template.ToJSON(), "Mappings")
		assert.NotContains(t, textOf(t, template.ToJSON()), "arn:aws:", "no partition is taken for granted")
	})
}

func TestBastionTwiceIsTheSame(t *testing.T) {
	props := bastion.Props{
		Address: bastion.AddressNetworkLoadBalancer, StaticAddresses: true, AllowedCidrs: []string{"203.0.113.0/24"}, HostedZone: hostedZone{}, RecordName: "b",
	}
	_, first := bastionOf(t, props)
	_, second := bastionOf(t, props)
	assert.Equal(t, textOf(t, first.ToJSON()), textOf(t, second.ToJSON()))
}

func TestBastionLife(t *testing.T) {
	_, template := bastionOf(t, bastion.Props{NoRotation: true, Schedule: bastion.Schedule{Start: "0 7 * * *", Stop: "0 19 * * *"}})
	assert.NotContains(t, groupOf(t, template)["Properties"], "MaxInstanceLifetime")
	for id, action := range actionsOf(t, template) {
		assert.Equal(t, "Etc/UTC", action.(map[string]any)["TimeZone"], id)
	}
}

func TestBastionSignalsByTheNameThatTheGroupEndsUpWith(t *testing.T) {
	stack := cdktest.NewStack(t)
	b := bastion.New(stack, "Bastion", &bastion.Props{Vpc: userVpc(stack)})
	b.AutoScalingGroup().Node().DefaultChild().(awsautoscaling.CfnAutoScalingGroup).OverrideLogicalId(jsii.String("Kept"))
	assert.Contains(t, environmentOf(t, cdktest.Template(stack)), `SIGNAL_RESOURCE=Kept\n`)
}

func TestBastionWithRole(t *testing.T) {
	stack := cdktest.NewStack(t)
	role := awsiam.Role_FromRoleName(stack, jsii.String("Role"), jsii.String("people"), &awsiam.FromRoleNameOptions{Mutable: jsii.Bool(false)})
	b := bastion.New(stack, "Bastion", &bastion.Props{Vpc: userVpc(stack), Role: role})
	template := cdktest.Template(stack)
	assert.Equal(t, role, b.Role())
	assert.Empty(t, byLogicalName(t, template, "AWS::IAM::Role"))
	policies := byLogicalName(t, template, "AWS::IAM::ManagedPolicy")
	require.Len(t, policies, 2)
	for id, policy := range policies {
		assert.Equal(t, []any{"people"}, policy["Properties"].(map[string]any)["Roles"], id)
	}
	assert.Equal(t, []any{"people"}, only(t, template, "AWS::IAM::InstanceProfile")["Properties"].(map[string]any)["Roles"])
}

func TestBastionFaults(t *testing.T) {
	stack := cdktest.NewStack(t)
	vpc := userVpc(stack)
	closed := closedVpc(constructs.NewConstruct(stack, jsii.String("Closed")))
	public := awsec2.NewVpc(constructs.NewConstruct(stack, jsii.String("Public")), jsii.String("Vpc"), &awsec2.VpcProps{
		RestrictDefaultSecurityGroup: jsii.Bool(false),
		SubnetConfiguration:          &[]*awsec2.SubnetConfiguration{{Name: jsii.String("Public"), SubnetType: awsec2.SubnetType_PUBLIC}},
	})
	for _, c := range []struct {
		name, want string
		props      bastion.Props
	}{
		{
			"props", `bastion "Test/Bastion": AllowedCidrs[0]: "0.0.0.0/0" lets the whole internet try port 22: name the networks that people come from, or give that up with AllowEveryone`,
			bastion.Props{Vpc: vpc, Address: bastion.AddressElasticIP, AllowedCidrs: []string{"0.0.0.0/0"}},
		},
		{
			"no public subnets for the address", `bastion "Test/Bastion": Vpc: has no public subnets for bastion.AddressElasticIP: add some, or leave Address out`,
			bastion.Props{Vpc: closed, Address: bastion.AddressElasticIP},
		},
		{
			"no public subnets for the load balancer", `bastion "Test/Bastion": Vpc: has no public subnets for the load balancer: add some, or leave Address out`,
			bastion.Props{Vpc: closed, Address: bastion.AddressNetworkLoadBalancer},
		},
		{
			"no private subnets", `bastion "Test/Bastion": Vpc: has no private or isolated subnets: add some, or choose bastion.AddressElasticIP`,
			bastion.Props{Vpc: public},
		},
		{
			"public subnets without address", `bastion "Test/Bastion": Subnets[0]: is public, and a host without a public address has no way out there: choose private or isolated subnets, or bastion.AddressElasticIP`,
			bastion.Props{Vpc: vpc, Subnets: (*vpc.PublicSubnets())[:1]},
		},
		{
			"private subnets for the address", `bastion "Test/Bastion": Subnets[0]: is private, and an Elastic IP needs a route from the internet: choose public subnets, or another Address`,
			bastion.Props{Vpc: vpc, Subnets: (*vpc.PrivateSubnets())[:1], Address: bastion.AddressElasticIP},
		},
	} {
		before := len(*stack.Node().Children())
		assert.Equal(t, c.want, cdktest.Panic(t, func() { bastion.New(stack, "Bastion", &c.props) }), c.name)
		assert.Len(t, *stack.Node().Children(), before, "%s: the tree was touched", c.name)
	}
}

func TestBastionRefusesUserDataOverTheLimit(t *testing.T) {
	stack := cdktest.NewStack(t)
	vpc := userVpc(stack)
	targets := make([]bastion.Target, 60)
	for i := range targets {
		targets[i] = bastion.Target{Host: *vpc.VpcId(), Port: 5432} // a token counts as the longest name
	}
	message := cdktest.Panic(t, func() { bastion.New(stack, "Bastion", &bastion.Props{Vpc: vpc, SSH: bastion.SSH{PermitOpen: targets}}) })
	assert.Contains(t, message, `bastion "Test/Bastion": UserData: is `)
	assert.Contains(t, message, "more than the 16384 that EC2 takes: make the largest part smaller: (environment) ")
	assert.Nil(t, stack.Node().TryFindChild(jsii.String("Bastion")))
}

func TestBastionPassesRulePacks(t *testing.T) {
	for name, props := range map[string]bastion.Props{
		"private":       {},
		"elastic IP":    {Address: bastion.AddressElasticIP, AllowedCidrs: []string{"203.0.113.0/24"}},
		"load balancer": {Address: bastion.AddressNetworkLoadBalancer, StaticAddresses: true, AllowedCidrs: []string{"203.0.113.0/24"}},
		"by itself":     {Schedule: bastion.Schedule{Start: "0 7 * * *", Stop: "0 19 * * *"}},
	} {
		t.Run(name, func(t *testing.T) {
			app := newJudgedApp(t)
			access := cdktest.StackIn(app, "Access")
			if name == "by itself" {
				bastion.New(access, "Bastion", &props)
			} else {
				around := cdktest.StackIn(app, "Around") // what is the user's is not judged
				props.Vpc = userVpc(around)
				b := bastion.New(access, "Bastion", &props)
				b.AllowTo(awsec2.NewSecurityGroup(around, jsii.String("Database"), &awsec2.SecurityGroupProps{Vpc: props.Vpc}), 5432, "psql")
			}
			addRulePacks(access)
			assert.Empty(t, findings(access))
		})
	}
}
