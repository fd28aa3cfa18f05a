package insights_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/insights"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// lines are events a second apart from noon on.
func lines(messages ...string) []insights.Event {
	var events []insights.Event
	for i, m := range messages {
		events = append(events, insights.Event{
			Time: noon.Add(time.Duration(i) * time.Second), Account: "111122223333", Group: "/g", Stream: fmt.Sprintf("s/%d", i), Message: m,
		})
	}
	return events
}

func run(t *testing.T, query string, messages ...string) string {
	t.Helper()
	q, err := insights.Parse(query)
	require.NoError(t, err, query)
	result, err := q.Run(lines(messages...))
	require.NoError(t, err, query)
	return strings.TrimSuffix(result.String(), "\n")
}

func TestAnswers(t *testing.T) {
	sessions := []string{
		`{"event":"begin","person":"alice","port":22,"key":{"id":"k1"},"argv":["a",{"b":"c"}]}`,
		`{"event":"end","person":"alice","seconds":12.5}`,
		`{"event":"begin","person":"bob","port":9}`,
		`not JSON`,
		`{"event":"begin","person":"alice","port":100,"none":null}`,
	}
	for query, want := range map[string]string{
		`fields event`:         "event=begin\n\nevent=begin\nevent=end\nevent=begin",
		`filter event = "end"`: "@timestamp=2026-11-20 12:00:01.000  @message=" + sessions[1],
		`fields person | filter event in ["begin", 'end'] and port > 9 | sort port asc`: "person=alice\nperson=alice",
		`fields port | filter isPresent(port) | sort port desc | limit 2`:               "port=100\nport=22",
		`fields key.id, argv.0, argv.1.b | filter ispresent(key.id)`:                    "key.id=k1  argv.0=a  argv.1.b=c",
		`filter isPresent(person) and person != "alice" | display person, port`:         "person=bob  port=9",
		`filter isPresent(event) and (person = "bob" or event = "end") | display event`: "event=begin\nevent=end",
		`filter event like /^b.*n$/ and person like "lic" | display port`:               "port=100\nport=22",
		`filter isPresent(event) and event not like /^b/ | display event`:               "event=end",
		`filter isPresent(event) and event not in ["begin"] | display event`:            "event=end",
		`filter event =~ /end/ | display event`:                                         "event=end",
		`filter not isPresent(event)`:                                                   "@timestamp=2026-11-20 12:00:03.000  @message=not JSON",
		`filter isblank(event) | display @logStream, @log`:                              "@logStream=s/3  @log=111122223333:/g",
		`filter strcontains(@message, "JSON") | fields strlen(@message) as n`:           "n=8",
		`filter not strcontains(@message, "{")`:                                         "@timestamp=2026-11-20 12:00:03.000  @message=not JSON",
		`filter person = "bob" | fields concat(toupper(person), ":", port) as x`:        "x=BOB:9",
		`filter event = "end" | fields coalesce(port, seconds, "?") as n`:               "n=12.5",
		`filter @message like "not" | parse "* *" as first, rest | display first, rest`: "first=not  rest=JSON",
		`filter @logStream = "s/3" | parse @message /(?<word>J\w+)/ | display word`:     "word=JSON",
		`parse '"port":*,' as p | filter isPresent(p) | display p`:                      "p=100\np=22",
		`filter isPresent(person) | stats count(*) as n, sum(port) as s, min(port) as lo, max(@timestamp) as last by person | sort n desc`: "person=alice  n=3  s=122  lo=22  last=2026-11-20 12:00:04.000\n" +
			"person=bob  n=1  s=9  lo=9  last=2026-11-20 12:00:02.000",
		`filter isPresent(event) | stats count(port) as ports, count_distinct(person) as people, avg(port) as mean by event | sort event asc`: "event=begin  ports=3  people=2  mean=43.666666666666664\nevent=end  ports=0  people=1",
		`filter isPresent(person) | stats earliest(event) as first, latest(port) as p by person | sort person asc`:                            "person=alice  first=begin  p=100\nperson=bob  first=begin  p=9",
		`stats count(*) as n by bin(2s) as t | sort t asc`:                                                                                    "t=2026-11-20 12:00:00.000  n=2\nt=2026-11-20 12:00:02.000  n=2\nt=2026-11-20 12:00:04.000  n=1",
		`fields person, event | sort @timestamp asc | dedup person | limit 10`:                                                                "person=alice  event=begin\nperson=bob  event=begin\n",
		"# who\nfields person # and nothing else\n| filter event = \"end\"":                                                                   "person=alice",
		"filter `event` = 'end' | display `event`":                                                                                            "event=end",
	} {
		assert.Equal(t, want, run(t, query, sessions...), query)
	}
}

