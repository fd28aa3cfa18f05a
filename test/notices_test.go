package test_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/watch"
	"github.com/postern-cdk/postern/internal/cdktest"
)

// emergency stands for an operator with break-glass.
type emergency struct {
	constructs.IConstruct
	documents []string
}

func (e *emergency) BreakGlassDocuments() []string { return e.documents }

func emergencyIn(scope constructs.Construct, id string, documents ...string) *emergency {
	return &emergency{constructs.NewConstruct(scope, &id), documents}
}

var trailKnown = &watch.Props{Emails: []string{"a@example.com"}, ExistingTrail: true}

// started is the pattern of a rule on StartSession.
func started(documents string) string {
	return `{"detail":{"errorCode":[{"exists":false}],"eventName":["StartSession"],"eventSource":["ssm.amazonaws.com"],` +
		`"requestParameters":{"documentName":` + documents + `}},"detail-type":["AWS API Call via CloudTrail"],"source":["aws.ssm"]}`
}

func TestSessionNotices(t *testing.T) {
	for name, app := range map[string]awscdk.App{
		"with flags":    cdktest.NewApp(t),
		"without flags": cdktest.NewAppWithoutFlags(t),
	} {
		t.Run(name, func(t *testing.T) {
			stack := cdktest.StackIn(app, "Test")
			w := watch.New(stack, "Watch", trailKnown)
			w.AddSessionNotices(nil)
			template := cdktest.Template(stack)

			rules := byLogicalName(t, template, "AWS::Events::Rule")
			assert.Equal(t, []string{"WatchSessionsDefaultDocument", "WatchSessionsStarted"}, slices.Sorted(maps.Keys(rules)))
			for id, documents := range map[string]string{
				"WatchSessionsStarted":         `[{"exists":true}]`,
				"WatchSessionsDefaultDocument": `[{"exists":false}]`,
			} {
				p := rules[id]["Properties"].(map[string]any)
				assert.JSONEq(t, started(documents), textOf(t, p["EventPattern"]), id)
				assert.Equal(t, "ENABLED", p["State"])
				target := p["Targets"].([]any)[0].(map[string]any)
				assert.Contains(t, textOf(t, target["Arn"]), `{"Ref":"WatchTopic`, id)
				transformer := target["InputTransformer"].(map[string]any)
				assert.Contains(t, textOf(t, target["DeadLetterConfig"]), `{"Arn":{"Fn::GetAtt":["WatchNoticesUndelivered`, id)
				assert.Equal(t, "$.detail.sourceIPAddress", transformer["InputPathsMap"].(map[string]any)["from"])
				assert.Contains(t, transformer["InputTemplate"], "End it: aws ssm terminate-session --session-id <session> --region <region>")
			}

			policy := byLogicalName(t, template, "AWS::SNS::TopicPolicy")["WatchTopicPolicy"]
			assert.NotContains(t, statementBySid(t, policy, "EventBridgeRules"), "Condition")

			alarms := byLogicalName(t, template, "AWS::CloudWatch::Alarm")
			assert.Equal(t, []string{"WatchNoticesLost"}, slices.Sorted(maps.Keys(alarms)), "one for all kinds of notices")
			lost := alarms["WatchNoticesLost"]["Properties"].(map[string]any)
			assert.Equal(t, "AWS/SQS ApproximateNumberOfMessagesVisible Maximum 300 1 1 notBreaching", fmt.Sprintf("%v %v %v %v %v %v %v",
				lost["Namespace"], lost["MetricName"], lost["Statistic"], lost["Period"], lost["Threshold"], lost["EvaluationPeriods"], lost["TreatMissingData"]))
			assert.Contains(t, textOf(t, lost["Dimensions"]), `{"Fn::GetAtt":["WatchNoticesUndelivered`)
			assert.Contains(t, textOf(t, lost["AlarmActions"]), "WatchTopic")
			assert.Contains(t, lost["AlarmDescription"], "docs/runbooks/notice-lost.md")
			body := dashboardBody(t, template)
			for _, want := range []string{"Sessions started", "Invocations", "WatchSessionsStarted", "WatchNoticesLost"} {
				assert.Contains(t, body, want)
			}
			assert.Empty(t, warningsOf(stack))
		})
	}
}

