package test_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/bastion"
	"github.com/postern-cdk/postern/constructs/watch"
	"github.com/postern-cdk/postern/internal/cdktest"
	"github.com/postern-cdk/postern/internal/filterpattern"
	"github.com/postern-cdk/postern/internal/metricalarm"
)

// atNoon is a Wednesday.
var atNoon = time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)

// A deployedWatch is a template's metric filters and alarms at work.
type deployedWatch struct {
	t       *testing.T
	filters map[string]map[string]any
	alarms  map[string]*metricalarm.Alarm
}

func deployWatch(t *testing.T, template assertions.Template) *deployedWatch {
	t.Helper()
	d := &deployedWatch{t: t, filters: map[string]map[string]any{}, alarms: map[string]*metricalarm.Alarm{}}
	for id, filter := range byLogicalName(t, template, "AWS::Logs::MetricFilter") {
		d.filters[id] = filter["Properties"].(map[string]any)
	}
	for id, resource := range byLogicalName(t, template, "AWS::CloudWatch::Alarm") {
		alarm, err := metricalarm.Read(resolvedNames(resource["Properties"]).(map[string]any))
		require.NoError(t, err, id)
		d.alarms[id] = alarm
	}
	return d
}

// resolvedNames puts text where a template has a reference.
func resolvedNames(value any) any {
	switch value := value.(type) {
	case map[string]any:
		if len(value) == 1 {
			for key, of := range value {
				if key == "Ref" || strings.HasPrefix(key, "Fn::") {
					text, _ := json.Marshal(of)
					return key + string(text)
				}
			}
		}
		resolved := map[string]any{}
		for key, of := range value {
			resolved[key] = resolvedNames(of)
		}
		return resolved
	case []any:
		resolved := make([]any, len(value))
		for i, of := range value {
			resolved[i] = resolvedNames(of)
		}
		return resolved
	}
	return value
}

// deliver is what becomes of a line in CloudWatch Logs: a sample for each filter that
// it matches.
func (d *deployedWatch) deliver(message string, at time.Time) []metricalarm.Sample {
	d.t.Helper()
	var samples []metricalarm.Sample
	for id, filter := range d.filters {
		p, err := filterpattern.Parse(filter["FilterPattern"].(string))
		require.NoError(d.t, err, id)
		to := filter["MetricTransformations"].([]any)[0].(map[string]any)
		if to["MetricValue"] == "1" && p.Match(message) {
			samples = append(samples, metricalarm.Sample{
				Namespace: to["MetricNamespace"].(string), Name: to["MetricName"].(string), Time: at, Value: 1,
			})
		}
	}
	return samples
}

// ringing are the alarms that a moment finds going off.
func (d *deployedWatch) ringing(now time.Time, samples []metricalarm.Sample) []string {
	d.t.Helper()
	var list []string
	for id, alarm := range d.alarms {
		state, err := alarm.State(now, samples)
		require.NoError(d.t, err, id)
		if state == metricalarm.InAlarm {
			list = append(list, id)
		}
	}
	slices.Sort(list)
	return list
}

// grouped is what an Auto Scaling group, or the agent, sends each minute.
func grouped(namespace, name, group string, value float64, from, until time.Time) []metricalarm.Sample {
	var samples []metricalarm.Sample
	for at := from; at.Before(until); at = at.Add(time.Minute) {
		samples = append(samples, metricalarm.Sample{
			Namespace: namespace, Name: name, Dimensions: map[string]string{"AutoScalingGroupName": group}, Time: at, Value: value,
		})
	}
	return samples
}

// healthyHost is what a host in good health sends until a moment, a check every five
// minutes included.
func (d *deployedWatch) healthyHost(group string, until time.Time) []metricalarm.Sample {
	from := until.Add(-3 * time.Hour)
	samples := slices.Concat(
		grouped("AWS/AutoScaling", "GroupDesiredCapacity", group, 1, from, until),
		grouped("AWS/AutoScaling", "GroupInServiceInstances", group, 1, from, until),
		grouped("AWS/EC2", "StatusCheckFailed", group, 0, from, until),
		grouped("AWS/EC2", "CPUUtilization", group, 3, from, until),
		grouped("Postern/Bastion", "mem_used_percent", group, 40, from, until),
		grouped("Postern/Bastion", "disk_used_percent", group, 30, from, until),
	)
	for at := from; at.Before(until); at = at.Add(5 * time.Minute) {
		samples = append(samples, d.deliver(`{"postern":"check","name":"clock","result":"pass","detail":"","ms":1}`, at)...)
	}
	return samples
}

// keptLines are the messages of an occurrence on a real host.
func keptLines(t *testing.T, name string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "internal", "host", "testdata", "lines", name+".jsonl"))
	require.NoError(t, err)
	var messages []string
	for text := range strings.Lines(string(data)) {
		var line struct{ Message string }
		require.NoError(t, json.Unmarshal([]byte(text), &line))
		messages = append(messages, line.Message)
	}
	return messages
}

