package bastion

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsautoscaling"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/accesspath"
	"github.com/postern-cdk/postern/constructs/endpoints"
	"github.com/postern-cdk/postern/constructs/network"
	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/host"
	"github.com/postern-cdk/postern/internal/host/settings"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/internal/tree"
)

// Bastion is a host in the network to reach other hosts from: an Auto Scaling
// group of one instance, whose successor is ready before it goes.
type Bastion struct {
	constructs.Construct
	scope     policy.Scope
	path      string
	vpc       awsec2.IVpc
	logGroup  awslogs.ILogGroup
	logGroups map[settings.Log]awslogs.ILogGroup
	// dimensions of metrics, or ""
	balancer, targets string
	role              awsiam.IRole
	securityGroup     awsec2.SecurityGroup
	connections       awsec2.Connections
	group             awsautoscaling.AutoScalingGroup
	cfnGroup          awsautoscaling.CfnAutoScalingGroup
	elasticIP         awsec2.CfnEIP
	address           string
	open              bool

	bucket       awss3.IBucket // records
	recordPrefix string        // of the records in it
	peopleBucket awss3.IBucket
	peoplePrefix string
	keys         awskms.IKey
	bundle       *awscdk.FileAssetLocation
	own          string // its name in account and region, as a path
	parameters   string // the path of what the host keeps, or ""
	ports        []int  // that people reach from the host
	sudoers      []string
	sshDocument  string
	endpoints    *endpoints.Endpoints // the only way out, or nil
	access       accesspath.Props     // where the host is
	// rules are the groups that rules lead to, each with the token of its port, or "".
	rules map[string]string
}

var (
	_ awsec2.IConnectable = (*Bastion)(nil)
	_ awsiam.IGrantable   = (*Bastion)(nil)
)

// services that the host talks to: sessions and what it keeps, its log, its
// metrics and the description of its group in their names, the signal that it is
// ready.
var services = []endpoints.Service{
	endpoints.SSM, endpoints.SSMMessages, endpoints.Logs, endpoints.Monitoring, endpoints.EC2, endpoints.CloudFormation,
	endpoints.AutoScaling,
}

const sshPort = 22

// provedHook is the lifecycle hook that an instance waits in until it has proved
// what the bastion promises.
const provedHook = "proved"

// New makes a bastion. It panics with all faults of props at once, before it
// touches the construct tree.
func New(scope constructs.Construct, id string, props *Props) *Bastion {
	p := props.withDefaults()
	tree.Must("bastion", scope, id, p.validate())
	var where placement
	if p.Vpc != nil {
		var err error
		where, err = place(&p)
		tree.Must("bastion", scope, id, err)
	}

	// Each question to the tree is a call to another process: what doesn't change
	// is asked for once.
	b := &Bastion{
		scope: attach.ScopeOf(scope), peoplePrefix: p.Host.People.prefix(), sudoers: slices.Clone(p.Host.People.Sudo),
		rules: map[string]string{}, recordPrefix: recordPrefix + attach.Folder(scope, p.Bucket),
	}
	tree.Must("bastion", scope, id, placed(b.recordPrefix))
	made, err := build(&p)
	tree.Must("bastion", scope, id, err)
	stack := awscdk.Stack_Of(scope)
	b.own = ownPath(*stack.StackName(), *stack.Node().Path(), *scope.Node().Path()+"/"+id)
	if !p.Host.HostKeys.Ephemeral {
		b.parameters = b.own
	}
	userData, err := b.render(&p, *stack.StackName(), made.SHA256)
	tree.Must("bastion", scope, id, err)

	constructs.NewConstruct_Override(b, scope, &id)
	b.path = *b.Node().Path()
	if p.Vpc == nil {
		p.Vpc = network.New(b, "Network", nil).Vpc()
		where, err = place(&p)
		tree.Must("bastion", scope, id, err)
		if where.closed {
			p.Endpoints = endpoints.New(b, "Endpoints", &endpoints.Props{Vpc: p.Vpc, Services: services})
		}
	}
	b.vpc = p.Vpc

	key := b.key(&p)
	b.keys = key
	b.makeRecords(&p, made)
	b.useLogGroups(&p, key)
	b.makeSecurityGroup(&p)
	for _, target := range p.Host.Relay.Targets {
		if target.Peer != nil {
			b.AllowTunnelTo(target.Peer, float64(target.Port), "Relay "+target.Name)
		}
	}
	if p.Address == AddressElasticIP {
		b.elasticIP = awsec2.NewCfnEIP(b, jsii.String("Address"), &awsec2.CfnEIPProps{Domain: jsii.String("vpc")})
		b.address = *b.elasticIP.Ref()
	}
	policies := b.makeRole(&p)
	b.makeGroup(&p, where, key, userData)
	b.group.Node().AddDependency(policies...)

	if p.Address == AddressNetworkLoadBalancer {
		b.makeLoadBalancer(&p, where)
	}
	if p.HostedZone != nil && b.elasticIP != nil {
		b.address = b.addRecord(&p, map[string]any{"TTL": "60", "ResourceRecords": []string{b.address}})
	}
	b.useEndpoints(&p, where)
	b.open = p.Address != AddressNone && len(p.AllowedCidrs)+len(p.AllowedPrefixLists) > 0
	if p.Address != AddressNone && !b.open {
		tree.Warn(b, "bastion-no-ingress", "the bastion has a public address that nobody may connect to: name networks in "+
			"AllowedCidrs or AllowedPrefixLists, or leave Address out")
	}
	return b
}

