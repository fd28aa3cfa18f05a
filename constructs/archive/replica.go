package archive

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/internal/tree"
)

// ReplicaProps says what a [Replica] is made of. Its zero value, and nil, make a
// key, a locked bucket and a bucket for that one's access logs.
type ReplicaProps struct {
	// BucketName is what the bucket is called, in all of AWS. It is known before it
	// exists, so that the archive in the other Region can name it. Empty stands for
	// STACK-ACCOUNT-REGION, in lower case.
	//
	// The bucket stays when its stack is deleted, and so does its name: to deploy the
	// stack again, name another, or take the bucket back by cdk import.
	BucketName string

	// ObjectLock is as [Props.ObjectLock]. A copy keeps the retention of its
	// original where that has one, so this is for copies of objects without. The copy
	// of a locked bucket can't be [LockOff].
	ObjectLock ObjectLock

	// These are as the fields of [Props] of the same names.
	InfrequentAccessAfterDays, GlacierAfterDays, GlacierFlexibleAfterDays, DeepArchiveAfterDays, ExpireAfterDays, AccessLogRetentionDays int
}

// Replica is the bucket in another Region to which S3 copies an archive. It has a
// key of its own, as keys stay in their Region.
//
// It is deleted with its stack in one case only: where the very deploy that would
// have made it failed, when nothing can be in it.
type Replica struct {
	constructs.Construct

	props           Props
	target          ReplicaTarget
	key             awskms.Key
	bucket          awss3.Bucket
	accessLogBucket awss3.IBucket
}

var _ constructs.IConstruct = (*Replica)(nil)

// ReplicaTarget names a [Replica]. All of it is plain text that is known at
// synthesis, so nothing has to be carried from Region to Region.
type ReplicaTarget struct {
	// BucketName is the bucket's, in the account of the archive.
	BucketName string
	// Region of the bucket, such as "eu-central-1".
	Region string
	// KeyAlias is an alias of the key that copies are encrypted with, such as
	// "alias/evidence". Aliases are resolved in the account of the archive.
	KeyAlias string

	replica *Replica
}

// NewReplica makes a replica. The stack must say which Region it is for. props may
// be nil.
func NewReplica(scope constructs.Construct, id string, props *ReplicaProps) *Replica {
	var given ReplicaProps
	if props != nil {
		given = *props
	}
	p := given.archiveProps()
	stack := awscdk.Stack_Of(scope)
	region := *stack.Region()
	name := given.BucketName
	if name == "" {
		name = strings.ToLower(*stack.StackName()) + "-" + *stack.Account() + "-" + region
	}
	tree.Must("archive replica", scope, id, validateReplicaProps(&p, name, given.BucketName == "", region))

	r := &Replica{props: p}
	constructs.NewConstruct_Override(r, scope, &id)
	r.target = ReplicaTarget{BucketName: name, Region: region, KeyAlias: "alias/" + name, replica: r}

	// What is retained of a deploy that fails would keep the name from the next.
	const kept = awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE
	r.key = awskms.NewKey(r, jsii.String("Key"), &awskms.KeyProps{
		Description:       jsii.String("Encrypts the copies of records of access"),
		EnableKeyRotation: jsii.Bool(true),
		RemovalPolicy:     kept,
	})
	awskms.NewAlias(r, jsii.String("Alias"), &awskms.AliasProps{AliasName: &r.target.KeyAlias, TargetKey: r.key, RemovalPolicy: kept})
	r.accessLogBucket = newAccessLogBucket(r, &p, kept)
	r.bucket = newLockedBucket(r, &p, &awss3.BucketProps{BucketName: &name, EncryptionKey: r.key, RemovalPolicy: kept})
	logAccessOf(r.bucket, r.accessLogBucket)
	attach.ToBucket(r.accessLogBucket,
		policy.AccessLogStatements(attach.ScopeOf(r), *r.accessLogBucket.BucketArn(), accessLogPrefix, *r.bucket.BucketArn()))
	tree.Acknowledge(r.bucket, "This bucket is the copy of another.",
		"NIST.800.53.R5-S3BucketReplicationEnabled", "PCI.DSS.321-S3BucketReplicationEnabled")
	return r
}

