package owner

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/cfn"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/accountdefault"
	"github.com/postern-cdk/postern/internal/accountdefault/fakessm"
	"github.com/postern-cdk/postern/internal/policy"
)

const doc = accountdefault.Document

// preferences is a session document that differs by its idle timeout.
func preferences(idle string) string {
	return `{"schemaVersion":"1.0","sessionType":"Standard_Stream","inputs":{"s3BucketName":"","s3KeyPrefix":"","s3EncryptionEnabled":true,` +
		`"cloudWatchLogGroupName":"sessions","cloudWatchEncryptionEnabled":true,"cloudWatchStreamingEnabled":true,"kmsKeyId":"",` +
		`"runAsEnabled":false,"runAsDefaultUser":"","idleSessionTimeout":"` + idle + `","maxSessionDuration":""}}`
}

// theirs is what somebody made in the console.
const theirs = `{
  "schemaVersion": "1.0",
  "description": "Document to hold regional settings for Session Manager",
  "sessionType": "Standard_Stream",
  "inputs": {
    "s3BucketName": "old-bucket", "s3KeyPrefix": "old", "s3EncryptionEnabled": false,
    "cloudWatchLogGroupName": "", "cloudWatchEncryptionEnabled": false,
    "idleSessionTimeout": "5", "kmsKeyId": "", "runAsEnabled": true, "runAsDefaultUser": "ops",
    "shellProfile": {"linux": "exec bash", "windows": ""}
  }
}`

type world struct {
	t       *testing.T
	ssm     *fakessm.Server
	handler *Handler
	log     bytes.Buffer
	url     string
	mu      sync.Mutex
	refuse  []int // statuses that the response URL answers with, before 200
	answers []cfn.Response
	serial  int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, ssm: fakessm.New()}
	t.Cleanup(w.ssm.Close)
	responses := httptest.NewServer(http.HandlerFunc(w.respond))
	t.Cleanup(responses.Close)
	w.url = responses.URL + "/secret-signature"
	config := w.ssm.Config()
	config.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff, o.RateLimiter = 3, time.Millisecond, ratelimit.None
		})
	}
	w.handler = New(config, &w.log)
	w.handler.sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	w.handler.reserve = 2 * time.Second
	return w
}

// reset is a new world, quicker than one.
func (w *world) reset(t *testing.T) {
	t.Helper()
	w.t = t
	w.ssm.Reset()
	w.log.Reset()
	w.refuse, w.answers, w.serial = nil, nil, 0
}

func (w *world) respond(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	assert.NoError(w.t, err)
	assert.Equal(w.t, http.MethodPut, r.Method)
	assert.Empty(w.t, r.Header.Values("Content-Type"), "signed without")
	assert.LessOrEqual(w.t, len(body), 4096)
	if len(w.refuse) > 0 {
		status := w.refuse[0]
		w.refuse = w.refuse[1:]
		out.WriteHeader(status)
		return
	}
	var response cfn.Response
	assert.NoError(w.t, json.Unmarshal(body, &response))
	w.answers = append(w.answers, response)
}

const stackA = "arn:aws:cloudformation:us-east-1:111122223333:stack/A/1"

func (w *world) event(kind cfn.RequestType, idle, onExisting string) cfn.Event {
	w.serial++
	e := cfn.Event{
		RequestType: kind, RequestID: fmt.Sprintf("request-%d", w.serial), ResponseURL: w.url,
		ResourceType: accountdefault.ResourceType, LogicalResourceID: "Default", StackID: stackA,
		ResourceProperties: map[string]any{
			"ServiceToken": "arn:aws:lambda:us-east-1:111122223333:function:f",
			"Content":      preferences(idle), "OnExisting": onExisting,
		},
	}
	if kind != cfn.RequestCreate {
		e.PhysicalResourceID = doc
	}
	return e
}

// send has the handler do it and returns its answer.
func (w *world) send(e cfn.Event) cfn.Response {
	w.t.Helper()
	before := len(w.answers)
	require.NoError(w.t, w.handler.Handle(w.t.Context(), e))
	require.Len(w.t, w.answers, before+1, "one answer")
	answer := w.answers[before]
	assert.Equal(w.t, e.RequestID, answer.RequestID)
	assert.Equal(w.t, e.StackID, answer.StackID)
	assert.Equal(w.t, e.LogicalResourceID, answer.LogicalResourceID)
	assert.Equal(w.t, doc, answer.PhysicalResourceID, "never another: that would be a replacement")
	assert.NotContains(w.t, w.log.String(), "secret-signature")
	return answer
}

func (w *world) succeeds(e cfn.Event) cfn.Response {
	w.t.Helper()
	answer := w.send(e)
	require.Equal(w.t, cfn.StatusSuccess, answer.Status, answer.Reason)
	return answer
}

func (w *world) fails(e cfn.Event, reason string) {
	w.t.Helper()
	answer := w.send(e)
	require.Equal(w.t, cfn.StatusFailed, answer.Status)
	assert.Contains(w.t, answer.Reason, reason)
}

func (w *world) create(idle, onExisting string) cfn.Response {
	w.t.Helper()
	return w.succeeds(w.event(cfn.RequestCreate, idle, onExisting))
}

func (w *world) update(idle, onExisting string) cfn.Response {
	w.t.Helper()
	return w.succeeds(w.event(cfn.RequestUpdate, idle, onExisting))
}

