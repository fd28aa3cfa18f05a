package test_test

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
			description := spelled(p["AlarmDescription"])
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

// spelled is a text as long as it can get: a reference stands for the longest name
// of an Auto Scaling group.
func spelled(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case map[string]any:
		if join, ok := value["Fn::Join"].([]any); ok {
			var b strings.Builder
			for _, part := range join[1].([]any) {
				b.WriteString(spelled(part))
			}
			return b.String()
		}
	}
	return strings.Repeat("x", 255)
}

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
