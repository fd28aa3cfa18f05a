package policy

// LogDeliveryBucketStatements lets the delivery of logs (VPC flow logs and the
// like) write to a bucket on behalf of the account, below the account's own
// prefix only. folder stands before that, or is "". Logs with Hive-compatible
// prefixes are put elsewhere and so refused.
//
// docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-permissions.html
func LogDeliveryBucketStatements(s Scope, bucketARN, folder string) []Statement {
	if folder != "" {
		folder = "/" + folder
	}
	write := deliveryOnBehalf(s)
	write["StringEquals"]["s3:x-amz-acl"] = Values{"bucket-owner-full-control"}
	return []Statement{
		{
			Sid: "LogDeliveryWrite", Effect: Allow,
			Principal: service("delivery.logs.amazonaws.com"),
			Action:    []string{"s3:PutObject"},
			Resource:  []string{bucketARN + folder + "/AWSLogs/" + s.Account + "/*"},
			Condition: write,
		},
		{
			Sid: "LogDeliveryCheck", Effect: Allow,
			Principal: service("delivery.logs.amazonaws.com"),
			Action:    []string{"s3:GetBucketAcl", "s3:ListBucket"},
			Resource:  []string{bucketARN},
			Condition: deliveryOnBehalf(s),
		},
	}
}

// AccessLogStatements lets S3 deliver the server access logs of one bucket of
// the account to another, below a prefix. sourceARN may be "" where naming the
// bucket would tie two stacks to each other; then any bucket of the account may
// log there.
//
// docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
func AccessLogStatements(s Scope, destinationARN, prefix, sourceARN string) []Statement {
	return []Statement{{
		Sid: "ServerAccessLogs", Effect: Allow,
		Principal: service("logging.s3.amazonaws.com"),
		Action:    []string{"s3:PutObject"},
		Resource:  []string{destinationARN + "/" + prefix + "*"},
		Condition: onBehalfOfBucket(s, sourceARN),
	}}
}

// InventoryStatements lets S3 deliver the inventories of one bucket of the
// account to another, below a prefix. sourceARN is as in [AccessLogStatements].
//
// docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html#example-bucket-policies-s3-inventory
func InventoryStatements(s Scope, destinationARN, prefix, sourceARN string) []Statement {
	condition := onBehalfOfBucket(s, sourceARN)
	condition["StringEquals"]["s3:x-amz-acl"] = Values{"bucket-owner-full-control"}
	return []Statement{{
		Sid: "Inventory", Effect: Allow,
		Principal: service("s3.amazonaws.com"),
		Action:    []string{"s3:PutObject"},
		Resource:  []string{destinationARN + "/" + prefix + "*"},
		Condition: condition,
	}}
}

// InventoryKeyStatements lets S3 encrypt the inventories of buckets of the
// account. A key that names the bucket would wait for it, and the bucket, by the
// one that its inventories go to, for the key.
//
// docs.aws.amazon.com/AmazonS3/latest/userguide/configure-inventory.html#configure-inventory-kms-key-policy
func InventoryKeyStatements(s Scope) []Statement {
	return []Statement{{
		Sid: "Inventory", Effect: Allow,
		Principal: service("s3.amazonaws.com"),
		Action:    []string{"kms:GenerateDataKey"}, Resource: thisKey,
		Condition: onBehalfOfBucket(s, ""),
	}}
}

func onBehalfOfBucket(s Scope, sourceARN string) Condition {
	condition := Condition{"StringEquals": {"aws:SourceAccount": {s.Account}}}
	if sourceARN != "" {
		condition["ArnLike"] = map[string]Values{"aws:SourceArn": {sourceARN}}
	}
	return condition
}

// Replication is what a role may do that copies a bucket to another Region.
type Replication struct {
	SourceARN, DestinationARN string
	// SourceKeyARN is the key that the source is encrypted with.
	SourceKeyARN string
	// DestinationKeyAlias is an alias of the key that the copies are encrypted with,
	// such as "alias/mine": its ARN is not known in another Region.
	DestinationKeyAlias string
	DestinationRegion   string
	// Locked adds what copies retention and legal holds.
	Locked bool
}

// Statements of the role. It can't delete copies, nor copy deletions. S3 asks KMS
// in the context of the bucket for objects under an S3 Bucket Key, and of the
// object for others.
//
// docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html
// docs.aws.amazon.com/AmazonS3/latest/userguide/replication-config-for-kms-objects.html
func (r Replication) Statements(s Scope) []Statement {
	read := []string{"s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging"}
	if r.Locked {
		read = append(read, "s3:GetObjectRetention", "s3:GetObjectLegalHold")
	}
	throughS3 := func(region, bucket string) Condition {
		return Condition{
			"StringEquals": {"kms:ViaService": {"s3." + region + ".amazonaws.com"}},
			"StringLike":   {"kms:EncryptionContext:aws:s3:arn": {bucket, bucket + "/*"}},
		}
	}
	write := throughS3(r.DestinationRegion, r.DestinationARN)
	write["ForAnyValue:StringEquals"] = map[string]Values{"kms:ResourceAliases": {r.DestinationKeyAlias}}
	there := Scope{Partition: s.Partition, Region: r.DestinationRegion, Account: s.Account}
	return []Statement{
		{
			Sid: "What", Effect: Allow, Action: []string{"s3:GetReplicationConfiguration", "s3:ListBucket"},
			Resource: []string{r.SourceARN},
		},
		{Sid: "Read", Effect: Allow, Action: read, Resource: []string{r.SourceARN + "/*"}},
		{
			Sid: "Decrypt", Effect: Allow, Action: []string{"kms:Decrypt"}, Resource: []string{r.SourceKeyARN},
			Condition: throughS3(s.Region, r.SourceARN),
		},
		{
			Sid: "Copy", Effect: Allow, Action: []string{"s3:ReplicateObject", "s3:ReplicateTags"},
			Resource: []string{r.DestinationARN + "/*"},
		},
		{
			Sid: "Encrypt", Effect: Allow, Action: []string{"kms:Encrypt", "kms:GenerateDataKey"}, Resource: []string{there.ARN("kms", "key/*")},
			Condition: write,
		},
	}
}
