package host

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lab runs the user data below a folder that stands for the root of a host, with
// fakes first on the PATH.
type lab struct {
	t    *testing.T
	root string
	path []string // of the fakes
	// system is the PATH after them
	system string
	// digest of the bundle
	digest string
	// skips tells which steps of the bundle are left out; nil: none
	skips func(step string) bool
	// checks are the shell's that are made; nil: all
	checks []string
}

// outcome is what one run did.
type outcome struct {
	code   int
	out    string
	events []map[string]any
	calls  []string // of the fakes, but for sleep and logger
}

// newLab makes an Amazon Linux 2023 as it comes: sshd that includes drop-ins and
// runs, a user who is root, the SSM agent, no CloudWatch agent, a kernel with
// nftables and an audit system that records nothing.
func newLab(t *testing.T) *lab {
	t.Helper()
	fakes, err := filepath.Abs("testdata")
	require.NoError(t, err)
	l := &lab{t: t, root: t.TempDir(), path: []string{fakes + "/bin", fakes + "/sshd"}, system: os.Getenv("PATH") + ":/usr/sbin:/sbin"}
	l.write("etc/os-release", "NAME=\"Amazon Linux\"\nID=\"amzn\"\nID_LIKE=\"fedora\"\n")
	l.write("etc/ssh/sshd_config", "# as it comes\nInclude "+l.root+"/etc/ssh/sshd_config.d/*.conf\nAuthorizedKeysCommand /opt/aws/bin/eic_run_authorized_keys %u %f\nAuthorizedKeysCommandUser ec2-instance-connect\n")
	l.write("etc/ssh/ssh_host_ed25519_key", "key")
	l.write("etc/passwd", "root:x:0:0:root:/root:/bin/bash\nec2-user:x:1000:1000:EC2 Default User:/home/ec2-user:/bin/bash\nssm-user:x:1001:1001::/home/ssm-user:/bin/bash\n")
	l.write("etc/group", "root:x:0:\nec2-user:x:1000:\nwheel:x:10:ec2-user\nssm-user:x:1001:\n")
	l.write("etc/cloud/cloud.cfg", "system_info:\n  default_user:\n    name: ec2-user\n    lock_passwd: true\n")
	l.write("etc/sudoers.d/90-cloud-init-users", "ec2-user ALL=(ALL) NOPASSWD:ALL\n")
	l.write("etc/sudoers.d/ssm-agent-users", "ssm-user ALL=(ALL) NOPASSWD:ALL\n")
	l.write("home/ec2-user/.ssh/authorized_keys", "ssh-ed25519 AAAA image\n")
	l.write("etc/pam.d/su", "auth sufficient pam_rootok.so\n")
	l.write("etc/pam.d/sshd", "#%PAM-1.0\nauth substack password-auth\n")
	l.write("etc/resolv.conf", "nameserver 10.0.0.2\nnameserver fd00::2%eth0\n")
	l.write("etc/shells", "/bin/bash\n")
	l.write("etc/audit/rules.d/audit.rules", "-D\n-a never,task\n")
	l.write("proc/sys/kernel/kptr_restrict", "0\n")
	l.write("proc/sys/kernel/yama/ptrace_scope", "0\n")
	l.write("proc/sys/user/max_user_namespaces", "7000\n")
	l.write("proc/sys/net/ipv4/ip_forward", "1\n")
	l.write("proc/net/tcp", "  sl  local_address rem_address   st\n   0: 0100007F:0016 00000000:0000 01 x\n")
	l.write("opt/aws/bin/eic_run_authorized_keys", "")
	l.write("proc/77/cmdline", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-60 startups")
	l.write("dev/null-dir/x", "")
	l.fake("active-sshd", "")
	l.fake("enabled-sshd", "")
	l.fake("installed-amazon-ssm-agent", "")
	l.fake("active-amazon-ssm-agent", "")
	l.fake("calls", "")
	l.fake("socket", recorderSocket)
	l.digest = l.fakeBundle()
	return l
}

// recorderSocket is one that somebody listens on. Its path is short: a socket's
// must be.
var recorderSocket string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	recorderSocket = filepath.Join(dir, "s")
	listener, err := net.Listen("unix", recorderSocket)
	if err != nil {
		panic(err)
	}
	code := m.Run()
	_ = listener.Close()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

var stepLine = regexp.MustCompile(`(?m)^  step ([a-z0-9]+)\n`)

// only leaves out all steps of the bundle but these: a boot of all takes seconds of
// the processor.
func (l *lab) only(steps ...string) *lab {
	l.skips = func(step string) bool { return !slices.Contains(steps, step) }
	l.digest = l.fakeBundle()
	return l
}

// asks leaves out all of the shell's checks but these, as the steps that keep the
// promises may be left out. What the programs find counts all the same.
func (l *lab) asks(checks ...string) *lab {
	l.checks = append([]string{}, checks...)
	l.digest = l.fakeBundle()
	return l
}

var listOfChecks = regexp.MustCompile(`(?s)readonly CHECKS=\([^)]*\)`)

// fakeBundle packs the real files and fakes of the programs, and returns the digest.
func (l *lab) fakeBundle() string {
	l.t.Helper()
	list, err := BundleFiles()
	require.NoError(l.t, err)
	program, err := os.ReadFile("testdata/bin/postern-host")
	require.NoError(l.t, err)
	list = append(list, File{"bin/postern-host", 0o700, program}, File{"bin/postern-shell", 0o711, program})
	var packed bytes.Buffer
	gz := gzip.NewWriter(&packed)
	archive := tar.NewWriter(gz)
	for _, f := range list {
		if l.skips != nil && f.Name == "host/steps.sh" {
			f.Data = stepLine.ReplaceAllFunc(f.Data, func(line []byte) []byte {
				if l.skips(string(stepLine.FindSubmatch(line)[1])) {
					return nil
				}
				return line
			})
		}
		if l.checks != nil && f.Name == "host/selfcheck.sh" {
			require.Regexp(l.t, listOfChecks, string(f.Data))
			f.Data = listOfChecks.ReplaceAll(f.Data, []byte("readonly CHECKS=("+strings.Join(l.checks, " ")+")"))
		}
		require.NoError(l.t, archive.WriteHeader(&tar.Header{Name: f.Name, Mode: int64(f.Mode), Size: int64(len(f.Data))}))
		_, err := archive.Write(f.Data)
		require.NoError(l.t, err)
	}
	require.NoError(l.t, archive.Close())
	require.NoError(l.t, gz.Close())
	l.fake("bundle", packed.String())
	return fmt.Sprintf("%x", sha256.Sum256(packed.Bytes()))
}

// debian turns it into a Debian without any agent.
func (l *lab) debian() {
	l.write("etc/os-release", "ID=debian\n")
	l.fake("active-ssh", "")
	l.fake("enabled-ssh", "")
	l.write("etc/passwd", "root:x:0:0:root:/root:/bin/bash\nadmin:x:1000:1000:Debian:/home/admin:/bin/bash\n")
	l.write("etc/group", "root:x:0:\nadmin:x:1000:\nsudo:x:27:admin\n")
	l.write("etc/cloud/cloud.cfg", "system_info:\n  default_user:\n    name: admin\n")
	l.write("etc/sudoers.d/90-cloud-init-users", "admin ALL=(ALL) NOPASSWD:ALL\n")
	for _, gone := range []string{"active-sshd", "enabled-sshd", "installed-amazon-ssm-agent", "active-amazon-ssm-agent"} {
		require.NoError(l.t, os.Remove(filepath.Join(l.root, "fake", gone)))
	}
}

func (l *lab) write(name, text string) {
	l.t.Helper()
	file := filepath.Join(l.root, name)
	require.NoError(l.t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(l.t, os.WriteFile(file, []byte(text), 0o600))
}

func (l *lab) fake(name, text string) { l.write("fake/"+name, text) }

func (l *lab) read(name string) string {
	l.t.Helper()
	data, err := os.ReadFile(filepath.Join(l.root, name))
	require.NoError(l.t, err)
	return string(data)
}

func (l *lab) exists(name string) bool {
	_, err := os.Stat(filepath.Join(l.root, name))
	return err == nil
}

const dropInFile = "etc/ssh/sshd_config.d/00-postern.conf"

// boot runs the user data of a configuration as cloud-init would.
func (l *lab) boot(c Config) outcome {
	l.t.Helper()
	return l.bootScript(l.render(c))
}

// render makes the user data of a configuration, with the lab's bundle.
func (l *lab) render(c Config) string {
	l.t.Helper()
	if c.BundleBucket == "" {
		c.BundleBucket, c.BundleKey = "assets", "bundle.tar.gz"
	}
	c.BundleSHA256 = l.digest
	u, err := Render(c)
	require.NoError(l.t, err)
	return u.Script
}

func (l *lab) bootScript(script string) outcome {
	l.t.Helper()
	l.write("part-001", script)
	return l.run(filepath.Join(l.root, "part-001"))
}

// again runs the unpacked bootstrap by itself, as an operator would.
func (l *lab) again() outcome {
	l.t.Helper()
	return l.run(filepath.Join(l.root, "var/lib/postern/host/main.sh"))
}

func (l *lab) run(args ...string) outcome {
	l.t.Helper()
	l.fake("calls", "")
	cmd := exec.Command("bash", args...)
	cmd.Env = []string{
		"PATH=" + strings.Join(append(slices.Clone(l.path), l.system), ":"),
		"POSTERN_ROOT=" + l.root, "FAKE=" + l.root + "/fake", "TMPDIR=" + l.t.TempDir(),
		"POSTERN_FAKES=" + l.path[0],
	}
	out, err := cmd.CombinedOutput()
	o := outcome{code: cmd.ProcessState.ExitCode(), out: string(out)}
	if _, exited := err.(*exec.ExitError); err != nil && !exited { //nolint:errorlint // of os/exec itself
		require.NoError(l.t, err)
	}
	for _, line := range strings.Split(o.out, "\n") {
		if !strings.HasPrefix(line, `{"postern"`) {
			continue
		}
		event := map[string]any{}
		require.NoError(l.t, json.Unmarshal([]byte(line), &event), line)
		o.events = append(o.events, event)
	}
	for _, call := range strings.Split(strings.TrimSpace(l.read("fake/calls")), "\n") {
		if !strings.HasPrefix(call, "sleep ") && !strings.HasPrefix(call, "logger ") {
			o.calls = append(o.calls, call)
		}
	}
	return o
}

// called lists the calls that begin so.
func (o outcome) called(prefix string) []string {
	var list []string
	for _, call := range o.calls {
		if strings.HasPrefix(call, prefix) {
			list = append(list, call)
		}
	}
	return list
}

func (o outcome) signals() []string {
	var list []string
	for _, call := range o.calls {
		if strings.HasPrefix(call, "aws cloudformation signal-resource") || strings.HasPrefix(call, "postern-host launch signal") {
			list = append(list, call[strings.LastIndex(call, " ")+1:])
		}
	}
	return list
}

// event returns the last one of a kind whose fields are those given.
func (o outcome) event(kind string, fields ...string) map[string]any {
	for i := len(o.events) - 1; i >= 0; i-- {
		event, same := o.events[i], o.events[i]["postern"] == kind
		for f := 0; f < len(fields); f += 2 {
			same = same && event[fields[f]] == fields[f+1]
		}
		if same {
			return event
		}
	}
	return nil
}

func (o outcome) failure(t *testing.T) (step, reason string) {
	t.Helper()
	event := o.event("bootstrap", "result", "failure")
	require.NotNil(t, event, o.out)
	assert.Equal(t, 1, o.code)
	return event["step"].(string), event["reason"].(string)
}

func TestBootSignalsSuccessOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	o := l.boot(full())
	require.Equal(t, 0, o.code, o.out)
	assert.Equal(t, []string{"postern-host launch address eipalloc-0123456789abcdef0", "postern-host launch signal Access BastionASG1234 SUCCESS"}, o.called("postern-host launch"))
	assert.Len(t, o.called("aws "), 1, "each start of the AWS CLI takes most of a second: the bundle's alone")
	assert.Less(t, index(o.calls, "postern-host launch address"), index(o.calls, "dnf install"), "the address is the way to the packages")
	assert.Less(t, index(o.calls, "agent-ctl"), index(o.calls, "postern-host launch signal"), "the signal is last")
	assert.Contains(t, l.read("etc/postern/cloudwatch-agent.json"), `"mem_used_percent"`)
	assert.Contains(t, l.read(dropInFile), "\nPermitOpen db.internal:5432 [2001:db8::7]:6379\n")
	assert.Equal(t, "Keep out.\nYou are recorded.\n", l.read("etc/postern/banner"))
	for _, name := range []string{
		"environment", "seal", "tools", "identity", "address", "settings", "bundle", "packages", "accounts", "confine", "kernel", "hostkeys", "sshd",
		"units", "firewall", "audit", "fail2ban", "agent", "people", "care", "unseal", "selfcheck", "open",
	} {
		event := o.event("step", "name", name, "result", "ok")
		require.NotNil(t, event, name)
		assert.IsType(t, float64(0), event["ms"])
	}
	for _, name := range []string{
		"packages", "accounts", "confine", "kernel", "sshd-config", "sshd-effective", "sshd-running", "second-factor", "instance-connect", "ssm-agent",
		"imds-v2", "units", "firewall", "audit", "fail2ban", "cloudwatch-agent", "timers", "integrity", "recording", "shipping",
	} {
		assert.NotNil(t, o.event("check", "name", name, "result", "pass"), name)
	}
	assert.Regexp(t, `^environment=\d+ms .*open=\d+ms$`, o.event("bootstrap", "result", "success")["steps"])

	mode, err := os.Stat(filepath.Join(l.root, "var/lib/postern"))
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o700), mode.Mode().Perm(), "root only")
}

