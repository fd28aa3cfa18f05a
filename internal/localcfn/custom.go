package localcfn

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/postern-cdk/postern/internal/localcfn/engine"
)

// CustomResource is what a function behind a custom resource does: it takes the
// request as Lambda would give it, and answers by a PUT to its ResponseURL. An error
// without an answer has it called again, twice, as Lambda does.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requesttypes.html
type CustomResource func(ctx context.Context, event []byte) error

// responder asks functions and takes their answers.
type responder struct {
	functions map[string]CustomResource
	listener  net.Listener
	server    *http.Server

	mu      sync.Mutex
	waiting map[string]*response // by the secret part of the URL
}

type response struct {
	body []byte
	came bool
}

// The largest response.
const largestResponse = 4096

// Lambda calls a function that fails twice more.
// https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
const calls = 3

func newResponder(functions map[string]CustomResource) (*responder, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &responder{functions: functions, listener: listener, waiting: map[string]*response{}}
	r.server = &http.Server{Handler: loopback(http.HandlerFunc(r.take)), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = r.server.Serve(listener) }()
	return r, nil
}

// answers says whether there is a function for the type, or might be for its token.
func (r *responder) answers(typ string) bool {
	if r.functions[typ] != nil {
		return true
	}
	for key := range r.functions {
		if strings.HasPrefix(key, "arn:") {
			return true
		}
	}
	return false
}

// take is the bucket that responses are put to.
func (r *responder) take(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(io.LimitReader(q.Body, largestResponse+1))
	r.mu.Lock()
	defer r.mu.Unlock()
	waiting := r.waiting[q.URL.Query().Get("Signature")]
	// The URL is signed for a PUT without a content type.
	if err != nil || waiting == nil || q.Method != http.MethodPut || q.Header.Get("Content-Type") != "" {
		http.Error(w, "SignatureDoesNotMatch", http.StatusForbidden)
		return
	}
	waiting.body, waiting.came = body, true
}

func (r *responder) ask(q engine.CustomRequest) (engine.CustomAnswer, error) {
	function := r.functions[q.ServiceToken]
	if function == nil {
		function = r.functions[q.Type]
	}
	if function == nil {
		return engine.CustomAnswer{}, fmt.Errorf("nothing answers for the service token %s", q.ServiceToken)
	}
	secret := rand.Text()
	waiting := &response{}
	r.mu.Lock()
	r.waiting[secret] = waiting
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.waiting, secret)
		r.mu.Unlock()
	}()
	q.Event["ResponseURL"] = "http://" + r.listener.Addr().String() + "/cloudformation-custom-resource-response?Signature=" + secret
	event, err := json.Marshal(q.Event)
	if err != nil {
		return engine.CustomAnswer{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(q.Timeout)*time.Second)
	defer cancel()
	var failed error
	for range calls {
		if failed = call(ctx, function, event); failed == nil || ctx.Err() != nil {
			break
		}
		if r.mu.Lock(); waiting.came {
			failed = nil
		}
		r.mu.Unlock()
		if failed == nil {
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !waiting.came {
		reason := "it ended without one"
		if failed != nil {
			reason = failed.Error()
		}
		return engine.CustomAnswer{}, fmt.Errorf("CloudFormation did not receive a response from your Custom Resource. Please check your logs for requestId [%s]: %s", q.Event["RequestId"], reason)
	}
	return read(waiting.body)
}

// call has a function do it, in the given time.
func call(ctx context.Context, function CustomResource, event []byte) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if cause := recover(); cause != nil {
				done <- fmt.Errorf("panic: %v", cause)
			}
		}()
		done <- function(ctx, event)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func read(body []byte) (engine.CustomAnswer, error) {
	if len(body) > largestResponse {
		return engine.CustomAnswer{}, fmt.Errorf("Response object is too long.") //nolint:staticcheck,revive,perfsprint // CloudFormation's words
	}
	var in struct {
		Status, Reason, PhysicalResourceId, StackId, RequestId, LogicalResourceId string
		Data                                                                      map[string]any
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return engine.CustomAnswer{}, fmt.Errorf("Invalid response object: %w", err) //nolint:staticcheck // CloudFormation's words
	}
	return engine.CustomAnswer{
		Status: in.Status, Reason: in.Reason, PhysicalResourceID: in.PhysicalResourceId, StackID: in.StackId,
		RequestID: in.RequestId, LogicalResourceID: in.LogicalResourceId, Data: in.Data,
	}, nil
}
