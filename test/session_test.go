package test_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/constructs/bastion"
	"github.com/postern-cdk/postern/constructs/endpoints"
	"github.com/postern-cdk/postern/constructs/session"
	"github.com/postern-cdk/postern/internal/cdktest"
)

// shellHost is what a bastion is to a session, without its hundred resources.
type shellHost struct {
	constructs.Construct
	role    awsiam.IRole
	sudoers []string
}

func newShellHost(stack awscdk.Stack, id string, sudoers ...string) *shellHost {
	h := &shellHost{sudoers: sudoers}
	constructs.NewConstruct_Override(h, stack, &id)
	h.role = newHostRole(h, "Role")
	return h
}

func newHostRole(scope constructs.Construct, id string) awsiam.Role {
	return awsiam.NewRole(scope, &id, &awsiam.RoleProps{AssumedBy: awsiam.NewServicePrincipal(jsii.String("ec2.amazonaws.com"), nil)})
}

func (h *shellHost) Role() awsiam.IRole { return h.role }

func (h *shellHost) Sudoers() []string { return h.sudoers }

func (h *shellHost) SessionTag() (key, value string) {
	return "postern:bastion", "/postern/Test/" + *h.Node().Id()
}

// documentOf is the only document of a template.
func documentOf(t *testing.T, template assertions.Template) (resource, map[string]any) {
	t.Helper()
	_, r := onlyOf(t, resourcesOf(t, template), "AWS::SSM::Document", "")
	content, ok := r.Properties["Content"].(map[string]any)
	require.True(t, ok, "the content is an object")
	return r, content
}

// hostActions are what the host policy of a template allows, by action: the
// resources and conditions as text.
func hostActions(t *testing.T, template assertions.Template) map[string]string {
	t.Helper()
	actions := map[string]string{}
	for name, p := range byLogicalName(t, template, "AWS::IAM::ManagedPolicy") {
		if !strings.HasSuffix(name, "HostPolicy") {
			continue
		}
		for _, s := range p["Properties"].(map[string]any)["PolicyDocument"].(map[string]any)["Statement"].([]any) {
			statement := s.(map[string]any)
			require.Equal(t, "Allow", statement["Effect"])
			for _, action := range asList(statement["Action"]) {
				actions[action.(string)] = textOf(t, []any{statement["Resource"], statement["Condition"]})
			}
		}
	}
	return actions
}

func asList(value any) []any {
	if all, ok := value.([]any); ok {
		return all
	}
	return []any{value}
}

func TestSessionByDefault(t *testing.T) {
	for name, app := range map[string]awscdk.App{"with flags": cdktest.NewApp(t), "without flags": cdktest.NewAppWithoutFlags(t)} {
		t.Run(name, func(t *testing.T) {
			stack := cdktest.StackIn(app, "Test")
			shell := session.NewPreferences(stack, "Shell", nil)
			host := newShellHost(stack, "Host")
			shell.AllowHost(host)
			template := cdktest.Template(stack)
			all := resourcesOf(t, template)
			document, content := documentOf(t, template)

			t.Run("document", func(t *testing.T) {
				assert.Equal(t, "Test-Shell", document.Properties["Name"])
				assert.Equal(t, "Session", document.Properties["DocumentType"])
				assert.Equal(t, "JSON", document.Properties["DocumentFormat"])
				assert.Equal(t, "NewVersion", document.Properties["UpdateMethod"], "a named document can't be replaced")
				assert.Equal(t, "1.0", content["schemaVersion"])
				assert.Equal(t, "Standard_Stream", content["sessionType"])
				assert.Equal(t, "Recorded shell of Test/Shell", content["description"])
				inputs := content["inputs"].(map[string]any)
				assert.Equal(t, "20", inputs["idleSessionTimeout"])
				assert.Equal(t, "720", inputs["maxSessionDuration"])
				assert.Equal(t, true, inputs["runAsEnabled"], "ssm-user may become root")
				assert.Empty(t, inputs["runAsDefaultUser"])
				assert.Equal(t, "session-manager", inputs["s3KeyPrefix"])
				assert.Equal(t, true, inputs["cloudWatchStreamingEnabled"])
				assert.Equal(t, map[string]any{"linux": "", "windows": ""}, inputs["shellProfile"])
				assert.Equal(t, "Test-Shell", shell.DocumentName())
				assert.Contains(t, textOf(t, stack.Resolve(shell.DocumentArn())), ":ssm:us-east-1:123456789012:document/Test-Shell")
			})
			t.Run("made well", func(t *testing.T) {
				assert.Equal(t, map[string]int{
					"AWS::SSM::Document": 1, "AWS::KMS::Key": 2, "AWS::S3::Bucket": 2, "AWS::S3::BucketPolicy": 2, "AWS::Logs::LogGroup": 1,
					"AWS::IAM::Role": 1, "AWS::IAM::ManagedPolicy": 1,
				}, countTypes(all))
				keys := byLogicalName(t, template, "AWS::KMS::Key")
				assert.Equal(t, true, keys["ShellKey"]["Properties"].(map[string]any)["EnableKeyRotation"])
				assert.Equal(t, "Retain", keys["ShellArchiveKey"]["DeletionPolicy"])
				for id, r := range ofType(all, "AWS::Logs::LogGroup") {
					assert.Equal(t, "Retain", r.DeletionPolicy, id)
				}
				assert.Empty(t, warningsOf(stack))
			})
			t.Run("what sessions use is what was made", func(t *testing.T) {
				inputs := content["inputs"].(map[string]any)
				assert.Equal(t, map[string]any{"Ref": idIn(t, stack, shell.Bucket())}, inputs["s3BucketName"])
				assert.Equal(t, map[string]any{"Ref": idIn(t, stack, shell.LogGroup())}, inputs["cloudWatchLogGroupName"])
				assert.Equal(t, map[string]any{"Fn::GetAtt": []any{idIn(t, stack, shell.Key()), "Arn"}}, inputs["kmsKeyId"])
			})
		})
	}
}

