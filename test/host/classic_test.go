//go:build linux

package host_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/postern-cdk/postern/test/host/lab"
)

// The control works as its authors meant it to: attacks that succeed there succeed
// against a host that does record.
func TestClassicHostRecords(t *testing.T) {
	t.Parallel()
	l := shared.serialClassic.lock(t).lab
	l.Person("alice")
	// As on a machine that is busy with other hosts.
	quick := l.Fault(lab.Fault{Service: "imds", Delay: 1500 * time.Millisecond})
	l.ClassicSync(t)
	quick()
	s := l.Login(t, "alice")
	s.Expect("This session is recorded")
	out, code, err := s.Run("id -un")
	assert.NoError(t, err)
	assert.Zero(t, code)
	assert.Equal(t, "alice", out)
	s.Type(`echo rec"orded"-line`).Expect("recorded-line")
	lab.Eventually(t, 5*time.Second, "the session is in the log", func() bool {
		_, code := l.Root(t, "grep -q recorded-line /var/log/bastion/*_alice_*.data")
		return code == 0
	})
	for _, command := range []string{"id", "scp -f x", "/usr/lib/openssh/sftp-server"} {
		out, err := l.Exec("alice", command)
		assert.Error(t, err, command)
		assert.Contains(t, out, "takes no commands", command)
	}

	// Names as the article has them; a removed key removes the account.
	l.S3.Delete("public-keys/alice.pub")
	l.ClassicSync(t)
	_, code = l.Root(t, "id alice")
	assert.NotZero(t, code)
}
