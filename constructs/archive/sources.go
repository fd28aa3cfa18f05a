package archive

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/internal/tree"
)

// DefaultBuffer is how long log events wait for others at most, where
// [Sources.Buffer] says nothing.
const DefaultBuffer = 5 * time.Minute

// MaxAccounts is how many accounts [Sources] can name: their policies have to fit
// into what S3, KMS and CloudWatch Logs take (20 KB, 32 KB and 5 KB).
//
// docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html,
// docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html,
// docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutDestinationPolicy.html
const MaxAccounts = 25

// Where log events of the sources are in the bucket, by year, month, day and hour
// (UTC), and where those are that could not be unpacked, by what failed and day.
const (
	LogsPrefix       = "logs/"
	FailedLogsPrefix = "logs-failed/"
)

const (
	minBuffer = time.Minute
	maxBuffer = 15 * time.Minute
	// bufferMiB makes an object of what came in before the time is over.
	bufferMiB = 64
	// deliveryLog is the group, and the log stream in it, in which Firehose tells why
	// it could not deliver.
	deliveryLog       = "Delivery"
	deliveryLogStream = "S3Delivery"
)

// Sources are the accounts whose records an [Archive] takes beside those of its
// own account, which makes its account the log account of theirs.
//
// Each writes below its own number only, and reads, deletes and changes nothing:
// hosts below sessions/ACCOUNT/ and session-manager/ACCOUNT/, flow logs and trails
// below AWSLogs/ACCOUNT/. Log events arrive through a destination of CloudWatch
// Logs and Firehose below [LogsPrefix]. Outputs of the stack say what to paste in
// the sources; see [FromLogAccount].
//
// Firehose bills the log events as they arrive, compressed, and their unpacking:
// some cents a GB (aws.amazon.com/firehose/pricing). The alarms of
// watch.AddDelivery tell where they don't arrive.
type Sources struct {
	// Accounts are the accounts by their twelve digits, up to [MaxAccounts].
	// Empty: all accounts of OrganizationID.
	Accounts []string

	// OrganizationID is the organization that every source must be in, such as
	// "o-a1b2c3d4e5": an account that leaves it writes nothing more. Empty: not
	// asked for, and Accounts must name the sources.
	OrganizationID string

	// Buffer is how long log events wait for others, so that objects are few; 1 to
	// 15 minutes in whole seconds. What waits is in the log account already and out
	// of reach of the source. Zero stands for [DefaultBuffer].
	Buffer time.Duration
}

func (s *Sources) withDefaults() *Sources {
	if s == nil {
		return nil
	}
	filled := *s
	filled.Accounts = slices.Clone(s.Accounts)
	if filled.Buffer == 0 {
		filled.Buffer = DefaultBuffer
	}
	return &filled
}

var (
	accountForm      = regexp.MustCompile(`^\d{12}$`)
	organizationForm = regexp.MustCompile(`^o-[a-z0-9]{10,32}$`)
)

// validate examines sources whose defaults are filled in.
func (s *Sources) validate() error {
	var faults check.Faults
	if len(s.Accounts) == 0 && s.OrganizationID == "" {
		faults.Add("", "names nobody", "name Accounts or an OrganizationID, or leave Sources out")
	}
	if n := len(s.Accounts); n > MaxAccounts {
		faults.Addf("Accounts", "name the OrganizationID alone, or make a second archive",
			"%d accounts are more than the %d whose policies fit into one bucket", n, MaxAccounts)
	}
	for i, account := range s.Accounts {
		field := fmt.Sprintf("Accounts[%d]", i)
		switch {
		case check.Token(account):
		case !accountForm.MatchString(account):
			faults.Addf(field, "write its 12 digits, such as 111122223333", "%q is not the ID of an account", account)
		case slices.Contains(s.Accounts[:i], account):
			faults.Addf(field, "leave it out", "%q is named before", account)
		}
	}
	if id := s.OrganizationID; id != "" && !check.Token(id) && !organizationForm.MatchString(id) {
		faults.Addf("OrganizationID", `write it as AWS Organizations does, such as "o-a1b2c3d4e5"`, "%q is not the ID of an organization", id)
	}
	faults.Check("Buffer", check.Within(s.Buffer, minBuffer, maxBuffer))
	if s.Buffer%time.Second != 0 {
		faults.Addf("Buffer", "use whole seconds", "%s is not", s.Buffer)
	}
	return faults.Err()
}

