//go:build linux

package check

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/identity"
	"github.com/postern-cdk/postern/internal/host/people"
	"github.com/postern-cdk/postern/internal/host/settings"
	"github.com/postern-cdk/postern/internal/host/ship"
)

func TestAHostThatKeepsItsPromises(t *testing.T) {
	b := newBastion(t)
	begin := time.Now()
	lines, err := b.check()
	require.NoError(t, err)
	assert.Less(t, time.Since(begin), 5*time.Second)
	require.Len(t, lines, len(Names()))
	for name, line := range lines {
		assert.Equal(t, "pass", line.Result, name)
		assert.NotEmpty(t, line.Detail, name)
	}
	for _, line := range b.lines {
		assert.Equal(t, b.lines[0], line, "one key a run")
	}
	key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(b.lines[0]))
	require.NoError(t, err)
	assert.Equal(t, ssh.KeyAlgoED25519, key.Type())
	require.Len(t, options, 2)
	assert.Equal(t, `from="127.0.0.1,::1"`, options[0])
	until, err := time.ParseInLocation("200601021504", strings.Trim(strings.TrimPrefix(options[1], "expiry-time="), `"`), time.Local)
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now().Add(keyLife), until, time.Minute)
}

// Each promise, broken: the check that must say so, and what it says.
func TestEachPromiseBroken(t *testing.T) {
	for _, c := range []struct{ check, broken, says string }{
		{"recording", "sshd down", "can't log in"},
		{"recording", "other key", "has a host key that is not this host's"},
		{"recording", "recorder down", `and said "Sessions can't be recorded on this bastion now"`},
		{"recording", "no recording", "no recording of it is there"},
		{"recording", "not the output", "what the session showed is not in its recording"},
		{"recording", "left open", "its chain is broken: segment 000001: left open"},
		{"recording", "forged", "its chain is broken: segment 000001: altered"},
		{"recording", "shadow", "differs from its shadow"},
		{"recording", "no shadow", "shadow"},
		{"recording", "readable", "is not root's alone: -rw-r--r--"},
		{"recording", "open folder", "is not root's alone: drwx--x--x"},
		{"recording", "changeable", "is not append-only"},
		{"recording", "no begin", `no line "begin" of it`},
		{"recording", "no typed", `no line "typed" of it`},
		{"recording", "no exec", `no line "exec" of it`},
		{"recording", "exec by the shell", `no line "exec" of it`},
		{"recording", "no end", `no line "end" of it`},
		{"recording", "no text", "bastion.log"},
		{"recording", "exec", "a command is run that should be refused"},
		{"recording", "exec says well", "told that all is well"},
		{"recording", "sftp", "sftp is run that should be refused"},
		{"shipping", "recorder down", "there is no session to follow"},
		{"clock", "clock", "off by http://127.0.0.1"},
		{"host-keys", "other key", "is kept"},
		{"host-keys", "sshd down", "can't log in"},
		{"imds", "imds open", "a person's program reaches the instance metadata"},
		{"imds", "imds v1", "answers 200 without a token: IMDSv1 is on"},
		{"imds", "imds down", "answers 500 without a token"},
		{"imds", "imds other", `says "i-0other", and this is i-0abc`},
		{"egress", "egress open", "a person's program reaches 192.0.2.1:9"},
		{"egress", "egress silent", "the firewall lets a person's program try 192.0.2.1:9"},
		{"forwarding", "direct-tcpip", "sshd forwards TCP to a target"},
		{"forwarding", "tries direct-tcpip", "sshd forwards TCP to a target"},
		{"forwarding", "direct-streamlocal@openssh.com", "sshd forwards a Unix socket (-L)"},
		{"forwarding", "tun@openssh.com", "sshd forwards a tunnel"},
		{"forwarding", "tcpip-forward", "sshd forwards a port of the host"},
		{"forwarding", "streamlocal-forward@openssh.com", "sshd forwards a Unix socket of the host"},
		{"forwarding", "auth-agent-req@openssh.com", "sshd forwards the agent"},
		{"forwarding", "x11-req", "sshd forwards X11"},
		{"forwarding", "sshd down", "can't log in"},
	} {
		t.Run(c.check+": "+c.broken, func(t *testing.T) {
			t.Parallel()
			b := newBastion(t, c.broken)
			lines, err := b.check(c.check)
			require.EqualError(t, err, "failed checks: "+c.check)
			require.Len(t, lines, 1)
			assert.Equal(t, "fail", lines[c.check].Result)
			assert.Contains(t, lines[c.check].Detail, c.says)
		})
	}
}

