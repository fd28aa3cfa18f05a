package policy

// Where other accounts write in an archive. Below each is a folder for each
// account, which is the only one that it can write to.
const (
	SourceRecords     = "sessions"        // what bastions record
	SourceTranscripts = "session-manager" // what Session Manager records
	SourceTrails      = "trail"           // what CloudTrail may write SourceService below
	SourceService     = "AWSLogs"         // what CloudTrail and VPC flow logs write
)

// Sources are the accounts whose records an archive takes, beside its own.
type Sources struct {
	// Accounts are twelve digits each. Empty: all of Organization.
	Accounts []string
	// Organization is the ID of an organization that each must be in, such as
	// "o-a1b2c3d4e5". Empty: wherever they are.
	Organization string
}

// principals are who a statement is about. Everyone stands for an organization
// alone: the policy's condition narrows it.
func (s *Sources) principals(in Scope) Principal {
	if len(s.Accounts) == 0 {
		return anyone()
	}
	roots := make(Values, len(s.Accounts))
	for i, account := range s.Accounts {
		roots[i] = "arn:" + in.Partition + ":iam::" + account + ":root"
	}
	return Principal{"AWS": roots}
}

// byPrincipal is the condition on people and roles, beside what equal says.
func (s *Sources) byPrincipal(equal map[string]Values) Condition {
	if equal == nil {
		equal = map[string]Values{}
	}
	if s.Organization != "" {
		equal["aws:PrincipalOrgID"] = Values{s.Organization}
	}
	if len(equal) == 0 {
		return nil
	}
	return Condition{"StringEquals": equal}
}

// elsewhere is byPrincipal for an archive in a scope: where everyone of an
// organization is meant, those of the archive's own account are not. They would
// need no right of their own, neither to write nor to use the key for what they can
// read.
func (s *Sources) elsewhere(in Scope, equal map[string]Values) Condition {
	condition := s.byPrincipal(equal)
	if len(s.Accounts) == 0 {
		condition["StringNotEquals"] = map[string]Values{"aws:PrincipalAccount": {in.Account}}
	}
	return condition
}

// byService is the condition on services that act for a resource of a source,
// whose ARN begins with arn:PARTITION: and continues as given. withAccount tells
// that the service sends aws:SourceAccount, too.
func (s *Sources) byService(in Scope, arn func(account string) string, withAccount bool) Condition {
	equal := map[string]Values{}
	accounts := s.Accounts
	if len(accounts) == 0 {
		accounts = []string{"*"}
	} else if withAccount {
		equal["aws:SourceAccount"] = accounts
	}
	if s.Organization != "" {
		equal["aws:SourceOrgID"] = Values{s.Organization}
	}
	arns := make(Values, len(accounts))
	for i, account := range accounts {
		arns[i] = "arn:" + in.Partition + ":" + arn(account)
	}
	condition := Condition{"ArnLike": {"aws:SourceArn": arns}}
	if len(equal) > 0 {
		condition["StringEquals"] = equal
	}
	return condition
}

func logsOf(account string) string   { return "logs:*:" + account + ":*" }
func trailsOf(account string) string { return "cloudtrail:*:" + account + ":trail/*" }

// folders are the sources' parts of what services write below prefixes.
func (s *Sources) folders(bucketARN string, prefixes ...string) []string {
	var folders []string
	for _, prefix := range prefixes {
		all := bucketARN + "/" + prefix + SourceService + "/"
		if len(s.Accounts) == 0 {
			folders = append(folders, all+"*")
		}
		for _, account := range s.Accounts {
			folders = append(folders, all+account+"/*")
		}
	}
	return folders
}

