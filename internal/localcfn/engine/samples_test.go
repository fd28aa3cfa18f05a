package engine_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/localcfn/engine"
)

// members gives the stack's physical IDs.
func (w *world) members(stack string) map[string]string {
	w.t.Helper()
	out := map[string]string{}
	require.NoError(w.t, w.View(stack, func(s *engine.Stack) error {
		for id, r := range s.Resources {
			out[id] = r.Ref + " " + r.ObjectID
		}
		return nil
	}))
	return out
}

// The samples are written after AWS's documentation, and what happens to each
// resource after "Update requires" on its type's page in the template reference:
// "No interruption" and "Some interruptions" keep the physical ID, "Replacement"
// doesn't.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-update-behaviors.html
func TestSamples(t *testing.T) {
	for _, c := range []struct {
		sample, what      string
		first, second     []string // parameters
		replaced, inPlace []string
		added, removed    []string
		fails             string
	}{
		{sample: "public-subnet", what: "a subnet's public addresses: no interruption", second: []string{"Public", "false"}, inPlace: []string{"SubnetA"}},
		{sample: "public-subnet", what: "a route's destination: replacement", second: []string{"Default", "198.51.100.0/24"}, replaced: []string{"Route"}},
		{
			sample: "public-subnet", what: "a VPC's block: replacement, and all that lies in it", second: []string{"Block", "10.1.0.0/16"},
			replaced: []string{"Vpc", "Attachment", "SubnetA", "SubnetB", "Table", "Route", "Association", "Nat"},
		},
		{sample: "rolling-group", what: "an instance type: a new version of the same template", second: []string{"Size", "t3.small"}, inPlace: []string{"Template", "Servers"}},
		{sample: "rolling-group", what: "the group's maximum: no interruption", second: []string{"Most", "6"}, inPlace: []string{"Servers"}},
		{sample: "rolling-group", what: "a launch template's name: replacement; the group's LaunchTemplate: no replacement", second: []string{"Group", "api"}, replaced: []string{"Template"}, inPlace: []string{"Servers"}},
		{sample: "rolling-group", what: "MinInstancesInService must stay below MaxSize", second: []string{"Most", "1"}, fails: "MinInstancesInService must be less than the autoscaling group's MaxSize"},
		{sample: "database", what: "the class: some interruptions", second: []string{"Class", "db.t3.small"}, inPlace: []string{"Database"}},
		{sample: "database", what: "the password: no interruption", second: []string{"Password", "battery-staple"}, inPlace: []string{"Database"}},
		{sample: "database", what: "the identifier: replacement; an alarm's dimensions: no interruption", second: []string{"Identifier", "orders2"}, replaced: []string{"Database"}, inPlace: []string{"Alarm"}},
		{sample: "database", what: "the user: replacement, which the identifier forbids", second: []string{"User", "root"}, fails: "Rename orders and update the stack again."},
		{sample: "database", what: "encryption: replacement", second: []string{"Encrypted", "true", "Identifier", "orders2"}, replaced: []string{"Database"}, inPlace: []string{"Alarm"}},
		{sample: "table", what: "the key schema: replacement", second: []string{"Key", "Artist"}, replaced: []string{"Table"}},
		{sample: "table", what: "the key schema of a table with a name", first: []string{"Name", "music"}, second: []string{"Name", "music", "Key", "Artist"}, fails: "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename music and update the stack again."},
		{sample: "table", what: "the billing mode: no interruption", second: []string{"Mode", "PROVISIONED"}, inPlace: []string{"Table"}},
		{sample: "table", what: "the name: replacement", second: []string{"Name", "music"}, replaced: []string{"Table"}},
		{sample: "function", what: "the code: no interruption", second: []string{"Answer", "43"}, inPlace: []string{"Function"}},
		{sample: "function", what: "the name: replacement, and the permission's", second: []string{"Name", "second"}, replaced: []string{"Function", "Permission"}},
		{sample: "function", what: "a permission's principal: replacement", second: []string{"Caller", "sns.amazonaws.com"}, replaced: []string{"Permission"}},
		{sample: "notifications", what: "the bucket's name: replacement; a topic policy's document: no interruption", second: []string{"Bucket", "uploads-2"}, replaced: []string{"Uploads"}, inPlace: []string{"TopicPolicy"}},
		{sample: "rules", what: "the source: in line with its group, a rule of its own is replaced", second: []string{"From", "192.0.2.0/24"}, inPlace: []string{"Inline"}, replaced: []string{"Rule"}},
		{sample: "rules", what: "the description: no interruption for both", second: []string{"Why", "home"}, inPlace: []string{"Inline", "Rule"}},
		{sample: "rules", what: "the group's name: replacement; so GroupId's and SourceSecurityGroupId's", second: []string{"Name", "api"}, replaced: []string{"Separate", "Rule", "Mutual"}},
		{sample: "document", what: "the content: the document is replaced", second: []string{"Limit", "9"}, replaced: []string{"Document"}, inPlace: []string{"Association"}},
		{sample: "document", what: "the content of a document with a name", first: []string{"Name", "shell"}, second: []string{"Name", "shell", "Limit", "9"}, fails: "Rename shell and update the stack again."},
		{sample: "document", what: "the content by a new version", first: []string{"Method", "NewVersion", "Name", "shell"}, second: []string{"Method", "NewVersion", "Name", "shell", "Limit", "9"}, inPlace: []string{"Document"}},
		{sample: "network-stack", what: "no change of what is equal", second: []string{"Block", "10.0.0.0/16"}},
		{sample: "environments", what: "another environment", second: []string{"Environment", "staging"}, inPlace: []string{"Server"}, added: []string{"Volume", "Mount"}},
		{sample: "environments", what: "and back", first: []string{"Environment", "prod"}, second: nil, inPlace: []string{"Server"}, removed: []string{"Volume", "Mount"}},
		{sample: "environments", what: "the size of a volume: no interruption", first: []string{"Environment", "prod"}, second: []string{"Environment", "staging"}, inPlace: []string{"Server", "Volume"}},
	} {
		t.Run(c.sample+": "+c.what, func(t *testing.T) {
			w := newWorld(t)
			body := sample(t, filepath.Join("samples", c.sample+".yaml"))
			require.Equal(t, "CREATE_COMPLETE", w.deploy("s", body, c.first...))
			before := w.members("s")
			p := w.plan(request("s", body, c.second...))
			if len(c.replaced)+len(c.inPlace)+len(c.added)+len(c.removed) == 0 && c.fails == "" {
				assert.Equal(t, engine.NoChanges, p.Reason)
				return
			}
			require.Equal(t, "CREATE_COMPLETE", p.Status, p.Reason)
			for _, x := range p.Changes {
				switch {
				case c.fails != "":
				case x.Action == "Add":
					assert.Contains(t, c.added, x.LogicalID)
				case x.Action == "Remove":
					assert.Contains(t, c.removed, x.LogicalID)
				case x.Replacement == "True":
					assert.Contains(t, c.replaced, x.LogicalID)
				case slices.Contains(c.replaced, x.LogicalID):
					assert.Equal(t, "Conditional", x.Replacement, x.LogicalID)
				default: // a change that is only known then may turn out to be none
					assert.True(t, slices.Contains(c.inPlace, x.LogicalID) || x.Details[0].Evaluation == "Dynamic", "%s", x.LogicalID)
				}
			}
			require.NoError(t, w.ExecuteChangeSet("s", "plan", engine.Execution{}))
			if c.fails != "" {
				require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.status("s"))
				assert.Contains(t, strings.Join(w.history("s"), "\n"), c.fails)
				assert.Equal(t, before, w.members("s"))
				return
			}
			require.Equal(t, "UPDATE_COMPLETE", w.status("s"), strings.Join(w.history("s"), "\n"))
			after := w.members("s")
			var replaced, added, removed []string
			for id := range after {
				if before[id] == "" {
					added = append(added, id)
				} else if before[id] != after[id] {
					replaced = append(replaced, id)
				}
			}
			for id := range before {
				if after[id] == "" {
					removed = append(removed, id)
				}
			}
			assert.ElementsMatch(t, c.replaced, replaced)
			assert.ElementsMatch(t, c.added, added)
			assert.ElementsMatch(t, c.removed, removed)
			var changed []string
			for _, id := range w.of("s", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE") {
				if !slices.Contains(replaced, id) {
					changed = append(changed, id)
				}
			}
			assert.ElementsMatch(t, c.inPlace, changed)
			assert.Equal(t, engine.NoChanges, w.plan(request("s", body, c.second...)).Reason)
			require.NoError(t, w.DeleteStack("s", nil))
			assert.Empty(t, w.status("s"))
		})
	}
}

