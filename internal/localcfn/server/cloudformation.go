package server

import (
	"fmt"
	"maps"
	"slices"

	"github.com/postern-cdk/postern/internal/localcfn/engine"
	"github.com/postern-cdk/postern/internal/localcfn/template"
)

func (s *Server) request(f form) engine.Request {
	r := engine.Request{
		StackName: f.get("StackName"), TemplateBody: f.get("TemplateBody"), TemplateURL: f.get("TemplateURL"),
		UsePreviousTemplate: f.bool("UsePreviousTemplate"), Parameters: map[string]template.Given{},
		Protect: f.bool("EnableTerminationProtection"), ChangeSetName: f.get("ChangeSetName"), ChangeSetType: f.get("ChangeSetType"),
		Description: f.get("Description"), ImportAny: f.get("ResourcesToImport.member.1.ResourceType") != "",
		Settings: engine.Settings{
			Capabilities: f.list("Capabilities"), RoleARN: f.get("RoleARN"), NotificationARNs: f.list("NotificationARNs"),
			DisableRollback: f.bool("DisableRollback"), OnFailure: f.get("OnFailure"),
			ImportExisting: f.bool("ImportExistingResources"), RetainExceptOnCreate: f.bool("RetainExceptOnCreate"),
		},
	}
	if f.get("OnStackFailure") == "DO_NOTHING" {
		r.Settings.DisableRollback = true
	}
	if v := f.get("OnStackFailure"); v != "" {
		r.Settings.OnFailure = v
	}
	for i := 1; ; i++ {
		p := fmt.Sprintf("Parameters.member.%d.", i)
		if f.get(p+"ParameterKey") == "" {
			break
		}
		r.Parameters[f.get(p+"ParameterKey")] = template.Given{Value: f.get(p + "ParameterValue"), UsePrevious: f.bool(p + "UsePreviousValue")}
	}
	_, empty := f["Tags"]
	r.TagsGiven = empty
	for i := 1; ; i++ {
		p := fmt.Sprintf("Tags.member.%d.", i)
		if f.get(p+"Key") == "" {
			break
		}
		r.TagsGiven = true
		r.Tags = append(r.Tags, engine.Tag{Key: f.get(p + "Key"), Value: f.get(p + "Value")})
	}
	return r
}

// page cuts a list of n into pages.
func page[T any](f form, all []T, size int) ([]T, []el, error) {
	from, err := start(f.get("NextToken"), len(all))
	if err != nil {
		return nil, nil, &engine.APIError{Code: "ValidationError", Message: "Invalid NextToken"}
	}
	to := min(from+size, len(all))
	if to < len(all) {
		return all[from:to], []el{text("NextToken", fmt.Sprint(to))}, nil
	}
	return all[from:to], nil, nil
}