func TestFlowLogs(t *testing.T) {
	byDefault := "2 111122223333 eni-1 198.51.100.7 10.0.0.5 50000 22 6 10 840 1 60 ACCEPT OK"
	custom := byDefault + " vpc-1 ingress"
	query := `filter dstPort = 22 | display srcAddr, action`
	assert.Equal(t, "srcAddr=198.51.100.7  action=ACCEPT", run(t, query, byDefault))
	assert.Empty(t, run(t, query, custom), "fields of another format are not found")
	assert.Equal(t, "src=198.51.100.7  dir=ingress", run(t, `parse "* * * * * * * * * * * * * * * *" as v, a, i, src, d, sp, port, p, k, b, s, e, act, st, vpc, dir
		| filter port = 22 | display src, dir`, custom))
}

func TestNaturalOrder(t *testing.T) {
	var messages []string
	for _, v := range []string{`10`, `"a10b"`, `"a9b"`, `"2026-11-20T10:00:00.000002Z"`, `"2026-11-20T10:00:00.000001Z"`, `9.5`, `"7"`} {
		messages = append(messages, `{"v":`+v+`}`)
	}
	assert.Equal(t, "v=2026-11-20T10:00:00.000001Z\nv=2026-11-20T10:00:00.000002Z\nv=a9b\nv=a10b\nv=7\nv=9.5\nv=10",
		run(t, `fields v | sort v asc`, messages...))
}

// What is not understood, or documented nowhere, is no answer.
func TestRefused(t *testing.T) {
	for query, want := range map[string]string{
		``:                                    "a command is expected, not the end",
		`fields a |`:                          "a command is expected",
		`fields a | pattern @message`:         `no command "pattern"`,
		`FIELDS a`:                            `no command "FIELDS"`,
		`filter a = 1 and b = 2 or c = 3`:     "put parentheses",
		`filter a`:                            "a condition is expected",
		`filter a = `:                         "not the end",
		`filter a not = 1`:                    "like or in",
		`filter a like b`:                     "a text or a pattern",
		`filter a like /(/`:                   "missing closing",
		`filter a like /x`:                    "not closed",
		`filter a = "x`:                       "not closed",
		"filter `a = 1":                       "not closed",
		`filter a in [b]`:                     "a list",
		`filter a + 1 = 2`:                    `'+' is not understood`,
		`fields a-b`:                          `'-' is not understood`,
		`fields strlen(a)`:                    "name the result",
		`fields jsonParse(a) as b`:            `no function "jsonParse"`,
		`fields strlen(a, b) as c`:            "2 arguments",
		`fields a as a`:                       "a is a field already",
		`parse "* *" as a`:                    "2 wildcards have 1 names",
		`parse "*" as a | parse "*" as a`:     "a is a field already",
		`parse /(x)/`:                         "a name",
		`parse a`:                             "a text or a pattern",
		`stats count(*) as n`:                 "stats without by",
		`stats pct(a, 5) as n by b`:           `no function "pct"`,
		`stats count(*) by b`:                 "name the result",
		`stats count(*) as n by concat(a, b)`: "name what to group by",
		`stats count(*) as b by b`:            "b is twice a name",
		`stats count(*) as n by b | fields c`: "fields may not follow stats",
		`stats count(*) as n by bin(5)`:       "a time such as 5m",
		`stats count(*) as n by bin(2s) | sort bin(2s) asc`: "asc or desc",
		`fields a | sort a`:                      "asc or desc",
		`fields a | sort a asc | sort b asc`:     "leaves the order open",
		`fields a | limit 0`:                     "1 to 10000",
		`fields a | limit 10001`:                 "1 to 10000",
		`fields a | limit 1 | filter a = 1`:      "last command",
		`fields a | dedup a | filter a = 1`:      "only limit may follow dedup",
		`filter a = "{{person}}"`:                "{{person}} is not filled in",
		strings.Repeat(" ", 10_001) + `fields a`: "more than 10000",
	} {
		_, err := insights.Parse(query)
		assert.ErrorContains(t, err, want, query)
	}
}

