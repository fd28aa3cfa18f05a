package instanceconnect

import (
	"fmt"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/survey"
	"github.com/postern-cdk/postern/internal/tree"
)

// Endpoint is an EC2 Instance Connect Endpoint.
type Endpoint struct {
	constructs.Construct
	props    Props
	group    awsec2.SecurityGroup
	resource awsec2.CfnInstanceConnectEndpoint // nil while absent
	subnet   string                            // identity
	subnets  map[string]bool                   // all of the VPC's that it tells of, by identity
	targets  int
	caps     map[int]time.Duration // shortest tunnels that were granted, by port
}

var (
	_ constructs.IConstruct = (*Endpoint)(nil)
	_ awsec2.IConnectable   = (*Endpoint)(nil)
)

// New makes the endpoint.
func New(scope constructs.Construct, id string, props *Props) *Endpoint {
	p := props.withDefaults()
	err := p.validate()
	var all []awsec2.ISubnet
	if err == nil {
		all = append(append(append(all, *p.Vpc.IsolatedSubnets()...), *p.Vpc.PrivateSubnets()...), *p.Vpc.PublicSubnets()...)
		if p.Subnet == nil && len(all) == 0 {
			var faults check.Faults
			faults.Add("Subnet", "is missing, and the VPC tells of no subnets", "pass a subnet of the VPC")
			err = faults.Err()
		}
	}
	tree.Must("instanceconnect", scope, id, err)

	e := &Endpoint{props: p, subnets: map[string]bool{}, caps: map[int]time.Duration{}}
	constructs.NewConstruct_Override(e, scope, &id)
	for _, subnet := range all {
		e.subnets[survey.ID(subnet.SubnetId())] = true
	}
	if e.props.Subnet == nil {
		e.props.Subnet = all[0]
		if _, made := p.Vpc.(awsec2.Vpc); !made {
			tree.Warn(e, "instance-connect-subnet",
				"Subnet is not named and the VPC is imported, so the choice can change with what a look-up finds, which would replace the endpoint and fail: name the Subnet")
		}
	}
	e.subnet = survey.ID(e.props.Subnet.SubnetId())

	// Nothing of the group may ever change: a new group means a new endpoint.
	e.group = awsec2.NewSecurityGroup(e, jsii.String("SecurityGroup"), &awsec2.SecurityGroupProps{
		Vpc:              p.Vpc,
		Description:      jsii.String("EC2 Instance Connect Endpoint: out to registered targets only"),
		AllowAllOutbound: jsii.Bool(false),
	})
	// A group without a rule in it gets the way out to everywhere when it is made,
	// and rules that are resources of their own come later. This one stays in it:
	// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-ec2-securitygroup.html
	e.group.AddEgressRule(awsec2.Peer_Ipv4(jsii.String("127.0.0.1/32")), awsec2.Port_AllTraffic(), jsii.String("Nowhere"), nil)
	if !p.Absent {
		e.resource = awsec2.NewCfnInstanceConnectEndpoint(e, jsii.String("Resource"), &awsec2.CfnInstanceConnectEndpointProps{
			SubnetId:         e.props.Subnet.SubnetId(),
			SecurityGroupIds: &[]*string{e.group.SecurityGroupId()},
			PreserveClientIp: jsii.Bool(p.PreserveClientIp),
		})
	}
	survey.Validate(e, e.check)
	return e
}

// AllowTo lets the endpoint reach a target on port 22 or 3389 and the target
// accept it. Why becomes the description of both rules.
func (e *Endpoint) AllowTo(target awsec2.IConnectable, port int, why string) {
	if err := validateTarget(target != nil, port, why); err != nil {
		panic(fmt.Errorf("instanceconnect %q: AllowTo: %w", *e.Node().Path(), err))
	}
	e.targets++
	e.group.Connections().AllowTo(target, awsec2.Port_Tcp(jsii.Number(port)), &why)
}

// Id returns the ID of the endpoint, or "" while it is absent.
func (e *Endpoint) Id() string {
	if e.resource == nil {
		return ""
	}
	return *e.resource.Ref()
}

// Connections returns the endpoint's security group, for the rules of others.
// Prefer [Endpoint.AllowTo], which also refuses ports that don't work.
func (e *Endpoint) Connections() awsec2.Connections { return e.group.Connections() }

