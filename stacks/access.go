package stacks

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/bastion"
	"github.com/postern-cdk/postern/constructs/instanceconnect"
	"github.com/postern-cdk/postern/constructs/operator"
	"github.com/postern-cdk/postern/constructs/session"
	"github.com/postern-cdk/postern/stacks/config"
)

type accessStack struct {
	awscdk.Stack
	bastion         *bastion.Bastion
	instanceConnect *instanceconnect.Endpoint
	shell           *session.Preferences
	ssh             *session.SSH
	others          bool                 // sessions have targets beside the bastion
	emergency       *session.Preferences // nil where no operator has break-glass
	tunnels         map[string]*session.Tunnel
	operators       []*operator.Operator
	groups          map[string]awsec2.ISecurityGroup // of targets: one may be a target on several ports
}

// Doors counts the ways in.
func (s *accessStack) Doors() int {
	n := 0
	if s.bastion != nil {
		n++
	}
	if s.instanceConnect != nil {
		n++
	}
	return n
}

func newAccessStack(scope constructs.Construct, c *config.Config, a *archiveStack, n *networkStack) *accessStack {
	s := &accessStack{groups: map[string]awsec2.ISecurityGroup{}, tunnels: map[string]*session.Tunnel{}}
	awscdk.NewStack_Override(s, scope, jsii.String(c.Name+"-Access"), props(c, "Postern: the doors. It can be replaced freely."))
	if n.network == nil {
		n.fill(s, c, a)
	}
	if !c.Bastion.Absent {
		s.addBastion(c, a, n)
	}
	if !c.InstanceConnect.Absent {
		s.instanceConnect = instanceconnect.New(s, "InstanceConnect", &instanceconnect.Props{
			Vpc:              n.network.Vpc(),
			PreserveClientIp: c.InstanceConnect.PreserveClientIp,
		})
		if s.bastion != nil {
			s.instanceConnect.AllowTo(s.bastion, 22, "SSH to the bastion")
		}
	}
	if c.Session.Made(c) {
		s.addSessions(c, a)
	}
	for _, target := range c.Targets {
		group := s.group(target.SecurityGroupID)
		if slices.Contains(target.Doors, config.DoorBastion) {
			s.bastion.AllowTo(group, target.Port, target.Name)
		}
		if slices.Contains(target.Doors, config.DoorInstanceConnect) {
			s.instanceConnect.AllowTo(group, target.Port, target.Name)
		}
	}
	s.addTunnels(c)
	s.addOperators(c, a)
	s.addOutputs()
	return s
}

// group is a security group of the user's. Its ID in the tree is what it is and
// not its place in a list, so that adding one to the front replaces nothing.
func (s *accessStack) group(id string) awsec2.ISecurityGroup {
	if s.groups[id] == nil {
		s.groups[id] = awsec2.SecurityGroup_FromSecurityGroupId(s, jsii.String("Target"+strings.ReplaceAll(id, "-", "")), jsii.String(id), nil)
	}
	return s.groups[id]
}

func (s *accessStack) addBastion(c *config.Config, a *archiveStack, n *networkStack) {
	b := c.Bastion
	p := &bastion.Props{
		Vpc:                 n.network.Vpc(),
		Key:                 a.archive.Key(),
		Bucket:              a.archive.Bucket(),
		LogGroup:            a.hostLogs,
		LogGroups:           a.kinds,
		Host:                s.host(&b.Host, a),
		Endpoints:           n.endpoints,
		ExistingEndpoints:   services(c.Endpoints.Existing),
		Address:             addresses[b.Address],
		AllowedCidrs:        b.AllowedCidrs,
		AllowedPrefixLists:  b.AllowedPrefixLists,
		AllowEveryone:       b.AllowEveryone,
		InstanceType:        b.InstanceType,
		MaxInstanceLifetime: time.Duration(b.MaxInstanceLifetimeDays) * 24 * time.Hour,
		NoRotation:          b.NoRotation,
		Spot:                b.Spot,
	}
	switch b.Image {
	case config.ImageAtLaunch:
		p.Image = bastion.ImageAtLaunch
	case config.ImageLatestAtDeploy:
		p.Image = bastion.ImageLatestAtDeploy
	default:
		p.Image, p.ImageId = bastion.ImagePinned, b.Image
	}
	if b.Dns != nil {
		p.HostedZone, p.RecordName = hostedZone{b.Dns.HostedZoneID, b.Dns.ZoneName}, b.Dns.RecordName
	}
	if b.Schedule != nil {
		p.Schedule = bastion.Schedule{Start: b.Schedule.Start, Stop: b.Schedule.Stop, TimeZone: b.Schedule.TimeZone}
	}
	if b.PermissionsBoundaryArn != "" {
		p.PermissionsBoundary = awsiam.ManagedPolicy_FromManagedPolicyArn(s, jsii.String("Boundary"), jsii.String(b.PermissionsBoundaryArn))
	}
	s.bastion = bastion.New(s, "Bastion", p)
	if c.Archive.KeyArn != "" {
		awscdk.Annotations_Of(s.bastion).AcknowledgeWarning(jsii.String("postern:bastion-key-policy"), jsii.String(saidByArchive))
	}
	if b.Address == config.AddressElasticIP {
		// Its way out to Systems Manager, without NAT; who may come in is up to the
		// configuration.
		awscdk.Annotations_Of(s.bastion).AcknowledgeWarning(jsii.String("postern:bastion-no-ingress"), jsii.String("the address is its way out"))
	}
}

