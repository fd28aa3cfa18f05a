package watch

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/notice"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/internal/tree"
)

// deliveryID is where what all notices share stands.
const deliveryID = "Notices"

// delivery is how notices get to people, and where they are when they did not.
type delivery struct {
	watch               *Watch
	scope               constructs.Construct
	queueArn, queueName *string
	// functionArn and functionName are of what puts notices into words; nil where
	// EventBridge does.
	functionArn, functionName *string
}

// kept is how long the queue keeps what was not delivered, the most that SQS does.
const kept = 14 * 24 * time.Hour

// newDelivery makes the queue for what could not be delivered, and the alarm that
// says so.
func (w *Watch) newDelivery() *delivery {
	d := &delivery{watch: w, scope: constructs.NewConstruct(w, jsii.String(deliveryID))}
	queue := awscdk.NewCfnResource(d.scope, jsii.String("Undelivered"), &awscdk.CfnResourceProps{
		Type: jsii.String("AWS::SQS::Queue"),
		// EventBridge can use the key of SQS, and only the owners of a key of ours would
		// have to let it.
		Properties: &map[string]any{"SqsManagedSseEnabled": true, "MessageRetentionPeriod": int(kept.Seconds())},
	})
	tree.Acknowledge(queue, "It is a dead-letter queue itself.", "AwsSolutions-SQS3")
	d.queueArn = awscdk.Token_AsString(queue.GetAtt(jsii.String("Arn"), awscdk.ResolutionTypeHint_STRING), nil)
	d.queueName = awscdk.Token_AsString(queue.GetAtt(jsii.String("QueueName"), awscdk.ResolutionTypeHint_STRING), nil)
	statements := []any{}
	for _, s := range policy.UndeliveredQueueStatements(w.scope, *d.queueArn) {
		statements = append(statements, s.Object())
	}
	awscdk.NewCfnResource(d.scope, jsii.String("UndeliveredPolicy"), &awscdk.CfnResourceProps{
		Type: jsii.String("AWS::SQS::QueuePolicy"),
		Properties: &map[string]any{
			"Queues":         []any{*queue.Ref()},
			"PolicyDocument": map[string]any{"Version": "2012-10-17", "Statement": statements},
		},
	})
	w.alarm(d.scope, "Lost", noticesLost, &condition{
		metric: awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
			Namespace: jsii.String("AWS/SQS"), MetricName: jsii.String("ApproximateNumberOfMessagesVisible"), Statistic: jsii.String("Maximum"),
			DimensionsMap: &map[string]*string{"QueueName": d.queueName},
		}),
		at: 1, periods: 1, missing: awscloudwatch.TreatMissingData_NOT_BREACHING, class: evidence, runbook: "notice-lost",
	})
	if w.props.judges() {
		d.newFunction(w.file, w.props.settings())
	} else {
		w.AllowEventBridge()
		w.allowChat()
	}
	return d
}

const noticesLost = "A notice was lost: what EventBridge should have told is in the queue of this alarm instead, for 14 days, as the event that it is. " +
	"Read it: aws sqs receive-message --queue-url URL --message-attribute-names All; the attributes say why it could not be delivered. " +
	"See whether the policy of the topic lets events.amazonaws.com publish, and that of its key lets it use the key. " +
	"The alarm ends when the queue is empty: delete a message when somebody has dealt with it."

// connect has a rule send its messages: to the topics, each of which is a way to
// people, or to the function.
func (d *delivery) connect(rule awsevents.CfnRule, words notice.Words) {
	// One ID, whatever it is: CloudFormation replaces a target that has the ID of
	// another, and else takes the other away, which would be told of.
	const first = "Topic"
	if d.functionArn != nil {
		rule.SetTargets([]any{d.target(first, d.functionArn, words.FunctionTemplate(), nil)})
		awscdk.NewCfnResource(rule, jsii.String("Permission"), &awscdk.CfnResourceProps{
			Type: jsii.String("AWS::Lambda::Permission"),
			Properties: &map[string]any{
				"Action": "lambda:InvokeFunction", "FunctionName": *d.functionArn,
				"Principal": "events.amazonaws.com", "SourceArn": *rule.AttrArn(),
			},
		})
		return
	}
	targets := []any{d.target(first, d.watch.action.topicARN, words.Template(), words.Paths)}
	if d.watch.chat != nil {
		targets = append(targets, d.target("Chat", d.watch.chat.TopicArn(), words.ChatTemplate(), words.Paths))
	}
	rule.SetTargets(targets)
}

// target tries for a day, and then puts the event into the queue.
//
// docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html
func (d *delivery) target(id string, arn *string, template string, paths map[string]string) *awsevents.CfnRule_TargetProperty {
	transformer := &awsevents.CfnRule_InputTransformerProperty{InputTemplate: &template}
	if len(paths) > 0 {
		transformer.InputPathsMap = paths
	}
	return &awsevents.CfnRule_TargetProperty{
		Id: &id, Arn: arn,
		InputTransformer: transformer,
		DeadLetterConfig: &awsevents.CfnRule_DeadLetterConfigProperty{Arn: d.queueArn},
	}
}

// targetArns are all that rules send to.
func (d *delivery) targetArns() []string {
	if d.functionArn != nil {
		return []string{*d.functionArn}
	}
	return d.watch.topicArns()
}

// topicArns are all topics that messages go to.
func (w *Watch) topicArns() []string {
	if w.chat == nil {
		return []string{*w.action.topicARN}
	}
	return []string{*w.action.topicARN, *w.chat.TopicArn()}
}
