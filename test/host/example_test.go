//go:build linux

package host_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/postern-cdk/postern/internal/host/settings"
	"github.com/postern-cdk/postern/test/host/lab"
)

// recordedValues are what a deployment of examples/recorded-bastion would know.
var recordedValues = map[string]string{
	"ArchiveBucket": lab.RecordBucket, "ArchiveKey.Arn": recordedKey,
	"ArchiveHost": "/lab/host", "ArchiveSessions": "/lab/sessions", "ArchiveCommands": "/lab/commands",
	"BastionAddress.AllocationId": "eipalloc-0fedcba9876543210",
}

const recordedKey = "arn:aws:kms:" + lab.Region + ":" + lab.Account + ":key/01234567-89ab-cdef-0123-456789abcdef"

// synthesizeRecorded runs the example's program as the CDK CLI does, for the
// machine of the lab.
func synthesizeRecorded(assembly string) (*lab.Deployment, error) {
	command := exec.Command("go", "run", ".")
	command.Dir = "../../examples/recorded-bastion"
	instanceType := map[string]string{"amd64": "t3.micro", "arm64": "t4g.micro"}[runtime.GOARCH]
	command.Env = append(os.Environ(), "CDK_OUTDIR="+assembly, fmt.Sprintf(`CDK_CONTEXT_JSON={"instanceType": %q}`, instanceType))
	if out, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("examples/recorded-bastion: %w\n%s", err, out)
	}
	return lab.FromAssembly(assembly, "Recorded", recordedValues)
}

// withoutNode says why the example can't be synthesized here, or nil.
func withoutNode() error {
	_, err := exec.LookPath("node")
	return err
}

// example is the host of examples/recorded-bastion. Where there is no node, its
// choices are made by hand: TestSecondFactor doesn't need more.
var example = struct {
	host       sharedHost
	deployment *lab.Deployment
	bucket     string // of people
	// parameters is where the host keeps its own.
	parameters string
	// devices of people who enrolled on an instance before, as Parameter Store knows it.
	devices map[string]*device
}{host: sharedHost{imaged: true}, parameters: "/postern/Recorded/Bastion", devices: map[string]*device{"carol": newDevice(), "erin": newDevice()}}

func init() { example.host.boot = bootExample }