func idIn(t *testing.T, stack awscdk.Stack, construct constructs.IConstruct) string {
	t.Helper()
	child, ok := construct.Node().DefaultChild().(awscdk.CfnElement)
	require.True(t, ok)
	return *stack.GetLogicalId(child)
}

// Where a log can't be written the agent refuses the session, or goes on without:
// each of the ways is closed by what the document asks for and the host may do.
func TestSessionFailsClosed(t *testing.T) {
	stack := cdktest.NewStack(t)
	shell := session.NewPreferences(stack, "Shell", nil)
	shell.AllowHost(newShellHost(stack, "Host"))
	shell.AllowRole(newHostRole(stack, "Other"))
	template := cdktest.Template(stack)
	document, content := documentOf(t, template)
	inputs := content["inputs"].(map[string]any)
	may := hostActions(t, template)
	logGroup, bucket := idIn(t, stack, shell.LogGroup()), idIn(t, stack, shell.Bucket())

	t.Run("the log group is missing or can't be described", func(t *testing.T) {
		// A warning alone, and no log; with the flag the agent refuses instead.
		assert.Equal(t, true, inputs["cloudWatchEncryptionEnabled"])
		assert.Equal(t, map[string]any{"Ref": logGroup}, inputs["cloudWatchLogGroupName"], "so it comes before the document")
		assert.JSONEq(t, `["*",{"StringEquals":{"aws:RequestedRegion":"us-east-1"}}]`, may["logs:DescribeLogGroups"])
	})
	t.Run("the log group's encryption can't be examined", func(t *testing.T) {
		group := resourcesOf(t, template)[logGroup]
		assert.Equal(t, map[string]any{"Fn::GetAtt": []any{idIn(t, stack, shell.Node().FindChild(jsii.String("Archive")).(*archive.Archive).Key()), "Arn"}}, group.Properties["KmsKeyId"])
	})
	t.Run("the bucket's encryption can't be examined", func(t *testing.T) {
		assert.Equal(t, true, inputs["s3EncryptionEnabled"])
		assert.JSONEq(t, fmt.Sprintf(`[{"Fn::GetAtt":[%q,"Arn"]},null]`, bucket), may["s3:GetEncryptionConfiguration"])
	})
	t.Run("what is opened is written", func(t *testing.T) {
		for _, action := range []string{"logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"} {
			assert.JSONEq(t, fmt.Sprintf(`[{"Fn::GetAtt":[%q,"Arn"]},null]`, logGroup), may[action], action)
		}
		assert.JSONEq(t, fmt.Sprintf(`[{"Fn::Join":["",[{"Fn::GetAtt":[%q,"Arn"]},"/session-manager/*"]]},null]`, bucket), may["s3:PutObject"])
		assert.Contains(t, may["s3:PutObjectAcl"], `{"StringEquals":{"s3:x-amz-acl":"bucket-owner-full-control"}}`)
		assert.Contains(t, may["kms:GenerateDataKey"], "ShellArchiveKey")
		assert.Contains(t, may["kms:GenerateDataKey"], `"kms:EncryptionContext:aws:s3:arn"`)
	})
	t.Run("and nothing else is allowed", func(t *testing.T) {
		actions := []string{}
		for action := range may {
			actions = append(actions, action)
		}
		assert.ElementsMatch(t, []string{
			"logs:DescribeLogGroups", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents",
			"s3:GetEncryptionConfiguration", "s3:PutObject", "s3:PutObjectAcl", "kms:Decrypt", "kms:GenerateDataKey",
		}, actions)
	})
	t.Run("the document comes last", func(t *testing.T) {
		names := []string{}
		for _, id := range asList(document.DependsOn) {
			names = append(names, id.(string)[:len(id.(string))-8])
		}
		assert.ElementsMatch(t, []string{"ShellHostPolicy", "ShellArchiveBucketPolicy"}, names, "beside what it refers to")
		for field, id := range map[string]string{"s3BucketName": bucket, "cloudWatchLogGroupName": logGroup, "kmsKeyId": idIn(t, stack, shell.Key())} {
			assert.Contains(t, textOf(t, inputs[field]), id, field)
		}
	})
	t.Run("one policy for all roles", func(t *testing.T) {
		policies := byLogicalName(t, template, "AWS::IAM::ManagedPolicy")
		require.Len(t, policies, 1)
		assert.Len(t, policies["ShellHostPolicy"]["Properties"].(map[string]any)["Roles"], 2)
	})
	t.Run("to paste, for other roles", func(t *testing.T) {
		policies := byLogicalName(t, template, "AWS::IAM::ManagedPolicy")
		resolved, err := json.Marshal(stack.Resolve(shell.HostPolicy()))
		require.NoError(t, err)
		for _, sid := range sidsOf(t, policies["ShellHostPolicy"]["Properties"].(map[string]any)["PolicyDocument"]) {
			assert.Contains(t, string(resolved), sid)
		}
	})
}