// host is what the configuration says of the host, as the construct takes it.
func (s *accessStack) host(h *config.Host, a *archiveStack) bastion.Host {
	const day = 24 * time.Hour
	commands := bastion.CommandsRefused
	if h.Recording.Commands == config.CommandsRecorded {
		commands = bastion.CommandsRecorded
	}
	var people awss3.IBucket
	if h.People.BucketName != "" {
		people = awss3.Bucket_FromBucketAttributes(s, jsii.String("People"), &awss3.BucketAttributes{
			BucketName: jsii.String(h.People.BucketName), EncryptionKey: a.archive.Key(),
		})
	}
	relay := bastion.Relay{Port: h.Relay.Port}
	for _, t := range h.Relay.Targets {
		relay.Targets = append(relay.Targets, bastion.RelayTarget{Name: t.Name, Host: t.Host, Port: t.Port, Peer: s.group(t.SecurityGroupID)})
	}
	return bastion.Host{
		Relay: relay,
		Recording: bastion.Recording{
			Commands: commands, Input: h.Recording.Input, KeepDays: h.Recording.KeepDays, MinFreeMiB: h.Recording.MinFreeMiB,
		},
		People: bastion.People{
			Bucket: people, Prefix: h.People.Prefix, Sudo: h.People.Sudo, SecondFactor: h.People.SecondFactor,
			MaxShrinkPercent: h.People.MaxShrinkPercent, AllowEmpty: h.People.AllowEmpty, FIPSKeysOnly: h.People.FipsKeysOnly,
			WarnKeyAge: time.Duration(h.People.WarnKeyAgeDays) * day, MaxKeyAge: time.Duration(h.People.MaxKeyAgeDays) * day,
		},
		Certificates: bastion.Certificates(h.Certificates),
		HostKeys:     bastion.HostKeys(h.HostKeys),
		Hardening:    bastion.Hardening(h.Hardening),
		Bundle:       h.Bundle,
	}
}

// saidByArchive is why a key's second warning is one too many.
const saidByArchive = "the archive lists every statement that the key needs"

// hostedZone is a Route 53 hosted zone by its two names.
type hostedZone struct{ id, name string }

func (z hostedZone) HostedZoneId() *string { return &z.id }
func (z hostedZone) ZoneName() *string     { return &z.name }

var addresses = map[config.Address]bastion.Address{
	config.AddressNone:                bastion.AddressNone,
	config.AddressElasticIP:           bastion.AddressElasticIP,
	config.AddressNetworkLoadBalancer: bastion.AddressNetworkLoadBalancer,
}

func (s *accessStack) addOutputs() {
	s.addSessionOutputs()
	if s.bastion == nil {
		return
	}
	if s.shell == nil {
		output(s, "StartSession", s.bastion.StartSessionCommand(), "a shell on the bastion through Session Manager, as the account's default says")
	}
	if known := s.bastion.KnownHostsCommand(); known != "" {
		output(s, "KnownHosts", known, "makes the bastion's host keys known, once")
	}
	output(s, "SSHConfig", s.bastion.SSHConfig("postern", "ec2-user"), "a block for ~/.ssh/config")
	output(s, "AddPerson", s.bastion.AddPersonCommand("alice", "alice.pub"), "gives alice an account within a minute")
	output(s, "RemovePerson", s.bastion.RemovePersonCommand("alice"), "locks alice out within a minute, unless nobody would be left")
	output(s, "Replay", s.bastion.ReplayScript(), "plays the session that the shell variable session names")
	if s.instanceConnect != nil {
		output(s, "InstanceConnectSSH", s.instanceConnect.SSHCommand(`"`+s.bastion.InstanceIDCommand()+`"`, "ec2-user"), "SSH to the bastion through EC2 Instance Connect Endpoint")
	}
	if address := s.bastion.PublicAddress(); address != "" {
		output(s, "PublicAddress", address, "where the bastion is found from outside")
	}
}
