package judge

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const audit = `(gen) software: OpenSSH 9.2p1
(gen) protocol SSH1 enabled -- [fail] protocol SSH1 enabled
(kex) sntrup761x25519-sha512                -- [warn] unknown algorithm
(kex) curve25519-sha256 -- [info] available since OpenSSH 7.4
(key) ssh-rsa (2048-bit) -- [fail] using weak hashing algorithm
(enc) aes256-ctr -- [info] available since OpenSSH 3.7
(mac) hmac-sha1 -- [warn] using encrypt-and-MAC mode
(mac) hmac-sha1 -- [warn] using weak hashing algorithm
(rec) -hmac-sha1-- mac algorithm to remove
`

func told(answers ...string) Run {
	n := 0
	return func(context.Context, string, ...string) ([]byte, error) {
		n++
		return []byte(answers[n-1]), nil
	}
}

func TestSSHAudit(t *testing.T) {
	found, err := SSHAudit(t.Context(), told(audit), "192.0.2.1:22")
	require.NoError(t, err)
	assert.Equal(t, []Finding{
		{SSHAuditTool, "(gen) protocol SSH1 enabled -- [fail] protocol SSH1 enabled"},
		{SSHAuditTool, "kex sntrup761x25519-sha512: unknown algorithm"},
		{SSHAuditTool, "key ssh-rsa: using weak hashing algorithm"},
		{SSHAuditTool, "mac hmac-sha1: using encrypt-and-MAC mode"},
		{SSHAuditTool, "mac hmac-sha1: using weak hashing algorithm"},
	}, found)
	_, err = SSHAudit(t.Context(), told("[exception] cannot connect"), "192.0.2.1:22")
	require.ErrorContains(t, err, "examined no kex")
	_, err = SSHAudit(t.Context(), func(context.Context, string, ...string) ([]byte, error) { return nil, errors.New("no such program") }, "192.0.2.1:22")
	require.ErrorContains(t, err, "no such program")
}

func TestLynis(t *testing.T) {
	found, err := Lynis(t.Context(), told("", `# Lynis Report
suggestion[]=SSH-7408|Consider hardening SSH configuration|AllowTcpForwarding (set YES to NO)|-|
warning[]=SSH-7440|No AllowUsers||-|
suggestion[]=PKGS-7392|Update|-|-|
tests_executed=SSH-7402|SSH-7404|SSH-7408|SSH-7440|
`))
	require.NoError(t, err)
	assert.Equal(t, []Finding{{LynisTool, "SSH-7408 AllowTcpForwarding (set YES to NO)"}, {LynisTool, "SSH-7440 No AllowUsers"}}, found)
	_, err = Lynis(t.Context(), told("", "tests_executed=CORE-1000|\n"))
	require.ErrorContains(t, err, "did not examine sshd")
}

func TestOpenSCAP(t *testing.T) {
	rule := func(name, result string) string {
		return `<rule-result idref="xccdf_org.ssgproject.content_rule_` + name + `"><result>` + result + `</result></rule-result>`
	}
	passed := rule("sshd_a", "pass") + rule("sshd_b", "pass") + rule("sshd_c", "pass") + rule("sshd_d", "pass")
	document := func(rules string) string {
		return `<Benchmark xmlns="http://checklists.nist.gov/xccdf/1.2"><TestResult>` + rules + `</TestResult></Benchmark>`
	}
	const profile = `<ds:component><xccdf-1.2:Profile id="p"><xccdf-1.2:select idref="sshd_a" selected="true"/>
<xccdf-1.2:select idref="sshd_z" selected="false"/><xccdf-1.2:select idref="partition_for_tmp" selected="true"/></xccdf-1.2:Profile>`
	var asked []string
	run := told(profile, "", document(passed+rule("sshd_set_idle_timeout", "fail")+rule("partition_for_tmp", "fail")))
	found, err := OpenSCAP(t.Context(), func(ctx context.Context, name string, arguments ...string) ([]byte, error) {
		asked = append(asked, name+" "+strings.Join(arguments, " "))
		return run(ctx, name, arguments...)
	}, "ds.xml", "p")
	require.NoError(t, err)
	assert.Equal(t, []Finding{{OpenSCAPTool, "sshd_set_idle_timeout: fail"}}, found)
	assert.Equal(t, "oscap xccdf eval --skip-valid --profile p --results "+OpenSCAPResults+" --rule sshd_a ds.xml", asked[1])
	_, err = OpenSCAP(t.Context(), told(profile, "", document(passed+rule("sshd_e", "notapplicable"))), "ds.xml", "p")
	require.ErrorContains(t, err, "examined 4 rules about sshd")
	_, err = OpenSCAP(t.Context(), told(profile, "", "oscap: error"), "ds.xml", "p")
	require.ErrorContains(t, err, "the results of OpenSCAP")
	_, err = OpenSCAP(t.Context(), told("", "", ""), "ds.xml", "p")
	require.EqualError(t, err, "ds.xml: the profile p has no rule about sshd")
}

func TestCompare(t *testing.T) {
	accepted := []Accepted{{Finding{SSHAuditTool, "a"}, ""}, {Finding{SSHAuditTool, "stale"}, ""}, {Finding{LynisTool, "not run"}, ""}}
	err := Compare([]Tool{SSHAuditTool}, []Finding{{SSHAuditTool, "a"}, {SSHAuditTool, "new"}, {SSHAuditTool, "new"}}, accepted)
	require.EqualError(t, err, "ssh-audit no longer finds what was accepted, take it from the file: stale\nssh-audit finds: new")
	require.NoError(t, Compare([]Tool{SSHAuditTool}, []Finding{{SSHAuditTool, "a"}}, accepted[:1]))
}

func TestTheFile(t *testing.T) {
	accepted, err := Read("testdata/findings.yaml")
	require.NoError(t, err)
	assert.NotEmpty(t, accepted)
	for text, says := range map[string]string{
		"- {tool: nmap, id: a, reason: none}":                                   `[0]: there is no tool "nmap"`,
		"- {tool: lynis, reason: none}":                                         "[0]: id is empty",
		"- {tool: lynis, id: a, reason: we like it}":                            `the reason "we like it" says nothing`,
		"- {tool: lynis, id: a, why: a}":                                        "field why not found",
		"- &a {tool: lynis, id: a, reason: a reason that is long enough}\n- *a": "[1]: a is accepted twice",
	} {
		path := filepath.Join(t.TempDir(), "findings.yaml")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := Read(path)
		require.ErrorContains(t, err, says)
	}
}
