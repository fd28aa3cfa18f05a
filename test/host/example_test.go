//go:build linux

package host_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

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
func synthesizeRecorded(t *testing.T) *lab.Deployment {
	t.Helper()
	assembly := t.TempDir()
	command := exec.Command("go", "run", ".")
	command.Dir = "../../examples/recorded-bastion"
	instanceType := map[string]string{"amd64": "t3.micro", "arm64": "t4g.micro"}[runtime.GOARCH]
	command.Env = append(os.Environ(), "CDK_OUTDIR="+assembly, fmt.Sprintf(`CDK_CONTEXT_JSON={"instanceType": %q}`, instanceType))
	out, err := command.CombinedOutput()
	require.NoError(t, err, string(out))
	d, err := lab.FromAssembly(assembly, "Recorded", recordedValues)
	require.NoError(t, err)
	return d
}

// The user data of a synthesized template, byte for byte, makes the host that the
// example's README describes, and the stack's outputs are commands that work.
func TestExampleRecordedBastion(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("node"); err != nil {
		require.NotEqual(t, "true", os.Getenv("CI"), "node is not installed")
		fmt.Printf("NOT RUN: %s: node is not installed, so nothing can be synthesized\n", t.Name())
		return
	}
	d := synthesizeRecorded(t)
	l := lab.Boot(t, lab.Options{Name: "the example's host", Prepare: func(l *lab.Lab) {
		// Nobody empties the listing: the last person is not removed by it.
		l.S3.PutIn(lab.RecordBucket, "public-keys/bob.pub", lab.AuthorizedKey(lab.NewKey()))
	}}.With(d))
	signal := l.WaitSignal(t)
	require.Equal(t, lab.Signal{At: signal.At, Status: "SUCCESS", Stack: "Recorded", Resource: signal.Resource, UniqueID: lab.InstanceID}, signal)
	assert.Regexp(t, "^BastionASG", signal.Resource)
	associated := l.Calls("AssociateAddress")
	require.NotEmpty(t, associated)
	assert.Equal(t, recordedValues["BastionAddress.AllocationId"], associated[0].Get("AllocationId"))

	// The AWS CLI of the host stands for that of the reader, in a home of their own.
	output := func(name, before string) string {
		t.Helper()
		require.NotEmpty(t, d.Outputs[name], "output %s", name)
		return l.MustRoot(t, "export HOME=/run/reader; mkdir -p ~/.ssh; cd; "+before+d.Outputs[name])
	}

	const parameters = "/postern/Recorded/Bastion"
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
		if p, _ := l.SSM.Get(name); p.Type == "SecureString" {
			assert.Equal(t, recordedKey, p.KeyID, "%s is encrypted by the archive's key", name)
		}
		assert.True(t, strings.HasPrefix(name, parameters+"/"), name)
	}

	alice := &door{Lab: l, name: "alice", key: lab.NewKey()}
	_, err := alice.try(t, "")
	require.Error(t, err, "alice is nobody yet")
	output("AddAlice", "echo '"+strings.TrimSpace(string(lab.AuthorizedKey(alice.key)))+"' >alice.pub; ")
	lab.Eventually(t, time.Minute+patience, "an account within a minute", func() bool {
		_, code, err := l.TryRoot("id alice")
		return err == nil && code == 0
	})
	phone := enrol(t, alice.shell(t, ""))
	// When a connection began is known to a hundredth of a second, rounded down: one
	// from right after the enrolment counts as older.
	time.Sleep(20 * time.Millisecond)
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
		assert.Contains(t, replayed(t, l, output, marker+"$((6 * 7))"), marker+"42")
	}

	// Locked out, and the open session ended.
	output("RemoveAlice", "")
	require.True(t, s.Ended(time.Minute+patience), "removed within a minute")
	_, err = alice.try(t, phone.code(t))
	assert.Error(t, err)
	l.MustRoot(t, "id bob")
}

// replayed is what the Replay output plays of the session that the command log has
// the typed text of.
func replayed(t *testing.T, l *lab.Lab, output func(name, before string) string, typed string) string {
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
	// What isn't shipped yet is five seconds old.
	time.Sleep(7 * time.Second)
	return output("Replay", `asciinema() { [[ $1 == play ]] && cat "$2"; }; session=`+session+"; ")
}
