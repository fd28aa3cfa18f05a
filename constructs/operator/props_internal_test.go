package operator

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	jsonata "github.com/blues/jsonata-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/cdktest"
	"github.com/postern-cdk/postern/internal/policy"
)

func TestMain(m *testing.M) { cdktest.Main(m) }

var (
	today = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	door  = Document{Name: "Shell", Instances: []string{"i-0123456789abcdef0"}}
)

// good is the least that is granted to anybody; change turns it into a case.
func good(change func(*Props)) *Props {
	p := &Props{PermissionSet: true, Shell: []Door{door}}
	if change != nil {
		change(p)
	}
	return p
}

func fault(p *Props) string {
	q := p.withDefaults()
	if err := q.validate(today); err != nil {
		return err.Error()
	}
	return ""
}

func TestDefaults(t *testing.T) {
	p := (*Props)(nil).withDefaults()
	assert.Equal(t, 15*time.Minute, p.BreakGlassMFAMaxAge)
	assert.Equal(t, "UTC", p.Only.TimeZone)
	given := &Props{Only: Only{Weekly: []Window{{Until: time.Hour}}}}
	q := given.withDefaults()
	assert.Equal(t, []time.Weekday{1, 2, 3, 4, 5}, q.Only.Weekly[0].Days)
	assert.Empty(t, given.Only.Weekly[0].Days, "what was given is left alone")
}

