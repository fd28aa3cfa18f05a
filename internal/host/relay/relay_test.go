//go:build linux

package relay

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/settings"
)

// rig is a relay on a real socket, and a target that answers in upper case.
type rig struct {
	t      *testing.T
	server *Server
	at     string
	log    *lines
	target netip.AddrPort
	names  map[string][]netip.Addr
	asked  []string // of names
	dialed []netip.AddrPort
}

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) all() []map[string]any {
	l.mu.Lock()
	defer l.mu.Unlock()
	var events []map[string]any
	for line := range strings.Lines(l.text.String()) {
		var one map[string]any
		if json.Unmarshal([]byte(line), &one) == nil {
			events = append(events, one)
		}
	}
	return events
}

// inner is the address that names of targets have: the connection goes to the
// target of the rig all the same.
var inner = netip.MustParseAddr("10.0.1.5")

func newRig(t *testing.T) *rig {
	t.Helper()
	target, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = target.Close() })
	go func() {
		for {
			c, err := target.Accept()
			if err != nil {
				return
			}
			go func() {
				// The answer comes after the end of the question.
				said, _ := io.ReadAll(c)
				_, _ = c.Write(bytes.ToUpper(said))
				_ = c.Close()
			}()
		}
	}()
	r := &rig{
		t: t, log: &lines{}, target: netip.MustParseAddrPort(target.Addr().String()),
		names: map[string][]netip.Addr{"db.internal": {inner}, "Search.Internal.": {inner}},
	}
	r.server = &Server{
		Targets: []settings.RelayTarget{
			{Name: "orders", Host: "db.internal", Port: 5432},
			{Name: "search", Host: "Search.Internal.", Port: 443},
			{Name: "fixed", Host: "10.0.1.9", Port: 6379},
		},
		Log:     &event.Log{Out: r.log},
		Allowed: os.Getuid(),
		own:     func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("10.0.0.10")}, nil },
		lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			r.asked = append(r.asked, host)
			if list, ok := r.names[host]; ok {
				return list, nil
			}
			if _, err := netip.ParseAddr(host); err == nil {
				return lookup(ctx, host)
			}
			return nil, errors.New("no such host")
		},
		dial: func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
			r.dialed = append(r.dialed, to)
			return (&net.Dialer{}).DialContext(ctx, "tcp", r.target.String())
		},
	}
	return r
}

func (r *rig) start() *rig {
	r.t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(r.t, err)
	r.at = listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- r.server.Serve(ctx, listener) }()
	r.t.Cleanup(func() {
		cancel()
		select {
		case err := <-over:
			assert.NoError(r.t, err)
		case <-time.After(10 * time.Second):
			r.t.Error("the relay does not end")
		}
	})
	return r
}

func (r *rig) connect() net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp4", r.at)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = c.Close() })
	require.NoError(r.t, c.SetDeadline(time.Now().Add(20*time.Second)))
	return c
}

// exchange sends all at once, ends its way, and returns all that comes back.
func (r *rig) exchange(said string) string {
	r.t.Helper()
	c := r.connect()
	_, err := c.Write([]byte(said))
	require.NoError(r.t, err)
	_ = c.(*net.TCPConn).CloseWrite()
	answer, _ := io.ReadAll(c)
	return string(answer)
}

// event waits for the next line of the log.
func (r *rig) event() map[string]any {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return len(r.log.all()) > 0 }, 20*time.Second, time.Millisecond)
	return r.log.all()[0]
}

func socks(host string, port int) string {
	return "\x05\x01\x00" + "\x05\x01\x00\x03" + string(rune(len(host))) + host + string([]byte{byte(port >> 8), byte(port)})
}

const granted = "\x05\x00" + "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"