func index(calls []string, prefix string) int {
	for i, call := range calls {
		if strings.HasPrefix(call, prefix) {
			return i
		}
	}
	return -1
}

func TestBootOfTheZeroConfiguration(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	o := l.boot(Config{})
	require.Equal(t, 0, o.code, o.out)
	assert.Equal(t, []string{"aws s3api get-object --region eu-west-1 --bucket assets --key bundle.tar.gz " + l.root + "/var/lib/postern/bundle"}, o.called("aws"), "nobody waits for a signal")
	assert.Contains(t, l.read(dropInFile), "\nDisableForwarding yes\n")
	assert.NotNil(t, o.event("signal", "result", "nobody waits for it"))
}

func TestAgainChangesNothing(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	require.Equal(t, 0, l.boot(full()).code)
	before := l.snapshot()
	o := l.again()
	require.Equal(t, 0, o.code, o.out)
	assert.Empty(t, o.signals(), "told before")
	assert.Equal(t, []string{"systemctl start postern-people.service"}, o.called("systemctl"), "nothing is reloaded")
	assert.Empty(t, o.called("pkill"), "nobody is sent away")
	assert.Empty(t, o.called("usermod"))
	assert.Empty(t, o.called("aws s3api"), "the bundle is there")
	assert.Empty(t, o.called("agent-ctl"))
	assert.Empty(t, o.called("dnf"))
	after := l.snapshot()
	assert.Len(t, after, len(before))
	for name := range before {
		assert.Equal(t, before[name], after[name], name)
	}
}

