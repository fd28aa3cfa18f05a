package policy

// Scope is where a policy applies. The fields may be tokens.
type Scope struct {
	// Partition such as "aws" or "aws-cn".
	Partition string
	// Region such as "us-east-1".
	Region string
	// Account is the twelve digits of an account.
	Account string
	// URLSuffix is the partition's domain, such as "amazonaws.com".
	URLSuffix string
}

// Placeholders is a scope for text that a person reads and fills in.
func Placeholders() Scope {
	return Scope{Partition: "PARTITION", Region: "REGION", Account: "ACCOUNT", URLSuffix: "amazonaws.com"}
}

// ARN returns the ARN of a resource of a service in the scope's region.
func (s Scope) ARN(service, resource string) string { return s.arn(service, s.Region, resource) }

// Bucket is the ARN of a bucket, or of its objects where a key or an asterisk follows
// the name.
func (s Scope) Bucket(name string) string { return "arn:" + s.Partition + ":s3:::" + name }

func (s Scope) arn(service, region, resource string) string {
	return "arn:" + s.Partition + ":" + service + ":" + region + ":" + s.Account + ":" + resource
}

// In a key policy the only resource is the key itself.
var thisKey = []string{"*"}

var cryptographic = []string{"kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"}

// ArchiveKeyStatements is all that the key of an archive allows beside the
// account's own IAM policies.
func ArchiveKeyStatements(s Scope) []Statement {
	var all []Statement
	for _, part := range [][]Statement{
		LogGroupKeyStatements(s),
		LogDeliveryKeyStatements(s),
		TrailKeyStatements(s),
		TopicKeyStatements(s),
		AutoScalingVolumeStatements(s),
	} {
		all = append(all, part...)
	}
	return all
}

// LogGroupKeyStatements lets CloudWatch Logs encrypt the log groups of the
// account and region, and nothing else, with the key.
//
// docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
func LogGroupKeyStatements(s Scope) []Statement {
	return []Statement{{
		Sid: "CloudWatchLogs", Effect: Allow,
		Principal: service("logs." + s.Region + "." + s.URLSuffix),
		Action:    cryptographic, Resource: thisKey,
		Condition: Condition{"ArnLike": {
			"kms:EncryptionContext:aws:logs:arn": {s.arn("logs", s.Region, "log-group:*")},
		}},
	}}
}

// LogDeliveryKeyStatements lets the delivery of logs to buckets (VPC flow logs
// and the like) write under the key on behalf of the account.
//
// docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-infrastructure-S3.html#AWS-logs-SSE-KMS-S3
func LogDeliveryKeyStatements(s Scope) []Statement {
	return []Statement{{
		Sid: "LogDelivery", Effect: Allow,
		Principal: service("delivery.logs.amazonaws.com"),
		Action:    cryptographic, Resource: thisKey,
		Condition: deliveryOnBehalf(s),
	}}
}

func deliveryOnBehalf(s Scope) Condition {
	return Condition{
		"StringEquals": {"aws:SourceAccount": {s.Account}},
		"ArnLike":      {"aws:SourceArn": {s.arn("logs", s.Region, "*")}},
	}
}

// TrailKeyStatements lets the trails of the account, wherever their home
// region, encrypt what they record. Decrypt is needed because the bucket has an
// S3 Bucket Key.
//
// docs.aws.amazon.com/awscloudtrail/latest/userguide/create-kms-key-policy-for-cloudtrail.html
func TrailKeyStatements(s Scope) []Statement {
	trails := s.arn("cloudtrail", "*", "trail/*")
	return []Statement{
		{
			Sid: "CloudTrailEncrypt", Effect: Allow,
			Principal: service("cloudtrail.amazonaws.com"),
			Action:    []string{"kms:GenerateDataKey*"}, Resource: thisKey,
			Condition: Condition{
				"ArnLike":    {"aws:SourceArn": {trails}},
				"StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": {trails}},
			},
		},
		{
			Sid: "CloudTrailCheck", Effect: Allow,
			Principal: service("cloudtrail.amazonaws.com"),
			Action:    []string{"kms:Decrypt", "kms:DescribeKey"}, Resource: thisKey,
			Condition: Condition{"ArnLike": {"aws:SourceArn": {trails}}},
		},
	}
}

// TopicKeyStatements lets CloudWatch alarms and EventBridge rules publish to the
// account's SNS topics that are encrypted with the key. Without them a message
// is lost and nobody is told.
//
// EventBridge sends neither aws:SourceAccount nor aws:SourceArn to KMS, so its
// statement is bound to the account's topics by what SNS encrypts for.
//
// docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
func TopicKeyStatements(s Scope) []Statement {
	actions := []string{"kms:Decrypt", "kms:GenerateDataKey*"}
	return []Statement{
		{
			Sid: "CloudWatchAlarms", Effect: Allow,
			Principal: service("cloudwatch.amazonaws.com"),
			Action:    actions, Resource: thisKey,
			Condition: Condition{"StringEquals": {"aws:SourceAccount": {s.Account}}},
		},
		{
			Sid: "EventBridgeRules", Effect: Allow,
			Principal: service("events.amazonaws.com"),
			Action:    actions, Resource: thisKey,
			Condition: Condition{"ArnLike": {
				"kms:EncryptionContext:aws:sns:topicArn": {s.arn("sns", s.Region, "*")},
			}},
		},
	}
}

// AutoScalingVolumeStatements lets Auto Scaling start instances whose volumes
// are encrypted with the key. Without them instances end right after launch.
//
// KMS refuses a policy that names a principal that does not exist, and the
// service-linked role is only made with the first Auto Scaling group of an
// account. So the statements are for any principal, narrowed to that one role of
// that one account.
//
// docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html
func AutoScalingVolumeStatements(s Scope) []Statement {
	role := "arn:" + s.Partition + ":iam::" + s.Account +
		":role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
	return []Statement{
		{
			Sid: "AutoScalingVolumes", Effect: Allow,
			Principal: anyone(),
			Action:    cryptographic, Resource: thisKey,
			Condition: Condition{
				"StringEquals": {"kms:CallerAccount": {s.Account}},
				"ArnEquals":    {"aws:PrincipalArn": {role}},
			},
		},
		{
			Sid: "AutoScalingVolumeGrants", Effect: Allow,
			Principal: anyone(),
			Action:    []string{"kms:CreateGrant"}, Resource: thisKey,
			Condition: Condition{
				"StringEquals": {"kms:CallerAccount": {s.Account}},
				"ArnEquals":    {"aws:PrincipalArn": {role}},
				"Bool":         {"kms:GrantIsForAWSResource": {"true"}},
			},
		},
	}
}
