//go:build linux

package host_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/host"
	"github.com/postern-cdk/postern/test/host/lab"
)

// hardened is the configuration of the host that most tests boot.
func hardened() host.Config { return lab.Hardened() }

// with is the options for a host of that configuration.
func with(t *testing.T, c host.Config, o lab.Options) lab.Options {
	t.Helper()
	d, err := lab.Render(c)
	require.NoError(t, err)
	return o.With(d)
}

// The bootstrap comes up, says so, and sshd is what was promised.
func TestBoot(t *testing.T) {
	t.Parallel()
	l := shared.hardened.get(t)
	signal := l.WaitSignal(t)
	t.Logf("signal after %s, %d requests", signal.At.Round(10*time.Millisecond), len(l.Requests()))
	assert.Equal(t, lab.Signal{At: signal.At, Status: "SUCCESS", Stack: "Access", Resource: "BastionASG", UniqueID: lab.InstanceID}, signal)

	associated := l.Calls("AssociateAddress")
	require.Len(t, associated, 1)
	assert.Equal(t, "eipalloc-0123456789abcdef0", associated[0].Get("AllocationId"))

	effective := l.MustRoot(t, "sshd -T -C user=nobody,host=x,addr=198.51.100.10")
	for _, line := range []string{
		"passwordauthentication no", "kbdinteractiveauthentication no", "permitrootlogin no", "allowtcpforwarding no",
		"allowagentforwarding no", "x11forwarding no", "permittunnel no", "permituserenvironment no",
	} {
		assert.Contains(t, effective, line+"\n")
	}
	for _, r := range l.Requests() {
		if r.At > signal.At {
			break // attackers are there
		}
		// The clock is compared with the date of an answer, whatever it says.
		if r.Service != "imds" && (r.Op != "HeadBucket" || r.Bucket != "") {
			assert.True(t, strings.HasPrefix(r.AccessKey, "ASIALAB"), "signed by the instance role: %+v", r)
		}
	}
}

// A check that fails is signalled, and named where one looks first.
func TestFailedCheckIsSignalledAndNamed(t *testing.T) {
	t.Parallel()
	l := own(t, hardenedFrom, lab.Options{
		Name: "a host that fails a check",
		// sshd runs with an option that beats every file.
		Files: map[string]lab.File{"/etc/default/ssh": {Data: []byte("SSHD_OPTS='-o PasswordAuthentication=yes'\n")}},
	}).get(t)
	out, code := l.Root(t, "/var/lib/postern/host/main.sh")
	require.NotZero(t, code, out)
	signal := l.WaitSignal(t)
	assert.Equal(t, "FAILURE", signal.Status)
	lab.Eventually(t, 5*time.Second, "the console names the check", func() bool {
		return strings.Contains(l.Console(), `"failed checks: sshd-running"`)
	})
}