// snapshot maps each file below the root to its mode and text.
func (l *lab) snapshot() map[string]string {
	l.t.Helper()
	files := map[string]string{}
	require.NoError(l.t, filepath.WalkDir(l.root, func(path string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, l.root+"/")
		switch {
		case err != nil:
			return err
		case name == "fake" || name == "run":
			return filepath.SkipDir
		case d.IsDir() || name == "part-001" || name == "dev/console":
			return nil
		}
		info, err := d.Info()
		files[name] = info.Mode().String() + " " + l.read(name)
		return err
	}))
	return files
}

func TestAStepThatFailsIsNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		arrange      func(*lab)
		step, reason string
	}{
		"no address": {
			func(l *lab) { l.noAddress("99") }, "address",
			"could not take the Elastic IP address eipalloc-0123456789abcdef0: the notes above say why; the EC2 API must be reachable without it",
		},
		"agent refuses": {
			func(l *lab) { l.fake("agent-refuses", "") }, "agent",
			"the CloudWatch agent refuses its configuration: see ROOT/opt/aws/amazon-cloudwatch-agent/logs",
		},
		"agent dies":        {func(l *lab) { l.fake("agent-dies", "") }, "selfcheck", "failed checks: cloudwatch-agent"},
		"SSM agent stopped": {func(l *lab) { _ = os.Remove(l.root + "/fake/active-amazon-ssm-agent") }, "selfcheck", "failed checks: ssm-agent"},
		"IMDSv1":            {func(l *lab) { l.fake("imds-v1", "200") }, "selfcheck", "failed checks: imds-v2"},
		"command line": {
			func(l *lab) { l.write("proc/77/cmdline", "sshd: /usr/sbin/sshd -D -oCiphers=aes128-cbc [listener]") }, "selfcheck",
			"failed checks: sshd-running",
		},
		"sshd stopped, two checks": {
			func(l *lab) { l.fake("dies-sshd", ""); l.fake("imds-v1", "200") }, "selfcheck",
			"failed checks: sshd-running imds-v2",
		},
		"no host key": {
			func(l *lab) {
				l.write("etc/ssh/ssh_host_ed25519_key", "")
				_ = os.Rename(l.root+"/etc/ssh/ssh_host_ed25519_key", l.root+"/x")
				l.fake("keygen-fails", "9")
			},
			"sshd", "there is no host key to offer: in FIPS mode allow the ECDSA one",
		},
		"line that fails": {func(l *lab) { l.fake("usermod-fails", "9") }, "accounts", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			if c.step != "selfcheck" {
				l.only("packages", "units", c.step)
			} else {
				l.only("packages", "units", "agent", "unseal", "selfcheck").asks("sshd-running", "ssm-agent", "imds-v2", "cloudwatch-agent")
			}
			c.arrange(l)
			o := l.boot(full())
			step, reason := o.failure(t)
			assert.Equal(t, c.step, step)
			if name == "line that fails" {
				assert.Regexp(t, `^line \d+: usermod -L -s `, reason)
			} else {
				assert.Equal(t, strings.ReplaceAll(c.reason, "ROOT", l.root), reason)
			}
			assert.Equal(t, []string{"FAILURE"}, o.signals())
			assert.Contains(t, l.read("dev/console"), `"result":"failure"`, "a person sees it")
			assert.Contains(t, l.read("fake/calls"), `logger {"postern":"bootstrap","result":"failure"`, "and the journal keeps it")
		})
	}
}

