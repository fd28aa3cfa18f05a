package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/postern-cdk/postern/internal/localcfn/cloud"
	"github.com/postern-cdk/postern/internal/localcfn/schema"
	"github.com/postern-cdk/postern/internal/localcfn/template"
)

// Stack is one stack.
type Stack struct {
	ID          string               `json:"id"`
	Name        string               `json:"name"`
	Status      string               `json:"status"`
	Reason      string               `json:"reason,omitempty"`
	Description string               `json:"description,omitempty"`
	Body        string               `json:"body,omitempty"`
	Parameters  map[string]string    `json:"parameters,omitempty"`
	Resolved    map[string]string    `json:"resolved,omitempty"` // SSM parameters' values
	Tags        []Tag                `json:"tags,omitempty"`
	Settings    Settings             `json:"settings"`
	Outputs     []Output             `json:"outputs,omitempty"`
	Imports     []string             `json:"imports,omitempty"`
	Resources   map[string]*Resource `json:"resources"`
	Events      []*Event             `json:"events"`
	ChangeSets  []*ChangeSet         `json:"changeSets,omitempty"`
	Created     time.Time            `json:"created"`
	Updated     time.Time            `json:"updated,omitzero"`
	Deleted     time.Time            `json:"deleted,omitzero"`
	// ChangeSetID is the change set that was last executed.
	ChangeSetID           string `json:"changeSetId,omitempty"`
	TerminationProtection bool   `json:"terminationProtection,omitempty"`
	// Operation is the ID that events get until the next operation.
	Operation string `json:"operation,omitempty"`
	// Undo is what a rollback goes back to.
	Undo *Undo `json:"undo,omitempty"`

	parsed *template.Template
}

// Settings are what a stack is told beside its template.
type Settings struct {
	Capabilities     []string `json:"capabilities,omitempty"`
	RoleARN          string   `json:"roleArn,omitempty"`
	NotificationARNs []string `json:"notificationArns,omitempty"`
	DisableRollback  bool     `json:"disableRollback,omitempty"`
	OnFailure        string   `json:"onFailure,omitempty"` // of a create: ROLLBACK, DELETE or DO_NOTHING
	// RetainExceptOnCreate makes a rollback delete what the operation created,
	// whatever its DeletionPolicy says.
	// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
	RetainExceptOnCreate bool `json:"retainExceptOnCreate,omitempty"`
	// ImportExisting takes resources over that have the name and no stack.
	ImportExisting bool `json:"importExisting,omitempty"`
}

// Tag is a stack tag.
type Tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Output is an output that has its value.
type Output struct {
	Key         string `json:"key"`
	Value       string `json:"value"`
	Description string `json:"description,omitempty"`
	ExportName  string `json:"exportName,omitempty"`
}

// Resource is a member of a stack.
type Resource struct {
	LogicalID string    `json:"logicalId"`
	Type      string    `json:"type"`
	Ref       string    `json:"ref,omitempty"` // physical ID
	ObjectID  string    `json:"objectId,omitempty"`
	Status    string    `json:"status"`
	Reason    string    `json:"reason,omitempty"`
	Time      time.Time `json:"time"`
	// Declared are the template's properties, resolved; without stack tags.
	Declared map[string]any `json:"declared,omitempty"`
	Tags     []Tag          `json:"tags,omitempty"`
	// Attributes other than properties, as written.
	Extra     map[string]any `json:"extra,omitempty"`
	DependsOn []string       `json:"dependsOn,omitempty"`
}

func (r *Resource) clone() *Resource {
	c := *r
	c.Declared = template.CloneMap(r.Declared)
	c.Extra = template.CloneMap(r.Extra)
	c.DependsOn = slices.Clone(r.DependsOn)
	return &c
}

// exists says that the resource has been made.
func (r *Resource) exists() bool { return r != nil && r.ObjectID != "" }

func (r *Resource) deletionPolicy() string {
	s, _ := r.Extra["DeletionPolicy"].(string)
	return s
}

// Undo is a stack as it was when it was last whole.
type Undo struct {
	Body       string               `json:"body"`
	Parameters map[string]string    `json:"parameters,omitempty"`
	Resolved   map[string]string    `json:"resolved,omitempty"`
	Tags       []Tag                `json:"tags,omitempty"`
	Outputs    []Output             `json:"outputs,omitempty"`
	Imports    []string             `json:"imports,omitempty"`
	Resources  map[string]*Resource `json:"resources"`
	Settings   Settings             `json:"settings"`
}

