package posterntest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/postern-cdk/postern/internal/iam"
	"github.com/postern-cdk/postern/internal/localcfn/template"
)

// Context is what IAM knows of a request beside action and resource, by condition key,
// such as "aws:MultiFactorAuthPresent": "true". The values of a key that has several are
// separated by commas.
type Context map[string]string

// Operation is something that somebody does, which may take several permissions.
type Operation struct {
	operation iam.Operation
}

// Do is one action on one resource: an ARN, or "*" for an action without resource types.
func Do(action, resource string, context Context) Operation {
	return Operation{iam.Once(iam.Request{Action: action, Resource: resource, Context: iam.Context(context)})}
}

// StartSession starts a session of Session Manager on a target with a document, both
// ARNs. An empty document is a start that names none: a shell with the account's default
// document.
//
// docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-specify-session-document.html
func StartSession(target, document string, context Context) Operation {
	return Operation{iam.StartSession(target, document, iam.Context(context))}
}

// OpenTunnel opens a tunnel of EC2 Instance Connect to a private address and port, for
// some seconds, by an endpoint's ARN.
//
// docs.aws.amazon.com/AWSEC2/latest/UserGuide/permissions-for-ec2-instance-connect-endpoint.html
func OpenTunnel(endpoint, address string, port, seconds int, context Context) Operation {
	return Do("ec2-instance-connect:OpenTunnel", endpoint, Context(iam.Context(context).With(iam.Context{
		"ec2-instance-connect:privateIpAddress": address, "ec2-instance-connect:remotePort": fmt.Sprint(port),
		"ec2-instance-connect:maxTunnelDuration": fmt.Sprint(seconds),
	})))
}

// Who is whose permissions are asked about.
type Who struct {
	name      string
	documents []string
}

// Person is a user, group or role of the app, by its construct path, its name or its
// logical ID.
func Person(name string) Who { return Who{name: name} }

// Policies are policy documents as JSON, such as a permission set's inline policy.
func Policies(documents ...string) Who { return Who{documents: documents} }

// Allows fails where somebody may not do one of the operations.
//
// The request has aws:PrincipalAccount and aws:RequestedRegion of the app, and for
// users and roles aws:PrincipalArn, if the operation's context does not say otherwise.
func Allows(t testing.TB, app *App, who Who, operations ...Operation) {
	t.Helper()
	app.decide(t, "Allows", who, true, operations)
}

// Denies fails where somebody may do one of the operations. An operation that takes
// several permissions is denied where one is missing.
func Denies(t testing.TB, app *App, who Who, operations ...Operation) {
	t.Helper()
	app.decide(t, "Denies", who, false, operations)
}

func (a *App) decide(t testing.TB, assertion string, who Who, want bool, operations []Operation) {
	t.Helper()
	s, err := a.subject(who)
	if err != nil {
		t.Errorf("%s: %v", assertion, err)
		return
	}
	if len(operations) == 0 {
		t.Errorf("%s: no operation: pass posterntest.Do(...) or posterntest.StartSession(...)", assertion)
	}
	var faults []string
	for _, o := range operations {
		allowed := o.operation.Decide(func(r iam.Request) bool { return s.allows(a.fill(s, r)) })
		if allowed != want {
			faults = append(faults, a.explain(s, o, want))
		}
	}
	report(t, assertion+": "+s.name, faults)
}

// fill adds what each request has.
func (a *App) fill(s *subject, r iam.Request) iam.Request {
	always := iam.Context{"aws:PrincipalAccount": a.Account, "aws:RequestedRegion": a.Region, "aws:PrincipalArn": s.arn}
	r.Context = always.With(r.Context)
	return r
}

