package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/postern-cdk/postern/internal/accountalarm"
	"github.com/postern-cdk/postern/internal/check"
)

// Trail configures the record of API calls, which notices come from.
type Trail struct {
	// Arn is a CloudTrail trail of yours that logs management events in the region.
	// Defaults to a new one, into the archive. See watch.existingTrail, too.
	Arn string `yaml:"arn"`
	// LogGroupName is the log group that the trail of Arn writes to, in this account
	// and region.
	LogGroupName string `yaml:"logGroupName"`
	// LogGroup has the new trail write to a log group, too: $0.50 a GB. Alarms on the
	// account need it and bring it along.
	LogGroup bool `yaml:"logGroup"`
	// RecordObjects records who reads, writes and deletes objects in the archive's
	// bucket, too.
	RecordObjects bool `yaml:"recordObjects"`
	// OrganizationID makes the new trail that of the whole organization, whose
	// management account this must be.
	OrganizationID string `yaml:"organizationId"`
}

// Made reports whether a trail is made.
func (t *Trail) Made(c *Config) bool { return t.Arn == "" && !c.Watch.ExistingTrail }

// Watch configures who is told.
type Watch struct {
	// Emails get every alarm. Each must confirm its subscription.
	Emails []string `yaml:"emails"`
	// TopicArn is an SNS topic of yours. Defaults to a new one.
	TopicArn string `yaml:"topicArn"`
	// TopicKeyArn is the key of that topic. Notices in chat have one, too.
	TopicKeyArn string `yaml:"topicKeyArn"`
	// Slack and Teams are chat channels that get alarms and notices, too.
	Slack *Slack `yaml:"slack"`
	Teams *Teams `yaml:"teams"`
	// ExistingTrail says that the account has a CloudTrail trail that logs
	// management events in the region: none is made, and notices come from it.
	ExistingTrail bool `yaml:"existingTrail"`
	// TimeZone is where people are: notices have the time there. Defaults to UTC.
	TimeZone string `yaml:"timeZone"`
	// OfficeHours are when people work: what happens at another time is told as
	// abnormal, and a login to the bastion is an alarm. Defaults to all hours.
	OfficeHours *OfficeHours `yaml:"officeHours"`
	// KnownRanges are addresses that people work from: what comes from elsewhere is
	// told as abnormal. Defaults to all.
	KnownRanges []string `yaml:"knownRanges"`
	// FunctionFile is a file that bin/functionzip made of the function that these three
	// need, for where there is no Go.
	FunctionFile string `yaml:"functionFile"`
	// Host is when the bastion is reported.
	Host WatchedHost `yaml:"host"`
	// Endpoints is when those that Session Manager goes through are reported.
	Endpoints WatchedEndpoints `yaml:"endpoints"`
	// Sessions are told of.
	Sessions WatchedSessions `yaml:"sessions"`
	// Events are told of.
	Events WatchedEvents `yaml:"events"`
	// Account are alarms on what happens in the account.
	Account WatchedAccount `yaml:"account"`
	// NoQueries leaves the saved queries out.
	NoQueries bool `yaml:"noQueries"`
}

// WatchedSessions configures notices of sessions of Session Manager.
type WatchedSessions struct {
	// Notices tell of each session that is started: who, from where, to what.
	Notices bool `yaml:"notices"`
	// Resumed tells of sessions that are taken up again, too.
	Resumed bool `yaml:"resumed"`
	// Ended tells of sessions that were ended by a call, too.
	Ended bool `yaml:"ended"`
	// Quiet are session documents whose sessions nobody is told of.
	Quiet []string `yaml:"quiet"`
}

// WatchedEvents configures notices of what else CloudTrail sees.
type WatchedEvents struct {
	// NoTampering gives up notices of changes to what keeps records or lets people in.
	NoTampering bool `yaml:"noTampering"`
	// NoSerialConsole gives up notices of keys pushed to a serial console, which is a
	// way in that nothing here records.
	NoSerialConsole bool `yaml:"noSerialConsole"`
	// NoFailedAttempts gives up notices of refused attempts to come in.
	NoFailedAttempts bool `yaml:"noFailedAttempts"`
	// Tunnels tells of tunnels through EC2 Instance Connect Endpoint and of keys
	// pushed for them.
	Tunnels bool `yaml:"tunnels"`
	// Root tells of all that the account's root user does.
	Root bool `yaml:"root"`
}

