package endpoints

import (
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/survey"
	"github.com/postern-cdk/postern/internal/tree"
)

// Endpoints are the VPC endpoints that private hosts need.
type Endpoints struct {
	constructs.Construct
	props   Props
	stack   awscdk.Stack
	account *string
	group   awsec2.ISecurityGroup
	subnets *awsec2.SelectedSubnets
	made    []Service
	// dimensions of the metrics of those made, by service.
	dimensions map[Service]map[string]string
	peers      int
	gateway    awsec2.GatewayVpcEndpoint // for S3, where it is made here
	records    []string                  // buckets of other accounts that records are put into
}

var _ constructs.IConstruct = (*Endpoints)(nil)

// New makes the endpoints.
func New(scope constructs.Construct, id string, props *Props) *Endpoints {
	p := props.withDefaults()
	err := p.validate()
	if err == nil {
		err = p.validateDns()
	}
	tree.Must("endpoints", scope, id, err)

	e := &Endpoints{props: p, group: p.SecurityGroup, dimensions: map[Service]map[string]string{}}
	constructs.NewConstruct_Override(e, scope, &id)
	e.stack = awscdk.Stack_Of(e)
	e.account = e.stack.Account()
	if e.group == nil {
		e.group = awsec2.NewSecurityGroup(e, jsii.String("SecurityGroup"), &awsec2.SecurityGroupProps{
			Vpc:              p.Vpc,
			Description:      jsii.String("Interface endpoints: 443 from registered security groups only"),
			AllowAllOutbound: jsii.Bool(false),
		})
	}
	e.subnets = p.Vpc.SelectSubnets(p.selection())
	for _, service := range p.Services {
		e.add(service)
	}
	if p.makesGateway() {
		e.addGateway()
	}
	survey.Validate(e, e.check)
	return e
}

// Require makes endpoints for the services that have none yet, neither made
// here nor named in [Props.Existing]. It is for constructs that need more of
// their surroundings.
func (e *Endpoints) Require(services ...Service) {
	var faults check.Faults
	for _, service := range services {
		faults.Check("Require", check.OneOf(service, known...))
	}
	if err := faults.Err(); err != nil {
		panic(fmt.Errorf("endpoints %q: %w", *e.Node().Path(), err))
	}
	for _, service := range services {
		if !e.Has(service) {
			e.add(service)
		}
	}
}

// AllowFrom admits a peer's security groups to the endpoints on port 443 and
// gives them the matching way out. The rules are made in the peer's stack.
func (e *Endpoints) AllowFrom(peer awsec2.IConnectable) {
	if peer == nil {
		panic(fmt.Errorf("endpoints %q: AllowFrom: peer is nil: pass what has security groups, such as an instance or a group", *e.Node().Path()))
	}
	e.peers++
	port := awsec2.Port_Tcp(jsii.Number(443))
	// From the peer's side: that is what puts both rules in its stack.
	connections := peer.Connections()
	connections.AllowTo(e.group, port, jsii.String("AWS APIs by VPC endpoint"))
	if e.props.ExistingSecurityGroup != nil {
		connections.AllowTo(e.props.ExistingSecurityGroup, port, jsii.String("AWS APIs by VPC endpoint"))
	}
}

// Vpc returns the VPC of the endpoints.
func (e *Endpoints) Vpc() awsec2.IVpc { return e.props.Vpc }

// SecurityGroup returns the security group of the endpoints.
func (e *Endpoints) SecurityGroup() awsec2.ISecurityGroup { return e.group }

// Services returns the services that have an interface endpoint made here.
func (e *Endpoints) Services() []Service { return slices.Clone(e.made) }

// Existing returns the services that were named as having one already.
func (e *Endpoints) Existing() []Service { return slices.Clone(e.props.Existing) }

// Has tells whether a service has an endpoint, made here or named as existing.
func (e *Endpoints) Has(service Service) bool {
	return slices.Contains(e.made, service) || slices.Contains(e.props.Existing, service) ||
		service == S3 && e.props.makesGateway()
}

// Dimensions are those of the metrics that CloudWatch has of a service's endpoint
// made here, in the namespace AWS/PrivateLinkEndpoints; nil for another.
//
// https://docs.aws.amazon.com/vpc/latest/privatelink/privatelink-cloudwatch-metrics.html
func (e *Endpoints) Dimensions(service Service) map[string]string {
	return maps.Clone(e.dimensions[service])
}

