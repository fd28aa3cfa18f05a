package session

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/policy"
)

// What Session Manager takes as a reason.
//
// docs.aws.amazon.com/systems-manager/latest/APIReference/API_StartSession.html
const longestReason = 256

// sessionForm is the ID of a session: the name of a user or a role's session, and
// what makes it unique.
var sessionForm = regexp.MustCompile(`^[A-Za-z0-9+=,.@_-]{1,96}$`)

// startCommand starts a session of a document. target may be shell, as
// Bastion.InstanceIDCommand gives it.
func startCommand(s policy.Scope, document, target, reason string) string {
	if target == "" {
		target = "INSTANCE_ID"
	}
	command := fmt.Sprintf(`aws ssm start-session --region %s --target "%s" --document-name %s`, s.Region, target, document)
	if reason != "" {
		command += " --reason " + quote(reason)
	}
	return command
}

// quote makes one word of a text in a POSIX shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func reasonFault(reason string) *check.Fault {
	switch {
	case len(reason) > longestReason:
		return &check.Fault{Problem: fmt.Sprintf("%d characters are too long", len(reason)), Fix: fmt.Sprintf("use up to %d", longestReason)}
	case strings.ContainsFunc(reason, func(r rune) bool { return r < ' ' || r > '~' }):
		return &check.Fault{Problem: fmt.Sprintf("%q has more than plain characters of one line", reason), Fix: "use letters, digits, spaces and punctuation of ASCII"}
	}
	return nil
}

// verifyCommand fails unless sessions use the newest version of a document.
func verifyCommand(s policy.Scope, document string) string {
	return fmt.Sprintf(`test "$(aws ssm describe-document --region %s --name %s --query 'Document.DefaultVersion==Document.LatestVersion' --output text)" = True`,
		s.Region, document)
}

// sessionsCommand lists who started sessions of a document in the last 30 days.
func sessionsCommand(s policy.Scope, document string) string {
	return fmt.Sprintf(`aws ssm describe-sessions --region %s --state History --query "Sessions[?DocumentName=='%s'].[StartDate,EndDate,Owner,Target,Reason,SessionId]" --output table`,
		s.Region, document)
}

// sessionWord is a session's ID for a command: plain, or of the shell variable
// "session" where it is "".
func sessionWord(session string) (string, *check.Fault) {
	switch {
	case session == "":
		return "$session", nil
	case !sessionForm.MatchString(session):
		return "", &check.Fault{Problem: fmt.Sprintf("%q is not the ID of a session", session), Fix: "write it such as alice-0a1b2c3d4e5f67890: start-session tells it"}
	}
	return session, nil
}

// transcriptCommand shows a transcript.
func (sh *shell) transcriptCommand(session string) string {
	if sh.bucket == nil {
		return ""
	}
	return fmt.Sprintf(`aws s3 cp --region %s "s3://%s/%s/%s.log" -`, sh.at.Region, *sh.bucket.BucketName(), sh.settings.Prefix, session)
}

// followCommand shows a session while it lasts.
func (sh *shell) followCommand(session string) string {
	if sh.logGroup == nil {
		return ""
	}
	return fmt.Sprintf(`aws logs tail %s --region %s --log-stream-names "%s" --since 30d --format short --follow`, *sh.logGroup.LogGroupName(), sh.at.Region, session)
}

// unrecordedCommand names sessions without a record, and fails where there is one.
func (sh *shell) unrecordedCommand(document string) string {
	look := ""
	if sh.bucket != nil {
		look += fmt.Sprintf(`aws s3api head-object --region %s --bucket %s --key "%s/$s.log" >/dev/null 2>&1 || { echo "$s: no transcript"; missing=1; }; `,
			sh.at.Region, *sh.bucket.BucketName(), sh.settings.Prefix)
	}
	if sh.logGroup != nil {
		look += fmt.Sprintf(`test "$(aws logs describe-log-streams --region %s --log-group-name %s --log-stream-name-prefix "$s" --query 'length(logStreams)' --output text)" != 0 || { echo "$s: no log stream"; missing=1; }; `,
			sh.at.Region, *sh.logGroup.LogGroupName())
	}
	return fmt.Sprintf(`missing=0; for s in $(aws ssm describe-sessions --region %s --state History --query "Sessions[?DocumentName=='%s'&&Status!='Failed'].SessionId" --output text); do %sdone; test $missing = 0`,
		sh.at.Region, document, look)
}

// StartCommand starts a session on an instance, with a reason that CloudTrail
// keeps, or "". The target is an ID such as "i-0123456789abcdef0", or shell for
// one, such as Bastion.InstanceIDCommand gives; "" leaves a word to fill in.
// It needs the AWS CLI with its Session Manager plugin.
//
// docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-sessions-start.html
func (n *Preferences) StartCommand(target, reason string) string {
	n.must("StartCommand", "reason", reasonFault(reason))
	return startCommand(n.shell.at, n.name, target, reason)
}

// VerifyCommand fails unless sessions use the document's newest version. AWS
// documents that an update makes it so, and it was reported not to:
// github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/2539.
func (n *Preferences) VerifyCommand() string { return verifyCommand(n.shell.at, n.name) }

// SessionsCommand lists the document's sessions of the last 30 days: when, who,
// where, why, and the ID by which the other commands find the record.
func (n *Preferences) SessionsCommand() string { return sessionsCommand(n.shell.at, n.name) }

// UnrecordedCommand names the document's sessions of the last 30 days that left no
// transcript or no log stream, and fails where there is one: the agent goes on where
// it is refused to write. A session in which nothing was shown has no stream. It
// needs s3:ListBucket and s3:GetObject, or reports every transcript.
func (n *Preferences) UnrecordedCommand() string { return n.shell.unrecordedCommand(n.name) }

// TranscriptCommand shows the transcript of a session that is over, by its ID, or
// by that in the shell variable "session" for "". It is "" where there is no
// bucket. It needs s3:GetObject, and kms:Decrypt on the bucket's key.
func (n *Preferences) TranscriptCommand(session string) string {
	word, fault := sessionWord(session)
	n.must("TranscriptCommand", "session", fault)
	return n.shell.transcriptCommand(word)
}

// FollowCommand shows a session while it lasts, and what was shown before, by its
// ID, or by that in the shell variable "session" for "". It is "" where there is
// no log group. It needs logs:FilterLogEvents.
func (n *Preferences) FollowCommand(session string) string {
	word, fault := sessionWord(session)
	n.must("FollowCommand", "session", fault)
	return n.shell.followCommand(word)
}

func (n *Preferences) must(method, field string, fault *check.Fault) {
	var faults check.Faults
	faults.Check(field, fault)
	must("session preferences", n, method, &faults)
}
