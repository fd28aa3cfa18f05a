package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/postern-cdk/postern/internal/check"
)

// Archive configures where the evidence is kept.
type Archive struct {
	// KeyArn is the ARN of a customer managed key of yours. Defaults to a new one,
	// $1 a month.
	KeyArn string `yaml:"keyArn"`
	// BucketName is the name of a log bucket of yours. Defaults to a new one.
	BucketName string `yaml:"bucketName"`
	// ObjectLock is "governance" (the default), "compliance", "legal-hold" or "off".
	// Nobody, not even the account's root user, can shorten compliance mode.
	ObjectLock ObjectLock `yaml:"objectLock"`
	// ObjectLockDays is how long an object can't be deleted. Defaults to 365;
	// compliance mode wants it spelled out.
	ObjectLockDays int `yaml:"objectLockDays"`
	// InfrequentAccessAfterDays and the next three are the ages at which objects move
	// to cheaper classes. The first defaults to 90, the others to never.
	InfrequentAccessAfterDays int `yaml:"infrequentAccessAfterDays"`
	GlacierAfterDays          int `yaml:"glacierAfterDays"`
	GlacierFlexibleAfterDays  int `yaml:"glacierFlexibleAfterDays"`
	DeepArchiveAfterDays      int `yaml:"deepArchiveAfterDays"`
	// ExpireAfterDays is the age at which objects are deleted. Defaults to never.
	ExpireAfterDays int `yaml:"expireAfterDays"`
	// AccessLogRetentionDays is how long the bucket's access logs are kept. Defaults
	// to 365.
	AccessLogRetentionDays int `yaml:"accessLogRetentionDays"`
	// Inventory is "none" (the default), "weekly" or "daily": a list of what the
	// bucket holds, and until when it is locked.
	Inventory Inventory `yaml:"inventory"`
	// Replica is a copy of the bucket in another Region. Defaults to none.
	Replica *Replica `yaml:"replica"`
	// LogRetentionDays is how long log groups keep events. Defaults to 365.
	LogRetentionDays int `yaml:"logRetentionDays"`
	// MaskSecrets hides passwords and keys from who reads the log groups of commands
	// and of sessions.
	MaskSecrets bool `yaml:"maskSecrets"`
	// LogAccount is the archive of another account, which takes the records of this
	// one. Defaults to none.
	LogAccount *LogAccount `yaml:"logAccount"`
	// Sources make this the log account of other accounts. Defaults to none.
	Sources *Sources `yaml:"sources"`
}

// ObjectLock is an S3 Object Lock mode, or none.
type ObjectLock string

// The choices of Object Lock.
const (
	ObjectLockGovernance ObjectLock = "governance"
	ObjectLockCompliance ObjectLock = "compliance"
	ObjectLockLegalHold  ObjectLock = "legal-hold"
	ObjectLockOff        ObjectLock = "off"
)

// Inventory is how often what the bucket holds is listed.
type Inventory string

// The choices of inventory.
const (
	InventoryNone   Inventory = "none"
	InventoryWeekly Inventory = "weekly"
	InventoryDaily  Inventory = "daily"
)

// Replica is a copy of the archive's bucket in another Region.
type Replica struct {
	// Region of the copy. Required.
	Region string `yaml:"region"`
	// BucketName is what the copy is called. Defaults to one made of stack, account
	// and Region.
	BucketName string `yaml:"bucketName"`
}

// LogAccount is the archive of another account, in the words of its outputs.
type LogAccount struct {
	BucketName     string `yaml:"bucketName"`
	KeyArn         string `yaml:"keyArn"`
	DestinationArn string `yaml:"destinationArn"`
}

// Sources are accounts whose records this account takes.
type Sources struct {
	// Accounts by their 12 digits.
	Accounts []string `yaml:"accounts"`
	// OrganizationID is the organization that they must be in.
	OrganizationID string `yaml:"organizationId"`
}

// retentionDays are the periods that CloudWatch Logs knows:
// docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html.
var retentionDays = []int{
	1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
}

// maxSources is archive.MaxAccounts.
const maxSources = 25

var organizationPattern = regexp.MustCompile(`^o-[a-z0-9]{10,32}$`)

