package watch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/cdktest"
)

func TestMain(m *testing.M) { cdktest.Main(m) }

type (
	someTopic struct{ awssns.ITopic }
	someKey   struct{ awskms.IKey }
)

func TestValidate(t *testing.T) {
	for name, test := range map[string]struct {
		props Props
		want  string
	}{
		"nothing":    {Props{}, ""},
		"everything": {Props{Key: someKey{}, Emails: []string{"a@example.com", "${Token[TOKEN.1]}"}, DashboardName: "Access_1-a"}, ""},
		"own topic":  {Props{Topic: someTopic{}, Emails: []string{"a@example.com"}}, ""},

		"topic and its key": {Props{Topic: someTopic{}, Key: someKey{}}, ""},
		"chat": {Props{
			Slack: &Slack{WorkspaceID: "T012ABCDEFG", ChannelID: "C012ABCDEFG"},
			Teams: &Teams{TenantID: "1234abcd-12ab-34cd-56ef-1234567890ab", TeamID: "1234abcd-12ab-34cd-56ef-1234567890ab", ChannelID: "19%3Aab12cd34%40thread.tacv2"},
		}, ""},
		"chat of tokens": {Props{Slack: &Slack{WorkspaceID: "${Token[TOKEN.1]}", ChannelID: "${Token[TOKEN.2]}"}}, ""},
		"chat without IDs": {
			Props{Slack: &Slack{ChannelID: "#alarms"}, Teams: &Teams{TenantID: "contoso", ChannelID: "19:ab@thread.tacv2"}},
			`Slack.WorkspaceID: "" is not the ID of a workspace: take it from the console of Amazon Q Developer in chat applications, such as T012ABCDEFG` + "\n" +
				`Slack.ChannelID: "#alarms" is not the ID of a channel: take the end of the channel's link, such as C012ABCDEFG` + "\n" +
				`Teams.TenantID: "contoso" is not the ID of a tenant: take tenantId of the channel's link, a UUID` + "\n" +
				`Teams.TeamID: "" is not the ID of a team: take groupId of the channel's link, a UUID` + "\n" +
				`Teams.ChannelID: "19:ab@thread.tacv2" is not the ID of a channel: take it from the channel's link as it is there, such as 19%3Aab12...%40thread.tacv2`,
		},
		"what is usual": {Props{
			TimeZone: "Europe/Berlin", OfficeHours: []Window{{From: 8 * time.Hour, Until: 18 * time.Hour}, {Days: []time.Weekday{time.Saturday}, Until: 24 * time.Hour}},
			KnownRanges: []string{"203.0.113.0/24", "2001:db8::/32", "${Token[TOKEN.1]}"}, FunctionFile: "notice.zip",
		}, ""},
		"nothing of it can be": {
			Props{
				TimeZone:     "Europe/Bielefeld",
				OfficeHours:  []Window{{From: 18 * time.Hour, Until: 8 * time.Hour}, {Days: []time.Weekday{7}, From: -time.Hour, Until: 25 * time.Hour}, {Until: time.Second}},
				KnownRanges:  []string{"203.0.113.0", "0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/8"},
				FunctionFile: "${Token[TOKEN.1]}",
			},
			`TimeZone: "Europe/Bielefeld" is not a time zone: use a name of the IANA time zone database, such as Europe/Berlin, or none for UTC` + "\n" +
				`OfficeHours[0].Until: 8h0m0s is not after From, 18h0m0s: put it after From; what goes past midnight is two windows` + "\n" +
				`OfficeHours[1].From: -1h0m0s is no time of day: use whole minutes from 0 to 24h` + "\n" +
				`OfficeHours[1].Until: 25h0m0s is no time of day: use whole minutes from 0 to 24h` + "\n" +
				`OfficeHours[1].Days: 7 is no day of the week: use time.Sunday to time.Saturday` + "\n" +
				`OfficeHours[2].Until: 1s is no time of day: use whole minutes from 0 to 24h` + "\n" +
				`KnownRanges[0]: "203.0.113.0" is not a CIDR block: for this one address write 203.0.113.0/32` + "\n" +
				`KnownRanges[1]: "0.0.0.0/0" is every address, so none would be unknown: name the addresses that people work from, or leave KnownRanges out` + "\n" +
				`KnownRanges[3]: "10.0.0.0/8" is the same as KnownRanges[2]: leave it out` + "\n" +
				`FunctionFile: is a token, and the file is read now: write the path of the file`,
		},
		"a file for nothing": {
			Props{FunctionFile: "notice.zip"},
			"FunctionFile: is for the function that TimeZone, OfficeHours and KnownRanges need, and none of them is set: set one of them, or leave it out",
		},
		"bad address": {
			Props{Emails: []string{"a@example.com", "oncall"}},
			`Emails[1]: "oncall" is not an e-mail address: write it bare, such as oncall@example.com`,
		},
		"same address": {
			Props{Emails: []string{"a@example.com", "b@example.com", "A@example.com"}},
			`Emails[2]: "A@example.com" is the same as Emails[0]: leave it out`,
		},
		"dashboard name": {
			Props{DashboardName: "a b"},
			`DashboardName: "a b" is no name of a dashboard: use letters, digits, "-" and "_", up to 255`,
		},
		"all at once": {
			Props{Emails: []string{"x"}, DashboardName: "a/b"},
			"Emails[0]: \"x\" is not an e-mail address: write it bare, such as oncall@example.com\n" +
				`DashboardName: "a/b" is no name of a dashboard: use letters, digits, "-" and "_", up to 255`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := test.props.withDefaults()
			err := p.validate()
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, test.want)
		})
	}
}

