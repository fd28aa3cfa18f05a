//go:build linux

package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/postern-cdk/postern/internal/host/identity"
	"github.com/postern-cdk/postern/internal/host/settings"
)

// algorithms by which sshd can prove a key of a kind.
var algorithms = map[string][]string{
	identity.Ed25519: {ssh.KeyAlgoED25519},
	identity.RSA:     {ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256},
	identity.ECDSA:   {ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521},
}

var errKeySeen = errors.New("the key was seen")

// offered is the key of a kind that sshd proves, or "".
func (h *Host) offered(ctx context.Context, kind string) (string, error) {
	var line string
	client, err := h.connect(ctx, &ssh.ClientConfig{
		User:              settings.CheckUser,
		HostKeyAlgorithms: algorithms[kind],
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			line = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
			return errKeySeen
		},
	})
	if client != nil {
		_ = client.Close()
	}
	var none *ssh.AlgorithmNegotiationError
	switch {
	case line != "" || errors.As(err, &none):
		return line, nil
	case err == nil:
		return "", errors.New("sshd proved no key")
	}
	return "", err
}

// hostKeys compares what sshd offers with what is kept, and with what people read.
func (h *Host) hostKeys(ctx context.Context) (string, error) {
	kinds := h.HostKeys.Kinds
	offered := map[string]string{}
	for _, kind := range identity.Kinds() {
		key, err := h.offered(ctx, kind)
		if err != nil {
			return "", err
		}
		switch {
		case key == "" && slices.Contains(kinds, kind):
			return "", fmt.Errorf("sshd offers no key of kind %s", kind)
		case key != "" && !slices.Contains(kinds, kind) && h.ParameterPath != "":
			return "", fmt.Errorf("sshd offers a key of kind %s, which is not kept: it changes when the instance does", kind)
		case key != "":
			offered[kind] = key
		}
	}
	if h.ParameterPath == "" {
		return "THE HOST KEYS ARE NOT KEPT: they change when the instance does", nil
	}
	kept, err := identity.ReadKept(h.Root)
	if err != nil {
		return "", fmt.Errorf("the host keys are not kept: %w", err)
	}
	if h.Parameters == nil {
		if h.Parameters, err = identity.NewParameters(ctx, h.Region); err != nil {
			return "", err
		}
	}
	published, err := identity.Published(ctx, h.ParameterPath, h.Parameters)
	if err != nil {
		return "", fmt.Errorf("what is published could not be read: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(published), "\n")
	alias := identity.Alias(h.ParameterPath)
	for _, kind := range kinds {
		if want := kept.Keys[identity.KeyParameter(h.ParameterPath, h.HostKeys.Version, kind)]; want != offered[kind] {
			return "", fmt.Errorf("sshd offers %s, and %s is kept", fingerprint(offered[kind]), fingerprint(want))
		}
		if !slices.Contains(lines, alias+" "+offered[kind]) {
			return "", fmt.Errorf("%s is offered, but not published in %s", fingerprint(offered[kind]), identity.KnownHostsParameter(h.ParameterPath))
		}
		if h.HostKeys.Next == "" {
			continue
		}
		next := kept.Keys[identity.KeyParameter(h.ParameterPath, h.HostKeys.Next, kind)]
		text, err := os.ReadFile(h.path("/etc/ssh/ssh_host_" + kind + "_next_key.pub"))
		if err != nil || next == "" || strings.TrimSpace(string(text)) != next || !slices.Contains(lines, alias+" "+next) {
			return "", fmt.Errorf("the next key of kind %s, %s, is not kept, here and published", kind, fingerprint(next))
		}
	}
	return "offered, kept and published: " + strings.Join(kinds, " "), nil
}

// fingerprint of a line of a public key.
func fingerprint(line string) string {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line)) //nolint:dogsled // only the key counts
	if err != nil {
		return "no key"
	}
	return key.Type() + " " + ssh.FingerprintSHA256(key)
}
