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

	"github.com/postern-cdk/postern/internal/accountdefault"
	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/survey"
)

var unfitInName = regexp.MustCompile(`[^a-zA-Z0-9_.-]+`)

// accountDefault is the document that a caller gets who names none, and that the
// console writes people's choices to.
const accountDefault = accountdefault.Document

const longestName = 128

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
	if check.DocumentName(name[:min(len(name), longestName)]) != nil {
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
