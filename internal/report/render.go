package report

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	pretty "github.com/jedib0t/go-pretty/v6/text"

	"github.com/postern-cdk/postern/internal/cost"
	"github.com/postern-cdk/postern/internal/words"
)

// Width is the most columns that a line takes, commands apart: those must stay
// in one piece to be pasted.
const Width = 100

// Widths of the columns of a row; together with the indent and the gaps they
// make Width.
const (
	whatWidth   = 38
	stateWidth  = 14
	detailWidth = Width - whatWidth - stateWidth - 6
)

// Render writes the report as plain text, with terminal colours if asked.
func (r *Report) Render(w io.Writer, colours bool) error {
	p := &page{colours: colours}
	inv := r.Inventory
	p.line(p.bold("Postern: what stands behind " + inv.Where))
	p.line(fmt.Sprintf("account %s, region %s, %s read", inv.Account, inv.Region, words.Count(len(inv.Resources), "resource")))
	if len(inv.Stacks) > 0 {
		p.line("stacks " + strings.Join(inv.Stacks, ", "))
	}
	if inv.Local {
		p.line("A local model of CloudFormation: resources exist as state, nothing runs and nothing is billed.")
	}

	p.rows("Doors", r.Doors)
	p.rows("Who may", r.People)
	p.rows("Hosts", r.Hosts)
	p.rows("What is recorded", r.Records)
	p.rows("Who is told", r.Told)
	p.rows("What each costs a month", r.CostOf)
	p.bill(r.Cost, len(r.CostOf) > 0)
	p.commands(r.Commands)
	p.verdict(r)
	_, err := io.WriteString(w, p.b.String())
	return err
}

type page struct {
	b       strings.Builder
	colours bool
}

func (p *page) line(s string) {
	for _, l := range strings.Split(wrap(s, Width), "\n") {
		p.b.WriteString(strings.TrimRight(l, " "))
		p.b.WriteByte('\n')
	}
}

// wrap breaks lines at spaces, and within a word only where it must. It keeps
// the breaks that are there, which go-pretty's would join.
func wrap(s string, width int) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = pretty.WrapSoft(l, width)
	}
	return strings.Join(lines, "\n")
}

func (p *page) heading(s string) {
	p.b.WriteByte('\n')
	p.line(p.bold(s))
}

// columns writes an aligned, indented table.
func (p *page) columns(rows []table.Row, configs []table.ColumnConfig) {
	t := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "  ", ""
	t.SetStyle(style)
	t.SetColumnConfigs(configs)
	t.AppendRows(rows)
	for _, l := range strings.Split(t.Render(), "\n") {
		p.b.WriteString(strings.TrimRight(l, " "))
		p.b.WriteByte('\n')
	}
}

func (p *page) rows(title string, list []Row) {
	if len(list) == 0 {
		return
	}
	p.heading(title)
	rows := make([]table.Row, len(list))
	for i, row := range list {
		rows[i] = table.Row{row.What, p.state(row.State), row.Detail}
	}
	p.columns(rows, []table.ColumnConfig{
		{Number: 1, WidthMin: whatWidth, WidthMax: whatWidth, WidthMaxEnforcer: wrap},
		{Number: 2, WidthMin: stateWidth, WidthMax: stateWidth, WidthMaxEnforcer: wrap},
		{Number: 3, WidthMax: detailWidth, WidthMaxEnforcer: wrap},
	})
}

