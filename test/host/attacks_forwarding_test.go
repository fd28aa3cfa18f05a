//go:build linux

package host_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-cdk/postern/test/host/lab"
)

// Attacks by what sshd forwards.
func init() {
	allTCP := func(x *Target) func() { return x.withoutSSHD("AllowTcpForwarding", "PermitOpen", "DisableForwarding") }
	attacks = append(attacks,
		Attack{Group: "forwarding", Name: "sshd connects to an internal server (-L, -D)", Weaken: allTCP, Try: func(x *Target) (bool, string) {
			return forwards(x, lab.InternalIP, 5432)
		}},
		Attack{Group: "forwarding", Name: "sshd connects to itself, past its address (-W, -J)", Weaken: allTCP, Try: func(x *Target) (bool, string) {
			return forwards(x, "::1", 22)
		}},
		Attack{Group: "forwarding", Name: "X11 is forwarded", Serial: true, Try: func(x *Target) (bool, string) {
			// sshd asks for no more than that there is such a program.
			x.MustRoot(x.T, "cp /bin/true /usr/bin/xauth")
			defer x.MustRoot(x.T, "rm /usr/bin/xauth")
			client, err := x.Dial(x.Person, lab.SSHOptions{Wait: 5 * time.Second})
			if err != nil {
				return false, err.Error()
			}
			defer func() { _ = client.Close() }()
			session, err := client.NewSession()
			if err != nil {
				return false, err.Error()
			}
			ok, err := session.SendRequest("x11-req", true, ssh.Marshal(struct {
				Single           bool
				Protocol, Cookie string
				Screen           uint32
			}{false, "MIT-MAGIC-COOKIE-1", strings.Repeat("0", 32), 0}))
			return ok, fmt.Sprintf("-X: %v, %v", ok, err)
		}, Weaken: func(x *Target) func() { return x.withoutSSHD("X11Forwarding", "DisableForwarding") }},
		Attack{Group: "forwarding", Name: "another spelling or port passes a list of targets", Serial: true, Try: func(x *Target) (bool, string) {
			defer x.withSSHD("500", "DisableForwarding no", "AllowTcpForwarding local", "PermitOpen db.internal:5432")()
			client, err := x.Dial(x.Person, lab.SSHOptions{Wait: 5 * time.Second})
			if err != nil {
				return false, err.Error()
			}
			defer func() {
				if client != nil {
					_ = client.Close()
				}
			}()
			if err := forward(client, "db.internal", 5432); !willing(err) {
				return false, "not even the target of the list: " + err.Error()
			}
			var passed []string
			for host, ports := range map[string][]uint32{
				"db.internal": {22, 5433, 0x10000 + 5432}, // the last one is 5432 in 16 bits
				"DB.internal": {5432}, "db.internal.": {5432}, "db.internal\x00.x": {5432}, "db.internal:5432": {22}, "*": {5432}, "": {5432},
				lab.InternalIP: {5432}, "::ffff:" + lab.InternalIP: {5432}, "0x0a000214": {5432}, "10.2.20": {5432}, "db.internal,x": {5432},
			} {
				for _, port := range ports {
					err := forward(client, host, port)
					if willing(err) {
						passed = append(passed, net.JoinHostPort(host, strconv.Itoa(int(port))))
					}
					if !refused(err) { // sshd ends a connection that says what can't be
						_ = client.Close()
						if client, err = x.Dial(x.Person, lab.SSHOptions{Wait: 5 * time.Second}); err != nil {
							return false, err.Error()
						}
					}
				}
			}
			return len(passed) > 0, fmt.Sprintf("allowed beside db.internal:5432: %q", passed)
		}, Weaken: func(x *Target) func() { return x.withSSHD("499", "PermitOpen any") }},
		Attack{Group: "forwarding", Name: "a list of all targets is one of all servers", Serial: true, Try: func(x *Target) (bool, string) {
			defer x.withSSHD("500", "DisableForwarding no", "AllowTcpForwarding local", "PermitOpen any")()
			return through(x, net.JoinHostPort(lab.InternalIP, "5432"), "", "internal database")
		}, Weaken: withoutFirewall},
		Attack{Group: "forwarding", Name: "the role's credentials come through a forwarded port", Serial: true, Try: func(x *Target) (bool, string) {
			defer x.withSSHD("500", "DisableForwarding no", "AllowTcpForwarding local", "PermitOpen any")()
			return through(x, "169.254.169.254:80", "PUT /latest/api/token HTTP/1.0\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n", "200 OK")
		}, Weaken: withoutFirewall},
	)
}

// forwards says whether sshd is willing to connect for the person, whatever comes of it.
func forwards(x *Target, host string, port uint32) (bool, string) {
	client, err := x.Dial(x.Person, lab.SSHOptions{Wait: 5 * time.Second})
	if err != nil {
		return false, err.Error()
	}
	defer func() { _ = client.Close() }()
	err = forward(client, host, port)
	return willing(err), fmt.Sprintf("to %q port %d: %v", host, port, err)
}

func forward(client *ssh.Client, host string, port uint32) error {
	channel, requests, err := client.OpenChannel("direct-tcpip", ssh.Marshal(struct {
		Host       string
		Port       uint32
		Origin     string
		OriginPort uint32
	}{host, port, "127.0.0.1", 9}))
	if err == nil {
		go ssh.DiscardRequests(requests)
		_ = channel.Close()
	}
	return err
}

func willing(err error) bool {
	var refusal *ssh.OpenChannelError
	return err == nil || errors.As(err, &refusal) && refusal.Reason == ssh.ConnectionFailed
}

// refused says whether a channel was, and the connection goes on.
func refused(err error) bool {
	var refusal *ssh.OpenChannelError
	return err == nil || errors.As(err, &refusal)
}

// through says whether something answers behind a port that sshd forwards.
func through(x *Target, address, send, want string) (bool, string) {
	client, err := x.Dial(x.Person, lab.SSHOptions{Wait: 5 * time.Second})
	if err != nil {
		return false, err.Error()
	}
	defer func() { _ = client.Close() }()
	defer time.AfterFunc(lab.Expectation, func() { _ = client.Close() }).Stop()
	conn, err := client.Dial("tcp", address)
	if err != nil {
		return false, err.Error()
	}
	_, _ = io.WriteString(conn, send)
	answer, err := io.ReadAll(io.LimitReader(conn, 200))
	return strings.Contains(string(answer), want), fmt.Sprintf("%q, %v", answer, err)
}

// withoutFirewall takes the rules for people's programs away.
func withoutFirewall(x *Target) func() {
	x.T.Helper()
	x.MustRoot(x.T, "nft delete table inet postern")
	return func() { x.MustRoot(x.T, "nft -f /etc/postern/firewall.nft") }
}