func TestSessionAllProps(t *testing.T) {
	stack := cdktest.NewStack(t)
	evidence := archive.New(stack, "Evidence", nil)
	key := awskms.NewKey(stack, jsii.String("Key"), nil)
	shell := session.NewPreferences(stack, "Shell", &session.PreferencesProps{
		Name: "Support-Shell", Description: "Support",
		Settings: session.Settings{
			LogGroup: evidence.AddLogGroup("Support"), Bucket: evidence.Bucket(), Prefix: "audit/support", Key: key,
			RunAs:       session.RunAs{User: "support"},
			IdleTimeout: 5 * time.Minute, MaxDuration: 24 * time.Hour,
			ShellProfile: session.ShellProfile{Linux: "exec bash -l", Windows: "Get-Date"},
			LogAtEnd:     true,
		},
		Targets: []session.Target{{InstanceIDs: []string{"i-0123456789abcdef0"}}, {Tags: map[string]string{"team": "orders"}}},
	})
	shell.AllowHost(newShellHost(stack, "Host", "alice"))
	role := awsiam.NewRole(stack, jsii.String("Person"), &awsiam.RoleProps{AssumedBy: awsiam.NewAccountRootPrincipal()})
	grant := shell.GrantShell(role)
	template := cdktest.Template(stack)
	document, content := documentOf(t, template)
	assert.Equal(t, "Support-Shell", document.Properties["Name"])
	assert.Equal(t, "Support", content["description"])
	inputs := content["inputs"].(map[string]any)
	for field, want := range map[string]any{
		"s3KeyPrefix": "audit/support", "runAsDefaultUser": "support", "runAsEnabled": true, "idleSessionTimeout": "5", "maxSessionDuration": "1440",
		"cloudWatchStreamingEnabled": false, "s3EncryptionEnabled": true, "cloudWatchEncryptionEnabled": true,
		"kmsKeyId":     map[string]any{"Fn::GetAtt": []any{idIn(t, stack, key), "Arn"}},
		"s3BucketName": map[string]any{"Ref": idIn(t, stack, evidence.Bucket())},
		"shellProfile": map[string]any{"linux": "exec bash -l", "windows": "Get-Date"},
	} {
		assert.Equal(t, want, inputs[field], field)
	}
	assert.Len(t, byLogicalName(t, template, "AWS::KMS::Key"), 2, "none is made")
	assert.Len(t, byLogicalName(t, template, "AWS::S3::Bucket"), 2)
	assert.Contains(t, hostActions(t, template)["s3:PutObject"], "/audit/support/*")

	t.Run("grant", func(t *testing.T) {
		assert.NotNil(t, grant)
		text := textOf(t, byLogicalName(t, template, "AWS::IAM::Policy"))
		for _, want := range []string{
			"instance/i-0123456789abcdef0", `"ssm:resourceTag/team":"orders"`, `"ssm:resourceTag/postern:bastion":"/postern/Test/Host"`,
			"document/Support-Shell", "kms:GenerateDataKey", idIn(t, stack, key),
		} {
			assert.Contains(t, text, want)
		}
		assert.NotContains(t, text, "logs:", "people don't read records by it")
		starts := 0
		for _, p := range byLogicalName(t, template, "AWS::IAM::Policy") {
			for _, s := range p["Properties"].(map[string]any)["PolicyDocument"].(map[string]any)["Statement"].([]any) {
				statement := s.(map[string]any)
				if textOf(t, statement["Action"]) == `"ssm:StartSession"` {
					starts++
					assert.Contains(t, textOf(t, statement["Condition"]), `"BoolIfExists":{"ssm:SessionDocumentAccessCheck":"true"}`)
				}
			}
		}
		assert.GreaterOrEqual(t, starts, 3)
	})
	t.Run("commands", func(t *testing.T) {
		assert.Equal(t, `aws ssm start-session --region us-east-1 --target "i-1" --document-name Support-Shell --reason 'TICKET-1'`, shell.StartCommand("i-1", "TICKET-1"))
		assert.Contains(t, shell.VerifyCommand(), "--name Support-Shell --query 'Document.DefaultVersion==Document.LatestVersion'")
		assert.Contains(t, shell.SessionsCommand(), "Sessions[?DocumentName=='Support-Shell']")
		assert.Contains(t, shell.UnrecordedCommand(), `--key "audit/support/$s.log"`)
		assert.Contains(t, shell.TranscriptCommand("alice-1"), `/audit/support/alice-1.log" -`)
		assert.Contains(t, shell.FollowCommand(""), `--log-stream-names "$session"`)
		assert.Contains(t, cdktest.Panic(t, func() { shell.TranscriptCommand("a b") }), `session preferences "Test/Shell": TranscriptCommand: session: "a b" is not the ID of a session`)
		assert.Contains(t, cdktest.Panic(t, func() { shell.StartCommand("i-1", "a\nb") }), "StartCommand: reason: ")
	})
}