// WatchedAccount configures the alarms of the CIS AWS Foundations Benchmark.
type WatchedAccount struct {
	// Alarms makes them. They count in the log group of the trail.
	Alarms bool `yaml:"alarms"`
	// Without are alarms to leave out.
	Without []string `yaml:"without"`
	// RefusedCalls and ConsoleFailures are how many within five minutes are an alarm.
	// They default to 1, as the benchmark asks for.
	RefusedCalls    int `yaml:"refusedCalls"`
	ConsoleFailures int `yaml:"consoleFailures"`
	// QuietCallers are IAM users and roles whose refused calls don't count.
	QuietCallers []string `yaml:"quietCallers"`
}

var (
	logGroupPattern = regexp.MustCompile(`^[A-Za-z0-9_./#-]{1,512}$`)
	callerPattern   = regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:(user|role)/[^"\\*\s]+$`)
)

func (t *Trail) validate(c *Config, f *check.Faults) {
	c.arn(f, "trail.arn", t.Arn, trailARN)
	matches(f, "trail.logGroupName", t.LogGroupName, logGroupPattern, "write the name alone: up to 512 letters, digits and _./#-")
	matches(f, "trail.organizationId", t.OrganizationID, organizationPattern, "write it as AWS Organizations does, such as o-a1b2c3d4e5")
	if t.LogGroupName != "" && t.Arn == "" {
		f.Add("trail.logGroupName", "is set, but trail.arn names no trail of yours", "write trail.arn, too, or trail.logGroup: true for a new trail")
	}
	if t.Arn != "" && c.Watch.ExistingTrail {
		f.Add("watch.existingTrail", "says that there is a trail, but trail.arn names it", "remove it")
	}
	if t.Made(c) {
		return
	}
	for _, own := range []struct {
		key string
		set bool
	}{{"logGroup", t.LogGroup}, {"recordObjects", t.RecordObjects}, {"organizationId", t.OrganizationID != ""}} {
		if own.set {
			f.Add("trail."+own.key, "describes a new trail, but trail.arn or watch.existingTrail says that there is one", "remove one of them")
		}
	}
}

func (w *Watch) validate(c *Config, f *check.Faults) {
	unique(f, "watch.emails", w.Emails)
	for i, email := range w.Emails {
		f.Check(fmt.Sprintf("watch.emails[%d]", i), check.Email(email))
	}
	w.validateTopic(c, f)
	w.validateUsual(f)
	w.Host.validate(c, f)
	w.Endpoints.validate(c, f)
	for i, name := range w.Sessions.Quiet {
		field := fmt.Sprintf("watch.sessions.quiet[%d]", i)
		matches(f, field, name, sessionDocumentPattern, "write the name of a session document, 3 to 128 letters, digits and _.-")
		if slices.Contains(w.Sessions.Quiet[:i], name) {
			f.Addf(field, "leave one out", "%q is in the list already", name)
		}
	}
	if !w.Sessions.Notices && (w.Sessions.Resumed || w.Sessions.Ended || w.Sessions.Quiet != nil) {
		f.Add("watch.sessions.notices", "is missing, but other keys say which notices to send", "set it to true, or remove them")
	}
	w.Account.validate(c, f)
}

func (a *WatchedAccount) validate(c *Config, f *check.Faults) {
	var names []string
	for _, alarm := range accountalarm.All() {
		names = append(names, alarm.Name)
	}
	for i, name := range a.Without {
		f.Check(fmt.Sprintf("watch.account.without[%d]", i), check.OneOf(name, names...))
	}
	for _, threshold := range []struct {
		key   string
		value int
	}{{"refusedCalls", a.RefusedCalls}, {"consoleFailures", a.ConsoleFailures}} {
		if threshold.value != 0 {
			f.Check("watch.account."+threshold.key, check.Between(threshold.value, 1, 100000))
		}
	}
	quiet := true
	for i, caller := range a.QuietCallers {
		field := fmt.Sprintf("watch.account.quietCallers[%d]", i)
		if !callerPattern.MatchString(caller) {
			quiet = false
			f.Addf(field, "write the ARN of an IAM user or role, such as arn:aws:iam::111122223333:role/Scanner, not of a session",
				"%q is not the ARN of a user or role", caller)
		}
	}
	if quiet && len(a.QuietCallers) > 0 {
		a.validateLength(f)
	}
	if !a.Alarms {
		if a.Without != nil || a.RefusedCalls != 0 || a.ConsoleFailures != 0 || a.QuietCallers != nil {
			f.Add("watch.account.alarms", "is missing, but other keys say which alarms to make", "set it to true, or remove them")
		}
		return
	}
	if !c.Trail.Made(c) && c.Trail.LogGroupName == "" {
		f.Add("watch.account.alarms", "counts in the log group of the trail, and none is known of the trail that there is",
			"write trail.arn and trail.logGroupName instead of watch.existingTrail, or remove it")
	}
}

// validateLength sees that the callers fit into what a filter can be: 1,024
// characters.
func (a *WatchedAccount) validateLength(f *check.Faults) {
	var users, roles []string
	for _, caller := range a.QuietCallers {
		if strings.Contains(caller, ":user/") {
			users = append(users, caller)
		} else {
			roles = append(roles, caller)
		}
	}
	refused, _ := accountalarm.Named("refused-calls")
	for _, pattern := range refused.Patterns() {
		if fault := accountalarm.Check(accountalarm.Without(pattern, users, roles)); fault != nil {
			f.Check("watch.account.quietCallers", fault)
			return
		}
	}
}

// OfficeHours are when people work.
type OfficeHours struct {
	// Days such as MON. Defaults to MON to FRI.
	Days []Day `yaml:"days"`
	// From and Until are times of day such as 08:00. Until before From is on the day
	// after.
	From  string `yaml:"from"`
	Until string `yaml:"until"`
}

// Slack is a channel, by the IDs that its workspace shows.
type Slack struct {
	WorkspaceID string `yaml:"workspaceId"`
	ChannelID   string `yaml:"channelId"`
}

// Teams is a channel of Microsoft Teams.
type Teams struct {
	TenantID  string `yaml:"tenantId"`
	TeamID    string `yaml:"teamId"`
	ChannelID string `yaml:"channelId"`
}

// WatchedHost says when the bastion is reported. What is left out has the defaults
// of the construct.
type WatchedHost struct {
	FailedKeysPerTenMinutes   int `yaml:"failedKeysPerTenMinutes"`
	InvalidUsersPerTenMinutes int `yaml:"invalidUsersPerTenMinutes"`
	SudoPerTenMinutes         int `yaml:"sudoPerTenMinutes"`
	UnhealthyMinutes          int `yaml:"unhealthyMinutes"`
}

// WatchedEndpoints says when the interface endpoints made here that Session Manager
// goes through are reported.
type WatchedEndpoints struct {
	// DroppedPackets of one endpoint within five minutes, three times in a row, are an
	// alarm. What is left out has the default of the construct.
	DroppedPackets int `yaml:"droppedPackets"`
	// NoAlarms gives up being told that Session Manager's endpoints drop packets: $0.10
	// a month for each and $0.50 for the alarm of the door.
	NoAlarms bool `yaml:"noAlarms"`
}

// Compliance configures what AWS Config and Inspector ask of the account.
type Compliance struct {
	// Rules makes Config rules on the recorder that there is.
	Rules bool `yaml:"rules"`
	// ExistingRecorder says that AWS Config records in this account and region.
	ExistingRecorder bool `yaml:"existingRecorder"`
	// Without are rules to leave out.
	Without []string `yaml:"without"`
	// BlockedPorts must not be open to everybody. Defaults to 22 and 3389.
	BlockedPorts []int `yaml:"blockedPorts"`
	// CisScan holds the bastion against the CIS benchmark once a week. Defaults to none.
	CisScan *CisScan `yaml:"cisScan"`
}

// CisScan is a scan of the bastion by Inspector.
type CisScan struct {
	// Level of the benchmark, 1 (the default) or 2.
	Level int `yaml:"level"`
	// Day of the week, such as SUN (the default), and Time in UTC, such as 03:00.
	Day  Day    `yaml:"day"`
	Time string `yaml:"time"`
}

// ComplianceRules are the rules that can be left out.
var ComplianceRules = []string{
	"restricted-ssh", "restricted-common-ports", "ec2-imdsv2-check", "vpc-flow-logs-enabled", "encrypted-volumes",
	"ec2-instance-managed-by-systems-manager", "cloudwatch-log-group-encrypted",
}

// The forms that Amazon Q Developer in chat applications takes, as in
// constructs/watch.
var (
	slackPattern   = regexp.MustCompile(`^[0-9A-Z]{1,255}$`)
	uuidPattern    = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	teamsPattern   = regexp.MustCompile(`^([a-zA-Z0-9_=+/.,-]|%[0-9a-fA-F]{2})+$`)
	minutesPattern = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)
)

