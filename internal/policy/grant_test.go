package policy_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/policy"
)

func session(document string, targets ...string) policy.Session {
	s := policy.Session{Documents: []string{document}}
	for _, id := range targets {
		s.Targets = append(s.Targets, policy.Target{ID: id})
	}
	return s
}

func actions(statements []policy.Statement, effect policy.Effect) string {
	var all []string
	for _, statement := range statements {
		if statement.Effect == effect {
			all = append(all, statement.Action...)
		}
	}
	return strings.Join(all, " ")
}

func TestViewerOpensNothing(t *testing.T) {
	g := policy.Grant{Viewer: true, When: policy.When{MFA: true}}
	assert.Empty(t, g.Gated(here, policy.User))
	standing := g.Standing(here, policy.User)
	assert.Equal(t, "ec2:DescribeInstances ssm:DescribeInstanceInformation ssm:DescribeInstanceProperties ssm:DescribeSessions ssm:GetConnectionStatus "+
		"ec2:DescribeInstanceConnectEndpoints ec2:DescribeInstances", actions(standing, policy.Allow))
}

func TestGrantOfNothingIsNothing(t *testing.T) {
	assert.Empty(t, policy.Grant{}.Gated(here, policy.Role))
	assert.Empty(t, policy.Grant{}.Standing(here, policy.Role))
}

// What is gated is all that opens something, and what stands opens nothing.
func TestGatedAndStanding(t *testing.T) {
	g := policy.Grant{
		Sessions: []policy.Session{session("Shell", "i-1"), session("Db", "i-2")},
		Connects: []policy.Connect{{Endpoint: "e", Port: 22, Users: []string{"u"}, Instances: []policy.Target{{ID: "i-1"}}}},
		When:     policy.When{MFA: true},
	}
	gated := g.Gated(here, policy.User)
	assert.Equal(t, "ssm:StartSession ssm:StartSession ssm:ResumeSession ec2-instance-connect:OpenTunnel ec2-instance-connect:SendSSHPublicKey", actions(gated, policy.Allow))
	for _, statement := range gated {
		assert.Equal(t, policy.Values{"true"}, statement.Condition["Bool"]["aws:MultiFactorAuthPresent"], statement.Sid)
	}
	standing := actions(g.Standing(here, policy.User), policy.Allow)
	for _, opening := range []string{"StartSession", "ResumeSession", "OpenTunnel", "SendSSHPublicKey"} {
		assert.NotContains(t, standing, opening)
	}
	assert.Contains(t, standing, "ssm:TerminateSession", "who may no longer start a session may still end one")
}

func TestGrantCloses(t *testing.T) {
	friday := time.Date(2026, 11, 27, 17, 0, 0, 0, time.UTC)
	g := policy.Grant{Sessions: []policy.Session{session("Shell", "i-1")}, When: policy.When{NotAfter: friday.AddDate(0, 1, 0)}, Closes: friday}
	for _, statement := range g.Gated(here, policy.Role) {
		assert.Equal(t, policy.Values{"2026-11-27T17:00:00Z"}, statement.Condition["DateLessThanEquals"]["aws:CurrentTime"], statement.Sid)
		assert.Equal(t, policy.Values{"2026-12-27T17:00:00Z"}, statement.Condition["DateLessThan"]["aws:CurrentTime"], statement.Sid)
	}
	g.Closes = policy.Closed
	assert.Equal(t, 3, strings.Count(policy.Lines(g.Gated(here, policy.Role)), `"1970-01-01T00:00:00Z"`))
}

func TestTargetTagsAreOnTargetsOnly(t *testing.T) {
	g := policy.Grant{
		Sessions: []policy.Session{session("Shell", "i-1"), {Documents: []string{"Shell"}, Targets: []policy.Target{{Tags: []policy.Tag{{Key: "Role", Value: "web"}}}}}},
		Connects: []policy.Connect{{Endpoint: "e", Port: 22, Users: []string{"u"}, Instances: []policy.Target{{ID: "i-1"}}}},
		Tags:     []policy.Tag{{Key: "Stage", Value: "test"}},
	}
	seen := 0
	for _, statement := range g.Gated(here, policy.Role) {
		tagged := len(statement.Condition["StringEquals"]["ssm:resourceTag/Stage"])+len(statement.Condition["StringEquals"]["aws:ResourceTag/Stage"]) == 1
		onInstance := strings.Contains(statement.Resource[0], ":instance/")
		assert.Equal(t, onInstance, tagged, statement.Sid)
		if onInstance {
			seen++
		}
	}
	assert.Equal(t, 3, seen)
}

func TestCrosses(t *testing.T) {
	both := func(a, b policy.Session) bool { return policy.Grant{Sessions: []policy.Session{a, b}}.Crosses() }
	assert.True(t, both(session("Shell", "i-1"), session("Db", "i-2")), "the shell works on i-2, too")
	assert.False(t, both(session("Shell", "i-1"), session("Db", "i-1")))
	assert.False(t, both(session("Shell", "i-1"), session("Shell", "i-2")))
	assert.False(t, policy.Grant{Sessions: []policy.Session{session("Shell", "i-1", "i-2")}}.Crosses())
}