// validateIn examines what only the place of the archive shows.
func (s *Sources) validateIn(own string) error {
	var faults check.Faults
	for i, account := range s.Accounts {
		if account == own {
			faults.Addf(fmt.Sprintf("Sources.Accounts[%d]", i), "leave it out: what is recorded in the archive's own account needs no mention",
				"%s is the account of the archive itself", account)
		}
	}
	return faults.Err()
}

func (s *Sources) policy() *policy.Sources {
	return &policy.Sources{Accounts: s.Accounts, Organization: s.OrganizationID}
}

// delivery is how the log events of the sources get into the bucket.
type delivery struct {
	stream         string
	destinationArn string
}

// DestinationArn is the destination of CloudWatch Logs that sources send their log
// groups to. It is "" without [Props.Sources].
func (a *Archive) DestinationArn() string { return a.delivery.destinationArn }

// DeliveryStreamName is the Firehose stream that puts log events of the sources
// into the bucket: its metrics tell whether it does. It is "" without
// [Props.Sources].
func (a *Archive) DeliveryStreamName() string { return a.delivery.stream }

// receive lets the sources in.
func (a *Archive) receive() {
	sources := a.props.Sources.policy()
	arn := *a.bucket.BucketArn()
	if !attach.ToKey(a.key, sources.KeyStatements(a.scope)) {
		attach.Ask(a, "archive-source-key-policy", "Key", "nothing of the sources can be written",
			sources.KeyStatements(policy.Placeholders()))
	}
	if !attach.ToBucket(a.bucket, sources.BucketStatements(a.scope, arn)) {
		scope := policy.Placeholders()
		attach.Ask(a, "archive-source-bucket-policy", "Bucket", "nothing of the sources can be written",
			sources.BucketStatements(scope, scope.Bucket("BUCKET")))
	}

	scope := constructs.NewConstruct(a, jsii.String("Sources"))
	stream := a.newStream(scope)
	a.delivery.stream = *stream.Ref()
	streamArn := *stream.GetAtt(jsii.String("Arn"), awscdk.ResolutionTypeHint_STRING).ToString()
	destination := a.newDestination(scope, sources, streamArn)
	a.delivery.destinationArn = *destination.AttrArn()
	a.tellSources(scope)
}

// newStream makes the stream. CloudWatch Logs compresses what it sends, batch by
// batch; unpacked, an object is lines of JSON, each with the account and the log
// group that it is from, and is compressed as a whole.
//
// docs.aws.amazon.com/firehose/latest/dev/writing-with-cloudwatch-logs-decompression.html
func (a *Archive) newStream(scope constructs.Construct) awscdk.CfnResource {
	group := a.AddLogGroup(deliveryLog)
	logStream := awslogs.NewCfnLogStream(scope, jsii.String("LogStream"), &awslogs.CfnLogStreamProps{
		LogGroupName: group.LogGroupName(), LogStreamName: jsii.String(deliveryLogStream),
	})
	role := attach.NewRole(scope, "Role", "Firehose, which puts log events of the sources into the archive "+*a.Node().Path(),
		policy.FirehoseTrustStatements(a.scope))
	bucketArn, keyArn := *a.bucket.BucketArn(), *a.key.KeyArn()
	allowed := awsiam.NewManagedPolicy(scope, jsii.String("Policy"), &awsiam.ManagedPolicyProps{
		Description: jsii.String("What Firehose puts into the archive " + *a.Node().Path()),
		Roles:       &[]awsiam.IRole{role},
		Document: attach.Document(policy.FirehoseStatements(a.scope, bucketArn, keyArn, *group.LogGroupArn(),
			LogsPrefix, FailedLogsPrefix)),
	})
	tree.Acknowledge(allowed, "Firehose names the objects itself: they are limited to the two prefixes.", "AwsSolutions-IAM5")

	processor := func(kind, parameter, value string) map[string]any {
		return map[string]any{"Type": kind, "Parameters": []any{map[string]any{"ParameterName": parameter, "ParameterValue": value}}}
	}
	stream := awscdk.NewCfnResource(scope, jsii.String("Stream"), &awscdk.CfnResourceProps{
		Type: jsii.String("AWS::KinesisFirehose::DeliveryStream"),
		Properties: &map[string]any{
			"DeliveryStreamType": "DirectPut",
			"DeliveryStreamEncryptionConfigurationInput": map[string]any{
				"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": keyArn,
			},
			"ExtendedS3DestinationConfiguration": map[string]any{
				"BucketARN":         bucketArn,
				"RoleARN":           *role.RoleArn(),
				"Prefix":            LogsPrefix + "!{timestamp:yyyy/MM/dd/HH}/",
				"ErrorOutputPrefix": FailedLogsPrefix + "!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd}/",
				"FileExtension":     ".json.gz",
				"CompressionFormat": "GZIP",
				"BufferingHints": map[string]any{
					"IntervalInSeconds": int(a.props.Sources.Buffer / time.Second), "SizeInMBs": bufferMiB,
				},
				"CloudWatchLoggingOptions": map[string]any{
					"Enabled": true, "LogGroupName": *group.LogGroupName(), "LogStreamName": deliveryLogStream,
				},
				"ProcessingConfiguration": map[string]any{
					"Enabled": true,
					"Processors": []any{
						processor("Decompression", "CompressionFormat", "GZIP"),
						processor("AppendDelimiterToRecord", "Delimiter", `\n`),
					},
				},
			},
		},
	})
	stream.Node().AddDependency(allowed, logStream)
	return stream
}

