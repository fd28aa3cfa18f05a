package test_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/constructs/watch"
	"github.com/postern-cdk/postern/internal/cdktest"
	"github.com/postern-cdk/postern/internal/notice"
)

// patternsOf are the event patterns of a template, by the rules' logical names.
func patternsOf(t *testing.T, rules map[string]map[string]any) map[string]string {
	t.Helper()
	patterns := map[string]string{}
	for id, rule := range rules {
		patterns[id] = textOf(t, rule["Properties"].(map[string]any)["EventPattern"])
	}
	return patterns
}

func everyNotice(w *watch.Watch, tamper *watch.TamperNotices) {
	w.AddSessionNotices(&watch.SessionNotices{Resumed: true, Ended: true})
	w.AddTamperNotices(tamper)
	w.AddTunnelNotices()
	w.AddSerialConsoleNotices()
	w.AddFailedAttempts()
	w.AddRootNotices()
}

func TestNoticesOfCalls(t *testing.T) {
	for name, app := range map[string]awscdk.App{
		"with flags":    cdktest.NewApp(t),
		"without flags": cdktest.NewAppWithoutFlags(t),
	} {
		t.Run(name, func(t *testing.T) {
			stack := cdktest.StackIn(app, "Test")
			records := archive.New(stack, "Archive", nil)
			sessions := records.AddLogGroup("Sessions")
			w := watch.New(stack, "Watch", trailKnown)
			everyNotice(w, &watch.TamperNotices{
				Buckets:   []awss3.IBucket{records.Bucket(), records.Bucket()},
				Keys:      []awskms.IKey{records.Key()},
				LogGroups: []awslogs.ILogGroup{sessions},
				Documents: []string{"Postern-Shell"},
			})
			template := cdktest.Template(stack)

			rules := byLogicalName(t, template, "AWS::Events::Rule")
			assert.Equal(t, []string{
				"WatchAttemptsRefused", "WatchRootUsed", "WatchSerialConsoleUsed",
				"WatchSessionsDefaultDocument", "WatchSessionsEnded", "WatchSessionsResumed", "WatchSessionsStarted",
				"WatchTamperingAlarms", "WatchTamperingDelivery", "WatchTamperingDeployment", "WatchTamperingDoors", "WatchTamperingPorts", "WatchTamperingRecords",
				"WatchTamperingTopics", "WatchTamperingWatch",
				"WatchTunnelsKeyPushed", "WatchTunnelsOpened",
			}, slices.Sorted(maps.Keys(rules)))
			for id, rule := range rules {
				targets := rule["Properties"].(map[string]any)["Targets"].([]any)
				require.Len(t, targets, 1, id)
				assert.Contains(t, textOf(t, targets[0].(map[string]any)["DeadLetterConfig"]), "WatchNoticesUndelivered", id)
			}
			patterns := patternsOf(t, rules)
			assert.Contains(t, patterns["WatchTamperingRecords"], `"bucketName":[{"Ref":"Archive`)
			assert.NotContains(t, patterns["WatchTamperingRecords"], `},{"Ref":"Archive`, "what is named twice is told of once")
			assert.Contains(t, patterns["WatchTamperingRecords"], `"keyId":[{"suffix":{"Ref":"ArchiveKey`)
			assert.Contains(t, patterns["WatchTamperingRecords"], `"logGroupName":[{"Ref":"ArchiveSessions`)
			assert.Contains(t, patterns["WatchTamperingDelivery"], `"name":[{"Ref":"WatchTamperingWatch`, "the rule that tells of it is told of")
			assert.Contains(t, patterns["WatchTamperingDelivery"], `"queueUrl":[{"suffix":{"Fn::Join":["",["/",{"Fn::GetAtt":["WatchNoticesUndelivered`)
			assert.Contains(t, patterns["WatchTamperingDelivery"], `"keyId":[{"suffix":{"Ref":"WatchKey`, "nobody else tells of it")
			assert.NotContains(t, patterns["WatchTamperingDelivery"], "lambda", "there is no function")
			assert.Contains(t, patterns["WatchTamperingDoors"], `"Postern-Shell",{"suffix":":document/Postern-Shell"}`)
			assert.Contains(t, patterns["WatchTamperingTopics"], `"topicArn":[{"Ref":"WatchTopic`)
			assert.Contains(t, patterns["WatchTamperingWatch"], `{"prefix":"Test-"}`)
			assert.Contains(t, patterns["WatchTamperingWatch"], `"targets":{"arn":[{"anything-but":[{"Ref":"WatchTopic`)
			assert.Contains(t, patterns["WatchTamperingAlarms"], `{"prefix":"Test-"}`)

			alarms := byLogicalName(t, template, "AWS::CloudWatch::Alarm")
			assert.Equal(t, []string{"WatchNoticesLost"}, slices.Sorted(maps.Keys(alarms)), "one for all kinds of notices")
			queue := byLogicalName(t, template, "AWS::SQS::QueuePolicy")["WatchNoticesUndeliveredPolicy"]
			assert.Contains(t, textOf(t, queue), `"aws:SourceArn":`)
			assert.Empty(t, warningsOf(stack))
		})
	}
}

