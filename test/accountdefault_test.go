package test_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsssm"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/constructs/session"
	"github.com/postern-cdk/postern/internal/accountdefault"
	"github.com/postern-cdk/postern/internal/cdktest"
	"github.com/postern-cdk/postern/internal/compile"
	"github.com/postern-cdk/postern/internal/function"
)

// ownerOf is the custom resource of a template, and the content that it asks for,
// with references as "<...>".
func ownerOf(t *testing.T, all map[string]resource) (string, resource, map[string]any) {
	t.Helper()
	id, r := onlyOf(t, all, accountdefault.ResourceType, "")
	text, ok := r.Properties["Content"].(string)
	if !ok {
		for _, part := range r.Properties["Content"].(map[string]any)["Fn::Join"].([]any)[1].([]any) {
			if plain, ok := part.(string); ok {
				text += plain
			} else {
				quoted := textOf(t, textOf(t, part))
				text += "<" + quoted[1:len(quoted)-1] + ">"
			}
		}
	}
	var content map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &content), text)
	return id, r, content
}

func TestAccountDefaultByDefault(t *testing.T) {
	for name, app := range map[string]awscdk.App{"with flags": cdktest.NewApp(t), "without flags": cdktest.NewAppWithoutFlags(t)} {
		t.Run(name, func(t *testing.T) {
			stack := cdktest.StackIn(app, "Test")
			everybody := session.NewAccountDefault(stack, "Account", nil)
			host := newShellHost(stack, "Host")
			everybody.AllowHost(host)
			user := awsiam.NewRole(stack, jsii.String("User"), &awsiam.RoleProps{AssumedBy: awsiam.NewAccountRootPrincipal()})
			everybody.GrantShell(user)
			template := cdktest.Template(stack)
			all := resourcesOf(t, template)
			id, owner, content := ownerOf(t, all)

			t.Run("asks for the safest preferences", func(t *testing.T) {
				assert.Equal(t, "Fail", owner.Properties["OnExisting"], "what exists is not touched")
				assert.Equal(t, "900", fmt.Sprint(owner.Properties["ServiceTimeout"]))
				assert.Equal(t, "Session preferences of this account, from Test/Account", content["description"])
				inputs := content["inputs"].(map[string]any)
				for _, flag := range []string{"s3EncryptionEnabled", "cloudWatchEncryptionEnabled", "cloudWatchStreamingEnabled", "runAsEnabled"} {
					assert.Equal(t, true, inputs[flag], flag)
				}
				assert.Contains(t, inputs["s3BucketName"], "AccountArchiveBucket")
				assert.Contains(t, inputs["cloudWatchLogGroupName"], "AccountArchive")
				assert.Contains(t, inputs["kmsKeyId"], "AccountKey")
			})
			t.Run("by a function that does nothing else", func(t *testing.T) {
				_, f := onlyOf(t, all, "AWS::Lambda::Function", "AccountFunction")
				assert.Equal(t, "provided.al2023", f.Properties["Runtime"])
				assert.Equal(t, []any{"arm64"}, f.Properties["Architectures"])
				assert.Equal(t, "bootstrap", f.Properties["Handler"])
				assert.NotContains(t, f.Properties, "FunctionName", "it could not be replaced")
				assert.NotContains(t, f.Properties, "ReservedConcurrentExecutions", "new accounts have none to give")
				built, err := function.Build(t.Context(), accountdefault.Program, function.Options{})
				require.NoError(t, err)
				assert.Equal(t, built.SHA256+".zip", f.Properties["Code"].(map[string]any)["S3Key"])
				logID, log := onlyOf(t, all, "AWS::Logs::LogGroup", "AccountFunctionLog")
				assert.Equal(t, map[string]any{"LogGroup": map[string]any{"Ref": logID}}, f.Properties["LoggingConfig"])
				assert.EqualValues(t, 365, log.Properties["RetentionInDays"])
				assert.Equal(t, "Retain", log.DeletionPolicy, "it tells what a deletion could not do")
				assert.Contains(t, textOf(t, log.Properties["KmsKeyId"]), "AccountArchiveKey")

				_, may := onlyOf(t, all, "AWS::IAM::ManagedPolicy", "AccountFunctionPolicy")
				actions := map[string]string{}
				for _, s := range may.Properties["PolicyDocument"].(map[string]any)["Statement"].([]any) {
					statement := s.(map[string]any)
					assert.Equal(t, "Allow", statement["Effect"])
					for _, action := range asList(statement["Action"]) {
						actions[action.(string)] = textOf(t, asList(statement["Resource"]))
					}
				}
				document := `[{"Fn::Join":["",["arn:",{"Ref":"AWS::Partition"},":ssm:us-east-1:123456789012:document/SSM-SessionManagerRunShell"]]}]`
				parameters := `[{"Fn::Join":["",["arn:",{"Ref":"AWS::Partition"},":ssm:us-east-1:123456789012:parameter/postern/session-preferences/original"]]},` +
					`{"Fn::Join":["",["arn:",{"Ref":"AWS::Partition"},":ssm:us-east-1:123456789012:parameter/postern/session-preferences/record"]]}]`
				stream := `[{"Fn::GetAtt":["` + logID + `","Arn"]}]`
				want := map[string]string{
					"ssm:CreateDocument": document, "ssm:DeleteDocument": document, "ssm:DescribeDocument": document, "ssm:GetDocument": document,
					"ssm:UpdateDocument": document, "ssm:UpdateDocumentDefaultVersion": document,
					"ssm:GetParameter": parameters, "ssm:PutParameter": parameters,
					"logs:CreateLogStream": stream, "logs:PutLogEvents": stream,
				}
				if _, plain := onlyOf(t, all, "AWS::Lambda::Function", "AccountFunction"); plain.Type != "" && !strings.Contains(actions["ssm:GetDocument"], "AWS::Partition") {
					// Without the feature flags, the partition of a known Region is written out.
					for action, text := range want {
						want[action] = strings.NewReplacer(`{"Fn::Join":["",["arn:",{"Ref":"AWS::Partition"},"`, `"arn:aws`, `"]]}`, `"`).Replace(text)
					}
				}
				assert.Equal(t, want, actions)
			})
			t.Run("after all that sessions need", func(t *testing.T) {
				depends := textOf(t, owner.DependsOn)
				assert.Contains(t, depends, "AccountHostPolicy")
				assert.Contains(t, depends, "AccountArchiveBucketPolicy")
				token := textOf(t, owner.Properties["ServiceToken"])
				functionID, f := onlyOf(t, all, "AWS::Lambda::Function", "AccountFunction")
				assert.JSONEq(t, `{"Fn::GetAtt":["`+functionID+`","Arn"]}`, token)
				roleID, role := onlyOf(t, all, "AWS::IAM::Role", "AccountFunctionRole")
				assert.Contains(t, textOf(t, f.Properties["Role"]), roleID)
				policyID, _ := onlyOf(t, all, "AWS::IAM::ManagedPolicy", "AccountFunctionPolicy")
				assert.Contains(t, textOf(t, role.Properties["ManagedPolicyArns"]), policyID, "the policy goes after the function, which needs it to restore")
				assert.Equal(t, "Delete", owner.DeletionPolicy)
				assert.Regexp(t, `^Account[0-9A-F]{8}$`, id, "a contract")
			})
			t.Run("accessors", func(t *testing.T) {
				assert.Equal(t, "SSM-SessionManagerRunShell", everybody.DocumentName())
				assert.Contains(t, textOf(t, stack.Resolve(everybody.DocumentArn())), ":document/SSM-SessionManagerRunShell")
				assert.Contains(t, textOf(t, stack.Resolve(everybody.HostPolicy())), "s3:GetEncryptionConfiguration")
				assert.Equal(t, `aws ssm start-session --region us-east-1 --target "i-0123456789abcdef0" --reason 'why'`, everybody.StartCommand("i-0123456789abcdef0", "why"))
				assert.Equal(t, "aws ssm get-parameter --region us-east-1 --name /postern/session-preferences/original --query Parameter.Value --output text", everybody.OriginalCommand())
				assert.Equal(t, "aws ssm get-parameter --region us-east-1 --name /postern/session-preferences/record --query Parameter.Value --output text", everybody.RecordCommand())
				assert.Contains(t, everybody.VerifyCommand(), "--name SSM-SessionManagerRunShell")
				assert.Contains(t, everybody.SessionsCommand(), "DocumentName=='SSM-SessionManagerRunShell'")
				assert.Contains(t, everybody.UnrecordedCommand(), "no transcript")
				assert.NotEmpty(t, everybody.TranscriptCommand(""))
				assert.NotEmpty(t, everybody.FollowCommand(""))
				assert.NotNil(t, everybody.LogGroup())
				assert.NotNil(t, everybody.Bucket())
				assert.NotNil(t, everybody.Key())
				assert.Len(t, everybody.Access().Targets, 1)
			})
			t.Run("grant", func(t *testing.T) {
				policies := textOf(t, ofType(all, "AWS::IAM::Policy")) + textOf(t, ofType(all, "AWS::IAM::ManagedPolicy"))
				assert.Contains(t, policies, "ssm:SessionDocumentAccessCheck")
				assert.Contains(t, policies, "document/SSM-SessionManagerRunShell")
			})
			warnings := warningsOf(stack)
			require.Len(t, warnings, 1)
			assert.Contains(t, warnings[0], "SSM-SessionManagerRunShell is for every host of the account in this Region.")
			assert.Contains(t, warnings[0], "[ack: postern:session-account-default]")
		})
	}
}

