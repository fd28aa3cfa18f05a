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
				"WatchTamperingDoors", "WatchTamperingPorts", "WatchTamperingRecords", "WatchTamperingTopics", "WatchTamperingWatch",
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
			assert.Contains(t, patterns["WatchTamperingRecords"], `"name":[{"Ref":"WatchTamperingWatch`, "the rule that tells of it is told of")
			assert.Contains(t, patterns["WatchTamperingDoors"], `"Postern-Shell",{"suffix":":document/Postern-Shell"}`)
			assert.Contains(t, patterns["WatchTamperingTopics"], `"topicArn":[{"Ref":"WatchTopic`)
			assert.Contains(t, patterns["WatchTamperingWatch"], `{"prefix":"Test-"}`)

			alarms := byLogicalName(t, template, "AWS::CloudWatch::Alarm")
			assert.Equal(t, []string{"WatchNoticesLost"}, slices.Sorted(maps.Keys(alarms)), "one for all kinds of notices")
			queue := byLogicalName(t, template, "AWS::SQS::QueuePolicy")["WatchNoticesUndeliveredPolicy"]
			assert.Contains(t, textOf(t, queue), `"aws:SourceArn":`)
			assert.Empty(t, warningsOf(stack))
		})
	}
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
	}
	w.AddTamperNotices(n)
	patterns := patternsOf(t, byLogicalName(t, cdktest.Template(stack), "AWS::Events::Rule"))
	assert.Greater(t, len(patterns), 5)
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
