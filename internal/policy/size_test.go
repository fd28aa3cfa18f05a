package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/policy"
)

func many(n int) []policy.Statement {
	g := policy.Grant{Sessions: []policy.Session{{Documents: []string{"Shell"}}}}
	for i := range n {
		g.Sessions[0].Targets = append(g.Sessions[0].Targets, policy.Target{ID: fmt.Sprintf("i-%017x", i)})
	}
	return append(append(g.Gated(here, policy.Role), g.Standing(here, policy.Role)...), policy.Bypasses(here, g)...)
}

func TestSizeIsThatOfTheDocument(t *testing.T) {
	for _, statements := range [][]policy.Statement{many(0)[:1], many(3), many(50)} {
		text := policy.Document(statements)
		assert.Equal(t, len(strings.ReplaceAll(text, " ", "")), policy.Size(statements))
	}
}

// Tokens are shorter or longer than what they stand for: they count as the longest.
func TestSizeOfTokens(t *testing.T) {
	size := func(resource string) int {
		return policy.Size([]policy.Statement{{Effect: policy.Allow, Action: []string{"a:B"}, Resource: []string{resource}}})
	}
	assert.GreaterOrEqual(t, size("arn:${Token[AWS.Partition.3]}:ec2:${Token[AWS.Region.4]}:${Token[AWS.AccountId.5]}:instance/${Token[TOKEN.9]}"),
		size("arn:aws-us-gov:ec2:us-gov-west-1:123456789012:instance/i-0123456789abcdef0"))
	assert.GreaterOrEqual(t, size("arn:aws:ssm:eu-west-1:123456789012:document/${Token[TOKEN.9]}"), size("arn:aws:ssm:eu-west-1:123456789012:document/"+strings.Repeat("n", 128)))
}

func TestSplit(t *testing.T) {
	for _, n := range []int{1, 40, 150, 400, 600} {
		statements := many(n)
		policies, err := policy.ManagedPolicies.Split(statements)
		require.NoError(t, err)
		targets := map[string]bool{}
		for _, part := range policies {
			assert.LessOrEqual(t, policy.Size(part), 6144)
			ids := map[string]bool{}
			for _, statement := range part {
				assert.False(t, ids[statement.Sid], "IAM refuses two of the same ID: "+statement.Sid)
				ids[statement.Sid] = true
			}
			for _, statement := range part {
				if strings.HasPrefix(statement.Sid, "StartOnNodes") {
					assert.NotEmpty(t, statement.Condition["BoolIfExists"]["ssm:SessionDocumentAccessCheck"])
					for _, resource := range statement.Resource {
						assert.False(t, targets[resource], "twice")
						targets[resource] = true
					}
				}
			}
		}
		assert.Len(t, targets, n, "none is lost")
		least := (policy.Size(statements) + 6143) / 6144
		assert.LessOrEqual(t, len(policies), 2*least, "they are filled")
		assert.Equal(t, n > 40, len(policies) > 1, n)
	}
}

func TestSplitKeepsStatementsWhole(t *testing.T) {
	policies, err := policy.ManagedPolicies.Split(many(3))
	require.NoError(t, err)
	assert.Equal(t, [][]policy.Statement{many(3)}, policies)
}

func TestLimitsAreNamed(t *testing.T) {
	_, err := policy.ManagedPolicies.Split(many(1000))
	require.Error(t, err)
	assert.Regexp(t, `^\d+ characters in \d\d policies exceed the limit of managed policies: 10 attached, of 6,144 characters each$`, err.Error())
	for n, limit := range map[int]policy.Limit{20: policy.UserInline, 60: policy.GroupInline, 140: policy.RoleInline, 500: policy.PermissionSet} {
		_, err := limit.Split(many(n))
		require.Error(t, err, limit.Name)
		assert.Contains(t, err.Error(), "exceed the limit of "+limit.Name)
		_, err = limit.Split(many(0)[:2])
		assert.NoError(t, err)
	}
	_, err = policy.UserInline.Split([]policy.Statement{{Effect: policy.Allow, Action: []string{"a:B"}, Resource: []string{strings.Repeat("x", 3000)}}})
	assert.EqualError(t, err, "3090 characters exceed the limit of inline policies of a user: 2,048 characters in all")
}
