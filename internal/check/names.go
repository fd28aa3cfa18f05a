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