// What tells of a deployment's changes to the watch knows the rules that would tell of
// them, itself too, and is the last to go with the stack.
func TestTheWatchTellsOfItsEnd(t *testing.T) {
	for name, p := range map[string]watch.Props{
		"by rules":        {ExistingTrail: true, Emails: []string{"a@example.com", "b@example.com"}},
		"by the function": usual,
		"with chat":       {ExistingTrail: true, Emails: []string{"a@example.com"}, Slack: &watch.Slack{WorkspaceID: "T012ABCDEFG", ChannelID: "C012ABCDEFG"}},
	} {
		t.Run(name, func(t *testing.T) {
			stack := cdktest.NewStack(t)
			watch.New(stack, "Watch", &p).AddTamperNotices(nil)
			text, err := json.Marshal(*cdktest.Template(stack).ToJSON())
			require.NoError(t, err)
			var template struct{ Resources map[string]map[string]any }
			require.NoError(t, json.Unmarshal(text, &template))
			resources := template.Resources
			var id string
			var guards []string
			for _, logical := range slices.Sorted(maps.Keys(resources)) {
				switch {
				case strings.HasPrefix(logical, "WatchTamperingDeployment") && !strings.Contains(logical, "Permission"):
					id = logical
					guards = append(guards, logical)
				case resources[logical]["Type"] != "AWS::Events::Rule":
				case strings.HasPrefix(logical, "WatchTamperingWatch"), strings.HasPrefix(logical, "WatchTamperingAlarms"),
					strings.HasPrefix(logical, "WatchTamperingDelivery"), strings.HasPrefix(logical, "WatchTamperingTopics"):
					guards = append(guards, logical)
				}
			}
			last := resources[id]
			detail := last["Properties"].(map[string]any)["EventPattern"].(map[string]any)["detail"].(map[string]any)
			assert.JSONEq(t, `[{"Ref":"AWS::StackId"}]`, textOf(t, detail["stack-id"]))
			ways := detail["$or"].([]any)
			require.Len(t, ways, 2)
			changed := texts(ways[0].(map[string]any)["logical-resource-id"])
			assert.Equal(t, guards, slices.Sorted(slices.Values(changed)))
			gone := texts(ways[1].(map[string]any)["logical-resource-id"])
			require.Len(t, gone, 1, "the end of the stack is told once")
			assert.Equal(t, changed[0], gone[0])
			assert.True(t, strings.HasPrefix(gone[0], "WatchTamperingWatch"), gone[0])

			// CloudFormation deletes what depends on another before the other.
			assert.Contains(t, texts(resources[gone[0]]["DependsOn"]), id)
			way := texts(last["DependsOn"])
			for logical, resource := range resources {
				switch resource["Type"] {
				case "AWS::SNS::TopicPolicy", "AWS::SNS::Subscription", "AWS::Chatbot::SlackChannelConfiguration":
					assert.Contains(t, way, logical)
				case "AWS::Lambda::Permission":
					if strings.HasPrefix(logical, "WatchTamperingDeployment") {
						assert.Contains(t, texts(resources[gone[0]]["DependsOn"]), logical)
					}
				}
			}
		})
	}

	// A topic of one's own is not the stack's to keep.
	stack := cdktest.NewStack(t)
	mine := awssns.NewTopic(stack, jsii.String("Mine"), &awssns.TopicProps{MasterKey: awskms.NewKey(stack, jsii.String("MyKey"), nil)})
	watch.New(stack, "Watch", &watch.Props{Topic: mine, ExistingTrail: true}).AddTamperNotices(nil)
	template := cdktest.Template(stack)
	rules := byLogicalName(t, template, "AWS::Events::Rule")
	assert.NotContains(t, textOf(t, rules["WatchTamperingDeployment"]["DependsOn"]), "Mine")
	assert.Contains(t, patternsOf(t, rules)["WatchTamperingDelivery"], `"keyId":[{"suffix":{"Ref":"MyKey`)
}

