//go:build linux && hosttools

package people

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func generate(t *testing.T, arguments ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	out, err := exec.Command("ssh-keygen", append([]string{"-q", "-N", "", "-C", "a comment é", "-f", path}, arguments...)...).CombinedOutput()
	require.NoError(t, err, string(out))
	text, err := os.ReadFile(path + ".pub")
	require.NoError(t, err)
	return strings.TrimSpace(string(text))
}

func TestKeysOfOpenSSH(t *testing.T) {
	for _, arguments := range []string{"ed25519", "ecdsa -b 256", "ecdsa -b 384", "ecdsa -b 521", "rsa -b 3072"} {
		text := generate(t, append([]string{"-t"}, strings.Fields(arguments)...)...)
		keys, faults := Keys([]byte("\xef\xbb\xbf# mine\r\n\r\n "+text+"\r\n"), Policy{})
		assert.Empty(t, faults, arguments)
		require.Len(t, keys, 1)
		assert.Equal(t, strings.Join(strings.Fields(text)[:2], " "), keys[0], "the comment goes")
		// ssh-keygen, which is nobody's here, shows the same fingerprint.
		path := filepath.Join(t.TempDir(), "k")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		out, err := exec.Command("ssh-keygen", "-l", "-f", path).Output()
		require.NoError(t, err)
		assert.Equal(t, strings.Fields(string(out))[1], Fingerprint(keys[0]))
	}
}

func TestEmptyListIsOpenSSHs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "krl")
	require.NoError(t, os.WriteFile(path, emptyRevoked(), 0o600))
	public := path + ".pub"
	require.NoError(t, os.WriteFile(public, []byte(keyOf("a")+"\n"), 0o600))
	out, err := exec.Command("ssh-keygen", "-Q", "-f", path, public).CombinedOutput()
	assert.NoError(t, err, string(out))
	out, err = exec.Command("ssh-keygen", "-k", "-f", path, public).CombinedOutput()
	require.NoError(t, err, string(out))
	made, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.NoError(t, checkRevoked(made))
	assert.Error(t, checkRevoked(made[:len(made)-1]))
}
