package stacks

import (
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/constructs/bastion"
	"github.com/postern-cdk/postern/constructs/trail"
	"github.com/postern-cdk/postern/constructs/watch"
	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/stacks/config"
)

type archiveStack struct {
	awscdk.Stack
	archive *archive.Archive
	// hostLogs and flowLogs live here so that they outlive the doors they record.
	hostLogs awslogs.ILogGroup
	kinds    bastion.LogGroups
	sessions awslogs.ILogGroup // what Session Manager shows
	flowLogs awslogs.ILogGroup
	trail    *trail.Trail // nil where one is said to exist, without its name
}

// Evidence returns the archive; it also gives the type the method that jsii
// looks for in an overriding struct.
func (s *archiveStack) Evidence() *archive.Archive { return s.archive }

func newArchiveStack(scope constructs.Construct, c *config.Config, replica *replicaStack) *archiveStack {
	s := &archiveStack{}
	p := props(c, "Postern: the archive that keeps the evidence. Its resources outlive it.")
	p.TerminationProtection = jsii.Bool(true)
	awscdk.NewStack_Override(s, scope, jsii.String(c.Name+"-Archive"), p)

	ca := &c.Archive
	ap := &archive.Props{
		ObjectLock:                archive.ObjectLock{Mode: lockModes[ca.ObjectLock], Days: ca.ObjectLockDays},
		InfrequentAccessAfterDays: ca.InfrequentAccessAfterDays,
		GlacierAfterDays:          ca.GlacierAfterDays,
		GlacierFlexibleAfterDays:  ca.GlacierFlexibleAfterDays,
		DeepArchiveAfterDays:      ca.DeepArchiveAfterDays,
		ExpireAfterDays:           ca.ExpireAfterDays,
		AccessLogRetentionDays:    ca.AccessLogRetentionDays,
		LogRetentionDays:          ca.LogRetentionDays,
	}
	switch ca.Inventory {
	case config.InventoryWeekly:
		ap.Inventory = &archive.Inventory{}
	case config.InventoryDaily:
		ap.Inventory = &archive.Inventory{Daily: true}
	case config.InventoryNone, "":
	}
	if l := ca.LogAccount; l != nil {
		ap.LogAccount = archive.FromLogAccount(s, "LogAccount", &archive.LogAccountProps{
			BucketName: l.BucketName, KeyArn: l.KeyArn, DestinationArn: l.DestinationArn,
		})
	}
	if from := ca.Sources; from != nil {
		ap.Sources = &archive.Sources{Accounts: from.Accounts, OrganizationID: from.OrganizationID}
	}
	if replica != nil {
		ap.Replica = replica.replica.Target()
	}
	if c.Archive.KeyArn != "" {
		ap.Key = awskms.Key_FromKeyArn(s, jsii.String("Key"), jsii.String(c.Archive.KeyArn))
	}
	if c.Archive.BucketName != "" {
		ap.Bucket = awss3.Bucket_FromBucketAttributes(s, jsii.String("Bucket"), &awss3.BucketAttributes{
			BucketName: jsii.String(c.Archive.BucketName), EncryptionKey: ap.Key,
		})
		ap.ObjectLock = archive.ObjectLock{}
	}
	s.archive = archive.New(s, "Archive", ap)
	if !c.Bastion.Absent {
		s.hostLogs = s.archive.AddLogGroup("Host")
		// Each kind of record has its own readers.
		s.kinds = bastion.LogGroups{
			Sessions: s.typed(c, "Sessions"),
			Commands: s.typed(c, "Commands"),
			People:   s.archive.AddLogGroup("People"),
			SSHD:     s.archive.AddLogGroup("Sshd"),
			Sudo:     s.archive.AddLogGroup("Sudo"),
			Audit:    s.archive.AddLogGroup("Audit"),
		}
	}
	if c.Session.Made(c) {
		s.sessions = s.typed(c, "SessionManager")
	}
	if c.Doors() && c.Network.Vpc == nil && c.Network.FlowLogs != config.FlowLogsToBucket {
		s.flowLogs = s.archive.AddLogGroup("FlowLogs")
	}
	s.addTrail(c)
	s.export(c)
	output(s, "Kept", s.archive.Kept(), "what stays when this stack is deleted")
	return s
}

// typed is a log group of what people type, in which secrets can be masked.
func (s *archiveStack) typed(c *config.Config, id string) awslogs.ILogGroup {
	o := &archive.LogGroupOptions{}
	if c.Archive.MaskSecrets {
		o.Masking = &archive.Masking{}
	}
	return s.archive.AddLogGroupWith(id, o)
}

