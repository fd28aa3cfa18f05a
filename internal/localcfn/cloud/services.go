package cloud

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/postern-cdk/postern/internal/localcfn/schema"
	"github.com/postern-cdk/postern/internal/localcfn/template"
)

func number(n int) json.Number { return json.Number(strconv.Itoa(n)) }

// What the schemas don't tell: formats of the services' own. Each is on the
// "Return values" of the type's page in the CloudFormation template reference.

// defaults gives the value of an identifier's part that was left out.
var defaults map[string]func(*builder) string

func init() {
	defaults = map[string]func(*builder) string{
		"AWS::Events::Rule.EventBusName":        func(*builder) string { return "" },
		"AWS::EC2::VPCGatewayAttachment.VpcId":  func(b *builder) string { return b.text("VpcId") },
		"AWS::Lambda::Permission.FunctionName":  func(b *builder) string { return b.text("FunctionName") },
		"AWS::Route53::RecordSet.HostedZoneId":  func(b *builder) string { return b.text("HostedZoneName") },
		"AWS::Route53::RecordSet.SetIdentifier": func(*builder) string { return "" },
	}
}

// refs gives what Ref returns where it is neither the primary identifier nor in the CDK database.
var refs map[string]func(*builder) string

func init() {
	refs = map[string]func(*builder) string{
		"AWS::AutoScaling::ScheduledAction": func(b *builder) string { return b.part("ScheduledActionName") },
		"AWS::AutoScaling::LifecycleHook":   func(b *builder) string { return b.part("LifecycleHookName") },
		"AWS::AutoScaling::WarmPool":        func(b *builder) string { return b.text("AutoScalingGroupName") },
		"AWS::Logs::MetricFilter":           func(b *builder) string { return b.part("FilterName") },
		"AWS::EC2::VPCGatewayAttachment": func(b *builder) string {
			if b.text("InternetGatewayId") != "" {
				return "IGW|" + b.text("VpcId")
			}
			return "VGW|" + b.text("VpcId")
		},
		"AWS::Events::Rule": func(b *builder) string {
			if bus := b.text("EventBusName"); bus != "" && bus != "default" {
				return bus[strings.LastIndex(bus, "/")+1:] + "|" + b.text("Name")
			}
			return b.text("Name")
		},
		"AWS::CloudFormation::WaitConditionHandle": func(b *builder) string {
			return fmt.Sprintf("https://cloudformation-waitcondition-%s.s3.%s/%s/%s", b.cloud.Region, b.suffix(), b.owner.StackID, b.owner.LogicalID)
		},
		"AWS::CDK::Metadata": func(b *builder) string { return b.hex("id", 8) + "-" + b.hex("id2", 4) },
	}
}

type maker = func(*builder) any

func short(prefix, salt string) maker {
	return func(b *builder) any { return prefix + "0" + b.hex(salt, 16) }
}

func property(name string) maker {
	return func(b *builder) any { return template.Clone(b.o.Properties[name]) }
}

func format(f string, args ...func(*builder) string) maker {
	return func(b *builder) any {
		values := make([]any, len(args))
		for i, a := range args {
			values[i] = a(b)
		}
		return fmt.Sprintf(f, values...)
	}
}

func region(b *builder) string { return b.cloud.Region }
func dns(b *builder) string    { return b.suffix() }

func bucketName(b *builder) string { return b.text("BucketName") }

// attributes makes attributes whose form the name doesn't tell.
var attributes map[string]map[string]maker

