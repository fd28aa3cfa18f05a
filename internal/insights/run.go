package insights

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Cell is a field of a row in a result.
type Cell struct{ Field, Value string }

// Row of a result. Fields that an event doesn't have are left out.
type Row []Cell

// Get is the value of a field, or "".
func (r Row) Get(field string) string {
	for _, c := range r {
		if c.Field == field {
			return c.Value
		}
	}
	return ""
}

// Result of a query.
type Result []Row

// String is a result as lines of field=value.
func (r Result) String() string {
	var b strings.Builder
	for _, row := range r {
		for i, c := range row {
			if i > 0 {
				b.WriteString("  ")
			}
			b.WriteString(c.Field + "=" + c.Value)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// table is the rows of a query, and what it shows of them.
type table struct {
	rows    []*row
	shown   []string
	ordered bool
}

type command interface{ apply(*table) error }

// defaultLimit is how many rows there are without limit.
const defaultLimit = 10_000

// Run answers a query over events. Without sort, events come with the latest first.
func (q *Query) Run(events []Event) (Result, error) {
	t := &table{}
	for _, e := range events {
		r, err := rowOf(e)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", e.Stream, e.Time.UTC().Format("15:04:05"), err)
		}
		t.rows = append(t.rows, r)
	}
	for i, c := range q.commands {
		_, last := c.(limit)
		_, unique := c.(*dedup)
		if (last || unique) && !t.ordered {
			if err := latestFirst(t); err != nil {
				return nil, err
			}
		}
		if err := c.apply(t); err != nil {
			return nil, fmt.Errorf("command %d: %w", i+1, err)
		}
	}
	if !t.ordered {
		if err := latestFirst(t); err != nil {
			return nil, err
		}
	}
	if len(t.rows) > defaultLimit {
		t.rows = t.rows[:defaultLimit]
	}
	if t.shown == nil {
		t.shown = []string{"@timestamp", "@message"}
	}
	result := make(Result, 0, len(t.rows))
	for _, r := range t.rows {
		var cells Row
		for _, name := range t.shown {
			v, err := r.usable(name)
			if err != nil {
				return nil, err
			}
			if v.kind != missing {
				cells = append(cells, Cell{name, v.String()})
			}
		}
		result = append(result, cells)
	}
	return result, nil
}

func latestFirst(t *table) error {
	for _, r := range t.rows {
		if _, there := r.values["@timestamp"]; !there {
			return errors.New("the order of groups is open: sort them")
		}
	}
	return (&order{by: []key{{of: "@timestamp", down: true}}}).apply(t)
}

// show is one field of the command fields.
type show struct {
	of    expression
	as    string
	alias bool
}

func (s *show) apply(t *table) error {
	if !slices.Contains(t.shown, s.as) {
		t.shown = append(t.shown, s.as)
	}
	if !s.alias {
		return nil
	}
	return each(t, func(r *row) error {
		v, err := s.of.eval(r)
		if err == nil && v.kind != missing {
			r.values[s.as] = v
		}
		return err
	})
}

func each(t *table, do func(*row) error) error {
	for _, r := range t.rows {
		if err := do(r); err != nil {
			return err
		}
	}
	return nil
}

type display struct{ names []string }

func (d *display) apply(t *table) error {
	t.shown = d.names
	return nil
}

type filter struct{ of condition }

func (f *filter) apply(t *table) error {
	kept := t.rows[:0:0]
	for _, r := range t.rows {
		is, err := f.of.judge(r)
		if err != nil {
			return err
		}
		if is == yes {
			kept = append(kept, r)
		}
		if is == unknown {
			return fmt.Errorf("filter: what a missing field means to != or not is not documented: ask isPresent first, for %s", r.values["@message"])
		}
	}
	t.rows = kept
	return nil
}

// extract is the command parse. Where nothing matches, there are no such fields.
type extract struct {
	from    string
	pattern *regexp.Regexp
	names   []string
}

func (e *extract) apply(t *table) error {
	return each(t, func(r *row) error {
		v, err := r.usable(e.from)
		if err != nil || v.kind == missing {
			return err
		}
		for _, n := range e.names {
			if _, there := r.values[n]; there {
				return fmt.Errorf("parse: %s is a field of a line already", n)
			}
		}
		found := e.pattern.FindStringSubmatchIndex(v.String())
		if found == nil {
			return nil
		}
		for i, n := range e.names {
			if from, to := found[2*i+2], found[2*i+3]; from >= 0 {
				r.values[n] = textOf(v.String()[from:to])
			}
		}
		return nil
	})
}

type aggregate struct {
	function string
	of       expression // nil: all rows
	as       string
}

type grouping struct {
	of expression
	as string
}

type stats struct {
	of   []aggregate
	by   []grouping
	only map[string]bool
}

func (s *stats) apply(t *table) error {
	groups := map[string][]*row{}
	keys := map[string][]value{}
	var sequence []string
	for _, r := range t.rows {
		var id strings.Builder
		var by []value
		for _, g := range s.by {
			v, err := g.of.eval(r)
			if err != nil {
				return err
			}
			if v.kind == missing {
				return fmt.Errorf("stats: %s is missing in a row: how that groups is not documented, filter by isPresent", g.as)
			}
			by = append(by, v)
			id.WriteString(strconv.Quote(v.String()))
		}
		if _, seen := groups[id.String()]; !seen {
			sequence = append(sequence, id.String())
			keys[id.String()] = by
		}
		groups[id.String()] = append(groups[id.String()], r)
	}
	t.rows, t.shown, t.ordered = nil, nil, false
	for _, id := range sequence {
		made := &row{values: map[string]value{}}
		for i, g := range s.by {
			made.values[g.as] = keys[id][i]
		}
		for _, a := range s.of {
			v, err := a.over(groups[id])
			if err != nil {
				return err
			}
			if v.kind != missing {
				made.values[a.as] = v
			}
		}
		t.rows = append(t.rows, made)
	}
	for _, g := range s.by {
		t.shown = append(t.shown, g.as)
	}
	for _, a := range s.of {
		t.shown = append(t.shown, a.as)
	}
	return nil
}

func (a *aggregate) over(rows []*row) (value, error) {
	if a.of == nil {
		return numberOf(float64(len(rows))), nil
	}
	if a.function == "earliest" || a.function == "latest" {
		return a.at(rows)
	}
	var values []value
	for _, r := range rows {
		v, err := a.of.eval(r)
		if err != nil {
			return v, err
		}
		if v.kind != missing {
			values = append(values, v)
		}
	}
	switch a.function {
	case "count":
		return numberOf(float64(len(values))), nil
	case "count_distinct":
		seen := map[string]bool{}
		for _, v := range values {
			seen[v.String()] = true
		}
		return numberOf(float64(len(seen))), nil
	}
	var best value
	var sum float64
	for i, v := range values {
		n, counts := v.number()
		if !counts {
			return v, fmt.Errorf("%s: %q is no number", a.function, v)
		}
		sum += n
		if bn, _ := best.number(); i == 0 || a.function == "min" && n < bn || a.function == "max" && n > bn {
			best = v
		}
	}
	switch {
	case len(values) == 0:
		return value{}, nil
	case a.function == "sum":
		return numberOf(sum), nil
	case a.function == "avg":
		return numberOf(sum / float64(len(values))), nil
	default:
		return best, nil
	}
}

// at is the value in the earliest or latest of some rows.
func (a *aggregate) at(rows []*row) (value, error) {
	var best value
	var when float64
	for i, r := range rows {
		v, err := a.of.eval(r)
		if err != nil {
			return v, err
		}
		at := r.values["@timestamp"].num
		switch {
		case i == 0 || a.function == "earliest" && at < when || a.function == "latest" && at > when:
			best, when = v, at
		case at == when && v != best:
			return v, fmt.Errorf("%s: %q and %q are of the same time", a.function, best, v)
		}
	}
	return best, nil
}

type key struct {
	of   field
	down bool
}

type order struct{ by []key }

func (o *order) apply(t *table) error {
	for _, k := range o.by {
		if err := each(t, func(r *row) error {
			v, err := r.usable(string(k.of))
			if err == nil && v.kind == missing {
				err = fmt.Errorf("sort: %s is missing in a row: where that goes is not documented", k.of)
			}
			return err
		}); err != nil {
			return err
		}
	}
	slices.SortStableFunc(t.rows, func(a, b *row) int {
		for _, k := range o.by {
			c := natural(a.values[string(k.of)], b.values[string(k.of)])
			if k.down {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
	t.ordered = true
	return nil
}

// natural is the ascending order of sort: text before numbers, numbers by value,
// text by runs of digits, which count, and of other characters, which compare by
// their codes.
//
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-Sort.html
func natural(a, b value) int {
	an, aCounts := a.number()
	bn, bCounts := b.number()
	switch {
	case aCounts && bCounts:
		return cmp.Compare(an, bn)
	case aCounts:
		return 1
	case bCounts:
		return -1
	}
	as, bs := runs.FindAllString(a.String(), -1), runs.FindAllString(b.String(), -1)
	for i := 0; i < len(as) && i < len(bs); i++ {
		x, y := as[i], bs[i]
		if digit(x[0]) && digit(y[0]) && len(x) != len(y) {
			return cmp.Compare(len(x), len(y))
		}
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(as), len(bs))
}

var runs = regexp.MustCompile(`[0-9]+|[^0-9]+`)

type limit int

func (l limit) apply(t *table) error {
	t.rows = t.rows[:min(len(t.rows), int(l))]
	return nil
}

// dedup keeps the first row of each combination; rows in which one is missing stay.
type dedup struct{ by []field }

func (d *dedup) apply(t *table) error {
	seen := map[string]bool{}
	kept := t.rows[:0:0]
	for _, r := range t.rows {
		var id strings.Builder
		whole := true
		for _, f := range d.by {
			v, err := f.eval(r)
			if err != nil {
				return err
			}
			whole = whole && v.kind != missing
			id.WriteString(strconv.Quote(v.String()))
		}
		if whole && seen[id.String()] {
			continue
		}
		seen[id.String()] = whole
		kept = append(kept, r)
	}
	t.rows = kept
	return nil
}
