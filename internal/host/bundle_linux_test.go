package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/host/settings"
)

const (
	unsealedFile = "var/lib/postern/unsealed"
	sealFile     = "etc/systemd/system/sshd.service.d/00-postern-seal.conf"
)

// open tells whether people can log in.
func (l *lab) open() bool { return l.exists("fake/active-sshd") && l.exists(unsealedFile) }

// timer runs a script of the bundle as systemd would.
func (l *lab) timer(name string, args ...string) outcome {
	l.t.Helper()
	return l.run(append([]string{filepath.Join(l.root, "opt/postern/host/run", name+".sh")}, args...)...)
}

func TestNobodyLogsInBeforeTheRecordingIsProven(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	o := l.boot(full())
	require.Equal(t, 0, o.code, o.out)
	order := []string{
		"systemctl stop ssh.socket sshd.socket ssh.service sshd.service", "aws s3api get-object", "postern-host identity", "systemctl restart postern-ship", "systemctl start postern-recorder",
		"nft table inet postern_gate", "systemctl restart sshd", "postern-host check all", "postern-host launch signal",
	}
	for i := 1; i < len(order); i++ {
		assert.NotEqual(t, -1, index(o.calls, order[i]), order[i])
		assert.Less(t, index(o.calls, order[i-1]), index(o.calls, order[i]), "%s before %s", order[i-1], order[i])
	}
	assert.True(t, l.open())
	assert.False(t, l.exists("run/postern/trial"))
	assert.False(t, l.exists("fake/nft-postern_gate"), "the gate is open")
	for _, unit := range []string{"ssh.service", "sshd.service", "ssh.socket", "sshd.socket", "ssh@.service", "sshd@.service"} {
		assert.Equal(t, "# Written by Postern: sshd waits for the bootstrap.\n[Unit]\nConditionPathExists=|"+l.root+"/var/lib/postern/unsealed\nConditionPathExists=|"+l.root+"/run/postern/trial\n",
			l.read("etc/systemd/system/"+unit+".d/00-postern-seal.conf"))
	}
	assert.False(t, l.exists("home/ec2-user/.ssh/authorized_keys"), "the key pair of the image opens nothing")
}