// addTrail makes the trail that notices come from, unless there is one.
func (s *archiveStack) addTrail(c *config.Config) {
	t := &c.Trail
	switch {
	case t.Arn != "":
		s.trail = trail.FromTrailAttributes(s, "Trail", &trail.Attributes{TrailArn: t.Arn, LogGroupName: t.LogGroupName})
	case t.Made(c):
		tp := &trail.Props{Bucket: s.archive.Bucket(), RecordObjects: t.RecordObjects, OrganizationID: t.OrganizationID}
		if t.LogGroup || c.Watch.Account.Alarms {
			tp.LogGroup = s.archive.AddLogGroup("TrailEvents")
		}
		s.trail = trail.New(s, "Trail", tp)
		output(s, "ValidateTrail", s.trail.ValidateCommand(), "checks that no record of API calls of this month was changed or taken away")
	}
}

// replicaStack holds the copy of the archive in another Region.
type replicaStack struct {
	awscdk.Stack
	replica *archive.Replica
}

// Copy is where the archive's bucket is copied to.
func (s *replicaStack) Copy() *archive.Replica { return s.replica }

func newReplicaStack(scope constructs.Construct, c *config.Config) *replicaStack {
	r := c.Archive.Replica
	if r == nil {
		return nil
	}
	s := &replicaStack{}
	p := props(c, "Postern: the copy of the archive in another Region. Its resources outlive it.")
	p.TerminationProtection = jsii.Bool(true)
	p.Env.Region = jsii.String(r.Region)
	awscdk.NewStack_Override(s, scope, jsii.String(c.Name+"-Replica"), p)
	ca := &c.Archive
	s.replica = archive.NewReplica(s, "Replica", &archive.ReplicaProps{
		BucketName:                r.BucketName,
		ObjectLock:                archive.ObjectLock{Mode: lockModes[ca.ObjectLock], Days: ca.ObjectLockDays},
		InfrequentAccessAfterDays: ca.InfrequentAccessAfterDays,
		GlacierAfterDays:          ca.GlacierAfterDays,
		GlacierFlexibleAfterDays:  ca.GlacierFlexibleAfterDays,
		DeepArchiveAfterDays:      ca.DeepArchiveAfterDays,
		ExpireAfterDays:           ca.ExpireAfterDays,
		AccessLogRetentionDays:    ca.AccessLogRetentionDays,
	})
	return s
}

// export exports what later stacks may import, whichever of it they import now;
// see [networkStack.export].
func (s *archiveStack) export(c *config.Config) {
	if c.Archive.KeyArn == "" {
		s.ExportValue(s.archive.Key().KeyArn(), nil)
	}
	if c.Archive.BucketName == "" && c.Archive.LogAccount == nil {
		s.ExportValue(s.archive.Bucket().BucketArn(), nil)
	}
	for _, group := range s.groups() {
		s.ExportValue(attach.LogGroupName(group), nil)
		s.ExportValue(group.LogGroupArn(), nil)
	}
}

// groups are the log groups that are made here.
func (s *archiveStack) groups() []awslogs.ILogGroup {
	g := s.kindsOfGroups()
	var made []awslogs.ILogGroup
	if s.trail == nil || s.trail.Bucket() != nil {
		made = g.Trail
	}
	return slices.Concat(made, g.Hosts, g.Sessions, g.FlowLogs)
}

// kindsOfGroups are the log groups by what they take.
func (s *archiveStack) kindsOfGroups() watch.LogGroups {
	there := func(groups ...awslogs.ILogGroup) []awslogs.ILogGroup {
		return slices.DeleteFunc(groups, func(g awslogs.ILogGroup) bool { return g == nil })
	}
	k := s.kinds
	groups := watch.LogGroups{
		Hosts:    there(s.hostLogs, k.Sessions, k.Commands, k.People, k.SSHD, k.Sudo, k.Audit),
		Sessions: there(s.sessions),
		FlowLogs: there(s.flowLogs),
	}
	if s.trail != nil {
		groups.Trail = there(s.trail.LogGroup())
	}
	return groups
}

var lockModes = map[config.ObjectLock]archive.LockMode{
	config.ObjectLockGovernance: archive.LockGovernance,
	config.ObjectLockCompliance: archive.LockCompliance,
	config.ObjectLockLegalHold:  archive.LockLegalHold,
	config.ObjectLockOff:        archive.LockOff,
}