func (w *world) delete() cfn.Response {
	w.t.Helper()
	return w.succeeds(w.event(cfn.RequestDelete, "20", "Fail"))
}

func (w *world) inForce(content string) {
	w.t.Helper()
	if content == "" {
		assert.Empty(w.t, w.ssm.InForce(doc))
		return
	}
	assert.JSONEq(w.t, content, w.ssm.InForce(doc))
}

func (w *world) record() record {
	w.t.Helper()
	var r record
	require.NoError(w.t, json.Unmarshal([]byte(w.ssm.Value(accountdefault.Record)), &r))
	return r
}

func TestMakesChangesAndDeletesItsOwn(t *testing.T) {
	w := newWorld(t)
	w.ssm.Lagging = 2
	assert.Equal(t, map[string]any{"Version": "1"}, w.create("20", "Fail").Data)
	w.inForce(preferences("20"))
	assert.Equal(t, map[string]any{"Version": "2"}, w.update("30", "Fail").Data)
	w.inForce(preferences("30"))
	// Back to what is a version already: DuplicateDocumentContent.
	assert.Equal(t, map[string]any{"Version": "1"}, w.update("20", "Fail").Data)
	w.inForce(preferences("20"))
	assert.Equal(t, map[string]any{"Version": "3"}, w.update("40", "Fail").Data)
	assert.Equal(t, []string{"1", "2", "3"}, w.record().Claims[0].Versions)
	assert.Equal(t, "deleted the document, which had been made here", w.delete().Reason)
	w.inForce("")
	assert.Empty(t, w.record().Claims)
	assert.Empty(t, w.ssm.Value(accountdefault.Original))
}

func TestExistingIsNotTouchedByDefault(t *testing.T) {
	w := newWorld(t)
	w.ssm.Put(doc, preferences("1"), theirs)
	w.fails(w.event(cfn.RequestCreate, "20", "Fail"),
		"SSM-SessionManagerRunShell exists in this account and Region, and was not made here. Its version 2 is in force: "+
			"aws ssm get-document --name SSM-SessionManagerRunShell --document-version 2. "+
			"Choose OnExisting: session.AdoptByMerge (yours over these) or session.AdoptByReplace, which keep a copy in the parameter /postern/session-preferences/original "+
			"and come back to it when the stack goes; or use session.NewPreferences, which makes a document of another name")
	w.inForce(theirs)
	// CloudFormation rolls the create back.
	w.delete()
	w.inForce(theirs)
	assert.Empty(t, w.ssm.Parameters)
	assert.Len(t, w.ssm.Documents[doc].Versions, 2)
	for _, call := range w.ssm.Calls {
		assert.Contains(t, []string{"DescribeDocument", "GetDocument", "GetParameter"}, call)
	}
}

func TestReplaceAndRestore(t *testing.T) {
	w := newWorld(t)
	w.ssm.Put(doc, preferences("1"), theirs)
	w.create("20", "AdoptByReplace")
	w.inForce(preferences("20"))
	assert.Equal(t, []string{theirs}, w.ssm.Parameters[accountdefault.Original].Values, "the very text")
	w.update("30", "AdoptByReplace")
	assert.Equal(t, "put version 2 in force again, as before the adoption", w.delete().Reason)
	w.inForce(theirs)
	assert.Equal(t, 2, w.ssm.Documents[doc].Default)
	assert.Len(t, w.ssm.Documents[doc].Versions, 4, "no version is deleted")
	assert.JSONEq(t, theirs, w.ssm.Value(accountdefault.Original), "outlives the stack")

	// Another stack, later, when the preferences are others.
	w.ssm.Edit(doc, preferences("7"))
	e := w.event(cfn.RequestCreate, "20", "AdoptByReplace")
	e.StackID = "arn:aws:cloudformation:us-east-1:111122223333:stack/B/2"
	w.succeeds(e)
	assert.Equal(t, []string{theirs, preferences("7")}, w.ssm.Parameters[accountdefault.Original].Values, "the history has the earlier")
}

func TestMergeAndRestore(t *testing.T) {
	w := newWorld(t)
	w.ssm.Put(doc, theirs)
	w.create("20", "AdoptByMerge")
	merged := w.ssm.InForce(doc)
	var plain struct{ Inputs map[string]any }
	require.NoError(t, json.Unmarshal([]byte(merged), &plain))
	assert.Equal(t, map[string]any{
		"s3BucketName": "old-bucket", "s3KeyPrefix": "old", "s3EncryptionEnabled": false,
		"cloudWatchLogGroupName": "sessions", "cloudWatchEncryptionEnabled": true, "cloudWatchStreamingEnabled": true,
		"kmsKeyId": "", "runAsEnabled": true, "runAsDefaultUser": "ops", "idleSessionTimeout": "5", "maxSessionDuration": "",
		"shellProfile": map[string]any{"linux": "exec bash", "windows": ""},
	}, plain.Inputs)
	// A change is merged with what was there before, not with what was merged.
	w.update("3", "AdoptByMerge")
	assert.Contains(t, w.ssm.InForce(doc), `"idleSessionTimeout": "3"`)
	w.update("20", "AdoptByMerge")
	assert.JSONEq(t, merged, w.ssm.InForce(doc))
	// The choice itself is changed.
	w.update("20", "AdoptByReplace")
	w.inForce(preferences("20"))
	w.delete()
	w.inForce(theirs)
}

