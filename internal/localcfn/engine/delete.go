package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-cdk/postern/internal/localcfn/cloud"
	"github.com/postern-cdk/postern/internal/localcfn/schema"
	"github.com/postern-cdk/postern/internal/localcfn/template"
)

type leaving struct {
	r      *Resource
	policy string
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
