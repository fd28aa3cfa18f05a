package host

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sebdah/goldie/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/host/settings"
)

// full is a configuration in which every step has something to do.
func full() Config {
	return Config{
		Region: "eu-west-1", StackName: "Access", SignalResource: "BastionASG1234", LogGroup: "/postern/bastion",
		BundleBucket: "cdk-assets-111122223333-eu-west-1", BundleKey: "0123abcd.tar.gz", BundleSHA256: strings.Repeat("0", 64),
		LogGroups:    map[settings.Log]string{settings.LogSSHD: "/postern/sshd"},
		RecordBucket: "records", PeopleBucket: "people", ParameterPath: "/postern/Access/Bastion", KeyID: "alias/postern",
		AllocationID: "eipalloc-0123456789abcdef0", EgressPorts: "22 5432",
		RelayTargets: []RelayTarget{{Name: "orders", Host: "db.internal", Port: 5432}, {Name: "six", Host: "2001:db8::7", Port: 443}},
		SSH:          SSH{Banner: "Keep out.\nYou are recorded.", PermitOpen: []Target{{"db.internal", 5432}, {"2001:db8::7", 6379}}},
	}
}

// deployed is a configuration as a stack gives it: tokens wherever one may be.
func deployed() Config {
	return Config{
		Region: "${Token[AWS.Region.4]}", StackName: "${Token[AWS.StackId.6]}", SignalResource: "${Token[TOKEN.7]}",
		LogGroup: "${Token[TOKEN.8]}", AllocationID: "${Token[TOKEN.9]}",
		BundleBucket: "${Token[TOKEN.11]}", BundleKey: "${Token[TOKEN.12]}", BundleSHA256: strings.Repeat("0", 64),
		LogGroups:    map[settings.Log]string{settings.LogSessions: "${Token[TOKEN.13]}", settings.LogAudit: "${Token[TOKEN.14]}"},
		RecordBucket: "${Token[TOKEN.15]}", PeopleBucket: "${Token[TOKEN.16]}", ParameterPath: "/postern/${Token[TOKEN.17]}",
		KeyID: "${Token[TOKEN.18]}", EgressPorts: "${Token[TOKEN.19]}",
		RelayTargets: []RelayTarget{{Name: "orders", Host: "${Token[TOKEN.20]}", Port: 5432}},
		SSH:          SSH{PermitOpen: []Target{{"${Token[TOKEN.10]}", 5432}}},
	}
}

// bundled is a configuration with a bundle and nothing else.
func bundled() Config {
	return Config{BundleBucket: "assets", BundleKey: "bundle.tar.gz", BundleSHA256: strings.Repeat("0", 64)}
}

// unpack reads the payload of user data back.
func unpack(t *testing.T, script string) (names []string, texts map[string]string) {
	t.Helper()
	match := regexp.MustCompile(`(?s)<<'END'[^\n]*\n([A-Za-z0-9+/=]+)\nEND\n`).FindStringSubmatch(script)
	require.NotNil(t, match)
	zipped, err := base64.StdEncoding.DecodeString(match[1])
	require.NoError(t, err)
	gz, err := gzip.NewReader(bytes.NewReader(zipped))
	require.NoError(t, err)
	assert.True(t, gz.ModTime.IsZero(), "the time of rendering is nowhere")
	texts = map[string]string{}
	for archive := tar.NewReader(gz); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return names, texts
		}
		require.NoError(t, err)
		assert.Equal(t, int64(0), header.ModTime.Unix())
		assert.Equal(t, int64(0), header.Mode&0o077, "root only: %s", header.Name)
		data, err := io.ReadAll(archive)
		require.NoError(t, err)
		names, texts[header.Name] = append(names, header.Name), string(data)
	}
}

func TestRenderIsDeterministic(t *testing.T) {
	first, err := Render(full())
	require.NoError(t, err)
	for range 3 {
		again, err := Render(full())
		require.NoError(t, err)
		assert.Equal(t, first, again)
	}
}

