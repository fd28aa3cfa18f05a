package test_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/trail"
	"github.com/postern-cdk/postern/constructs/watch"
	"github.com/postern-cdk/postern/internal/accountalarm"
	"github.com/postern-cdk/postern/internal/cdktest"
	"github.com/postern-cdk/postern/internal/filterpattern"
)

const organizationTrail = "arn:aws:cloudtrail:us-east-1:123456789012:trail/Organization"

func TestAccountAlarmsByDefault(t *testing.T) {
	stack := cdktest.NewStack(t)
	made := trail.New(stack, "Trail", &trail.Props{WithLogGroup: true})
	w := watch.New(stack, "Watch", &watch.Props{Emails: []string{"a@example.com"}, Trail: made})
	w.AddAccountAlarms(nil, nil)
	template := cdktest.Template(stack)

	alarms := byLogicalName(t, template, "AWS::CloudWatch::Alarm")
	filters := byLogicalName(t, template, "AWS::Logs::MetricFilter")
	require.Len(t, alarms, 14)
	for _, a := range accountalarm.All() {
		alarm := alarms["WatchAccount"+a.ID+"Alarm"]["Properties"].(map[string]any)
		require.NotNil(t, alarm, a.ID)
		assert.Equal(t, "Postern/Account Sum 300 1 1 notBreaching GreaterThanOrEqualToThreshold", fmt.Sprintf("%v %v %v %v %v %v %v",
			alarm["Namespace"], alarm["Statistic"], alarm["Period"], alarm["Threshold"], alarm["EvaluationPeriods"], alarm["TreatMissingData"], alarm["ComparisonOperator"]))
		assert.Contains(t, textOf(t, alarm["AlarmActions"]), "WatchTopic")
		description := textOf(t, alarm["AlarmDescription"])
		assert.Regexp(t, `/docs/runbooks/account-[a-z-]+\.md`, description)
		assert.Contains(t, description, `{"Ref":"TrailLogGroup`, "the command names the log group")

		counted := []string{}
		for _, id := range []string{"Filter", "BeyondFilter"} {
			filter, there := filters["WatchAccount"+a.ID+id]
			if !there {
				continue
			}
			p := filter["Properties"].(map[string]any)
			counted = append(counted, p["FilterPattern"].(string))
			assert.Contains(t, textOf(t, p["LogGroupName"]), `{"Ref":"TrailLogGroup`)
			assert.JSONEq(t, fmt.Sprintf(`[{"MetricName":%q,"MetricNamespace":"Postern/Account","MetricValue":"1"}]`, alarm["MetricName"]),
				textOf(t, p["MetricTransformations"]), "the alarm looks at what the filter counts")
		}
		assert.Equal(t, a.Patterns(), counted)
	}
	assert.Empty(t, warningsOf(stack))
}

func TestAccountAlarmsByChoice(t *testing.T) {
	stack := cdktest.NewStack(t)
	existing := trail.FromTrailAttributes(stack, "Trail", &trail.Attributes{TrailArn: organizationTrail, LogGroupName: "trail-logs"})
	watch.New(stack, "Watch", &watch.Props{Emails: []string{"a@example.com"}}).AddAccountAlarms(existing, &watch.AccountAlarms{
		Only:         []watch.AccountAlarm{watch.AccountRefusedCalls, watch.AccountConsoleFailures, watch.AccountVpcs},
		Without:      []watch.AccountAlarm{watch.AccountVpcs},
		RefusedCalls: 20, ConsoleFailures: 3,
		QuietCallers: []string{"arn:aws:iam::123456789012:role/Scanner"},
	})
	template := cdktest.Template(stack)
	alarms := byLogicalName(t, template, "AWS::CloudWatch::Alarm")
	ids := []string{}
	for id := range alarms {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	require.Equal(t, []string{"WatchAccountConsoleFailuresAlarm", "WatchAccountRefusedCallsAlarm"}, ids)
	assert.EqualValues(t, 20, alarms[ids[1]]["Properties"].(map[string]any)["Threshold"])
	assert.EqualValues(t, 3, alarms[ids[0]]["Properties"].(map[string]any)["Threshold"])
	filters := byLogicalName(t, template, "AWS::Logs::MetricFilter")
	refused := filters["WatchAccountRefusedCallsFilter"]["Properties"].(map[string]any)
	assert.Equal(t, "trail-logs", refused["LogGroupName"])
	pattern, err := filterpattern.Parse(refused["FilterPattern"].(string))
	require.NoError(t, err)
	assert.True(t, pattern.Match(`{"errorCode":"AccessDenied","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::123456789012:user/eve"}}`))
	assert.False(t, pattern.Match(`{"errorCode":"AccessDenied","userIdentity":{"sessionContext":{"sessionIssuer":{"arn":"arn:aws:iam::123456789012:role/Scanner"}}}}`))
}

func TestAccountAlarmsRefuse(t *testing.T) {
	stack := cdktest.NewStack(t)
	w := watch.New(stack, "Watch", nil)
	assert.Equal(t, `watch "Test/Watch/Account": trail: is nil, and the watch has none: pass one, or name it as Trail in the watch's Props`,
		cdktest.Panic(t, func() { w.AddAccountAlarms(nil, nil) }))
	assert.Equal(t, `watch "Test/Watch/Account": trail: "`+organizationTrail+`" has no log group that alarms could count in: `+
		"set LogGroup or WithLogGroup of trail.Props, or LogGroupName of trail.Attributes\n"+
		"RefusedCalls: -1 is out of range: use 1 to 100000",
		cdktest.Panic(t, func() {
			w.AddAccountAlarms(trail.FromTrailArn(stack, "Bare", organizationTrail), &watch.AccountAlarms{RefusedCalls: -1})
		}))
	assert.Nil(t, w.Node().TryFindChild(jsii.String("Account")), "the tree is untouched")

	logged := trail.FromTrailAttributes(stack, "Logged", &trail.Attributes{TrailArn: organizationTrail, LogGroupName: "trail-logs"})
	w.AddAccountAlarms(logged, nil)
	assert.Equal(t, `watch "Test/Watch/Account": AddAccountAlarms: was called before, or a host has the name Account: call it once, and give the host another name`,
		cdktest.Panic(t, func() { w.AddAccountAlarms(logged, nil) }))

	assert.Equal(t, `watch "Test/Both": ExistingTrail: says that there is a trail, but Trail names it: leave it out`,
		cdktest.Panic(t, func() { watch.New(stack, "Both", &watch.Props{Trail: logged, ExistingTrail: true}) }))
	assert.True(t, strings.HasPrefix(cdktest.Panic(t, func() {
		watch.New(stack, "Long", nil).AddAccountAlarms(trail.FromTrailAttributes(stack, "LongTrail",
			&trail.Attributes{TrailArn: organizationTrail, LogGroupName: strings.Repeat("g", 512)}), nil)
	}), `watch alarm "Test/Long/Account/`), "a description that CloudWatch would refuse")
}

func TestAccountAlarmsSatisfyTheRulePacks(t *testing.T) {
	stack := cdktest.StackIn(newJudgedApp(t), "Test")
	watch.New(stack, "Watch", nil).AddAccountAlarms(trail.New(stack, "Trail", &trail.Props{WithLogGroup: true}), nil)
	addRulePacks(stack)
	assert.Empty(t, findings(stack))
}