func texts(list any) []string {
	var all []string
	items, _ := list.([]any)
	for _, item := range items {
		all = append(all, item.(string))
	}
	return all
}

// Of a key that keeps records, too, one notice tells.
func TestOneNoticeOfAKey(t *testing.T) {
	stack := cdktest.NewStack(t)
	records := archive.New(stack, "Archive", nil)
	watch.New(stack, "Watch", &watch.Props{Key: records.Key(), ExistingTrail: true}).AddTamperNotices(&watch.TamperNotices{Keys: []awskms.IKey{records.Key()}})
	patterns := patternsOf(t, byLogicalName(t, cdktest.Template(stack), "AWS::Events::Rule"))
	assert.Contains(t, patterns["WatchTamperingRecords"], "kms.amazonaws.com")
	assert.NotContains(t, patterns["WatchTamperingDelivery"], "kms.amazonaws.com")
}

// EventBridge takes 2,048 characters. Many names make more rules, and none is lost.
func TestTamperNoticesOfManyNames(t *testing.T) {
	stack := cdktest.NewStack(t)
	w := watch.New(stack, "Watch", trailKnown)
	n := &watch.TamperNotices{}
	var names []string
	for _, letter := range strings.Split("abcdefghijkl", "") {
		name := strings.Repeat(letter, 63)
		names = append(names, name)
		n.Buckets = append(n.Buckets, awss3.Bucket_FromBucketName(stack, jsii.String("Bucket"+letter), &name))
		group := strings.Repeat(letter, 200)
		names = append(names, group)
		n.LogGroups = append(n.LogGroups, awslogs.LogGroup_FromLogGroupName(stack, jsii.String("Group"+letter), &group))
		document := strings.Repeat(letter, 128)
		names = append(names, document)
		n.Documents = append(n.Documents, document)
	}
	w.AddTamperNotices(n)
	patterns := patternsOf(t, byLogicalName(t, cdktest.Template(stack), "AWS::Events::Rule"))
	assert.Greater(t, len(patterns), 10)
	var all []string
	for id, text := range patterns {
		// The name of the other rule, which is known when it is deployed, has 64 characters.
		assert.LessOrEqual(t, len(text)+64, notice.MaxPattern, id)
		all = append(all, text)
	}
	together := strings.Join(all, "\n")
	for _, name := range names {
		assert.Equal(t, 1, strings.Count(together, `"`+name+`"`), name)
	}
}

func TestTamperNoticesOfAnyAccount(t *testing.T) {
	stack := awscdk.NewStack(cdktest.NewApp(t), jsii.String("A-stack-with-a-name-that-is-longer-than-it-need-be"), nil)
	w := watch.New(stack, "Watch", trailKnown)
	w.AddTamperNotices(nil)
	patterns := patternsOf(t, byLogicalName(t, cdktest.Template(stack), "AWS::Events::Rule"))
	assert.NotContains(t, patterns["WatchTamperingRecords"], "s3.amazonaws.com", "no bucket is named")
	assert.Contains(t, patterns["WatchTamperingWatch"], `{"prefix":"A-stack-with-a-name-"}`, "CloudFormation cuts it in the names of rules")
	for id, text := range patterns {
		assert.True(t, json.Valid([]byte(text)), id)
	}
}