func TestHostOptions(t *testing.T) {
	defaults := HostOptions{
		OutOfServiceMinutes: 10, SilentMinutes: 15, CpuPercent: 90, MemoryPercent: 90, DiskPercent: 85, UnprovenMinutes: 30, MetricsNamespace: "Postern/Bastion",
	}
	var none *HostOptions
	assert.Equal(t, defaults, none.withDefaults())
	given := &HostOptions{}
	assert.Equal(t, defaults, given.withDefaults())
	assert.Equal(t, &HostOptions{}, given, "the caller's options stay as they are")

	for name, test := range map[string]struct {
		options HostOptions
		want    string
	}{
		"nothing":     {HostOptions{}, ""},
		"the longest": {HostOptions{OutOfServiceMinutes: 1440, SilentMinutes: 1440, CpuPercent: 100, MemoryPercent: 100, DiskPercent: 1}, ""},
		"all at once": {
			HostOptions{Name: "a/b", OutOfServiceMinutes: 1441, SilentMinutes: 7, CpuPercent: 101, MemoryPercent: -1, DiskPercent: 200, UnprovenMinutes: 10, MetricsNamespace: "AWS/EC2"},
			"Name: \"a/b\" can't be the ID of a construct: use plain text without slashes\n" +
				"OutOfServiceMinutes: 1441 is out of range: use 1 to 1440\n" +
				"SilentMinutes: 7 can't be counted in steps of 5 minutes: use a multiple of 5 from 5 to 1440\n" +
				"UnprovenMinutes: 10 can't be counted in steps of 10 minutes: use a multiple of 10 from 20 to 1440\n" +
				"CpuPercent: 101 is out of range: use 1 to 100\n" +
				"MemoryPercent: -1 is out of range: use 1 to 100\n" +
				"DiskPercent: 200 is out of range: use 1 to 100\n" +
				`MetricsNamespace: "AWS/EC2" is no namespace that an agent can write to: use letters, digits and ._/#:-, not beginning with ":" or "AWS/", up to 255`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := test.options.withDefaults()
			err := o.validate()
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, test.want)
		})
	}
}

func TestSessionNotices(t *testing.T) {
	var none *SessionNotices
	assert.Equal(t, SessionNotices{}, none.withDefaults())
	for name, test := range map[string]struct {
		notices SessionNotices
		want    string
	}{
		"nothing":    {SessionNotices{}, ""},
		"everything": {SessionNotices{Quiet: []string{"Postern-Orders", "AWS-StartSSHSession", "${Token[TOKEN.7]}"}, Resumed: true, Ended: true}, ""},
		"all at once": {
			SessionNotices{Quiet: []string{"Orders", "arn:aws:ssm:eu-west-1:111122223333:document/Orders", "Orders"}},
			`Quiet[1]: "arn:aws:ssm:eu-west-1:111122223333:document/Orders" is no name of a session document: write the name alone, 3 to 128 letters, digits, hyphens, dots and underscores` +
				"\n" + `Quiet[2]: "Orders" is the same as Quiet[0]: leave it out`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.notices.validate()
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, test.want)
		})
	}
}

