package engine_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/localcfn/engine"
	"github.com/postern-cdk/postern/internal/localcfn/template"
)

// world is an engine with short names for what tests do.
type world struct {
	t *testing.T
	*engine.Engine
}

func newWorld(t *testing.T, change ...func(*engine.Options)) *world {
	t.Helper()
	o := engine.Options{Account: "111122223333", Region: "us-east-1", Partition: "aws"}
	for _, f := range change {
		f(&o)
	}
	e, err := engine.New(o)
	require.NoError(t, err)
	return &world{t, e}
}

func request(stack, body string, params ...string) engine.Request {
	r := engine.Request{
		StackName: stack, TemplateBody: body, Parameters: map[string]template.Given{},
		Settings: engine.Settings{Capabilities: []string{"CAPABILITY_NAMED_IAM"}},
	}
	for i := 0; i < len(params); i += 2 {
		r.Parameters[params[i]] = template.Given{Value: params[i+1]}
	}
	return r
}

// plan makes a change set and returns it as it is.
func (w *world) plan(r engine.Request) *engine.ChangeSet {
	w.t.Helper()
	r.ChangeSetName = "plan"
	if r.ChangeSetType = "CREATE"; w.status(r.StackName) != "" && w.status(r.StackName) != "REVIEW_IN_PROGRESS" {
		r.ChangeSetType = "UPDATE"
	}
	require.NoError(w.t, w.ignoreMissing(w.DeleteChangeSet(r.StackName, "plan")))
	_, _, err := w.CreateChangeSet(r)
	require.NoError(w.t, err)
	var out *engine.ChangeSet
	require.NoError(w.t, w.DescribeChangeSet(r.StackName, "plan", func(_ *engine.Stack, c *engine.ChangeSet) { x := *c; out = &x }))
	return out
}

func (w *world) ignoreMissing(err error) error {
	if err != nil && strings.Contains(err.Error(), "does not exist") {
		return nil
	}
	return err
}

// deploy deploys by change set and returns the stack's status after.
func (w *world) deploy(stack, body string, params ...string) string {
	w.t.Helper()
	c := w.plan(request(stack, body, params...))
	require.Equal(w.t, "CREATE_COMPLETE", c.Status, c.Reason)
	require.NoError(w.t, w.ExecuteChangeSet(stack, "plan", engine.Execution{}))
	return w.status(stack)
}

func (w *world) status(stack string) string {
	status := ""
	_ = w.View(stack, func(s *engine.Stack) error { status = s.Status; return nil })
	return status
}

func (w *world) reason(stack string) string {
	reason := ""
	_ = w.View(stack, func(s *engine.Stack) error { reason = s.Reason; return nil })
	return reason
}

func (w *world) resource(stack, id string) engine.Resource {
	w.t.Helper()
	var out engine.Resource
	require.NoError(w.t, w.View(stack, func(s *engine.Stack) error {
		if s.Resources[id] == nil {
			return fmt.Errorf("no resource %s", id)
		}
		out = *s.Resources[id]
		return nil
	}))
	return out
}

func (w *world) output(stack, key string) string {
	w.t.Helper()
	out := ""
	require.NoError(w.t, w.View(stack, func(s *engine.Stack) error {
		for _, o := range s.Outputs {
			if o.Key == key {
				out = o.Value
			}
		}
		return nil
	}))
	return out
}

// history gives "logical ID STATUS reason" of all events, oldest first.
func (w *world) history(stack string) []string {
	w.t.Helper()
	var out []string
	require.NoError(w.t, w.View(stack, func(s *engine.Stack) error {
		for _, x := range s.Events {
			out = append(out, strings.TrimSpace(x.LogicalID+" "+x.Status+" "+x.Reason))
		}
		return nil
	}))
	return out
}

func (w *world) ids(typ string) []string {
	w.t.Helper()
	list, err := w.ListModels(typ)
	require.NoError(w.t, err)
	out := []string{}
	for _, m := range list {
		out = append(out, m.ID)
	}
	return out
}

func (w *world) model(typ, id string) map[string]any {
	w.t.Helper()
	m, err := w.GetModel(typ, id)
	require.NoError(w.t, err)
	var out map[string]any
	require.NoError(w.t, json.Unmarshal([]byte(m.Properties), &out))
	return out
}

func sample(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "testdata", name))
	require.NoError(t, err)
	return string(b)
}

func TestCreateTellsEventsInOrder(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, "CREATE_COMPLETE", w.deploy("net", sample(t, "vpc.yaml")))
	assert.Equal(t, []string{
		"net REVIEW_IN_PROGRESS User Initiated",
		"net CREATE_IN_PROGRESS User Initiated",
		"Vpc CREATE_IN_PROGRESS", "Vpc CREATE_IN_PROGRESS Resource creation Initiated", "Vpc CREATE_COMPLETE",
		"Group CREATE_IN_PROGRESS", "Group CREATE_IN_PROGRESS Resource creation Initiated", "Group CREATE_COMPLETE",
		"Subnet CREATE_IN_PROGRESS", "Subnet CREATE_IN_PROGRESS Resource creation Initiated", "Subnet CREATE_COMPLETE",
		"net CREATE_COMPLETE",
	}, w.history("net"))
	assert.Regexp(t, `^vpc-[0-9a-f]{17}$`, w.output("net", "Vpc"))
	assert.Equal(t, "10.0.0.0/16", w.output("net", "Cidr"))
	assert.Regexp(t, `^sg-[0-9a-f]{17}$`, w.output("net", "DefaultGroup"))
	assert.Equal(t, "us-east-1a", w.output("net", "Zone"))
}

