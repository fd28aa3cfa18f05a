package config

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/postern-cdk/postern/internal/check"
)

// arnKind is what an ARN must be the ARN of.
type arnKind struct {
	what, service string
	resource      *regexp.Regexp
	// example of the resource, as the ARN ends.
	example string
}

var (
	keyARN         = arnKind{"a KMS key", "kms", regexp.MustCompile(`^key/[A-Za-z0-9-]+$`), "key/1234abcd-12ab-34cd-56ef-1234567890ab"}
	topicARN       = arnKind{"an SNS topic", "sns", regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`), "OnCall"}
	policyARN      = arnKind{"a managed policy", "iam", regexp.MustCompile(`^policy/[\w+=,.@/-]+$`), "policy/Boundary"}
	destinationARN = arnKind{"a destination of CloudWatch Logs", "logs", regexp.MustCompile(`^destination:[^:*]{1,512}$`), "destination:Logs-Archive"}
	trailARN       = arnKind{"a trail", "cloudtrail", regexp.MustCompile(`^trail/[A-Za-z0-9._-]+$`), "trail/Audit"}
	roleARN        = arnKind{"a role", "iam", regexp.MustCompile(`^role/(.+/)?[\w+=,.@-]{1,64}$`), "role/Developer"}
)

// The partitions, by what the names of their Regions begin with, and aws for all
// others: docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html.
var partitions = []struct{ prefix, name string }{
	{"cn-", "aws-cn"},
	{"us-gov-", "aws-us-gov"},
	{"us-iso-", "aws-iso"},
	{"us-isob-", "aws-iso-b"},
	{"eu-isoe-", "aws-iso-e"},
	{"us-isof-", "aws-iso-f"},
	{"eusc-", "aws-eusc"},
	{"", "aws"},
}

func partitionOf(region string) string {
	for _, p := range partitions {
		if strings.HasPrefix(region, p.prefix) {
			return p.name
		}
	}
	return "aws"
}

// arn looks at an ARN as a whole: what it is of, and whether that can be used from
// where the stacks are. It reports whether the ARN is right.
func (c *Config) arn(f *check.Faults, field, value string, kind arnKind) bool {
	if value == "" {
		return true
	}
	region, known := c.Region, regionPattern.MatchString(c.Region)
	if !known {
		region = "eu-west-1"
	}
	example := fmt.Sprintf("arn:%s:%s:%s:123456789012:%s", partitionOf(region), kind.service, region, kind.example)
	if kind.service == "iam" {
		example = fmt.Sprintf("arn:%s:iam::123456789012:%s", partitionOf(region), kind.example)
	}
	parts := strings.SplitN(value, ":", 6)
	if len(parts) < 6 || parts[0] != "arn" || parts[2] != kind.service || !kind.resource.MatchString(parts[5]) ||
		!accountPattern.MatchString(parts[4]) && !(kind.service == policyARN.service && parts[4] == "aws") ||
		kind.service != "iam" && !regionPattern.MatchString(parts[3]) {
		problem, fix := fmt.Sprintf("%q is not the ARN of %s", value, kind.what), "write it whole, such as "+example
		if len(parts) == 6 && parts[2] == kind.service {
			switch {
			case kind.service == "kms" && strings.HasPrefix(parts[5], "alias/"):
				problem = fmt.Sprintf("%q is the ARN of an alias, which a policy doesn't take for its key", value)
				fix = "write the ARN of the key, which ends in key/ and its ID"
			case kind.service == "sns" && strings.HasSuffix(parts[5], ".fifo"):
				// docs.aws.amazon.com/sns/latest/api/API_Publish.html
				problem = fmt.Sprintf("%q is a FIFO topic, which takes messages of a group only, and alarms have none", value)
				fix = "name a standard topic"
			case kind.service == "sns" && strings.Count(parts[5], ":") == 1:
				problem = fmt.Sprintf("%q is the ARN of a subscription", value)
				fix = "write that of its topic: " + value[:strings.LastIndex(value, ":")]
			}
		}
		f.Add(field, problem, fix)
		return false
	}
	switch {
	case !slices.ContainsFunc(partitions, func(p struct{ prefix, name string }) bool { return p.name == parts[1] }):
		f.Addf(field, fmt.Sprintf("write %s, as AWS shows the ARN", partitionOf(region)), "%q has %q for a partition, which there is none of", value, parts[1])
	case known && parts[1] != partitionOf(region):
		f.Addf(field, "name one of partition "+partitionOf(region), "%q is in partition %s, out of reach of region %s", value, parts[1], region)
	case parts[3] != "" && parts[1] != partitionOf(parts[3]):
		f.Addf(field, "write it as AWS shows it", "%q has partition %s, but %s is in %s", value, parts[1], parts[3], partitionOf(parts[3]))
	case known && parts[3] != "" && parts[3] != region && kind.service != "cloudtrail":
		f.Addf(field, "name one of the same Region", "%q is in %s, and the stacks are in %s", value, parts[3], region)
	case kind.what == policyARN.what && accountPattern.MatchString(c.Account) && parts[4] != c.Account && parts[4] != "aws":
		f.Addf(field, "name a policy of account "+c.Account, "%q is a policy of another account, and only policies of the role's own bound it", value)
	default:
		return true
	}
	return false
}

// bucketPattern is of names alone; what they must not look like is in [bucket]:
// docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html.
var bucketPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

var addressPattern = regexp.MustCompile(`^\d+\.\d+\.\d+\.\d+$`)

func bucket(f *check.Faults, field, value, fix string) {
	if strings.Contains(value, "..") || strings.Contains(value, ".-") || strings.Contains(value, "-.") || addressPattern.MatchString(value) {
		f.Addf(field, fix, "%q has the wrong form", value)
		return
	}
	matches(f, field, value, bucketPattern, fix)
}

// readable is a file that is there; what is in it is looked at where it is used.
func readable(f *check.Faults, field, file, fix string) {
	if file == "" {
		return
	}
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		f.Addf(field, fix, "%q is no file that can be read", file)
	}
}

// tags looks at tags that resources carry or must carry.
func tags(f *check.Faults, field string, of map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(of)) {
		f.Check(field+"."+key, check.Tag(key, of[key]))
	}
}

// unique finds what is in a list twice.
func unique(f *check.Faults, field string, list []string) {
	for i, item := range list {
		if item != "" && slices.Contains(list[:i], item) {
			f.Addf(fmt.Sprintf("%s[%d]", field, i), "leave one out", "%q is in the list already", item)
		}
	}
}

// some refuses a list that is there and empty where that would not mean what it
// says: leaving it out is no limit.
func some[T any](f *check.Faults, field string, list []T, without string) {
	if list != nil && len(list) == 0 {
		f.Add(field, "is an empty list", "leave the key out for "+without+", or name some")
	}
}
