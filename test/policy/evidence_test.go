package policy_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/archive"
	bastionhost "github.com/postern-cdk/postern/constructs/bastion"
	"github.com/postern-cdk/postern/constructs/trail"
	"github.com/postern-cdk/postern/constructs/watch"
	"github.com/postern-cdk/postern/internal/cdktest"
	"github.com/postern-cdk/postern/internal/iam"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/posterntest"
)

const (
	otherAccount = "999999999999"
	logAccount   = "555566667777"
	organization = "o-a1b2c3d4e5"
)

// evidence is what keeps records, what writes to it, and what watches it, as an app
// synthesizes it, with the policies of it all.
type evidence struct {
	policy.Scope
	label string
	// there is where the replica is.
	there string
	// owners are the accounts of resources that are not this one's.
	owners map[string]string
	// policies are those of resources, by ARN.
	policies map[string]json.RawMessage
	// rights are the policies of principals, by who.
	rights map[string]json.RawMessage
	// names of resources.
	key, bucket, accessLogs, lists, listsKey, replica, replicaKey, replicaAlias, replicaLogs, topic, queue, logGroup string
	// listed is a second archive's bucket, whose access logs and lists go to accessLogs.
	listed string
	trail  string
	// replicator is the role of the replication.
	replicator string
	// centrals are archives of a log account: one takes this account by its number, one the
	// organization, and one this account while it is in the organization.
	centrals []central
}

// central is an archive of the log account.
type central struct {
	bucket, key, destination string
	firehose, sender         string // roles
	byNumber, byOrganization bool
}

