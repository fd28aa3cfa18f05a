package test_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/endpoints"
	"github.com/postern-cdk/postern/constructs/network"
	"github.com/postern-cdk/postern/constructs/watch"
	"github.com/postern-cdk/postern/internal/cdktest"
	"github.com/postern-cdk/postern/internal/runbook"
)

// What only means that a door is down, or strained, is told by a composite alarm;
// what means that evidence is in doubt, by the alarm itself.
func TestDoorsGatherTheirAlarms(t *testing.T) {
	stack := cdktest.NewStack(t)
	watch.New(stack, "Watch", nil).AddHost(hostIn(stack, "Bastion"), nil)
	template := cdktest.Template(stack)
	composites := byLogicalName(t, template, "AWS::CloudWatch::CompositeAlarm")
	require.Len(t, composites, 2)
	for id, want := range map[string][]string{
		"WatchBastionDoor":     {"WatchBastionInService"},
		"WatchBastionStrained": {"WatchBastionStatusCheck", "WatchBastionCpu", "WatchBastionMemory"},
	} {
		p := composites[id]["Properties"].(map[string]any)
		rule := textOf(t, p["AlarmRule"])
		assert.Equal(t, len(want), strings.Count(rule, "ALARM("), id)
		assert.Equal(t, len(want)-1, strings.Count(rule, ") OR ALARM("), id)
		for _, member := range want {
			assert.Contains(t, rule, member, id)
		}
		assert.Contains(t, textOf(t, p["AlarmActions"]), "WatchTopic", id)
		assert.Contains(t, textOf(t, p["OKActions"]), "WatchTopic", id)
		assert.Contains(t, p["AlarmDescription"], "Bastion", id)
	}
	assert.NotContains(t, composites["WatchBastionDoor"]["Properties"], "ActionsSuppressor", "nothing keeps a door that is down from being told")
	strained := composites["WatchBastionStrained"]["Properties"].(map[string]any)
	assert.Contains(t, textOf(t, strained["ActionsSuppressor"]), "WatchBastionDoor")
	assert.EqualValues(t, 60, strained["ActionsSuppressorWaitPeriod"])
	assert.EqualValues(t, 600, strained["ActionsSuppressorExtensionPeriod"])
}

// Session Manager is a door as far as its endpoints can be measured.
func TestEndpointsAreADoor(t *testing.T) {
	stack := cdktest.NewStack(t)
	w := watch.New(stack, "Watch", nil)
	vpc := network.New(stack, "Network", nil).Vpc()
	made := endpoints.New(stack, "Endpoints", &endpoints.Props{Vpc: vpc, Services: []endpoints.Service{endpoints.SSMMessages, endpoints.SSM, endpoints.Logs}})
	w.AddEndpoints(made, &watch.EndpointOptions{DroppedPackets: 7})
	template := cdktest.Template(stack)
	alarms := byLogicalName(t, template, "AWS::CloudWatch::Alarm")
	require.Len(t, alarms, 2, "sessions don't go through the endpoint of logs")
	for _, service := range []string{"ssm", "ssmmessages"} {
		p := alarms["WatchSessionManager"+strings.ToUpper(service[:1])+service[1:]]["Properties"].(map[string]any)
		assert.Equal(t, "AWS/PrivateLinkEndpoints PacketsDropped Sum 300 7 3 notBreaching", fmt.Sprintf("%v %v %v %v %v %v %v",
			p["Namespace"], p["MetricName"], p["Statistic"], p["Period"], p["Threshold"], p["EvaluationPeriods"], p["TreatMissingData"]))
		dimensions := textOf(t, p["Dimensions"])
		assert.Contains(t, dimensions, `{"Name":"Endpoint Type","Value":"Interface"},{"Name":"Service Name","Value":"com.amazonaws.us-east-1.`+service+`"},{"Name":"VPC Endpoint Id","Value":{"Ref":"Endpoints`+service)
		assert.Contains(t, dimensions, `{"Name":"VPC Id","Value":{"Ref":"Network`)
		assert.NotContains(t, p, "AlarmActions", "the door tells")
	}
	composites := byLogicalName(t, template, "AWS::CloudWatch::CompositeAlarm")
	require.Len(t, composites, 1)
	rule := textOf(t, composites["WatchSessionManagerDoor"]["Properties"].(map[string]any)["AlarmRule"])
	assert.Contains(t, rule, "WatchSessionManagerSsm")
	assert.Contains(t, rule, "WatchSessionManagerSsmmessages")

	for want, add := range map[string]func(){
		`watch endpoints "Test/Watch/Session Manager": of: is nil: pass endpoints`:                                                          func() { w.AddEndpoints(nil, nil) },
		`watch endpoints "Test/Watch/Session Manager": Name: the watch already has a "Session Manager": give it another in EndpointOptions`: func() { w.AddEndpoints(made, nil) },
		"watch endpoints \"Test/Watch/a/b\": Name: \"a/b\" can't be the ID of a construct: use plain text without slashes\n" +
			"DroppedPackets: -1 can't be a number of packets: use 1 or more": func() { w.AddEndpoints(made, &watch.EndpointOptions{Name: "a/b", DroppedPackets: -1}) },
		`watch endpoints "Test/Watch/Logs": of: has no endpoint that sessions go through: make those of ssm and ssmmessages here, or leave it out`: func() {
			w.AddEndpoints(endpoints.New(stack, "Others", &endpoints.Props{Vpc: vpc, Services: []endpoints.Service{endpoints.KMS}}), &watch.EndpointOptions{Name: "Logs"})
		},
	} {
		assert.Equal(t, want, cdktest.Panic(t, add))
	}
}

