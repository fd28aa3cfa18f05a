package archive

import (
	"fmt"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"

	"github.com/postern-cdk/postern/internal/check"
)

// What an [Archive] does where Props says nothing.
const (
	DefaultLockDays                  = 365
	DefaultInfrequentAccessAfterDays = 90
	DefaultLogRetentionDays          = 365
	DefaultAccessLogRetentionDays    = 365
)

// Versions that expired or were overwritten stay this long, so that a mistake
// can be undone. The lock, where it lasts longer, holds them anyway.
const noncurrentDays = 30

const abortUploadDays = 7

// S3 takes lock periods and lifecycle ages up to a hundred years.
const maxDays = 36500

// S3 moves no object to STANDARD_IA before it is 30 days old, nor on to an
// archive class before it has been there for 30. The Glacier classes are charged
// for 90 days at least.
//
// docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html
const (
	minInfrequentAccessDays = 30
	minGlacierDays          = 90
)

// Props says what an [Archive] is made of. Its zero value, and nil, make a key,
// a locked log bucket and a bucket for that one's access logs.
type Props struct {
	// Key encrypts the bucket and the log groups. Nil makes a customer managed
	// key with yearly rotation ($1 a month).
	//
	// A key of the same app gets the statements that CloudWatch Logs, log
	// delivery, CloudTrail, SNS publishers and Auto Scaling need. The policy of an
	// imported one can't be changed: a warning lists what to add.
	Key awskms.IKey

	// Bucket takes the logs in place of one made here. Its lock, lifecycle,
	// access logs and policy are then yours: the fields below that describe a
	// bucket must be empty.
	Bucket awss3.IBucket

	// LogAccount is the archive of another account, which takes all records, and
	// what is logged to the groups of [Archive.AddLogGroup], beyond the reach of this
	// account: made by [FromLogAccount]. No bucket is made then, and the fields below
	// that describe one must be empty. The log groups stay here, too, to be searched.
	LogAccount *LogAccount

	// Sources are other accounts whose records this archive takes, which makes its
	// account their log account. Nil: none.
	Sources *Sources

	// AccessLogBucket takes the server access logs of the log bucket in place of
	// one made here. It must have default encryption SSE-S3 and no Object Lock,
	// or S3 delivers nothing.
	AccessLogBucket awss3.IBucket

	// ObjectLock is how long nobody can delete what the log bucket holds. Its
	// zero value locks in governance mode for [DefaultLockDays].
	ObjectLock ObjectLock

	// InfrequentAccessAfterDays is the age in days at which objects move to the
	// cheaper class STANDARD_IA, 30 or more. 0 stands for
	// [DefaultInfrequentAccessAfterDays]. S3 leaves objects under 128 KB where they
	// are, because they would cost more there.
	InfrequentAccessAfterDays int

	// GlacierAfterDays is the age in days at which objects move on to Glacier
	// Instant Retrieval, 30 days or more after InfrequentAccessAfterDays. They can
	// still be read at once. 0 stands for never.
	GlacierAfterDays int

	// GlacierFlexibleAfterDays is the age in days at which objects move on to
	// Glacier Flexible Retrieval, which gives up that records can be read at once:
	// neither people nor queries read an object before it was restored, which takes
	// minutes to 12 hours and is paid by the GB
	// (docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html).
	// 0 stands for never.
	//
	// S3 charges at least 90 days of either Glacier class, so the next move comes 90
	// days later or more.
	GlacierFlexibleAfterDays int

	// DeepArchiveAfterDays is the age in days at which objects move on to Glacier
	// Deep Archive, the cheapest class: a restore takes 12 to 48 hours. 0 stands for
	// never. S3 charges at least 180 days of it.
	DeepArchiveAfterDays int

	// ExpireAfterDays is the age in days at which objects are deleted, not less
	// than the lock lasts and later than the moves to cheaper classes. 0 keeps them
	// forever.
	//
	// An object under a legal hold, or with a longer retention of its own, stays
	// until that ends: S3 deletes no version that is locked.
	ExpireAfterDays int

	// Inventory has S3 list regularly what the log bucket holds, with each object's
	// lock: what an auditor asks for first, and what a batch job takes to place holds
	// or to copy what was there before the Replica. Nil lists nothing.
	Inventory *Inventory

	// Replica is where S3 copies to what is written to the log bucket from then on,
	// in another Region; see [NewReplica]. Its zero value copies nowhere.
	//
	// Deletions are not copied, so that who hides an object here doesn't hide the
	// copy; retention and legal holds are. What is in the bucket already is copied
	// by S3 Batch Replication only, which is started by hand
	// (docs.aws.amazon.com/AmazonS3/latest/userguide/s3-batch-replication-batch.html).
	Replica ReplicaTarget

	// AccessLogRetentionDays is the age in days at which access logs are deleted.
	// 0 stands for [DefaultAccessLogRetentionDays].
	AccessLogRetentionDays int

	// LogRetentionDays is how many days the groups of [Archive.AddLogGroup] keep
	// their events: one of the periods that CloudWatch Logs has, 1 to 3653. 0 stands
	// for [DefaultLogRetentionDays].
	LogRetentionDays int

	// AllowLogGroupDeletion gives up that a log group can be deleted only after
	// its deletion protection was switched off. Set it in partitions whose
	// CloudWatch Logs has no deletion protection.
	AllowLogGroupDeletion bool
}

