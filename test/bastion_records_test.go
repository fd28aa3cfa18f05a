package test_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/constructs/bastion"
	"github.com/postern-cdk/postern/internal/cdktest"
)

func TestBastionWithImportedKey(t *testing.T) {
	stack := cdktest.NewStack(t)
	key := awskms.Key_FromKeyArn(stack, jsii.String("Key"), jsii.String("arn:aws:kms:us-east-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"))
	vpc := userVpc(stack)
	bucket := awss3.Bucket_FromBucketAttributes(stack, jsii.String("Records"), &awss3.BucketAttributes{
		BucketName: jsii.String("records"), EncryptionKey: key,
	})
	bastion.New(stack, "Bastion", &bastion.Props{Vpc: vpc, Key: key, Bucket: bucket})
	bastion.New(stack, "Second", &bastion.Props{
		Vpc: vpc, Key: key, Bucket: bucket, LogGroup: awslogs.LogGroup_FromLogGroupName(stack, jsii.String("Log"), jsii.String("log")),
	})
	warnings := warningsOf(stack)
	require.Len(t, warnings, 2)
	assert.Contains(t, warnings[0], "[ack: postern:bastion-key-policy]")
	assert.Contains(t, warnings[0], `"Sid":"AutoScalingVolumeGrants"`)
	assert.Contains(t, warnings[0], `"Sid":"CloudWatchLogs"`)
	assert.NotContains(t, warnings[1], `"Sid":"CloudWatchLogs"`)

	own := cdktest.NewStack(t)
	bastion.New(own, "Bastion", &bastion.Props{Vpc: userVpc(own), Key: awskms.Key_FromKeyArn(own, jsii.String("Key"), key.KeyArn())})
	warnings = warningsOf(own)
	require.Len(t, warnings, 1, "the archive that the bastion makes says it all, once")
	assert.Contains(t, warnings[0], "[ack: postern:archive-key-policy]")
	template := cdktest.Template(stack)
	assert.Empty(t, byLogicalName(t, template, "AWS::KMS::Key"))
	assert.Equal(t, "arn:aws:kms:us-east-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef",
		propertiesOf(t, template, "AWS::Logs::LogGroup", "BastionLogGroup")["KmsKeyId"])
}