func TestSOCKSByName(t *testing.T) {
	for asked, host := range map[string]string{
		"db.internal": "db.internal", "DB.Internal": "db.internal", "db.internal.": "db.internal",
	} {
		r := newRig(t).start()
		assert.Equal(t, granted+"SELECT 1", r.exchange(socks(asked, 5432)+"select 1"))
		assert.Equal(t, []string{host}, r.asked, "resolved here, as it was listed")
		assert.Equal(t, []netip.AddrPort{netip.AddrPortFrom(inner, 5432)}, r.dialed)
		e := r.event()
		assert.Contains(t, e, "ms")
		delete(e, "ms")
		assert.Equal(t, map[string]any{
			"postern": "relay", "target": "orders", "host": asked, "port": 5432.0, "address": r.target.String(),
			"result": "connected", "sent": 8.0, "received": 8.0,
		}, e)
	}
}

func TestConnectByName(t *testing.T) {
	r := newRig(t).start()
	assert.Equal(t, "HTTP/1.1 200 Connection established\r\n\r\nHELLO",
		r.exchange("CONNECT search.internal:443 HTTP/1.1\r\nHost: search.internal:443\r\nUser-Agent: x\r\n\r\nhello"))
	assert.Equal(t, "search", r.event()["target"])
	assert.Equal(t, []string{"Search.Internal."}, r.asked)
}

// The clients that people have are happy with it, certificates and all.
func TestRealClient(t *testing.T) {
	for _, scheme := range []string{"socks5h", "http"} {
		r := newRig(t)
		web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { _, _ = io.WriteString(w, "for "+q.Host) })}
		listener, err := net.Listen("tcp4", "127.0.0.1:0")
		require.NoError(t, err)
		certificate, pool := selfSigned(t, "db.internal")
		go func() { _ = web.Serve(tlsListener(listener, certificate)) }()
		t.Cleanup(func() { _ = web.Close() })
		r.target = netip.MustParseAddrPort(listener.Addr().String())
		r.start()
		through, err := url.Parse(scheme + "://" + r.at)
		require.NoError(t, err)
		client := httpsClient(through, pool)
		answer, err := client.Get("https://db.internal:5432/")
		require.NoError(t, err)
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		_ = answer.Body.Close()
		assert.Equal(t, "for db.internal:5432", string(text))
		client.CloseIdleConnections()
	}
}

func TestWhatIsNotListedIsRefused(t *testing.T) {
	const notTarget = "is not a target of this relay"
	const address = notTarget + ": have the client send the name (socks5h), not an address"
	for _, c := range []struct {
		host   string
		port   int
		reason string
	}{
		{"db.internal", 5433, notTarget},
		{"db.internal", 443, notTarget},
		{"search.internal", 5432, notTarget},
		{"other.internal", 5432, notTarget},
		{"db.internal..", 5432, notTarget},
		{"", 5432, notTarget},
		{".", 5432, notTarget},
		{"db.internal\x00.evil", 5432, notTarget},
		{"db.internal:5432", 5432, notTarget},
		{"xdb.internal", 5432, notTarget},
		{"localhost", 22, notTarget},
		{"169.254.169.254", 80, address},
		{"127.0.0.1", 22, address},
		{"10.0.1.5", 5432, address},
		{"orders", 5432, notTarget},
	} {
		r := newRig(t).start()
		assert.Equal(t, "\x05\x00"+"\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00", r.exchange(socks(c.host, c.port)+"x"), c.host)
		e := r.event()
		assert.Equal(t, "refused", e["result"])
		assert.Equal(t, c.reason, e["reason"])
		assert.Empty(t, r.asked, "not even looked up")
		assert.Empty(t, r.dialed)
	}
	r := newRig(t).start()
	answer := r.exchange("CONNECT evil.example:443 HTTP/1.1\r\n\r\n")
	assert.True(t, strings.HasPrefix(answer, "HTTP/1.1 403 Forbidden\r\n"), answer)
	assert.True(t, strings.HasSuffix(answer, "\r\n\r\nevil.example port 443 is not a target of this relay\n"), answer)
}