// A bootstrap that ends early, by whatever, has not proved anything.
func TestEndingEarlyIsNoSuccess(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ body, reason string }{
		"exit 0":         {"exit 0", "exit status 0"},
		"terminated":     {"kill -TERM $$; command sleep 1", "stopped from outside"},
		"unset variable": {`: "$NO_SUCH_THING"`, "exit status 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.fake("imds-fails", "99") // stops it before anything happens, unpacked
			require.Equal(t, 1, l.boot(full()).code)
			l.fake("imds-fails", "0")
			l.write("var/lib/postern/host/instance.sh", l.read("var/lib/postern/host/instance.sh")+"step_address() {\n"+c.body+"\n}\n")
			o := l.again()
			step, reason := o.failure(t)
			assert.Equal(t, "address", step)
			assert.Regexp(t, "^"+c.reason+"$", reason)
			assert.Equal(t, []string{"FAILURE"}, o.signals())
		})
	}
}

func TestMendedHostSignalsSuccessAfterFailure(t *testing.T) {
	t.Parallel()
	l := newLab(t).only("open")
	l.noAddress("5")
	assert.Equal(t, []string{"FAILURE"}, l.boot(full()).signals())
	o := l.again()
	assert.Equal(t, 0, o.code, o.out)
	assert.Equal(t, []string{"SUCCESS"}, o.signals())
}

