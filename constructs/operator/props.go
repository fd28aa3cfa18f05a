package operator

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // what a time zone is must not depend on the machine

	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/policy"
)

// DefaultBreakGlassMFAMaxAge is how long before an emergency session the second
// factor may have been given.
const DefaultBreakGlassMFAMaxAge = 15 * time.Minute

// The longest that credentials with a second factor live
// (docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html).
const maxMFAAge = 36 * time.Hour

// Door is what sessions of Session Manager are started by: the constructs of
// package session, and a [Document] of your own.
type Door interface {
	// Access is what it takes to start a session.
	Access() policy.Session
}

// Connection is a way through an EC2 Instance Connect Endpoint: what
// instanceconnect's ForSSH and ForRDP return.
type Connection interface {
	// Connection is what it takes to connect.
	Connection() policy.Connect
}

// Document is a door by a session document that was not made here.
type Document struct {
	// Name is the document's name, or its ARN. Required. AWS's own documents are
	// refused: they lead to any port, or run any command.
	Name string
	// Instances are the nodes that the document may be used on, by IDs or ARNs.
	// These, or Tags.
	Instances []string
	// Tags are what instances carry that the document may be used on, all of them.
	Tags map[string]string
	// Keys are the ARNs of the KMS keys that the document encrypts sessions with.
	Keys []string
}

var _ Door = Document{}

// Access implements [Door].
func (d Document) Access() policy.Session {
	session := policy.Session{Documents: []string{d.Name}, Keys: slices.Clone(d.Keys)}
	for _, instance := range d.Instances {
		target := policy.Target{ID: instance}
		if strings.HasPrefix(instance, "arn:") {
			target = policy.Target{ARN: instance}
		}
		session.Targets = append(session.Targets, target)
	}
	if len(d.Tags) > 0 {
		session.Targets = append(session.Targets, policy.Target{Tags: tags(d.Tags)})
	}
	return session
}

// Props says who may do what, and when.
type Props struct {
	// Users, Groups and Roles are whom the intents are for. At least one of them, or
	// PermissionSet.
	Users  []awsiam.IUser
	Groups []awsiam.IGroup
	Roles  []awsiam.IRole

	// PermissionSet makes the intents for a permission set of IAM Identity Center,
	// too: see [Operator.PermissionSetJSON].
	PermissionSet bool

	// Viewer lets them see nodes, sessions and endpoints. All other intents include
	// what it takes to find one's way.
	Viewer bool

	// Tunneller lets them open tunnels to the ports that the doors fix: what
	// session.NewTunnel makes.
	Tunneller []Door

	// Shell lets them start shells: what session.NewPreferences makes.
	Shell []Door

	// SSH lets them use SSH through Session Manager, whose content Session Manager
	// does not record: what session.NewSSH makes.
	SSH []Door

	// InstanceConnect lets them use SSH and RDP through EC2 Instance Connect
	// Endpoints.
	InstanceConnect []Connection

	// BreakGlass is for emergencies: doors with documents of their own, whose
	// sessions are short and whose use is an alarm (see [Operator.BreakGlassDocuments]).
	// It always asks for a second factor, given not longer than BreakGlassMFAMaxAge
	// ago, and holds at any hour: Only's Weekly windows are not for it.
	BreakGlass []Door

	// BreakGlassMFAMaxAge is from a second to 36 hours, in whole seconds. 0 stands
	// for [DefaultBreakGlassMFAMaxAge].
	BreakGlassMFAMaxAge time.Duration

	// Only is under which circumstances the intents hold. Its zero value is at any
	// time and from anywhere, for IAM users with a second factor.
	Only Only

	// BypassesAllowed gives up the denial of what gets around limited and recorded
	// sessions: Run Command, automations, AWS's own open documents, changes of
	// documents and tags, the serial console. For principals who also administer
	// Systems Manager.
	BypassesAllowed bool
}

