package policy_test

import (
	"github.com/postern-cdk/postern/internal/iam"
)

// What changes how a bucket keeps what it holds.
var bucketChanges = []string{
	"s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:PutBucketObjectLockConfiguration", "s3:PutBucketOwnershipControls", "s3:PutBucketPolicy",
	"s3:PutBucketPublicAccessBlock", "s3:PutBucketVersioning", "s3:PutEncryptionConfiguration", "s3:PutInventoryConfiguration",
	"s3:PutLifecycleConfiguration", "s3:PutReplicationConfiguration",
}

// What takes an object away, or its lock, or reads it.
var objectChanges = []string{
	"s3:BypassGovernanceRetention", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject", "s3:GetObjectVersion", "s3:ObjectOwnerOverrideToBucketOwner",
	"s3:PutObjectAcl", "s3:PutObjectLegalHold", "s3:PutObjectRetention", "s3:RestoreObject",
}

// What takes a key away, or opens it to others.
var keyChanges = []string{"kms:CreateGrant", "kms:DisableKey", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:UpdateAlias"}

// What is done with a key, under an encryption context, and with that the question which key it is.
var (
	encrypting = []string{"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"}
	useOfKey   = append([]string{"kms:DescribeKey"}, encrypting...)
)

func (e *evidence) cases() []resourceCase {
	var all []resourceCase
	for _, part := range [][]resourceCase{
		e.logsCases(), e.deliveryCases(), e.trailCases(), e.topicCases(), e.queueCases(), e.autoScalingCases(), e.accessLogCases(), e.inventoryCases(),
		e.bastionCases(), e.replicationCases(), e.accountCases(), e.outsideCases(), e.sourceCases(), e.roleCases(),
	} {
		all = append(all, part...)
	}
	return all
}

// each asks for several actions alike.
func (e *evidence) each(by asker, actions []string, resource string, context iam.Context, want bool) []resourceCase {
	var all []resourceCase
	for _, action := range actions {
		all = append(all, e.ask(by, action, resource, context, want))
	}
	return all
}

// elsewhere is an ARN of the same name in another account.
func (e *evidence) elsewhere(service, resource string) string {
	other := e.Scope
	other.Account = otherAccount
	return other.ARN(service, resource)
}

// CloudWatch Logs encrypts the log groups of the account and Region.
func (e *evidence) logsCases() []resourceCase {
	logs := e.service("logs."+e.Region+"."+e.URLSuffix, nil)
	of := func(arn string) iam.Context { return iam.Context{"kms:EncryptionContext:aws:logs:arn": arn} }
	own := of(e.logGroup)
	all := e.each(logs, encrypting, e.key, own, true)
	all = append(all, e.each(logs, useOfKey, e.key, of(e.elsewhere("logs", "log-group:x")), false)...)
	all = append(all, e.each(logs, keyChanges, e.key, own, false)...)
	return append(all,
		e.ask(logs, "kms:GenerateDataKey", e.key, of(e.arnIn(e.there, "logs", "log-group:x")), false),
		e.ask(logs, "kms:GenerateDataKey", e.key, of(e.ARN("logs", "query-result:x")), false),
		e.ask(logs, "kms:GenerateDataKey", e.key, nil, false),
		e.ask(e.service("logs."+e.there+"."+e.URLSuffix, nil), "kms:GenerateDataKey", e.key, own, false),
		e.ask(e.service("delivery.logs.amazonaws.com", nil), "kms:GenerateDataKey", e.key, own, false),
		e.ask(logs, "kms:GenerateDataKey", e.replicaKey, own, false),
	)
}

// Flow logs and the like are delivered to the bucket.
func (e *evidence) deliveryCases() []resourceCase {
	const delivery = "delivery.logs.amazonaws.com"
	from := e.ARN("logs", "*")
	for_ := func(account, arn string) asker { return e.service(delivery, onBehalf(account, arn)) }
	right := for_(account, from)
	object := e.bucket + "/AWSLogs/" + account + "/vpcflowlogs/x.log.gz"
	acl := iam.Context{"s3:x-amz-acl": "bucket-owner-full-control"}

	all := e.each(right, useOfKey, e.key, nil, true)
	all = append(all, e.each(right, keyChanges, e.key, nil, false)...)
	all = append(all, e.each(right, objectChanges, object, acl, false)...)
	all = append(all, e.each(right, bucketChanges, e.bucket, nil, false)...)
	all = append(all,
		e.ask(right, "s3:PutObject", object, acl, true),
		e.ask(right, "s3:GetBucketAcl", e.bucket, nil, true),
		e.ask(right, "s3:ListBucket", e.bucket, nil, true),
		e.ask(right, "s3:PutObject", object, nil, false),
		e.ask(right, "s3:PutObject", object, iam.Context{"s3:x-amz-acl": "public-read"}, false),
		e.ask(right, "s3:PutObject", e.bucket+"/AWSLogs/"+otherAccount+"/vpcflowlogs/x.log.gz", acl, false),
		e.ask(right, "s3:PutObject", e.bucket+"/sessions/x", acl, false),
		e.ask(right, "s3:PutObject", object, acl.With(iam.Context{"aws:SecureTransport": "false"}), false),
		e.ask(right, "s3:PutObject", e.replica+"/AWSLogs/"+account+"/x", acl, false),
		e.ask(right, "s3:PutObject", e.accessLogs+"/AWSLogs/"+account+"/x", acl, false),
	)
	for _, wrong := range []asker{
		for_(otherAccount, e.elsewhere("logs", "*")).with("for another account", nil),
		for_(account, e.elsewhere("logs", "*")).with("with another account's source", nil),
		for_(otherAccount, from).with("for another account with this one's source", nil),
		for_(account, e.arnIn(e.there, "logs", "*")).with("with a source of another Region", nil),
		for_(account, e.ARN("ec2", "x")).with("with a source of another service", nil),
		e.service(delivery, nil).with("for nobody", nil),
		e.service(delivery, iam.Context{"aws:SourceAccount": account}).with("without a source", nil),
		e.service(delivery, iam.Context{"aws:SourceArn": from}).with("without an account", nil),
		e.service("vpc-flow-logs.amazonaws.com", onBehalf(account, from)),
	} {
		all = append(all,
			e.ask(wrong, "s3:PutObject", object, acl, false),
			e.ask(wrong, "s3:ListBucket", e.bucket, nil, false),
			e.ask(wrong, "kms:GenerateDataKey", e.key, nil, false),
		)
	}
	return all
}

// Trails of the account, wherever their home, may use the key.
func (e *evidence) trailCases() []resourceCase {
	const trails = "cloudtrail.amazonaws.com"
	trail := e.ARN("cloudtrail", "trail/all")
	of := func(arn string) iam.Context { return iam.Context{"kms:EncryptionContext:aws:cloudtrail:arn": arn} }
	right := e.service(trails, onBehalf(account, trail))
	all := e.each(right, []string{"kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt", "kms:DescribeKey"}, e.key, of(trail), true)
	all = append(all, e.each(right, append([]string{"kms:Encrypt", "kms:ReEncryptFrom"}, keyChanges...), e.key, of(trail), false)...)
	home := e.arnIn(e.there, "cloudtrail", "trail/all")
	all = append(all,
		e.ask(e.service(trails, onBehalf(account, home)), "kms:GenerateDataKey", e.key, of(home), true),
		e.ask(right, "kms:Decrypt", e.key, nil, true),
		e.ask(right, "kms:GenerateDataKey", e.key, nil, false),
		e.ask(right, "kms:GenerateDataKey", e.key, of(e.elsewhere("cloudtrail", "trail/all")), false),
		e.ask(e.service("config.amazonaws.com", onBehalf(account, trail)), "kms:Decrypt", e.key, of(trail), false),
		e.ask(e.service("config.amazonaws.com", onBehalf(account, trail)), "kms:GenerateDataKey", e.key, of(trail), false),
	)
	// One trail delivers to the bucket.
	delivers := e.service(trails, onBehalf(account, e.trail))
	object := e.bucket + "/trail/AWSLogs/" + account + "/CloudTrail/x.json.gz"
	acl := iam.Context{"s3:x-amz-acl": "bucket-owner-full-control"}
	all = append(all, e.each(delivers, objectChanges, object, acl, false)...)
	all = append(all, e.each(delivers, append([]string{"s3:ListBucket"}, bucketChanges...), e.bucket, nil, false)...)
	all = append(all,
		e.ask(delivers, "s3:PutObject", object, acl, true),
		e.ask(delivers, "s3:GetBucketAcl", e.bucket, nil, true),
		e.ask(delivers, "s3:PutObject", object, nil, false),
		e.ask(delivers, "s3:PutObject", object, acl.With(iam.Context{"aws:SecureTransport": "false"}), false),
		e.ask(delivers, "s3:PutObject", e.bucket+"/trail/AWSLogs/"+otherAccount+"/CloudTrail/x.json.gz", acl, false),
		e.ask(delivers, "s3:PutObject", e.bucket+"/sessions/x", acl, false),
	)
	for _, wrong := range []asker{
		right.with("of another trail", nil),
		e.service(trails, nil).with("for nobody", nil),
		e.service(trails, onBehalf(otherAccount, e.elsewhere("cloudtrail", "trail/all"))).with("for another account", nil),
		e.service("config.amazonaws.com", onBehalf(account, e.trail)),
	} {
		all = append(all, e.ask(wrong, "s3:PutObject", object, acl, false), e.ask(wrong, "s3:GetBucketAcl", e.bucket, nil, false))
	}
	for _, wrong := range []asker{
		e.service(trails, onBehalf(otherAccount, e.elsewhere("cloudtrail", "trail/all"))).with("for another account", nil),
		e.service(trails, onBehalf(account, e.ARN("cloudtrail", "channel/x"))).with("for something else", nil),
		e.service(trails, nil).with("for nobody", nil),
	} {
		all = append(all, e.each(wrong, []string{"kms:GenerateDataKey", "kms:Decrypt", "kms:DescribeKey"}, e.key, of(trail), false)...)
	}
	return all
}

// Alarms and rules publish to the topic, which is encrypted with the key.
func (e *evidence) topicCases() []resourceCase {
	alarm := e.ARN("cloudwatch", "alarm:x")
	alarms := e.service("cloudwatch.amazonaws.com", onBehalf(account, alarm))
	others := e.service("cloudwatch.amazonaws.com", onBehalf(otherAccount, e.elsewhere("cloudwatch", "alarm:x"))).with("for another account", nil)
	unnamed := e.service("cloudwatch.amazonaws.com", nil).with("for nobody", nil)
	rules := e.service("events.amazonaws.com", nil)
	of := func(arn string) iam.Context { return iam.Context{"kms:EncryptionContext:aws:sns:topicArn": arn} }
	uses := []string{"kms:Decrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"}

	all := e.each(alarms, uses, e.key, of(e.topic), true)
	all = append(all, e.each(rules, uses, e.key, of(e.topic), true)...)
	all = append(all, e.each(others, uses, e.key, of(e.topic), false)...)
	all = append(all, e.each(rules, uses, e.key, of(e.elsewhere("sns", "x")), false)...)
	for _, by := range []asker{alarms, rules} {
		all = append(all, e.each(by, append([]string{"kms:Encrypt"}, keyChanges...), e.key, of(e.topic), false)...)
		all = append(all, e.each(by, []string{"sns:DeleteTopic", "sns:SetTopicAttributes", "sns:Subscribe", "sns:AddPermission"}, e.topic, nil, false)...)
		all = append(all,
			e.ask(by, "sns:Publish", e.topic, nil, true),
			e.ask(by, "sns:Publish", e.topic, iam.Context{"aws:SecureTransport": "false"}, false),
		)
	}
	return append(all,
		e.ask(unnamed, "kms:GenerateDataKey", e.key, of(e.topic), false),
		e.ask(rules, "kms:GenerateDataKey", e.key, nil, false),
		e.ask(rules, "kms:GenerateDataKey", e.key, of(e.arnIn(e.there, "sns", "x")), false),
		e.ask(others, "sns:Publish", e.topic, nil, false),
		e.ask(unnamed, "sns:Publish", e.topic, nil, false),
		e.ask(e.service("s3.amazonaws.com", onBehalf(account, e.bucket)), "sns:Publish", e.topic, nil, false),
		e.ask(e.role(otherAccount, "Eve", "everything"), "sns:Publish", e.topic, nil, false),
		e.ask(e.role(otherAccount, "Eve", "everything"), "sns:Subscribe", e.topic, nil, false),
		e.ask(e.role(account, "Anybody"), "sns:Subscribe", e.topic, nil, false),
	)
}

// Rules put into a queue what they could not deliver, and only the account reads it.
func (e *evidence) queueCases() []resourceCase {
	rules := e.service("events.amazonaws.com", onBehalf(account, e.ARN("events", "rule/Tampering")))
	others := []string{"sqs:AddPermission", "sqs:DeleteMessage", "sqs:DeleteQueue", "sqs:PurgeQueue", "sqs:ReceiveMessage", "sqs:SetQueueAttributes"}
	admin := e.role(account, "Admin", "everything")
	all := append(e.each(rules, others, e.queue, nil, false), e.each(admin, []string{"sqs:ReceiveMessage", "sqs:SendMessage"}, e.queue, nil, true)...)
	for _, by := range []asker{
		e.service("events.amazonaws.com", onBehalf(otherAccount, e.elsewhere("events", "rule/x"))).with("for another account", nil),
		e.service("events.amazonaws.com", onBehalf(account, e.arnIn(e.there, "events", "rule/x"))).with("of another Region", nil),
		e.service("events.amazonaws.com", onBehalf(account, e.ARN("events", "event-bus/x"))).with("for something else", nil),
		e.service("events.amazonaws.com", nil).with("for nobody", nil),
		e.service("sns.amazonaws.com", onBehalf(account, e.ARN("events", "rule/Tampering"))),
		e.role(account, "Nobody"), e.role(otherAccount, "Eve", "everything"),
		{name: "anonymous"},
	} {
		all = append(all, e.each(by, append([]string{"sqs:SendMessage"}, others...), e.queue, nil, false)...)
	}
	return append(all,
		e.ask(rules, "sqs:SendMessage", e.queue, nil, true),
		e.ask(rules, "sqs:SendMessage", e.queue, iam.Context{"aws:SecureTransport": "false"}, false),
		e.ask(admin, "sqs:ReceiveMessage", e.queue, iam.Context{"aws:SecureTransport": "false"}, false),
	)
}

// Auto Scaling starts instances whose volumes are encrypted with the key.
func (e *evidence) autoScalingCases() []resourceCase {
	role := func(account, name string) asker {
		r := e.role(account, name)
		r.context = r.context.With(iam.Context{"aws:PrincipalArn": "arn:" + e.Partition + ":iam::" + account + ":role/aws-service-role/autoscaling.amazonaws.com/" + name})
		return r
	}
	right := role(account, "AWSServiceRoleForAutoScaling")
	volume := iam.Context{"kms:GrantIsForAWSResource": "true"}
	all := e.each(right, useOfKey, e.key, nil, true)
	all = append(all, e.each(right, []string{"kms:DisableKey", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"}, e.key, volume, false)...)
	all = append(all,
		e.ask(right, "kms:CreateGrant", e.key, volume, true),
		e.ask(right, "kms:CreateGrant", e.key, nil, false),
		e.ask(right, "kms:CreateGrant", e.key, iam.Context{"kms:GrantIsForAWSResource": "false"}, false),
		e.ask(right, "kms:CreateGrant", e.replicaKey, volume, false),
		// A request that says the role's name of this account, but comes from another one.
		e.ask(right.with("called from another account", iam.Context{"kms:CallerAccount": otherAccount}), "kms:Decrypt", e.key, nil, false),
		e.ask(right.with("called from another account", iam.Context{"kms:CallerAccount": otherAccount}), "kms:CreateGrant", e.key, volume, false),
		e.ask(right.with("called from no account", iam.Context{"kms:CallerAccount": ""}), "kms:Decrypt", e.key, nil, false),
		e.ask(right.with("called from no account", iam.Context{"kms:CallerAccount": ""}), "kms:CreateGrant", e.key, volume, false),
	)
	for _, wrong := range []asker{
		role(otherAccount, "AWSServiceRoleForAutoScaling").with("of another account", nil),
		role(account, "AWSServiceRoleForAutoScaling_suffix"),
		e.role(account, "AWSServiceRoleForAutoScaling").with("made by a person", nil),
		e.service("autoscaling.amazonaws.com", iam.Context{"kms:CallerAccount": account}),
	} {
		all = append(all,
			e.ask(wrong, "kms:Decrypt", e.key, nil, false),
			e.ask(wrong, "kms:CreateGrant", e.key, volume, false),
		)
	}
	return all
}

// S3 delivers the access logs of one bucket.
func (e *evidence) accessLogCases() []resourceCase {
	const logging = "logging.s3.amazonaws.com"
	var all []resourceCase
	for _, way := range []struct{ from, to string }{{e.listed, e.accessLogs}, {e.replica, e.replicaLogs}} {
		right := e.service(logging, onBehalf(account, way.from))
		object := way.to + "/archive/2026-03-10-x"
		all = append(all, e.each(right, objectChanges, object, nil, false)...)
		all = append(all, e.each(right, bucketChanges, way.to, nil, false)...)
		all = append(all,
			e.ask(right, "s3:PutObject", object, nil, true),
			e.ask(right, "s3:PutObject", object, iam.Context{"aws:SecureTransport": "false"}, false),
			e.ask(right, "s3:PutObject", object, iam.Context{"s3:TlsVersion": "1.1"}, false),
			e.ask(right, "s3:PutObject", way.to+"/other/x", nil, false),
			e.ask(right, "s3:PutObject", e.bucket+"/archive/x", nil, false),
		)
		for _, wrong := range []asker{
			e.service(logging, onBehalf(otherAccount, way.from)).with("for another account", nil),
			e.service(logging, onBehalf(account, e.s3("some-bucket"))).with("of another bucket", nil),
			e.service(logging, nil).with("for nobody", nil),
			e.service(logging, iam.Context{"aws:SourceAccount": account}).with("without a source", nil),
			e.service(logging, iam.Context{"aws:SourceArn": way.from}).with("without an account", nil),
			e.service("s3.amazonaws.com", onBehalf(account, way.from)),
		} {
			all = append(all, e.ask(wrong, "s3:PutObject", object, nil, false))
		}
	}
	return all
}

// S3 delivers lists of what is in one bucket.
func (e *evidence) inventoryCases() []resourceCase {
	const s3 = "s3.amazonaws.com"
	acl := iam.Context{"s3:x-amz-acl": "bucket-owner-full-control"}
	var all []resourceCase
	for _, way := range []struct{ from, to string }{{e.listed, e.accessLogs}, {e.bucket, e.lists}} {
		right := e.service(s3, onBehalf(account, way.from))
		object := way.to + "/inventory/x/Archive/data/y.csv.gz"
		all = append(all, e.each(right, objectChanges, object, acl, false)...)
		all = append(all,
			e.ask(right, "s3:PutObject", object, acl, true),
			e.ask(right, "s3:PutObject", object, nil, false),
			e.ask(right, "s3:PutObject", object, acl.With(iam.Context{"aws:SecureTransport": "false"}), false),
			e.ask(right, "s3:PutObject", way.to+"/other/y.csv.gz", acl, false),
			e.ask(right, "s3:PutObject", way.from+"/inventory/y.csv.gz", acl, false),
		)
		for _, wrong := range []asker{
			e.service(s3, onBehalf(otherAccount, way.from)).with("for another account", nil),
			e.service(s3, onBehalf(account, e.s3("some-bucket"))).with("of another bucket", nil),
			e.service(s3, nil).with("for nobody", nil),
			e.service(s3, iam.Context{"aws:SourceAccount": account}).with("without a source", nil),
			e.service(s3, iam.Context{"aws:SourceArn": way.from}).with("without an account", nil),
			e.service("logging.s3.amazonaws.com", onBehalf(account, way.from)),
		} {
			all = append(all, e.ask(wrong, "s3:PutObject", object, acl, false))
		}
	}
	right := e.service(s3, onBehalf(account, e.bucket))
	all = append(all, e.each(right, append([]string{"kms:Decrypt", "kms:Encrypt"}, keyChanges...), e.listsKey, nil, false)...)
	return append(all,
		e.ask(right, "kms:GenerateDataKey", e.listsKey, nil, true),
		e.ask(right, "kms:GenerateDataKey", e.key, nil, false),
		e.ask(e.service(s3, onBehalf(otherAccount, e.bucket)).with("for another account", nil), "kms:GenerateDataKey", e.listsKey, nil, false),
		e.ask(e.service(s3, nil).with("for nobody", nil), "kms:GenerateDataKey", e.listsKey, nil, false),
	)
}

// throughS3 is how S3 asks KMS for somebody.
func throughS3(region, context string) iam.Context {
	return iam.Context{"kms:ViaService": "s3." + region + ".amazonaws.com", "kms:EncryptionContext:aws:s3:arn": context}
}

// The bastion puts records, and that is all it can do to them.
func (e *evidence) bastionCases() []resourceCase {
	host := e.role(account, "Bastion", "bastion")
	record := e.bucket + "/sessions/host-1/2026/03/10/x.cast"
	person := e.bucket + "/public-keys/ann.pub"
	all := e.each(host, objectChanges, record, nil, false)
	all = append(all, e.each(host, bucketChanges, e.bucket, nil, false)...)
	all = append(all, e.each(host, keyChanges, e.key, throughS3(e.Region, e.bucket), false)...)
	return append(all,
		e.ask(host, "s3:PutObject", record, nil, true),
		e.ask(host, "s3:PutObject", record, iam.Context{"aws:SecureTransport": "false"}, false),
		e.ask(host, "s3:PutObject", record, iam.Context{"s3:TlsVersion": "1.1"}, false),
		e.ask(host, "s3:PutObject", person, nil, false),
		e.ask(host, "s3:PutObject", e.bucket+"/AWSLogs/"+account+"/x", nil, false),
		e.ask(host, "s3:PutObject", e.accessLogs+"/sessions/x", nil, false),
		e.ask(host, "s3:PutObject", e.replica+"/sessions/x", nil, false),
		e.ask(host, "s3:GetObject", person, nil, true),
		e.ask(host, "s3:GetObject", e.bucket+"/other/x", nil, false),
		e.ask(host, "s3:DeleteObject", person, nil, false),
		e.ask(host, "s3:ListBucket", e.bucket, iam.Context{"s3:prefix": "public-keys/"}, true),
		e.ask(host, "s3:ListBucket", e.bucket, iam.Context{"s3:prefix": "sessions/"}, false),
		e.ask(host, "s3:ListBucket", e.bucket, nil, false),
		e.ask(host, "s3:ListBucket", e.accessLogs, iam.Context{"s3:prefix": "public-keys/"}, false),
		e.ask(host, "s3:ListBucketVersions", e.bucket, iam.Context{"s3:prefix": "public-keys/"}, false),
		e.ask(host, "s3:GetBucketPolicy", e.bucket, nil, false),
		e.ask(host, "kms:GenerateDataKey", e.key, throughS3(e.Region, e.bucket), true),
		e.ask(host, "kms:GenerateDataKey", e.key, throughS3(e.Region, record), true),
		e.ask(host, "kms:Decrypt", e.key, throughS3(e.Region, e.bucket), true),
		e.ask(host, "kms:Decrypt", e.key, throughS3(e.Region, person), true),
		e.ask(host, "kms:GenerateDataKey", e.key, throughS3(e.Region, e.s3("some-bucket")), false),
		e.ask(host, "kms:Decrypt", e.key, throughS3(e.Region, e.s3("some-bucket")), false),
		e.ask(host, "kms:GenerateDataKey", e.key, throughS3(e.there, e.bucket), false),
		e.ask(host, "kms:Decrypt", e.key, throughS3(e.there, e.bucket), false),
		e.ask(host, "kms:GenerateDataKey", e.key, iam.Context{"kms:EncryptionContext:aws:s3:arn": e.bucket}, false),
		e.ask(host, "kms:Decrypt", e.key, iam.Context{"kms:EncryptionContext:aws:s3:arn": e.bucket}, false),
		e.ask(host, "kms:GenerateDataKey", e.key, iam.Context{"kms:ViaService": "s3." + e.Region + ".amazonaws.com"}, false),
		e.ask(host, "kms:Decrypt", e.key, iam.Context{"kms:ViaService": "s3." + e.Region + ".amazonaws.com"}, false),
		e.ask(host, "kms:Decrypt", e.key, iam.Context{"kms:EncryptionContext:aws:logs:arn": e.logGroup}, false),
		e.ask(host, "kms:GenerateDataKey", e.listsKey, throughS3(e.Region, e.bucket), false),
		e.ask(host, "kms:Decrypt", e.listsKey, throughS3(e.Region, e.bucket), false),
		e.ask(host, "sns:Publish", e.topic, nil, false),
	)
}

// S3 copies to the replica by a role that can copy only.
func (e *evidence) replicationCases() []resourceCase {
	copier := e.role(account, "Replication", "replication")
	from, to := e.bucket+"/sessions/x.cast", e.replica+"/sessions/x.cast"
	reads := []string{
		"s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging", "s3:GetObjectRetention", "s3:GetObjectLegalHold",
	}
	here, there := throughS3(e.Region, e.bucket), throughS3(e.there, e.replica)
	aliased := func(c iam.Context) iam.Context { return c.With(iam.Context{"kms:ResourceAliases": e.replicaAlias}) }

	all := e.each(copier, reads, from, nil, true)
	all = append(all, e.each(copier, []string{"s3:ListBucket", "s3:GetReplicationConfiguration"}, e.bucket, nil, true)...)
	all = append(all, e.each(copier, []string{"s3:ReplicateObject", "s3:ReplicateTags"}, to, nil, true)...)
	all = append(all, e.each(copier, []string{"kms:Encrypt", "kms:GenerateDataKey"}, e.replicaKey, aliased(there), true)...)
	all = append(all, e.each(copier, []string{"kms:Encrypt", "kms:GenerateDataKey"}, e.replicaKey, aliased(throughS3(e.there, to)), true)...)
	for _, object := range []string{from, to} {
		all = append(all, e.each(copier, append([]string{"s3:PutObject", "s3:ReplicateDelete"}, objectChanges...), object, nil, false)...)
	}
	for _, bucket := range []string{e.bucket, e.replica} {
		all = append(all, e.each(copier, bucketChanges, bucket, nil, false)...)
	}
	for _, key := range []string{e.key, e.replicaKey} {
		all = append(all, e.each(copier, keyChanges, key, aliased(there), false)...)
	}
	// What it may do here, it may not do there, and the other way round.
	all = append(all, e.each(copier, reads, to, nil, false)...)
	all = append(all, e.each(copier, []string{"s3:ReplicateObject", "s3:ReplicateTags"}, from, nil, false)...)
	all = append(all, e.each(copier, []string{"s3:ReplicateObject", "s3:ReplicateTags"}, e.accessLogs+"/x", nil, false)...)
	all = append(all, e.each(copier, []string{"s3:ListBucket", "s3:GetReplicationConfiguration"}, e.replica, nil, false)...)
	return append(all,
		e.ask(copier, "s3:ReplicateObject", to, iam.Context{"aws:SecureTransport": "false"}, false),
		e.ask(copier, "s3:ReplicateObject", to, iam.Context{"s3:TlsVersion": "1.1"}, false),
		e.ask(copier, "s3:GetObjectVersionForReplication", from, iam.Context{"aws:SecureTransport": "false"}, false),

		e.ask(copier, "kms:Decrypt", e.key, here, true),
		e.ask(copier, "kms:Decrypt", e.key, throughS3(e.Region, from), true),
		e.ask(copier, "kms:Decrypt", e.key, throughS3(e.Region, e.s3("some-bucket")), false),
		e.ask(copier, "kms:Decrypt", e.key, throughS3(e.there, e.bucket), false),
		e.ask(copier, "kms:Decrypt", e.key, iam.Context{"kms:EncryptionContext:aws:s3:arn": e.bucket}, false),
		e.ask(copier, "kms:Decrypt", e.key, iam.Context{"kms:ViaService": "s3." + e.Region + ".amazonaws.com"}, false),
		e.ask(copier, "kms:Decrypt", e.replicaKey, aliased(there), false),
		e.ask(copier, "kms:Decrypt", e.listsKey, here, false),

		e.ask(copier, "kms:Encrypt", e.replicaKey, there, false),
		e.ask(copier, "kms:Encrypt", e.replicaKey, there.With(iam.Context{"kms:ResourceAliases": "alias/other"}), false),
		e.ask(copier, "kms:Encrypt", e.replicaKey, aliased(throughS3(e.Region, e.replica)), false),
		e.ask(copier, "kms:Encrypt", e.replicaKey, aliased(throughS3(e.there, e.s3("some-bucket"))), false),
		e.ask(copier, "kms:Encrypt", e.replicaKey, aliased(iam.Context{"kms:EncryptionContext:aws:s3:arn": e.replica}), false),
		e.ask(copier, "kms:Encrypt", e.replicaKey, aliased(iam.Context{"kms:ViaService": "s3." + e.there + ".amazonaws.com"}), false),
		e.ask(copier, "kms:Encrypt", e.key, aliased(there), false),
	)
}

// The account's own IAM policies rule what nobody else may: evidence that nobody could
// administer would be lost.
func (e *evidence) accountCases() []resourceCase {
	admin, nobody := e.role(account, "Admin", "everything"), e.role(account, "Nobody")
	var all []resourceCase
	for _, key := range []string{e.key, e.listsKey, e.replicaKey} {
		all = append(all, e.each(admin, []string{"kms:Decrypt", "kms:PutKeyPolicy"}, key, nil, true)...)
		all = append(all, e.each(nobody, []string{"kms:Decrypt", "kms:PutKeyPolicy"}, key, nil, false)...)
	}
	for _, bucket := range []string{e.bucket, e.accessLogs, e.lists, e.replica, e.replicaLogs} {
		for _, ask := range []struct{ action, resource string }{{"s3:GetObject", bucket + "/x"}, {"s3:ListBucket", bucket}} {
			all = append(all,
				e.ask(admin, ask.action, ask.resource, nil, true),
				e.ask(admin, ask.action, ask.resource, iam.Context{"aws:SecureTransport": "false"}, false),
				e.ask(nobody, ask.action, ask.resource, nil, false),
			)
			if bucket != e.lists {
				all = append(all,
					e.ask(admin, ask.action, ask.resource, iam.Context{"s3:TlsVersion": "1.2"}, true),
					e.ask(admin, ask.action, ask.resource, iam.Context{"s3:TlsVersion": "1.1"}, false),
				)
			}
		}
	}
	return all
}

// Nobody outside the account can do anything, whatever their own account lets them.
func (e *evidence) outsideCases() []resourceCase {
	acl := iam.Context{"s3:x-amz-acl": "bucket-owner-full-control"}
	var all []resourceCase
	for _, by := range []asker{
		e.role(otherAccount, "Eve", "everything"),
		// What a service tells, people can't tell of themselves; where they could, it would not help.
		e.role(otherAccount, "Mallory", "everything").with("who claims to be a service", onBehalf(account, e.ARN("logs", "*")).With(iam.Context{"kms:GrantIsForAWSResource": "true"})),
		{name: "anonymous"},
	} {
		for _, bucket := range []string{e.bucket, e.accessLogs, e.lists, e.replica, e.replicaLogs} {
			object := bucket + "/AWSLogs/" + account + "/x"
			all = append(all, e.each(by, append([]string{"s3:PutObject"}, objectChanges...), object, acl, false)...)
			all = append(all, e.each(by, append([]string{"s3:ListBucket", "s3:GetBucketAcl"}, bucketChanges...), bucket, nil, false)...)
		}
		for _, key := range []string{e.key, e.listsKey, e.replicaKey} {
			all = append(all, e.each(by, append(useOfKey[:len(useOfKey):len(useOfKey)], keyChanges...), key,
				iam.Context{"kms:EncryptionContext:aws:logs:arn": e.logGroup, "kms:EncryptionContext:aws:sns:topicArn": e.topic}, false)...)
		}
		all = append(all, e.each(by, []string{"sns:Publish", "sns:Subscribe", "sns:SetTopicAttributes"}, e.topic, nil, false)...)
	}
	return all
}