// synthesizeEvidence makes an app of one partition, and reads its policies.
func synthesizeEvidence(t *testing.T, label, partition, region, there string) *evidence {
	t.Helper()
	e := &evidence{
		Scope: policy.Scope{Partition: partition, Region: region, Account: account, URLSuffix: "amazonaws.com"},
		label: label, there: there, policies: map[string]json.RawMessage{}, rights: map[string]json.RawMessage{},
		owners: map[string]string{},
	}
	if partition == "aws-cn" {
		e.URLSuffix = "amazonaws.com.cn"
	}
	app := cdktest.NewApp(t)
	in := func(id, region string) awscdk.Stack {
		return cdktest.StackAt(app, id, account, region)
	}
	copies, stack := in("Copies", there), in("Evidence", region)
	replica := archive.NewReplica(copies, "Replica", nil)
	listsKey := awskms.NewKey(stack, jsii.String("ListsKey"), nil)
	lists := awss3.NewBucket(stack, jsii.String("Lists"), &awss3.BucketProps{EncryptionKey: listsKey, EnforceSSL: jsii.Bool(true)})
	store := archive.New(stack, "Archive", &archive.Props{Replica: replica.Target(), Inventory: &archive.Inventory{Bucket: lists}})
	store.AddLogGroup("Sessions")
	// By default the lists go to the access-log bucket.
	listed := archive.New(stack, "Listed", &archive.Props{Inventory: &archive.Inventory{}})
	vpc := awsec2.Vpc_FromVpcAttributes(stack, jsii.String("Vpc"), &awsec2.VpcAttributes{
		VpcId: jsii.String("vpc-12345678"), VpcCidrBlock: jsii.String("10.0.0.0/16"), AvailabilityZones: jsii.Strings(region + "a"),
		PrivateSubnetIds: jsii.Strings("subnet-12345678"), PrivateSubnetRouteTableIds: jsii.Strings("rtb-12345678"),
	})
	bastionhost.New(stack, "Bastion", &bastionhost.Props{Vpc: vpc, Bucket: store.Bucket(), Key: store.Key()})
	recorder := trail.New(stack, "Trail", &trail.Props{Bucket: store.Bucket(), Key: store.Key(), LogGroup: store.AddLogGroup("Trail")})
	// Its name ends with a part of the stack's ID, of which posterntest makes zeros.
	named, _, _ := strings.Cut(recorder.TrailArn(), "-${Token")
	e.trail = named + "-00000000"
	e.makeCentrals(app)
	alarms := watch.New(stack, "Watch", &watch.Props{Key: store.Key(), Trail: recorder, Emails: []string{"oncall@example.com"}})
	alarms.AddTamperNotices(nil)

	read := posterntest.Read(t, *app.Synth(nil).Directory())
	read.Partition, read.Region, read.Account = partition, region, account
	for arn, document := range posterntest.ResourcePoliciesOf(t, read) {
		e.policies[arn] = json.RawMessage(document)
	}
	for arn, document := range e.policies {
		if strings.Contains(arn, ":role/") {
			e.policies[arn] = withResource(document)
		}
	}
	for who, path := range map[string]string{
		"bastion": "Evidence/Bastion/Role", "replication": "Evidence/Archive/ReplicationRole", "trail": "Evidence/Trail/LogRole",
		"far bastion": "Source/FarBastion/Role", "firehose": "Named/Named/Sources/Role", "sender": "Named/Named/Sources/DestinationRole",
	} {
		var statements []any
		documents := posterntest.DocumentsOf(t, read, posterntest.Person(path))
		for _, name := range slices.Sorted(maps.Keys(documents)) {
			statements = append(statements, statementsOf(json.RawMessage(documents[name]))...)
		}
		text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
		require.NoError(t, err)
		e.rights[label+who] = text
	}
	e.findCentrals(t, app)
	all := `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}`
	e.rights[label+"everything"] = json.RawMessage(all)

	name := func(of interface{ BucketName() *string }) string {
		return stack.Resolve(of.BucketName()).(map[string]any)["Ref"].(string)
	}
	keyOf := func(stack awscdk.Stack, key awskms.IKey, region string) string {
		id := stack.Resolve(key.KeyArn()).(map[string]any)["Fn::GetAtt"].([]any)[0].(string)
		return e.arnIn(region, "kms", "key/"+id)
	}
	e.bucket, e.lists = e.s3(name(store.Bucket())), e.s3(name(lists))
	e.listed, e.accessLogs = e.s3(name(listed.Bucket())), e.s3(name(listed.AccessLogBucket()))
	e.key, e.listsKey, e.replicaKey = keyOf(stack, store.Key(), region), keyOf(stack, listsKey, region), keyOf(copies, replica.Key(), there)
	e.replicator = "arn:" + partition + ":iam::" + account + ":role/" + *stack.GetLogicalId(store.Node().FindChild(jsii.String("ReplicationRole")).Node().DefaultChild().(awscdk.CfnElement))
	e.replica, e.replicaAlias = e.s3(replica.Target().BucketName), replica.Target().KeyAlias
	e.replicaLogs = e.s3(copies.Resolve(replica.AccessLogBucket().BucketName()).(map[string]any)["Ref"].(string))
	e.topic = e.ARN("sns", stack.Resolve(alarms.Topic().TopicName()).(map[string]any)["Fn::GetAtt"].([]any)[0].(string))
	for arn := range e.policies {
		if strings.Contains(arn, ":sqs:") {
			e.queue = arn
		}
	}
	e.logGroup = e.ARN("logs", "log-group:Evidence-ArchiveSessions-1A2B3C")
	for _, arn := range []string{e.bucket, e.lists, e.accessLogs, e.key, e.listsKey, e.replicaKey, e.replica, e.replicaLogs, e.topic, e.queue} {
		require.Contains(t, e.policies, arn, "known are %v", slices.Sorted(maps.Keys(e.policies)))
	}
	return e
}

// withResource gives the statements of a trust policy the resource that IAM leaves out.
func withResource(document json.RawMessage) json.RawMessage {
	statements := statementsOf(document)
	for _, s := range statements {
		s.(map[string]any)["Resource"] = "*"
	}
	return mustJSON(map[string]any{"Version": "2012-10-17", "Statement": statements})
}

