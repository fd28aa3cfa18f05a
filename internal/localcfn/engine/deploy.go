package engine

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-cdk/postern/internal/localcfn/cloud"
	"github.com/postern-cdk/postern/internal/localcfn/schema"
	"github.com/postern-cdk/postern/internal/localcfn/template"
)

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// deployment is one create, update or rollback under way.
type deployment struct {
	e     *Engine
	s     *Stack
	to    target
	env   *env
	scope *template.Scope
	order []string
	needs map[string][]string
	// leaving holds what is deleted once all else is done.
	leaving []leaving
}

func (e *Engine) deployment(s *Stack, to target) (*deployment, error) {
	d := &deployment{e: e, s: s, to: to, env: &env{e, s, map[string]bool{}}}
	d.scope = &template.Scope{
		Template: to.t, Parameters: to.bound, Pseudo: e.pseudo(s.Name, s.ID, to.settings.NotificationARNs), Env: d.env,
	}
	var err error
	d.order, d.needs, err = d.scope.Order()
	return d, err
}

// take makes the stack what is deployed to it.
func (d *deployment) take() {
	s := d.s
	s.Body, s.parsed, s.Description = d.to.t.Body, d.to.t, d.to.t.Description
	s.Parameters, s.Resolved, s.Tags, s.Settings = d.to.parameters, d.to.resolved, d.to.tags, d.to.settings
}

// refusal is why an operation on a resource failed.
type refusal struct{ reason string }

func (r *refusal) Error() string { return r.reason }

func refuse(format string, args ...any) error { return &refusal{fmt.Sprintf(format, args...)} }

// properties evaluates and checks the properties of a resource.
func (d *deployment) properties(id string) (map[string]any, error) {
	tr := d.to.t.Resources[id]
	x, err := d.scope.Eval(anyMap(tr.Properties))
	if err != nil {
		return nil, &refusal{err.Error()}
	}
	props := x.(map[string]any)
	if faults := template.CheckProperties(schema.Lookup(tr.Type), props); len(faults) > 0 {
		return props, refuse("Properties validation failed for resource %s with message:\n%s", id, strings.Join(faults, "\n"))
	}
	return props, d.updatePolicy(tr, props)
}

// updatePolicy checks what CloudFormation checks before a rolling update.
// https://repost.aws/knowledge-center/cloudformation-rollback-error-asg
func (d *deployment) updatePolicy(tr *template.Resource, props map[string]any) error {
	if tr.Type != "AWS::AutoScaling::AutoScalingGroup" || tr.UpdatePolicy == nil {
		return nil
	}
	x, err := d.scope.Eval(tr.UpdatePolicy)
	if err != nil {
		return &refusal{err.Error()}
	}
	policy, _ := x.(map[string]any)
	rolling, ok := policy["AutoScalingRollingUpdate"].(map[string]any)
	if !ok {
		return nil
	}
	least, ok1 := integer(rolling["MinInstancesInService"])
	most, ok2 := integer(props["MaxSize"])
	if ok1 && ok2 && least > 0 && least >= most {
		return refuse("MinInstancesInService must be less than the autoscaling group's MaxSize")
	}
	return nil
}

func integer(v any) (int, bool) {
	text, _ := template.Text(v)
	n, err := strconv.Atoi(text)
	return n, err == nil
}

// tagged gives the properties with the stack's tags, where the type takes them.
func tagged(t *schema.Type, props map[string]any, tags []Tag) map[string]any {
	out := template.CloneMap(props)
	if t.TagProperty == "" || len(tags) == 0 {
		return out
	}
	if t.TagMap {
		m, _ := out[t.TagProperty].(map[string]any)
		m = maps.Clone(anyMap(m))
		for _, tag := range tags {
			if _, own := m[tag.Key]; !own {
				m[tag.Key] = tag.Value
			}
		}
		out[t.TagProperty] = m
		return out
	}
	list, _ := out[t.TagProperty].([]any)
	list = slices.Clone(list)
	for _, tag := range tags {
		own := slices.ContainsFunc(list, func(x any) bool {
			m, _ := x.(map[string]any)
			return m["Key"] == tag.Key
		})
		if own {
			continue
		}
		item := map[string]any{"Key": tag.Key, "Value": tag.Value}
		if t.Name == "AWS::AutoScaling::AutoScalingGroup" {
			item["PropagateAtLaunch"] = true
		}
		list = append(list, item)
	}
	out[t.TagProperty] = list
	return out
}

