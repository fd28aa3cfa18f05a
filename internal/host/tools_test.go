//go:build hosttools

package host

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/host/settings"
)

// need finds a tool of this tier or fails: whoever runs the tier has looked for
// its tools first.
func need(t *testing.T, name string) string {
	t.Helper()
	tool, err := exec.LookPath(name)
	if err != nil {
		tool, err = exec.LookPath("/usr/sbin/" + name)
	}
	require.NoError(t, err, "this tier needs %s", name)
	return tool
}

// scripts lists every shell script of the package, the fakes too.
func scripts(t *testing.T) []string {
	t.Helper()
	var list []string
	for _, pattern := range []string{"files/*.sh", "files/bundle/host/*.sh", "files/bundle/host/run/*.sh", "testdata/bin/*", "testdata/sshd/*"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, found)
		list = append(list, found...)
	}
	return list
}

func TestShellcheck(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	// What main.sh sources is examined with it.
	product := []string{
		"--external-sources", "--enable=check-unassigned-uppercase,deprecate-which,quote-safe-variables",
		"internal/host/files/main.sh", "internal/host/files/userdata.sh",
		"internal/host/files/bundle/host/run/check.sh", "internal/host/files/bundle/host/run/digest.sh",
		"internal/host/files/bundle/host/run/integrity.sh", "internal/host/files/bundle/host/run/updates.sh",
	}
	// The fakes get their folders from the environment.
	fakes := []string{"--shell=bash", "--exclude=SC1091,SC2154"}
	for _, script := range scripts(t) {
		if strings.HasPrefix(script, "testdata/") {
			fakes = append(fakes, filepath.Join("internal/host", script))
		}
	}
	for _, args := range [][]string{product, fakes} {
		cmd := exec.Command(need(t, "shellcheck"), args...)
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		assert.NoError(t, err, string(out))
	}
}

func TestShfmt(t *testing.T) {
	product := slices.DeleteFunc(scripts(t), func(name string) bool { return strings.HasPrefix(name, "testdata/") })
	// Without flags it goes by .editorconfig, which knows *.sh.
	out, err := exec.Command(need(t, "shfmt"), append([]string{"-d"}, product...)...).CombinedOutput()
	assert.NoError(t, err, string(out))
	out, err = exec.Command(need(t, "shfmt"), append([]string{"-d", "-i", "2", "-bn", "-ci"}, scripts(t)...)...).CombinedOutput()
	assert.NoError(t, err, string(out))
}

// realSSHD is a lab whose sshd is the one installed here.
func realSSHD(t *testing.T) *lab {
	t.Helper()
	need(t, "sshd")
	l := newLab(t)
	l.path = l.path[:1]
	require.NoError(t, os.MkdirAll("/run/sshd", 0o755))
	require.NoError(t, os.Remove(filepath.Join(l.root, "etc/ssh/ssh_host_ed25519_key")))
	l.write("etc/ssh/sshd_config", "Include "+l.root+"/etc/ssh/sshd_config.d/*.conf\nPasswordAuthentication yes\nX11Forwarding yes\nCiphers aes128-cbc,aes128-ctr\nAcceptEnv LANG LC_*\nSubsystem sftp internal-sftp\n"+
		"AuthorizedKeysCommand /usr/bin/true eic_run_authorized_keys %u %f\nAuthorizedKeysCommandUser nobody\n")
	for kind, bits := range map[string]string{"rsa": "2048", "ecdsa": "256"} {
		out, err := exec.Command(need(t, "ssh-keygen"), "-q", "-t", kind, "-b", bits, "-N", "", "-f", l.root+"/etc/ssh/ssh_host_"+kind+"_key").CombinedOutput()
		require.NoError(t, err, string(out))
	}
	return l
}

// effective asks the real sshd what it goes by.
func (l *lab) effective() map[string]string { return l.effectiveFor("root", "203.0.113.9") }