func TestAHostThatFailsStaysClosed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		arrange      func(*lab)
		step, reason string
	}{
		"bundle changed": {func(l *lab) { l.fake("bundle", l.read("fake/bundle")+"x") }, "bundle", "s3://cdk-assets-111122223333-eu-west-1/0123abcd.tar.gz is REFUSED: its SHA-256 is "},
		"no bundle":      {func(l *lab) { l.fake("aws-get-object-fails", "99") }, "bundle", "s3://cdk-assets-111122223333-eu-west-1/0123abcd.tar.gz could not be fetched, the notes above say why"},
		"no identity":    {func(l *lab) { l.fake("postern-host-identity-fails", "99") }, "hostkeys", "the keys of the host could not be had: postern-host: identity: no"},
		"recorder dead":  {func(l *lab) { l.fake("systemctl-start-postern-recorder-fails", "9") }, "unseal", "postern-recorder.service can't be started"},
		"recorder deaf":  {func(l *lab) { l.fake("recorder-deaf", "") }, "unseal", "the recorder does not answer"},
		"recording":      {func(l *lab) { l.fake("checks", `{"postern":"check","name":"recording","result":"fail","detail":"x"}`) }, "selfcheck", "failed checks: recording"},
		"nothing said":   {func(l *lab) { l.fake("checks", "\n") }, "selfcheck", "failed checks: recording"},
		"two promises": {func(l *lab) {
			l.fake("checks", `{"postern":"check","name":"recording","result":"pass"}`+"\n"+`{"postern":"check","name":"egress","result":"fail"}`)
			l.fake("bans-nobody", "")
		}, "selfcheck", "failed checks: fail2ban egress"},
		"rules of sudo": {func(l *lab) { l.fake("visudo-fails", "9") }, "accounts", "visudo refuses the rules for sudo: syntax error"},
		"rules of nft":  {func(l *lab) { l.fake("nft-refuses", "9") }, "firewall", "nft refuses the rules for people: syntax error"},
		"no audit":      {func(l *lab) { l.fake("no-audit", "") }, "selfcheck", "failed checks: audit"},
		"a second root": {func(l *lab) { l.write("etc/passwd", l.read("etc/passwd")+"toor:x:0:0::/:/bin/sh\n") }, "selfcheck", "failed checks: accounts"},
		"user managers": {func(l *lab) { l.fake("list-units-user@*.service", "user@1000.service loaded active\n") }, "selfcheck", "failed checks: confine"},
		"other server":  {func(l *lab) { l.write("proc/net/tcp6", "   0: 00000000:0016 00000000:0000 0A x\n") }, "seal", "something other than sshd listens on port 22: use an image without it"},
		"somebody was there": {
			func(l *lab) {
				l.fake("journal", "Accepted publickey for ec2-user from 203.0.113.7 port 5 ssh2\n"+strings.Repeat("Accepted more\n", 100_000))
			}, "seal",
			"somebody logged in before the host was closed: replace this instance. sshd said: Accepted publickey for ec2-user from 203.0.113.7 port 5 ssh2",
		},
		"before the values": {func(l *lab) { l.fake("systemctl-daemon-reload-fails", "1") }, "seal", "systemd does not read its units again"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			if c.step != "selfcheck" {
				l.only("packages", "units", c.step)
			} else {
				l.only("packages", "accounts", "confine", "units", "audit", "fail2ban", "unseal", "selfcheck").asks("accounts", "confine", "audit", "fail2ban")
			}
			c.arrange(l)
			o := l.boot(full())
			step, reason := o.failure(t)
			assert.Equal(t, c.step, step)
			assert.True(t, strings.HasPrefix(reason, c.reason), reason)
			assert.False(t, l.open())
			assert.False(t, l.exists("fake/active-sshd"))
			assert.False(t, l.exists(unsealedFile))
			assert.False(t, l.exists("run/postern/trial"))
			assert.True(t, l.exists(sealFile), "nor after a reboot")
			assert.Equal(t, []string{"FAILURE"}, o.signals())
			assert.Contains(t, l.read("dev/console"), "sshd STAYS CLOSED; Session Manager works")
			assert.True(t, l.exists("fake/active-amazon-ssm-agent"))
			assert.Contains(t, l.read("etc/sudoers.d/ssm-agent-users"), "NOPASSWD", "the way of break-glass stays")
		})
	}
}

// A value that is refused is found before the host is closed, and closes it.
func TestAValueThatIsRefusedClosesTheHost(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	_, reason := l.bootScript(l.render(full()) + "X=y\n").failure(t)
	assert.Contains(t, reason, "environment: ")
	assert.False(t, l.exists("fake/active-sshd"))
	assert.True(t, l.exists(sealFile))
}

func TestWhatFailsLaterClosesNothing(t *testing.T) {
	t.Parallel()
	l := newLab(t).only("units", "relay", "unseal", "selfcheck", "open").asks("units", "sshd-running")
	require.Equal(t, 0, l.boot(full()).code)
	l.fake("checks", `{"postern":"check","name":"recording","result":"fail"}`)
	_, reason := l.again().failure(t)
	assert.Equal(t, "failed checks: recording", reason)
	assert.True(t, l.open(), "an operator's second run")

	o := l.timer("check")
	require.Equal(t, 0, o.code, o.out)
	require.NotNil(t, o.event("alarm", "name", "check-failed"))
	assert.Equal(t, "failed checks: recording", o.event("alarm", "name", "check-failed")["text"])
	assert.Contains(t, l.read("dev/console"), `{"postern":"alarm","name":"check-failed"`)
	assert.True(t, l.open(), "the timer's run")
	assert.Empty(t, o.called("systemctl"))

	require.NoError(t, os.Remove(l.root+"/fake/checks"))
	o = l.timer("check")
	assert.NotNil(t, o.event("checks", "result", "pass"), o.out)
	assert.Nil(t, o.event("alarm"))
}

func TestSessionsFromBeforeAreEnded(t *testing.T) {
	t.Parallel()
	l := newLab(t).only("open")
	l.fake("sessions", "c1 1000 ec2-user\nc2 0 root\n")
	l.fake("session-c1", "sshd\n")
	l.fake("session-c2", "login\n")
	o := l.boot(full())
	require.Equal(t, 0, o.code, o.out)
	assert.Equal(t, []string{"loginctl terminate-session c1"}, o.called("loginctl"))
	assert.Equal(t, []string{"pkill -KILL -x sshd", "pkill -KILL -x sshd-session", "pkill -KILL -x sshd-auth"}, o.called("pkill"))
}

