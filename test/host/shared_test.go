//go:build linux

package host_test

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/postern-cdk/postern/test/host/lab"
)

// crowd is how many people are on a hardened host from its first boot on: to bring each
// when an attack begins would cost a cycle of the reconcile for each.
const crowd = 300

// crowded counts those whom a test took, on whatever host. For the kernel, which limits
// the processes of each, the same UID on two hosts is one person; the first ones are
// those of hosts with few people.
var crowded atomic.Int32

const firstOfCrowd = 20

// A sharedHost is booted once, by the first test that wants it.
type sharedHost struct {
	boot func() (*lab.Lab, error)
	// imaged hosts are what others start from.
	imaged bool

	once  sync.Once
	lab   *lab.Lab
	image *lab.Image
	err   error
}

// serialHosts of each kind share the attacks that have a host for themselves.
var serialHosts = min(runtime.NumCPU(), 3)

// Hosts that tests share. Two have booted from user data; the others start from images
// of them.
var shared = struct {
	classic, hardened             sharedHost
	serialClassic, serialHardened pool
}{
	classic: sharedHost{imaged: true, boot: func() (*lab.Lab, error) { return lab.NewClassic(lab.Options{Name: "the classic host"}) }},
	hardened: sharedHost{imaged: true, boot: func() (*lab.Lab, error) {
		return newHardened(lab.Options{Name: "the hardened host", Prepare: func(l *lab.Lab) {
			for i := range crowd {
				l.Person(mallory(i))
			}
		}})
	}},
}

func init() {
	shared.serialClassic = newPool("serial classic host", classicFrom)
	shared.serialHardened = newPool("serial hardened host", hardenedFrom)
}

// mallory is the name of a person of the crowd. None is the beginning of another's.
func mallory(i int) string { return fmt.Sprintf("mallory%03d", i) }

func newHardened(o lab.Options) (*lab.Lab, error) {
	d, err := lab.Render(hardened())
	if err != nil {
		return nil, err
	}
	l, err := lab.New(o.With(d))
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
	if err == nil {
		var there string
		there, _, err = l.TryRoot("grep -c ^mallory /etc/passwd")
		if err == nil && strings.TrimSpace(there) != strconv.Itoa(crowd) {
			err = fmt.Errorf("%s: of %d people %s have accounts", o.Name, crowd, there)
		}
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// failure is why a host does not signal success.
func failure(l *lab.Lab, signal lab.Signal) error {
	said, _, err := l.TryRoot(`journalctl --no-pager -q -b -o cat -t postern | grep -E '"(fail|failure|alarm|bootstrap)"'; ` +
		"for unit in $(systemctl list-units --failed --plain --no-legend | cut -d' ' -f1); do journalctl --no-pager -q -b -u $unit; done")
	return fmt.Errorf("the host signals %+v:\n%s\n%s (%w)", signal, said, l.Console(), err)
}

// unbanned lets clients try as often as they like: all attackers have the client's
// address, and one who is banned bans them all.
func unbanned(l *lab.Lab) error {
	if out, code, err := l.TryRoot("fail2ban-client set sshd addignoreip 198.51.100.0/24"); err != nil || code != 0 {
		return fmt.Errorf("fail2ban: %s (%d, %w)", out, code, err)
	}
	return nil
}

// hardenedFrom starts a host from an image of the hardened one. [Target.Cycle] is its
// reconcile of people, which a test could not tell from one by the timer.
func hardenedFrom(o lab.Options) (*lab.Lab, error) {
	return from(&shared.hardened, o, func(l *lab.Lab) error {
		if out, code, err := l.TryRoot("systemctl stop postern-people.timer"); err != nil || code != 0 {
			return fmt.Errorf("postern-people.timer: %s (%d, %w)", out, code, err)
		}
		return unbanned(l)
	})
}

// classicFrom starts a host from an image of the classic one.
func classicFrom(o lab.Options) (*lab.Lab, error) {
	return from(&shared.classic, o, (*lab.Lab).ClassicAlone)
}

func from(h *sharedHost, o lab.Options, ready func(*lab.Lab) error) (*lab.Lab, error) {
	if err := h.start(); err != nil {
		return nil, err
	}
	o.Image = h.image
	l, err := lab.New(o)
	if err != nil {
		return nil, err
	}
	if err = l.Up(); err == nil {
		err = ready(l)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// own is a host for one test, from an image.
func own(t *testing.T, boot func(lab.Options) (*lab.Lab, error), o lab.Options) *sharedHost {
	t.Helper()
	h := &sharedHost{boot: func() (*lab.Lab, error) { return boot(o) }}
	t.Cleanup(h.close)
	return h
}

// start boots the host where it isn't yet, and takes the image of it that others start
// from, before anybody was there.
func (h *sharedHost) start() error {
	h.once.Do(func() {
		if h.lab, h.err = h.boot(); h.err == nil && h.imaged {
			h.image, h.err = h.lab.Image()
		}
	})
	return h.err
}

// get is the host for tests that don't disturb each other.
func (h *sharedHost) get(t *testing.T) *lab.Lab {
	t.Helper()
	if err := h.start(); err != nil {
		t.Fatal(err)
	}
	return h.lab
}

// person is one of the crowd whom no test had.
func (*sharedHost) person(t *testing.T) string {
	t.Helper()
	n := firstOfCrowd + int(crowded.Add(1)) - 1
	if n >= crowd {
		t.Fatalf("all %d people are taken: raise crowd", crowd)
	}
	return mallory(n)
}

func (h *sharedHost) close() {
	if h.lab != nil {
		h.lab.Close()
	}
	if h.image != nil {
		h.image.Remove()
	}
}

// A pool is hosts of which a test gets one for itself.
type pool struct {
	free  chan *sharedHost
	hosts []*sharedHost
}

func newPool(name string, boot func(lab.Options) (*lab.Lab, error)) pool {
	p := pool{free: make(chan *sharedHost, serialHosts)}
	for i := range serialHosts {
		h := &sharedHost{boot: func() (*lab.Lab, error) { return boot(lab.Options{Name: fmt.Sprintf("%s %d", name, i+1)}) }}
		p.hosts = append(p.hosts, h)
		p.free <- h
	}
	return p
}

// lock is a host for this test alone, until it is over.
func (p *pool) lock(t *testing.T) *sharedHost {
	t.Helper()
	h := <-p.free
	t.Cleanup(func() { p.free <- h })
	h.get(t)
	return h
}

func closeShared() {
	var closing sync.WaitGroup
	for _, h := range append(append(shared.serialClassic.hosts, shared.serialHardened.hosts...), &shared.classic, &shared.hardened, &example.host) {
		closing.Go(h.close)
	}
	closing.Wait()
}