func TestNoChanges(t *testing.T) {
	w := newWorld(t)
	body := sample(t, "vpc.yaml")
	w.deploy("net", body)
	c := w.plan(request("net", body))
	assert.Equal(t, "FAILED", c.Status)
	assert.Equal(t, "UNAVAILABLE", c.ExecutionStatus)
	assert.Equal(t, "The submitted information didn't contain changes. Submit different information to create a change set.", c.Reason)
	_, err := w.UpdateStack(request("net", body))
	assert.EqualError(t, err, "ValidationError: No updates are to be performed.")
	err = w.ExecuteChangeSet("net", "plan", engine.Execution{})
	assert.ErrorContains(t, err, "InvalidChangeSetStatus")
}

func TestReplacementCreatesBeforeItDeletes(t *testing.T) {
	w := newWorld(t)
	body := sample(t, "vpc.yaml")
	w.deploy("net", body)
	old, oldSubnet := w.resource("net", "Group").Ref, w.resource("net", "Subnet").Ref
	changed := strings.Replace(body, "GroupDescription: first", "GroupDescription: second", 1)

	c := w.plan(request("net", changed))
	require.Len(t, c.Changes, 1)
	assert.Equal(t, "Modify", c.Changes[0].Action)
	assert.Equal(t, "True", c.Changes[0].Replacement)
	require.Len(t, c.Changes[0].Details, 1)
	d := c.Changes[0].Details[0]
	assert.Equal(t, "GroupDescription", d.Name)
	assert.Equal(t, "Always", d.Recreation)
	assert.Equal(t, "Static", d.Evaluation)
	assert.Equal(t, "DirectModification", d.Source)

	require.Equal(t, "UPDATE_COMPLETE", w.deploy("net", changed))
	next := w.resource("net", "Group").Ref
	assert.NotEqual(t, old, next)
	assert.Equal(t, oldSubnet, w.resource("net", "Subnet").Ref)
	assert.Equal(t, []string{next}, w.ids("AWS::EC2::SecurityGroup"))
	h := w.history("net")
	assert.Equal(t, []string{
		"net UPDATE_IN_PROGRESS User Initiated",
		"Group UPDATE_IN_PROGRESS Requested update requires the creation of a new physical resource; hence creating one.",
		"Group UPDATE_IN_PROGRESS Resource creation Initiated",
		"Group UPDATE_COMPLETE",
		"net UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
		"Group DELETE_IN_PROGRESS", "Group DELETE_COMPLETE",
		"net UPDATE_COMPLETE",
	}, h[len(h)-8:])
}

func TestReplacementReachesThoseThatUseIt(t *testing.T) {
	w := newWorld(t)
	body := sample(t, "vpc.yaml")
	w.deploy("net", body)
	changed := strings.Replace(body, "CidrBlock: 10.0.0.0/16", "CidrBlock: 10.0.0.0/8", 1)
	c := w.plan(request("net", changed))
	got := map[string]string{}
	for _, x := range c.Changes {
		got[x.LogicalID] = x.Replacement
	}
	// RequiresRecreation Always with a dynamic evaluation is Replacement Conditional:
	// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChange.html
	assert.Equal(t, map[string]string{"Vpc": "True", "Subnet": "Conditional", "Group": "Conditional"}, got)
	for _, x := range c.Changes {
		if x.LogicalID == "Subnet" {
			assert.Equal(t, "Dynamic", x.Details[0].Evaluation)
			assert.Equal(t, "ResourceReference", x.Details[0].Source)
			assert.Equal(t, "Vpc", x.Details[0].Cause)
			assert.Equal(t, "Always", x.Details[0].Recreation)
		}
	}
	before := w.resource("net", "Subnet").Ref
	require.Equal(t, "UPDATE_COMPLETE", w.deploy("net", changed))
	assert.NotEqual(t, before, w.resource("net", "Subnet").Ref)
	assert.Equal(t, w.resource("net", "Vpc").Ref, w.model("AWS::EC2::Subnet", w.resource("net", "Subnet").Ref)["VpcId"])
	assert.Len(t, w.ids("AWS::EC2::VPC"), 1)
}

func TestUpdateInPlaceKeepsThePhysicalID(t *testing.T) {
	w := newWorld(t)
	w.deploy("lt", sample(t, "launch-template.yaml"), "Size", "t4g.nano")
	id := w.resource("lt", "Template").Ref
	assert.Regexp(t, `^lt-[0-9a-f]{17}$`, id)
	assert.Equal(t, "1", w.output("lt", "Latest"))

	c := w.plan(request("lt", sample(t, "launch-template.yaml"), "Size", "t4g.micro"))
	require.Len(t, c.Changes, 2)
	asg, lt := c.Changes[0], c.Changes[1]
	assert.Equal(t, "False", lt.Replacement)
	assert.Equal(t, "ParameterReference", lt.Details[0].Source)
	assert.Equal(t, "Size", lt.Details[0].Cause)
	assert.Equal(t, "/Properties/LaunchTemplateData/InstanceType", lt.Details[0].Path)
	assert.Equal(t, "ResourceAttribute", asg.Details[0].Source)
	assert.Equal(t, "Template.LatestVersionNumber", asg.Details[0].Cause)

	require.Equal(t, "UPDATE_COMPLETE", w.deploy("lt", sample(t, "launch-template.yaml"), "Size", "t4g.micro"))
	assert.Equal(t, id, w.resource("lt", "Template").Ref)
	assert.Equal(t, "2", w.output("lt", "Latest"))
	assert.Equal(t, "1", w.output("lt", "Default"))
	group := w.model("AWS::AutoScaling::AutoScalingGroup", w.resource("lt", "Group").Ref)
	assert.Equal(t, "2", group["LaunchTemplate"].(map[string]any)["Version"])
}

