package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/watch"
	"github.com/postern-cdk/postern/stacks/config"
)

type watchStack struct {
	awscdk.Stack
	watch *watch.Watch
}

// Topic is where every alarm goes.
func (s *watchStack) Topic() awssns.ITopic { return s.watch.Topic() }

func newWatchStack(scope constructs.Construct, c *config.Config, a *archiveStack, d *accessStack) *watchStack {
	s := &watchStack{}
	awscdk.NewStack_Override(s, scope, jsii.String(c.Name+"-Watch"), props(c, "Postern: what tells people."))
	p := &watch.Props{Emails: c.Watch.Emails, ExistingTrail: c.Watch.ExistingTrail}
	if a.trail != nil {
		p.Trail = a.trail
	}
	if c.Watch.TopicArn != "" {
		p.Topic = awssns.Topic_FromTopicArn(s, jsii.String("OwnTopic"), jsii.String(c.Watch.TopicArn))
	} else {
		p.Key = a.archive.Key()
	}
	s.watch = watch.New(s, "Watch", p)
	if c.Archive.KeyArn != "" {
		awscdk.Annotations_Of(s.watch).AcknowledgeWarning(jsii.String("postern:watch-key-policy"), jsii.String(saidByArchive))
	}
	if d.bastion != nil {
		s.watch.AddHost(d.bastion, nil)
	}
	if account := c.Watch.Account; account.Alarms {
		s.watch.AddAccountAlarms(nil, &watch.AccountAlarms{
			Without: named[watch.AccountAlarm](account.Without), RefusedCalls: account.RefusedCalls, ConsoleFailures: account.ConsoleFailures,
			QuietCallers: account.QuietCallers,
		})
	}
	if told := c.Watch.Sessions; told.Notices {
		s.watch.AddSessionNotices(&watch.SessionNotices{Quiet: told.Quiet, Resumed: told.Resumed})
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

// named are words of the configuration as a construct has them.
func named[S ~string](words []string) []S {
	var list []S
	for _, word := range words {
		list = append(list, S(word))
	}
	return list
}
