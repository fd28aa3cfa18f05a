package engine_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/localcfn/engine"
)

const (
	oneTopic    = `{"Resources":{"A":{"Type":"AWS::SNS::Topic"}}}`
	namedTopic  = `{"Resources":{"A":{"Type":"AWS::SNS::Topic","Properties":{"DisplayName":"x"}}}}`
	protectPage = "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-protect-stacks.html"
)

// A call that is answered has begun: the next one meets a busy stack.
func TestOneOperationAtATime(t *testing.T) {
	w := newWorld(t, func(o *engine.Options) { o.Delay = 25 * time.Millisecond }) // longer than a busy machine keeps a call waiting
	settled := func(name, want string) {
		t.Helper()
		require.Eventually(t, func() bool { return w.status(name) == want }, 5*time.Second, time.Millisecond)
	}
	for i := range 30 {
		name := fmt.Sprintf("s%d", i)
		_, err := w.CreateStack(request(name, oneTopic))
		require.NoError(t, err)
		require.Equal(t, "CREATE_IN_PROGRESS", w.status(name))
		_, err = w.CreateStack(request(name, oneTopic))
		require.ErrorContains(t, err, "AlreadyExistsException")
		require.EqualError(t, w.DeleteStack(name, nil), "ValidationError: Stack ["+name+"] cannot be deleted while in status CREATE_IN_PROGRESS")
		settled(name, "CREATE_COMPLETE")

		_, err = w.UpdateStack(request(name, namedTopic))
		require.NoError(t, err)
		require.Equal(t, "UPDATE_IN_PROGRESS", w.status(name))
		_, err = w.UpdateStack(request(name, oneTopic))
		require.ErrorContains(t, err, "is in UPDATE_IN_PROGRESS state and can not be updated.")
		r := request(name, oneTopic)
		r.ChangeSetName = "c"
		_, _, err = w.CreateChangeSet(r)
		require.ErrorContains(t, err, "is in UPDATE_IN_PROGRESS state and can not be updated.")
		settled(name, "UPDATE_COMPLETE")

		require.NoError(t, w.DeleteStack(name, nil))
		require.Equal(t, "DELETE_IN_PROGRESS", w.status(name))
		require.NoError(t, w.DeleteStack(name, nil), "it is being deleted already")
		_, err = w.Protect(name, true)
		require.ErrorContains(t, err, "is in DELETE_IN_PROGRESS state", protectPage)
		settled(name, "")
	}
	require.NoError(t, w.Close())
}

// Of two who execute at once one wins, and two stacks don't mind each other.
func TestTwoDeployAtOnce(t *testing.T) {
	w := newWorld(t, func(o *engine.Options) { o.Delay = time.Millisecond })
	body := sample(t, "vpc.yaml")
	for _, name := range []string{"one", "two"} {
		w.plan(request(name, body))
	}
	var wait sync.WaitGroup
	results := make(chan error, 4)
	for _, name := range []string{"one", "two", "one", "two"} {
		wait.Go(func() { results <- w.ExecuteChangeSet(name, "plan", engine.Execution{}) })
	}
	wait.Wait()
	close(results)
	refused := 0
	for err := range results {
		if err != nil {
			refused++
		}
	}
	assert.Equal(t, 2, refused)
	for _, name := range []string{"one", "two"} {
		require.Eventually(t, func() bool { return w.status(name) == "CREATE_COMPLETE" }, 5*time.Second, time.Millisecond)
	}
	assert.Len(t, w.ids("AWS::EC2::VPC"), 2)
	assert.Len(t, w.ids("AWS::EC2::Subnet"), 2)
}

func TestAChangeSetMeetsAnotherState(t *testing.T) {
	w := newWorld(t)
	w.deploy("a", oneTopic)
	w.plan(request("a", namedTopic))
	require.NoError(t, w.Inject(engine.Fault{Operation: "Delete"}))
	require.NoError(t, w.DeleteStack("a", nil))
	require.Equal(t, "DELETE_FAILED", w.status("a"))
	assert.ErrorContains(t, w.ExecuteChangeSet("a", "plan", engine.Execution{}), "is in DELETE_FAILED state and can not be updated.")
	assert.ErrorContains(t, w.ContinueUpdateRollback("a", nil), "is in DELETE_FAILED state")
	_, err := w.Rollback("a", false)
	assert.ErrorContains(t, err, "RollbackStack cannot be called in a DELETE_FAILED state.")
	assert.ErrorContains(t, w.DeleteStack("a", []string{"Nope"}), "do not exist")
	require.NoError(t, w.DeleteStack("a", nil))
	assert.Empty(t, w.status("a"))

	// RetainResources is for stacks in DELETE_FAILED only.
	// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DeleteStack.html
	w.deploy("b", oneTopic)
	assert.ErrorContains(t, w.DeleteStack("b", []string{"A"}), "only when the stack is in the DELETE_FAILED state")
}