func TestFailedCreateRollsBackAndMustBeDeleted(t *testing.T) {
	w := newWorld(t)
	body := sample(t, "vpc.yaml")
	require.NoError(t, w.Inject(engine.Fault{Type: "AWS::EC2::Subnet", Operation: "Create", Message: "no room"}))
	require.Equal(t, "ROLLBACK_COMPLETE", w.deploy("net", body))
	h := strings.Join(w.history("net"), "\n")
	assert.Contains(t, h, "Subnet CREATE_FAILED no room")
	assert.Contains(t, h, "net ROLLBACK_IN_PROGRESS The following resource(s) failed to create: [Subnet]. Rollback requested by user.")
	assert.Empty(t, w.ids("AWS::EC2::VPC"))
	r := request("net", body)
	r.ChangeSetName, r.ChangeSetType = "again", "UPDATE"
	_, _, err := w.CreateChangeSet(r)
	assert.ErrorContains(t, err, "is in ROLLBACK_COMPLETE state and can not be updated.")
	_, err = w.UpdateStack(request("net", body))
	assert.ErrorContains(t, err, "is in ROLLBACK_COMPLETE state and can not be updated.")
	require.NoError(t, w.DeleteStack("net", nil))
	assert.Equal(t, "CREATE_COMPLETE", w.deploy("net", body))
}

func TestFailedUpdateGoesBackToTheStateBefore(t *testing.T) {
	w := newWorld(t)
	body := sample(t, "vpc.yaml")
	w.deploy("net", body)
	group, subnet := w.resource("net", "Group"), w.resource("net", "Subnet")
	changed := strings.Replace(body, "GroupDescription: first", "GroupDescription: second", 1)
	changed = strings.Replace(changed, "MapPublicIpOnLaunch: false", "MapPublicIpOnLaunch: true", 1)
	changed = strings.Replace(changed, "Outputs:", "  Extra:\n    Type: AWS::EC2::InternetGateway\n    DependsOn: Subnet\nOutputs:", 1)
	require.NoError(t, w.Inject(engine.Fault{Type: "AWS::EC2::InternetGateway", Operation: "Create"}))

	require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.deploy("net", changed))
	assert.Equal(t, group.Ref, w.resource("net", "Group").Ref)
	assert.Equal(t, subnet.Declared, w.resource("net", "Subnet").Declared)
	assert.Equal(t, false, w.model("AWS::EC2::Subnet", subnet.Ref)["MapPublicIpOnLaunch"])
	assert.Equal(t, []string{group.Ref}, w.ids("AWS::EC2::SecurityGroup"))
	assert.Empty(t, w.ids("AWS::EC2::InternetGateway"))
	c := w.plan(request("net", body))
	assert.Equal(t, engine.NoChanges, c.Reason, "the template is the old one again")
	assert.Equal(t, "UPDATE_COMPLETE", w.deploy("net", changed), "and can be updated")
}

func TestRollbackThatFailsCanBeContinued(t *testing.T) {
	w := newWorld(t)
	body := sample(t, "launch-template.yaml")
	w.deploy("lt", body, "Size", "t4g.nano")
	require.NoError(t, w.Inject(engine.Fault{Type: "AWS::AutoScaling::AutoScalingGroup", Operation: "Update", Every: true}))
	require.Equal(t, "UPDATE_ROLLBACK_FAILED", w.deploy("lt", body, "Size", "t4g.micro"))
	r := request("lt", body, "Size", "t4g.micro")
	_, err := w.UpdateStack(r)
	assert.ErrorContains(t, err, "UPDATE_ROLLBACK_FAILED state and can not be updated")
	require.NoError(t, w.ContinueUpdateRollback("lt", nil))
	assert.Equal(t, "UPDATE_ROLLBACK_FAILED", w.status("lt"))
	w.ClearFaults()
	require.NoError(t, w.ContinueUpdateRollback("lt", nil))
	assert.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.status("lt"))
	lt := w.model("AWS::EC2::LaunchTemplate", w.resource("lt", "Template").Ref)
	assert.Equal(t, "t4g.nano", lt["LaunchTemplateData"].(map[string]any)["InstanceType"])
}

func TestDisableRollback(t *testing.T) {
	w := newWorld(t)
	body := sample(t, "vpc.yaml")
	require.NoError(t, w.Inject(engine.Fault{Type: "AWS::EC2::Subnet", Operation: "Create"}))
	c := w.plan(request("net", body))
	on := true
	require.NoError(t, w.ExecuteChangeSet("net", c.Name, engine.Execution{DisableRollback: &on}))
	assert.Equal(t, "CREATE_FAILED", w.status("net"))
	assert.Len(t, w.ids("AWS::EC2::VPC"), 1, "what was made stays")
	assert.Equal(t, "UPDATE_COMPLETE", w.deploy("net", body), "and the rest is made by the next")

	require.NoError(t, w.Inject(engine.Fault{Type: "AWS::EC2::Subnet", Operation: "Update"}))
	changed := strings.Replace(body, "MapPublicIpOnLaunch: false", "MapPublicIpOnLaunch: true", 1)
	w.plan(request("net", changed))
	require.NoError(t, w.ExecuteChangeSet("net", "plan", engine.Execution{DisableRollback: &on}))
	require.Equal(t, "UPDATE_FAILED", w.status("net"))
	_, err := w.Rollback("net", false)
	require.NoError(t, err)
	assert.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.status("net"))
}

