package localcfn_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/localcfn"
)

// thing is a function behind a custom resource.
type thing struct {
	t       *testing.T
	mu      sync.Mutex
	events  []map[string]any
	answers []func(event map[string]any) map[string]any // one a request; nil: success
	errs    []error                                     // one a call, without an answer
}

func (f *thing) handle(ctx context.Context, text []byte) error {
	var event map[string]any
	if err := json.Unmarshal(text, &event); err != nil {
		return err
	}
	f.mu.Lock()
	f.events = append(f.events, event)
	if len(f.errs) > 0 {
		err := f.errs[0]
		f.errs = f.errs[1:]
		if err != nil {
			f.mu.Unlock()
			return err
		}
	}
	answer := map[string]any{"Status": "SUCCESS", "PhysicalResourceId": "thing", "Data": map[string]any{"Color": "red"}}
	if len(f.answers) > 0 {
		if next := f.answers[0]; next != nil {
			answer = next(event)
		}
		f.answers = f.answers[1:]
	}
	f.mu.Unlock()
	if answer == nil {
		return nil
	}
	for _, name := range []string{"StackId", "RequestId", "LogicalResourceId"} {
		if answer[name] == nil {
			answer[name] = event[name]
		}
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, event["ResponseURL"].(string), bytes.NewReader(body))
	if err != nil {
		return err
	}
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	return reply.Body.Close()
}

// kinds are the requests that came, with the physical ID and a property.
func (f *thing) kinds() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for _, e := range f.events {
		text := e["RequestType"].(string)
		if id, ok := e["PhysicalResourceId"].(string); ok {
			text += " " + id
		}
		if old, ok := e["OldResourceProperties"].(map[string]any); ok {
			text += " " + old["Size"].(string) + "->"
		}
		list = append(list, text+" "+e["ResourceProperties"].(map[string]any)["Size"].(string))
	}
	return list
}

func failing(reason string) func(map[string]any) map[string]any {
	return func(event map[string]any) map[string]any {
		id := event["PhysicalResourceId"]
		if id == nil {
			id = "half"
		}
		return map[string]any{"Status": "FAILED", "Reason": reason, "PhysicalResourceId": id}
	}
}

func named(id string) func(map[string]any) map[string]any {
	return func(map[string]any) map[string]any {
		return map[string]any{"Status": "SUCCESS", "PhysicalResourceId": id}
	}
}

const thingType = "Custom::Thing"

func things(t *testing.T) (*localcfn.Server, *thing) {
	t.Helper()
	f := &thing{t: t}
	return start(t, localcfn.Options{CustomResources: map[string]localcfn.CustomResource{thingType: f.handle}}), f
}

const serviceToken = "arn:aws:lambda:us-east-1:000000000000:function:f"

// body is a template with a custom resource, whose topic is made after it.
func body(size, token string) string {
	return `{"Resources":{"A":{"Type":"Custom::Thing","Properties":{"ServiceToken":"` + token + `","ServiceTimeout":60,"Size":` + size + `,"Deep":[{"Yes":true}]}},
		"T":{"Type":"AWS::SNS::Topic","DependsOn":"A","Properties":{"DisplayName":{"Fn::Join":["",[{"Ref":"A"},"-",{"Fn::GetAtt":["A","Color"]},"-` + size + `"]]}}}},
		"Outputs":{"O":{"Value":{"Fn::GetAtt":["T","TopicName"]}}}}`
}

func deploy(t *testing.T, s *localcfn.Server, action, template string, more ...string) string {
	t.Helper()
	status, text := call(t, s, action, append([]string{"StackName", "app", "TemplateBody", template}, more...)...)
	require.Equal(t, http.StatusOK, status, text)
	_, text = call(t, s, "DescribeStacks", "StackName", "app")
	return regexp.MustCompile(`<StackStatus>(\w+)<`).FindStringSubmatch(text)[1]
}

func reasons(t *testing.T, s *localcfn.Server) string {
	t.Helper()
	_, text := call(t, s, "DescribeStackEvents", "StackName", "app")
	var list []string
	for _, found := range regexp.MustCompile(`<ResourceStatusReason>([^<]*)<`).FindAllStringSubmatch(text, -1) {
		list = append(list, found[1])
	}
	return strings.Join(list, "\n")
}