func TestSessionNoticesWithEverything(t *testing.T) {
	stack := cdktest.NewStack(t)
	w := watch.New(stack, "Watch", trailKnown)
	w.AllowEventBridge()
	w.AddSessionNotices(&watch.SessionNotices{Quiet: []string{"Orders"}, Resumed: true})
	w.AddBreakGlass(emergencyIn(stack, "OnCall", "Emergency", "Emergency-Tunnel"))
	w.AddBreakGlass(emergencyIn(stack, "Vendor", "Vendor"))
	template := cdktest.Template(stack)

	rules := byLogicalName(t, template, "AWS::Events::Rule")
	pattern := func(id string) string {
		require.Contains(t, rules, id)
		return textOf(t, rules[id]["Properties"].(map[string]any)["EventPattern"])
	}
	require.Len(t, rules, 5)
	const arn = `"arn:aws:ssm:us-east-1:123456789012:document/`
	assert.JSONEq(t, started(`[{"anything-but":["Orders",`+arn+`Orders"]}]`), pattern("WatchSessionsStarted"))
	assert.JSONEq(t, started(`["Emergency",`+arn+`Emergency","Emergency-Tunnel",`+arn+`Emergency-Tunnel"]`), pattern("WatchBreakGlassOnCallUsed"))
	assert.JSONEq(t, started(`["Vendor",`+arn+`Vendor"]`), pattern("WatchBreakGlassVendorUsed"))
	assert.JSONEq(t, `{"detail":{"errorCode":[{"exists":false}],"eventName":["ResumeSession"],"eventSource":["ssm.amazonaws.com"]},
		"detail-type":["AWS API Call via CloudTrail"],"source":["aws.ssm"]}`, pattern("WatchSessionsResumed"))
	target := rules["WatchBreakGlassOnCallUsed"]["Properties"].(map[string]any)["Targets"].([]any)[0].(map[string]any)
	assert.Contains(t, target["InputTransformer"].(map[string]any)["InputTemplate"], "BREAK-GLASS ACCESS IN USE: OnCall: <who> on <target>")

	statements := byLogicalName(t, template, "AWS::SNS::TopicPolicy")["WatchTopicPolicy"]["Properties"].(map[string]any)["PolicyDocument"]
	assert.Len(t, sidsOf(t, statements), 3, "what lets EventBridge publish, once")

	used := byLogicalName(t, template, "AWS::CloudWatch::Alarm")["WatchBreakGlassOnCallInUse"]["Properties"].(map[string]any)
	assert.Equal(t, "Invocations", used["MetricName"])
	assert.Contains(t, textOf(t, used["Dimensions"]), `{"Ref":"WatchBreakGlassOnCallUsed`)
	assert.Contains(t, used["AlarmDescription"], "Somebody used break-glass access: OnCall.")
	assert.Contains(t, dashboardBody(t, template), "Break-glass sessions: Vendor")
	assert.Empty(t, warningsOf(stack))
}

func TestNoticesNeedATrail(t *testing.T) {
	stack := cdktest.NewStack(t)
	w := watch.New(stack, "Watch", &watch.Props{Topic: awssns.NewTopic(stack, jsii.String("Mine"), nil)})
	w.AddSessionNotices(nil)
	w.AddBreakGlass(emergencyIn(stack, "OnCall", "Emergency"))
	warnings := warningsOf(stack)
	require.Len(t, warnings, 1, "said once")
	assert.Contains(t, warnings[0], "only while the account has a trail that logs management events in this region")
	assert.Contains(t, warnings[0], "[ack: postern:watch-no-trail]")
	statementBySid(t, byLogicalName(t, cdktest.Template(stack), "AWS::SNS::TopicPolicy")["MinePolicy"], "EventBridgeRules")
}