func TestBypasses(t *testing.T) {
	g := policy.Grant{
		Sessions: []policy.Session{{Targets: []policy.Target{{Tags: []policy.Tag{{Key: "Role", Value: "web"}}}}}},
		Connects: []policy.Connect{{Instances: []policy.Target{{Tags: []policy.Tag{{Key: "App", Value: "a"}}}}, EndpointTags: []policy.Tag{{Key: "Net", Value: "b"}}}},
		Tags:     []policy.Tag{{Key: "Stage", Value: "test"}},
	}
	denials := policy.Bypasses(here, g)
	denied := actions(denials, policy.Deny)
	for _, action := range []string{
		"ssm:SendCommand", "ssm:StartAutomationExecution", "ssm:StartChangeRequestExecution", "ssm:CreateAssociation*", "ssm:UpdateAssociation", "ssm:StartAssociationsOnce",
		"ssm:RegisterTaskWithMaintenanceWindow", "ssm:UpdateMaintenanceWindowTask", "ssm:CreateDocument", "ssm:UpdateDocument*", "ssm:DeleteDocument", "ssm:ModifyDocumentPermission",
		"ssm:UpdateServiceSetting", "ssm:ResetServiceSetting", "ssm-guiconnect:StartConnection", "ec2-instance-connect:SendSerialConsoleSSHPublicKey", "ec2:CreateTags",
	} {
		assert.Contains(t, denied+" ", action+" ")
	}
	assert.Empty(t, actions(denials, policy.Allow))
	assert.Equal(t, []string{"arn:aws:ssm:*:*:document/AWS*", "arn:aws:ssm:*:*:document/Amazon*"}, denials[1].Resource)
	assert.Equal(t, policy.Values{"Stage", "Role", "App", "Net"}, denials[2].Condition["ForAnyValue:StringEquals"]["aws:TagKeys"])
	assert.Len(t, policy.Bypasses(here, policy.Grant{}), 2, "where no tag opens anything tags may be changed")
}

// IAM refuses a policy in which two statements have the same ID.
func TestIDsDiffer(t *testing.T) {
	g := policy.Grant{When: policy.When{SourceCIDRs: []string{"203.0.113.0/24"}, VpcEndpoints: []string{"vpce-1"}}}
	for i := range 3 {
		g.Sessions = append(g.Sessions, policy.Session{Documents: []string{fmt.Sprint("D", i)}, Targets: []policy.Target{{Tags: []policy.Tag{{Key: fmt.Sprint("K", i), Value: "v"}}}}})
		g.Connects = append(g.Connects, policy.Connect{Endpoint: "e", Port: 22, CIDRs: []string{fmt.Sprintf("10.0.%d.0/24", i)}, Users: []string{"u"}, Instances: []policy.Target{{ID: fmt.Sprint("i-", i)}}})
	}
	statements := append(append(g.Gated(here, policy.User), g.Standing(here, policy.User)...), policy.Bypasses(here, g)...)
	seen := map[string]bool{}
	for _, statement := range statements {
		assert.NotEmpty(t, statement.Sid)
		assert.Regexp(t, "^[A-Za-z0-9]+$", statement.Sid)
		assert.False(t, seen[statement.Sid], statement.Sid)
		seen[statement.Sid] = true
	}
}

// Rules that hold for whatever is granted.
func TestGrantsAreNarrow(t *testing.T) {
	g := policy.Grant{
		Viewer: true, Sessions: []policy.Session{shell},
		Connects: []policy.Connect{{Endpoint: "e", Port: 22, Users: []string{"u"}, Instances: shell.Targets}},
	}
	for _, who := range []policy.Caller{policy.User, policy.Role, ""} {
		for _, statement := range append(g.Gated(here, who), g.Standing(here, who)...) {
			for _, action := range statement.Action {
				assert.NotContains(t, action, "*", "an action of its own name is allowed")
			}
			for _, resource := range statement.Resource {
				switch {
				case resource == "*" && statement.Sid == "OpenChannel": // has no resource type
				case resource == "*":
					assert.NotEmpty(t, statement.Condition["StringEquals"]["aws:RequestedRegion"], statement.Sid)
				case strings.HasSuffix(resource, "/*"):
					assert.Contains(t, policy.Lines([]policy.Statement{statement}), "esourceTag/", statement.Sid)
				default:
					assert.NotContains(t, strings.ReplaceAll(resource, "${aws:username}-*", ""), "*", statement.Sid)
				}
			}
		}
	}
}

func TestGrantsInOtherPartitions(t *testing.T) {
	for _, scope := range []policy.Scope{
		{Partition: "aws-cn", Region: "cn-north-1", Account: "111122223333", URLSuffix: "amazonaws.com.cn"},
		{Partition: "aws-us-gov", Region: "us-gov-west-1", Account: "111122223333", URLSuffix: "amazonaws.com"},
	} {
		g := policy.Grant{
			Viewer: true, Sessions: []policy.Session{session("Shell", "i-1", "mi-1")},
			Connects: []policy.Connect{{Endpoint: "e", Port: 22, Users: []string{"u"}, Instances: []policy.Target{{ID: "i-1"}}}},
		}
		text := policy.Document(append(append(g.Gated(scope, policy.User), g.Standing(scope, policy.User)...), policy.Bypasses(scope, g)...))
		assert.NotContains(t, text, "arn:aws:")
		assert.Contains(t, text, "arn:"+scope.Partition+":ssm:"+scope.Region+":111122223333:managed-instance/mi-1")
		var parsed map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &parsed))
		assert.Equal(t, "2012-10-17", parsed["Version"])
	}
}

func TestWhatIsSaidTwiceIsThereOnce(t *testing.T) {
	twice := policy.Grant{Sessions: []policy.Session{session("Shell", "i-1"), session("Shell", "i-1")}}
	twice.Connects = []policy.Connect{{Endpoint: "e", Port: 22}, {Endpoint: "e", Port: 22}, {Endpoint: "e", Port: 3389}}
	once := policy.Grant{Sessions: twice.Sessions[:1], Connects: twice.Connects[1:]}
	assert.Equal(t, once.Gated(here, policy.User), twice.Gated(here, policy.User))
	assert.Len(t, once.Gated(here, policy.User), 5)
}
