package bastion

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // so that a time zone is known or not whatever the machine has installed

	"github.com/postern-cdk/postern/internal/check"
)

// Schedule runs the bastion at working hours only. Both times are five-field
// cron expressions: minute, hour, day of month, month, day of week. Auto
// Scaling may act up to two minutes late.
// See https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-scheduled-scaling.html.
type Schedule struct {
	// Start brings the bastion up, such as "0 7 * * MON-FRI". Required with Stop.
	Start string
	// Stop takes the bastion down to no instance, such as "0 19 * * MON-FRI".
	// Sessions that are open then end. Required with Start.
	Stop string
	// TimeZone that Start and Stop are meant in, as the IANA names it, such as
	// "Europe/Berlin". Follows daylight saving time. Defaults to UTC.
	TimeZone string
}

func (s Schedule) set() bool { return s != Schedule{} }

func (s Schedule) validate() error {
	var faults check.Faults
	if !s.set() {
		return nil
	}
	if s.Start == "" {
		faults.Add("Start", "is missing", `say when the bastion comes up, such as "0 7 * * MON-FRI"`)
	} else {
		faults.Check("Start", cron(s.Start))
	}
	if s.Stop == "" {
		faults.Add("Stop", "is missing", `say when the bastion goes down, such as "0 19 * * MON-FRI"`)
	} else {
		faults.Check("Stop", cron(s.Stop))
	}
	if s.Start != "" && s.Start == s.Stop {
		faults.Addf("Stop", "use two different times", "%q is also the start", s.Stop)
	}
	faults.Check("TimeZone", timeZone(s.TimeZone))
	return faults.Err()
}

func timeZone(name string) *check.Fault {
	if name == "" || check.Token(name) {
		return nil
	}
	if _, err := time.LoadLocation(name); err != nil || name == "Local" {
		return &check.Fault{
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

// cron accepts the expressions that EC2 Auto Scaling takes: five fields of
// numbers, names, ranges, lists and steps.
func cron(expression string) *check.Fault {
	if check.Token(expression) {
		return nil
	}
	fields := strings.Fields(expression)
	if len(fields) != len(cronFields) {
		return &check.Fault{
			Problem: fmt.Sprintf("%q has %d fields", expression, len(fields)),
			Fix:     `write five: minute, hour, day of month, month, day of week, such as "0 7 * * MON-FRI"`,
		}
	}
	for i, field := range cronFields {
		for _, item := range strings.Split(fields[i], ",") {
			if !field.accepts(item) {
				return &check.Fault{
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
