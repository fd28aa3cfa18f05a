package network

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/internal/tree"
)

// Network is a VPC, made or given.
type Network struct {
	constructs.Construct
	props    Props
	vpc      awsec2.IVpc
	logGroup awslogs.ILogGroup
}

var _ constructs.IConstruct = (*Network)(nil)

// New makes a VPC, or takes the one in props. A nil props means all defaults.
func New(scope constructs.Construct, id string, props *Props) *Network {
	p := props.withDefaults()
	err := p.validate()
	if err == nil && p.Vpc == nil {
		err = p.validateZones(scope)
	}
	tree.Must("network", scope, id, err)
	tree.Must("network", scope, id, p.placed())

	n := &Network{props: p, vpc: p.Vpc}
	constructs.NewConstruct_Override(n, scope, &id)
	if n.vpc == nil {
		vpc := n.newVpc()
		n.vpc = vpc
		n.guardDefaultSecurityGroup(vpc)
	}
	if p.FlowLogs != nil {
		n.addFlowLog()
	}
	return n
}

// Vpc returns the VPC.
func (n *Network) Vpc() awsec2.IVpc { return n.vpc }

// FlowLogGroup returns the log group that takes the flow logs, or nil where
// they go to a bucket or are off.
func (n *Network) FlowLogGroup() awslogs.ILogGroup { return n.logGroup }

// MonthlyCost is what is made here costs a month in USD, before data: NAT
// gateways and their addresses, and the key of the log group.
func (n *Network) MonthlyCost() float64 { return n.props.monthlyCost() }

// unknownPlace tells that the stack can be deployed anywhere.
func unknownPlace(stack awscdk.Stack) bool {
	return check.Token(*stack.Region()) || check.Token(*stack.Account())
}

func (p *Props) validateZones(scope constructs.Construct) error {
	stack := awscdk.Stack_Of(scope)
	if len(p.ZoneNames) > 0 || unknownPlace(stack) {
		return nil
	}
	zones := *stack.AvailabilityZones()
	// Until the CDK CLI has looked the zones up, it gives three invented ones.
	if len(zones) >= p.AvailabilityZones || len(zones) == 0 || strings.HasPrefix(*zones[0], "dummy") {
		return nil
	}
	var faults check.Faults
	faults.Addf("AvailabilityZones", "ask for fewer, or name others in ZoneNames",
		"%d are asked for and the region has %d", p.AvailabilityZones, len(zones))
	return faults.Err()
}

func (n *Network) newVpc() awsec2.Vpc {
	p := &n.props
	isolated, private, public := p.groups()
	privateType := awsec2.SubnetType_PRIVATE_WITH_EGRESS
	if private.reserved {
		privateType = awsec2.SubnetType_PRIVATE_ISOLATED
	}
	props := &awsec2.VpcProps{
		IpAddresses:        awsec2.IpAddresses_Cidr(jsii.String(p.Cidr)),
		ReservedAzs:        jsii.Number(MaxAvailabilityZones - p.AvailabilityZones),
		NatGateways:        jsii.Number(p.gateways()),
		EnableDnsSupport:   jsii.Bool(true),
		EnableDnsHostnames: jsii.Bool(true),
		// The CDK would close the group with a Lambda function.
		RestrictDefaultSecurityGroup: jsii.Bool(false),
		SubnetConfiguration: &[]*awsec2.SubnetConfiguration{
			isolated.configuration(awsec2.SubnetType_PRIVATE_ISOLATED),
			private.configuration(privateType),
			public.configuration(awsec2.SubnetType_PUBLIC),
		},
	}
	switch stack := awscdk.Stack_Of(n); {
	case len(p.ZoneNames) > 0:
		props.AvailabilityZones = tree.Strings(p.ZoneNames)
	case p.AvailabilityZones > 2 && unknownPlace(stack):
		// The CDK knows only two zones there; these are the same ones and the next.
		zones := make([]*string, p.AvailabilityZones)
		all := awscdk.Fn_GetAzs(nil)
		for i := range zones {
			zones[i] = awscdk.Fn_Select(jsii.Number(i), all)
		}
		props.AvailabilityZones = &zones
	default:
		props.MaxAzs = jsii.Number(p.AvailabilityZones)
	}
	vpc := awsec2.NewVpc(n, jsii.String("Resource"), props)
	for _, subnet := range *vpc.PublicSubnets() {
		tree.Acknowledge(subnet.Node().FindChild(jsii.String("DefaultRoute")),
			"public subnets hold NAT gateways and what is asked to have a public address; no subnet gives one out by itself",
			"NIST.800.53.R5-VPCNoUnrestrictedRouteToIGW", "PCI.DSS.321-VPCNoUnrestrictedRouteToIGW")
	}
	return vpc
}

func (g group) configuration(kind awsec2.SubnetType) *awsec2.SubnetConfiguration {
	c := &awsec2.SubnetConfiguration{
		Name:       jsii.String(g.name),
		SubnetType: kind,
		CidrMask:   jsii.Number(g.mask),
		Reserved:   jsii.Bool(g.reserved),
	}
	if kind == awsec2.SubnetType_PUBLIC {
		c.MapPublicIpOnLaunch = jsii.Bool(false)
	}
	return c
}

