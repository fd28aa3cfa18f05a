//go:build linux

package host_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/test/host/lab"
)

// A golden image's root is read-only from the bootstrap on, and people come and go
// all the same, by all doors.
func TestGoldenImage(t *testing.T) {
	t.Parallel()
	authority := lab.NewKey()
	revoked := certificate(t, authority, 7, nil)
	config := hardened()
	config.Hardening.GoldenImage = true
	config.Choices.Certificates.Authorities = []string{strings.TrimSpace(string(lab.AuthorizedKey(authority)))}
	config.Choices.Certificates.RevocationKey = revocationList
	files := instanceConnect(t)
	// As far as the bootstrap looks at Session Manager's agent.
	files["/etc/systemd/system/amazon-ssm-agent.service"] = lab.File{Data: []byte("[Service]\nExecStart=/usr/bin/sleep infinity\n")}
	files["/etc/systemd/system/multi-user.target.d/x.conf"] = lab.File{Data: []byte("[Unit]\nWants=amazon-ssm-agent.service\n")}
	l := lab.Boot(t, with(t, config, lab.Options{Name: "the golden image's host", Files: files, Prepare: func(l *lab.Lab) {
		l.Person("alice")
		l.Person("frank")
		l.S3.Put("public-keys/erin.pub", []byte("# by certificates only\n"))
		l.S3.Put(revocationList, revoke(t, authority, revoked))
	}}))
	if l.WaitSignal(t).Status != "SUCCESS" {
		t.Fatal(l.MustRoot(t, "journalctl -b -o cat -u postern-readonly; journalctl -b -o cat -t postern | grep -E 'fail|alarm'"))
	}
	assert.Contains(t, l.MustRoot(t, "cat /etc/sudoers.d/ssm-agent-users; id ssm-user"), "ssm-user ALL=(ALL) NOPASSWD:ALL", "its agent can't make it later")
	readOnly(t, l, "bob")
	t.Run("doors beside", func(t *testing.T) { doorsBeside(t, l, authority, revoked) })

	// What an operator runs again may write, and leaves it read-only.
	l.MustRoot(t, "systemctl stop postern-readonly && echo weaker >>/etc/motd && systemctl start postern-readonly")
	l.MustRoot(t, "/var/lib/postern/host/main.sh >&2")
	assert.NotContains(t, l.MustRoot(t, "cat /etc/motd"), "weaker")
	readOnly(t, l, "carol")

	l.Reboot(t)
	lab.Eventually(t, lab.BootTimeout, "sshd is back", func() bool {
		c, err := l.Dial("alice", lab.SSHOptions{})
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	readOnly(t, l, "dave")
	assert.Contains(t, l.MustRoot(t, "systemctl start postern-check; journalctl -b -o cat -t postern | grep '\"read-only\"'"), `"result":"pass"`)

	l.MustRoot(t, "mount -o remount,bind,rw /usr")
	assert.Contains(t, l.MustRoot(t, "systemctl start postern-check; journalctl -b -o cat -t postern | grep check-failed"), "read-only")
}

// readOnly tries to write as root, in a session as a person, and adds one.
func readOnly(t *testing.T, l *lab.Lab, name string) {
	t.Helper()
	for _, file := range []string{"/usr/bin/x", "/usr/bin/id", "/etc/x", "/etc/passwd", "/etc/ssh/sshd_config.d/00-postern.conf", "/opt/postern/bin/x", "/root/.bashrc"} {
		out, code := l.Root(t, "touch "+file)
		assert.NotZero(t, code, file)
		assert.Contains(t, out, "Read-only file system", file)
	}
	l.MustRoot(t, "touch /var/x /tmp/x /home/x /run/x; rm /var/x /tmp/x /home/x /run/x")

	l.Person(name)
	lab.Eventually(t, time.Minute, name+" has an account", func() bool {
		l.MustRoot(t, "systemctl start postern-people.service")
		_, code := l.Root(t, "id "+name)
		return code == 0
	})
	s := l.Login(t, name)
	out, _, err := s.Run(`id -un; touch ~/mine && echo written; awk '$5 ~ "^/(etc|usr|opt)$" { print $6 }' /proc/self/mountinfo | cut -c-2 | sort -u`)
	require.NoError(t, err)
	assert.Equal(t, []string{name, "written", "ro"}, strings.Fields(out), "a session's view is as read-only")
}

// What a person can write to on the disk is their home, and nothing else.
func TestPeopleWriteToTheirHomesOnly(t *testing.T) {
	t.Parallel()
	l := shared.hardened.get(t)
	writer := shared.hardened.person(t)
	s := l.Login(t, writer)
	out, _, err := s.RunFor(`find / -xdev -writable -not -type l -printf '%F:%p\n' 2>/dev/null | grep -v -e :/home/`+writer+` -e ^tmpfs:; echo done; grep -c ' / /tmp .*,size=65536k' /proc/self/mountinfo`, time.Minute)
	require.NoError(t, err)
	assert.Equal(t, []string{"done", "1"}, strings.Fields(out))
}
