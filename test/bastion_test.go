package test_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsautoscaling"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
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
	"github.com/postern-cdk/postern/internal/host/identity"
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

func only(t *testing.T, template assertions.Template, kind string) map[string]any {
	t.Helper()
	found := byLogicalName(t, template, kind)
	require.Len(t, found, 1, kind)
	for _, resource := range found {
		return resource
	}
	return nil
}

func propertiesOf(t *testing.T, template assertions.Template, kind, id string) map[string]any {
	t.Helper()
	found := byLogicalName(t, template, kind)
	require.Contains(t, found, id, slices.Collect(maps.Keys(found)))
	properties, _ := found[id]["Properties"].(map[string]any)
	return properties
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

func logicalIDOf(t *testing.T, template assertions.Template, kind, id string) string {
	t.Helper()
	for full := range *template.FindResources(&kind, nil) {
		if len(full) > 8 && full[:len(full)-8] == id {
			return full
		}
	}
	require.Fail(t, "not found", id)
	return ""
}

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

// The ten lines of the README, in a program as a user writes it.
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

func TestBastionForEveryone(t *testing.T) {
	_, template := bastionOf(t, bastion.Props{Address: bastion.AddressElasticIP, AllowEveryone: true, AllowedCidrs: []string{"0.0.0.0/0", "::/0"}})
	rules := textOf(t, propertiesOf(t, template, "AWS::EC2::SecurityGroup", "BastionSecurityGroup")["SecurityGroupIngress"])
	assert.Contains(t, rules, `"CidrIp":"0.0.0.0/0"`)
	assert.Contains(t, rules, `"CidrIpv6":"::/0"`)
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

func TestBastionGrants(t *testing.T) {
	stack := cdktest.NewStack(t)
	b := bastion.New(stack, "Bastion", &bastion.Props{Vpc: userVpc(stack)})
	awskms.NewKey(stack, jsii.String("Data"), nil).GrantDecrypt(b)
	b.Connections().AllowDefaultPortFrom(awsec2.Peer_Ipv4(jsii.String("10.1.0.0/16")), jsii.String("VPN"))
	template := cdktest.Template(stack)
	assert.Contains(t, textOf(t, only(t, template, "AWS::IAM::Policy")), `"Roles":[{"Ref":"BastionRole`)
	assert.Contains(t, textOf(t, propertiesOf(t, template, "AWS::EC2::SecurityGroup", "BastionSecurityGroup")["SecurityGroupIngress"]),
		`"CidrIp":"10.1.0.0/16","Description":"VPN","FromPort":22`)
}

func TestBastionWithImportedKey(t *testing.T) {
	stack := cdktest.NewStack(t)
	key := awskms.Key_FromKeyArn(stack, jsii.String("Key"), jsii.String("arn:aws:kms:us-east-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"))
	vpc := userVpc(stack)
	bucket := awss3.Bucket_FromBucketAttributes(stack, jsii.String("Records"), &awss3.BucketAttributes{
		BucketName: jsii.String("records"), EncryptionKey: key,
	})
	bastion.New(stack, "Bastion", &bastion.Props{Vpc: vpc, Key: key, Bucket: bucket})
	bastion.New(stack, "Second", &bastion.Props{
		Vpc: vpc, Key: key, Bucket: bucket, LogGroup: awslogs.LogGroup_FromLogGroupName(stack, jsii.String("Log"), jsii.String("log")),
	})
	warnings := warningsOf(stack)
	require.Len(t, warnings, 2)
	assert.Contains(t, warnings[0], "[ack: postern:bastion-key-policy]")
	assert.Contains(t, warnings[0], `"Sid":"AutoScalingVolumeGrants"`)
	assert.Contains(t, warnings[0], `"Sid":"CloudWatchLogs"`)
	assert.NotContains(t, warnings[1], `"Sid":"CloudWatchLogs"`)

	own := cdktest.NewStack(t)
	bastion.New(own, "Bastion", &bastion.Props{Vpc: userVpc(own), Key: awskms.Key_FromKeyArn(own, jsii.String("Key"), key.KeyArn())})
	warnings = warningsOf(own)
	require.Len(t, warnings, 1, "the archive that the bastion makes says it all, once")
	assert.Contains(t, warnings[0], "[ack: postern:archive-key-policy]")
	template := cdktest.Template(stack)
	assert.Empty(t, byLogicalName(t, template, "AWS::KMS::Key"))
	assert.Equal(t, "arn:aws:kms:us-east-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef",
		propertiesOf(t, template, "AWS::Logs::LogGroup", "BastionLogGroup")["KmsKeyId"])
}

func TestBastionWarnsOfAnAddressForNobody(t *testing.T) {
	stack := cdktest.NewStack(t)
	bastion.New(stack, "Bastion", &bastion.Props{Vpc: userVpc(stack), Address: bastion.AddressElasticIP})
	require.Len(t, warningsOf(stack), 1)
	assert.Contains(t, warningsOf(stack)[0], "[ack: postern:bastion-no-ingress]")
}

func TestBastionAllowTo(t *testing.T) {
	t.Run("both ends, once, with the reason", func(t *testing.T) {
		stack := cdktest.NewStack(t)
		vpc := userVpc(stack)
		b := bastion.New(stack, "Bastion", &bastion.Props{Vpc: vpc})
		database := awsec2.NewSecurityGroup(stack, jsii.String("Database"), &awsec2.SecurityGroupProps{Vpc: vpc})
		b.AllowTo(database, 5432, "psql for support")
		b.AllowTo(database, 5432, "psql for support")
		template := cdktest.Template(stack)
		here := logicalIDOf(t, template, "AWS::EC2::SecurityGroup", "BastionSecurityGroup")
		there := logicalIDOf(t, template, "AWS::EC2::SecurityGroup", "Database")
		rule := func(group, peer, other string) string {
			return `{"GroupId":{"Fn::GetAtt":["` + group + `","GroupId"]},"` + peer + `":{"Fn::GetAtt":["` + other + `","GroupId"]},
				"IpProtocol":"tcp","FromPort":5432,"ToPort":5432,"Description":"psql for support"}`
		}
		assert.JSONEq(t, rule(here, "DestinationSecurityGroupId", there), textOf(t, only(t, template, "AWS::EC2::SecurityGroupEgress")["Properties"]))
		assert.JSONEq(t, rule(there, "SourceSecurityGroupId", here), textOf(t, only(t, template, "AWS::EC2::SecurityGroupIngress")["Properties"]))
	})
	t.Run("the stack of the target knows nothing of it", func(t *testing.T) {
		app := cdktest.NewApp(t)
		data, access := cdktest.StackIn(app, "Data"), cdktest.StackIn(app, "Access")
		vpc := userVpc(data)
		database := awsec2.NewSecurityGroup(data, jsii.String("Database"), &awsec2.SecurityGroupProps{Vpc: vpc})
		b := bastion.New(access, "Bastion", &bastion.Props{Vpc: vpc})
		b.AllowTo(database, 5432, "psql for support")
		b.AllowTo(awsec2.SecurityGroup_FromSecurityGroupId(access, jsii.String("Cache"), jsii.String("sg-0123456789abcdef0"), nil), 6379, "redis")
		template := cdktest.Template(access)
		assert.Len(t, byLogicalName(t, template, "AWS::EC2::SecurityGroupIngress"), 2)
		assert.Len(t, byLogicalName(t, template, "AWS::EC2::SecurityGroupEgress"), 2)
		assert.Empty(t, *data.Dependencies())
		assert.Empty(t, byLogicalName(t, cdktest.Template(data), "AWS::EC2::SecurityGroupIngress"))
	})
	t.Run("faults", func(t *testing.T) {
		stack := cdktest.NewStack(t)
		b := bastion.New(stack, "Bastion", &bastion.Props{Vpc: userVpc(stack)})
		assert.Equal(t, `bastion "Test/Bastion": AllowTo: port: 0 is out of range: use 1 to 65535`+"\n"+
			`why: is empty: say what for, such as "psql for support"`+"\n"+
			`target: is nil: pass the instance, database or security group to reach`,
			cdktest.Panic(t, func() { b.AllowTo(nil, 0, "") }))
		assert.Equal(t, `bastion "Test/Bastion": AllowTo: why: "für Anna" can't be the description of a rule: use up to 255 letters, digits, spaces and ._-:/()#,@[]+=&;{}!$*`+"\n"+
			`target: has no security group: pass something that has one, or use Connections().AllowTo with a peer`,
			cdktest.Panic(t, func() {
				b.AllowTo(awsec2.NewConnections(&awsec2.ConnectionsProps{Peer: awsec2.Peer_AnyIpv4()}), 22, "für Anna")
			}))
	})
}

// Network, Archive, Access: references go one way.
func TestBastionAcrossStacks(t *testing.T) {
	app := cdktest.NewApp(t)
	network, records, access := cdktest.StackIn(app, "Network"), cdktest.StackIn(app, "Archive"), cdktest.StackIn(app, "Access")
	store := archive.New(records, "Archive", nil)
	vpc := closedVpc(network)
	doors := endpoints.New(network, "Endpoints", &endpoints.Props{Vpc: vpc})
	bastion.New(access, "Bastion", &bastion.Props{Vpc: vpc, Endpoints: doors, Key: store.Key(), LogGroup: store.AddLogGroup("Journal")})
	template := cdktest.Template(access)
	assert.Empty(t, *network.Dependencies())
	assert.Empty(t, *records.Dependencies())
	assert.Len(t, byLogicalName(t, template, "AWS::EC2::SecurityGroupIngress"), 1, "at the endpoints' group, made here")
	assert.Empty(t, byLogicalName(t, cdktest.Template(network), "AWS::EC2::SecurityGroupIngress"))
	services := textOf(t, byLogicalName(t, cdktest.Template(network), "AWS::EC2::VPCEndpoint"))
	for _, service := range []string{"ssm", "ssmmessages", "logs", "monitoring", "ec2", "cloudformation", "autoscaling", "s3"} {
		assert.Contains(t, services, "."+service+`"`)
	}
	assert.NotContains(t, textOf(t, cdktest.Template(records).ToJSON()), "Bastion")
}

func TestBastionAddsNoEndpointWhereThereIsAWayOut(t *testing.T) {
	stack := cdktest.NewStack(t)
	vpc := userVpc(stack)
	doors := endpoints.New(stack, "Endpoints", &endpoints.Props{Vpc: vpc, Services: []endpoints.Service{endpoints.SSM}})
	bastion.New(stack, "Bastion", &bastion.Props{Vpc: vpc, Endpoints: doors})
	template := cdktest.Template(stack)
	assert.Len(t, byLogicalName(t, template, "AWS::EC2::VPCEndpoint"), 2, "ssm and s3")
	assert.Contains(t, textOf(t, byLogicalName(t, template, "AWS::EC2::SecurityGroupIngress")), `"SourceSecurityGroupId":{"Fn::GetAtt":["BastionSecurityGroup`,
		"the name of the service leads to the endpoint, so that must admit the bastion")
}

func TestBastionWithoutAWayToItsServices(t *testing.T) {
	stack := cdktest.NewStack(t)
	bastion.New(stack, "Bastion", &bastion.Props{Vpc: closedVpc(stack)})
	message := cdktest.Panic(t, func() { cdktest.Template(stack) })
	for _, service := range []string{"ssm", "ssmmessages", "logs", "monitoring", "ec2", "cloudformation", "autoscaling"} {
		assert.Contains(t, message, service)
	}

	stack = cdktest.NewStack(t)
	bastion.New(stack, "Bastion", &bastion.Props{Vpc: closedVpc(stack), ExistingEndpoints: []endpoints.Service{
		endpoints.SSM, endpoints.SSMMessages, endpoints.Logs, endpoints.Monitoring, endpoints.EC2, endpoints.CloudFormation, endpoints.AutoScaling, endpoints.S3,
	}})
	assert.Len(t, byLogicalName(t, cdktest.Template(stack), "AWS::AutoScaling::AutoScalingGroup"), 1)
}

func TestBastionInVpcOfAnotherApp(t *testing.T) {
	t.Run("by its attributes", func(t *testing.T) {
		stack := cdktest.NewStack(t)
		vpc := awsec2.Vpc_FromVpcAttributes(stack, jsii.String("Vpc"), &awsec2.VpcAttributes{
			VpcId:                      jsii.String("vpc-0123456789abcdef0"),
			AvailabilityZones:          jsii.Strings("us-east-1a", "us-east-1b"),
			PublicSubnetIds:            jsii.Strings("subnet-0aaaaaaaaaaaaaaaa", "subnet-0bbbbbbbbbbbbbbbb"),
			PublicSubnetRouteTableIds:  jsii.Strings("rtb-0aaaaaaaaaaaaaaaa", "rtb-0bbbbbbbbbbbbbbbb"),
			PrivateSubnetIds:           jsii.Strings("subnet-0cccccccccccccccc", "subnet-0dddddddddddddddd"),
			PrivateSubnetRouteTableIds: jsii.Strings("rtb-0cccccccccccccccc", "rtb-0dddddddddddddddd"),
		})
		bastion.New(stack, "Private", &bastion.Props{Vpc: vpc})
		bastion.New(stack, "Public", &bastion.Props{Vpc: vpc, Address: bastion.AddressElasticIP, AllowedPrefixLists: []string{"pl-63a5400a"}})
		groups := byLogicalName(t, cdktest.Template(stack), "AWS::AutoScaling::AutoScalingGroup")
		assert.Equal(t, []any{"subnet-0cccccccccccccccc", "subnet-0dddddddddddddddd"}, groups["PrivateASG"]["Properties"].(map[string]any)["VPCZoneIdentifier"])
		assert.Equal(t, []any{"subnet-0aaaaaaaaaaaaaaaa", "subnet-0bbbbbbbbbbbbbbbb"}, groups["PublicASG"]["Properties"].(map[string]any)["VPCZoneIdentifier"])
	})
	t.Run("by lookup, before it was looked up", func(t *testing.T) {
		stack := cdktest.NewStack(t)
		vpc := awsec2.Vpc_FromLookup(stack, jsii.String("Vpc"), &awsec2.VpcLookupOptions{IsDefault: jsii.Bool(true)})
		// The CDK's stand-ins pass no validation of a template, so none is written.
		b := bastion.New(stack, "Bastion", &bastion.Props{Vpc: vpc, AllowedCidrs: []string{*vpc.VpcCidrBlock()}})
		assert.Equal(t, vpc, b.Vpc())
	})
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

func TestBastionCommands(t *testing.T) {
	stack := cdktest.NewStack(t)
	vpc := userVpc(stack)
	private := bastion.New(stack, "Bastion", &bastion.Props{Vpc: vpc})
	named := bastion.New(stack, "Named", &bastion.Props{
		Vpc: vpc, Address: bastion.AddressElasticIP, AllowedPrefixLists: []string{"pl-63a5400a"}, HostedZone: hostedZone{}, RecordName: "bastion",
	})
	plain := func(text string) string {
		for _, b := range []*bastion.Bastion{private, named} {
			text = strings.ReplaceAll(text, b.AutoScalingGroupName(), "GROUP")
		}
		return text
	}
	const instance = `$(aws ec2 describe-instances --region us-east-1 --filters Name=tag:aws:autoscaling:groupName,Values=GROUP Name=instance-state-name,Values=running` +
		` --query 'sort_by(Reservations[].Instances[],&LaunchTime)[-1].InstanceId' --output text)`
	const push = `id="` + instance + `" && aws ec2-instance-connect send-ssh-public-key --region us-east-1 --instance-id "$id" --instance-os-user ec2-user` +
		` --ssh-public-key "file://$HOME/.ssh/id_ed25519.pub" && `
	assert.Equal(t, `aws ssm start-session --region us-east-1 --target "`+instance+`"`, plain(private.StartSessionCommand()))
	assert.Equal(t, push+`ssh -o HostKeyAlias=postern-Test-Bastion -o StrictHostKeyChecking=yes -o ProxyCommand="aws ssm start-session --region us-east-1 --target $id --document-name AWS-StartSSHSession --parameters portNumber=22" ec2-user@"$id"`,
		plain(private.SSHCommand("ec2-user")))
	assert.Equal(t, push+`ssh -o HostKeyAlias=postern-Test-Named -o StrictHostKeyChecking=yes ec2-user@bastion.example.com`, plain(named.SSHCommand("ec2-user")))
	const match = `Match originalhost door exec "aws ec2-instance-connect send-ssh-public-key --region us-east-1 --instance-id ` + instance +
		` --instance-os-user ec2-user --ssh-public-key file://$HOME/.ssh/id_ed25519.pub >/dev/null"` + "\n  User ec2-user\n"
	assert.Equal(t, match+"  HostName door\n"+
		"  ProxyCommand aws ssm start-session --region us-east-1 --target "+instance+" --document-name AWS-StartSSHSession --parameters portNumber=22\n"+
		"  HostKeyAlias postern-Test-Bastion\n  StrictHostKeyChecking yes\n  IdentitiesOnly yes\n  IdentityFile ~/.ssh/id_ed25519\n", plain(private.SSHConfig("door", "ec2-user")))
	assert.Equal(t, match+"  HostName bastion.example.com\n  HostKeyAlias postern-Test-Named\n  StrictHostKeyChecking yes\n  IdentitiesOnly yes\n  IdentityFile ~/.ssh/id_ed25519\n",
		plain(named.SSHConfig("door", "ec2-user")))

	closed := bastion.New(stack, "Closed", &bastion.Props{Vpc: vpc, Address: bastion.AddressElasticIP})
	assert.Contains(t, closed.SSHConfig("door", "ec2-user"), "  ProxyCommand aws ssm start-session", "an address that lets nobody in is no way in")
	assert.Contains(t, closed.SSHCommand("ec2-user"), "-o ProxyCommand=")

	bucket := *private.Bucket().BucketName()
	assert.Equal(t, "aws ssm get-parameter --region us-east-1 --name /postern/Test/Bastion/known_hosts --query Parameter.Value --output text >> ~/.ssh/known_hosts",
		private.KnownHostsCommand())
	assert.Equal(t, "aws s3 cp --region us-east-1 alice.pub s3://"+bucket+"/public-keys/alice.pub", private.AddPersonCommand("alice", "alice.pub"))
	assert.Equal(t, "aws s3 rm --region us-east-1 s3://"+bucket+"/public-keys/alice.pub", private.RemovePersonCommand("alice"))
	const session = "20261121T234501Z-0a1b2c3d"
	assert.Equal(t, `to=$(mktemp -d) && aws s3 cp --region us-east-1 --recursive --exclude "*" --include "*/`+session+`/*" "s3://`+bucket+`/sessions/2026/11/21/" "$to" && `+
		`cat "$to"/*/`+session+`/*.cast > "$to/session.cast" && asciinema play "$to/session.cast"`, private.ReplayCommand(session))
	out, err := exec.Command("bash", "-c", "session="+session+"; cat <<END\n"+strings.NewReplacer("$(mktemp -d)", "to", bucket, "records").Replace(private.ReplayScript())+"\nEND").Output()
	require.NoError(t, err)
	assert.Contains(t, string(out), "/sessions/2026/11/21/")
	assert.Contains(t, cdktest.Panic(t, func() { private.RemovePersonCommand("a;b") }), `bastion "Test/Bastion": RemovePersonCommand: name: "a;b" can't be the name of an account`)
	assert.Contains(t, cdktest.Panic(t, func() { private.ReplayCommand("last") }), `"last" is not the ID of a session`)

	ephemeral := bastion.New(stack, "Ephemeral", &bastion.Props{Vpc: vpc, Host: bastion.Host{HostKeys: bastion.HostKeys{Ephemeral: true}}})
	assert.Empty(t, ephemeral.KnownHostsCommand())
	assert.NotContains(t, ephemeral.SSHConfig("door", "ec2-user"), "HostKey")
}

// What the role may do on the buckets, the keys and the parameters is what the
// host is told to use, and nothing next to it.
func TestBastionRecordsAndSecrets(t *testing.T) {
	stack := cdktest.NewStack(t)
	store := archive.New(stack, "Archive", nil)
	people := awss3.NewBucket(stack, jsii.String("People"), &awss3.BucketProps{
		Encryption: awss3.BucketEncryption_KMS, Versioned: jsii.Bool(true), EnforceSSL: jsii.Bool(true),
	})
	vpc := userVpc(stack)
	b := bastion.New(stack, "Bastion", &bastion.Props{
		Vpc: vpc, Key: store.Key(), Bucket: store.Bucket(), LogGroup: store.AddLogGroup("Host"),
		LogGroups: bastion.LogGroups{Sessions: store.AddLogGroup("Sessions"), Audit: store.AddLogGroup("Audit")},
		Host: bastion.Host{
			Recording:    bastion.Recording{Commands: bastion.CommandsRecorded, Input: true},
			People:       bastion.People{Bucket: people, Prefix: "ops/keys/", Sudo: []string{"alice"}, MaxKeyAge: 365 * 24 * time.Hour},
			Certificates: bastion.Certificates{RevocationKey: "ops/revoked.krl"},
			HostKeys:     bastion.HostKeys{Version: "2026", NextVersion: "2027"},
		},
	})
	database := awsec2.NewSecurityGroup(stack, jsii.String("Database"), &awsec2.SecurityGroupProps{Vpc: vpc, AllowAllOutbound: jsii.Bool(false)})
	b.AllowTo(database, 5432, "psql")
	b.AllowTo(database, 443, "its console")
	b.AllowTo(database, 5432, "psql")
	template := cdktest.Template(stack)

	assert.Equal(t, archiveKeySids, sidsOf(t, byLogicalName(t, template, "AWS::KMS::Key")["ArchiveKey"]["Properties"].(map[string]any)["KeyPolicy"]))
	assert.NotContains(t, byLogicalName(t, template, "AWS::S3::Bucket"), "BastionArchiveBucket")
	environment := environmentOf(t, template)
	for _, want := range []string{
		`BUNDLE_BUCKET=cdk-hnb659fds-assets-123456789012-us-east-1\nBUNDLE_KEY=`,
		`.gz\nLOG_GROUP="`,
		`\nLOG_GROUP_SESSIONS=",{"Ref":"ArchiveSessions`,
		`\nLOG_GROUP_COMMANDS=\n`,
		`\nLOG_GROUP_AUDIT=",{"Ref":"ArchiveAudit`,
		`\nRECORD_BUCKET=",{"Ref":"ArchiveBucket`,
		`\nPEOPLE_BUCKET=",{"Ref":"People`,
		`\nPARAMETER_PATH=/postern/Test/Bastion\nKEY_ID=",{"Fn::GetAtt":["ArchiveKey`,
		`\nEGRESS_PORTS=443 5432\n`,
	} {
		assert.Contains(t, environment, want)
	}

	role := statementsOf(t, template)
	resources := func(sid string) string { return textOf(t, role[sid]["Resource"]) }
	assert.Regexp(t, `^"arn:aws:s3:::cdk-hnb659fds-assets-123456789012-us-east-1/[0-9a-f]{64}\.gz"$`, resources("Bundle"))
	assert.Regexp(t, `^{"Fn::Join":\["",\[{"Fn::GetAtt":\["ArchiveBucket\w+","Arn"\]},"/sessions/\*"\]\]}$`, resources("Records"))
	assert.Regexp(t, `^{"Fn::GetAtt":\["People\w+","Arn"\]}$`, resources("PeopleNames"))
	assert.JSONEq(t, `{"StringEquals":{"s3:prefix":"ops/keys/"}}`, textOf(t, role["PeopleNames"]["Condition"]))
	assert.Regexp(t, `"/ops/keys/\*".*"/ops/revoked\.krl"`, resources("PeopleKeys"))
	assert.Contains(t, resources("RecordsKey"), "ArchiveKey")
	assert.Contains(t, textOf(t, role["RecordsKey"]["Condition"]), `"kms:ViaService":"s3.us-east-1.amazonaws.com"`)
	assert.Contains(t, resources("PeopleKeysKey"), "PeopleKey")
	assert.Contains(t, textOf(t, role["PeopleKeysKey"]["Condition"]), `"kms:EncryptionContext:aws:s3:arn":[{"Fn::GetAtt":["People`)
	const path = `"arn:aws:ssm:us-east-1:123456789012:parameter/postern/Test/Bastion/`
	assert.Equal(t, 1, strings.Count(resources("Keep"), path))
	assert.Contains(t, resources("Keep"), path+`host-keys/*"`)
	assert.Equal(t, 1, strings.Count(resources("Factors"), path))
	assert.Contains(t, resources("Factors"), path+`totp/*"`)
	assert.ElementsMatch(t, []any{"ssm:DeleteParameter", "ssm:PutParameter"}, role["Factors"]["Action"], "another device, a lost one")
	assert.JSONEq(t, `{"StringEquals":{"ssm:Overwrite":"false"}}`, textOf(t, role["Keep"]["Condition"]), "a host adds keys and never replaces one")
	assert.Contains(t, resources("Publish"), path+`known_hosts"`)
	assert.Equal(t, 1, strings.Count(resources("Publish"), path))
	assert.Contains(t, textOf(t, role["KeptKey"]["Condition"]), `"kms:EncryptionContext:PARAMETER_ARN":[`)
	for sid, statement := range role {
		if sid == "Factors" {
			continue
		}
		assert.NotContains(t, strings.ToLower(textOf(t, statement["Action"])), "delete", sid)
	}
	for id, policy := range byLogicalName(t, template, "AWS::IAM::ManagedPolicy") {
		document := policy["Properties"].(map[string]any)["PolicyDocument"]
		assert.Less(t, len(textOf(t, document)), 4500, "%s: IAM takes 6,144 characters, and names may be longer elsewhere", id)
	}
	assert.Contains(t, resources("Log"), "ArchiveSessions")
	assert.Empty(t, warningsOf(stack))
}

func TestBastionWarnsOfABucketWhoseKeyIsUnknown(t *testing.T) {
	stack := cdktest.NewStack(t)
	bastion.New(stack, "Bastion", &bastion.Props{
		Vpc: userVpc(stack), Bucket: awss3.Bucket_FromBucketName(stack, jsii.String("Records"), jsii.String("records")),
	})
	warnings := warningsOf(stack)
	require.Len(t, warnings, 1)
	assert.Contains(t, warnings[0], "the key of the imported Bucket isn't known here")
}

// The blocks hold shell within a quoted argument: whether that works, only ssh
// and a shell can tell.
func TestBastionSSHConfigWorksInSSH(t *testing.T) {
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		require.NotEqual(t, "true", os.Getenv("CI"), "ssh is not installed")
		fmt.Printf("NOT RUN: %s: ssh is not installed\n", t.Name())
		return
	}
	stack := cdktest.NewStack(t)
	vpc := userVpc(stack)
	private := bastion.New(stack, "Bastion", &bastion.Props{Vpc: vpc})
	dir := t.TempDir()
	config := strings.ReplaceAll(private.SSHConfig("door", "ec2-user"), private.AutoScalingGroupName(), "GROUP")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "aws"), []byte(`#!/bin/sh
case "$1 $2" in
  "ec2 describe-instances") echo i-0123456789abcdef0 ;;
  *) for word; do printf '%s\n' "$word"; done >>"`+dir+`/said" ;;
esac
`), 0o700))
	command := exec.Command(ssh, "-F", filepath.Join(dir, "config"), "-G", "door")
	command.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME=/home/dev", "SHELL=/bin/sh")
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Contains(t, string(out), "\nuser ec2-user\n")
	assert.Contains(t, string(out), "\nproxycommand aws ssm start-session --region us-east-1 --target $(aws ec2 describe-instances")
	said, err := os.ReadFile(filepath.Join(dir, "said"))
	require.NoError(t, err)
	assert.Equal(t, "ec2-instance-connect\nsend-ssh-public-key\n--region\nus-east-1\n--instance-id\ni-0123456789abcdef0\n--instance-os-user\nec2-user\n"+
		"--ssh-public-key\nfile:///home/dev/.ssh/id_ed25519.pub\n", string(said))
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

