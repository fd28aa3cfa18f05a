package engine

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/postern-cdk/postern/internal/localcfn/schema"
	"github.com/postern-cdk/postern/internal/localcfn/template"
)

// ChangeSet is one change set.
type ChangeSet struct {
	ID              string            `json:"id"`
	Name            string            `json:"name"`
	Type            string            `json:"type"` // CREATE, UPDATE
	Description     string            `json:"description,omitempty"`
	Status          string            `json:"status"`
	Reason          string            `json:"reason,omitempty"`
	ExecutionStatus string            `json:"executionStatus"`
	Body            string            `json:"body"`
	Parameters      map[string]string `json:"parameters,omitempty"`
	Resolved        map[string]string `json:"resolved,omitempty"`
	Tags            []Tag             `json:"tags,omitempty"`
	Settings        Settings          `json:"settings"`
	Changes         []Change          `json:"changes,omitempty"`
	Problems        []Problem         `json:"problems,omitempty"`
	Created         time.Time         `json:"created"`
}

// Request is what a call that deploys asks for.
type Request struct {
	StackName           string
	TemplateBody        string
	TemplateURL         string
	UsePreviousTemplate bool
	Parameters          map[string]template.Given
	Tags                []Tag
	TagsGiven           bool
	Settings            Settings
	Protect             bool

	ChangeSetName string
	ChangeSetType string
	Description   string
	ImportAny     bool // resources are to be imported
}

var stackName = regexp.MustCompile(`^[a-zA-Z][-a-zA-Z0-9]*$`)

const maxInline, maxTemplate = 51200, 1 << 20

// body finds the template of a request.
func (e *Engine) body(r Request, s *Stack) (string, error) {
	switch {
	case r.UsePreviousTemplate:
		if s == nil || s.Body == "" {
			return "", invalid("There is no previous template")
		}
		return s.Body, nil
	case r.TemplateBody != "" && r.TemplateURL != "":
		return "", invalid("Specify either TemplateBody or TemplateURL, not both.")
	case r.TemplateBody != "":
		if len(r.TemplateBody) > maxInline {
			return "", invalid("1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to %d", maxInline)
		}
		return r.TemplateBody, nil
	case r.TemplateURL != "":
		bucket, key := splitURL(r.TemplateURL)
		o := e.buckets[bucket][key]
		if o == nil {
			return "", invalid("S3 error: The specified key does not exist: %s", r.TemplateURL)
		}
		if len(o.Body) > maxTemplate {
			return "", invalid("Template may not exceed %d bytes in size.", maxTemplate)
		}
		return string(o.Body), nil
	}
	return "", invalid("Either Template URL or Template Body must be specified.")
}

// splitURL reads the URL of an object, with the bucket in the path or in the host.
func splitURL(text string) (bucket, key string) {
	u, err := url.Parse(text)
	if err != nil {
		return "", ""
	}
	path := strings.TrimPrefix(u.Path, "/")
	if i := strings.Index(u.Hostname(), ".s3"); i > 0 {
		return u.Hostname()[:i], path
	}
	bucket, key, _ = strings.Cut(path, "/")
	return bucket, key
}