// Both kinds of change set for a stack whose creation was rolled back.
func TestNoChangeSetInRollbackComplete(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.Inject(engine.Fault{Operation: "Create"}))
	require.Equal(t, "ROLLBACK_COMPLETE", w.deploy("a", oneTopic))
	for kind, want := range map[string]string{
		"UPDATE": "is in ROLLBACK_COMPLETE state and can not be updated.",
		"CREATE": "Stack [a] already exists and cannot be created again with the changeSet [c].",
	} {
		r := request("a", oneTopic)
		r.ChangeSetName, r.ChangeSetType = "c", kind
		_, _, err := w.CreateChangeSet(r)
		assert.ErrorContains(t, err, want)
	}
}

// "If a user attempts to delete a stack with termination protection enabled,
// the deletion fails and the stack, including its status, remains unchanged."
// It concerns the deletion of the stack only: updates may remove and replace,
// and a failed create is rolled back. See protectPage.
func TestWhatTerminationProtectionIsFor(t *testing.T) {
	w := newWorld(t)
	r := request("a", `{"Resources":{"A":{"Type":"AWS::SNS::Topic"},"B":{"Type":"AWS::SNS::Topic"}}}`)
	r.Protect = true
	id, err := w.CreateStack(r)
	require.NoError(t, err)
	before := w.history("a")
	require.ErrorContains(t, w.DeleteStack("a", nil), "TerminationProtection is enabled")
	require.ErrorContains(t, w.DeleteStack(id, nil), "TerminationProtection is enabled", "by its ID, too")
	assert.Equal(t, before, w.history("a"))
	require.Equal(t, "UPDATE_COMPLETE", w.deploy("a", oneTopic))
	assert.Len(t, w.ids("AWS::SNS::Topic"), 1)

	require.NoError(t, w.Inject(engine.Fault{Operation: "Create"}))
	r = request("b", oneTopic)
	r.Protect = true
	_, err = w.CreateStack(r)
	require.NoError(t, err)
	assert.Equal(t, "ROLLBACK_COMPLETE", w.status("b"))
	assert.ErrorContains(t, w.DeleteStack("b", nil), "TerminationProtection is enabled")

	_, err = w.Protect("a", false)
	require.NoError(t, err)
	require.NoError(t, w.DeleteStack("a", nil))
	_, err = w.Protect(id, true)
	assert.ErrorContains(t, err, "is in DELETE_COMPLETE state")
}

// "You can specify only resources that are in the UPDATE_FAILED state because a
// rollback failed ... CloudFormation sets the status of the specified resources
// to UPDATE_COMPLETE and continues to roll back the stack."
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ContinueUpdateRollback.html
func TestWhatARollbackMaySkip(t *testing.T) {
	w := newWorld(t)
	body := sample(t, "launch-template.yaml")
	w.deploy("lt", body, "Size", "t4g.nano")
	require.NoError(t, w.Inject(engine.Fault{Type: "AWS::AutoScaling::AutoScalingGroup", Operation: "Update", Every: true}))
	require.Equal(t, "UPDATE_ROLLBACK_FAILED", w.deploy("lt", body, "Size", "t4g.micro"))
	assert.ErrorContains(t, w.ContinueUpdateRollback("lt", []string{"Template"}), "Resource Template can't be skipped")
	assert.ErrorContains(t, w.ContinueUpdateRollback("lt", []string{"Nope"}), "Resource Nope can't be skipped")
	assert.ErrorContains(t, w.DeleteStack("lt", []string{"Group"}), "RetainResources")
	require.NoError(t, w.ContinueUpdateRollback("lt", []string{"Group"}))
	assert.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.status("lt"))
	assert.Equal(t, "UPDATE_COMPLETE", w.resource("lt", "Group").Status)
	template := w.model("AWS::EC2::LaunchTemplate", w.resource("lt", "Template").Ref)
	assert.Equal(t, "t4g.nano", template["LaunchTemplateData"].(map[string]any)["InstanceType"])
}