// Event is one stack event.
type Event struct {
	ID         string    `json:"id"`
	LogicalID  string    `json:"logicalId"`
	PhysicalID string    `json:"physicalId"`
	Type       string    `json:"type"`
	Status     string    `json:"status"`
	Reason     string    `json:"reason,omitempty"`
	Properties string    `json:"properties,omitempty"`
	Time       time.Time `json:"time"`
	Operation  string    `json:"operation,omitempty"`
}

func (s *Stack) template() (*template.Template, error) {
	if s.parsed == nil || s.parsed.Body != s.Body {
		t, err := template.Parse(s.Body)
		if err != nil {
			return nil, err
		}
		s.parsed = t
	}
	return s.parsed, nil
}

const stackType = "AWS::CloudFormation::Stack"

// event records what happens to a resource.
func (e *Engine) event(s *Stack, r *Resource, status, reason string) {
	r.Status, r.Reason = status, reason
	r.Time = e.now()
	e.serial++
	s.Events = append(s.Events, &Event{
		ID: fmt.Sprintf("%s-%s-%06d", r.LogicalID, status, e.serial), LogicalID: r.LogicalID, PhysicalID: r.Ref, Type: r.Type,
		Status: status, Reason: reason, Time: r.Time, Operation: s.Operation,
	})
}

// status records what happens to the stack itself.
func (e *Engine) status(s *Stack, status, reason string) {
	s.Status, s.Reason = status, reason
	switch status {
	case "REVIEW_IN_PROGRESS", "CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS":
		s.Operation = e.cloud.UUID("operation")
	}
	e.serial++
	s.Events = append(s.Events, &Event{
		ID: e.cloud.UUID("event"), LogicalID: s.Name, PhysicalID: s.ID, Type: stackType,
		Status: status, Reason: reason, Time: e.now(), Operation: s.Operation,
	})
}

func (s *Stack) busy() bool {
	return strings.HasSuffix(s.Status, "_IN_PROGRESS") && s.Status != "REVIEW_IN_PROGRESS"
}

// find returns the stack of a name (not a deleted one) or an ID.
func (e *Engine) find(nameOrID string) *Stack {
	if s := e.stacks[nameOrID]; s != nil {
		return s
	}
	for _, s := range e.stacks {
		if s.Name == nameOrID && s.Status != "DELETE_COMPLETE" {
			return s
		}
	}
	return nil
}

func (e *Engine) must(nameOrID string) (*Stack, error) {
	if s := e.find(nameOrID); s != nil {
		return s, nil
	}
	return nil, invalid("Stack [%s] does not exist", nameOrID)
}

// export finds who exports a name.
func (e *Engine) export(name string) (*Stack, *Output) {
	for _, id := range slices.Sorted(maps.Keys(e.stacks)) {
		s := e.stacks[id]
		if s.Status == "DELETE_COMPLETE" {
			continue
		}
		for i := range s.Outputs {
			if s.Outputs[i].ExportName == name {
				return s, &s.Outputs[i]
			}
		}
	}
	return nil, nil
}

// importers lists the names of the stacks that import a name.
func (e *Engine) importers(name string) []string {
	var out []string
	for _, s := range e.stacks {
		if s.Status != "DELETE_COMPLETE" && slices.Contains(s.Imports, name) {
			out = append(out, s.Name)
		}
	}
	slices.Sort(out)
	return out
}

func (e *Engine) pseudo(name, id string, topics []string) map[string]any {
	list := make([]any, len(topics))
	for i, t := range topics {
		list[i] = t
	}
	suffix := "amazonaws.com"
	if e.options.Partition == "aws-cn" {
		suffix = "amazonaws.com.cn"
	}
	return map[string]any{
		"AWS::AccountId": e.options.Account, "AWS::Region": e.options.Region, "AWS::Partition": e.options.Partition,
		"AWS::URLSuffix": suffix, "AWS::StackName": name, "AWS::StackId": id, "AWS::NotificationARNs": list,
	}
}