func TestPayload(t *testing.T) {
	u, err := Render(deployed())
	require.NoError(t, err)
	names, texts := unpack(t, u.Script)
	assert.IsIncreasing(t, names)
	assert.NotContains(t, names, "userdata.sh")
	assert.NotContains(t, names, "banner", "there is none")
	for name, text := range texts {
		assert.NotContains(t, text, "Token[", "%s: nothing can be resolved in there", name)
		if strings.HasSuffix(name, ".json") {
			assert.True(t, json.Valid([]byte(text)), name)
		}
	}
	assert.True(t, strings.HasPrefix(texts["main.sh"], "#!/bin/bash\nset -Eeuo pipefail\n"), "comments are left out, the first line is not")
}

func TestScript(t *testing.T) {
	u, err := Render(deployed())
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(u.Script, "#!/bin/bash\n"), "cloud-init tells a script by that")
	_, environment, found := strings.Cut(u.Script, "\nexec \"$dir/main.sh\" \"$0\"\nexit 1\n# ENVIRONMENT\n")
	require.True(t, found, "after the environment begins, nothing is run")
	assert.Equal(t, `REGION=${Token[AWS.Region.4]}
STACK=${Token[AWS.StackId.6]}
SIGNAL_RESOURCE=${Token[TOKEN.7]}
LIFECYCLE_HOOK=
BUNDLE_BUCKET=${Token[TOKEN.11]}
BUNDLE_KEY=${Token[TOKEN.12]}
LOG_GROUP=${Token[TOKEN.8]}
LOG_GROUP_SESSIONS=${Token[TOKEN.13]}
LOG_GROUP_COMMANDS=
LOG_GROUP_PEOPLE=
LOG_GROUP_SSHD=
LOG_GROUP_SUDO=
LOG_GROUP_AUDIT=${Token[TOKEN.14]}
LOG_GROUP_HOST=
RECORD_BUCKET=${Token[TOKEN.15]}
PEOPLE_BUCKET=${Token[TOKEN.16]}
PARAMETER_PATH=/postern/${Token[TOKEN.17]}
KEY_ID=${Token[TOKEN.18]}
ALLOCATION_ID=${Token[TOKEN.9]}
EGRESS_PORTS=${Token[TOKEN.19]}
PERMIT_OPEN=${Token[TOKEN.10]}:5432
RELAY=orders=${Token[TOKEN.20]}:5432
`, environment)
	assert.NotContains(t, u.Script, payloadMark)
}

func TestSizeCountsWhatTokensCanBecome(t *testing.T) {
	u, err := Render(deployed())
	require.NoError(t, err)
	sum := 0
	for i, part := range u.Parts {
		sum += part.Packed
		if i > 0 {
			assert.LessOrEqual(t, part.Packed, u.Parts[i-1].Packed, "the largest first")
		}
	}
	assert.Equal(t, u.Size(), sum)

	longest := u.Script
	for token, most := range map[string]int{
		"AWS.Region.4": 32, "AWS.StackId.6": 256, "TOKEN.7": 255, "TOKEN.8": 512, "TOKEN.9": 32, "TOKEN.10": 255,
		"TOKEN.11": 63, "TOKEN.12": 255, "TOKEN.13": 512, "TOKEN.14": 512, "TOKEN.15": 63, "TOKEN.16": 63, "TOKEN.17": 255, "TOKEN.18": 256, "TOKEN.19": 255, "TOKEN.20": 255,
	} {
		longest = strings.Replace(longest, "${Token["+token+"]}", strings.Repeat("x", most), 1)
	}
	assert.Equal(t, len(longest), u.Size())
	assert.LessOrEqual(t, u.Size(), Limit)
	t.Logf("%d of %d bytes, %v", u.Size(), Limit, u.Parts)
}

func TestOverBudgetNamesTheParts(t *testing.T) {
	u, err := Render(full())
	require.NoError(t, err)
	_, err = render(full(), u.Size())
	require.NoError(t, err, "the limit itself fits")
	_, err = render(full(), u.Size()-1)
	require.Error(t, err)
	assert.Regexp(t, `^UserData: is \d+ bytes, 1 more than the \d+ that EC2 takes: make the largest part smaller: environment\.sh \d+, .*\(environment\) \d+`, err.Error())
	assert.Len(t, check.List(err), 1)

	c := bundled()
	for range 400 {
		c.SSH.PermitOpen = append(c.SSH.PermitOpen, Target{"a-database-with-a-long-name.internal", 5432})
	}
	_, err = Render(c)
	assert.ErrorContains(t, err, "make the largest part smaller: (environment) ")
}

