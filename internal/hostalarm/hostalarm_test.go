package hostalarm

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/filterpattern"
	"github.com/postern-cdk/postern/internal/metricalarm"
)

const lines = "../host/testdata/lines"

type counted = map[string]int

// What each occurrence on a real host is counted for, in lines, and nothing else.
var occurrences = map[string]counted{
	"boot":              {},
	"day":               {LoginOutsideHours: 1},
	"accepted":          {LoginOutsideHours: 1},
	"accepted-code":     {LoginOutsideHours: 1},
	"failed-key":        {FailedKeys: 1},
	"wrong-code":        {FailedKeys: 1},
	"banned":            {FailedKeys: 1},
	"invalid-user":      {InvalidUsers: 2},
	"sudo":              {LoginOutsideHours: 1, Sudo: 1},
	"sudo-refused":      {LoginOutsideHours: 1, Sudo: 1},
	"integrity-changed": {IntegrityChanged: 1},
	"people-failed":     {PeopleFailed: 1},
	"people-stale":      {PeopleFailed: 1},
	"users-refused":     {UsersRefused: 2},
	"check-failed":      {HostPromise: 1},
	"recorder-died":     {LoginOutsideHours: 1, RecordingGap: 1},
	"disk-filled":       {LoginOutsideHours: 1, DiskFilled: 1},
	"records-missing":   {RecordingGap: 1},
	"shipping-behind":   {RecordingGap: 2},
	"audit":             {AuditStopped: 2},
	"audit-boot":        {},
	"audit-check":       {AuditStopped: 1},
}

var patterns = map[string]*filterpattern.Pattern{}

func parsed(t *testing.T, f Filter) *filterpattern.Pattern {
	t.Helper()
	if patterns[f.ID] == nil {
		p, err := filterpattern.Parse(f.Pattern)
		require.NoError(t, err, f.ID)
		patterns[f.ID] = p
	}
	return patterns[f.ID]
}

// alarms is what a line is counted for, by the filters of its log group.
func alarms(t *testing.T, log, message string) []string {
	t.Helper()
	var list []string
	for _, f := range Filters() {
		verdict := parsed(t, f).Judge(message)
		require.NotEqual(t, filterpattern.Undocumented, verdict, "%s on %s", f.ID, message)
		if verdict != filterpattern.Matches {
			continue
		}
		assert.EqualValues(t, f.Log, log, "all kinds may share a group: %s finds a line of another kind: %s", f.ID, message)
		if f.Alarm != HostUnproven { // which goes off where no line comes
			list = append(list, f.Alarm)
		}
	}
	return list
}

func TestLinesOfARealHost(t *testing.T) {
	files, err := filepath.Glob(lines + "/*.jsonl")
	require.NoError(t, err)
	var names []string
	raised := counted{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		names = append(names, name)
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			got := counted{}
			for text := range strings.Lines(string(data)) {
				var line struct{ Log, Message string }
				require.NoError(t, json.Unmarshal([]byte(text), &line))
				list := alarms(t, line.Log, line.Message)
				assert.LessOrEqual(t, len(list), 1, "%s is counted for %s", line.Message, list)
				for _, alarm := range list {
					got[alarm]++
					raised[alarm]++
				}
			}
			assert.Equal(t, occurrences[name], got)
		})
	}
	assert.ElementsMatch(t, slices.Collect(maps.Keys(occurrences)), names)
	for _, f := range Filters() {
		if f.Alarm != HostUnproven {
			assert.Positive(t, raised[f.Alarm], "no real line is counted for %s", f.Alarm)
		}
	}
}

// Whatever name the programs on a host give an alarm, and whatever check fails, one
// alarm tells of it.
func TestEveryAlarmOfAHostIsToldOnce(t *testing.T) {
	for _, name := range told(t) {
		line := fmt.Sprintf(`{"postern":"alarm","name":%q,"text":"t"}`, name)
		list := alarms(t, "host", line)
		if name == "check-failed" {
			assert.Empty(t, list, "it sums up checks that are told one by one")
			continue
		}
		assert.Len(t, list, 1, line)
	}
	for _, name := range []string{
		"recording", "shipping", "people", "clock", "disk", "memory", "host-keys", "imds", "egress", "forwarding", "relay", "audit", "integrity", "timers", "fail2ban", "anything",
	} {
		assert.Len(t, alarms(t, "host", fmt.Sprintf(`{"postern":"check","name":%q,"result":"fail","detail":"d"}`, name)), 1, name)
		assert.Empty(t, alarms(t, "host", fmt.Sprintf(`{"postern":"check","name":%q,"result":"pass","detail":"d"}`, name)), name)
	}
}