func TestNoticesOfCallsRefuse(t *testing.T) {
	stack := cdktest.NewStack(t)
	w := watch.New(stack, "Watch", trailKnown)
	everyNotice(w, nil)
	const again = "was called before, or a host has the name"
	for want, do := range map[string]func(){
		`watch "Test/Watch/Tampering": AddTamperNotices: ` + again + ` Tampering: call it once, and give the host another name`:                func() { w.AddTamperNotices(nil) },
		`watch "Test/Watch/Tunnels": AddTunnelNotices: ` + again + ` Tunnels: call it once, and give the host another name`:                    w.AddTunnelNotices,
		`watch "Test/Watch/SerialConsole": AddSerialConsoleNotices: ` + again + ` SerialConsole: call it once, and give the host another name`: w.AddSerialConsoleNotices,
		`watch "Test/Watch/Attempts": AddFailedAttempts: ` + again + ` Attempts: call it once, and give the host another name`:                 w.AddFailedAttempts,
		`watch "Test/Watch/Root": AddRootNotices: ` + again + ` Root: call it once, and give the host another name`:                            w.AddRootNotices,
		"watch \"Test/Watch/Tampering\": Buckets[0]: is nil: pass a bucket, or leave it out\nKeys[0]: is nil: pass a key, or leave it out\n" +
			"LogGroups[0]: is nil: pass a log group, or leave it out\n" +
			`Documents[0]: "a b" is no name of a session document: write the name alone, 3 to 128 letters, digits, hyphens, dots and underscores`: func() {
			w.AddTamperNotices(&watch.TamperNotices{
				Buckets: []awss3.IBucket{nil}, Keys: []awskms.IKey{nil}, LogGroups: []awslogs.ILogGroup{nil}, Documents: []string{"a b"},
			})
		},
	} {
		assert.Equal(t, want, cdktest.Panic(t, do))
	}
}

func TestNoticesOfCallsSatisfyTheRulePacks(t *testing.T) {
	stack := cdktest.StackIn(newJudgedApp(t), "Test")
	everyNotice(watch.New(stack, "Watch", trailKnown), nil)
	addRulePacks(stack)
	assert.Empty(t, findings(stack))
}

var usual = watch.Props{
	Emails: []string{"a@example.com"}, ExistingTrail: true,
	TimeZone: "Europe/Berlin", OfficeHours: &watch.OfficeHours{From: "08:00", Until: "18:00"}, KnownRanges: []string{"203.0.113.0/24"},
}

