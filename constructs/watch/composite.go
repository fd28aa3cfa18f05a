package watch

import "github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"

// class is what an alarm puts in doubt. It decides who tells of it: the alarm
// itself, or the composite alarm of its door.
type class int

const (
	// evidence may be missing: records, checks, or what they are told by. It is what
	// an alarm is of that says nothing, and tells by itself, always.
	evidence class = iota
	// security is in doubt: somebody does what should not be done. It tells by
	// itself, always.
	security
	// availability of the door, and nothing else: gathered, so that one failure is
	// one message.
	availability
)

// made is an alarm of the watch.
type made struct {
	alarm awscloudwatch.Alarm
	class class
}

// of are the alarms of a class, in the order in which they were made.
func of(all []made, kind class) []awscloudwatch.Alarm {
	var list []awscloudwatch.Alarm
	for _, m := range all {
		if m.class == kind {
			list = append(list, m.alarm)
		}
	}
	return list
}