func TestCustomNamedReplacementIsRefused(t *testing.T) {
	w := newWorld(t)
	body := sample(t, "custom-name.yaml")
	w.deploy("named", body)
	require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.deploy("named", strings.Replace(body, "Path: /a/", "Path: /b/", 1)))
	assert.Contains(t, strings.Join(w.history("named"), "\n"),
		"Role UPDATE_FAILED CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename gatekeeper and update the stack again.")
	renamed := strings.NewReplacer("Path: /a/", "Path: /b/", "gatekeeper", "gatekeeper2").Replace(body)
	assert.Equal(t, "UPDATE_COMPLETE", w.deploy("named", renamed))
	assert.Equal(t, []string{"gatekeeper2"}, w.ids("AWS::IAM::Role"))
}

func TestNamesAreUnique(t *testing.T) {
	w := newWorld(t)
	body := sample(t, "retained.yaml")
	w.deploy("one", body)
	require.Equal(t, "ROLLBACK_COMPLETE", w.deploy("two", body))
	assert.Contains(t, strings.Join(w.history("two"), "\n"), "/audit already exists in stack arn:aws:cloudformation:us-east-1:111122223333:stack/one/")

	require.NoError(t, w.DeleteStack("one", nil))
	require.NoError(t, w.DeleteStack("two", nil))
	assert.Equal(t, []string{"/audit"}, w.ids("AWS::Logs::LogGroup"), "retained")
	require.Equal(t, "ROLLBACK_COMPLETE", w.deploy("three", body))
	assert.Regexp(t, `Log CREATE_FAILED Resource handler returned message: "Resource of type 'AWS::Logs::LogGroup' with identifier '\{"/properties/LogGroupName":"/audit"\}' already exists." \(RequestToken: [-0-9a-f]+, HandlerErrorCode: AlreadyExists\)`,
		strings.Join(w.history("three"), "\n"))
	require.NoError(t, w.DeleteStack("three", nil))
	assert.Equal(t, []string{"/audit"}, w.ids("AWS::Logs::LogGroup"), "a failed create deletes nothing of others")

	r := request("four", body)
	r.Settings.ImportExisting = true
	c := w.plan(r)
	require.NoError(t, w.ExecuteChangeSet("four", c.Name, engine.Execution{}))
	assert.Equal(t, "CREATE_COMPLETE", w.status("four"), "taken over where asked for")
}

func TestDeletionPolicies(t *testing.T) {
	w := newWorld(t)
	w.deploy("keep", sample(t, "deletion-policies.yaml"))
	require.NoError(t, w.DeleteStack("keep", nil))
	assert.Len(t, w.ids("AWS::SNS::Topic"), 2, "Retain and RetainExceptOnCreate stay when the stack goes")

	w = newWorld(t)
	require.NoError(t, w.Inject(engine.Fault{Type: "AWS::SQS::Queue", Operation: "Create"}))
	require.Equal(t, "ROLLBACK_COMPLETE", w.deploy("keep", sample(t, "deletion-policies.yaml")))
	h := strings.Join(w.history("keep"), "\n")
	assert.Contains(t, h, "Retained DELETE_SKIPPED")
	assert.Contains(t, h, "RetainedLater DELETE_COMPLETE")
	assert.Len(t, w.ids("AWS::SNS::Topic"), 1)
}

func TestUpdateReplacePolicyRetains(t *testing.T) {
	w := newWorld(t)
	body := strings.Replace(sample(t, "vpc.yaml"), "  Group:\n", "  Group:\n    UpdateReplacePolicy: Retain\n", 1)
	w.deploy("net", body)
	c := w.plan(request("net", strings.Replace(body, "GroupDescription: first", "GroupDescription: second", 1)))
	assert.Equal(t, "ReplaceAndRetain", c.Changes[0].Policy)
	w.deploy("net", strings.Replace(body, "GroupDescription: first", "GroupDescription: second", 1))
	assert.Len(t, w.ids("AWS::EC2::SecurityGroup"), 2)
	assert.Contains(t, strings.Join(w.history("net"), "\n"), "Group DELETE_SKIPPED")
}

func TestTerminationProtection(t *testing.T) {
	w := newWorld(t)
	w.deploy("net", sample(t, "vpc.yaml"))
	_, err := w.Protect("net", true)
	require.NoError(t, err)
	assert.EqualError(t, w.DeleteStack("net", nil), "ValidationError: Stack [net] cannot be deleted while TerminationProtection is enabled")
	_, err = w.Protect("net", false)
	require.NoError(t, err)
	require.NoError(t, w.DeleteStack("net", nil))
	assert.Empty(t, w.status("net"))
	assert.Empty(t, w.ids("AWS::EC2::VPC"))
}

func TestExports(t *testing.T) {
	w := newWorld(t)
	exporter, importer := sample(t, "exporter.yaml"), sample(t, "importer.yaml")
	c := w.plan(request("user", importer))
	assert.Equal(t, "No export named shared-topic found.", c.Reason)
	require.NoError(t, w.DeleteStack("user", nil))
	w.deploy("owner", exporter, "Name", "first")
	w.deploy("user", importer)

	require.Equal(t, "ROLLBACK_COMPLETE", w.deploy("rival", exporter, "Name", "rival"))
	assert.Contains(t, strings.Join(w.history("rival"), "\n"), "Export with name shared-topic is already exported by stack owner.")

	require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.deploy("owner", exporter, "Name", "second"))
	assert.Contains(t, strings.Join(w.history("owner"), "\n"), "Export shared-topic cannot be updated as it is in use by user")
	require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.deploy("owner", strings.Split(exporter, "Outputs:")[0], "Name", "first"))
	assert.Contains(t, strings.Join(w.history("owner"), "\n"), "Export shared-topic cannot be deleted as it is in use by user")
	require.NoError(t, w.DeleteStack("owner", nil))
	assert.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.status("owner"), "it stays as it is")
	assert.Equal(t, "Export shared-topic cannot be deleted as it is in use by user", w.reason("owner"))
	users, err := w.Importers("shared-topic")
	require.NoError(t, err)
	assert.Equal(t, []string{"user"}, users)

	require.NoError(t, w.DeleteStack("user", nil))
	require.NoError(t, w.DeleteStack("owner", nil))
	assert.Empty(t, w.status("owner"))
}