func TestWhereNamesMayNotLead(t *testing.T) {
	for list, reason := range map[string]string{
		"169.254.169.254":          "is refused: its address 169.254.169.254 is link-local, where the instance's credentials are",
		"10.0.1.5 169.254.170.2":   "is refused: its address 169.254.170.2 is link-local, where the instance's credentials are",
		"::ffff:169.254.169.254":   "is refused: its address 169.254.169.254 is link-local, where the instance's credentials are",
		"fd00:ec2::254":            "is refused: its address fd00:ec2::254 is link-local, where the instance's credentials are",
		"fe80::1%eth0":             "is refused: its address fe80::1 is link-local, where the instance's credentials are",
		"127.0.0.1":                "is refused: its address 127.0.0.1 is the host itself",
		"127.8.8.8":                "is refused: its address 127.8.8.8 is the host itself",
		"::1":                      "is refused: its address ::1 is the host itself",
		"::ffff:127.0.0.1":         "is refused: its address 127.0.0.1 is the host itself",
		"0.0.0.0":                  "is refused: its address 0.0.0.0 is the host itself",
		"::":                       "is refused: its address :: is the host itself",
		"10.0.0.10":                "is refused: its address 10.0.0.10 is the host itself",
		"::ffff:10.0.0.10":         "is refused: its address 10.0.0.10 is the host itself",
		"224.0.0.251":              "is refused: its address 224.0.0.251 is of no one host",
		"255.255.255.255 10.0.1.5": "is refused: its address 255.255.255.255 is of no one host",
		"":                         "has no address",
	} {
		r := newRig(t)
		r.names["db.internal"] = nil
		for word := range strings.FieldsSeq(list) {
			r.names["db.internal"] = append(r.names["db.internal"], netip.MustParseAddr(word))
		}
		r.start()
		assert.Equal(t, "\x05\x00"+"\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00", r.exchange(socks("db.internal", 5432)+"x"), list)
		e := r.event()
		assert.Equal(t, "refused", e["result"])
		assert.Equal(t, reason, e["reason"])
		assert.Equal(t, "orders", e["target"])
		assert.Empty(t, r.dialed)
	}
}

// Names are looked up each time: a failover moves a database to another address.
func TestNamesAreLookedUpEachTime(t *testing.T) {
	r := newRig(t).start()
	require.Equal(t, granted+"A", r.exchange(socks("db.internal", 5432)+"a"))
	r.names["db.internal"] = []netip.Addr{netip.MustParseAddr("10.0.2.7")}
	require.Equal(t, granted+"B", r.exchange(socks("db.internal", 5432)+"b"))
	r.names["db.internal"] = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	require.NotContains(t, r.exchange(socks("db.internal", 5432)+"c"), "C")
	assert.Equal(t, "[10.0.1.5:5432 10.0.2.7:5432]", fmt.Sprint(r.dialed))
}

func TestTheNextAddressIsTried(t *testing.T) {
	r := newRig(t)
	second := netip.MustParseAddr("10.0.1.6")
	r.names["db.internal"] = []netip.Addr{inner, second}
	dial := r.server.dial
	r.server.dial = func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
		if to.Addr() == inner {
			return nil, errors.New("no route")
		}
		return dial(ctx, to)
	}
	r.start()
	assert.Equal(t, granted+"X", r.exchange(socks("db.internal", 5432)+"x"))
	assert.Equal(t, []netip.AddrPort{netip.AddrPortFrom(second, 5432)}, r.dialed)
}

