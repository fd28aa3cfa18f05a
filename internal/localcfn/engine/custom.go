package engine

import (
	"fmt"
	"strings"

	"github.com/postern-cdk/postern/internal/localcfn/cloud"
	"github.com/postern-cdk/postern/internal/localcfn/template"
)

// CustomRequest is what is asked of who answers for a custom resource.
type CustomRequest struct {
	Type, ServiceToken string
	// Timeout in seconds.
	Timeout int
	// Event is the request, but for its ResponseURL.
	// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html
	Event map[string]any
}

// CustomAnswer is the response.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html
type CustomAnswer struct {
	Status, Reason, PhysicalResourceID, StackID, RequestID, LogicalResourceID string

	Data map[string]any
}

// The default of ServiceTimeout.
const customTimeout = 3600

// custom asks and gives the answer, or why there is no good one. What is answered
// comes back with a failure, too.
func (e *Engine) custom(s *Stack, r *Resource, kind string, props, old map[string]any) (CustomAnswer, error) {
	token, _ := props["ServiceToken"].(string)
	id := e.cloud.UUID("request")
	event := map[string]any{
		"RequestType": kind, "RequestId": id, "StackId": s.ID, "ResourceType": r.Type, "LogicalResourceId": r.LogicalID,
		"ServiceToken": token, "ResourceProperties": asText(props),
	}
	if kind != "Create" {
		event["PhysicalResourceId"] = r.Ref
	}
	if kind == "Update" {
		event["OldResourceProperties"] = asText(old)
	}
	timeout, ok := integer(props["ServiceTimeout"])
	if !ok {
		timeout = customTimeout
	}
	// Others get in meanwhile, and who answers may be among them.
	e.mu.Unlock()
	answer, err := e.options.Custom(CustomRequest{Type: r.Type, ServiceToken: token, Timeout: timeout, Event: event})
	e.mu.Lock()
	switch {
	case err != nil:
		return answer, &refusal{err.Error()}
	case answer.RequestID != id || answer.StackID != s.ID || answer.LogicalResourceID != r.LogicalID:
		return answer, refuse("Invalid response: RequestId, StackId and LogicalResourceId must be those of the request (RequestId: %s)", id)
	case answer.Status == "FAILED":
		return answer, refuse("Received response status [FAILED] from custom resource. Message returned: %s (RequestId: %s)", answer.Reason, id)
	case answer.Status != "SUCCESS":
		return answer, refuse("Invalid response: Status must be SUCCESS or FAILED, not %q (RequestId: %s)", answer.Status, id)
	case answer.PhysicalResourceID == "" || len(answer.PhysicalResourceID) > 1024:
		return answer, refuse("Invalid PhysicalResourceId (RequestId: %s)", id)
	}
	return answer, nil
}

// asText makes text of numbers and booleans, as CloudFormation does for custom
// resources.
func asText(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			out[k] = asText(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = asText(x)
		}
		return out
	}
	if text, ok := template.Text(v); ok {
		return text
	}
	return v
}

// makeCustom has a custom resource made. One that could not be is a member all the
// same: the rollback asks for its deletion.
func (d *deployment) makeCustom(r *Resource, props map[string]any, status string, owner cloud.Owner) error {
	e := d.e
	answer, err := e.custom(d.s, r, "Create", props, nil)
	physical := answer.PhysicalResourceID
	if physical == "" {
		physical = fmt.Sprintf("%s-%s-%s", d.s.Name, r.LogicalID, strings.ToUpper(strings.ReplaceAll(e.cloud.UUID("physical"), "-", "")[:12]))
	}
	d.made(r, e.cloud.CreateCustom(r.Type, physical, props, answer.Data, owner), props)
	if err != nil {
		return err
	}
	e.event(d.s, r, status+"_IN_PROGRESS", "Resource creation Initiated")
	e.event(d.s, r, status+"_COMPLETE", "")
	return nil
}

// updateCustom has a custom resource changed. One that answers with another physical
// ID has been replaced: the old one is deleted in the end.
func (d *deployment) updateCustom(r *Resource, o *cloud.Object, props map[string]any) error {
	e, s := d.e, d.s
	old := r.Declared
	if !template.Equal(old["ServiceToken"], props["ServiceToken"]) {
		return refuse("Modifying service token is not allowed.")
	}
	answer, err := e.custom(s, r, "Update", props, old)
	if err != nil {
		// The rollback asks for the way back from here.
		r.Declared = props
		return err
	}
	if answer.PhysicalResourceID != r.Ref {
		owner := cloud.Owner{StackName: s.Name, StackID: s.ID, LogicalID: r.LogicalID}
		next := &Resource{LogicalID: r.LogicalID, Type: r.Type}
		d.made(next, e.cloud.CreateCustom(r.Type, answer.PhysicalResourceID, props, answer.Data, owner), props)
		s.Resources[r.LogicalID] = next
		policy, _ := next.Extra["UpdateReplacePolicy"].(string)
		d.leaving = append(d.leaving, leaving{r, policy})
		e.event(s, next, "UPDATE_COMPLETE", "")
		return nil
	}
	e.cloud.Update(o, props)
	if o.Attributes = answer.Data; o.Attributes == nil {
		o.Attributes = map[string]any{}
	}
	d.made(r, o, props)
	e.event(s, r, "UPDATE_COMPLETE", "")
	return nil
}

// deleteCustom has a custom resource deleted and gives the reason why it isn't.
func (e *Engine) deleteCustom(s *Stack, r *Resource, o *cloud.Object) string {
	props := r.Declared
	if props == nil {
		props = o.Properties
	}
	if e.options.Custom == nil {
		return fmt.Sprintf("nothing runs in this CloudFormation, so nothing would answer for the custom resource %s (%s)", r.LogicalID, r.Type)
	}
	if _, err := e.custom(s, r, "Delete", props, nil); err != nil {
		return err.Error()
	}
	return ""
}