func TestNoticesByTheFunction(t *testing.T) {
	for name, app := range map[string]awscdk.App{
		"with flags":    cdktest.NewApp(t),
		"without flags": cdktest.NewAppWithoutFlags(t),
	} {
		t.Run(name, func(t *testing.T) {
			stack := cdktest.StackIn(app, "Test")
			p := usual
			p.Slack = &watch.Slack{WorkspaceID: "T012ABCDEFG", ChannelID: "C012ABCDEFG"}
			w := watch.New(stack, "Watch", &p)
			everyNotice(w, nil)
			w.AddBreakGlass(emergencyIn(stack, "OnCall", "Emergency"))
			template := cdktest.Template(stack)

			rules := byLogicalName(t, template, "AWS::Events::Rule")
			permissions := byLogicalName(t, template, "AWS::Lambda::Permission")
			assert.Len(t, permissions, len(rules))
			for id, rule := range rules {
				targets := rule["Properties"].(map[string]any)["Targets"].([]any)
				require.Len(t, targets, 1, id)
				target := targets[0].(map[string]any)
				assert.Contains(t, textOf(t, target["Arn"]), `{"Fn::GetAtt":["WatchNoticesFunction`, id)
				assert.Contains(t, textOf(t, target["DeadLetterConfig"]), "WatchNoticesUndelivered", id)
				transformer := target["InputTransformer"].(map[string]any)
				assert.NotContains(t, transformer, "InputPathsMap", id)
				assert.Contains(t, transformer["InputTemplate"], `"event":<aws.events.event.json>}`, id)
				assert.Contains(t, textOf(t, permissions[id+"Permission"]), `"SourceArn":{"Fn::GetAtt":["`+id, id)
			}

			f := byLogicalName(t, template, "AWS::Lambda::Function")["WatchNoticesFunction"]["Properties"].(map[string]any)
			variables := f["Environment"].(map[string]any)["Variables"].(map[string]any)
			assert.JSONEq(t, `{"timeZone":"Europe/Berlin","hours":[{"days":[1,2,3,4,5],"from":480,"until":1080}],"known":["203.0.113.0/24"]}`, variables["POSTERN_SETTINGS"].(string))
			assert.Contains(t, textOf(t, variables["POSTERN_TOPIC"]), `{"Ref":"WatchTopic`)
			assert.Contains(t, textOf(t, variables["POSTERN_CHAT_TOPIC"]), `{"Ref":"WatchChatTopic`)
			_, err := notice.ReadJudge(variables["POSTERN_SETTINGS"].(string))
			require.NoError(t, err, "the function takes what it is given")

			tries := byLogicalName(t, template, "AWS::Lambda::EventInvokeConfig")["WatchNoticesFunctionTries"]["Properties"].(map[string]any)
			assert.Contains(t, textOf(t, tries["DestinationConfig"]), "WatchNoticesUndelivered")
			log := byLogicalName(t, template, "AWS::Logs::LogGroup")["WatchNoticesFunctionLog"]
			assert.Contains(t, textOf(t, log["Properties"]), "KmsKeyId")
			assert.Equal(t, "Retain", log["DeletionPolicy"])

			may := textOf(t, byLogicalName(t, template, "AWS::IAM::ManagedPolicy")["WatchNoticesFunctionPolicy"]["Properties"])
			for _, action := range []string{"sns:Publish", "sqs:SendMessage", "kms:GenerateDataKey", "logs:PutLogEvents"} {
				assert.Contains(t, may, `"`+action+`"`)
			}
			assert.NotContains(t, may, `"Resource":"*"`)
			statements := byLogicalName(t, template, "AWS::SNS::TopicPolicy")["WatchTopicPolicy"]["Properties"].(map[string]any)["PolicyDocument"]
			assert.NotContains(t, sidsOf(t, statements), "EventBridgeRules", "it is the function that publishes")

			alarms := byLogicalName(t, template, "AWS::CloudWatch::Alarm")
			assert.Equal(t, []string{"WatchBreakGlassOnCallInUse", "WatchNoticesFunctionLost", "WatchNoticesLost"}, slices.Sorted(maps.Keys(alarms)))
			assert.Empty(t, warningsOf(stack))
		})
	}
}

func TestFunctionOfATopicOfOnesOwn(t *testing.T) {
	stack := cdktest.NewStack(t)
	imported := usual
	imported.Topic = awssns.Topic_FromTopicArn(stack, jsii.String("Mine"), jsii.String("arn:aws:sns:us-east-1:123456789012:mine"))
	imported.Emails = nil
	watch.New(stack, "Watch", &imported).AddFailedAttempts()
	template := cdktest.Template(stack)
	may := textOf(t, byLogicalName(t, template, "AWS::IAM::ManagedPolicy")["WatchNoticesFunctionPolicy"]["Properties"])
	assert.Contains(t, may, `"arn:aws:sns:us-east-1:123456789012:mine"`)
	assert.NotContains(t, may, "kms:", "its key is not known")
	assert.Contains(t, byLogicalName(t, template, "AWS::KMS::Key"), "WatchNoticesKey", "the log of the function has one")

	stack = cdktest.NewStack(t)
	known := usual
	known.Topic = awssns.Topic_FromTopicArn(stack, jsii.String("Mine"), jsii.String("arn:aws:sns:us-east-1:123456789012:mine"))
	known.Key = awskms.NewKey(stack, jsii.String("MyKey"), nil)
	known.Emails = nil
	watch.New(stack, "Watch", &known).AddFailedAttempts()
	template = cdktest.Template(stack)
	assert.Contains(t, textOf(t, byLogicalName(t, template, "AWS::IAM::ManagedPolicy")["WatchNoticesFunctionPolicy"]["Properties"]), "kms:GenerateDataKey")
	keys := byLogicalName(t, template, "AWS::KMS::Key")
	assert.Equal(t, []string{"MyKey"}, slices.Sorted(maps.Keys(keys)))
	assert.Contains(t, textOf(t, keys["MyKey"]), "cloudwatch.amazonaws.com")
	assert.Contains(t, textOf(t, keys["MyKey"]), "logs.us-east-1.amazonaws.com")
}