func TestWhatClientsAreTold(t *testing.T) {
	r := newRig(t)
	closed, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	r.target = netip.MustParseAddrPort(closed.Addr().String())
	require.NoError(t, closed.Close())
	r.start()
	assert.Equal(t, "\x05\x00"+"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00", r.exchange(socks("db.internal", 5432)), "refused by the target")
	assert.Contains(t, r.exchange("CONNECT db.internal:5432 HTTP/1.1\r\n\r\n"), "HTTP/1.1 502 Bad Gateway\r\n")
	delete(r.names, "db.internal")
	assert.Equal(t, "\x05\x00"+"\x05\x04\x00\x01\x00\x00\x00\x00\x00\x00", r.exchange(socks("db.internal", 5432)), "no such name")
	answer := r.exchange("CONNECT db.internal:5432 HTTP/1.1\r\n\r\n")
	assert.True(t, strings.HasPrefix(answer, "HTTP/1.1 504 "), answer)
	assert.Contains(t, answer, "db.internal port 5432 has no address: no such host")
	r.server.own = func() ([]netip.Addr, error) { return nil, errors.New("out of memory") }
	r.names["db.internal"] = []netip.Addr{inner}
	assert.Equal(t, "\x05\x00"+"\x05\x01\x00\x01\x00\x00\x00\x00\x00\x00", r.exchange(socks("db.internal", 5432)))
}

func TestWhatIsNoRequest(t *testing.T) {
	// In turn: SOCKS 4, a password alone, no way to log in, BIND, UDP, an unknown kind of
	// address, a version in the middle, TLS, SSH, and what is no CONNECT.
	for _, c := range []struct{ said, want string }{
		{"\x04\x01\x14\x38\x0a\x00\x01\x05\x00", ""},
		{"\x05\x01\x02", "\x05\xff"},
		{"\x05\x00", "\x05\xff"},
		{"\x05\x01\x00\x05\x02\x00\x03\x01a\x14\x38", "\x05\x00" + "\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00"},
		{"\x05\x01\x00\x05\x03\x00\x03\x01a\x14\x38", "\x05\x00" + "\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00"},
		{"\x05\x01\x00\x05\x01\x00\x09\x01a\x14\x38", "\x05\x00" + "\x05\x08\x00\x01\x00\x00\x00\x00\x00\x00"},
		{"\x05\x01\x00\x04\x01\x00\x03\x01a\x14\x38", "\x05\x00"},
		{"\x16\x03\x01\x02\x00", ""},
		{"SSH-2.0-x\r\n", "HTTP/1.1 400 Bad Request"},
		{"GET http://db.internal:5432/ HTTP/1.1\r\n\r\n", "HTTP/1.1 405 Method Not Allowed"},
		{"CONNECT db.internal HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request"},
		{"CONNECT db.internal:70000 HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request"},
		{"CONNECT db.internal:+5432 HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request"},
		{"CONNECT x HTTP/1.1\r\nA: " + strings.Repeat("b", 70<<10) + "\r\n\r\n", ""},
	} {
		said, want := c.said, c.want
		r := newRig(t).start()
		got := r.exchange(said)
		if strings.HasPrefix(want, "HTTP") {
			assert.True(t, strings.HasPrefix(got, want), "%.40q: %q", said, got)
		} else {
			assert.Equal(t, want, got, "%.40q", said)
		}
		e := r.event()
		assert.Equal(t, "refused", e["result"], "%.40q", said)
		assert.Contains(t, []any{"is no SOCKS 5 and no HTTP CONNECT", "unexpected EOF"}, strings.SplitN(fmt.Sprint(e["reason"]), ":", 2)[0])
		assert.Empty(t, r.asked)
	}
	// Whoever looks whether the port is open is no event.
	r := newRig(t).start()
	assert.Empty(t, r.exchange(""))
	assert.Empty(t, r.log.all())
}

func FuzzAsk(f *testing.F) {
	f.Add([]byte(socks("db.internal", 5432)))
	f.Add([]byte("CONNECT db.internal:5432 HTTP/1.1\r\n\r\n"))
	f.Add([]byte("\x05\x01\x00\x05\x01\x00\x04aaaaaaaaaaaaaaaa\x00\x50"))
	f.Fuzz(func(t *testing.T, said []byte) {
		asked, err := ask(bufio.NewReader(bytes.NewReader(said)), io.Discard)
		if err != nil {
			return
		}
		at, listed := target([]settings.RelayTarget{{Name: "orders", Host: "db.internal", Port: 5432}}, asked.host, asked.port)
		if listed && (at.Port != asked.port || !strings.EqualFold(strings.TrimSuffix(asked.host, "."), "db.internal")) {
			t.Fatalf("%q port %d passes for %+v", asked.host, asked.port, at)
		}
	})
}

