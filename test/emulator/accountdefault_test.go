package emulator_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/cfn"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/accountdefault"
	"github.com/postern-cdk/postern/internal/accountdefault/fakessm"
	"github.com/postern-cdk/postern/internal/accountdefault/owner"
	"github.com/postern-cdk/postern/internal/localcfn"
)

// theirs are preferences that somebody saved in the console.
const theirs = `{"schemaVersion":"1.0","description":"Document to hold regional settings for Session Manager","sessionType":"Standard_Stream","inputs":{` +
	`"s3BucketName":"","s3KeyPrefix":"","s3EncryptionEnabled":true,"cloudWatchLogGroupName":"","cloudWatchEncryptionEnabled":true,"idleSessionTimeout":"5",` +
	`"kmsKeyId":"","runAsEnabled":false,"runAsDefaultUser":"","shellProfile":{"windows":"","linux":"exec bash"}}}`

// account is a local CloudFormation whose custom resources the very function of the
// construct answers for, with a Systems Manager of its own.
type account struct {
	*cloud
	server *localcfn.Server
	ssm    *fakessm.Server
}

func newAccount(t *testing.T) *account {
	t.Helper()
	a := &account{ssm: fakessm.New()}
	t.Cleanup(a.ssm.Close)
	handler := owner.New(a.ssm.Config(), io.Discard)
	a.cloud, a.server = freshWith(t, localcfn.Options{CustomResources: map[string]localcfn.CustomResource{
		accountdefault.ResourceType: func(ctx context.Context, text []byte) error {
			var event cfn.Event
			if err := json.Unmarshal(text, &event); err != nil {
				return err
			}
			return handler.Handle(ctx, event)
		},
	}}, "accountdefault", ".")
	return a
}

// wish is what the app is asked for: the stack's name, the idle timeout, the choice,
// and the construct's ID.
type wish struct{ stack, idle, onExisting, id string }

func (w wish) context() map[string]string {
	return map[string]string{"stack": w.stack, "idle": w.idle, "onExisting": w.onExisting, "id": w.id}
}

// asks runs the CLI on the app.
func (a *account) asks(command string, w wish, args ...string) (string, error) {
	a.t.Helper()
	all := []string{command, "--app", a.app, "--all"}
	for key, value := range w.context() {
		all = append(all, "-c", key+"="+value)
	}
	return a.run(append(all, args...)...)
}

// templates that were synthesized: the CLI takes seconds for each deployment.
var templates = map[wish]string{}

func (a *account) template(w wish) string {
	a.t.Helper()
	if templates[w] == "" {
		settings, err := json.Marshal(w.context())
		require.NoError(a.t, err)
		out := a.t.TempDir()
		app := exec.CommandContext(a.t.Context(), a.app)
		app.Env = append(slices.Clone(a.environ), "CDK_OUTDIR="+out, "CDK_CONTEXT_JSON="+string(settings))
		said, err := app.CombinedOutput()
		require.NoError(a.t, err, string(said))
		text, err := os.ReadFile(filepath.Join(out, w.stack+".template.json"))
		require.NoError(a.t, err)
		templates[w] = string(text)
	}
	return templates[w]
}

// deploy creates or updates the stack, and gives its status and all reasons.
func (a *account) deploy(w wish) (types.StackStatus, string) {
	a.t.Helper()
	body := a.template(w)
	capabilities := []types.Capability{types.CapabilityCapabilityIam}
	var err error
	if slices.Contains(a.names(), w.stack) {
		_, err = a.stacks.UpdateStack(a.t.Context(), &cloudformation.UpdateStackInput{StackName: &w.stack, TemplateBody: &body, Capabilities: capabilities})
	} else {
		_, err = a.stacks.CreateStack(a.t.Context(), &cloudformation.CreateStackInput{StackName: &w.stack, TemplateBody: &body, Capabilities: capabilities})
	}
	require.NoError(a.t, err)
	events, err := a.stacks.DescribeStackEvents(a.t.Context(), &cloudformation.DescribeStackEventsInput{StackName: &w.stack})
	require.NoError(a.t, err)
	var reasons []string
	for _, e := range events.StackEvents {
		if e.ResourceStatusReason != nil {
			reasons = append(reasons, *e.ResourceStatusReason)
		}
	}
	return a.stack(w.stack).StackStatus, strings.Join(reasons, "\n")
}

