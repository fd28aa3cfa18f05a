package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/postern-cdk/postern/internal/check"
)

// Operator is what some people may do, and when.
type Operator struct {
	// Name says who they are, such as "Developers".
	Name string `yaml:"name"`

	// Users, Groups and RoleArns are whom it is for: IAM users and groups by name,
	// roles by ARN.
	Users    []string `yaml:"users"`
	Groups   []string `yaml:"groups"`
	RoleArns []string `yaml:"roleArns"`
	// PermissionSet shows the policy for a permission set of IAM Identity Center as
	// an output.
	PermissionSet bool `yaml:"permissionSet"`

	// Viewer lets them see nodes, sessions and endpoints. Every other intent does.
	Viewer bool `yaml:"viewer"`
	// Shell lets them start recorded shells.
	Shell bool `yaml:"shell"`
	// SSH lets them use SSH through Session Manager.
	SSH bool `yaml:"ssh"`
	// Tunnels are those that they may open, by name.
	Tunnels []string `yaml:"tunnels"`
	// InstanceConnect is what they may reach through the EC2 Instance Connect
	// Endpoint.
	InstanceConnect OperatorConnect `yaml:"instanceConnect"`
	// BreakGlass lets them start recorded shells in emergencies, with a document of
	// its own. Its use is told and an alarm.
	BreakGlass bool `yaml:"breakGlass"`

	// Only is when it holds, and from where.
	Only Only `yaml:"only"`
	// BypassesAllowed gives up the denial of what gets around recorded sessions, for
	// people who also administer Systems Manager.
	BypassesAllowed bool `yaml:"bypassesAllowed"`
}

// OperatorConnect is what goes through the EC2 Instance Connect Endpoint.
type OperatorConnect struct {
	SSH *ConnectSSH `yaml:"ssh"`
	RDP *ConnectRDP `yaml:"rdp"`
}

// ConnectSSH is SSH through the endpoint, with keys that are pushed for a minute.
type ConnectSSH struct {
	// Users are the OS users that keys may be pushed for. Defaults to ec2-user.
	Users []string `yaml:"users"`
	// InstanceTags are what instances carry that keys may be pushed to. Defaults to
	// the bastion's own tag.
	InstanceTags map[string]string `yaml:"instanceTags"`
	// Cidrs are the private addresses that tunnels may lead to. Defaults to all that
	// the endpoint reaches.
	Cidrs []string `yaml:"cidrs"`
	// MaxMinutes of a tunnel, 1 to 60. Defaults to 60.
	MaxMinutes int `yaml:"maxMinutes"`
}

// ConnectRDP is RDP through the endpoint.
type ConnectRDP struct {
	// Cidrs and MaxMinutes are as for SSH.
	Cidrs      []string `yaml:"cidrs"`
	MaxMinutes int      `yaml:"maxMinutes"`
}

// Only is under which circumstances an operator's intents hold. All that is set
// must hold.
type Only struct {
	// MfaMaxAgeMinutes is how long ago the second factor may have been given.
	MfaMaxAgeMinutes int `yaml:"mfaMaxAgeMinutes"`
	// MfaAskedElsewhere says that trust policies, the identity provider or Identity
	// Center ask for the second factor, which can't be asked for here.
	MfaAskedElsewhere bool `yaml:"mfaAskedElsewhere"`
	// WithoutMfa lets IAM users in without a second factor.
	WithoutMfa bool `yaml:"withoutMfa"`
	// From and Until are when access begins and ends: a date, or a time such as
	// 2026-12-24T12:00:00Z.
	From  string `yaml:"from"`
	Until string `yaml:"until"`
	// Weekly are the hours of the week. Defaults to all.
	Weekly []Window `yaml:"weekly"`
	// TimeZone of the weekly hours. Defaults to UTC.
	TimeZone string `yaml:"timeZone"`
	// SourceCidrs are public addresses that requests may come from.
	SourceCidrs []string `yaml:"sourceCidrs"`
	// VpcEndpointIDs are interface endpoints that requests may come by.
	VpcEndpointIDs []string `yaml:"vpcEndpointIds"`
	// TargetTags are tags that instances must carry besides.
	TargetTags map[string]string `yaml:"targetTags"`
}

