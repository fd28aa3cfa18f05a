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
	"github.com/postern-cdk/postern/internal/notice/noticetest"
)

var emergency = notice.Document{Name: "Postern-BreakGlass", Arn: "arn:aws:ssm:eu-west-1:111122223333:document/Postern-BreakGlass"}

func event(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	require.NoError(t, err)
	return text
}

// toldOf lists the recorded calls that a rule takes, as test/patterns proves.
func toldOf(t *testing.T, r notice.Rule) []string {
	t.Helper()
	for _, c := range noticetest.Cases() {
		if assert.ObjectsAreEqual(c.Rule, r) {
			return c.Want
		}
	}
	require.Fail(t, "no case has this rule")
	return nil
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
	switch value := document.(type) {
	case string:
		return value, true
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64), true
	}
	require.Failf(t, "no text", "%s is %v", path, document)
	return "", false
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
			assert.Contains(t, toldOf(t, test.rule), test.event)
			assert.Equal(t, test.want, message(t, test.rule, test.event))
		})
	}
}

// Free text of a caller must not get into a message: a quotation mark in it would
// end the text, and the notice would be lost with it, or say what the caller wants. So
// of what a caller asks for there is only what AWS holds to letters, digits and a few
// signs, or compares with a whole name in the pattern.
func TestNoFreeTextInMessages(t *testing.T) {
	held := []string{
		// Session Manager and Systems Manager.
		"documentName", "target", "sessionId", "settingId", "name",
		// EC2 and its doors.
		"groupId", "ModifySecurityGroupRulesRequest.GroupId", "instanceConnectEndpointId", "privateIpAddress", "remotePort", "maxTunnelDuration",
		"instanceId", "instanceOSUser", "serialPort",
		// Records.
		"trailName", "bucketName", "keyId", "logGroupName",
		// The watch: docs.aws.amazon.com/eventbridge/latest/APIReference/API_RemoveTargets.html,
		// docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionCode.html and
		// docs.aws.amazon.com/sns/latest/api/API_Unsubscribe.html, which finds no other.
		"rule", "functionName", "topicArn", "resourceArn", "subscriptionArn",
	}
	for _, c := range noticetest.Cases() {
		for name, path := range c.Rule.Paths {
			if asked, ok := strings.CutPrefix(path, "$.detail.requestParameters."); ok {
				assert.Contains(t, held, asked, "%s: <%s>", c.Name, name)
			}
			for _, text := range []string{"reason", "userAgent", "Message", "client-request-token"} {
				assert.NotContains(t, path, text, "%s: <%s>", c.Name, name)
			}
		}
	}
}

// What has a name that may be any text is told of without it.
func TestNoNameThatACallerMakesUp(t *testing.T) {
	for _, name := range []string{"alarm-muted", "alarm-state-set", "alarms-deleted"} {
		told := message(t, notice.AlarmsTampered(notice.Prefix("Postern-Watch")), name)
		assert.NotContains(t, told, `"`, name)
		assert.NotContains(t, told, "ALL CLEAR", name)
		assert.Len(t, strings.Split(told, "\n"), 5, name)
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
	list := []notice.Rule{}
	for _, c := range noticetest.Cases() {
		list = append(list, c.Rule)
	}
	return list
}

// Amazon Q drops what is not in its form, and says so nowhere.
//
// docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html
func TestChatTemplates(t *testing.T) {
	for _, r := range rules() {
		var n struct {
			Version, Source string
			Content         struct{ TextType, Title, Description string }
		}
		require.NoError(t, json.Unmarshal([]byte(r.ChatTemplate()), &n))
		assert.Equal(t, "1.0 custom client-markdown", n.Version+" "+n.Source+" "+n.Content.TextType)
		assert.NotContains(t, n.Content.Title, "<")
		assert.NotEmpty(t, n.Content.Title)
		assert.Equal(t, strings.Join(r.Lines, "\n"), n.Content.Description)
		assert.LessOrEqual(t, len(r.ChatTemplate()), 8192)
		assert.LessOrEqual(t, len(r.FunctionTemplate()), 8192)
		assert.NotContains(t, strings.Join(r.Lines, ""), "{", "braces are the function's variables")
	}
}