func (a *account) deploys(idle, onExisting string) {
	a.t.Helper()
	status, reasons := a.deploy(wish{"Account", idle, onExisting, "Owner"})
	require.Contains(a.t, []types.StackStatus{types.StackStatusCreateComplete, types.StackStatusUpdateComplete}, status, reasons)
}

func (a *account) fails(idle, onExisting, reason string) {
	a.t.Helper()
	status, reasons := a.deploy(wish{"Account", idle, onExisting, "Owner"})
	require.Contains(a.t, []types.StackStatus{types.StackStatusRollbackComplete, types.StackStatusUpdateRollbackComplete}, status, reasons)
	assert.Contains(a.t, reasons, reason)
}

func (a *account) destroys(stack string) {
	a.t.Helper()
	_, err := a.stacks.DeleteStack(a.t.Context(), &cloudformation.DeleteStackInput{StackName: &stack})
	require.NoError(a.t, err)
	require.NotContains(a.t, a.names(), stack)
}

// idle is the idle timeout in force, in minutes, or "".
func (a *account) idle() string {
	a.t.Helper()
	content := a.ssm.InForce(accountdefault.Document)
	if content == "" {
		return ""
	}
	var document struct {
		Inputs struct{ IdleSessionTimeout string }
	}
	require.NoError(a.t, json.Unmarshal([]byte(content), &document))
	return document.Inputs.IdleSessionTimeout
}

func TestAccountDefaultLife(t *testing.T) {
	a := newAccount(t)
	first, second := wish{"Account", "20m", "", "Owner"}, wish{"Account", "30m", "", "Owner"}
	out, err := a.asks("deploy", first, "--require-approval", "never")
	require.NoError(t, err, out)
	assert.Equal(t, "20", a.idle())
	// What sessions use is what the stack made: the references are resolved.
	content := a.ssm.InForce(accountdefault.Document)
	bucket := a.list("AWS::S3::Bucket")
	require.NotEmpty(t, bucket)
	assert.NotContains(t, content, "Ref")
	found := false
	for _, b := range bucket {
		found = found || strings.Contains(content, `"s3BucketName":"`+b.id+`"`)
	}
	assert.True(t, found, content)
	var f resource
	for _, member := range a.members("Account") {
		if *member.ResourceType == "AWS::Lambda::Function" {
			f = a.get(*member.ResourceType, *member.PhysicalResourceId)
		}
	}
	assert.Equal(t, "provided.al2023", f.text("Runtime"))
	assert.Regexp(t, `^[0-9a-f]{64}\.zip$`, f.text("Code", "S3Key"))
	physical := a.one(accountdefault.ResourceType)
	assert.Equal(t, f.text("Arn"), physical.text("ServiceToken"))

	out, err = a.asks("diff", first)
	require.NoError(t, err)
	assert.Contains(t, out, "There were no differences", "the function is the same bytes again")

	out, err = a.asks("deploy", second, "--require-approval", "never")
	require.NoError(t, err, out)
	assert.Equal(t, "30", a.idle())
	assert.Equal(t, 2, a.ssm.Documents[accountdefault.Document].Default)

	// Another resource fails in the same update.
	require.NoError(t, a.server.Fail(localcfn.Fail{Type: "AWS::SNS::Topic", Operation: "Update"}))
	a.fails("40m", "", "Injected fault: Update of AWS::SNS::Topic")
	assert.Equal(t, "30", a.idle(), "rolled back")

	out, err = a.asks("destroy", second, "--force")
	require.NoError(t, err, out)
	assert.Empty(t, a.idle(), "made here, and gone")
	assert.Len(t, a.list("AWS::Logs::LogGroup"), 2, "what tells of it stays")
}