// validateUsual looks at what is usual, and at chat.
func (w *Watch) validateUsual(f *check.Faults) {
	f.Check("watch.timeZone", check.TimeZone(w.TimeZone))
	if h := w.OfficeHours; h != nil {
		some(f, "watch.officeHours.days", h.Days, "MON to FRI")
		for i, day := range h.Days {
			at := fmt.Sprintf("watch.officeHours.days[%d]", i)
			f.Check(at, check.OneOf(day, days...))
			if slices.Contains(h.Days[:i], day) {
				f.Addf(at, "leave one out", "%q is in the list already", day)
			}
		}
		for _, at := range []struct{ key, value string }{{"from", h.From}, {"until", h.Until}} {
			if !minutesPattern.MatchString(at.value) {
				f.Addf("watch.officeHours."+at.key, "write hours and minutes, such as 08:00", "%q is no time of day", at.value)
			}
		}
		if h.From == h.Until && h.From != "" {
			f.Addf("watch.officeHours.until", "write a later one", "%q is when they begin, so that nothing would be outside of them", h.Until)
		}
	}
	for i, cidr := range w.KnownRanges {
		at := fmt.Sprintf("watch.knownRanges[%d]", i)
		switch {
		case check.CIDR(cidr) != nil:
			f.Check(at, check.CIDR(cidr))
		case check.Everyone(cidr):
			f.Addf(at, "name the addresses that people work from, or remove watch.knownRanges", "%q is every address, so none would be unknown", cidr)
		case slices.Contains(w.KnownRanges[:i], cidr):
			f.Addf(at, "leave one out", "%q is in the list already", cidr)
		}
	}
	if w.FunctionFile != "" && w.TimeZone == "" && w.OfficeHours == nil && len(w.KnownRanges) == 0 {
		f.Add("watch.functionFile", "is for the function that watch.timeZone, officeHours and knownRanges need", "write one of them, or remove it")
	} else {
		readable(f, "watch.functionFile", w.FunctionFile, "make it by go run ./bin/functionzip")
	}
	if s := w.Slack; s != nil {
		required(f, "watch.slack.workspaceId", s.WorkspaceID, slackPattern, "take it from the console of Amazon Q Developer in chat applications, such as T012ABCDEFG")
		required(f, "watch.slack.channelId", s.ChannelID, slackPattern, "take the end of the channel's link, such as C012ABCDEFG")
	}
	if t := w.Teams; t != nil {
		required(f, "watch.teams.tenantId", t.TenantID, uuidPattern, "take tenantId of the channel's link, a UUID")
		required(f, "watch.teams.teamId", t.TeamID, uuidPattern, "take groupId of the channel's link, a UUID")
		required(f, "watch.teams.channelId", t.ChannelID, teamsPattern, "take it from the channel's link as it is there, such as 19%3Aab12...%40thread.tacv2")
	}
}