// From a line that a real host wrote to the alarm that somebody is woken by: through
// the filters, the metrics and the conditions that are in the template.
func TestAlarmsOfHostGoOff(t *testing.T) {
	stack := cdktest.NewStack(t)
	log := awslogs.NewLogGroup(stack, jsii.String("Log"), nil)
	w := watch.New(stack, "Watch", &watch.Props{
		Emails:      []string{"oncall@example.com"},
		OfficeHours: &watch.OfficeHours{TimeZone: "Europe/Berlin", From: "08:00", Until: "18:00"},
	})
	w.AddHost(hostIn(stack, "Bastion"), &watch.HostOptions{LogGroup: log, FailedKeysPerTenMinutes: 8, InvalidUsersPerTenMinutes: 2})
	d := deployWatch(t, cdktest.Template(stack))
	assert.Empty(t, warningsOf(stack), "the CDK knows all metrics that expressions name")
	const group = "group-of-Bastion"
	calm := func(until time.Time) []metricalarm.Sample { return d.healthyHost(group, until) }
	require.Empty(t, d.ringing(atNoon, calm(atNoon)), "a host in good health")

	t.Run("lines", func(t *testing.T) {
		for name, want := range map[string][]string{
			"boot": nil, "day": nil, "accepted": nil, "accepted-code": nil, "audit-boot": nil,
			"failed-key": nil, "wrong-code": nil, // one is nothing
			"invalid-user":      {"WatchBastionInvalidUsers"},
			"sudo":              {"WatchBastionSudo"},
			"sudo-refused":      {"WatchBastionSudo"},
			"integrity-changed": {"WatchBastionIntegrityChanged"},
			"audit":             {"WatchBastionAuditStopped"},
			"audit-check":       {"WatchBastionAuditStopped"},
			"people-failed":     {"WatchBastionPeopleFailed"},
			"people-stale":      {"WatchBastionPeopleFailed"},
			"users-refused":     {"WatchBastionUsersRefused"},
			"check-failed":      {"WatchBastionHostPromise"},
			"recorder-died":     {"WatchBastionRecordingGap"},
			"records-missing":   {"WatchBastionRecordingGap"},
			"shipping-behind":   {"WatchBastionRecordingGap"},
			"disk-filled":       {"WatchBastionDiskFilled"},
		} {
			samples := calm(atNoon)
			for _, message := range keptLines(t, name) {
				samples = append(samples, d.deliver(message, atNoon.Add(-time.Minute))...)
			}
			assert.Equal(t, want, d.ringing(atNoon, samples), name)
		}
	})

	t.Run("as many as are reported", func(t *testing.T) {
		line := keptLines(t, "failed-key")
		for count, want := range map[int][]string{7: nil, 8: {"WatchBastionFailedKeys"}} {
			samples := calm(atNoon)
			for i := range count {
				for _, message := range line {
					samples = append(samples, d.deliver(message, atNoon.Add(-time.Duration(i+1)*time.Minute))...)
				}
			}
			assert.Equal(t, want, d.ringing(atNoon, samples), count)
		}
	})

	t.Run("office hours", func(t *testing.T) {
		for at, want := range map[string]bool{
			"2026-11-18T06:59": true, "2026-11-18T07:00": false, "2026-11-18T16:59": false, "2026-11-18T17:00": true, // winter
			"2026-07-15T05:59": true, "2026-07-15T06:00": false, "2026-07-15T15:59": false, "2026-07-15T16:00": true, // summer
			"2026-11-21T12:00": true, // Saturday
		} {
			login, err := time.Parse("2006-01-02T15:04", at)
			require.NoError(t, err)
			now := login.Add(time.Minute)
			samples := calm(now)
			for _, message := range keptLines(t, "accepted") {
				samples = append(samples, d.deliver(message, login.Add(20*time.Second))...)
			}
			var expected []string
			if want {
				expected = []string{"WatchBastionLoginOutsideHours"}
			}
			assert.Equal(t, expected, d.ringing(now, samples), at)
		}
	})

	t.Run("it is over", func(t *testing.T) {
		samples := calm(atNoon.Add(2 * time.Hour))
		for _, message := range keptLines(t, "integrity-changed") {
			samples = append(samples, d.deliver(message, atNoon.Add(-time.Minute))...)
		}
		assert.Equal(t, []string{"WatchBastionIntegrityChanged"}, d.ringing(atNoon, samples))
		assert.Empty(t, d.ringing(atNoon.Add(time.Hour), samples))
	})

	t.Run("silence", func(t *testing.T) {
		without := func(names ...string) []metricalarm.Sample {
			return slices.DeleteFunc(calm(atNoon), func(s metricalarm.Sample) bool {
				return slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(s.Name, name) })
			})
		}
		assert.Equal(t, []string{"WatchBastionAgentSilent"}, d.ringing(atNoon, without("mem_used", "disk_used")))
		assert.Equal(t, []string{"WatchBastionHostUnproven"}, d.ringing(atNoon, without("Checks")))
		assert.Equal(t, []string{"WatchBastionAgentSilent", "WatchBastionHostUnproven", "WatchBastionInService"}, d.ringing(atNoon, nil), "nothing at all is heard")
		gone := append(without("GroupInService"), grouped("AWS/AutoScaling", "GroupInServiceInstances", group, 0, atNoon.Add(-3*time.Hour), atNoon)...)
		assert.Equal(t, []string{"WatchBastionInService"}, d.ringing(atNoon, gone))
		// M of N: as long as one of the periods is good, nothing is told.
		short := slices.DeleteFunc(calm(atNoon), func(s metricalarm.Sample) bool {
			return s.Name == "mem_used_percent" && s.Time.After(atNoon.Add(-9*time.Minute))
		})
		assert.Empty(t, d.ringing(atNoon, short))
		busy := append(without("CPUUtilization"), grouped("AWS/EC2", "CPUUtilization", group, 99, atNoon.Add(-15*time.Minute), atNoon)...)
		assert.Equal(t, []string{"WatchBastionCpu"}, d.ringing(atNoon, busy))
	})
}

