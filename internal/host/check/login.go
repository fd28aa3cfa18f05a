//go:build linux

package check

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/settings"
)

// keyLife is after which sshd refuses the key, whoever has it.
const keyLife = 2 * time.Minute

// person is who the checks log in as.
type person struct{ signer ssh.Signer }

func (h *Host) path(name string) string { return filepath.Join(h.Root, name) }

func (h *Host) keyFile() string { return filepath.Join(h.Root, settings.KeysDir, settings.CheckUser) }

// lock waits until no other run is under way, and removes the key of one that was
// killed.
func (h *Host) lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(h.path(settings.RunDir), 0o755); err != nil { //nolint:gosec // /run/postern is for all to enter
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(h.path(settings.RunDir), "check.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, 2*Limit)
	defer cancel()
	if err := until(limited, func() error { return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("another run of the checks does not end: %w", err)
	}
	if err := h.removeKey(); err != nil {
		_ = file.Close()
		return nil, err
	}
	return func() { _ = file.Close() }, nil
}

func (h *Host) removeKey() error {
	// Removing what isn't there is an error where nothing can be written.
	if _, err := os.Lstat(h.keyFile()); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := os.Remove(h.keyFile()); err != nil {
		return fmt.Errorf("the key of an earlier run could not be removed: %w", err)
	}
	return nil
}

// logout takes the key away.
func (h *Host) logout() {
	h.login.Lock()
	defer h.login.Unlock()
	_ = h.removeKey()
}

// enter gives the account its key, once a run.
func (h *Host) enter() (*person, error) {
	h.login.Lock()
	defer h.login.Unlock()
	if h.person != nil {
		return h.person, nil
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, err
	}
	// sshd reads the time as that of the host.
	line := fmt.Sprintf("from=%q,expiry-time=%q %s", "127.0.0.1,::1", h.now().Local().Add(keyLife).Format("200601021504"), ssh.MarshalAuthorizedKey(signer.PublicKey()))
	temp, err := os.CreateTemp(h.path(settings.KeysDir), ".check-")
	if err != nil {
		return nil, fmt.Errorf("no key could be given to %s: %w", settings.CheckUser, err)
	}
	_, err = temp.WriteString(line)
	err = errors.Join(err, temp.Chmod(0o644), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), h.keyFile())
	}
	if err != nil {
		_ = os.Remove(temp.Name())
		return nil, fmt.Errorf("no key could be given to %s: %w", settings.CheckUser, err)
	}
	h.person = &person{signer: signer}
	return h.person, nil
}

// ours tells whether a key is one of those that sshd has on this host.
func (h *Host) ours(offered ssh.PublicKey) bool {
	files, _ := filepath.Glob(h.path("/etc/ssh/ssh_host_*_key.pub"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		key, _, _, _, err := ssh.ParseAuthorizedKey(text) //nolint:dogsled // only the key counts
		if err == nil && bytes.Equal(key.Marshal(), offered.Marshal()) {
			return true
		}
	}
	return false
}

// dial logs in.
func (h *Host) dial(ctx context.Context) (*ssh.Client, error) {
	p, err := h.enter()
	if err != nil {
		return nil, err
	}
	config := &ssh.ClientConfig{
		User: settings.CheckUser,
		Auth: []ssh.AuthMethod{ssh.PublicKeys(p.signer)},
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			if h.ours(key) {
				return nil
			}
			return fmt.Errorf("what answers at %s has a host key that is not this host's: %s", h.SSH, ssh.FingerprintSHA256(key))
		},
	}
	return h.connect(ctx, config)
}

func (h *Host) connect(ctx context.Context, config *ssh.ClientConfig) (*ssh.Client, error) {
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", h.SSH)
	if err != nil {
		return nil, fmt.Errorf("sshd does not answer: %w", err)
	}
	// Everything on it ends with the run.
	stop := context.AfterFunc(ctx, func() { _ = connection.Close() })
	client, channels, requests, err := ssh.NewClientConn(connection, h.SSH, config)
	if err != nil {
		stop()
		_ = connection.Close()
		return nil, fmt.Errorf("%s can't log in: %w", config.User, err)
	}
	return ssh.NewClient(client, channels, requests), nil
}