func TestProgramsReadWhatTheBootstrapWrote(t *testing.T) {
	t.Parallel()
	l := newLab(t).only("open")
	c := full()
	c.Region = ""
	c.Choices.People.Sudo = []string{"alice"}
	require.Equal(t, 0, l.boot(c).code)
	got, err := settings.Load(l.root)
	require.NoError(t, err)
	c.BundleSHA256 = l.digest
	assert.Equal(t, settings.Settings{
		Choices: c.withDefaults().Choices,
		Environment: settings.Environment{
			Region: "eu-west-1", InstanceID: "i-0123456789abcdef0", StackName: "Access", LogGroup: "/postern/bastion",
			LogGroups:    map[settings.Log]string{settings.LogSSHD: "/postern/sshd"},
			RecordBucket: "records", PeopleBucket: "people", ParameterPath: "/postern/Access/Bastion", KeyID: "alias/postern",
			RelayTargets: c.RelayTargets,
		},
	}, got)
	for _, name := range []string{"etc/postern/environment", "etc/postern/settings.json"} {
		info, err := os.Stat(filepath.Join(l.root, name))
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), name)
	}
}

func TestTheImagesUserIsNobodySpecial(t *testing.T) {
	t.Parallel()
	for name, connect := range map[string]bool{"with EC2 Instance Connect": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t).only("accounts")
			if !connect {
				require.NoError(t, os.Remove(l.root+"/opt/aws/bin/eic_run_authorized_keys"))
			}
			l.write("etc/sudoers.d/own", "# mine\nec2-user ALL=(ALL) ALL\n")
			o := l.boot(full())
			require.Equal(t, 0, o.code, o.out)
			if connect {
				assert.Contains(t, l.read("etc/passwd"), "/home/ec2-user:"+l.root+"/opt/postern/bin/postern-shell\n")
				assert.Contains(t, l.read("etc/group"), "postern:x:990:ec2-user\n")
			} else {
				assert.Regexp(t, "/home/ec2-user:.*/nologin\n", l.read("etc/passwd"))
				assert.Contains(t, l.read("etc/group"), "postern:x:990:\n")
			}
			assert.Contains(t, l.read("etc/group"), "wheel:x:10:\n")
			assert.False(t, l.exists("etc/sudoers.d/90-cloud-init-users"))
			assert.False(t, l.exists("etc/sudoers.d/own"))
			assert.Contains(t, l.read("var/lib/postern/unused/own"), "# mine", "kept")
			assert.Contains(t, l.read("etc/passwd"), "postern-check:")
			assert.Equal(t, "/bin/bash\n"+l.root+"/opt/postern/bin/postern-shell\n", l.read("etc/shells"))
		})
	}
}

func TestFirewallRules(t *testing.T) {
	t.Parallel()
	l := newLab(t).only("accounts", "units", "firewall")
	c := full()
	c.EgressPorts = "5432 22"
	o := l.boot(c)
	require.Equal(t, 0, o.code, o.out)
	rules := l.read("etc/postern/firewall.nft")
	assert.Contains(t, rules, "meta skuid { 20000-59999, 1000, 991 } jump people\n")
	assert.Contains(t, rules, "tcp dport { 22,5432,6379 } accept\n", "of the connections and of forwarding")
	assert.Contains(t, rules, "ip daddr { 10.0.0.2,127.0.0.53,127.0.0.54,169.254.169.253 } meta l4proto { tcp, udp } th dport 53 accept\n")
	assert.Contains(t, rules, "ip6 daddr { fd00::2,fd00:ec2::253 } meta l4proto")
	assert.Less(t, strings.Index(rules, "169.254.169.254"), strings.Index(rules, "established"), "not even what was begun before")

	l = newLab(t).only("accounts", "units", "firewall")
	require.Equal(t, 0, l.boot(Config{}).code)
	assert.NotContains(t, l.read("etc/postern/firewall.nft"), "tcp dport")
}

func TestAKernelWithoutNftablesIsToldNotRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t).only("accounts", "units", "firewall", "unseal", "selfcheck", "open").asks("firewall")
	l.fake("no-nft", "")
	o := l.boot(full())
	require.Equal(t, 0, o.code, o.out)
	assert.Contains(t, o.event("note", "step", "firewall")["text"], "this kernel has no nftables")
	assert.Contains(t, o.event("check", "name", "firewall")["detail"], "the kernel has no such rules")
}

