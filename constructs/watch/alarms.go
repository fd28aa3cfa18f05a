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
	healthy   = "healthy"
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

// unhealthy is 1 while the group wants instances and its load balancer has no
// healthy one. A target group without targets says nothing of their health.
//
// docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-cloudwatch-metrics.html
const unhealthy = "IF((" + desired + " > 0) AND (FILL(" + healthy + ", 0) < 1), 1, 0)"

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
	return fmt.Sprintf("%s reports that it does not keep a promise: host keys, clock, firewall, forwarding, updates, its services or another. Sessions may have been refused for it. "+
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

func (n alarmText) failedKeys(lines int) string {
	return fmt.Sprintf("Somebody tries keys or one-time codes on %s: %d or more of people with an account were refused in %d minutes. "+
		"Read by whom and from where: the lines with \"Failed publickey\" or \"Failed keyboard-interactive\" in its log group. "+
		"From an address that you know, help the person; from any other, see who may reach port 22. Group: %s.", n.host, lines, promisePeriodMinutes, n.group)
}

func (n alarmText) invalidUsers(lines int) string {
	return fmt.Sprintf("Somebody guesses names on %s: %d or more logins in %d minutes by users who have no account or may not log in. "+
		"Read which and from where: the lines with \"Invalid user\" or \"not allowed because\" in its log group. "+
		"If the address is none of yours, take it from those that may reach port 22. Group: %s.", n.host, lines, promisePeriodMinutes, n.group)
}

func (n alarmText) loginOutsideHours(h *OfficeHours) string {
	zone := h.TimeZone
	if zone == "" {
		zone = "UTC"
	}
	return fmt.Sprintf("Somebody logged in to %s outside of the office hours, %s to %s in %s. "+
		"Read who and from where: the newest lines with \"Accepted\" in its log group; the session is recorded. "+
		"Ask the person by another way than the one that was used. Was it not them, remove their key and end the session. Group: %s.",
		n.host, h.From, h.Until, zone, n.group)
}

func (n alarmText) sudo(lines int) string {
	return fmt.Sprintf("Somebody became root on %s by sudo, or tried to, %d times or more in %d minutes. "+
		"Read who, and what was run: the lines with \"COMMAND=\" in its log group; the session is recorded. "+
		"Root can change what the host tells of itself from here on: was it not planned, replace the instance: "+
		"aws autoscaling start-instance-refresh --auto-scaling-group-name %s.", n.host, lines, promisePeriodMinutes, n.group)
}

func (n alarmText) integrity() string {
	return fmt.Sprintf("Programs or configuration of %s are not what they were, or could not be compared. "+
		"Read which: the newest line with \"integrity-\" in its log group. Security updates tell of themselves before and make a new baseline. "+
		"If nothing explains it, treat the instance as compromised: keep it for analysis, then "+
		"aws autoscaling start-instance-refresh --auto-scaling-group-name %s.", n.host, n.group)
}

func (n alarmText) auditStopped() string {
	return fmt.Sprintf("The kernel of %s may record no more what root and people run: auditing was switched off, or rules of it are gone. "+
		"Read by whom: the lines with CONFIG_CHANGE in its log group, auid is the user who had logged in. "+
		"Only root can do it: treat the instance as compromised unless you know who it was. Replace it: "+
		"aws autoscaling start-instance-refresh --auto-scaling-group-name %s.", n.host, n.group)
}

func (n alarmText) peopleFailed() string {
	return fmt.Sprintf("Who may log in to %s may not be what the bucket of public keys says: people were not reconciled. Who was removed may still get in. "+
		"Read why: the newest lines with \"people-\" or with \"name\":\"people\" in its log group. "+
		"Most often the bucket or its key refuses the host: see their policies. Must somebody be out at once, end the instance's sessions and set the group to 0 instances. Group: %s.", n.host, n.group)
}

func (n alarmText) usersRefused() string {
	return fmt.Sprintf("A public key was refused by %s: an object in the bucket makes nobody, or somebody has no key left and is locked out. "+
		"Read which object and why: the newest line with \"action\":\"refused\" in its log group. "+
		"Was it put there by a person of yours, have them upload the public key again; was it not, see who may write to the bucket. Group: %s.", n.host, n.group)
}

func (n alarmText) recordingGap() string {
	return fmt.Sprintf("There may be no record of what somebody did on %s: recording failed, a record is missing or full, or records do not leave the host. "+
		"Sessions end where they can't be recorded. Read what: the newest alarm or failed check of recording or shipping in its log group. "+
		"Keep the instance until its records are out; if nothing explains it, keep it for analysis. Then "+
		"aws autoscaling start-instance-refresh --auto-scaling-group-name %s.", n.host, n.group)
}

func (n alarmText) diskFilled() string {
	return fmt.Sprintf("The disk of %s is full: sessions end, and none begins until there is room. "+
		"Read whose files it is: the newest line with \"disk-filled\", or the failed check of the disk, in its log group. "+
		"Remove them through Session Manager, or replace the instance once its records are out: "+
		"aws autoscaling start-instance-refresh --auto-scaling-group-name %s.", n.host, n.group)
}

func (n alarmText) noHealthyDoor(minutes int) string {
	return fmt.Sprintf("The load balancer of %s has had no healthy instance for %d minutes: nobody gets in through it. "+
		"See what it says: aws elbv2 describe-target-health. If an instance is in service, sshd does not answer on port 22: "+
		"read the host's log group, then replace it: aws autoscaling start-instance-refresh --auto-scaling-group-name %s.", n.host, minutes, n.group)
}
