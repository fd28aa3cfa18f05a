package host

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sebdah/goldie/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/check"
)

// full is a configuration in which every step has something to do.
func full() Config {
	return Config{
		Region: "eu-west-1", StackName: "Access", SignalResource: "BastionASG1234", LogGroup: "/postern/bastion",
		AllocationID: "eipalloc-0123456789abcdef0",
		SSH:          SSH{Banner: "Keep out.\nYou are recorded.", PermitOpen: []Target{{"db.internal", 5432}, {"2001:db8::7", 6379}}},
	}
}

// deployed is a configuration as a stack gives it: tokens wherever one may be.
func deployed() Config {
	return Config{
		Region: "${Token[AWS.Region.4]}", StackName: "${Token[AWS.StackId.6]}", SignalResource: "${Token[TOKEN.7]}",
		LogGroup: "${Token[TOKEN.8]}", AllocationID: "${Token[TOKEN.9]}",
		SSH: SSH{PermitOpen: []Target{{"${Token[TOKEN.10]}", 5432}}},
	}
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
LOG_GROUP=${Token[TOKEN.8]}
ALLOCATION_ID=${Token[TOKEN.9]}
PERMIT_OPEN=${Token[TOKEN.10]}:5432
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
	for token, most := range map[string]int{"AWS.Region.4": 32, "AWS.StackId.6": 256, "TOKEN.7": 255, "TOKEN.8": 512, "TOKEN.9": 32, "TOKEN.10": 255} {
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
	assert.Regexp(t, `^UserData: is \d+ bytes, 1 more than the \d+ that EC2 takes: make the largest part smaller: sshd\.sh \d+, .*\(environment\) \d+`, err.Error())
	assert.Len(t, check.List(err), 1)

	c := Config{}
	for range 400 {
		c.SSH.PermitOpen = append(c.SSH.PermitOpen, Target{"a-database-with-a-long-name.internal", 5432})
	}
	_, err = Render(c)
	assert.ErrorContains(t, err, "make the largest part smaller: (environment) ")
}

func TestFaults(t *testing.T) {
	long := strings.Repeat("x", 1025)
	err := Config{
		Region: "Ireland", SignalResource: "a-b", LogGroup: "a\nALLOCATION_ID=x", AllocationID: "203.0.113.7", MetricsNamespace: "AWS/EC2",
		SSH: SSH{
			PermitOpen: []Target{{"*", 22}, {"db", 0}, {"${Token[TOKEN.1]}\nx", 22}, {"", 22}, {"any x", 22}}, MaxAuthTries: 11, MaxSessions: -1,
			LoginGraceTime: time.Hour, IdleTimeout: 90*time.Second + 1, MinRSABits: 1024, Banner: "a\x1b[2J",
		},
	}.Validate()
	require.Error(t, err)
	assert.Equal(t, []string{
		`Region: "Ireland" is not of the form it must have: write it as in us-east-1`,
		`SignalResource: "a-b" is not of the form it must have: write a logical ID: letters and digits`,
		`LogGroup: "a\nALLOCATION_ID=x" is not of the form it must have: write the name of a log group: letters, digits and .-_/# up to 512`,
		`AllocationID: "203.0.113.7" is not of the form it must have: write the allocation ID of an Elastic IP address, such as eipalloc-0123456789abcdef0`,
		`StackName: is empty, yet SignalResource is set: name the stack that waits for the signal`,
		`MetricsNamespace: "AWS/EC2" is not a namespace for metrics: use letters, digits and .-_/#: up to 255, not beginning with "AWS/"`,
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

// The host applies the forms again, to values that only a deployment knows. This
// asks both of the same words.
func TestFormsAreTheSameOnBothSides(t *testing.T) {
	words := []string{
		"", "x", "us-east-1", "us-gov-west-1", "eusc-de-east-1", "us_east_1", "eu-central-2 ", "A-1", "1A", "arn:aws:cloudformation:us-east-1:111122223333:stack/A/5-6",
		"arn:aws-cn:cloudformation:x", "arn:aws:iam:x", "/aws/x_y.z#1", "/a b", "a*", "eipalloc-0a", "eipalloc-", "eipalloc-0G", "LogicalId1", "Logical-Id",
		strings.Repeat("a", 128), strings.Repeat("a", 129), strings.Repeat("a", 255), strings.Repeat("a", 256), strings.Repeat("a", 512), strings.Repeat("a", 513),
	}
	var script strings.Builder
	script.WriteString("source files/environment.sh\nexport LC_ALL=C\n")
	type question struct{ key, word string }
	var asked []question
	var want []string
	for _, v := range (Config{}).environment() {
		if v.form == nil {
			continue
		}
		for _, word := range words {
			v.given = word
			script.WriteString("value='" + word + "'; pattern=$(form " + v.key + "); if [[ -z $value || $value =~ ^($pattern)$ ]]; then echo yes; else echo no; fi\n")
			asked = append(asked, question{v.key, word})
			want = append(want, map[bool]string{true: "yes", false: "no"}[v.fault() == nil])
		}
	}
	out, err := exec.Command("bash", "-c", script.String()).Output()
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
	weak := SSH{
		PermitOpen: []Target{{"db.internal", 5432}}, MaxAuthTries: 6, MaxSessions: 10, LoginGraceTime: time.Minute,
		NoIdleTimeout: true, MinRSABits: 2048, AllowECDSAHostKey: true,
	}
	g.Assert(t, "sshd-zero.conf", SSH{}.withDefaults().dropIn())
	g.Assert(t, "sshd-weakened.conf", weak.withDefaults().dropIn())
	for _, source := range []logSource{journald, logFile} {
		data, err := Config{}.withDefaults().agentConfig(source)
		require.NoError(t, err)
		g.Assert(t, "agent-"+string(source)+".json", data)
	}
}

func TestCommentsAreLeftOut(t *testing.T) {
	assert.Equal(t, "#!/bin/bash\na # stays\n  b \"#\"\n", string(withoutComments([]byte("#!/bin/bash\n# one\n\n#\n  # two\na # stays\n  b \"#\"\n"))))
}
