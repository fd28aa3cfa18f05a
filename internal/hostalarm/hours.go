package hostalarm

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Hours are when people work, in a time zone: from a minute of the day until another.
// Until before From is over midnight, and belongs to the day on which it begins.
type Hours struct {
	Zone        *time.Location
	Days        []time.Weekday
	From, Until int
}

// The metrics of [Hours.Expressions].
const (
	Logins = "logins" // accepted logins
	week   = "week"   // minutes since Monday 00:00 UTC
	moved  = "moved"  // 1 while the clocks are not at the first offset
)

const (
	minutesOfDay  = 24 * 60
	minutesOfWeek = 7 * minutesOfDay
)

// Clocks are known from the first to the last of these: the template must not change
// from one day to the next. After the last, clocks stay as they are then.
var (
	firstClock = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	lastClock  = time.Date(2038, 1, 1, 0, 0, 0, 0, time.UTC)
)

// An Expression of metric math, with an ID that others may name.
type Expression struct{ ID, Text string }

// Expressions count the logins outside of these hours, the last of them, by the time
// at which they were; the others are for it. Metric math knows the day, hour and minute
// of UTC only, and seconds since 1970: clocks that change are listed by those.
//
// docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
func (h Hours) Expressions() []Expression {
	list := []Expression{{week, fmt.Sprintf("(DAY(%[1]s) - 1) * %[2]d + HOUR(%[1]s) * 60 + MINUTE(%[1]s)", Logins, minutesOfDay)}}
	base, spans := h.clocks()
	inside := h.inside(base)
	text := fmt.Sprintf("IF(%s, 0, %s)", inside, Logins)
	if len(spans) > 0 {
		var when []string
		other := spans[0].offset
		for _, s := range spans {
			when = append(when, fmt.Sprintf("(EPOCH(%[1]s) >= %[2]d AND EPOCH(%[1]s) < %[3]d)", Logins, s.from, s.until))
		}
		list = append(list, Expression{moved, "IF(" + strings.Join(when, " OR ") + ", 1, 0)"})
		text = fmt.Sprintf("IF(%s > 0, IF(%s, 0, %s), IF(%s, 0, %s))", moved, h.inside(other), Logins, inside, Logins)
	}
	return append(list, Expression{"outside", text})
}

type span struct {
	offset      int // minutes
	from, until int64
}

// clocks is the offset from UTC, in minutes, and when it is another.
func (h Hours) clocks() (base int, moved []span) {
	_, seconds := firstClock.In(h.Zone).Zone()
	base = seconds / 60
	for at := firstClock; at.Before(lastClock); {
		_, end := at.In(h.Zone).ZoneBounds()
		if end.IsZero() || end.After(lastClock) {
			end = lastClock
		}
		if _, seconds := at.In(h.Zone).Zone(); seconds/60 != base {
			moved = append(moved, span{seconds / 60, at.Unix(), end.Unix()})
		}
		at = end
	}
	return base, moved
}

// Regular reports whether the clocks have two offsets at most, which is all that
// [Hours.Expressions] can tell apart.
func (h Hours) Regular() bool {
	_, moved := h.clocks()
	return !slices.ContainsFunc(moved, func(s span) bool { return s.offset != moved[0].offset })
}

// inside is a condition on the minute of the week in UTC.
func (h Hours) inside(offset int) string {
	length := h.Until - h.From
	if length <= 0 {
		length += minutesOfDay
	}
	type part struct{ from, until int }
	var parts []part
	for _, day := range h.Days {
		monday := (int(day) + 6) % 7
		from := ((monday*minutesOfDay+h.From-offset)%minutesOfWeek + minutesOfWeek) % minutesOfWeek
		until := from + length
		parts = append(parts, part{from, min(until, minutesOfWeek)})
		if until > minutesOfWeek {
			parts = append(parts, part{0, until - minutesOfWeek})
		}
	}
	slices.SortFunc(parts, func(a, b part) int { return a.from - b.from })
	var texts []string
	for i := 0; i < len(parts); {
		from, until := parts[i].from, parts[i].until
		for i++; i < len(parts) && parts[i].from <= until; i++ {
			until = max(until, parts[i].until)
		}
		texts = append(texts, fmt.Sprintf("(%[1]s >= %[2]d AND %[1]s < %[3]d)", week, from, until))
	}
	return strings.Join(texts, " OR ")
}