func TestAccountDefaultAdoption(t *testing.T) {
	a := newAccount(t)
	a.ssm.Put(accountdefault.Document, theirs)
	a.fails("20m", "", "SSM-SessionManagerRunShell exists in this account and Region, and was not made here.")
	assert.JSONEq(t, theirs, a.ssm.InForce(accountdefault.Document))

	// The first deployment adopts, and another resource of it fails.
	a.forget()
	require.NoError(t, a.server.Fail(localcfn.Fail{Type: "AWS::SNS::Topic", Operation: "Create"}))
	a.fails("20m", "AdoptByReplace", "Injected fault: Create of AWS::SNS::Topic")
	assert.JSONEq(t, theirs, a.ssm.InForce(accountdefault.Document), "rolled back")

	a.forget()
	a.deploys("20m", "AdoptByMerge")
	assert.Equal(t, "5", a.idle(), "the shorter one")
	assert.Contains(t, a.ssm.InForce(accountdefault.Document), "exec bash")
	a.deploys("20m", "AdoptByReplace")
	assert.Equal(t, "20", a.idle())

	// Somebody changes it in the console, and the next update would overwrite that.
	console := strings.Replace(theirs, `"5"`, `"7"`, 1)
	a.ssm.Edit(accountdefault.Document, console)
	a.fails("30m", "", "was changed by somebody else since, and would be overwritten")
	assert.Equal(t, "7", a.idle())
	// With the choice it does, and back where the update fails.
	require.NoError(t, a.server.Fail(localcfn.Fail{Type: "AWS::SNS::Topic", Operation: "Update"}))
	a.fails("30m", "AdoptByReplace", "Injected fault")
	assert.Equal(t, "7", a.idle())
	a.deploys("30m", "AdoptByReplace")
	assert.Equal(t, "30", a.idle())

	a.destroys("Account")
	assert.JSONEq(t, theirs, a.ssm.InForce(accountdefault.Document))
	assert.JSONEq(t, theirs, a.ssm.Value(accountdefault.Original), "outlives the stack")
}

// forget takes a stack away whose creation failed.
func (a *account) forget() {
	a.t.Helper()
	a.destroys("Account")
	a.server.ClearFaults()
}

func TestAccountDefaultFaults(t *testing.T) {
	t.Run("Systems Manager fails", func(t *testing.T) {
		a := newAccount(t)
		a.ssm.Put(accountdefault.Document, theirs)
		a.ssm.Fail(fakessm.Fault{Operation: "UpdateDocument", Code: "AccessDeniedException", Times: -1})
		a.fails("20m", "AdoptByReplace", "SSM-SessionManagerRunShell can't be updated: AccessDeniedException")
		assert.JSONEq(t, theirs, a.ssm.InForce(accountdefault.Document))
		a.ssm.Heal()
		a.forget()
		a.deploys("20m", "AdoptByReplace")

		// It fails in an update, too, and when all is taken down: the stack goes all the same.
		a.ssm.Fail(fakessm.Fault{Operation: "UpdateDocument", Code: "DocumentVersionLimitExceeded", Times: -1})
		a.fails("30m", "AdoptByReplace", "which has all the versions it may have")
		assert.Equal(t, "20", a.idle())
		a.ssm.Heal()
		a.ssm.Fail(fakessm.Fault{Operation: "UpdateDocumentDefaultVersion", Code: "AccessDeniedException", Times: -1})
		a.destroys("Account")
		assert.Equal(t, "20", a.idle())
		assert.JSONEq(t, theirs, a.ssm.Value(accountdefault.Original))
		assert.Contains(t, a.ssm.Value(accountdefault.Record), "could not go back to what was before: version 1 of SSM-SessionManagerRunShell can't be made the default: AccessDeniedException")
	})
	t.Run("two owners", func(t *testing.T) {
		a := newAccount(t)
		a.deploys("20m", "")
		status, reasons := a.deploy(wish{"Other", "30m", "AdoptByReplace", "Owner"})
		require.Equal(t, types.StackStatusRollbackComplete, status)
		assert.Contains(t, reasons, "SSM-SessionManagerRunShell is owned already, by Owner")
		assert.Equal(t, "20", a.idle())
		a.destroys("Other")
		assert.Equal(t, "20", a.idle())
	})
	t.Run("another logical ID", func(t *testing.T) {
		a := newAccount(t)
		a.ssm.Put(accountdefault.Document, theirs)
		a.deploys("20m", "AdoptByReplace")
		require.NoError(t, a.server.Fail(localcfn.Fail{Type: "AWS::SNS::Topic", Operation: "Update"}))
		renamed := wish{"Account", "30m", "AdoptByReplace", "Renamed"}
		status, reasons := a.deploy(renamed)
		require.Equal(t, types.StackStatusUpdateRollbackComplete, status, reasons)
		assert.Equal(t, "20", a.idle(), "rolled back")
		status, reasons = a.deploy(renamed)
		require.Equal(t, types.StackStatusUpdateComplete, status, reasons)
		assert.Equal(t, "30", a.idle())
		a.destroys("Account")
		assert.JSONEq(t, theirs, a.ssm.InForce(accountdefault.Document))
	})
}