// Each weakening is what its field says, and the rest stays.
func TestSessionWeakenings(t *testing.T) {
	inputsOf := func(t *testing.T, s session.Settings) (map[string]any, map[string]string, map[string]int) {
		t.Helper()
		stack := cdktest.NewStack(t)
		shell := session.NewPreferences(stack, "Shell", &session.PreferencesProps{Settings: s})
		shell.AllowRole(newHostRole(stack, "Role"))
		template := cdktest.Template(stack)
		_, content := documentOf(t, template)
		return content["inputs"].(map[string]any), hostActions(t, template), countTypes(resourcesOf(t, template))
	}
	t.Run("without a log group", func(t *testing.T) {
		inputs, may, counts := inputsOf(t, session.Settings{WithoutLogGroup: true})
		assert.Empty(t, inputs["cloudWatchLogGroupName"])
		assert.Zero(t, counts["AWS::Logs::LogGroup"])
		assert.NotContains(t, may, "logs:DescribeLogGroups")
		assert.Contains(t, may, "s3:PutObject")
	})
	t.Run("without a bucket", func(t *testing.T) {
		inputs, may, counts := inputsOf(t, session.Settings{WithoutBucket: true})
		assert.Empty(t, inputs["s3BucketName"])
		assert.Empty(t, inputs["s3KeyPrefix"])
		assert.Zero(t, counts["AWS::S3::Bucket"])
		assert.Equal(t, 1, counts["AWS::Logs::LogGroup"])
		assert.NotContains(t, may, "s3:PutObject")
		assert.NotContains(t, may, "kms:GenerateDataKey")
	})
	t.Run("without a key", func(t *testing.T) {
		inputs, _, counts := inputsOf(t, session.Settings{WithoutKey: true})
		assert.Empty(t, inputs["kmsKeyId"])
		assert.Equal(t, 1, counts["AWS::KMS::Key"], "the archive's")
	})
	t.Run("unencrypted", func(t *testing.T) {
		inputs, _, _ := inputsOf(t, session.Settings{AllowUnencryptedBucket: true, AllowUnencryptedLogGroup: true, NoMaxDuration: true})
		assert.Equal(t, false, inputs["s3EncryptionEnabled"])
		assert.Equal(t, false, inputs["cloudWatchEncryptionEnabled"])
		assert.Empty(t, inputs["maxSessionDuration"])
	})
	t.Run("the agent's user", func(t *testing.T) {
		stack := cdktest.NewStack(t)
		session.NewPreferences(stack, "Shell", &session.PreferencesProps{Settings: session.Settings{RunAs: session.RunAs{AgentUser: true}}})
		_, content := documentOf(t, cdktest.Template(stack))
		assert.Equal(t, false, content["inputs"].(map[string]any)["runAsEnabled"])
		require.Len(t, warningsOf(stack), 1)
		assert.Contains(t, warningsOf(stack)[0], "postern:session-agent-user")
	})
	t.Run("the image's user", func(t *testing.T) {
		stack := cdktest.NewStack(t)
		session.NewPreferences(stack, "Shell", &session.PreferencesProps{Settings: session.Settings{RunAs: session.RunAs{User: "ec2-user"}}})
		require.Len(t, warningsOf(stack), 1)
		assert.Contains(t, warningsOf(stack)[0], "postern:session-image-user")
	})
}