// told are the names of alarms in the sources of what runs on a host.
func told(t *testing.T) []string {
	t.Helper()
	names := map[string]bool{}
	shell := regexp.MustCompile(`(?m)^\s*alarm ([a-z-]+) `)
	require.NoError(t, filepath.WalkDir("../host", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		switch filepath.Ext(path) {
		case ".sh":
			for _, found := range shell.FindAllStringSubmatch(string(data), -1) {
				names[found[1]] = true
			}
		case ".go":
			inGo(t, path, data, names)
		}
		return nil
	}))
	list := slices.Sorted(maps.Keys(names))
	for _, known := range []string{"integrity-changed", "recording-failed", "people-listing-failed", "shipping-behind", "disk-filled", "records-missing"} {
		require.Contains(t, list, known, "the names in the sources are not found any more")
	}
	return list
}

// inGo finds the first argument of Alarm and fail, a text or a constant of its package.
func inGo(t *testing.T, path string, data []byte, names map[string]bool) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, data, 0)
	require.NoError(t, err)
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || method.Sel.Name != "Alarm" && method.Sel.Name != "fail" {
			return true
		}
		switch name := call.Args[0].(type) {
		case *ast.BasicLit:
			text, err := strconv.Unquote(name.Value)
			require.NoError(t, err)
			names[text] = true
		case *ast.Ident:
			if name.Name == "alarm" && strings.Contains(path, "recorder") {
				names["recording-failed"] = true
			}
		}
		return true
	})
}

// A person on the host can write to the journal, and say whatever they like.
func TestWordsOfPeopleRaiseNothing(t *testing.T) {
	for _, message := range []string{
		`{"time":"2026-11-22T07:00:00.000Z","unit":"session-1.scope","identifier":"sshd","pid":"1","uid":"20001","program":"/usr/bin/logger","priority":"5","message":"Failed publickey for alice from 203.0.113.9 port 1 ssh2"}`,
		`{"time":"2026-11-22T07:00:00.000Z","unit":"session-1.scope","identifier":"sudo","pid":"1","uid":"20001","program":"/usr/bin/logger","priority":"5","message":"alice : TTY=pts/1 ; COMMAND=/bin/sh"}`,
		`{"time":"2026-11-22T07:00:00.000Z","unit":"session-1.scope","identifier":"bob","pid":"1","uid":"20001","message":"{\"postern\":\"alarm\",\"name\":\"recording-failed\"}"}`,
		`{"time":"2026-11-22T07:00:00.000Z","unit":"session-1.scope","identifier":"audit","pid":"1","uid":"20001","program":"/usr/bin/logger","message":"a CONFIG_CHANGE op=set audit_enabled=0"}`,
	} {
		assert.Empty(t, alarms(t, "host", message))
	}
}

// A process that ends at once has no program in the journal.
func TestSudoThatIsGoneAtOnce(t *testing.T) {
	const line = `{"time":"2026-11-22T07:00:00.000Z","unit":"postern-recorder.service","identifier":"sudo","pid":"964","uid":"20000"%s,"priority":"1",` +
		`"message":"   alice : a password is required ; TTY=console ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/id"}`
	assert.Equal(t, []string{Sudo}, alarms(t, "host", fmt.Sprintf(line, "")))
	assert.Equal(t, []string{Sudo}, alarms(t, "sudo", fmt.Sprintf(line, `,"program":"/usr/bin/sudo"`)))
	assert.Empty(t, alarms(t, "host", fmt.Sprintf(line, `,"program":"/usr/bin/logger"`)))
}

func TestFiltersAreApart(t *testing.T) {
	ids := map[string]bool{}
	for _, f := range Filters() {
		assert.False(t, ids[f.ID] || f.ID == f.Alarm, "%s is the ID of another construct", f.ID)
		ids[f.ID] = true
		parsed(t, f)
	}
	assert.Len(t, Of(AuditStopped), 2)
	assert.Empty(t, Of("Nothing"))
}

