package session

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsssm"
	"github.com/aws/constructs-go/constructs/v10"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/survey"
)

var (
	nameForm    = regexp.MustCompile(`^[a-zA-Z0-9_.-]{3,128}$`)
	unfitInName = regexp.MustCompile(`[^a-zA-Z0-9_.-]+`)
	// What AWS keeps for its own documents, in whatever case.
	reservedPrefixes = []string{"aws", "amazon", "amzn", "awsec2", "awsconfigremediation", "awssupport"}
)

// accountDefault is the document that a caller gets who names none, and that the
// console writes people's choices to.
const accountDefault = "SSM-SessionManagerRunShell"

const longestName = 128

// checkName accepts the name of a document of one's own, and tokens.
//
// docs.aws.amazon.com/systems-manager/latest/APIReference/API_CreateDocument.html
func checkName(faults *check.Faults, field, name string) {
	const fix = "use 3 to 128 letters, digits, _, - and ., such as \"Bastion-Shell\""
	switch {
	case check.Token(name):
	case reserved(name) != "":
		faults.Addf(field, fix, "%q begins with %q, which AWS keeps for its own documents", name, reserved(name))
	case !nameForm.MatchString(name):
		faults.Addf(field, fix, "%q can't be the name of a document", name)
	case name == accountDefault:
		faults.Addf(field, "use NewAccountDefault, which keeps what is there, or a name of your own",
			"%q is the account's default document: creating it fails where it exists, and deleting the stack would delete the account's preferences", name)
	}
}

// reserved is the prefix of a name that AWS keeps for itself, or "".
func reserved(name string) string {
	for _, prefix := range reservedPrefixes {
		if len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			return name[:len(prefix)]
		}
	}
	return ""
}

// documentName is the given name, or one made of the stack's, which is unique in
// account and Region, and the place in it. It is plain text wherever the stack's
// name is, so that commands and policies of other stacks don't depend on this one.
func documentName(scope constructs.Construct, given string) string {
	if given != "" {
		return given
	}
	stack := awscdk.Stack_Of(scope)
	name := *stack.StackName()
	if check.Token(name) {
		return *awscdk.Names_UniqueResourceName(scope, nil)
	}
	return derivedName(name, *stack.Node().Path(), *scope.Node().Path())
}

func derivedName(stackName, stackPath, path string) string {
	inner := strings.TrimPrefix(strings.TrimPrefix(path, stackPath), "/")
	name := stackName + "-" + unfitInName.ReplaceAllString(inner, "-")
	if reserved(name) != "" {
		name = "Postern-" + name
	}
	if len(name) > longestName {
		name = strings.TrimRight(name[:longestName-len("-12345678")], "-_.") + "-" + digest(name)
	}
	return name
}

// oneName refuses a second document of the same name in an account and Region
// when the tree is finished: the deploy of it would fail.
func oneName(construct constructs.IConstruct, document awsssm.CfnDocument) {
	survey.Validate(construct, func(s *survey.Survey) []string {
		own, where := *document.Node().Path(), environment(document)
		var faults []string
		for _, node := range s.Nodes {
			other, ok := node.(awsssm.CfnDocument)
			// Of two, the later one tells.
			if !ok || other.Name() == nil || *other.Name() != *document.Name() || *other.Node().Path() >= own || environment(other) != where {
				continue
			}
			faults = append(faults, fmt.Sprintf("Name: %q is the name of %s too, and an account has one document of a name in a Region: choose another", *document.Name(), *other.Node().Path()))
		}
		return faults
	})
}

func environment(construct constructs.IConstruct) string {
	return *awscdk.Stack_Of(construct).Environment()
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}