func TestNoAnswer(t *testing.T) {
	wide := `{"f0":0`
	for i := 1; i <= 200; i++ {
		wide += fmt.Sprintf(`,"f%d":%d`, i, i)
	}
	wide += "}"
	for query, want := range map[string]string{
		`filter b != 1`:                          "isPresent",
		`filter not b = 1`:                       "isPresent",
		`filter b not like "x"`:                  "isPresent",
		`filter b not in [1]`:                    "isPresent",
		`filter a = 1 and not (b = 1)`:           "isPresent",
		`filter text < "z"`:                      "how text compares",
		`filter flag = 1`:                        "Boolean",
		`fields flag`:                            "Boolean",
		`fields f200`:                            "beyond the 200 fields",
		`fields concat(a, b) as c`:               "an argument is missing",
		`fields a | sort b asc`:                  "b is missing in a row",
		`stats count(*) as n by b | sort n asc`:  "b is missing in a row",
		`stats count(*) as n by a`:               "the order of groups is open",
		`stats count(*) as n by a | limit 5`:     "the order of groups is open",
		`stats sum(text) as n by a | sort n asc`: `"hello" is no number`,
		`parse "*" as a`:                         "a is a field of a line already",
		`fields isPresent(a) as c`:               "not documented as a value",
		`filter isPresent(tolower(a))`:           "isPresent takes a field",
	} {
		message := `{"a":1,"text":"hello","flag":true}`
		if strings.Contains(query, "f200") {
			message = wide
		}
		q, err := insights.Parse(query)
		require.NoError(t, err, query)
		_, err = q.Run(lines(message))
		assert.ErrorContains(t, err, want, query)
	}
	assert.Equal(t, "f199=199", run(t, `fields f199`, wide))
	assert.Equal(t, "a=1", run(t, `filter isPresent(flag) | display a`, `{"a":1,"flag":true}`))
}

func TestReads(t *testing.T) {
	q, err := insights.Parse("fields @timestamp, coalesce(line, path) as what | parse args.0 \"*\" as first | filter session = 's' and first = what | sort time asc")
	require.NoError(t, err)
	assert.Equal(t, []string{"line", "path", "args.0", "session", "time"}, q.Reads())
}

func TestFill(t *testing.T) {
	query := `filter a = "{{person}}" or b like /{{person}}/ or c = "{{ID_2}}"`
	assert.Equal(t, []string{"person", "ID_2"}, insights.Placeholders(query))
	got, err := insights.Fill(query, map[string]string{"person": "alice@example.com", "ID_2": "x"})
	require.NoError(t, err)
	assert.Equal(t, `filter a = "alice@example.com" or b like /alice@example.com/ or c = "x"`, got)
	_, err = insights.Fill(query, map[string]string{"person": "alice"})
	require.EqualError(t, err, "{{ID_2}} has no value")
	_, err = insights.Fill(query, map[string]string{"person": `x" or "1" = "1`})
	assert.ErrorContains(t, err, "could end the text")
}