func (b *Bastion) useLogGroups(p *Props, key awskms.IKey) {
	b.logGroups = map[settings.Log]awslogs.ILogGroup{}
	for _, k := range p.LogGroups.list() {
		b.logGroups[k.kind] = k.group
	}
	b.logGroup = p.LogGroup
	if b.logGroup == nil {
		b.logGroup = awslogs.NewLogGroup(b, jsii.String("LogGroup"), &awslogs.LogGroupProps{
			EncryptionKey: key,
			Retention:     awslogs.RetentionDays_ONE_YEAR,
			RemovalPolicy: awscdk.RemovalPolicy_RETAIN,
			// What happened on a bastion is evidence.
			DeletionProtectionEnabled: jsii.Bool(true),
		})
	}
}

// useEndpoints gives the host its way to the services, and looks that there is one.
func (b *Bastion) useEndpoints(p *Props, where placement) {
	if p.Endpoints != nil {
		if where.closed {
			p.Endpoints.Require(services...)
		}
		p.Endpoints.AllowFrom(b)
		if attach.Arranged(b.bucket) {
			p.Endpoints.AllowRecords(b.bucket)
		}
		b.group.Node().AddDependency(p.Endpoints)
	}
	if where.closed {
		b.endpoints = p.Endpoints
	}
	b.access = accesspath.Props{
		Vpc:           b.vpc,
		Subnets:       where.subnets,
		PublicAddress: b.elasticIP != nil,
		Existing:      p.ExistingEndpoints,
		For:           "the bastion",
	}
	access := b.access
	access.Services = services
	access.S3 = true // packages come from there
	accesspath.Check(b, &access)
}

// render makes the user data before what it names: those values are asked for
// when the template is written.
func (b *Bastion) render(p *Props, stack, sha256 string) (*host.UserData, error) {
	config := p.hostConfig()
	config.BundleSHA256 = sha256
	config.BundleBucket = late(func() *string { return b.bundle.BucketName })
	config.BundleKey = late(func() *string { return b.bundle.ObjectKey })
	config.RecordBucket = late(func() *string { return b.bucket.BucketName() })
	config.Choices.Recording.Prefix = b.recordPrefix
	config.PeopleBucket = late(func() *string { return b.peopleBucket.BucketName() })
	if b.parameters != "" {
		config.ParameterPath = b.parameters
		config.KeyID = late(func() *string { return b.keys.KeyArn() })
	}
	// What AllowTo opens is known at the end.
	config.EgressPorts = late(func() *string { return jsii.String(ports(b.ports)) })
	config.LogGroups = map[settings.Log]string{}
	for _, k := range p.LogGroups.list() {
		config.LogGroups[k.kind] = attach.LogGroupName(k.group)
	}
	config.Region = b.scope.Region
	config.StackName = stack
	config.SignalResource = late(func() *string { return b.cfnGroup.LogicalId() })
	config.LifecycleHook = provedHook
	config.LogGroup = late(func() *string { return b.logGroup.LogGroupName() })
	if p.Address == AddressElasticIP {
		config.AllocationID = late(func() *string { return b.elasticIP.AttrAllocationId() })
	}
	return host.Render(config)
}

