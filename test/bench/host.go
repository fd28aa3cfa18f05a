//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-cdk/postern/internal/host"
	"github.com/postern-cdk/postern/test/host/lab"
)

// The budgets of the host.
const (
	maxBootSeconds   = 15
	maxLoginRatio    = 1.15
	maxRecorderMB    = 100
	maxLostSeconds   = 5
	maxFirstSeconds  = 60 // of a first reconcile of 1,000 people
	maxIdleRequests  = 0
	burstBytes       = 100 << 20
	idleSeconds      = 30
	paceSeconds      = 10
	sessionsOfPerson = 10
)

// steady is what a cycle of the reconcile may take where nothing changed.
var steady = map[int]struct{ requests, seconds int }{1000: {2, 2}, 10000: {11, 10}}

// hostSection makes a section of what needs labs.
func hostSection(f func(b *bench, t *tester) error) func(*bench) error {
	return func(b *bench) error {
		// sbin, which a user's PATH may lack, has what sets up a network.
		if err := os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin"); err != nil {
			return err
		}
		if err := lab.Missing(); err != nil {
			return fmt.Errorf("NOT MEASURED, no host was booted: %w", err)
		}
		return withTester(func(t *tester) error { return f(b, t) })
	}
}

// A contender is a kind of host.
type contender struct {
	*lab.Lab
	name string
	// person is one with an account and a key.
	people []string
}

const (
	plain   = "plain sshd"
	classic = "classic script"
	ours    = "Postern"
)

func bootPlain(t *tester, o lab.Options) *contender {
	o.Name = plain
	l := lab.Boot(t, o)
	lab.Eventually(t, lab.BootTimeout, "the plain host is up", func() bool {
		_, code, err := l.TryRoot("cloud-init status --wait >/dev/null 2>&1; systemctl is-active ssh && systemctl stop cron")
		return err == nil && code == 0
	})
	return &contender{Lab: l, name: plain}
}

func bootClassic(t *tester, o lab.Options) *contender {
	o.Name = classic
	return &contender{Lab: lab.BootClassic(t, o), name: classic}
}

// bootOurs waits for the signal of success.
func bootOurs(t *tester, o lab.Options) *contender {
	o.Name = ours
	d, err := lab.Render(lab.Hardened())
	if err != nil {
		t.Fatal(err)
	}
	l := lab.Boot(t, o.With(d))
	if signal := l.WaitSignal(t); signal.Status != "SUCCESS" {
		failed, _ := l.Root(t, `journalctl --no-pager -q -b -o cat -t postern | grep -E '"(fail|failure|alarm)"'`)
		t.Fatalf("the host signals %+v\n%s", signal, failed)
	}
	return &contender{Lab: l, name: ours}
}

// join makes people with accounts.
func (c *contender) join(t *tester, names ...string) {
	for _, name := range names {
		switch c.name {
		case plain:
			key := lab.NewKey()
			c.Know(name, key)
			c.MustRoot(t, fmt.Sprintf(`useradd --create-home --shell /bin/bash %[1]s && install -d -m 700 -o %[1]s -g %[1]s /home/%[1]s/.ssh &&
echo '%[2]s' >/home/%[1]s/.ssh/authorized_keys`, name, strings.TrimSpace(string(lab.AuthorizedKey(key)))))
		case classic:
			c.ClassicPerson(t, name)
		default:
			c.Person(name)
		}
	}
	if c.name == ours {
		lab.Eventually(t, 30*time.Second, "the people have accounts", func() bool {
			c.Root(t, "systemctl start postern-people.service")
			_, code := c.Root(t, "id "+strings.Join(names, " "))
			return code == 0
		})
	}
	c.people = append(c.people, names...)
}

// quiet stops what would run by itself while something else is measured.
func (c *contender) quiet(t *tester) {
	if c.name == ours {
		c.MustRoot(t, "systemctl stop 'postern-*.timer'; systemctl is-active -q postern-people.service postern-check.service || true")
	}
}

// prompt is what a shell shows when it waits.
const prompt = `[$#] $`

