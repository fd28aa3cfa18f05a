//go:build linux

package host_test

import (
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/postern-cdk/postern/test/host/lab"
)

// eicFolder is where the package ec2-instance-connect of Debian and Ubuntu has its
// programs.
const eicFolder = "/usr/share/ec2-instance-connect"

// instanceConnect is the package as far as sshd sees it: a user, a program that asks
// the instance metadata, and a command line of sshd's unit.
// https://github.com/aws/aws-ec2-instance-connect-config
func instanceConnect(t *testing.T) map[string]lab.File {
	t.Helper()
	root, err := lab.RootFS()
	require.NoError(t, err)
	files := map[string]lab.File{
		"/usr/lib/systemd/system/ssh.service.d/ec2-instance-connect.conf": {Data: []byte(`[Service]
ExecStart=
ExecStart=/usr/sbin/sshd -D -o "AuthorizedKeysCommand ` + eicFolder + `/eic_run_authorized_keys %%u %%f" -o "AuthorizedKeysCommandUser ec2-instance-connect" $SSHD_OPTS
`)},
		eicFolder + "/eic_run_authorized_keys": {Mode: 0o755, Data: []byte(`#!/bin/sh
[ "$(id -un)" = ec2-instance-connect ] || exit 1
token=$(/usr/bin/curl -s -f -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 5' http://169.254.169.254/latest/api/token) || exit 1
exec /usr/bin/curl -s -f -m 2 -H "X-aws-ec2-metadata-token: $token" "http://169.254.169.254/latest/meta-data/managed-ssh-keys/active-keys/$1/"
`)},
	}
	for path, line := range map[string]string{
		"/etc/passwd": "ec2-instance-connect:x:950:950::/nonexistent:/usr/sbin/nologin\n",
		"/etc/group":  "ec2-instance-connect:x:950:\n",
	} {
		text, err := os.ReadFile(filepath.Join(root, path))
		require.NoError(t, err)
		files[path] = lab.File{Data: append(text, line...)}
	}
	return files
}

// certificate of a new key, signed by an authority.
func certificate(t *testing.T, authority ssh.Signer, serial uint64, change func(*ssh.Certificate)) ssh.Signer {
	t.Helper()
	key := lab.NewKey()
	c := &ssh.Certificate{
		Key: key.PublicKey(), Serial: serial, CertType: ssh.UserCert, KeyId: "erin@example.com", ValidPrincipals: []string{"erin"},
		ValidAfter: uint64(time.Now().Add(-time.Hour).Unix()), ValidBefore: uint64(time.Now().Add(time.Hour).Unix()),
		Permissions: ssh.Permissions{Extensions: map[string]string{"permit-pty": "", "permit-user-rc": ""}},
	}
	if change != nil {
		change(c)
	}
	require.NoError(t, c.SignCert(rand.Reader, authority))
	signer, err := ssh.NewCertSigner(c, key)
	require.NoError(t, err)
	return signer
}

// revoke is a revocation list with these certificates on it.
func revoke(t *testing.T, authority ssh.Signer, revoked ...ssh.Signer) []byte {
	t.Helper()
	dir := t.TempDir()
	ca, list := filepath.Join(dir, "ca.pub"), filepath.Join(dir, "list")
	require.NoError(t, os.WriteFile(ca, lab.AuthorizedKey(authority), 0o600))
	arguments := []string{"-q", "-k", "-f", list, "-s", ca}
	for i, signer := range revoked {
		path := filepath.Join(dir, string(rune('a'+i))+".pub")
		require.NoError(t, os.WriteFile(path, lab.AuthorizedKey(signer), 0o600))
		arguments = append(arguments, path)
	}
	out, err := exec.Command("ssh-keygen", arguments...).CombinedOutput()
	require.NoError(t, err, string(out))
	text, err := os.ReadFile(list)
	require.NoError(t, err)
	return text
}

// revocationList is its object.
const revocationList = "revoked.krl"