func (s *Server) cloudFormation(action string, f form) ([]el, error) {
	e := s.engine
	switch action {
	case "CreateStack":
		id, err := e.CreateStack(s.request(f))
		return []el{text("StackId", id)}, err
	case "UpdateStack":
		id, err := e.UpdateStack(s.request(f))
		return []el{text("StackId", id)}, err
	case "DeleteStack":
		return nil, e.DeleteStack(f.get("StackName"), f.list("RetainResources"))
	case "CreateChangeSet":
		id, stack, err := e.CreateChangeSet(s.request(f))
		return []el{text("Id", id), text("StackId", stack)}, err
	case "DescribeChangeSet":
		return s.describeChangeSet(f)
	case "ExecuteChangeSet":
		how := engine.Execution{RetainExceptOnCreate: f.bool("RetainExceptOnCreate")}
		if v := f.get("DisableRollback"); v != "" {
			b := v == "true"
			how.DisableRollback = &b
		}
		return nil, e.ExecuteChangeSet(f.get("StackName"), f.get("ChangeSetName"), how)
	case "DeleteChangeSet":
		return nil, e.DeleteChangeSet(f.get("StackName"), f.get("ChangeSetName"))
	case "ListChangeSets":
		var out []el
		err := e.View(f.get("StackName"), func(st *engine.Stack) error {
			out = []el{members("Summaries", st.ChangeSets, func(c *engine.ChangeSet) []el { return changeSetHead(st, c) })}
			return nil
		})
		return out, err
	case "DescribeStacks":
		return s.describeStacks(f)
	case "ListStacks":
		return s.listStacks(f)
	case "DescribeStackEvents":
		var out []el
		err := e.View(f.get("StackName"), func(st *engine.Stack) error {
			events := slices.Clone(st.Events)
			slices.Reverse(events)
			some, next, err := page(f, events, 100)
			out = append([]el{members("StackEvents", some, func(x *engine.Event) []el { return event(st, x) })}, next...)
			return err
		})
		return out, err
	case "DescribeStackResources":
		name := f.get("StackName")
		if name == "" {
			return s.byPhysicalID(f.get("PhysicalResourceId"))
		}
		var out []el
		err := e.View(name, func(st *engine.Stack) error {
			out = []el{members("StackResources", resources(st, f.get("LogicalResourceId")), func(r *engine.Resource) []el { return resource(st, r, "Timestamp") })}
			return nil
		})
		return out, err
	case "DescribeStackResource":
		var out []el
		err := e.View(f.get("StackName"), func(st *engine.Stack) error {
			list := resources(st, f.get("LogicalResourceId"))
			if len(list) == 0 {
				return &engine.APIError{Code: "ValidationError", Message: fmt.Sprintf("Resource %s does not exist for stack %s", f.get("LogicalResourceId"), st.Name)}
			}
			out = []el{group("StackResourceDetail", resource(st, list[0], "LastUpdatedTimestamp")...)}
			return nil
		})
		return out, err
	case "ListStackResources":
		var out []el
		err := e.View(f.get("StackName"), func(st *engine.Stack) error {
			some, next, err := page(f, resources(st, ""), 100)
			out = append([]el{members("StackResourceSummaries", some, func(r *engine.Resource) []el {
				return resource(nil, r, "LastUpdatedTimestamp")
			})}, next...)
			return err
		})
		return out, err
	case "GetTemplate":
		return s.getTemplate(f)
	case "GetTemplateSummary", "ValidateTemplate":
		t, err := e.Summarize(s.request(f))
		if err != nil {
			return nil, err
		}
		return summary(t, action == "ValidateTemplate"), nil
	case "UpdateTerminationProtection":
		id, err := e.Protect(f.get("StackName"), f.bool("EnableTerminationProtection"))
		return []el{text("StackId", id)}, err
	case "DescribeEvents":
		return s.describeEvents(f)
	case "ListHookResults":
		return []el{{name: "HookResults"}}, nil // there are no hooks
	case "ListExports":
		var all []el
		e.Each(func(st *engine.Stack) {
			for _, o := range st.Outputs {
				if o.ExportName != "" {
					all = append(all, group("member", text("ExportingStackId", st.ID), text("Name", o.ExportName), text("Value", o.Value)))
				}
			}
		})
		some, next, err := page(f, all, 100)
		return append([]el{{name: "Exports", kids: some}}, next...), err
	case "ListImports":
		names, err := e.Importers(f.get("ExportName"))
		return []el{textMembers("Imports", names)}, err
	case "RollbackStack":
		id, err := e.Rollback(f.get("StackName"), f.bool("RetainExceptOnCreate"))
		return []el{text("StackId", id)}, err
	case "ContinueUpdateRollback":
		return nil, e.ContinueUpdateRollback(f.get("StackName"), f.list("ResourcesToSkip"))
	}
	return nil, unsupported("CloudFormation", action)
}

func resources(st *engine.Stack, only string) []*engine.Resource {
	var out []*engine.Resource
	for _, id := range slices.Sorted(maps.Keys(st.Resources)) {
		if only == "" || only == id {
			out = append(out, st.Resources[id])
		}
	}
	return out
}

func (s *Server) byPhysicalID(id string) ([]el, error) {
	var out []el
	s.engine.Each(func(st *engine.Stack) {
		for _, r := range st.Resources {
			if r.Ref == id && id != "" && st.Status != "DELETE_COMPLETE" && out == nil {
				out = []el{members("StackResources", resources(st, ""), func(r *engine.Resource) []el { return resource(st, r, "Timestamp") })}
			}
		}
	})
	if out == nil {
		return nil, &engine.APIError{Code: "ValidationError", Message: fmt.Sprintf("Stack for %s does not exist", id)}
	}
	return out, nil
}

func resource(st *engine.Stack, r *engine.Resource, when string) []el {
	var out []el
	if st != nil {
		out = append(out, text("StackId", st.ID), text("StackName", st.Name))
	}
	out = append(out, text("LogicalResourceId", r.LogicalID), text("ResourceType", r.Type), stamp(when, r.Time), text("ResourceStatus", r.Status))
	out = append(out, maybe("PhysicalResourceId", r.Ref)...)
	out = append(out, maybe("ResourceStatusReason", r.Reason)...)
	return append(out, group("DriftInformation", text("StackResourceDriftStatus", "NOT_CHECKED")))
}

func event(st *engine.Stack, x *engine.Event) []el {
	out := []el{
		text("StackId", st.ID), text("EventId", x.ID), text("StackName", st.Name), text("LogicalResourceId", x.LogicalID),
		text("PhysicalResourceId", x.PhysicalID), text("ResourceType", x.Type), stamp("Timestamp", x.Time), text("ResourceStatus", x.Status),
	}
	out = append(out, maybe("OperationId", x.Operation)...)
	return append(out, maybe("ResourceStatusReason", x.Reason)...)
}

