package trail

import (
	"net/netip"
	"regexp"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/policy"
)

// DefaultPrefix is the folder of the bucket that takes the trail where Props names
// none. In the bucket of a log account it is the only one.
const DefaultPrefix = policy.SourceTrails

// Props says what a [Trail] records and where. Its zero value, and nil, record the
// management events of every Region into an archive made for it.
type Props struct {
	// Name is the name of the trail: 3 to 128 letters, digits and ._-, beginning and
	// ending with a letter or digit. Empty stands for one made of the stack's name and
	// ID, so that a stack that is made again makes another. A change of it makes
	// another trail, too; the old one stays.
	Name string

	// Bucket takes the log files and digests, such as the bucket of an archive. Nil
	// makes an archive, locked for a year.
	//
	// A bucket of the same app gets the statements that let this one trail deliver.
	// The policy of an imported one can't be changed: a warning lists what to add. The
	// bucket of an archive in a log account is ready for the trails of its sources.
	Bucket awss3.IBucket

	// Prefix is the folder in the bucket, up to 200 characters without slashes around.
	// Empty stands for [DefaultPrefix].
	Prefix string

	// Key encrypts the log files, such as the key of an archive. Nil stands for that of
	// Bucket, or else for a customer managed key with yearly rotation ($1 a month).
	//
	// A key of the same app gets the statements that CloudTrail needs. The policy of
	// an imported one can't be changed: a warning lists what to add.
	Key awskms.IKey

	// LogGroup takes the events, too, such as one that an archive made. Alarms on the
	// account need it. It must be of the same account and Region as the trail. The
	// role that writes to it is made.
	LogGroup awslogs.ILogGroup

	// WithLogGroup makes such a log group, encrypted and kept for a year, where
	// LogGroup is nil ($0.50 for each GB of events).
	WithLogGroup bool

	// RecordObjects records who reads, writes and deletes objects in Bucket, except for
	// CloudTrail's own deliveries ($0.10 for 100,000 events). Of a bucket in another
	// account it records what callers of this account do; for the others that account
	// needs a trail of its own.
	RecordObjects bool

	// OrganizationID is the ID of the organization whose accounts are all recorded,
	// such as "o-exampleorgid". The stack must then be deployed to its management
	// account, where CloudTrail must be a trusted service
	// (docs.aws.amazon.com/awscloudtrail/latest/userguide/creating-trail-organization.html).
	OrganizationID string
}

func (p *Props) withDefaults() Props {
	var q Props
	if p != nil {
		q = *p
	}
	if q.Prefix == "" {
		q.Prefix = DefaultPrefix
	}
	return q
}

var (
	// docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_CreateTrail.html
	trailName = regexp.MustCompile(`^[A-Za-z0-9](?:[._-]?[A-Za-z0-9])+$`)
	// docs.aws.amazon.com/organizations/latest/APIReference/API_Organization.html
	organizationID = regexp.MustCompile(`^o-[a-z0-9]{10,32}$`)
	// The characters that S3 calls safe in the key of an object.
	// docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
	folder = regexp.MustCompile(`^[A-Za-z0-9!_.*'()-]+(?:/[A-Za-z0-9!_.*'()-]+)*$`)
)

const (
	minName, maxName = 3, 128
	maxPrefix        = 200
)

// validate examines props whose defaults are filled in.
func (p *Props) validate() error {
	var faults check.Faults
	if name := p.Name; name != "" && !check.Token(name) && !validName(name) {
		faults.Addf("Name", `use 3 to 128 letters, digits and ._-, no two of those together, beginning and ending with a letter or digit`,
			"%q is no name of a trail", name)
	}
	switch prefix := p.Prefix; {
	case check.Token(prefix):
	case strings.HasPrefix(prefix, "/") || strings.HasSuffix(prefix, "/"):
		faults.Addf("Prefix", "leave the slashes around it out", "%q begins or ends with a slash", prefix)
	case len(prefix) > maxPrefix || !folder.MatchString(prefix):
		faults.Addf("Prefix", "use up to 200 letters, digits and !_.*'()-, with slashes between folders", "%q can't be the folder of a trail", prefix)
	}
	if p.LogGroup != nil && p.WithLogGroup {
		faults.Add("WithLogGroup", "has a log group made, but LogGroup brings one", "leave one of the two out")
	}
	if id := p.OrganizationID; id != "" && !check.Token(id) && !organizationID.MatchString(id) {
		faults.Addf("OrganizationID", `write it as "aws organizations describe-organization" shows it, such as o-exampleorgid`,
			"%q is no ID of an organization", id)
	}
	return faults.Err()
}

func validName(name string) bool {
	_, err := netip.ParseAddr(name)
	return err != nil && len(name) >= minName && len(name) <= maxName && trailName.MatchString(name)
}

// Attributes is a trail that there is already, of the account or of its
// organization.
type Attributes struct {
	// TrailArn is the ARN of the trail. Required.
	TrailArn string

	// LogGroupName is the name of the log group of this account and Region that takes
	// its events, or "" where there is none. Alarms on the account need it; of an
	// organization's trail the management account has it.
	LogGroupName string
}

// docs.aws.amazon.com/service-authorization/latest/reference/list_awscloudtrail.html
var trailARN = regexp.MustCompile(`^arn:aws[a-z-]*:cloudtrail:[a-z0-9-]+:[0-9]{12}:trail/[A-Za-z0-9._-]+$`)

// docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html
var logGroupName = regexp.MustCompile(`^[A-Za-z0-9_./#-]{1,512}$`)

func (a *Attributes) validate() error {
	var faults check.Faults
	if a.TrailArn == "" {
		faults.Add("TrailArn", "is empty", "take it from aws cloudtrail describe-trails")
	} else if !check.Token(a.TrailArn) && !trailARN.MatchString(a.TrailArn) {
		faults.Addf("TrailArn", "take it from aws cloudtrail describe-trails, such as arn:aws:cloudtrail:eu-west-1:111122223333:trail/Audit",
			"%q is no ARN of a trail", a.TrailArn)
	}
	if name := a.LogGroupName; name != "" && !check.Token(name) && !logGroupName.MatchString(name) {
		faults.Addf("LogGroupName", "write the name alone: up to 512 letters, digits and _./#-", "%q is no name of a log group", name)
	}
	return faults.Err()
}
