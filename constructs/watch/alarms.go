package watch

import "fmt"

// The steps in which alarms count.
const (
	silentPeriodMinutes = 5
	loadPeriodMinutes   = 5
	loadPeriods         = 3
	// The host checks itself every five minutes, so that each period has a check.
	promisePeriodMinutes = 10
)

// The metrics that expressions are written with.
const (
	desired   = "desired"
	inService = "inService"
	beats     = "beats"
	checks    = "checks"
)

// outOfService is 1 while the group wants instances and none is in service. It
// has no value where the group sends no metrics.
const outOfService = "IF((" + desired + " > 0) AND (" + inService + " < 1), 1, 0)"

// silent is 1 while an instance is in service and the agent sends nothing: where
// none is, another alarm tells, and nothing could be sent. No data from the agent
// counts as no beats; where the group sends no metrics the expression has no value.
//
// docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
const silent = "IF((" + inService + " > 0) AND (FILL(" + beats + ", 0) < 1), 1, 0)"

// unproven is 1 while an instance is in service and no check is reported. The line that would tell that nothing arrives does not arrive either.
const unproven = "IF((" + inService + " > 0) AND (FILL(" + checks + ", 0) < 1), 1, 0)"

// What the host reports of its promises, as filter patterns.
//
// docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntaxForMetricFilters.html
const (
	brokenPromise = `{ ($.postern = "alarm") || (($.postern = "check") && ($.result = "fail")) }`
	anyCheck      = `{ $.postern = "check" }`
)

// What somebody reads who was woken by the alarm: what it means, what to do.
// CloudWatch takes 1024 characters.
type alarmText struct{ host, group string }

func (n alarmText) outOfService(minutes int) string {
	return fmt.Sprintf("Nobody gets in through %s: its Auto Scaling group has wanted an instance for %d minutes and none is in service. "+
		"See why launches fail: aws autoscaling describe-scaling-activities --auto-scaling-group-name %s --max-items 5. "+
		"If instances start and end again, read the host's log group for the bootstrap of the last one. "+
		"Was the last deploy the cause, deploy the version before.", n.host, minutes, n.group)
}

func (n alarmText) silent(minutes int) string {
	return fmt.Sprintf("%s may run unobserved: its CloudWatch agent has sent nothing for %d minutes though an instance is in service, "+
		"so its logs may not arrive either. Start a session on the instance and look: systemctl status amazon-cloudwatch-agent. "+
		"If somebody stopped it, treat the instance as compromised: keep it for analysis. "+
		"Otherwise replace it: aws autoscaling start-instance-refresh --auto-scaling-group-name %s.", n.host, minutes, n.group)
}

func (n alarmText) statusCheck() string {
	return fmt.Sprintf("AWS reports a failed status check of %s: of its hardware or network (system), or of its operating system (instance). "+
		"Auto Scaling replaces it within minutes; wait for the OK. If it does not, end the instance: "+
		"aws autoscaling terminate-instance-in-auto-scaling-group --no-should-decrement-desired-capacity --instance-id ID. Group: %s.", n.host, n.group)
}

func (n alarmText) cpu(percent int) string {
	return fmt.Sprintf("%s has used %d %% of its CPU or more for %d minutes. A bastion forwards and hardly computes: "+
		"look who is logged in and what runs (w, then top) before you make it bigger. Group: %s.",
		n.host, percent, loadPeriods*loadPeriodMinutes, n.group)
}

func (n alarmText) memory(percent int) string {
	return fmt.Sprintf("%s has used %d %% of its memory or more for %d minutes; at 100 %% sessions and the recorder are killed. "+
		"Look what takes it: ps aux --sort=-rss. If it is the number of sessions, choose a larger instance type. Group: %s.",
		n.host, percent, loadPeriods*loadPeriodMinutes, n.group)
}

func (n alarmText) disk(percent int) string {
	return fmt.Sprintf("A disk of %s has been %d %% full or more for %d minutes; a full one stops logs and logins. "+
		"Find what grew: du -xh / | sort -h | tail. What is shipped already can go; or replace the instance: "+
		"aws autoscaling start-instance-refresh --auto-scaling-group-name %s.", n.host, percent, loadPeriods*loadPeriodMinutes, n.group)
}

func (n alarmText) broken() string {
	return fmt.Sprintf("%s reports that it does not keep a promise: recording, shipping, people, host keys, clock or another. Sessions may have been refused for it. "+
		"Read which one, and why, in its log group: the newest lines with \"postern\":\"alarm\" or \"result\":\"fail\". "+
		"If nothing explains it, treat the instance as compromised: keep it for analysis. "+
		"Otherwise replace it: aws autoscaling start-instance-refresh --auto-scaling-group-name %s.", n.host, n.group)
}

func (n alarmText) unproven(minutes int) string {
	return fmt.Sprintf("Nobody knows whether %s records and ships: it has reported no check for %d minutes though an instance is in service. "+
		"Start a session on the instance through Session Manager and look: systemctl status postern-check.timer postern-ship. "+
		"If somebody stopped them, treat the instance as compromised: keep it for analysis. "+
		"Otherwise replace it: aws autoscaling start-instance-refresh --auto-scaling-group-name %s.", n.host, minutes, n.group)
}