// required is what must be there in a form.
func required(f *check.Faults, field, value string, form *regexp.Regexp, fix string) {
	if value == "" {
		f.Add(field, "is missing", fix)
	}
	matches(f, field, value, form, fix)
}

// validateTopic refuses a key that alarms can't use: they would be lost, and
// nothing would say so.
func (w *Watch) validateTopic(c *Config, f *check.Faults) {
	c.arn(f, "watch.topicArn", w.TopicArn, topicARN)
	if w.TopicKeyArn == "" {
		return
	}
	if w.TopicArn == "" {
		f.Add("watch.topicKeyArn", "is of a topic of yours, and watch.topicArn names none", "write watch.topicArn, or archive.keyArn for a topic made here")
	}
	if strings.HasSuffix(w.TopicKeyArn, "alias/aws/sns") {
		f.Addf("watch.topicKeyArn", "encrypt the topic with a customer managed key whose policy lets cloudwatch.amazonaws.com and events.amazonaws.com use it",
			"%q is AWS's own key, which CloudWatch and EventBridge can't use: alarms and notices would be lost, and nothing would say so", w.TopicKeyArn)
		return
	}
	c.arn(f, "watch.topicKeyArn", w.TopicKeyArn, keyARN)
}

func (h *WatchedHost) validate(c *Config, f *check.Faults) {
	for _, threshold := range []struct {
		key        string
		value, max int
	}{
		{"failedKeysPerTenMinutes", h.FailedKeysPerTenMinutes, 100000},
		{"invalidUsersPerTenMinutes", h.InvalidUsersPerTenMinutes, 100000},
		{"sudoPerTenMinutes", h.SudoPerTenMinutes, 100000},
		{"unhealthyMinutes", h.UnhealthyMinutes, 1440},
	} {
		if threshold.value == 0 {
			continue
		}
		f.Check("watch.host."+threshold.key, check.Between(threshold.value, 1, threshold.max))
		if c.Bastion.Absent {
			f.Add("watch.host."+threshold.key, "is set, but bastion.absent leaves the bastion out", "remove one of them")
		}
	}
}

