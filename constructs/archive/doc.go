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
