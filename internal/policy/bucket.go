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
	condition := Condition{"StringEquals": {"aws:SourceAccount": {s.Account}}}
	if sourceARN != "" {
		condition["ArnLike"] = map[string]Values{"aws:SourceArn": {sourceARN}}
	}
	return []Statement{{
		Sid: "ServerAccessLogs", Effect: Allow,
		Principal: service("logging.s3.amazonaws.com"),
		Action:    []string{"s3:PutObject"},
		Resource:  []string{destinationARN + "/" + prefix + "*"},
		Condition: condition,
	}}
}
