package policy

import (
	"math"
	"slices"
	"strings"
	"time"
)

// Caller is the kind of principal that a policy is for. IAM knows a person's own
// sessions by another variable for each.
type Caller string

// The kinds of caller. The empty one is either: the policy holds for both.
const (
	// User is an IAM user, by itself or in a group.
	User Caller = "user"
	// Role is who has assumed a role: federated people, permission sets of IAM
	// Identity Center, instances.
	Role Caller = "role"
)

// Session is what it takes to start sessions of Session Manager.
//
// IAM looks at the document and at the target of a request one by one, and no
// condition ties them to each other. So who may use two documents on two targets
// may use each on both: keep apart by principal what must be kept apart.
type Session struct {
	// Documents are the session documents: ARNs, or names in the account. No
	// patterns.
	Documents []string
	// Targets are the nodes, each of them.
	Targets []Target
	// Keys are the ARNs of the KMS keys that the documents encrypt sessions with.
	Keys []string
	// Tags are what each of the targets must carry, besides.
	Tags []Tag
	// Longest is how long the document lets a session last; 0 is not known, and
	// [Endless] has no end.
	Longest time.Duration
}

// Endless is how long a session may last that nothing ends.
const Endless time.Duration = math.MaxInt64

// Target is one node by its ARN or ID, or all instances that carry all of some
// tags.
type Target struct {
	// ARN is a node's; see [Scope.Node].
	ARN string
	// ID is a node's, where there is no ARN.
	ID string
	// Tags are what instances must carry, where there is neither.
	Tags []Tag
}

// Tag is a tag that a resource carries.
type Tag struct{ Key, Value string }

// Node returns the ARN of an instance by its ID, or of a node outside EC2, whose
// ID begins with "mi-".
func (s Scope) Node(id string) string {
	if strings.HasPrefix(id, "mi-") {
		return s.arn("ssm", s.Region, "managed-instance/"+id)
	}
	return s.arn("ec2", s.Region, "instance/"+id)
}

// Document returns the ARN of a document of the account by its name.
func (s Scope) Document(name string) string {
	return s.arn("ssm", s.Region, "document/"+name)
}

// split returns the ARNs of targets, and the sets of tags of the others.
func (s Scope) split(targets []Target) (arns []string, tagged [][]Tag) {
	for _, target := range targets {
		switch {
		case target.ARN != "":
			arns = append(arns, target.ARN)
		case target.ID != "":
			arns = append(arns, s.Node(target.ID))
		case len(target.Tags) > 0:
			tagged = append(tagged, target.Tags)
		}
	}
	return unique(arns), tagged
}

func (s Scope) documents(session Session) []string {
	var arns []string
	for _, document := range session.Documents {
		if !strings.HasPrefix(document, "arn:") {
			document = s.Document(document)
		}
		arns = append(arns, document)
	}
	return unique(arns)
}

// documentCheck makes Session Manager ask for the permission on the document,
// too. Without it in each and every statement that allows to start a session,
// who names no document gets the shell of the account's default one.
//
// docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-specify-session-document.html
func documentCheck() Condition {
	return Condition{"BoolIfExists": {"ssm:SessionDocumentAccessCheck": {"true"}}}
}

// SessionStatements lets somebody start the sessions, reach their own again and
// end them, and see what the AWS CLI and the console show on the way. All that
// opens something holds under when only; looking and ending always do.
//
// docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-restrict-access-quickstart.html
func SessionStatements(s Scope, who Caller, session Session, when When) []Statement {
	statements := append(StartStatements(s, session), ResumeStatements(s, who)...)
	statements = when.For(who).Limit(statements)
	return append(statements, standing(s, who, session)...)
}

// standing is what who may start sessions may do at all times.
func standing(s Scope, who Caller, session Session) []Statement {
	statements := append(ownStatements(s, who), keyStatements(session)...)
	return append(statements, ReadStatements(s, session)...)
}

// StartStatements lets somebody start the sessions. Nodes and documents are in
// statements of their own, as a condition on a node's tag never holds for a
// document.
func StartStatements(s Scope, session Session) []Statement {
	var statements []Statement
	start := func(sid string, resources []string, condition Condition) {
		statements = append(statements, Statement{
			Sid: sid, Effect: Allow,
			Action: []string{"ssm:StartSession"}, Resource: resources,
			Condition: documentCheck().And(condition),
		})
	}
	nodes, tagged := s.split(session.Targets)
	besides := tagCondition("ssm:resourceTag/", session.Tags)
	if len(nodes) > 0 {
		start("StartOnNodes", nodes, besides)
	}
	for _, condition := range tagConditions("ssm:resourceTag/", tagged) {
		start(numbered("StartByTag", statements), []string{s.Node("*")}, condition.And(besides))
	}
	if len(session.Documents) > 0 {
		start("StartDocuments", s.documents(session), nil)
	}
	return statements
}