// Only is under which circumstances access is given. All that is set must hold.
type Only struct {
	// MFA asks roles for a second factor, too. Only a role's trust policy can ask
	// for it: the credentials of a role don't tell of one. So it is put in the trust
	// policy of roles of this app; see MFAAskedElsewhere for all others.
	//
	// IAM users, by themselves or in groups, are always asked for one.
	MFA bool

	// MFAMaxAge is how long ago the second factor may have been given, from a second
	// to 36 hours, in whole seconds; 0 is any time. For a role it is asked for when
	// the role is assumed. It implies MFA.
	MFAMaxAge time.Duration

	// MFAAskedElsewhere gives up the check here where it can't be made: the trust
	// policy of an imported role asks for the second factor, or IAM Identity Center
	// or the identity provider does.
	MFAAskedElsewhere bool

	// WithoutMFA lets IAM users in with an access key or a password alone.
	WithoutMFA bool

	// From and Until are when access begins and ends. Zero is open.
	From, Until time.Time

	// Weekly are the hours of the week in which access is given; see the package
	// comment. None is all hours. Not for permission sets, whose roles nobody but
	// Identity Center may change.
	Weekly []Window

	// TimeZone is where the Weekly hours are, such as "Europe/Berlin". Empty is UTC.
	TimeZone string

	// SourceCIDRs are the public addresses that requests may come from.
	SourceCIDRs []string

	// VpcEndpoints are the IDs of the interface endpoints that requests may come by.
	// With SourceCIDRs either does, as a request by an endpoint has no public
	// address. All endpoints that requests come by are to be named: those for ssm,
	// and for ec2-instance-connect.
	VpcEndpoints []string

	// TargetTags are tags that instances must carry besides what the doors ask for.
	TargetTags map[string]string
}

// Window is some hours on some days of the week.
type Window struct {
	// Days it is on. Empty is Monday to Friday.
	Days []time.Weekday
	// From and Until are hours of the day, from 0 to 24 hours after midnight, in
	// whole minutes. What goes past midnight is two windows.
	From, Until time.Duration
}

func (p *Props) withDefaults() Props {
	var q Props
	if p != nil {
		q = *p
	}
	if q.BreakGlassMFAMaxAge == 0 {
		q.BreakGlassMFAMaxAge = DefaultBreakGlassMFAMaxAge
	}
	q.Only.Weekly = slices.Clone(q.Only.Weekly)
	for i, w := range q.Only.Weekly {
		if len(w.Days) == 0 {
			q.Only.Weekly[i].Days = []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}
		}
	}
	if q.Only.TimeZone == "" {
		q.Only.TimeZone = "UTC"
	}
	return q
}

// validate examines props whose defaults are filled in.
func (p *Props) validate(now time.Time) error {
	var faults check.Faults
	if len(p.Users)+len(p.Groups)+len(p.Roles) == 0 && !p.PermissionSet {
		faults.Add("Roles", "is empty, as are Users and Groups", "name whom the intents are for, or set PermissionSet")
	}
	present(&faults, "Users", p.Users)
	present(&faults, "Groups", p.Groups)
	present(&faults, "Roles", p.Roles)

	if !p.Viewer && len(p.Tunneller)+len(p.Shell)+len(p.SSH)+len(p.InstanceConnect)+len(p.BreakGlass) == 0 {
		faults.Add("Shell", "is empty, as are all other intents, so nothing is granted",
			"set at least one of Viewer, Tunneller, Shell, SSH, InstanceConnect and BreakGlass")
	}
	everyday := map[string]string{} // documents, and where they are
	for _, intent := range []struct {
		name  string
		doors []Door
	}{{"Tunneller", p.Tunneller}, {"Shell", p.Shell}, {"SSH", p.SSH}} {
		for i, door := range intent.doors {
			field := fmt.Sprintf("%s[%d]", intent.name, i)
			for _, document := range validateDoor(&faults, field, door) {
				everyday[document] = field
			}
		}
	}
	for i, door := range p.BreakGlass {
		field := fmt.Sprintf("BreakGlass[%d]", i)
		for _, document := range validateDoor(&faults, field, door) {
			if other, shared := everyday[document]; shared {
				faults.Addf(field, "make a document of its own with a short MaxDuration, so that its use is an alarm",
					"has the document %q, as has %s", document, other)
			}
		}
	}
	for i, connection := range p.InstanceConnect {
		field := fmt.Sprintf("InstanceConnect[%d]", i)
		switch {
		case missing(connection):
			faults.Add(field, "is nil: the door was not built", "pass what ForSSH or ForRDP of an instanceconnect.Endpoint return")
		case connection.Connection().Endpoint == "":
			faults.Add(field, "is of an endpoint that is absent", "leave it out until the endpoint is there again")
		}
	}
	age(&faults, "BreakGlassMFAMaxAge", p.BreakGlassMFAMaxAge)
	p.validateOnly(&faults, now)
	return faults.Err()
}