func TestAccountDefaultWithEverything(t *testing.T) {
	built, err := function.Build(t.Context(), accountdefault.Program, function.Options{})
	require.NoError(t, err)
	app := cdktest.NewApp(t)
	stack := cdktest.StackIn(app, "Test")
	evidence := archive.New(stack, "Archive", nil)
	everybody := session.NewAccountDefault(stack, "Account", &session.AccountDefaultProps{
		Description: "Ours", OnExisting: session.AdoptByMerge, FunctionFile: built.Path,
		Settings: session.Settings{LogGroup: evidence.AddLogGroup("Sessions"), Bucket: evidence.Bucket(), RunAs: session.RunAs{User: "support"}},
		Targets:  []session.Target{{Tags: map[string]string{"team": "orders"}}},
	})
	everybody.AllowRole(newHostRole(stack, "Hosts"))
	template := cdktest.Template(stack)
	all := resourcesOf(t, template)
	_, owner, content := ownerOf(t, all)
	assert.Equal(t, "AdoptByMerge", owner.Properties["OnExisting"])
	assert.Equal(t, "Ours", content["description"])
	assert.Equal(t, "support", content["inputs"].(map[string]any)["runAsDefaultUser"])
	assert.Contains(t, textOf(t, owner.DependsOn), "ArchiveBucketPolicy")
	_, log := onlyOf(t, all, "AWS::Logs::LogGroup", "AccountFunctionLog")
	assert.Contains(t, textOf(t, log.Properties["KmsKeyId"]), `"ArchiveKey`, "one key has the records")
	assert.Len(t, ofType(all, "AWS::KMS::Key"), 2)

	// The file is in the assembly, and is the one that was built.
	folder := *app.Synth(nil).Directory()
	f := ofType(all, "AWS::Lambda::Function")
	for _, r := range f {
		data, err := os.ReadFile(filepath.Join(folder, "asset."+r.Properties["Code"].(map[string]any)["S3Key"].(string)))
		require.NoError(t, err)
		assert.NotEmpty(t, data)
	}
	sum, err := compile.Digest(filepath.Join(folder, "asset."+built.SHA256+".zip"))
	require.NoError(t, err)
	assert.Equal(t, built.SHA256, sum)
}