func TestEqualContentIsAdoptedAsWell(t *testing.T) {
	w := newWorld(t)
	w.ssm.Put(doc, preferences("20"))
	w.create("20", "AdoptByReplace")
	w.inForce(preferences("20"))
	w.update("30", "AdoptByReplace")
	w.delete()
	w.inForce(preferences("20"))
}

// The console can't be told to ask: what somebody did there is not overwritten
// unless the choice says so, and never deleted.
func TestChangedBySomebodyElse(t *testing.T) {
	t.Run("is refused", func(t *testing.T) {
		w := newWorld(t)
		w.create("20", "Fail")
		w.ssm.Edit(doc, theirs)
		w.fails(w.event(cfn.RequestUpdate, "30", "Fail"), "SSM-SessionManagerRunShell was changed by somebody else since, and would be overwritten. Its version 2 is in force")
		// The rollback.
		assert.Equal(t, "left version 2 in force, which somebody else made after 1 of ours", w.update("20", "Fail").Reason)
		w.inForce(theirs)
		assert.Equal(t, "left version 2 in force, which somebody else made", w.delete().Reason)
		w.inForce(theirs)
		assert.Empty(t, w.record().Claims)
	})
	t.Run("is replaced", func(t *testing.T) {
		w := newWorld(t)
		w.create("20", "Fail")
		w.ssm.Edit(doc, theirs)
		w.update("30", "AdoptByReplace")
		w.inForce(preferences("30"))
		assert.Contains(t, w.record().Last, "changed the document, in which version 2 by somebody else was in force; version 3 is in force")
		assert.Equal(t, "left the document, in which version 2 is somebody else's", w.delete().Reason)
		w.inForce(preferences("30"))
	})
	t.Run("comes back with a rollback", func(t *testing.T) {
		w := newWorld(t)
		w.create("20", "AdoptByReplace")
		w.ssm.Edit(doc, theirs)
		w.update("30", "AdoptByReplace")
		assert.Equal(t, "put version 2 by somebody else in force again, as before the update", w.update("20", "AdoptByReplace").Reason)
		w.inForce(theirs)
		w.update("20", "AdoptByReplace")
		w.inForce(theirs)
	})
	t.Run("is merged with", func(t *testing.T) {
		w := newWorld(t)
		w.create("20", "Fail")
		w.ssm.Edit(doc, theirs)
		w.update("30", "AdoptByMerge")
		assert.Contains(t, w.ssm.InForce(doc), "old-bucket")
	})
	t.Run("only a version that is not in force", func(t *testing.T) {
		w := newWorld(t)
		w.create("20", "Fail")
		w.ssm.Edit(doc, theirs)
		w.ssm.Documents[doc].Default = 1
		assert.Equal(t, "left the document, in which version 2 is somebody else's", w.delete().Reason)
		w.inForce(preferences("20"))
	})
	t.Run("the document is deleted", func(t *testing.T) {
		w := newWorld(t)
		w.ssm.Put(doc, theirs)
		w.create("20", "AdoptByReplace")
		delete(w.ssm.Documents, doc)
		w.update("30", "AdoptByReplace")
		w.inForce(preferences("30"))
		// There is no version of it any more, so the parameter gives it back.
		assert.Equal(t, "put the content of /postern/session-preferences/original in force again, as version 2", w.delete().Reason)
		w.inForce(theirs)
	})
	t.Run("the document is deleted for good", func(t *testing.T) {
		w := newWorld(t)
		w.ssm.Put(doc, theirs)
		w.create("20", "AdoptByReplace")
		delete(w.ssm.Documents, doc)
		assert.Equal(t, "found the document deleted by somebody else, and left it so", w.delete().Reason)
		w.inForce("")
	})
	t.Run("the old version was deleted to make room", func(t *testing.T) {
		w := newWorld(t)
		d := w.ssm.Put(doc, theirs)
		w.create("20", "AdoptByReplace")
		d.Versions = d.Versions[1:]
		assert.Equal(t, "put the content of /postern/session-preferences/original in force again, as version 3", w.delete().Reason)
		w.inForce(theirs)
	})
	t.Run("it was shared", func(t *testing.T) {
		w := newWorld(t)
		w.create("20", "Fail")
		w.ssm.Documents[doc].Shared = true
		assert.Equal(t, "could not go back to what was before: SSM-SessionManagerRunShell can't be deleted: InvalidDocumentOperation: Document is shared",
			strings.SplitN(w.record2(w.event(cfn.RequestDelete, "20", "Fail")).Last, ": ", 2)[1])
		w.inForce(preferences("20"))
	})
}

// record2 sends and returns the record afterwards.
func (w *world) record2(e cfn.Event) record {
	w.t.Helper()
	w.succeeds(e)
	return w.record()
}

