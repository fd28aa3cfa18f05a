package watch

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/function"
	"github.com/postern-cdk/postern/internal/host/settings"
	"github.com/postern-cdk/postern/internal/hostalarm"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/internal/runbook"
	"github.com/postern-cdk/postern/internal/tree"
)

// Watch tells people what happens to the hosts added to it.
type Watch struct {
	constructs.Construct

	scope     policy.Scope
	trail     Trail
	topic     awssns.ITopic
	dashboard awscloudwatch.Dashboard
	action    *publish
	delivery  *delivery
	props     Props
	file      function.File // of the function, where there is one
	key       awskms.IKey   // of the topic, where it is known
	chat      awssns.Topic  // nil where nobody chats
	emails    []awssns.Subscription

	// What the dashboard shows.
	hosts    []*watched
	sessions []*sessions
	made     []made
	queries  *Queries
	notices  []noticed
	cost     string

	breakGlass, hours                                         constructs.Construct
	officeHours                                               *OfficeHours
	existingTrail, eventsAllowed, toldByEvents, askedForTrail bool
}

var _ constructs.IConstruct = (*Watch)(nil)

// Host is what can be watched: a construct with an Auto Scaling group whose group
// metrics are on. A bastion is one.
type Host interface {
	constructs.IConstruct
	// AutoScalingGroupName is the name of the group.
	AutoScalingGroupName() string
}

// New makes a watch that has no host yet. props may be nil.
func New(scope constructs.Construct, id string, props *Props) *Watch {
	p := props.withDefaults()
	err := p.validate()
	if err == nil {
		err = p.validateKey()
	}
	var file function.File
	if err == nil {
		file, err = p.function()
	}
	tree.Must("watch", scope, id, err)

	w := &Watch{props: p, file: file}
	constructs.NewConstruct_Override(w, scope, &id)
	w.scope = attach.ScopeOf(w)
	w.trail, w.existingTrail = p.Trail, p.ExistingTrail || p.Trail != nil
	w.officeHours = p.OfficeHours
	w.topic = w.useTopic(&p)
	w.newChat(&p)
	w.action = &publish{topicARN: w.topic.TopicArn()}
	for i, email := range p.Emails {
		name := "Email " + email
		if check.Token(email) {
			name = fmt.Sprintf("Email %d", i)
		}
		w.emails = append(w.emails, awssns.NewSubscription(w, &name, &awssns.SubscriptionProps{
			Topic: w.topic, Protocol: awssns.SubscriptionProtocol_EMAIL, Endpoint: jsii.String(email),
		}))
	}
	w.dashboard = awscloudwatch.NewDashboard(w, jsii.String("Dashboard"), &awscloudwatch.DashboardProps{
		DashboardName: tree.Optional(p.DashboardName),
	})
	w.dashboard.AddWidgets(&board{watch: w})
	return w
}

// Topic takes the notices. Subscribe to it what is not an e-mail address.
func (w *Watch) Topic() awssns.ITopic { return w.topic }

// Dashboard shows the hosts. Widgets can be added to it.
func (w *Watch) Dashboard() awscloudwatch.Dashboard { return w.dashboard }

// AllowEventBridge lets EventBridge rules publish to the topic. It is apart
// because EventBridge can't be held to the account here: a condition would stop
// every message (see docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html).
func (w *Watch) AllowEventBridge() {
	if w.eventsAllowed {
		return
	}
	w.eventsAllowed = true
	w.allow(policy.EventTopicStatements(*w.topic.TopicArn()), policy.EventTopicStatements("TOPIC_ARN"))
}