// MonthlyCost is what the endpoints made here cost a month in USD, before data.
func (e *Endpoints) MonthlyCost() float64 {
	return MonthlyCost(len(e.made), len(*e.subnets.SubnetIds))
}

// validateDns refuses private DNS in a VPC that is known not to resolve it: the
// deployment would fail.
func (p *Props) validateDns() error {
	vpc, ok := p.Vpc.(awsec2.Vpc)
	if !ok || p.PrivateDnsOff || *vpc.DnsSupportEnabled() && *vpc.DnsHostnamesEnabled() {
		return nil
	}
	var faults check.Faults
	faults.Add("Vpc", "has DNS support or DNS hostnames off, and private DNS needs both",
		"turn EnableDnsSupport and EnableDnsHostnames on, or set PrivateDnsOff")
	return faults.Err()
}

func (p *Props) selection() *awsec2.SubnetSelection {
	selection := &awsec2.SubnetSelection{OnePerAz: jsii.Bool(true)}
	switch {
	case len(p.Subnets) > 0:
		selection.Subnets = &p.Subnets
	case len(*p.Vpc.IsolatedSubnets()) > 0:
		selection.SubnetType = awsec2.SubnetType_PRIVATE_ISOLATED
	case len(*p.Vpc.PrivateSubnets()) > 0:
		selection.SubnetType = awsec2.SubnetType_PRIVATE_WITH_EGRESS
	default:
		selection.SubnetType = awsec2.SubnetType_PUBLIC
	}
	return selection
}

func (e *Endpoints) add(service Service) {
	of := awsec2.NewInterfaceVpcEndpointAwsService(jsii.String(string(service)), nil, nil, nil)
	name := *of.Name()
	endpoint := awsec2.NewInterfaceVpcEndpoint(e, jsii.String(string(service)), &awsec2.InterfaceVpcEndpointProps{
		Vpc:               e.props.Vpc,
		Service:           of,
		Subnets:           &awsec2.SubnetSelection{Subnets: e.subnets.Subnets},
		SecurityGroups:    &[]awsec2.ISecurityGroup{e.group},
		Open:              jsii.Bool(false),
		PrivateDnsEnabled: jsii.Bool(!e.props.PrivateDnsOff),
	})
	endpoint.AddToPolicy(allow("ThisAccount", &awsiam.PolicyStatementProps{
		Actions:    jsii.Strings("*"),
		Resources:  jsii.Strings("*"),
		Conditions: equals("aws:PrincipalAccount", e.account),
	}))
	if service == CloudFormation {
		// cfn-signal may sign with the instance's identity document, which is no
		// principal: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-signal.html
		endpoint.AddToPolicy(allow("SignalsToThisAccount", &awsiam.PolicyStatementProps{
			Actions:   jsii.Strings("cloudformation:DescribeStackResource", "cloudformation:SignalResource"),
			Resources: jsii.Strings("arn:" + *e.stack.Partition() + ":cloudformation:" + *e.stack.Region() + ":" + *e.account + ":stack/*"),
		}))
	}
	e.made = append(e.made, service)
	e.dimensions[service] = map[string]string{
		"Endpoint Type": "Interface", "Service Name": name, "VPC Endpoint Id": *endpoint.VpcEndpointId(), "VPC Id": *e.props.Vpc.VpcId(),
	}
}

func (e *Endpoints) addGateway() {
	endpoint := awsec2.NewGatewayVpcEndpoint(e, jsii.String(string(S3)), &awsec2.GatewayVpcEndpointProps{
		Vpc:     e.props.Vpc,
		Service: awsec2.GatewayVpcEndpointAwsService_S3(),
	})
	e.gateway = endpoint
	endpoint.AddToPolicy(allow("ThisAccountInItsOwnBuckets", &awsiam.PolicyStatementProps{
		Actions:    jsii.Strings("s3:*"),
		Resources:  jsii.Strings("*"),
		Conditions: inOwnBuckets(e.account),
	}))
	objects := "arn:" + *e.stack.Partition() + ":s3:::"
	public := publicBuckets(*e.stack.Region())
	for i, bucket := range public {
		public[i] = objects + bucket + "/*"
	}
	endpoint.AddToPolicy(allow("PublicBucketsOfAws", &awsiam.PolicyStatementProps{
		Actions:   jsii.Strings("s3:GetObject"),
		Resources: jsii.Strings(public...),
	}))
	if len(e.props.S3ReadBuckets) > 0 {
		var read []string
		for _, bucket := range e.props.S3ReadBuckets {
			read = append(read, objects+bucket, objects+bucket+"/*")
		}
		endpoint.AddToPolicy(allow("NamedBuckets", &awsiam.PolicyStatementProps{
			Actions:    jsii.Strings("s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"),
			Resources:  jsii.Strings(read...),
			Conditions: equals("aws:PrincipalAccount", e.account),
		}))
	}
}

