// Package dashboard is what a CloudWatch dashboard shows, as plain values: widgets
// in rows, laid out on the 24 columns. It knows nothing of the CDK; texts may be
// tokens.
//
// docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
package dashboard

import (
	"fmt"
	"strings"
)

// Columns is how wide a dashboard is.
const Columns = 24

// Color is of a line, as #RRGGBB.
type Color string

// The colors, told apart by those who can't tell red from green, and light enough
// for the dark theme.
const (
	Blue   Color = "#1f77b4"
	Orange Color = "#ff7f0e"
	Green  Color = "#2ca02c"
	Red    Color = "#d62728"
	Purple Color = "#9467bd"
	Gray   Color = "#7f7f7f"
)

// Widget is one field of a dashboard.
type Widget interface {
	// body is the widget without its place.
	body(region string) (kind string, properties map[string]any)
	size() Size
}

// Size in columns and in rows of the grid.
type Size struct{ Width, Height int }

func (s Size) size() Size { return s }

// Dimension of a metric.
type Dimension struct{ Name, Value string }

// Metric is one line, or one number.
type Metric struct {
	// Namespace, Name and Dimensions say which. They are empty for an Expression.
	Namespace, Name string
	Dimensions      []Dimension
	// Expression is computed from the IDs of other metrics.
	Expression string
	// ID is the name for expressions.
	ID string
	// Label is what people read.
	Label string
	// Statistic, such as Sum.
	Statistic string
	// Period in seconds.
	Period int
	// Color. "": CloudWatch chooses.
	Color Color
	// Hidden metrics are only for expressions.
	Hidden bool
	// Right puts it on the right axis.
	Right bool
}

func (m Metric) row() []any {
	options := map[string]any{}
	put(options, "label", m.Label)
	put(options, "stat", m.Statistic)
	put(options, "color", string(m.Color))
	put(options, "id", m.ID)
	if m.Period > 0 {
		options["period"] = m.Period
	}
	if m.Hidden {
		options["visible"] = false
	}
	if m.Right {
		options["yAxis"] = "right"
	}
	if m.Expression != "" {
		options["expression"] = m.Expression
		return []any{options}
	}
	row := []any{m.Namespace, m.Name}
	for _, d := range m.Dimensions {
		row = append(row, d.Name, d.Value)
	}
	return append(row, options)
}

func rows(metrics []Metric) []any {
	list := []any{}
	for _, m := range metrics {
		list = append(list, m.row())
	}
	return list
}

// Threshold is a line across a graph: where an alarm goes off.
type Threshold struct {
	Value float64
	Label string
	// Color. "": red.
	Color Color
}

// Graph shows metrics over time.
type Graph struct {
	Size
	Title      string
	Metrics    []Metric
	Thresholds []Threshold
	// Unit is written on the left axis, and RightUnit on the right.
	Unit, RightUnit string
	// Max is where the left axis ends. 0: with the highest value.
	Max float64
	// Stacked adds the metrics up, for what is counted.
	Stacked bool
}

func (g Graph) body(region string) (string, map[string]any) {
	left := map[string]any{"min": 0, "showUnits": false}
	put(left, "label", g.Unit)
	if g.Max > 0 {
		left["max"] = g.Max
	}
	axes := map[string]any{"left": left}
	if g.RightUnit != "" {
		axes["right"] = map[string]any{"min": 0, "showUnits": false, "label": g.RightUnit}
	}
	properties := map[string]any{
		"title": g.Title, "region": region, "view": "timeSeries", "stacked": g.Stacked,
		"metrics": rows(g.Metrics), "yAxis": axes, "legend": map[string]any{"position": "bottom"},
	}
	if len(g.Thresholds) > 0 {
		lines := []any{}
		for _, t := range g.Thresholds {
			color := t.Color
			if color == "" {
				color = Red
			}
			line := map[string]any{"value": t.Value, "color": string(color)}
			put(line, "label", t.Label)
			lines = append(lines, line)
		}
		properties["annotations"] = map[string]any{"horizontal": lines}
	}
	return "metric", properties
}

// Number shows the newest value of metrics in large digits.
type Number struct {
	Size
	Title   string
	Metrics []Metric
	// Whole counts over the whole time that the dashboard shows.
	Whole bool
	// Trend draws how the value came about behind it.
	Trend bool
}

func (n Number) body(region string) (string, map[string]any) {
	properties := map[string]any{
		"title": n.Title, "region": region, "view": "singleValue", "metrics": rows(n.Metrics), "sparkline": n.Trend,
	}
	if n.Whole {
		properties["setPeriodToTimeRange"] = true
	}
	return "metric", properties
}

// Alarms shows the states of alarms, those that went off first.
type Alarms struct {
	Size
	Title string
	Arns  []string
}

func (a Alarms) body(string) (string, map[string]any) {
	return "alarm", map[string]any{"title": a.Title, "alarms": a.Arns, "sortBy": "stateUpdatedTimestamp"}
}

// Log is the answer to a query of Logs Insights.
type Log struct {
	Size
	Title string
	// Groups are the names of the log groups.
	Groups []string
	Query  string
}

func (l Log) body(region string) (string, map[string]any) {
	var b strings.Builder
	for _, group := range l.Groups {
		fmt.Fprintf(&b, "SOURCE '%s' | ", group)
	}
	return "log", map[string]any{"title": l.Title, "region": region, "view": "table", "query": b.String() + l.Query}
}

// Text is Markdown.
type Text struct {
	Size
	Markdown string
	// Plain leaves out the frame.
	Plain bool
}

func (t Text) body(string) (string, map[string]any) {
	properties := map[string]any{"markdown": t.Markdown}
	if t.Plain {
		properties["background"] = "transparent"
	}
	return "text", properties
}

// Row is widgets side by side. What does not fit goes below.
type Row []Widget

// Body is the widgets of a dashboard, rows from top to bottom.
func Body(rows []Row, region string) []any {
	body := []any{}
	y := 0
	for _, row := range rows {
		x, tallest := 0, 0
		for _, widget := range row {
			size := widget.size()
			if x+size.Width > Columns {
				x, y, tallest = 0, y+tallest, 0
			}
			kind, properties := widget.body(region)
			body = append(body, map[string]any{
				"type": kind, "x": x, "y": y, "width": size.Width, "height": size.Height, "properties": properties,
			})
			x += size.Width
			tallest = max(tallest, size.Height)
		}
		y += tallest
	}
	return body
}

// Height is how many rows of the grid a body takes.
func Height(rows []Row) int {
	bottom := 0
	for _, widget := range Body(rows, "") {
		w := widget.(map[string]any)
		bottom = max(bottom, w["y"].(int)+w["height"].(int))
	}
	return bottom
}

func put(to map[string]any, key, value string) {
	if value != "" {
		to[key] = value
	}
}
