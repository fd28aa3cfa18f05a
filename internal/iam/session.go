package iam

import (
	"fmt"
	"strings"
)

// DefaultShell is the document that Session Manager takes where a person names none.
const DefaultShell = "SSM-SessionManagerRunShell"

const documentCheck = "ssm:SessionDocumentAccessCheck"

// StartSession is the start of a session on a target with a document, both
// ARNs. An empty document is a start that names none.
//
// Session Manager asks IAM about the target and about the document. Only about
// the default document it does not ask, where the policy allows the target
// without ssm:SessionDocumentAccessCheck: one such statement is enough for a shell
// with the account's preferences, whatever documents the policy names.
//
// docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-sessiondocumentaccesscheck.html
func StartSession(target, document string, context Context) Operation {
	const action = "ssm:StartSession"
	unchecked := []Request{{action, target, context.With(Context{documentCheck: "false"})}}
	checked := context.With(Context{documentCheck: "true"})
	if document != "" {
		return Operation{
			Name:         fmt.Sprintf("%s on %s with %s", action, target, document),
			Alternatives: [][]Request{{{action, target, checked}, {action, document, checked}}},
		}
	}
	return Operation{
		Name: fmt.Sprintf("%s on %s without a document", action, target),
		Alternatives: [][]Request{
			unchecked,
			{{action, target, checked}, {action, DefaultShellARN(target), checked}},
		},
	}
}

// DefaultShellARN is the default document of the account and region that a
// target is in.
func DefaultShellARN(target string) string {
	parts := strings.SplitN(target, ":", 6)
	if len(parts) < 6 {
		return "*"
	}
	return strings.Join([]string{"arn", parts[1], "ssm", parts[3], parts[4], "document/" + DefaultShell}, ":")
}
