package dashboard_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/dashboard"
)

func jsonOf(t *testing.T, widget dashboard.Widget) string {
	t.Helper()
	text, err := json.Marshal(dashboard.Body([]dashboard.Row{{widget}}, "eu-west-1"))
	require.NoError(t, err)
	return string(text)
}

func TestGraph(t *testing.T) {
	assert.JSONEq(t, `[{"type": "metric", "x": 0, "y": 0, "width": 8, "height": 6, "properties": {
		"title": "CPU", "region": "eu-west-1", "view": "timeSeries", "stacked": true, "legend": {"position": "bottom"},
		"metrics": [
			["AWS/EC2", "CPUUtilization", "AutoScalingGroupName", "g", {"stat": "Average", "period": 300, "label": "CPU", "color": "#1f77b4", "id": "a", "visible": false}],
			[{"expression": "a*2", "id": "b", "label": "twice", "yAxis": "right"}]
		],
		"yAxis": {"left": {"min": 0, "max": 100, "label": "%", "showUnits": false}, "right": {"min": 0, "label": "x", "showUnits": false}},
		"annotations": {"horizontal": [{"value": 90, "label": "alarm", "color": "#d62728"}, {"value": 80, "color": "#1f77b4"}]}
	}}]`, jsonOf(t, dashboard.Graph{
		Size: dashboard.Size{Width: 8, Height: 6}, Title: "CPU", Unit: "%", RightUnit: "x", Max: 100, Stacked: true,
		Metrics: []dashboard.Metric{
			{Namespace: "AWS/EC2", Name: "CPUUtilization", Dimensions: []dashboard.Dimension{{"AutoScalingGroupName", "g"}}, Statistic: "Average", Period: 300, Label: "CPU", Color: dashboard.Blue, ID: "a", Hidden: true},
			{Expression: "a*2", ID: "b", Label: "twice", Right: true},
		},
		Thresholds: []dashboard.Threshold{{Value: 90, Label: "alarm"}, {Value: 80, Color: dashboard.Blue}},
	}))
}

func TestOtherWidgets(t *testing.T) {
	size := dashboard.Size{Width: 24, Height: 1}
	for name, test := range map[string]struct {
		widget dashboard.Widget
		want   string
	}{
		"number": {
			dashboard.Number{Size: size, Title: "n", Whole: true, Trend: true, Metrics: []dashboard.Metric{{Namespace: "A", Name: "b"}}},
			`{"type": "metric", "properties": {"title": "n", "region": "eu-west-1", "view": "singleValue", "sparkline": true, "setPeriodToTimeRange": true, "metrics": [["A", "b", {}]]}}`,
		},
		"alarms": {
			dashboard.Alarms{Size: size, Title: "a", Arns: []string{"arn"}},
			`{"type": "alarm", "properties": {"title": "a", "alarms": ["arn"], "sortBy": "stateUpdatedTimestamp"}}`,
		},
		"log": {
			dashboard.Log{Size: size, Title: "l", Groups: []string{"a", "b"}, Query: "fields x"},
			`{"type": "log", "properties": {"title": "l", "region": "eu-west-1", "view": "table", "query": "SOURCE 'a' | SOURCE 'b' | fields x"}}`,
		},
		"text":       {dashboard.Text{Size: size, Markdown: "# x"}, `{"type": "text", "properties": {"markdown": "# x"}}`},
		"plain text": {dashboard.Text{Size: size, Markdown: "x", Plain: true}, `{"type": "text", "properties": {"markdown": "x", "background": "transparent"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			var want map[string]any
			require.NoError(t, json.Unmarshal([]byte(test.want), &want))
			want["x"], want["y"], want["width"], want["height"] = 0, 0, 24, 1
			text, err := json.Marshal([]any{want})
			require.NoError(t, err)
			assert.JSONEq(t, string(text), jsonOf(t, test.widget))
		})
	}
}

// What does not fit beside goes below the tallest of its line.
func TestLayout(t *testing.T) {
	text := func(width, height int) dashboard.Text {
		return dashboard.Text{Size: dashboard.Size{Width: width, Height: height}}
	}
	rows := []dashboard.Row{{text(24, 2)}, {}, {text(12, 3), text(8, 5), text(8, 4)}, {text(6, 1)}}
	var places [][2]int
	for _, w := range dashboard.Body(rows, "") {
		m := w.(map[string]any)
		places = append(places, [2]int{m["x"].(int), m["y"].(int)})
	}
	assert.Equal(t, [][2]int{{0, 0}, {0, 2}, {12, 2}, {0, 7}, {0, 11}}, places)
	assert.Equal(t, 12, dashboard.Height(rows))
	assert.Zero(t, dashboard.Height(nil))
	assert.Equal(t, []any{}, dashboard.Body(nil, ""), "an empty list, not null")
}