func validateDoor(faults *check.Faults, field string, door Door) []string {
	if missing(door) {
		faults.Add(field, "is nil: the door was not built", "build it, such as with session.NewPreferences, or leave the intent out")
		return nil
	}
	access := door.Access()
	if len(access.Documents) == 0 {
		faults.Add(field, "has no document", "pass a construct of package session, or an operator.Document")
	}
	for _, document := range access.Documents {
		name := document[strings.LastIndex(document, "/")+1:]
		switch {
		case document == "":
			faults.Add(field+".Name", "is empty", "write the name of a session document, or its ARN")
		case check.Token(document) && !strings.HasPrefix(document, "arn:"):
		case reserved(name):
			faults.Addf(field+".Name", "use a document of your own that fixes the port, such as by session.NewTunnel",
				"%q is AWS's, and leads to any port or runs any command", name)
		case strings.ContainsAny(document, "*?"):
			faults.Addf(field+".Name", "name each document", "%q is a pattern, and who makes documents would choose what it means", document)
		}
	}
	if len(access.Targets) == 0 {
		faults.Add(field, "has no target", "say which instances it leads to: with its Targets or AllowHost, or Instances or Tags of a Document")
	}
	for _, target := range access.Targets {
		if strings.ContainsAny(target.ARN+target.ID, "*?") {
			faults.Addf(field+".Instances", "name each instance, or use Tags", "%q is a pattern", target.ARN+target.ID)
		}
	}
	return access.Documents
}

// reserved is whether a name is one that only AWS gives to documents.
func reserved(name string) bool {
	for _, prefix := range []string{"aws", "amazon", "amzn"} {
		if strings.HasPrefix(strings.ToLower(name), prefix) {
			return true
		}
	}
	return false
}

func (p *Props) validateOnly(faults *check.Faults, now time.Time) {
	o := &p.Only
	if o.MFAMaxAge != 0 {
		age(faults, "Only.MFAMaxAge", o.MFAMaxAge)
	}
	if o.WithoutMFA && (o.MFA || o.MFAMaxAge != 0) {
		faults.Add("Only.WithoutMFA", "is set, and MFA or MFAMaxAge, too", "leave one of them out")
	}
	if p.PermissionSet && !o.MFAAskedElsewhere && (o.MFA || o.MFAMaxAge != 0 || len(p.BreakGlass) > 0) {
		faults.Add("Only.MFAAskedElsewhere",
			"is not set, but requests of a permission set tell of no second factor, so a condition on it would let nobody in",
			"require MFA in IAM Identity Center, and set it")
	}
	if !o.Until.IsZero() {
		switch {
		case !o.From.IsZero() && !o.Until.After(o.From):
			faults.Addf("Only.Until", "put it after From", "%s is not after From, %s", stamp(o.Until), stamp(o.From))
		case !o.Until.After(now):
			faults.Addf("Only.Until", "take it out to give access for good, or the whole operator to take it away", "%s is past", stamp(o.Until))
		}
	}
	for i, cidr := range o.SourceCIDRs {
		field := fmt.Sprintf("Only.SourceCIDRs[%d]", i)
		if check.Everyone(cidr) {
			faults.Addf(field, "leave SourceCIDRs out for any address", "%q is everyone", cidr)
			continue
		}
		faults.Check(field, check.SourceIP(cidr))
	}
	for i, id := range o.VpcEndpoints {
		if !check.Token(id) && !strings.HasPrefix(id, "vpce-") {
			faults.Addf(fmt.Sprintf("Only.VpcEndpoints[%d]", i), "write it such as vpce-0123456789abcdef0", "%q is no ID of a VPC endpoint", id)
		}
	}
	for _, tag := range tags(o.TargetTags) {
		faults.Check("Only.TargetTags", check.Tag(tag.Key, tag.Value))
	}
	p.validateTargetTags(faults)
	p.validateWeekly(faults)
}