func TestOneOwner(t *testing.T) {
	w := newWorld(t)
	w.create("20", "Fail")
	other := w.event(cfn.RequestCreate, "30", "AdoptByReplace")
	other.StackID = "arn:aws:cloudformation:us-east-1:111122223333:stack/B/2"
	w.fails(other, "SSM-SessionManagerRunShell is owned already, by Default of the stack "+stackA+": an account and Region have one; "+
		"remove that one first, or if that stack is gone, delete the parameter /postern/session-preferences/record")
	other.RequestType, other.RequestID, other.PhysicalResourceID = cfn.RequestDelete, "rollback", doc
	assert.Equal(t, "nothing is in force that this resource put there", w.succeeds(other).Reason)
	w.inForce(preferences("20"))
}

// A logical ID was changed: CloudFormation makes the new one, then deletes the old.
func TestMovedWithinTheStack(t *testing.T) {
	start := func(t *testing.T) (*world, cfn.Event) {
		t.Helper()
		w := newWorld(t)
		w.ssm.Put(doc, theirs)
		w.create("20", "AdoptByReplace")
		moved := w.event(cfn.RequestCreate, "30", "AdoptByReplace")
		moved.LogicalResourceID = "Moved"
		w.succeeds(moved)
		w.inForce(preferences("30"))
		return w, moved
	}
	t.Run("for good", func(t *testing.T) {
		w, moved := start(t)
		assert.Equal(t, "let go of the document, which Moved has taken over", w.delete().Reason)
		w.inForce(preferences("30"))
		moved.RequestType, moved.RequestID, moved.PhysicalResourceID = cfn.RequestDelete, "end", doc
		w.succeeds(moved)
		w.inForce(theirs)
		assert.Equal(t, []string{theirs}, w.ssm.Parameters[accountdefault.Original].Values)
	})
	t.Run("and back", func(t *testing.T) {
		w, moved := start(t)
		moved.RequestType, moved.RequestID, moved.PhysicalResourceID = cfn.RequestDelete, "rollback", doc
		assert.Equal(t, "put version 2 of Default in force again", w.succeeds(moved).Reason)
		w.inForce(preferences("20"))
		w.update("40", "AdoptByReplace")
		w.delete()
		w.inForce(theirs)
	})
}

func TestTheSameRequestAgain(t *testing.T) {
	w := newWorld(t)
	w.ssm.Put(doc, theirs)
	create := w.event(cfn.RequestCreate, "20", "AdoptByReplace")
	first := w.succeeds(create)
	assert.Equal(t, first.Data, w.succeeds(create).Data)
	assert.Len(t, w.ssm.Documents[doc].Versions, 2)
	update := w.event(cfn.RequestUpdate, "30", "AdoptByReplace")
	first = w.succeeds(update)
	assert.Equal(t, first.Data, w.succeeds(update).Data)
	assert.Len(t, w.ssm.Documents[doc].Versions, 3)
	deletion := w.event(cfn.RequestDelete, "30", "AdoptByReplace")
	w.succeeds(deletion)
	w.inForce(theirs)
	w.succeeds(deletion)
	w.inForce(theirs)
	// Late, after all is over.
	w.fails(create, "this request came once more, after what it had made was deleted")
	w.inForce(theirs)
}

// faultsOf are the ways in which a call fails: those of every call, and those that
// are documented for the operation.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/
func faultsOf(operation string, nth int) []fakessm.Fault {
	list := []fakessm.Fault{
		{Code: "AccessDeniedException", Times: -1},
		{Code: "InternalServerError", Status: 500, Done: true, Times: -1}, // it takes effect, and seems not to
	}
	if nth > 1 {
		return list
	}
	list = append(list, []fakessm.Fault{
		{Code: "ThrottlingException", Times: -1},
		{Code: "ThrottlingException", Times: 2},
		{Code: "InternalServerError", Status: 500, Done: true}, // and the client tries again
		{Code: "", Done: true},                                 // the connection is lost
	}...)
	for _, code := range map[string][]string{
		"CreateDocument": {"DocumentAlreadyExists", "DocumentLimitExceeded", "InvalidDocumentContent", "InvalidDocumentSchemaVersion", "MaxDocumentSizeExceeded", "TooManyUpdates"},
		"UpdateDocument": {
			"DocumentVersionLimitExceeded", "DuplicateDocumentContent", "DuplicateDocumentVersionName", "InvalidDocument", "InvalidDocumentContent",
			"InvalidDocumentOperation", "InvalidDocumentSchemaVersion", "InvalidDocumentVersion", "MaxDocumentSizeExceeded",
		},
		"UpdateDocumentDefaultVersion": {"InvalidDocument", "InvalidDocumentSchemaVersion", "InvalidDocumentVersion"},
		"DescribeDocument":             {"InvalidDocumentVersion"},
		"GetDocument":                  {"InvalidDocument", "InvalidDocumentVersion"},
		"DeleteDocument":               {"AssociatedInstances", "InvalidDocument", "InvalidDocumentOperation", "TooManyUpdates"},
		"GetParameter":                 {"InvalidKeyId", "ParameterVersionNotFound"},
		"PutParameter":                 {"ParameterLimitExceeded", "ParameterMaxVersionLimitExceeded", "TooManyUpdates", "ParameterAlreadyExists"},
	}[operation] {
		list = append(list, fakessm.Fault{Code: code})
	}
	return list
}