// Window is some hours on some days of the week.
type Window struct {
	// Days such as MON. Defaults to MON to FRI.
	Days []Day `yaml:"days"`
	// From and Until are times of day such as 08:00, and 24:00.
	From  string `yaml:"from"`
	Until string `yaml:"until"`
}

// Day of the week.
type Day string

// The days of the week, by their number in package time.
var days = []Day{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}

// Weekday is the day as package time has it.
func (d Day) Weekday() time.Weekday { return time.Weekday(slices.Index(days, d)) }

// Hours are the window's times of day, after midnight.
func (w *Window) Hours() (from, until time.Duration) {
	from, _ = clock(w.From)
	until, _ = clock(w.Until)
	return from, until
}

// Times are when access begins and ends; zero is open.
func (o *Only) Times() (from, until time.Time) {
	from, _ = moment(o.From)
	until, _ = moment(o.Until)
	return from, until
}

var clockPattern = regexp.MustCompile(`^([01][0-9]|2[0-4]):([0-5][0-9])$`)

func clock(text string) (time.Duration, bool) {
	m := clockPattern.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	d, err := time.ParseDuration(m[1] + "h" + m[2] + "m")
	return d, err == nil && d <= 24*time.Hour
}

func moment(text string) (time.Time, bool) {
	if text == "" {
		return time.Time{}, true
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// The forms of names:
// docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html.
var (
	principalPattern = regexp.MustCompile(`^[\w+=,.@-]{1,128}$`)
	endpointPattern  = regexp.MustCompile(`^vpce-[0-9a-f]{8,17}$`)
)

func (o *Operator) validate(field string, before []Operator, c *Config, f *check.Faults) {
	if o.Name == "" {
		f.Add(field+".name", "is missing", `say who it is for, such as "Developers"`)
	}
	matches(f, field+".name", o.Name, tunnelPattern, "begin with a letter, then letters and digits, 50 at most")
	for i := range before {
		if o.Name != "" && strings.EqualFold(before[i].Name, o.Name) {
			f.Addf(field+".name", "give it another", "%q is the name of operators[%d] too", o.Name, i)
			break
		}
	}
	o.validateWhom(field, c, f)
	o.validateIntents(field, c, f)
	o.Only.validate(field+".only", o, f)
}

func (o *Operator) validateWhom(field string, c *Config, f *check.Faults) {
	if len(o.Users)+len(o.Groups)+len(o.RoleArns) == 0 && !o.PermissionSet {
		f.Add(field, "is for nobody", "write users, groups, roleArns or permissionSet")
	}
	for _, list := range []struct {
		key   string
		names []string
	}{{"users", o.Users}, {"groups", o.Groups}} {
		unique(f, field+"."+list.key, list.names)
		for i, name := range list.names {
			matches(f, fmt.Sprintf("%s.%s[%d]", field, list.key, i), name, principalPattern, "write the name alone, such as alice")
		}
	}
	unique(f, field+".roleArns", o.RoleArns)
	for i, role := range o.RoleArns {
		at := fmt.Sprintf("%s.roleArns[%d]", field, i)
		if c.arn(f, at, role, roleARN) && role != "" && c.Account != "" && strings.Split(role, ":")[4] != c.Account {
			f.Addf(at, "name a role of that account, which people of another may assume", "%q is not in account %s, and only roles there can be given a policy", role, c.Account)
		}
		if strings.Contains(role, "/AWSReservedSSO_") {
			f.Addf(at, "set permissionSet, and put the policy in the output into the permission set", "%q is a role of IAM Identity Center, which nobody else may change", role)
		}
	}
}

func (o *Operator) validateIntents(field string, c *Config, f *check.Faults) {
	connect := &o.InstanceConnect
	if !o.Viewer && !o.Shell && !o.SSH && !o.BreakGlass && len(o.Tunnels) == 0 && connect.SSH == nil && connect.RDP == nil {
		f.Add(field, "may do nothing", "set at least one of viewer, shell, ssh, tunnels, instanceConnect and breakGlass")
	}
	if !c.Session.Made(c) {
		for _, intent := range []struct {
			key string
			set bool
		}{{"shell", o.Shell}, {"breakGlass", o.BreakGlass}} {
			if intent.set {
				f.Add(field+"."+intent.key, "is for a door that is not built: there is no session document", "remove session.absent, or name session.targets where there is no bastion")
			}
		}
	}
	if o.SSH && !(c.Session.Made(c) && c.Session.SSH) {
		f.Add(field+".ssh", "is for a door that is not built", "set session.ssh")
	}
	for i, name := range o.Tunnels {
		at := fmt.Sprintf("%s.tunnels[%d]", field, i)
		var names []string
		for _, t := range c.Tunnels {
			if !slices.Contains(names, t.Name) {
				names = append(names, t.Name)
			}
		}
		if len(c.Bastion.Host.Relay.Targets) > 0 {
			names = append(names, RelayName)
		}
		switch {
		case slices.Contains(o.Tunnels[:i], name):
			f.Addf(at, "leave one out", "%q is in the list already", name)
		case len(names) == 0:
			f.Addf(at, "add it to tunnels", "%q is a tunnel that is not built", name)
		default:
			f.Check(at, check.OneOf(name, names...))
		}
	}
	if (connect.SSH != nil || connect.RDP != nil) && c.InstanceConnect.Absent {
		f.Add(field+".instanceConnect", "is for a door that is not built", "remove instanceConnect.absent")
	}
	if s := connect.SSH; s != nil {
		at := field + ".instanceConnect.ssh"
		tags(f, at+".instanceTags", s.InstanceTags)
		if len(s.InstanceTags) == 0 && c.Bastion.Absent {
			f.Add(at+".instanceTags", "is missing, and there is no bastion to push keys to", "name the tags of the instances")
		}
		for i, user := range s.Users {
			switch {
			case user == "root":
				f.Addf(fmt.Sprintf("%s.users[%d]", at, i), "name a user, who may be given sudo on the host", "%q is nobody in particular", user)
			default:
				matches(f, fmt.Sprintf("%s.users[%d]", at, i), user, userPattern, "name one user of the instances' system")
			}
		}
		connectLimits(f, at, s.Cidrs, s.MaxMinutes)
	}
	if r := connect.RDP; r != nil {
		connectLimits(f, field+".instanceConnect.rdp", r.Cidrs, r.MaxMinutes)
	}
}

func connectLimits(f *check.Faults, field string, cidrs []string, most int) {
	narrow(f, field+".cidrs", cidrs, "all that the endpoint reaches")
	minutes(f, field+".maxMinutes", most, 60)
}

// narrow accepts blocks that are not everyone.
func narrow(f *check.Faults, field string, cidrs []string, all string) {
	for i, cidr := range cidrs {
		at := fmt.Sprintf("%s[%d]", field, i)
		if fault := check.CIDR(cidr); fault != nil {
			f.Check(at, fault)
		} else if netip.MustParsePrefix(cidr).Bits() == 0 {
			f.Addf(at, "leave the list out for "+all, "%q is every address", cidr)
		}
	}
}

// The longest that credentials with a second factor live:
// docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html.
const maxMfaAgeMinutes = 36 * 60

func (o *Only) validate(field string, whose *Operator, f *check.Faults) {
	minutes(f, field+".mfaMaxAgeMinutes", o.MfaMaxAgeMinutes, maxMfaAgeMinutes)
	if o.WithoutMfa && o.MfaMaxAgeMinutes != 0 {
		f.Add(field+".withoutMfa", "contradicts mfaMaxAgeMinutes", "remove one of them")
	}
	if (len(whose.RoleArns) > 0 || whose.PermissionSet) && !o.MfaAskedElsewhere && (o.MfaMaxAgeMinutes != 0 || whose.BreakGlass) {
		f.Add(field+".mfaAskedElsewhere", "is not set, but requests of a role tell of no second factor: only its trust policy, the identity provider or Identity Center can ask for it",
			"have one of them ask, and set it; or name users or groups")
	}
	from, fromOK := moment(o.From)
	until, untilOK := moment(o.Until)
	const form = "write a date such as 2026-12-24, or a time such as 2026-12-24T12:00:00Z"
	if !fromOK {
		f.Addf(field+".from", form, "%q is no moment", o.From)
	}
	if !untilOK {
		f.Addf(field+".until", form, "%q is no moment", o.Until)
	}
	if fromOK && untilOK && !from.IsZero() && !until.IsZero() && !until.After(from) {
		f.Addf(field+".until", "put it after from", "%s is not after from, %s", o.Until, o.From)
	}
	some(f, field+".weekly", o.Weekly, "all hours")
	some(f, field+".sourceCidrs", o.SourceCidrs, "any address")
	some(f, field+".vpcEndpointIds", o.VpcEndpointIDs, "any endpoint")
	tags(f, field+".targetTags", o.TargetTags)
	o.validateWeekly(field, whose, f)
	narrow(f, field+".sourceCidrs", o.SourceCidrs, "any address")
	for i, cidr := range o.SourceCidrs {
		if check.CIDR(cidr) == nil {
			f.Check(fmt.Sprintf("%s.sourceCidrs[%d]", field, i), check.SourceIP(cidr))
		}
	}
	for i, id := range o.VpcEndpointIDs {
		matches(f, fmt.Sprintf("%s.vpcEndpointIds[%d]", field, i), id, endpointPattern, "write the ID of an interface endpoint, such as vpce-0123456789abcdef0")
	}
}

func (o *Only) validateWeekly(field string, whose *Operator, f *check.Faults) {
	if o.TimeZone != "" {
		if _, err := time.LoadLocation(o.TimeZone); err != nil || o.TimeZone == "Local" {
			f.Addf(field+".timeZone", "use a name of the IANA time zone database, such as Europe/Berlin, or none for UTC", "%q is not a time zone", o.TimeZone)
		}
		if len(o.Weekly) == 0 {
			f.Add(field+".timeZone", "is set, but there are no weekly hours", "add weekly, or remove it")
		}
	}
	if len(o.Weekly) > 0 && whose.PermissionSet {
		f.Add(field+".weekly", "is not for a permission set: nobody but IAM Identity Center may change its roles", "let the people assume a role of the account, and name that in roleArns")
	}
	taken := map[Day][]int{}
	for i := range o.Weekly {
		w := &o.Weekly[i]
		at := fmt.Sprintf("%s.weekly[%d]", field, i)
		from, fromOK := clock(w.From)
		until, untilOK := clock(w.Until)
		const form = "write hours and minutes, such as 08:00"
		if !fromOK {
			f.Addf(at+".from", form, "%q is no time of day", w.From)
		}
		if !untilOK {
			f.Addf(at+".until", form, "%q is no time of day", w.Until)
		}
		some(f, at+".days", w.Days, "MON to FRI")
		whole := fromOK && untilOK
		if whole && until <= from {
			f.Addf(at+".until", "put it after from; what goes past midnight is two windows", "%s is not after from, %s", w.Until, w.From)
			whole = false
		}
		for j, day := range w.on() {
			if fault := check.OneOf(day, days...); fault != nil {
				f.Check(fmt.Sprintf("%s.days[%d]", at, j), fault)
				continue
			}
			for _, other := range taken[day] {
				if a, b := o.Weekly[other].Hours(); whole && from < b && a < until {
					f.Addf(at, "make one window of them", "overlaps with weekly[%d] on %s", other, day)
				}
			}
			taken[day] = append(taken[day], i)
		}
	}
}

// on is the days of a window.
func (w *Window) on() []Day {
	if w.Days == nil {
		return days[time.Monday : time.Friday+1]
	}
	return w.Days
}