// Under the name that ssh is told to look for, the host publishes its keys.
func TestBastionIsKnownByTheNameThatItsHostPublishes(t *testing.T) {
	stack := cdktest.NewStack(t)
	b := bastion.New(stack, "Bastion", &bastion.Props{Vpc: userVpc(stack)})
	assert.Contains(t, b.SSHConfig("door", "alice"), "  HostKeyAlias "+identity.Alias(b.ParameterPath())+"\n")
}

// Where the manifest of a stack says that the bundle is, it is: in an app, and in
// a stage, which has a folder of its own.
func TestBastionBundleIsInTheAssembly(t *testing.T) {
	app := cdktest.NewApp(t)
	stage := awscdk.NewStage(app, jsii.String("Prod"), nil)
	for _, scope := range []constructs.Construct{app, stage} {
		stack := awscdk.NewStack(scope, jsii.String("Access"), nil)
		bastion.New(stack, "Bastion", &bastion.Props{Vpc: userVpc(stack)})
		bastion.New(stack, "Second", &bastion.Props{Vpc: userVpc(constructs.NewConstruct(stack, jsii.String("Other")))})
	}
	app.Synth(nil)
	for _, folder := range []string{*app.Outdir(), *stage.Outdir()} {
		manifests, err := filepath.Glob(filepath.Join(folder, "*Access*.assets.json"))
		require.NoError(t, err)
		require.Len(t, manifests, 1, folder)
		text, err := os.ReadFile(manifests[0])
		require.NoError(t, err)
		var manifest struct {
			Files map[string]struct{ Source struct{ Path string } }
		}
		require.NoError(t, json.Unmarshal(text, &manifest))
		found := 0
		for hash, file := range manifest.Files {
			if !strings.HasSuffix(file.Source.Path, ".gz") {
				continue
			}
			found++
			bundle, err := os.ReadFile(filepath.Join(folder, file.Source.Path))
			require.NoError(t, err)
			assert.Equal(t, hash, fmt.Sprintf("%x", sha256.Sum256(bundle)))
		}
		assert.Equal(t, 1, found, "once for all bastions of one kind")
	}
}