// own narrows actions to the sessions that somebody has started. Session Manager
// puts a tag on every session that tells who did. It alone is exact: the ARN of
// Ann's sessions, "session/ann-*", is that of Ann-Marie's, too. And the sessions
// of who has assumed a role begin with a name that IAM has no variable for.
//
// docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-restrict-access-examples.html#restrict-access-example-user-sessions
func own(s Scope, who Caller, sid string, action string) Statement {
	sessions := "session/*"
	if who == User {
		sessions = "session/${aws:username}-*"
	}
	return Statement{
		Sid: sid, Effect: Allow, Action: []string{action},
		Resource:  []string{s.arn("ssm", s.Region, sessions)},
		Condition: Condition{"StringEquals": {"ssm:resourceTag/aws:ssmmessages:session-id": {"${aws:userid}"}}},
	}
}

// ResumeStatements lets somebody connect again to a session of their own.
func ResumeStatements(s Scope, who Caller) []Statement {
	return []Statement{own(s, who, "ResumeOwn", "ssm:ResumeSession")}
}

// ownStatements hold under no condition: who may no longer start a session may
// still end one.
func ownStatements(s Scope, who Caller) []Statement {
	return []Statement{
		own(s, who, "EndOwn", "ssm:TerminateSession"),
		{
			// The action has no resource type. A channel opens only with the token of a
			// session that was just started or resumed.
			// docs.aws.amazon.com/service-authorization/latest/reference/list_ssmmessages.html
			Sid: "OpenChannel", Effect: Allow,
			Action: []string{"ssmmessages:OpenDataChannel"}, Resource: []string{"*"},
		},
	}
}

// keyStatements lets a client agree on a data key with the agent of the node, for
// nothing but sessions. Such a key opens nothing that was encrypted before.
//
// docs.aws.amazon.com/systems-manager/latest/userguide/session-preferences-enable-encryption.html
func keyStatements(session Session) []Statement {
	if len(session.Keys) == 0 {
		return nil
	}
	return []Statement{{
		Sid: "SessionKeys", Effect: Allow,
		Action: []string{"kms:GenerateDataKey"}, Resource: unique(session.Keys),
		// What the Session Manager plugin asks with:
		// github.com/aws/session-manager-plugin/blob/mainline/src/datachannel/streaming.go
		Condition: Condition{"StringLike": {"kms:EncryptionContext:aws:ssm:SessionId": {"*"}}},
	}}
}

// ReadStatements shows nodes and sessions, and what the documents say. The
// actions on everything take no narrower resource; they are held to the region.
//
// docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
func ReadStatements(s Scope, session Session) []Statement {
	statements := []Statement{{
		Sid: "LookAround", Effect: Allow,
		Action: []string{
			"ec2:DescribeInstances",
			"ssm:DescribeInstanceInformation",
			"ssm:DescribeInstanceProperties",
			"ssm:DescribeSessions",
			"ssm:GetConnectionStatus",
		},
		Resource:  []string{"*"},
		Condition: Condition{"StringEquals": {"aws:RequestedRegion": {s.Region}}},
	}}
	if len(session.Documents) > 0 {
		statements = append(statements, Statement{
			Sid: "ReadDocuments", Effect: Allow,
			Action:   []string{"ssm:DescribeDocument", "ssm:GetDocument"},
			Resource: s.documents(session),
		})
	}
	return statements
}

// tagConditions is one condition for each set of tags. Sets of one tag with the
// same key become one condition with several values.
func tagConditions(prefix string, sets [][]Tag) []Condition {
	var conditions []Condition
	single := map[string]int{} // where the condition on a key alone is
	for _, tags := range sets {
		if len(tags) == 1 {
			key := prefix + tags[0].Key
			if at, ok := single[key]; ok {
				values := conditions[at]["StringEquals"]
				values[key] = unique(append(values[key], tags[0].Value))
				continue
			}
			single[key] = len(conditions)
		}
		condition := tagCondition(prefix, tags)
		if len(tags) > 1 && slices.ContainsFunc(conditions, func(c Condition) bool { return marshal(c) == marshal(condition) }) {
			continue
		}
		conditions = append(conditions, condition)
	}
	return conditions
}

func tagCondition(prefix string, tags []Tag) Condition {
	var condition Condition
	for _, tag := range tags {
		condition = condition.And(Condition{"StringEquals": {prefix + tag.Key: {tag.Value}}})
	}
	return condition
}

func unique(list []string) []string {
	var out []string
	for _, item := range list {
		if !slices.Contains(out, item) {
			out = append(out, item)
		}
	}
	return out
}