// makeGroup makes the launch template and the Auto Scaling group.
func (b *Bastion) makeGroup(p *Props, where placement, key awskms.IKey, userData *host.UserData) {
	template := awsec2.NewLaunchTemplate(b, jsii.String("LaunchTemplate"), &awsec2.LaunchTemplateProps{
		InstanceType:             awsec2.NewInstanceType(&p.InstanceType),
		MachineImage:             machineImage(p),
		UserData:                 awsec2.UserData_Custom(&userData.Script),
		Role:                     b.role,
		SecurityGroup:            b.securityGroup,
		AssociatePublicIpAddress: jsii.Bool(p.Address == AddressElasticIP),
		RequireImdsv2:            jsii.Bool(true),
		HttpPutResponseHopLimit:  jsii.Number(1),
		InstanceMetadataTags:     jsii.Bool(false),
		EbsOptimized:             jsii.Bool(true),
		DetailedMonitoring:       &p.DetailedMonitoring,
		SpotOptions:              spot(p),
		BlockDevices: &[]*awsec2.BlockDevice{{
			DeviceName: &p.RootDevice,
			Volume: awsec2.BlockDeviceVolume_Ebs(jsii.Number(p.VolumeGiB), &awsec2.EbsDeviceOptions{
				VolumeType:          awsec2.EbsDeviceVolumeType_GP3,
				Encrypted:           jsii.Bool(true),
				KmsKey:              key,
				DeleteOnTermination: jsii.Bool(true),
			}),
		}},
	})
	if strings.HasPrefix(*template.ImageId(), "resolve:ssm:") {
		tree.AcknowledgeValidation(template, "EC2 resolves the parameter when it launches an instance, so that a newly published image doesn't replace the host in somebody's deploy.",
			"CloudFormation-Validate::E1152")
	}

	ready, settled := duration(p.SignalTimeout), duration(5*time.Minute)
	healthChecks := awsautoscaling.HealthChecks_Ec2(&awsautoscaling.Ec2HealthChecksOptions{GracePeriod: ready})
	if p.Address == AddressNetworkLoadBalancer {
		healthChecks = awsautoscaling.HealthChecks_WithAdditionalChecks(&awsautoscaling.AdditionalHealthChecksOptions{
			AdditionalTypes: &[]awsautoscaling.AdditionalHealthCheckType{awsautoscaling.AdditionalHealthCheckType_ELB},
			GracePeriod:     ready,
		})
	}
	groupProps := &awsautoscaling.AutoScalingGroupProps{
		Vpc:            b.vpc,
		VpcSubnets:     &awsec2.SubnetSelection{Subnets: &where.subnets},
		LaunchTemplate: template,
		MinCapacity:    jsii.Number(1),
		MaxCapacity:    jsii.Number(2), // room for the successor of the one
		// The same order for replacements that no deploy makes: by age, for health.
		MinHealthyPercentage: jsii.Number(100),
		MaxHealthyPercentage: jsii.Number(200),
		HealthChecks:         healthChecks,
		// The old one stays so long after the new one is in service.
		DefaultInstanceWarmup: settled,
		Cooldown:              settled,
		TerminationPolicies: &[]awsautoscaling.TerminationPolicy{
			awsautoscaling.TerminationPolicy_OLDEST_LAUNCH_TEMPLATE, awsautoscaling.TerminationPolicy_OLDEST_INSTANCE,
		},
		GroupMetrics: &[]awsautoscaling.GroupMetrics{awsautoscaling.GroupMetrics_All()},
		UpdatePolicy: awsautoscaling.UpdatePolicy_RollingUpdate(&awsautoscaling.RollingUpdateOptions{
			MinInstancesInService: jsii.Number(1),
			MaxBatchSize:          jsii.Number(1),
			MinSuccessPercentage:  jsii.Number(100),
			WaitOnResourceSignals: jsii.Bool(true),
			PauseTime:             ready,
		}),
	}
	if p.MaxInstanceLifetime > 0 {
		groupProps.MaxInstanceLifetime = duration(p.MaxInstanceLifetime)
	}
	if p.Topic != nil {
		groupProps.Notifications = &[]*awsautoscaling.NotificationConfiguration{{Topic: p.Topic, ScalingEvents: awsautoscaling.ScalingEvents_ALL()}}
	}
	b.group = awsautoscaling.NewAutoScalingGroup(b, jsii.String("Resource"), groupProps)
	b.cfnGroup = b.group.Node().DefaultChild().(awsautoscaling.CfnAutoScalingGroup)
	// Part of the group, so that it is there before the first instance. A deploy
	// waits for the signal; a successor for age or health only for this.
	b.cfnGroup.SetLifecycleHookSpecificationList(&[]any{&awsautoscaling.CfnAutoScalingGroup_LifecycleHookSpecificationProperty{
		LifecycleHookName:   jsii.String(provedHook),
		LifecycleTransition: jsii.String("autoscaling:EC2_INSTANCE_LAUNCHING"),
		DefaultResult:       jsii.String("ABANDON"),
		HeartbeatTimeout:    jsii.Number(p.SignalTimeout.Seconds()),
	}})
	// Set here and not by the group's Signals, which would add an inline policy.
	b.cfnGroup.CfnOptions().SetCreationPolicy(&awscdk.CfnCreationPolicy{
		ResourceSignal:            &awscdk.CfnResourceSignal{Count: jsii.Number(1), Timeout: ready.ToIsoString()},
		AutoScalingCreationPolicy: &awscdk.CfnResourceAutoScalingCreationPolicy{MinSuccessfulInstancesPercent: jsii.Number(100)},
	})
	if where.ready != nil {
		b.group.Node().AddDependency(where.ready)
	}
	if p.Topic == nil {
		tree.Acknowledge(b.cfnGroup, "Nobody is told by default: the group's metrics are collected and alarms on them tell of an instance that is missing. Props.Topic adds notices of each launch.",
			"AwsSolutions-AS3")
	}
	b.nameInstances(template)
	b.addSchedule(p.Schedule)
}