// Another people's Systems Manager, asked by the function's own handler.
func TestMotoAccountDefault(t *testing.T) {
	config := startMoto(t, "accountdefault", ".").config
	client := ssm.NewFromConfig(config)
	handler := owner.New(config, io.Discard)
	ask := func(kind cfn.RequestType, idle, onExisting string) cfn.Response {
		t.Helper()
		var answer cfn.Response
		responses := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			assert.NoError(t, json.NewDecoder(r.Body).Decode(&answer))
		}))
		defer responses.Close()
		require.NoError(t, handler.Handle(t.Context(), cfn.Event{
			RequestType: kind, RequestID: string(kind) + idle + onExisting, ResponseURL: responses.URL, StackID: "stack", LogicalResourceID: "Owner",
			ResourceProperties: map[string]any{accountdefault.Content: strings.Replace(theirs, `"5"`, `"`+idle+`"`, 1), accountdefault.OnExisting: onExisting},
		}))
		return answer
	}
	inForce := func() string {
		t.Helper()
		out, err := client.GetDocument(t.Context(), &ssm.GetDocumentInput{Name: aws.String(accountdefault.Document)})
		require.NoError(t, err)
		return *out.Content
	}
	succeeds := func(kind cfn.RequestType, idle, onExisting, version string) {
		t.Helper()
		answer := ask(kind, idle, onExisting)
		require.Equal(t, cfn.StatusSuccess, answer.Status, answer.Reason)
		assert.Equal(t, map[string]any{"Version": version}, answer.Data)
		assert.Contains(t, inForce(), `"idleSessionTimeout":"`+idle+`"`)
	}
	succeeds(cfn.RequestCreate, "20", "Fail", "1")
	succeeds(cfn.RequestUpdate, "30", "Fail", "2")
	succeeds(cfn.RequestUpdate, "20", "Fail", "1") // it has this version already
	assert.Equal(t, "deleted the document, which had been made here", ask(cfn.RequestDelete, "20", "Fail").Reason)

	_, err := client.CreateDocument(t.Context(), &ssm.CreateDocumentInput{
		Name: aws.String(accountdefault.Document), Content: aws.String(theirs), DocumentType: "Session", DocumentFormat: "JSON",
	})
	require.NoError(t, err)
	assert.Contains(t, ask(cfn.RequestCreate, "40", "Fail").Reason, "exists in this account and Region, and was not made here")
	succeeds(cfn.RequestCreate, "40", "AdoptByReplace", "2")
	parameter, err := client.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String(accountdefault.Original)})
	require.NoError(t, err)
	assert.JSONEq(t, theirs, *parameter.Parameter.Value)
	assert.Equal(t, "put version 1 in force again, as before the adoption", ask(cfn.RequestDelete, "40", "AdoptByReplace").Reason)
	assert.JSONEq(t, theirs, inForce())
}