func TestWeakReference(t *testing.T) {
	w := newWorld(t)
	body := `{"Resources":{"T":{"Type":"AWS::SNS::Topic","Properties":{"DisplayName":{"Fn::GetStackOutput":{"StackName":"owner","OutputName":"Topic","Region":"us-east-1"}}}}}}`
	c := w.plan(request("user", body))
	assert.Equal(t, "Fn::GetStackOutput: Stack with id owner does not exist", c.Reason)
	w.deploy("owner", sample(t, "exporter.yaml"), "Name", "first")
	require.Equal(t, "CREATE_COMPLETE", w.deploy("user", body))
	// Weak: the owner may change, and the next deploy of the user sees it.
	exporter := strings.Split(sample(t, "exporter.yaml"), "    Export:")[0]
	require.Equal(t, "UPDATE_COMPLETE", w.deploy("owner", exporter, "Name", "second"))
	require.Equal(t, "UPDATE_COMPLETE", w.deploy("user", body))
	topic := w.model("AWS::SNS::Topic", w.resource("user", "T").Ref)
	assert.Equal(t, "arn:aws:sns:us-east-1:111122223333:second", topic["DisplayName"])
}

func TestQuotas(t *testing.T) {
	t.Run("five addresses a region", func(t *testing.T) {
		w := newWorld(t)
		w.deploy("a", `{"Resources":{"A":{"Type":"AWS::EC2::EIP"},"B":{"Type":"AWS::EC2::EIP"},"C":{"Type":"AWS::EC2::EIP"},"D":{"Type":"AWS::EC2::EIP"},"E":{"Type":"AWS::EC2::EIP"}}}`)
		require.Equal(t, "ROLLBACK_COMPLETE", w.deploy("b", `{"Resources":{"A":{"Type":"AWS::EC2::EIP"}}}`))
		assert.Contains(t, strings.Join(w.history("b"), "\n"), "The maximum number of addresses has been reached.")
	})
	t.Run("one Instance Connect Endpoint a VPC, so none can be replaced", func(t *testing.T) {
		w := newWorld(t)
		body := sample(t, "instance-connect.yaml")
		w.deploy("door", body, "Keep", "false")
		id := w.resource("door", "Endpoint").Ref
		assert.Regexp(t, `^eice-[0-9a-f]{17}$`, id)
		require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.deploy("door", body, "Keep", "true"))
		assert.Contains(t, strings.Join(w.history("door"), "\n"), "1 per VPC")
		assert.Equal(t, []string{id}, w.ids("AWS::EC2::InstanceConnectEndpoint"))
	})
	t.Run("raised by option", func(t *testing.T) {
		w := newWorld(t, func(o *engine.Options) { o.Quotas = map[string]int{"AWS::EC2::VPC": 1} })
		w.deploy("a", sample(t, "vpc.yaml"))
		assert.Equal(t, "ROLLBACK_COMPLETE", w.deploy("b", sample(t, "vpc.yaml")))
		assert.Contains(t, strings.Join(w.history("b"), "\n"), "The maximum number of VPCs has been reached.")
	})
}