func TestKernelSettings(t *testing.T) {
	t.Parallel()
	kernel := func(t *testing.T) *lab {
		t.Helper()
		t.Parallel()
		return newLab(t).only("kernel", "units", "unseal", "selfcheck", "open").asks("kernel")
	}
	t.Run("machine", func(t *testing.T) {
		l := kernel(t)
		o := l.boot(Config{})
		require.Equal(t, 0, o.code, o.out)
		assert.Equal(t, "2\n", l.read("proc/sys/kernel/kptr_restrict"))
		assert.Equal(t, "0\n", l.read("proc/sys/user/max_user_namespaces"))
		assert.Contains(t, l.read("etc/sysctl.d/99-zz-postern.conf"), "kernel.yama.ptrace_scope = 2\nuser.max_user_namespaces = 0\nnet.ipv4.ip_forward = 0\n")
		assert.Contains(t, o.event("note", "step", "kernel")["text"], "not in this kernel: kernel.dmesg_restrict ")
		l.write("proc/sys/kernel/kptr_restrict", "0\n")
		o = l.timer("check")
		assert.Equal(t, "failed checks: kernel", o.event("alarm", "name", "check-failed")["text"])
		assert.Equal(t, "not as it should be: kernel.kptr_restrict", o.event("check", "name", "kernel")["detail"])
	})
	t.Run("Debian", func(t *testing.T) {
		l := kernel(t)
		l.debian()
		l.write("proc/sys/kernel/unprivileged_userns_clone", "1\n")
		require.Equal(t, 0, l.boot(Config{}).code)
		assert.Equal(t, "0\n", l.read("proc/sys/kernel/unprivileged_userns_clone"))
		assert.Equal(t, "7000\n", l.read("proc/sys/user/max_user_namespaces"), "root keeps them")
	})
	t.Run("container", func(t *testing.T) {
		l := kernel(t)
		l.fake("container", "")
		require.Equal(t, 0, l.boot(Config{}).code)
		assert.Equal(t, "0\n", l.read("proc/sys/kernel/kptr_restrict"), "the machine's")
		assert.Equal(t, "0\n", l.read("proc/sys/net/ipv4/ip_forward"))
	})
}

func TestAuditRules(t *testing.T) {
	t.Parallel()
	for name, mutable := range map[string]bool{"fixed": false, "mutable": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t).only("audit")
			o := l.boot(Config{Hardening: Hardening{MutableAuditRules: mutable}})
			require.Equal(t, 0, o.code, o.out)
			assert.Equal(t, "-D\n# Postern: -a never,task\n", l.read("etc/audit/rules.d/audit.rules"), "it kept everything from being recorded")
			assert.Equal(t, map[bool]string{false: "-e 2\n", true: "-e 1\n"}[mutable], l.read("etc/audit/rules.d/99-postern-end.rules"))
			rules := l.read("etc/audit/rules.d/50-postern.rules")
			assert.Contains(t, rules, "-w /etc/passwd -p wa -k postern-identity\n")
			assert.NotContains(t, rules, "/etc/shadow", "auditctl stops at a watch of what isn't there")
		})
	}
}

func TestConfinement(t *testing.T) {
	t.Parallel()
	l := newLab(t).only("accounts", "confine")
	l.write("var/lib/systemd/linger/ec2-user", "")
	l.write("etc/cron.deny", "")
	require.Equal(t, 0, l.boot(Config{}).code)
	assert.Contains(t, l.read("etc/systemd/logind.conf.d/00-postern.conf"), "\nKillUserProcesses=yes\n")
	for _, unit := range []string{"user@", "user-runtime-dir@"} {
		assert.Contains(t, l.read("etc/systemd/system/"+unit+".service.d/00-postern.conf"), "\nConditionPathExists=!/opt/postern\n")
	}
	assert.False(t, l.exists("var/lib/systemd/linger/ec2-user"))
	assert.Equal(t, "root\n", l.read("etc/cron.allow"))
	assert.Equal(t, "root\n", l.read("etc/at.allow"))
	assert.False(t, l.exists("etc/cron.deny"))
	assert.Equal(t, "# Postern begins\nauth required pam_wheel.so deny use_uid group=postern\n# Postern ends\nauth sufficient pam_rootok.so\n", l.read("etc/pam.d/su"))
	assert.Contains(t, l.read("etc/pam.d/postern-sudo"), "postern-host totp")
	assert.Equal(t, "Defaults:%postern pam_service=postern-sudo, pam_login_service=postern-sudo\n", l.read("etc/sudoers.d/00-postern"))
	assert.Equal(t, "#%PAM-1.0\nauth substack password-auth\n", l.read("etc/pam.d/sshd"), "as it was")
}

