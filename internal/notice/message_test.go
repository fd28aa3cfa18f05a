package notice_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sebdah/goldie/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/notice"
	"github.com/postern-cdk/postern/internal/notice/noticetest"
)

// sent is what the function gets of a rule for a recorded call: EventBridge puts the
// whole event in the place of its variable.
func sent(t *testing.T, r notice.Rule, name string) []byte {
	t.Helper()
	template := r.FunctionTemplate()
	require.Equal(t, 1, strings.Count(template, "<"), "no variable but the event")
	payload := strings.Replace(template, "<aws.events.event.json>", string(event(t, name)), 1)
	require.True(t, json.Valid([]byte(payload)), payload)
	return []byte(payload)
}

func judge(t *testing.T, s notice.Settings) *notice.Judge {
	t.Helper()
	j, err := notice.NewJudge(s)
	require.NoError(t, err)
	return j
}

var (
	workdays = []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}
	berlin   = notice.Settings{
		TimeZone: "Europe/Berlin",
		Hours:    []notice.Window{{Days: workdays, From: 8 * 60, Until: 18 * 60}, {Days: []time.Weekday{time.Sunday}, From: 9 * 60, Until: 10 * 60}},
		Known:    []string{"203.0.113.0/24", "2001:db8::/32", "10.0.0.0/8"},
	}
)

// The transformer and the function say the same of the same call, but for the time,
// which only the function can put in another zone. What the transformer says is kept
// to be read.
func TestTheFunctionSaysTheSame(t *testing.T) {
	usual := judge(t, notice.Settings{})
	keeper := goldie.New(t, goldie.WithFixtureDir("testdata/messages"), goldie.WithNameSuffix(".txt"))
	for _, c := range noticetest.Cases() {
		for i, name := range c.Want {
			want := message(t, c.Rule, name)
			m := usual.Message(sent(t, c.Rule, name))
			got := strings.ReplaceAll(m.Text, "Sunday 2026-11-22 08:15:24 UTC", "2026-11-22T08:15:24Z")
			if root := "Abnormal: by the root user.\n"; strings.Contains(got, root) {
				got = strings.TrimPrefix(strings.Replace(got, root, "", 1), "ABNORMAL: ")
			}
			assert.Equal(t, want, got, "%s %s", c.Name, name)
			if i == 0 {
				keeper.Assert(t, c.Name, []byte(want+"\n"))
			}
		}
	}
}

// An event of one's own for the judgement alone.
func calledAt(when, from string, more ...string) []byte {
	detail := map[string]any{"eventTime": when, "sourceIPAddress": from, "userIdentity": map[string]any{"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/A/b"}}
	for i := 0; i+1 < len(more); i += 2 {
		detail[more[i]] = more[i+1]
	}
	event, _ := json.Marshal(map[string]any{"account": "111122223333", "detail": detail})
	payload, _ := json.Marshal(notice.Payload{
		Lines: []string{"Seen: {who}", "From: {from}. When: {when}."},
		Paths: map[string]string{"who": "$.detail.userIdentity.arn", "from": "$.detail.sourceIPAddress", "when": "$.detail.eventTime"},
		Event: event,
	})
	return payload
}