// target reads and checks what a request asks to deploy.
func (e *Engine) target(r Request, s *Stack) (target, error) {
	var to target
	body, err := e.body(r, s)
	if err != nil {
		return to, err
	}
	if to.t, err = template.Parse(body); err == nil {
		err = to.t.Check(e.options.AnswersCustom)
	}
	if err != nil {
		return to, asInvalid(err)
	}
	var before map[string]string
	if s != nil {
		before = s.Parameters
	}
	if to.parameters, err = to.t.Values(r.Parameters, before); err != nil {
		return to, asInvalid(err)
	}
	if to.bound, to.resolved, err = e.bind(to.t, to.parameters); err != nil {
		return to, err
	}
	to.settings = r.Settings
	to.tags = r.Tags
	if !r.TagsGiven && s != nil {
		to.tags = s.Tags
	}
	slices.SortFunc(to.tags, func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
	if to.settings.RoleARN == "" && s != nil {
		to.settings.RoleARN = s.Settings.RoleARN
	}
	if err := capabilities(to.t, to.settings.Capabilities); err != nil {
		return to, err
	}
	scope := &template.Scope{
		Template: to.t, Parameters: to.bound,
		Pseudo: e.pseudo(r.StackName, "", to.settings.NotificationARNs), Env: nil,
	}
	if _, _, err := scope.Order(); err != nil {
		return to, asInvalid(err)
	}
	return to, asInvalid(scope.Assert())
}

// Capability names the capability that a deployment of the template needs, or
// is empty.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
func Capability(t *template.Template) string {
	names := map[string]string{
		"AWS::IAM::Group": "GroupName", "AWS::IAM::InstanceProfile": "InstanceProfileName", "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
		"AWS::IAM::Role": "RoleName", "AWS::IAM::User": "UserName",
	}
	need := ""
	for _, r := range t.Resources {
		name, ok := names[r.Type]
		switch {
		case ok && r.Properties[name] != nil:
			need = "CAPABILITY_NAMED_IAM"
		case need == "" && (ok || r.Type == "AWS::IAM::Policy" || r.Type == "AWS::IAM::AccessKey" || r.Type == "AWS::IAM::UserToGroupAddition"):
			need = "CAPABILITY_IAM"
		}
	}
	return need
}

// capabilities asks for the acknowledgement of IAM resources.
func capabilities(t *template.Template, given []string) error {
	need := Capability(t)
	if need == "" || slices.Contains(given, "CAPABILITY_NAMED_IAM") || slices.Contains(given, need) {
		return nil
	}
	return &APIError{"InsufficientCapabilitiesException", fmt.Sprintf("Requires capabilities : [%s]", need)}
}

func (e *Engine) newStack(name string) (*Stack, error) {
	if !stackName.MatchString(name) || len(name) > 128 {
		return nil, invalid("1 validation error detected: Value '%s' at 'stackName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*", name)
	}
	s := &Stack{
		ID:   fmt.Sprintf("arn:%s:cloudformation:%s:%s:stack/%s/%s", e.options.Partition, e.options.Region, e.options.Account, name, e.cloud.UUID("stack"+name)),
		Name: name, Resources: map[string]*Resource{}, Created: e.now(),
	}
	e.stacks[s.ID] = s
	return s, nil
}

// updatable says why a stack can't be updated.
func (s *Stack) updatable() error {
	switch s.Status {
	case "CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE", "UPDATE_FAILED", "CREATE_FAILED":
		return nil
	}
	return invalid("Stack:%s is in %s state and can not be updated.", s.ID, s.Status)
}

// CreateStack deploys a new stack without a change set.
func (e *Engine) CreateStack(r Request) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.find(r.StackName); s != nil {
		return "", &APIError{"AlreadyExistsException", fmt.Sprintf("Stack [%s] already exists", s.Name)}
	}
	to, err := e.target(r, nil)
	if err != nil {
		return "", err
	}
	s, err := e.newStack(r.StackName)
	if err != nil {
		return "", err
	}
	s.TerminationProtection = r.Protect
	return s.ID, e.run(e.create(s, to))
}

// UpdateStack updates a stack without a change set.
func (e *Engine) UpdateStack(r Request) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s, err := e.must(r.StackName)
	if err != nil {
		return "", err
	}
	if err := s.updatable(); err != nil {
		return "", err
	}
	to, err := e.target(r, s)
	if err != nil {
		return "", err
	}
	changes, _, err := e.plan(s, to)
	if err != nil {
		return "", asInvalid(err)
	}
	if len(changes) == 0 && e.same(s, to) {
		return "", invalid("No updates are to be performed.")
	}
	e.obsolete(s, nil)
	return s.ID, e.run(e.update(s, to))
}

// same says that nothing beside resources changes either.
func (e *Engine) same(s *Stack, to target) bool {
	old, err := s.template()
	if err != nil || !s.whole() || s.Settings.RoleARN != to.settings.RoleARN ||
		!slices.Equal(s.Settings.NotificationARNs, to.settings.NotificationARNs) || !slices.Equal(s.Tags, to.tags) {
		return false
	}
	if len(old.Outputs) != len(to.t.Outputs) {
		return false
	}
	for key, a := range old.Outputs {
		b := to.t.Outputs[key]
		if b == nil || a.Condition != b.Condition || a.Description != b.Description ||
			!template.Equal(a.Value, b.Value) || !template.Equal(a.ExportName, b.ExportName) {
			return false
		}
	}
	// The expressions are the same: are the values? A weak reference or a parameter may have changed.
	d, err := e.deployment(s, to)
	if err != nil {
		return false
	}
	for _, o := range s.Outputs {
		if x := to.t.Outputs[o.Key]; x != nil {
			v, err := d.scope.Eval(x.Value)
			if text, _ := template.Text(v); err != nil || text != o.Value {
				return false
			}
		}
	}
	return true
}

