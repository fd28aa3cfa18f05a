package test_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsautoscaling"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/archive"
	"github.com/postern-cdk/postern/constructs/watch"
	"github.com/postern-cdk/postern/internal/cdktest"
)

// watchedHost stands for a bastion: a construct with a group.
type watchedHost struct {
	constructs.IConstruct
	group string
}

func (h *watchedHost) AutoScalingGroupName() string { return h.group }

func hostIn(scope constructs.Construct, id string) *watchedHost {
	return &watchedHost{constructs.NewConstruct(scope, &id), "group-of-" + id}
}

var topicKeySids = []string{"CloudWatchAlarms", "EventBridgeRules"}

func TestWatchByDefault(t *testing.T) {
	for name, app := range map[string]awscdk.App{
		"with flags":    cdktest.NewApp(t),
		"without flags": cdktest.NewAppWithoutFlags(t),
	} {
		t.Run(name, func(t *testing.T) {
			stack := cdktest.StackIn(app, "Test")
			watch.New(stack, "Watch", nil).AddHost(hostIn(stack, "Bastion"), nil)
			template := cdktest.Template(stack)

			t.Run("key", func(t *testing.T) {
				key := byLogicalName(t, template, "AWS::KMS::Key")["WatchKey"]
				properties := key["Properties"].(map[string]any)
				assert.Equal(t, true, properties["EnableKeyRotation"])
				assert.Equal(t, topicKeySids, sidsOf(t, properties["KeyPolicy"]))
				assert.Equal(t, "Delete", key["DeletionPolicy"])
			})
			t.Run("topic", func(t *testing.T) {
				topics := byLogicalName(t, template, "AWS::SNS::Topic")
				require.Len(t, topics, 1)
				assert.Contains(t, textOf(t, topics["WatchTopic"]["Properties"].(map[string]any)["KmsMasterKeyId"]), "WatchKey")
				policy := byLogicalName(t, template, "AWS::SNS::TopicPolicy")["WatchTopicPolicy"]
				alarms := statementBySid(t, policy, "CloudWatchAlarms")
				assert.Equal(t, map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": "123456789012"}}, alarms["Condition"])
				tls := statementBySid(t, policy, "AllowPublishThroughSSLOnly")
				assert.Equal(t, "Deny", tls["Effect"])
				assert.Len(t, sidsOf(t, policy["Properties"].(map[string]any)["PolicyDocument"]), 2, "nobody else may publish")
			})
			t.Run("alarms", func(t *testing.T) {
				alarms := byLogicalName(t, template, "AWS::CloudWatch::Alarm")
				var ids []string
				for id, alarm := range alarms {
					ids = append(ids, id)
					p := alarm["Properties"].(map[string]any)
					if slices.Contains([]string{"WatchBastionAgentSilent", "WatchBastionDisk"}, id) {
						assert.Contains(t, textOf(t, p["AlarmActions"]), "WatchTopic", id)
						assert.Contains(t, textOf(t, p["OKActions"]), "WatchTopic", id)
					} else {
						assert.NotContains(t, p, "AlarmActions", "%s: its door tells", id)
						assert.NotContains(t, p, "OKActions", "%s: its door tells", id)
					}
					assert.Contains(t, p["AlarmDescription"], "Bastion", id)
					assert.Contains(t, p["AlarmDescription"], "group-of-Bastion", id)
					assert.NotContains(t, p, "AlarmName", id)
					assert.Equal(t, "GreaterThanOrEqualToThreshold", p["ComparisonOperator"], id)
				}
				slices.Sort(ids)
				assert.Equal(t, []string{
					"WatchBastionAgentSilent", "WatchBastionCpu", "WatchBastionDisk",
					"WatchBastionInService", "WatchBastionMemory", "WatchBastionStatusCheck",
				}, ids)

				wanted := metricJSON("desired", "AWS/AutoScaling", "GroupDesiredCapacity", "Maximum", 60)
				assertAlarm(t, alarms["WatchBastionInService"], 1, 10, "breaching",
					"IF((desired > 0) AND (inService < 1), 1, 0)", wanted,
					metricJSON("inService", "AWS/AutoScaling", "GroupInServiceInstances", "Minimum", 60))
				assertAlarm(t, alarms["WatchBastionAgentSilent"], 1, 3, "breaching",
					"IF((inService > 0) AND (FILL(beats, 0) < 1), 1, 0)",
					metricJSON("inService", "AWS/AutoScaling", "GroupInServiceInstances", "Maximum", 300),
					metricJSON("beats", "Postern/Bastion", "mem_used_percent", "SampleCount", 300))
				assertPlainAlarm(t, alarms["WatchBastionStatusCheck"], "AWS/EC2 StatusCheckFailed Maximum 60 1 3")
				assertPlainAlarm(t, alarms["WatchBastionCpu"], "AWS/EC2 CPUUtilization Average 300 90 3")
				assertPlainAlarm(t, alarms["WatchBastionMemory"], "Postern/Bastion mem_used_percent Maximum 300 90 3")
				assertPlainAlarm(t, alarms["WatchBastionDisk"], "Postern/Bastion disk_used_percent Maximum 300 85 3")
			})
			t.Run("dashboard", func(t *testing.T) {
				body := dashboardBody(t, template)
				for _, want := range []string{
					"Bastion: instances", "failed status checks", "Bastion: CPU", "Bastion: memory and disk", "Watching Bastion.",
					"GroupInServiceInstances", "StatusCheckFailed", "CPUUtilization", "mem_used_percent", "disk_used_percent",
					"WatchBastionInService", "WatchBastionAgentSilent", "WatchBastionDisk",
				} {
					assert.Contains(t, body, want)
				}
			})
			warnings := warningsOf(stack)
			require.Len(t, warnings, 1)
			assert.Contains(t, warnings[0], "[ack: postern:watch-nobody-subscribed]")
		})
	}
}

func metricJSON(id, namespace, name, statistic string, period int) string {
	return fmt.Sprintf(`{"Id": %q, "ReturnData": false, "MetricStat": {"Period": %d, "Stat": %q, "Metric": {
		"Namespace": %q, "MetricName": %q, "Dimensions": [{"Name": "AutoScalingGroupName", "Value": "group-of-Bastion"}]}}}`,
		id, period, statistic, namespace, name)
}

func assertAlarm(t *testing.T, alarm map[string]any, threshold, periods int, missing, expression string, metrics ...string) {
	t.Helper()
	p := alarm["Properties"].(map[string]any)
	assert.EqualValues(t, threshold, p["Threshold"])
	assert.EqualValues(t, periods, p["EvaluationPeriods"])
	assert.Equal(t, missing, p["TreatMissingData"])
	list := p["Metrics"].([]any)
	require.Len(t, list, 1+len(metrics))
	assert.Equal(t, expression, list[0].(map[string]any)["Expression"])
	texts := []string{textOf(t, list[1]), textOf(t, list[2])}
	for _, want := range metrics {
		var plain any
		require.NoError(t, json.Unmarshal([]byte(want), &plain))
		assert.Contains(t, texts, textOf(t, plain))
	}
}

func assertPlainAlarm(t *testing.T, alarm map[string]any, want string) {
	t.Helper()
	p := alarm["Properties"].(map[string]any)
	assert.Equal(t, want, fmt.Sprintf("%v %v %v %v %v %v",
		p["Namespace"], p["MetricName"], p["Statistic"], p["Period"], p["Threshold"], p["EvaluationPeriods"]))
	assert.Equal(t, "notBreaching", p["TreatMissingData"])
	assert.Equal(t, []any{map[string]any{"Name": "AutoScalingGroupName", "Value": "group-of-Bastion"}}, p["Dimensions"])
}

func dashboardBody(t *testing.T, template assertions.Template) string {
	t.Helper()
	dashboard := byLogicalName(t, template, "AWS::CloudWatch::Dashboard")["WatchDashboard"]
	require.NotNil(t, dashboard)
	return textOf(t, dashboard["Properties"].(map[string]any)["DashboardBody"])
}

func TestWatchWithEverything(t *testing.T) {
	stack := cdktest.NewStack(t)
	w := watch.New(stack, "Watch", &watch.Props{
		Key:           awskms.NewKey(stack, jsii.String("MyKey"), nil),
		Emails:        []string{"a@example.com", "b@example.com"},
		DashboardName: "Access",
	})
	w.AllowEventBridge()
	w.AddHost(hostIn(stack, "Bastion"), &watch.HostOptions{
		Name: "Jump", OutOfServiceMinutes: 3, SilentMinutes: 30, CpuPercent: 50, MemoryPercent: 60, DiskPercent: 70, MetricsNamespace: "Mine",
	})
	template := cdktest.Template(stack)

	keys := byLogicalName(t, template, "AWS::KMS::Key")
	require.Len(t, keys, 1)
	assert.Equal(t, topicKeySids, sidsOf(t, keys["MyKey"]["Properties"].(map[string]any)["KeyPolicy"]))
	var addresses []string
	for _, subscription := range byLogicalName(t, template, "AWS::SNS::Subscription") {
		p := subscription["Properties"].(map[string]any)
		assert.Equal(t, "email", p["Protocol"])
		addresses = append(addresses, p["Endpoint"].(string))
	}
	slices.Sort(addresses)
	assert.Equal(t, []string{"a@example.com", "b@example.com"}, addresses)

	events := statementBySid(t, byLogicalName(t, template, "AWS::SNS::TopicPolicy")["WatchTopicPolicy"], "EventBridgeRules")
	assert.NotContains(t, events, "Condition")

	alarms := byLogicalName(t, template, "AWS::CloudWatch::Alarm")
	require.Len(t, alarms, 6)
	for id, want := range map[string][2]int{
		"InService": {1, 3}, "AgentSilent": {1, 6}, "Cpu": {50, 3}, "Memory": {60, 3}, "Disk": {70, 3},
	} {
		p := alarms["WatchJump"+id]["Properties"].(map[string]any)
		assert.EqualValues(t, want[0], p["Threshold"], id)
		assert.EqualValues(t, want[1], p["EvaluationPeriods"], id)
	}
	assert.Equal(t, "Mine", alarms["WatchJumpDisk"]["Properties"].(map[string]any)["Namespace"])
	assert.Contains(t, textOf(t, alarms["WatchJumpAgentSilent"]), `"Namespace":"Mine"`)
	assert.Equal(t, "Access", byLogicalName(t, template, "AWS::CloudWatch::Dashboard")["WatchDashboard"]["Properties"].(map[string]any)["DashboardName"])
	assert.Empty(t, warningsOf(stack))
}

func TestWatchHostWithoutAgent(t *testing.T) {
	stack := cdktest.NewStack(t)
	watch.New(stack, "Watch", nil).AddHost(hostIn(stack, "Bastion"), &watch.HostOptions{WithoutAgent: true})
	template := cdktest.Template(stack)
	assert.Len(t, byLogicalName(t, template, "AWS::CloudWatch::Alarm"), 3)
	assert.NotContains(t, dashboardBody(t, template), "mem_used_percent")
}

// A host that names its log group is held to its promises: by what it tells, and
// by its telling nothing.
func TestWatchOfPromises(t *testing.T) {
	stack := cdktest.NewStack(t)
	log := awslogs.NewLogGroup(stack, jsii.String("Log"), nil)
	watch.New(stack, "Watch", nil).AddHost(hostIn(stack, "Bastion"), &watch.HostOptions{LogGroup: log, UnprovenMinutes: 60})
	template := cdktest.Template(stack)

	filters := byLogicalName(t, template, "AWS::Logs::MetricFilter")
	require.Len(t, filters, 15)
	measured := filters["WatchBastionArrival"]["Properties"].(map[string]any)
	assert.Equal(t, `{ ($.postern = "check") && ($.name = "shipping") }`, measured["FilterPattern"])
	assert.JSONEq(t, `[{"MetricName":"Arrival Test/Watch/Bastion","MetricNamespace":"Postern/Bastion","MetricValue":"$.ms","Unit":"Milliseconds"}]`,
		textOf(t, measured["MetricTransformations"]))
	for _, id := range []string{"WatchBastionBroken", "WatchBastionChecks"} {
		p := filters[id]["Properties"].(map[string]any)
		assert.Contains(t, textOf(t, p["LogGroupName"]), `{"Ref":"Log`)
		name := strings.TrimPrefix(id, "WatchBastion") + " Test/Watch/Bastion"
		assert.JSONEq(t, `[{"MetricName":"`+name+`","MetricNamespace":"Postern/Bastion","MetricValue":"1"}]`, textOf(t, p["MetricTransformations"]),
			"no default value: no data means no line, which is another alarm's matter")
	}
	alarms := byLogicalName(t, template, "AWS::CloudWatch::Alarm")
	broken := alarms["WatchBastionHostPromise"]["Properties"].(map[string]any)
	assert.Equal(t, "Broken Test/Watch/Bastion", broken["MetricName"])
	assert.NotContains(t, broken, "Dimensions")
	assert.Equal(t, "notBreaching", broken["TreatMissingData"])
	assert.InDelta(t, 600, broken["Period"], 0, "longer than the host waits between two checks")
	unproven := alarms["WatchBastionHostUnproven"]["Properties"].(map[string]any)
	assert.Equal(t, "breaching", unproven["TreatMissingData"])
	assert.InDelta(t, 6, unproven["EvaluationPeriods"], 0)
	assert.Contains(t, textOf(t, unproven["Metrics"]), "FILL(checks, 0)")
}

func TestWatchWithOwnTopic(t *testing.T) {
	stack := cdktest.NewStack(t)
	mine := awssns.NewTopic(stack, jsii.String("Mine"), nil)
	w := watch.New(stack, "Watch", &watch.Props{Topic: mine, Emails: []string{"a@example.com"}})
	w.AddHost(hostIn(stack, "Bastion"), nil)
	template := cdktest.Template(stack)
	assert.Empty(t, byLogicalName(t, template, "AWS::KMS::Key"))
	assert.Len(t, byLogicalName(t, template, "AWS::SNS::Topic"), 1)
	statementBySid(t, byLogicalName(t, template, "AWS::SNS::TopicPolicy")["MinePolicy"], "CloudWatchAlarms")
	assert.Contains(t, textOf(t, byLogicalName(t, template, "AWS::CloudWatch::Alarm")["WatchBastionDisk"]["Properties"]), "Mine")
	assert.Contains(t, textOf(t, byLogicalName(t, template, "AWS::CloudWatch::CompositeAlarm")["WatchBastionDoor"]["Properties"]), "Mine")
	assert.Len(t, byLogicalName(t, template, "AWS::SNS::Subscription"), 1)
	assert.Empty(t, warningsOf(stack), "who brings a topic knows who reads it")
}

func TestWatchWithImportedCollaborators(t *testing.T) {
	stack := cdktest.NewStack(t)
	w := watch.New(stack, "Topic", &watch.Props{
		Topic: awssns.Topic_FromTopicArn(stack, jsii.String("Mine"), jsii.String("arn:aws:sns:us-east-1:123456789012:mine")),
	})
	w.AddHost(hostIn(stack, "Bastion"), nil)
	watch.New(stack, "Key", &watch.Props{
		Emails: []string{"a@example.com"},
		Key: awskms.Key_FromKeyArn(stack, jsii.String("MyKey"),
			jsii.String("arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555")),
	})
	alarm := byLogicalName(t, cdktest.Template(stack), "AWS::CloudWatch::Alarm")["TopicBastionDisk"]["Properties"].(map[string]any)
	assert.Equal(t, []any{"arn:aws:sns:us-east-1:123456789012:mine"}, alarm["AlarmActions"])

	warnings := warningsOf(stack)
	slices.Sort(warnings)
	require.Len(t, warnings, 2)
	assert.Contains(t, warnings[0], `"Sid":"EventBridgeRules"`)
	assert.Contains(t, warnings[0], "[ack: postern:watch-key-policy]")
	assert.Contains(t, warnings[1], `"Action":["sns:Publish"]`)
	assert.Contains(t, warnings[1], "[ack: postern:watch-topic-policy]")
}

// The stacks of the reference architecture: key, host and watch apart, with
// references one way only.
func TestWatchAcrossStacks(t *testing.T) {
	app := cdktest.NewApp(t)
	evidence, access, watching := cdktest.StackIn(app, "Archive"), cdktest.StackIn(app, "Access"), cdktest.StackIn(app, "Watch")
	a := archive.New(evidence, "Archive", nil)
	w := watch.New(watching, "Watch", &watch.Props{Key: a.Key(), Emails: []string{"a@example.com"}})
	group := awsautoscaling.NewCfnAutoScalingGroup(access, jsii.String("Bastion"), &awsautoscaling.CfnAutoScalingGroupProps{
		MinSize: jsii.String("1"), MaxSize: jsii.String("2"), AvailabilityZones: jsii.Strings("us-east-1a"),
		LaunchTemplate: &awsautoscaling.CfnAutoScalingGroup_LaunchTemplateSpecificationProperty{
			LaunchTemplateId: jsii.String("lt-0123456789abcdef0"), Version: jsii.String("1"),
		},
	})
	w.AddHost(&watchedHost{group, *group.Ref()}, nil)
	app.Synth(nil)

	alarm := byLogicalName(t, cdktest.Template(watching), "AWS::CloudWatch::Alarm")["WatchBastionCpu"]["Properties"].(map[string]any)
	assert.Contains(t, textOf(t, alarm["Dimensions"]), "Bastion", "the group by reference")
	assert.NotContains(t, textOf(t, alarm), "Token[")

	names := []string{}
	for _, dependency := range *evidence.Dependencies() {
		names = append(names, *dependency.StackName())
	}
	assert.Empty(t, names, "the archive depends on nobody")
	key := byLogicalName(t, cdktest.Template(evidence), "AWS::KMS::Key")["ArchiveKey"]["Properties"].(map[string]any)
	assert.Equal(t, archiveKeySids, sidsOf(t, key["KeyPolicy"]), "no statement twice")
	assert.Empty(t, byLogicalName(t, cdktest.Template(watching), "AWS::KMS::Key"))
}

func TestWatchRefusesBadProps(t *testing.T) {
	stack := cdktest.NewStack(t)
	assert.Equal(t, `watch "Test/Watch": Emails[0]: "oncall" is not an e-mail address: write it bare, such as oncall@example.com`,
		cdktest.Panic(t, func() { watch.New(stack, "Watch", &watch.Props{Emails: []string{"oncall"}}) }))
	assert.Nil(t, stack.Node().TryFindChild(jsii.String("Watch")), "the tree is untouched")

	w := watch.New(stack, "Watch", nil)
	host := hostIn(stack, "Bastion")
	w.AddHost(host, nil)
	assert.Equal(t, `watch host "Test/Watch/Bastion": Name: the watch already has a "Bastion": give this host another in HostOptions`,
		cdktest.Panic(t, func() { w.AddHost(host, nil) }))
	assert.Equal(t, `watch host "Test/Watch/Bad": CpuPercent: 120 is out of range: use 1 to 100`,
		cdktest.Panic(t, func() { w.AddHost(host, &watch.HostOptions{Name: "Bad", CpuPercent: 120}) }))
	assert.Equal(t, `watch host "Test/Watch/": host: is nil: pass a bastion`,
		cdktest.Panic(t, func() { w.AddHost(nil, nil) }))
}

func TestWatchSatisfiesTheRulePacks(t *testing.T) {
	stack := cdktest.StackIn(newJudgedApp(t), "Test")
	watch.New(stack, "Watch", &watch.Props{OfficeHours: &watch.OfficeHours{TimeZone: "Europe/Berlin", From: "08:00", Until: "18:00"}}).AddHost(
		hostIn(stack, "Bastion"), &watch.HostOptions{LogGroup: awslogs.LogGroup_FromLogGroupName(stack, jsii.String("Log"), jsii.String("log"))})
	addRulePacks(stack)
	assert.Empty(t, findings(stack))
}
