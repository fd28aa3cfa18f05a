package engine_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/localcfn/engine"
)

func TestBrokenStateFileIsLeftAlone(t *testing.T) {
	const head = `{"version":1,"account":"111122223333","region":"us-east-1"`
	for name, s := range map[string]string{
		"empty": "", "cut off": "{", "null": "null", "other": "{}", "newer": strings.Replace(head, ":1", ":2", 1) + "}", "list": "[]",
		"trailing": head + "} x", "brace": head + "}}", "twice": head + "}" + head + "}",
		"null stack": head + `,"stacks":[null]}`, "stack without ID": head + `,"stacks":[{"name":"a","resources":{}}]}`,
		"no resources":   head + `,"stacks":[{"name":"a","id":"b"}]}`,
		"null resource":  head + `,"stacks":[{"name":"a","id":"b","resources":{"A":null}}]}`,
		"strange type":   head + `,"stacks":[{"name":"a","id":"b","resources":{"A":{"logicalId":"A","type":"AWS::No::Type"}}}]}`,
		"null in memory": head + `,"stacks":[{"name":"a","id":"b","resources":{},"undo":{"resources":{"A":null}}}]}`,
		"null event":     head + `,"stacks":[{"name":"a","id":"b","resources":{},"events":[null]}]}`,
		"null object":    head + `,"cloud":{"objects":[null]}}`, "object of no type": head + `,"cloud":{"objects":[{"id":"x"}]}}`,
		"null file": head + `,"buckets":{"b":{"k":null}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "s.json")
			require.NoError(t, os.WriteFile(file, []byte(s), 0o600))
			_, err := engine.New(engine.Options{Account: "111122223333", Region: "us-east-1", Partition: "aws", StateFile: file})
			require.ErrorContains(t, err, "state file "+file)
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, s, string(b), "it may be all that the user has")
		})
	}
}

// again opens a copy of what the state file holds now, as after the end of the process.
func again(t *testing.T, file string) *world {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	next := filepath.Join(t.TempDir(), "s.json")
	require.NoError(t, os.WriteFile(next, b, 0o600))
	return newWorld(t, func(o *engine.Options) { o.StateFile = next })
}

// statusIn reads a stack's status from the state file.
func statusIn(t *testing.T, file, stack string) string {
	t.Helper()
	var v struct {
		Stacks []struct{ Name, Status string }
	}
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &v))
	status := ""
	for _, s := range v.Stacks {
		if s.Name == stack && s.Status != "DELETE_COMPLETE" {
			status = s.Status
		}
	}
	return status
}

// The process may end at any moment of a deployment: what was under way has
// failed, and the stack can be deleted, or rolled back and updated.
func TestStateInTheMiddle(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.json")
	w := newWorld(t, func(o *engine.Options) { o.StateFile, o.Delay = file, 100*time.Millisecond })
	body := sample(t, "vpc.yaml")
	changed := strings.NewReplacer("GroupDescription: first", "GroupDescription: second", "CidrBlock: 10.0.0.0/16", "CidrBlock: 10.1.0.0/16").Replace(body)
	_, err := w.CreateStack(request("bucket", `{"Resources":{"B":{"Type":"AWS::S3::Bucket","Properties":{"BucketName":"b"}}}}`))
	require.NoError(t, err)
	seen := map[string]bool{}
	// moments runs f on a copy of the state at each moment until the stack is still.
	moments := func(stack, end string, f func(w *world, status string)) {
		t.Helper()
		require.Eventually(t, func() bool {
			// Any call that writes saves what is under way.
			_, err := w.PutObject("b", "k", engine.S3Object{Body: []byte("x")})
			if stack != "bucket" {
				require.NoError(t, err)
			}
			status := statusIn(t, file, stack)
			copied := again(t, file)
			after := copied.status(stack)
			seen[status+" "+after] = true
			if !strings.HasSuffix(status, "_IN_PROGRESS") {
				return status == end
			}
			if f != nil {
				f(copied, after)
			}
			return false
		}, 10*time.Second, time.Millisecond)
	}
	gone := func(w *world) {
		t.Helper()
		require.NoError(t, w.DeleteStack("net", nil))
		require.Empty(t, w.status("net"))
		for _, typ := range []string{"AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::SecurityGroup"} {
			require.Empty(t, w.ids(typ))
		}
	}
	moments("bucket", "CREATE_COMPLETE", nil)
	_, err = w.CreateStack(request("net", body))
	require.NoError(t, err)
	require.Equal(t, "CREATE_IN_PROGRESS", statusIn(t, file, "net"), "what was answered is not forgotten")
	moments("net", "CREATE_COMPLETE", func(w *world, status string) {
		if strings.HasSuffix(status, "COMPLETE") {
			return // it became still in between
		}
		require.Equal(t, "CREATE_FAILED", status)
		gone(w)
	})
	_, err = w.UpdateStack(request("net", changed))
	require.NoError(t, err)
	moments("net", "UPDATE_COMPLETE", func(w *world, status string) {
		if status == "UPDATE_FAILED" {
			_, err := w.Rollback("net", false)
			require.NoError(t, err)
			require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.status("net"))
			require.Equal(t, engine.NoChanges, w.plan(request("net", body)).Reason)
		} else {
			require.Equal(t, "UPDATE_COMPLETE", status)
			require.Equal(t, engine.NoChanges, w.plan(request("net", changed)).Reason)
		}
		for _, typ := range []string{"AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::SecurityGroup"} {
			require.Len(t, w.ids(typ), 1, "no old one is left, and no new one")
		}
		// A later failure goes back to here, not further.
		require.NoError(t, w.Inject(engine.Fault{Type: "AWS::EC2::VPC", Operation: "Create"}))
		vpc := w.ids("AWS::EC2::VPC")
		require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.deploy("net", strings.Replace(body, "10.0.0.0/16", "10.9.0.0/16", 1)))
		require.Equal(t, vpc, w.ids("AWS::EC2::VPC"))
		gone(w)
	})
	require.NoError(t, w.DeleteStack("net", nil))
	moments("net", "", func(w *world, status string) {
		if status == "DELETE_FAILED" {
			gone(w)
		}
	})
	for _, want := range []string{"CREATE_IN_PROGRESS CREATE_FAILED", "UPDATE_IN_PROGRESS UPDATE_FAILED", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS UPDATE_COMPLETE", "DELETE_IN_PROGRESS DELETE_FAILED"} {
		assert.True(t, seen[want], "%s was not met: %v", want, seen)
	}
	require.NoError(t, w.Close())
}

// An import counts from when it is made: the exporter can't be deleted while
// the importer is on its way, nor after the importer's failure without rollback.
func TestImportsCountFromTheStart(t *testing.T) {
	w := newWorld(t)
	w.deploy("owner", sample(t, "exporter.yaml"), "Name", "first")
	r := request("user", sample(t, "importer.yaml")+"  Then: {Type: AWS::SNS::Topic, DependsOn: Queue}\n")
	r.Settings.DisableRollback = true
	require.NoError(t, w.Inject(engine.Fault{Type: "AWS::SNS::Topic", Operation: "Create"}))
	_, err := w.CreateStack(r)
	require.NoError(t, err)
	require.Equal(t, "CREATE_FAILED", w.status("user"))
	require.NoError(t, w.DeleteStack("owner", nil))
	assert.Equal(t, "Export shared-topic cannot be deleted as it is in use by user", w.reason("owner"))

	// The consumer drops its import: the export is free, to be renamed or deleted.
	require.Equal(t, "UPDATE_COMPLETE", w.deploy("user", "Resources: {Queue: {Type: AWS::SQS::Queue}}"))
	_, err = w.Importers("shared-topic")
	require.ErrorContains(t, err, "is not imported by any stack")
	renamed := strings.Replace(sample(t, "exporter.yaml"), "shared-topic", "other-name", 1)
	require.Equal(t, "UPDATE_COMPLETE", w.deploy("owner", renamed, "Name", "first"))

	// A rename of an export in use is its deletion.
	require.Equal(t, "UPDATE_COMPLETE", w.deploy("user", strings.Replace(sample(t, "importer.yaml"), "shared-topic", "other-name", 1)))
	require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.deploy("owner", sample(t, "exporter.yaml"), "Name", "first"))
	assert.Contains(t, strings.Join(w.history("owner"), "\n"), "Export other-name cannot be deleted as it is in use by user")
	// A failed update of the consumer that would have dropped it leaves it in use.
	require.NoError(t, w.Inject(engine.Fault{Type: "AWS::SNS::Topic", Operation: "Create"}))
	require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.deploy("user", "Resources: {Queue: {Type: AWS::SQS::Queue}, T: {Type: AWS::SNS::Topic}}"))
	users, err := w.Importers("other-name")
	require.NoError(t, err)
	assert.Equal(t, []string{"user"}, users)
}

// Conditions of outputs and exports.
func TestConditionalExport(t *testing.T) {
	body := `
Parameters: {On: {Type: String}}
Conditions: {C: !Equals [!Ref On, 'yes']}
Resources:
  A: {Type: AWS::SNS::Topic, Properties: {DisplayName: !If [C, 'on', !Ref "AWS::NoValue"]}}
  B: {Type: AWS::SNS::Topic, Condition: C}
Outputs:
  A: {Value: !Ref A}
  B: {Condition: C, Value: !Ref B, Export: {Name: b}}
`
	w := newWorld(t)
	w.deploy("s", body, "On", "yes")
	a, b := w.output("s", "A"), w.output("s", "B")
	assert.NotEmpty(t, b)
	w.deploy("user", "Resources: {A: {Type: AWS::SNS::Topic, Properties: {DisplayName: !ImportValue b}}}")
	require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.deploy("s", body, "On", "no"))
	assert.Equal(t, b, w.output("s", "B"))
	require.NoError(t, w.DeleteStack("user", nil))
	c := w.plan(request("s", body, "On", "no"))
	require.Len(t, c.Changes, 2)
	assert.Equal(t, "Modify", c.Changes[0].Action)
	assert.Equal(t, "Remove", c.Changes[1].Action)
	require.Equal(t, "UPDATE_COMPLETE", w.deploy("s", body, "On", "no"))
	assert.Empty(t, w.output("s", "B"))
	assert.NotContains(t, w.model("AWS::SNS::Topic", a), "DisplayName", "AWS::NoValue takes the property away")
	assert.Equal(t, []string{a}, w.ids("AWS::SNS::Topic"))
	require.Equal(t, "UPDATE_COMPLETE", w.deploy("s", body, "On", "yes"))
	assert.NotEmpty(t, w.output("s", "B"))
}