func (s *Stack) whole() bool {
	return s.Status != "CREATE_FAILED" && s.Status != "UPDATE_FAILED"
}

// obsolete drops all change sets but one, as an update of the stack does.
func (e *Engine) obsolete(s *Stack, but *ChangeSet) {
	s.ChangeSets = slices.DeleteFunc(s.ChangeSets, func(c *ChangeSet) bool { return c != but })
}

// NoChanges is the reason of a change set that changes nothing.
const NoChanges = "The submitted information didn't contain changes. Submit different information to create a change set."

// CreateChangeSet plans a deployment.
func (e *Engine) CreateChangeSet(r Request) (changeSetID, stackID string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.find(r.StackName)
	kind := r.ChangeSetType
	if kind == "" {
		kind = "UPDATE"
	}
	switch {
	case kind == "IMPORT" || r.ImportAny:
		return "", "", invalid("Importing resources is not supported by this CloudFormation")
	case kind == "CREATE" && s != nil && s.Status != "REVIEW_IN_PROGRESS":
		return "", "", invalid("Stack [%s] already exists and cannot be created again with the changeSet [%s].", s.Name, r.ChangeSetName)
	case kind == "UPDATE" && (s == nil || s.Status == "REVIEW_IN_PROGRESS"):
		return "", "", invalid("Stack [%s] does not exist", r.StackName)
	case kind == "UPDATE":
		if err := s.updatable(); err != nil {
			return "", "", err
		}
	case kind != "CREATE":
		return "", "", invalid("Value '%s' at 'changeSetType' failed to satisfy constraint: Member must satisfy enum value set: [IMPORT, UPDATE, CREATE]", kind)
	}
	if !stackName.MatchString(r.ChangeSetName) {
		return "", "", invalid("Value '%s' at 'changeSetName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*", r.ChangeSetName)
	}
	if s != nil && s.changeSet(r.ChangeSetName) != nil {
		return "", "", &APIError{"AlreadyExistsException", fmt.Sprintf("ChangeSet %s already exists", r.ChangeSetName)}
	}
	to, err := e.target(r, s)
	if err != nil {
		return "", "", err
	}
	if s == nil {
		if s, err = e.newStack(r.StackName); err != nil {
			return "", "", err
		}
		e.status(s, "REVIEW_IN_PROGRESS", "User Initiated")
	}
	c := &ChangeSet{
		ID: fmt.Sprintf("arn:%s:cloudformation:%s:%s:changeSet/%s/%s", e.options.Partition, e.options.Region, e.options.Account,
			r.ChangeSetName, e.cloud.UUID("changeset")),
		Name: r.ChangeSetName, Type: kind, Description: r.Description, Body: to.t.Body, Parameters: to.parameters, Resolved: to.resolved,
		Tags: to.tags, Settings: to.settings, Created: e.now(), Status: "CREATE_COMPLETE", ExecutionStatus: "AVAILABLE",
	}
	s.ChangeSets = append(s.ChangeSets, c)
	changes, faults, err := e.plan(s, to)
	c.Changes = changes
	reason := ""
	switch {
	case err != nil:
		reason = err.Error()
	case len(faults) > 0:
		c.Problems = faults
		var lines []string
		for _, f := range faults {
			lines = append(lines, fmt.Sprintf("Properties validation failed for resource %s with message:\n%s", f.LogicalID, f.Text))
		}
		reason = strings.Join(lines, "\n")
	case kind == "UPDATE" && len(changes) == 0 && e.same(s, to):
		reason = NoChanges
	}
	if reason != "" {
		c.Status, c.ExecutionStatus, c.Reason = "FAILED", "UNAVAILABLE", reason
	}
	return c.ID, s.ID, e.save()
}

func (s *Stack) changeSet(nameOrID string) *ChangeSet {
	for _, c := range s.ChangeSets {
		if c.Name == nameOrID || c.ID == nameOrID {
			return c
		}
	}
	return nil
}

