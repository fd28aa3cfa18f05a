//go:build linux

package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/identity"
	"github.com/postern-cdk/postern/internal/host/settings"
	"github.com/postern-cdk/postern/internal/host/ship"
)

// Host is what is asked. The zero value of all but Settings is the host that the
// program runs on.
type Host struct {
	settings.Settings
	// Root of the paths.
	Root string
	// SSH is the address of sshd. "": 127.0.0.1:22.
	SSH string
	// IMDS is the instance metadata service. "": http://169.254.169.254.
	IMDS string
	// Closed is an address that people's programs must not reach. "": one of
	// TEST-NET-1, where nobody could answer but the host's own firewall.
	Closed string
	// RelayAt is where the relay listens. "": where the settings say.
	RelayAt string
	// Clock is the URL of a server whose time is trusted. "": S3 of the region.
	Clock string
	// Parameters is Parameter Store. nil: that of the region.
	Parameters identity.Parameters
	// Delivered tells whether a session has arrived in CloudWatch Logs and in the
	// bucket. nil: what the shipper has had acknowledged.
	Delivered func(root, session string) (logs, bucket bool, err error)
	// Canary writes a line with a word to the journal, and returns what tells whether it
	// has arrived in CloudWatch Logs. nil: the host's journal, and what the shipper has
	// had acknowledged.
	Canary func(root, word string) (arrived func() error, err error)
	// Probe connects as another user. nil: by a program that runs as that user.
	Probe func(ctx context.Context, user, address string) error

	// Tests can't have what only root on a real host has.
	chronyc    string
	appendOnly func(path string) (bool, error)
	now        func() time.Time

	login   sync.Mutex
	person  *person
	session sync.Once
	seen    recorded
	failed  error
}

// Limit is when a run ends, whatever it waits for: what a dead instance may lose
// must have arrived elsewhere by then.
const Limit = 15 * time.Second

// check is one promise. It returns what there is to know, or why the promise does
// not hold.
type check struct {
	name string
	run  func(*Host, context.Context) (detail string, err error)
}

var checks = []check{
	{"recording", (*Host).recording},
	{"shipping", (*Host).shipping},
	{"people", (*Host).people},
	{"clock", (*Host).clock},
	{"disk", (*Host).disk},
	{"memory", (*Host).memory},
	{"host-keys", (*Host).hostKeys},
	{"imds", (*Host).imds},
	{"egress", (*Host).egress},
	{"forwarding", (*Host).forwarding},
	{"relay", (*Host).relayed},
}

// Names of the checks.
func Names() []string {
	names := make([]string, len(checks))
	for i, c := range checks {
		names[i] = c.name
	}
	return names
}

// Run makes the named checks, all of them where none is named, each at the same
// time as the others, and tells what they found. The error names those that failed.
func (h *Host) Run(ctx context.Context, names []string, log *event.Log) error {
	if len(names) == 1 && names[0] == "all" {
		names = nil
	}
	for _, name := range names {
		if !slices.Contains(Names(), name) {
			return fmt.Errorf("there is no check %q; there are %s", name, strings.Join(Names(), ", "))
		}
	}
	h.defaults()
	unlock, err := h.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	defer h.logout()
	ctx, cancel := context.WithTimeout(ctx, Limit)
	defer cancel()

	var mu sync.Mutex
	var failed []string
	var running sync.WaitGroup
	for _, c := range checks {
		if len(names) > 0 && !slices.Contains(names, c.name) {
			continue
		}
		running.Go(func() {
			begin := time.Now()
			detail, err := h.try(ctx, c)
			result := "pass"
			if err != nil {
				result, detail = "fail", err.Error()
			}
			log.Event("check", "name", c.name, "result", result, "detail", detail, "ms", time.Since(begin).Milliseconds())
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, c.name)
			}
		})
	}
	running.Wait()
	if len(failed) == 0 {
		return nil
	}
	slices.Sort(failed)
	return errors.New("failed checks: " + strings.Join(failed, " "))
}

// try is a check that can't take the others with it.
func (h *Host) try(ctx context.Context, c check) (detail string, err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = fmt.Errorf("the check itself is broken: %v", broken)
		}
	}()
	return c.run(h, ctx)
}

func (h *Host) defaults() {
	set := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	domain := "amazonaws.com"
	if strings.HasPrefix(h.Region, "cn-") {
		domain += ".cn"
	}
	set(&h.SSH, "127.0.0.1:22")
	set(&h.IMDS, "http://169.254.169.254")
	set(&h.Closed, "192.0.2.1:9")
	set(&h.Clock, "https://s3."+h.Region+"."+domain+"/")
	set(&h.chronyc, "chronyc")
	if h.Delivered == nil {
		h.Delivered = ship.Delivered
	}
	if h.Canary == nil {
		h.Canary = canary
	}
	if h.Probe == nil {
		h.Probe = probe
	}
	if h.appendOnly == nil {
		h.appendOnly = appendOnly
	}
	if h.now == nil {
		h.now = time.Now
	}
}

// until asks again until the answer is yes or the time is over, and returns the
// last reason why not.
func until(ctx context.Context, ask func() error) error {
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}