// validateTargetTags finds doors of which nothing would be left.
func (p *Props) validateTargetTags(faults *check.Faults) {
	examine := func(field string, targets []policy.Target) {
		for _, target := range targets {
			for _, tag := range target.Tags {
				if asked, ok := p.Only.TargetTags[tag.Key]; ok && asked != tag.Value {
					faults.Addf("Only.TargetTags", "leave the tag out here, or grant the door in an operator of its own",
						"asks for %s=%s, but %s leads to instances with %s=%s", tag.Key, asked, field, tag.Key, tag.Value)
				}
			}
		}
	}
	for _, intent := range []struct {
		name  string
		doors []Door
	}{{"Tunneller", p.Tunneller}, {"Shell", p.Shell}, {"SSH", p.SSH}, {"BreakGlass", p.BreakGlass}} {
		for i, door := range intent.doors {
			if !missing(door) {
				examine(fmt.Sprintf("%s[%d]", intent.name, i), door.Access().Targets)
			}
		}
	}
	for i, connection := range p.InstanceConnect {
		if !missing(connection) {
			examine(fmt.Sprintf("InstanceConnect[%d]", i), connection.Connection().Instances)
		}
	}
}

func (p *Props) validateWeekly(faults *check.Faults) {
	o := &p.Only
	if _, err := time.LoadLocation(o.TimeZone); err != nil || o.TimeZone == "Local" {
		faults.Addf("Only.TimeZone", `write it as the IANA database has it, such as "Europe/Berlin"`, "%q is no time zone", o.TimeZone)
	}
	if len(o.Weekly) == 0 {
		return
	}
	if p.PermissionSet {
		faults.Add("Only.Weekly", "is not for a permission set: nobody but IAM Identity Center may change its roles",
			"let the people assume a role of the account, and name that in Roles")
	}
	var taken [7][]int // windows by day
	for i, w := range o.Weekly {
		field := fmt.Sprintf("Only.Weekly[%d]", i)
		whole := true
		for _, hour := range []struct {
			name  string
			value time.Duration
		}{{"From", w.From}, {"Until", w.Until}} {
			if hour.value < 0 || hour.value > 24*time.Hour || hour.value%time.Minute != 0 {
				faults.Addf(field+"."+hour.name, "use whole minutes from 0 to 24h", "%s is no time of day", hour.value)
				whole = false
			}
		}
		if whole && w.Until <= w.From {
			faults.Addf(field+".Until", "put it after From; what goes past midnight is two windows", "%s is not after From, %s", w.Until, w.From)
			whole = false
		}
		for _, day := range w.Days {
			if day < time.Sunday || day > time.Saturday {
				faults.Addf(field+".Days", "use time.Sunday to time.Saturday", "%d is no day of the week", int(day))
				continue
			}
			if !whole {
				continue
			}
			for _, other := range taken[day] {
				if v := o.Weekly[other]; w.From < v.Until && v.From < w.Until {
					faults.Addf(field, "make one window of them", "overlaps with Weekly[%d] on %s", other, day)
				}
			}
			taken[day] = append(taken[day], i)
		}
	}
}

func age(faults *check.Faults, field string, d time.Duration) {
	if d%time.Second != 0 {
		faults.Addf(field, "use whole seconds", "%s has a part of a second", d)
		return
	}
	faults.Check(field, check.Within(d, time.Second, maxMFAAge))
}

func present[T any](faults *check.Faults, field string, list []T) {
	for i, item := range list {
		if missing(item) {
			faults.Add(fmt.Sprintf("%s[%d]", field, i), "is nil", "leave it out")
		}
	}
}

// missing is whether a value is nil, or an interface around a nil pointer, as a
// door is that an app has only declared.
func missing(value any) bool {
	if value == nil {
		return true
	}
	v := reflect.ValueOf(value)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func tags(m map[string]string) []policy.Tag {
	var list []policy.Tag
	for key, value := range m {
		list = append(list, policy.Tag{Key: key, Value: value})
	}
	slices.SortFunc(list, func(a, b policy.Tag) int { return strings.Compare(a.Key, b.Key) })
	return list
}