// Record returns what can't change once the endpoint is deployed, to be kept in
// the context under [Endpoint.RecordKey].
func (e *Endpoint) Record() string { return record(e.subnet, e.props.PreserveClientIp) }

// RecordKey returns the context key under which the record is looked for.
func (e *Endpoint) RecordKey() string { return "postern:instance-connect:" + *e.Node().Path() }

// SSHCommand is a command to paste that opens a shell on an instance, with a key
// that lives for a minute. An empty user is ec2-user. Where tunnels were granted
// for less than an hour it asks for no more, as all do that follow; a [Way] has
// its own.
// https://docs.aws.amazon.com/cli/latest/reference/ec2-instance-connect/ssh.html
func (e *Endpoint) SSHCommand(instanceID, user string) string {
	return sshCommand(*awscdk.Stack_Of(e).Region(), instanceID, user, e.caps[SSH])
}

// OpenTunnelCommand is a command to paste that listens on a local port and leads
// to port 22 or 3389 of an instance, for an SSH or RDP client of your own.
// https://docs.aws.amazon.com/cli/latest/reference/ec2-instance-connect/open-tunnel.html
func (e *Endpoint) OpenTunnelCommand(instanceID string, remotePort, localPort int) string {
	return openTunnelCommand(*awscdk.Stack_Of(e).Region(), instanceID, remotePort, localPort, e.caps[remotePort])
}

// SSHConfig is a block for ~/.ssh/config with which "ssh i-0123456789abcdef0"
// goes through the endpoint of the instance's VPC, with a key of your own.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/connect-using-eice.html
func (e *Endpoint) SSHConfig() string {
	return sshConfig(*awscdk.Stack_Of(e).Region(), "", e.caps[SSH])
}

func instanceOr(instanceID string) string {
	if instanceID == "" {
		return "INSTANCE_ID"
	}
	return instanceID
}

func (e *Endpoint) check(s *survey.Survey) []string {
	if e.targets == 0 {
		tree.Warn(e, "instance-connect-without-targets", "the endpoint reaches nothing: call AllowTo for what it should reach, or leave it out")
	}
	if e.resource == nil {
		return nil
	}
	var faults []string
	if subnet, ok := s.Subnets[e.subnet]; ok && e.props.PreserveClientIp && dualStack(subnet) {
		faults = append(faults, fmt.Sprintf("PreserveClientIp does not work in the dual-stack subnet %s: name an IPv4 Subnet, or leave PreserveClientIp out", e.subnet))
	}
	if fault := e.changed(); fault != "" {
		faults = append(faults, fault)
	}
	path, vpc := *e.resource.Node().Path(), survey.ID(e.props.Vpc.VpcId())
	for _, other := range s.InstanceConnect {
		otherPath, subnet := *other.Node().Path(), survey.ID(other.SubnetId())
		if otherPath == path || s.Vpc(subnet) != vpc && !e.subnets[subnet] && subnet != e.subnet {
			continue
		}
		if another, ok := other.Node().Scope().(*Endpoint); ok && *another.Node().Path() < *e.Node().Path() {
			continue // it reports the pair
		}
		faults = append(faults, fmt.Sprintf("%s and %s are both EC2 Instance Connect Endpoints in the VPC %s, which takes one: keep one, and let the targets of both be its own with AllowTo",
			path, otherPath, vpc))
	}
	return faults
}

func dualStack(subnet awsec2.CfnSubnet) bool {
	native, _ := subnet.Ipv6Native().(bool)
	return subnet.Ipv6CidrBlock() != nil || native
}

// changed compares the endpoint with its record in the context, if there is one.
func (e *Endpoint) changed() string {
	recorded, ok := e.Node().TryGetContext(jsii.String(e.RecordKey())).(string)
	// What a look-up has not answered yet is not the real subnet.
	if !ok || recorded == e.Record() || survey.ID(e.props.Vpc.VpcId()) == "vpc-12345" {
		return ""
	}
	return fmt.Sprintf("the deployed endpoint is %q and this would be %q, a replacement that fails as a VPC takes one endpoint: "+
		"undo the change, or move it in two steps, first with Absent, then with %q under %q in the context",
		recorded, e.Record(), e.Record(), e.RecordKey())
}
