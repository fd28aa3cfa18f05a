package policy_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/archive"
	bastionhost "github.com/postern-cdk/postern/constructs/bastion"
	"github.com/postern-cdk/postern/constructs/watch"
	"github.com/postern-cdk/postern/internal/cdktest"
	"github.com/postern-cdk/postern/internal/iam"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/posterntest"
)

const otherAccount = "999999999999"

// evidence is what keeps records, what writes to it, and what watches it, as an app
// synthesizes it, with the policies of it all.
type evidence struct {
	policy.Scope
	label string
	// there is where the replica is.
	there string
	// policies are those of resources, by ARN.
	policies map[string]json.RawMessage
	// rights are the policies of principals, by who.
	rights map[string]json.RawMessage
	// names of resources.
	key, bucket, accessLogs, lists, listsKey, replica, replicaKey, replicaAlias, replicaLogs, topic, logGroup string
	// listed is a second archive's bucket, whose access logs and lists go to accessLogs.
	listed string
}

// made of one app for each partition.
func synthesizeEvidence(t *testing.T, label, partition, region, there string) *evidence {
	t.Helper()
	e := &evidence{
		Scope: policy.Scope{Partition: partition, Region: region, Account: account, URLSuffix: "amazonaws.com"},
		label: label, there: there, policies: map[string]json.RawMessage{}, rights: map[string]json.RawMessage{},
	}
	if partition == "aws-cn" {
		e.URLSuffix = "amazonaws.com.cn"
	}
	app := cdktest.NewApp(t)
	in := func(id, region string) awscdk.Stack {
		return awscdk.NewStack(app, &id, &awscdk.StackProps{Env: &awscdk.Environment{Account: jsii.String(account), Region: &region}})
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
	alarms := watch.New(stack, "Watch", &watch.Props{Key: store.Key(), ExistingTrail: true, Emails: []string{"oncall@example.com"}})
	alarms.AllowEventBridge()

	read := posterntest.Read(t, *app.Synth(nil).Directory())
	read.Partition, read.Region, read.Account = partition, region, account
	for arn, document := range posterntest.ResourcePoliciesOf(t, read) {
		e.policies[arn] = json.RawMessage(document)
	}
	for who, path := range map[string]string{"bastion": "Evidence/Bastion/Role", "replication": "Evidence/Archive/ReplicationRole"} {
		var statements []any
		documents := posterntest.DocumentsOf(t, read, posterntest.Person(path))
		for _, name := range slices.Sorted(maps.Keys(documents)) {
			statements = append(statements, statementsOf(json.RawMessage(documents[name]))...)
		}
		text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
		require.NoError(t, err)
		e.rights[label+who] = text
	}
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
	e.replica, e.replicaAlias = e.s3(replica.Target().BucketName), replica.Target().KeyAlias
	e.replicaLogs = e.s3(copies.Resolve(replica.AccessLogBucket().BucketName()).(map[string]any)["Ref"].(string))
	e.topic = e.ARN("sns", stack.Resolve(alarms.Topic().TopicName()).(map[string]any)["Fn::GetAtt"].([]any)[0].(string))
	e.logGroup = e.ARN("logs", "log-group:Evidence-ArchiveSessions-1A2B3C")
	for _, arn := range []string{e.bucket, e.lists, e.accessLogs, e.key, e.listsKey, e.replicaKey, e.replica, e.replicaLogs, e.topic} {
		require.Contains(t, e.policies, arn, "known are %v", slices.Sorted(maps.Keys(e.policies)))
	}
	return e
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
