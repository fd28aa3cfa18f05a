package policy_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/policy"
)

func TestPortDocument(t *testing.T) {
	d := policy.PortDocument{
		Description: "Orders", Host: "db.example.internal", Port: "5432", LocalPort: 15432,
		IdleTimeout: 10 * time.Minute, MaxDuration: 2 * time.Hour,
	}
	assert.JSONEq(t, `{
		"schemaVersion": "1.0", "description": "Orders", "sessionType": "Port",
		"inputs": {"idleSessionTimeout": "10", "maxSessionDuration": "120"},
		"parameters": {"localPortNumber": {
			"type": "String", "description": "Port of your computer; 0 is one that is free", "default": "15432",
			"allowedPattern": "^(0|[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$"
		}},
		"properties": {"host": "db.example.internal", "portNumber": "5432", "type": "LocalPortForwarding", "localPortNumber": "{{ localPortNumber }}"}
	}`, d.JSON())
	zero := policy.PortDocument{Port: "8080"}
	assert.JSONEq(t, `{"idleSessionTimeout": "20"}`, field(t, zero.JSON(), "inputs"))
	assert.JSONEq(t, `{"portNumber": "8080", "type": "LocalPortForwarding", "localPortNumber": "{{ localPortNumber }}"}`, field(t, zero.JSON(), "properties"))
	assert.Contains(t, zero.JSON(), `"default":"0"`)
	// What AWS-StartSSHSession is, with the port fixed.
	ssh := policy.PortDocument{Port: "22", Stdio: true}
	assert.JSONEq(t, `{"schemaVersion": "1.0", "sessionType": "Port", "inputs": {"idleSessionTimeout": "20"}, "properties": {"portNumber": "22"}}`, ssh.JSON())
}

func field(t *testing.T, text, name string) string {
	t.Helper()
	var all map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(text), &all))
	return string(all[name])
}

// Every port and nothing else: the value ends up in a program's command line.
func TestLocalPortPattern(t *testing.T) {
	var document struct {
		Parameters map[string]struct{ AllowedPattern string }
	}
	d := policy.PortDocument{Port: "1"}
	require.NoError(t, json.Unmarshal([]byte(d.JSON()), &document))
	pattern := regexp.MustCompile(document.Parameters[policy.LocalPortParameter].AllowedPattern)
	for port := range 70000 {
		require.Equal(t, port <= 65535, pattern.MatchString(fmt.Sprint(port)), port)
	}
	for _, other := range []string{"", "00", "022", "-1", "1 ", "80\n", "http", "80;id", "{{ x }}"} {
		assert.NotRegexp(t, pattern, other)
	}
}

