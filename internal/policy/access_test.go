package policy_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/postern-cdk/postern/internal/policy"
)

var shell = policy.Session{
	Documents: []string{here.Document("Shell")},
	Targets: []policy.Target{
		{ARN: here.Node("i-0123456789abcdef0")},
		{Tags: []policy.Tag{{Key: "Role", Value: "bastion"}}},
		{Tags: []policy.Tag{{Key: "Role", Value: "relay"}}},
		{Tags: []policy.Tag{{Key: "Role", Value: "db"}, {Key: "Stage", Value: "test"}}},
	},
	Keys: []string{"arn:aws:kms:eu-west-1:111122223333:key/k"},
}

func TestStartStatements(t *testing.T) {
	assertJSON(t, `[{
		"Sid": "StartOnNodes", "Effect": "Allow", "Action": ["ssm:StartSession"],
		"Resource": ["arn:aws:ec2:eu-west-1:111122223333:instance/i-0123456789abcdef0"],
		"Condition": {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}}
	}, {
		"Sid": "StartByTag", "Effect": "Allow", "Action": ["ssm:StartSession"],
		"Resource": ["arn:aws:ec2:eu-west-1:111122223333:instance/*"],
		"Condition": {
			"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"},
			"StringEquals": {"ssm:resourceTag/Role": ["bastion", "relay"]}
		}
	}, {
		"Sid": "StartByTag2", "Effect": "Allow", "Action": ["ssm:StartSession"],
		"Resource": ["arn:aws:ec2:eu-west-1:111122223333:instance/*"],
		"Condition": {
			"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"},
			"StringEquals": {"ssm:resourceTag/Role": "db", "ssm:resourceTag/Stage": "test"}
		}
	}, {
		"Sid": "StartDocuments", "Effect": "Allow", "Action": ["ssm:StartSession"],
		"Resource": ["arn:aws:ssm:eu-west-1:111122223333:document/Shell"],
		"Condition": {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}}
	}]`, policy.StartStatements(here, shell))
}

func TestOwnSessionsByKindOfCaller(t *testing.T) {
	for who, sessions := range map[policy.Caller]string{policy.User: "${aws:username}-*", policy.Role: "*", "": "*"} {
		seen := 0
		for _, statement := range policy.SessionStatements(here, who, shell, policy.When{}) {
			if statement.Action[0] != "ssm:ResumeSession" && statement.Action[0] != "ssm:TerminateSession" {
				continue
			}
			seen++
			assert.Equal(t, []string{"arn:aws:ssm:eu-west-1:111122223333:session/" + sessions}, statement.Resource)
			assert.Equal(t, policy.Condition{"StringEquals": {"ssm:resourceTag/aws:ssmmessages:session-id": {"${aws:userid}"}}}, statement.Condition)
		}
		assert.Equal(t, 2, seen)
	}
}

// Each of them, whatever it is for: one without the check undoes all others.
func TestEveryStartHasTheDocumentCheck(t *testing.T) {
	starts := 0
	for _, statement := range policy.SessionStatements(here, "", shell, policy.When{SourceCIDRs: []string{"203.0.113.0/24"}, VpcEndpoints: []string{"vpce-1"}}) {
		if statement.Effect != policy.Allow || !strings.Contains(strings.Join(statement.Action, " "), "ssm:StartSession") {
			continue
		}
		starts++
		assert.Equal(t, policy.Values{"true"}, statement.Condition["BoolIfExists"]["ssm:SessionDocumentAccessCheck"], statement.Sid)
		for _, resource := range statement.Resource {
			if strings.Contains(resource, ":document/") {
				assert.NotContains(t, policy.Lines([]policy.Statement{statement}), "resourceTag", "a document has no tag of a node")
			}
		}
	}
	assert.Equal(t, 8, starts)
}