// One way may end long before the other.
func TestEachWayEndsByItself(t *testing.T) {
	r := newRig(t).start()
	c := r.connect()
	_, err := io.WriteString(c, socks("db.internal", 5432)+"first ")
	require.NoError(t, err)
	answer := make([]byte, len(granted))
	_, err = io.ReadFull(c, answer)
	require.NoError(t, err)
	_, err = io.WriteString(c, "second")
	require.NoError(t, err)
	require.NoError(t, c.(*net.TCPConn).CloseWrite())
	rest, err := io.ReadAll(c)
	require.NoError(t, err)
	assert.Equal(t, "FIRST SECOND", string(rest))
	assert.Equal(t, "12", fmt.Sprint(r.event()["sent"]))
}

// What is open ends with the relay, soon.
func TestOpenConnectionsEndWithTheRelay(t *testing.T) {
	r := newRig(t)
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	r.at = listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- r.server.Serve(ctx, listener) }()
	c := r.connect()
	_, err = io.WriteString(c, socks("db.internal", 5432))
	require.NoError(t, err)
	_, err = io.ReadFull(c, make([]byte, len(granted)))
	require.NoError(t, err)
	silent := r.connect() // has not asked yet
	cancel()
	select {
	case err := <-over:
		require.NoError(t, err)
	case <-time.After(10 * time.Second):
		t.Fatal("the relay does not end")
	}
	for _, open := range []net.Conn{c, silent} {
		_, err = io.ReadAll(open)
		assert.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	}
}

func TestServesOneUserOnly(t *testing.T) {
	r := newRig(t)
	r.server.Allowed = os.Getuid() + 1
	r.start()
	c := r.connect()
	answer, _ := io.ReadAll(c)
	assert.Empty(t, answer)
	e := r.event()
	assert.Equal(t, "refused", e["result"])
	assert.Equal(t, fmt.Sprintf("user %d is not whom tunnels come from", os.Getuid()), e["reason"])
	assert.Empty(t, r.asked)
}

// The kernel writes 0 for an end that nobody holds any more, and so does
// /proc/net/tcp: it must not pass for root's.
func TestAnEndThatWasClosedIsNobodys(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	client, err := net.Dial("tcp4", listener.Addr().String())
	require.NoError(t, err)
	server, err := listener.Accept()
	require.NoError(t, err)
	defer func() { _ = server.Close() }()
	uid, err := peerUID(server)
	require.NoError(t, err)
	assert.Equal(t, os.Getuid(), uid)
	_, err = client.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, client.Close())
	_, err = peerUID(server)
	assert.ErrorContains(t, err, "nobody holds the connection from "+client.LocalAddr().String())
}

// A program that only knows IPv6 sockets comes from 127.0.0.1 all the same.
func TestPeerOfAnIPv6Socket(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	closeClient := dialIPv6Socket(t, listener.Addr().(*net.TCPAddr).Port)
	defer closeClient()
	server, err := listener.Accept()
	require.NoError(t, err)
	defer func() { _ = server.Close() }()
	uid, err := peerUID(server)
	require.NoError(t, err)
	assert.Equal(t, os.Getuid(), uid)
}

func TestOwnAddressesAndLookup(t *testing.T) {
	own, err := ownAddresses()
	require.NoError(t, err)
	assert.Contains(t, own, netip.MustParseAddr("127.0.0.1"))
	list, err := lookup(t.Context(), "10.0.1.5")
	require.NoError(t, err)
	assert.Equal(t, []netip.Addr{inner}, list)
	list, err = lookup(t.Context(), "localhost")
	require.NoError(t, err)
	assert.Error(t, examine(list, nil))
}

func TestRunNeedsTargets(t *testing.T) {
	assert.EqualError(t, Run(t.Context(), settings.Settings{}, &event.Log{Out: io.Discard}), "the relay has no targets")
}
