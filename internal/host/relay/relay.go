//go:build linux

package relay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/settings"
)

const (
	// askTime is how long a client may take to say what it wants.
	askTime = 10 * time.Second
	// mostAsked is how long what it says may be.
	mostAsked = 64 << 10
	// connectTime is how long a target may take to answer.
	connectTime = 10 * time.Second
	// mostConnections at a time. What more come wait.
	mostConnections = 256
	// endTime is what open connections get when the relay is told to stop.
	endTime = time.Second
)

// Server is a relay. The zero value of all but Targets and Log is what the host
// has.
type Server struct {
	Targets []settings.RelayTarget
	Log     *event.Log

	// Allowed is the user that is served. 0: root.
	Allowed int

	lookup func(context.Context, string) ([]netip.Addr, error)
	own    func() ([]netip.Addr, error)
	peer   func(net.Conn) (int, error)
	dial   func(context.Context, netip.AddrPort) (net.Conn, error)
}

// Serve takes connections until ctx ends, and returns when all are over.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	s.defaults()
	var running sync.WaitGroup
	defer running.Wait()
	// Whatever ends it, open connections end with it.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	room := make(chan struct{}, mostConnections)
	for {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		client, err := listener.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = client.Close()
			}
			return nil
		case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ECONNABORTED):
			<-room
			time.Sleep(100 * time.Millisecond)
			continue
		case err != nil:
			return err
		}
		running.Go(func() {
			defer func() { <-room }()
			s.serve(ctx, client)
		})
	}
}

func (s *Server) defaults() {
	if s.lookup == nil {
		s.lookup = lookup
	}
	if s.own == nil {
		s.own = ownAddresses
	}
	if s.peer == nil {
		s.peer = peerUID
	}
	if s.dial == nil {
		s.dial = func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", to.String())
		}
	}
}

// serve is one connection of a client.
func (s *Server) serve(ctx context.Context, client net.Conn) {
	defer func() { _ = client.Close() }()
	if uid, err := s.peer(client); err != nil || uid != s.Allowed {
		if err == nil {
			err = fmt.Errorf("user %d is not whom tunnels come from", uid)
		}
		s.Log.Event("relay", "result", "refused", "reason", err)
		return
	}
	_ = client.SetReadDeadline(time.Now().Add(askTime))
	// After that one, which it must not be overtaken by.
	stop := context.AfterFunc(ctx, func() { _ = client.SetDeadline(time.Now().Add(endTime)) })
	defer stop()
	bounded := &io.LimitedReader{R: client, N: mostAsked}
	from := bufio.NewReader(bounded)
	asked, err := ask(from, client)
	bounded.N = math.MaxInt64
	if err != nil {
		// A client that only looks whether the port is open says nothing.
		if !errors.Is(err, io.EOF) {
			s.Log.Event("relay", "result", "refused", "reason", err)
		}
		return
	}
	began := time.Now()
	to, at, became, err := s.connect(ctx, asked)
	if err != nil {
		s.Log.Event("relay", "target", at.Name, "host", asked.host, "port", asked.port, "result", results[became], "reason", err)
		_ = asked.answer(became, fmt.Sprintf("%s port %d %s", asked.host, asked.port, err))
		return
	}
	defer func() { _ = to.Close() }()
	stopTo := context.AfterFunc(ctx, func() { _ = to.SetDeadline(time.Now().Add(endTime)) })
	defer stopTo()
	_ = client.SetReadDeadline(time.Time{})
	if ctx.Err() != nil {
		return // that was the deadline of the end
	}
	var sent, received int64
	if err = asked.answer(connected, ""); err == nil {
		sent, received, err = splice(client, from, to)
	}
	pairs := []any{
		"target", at.Name, "host", asked.host, "port", asked.port, "address", to.RemoteAddr().String(),
		"result", "connected", "sent", sent, "received", received, "ms", time.Since(began).Milliseconds(),
	}
	if err != nil {
		pairs = append(pairs, "reason", err)
	}
	s.Log.Event("relay", pairs...)
}

var results = map[outcome]string{forbidden: "refused", unreachable: "failed", refused: "failed", failed: "failed"}

// connect finds the target, examines its addresses and connects to one of them.
func (s *Server) connect(ctx context.Context, asked *request) (net.Conn, settings.RelayTarget, outcome, error) {
	at, listed := target(s.Targets, asked.host, asked.port)
	if !listed {
		reason := errors.New("is not a target of this relay")
		if _, err := netip.ParseAddr(asked.host); err == nil {
			reason = errors.New("is not a target of this relay: have the client send the name (socks5h), not an address")
		}
		return nil, at, forbidden, reason
	}
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	// As it was listed: a name's own dot at its end keeps search lists out.
	addresses, err := s.lookup(ctx, at.Host)
	if err != nil {
		return nil, at, unreachable, fmt.Errorf("has no address: %w", err)
	}
	own, err := s.own()
	if err != nil {
		return nil, at, failed, err
	}
	if err := examine(addresses, own); err != nil {
		return nil, at, forbidden, err
	}
	became := unreachable
	for _, address := range addresses {
		connection, failure := s.dial(ctx, netip.AddrPortFrom(address.Unmap(), uint16(at.Port))) //nolint:gosec // a port: settings read it as one
		if failure == nil {
			return connection, at, connected, nil
		}
		if errors.Is(failure, unix.ECONNREFUSED) {
			became = refused
		}
		err = failure
	}
	return nil, at, became, fmt.Errorf("does not answer: %w", err)
}

// splice moves bytes both ways until both are done. The end of one way is passed
// on and leaves the other one open.
func splice(client net.Conn, from io.Reader, to net.Conn) (sent, received int64, err error) {
	var back atomic.Int64
	done := make(chan error, 1)
	go func() {
		n, err := io.Copy(client, to)
		back.Store(n)
		endOf(client, err)
		if err != nil {
			_ = to.Close()
		}
		done <- err
	}()
	sent, err = io.Copy(to, from)
	endOf(to, err)
	if err != nil {
		_ = client.Close()
	}
	if other := <-done; err == nil {
		err = other
	}
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return sent, back.Load(), err
}

// endOf passes the end of a stream on.
func endOf(c net.Conn, err error) {
	if half, ok := c.(interface{ CloseWrite() error }); ok && err == nil {
		_ = half.CloseWrite()
		return
	}
	_ = c.Close()
}

// Address is where the relay of a host listens.
func Address(c settings.Relay) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port))
}