func TestAWSThatFailsTwice(t *testing.T) {
	t.Parallel()
	l := newLab(t).only("open")
	l.fake("postern-host-launch-fails", "99")
	l.fake("aws-associate-address-fails", "2")
	l.fake("aws-signal-resource-fails", "2")
	o := l.boot(full())
	require.Equal(t, 0, o.code, o.out)
	assert.Equal(t, slices.Repeat([]string{
		"aws ec2 associate-address --region eu-west-1 --allocation-id eipalloc-0123456789abcdef0 --instance-id i-0123456789abcdef0 --allow-reassociation",
	}, 3), o.called("aws ec2"))
	assert.Equal(t, slices.Repeat([]string{
		"aws cloudformation signal-resource --region eu-west-1 --stack-name Access --logical-resource-id BastionASG1234 --unique-id i-0123456789abcdef0 --status SUCCESS",
	}, 3), o.called("aws cloudformation"), "the third is heard")
	var told []any
	for _, event := range o.events {
		if event["postern"] == "note" && event["step"] == "address" {
			told = append(told, event["text"])
		}
	}
	refused := "aws ec2 associate-address: An error occurred (AccessDenied) when calling associate-address: not authorized"
	failed := "postern-host launch address: postern-host: launch: no (1)"
	assert.Equal(t, []any{failed, refused, failed, refused, failed}, told, "the reasons are told")
	assert.Contains(t, l.read("fake/calls"), "sleep 1\n")
	assert.Contains(t, l.read("fake/calls"), "sleep 2\n")
}

// noAddress makes both ways to the address fail, so many times.
func (l *lab) noAddress(times string) {
	l.fake("postern-host-launch-address-fails", times)
	l.fake("aws-associate-address-fails", times)
}

// What doesn't work at all isn't asked again, and what it should do is done.
func TestABrokenProgramIsNoReasonNotToSignal(t *testing.T) {
	t.Parallel()
	l := newLab(t).only("open")
	l.fake("postern-host-launch-fails", "99")
	l.fake("postern-host-exits", "139")
	c := full()
	c.LifecycleHook = "proved"
	o := l.boot(c)
	require.Equal(t, 0, o.code, o.out)
	assert.Len(t, o.called("postern-host launch"), 1)
	assert.Len(t, o.called("aws ec2 associate-address"), 1)
	assert.Len(t, o.called("aws autoscaling complete-lifecycle-action"), 1)
	assert.Len(t, o.called("aws cloudformation signal-resource"), 1)
}

// Where there is no way to the bundle without the address, the AWS CLI takes it.
func TestNoWayToTheBundleWithoutTheAddress(t *testing.T) {
	t.Parallel()
	l := newLab(t).only("open")
	l.fake("aws-get-object-fails", "1")
	o := l.boot(full())
	require.Equal(t, 0, o.code, o.out)
	assert.Equal(t, []string{"aws s3api", "aws ec2", "aws s3api"}, func() (services []string) {
		for _, call := range o.called("aws ") {
			services = append(services, strings.Join(strings.Fields(call)[:2], " "))
		}
		return services
	}())
	assert.Empty(t, o.called("postern-host launch address"), "it has it")

	l = newLab(t).only("open")
	l.fake("aws-get-object-fails", "99")
	l.noAddress("99")
	_, reason := l.boot(full()).failure(t)
	assert.Contains(t, reason, "could not take the Elastic IP address")
}

