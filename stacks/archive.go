package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/constructs/bastion"
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
}

// Evidence returns the archive; it also gives the type the method that jsii
// looks for in an overriding struct.
func (s *archiveStack) Evidence() *archive.Archive { return s.archive }

func newArchiveStack(scope constructs.Construct, c *config.Config) *archiveStack {
	s := &archiveStack{}
	p := props(c, "Postern: the archive that keeps the evidence. Its resources outlive it.")
	p.TerminationProtection = jsii.Bool(true)
	awscdk.NewStack_Override(s, scope, jsii.String(c.Name+"-Archive"), p)

	ap := &archive.Props{
		ObjectLock:       archive.ObjectLock{Mode: lockModes[c.Archive.ObjectLock], Days: c.Archive.ObjectLockDays},
		LogRetentionDays: c.Archive.LogRetentionDays,
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
			Sessions: s.archive.AddLogGroup("Sessions"),
			Commands: s.archive.AddLogGroup("Commands"),
			People:   s.archive.AddLogGroup("People"),
			SSHD:     s.archive.AddLogGroup("Sshd"),
			Sudo:     s.archive.AddLogGroup("Sudo"),
			Audit:    s.archive.AddLogGroup("Audit"),
		}
	}
	if c.Session.Made(c) {
		s.sessions = s.archive.AddLogGroup("SessionManager")
	}
	if c.Network.Vpc == nil && c.Network.FlowLogs != config.FlowLogsToBucket {
		s.flowLogs = s.archive.AddLogGroup("FlowLogs")
	}
	s.export(c)
	return s
}

// export exports what later stacks may import, whichever of it they import now;
// see [networkStack.export].
func (s *archiveStack) export(c *config.Config) {
	if c.Archive.KeyArn == "" {
		s.ExportValue(s.archive.Key().KeyArn(), nil)
	}
	if c.Archive.BucketName == "" {
		s.ExportValue(s.archive.Bucket().BucketArn(), nil)
	}
	k := s.kinds
	for _, group := range []awslogs.ILogGroup{s.hostLogs, s.sessions, s.flowLogs, k.Sessions, k.Commands, k.People, k.SSHD, k.Sudo, k.Audit} {
		if group != nil {
			s.ExportValue(group.LogGroupName(), nil)
			s.ExportValue(group.LogGroupArn(), nil)
		}
	}
}

var lockModes = map[config.ObjectLock]archive.LockMode{
	config.ObjectLockGovernance: archive.LockGovernance,
	config.ObjectLockCompliance: archive.LockCompliance,
	config.ObjectLockLegalHold:  archive.LockLegalHold,
	config.ObjectLockOff:        archive.LockOff,
}