func TestChat(t *testing.T) {
	stack := cdktest.NewStack(t)
	const id = "1234abcd-12ab-34cd-56ef-1234567890ab"
	w := watch.New(stack, "Watch", &watch.Props{
		ExistingTrail: true,
		Slack:         &watch.Slack{WorkspaceID: "T012ABCDEFG", ChannelID: "C012ABCDEFG"},
		Teams:         &watch.Teams{TenantID: id, TeamID: id, ChannelID: "19%3Aab12%40thread.tacv2"},
	})
	w.AddTunnelNotices()
	w.AddTamperNotices(nil)
	assert.NotNil(t, w.ChatTopic())
	template := cdktest.Template(stack)

	slack := byLogicalName(t, template, "AWS::Chatbot::SlackChannelConfiguration")["WatchChatSlack"]["Properties"].(map[string]any)
	teams := byLogicalName(t, template, "AWS::Chatbot::MicrosoftTeamsChannelConfiguration")["WatchChatTeams"]["Properties"].(map[string]any)
	for _, channel := range []map[string]any{slack, teams} {
		assert.Contains(t, textOf(t, channel["GuardrailPolicies"]), `{"Ref":"WatchChatGuardrail`, "without it AWS takes AdministratorAccess")
		topics := textOf(t, channel["SnsTopicArns"])
		assert.Contains(t, topics, `{"Ref":"WatchTopic`, "alarms")
		assert.Contains(t, topics, `{"Ref":"WatchChatTopic`, "notices")
	}
	assert.Equal(t, "T012ABCDEFG C012ABCDEFG", slack["SlackWorkspaceId"].(string)+" "+slack["SlackChannelId"].(string))
	assert.Equal(t, id+" 19%3Aab12%40thread.tacv2", teams["TeamId"].(string)+" "+teams["TeamsChannelId"].(string))
	assert.NotEqual(t, slack["ConfigurationName"], teams["ConfigurationName"])

	guardrail := byLogicalName(t, template, "AWS::IAM::ManagedPolicy")["WatchChatGuardrail"]["Properties"].(map[string]any)["PolicyDocument"]
	assert.JSONEq(t, `{"Version":"2012-10-17","Statement":[{"Sid":"NothingFromChat","Effect":"Deny","Action":"*","Resource":"*"}]}`, textOf(t, guardrail))
	role := byLogicalName(t, template, "AWS::IAM::Role")["WatchChatRole"]["Properties"].(map[string]any)
	assert.NotContains(t, role, "ManagedPolicyArns")
	assert.NotContains(t, role, "Policies")

	statementBySid(t, byLogicalName(t, template, "AWS::SNS::TopicPolicy")["WatchChatTopicPolicy"], "EventBridgeRules")
	for id, rule := range byLogicalName(t, template, "AWS::Events::Rule") {
		targets := rule["Properties"].(map[string]any)["Targets"].([]any)
		require.Len(t, targets, 2, id)
		chat := targets[1].(map[string]any)["InputTransformer"].(map[string]any)["InputTemplate"].(string)
		assert.True(t, json.Valid([]byte(chat)), chat)
		assert.Contains(t, chat, `"source":"custom"`, id)
	}
	assert.Contains(t, patternsOf(t, byLogicalName(t, template, "AWS::Events::Rule"))["WatchTamperingTopics2"], `{"Ref":"WatchChatTopic`, "it is told of, too")
	assert.Empty(t, warningsOf(stack), "the channels are told")
}

func TestNoChat(t *testing.T) {
	assert.Nil(t, watch.New(cdktest.NewStack(t), "Watch", trailKnown).ChatTopic())
}