// Each call of each request fails in each way. Whatever happens: the request is
// answered, a deletion succeeds, what was in force stays or the new is, and the
// rollback and another try come to what they should.
func TestEveryCallFails(t *testing.T) {
	requests := map[string]func(w *world) cfn.Event{
		"create": func(w *world) cfn.Event { return w.event(cfn.RequestCreate, "20", "Fail") },
		"adopt": func(w *world) cfn.Event {
			w.ssm.Put(doc, preferences("1"), theirs)
			return w.event(cfn.RequestCreate, "20", "AdoptByReplace")
		},
		"merge": func(w *world) cfn.Event {
			w.ssm.Put(doc, theirs)
			return w.event(cfn.RequestCreate, "20", "AdoptByMerge")
		},
		"update": func(w *world) cfn.Event {
			w.ssm.Put(doc, theirs)
			w.create("10", "AdoptByReplace")
			return w.event(cfn.RequestUpdate, "20", "AdoptByReplace")
		},
		"update back": func(w *world) cfn.Event {
			w.ssm.Put(doc, theirs)
			w.create("20", "AdoptByReplace")
			w.update("10", "AdoptByReplace")
			return w.event(cfn.RequestUpdate, "20", "AdoptByReplace")
		},
		"delete": func(w *world) cfn.Event {
			w.create("20", "Fail")
			return w.event(cfn.RequestDelete, "20", "Fail")
		},
		"restore": func(w *world) cfn.Event {
			w.ssm.Put(doc, theirs)
			w.create("20", "AdoptByReplace")
			return w.event(cfn.RequestDelete, "20", "AdoptByReplace")
		},
	}
	tried, called := 0, map[string]bool{}
	w := newWorld(t)
	for _, name := range slices.Sorted(maps.Keys(requests)) {
		// Which calls does it make?
		w.reset(t)
		e := requests[name](w)
		start := len(w.ssm.Calls)
		w.succeeds(e)
		calls := slices.Clone(w.ssm.Calls[start:])
		counts := map[string]int{}
		for _, call := range calls {
			called["ssm:"+call] = true
			counts[call]++
			for _, fault := range faultsOf(call, counts[call]) {
				tried++
				fault.Operation, fault.Nth = call, counts[call]
				t.Run(fmt.Sprintf("%s/%s %d/%s %t %d", name, call, fault.Nth, fault.Code, fault.Done, fault.Times), func(t *testing.T) {
					w.reset(t)
					e := requests[name](w)
					before := w.ssm.InForce(doc)
					w.ssm.Fail(fault)
					answer := w.send(e)
					after := w.ssm.InForce(doc)
					w.ssm.Heal()
					if e.RequestType == cfn.RequestDelete {
						assert.Equal(t, cfn.StatusSuccess, answer.Status, "a stack must be deletable")
						require.Contains(t, []string{preferences("20"), "", theirs}, after)
						if answer.Reason != "" && !strings.HasPrefix(answer.Reason, "The preferences are left") {
							return
						}
						// Nothing is lost, and the next owner saves no leftover as the original.
						if name == "restore" {
							assert.JSONEq(t, theirs, w.ssm.Value(accountdefault.Original))
							if len(w.record().Claims) == 0 && after == preferences("20") {
								again := w.event(cfn.RequestCreate, "30", "AdoptByReplace")
								again.StackID += "1"
								w.succeeds(again)
								again.RequestType, again.RequestID, again.PhysicalResourceID = cfn.RequestDelete, "end", doc
								w.succeeds(again)
								w.inForce(theirs)
							}
						}
						return
					}
					if answer.Status == cfn.StatusSuccess {
						if name != "merge" {
							assert.JSONEq(t, preferences("20"), after, "a success is one")
						}
						if fault.Times == -1 {
							// All has been done, and the record that was written before is enough.
							assert.Equal(t, "PutParameter", call)
							assert.Contains(t, w.log.String(), "the record doesn't say that it is done")
						}
					} else if name != "create" && !fault.Done && fault.Code != "" {
						assert.Equal(t, before, after, "what was in force still is: "+answer.Reason)
					}
					// It is asked for again, in the same words: Lambda does, too.
					if answer.Status == cfn.StatusFailed {
						w.succeeds(e)
					}
					if name != "merge" {
						w.inForce(preferences("20"))
					}
					// And rolled back.
					if e.RequestType == cfn.RequestUpdate {
						w.update("10", "AdoptByReplace")
						w.inForce(preferences("10"))
					}
					w.delete()
					w.inForce(map[bool]string{true: "", false: theirs}[name == "create"])
				})
			}
		}
	}
	t.Logf("%d faults", tried)
	assert.Greater(t, tried, 250)

	// Its role allows all these calls, and no other.
	var allowed []string
	for _, statement := range policy.AccountDefaultOwner(policy.Placeholders(), "log") {
		for _, action := range statement.Action {
			if strings.HasPrefix(action, "ssm:") {
				allowed = append(allowed, action)
			}
		}
	}
	assert.ElementsMatch(t, slices.Collect(maps.Keys(called)), allowed)
}