// make creates the resource in the cloud and puts it into r.
func (d *deployment) make(r *Resource, props map[string]any, status string) error {
	e, t := d.e, schema.Lookup(r.Type)
	e.pause()
	if message := e.failing("Create", r.Type, r.LogicalID); message != "" {
		return &refusal{message}
	}
	owner := cloud.Owner{StackName: d.s.Name, StackID: d.s.ID, LogicalID: r.LogicalID}
	if schema.IsCustom(r.Type) {
		return d.makeCustom(r, props, status, owner)
	}
	// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/import-resources-automatically.html
	if policy := extraOf(d.to.t.Resources[r.LogicalID])["DeletionPolicy"]; d.to.settings.ImportExisting && policy != nil && policy != "Delete" {
		if o := e.cloud.Adopt(r.Type, tagged(t, props, d.to.tags), owner); o != nil {
			d.made(r, o, props)
			e.event(d.s, r, "IMPORT_IN_PROGRESS", "Resource import started.")
			e.event(d.s, r, "IMPORT_COMPLETE", "Resource import completed.")
			return nil
		}
	}
	o, fault := e.cloud.Create(r.Type, tagged(t, props, d.to.tags), owner)
	if fault != nil {
		if strings.Contains(fault.Message, "already exists in stack") {
			return &refusal{fault.Message}
		}
		return &refusal{fault.Handler(e.cloud.UUID("token"))}
	}
	d.made(r, o, props)
	e.event(d.s, r, status+"_IN_PROGRESS", "Resource creation Initiated")
	e.event(d.s, r, status+"_COMPLETE", "")
	return nil
}

func (d *deployment) made(r *Resource, o *cloud.Object, props map[string]any) {
	r.Ref, r.ObjectID, r.Declared, r.Tags = o.Ref, o.ID, props, d.tags(schema.Lookup(r.Type))
	r.DependsOn, r.Extra = d.needs[r.LogicalID], extraOf(d.to.t.Resources[r.LogicalID])
	if r.Type == "AWS::S3::Bucket" && d.e.buckets[o.ID] == nil {
		d.e.buckets[o.ID] = map[string]*S3Object{}
	}
}

// create makes a resource that the stack doesn't have yet.
func (d *deployment) create(id string) error {
	tr := d.to.t.Resources[id]
	r := &Resource{
		LogicalID: id, Type: tr.Type,
		// Known even if it fails, so that a rollback deletes in order.
		DependsOn: d.needs[id], Extra: extraOf(tr),
	}
	d.s.Resources[id] = r
	d.e.event(d.s, r, "CREATE_IN_PROGRESS", "")
	props, err := d.properties(id)
	if err == nil {
		err = d.make(r, props, "CREATE")
	}
	if err != nil {
		d.e.event(d.s, r, "CREATE_FAILED", err.Error())
	}
	return err
}

// update brings a resource that exists to what the template says.
func (d *deployment) update(id string) error {
	e, s := d.e, d.s
	r, tr := s.Resources[id], d.to.t.Resources[id]
	t := schema.Lookup(tr.Type)
	props, err := d.properties(id)
	if err != nil {
		e.event(s, r, "UPDATE_IN_PROGRESS", "")
		e.event(s, r, "UPDATE_FAILED", err.Error())
		return err
	}
	extra := extraOf(tr)
	changes := compare(anyMap(r.Declared), props, nil)
	if len(changes) == 0 && !d.retagged(t, r) {
		r.DependsOn = d.needs[id]
		if !template.Equal(r.Extra, extra) {
			r.Extra = extra
			e.event(s, r, "UPDATE_IN_PROGRESS", "")
			e.event(s, r, "UPDATE_COMPLETE", "")
		}
		return nil
	}
	if replaces(t, changes, anyMap(r.Declared), props, tr) {
		err = d.replace(r, t, props)
	} else {
		err = d.inPlace(r, t, props)
	}
	if err != nil {
		e.event(s, s.Resources[id], "UPDATE_FAILED", err.Error())
	}
	return err
}

// tags gives the stack tags that reach a resource of the type.
func (d *deployment) tags(t *schema.Type) []Tag {
	if t.TagProperty == "" {
		return nil
	}
	return d.to.tags
}