func (n *Network) addFlowLog() {
	logs := n.props.FlowLogs
	props := &awsec2.CfnFlowLogProps{
		ResourceId:             n.vpc.VpcId(),
		ResourceType:           jsii.String("VPC"),
		TrafficType:            jsii.String("ALL"),
		LogFormat:              jsii.String(LogFormat),
		MaxAggregationInterval: jsii.Number(600),
	}
	if logs.EveryMinute {
		props.MaxAggregationInterval = jsii.Number(60)
	}
	if logs.Bucket != nil {
		n.allowDelivery()
		destination := *logs.Bucket.BucketArn()
		if folder := n.folder(); folder != "" {
			destination += "/" + folder + "/"
		}
		props.LogDestinationType = jsii.String("s3")
		props.LogDestination = jsii.String(destination)
		// The CDK passes these on as they are, so its typed form has the wrong keys.
		// Hive-compatible prefixes leave the account's own, to which bucket policies
		// limit the delivery.
		props.DestinationOptions = map[string]any{
			"FileFormat":               "parquet",
			"HiveCompatiblePartitions": false,
			"PerHourPartition":         true,
		}
	} else {
		n.logGroup = logs.LogGroup
		if n.logGroup == nil {
			n.logGroup = n.newLogGroup()
		}
		props.LogDestinationType = jsii.String("cloud-watch-logs")
		props.LogGroupName = n.logGroup.LogGroupName()
		props.DeliverLogsPermissionArn = n.newFlowLogRole().RoleArn()
	}
	flowLog := awsec2.NewCfnFlowLog(n, jsii.String("FlowLog"), props)
	if logs.Bucket != nil && logs.Bucket.Policy() != nil {
		flowLog.Node().AddDependency(logs.Bucket.Policy())
	}
}

func (n *Network) newLogGroup() awslogs.ILogGroup {
	key := awskms.NewKey(n, jsii.String("FlowLogKey"), &awskms.KeyProps{
		Description:       jsii.String("Flow logs of " + *n.Node().Path()),
		EnableKeyRotation: jsii.Bool(true),
		RemovalPolicy:     awscdk.RemovalPolicy_RETAIN,
	})
	attach.ToKey(key, policy.LogGroupKeyStatements(attach.ScopeOf(n)))
	return awslogs.NewLogGroup(n, jsii.String("FlowLogs"), &awslogs.LogGroupProps{
		EncryptionKey: key,
		Retention:     awslogs.RetentionDays_ONE_YEAR,
		RemovalPolicy: awscdk.RemovalPolicy_RETAIN,
	})
}

// newFlowLogRole follows
// https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html,
// without the right to make log groups.
func (n *Network) newFlowLogRole() awsiam.Role {
	at := attach.ScopeOf(n)
	writer := awsiam.NewManagedPolicy(n, jsii.String("FlowLogPolicy"), &awsiam.ManagedPolicyProps{
		Description: jsii.String("Lets VPC flow logs write to their one log group"),
		Document: attach.Document([]policy.Statement{{
			Effect: policy.Allow, Action: []string{"logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"},
			Resource: []string{*n.logGroup.LogGroupArn()},
		}}),
	})
	return awsiam.NewRole(n, jsii.String("FlowLogRole"), &awsiam.RoleProps{
		Description: jsii.String("VPC flow logs of " + *n.Node().Path()),
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("vpc-flow-logs.amazonaws.com"), &awsiam.ServicePrincipalOpts{
			Conditions: &map[string]any{
				"StringEquals": map[string]any{"aws:SourceAccount": at.Account},
				"ArnLike":      map[string]any{"aws:SourceArn": at.ARN("ec2", "vpc-flow-log/*")},
			},
		}),
		ManagedPolicies: &[]awsiam.IManagedPolicy{writer},
	})
}

// allowDelivery follows
// https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-permissions.html.
func (n *Network) allowDelivery() {
	scope, bucket := attach.ScopeOf(n), n.props.FlowLogs.Bucket
	if attach.Arranged(bucket) {
		return
	}
	if !attach.ToBucket(bucket, policy.LogDeliveryBucketStatements(scope, *bucket.BucketArn(), n.folder())) {
		tree.Warn(n, "flow-log-bucket-imported",
			"FlowLogs.Bucket is imported, so its policy can't be extended here: let its owner allow delivery.logs.amazonaws.com "+
				"s3:PutObject and s3:GetBucketAcl, and its key kms:GenerateDataKey*")
	}
	if key := bucket.EncryptionKey(); key != nil {
		attach.ToKey(key, policy.LogDeliveryKeyStatements(scope))
	}
}

// placed refuses a folder in the bucket of a log account that its policy doesn't
// know.
func (p *Props) placed() error {
	var faults check.Faults
	if l := p.FlowLogs; l != nil && l.Prefix != "" && attach.Arranged(l.Bucket) {
		faults.Addf("FlowLogs.Prefix", "leave it out", `the Bucket's log account takes flow logs below "AWSLogs/ACCOUNT/" only, and not below %q`, l.Prefix)
	}
	return faults.Err()
}

func (n *Network) folder() string { return strings.Trim(n.props.FlowLogs.Prefix, "/") }
