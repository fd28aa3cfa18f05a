// Package archive keeps the records of who got in and what they did there: a
// key, a bucket that nobody can quietly delete from, and log groups.
//
//	a := archive.New(stack, "Archive", nil)
//	sessions := a.AddLogGroup("Sessions")
//
// # What is made
//
// A customer managed key with yearly rotation. Its policy leaves access to the
// account's IAM policies and adds what AWS services need, each bound to the
// account: CloudWatch Logs, the delivery of flow logs, CloudTrail, alarms and
// rules that publish to encrypted topics, and the Auto Scaling service-linked
// role, so that volumes, topics and trails can share the key.
//
// A log bucket: encrypted with the key (S3 Bucket Key on), versioned, locked with
// S3 Object Lock, public access blocked, ACLs off, TLS 1.2 or newer only. Flow
// logs of the account may be delivered to it. Objects move to a cheaper class
// after 90 days and are kept forever where [Props.ExpireAfterDays] is not set.
//
// An access-log bucket beside it, because S3 delivers server access logs neither
// to a bucket with Object Lock nor to one encrypted with a customer managed key
// (docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html).
//
// Log groups on request, encrypted with the key, kept for a year, protected from
// deletion. [Archive.AddLogGroupWith] makes one that is kept otherwise, costs less,
// or hides secrets from who reads it:
//
//	shells := a.AddLogGroupWith("Shells", &archive.LogGroupOptions{Masking: &archive.Masking{}})
//
// # The lock
//
//	LockGovernance  the default: 365 days; who has s3:BypassGovernanceRetention lifts it
//	LockCompliance  nobody lifts it; its days must be spelled out
//	LockLegalHold   nothing is locked until a hold or a retention is placed on it
//	LockOff         versioning alone
//
// Lifecycle rules never fight it: an expiry before the lock ends is refused at
// synthesis, and S3 deletes no version that is locked, however long.
//
// The colder an object gets, the cheaper it is to keep and the slower to read:
//
//	InfrequentAccessAfterDays  at once         90 days, the default
//	GlacierAfterDays           at once
//	GlacierFlexibleAfterDays   minutes to 12 hours, after a restore
//	DeepArchiveAfterDays       12 to 48 hours, after a restore
//
// # A second Region
//
// S3 copies what is written to the log bucket to a [Replica]. Its names are known
// before it exists, so nothing has to be carried from Region to Region:
//
//	replica := archive.NewReplica(frankfurt, "Replica", nil)
//	a := archive.New(ireland, "Archive", &archive.Props{Replica: replica.Target()})
//
// Retention and legal holds go along. Deletions don't: a record that somebody hides
// in one Region stays in sight in the other. The role can neither delete copies nor
// read them. What the bucket holds already is copied by S3 Batch Replication, started
// by hand. Let watch.AddReplication tell of what could not be copied.
//
// Firehose streams, log groups and the access logs are not copied; a log account is
// what guards them.
//
// # Holds and lists
//
// A legal hold keeps one object until it is taken off, whatever its age:
//
//	aws s3api put-object-legal-hold --bucket BUCKET --key KEY --legal-hold Status=ON
//
// With [Props.Inventory] S3 lists all versions with their locks and holds each week,
// which an auditor reads and S3 Batch Operations take to place holds on many.
//
// # A log account
//
// Evidence is safest where those whom it is about have no rights at all. An archive
// with [Props.Sources] takes the records of other accounts, or of a whole
// organization:
//
//	archive.New(evidence, "Archive", &archive.Props{
//		Sources: &archive.Sources{OrganizationID: "o-a1b2c3d4e5"},
//	})
//
// Its stack outputs two lines for each source, as Go and as configuration:
//
//	central := archive.FromLogAccount(stack, "LogAccount", &archive.LogAccountProps{ ... })
//	a := archive.New(stack, "Archive", &archive.Props{LogAccount: central})
//
// The source's archive then has a key and log groups, and no bucket: what is
// recorded goes to [Archive.Bucket], which is the log account's, and each log group is
// sent there as well:
//
//	sessions/ACCOUNT/           what bastions record
//	session-manager/ACCOUNT/    transcripts of Session Manager
//	AWSLogs/ACCOUNT/            flow logs, trails (also below trail/)
//	logs/YYYY/MM/DD/HH/         log events: gzipped lines of JSON with "owner", "logGroup", "logStream", "logEvents"
//	logs-failed/                what came in and could not be unpacked
//
// A source writes below its own number only and reads nothing. It names its account
// (StackProps.Env), so that its hosts know where to write. Keys of people stay in the
// source: the bastion makes a bucket for them. An event is in the bucket after the
// buffer's time, 5 minutes as a rule; Firehose and CloudWatch Logs try for 24 hours
// what fails, so let watch.AddDelivery tell of it.
//
// Log groups can be sent within a Region only: the log account has an archive in
// each Region with sources.
//
// # Leaving
//
// All of it stays when its stack is deleted, and the old one stays when a change
// replaces a resource: evidence is deleted by a person who means to, not by a
// deploy. [Archive.Kept] says so, for an output of the stack.
//
// To delete an archive afterwards, in this order: switch off the deletion protection
// of its log groups and delete them; delete all versions in its buckets, in governance
// mode with s3:BypassGovernanceRetention (in compliance mode wait) and with holds taken
// off first; delete the buckets; schedule the deletion of the key, last, because
// without it nothing can be read any more.
//
// To deploy an archive anew and go on with the old one's bucket and key, pass them as
// [Props.Bucket] and [Props.Key], or take them into the stack by cdk import. A replica
// has a name of its own choosing, so its bucket must be imported or the new one named
// otherwise.
//
// # What writes to a locked bucket
//
// S3 wants a checksum with each object written to a bucket with default
// retention (docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html).
// AWS SDKs, the CLI and Session Manager on EC2 send one; a hand-made PUT must too.
// ECS Exec sends none, and its transcripts are lost
// (github.com/aws/amazon-ssm-agent/issues/682): let it log to a log group.
//
// # Cost
//
// $1 a month for the key, and $1 more for that of a replica; storage and requests as
// used, twice with a replica, whose transfer between Regions is $0.02 for each GB in
// most. S3 Bucket Keys keep KMS requests few.
package archive
