package stacks

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/instanceconnect"
	"github.com/postern-cdk/postern/constructs/operator"
	"github.com/postern-cdk/postern/constructs/session"
	"github.com/postern-cdk/postern/stacks/config"
)

// addOperators grants what people may do. The doors are there by then, with all
// that they lead to.
func (s *accessStack) addOperators(c *config.Config, a *archiveStack) {
	if len(c.Operators) == 0 {
		return
	}
	scope := constructs.NewConstruct(s, jsii.String("Operator"))
	whom := &principals{scope: s, users: map[string]awsiam.IUser{}, groups: map[string]awsiam.IGroup{}, roles: map[string]awsiam.IRole{}}
	for i := range c.Operators {
		o := &c.Operators[i]
		p := &operator.Props{
			PermissionSet:   o.PermissionSet,
			Viewer:          o.Viewer,
			BypassesAllowed: o.BypassesAllowed,
			Only:            only(&o.Only),
		}
		for _, name := range o.Users {
			p.Users = append(p.Users, whom.user(name))
		}
		for _, name := range o.Groups {
			p.Groups = append(p.Groups, whom.group(name))
		}
		for _, arn := range o.RoleArns {
			p.Roles = append(p.Roles, whom.role(arn))
		}
		if o.Shell {
			p.Shell = []operator.Door{s.shell}
		}
		if o.SSH {
			p.SSH = []operator.Door{s.ssh}
		}
		for _, name := range o.Tunnels {
			p.Tunneller = append(p.Tunneller, s.tunnels[name])
		}
		if o.BreakGlass {
			p.BreakGlass = []operator.Door{s.breakGlass(c, a)}
		}
		p.InstanceConnect = s.connections(o)
		made := operator.New(scope, o.Name, p)
		if !s.others {
			awscdk.Annotations_Of(made).AcknowledgeWarning(jsii.String("postern:operator-crosses-doors"), jsii.String("all doors lead to the bastion"))
		}
		s.operators = append(s.operators, made)
		if o.PermissionSet {
			output(s, "PermissionSet"+o.Name, made.PermissionSetJSON(), "the inline policy for a permission set of IAM Identity Center")
		}
		if command := made.OpenCommand(2 * time.Hour); command != "" {
			output(s, "Open"+o.Name, command, "opens the doors for two hours, as after a deployment within the weekly hours, which closes them")
		}
	}
}

// breakGlass is the document for emergencies, made once.
func (s *accessStack) breakGlass(c *config.Config, a *archiveStack) *session.Preferences {
	if s.emergency != nil {
		return s.emergency
	}
	settings := s.shellSettings(&c.Session, a)
	o := &c.Session.BreakGlass
	settings.IdleTimeout, settings.MaxDuration = time.Duration(o.IdleMinutes)*time.Minute, time.Duration(o.MaxMinutes)*time.Minute
	settings.NoMaxDuration = false
	if o.AgentUser {
		settings.RunAs = session.RunAs{AgentUser: true}
	}
	s.emergency = s.preferences(c, "BreakGlass", &session.PreferencesProps{
		Description: "For emergencies: its use is told and an alarm", Settings: settings, Targets: sessionTargets(c.Session.Targets),
	})
	if o.AgentUser {
		awscdk.Annotations_Of(s.emergency).AcknowledgeWarning(jsii.String("postern:session-agent-user"), jsii.String("for repairs in an emergency, each of which is told"))
	}
	target := ""
	if s.bastion != nil {
		target = s.bastion.InstanceIDCommand()
	}
	output(s, "StartBreakGlass", s.emergency.StartCommand(target, "emergency"), "a recorded shell for emergencies, which people are told of")
	return s.emergency
}

func (s *accessStack) connections(o *config.Operator) []operator.Connection {
	var list []operator.Connection
	if ssh := o.InstanceConnect.SSH; ssh != nil {
		grant := &instanceconnect.SSHGrant{
			Users: ssh.Users, InstanceTags: ssh.InstanceTags, CIDRs: ssh.Cidrs, MaxDuration: time.Duration(ssh.MaxMinutes) * time.Minute,
		}
		instance := ""
		if len(grant.InstanceTags) == 0 {
			key, value := s.bastion.SessionTag()
			grant.InstanceTags = map[string]string{key: value}
			instance = `"` + s.bastion.InstanceIDCommand() + `"`
		}
		way := s.instanceConnect.ForSSH(grant)
		list = append(list, way)
		output(s, "InstanceConnectSSH"+o.Name, way.SSHCommand(instance), "SSH through EC2 Instance Connect Endpoint as far as "+o.Name+" may")
	}
	if rdp := o.InstanceConnect.RDP; rdp != nil {
		list = append(list, s.instanceConnect.ForRDP(&instanceconnect.RDPGrant{CIDRs: rdp.Cidrs, MaxDuration: time.Duration(rdp.MaxMinutes) * time.Minute}))
	}
	return list
}

func only(o *config.Only) operator.Only {
	from, until := o.Times()
	y := operator.Only{
		MFAMaxAge: time.Duration(o.MfaMaxAgeMinutes) * time.Minute, MFAAskedElsewhere: o.MfaAskedElsewhere, WithoutMFA: o.WithoutMfa,
		From: from, Until: until, TimeZone: o.TimeZone,
		SourceCIDRs: o.SourceCidrs, VpcEndpoints: o.VpcEndpointIDs, TargetTags: o.TargetTags,
	}
	for i := range o.Weekly {
		w := &o.Weekly[i]
		window := operator.Window{}
		for _, day := range w.Days {
			window.Days = append(window.Days, day.Weekday())
		}
		window.From, window.Until = w.Hours()
		y.Weekly = append(y.Weekly, window)
	}
	return y
}

// principals are imported once, whichever operators name them.
type principals struct {
	scope  constructs.Construct
	users  map[string]awsiam.IUser
	groups map[string]awsiam.IGroup
	roles  map[string]awsiam.IRole
}

func (p *principals) user(name string) awsiam.IUser {
	if p.users[name] == nil {
		p.users[name] = awsiam.User_FromUserName(p.scope, jsii.String("User "+name), &name)
	}
	return p.users[name]
}

func (p *principals) group(name string) awsiam.IGroup {
	if p.groups[name] == nil {
		p.groups[name] = awsiam.Group_FromGroupName(p.scope, jsii.String("Group "+name), &name)
	}
	return p.groups[name]
}

func (p *principals) role(arn string) awsiam.IRole {
	if p.roles[arn] == nil {
		p.roles[arn] = awsiam.Role_FromRoleArn(p.scope, jsii.String("Role "+arn[len("arn:"):]), &arn, nil)
	}
	return p.roles[arn]
}