// AllowRecords lets identities of this account put records into a bucket of
// another account, such as that of an archive.LogAccount, through the S3 gateway made
// here, whose policy knows this account's buckets only. A bastion asks for it. Where
// the gateway is somebody else's, its policy is, too.
func (e *Endpoints) AllowRecords(bucket awss3.IBucket) {
	var faults check.Faults
	if bucket == nil {
		faults.Add("bucket", "is nil", "pass the bucket that takes the records")
		tree.Must("endpoints", e, "AllowRecords", faults.Err())
	}
	name := *bucket.BucketName()
	if e.gateway == nil || slices.Contains(e.records, name) {
		return
	}
	e.records = append(e.records, name)
	arn := *bucket.BucketArn()
	// IDs of statements have letters and digits only, and each its own.
	e.gateway.AddToPolicy(allow(fmt.Sprintf("RecordsElsewhere%d", len(e.records)), &awsiam.PolicyStatementProps{
		Actions:    jsii.Strings("s3:AbortMultipartUpload", "s3:GetEncryptionConfiguration", "s3:PutObject", "s3:PutObjectAcl"),
		Resources:  jsii.Strings(arn, arn+"/*"),
		Conditions: equals("aws:PrincipalAccount", e.account),
	}))
}

// publicBuckets are the buckets that AWS serves packages and modules from. Some
// end in a suffix that differs by Region.
func publicBuckets(region string) []string {
	return []string{
		"al2023-repos-" + region + "-de612dc2",
		"amazon-ssm-" + region,
		"amazon-ssm-packages-" + region,
		region + "-birdwatcher-prod",
		"aws-ssm-" + region,
		"aws-ssm-distributor-file-" + region,
		"aws-ssm-document-attachments-" + region,
		"aws-patch-manager-" + region + "-*",
		"patch-baseline-snapshot-" + region,
		"patch-baseline-snapshot-" + region + "-*",
	}
}

func allow(sid string, props *awsiam.PolicyStatementProps) awsiam.PolicyStatement {
	props.Sid = &sid
	props.Principals = &[]awsiam.IPrincipal{awsiam.NewStarPrincipal()}
	return awsiam.NewPolicyStatement(props)
}

func equals(key string, value *string) *map[string]any {
	return &map[string]any{"StringEquals": map[string]any{key: value}}
}

func inOwnBuckets(account *string) *map[string]any {
	return &map[string]any{"StringEquals": map[string]any{
		"aws:PrincipalAccount": account,
		"aws:ResourceAccount":  account,
	}}
}

// check looks for endpoints of the same services made elsewhere in the app, and
// for nobody being let in.
func (e *Endpoints) check(s *survey.Survey) []string {
	if e.peers == 0 && len(e.made) > 0 {
		tree.Warn(e, "endpoints-without-peers",
			"nothing may use these endpoints, which cost money: call AllowFrom for what should, or leave them out")
	}
	own := *e.Node().Path() + "/"
	vpc := survey.ID(e.props.Vpc.VpcId())
	services := e.made
	if e.props.makesGateway() {
		services = append(slices.Clone(services), S3)
	}
	var faults []string
	for _, other := range s.VpcEndpoints {
		if other.Vpc != vpc || !slices.Contains(services, Service(other.Service)) || other.Gateway != (other.Service == string(S3)) {
			continue
		}
		path := own + other.Service + "/Resource"
		if other.Path == path || e.leavesTo(other.Resource) {
			continue
		}
		faults = append(faults, fmt.Sprintf("%s and %s are both endpoints for %s in the VPC %s, and a second one fails to deploy or is paid for twice: remove one, or name the service in Existing of %s",
			path, other.Path, other.Service, vpc, *e.Node().Path()))
	}
	return faults
}

// leavesTo tells whether an endpoint is another Endpoints' that reports the pair.
func (e *Endpoints) leavesTo(resource constructs.IConstruct) bool {
	scopes := *resource.Node().Scopes()
	for _, scope := range scopes {
		if other, ok := scope.(*Endpoints); ok && other != e {
			return *other.Node().Path() < *e.Node().Path()
		}
	}
	return false
}