func TestSecondFactor(t *testing.T) {
	t.Parallel()
	l := newLab(t).only("accounts", "sshd", "units", "unseal", "selfcheck", "open").asks("sshd-effective", "second-factor")
	c := full()
	c.Choices.SecondFactor.AtLogin = true
	o := l.boot(c)
	require.Equal(t, 0, o.code, o.out)
	assert.Equal(t, `# Postern begins
auth [success=2 default=ignore] pam_exec.so seteuid quiet /opt/postern/bin/postern-host totp --unenrolled
auth optional pam_echo.so One-time code of %u
auth requisite pam_exec.so seteuid quiet stdout expose_authtok /opt/postern/bin/postern-host totp
auth sufficient pam_permit.so
# Postern ends
#%PAM-1.0
auth substack password-auth
`, l.read("etc/pam.d/sshd"))
	assert.NotNil(t, o.event("check", "name", "second-factor", "detail", ""))

	l.write("etc/pam.d/sshd", "#%PAM-1.0\nauth substack password-auth\n") // as an update of the package would
	o = l.timer("check")
	assert.Equal(t, "PAM begins with: auth substack password-auth", o.event("check", "name", "second-factor")["detail"])
	assert.Equal(t, "failed checks: second-factor", o.event("alarm", "name", "check-failed")["text"])
}

func TestNextHostKeysAndCertificates(t *testing.T) {
	t.Parallel()
	l := newLab(t).only("sshd")
	l.write("etc/ssh/ssh_host_ed25519_key-cert.pub", "cert")
	l.write("etc/ssh/ssh_host_ed25519_next_key", "key")
	o := l.boot(Config{})
	require.Equal(t, 0, o.code, o.out)
	dir := l.root + "/etc/ssh/ssh_host_ed25519"
	assert.Contains(t, l.read(dropInFile), "\nHostKey "+dir+"_key\nHostCertificate "+dir+"_key-cert.pub\nHostKey "+dir+"_next_key\nHostKeyAlgorithms ssh-ed25519\n")
}

func TestGoldenImageInstallsNothing(t *testing.T) {
	t.Parallel()
	l := newLab(t).only("packages", "units", "care", "unseal", "selfcheck", "open").asks("packages", "timers")
	o := l.boot(Config{Hardening: Hardening{GoldenImage: true}})
	require.Equal(t, 0, o.code, o.out)
	assert.Empty(t, o.called("dnf"))
	assert.Contains(t, o.event("note", "step", "packages")["text"], "amazon-cloudwatch-agent")
	assert.NotContains(t, strings.Join(o.called("systemctl enable"), "\n"), "postern-updates.timer")
}

func TestGoldenImageIsReadOnly(t *testing.T) {
	t.Parallel()
	steps := []string{"accounts", "units", "readonly", "unseal", "selfcheck", "open"}
	l := newLab(t).only(steps...).asks("read-only")
	l.write("etc/passwd", strings.Replace(l.read("etc/passwd"), "ssm-user:x:1001:1001::/home/ssm-user:/bin/bash\n", "", 1))
	require.NoError(t, os.Remove(l.root+"/etc/sudoers.d/ssm-agent-users"))
	o := l.boot(Config{Hardening: Hardening{GoldenImage: true}})
	require.Equal(t, 0, o.code, o.out)
	assert.Less(t, index(o.calls, "systemctl enable -q --no-reload postern-ship.service postern-recorder.service"), index(o.calls, "systemctl restart postern-readonly"))
	assert.Less(t, index(o.calls, "systemctl restart postern-readonly"), index(o.calls, "systemctl start postern-recorder"), "sessions see what the recorder sees")
	assert.Equal(t, "# User rules for ssm-user\nssm-user ALL=(ALL) NOPASSWD:ALL\n", l.read("etc/sudoers.d/ssm-agent-users"))
	assert.Contains(t, l.read("etc/passwd"), "\nssm-user:", "Session Manager could not make it later")
	assert.Equal(t, "not asked for", func() any {
		l := newLab(t).only(steps...).asks("read-only")
		return l.boot(Config{}).event("check", "name", "read-only")["detail"]
	}())

	l.write("run/postern/writable/etc/x", "")
	assert.NotEmpty(t, l.timer("check").called("unshare"), "the check's key is written where /etc can be")
	l.fake("unshare-fails", "99")
	assert.Equal(t, "people's accounts can't be written: unshare: no", l.timer("check").event("check", "name", "read-only")["detail"])
	l.fake("unshare-fails", "0")
	l.fake("root-writable", "")
	o = l.timer("check")
	assert.Equal(t, "failed checks: read-only", o.event("alarm", "name", "check-failed")["text"])
	assert.Equal(t, "root can write to /usr/bin", o.event("check", "name", "read-only")["detail"])

	assert.Len(t, l.again().called("systemctl stop postern-readonly"), 1, "an operator's run may write")
}

