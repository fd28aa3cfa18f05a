package policy

import (
	"fmt"
	"regexp"
	"strings"
)

// Limit is how much IAM takes in one place.
type Limit struct {
	// Characters of a policy, white space not counted.
	Characters int
	// Policies that there may be.
	Policies int
	// Name of the limit, as AWS calls it.
	Name string
}

// The limits of IAM and IAM Identity Center.
//
// docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html,
// docs.aws.amazon.com/singlesignon/latest/APIReference/API_PutInlinePolicyToPermissionSet.html
var (
	ManagedPolicies = Limit{6144, 10, "managed policies: 10 attached, of 6,144 characters each"}
	RoleInline      = Limit{10240, 1, "inline policies of a role: 10,240 characters in all"}
	GroupInline     = Limit{5120, 1, "inline policies of a group: 5,120 characters in all"}
	UserInline      = Limit{2048, 1, "inline policies of a user: 2,048 characters in all"}
	PermissionSet   = Limit{32768, 1, "inline policy of a permission set: 32,768 characters"}
)

// Document is a policy document as JSON.
func Document(statements []Statement) string {
	return `{"Version":"2012-10-17","Statement":` + marshal(statements) + `}`
}

// Split deals statements out to as few policies as it takes, in their order. A
// statement that is too long for one is split by its resources.
func (l Limit) Split(statements []Statement) ([][]Statement, error) {
	if len(statements) > 0 && Size(statements) <= l.Characters {
		return [][]Statement{statements}, nil
	}
	room := l.Characters - Size(nil)
	var policies [][]Statement
	var current []Statement
	used := 0
	for _, part := range breakUp(statements, room) {
		size := sizeOf(part) + 1 // its comma
		if size > room {
			return nil, l.exceeded(Size([]Statement{part}), 1)
		}
		if used+size > room {
			policies, current, used = append(policies, current), nil, 0
		}
		current, used = append(current, part), used+size
	}
	if len(current) > 0 {
		policies = append(policies, current)
	}
	if len(policies) > l.Policies {
		return nil, l.exceeded(Size(statements), len(policies))
	}
	return policies, nil
}

func (l Limit) exceeded(size, policies int) error {
	what := fmt.Sprintf("%d characters", size)
	if l.Policies > 1 && policies > 1 {
		what = fmt.Sprintf("%d characters in %d policies", size, policies)
	}
	return fmt.Errorf("%s exceed the limit of %s", what, l.Name)
}

// breakUp halves the resources of statements until each takes a quarter of a
// policy at most, so that policies fill up.
func breakUp(statements []Statement, room int) []Statement {
	var out []Statement
	for _, statement := range statements {
		if sizeOf(statement) <= room/4 || len(statement.Resource) < 2 {
			out = append(out, statement)
			continue
		}
		parts := []Statement{statement}
		for i := 0; i < len(parts); {
			part := parts[i]
			if n := len(part.Resource); sizeOf(part) > room/4 && n > 1 {
				left, right := part, part
				left.Resource, right.Resource = part.Resource[:n/2], part.Resource[n/2:]
				parts = append(parts[:i], append([]Statement{left, right}, parts[i+1:]...)...)
				continue
			}
			i++
		}
		for i := range parts {
			if i > 0 && parts[i].Sid != "" {
				parts[i].Sid = fmt.Sprintf("%sPart%d", statement.Sid, i+1)
			}
		}
		out = append(out, parts...)
	}
	return out
}

// Size is how many characters a policy has, at most: what tokens stand for is
// counted as long as it may be.
func Size(statements []Statement) int {
	size := len(Document(nil)) - len("null") + 2
	for i, statement := range statements {
		if i > 0 {
			size++
		}
		size += sizeOf(statement)
	}
	return size
}

var token = regexp.MustCompile(`(instance/|instance-connect-endpoint/)?\$\{Token\[([^]]*)\]\}`)

func sizeOf(statement Statement) int {
	text := token.ReplaceAllStringFunc(marshal(statement), func(found string) string {
		groups := token.FindStringSubmatch(found)
		length := 128 // the name of a document, the ARN of a key
		switch {
		case groups[1] != "":
			length = len("eice-0123456789abcdef0")
		case strings.HasPrefix(groups[2], "AWS.Partition"):
			length = len("aws-us-gov")
		case strings.HasPrefix(groups[2], "AWS.Region"):
			length = len("ap-southeast-1")
		case strings.HasPrefix(groups[2], "AWS.AccountId"):
			length = len("123456789012")
		}
		return groups[1] + strings.Repeat("x", length)
	})
	size := 0
	for _, r := range text {
		if r != ' ' {
			size++
		}
	}
	return size
}