func TestFaults(t *testing.T) {
	assert.Empty(t, fault(good(nil)))
	long := strings.Repeat("x", 129)
	for name, c := range map[string]struct {
		change func(*Props)
		want   string
	}{
		"nobody":  {func(p *Props) { p.PermissionSet = false }, "Roles: is empty, as are Users and Groups: name whom the intents are for, or set PermissionSet"},
		"nothing": {func(p *Props) { p.Shell = nil }, "Shell: is empty, as are all other intents, so nothing is granted: set at least one of Viewer, Tunneller, Shell, SSH, InstanceConnect and BreakGlass"},
		"open document": {func(p *Props) {
			p.Tunneller = []Door{Document{Name: "AWS-StartPortForwardingSessionToRemoteHost", Instances: door.Instances}}
		}, `Tunneller[0].Name: "AWS-StartPortForwardingSessionToRemoteHost" is AWS's, and leads to any port or runs any command: use a document of your own that fixes the port, such as by session.NewTunnel`},
		"open document by ARN": {func(p *Props) {
			p.SSH = []Door{Document{Name: "arn:aws:ssm:eu-west-1::document/AWS-StartSSHSession", Instances: door.Instances}}
		}, `SSH[0].Name: "AWS-StartSSHSession" is AWS's, and leads to any port or runs any command: use a document of your own that fixes the port, such as by session.NewTunnel`},
		"pattern":       {func(p *Props) { p.Shell = []Door{Document{Name: "Shell*", Instances: door.Instances}} }, `Shell[0].Name: "Shell*" is a pattern, and who makes documents would choose what it means: name each document`},
		"no name":       {func(p *Props) { p.Shell = []Door{Document{Instances: door.Instances}} }, "Shell[0].Name: is empty: write the name of a session document, or its ARN"},
		"no target":     {func(p *Props) { p.Shell = []Door{Document{Name: "Shell"}} }, "Shell[0]: has no target: say which instances it leads to: with its Targets or AllowHost, or Instances or Tags of a Document"},
		"all instances": {func(p *Props) { p.Shell = []Door{Document{Name: "Shell", Instances: []string{"*"}}} }, `Shell[0].Instances: "*" is a pattern: name each instance, or use Tags`},
		"emergency with an everyday document": {
			func(p *Props) { p.BreakGlass = []Door{door}; p.Only.MFAAskedElsewhere = true },
			`BreakGlass[0]: has the document "Shell", as has Shell[0]: make a document of its own with a short MaxDuration, so that its use is an alarm`,
		},
		"permission set and MFA": {
			func(p *Props) { p.Only.MFA = true },
			"Only.MFAAskedElsewhere: is not set, but requests of a permission set tell of no second factor, so a condition on it would let nobody in: require MFA in IAM Identity Center, and set it",
		},
		"with and without MFA": {
			func(p *Props) { p.Only = Only{MFAMaxAge: time.Hour, WithoutMFA: true, MFAAskedElsewhere: true} },
			"Only.WithoutMFA: is set, and MFA or MFAMaxAge, too: leave one of them out",
		},
		"MFA too old":        {func(p *Props) { p.Only = Only{MFAMaxAge: 37 * time.Hour, MFAAskedElsewhere: true} }, "Only.MFAMaxAge: 37h0m0s is out of range: use 1s to 36h0m0s"},
		"MFA negative":       {func(p *Props) { p.Only = Only{MFAMaxAge: -time.Hour, MFAAskedElsewhere: true} }, "Only.MFAMaxAge: -1h0m0s is out of range: use 1s to 36h0m0s"},
		"MFA in parts":       {func(p *Props) { p.BreakGlassMFAMaxAge = 1500 * time.Millisecond }, "BreakGlassMFAMaxAge: 1.5s has a part of a second: use whole seconds"},
		"ends before begins": {func(p *Props) { p.Only.From, p.Only.Until = today.Add(2*time.Hour), today.Add(time.Hour) }, "Only.Until: 2026-11-22T13:00:00Z is not after From, 2026-11-22T14:00:00Z: put it after From"},
		"past":               {func(p *Props) { p.Only.Until = today }, "Only.Until: 2026-11-22T12:00:00Z is past: take it out to give access for good, or the whole operator to take it away"},
		"CIDR":               {func(p *Props) { p.Only.SourceCIDRs = []string{"203.0.113.7"} }, `Only.SourceCIDRs[0]: "203.0.113.7" is not a CIDR block: for this one address write 203.0.113.7/32`},
		"private":            {func(p *Props) { p.Only.SourceCIDRs = []string{"10.0.0.0/8"} }, `Only.SourceCIDRs[0]: "10.0.0.0/8" is a private range, which AWS sees no request come from: name the public addresses that people come from, or the VPC endpoints`},
		"everyone":           {func(p *Props) { p.Only.SourceCIDRs = []string{"203.0.113.0/24", "0.0.0.0/0"} }, `Only.SourceCIDRs[1]: "0.0.0.0/0" is everyone: leave SourceCIDRs out for any address`},
		"endpoint":           {func(p *Props) { p.Only.VpcEndpoints = []string{"eice-0123"} }, `Only.VpcEndpoints[0]: "eice-0123" is no ID of a VPC endpoint: write it such as vpce-0123456789abcdef0`},
		"tag":                {func(p *Props) { p.Only.TargetTags = map[string]string{long: ""} }, "Only.TargetTags: a key of 129 characters can't be a tag's: use 1 to 128"},
		"nothing left": {func(p *Props) {
			p.Only.TargetTags = map[string]string{"Role": "db"}
			p.Shell = []Door{Document{Name: "Shell", Tags: map[string]string{"Role": "web"}}}
		}, "Only.TargetTags: asks for Role=db, but Shell[0] leads to instances with Role=web: leave the tag out here, or grant the door in an operator of its own"},
		"time zone": {func(p *Props) { p.Only.TimeZone = "Berlin" }, `Only.TimeZone: "Berlin" is no time zone: write it as the IANA database has it, such as "Europe/Berlin"`},
	} {
		assert.Equal(t, c.want, fault(good(c.change)), name)
	}
}

