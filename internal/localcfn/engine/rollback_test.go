package engine_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/localcfn/engine"
)

// cloudAndStacks reads a state file and leaves out what tells of time: events,
// statuses and their reasons.
func cloudAndStacks(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	var v map[string]any
	require.NoError(t, json.Unmarshal(b, &v))
	delete(v, "serial")
	delete(v["cloud"].(map[string]any), "serial")
	for _, x := range v["stacks"].([]any) {
		s := x.(map[string]any)
		for _, k := range []string{"events", "updated", "operation", "status", "reason", "changeSetId"} {
			delete(s, k)
		}
		for _, r := range s["resources"].(map[string]any) {
			for _, k := range []string{"time", "status", "reason"} {
				delete(r.(map[string]any), k)
			}
		}
	}
	out, err := json.MarshalIndent(v, "", " ")
	require.NoError(t, err)
	return string(out)
}

// of lists "logical ID" of the events that end in status since the last event
// of the stack that ends in from.
func (w *world) of(stack, from, status string) []string {
	w.t.Helper()
	var out []string
	seen := false
	for _, x := range w.history(stack) {
		f := strings.Fields(x)
		switch {
		case f[0] == stack && f[1] == from:
			seen, out = true, nil
		case seen && f[0] != stack && f[1] == status:
			out = append(out, f[0])
		}
	}
	return out
}

// An update that adds, removes, replaces and changes: resources, tags,
// parameters, outputs, exports, policies, metadata.
const (
	wide = `
Parameters: {P: {Type: String, Default: one}, Q: {Type: String, NoEcho: true, Default: s}}
Conditions: {C: !Equals [!Ref P, one]}
Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16, Tags: [{Key: p, Value: !Ref P}]}}
  Group: {Type: AWS::EC2::SecurityGroup, DeletionPolicy: Retain, Metadata: {a: b}, Properties: {GroupDescription: !Ref P, VpcId: !Ref Vpc}}
  Profile: {Type: AWS::IAM::InstanceProfile, Properties: {Roles: [x]}}
  Gone: {Type: AWS::SNS::Topic, Properties: {DisplayName: !Ref Group}}
  Off: {Type: AWS::SNS::Topic, Condition: C}
  Policy: {Type: AWS::SNS::TopicPolicy, Properties: {Topics: [!Ref Gone], PolicyDocument: {a: !Ref P}}}
  Last: {Type: AWS::SQS::Queue, DependsOn: [Policy, Profile]}
Outputs:
  G: {Value: !Ref Group, Export: {Name: g}}
  V: {Value: !Ref Vpc}
`
	wideAfter = `
Parameters: {P: {Type: String, Default: two}, R: {Type: String, Default: r}}
Conditions: {C: !Equals [!Ref P, one]}
Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.1.0.0/16, Tags: [{Key: p, Value: !Ref P}]}}
  Group: {Type: AWS::EC2::SecurityGroup, UpdateReplacePolicy: Retain, Metadata: {a: c}, Properties: {GroupDescription: !Ref P, VpcId: !Ref Vpc}}
  Profile: {Type: AWS::IAM::InstanceProfile, Properties: {Roles: [y]}}
  Off: {Type: AWS::SNS::Topic, Condition: C}
  Policy: {Type: AWS::SNS::TopicPolicy, Properties: {Topics: [x], PolicyDocument: {a: !Ref P}}}
  New: {Type: AWS::SNS::Topic, Properties: {DisplayName: !Ref Group}}
  Last: {Type: AWS::SQS::Queue, DependsOn: [Policy, Profile, New], Properties: {DelaySeconds: 5}}
Outputs:
  G: {Value: !Ref Group, Export: {Name: g2}}
  V: {Value: !Ref Vpc, Export: {Name: v}}
`
)