// The gateway attachment comes before what needs it, and goes after it.
func TestSampleOrder(t *testing.T) {
	w := newWorld(t)
	id := ""
	require.Equal(t, "CREATE_COMPLETE", w.deploy("s", sample(t, "samples/public-subnet.yaml")))
	require.NoError(t, w.View("s", func(s *engine.Stack) error { id = s.ID; return nil }))
	require.NoError(t, w.DeleteStack("s", nil))
	h := w.history(id)
	at := func(x string) int {
		t.Helper()
		i := slices.Index(h, x)
		require.GreaterOrEqual(t, i, 0, x)
		return i
	}
	for _, pair := range [][2]string{
		{"Attachment", "Address"},
		{"Attachment", "Route"},
		{"Vpc", "Attachment"},
		{"Gateway", "Attachment"},
		{"Vpc", "SubnetA"},
		{"SubnetA", "Association"},
		{"Table", "Route"},
		{"Address", "Nat"},
	} {
		assert.Less(t, at(pair[0]+" CREATE_COMPLETE"), at(pair[1]+" CREATE_IN_PROGRESS"), pair)
		assert.Less(t, at(pair[1]+" DELETE_COMPLETE"), at(pair[0]+" DELETE_IN_PROGRESS"), pair)
	}
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-exports.html
func TestSampleExports(t *testing.T) {
	w := newWorld(t)
	network, web := sample(t, "samples/network-stack.yaml"), sample(t, "samples/web-stack.yaml")
	assert.Equal(t, "No export named network:AccountSG found.", w.plan(request("web", web)).Reason)
	require.NoError(t, w.DeleteStack("web", nil))
	w.deploy("network", network)
	require.Equal(t, "CREATE_COMPLETE", w.deploy("web", web))
	server := w.model("AWS::EC2::Instance", w.resource("web", "Server").ObjectID)
	card := server["NetworkInterfaces"].([]any)[0].(map[string]any)
	assert.Equal(t, w.resource("network", "Subnet").Ref, card["SubnetId"])
	assert.Equal(t, []any{w.resource("network", "Group").Ref}, card["GroupSet"])
	require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.deploy("network", network, "Block", "10.1.0.0/16"), "the subnet would be another")
	assert.Regexp(t, `Export network[-:]\w+ cannot be updated as it is in use by web`, strings.Join(w.history("network"), "\n"))
	require.NoError(t, w.DeleteStack("web", nil))
	require.Equal(t, "UPDATE_COMPLETE", w.deploy("network", network, "Block", "10.1.0.0/16"))
}