// As CloudFormation does it: a failed create is deleted, a failed update updated back.
func TestRollbackAfterEveryFault(t *testing.T) {
	w := newWorld(t)
	for _, call := range []string{"PutParameter", "UpdateDocument", "UpdateDocumentDefaultVersion", "DescribeDocument", "GetDocument", "GetParameter"} {
		for nth := 1; nth <= 6; nth++ {
			for _, code := range []string{"AccessDeniedException", "InternalServerError"} {
				t.Run(fmt.Sprintf("%s %d %s", call, nth, code), func(t *testing.T) {
					w.reset(t)
					w.ssm.Put(doc, theirs)
					w.ssm.Fail(fakessm.Fault{Operation: call, Nth: nth, Times: -1, Code: code, Status: map[bool]int{true: 500}[code[0] == 'I']})
					if w.send(w.event(cfn.RequestCreate, "20", "AdoptByReplace")).Status == cfn.StatusFailed {
						w.ssm.Heal()
						w.delete()
						w.inForce(theirs)
						return
					}
					w.ssm.Heal()
					w.ssm.Fail(fakessm.Fault{Operation: call, Nth: nth, Times: -1, Code: code, Status: map[bool]int{true: 500}[code[0] == 'I']})
					if w.send(w.event(cfn.RequestUpdate, "30", "AdoptByReplace")).Status == cfn.StatusFailed {
						w.ssm.Heal()
						w.update("20", "AdoptByReplace")
						w.inForce(preferences("20"))
					}
					w.ssm.Heal()
					w.delete()
					w.inForce(theirs)
				})
			}
		}
	}
}

// AWS doesn't say with which versions new content is compared.
func TestContentOfAnEarlierVersion(t *testing.T) {
	w := newWorld(t)
	w.ssm.LatestOnly = true
	w.ssm.Put(doc, theirs)
	w.create("20", "AdoptByReplace")
	w.update("30", "AdoptByReplace")
	assert.Equal(t, map[string]any{"Version": "4"}, w.update("20", "AdoptByReplace").Data)
	w.inForce(preferences("20"))
	w.delete()
	w.inForce(theirs)
	assert.Equal(t, 1, w.ssm.Documents[doc].Default)
}

func TestNewVersionIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.ssm.Put(doc, theirs)
	w.ssm.Fail(fakessm.Fault{Operation: "UpdateDocumentDefaultVersion", Code: "InvalidDocumentVersion", Times: 4})
	w.create("20", "AdoptByReplace")
	w.inForce(preferences("20"))
	w.ssm.Fail(fakessm.Fault{Operation: "UpdateDocumentDefaultVersion", Code: "InvalidDocumentVersion", Times: -1})
	w.fails(w.event(cfn.RequestUpdate, "30", "AdoptByReplace"), "version 3 of SSM-SessionManagerRunShell did not become the default: it can't be made so: InvalidDocumentVersion: told to fail")
	w.inForce(preferences("20"))
}

func TestPromotionIsVerified(t *testing.T) {
	w := newWorld(t)
	w.ssm.Put(doc, theirs)
	w.ssm.Stuck = true
	w.fails(w.event(cfn.RequestCreate, "20", "AdoptByReplace"),
		"version 2 of SSM-SessionManagerRunShell did not become the default: its default version is 1, its latest 2, its status Active")
	w.inForce(theirs)
	w.ssm.Heal()
	w.delete()
	w.inForce(theirs)
}

func TestWhatWasWrittenIsReadBack(t *testing.T) {
	w := newWorld(t)
	w.ssm.Put(doc, theirs)
	w.ssm.Fail(fakessm.Fault{Operation: "UpdateDocumentDefaultVersion", Before: func() { w.ssm.Documents[doc].Versions[1].Content = preferences("59") }})
	w.fails(w.event(cfn.RequestCreate, "20", "AdoptByReplace"), "and its content is not the one that was written")
	w.inForce(theirs)
}

func TestSomebodyIsQuicker(t *testing.T) {
	for choice, want := range map[string]string{"Fail": "", "AdoptByReplace": preferences("20")} {
		w := newWorld(t)
		w.ssm.Fail(fakessm.Fault{Operation: "CreateDocument", Before: func() { w.ssm.Put(doc, theirs) }})
		answer := w.send(w.event(cfn.RequestCreate, "20", choice))
		if want == "" {
			assert.Equal(t, cfn.StatusFailed, answer.Status)
			assert.Contains(t, answer.Reason, "exists in this account and Region, and was not made here")
			want = theirs
		}
		w.inForce(want)
		w.delete()
		w.inForce(theirs)
	}
}

func TestVersionsRunOut(t *testing.T) {
	w := newWorld(t)
	w.ssm.MaxVersions = 2
	w.ssm.Put(doc, preferences("1"), theirs)
	w.fails(w.event(cfn.RequestCreate, "20", "AdoptByReplace"), "which has all the versions it may have; delete some that are of no interest any more "+
		"(aws ssm delete-document --name SSM-SessionManagerRunShell --document-version N): DocumentVersionLimitExceeded")
	w.delete()
	w.inForce(theirs)
}

func TestNewRoleIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.ssm.Fail(fakessm.Fault{Operation: "DescribeDocument", Code: "AccessDeniedException", Times: 5})
	w.create("20", "Fail")
	w.inForce(preferences("20"))
}