// Target is what [Props.Replica] takes.
func (r *Replica) Target() ReplicaTarget { return r.target }

// Key encrypts the copies.
func (r *Replica) Key() awskms.IKey { return r.key }

// Bucket takes the copies.
func (r *Replica) Bucket() awss3.IBucket { return r.bucket }

// AccessLogBucket takes the server access logs of the bucket.
func (r *Replica) AccessLogBucket() awss3.IBucket { return r.accessLogBucket }

func (p *ReplicaProps) archiveProps() Props {
	q := &Props{
		ObjectLock:                p.ObjectLock,
		InfrequentAccessAfterDays: p.InfrequentAccessAfterDays,
		GlacierAfterDays:          p.GlacierAfterDays,
		GlacierFlexibleAfterDays:  p.GlacierFlexibleAfterDays,
		DeepArchiveAfterDays:      p.DeepArchiveAfterDays,
		ExpireAfterDays:           p.ExpireAfterDays,
		AccessLogRetentionDays:    p.AccessLogRetentionDays,
	}
	return q.withDefaults()
}

// docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
var (
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	keyAlias   = regexp.MustCompile(`^alias/[a-zA-Z0-9/_-]{1,250}$`)
)

// accountDigits is how long an account's number is, where it is a token.
const accountDigits = "000000000000"

var oneToken = regexp.MustCompile(`\$\{Token\[[^]]*\]\}`)

func validateReplicaProps(p *Props, name string, made bool, region string) error {
	var faults check.Faults
	if check.Token(region) {
		faults.Add("scope", "is in a stack that names no Region, so the archive can't say where to copy to",
			"give the stack's Env a Region")
	}
	plain := oneToken.ReplaceAllString(name, accountDigits)
	switch {
	case bucketName.MatchString(plain) && !strings.Contains(plain, "."):
	case made:
		faults.Addf("BucketName", "name it yourself, 3 to 63 lower-case letters, digits and hyphens",
			"is empty, and %q is no name of a bucket", plain)
	default:
		// A dot would fit S3 but neither the alias nor TLS by the bucket's address.
		faults.Addf("BucketName", "use 3 to 63 lower-case letters, digits and hyphens", "%q is no name of a bucket here", name)
	}
	faults.Merge("", p.validate())
	return faults.Err()
}

// validateReplica examines what can be seen without the tree.
func (p *Props) validateReplica(faults *check.Faults) {
	t := p.Replica
	if t == (ReplicaTarget{}) {
		return
	}
	if t.BucketName == "" {
		faults.Add("Replica.BucketName", "is empty", "pass Target() of a Replica, or name the bucket")
	}
	switch {
	case t.Region == "":
		faults.Add("Replica.Region", "is empty", "pass Target() of a Replica, or name the Region of the bucket")
	case check.Token(t.Region):
		faults.Add("Replica.Region", "is only known when the stack is deployed", `write it out, such as "eu-central-1"`)
	}
	if !check.Token(t.KeyAlias) && !keyAlias.MatchString(t.KeyAlias) {
		faults.Addf("Replica.KeyAlias", `pass Target() of a Replica, or write an alias such as "alias/evidence"`, "%q is no alias of a key", t.KeyAlias)
	}
	if t.replica == nil {
		return
	}
	there := &t.replica.props
	if there.ObjectLock.Mode == LockOff && p.ObjectLock.Mode != LockOff {
		faults.Addf("Replica", "give the Replica an ObjectLock, such as LockLegalHold",
			"has ObjectLock LockOff, but S3 copies a bucket with Object Lock (%s) only to another", p.ObjectLock.Mode)
	}
	if e := there.ExpireAfterDays; e != 0 && e < p.ObjectLock.Days {
		faults.Addf("Replica", fmt.Sprintf("give the Replica ExpireAfterDays %d or more, or shorten ObjectLock.Days", p.ObjectLock.Days),
			"deletes after %d days (ExpireAfterDays), before the end of the lock that copies bring along, which lasts %d days", e, p.ObjectLock.Days)
	}
}