// What the role may do on the buckets, the keys and the parameters is what the
// host is told to use, and nothing next to it.
func TestBastionRecordsAndSecrets(t *testing.T) {
	stack := cdktest.NewStack(t)
	store := archive.New(stack, "Archive", nil)
	people := awss3.NewBucket(stack, jsii.String("People"), &awss3.BucketProps{
		Encryption: awss3.BucketEncryption_KMS, Versioned: jsii.Bool(true), EnforceSSL: jsii.Bool(true),
	})
	vpc := userVpc(stack)
	b := bastion.New(stack, "Bastion", &bastion.Props{
		Vpc: vpc, Key: store.Key(), Bucket: store.Bucket(), LogGroup: store.AddLogGroup("Host"),
		LogGroups: bastion.LogGroups{Sessions: store.AddLogGroup("Sessions"), Audit: store.AddLogGroup("Audit")},
		Host: bastion.Host{
			Recording:    bastion.Recording{Commands: bastion.CommandsRecorded, Input: true},
			People:       bastion.People{Bucket: people, Prefix: "ops/keys/", Sudo: []string{"alice"}, MaxKeyAge: 365 * 24 * time.Hour},
			Certificates: bastion.Certificates{RevocationKey: "ops/revoked.krl"},
			HostKeys:     bastion.HostKeys{Version: "2026", NextVersion: "2027"},
		},
	})
	database := awsec2.NewSecurityGroup(stack, jsii.String("Database"), &awsec2.SecurityGroupProps{Vpc: vpc, AllowAllOutbound: jsii.Bool(false)})
	b.AllowTo(database, 5432, "psql")
	b.AllowTo(database, 443, "its console")
	b.AllowTo(database, 5432, "psql")
	template := cdktest.Template(stack)

	assert.Equal(t, archiveKeySids, sidsOf(t, byLogicalName(t, template, "AWS::KMS::Key")["ArchiveKey"]["Properties"].(map[string]any)["KeyPolicy"]))
	assert.NotContains(t, byLogicalName(t, template, "AWS::S3::Bucket"), "BastionArchiveBucket")
	environment := environmentOf(t, template)
	for _, want := range []string{
		`BUNDLE_BUCKET=cdk-hnb659fds-assets-123456789012-us-east-1\nBUNDLE_KEY=`,
		`.gz\nLOG_GROUP="`,
		`\nLOG_GROUP_SESSIONS=",{"Ref":"ArchiveSessions`,
		`\nLOG_GROUP_COMMANDS=\n`,
		`\nLOG_GROUP_AUDIT=",{"Ref":"ArchiveAudit`,
		`\nRECORD_BUCKET=",{"Ref":"ArchiveBucket`,
		`\nPEOPLE_BUCKET=",{"Ref":"People`,
		`\nPARAMETER_PATH=/postern/Test/Bastion\nKEY_ID=",{"Fn::GetAtt":["ArchiveKey`,
		`\nEGRESS_PORTS=443 5432\n`,
	} {
		assert.Contains(t, environment, want)
	}

	role := statementsOf(t, template)
	resources := func(sid string) string { return textOf(t, role[sid]["Resource"]) }
	assert.Regexp(t, `^"arn:aws:s3:::cdk-hnb659fds-assets-123456789012-us-east-1/[0-9a-f]{64}\.gz"$`, resources("Bundle"))
	assert.Regexp(t, `^{"Fn::Join":\["",\[{"Fn::GetAtt":\["ArchiveBucket\w+","Arn"\]},"/sessions/\*"\]\]}$`, resources("Records"))
	assert.Regexp(t, `^{"Fn::GetAtt":\["People\w+","Arn"\]}$`, resources("PeopleNames"))
	assert.JSONEq(t, `{"StringEquals":{"s3:prefix":"ops/keys/"}}`, textOf(t, role["PeopleNames"]["Condition"]))
	assert.Regexp(t, `"/ops/keys/\*".*"/ops/revoked\.krl"`, resources("PeopleKeys"))
	assert.Contains(t, resources("RecordsKey"), "ArchiveKey")
	assert.Contains(t, textOf(t, role["RecordsKey"]["Condition"]), `"kms:ViaService":"s3.us-east-1.amazonaws.com"`)
	assert.Contains(t, resources("PeopleKeysKey"), "PeopleKey")
	assert.Contains(t, textOf(t, role["PeopleKeysKey"]["Condition"]), `"kms:EncryptionContext:aws:s3:arn":[{"Fn::GetAtt":["People`)
	const path = `"arn:aws:ssm:us-east-1:123456789012:parameter/postern/Test/Bastion/`
	assert.Equal(t, 1, strings.Count(resources("Keep"), path))
	assert.Contains(t, resources("Keep"), path+`host-keys/*"`)
	assert.Equal(t, 1, strings.Count(resources("Factors"), path))
	assert.Contains(t, resources("Factors"), path+`totp/*"`)
	assert.ElementsMatch(t, []any{"ssm:DeleteParameter", "ssm:PutParameter"}, role["Factors"]["Action"], "another device, a lost one")
	assert.JSONEq(t, `{"StringEquals":{"ssm:Overwrite":"false"}}`, textOf(t, role["Keep"]["Condition"]), "a host adds keys and never replaces one")
	assert.Contains(t, resources("Publish"), path+`known_hosts"`)
	assert.Equal(t, 1, strings.Count(resources("Publish"), path))
	assert.Contains(t, textOf(t, role["KeptKey"]["Condition"]), `"kms:EncryptionContext:PARAMETER_ARN":[`)
	for sid, statement := range role {
		if sid == "Factors" {
			continue
		}
		assert.NotContains(t, strings.ToLower(textOf(t, statement["Action"])), "delete", sid)
	}
	for id, policy := range byLogicalName(t, template, "AWS::IAM::ManagedPolicy") {
		document := policy["Properties"].(map[string]any)["PolicyDocument"]
		assert.Less(t, len(textOf(t, document)), 4500, "%s: IAM takes 6,144 characters, and names may be longer elsewhere", id)
	}
	assert.Contains(t, resources("Log"), "ArchiveSessions")
	assert.Empty(t, warningsOf(stack))
}

func TestBastionWarnsOfABucketWhoseKeyIsUnknown(t *testing.T) {
	stack := cdktest.NewStack(t)
	bastion.New(stack, "Bastion", &bastion.Props{
		Vpc: userVpc(stack), Bucket: awss3.Bucket_FromBucketName(stack, jsii.String("Records"), jsii.String("records")),
	})
	warnings := warningsOf(stack)
	require.Len(t, warnings, 1)
	assert.Contains(t, warnings[0], "the key of the imported Bucket isn't known here")
}

// Where the manifest of a stack says that the bundle is, it is: in an app, and in
// a stage, which has a folder of its own.
func TestBastionBundleIsInTheAssembly(t *testing.T) {
	app := cdktest.NewApp(t)
	stage := awscdk.NewStage(app, jsii.String("Prod"), nil)
	for _, scope := range []constructs.Construct{app, stage} {
		stack := awscdk.NewStack(scope, jsii.String("Access"), nil)
		bastion.New(stack, "Bastion", &bastion.Props{Vpc: userVpc(stack)})
		bastion.New(stack, "Second", &bastion.Props{Vpc: userVpc(constructs.NewConstruct(stack, jsii.String("Other")))})
	}
	app.Synth(nil)
	for _, folder := range []string{*app.Outdir(), *stage.Outdir()} {
		manifests, err := filepath.Glob(filepath.Join(folder, "*Access*.assets.json"))
		require.NoError(t, err)
		require.Len(t, manifests, 1, folder)
		text, err := os.ReadFile(manifests[0])
		require.NoError(t, err)
		var manifest struct {
			Files map[string]struct{ Source struct{ Path string } }
		}
		require.NoError(t, json.Unmarshal(text, &manifest))
		found := 0
		for hash, file := range manifest.Files {
			if !strings.HasSuffix(file.Source.Path, ".gz") {
				continue
			}
			found++
			bundle, err := os.ReadFile(filepath.Join(folder, file.Source.Path))
			require.NoError(t, err)
			assert.Equal(t, hash, fmt.Sprintf("%x", sha256.Sum256(bundle)))
		}
		assert.Equal(t, 1, found, "once for all bastions of one kind")
	}
}
