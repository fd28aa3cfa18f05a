package watch

import (
	"fmt"
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
	"github.com/postern-cdk/postern/internal/notice"
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
			TimeZone: "Europe/Berlin", OfficeHours: &OfficeHours{From: "08:00", Until: "18:00"},
			KnownRanges: []string{"203.0.113.0/24", "2001:db8::/32", "${Token[TOKEN.1]}"}, FunctionFile: "notice.zip",
		}, ""},
		"nothing of it can be": {
			Props{
				TimeZone:     "Europe/Bielefeld",
				KnownRanges:  []string{"203.0.113.0", "0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/8"},
				FunctionFile: "${Token[TOKEN.1]}",
			},
			`TimeZone: "Europe/Bielefeld" is not a time zone: use a name of the IANA time zone database, such as Europe/Berlin, or none for UTC` + "\n" +
				`KnownRanges[0]: "203.0.113.0" is not a CIDR block: for this one address write 203.0.113.0/32` + "\n" +
				`KnownRanges[1]: "0.0.0.0/0" is every address, so none would be unknown: name the addresses that people work from, or leave KnownRanges out` + "\n" +
				`KnownRanges[3]: "10.0.0.0/8" is the same as KnownRanges[2]: leave it out` + "\n" +
				`FunctionFile: is a token, and the file is read now: write the path of the file`,
		},
		"two time zones": {
			Props{TimeZone: "Europe/Berlin", OfficeHours: &OfficeHours{TimeZone: "Asia/Tokyo", From: "08:00", Until: "18:00"}},
			`TimeZone: "Europe/Berlin" is not that of OfficeHours, "Asia/Tokyo": name it in one place`,
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
			cdktest.EqualError(t, p.validate(), test.want)
		})
	}
}

func documents(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("Postern-Access-Tunnel-%04d", i))
	}
	return names
}

// Settings that Lambda takes no more are refused before they are deployed.
func TestKnownRangesFit(t *testing.T) {
	var p Props
	for i := range 140 {
		p.KnownRanges = append(p.KnownRanges, fmt.Sprintf("203.0.%d.0/24", i))
	}
	require.NoError(t, p.validate())
	for i := range 20 {
		p.KnownRanges = append(p.KnownRanges, fmt.Sprintf("198.51.%d.0/24", 100+i))
	}
	require.EqualError(t, p.validate(), `KnownRanges: 160 blocks are 2631 characters, and the settings of the function have room for 2560: name wider blocks, or fewer`)
}

func TestSettingsOfTheFunction(t *testing.T) {
	workdays := []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}
	for name, test := range map[string]struct {
		props Props
		want  notice.Settings
	}{
		"addresses alone": {Props{KnownRanges: []string{"10.0.0.0/8"}}, notice.Settings{Known: []string{"10.0.0.0/8"}}},
		"time alone":      {Props{TimeZone: "Europe/Berlin"}, notice.Settings{TimeZone: "Europe/Berlin"}},
		"hours there": {
			Props{TimeZone: "Europe/Berlin", OfficeHours: &OfficeHours{From: "08:00", Until: "18:30"}},
			notice.Settings{TimeZone: "Europe/Berlin", Hours: []notice.Window{{Days: workdays, From: 480, Until: 1110}}},
		},
		"hours elsewhere, over midnight": {
			Props{OfficeHours: &OfficeHours{TimeZone: "Asia/Tokyo", Days: []time.Weekday{time.Friday, time.Saturday}, From: "22:00", Until: "06:00"}},
			notice.Settings{TimeZone: "Asia/Tokyo", Hours: []notice.Window{
				{Days: []time.Weekday{time.Friday, time.Saturday}, From: 1320, Until: 1440},
				{Days: []time.Weekday{time.Saturday, time.Sunday}, From: 0, Until: 360},
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := test.props.withDefaults()
			require.NoError(t, p.validate())
			assert.Equal(t, test.want, p.settings())
		})
	}
}

func TestHostOptions(t *testing.T) {
	defaults := HostOptions{
		OutOfServiceMinutes: 10, SilentMinutes: 15, CpuPercent: 90, MemoryPercent: 90, DiskPercent: 85, UnprovenMinutes: 30, MetricsNamespace: "Postern/Bastion",
		FailedKeysPerTenMinutes: 20, InvalidUsersPerTenMinutes: 5, SudoPerTenMinutes: 1, UnhealthyMinutes: 5,
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
			HostOptions{
				Name: "a/b", OutOfServiceMinutes: 1441, SilentMinutes: 7, CpuPercent: 101, MemoryPercent: -1, DiskPercent: 200, UnprovenMinutes: 10, MetricsNamespace: "AWS/EC2",
				FailedKeysPerTenMinutes: -1, InvalidUsersPerTenMinutes: 100001, SudoPerTenMinutes: -3, UnhealthyMinutes: 1441,
			},
			"Name: \"a/b\" can't be the ID of a construct: use plain text without slashes\n" +
				"OutOfServiceMinutes: 1441 is out of range: use 1 to 1440\n" +
				"SilentMinutes: 7 can't be counted in steps of 5 minutes: use a multiple of 5 from 5 to 1440\n" +
				"UnprovenMinutes: 10 can't be counted in steps of 10 minutes: use a multiple of 10 from 20 to 1440\n" +
				"FailedKeysPerTenMinutes: -1 is out of range: use 1 to 100000\n" +
				"InvalidUsersPerTenMinutes: 100001 is out of range: use 1 to 100000\n" +
				"SudoPerTenMinutes: -3 is out of range: use 1 to 100000\n" +
				"UnhealthyMinutes: 1441 is out of range: use 1 to 1440\n" +
				"CpuPercent: 101 is out of range: use 1 to 100\n" +
				"MemoryPercent: -1 is out of range: use 1 to 100\n" +
				"DiskPercent: 200 is out of range: use 1 to 100\n" +
				`MetricsNamespace: "AWS/EC2" is no namespace that an agent can write to: use letters, digits and ._/#:-, not beginning with ":" or "AWS/", up to 255`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := test.options.withDefaults()
			cdktest.EqualError(t, o.validate(), test.want)
		})
	}
}