func (w *world) tagged(stack, body string, tags ...string) string {
	w.t.Helper()
	r := request(stack, body)
	r.TagsGiven = true
	for i, v := range tags {
		r.Tags = append(r.Tags, engine.Tag{Key: fmt.Sprint("k", i), Value: v})
	}
	c := w.plan(r)
	require.Equal(w.t, "CREATE_COMPLETE", c.Status, c.Reason)
	require.NoError(w.t, w.ExecuteChangeSet(stack, "plan", engine.Execution{}))
	return w.status(stack)
}

// Whatever an update does, and wherever it fails, the rollback leaves the
// account as it was.
func TestRollbackLeavesNothing(t *testing.T) {
	for _, f := range []engine.Fault{
		{Type: "AWS::EC2::VPC", Operation: "Create"},
		{Type: "AWS::EC2::SecurityGroup", Operation: "Create"},
		{Type: "AWS::IAM::InstanceProfile", Operation: "Update"},
		{Type: "AWS::SNS::Topic", Operation: "Create"},
		{Type: "AWS::SNS::TopicPolicy", Operation: "Update"},
		{Type: "AWS::SQS::Queue", Operation: "Update"},
	} {
		t.Run(f.Type+" "+f.Operation, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "s.json")
			w := newWorld(t, func(o *engine.Options) { o.StateFile = file })
			require.Equal(t, "CREATE_COMPLETE", w.tagged("s", wide, "0"))
			require.Equal(t, "UPDATE_COMPLETE", w.tagged("s", wide, "1"))
			before := cloudAndStacks(t, file)
			require.NoError(t, w.Inject(f))
			require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.tagged("s", wideAfter, "2", "3"))
			assert.Equal(t, before, cloudAndStacks(t, file))
			// And the same update goes through afterwards.
			require.Equal(t, "UPDATE_COMPLETE", w.tagged("s", wideAfter, "2", "3"))
			require.NoError(t, w.DeleteStack("s", nil))
			assert.Empty(t, w.ids("AWS::EC2::VPC"))
			assert.Len(t, w.ids("AWS::EC2::SecurityGroup"), 1, "UpdateReplacePolicy kept the first")
		})
	}
	// Where the fault lies in the outputs, all resources have been updated.
	file := filepath.Join(t.TempDir(), "s.json")
	w := newWorld(t, func(o *engine.Options) { o.StateFile = file })
	w.tagged("s", wide, "0")
	w.deploy("user", "Resources: {A: {Type: AWS::SNS::Topic, Properties: {DisplayName: !ImportValue g}}}")
	before := cloudAndStacks(t, file)
	require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.tagged("s", wideAfter, "2"))
	assert.Contains(t, strings.Join(w.history("s"), "\n"), "Export g cannot be deleted as it is in use by user")
	assert.Equal(t, before, cloudAndStacks(t, file))
}

// "CloudFormation ... first creates a new resource, ... and then deletes the
// old one", and deletes in the reverse order of dependencies.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-update-behaviors.html
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-dependson.html
func TestOldOnesGoLastAndInOrder(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, "CREATE_COMPLETE", w.deploy("s", wide))
	require.Equal(t, "UPDATE_COMPLETE", w.deploy("s", strings.Replace(wideAfter, "UpdateReplacePolicy: Retain, ", "", 1)))
	gone := w.of("s", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "DELETE_COMPLETE")
	assert.ElementsMatch(t, []string{"Gone", "Group", "Off", "Vpc"}, gone)
	assert.Less(t, slices.Index(gone, "Gone"), slices.Index(gone, "Group"), "a removed one that used a replaced one: %s", gone)
	assert.Less(t, slices.Index(gone, "Group"), slices.Index(gone, "Vpc"), "a replaced one that used another: %s", gone)
	h := w.history("s")
	cleanup := slices.Index(h, "s UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
	for i, x := range h {
		if strings.Contains(x, " DELETE_") {
			assert.Greater(t, i, cleanup, "nothing is deleted before all is updated: %s", x)
		}
	}

	// So in a rollback: what was added and the new halves, dependents first.
	w = newWorld(t)
	w.deploy("s", wide)
	require.NoError(t, w.Inject(engine.Fault{Type: "AWS::SQS::Queue", Operation: "Update"}))
	require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.deploy("s", wideAfter))
	assert.Equal(t, []string{"New", "Group", "Vpc"}, w.of("s", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "DELETE_COMPLETE"))
}