var page = regexp.MustCompile(` Runbook: https://github\.com/postern-cdk/postern/blob/main/docs/runbooks/([a-z0-9-]+)\.md$`)

// Every alarm of every golden ends with a page that is there and is about it, fits
// with what it is filled in with, and is told by itself or by its door.
func TestAlarmsOfTheGoldensHaveRunbooks(t *testing.T) {
	files, err := filepath.Glob("golden/*/*.json")
	require.NoError(t, err)
	examples, err := filepath.Glob("golden/*/*/*.json")
	require.NoError(t, err)
	seen := 0
	for _, file := range append(files, examples...) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var template struct{ Resources map[string]map[string]any }
		require.NoError(t, json.Unmarshal(text, &template))
		told := "" // by composite alarms
		for _, resource := range template.Resources {
			if resource["Type"] == "AWS::CloudWatch::CompositeAlarm" {
				told += textOf(t, resource["Properties"].(map[string]any)["AlarmRule"])
			}
		}
		for id, resource := range template.Resources {
			if kind := resource["Type"]; kind != "AWS::CloudWatch::Alarm" && kind != "AWS::CloudWatch::CompositeAlarm" {
				continue
			}
			seen++
			p := resource["Properties"].(map[string]any)
			// As long as it can get: with the longest name of an Auto Scaling group.
			description := joined(p["AlarmDescription"], strings.Repeat("x", 255))
			assert.LessOrEqual(t, utf8.RuneCountInString(description), runbook.MaxDescription, "%s %s", file, id)
			match := page.FindStringSubmatch(description)
			if !assert.NotNil(t, match, "%s %s names no runbook: %s", file, id, description) {
				continue
			}
			names, doubt := runbookHeader(t, match[1])
			about := false
			for _, name := range names {
				fits, err := path.Match("*"+name, id[:len(id)-len("0A1B2C3D")])
				require.NoError(t, err)
				about = about || fits
			}
			assert.True(t, about, "%s: %s leads to %s, which is about %v", file, id, match[1], names)
			alone := len(list(p["AlarmActions"])) > 0 && len(list(p["OKActions"])) > 0
			if doubt == "availability" {
				assert.True(t, alone || strings.Contains(told, `"`+id+`"`), "%s: nobody tells of %s", file, id)
			} else {
				assert.True(t, alone, "%s: %s puts %s in doubt and does not tell by itself", file, id, doubt)
			}
		}
	}
	assert.Greater(t, seen, 20)
}

func list(value any) []any { values, _ := value.([]any); return values }

var header = regexp.MustCompile(`(?m)^\*\*Alarm:\*\* (.*) · \*\*in doubt:\*\* (.*)$`)

func runbookHeader(t *testing.T, name string) (alarms []string, doubt string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", runbook.Page(name).String()))
	require.NoError(t, err)
	match := header.FindStringSubmatch(string(text))
	require.NotNil(t, match, name)
	for _, alarm := range strings.Split(match[1], ", ") {
		alarms = append(alarms, strings.Trim(alarm, "`"))
	}
	return alarms, match[2]
}
