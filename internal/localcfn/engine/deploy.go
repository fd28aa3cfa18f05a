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

type leaving struct {
	r      *Resource
	policy string
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

// deleteResource removes what a resource stands for, or keeps it if its policy says so.
func (e *Engine) deleteResource(s *Stack, r *Resource, policy string) error {
	if !r.exists() {
		e.event(s, r, "DELETE_COMPLETE", "")
		return nil
	}
	o := e.cloud.Get(r.Type, r.ObjectID)
	if o != nil && (policy == "Retain" || policy == "RetainExceptOnCreate") {
		o.Stack, o.LogicalID = "", ""
		e.event(s, r, "DELETE_SKIPPED", "")
		return nil
	}
	e.event(s, r, "DELETE_IN_PROGRESS", "")
	e.pause()
	message := e.failing("Delete", r.Type, r.LogicalID)
	if message == "" && r.Type == "AWS::S3::Bucket" && len(e.buckets[r.ObjectID]) > 0 {
		message = (&cloud.Fault{Message: "The bucket you tried to delete is not empty (Service: S3, Status Code: 409)", Code: "GeneralServiceException"}).Handler(e.cloud.UUID("token"))
	}
	if message == "" && o != nil && schema.IsCustom(r.Type) {
		message = e.deleteCustom(s, r, o)
	}
	if message != "" {
		e.event(s, r, "DELETE_FAILED", message)
		return &refusal{message}
	}
	if o != nil {
		e.cloud.Delete(o)
	}
	if r.Type == "AWS::S3::Bucket" {
		delete(e.buckets, r.ObjectID)
	}
	e.event(s, r, "DELETE_COMPLETE", "")
	return nil
}

// attempts is how often an old resource is tried to be deleted.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-monitor-stack.html
const attempts = 3

// cleanup deletes what the update left over, each before what it needs. It
// never fails the update: what can't be deleted leaves the stack, and the
// reason that it returns tells so.
func (d *deployment) cleanup() string {
	reason := ""
	for _, l := range dependentsFirst(d.leaving) {
		deleted := false
		for range attempts {
			if deleted = d.e.deleteResource(d.s, l.r, l.policy) == nil; deleted {
				break
			}
		}
		if !deleted {
			reason = "Update successful. One or more resources could not be deleted."
		}
		if o := d.e.cloud.Get(l.r.Type, l.r.ObjectID); o != nil {
			o.Stack, o.LogicalID = "", ""
		}
	}
	return reason
}

// dependentsFirst sorts so that each comes before those it needs.
func dependentsFirst(list []leaving) []leaving {
	byKey, keys := map[string]leaving{}, map[string][]string{}
	for _, l := range list {
		id := l.r.LogicalID
		key := id
		for n := 2; byKey[key].r != nil; n++ {
			key = fmt.Sprintf("%s#%d", id, n) // an old one and a new one of the same name
		}
		byKey[key] = l
		keys[id] = append(keys[id], key)
	}
	needs := map[string][]string{}
	for key, l := range byKey {
		needs[key] = nil
		for _, id := range l.r.DependsOn {
			needs[key] = append(needs[key], keys[id]...)
		}
	}
	order, circle := template.Sort(needs)
	if len(circle) > 0 { // two generations that need each other the other way round
		order = sorted(byKey)
	}
	out := make([]leaving, 0, len(list))
	for _, key := range slices.Backward(order) {
		out = append(out, byKey[key])
	}
	return out
}

// leftovers lists what the stack owns in the cloud and no member stands for:
// halves of replacements that earlier failures left behind, too. The resources
// in known and those of the stack's memory tell what each needs.
func (e *Engine) leftovers(s *Stack, known map[string]*Resource, listed ...leaving) []leaving {
	var out []leaving
	for _, o := range e.cloud.Owned(s.ID) {
		if slices.ContainsFunc(listed, func(l leaving) bool { return l.r.Type == o.Type && l.r.ObjectID == o.ID }) {
			continue
		}
		member := s.Resources[o.LogicalID]
		if member.exists() && member.Type == o.Type && member.ObjectID == o.ID {
			continue
		}
		same := func(r *Resource) bool { return r.exists() && r.Type == o.Type && r.ObjectID == o.ID }
		l := leaving{r: &Resource{LogicalID: o.LogicalID, Type: o.Type, Ref: o.Ref, ObjectID: o.ID}}
		if r := known[o.LogicalID]; same(r) {
			l.r = r.clone()
		} else if member != nil {
			l.r.DependsOn = member.DependsOn // most likely
		}
		if s.Undo != nil && same(s.Undo.Resources[o.LogicalID]) {
			l.r = s.Undo.Resources[o.LogicalID].clone()
			l.policy = l.r.deletionPolicy()
			if member != nil {
				l.policy, _ = member.Extra["UpdateReplacePolicy"].(string)
			}
		}
		out = append(out, l)
	}
	return out
}

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

// failures gives the reason as the stack tells it.
func failures(s *Stack, err error, verb, status string) string {
	var failed []string
	for _, id := range sorted(s.Resources) {
		if s.Resources[id].Status == status {
			failed = append(failed, id)
		}
	}
	if len(failed) == 0 {
		return err.Error() + " "
	}
	return fmt.Sprintf("The following resource(s) failed to %s: [%s]. ", verb, strings.Join(failed, ", "))
}

// createdPolicy says what a rollback does with a resource that the operation created.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html
func (s *Stack) createdPolicy(r *Resource) string {
	policy := r.deletionPolicy()
	if policy == "RetainExceptOnCreate" || s.Settings.RetainExceptOnCreate {
		return "Delete"
	}
	return policy
}

// rollbackCreate begins to delete what a failed create made.
func (e *Engine) rollbackCreate(s *Stack, reason string) func() {
	e.status(s, "ROLLBACK_IN_PROGRESS", strings.TrimSpace(reason))
	return func() { e.deleteAll(s, nil, true, "ROLLBACK") }
}

// deleteAll deletes all resources and ends with verb_COMPLETE or verb_FAILED.
func (e *Engine) deleteAll(s *Stack, retain []string, undoing bool, verb string) {
	all := e.leftovers(s, nil)
	for i := range all {
		if undoing {
			all[i].policy = "" // what a failed create made
		}
		if slices.Contains(retain, all[i].r.LogicalID) {
			all[i].policy = "Retain"
		}
	}
	for _, id := range sorted(s.Resources) {
		r := s.Resources[id]
		if r.Status == "DELETE_COMPLETE" || r.Status == "DELETE_SKIPPED" {
			continue
		}
		policy := r.deletionPolicy()
		if undoing {
			policy = s.createdPolicy(r)
		}
		if slices.Contains(retain, id) {
			policy = "Retain"
		}
		all = append(all, leaving{r, policy})
	}
	var failed []string
	for _, l := range dependentsFirst(all) {
		id := l.r.LogicalID
		blocked := false
		for _, other := range failed {
			blocked = blocked || e.needs(s, other, id)
		}
		if !blocked && e.deleteResource(s, l.r, l.policy) != nil {
			failed = append(failed, id)
		}
	}
	if len(failed) > 0 {
		e.status(s, verb+"_FAILED", fmt.Sprintf("The following resource(s) failed to delete: [%s]. ", strings.Join(failed, ", ")))
		return
	}
	s.Outputs, s.Imports, s.Undo = nil, nil, nil
	if verb == "DELETE" {
		s.Deleted = e.now()
		s.ChangeSets = nil
	}
	e.status(s, verb+"_COMPLETE", "")
}

// needs says whether a uses b, directly or through others.
func (e *Engine) needs(s *Stack, a, b string) bool {
	seen := map[string]bool{}
	var walk func(string) bool
	walk = func(id string) bool {
		if id == b {
			return true
		}
		if seen[id] || s.Resources[id] == nil {
			return false
		}
		seen[id] = true
		return slices.ContainsFunc(s.Resources[id].DependsOn, walk)
	}
	return walk(a)
}

// remember keeps the stack as it is, for a rollback.
func (e *Engine) remember(s *Stack) {
	u := &Undo{
		Body: s.Body, Parameters: s.Parameters, Resolved: s.Resolved, Tags: s.Tags, Outputs: s.Outputs, Imports: s.Imports,
		Settings: s.Settings, Resources: map[string]*Resource{},
	}
	for id, r := range s.Resources {
		u.Resources[id] = r.clone()
	}
	s.Undo = u
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

// rollbackUpdate begins to bring the stack back to what it remembers.
// Resources named in skip are taken as they are.
func (e *Engine) rollbackUpdate(s *Stack, reason string, skip []string) func() {
	e.status(s, "UPDATE_ROLLBACK_IN_PROGRESS", strings.TrimSpace(reason))
	return func() {
		if err := e.undo(s, s.Undo, skip); err != nil {
			e.status(s, "UPDATE_ROLLBACK_FAILED", strings.TrimSpace(failures(s, err, "update", "UPDATE_FAILED")))
		}
	}
}

func (e *Engine) undo(s *Stack, u *Undo, skip []string) error {
	t, err := template.Parse(u.Body)
	if err != nil {
		return err
	}
	to := target{t: t, parameters: u.Parameters, resolved: u.Resolved, tags: u.Tags, settings: u.Settings}
	to.bound = bound(t, u.Parameters, u.Resolved)
	d, err := e.deployment(s, to)
	if err != nil {
		return err
	}
	was, policies := maps.Clone(s.Resources), map[string]string{}
	for id, r := range was {
		policies[id] = s.createdPolicy(r) // by the settings of the operation that failed
	}
	var failed error
	for _, id := range d.order {
		old, now := u.Resources[id], s.Resources[id]
		if old == nil {
			continue
		}
		if slices.Contains(skip, id) {
			e.event(s, now, "UPDATE_COMPLETE", "Resource skipped during UpdateRollback")
			continue
		}
		if err := d.back(old, now); err != nil {
			failed = err
			break
		}
	}
	if failed != nil {
		return failed
	}
	d.take()
	s.Outputs, s.Imports = u.Outputs, u.Imports
	d.leaving = nil
	for _, id := range sorted(s.Resources) {
		if r := s.Resources[id]; u.Resources[id] == nil {
			d.leaving = append(d.leaving, leaving{r, policies[id]})
			delete(s.Resources, id)
		}
	}
	e.status(s, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "")
	// Replacements that are not needed any more go, too.
	for _, l := range e.leftovers(s, was, d.leaving...) {
		d.leaving = append(d.leaving, leaving{l.r, ""})
	}
	reason := d.cleanup()
	s.Undo = nil
	e.status(s, "UPDATE_ROLLBACK_COMPLETE", reason)
	return nil
}

// back brings one resource back to what it was.
func (d *deployment) back(old, now *Resource) error {
	e, s, id := d.e, d.s, old.LogicalID
	reverted := false
	if now == nil || now.ObjectID != old.ObjectID {
		if e.cloud.Get(old.Type, old.ObjectID) != nil || !old.exists() {
			r := old.clone()
			s.Resources[id] = r
			e.event(s, r, "UPDATE_IN_PROGRESS", "")
			reverted = true
		} else {
			// It was deleted before its replacement was made.
			if now.exists() {
				if err := e.deleteResource(s, now.clone(), ""); err != nil {
					return err
				}
			}
			r := old.clone()
			r.ObjectID, r.Ref = "", ""
			s.Resources[id] = r
			props, err := d.properties(id)
			if err == nil {
				err = d.make(r, props, "UPDATE")
			}
			if err != nil {
				e.event(s, r, "UPDATE_FAILED", err.Error())
			}
			return err
		}
	}
	r := s.Resources[id]
	if !r.exists() {
		return nil
	}
	x, err := d.scope.Eval(anyMap(d.to.t.Resources[id].Properties))
	if err != nil {
		e.event(s, r, "UPDATE_FAILED", err.Error())
		return err
	}
	props := x.(map[string]any)
	t := schema.Lookup(r.Type)
	if len(compare(anyMap(r.Declared), props, nil)) > 0 || d.retagged(t, r) || r.Status == "UPDATE_FAILED" {
		if err := d.inPlace(r, t, props); err != nil {
			e.event(s, r, "UPDATE_FAILED", err.Error())
			return err
		}
		return nil
	}
	r.DependsOn, r.Extra = d.needs[id], extraOf(d.to.t.Resources[id])
	if reverted {
		e.event(s, r, "UPDATE_COMPLETE", "")
	}
	return nil
}

// bound binds parameters whose SSM values are known.
func bound(t *template.Template, values, resolved map[string]string) map[string]any {
	out := map[string]any{}
	for name, p := range t.Parameters {
		text := values[name]
		if v, ok := resolved[name]; ok {
			text = v
		}
		out[name] = p.Bind(text)
	}
	return out
}

// remove begins to delete a stack.
func (e *Engine) remove(s *Stack, retain []string) func() {
	for _, o := range s.Outputs {
		if users := e.importers(o.ExportName); o.ExportName != "" && len(users) > 0 {
			// The stack stays as it is and only its reason tells.
			// https://github.com/aws/aws-cdk/issues/604
			e.status(s, s.Status, fmt.Sprintf("Export %s cannot be deleted as it is in use by %s", o.ExportName, strings.Join(users, " and ")))
			return func() {}
		}
	}
	e.status(s, "DELETE_IN_PROGRESS", "User Initiated")
	return func() { e.deleteAll(s, retain, false, "DELETE") }
}
