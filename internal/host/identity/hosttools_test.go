//go:build hosttools

package identity

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
)

// client logs in to a real sshd by a real ssh.
func client(t *testing.T, h *host) (known string, login func(lines ...string) (string, error)) {
	t.Helper()
	dir := t.TempDir()
	known, person := filepath.Join(dir, "known_hosts"), filepath.Join(dir, "id")
	require.NoError(t, os.WriteFile(person, []byte(keyText(t, Ed25519)), 0o600))
	public, err := exec.Command("ssh-keygen", "-y", "-f", person).Output()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(person+".pub", public, 0o600))
	require.NoError(t, os.WriteFile(known, []byte(Alias(at)+" "+h.read(t, "ssh_host_ed25519_key.pub")), 0o600))
	return known, func(lines ...string) (string, error) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		port := listener.Addr().(*net.TCPAddr).Port
		require.NoError(t, listener.Close())
		text := fmt.Sprintf("ListenAddress 127.0.0.1:%d\nAuthorizedKeysFile %s.pub\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPidFile none\n", port, person)
		for _, line := range lines {
			keyword, file, _ := strings.Cut(line, " ")
			text += keyword + " " + h.file(file) + "\n"
		}
		config := filepath.Join(dir, "sshd_config")
		require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
		require.NoError(t, os.MkdirAll("/run/sshd", 0o755))
		sshd := exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", config)
		require.NoError(t, sshd.Start())
		defer func() {
			_ = sshd.Process.Kill()
			_ = sshd.Wait()
		}()
		require.Eventually(t, func() bool {
			connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err == nil {
				_ = connection.Close()
			}
			return err == nil
		}, 5*time.Second, 20*time.Millisecond)
		said, err := exec.Command("ssh", "-F", "none", "-i", person, "-p", fmt.Sprint(port), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
			"-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile="+known, "-o", "GlobalKnownHostsFile=none",
			"-o", "UpdateHostKeys=yes", "-o", "HostKeyAlias="+Alias(at), "127.0.0.1", "sleep 0.5").CombinedOutput()
		return string(said), err
	}
}

// The promise of HostKeys.Next, kept by the real sshd and ssh: who knows the
// present key learns the next one by logging in, and is not warned after it is
// changed.
func TestRotationWarnsNobody(t *testing.T) {
	h := newHost(t, newParameterStore(t), Ed25519)
	h.HostKeys.Next = "2"
	_, err := h.run(t)
	require.NoError(t, err)
	known, login := client(t, h)
	said, err := login("HostKey ssh_host_ed25519_next_key")
	require.Error(t, err, "nobody knows the next key yet")
	assert.Contains(t, said, "IDENTIFICATION HAS CHANGED")
	said, err = login("HostKey ssh_host_ed25519_key", "HostKey ssh_host_ed25519_next_key")
	require.NoError(t, err, said)
	learned, err := os.ReadFile(known)
	require.NoError(t, err)
	assert.Contains(t, string(learned), strings.TrimSpace(h.read(t, "ssh_host_ed25519_next_key.pub")))
	said, err = login("HostKey ssh_host_ed25519_next_key")
	require.NoError(t, err, said)
}

// ssh compares the names of a certificate with its HostKeyAlias in lower case.
func TestACertificateForTheAlias(t *testing.T) {
	h := certified(t)
	by := authority(t)
	for principal, taken := range map[string]bool{strings.ToLower(Alias(at)): true, Alias(at): false} {
		h.store.put(CertificateParameter(at, Ed25519), "String", sign(t, h.read(t, "ssh_host_ed25519_key.pub"), by, func(c *ssh.Certificate) {
			c.ValidPrincipals, c.ValidAfter = []string{principal}, 0
		}))
		_, err := h.run(t)
		require.NoError(t, err)
		known, login := client(t, h)
		require.NoError(t, os.WriteFile(known, []byte("@cert-authority * "+string(ssh.MarshalAuthorizedKey(by.PublicKey()))), 0o600))
		said, err := login("HostKey ssh_host_ed25519_key", "HostCertificate ssh_host_ed25519_key-cert.pub")
		assert.Equal(t, taken, err == nil, "%s: %s", principal, said)
	}
}
