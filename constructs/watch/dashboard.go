package watch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/dashboard"
	"github.com/postern-cdk/postern/internal/host/settings"
	"github.com/postern-cdk/postern/internal/queries"
	"github.com/postern-cdk/postern/internal/runbook"
)

// board is the dashboard as one widget, drawn when the template is made: it shows
// what was added to the watch, in whatever order. What a user adds goes below.
type board struct{ watch *Watch }

var _ awscloudwatch.IWidget = (*board)(nil)

func (b *board) Width() *float64                 { return jsii.Number(dashboard.Columns) }
func (b *board) Height() *float64                { return jsii.Number(float64(dashboard.Height(b.watch.rows()))) }
func (b *board) Position(_, _ *float64)          {} // it is the first
func (b *board) Warnings() *[]*string            { return &[]*string{} }
func (b *board) WarningsV2() *map[string]*string { return &map[string]*string{} }

// ToJson is drawn each time, as long as things are added.
func (b *board) ToJson() *[]any {
	body := dashboard.Body(b.watch.rows(), b.watch.scope.Region)
	return &body
}

const (
	third    = dashboard.Columns / 3
	half     = dashboard.Columns / 2
	graphs   = 6 // rows of the grid
	answers  = 5
	shown    = 20 // rows of an answer
	hour     = 3600
	minute   = 60
	lagLimit = 15000 // milliseconds: when the host's check gives up
	labelled = 15    // percent that labels are apart at least
)

// rows is the whole dashboard: what is now, alarms, who, each host, what was told.
func (w *Watch) rows() []dashboard.Row {
	rows := []dashboard.Row{{dashboard.Text{Size: dashboard.Size{Width: dashboard.Columns, Height: 2}, Markdown: w.heading(), Plain: true}}}
	rows = append(rows, w.now(), w.states())
	rows = append(rows, w.who()...)
	for _, h := range w.hosts {
		rows = append(rows, h.rows()...)
	}
	for _, s := range w.sessions {
		rows = append(rows, s.rows()...)
	}
	return append(rows, w.below())
}

func (w *Watch) heading() string {
	var names []string
	for _, h := range w.hosts {
		names = append(names, h.name)
	}
	for _, s := range w.sessions {
		names = append(names, s.name)
	}
	watching := "No host is watched yet."
	if len(names) > 0 {
		watching = "Watching " + strings.Join(names, ", ") + "."
	}
	return fmt.Sprintf("# Ways into the network\n[button:primary:Runbooks](%s) [button:Saved queries](#logsV2:logs-insights) [button:All alarms](#alarmsV2:) %s",
		runbook.Index, watching)
}

// now is numbers: what is open, who came in, who was refused, how late records are.
func (w *Watch) now() dashboard.Row {
	var open, accepted, refused, late []dashboard.Metric
	for i, h := range w.hosts {
		open = append(open, h.grouped("AWS/AutoScaling", "GroupInServiceInstances", "Minimum", minute, h.name, dashboard.Green))
		if h.options.LogGroup == nil {
			continue
		}
		accepted = append(accepted, h.own("Accepted", "Sum", minute, h.name, dashboard.Blue))
		refused = append(refused, h.refused(fmt.Sprintf("h%d", i))...)
		late = append(late, h.own("Arrival", "Maximum", hour, h.name, dashboard.Blue))
	}
	var row []dashboard.Number
	for _, number := range []dashboard.Number{
		{Title: "Instances in service", Metrics: open, Trend: true},
		{Title: "Logins", Metrics: accepted, Whole: true},
		{Title: "Refused logins", Metrics: refused, Whole: true},
		{Title: "Slowest record of the last hour, ms", Metrics: late, Trend: true},
	} {
		if len(number.Metrics) > 0 {
			row = append(row, number)
		}
	}
	var filled dashboard.Row
	for _, number := range row {
		number.Size = dashboard.Size{Width: dashboard.Columns / len(row), Height: 4}
		filled = append(filled, number)
	}
	return filled
}