func init() {
	attributes = map[string]map[string]maker{
		"AWS::EC2::VPC": {
			"CidrBlockAssociations": func(b *builder) any { return []any{"vpc-cidr-assoc-0" + b.hex("assoc", 16)} },
			"DefaultNetworkAcl":     short("acl-", "acl"),
			"DefaultSecurityGroup":  short("sg-", "sg"),
			"CidrBlock":             property("CidrBlock"),
		},
		"AWS::EC2::Subnet": {
			"NetworkAclAssociationId": short("aclassoc-", "acl"),
			"AvailabilityZone": func(b *builder) any {
				if z := b.text("AvailabilityZone"); z != "" {
					return z
				}
				return b.cloud.Region + "a"
			},
			"AvailabilityZoneId": func(b *builder) any {
				if z := b.text("AvailabilityZoneId"); z != "" {
					return z
				}
				z, _ := b.attribute("AvailabilityZone").(string)
				return zoneID(b.cloud.Region, z)
			},
			"VpcId":     property("VpcId"),
			"CidrBlock": property("CidrBlock"),
		},
		"AWS::EC2::SecurityGroup": {
			"GroupId": func(b *builder) any { return b.id() },
			"Id":      func(b *builder) any { return b.id() },
			"VpcId":   func(b *builder) any { return b.vpc() },
		},
		"AWS::EC2::EIP": {
			"PublicIp":     func(b *builder) any { return b.ip("PublicIp") },
			"AllocationId": func(b *builder) any { return b.id() },
		},
		"AWS::EC2::LaunchTemplate": {
			"LatestVersionNumber":  func(*builder) any { return "1" },
			"DefaultVersionNumber": func(*builder) any { return "1" },
		},
		"AWS::EC2::VPCEndpoint": {
			"NetworkInterfaceIds": func(b *builder) any {
				out := []any{}
				subnets, _ := b.o.Properties["SubnetIds"].([]any)
				for i := range subnets {
					out = append(out, "eni-0"+b.hex(fmt.Sprint("eni", i), 16))
				}
				return out
			},
			"DnsEntries": func(b *builder) any {
				service := b.text("ServiceName")
				service = service[strings.LastIndex(service, ".")+1:]
				id, _ := b.attribute("Id").(string)
				return []any{fmt.Sprintf("Z7HUB22UULQXV:%s-%s.%s.%s.vpce.%s", id, b.hex("dns", 8), service, b.cloud.Region, b.suffix())}
			},
		},
		"AWS::EC2::InstanceConnectEndpoint": {
			"NetworkInterfaceIds": func(b *builder) any { return []any{"eni-0" + b.hex("eni", 16)} },
			"AvailabilityZone": func(b *builder) any {
				if n := b.cloud.Find("AWS::EC2::Subnet", b.text("SubnetId")); n != nil {
					return n.Attributes["AvailabilityZone"]
				}
				return b.cloud.Region + "a"
			},
		},
		"AWS::EC2::Instance": {
			"PrivateIp":      func(b *builder) any { return b.ip("privateip") },
			"PublicIp":       func(b *builder) any { return b.ip("publicip") },
			"PrivateDnsName": format("ip-10-0-0-10.%s.compute.internal", region),
			"PublicDnsName":  format("ec2-3-0-0-10.%s.compute.%s", region, dns),
		},
		"AWS::EC2::NatGateway": {
			"EniId":              short("eni-", "eni"),
			"NetworkInterfaceId": short("eni-", "eni"),
		},
		"AWS::S3::Bucket": {
			"DomainName":          format("%s.s3.%s", bucketName, dns),
			"RegionalDomainName":  format("%s.s3.%s.%s", bucketName, region, dns),
			"DualStackDomainName": format("%s.s3.dualstack.%s.%s", bucketName, region, dns),
			"WebsiteURL":          format("http://%s.s3-website-%s.%s", bucketName, region, dns),
		},
		"AWS::SQS::Queue": {
			"QueueUrl": func(b *builder) any {
				return fmt.Sprintf("https://sqs.%s.%s/%s/%s", b.cloud.Region, b.suffix(), b.cloud.Account, b.text("QueueName"))
			},
		},
		"AWS::EC2::Route": {
			"CidrBlock": func(b *builder) any {
				for _, p := range []string{"DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId"} {
					if v := b.text(p); v != "" {
						return v
					}
				}
				return ""
			},
		},
		"AWS::SecretsManager::Secret": {"Id": func(b *builder) any { return b.arn() }},
		"AWS::SNS::Topic":             {"TopicName": property("TopicName")},
		"AWS::IAM::Role":              {"RoleId": func(b *builder) any { return "AROA" + b.random("id", 17) }},
		"AWS::IAM::ManagedPolicy": {
			"PolicyId": func(b *builder) any { return "ANPA" + b.random("id", 17) },
		},
		"AWS::ElasticLoadBalancingV2::LoadBalancer": {
			"LoadBalancerArn":  func(b *builder) any { return b.arn() },
			"LoadBalancerName": property("Name"),
			"LoadBalancerFullName": func(b *builder) any {
				return balancerKind(b) + "/" + b.text("Name") + "/" + b.hex("lb", 16)
			},
			"CanonicalHostedZoneID": func(b *builder) any {
				if balancerKind(b) == "app" {
					return "Z35SXDOTRQ7X7K"
				}
				return "Z26RNL4JYFTOTI"
			},
			"DNSName": func(b *builder) any {
				if balancerKind(b) == "app" {
					return fmt.Sprintf("%s-%s.%s.elb.%s", b.text("Name"), b.digits("dns", 10), b.cloud.Region, b.suffix())
				}
				return fmt.Sprintf("%s-%s.elb.%s.%s", b.text("Name"), b.hex("lb", 16), b.cloud.Region, b.suffix())
			},
			"SecurityGroups": func(b *builder) any {
				if v, ok := b.o.Properties["SecurityGroups"]; ok {
					return template.Clone(v)
				}
				return []any{}
			},
		},
		"AWS::ElasticLoadBalancingV2::TargetGroup": {
			"TargetGroupName":     property("Name"),
			"TargetGroupFullName": func(b *builder) any { return "targetgroup/" + b.text("Name") + "/" + b.hex("tg", 16) },
			"LoadBalancerArns":    func(*builder) any { return []any{} },
		},
		"AWS::Route53::HostedZone": {
			"NameServers": func(*builder) any {
				return []any{"ns-100.awsdns-12.com", "ns-800.awsdns-36.net", "ns-1200.awsdns-22.org", "ns-1800.awsdns-33.co.uk"}
			},
		},
		"AWS::CloudFormation::WaitCondition": {"Data": func(*builder) any { return "{}" }},
		"AWS::SSM::Parameter":                {"Type": property("Type"), "Value": property("Value")},
		"AWS::Events::Rule":                  {"RuleName": property("Name")},
		"AWS::EC2::KeyPair":                  {"KeyFingerprint": func(b *builder) any { return b.hex("fingerprint", 40) }},
	}
}

