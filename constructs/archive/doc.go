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
// deletion.
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
// deploy. To delete an archive in governance mode, empty the bucket with
// s3:BypassGovernanceRetention; in compliance mode wait.
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
// $1 a month for the key; storage and requests as used. S3 Bucket Keys keep KMS
// requests few.
package archive
