package iam

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Caller is who asks something of a resource. One without an ARN and a Service is
// anonymous.
type Caller struct {
	// ARN of a user, or of a session of a role:
	// "arn:aws:sts::111122223333:assumed-role/Operators/carol".
	ARN string
	// Service is an AWS service that acts by itself, such as "logs.amazonaws.com".
	Service string
}

// account is the twelve digits of the caller's account, or "".
func (c Caller) account() string {
	parts := strings.SplitN(c.ARN, ":", 6)
	if len(parts) < 6 {
		return ""
	}
	return parts[4]
}

// role is the ARN of the role whose session the caller is, or "".
func (c Caller) role() string {
	parts := strings.SplitN(c.ARN, ":", 6)
	if len(parts) < 6 || parts[2] != "sts" {
		return ""
	}
	name, ok := strings.CutPrefix(parts[5], "assumed-role/")
	if !ok {
		return ""
	}
	name, _, _ = strings.Cut(name, "/")
	return strings.Join([]string{"arn", parts[1], "iam", "", parts[4], "role/" + name}, ":")
}

// ResourcePolicy is the policy of a resource, such as a bucket, a key, a topic or a
// log destination, that [ParseResource] understood.
type ResourcePolicy struct {
	Name       string
	statements []resourceStatement
}

type resourceStatement struct {
	statement
	everybody bool
	services  []string
	accounts  []string // whose own policies then decide
	arns      []string
}

// ParseResource reads the policy of a resource. Besides what [Parse] refuses, it
// refuses NotPrincipal, and principals other than everybody, AWS services,
// accounts, users, roles and sessions: users of federation and canonical users can't
// be judged here.
func ParseResource(name string, document []byte) (*ResourcePolicy, error) {
	statements, err := readDocument(name, "a resource-based", document, parseResourceStatement, func(s *resourceStatement) *string { return &s.name })
	if statements == nil {
		return nil, err
	}
	return &ResourcePolicy{Name: name, statements: statements}, err
}

func parseResourceStatement(text []byte, variables bool) (resourceStatement, error) {
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(text, &parts); err != nil {
		return resourceStatement{}, fmt.Errorf("is no statement: %w", err)
	}
	principal, ok := parts["Principal"]
	delete(parts, "Principal")
	rest, err := json.Marshal(parts)
	if err != nil {
		return resourceStatement{}, err
	}
	s, err := parseStatement(rest, variables)
	r := resourceStatement{statement: s}
	if !ok {
		return r, errors.Join(err, errors.New("needs Principal"))
	}
	return r, errors.Join(err, r.parsePrincipal(principal))
}

var (
	accountNumber = regexp.MustCompile(`^[0-9]{12}$`)
	rootARN       = regexp.MustCompile(`^arn:[a-z-]+:iam::([0-9]{12}):root$`)
	principalARN  = regexp.MustCompile(`^arn:[a-z-]+:(iam::[0-9]{12}:(user|role)/[^*?]+|sts::[0-9]{12}:assumed-role/[^*?]+)$`)
)

func (r *resourceStatement) parsePrincipal(text json.RawMessage) error {
	var all string
	if json.Unmarshal(text, &all) == nil {
		if all != "*" {
			return fmt.Errorf(`has Principal %q, which is not "*"`, all)
		}
		r.everybody = true
		return nil
	}
	var kinds map[string]list
	if err := json.Unmarshal(text, &kinds); err != nil {
		return fmt.Errorf("has Principal %s: %w", text, err)
	}
	var faults []error
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		for _, value := range kinds[kind] {
			root := rootARN.FindStringSubmatch(value)
			switch {
			case kind == "Service" && !strings.ContainsAny(value, "*?"):
				r.services = append(r.services, value)
			case kind == "AWS" && value == "*":
				r.everybody = true
			case kind == "AWS" && accountNumber.MatchString(value):
				r.accounts = append(r.accounts, value)
			case kind == "AWS" && root != nil:
				r.accounts = append(r.accounts, root[1])
			case kind == "AWS" && principalARN.MatchString(value):
				r.arns = append(r.arns, value)
			default:
				faults = append(faults, fmt.Errorf("has Principal %s %q, which can't be judged here", kind, value))
			}
		}
	}
	return errors.Join(faults...)
}

// names tells how the statement is about the caller: by itself, or by the account
// whose policies then decide.
func (r *resourceStatement) names(c Caller) (itself, account bool) {
	switch {
	case r.everybody:
		return true, false
	case c.Service != "":
		return slices.Contains(r.services, c.Service), false
	case c.ARN == "":
		return false, false
	case slices.Contains(r.arns, c.ARN):
		return true, false
	}
	if role := c.role(); role != "" && slices.Contains(r.arns, role) {
		return true, false
	}
	return false, slices.Contains(r.accounts, c.account())
}

// EvaluateResource decides what a caller, who has some policies of its own, may do
// with a resource that belongs to an account and has a policy.
//
// Within the account either policy is enough, and across accounts both are needed;
// an explicit denial of either wins. Keys of KMS are apart: what a caller's own
// policies allow counts only where the key's policy leaves it to the account.
//
// docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html
// docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
func EvaluateResource(c Caller, own []*Policy, account string, policy *ResourcePolicy, r Request) Decision {
	var granted, left, denied []string
	for i := range policy.statements {
		s := &policy.statements[i]
		itself, byAccount := s.names(c)
		if !(itself || byAccount) || !s.matchAction(r.Action) || !s.matchResource(r) || s.unmet(r.Context) != nil {
			continue
		}
		switch name := policy.Name + "/" + s.name; {
		case s.deny:
			denied = append(denied, name)
		case itself:
			granted = append(granted, name)
		default:
			left = append(left, name)
		}
	}
	mine := Evaluate(own, r)
	switch {
	case len(denied) > 0:
		return Decision{Decisive: denied}
	case !mine.Allowed && len(mine.Decisive) > 0:
		return mine
	case c.ARN == "":
		return Decision{Allowed: len(granted) > 0, Decisive: granted}
	case c.account() != account:
		if mine.Allowed && len(granted)+len(left) > 0 {
			return Decision{Allowed: true, Decisive: append(append(granted, left...), mine.Decisive...)}
		}
		return Decision{}
	case len(granted) > 0:
		return Decision{Allowed: true, Decisive: granted}
	case mine.Allowed && (len(left) > 0 || !strings.HasPrefix(strings.ToLower(r.Action), "kms:")):
		return Decision{Allowed: true, Decisive: append(left, mine.Decisive...)}
	default:
		return Decision{}
	}
}