// The group takes a host into service that has proved itself, and hears nothing
// of another: what waits in a hook can be looked at.
func TestLaunchHook(t *testing.T) {
	t.Parallel()
	c := full()
	c.LifecycleHook = "proved"
	const complete = "aws autoscaling complete-lifecycle-action --region eu-west-1 --lifecycle-hook-name proved" +
		" --auto-scaling-group-name group-1 --instance-id i-0123456789abcdef0 --lifecycle-action-result CONTINUE"

	l := newLab(t).only("open")
	o := l.boot(c)
	require.Equal(t, 0, o.code, o.out)
	assert.Equal(t, []string{"postern-host launch service proved", "postern-host launch signal Access BastionASG1234 SUCCESS"}, o.called("postern-host launch s"))
	assert.Empty(t, l.again().called("postern-host launch s"), "told before")

	l = newLab(t).only("open")
	l.fake("postern-host-launch-fails", "99")
	o = l.boot(c)
	require.Equal(t, 0, o.code, o.out)
	assert.Equal(t, []string{complete}, o.called("aws autoscaling"))
	assert.Contains(t, strings.Join(o.called("aws ec2 describe-tags"), ""), "--filters Name=resource-id,Values=i-0123456789abcdef0 Name=key,Values=aws:autoscaling:groupName")
	assert.Less(t, index(o.calls, "aws autoscaling"), index(o.calls, "aws cloudformation"))

	l = newLab(t).only("open")
	l.noAddress("5")
	o = l.boot(c)
	assert.Equal(t, []string{"FAILURE"}, o.signals())
	assert.Empty(t, o.called("aws autoscaling"))
	assert.Empty(t, o.called("postern-host launch service"))

	l = newLab(t).only("open")
	l.fake("postern-host-launch-service-fails", "99")
	l.fake("aws-complete-lifecycle-action-fails", "99")
	o = l.boot(c)
	_, reason := o.failure(t)
	assert.Equal(t, "Auto Scaling could not be told of the success", reason)
	assert.Equal(t, []string{"FAILURE"}, o.signals())

	l = newLab(t).only("open")
	l.fake("postern-host-launch-service-fails", "99")
	l.fake("no-action", "")
	assert.Equal(t, []string{"SUCCESS"}, l.boot(c).signals(), "let in by hand")
}

func TestSuccessThatCannotBeToldIsAFailure(t *testing.T) {
	t.Parallel()
	l := newLab(t).only("open")
	l.fake("postern-host-launch-signal-fails", "99")
	l.fake("aws-signal-resource-fails", "99")
	o := l.boot(full())
	step, reason := o.failure(t)
	assert.Equal(t, "signal", step)
	assert.Equal(t, "CloudFormation could not be told of the success", reason)
	assert.NotNil(t, o.event("signal", "result", "not sent: the stack waits until its timeout"))
}

func TestInstanceMetadata(t *testing.T) {
	t.Parallel()
	t.Run("late", func(t *testing.T) {
		t.Parallel()
		l := newLab(t).only("open")
		l.fake("imds-fails", "3")
		c := full()
		c.Region = ""
		o := l.boot(c)
		require.Equal(t, 0, o.code, o.out)
		assert.Contains(t, o.called("aws s3api")[0], "--region eu-west-1", "asked of the metadata")
	})
	t.Run("never", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		l.fake("imds-fails", "99")
		o := l.boot(full())
		step, reason := o.failure(t)
		assert.Equal(t, "identity", step)
		assert.Equal(t, "the instance metadata service does not answer", reason)
		assert.Empty(t, o.called("aws"), "a signal needs the instance ID")
		assert.NotNil(t, o.event("signal", "result", "not sent: the stack waits until its timeout"))
	})
}

func TestSSHDIsNeverLeftBroken(t *testing.T) {
	t.Parallel()
	const own = "# Written by Postern, before\nPasswordAuthentication no\n"
	for name, c := range map[string]struct {
		arrange func(*lab)
		reason  string
	}{
		"sshd -t refuses": {func(l *lab) { l.fake("sshd-refuses", "") }, "sshd -t refuses the new configuration: "},
		"sshd -T differs": {
			func(l *lab) { l.fake("sshd-overrides", "s/^PermitRootLogin no/PermitRootLogin yes/\n") },
			"sshd does not go by: PermitRootLogin no (for root sshd has: permitrootlogin yes)",
		},
		"EC2 Instance Connect lost": {
			func(l *lab) { l.fake("sshd-overrides", "/^PermitUserRC/,$ {/^AuthorizedKeysCommand/d}\n") },
			"EC2 Instance Connect would no longer work",
		},
		"reload fails": {func(l *lab) { l.fake("systemctl-try-reload-or-restart-sshd-fails", "1") }, "sshd could not be reloaded"},
	} {
		for _, before := range []string{"", own} {
			t.Run(name+map[bool]string{true: ", nothing before", false: ", own file before"}[before == ""], func(t *testing.T) {
				t.Parallel()
				if before != "" && name == "sshd -t refuses" {
					before = strings.Replace(own, "Written", "written", 1) // the fake refuses the capital one
				}
				l := newLab(t).only("sshd")
				if before != "" {
					l.write(dropInFile, before)
				}
				l.write("etc/ssh/sshd_config", strings.Replace(l.read("etc/ssh/sshd_config"), "Include", "#Include", 1))
				main := l.read("etc/ssh/sshd_config")
				c.arrange(l)
				o := l.boot(full())
				step, reason := o.failure(t)
				assert.Equal(t, "sshd", step)
				assert.Contains(t, reason, c.reason)
				assert.Equal(t, main, l.read("etc/ssh/sshd_config"))
				if before == "" {
					assert.False(t, l.exists(dropInFile))
				} else {
					assert.Equal(t, before, l.read(dropInFile))
				}
				assert.Equal(t, []string{"FAILURE"}, o.signals())
				assert.NotNil(t, o.event("note", "text", "the sshd configuration of before was put back"))
			})
		}
	}
}