// nameInstances gives instances, volumes and network interfaces the bastion's
// path as their name.
func (b *Bastion) nameInstances(template awsec2.LaunchTemplate) {
	name := &b.path
	awscdk.Tags_Of(b.cfnGroup).Add(jsii.String(groupTag), &b.own, nil)
	awscdk.Tags_Of(template).Add(jsii.String("Name"), name, nil)
	awscdk.Tags_Of(b.group).Add(jsii.String("Name"), name, nil)
	if b.elasticIP == nil {
		return
	}
	awscdk.Tags_Of(b.elasticIP).Add(jsii.String("Name"), name, nil)
	allocation := b.elasticIP.AttrAllocationId()
	awscdk.Tags_Of(template).Add(jsii.String(addressTag), allocation, nil)
	cfnTemplate := template.Node().DefaultChild().(awsec2.CfnLaunchTemplate)
	cfnTemplate.AddPropertyOverride(jsii.String("LaunchTemplateData.TagSpecifications.2"), map[string]any{
		"ResourceType": "network-interface",
		"Tags": []any{
			map[string]any{"Key": "Name", "Value": name},
			map[string]any{"Key": addressTag, "Value": allocation},
		},
	})
}

func (b *Bastion) addSchedule(s Schedule) {
	if !s.set() {
		return
	}
	zone := s.TimeZone
	if zone == "" {
		zone = "Etc/UTC"
	}
	// The maximum stays: an update needs its room at night too.
	for _, action := range []struct {
		id, at string
		size   float64
	}{{"Start", s.Start, 1}, {"Stop", s.Stop, 0}} {
		b.group.ScaleOnSchedule(&action.id, &awsautoscaling.BasicScheduledActionProps{
			Schedule:        awsautoscaling.Schedule_Expression(&action.at),
			TimeZone:        &zone,
			MinCapacity:     &action.size,
			DesiredCapacity: &action.size,
			MaxCapacity:     jsii.Number(2),
		})
	}
}

// must panics where err is not nil, once the bastion is in the tree.
func (b *Bastion) must(method string, err error) {
	if err != nil {
		panic(fmt.Errorf("bastion %q: %s: %w", b.path, method, err))
	}
}