func (a *Archive) validate(c *Config, f *check.Faults) {
	c.arn(f, "archive.keyArn", a.KeyArn, keyARN)
	bucket(f, "archive.bucketName", a.BucketName, "write the name of an S3 bucket, 3 to 63 lower-case letters, digits, dots and hyphens")
	a.validateLock(f)
	a.validateLifecycle(f)
	oneOf(f, "archive.inventory", a.Inventory, InventoryNone, InventoryWeekly, InventoryDaily)
	if r := a.Replica; r != nil {
		r.validate(c, f)
	}
	if a.LogRetentionDays != 0 && !slices.Contains(retentionDays, a.LogRetentionDays) {
		f.Addf("archive.logRetentionDays", fmt.Sprintf("use one of %v", retentionDays), "%d is not a period that CloudWatch Logs knows", a.LogRetentionDays)
	}
	if a.LogAccount != nil {
		a.LogAccount.validate(c, f)
	}
	if a.Sources != nil {
		a.Sources.validate(c, f)
	}
	a.validatePlace(f)
}

// validatePlace refuses what describes a bucket made here where there is none.
func (a *Archive) validatePlace(f *check.Faults) {
	if a.LogAccount != nil {
		if a.BucketName != "" {
			f.Add("archive.bucketName", "is set, but archive.logAccount has the bucket", "remove one of them")
		}
		if a.Sources != nil {
			f.Add("archive.sources", "is set, and so is archive.logAccount: records are taken or given away", "remove one of them")
		}
	}
	if a.BucketName == "" && a.LogAccount == nil {
		return
	}
	for _, own := range []struct {
		key string
		set bool
	}{
		{"objectLock", a.ObjectLock != "" || a.ObjectLockDays != 0},
		{"infrequentAccessAfterDays", a.InfrequentAccessAfterDays != 0},
		{"glacierAfterDays", a.GlacierAfterDays != 0},
		{"glacierFlexibleAfterDays", a.GlacierFlexibleAfterDays != 0},
		{"deepArchiveAfterDays", a.DeepArchiveAfterDays != 0},
		{"expireAfterDays", a.ExpireAfterDays != 0},
		{"accessLogRetentionDays", a.AccessLogRetentionDays != 0},
		{"inventory", a.Inventory != ""},
		{"replica", a.Replica != nil},
		{"sources", a.Sources != nil},
	} {
		switch {
		case !own.set || own.key == "sources" && a.LogAccount != nil:
		case a.LogAccount != nil:
			f.Addf("archive."+own.key, "remove it here and set it in the log account", "can't be set on the bucket of another account")
		default:
			f.Addf("archive."+own.key, "remove it here and set it on the bucket itself", "can't be set on %q, a bucket of yours", a.BucketName)
		}
	}
}

func (a *Archive) validateLock(f *check.Faults) {
	oneOf(f, "archive.objectLock", a.ObjectLock, ObjectLockGovernance, ObjectLockCompliance, ObjectLockLegalHold, ObjectLockOff)
	if a.ObjectLockDays != 0 {
		f.Check("archive.objectLockDays", check.Between(a.ObjectLockDays, 1, maxLifecycleDays))
		if a.ObjectLock == ObjectLockOff || a.ObjectLock == ObjectLockLegalHold {
			f.Addf("archive.objectLockDays", "remove it, or choose governance or compliance", "%d is set, but archive.objectLock is %s", a.ObjectLockDays, a.ObjectLock)
		}
	} else if a.ObjectLock == ObjectLockCompliance {
		f.Add("archive.objectLockDays", "is missing, but archive.objectLock is compliance, which nobody can shorten or lift, not even AWS",
			"spell out how many days nothing can be deleted, such as 365, or choose governance")
	}
}

// What the archive does where the document says nothing, and what S3 asks for; see
// constructs/archive.
const (
	defaultLockDays         = 365
	defaultInfrequentAccess = 90
	minInfrequentAccess     = 30
	minGlacier              = 90
	maxLifecycleDays        = 36500
)

