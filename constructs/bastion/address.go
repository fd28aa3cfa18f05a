package bastion

import (
	"maps"
	"strconv"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	lb "github.com/aws/aws-cdk-go/awscdk/v2/awselasticloadbalancingv2"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/tree"
)

// makeLoadBalancer puts a load balancer with its own security group before the
// bastion. Clients are examined there; the bastion's group admits that group and
// nobody else, which holds although the client's address is kept.
// See https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-security-groups.html.
func (b *Bastion) makeLoadBalancer(p *Props, where placement) {
	ssh := awsec2.Port_Tcp(jsii.Number(sshPort))
	front := awsec2.NewSecurityGroup(b, jsii.String("LoadBalancerSecurityGroup"), &awsec2.SecurityGroupProps{
		Vpc:              b.vpc,
		Description:      jsii.String("Load balancer of the bastion " + b.path),
		AllowAllOutbound: jsii.Bool(false),
	})
	admit(front, p)
	// Not by AddEgressRule, which would drop the group's own rule that lets nothing
	// out, and with it the guard against EC2's rule that lets everything out.
	awsec2.NewCfnSecurityGroupEgress(b, jsii.String("LoadBalancerEgress"), &awsec2.CfnSecurityGroupEgressProps{
		GroupId:                    front.SecurityGroupId(),
		DestinationSecurityGroupId: b.securityGroup.SecurityGroupId(),
		IpProtocol:                 jsii.String("tcp"),
		FromPort:                   jsii.Number(sshPort),
		ToPort:                     jsii.Number(sshPort),
		Description:                jsii.String("SSH and health checks to the bastion"),
	})
	b.securityGroup.AddIngressRule(front, ssh, jsii.String("SSH and health checks from the load balancer"), nil)

	props := &lb.NetworkLoadBalancerProps{
		Vpc:              b.vpc,
		InternetFacing:   jsii.Bool(true),
		CrossZoneEnabled: jsii.Bool(true), // one instance in one zone, an address in each
		SecurityGroups:   &[]awsec2.ISecurityGroup{front},
	}
	if p.StaticAddresses {
		mappings := make([]*lb.SubnetMapping, len(where.front))
		for i, subnet := range where.front {
			address := awsec2.NewCfnEIP(b, jsii.String("LoadBalancerAddress"+strconv.Itoa(i+1)), &awsec2.CfnEIPProps{Domain: jsii.String("vpc")})
			awscdk.Tags_Of(address).Add(jsii.String("Name"), &b.path, nil)
			mappings[i] = &lb.SubnetMapping{Subnet: subnet, AllocationId: address.AttrAllocationId()}
		}
		props.SubnetMappings = &mappings
	} else {
		props.VpcSubnets = &awsec2.SubnetSelection{Subnets: &where.front}
	}
	balancer := lb.NewNetworkLoadBalancer(b, jsii.String("LoadBalancer"), props)
	target := lb.NewNetworkTargetGroup(b, jsii.String("TargetGroup"), &lb.NetworkTargetGroupProps{
		Vpc:                 b.vpc,
		Port:                jsii.Number(sshPort),
		Protocol:            lb.Protocol_TCP,
		TargetType:          lb.TargetType_INSTANCE,
		PreserveClientIp:    jsii.Bool(true),
		DeregistrationDelay: awscdk.Duration_Minutes(jsii.Number(5)),
		HealthCheck: &lb.HealthCheck{
			Protocol: lb.Protocol_TCP,
			Port:     jsii.String(strconv.Itoa(sshPort)),
		},
	})
	listener := balancer.AddListener(jsii.String("Ssh"), &lb.BaseNetworkListenerProps{
		Port:                jsii.Number(sshPort),
		Protocol:            lb.Protocol_TCP,
		DefaultTargetGroups: &[]lb.INetworkTargetGroup{target},
	})
	b.group.AttachToNetworkTargetGroup(target)
	b.group.Node().AddDependency(listener)
	tree.Acknowledge(balancer, "A Network Load Balancer logs TLS listeners only. Connections are in the VPC's flow logs and, with the client's address, in the bastion's own log.",
		"AwsSolutions-ELB2", "NIST.800.53.R5-ELBLoggingEnabled", "PCI.DSS.321-ELBLoggingEnabled")
	tree.Acknowledge(balancer, "It holds no state. With StaticAddresses the addresses are resources of their own.",
		"NIST.800.53.R5-ELBDeletionProtectionEnabled")
	tree.Acknowledge(listener, "SSH is encrypted and authenticates the bastion itself, end to end. TLS at the load balancer would break it open.",
		"NIST.800.53.R5-ELBv2ACMCertificateRequired", "PCI.DSS.321-ELBv2ACMCertificateRequired")

	b.balancer, b.targets = *balancer.LoadBalancerFullName(), *target.TargetGroupFullName()
	b.address = *balancer.LoadBalancerDnsName()
	if p.HostedZone != nil {
		b.address = b.addRecord(p, map[string]any{"AliasTarget": map[string]any{
			"DNSName":      balancer.LoadBalancerDnsName(),
			"HostedZoneId": balancer.LoadBalancerCanonicalHostedZoneId(),
		}})
	}
}

// addRecord makes an A record by its CloudFormation type: the CDK's module for
// Route 53 would weigh on the build of everybody who has no record.
func (b *Bastion) addRecord(p *Props, points map[string]any) (name string) {
	name = p.RecordName + "." + *p.HostedZone.ZoneName()
	properties := map[string]any{
		"HostedZoneId": p.HostedZone.HostedZoneId(),
		"Name":         name + ".",
		"Type":         "A",
	}
	maps.Copy(properties, points)
	awscdk.NewCfnResource(b, jsii.String("Record"), &awscdk.CfnResourceProps{
		Type:       jsii.String("AWS::Route53::RecordSet"),
		Properties: &properties,
	})
	return name
}