// BucketStatements let the hosts of the sources put what they record, each below
// the number of its own account, and look at how the bucket encrypts, which the
// agent of Session Manager does before a session; and let flow logs and trails of
// the sources be delivered. None of them can read, delete, or change a retention.
//
// ACLs are off in the bucket, so that no statement depends on the one that a
// service sends.
//
// docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html,
// docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-permissions.html,
// docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-set-bucket-policy-for-multiple-accounts.html,
// docs.aws.amazon.com/controltower/latest/userguide/logging-s3-audit-bucket.html (aws:SourceOrgID)
func (s *Sources) BucketStatements(in Scope, bucketARN string) []Statement {
	own := func(folder string) string { return bucketARN + "/" + folder + "/${aws:PrincipalAccount}/*" }
	return []Statement{
		{
			Sid: "SourceRecords", Effect: Allow, Principal: s.principals(in),
			Action:    []string{"s3:PutObject"},
			Resource:  []string{own(SourceRecords), own(SourceTranscripts)},
			Condition: s.elsewhere(in, nil),
		},
		{
			Sid: "SourceTranscripts", Effect: Allow, Principal: s.principals(in),
			Action:    []string{"s3:PutObjectAcl"},
			Resource:  []string{own(SourceTranscripts)},
			Condition: s.elsewhere(in, map[string]Values{"s3:x-amz-acl": {"bucket-owner-full-control"}}),
		},
		{
			Sid: "SourceCheck", Effect: Allow, Principal: s.principals(in),
			Action:    []string{"s3:GetEncryptionConfiguration"},
			Resource:  []string{bucketARN},
			Condition: s.elsewhere(in, nil),
		},
		{
			Sid: "SourceLogDelivery", Effect: Allow, Principal: service("delivery.logs.amazonaws.com"),
			Action:    []string{"s3:PutObject"},
			Resource:  s.folders(bucketARN, ""),
			Condition: s.byService(in, logsOf, true),
		},
		{
			Sid: "SourceLogDeliveryCheck", Effect: Allow, Principal: service("delivery.logs.amazonaws.com"),
			Action:    []string{"s3:GetBucketAcl", "s3:ListBucket"},
			Resource:  []string{bucketARN},
			Condition: s.byService(in, logsOf, true),
		},
		{
			Sid: "SourceTrails", Effect: Allow, Principal: service("cloudtrail.amazonaws.com"),
			Action:    []string{"s3:PutObject"},
			Resource:  s.folders(bucketARN, "", SourceTrails+"/"),
			Condition: s.byService(in, trailsOf, false),
		},
		{
			Sid: "SourceTrailsCheck", Effect: Allow, Principal: service("cloudtrail.amazonaws.com"),
			Action:    []string{"s3:GetBucketAcl"},
			Resource:  []string{bucketARN},
			Condition: s.byService(in, trailsOf, false),
		},
	}
}

// KeyStatements let the sources encrypt what [Sources.BucketStatements] let them
// put. Decrypt, which S3 wants for an upload in parts, reads nothing: only S3 may
// ask for it, and the bucket lets no source read.
//
// The bucket isn't named, as it is made with the key.
//
// docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions,
// docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-infrastructure-S3.html#AWS-logs-SSE-KMS-S3,
// docs.aws.amazon.com/awscloudtrail/latest/userguide/create-kms-key-policy-for-cloudtrail.html
func (s *Sources) KeyStatements(in Scope) []Statement {
	trails := s.byService(in, trailsOf, false)
	trails["StringLike"] = map[string]Values{"kms:EncryptionContext:aws:cloudtrail:arn": trails["ArnLike"]["aws:SourceArn"]}
	return []Statement{
		{
			Sid: "SourceRecords", Effect: Allow, Principal: s.principals(in),
			Action: []string{"kms:Decrypt", "kms:GenerateDataKey"}, Resource: thisKey,
			Condition: s.elsewhere(in, map[string]Values{"kms:ViaService": {"s3." + in.Region + ".amazonaws.com"}}),
		},
		{
			Sid: "SourceLogDelivery", Effect: Allow, Principal: service("delivery.logs.amazonaws.com"),
			Action: cryptographic, Resource: thisKey,
			Condition: s.byService(in, logsOf, true),
		},
		{
			Sid: "SourceTrails", Effect: Allow, Principal: service("cloudtrail.amazonaws.com"),
			Action: []string{"kms:GenerateDataKey*"}, Resource: thisKey,
			Condition: trails,
		},
		{
			Sid: "SourceTrailsCheck", Effect: Allow, Principal: service("cloudtrail.amazonaws.com"),
			Action: []string{"kms:Decrypt", "kms:DescribeKey"}, Resource: thisKey,
			Condition: s.byService(in, trailsOf, false),
		},
	}
}

