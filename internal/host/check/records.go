//go:build linux

package check

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/postern-cdk/postern/internal/host/settings"
)

// What the services write about themselves, and how old it may be.
const (
	peopleFile = settings.RunDir + "/people.json"
	shipFile   = settings.RunDir + "/ship.json"
	peopleAge  = 5 * time.Minute // five times the timer's period
	shipAge    = time.Minute
)

// status is what a service writes about itself, as far as it is read here.
type status struct {
	At     time.Time `json:"at"`
	People int       `json:"people"`
	Faults []string  `json:"faults"`
	// Backlog is what waits to be shipped, in bytes.
	Backlog int64   `json:"backlog"`
	Lag     float64 `json:"lag"` // seconds
}

// fresh reads what a service wrote about itself, if that is not too old.
func (h *Host) fresh(name string, age time.Duration) (status, error) {
	var s status
	text, err := os.ReadFile(h.path(name))
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("%s: %w", name, err)
	}
	if old := h.now().Sub(s.At); old > age {
		return s, fmt.Errorf("%s is %s old, and is written all the time", name, old.Round(time.Second))
	}
	return s, nil
}

// shipping follows the session of the recording check to where records are kept.
func (h *Host) shipping(ctx context.Context) (string, error) {
	var to []string
	if h.Group(settings.LogSessions) != "" {
		to = append(to, "CloudWatch Logs")
	}
	if h.RecordBucket != "" {
		to = append(to, "the bucket")
	}
	if len(to) == 0 {
		return "NOTHING IS SHIPPED: records are on this host only, and end with it", nil
	}
	seen, err := h.have(ctx)
	if err != nil {
		return "", fmt.Errorf("there is no session to follow: %w", err)
	}
	begin := time.Now()
	if err := until(ctx, func() error {
		arrived, err := h.Delivered(h.Root, seen.id)
		if err == nil && !arrived {
			err = fmt.Errorf("session %s has not arrived in %s", seen.id, strings.Join(to, " and "))
		}
		return err
	}); err != nil {
		return "", err
	}
	s, err := h.fresh(shipFile, shipAge)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("session %s arrived in %s within %s; %d bytes are waiting, for %.0f s", seen.id,
		strings.Join(to, " and "), time.Since(begin).Round(100*time.Millisecond), s.Backlog, s.Lag), nil
}

// people asks whether accounts are as the bucket says.
func (h *Host) people(context.Context) (string, error) {
	if h.PeopleBucket == "" {
		return "NOBODY HAS AN ACCOUNT: there is no bucket of public keys", nil
	}
	s, err := h.fresh(peopleFile, peopleAge)
	if err != nil {
		return "", err
	}
	if len(s.Faults) > 0 {
		return "", fmt.Errorf("people are not as %s says: %s", filepath.Join(h.PeopleBucket, h.People.Prefix), strings.Join(s.Faults, "; "))
	}
	return fmt.Sprintf("%d people as of %s", s.People, s.At.UTC().Format(time.RFC3339)), nil
}