func (e *Engine) changeSet(stack, nameOrID string) (*Stack, *ChangeSet, error) {
	if stack == "" {
		for _, s := range e.stacks {
			if c := s.changeSet(nameOrID); c != nil && c.ID == nameOrID {
				return s, c, nil
			}
		}
	} else if s := e.find(stack); s == nil {
		return nil, nil, &APIError{"ValidationError", fmt.Sprintf("Stack [%s] does not exist", stack)}
	} else if c := s.changeSet(nameOrID); c != nil {
		return s, c, nil
	}
	return nil, nil, &APIError{"ChangeSetNotFound", fmt.Sprintf("ChangeSet [%s] does not exist", nameOrID)}
}

// DescribeChangeSet shows a change set and its stack to f.
func (e *Engine) DescribeChangeSet(stack, name string, f func(*Stack, *ChangeSet)) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	s, c, err := e.changeSet(stack, name)
	if err != nil {
		return err
	}
	f(s, c)
	return nil
}

// Execution is how a change set is executed.
type Execution struct {
	// DisableRollback overrides the change set's, where it is not nil.
	DisableRollback      *bool
	RetainExceptOnCreate bool // see Settings
}

// ExecuteChangeSet deploys a change set.
func (e *Engine) ExecuteChangeSet(stack, name string, how Execution) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	s, c, err := e.changeSet(stack, name)
	if err != nil {
		return err
	}
	if c.ExecutionStatus != "AVAILABLE" {
		return &APIError{"InvalidChangeSetStatus", fmt.Sprintf("ChangeSet [%s] cannot be executed in its current execution status of [%s]", c.ID, c.ExecutionStatus)}
	}
	// The stack may have changed since, by a deletion that failed for instance.
	if c.Type == "CREATE" && s.Status != "REVIEW_IN_PROGRESS" {
		return invalid("Stack:%s is in %s state and can not be updated.", s.ID, s.Status)
	}
	if c.Type != "CREATE" {
		if err := s.updatable(); err != nil {
			return err
		}
	}
	t, err := template.Parse(c.Body)
	if err != nil {
		return asInvalid(err)
	}
	to := target{t: t, parameters: c.Parameters, resolved: c.Resolved, tags: c.Tags, settings: c.Settings}
	to.bound = bound(t, c.Parameters, c.Resolved)
	to.settings.RetainExceptOnCreate = how.RetainExceptOnCreate
	if how.DisableRollback != nil {
		to.settings.DisableRollback = *how.DisableRollback
	}
	s.ChangeSetID = c.ID
	e.obsolete(s, nil)
	if c.Type == "CREATE" {
		return e.run(e.create(s, to))
	}
	return e.run(e.update(s, to))
}

// DeleteChangeSet drops a change set; one that isn't there is no fault.
func (e *Engine) DeleteChangeSet(stack, name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	s, c, err := e.changeSet(stack, name)
	if err != nil {
		if stack != "" && e.find(stack) == nil {
			return err
		}
		return nil
	}
	s.ChangeSets = slices.DeleteFunc(s.ChangeSets, func(x *ChangeSet) bool { return x == c })
	return e.save()
}

// DeleteStack deletes a stack; one that isn't there is no fault.
func (e *Engine) DeleteStack(name string, retain []string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.find(name)
	if s == nil || s.Status == "DELETE_COMPLETE" {
		return nil
	}
	if s.TerminationProtection {
		return invalid("Stack [%s] cannot be deleted while TerminationProtection is enabled", s.Name)
	}
	if s.Status == "DELETE_IN_PROGRESS" {
		return nil
	}
	if s.busy() {
		return invalid("Stack [%s] cannot be deleted while in status %s", s.Name, s.Status)
	}
	if len(retain) > 0 && s.Status != "DELETE_FAILED" {
		return invalid("RetainResources can be specified only when the stack is in the DELETE_FAILED state.")
	}
	for _, id := range retain {
		if s.Resources[id] == nil {
			return invalid("Resources [%s] do not exist in stack %s", id, s.Name)
		}
	}
	return e.run(e.remove(s, retain))
}