// newDestination makes what the sources subscribe their log groups to. Its name
// follows from the place in the tree, so that its ARN stays.
func (a *Archive) newDestination(scope constructs.Construct, sources *policy.Sources, streamArn string) awslogs.CfnDestination {
	role := attach.NewRole(scope, "DestinationRole", "CloudWatch Logs, which sends log events of the sources to the archive "+*a.Node().Path(),
		sources.DeliveryTrustStatements(a.scope))
	allowed := awsiam.NewManagedPolicy(scope, jsii.String("DestinationPolicy"), &awsiam.ManagedPolicyProps{
		Description: jsii.String("Puts log events into the stream of the archive " + *a.Node().Path()),
		Roles:       &[]awsiam.IRole{role},
		Document: attach.Document([]policy.Statement{{
			Effect: policy.Allow, Action: []string{"firehose:PutRecord", "firehose:PutRecordBatch"}, Resource: []string{streamArn},
		}}),
	})
	stack := awscdk.Stack_Of(a)
	inner := strings.TrimPrefix(strings.TrimPrefix(*a.Node().Path(), *stack.Node().Path()), "/")
	name := *stack.StackName() + "-" + strings.ReplaceAll(inner, "/", "-")
	destination := awslogs.NewCfnDestination(scope, jsii.String("Destination"), &awslogs.CfnDestinationProps{
		DestinationName:   &name,
		TargetArn:         streamArn,
		RoleArn:           role.RoleArn(),
		DestinationPolicy: jsii.String(policy.Text(sources.DestinationStatements(a.scope.ARN("logs", "destination:"+name)))),
	})
	// CloudWatch Logs sends a message to try the way when it is made.
	destination.Node().AddDependency(allowed)
	return destination
}

// tellSources outputs what to paste.
func (a *Archive) tellSources(scope constructs.Construct) {
	bucket, key, destination := *a.bucket.BucketName(), *a.key.KeyArn(), a.delivery.destinationArn
	output := func(id, description, value string) {
		awscdk.NewCfnOutput(scope, &id, &awscdk.CfnOutputProps{Description: &description, Value: &value})
	}
	output("Yaml", "For the configuration of Postern in each source account",
		fmt.Sprintf("archive:\n  logAccount:\n    bucketName: %s\n    keyArn: %s\n    destinationArn: %s\n", bucket, key, destination))
	output("Go", "For the CDK app of each source account",
		fmt.Sprintf("central := archive.FromLogAccount(stack, \"LogAccount\", &archive.LogAccountProps{BucketName: %q, KeyArn: %q, DestinationArn: %q})",
			bucket, key, destination))
}
