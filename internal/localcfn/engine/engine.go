// Package engine deploys templates to a [cloud.Cloud] as CloudFormation does:
// stacks, change sets, replacement, rollback, exports, events.
package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/postern-cdk/postern/internal/localcfn/cloud"
	"github.com/postern-cdk/postern/internal/localcfn/schema"
	"github.com/postern-cdk/postern/internal/localcfn/template"
)

// Options configure an [Engine].
type Options struct {
	Account   string
	Region    string
	Partition string
	// StateFile keeps all state over a restart; empty keeps none.
	StateFile string
	// Delay is waited before each operation on a resource is done, so that
	// progress can be watched. Stacks then change while calls are answered.
	Delay time.Duration
	// Quotas overrides how many resources of a type there may be.
	Quotas map[string]int
	// AnswersCustom says whether a custom resource of that type is answered, and
	// Custom has it answered. nil: none is.
	AnswersCustom func(typ string) bool
	Custom        func(CustomRequest) (CustomAnswer, error)
	// Now is the clock; nil is the machine's.
	Now func() time.Time
}

// Engine is one account in one region. It is safe for concurrent use.
type Engine struct {
	mu      sync.Mutex
	options Options
	cloud   *cloud.Cloud
	stacks  map[string]*Stack // by ID
	buckets map[string]map[string]*S3Object
	faults  []*Fault
	working sync.WaitGroup
	closed  bool
	serial  int
	clock   time.Time
}

// S3Object is one object of a bucket.
type S3Object struct {
	Body        []byte            `json:"body"`
	ContentType string            `json:"contentType,omitempty"`
	ETag        string            `json:"etag"`
	Modified    time.Time         `json:"modified"`
	Metadata    map[string]string `json:"metadata,omitempty"`
}

// APIError is an answer that refuses a call.
type APIError struct{ Code, Message string }

func (e *APIError) Error() string { return e.Code + ": " + e.Message }

func invalid(format string, args ...any) error {
	return &APIError{"ValidationError", fmt.Sprintf(format, args...)}
}

// asInvalid makes a fault of a template the answer that CloudFormation gives.
func asInvalid(err error) error {
	var t template.Error
	if errors.As(err, &t) {
		return &APIError{"ValidationError", string(t)}
	}
	return err
}

