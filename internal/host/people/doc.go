// Package people makes the accounts on a bastion those that a bucket names: an
// object public-keys/NAME.pub with one public key a line is a person.
//
// # A run
//
// systemd starts [Run] each minute (postern-people.timer). It lists the bucket, page
// by page, reads the objects whose ETag, size or time changed, and makes accounts,
// homes, keys and sudoers what they must be. Where nothing changed that is one
// request for each thousand people, and one for the revocation list.
// `systemctl start postern-people` runs it now: on the host, or from a rule of
// EventBridge on the bucket's "Object Created" and "Object Deleted" whose target is
// Run Command with AWS-RunShellScript and that command
// (docs.aws.amazon.com/systems-manager/latest/userguide/rc-rule-target.html). The
// timer stays: an event that is lost must not keep somebody in.
//
// Only one runs at a time. It may be killed at any moment: what is decided stands in
// the state (/var/lib/postern/people.json, written before the accounts are), what
// has begun is finished by the next run, and each file is replaced whole. A state
// that is lost is learned again from the accounts and from the objects.
//
// # Who is removed, and who is not
//
// Nobody is removed, added or changed by a listing that isn't certainly whole: an
// error on any page, an answer that isn't S3's, or one that ends too early
// (alarm people-listing-failed). A whole one in which everybody is gone
// (people-listing-empty), or at least two and more than MaxShrinkPercent
// (people-listing-shrunk), removes nobody either; but what it does name is true
// whatever else is missing, so that new people and changed keys still follow: a
// stolen key can always be replaced. AllowEmpty gives the first protection up, for
// good; `postern-host people --accept-removals` both, for one run.
//
// A removal goes from the quickest to the slowest: the key file, the account (locked,
// expired, without shell), sudo, the recorded sessions and all that runs as the
// person, the lines of the account, then home and spools. These are moved to
// /var/lib/postern/removed/NAME-UID-TIME, for root only (to /home/.postern-removed
// where /home is a disk of its own). Where a process doesn't end (alarm
// people-removal-stuck) the account stays locked and the next run goes on. UIDs are
// never given twice: who comes back is somebody new, with an empty home and without
// a second factor.
//
// # Keys
//
// Names and contents are what an attacker writes who can write to the bucket; see
// [Name], [CheckName], [Keys] and [Policy]. What sshd reads is made anew from what
// was understood, never the input.
//
//   - A line that is refused does not take the others with it. A person all of whose
//     keys are refused keeps the account and logs in with nothing, also where the
//     keys before were good (alarm people-keys-refused): who replaces a stolen key by
//     a broken file must not leave the stolen one at work. One person is locked out
//     then, and the Session Manager is there for that.
//   - A key that two people bring stays with who has it, or brought it first: records
//     could not tell them apart.
//   - The age of keys is that of their object, by the clock of S3: WarnKeyAge tells
//     once a day, MaxKeyAge takes the keys away and leaves open sessions alone. While
//     the clocks of host and S3 are more than five minutes apart
//     (people-clock-wrong), what was taken stays taken and no other key is refused.
//   - An object that can't be read, or changed since it was listed, changes nothing.
//   - A changed key ends no session: to put somebody out, remove the object.
//   - An object with comment lines only makes an account for certificates.
//
// # Certificates
//
// Authorities are written to /etc/postern/authorities.pub (TrustedUserCAKeys), the
// revocation list to /etc/postern/revoked.krl (RevokedKeys), where sshd lets nobody
// in if it is missing or broken: an empty one stands in until the first is there, a
// broken or missing one keeps the last good one (people-revocation-failed).
//
// # What is told
//
// Each change is a line of the changelog (/var/log/postern/people, [Entry]) before it
// is made, and an event "people" in the journal. A run that is killed between the two
// tells it again. Where the changelog can't be written (people-log-failed), access
// only shrinks: removals and lost keys take effect, nothing is given. [Status] of the
// last run is in /run/postern/people.json. Other alarms: people-read-failed,
// people-accounts-broken, people-accounts-failed, people-homes-failed,
// people-keys-failed, people-state-broken, people-state-failed, people-sudo-failed,
// people-authorities-failed, people-uids-exhausted, people-status-failed.
//
// # Permissions
//
// The instance role needs s3:ListBucket on the bucket with the condition s3:prefix
// for the prefix, s3:GetObject on PREFIX* and on the revocation list, and
// kms:Decrypt on the key where a key of one's own encrypts them. An object that goes
// between listing and reading is a 404 only for who has s3:ListBucket without such a
// condition, and a 403 otherwise
// (docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html): people-read-failed
// tells of it once, and nothing changes.
package people