func (a *App) explain(s *subject, o Operation, want bool) string {
	var lines []string
	for _, r := range o.operation.Requests() {
		r = a.fill(s, r)
		d := iam.Evaluate(s.policies, r)
		what := fmt.Sprintf("%s on %s", r.Action, r.Resource)
		switch {
		case d.Allowed && s.boundary != nil && !iam.Evaluate(s.boundary, r).Allowed:
			lines = append(lines, what+": outside the permissions boundary")
		case d.Allowed:
			lines = append(lines, what+": allowed by "+strings.Join(d.Decisive, ", "))
		case len(d.Decisive) > 0:
			lines = append(lines, what+": denied by "+strings.Join(d.Decisive, ", "))
		default:
			missed := iam.Missed(s.policies, r)
			if len(missed) == 0 {
				missed = []string{"no statement allows the action"}
			}
			lines = append(lines, what+": "+strings.Join(missed, "; "))
		}
	}
	verdict := "is allowed"
	fix := "narrow the statements named, or deny it"
	if want {
		verdict = "is not allowed"
		fix = "grant it, or ask with the context that the conditions want"
	}
	return fmt.Sprintf("%s %s: %s\n    %s", o.operation.Name, verdict, fix, strings.Join(slices.Compact(lines), "\n    "))
}

// subject is somebody with the policies that decide.
type subject struct {
	name, arn string
	policies  []*iam.Policy
	boundary  []*iam.Policy // nil for none
}

func (s *subject) allows(r iam.Request) bool {
	return iam.Evaluate(s.policies, r).Allowed && (s.boundary == nil || iam.Evaluate(s.boundary, r).Allowed)
}

var principals = []string{"AWS::IAM::User", "AWS::IAM::Group", "AWS::IAM::Role"}

func (a *App) subject(who Who) (*subject, error) {
	if who.name == "" {
		if len(who.documents) == 0 {
			return nil, fmt.Errorf("nobody is named: pass posterntest.Person(path) or posterntest.Policies(json)")
		}
		s := &subject{name: "the policies given"}
		for i, document := range who.documents {
			p, err := iam.Parse(fmt.Sprintf("policy %d", i+1), []byte(document))
			if err != nil {
				return nil, err
			}
			s.policies = append(s.policies, p)
		}
		return s, nil
	}
	r, err := a.principal(who)
	if err != nil {
		return nil, err
	}
	return a.policiesOf(*r)
}