// validateLifecycle sees that each move comes after the one before, and that
// nothing is to be deleted while it is locked.
func (a *Archive) validateLifecycle(f *check.Faults) {
	last, lastKey, stay := a.InfrequentAccessAfterDays, "infrequentAccessAfterDays", minInfrequentAccess
	if last == 0 {
		last = defaultInfrequentAccess
	}
	if fault := check.Between(last, minInfrequentAccess, maxLifecycleDays); fault != nil {
		f.Check("archive.infrequentAccessAfterDays", fault)
		return
	}
	for _, move := range []struct {
		key        string
		days, stay int
	}{
		{"glacierAfterDays", a.GlacierAfterDays, minGlacier},
		{"glacierFlexibleAfterDays", a.GlacierFlexibleAfterDays, minGlacier},
		{"deepArchiveAfterDays", a.DeepArchiveAfterDays, 1},
	} {
		if move.days == 0 {
			continue
		}
		if least := last + stay; move.days < least || move.days > maxLifecycleDays {
			f.Addf("archive."+move.key, fmt.Sprintf("use %d to %d", least, maxLifecycleDays),
				"%d is out of range: objects stay for %d days or more where archive.%s (%d) puts them", move.days, stay, lastKey, last)
			return
		}
		last, lastKey, stay = move.days, move.key, move.stay
	}
	expire, lock := a.ExpireAfterDays, a.ObjectLockDays
	if lock == 0 && a.ObjectLock != ObjectLockOff && a.ObjectLock != ObjectLockLegalHold {
		lock = defaultLockDays
	}
	switch {
	case expire == 0:
	case expire < 0 || expire > maxLifecycleDays:
		f.Check("archive.expireAfterDays", check.Between(expire, 1, maxLifecycleDays))
	case expire < lock:
		f.Addf("archive.expireAfterDays", fmt.Sprintf("use %d or more, or fewer archive.objectLockDays", lock),
			"%d is before the end of the lock, which lasts %d days", expire, lock)
	case expire <= last:
		f.Addf("archive.expireAfterDays", fmt.Sprintf("use %d or more, or an earlier archive.%s", last+1, lastKey),
			"%d is not later than archive.%s, which is %d", expire, lastKey, last)
	}
	if a.AccessLogRetentionDays != 0 {
		f.Check("archive.accessLogRetentionDays", check.Between(a.AccessLogRetentionDays, 1, maxLifecycleDays))
	}
}

func (r *Replica) validate(c *Config, f *check.Faults) {
	if r.Region == "" {
		f.Add("archive.replica.region", "is missing", "write the code of another Region, such as eu-central-1")
	}
	matches(f, "archive.replica.region", r.Region, regionPattern, "write its code, such as eu-central-1")
	switch {
	case r.Region == "" || c.Region == "":
	case r.Region == c.Region:
		f.Addf("archive.replica.region", "name another", "%q is the Region of the archive itself", r.Region)
	case partitionOf(r.Region) != partitionOf(c.Region):
		f.Addf("archive.replica.region", "name a Region of the same partition", "%q is in partition %s, out of reach of region %s", r.Region, partitionOf(r.Region), c.Region)
	}
	if c.Region == "" || c.Account == "" {
		f.Add("archive.replica", "needs to know where the archive is", "write account and region, too")
	}
	bucket(f, "archive.replica.bucketName", r.BucketName, "write the name of an S3 bucket, 3 to 63 lower-case letters, digits and hyphens")
}

const fromTheLogAccount = "paste it from the outputs of the log account's stack"

func (l *LogAccount) validate(c *Config, f *check.Faults) {
	if c.Account == "" || c.Region == "" {
		f.Add("archive.logAccount", "needs to know whose records they are", "write account and region, too")
	}
	for _, field := range []struct{ key, value string }{{"bucketName", l.BucketName}, {"keyArn", l.KeyArn}, {"destinationArn", l.DestinationArn}} {
		if field.value == "" {
			f.Add("archive.logAccount."+field.key, "is missing", fromTheLogAccount)
		}
	}
	bucket(f, "archive.logAccount.bucketName", l.BucketName, fromTheLogAccount)
	for _, field := range []struct {
		key, value string
		kind       arnKind
	}{{"keyArn", l.KeyArn, keyARN}, {"destinationArn", l.DestinationArn, destinationARN}} {
		key := "archive.logAccount." + field.key
		if !c.arn(f, key, field.value, field.kind) {
			continue
		}
		if parts := strings.Split(field.value, ":"); len(parts) > 4 && c.Account != "" && parts[4] == c.Account {
			f.Addf(key, "name the archive of another account, or remove archive.logAccount to have an archive here",
				"%s is this account itself, where evidence is within reach of those it is about", c.Account)
		}
	}
}

func (s *Sources) validate(c *Config, f *check.Faults) {
	if len(s.Accounts) == 0 && s.OrganizationID == "" {
		f.Add("archive.sources", "names nobody", "name accounts or an organizationId, or remove it")
	}
	if n := len(s.Accounts); n > maxSources {
		f.Addf("archive.sources.accounts", "name the organizationId alone", "%d accounts are more than the %d whose policies fit into one bucket", n, maxSources)
	}
	for i, account := range s.Accounts {
		field := fmt.Sprintf("archive.sources.accounts[%d]", i)
		matches(f, field, account, accountPattern, "write its 12 digits")
		switch {
		case slices.Contains(s.Accounts[:i], account):
			f.Addf(field, "leave one out", "%q is in the list already", account)
		case account != "" && account == c.Account:
			f.Addf(field, "leave it out: its own records are taken anyway", "%q is the log account itself", account)
		}
	}
	matches(f, "archive.sources.organizationId", s.OrganizationID, organizationPattern, "write it as AWS Organizations does, such as o-a1b2c3d4e5")
}
