package watch

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"

	"github.com/postern-cdk/postern/internal/check"
)

// What a [Watch] does for a host where HostOptions says nothing.
const (
	DefaultOutOfServiceMinutes = 10
	DefaultSilentMinutes       = 15
	DefaultCpuPercent          = 90
	DefaultMemoryPercent       = 90
	DefaultDiskPercent         = 85
	DefaultUnprovenMinutes     = 30
	DefaultMetricsNamespace    = "Postern/Bastion"

	DefaultFailedKeysPerTenMinutes   = 20
	DefaultInvalidUsersPerTenMinutes = 5
	DefaultSudoPerTenMinutes         = 1
	DefaultUnhealthyMinutes          = 5
)

// An alarm looks back a day at most
// (docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html).
const maxMinutes = 24 * 60

// maxLines in ten minutes: where more are nothing to report, nothing is.
const maxLines = 100_000

// Props says who is told and how. Its zero value, and nil, make a topic that
// nobody has subscribed to yet.
type Props struct {
	// Topic takes the notices in place of one made here. Its encryption is then
	// yours: a customer managed key must let cloudwatch.amazonaws.com use it.
	//
	// A topic of the same app gets the statement that lets alarms publish. The
	// policy of an imported one can't be changed: a warning lists what to add.
	Topic awssns.ITopic

	// Key encrypts the topic made here, such as the key of an archive. Nil makes a
	// customer managed key with yearly rotation ($1 a month).
	//
	// Beside Topic it is the key of that topic: of one of the same app it is known
	// without, of an imported one it is not. The key that AWS manages for SNS is
	// refused: CloudWatch and EventBridge can't use it, and say so nowhere.
	Key awskms.IKey

	// Emails are addresses to subscribe to the topic. SNS asks each to confirm. Whoever
	// has one of the e-mails can unsubscribe by its link, which CloudTrail does not see,
	// unless it was confirmed by aws sns confirm-subscription with
	// --authenticate-on-unsubscribe true
	// (docs.aws.amazon.com/sns/latest/api/API_ConfirmSubscription.html).
	Emails []string

	// Trail is the CloudTrail trail that notices come from by EventBridge, and in
	// whose log group the alarms of [Watch.AddAccountAlarms] count: one that package
	// trail made or stands for. Without it, and without ExistingTrail, a warning says
	// that no notices will come.
	Trail Trail

	// ExistingTrail says that a CloudTrail trail of the account, or of its
	// organization, logs management events in this region, where Trail does not name
	// it.
	ExistingTrail bool

	// Slack and Teams are chat channels that get alarms and notices, too. People in
	// them can have AWS do nothing: nothing of it is allowed to them, whatever role they
	// bring. The service is free; where no key is known, another is made ($1 a month).
	Slack *Slack
	Teams *Teams

	// TimeZone is where people are, such as "Europe/Berlin": notices have the time there,
	// and OfficeHours are there where they name no other. Empty is that of OfficeHours,
	// or UTC.
	//
	// TimeZone, OfficeHours and KnownRanges each have a function send the notices, in
	// the same words, instead of EventBridge alone. It costs nothing at the usual
	// numbers of calls, and one alarm ($0.10 a month).
	TimeZone string

	// OfficeHours are when people are expected to work: a login to a host outside of
	// them is an alarm, and a notice of what happens then begins with ABNORMAL. Nil
	// expects them at any time.
	OfficeHours *OfficeHours

	// KnownRanges are the addresses that people work from, as CIDR blocks. A notice of
	// what comes from elsewhere begins with ABNORMAL, but for what AWS services do on
	// somebody's behalf, and what comes through VPC endpoints of the account. None is
	// every address.
	KnownRanges []string

	// FunctionFile is the file that bin/functionzip made of that function, for where
	// there is no Go or not its modules at synthesis. Defaults to building it, of the
	// very version of this module.
	FunctionFile string

	// DashboardName is the name of the dashboard: letters, digits, "-" and "_", up
	// to 255. Empty lets CloudFormation choose one.
	DashboardName string
}

