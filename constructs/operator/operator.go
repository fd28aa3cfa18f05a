package operator

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/interfaces/interfacesawsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/internal/survey"
	"github.com/postern-cdk/postern/internal/tree"
)

// Operator is what some people may do.
type Operator struct {
	constructs.Construct
	props    Props
	scope    policy.Scope
	everyday policy.Grant
	glass    policy.Grant
	people   map[string]bool    // ARNs of users, groups and roles
	opener   awscdk.CfnResource // nil where there are no weekly windows, as is
	unopened awscdk.CfnResource // the dead-letter queue
}

var _ constructs.IConstruct = (*Operator)(nil)

// New grants the intents. What a door leads to is read now: call such as its
// AllowHost before.
func New(scope constructs.Construct, id string, props *Props) *Operator {
	p := props.withDefaults()
	var faults check.Faults
	faults.Merge("", p.validate(time.Now()))
	o := &Operator{props: p}
	if faults.Empty() {
		o.grant()
		faults.Merge("", o.validateTrust())
	}
	var plans []plan
	if faults.Empty() {
		o.scope = attach.ScopeOf(scope)
		faults.Merge("", o.validateAccounts())
	}
	if faults.Empty() {
		var err error
		plans, err = o.plan()
		faults.Merge("", err)
	}
	tree.Must("operator", scope, id, faults.Err())

	constructs.NewConstruct_Override(o, scope, &id)
	o.trust()
	if o.all().Crosses() {
		o.warnOfCrossing("all doors here")
	} else {
		survey.Validate(o, o.crossesOthers)
	}
	o.warnOfLongEmergencies()
	for _, plan := range plans {
		o.attach(plan)
	}
	if o.leases() {
		o.lease(plans)
	}
	return o
}

// grant is what props give.
func (o *Operator) grant() {
	p := &o.props
	when := policy.When{
		MFA: !p.Only.WithoutMFA, MFAMaxAge: p.Only.MFAMaxAge,
		NotBefore: p.Only.From, NotAfter: p.Only.Until,
		SourceCIDRs: p.Only.SourceCIDRs, VpcEndpoints: p.Only.VpcEndpoints,
	}
	o.everyday = policy.Grant{Viewer: p.Viewer, Tags: tags(p.Only.TargetTags), When: when}
	for _, doors := range [][]Door{p.Tunneller, p.Shell, p.SSH} {
		for _, door := range doors {
			o.everyday.Sessions = append(o.everyday.Sessions, door.Access())
		}
	}
	for _, connection := range p.InstanceConnect {
		o.everyday.Connects = append(o.everyday.Connects, connection.Connection())
	}
	when.MFA, when.MFAMaxAge = true, p.BreakGlassMFAMaxAge
	o.glass = policy.Grant{Tags: o.everyday.Tags, When: when}
	for _, door := range p.BreakGlass {
		o.glass.Sessions = append(o.glass.Sessions, door.Access())
	}
	if len(p.Only.Weekly) > 0 {
		o.everyday.Closes = policy.Closed
	}
}

// all is both grants in one.
func (o *Operator) all() policy.Grant {
	all := o.everyday
	all.Sessions = append(all.Sessions[:len(all.Sessions):len(all.Sessions)], o.glass.Sessions...)
	return all
}

func (o *Operator) warnOfCrossing(doors string) {
	tree.Warn(o, "operator-crosses-doors", "IAM looks at the document and at the target of a session one by one, "+
		"so these people may use each of the documents on each of the targets of "+doors+": "+
		"give other people, such as another role, the doors that must be kept apart, or acknowledge this")
}

// crossesOthers looks at the other operators of the same people.
func (o *Operator) crossesOthers(s *survey.Survey) []string {
	for _, node := range s.Nodes {
		other, ok := node.(*Operator)
		if !ok || other == o || !o.shares(other) {
			continue
		}
		both := o.all()
		both.Sessions = append(both.Sessions, other.all().Sessions...)
		if both.Crosses() {
			o.warnOfCrossing("all doors here and of " + *other.Node().Path())
			break
		}
	}
	return nil
}

func (o *Operator) shares(other *Operator) bool {
	for arn := range o.people {
		if other.people[arn] {
			return true
		}
	}
	return false
}

