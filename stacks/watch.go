package stacks

import (
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/compliance"
	"github.com/postern-cdk/postern/constructs/watch"
	"github.com/postern-cdk/postern/stacks/config"
)

type watchStack struct {
	awscdk.Stack
	watch *watch.Watch
}

// Topic is where every alarm goes.
func (s *watchStack) Topic() awssns.ITopic { return s.watch.Topic() }

func newWatchStack(scope constructs.Construct, c *config.Config, a *archiveStack, n *networkStack, d *accessStack) *watchStack {
	s := &watchStack{}
	awscdk.NewStack_Override(s, scope, jsii.String(c.Name+"-Watch"), props(c, "Postern: what tells people."))
	p := &watch.Props{
		Emails: c.Watch.Emails, ExistingTrail: c.Watch.ExistingTrail,
		TimeZone: c.Watch.TimeZone, KnownRanges: c.Watch.KnownRanges, FunctionFile: c.Watch.FunctionFile,
	}
	if hours := c.Watch.OfficeHours; hours != nil {
		p.OfficeHours = &watch.OfficeHours{TimeZone: c.Watch.TimeZone, From: hours.From, Until: hours.Until}
		for _, day := range hours.Days {
			p.OfficeHours.Days = append(p.OfficeHours.Days, day.Weekday())
		}
	}
	if slack := c.Watch.Slack; slack != nil {
		p.Slack = &watch.Slack{WorkspaceID: slack.WorkspaceID, ChannelID: slack.ChannelID}
	}
	if teams := c.Watch.Teams; teams != nil {
		p.Teams = &watch.Teams{TenantID: teams.TenantID, TeamID: teams.TeamID, ChannelID: teams.ChannelID}
	}
	if a.trail != nil {
		p.Trail = a.trail
	}
	if c.Watch.TopicArn != "" {
		p.Topic = awssns.Topic_FromTopicArn(s, jsii.String("OwnTopic"), jsii.String(c.Watch.TopicArn))
		if c.Watch.TopicKeyArn != "" {
			p.Key = awskms.Key_FromKeyArn(s, jsii.String("OwnTopicKey"), jsii.String(c.Watch.TopicKeyArn))
		}
	} else {
		p.Key = a.archive.Key()
	}
	s.watch = watch.New(s, "Watch", p)
	if c.Archive.KeyArn != "" {
		awscdk.Annotations_Of(s.watch).AcknowledgeWarning(jsii.String("postern:watch-key-policy"), jsii.String(saidByArchive))
	}
	if d.bastion != nil {
		host := c.Watch.Host
		s.watch.AddHost(d.bastion, &watch.HostOptions{
			FailedKeysPerTenMinutes: host.FailedKeysPerTenMinutes, InvalidUsersPerTenMinutes: host.InvalidUsersPerTenMinutes,
			SudoPerTenMinutes: host.SudoPerTenMinutes, UnhealthyMinutes: host.UnhealthyMinutes,
		})
	}
	if of := c.Watch.Endpoints; !of.NoAlarms && len(n.watchable()) > 0 {
		s.watch.AddEndpoints(n.endpoints, &watch.EndpointOptions{DroppedPackets: of.DroppedPackets})
	}
	s.addNotices(c, a, d)
	if account := c.Watch.Account; account.Alarms {
		s.watch.AddAccountAlarms(nil, &watch.AccountAlarms{
			Without: named[watch.AccountAlarm](account.Without), RefusedCalls: account.RefusedCalls, ConsoleFailures: account.ConsoleFailures,
			QuietCallers: account.QuietCallers,
		})
	}
	s.addQueries(c, a)
	s.addCompliance(c, d)
	if c.Archive.Sources != nil {
		s.watch.AddDelivery(a.archive)
	}
	if c.Archive.Replica != nil {
		s.watch.AddReplication(a.archive)
	}
	for _, o := range d.operators {
		if len(o.BreakGlassDocuments()) > 0 {
			s.watch.AddBreakGlass(o)
		}
		if o.OpenerArn() != "" {
			s.watch.AddHours(o)
		}
	}
	return s
}

// addNotices tells people of what CloudTrail sees.
func (s *watchStack) addNotices(c *config.Config, a *archiveStack, d *accessStack) {
	if told := c.Watch.Sessions; told.Notices {
		s.watch.AddSessionNotices(&watch.SessionNotices{Quiet: told.Quiet, Resumed: told.Resumed, Ended: told.Ended})
	}
	events := c.Watch.Events
	if !events.NoTampering {
		s.watch.AddTamperNotices(&watch.TamperNotices{
			Buckets: []awss3.IBucket{a.archive.Bucket()}, Keys: []awskms.IKey{a.archive.Key()}, LogGroups: a.groups(), Documents: d.documents(),
		})
	}
	if !events.NoSerialConsole {
		s.watch.AddSerialConsoleNotices()
	}
	if !events.NoFailedAttempts {
		s.watch.AddFailedAttempts()
	}
	if events.Tunnels {
		s.watch.AddTunnelNotices()
	}
	if events.Root {
		s.watch.AddRootNotices()
	}
}

// addQueries saves the questions that an investigation asks of the records.
func (s *watchStack) addQueries(c *config.Config, a *archiveStack) {
	groups := a.kindsOfGroups()
	if c.Watch.NoQueries || len(groups.Hosts)+len(groups.Sessions)+len(groups.Trail)+len(groups.FlowLogs) == 0 {
		return
	}
	saved := s.watch.AddQueries(&watch.QueryOptions{Folder: c.Name, LogGroups: groups})
	for _, shown := range []struct{ id, query, about string }{
		{"PersonSessions", "All sessions of a person", "all sessions of the last day of the person that the shell variable person names"},
		{"WhoDidWhat", "Who did what in a session", "what was done in the session that the shell variable session names"},
	} {
		if slices.Contains(saved.Names(), c.Name+"/"+shown.query) {
			output(s, shown.id, saved.RunCommand(shown.query), shown.about)
		}
	}
}

// addCompliance has AWS Config ask, and Inspector look at the bastion.
func (s *watchStack) addCompliance(c *config.Config, d *accessStack) {
	o := &c.Compliance
	if !o.Rules && o.CisScan == nil {
		return
	}
	p := &compliance.Props{ExistingRecorder: o.ExistingRecorder, Without: named[compliance.Rule](o.Without), BlockedPorts: o.BlockedPorts}
	if !o.Rules {
		p.Without = named[compliance.Rule](config.ComplianceRules)
	}
	if scan := o.CisScan; scan != nil {
		p.CisScan = &compliance.CisScan{Hosts: []compliance.Host{d.bastion}, Level: scan.Level, Day: string(scan.Day), Time: scan.Time}
	}
	made := compliance.New(s, "Compliance", p)
	if o.Rules {
		s.watch.AddComplianceNotices(made)
	}
}

// named are words of the configuration as a construct has them.
func named[S ~string](words []string) []S {
	var list []S
	for _, word := range words {
		list = append(list, S(word))
	}
	return list
}