func balancerKind(b *builder) string {
	switch b.text("Type") {
	case "network":
		return "net"
	case "gateway":
		return "gwy"
	}
	return "app"
}

func (b *builder) arnf(f string, args ...any) string {
	return "arn:" + b.cloud.Partition + ":" + fmt.Sprintf(f, args...)
}

// arns makes ARNs whose format the CDK database lacks or has only in part.
var arns map[string]func(*builder) string

func init() {
	arns = map[string]func(*builder) string{
		"AWS::Logs::LogGroup": func(b *builder) string {
			return b.arnf("logs:%s:%s:log-group:%s:*", b.cloud.Region, b.cloud.Account, b.text("LogGroupName"))
		},
		"AWS::AutoScaling::AutoScalingGroup": func(b *builder) string {
			return b.arnf("autoscaling:%s:%s:autoScalingGroup:%s:autoScalingGroupName/%s", b.cloud.Region, b.cloud.Account,
				uuid(b.cloud.hash(b.seed+"asg")), b.text("AutoScalingGroupName"))
		},
		"AWS::AutoScaling::ScalingPolicy": func(b *builder) string {
			return b.arnf("autoscaling:%s:%s:scalingPolicy:%s:autoScalingGroupName/%s:policyName/%s", b.cloud.Region, b.cloud.Account,
				uuid(b.cloud.hash(b.seed+"policy")), b.text("AutoScalingGroupName"), b.generate())
		},
		"AWS::ElasticLoadBalancingV2::LoadBalancer": func(b *builder) string {
			return b.arnf("elasticloadbalancing:%s:%s:loadbalancer/%s", b.cloud.Region, b.cloud.Account, b.attribute("LoadBalancerFullName"))
		},
		"AWS::ElasticLoadBalancingV2::TargetGroup": func(b *builder) string {
			return b.arnf("elasticloadbalancing:%s:%s:%s", b.cloud.Region, b.cloud.Account, b.attribute("TargetGroupFullName"))
		},
		"AWS::ElasticLoadBalancingV2::Listener": func(b *builder) string {
			return strings.Replace(b.text("LoadBalancerArn"), ":loadbalancer/", ":listener/", 1) + "/" + b.hex("listener", 16)
		},
		"AWS::ElasticLoadBalancingV2::ListenerRule": func(b *builder) string {
			return strings.Replace(b.text("ListenerArn"), ":listener/", ":listener-rule/", 1) + "/" + b.hex("rule", 16)
		},
		"AWS::Events::Rule": func(b *builder) string {
			bus := b.text("EventBusName")
			bus = bus[strings.LastIndex(bus, "/")+1:]
			if bus != "" && bus != "default" {
				bus += "/"
			} else {
				bus = ""
			}
			return b.arnf("events:%s:%s:rule/%s%s", b.cloud.Region, b.cloud.Account, bus, b.text("Name"))
		},
		"AWS::SNS::Subscription": func(b *builder) string {
			return b.text("TopicArn") + ":" + uuid(b.cloud.hash(b.seed+"sub"))
		},
		"AWS::SecretsManager::Secret": func(b *builder) string {
			return b.arnf("secretsmanager:%s:%s:secret:%s-%s", b.cloud.Region, b.cloud.Account, b.text("Name"), b.random("secret", 6))
		},
		"AWS::SSM::Parameter": func(b *builder) string {
			return b.arnf("ssm:%s:%s:parameter/%s", b.cloud.Region, b.cloud.Account, strings.TrimPrefix(b.text("Name"), "/"))
		},
	}
}