// ObjectLock is how the log bucket holds on to its objects
// (docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html). It can be
// switched on, and its days be changed for objects to come, at any time; it can
// never be switched off.
type ObjectLock struct {
	// Mode is [LockGovernance] where empty.
	Mode LockMode
	// Days is how many days after it was written an object stays locked, 1 to
	// 36500. 0 stands for [DefaultLockDays] with LockGovernance; LockCompliance,
	// which nobody can take back, wants them spelled out, and the other modes have
	// none.
	Days int
}

// String says the lock in words.
func (l ObjectLock) String() string {
	switch l.Mode {
	case LockGovernance:
		return fmt.Sprintf("(locked for %d days; s3:BypassGovernanceRetention lifts it)", l.Days)
	case LockCompliance:
		return fmt.Sprintf("(locked for %d days; nobody lifts it)", l.Days)
	case LockLegalHold:
		return "(where a hold or retention was placed, locked)"
	default:
		return "(not locked)"
	}
}

// LockMode is who can lift the lock of an object before its time.
type LockMode string

const (
	// LockGovernance lets only principals with s3:BypassGovernanceRetention lift a
	// lock. The default.
	LockGovernance LockMode = "governance"
	// LockCompliance lets nobody lift a lock: not the root user, not AWS Support.
	// What was written can't be deleted, and is paid for, until its time is over.
	LockCompliance LockMode = "compliance"
	// LockLegalHold locks no object by itself, but lets each be locked: by a legal
	// hold, which lasts until it is taken off (s3:PutObjectLegalHold), or by a
	// retention of its own (s3:PutObjectRetention). Until then whoever may delete
	// objects may delete evidence.
	LockLegalHold LockMode = "legal-hold"
	// LockOff gives up the lock: whoever may delete objects may delete evidence.
	// Versioning alone remains.
	LockOff LockMode = "off"
)

func (p *Props) withDefaults() Props {
	var q Props
	if p != nil {
		q = *p
	}
	setDefault(&q.LogRetentionDays, DefaultLogRetentionDays)
	q.Sources = q.Sources.withDefaults()
	if q.Bucket != nil || q.LogAccount != nil {
		return q
	}
	if q.ObjectLock.Mode == "" {
		q.ObjectLock.Mode = LockGovernance
	}
	if q.ObjectLock.Mode == LockGovernance {
		setDefault(&q.ObjectLock.Days, DefaultLockDays)
	}
	setDefault(&q.InfrequentAccessAfterDays, DefaultInfrequentAccessAfterDays)
	if q.AccessLogBucket == nil {
		setDefault(&q.AccessLogRetentionDays, DefaultAccessLogRetentionDays)
	}
	return q
}

func setDefault(field *int, value int) {
	if *field == 0 {
		*field = value
	}
}

