// Package sketch draws a CloudWatch dashboard as an SVG picture, so that a reader
// of the documentation sees what it looks like. It is a sketch: the layout, titles,
// axes and thresholds are the dashboard's, the values are made up.
package sketch

import (
	"encoding/json"
	"fmt"
	"html"
	"math"
	"path"
	"regexp"
	"strings"
)

const (
	column = 50 // pixels
	row    = 40
	gap    = 8
	top    = 34 // for what says that it is a sketch
	margin = 12
)

// The colors that CloudWatch gives in turn.
var palette = []string{"#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f"}

const (
	ink    = "#16191f"
	faint  = "#687078"
	lines  = "#e4e7ea"
	page   = "#f2f3f3"
	card   = "#ffffff"
	border = "#d5dbdb"
	link   = "#0073bb"
	red    = "#d13212"
	green  = "#1d8102"
)

type widget struct {
	Type                string
	X, Y, Width, Height int
	Properties          properties
}

type properties struct {
	Title, View, Markdown, Background, Query string
	Metrics                                  [][]any
	Alarms                                   []string
	Stacked, Sparkline                       bool
	Annotations                              struct {
		Horizontal []struct {
			Value float64
			Label string
			Color string
		}
	}
	YAxis struct {
		Left struct {
			Label string
			Max   float64
		}
	}
}

// SVG draws the body of a dashboard.
func SVG(body []byte) ([]byte, error) {
	var dashboard struct{ Widgets []widget }
	if err := json.Unmarshal(body, &dashboard); err != nil {
		return nil, fmt.Errorf("no body of a dashboard: %w", err)
	}
	bottom := 0
	for _, w := range dashboard.Widgets {
		bottom = max(bottom, w.Y+w.Height)
	}
	width, height := 24*column+2*margin, top+bottom*row+2*margin
	c := &canvas{}
	c.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="Helvetica, Arial, 'DejaVu Sans', sans-serif">`,
		width, height, width, height)
	c.printf(`<title>A sketch of the dashboard, with made-up values</title>`)
	c.printf(`<rect width="%d" height="%d" fill="%s"/>`, width, height, page)
	c.printf(`<rect width="%d" height="%d" fill="#fbf3d5"/>`, width, top)
	c.text(margin, 22, 13, "#6b5300", "", "SKETCH. Layout, titles, axes and thresholds are the dashboard's; names, values and states are made up.")
	for _, w := range dashboard.Widgets {
		b := box{
			x: margin + float64(w.X*column) + gap/2, y: top + margin + float64(w.Y*row) + gap/2,
			w: float64(w.Width*column) - gap, h: float64(w.Height*row) - gap,
		}
		c.widget(w, b)
	}
	c.printf(`</svg>`)
	return []byte(c.b.String()), nil
}

type box struct{ x, y, w, h float64 }

type canvas struct{ b strings.Builder }

func (c *canvas) printf(format string, args ...any) { fmt.Fprintf(&c.b, format+"\n", args...) }

// text writes from x on the line at y; style has further attributes.
func (c *canvas) text(x, y, size float64, color, style, text string) {
	c.printf(`<text x="%.1f" y="%.1f" font-size="%.4g" fill="%s"%s>%s</text>`, x, y, size, color, style, html.EscapeString(text))
}

const (
	bold   = ` font-weight="bold"`
	atEnd  = ` text-anchor="end"`
	middle = ` text-anchor="middle"`
)

func (c *canvas) widget(w widget, b box) {
	p := &w.Properties
	if p.Background != "transparent" {
		c.printf(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="6" fill="%s" stroke="%s"/>`, b.x, b.y, b.w, b.h, card, border)
	}
	if p.Title != "" {
		c.text(b.x+12, b.y+20, 13, ink, bold, clip(p.Title, b.w-24, 13))
	}
	inside := box{x: b.x + 12, y: b.y + 30, w: b.w - 24, h: b.h - 40}
	switch {
	case w.Type == "text":
		c.markdown(p.Markdown, box{x: b.x + 12, y: b.y, w: b.w - 24, h: b.h})
	case w.Type == "alarm":
		c.alarms(p.Alarms, inside)
	case w.Type == "log":
		c.table(p.Query, inside)
	case p.View == "singleValue":
		c.numbers(p, inside)
	default:
		c.graph(p, inside)
	}
}