// makeCentrals makes archives of a log account, and a source of the first.
func (e *evidence) makeCentrals(app awscdk.App) {
	in := func(id, account string) awscdk.Stack {
		return cdktest.StackAt(app, id, account, e.Region)
	}
	archive.New(in("Named", logAccount), "Named", &archive.Props{Sources: &archive.Sources{Accounts: []string{account}}})
	archive.New(in("Whole", logAccount), "Whole", &archive.Props{Sources: &archive.Sources{OrganizationID: organization}})
	archive.New(in("Both", logAccount), "Both", &archive.Props{Sources: &archive.Sources{Accounts: []string{account}, OrganizationID: organization}})

	source := in("Source", account)
	there := policy.Scope{Partition: e.Partition, Region: e.Region, Account: logAccount}
	to := archive.FromLogAccount(source, "LogAccount", &archive.LogAccountProps{
		BucketName: "central", KeyArn: there.ARN("kms", "key/central"), DestinationArn: there.ARN("logs", "destination:Named-Named"),
	})
	archive.New(source, "Sent", &archive.Props{LogAccount: to}).AddLogGroup("Sessions")
	vpc := awsec2.Vpc_FromVpcAttributes(source, jsii.String("Vpc"), &awsec2.VpcAttributes{
		VpcId: jsii.String("vpc-12345678"), VpcCidrBlock: jsii.String("10.0.0.0/16"), AvailabilityZones: jsii.Strings(e.Region + "a"),
		PrivateSubnetIds: jsii.Strings("subnet-12345678"), PrivateSubnetRouteTableIds: jsii.Strings("rtb-12345678"),
	})
	bastionhost.New(source, "FarBastion", &bastionhost.Props{Vpc: vpc, Bucket: to.Bucket(), Key: awskms.NewKey(source, jsii.String("FarKey"), nil)})
}

// findCentrals finds their names in what was synthesized.
func (e *evidence) findCentrals(t *testing.T, app awscdk.App) {
	t.Helper()
	there := policy.Scope{Partition: e.Partition, Region: e.Region, Account: logAccount}
	for _, id := range []string{"Named", "Whole", "Both"} {
		stack := app.Node().FindChild(&id).(awscdk.Stack)
		of := func(path ...string) string {
			var at constructs.IConstruct = stack
			for _, step := range path {
				at = at.Node().FindChild(&step)
			}
			return *stack.GetLogicalId(at.Node().DefaultChild().(awscdk.CfnElement))
		}
		c := central{
			bucket: e.s3(of(id, "Bucket")), key: there.ARN("kms", "key/"+of(id, "Key")), byNumber: id != "Whole", byOrganization: id != "Named",
			destination: there.ARN("logs", "destination:"+id+"-"+id),
			firehose:    "arn:" + e.Partition + ":iam::" + logAccount + ":role/" + of(id, "Sources", "Role"),
			sender:      "arn:" + e.Partition + ":iam::" + logAccount + ":role/" + of(id, "Sources", "DestinationRole"),
		}
		e.centrals = append(e.centrals, c)
		for _, arn := range []string{c.bucket, c.key, c.destination, c.firehose, c.sender} {
			require.Contains(t, e.policies, arn, "known are %v", slices.Sorted(maps.Keys(e.policies)))
			e.owners[arn] = logAccount
		}
		// What was imported has the names of a deployment; those of synthesis are others.
		for _, rename := range [][2]string{{e.s3("central"), e.centrals[0].bucket}, {there.ARN("kms", "key/central"), e.centrals[0].key}} {
			text := string(e.rights[e.label+"far bastion"])
			for _, end := range []string{`"`, `/`} {
				text = strings.ReplaceAll(text, rename[0]+end, rename[1]+end)
			}
			e.rights[e.label+"far bastion"] = json.RawMessage(text)
		}
	}
}

func (e *evidence) s3(name string) string { return "arn:" + e.Partition + ":s3:::" + name }

func (e *evidence) arnIn(region, service, resource string) string {
	return policy.Scope{Partition: e.Partition, Region: region, Account: e.Account}.ARN(service, resource)
}

// asker is who asks, under policies of its own.
type asker struct {
	name   string
	caller iam.Caller
	rights []string
	// context is what IAM knows of who asks.
	context iam.Context
}