func (w *Watch) useTopic(p *Props) awssns.ITopic {
	if p.Topic != nil {
		w.topic = p.Topic
		w.useItsKey(p)
	} else {
		w.useKey(p)
		w.topic = awssns.NewTopic(w, jsii.String("Topic"), &awssns.TopicProps{
			DisplayName: jsii.String("Postern"),
			MasterKey:   w.key,
			EnforceSSL:  jsii.Bool(true),
		})
		if len(p.Emails) == 0 && p.Slack == nil && p.Teams == nil {
			tree.Warn(w, "watch-nobody-subscribed",
				"nobody is told when an alarm goes off: name addresses in Emails (watch.emails in the app's configuration), or subscribe to Topic() and acknowledge this")
		}
	}
	w.allow(policy.AlarmTopicStatements(w.scope, *w.topic.TopicArn()),
		policy.AlarmTopicStatements(policy.Placeholders(), "TOPIC_ARN"))
	return w.topic
}

func (w *Watch) allow(statements, readable []policy.Statement) {
	if !attach.ToTopic(w.topic, statements) {
		attach.Ask(w, "watch-topic-policy", "Topic", "notices are lost", readable)
	}
}

// useItsKey sees that CloudWatch and EventBridge can use the key of a topic that was
// brought. Of an imported one it is not known, and its warning says what is needed.
func (w *Watch) useItsKey(p *Props) {
	w.key = p.Key
	if w.key == nil {
		w.key = p.Topic.MasterKey()
	}
	if w.key != nil {
		w.letPublishersUse(w.key)
	}
}

func (w *Watch) useKey(p *Props) {
	w.key = p.Key
	if w.key == nil {
		w.key = w.newKey(w)
		return
	}
	w.letPublishersUse(w.key)
}

// newKey is for messages on their way, not for evidence: it goes with the topic.
func (w *Watch) newKey(scope constructs.Construct) awskms.IKey {
	key := awskms.NewKey(scope, jsii.String("Key"), &awskms.KeyProps{
		Description:       jsii.String("Encrypts notices about the ways into the network"),
		EnableKeyRotation: jsii.Bool(true),
		RemovalPolicy:     awscdk.RemovalPolicy_DESTROY,
	})
	w.letPublishersUse(key)
	return key
}

func (w *Watch) letPublishersUse(key awskms.IKey) {
	if !attach.ToKey(key, policy.TopicKeyStatements(w.scope)) {
		attach.Ask(w, "watch-key-policy", "Key", "notices are lost", policy.TopicKeyStatements(policy.Placeholders()))
	}
}

// AddHost adds the alarms of a host and a part of the dashboard. options may be
// nil.
func (w *Watch) AddHost(host Host, options *HostOptions) {
	o := options.withDefaults()
	if host == nil {
		var faults check.Faults
		faults.Add("host", "is nil", "pass a bastion")
		tree.Must("watch host", w, o.Name, faults.Err())
	}
	if o.Name == "" {
		o.Name = *host.Node().Id()
	}
	group := func(settings.Log) awslogs.ILogGroup { return o.LogGroup }
	if o.LogGroup == nil {
		if telling, ok := host.(interface{ LogGroup() awslogs.ILogGroup }); ok {
			o.LogGroup = telling.LogGroup()
		}
		if telling, ok := host.(interface {
			LogGroupOf(kind string) awslogs.ILogGroup
		}); ok {
			group = func(kind settings.Log) awslogs.ILogGroup { return telling.LogGroupOf(string(kind)) }
		}
	}
	tree.Must("watch host", w, o.Name, w.validateHost(&o))

	scope := constructs.NewConstruct(w, &o.Name)
	h := &watched{door: door{watch: w, scope: scope, name: o.Name}, path: *scope.Node().Path(), options: &o, periods: map[int]awscdk.Duration{}, notice: alarmText{host: o.Name, group: host.AutoScalingGroupName()}}
	h.group = group
	if balanced, ok := host.(interface {
		LoadBalancerNames() (loadBalancer, targetGroup string)
	}); ok {
		h.loadBalancer, h.targetGroup = balanced.LoadBalancerNames()
	}
	h.alarms()
	h.gather()
	if o.LogGroup != nil {
		for _, kind := range settings.Logs() {
			h.records = append(h.records, attach.LogGroupName(group(kind)))
		}
	}
	w.hosts = append(w.hosts, h)
}

