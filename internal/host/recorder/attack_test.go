//go:build linux && hostroot

package recorder

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSession(t *testing.T) {
	l := newLab(t, nil)
	s := l.login("alice")
	out := s.run("id -un; tty; cat /proc/self/status | grep -E 'NoNewPrivs|Seccomp:'; ls /proc | grep -c '^[0-9]'")
	t.Log(out)
	s.send("exit 7\n")
	err := s.ends()
	t.Log(err, s.out.String())
	end := l.ending(s.id)
	assert.EqualValues(t, 7, end["status"])
	for _, m := range l.logged("") {
		t.Log(m)
	}
	t.Log(l.recording(s.id, 'o'))
	t.Log(l.log.String())
}
