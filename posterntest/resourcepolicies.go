package posterntest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/postern-cdk/postern/internal/localcfn/template"
)

// ResourcePoliciesOf is the policies of the app's keys, buckets, topics, queues, log
// groups and log destinations, and the trust policies of its roles, as JSON, by the ARN
// of what they belong to, with what they refer to resolved: for another evaluator, or for
// IAM Access Analyzer's validate-policy. A queue is named by its logical ID where it has
// no name.
func ResourcePoliciesOf(t testing.TB, app *App) map[string]string {
	t.Helper()
	texts := map[string]string{}
	put := func(r resource, arn string, document any) {
		if text, ok := document.(string); ok {
			texts[arn] = text
			return
		}
		text, err := marshal(document)
		switch {
		case err != nil || len(template.Causes(document)) > 0:
			t.Fatalf("ResourcePoliciesOf: the policy %s holds a value that only a deployment gives", r.label())
		case texts[arn] != "":
			text = join(texts[arn], text)
		}
		texts[arn] = text
	}
	own := func(r resource) string {
		arn, _ := r.stack.GetAtt(r.id, "Arn")
		return fmt.Sprint(arn)
	}
	for _, r := range app.resources("AWS::KMS::Key") {
		put(r, own(r), r.at("KeyPolicy"))
	}
	for _, r := range app.resources("AWS::IAM::Role") {
		put(r, own(r), r.at("AssumeRolePolicyDocument"))
	}
	for _, r := range app.resources("AWS::S3::BucketPolicy") {
		put(r, "arn:"+app.Partition+":s3:::"+r.text("Bucket"), r.at("PolicyDocument"))
	}
	for _, r := range app.resources("AWS::SNS::TopicPolicy") {
		for _, topic := range textsOf(r.at("Topics")) {
			put(r, topic, r.at("PolicyDocument"))
		}
	}
	for _, r := range app.resources("AWS::SQS::QueuePolicy") {
		for _, queue := range textsOf(r.at("Queues")) {
			put(r, r.stack.arn("sqs", queue[strings.LastIndex(queue, "/")+1:]), r.at("PolicyDocument"))
		}
	}
	for _, r := range app.resources("AWS::Logs::LogGroup") {
		if document := r.at("ResourcePolicyDocument"); document != nil {
			put(r, own(r), document)
		}
	}
	for _, r := range app.resources("AWS::Logs::Destination") {
		if document := r.at("DestinationPolicy"); document != nil {
			put(r, r.stack.arn("logs", "destination:"+r.text("DestinationName")), document)
		}
	}
	return texts
}

// join makes one policy of two that belong to the same resource.
func join(a, b string) string {
	var first, second struct {
		Version   string
		Statement []json.RawMessage
	}
	if json.Unmarshal([]byte(a), &first) != nil || json.Unmarshal([]byte(b), &second) != nil {
		return b
	}
	first.Statement = append(first.Statement, second.Statement...)
	text, err := marshal(first)
	if err != nil {
		return b
	}
	return text
}