func TestIncludeIsPutFirst(t *testing.T) {
	t.Parallel()
	l := newLab(t).only("sshd")
	l.write("etc/ssh/sshd_config", "# own\nPasswordAuthentication yes\nInclude "+l.root+"/etc/ssh/sshd_config.d/*.conf\n")
	require.NoError(t, os.Chmod(l.root+"/etc/ssh/sshd_config", 0o640))
	o := l.boot(Config{})
	require.Equal(t, 0, o.code, o.out)
	assert.Equal(t, "Include "+l.root+"/etc/ssh/sshd_config.d/*.conf\n# own\nPasswordAuthentication yes\nInclude "+l.root+"/etc/ssh/sshd_config.d/*.conf\n", l.read("etc/ssh/sshd_config"))
	info, err := os.Stat(l.root + "/etc/ssh/sshd_config")
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
}

func TestOlderSSHDGetsWhatItKnows(t *testing.T) {
	t.Parallel()
	l := newLab(t).only("sshd")
	l.fake("sshd-unknown", "ChannelTimeout\nRequiredRSASize\nUnusedConnectionTimeout\n")
	l.write("etc/ssh/ssh_host_rsa_key", "2048")
	l.write("etc/ssh/ssh_host_ecdsa_key", "key")
	o := l.boot(Config{})
	require.Equal(t, 0, o.code, o.out)
	got := l.read(dropInFile)
	assert.Contains(t, got, "\nKexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256,diffie-hellman-group16-sha512\n")
	assert.Contains(t, got, "\nCiphers aes256-gcm@openssh.com,aes256-ctr\n")
	assert.Contains(t, got, "\nHostKeyAlgorithms ssh-ed25519\n", "no short RSA, no ECDSA unless asked for")
	assert.Contains(t, got, "\nPerSourceMaxStartups 10\n")
	assert.NotContains(t, got, "ChannelTimeout")
	assert.NotContains(t, got, "ssh_host_rsa_key")
	assert.NotContains(t, got, "?")

	l.write("etc/ssh/ssh_host_rsa_key", "3072")
	require.Equal(t, 0, l.boot(Config{SSH: SSH{AllowECDSAHostKey: true, NoIdleTimeout: true}}).code)
	assert.Contains(t, l.read(dropInFile), "\nHostKeyAlgorithms ssh-ed25519,rsa-sha2-512,rsa-sha2-256,ecdsa-sha2-nistp256\n")
}

func TestDebianHasNoPackageOfTheAgent(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.debian()
	o := l.boot(full())
	require.Equal(t, 0, o.code, o.out)
	assert.Empty(t, o.called("dnf"))
	assert.NotEmpty(t, o.called("systemctl restart ssh"))
	assert.Contains(t, o.event("note", "step", "agent")["text"], "no metrics")
	assert.Contains(t, o.event("check", "name", "cloudwatch-agent")["detail"], "not installed")
	assert.Contains(t, o.event("check", "name", "ssm-agent")["detail"], "not installed")
}

func TestInstanceConnectThatWasNeverWiredIsToldNotRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t).only("sshd", "units", "unseal", "selfcheck", "open").asks("sshd-running", "instance-connect")
	l.write("etc/ssh/sshd_config", "Include "+l.root+"/etc/ssh/sshd_config.d/*.conf\n")
	o := l.boot(Config{})
	require.Equal(t, 0, o.code, o.out)
	assert.Contains(t, o.event("check", "name", "instance-connect")["detail"], "does not work on this image")

	l.fake("exec-start", "/usr/sbin/sshd -D -o AuthorizedKeysCommand /usr/share/ec2-instance-connect/eic_run_authorized_keys %u %f")
	l.write("proc/77/cmdline", "sshd: /usr/sbin/sshd -D -o AuthorizedKeysCommand /usr/share/ec2-instance-connect/eic_run_authorized_keys %u %f -o AuthorizedKeysCommandUser ec2-instance-connect [listener]")
	o = l.boot(Config{})
	require.Equal(t, 0, o.code, o.out)
	assert.Empty(t, o.event("check", "name", "instance-connect")["detail"])
}