func TestCustomResourceLife(t *testing.T) {
	s, f := things(t)
	require.Equal(t, "CREATE_COMPLETE", deploy(t, s, "CreateStack", body("1", serviceToken)))
	create := f.events[0]
	assert.Equal(t, map[string]any{"ServiceToken": serviceToken, "ServiceTimeout": "60", "Size": "1", "Deep": []any{map[string]any{"Yes": "true"}}}, create["ResourceProperties"], "all is text")
	assert.Equal(t, "Custom::Thing", create["ResourceType"])
	assert.Equal(t, "A", create["LogicalResourceId"])
	assert.Regexp(t, `^arn:aws:cloudformation:us-east-1:000000000000:stack/app/`, create["StackId"])
	assert.NotContains(t, create, "PhysicalResourceId")
	_, models := target(t, s, "CloudApiService.ListResources", `{"TypeName":"AWS::SNS::Topic"}`)
	assert.Contains(t, models, "thing-red-1")

	f.answers = append(f.answers, func(map[string]any) map[string]any {
		return map[string]any{"Status": "SUCCESS", "PhysicalResourceId": "thing", "Data": map[string]any{"Color": "blue"}}
	})
	require.Equal(t, "UPDATE_COMPLETE", deploy(t, s, "UpdateStack", body("2", serviceToken)))
	_, models = target(t, s, "CloudApiService.ListResources", `{"TypeName":"AWS::SNS::Topic"}`)
	assert.Contains(t, models, "thing-blue-2")
	call(t, s, "DeleteStack", "StackName", "app")
	assert.Equal(t, []string{"Create 1", "Update thing 1-> 2", "Delete thing 2"}, f.kinds())
	ids := map[any]bool{}
	for _, e := range f.events {
		ids[e["RequestId"]] = true
	}
	assert.Len(t, ids, 3)
}

func TestCustomResourceRollback(t *testing.T) {
	t.Run("of its own create", func(t *testing.T) {
		s, f := things(t)
		f.answers = append(f.answers, failing("no room"))
		require.Equal(t, "ROLLBACK_COMPLETE", deploy(t, s, "CreateStack", body("1", serviceToken)))
		assert.Equal(t, []string{"Create 1", "Delete half 1"}, f.kinds())
		assert.Regexp(t, `Received response status \[FAILED\] from custom resource. Message returned: no room \(RequestId: [0-9a-f-]{36}\)`, reasons(t, s))
	})
	t.Run("of another's create", func(t *testing.T) {
		s, f := things(t)
		require.NoError(t, s.Fail(localcfn.Fail{Type: "AWS::SNS::Topic"}))
		require.Equal(t, "ROLLBACK_COMPLETE", deploy(t, s, "CreateStack", body("1", serviceToken)))
		assert.Equal(t, []string{"Create 1", "Delete thing 1"}, f.kinds())
	})
	t.Run("of its own update", func(t *testing.T) {
		s, f := things(t)
		deploy(t, s, "CreateStack", body("1", serviceToken))
		f.answers = append(f.answers, failing("no room"))
		require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", deploy(t, s, "UpdateStack", body("2", serviceToken)))
		assert.Equal(t, []string{"Create 1", "Update thing 1-> 2", "Update thing 2-> 1"}, f.kinds())
	})
	t.Run("of another's update", func(t *testing.T) {
		s, f := things(t)
		deploy(t, s, "CreateStack", body("1", serviceToken))
		require.NoError(t, s.Fail(localcfn.Fail{Type: "AWS::SNS::Topic", Operation: "Update"}))
		require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", deploy(t, s, "UpdateStack", body("2", serviceToken)))
		assert.Equal(t, []string{"Create 1", "Update thing 1-> 2", "Update thing 2-> 1"}, f.kinds())
	})
	t.Run("that fails as well", func(t *testing.T) {
		s, f := things(t)
		deploy(t, s, "CreateStack", body("1", serviceToken))
		f.answers = append(f.answers, failing("no room"), failing("no way back"))
		require.Equal(t, "UPDATE_ROLLBACK_FAILED", deploy(t, s, "UpdateStack", body("2", serviceToken)))
		assert.Contains(t, reasons(t, s), "no way back")
	})
}

func TestCustomResourceReplacement(t *testing.T) {
	s, f := things(t)
	deploy(t, s, "CreateStack", body("1", serviceToken))
	f.answers = append(f.answers, named("other"))
	template := strings.ReplaceAll(body("2", serviceToken), `{"Fn::GetAtt":["A","Color"]}`, `"x"`)
	require.Equal(t, "UPDATE_COMPLETE", deploy(t, s, "UpdateStack", template))
	assert.Equal(t, []string{"Create 1", "Update thing 1-> 2", "Delete thing 1"}, f.kinds())
	// And rolled back: the new one is deleted.
	f.answers = append(f.answers, named("third"))
	require.NoError(t, s.Fail(localcfn.Fail{Type: "AWS::SNS::Topic", Operation: "Update"}))
	require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", deploy(t, s, "UpdateStack", strings.ReplaceAll(template, `"Size":2`, `"Size":3`)))
	assert.Equal(t, []string{"Update other 2-> 3", "Delete third 3"}, f.kinds()[3:])
}

func TestCustomResourceThatCannotBeDeleted(t *testing.T) {
	s, f := things(t)
	deploy(t, s, "CreateStack", body("1", serviceToken))
	f.answers = append(f.answers, failing("in use"))
	call(t, s, "DeleteStack", "StackName", "app")
	_, text := call(t, s, "DescribeStacks", "StackName", "app")
	assert.Contains(t, text, "DELETE_FAILED")
	call(t, s, "DeleteStack", "StackName", "app")
	_, text = call(t, s, "DescribeStacks", "StackName", "app")
	assert.Contains(t, text, "does not exist")
	assert.Equal(t, []string{"Create 1", "Delete thing 1", "Delete thing 1"}, f.kinds())
}

func TestCustomResourceAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(map[string]any) map[string]any
		want   string
	}{
		"none":                 {func(map[string]any) map[string]any { return nil }, "CloudFormation did not receive a response from your Custom Resource."},
		"too long":             {func(map[string]any) map[string]any { return map[string]any{"Reason": strings.Repeat("x", 4096)} }, "Response object is too long."},
		"no physical ID":       {named(""), "Invalid PhysicalResourceId"},
		"no status":            {func(map[string]any) map[string]any { return map[string]any{"PhysicalResourceId": "x"} }, "Status must be SUCCESS or FAILED, not &#34;&#34;"},
		"of another":           {func(map[string]any) map[string]any { return map[string]any{"RequestId": "x"} }, "RequestId, StackId and LogicalResourceId must be those of the request"},
		"without an attribute": {named("thing"), "CustomResource attribute error: Vendor response doesn&#39;t contain Color attribute in object A"},
	} {
		t.Run(name, func(t *testing.T) {
			s, f := things(t)
			f.answers = append(f.answers, c.answer)
			require.Equal(t, "ROLLBACK_COMPLETE", deploy(t, s, "CreateStack", body("1", serviceToken)))
			assert.Contains(t, reasons(t, s), c.want)
			assert.Len(t, f.events, 2)
		})
	}
}

func TestCustomResourceIsAskedAgain(t *testing.T) {
	s, f := things(t)
	f.errs = []error{errors.New("crash"), errors.New("crash")}
	require.Equal(t, "CREATE_COMPLETE", deploy(t, s, "CreateStack", body("1", serviceToken)))
	require.Len(t, f.events, 3)
	assert.Equal(t, f.events[0], f.events[2], "the same request")

	f.errs = []error{errors.New("crash"), errors.New("crash"), errors.New("crash")}
	require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", deploy(t, s, "UpdateStack", body("2", serviceToken)))
	assert.Contains(t, reasons(t, s), "did not receive a response from your Custom Resource")
	assert.Contains(t, reasons(t, s), ": crash")
}

func TestCustomResourceServiceToken(t *testing.T) {
	s, _ := things(t)
	deploy(t, s, "CreateStack", body("1", serviceToken))
	require.Equal(t, "UPDATE_ROLLBACK_COMPLETE", deploy(t, s, "UpdateStack", body("1", serviceToken+"2")))
	assert.Contains(t, reasons(t, s), "Modifying service token is not allowed.")

	f := &thing{t: t}
	s = start(t, localcfn.Options{CustomResources: map[string]localcfn.CustomResource{serviceToken: f.handle}})
	require.Equal(t, "ROLLBACK_FAILED", deploy(t, s, "CreateStack", body("1", serviceToken+"2")))
	assert.Contains(t, reasons(t, s), "nothing answers for the service token "+serviceToken+"2")
	s = start(t, localcfn.Options{CustomResources: map[string]localcfn.CustomResource{serviceToken: f.handle}})
	require.Equal(t, "CREATE_COMPLETE", deploy(t, s, "CreateStack", body("1", serviceToken)))
}

func TestCustomResourceWithoutFunctionIsRefused(t *testing.T) {
	for _, options := range []localcfn.Options{{}, {CustomResources: map[string]localcfn.CustomResource{"Custom::Other": (&thing{}).handle}}} {
		s := start(t, options)
		status, text := call(t, s, "CreateStack", "StackName", "app", "TemplateBody", body("1", serviceToken))
		assert.Equal(t, http.StatusBadRequest, status)
		assert.Contains(t, text, "Resource A is a custom resource (Custom::Thing), which is not supported: nothing runs in this CloudFormation, so nothing would answer it")
	}
}

// The URL is good for one answer by PUT, without a content type.
func TestCustomResourceResponseURL(t *testing.T) {
	var url string
	s := start(t, localcfn.Options{CustomResources: map[string]localcfn.CustomResource{thingType: func(_ context.Context, text []byte) error {
		var event map[string]any
		if err := json.Unmarshal(text, &event); err != nil {
			return err
		}
		url, _ = event["ResponseURL"].(string)
		status, _, _ := do(t, http.MethodGet, url, "")
		assert.Equal(t, http.StatusForbidden, status)
		status, _, _ = do(t, http.MethodPut, url, "{}", "Content-Type", "application/json")
		assert.Equal(t, http.StatusForbidden, status)
		status, _, _ = do(t, http.MethodPut, strings.Replace(url, "Signature=", "Signature=x", 1), "{}")
		assert.Equal(t, http.StatusForbidden, status)
		return nil
	}}})
	require.Equal(t, "ROLLBACK_FAILED", deploy(t, s, "CreateStack", body("1", serviceToken)))
	status, _, _ := do(t, http.MethodPut, url, "{}")
	assert.Equal(t, http.StatusForbidden, status, "late")
}