// The values that the expressions of alarms take, case by case. A metric that is
// not in the map has sent nothing.
func TestExpressions(t *testing.T) {
	type metrics = map[string]float64
	const missing = -1
	for name, test := range map[string]struct {
		expression string
		metrics    metrics
		want       float64
	}{
		"serving":                      {outOfService, metrics{desired: 1, inService: 1}, 0},
		"nobody home":                  {outOfService, metrics{desired: 1, inService: 0}, 1},
		"one of two is enough":         {outOfService, metrics{desired: 2, inService: 1}, 0},
		"replaced before terminated":   {outOfService, metrics{desired: 1, inService: 2}, 0},
		"scaled to zero on purpose":    {outOfService, metrics{desired: 0, inService: 0}, 0},
		"ending after scaling to zero": {outOfService, metrics{desired: 0, inService: 1}, 0},
		"group metrics off":            {outOfService, metrics{}, missing},
		"in service unknown":           {outOfService, metrics{desired: 1}, missing},

		"agent reports":                  {silent, metrics{inService: 1, beats: 5}, 0},
		"agent reported once":            {silent, metrics{inService: 1, beats: 1}, 0},
		"agent silent":                   {silent, metrics{inService: 1}, 1},
		"silent, nobody in service":      {silent, metrics{inService: 0}, 0},
		"last report, nobody in service": {silent, metrics{inService: 0, beats: 2}, 0},
		"silent, service is not known":   {silent, metrics{}, missing},
		"reporting, service not known":   {silent, metrics{beats: 5}, missing},
		"silent though two are running":  {silent, metrics{inService: 2}, 1},

		"checks arrive":               {unproven, metrics{inService: 1, checks: 12}, 0},
		"no check arrives":            {unproven, metrics{inService: 1}, 1},
		"no check, nobody in service": {unproven, metrics{inService: 0}, 0},
		"no check, service unknown":   {unproven, metrics{}, missing},
	} {
		t.Run(name, func(t *testing.T) {
			got, known := evaluate(t, test.expression, test.metrics)
			if !known {
				got = missing
			}
			assert.InDelta(t, test.want, got, 0)
		})
	}
}

// evaluate computes a metric-math expression at one moment: an operation on a
// missing value has no value, FILL replaces a missing one.
func evaluate(t *testing.T, expression string, metrics map[string]float64) (float64, bool) {
	t.Helper()
	tree, err := parser.ParseExpr(strings.ReplaceAll(expression, " AND ", " && "))
	require.NoError(t, err)

	var value func(ast.Expr) (float64, bool)
	value = func(node ast.Expr) (float64, bool) {
		switch node := node.(type) {
		case *ast.ParenExpr:
			return value(node.X)
		case *ast.Ident:
			v, known := metrics[node.Name]
			return v, known
		case *ast.BasicLit:
			v, err := strconv.ParseFloat(node.Value, 64)
			require.NoError(t, err)
			return v, true
		case *ast.BinaryExpr:
			left, leftKnown := value(node.X)
			right, rightKnown := value(node.Y)
			holds := map[token.Token]bool{
				token.GTR: left > right, token.LSS: left < right, token.LAND: left != 0 && right != 0,
			}
			result, defined := holds[node.Op]
			require.True(t, defined, node.Op)
			if result {
				return 1, leftKnown && rightKnown
			}
			return 0, leftKnown && rightKnown
		case *ast.CallExpr:
			first, known := value(node.Args[0])
			switch node.Fun.(*ast.Ident).Name {
			case "FILL":
				if !known {
					return value(node.Args[1])
				}
				return first, true
			case "IF":
				if !known {
					return 0, false
				}
				if first != 0 {
					return value(node.Args[1])
				}
				return value(node.Args[2])
			}
		}
		require.Failf(t, "not understood", "%#v", node)
		return 0, false
	}
	return value(tree)
}

// CloudWatch takes descriptions of 1024 characters; a name may be as long as a
// group's, 255.
func TestNoticesFit(t *testing.T) {
	n := alarmText{host: strings.Repeat("h", 100), group: strings.Repeat("g", 255)}
	for name, text := range map[string]string{
		"outOfService": n.outOfService(1440), "silent": n.silent(1440), "statusCheck": n.statusCheck(),
		"cpu": n.cpu(100), "memory": n.memory(100), "disk": n.disk(100),
		"broken": n.broken(), "unproven": n.unproven(1440),
	} {
		assert.LessOrEqual(t, len(text), 1024, name)
		assert.Contains(t, text, n.host, name)
		assert.Contains(t, text, n.group, name)
		assert.NotContains(t, text, "%!", name)
	}
	for name, text := range map[string]string{"used": breakGlassUsed(n.host), "not opened": notOpened(n.host)} {
		assert.LessOrEqual(t, len(text), 1024, name)
		assert.Contains(t, text, n.host, name)
		assert.NotContains(t, text, "%!", name)
	}
}
