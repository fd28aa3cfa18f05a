package policy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/postern-cdk/postern/internal/iam"
)

// evaluatorVersion is what package.json pins.
const evaluatorVersion = "0.1.173"

// question is one request of one person under some policies.
type question struct {
	Policies  []string    `json:"policies"`
	Principal string      `json:"principal"`
	Action    string      `json:"action"`
	Resource  string      `json:"resource"`
	Account   string      `json:"account"`
	Context   iam.Context `json:"context"`
	// Trust is the trust policy of a role that is assumed.
	Trust string `json:"trust,omitempty"`
	// ResourcePolicy is the policy of the resource, where it has one. An empty
	// Principal is then an anonymous one.
	ResourcePolicy string `json:"resourcePolicy,omitempty"`
}

func (q question) String() string {
	keys := slices.Sorted(maps.Keys(q.Context))
	for i, key := range keys {
		keys[i] += "=" + q.Context[key]
	}
	return fmt.Sprintf("%s: %s %s %s [%s]", strings.Join(append(q.Policies[:len(q.Policies):len(q.Policies)], q.Trust+q.ResourcePolicy), "+"), q.Principal, q.Action, q.Resource, strings.Join(keys, " "))
}

// answer is what the evaluator says, see simulate.mjs.
type answer struct {
	Result  string   `json:"result"`
	Bare    string   `json:"bare"`
	Ignored []string `json:"ignored"`
	Error   string   `json:"error"`
}

// gap is a request that the evaluator's data are wrong about, so that only its
// bare judgement counts. Everything else that it refuses or leaves out fails.
type gap struct {
	action, resource string // action begins with, resource contains
	says             string
	// keys are those that AWS documents for the action. One that ends in a sign goes on.
	keys []string
	// source is where AWS documents action, resource type and keys.
	source string
}

var gaps = []gap{
	{
		// Its data list the resource type twice, once for each table row of AWS's reference, and drop the row's keys.
		action: "ec2-instance-connect:OpenTunnel", says: "multiple.resource.types",
		keys: []string{
			"ec2-instance-connect:remotePort", "ec2-instance-connect:privateIpAddress", "ec2-instance-connect:maxTunnelDuration",
			"aws:ResourceTag/", "ec2:ResourceTag/",
		},
		source: "docs.aws.amazon.com/service-authorization/latest/reference/list_ec2-instance-connect.html",
	},
	{
		// Its data have the key for the action, but belong it to another service's list.
		action: "ec2-instance-connect:SendSSHPublicKey", says: "Condition key ec2:osuser not found",
		keys:   []string{"ec2:osuser", "aws:ResourceTag/", "ec2:ResourceTag/"},
		source: "docs.aws.amazon.com/service-authorization/latest/reference/list_ec2-instance-connect.html",
	},
	{
		// Documents of AWS have no account in their ARN.
		action: "ssm:StartSession", resource: "::document/A", says: "no.resource.types",
		keys:   []string{"ssm:SessionDocumentAccessCheck"},
		source: "docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-specify-session-document.html",
	},
	{
		// Its data have the key with a variable, of which it understands only those after a slash.
		action: "kms:", keys: []string{"kms:EncryptionContext:", "kms:CallerAccount", "kms:ResourceAliases", "kms:ViaService"},
		source: "docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html",
	},
	{
		action: "ssm:SendCommand", resource: "::document/A", says: "no.resource.types",
		source: "docs.aws.amazon.com/service-authorization/latest/reference/list_ssm.html",
	},
}

func (g gap) has(key string) bool {
	return slices.ContainsFunc(g.keys, func(known string) bool {
		return key == known || strings.HasPrefix(key, known) && strings.ContainsAny(known[len(known)-1:], "/:")
	})
}

// verdict is the evaluator's judgement, or an error where it has judged
// something else than what was asked.
func (a answer) verdict(q question) (allowed bool, err error) {
	result := a.Result
	if a.Error != "" || len(a.Ignored) > 0 {
		i := slices.IndexFunc(gaps, func(g gap) bool {
			return strings.HasPrefix(q.Action, g.action) && strings.Contains(q.Resource, g.resource) && g.says == a.Error &&
				!slices.ContainsFunc(a.Ignored, func(key string) bool { return !g.has(key) })
		})
		if i < 0 {
			return false, fmt.Errorf("the evaluator did not judge %s: error %q, left out %v", q, a.Error, a.Ignored)
		}
		for key := range q.Context {
			if !strings.HasPrefix(key, "aws:") && !gaps[i].has(key) {
				return false, fmt.Errorf("%s has no key %s: %s", q.Action, key, gaps[i].source)
			}
		}
		result = a.Bare
	} else if result == "" {
		result = a.Bare
	} else if a.Bare != "" && a.Bare != a.Result {
		return false, fmt.Errorf("the evaluator disagrees with itself about %s: %s and %s", q, a.Result, a.Bare)
	}
	switch result {
	case "Allowed":
		return true, nil
	case "ImplicitlyDenied", "ExplicitlyDenied":
		return false, nil
	default:
		return false, fmt.Errorf("the evaluator answered %q to %s", result, q)
	}
}

// Simulate asks the independent evaluator, all questions in one process. It
// judges policies by name.
func Simulate(policies map[string]json.RawMessage, questions []question) ([]answer, error) {
	input, err := json.Marshal(map[string]any{"policies": policies, "requests": questions})
	if err != nil {
		return nil, err
	}
	deadline, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	node := exec.CommandContext(deadline, "node", "simulate.mjs")
	node.Stdin = bytes.NewReader(input)
	var output, complaint bytes.Buffer
	node.Stdout, node.Stderr = &output, &complaint
	if err := node.Run(); err != nil {
		return nil, fmt.Errorf("node simulate.mjs: %w\n%s\nIs it installed? Run npm ci", err, complaint.String())
	}
	var result struct {
		Version string   `json:"version"`
		Answers []answer `json:"answers"`
	}
	if err := json.Unmarshal(output.Bytes(), &result); err != nil {
		return nil, fmt.Errorf("node simulate.mjs: %w", err)
	}
	if result.Version != evaluatorVersion {
		return nil, fmt.Errorf("evaluator is version %q, not %s: run npm ci", result.Version, evaluatorVersion)
	}
	if len(result.Answers) != len(questions) {
		return nil, fmt.Errorf("%d answers to %d questions", len(result.Answers), len(questions))
	}
	return result.Answers, nil
}