// https://repost.aws/knowledge-center/unable-validate-circular-dependency-cloudformation
func TestSampleCircle(t *testing.T) {
	w := newWorld(t)
	body := strings.Replace(sample(t, "samples/notifications.yaml"), `!Sub "arn:${AWS::Partition}:s3:::${Bucket}"`, "!GetAtt Uploads.Arn", 1)
	_, err := w.CreateStack(request("s", body))
	assert.EqualError(t, err, "ValidationError: Circular dependency between resources: [TopicPolicy, Uploads]")
}

// A replacement needs room for both: quotas and names are met before the old one goes.
func TestReplacementNeedsRoom(t *testing.T) {
	w := newWorld(t, func(o *engine.Options) { o.Quotas = map[string]int{"AWS::EC2::VPC": 1} })
	body := sample(t, "samples/network-stack.yaml")
	w.deploy("s", body)
	before := w.members("s")
	require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.deploy("s", body, "Block", "10.1.0.0/16"))
	assert.Contains(t, strings.Join(w.history("s"), "\n"), "Vpc UPDATE_FAILED Resource handler returned message: \"The maximum number of VPCs has been reached.")
	assert.Equal(t, before, w.members("s"))

	// To a name that is taken: by another stack, and by what a stack left behind.
	w = newWorld(t)
	body = sample(t, "samples/notifications.yaml")
	w.deploy("a", body, "Bucket", "one")
	w.deploy("b", strings.Replace(body, "    DependsOn: TopicPolicy\n", "    DependsOn: TopicPolicy\n    DeletionPolicy: Retain\n", 1), "Bucket", "two")
	require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.deploy("a", body, "Bucket", "two"))
	assert.Contains(t, strings.Join(w.history("a"), "\n"), "Uploads UPDATE_FAILED two already exists in stack arn:aws:cloudformation:")
	require.NoError(t, w.DeleteStack("b", nil))
	require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", w.deploy("a", body, "Bucket", "two"))
	assert.Contains(t, strings.Join(w.history("a"), "\n"), "HandlerErrorCode: AlreadyExists")
	assert.Equal(t, []string{"one", "two"}, w.ids("AWS::S3::Bucket"))
	require.NoError(t, w.DeleteStack("a", nil))
	assert.Equal(t, []string{"two"}, w.ids("AWS::S3::Bucket"))
}

