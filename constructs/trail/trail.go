package trail

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/internal/tree"
)

// Trail records who called which AWS API. It is made by [New], or stands for one
// that there is already.
type Trail struct {
	constructs.Construct

	props    Props
	scope    policy.Scope
	arn      string
	name     string
	region   string
	bucket   awss3.IBucket
	key      awskms.IKey
	logGroup awslogs.ILogGroup
	// elsewhere says that bucket and key are a log account's, with policies in order.
	elsewhere bool
}

var _ constructs.IConstruct = (*Trail)(nil)

// New makes a trail. props may be nil.
func New(scope constructs.Construct, id string, props *Props) *Trail {
	p := props.withDefaults()
	elsewhere := attach.Arranged(p.Bucket)
	var faults check.Faults
	faults.Merge("", p.validate())
	if elsewhere && p.Prefix != DefaultPrefix {
		faults.Addf("Prefix", "leave it out", "%q is not where the log account lets trails write", p.Prefix)
	}
	tree.Must("trail", scope, id, faults.Err())

	t := &Trail{props: p, elsewhere: elsewhere}
	constructs.NewConstruct_Override(t, scope, &id)
	t.scope = attach.ScopeOf(t)
	t.region = t.scope.Region
	t.name = p.Name
	if t.name == "" {
		t.name = *awscdk.Names_UniqueResourceName(t, &awscdk.UniqueResourceNameOptions{
			MaxLength: jsii.Number(maxName - len("-12345678")), Separator: jsii.String("-"),
		}) + t.life()
	}
	// Spelled out, not asked of the resource: its bucket's policy names it, and it
	// waits for that policy.
	t.arn = t.scope.ARN("cloudtrail", "trail/"+t.name)
	t.useBucket()
	t.useKey()
	t.useLogGroup()
	t.newResource()
	return t
}

// FromTrailArn stands for a trail that there is already, of the account or of its
// organization, of which no log group is known. It must log the management events
// of this Region.
func FromTrailArn(scope constructs.Construct, id, trailArn string) *Trail {
	return FromTrailAttributes(scope, id, &Attributes{TrailArn: trailArn})
}

// FromTrailAttributes stands for a trail that there is already, of the account or
// of its organization. It must log the management events of this Region.
func FromTrailAttributes(scope constructs.Construct, id string, attributes *Attributes) *Trail {
	var a Attributes
	if attributes != nil {
		a = *attributes
	}
	tree.Must("trail", scope, id, a.validate())

	t := &Trail{arn: a.TrailArn}
	constructs.NewConstruct_Override(t, scope, &id)
	t.region = part(t.arn, ":", 3)
	t.name = part(t.arn, "/", 1)
	if a.LogGroupName != "" {
		t.logGroup = awslogs.LogGroup_FromLogGroupName(t, jsii.String("LogGroup"), &a.LogGroupName)
	}
	return t
}

// life is eight digits of the stack's ID, which a stack that is made again has not: the
// trail of the one before stays, and would be in the way. A bucket's policy in another
// stack can't name them, as that stack is there first.
func (t *Trail) life() string {
	if t.props.Bucket != nil && *awscdk.Stack_Of(t.props.Bucket).Node().Addr() != *awscdk.Stack_Of(t).Node().Addr() {
		return ""
	}
	id := awscdk.Fn_Select(jsii.Number(2), awscdk.Fn_Split(jsii.String("/"), awscdk.Stack_Of(t).StackId(), nil))
	return "-" + *awscdk.Fn_Select(jsii.Number(0), awscdk.Fn_Split(jsii.String("-"), id, nil))
}

// TrailArn is the ARN of the trail.
func (t *Trail) TrailArn() string { return t.arn }

// TrailName is the name of the trail.
func (t *Trail) TrailName() string { return t.name }

// LogGroup takes the events, too. It is nil where there is none.
func (t *Trail) LogGroup() awslogs.ILogGroup { return t.logGroup }

// Bucket takes the log files and digests. It is nil for a trail that was not made
// here.
func (t *Trail) Bucket() awss3.IBucket { return t.bucket }

// Key encrypts the log files. It is nil for a trail that was not made here.
func (t *Trail) Key() awskms.IKey { return t.key }

// ValidateCommand checks by the digests that no log file of this month was changed
// or taken away.
//
// docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-cli.html
func (t *Trail) ValidateCommand() string {
	return `aws cloudtrail validate-logs --trail-arn ` + t.arn + ` --start-time "$(date -u +%Y-%m-01T00:00:00Z)" --region ` + t.region
}

// part is a part of an ARN, which may be a token.
func part(arn, separator string, index int) string {
	if check.Token(arn) {
		return *awscdk.Fn_Select(jsii.Number(float64(index)), awscdk.Fn_Split(&separator, &arn, nil))
	}
	return strings.Split(arn, separator)[index]
}

func (t *Trail) useBucket() {
	t.bucket = t.props.Bucket
	if t.bucket == nil {
		t.bucket = archive.New(t, "Archive", &archive.Props{Key: t.props.Key}).Bucket()
	}
	if !t.elsewhere && !attach.ToBucket(t.bucket, policy.TrailBucketStatements(t.scope, *t.bucket.BucketArn(), t.props.Prefix, t.arn, t.props.OrganizationID)) {
		s := policy.Placeholders()
		attach.Ask(t, "trail-bucket-policy", "Bucket", "the trail can't be made",
			policy.TrailBucketStatements(s, s.Bucket("BUCKET"), t.props.Prefix, s.ARN("cloudtrail", "trail/"+t.name), t.props.OrganizationID))
	}
}

