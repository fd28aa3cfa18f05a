package owner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/cfn"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"github.com/postern-cdk/postern/internal/accountdefault"
)

// record is what outlives a call, and the stack.
type record struct {
	// About is for who finds the parameter.
	About string `json:"about"`
	// Last is what was done last, in words.
	Last string `json:"last"`
	// Original is what was there before the first claim. nil: nothing.
	Original *original `json:"original"`
	// Claims in force, the last one being the document's. There are two while
	// CloudFormation replaces one resource of a stack by another.
	Claims []claim `json:"claims"`
	// Orphan is the digest of what a deletion had to leave in force though it was
	// ours: it is no original.
	Orphan string `json:"orphan,omitempty"`
	// Requests that were begun, the latest last.
	Requests []string `json:"requests"`
}

type original struct {
	Version string `json:"version"` // of the document; "" where that is gone
	Digest  string `json:"digest"`
	Saved   string `json:"saved"`
}

// claim is one custom resource's.
type claim struct {
	Stack    string `json:"stack"`
	Resource string `json:"resource"`
	// Digest of the content in force, and Version that has it.
	Digest  string `json:"digest"`
	Version string `json:"version"`
	// Versions that were made here, all of them.
	Versions []string `json:"versions"`
	// Pending is the digest of what a request is about to put in force in the place
	// of Base. Both stay when it ends early.
	Pending string `json:"pending,omitempty"`
	Base    string `json:"base,omitempty"`
	// Foreign is the version of another hand that the last update replaced, and Was
	// the digest of ours before it: a rollback asks for that again.
	Foreign string `json:"foreign,omitempty"`
	Was     string `json:"was,omitempty"`
}

const about = "Postern keeps here who owns the Session Manager preferences of this account and Region, the document " +
	accountdefault.Document + ". What it was before is in the parameter " + accountdefault.Original + ", as JSON."

const rememberedRequests = 20

func (c *claim) of(e *cfn.Event) bool {
	return c.Stack == e.StackID && c.Resource == e.LogicalResourceID
}

// ours says that content of that digest was put in force for this claim, or was
// about to be replaced by it.
func (c *claim) ours(digest string) bool {
	return digest != "" && (digest == c.Digest || c.Pending != "" && (digest == c.Pending || digest == c.Base))
}

func (r *record) find(e *cfn.Event) int {
	return slices.IndexFunc(r.Claims, func(c claim) bool { return c.of(e) })
}

func (r *record) top() *claim {
	if len(r.Claims) == 0 {
		return nil
	}
	return &r.Claims[len(r.Claims)-1]
}

func (r *record) begin(requestID string) {
	if slices.Contains(r.Requests, requestID) {
		return
	}
	r.Requests = append(r.Requests, requestID)
	if extra := len(r.Requests) - rememberedRequests; extra > 0 {
		r.Requests = r.Requests[extra:]
	}
}

// readRecord returns an empty record where there is none.
func (h *Handler) readRecord(ctx context.Context) (*record, error) {
	text, err := h.readParameter(ctx, accountdefault.Record)
	if err != nil {
		return nil, err
	}
	r := &record{About: about}
	if text == "" {
		return r, nil
	}
	if err := json.Unmarshal([]byte(text), r); err != nil {
		return nil, fmt.Errorf("the parameter %s is none of ours (%w): look at it, and delete it or take an earlier one of its history, then try again", accountdefault.Record, err)
	}
	return r, nil
}

func (h *Handler) writeRecord(ctx context.Context, r *record, last string) error {
	r.Last = h.now().UTC().Format(time.RFC3339) + ": " + last
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return h.writeParameter(ctx, accountdefault.Record, string(text))
}

// readParameter returns "" where there is none.
func (h *Handler) readParameter(ctx context.Context, name string) (string, error) {
	out, err := h.ssm.GetParameter(ctx, &ssm.GetParameterInput{Name: &name})
	if missing := (*types.ParameterNotFound)(nil); errors.As(err, &missing) {
		return "", nil
	}
	if err != nil {
		return "", failed("the parameter "+name+" can't be read", err)
	}
	if out.Parameter == nil {
		return "", fmt.Errorf("the parameter %s has no value", name)
	}
	return aws.ToString(out.Parameter.Value), nil
}

// A parameter takes 4 KB, or 8 KB as an advanced one, which costs some cents a month.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
const largestParameter = 8 << 10

func (h *Handler) writeParameter(ctx context.Context, name, value string) error {
	put := func(tier types.ParameterTier) error {
		_, err := h.ssm.PutParameter(ctx, &ssm.PutParameterInput{
			Name: &name, Value: &value, Type: types.ParameterTypeString, Overwrite: aws.Bool(true), Tier: tier,
		})
		return err
	}
	tier := types.ParameterTierStandard
	if len(value) > largestParameter/2 {
		tier = types.ParameterTierAdvanced
	}
	err := put(tier)
	var api smithy.APIError
	if tier == types.ParameterTierStandard && errors.As(err, &api) && api.ErrorCode() == "ValidationException" {
		err = put(types.ParameterTierAdvanced) // which it was once, and stays
	}
	if err != nil {
		return failed("the parameter "+name+" can't be written", err)
	}
	return nil
}

// saveOriginal keeps content where a person finds it.
func (h *Handler) saveOriginal(ctx context.Context, content string) error {
	// A parameter must not hold what looks like a reference to another. In JSON, two
	// braces stand next to each other in strings only.
	content = strings.ReplaceAll(content, "{{", `{\u007b`)
	if len(content) > largestParameter {
		return fmt.Errorf("%s can't be adopted: its content has %d bytes, and the parameter %s that keeps it takes %d: "+
			"shorten it, such as its description or shell profile, or give it another name and delete it", accountdefault.Document, len(content), accountdefault.Original, largestParameter)
	}
	old, err := h.readParameter(ctx, accountdefault.Original)
	if err != nil {
		return err
	}
	if old == content {
		return nil
	}
	return h.writeParameter(ctx, accountdefault.Original, content)
}
