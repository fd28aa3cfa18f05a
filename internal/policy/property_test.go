package policy_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/postern-cdk/postern/internal/policy"
)

// Whatever is granted to whom and when: what IAM refuses and what opens too much
// never comes of it.
func TestRulesOfAnyGrant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tag := rapid.Custom(func(t *rapid.T) policy.Tag {
			return policy.Tag{Key: rapid.StringMatching(`[A-C]`).Draw(t, "key"), Value: rapid.StringMatching(`[a-c]`).Draw(t, "value")}
		})
		target := rapid.Custom(func(t *rapid.T) policy.Target {
			if rapid.Bool().Draw(t, "by ID") {
				return policy.Target{ID: fmt.Sprintf("i-%017x", rapid.IntRange(0, 300).Draw(t, "instance"))}
			}
			return policy.Target{Tags: rapid.SliceOfNDistinct(tag, 1, 3, func(tag policy.Tag) string { return tag.Key }).Draw(t, "tags")}
		})
		targets := rapid.SliceOfN(target, 1, 120)
		session := rapid.Custom(func(t *rapid.T) policy.Session {
			return policy.Session{
				Documents: rapid.SliceOfN(rapid.StringMatching(`D[0-9]`), 1, 2).Draw(t, "documents"),
				Targets:   targets.Draw(t, "targets"),
				Keys:      rapid.SliceOfN(rapid.Just("arn:aws:kms:r:a:key/k"), 0, 2).Draw(t, "keys"),
			}
		})
		connect := rapid.Custom(func(t *rapid.T) policy.Connect {
			return policy.Connect{
				Endpoint: "eice-1", Port: rapid.SampledFrom([]int{22, 3389}).Draw(t, "port"),
				MaxDuration: time.Duration(rapid.IntRange(0, 3600).Draw(t, "seconds")) * time.Second,
				Users:       rapid.SliceOfN(rapid.StringMatching(`u[0-9]`), 0, 2).Draw(t, "users"),
				Instances:   targets.Draw(t, "instances"),
			}
		})
		g := policy.Grant{
			Sessions: rapid.SliceOfN(session, 0, 3).Draw(t, "sessions"),
			Connects: rapid.SliceOfN(connect, 0, 3).Draw(t, "connects"),
			Viewer:   rapid.Bool().Draw(t, "viewer"),
			Tags:     rapid.SliceOfN(rapid.Just(policy.Tag{Key: "Stage", Value: "test"}), 0, 1).Draw(t, "besides"),
			When: policy.When{
				MFA:          rapid.Bool().Draw(t, "MFA"),
				SourceCIDRs:  rapid.SliceOfN(rapid.Just("203.0.113.0/24"), 0, 1).Draw(t, "CIDRs"),
				VpcEndpoints: rapid.SliceOfN(rapid.Just("vpce-1"), 0, 1).Draw(t, "endpoints"),
			},
		}
		who := rapid.SampledFrom([]policy.Caller{policy.User, policy.Role, ""}).Draw(t, "who")
		all := policy.Distinct(append(append(g.Gated(here, who), g.Standing(here, who)...), policy.Bypasses(here, g)...))
		policies, err := policy.Limit{Characters: 6144, Policies: 1000, Name: "test"}.Split(all)
		require.NoError(t, err)
		for _, statements := range policies {
			text := policy.Document(statements)
			require.LessOrEqual(t, len(text), 6144)
			require.True(t, json.Valid([]byte(text)))
			ids := map[string]bool{}
			for _, s := range statements {
				require.False(t, ids[s.Sid], "two statements are called %s", s.Sid)
				ids[s.Sid] = true
				opens := strings.Contains(strings.Join(s.Action, " "), "ssm:StartSession")
				if s.Effect != policy.Allow || !opens {
					continue
				}
				require.Equal(t, []string{"ssm:StartSession"}, s.Action)
				require.Equal(t, policy.Values{"true"}, s.Condition["BoolIfExists"]["ssm:SessionDocumentAccessCheck"])
				tagged := strings.Contains(policy.Lines([]policy.Statement{s}), "resourceTag")
				for _, resource := range s.Resource {
					require.False(t, tagged && strings.Contains(resource, ":document/"))
					require.False(t, !tagged && strings.Contains(resource, "*"), resource)
				}
			}
		}
	})
}
