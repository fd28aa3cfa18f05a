package bastion

import (
	"context"
	"regexp"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/internal/asset"
	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/host/bundle"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/internal/tree"
)

// build makes what runs on the host, or examines what was made before.
func build(p *Props) (bundle.Bundle, error) {
	arch, _ := architectureOf(p.InstanceType)
	made, err := bundle.Build(context.Background(), bundle.Options{Architecture: string(arch), File: p.Host.Bundle})
	if err != nil {
		var faults check.Faults
		faults.Add("Host.Bundle", err.Error(), "")
		return made, faults.Err()
	}
	return made, nil
}

// unfitForPath is what names of parameters can't have.
var unfitForPath = regexp.MustCompile(`[^A-Za-z0-9._/-]+`)

// ownPath names a bastion by the name of its stack, which is unique in account and
// region, and the place in it, in the form of a parameter's path.
// See https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html.
func ownPath(stackName, stackPath, path string) string {
	inner := strings.TrimPrefix(strings.TrimPrefix(path, stackPath), "/")
	return "/postern/" + stackName + "/" + unfitForPath.ReplaceAllString(inner, "-")
}

// makeRecords finds the buckets of the host and uploads what runs on it.
func (b *Bastion) makeRecords(p *Props, made bundle.Bundle) {
	b.bundle = b.upload(made)
	b.bucket = p.Bucket
	if b.bucket == nil {
		b.bucket = archive.New(b, "Archive", &archive.Props{Key: b.keys}).Bucket()
	}
	b.peopleBucket = p.Host.People.Bucket
	switch {
	case b.peopleBucket != nil:
	case attach.Arranged(b.bucket):
		// A log account takes records and gives nothing back. Keys are no evidence:
		// whoever manages people may delete them, and versions tell who did.
		b.peopleBucket = archive.New(b, "People", &archive.Props{
			Key: b.keys, ObjectLock: archive.ObjectLock{Mode: archive.LockOff},
		}).Bucket()
	default:
		b.peopleBucket = b.bucket
	}
}

// placed refuses records that would be put nowhere: the host is told where before
// the account is known.
func placed(recordPrefix string) error {
	var faults check.Faults
	if check.Token(recordPrefix) {
		faults.Add("Bucket", "belongs to a log account, where each account's records are below its number, and the stack doesn't say what account it is for",
			"give the stack an Env with Account and Region")
	}
	return faults.Err()
}

// upload has a deploy put the bundle where the host fetches it.
func (b *Bastion) upload(made bundle.Bundle) *awscdk.FileAssetLocation {
	location, err := asset.Add(b, made.Path, made.SHA256, ".gz", "What runs on the bastion "+b.path)
	b.must("Host.Bundle", err)
	return location
}

func (b *Bastion) logGroupArns(p *Props) []string {
	arns := []string{*b.logGroup.LogGroupArn()}
	for _, k := range p.LogGroups.list() {
		arns = append(arns, *k.group.LogGroupArn())
	}
	return arns
}

// recordStatements let the host fetch its bundle, put records where nobody
// deletes them, and read who has an account.
func (b *Bastion) recordStatements(p *Props) []policy.Statement {
	records, people := *b.bucket.BucketArn(), *b.peopleBucket.BucketArn()
	read := []string{people + "/" + b.peoplePrefix + "*"}
	if key := p.Host.Certificates.RevocationKey; key != "" && !strings.HasPrefix(key, b.peoplePrefix) {
		read = append(read, people+"/"+key)
	}
	statements := []policy.Statement{
		// A key of the bootstrap bucket lets in everybody of the account through S3.
		allow("Bundle", []string{b.scope.Bucket(*b.bundle.BucketName + "/" + *b.bundle.ObjectKey)}, nil, "s3:GetObject"),
		allow("Records", []string{records + "/" + b.recordPrefix + "*"}, nil, "s3:PutObject"),
		allow("PeopleNames", []string{people}, is("s3:prefix", b.peoplePrefix), "s3:ListBucket"),
		allow("PeopleKeys", read, nil, "s3:GetObject"),
	}
	recordKey := b.keyOf("Bucket", b.bucket)
	peopleKey := recordKey
	if b.peopleBucket != b.bucket {
		peopleKey = b.keyOf("Host.People.Bucket", b.peopleBucket)
	}
	if recordKey != nil {
		statements = append(statements, b.allowBucketKey("RecordsKey", recordKey, records, "kms:GenerateDataKey"))
	}
	if peopleKey != nil {
		statements = append(statements, b.allowBucketKey("PeopleKeysKey", peopleKey, people, "kms:Decrypt"))
	}
	return statements
}

// keyOf is the key of a bucket, or nil.
func (b *Bastion) keyOf(field string, bucket awss3.IBucket) awskms.IKey {
	key := bucket.EncryptionKey()
	if _, made := bucket.(awss3.Bucket); key == nil && !made {
		tree.Warn(b, "bastion-bucket-key", "the key of the imported "+field+" isn't known here: where the bucket is encrypted under a KMS key, "+
			"import it by awss3.Bucket_FromBucketAttributes with EncryptionKey, or the host can't use it; otherwise acknowledge this")
	}
	return key
}

// allowBucketKey allows what S3 asks of KMS for the bucket's objects: its context
// is the bucket with an S3 Bucket Key and the object without.
// See https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html.
func (b *Bastion) allowBucketKey(sid string, key awskms.IKey, bucketArn, action string) policy.Statement {
	return allow(sid, []string{*key.KeyArn()}, policy.Condition{
		"StringEquals": {"kms:ViaService": {"s3." + b.scope.Region + ".amazonaws.com"}},
		"StringLike":   {"kms:EncryptionContext:aws:s3:arn": {bucketArn, bucketArn + "/*"}},
	}, action)
}

// parameterStatements let the host keep its keys, which it reads and adds to and never
// replaces, and people's one-time secrets, which another device replaces and a removal
// deletes.
// See https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-policy-conditions.html.
func (b *Bastion) parameterStatements() []policy.Statement {
	if b.parameters == "" {
		return nil
	}
	path := b.scope.ARN("ssm", "parameter"+b.parameters)
	hostKeys, factors, known := path+"/host-keys/*", path+"/totp/*", path+"/known_hosts"
	secret := []string{hostKeys, factors}
	return []policy.Statement{
		allow("Kept", append([]string{path + "/host-certs/*", known}, secret...), nil,
			"ssm:GetParameter", "ssm:GetParameters"),
		allow("Keep", []string{hostKeys}, is("ssm:Overwrite", "false"), "ssm:PutParameter"),
		allow("Factors", []string{factors}, nil, "ssm:DeleteParameter", "ssm:PutParameter"),
		allow("Publish", []string{known}, nil, "ssm:PutParameter"),
		// See https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html.
		allow("KeptKey", []string{*b.keys.KeyArn()}, policy.Condition{
			"StringEquals": {"kms:ViaService": {"ssm." + b.scope.Region + ".amazonaws.com"}},
			"StringLike":   {"kms:EncryptionContext:PARAMETER_ARN": secret},
		}, "kms:Decrypt", "kms:Encrypt"),
	}
}
