package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // so that a time zone is known or not whatever the machine has installed
)

// TimeZone accepts what the IANA time zone database names, nothing, and tokens.
func TimeZone(name string) *Fault {
	if name == "" || Token(name) {
		return nil
	}
	if _, err := time.LoadLocation(name); err != nil || name == "Local" {
		return &Fault{
			Problem: fmt.Sprintf("%q is not a time zone", name),
			Fix:     "use a name of the IANA time zone database, such as Europe/Berlin, or none for UTC",
		}
	}
	return nil
}

// cronField is what one of the five fields may hold.
type cronField struct {
	name      string
	low, high int
	names     []string // names[0] stands for low
}

var cronFields = []cronField{
	{name: "minute", low: 0, high: 59},
	{name: "hour", low: 0, high: 23},
	{name: "day of month", low: 1, high: 31},
	{name: "month", low: 1, high: 12, names: []string{
		"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
	}},
	{name: "day of week", low: 0, high: 6, names: []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}},
}

// Cron accepts the expressions that EC2 Auto Scaling takes: five fields of
// numbers, names, ranges, lists and steps; and tokens.
// See https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-scheduled-scaling.html.
func Cron(expression string) *Fault {
	if Token(expression) {
		return nil
	}
	fields := strings.Fields(expression)
	if len(fields) != len(cronFields) {
		return &Fault{
			Problem: fmt.Sprintf("%q has %d fields", expression, len(fields)),
			Fix:     `write five: minute, hour, day of month, month, day of week, such as "0 7 * * MON-FRI"`,
		}
	}
	for i, field := range cronFields {
		for _, item := range strings.Split(fields[i], ",") {
			if !field.accepts(item) {
				return &Fault{
					Problem: fmt.Sprintf("%q cannot be the %s in %q", item, field.name, expression),
					Fix:     field.hint(),
				}
			}
		}
	}
	return nil
}

func (f cronField) hint() string {
	hint := fmt.Sprintf("use %d to %d", f.low, f.high)
	if f.names != nil {
		hint += fmt.Sprintf(", %s to %s", f.names[0], f.names[len(f.names)-1])
	}
	return hint + ", a range such as 1-5, or *"
}

func (f cronField) accepts(item string) bool {
	span, step, stepped := strings.Cut(item, "/")
	if stepped {
		if n, err := strconv.Atoi(step); err != nil || n < 1 || n > f.high {
			return false
		}
	}
	if span == "*" {
		return true
	}
	first, last, ranged := strings.Cut(span, "-")
	from, ok := f.value(first)
	if !ok {
		return false
	}
	if !ranged {
		return !stepped
	}
	to, ok := f.value(last)
	return ok && from <= to
}

func (f cronField) value(s string) (int, bool) {
	if i := slices.Index(f.names, strings.ToUpper(s)); i >= 0 {
		return f.low + i, true
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= f.low && n <= f.high && !strings.HasPrefix(s, "+")
}