// doorsBeside are those beside keys in the bucket: certificates, and EC2 Instance
// Connect. Both lead into the recording.
func doorsBeside(t *testing.T, l *lab.Lab, authority, revoked ssh.Signer) {
	other := lab.NewKey()
	enter := func(user string, key ssh.Signer) (string, error) {
		s, err := l.Open(user, lab.SSHOptions{Key: key, From: client()})
		if err != nil {
			return "", err
		}
		defer s.Close()
		out, _, err := s.RunFor("id -un", patience)
		return out, err
	}

	t.Run("certificates", func(t *testing.T) {
		good := certificate(t, authority, 1, nil)
		out, err := enter("erin", good)
		require.NoError(t, err)
		assert.Equal(t, "erin", out)
		logs(t, l, `"event":"begin"`, `"person":"erin"`, `"certificate":"erin@example.com"`, `"serial":1`)
		refused := map[string]ssh.Signer{
			"another principal": certificate(t, authority, 2, func(c *ssh.Certificate) { c.ValidPrincipals = []string{"frank"} }),
			"no principal":      certificate(t, authority, 3, func(c *ssh.Certificate) { c.ValidPrincipals = nil }),
			"expired": certificate(t, authority, 4, func(c *ssh.Certificate) {
				c.ValidBefore = uint64(time.Now().Add(-time.Minute).Unix())
			}),
			"another authority": certificate(t, other, 5, nil),
			"a host's":          certificate(t, authority, 6, func(c *ssh.Certificate) { c.CertType = ssh.HostCert }),
			"revoked":           revoked,
			"no certificate":    lab.NewKey(),
		}
		for what, key := range refused {
			_, err := enter("erin", key)
			assert.ErrorContains(t, err, "unable to authenticate", what)
		}
		_, err = enter("root", certificate(t, authority, 8, func(c *ssh.Certificate) { c.ValidPrincipals = []string{"root"} }))
		assert.ErrorContains(t, err, "unable to authenticate")

		s, err := l.Open("erin", lab.SSHOptions{From: client(), Key: certificate(t, authority, 9, func(c *ssh.Certificate) {
			c.CriticalOptions = map[string]string{"force-command": "/bin/bash -i"}
		})})
		require.NoError(t, err)
		wait(t, s, "This session is recorded")
		s.Close()
	})

	t.Run("a broken revocation list keeps the last good one", func(t *testing.T) {
		good := certificate(t, authority, 10, nil)
		l.S3.Put(revocationList, []byte("SSHKRL\n\x00 and then nothing that is one"))
		l.Root(t, "systemctl start postern-people.service")
		logs(t, l, `"alarm"`, "people-revocation-failed", "the last good list stays")
		_, err := enter("erin", revoked)
		assert.ErrorContains(t, err, "unable to authenticate")
		_, err = enter("erin", good)
		assert.NoError(t, err)

		l.S3.Put(revocationList, revoke(t, authority, revoked, good))
		lab.Eventually(t, patience, "the new list counts", func() bool {
			l.Root(t, "systemctl start postern-people.service")
			_, err := enter("erin", good)
			return err != nil && strings.Contains(err.Error(), "unable to authenticate")
		})
		_, err = enter("frank", nil)
		assert.NoError(t, err, "a key of the bucket")
	})

	t.Run("EC2 Instance Connect", func(t *testing.T) {
		image := strings.TrimSpace(l.MustRoot(t, "getent passwd 1000 | cut -d: -f1"))
		key := lab.NewKey()
		_, err := enter(image, key)
		require.ErrorContains(t, err, "unable to authenticate", "a key that nobody sent")
		l.IMDS.Set("meta-data/managed-ssh-keys/active-keys/"+image+"/", string(lab.AuthorizedKey(key)))
		s, err := l.Open(image, lab.SSHOptions{Key: key, From: client()})
		require.NoError(t, err)
		defer s.Close()
		wait(t, s, "This session is recorded")
		out, _, err := s.RunFor(`echo "$(id -un) $(id -Gn)"; echo seen-"by-all"`, patience)
		require.NoError(t, err)
		assert.Equal(t, image+" "+image+" postern\r\nseen-by-all", strings.ReplaceAll(out, "\n", "\r\n"))
		x := &Target{Lab: l, T: t, Person: image}
		assert.True(t, x.IsRecorded("seen-by-all"))
		logs(t, l, `"event":"begin"`, `"person":"`+image+`"`, ssh.FingerprintSHA256(key.PublicKey()))
		out, code, err := s.RunFor("sudo -n true", patience)
		require.NoError(t, err)
		assert.NotZero(t, code, out)
		out, code = l.Root(t, "sudo -n -l -U "+image)
		assert.Contains(t, out, "is not allowed to run sudo", "status %d", code)
		out, _, err = s.RunFor("curl -s -m 3 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 5' http://169.254.169.254/latest/api/token; echo status-$?", patience)
		require.NoError(t, err)
		assert.NotContains(t, out, "LABTOKEN")
		_, err = enter("frank", key)
		assert.ErrorContains(t, err, "unable to authenticate", "it was sent for another user")
	})
}
