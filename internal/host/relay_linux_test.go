package host

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRelayOnTheHost(t *testing.T) {
	t.Parallel()
	l := newLab(t).only("accounts", "units", "firewall", "relay")
	o := l.boot(full())
	require.Equal(t, 0, o.code, o.out)
	assert.NotEmpty(t, o.called("useradd -r -M -U -d / -s "))
	assert.Contains(t, l.read("etc/passwd"), "postern-relay:")
	assert.True(t, l.exists("fake/active-postern-relay"))
	assert.True(t, l.exists("fake/enabled-postern-relay"), "after a reboot too")
	assert.Less(t, index(o.calls, "systemctl restart postern-firewall"), index(o.calls, "systemctl restart postern-relay"))

	rules := l.read("etc/postern/firewall.nft")
	// The fake gives every account this ID.
	assert.Contains(t, rules, "    meta skuid 991 jump relay\n    oifname \"lo\" tcp dport 1080 meta skuid != 0 counter jump refuse comment \"the relay\"\n  }\n  chain people {\n")
	_, chain, found := strings.Cut(rules, "  chain relay {\n")
	require.True(t, found)
	chain, _, _ = strings.Cut(chain, "  }\n")
	assert.Equal(t, `    ip daddr 169.254.169.254 counter jump refuse comment "instance metadata"
    ip6 daddr fd00:ec2::254 counter jump refuse comment "instance metadata"
    oifname != "lo" ct direction reply counter jump refuse comment "a door of its own"
    ct state established,related accept
    ip daddr { 10.0.0.2,127.0.0.53,127.0.0.54,169.254.169.253 } meta l4proto { tcp, udp } th dport 53 accept
    ip6 daddr { fd00::2,fd00:ec2::253 } meta l4proto { tcp, udp } th dport 53 accept
    oifname "lo" jump refuse
    ip daddr 169.254.0.0/16 jump refuse
    ip6 daddr { fe80::/10, fd00:ec2::/32 } jump refuse
    tcp dport { 443,5432 } accept
    counter jump refuse
`, chain)
	people, _, _ := strings.Cut(rules[strings.Index(rules, "  chain people {"):], "  chain relay")
	assert.NotContains(t, people, "443", "what tunnels reach is not what people reach")
}

func TestNoRelayWithoutTargets(t *testing.T) {
	t.Parallel()
	l := newLab(t).only("accounts", "units", "firewall", "relay")
	l.fake("enabled-postern-relay", "")
	l.fake("active-postern-relay", "")
	c := full()
	c.RelayTargets = nil
	o := l.boot(c)
	require.Equal(t, 0, o.code, o.out)
	assert.False(t, l.exists("fake/active-postern-relay"))
	assert.NotContains(t, l.read("etc/passwd"), "postern-relay")
	assert.NotContains(t, l.read("etc/postern/firewall.nft"), "relay")
}

func TestARelayThatDoesNotRunIsFound(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.fake("dies-postern-relay", "")
	step, reason := l.boot(full()).failure(t)
	assert.Equal(t, "selfcheck", step)
	assert.Equal(t, "failed checks: units", reason)
	assert.Contains(t, l.read("dev/console"), "postern-relay is not running: see journalctl -u postern-relay")
}

func TestHostileRelayTargets(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for value, said := range map[string]string{
		"db.internal:5432 x":     "RELAY has a form that is not allowed",
		"*":                      "RELAY has a form that is not allowed",
		"a;reboot":               "RELAY has a form that is not allowed",
		"a}; add rule x y":       "RELAY has a form that is not allowed",
		"db.internal:1\nX=y":     "not a KEY=VALUE line of ours",
		"db.internal:1\nRELAY=x": "RELAY is given twice",
	} {
		c := full()
		c.RelayTargets = []RelayTarget{{Name: "orders", Host: "${Token[TOKEN.1]}", Port: 5432}}
		o := l.bootScript(strings.Replace(l.render(c), "${Token[TOKEN.1]}", value, 1))
		_, reason := o.failure(t)
		assert.Contains(t, reason, said, value)
	}
}