// What is given is used, and what is missing beside it is made to fit.
func TestSessionBesideWhatIsGiven(t *testing.T) {
	t.Run("a bucket with a key", func(t *testing.T) {
		stack := cdktest.NewStack(t)
		evidence := archive.New(stack, "Evidence", nil)
		shell := session.NewPreferences(stack, "Shell", &session.PreferencesProps{Settings: session.Settings{Bucket: evidence.Bucket()}})
		all := resourcesOf(t, cdktest.Template(stack))
		group := all[idIn(t, stack, shell.LogGroup())]
		assert.Equal(t, map[string]any{"Fn::GetAtt": []any{idIn(t, stack, evidence.Key()), "Arn"}}, group.Properties["KmsKeyId"])
		assert.Equal(t, "Retain", group.DeletionPolicy)
		assert.Equal(t, true, group.Properties["DeletionProtectionEnabled"])
		assert.Empty(t, warningsOf(stack))
	})
	t.Run("a bucket without a key", func(t *testing.T) {
		stack := cdktest.NewStack(t)
		bucket := awss3.NewBucket(stack, jsii.String("Bucket"), nil)
		shell := session.NewPreferences(stack, "Shell", &session.PreferencesProps{Settings: session.Settings{Bucket: bucket}})
		shell.AllowRole(newHostRole(stack, "Role"))
		template := cdktest.Template(stack)
		keys := byLogicalName(t, template, "AWS::KMS::Key")
		assert.Contains(t, textOf(t, keys["ShellRecordsKey"]), "logs.us-east-1.amazonaws.com")
		assert.NotContains(t, hostActions(t, template), "kms:GenerateDataKey", "the bucket has no key")
	})
	t.Run("an imported bucket and its key", func(t *testing.T) {
		stack := cdktest.NewStack(t)
		bucket := awss3.Bucket_FromBucketAttributes(stack, jsii.String("Bucket"), &awss3.BucketAttributes{
			BucketName:    jsii.String("evidence"),
			EncryptionKey: awskms.Key_FromKeyArn(stack, jsii.String("BucketKey"), jsii.String("arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab")),
		})
		shell := session.NewPreferences(stack, "Shell", &session.PreferencesProps{Settings: session.Settings{Bucket: bucket}})
		shell.AllowRole(newHostRole(stack, "Role"))
		assert.Contains(t, hostActions(t, cdktest.Template(stack))["kms:GenerateDataKey"], "key/1234abcd-")
		require.Len(t, warningsOf(stack), 1)
		assert.Contains(t, warningsOf(stack)[0], "postern:session-log-key")
	})
	t.Run("an imported bucket, its key unknown", func(t *testing.T) {
		stack := cdktest.NewStack(t)
		session.NewPreferences(stack, "Shell", &session.PreferencesProps{Settings: session.Settings{
			Bucket: awss3.Bucket_FromBucketName(stack, jsii.String("Bucket"), jsii.String("evidence")),
		}})
		require.Len(t, warningsOf(stack), 1)
		assert.Contains(t, warningsOf(stack)[0], "postern:session-bucket-key")
	})
	t.Run("a log group alone", func(t *testing.T) {
		stack := cdktest.NewStack(t)
		group := awslogs.LogGroup_FromLogGroupName(stack, jsii.String("Group"), jsii.String("/sessions"))
		shell := session.NewPreferences(stack, "Shell", &session.PreferencesProps{Settings: session.Settings{LogGroup: group}})
		shell.AllowRole(newHostRole(stack, "Role"))
		template := cdktest.Template(stack)
		_, content := documentOf(t, template)
		assert.Equal(t, "/sessions", content["inputs"].(map[string]any)["cloudWatchLogGroupName"])
		assert.Contains(t, hostActions(t, template)["logs:PutLogEvents"], ":log-group:/sessions:*")
		assert.NotNil(t, shell.Bucket())
	})
}