// HostOptions says when a host is reported. Its zero value, and nil, stand for
// the defaults.
type HostOptions struct {
	// Name is how titles, notices and IDs call the host. Empty stands for its
	// construct ID.
	Name string

	// OutOfServiceMinutes is how long the group may lack an instance that it
	// wants, 1 to 1440. 0 stands for [DefaultOutOfServiceMinutes].
	OutOfServiceMinutes int

	// SilentMinutes is how long the agent may send nothing, a multiple of 5 from 5
	// to 1440. It must be longer than the host takes to boot. 0 stands for
	// [DefaultSilentMinutes].
	SilentMinutes int

	// CpuPercent is the CPU use that is reported when it lasts 15 minutes, 1 to
	// 100. 0 stands for [DefaultCpuPercent].
	CpuPercent int

	// MemoryPercent is the memory use that is reported when it lasts 15 minutes, 1
	// to 100. 0 stands for [DefaultMemoryPercent].
	MemoryPercent int

	// DiskPercent is the disk use that is reported when it lasts 15 minutes, 1 to
	// 100. 0 stands for [DefaultDiskPercent].
	DiskPercent int

	// LogGroup takes what the host tells of its promises, of logins and of sudo. Nil
	// stands for the host's own, where it has a method LogGroup, as a bastion does;
	// without one there are no alarms on any of it.
	LogGroup awslogs.ILogGroup

	// FailedKeysPerTenMinutes is how many keys and one-time codes of people with an
	// account may be refused before it is reported, 1 to 100000. A client offers all
	// keys that its agent has, so that a few are nothing. 0 stands for
	// [DefaultFailedKeysPerTenMinutes].
	FailedKeysPerTenMinutes int

	// InvalidUsersPerTenMinutes is how often somebody without an account may try
	// before it is reported, 1 to 100000. 0 stands for
	// [DefaultInvalidUsersPerTenMinutes].
	InvalidUsersPerTenMinutes int

	// SudoPerTenMinutes is how many uses of sudo are reported, granted or refused, 1
	// to 100000. 0 stands for [DefaultSudoPerTenMinutes]: each.
	SudoPerTenMinutes int

	// UnhealthyMinutes is how long the load balancer of a host that has one may find
	// no healthy instance, 1 to 1440. 0 stands for [DefaultUnhealthyMinutes].
	UnhealthyMinutes int

	// UnprovenMinutes is how long the host may report no check of its promises, a
	// multiple of 10 from 20 to 1440. It checks itself every five minutes. 0 stands
	// for [DefaultUnprovenMinutes].
	UnprovenMinutes int

	// MetricsNamespace is where the CloudWatch agent puts its metrics. Empty stands
	// for [DefaultMetricsNamespace].
	MetricsNamespace string

	// WithoutAgent gives up the alarms on a silent agent, on memory and on disk,
	// for a host that runs no CloudWatch agent.
	WithoutAgent bool
}

// Trail is a CloudTrail trail that logs management events in this region. One of
// package trail is such, made or imported.
type Trail interface {
	// TrailArn is its ARN.
	TrailArn() string
	// LogGroup takes the events, too. It is nil where there is none.
	LogGroup() awslogs.ILogGroup
}

func (p *Props) withDefaults() Props {
	if p == nil {
		return Props{}
	}
	q := *p
	if q.OfficeHours != nil {
		hours := q.OfficeHours.withDefaults()
		if hours.TimeZone == "" {
			hours.TimeZone = q.TimeZone
		}
		q.OfficeHours = &hours
	}
	return q
}

var (
	// docs.aws.amazon.com/systems-manager/latest/APIReference/API_CreateDocument.html
	documentName  = regexp.MustCompile(`^[A-Za-z0-9_.-]{3,128}$`)
	dashboardName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)
	namespace     = regexp.MustCompile(`^[^:][A-Za-z0-9 ._/#:-]{0,254}$`)
)

func (p *Props) validate() error {
	var faults check.Faults
	p.validateChat(&faults)
	p.validateUsual(&faults)
	if p.Trail != nil && p.ExistingTrail {
		faults.Add("ExistingTrail", "says that there is a trail, but Trail names it", "leave it out")
	}
	seen := map[string]int{}
	for i, email := range p.Emails {
		field := fmt.Sprintf("Emails[%d]", i)
		faults.Check(field, check.Email(email))
		if first, twice := seen[strings.ToLower(email)]; twice {
			faults.Addf(field, "leave it out", "%q is the same as Emails[%d]", email, first)
			continue
		}
		seen[strings.ToLower(email)] = i
	}
	if p.OfficeHours != nil {
		faults.Merge("OfficeHours", p.OfficeHours.validate())
	}
	if name := p.DashboardName; name != "" && !check.Token(name) && !dashboardName.MatchString(name) {
		faults.Addf("DashboardName", `use letters, digits, "-" and "_", up to 255`, "%q is no name of a dashboard", name)
	}
	return faults.Err()
}

