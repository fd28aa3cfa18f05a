package notice_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/notice"
)

var (
	shell      = notice.Document{Name: "Postern-Shell", Arn: "arn:aws:ssm:eu-west-1:111122223333:document/Postern-Shell"}
	emergency  = notice.Document{Name: "Postern-BreakGlass", Arn: "arn:aws:ssm:eu-west-1:111122223333:document/Postern-BreakGlass"}
	everyEvent = []string{
		"athena", "break-glass", "identity-center-with-parameters", "not-connected", "reason-with-quotes", "refused", "resumed",
		"role-by-default", "terminated", "user-with-document", "user-with-document-arn",
	}
)

func event(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	require.NoError(t, err)
	return text
}

// matching lists the recorded calls that a rule takes. moto's understanding of the
// same patterns is asked in test/emulator.
func matching(t *testing.T, r notice.Rule) []string {
	t.Helper()
	text, err := json.Marshal(r.Pattern)
	require.NoError(t, err)
	var pattern map[string]any
	require.NoError(t, json.Unmarshal(text, &pattern))
	list := []string{}
	for _, name := range everyEvent {
		var call map[string]any
		require.NoError(t, json.Unmarshal(event(t, name), &call))
		if matches(t, pattern, call) {
			list = append(list, name)
		}
	}
	return list
}

// matches is as much of EventBridge's patterns as the rules use: all fields of the
// pattern must match, each by one of its alternatives.
//
// docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern.html
func matches(t *testing.T, pattern, call map[string]any) bool {
	t.Helper()
	for field, wanted := range pattern {
		value, there := call[field]
		switch wanted := wanted.(type) {
		case map[string]any:
			inner, _ := value.(map[string]any)
			if !matches(t, wanted, inner) {
				return false
			}
		case []any:
			if !slices.ContainsFunc(wanted, func(alternative any) bool { return fits(t, alternative, value, there) }) {
				return false
			}
		default:
			require.Failf(t, "no pattern", "%s: %v", field, wanted)
		}
	}
	return true
}

func fits(t *testing.T, alternative, value any, there bool) bool {
	t.Helper()
	operator, ok := alternative.(map[string]any)
	if !ok {
		return there && value == alternative
	}
	require.Len(t, operator, 1)
	if wanted, ok := operator["exists"]; ok {
		return there == wanted
	}
	refused, ok := operator["anything-but"].([]any)
	require.True(t, ok, "%v", operator)
	return there && !slices.Contains(refused, value)
}

func TestEveryRecordedCallIsAsked(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	names := []string{}
	for _, file := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(file), ".json"))
	}
	slices.Sort(names)
	assert.Equal(t, everyEvent, names)
}

func TestWhatIsTold(t *testing.T) {
	for name, test := range map[string]struct {
		rule notice.Rule
		want []string
	}{
		"every session with a document": {notice.SessionStarted(nil), []string{
			"break-glass", "identity-center-with-parameters", "reason-with-quotes", "user-with-document", "user-with-document-arn",
		}},
		"but for quiet ones": {notice.SessionStarted([]notice.Document{shell}), []string{
			"break-glass", "identity-center-with-parameters",
		}},
		"without a document":  {notice.SessionStartedByDefault(), []string{"role-by-default"}},
		"resumed":             {notice.SessionResumed(), []string{"resumed"}},
		"break-glass":         {notice.BreakGlass("OnCall", []notice.Document{emergency}), []string{"break-glass"}},
		"break-glass, by ARN": {notice.BreakGlass("OnCall", []notice.Document{shell}), []string{"reason-with-quotes", "user-with-document", "user-with-document-arn"}},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, test.want, matching(t, test.rule)) })
	}
}

// at follows a path of the kind that input transformers know.
func at(t *testing.T, document any, path string) (string, bool) {
	t.Helper()
	rest, ok := strings.CutPrefix(path, "$.")
	require.True(t, ok, path)
	for _, key := range strings.Split(rest, ".") {
		object, ok := document.(map[string]any)
		if !ok {
			return "", false
		}
		if document, ok = object[key]; !ok {
			return "", false
		}
	}
	text, ok := document.(string)
	require.True(t, ok, "%s is no text", path)
	return text, true
}

var variable = regexp.MustCompile(`<[a-z]+>`)

// message is what SNS gets of an event. As the guide has it, what stands for a
// path that is not there is left out, and nothing that is put in is escaped.
//
// docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
func message(t *testing.T, r notice.Rule, name string) string {
	t.Helper()
	var document any
	require.NoError(t, json.Unmarshal(event(t, name), &document))
	raw := variable.ReplaceAllStringFunc(r.Template(), func(found string) string {
		path, known := r.Paths[strings.Trim(found, "<>")]
		require.True(t, known, "%s has no path", found)
		value, _ := at(t, document, path)
		return value
	})
	var texts []string
	for _, line := range strings.Split(raw, "\n") {
		var text string
		require.NoError(t, json.Unmarshal([]byte(line), &text), "a line that is no text any more: %s", line)
		texts = append(texts, text)
	}
	return strings.Join(texts, "\n")
}

