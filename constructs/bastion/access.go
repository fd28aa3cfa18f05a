package bastion

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/tree"
)

// makeSecurityGroup opens nothing inwards but port 22 to those whom props name,
// and nothing outwards but HTTPS. Names and time come from link-local addresses,
// which security groups don't hold up.
// See https://docs.aws.amazon.com/vpc/latest/userguide/vpc-security-groups.html.
func (b *Bastion) makeSecurityGroup(p *Props) {
	b.securityGroup = awsec2.NewSecurityGroup(b, jsii.String("SecurityGroup"), &awsec2.SecurityGroupProps{
		Vpc:              b.vpc,
		Description:      jsii.String("Bastion " + b.path),
		AllowAllOutbound: jsii.Bool(false),
	})
	https := awsec2.Port_Tcp(jsii.Number(443))
	if len(p.EgressPrefixLists) == 0 {
		b.securityGroup.AddEgressRule(awsec2.Peer_AnyIpv4(), https, jsii.String("HTTPS to AWS and package repositories"), nil)
	} else {
		// Rules for prefix lists are resources of their own. A group without a rule
		// in itself is made with EC2's rule that lets everything out.
		b.securityGroup.AddEgressRule(awsec2.Peer_Ipv4(jsii.String("169.254.169.254/32")), awsec2.Port_Tcp(jsii.Number(80)),
			jsii.String("Instance metadata"), nil)
	}
	for i, id := range p.EgressPrefixLists {
		b.securityGroup.AddEgressRule(awsec2.Peer_PrefixList(&id), https, jsii.String(fmt.Sprintf("HTTPS to EgressPrefixLists[%d]", i)), nil)
	}
	if p.Address != AddressNetworkLoadBalancer {
		admit(b.securityGroup, p)
	}
	b.connections = awsec2.NewConnections(&awsec2.ConnectionsProps{
		SecurityGroups: &[]awsec2.ISecurityGroup{b.securityGroup},
		DefaultPort:    awsec2.Port_Tcp(jsii.Number(sshPort)),
	})
}

// admit lets the networks that props name reach port 22 of a group.
func admit(group awsec2.SecurityGroup, p *Props) {
	ssh := awsec2.Port_Tcp(jsii.Number(sshPort))
	for i, cidr := range p.AllowedCidrs {
		version := awsec2.Peer_Ipv4
		if !check.Token(cidr) && strings.Contains(cidr, ":") {
			version = awsec2.Peer_Ipv6
		}
		peer := version(&cidr)
		group.AddIngressRule(peer, ssh, jsii.String(fmt.Sprintf("SSH from AllowedCidrs[%d]", i)), nil)
	}
	for i, id := range p.AllowedPrefixLists {
		group.AddIngressRule(awsec2.Peer_PrefixList(&id), ssh, jsii.String(fmt.Sprintf("SSH from AllowedPrefixLists[%d]", i)), nil)
	}
}

// AllowTo lets the bastion reach a TCP port of target, both ways of it: egress
// here, ingress there, and for people on the host through its own firewall. The rules are made in the bastion's stack, and why is
// their description.
func (b *Bastion) AllowTo(target awsec2.IConnectable, port int, why string) {
	var faults check.Faults
	faults.Check("port", check.Port(port))
	if why == "" {
		faults.Add("why", "is empty", `say what for, such as "psql for support"`)
	} else {
		faults.Check("why", check.RuleDescription(why))
	}
	groups := groupsOf(target, &faults)
	b.must("AllowTo", faults.Err())
	b.ports = append(b.ports, port)
	b.allow("AllowTo", groups, float64(port), why)
}

// AllowTunnelTo lets tunnels of Session Manager through the bastion reach a TCP
// port of target, which may be a numeric token. People on the host don't reach it:
// its firewall knows of AllowTo alone. session.NewTunnel calls it.
func (b *Bastion) AllowTunnelTo(target awsec2.IConnectable, port float64, why string) {
	var faults check.Faults
	indirect := *awscdk.Token_IsUnresolved(port)
	if !indirect {
		faults.Check("port", check.Port(int(port)))
	}
	faults.Check("why", check.RuleDescription(why))
	groups := groupsOf(target, &faults)
	b.must("AllowTunnelTo", faults.Err())
	b.allow("AllowTunnelTo", groups, port, why)
}

func groupsOf(target awsec2.IConnectable, faults *check.Faults) []awsec2.ISecurityGroup {
	if target == nil {
		faults.Add("target", "is nil", "pass the instance, database or security group to reach")
		return nil
	}
	groups := *target.Connections().SecurityGroups()
	if len(groups) == 0 {
		faults.Add("target", "has no security group", "pass something that has one, or use Connections().AllowTo with a peer")
	}
	return groups
}

// allow makes the two rules for each group, once for a port.
func (b *Bastion) allow(method string, groups []awsec2.ISecurityGroup, port float64, why string) {
	token := ""
	if *awscdk.Token_IsUnresolved(port) {
		token = fmt.Sprint(awscdk.Stack_Of(b).Resolve(port))
	}
	for _, group := range groups {
		to := "To" + *awscdk.Names_NodeUniqueId(group.Node())
		id := to + "Port"
		if token == "" {
			id = to + strconv.Itoa(int(port))
		}
		// EC2 refuses a rule that is there, and this can't be seen before.
		if other, known := b.rules[to]; known && token != other {
			var faults check.Faults
			faults.Addf("port", "name the port by its number in each of them, such as by Port of the tunnel's destination",
				"of %s is only known when the stack is deployed, where it may be that of another rule", *group.Node().Path())
			b.must(method, faults.Err())
		}
		b.rules[to] = token
		if b.Node().TryFindChild(jsii.String(id+"Egress")) != nil {
			continue
		}
		egress := awsec2.NewCfnSecurityGroupEgress(b, jsii.String(id+"Egress"), &awsec2.CfnSecurityGroupEgressProps{
			GroupId:                    b.securityGroup.SecurityGroupId(),
			DestinationSecurityGroupId: group.SecurityGroupId(),
			IpProtocol:                 jsii.String("tcp"),
			FromPort:                   &port,
			ToPort:                     &port,
			Description:                &why,
		})
		ingress := awsec2.NewCfnSecurityGroupIngress(b, jsii.String(id+"Ingress"), &awsec2.CfnSecurityGroupIngressProps{
			GroupId:               group.SecurityGroupId(),
			SourceSecurityGroupId: b.securityGroup.SecurityGroupId(),
			IpProtocol:            jsii.String("tcp"),
			FromPort:              &port,
			ToPort:                &port,
			Description:           &why,
		})
		if token == "" {
			continue
		}
		for _, rule := range []constructs.IConstruct{egress, ingress} {
			tree.AcknowledgeValidation(rule, "Both ports are there: they are those of another stack, which the rule takes for none.", "CloudFormation-Validate::E3687")
		}
	}
}
