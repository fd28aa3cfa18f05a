package stacks

import (
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/session"
	"github.com/postern-cdk/postern/stacks/config"
)

// addSessions makes the document of recorded shells, for the bastion and for
// instances that are named, and that of SSH through Session Manager where asked
// for.
func (s *accessStack) addSessions(c *config.Config, a *archiveStack) {
	o := &c.Session
	targets := sessionTargets(o.Targets)
	s.others = len(targets) > 0
	settings := s.shellSettings(o, a)
	s.shell = s.preferences(c, "Shell", &session.PreferencesProps{Name: o.DocumentName, Settings: settings, Targets: targets})
	if o.AccountDefault != "" {
		s.addAccountDefault(c, settings, targets)
	}
	if !o.SSH {
		return
	}
	s.ssh = session.NewSSH(s, "SSH", &session.SSHProps{
		IdleTimeout: settings.IdleTimeout, MaxDuration: settings.MaxDuration, Targets: targets,
	})
	if s.bastion != nil {
		s.ssh.AllowHost(s.bastion)
	}
	if len(targets) == 0 {
		awscdk.Annotations_Of(s.ssh).AcknowledgeWarning(jsii.String("postern:session-ssh-unrecorded"), jsii.String("the bastion records sessions itself"))
	}
}

// addAccountDefault makes the same the account's preferences.
func (s *accessStack) addAccountDefault(c *config.Config, settings session.Settings, targets []session.Target) {
	if settings.Key == nil {
		settings.Key = s.shell.Key()
	}
	made := session.NewAccountDefault(s, "AccountDefault", &session.AccountDefaultProps{
		Settings: settings, OnExisting: onExisting[c.Session.AccountDefault], Targets: targets, FunctionFile: c.Session.FunctionFile,
	})
	s.acknowledge(c, made, settings)
	if s.bastion != nil {
		made.AllowHost(s.bastion)
	}
	output(s, "AccountPreferences", made.RecordCommand(), "what was done to the account's preferences")
	output(s, "OriginalPreferences", made.OriginalCommand(), "the account's preferences as they were before")
}

var onExisting = map[config.AccountDefault]session.OnExisting{
	config.AccountDefaultCreate:  session.FailOnExisting,
	config.AccountDefaultMerge:   session.AdoptByMerge,
	config.AccountDefaultReplace: session.AdoptByReplace,
}

// acknowledge answers what is said of settings that the configuration chose.
func (s *accessStack) acknowledge(c *config.Config, of constructs.IConstruct, settings session.Settings) {
	if c.Archive.BucketName != "" {
		awscdk.Annotations_Of(of).AcknowledgeWarning(jsii.String("postern:session-bucket-key"), jsii.String("the configuration names the key"))
	}
	if s.bastion != nil && settings.RunAs.User == config.ImageUser {
		awscdk.Annotations_Of(of).AcknowledgeWarning(jsii.String("postern:session-image-user"), jsii.String("the bastion takes sudo away from it"))
	}
}

// shellSettings are what recorded shells are like.
func (s *accessStack) shellSettings(o *config.Session, a *archiveStack) session.Settings {
	settings := session.Settings{
		LogGroup: a.sessions,
		Bucket:   a.archive.Bucket(),
		RunAs:    session.RunAs{User: o.RunAs.User, AgentUser: o.RunAs.AgentUser},

		IdleTimeout:   time.Duration(o.IdleMinutes) * time.Minute,
		MaxDuration:   time.Duration(o.MaxMinutes) * time.Minute,
		NoMaxDuration: o.NoMaxDuration,
		ShellProfile:  session.ShellProfile(o.ShellProfile),
	}
	switch {
	case s.shell != nil:
		settings.Key = s.shell.Key()
	case o.KeyArn != "":
		settings.Key = awskms.Key_FromKeyArn(s, jsii.String("SessionKey"), jsii.String(o.KeyArn))
	}
	// TLS is there all the same. A key of its own is $1 a month, which is for who
	// pays it to ask for.
	settings.WithoutKey = !o.OwnKey && settings.Key == nil
	return settings
}