// retagged says that other stack tags reach the resource than did before.
func (d *deployment) retagged(t *schema.Type, r *Resource) bool {
	return !slices.Equal(r.Tags, d.tags(t))
}

func (d *deployment) inPlace(r *Resource, t *schema.Type, props map[string]any) error {
	e := d.e
	e.event(d.s, r, "UPDATE_IN_PROGRESS", "")
	e.pause()
	if message := e.failing("Update", r.Type, r.LogicalID); message != "" {
		return &refusal{message}
	}
	o := e.cloud.Get(r.Type, r.ObjectID)
	if o == nil {
		return refuse("Resource of type '%s' with identifier '%s' was not found.", r.Type, r.ObjectID)
	}
	if schema.IsCustom(r.Type) {
		return d.updateCustom(r, o, props)
	}
	e.cloud.Update(o, tagged(t, props, d.to.tags))
	r.Declared, r.Tags = props, d.tags(t)
	r.DependsOn, r.Extra = d.needs[r.LogicalID], extraOf(d.to.t.Resources[r.LogicalID])
	e.event(d.s, r, "UPDATE_COMPLETE", "")
	return nil
}

func (d *deployment) replace(r *Resource, t *schema.Type, props map[string]any) error {
	e, s := d.e, d.s
	if t.DeleteFirst {
		return d.deleteFirst(r, props)
	}
	e.event(s, r, "UPDATE_IN_PROGRESS", "Requested update requires the creation of a new physical resource; hence creating one.")
	if name := cloud.NameProperty(t); name != "" && r.Declared[name] != nil && template.Equal(r.Declared[name], props[name]) {
		text, _ := template.Text(props[name])
		return refuse("CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename %s and update the stack again.", text)
	}
	next := &Resource{LogicalID: r.LogicalID, Type: r.Type}
	if err := d.make(next, props, "UPDATE"); err != nil {
		return err
	}
	s.Resources[r.LogicalID] = next
	policy, _ := next.Extra["UpdateReplacePolicy"].(string)
	d.leaving = append(d.leaving, leaving{r, policy})
	return nil
}

// deleteFirst replaces where the provider deletes before it creates.
func (d *deployment) deleteFirst(r *Resource, props map[string]any) error {
	e, s := d.e, d.s
	e.event(s, r, "UPDATE_IN_PROGRESS", "Requested update requires the creation of a new physical resource; hence creating one.")
	if message := e.failing("Delete", r.Type, r.LogicalID); message != "" {
		return &refusal{message}
	}
	if o := e.cloud.Get(r.Type, r.ObjectID); o != nil {
		e.cloud.Delete(o)
	}
	next := &Resource{LogicalID: r.LogicalID, Type: r.Type, DependsOn: d.needs[r.LogicalID], Extra: extraOf(d.to.t.Resources[r.LogicalID])}
	s.Resources[r.LogicalID] = next
	return d.make(next, props, "UPDATE")
}

// outputs evaluates the outputs and checks the exports.
func (d *deployment) outputs() error {
	e, s := d.e, d.s
	out := []Output{}
	for _, key := range sorted(d.to.t.Outputs) {
		o := d.to.t.Outputs[key]
		live, err := d.scope.Live(o.Condition)
		if err != nil {
			return err
		}
		if !live {
			continue
		}
		v, err := d.scope.Eval(o.Value)
		if err != nil {
			return err
		}
		text, ok := template.Text(v)
		if !ok {
			return refuse("Template format error: The Value field of every Outputs member must evaluate to a String: %s", key)
		}
		name := ""
		if o.ExportName != nil {
			x, err := d.scope.Eval(o.ExportName)
			if err != nil {
				return err
			}
			if name, ok = x.(string); !ok || name == "" {
				return refuse("Template format error: Output %s is malformed. The Name field of every Export member must be specified and consist only of alphanumeric characters, colons, or hyphens.", key)
			}
			if other, _ := e.export(name); other != nil && other != s {
				return refuse("Export with name %s is already exported by stack %s. Rollback requested by user.", name, other.Name)
			}
			for _, x := range out {
				if x.ExportName == name {
					return refuse("Export with name %s is already exported by stack %s. Rollback requested by user.", name, s.Name)
				}
			}
		}
		out = append(out, Output{key, text, o.Description, name})
	}
	for _, old := range s.Outputs {
		if old.ExportName == "" {
			continue
		}
		users := slices.DeleteFunc(e.importers(old.ExportName), func(n string) bool { return n == s.Name })
		if len(users) == 0 {
			continue
		}
		i := slices.IndexFunc(out, func(o Output) bool { return o.ExportName == old.ExportName })
		if i < 0 {
			return refuse("Export %s cannot be deleted as it is in use by %s", old.ExportName, strings.Join(users, " and "))
		}
		if out[i].Value != old.Value {
			return refuse("Export %s cannot be updated as it is in use by %s", old.ExportName, strings.Join(users, " and "))
		}
	}
	s.Outputs = out
	s.Imports = sorted(d.env.imports)
	return nil
}