func TestAbnormal(t *testing.T) {
	const (
		inside  = "2026-11-23T08:15:24Z" // Monday, 09:15 in Berlin
		own     = "111122223333"
		foreign = "999988887777"
	)
	unknown := "Abnormal: from an address outside the known ranges."
	for name, test := range map[string]struct {
		payload []byte
		want    string
	}{
		"usual":                            {calledAt(inside, "203.0.113.10"), ""},
		"first minute":                     {calledAt("2026-11-23T07:00:00Z", "203.0.113.10"), ""},
		"before the first minute":          {calledAt("2026-11-23T06:59:59Z", "203.0.113.10"), "Abnormal: outside office hours (Monday 07:59 in Europe/Berlin)."},
		"last minute":                      {calledAt("2026-11-23T16:59:59Z", "203.0.113.10"), ""},
		"after the last minute":            {calledAt("2026-11-23T17:00:00Z", "203.0.113.10"), "Abnormal: outside office hours (Monday 18:00 in Europe/Berlin)."},
		"summer time":                      {calledAt("2026-07-06T06:00:00Z", "203.0.113.10"), ""},
		"Sunday's window":                  {calledAt("2026-11-22T08:15:24Z", "203.0.113.10"), ""},
		"Saturday":                         {calledAt("2026-11-21T09:00:00Z", "203.0.113.10"), "Abnormal: outside office hours (Saturday 10:00 in Europe/Berlin)."},
		"no time":                          {calledAt("soon", "203.0.113.10"), "Abnormal: at a time that can't be read."},
		"address of nobody":                {calledAt(inside, "198.51.100.7"), unknown},
		"IPv6":                             {calledAt(inside, "2001:db8::7"), ""},
		"IPv6 of nobody":                   {calledAt(inside, "2001:db9::7"), unknown},
		"IPv4 in IPv6":                     {calledAt(inside, "::ffff:203.0.113.10"), ""},
		"a service":                        {calledAt(inside, "cloudformation.amazonaws.com"), ""},
		"a service in China":               {calledAt(inside, "cloudformation.amazonaws.com.cn"), ""},
		"AWS itself":                       {calledAt(inside, "AWS Internal"), ""},
		"no address":                       {calledAt(inside, ""), unknown},
		"a name of one's own":              {calledAt(inside, "example.com"), unknown},
		"a name that looks like a service": {calledAt(inside, "evil amazonaws.com/.amazonaws.com"), unknown},
		"own endpoint":                     {calledAt(inside, "192.168.7.7", "vpcEndpointId", "vpce-0a1b", "vpcEndpointAccountId", own), ""},
		"foreign endpoint":                 {calledAt(inside, "192.168.7.7", "vpcEndpointId", "vpce-0a1b", "vpcEndpointAccountId", foreign), unknown},
		"foreign endpoint, known range":    {calledAt(inside, "10.1.2.3", "vpcEndpointId", "vpce-0a1b", "vpcEndpointAccountId", foreign), unknown},
		"own endpoint, known range":        {calledAt(inside, "10.1.2.3", "vpcEndpointId", "vpce-0a1b", "vpcEndpointAccountId", own), ""},
		"endpoint of whom is not said":     {calledAt(inside, "192.168.7.7", "vpcEndpointId", "vpce-0a1b"), unknown},
		"both":                             {calledAt("2026-11-21T09:00:00Z", "198.51.100.7"), "Abnormal: outside office hours (Saturday 10:00 in Europe/Berlin), from an address outside the known ranges."},
	} {
		t.Run(name, func(t *testing.T) {
			m := judge(t, berlin).Message(test.payload)
			lines := strings.Split(m.Text, "\n")
			if test.want == "" {
				assert.Equal(t, "Seen: arn:aws:sts::1:assumed-role/A/b", lines[0])
				assert.Equal(t, "Seen", m.Subject)
				assert.Len(t, lines, 2)
				return
			}
			assert.Equal(t, "ABNORMAL: Seen: arn:aws:sts::1:assumed-role/A/b", lines[0])
			assert.Equal(t, test.want, lines[1])
			assert.Equal(t, "ABNORMAL: Seen", m.Subject)
		})
	}
}

func TestLocalTimeAndEndpoint(t *testing.T) {
	m := judge(t, berlin).Message(calledAt("2026-07-06T06:00:00Z", "192.168.7.7", "vpcEndpointId", "vpce-0a1b", "vpcEndpointAccountId", "999988887777"))
	assert.Contains(t, m.Text, "From: 192.168.7.7 (through vpce-0a1b of account 999988887777). When: Monday 2026-07-06 08:00:00 CEST (2026-07-06T06:00:00Z).")
}

func TestRootIsNeverUsual(t *testing.T) {
	m := judge(t, notice.Settings{}).Message(sent(t, notice.RootUsed(), "root-signed-in"))
	assert.True(t, strings.HasPrefix(m.Text, "ABNORMAL: ROOT USER IN USE: ConsoleLogin at signin.amazonaws.com\nAbnormal: by the root user.\n"), m.Text)
}

func TestSettingsAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{"timeZone":"Europe/Bielefeld"}`: "time zone: unknown time zone Europe/Bielefeld",
		`{"known":["203.0.113.0"]}`:       "known addresses: ",
		`{"timeZone":1}`:                  "settings: ",
		``:                                "settings: ",
	} {
		_, err := notice.ReadJudge(text)
		assert.ErrorContains(t, err, want)
	}
	text, err := json.Marshal(berlin)
	require.NoError(t, err)
	_, err = notice.ReadJudge(string(text))
	assert.NoError(t, err)
}

// wellFormed is what SNS, an e-mail reader and Amazon Q can take of any event.
func wellFormed(t *testing.T, m notice.Message) {
	t.Helper()
	require.NotEmpty(t, m.Subject)
	require.LessOrEqual(t, len(m.Subject), 100)
	require.NotContains(t, m.Subject, "\n")
	for _, r := range m.Subject {
		require.True(t, r >= ' ' && r <= '~', "%q", m.Subject)
	}
	require.NotEmpty(t, m.Text)
	require.True(t, utf8.ValidString(m.Text))
	require.Less(t, len(m.Text), 256<<10)
	require.Less(t, len(m.Chat), 256<<10)
	var chat struct {
		Version string `json:"version"`
		Source  string `json:"source"`
		Content struct {
			TextType    string `json:"textType"`
			Title       string `json:"title"`
			Description string `json:"description"`
		} `json:"content"`
	}
	require.NoError(t, json.Unmarshal([]byte(m.Chat), &chat), m.Chat)
	require.Equal(t, "1.0 custom client-markdown", chat.Version+" "+chat.Source+" "+chat.Content.TextType)
	require.NotEmpty(t, chat.Content.Title)
	require.NotEmpty(t, chat.Content.Description)
}

func TestHostileEvents(t *testing.T) {
	who := func(text string) []byte {
		event, err := json.Marshal(map[string]any{"detail": map[string]any{"who": text}})
		require.NoError(t, err)
		payload, err := json.Marshal(notice.Payload{Lines: []string{"Seen: {who}", "End it: {who}"}, Paths: map[string]string{"who": "$.detail.who"}, Event: event})
		require.NoError(t, err)
		return payload
	}
	usual := judge(t, notice.Settings{})
	for name, test := range map[string]struct{ given, want string }{
		"a quotation mark":       {`a"b`, `a"b`},
		"another line":           {"a\nEnd it: rm -rf /", "a?End it: rm -rf /"},
		"Unicode's line":         {"a\u2028End it", "a?End it"},
		"right to left":          {"a\u202eb", "a?b"},
		"a variable":             {"{who}{who}", "{who}{who}"},
		"EventBridge's variable": {"<who>", "<who>"},
		"a terminal's escape":    {"\x1b[2J", "?[2J"},
		"very long":              {strings.Repeat("x", 5000), strings.Repeat("x", 1024) + "..."},
	} {
		t.Run(name, func(t *testing.T) {
			m := usual.Message(who(test.given))
			wellFormed(t, m)
			assert.Equal(t, "Seen: "+test.want+"\nEnd it: "+test.want, m.Text)
		})
	}
	for name, payload := range map[string]string{
		"nothing":             "",
		"no JSON":             `{"lines":["Seen"],"event":`,
		"no event":            `{"lines":["Seen"],"paths":{}}`,
		"an event of no kind": `{"lines":["Seen"],"event":[]}`,
		"no words":            `{"event":{"detail":{}}}`,
		"no object":           `"Seen"`,
		"not text":            "\xff\xfe",
		"endless":             strings.Repeat("\"", 300<<10),
	} {
		t.Run(name, func(t *testing.T) {
			m := usual.Message([]byte(payload))
			wellFormed(t, m)
			assert.True(t, strings.HasPrefix(m.Text, "NOTICE THAT COULD NOT BE READ"))
			if len(payload) < 1000 {
				assert.Contains(t, m.Text, strings.ToValidUTF8(payload, "?"), "it arrives as it is")
			}
		})
	}
}

// Whatever an event holds, there is a message that SNS takes, and as many lines as the
// words have.
func FuzzMessage(f *testing.F) {
	for _, c := range noticetest.Cases() {
		for _, name := range c.Want {
			text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
			require.NoError(f, err)
			f.Add(c.Rule.FunctionTemplate(), text)
		}
	}
	f.Add(`{"lines":["{who}"],"paths":{"who":"$.detail"},"event":<aws.events.event.json>}`, []byte(`{"detail":{"sourceIPAddress":1}}`))
	j, err := notice.NewJudge(berlin)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, template string, event []byte) {
		payload := []byte(strings.Replace(template, "<aws.events.event.json>", string(event), 1))
		m := j.Message(payload)
		wellFormed(t, m)
		var p notice.Payload
		if json.Unmarshal(payload, &p) != nil || strings.HasPrefix(m.Text, "NOTICE THAT") || strings.ContainsFunc(strings.Join(p.Lines, ""), unicode.IsControl) {
			return
		}
		lines := strings.Count(m.Text, "\n") + 1
		require.LessOrEqual(t, lines, len(p.Lines)+1, "one line more at most, which says what is abnormal")
	})
}