func tags(list []engine.Tag) el {
	return members("Tags", list, func(t engine.Tag) []el { return []el{text("Key", t.Key), text("Value", t.Value)} })
}

func parameters(values, resolved map[string]string, body string) el {
	t, _ := template.Parse(body)
	return members("Parameters", slices.Sorted(maps.Keys(values)), func(k string) []el {
		value := values[k]
		if t != nil && t.Parameters[k] != nil && t.Parameters[k].NoEcho {
			value = "****"
		}
		return append([]el{text("ParameterKey", k), text("ParameterValue", value)}, maybe("ResolvedValue", resolved[k])...)
	})
}

func stack(st *engine.Stack) []el {
	out := []el{text("StackId", st.ID), text("StackName", st.Name), stamp("CreationTime", st.Created), text("StackStatus", st.Status)}
	out = append(out, maybe("StackStatusReason", st.Reason)...)
	out = append(out, maybe("Description", st.Description)...)
	out = append(out, maybe("ChangeSetId", st.ChangeSetID)...)
	out = append(out, maybe("RoleARN", st.Settings.RoleARN)...)
	if !st.Updated.IsZero() {
		out = append(out, stamp("LastUpdatedTime", st.Updated))
	}
	if !st.Deleted.IsZero() {
		out = append(out, stamp("DeletionTime", st.Deleted))
	}
	return append(out,
		parameters(st.Parameters, st.Resolved, st.Body), tags(st.Tags),
		members("Outputs", st.Outputs, func(o engine.Output) []el {
			x := []el{text("OutputKey", o.Key), text("OutputValue", o.Value)}
			x = append(x, maybe("Description", o.Description)...)
			return append(x, maybe("ExportName", o.ExportName)...)
		}),
		textMembers("Capabilities", st.Settings.Capabilities), textMembers("NotificationARNs", st.Settings.NotificationARNs),
		flag("DisableRollback", st.Settings.DisableRollback), flag("EnableTerminationProtection", st.TerminationProtection),
		group("RollbackConfiguration"), group("DriftInformation", text("StackDriftStatus", "NOT_CHECKED")),
	)
}

func (s *Server) describeStacks(f form) ([]el, error) {
	if name := f.get("StackName"); name != "" {
		var out []el
		err := s.engine.View(name, func(st *engine.Stack) error {
			out = []el{group("Stacks", group("member", stack(st)...))}
			return nil
		})
		return out, err
	}
	var all []el
	s.engine.Each(func(st *engine.Stack) {
		if st.Status != "DELETE_COMPLETE" {
			all = append(all, group("member", stack(st)...))
		}
	})
	some, next, err := page(f, all, 100)
	return append([]el{{name: "Stacks", kids: some}}, next...), err
}

func (s *Server) listStacks(f form) ([]el, error) {
	want := f.list("StackStatusFilter")
	var all []el
	s.engine.Each(func(st *engine.Stack) {
		if len(want) > 0 && !slices.Contains(want, st.Status) {
			return
		}
		x := []el{text("StackId", st.ID), text("StackName", st.Name), stamp("CreationTime", st.Created), text("StackStatus", st.Status)}
		x = append(x, maybe("StackStatusReason", st.Reason)...)
		x = append(x, maybe("TemplateDescription", st.Description)...)
		if !st.Updated.IsZero() {
			x = append(x, stamp("LastUpdatedTime", st.Updated))
		}
		if !st.Deleted.IsZero() {
			x = append(x, stamp("DeletionTime", st.Deleted))
		}
		all = append(all, group("member", x...))
	})
	some, next, err := page(f, all, 100)
	return append([]el{{name: "StackSummaries", kids: some}}, next...), err
}

func changeSetHead(st *engine.Stack, c *engine.ChangeSet) []el {
	out := []el{
		text("StackId", st.ID), text("StackName", st.Name), text("ChangeSetId", c.ID), text("ChangeSetName", c.Name),
		text("ExecutionStatus", c.ExecutionStatus), text("Status", c.Status), stamp("CreationTime", c.Created),
	}
	out = append(out, maybe("StatusReason", c.Reason)...)
	return append(out, maybe("Description", c.Description)...)
}