// effectiveFor asks for one user from one address.
func (l *lab) effectiveFor(user, address string) map[string]string {
	l.t.Helper()
	out, err := exec.Command(need(l.t, "sshd"), "-T", "-f", l.root+"/etc/ssh/sshd_config",
		"-C", "user="+user+",host=h,addr="+address+",laddr="+address+",lport=22").Output()
	require.NoError(l.t, err)
	values := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		keyword, value, _ := strings.Cut(line, " ")
		if before, given := values[keyword]; given {
			value = before + " " + value
		}
		values[keyword] = value
	}
	return values
}

func TestRealSSHDGoesByTheZeroConfiguration(t *testing.T) {
	l := realSSHD(t)
	o := l.boot(Config{})
	require.Equal(t, 0, o.code, o.out)
	got := l.effective()
	for keyword, want := range map[string]string{
		"authenticationmethods": "publickey", "passwordauthentication": "no", "kbdinteractiveauthentication": "no",
		"permitrootlogin": "no", "permitemptypasswords": "no", "hostbasedauthentication": "no",
		"allowtcpforwarding": "no", "allowstreamlocalforwarding": "no", "allowagentforwarding": "no", "x11forwarding": "no",
		"permittunnel": "no", "permitopen": "none", "permitlisten": "none", "disableforwarding": "yes", "gatewayports": "no",
		"maxauthtries": "4", "maxsessions": "4", "maxstartups": "30:30:60", "logingracetime": "30",
		"clientaliveinterval": "60", "clientalivecountmax": "3", "permituserrc": "no", "permituserenvironment": "no",
		"loglevel": "VERBOSE", "banner": "none", "hostkey": l.root + "/etc/ssh/ssh_host_ed25519_key", "hostkeyalgorithms": "ssh-ed25519",
		"allowgroups": "postern", "forcecommand": "/opt/postern/bin/postern-shell", "authorizedkeysfile": "/etc/postern/keys/%u",
		"authorizedprincipalsfile": "none", "trustedusercakeys": "none", "revokedkeys": "none", "exposeauthinfo": "yes", "usepam": "yes",
		"strictmodes": "yes", "pubkeyauthentication": "yes", "acceptenv": "LANG LC_*", "subsystem": "sftp internal-sftp", "compression": "no",
		"authorizedkeyscommand": "/usr/bin/true eic_run_authorized_keys %u %f",
	} {
		assert.Equal(t, want, got[keyword], keyword)
	}
	for keyword, bad := range map[string]string{"ciphers": "cbc", "macs": "sha1", "kexalgorithms": "sha1", "pubkeyacceptedalgorithms": "ssh-rsa"} {
		assert.NotEmpty(t, got[keyword])
		for _, name := range strings.Split(got[keyword], ",") {
			assert.NotContains(t, name, bad)
		}
	}
	assert.Contains(t, got["kexalgorithms"], "sntrup761x25519-sha512", "post-quantum key exchange, which each OpenSSH from 8.5 on has")

	again := l.again()
	require.Equal(t, 0, again.code, again.out)
	assert.Empty(t, again.called("systemctl reload"))
}

func TestRealSSHDOpensTheNamedTargetsOnly(t *testing.T) {
	l := realSSHD(t)
	c := full()
	c.SSH.AllowECDSAHostKey = true
	c.SSH.NoIdleTimeout = true
	c.SSH.MinRSABits = 2048
	o := l.boot(c)
	require.Equal(t, 0, o.code, o.out)
	got := l.effective()
	assert.Equal(t, "local", got["allowtcpforwarding"])
	assert.Equal(t, "db.internal:5432 [2001:db8::7]:6379", got["permitopen"])
	assert.Equal(t, "none", got["permitlisten"])
	assert.Equal(t, "no", got["disableforwarding"])
	assert.Equal(t, "no", got["allowagentforwarding"])
	assert.Equal(t, l.root+"/etc/postern/banner", got["banner"])
	assert.Equal(t, "ssh-ed25519,rsa-sha2-512,rsa-sha2-256,ecdsa-sha2-nistp256", got["hostkeyalgorithms"])
}

