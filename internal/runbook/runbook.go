// Package runbook knows where the page is that says what to do about an alarm.
package runbook

import (
	"fmt"
	"regexp"
	"unicode/utf8"

	"github.com/postern-cdk/postern/internal/check"
)

// MaxDescription is how many characters the description of an alarm takes
// (docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html).
const MaxDescription = 1024

// maxReference is what a value counts that is known at deployment only: the name
// of an Auto Scaling group has 255 characters at most
// (docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html).
const maxReference = 255

// Dir is where the pages are, from the root of the repository.
const Dir = "docs/runbooks"

const base = "https://github.com/postern-cdk/postern/blob/main/" + Dir + "/"

// Index is where the list of all pages can be read.
const Index = base + "README.md"

// Page is a page below [Dir], by its name without ".md".
type Page string

// URL is where the page can be read.
func (p Page) URL() string { return base + string(p) + ".md" }

// Description is what an alarm tells: a text, which ends with a full stop, and
// the page.
func (p Page) Description(text string) (string, error) {
	var faults check.Faults
	if p == "" {
		faults.Add("runbook", "is missing", "name a page of "+Dir)
	}
	full := text + " Runbook: " + p.URL()
	if n := resolved(full); n > MaxDescription {
		faults.Addf("description", "shorten the text or the name of what is watched",
			"can have %d characters with the names in it, and CloudWatch takes %d", n, MaxDescription)
	}
	return full, faults.Err()
}

var token = regexp.MustCompile(`\$\{Token\[[^\]]*\]\}`)

// resolved is how long a text can get when it is deployed.
func resolved(text string) int {
	tokens := token.FindAllString(text, -1)
	return utf8.RuneCountInString(token.ReplaceAllString(text, "")) + len(tokens)*maxReference
}

// String is the page's path in the repository.
func (p Page) String() string { return fmt.Sprintf("%s/%s.md", Dir, string(p)) }