// A bastion brings its log groups, each for its kind of record, and the load balancer
// before it.
func TestWatchOfABastion(t *testing.T) {
	stack := cdktest.NewStack(t)
	sshd := awslogs.NewLogGroup(stack, jsii.String("Sshd"), nil)
	b := bastion.New(stack, "Bastion", &bastion.Props{
		Vpc: userVpc(stack), Address: bastion.AddressNetworkLoadBalancer, AllowedCidrs: []string{"203.0.113.0/24"}, LogGroups: bastion.LogGroups{SSHD: sshd},
	})
	watch.New(stack, "Watch", &watch.Props{Emails: []string{"oncall@example.com"}}).AddHost(b, nil)
	template := cdktest.Template(stack)
	d := deployWatch(t, template)

	groups := map[string][]string{}
	for id, filter := range d.filters {
		group := textOf(t, filter["LogGroupName"])
		groups[group] = append(groups[group], id)
	}
	require.Len(t, groups, 2)
	for group, ids := range groups {
		slices.Sort(ids)
		if strings.Contains(group, "Sshd") {
			assert.Equal(t, []string{"WatchBastionAcceptedLines", "WatchBastionFailedKeysLines", "WatchBastionInvalidUsersLines"}, ids)
		} else {
			assert.Contains(t, ids, "WatchBastionSudoLines")
		}
	}
	assert.NotContains(t, slices.Collect(maps.Keys(d.alarms)), "WatchBastionLoginOutsideHours", "no hours are named")

	properties := resolvedNames(byLogicalName(t, template, "AWS::CloudWatch::Alarm")["WatchBastionNoHealthyDoor"]["Properties"]).(map[string]any)
	text, err := json.Marshal(properties["Metrics"])
	require.NoError(t, err)
	assert.Contains(t, string(text), "LoadBalancerFullName")
	assert.Contains(t, string(text), "TargetGroupFullName")
	healthy := func(value float64, until time.Time) []metricalarm.Sample {
		named := map[string]string{}
		for _, query := range properties["Metrics"].([]any) {
			stat, ok := query.(map[string]any)["MetricStat"].(map[string]any)
			if !ok || stat["Metric"].(map[string]any)["MetricName"] != "HealthyHostCount" {
				continue
			}
			for _, dimension := range stat["Metric"].(map[string]any)["Dimensions"].([]any) {
				named[dimension.(map[string]any)["Name"].(string)] = dimension.(map[string]any)["Value"].(string)
			}
		}
		require.Len(t, named, 2)
		var samples []metricalarm.Sample
		for at := until.Add(-time.Hour); at.Before(until); at = at.Add(time.Minute) {
			samples = append(samples, metricalarm.Sample{Namespace: "AWS/NetworkELB", Name: "HealthyHostCount", Dimensions: named, Time: at, Value: value})
		}
		return samples
	}
	group := ""
	for _, query := range properties["Metrics"].([]any) {
		if stat, ok := query.(map[string]any)["MetricStat"].(map[string]any); ok && stat["Metric"].(map[string]any)["MetricName"] == "GroupDesiredCapacity" {
			group = stat["Metric"].(map[string]any)["Dimensions"].([]any)[0].(map[string]any)["Value"].(string)
		}
	}
	calm := d.healthyHost(group, atNoon)
	assert.Empty(t, d.ringing(atNoon, append(slices.Clone(calm), healthy(1, atNoon)...)))
	assert.Equal(t, []string{"WatchBastionNoHealthyDoor"}, d.ringing(atNoon, append(slices.Clone(calm), healthy(0, atNoon)...)))
	assert.Equal(t, []string{"WatchBastionNoHealthyDoor"}, d.ringing(atNoon, calm), "a target group without targets")
	resting := slices.DeleteFunc(slices.Clone(calm), func(s metricalarm.Sample) bool { return s.Name == "GroupDesiredCapacity" })
	resting = append(resting, grouped("AWS/AutoScaling", "GroupDesiredCapacity", group, 0, atNoon.Add(-time.Hour), atNoon)...)
	assert.Empty(t, d.ringing(atNoon, resting), "scaled to zero on purpose")
}