func TestBadProperties(t *testing.T) {
	for content, want := range map[string]string{
		"":                       "the property Content is no session document: EOF",
		"null":                   "the property Content is no session document: it is null",
		"{} {":                   "the property Content is no session document: something follows the document",
		`{"sessionType":"Port"}`: "the property Content is no session document: its sessionType is Port, not Standard_Stream",
	} {
		w := newWorld(t)
		e := w.event(cfn.RequestCreate, "20", "Fail")
		e.ResourceProperties["Content"] = content
		w.fails(e, want)
		assert.Equal(t, []string{"DescribeDocument"}, w.ssm.Calls)
	}
	w := newWorld(t)
	w.fails(w.event(cfn.RequestCreate, "20", "Overwrite"), `the property OnExisting is "Overwrite": use one of Fail, AdoptByMerge, AdoptByReplace`)
	e := w.event("Read", "20", "Fail")
	w.fails(e, `the request type "Read" is not known`)
}

func TestOddOriginals(t *testing.T) {
	t.Run("two braces", func(t *testing.T) {
		w := newWorld(t)
		odd := strings.Replace(theirs, "exec bash", `echo {{ who }} \\{{{x}}}`, 1)
		w.ssm.Put(doc, odd)
		w.create("20", "AdoptByMerge")
		assert.JSONEq(t, odd, w.ssm.Value(accountdefault.Original))
		assert.Contains(t, w.ssm.InForce(doc), "echo {{ who }}")
		w.ssm.Documents[doc].Versions = w.ssm.Documents[doc].Versions[1:]
		w.delete()
		w.inForce(odd)
	})
	t.Run("more than 4 KB", func(t *testing.T) {
		w := newWorld(t)
		w.ssm.Put(doc, strings.Replace(theirs, "exec bash", strings.Repeat("x", 5000), 1))
		w.create("20", "AdoptByReplace")
		assert.Equal(t, "Advanced", w.ssm.Parameters[accountdefault.Original].Tier)
		w.delete()
		// And a smaller one afterwards: there is no way back from advanced.
		w.ssm.Edit(doc, theirs)
		w.create("20", "AdoptByReplace")
		assert.JSONEq(t, theirs, w.ssm.Value(accountdefault.Original))
	})
	t.Run("more than 8 KB", func(t *testing.T) {
		w := newWorld(t)
		large := strings.Replace(theirs, "exec bash", strings.Repeat("x", 9000), 1)
		w.ssm.Put(doc, large)
		w.fails(w.event(cfn.RequestCreate, "20", "AdoptByReplace"), "SSM-SessionManagerRunShell can't be adopted: its content has ")
		w.inForce(large)
	})
	t.Run("another kind of session", func(t *testing.T) {
		w := newWorld(t)
		w.ssm.Put(doc, `{"schemaVersion":"1.0","sessionType":"Port"}`)
		w.fails(w.event(cfn.RequestCreate, "20", "AdoptByMerge"), "the preferences that exist can't be merged with: their sessionType is Port, not Standard_Stream: choose AdoptByReplace")
		w.create("20", "AdoptByReplace")
	})
	t.Run("another type of document", func(t *testing.T) {
		w := newWorld(t)
		w.ssm.Put(doc, theirs).Type = "Command"
		w.fails(w.event(cfn.RequestCreate, "20", "AdoptByReplace"), "is a document of the type Command, not Session")
	})
}

func TestRecordIsLost(t *testing.T) {
	w := newWorld(t)
	w.ssm.Put(doc, theirs)
	w.create("20", "AdoptByReplace")
	delete(w.ssm.Parameters, accountdefault.Record)
	assert.Contains(t, w.update("20", "AdoptByReplace").Reason, "what was asked for is in force, though the parameter /postern/session-preferences/record knows nothing of it")
	w.fails(w.event(cfn.RequestUpdate, "30", "Fail"), "was not made here")
	w.update("20", "Fail") // the rollback
	assert.Equal(t, "nothing is in force that this resource put there", w.delete().Reason)
	w.inForce(preferences("20"))

	w = newWorld(t)
	w.ssm.Parameters[accountdefault.Record] = &fakessm.Parameter{Values: []string{"theirs"}}
	w.fails(w.event(cfn.RequestCreate, "20", "Fail"), "the parameter /postern/session-preferences/record is none of ours")
	w.inForce("")
	assert.Contains(t, w.delete().Reason, "The preferences are left as they are: the parameter")
}