// clip is a text as far as it fits.
func clip(text string, width, size float64) string {
	most := int(width / (size * 0.56))
	letters := []rune(text)
	if len(letters) <= most {
		return text
	}
	return string(letters[:max(0, most-1)]) + "…"
}

type line struct {
	name, label, color, statistic string
	values                        []float64
}

var identifier = regexp.MustCompile(`\b[a-z]\w*`)

// read is the metrics that are drawn; expressions are the sum of what is in them.
func read(metrics [][]any) []line {
	var list []line
	known := map[string]line{}
	for _, m := range metrics {
		options, _ := m[len(m)-1].(map[string]any)
		text := func(key string) string { value, _ := options[key].(string); return value }
		l := line{label: text("label"), color: text("color"), statistic: text("stat")}
		if len(m) > 1 {
			l.name, _ = m[1].(string)
		}
		if l.label == "" {
			l.label = l.name
		}
		if l.color == "" {
			l.color = palette[len(list)%len(palette)]
		}
		l.values = series(l.name, l.label)
		if expression := text("expression"); expression != "" {
			l.values, l.statistic = make([]float64, points), "Sum"
			for _, id := range identifier.FindAllString(expression, -1) {
				for i := range known[id].values {
					l.values[i] += known[id].values[i]
				}
			}
		}
		if id := text("id"); id != "" {
			known[id] = l
		}
		if options["visible"] != false {
			list = append(list, l)
		}
	}
	return list
}

func (c *canvas) graph(p *properties, b box) {
	drawn := read(p.Metrics)
	if p.Stacked {
		for i := 1; i < len(drawn); i++ {
			for j := range drawn[i].values {
				drawn[i].values[j] += drawn[i-1].values[j]
			}
		}
	}
	highest := p.YAxis.Left.Max
	if highest == 0 {
		for _, l := range drawn {
			for _, v := range l.values {
				highest = max(highest, v)
			}
		}
		for _, a := range p.Annotations.Horizontal {
			// A threshold far away would press the lines to the ground, in CloudWatch too.
			highest = max(highest, a.Value)
		}
		highest = nice(highest * 1.04)
	}
	area := box{x: b.x + 44, y: b.y + 6, w: b.w - 50, h: b.h - 46}
	y := func(value float64) float64 { return area.y + area.h*(1-min(value, highest)/highest) }
	if unit := p.YAxis.Left.Label; unit != "" {
		c.printf(`<text transform="translate(%.1f %.1f) rotate(-90)" font-size="10" fill="%s" text-anchor="middle">%s</text>`, b.x+4, area.y+area.h/2, faint, html.EscapeString(unit))
	}
	for i := range 3 {
		value := highest * float64(i) / 2
		c.printf(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`, area.x, y(value), area.x+area.w, y(value), lines)
		c.text(area.x-6, y(value)+3.5, 10, faint, atEnd, short(value))
	}
	for i, hour := range []string{"09:00", "10:00", "11:00", "12:00"} {
		style := middle
		if i == 3 {
			style = atEnd
		}
		c.text(area.x+area.w*float64(i)/3, area.y+area.h+14, 10, faint, style, hour)
	}
	for i := len(drawn) - 1; i >= 0; i-- {
		l := drawn[i]
		var d strings.Builder
		for j, value := range l.values {
			fmt.Fprintf(&d, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[j == 0], area.x+area.w*float64(j)/(points-1), y(value))
		}
		if p.Stacked {
			c.printf(`<path d="%sL%.1f %.1fL%.1f %.1fZ" fill="%s" fill-opacity="1"/>`, d.String(), area.x+area.w, area.y+area.h, area.x, area.y+area.h, l.color)
		} else {
			c.printf(`<path d="%s" fill="none" stroke="%s" stroke-width="1.6" stroke-linejoin="round"/>`, d.String(), l.color)
		}
	}
	for _, a := range p.Annotations.Horizontal {
		c.printf(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="1.2" stroke-dasharray="5 4"/>`, area.x, y(a.Value), area.x+area.w, y(a.Value), a.Color)
		c.text(area.x+4, y(a.Value)-4, 10, faint, "", a.Label)
	}
	c.legend(drawn, b.x, b.y+b.h, b.w)
}

