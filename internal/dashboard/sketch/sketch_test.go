package sketch_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/dashboard/sketch"
)

const template = `{"Resources": {"WatchDashboard1A2B3C4D": {"Type": "AWS::CloudWatch::Dashboard", "Properties": {"DashboardBody": {"Fn::Join": ["", [
	"{\"widgets\": [{\"type\": \"alarm\", \"x\": 0, \"y\": 0, \"width\": 8, \"height\": 3, \"properties\": {\"title\": \"Doors & more\", \"alarms\": [\"",
	{"Fn::GetAtt": ["WatchBastionInService7E6D5DCE", "Arn"]},
	"\"]}}, {\"type\": \"metric\", \"x\": 8, \"y\": 0, \"width\": 8, \"height\": 6, \"properties\": {\"title\": \"CPU\", \"metrics\": [[\"AWS/EC2\", \"CPUUtilization\", {\"label\": \"", {"Ref": "AWS::Region"}, "\"}], [\"A\", \"b\", {\"visible\": false, \"label\": \"not drawn\"}]],",
	"\"annotations\": {\"horizontal\": [{\"value\": 90, \"label\": \"alarm\", \"color\": \"#d62728\"}]}, \"yAxis\": {\"left\": {\"max\": 100, \"label\": \"%\"}}}},",
	"{\"type\": \"log\", \"x\": 0, \"y\": 6, \"width\": 24, \"height\": 5, \"properties\": {\"title\": \"Who\", \"query\": \"SOURCE '", {"Fn::ImportValue": "Archive:ExportLog"}, "' | filter x = 1 | fields @timestamp, coalesce(a, b) as who | sort who\"}},",
	"{\"type\": \"log\", \"x\": 0, \"y\": 11, \"width\": 24, \"height\": 5, \"properties\": {\"title\": \"Stats\", \"query\": \"stats count(*) as connections by source\"}},",
	"{\"type\": \"text\", \"x\": 0, \"y\": 16, \"width\": 24, \"height\": 4, \"properties\": {\"markdown\": \"# Title\\n[button:primary:Press](x) **words**\\n| a | 1 |\"}}]}"
]]}}}}}`

func TestTemplate(t *testing.T) {
	picture, err := sketch.Template([]byte(template))
	require.NoError(t, err)
	text := string(picture)
	decoder := xml.NewDecoder(strings.NewReader(text))
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
	}
	for _, want := range []string{
		">SKETCH.", "made up", ">Doors &amp; more<", ">Bastion In Service<", ">region<", ">alarm<", ">@timestamp<", ">who<", ">alice<", ">source<", ">connections<",
		">Title<", ">Press<", ">words<", ">%<", ">100<",
	} {
		assert.Contains(t, text, want)
	}
	assert.NotContains(t, text, "not drawn")
	assert.NotContains(t, text, "7E6D5DCE")
	assert.NotContains(t, text, "NaN")
	again, err := sketch.Template([]byte(template))
	require.NoError(t, err)
	assert.Equal(t, text, string(again), "the same every time")
}

func TestWhatCannotBeDrawn(t *testing.T) {
	for text, want := range map[string]string{
		"x":                 "no template: invalid character 'x' looking for beginning of value",
		`{"Resources": {}}`: "the template has no AWS::CloudWatch::Dashboard",
		`{"Resources": {"D": {"Type": "AWS::CloudWatch::Dashboard", "Properties": {"DashboardBody": "no"}}}}`: "no body of a dashboard: invalid character 'o' in literal null (expecting 'u')",
	} {
		_, err := sketch.Template([]byte(text))
		require.EqualError(t, err, want)
	}
}