// refused is one number: keys that were refused, and names that nobody has.
func (h *watched) refused(id string) []dashboard.Metric {
	keys, names := h.own("FailedKeys", "Sum", minute, h.name, ""), h.own("InvalidUsers", "Sum", minute, h.name, "")
	keys.ID, names.ID, keys.Hidden, names.Hidden = id+"keys", id+"names", true, true
	return []dashboard.Metric{keys, names, {
		Expression: "FILL(" + keys.ID + ", 0) + FILL(" + names.ID + ", 0)", ID: id, Label: h.name, Period: minute, Color: dashboard.Orange,
	}}
}

// states is the alarms, by what they put in doubt.
func (w *Watch) states() dashboard.Row {
	lists := map[class][]string{}
	longest := 0
	for _, m := range w.made {
		kind := m.class
		if kind == strain {
			kind = availability
		}
		lists[kind] = append(lists[kind], m.arn)
		longest = max(longest, len(lists[kind]))
	}
	var row dashboard.Row
	for _, column := range []struct {
		title string
		kind  class
	}{{"Evidence in doubt", evidence}, {"Security in doubt", security}, {"Doors", availability}} {
		if arns := lists[column.kind]; len(arns) > 0 {
			row = append(row, dashboard.Alarms{
				Size: dashboard.Size{Width: third, Height: min(1+(longest+1)/2, 8)}, Title: column.title, Arns: arns,
			})
		}
	}
	return row
}

// who is answers to saved queries: who came in by which door, who was refused, what
// hosts complain of. Where no queries are saved, those that hosts alone can answer.
func (w *Watch) who() []dashboard.Row {
	var list []dashboard.Log
	for _, answer := range []struct{ title, id string }{
		{"Sessions now", queries.SessionsNow},
		{"Who connected", queries.WhoConnected},
		{"Sessions and tunnels opened", queries.SessionsOpened},
		{"Refused attempts to come in", queries.RefusedAttempts},
		{"Failed logins by source", queries.FailedLogins},
		{"What hosts complain of", queries.HostAlarms},
		{"People added and removed", queries.PeopleChanges},
	} {
		query := queries.ByID(answer.id)
		if groups := w.groups(&query); len(groups) > 0 {
			list = append(list, dashboard.Log{
				Size: dashboard.Size{Width: half, Height: answers}, Title: answer.title, Groups: groups, Query: query.Top(shown),
			})
		}
	}
	var row dashboard.Row
	for i, log := range list {
		if i == len(list)-1 && i%2 == 0 {
			log.Width = dashboard.Columns
		}
		row = append(row, log)
	}
	return []dashboard.Row{row}
}