func TestFaults(t *testing.T) {
	long := strings.Repeat("x", 1025)
	err := Config{
		Region: "Ireland", SignalResource: "a-b", BundleBucket: "A", BundleKey: "a b", BundleSHA256: "0", LogGroup: "a\nALLOCATION_ID=x",
		LogGroups:    map[settings.Log]string{"sudos": "x"},
		RecordBucket: "a", PeopleBucket: "a/b", ParameterPath: "postern", KeyID: "a b", EgressPorts: "22,80", AllocationID: "203.0.113.7", MetricsNamespace: "AWS/EC2",
		SSH: SSH{
			PermitOpen: []Target{{"*", 22}, {"db", 0}, {"${Token[TOKEN.1]}\nx", 22}, {"", 22}, {"any x", 22}}, MaxAuthTries: 11, MaxSessions: -1,
			LoginGraceTime: time.Hour, IdleTimeout: 90*time.Second + 1, MinRSABits: 1024, Banner: "a\x1b[2J",
		},
	}.Validate()
	require.Error(t, err)
	assert.Equal(t, []string{
		`Region: "Ireland" is not of the form it must have: write it as in us-east-1`,
		`SignalResource: "a-b" is not of the form it must have: write a logical ID: letters and digits`,
		`BundleBucket: "A" is not of the form it must have: write the name of a bucket`,
		`BundleKey: "a b" is not of the form it must have: write the key of an object: letters, digits and ._/- up to 255`,
		`LogGroup: "a\nALLOCATION_ID=x" is not of the form it must have: write the name of a log group: letters, digits and .-_/# up to 512`,
		`RecordBucket: "a" is not of the form it must have: write the name of a bucket`,
		`PeopleBucket: "a/b" is not of the form it must have: write the name of a bucket`,
		`ParameterPath: "postern" is not of the form it must have: write it as in /postern/Access/Bastion, without a slash at its end`,
		`KeyID: "a b" is not of the form it must have: write the ID, the ARN or the alias of a KMS key`,
		`AllocationID: "203.0.113.7" is not of the form it must have: write the allocation ID of an Elastic IP address, such as eipalloc-0123456789abcdef0`,
		`EgressPorts: "22,80" is not of the form it must have: write ports separated by one space each, such as 22 5432`,
		`StackName: is empty, yet SignalResource is set: name the stack that waits for the signal`,
		`MetricsNamespace: "AWS/EC2" is not a namespace for metrics: use letters, digits and .-_/#: up to 255, not beginning with "AWS/"`,
		`BundleSHA256: "0" is not a SHA-256 digest: write 64 hexadecimal digits in lower case`,
		`LogGroups["sudos"]: "sudos" is not known: did you mean "sudo"? use one of sessions, commands, people, sshd, sudo, audit, host`,
		`SSH.PermitOpen[0].Host: "*" is not a host: write one DNS name, IPv4 address or IPv6 address, without wildcards`,
		`SSH.PermitOpen[1].Port: 0 is out of range: use 1 to 65535`,
		`SSH.PermitOpen[2].Host: "${Token[TOKEN.1]}\nx" is not a host: write one DNS name, IPv4 address or IPv6 address, without wildcards`,
		`SSH.PermitOpen[3].Host: "" is not a host: write one DNS name, IPv4 address or IPv6 address, without wildcards`,
		`SSH.PermitOpen[4].Host: "any x" is not a host: write one DNS name, IPv4 address or IPv6 address, without wildcards`,
		`SSH.MaxAuthTries: 11 is out of range: use 1 to 10`,
		`SSH.MaxSessions: -1 is out of range: use 1 to 10`,
		`SSH.LoginGraceTime: 1h0m0s is out of range: use 10s to 2m0s`,
		`SSH.IdleTimeout: 1m30.000000001s is not a whole number of seconds: use 1m30s`,
		`SSH.MinRSABits: 1024 is out of range: use 2048 to 16384`,
		`SSH.Banner: holds something other than printable ASCII: use letters, digits, punctuation, spaces and \n`,
	}, strings.Split(err.Error(), "\n"))

	for want, ssh := range map[string]SSH{
		"SSH.Banner: is 1025 bytes long: use up to 1024 bytes":                                                      {Banner: long},
		"SSH.Banner: holds a token, whose value is not known when the payload is compressed: write the text itself": {Banner: "${Token[TOKEN.1]}"},
		"SSH.IdleTimeout: 1m0s is set, yet NoIdleTimeout is set too: leave out one of the two":                      {IdleTimeout: time.Minute, NoIdleTimeout: true},
	} {
		assert.EqualError(t, Config{SSH: ssh}.Validate(), want)
	}
	require.EqualError(t, Config{LogGroup: "${Token[TOKEN.1]}\n"}.Validate(),
		`LogGroup: "${Token[TOKEN.1]}\n" is not of the form it must have: write the name of a log group: letters, digits and .-_/# up to 512`)
	require.EqualError(t, Config{MetricsNamespace: "${Token[TOKEN.1]}"}.Validate(),
		`MetricsNamespace: "${Token[TOKEN.1]}" is not a namespace for metrics: use letters, digits and .-_/#: up to 255, not beginning with "AWS/"`)
	require.NoError(t, Config{}.Validate())
	require.NoError(t, full().Validate())
	require.NoError(t, deployed().Validate())
	_, err = Render(Config{Region: "Ireland"})
	require.Error(t, err, "what is not valid is not rendered")
}

