// Package hostalarm says which lines of a bastion's records are counted for which
// alarm: the filter patterns of constructs/watch, apart from the CDK so that they can be
// tried on the lines of a real host.
//
// What a host delivers is JSON throughout. A line of its own programs has the key
// "postern"; internal/host/ship believes it of root's services only, and wraps
// everything else in a line that names the user who wrote it. So nobody on the host but
// root raises an alarm of the host's own, and a filter on sshd's or sudo's words asks who
// spoke, as far as that is known.
package hostalarm

import "github.com/postern-cdk/postern/internal/host/settings"

// The alarms, by the IDs of their constructs.
const (
	FailedKeys        = "FailedKeys"
	InvalidUsers      = "InvalidUsers"
	LoginOutsideHours = "LoginOutsideHours"
	Sudo              = "Sudo"
	IntegrityChanged  = "IntegrityChanged"
	AuditStopped      = "AuditStopped"
	PeopleFailed      = "PeopleFailed"
	UsersRefused      = "UsersRefused"
	RecordingGap      = "RecordingGap"
	DiskFilled        = "DiskFilled"
	HostPromise       = "HostPromise"
	HostUnproven      = "HostUnproven"
)

// A Filter counts lines.
type Filter struct {
	// ID of the metric filter's construct.
	ID string
	// Metric is the name of what it counts into; several filters may share one.
	Metric string
	// Alarm is the one that the metric is for.
	Alarm string
	// Log is the kind of record whose log group has the lines.
	Log settings.Log
	// Pattern of the lines.
	Pattern string
}

const (
	byRoot   = `($.identifier = "sshd*") && ($.uid = "0")`
	accepted = `($.message = "Accepted publickey for *") || ($.message = "Accepted keyboard-interactive/pam for *")`
	byAlarm  = `($.postern = "alarm")`
	failed   = `($.postern = "check") && ($.result = "fail")`

	// What has an alarm of its own does not count as just another broken promise:
	// one line is one alarm. check-failed sums up checks that are told one by one.
	otherAlarm = byAlarm + ` && ($.name != "integrity-*") && ($.name != "people-*") && ($.name != "record*") && ($.name != "journal-*")` +
		` && ($.name != "shipping-*") && ($.name != "session-not-ended") && ($.name != "unrecorded-process") && ($.name != "disk-filled") && ($.name != "check-failed")`
	otherCheck = failed + ` && ($.name != "people") && ($.name != "recording") && ($.name != "shipping") && ($.name != "disk") && ($.name != "audit")`
)

var filters = []Filter{
	{"Broken", "Broken", HostPromise, settings.LogHost, `{ (` + otherAlarm + `) || (` + otherCheck + `) }`},
	{"Checks", "Checks", HostUnproven, settings.LogHost, `{ $.postern = "check" }`},
	{
		"FailedKeysLines", "FailedKeys", FailedKeys, settings.LogSSHD,
		`{ ` + byRoot + ` && ($.message = "Failed publickey for *" || $.message = "Failed keyboard-interactive/pam for *")` +
			` && ($.message != "Failed publickey for invalid user *") && ($.message != "Failed keyboard-interactive/pam for invalid user *") }`,
	},
	{
		"InvalidUsersLines", "InvalidUsers", InvalidUsers, settings.LogSSHD,
		`{ ` + byRoot + ` && (($.message = "Invalid user *") || (($.message = "User *") && ($.message = "* not allowed because *"))) }`,
	},
	// The host logs in to itself, to prove that it records.
	{
		"AcceptedLines", "Accepted", LoginOutsideHours, settings.LogSSHD,
		`{ ` + byRoot + ` && (` + accepted + `) && ($.message != "Accepted publickey for ` + settings.CheckUser + ` from *") }`,
	},
	// Run, refused, or given up after wrong codes: each names the command.
	{
		"SudoLines", "Sudo", Sudo, settings.LogSudo,
		`{ ($.identifier = "sudo") && (($.program = "/usr/bin/sudo") || ($.uid = "0")) && ($.message = "* COMMAND=*") }`,
	},
	// A sudo that refuses is gone before the journal could ask the kernel which program it
	// was. Then it may have been another: better one alarm too many.
	{
		"SudoLinesUnsure", "Sudo", Sudo, settings.LogHost,
		`{ ($.identifier = "sudo") && ($.program NOT EXISTS) && ($.uid != "0") && ($.message = "* COMMAND=*") }`,
	},
	{"IntegrityChangedLines", "IntegrityChanged", IntegrityChanged, settings.LogHost, `{ ` + byAlarm + ` && ($.name = "integrity-*") }`},
	{
		"AuditStoppedLines", "AuditStopped", AuditStopped, settings.LogAudit,
		`{ ($.identifier = "audit") && ($.message = "CONFIG_CHANGE *") && (($.message = "*audit_enabled=0*") || (($.message = "*op=remove_rule*") && ($.message = "*postern-*"))) }`,
	},
	{"AuditStoppedChecks", "AuditStopped", AuditStopped, settings.LogHost, `{ ` + failed + ` && ($.name = "audit") }`},
	{
		"PeopleFailedLines", "PeopleFailed", PeopleFailed, settings.LogHost,
		`{ (` + byAlarm + ` && ($.name = "people-*") && ($.name != "people-keys-refused")) || (` + failed + ` && ($.name = "people")) }`,
	},
	{
		"UsersRefusedLines", "UsersRefused", UsersRefused, settings.LogHost,
		`{ (($.postern = "people") && ($.action = "refused")) || (` + byAlarm + ` && ($.name = "people-keys-refused")) }`,
	},
	{
		"RecordingGapLines", "RecordingGap", RecordingGap, settings.LogHost,
		`{ (` + byAlarm + ` && (($.name = "record*") || ($.name = "journal-*") || ($.name = "shipping-*") || ($.name = "session-not-ended") || ($.name = "unrecorded-process")))` +
			` || (` + failed + ` && (($.name = "recording") || ($.name = "shipping"))) }`,
	},
	{
		"DiskFilledLines", "DiskFilled", DiskFilled, settings.LogHost,
		`{ (` + byAlarm + ` && ($.name = "disk-filled")) || (` + failed + ` && ($.name = "disk")) }`,
	},
}

// Filters lists all filters, in the order in which they are made.
func Filters() []Filter { return append([]Filter(nil), filters...) }

// Of are the filters of an alarm.
func Of(alarm string) []Filter {
	var list []Filter
	for _, f := range filters {
		if f.Alarm == alarm {
			list = append(list, f)
		}
	}
	return list
}
