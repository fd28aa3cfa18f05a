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
	// ExistingTrail says that the account has a CloudTrail trail that logs
	// management events in the region: none is made, and notices come from it.
	ExistingTrail bool `yaml:"existingTrail"`
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
	trailPattern    = regexp.MustCompile(`^arn:aws[a-z-]*:cloudtrail:[a-z0-9-]+:\d{12}:trail/[A-Za-z0-9._-]+$`)
	logGroupPattern = regexp.MustCompile(`^[A-Za-z0-9_./#-]{1,512}$`)
	callerPattern   = regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:(user|role)/[^"\\*\s]+$`)
)

func (t *Trail) validate(c *Config, f *check.Faults) {
	matches(f, "trail.arn", t.Arn, trailPattern, "take it from aws cloudtrail describe-trails, such as arn:aws:cloudtrail:eu-west-1:111122223333:trail/Audit")
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
	for i, email := range w.Emails {
		f.Check(fmt.Sprintf("watch.emails[%d]", i), check.Email(email))
	}
	arn(f, "watch.topicArn", w.TopicArn, "sns")
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