func TestNoticesRefuse(t *testing.T) {
	stack := cdktest.NewStack(t)
	w := watch.New(stack, "Watch", trailKnown)
	w.AddSessionNotices(nil)
	onCall := emergencyIn(stack, "OnCall", "Emergency")
	w.AddBreakGlass(onCall)
	for want, do := range map[string]func(){
		`watch "Test/Watch/Sessions": AddSessionNotices: was called before, or a host has the name Sessions: call it once, and give the host another name`: func() { w.AddSessionNotices(nil) },
		`watch "Test/Watch/Sessions": Quiet[0]: "a b" is no name of a session document: write the name alone, 3 to 128 letters, digits, hyphens, dots and underscores`: func() {
			w.AddSessionNotices(&watch.SessionNotices{Quiet: []string{"a b"}})
		},
		`watch "Test/Watch/BreakGlass": way: is nil: pass an operator with break-glass`:                                                               func() { w.AddBreakGlass(nil) },
		`watch "Test/Watch/BreakGlass/OnCall": way: the watch already tells of "OnCall": add it once`:                                                 func() { w.AddBreakGlass(onCall) },
		`watch "Test/Watch/BreakGlass/Empty": way: "Empty" has no document, so its use could not be told: give it a session document for emergencies`: func() { w.AddBreakGlass(emergencyIn(stack, "Empty")) },
		`watch "Test/Watch/BreakGlass/a<b": way: "a<b" would break the notice: give it an ID without quotes, backslashes, "<" and ">"`:                func() { w.AddBreakGlass(emergencyIn(stack, "a<b", "Emergency")) },
	} {
		assert.Equal(t, want, cdktest.Panic(t, do))
	}
}

// officeHours stand for an operator with weekly hours.
type officeHours struct {
	constructs.IConstruct
	opener string
}

func (h *officeHours) OpenerArn() string { return h.opener }
func (h *officeHours) NotOpenedQueueArn() string {
	return "arn:aws:sqs:us-east-1:123456789012:not-opened"
}

func TestWatchOfHours(t *testing.T) {
	stack := cdktest.NewStack(t)
	w := watch.New(stack, "Watch", trailKnown)
	hours := &officeHours{constructs.NewConstruct(stack, jsii.String("Developers")), "arn:aws:states:us-east-1:123456789012:stateMachine:opener"}
	w.AddHours(hours)
	for want, do := range map[string]func(){
		`watch "Test/Watch/Hours": of: is nil: pass an operator with weekly hours`:                              func() { w.AddHours(nil) },
		`watch "Test/Watch/Hours/Developers": of: the watch already has the hours of "Developers": add it once`: func() { w.AddHours(hours) },
		`watch "Test/Watch/Hours/Always": of: "Always" has no weekly hours: leave it out`: func() {
			w.AddHours(&officeHours{constructs.NewConstruct(stack, jsii.String("Always")), ""})
		},
	} {
		assert.Equal(t, want, cdktest.Panic(t, do))
	}
	alarm := byLogicalName(t, cdktest.Template(stack), "AWS::CloudWatch::Alarm")["WatchHoursDevelopers"]["Properties"].(map[string]any)
	assert.Contains(t, alarm["AlarmDescription"], "The doors of Developers did not open at their hour")
	metrics := textOf(t, alarm["Metrics"])
	assert.Contains(t, metrics, `"Expression":"FILL(failed, 0) + FILL(lost, 0)"`)
	assert.Contains(t, metrics, `[{"Name":"StateMachineArn","Value":"arn:aws:states:us-east-1:123456789012:stateMachine:opener"}]`)
	assert.Contains(t, metrics, `[{"Name":"QueueName","Value":"not-opened"}]`)
	assert.Equal(t, "notBreaching", alarm["TreatMissingData"])
}

func TestNoticesInOtherPartitions(t *testing.T) {
	for region, partition := range map[string]string{"cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov"} {
		stack := cdktest.StackAt(cdktest.NewApp(t), region, cdktest.Account, region)
		watch.New(stack, "Watch", trailKnown).AddBreakGlass(emergencyIn(stack, "OnCall", "Emergency"))
		assert.Contains(t, textOf(t, byLogicalName(t, cdktest.Template(stack), "AWS::Events::Rule")),
			"arn:"+partition+":ssm:"+region+":123456789012:document/Emergency")
	}
}

func TestNoticesSatisfyTheRulePacks(t *testing.T) {
	stack := cdktest.StackIn(newJudgedApp(t), "Test")
	w := watch.New(stack, "Watch", trailKnown)
	w.AddSessionNotices(nil)
	w.AddBreakGlass(emergencyIn(stack, "OnCall", "Emergency"))
	addRulePacks(stack)
	assert.Empty(t, findings(stack))
}
