// Package accountalarm has the alarms on an AWS account that the CIS AWS
// Foundations Benchmark asks for: what each counts in the log group of a trail,
// what it means, and how to look closer.
//
// The benchmark's patterns are kept as Security Hub compares them, so that its
// controls CloudWatch.1 to CloudWatch.14 pass
// (docs.aws.amazon.com/securityhub/latest/userguide/cloudwatch-controls.html).
// What they miss is in patterns of its own that feed the same metric.
package accountalarm

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/filterpattern"
)

// Alarm is one alarm of the set.
type Alarm struct {
	// Name such as "root-use".
	Name string
	// ID is the name as the ID of a construct.
	ID string
	// Control is its number among the controls of Security Hub for CloudWatch.
	Control int
	// Benchmark is the pattern that the benchmark asks for.
	Benchmark string
	// Beyond is a pattern of calls that have the same effect and that the benchmark
	// leaves out, or "".
	Beyond string
	// Look is a short pattern that finds the events again, and maybe others.
	Look string
	// means says what happened, and what to do.
	means string
}

// All is the set in the order of the controls.
func All() []Alarm { return all }

// Named is the alarm of a name.
func Named(name string) (Alarm, bool) {
	for _, a := range all {
		if a.Name == name {
			return a, true
		}
	}
	return Alarm{}, false
}

// Patterns are all patterns that count.
func (a *Alarm) Patterns() []string {
	if a.Beyond == "" {
		return []string{a.Benchmark}
	}
	return []string{a.Benchmark, a.Beyond}
}

// Text is what the alarm says, for events in a log group.
func (a *Alarm) Text(logGroup string) string {
	return fmt.Sprintf("%s See who, from where and what: aws logs tail %s --since 30m --filter-pattern '%s'.", a.means, logGroup, a.Look)
}

// Without is a pattern that leaves out what is done by some users and roles, by
// ARN. The calls of a role's sessions name the role as their issuer
// (docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html).
func Without(pattern string, users, roles []string) string {
	for _, part := range []struct {
		field string
		arns  []string
	}{
		{"$.userIdentity.arn", users},
		{"$.userIdentity.sessionContext.sessionIssuer.arn", roles},
	} {
		if len(part.arns) == 0 {
			continue
		}
		terms := make([]string, len(part.arns))
		for i, arn := range part.arns {
			terms[i] = fmt.Sprintf("(%s != %q)", part.field, arn)
		}
		// A comparison with a field that an event lacks is false.
		pattern = fmt.Sprintf("{ (%s) && ((%s NOT EXISTS) || (%s)) }", inner(pattern), part.field, strings.Join(terms, " && "))
	}
	return pattern
}

func inner(pattern string) string {
	return strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(pattern, "{"), "}"))
}

// Check examines a pattern that has values of a user's in it.
func Check(pattern string) *check.Fault {
	if n := utf8.RuneCountInString(pattern); n > filterpattern.MaxCharacters {
		return &check.Fault{
			Problem: fmt.Sprintf("make a filter of %d characters, and CloudWatch takes %d", n, filterpattern.MaxCharacters),
			Fix:     "name fewer, such as one role that they share",
		}
	}
	if _, err := filterpattern.Parse(pattern); err != nil {
		return &check.Fault{Problem: "can't be put in a filter: " + err.Error(), Fix: "leave out what does not belong in an ARN"}
	}
	return nil
}

// anyOf matches the calls of some names.
func anyOf(names ...string) string {
	terms := make([]string, len(names))
	for i, name := range names {
		terms[i] = "($.eventName=" + name + ")"
	}
	return strings.Join(terms, " || ")
}

// of matches the calls of some names to one service.
func of(service string, names ...string) string {
	return fmt.Sprintf("{($.eventSource=%s.amazonaws.com) && (%s)}", service, anyOf(names...))
}

func changesOf(service string) string {
	return fmt.Sprintf(`{ ($.eventSource = "%s.amazonaws.com") && ($.readOnly IS FALSE) }`, service)
}

func named(terms string) string {
	return `{ ($.eventSource = "ec2.amazonaws.com") && (` + terms + `) }`
}
