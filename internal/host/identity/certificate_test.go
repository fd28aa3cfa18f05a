package identity

import (
	"crypto/rand"
	"crypto/rsa"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
)

// authority is a user's own.
func authority(t *testing.T) ssh.Signer {
	t.Helper()
	signer, err := ssh.ParsePrivateKey([]byte(keyText(t, Ed25519)))
	require.NoError(t, err)
	return signer
}

func sign(t *testing.T, public string, authority ssh.Signer, change func(*ssh.Certificate)) string {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(public)) //nolint:dogsled // only the key counts
	require.NoError(t, err)
	cert := &ssh.Certificate{
		Key: key, CertType: ssh.HostCert, KeyId: "bastion", ValidPrincipals: []string{"postern-Access-Bastion"},
		ValidAfter:  uint64(now.Add(-time.Hour).Unix()),
		ValidBefore: uint64(now.Add(365 * 24 * time.Hour).Unix()),
	}
	if change != nil {
		change(cert)
	}
	require.NoError(t, cert.SignCert(rand.Reader, authority))
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(cert)))
}

func certified(t *testing.T) *host {
	t.Helper()
	h := newHost(t, newParameterStore(t), Ed25519)
	h.HostKeys.Certificate = true
	_, err := h.run(t)
	require.NoError(t, err)
	assert.Contains(t, h.said.String(), "there is no certificate at "+at+"/host-certs/ed25519 yet")
	assert.NoFileExists(t, h.file("ssh_host_ed25519_key-cert.pub"))
	return h
}

func TestACertificateIsGivenToSSHD(t *testing.T) {
	h := certified(t)
	name, file := at+"/host-certs/ed25519", "ssh_host_ed25519_key-cert.pub"
	signed := sign(t, h.read(t, "ssh_host_ed25519_key.pub"), authority(t), nil)
	h.store.put(name, "String", signed)
	changed, err := h.run(t)
	require.NoError(t, err)
	assert.True(t, changed)
	assert.Equal(t, signed+"\n", h.read(t, file))
	shown, err := exec.Command("ssh-keygen", "-L", "-f", h.file(file)).CombinedOutput()
	require.NoError(t, err)
	assert.Contains(t, string(shown), "ssh-ed25519-cert-v01@openssh.com host certificate")
	changed, err = h.run(t)
	require.NoError(t, err)
	assert.False(t, changed)

	t.Run("a bad successor does not take it away", func(t *testing.T) {
		h.store.put(name, "String", "nonsense")
		changed, err := h.run(t)
		require.ErrorContains(t, err, "not a certificate")
		assert.False(t, changed)
		assert.Equal(t, []string{"host-certificate"}, h.alarms())
		assert.Equal(t, signed+"\n", h.read(t, file))
	})
	t.Run("it is renewed in time", func(t *testing.T) {
		soon := sign(t, h.read(t, "ssh_host_ed25519_key.pub"), authority(t), func(c *ssh.Certificate) {
			c.ValidBefore = uint64(now.Add(13 * 24 * time.Hour).Unix())
		})
		h.store.put(name, "String", soon)
		_, err := h.run(t)
		require.NoError(t, err)
		assert.Equal(t, soon+"\n", h.read(t, file))
		assert.Equal(t, []string{"host-certificate"}, h.alarms())
		assert.Contains(t, h.said.String(), "2026-12-05T12:00:00Z")
	})
	t.Run("one for a key that was rotated goes", func(t *testing.T) {
		h.HostKeys.Version = "2"
		changed, err := h.run(t)
		require.ErrorContains(t, err, "it is for the key SHA256:")
		assert.True(t, changed)
		assert.NoFileExists(t, h.file(file))
	})
}

func TestCertificatesThatClientsWouldRefuse(t *testing.T) {
	old, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	weak, err := ssh.NewSignerFromKey(old)
	require.NoError(t, err)
	sha1, err := ssh.NewSignerWithAlgorithms(weak.(ssh.AlgorithmSigner), []string{ssh.KeyAlgoRSA})
	require.NoError(t, err)
	for says, change := range map[string]func(*ssh.Certificate){
		"for a person":                func(c *ssh.Certificate) { c.CertType = ssh.UserCert },
		"it holds for every host":     func(c *ssh.Certificate) { c.ValidPrincipals = nil },
		"cert has expired":            func(c *ssh.Certificate) { c.ValidBefore = uint64(now.Unix()) },
		"cert is not yet valid":       func(c *ssh.Certificate) { c.ValidAfter = uint64(now.Add(time.Minute).Unix()) },
		"unsupported critical":        func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"x": ""} },
		"it is for the key SHA256:":   func(c *ssh.Certificate) { c.Key = weak.PublicKey() },
		"signed by ssh-rsa":           nil,
		"signature does not verify":   nil,
		"put the signed ...-cert.pub": nil,
	} {
		t.Run(says, func(t *testing.T) {
			h := certified(t)
			public, by := h.read(t, "ssh_host_ed25519_key.pub"), authority(t)
			if says == "signed by ssh-rsa" {
				by = sha1
			}
			text := sign(t, public, by, change)
			switch says {
			case "signature does not verify":
				parsed, _, _, _, err := ssh.ParseAuthorizedKey([]byte(text)) //nolint:dogsled // only the key counts
				require.NoError(t, err)
				cert := parsed.(*ssh.Certificate)
				cert.ValidPrincipals = append(cert.ValidPrincipals, "another-host")
				text = string(ssh.MarshalAuthorizedKey(cert))
			case "put the signed ...-cert.pub":
				text = public
			}
			h.store.put(at+"/host-certs/ed25519", "String", text)
			_, err := h.run(t)
			require.ErrorContains(t, err, says)
			assert.Equal(t, []string{"host-certificate"}, h.alarms())
			assert.NoFileExists(t, h.file("ssh_host_ed25519_key-cert.pub"))
		})
	}
}
