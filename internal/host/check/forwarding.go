//go:build linux

package check

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/postern-cdk/postern/internal/host/settings"
)

// forwarding asks for each way through the host that is not a recorded session.
func (h *Host) forwarding(ctx context.Context) (string, error) {
	client, err := h.dial(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = client.Close() }()
	var open []string
	channel := func(what, kind string, payload any) {
		opened, requests, err := client.OpenChannel(kind, ssh.Marshal(payload))
		var refused *ssh.OpenChannelError
		switch {
		case err == nil:
			go ssh.DiscardRequests(requests)
			_ = opened.Close()
			open = append(open, what)
		case !errors.As(err, &refused):
			open = append(open, fmt.Sprintf("%s (the connection broke: %v)", what, err))
		case refused.Reason == ssh.ConnectionFailed && kind == "direct-tcpip":
			// sshd tried. Of the other kinds it says the same where it did not.
			open = append(open, what)
		}
	}
	// Nobody listens there, and nobody would name it as a target.
	channel("TCP to a target (-L, -W, -D)", "direct-tcpip", struct {
		Host       string
		Port       uint32
		Origin     string
		OriginPort uint32
	}{"127.0.0.1", 9, "127.0.0.1", 9})
	// One that every person may connect to.
	channel("a Unix socket (-L)", "direct-streamlocal@openssh.com", struct {
		Path, Reserved string
		Port           uint32
	}{settings.RecorderSocket, "", 0})
	channel("a tunnel (-w)", "tun@openssh.com", struct{ Mode, Unit uint32 }{1, 0x7fffffff})

	global := func(what, kind string, payload any) {
		if ok, _, err := client.SendRequest(kind, true, ssh.Marshal(payload)); err != nil || ok {
			open = append(open, what)
		}
	}
	global("a port of the host (-R)", "tcpip-forward", struct {
		Host string
		Port uint32
	}{"127.0.0.1", 0})
	global("a Unix socket of the host (-R)", "streamlocal-forward@openssh.com", struct{ Path string }{"/tmp/postern-check"})

	session, err := client.NewSession()
	if err != nil {
		return "", fmt.Errorf("there is no session to ask for agent and X11 forwarding in: %w", err)
	}
	defer func() { _ = session.Close() }()
	request := func(what, kind string, payload []byte) {
		if ok, err := session.SendRequest(kind, true, payload); err != nil || ok {
			open = append(open, what)
		}
	}
	request("the agent (-A)", "auth-agent-req@openssh.com", nil)
	request("X11 (-X)", "x11-req", ssh.Marshal(struct {
		Single           bool
		Protocol, Cookie string
		Screen           uint32
	}{false, "MIT-MAGIC-COOKIE-1", strings.Repeat("0", 32), 0}))
	if len(open) > 0 {
		return "", errors.New("sshd forwards " + strings.Join(open, ", "))
	}
	return "refused: TCP, Unix sockets, tunnel, remote ports, agent, X11", nil
}