func TestDelivery(t *testing.T) {
	for broken, missing := range map[string]string{"logs": "CloudWatch Logs", "bucket": "the bucket records"} {
		b := newBastion(t, broken)
		b.say(b.Root, "ship", ship.Status{Bucket: ship.Sink{Error: "AccessDenied"}})
		b.defaults()
		_, err := b.have(t.Context()) // however long that takes
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = b.shipping(ctx)
		require.ErrorContains(t, err, "has not arrived in "+missing+": AccessDenied")
		b.logout()
	}
	for broken, says := range map[string]string{"journal": "a line of the journal is not there: AccessDenied", "journal down": "the journal takes no line: "} {
		b := newBastion(t, broken)
		b.say(b.Root, "ship", ship.Status{Logs: ship.Sink{Error: "AccessDenied"}})
		b.defaults()
		_, err := b.have(t.Context()) // however long that takes
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = b.shipping(ctx)
		require.ErrorContains(t, err, says)
		b.logout()
	}
	for says, status := range map[string]ship.Status{
		"the journal is not shipped: no such program": {Time: time.Now(), Journal: "no such program"},
	} {
		b := newBastion(t)
		b.say(b.Root, "ship", status)
		lines, err := b.check("shipping")
		require.Error(t, err)
		assert.Contains(t, lines["shipping"].Detail, says)
	}
	b := newBastion(t)
	require.NoError(t, os.Remove(b.path(ship.StatusFile)))
	lines, err := b.check("shipping")
	require.Error(t, err)
	assert.Contains(t, lines["shipping"].Detail, "what the shipper says of itself: ")
	b = newBastion(t, "logs")
	b.LogGroup = ""
	lines, err = b.check("shipping")
	require.NoError(t, err)
	assert.Contains(t, lines["shipping"].Detail, "NOTHING GOES TO CLOUDWATCH LOGS")
	assert.Contains(t, lines["shipping"].Detail, "THE JOURNAL STAYS ON THIS HOST")
	b = newBastion(t, "logs", "bucket")
	b.LogGroup, b.RecordBucket = "", ""
	lines, err = b.check("shipping")
	require.NoError(t, err)
	assert.Contains(t, lines["shipping"].Detail, "NOTHING IS SHIPPED")
}

func TestPeople(t *testing.T) {
	for says, prepare := range map[string]func(*bastion){
		"no such file": func(b *bastion) { require.NoError(t, os.Remove(b.path(settings.RunDir+"/people.json"))) },
		"since 2026-01-01T00:00:00Z: listing failed": func(b *bastion) {
			b.say(b.Root, "people", people.Status{Time: time.Now(), Success: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Faults: []string{"listing failed"}})
		},
		"as s3://people/public-keys says, since the boot: listing failed": func(b *bastion) {
			b.say(b.Root, "people", people.Status{Time: time.Now(), Faults: []string{"listing failed"}})
		},
		"invalid character": func(b *bastion) { b.write(b.Root, settings.RunDir+"/people.json", "x") },
	} {
		b := newBastion(t)
		b.Choices.People.Prefix = "public-keys/"
		prepare(b)
		lines, err := b.check("people")
		require.Error(t, err, says)
		assert.Contains(t, lines["people"].Detail, says)
	}
	b := newBastion(t)
	b.say(b.Root, "people", people.Status{Success: time.Now().Add(-time.Minute), Faults: []string{"throttled"}})
	_, err := b.check("people")
	require.NoError(t, err, "one failed run is not a broken promise")
	b.PeopleBucket = ""
	b.Host = &Host{Settings: b.Settings, Root: b.Root}
	lines, err := b.check("people")
	require.NoError(t, err)
	assert.Contains(t, lines["people"].Detail, "NOBODY HAS AN ACCOUNT")
}

func TestHostKeys(t *testing.T) {
	for says, prepare := range map[string]func(*bastion){
		"sshd offers no key of kind rsa":                     func(b *bastion) { b.HostKeys.Kinds = append(b.HostKeys.Kinds, identity.RSA) },
		"kind ed25519, which is not kept":                    func(b *bastion) { b.HostKeys.Kinds = nil },
		"the host keys are not kept":                         func(b *bastion) { require.NoError(t, os.Remove(b.path(settings.StateDir+"/host-keys.json"))) },
		"and no key is kept":                                 func(b *bastion) { b.HostKeys.Version = "2" },
		"not published in " + parameterPath + "/known_hosts": func(b *bastion) { b.published = "other " + strings.Fields(b.published)[1] },
		"the next key of kind ed25519":                       func(b *bastion) { b.HostKeys.Next = "2" },
	} {
		b := newBastion(t)
		prepare(b)
		lines, err := b.check("host-keys")
		require.Error(t, err, says)
		assert.Contains(t, lines["host-keys"].Detail, says)
	}
	b := newBastion(t)
	b.ParameterPath = ""
	lines, err := b.check("host-keys")
	require.NoError(t, err)
	assert.Contains(t, lines["host-keys"].Detail, "THE HOST KEYS ARE NOT KEPT")
}