// updated says how read-only attributes follow an update in place.
var updated = map[string]func(c *Cloud, before, after *Object){
	// Each change of the data is a new version; the default stays the first.
	// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-launchtemplate.html
	"AWS::EC2::LaunchTemplate": func(_ *Cloud, before, after *Object) {
		if template.Equal(before.Properties["LaunchTemplateData"], after.Properties["LaunchTemplateData"]) &&
			template.Equal(before.Properties["VersionDescription"], after.Properties["VersionDescription"]) {
			return
		}
		text, _ := template.Text(before.Attributes["LatestVersionNumber"])
		n, _ := strconv.Atoi(text)
		after.Attributes["LatestVersionNumber"] = strconv.Itoa(n + 1)
	},
	"AWS::SSM::Parameter": func(_ *Cloud, _, after *Object) {
		after.Attributes["Value"] = template.Clone(after.Properties["Value"])
		after.Attributes["Type"] = template.Clone(after.Properties["Type"])
	},
	"AWS::ElasticLoadBalancingV2::LoadBalancer": func(_ *Cloud, _, after *Object) {
		if v, ok := after.Properties["SecurityGroups"]; ok {
			after.Attributes["SecurityGroups"] = template.Clone(v)
		}
	},
}

// Changing lists the attributes that an update in place may change.
func Changing(typ string, name string) bool {
	if schema.IsCustom(typ) {
		return true
	}
	switch typ {
	case "AWS::EC2::LaunchTemplate":
		return name == "LatestVersionNumber"
	case "AWS::SSM::Parameter":
		return name == "Value" || name == "Type"
	case "AWS::ElasticLoadBalancingV2::LoadBalancer":
		return name == "SecurityGroups"
	}
	return false
}

// Zones lists the Availability Zones of a region.
func Zones(region string) []string {
	letters := "abc"
	if region == "us-east-1" {
		letters = "abcdef"
	}
	var out []string
	for _, l := range letters {
		out = append(out, region+string(l))
	}
	return out
}

// zoneID gives an ID such as use1-az1.
func zoneID(region, zone string) string {
	parts := strings.Split(region, "-")
	id := parts[0]
	for _, p := range parts[1:] {
		for _, w := range []string{"north", "south", "east", "west", "central"} {
			p = strings.ReplaceAll(p, w, w[:1])
		}
		id += p
	}
	n := 1
	if len(zone) > len(region) {
		n = int(zone[len(region)]-'a') + 1
	}
	return fmt.Sprintf("%s-az%d", id, n)
}

// ZoneID gives the ID of a zone, such as use1-az1 for us-east-1a.
func ZoneID(region, zone string) string { return zoneID(region, zone) }