// "CloudFormation makes three attempts at deleting the old resource. If
// CloudFormation can't delete the old resource, it removes the old resource
// from the stack and continues updating the stack. When the stack update is
// complete, CloudFormation issues an UPDATE_COMPLETE stack event, but includes a
// StatusReason that states that one or more resources couldn't be deleted.
// CloudFormation also issues a DELETE_FAILED event for the specific resource."
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-monitor-stack.html
func TestCleanupTriesThreeTimesAndNeverFails(t *testing.T) {
	body := sample(t, "vpc.yaml")
	changed := strings.Replace(body, "GroupDescription: first", "GroupDescription: second", 1)
	const reason = "Update successful. One or more resources could not be deleted."

	w := newWorld(t)
	w.deploy("net", body)
	old := w.resource("net", "Group").Ref
	require.NoError(t, w.Inject(engine.Fault{Type: "AWS::EC2::SecurityGroup", Operation: "Delete", Every: true, Message: "in use"}))
	require.Equal(t, "UPDATE_COMPLETE", w.deploy("net", changed))
	assert.Equal(t, reason, w.reason("net"))
	assert.Equal(t, []string{"Group", "Group", "Group"}, w.of("net", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "DELETE_FAILED"))
	assert.Equal(t, []string{old, w.resource("net", "Group").Ref}, w.ids("AWS::EC2::SecurityGroup"))
	w.ClearFaults()
	require.NoError(t, w.DeleteStack("net", nil))
	assert.Equal(t, []string{old}, w.ids("AWS::EC2::SecurityGroup"), "it isn't the stack's any more")

	w = newWorld(t)
	w.deploy("net", body)
	require.NoError(t, w.Inject(engine.Fault{Type: "AWS::EC2::SecurityGroup", Operation: "Delete"}))
	require.Equal(t, "UPDATE_COMPLETE", w.deploy("net", changed))
	assert.Empty(t, w.reason("net"), "the second attempt did it")
	assert.Len(t, w.ids("AWS::EC2::SecurityGroup"), 1)

	// In a rollback's cleanup, too.
	require.NoError(t, w.Inject(engine.Fault{Type: "AWS::EC2::Subnet", Operation: "Update"}))
	require.NoError(t, w.Inject(engine.Fault{Type: "AWS::EC2::SecurityGroup", Operation: "Delete", Every: true}))
	require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.deploy("net", strings.Replace(body, "MapPublicIpOnLaunch: false", "MapPublicIpOnLaunch: true", 1)))
	assert.Equal(t, reason, w.reason("net"))
}