// attempts is how often an old resource is tried to be deleted.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-monitor-stack.html
const attempts = 3

// create begins the first deployment of a stack; what it returns does the rest.
func (e *Engine) create(s *Stack, to target) func() {
	e.status(s, "CREATE_IN_PROGRESS", "User Initiated")
	return func() { e.createNow(s, to) }
}

func (e *Engine) createNow(s *Stack, to target) {
	d, err := e.deployment(s, to)
	if err == nil {
		d.take()
		err = d.createAll()
	}
	if err == nil {
		e.status(s, "CREATE_COMPLETE", "")
		return
	}
	reason := failures(s, err, "create", "CREATE_FAILED")
	switch {
	case to.settings.DisableRollback || to.settings.OnFailure == "DO_NOTHING":
		e.status(s, "CREATE_FAILED", reason)
	case to.settings.OnFailure == "DELETE":
		e.status(s, "DELETE_IN_PROGRESS", reason+"Delete requested by user.")
		e.deleteAll(s, nil, true, "DELETE")
	default:
		e.rollbackCreate(s, reason+"Rollback requested by user.")()
	}
}

func (d *deployment) createAll() error {
	for _, id := range d.order {
		if d.s.Resources[id].exists() {
			continue
		}
		if err := d.create(id); err != nil {
			return err
		}
	}
	return d.outputs()
}

// update begins a deployment to a stack that exists; what it returns does the rest.
func (e *Engine) update(s *Stack, to target) func() {
	for id, r := range s.Resources {
		if !r.exists() && strings.HasPrefix(r.Status, "DELETE") {
			delete(s.Resources, id)
		}
	}
	failedCreate := s.Status == "CREATE_FAILED"
	if s.Undo == nil && !failedCreate {
		e.remember(s)
	}
	e.status(s, "UPDATE_IN_PROGRESS", "User Initiated")
	s.Updated = e.now()
	return func() { e.updateNow(s, to, failedCreate) }
}

func (e *Engine) updateNow(s *Stack, to target, failedCreate bool) {
	d, err := e.deployment(s, to)
	if err == nil {
		d.take()
		err = d.updateAll()
	}
	if err != nil {
		reason := failures(s, err, "update", "UPDATE_FAILED")
		if strings.Contains(failures(s, err, "create", "CREATE_FAILED"), "failed to create") {
			reason = failures(s, err, "create", "CREATE_FAILED")
		}
		switch {
		case to.settings.DisableRollback:
			e.status(s, "UPDATE_FAILED", reason)
		case failedCreate:
			e.rollbackCreate(s, reason)()
		default:
			e.rollbackUpdate(s, reason, nil)()
		}
		return
	}
	e.status(s, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "")
	d.leaving = append(d.leaving, e.leftovers(s, nil, d.leaving...)...)
	reason := d.cleanup()
	s.Undo = nil
	e.status(s, "UPDATE_COMPLETE", reason)
}

func (d *deployment) updateAll() error {
	s := d.s
	for _, id := range d.order {
		if s.Resources[id].exists() {
			if err := d.update(id); err != nil {
				return err
			}
		} else if err := d.create(id); err != nil {
			return err
		}
	}
	if err := d.outputs(); err != nil {
		return err
	}
	for _, id := range sorted(s.Resources) {
		if r := s.Resources[id]; !slices.Contains(d.order, id) {
			d.leaving = append(d.leaving, leaving{r, r.deletionPolicy()})
			delete(s.Resources, id)
		}
	}
	return nil
}
