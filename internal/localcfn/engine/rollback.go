package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/postern-cdk/postern/internal/localcfn/schema"
	"github.com/postern-cdk/postern/internal/localcfn/template"
)

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