func TestClock(t *testing.T) {
	for name, c := range map[string]struct{ says, detail, result string }{
		"right":        {`A9FEA97B,169.254.169.123,4,1795305600.1,0.000012,0.0,0.0,1.2,0.0,0.1,0.0,0.0,16.2,Normal`, "0s off by chronyd, which asks 169.254.169.123", "pass"},
		"late":         {`A9FEA97B,169.254.169.123,4,1795305600.1,-7.5,0.0,0.0,1.2,0.0,0.1,0.0,0.0,16.2,Normal`, "the clock is -7.5s off", "fail"},
		"not yet":      {`00000000,,0,0.0,0.000000,0.0,0.0,0.0,0.0,0.0,1.0,1.0,0.0,Not synchronised`, "off by http://127.0.0.1", "pass"},
		"what is this": {`501 Not authorised`, "off by http://127.0.0.1", "pass"},
	} {
		b := newBastion(t)
		require.NoError(t, os.WriteFile(b.path("chronyc"), []byte("#!/bin/sh\n[ \"$*\" = '-c tracking' ] && echo '"+c.says+"'\n"), 0o700))
		lines, err := b.check("clock")
		assert.Equal(t, c.result == "fail", err != nil, name)
		assert.Contains(t, lines["clock"].Detail, c.detail, name)
	}
	b := newBastion(t)
	b.Clock = "http://127.0.0.1:1/"
	lines, err := b.check("clock")
	require.Error(t, err)
	assert.Contains(t, lines["clock"].Detail, "nobody could be asked for the time: chronyc: ")
}

func TestDiskAndMemory(t *testing.T) {
	b := newBastion(t)
	b.Recording.MinFreeMiB = 1 << 40
	b.write(b.Root, "/proc/meminfo", "MemAvailable: 40000 kB")
	lines, err := b.check("disk", "memory")
	require.EqualError(t, err, "failed checks: disk memory")
	assert.Contains(t, lines["disk"].Detail, "/var/log/postern has ")
	assert.Contains(t, lines["memory"].Detail, "39 MiB of memory are available, fewer than 48")

	b = newBastion(t)
	require.NoError(t, os.RemoveAll(b.path(settings.ShadowDir)))
	b.write(b.Root, "/proc/meminfo", "MemFree: 1 kB")
	lines, err = b.check("disk", "memory")
	require.EqualError(t, err, "failed checks: disk memory")
	assert.Contains(t, lines["disk"].Detail, "/var/lib/postern/shadow: no such file")
	assert.Contains(t, lines["memory"].Detail, "does not say")
}

func TestAKeyThatAKilledRunLeftIsRemoved(t *testing.T) {
	b := newBastion(t)
	b.write(b.Root, settings.KeysDir+"/"+settings.CheckUser, "ssh-ed25519 AAAA")
	_, err := b.check("memory")
	require.NoError(t, err)
	assert.NoFileExists(t, filepath.Join(b.Root, settings.KeysDir, settings.CheckUser))
}

func TestTheKeyIsRemovedWhateverHappens(t *testing.T) {
	b := newBastion(t)
	seen := false
	b.Delivered = func(string, string) (bool, bool, error) {
		_, err := os.Stat(b.keyFile())
		seen = err == nil
		panic("broken")
	}
	lines, err := b.check("shipping") // looks whether the key is gone
	require.Error(t, err)
	assert.Contains(t, lines["shipping"].Detail, "the check itself is broken: broken")
	assert.True(t, seen)
}

func TestUnknownNames(t *testing.T) {
	b := newBastion(t)
	_, err := b.check("recoding")
	require.EqualError(t, err, `there is no check "recoding"; there are recording, shipping, people, clock, disk, memory, host-keys, imds, egress, forwarding, relay`)
}

func TestTwoRunsAtOnce(t *testing.T) {
	b := newBastion(t)
	other := &Host{Settings: b.Settings, Root: b.Root, SSH: b.SSH, Probe: b.Probe, Delivered: b.Delivered, Canary: b.Canary, appendOnly: b.Host.appendOnly}
	failed := make(chan error, 1)
	go func() {
		var out bytes.Buffer
		failed <- other.Run(context.Background(), []string{"forwarding", "recording"}, &event.Log{Out: &out})
	}()
	_, err := b.check("forwarding", "recording")
	require.NoError(t, err)
	require.NoError(t, <-failed)
}

func TestOnlyTheSessionOfThisRunCounts(t *testing.T) {
	b := newBastion(t)
	_, err := b.check("recording")
	require.NoError(t, err)
	b.breaks("no recording")
	b.Host = &Host{Settings: b.Settings, Root: b.Root, SSH: b.SSH, appendOnly: b.appendOnly}
	lines, err := b.check("recording")
	require.Error(t, err)
	assert.Contains(t, lines["recording"].Detail, "no recording of it is there")
}

// The probe itself, with real programs and sockets.
func TestProbe(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	current, err := user.Current()
	require.NoError(t, err)
	me := current.Username
	require.NoError(t, probe(t.Context(), me, listener.Addr().String()))
	require.NoError(t, listener.Close())
	assert.ErrorIs(t, probe(t.Context(), me, listener.Addr().String()), errRefused)
	assert.ErrorContains(t, probe(t.Context(), "nobody-of-that-name", "127.0.0.1:1"), "unknown user")
	assert.NotErrorIs(t, probe(t.Context(), me, "256.0.0.1:1"), errRefused)
}
