package notice

import (
	"strings"
)

// Rule is one EventBridge rule with a message that a person reads.
type Rule struct {
	Words
	// Pattern is the event pattern, ready to be marshalled.
	Pattern map[string]any
}

// The calls to Systems Manager that begin a session or take one up again.
const (
	startSession  = "StartSession"
	resumeSession = "ResumeSession"
)

// viaCloudTrail is the detail-type under which EventBridge gets API calls. It gets
// them only while the account has a trail that logs.
//
// docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
const viaCloudTrail = "AWS API Call via CloudTrail"

// Variables of the templates. Each is text in which AWS allows no quotation mark:
// EventBridge does not escape what it puts into a template, so that free text,
// such as a session's reason, could break the message or the delivery. A refused
// call may hold any text, which is one more reason not to match it.
//
// docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html#eb-transform-input-issues
var (
	caller = map[string]string{
		"who":       "$.detail.userIdentity.arn",
		"principal": "$.detail.userIdentity.principalId",
		"from":      "$.detail.sourceIPAddress",
		"when":      "$.detail.eventTime",
		"region":    "$.detail.awsRegion",
		"account":   "$.account",
	}
	started = map[string]string{
		"session": "$.detail.responseElements.sessionId",
		"target":  "$.detail.requestParameters.target",
	}
	document = map[string]string{"document": "$.detail.requestParameters.documentName"}
	resumed  = map[string]string{"session": "$.detail.requestParameters.sessionId"}
)

var (
	absent  = []any{map[string]any{"exists": false}}
	present = []any{map[string]any{"exists": true}}
)

// Document names a session document in all the ways in which a call can.
type Document struct {
	// Name such as "Postern-Shell".
	Name string
	// Arn such as "arn:aws:ssm:eu-west-1:111122223333:document/Postern-Shell".
	Arn string
}

func (d Document) spellings() []any { return []any{d.Name, d.Arn} }

func spellings(documents []Document) []any {
	var list []any
	for _, d := range documents {
		list = append(list, d.spellings()...)
	}
	return list
}

// SessionStarted tells of sessions that name their document, whichever it is but
// for the quiet ones.
func SessionStarted(quiet []Document) Rule {
	documents := present
	if len(quiet) > 0 {
		documents = []any{map[string]any{"anything-but": spellings(quiet)}}
	}
	return Rule{
		Pattern: called(startSession, map[string]any{"documentName": documents}),
		Words:   say(join(caller, started, document), "Session started: <who> on <target>", told("<target>, with document <document>")),
	}
}

// SessionStartedByDefault tells of sessions that name no document: the account's
// default decides then whether and where they are logged.
func SessionStartedByDefault() Rule {
	return Rule{
		Pattern: called(startSession, map[string]any{"documentName": absent}),
		Words: say(join(caller, started), "Session started with the default document of the account: <who> on <target>",
			told("<target>, with document SSM-SessionManagerRunShell"),
			"A policy that names its documents and checks them (ssm:SessionDocumentAccessCheck) does not allow this: see which one did."),
	}
}

// SessionEnded tells of sessions that somebody ended by a call. One that is left, or
// times out, ends without.
//
// docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-auditing.html
func SessionEnded() Rule {
	return Rule{
		Pattern: called("TerminateSession", nil),
		Words: say(join(caller, resumed), "Session ended: <session> by <who>",
			origin, "Look closer: aws ssm describe-sessions --state History --filters key=SessionId,value=<session> --region <region>"),
	}
}

// SessionResumed tells of sessions that were taken up again, which is also how
// somebody else may get into one.
func SessionResumed() Rule {
	return Rule{
		Pattern: called(resumeSession, nil),
		Words: say(join(caller, resumed), "Session resumed: <session> by <who>",
			origin, look, end),
	}
}

// BreakGlass tells of sessions with documents for emergencies. name says whose
// they are.
func BreakGlass(name string, documents []Document) Rule {
	return Rule{
		Pattern: called(startSession, map[string]any{"documentName": spellings(documents)}),
		Words: say(join(caller, started, document), "BREAK-GLASS ACCESS IN USE: "+name+": <who> on <target>",
			told("<target>, with document <document>"),
			"If nobody declared an emergency, end the session now, take the role or user its rights, and keep the records."),
	}
}

// The lines that messages share. The commands can be pasted: no session ID, region
// or ARN holds what a shell would interpret.
const (
	origin = "Who: <who> (<principal>). From: <from>. When: <when>. Where: account <account>, region <region>."
	look   = "Look closer: aws ssm describe-sessions --state Active --filters key=SessionId,value=<session> --region <region>"
	end    = "End it: aws ssm terminate-session --session-id <session> --region <region>"
)

func told(where string) string {
	return strings.Join([]string{origin, "To: " + where + ". Session: <session>.", look, end}, "\n")
}

// called matches the calls of one name that succeeded.
func called(name string, parameters map[string]any) map[string]any {
	detail := map[string]any{
		"eventSource": []any{"ssm.amazonaws.com"},
		"eventName":   []any{name},
		"errorCode":   absent,
	}
	if parameters != nil {
		detail["requestParameters"] = parameters
	}
	return map[string]any{
		"source":      []any{"aws.ssm"},
		"detail-type": []any{viaCloudTrail},
		"detail":      detail,
	}
}

func join(parts ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, part := range parts {
		for name, path := range part {
			all[name] = path
		}
	}
	return all
}