func TestSessionFaults(t *testing.T) {
	t.Run("before the tree is touched", func(t *testing.T) {
		stack := cdktest.NewStack(t)
		message := cdktest.Panic(t, func() {
			session.NewPreferences(stack, "Shell", &session.PreferencesProps{
				Name: "aws-shell", Settings: session.Settings{IdleTimeout: 90 * time.Minute, Prefix: "/x", RunAs: session.RunAs{User: "root"}},
			})
		})
		assert.True(t, strings.HasPrefix(message, `session preferences "Test/Shell": `), message)
		for _, want := range []string{`Name: "aws-shell"`, "Settings.IdleTimeout: 1h30m", `Settings.Prefix: "/x"`, `Settings.RunAs.User: "root"`} {
			assert.Contains(t, message, want)
		}
		assert.Empty(t, *stack.Node().Children())
	})
	t.Run("a group without a key", func(t *testing.T) {
		stack := cdktest.NewStack(t)
		group := awslogs.NewLogGroup(stack, jsii.String("Group"), nil)
		session.NewPreferences(stack, "Shell", &session.PreferencesProps{Settings: session.Settings{LogGroup: group}})
		message := cdktest.Panic(t, func() { cdktest.Template(stack) })
		assert.Contains(t, message, "LogGroup: Test/Group/Resource has no KMS key, and every session would be refused")
	})
	t.Run("a group without a key, knowingly", func(t *testing.T) {
		stack := cdktest.NewStack(t)
		group := awslogs.NewLogGroup(stack, jsii.String("Group"), nil)
		session.NewPreferences(stack, "Shell", &session.PreferencesProps{Settings: session.Settings{LogGroup: group, AllowUnencryptedLogGroup: true}})
		cdktest.Template(stack)
	})
	t.Run("two of one name", func(t *testing.T) {
		app := cdktest.NewApp(t)
		first, second := cdktest.StackIn(app, "First"), cdktest.StackIn(app, "Second")
		session.NewSSH(first, "A", &session.SSHProps{Name: "Shell"})
		session.NewPreferences(second, "B", &session.PreferencesProps{Name: "Shell"})
		message := cdktest.Panic(t, func() { cdktest.Template(second) })
		assert.Contains(t, message, `Name: "Shell" is the name of First/A/Resource too, and an account has one document of a name in a Region: choose another`)
	})
	t.Run("one name in two Regions", func(t *testing.T) {
		app := cdktest.NewApp(t)
		session.NewSSH(cdktest.StackIn(app, "First"), "A", &session.SSHProps{Name: "Shell"})
		second := cdktest.StackAt(app, "Second", cdktest.Account, "eu-west-1")
		session.NewSSH(second, "A", &session.SSHProps{Name: "Shell"})
		cdktest.Template(second)
	})
	t.Run("a sudoer for everybody", func(t *testing.T) {
		stack := cdktest.NewStack(t)
		shell := session.NewPreferences(stack, "Shell", &session.PreferencesProps{Settings: session.Settings{RunAs: session.RunAs{User: "alice"}}})
		message := cdktest.Panic(t, func() { shell.AllowHost(newShellHost(stack, "Host", "bob", "alice")) })
		assert.Contains(t, message, `AllowHost: Settings.RunAs.User: "alice" may become root on Test/Host: name a user who may not become root, or leave it out`)
	})
	t.Run("methods", func(t *testing.T) {
		stack := cdktest.NewStack(t)
		shell, ssh := session.NewPreferences(stack, "Shell", nil), session.NewSSH(stack, "SSH", nil)
		host := newShellHost(stack, "Host")
		for want, f := range map[string]func(){
			"AllowHost: host: is nil: pass a bastion, or use AllowRole and Targets": func() { shell.AllowHost(nil) },
			"AllowRole: role: is nil": func() { shell.AllowRole(nil) },
			"GrantShell: who: is nil: pass a role, a user or a group\nTargets: are none, so there is nothing to start a shell on": func() { shell.GrantShell(nil) },
			"GrantSSH: who: is nil: pass a role, a user or a group\nTargets: are none, so there is nothing to connect to":         func() { ssh.GrantSSH(nil) },
			"SSHConfig: alias: is empty, and the block would be for all instances":                                                func() { ssh.SSHConfig("", "alice", "i-1") },
			"SSHConfig: target: is empty":                         func() { ssh.SSHConfig("bastion", "alice", "") },
			`SSHConfig: user: "" can't be the name of an OS user`: func() { ssh.SSHConfig("", "", "") },
		} {
			assert.Contains(t, cdktest.Panic(t, f), want)
		}
		person := awsiam.NewRole(stack, jsii.String("Person"), &awsiam.RoleProps{AssumedBy: awsiam.NewAccountRootPrincipal()})
		shell.AllowHost(host)
		ssh.AllowHost(host)
		shell.GrantShell(person)
		ssh.GrantSSH(person)
		assert.Contains(t, cdktest.Panic(t, func() { shell.AllowHost(host) }), "comes after GrantShell, whose grants don't have it: call AllowHost first")
		assert.Contains(t, cdktest.Panic(t, func() { ssh.AllowHost(host) }), "comes after GrantSSH, whose grants don't have it: call AllowHost first")
	})
}

func TestSSHOverSessionManager(t *testing.T) {
	for name, app := range map[string]awscdk.App{"with flags": cdktest.NewApp(t), "without flags": cdktest.NewAppWithoutFlags(t)} {
		t.Run(name, func(t *testing.T) {
			stack := cdktest.StackIn(app, "Test")
			ssh := session.NewSSH(stack, "SSH", nil)
			ssh.AllowHost(newShellHost(stack, "Host"))
			user := awsiam.NewUser(stack, jsii.String("Person"), nil)
			ssh.GrantSSH(user)
			template := cdktest.Template(stack)
			document, content := documentOf(t, template)
			assert.Equal(t, "Test-SSH", document.Properties["Name"])
			assert.Equal(t, "NewVersion", document.Properties["UpdateMethod"])
			assert.Equal(t, map[string]any{
				"schemaVersion": "1.0", "sessionType": "Port", "description": "SSH to port 22, from Test/SSH",
				"inputs":     map[string]any{"idleSessionTimeout": "20", "maxSessionDuration": "720"},
				"properties": map[string]any{"portNumber": "22"},
			}, content, "nobody chooses the port")
			require.Len(t, warningsOf(stack), 1)
			assert.Contains(t, warningsOf(stack)[0], "Session Manager records nothing of what goes through SSH")
			assert.Contains(t, warningsOf(stack)[0], "[ack: postern:session-ssh-unrecorded]")
			text := textOf(t, byLogicalName(t, template, "AWS::IAM::Policy"))
			assert.Contains(t, text, "document/Test-SSH")
			assert.Contains(t, text, `"ssm:resourceTag/postern:bastion":"/postern/Test/Host"`)
			assert.NotContains(t, text, "AWS-StartSSHSession")
			assert.NotContains(t, text, "kms:")
			assert.Equal(t, "Host i-* mi-*\n  User alice\n  ProxyCommand aws ssm start-session --region us-east-1 --target \"%h\" --document-name Test-SSH\n", ssh.SSHConfig("", "alice", ""))
			assert.Equal(t, "Host bastion\n  User alice\n  ProxyCommand aws ssm start-session --region us-east-1 --target \"$(id)\" --document-name Test-SSH\n", ssh.SSHConfig("bastion", "alice", "$(id)"))
		})
	}
}