func (s *Server) describeChangeSet(f form) ([]el, error) {
	var out []el
	values := f.bool("IncludePropertyValues")
	var failed error
	err := s.engine.DescribeChangeSet(f.get("StackName"), f.get("ChangeSetName"), func(st *engine.Stack, c *engine.ChangeSet) {
		some, next, err := page(f, c.Changes, 100)
		failed = err
		out = append(changeSetHead(st, c), parameters(c.Parameters, c.Resolved, c.Body), tags(c.Tags),
			textMembers("Capabilities", c.Settings.Capabilities), textMembers("NotificationARNs", c.Settings.NotificationARNs),
			group("RollbackConfiguration"), flag("IncludeNestedStacks", false),
			members("Changes", some, func(x engine.Change) []el {
				return []el{text("Type", "Resource"), group("ResourceChange", change(x, values)...)}
			}))
		out = append(out, next...)
	})
	if err == nil {
		err = failed
	}
	return out, err
}

// describeEvents tells why a change set failed, resource by resource.
func (s *Server) describeEvents(f form) ([]el, error) {
	if f.get("ChangeSetName") == "" {
		return nil, unsupported("CloudFormation", "DescribeEvents without ChangeSetName")
	}
	var out []el
	err := s.engine.DescribeChangeSet(f.get("StackName"), f.get("ChangeSetName"), func(st *engine.Stack, c *engine.ChangeSet) {
		n := 0
		out = []el{members("OperationEvents", c.Problems, func(p engine.Problem) []el {
			n++
			return []el{
				text("EventId", fmt.Sprintf("%s/%d", c.ID, n)), text("StackId", st.ID), text("OperationType", "CREATE_CHANGESET"),
				text("OperationStatus", "FAILED"), text("EventType", "VALIDATION_ERROR"), text("LogicalResourceId", p.LogicalID),
				text("ResourceType", p.Type), stamp("Timestamp", c.Created), text("ValidationFailureMode", "FAIL"),
				text("ValidationName", "PROPERTY_VALIDATION"), text("ValidationStatus", "FAILED"),
				text("ValidationStatusReason", p.Message), text("ValidationPath", p.Path),
			}
		})}
	})
	return out, err
}

func change(c engine.Change, values bool) []el {
	out := []el{text("Action", c.Action), text("LogicalResourceId", c.LogicalID), text("ResourceType", c.Type)}
	out = append(out, maybe("PhysicalResourceId", c.PhysicalID)...)
	out = append(out, maybe("Replacement", c.Replacement)...)
	out = append(out, maybe("PolicyAction", c.Policy)...)
	out = append(out, textMembers("Scope", c.Scope), members("Details", c.Details, func(d engine.Detail) []el {
		target := []el{text("Attribute", d.Attribute)}
		target = append(target, maybe("Name", d.Name)...)
		target = append(target, text("RequiresRecreation", d.Recreation))
		if values {
			target = append(target, maybe("Path", d.Path)...)
			target = append(target, maybe("BeforeValue", d.Before)...)
			target = append(target, maybe("AfterValue", d.After)...)
			target = append(target, maybe("AttributeChangeType", d.Kind)...)
		}
		return append([]el{group("Target", target...), text("Evaluation", d.Evaluation), text("ChangeSource", d.Source)},
			maybe("CausingEntity", d.Cause)...)
	}))
	if values {
		out = append(out, maybe("BeforeContext", c.Before)...)
		out = append(out, maybe("AfterContext", c.After)...)
	}
	return out
}

func (s *Server) getTemplate(f form) ([]el, error) {
	body := ""
	var err error
	if name := f.get("ChangeSetName"); name != "" {
		err = s.engine.DescribeChangeSet(f.get("StackName"), name, func(_ *engine.Stack, c *engine.ChangeSet) { body = c.Body })
	} else {
		err = s.engine.View(f.get("StackName"), func(st *engine.Stack) error {
			if body = st.Body; body == "" {
				body = "{}" // nothing was deployed yet
			}
			return nil
		})
	}
	return []el{text("TemplateBody", body), textMembers("StagesAvailable", []string{"Original", "Processed"})}, err
}

func summary(t *template.Template, short bool) []el {
	names := slices.Sorted(maps.Keys(t.Parameters))
	out := []el{members("Parameters", names, func(n string) []el {
		p := t.Parameters[n]
		x := []el{text("ParameterKey", n), flag("NoEcho", p.NoEcho)}
		if s, ok := template.Text(p.Default); ok {
			x = append(x, text("DefaultValue", s))
		}
		x = append(x, maybe("Description", p.Description)...)
		if !short {
			x = append(x, text("ParameterType", p.Type), group("ParameterConstraints", textMembers("AllowedValues", p.AllowedValues)))
		}
		return x
	})}
	out = append(out, maybe("Description", t.Description)...)
	if short {
		return out
	}
	types := map[string]bool{}
	for _, r := range t.Resources {
		types[r.Type] = true
	}
	if need := engine.Capability(t); need != "" {
		out = append(out, textMembers("Capabilities", []string{need}))
	}
	return append(out, textMembers("ResourceTypes", slices.Sorted(maps.Keys(types))), text("Version", "2010-09-09"))
}