func TestTunnelHost(t *testing.T) {
	for _, host := range []string{
		"db.example.internal", "DB.Example.internal.", "my_db", "10.0.1.5", "fd12:3456::1", "2600:1f18::5", "${Token[TOKEN.1]}",
		"cache-0001.abc.use1.cache.amazonaws.com", "0xcafe.example.com", "10.0.0.3", "instance-data.example.com",
	} {
		assert.Nil(t, policy.TunnelHost(host), host)
	}
	const another = "name the host that you mean: a tunnel leads to no other address of the instance's surroundings"
	const one = "write one DNS name or address, such as db.example.internal or 10.0.1.5"
	const itself = "leave Host out for a port of the instance"
	const keeps = ", which AWS keeps and the agent on the instance forwards nothing to"
	for host, want := range map[string]string{
		"169.254.169.254":               "169.254.169.254 is the instance metadata, which the agent on the instance forwards nothing to: " + another,
		"::ffff:169.254.169.254":        "::ffff:169.254.169.254 is the instance metadata, which the agent on the instance forwards nothing to: " + another,
		"fd00:ec2::254":                 "fd00:ec2::254 is the instance metadata, which the agent on the instance forwards nothing to: " + another,
		"FD00:EC2:0::254":               "FD00:EC2:0::254 is the instance metadata, which the agent on the instance forwards nothing to: " + another,
		"169.254.169.253":               "169.254.169.253 is the DNS server of the VPC, which the agent on the instance forwards nothing to: " + another,
		"fd00:ec2::253":                 "fd00:ec2::253 is the DNS server of the VPC, which the agent on the instance forwards nothing to: " + another,
		"169.254.169.123":               "169.254.169.123 is the time service, which the agent on the instance forwards nothing to: " + another,
		"fd00:ec2::123":                 "fd00:ec2::123 is the time service, which the agent on the instance forwards nothing to: " + another,
		"169.254.169.250":               "169.254.169.250 is the licence service of Windows, which the agent on the instance forwards nothing to: " + another,
		"169.254.169.251":               "169.254.169.251 is the licence service of Windows, which the agent on the instance forwards nothing to: " + another,
		"fd00:ec2::250":                 "fd00:ec2::250 is the licence service of Windows, which the agent on the instance forwards nothing to: " + another,
		"169.254.170.2":                 "169.254.170.2 is a link-local address, where AWS has services for the instance alone: " + another,
		"fd00:ec2::23":                  "fd00:ec2::23 is a link-local address, where AWS has services for the instance alone: " + another,
		"fe80::1":                       "fe80::1 is a link-local address, where AWS has services for the instance alone: " + another,
		"224.0.0.1":                     "224.0.0.1 is the address of no one host: " + another,
		"255.255.255.255":               "255.255.255.255 is the address of no one host: " + another,
		"127.0.0.1":                     "127.0.0.1 is the instance itself: " + itself,
		"::1":                           "::1 is the instance itself: " + itself,
		"0.0.0.0":                       "0.0.0.0 is the instance itself: " + itself,
		"localhost":                     `"localhost" is the instance itself: ` + itself,
		"db.LOCALHOST.":                 `"db.LOCALHOST." is the instance itself: ` + itself,
		"instance-data":                 `"instance-data" is the instance metadata, which the agent on the instance forwards nothing to: ` + one,
		"Instance-Data.ec2.internal.":   `"Instance-Data.ec2.internal." is the instance metadata, which the agent on the instance forwards nothing to: ` + one,
		"2852039166":                    `"2852039166" is not a host: ` + one,
		"0xA9FEA9FE":                    `"0xA9FEA9FE" is not a host: ` + one,
		"169.254.43518":                 `"169.254.43518" is not a host: ` + one,
		"0251.0376.0251.0376":           `"0251.0376.0251.0376" is not a host: ` + one,
		"169.0xfe.169.0xfe":             `"169.0xfe.169.0xfe" is not a host: ` + one,
		"":                              `"" is not a host: ` + one,
		"db:5432":                       `"db:5432" is not a host: ` + one,
		"a b":                           `"a b" is not a host: ` + one,
		"*.example.com":                 `"*.example.com" is not a host: ` + one,
		"{{ host }}":                    `"{{ host }}" is not a host: ` + one,
		"[2600::5]":                     `"[2600::5]" is not an address alone: write 2600::5`,
		"2600::5%eth0":                  `"2600::5%eth0" is not an address alone: write 2600::5`,
		"${Token[A.1]},${Token[A.2]}":   "is more than one host: write one tunnel for each, or use the relay of the bastion",
		"10.1.0.2":                      "10.1.0.2 is one of the first four or the last address of 10.1.0.0/16" + keeps + ": name the host that you mean: none can have this address",
		"10.1.255.255":                  "10.1.255.255 is one of the first four or the last address of 10.1.0.0/16" + keeps + ": name the host that you mean: none can have this address",
		"2600:1f18:64ad:8000::3":        "2600:1f18:64ad:8000::3 is one of the first four or the last address of 2600:1f18:64ad:8000::/56" + keeps + ": name the host that you mean: none can have this address",
		strings.Repeat("a.", 127) + "b": fmt.Sprintf("%q is not a host: %s", strings.Repeat("a.", 127)+"b", one),
	} {
		fault := policy.TunnelHost(host, "10.1.0.0/16", "2600:1f18:64ad:8000::/56", "${Token[TOKEN.9]}")
		if assert.NotNil(t, fault, host) {
			assert.Equal(t, want, strings.TrimPrefix(fault.Error(), ": "))
		}
	}
	assert.Nil(t, policy.TunnelHost("10.1.0.4", "10.1.0.0/16"))
	assert.Nil(t, policy.TunnelHost("10.1.255.254", "10.1.0.0/16"))
}

// What the tests of the agent expect of the same blocks.
func TestReserved(t *testing.T) {
	for block, want := range map[string]string{
		"172.31.0.0/16":      "172.31.0.0 172.31.0.1 172.31.0.2 172.31.0.3 172.31.255.255",
		"10.0.0.16/28":       "10.0.0.16 10.0.0.17 10.0.0.18 10.0.0.19 10.0.0.31",
		"2600:1f18::/56":     "2600:1f18:: 2600:1f18::1 2600:1f18::2 2600:1f18::3 2600:1f18:0:ff:ffff:ffff:ffff:ffff",
		"10.0.0.0/31":        "10.0.0.0 10.0.0.1",
		"255.255.255.252/30": "255.255.255.252 255.255.255.253 255.255.255.254 255.255.255.255",
	} {
		got := make([]string, 0, 5)
		for _, address := range policy.Reserved(netip.MustParsePrefix(block)) {
			got = append(got, address.String())
		}
		assert.Equal(t, want, strings.Join(got, " "), block)
	}
}