// The bastion's own commands go by the document too: AWS's is denied to people.
func TestSSHOnBastion(t *testing.T) {
	stack := cdktest.NewStack(t)
	host := bastion.New(stack, "Bastion", &bastion.Props{Vpc: userVpc(stack)})
	assert.Contains(t, host.SSHConfig("door", "alice"), "--document-name AWS-StartSSHSession --parameters portNumber=22\n")
	session.NewSSH(stack, "SSH", nil).AllowHost(host)
	assert.Contains(t, host.SSHConfig("door", "alice"), "--output text) --document-name Test-SSH\n")
	assert.Contains(t, host.SSHCommand("alice"), `--document-name Test-SSH" alice@`)
	assert.NotContains(t, host.SSHCommand("alice")+host.SSHConfig("door", "alice"), "AWS-StartSSHSession")
}

// The block holds shell within quotes: whether that works, only ssh can tell.
func TestSSHConfigWorksInSSH(t *testing.T) {
	client, err := exec.LookPath("ssh")
	if err != nil {
		require.NotEqual(t, "true", os.Getenv("CI"), "ssh is not installed")
		fmt.Printf("NOT RUN: %s: ssh is not installed\n", t.Name())
		return
	}
	ssh := session.NewSSH(cdktest.NewStack(t), "SSH", nil)
	dir := t.TempDir()
	config := ssh.SSHConfig("door", "alice", `$(aws ec2 describe-instances --query 'x[?a=="b"]')`) + ssh.SSHConfig("", "bob", "")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "aws"), []byte(`#!/bin/sh
case "$1 $2" in
  "ec2 describe-instances") echo i-00000000000000001 ;;
  *) for word; do printf '%s\n' "$word"; done >"`+dir+`/said" ;;
esac
`), 0o700))
	for name, target := range map[string]string{"door": "i-00000000000000001", "i-0123456789abcdef0": "i-0123456789abcdef0"} {
		command := exec.Command(client, "-F", filepath.Join(dir, "config"), "-o", "BatchMode=yes", "-o", "UserKnownHostsFile=/dev/null", name)
		command.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "SHELL=/bin/sh")
		out, err := command.CombinedOutput()
		require.Error(t, err, "nothing answers: %s", out)
		said, err := os.ReadFile(filepath.Join(dir, "said"))
		require.NoError(t, err)
		assert.Equal(t, "ssm\nstart-session\n--region\nus-east-1\n--target\n"+target+"\n--document-name\nTest-SSH\n", string(said))
	}
}

func TestSSHAcknowledged(t *testing.T) {
	stack := cdktest.NewStack(t)
	ssh := session.NewSSH(stack, "SSH", nil)
	awscdk.Annotations_Of(ssh).AcknowledgeWarning(jsii.String("postern:session-ssh-unrecorded"), jsii.String("the bastion records"))
	cdktest.Template(stack)
	assert.Empty(t, warningsOf(stack))
}

// The tag that names the OS user is part of the grant where it can be.
func TestSessionAs(t *testing.T) {
	stack := cdktest.NewStack(t)
	shell := session.NewPreferences(stack, "Shell", nil)
	shell.AllowHost(newShellHost(stack, "Host"))
	role := awsiam.NewRole(stack, jsii.String("Role"), &awsiam.RoleProps{AssumedBy: awsiam.NewAccountRootPrincipal()})
	user := awsiam.NewUser(stack, jsii.String("User"), nil)
	assert.NotNil(t, shell.GrantShellAs(role, "alice"))
	assert.NotNil(t, shell.GrantShellAs(user, "bob"))
	template := cdktest.Template(stack)
	assert.JSONEq(t, `[{"Key":"SSMSessionRunAs","Value":"alice"}]`, textOf(t, byLogicalName(t, template, "AWS::IAM::Role")["Role"]["Properties"].(map[string]any)["Tags"]))
	assert.JSONEq(t, `[{"Key":"SSMSessionRunAs","Value":"bob"}]`, textOf(t, byLogicalName(t, template, "AWS::IAM::User")["User"]["Properties"].(map[string]any)["Tags"]))
	for _, name := range []string{"RoleDefaultPolicy", "UserDefaultPolicy"} {
		assert.Contains(t, textOf(t, byLogicalName(t, template, "AWS::IAM::Policy")[name]), "document/Test-Shell")
	}

	imported := awsiam.Role_FromRoleName(stack, jsii.String("Imported"), jsii.String("developers"), nil)
	agent := session.NewPreferences(stack, "Agent", &session.PreferencesProps{Settings: session.Settings{RunAs: session.RunAs{AgentUser: true}}})
	for want, f := range map[string]func(){
		"GrantShellAs: who: is neither a role nor a user that is made here, so it can't be tagged: tag it with SSMSessionRunAs where it is made, and call GrantShell": func() { shell.GrantShellAs(imported, "alice") },
		`GrantShellAs: user: "root" is for nobody's sessions: name a user of the hosts who may not become root`:                                                       func() { shell.GrantShellAs(role, "root") },
		`GrantShellAs: user: "" can't be the name of an OS user`:                                                                                                      func() { shell.GrantShellAs(role, "") },
		"GrantShellAs: user: is nobody's choice with Settings.RunAs.AgentUser: leave that out, or call GrantShell":                                                    func() { agent.GrantShellAs(role, "alice") },
		"GrantShell: who: is nil": func() { shell.GrantShellAs(nil, "alice") },
	} {
		assert.Contains(t, cdktest.Panic(t, f), want)
	}
}

