//go:build linux

package host_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/test/host/lab"
)

// An Attack is tried twice: on a control, where it must succeed so that it is not
// vacuous, and on the hardened host, where it must not.
type Attack struct {
	// Group and Name are those of its test: TestAttacks/GROUP/NAME.
	Group, Name string
	// Try attacks as a person who has an account and nothing else. It says whether
	// that succeeded and what shows it.
	Try func(*Target) (succeeded bool, evidence string)
	// Weaken takes the one defence from the hardened host that the attack meets, and
	// gives it back. nil: the control is the classic host.
	Weaken func(*Target) (restore func())
	// Serial attacks have a host for themselves until they are over: those that want
	// faults, change the host, or touch all people. Those with Weaken are on the control.
	Serial bool
	// Alone gives the attack hosts that nobody uses after it.
	Alone bool
	// DiskMiB and MemoryMiB of those hosts.
	DiskMiB, MemoryMiB int
	// Others are people who must be on the host too.
	Others int
}

// A Target is a host under attack.
type Target struct {
	*lab.Lab
	T *testing.T
	// Person is the attacker, known to nobody else.
	Person string
	// Others are people with an account, who do nothing.
	Others []string
	// Classic says that this is a host of the classic script.
	Classic bool
}

// attacks are all attacks. Files add theirs in init.
var attacks []Attack

// Before the other tests, not beside them: attacks measure times.
func TestAttacks(t *testing.T) {
	groups := map[string][]Attack{}
	var order []string
	for _, a := range attacks {
		if groups[a.Group] == nil {
			order = append(order, a.Group)
		}
		require.False(t, slices.ContainsFunc(groups[a.Group], func(b Attack) bool { return a.Name == b.Name }), "two attacks %s/%s", a.Group, a.Name)
		groups[a.Group] = append(groups[a.Group], a)
	}
	for _, group := range order {
		t.Run(group, func(t *testing.T) {
			t.Parallel()
			for _, a := range groups[group] {
				t.Run(a.Name, func(t *testing.T) {
					t.Parallel()
					a.run(t)
				})
			}
		})
	}
}

func (a Attack) run(t *testing.T) {
	t.Run("control", func(t *testing.T) {
		if a.Weaken == nil {
			a.must(t, a.classic(t), true)
			return
		}
		target := a.hardened(t)
		defer a.Weaken(target)()
		a.must(t, target, true)
	})
	a.Weaken = nil
	t.Run("hardened", func(t *testing.T) { a.must(t, a.hardened(t), false) })
}

// turns is how many attacks there are at once: more than processors, as most of an
// attack is waiting.
var turns = make(chan struct{}, 4*runtime.NumCPU())

func (a Attack) must(t *testing.T, target *Target, succeed bool) {
	t.Helper()
	turns <- struct{}{}
	defer func() { <-turns }()
	start := time.Now()
	succeeded, evidence := a.Try(target)
	t.Logf("%s: %s", time.Since(start).Round(time.Millisecond), evidence)
	switch {
	case succeed && !succeeded:
		t.Errorf("vacuous: the attack does not even succeed on the control: %s", evidence)
	case !succeed && succeeded:
		t.Errorf("THE ATTACK SUCCEEDS: %s", evidence)
	}
}

var newcomers atomic.Int32

// fresh is a name that nobody had, and that is not the beginning of another's.
func fresh() string { return fmt.Sprintf("newcomer%04d", newcomers.Add(1)) }

func (a Attack) classic(t *testing.T) *Target {
	target := &Target{T: t, Person: fresh(), Classic: true}
	switch {
	case a.Alone:
		target.Lab = own(t, classicFrom, lab.Options{Name: "classic, " + a.Name, DiskMiB: a.DiskMiB, MemoryMiB: a.MemoryMiB}).get(t)
	case a.Serial:
		target.Lab = shared.serialClassic.lock(t).lab
	default:
		target.Lab = shared.classic.get(t)
	}
	for range a.Others {
		target.Others = append(target.Others, fresh())
	}
	names := append([]string{target.Person}, target.Others...)
	target.ClassicPeople(t, names...)
	if a.Serial {
		// A cycle of the classic script takes its time for each person.
		t.Cleanup(func() { target.ClassicForget(t, names...) })
	}
	return target
}