func (p *page) bill(lines cost.Lines, detailed bool) {
	if len(lines) == 0 {
		return
	}
	if detailed {
		p.heading("What that is made of")
	} else {
		p.heading("What it costs a month")
	}
	var rows []table.Row
	var sources []string
	for _, line := range lines {
		if line.ByUse() && line.USD < 0.005 {
			continue // which the sum has, and nobody would miss
		}
		sources = append(sources, line.Price.Source)
		what, more, _ := strings.Cut(line.Price.What, ", ")
		amount, note := dollars(line.USD), line.Note
		if strings.HasPrefix(more, "plus ") {
			note = join(note, more)
		}
		switch {
		case !line.Known:
			what, amount = string(line.Part), "?"
			note = join(note, "not in the price table")
		case line.ByUse():
			amount = "~" + dollars(line.USD)
			note = join(price(line.Price.USD)+" a "+unitName(line.Price.Unit), note)
		}
		quantity := ""
		if line.Quantity > 0 && !line.Assumed {
			quantity = strconv.FormatFloat(math.Round(line.Quantity*1000)/1000, 'f', -1, 64)
			if line.Price.Unit == cost.GBMonth {
				quantity += " GB"
			}
		}
		rows = append(rows, table.Row{what, quantity, amount, note})
	}
	total := dollars(lines.Total())
	if len(lines.Unknown()) > 0 {
		total = "over " + total
	}
	rows = append(rows, table.Row{p.bold("Together, use and data transfer apart"), "", p.bold(total), ""},
		table.Row{"By use, as assumed", "", "~" + dollars(lines.Use()), ""})
	p.columns(rows, []table.ColumnConfig{
		{Number: 1, WidthMax: 45, WidthMaxEnforcer: wrap},
		{Number: 2, Align: pretty.AlignRight},
		{Number: 3, Align: pretty.AlignRight},
		{Number: 4, WidthMax: 34, WidthMaxEnforcer: wrap},
	})
	p.line(fmt.Sprintf("List prices of %s in US dollars, as of %s; %d hours a month; no tax, discount or free tier.",
		cost.Region, cost.AsOf.Format("2 January 2006"), cost.HoursPerMonth))
	known := sortedUnique(sources)
	if known[0] == "" {
		known = known[1:]
	}
	p.line("Sources: " + strings.Join(known, ", "))
}

func (p *page) commands(outputs []Output) {
	if len(outputs) == 0 {
		return
	}
	p.heading("To paste")
	for i, output := range outputs {
		if i > 0 {
			p.b.WriteByte('\n')
		}
		about := output.Description
		if about == "" {
			about = output.Stack + "." + output.Key
		}
		p.line("  # " + about)
		for _, l := range strings.Split(strings.TrimRight(output.Value, "\n"), "\n") {
			p.b.WriteString("  " + l + "\n")
		}
	}
}

func (p *page) verdict(r *Report) {
	p.heading("Verdict")
	for _, level := range []Level{Fail, Note} {
		for _, f := range r.Findings {
			if f.Level != level {
				continue
			}
			mark := p.paint(pretty.FgYellow, "note")
			if level == Fail {
				mark = p.paint(pretty.FgRed, "FAIL")
			}
			p.columns([]table.Row{{mark, f.What + "\n" + f.Fix + "."}}, []table.ColumnConfig{
				{Number: 2, WidthMax: Width - 8, WidthMaxEnforcer: wrap},
			})
		}
	}
	if r.Safe() {
		p.line("  " + p.paint(pretty.FgGreen, "GOOD") + "  Nothing found that a reviewer would have to refuse.")
		return
	}
	p.line("  " + p.paint(pretty.FgRed, "BAD") + "   Don't let people through before what FAILs above is mended.")
}

// state colours a state by what it means: loud words are bad news.
func (p *page) state(s string) string {
	switch {
	case s == "":
		return s
	case s == strings.ToUpper(s) && strings.ToLower(s) != s:
		return p.paint(pretty.FgRed, s)
	case s == closed:
		return p.paint(pretty.Faint, s)
	default:
		return p.paint(pretty.FgGreen, s)
	}
}

func (p *page) bold(s string) string { return p.paint(pretty.Bold, s) }

// paint writes the escape codes itself: go-pretty would ask the environment,
// and the caller has already decided.
func (p *page) paint(c pretty.Color, s string) string {
	if !p.colours {
		return s
	}
	return c.EscapeSeq() + s + pretty.EscapeReset
}

func dollars(usd float64) string { return fmt.Sprintf("$%.2f", usd) }

// price keeps the fraction of a cent that a unit may cost.
func price(usd float64) string {
	if usd*100 == math.Trunc(usd*100) {
		return dollars(usd)
	}
	return fmt.Sprintf("$%g", usd)
}

func unitName(u cost.Unit) string {
	if u == cost.GBMonth {
		return "GB a month"
	}
	return string(u)
}

func join(parts ...string) string {
	var full []string
	for _, part := range parts {
		if part != "" {
			full = append(full, part)
		}
	}
	return strings.Join(full, ", ")
}
