package test_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"
	"github.com/sebdah/goldie/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/constructs/endpoints"
	"github.com/postern-cdk/postern/constructs/network"
	"github.com/postern-cdk/postern/constructs/watch"
	"github.com/postern-cdk/postern/internal/cdktest"
	"github.com/postern-cdk/postern/internal/dashboard/sketch"
)

type drawn struct {
	Type                string
	X, Y, Width, Height int
	Properties          struct {
		Title, Markdown, Query, Region string
		Metrics                        [][]any
		Alarms                         []any
	}
}

// widgetsOf reads the dashboard of a template, references spelled out.
func widgetsOf(t *testing.T, stack awscdk.Stack) []drawn {
	t.Helper()
	body := byLogicalName(t, cdktest.Template(stack), "AWS::CloudWatch::Dashboard")["WatchDashboard"]["Properties"].(map[string]any)["DashboardBody"]
	var parsed struct{ Widgets []drawn }
	text := joined(body, "reference")
	require.NoError(t, json.Unmarshal([]byte(text), &parsed), text)
	return parsed.Widgets
}

// watchedHosts is a stack with a watch of some hosts and everything that can be shown.
func watchedHosts(t *testing.T, hosts int) awscdk.Stack {
	t.Helper()
	stack := cdktest.NewStack(t)
	w := watch.New(stack, "Watch", &watch.Props{Emails: []string{"oncall@example.com"}, ExistingTrail: true})
	for i := range hosts {
		name := "Bastion"
		if i > 0 {
			name = fmt.Sprintf("Bastion%d", i+1)
		}
		w.AddHost(hostIn(stack, name), &watch.HostOptions{LogGroup: awslogs.NewLogGroup(stack, jsii.String("Log"+name), nil)})
	}
	return stack
}

// However many hosts there are, nothing lies on anything else or sticks out, and
// each widget can be read.
func TestDashboardIsLaidOut(t *testing.T) {
	for _, hosts := range []int{0, 1, 3} {
		t.Run(fmt.Sprint(hosts), func(t *testing.T) {
			widgets := widgetsOf(t, watchedHosts(t, hosts))
			require.NotEmpty(t, widgets)
			assert.LessOrEqual(t, len(widgets), 100, "more than anybody looks at")
			taken := map[[2]int]string{}
			for _, w := range widgets {
				name := w.Properties.Title + w.Properties.Markdown
				assert.LessOrEqual(t, w.X+w.Width, 24, name)
				assert.Positive(t, w.Height, name)
				for x := w.X; x < w.X+w.Width; x++ {
					for y := w.Y; y < w.Y+w.Height; y++ {
						assert.NotContains(t, taken, [2]int{x, y}, "%q lies on %q", name, taken[[2]int{x, y}])
						taken[[2]int{x, y}] = name
					}
				}
				switch w.Type {
				case "text":
					assert.NotEmpty(t, w.Properties.Markdown)
				case "alarm":
					assert.NotEmpty(t, w.Properties.Alarms, name)
				case "metric":
					assert.NotEmpty(t, w.Properties.Metrics, name)
					assert.Equal(t, "us-east-1", w.Properties.Region, name)
					for _, m := range w.Properties.Metrics {
						assert.NotEmpty(t, m[len(m)-1].(map[string]any)["label"], "%s: what people read", name)
					}
				case "log":
					assert.True(t, strings.HasPrefix(w.Properties.Query, "SOURCE '"), name)
					assert.Equal(t, hosts, strings.Count(w.Properties.Query, "SOURCE '"), "%s: the records of every host", name)
				default:
					assert.Fail(t, w.Type)
				}
				if w.Type != "text" {
					assert.NotEmpty(t, w.Properties.Title)
				}
			}
			heading := widgets[0].Properties.Markdown
			if hosts == 0 {
				assert.Contains(t, heading, "No host is watched yet.")
				assert.Len(t, widgets, 1)
			} else {
				assert.Contains(t, heading, "Watching Bastion")
			}
		})
	}
}

// What somebody adds to the dashboard goes below.
func TestDashboardTakesWidgetsOfOthers(t *testing.T) {
	stack := cdktest.NewStack(t)
	w := watch.New(stack, "Watch", nil)
	w.Dashboard().AddWidgets(awscloudwatch.NewTextWidget(&awscloudwatch.TextWidgetProps{Markdown: jsii.String("Mine")}))
	w.AddHost(hostIn(stack, "Bastion"), nil)
	widgets := widgetsOf(t, stack)
	bottom := 0
	for _, other := range widgets[:len(widgets)-1] {
		bottom = max(bottom, other.Y+other.Height)
	}
	last := widgets[len(widgets)-1]
	assert.Equal(t, "Mine", last.Properties.Markdown)
	assert.Equal(t, bottom, last.Y)
}

func TestDashboardShowsCost(t *testing.T) {
	stack := cdktest.NewStack(t)
	watch.New(stack, "Watch", nil).ShowCost([]watch.CostLine{{What: "Bastion", USD: 10.42}, {What: "Alarms", USD: 1.9}}, "List prices.")
	widgets := widgetsOf(t, stack)
	text := widgets[len(widgets)-1].Properties.Markdown
	assert.Contains(t, text, "| Bastion | 10.42 |\n| Alarms | 1.90 |\n| **Together** | **12.32** |")
	assert.Contains(t, text, "List prices.")
}

// The picture in the documentation is of the dashboard as it is.
func TestDashboardPictureIsCurrent(t *testing.T) {
	stack := cdktest.NewStack(t)
	w := watch.New(stack, "Watch", &watch.Props{Emails: []string{"oncall@example.com"}, ExistingTrail: true})
	log := awslogs.NewLogGroup(stack, jsii.String("Log"), nil)
	w.AddHost(hostIn(stack, "Bastion"), &watch.HostOptions{LogGroup: log})
	w.AddEndpoints(endpoints.New(stack, "Endpoints", &endpoints.Props{Vpc: network.New(stack, "Network", nil).Vpc()}), nil)
	w.AddSessionNotices(nil)
	w.AddTunnelNotices()
	w.AddTamperNotices(nil)
	w.AddFailedAttempts()
	w.AddQueries(&watch.QueryOptions{LogGroups: watch.LogGroups{
		Hosts: []awslogs.ILogGroup{log}, Trail: []awslogs.ILogGroup{awslogs.NewLogGroup(stack, jsii.String("Trail"), nil)},
	}})
	w.ShowCost([]watch.CostLine{
		{What: "Bastion, t4g.micro with an Elastic IP", USD: 10.42}, {What: "Alarms and metrics", USD: 6.7}, {What: "Key", USD: 1}, {What: "Dashboard", USD: 3},
	}, "List prices of us-east-1 without data transfer, tax and discounts. By use: log data $0.50 a GB.")
	template, err := json.Marshal(cdktest.Template(stack).ToJSON())
	require.NoError(t, err)
	picture, err := sketch.Template(template)
	require.NoError(t, err)
	goldie.New(t, goldie.WithFixtureDir(filepath.Join("..", "docs")), goldie.WithNameSuffix(".svg")).Assert(t, "dashboard", picture)
}
