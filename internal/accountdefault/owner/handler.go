package owner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/cfn"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"

	"github.com/postern-cdk/postern/internal/accountdefault"
)

// Handler answers the requests of CloudFormation.
type Handler struct {
	ssm  *ssm.Client
	http *http.Client
	log  *slog.Logger

	now   func() time.Time
	sleep func(context.Context, time.Duration) error
	// looks at the document that a version has to become the default, a pause apart.
	looks int
	pause time.Duration
	// reserve is what is kept of the time for undoing and for answering.
	reserve time.Duration
	// settle is how long a new role may take to be known everywhere.
	settle time.Duration
	// attempts to answer.
	attempts int
}

// New makes a handler that speaks to Systems Manager by a configuration, and logs
// to a writer, a line of JSON each.
func New(config aws.Config, log io.Writer) *Handler {
	client := ssm.NewFromConfig(config, func(o *ssm.Options) {
		if o.Retryer == nil {
			o.Retryer = retry.NewStandard(func(r *retry.StandardOptions) {
				r.MaxAttempts, r.MaxBackoff = 8, 8*time.Second
			})
		}
	})
	return &Handler{
		ssm: client, http: &http.Client{Timeout: 4 * time.Second}, log: slog.New(slog.NewJSONHandler(log, nil)),
		now: time.Now, sleep: sleep, looks: 20, pause: 1500 * time.Millisecond,
		reserve: 25 * time.Second, settle: 45 * time.Second, attempts: 5,
	}
}

// outcome of a request.
type outcome struct {
	version, said string
	err           error
}

// Handle does what the event asks for and answers it, whatever happens. Its error
// is that the answer could not be delivered: Lambda then calls it again.
func (h *Handler) Handle(ctx context.Context, e cfn.Event) error {
	log := h.log.With("request", e.RequestID, "type", string(e.RequestType), "stack", e.StackID, "resource", e.LogicalResourceID)
	log.Info("begins")
	if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > h.reserve {
		// Leave time to go back and to answer.
		if ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, deadline.Add(-h.reserve))
			defer cancel()
		}
	}
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() {
			if cause := recover(); cause != nil {
				log.Error("panics", "cause", fmt.Sprint(cause), "where", string(debug.Stack()))
				o.err = fmt.Errorf("the function failed within itself: %v", cause)
			}
			done <- o
		}()
		o = h.do(ctx, &e)
	}()
	var o outcome
	select {
	case o = <-done:
	case <-ctx.Done():
		// It is on its way back, which has time of its own.
		select {
		case o = <-done:
		case <-time.After(h.reserve * 3 / 5):
			o.err = errors.New("the function ran out of time")
		}
	}
	return h.answer(ctx, log, &e, o)
}

func (h *Handler) do(ctx context.Context, e *cfn.Event) (o outcome) {
	switch e.RequestType {
	case cfn.RequestCreate, cfn.RequestUpdate:
		if e.RequestType == cfn.RequestCreate {
			if o.err = h.settled(ctx); o.err != nil {
				return o
			}
		}
		o.version, o.said, o.err = h.apply(ctx, e)
	case cfn.RequestDelete:
		o.said, o.err = h.remove(ctx, e)
	default:
		o.err = fmt.Errorf("the request type %q is not known", e.RequestType)
	}
	return o
}

// settled waits until the role, which is seconds old, may do what it may do.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
func (h *Handler) settled(ctx context.Context) error {
	const step = 3 * time.Second
	for waited := time.Duration(0); ; waited += step {
		_, err := h.describe(ctx)
		var api smithy.APIError
		if err == nil || !errors.As(err, &api) || api.ErrorCode() != "AccessDeniedException" || waited >= h.settle {
			return err
		}
		if err := h.sleep(ctx, step); err != nil {
			return err
		}
	}
}

// longestReason keeps the answer below the 4096 bytes that it may have.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html
const longestReason = 1500

func (h *Handler) answer(ctx context.Context, log *slog.Logger, e *cfn.Event, o outcome) error {
	response := cfn.NewResponse(e)
	response.Status, response.Reason = cfn.StatusSuccess, o.said
	// The same always: another would be a replacement.
	response.PhysicalResourceID = e.PhysicalResourceID
	if response.PhysicalResourceID == "" {
		response.PhysicalResourceID = accountdefault.Document
	}
	switch {
	case o.err == nil:
		log.Info("is done", "said", o.said)
		if o.version != "" {
			response.Data = map[string]any{"Version": o.version}
		}
	case e.RequestType == cfn.RequestDelete:
		// A stack that can't be deleted helps nobody.
		log.Error("left the preferences as they are; see docs/guide/session-preferences.md for how to restore them by hand",
			"error", o.err.Error(), "original", accountdefault.Original, "record", accountdefault.Record)
		response.Reason = "The preferences are left as they are: " + o.err.Error()
	default:
		log.Error("fails", "error", o.err.Error())
		response.Status, response.Reason = cfn.StatusFailed, o.err.Error()
	}
	response.Reason = shortened(response.Reason)
	body, err := json.Marshal(response)
	if err != nil {
		return err
	}
	// What is left of the time is for this.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.reserve*2/5)
	defer cancel()
	for attempt := 1; ; attempt++ {
		again, err := h.deliver(ctx, e.ResponseURL, body)
		if err == nil {
			return nil
		}
		log.Error("can't answer", "attempt", attempt, "error", err.Error())
		if !again || attempt >= h.attempts {
			return err
		}
		if h.sleep(ctx, time.Duration(attempt)*500*time.Millisecond) != nil {
			return err
		}
	}
}

// deliver sends the answer once. The URL is a key to the answer: no error may show it.
func (h *Handler) deliver(ctx context.Context, url string, body []byte) (again bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, url, bytes.NewReader(body))
	if err != nil {
		return false, errors.New("the response URL is none")
	}
	// It was signed without a content type.
	reply, err := h.http.Do(request)
	if err != nil {
		var inner interface{ Unwrap() error }
		if errors.As(err, &inner) {
			err = inner.Unwrap()
		}
		return true, err
	}
	defer func() { _ = reply.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(reply.Body, 64<<10))
	if reply.StatusCode == http.StatusOK {
		return false, nil
	}
	return reply.StatusCode >= 500, fmt.Errorf("the answer was refused: %s", reply.Status)
}

func shortened(text string) string {
	if len(text) <= longestReason {
		return text
	}
	text = text[:longestReason]
	for !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text + "... (more in the log)"
}