func spot(p *Props) *awsec2.LaunchTemplateSpotOptions {
	if !p.Spot {
		return nil
	}
	return &awsec2.LaunchTemplateSpotOptions{
		RequestType:          awsec2.SpotRequestType_ONE_TIME,
		InterruptionBehavior: awsec2.SpotInstanceInterruption_TERMINATE,
	}
}

func duration(d time.Duration) awscdk.Duration {
	return awscdk.Duration_Seconds(jsii.Number(d.Seconds()))
}

// late is a token for a string that is only known when the template is written.
func late(produce func() *string) string { return *awscdk.Lazy_String(&lateString{produce}, nil) }

// The jsii runtime takes nothing but pointers to structs for an interface.
type lateString struct{ produce func() *string }

var _ awscdk.IStableStringProducer = (*lateString)(nil)

// Produce implements awscdk.IStableStringProducer.
func (s *lateString) Produce() *string { return s.produce() }

// Connections opens and closes the bastion's ports, 22 by default. Ways on are
// opened by [Bastion.AllowTo]: the host's own firewall knows of those only.
func (b *Bastion) Connections() awsec2.Connections { return b.connections }

// GrantPrincipal is the role of the instances. A grant gives it to everybody who
// has a shell on the bastion.
func (b *Bastion) GrantPrincipal() awsiam.IPrincipal { return b.role.GrantPrincipal() }

// Role is the role of the instances.
func (b *Bastion) Role() awsiam.IRole { return b.role }

// Bucket is where records are locked away.
func (b *Bastion) Bucket() awss3.IBucket { return b.bucket }

// PeopleBucket is where people's public keys are.
func (b *Bastion) PeopleBucket() awss3.IBucket { return b.peopleBucket }

// ParameterPath is where in Parameter Store the host keeps its keys and secrets,
// or "" with ephemeral host keys. The host makes the parameters, so that they
// stay when the stack goes.
func (b *Bastion) ParameterPath() string { return b.parameters }

// LogGroup is where the journal of the instances goes.
func (b *Bastion) LogGroup() awslogs.ILogGroup { return b.logGroup }

// LogGroupOf is where records of a kind go: "sessions", "commands", "people", "sshd",
// "sudo", "audit" or "host". It is LogGroup where [LogGroups] names no other.
func (b *Bastion) LogGroupOf(kind string) awslogs.ILogGroup {
	if group := b.logGroups[settings.Log(kind)]; group != nil {
		return group
	}
	return b.logGroup
}

// LoadBalancerNames are the dimensions of the load balancer's metrics, or "" where
// there is none.
//
// docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-cloudwatch-metrics.html
func (b *Bastion) LoadBalancerNames() (loadBalancer, targetGroup string) {
	return b.balancer, b.targets
}

// Vpc is the network that the bastion lives in.
func (b *Bastion) Vpc() awsec2.IVpc { return b.vpc }

// AutoScalingGroup is the group that the instance is in.
func (b *Bastion) AutoScalingGroup() awsautoscaling.AutoScalingGroup { return b.group }

// AutoScalingGroupName is the name of the group, as CloudWatch knows it.
func (b *Bastion) AutoScalingGroupName() string { return *b.group.AutoScalingGroupName() }

// RequireServices tells that the host reaches further AWS services, such as KMS
// for encrypted sessions: Props.Endpoints, or the endpoints made here, get them where
// nothing else leads out, and the synthesis fails where nothing leads there.
func (b *Bastion) RequireServices(list ...endpoints.Service) {
	if b.endpoints != nil {
		b.endpoints.Require(list...)
	}
	access := b.access
	access.Services = list
	accesspath.Check(b, &access)
}

// SessionTag is the tag by which policies know the bastion's instances, however
// often they are replaced, and no others.
func (b *Bastion) SessionTag() (key, value string) { return groupTag, b.own }

// Sudoers are the people who may become root on the host.
func (b *Bastion) Sudoers() []string { return slices.Clone(b.sudoers) }

// PublicAddress is the name or the address that the bastion is reached by from
// the internet, or "" where it has none.
func (b *Bastion) PublicAddress() string { return b.address }
