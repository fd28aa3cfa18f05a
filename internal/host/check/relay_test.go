//go:build linux

package check

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/relay"
	"github.com/postern-cdk/postern/internal/host/settings"
)

func TestRelayCheck(t *testing.T) {
	targets := []settings.RelayTarget{{Name: "orders", Host: "db.internal", Port: 5432}, {Name: "search", Host: "search.internal", Port: 443}}
	start := func(s *relay.Server) string {
		listener, err := net.Listen("tcp4", "127.0.0.1:0")
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		over := make(chan struct{})
		go func() { defer close(over); _ = s.Serve(ctx, listener) }()
		t.Cleanup(func() { cancel(); <-over })
		return listener.Addr().String()
	}
	log := &event.Log{Out: io.Discard}
	good := start(&relay.Server{Targets: targets, Log: log, Allowed: os.Getuid()})
	deaf := start(&relay.Server{Targets: targets, Log: log, Allowed: os.Getuid() + 1})
	everywhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	t.Cleanup(everywhere.Close)
	closed, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())

	for _, c := range []struct {
		name, at, want string
		probe, relay   error
		fails          bool
	}{
		{"good", good, "leads to orders, search only, and is refused to people", errRefused, errRefused, false},
		{"people reach it", good, "a person's program reaches the relay", nil, errRefused, true},
		{"people may try", good, "the firewall lets a person's program try the relay", errSilent, errRefused, true},
		{"reaches others", good, "the relay reaches 192.0.2.1:9, which is no target", errRefused, nil, true},
		{"may try others", good, "the firewall lets the relay try 192.0.2.1:9, which is no target", errRefused, errSilent, true},
		{"not for root", deaf, "the relay does not serve root, and so no tunnels", errRefused, errRefused, true},
		{"leads everywhere", everywhere.Listener.Addr().String(), `the relay answers "HTTP/1.1 200" to a target that isn't one`, errRefused, errRefused, true},
		{"down", closed.Addr().String(), "the relay does not answer: ", errRefused, errRefused, true},
	} {
		h := &Host{RelayAt: c.at, Closed: "192.0.2.1:9", Probe: func(_ context.Context, user, address string) error {
			if user == settings.RelayUser {
				assert.Equal(t, "192.0.2.1:9", address)
				return c.relay
			}
			assert.Equal(t, settings.CheckUser, user)
			assert.Equal(t, c.at, address)
			return c.probe
		}}
		h.RelayTargets = targets
		detail, err := h.relayed(t.Context())
		if c.fails {
			assert.ErrorContains(t, err, c.want, c.name)
			continue
		}
		require.NoError(t, err, c.name)
		assert.Equal(t, c.want, detail)
	}
	h := &Host{Probe: func(context.Context, string, string) error { return errors.New("not asked") }}
	detail, err := h.relayed(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "no targets, no relay", detail)
}