// validateKey asks the collaborators for what they are encrypted with.
func (p *Props) validateKey() error {
	var faults check.Faults
	if p.Key != nil && unusable(p.Key.KeyArn()) {
		faults.Add("Key", "is the key that AWS manages for SNS, whose policy can't be changed: alarms and notices would be lost, and nothing would say so",
			"leave it out to have one made, or pass a customer managed key")
	}
	if p.Topic != nil && unusable(keyOf(p.Topic)) {
		faults.Add("Topic", "is encrypted with the key that AWS manages for SNS, which CloudWatch and EventBridge can't use: alarms and notices would be lost, and nothing would say so",
			"encrypt it with a customer managed key (MasterKey), or leave it out to have one made")
	}
	// docs.aws.amazon.com/sns/latest/api/API_Publish.html
	if p.Topic != nil && isTrue(p.Topic.Fifo()) {
		faults.Add("Topic", "is a FIFO topic, which takes messages of a group only, and alarms and notices have none: they would be lost",
			"pass a standard topic, or leave it out to have one made")
	}
	return faults.Err()
}

func isTrue(b *bool) bool { return b != nil && *b }

// keyOf is what a topic of the same app is encrypted with, by whatever it is named;
// nil where it is not known.
func keyOf(topic awssns.ITopic) *string {
	if made, ok := topic.Node().DefaultChild().(awssns.CfnTopic); ok {
		return made.KmsMasterKeyId()
	}
	return nil
}

// unusable tells of the key that every account has for SNS.
//
// docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
// docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
func unusable(key *string) bool {
	return key != nil && strings.HasSuffix(*key, "alias/aws/sns")
}

func (o *HostOptions) withDefaults() HostOptions {
	var q HostOptions
	if o != nil {
		q = *o
	}
	for _, field := range []struct {
		value    *int
		fallback int
	}{
		{&q.OutOfServiceMinutes, DefaultOutOfServiceMinutes},
		{&q.SilentMinutes, DefaultSilentMinutes},
		{&q.CpuPercent, DefaultCpuPercent},
		{&q.MemoryPercent, DefaultMemoryPercent},
		{&q.DiskPercent, DefaultDiskPercent},
		{&q.UnprovenMinutes, DefaultUnprovenMinutes},
		{&q.FailedKeysPerTenMinutes, DefaultFailedKeysPerTenMinutes},
		{&q.InvalidUsersPerTenMinutes, DefaultInvalidUsersPerTenMinutes},
		{&q.SudoPerTenMinutes, DefaultSudoPerTenMinutes},
		{&q.UnhealthyMinutes, DefaultUnhealthyMinutes},
	} {
		if *field.value == 0 {
			*field.value = field.fallback
		}
	}
	if q.MetricsNamespace == "" {
		q.MetricsNamespace = DefaultMetricsNamespace
	}
	return q
}

// validate examines options whose defaults are filled in.
func (o *HostOptions) validate() error {
	var faults check.Faults
	if strings.Contains(o.Name, "/") || check.Token(o.Name) {
		faults.Addf("Name", "use plain text without slashes", "%q can't be the ID of a construct", o.Name)
	}
	faults.Check("OutOfServiceMinutes", check.Between(o.OutOfServiceMinutes, 1, maxMinutes))
	if silent := o.SilentMinutes; silent < silentPeriodMinutes || silent > maxMinutes || silent%silentPeriodMinutes != 0 {
		faults.Addf("SilentMinutes", fmt.Sprintf("use a multiple of %d from %d to %d", silentPeriodMinutes, silentPeriodMinutes, maxMinutes),
			"%d can't be counted in steps of %d minutes", silent, silentPeriodMinutes)
	}
	if unproven := o.UnprovenMinutes; unproven < 2*promisePeriodMinutes || unproven > maxMinutes || unproven%promisePeriodMinutes != 0 {
		faults.Addf("UnprovenMinutes", fmt.Sprintf("use a multiple of %d from %d to %d", promisePeriodMinutes, 2*promisePeriodMinutes, maxMinutes),
			"%d can't be counted in steps of %d minutes", unproven, promisePeriodMinutes)
	}
	faults.Check("FailedKeysPerTenMinutes", check.Between(o.FailedKeysPerTenMinutes, 1, maxLines))
	faults.Check("InvalidUsersPerTenMinutes", check.Between(o.InvalidUsersPerTenMinutes, 1, maxLines))
	faults.Check("SudoPerTenMinutes", check.Between(o.SudoPerTenMinutes, 1, maxLines))
	faults.Check("UnhealthyMinutes", check.Between(o.UnhealthyMinutes, 1, maxMinutes))
	faults.Check("CpuPercent", check.Between(o.CpuPercent, 1, 100))
	faults.Check("MemoryPercent", check.Between(o.MemoryPercent, 1, 100))
	faults.Check("DiskPercent", check.Between(o.DiskPercent, 1, 100))
	if name := o.MetricsNamespace; !check.Token(name) && (!namespace.MatchString(name) || strings.HasPrefix(name, "AWS/")) {
		faults.Addf("MetricsNamespace", `use letters, digits and ._/#:-, not beginning with ":" or "AWS/", up to 255`,
			"%q is no namespace that an agent can write to", name)
	}
	return faults.Err()
}
