package policy

// UndeliveredQueueStatements lets the EventBridge rules of the account put into a
// queue what they could not deliver, and refuses everybody without TLS.
//
// docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html#eb-dlq-perms
func UndeliveredQueueStatements(s Scope, queueARN string) []Statement {
	return []Statement{
		{
			Sid: "EventBridgeRules", Effect: Allow,
			Principal: service("events.amazonaws.com"),
			Action:    []string{"sqs:SendMessage"}, Resource: []string{queueARN},
			Condition: Condition{"ArnLike": {"aws:SourceArn": {s.ARN("events", "rule/*")}}},
		},
		{
			Sid: "OnlyTLS", Effect: Deny,
			Principal: anyone(),
			Action:    []string{"sqs:*"}, Resource: []string{queueARN},
			Condition: Condition{"Bool": {"aws:SecureTransport": {"false"}}},
		},
	}
}