// A token's value is only known when the stack is deployed, and may be anything.
func TestHostileValuesAreDataOnly(t *testing.T) {
	t.Parallel()
	touch := func(l *lab) string { return "touch " + l.root + "/pwned" }
	for name, value := range map[string]func(*lab) string{
		"command":            func(l *lab) string { return "$(" + touch(l) + ")" },
		"backquotes":         func(l *lab) string { return "`" + touch(l) + "`" },
		"single quote":       func(l *lab) string { return "'; " + touch(l) + "; '" },
		"double quote":       func(l *lab) string { return `"; ` + touch(l) + `; "` },
		"new line":           func(l *lab) string { return "x\n" + touch(l) },
		"end of the here":    func(l *lab) string { return "x\nEND\n" + touch(l) + "\n" },
		"second mark":        func(l *lab) string { return "x\n# ENVIRONMENT\nREGION=us-east-1" },
		"another key":        func(l *lab) string { return "x\nALLOCATION_ID=eipalloc-0" },
		"unknown key":        func(l *lab) string { return "x\nPATH=/tmp" },
		"array index":        func(l *lab) string { return "x\nREGION[$(" + touch(l) + ")]=y" },
		"carriage return":    func(*lab) string { return "x\r" },
		"space":              func(*lab) string { return "x --endpoint-url http://evil" },
		"option":             func(*lab) string { return "{}" },
		"ampersand":          func(*lab) string { return "a&b" },
		"JSON":               func(*lab) string { return `x","log_group_name":"y` },
		"unprintable":        func(*lab) string { return "x\x01\x1b[2J" },
		"not ASCII":          func(*lab) string { return "gruppe-ä" },
		"longer than can be": func(*lab) string { return strings.Repeat("x", 513) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const token = "${Token[TOKEN.8]}"
			l := newLab(t)
			c := full()
			c.LogGroup = token
			o := l.bootScript(strings.Replace(l.render(c), token, value(l), 1))
			step, reason := o.failure(t)
			assert.Equal(t, "environment", step)
			assert.Regexp(t, `^environment: [ -~]+$`, reason, "nothing of it drives a terminal")
			assert.False(t, l.exists("pwned"), "it was run")
			assert.Empty(t, o.called("dnf"))
			assert.Equal(t, []string{"FAILURE"}, o.signals(), "what came before the fault is known")
		})
	}
}

func TestHostileTargetOpensNothingMore(t *testing.T) {
	t.Parallel()
	const token = "${Token[TOKEN.9]}"
	for value, reason := range map[string]string{
		"db:22 evil":   "1 targets of forwarding were asked for, but there are 2: db:22 evil:5432",
		"any\nMatch x": "environment: PERMIT_OPEN has a form that is not allowed: any",
		"*":            "environment: PERMIT_OPEN has a form that is not allowed: *:5432",
		"":             "environment: PERMIT_OPEN has a form that is not allowed: :5432",
	} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			l := newLab(t).only("sshd")
			o := l.bootScript(strings.Replace(l.render(Config{SSH: SSH{PermitOpen: []Target{{token, 5432}}}}), token, value, 1))
			_, got := o.failure(t)
			assert.Equal(t, reason, got)
			assert.False(t, l.exists(dropInFile))
		})
	}
}

func TestUserDataThatIsCutShortOrContinued(t *testing.T) {
	t.Parallel()
	u, err := Render(full())
	require.NoError(t, err)
	t.Run("cut", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		_, reason := l.bootScript(u.Script[:strings.Index(u.Script, "LOG_GROUP=")]).failure(t)
		assert.Equal(t, "environment: LOG_GROUP is missing: the user data is cut short", reason)
	})
	t.Run("continued", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		_, reason := l.bootScript(u.Script + "touch " + l.root + "/pwned\n").failure(t)
		assert.Contains(t, reason, "environment: not a KEY=VALUE line of ours: touch /") // cut after 80 characters
		assert.False(t, l.exists("pwned"))
	})
	t.Run("damaged", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		o := l.bootScript(strings.Replace(u.Script, "\nH4sI", "\nAAAA", 1))
		assert.NotEqual(t, 0, o.code)
		assert.Contains(t, l.read("dev/console"), "postern: FAILED to unpack the user data")
	})
}

func TestUnpacksWithoutTar(t *testing.T) {
	t.Parallel()
	l := newLab(t).only("open")
	bin := t.TempDir()
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, entry := range entries {
			if entry.Name() != "tar" {
				_ = os.Symlink(filepath.Join(dir, entry.Name()), filepath.Join(bin, entry.Name())) // the first on the PATH stays
			}
		}
	}
	l.system = bin
	o := l.boot(full())
	require.Equal(t, 0, o.code, o.out)
	assert.Equal(t, []string{"SUCCESS"}, o.signals())
}