// DestinationStatements let the sources subscribe log groups to a destination of
// CloudWatch Logs. Its principals are the numbers of accounts.
//
// docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CreateFirehoseStreamDestination.html,
// docs.aws.amazon.com/AmazonCloudWatch/latest/logs/Cross-Account-Log_Subscription-Update-policy.html
func (s *Sources) DestinationStatements(destinationARN string) []Statement {
	who := anyone()
	if len(s.Accounts) > 0 {
		who = Principal{"AWS": s.Accounts}
	}
	return []Statement{{
		Sid: "Sources", Effect: Allow, Principal: who,
		Action:    []string{"logs:PutSubscriptionFilter"},
		Resource:  []string{destinationARN},
		Condition: s.byPrincipal(nil),
	}}
}

// DeliveryTrustStatements let CloudWatch Logs take the role that puts log events
// into the stream: for the archive's own account, which is asked when the
// destination is made, and for the log groups of the sources.
//
// docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CreateFirehoseStreamDestination.html,
// docs.aws.amazon.com/AmazonCloudWatch/latest/logs/Subscriptions-confused-deputy.html (aws:SourceOrgID)
func (s *Sources) DeliveryTrustStatements(in Scope) []Statement {
	trust := func(sid string, condition Condition) Statement {
		return Statement{
			Sid: sid, Effect: Allow, Principal: service("logs.amazonaws.com"),
			Action: []string{"sts:AssumeRole"}, Condition: condition,
		}
	}
	logs := func(account string) string { return "logs:" + in.Region + ":" + account + ":*" }
	return []Statement{
		trust("Own", Condition{"ArnLike": {"aws:SourceArn": {"arn:" + in.Partition + ":" + logs(in.Account)}}}),
		trust("Sources", s.byService(in, logs, false)),
	}
}

// ForwardTrustStatements let CloudWatch Logs take the role of a source that sends
// its log groups to a destination elsewhere.
//
// docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CreateSubscriptionFilter-IAMrole.html
func ForwardTrustStatements(in Scope) []Statement {
	return []Statement{{
		Effect: Allow, Principal: service("logs.amazonaws.com"), Action: []string{"sts:AssumeRole"},
		Condition: Condition{"ArnLike": {"aws:SourceArn": {in.arn("logs", in.Region, "*")}}},
	}}
}

// FirehoseTrustStatements let Firehose take the role that writes to the bucket.
// It names the account that the stream belongs to as external ID.
//
// docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-kinesisfirehose-deliverystream.html#aws-resource-kinesisfirehose-deliverystream--examples
func FirehoseTrustStatements(in Scope) []Statement {
	return []Statement{{
		Effect: Allow, Principal: service("firehose.amazonaws.com"), Action: []string{"sts:AssumeRole"},
		Condition: Condition{"StringEquals": {"sts:ExternalId": {in.Account}}},
	}}
}

// FirehoseStatements let a stream write below prefixes of a bucket and tell of
// its errors in a log group.
//
// docs.aws.amazon.com/firehose/latest/dev/controlling-access.html#using-iam-s3
func FirehoseStatements(in Scope, bucketARN, keyARN, groupARN string, prefixes ...string) []Statement {
	objects := make([]string, len(prefixes))
	for i, prefix := range prefixes {
		objects[i] = bucketARN + "/" + prefix + "*"
	}
	return []Statement{
		{
			Sid: "Deliver", Effect: Allow,
			Action: []string{"s3:AbortMultipartUpload", "s3:PutObject"}, Resource: objects,
		},
		{
			Sid: "Find", Effect: Allow,
			Action: []string{"s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"}, Resource: []string{bucketARN},
		},
		{
			Sid: "Encrypt", Effect: Allow,
			Action: []string{"kms:Decrypt", "kms:GenerateDataKey"}, Resource: []string{keyARN},
			Condition: Condition{
				"StringEquals": {"kms:ViaService": {"s3." + in.Region + ".amazonaws.com"}},
				"StringLike":   {"kms:EncryptionContext:aws:s3:arn": {bucketARN, bucketARN + "/*"}},
			},
		},
		{
			Sid: "Tell", Effect: Allow,
			Action: []string{"logs:PutLogEvents"}, Resource: []string{groupARN},
		},
	}
}