func TestAHostNeedsItsBundle(t *testing.T) {
	_, err := Render(Config{BundleBucket: "assets"})
	require.EqualError(t, err, `BundleKey: is empty, yet a host without its bundle can't record: name the bundle
BundleSHA256: is empty, yet a host without its bundle can't record: name the bundle`)
}

const (
	authorityKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAwT3TVOoJIHGA/HXGNG9Raq/09NQCjkFnkbZ25UxVpU authority"
	ecdsaKey     = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBKFS8JbUHwf+uF2cU8Q0Yp75HBoH1WOMQqMYxcBOW8d2Tdn6h2WQxxoFySoAdP1LBoyo5yDCI9BhJ1iZCL/umbo= authority"
)

func TestChoicesFaults(t *testing.T) {
	c := full()
	c.EgressPorts = "22 70000"
	c.Hardening = Hardening{GoldenImage: true, UpdateRelease: "2023.9.20251117"}
	c.Choices = settings.Choices{
		Recording: settings.Recording{Commands: "allow", Prefix: "/x", KeepDays: -1, MinFreeMiB: 1},
		People: settings.People{
			Prefix: "a/../b/", MaxShrinkPercent: 101, MinRSABits: 2048, FIPSKeysOnly: true,
			WarnKeyAge: 48 * time.Hour, MaxKeyAge: 24 * time.Hour, Sudo: []string{"alice", "Bob ALL", "alice"},
		},
		Certificates: settings.Certificates{Authorities: []string{authorityKey, "x", "command=\"id\" " + authorityKey, ecdsaKey + "\n" + ecdsaKey}, RevocationKey: "a b"},
		HostKeys:     settings.HostKeys{Kinds: []string{"ed25519", "dsa", "ecdsa", "ed25519"}, Version: "a/b"},
	}
	err := c.Validate()
	require.Error(t, err)
	assert.Equal(t, []string{
		`EgressPorts: 70000 is out of range: use 1 to 65535`,
		`Choices.Recording.Commands: "allow" is not known: write "record", or leave it out: then they are refused`,
		`Choices.Recording.Prefix: "/x" is not a prefix: use letters, digits, ._-= and end it with a slash, such as access/keys/`,
		`Choices.Recording.KeepDays: -1 is out of range: use 1 to 3650`,
		`Choices.Recording.MinFreeMiB: 1 is out of range: use 64 to 1048576`,
		`Choices.People.Prefix: "a/../b/" is not a prefix: use letters, digits, ._-= and end it with a slash, such as access/keys/`,
		`Choices.People.MaxShrinkPercent: 101 is out of range: use 1 to 100`,
		`Choices.People.MinRSABits: 2048 lets in keys that sshd refuses: use at least 3072, or lower SSH.MinRSABits`,
		`Choices.People.WarnKeyAge: 48h0m0s is not before MaxKeyAge, 24h0m0s: warn earlier`,
		`Choices.People.Sudo[1]: "Bob ALL" is not the name of a person: write it as the object with their keys is called, without .pub`,
		`Choices.People.Sudo[2]: "alice" is named twice: name each person once`,
		`Choices.Certificates.Authorities[0]: ssh-ed25519 is outside FIPS, yet FIPSKeysOnly is set: use ECDSA or RSA`,
		`Choices.Certificates.Authorities[1]: "x" is not a public key: write the public key of the authority as ssh-keygen writes it, in one line, without options`,
		`Choices.Certificates.Authorities[2]: "command=\"id\" ssh-ed25519 AAAAC3NzaC1lZDI" is more than one public key: write the public key of the authority as ssh-keygen writes it, in one line, without options`,
		`Choices.Certificates.Authorities[3]: "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTIt" is more than one public key: write the public key of the authority as ssh-keygen writes it, in one line, without options`,
		`Choices.Certificates.RevocationKey: "a b" can't be read: write the key of an object: letters, digits and ._/- up to 255`,
		`Choices.HostKeys.Kinds[1]: "dsa" is not known: did you mean "rsa"? use one of ed25519, rsa, ecdsa`,
		`Choices.HostKeys.Kinds[2]: is "ecdsa", which isn't offered: set SSH.AllowECDSAHostKey, or leave it out`,
		`Choices.HostKeys.Kinds[3]: "ed25519" is named twice: name each kind once`,
		`Choices.HostKeys.Version: "a/b" can't be part of a parameter's name: use letters, digits and ._- up to 64`,
		`Hardening.UpdateRelease: "2023.9.20251117" is set, yet nothing is updated: leave it out, or NoUpdates and GoldenImage`,
	}, strings.Split(err.Error(), "\n"))

	c = full()
	c.Hardening.UpdateRelease = "latest"
	c.Choices.People.Prefix = "${Token[TOKEN.1]}/"
	require.EqualError(t, c.Validate(), `Choices: hold a token, whose value is not known when the payload is compressed: write the value itself
Hardening.UpdateRelease: "latest" is not a release of Amazon Linux 2023: write it as in 2023.9.20251117`)
	c = full()
	c.Choices.People.FIPSKeysOnly = true
	c.Choices.HostKeys.Kinds = []string{"ed25519"}
	require.EqualError(t, c.Validate(), `Choices.HostKeys.Kinds: hold Ed25519 alone, which no client in FIPS mode can verify: add "rsa", or "ecdsa" with SSH.AllowECDSAHostKey`)
	c.Choices.HostKeys.Kinds = nil
	c.Choices.Certificates.Authorities = []string{ecdsaKey}
	require.NoError(t, c.Validate())
}