// plan is the policies of one kind of caller.
type plan struct {
	who policy.Caller
	id  string
	// managed are policies that hold at all times, in parts.
	managed [][]policy.Statement
	// leased is what opens something in the weekly hours, and nil without such.
	leased []policy.Statement
}

func (o *Operator) plan() ([]plan, error) {
	var faults check.Faults
	var plans []plan
	for _, kind := range []struct {
		who   policy.Caller
		id    string
		any   bool
		field string
	}{
		{policy.User, "Users", len(o.props.Users)+len(o.props.Groups) > 0, "Users"},
		{policy.Role, "Roles", len(o.props.Roles) > 0, "Roles"},
	} {
		if !kind.any {
			continue
		}
		gated, standing := o.statements(kind.who)
		p := plan{who: kind.who, id: kind.id}
		if o.leases() {
			p.leased = gated
			gated = nil
		}
		var err error
		p.managed, err = policy.ManagedPolicies.Split(policy.Distinct(append(append(gated, o.glass.Gated(o.scope, kind.who)...), standing...)))
		o.tooLong(&faults, kind.field, err)
		for _, limit := range o.inline(kind.who) {
			_, err := limit.Split(p.leased)
			o.tooLong(&faults, kind.field, err)
		}
		plans = append(plans, p)
	}
	if o.props.PermissionSet {
		_, err := policy.PermissionSet.Split(o.permissionSet())
		o.tooLong(&faults, "PermissionSet", err)
	}
	return plans, faults.Err()
}

func (o *Operator) tooLong(faults *check.Faults, field string, err error) {
	if err != nil {
		faults.Add(field, err.Error(), "name targets by tags instead of one by one, or grant fewer doors in an operator")
	}
}

// statements are those that open something in everyday hours, and all others but
// those that open something in emergencies.
func (o *Operator) statements(who policy.Caller) (gated, standing []policy.Statement) {
	all := o.all()
	standing = all.Standing(o.scope, who)
	if !o.props.BypassesAllowed {
		standing = append(standing, policy.Bypasses(o.scope, all)...)
	}
	return o.everyday.Gated(o.scope, who), standing
}

func (o *Operator) permissionSet() []policy.Statement {
	gated, standing := o.statements(policy.Role)
	return policy.Distinct(append(append(gated, o.glass.Gated(o.scope, policy.Role)...), standing...))
}

// PermissionSetJSON is the inline policy for a permission set of IAM Identity
// Center, for the account and region of the stack. It is text, with tokens where
// the stack does not know its account or region: for awssso.CfnPermissionSet's
// InlinePolicy in the same stack, or for an output to copy from. It panics where
// Props.PermissionSet is not set.
func (o *Operator) PermissionSetJSON() string {
	if !o.props.PermissionSet {
		panic(fmt.Errorf("operator %q: PermissionSetJSON: PermissionSet is not set: set it, so that what a permission set can't do is found out", *o.Node().Path()))
	}
	return policy.Document(o.permissionSet())
}

// BreakGlassDocuments are the names of the documents for emergencies, by whose use
// an alarm knows one: what watch.AddBreakGlass asks for.
func (o *Operator) BreakGlassDocuments() []string {
	var names []string
	for _, session := range o.glass.Sessions {
		for _, document := range session.Documents {
			names = append(names, document[strings.LastIndex(document, "/")+1:])
		}
	}
	return names
}

// secondFactor is what roles ask for when they are assumed.
func (o *Operator) secondFactor() policy.When {
	only := &o.props.Only
	when := policy.When{MFA: only.MFA, MFAMaxAge: only.MFAMaxAge}
	if len(o.props.BreakGlass) > 0 {
		when.MFA = true
		if when.MFAMaxAge == 0 || when.MFAMaxAge > o.props.BreakGlassMFAMaxAge {
			when.MFAMaxAge = o.props.BreakGlassMFAMaxAge
		}
	}
	return when
}

// maxEmergency is how long a session for an emergency, and the credentials for it,
// are to last.
const maxEmergency = time.Hour

