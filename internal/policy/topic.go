package policy

// AlarmTopicStatements lets the CloudWatch alarms of the account publish to a
// topic.
//
// docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
func AlarmTopicStatements(s Scope, topicARN string) []Statement {
	return []Statement{{
		Sid: "CloudWatchAlarms", Effect: Allow,
		Principal: service("cloudwatch.amazonaws.com"),
		Action:    []string{"sns:Publish"}, Resource: []string{topicARN},
		Condition: Condition{"StringEquals": {"aws:SourceAccount": {s.Account}}},
	}}
}

// EventTopicStatements lets EventBridge rules publish to a topic. A condition
// would silently stop the delivery: EventBridge does not support one here.
//
// docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions
func EventTopicStatements(topicARN string) []Statement {
	return []Statement{{
		Sid: "EventBridgeRules", Effect: Allow,
		Principal: service("events.amazonaws.com"),
		Action:    []string{"sns:Publish"}, Resource: []string{topicARN},
	}}
}