// open gives n sessions, each at its prompt.
func (c *contender) open(t *tester, n int) []*lab.Session {
	var list []*lab.Session
	for i := range n {
		s := c.Login(t, c.people[i/sessionsOfPerson])
		if _, err := s.Wait(prompt, time.Minute); err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

// hostBoot is what an instance takes until CloudFormation hears that it is there.
func (b *bench) hostBoot(t *tester) error {
	runs := max(1, b.runs/3)
	var cold, kept, reboot, control []float64
	steps := map[string][]float64{}
	var order []string
	for range runs {
		first := bootOurs(t, lab.Options{})
		cold = append(cold, first.Signals()[0].At.Seconds())
		// Its last line comes after the signal.
		var event string
		lab.Eventually(t, 10*time.Second, "the bootstrap is over", func() bool {
			event, _ = first.Root(t, `journalctl --no-pager -q -b -o cat -t postern | grep '"postern":"bootstrap"'`)
			return event != ""
		})
		var told struct{ Steps string }
		if err := json.Unmarshal([]byte(event), &told); err != nil {
			return fmt.Errorf("the bootstrap's event: %w: %s", err, event)
		}
		for _, field := range strings.Fields(told.Steps) {
			name, ms, _ := strings.Cut(strings.TrimSuffix(field, "ms"), "=")
			n, err := strconv.ParseFloat(ms, 64)
			if err != nil {
				return fmt.Errorf("%s: %w", field, err)
			}
			if steps[name] == nil {
				order = append(order, name)
			}
			steps[name] = append(steps[name], n/1000)
		}
		names := first.SSM.Names()
		// The instance that follows finds the keys of this one.
		second := bootOurs(t, lab.Options{Prepare: func(l *lab.Lab) {
			for _, name := range names {
				p, _ := first.SSM.Get(name)
				l.SSM.Put(name, p.Value)
			}
		}})
		kept = append(kept, second.Signals()[0].At.Seconds())
		second.Close()
		first.join(t, "alice")
		first.Shutdown(t)
		start := time.Now()
		first.Start(t)
		client, err := first.Dial("alice", lab.SSHOptions{Wait: lab.BootTimeout})
		if err != nil {
			return fmt.Errorf("after a restart: %w", err)
		}
		reboot = append(reboot, time.Since(start).Seconds())
		_ = client.Close()
		first.Close()

		c := bootClassic(t, lab.Options{})
		control = append(control, c.Signals()[0].At.Seconds())
		c.Close()
	}
	b.hold(median(cold) <= maxBootSeconds, "Start to signal, the first instance: host keys are made, every check done", seconds(maxBootSeconds),
		"%.1f s (%.1f to %.1f); classic script, which checks nothing: %.1f s", median(cold), slices.Min(cold), slices.Max(cold), median(control))
	b.hold(median(kept) <= maxBootSeconds, "Start to signal, one that follows: host keys from Parameter Store", seconds(maxBootSeconds),
		"%.1f s (%.1f to %.1f)", median(kept), slices.Min(kept), slices.Max(kept))
	b.state("Start to login, the same instance started again", "%.1f s", median(reboot))
	var list []string
	sum := 0.0
	for _, name := range order {
		list = append(list, fmt.Sprintf("%s %.2f", name, median(steps[name])))
		sum += median(steps[name])
	}
	b.state("Its steps, seconds", "%s", strings.Join(list, ", "))
	b.state("The system and cloud-init before them, and the signal", "%.1f s", median(cold)-sum)
	return nil
}

func seconds(n int) string { return fmt.Sprintf("%d s", n) }

var stopwatch = regexp.MustCompile(`took (\d+) us`)

// timed is how long a command takes on the host, and what it asked of the bucket of
// people.
func (c *contender) timed(t *tester, command string) (took float64, requests int) {
	before := len(c.Requests())
	out := c.MustRoot(t, `export HOME=/root; cd; s=${EPOCHREALTIME/./}; { `+command+`; } >/tmp/bench.log 2>&1 || { cat /tmp/bench.log; exit 1; }; e=${EPOCHREALTIME/./}; echo took $((e - s)) us`)
	m := stopwatch.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("%s: %s", command, out)
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil || n == 0 {
		t.Fatalf("%s took no time: %s", command, out)
	}
	for _, r := range c.Requests()[before:] {
		if r.Service == "s3" && r.Bucket == lab.PeopleBucket {
			requests++
		}
	}
	return n / 1e6, requests
}

const (
	ourCycle     = "systemctl start postern-people.service"
	classicCycle = "/usr/bin/bastion/sync_users"
)

// hostPeople is what the reconcile of people costs.
func (b *bench) hostPeople(t *tester) error {
	for _, n := range []int{10, 100, 1000, 10000} {
		fill := func(l *lab.Lab) {
			for i := range n {
				l.S3.Put(fmt.Sprintf("public-keys/person%05d.pub", i), lab.AuthorizedKey(lab.NewKey()))
			}
		}
		there := func(c *contender) {
			if out := c.MustRoot(t, "grep -c ^person /etc/passwd || true"); strings.TrimSpace(out) != strconv.Itoa(n) {
				t.Fatalf("%s: of %d people %s have accounts", c.name, n, strings.TrimSpace(out))
			}
		}
		c := bootOurs(t, lab.Options{DiskMiB: 4096})
		c.quiet(t)
		fill(c.Lab)
		first, asked := c.timed(t, ourCycle)
		there(c)
		var again []float64
		requests := 0
		for range max(3, b.runs/2) {
			took, n := c.timed(t, ourCycle)
			again, requests = append(again, took), max(requests, n)
		}
		c.Close()
		controlFirst, controlSteady := "", ""
		if n <= 100 {
			c := bootClassic(t, lab.Options{})
			fill(c.Lab)
			took, asked := c.timed(t, classicCycle)
			there(c)
			controlFirst = fmt.Sprintf("; classic script: %.1f s, %d requests", took, asked)
			took, asked = c.timed(t, classicCycle)
			controlSteady = fmt.Sprintf("; classic script: %.1f s, %d requests", took, asked)
			c.Close()
		}
		budget := steady[n]
		what := fmt.Sprintf("A cycle of people, nothing changed, %d people", n)
		if budget.seconds == 0 {
			b.state(what, "%.2f s, %d requests%s", median(again), requests, controlSteady)
		} else {
			b.hold(median(again) <= float64(budget.seconds) && requests <= budget.requests, what,
				fmt.Sprintf("%d s, %d requests", budget.seconds, budget.requests), "%.2f s, %d requests%s", median(again), requests, controlSteady)
		}
		what = fmt.Sprintf("The first cycle, %d people", n)
		if n == 1000 {
			b.hold(first <= maxFirstSeconds, what, seconds(maxFirstSeconds), "%.1f s, %d requests", first, asked)
		} else {
			b.state(what, "%.2f s, %d requests%s", first, asked, controlFirst)
		}
	}
	return nil
}

// hostLogin is the time from the connection to a prompt: of somebody who is not
// logged in, for whom systemd sets up what a user has, and of one who just was.
func (b *bench) hostLogin(t *tester) error {
	all := []*contender{bootPlain(t, lab.Options{}), bootClassic(t, lab.Options{}), bootOurs(t, lab.Options{})}
	runs := 5 * b.runs
	var names []string
	for i := range runs + 2 {
		names = append(names, fmt.Sprintf("person%d", i))
	}
	for _, c := range all {
		c.join(t, names...)
		c.quiet(t)
	}
	first, again := map[string][]float64{}, map[string][]float64{}
	login := func(c *contender, name string) (float64, error) {
		start := time.Now()
		s := c.Login(t, name)
		defer s.Close()
		_, err := s.Wait(prompt, time.Minute)
		return time.Since(start).Seconds() * 1000, err
	}
	for i, name := range names {
		for _, c := range all {
			took, err := login(c, name)
			if err != nil {
				return err
			}
			repeated, err := login(c, name)
			if err != nil {
				return err
			}
			if i >= 2 { // the first ones find cold caches
				first[c.name], again[c.name] = append(first[c.name], took), append(again[c.name], repeated)
			}
		}
	}
	compare := func(took map[string][]float64) (ratio float64, text string) {
		ours, plain, classic := median(took[ours]), median(took[plain]), median(took[classic])
		return ours / plain, fmt.Sprintf("%.0f ms against %.0f ms: %.2f ×; classic script %.0f ms: %.2f ×", ours, plain, ours/plain, classic, classic/plain)
	}
	ratio, text := compare(first)
	b.hold(ratio <= maxLoginRatio, fmt.Sprintf("Connection to prompt, a person who isn't logged in, %d logins each", runs), fmt.Sprintf("%.2f × plain sshd", maxLoginRatio), "%s", text)
	ratio, text = compare(again)
	b.hold(ratio <= maxLoginRatio, fmt.Sprintf("Connection to prompt, right after a session of the same person, %d logins each", runs), fmt.Sprintf("%.2f × plain sshd", maxLoginRatio), "%s", text)
	return nil
}

// usage is what the programs that record take on a host, by process.
type usage map[string]struct {
	name   string
	pssMB  float64
	cpuSec float64
}

func (u usage) pssMB() (sum float64) {
	for _, p := range u {
		sum += p.pssMB
	}
	return sum
}

// cpuSince is what those have used that were there before, too.
func (u usage) cpuSince(before usage) (sum float64) {
	for pid, p := range u {
		if was, ok := before[pid]; ok {
			sum += p.cpuSec - was.cpuSec
		}
	}
	return sum
}

func (u usage) parts() string {
	sums := map[string]float64{}
	for _, p := range u {
		sums[p.name] += p.pssMB
	}
	var parts []string
	for name, mb := range sums {
		parts = append(parts, fmt.Sprintf("%s %.1f", name, mb))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// recorders print process, PSS in KiB, clock ticks of CPU and name of each.
var recorders = map[string]string{
	ours: `for p in /proc/[0-9]*; do
  e=$(readlink "$p/exe") || continue
  case $e in /opt/postern/bin/*) read -r _ word _ <<<"$(tr '\0' ' ' <"$p/cmdline")"
    name=${e##*/postern-}; [[ $name != host ]] || name=$word
    echo "${p##*/} $(awk '/^Pss:/ { print $2 }' "$p/smaps_rollup") $(sed 's/.*) //' "$p/stat" | awk '{ print $12 + $13 }') $name" ;; esac
done; true`,
	// The shell that sshd starts ForceCommand with, and script, twice.
	classic: `for p in /proc/[0-9]*; do
  c=$(tr '\0' ' ' <"$p/cmdline" 2>/dev/null) || continue
  case $c in *bastion/shell* | script*) echo "${p##*/} $(awk '/^Pss:/ { print $2 }' "$p/smaps_rollup") $(sed 's/.*) //' "$p/stat" | awk '{ print $12 + $13 }') ${c%% *}" ;; esac
done; true`,
}

func (c *contender) recorders(t *tester) usage {
	u := usage{}
	for line := range strings.Lines(c.MustRoot(t, recorders[c.name])) {
		fields := strings.Fields(line)
		if len(fields) != 4 {
			continue // it ended meanwhile
		}
		kib, err1 := strconv.ParseFloat(fields[1], 64)
		ticks, err2 := strconv.ParseFloat(fields[2], 64)
		if err1 != nil || err2 != nil {
			t.Fatalf("processes of %s: %s", c.name, line)
		}
		p := u[fields[0]]
		p.name, p.pssMB, p.cpuSec = fields[3], kib/1024, ticks/100
		u[fields[0]] = p
	}
	if len(u) == 0 {
		t.Fatalf("%s: nothing records", c.name)
	}
	return u
}

// cpu is what everything on the host has used, in seconds.
func (c *contender) cpu(t *tester) float64 {
	out := c.MustRoot(t, "head -n 1 /sys/fs/cgroup/cpu.stat")
	n, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimPrefix(out, "usage_usec ")), 64)
	if err != nil {
		t.Fatal(err)
	}
	return n / 1e6
}

// hostRecorder is what recording takes while people work.
func (b *bench) hostRecorder(t *tester) error {
	hosts := []*contender{bootClassic(t, lab.Options{}), bootOurs(t, lab.Options{})}
	for _, c := range hosts {
		c.quiet(t)
		c.join(t, "alice", "bob", "carol", "dave", "erin")
	}
	for _, n := range []int{1, 10, 50} {
		memory, cpu := map[string]usage{}, map[string]float64{}
		for _, c := range hosts {
			list := c.open(t, n)
			before, start := c.recorders(t), time.Now()
			for range paceSeconds {
				for _, s := range list {
					s.Type("ls -l /etc/ssh")
				}
				time.Sleep(time.Second)
			}
			memory[c.name] = c.recorders(t)
			cpu[c.name] = 100 * memory[c.name].cpuSince(before) / time.Since(start).Seconds()
			for _, s := range list {
				s.Close()
			}
		}
		mb := memory[ours].pssMB()
		what, format := fmt.Sprintf("Memory of recording and shipping, sessions: %d", n), "%.1f MB (%s); classic script, which ships nothing meanwhile: %.1f MB"
		args := []any{mb, memory[ours].parts(), memory[classic].pssMB()}
		if n == 50 {
			b.hold(mb < maxRecorderMB, what, fmt.Sprintf("%d MB", maxRecorderMB), format, args...)
		} else {
			b.state(what, format, args...)
		}
		b.state(fmt.Sprintf("CPU of it while each lists a folder every second, sessions: %d", n), "%.1f %% of a CPU; classic script %.1f %%", cpu[ours], cpu[classic])
	}
	return nil
}

// hostBurst is what 100 MB of output take.
func (b *bench) hostBurst(t *tester) error {
	all := []*contender{
		bootPlain(t, lab.Options{DiskMiB: 4096}), bootClassic(t, lab.Options{DiskMiB: 4096}), bootOurs(t, lab.Options{DiskMiB: 4096}),
	}
	took, used := map[string][]float64{}, map[string][]float64{}
	peakMB, deliveredMB := 0.0, 0.0
	for _, c := range all {
		c.quiet(t)
		c.MustRoot(t, fmt.Sprintf(`yes '0123456789 the quick brown fox jumps over the lazy dog' | head -c %d >/srv/burst; chmod 644 /srv/burst`, burstBytes))
	}
	for run := range max(1, b.runs/3) {
		for _, c := range all {
			// Each as another person: how much one may write at full speed is limited.
			name := fmt.Sprintf("burst%d", run)
			c.join(t, name)
			client, err := c.Dial(name, lab.SSHOptions{})
			if err != nil {
				return err
			}
			before := c.cpu(t)
			elapsed, err := burst(client)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			took[c.name] = append(took[c.name], elapsed.Seconds())
			if c.name == ours {
				peakMB = max(peakMB, c.recorders(t).pssMB())
				delivered := 0
				lab.Eventually(t, 5*time.Minute, "the burst is delivered", func() bool {
					delivered = 0
					for _, key := range c.S3.Keys(lab.RecordBucket, "") {
						o, _ := c.S3.Get(lab.RecordBucket, key)
						delivered += len(o.Data)
					}
					time.Sleep(time.Second)
					return delivered >= (run+1)*burstBytes
				})
				deliveredMB = float64(delivered) / (1 << 20) / float64(run+1)
			}
			used[c.name] = append(used[c.name], c.cpu(t)-before)
			_ = client.Close()
		}
	}
	b.state("100 MB of output, elapsed", "%.1f s; plain sshd %.1f s, classic script %.1f s", median(took[ours]), median(took[plain]), median(took[classic]))
	b.state("100 MB of output, CPU time of the whole host", "%.1f s, with %.0f MB of record delivered; plain sshd %.1f s, classic script, delivering nothing: %.1f s",
		median(used[ours]), deliveredMB, median(used[plain]), median(used[classic]))
	b.state("100 MB of output, memory of recording and shipping right after it", "%.1f MB", peakMB)
	return nil
}

// burst shows the file, and returns when all of it was seen.
func burst(client *ssh.Client) (time.Duration, error) {
	session, err := client.NewSession()
	if err != nil {
		return 0, err
	}
	in, err := session.StdinPipe()
	if err != nil {
		return 0, err
	}
	out, err := session.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := session.RequestPty("xterm", 40, 120, ssh.TerminalModes{}); err != nil {
		return 0, err
	}
	if err := session.Shell(); err != nil {
		return 0, err
	}
	buffer, tail := make([]byte, 256<<10), []byte(nil)
	until := func(mark string) error {
		for !bytes.Contains(tail, []byte(mark)) {
			n, err := out.Read(buffer)
			tail = append(tail, buffer[:n]...)
			if err != nil {
				return fmt.Errorf("before %q: %w; it ends with %q", mark, err, tail[max(0, len(tail)-500):])
			}
			if !bytes.Contains(tail, []byte(mark)) {
				tail = slices.Clone(tail[max(0, len(tail)-200):])
			}
		}
		return nil
	}
	guard := time.AfterFunc(5*time.Minute, func() { _ = client.Close() })
	defer guard.Stop()
	if _, err := io.WriteString(in, "echo rea\"dy\"\r"); err != nil {
		return 0, err
	}
	if err := until("ready"); err != nil {
		return 0, err
	}
	start := time.Now()
	if _, err := io.WriteString(in, "cat /srv/burst; echo all-of-\"it\"\r"); err != nil {
		return 0, err
	}
	err = until("all-of-it")
	return time.Since(start), err
}

var tick = regexp.MustCompile(`tick-(\d+)-`)

// hostLoss cuts the power while somebody types, and looks what is safe.
func (b *bench) hostLoss(t *tester) error {
	const every = 100 * time.Millisecond
	lost := map[string][]float64{}
	var commands []float64
	for run := range max(2, b.runs/3) {
		for _, c := range []*contender{bootClassic(t, lab.Options{}), bootOurs(t, lab.Options{})} {
			c.join(t, "alice")
			s := c.open(t, 1)[0]
			var at []time.Time
			begin := time.Now()
			// Not always at the same moment of whatever has a period.
			for time.Since(begin) < 12*time.Second+time.Duration(run)*1300*time.Millisecond {
				s.Type(fmt.Sprintf(`echo tick"-%d-"`, len(at)))
				if _, err := s.Wait(fmt.Sprintf("tick-%d-", len(at)), 10*time.Second); err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
				at = append(at, time.Now())
				time.Sleep(every)
			}
			c.Kill(t)
			killed := time.Now()
			time.Sleep(500 * time.Millisecond) // what was sent arrives

			last := func(text string) float64 {
				newest := -1
				for _, m := range tick.FindAllStringSubmatch(text, -1) {
					n, _ := strconv.Atoi(m[1])
					newest = max(newest, n)
				}
				if newest+1 >= len(at) {
					return 0
				}
				return killed.Sub(at[newest+1]).Seconds()
			}
			var records, lines strings.Builder
			for _, key := range c.S3.Keys(lab.RecordBucket, "") {
				o, _ := c.S3.Get(lab.RecordBucket, key)
				records.Write(o.Data)
			}
			for _, key := range c.S3.Keys(lab.PeopleBucket, "logs/") {
				o, _ := c.S3.Get(lab.PeopleBucket, key)
				records.Write(o.Data)
			}
			for _, e := range c.Logs.All("") {
				// Typed as tick"-1-".
				lines.WriteString(strings.NewReplacer(`\"`, "", `"`, "").Replace(e.Message))
			}
			lost[c.name] = append(lost[c.name], last(records.String()))
			if c.name == ours {
				commands = append(commands, last(lines.String()))
			}
			c.Close()
		}
	}
	b.hold(slices.Max(lost[ours]) <= maxLostSeconds, fmt.Sprintf("Evidence lost when the power goes, worst of %d", len(lost[ours])), seconds(maxLostSeconds),
		"%.1f s of the recording, %.1f s of the commands; classic script: all of %.1f s, of an open session up to 300 s",
		slices.Max(lost[ours]), slices.Max(commands), slices.Max(lost[classic]))
	return nil
}

// hostIdle counts what shipping asks for while nothing is written.
func (b *bench) hostIdle(t *tester) error {
	c := bootOurs(t, lab.Options{})
	c.join(t, "alice")
	c.quiet(t)
	c.open(t, 1)
	time.Sleep(15 * time.Second) // what was written is delivered
	idle := c.asked(func() { time.Sleep(idleSeconds * time.Second) })
	var ops []string
	for _, r := range idle {
		ops = append(ops, r.Service+" "+r.Op+" "+r.Key)
	}
	b.hold(len(idle) <= maxIdleRequests, fmt.Sprintf("Requests to ship in %d s in which nothing is written, one session open", idleSeconds), strconv.Itoa(maxIdleRequests),
		"%d%s", len(idle), strings.Join(append([]string{""}, ops...), " "))

	k := bootClassic(t, lab.Options{})
	k.join(t, "alice")
	k.open(t, 1)
	cycle := func() int {
		return len(k.asked(func() { k.Root(t, "/usr/bin/bastion/sync_s3") }))
	}
	cycle()
	b.state("The classic script's, in each cycle of five minutes", "%d for one session", cycle())
	return nil
}

// asked is what the services were asked for while f ran.
func (c *contender) asked(f func()) []lab.Request {
	before := len(c.Requests())
	f()
	return slices.DeleteFunc(c.Requests()[before:], func(r lab.Request) bool { return r.Service == "imds" })
}

// hostBytes is how large what runs on the host is.
func (b *bench) hostBytes() error {
	bundle, err := lab.Bundle()
	if err != nil {
		return err
	}
	c := lab.Hardened()
	c.BundleBucket, c.BundleKey, c.BundleSHA256 = lab.BundleBucket, bundle.SHA256+".tar.gz", bundle.SHA256
	u, err := host.Render(c)
	if err != nil {
		return err
	}
	b.hold(u.Size() <= host.Limit, "User data, bytes", strconv.Itoa(host.Limit), "%d", u.Size())
	var parts []string
	for _, p := range u.Parts {
		parts = append(parts, fmt.Sprintf("%s %d", p.Name, p.Packed))
	}
	b.state("Its parts, as they share it", "%s", strings.Join(parts, ", "))
	info, err := os.Stat(bundle.Path)
	if err != nil {
		return err
	}
	b.state("The bundle", "%.1f MB", float64(info.Size())/(1<<20))
	return nil
}