func TestFaultsOfWindows(t *testing.T) {
	for name, c := range map[string]struct {
		windows []Window
		want    string
	}{
		"good":            {[]Window{{From: 9 * time.Hour, Until: 17 * time.Hour}, {From: 17 * time.Hour, Until: 24 * time.Hour}}, ""},
		"ends at once":    {[]Window{{From: time.Hour, Until: time.Hour}}, "Only.Weekly[0].Until: 1h0m0s is not after From, 1h0m0s: put it after From; what goes past midnight is two windows"},
		"ends before":     {[]Window{{From: 17 * time.Hour, Until: 9 * time.Hour}}, "Only.Weekly[0].Until: 9h0m0s is not after From, 17h0m0s: put it after From; what goes past midnight is two windows"},
		"past midnight":   {[]Window{{From: 22 * time.Hour, Until: 30 * time.Hour}}, "Only.Weekly[0].Until: 30h0m0s is no time of day: use whole minutes from 0 to 24h"},
		"parts":           {[]Window{{From: time.Second, Until: time.Hour}}, "Only.Weekly[0].From: 1s is no time of day: use whole minutes from 0 to 24h"},
		"no day":          {[]Window{{Days: []time.Weekday{7}, Until: time.Hour}}, "Only.Weekly[0].Days: 7 is no day of the week: use time.Sunday to time.Saturday"},
		"overlap":         {[]Window{{From: 9 * time.Hour, Until: 17 * time.Hour}, {Days: []time.Weekday{5, 6}, From: 16 * time.Hour, Until: 20 * time.Hour}}, "Only.Weekly[1]: overlaps with Weekly[0] on Friday: make one window of them"},
		"twice on a day":  {[]Window{{Days: []time.Weekday{1, 1}, From: 9 * time.Hour, Until: 17 * time.Hour}}, "Only.Weekly[0]: overlaps with Weekly[0] on Monday: make one window of them"},
		"all of a window": {[]Window{{Days: []time.Weekday{8}, From: -time.Hour, Until: time.Hour + time.Second}}, "Only.Weekly[0].From: -1h0m0s is no time of day: use whole minutes from 0 to 24h\nOnly.Weekly[0].Until: 1h0m1s is no time of day: use whole minutes from 0 to 24h\nOnly.Weekly[0].Days: 8 is no day of the week: use time.Sunday to time.Saturday"},
	} {
		p := (&Props{Only: Only{Weekly: c.windows}}).withDefaults()
		got := []string{}
		for line := range strings.SplitSeq(fmt.Sprint(p.validate(today)), "\n") {
			if strings.HasPrefix(line, "Only.") {
				got = append(got, line)
			}
		}
		assert.Equal(t, c.want, strings.Join(got, "\n"), name)
	}
	assert.Contains(t, fault(good(func(p *Props) { p.Only.Weekly = []Window{{Until: time.Hour}} })),
		"Only.Weekly: is not for a permission set: nobody but IAM Identity Center may change its roles: let the people assume a role of the account, and name that in Roles")
}

func TestTokensAreNotParsed(t *testing.T) {
	token := "${Token[TOKEN.1]}"
	assert.Empty(t, fault(good(func(p *Props) {
		p.Shell = []Door{Document{Name: token, Instances: []string{token}, Keys: []string{token}}}
		p.Only.SourceCIDRs, p.Only.VpcEndpoints = []string{token}, []string{token}
	})))
}

func TestDocumentIsADoor(t *testing.T) {
	assert.Equal(t, policy.Session{
		Documents: []string{"D"},
		Targets: []policy.Target{
			{ID: "i-1"},
			{ARN: "arn:aws:ec2:r:a:instance/i-2"},
			{Tags: []policy.Tag{{Key: "A", Value: "1"}, {Key: "B", Value: "2"}}},
		},
		Keys: []string{"arn:aws:kms:r:a:key/k"},
	}, Document{
		Name: "D", Instances: []string{"i-1", "arn:aws:ec2:r:a:instance/i-2"}, Tags: map[string]string{"B": "2", "A": "1"}, Keys: []string{"arn:aws:kms:r:a:key/k"},
	}.Access())
}