func TestRefusedTemplates(t *testing.T) {
	w := newWorld(t)
	topic := `"T":{"Type":"AWS::SNS::Topic"}`
	for name, c := range map[string]struct{ body, want string }{
		"unknown type":      {`{"Resources":{"A":{"Type":"AWS::EC2::Vpcc"}}}`, "Template format error: Unrecognized resource types: [AWS::EC2::Vpcc]. The type nearest to AWS::EC2::Vpcc is AWS::EC2::VPC"},
		"custom resource":   {`{"Resources":{"A":{"Type":"Custom::Thing"}}}`, "Resource A is a custom resource (Custom::Thing), which is not supported: nothing runs in this CloudFormation, so nothing would answer it"},
		"nested stack":      {`{"Resources":{"A":{"Type":"AWS::CloudFormation::Stack"}}}`, "Resource A: type AWS::CloudFormation::Stack is not supported by this CloudFormation"},
		"transform":         {`{"Transform":"AWS::Serverless-2016-10-31","Resources":{` + topic + `}}`, "Transform AWS::Serverless-2016-10-31 is not supported"},
		"unknown ref":       {`{"Resources":{"A":{"Type":"AWS::SNS::Topic","Properties":{"TopicName":{"Ref":"Nope"}}}}}`, "Template format error: Unresolved resource dependencies [Nope] in the Resources block of the template"},
		"unknown getatt":    {`{"Resources":{"A":{"Type":"AWS::SNS::Topic","Properties":{"TopicName":{"Fn::GetAtt":["Nope","Arn"]}}}}}`, "Template error: instance of Fn::GetAtt references undefined resource Nope"},
		"unknown attribute": {`{"Resources":{"V":{"Type":"AWS::EC2::VPC","Properties":{"CidrBlock":"10.0.0.0/16"}}},"Outputs":{"O":{"Value":{"Fn::GetAtt":["V","CidrBlok"]}}}}`, "Template error: resource V does not support attribute type CidrBlok in Fn::GetAtt. Did you mean CidrBlock?"},
		"unknown depends":   {`{"Resources":{"A":{"Type":"AWS::SNS::Topic","DependsOn":"Nope"}}}`, "Template format error: Unresolved resource dependencies [Nope] in the Resources block of the template"},
		"circle":            {sample(t, "circular.yaml"), "Circular dependency between resources: [Bastion, Target]"},
		"unknown condition": {`{"Resources":{"A":{"Type":"AWS::SNS::Topic","Condition":"Nope"}}}`, "Template format error: Unresolved condition dependency Nope in the Resources block of the template"},
		"no resources":      {`{"Resources":{}}`, "Template format error: At least one Resources member must be defined."},
		"strange section":   {`{"Resource":{},"Resources":{` + topic + `}}`, "Invalid template property or properties [Resource]"},
		"strange attribute": {`{"Resources":{"A":{"Type":"AWS::SNS::Topic","Propertys":{}}}}`, "Invalid template resource property 'Propertys'"},
		"name":              {`{"Resources":{"A-b":{"Type":"AWS::SNS::Topic"}}}`, "Template format error: Resource name A-b is non alphanumeric."},
		"null":              {`{"Resources":{"A":{"Type":"AWS::SNS::Topic","Properties":{"TopicName":null}}}}`, "[/Resources/A/Properties/TopicName] 'null' values are not allowed in templates"},
		"snapshot":          {`{"Resources":{"A":{"Type":"AWS::SNS::Topic","DeletionPolicy":"Snapshot"}}}`, "Template error: resource type AWS::SNS::Topic does not support DeletionPolicy Snapshot"},
		"no parameter":      {`{"Parameters":{"P":{"Type":"String"}},"Resources":{` + topic + `}}`, "Parameters: [P] must have values"},
		"rule":              {`{"Parameters":{"P":{"Type":"String","Default":"a"}},"Rules":{"R":{"Assertions":[{"Assert":{"Fn::Contains":[["b","c"],{"Ref":"P"}]},"AssertDescription":"P must be b or c"}]}},"Resources":{` + topic + `}}`, "Template validation error: Rule R failed: P must be b or c"},
		"ssm parameter":     {`{"Parameters":{"P":{"Type":"AWS::SSM::Parameter::Value<String>","Default":"/nope"}},"Resources":{` + topic + `}}`, "Unable to fetch parameters [/nope] from parameter store for this account."},
		"update policy":     {`{"Resources":{"A":{"Type":"AWS::AutoScaling::AutoScalingGroup","UpdatePolicy":{"AutoScalingRollingUpdates":{}},"Properties":{"MinSize":"1","MaxSize":"2"}}}}`, "Template error: unknown UpdatePolicy AutoScalingRollingUpdates of resource A"},
		"yaml":              {"Resources:\n  A: [", "Template format error: YAML not well-formed."},
		"yaml tag":          {"Resources:\n  A:\n    Type: !Reff x", "unknown tag !Reff"},
	} {
		t.Run(name, func(t *testing.T) {
			r := request("refused", c.body)
			r.ChangeSetName, r.ChangeSetType = "c", "CREATE"
			_, _, err := w.CreateChangeSet(r)
			require.Error(t, err)
			assert.True(t, strings.HasPrefix(err.Error(), "ValidationError: "+c.want) || strings.Contains(err.Error(), c.want), "got  %s\nwant %s", err, c.want)
			assert.Empty(t, w.status("refused"), "nothing is left of it")
		})
	}
	r := request("iam", sample(t, "custom-name.yaml"))
	r.Settings.Capabilities = []string{"CAPABILITY_IAM"}
	_, err := w.CreateStack(r)
	assert.EqualError(t, err, "InsufficientCapabilitiesException: Requires capabilities : [CAPABILITY_NAMED_IAM]")
}

func TestRefusedProperties(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct{ typ, props, want string }{
		"unknown":          {"AWS::EC2::VPC", `{"CidrBlok":"10.0.0.0/16"}`, "#: extraneous key [CidrBlok] is not permitted, did you mean [CidrBlock]?"},
		"unknown, nested":  {"AWS::EC2::LaunchTemplate", `{"LaunchTemplateData":{"MetadataOptions":{"HttpToken":"required"}}}`, "#/LaunchTemplateData/MetadataOptions: extraneous key [HttpToken] is not permitted, did you mean [HttpTokens]?"},
		"required":         {"AWS::EC2::InstanceConnectEndpoint", `{}`, "#: required key [SubnetId] not found"},
		"wrong type":       {"AWS::EC2::VPC", `{"CidrBlock":"10.0.0.0/16","EnableDnsSupport":"perhaps"}`, "#/EnableDnsSupport: expected type: Boolean, found: String"},
		"list for text":    {"AWS::EC2::VPC", `{"CidrBlock":["10.0.0.0/16"]}`, "#/CidrBlock: expected type: String, found: JSONArray"},
		"text for list":    {"AWS::EC2::InstanceConnectEndpoint", `{"SubnetId":"subnet-1","SecurityGroupIds":"sg-1"}`, "#/SecurityGroupIds: expected type: JSONArray, found: String"},
		"read-only":        {"AWS::EC2::VPC", `{"CidrBlock":"10.0.0.0/16","VpcId":"vpc-1"}`, "#/VpcId: read-only property [VpcId] can't be set"},
		"number from text": {"AWS::EC2::VPC", `{"CidrBlock":"10.0.0.0/16","Ipv4NetmaskLength":"many"}`, "#/Ipv4NetmaskLength: expected type: Integer, found: String"},
	} {
		t.Run(name, func(t *testing.T) {
			body := fmt.Sprintf(`{"Resources":{"A":{"Type":"%s","Properties":%s}}}`, c.typ, c.props)
			p := w.plan(request("props", body))
			assert.Equal(t, "FAILED", p.Status)
			assert.Equal(t, "Properties validation failed for resource A with message:\n"+c.want, p.Reason)
			require.NoError(t, w.DeleteStack("props", nil))
			// Without a change set the resource itself fails.
			_, err := w.CreateStack(request("props", body))
			require.NoError(t, err)
			assert.Equal(t, "ROLLBACK_COMPLETE", w.status("props"))
			require.NoError(t, w.DeleteStack("props", nil))
		})
	}
	// CloudFormation converts between text, numbers and booleans.
	assert.Equal(t, "CREATE_COMPLETE", w.deploy("lenient", `{"Resources":{"A":{"Type":"AWS::EC2::VPC","Properties":{"CidrBlock":"10.0.0.0/16","EnableDnsSupport":"true"}},"G":{"Type":"AWS::AutoScaling::AutoScalingGroup","Properties":{"MinSize":1,"MaxSize":"2","HealthCheckGracePeriod":"300"}}}}`))
}