// New makes an engine and reads its state file, if there is one.
func New(o Options) (*Engine, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	e := &Engine{
		options: o, stacks: map[string]*Stack{}, buckets: map[string]map[string]*S3Object{},
		cloud: cloud.New(o.Account, o.Region, o.Partition),
	}
	e.cloud.Now = e.now
	e.cloud.Quotas = o.Quotas
	if o.StateFile != "" {
		if err := e.load(); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// now gives the time, each time a little later, so that events sort.
func (e *Engine) now() time.Time {
	t := e.options.Now().UTC().Truncate(time.Millisecond)
	if !t.After(e.clock) {
		t = e.clock.Add(time.Millisecond)
	}
	e.clock = t
	return t
}

type state struct {
	Version int                             `json:"version"`
	Account string                          `json:"account"`
	Region  string                          `json:"region"`
	Serial  int                             `json:"serial"`
	Cloud   cloud.State                     `json:"cloud"`
	Stacks  []*Stack                        `json:"stacks"`
	Buckets map[string]map[string]*S3Object `json:"buckets"`
}

func (e *Engine) load() error {
	b, err := os.ReadFile(e.options.StateFile)
	if errors.Is(err, os.ErrNotExist) {
		return e.save() // fail now rather than at the first deploy
	}
	if err != nil {
		return fmt.Errorf("state file: %w", err)
	}
	var s state
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	err = d.Decode(&s)
	if _, end := d.Token(); err == nil && !errors.Is(end, io.EOF) {
		err = errors.New("something follows the state")
	}
	if err == nil {
		err = s.check()
	}
	if err != nil {
		return fmt.Errorf("state file %s can't be read and is left as it is: %w", e.options.StateFile, err)
	}
	if s.Version != 1 {
		return fmt.Errorf("state file %s: version %d is not known, only 1", e.options.StateFile, s.Version)
	}
	if s.Account != e.options.Account || s.Region != e.options.Region {
		return fmt.Errorf("state file %s: is of account %s in %s, not of %s in %s",
			e.options.StateFile, s.Account, s.Region, e.options.Account, e.options.Region)
	}
	e.serial = s.Serial
	e.cloud.Restore(s.Cloud)
	if s.Buckets != nil {
		e.buckets = s.Buckets
	}
	for _, st := range s.Stacks {
		e.stacks[st.ID] = st
		e.resume(st)
	}
	return nil
}

// resume ends what was under way when the process did: a cleanup is done,
// anything else has failed.
func (e *Engine) resume(s *Stack) {
	const reason = "The process ended while this was under way."
	if s.Status == "REVIEW_IN_PROGRESS" || !s.busy() {
		return
	}
	for _, r := range s.Resources {
		if verb, ok := strings.CutSuffix(r.Status, "_IN_PROGRESS"); ok {
			r.Status, r.Reason = verb+"_FAILED", reason
		}
	}
	if done, ok := strings.CutSuffix(s.Status, "_CLEANUP_IN_PROGRESS"); ok {
		d := deployment{e: e, s: s, leaving: e.leftovers(s, nil)}
		reason := d.cleanup()
		s.Undo = nil
		e.status(s, done, reason)
		return
	}
	e.status(s, strings.TrimSuffix(s.Status, "IN_PROGRESS")+"FAILED", reason)
}

// check finds what no engine writes.
func (s *state) check() error {
	for _, o := range s.Cloud.Objects {
		if o == nil || schema.Lookup(o.Type) == nil || o.ID == "" {
			return errors.New("it has an object without a known type and an identifier")
		}
		if o.Attributes == nil {
			o.Attributes = map[string]any{} // empty ones aren't written
		}
		if o.Properties == nil {
			o.Properties = map[string]any{}
		}
	}
	for _, st := range s.Stacks {
		if st == nil || st.ID == "" || st.Name == "" {
			return errors.New("it has a stack without a name and an ID")
		}
		if st.Resources == nil {
			return fmt.Errorf("stack %s has no resources", st.Name)
		}
		all := []map[string]*Resource{st.Resources}
		if st.Undo != nil {
			all = append(all, st.Undo.Resources)
		}
		for _, m := range all {
			for id, r := range m {
				if r == nil || r.LogicalID != id || schema.Lookup(r.Type) == nil {
					return fmt.Errorf("stack %s has a broken resource %s", st.Name, id)
				}
			}
		}
		if slices.Contains(st.Events, nil) || slices.Contains(st.ChangeSets, nil) {
			return fmt.Errorf("stack %s has an empty event or change set", st.Name)
		}
	}
	for name, objects := range s.Buckets {
		for key, o := range objects {
			if o == nil {
				return fmt.Errorf("bucket %s has an empty object %s", name, key)
			}
		}
	}
	return nil
}

// save writes the state file: whole, or not at all.
func (e *Engine) save() error {
	if e.options.StateFile == "" {
		return nil
	}
	s := state{
		Version: 1, Account: e.options.Account, Region: e.options.Region, Serial: e.serial,
		Cloud: e.cloud.State(), Buckets: e.buckets,
	}
	for _, id := range slices.Sorted(maps.Keys(e.stacks)) {
		s.Stacks = append(s.Stacks, e.stacks[id])
	}
	b, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return fmt.Errorf("state file: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(e.options.StateFile), ".localcfn-*")
	if err != nil {
		return fmt.Errorf("state file: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already where all went well
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), e.options.StateFile)
	}
	if err != nil {
		return fmt.Errorf("state file: %w", err)
	}
	return nil
}

// Close waits for what is under way and writes the state.
func (e *Engine) Close() error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.working.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.save()
}

// run does the work of a call: at once, or behind it where there is a delay.
// The caller holds the lock and has begun: the stack's status tells already
// that it is busy, so that no second operation gets in between.
func (e *Engine) run(work func()) error {
	if e.options.Delay <= 0 {
		work()
		return e.save()
	}
	if err := e.save(); err != nil {
		return err
	}
	e.working.Add(1)
	go func() {
		defer e.working.Done()
		e.mu.Lock()
		defer e.mu.Unlock()
		work()
		// The next call that writes tells of a state file that can't be written.
		_ = e.save()
	}()
	return nil
}

// pause lets others in while a resource is "worked on".
func (e *Engine) pause() {
	if e.options.Delay <= 0 || e.closed {
		return
	}
	e.mu.Unlock()
	time.Sleep(e.options.Delay)
	e.mu.Lock()
}

// Fault makes an operation on a type fail.
type Fault struct {
	// Type is a resource type, such as AWS::EC2::VPC; empty is any.
	Type string `json:"type"`
	// LogicalID narrows it to resources of this name; empty is any.
	LogicalID string `json:"logicalId,omitempty"`
	// Operation is Create, Update or Delete; empty is any.
	Operation string `json:"operation"`
	// Nth is which of the operations fails, counted from when the fault was
	// added; 0 is the next, as is 1.
	Nth int `json:"nth,omitempty"`
	// Every makes all from the Nth on fail, not only that.
	Every bool `json:"every,omitempty"`
	// Message is the reason given.
	Message string `json:"message,omitempty"`

	seen  int
	spent bool
}

// Inject adds a fault.
func (e *Engine) Inject(f Fault) error {
	if f.Operation != "" && !slices.Contains([]string{"Create", "Update", "Delete"}, f.Operation) {
		return fmt.Errorf("operation %q: it is Create, Update or Delete", f.Operation)
	}
	if f.Nth < 0 {
		return fmt.Errorf("nth %d: it counts from 1", f.Nth)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults = append(e.faults, &f)
	return nil
}

// ClearFaults takes all faults back.
func (e *Engine) ClearFaults() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults = nil
}

// failing gives the message of the fault that hits, or "".
func (e *Engine) failing(operation, typ, logicalID string) string {
	message := ""
	for _, f := range e.faults {
		if f.spent || (f.Type != "" && f.Type != typ) || (f.LogicalID != "" && f.LogicalID != logicalID) || (f.Operation != "" && f.Operation != operation) {
			continue
		}
		f.seen++
		if f.seen < max(f.Nth, 1) {
			continue
		}
		f.spent = !f.Every
		if message == "" {
			message = f.Message
			if message == "" {
				message = fmt.Sprintf("Injected fault: %s of %s", operation, typ)
			}
		}
	}
	return message
}
