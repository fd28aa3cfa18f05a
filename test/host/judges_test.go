//go:build linux

package host_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/test/host/judge"
	"github.com/postern-cdk/postern/test/host/lab"
)

const (
	// ubuntu is content that OpenSCAP has rules about sshd in; Debian's own has next to none.
	ubuntu       = "/usr/share/xml/scap/ssg/content/ssg-ubuntu2204-ds.xml"
	cisServer    = "xccdf_org.ssgproject.content_profile_cis_level1_server"
	findingsFile = "judge/testdata/findings.yaml"
)

// What others find wrong with a host is known, and accepted with a reason.
func TestJudges(t *testing.T) {
	t.Parallel()
	l := own(t, hardenedFrom, lab.Options{Name: "the judged host", RootFS: lab.JudgesRootFS}).get(t)
	on := func(before string) judge.Run {
		return func(_ context.Context, name string, arguments ...string) ([]byte, error) {
			command := before + name
			for _, argument := range arguments {
				command += " '" + strings.ReplaceAll(argument, "'", `'\''`) + "'"
			}
			out, _, err := l.TryRoot("export HOME=/root; " + command)
			return []byte(out), err
		}
	}
	run := on("")
	// The rules of OpenSCAP look into one file alone. What it includes is first in it, as it is for sshd.
	l.MustRoot(t, `cd /etc/ssh && cp -p sshd_config /run/judged && { cat sshd_config.d/*.conf; grep -vi '^include' sshd_config; } >/run/judged && sshd -t -f /run/judged`)
	flat := on(`unshare --mount bash -c 'mount --bind /run/judged /etc/ssh/sshd_config && exec "$0" "$@"' `)
	accepted, err := judge.Read(findingsFile)
	require.NoError(t, err)
	for _, j := range []struct {
		tool judge.Tool
		find func(context.Context) ([]judge.Finding, error)
	}{
		{judge.SSHAuditTool, func(ctx context.Context) ([]judge.Finding, error) { return judge.SSHAudit(ctx, run, "127.0.0.1:22") }},
		{judge.LynisTool, func(ctx context.Context) ([]judge.Finding, error) { return judge.Lynis(ctx, run) }},
		{judge.OpenSCAPTool, func(ctx context.Context) ([]judge.Finding, error) {
			return judge.OpenSCAP(ctx, flat, ubuntu, cisServer)
		}},
	} {
		t.Run(string(j.tool), func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			found, err := j.find(t.Context())
			require.NoError(t, err)
			t.Logf("%d findings in %s", len(found), time.Since(start).Round(100*time.Millisecond))
			assert.NoError(t, judge.Compare([]judge.Tool{j.tool}, found, accepted))
		})
	}
	t.Run("sshd -T", func(t *testing.T) {
		t.Parallel()
		effective := l.MustRoot(t, "sshd -T -C user=nobody,host=x,addr=198.51.100.10")
		for line := range strings.Lines(intended) {
			assert.Contains(t, effective, "\n"+line)
		}
		for _, weak := range []string{"cbc", "sha1", "md5", "ssh-dss", "3des", "arcfour", "group1-", "group14-", "nistp"} {
			for _, keyword := range []string{"ciphers", "macs", "kexalgorithms", "hostkeyalgorithms"} {
				_, rest, found := strings.Cut(effective, "\n"+keyword+" ")
				require.True(t, found, keyword)
				list, _, _ := strings.Cut(rest, "\n")
				assert.NotContains(t, list, weak, keyword)
			}
		}
	})
}

// intended is what sshd is to go by, whatever files say it.
const intended = `acceptenv LANG
allowagentforwarding no
allowgroups postern
allowstreamlocalforwarding no
allowtcpforwarding no
authenticationmethods publickey
authorizedkeyscommand none
authorizedkeysfile /etc/postern/keys/%u
clientalivecountmax 3
clientaliveinterval 60
compression no
disableforwarding yes
exposeauthinfo yes
forcecommand /opt/postern/bin/postern-shell
gatewayports no
gssapiauthentication no
hostbasedauthentication no
ignorerhosts yes
kbdinteractiveauthentication no
kerberosauthentication no
loglevel VERBOSE
logingracetime 30
maxauthtries 4
maxsessions 4
passwordauthentication no
permitemptypasswords no
permitlisten none
permitopen none
permitrootlogin no
permittunnel no
permituserenvironment no
permituserrc no
pubkeyauthentication yes
requiredrsasize 3072
strictmodes yes
trustedusercakeys none
usedns no
usepam yes
x11forwarding no
`