// A FIFO topic wants a group with each message, which alarms and rules don't give.
func TestNoFifoTopic(t *testing.T) {
	stack := cdktest.NewStack(t)
	const want = `: Topic: is a FIFO topic, which takes messages of a group only, and alarms and notices have none: they would be lost: ` +
		`pass a standard topic, or leave it out to have one made`
	imported := awssns.Topic_FromTopicArn(stack, jsii.String("Imported"), jsii.String("arn:aws:sns:eu-west-1:123456789012:pager.fifo"))
	made := awssns.NewTopic(stack, jsii.String("Made"), &awssns.TopicProps{Fifo: jsii.Bool(true), TopicName: jsii.String("pager")})
	assert.Equal(t, `watch "Test/A"`+want, cdktest.Panic(t, func() { watch.New(stack, "A", &watch.Props{Topic: imported}) }))
	assert.Equal(t, `watch "Test/B"`+want, cdktest.Panic(t, func() { watch.New(stack, "B", &watch.Props{Topic: made}) }))
}

// Alarms and notices to a topic with the key that AWS manages for SNS are lost, and
// nothing says so.
func TestTopicsWithAKeyThatNobodyCanUse(t *testing.T) {
	stack := cdktest.NewStack(t)
	managed := awskms.Alias_FromAliasName(stack, jsii.String("Managed"), jsii.String("alias/aws/sns"))
	const fix = "alarms and notices would be lost, and nothing would say so"
	topic := func(id string) awssns.Topic {
		return awssns.NewTopic(stack, &id, &awssns.TopicProps{MasterKey: managed})
	}
	byName := awssns.NewTopic(stack, jsii.String("ByName"), nil)
	byName.Node().DefaultChild().(awssns.CfnTopic).SetKmsMasterKeyId(jsii.String("alias/aws/sns"))
	for name, props := range map[string]*watch.Props{
		"ByAlias": {Topic: topic("ByAlias")},
		"ByName":  {Topic: byName},
	} {
		assert.Equal(t, `watch "Test/`+name+`Watch": Topic: is encrypted with the key that AWS manages for SNS, which CloudWatch and EventBridge can't use: `+
			fix+`: encrypt it with a customer managed key (MasterKey), or leave it out to have one made`,
			cdktest.Panic(t, func() { watch.New(stack, name+"Watch", props) }))
	}
	assert.Equal(t, `watch "Test/KeyWatch": Key: is the key that AWS manages for SNS, whose policy can't be changed: `+fix+
		`: leave it out to have one made, or pass a customer managed key`,
		cdktest.Panic(t, func() { watch.New(stack, "KeyWatch", &watch.Props{Key: managed}) }))

	// One that can be used is made usable.
	mine := awssns.NewTopic(stack, jsii.String("Mine"), &awssns.TopicProps{MasterKey: awskms.NewKey(stack, jsii.String("MyKey"), nil)})
	watch.New(stack, "Watch", &watch.Props{Topic: mine})
	assert.Contains(t, textOf(t, byLogicalName(t, cdktest.Template(stack), "AWS::KMS::Key")["MyKey"]), "cloudwatch.amazonaws.com")

	stack = cdktest.NewStack(t)
	theirs := awssns.NewTopic(stack, jsii.String("Theirs"), &awssns.TopicProps{
		MasterKey: awskms.Key_FromKeyArn(stack, jsii.String("TheirKey"), jsii.String("arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab")),
	})
	watch.New(stack, "Watch", &watch.Props{Topic: theirs})
	assert.Contains(t, strings.Join(warningsOf(stack), "\n"), "[ack: postern:watch-key-policy]")
}

func TestTheFunctionAndChatSatisfyTheRulePacks(t *testing.T) {
	stack := cdktest.StackIn(newJudgedApp(t), "Test")
	p := usual
	p.Slack = &watch.Slack{WorkspaceID: "T012ABCDEFG", ChannelID: "C012ABCDEFG"}
	everyNotice(watch.New(stack, "Watch", &p), nil)
	addRulePacks(stack)
	assert.Empty(t, findings(stack))
}