// bind gives the parameters their values, those of SSM's too.
func (e *Engine) bind(t *template.Template, values map[string]string) (bound map[string]any, resolved map[string]string, err error) {
	bound, resolved = map[string]any{}, map[string]string{}
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(t.Parameters)) {
		p, text := t.Parameters[name], values[name]
		if p.SSM() {
			v, ok := e.ssm(text)
			if !ok {
				missing = append(missing, text)
				continue
			}
			text, resolved[name] = v, v
		}
		bound[name] = p.Bind(text)
	}
	if len(missing) > 0 {
		return nil, nil, invalid("Unable to fetch parameters [%s] from parameter store for this account.", strings.Join(missing, ","))
	}
	return bound, resolved, nil
}

// ssm gives the value of an SSM parameter: one that a stack made, or AWS's public ones.
func (e *Engine) ssm(name string) (string, bool) {
	name, _, _ = strings.Cut(name, ":")
	if o := e.cloud.Get("AWS::SSM::Parameter", name); o != nil {
		return template.Text(o.Properties["Value"])
	}
	return cloud.PublicParameter(e.options.Region, name)
}

// env answers for a stack while it is deployed.
type env struct {
	e       *Engine
	s       *Stack
	imports map[string]bool
}

func (v *env) Ref(id string) (any, error) {
	if r := v.s.Resources[id]; r.exists() {
		return r.Ref, nil
	}
	return nil, template.Error(fmt.Sprintf("Template format error: Unresolved resource dependencies [%s] in the Resources block of the template", id))
}

func (v *env) GetAtt(id, attribute string) (any, error) {
	r := v.s.Resources[id]
	if !r.exists() {
		return nil, template.Error(fmt.Sprintf("Template error: instance of Fn::GetAtt references undefined resource %s", id))
	}
	return v.e.attribute(r, attribute)
}

func (e *Engine) attribute(r *Resource, attribute string) (any, error) {
	if o := e.cloud.Get(r.Type, r.ObjectID); o != nil {
		if a, ok := e.cloud.Attribute(o, attribute); ok {
			return template.Clone(a), nil
		}
		if schema.IsCustom(r.Type) {
			return nil, template.Error(fmt.Sprintf("CustomResource attribute error: Vendor response doesn't contain %s attribute in object %s", attribute, r.LogicalID))
		}
	}
	return nil, template.Error(fmt.Sprintf("Template error: resource %s does not support attribute type %s in Fn::GetAtt", r.LogicalID, attribute))
}

func (v *env) Import(name string) (any, error) {
	owner, o := v.e.export(name)
	if o == nil {
		return nil, template.Error(fmt.Sprintf("No export named %s found.", name))
	}
	if owner == v.s {
		return nil, template.Error(fmt.Sprintf("Stack %s can't import %s, which it exports itself", v.s.Name, name))
	}
	v.imports[name] = true
	// In use from now on, not only once all is deployed. (A plan uses nothing.)
	if v.s.busy() && !slices.Contains(v.s.Imports, name) {
		v.s.Imports = append(slices.Clone(v.s.Imports), name)
	}
	return o.Value, nil
}

func (v *env) StackOutput(stack, output, region string) (any, error) {
	if region != "" && region != v.e.options.Region {
		return nil, template.Error(fmt.Sprintf("Fn::GetStackOutput: region %s is not this one (%s), and there is no other", region, v.e.options.Region))
	}
	s := v.e.find(stack)
	if s == nil || s.Status == "REVIEW_IN_PROGRESS" {
		return nil, template.Error(fmt.Sprintf("Fn::GetStackOutput: Stack with id %s does not exist", stack))
	}
	for _, o := range s.Outputs {
		if o.Key == output {
			return o.Value, nil
		}
	}
	return nil, template.Error(fmt.Sprintf("Fn::GetStackOutput: Stack %s has no output %s", stack, output))
}

func (v *env) Zones(region string) ([]string, error) {
	if region != v.e.options.Region {
		return nil, template.Error(fmt.Sprintf("Template validation error: Template error: Fn::GetAZs: region %s is not this one (%s), and there is no other", region, v.e.options.Region))
	}
	return cloud.Zones(region), nil
}

func (v *env) Dynamic(service, reference string) (string, bool, error) {
	if service != "ssm" {
		return "", false, nil // secrets stay references
	}
	value, ok := v.e.ssm(reference)
	if !ok {
		return "", false, template.Error(fmt.Sprintf("Parameters: [%s] cannot be found.", reference))
	}
	return value, true, nil
}