func TestOfficeHours(t *testing.T) {
	given := &OfficeHours{TimeZone: "Europe/Berlin", From: "08:00", Until: "18:30"}
	p := (&Props{OfficeHours: given}).withDefaults()
	assert.Len(t, p.OfficeHours.Days, 5)
	assert.Nil(t, given.Days, "the caller's hours stay as they are")
	from, until := p.OfficeHours.windows()
	assert.Equal(t, []int{8 * 60, 18*60 + 30}, []int{from, until})

	for name, test := range map[string]struct {
		hours OfficeHours
		want  string
	}{
		"in UTC":        {OfficeHours{From: "08:00", Until: "18:00"}, ""},
		"over midnight": {OfficeHours{TimeZone: "Asia/Tokyo", Days: []time.Weekday{time.Sunday}, From: "22:00", Until: "06:00"}, ""},
		"nothing": {
			OfficeHours{},
			`OfficeHours.From: "" is no time of the day: use hours and minutes, such as "08:00"` + "\n" +
				`OfficeHours.Until: "" is no time of the day: use hours and minutes, such as "08:00"`,
		},
		"all at once": {
			OfficeHours{TimeZone: "Europe/Bielefeld", Days: []time.Weekday{time.Monday, 9, time.Monday}, From: "8", Until: "25:00"},
			`OfficeHours.TimeZone: "Europe/Bielefeld" is not a time zone: use a name of the IANA time zone database, such as Europe/Berlin, or none for UTC` + "\n" +
				"OfficeHours.Days[1]: 9 is no day of the week: use time.Monday and the like\n" +
				"OfficeHours.Days[2]: Monday is there twice: leave it out\n" +
				`OfficeHours.From: "8" is no time of the day: use hours and minutes, such as "08:00"` + "\n" +
				`OfficeHours.Until: "25:00" is no time of the day: use hours and minutes, such as "08:00"`,
		},
		"no day": {
			OfficeHours{Days: []time.Weekday{}, From: "08:00", Until: "18:00"},
			"OfficeHours.Days: has no day, so that every login would be outside of the hours: name the days, or leave it out for Monday to Friday",
		},
		"all day": {
			OfficeHours{From: "08:00", Until: "08:00"},
			`OfficeHours.Until: "08:00" is From, too: no login would be outside of the hours: name a later time, or leave out the office hours`,
		},
		"a token": {
			OfficeHours{TimeZone: "${Token[TOKEN.3]}", From: "08:00", Until: "18:00"},
			"OfficeHours.TimeZone: is a token, whose value is not known when the hours are counted: write the name itself",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := (&Props{OfficeHours: &test.hours}).withDefaults()
			cdktest.EqualError(t, p.validate(), test.want)
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
		"nothing":           {SessionNotices{}, ""},
		"everything":        {SessionNotices{Quiet: []string{"Postern-Orders", "AWS-StartSSHSession", "${Token[TOKEN.7]}"}, Resumed: true, Ended: true}, ""},
		"a pattern's worth": {SessionNotices{Quiet: documents(14)}, ""},
		"too many":          {SessionNotices{Quiet: documents(40)}, `Quiet: 40 documents make a pattern of 4793 characters, and EventBridge takes 2048: name fewer`},
		"all at once": {
			SessionNotices{Quiet: []string{"Orders", "arn:aws:ssm:eu-west-1:111122223333:document/Orders", "Orders"}},
			`Quiet[1]: "arn:aws:ssm:eu-west-1:111122223333:document/Orders" is no name of a session document: write the name alone, 3 to 128 letters, digits, hyphens, dots and underscores` +
				"\n" + `Quiet[2]: "Orders" is the same as Quiet[0]: leave it out`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			cdktest.EqualError(t, test.notices.validate(), test.want)
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

		"a healthy target":               {unhealthy, metrics{desired: 1, healthy: 1}, 0},
		"no healthy target":              {unhealthy, metrics{desired: 1, healthy: 0}, 1},
		"no target at all":               {unhealthy, metrics{desired: 1}, 1},
		"no target, scaled to zero":      {unhealthy, metrics{desired: 0}, 0},
		"healthy, group metrics are off": {unhealthy, metrics{healthy: 1}, missing},

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
		"failedKeys": n.failedKeys(maxLines), "invalidUsers": n.invalidUsers(maxLines), "sudo": n.sudo(maxLines), "integrity": n.integrity(),
		"auditStopped": n.auditStopped(), "peopleFailed": n.peopleFailed(), "usersRefused": n.usersRefused(), "recordingGap": n.recordingGap(),
		"diskFilled": n.diskFilled(), "noHealthyDoor": n.noHealthyDoor(1440),
		"loginOutsideHours": n.loginOutsideHours(&OfficeHours{TimeZone: "America/Argentina/ComodRivadavia", From: "08:00", Until: "18:00"}),
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
