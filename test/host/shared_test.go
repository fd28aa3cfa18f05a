//go:build linux

package host_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/postern-cdk/postern/test/host/lab"
)

// A sharedHost is booted once, by the first test that wants it.
type sharedHost struct {
	boot func() (*lab.Lab, error)

	once sync.Once
	lab  *lab.Lab
	err  error
	used sync.Mutex
}

var shared = struct{ classic, hardened, serialClassic, serialHardened sharedHost }{
	classic:        sharedHost{boot: func() (*lab.Lab, error) { return lab.NewClassic(lab.Options{Name: "the shared classic host"}) }},
	hardened:       sharedHost{boot: func() (*lab.Lab, error) { return newHardened("the shared hardened host") }},
	serialClassic:  sharedHost{boot: func() (*lab.Lab, error) { return lab.NewClassic(lab.Options{Name: "the serial classic host"}) }},
	serialHardened: sharedHost{boot: func() (*lab.Lab, error) { return newHardened("the serial hardened host") }},
}

func newHardened(name string) (*lab.Lab, error) {
	d, err := lab.Render(hardened())
	if err != nil {
		return nil, err
	}
	l, err := lab.New(lab.Options{Name: name}.With(d))
	if err != nil {
		return nil, err
	}
	signal, err := l.TrySignal()
	if err == nil && signal.Status != "SUCCESS" {
		failed, _, _ := l.TryRoot("journalctl --no-pager -q -b -o cat -t postern | grep -E '\"(fail|failure|alarm)\"'; " +
			"for unit in $(systemctl list-units --failed --plain --no-legend | cut -d' ' -f1); do journalctl --no-pager -q -b -u $unit; done")
		err = fmt.Errorf("%s signals %+v:\n%s", name, signal, failed)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	// All attackers have the client's address, and one who is banned bans them all.
	if out, code, err := l.TryRoot("fail2ban-client set sshd addignoreip 198.51.100.0/24"); err != nil || code != 0 {
		l.Close()
		return nil, fmt.Errorf("%s: fail2ban: %s (%d, %w)", name, out, code, err)
	}
	return l, nil
}

// get is the host for tests that don't disturb each other.
func (h *sharedHost) get(t *testing.T) *lab.Lab {
	t.Helper()
	h.once.Do(func() {
		if h.lab, h.err = h.boot(); h.err != nil {
			t.Log(h.err)
		}
	})
	if h.err != nil {
		t.Fatal("the host that this test shares does not come up: the first test that wanted it says why")
	}
	return h.lab
}

// lock is the host for this test alone, until it is over.
func (h *sharedHost) lock(t *testing.T) *lab.Lab {
	t.Helper()
	h.used.Lock()
	t.Cleanup(h.used.Unlock)
	return h.get(t)
}

func closeShared() {
	for _, h := range []*sharedHost{&shared.classic, &shared.hardened, &shared.serialClassic, &shared.serialHardened} {
		if h.lab != nil {
			h.lab.Close()
		}
	}
}