// principal finds a user, group or role.
func (a *App) principal(who Who) (*resource, error) {
	var found []resource
	var names []string
	pathless := false
	for _, r := range a.resources(principals...) {
		names = append(names, or(r.stack.paths[r.id], r.id))
		pathless = pathless || r.stack.paths[r.id] == ""
		if path := r.stack.paths[r.id]; who.name == path || who.name == r.id || who.name == r.stack.nameOf(r.id, r.stack.template.Resources[r.id]) {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 0:
		slices.Sort(names)
		hint := ""
		if pathless && strings.Contains(who.name, "/") {
			hint = "; some are known by their logical IDs alone: posterntest.Read knows all construct paths"
		}
		return nil, fmt.Errorf("no user, group or role %q in the app: there are %s%s", who.name, or(strings.Join(names, ", "), "none"), hint)
	case 1:
	default:
		return nil, fmt.Errorf("%q is in %d stacks: name it by its construct path", who.name, len(found))
	}
	return &found[0], nil
}

// policiesOf collects what a principal has: its own, those that are attached from elsewhere,
// and of a user those of its groups.
func (a *App) policiesOf(r resource) (*subject, error) {
	arn, _ := r.stack.GetAtt(r.id, "Arn")
	s := &subject{name: r.label(), arn: arn.(string)}
	if r.kind == "AWS::IAM::Group" {
		s.arn = ""
	}
	documents, err := a.documentsOf(r)
	if err != nil {
		return nil, err
	}
	if r.kind == "AWS::IAM::User" {
		for _, g := range a.groupsOf(r) {
			more, err := a.documentsOf(g)
			if err != nil {
				return nil, err
			}
			maps.Copy(documents, more)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(documents)) {
		p, err := parse(name, documents[name])
		if err != nil {
			return nil, err
		}
		s.policies = append(s.policies, p)
	}
	if boundary := r.at("PermissionsBoundary"); boundary != nil {
		name, document, err := a.managed(r, boundary)
		if err != nil {
			return nil, err
		}
		p, err := parse(name, document)
		if err != nil {
			return nil, err
		}
		s.boundary = []*iam.Policy{p}
	}
	return s, nil
}

func parse(name string, document any) (*iam.Policy, error) {
	if causes := template.Causes(document); len(causes) > 0 {
		return nil, fmt.Errorf("policy %s holds a value that only a deployment gives: %v", name, causes)
	}
	text, err := marshal(document)
	if err != nil {
		return nil, fmt.Errorf("policy %s holds a value that only a deployment gives", name)
	}
	return iam.Parse(name, []byte(text))
}

var lists = map[string]string{"AWS::IAM::User": "Users", "AWS::IAM::Group": "Groups", "AWS::IAM::Role": "Roles"}

// documentsOf collects a principal's own policies by name.
func (a *App) documentsOf(r resource) (map[string]any, error) {
	documents := map[string]any{}
	for i, policy := range listOf(r.at("Policies")) {
		p, _ := policy.(map[string]any)
		name, _ := template.Text(p["PolicyName"])
		documents[r.label()+" "+or(name, fmt.Sprint(i+1))] = p["PolicyDocument"]
	}
	ref, _ := r.stack.Ref(r.id)
	for _, p := range a.resources("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::UserPolicy", "AWS::IAM::GroupPolicy", "AWS::IAM::RolePolicy") {
		names := textsOf(p.at(lists[r.kind]))
		names = append(names, textsOf(p.at(strings.TrimSuffix(lists[r.kind], "s")+"Name"))...)
		if slices.Contains(names, ref.(string)) {
			documents[p.label()] = p.at("PolicyDocument")
		}
	}
	for _, arn := range listOf(r.at("ManagedPolicyArns")) {
		name, document, err := a.managed(r, arn)
		if err != nil {
			return nil, err
		}
		documents[name] = document
	}
	return documents, nil
}

// managed finds a managed policy of the app.
func (a *App) managed(r resource, value any) (name string, document any, err error) {
	arn, ok := template.Text(value)
	if !ok {
		return "", nil, fmt.Errorf("%s has a managed policy that only a deployment gives: what it allows can't be judged", r.label())
	}
	for _, p := range a.resources("AWS::IAM::ManagedPolicy") {
		if ref, _ := p.stack.Ref(p.id); ref == arn {
			return p.label(), p.at("PolicyDocument"), nil
		}
	}
	return "", nil, fmt.Errorf("%s has the managed policy %s, which is not in the app: what it allows can't be judged; give its documents with posterntest.Policies", r.label(), arn)
}

func (a *App) groupsOf(user resource) []resource {
	ref, _ := user.stack.Ref(user.id)
	member := textsOf(user.at("Groups"))
	for _, r := range a.resources("AWS::IAM::UserToGroupAddition") {
		if slices.Contains(textsOf(r.at("Users")), ref.(string)) {
			member = append(member, r.text("GroupName"))
		}
	}
	var groups []resource
	for _, g := range a.resources("AWS::IAM::Group") {
		if name, _ := g.stack.Ref(g.id); slices.Contains(member, name.(string)) {
			groups = append(groups, g)
		}
	}
	return groups
}

// DocumentsOf is the policy documents of somebody as JSON, by name, with what they refer to
// resolved: for another evaluator, or for IAM Access Analyzer's validate-policy.
func DocumentsOf(t testing.TB, app *App, who Who) map[string]string {
	t.Helper()
	r, err := app.principal(who)
	var documents map[string]any
	if err == nil {
		documents, err = app.documentsOf(*r)
	}
	texts := map[string]string{}
	for name, document := range documents {
		text, failed := marshal(document)
		if failed != nil || len(template.Causes(document)) > 0 {
			err = fmt.Errorf("policy %s holds a value that only a deployment gives", name)
		}
		texts[name] = text
	}
	if err != nil {
		t.Fatalf("DocumentsOf: %v", err)
	}
	return texts
}