func (a Attack) hardened(t *testing.T) *Target {
	var host *sharedHost
	switch {
	case a.Alone:
		host = own(t, hardenedFrom, lab.Options{Name: "hardened, " + a.Name, DiskMiB: a.DiskMiB, MemoryMiB: a.MemoryMiB})
	case a.Serial || a.Weaken != nil:
		host = shared.serialHardened.lock(t)
	default:
		host = &shared.hardened
	}
	target := &Target{T: t, Lab: host.get(t), Person: host.person(t)}
	for range a.Others {
		target.Others = append(target.Others, host.person(t))
	}
	return target
}

// Cycle runs the reconcile of people once, as its timer does.
func (x *Target) Cycle() {
	x.T.Helper()
	if x.Classic {
		x.ClassicSync(x.T)
		return
	}
	x.Root(x.T, "systemctl start postern-people.service")
}

// LogDir is where the host keeps what it records.
func (x *Target) LogDir() string {
	if x.Classic {
		return "/var/log/bastion"
	}
	return "/var/log/postern"
}

// Recorded is everything that was shown in recorded sessions of a person, as far as
// the host has it.
func (x *Target) Recorded(person string) string {
	x.T.Helper()
	if x.Classic {
		out, _ := x.Root(x.T, "cat /var/log/bastion/*_"+person+"_*.data")
		return out
	}
	// The first line of a session's first segment names the person.
	out, _ := x.Root(x.T, `cd /var/log/postern/sessions && grep -lm 1 -F '"person":"`+person+`"' */000001.cast | while IFS=/ read -r s _; do cat "$s"/*.cast; done`)
	return shown(out)
}

// shown puts the output events of asciicast files together.
func shown(casts string) string {
	var b strings.Builder
	for line := range strings.Lines(casts) {
		var event []any
		if json.Unmarshal([]byte(line), &event) == nil && len(event) == 3 && event[1] == "o" {
			b.WriteString(event[2].(string))
		}
	}
	return b.String()
}

// IsRecorded waits a moment for a text to be in the records of the attacker.
func (x *Target) IsRecorded(text string) bool {
	x.T.Helper()
	for range 4 {
		if strings.Contains(x.Recorded(x.Person), text) {
			return true
		}
		time.Sleep(250 * time.Millisecond)
	}
	return false
}

// Exists says whether a path is on the host.
func (x *Target) Exists(path string) bool {
	x.T.Helper()
	_, code := x.Root(x.T, "test -e "+path)
	return code == 0
}

// Try opens a session of the attacker, and gives it to f. Where there is none,
// nothing was tried: the test fails.
func (x *Target) Try(f func(*lab.Session) (bool, string)) (bool, string) {
	x.T.Helper()
	s, err := x.Open(x.Person, lab.SSHOptions{Wait: 5 * time.Second})
	if err != nil {
		x.T.Errorf("no session for the attacker: %v", err)
		return false, "no session: " + err.Error()
	}
	defer s.Close()
	return f(s)
}

// withoutSSHD takes keywords from the configuration of sshd and gives them back.
func (x *Target) withoutSSHD(keywords ...string) (restore func()) {
	x.T.Helper()
	const dropIn = "/etc/ssh/sshd_config.d/00-postern.conf"
	script := "set -e; cp -p " + dropIn + " /root/drop-in; "
	for _, keyword := range keywords {
		script += "sed -i '/^" + keyword + " /Id' " + dropIn + "; "
	}
	x.MustRoot(x.T, script+restartSSHD)
	return func() { x.MustRoot(x.T, "mv /root/drop-in "+dropIn+"; "+restartSSHD) }
}

// restartSSHD takes the counter back that keeps a unit from being started often.
const restartSSHD = "unit=$(systemctl list-unit-files --no-legend --plain --state=enabled ssh.service sshd.service | cut -d' ' -f1 | head -n 1); " +
	"systemctl reset-failed $unit; systemctl restart $unit"

// withSSHD adds lines to the configuration of sshd, before those of the host, which
// therefore don't count, and takes them away again. name orders several such files.
func (x *Target) withSSHD(name string, lines ...string) (restore func()) {
	x.T.Helper()
	path := "/etc/ssh/sshd_config.d/00-" + name + ".conf"
	x.MustRoot(x.T, "printf '%s\\n' '"+strings.Join(lines, "' '")+"' >"+path+"; sshd -t && { "+restartSSHD+"; }")
	return func() { x.MustRoot(x.T, "rm "+path+"; "+restartSSHD) }
}