func TestAnswerComesWhateverHappens(t *testing.T) {
	t.Run("the response URL fails", func(t *testing.T) {
		w := newWorld(t)
		w.refuse = []int{503, 500}
		w.create("20", "Fail")
	})
	t.Run("for good", func(t *testing.T) {
		w := newWorld(t)
		w.refuse = slices.Repeat([]int{503}, 50)
		require.EqualError(t, w.handler.Handle(t.Context(), w.event(cfn.RequestCreate, "20", "Fail")), "the answer was refused: 503 Service Unavailable")
	})
	t.Run("it has expired", func(t *testing.T) {
		w := newWorld(t)
		w.refuse = []int{403, 500}
		require.EqualError(t, w.handler.Handle(t.Context(), w.event(cfn.RequestCreate, "20", "Fail")), "the answer was refused: 403 Forbidden")
		assert.Len(t, w.refuse, 1, "no use in trying again")
	})
	t.Run("nobody listens", func(t *testing.T) {
		w := newWorld(t)
		e := w.event(cfn.RequestCreate, "20", "Fail")
		e.ResponseURL = "http://127.0.0.1:1/secret-signature"
		require.Error(t, w.handler.Handle(t.Context(), e))
		assert.NotContains(t, w.log.String(), "secret-signature")
	})
	t.Run("panic", func(t *testing.T) {
		for _, kind := range []cfn.RequestType{cfn.RequestCreate, cfn.RequestUpdate, cfn.RequestDelete} {
			w := newWorld(t)
			w.handler.ssm = nil
			answer := w.send(w.event(kind, "20", "Fail"))
			assert.Contains(t, answer.Reason, "the function failed within itself")
			assert.Equal(t, kind == cfn.RequestDelete, answer.Status == cfn.StatusSuccess)
			assert.Contains(t, w.log.String(), "owner.(*Handler)", "the stack is in the log")
		}
	})
	t.Run("timeout", func(t *testing.T) {
		w := newWorld(t)
		w.handler.reserve = 20 * time.Second // a machine may be busy
		w.ssm.Put(doc, theirs)
		hang := make(chan struct{})
		t.Cleanup(func() { close(hang) })
		w.ssm.Fail(fakessm.Fault{Operation: "GetDocument", Nth: 2, Before: func() { <-hang }})
		ctx, cancel := context.WithTimeout(t.Context(), 21*time.Second)
		defer cancel()
		require.NoError(t, w.handler.Handle(ctx, w.event(cfn.RequestCreate, "20", "AdoptByReplace")))
		require.NoError(t, ctx.Err(), "in time")
		assert.Equal(t, cfn.StatusFailed, w.answers[0].Status)
		w.inForce(theirs)
	})
	t.Run("a long reason", func(t *testing.T) {
		w := newWorld(t)
		w.fails(w.event(cfn.RequestCreate, "20", strings.Repeat("ä", 3000)), "... (more in the log)")
	})
}

func TestMergeTable(t *testing.T) {
	inputs := func(text string) string {
		return `{"schemaVersion":"1.0","sessionType":"Standard_Stream","inputs":{` + text + `}}`
	}
	for name, c := range map[string]struct{ theirs, ours, want string }{
		"ours win":                 {`"kmsKeyId":"old"`, `"kmsKeyId":"new"`, `"kmsKeyId":"new"`},
		"theirs stay":              {`"kmsKeyId":"old"`, `"kmsKeyId":""`, `"kmsKeyId":"old"`},
		"what we don't know stays": {`"future":{"x":1}`, `"kmsKeyId":""`, `"future":{"x":1},"kmsKeyId":""`},
		"a bucket as a whole":      {`"s3BucketName":"a","s3KeyPrefix":"p","s3EncryptionEnabled":false`, `"s3BucketName":"b","s3KeyPrefix":"","s3EncryptionEnabled":true`, `"s3BucketName":"b","s3KeyPrefix":"","s3EncryptionEnabled":true`},
		"their group, whole":       {`"cloudWatchLogGroupName":"g"`, `"cloudWatchLogGroupName":"","cloudWatchEncryptionEnabled":true,"cloudWatchStreamingEnabled":true`, `"cloudWatchLogGroupName":"g","cloudWatchEncryptionEnabled":true,"cloudWatchStreamingEnabled":true`},
		"the shorter":              {`"idleSessionTimeout":"5","maxSessionDuration":"60"`, `"idleSessionTimeout":"20","maxSessionDuration":"30"`, `"idleSessionTimeout":"5","maxSessionDuration":"30"`},
		"the only one":             {`"maxSessionDuration":""`, `"idleSessionTimeout":"20","maxSessionDuration":"30"`, `"idleSessionTimeout":"20","maxSessionDuration":"30"`},
		"the only one, theirs":     {`"maxSessionDuration":"60"`, `"maxSessionDuration":""`, `"maxSessionDuration":"60"`},
		"the stricter":             {`"runAsEnabled":false,"runAsDefaultUser":"x"`, `"runAsEnabled":true,"runAsDefaultUser":""`, `"runAsEnabled":true,"runAsDefaultUser":"x"`},
		"the stricter, theirs":     {`"runAsEnabled":true,"runAsDefaultUser":"x"`, `"runAsEnabled":false,"runAsDefaultUser":"y"`, `"runAsEnabled":true,"runAsDefaultUser":"y"`},
		"profiles by system":       {`"shellProfile":{"linux":"a","windows":"b"}`, `"shellProfile":{"linux":"c","windows":""}`, `"shellProfile":{"linux":"c","windows":"b"}`},
	} {
		got, err := merge(inputs(c.theirs), inputs(c.ours))
		require.NoError(t, err, name)
		assert.JSONEq(t, inputs(c.want), got, name)
	}
	// The description is ours, and what sets parameters is kept for the profile that uses them.
	got, err := merge(`{"sessionType":"Standard_Stream","description":"a","parameters":{"who":{}},"inputs":{}}`, `{"sessionType":"Standard_Stream","description":"b","inputs":{}}`)
	require.NoError(t, err)
	assert.JSONEq(t, `{"sessionType":"Standard_Stream","description":"b","parameters":{"who":{}},"inputs":{}}`, got)
}

func TestDigestIsOfWhatItSays(t *testing.T) {
	assert.Equal(t, digest(`{"a":1,"b":"x"}`), digest("{\n \"b\": \"\\u0078\",\"a\":1}"))
	assert.NotEqual(t, digest(`{"a":1}`), digest(`{"a":"1"}`))
	assert.NotEqual(t, digest("x"), digest("y"))
}