// validate examines props whose defaults are filled in.
func (p *Props) validate() error {
	var faults check.Faults
	if p.Sources != nil {
		faults.Merge("Sources", p.Sources.validate())
	}
	switch {
	case p.LogAccount != nil:
		if p.Bucket != nil {
			faults.Add("Bucket", "takes the logs in place of the LogAccount's", "leave out one of the two")
		}
		if p.Sources != nil {
			faults.Add("Sources", "would send the records of other accounts here, while LogAccount takes this one's away", "let the sources name the log account itself")
		}
		p.refuseBucketFields("LogAccount", &faults)
	case p.Bucket != nil:
		p.refuseBucketFields("Bucket", &faults)
	default:
		p.validateLock(&faults)
		p.validateLifecycle(&faults)
		p.validateReplica(&faults)
		if p.AccessLogBucket == nil {
			faults.Check("AccessLogRetentionDays", check.Between(p.AccessLogRetentionDays, 1, maxDays))
		} else if p.AccessLogRetentionDays != 0 {
			faults.Addf("AccessLogRetentionDays", "leave it out, or leave out AccessLogBucket to have a bucket made",
				"%d is for a bucket made here, but AccessLogBucket brings another", p.AccessLogRetentionDays)
		}
	}
	checkRetention(&faults, "LogRetentionDays", p.LogRetentionDays)
	return faults.Err()
}

func checkRetention(faults *check.Faults, field string, days int) {
	if _, ok := retention(days); !ok {
		faults.Addf(field, nearestRetention(days), "%d is no retention period of CloudWatch Logs", days)
	}
}

func (p *Props) refuseBucketFields(instead string, faults *check.Faults) {
	fix := "leave it out, or leave out " + instead + " to have one made"
	for _, field := range []struct {
		name string
		set  bool
	}{
		{"AccessLogBucket", p.AccessLogBucket != nil},
		{"ObjectLock", p.ObjectLock != ObjectLock{}},
		{"InfrequentAccessAfterDays", p.InfrequentAccessAfterDays != 0},
		{"GlacierAfterDays", p.GlacierAfterDays != 0},
		{"GlacierFlexibleAfterDays", p.GlacierFlexibleAfterDays != 0},
		{"DeepArchiveAfterDays", p.DeepArchiveAfterDays != 0},
		{"ExpireAfterDays", p.ExpireAfterDays != 0},
		{"AccessLogRetentionDays", p.AccessLogRetentionDays != 0},
		{"Inventory", p.Inventory != nil},
		{"Replica", p.Replica != ReplicaTarget{}},
	} {
		if field.set {
			faults.Add(field.name, "describes a bucket made here, but "+instead+" brings another", fix)
		}
	}
}

func (p *Props) validateLock(faults *check.Faults) {
	lock := p.ObjectLock
	faults.Check("ObjectLock.Mode", check.OneOf(lock.Mode, LockGovernance, LockCompliance, LockLegalHold, LockOff))
	switch {
	case lock.Mode == LockCompliance && lock.Days == 0:
		faults.Add("ObjectLock.Days", "is empty, but Mode is LockCompliance, which nobody can shorten or lift, not even AWS",
			fmt.Sprintf("spell out how many days nothing can be deleted, such as %d, or choose LockGovernance", DefaultLockDays))
	case lock.Mode == LockGovernance || lock.Mode == LockCompliance:
		faults.Check("ObjectLock.Days", check.Between(lock.Days, 1, maxDays))
	case lock.Days != 0 && lockNames[lock.Mode] != "":
		faults.Addf("ObjectLock.Days", "leave it out, or choose LockGovernance or LockCompliance",
			"%d days are given, but Mode is %s", lock.Days, lockNames[lock.Mode])
	}
}

var lockNames = map[LockMode]string{LockLegalHold: "LockLegalHold, which locks nothing by itself", LockOff: "LockOff"}

// move is an age at which objects go to a cheaper class.
type move struct {
	field, class string
	days         int
	stay         int // how long they stay there at least
}

// moves are those that are asked for, in the order in which S3 makes them.
func (p *Props) moves() []move {
	var asked []move
	for _, m := range []move{
		{"InfrequentAccessAfterDays", "STANDARD_IA", p.InfrequentAccessAfterDays, minInfrequentAccessDays},
		{"GlacierAfterDays", "GLACIER_IR", p.GlacierAfterDays, minGlacierDays},
		{"GlacierFlexibleAfterDays", "GLACIER", p.GlacierFlexibleAfterDays, minGlacierDays},
		{"DeepArchiveAfterDays", "DEEP_ARCHIVE", p.DeepArchiveAfterDays, 0},
	} {
		if m.days != 0 {
			asked = append(asked, m)
		}
	}
	return asked
}

