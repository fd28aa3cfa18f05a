package test_test

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/cxapi"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"
	"github.com/stretchr/testify/assert"

	"github.com/postern-cdk/postern/internal/cdktest"
	"github.com/postern-cdk/postern/internal/tree"
)

// addRulePacks has the rule packs judge everything below scope when it is
// synthesized: AWS Solutions, NIST 800-53 revision 5 and PCI DSS 3.2.1.
func addRulePacks(scope constructs.IConstruct) {
	props := &cdknag.NagPackProps{Verbose: jsii.Bool(true), Reports: jsii.Bool(false)}
	aspects := awscdk.Aspects_Of(scope)
	aspects.Add(cdknag.NewAwsSolutionsChecks(props), nil)
	aspects.Add(cdknag.NewNIST80053R5Checks(props), nil)
	aspects.Add(cdknag.NewPCIDSS321Checks(props), nil)
}

var ruleFinding = regexp.MustCompile(`^(AwsSolutions|NIST\.800\.53\.R5|PCI\.DSS\.321|CdkNagValidationFailure)`)

// findings lists what the rule packs found in a stack and nobody acknowledged.
func findings(stack awscdk.Stack) []string {
	annotations := assertions.Annotations_FromStack(stack)
	everywhere, anything := jsii.String("*"), assertions.Match_AnyValue()
	list := []string{}
	for _, messages := range []*[]*cxapi.SynthesisMessage{
		annotations.FindError(everywhere, anything),
		annotations.FindWarning(everywhere, anything),
	} {
		for _, m := range *messages {
			if text := fmt.Sprint(m.Entry.Data); ruleFinding.MatchString(text) {
				list = append(list, *m.Id+": "+text)
			}
		}
	}
	return list
}

// newJudgedApp is an app whose findings come as annotations instead of stopping
// the synthesis at the first stack.
func newJudgedApp(t *testing.T) awscdk.App {
	t.Helper()
	return cdktest.NewAppWith(t, map[string]any{"@aws-cdk/core:annotationsInValidationReport": false})
}

func TestRulePacksFindAndHonourReasons(t *testing.T) {
	stack := cdktest.StackIn(newJudgedApp(t), "Test")
	awss3.NewBucket(stack, jsii.String("Bucket"), &awss3.BucketProps{EnforceSSL: jsii.Bool(true)})
	addRulePacks(stack)
	found := findings(stack)
	assert.Contains(t, fmt.Sprint(found), "/Test/Bucket/Resource: AwsSolutions-S1: ")
	assert.Contains(t, fmt.Sprint(found), "/Test/Bucket/Resource: NIST.800.53.R5-S3BucketReplicationEnabled: ")

	stack = cdktest.StackIn(newJudgedApp(t), "Test")
	bucket := awss3.NewBucket(stack, jsii.String("Bucket"), &awss3.BucketProps{EnforceSSL: jsii.Bool(true)})
	tree.Acknowledge(bucket, "access logs would log themselves", "AwsSolutions-S1")
	addRulePacks(stack)
	after := findings(stack)
	assert.NotContains(t, fmt.Sprint(after), "AwsSolutions-S1: ")
	assert.Len(t, after, len(found)-1)
}