func TestAccountDefaultChoices(t *testing.T) {
	stack := cdktest.NewStack(t)
	bucket := awss3.Bucket_FromBucketName(stack, jsii.String("Theirs"), jsii.String("their-bucket"))
	session.NewAccountDefault(stack, "Account", &session.AccountDefaultProps{
		OnExisting: session.AdoptByReplace,
		Settings:   session.Settings{Bucket: bucket, WithoutKey: true},
	})
	all := resourcesOf(t, cdktest.Template(stack))
	_, owner, content := ownerOf(t, all)
	assert.Equal(t, "AdoptByReplace", owner.Properties["OnExisting"])
	assert.Equal(t, "their-bucket", content["inputs"].(map[string]any)["s3BucketName"])
	// The key that the records got is the log's, too.
	keys := ofType(all, "AWS::KMS::Key")
	require.Len(t, keys, 1)
	for id, key := range keys {
		assert.True(t, strings.HasPrefix(id, "AccountRecordsKey"))
		assert.Equal(t, "Retain", key.DeletionPolicy)
		_, log := onlyOf(t, all, "AWS::Logs::LogGroup", "AccountFunctionLog")
		assert.Contains(t, textOf(t, log.Properties["KmsKeyId"]), id)
	}

	// And where nothing else needed one.
	stack = cdktest.NewStack(t)
	group := awslogs.LogGroup_FromLogGroupName(stack, jsii.String("Group"), jsii.String("theirs"))
	session.NewAccountDefault(stack, "Account", &session.AccountDefaultProps{Settings: session.Settings{LogGroup: group, WithoutBucket: true, WithoutKey: true}})
	all = resourcesOf(t, cdktest.Template(stack))
	assert.Len(t, ofType(all, "AWS::KMS::Key"), 1)
	_, log := onlyOf(t, all, "AWS::Logs::LogGroup", "AccountFunctionLog")
	assert.NotNil(t, log.Properties["KmsKeyId"])
}

