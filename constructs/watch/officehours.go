package watch

import (
	"fmt"
	"slices"
	"time"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/hostalarm"
)

// OfficeHours are when people are expected to work.
type OfficeHours struct {
	// TimeZone is where they work, by its name in the IANA time zone database, such
	// as Europe/Berlin. Empty stands for UTC. Daylight saving is followed.
	TimeZone string

	// Days of the week. Nil stands for Monday to Friday.
	Days []time.Weekday

	// From and Until are times of the day, such as "08:00" and "18:30". Until at or
	// before From is on the day after.
	From, Until string
}

func (h *OfficeHours) withDefaults() OfficeHours {
	q := *h
	if q.Days == nil {
		q.Days = []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}
	}
	return q
}

// validate examines hours whose defaults are filled in.
func (h *OfficeHours) validate() error {
	var faults check.Faults
	zone := check.TimeZone(h.TimeZone)
	switch {
	case check.Token(h.TimeZone):
		faults.Add("TimeZone", "is a token, whose value is not known when the hours are counted", "write the name itself")
	case zone != nil:
		faults.Check("TimeZone", zone)
	}
	if len(h.Days) == 0 {
		faults.Add("Days", "has no day, so that every login would be outside of the hours", "name the days, or leave it out for Monday to Friday")
	}
	for i, day := range h.Days {
		field := fmt.Sprintf("Days[%d]", i)
		if day < time.Sunday || day > time.Saturday {
			faults.Addf(field, "use time.Monday and the like", "%d is no day of the week", int(day))
		} else if slices.Index(h.Days, day) < i {
			faults.Addf(field, "leave it out", "%s is there twice", day)
		}
	}
	for _, at := range []struct{ field, value string }{{"From", h.From}, {"Until", h.Until}} {
		if _, err := time.Parse("15:04", at.value); err != nil {
			faults.Addf(at.field, `use hours and minutes, such as "08:00"`, "%q is no time of the day", at.value)
		}
	}
	if faults.Empty() && h.From == h.Until {
		faults.Addf("Until", "name a later time, or leave out the office hours", "%q is From, too: no login would be outside of the hours", h.Until)
	}
	if faults.Empty() && !h.hours().Regular() {
		faults.Addf("TimeZone", "name a zone with two clocks at most, such as UTC", "the clocks of %q change in ways that CloudWatch can't follow", h.TimeZone)
	}
	return faults.Err()
}

// hours are valid ones as minutes.
func (h *OfficeHours) hours() hostalarm.Hours {
	zone, err := time.LoadLocation(h.TimeZone)
	if err != nil {
		zone = time.UTC
	}
	from, until := h.windows()
	return hostalarm.Hours{Zone: zone, Days: h.Days, From: from, Until: until}
}

// windows are the minutes after midnight of valid hours.
func (h *OfficeHours) windows() (from, until int) {
	minutes := func(text string) int {
		at, _ := time.Parse("15:04", text)
		return at.Hour()*60 + at.Minute()
	}
	return minutes(h.From), minutes(h.Until)
}