func (w *Watch) validateHost(o *HostOptions) error {
	var faults check.Faults
	faults.Merge("", o.validate())
	if faults.Empty() && w.Node().TryFindChild(&o.Name) != nil {
		faults.Addf("Name", "give this host another in HostOptions", "the watch already has a %q", o.Name)
	}
	return faults.Err()
}

// publish is an alarm action: it sends the change to the topic.
type publish struct{ topicARN *string }

var _ awscloudwatch.IAlarmAction = (*publish)(nil)

// Bind implements awscloudwatch.IAlarmAction.
func (p *publish) Bind(constructs.Construct, awscloudwatch.IAlarm) *awscloudwatch.AlarmActionConfig {
	return &awscloudwatch.AlarmActionConfig{AlarmActionArn: p.topicARN}
}

// watched is one host while its alarms and widgets are made.
type watched struct {
	door
	records []string // names of its log groups
	path    string
	options *HostOptions
	notice  alarmText
	periods map[int]awscdk.Duration

	// group is where records of a kind go.
	group func(settings.Log) awslogs.ILogGroup
	// loadBalancer and targetGroup are dimensions, or "".
	loadBalancer, targetGroup string
}

func (h *watched) alarms() {
	o, n := h.options, h.notice
	wanted := h.metric("AWS/AutoScaling", "GroupDesiredCapacity", "Maximum", 1)
	running := h.metric("AWS/AutoScaling", "GroupInServiceInstances", "Minimum", 1)
	h.alarm("InService", n.outOfService(o.OutOfServiceMinutes), &condition{
		metric: h.expression(outOfService, 1, map[string]awscloudwatch.IMetric{desired: wanted, inService: running}),
		at:     1, periods: o.OutOfServiceMinutes, missing: awscloudwatch.TreatMissingData_BREACHING, class: availability, runbook: "in-service",
	})

	if h.loadBalancer != "" {
		h.balanced(wanted)
	}

	failed := h.metric("AWS/EC2", "StatusCheckFailed", "Maximum", 1)
	h.alarm("StatusCheck", n.statusCheck(), &condition{
		metric: failed, at: 1, periods: 3, missing: awscloudwatch.TreatMissingData_NOT_BREACHING, class: strain, runbook: "status-check",
	})

	cpu := h.metric("AWS/EC2", "CPUUtilization", "Average", loadPeriodMinutes)
	h.load("Cpu", n.cpu(o.CpuPercent), cpu, &condition{at: o.CpuPercent, class: strain, runbook: "cpu"})

	if o.LogGroup != nil {
		h.promises()
		h.occurrences()
	}
	if o.WithoutAgent {
		return
	}
	heard := h.metric(o.MetricsNamespace, "mem_used_percent", "SampleCount", silentPeriodMinutes)
	running = h.metric("AWS/AutoScaling", "GroupInServiceInstances", "Maximum", silentPeriodMinutes)
	h.alarm("AgentSilent", n.silent(o.SilentMinutes), &condition{
		metric: h.expression(silent, silentPeriodMinutes, map[string]awscloudwatch.IMetric{inService: running, beats: heard}),
		at:     1, periods: o.SilentMinutes / silentPeriodMinutes, missing: awscloudwatch.TreatMissingData_BREACHING, class: evidence, runbook: "agent-silent",
	})
	memory := h.metric(o.MetricsNamespace, "mem_used_percent", "Maximum", loadPeriodMinutes)
	disk := h.metric(o.MetricsNamespace, "disk_used_percent", "Maximum", loadPeriodMinutes)
	h.load("Memory", n.memory(o.MemoryPercent), memory, &condition{at: o.MemoryPercent, class: strain, runbook: "memory"})
	h.load("Disk", n.disk(o.DiskPercent), disk, &condition{at: o.DiskPercent, class: evidence, runbook: "disk"})
}