// Without rollback, each failed update may leave a half of a replacement: they
// go with the next update that succeeds, with a rollback, or with the stack.
func TestHalvesOfReplacementsAreNotForgotten(t *testing.T) {
	body := sample(t, "vpc.yaml")
	changed := func(i int) string {
		out := strings.Replace(body, "GroupDescription: first", fmt.Sprintf("GroupDescription: number %d", i), 1)
		return strings.Replace(out, "MapPublicIpOnLaunch: false", "MapPublicIpOnLaunch: true", 1)
	}
	stuck := func(t *testing.T) *world {
		t.Helper()
		w := newWorld(t)
		w.deploy("net", body)
		on := true
		require.NoError(t, w.Inject(engine.Fault{Type: "AWS::EC2::Subnet", Operation: "Update", Every: true}))
		for i := range 2 {
			w.plan(request("net", changed(i)))
			require.NoError(t, w.ExecuteChangeSet("net", "plan", engine.Execution{DisableRollback: &on}))
			require.Equal(t, "UPDATE_FAILED", w.status("net"))
		}
		w.ClearFaults()
		require.Len(t, w.ids("AWS::EC2::SecurityGroup"), 3)
		return w
	}
	t.Run("update", func(t *testing.T) {
		w := stuck(t)
		require.Equal(t, "UPDATE_COMPLETE", w.deploy("net", changed(1)))
		assert.Equal(t, []string{w.resource("net", "Group").Ref}, w.ids("AWS::EC2::SecurityGroup"))
	})
	t.Run("update, retained", func(t *testing.T) {
		w := stuck(t)
		require.Equal(t, "UPDATE_COMPLETE", w.deploy("net", strings.Replace(changed(1), "  Group:\n", "  Group:\n    UpdateReplacePolicy: Retain\n", 1)))
		assert.Len(t, w.ids("AWS::EC2::SecurityGroup"), 2, "the one that was whole once stays")
	})
	t.Run("rollback", func(t *testing.T) {
		w := stuck(t)
		_, err := w.Rollback("net", false)
		require.NoError(t, err)
		require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.status("net"))
		assert.Equal(t, []string{w.resource("net", "Group").Ref}, w.ids("AWS::EC2::SecurityGroup"))
		assert.Equal(t, "first", w.model("AWS::EC2::SecurityGroup", w.resource("net", "Group").Ref)["GroupDescription"])
	})
	t.Run("deletion", func(t *testing.T) {
		w := stuck(t)
		id := w.resource("net", "Vpc").Ref
		var stack string
		require.NoError(t, w.View("net", func(s *engine.Stack) error { stack = s.ID; return nil }))
		require.NoError(t, w.DeleteStack("net", nil))
		assert.Empty(t, w.ids("AWS::EC2::SecurityGroup"))
		assert.NotContains(t, w.ids("AWS::EC2::VPC"), id)
		h := w.history(stack)
		assert.Equal(t, []string{"Vpc DELETE_COMPLETE", "net DELETE_COMPLETE"}, h[len(h)-2:], "all three groups went before their VPC")
	})
}

// A rollback whose Nth deletion fails can be deleted again, and then leaves nothing.
func TestRollbackOfACreateWhoseDeletionFails(t *testing.T) {
	body := sample(t, "vpc.yaml")
	for _, stays := range []string{"AWS::EC2::VPC", "AWS::EC2::SecurityGroup"} {
		w := newWorld(t)
		require.NoError(t, w.Inject(engine.Fault{Type: "AWS::EC2::Subnet", Operation: "Create"}))
		require.NoError(t, w.Inject(engine.Fault{Type: stays, Operation: "Delete", Message: "in use"}))
		require.Equal(t, "ROLLBACK_FAILED", w.deploy("net", body))
		assert.Len(t, w.ids("AWS::EC2::VPC"), 1, "what a member that stays needs stays, too")
		_, err := w.UpdateStack(request("net", body))
		require.ErrorContains(t, err, "is in ROLLBACK_FAILED state and can not be updated.")
		require.NoError(t, w.DeleteStack("net", nil))
		assert.Empty(t, w.status("net"))
		assert.Empty(t, w.ids("AWS::EC2::VPC"))
		assert.Empty(t, w.ids("AWS::EC2::SecurityGroup"))
	}
}

// "RetainExceptOnCreate behaves like Retain except for the stack operation that
// initially creates the resource. If the stack operation that created the
// resource is rolled back, CloudFormation deletes the resource. For all other
// stack operations, such as stack deletion, CloudFormation retains the resource."
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html
func TestRetainExceptOnCreate(t *testing.T) {
	body := sample(t, "deletion-policies.yaml")
	const before = "Resources: {Deleted: {Type: AWS::SQS::Queue}}"

	// Created by an update that is rolled back.
	w := newWorld(t)
	w.deploy("s", before)
	require.NoError(t, w.Inject(engine.Fault{Type: "AWS::SQS::Queue", Operation: "Update"}))
	require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.deploy("s", body+"    Properties: {DelaySeconds: 5}\n"))
	h := strings.Join(w.history("s"), "\n")
	assert.Contains(t, h, "RetainedLater DELETE_COMPLETE")
	assert.Contains(t, h, "\nRetained DELETE_SKIPPED")
	assert.Len(t, w.ids("AWS::SNS::Topic"), 1)

	// Removed by an update, and an update that is rolled back later.
	w = newWorld(t)
	w.deploy("s", body)
	require.NoError(t, w.Inject(engine.Fault{Type: "AWS::SQS::Queue", Operation: "Update"}))
	require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.deploy("s", body+"    Properties: {DelaySeconds: 5}\n"))
	assert.Len(t, w.ids("AWS::SNS::Topic"), 2, "this operation didn't create them")
	require.Equal(t, "UPDATE_COMPLETE", w.deploy("s", before))
	assert.Contains(t, strings.Join(w.history("s"), "\n"), "RetainedLater DELETE_SKIPPED")
	assert.Len(t, w.ids("AWS::SNS::Topic"), 2)
}