// Rollback brings a stack whose deployment failed without rollback back.
func (e *Engine) Rollback(name string, retainExceptOnCreate bool) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s, err := e.must(name)
	if err != nil {
		return "", err
	}
	switch s.Status {
	case "CREATE_FAILED":
		s.Settings.RetainExceptOnCreate = retainExceptOnCreate
		return s.ID, e.run(e.rollbackCreate(s, "User Initiated"))
	case "UPDATE_FAILED":
		s.Settings.RetainExceptOnCreate = retainExceptOnCreate
		return s.ID, e.run(e.rollbackUpdate(s, "User Initiated", nil))
	}
	return "", invalid("RollbackStack cannot be called in a %s state.", s.Status)
}

// ContinueUpdateRollback tries a failed rollback again.
func (e *Engine) ContinueUpdateRollback(name string, skip []string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	s, err := e.must(name)
	if err != nil {
		return err
	}
	if s.Status != "UPDATE_ROLLBACK_FAILED" {
		return invalid("Stack:%s is in %s state and can not be rolled back.", s.ID, s.Status)
	}
	for _, id := range skip {
		// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ContinueUpdateRollback.html
		if r := s.Resources[id]; r == nil || r.Status != "UPDATE_FAILED" {
			return invalid("Resource %s can't be skipped: only resources that are in the UPDATE_FAILED state because a rollback failed can be", id)
		}
	}
	return e.run(e.rollbackUpdate(s, "User Initiated", skip))
}

// Protect sets termination protection.
func (e *Engine) Protect(name string, on bool) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s, err := e.must(name)
	if err != nil {
		return "", err
	}
	// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-protect-stacks.html
	if strings.HasPrefix(s.Status, "DELETE_") && s.Status != "DELETE_FAILED" {
		return "", invalid("Stack [%s] is in %s state and its termination protection can't be set", s.Name, s.Status)
	}
	s.TerminationProtection = on
	return s.ID, e.save()
}

// View shows the stack of a name or ID to f.
func (e *Engine) View(name string, f func(*Stack) error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.find(name)
	if s == nil {
		return invalid("Stack with id %s does not exist", name)
	}
	return f(s)
}

// Each shows all stacks, oldest first, to f.
func (e *Engine) Each(f func(*Stack)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []*Stack
	for _, s := range e.stacks {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *Stack) int { return a.Created.Compare(b.Created) })
	for _, s := range all {
		f(s)
	}
}

// Importers lists who imports an export.
func (e *Engine) Importers(export string) ([]string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, o := e.export(export); o == nil {
		return nil, invalid("Export '%s' does not exist.", export)
	}
	users := e.importers(export)
	if len(users) == 0 {
		return nil, invalid("Export '%s' is not imported by any stack.", export)
	}
	return users, nil
}

// Summarize reads a template without deploying it.
func (e *Engine) Summarize(r Request) (*template.Template, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.find(r.StackName)
	if s != nil && r.TemplateBody == "" && r.TemplateURL == "" {
		r.UsePreviousTemplate = true
	}
	body, err := e.body(r, s)
	if err != nil {
		return nil, err
	}
	t, err := template.Parse(body)
	if err == nil {
		err = t.Check(e.options.AnswersCustom)
	}
	return t, asInvalid(err)
}

// Parameter gives the value of an SSM parameter.
func (e *Engine) Parameter(name string) (string, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ssm(name)
}

// Model is a resource as Cloud Control shows it.
type Model struct {
	ID         string
	Properties string
}

// ListModels lists the resources of a type.
func (e *Engine) ListModels(typ string) ([]Model, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if schema.Lookup(typ) == nil {
		near := template.Nearest(typ, schema.Names())
		if near != "" {
			near = " The type nearest to it is " + near + "."
		}
		return nil, &APIError{"TypeNotFoundException", fmt.Sprintf("The type '%s' cannot be found.%s", typ, near)}
	}
	out := []Model{}
	for _, o := range e.cloud.List(typ) {
		out = append(out, Model{o.ID, template.JSON(e.cloud.Model(o))})
	}
	return out, nil
}

// GetModel reads one resource.
func (e *Engine) GetModel(typ, id string) (Model, error) {
	if _, err := e.ListModels(typ); err != nil {
		return Model{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	o := e.cloud.Get(typ, id)
	if o == nil {
		return Model{}, &APIError{"ResourceNotFoundException", fmt.Sprintf("Resource of type '%s' with identifier '%s' was not found.", typ, id)}
	}
	return Model{o.ID, template.JSON(e.cloud.Model(o))}, nil
}