func TestMinInstancesInServiceMustBeBelowMaxSize(t *testing.T) {
	w := newWorld(t)
	body := `{"Resources":{"G":{"Type":"AWS::AutoScaling::AutoScalingGroup","Properties":{"MinSize":"1","MaxSize":"1"},"UpdatePolicy":{"AutoScalingRollingUpdate":{"MinInstancesInService":1}}}}}`
	require.Equal(t, "ROLLBACK_COMPLETE", w.deploy("g", body))
	assert.Contains(t, strings.Join(w.history("g"), "\n"), "G CREATE_FAILED MinInstancesInService must be less than the autoscaling group's MaxSize")
}

func TestConditionalReplacementOfAutoScalingGroup(t *testing.T) {
	w := newWorld(t)
	body := strings.Replace(sample(t, "launch-template.yaml"), "MinInstancesInService: 1", "MinInstancesInService: 1\n      AutoScalingReplacingUpdate:\n        WillReplace: true", 1)
	w.deploy("lt", body, "Size", "t4g.nano")
	before := w.resource("lt", "Group").Ref
	w.deploy("lt", body, "Size", "t4g.micro")
	assert.NotEqual(t, before, w.resource("lt", "Group").Ref)
}

func TestStackTagsReachResources(t *testing.T) {
	w := newWorld(t)
	r := request("net", sample(t, "vpc.yaml"))
	r.Tags, r.TagsGiven = []engine.Tag{{Key: "team", Value: "red"}}, true
	c := w.plan(r)
	require.NoError(t, w.ExecuteChangeSet("net", c.Name, engine.Execution{}))
	vpc := w.resource("net", "Vpc").Ref
	assert.Contains(t, w.model("AWS::EC2::VPC", vpc)["Tags"], map[string]any{"Key": "team", "Value": "red"})
	assert.Contains(t, w.model("AWS::EC2::VPC", vpc)["Tags"], map[string]any{"Key": "Name", "Value": "main"})
	r.Tags = []engine.Tag{{Key: "team", Value: "blue"}}
	c = w.plan(r)
	require.NotEmpty(t, c.Changes)
	assert.Equal(t, []string{"Tags"}, c.Changes[0].Scope)
	require.NoError(t, w.ExecuteChangeSet("net", c.Name, engine.Execution{}))
	assert.Equal(t, vpc, w.resource("net", "Vpc").Ref)
	assert.Contains(t, w.model("AWS::EC2::VPC", vpc)["Tags"], map[string]any{"Key": "team", "Value": "blue"})
}

func TestBucketWithObjectsStays(t *testing.T) {
	w := newWorld(t)
	w.deploy("b", `{"Resources":{"B":{"Type":"AWS::S3::Bucket"}}}`)
	name := w.resource("b", "B").Ref
	assert.Equal(t, strings.ToLower(name), name)
	_, err := w.PutObject(name, "k", engine.S3Object{Body: []byte("x")})
	require.NoError(t, err)
	require.NoError(t, w.DeleteStack("b", nil))
	assert.Equal(t, "DELETE_FAILED", w.status("b"))
	require.NoError(t, w.DeleteStack("b", []string{"B"}))
	assert.Equal(t, []string{name}, w.ids("AWS::S3::Bucket"))
}

func TestTypeOfAResourceStays(t *testing.T) {
	w := newWorld(t)
	w.deploy("a", `{"Resources":{"A":{"Type":"AWS::SNS::Topic"}}}`)
	c := w.plan(request("a", `{"Resources":{"A":{"Type":"AWS::SQS::Queue"}}}`))
	assert.Contains(t, c.Reason, "Update of resource type is not permitted. The new template modifies resource type of the following resources: [A]")
}

func TestSSMParameters(t *testing.T) {
	w := newWorld(t)
	w.deploy("p", `{"Resources":{"P":{"Type":"AWS::SSM::Parameter","Properties":{"Name":"/size","Type":"String","Value":"5"}}}}`)
	body := `{"Parameters":{"Size":{"Type":"AWS::SSM::Parameter::Value<String>","Default":"/size"},
	  "Image":{"Type":"AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>","Default":"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"}},
	  "Resources":{"Q":{"Type":"AWS::SQS::Queue","Properties":{"DelaySeconds":{"Ref":"Size"},"QueueName":"q-{{resolve:ssm:/size:1}}"}}},
	  "Outputs":{"Image":{"Value":{"Ref":"Image"}}}}`
	require.Equal(t, "CREATE_COMPLETE", w.deploy("q", body))
	queue := w.model("AWS::SQS::Queue", w.resource("q", "Q").Ref)
	assert.EqualValues(t, "5", queue["DelaySeconds"])
	assert.Equal(t, "q-5", queue["QueueName"])
	assert.Regexp(t, `^ami-[0-9a-f]{17}$`, w.output("q", "Image"))
	// The same template, but the parameter has changed: that is a change.
	w.deploy("p", `{"Resources":{"P":{"Type":"AWS::SSM::Parameter","Properties":{"Name":"/size","Type":"String","Value":"6"}}}}`)
	c := w.plan(request("q", body))
	require.NotEmpty(t, c.Changes)
	c = w.plan(request("bad", `{"Resources":{"Q":{"Type":"AWS::SQS::Queue","Properties":{"QueueName":"{{resolve:ssm:/none}}"}}}}`))
	assert.Equal(t, "Parameters: [/none] cannot be found.", c.Reason)
}

func TestStateSurvivesARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	keep := func(o *engine.Options) { o.StateFile = file }
	w := newWorld(t, keep)
	w.deploy("net", sample(t, "vpc.yaml"))
	w.deploy("b", `{"Resources":{"B":{"Type":"AWS::S3::Bucket","Properties":{"BucketName":"stays"}}}}`)
	_, err := w.PutObject("stays", "k", engine.S3Object{Body: []byte("hello")})
	require.NoError(t, err)
	vpc := w.resource("net", "Vpc").Ref
	require.NoError(t, w.Close())

	w = newWorld(t, keep)
	assert.Equal(t, "CREATE_COMPLETE", w.status("net"))
	assert.Equal(t, vpc, w.resource("net", "Vpc").Ref)
	o, err := w.GetObject("stays", "k")
	require.NoError(t, err)
	assert.Equal(t, "hello", string(o.Body))
	assert.Equal(t, engine.NoChanges, w.plan(request("net", sample(t, "vpc.yaml"))).Reason)
	assert.Equal(t, "UPDATE_COMPLETE", w.deploy("net", strings.Replace(sample(t, "vpc.yaml"), "GroupDescription: first", "GroupDescription: second", 1)))
	entries, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	assert.Len(t, entries, 1, "no temporary file is left")

	require.NoError(t, os.WriteFile(file, []byte("{"), 0o600))
	_, err = engine.New(engine.Options{Account: "111122223333", Region: "us-east-1", Partition: "aws", StateFile: file})
	assert.ErrorContains(t, err, "state file")
}

func TestFaultHitsTheNth(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.Inject(engine.Fault{Type: "AWS::EC2::EIP", Operation: "Create", Nth: 2}))
	require.Equal(t, "CREATE_COMPLETE", w.deploy("a", `{"Resources":{"A":{"Type":"AWS::EC2::EIP"}}}`))
	require.Equal(t, "ROLLBACK_COMPLETE", w.deploy("b", `{"Resources":{"A":{"Type":"AWS::EC2::EIP"}}}`))
	require.Equal(t, "CREATE_COMPLETE", w.deploy("c", `{"Resources":{"A":{"Type":"AWS::EC2::EIP"}}}`))
	assert.ErrorContains(t, w.Inject(engine.Fault{Operation: "Destroy"}), "Create, Update or Delete")
	require.NoError(t, w.Inject(engine.Fault{Type: "AWS::EC2::EIP", Operation: "Delete", Message: "in use"}))
	require.NoError(t, w.DeleteStack("a", nil))
	assert.Equal(t, "DELETE_FAILED", w.status("a"))
	assert.Equal(t, "The following resource(s) failed to delete: [A]. ", w.reason("a"))
	require.NoError(t, w.DeleteStack("a", nil))
	assert.Empty(t, w.status("a"))
}

// large is a template of n resources in chains.
func large(n int) string {
	var b strings.Builder
	b.WriteString(`{"Resources":{`)
	for i := range n {
		if i > 0 {
			b.WriteString(",")
		}
		depends := ""
		if i%10 > 0 {
			depends = fmt.Sprintf(`,"DisplayName":{"Fn::Sub":"${T%d.TopicName}"}`, i-1)
		}
		fmt.Fprintf(&b, `"T%d":{"Type":"AWS::SNS::Topic","Properties":{"TopicName":{"Fn::Join":["-",["t","%d"]]}%s}}`, i, i, depends)
	}
	b.WriteString(`}}`)
	return b.String()
}

func TestAHundredResourcesDeployInASecond(t *testing.T) {
	w := newWorld(t, func(o *engine.Options) { o.StateFile = filepath.Join(t.TempDir(), "s.json") })
	start := time.Now()
	require.Equal(t, "CREATE_COMPLETE", w.deploy("big", large(100)))
	assert.Less(t, time.Since(start), time.Second)
}

func BenchmarkDeploy100(b *testing.B) {
	for b.Loop() {
		e, err := engine.New(engine.Options{Account: "111122223333", Region: "us-east-1", Partition: "aws"})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := e.CreateStack(request("big", large(100))); err != nil {
			b.Fatal(err)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	w := newWorld(t, func(o *engine.Options) { o.Delay = time.Millisecond })
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			name := fmt.Sprintf("s%d", i)
			_, err := w.CreateStack(request(name, `{"Resources":{"A":{"Type":"AWS::SNS::Topic"},"B":{"Type":"AWS::SQS::Queue"}}}`))
			assert.NoError(t, err)
			for w.status(name) != "CREATE_COMPLETE" {
				time.Sleep(time.Millisecond)
			}
			assert.NoError(t, w.DeleteStack(name, nil))
		})
	}
	wait.Wait()
	require.NoError(t, w.Close())
	assert.Empty(t, w.ids("AWS::SNS::Topic"))
}