// groups are the names of the log groups that have what a query reads.
func (w *Watch) groups(query *queries.Query) []string {
	var names []string
	if w.queries != nil {
		for _, name := range w.queries.read(query) {
			names = append(names, *name)
		}
		return names
	}
	if !slices.Equal(query.Sources, []queries.Source{queries.Hosts}) {
		return nil
	}
	for _, h := range w.hosts {
		for _, name := range h.records {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// noticed is what people were told of one kind.
type noticed struct {
	label string
	rules []string // their names
}

func (w *Watch) below() dashboard.Row {
	var row dashboard.Row
	if len(w.notices) > 0 {
		told := dashboard.Graph{
			Size: dashboard.Size{Width: dashboard.Columns - third, Height: graphs}, Title: "What people were told of", Stacked: true, Unit: "notices an hour",
		}
		for i, n := range w.notices {
			told.Metrics = append(told.Metrics, n.metrics(fmt.Sprintf("n%d", i))...)
		}
		row = append(row, told)
	}
	if w.cost != "" {
		row = append(row, dashboard.Text{Size: dashboard.Size{Width: third, Height: graphs}, Markdown: w.cost})
	}
	return row
}

// metrics are one line: the sum of all rules.
func (n noticed) metrics(id string) []dashboard.Metric {
	var list []dashboard.Metric
	var ids []string
	for i, rule := range n.rules {
		ids = append(ids, fmt.Sprintf("%sr%d", id, i))
		list = append(list, dashboard.Metric{
			Namespace: "AWS/Events", Name: "Invocations", Dimensions: []dashboard.Dimension{{Name: "RuleName", Value: rule}},
			Statistic: "Sum", Period: hour, ID: ids[i], Label: n.label, Hidden: true,
		})
	}
	return append(list, dashboard.Metric{Expression: "SUM([" + strings.Join(ids, ", ") + "])", ID: id, Label: n.label, Period: hour})
}

// rows is one host: a title and two rows of graphs.
func (h *watched) rows() []dashboard.Row {
	o := h.options
	size := dashboard.Size{Width: third, Height: graphs}
	title := dashboard.Text{Size: dashboard.Size{Width: dashboard.Columns, Height: 1}, Markdown: "## " + h.name, Plain: true}
	instances := []dashboard.Metric{
		h.grouped("AWS/AutoScaling", "GroupDesiredCapacity", "Maximum", minute, "wanted", dashboard.Gray),
		h.grouped("AWS/AutoScaling", "GroupInServiceInstances", "Minimum", minute, "in service", dashboard.Green),
		h.grouped("AWS/EC2", "StatusCheckFailed", "Maximum", minute, "failed status checks", dashboard.Red),
	}
	if h.loadBalancer != "" {
		instances = append(instances, dashboard.Metric{
			Namespace: "AWS/NetworkELB", Name: "HealthyHostCount",
			Dimensions: []dashboard.Dimension{{Name: "LoadBalancer", Value: h.loadBalancer}, {Name: "TargetGroup", Value: h.targetGroup}},
			Statistic:  "Maximum", Period: minute, Label: "healthy targets", Color: dashboard.Blue,
		})
	}
	row := dashboard.Row{
		dashboard.Graph{Size: size, Title: h.name + ": instances", Unit: "instances", Metrics: instances},
		dashboard.Graph{
			Size: size, Title: h.name + ": CPU", Unit: "%", Max: 100,
			Metrics:    []dashboard.Metric{h.grouped("AWS/EC2", "CPUUtilization", "Average", loadPeriodMinutes*minute, "CPU", dashboard.Blue)},
			Thresholds: []dashboard.Threshold{{Value: float64(o.CpuPercent), Label: "alarm"}},
		},
	}
	if !o.WithoutAgent {
		row = append(row, dashboard.Graph{
			Size: size, Title: h.name + ": memory and disk", Unit: "%", Max: 100,
			Metrics: []dashboard.Metric{
				h.grouped(o.MetricsNamespace, "mem_used_percent", "Maximum", loadPeriodMinutes*minute, "memory", dashboard.Blue),
				h.grouped(o.MetricsNamespace, "disk_used_percent", "Maximum", loadPeriodMinutes*minute, "fullest disk", dashboard.Orange),
			},
			Thresholds: capacityLines(o.MemoryPercent, o.DiskPercent),
		})
	}
	rows := []dashboard.Row{{title}, row}
	if o.LogGroup == nil {
		return rows
	}
	return append(rows, dashboard.Row{
		dashboard.Graph{
			Size: size, Title: h.name + ": logins", Unit: "logins in 10 minutes",
			Metrics: []dashboard.Metric{
				h.own("Accepted", "Sum", promisePeriodMinutes*minute, "accepted", dashboard.Blue),
				h.own("FailedKeys", "Sum", promisePeriodMinutes*minute, "refused keys", dashboard.Orange),
				h.own("InvalidUsers", "Sum", promisePeriodMinutes*minute, "unknown names", dashboard.Purple),
			},
			Thresholds: loginLines(o.FailedKeysPerTenMinutes, o.InvalidUsersPerTenMinutes),
		},
		dashboard.Graph{
			Size: size, Title: h.name + ": how late records arrive", Unit: "milliseconds",
			Metrics:    []dashboard.Metric{h.own("Arrival", "Maximum", promisePeriodMinutes*minute, "slowest", dashboard.Blue)},
			Thresholds: []dashboard.Threshold{{Value: lagLimit, Label: "the check fails"}},
		},
		dashboard.Graph{Size: size, Title: h.name + ": checks and broken promises", Unit: "lines", Metrics: []dashboard.Metric{
			h.own("Checks", "Sum", promisePeriodMinutes*minute, "checks", dashboard.Green),
			h.own("Broken", "Sum", promisePeriodMinutes*minute, "broken promises", dashboard.Red),
		}},
	})
}

// arrival is the host's check that a session and a line of the journal arrive. How
// long it takes is how late records are.
const arrival = `{ ($.postern = "check") && ($.name = "shipping") }`

// measured makes a metric of a number in lines of the host.
func (h *watched) measured(id, pattern, value string) {
	name := id + " " + h.path
	newMetricFilter(h.scope, id, h.group(settings.LogHost), pattern, &awslogs.CfnMetricFilter_MetricTransformationProperty{
		MetricNamespace: &h.options.MetricsNamespace, MetricName: &name, MetricValue: &value, Unit: jsii.String("Milliseconds"),
	})
}

// loginLines are one line where both alarms go off at the same number.
func loginLines(keys, names int) []dashboard.Threshold {
	if keys == names {
		return []dashboard.Threshold{{Value: float64(keys), Label: "alarms"}}
	}
	return []dashboard.Threshold{
		{Value: float64(keys), Label: "alarm: keys", Color: dashboard.Orange}, {Value: float64(names), Label: "alarm: names", Color: dashboard.Purple},
	}
}

// capacityLines are in the colors of what they are for. Where they are near each
// other one label is enough, as two could not be read.
func capacityLines(memory, disk int) []dashboard.Threshold {
	list := []dashboard.Threshold{
		{Value: float64(memory), Label: "alarm: memory", Color: dashboard.Blue}, {Value: float64(disk), Label: "alarm: disk", Color: dashboard.Orange},
	}
	if apart := memory - disk; apart < labelled && -apart < labelled {
		list[0].Label, list[1].Label = "alarms", ""
	}
	return list
}

// grouped is a metric of the host's group.
func (h *watched) grouped(namespace, name, statistic string, period int, label string, color dashboard.Color) dashboard.Metric {
	return dashboard.Metric{
		Namespace: namespace, Name: name, Dimensions: []dashboard.Dimension{{Name: "AutoScalingGroupName", Value: h.notice.group}},
		Statistic: statistic, Period: period, Label: label, Color: color,
	}
}

// own is a metric that the host's lines are counted in.
func (h *watched) own(id, statistic string, period int, label string, color dashboard.Color) dashboard.Metric {
	return dashboard.Metric{
		Namespace: h.options.MetricsNamespace, Name: id + " " + h.path, Statistic: statistic, Period: period, Label: label, Color: color,
	}
}

// widgets shows how often the rules of the teller had something to tell.
func (t *teller) widgets(_, counted string) {
	n := noticed{label: counted}
	for _, r := range t.rules {
		n.rules = append(n.rules, *r.name)
	}
	t.watch.notices = append(t.watch.notices, n)
}

// CostLine is one line of what the ways in cost.
type CostLine struct {
	// What is paid for.
	What string
	// USD a month.
	USD float64
}

// ShowCost shows on the dashboard what the ways in cost a month: lines, their sum,
// and a note on what the figure is, such as of which day the prices are.
// CloudWatch's own metric of estimated charges is no substitute: it has no value
// before billing alerts are switched on in the payer's account, and is only in
// us-east-1
// (docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/monitor_estimated_charges_with_cloudwatch.html).
func (w *Watch) ShowCost(lines []CostLine, note string) {
	var b strings.Builder
	total := 0.0
	b.WriteString("### What it costs\n\n| | USD a month |\n|:--|--:|\n")
	for _, line := range lines {
		fmt.Fprintf(&b, "| %s | %.2f |\n", line.What, line.USD)
		total += line.USD
	}
	fmt.Fprintf(&b, "| **Together** | **%.2f** |\n\n%s", total, note)
	w.cost = b.String()
}