func TestAccountDefaultFaults(t *testing.T) {
	stack := cdktest.NewStack(t)
	message := cdktest.Panic(t, func() {
		session.NewAccountDefault(stack, "Account", &session.AccountDefaultProps{OnExisting: "Overwrite", Settings: session.Settings{Prefix: "/x"}})
	})
	assert.Contains(t, message, `session account default "Test/Account": Settings.Prefix: "/x" can't be a folder for transcripts`)
	assert.Contains(t, message, `OnExisting: "Overwrite" is not known: use one of AdoptByMerge, AdoptByReplace`)
	message = cdktest.Panic(t, func() {
		session.NewAccountDefault(stack, "Account", &session.AccountDefaultProps{FunctionFile: "/nowhere.zip"})
	})
	assert.Contains(t, message, `session account default "Test/Account": FunctionFile: /nowhere.zip is not the function postern-account-default: open /nowhere.zip: no such file or directory`)
	assert.Nil(t, stack.Node().TryFindChild(jsii.String("Account")), "the tree is not touched")

	everybody := session.NewAccountDefault(stack, "Account", nil)
	assert.Contains(t, cdktest.Panic(t, func() { everybody.AllowHost(nil) }), `"Test/Account": AllowHost: host: is nil`)
	assert.Contains(t, cdktest.Panic(t, func() { everybody.GrantShell(nil) }), `"Test/Account": GrantShell: who: is nil`)
}

func TestAccountHasOneDefault(t *testing.T) {
	app := cdktest.NewApp(t)
	first, second := cdktest.StackIn(app, "A"), cdktest.StackIn(app, "B")
	session.NewAccountDefault(first, "Account", nil)
	session.NewAccountDefault(second, "Account", nil)
	elsewhere := cdktest.StackAt(app, "C", cdktest.Account, "eu-west-1")
	session.NewAccountDefault(elsewhere, "Account", nil)
	awsssm.NewCfnDocument(second, jsii.String("Theirs"), &awsssm.CfnDocumentProps{
		Name: jsii.String("SSM-SessionManagerRunShell"), DocumentType: jsii.String("Session"), Content: map[string]any{"schemaVersion": "1.0", "sessionType": "Standard_Stream"},
	})
	message := cdktest.Panic(t, func() { app.Synth(nil) })
	assert.Contains(t, message, "[B/Account] A/Account owns SSM-SessionManagerRunShell too, and an account has one in a Region: keep one of them")
	assert.Contains(t, message, "[A/Account] B/Theirs owns SSM-SessionManagerRunShell too")
	assert.NotContains(t, message, "C/Account")
}

func TestAccountDefaultInEveryPartition(t *testing.T) {
	for region, partition := range map[string]string{"us-east-1": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov"} {
		app := cdktest.NewApp(t)
		stack := cdktest.StackAt(app, "Test", cdktest.Account, region)
		everybody := session.NewAccountDefault(stack, "Account", nil)
		everybody.AllowRole(newHostRole(stack, "Hosts"))
		text := textOf(t, cdktest.Template(stack).ToJSON())
		if partition != "aws" {
			assert.NotContains(t, text, "arn:aws:", region)
		}
		assert.Contains(t, text, `:ssm:`+region+`:123456789012:document/SSM-SessionManagerRunShell`)
	}
}

func TestAccountDefaultPassesRulePacks(t *testing.T) {
	stack := cdktest.StackIn(newJudgedApp(t), "Test")
	everybody := session.NewAccountDefault(stack, "Account", nil)
	role := newHostRole(stack, "Hosts")
	everybody.AllowRole(role)
	addRulePacks(stack)
	assert.Empty(t, findings(stack))
}
