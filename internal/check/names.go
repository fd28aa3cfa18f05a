package check

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	ruleDescription = regexp.MustCompile(`^[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{1,255}$`)
	recordName      = regexp.MustCompile(`^[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9])?)*$`)
)

// RuleDescription accepts what EC2 takes as the description of a security group
// rule, and tokens.
// See https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpRange.html.
func RuleDescription(s string) *Fault {
	if Token(s) || ruleDescription.MatchString(s) {
		return nil
	}
	return &Fault{
		Problem: fmt.Sprintf("%q can't be the description of a rule", s),
		Fix:     "use up to 255 letters, digits, spaces and ._-:/()#,@[]+=&;{}!$*",
	}
}

// RecordName accepts a DNS name below its zone's, and tokens.
func RecordName(s string) *Fault {
	if Token(s) || recordName.MatchString(s) {
		return nil
	}
	return &Fault{Problem: fmt.Sprintf("%q is not a DNS name", s), Fix: `write it without the zone's name, such as "bastion"`}
}

// Tag accepts a tag that a user may set.
// See https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html.
func Tag(key, value string) *Fault {
	switch {
	case strings.HasPrefix(strings.ToLower(key), "aws:"):
		return &Fault{Problem: fmt.Sprintf("%q begins with aws:, which is for AWS alone", key), Fix: "use another key"}
	case key == "" || len(key) > 128:
		return &Fault{Problem: fmt.Sprintf("a key of %d characters can't be a tag's", len(key)), Fix: "use 1 to 128"}
	case len(value) > 256:
		return &Fault{Problem: fmt.Sprintf("a value of %d characters is too long", len(value)), Fix: "use up to 256"}
	}
	return nil
}

var documentName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{3,128}$`)

// reservedDocuments are what names of documents can't begin with.
var reservedDocuments = []string{"aws", "amazon", "amzn"}

// DocumentName accepts the name of a Systems Manager document of one's own, and
// tokens.
// See https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_CreateDocument.html.
func DocumentName(s string) *Fault {
	if Token(s) {
		return nil
	}
	if !documentName.MatchString(s) {
		return &Fault{Problem: fmt.Sprintf("%q can't be the name of a document", s), Fix: "use 3 to 128 letters, digits and _.-"}
	}
	for _, prefix := range reservedDocuments {
		if strings.HasPrefix(strings.ToLower(s), prefix) {
			return &Fault{Problem: fmt.Sprintf("%q begins with %q, which is for AWS alone", s, s[:len(prefix)]), Fix: "begin it with another word"}
		}
	}
	return nil
}