func TestMessages(t *testing.T) {
	const alice = "Who: arn:aws:iam::111122223333:user/alice (AIDAEXAMPLEID1234567). From: 203.0.113.10. When: 2026-11-22T08:15:24Z. Where: account 111122223333, region eu-west-1."
	for name, test := range map[string]struct {
		rule  notice.Rule
		event string
		want  string
	}{
		"user": {notice.SessionStarted(nil), "user-with-document", `Session started: arn:aws:iam::111122223333:user/alice on i-0123456789abcdef0
` + alice + `
To: i-0123456789abcdef0, with document Postern-Shell. Session: alice-0e34861185201706f.
Look closer: aws ssm describe-sessions --state Active --filters key=SessionId,value=alice-0e34861185201706f --region eu-west-1
End it: aws ssm terminate-session --session-id alice-0e34861185201706f --region eu-west-1`},
		"reason": {notice.SessionStarted(nil), "reason-with-quotes", `Session started: arn:aws:iam::111122223333:user/alice on i-0123456789abcdef0
` + alice + `
To: i-0123456789abcdef0, with document Postern-Shell. Session: alice-0e34861185201706f.
Look closer: aws ssm describe-sessions --state Active --filters key=SessionId,value=alice-0e34861185201706f --region eu-west-1
End it: aws ssm terminate-session --session-id alice-0e34861185201706f --region eu-west-1`},
		"role, default document": {notice.SessionStartedByDefault(), "role-by-default", `Session started with the default document of the account: arn:aws:sts::111122223333:assumed-role/Admin/bob on i-0123456789abcdef0
Who: arn:aws:sts::111122223333:assumed-role/Admin/bob (AROAEXAMPLEID1234567:bob). From: 203.0.113.10. When: 2026-11-22T08:15:24Z. Where: account 111122223333, region eu-west-1.
To: i-0123456789abcdef0, with document SSM-SessionManagerRunShell. Session: bob-08ea7d78b1fd0d119.
Look closer: aws ssm describe-sessions --state Active --filters key=SessionId,value=bob-08ea7d78b1fd0d119 --region eu-west-1
End it: aws ssm terminate-session --session-id bob-08ea7d78b1fd0d119 --region eu-west-1
A policy that names its documents and checks them (ssm:SessionDocumentAccessCheck) does not allow this: see which one did.`},
		"resumed": {notice.SessionResumed(), "resumed", `Session resumed: bob-08ea7d78b1fd0d119 by arn:aws:sts::111122223333:assumed-role/Admin/bob
Who: arn:aws:sts::111122223333:assumed-role/Admin/bob (AROAEXAMPLEID1234567:bob). From: 203.0.113.10. When: 2026-11-22T08:15:24Z. Where: account 111122223333, region eu-west-1.
Look closer: aws ssm describe-sessions --state Active --filters key=SessionId,value=bob-08ea7d78b1fd0d119 --region eu-west-1
End it: aws ssm terminate-session --session-id bob-08ea7d78b1fd0d119 --region eu-west-1`},
		"break-glass": {notice.BreakGlass("OnCall", []notice.Document{emergency}), "break-glass", `BREAK-GLASS ACCESS IN USE: OnCall: arn:aws:sts::111122223333:assumed-role/OnCall/dave on i-0123456789abcdef0
Who: arn:aws:sts::111122223333:assumed-role/OnCall/dave (AROAEXAMPLEID1234567:dave). From: 203.0.113.10. When: 2026-11-22T08:15:24Z. Where: account 111122223333, region eu-west-1.
To: i-0123456789abcdef0, with document Postern-BreakGlass. Session: dave-0f00dfeedbeef0001.
Look closer: aws ssm describe-sessions --state Active --filters key=SessionId,value=dave-0f00dfeedbeef0001 --region eu-west-1
End it: aws ssm terminate-session --session-id dave-0f00dfeedbeef0001 --region eu-west-1
If nobody declared an emergency, end the session now, take the role or user its rights, and keep the records.`},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Contains(t, matching(t, test.rule), test.event)
			assert.Equal(t, test.want, message(t, test.rule, test.event))
		})
	}
}

// Free text of a caller must not get into a message: a quotation mark in it would
// end the text, and the notice would be lost with it.
func TestNoFreeTextInMessages(t *testing.T) {
	for _, r := range rules() {
		for name, path := range r.Paths {
			assert.NotContains(t, []string{
				"$.detail.requestParameters.reason", "$.detail.requestParameters.parameters", "$.detail.userAgent", "$.detail.errorMessage",
			}, path, name)
		}
	}
}

// EventBridge takes a template of 8192 characters and tells nobody of a variable
// that is never used.
//
// docs.aws.amazon.com/eventbridge/latest/APIReference/API_InputTransformer.html
func TestTemplates(t *testing.T) {
	for _, r := range rules() {
		assert.LessOrEqual(t, len(r.Template()), 8192)
		used := map[string]string{}
		for _, found := range variable.FindAllString(r.Template(), -1) {
			used[strings.Trim(found, "<>")] = ""
		}
		assert.Equal(t, slices.Sorted(maps.Keys(used)), slices.Sorted(maps.Keys(r.Paths)))
		for _, line := range strings.Split(r.Template(), "\n") {
			_, err := strconv.Unquote(line)
			assert.NoError(t, err, line)
		}
	}
}

func rules() []notice.Rule {
	return []notice.Rule{
		notice.SessionStarted(nil), notice.SessionStarted([]notice.Document{shell}), notice.SessionStartedByDefault(),
		notice.SessionResumed(), notice.BreakGlass("OnCall", []notice.Document{emergency}),
	}
}
