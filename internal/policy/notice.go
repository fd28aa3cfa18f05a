package policy

// NoticeSender is what the function may do that tells people: publish to its topics
// with their key, put into a queue what it could not tell, and write its log. keyARN may
// be "", where a topic has no key, or none that is known.
//
// docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
func NoticeSender(topicARNs []string, keyARN, queueARN, logGroupARN string) []Statement {
	list := []Statement{
		{Sid: "Tell", Effect: Allow, Action: []string{"sns:Publish"}, Resource: topicARNs},
		{Sid: "Undelivered", Effect: Allow, Action: []string{"sqs:SendMessage"}, Resource: []string{queueARN}},
		{Sid: "Log", Effect: Allow, Action: []string{"logs:CreateLogStream", "logs:PutLogEvents"}, Resource: []string{logGroupARN}},
	}
	if keyARN != "" {
		list = append(list, Statement{
			Sid: "Encrypt", Effect: Allow,
			Action: []string{"kms:Decrypt", "kms:GenerateDataKey"}, Resource: []string{keyARN},
			Condition: Condition{"StringEquals": {"kms:EncryptionContext:aws:sns:topicArn": topicARNs}},
		})
	}
	return list
}

// NothingInChat is the guardrail of a chat channel: whoever is in it reads, and can
// have AWS do nothing. Without a guardrail the service takes AdministratorAccess.
//
// docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-chatbot-slackchannelconfiguration.html
func NothingInChat() []Statement {
	return []Statement{{Sid: "NothingFromChat", Effect: Deny, Action: []string{"*"}, Resource: []string{"*"}}}
}