// RetainExceptOnCreate of a call: "When set to true, newly created resources are
// deleted when the operation rolls back. This includes newly created resources
// marked with a deletion policy of Retain." cdk rollback asks for it.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ExecuteChangeSet.html
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_RollbackStack.html
func TestRetainExceptOnCreateOfACall(t *testing.T) {
	body := sample(t, "deletion-policies.yaml")
	yes := true
	queueFails := engine.Fault{Type: "AWS::SQS::Queue", Operation: "Create"}

	w := newWorld(t)
	require.NoError(t, w.Inject(queueFails))
	w.plan(request("s", body))
	require.NoError(t, w.ExecuteChangeSet("s", "plan", engine.Execution{RetainExceptOnCreate: true}))
	require.Equal(t, "ROLLBACK_COMPLETE", w.status("s"))
	assert.Empty(t, w.ids("AWS::SNS::Topic"))

	w = newWorld(t)
	require.NoError(t, w.Inject(queueFails))
	w.plan(request("s", body))
	require.NoError(t, w.ExecuteChangeSet("s", "plan", engine.Execution{DisableRollback: &yes}))
	_, err := w.Rollback("s", true)
	require.NoError(t, err)
	require.Equal(t, "ROLLBACK_COMPLETE", w.status("s"))
	assert.Empty(t, w.ids("AWS::SNS::Topic"))

	w = newWorld(t)
	w.deploy("s", "Resources: {A: {Type: AWS::SNS::Topic, DeletionPolicy: Retain}}")
	require.NoError(t, w.Inject(queueFails))
	r := request("s", body+"  A: {Type: AWS::SNS::Topic, DeletionPolicy: Retain}\n")
	r.Settings.RetainExceptOnCreate = true
	_, err = w.UpdateStack(r)
	require.NoError(t, err)
	require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.status("s"))
	assert.Equal(t, []string{w.resource("s", "A").Ref}, w.ids("AWS::SNS::Topic"), "that one is older")
	require.NoError(t, w.DeleteStack("s", nil))
	assert.Len(t, w.ids("AWS::SNS::Topic"), 1, "and stays")
}

// "UpdateReplacePolicy ... retains ... the existing physical instance of a
// resource when it's replaced during a stack update operation"; DeletionPolicy
// doesn't count there, nor UpdateReplacePolicy at a deletion.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-updatereplacepolicy.html
func TestEachPolicyForItsOwn(t *testing.T) {
	for policy, left := range map[string][2]int{
		"DeletionPolicy": {1, 1}, "UpdateReplacePolicy": {2, 1}, "None": {1, 0},
	} {
		body := strings.Replace(sample(t, "vpc.yaml"), "  Group:\n", "  Group:\n    "+policy+": Retain\n", 1)
		body = strings.Replace(body, "    None: Retain\n", "", 1)
		w := newWorld(t)
		w.deploy("net", body)
		require.Equal(t, "UPDATE_COMPLETE", w.deploy("net", strings.Replace(body, "GroupDescription: first", "GroupDescription: second", 1)))
		assert.Len(t, w.ids("AWS::EC2::SecurityGroup"), left[0], policy)
		require.NoError(t, w.DeleteStack("net", nil))
		assert.Len(t, w.ids("AWS::EC2::SecurityGroup"), left[1], policy)
	}
}
