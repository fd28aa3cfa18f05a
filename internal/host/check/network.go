//go:build linux

package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/postern-cdk/postern/internal/host/settings"
)

// probeTime is what a connection within a region never needs.
const probeTime = 3 * time.Second

var (
	errRefused = errors.New("refused at once")
	errSilent  = errors.New("neither refused nor answered")
)

// probe connects to an address as a user would: by a program that runs with its
// IDs. nil: it could connect.
func probe(ctx context.Context, name, address string) error {
	account, err := user.Lookup(name)
	if err != nil {
		return err
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	command := exec.CommandContext(limited, "/bin/bash", "--norc", "-c", `exec 3<>"/dev/tcp/$0/$1"`, host, port)
	command.Env, command.Dir = []string{"LC_ALL=C"}, "/"
	// Who isn't root can only be himself, and keeps his groups.
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{
		Uid: uint32(uid), Gid: uint32(gid), NoSetGroups: os.Geteuid() != 0,
	}}
	said, err := command.CombinedOutput()
	switch {
	case err == nil:
		return nil
	case limited.Err() != nil:
		return errSilent
	case bytes.Contains(said, []byte("Connection refused")), bytes.Contains(said, []byte("Operation not permitted")):
		return errRefused
	}
	return fmt.Errorf("%w: %s", err, bytes.TrimSpace(said))
}

// refused checks that a person's program is turned away by the host itself.
func (h *Host) refused(ctx context.Context, what, address string) error {
	return h.refusedTo(ctx, settings.CheckUser, "a person's program", what, address)
}

// refusedTo checks that a user's program is turned away by the host itself.
func (h *Host) refusedTo(ctx context.Context, name, who, what, address string) error {
	err := h.Probe(ctx, name, address)
	switch {
	case errors.Is(err, errRefused):
		return nil
	case err == nil:
		return fmt.Errorf("%s reaches %s", who, what)
	case errors.Is(err, errSilent):
		return fmt.Errorf("the firewall lets %s try %s", who, what)
	}
	return fmt.Errorf("whether %s reaches %s could not be tried: %w", who, what, err)
}

// imds checks that the role's credentials are root's.
func (h *Host) imds(ctx context.Context) (string, error) {
	at, err := url.Parse(h.IMDS)
	if err != nil {
		return "", err
	}
	address := at.Host
	if at.Port() == "" {
		address = net.JoinHostPort(at.Hostname(), "80")
	}
	if err := h.refused(ctx, "the instance metadata, and with it the credentials of the role", address); err != nil {
		return "", err
	}
	status, _, err := h.metadata(ctx, http.MethodGet, "/latest/meta-data/instance-id", "", "")
	if err != nil {
		return "", fmt.Errorf("root does not reach the instance metadata: %w", err)
	}
	if status != http.StatusUnauthorized {
		return "", fmt.Errorf("the instance metadata answers %d without a token: IMDSv1 is on", status)
	}
	status, token, err := h.metadata(ctx, http.MethodPut, "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds", "30")
	if err != nil || status != http.StatusOK {
		return "", fmt.Errorf("root gets no token of the instance metadata: %d %w", status, err)
	}
	status, id, err := h.metadata(ctx, http.MethodGet, "/latest/meta-data/instance-id", "X-aws-ec2-metadata-token", token)
	if err != nil || status != http.StatusOK {
		return "", fmt.Errorf("root does not reach the instance metadata: %d %w", status, err)
	}
	if h.InstanceID != "" && id != h.InstanceID {
		return "", fmt.Errorf("the instance metadata says %q, and this is %s", id, h.InstanceID)
	}
	return "refused to people, with a token for root", nil
}

// local asks without a proxy, whatever the environment says.
var local = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: probeTime}

func (h *Host) metadata(ctx context.Context, method, path, header, value string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(h.IMDS, "/")+path, nil)
	if err != nil {
		return 0, "", err
	}
	if header != "" {
		request.Header.Set(header, value)
	}
	answer, err := local.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 4096))
	return answer.StatusCode, string(text), err
}

// egress checks that people reach what the connections of the bastion allow only.
func (h *Host) egress(ctx context.Context) (string, error) {
	if err := h.refused(ctx, h.Closed+", which no connection of the bastion allows", h.Closed); err != nil {
		return "", err
	}
	return h.Closed + " is refused to people", nil
}
