//go:build linux

package host_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/postern-cdk/postern/test/host/lab"
)

// The relay leads root, whom Session Manager's agent runs as, to its targets by their
// names, and nobody else to anything.
func TestRelay(t *testing.T) {
	t.Parallel()
	l := shared.serialHardened.lock(t).lab
	// As a bootstrap with targets would have it.
	l.MustRoot(t, `cp /etc/postern/environment /run/environment.kept
source /opt/postern/host/run/begin.sh >/dev/null
RELAY='orders=db.internal:5432' RELAY_PORT=1080
sed -i "s/^RELAY=.*/RELAY=$RELAY/" "$ETC/environment"
relay_account
firewall_rules | nft -f -
systemctl start postern-relay`)
	t.Cleanup(func() {
		l.MustRoot(t, `systemctl stop postern-relay; cp /run/environment.kept /etc/postern/environment; nft -f /etc/postern/firewall.nft`)
	})
	since := strings.TrimSpace(l.MustRoot(t, "date +%s"))

	const talk = `exec 3<>/dev/tcp/127.0.0.1/1080 && printf 'CONNECT %s HTTP/1.1\r\n\r\n' >&3 && timeout 15 cat <&3`
	ask := func(target string) string { return strings.Replace(talk, "%s", target, 1) }
	answer := l.MustRoot(t, ask("db.internal:5432"))
	assert.Contains(t, answer, "HTTP/1.1 200 Connection established")
	assert.Contains(t, answer, "internal database")
	for _, other := range []string{"db.internal:8080", lab.InternalIP + ":5432", "169.254.169.254:80", "localhost:22"} {
		assert.Contains(t, l.MustRoot(t, ask(other)), "HTTP/1.1 403 Forbidden", other)
	}
	lab.Eventually(t, 15*time.Second, "the connection is told", func() bool {
		return strings.Contains(l.Journal(t, "-t", "postern", "--since=@"+since), `"postern":"relay","target":"orders","host":"db.internal","port":5432,"address":"`+lab.InternalIP+`:5432","result":"connected","sent":0,"received":18,`)
	})
	t.Logf("the relay takes %s KiB", strings.TrimSpace(l.MustRoot(t, "ps -o rss= -p $(systemctl show -p MainPID --value postern-relay)")))
	assert.Equal(t, "postern-relay", strings.TrimSpace(l.MustRoot(t, "ps -o user:32= -p $(systemctl show -p MainPID --value postern-relay)")))
	assert.Contains(t, l.MustRoot(t, "/opt/postern/bin/postern-host check relay"), `"name":"relay","result":"pass","detail":"leads to orders only, and is refused to people"`)

	// Programs of others: a person's, a service's, and what the relay itself could
	// be made to try.
	as := func(user, command string) string {
		out, _ := l.Root(t, "setpriv --reuid "+user+" --regid nogroup --clear-groups bash -c '"+strings.ReplaceAll(command, "'", `'\''`)+"' 2>&1")
		return out
	}
	for _, user := range []string{"postern-check", "nobody"} {
		out := as(user, ask("db.internal:5432"))
		assert.NotContains(t, out, "HTTP", user)
		assert.Contains(t, out, "refused", user)
	}
	connect := func(address string) string { return "timeout 15 head -c 8 </dev/tcp/" + address }
	assert.Equal(t, "internal", as("postern-relay", connect(lab.InternalIP+"/5432")))
	for _, address := range []string{lab.InternalIP + "/8080", "169.254.169.254/80", "127.0.0.1/22", lab.BastionIP + "/22"} {
		assert.Contains(t, as("postern-relay", connect(address)), "refused", address)
	}
}
