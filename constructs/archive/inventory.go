package archive

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/policy"
)

const inventoryPrefix = "inventory"

// Inventory is a list of all versions of all objects in the log bucket, with
// size, class, encryption, checksum, replication status, and mode, end and holds
// of each lock: CSV files that S3 writes below "inventory/". Its zero value is
// one a week in the access-log bucket, where lists expire with the access logs.
//
// S3 charges by the million objects listed
// (docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html).
type Inventory struct {
	// Daily has a list made each day, rather than each week.
	Daily bool

	// Bucket takes the lists in place of the access-log bucket. It must be in the
	// archive's Region. A bucket of the same app gets the statement that S3 needs in
	// its policy, and so does its key; what an imported one needs, a warning lists.
	Bucket awss3.IBucket
}

// What a list says of each object.
//
// docs.aws.amazon.com/AmazonS3/latest/API/API_InventoryConfiguration.html
var inventoryFields = []string{
	"Size", "LastModifiedDate", "StorageClass", "ETag", "IsMultipartUploaded", "ReplicationStatus", "EncryptionStatus",
	"ObjectLockRetainUntilDate", "ObjectLockMode", "ObjectLockLegalHoldStatus", "BucketKeyStatus", "ChecksumAlgorithm",
}

func (a *Archive) takeInventory(bucket awss3.Bucket) {
	i := a.props.Inventory
	to := i.Bucket
	if to == nil {
		to = a.accessLogBucket
	}
	frequency := "Weekly"
	if i.Daily {
		frequency = "Daily"
	}
	resourceOf(bucket).SetInventoryConfigurations(&[]any{&awss3.CfnBucket_InventoryConfigurationProperty{
		Id:                     jsii.String("Archive"),
		Enabled:                jsii.Bool(true),
		IncludedObjectVersions: jsii.String("All"),
		ScheduleFrequency:      jsii.String(frequency),
		OptionalFields:         jsii.Strings(inventoryFields...),
		Destination: &awss3.CfnBucket_DestinationProperty{
			BucketAccountId: jsii.String(a.scope.Account),
			BucketArn:       to.BucketArn(),
			Prefix:          jsii.String(inventoryPrefix),
			Format:          jsii.String("CSV"),
		},
	}})

	source := a.sourceOf(bucket, to)
	if !attach.ToBucket(to, policy.InventoryStatements(a.scope, *to.BucketArn(), inventoryPrefix+"/", source)) {
		scope := policy.Placeholders()
		attach.Ask(a, "archive-inventory-policy", "bucket that Inventory goes to", "S3 will deliver no lists",
			policy.InventoryStatements(scope, scope.Bucket("INVENTORY_BUCKET"), inventoryPrefix+"/", scope.Bucket("BUCKET")))
	}
	key := to.EncryptionKey()
	if key == nil {
		return
	}
	if !attach.ToKey(key, policy.InventoryKeyStatements(a.scope)) {
		attach.Ask(a, "archive-inventory-key-policy", "key of the bucket that Inventory goes to", "S3 will deliver no lists",
			policy.InventoryKeyStatements(policy.Placeholders()))
	}
}