// withoutProgram hides one program of the system, and its fake.
func (l *lab) withoutProgram(names ...string) {
	l.t.Helper()
	bin := l.t.TempDir()
	dirs := append(filepath.SplitList(l.path[0]+":"+l.path[1]), filepath.SplitList(l.system)...)
	for _, dir := range dirs[2:] {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, entry := range entries {
			_ = os.Symlink(filepath.Join(dir, entry.Name()), filepath.Join(bin, entry.Name())) // the first on the PATH stays
		}
	}
	fakes := l.t.TempDir()
	out, err := exec.Command("cp", "-R", l.path[0]+"/.", fakes).CombinedOutput()
	require.NoError(l.t, err, string(out))
	for _, name := range names {
		_ = os.Remove(filepath.Join(bin, name))
		_ = os.Remove(filepath.Join(fakes, name))
	}
	l.path[0], l.system = fakes, bin
}

func TestWhatASystemDoesNotHaveIsNamed(t *testing.T) {
	t.Parallel()
	packages := func(t *testing.T) *lab {
		t.Helper()
		t.Parallel()
		return newLab(t).only("packages", "accounts", "units", "firewall", "fail2ban", "unseal", "care", "selfcheck", "open").asks("packages", "firewall", "fail2ban", "integrity")
	}
	t.Run("Amazon Linux", func(t *testing.T) {
		l := packages(t)
		l.withoutProgram("aide", "fail2ban-client")
		o := l.boot(Config{})
		_, reason := o.failure(t)
		assert.Equal(t, "failed checks: packages", reason)
		assert.Equal(t, []string{"dnf install -y -q --setopt=strict=0 --setopt=install_weak_deps=0 --setopt=timeout=15 aide fail2ban-server amazon-cloudwatch-agent"}, o.called("dnf"))
		assert.NotNil(t, o.event("note", "text", "fail2ban-client is not here: an address may try to log in as often as it likes"))
		assert.Equal(t, "missing: aide", o.event("check", "name", "packages", "result", "fail")["detail"])
	})
	t.Run("Debian", func(t *testing.T) {
		l := packages(t)
		l.debian()
		l.withoutProgram("aide", "fail2ban-client")
		o := l.boot(Config{})
		require.Equal(t, 0, o.code, o.out)
		assert.NotNil(t, o.event("note", "text", "aide is not here: nobody learns of changed programs and configuration"))
	})
	t.Run("without what lets people out", func(t *testing.T) {
		l := packages(t)
		l.debian()
		l.withoutProgram("nft")
		_, reason := l.boot(Config{}).failure(t)
		assert.Equal(t, "failed checks: packages firewall", reason)
	})
}