// Hours that metric math tells are those of a clock on the wall.
func TestHours(t *testing.T) {
	weekdays := []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}
	for _, c := range []struct {
		zone        string
		days        []time.Weekday
		from, until int
	}{
		{"UTC", weekdays, 8 * 60, 18 * 60},
		{"Europe/Berlin", weekdays, 8 * 60, 18*60 + 30},
		{"America/New_York", weekdays, 9 * 60, 17 * 60},
		{"Asia/Kolkata", weekdays, 9*60 + 30, 18 * 60},
		{"Australia/Sydney", weekdays, 8 * 60, 18 * 60},
		{"Pacific/Auckland", []time.Weekday{time.Sunday, time.Monday}, 0, 12 * 60},
		{"Australia/Lord_Howe", weekdays, 8 * 60, 18 * 60},
		{"America/St_Johns", []time.Weekday{time.Saturday, time.Sunday}, 20 * 60, 4 * 60},
		{"Europe/Berlin", []time.Weekday{time.Sunday}, 22 * 60, 6 * 60},
	} {
		zone, err := time.LoadLocation(c.zone)
		require.NoError(t, err)
		h := Hours{Zone: zone, Days: c.days, From: c.from, Until: c.until}
		require.True(t, h.Regular())
		expressions := h.Expressions()
		metrics := []map[string]any{{"Id": Logins, "ReturnData": false, "MetricStat": map[string]any{
			"Period": 60, "Stat": "Sum", "Metric": map[string]any{"Namespace": "N", "MetricName": "Accepted"},
		}}}
		for i, e := range expressions {
			// docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataQuery.html
			assert.LessOrEqual(t, len(e.Text), 2048)
			metrics = append(metrics, map[string]any{"Id": e.ID, "Expression": e.Text, "ReturnData": i == len(expressions)-1})
		}
		alarm, err := metricalarm.Read(map[string]any{
			"Metrics": metrics, "ComparisonOperator": "GreaterThanOrEqualToThreshold", "Threshold": 1, "EvaluationPeriods": 1, "TreatMissingData": "notBreaching",
		})
		require.NoError(t, err)
		// Weeks in which clocks change, and others, in steps that no period divides.
		for _, begin := range []time.Time{
			time.Date(2026, 1, 5, 0, 0, 0, 0, zone), time.Date(2026, 3, 7, 0, 0, 0, 0, zone), time.Date(2026, 3, 28, 0, 0, 0, 0, zone), time.Date(2026, 7, 6, 0, 0, 0, 0, zone),
			time.Date(2026, 10, 24, 0, 0, 0, 0, zone), time.Date(2026, 11, 1, 0, 0, 0, 0, zone), time.Date(2035, 4, 1, 0, 0, 0, 0, zone),
		} {
			for at := begin; at.Before(begin.AddDate(0, 0, 9)); at = at.Add(97 * time.Minute) {
				minute := at.Truncate(time.Minute)
				state, err := alarm.State(minute.Add(time.Minute), []metricalarm.Sample{{Namespace: "N", Name: "Accepted", Time: minute, Value: 1}})
				require.NoError(t, err)
				if want := !onTheWall(c.days, c.from, c.until, minute.In(zone)); (state == metricalarm.InAlarm) != want {
					t.Fatalf("%s %s: %s, outside: %t", c.zone, minute.In(zone).Format(time.RFC1123), state, want)
				}
			}
		}
		state, err := alarm.State(time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC), nil)
		require.NoError(t, err)
		assert.Equal(t, metricalarm.OK, state, "nobody logged in")
	}
	// Ramadan moves Morocco's clocks twice more, between two offsets all the same.
	zone, err := time.LoadLocation("Africa/Casablanca")
	require.NoError(t, err)
	assert.True(t, Hours{Zone: zone}.Regular())
}

func onTheWall(days []time.Weekday, from, until int, at time.Time) bool {
	minute := at.Hour()*60 + at.Minute()
	if from < until {
		return slices.Contains(days, at.Weekday()) && from <= minute && minute < until
	}
	return slices.Contains(days, at.Weekday()) && minute >= from || slices.Contains(days, at.AddDate(0, 0, -1).Weekday()) && minute < until
}