func (o *Operator) warnOfLongEmergencies() {
	if len(o.props.BreakGlass) == 0 {
		return
	}
	var long []string
	for i, session := range o.glass.Sessions {
		switch {
		case session.Longest == policy.Endless:
			long = append(long, fmt.Sprintf("the sessions of BreakGlass[%d] have no end", i))
		case session.Longest > maxEmergency:
			long = append(long, fmt.Sprintf("the sessions of BreakGlass[%d] last up to %s", i, session.Longest))
		}
	}
	for i, role := range o.props.Roles {
		made, ok := role.(awsiam.Role)
		if !ok {
			continue
		}
		if resource, ok := made.Node().DefaultChild().(awsiam.CfnRole); ok && resource.MaxSessionDuration() != nil && *resource.MaxSessionDuration() > maxEmergency.Seconds() {
			long = append(long, fmt.Sprintf("the credentials of Roles[%d] last up to %s", i, time.Duration(*resource.MaxSessionDuration())*time.Second))
		}
	}
	if len(long) > 0 {
		tree.Warn(o, "operator-long-emergency", strings.Join(long, ", and ")+
			": an hour at most keeps an emergency from becoming the everyday way in; set MaxDuration of the document's Settings, and MaxSessionDuration of the role")
	}
}

// validateAccounts finds principals that no policy of this stack reaches. The CDK
// passes over them in silence.
func (o *Operator) validateAccounts() error {
	var faults check.Faults
	here := o.scope.Account
	o.people = map[string]bool{}
	examine := func(field string, i int, arn *string) {
		o.people[*arn] = true
		parts := strings.Split(*arn, ":")
		if check.Token(here) || check.Token(*arn) || len(parts) < 6 || parts[4] == here {
			return
		}
		faults.Addf(fmt.Sprintf("%s[%d]", field, i), "make a role in this account that they may assume",
			"is of account %s, whose policies a stack of account %s can't change", parts[4], here)
	}
	for i, user := range o.props.Users {
		examine("Users", i, user.UserArn())
	}
	for i, group := range o.props.Groups {
		examine("Groups", i, group.GroupArn())
	}
	for i, role := range o.props.Roles {
		examine("Roles", i, role.RoleArn())
	}
	return faults.Err()
}

func (o *Operator) validateTrust() error {
	var faults check.Faults
	if len(o.secondFactor().Trust()) == 0 || o.props.Only.MFAAskedElsewhere {
		return nil
	}
	for i, role := range o.props.Roles {
		if made, ok := role.(awsiam.Role); !ok || made.AssumeRolePolicy() == nil {
			faults.Add(fmt.Sprintf("Roles[%d]", i), "is imported, and only its trust policy can ask for a second factor",
				"let its trust policy ask for aws:MultiFactorAuthPresent, or its identity provider for a second factor, and set Only.MFAAskedElsewhere")
		}
	}
	return faults.Err()
}

func (o *Operator) trust() {
	statements := o.secondFactor().Trust()
	if o.props.Only.MFAAskedElsewhere {
		return
	}
	for _, role := range o.props.Roles {
		made, _ := role.(awsiam.Role)
		for _, statement := range statements {
			made.AssumeRolePolicy().AddStatements(awsiam.PolicyStatement_FromJson(statement.Object()))
		}
	}
}

func (o *Operator) attach(p plan) {
	var groups []interfacesawsiam.IGroupRef
	for _, group := range o.props.Groups {
		groups = append(groups, group)
	}
	for i, statements := range p.managed {
		id := p.id
		if i > 0 {
			id += strconv.Itoa(i + 1)
		}
		props := &awsiam.ManagedPolicyProps{
			Description: jsii.String("Postern: " + *o.Node().Path()),
			Document:    attach.Document(statements),
		}
		if p.who == policy.User {
			props.Users, props.Groups = &o.props.Users, &groups
		} else {
			props.Roles = &o.props.Roles
		}
		managed := awsiam.NewManagedPolicy(o, &id, props)
		tree.Acknowledge(managed, "What is looked at and ended takes no narrower resource, or is held to own sessions, tags and the region by conditions; denials are for everything.",
			"AwsSolutions-IAM5")
		if len(o.props.Users) > 0 && p.who == policy.User {
			tree.Acknowledge(managed, "The app names users and not groups.", "NIST.800.53.R5-IAMUserNoPolicies", "PCI.DSS.321-IAMUserNoPolicies")
		}
	}
}