// preferences is a document of recorded shells on the bastion and on the targets.
func (s *accessStack) preferences(c *config.Config, id string, p *session.PreferencesProps) *session.Preferences {
	made := session.NewPreferences(s, id, p)
	s.acknowledge(c, made, p.Settings)
	if s.bastion != nil {
		made.AllowHost(s.bastion)
	}
	return made
}

// addTunnels makes the documents of tunnels through the bastion.
func (s *accessStack) addTunnels(c *config.Config) {
	relay := &c.Bastion.Host.Relay
	if len(c.Tunnels)+len(relay.Targets) == 0 {
		return
	}
	scope := constructs.NewConstruct(s, jsii.String("Tunnel"))
	add := func(name, what string, p *session.TunnelProps) {
		p.Via = session.Target{Host: s.bastion}
		s.tunnels[name] = session.NewTunnel(scope, name, p)
		output(s, "Tunnel"+name, s.tunnels[name].StartCommand(0, ""), what)
	}
	for _, t := range c.Tunnels {
		to := session.Destination{Host: t.Host, Port: t.Port}
		if t.SecurityGroupID != "" {
			to.Peer = s.group(t.SecurityGroupID)
		}
		add(t.Name, "a tunnel to "+t.Name+", until it is interrupted", &session.TunnelProps{
			To: to, LocalPort: t.LocalPort,
			IdleTimeout: time.Duration(t.IdleMinutes) * time.Minute, MaxDuration: time.Duration(t.MaxMinutes) * time.Minute,
		})
	}
	if len(relay.Targets) > 0 {
		add(config.RelayName, "a proxy to the targets of the relay, SOCKS 5 and HTTP CONNECT, until it is interrupted", &session.TunnelProps{
			To: session.Destination{Port: relay.Port}, LocalPort: relay.Port,
		})
	}
}

// documents are the names of the documents that sessions are started with.
func (s *accessStack) documents() []string {
	var names []string
	for _, made := range []*session.Preferences{s.shell, s.emergency} {
		if made != nil {
			names = append(names, made.DocumentName())
		}
	}
	if s.ssh != nil {
		names = append(names, s.ssh.DocumentName())
	}
	for _, name := range slices.Sorted(maps.Keys(s.tunnels)) {
		names = append(names, s.tunnels[name].DocumentName())
	}
	return names
}

func sessionTargets(targets []config.SessionTarget) []session.Target {
	var list []session.Target
	for _, t := range targets {
		list = append(list, session.Target{InstanceIDs: t.InstanceIDs, Tags: t.Tags})
	}
	return list
}

func (s *accessStack) addSessionOutputs() {
	if s.shell == nil {
		return
	}
	target, what := "", "a recorded shell on INSTANCE_ID through Session Manager"
	if s.bastion != nil {
		target, what = s.bastion.InstanceIDCommand(), "a recorded shell on the bastion through Session Manager"
	}
	output(s, "StartSession", s.shell.StartCommand(target, ""), what)
	if s.others {
		output(s, "HostPolicy", s.shell.HostPolicy(), "what the roles of other targets need, beside AmazonSSMManagedInstanceCore")
	}
	output(s, "Sessions", s.shell.SessionsCommand(), "lists these sessions of the last 30 days: when, who, where and why")
	output(s, "Transcript", s.shell.TranscriptCommand(""), "shows the session that the shell variable session names, once it is over")
	output(s, "UnrecordedSessions", s.shell.UnrecordedCommand(), "names sessions that left no record: there should be none")
	output(s, "FollowSession", s.shell.FollowCommand(""), "shows the session that the shell variable session names, while it lasts")
	if s.ssh == nil {
		return
	}
	if target == "" {
		target = "%h"
	}
	output(s, "SSHProxyCommand", s.ssh.ProxyCommand(target), "the ProxyCommand for SSH through Session Manager in ~/.ssh/config")
}
