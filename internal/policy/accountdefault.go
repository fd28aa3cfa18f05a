package policy

import "github.com/postern-cdk/postern/internal/accountdefault"

// AccountDefaultOwner are what the function does that owns the account's session
// preferences: to that one document, to its two parameters, and in its log group.
//
// docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
func AccountDefaultOwner(s Scope, logGroupARN string) []Statement {
	return []Statement{
		{
			Sid: "Document", Effect: Allow,
			Action: []string{
				"ssm:CreateDocument", "ssm:DeleteDocument", "ssm:DescribeDocument", "ssm:GetDocument",
				"ssm:UpdateDocument", "ssm:UpdateDocumentDefaultVersion",
			},
			Resource: []string{s.arn("ssm", s.Region, "document/"+accountdefault.Document)},
		},
		{
			Sid: "Kept", Effect: Allow,
			Action:   []string{"ssm:GetParameter", "ssm:PutParameter"},
			Resource: []string{s.arn("ssm", s.Region, "parameter"+accountdefault.Original), s.arn("ssm", s.Region, "parameter"+accountdefault.Record)},
		},
		{
			Sid: "Log", Effect: Allow,
			Action:   []string{"logs:CreateLogStream", "logs:PutLogEvents"},
			Resource: []string{logGroupARN},
		},
	}
}