// A bastion is taken in one call.
func TestSessionOnBastion(t *testing.T) {
	stack := cdktest.NewStack(t)
	host := bastion.New(stack, "Bastion", &bastion.Props{Vpc: userVpc(stack)})
	shell := session.NewPreferences(stack, "Shell", nil)
	shell.AllowHost(host)
	person := awsiam.NewRole(stack, jsii.String("Person"), &awsiam.RoleProps{AssumedBy: awsiam.NewAccountRootPrincipal()})
	shell.GrantShell(person)
	template := cdktest.Template(stack)
	assert.Contains(t, textOf(t, byLogicalName(t, template, "AWS::IAM::ManagedPolicy")["ShellHostPolicy"]), "BastionRole")
	assert.Contains(t, textOf(t, byLogicalName(t, template, "AWS::IAM::Policy")), `"ssm:resourceTag/postern:bastion":"/postern/Test/Bastion"`)
	assert.Contains(t, textOf(t, byLogicalName(t, template, "AWS::AutoScaling::AutoScalingGroup")), `{"Key":"postern:bastion","PropagateAtLaunch":true,"Value":"/postern/Test/Bastion"}`)
	command := shell.StartCommand(host.InstanceIDCommand(), "")
	assert.Contains(t, command, `--target "$(aws ec2 describe-instances --region us-east-1 --filters`)
	assert.True(t, strings.HasSuffix(command, `--output text)" --document-name Test-Shell`), command)
}

// A host that has no way to KMS could open no session that is encrypted.
func TestSessionReachesItsKey(t *testing.T) {
	interfaces := func(settings session.Settings) string {
		stack := cdktest.NewStack(t)
		host := bastion.New(stack, "Bastion", nil)
		session.NewPreferences(stack, "Shell", &session.PreferencesProps{Settings: settings}).AllowHost(host)
		return textOf(t, byLogicalName(t, cdktest.Template(stack), "AWS::EC2::VPCEndpoint"))
	}
	assert.Contains(t, interfaces(session.Settings{}), ".kms\"")
	assert.NotContains(t, interfaces(session.Settings{WithoutKey: true}), ".kms\"")

	stack := cdktest.NewStack(t)
	host := bastion.New(stack, "Bastion", &bastion.Props{Vpc: closedVpc(stack), ExistingEndpoints: []endpoints.Service{
		endpoints.SSM, endpoints.SSMMessages, endpoints.Logs, endpoints.Monitoring, endpoints.EC2, endpoints.CloudFormation, endpoints.AutoScaling, endpoints.S3,
	}})
	session.NewPreferences(stack, "Shell", nil).AllowHost(host)
	message := cdktest.Panic(t, func() { cdktest.Template(stack) })
	assert.Contains(t, message, "kms")
	assert.Contains(t, message, "the bastion")
	assert.NotContains(t, message, "ssmmessages", "what is there is not missed")
}

func TestSessionInOtherPartitions(t *testing.T) {
	for _, where := range []struct{ region, partition string }{{"cn-north-1", "aws-cn"}, {"us-gov-west-1", "aws-us-gov"}} {
		app := cdktest.NewApp(t)
		stack := cdktest.StackAt(app, "Test", cdktest.Account, where.region)
		shell, ssh := session.NewPreferences(stack, "Shell", nil), session.NewSSH(stack, "SSH", nil)
		host := newShellHost(stack, "Host")
		shell.AllowHost(host)
		ssh.AllowHost(host)
		person := awsiam.NewRole(stack, jsii.String("Person"), &awsiam.RoleProps{AssumedBy: awsiam.NewAccountRootPrincipal()})
		shell.GrantShell(person)
		ssh.GrantSSH(person)
		text := textOf(t, cdktest.Template(stack).ToJSON())
		assert.NotContains(t, text, "arn:aws:", where.region)
	}
}

func TestSessionRulePacks(t *testing.T) {
	stack := cdktest.StackIn(newJudgedApp(t), "Test")
	shell, ssh := session.NewPreferences(stack, "Shell", nil), session.NewSSH(stack, "SSH", nil)
	shell.AllowRole(awsiam.Role_FromRoleName(stack, jsii.String("Role"), jsii.String("hosts"), nil))
	bucket := awss3.Bucket_FromBucketAttributes(stack, jsii.String("Bucket"), &awss3.BucketAttributes{BucketName: jsii.String("evidence")})
	session.NewPreferences(stack, "Beside", &session.PreferencesProps{Settings: session.Settings{Bucket: bucket}})
	_ = ssh
	addRulePacks(stack)
	assert.Empty(t, findings(stack))
}
