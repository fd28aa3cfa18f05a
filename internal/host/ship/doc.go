// Package ship brings the records of a host to where the host can't change them:
// each line to CloudWatch Logs within two seconds, each closed segment to the
// record bucket.
//
// Where lines go, by kind (group: settings.Group):
//
//	/var/log/postern/sessions/ID/  stream INSTANCE/sessions/ID
//	/var/log/postern/commands/     stream INSTANCE/commands
//	/var/log/postern/people/       stream INSTANCE/people
//	the journal                    streams INSTANCE/sshd, /sudo, /audit, /host
//
// The marks of the chains go along: their digests in CloudWatch Logs are what a
// chain can be compared with. Segments become the objects
//
//	PREFIX YYYY/MM/DD/INSTANCE/ID/000001.cast               day on which the session began
//	PREFIX YYYY/MM/DD/INSTANCE/commands.CHAIN/000001.jsonl  day on which the segment began
//
// which `postern-host verify` and `recording` take as they are downloaded.
//
// # Delivery
//
// At least once, in order within a stream, never given up: what was acknowledged is
// written down, below /var/lib/postern/ship, after the acknowledgement. A crash in
// between repeats a batch, or puts the same object again, which a bucket with
// versions keeps twice. The journal is first copied to a chain there and its cursor
// kept after that, so that one log group that can't be written to holds nothing else
// up. Each stream, and the bucket, waits for itself when something fails: half a
// second at first, half a minute at most. Where nothing is written, nothing is
// requested.
//
// CloudWatch Logs refuses times older than 14 days or more than two hours in the
// future: such lines are sent again with the time of the service, and an alarm tells
// so. Lines over the limit of an event are sent in parts,
// {"postern":"part","of":N,"part":1,"line":"<digest>","text":"..."}.
// (https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html)
//
// What of the journal is believed: a line is of sshd or sudo when the kernel says
// that root's sshd or sudo wrote it, an event of ours when a service of root's did.
// Everything else, whatever it calls itself, is of the kind host and names its
// user.
//
// # Alarms
//
//	shipping-behind       the oldest undelivered record is older than a minute
//	record-times-refused  lines were sent again with the time of the service
//	records-missing       segments disappeared before they were delivered
//	journal-unreadable    the journal could not be followed for a minute
//
// # Removing
//
// What both took, and what is older than KeepDays, is removed from the host; under
// disk pressure (less than twice MinFreeMiB) earlier, the oldest first. What was not
// delivered is never removed, nor anything where neither is configured. KeepDays 0
// keeps as long as there is room.
package ship