func TestIntegrity(t *testing.T) {
	t.Parallel()
	l := newLab(t).only("units", "care", "open")
	require.Equal(t, 0, l.boot(full()).code)
	require.NoError(t, os.RemoveAll(l.root+"/var/lib/postern/integrity"))

	o := l.timer("integrity")
	require.Equal(t, 0, o.code, o.out)
	made := o.event("integrity", "result", "baseline")
	require.NotNil(t, made, o.out)
	assert.Regexp(t, "^[0-9a-f]{64}$", made["sha256"])
	put := o.called("aws s3api put-object")
	require.Len(t, put, 1)
	assert.Regexp(t, `--bucket records --key sessions/integrity/i-0123456789abcdef0/\d{8}T\d{6}Z-`+made["sha256"].(string)+`\.db\.gz`, put[0])
	assert.Contains(t, l.read("var/lib/postern/integrity/aide.conf"), "database_in=file:"+l.root)

	assert.NotNil(t, l.timer("integrity").event("integrity", "result", "same", "sha256", made["sha256"].(string)))

	l.fake("aide-report", "Summary:\n---\nf+++++++++++++++++: /etc/evil\nf > ... mc..C...   : /usr/bin/ssh\n---\nDetailed information about changes:\nFile: /usr/bin/ssh\n")
	o = l.timer("integrity")
	require.NotNil(t, o.event("alarm", "name", "integrity-changed"), o.out)
	assert.Equal(t, "2 files differ from the baseline: /etc/evil /usr/bin/ssh ", o.event("alarm", "name", "integrity-changed")["text"])
}

func TestUpdates(t *testing.T) {
	t.Parallel()
	l := newLab(t).only("units", "care", "open")
	c := full()
	c.Hardening.UpdateRelease = "2023.9.20251117"
	require.Equal(t, 0, l.boot(c).code)
	l.fake("packages", "openssl 3.0.8-1\n")
	l.fake("needs-restart", "")
	o := l.timer("updates")
	require.Equal(t, 0, o.code, o.out)
	assert.Equal(t, []string{"dnf upgrade -y -q --security --releasever=2023.9.20251117"}, o.called("dnf"))
	assert.Equal(t, "openssl 3.0.8-2", o.event("updates", "result", "ok")["changed"])
	assert.NotNil(t, o.event("updates", "result", "restart-needed"))
	assert.Equal(t, "security updates: openssl 3.0.8-2", o.event("integrity", "result", "baseline")["reason"])
	assert.Less(t, index(o.calls, "aide --check"), index(o.calls, "dnf upgrade"), "what was changed before isn't hidden by it")
	assert.Less(t, index(o.calls, "dnf upgrade"), index(o.calls, "aide --init"))

	l.fake("dnf-fails", "9")
	o = l.timer("updates")
	assert.Equal(t, 1, o.code)
	assert.NotNil(t, o.event("alarm", "name", "updates-failed"))
}

func TestDigest(t *testing.T) {
	t.Parallel()
	l := newLab(t).only("accounts", "open")
	require.Equal(t, 0, l.boot(full()).code)
	l.fake("journal", strings.Join([]string{
		"Accepted publickey for alice from 203.0.113.7 port 5 ssh2: ED25519 SHA256:x", "Accepted publickey for alice from 203.0.113.7 port 6 ssh2",
		"Invalid user x from 203.0.113.8 port 1", `{"postern":"alarm","name":"check-failed","text":"x"}`, `{"postern":"integrity","result":"same","sha256":"x"}`, "",
	}, "\n"))
	o := l.timer("digest")
	require.Equal(t, 0, o.code, o.out)
	event := o.event("digest")
	require.NotNil(t, event, o.out)
	assert.Equal(t, "alice:2", event["users"])
	assert.InDelta(t, 2, event["logins"], 0)
	assert.InDelta(t, 1, event["refused"], 0)
	assert.Equal(t, "check-failed:1", event["alarm_names"])
	assert.Equal(t, "same", event["integrity"])
}

func TestABundleIsNotFetchedTwice(t *testing.T) {
	t.Parallel()
	l := newLab(t).only("open")
	l.fake("aws-get-object-fails", "2")
	o := l.boot(Config{})
	require.Equal(t, 0, o.code, o.out)
	assert.Len(t, o.called("aws s3api get-object"), 3)
	assert.False(t, l.exists("var/lib/postern/bundle"))
	info, err := os.Stat(l.root + "/opt/postern/bin/postern-shell")
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o711), info.Mode().Perm(), "people start it and don't read it")

	l.write("opt/postern/sha256", "another\n") // as a newer user data would find it
	l.write("opt/postern/left", "")
	o = l.again()
	require.Equal(t, 0, o.code, o.out)
	assert.Len(t, o.called("aws s3api get-object"), 1)
	assert.False(t, l.exists("opt/postern/left"), "nothing of the former is left")
	assert.False(t, l.exists("opt/postern.old"))
}
