package policy

import (
	"slices"
	"strings"
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
	// Documents are the ARNs of the session documents, and no pattern.
	Documents []string
	// Targets are the nodes, each of them.
	Targets []Target
	// Keys are the ARNs of the KMS keys that the documents encrypt sessions with.
	Keys []string
}

// Target is one node by its ARN, or all nodes that carry all of some tags.
type Target struct {
	// ARN is a node's; see [Scope.Node].
	ARN string
	// Tags are what nodes must carry, where there is no ARN.
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
	statements := StartStatements(s, session)
	statements = append(statements, resumeStatements(s, who)...)
	statements = when.Limit(statements)
	statements = append(statements, ownStatements(s, who)...)
	statements = append(statements, keyStatements(session)...)
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
	var arns []string
	var tagged [][]Tag
	for _, target := range session.Targets {
		if target.ARN != "" {
			arns = append(arns, target.ARN)
		} else if len(target.Tags) > 0 {
			tagged = append(tagged, target.Tags)
		}
	}
	if len(arns) > 0 {
		start("StartOnNodes", unique(arns), nil)
	}
	for _, condition := range tagConditions("ssm:resourceTag/", tagged) {
		start(numbered("StartByTag", statements), []string{s.Node("*")}, condition)
	}
	if len(session.Documents) > 0 {
		start("StartDocuments", unique(session.Documents), nil)
	}
	return statements
}

// The session ID of an IAM user begins with its name. That of an assumed role
// begins with the name of the role's session, for which IAM has no variable; there
// the tag that Session Manager puts on every session tells whose it is.
//
// For users the tag is asked for, too, where it is there: "ann-*" is also where
// the sessions of a user "ann-marie" are.
//
// docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-restrict-access-examples.html#restrict-access-example-user-sessions
func own(s Scope, who Caller, sid string, actions ...string) []Statement {
	const tag = "ssm:resourceTag/aws:ssmmessages:session-id"
	var statements []Statement
	if who != Role {
		statements = append(statements, Statement{
			Sid: sid + "ByName", Effect: Allow, Action: actions,
			Resource:  []string{s.arn("ssm", s.Region, "session/${aws:username}-*")},
			Condition: Condition{"StringEqualsIfExists": {tag: {"${aws:userid}"}}},
		})
	}
	if who != User {
		statements = append(statements, Statement{
			Sid: sid + "ByTag", Effect: Allow, Action: actions,
			Resource:  []string{s.arn("ssm", s.Region, "session/*")},
			Condition: Condition{"StringEquals": {tag: {"${aws:userid}"}}},
		})
	}
	return append(statements, Statement{
		Sid: sid + "ById", Effect: Allow, Action: actions,
		Resource: []string{s.arn("ssm", s.Region, "session/${aws:userid}-*")},
	})
}

func resumeStatements(s Scope, who Caller) []Statement {
	return own(s, who, "ResumeOwn", "ssm:ResumeSession")
}

// ownStatements hold under no condition: who may no longer start a session may
// still end one. A data channel opens with the token of a session that was just
// started or resumed, and no other.
func ownStatements(s Scope, who Caller) []Statement {
	return own(s, who, "Own", "ssm:TerminateSession", "ssmmessages:OpenDataChannel")
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
			Resource: unique(session.Documents),
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
		condition := Condition{}
		for _, tag := range tags {
			condition = condition.And(Condition{"StringEquals": {prefix + tag.Key: {tag.Value}}})
		}
		if len(tags) > 1 && slices.ContainsFunc(conditions, func(c Condition) bool { return marshal(c) == marshal(condition) }) {
			continue
		}
		conditions = append(conditions, condition)
	}
	return conditions
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
