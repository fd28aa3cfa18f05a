package archive

import (
	"regexp"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/internal/tree"
)

// LogAccountProps name the archive in the log account, in the words of its stack's
// outputs. All are needed.
type LogAccountProps struct {
	// BucketName is its bucket.
	BucketName string
	// KeyArn is the key of that bucket.
	KeyArn string
	// DestinationArn is where log groups are sent to. Its Region must be that of the
	// log groups: CloudWatch Logs takes a destination in another one for no log group
	// (docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CrossAccountSubscriptions-Firehose.html),
	// so that the log account has an archive in each Region with sources.
	DestinationArn string
}

// LogAccount is an [Archive] in another account, which took this account among
// its [Sources].
type LogAccount struct {
	constructs.Construct

	bucket         awss3.IBucket
	key            awskms.IKey
	account        string
	region         string
	destinationArn string
}

var _ constructs.IConstruct = (*LogAccount)(nil)

// FromLogAccount imports the archive of a log account, for [Props.LogAccount].
//
// Hosts that reach S3 through an endpoint need its policy to let them write to the
// log account's bucket: a bastion sees to that of its Endpoints, and
// endpoints.AllowRecords does for other hosts.
func FromLogAccount(scope constructs.Construct, id string, props *LogAccountProps) *LogAccount {
	var p LogAccountProps
	if props != nil {
		p = *props
	}
	own := policy.Scope{}
	if scope != nil {
		own = attach.ScopeOf(scope)
	}
	tree.Must("log account", scope, id, p.validate(own.Account, own.Region))

	key, _ := parseArn(p.KeyArn)
	l := &LogAccount{account: key.account, region: key.region, destinationArn: p.DestinationArn}
	constructs.NewConstruct_Override(l, scope, &id)
	l.key = awskms.Key_FromKeyArn(l, jsii.String("Key"), &p.KeyArn)
	l.bucket = awss3.Bucket_FromBucketAttributes(l, jsii.String("Bucket"), &awss3.BucketAttributes{
		BucketName: &p.BucketName, EncryptionKey: l.key, Account: &key.account, Region: &key.region,
	})
	attach.Arrange(l.bucket)
	return l
}

// Bucket takes the records of this account, each kind below a folder of this
// account's number.
func (l *LogAccount) Bucket() awss3.IBucket { return l.bucket }

// Key is the key of the bucket.
func (l *LogAccount) Key() awskms.IKey { return l.key }

// Account is the log account's twelve digits.
func (l *LogAccount) Account() string { return l.account }

// Region is where the log account's archive is.
func (l *LogAccount) Region() string { return l.region }

// DestinationArn is where log groups are sent to.
func (l *LogAccount) DestinationArn() string { return l.destinationArn }

var bucketForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// arnParts is what is read of an ARN.
type arnParts struct{ service, region, account, resource string }

func parseArn(arn string) (arnParts, bool) {
	part := strings.SplitN(arn, ":", 6)
	if len(part) != 6 || part[0] != "arn" || part[1] == "" || part[3] == "" || !accountForm.MatchString(part[4]) || part[5] == "" {
		return arnParts{}, false
	}
	return arnParts{service: part[2], region: part[3], account: part[4], resource: part[5]}, true
}

// validate examines props for a stack in an account and Region of its own, which
// may be tokens.
func (p *LogAccountProps) validate(ownAccount, ownRegion string) error {
	var faults check.Faults
	const outputs = "paste it from the outputs of the log account's stack"
	for _, field := range []struct{ name, value string }{
		{"BucketName", p.BucketName}, {"KeyArn", p.KeyArn}, {"DestinationArn", p.DestinationArn},
	} {
		switch {
		case field.value == "":
			faults.Add(field.name, "is missing", outputs)
		case check.Token(field.value):
			faults.Add(field.name, "is only known when the stack is deployed, and the account in it is needed now", outputs)
		}
	}
	if !faults.Empty() {
		return faults.Err()
	}
	if !bucketForm.MatchString(p.BucketName) {
		faults.Addf("BucketName", outputs, "%q is not the name of a bucket", p.BucketName)
	}
	key, ok := parseArn(p.KeyArn)
	if !ok || key.service != "kms" || !strings.HasPrefix(key.resource, "key/") {
		faults.Addf("KeyArn", outputs+", such as arn:aws:kms:eu-west-1:999988887777:key/...", "%q is not the ARN of a key", p.KeyArn)
	}
	destination, ok := parseArn(p.DestinationArn)
	if !ok || destination.service != "logs" || !strings.HasPrefix(destination.resource, "destination:") {
		faults.Addf("DestinationArn", outputs+", such as arn:aws:logs:eu-west-1:999988887777:destination:...",
			"%q is not the ARN of a destination of CloudWatch Logs", p.DestinationArn)
	}
	if !faults.Empty() {
		return faults.Err()
	}
	switch {
	case destination.account != key.account:
		faults.Addf("DestinationArn", outputs, "belongs to %s, and KeyArn to %s", destination.account, key.account)
	case key.account == ownAccount:
		faults.Addf("KeyArn", "name the archive of another account, or leave Props.LogAccount out to have an archive here",
			"%s is this stack's own account, where evidence is within reach of those it is about", ownAccount)
	}
	switch {
	case destination.region != key.region:
		faults.Addf("DestinationArn", outputs, "is in %s, and KeyArn in %s", destination.region, key.region)
	case !check.Token(ownRegion) && destination.region != ownRegion:
		faults.Addf("DestinationArn", "deploy an archive with Sources to "+ownRegion+" in the log account, too, and paste its outputs",
			"is in %s and this stack in %s, and CloudWatch Logs sends log groups to a destination of their own Region only", destination.region, ownRegion)
	}
	return faults.Err()
}