func TestCron(t *testing.T) {
	assert.Equal(t, "cron(30 9 ? * MON,SUN *)", cron(Window{Days: []time.Weekday{time.Monday, time.Sunday}, From: 9*time.Hour + 30*time.Minute}))
	assert.Equal(t, "cron(0 0 ? * SAT *)", cron(Window{Days: []time.Weekday{time.Saturday}}))
}

// What the opener writes is what a policy says that closes at the end of the
// window, however late it writes it.
func TestOpenerWritesTheEndOfTheWindow(t *testing.T) {
	grant := policy.Grant{Sessions: []policy.Session{door.Access()}, Closes: policy.Closed}
	scope := policy.Scope{Partition: "aws", Region: "eu-west-1", Account: "111122223333"}
	closed := policy.Document(grant.Gated(scope, policy.User))
	definition := opener("aws", "P", []holder{{kind: "User", name: "ann", plan: "Users"}, {kind: "Role", name: "r", plan: "Roles"}}, map[string]string{"Users": closed, "Roles": closed})
	assert.NotContains(t, definition, "${", "Step Functions would take it for a substitution")
	var machine struct {
		StartAt string
		States  map[string]struct {
			Type, Next, Default string
			Assign, Arguments   map[string]any
			Catch               []struct{ Next string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(definition), &machine))
	window := machine.States[machine.StartAt].Assign
	for name, c := range map[string]struct {
		opened  string
		began   string // by Step Functions' clock
		seconds int
		closes  time.Time
	}{
		"a day's work":           {"2026-11-23T08:00:00Z", "2026-11-23T08:00:01.5Z", 8 * 3600, time.Date(2026, 11, 23, 16, 0, 0, 0, time.UTC)},
		"over new year":          {"2026-12-31T23:00:00Z", "2026-12-31T23:00:01.5Z", 2 * 3600, time.Date(2027, 1, 1, 1, 0, 0, 0, time.UTC)},
		"a day at most":          {"2026-11-23T08:00:00Z", "2026-11-23T08:00:01.5Z", 1e9, time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)},
		"late":                   {"2026-11-23T08:00:00Z", "2026-11-23T11:00:00.5Z", 8 * 3600, time.Date(2026, 11, 23, 16, 0, 0, 0, time.UTC)},
		"told of a time to come": {"2099-01-01T00:00:00Z", "2026-11-23T08:00:00.5Z", 3600, time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)},
	} {
		closes := evaluate(t, window["closes"].(string), map[string]any{"states": map[string]any{
			"input":   map[string]any{"opened": c.opened, "seconds": c.seconds},
			"context": map[string]any{"Execution": map[string]any{"StartTime": c.began}},
		}})
		written := evaluate(t, machine.States["Put0"].Arguments["PolicyDocument"].(string), map[string]any{"policies": window["policies"], "closes": closes})
		grant.Closes = c.closes
		assert.Equal(t, policy.Document(grant.Gated(scope, policy.User)), written, name)
	}
	assert.Equal(t, "ann", machine.States["Put0"].Arguments["UserName"])
	assert.Equal(t, "Put1", machine.States["Put0"].Catch[0].Next, "a deleted user keeps nobody else out")
	assert.Equal(t, "r", machine.States["Put1"].Arguments["RoleName"])
	assert.Equal(t, "Opened", machine.States["Put1"].Next)
	assert.Equal(t, "All", machine.States["Opened"].Default)
}

// evaluate is what Step Functions makes of a JSONata expression.
func evaluate(t *testing.T, expression string, variables map[string]any) any {
	t.Helper()
	inner, ok := strings.CutPrefix(expression, "{% ")
	require.True(t, ok)
	inner, ok = strings.CutSuffix(inner, " %}")
	require.True(t, ok)
	compiled, err := jsonata.Compile(inner)
	require.NoError(t, err)
	require.NoError(t, compiled.RegisterVars(variables))
	value, err := compiled.Eval(nil)
	require.NoError(t, err)
	return value
}