// Rules see the values of SSM parameters, as all of the template does.
func TestRulesOnSSMParameters(t *testing.T) {
	w := newWorld(t)
	w.deploy("p", `{"Resources":{"P":{"Type":"AWS::SSM::Parameter","Properties":{"Name":"/stage","Type":"String","Value":"prod"}}}}`)
	body := `
Parameters:
  Stage: {Type: "AWS::SSM::Parameter::Value<String>", Default: /stage}
  Size: {Type: String}
Rules:
  Prod:
    RuleCondition: !Equals [!Ref Stage, prod]
    Assertions:
      - {Assert: {"Fn::Contains": [[m5.large], !Ref Size]}, AssertDescription: production is large}
Resources: {A: {Type: AWS::SNS::Topic}}
`
	_, err := w.CreateStack(request("s", body, "Size", "t3.micro"))
	assert.EqualError(t, err, "ValidationError: Template validation error: Rule Prod failed: production is large")
	assert.Empty(t, w.status("s"))
	_, err = w.CreateStack(request("s", body, "Size", "m5.large"))
	require.NoError(t, err)
	_, err = w.UpdateStack(request("s", body, "Size", "t3.micro"))
	assert.ErrorContains(t, err, "Rule Prod failed", "at an update, too")
	w.deploy("p", `{"Resources":{"P":{"Type":"AWS::SSM::Parameter","Properties":{"Name":"/stage","Type":"String","Value":"test"}}}}`)
	c := w.plan(request("s", body, "Size", "t3.micro"))
	assert.Equal(t, engine.NoChanges, c.Reason, "nothing uses them but the rule, which doesn't apply any more")
}

// What isn't a property changes nothing but itself.
func TestAttributesAlone(t *testing.T) {
	for attribute, change := range map[string][2]string{
		"DeletionPolicy":      {"Delete", "Retain"},
		"UpdateReplacePolicy": {"Delete", "Retain"},
		"Metadata":            {"{a: b}", "{a: c}"},
	} {
		body := "Resources: {A: {Type: AWS::SNS::Topic, " + attribute + ": " + change[0] + ", Properties: {TopicName: t}}}"
		w := newWorld(t)
		w.deploy("s", body)
		before := w.members("s")
		changed := strings.Replace(body, change[0], change[1], 1)
		c := w.plan(request("s", changed))
		require.Len(t, c.Changes, 1)
		assert.Equal(t, []string{attribute}, c.Changes[0].Scope)
		assert.Equal(t, "False", c.Changes[0].Replacement)
		assert.Equal(t, "Never", c.Changes[0].Details[0].Recreation)
		require.Equal(t, "UPDATE_COMPLETE", w.deploy("s", changed))
		assert.Equal(t, before, w.members("s"))
		assert.Equal(t, engine.NoChanges, w.plan(request("s", changed)).Reason)
		require.NoError(t, w.DeleteStack("s", nil))
		left := 0
		if attribute == "DeletionPolicy" {
			left = 1
		}
		assert.Len(t, w.ids("AWS::SNS::Topic"), left, "%s: the new one counts", attribute)
	}
}