// What the host is told is what its programs read.
func TestSettingsReachTheHost(t *testing.T) {
	c := full()
	c.Choices.People.Sudo = []string{"alice", "bob"}
	c.Choices.Certificates.Authorities = []string{authorityKey}
	u, err := Render(c)
	require.NoError(t, err)
	_, texts := unpack(t, u.Script)
	var got settings.Choices
	decoder := json.NewDecoder(strings.NewReader(texts["settings.json"]))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&got))
	assert.Equal(t, c.withDefaults().Choices, got)
	assert.Equal(t, settings.Recording{Prefix: "sessions/", KeepDays: 7, MinFreeMiB: 256, IdleTimeout: 15 * time.Minute}, got.Recording)
	assert.Equal(t, []string{"ed25519", "rsa"}, got.HostKeys.Kinds)
	assert.Equal(t, strings.Repeat("0", 64)+"\n", texts["bundle.sha256"])
	assert.Equal(t, `GOLDEN_IMAGE=
UPDATES=yes
UPDATE_RELEASE=
INTEGRITY=yes
BANS=yes
AUDIT_IMMUTABLE=yes
SECOND_FACTOR=
RECORD_PREFIX=sessions/
RELAY_PORT=1080
`, texts["choices.sh"])
}

func TestBundleFiles(t *testing.T) {
	list, err := BundleFiles()
	require.NoError(t, err)
	modes := map[string]fs.FileMode{}
	last := ""
	for _, f := range list {
		assert.Greater(t, f.Name, last, "sorted")
		assert.True(t, strings.HasPrefix(f.Name, "host/"), f.Name)
		assert.NotEmpty(t, f.Data)
		last, modes[f.Name] = f.Name, f.Mode
	}
	assert.Equal(t, fs.FileMode(0o600), modes["host/steps.sh"])
	assert.Equal(t, fs.FileMode(0o700), modes["host/run/check.sh"])
	assert.Equal(t, fs.FileMode(0o600), modes["host/units/postern-recorder.service"])
}

