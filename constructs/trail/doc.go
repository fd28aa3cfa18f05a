// Package trail makes the CloudTrail trail of an account: the record of who
// called which AWS API, kept where the people it is about can't reach it.
//
//	evidence := archive.New(stack, "Archive", nil)
//	t := trail.New(stack, "Trail", &trail.Props{
//		Bucket:   evidence.Bucket(),
//		LogGroup: evidence.AddLogGroup("Trail"),
//	})
//	watch.New(stack, "Watch", &watch.Props{Trail: t})
//
// # What is made
//
// A trail that records the management events, read and write, of every Region,
// with digests that prove the files unaltered, encrypted with a customer managed
// key. Its bucket and key get the statements that CloudTrail needs, for this one
// trail in the bucket, and the trail waits for them. Left to itself it makes an
// archive of its own.
//
// The events of EventBridge that tell of sessions, tunnels and tampering come
// through a trail (docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html);
// so do the lines that the account alarms of a watch count, which need the log
// group.
//
// # By choice
//
//   - [Props.LogGroup], [Props.WithLogGroup]: the events in CloudWatch Logs within
//     minutes, too, for alarms and queries.
//   - [Props.RecordObjects]: who read, wrote and deleted objects in the trail's own
//     bucket, the archive. CloudTrail's deliveries of its own files are left out,
//     as each would be an event to deliver; reading or deleting them is recorded.
//   - [Props.OrganizationID]: the accounts of an organization.
//
// # Locked buckets
//
// Log files and digests are new objects that CloudTrail never changes, so Object
// Lock and a default retention hold them from the moment they arrive. See that they
// do (LatestDeliveryError, LatestDigestDeliveryError), and that none was changed:
//
//	aws cloudtrail get-trail-status --name NAME
//	aws cloudtrail validate-logs ...     # [Trail.ValidateCommand] has all of it
//
// # One is enough
//
// A multi-Region trail records all Regions of its account. The first copy of
// management events is free, each further one is not: where the account or its
// organization has a trail, name it with [FromTrailArn] or [FromTrailAttributes]
// and make none. An app that is deployed to several Regions of an account makes it
// in one of them.
//
// # Leaving
//
// The trail stays and keeps logging when its stack goes, and so do its role,
// bucket, key and log group: a deploy that is undone is no reason to stop the
// record. A stack that is made again makes another one: delete the old one by hand, or
// pay for a second copy of events. With a [Props.Name] of yours, or a bucket of another
// stack, it can't be made again while the old one is there. One whose first deployment failed does not stay.
//
// # Cost
//
// No charge for the first copy of management events; $2.00 for 100,000 events in
// each further copy. $0.10 for 100,000 data events. $0.50 for each GB that goes to
// the log group. Storage as used (aws.amazon.com/cloudtrail/pricing).
package trail