func (t *Trail) useKey() {
	switch {
	case t.props.Key != nil:
		t.key = t.props.Key
	case t.bucket.EncryptionKey() != nil:
		t.key = t.bucket.EncryptionKey()
	default:
		t.key = t.newKey("Key", "Encrypts the record of API calls")
	}
	if t.elsewhere && t.props.Key == nil {
		return
	}
	if !attach.ToKey(t.key, policy.TrailKeyStatements(t.scope)) {
		attach.Ask(t, "trail-key-policy", "Key", "the trail can't be made",
			policy.TrailKeyStatements(policy.Placeholders()))
	}
}

func (t *Trail) newKey(id, description string) awskms.IKey {
	return awskms.NewKey(t, &id, &awskms.KeyProps{
		Description:       &description,
		EnableKeyRotation: jsii.Bool(true),
		RemovalPolicy:     awscdk.RemovalPolicy_RETAIN,
	})
}

func (t *Trail) useLogGroup() {
	t.logGroup = t.props.LogGroup
	if t.props.WithLogGroup {
		t.logGroup = t.newLogGroup()
	}
}

func (t *Trail) newLogGroup() awslogs.ILogGroup {
	key := t.key
	if t.elsewhere && t.props.Key == nil {
		key = t.newKey("LogGroupKey", "Encrypts the log group of the trail "+t.name) // the other account's is for its bucket alone
	}
	if !attach.ToKey(key, policy.LogGroupKeyStatements(t.scope)) {
		attach.Ask(t, "trail-log-group-key-policy", "Key", "the log group can't be made",
			policy.LogGroupKeyStatements(policy.Placeholders()))
	}
	return awslogs.NewLogGroup(t, jsii.String("LogGroup"), &awslogs.LogGroupProps{
		EncryptionKey:             key,
		Retention:                 awslogs.RetentionDays_ONE_YEAR,
		RemovalPolicy:             awscdk.RemovalPolicy_RETAIN,
		DeletionProtectionEnabled: jsii.Bool(true),
	})
}

// newResource makes the trail by its type's name: the module awscloudtrail brings
// in Lambda's, which everybody who imports this package would compile.
func (t *Trail) newResource() {
	properties := map[string]any{
		"TrailName":                  t.name,
		"IsLogging":                  true,
		"IsMultiRegionTrail":         true,
		"IncludeGlobalServiceEvents": true,
		"EnableLogFileValidation":    true,
		"S3BucketName":               *t.bucket.BucketName(),
		"S3KeyPrefix":                t.props.Prefix,
		"KMSKeyId":                   *t.key.KeyArn(),
	}
	if t.props.OrganizationID != "" {
		properties["IsOrganizationTrail"] = true
	}
	if t.props.RecordObjects {
		properties["AdvancedEventSelectors"] = selectors(*t.bucket.BucketArn(), t.props.Prefix)
	} else {
		properties["EventSelectors"] = managementEvents
	}
	if t.logGroup != nil {
		properties["CloudWatchLogsLogGroupArn"] = t.scope.ARN("logs", "log-group:"+*t.logGroup.LogGroupName()+":*")
		properties["CloudWatchLogsRoleArn"] = *t.newRole().RoleArn()
	}
	resource := awscdk.NewCfnResource(t, jsii.String("Resource"), &awscdk.CfnResourceProps{
		Type: jsii.String("AWS::CloudTrail::Trail"), Properties: &properties,
	})
	resource.ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE, nil)
	// CloudTrail tries the bucket when the trail is made.
	if statements := t.bucket.Policy(); statements != nil {
		resource.Node().AddDependency(statements)
	}
	if t.logGroup == nil {
		tree.Acknowledge(resource,
			"The log group is by choice: it costs by the event, and EventBridge gets what notices are made of without it.",
			"NIST.800.53.R5-CloudTrailCloudWatchLogsEnabled", "PCI.DSS.321-CloudTrailCloudWatchLogsEnabled")
	}
}

func (t *Trail) newRole() awsiam.Role {
	writer := awsiam.NewManagedPolicy(t, jsii.String("LogPolicy"), &awsiam.ManagedPolicyProps{
		Description: jsii.String("Lets CloudTrail write to the log group of the trail " + t.name),
		Document:    attach.Document(policy.TrailLogStatements(t.scope, *t.logGroup.LogGroupName(), t.props.OrganizationID)),
	})
	tree.Acknowledge(writer, "CloudTrail chooses the names of its streams; their beginning is fixed.", "AwsSolutions-IAM5")
	role := awsiam.NewRole(t, jsii.String("LogRole"), &awsiam.RoleProps{
		Description:     jsii.String("The trail " + t.name + " writes to its log group"),
		AssumedBy:       awsiam.NewServicePrincipal(jsii.String("cloudtrail.amazonaws.com"), nil),
		ManagedPolicies: &[]awsiam.IManagedPolicy{writer},
	})
	// The trail that stays could not write without them.
	writer.ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE)
	role.ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE)
	return role
}