// The host applies the forms again, to values that only a deployment knows. This
// asks both of the same words.
func TestFormsAreTheSameOnBothSides(t *testing.T) {
	words := []string{
		"", "x", "us-east-1", "us-gov-west-1", "eusc-de-east-1", "us_east_1", "eu-central-2 ", "A-1", "1A", "arn:aws:cloudformation:us-east-1:111122223333:stack/A/5-6",
		"arn:aws-cn:cloudformation:x", "arn:aws:iam:x", "/aws/x_y.z#1", "/a b", "a*", "eipalloc-0a", "eipalloc-", "eipalloc-0G", "LogicalId1", "Logical-Id",
		"22", "22 5432", "22  80", "22,80", "abc", "a.b-c", "/a/b", "/a/", "//a", "alias/x", "arn:aws:kms:eu-west-1:111122223333:key/1-2", "a/b.tar.gz",
		strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("a", 128), strings.Repeat("a", 129), strings.Repeat("a", 255), strings.Repeat("a", 256), strings.Repeat("a", 512), strings.Repeat("a", 513),
	}
	var script strings.Builder
	script.WriteString("HOST_DIR=$(mktemp -d); : >$HOST_DIR/choices.sh; source files/environment.sh\nexport LC_ALL=C\n")
	type question struct{ key, word string }
	var asked []question
	var want []string
	for _, v := range (Config{}).environment() {
		if v.form == nil {
			continue
		}
		script.WriteString("pattern=$(form " + v.key + ") || exit\n")
		for _, word := range words {
			v.given = word
			script.WriteString("value='" + word + "'; if [[ -z $value || $value =~ ^($pattern)$ ]]; then echo yes; else echo no; fi\n")
			asked = append(asked, question{v.key, word})
			want = append(want, map[bool]string{true: "yes", false: "no"}[v.fault() == nil])
		}
	}
	cmd := exec.Command("bash")
	cmd.Stdin = strings.NewReader(script.String())
	out, err := cmd.Output()
	require.NoError(t, err)
	got := strings.Fields(string(out))
	require.Len(t, got, len(asked))
	for i, q := range asked {
		assert.Equal(t, want[i], got[i], "%v", q)
	}
	assert.Contains(t, got, "yes")
	assert.Contains(t, got, "no")
}

// Run with -update after a change that is meant.
func TestGolden(t *testing.T) {
	g := goldie.New(t, goldie.WithFixtureDir("testdata/golden"))
	weak := Config{SSH: SSH{
		PermitOpen: []Target{{"db.internal", 5432}}, MaxAuthTries: 6, MaxSessions: 10, LoginGraceTime: time.Minute,
		NoIdleTimeout: true, MinRSABits: 2048, AllowECDSAHostKey: true,
	}}
	strict := Config{Choices: settings.Choices{
		People:       settings.People{FIPSKeysOnly: true},
		Certificates: settings.Certificates{Authorities: []string{ecdsaKey}, RevocationKey: "revoked.krl"},
		SecondFactor: settings.SecondFactor{AtLogin: true},
	}}
	g.Assert(t, "sshd-zero.conf", Config{}.withDefaults().dropIn())
	g.Assert(t, "sshd-weakened.conf", weak.withDefaults().dropIn())
	g.Assert(t, "sshd-strict.conf", strict.withDefaults().dropIn())
	agent, err := Config{}.withDefaults().agentConfig()
	require.NoError(t, err)
	g.Assert(t, "agent.json", agent)
}

func TestCommentsAreLeftOut(t *testing.T) {
	assert.Equal(t, "#!/bin/bash\na # stays\n  b \"#\"\n", string(withoutComments([]byte("#!/bin/bash\n# one\n\n#\n  # two\na # stays\n  b \"#\"\n"))))
}