func TestRealSSHDAsksForTheSecondFactor(t *testing.T) {
	l := realSSHD(t)
	c := full()
	c.Choices.SecondFactor.AtLogin = true
	c.Choices.People.FIPSKeysOnly = true
	c.Choices.Certificates = settings.Certificates{Authorities: []string{ecdsaKey}, RevocationKey: "revoked.krl"}
	o := l.boot(c)
	require.Equal(t, 0, o.code, o.out)
	got := l.effective()
	assert.Equal(t, "publickey,keyboard-interactive:pam", got["authenticationmethods"])
	assert.Equal(t, "yes", got["kbdinteractiveauthentication"])
	assert.Equal(t, "no", got["passwordauthentication"])
	assert.Equal(t, "/etc/postern/authorities.pub", got["trustedusercakeys"])
	assert.Equal(t, "/etc/postern/revoked.krl", got["revokedkeys"])
	assert.NotContains(t, got["pubkeyacceptedalgorithms"], "ed25519")
	assert.NotContains(t, got["pubkeyacceptedalgorithms"], "sk-")
	assert.Equal(t, "publickey", l.effectiveFor("postern-check", "127.0.0.1")["authenticationmethods"], "nobody types its code")
	for user, address := range map[string]string{"postern-check": "203.0.113.9", "alice": "127.0.0.1"} {
		assert.Equal(t, "publickey,keyboard-interactive:pam", l.effectiveFor(user, address)["authenticationmethods"], user+" from "+address)
	}
	assert.Equal(t, "nobody", l.effectiveFor("alice", "203.0.113.9")["authorizedkeyscommanduser"], "what follows the drop-in is not part of its Match")
}

// Keywords that add up over files could let in more than ours.
func TestRealSSHDWithAnotherGroupIsPutBack(t *testing.T) {
	l := realSSHD(t)
	l.write("etc/ssh/sshd_config", l.read("etc/ssh/sshd_config")+"AllowGroups everybody\n")
	_, reason := l.boot(Config{}).failure(t)
	assert.Contains(t, reason, "sshd does not go by: AllowGroups (another file lets in more: ")
	assert.Contains(t, reason, "everybody")
	assert.False(t, l.exists(dropInFile))
}

// A Match block overrides what stands before it, even in a drop-in.
func TestRealSSHDWithAMatchThatWeakensIsPutBack(t *testing.T) {
	l := realSSHD(t)
	main := l.read("etc/ssh/sshd_config") + "Match User root\n  PermitRootLogin yes\n"
	l.write("etc/ssh/sshd_config", main)
	o := l.boot(Config{})
	step, reason := o.failure(t)
	assert.Equal(t, "sshd", step)
	assert.Contains(t, reason, "PermitRootLogin no (for root sshd has: permitrootlogin yes)")
	assert.Equal(t, main, l.read("etc/ssh/sshd_config"))
	assert.False(t, l.exists(dropInFile))
}

// The real sshd refuses what only a fault in the product could render.
func TestRealSSHDThatRefusesIsPutBack(t *testing.T) {
	l := realSSHD(t)
	l.boot(Config{}) // unpacks
	require.NoError(t, os.Remove(filepath.Join(l.root, dropInFile)))
	conf := filepath.Join(l.root, "var/lib/postern/host/sshd.conf")
	data, err := os.ReadFile(conf)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(conf, bytes.Replace(data, []byte("MaxSessions 4"), []byte("MaxSessions many"), 1), 0o600))
	_, reason := l.again().failure(t)
	assert.Contains(t, reason, "sshd -t refuses the new configuration: ")
	assert.Contains(t, reason, "MaxSessions")
	assert.False(t, l.exists(dropInFile))
}
