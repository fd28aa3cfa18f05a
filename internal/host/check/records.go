//go:build linux

package check

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/journal"

	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/people"
	"github.com/postern-cdk/postern/internal/host/settings"
	"github.com/postern-cdk/postern/internal/host/ship"
)

// peopleAge is five times the period of the timer.
const peopleAge = 5 * time.Minute

// canary is a line that the host's journal has from us.
func canary(root, word string) (func() error, error) {
	line := strings.TrimSuffix(string(event.Line("canary", "word", word)), "\n")
	c := &ship.Canary{Root: root, Kind: settings.LogHost, Word: word}
	return c.Delivered, journal.Send(line, journal.PriInfo, map[string]string{"SYSLOG_IDENTIFIER": "postern"})
}

// shipping follows the session of the recording check, and a line of the journal, to
// where records are kept.
func (h *Host) shipping(ctx context.Context) (string, error) {
	logs, bucket := h.Group(settings.LogSessions) != "", h.RecordBucket != ""
	if !logs && !bucket {
		return "NOTHING IS SHIPPED: records are on this host only, and end with it", nil
	}
	arrived := func() error { return nil }
	if h.Group(settings.LogHost) != "" {
		random := make([]byte, 8)
		_, _ = rand.Read(random)
		var err error
		if arrived, err = h.Canary(h.Root, hex.EncodeToString(random)); err != nil {
			return "", fmt.Errorf("the journal takes no line: %w", err)
		}
	}
	seen, err := h.have(ctx)
	if err != nil {
		return "", fmt.Errorf("there is no session to follow: %w", err)
	}
	begin := time.Now()
	if err := until(ctx, func() error {
		inLogs, inBucket, err := h.Delivered(h.Root, seen.id)
		var missing []string
		if logs && !inLogs {
			missing = append(missing, "CloudWatch Logs")
		}
		if bucket && !inBucket {
			missing = append(missing, "the bucket "+h.RecordBucket)
		}
		if err == nil && len(missing) > 0 {
			err = fmt.Errorf("session %s has not arrived in %s", seen.id, strings.Join(missing, " and "))
		}
		if err == nil {
			err = arrived()
		}
		return err
	}); err != nil {
		if s, statusErr := h.shipper(); statusErr == nil && s.Logs.Error+s.Bucket.Error != "" {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(s.Logs.Error+" "+s.Bucket.Error))
		}
		return "", err
	}
	took := time.Since(begin).Round(100 * time.Millisecond)
	s, err := h.shipper()
	if err != nil {
		return "", fmt.Errorf("what the shipper says of itself: %w", err)
	}
	// Its age says nothing: it is written where it changes.
	if s.Journal != "" {
		return "", fmt.Errorf("the journal is not shipped: %s", s.Journal)
	}
	detail := fmt.Sprintf("session %s and a line of the journal arrived within %s; %d s behind", seen.id, took, max(s.Logs.LagSeconds, s.Bucket.LagSeconds))
	if h.Group(settings.LogHost) == "" {
		detail = fmt.Sprintf("session %s arrived within %s; %d s behind; THE JOURNAL STAYS ON THIS HOST", seen.id, took, max(s.Logs.LagSeconds, s.Bucket.LagSeconds))
	}
	if !logs {
		detail += "; NOTHING GOES TO CLOUDWATCH LOGS"
	}
	if !bucket {
		detail += "; NOTHING GOES TO A BUCKET"
	}
	return detail, nil
}

// shipper is what the shipper says of itself.
func (h *Host) shipper() (ship.Status, error) {
	var s ship.Status
	text, err := os.ReadFile(h.path(ship.StatusFile))
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(text, &s)
}

// people asks whether accounts are as the bucket says.
func (h *Host) people(context.Context) (string, error) {
	if h.PeopleBucket == "" {
		return "NOBODY HAS AN ACCOUNT: there is no bucket of public keys", nil
	}
	s, err := people.ReadStatus(h.Root)
	if err != nil {
		return "", fmt.Errorf("what the last reconcile says of itself: %w", err)
	}
	// One run may fail, as a request does.
	if old := h.now().Sub(s.Success); old > peopleAge {
		since := "since " + s.Success.UTC().Format(time.RFC3339)
		if s.Success.IsZero() {
			since = "since the boot"
		}
		return "", fmt.Errorf("people are not as s3://%s says, %s: %s", path.Join(h.PeopleBucket, h.Choices.People.Prefix), since, strings.Join(s.Faults, "; "))
	}
	return fmt.Sprintf("%d people as of %s, %d objects refused", s.People, s.Success.UTC().Format(time.RFC3339), s.Refused), nil
}