func (c *canvas) legend(drawn []line, x, y, width float64) {
	at := x
	for i, l := range drawn {
		room := width / float64(len(drawn)-i)
		label := clip(l.label, max(room, x+width-at)-22, 10.5)
		need := 28 + float64(len([]rune(label)))*6.2
		if at+need > x+width+4 {
			c.text(at, y, 10.5, faint, "", fmt.Sprintf("+%d", len(drawn)-i))
			return
		}
		c.printf(`<rect x="%.1f" y="%.1f" width="10" height="10" rx="2" fill="%s"/>`, at, y-9, l.color)
		c.text(at+14, y, 10.5, ink, "", label)
		at += need
	}
}

func (c *canvas) numbers(p *properties, b box) {
	drawn := read(p.Metrics)
	each := b.w / float64(len(drawn))
	digits := min(34, each/3.2)
	for i, l := range drawn {
		x := b.x + float64(i)*each
		c.text(x, b.y+14, 11, faint, "", clip(l.label, each-10, 11))
		value := l.values[points-1]
		switch l.statistic {
		case "Sum":
			value = 0
			for _, v := range l.values {
				value += v
			}
		case "Maximum":
			for _, v := range l.values[points/3*2:] {
				value = max(value, v)
			}
		}
		c.text(x, b.y+52, digits, l.color, "", short(math.Round(value)))
		if !p.Sparkline {
			continue
		}
		highest := 1.0
		for _, v := range l.values {
			highest = max(highest, v)
		}
		var d strings.Builder
		for j, v := range l.values {
			fmt.Fprintf(&d, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[j == 0], x+(each-14)*float64(j)/(points-1), b.y+b.h-2-(b.h-62)*v/highest)
		}
		c.printf(`<path d="%s" fill="none" stroke="%s" stroke-opacity="0.6" stroke-width="1.4"/>`, d.String(), l.color)
	}
}

// alarms are a chip each; one that is made up to have gone off comes first.
func (c *canvas) alarms(arns []string, b box) {
	across := 2.0
	if b.w > 500 {
		across = 4
	}
	const high, space = 30.0, 8.0
	wide := (b.w - (across-1)*space) / across
	var off, fine []string
	for _, arn := range arns {
		if strings.Contains(arn, "FailedKeys") {
			off = append(off, arn)
		} else {
			fine = append(fine, arn)
		}
	}
	for i, arn := range append(off, fine...) {
		x, y := b.x+math.Mod(float64(i), across)*(wide+space), b.y+math.Floor(float64(i)/across)*(high+space)
		if y+high > b.y+b.h+16 {
			return
		}
		color, tint, mark := green, "#f2f8f0", "✓"
		if i < len(off) {
			color, tint, mark = red, "#fdf3f1", "!"
		}
		c.printf(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="4" fill="%s" stroke="%s"/>`, x, y, wide, high, tint, color)
		c.text(x+8, y+19.5, 12, color, bold, mark)
		c.text(x+23, y+19.5, 11, ink, "", clip(alarmName(arn), wide-28, 11))
	}
}

// alarmName is the last words of what an alarm is called.
func alarmName(arn string) string {
	words := regexp.MustCompile(`[A-Z]+[a-z0-9]*`).FindAllString(path.Base(arn), -1)
	if len(words) > 1 {
		words = words[1:] // the watch
	}
	return strings.Join(words, " ")
}

func nice(value float64) float64 {
	if value <= 0 {
		return 1
	}
	scale := math.Pow(10, math.Floor(math.Log10(value)))
	for _, step := range []float64{1, 2, 4, 5, 10} {
		if value <= step*scale {
			return step * scale
		}
	}
	return value
}

func short(value float64) string {
	switch {
	case value >= 10000:
		return fmt.Sprintf("%gk", math.Round(value/100)/10)
	case value == math.Trunc(value):
		return fmt.Sprintf("%.0f", value)
	default:
		return fmt.Sprintf("%.1f", value)
	}
}