func (e *WatchedEndpoints) validate(c *Config, f *check.Faults) {
	if e.DroppedPackets == 0 {
		return
	}
	const key = "watch.endpoints.droppedPackets"
	f.Check(key, check.Between(e.DroppedPackets, 1, 1000000))
	switch {
	case e.NoAlarms:
		f.Add(key, "is set, but watch.endpoints.noAlarms gives the alarms up", "remove one of them")
	case !c.Endpoints.carrySessions(c):
		f.Add(key, "is set, but no endpoint that Session Manager goes through is made here, and only those are watched", "remove it")
	}
}

func (p *Compliance) validate(c *Config, f *check.Faults) {
	for i, rule := range p.Without {
		f.Check(fmt.Sprintf("compliance.without[%d]", i), check.OneOf(rule, ComplianceRules...))
	}
	if len(p.BlockedPorts) > 5 {
		f.Addf("compliance.blockedPorts", "name those that matter most", "%d ports are more than the 5 that the rule takes", len(p.BlockedPorts))
	}
	for i, port := range p.BlockedPorts {
		f.Check(fmt.Sprintf("compliance.blockedPorts[%d]", i), check.Port(port))
		if slices.Contains(p.BlockedPorts[:i], port) {
			f.Addf(fmt.Sprintf("compliance.blockedPorts[%d]", i), "leave one out", "%d is in the list already", port)
		}
	}
	if !p.Rules && (p.ExistingRecorder || p.Without != nil || p.BlockedPorts != nil) {
		f.Add("compliance.rules", "is missing, but other keys say which rules to make", "set it to true, or remove them")
	}
	s := p.CisScan
	if s == nil {
		return
	}
	if c.Bastion.Absent {
		f.Add("compliance.cisScan", "scans the bastion, and bastion.absent leaves it out", "remove one of them")
	}
	if s.Level != 0 {
		f.Check("compliance.cisScan.level", check.Between(s.Level, 1, 2))
	}
	if s.Day != "" {
		f.Check("compliance.cisScan.day", check.OneOf(s.Day, days...))
	}
	matches(f, "compliance.cisScan.time", s.Time, minutesPattern, "write hours and minutes in UTC, such as 03:00")
}