func bootExample() (*lab.Lab, error) {
	assembly, err := os.MkdirTemp("", "postern-recorded-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(assembly) }()
	example.bucket = lab.RecordBucket
	if withoutNode() == nil {
		example.deployment, err = synthesizeRecorded(assembly)
	} else {
		c := hardened()
		c.Choices.Recording.Commands = settings.CommandsRecorded
		c.Choices.SecondFactor.AtLogin = true
		c.Choices.People.Sudo = []string{"alice"}
		example.parameters, example.bucket = c.ParameterPath, c.PeopleBucket
		example.deployment, err = lab.Render(c)
	}
	if err != nil {
		return nil, err
	}
	l, err := lab.New(lab.Options{Name: "the example's host", Prepare: func(l *lab.Lab) {
		for _, name := range []string{"bob", "carol", "dave", "erin"} {
			key := lab.NewKey()
			l.Know(name, key)
			l.S3.PutIn(example.bucket, "public-keys/"+name+".pub", lab.AuthorizedKey(key))
		}
		for name, d := range example.devices {
			l.SSM.Put(example.parameters+"/totp/"+name, d.parameter())
		}
	}}.With(example.deployment))
	if err != nil {
		return nil, err
	}
	signal, err := l.TrySignal()
	if err == nil && signal.Status != "SUCCESS" {
		err = failure(l, signal)
	}
	if err == nil {
		err = unbanned(l)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// exampleFrom starts a host from an image of the example's.
func exampleFrom(o lab.Options) (*lab.Lab, error) { return from(&example.host, o, unbanned) }

// The user data of a synthesized template, byte for byte, makes the host that the
// example's README describes, and the stack's outputs are commands that work.
func TestExampleRecordedBastion(t *testing.T) {
	t.Parallel()
	if err := withoutNode(); err != nil {
		require.NotEqual(t, "true", os.Getenv("CI"), "node is not installed")
		fmt.Printf("NOT RUN: %s: node is not installed, so nothing can be synthesized\n", t.Name())
		return
	}
	l := example.host.get(t)
	d := example.deployment
	signal := l.WaitSignal(t)
	require.Equal(t, lab.Signal{At: signal.At, Status: "SUCCESS", Stack: "Recorded", Resource: signal.Resource, UniqueID: lab.InstanceID}, signal)
	assert.Regexp(t, "^BastionASG", signal.Resource)
	associated := l.Calls("AssociateAddress")
	require.NotEmpty(t, associated)
	assert.Equal(t, recordedValues["BastionAddress.AllocationId"], associated[0].Get("AllocationId"))

	// The AWS CLI of the host stands for that of the reader, in a home of their own.
	warm := l.WarmCLI(t)
	output := func(name, before string) string {
		t.Helper()
		require.NotEmpty(t, d.Outputs[name], "output %s", name)
		return l.MustRoot(t, warm+"export HOME=/run/reader; mkdir -p ~/.ssh; cd; "+before+d.Outputs[name])
	}

	output("KnownHosts", "")
	text := []byte(l.MustRoot(t, "cat /run/reader/.ssh/known_hosts"))
	known := map[string]ssh.PublicKey{}
	for {
		_, names, key, _, rest, err := ssh.ParseKnownHosts(text)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err, string(text))
		assert.Contains(t, names, "postern-Recorded-Bastion", "the alias of the README")
		known[key.Type()], text = key, rest
	}
	for _, name := range l.SSM.Names() {
		if p, _ := l.SSM.Get(name); p.Type == "SecureString" && example.devices[path.Base(name)] == nil {
			assert.Equal(t, recordedKey, p.KeyID, "%s is encrypted by the archive's key", name)
		}
		assert.True(t, strings.HasPrefix(name, example.parameters+"/"), name)
	}

	alice := &door{Lab: l, name: "alice", key: lab.NewKey()}
	_, err := alice.try(t, "")
	require.Error(t, err, "alice is nobody yet")
	// An account within a minute: that is when the timer looks, which is not waited for.
	assert.Contains(t, l.MustRoot(t, "systemctl show -P TimersMonotonic postern-people.timer"), "OnUnitInactiveUSec=1min ")
	l.MustRoot(t, `mkdir -p /run/systemd/system/postern-people.timer.d
printf '[Timer]\nOnUnitInactiveSec=\nOnBootSec=1\nOnUnitInactiveSec=2\nAccuracySec=100ms\n' >/run/systemd/system/postern-people.timer.d/lab.conf
systemctl daemon-reload && systemctl restart postern-people.timer`)
	output("AddAlice", "echo '"+strings.TrimSpace(string(lab.AuthorizedKey(alice.key)))+"' >alice.pub; ")
	lab.Eventually(t, patience, "an account, by the timer alone", func() bool {
		_, code := l.Root(t, "id alice")
		return code == 0
	})
	phone := enrol(t, alice.shell(t, ""))
	client := alice.open(t, phone.code(t))
	assert.NotEmpty(t, alice.asked, "a second factor is asked for")
	require.NotEmpty(t, l.HostKeys())
	for kind, key := range l.HostKeys() {
		require.Contains(t, known, kind)
		assert.Equal(t, known[kind].Marshal(), key.Marshal(), "the host key is the published one")
	}

	s, err := lab.Shell(client)
	require.NoError(t, err)
	_, _, err = s.Run("echo terminal-$((6 * 7))")
	require.NoError(t, err)
	command, err := client.NewSession()
	require.NoError(t, err)
	out, err := command.CombinedOutput("echo command-$((6 * 7))")
	require.NoError(t, err)
	assert.Contains(t, string(out), "command-42", "commands are accepted")
	for _, marker := range []string{"terminal-", "command-"} {
		assert.Contains(t, replayed(t, l, output, marker+"$((6 * 7))", marker+"42"), marker+"42")
	}

	// Locked out, and the open session ended.
	output("RemoveAlice", "")
	require.True(t, s.Ended(patience), "removed, by the timer alone")
	_, err = alice.try(t, "")
	assert.Error(t, err)
	assert.Empty(t, alice.asked, "the key is refused already")
	l.MustRoot(t, "id bob")
}

// replayed is what the Replay output plays of the session that the command log has
// the typed text of, when the bucket has what it showed.
func replayed(t *testing.T, l *lab.Lab, output func(name, before string) string, typed, showed string) string {
	t.Helper()
	id := regexp.MustCompile(`"session":"(\d{8}T\d{6}Z-[0-9a-f]{8})"`)
	var session string
	lab.Eventually(t, patience, "the command log has "+typed, func() bool {
		for _, event := range l.Logs.All(recordedValues["ArchiveCommands"]) {
			if found := id.FindStringSubmatch(event.Message); found != nil && strings.Contains(event.Message, typed) {
				session = found[1]
			}
		}
		return session != ""
	})
	lab.Eventually(t, patience, "the bucket has "+showed, func() bool {
		return slices.ContainsFunc(l.S3.Keys(lab.RecordBucket, ""), func(key string) bool {
			o, _ := l.S3.Get(lab.RecordBucket, key)
			return strings.Contains(key, session) && strings.Contains(shown(string(o.Data)), showed)
		})
	})
	return output("Replay", `asciinema() { [[ $1 == play ]] && cat "$2"; }; session=`+session+"; ")
}