func (p *Props) validateLifecycle(faults *check.Faults) {
	faults.Check("InfrequentAccessAfterDays", check.Between(p.InfrequentAccessAfterDays, minInfrequentAccessDays, maxDays))
	moves := p.moves()
	for i, m := range moves[1:] {
		before := moves[i]
		if least := before.days + before.stay; m.days < least || m.days > maxDays {
			faults.Addf(m.field, fmt.Sprintf("use %d to %d", least, maxDays),
				"%d is out of range: objects stay in %s for %d days or more, from %s %d on",
				m.days, before.class, before.stay, before.field, before.days)
		}
	}
	last, lastName := moves[len(moves)-1].days, moves[len(moves)-1].field
	if p.ExpireAfterDays == 0 {
		return
	}
	switch expire := p.ExpireAfterDays; {
	case expire < 0 || expire > maxDays:
		faults.Addf("ExpireAfterDays", fmt.Sprintf("use 1 to %d, or 0 for never", maxDays), "%d is out of range", expire)
	case expire < p.ObjectLock.Days:
		faults.Addf("ExpireAfterDays", fmt.Sprintf("use %d or more, or shorten ObjectLock.Days", p.ObjectLock.Days),
			"%d is before the end of the lock, which lasts %d days", expire, p.ObjectLock.Days)
	case expire <= last:
		faults.Addf("ExpireAfterDays", fmt.Sprintf("use %d or more, or an earlier %s", last+1, lastName),
			"%d is not later than %s %d", expire, lastName, last)
	}
}

// The periods that CloudWatch Logs accepts, ascending
// (docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html).
var retentions = []struct {
	days  int
	value awslogs.RetentionDays
}{
	{1, awslogs.RetentionDays_ONE_DAY},
	{3, awslogs.RetentionDays_THREE_DAYS},
	{5, awslogs.RetentionDays_FIVE_DAYS},
	{7, awslogs.RetentionDays_ONE_WEEK},
	{14, awslogs.RetentionDays_TWO_WEEKS},
	{30, awslogs.RetentionDays_ONE_MONTH},
	{60, awslogs.RetentionDays_TWO_MONTHS},
	{90, awslogs.RetentionDays_THREE_MONTHS},
	{120, awslogs.RetentionDays_FOUR_MONTHS},
	{150, awslogs.RetentionDays_FIVE_MONTHS},
	{180, awslogs.RetentionDays_SIX_MONTHS},
	{365, awslogs.RetentionDays_ONE_YEAR},
	{400, awslogs.RetentionDays_THIRTEEN_MONTHS},
	{545, awslogs.RetentionDays_EIGHTEEN_MONTHS},
	{731, awslogs.RetentionDays_TWO_YEARS},
	{1096, awslogs.RetentionDays_THREE_YEARS},
	{1827, awslogs.RetentionDays_FIVE_YEARS},
	{2192, awslogs.RetentionDays_SIX_YEARS},
	{2557, awslogs.RetentionDays_SEVEN_YEARS},
	{2922, awslogs.RetentionDays_EIGHT_YEARS},
	{3288, awslogs.RetentionDays_NINE_YEARS},
	{3653, awslogs.RetentionDays_TEN_YEARS},
}

func retention(days int) (awslogs.RetentionDays, bool) {
	for _, r := range retentions {
		if r.days == days {
			return r.value, true
		}
	}
	return "", false
}

func nearestRetention(days int) string {
	above := slices.IndexFunc(retentions, func(r struct {
		days  int
		value awslogs.RetentionDays
	},
	) bool {
		return r.days > days
	})
	switch above {
	case -1:
		return fmt.Sprintf("use %d, the longest", retentions[len(retentions)-1].days)
	case 0:
		return fmt.Sprintf("use %d, the shortest, or more", retentions[0].days)
	default:
		return fmt.Sprintf("use %d or %d, the periods next to it", retentions[above-1].days, retentions[above].days)
	}
}
