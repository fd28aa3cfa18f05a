//go:build linux

package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/postern-cdk/postern/internal/host/relay"
	"github.com/postern-cdk/postern/internal/host/settings"
)

// relayed checks that the relay leads to its targets only, and serves no people.
func (h *Host) relayed(ctx context.Context) (string, error) {
	if len(h.RelayTargets) == 0 {
		return "no targets, no relay", nil
	}
	at := h.RelayAt
	if at == "" {
		at = relay.Address(h.Relay)
	}
	if err := h.refused(ctx, "the relay", at); err != nil {
		return "", err
	}
	if err := h.refusedTo(ctx, settings.RelayUser, "the relay", h.Closed+", which is no target", h.Closed); err != nil {
		return "", err
	}
	dialer := net.Dialer{Timeout: probeTime}
	c, err := dialer.DialContext(ctx, "tcp", at)
	if err != nil {
		return "", fmt.Errorf("the relay does not answer: %w", err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(probeTime))
	// Of a name that nobody would list.
	if _, err := io.WriteString(c, "CONNECT postern-check.invalid:9 HTTP/1.1\r\n\r\n"); err != nil {
		return "", fmt.Errorf("the relay does not answer: %w", err)
	}
	answer := make([]byte, len("HTTP/1.1 403"))
	switch _, err := io.ReadFull(c, answer); {
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return "", errors.New("the relay does not serve root, and so no tunnels")
	case err != nil:
		return "", fmt.Errorf("the relay does not answer: %w", err)
	case string(answer) != "HTTP/1.1 403":
		return "", fmt.Errorf("the relay answers %q to a target that isn't one", answer)
	}
	return "leads to " + names(h.RelayTargets) + " only, and is refused to people", nil
}

func names(targets []settings.RelayTarget) string {
	list := make([]string, len(targets))
	for i, t := range targets {
		list[i] = t.Name
	}
	return strings.Join(list, ", ")
}
