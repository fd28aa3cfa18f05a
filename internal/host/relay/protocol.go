package relay

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// outcome is what became of a request. Each protocol has its own words for it.
type outcome int

const (
	connected   outcome = iota
	forbidden           // not a target, or not an address that is allowed
	unreachable         // no name, no route, no answer
	refused             // by the target
	failed              // on our side
)

// request is what a client asks for.
type request struct {
	host string
	port int
	// answer tells the client what became of it.
	answer func(outcome, string) error
}

// errProtocol is what nothing can be answered to, or was already.
var errProtocol = errors.New("is no SOCKS 5 and no HTTP CONNECT")

const socks5 = 5

// ask reads a request of either protocol, by its first byte. No more than the
// request is taken from r.
func ask(r *bufio.Reader, w io.Writer) (*request, error) {
	first, err := r.Peek(1)
	if err != nil {
		return nil, err
	}
	if first[0] == socks5 {
		return askSOCKS(r, w)
	}
	if first[0] < 'A' || first[0] > 'Z' {
		return nil, errProtocol
	}
	return askHTTP(r, w)
}

// Of RFC 1928.
const (
	socksNoAuthentication = 0x00
	socksNoMethod         = 0xff
	socksConnect          = 0x01
	socksIPv4             = 0x01
	socksName             = 0x03
	socksIPv6             = 0x04

	socksFailed      = 0x01
	socksForbidden   = 0x02
	socksUnreachable = 0x04
	socksRefused     = 0x05
	socksNoCommand   = 0x07
	socksNoAddress   = 0x08
)

var socksReplies = map[outcome]byte{
	connected: 0, forbidden: socksForbidden, unreachable: socksUnreachable, refused: socksRefused, failed: socksFailed,
}

func askSOCKS(r *bufio.Reader, w io.Writer) (*request, error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	methods := make([]byte, head[1])
	if _, err := io.ReadFull(r, methods); err != nil {
		return nil, err
	}
	method := byte(socksNoMethod)
	for _, m := range methods {
		if m == socksNoAuthentication {
			method = m
		}
	}
	if _, err := w.Write([]byte{socks5, method}); err != nil {
		return nil, err
	}
	if method == socksNoMethod {
		return nil, fmt.Errorf("%w: the client insists on a password", errProtocol)
	}
	head = make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	reply := func(code byte) error {
		_, err := w.Write([]byte{socks5, code, 0, socksIPv4, 0, 0, 0, 0, 0, 0})
		return err
	}
	if head[0] != socks5 {
		return nil, errProtocol
	}
	host, known, err := socksHost(r, head[3])
	if err != nil {
		return nil, err
	}
	if !known {
		_ = reply(socksNoAddress)
		return nil, fmt.Errorf("%w: address type %d", errProtocol, head[3])
	}
	port := make([]byte, 2)
	if _, err := io.ReadFull(r, port); err != nil {
		return nil, err
	}
	if head[1] != socksConnect {
		_ = reply(socksNoCommand)
		return nil, fmt.Errorf("%w: command %d", errProtocol, head[1])
	}
	return &request{
		host: host, port: int(binary.BigEndian.Uint16(port)),
		answer: func(o outcome, _ string) error { return reply(socksReplies[o]) },
	}, nil
}

func socksHost(r *bufio.Reader, kind byte) (host string, known bool, err error) {
	length := map[byte]int{socksIPv4: net.IPv4len, socksIPv6: net.IPv6len}[kind]
	if kind == socksName {
		n, err := r.ReadByte()
		if err != nil {
			return "", false, err
		}
		length = int(n)
	}
	if length == 0 {
		return "", kind == socksName, nil
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		return "", false, err
	}
	if kind == socksName {
		return string(text), true, nil
	}
	address, _ := netip.AddrFromSlice(text)
	return address.String(), true, nil
}

var httpStatus = map[outcome]int{
	forbidden: http.StatusForbidden, unreachable: http.StatusGatewayTimeout, refused: http.StatusBadGateway, failed: http.StatusInternalServerError,
}

func askHTTP(r *bufio.Reader, w io.Writer) (*request, error) {
	refuse := func(status int, text string) error {
		_, err := fmt.Fprintf(w, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n",
			status, http.StatusText(status), len(text)+1, text)
		return err
	}
	asked, err := http.ReadRequest(r)
	if err != nil {
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			_ = refuse(http.StatusBadRequest, "this is a relay for SOCKS 5 and HTTP CONNECT")
		}
		return nil, fmt.Errorf("%w: %w", errProtocol, err)
	}
	if asked.Method != http.MethodConnect {
		_ = refuse(http.StatusMethodNotAllowed, "this relay takes CONNECT only: it reads nothing of what passes through it")
		return nil, fmt.Errorf("%w: method %.16q", errProtocol, asked.Method)
	}
	host, text, err := net.SplitHostPort(asked.RequestURI)
	port, err2 := strconv.ParseUint(text, 10, 16)
	if err != nil || err2 != nil {
		_ = refuse(http.StatusBadRequest, "CONNECT needs a host and a port")
		return nil, fmt.Errorf("%w: CONNECT %.300q", errProtocol, asked.RequestURI)
	}
	return &request{
		host: strings.Trim(host, "[]"), port: int(port),
		answer: func(o outcome, reason string) error {
			if o == connected {
				_, err := io.WriteString(w, "HTTP/1.1 200 Connection established\r\n\r\n")
				return err
			}
			return refuse(httpStatus[o], reason)
		},
	}, nil
}
