package bastion

import "github.com/postern-cdk/postern/internal/check"

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
		faults.Check("Start", check.Cron(s.Start))
	}
	if s.Stop == "" {
		faults.Add("Stop", "is missing", `say when the bastion goes down, such as "0 19 * * MON-FRI"`)
	} else {
		faults.Check("Stop", check.Cron(s.Stop))
	}
	if s.Start != "" && s.Start == s.Stop {
		faults.Addf("Stop", "use two different times", "%q is also the start", s.Stop)
	}
	faults.Check("TimeZone", check.TimeZone(s.TimeZone))
	return faults.Err()
}