// promises alarms on what the host tells of itself, and on its telling nothing.
func (h *watched) promises() {
	o, n := h.options, h.notice
	broken := h.counted(hostalarm.HostPromise)
	told := h.counted(hostalarm.HostUnproven)
	h.measured("Arrival", arrival, "$.ms")
	h.alarm("HostPromise", n.broken(), &condition{
		metric: broken, at: 1, periods: 1, missing: awscloudwatch.TreatMissingData_NOT_BREACHING, class: evidence, runbook: "host-promise",
	})
	running := h.metric("AWS/AutoScaling", "GroupInServiceInstances", "Maximum", promisePeriodMinutes)
	h.alarm("HostUnproven", n.unproven(o.UnprovenMinutes), &condition{
		metric: h.expression(unproven, promisePeriodMinutes, map[string]awscloudwatch.IMetric{inService: running, checks: told}),
		at:     1, periods: o.UnprovenMinutes / promisePeriodMinutes, missing: awscloudwatch.TreatMissingData_BREACHING, class: evidence, runbook: "host-unproven",
	})
}

// load alarms on use that lasts. No data is no load: that the host is gone or
// silent is for other alarms to say.
func (h *watched) load(id, description string, metric awscloudwatch.IMetric, c *condition) {
	c.metric, c.periods, c.missing = metric, loadPeriods, awscloudwatch.TreatMissingData_NOT_BREACHING
	h.alarm(id, description, c)
}

// condition goes off when metric is at or above a value for some periods.
type condition struct {
	metric  awscloudwatch.IMetric
	at      int
	periods int
	missing awscloudwatch.TreatMissingData
	class   class
	runbook runbook.Page // docs/runbooks/PAGE.md
	door    bool         // a door has the alarm, and gathers it by its class
}

// alarm tells when a condition begins to hold and when it is over. Its text ends
// with a full stop; where the runbook is, is added.
func (w *Watch) alarm(scope constructs.Construct, id, description string, c *condition) (arn string) {
	description, err := c.runbook.Description(description)
	tree.Must("watch alarm", scope, id, err)
	alarm := awscloudwatch.NewAlarm(scope, &id, &awscloudwatch.AlarmProps{
		AlarmDescription:   &description,
		Metric:             c.metric,
		ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
		Threshold:          jsii.Number(float64(c.at)),
		EvaluationPeriods:  jsii.Number(float64(c.periods)),
		TreatMissingData:   c.missing,
	})
	arn = *alarm.AlarmArn()
	w.made = append(w.made, made{arn: arn, class: c.class})
	if c.door && c.class.gathered() {
		tree.Acknowledge(alarm, "The composite alarm of its door tells of it.", "NIST.800.53.R5-CloudWatchAlarmAction")
		return arn
	}
	alarm.AddAlarmAction(w.action)
	alarm.AddOkAction(w.action)
	return arn
}

func (h *watched) metric(namespace, name, statistic string, minutes int) awscloudwatch.Metric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: &namespace, MetricName: &name, Statistic: &statistic,
		Period:        h.period(minutes),
		DimensionsMap: &map[string]*string{"AutoScalingGroupName": &h.notice.group},
	})
}

// period is made once for each length: every one is a call to another process.
func (h *watched) period(minutes int) awscdk.Duration {
	if h.periods[minutes] == nil {
		h.periods[minutes] = awscdk.Duration_Minutes(jsii.Number(float64(minutes)))
	}
	return h.periods[minutes]
}

func (h *watched) expression(text string, minutes int, metrics map[string]awscloudwatch.IMetric) awscloudwatch.MathExpression {
	return awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
		Expression:   &text,
		Period:       h.period(minutes),
		UsingMetrics: &metrics,
	})
}
