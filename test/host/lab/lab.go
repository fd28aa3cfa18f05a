//go:build linux

package lab

import (
	"bufio"
	"bytes"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

//go:embed supervise.sh
var supervise string

// Options of one host. The zero value boots without user data.
type Options struct {
	// Name tells labs apart in what is printed. Defaults to "host".
	Name string
	// UserData is handed to cloud-init as EC2 would, not encoded.
	UserData []byte
	// Files are put into the root before it boots, by path. They replace what is there.
	Files map[string]File
	// Image is what the host starts from, instead of user data. The operating system
	// must be that of the image's host.
	Image *Image
	// RootFS is the operating system's folder. Defaults to [RootFS].
	RootFS func() (string, error)
	// DiskMiB is how much can be written. Defaults to 2048, of which only what is
	// written takes memory.
	DiskMiB int
	// MemoryMiB is how much all processes of the host and what it writes take together.
	// 0: no limit but the machine's.
	MemoryMiB int
	// DefaultUser is whom the image's cloud-init makes. Defaults to what the image says.
	DefaultUser string
	// Prepare is called when all but the host is there: the place to fill buckets
	// and to set faults that it shall meet while it boots.
	Prepare func(*Lab)
}

// A File to put on the host.
type File struct {
	Data []byte
	Mode os.FileMode // defaults to 0644
}

// A Lab is one host with its cloud and its client.
type Lab struct {
	// HostName is what the container is called.
	HostName string
	S3       *S3
	Logs     *Logs
	SSM      *SSM
	IMDS     *IMDS

	options    Options
	work       string // also the cgroup's name, without its folder
	network    network
	cloud      *cloud
	supervisor *exec.Cmd
	commands   io.WriteCloser
	close      sync.Once
	made       time.Time
	warm       sync.Mutex // of [Lab.WarmCLI]

	mu       sync.Mutex
	keys     map[string]ssh.Signer
	hostKeys map[string]ssh.PublicKey // by type, as clients saw them
	shells   []*rootShell             // idle
	first    int                      // process of the host, as [Lab.pid] found it
}

// Missing says why this machine can't run a lab. nil: it can.
func Missing() error {
	if os.Geteuid() != 0 {
		return errors.New("not root: namespaces, mounts and systemd-nspawn need it")
	}
	for _, tool := range []string{"systemd-nspawn systemd-container", "unshare util-linux", "nsenter util-linux", "ip iproute2"} {
		command, debian, _ := strings.Cut(tool, " ")
		if _, err := exec.LookPath(command); err != nil {
			return fmt.Errorf("no %s: apt-get install %s", command, debian)
		}
	}
	if os.Getenv(rootfsVariable) == "" {
		if _, err := exec.LookPath("mmdebstrap"); err != nil {
			return fmt.Errorf("no mmdebstrap: apt-get install mmdebstrap, or name an operating system in %s", rootfsVariable)
		}
	}
	if err := exec.Command("unshare", "--mount", "--pid", "--fork", "--net", "true").Run(); err != nil {
		return fmt.Errorf("this machine gives no namespaces: %w", err)
	}
	return nil
}

// With makes the options those of a deployment: its user data, and its assets where
// the host looks for them.
func (o Options) With(d *Deployment) Options {
	o.UserData = d.UserData
	prepare := o.Prepare
	o.Prepare = func(l *Lab) {
		for _, asset := range d.Assets {
			// A host that misses an asset says so itself.
			if data, err := os.ReadFile(asset.Path); err == nil {
				l.S3.PutIn(asset.Bucket, asset.Key, data)
			}
		}
		if prepare != nil {
			prepare(l)
		}
	}
	return o
}

// Boot starts a host and ends it with the test. It returns while the host boots.
func Boot(t testing.TB, o Options) *Lab {
	t.Helper()
	l, err := New(o)
	if err != nil {
		t.Fatalf("the lab does not start: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s, the end of the console:\n%s", l.options.Name, tail(l.Console(), 60))
		}
		l.Close()
	})
	return l
}

// New is [Boot] for hosts that several tests share: the caller closes it.
func New(o Options) (l *Lab, err error) {
	if o.Name == "" {
		o.Name = "host"
	}
	if o.DiskMiB == 0 {
		o.DiskMiB = 2048
	}
	if o.RootFS == nil {
		o.RootFS = RootFS
	}
	sweep()
	lower, err := o.RootFS()
	if err != nil {
		return nil, err
	}
	authority, err := theAuthority()
	if err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp("", fmt.Sprintf("postern-lab-%d-", os.Getpid()))
	if err != nil {
		return nil, err
	}
	l = &Lab{
		HostName: "ip-10-0-1-10", options: o, work: work, made: time.Now(),
		keys: map[string]ssh.Signer{}, hostKeys: map[string]ssh.PublicKey{},
	}
	defer func() {
		if err != nil {
			l.Close()
			l = nil
		}
	}()
	if l.network, err = newNetwork(); err != nil {
		return l, err
	}
	if o.Image != nil {
		o.UserData = o.Image.userData
	}
	l.IMDS = newIMDS(o.UserData)
	if l.cloud, err = newCloud(l.network, authority, l.IMDS); err != nil {
		return l, err
	}
	l.S3, l.Logs, l.SSM = l.cloud.s3, l.cloud.logs, l.cloud.ssm
	if err = l.supervise(lower); err != nil {
		return l, err
	}
	if o.Image != nil {
		err = l.furnishFrom(o.Image)
	} else {
		err = l.furnish(authority)
	}
	if err != nil {
		return l, err
	}
	if o.Prepare != nil {
		o.Prepare(l)
	}
	return l, l.start()
}

// supervise starts the process that everything on the host descends from.
func (l *Lab) supervise(lower string) error {
	image := ""
	if l.options.Image != nil {
		image = l.options.Image.folder
	}
	l.supervisor = exec.Command("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc",
		"bash", "-c", supervise, "supervise", filepath.Base(l.work), l.work, lower, strconv.Itoa(l.options.DiskMiB), l.HostName, image, strconv.Itoa(l.options.MemoryMiB))
	// An interrupt at the terminal is for the tests, which then end this one.
	l.supervisor.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	stdin, err := l.supervisor.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := l.supervisor.StdoutPipe()
	if err != nil {
		return err
	}
	var complaint bytes.Buffer
	l.supervisor.Stderr = &complaint
	if err := l.network.bastion.do(l.supervisor.Start); err != nil {
		return err
	}
	l.commands = stdin
	if line, _ := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		_ = stdin.Close()
		_ = l.supervisor.Wait()
		return fmt.Errorf("no root for the host: %s", complaint.String())
	}
	return nil
}

// Path is where the test finds a file of the host. Absolute links in it lead astray.
func (l *Lab) Path(path string) string {
	return filepath.Join(fmt.Sprintf("/proc/%d/root", l.supervisor.Process.Pid), l.work, "root", path)
}

const ec2Source = "/usr/lib/python3*/*-packages/cloudinit/sources/DataSourceEc2.py"

// furnish makes of an operating system an instance on EC2.
func (l *Lab) furnish(a *authority) error {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return err
	}
	// A container has no firmware to ask, and cloud-init knows that. It believes a hypervisor's file.
	cloud := "datasource_list: [Ec2]\n" +
		"datasource: {Ec2: {strict_id: false, max_wait: 10, timeout: 5, metadata_urls: ['http://169.254.169.254']}}\n" +
		"network: {config: disabled}\n" +
		// As the image of Amazon Linux 2023 has it.
		"locale: false\nssh_genkeytypes: [ed25519, ecdsa]\n"
	if l.options.DefaultUser != "" {
		cloud += "system_info: {default_user: {name: " + l.options.DefaultUser + ", lock_passwd: true, gecos: default, " +
			"sudo: ['ALL=(ALL) NOPASSWD:ALL'], shell: /bin/bash}}\n"
	}
	files := map[string]File{
		"/etc/machine-id":                          {Data: []byte(hex.EncodeToString(id) + "\n"), Mode: 0o444},
		"/etc/hostname":                            {Data: []byte("localhost\n")},
		"/etc/fstab":                               {},
		"/etc/resolv.conf":                         {Data: []byte("nameserver " + dnsIP + "\n")},
		"/etc/lab-hypervisor-uuid":                 {Data: []byte("ec2e1916-9099-7caf-fd21-012345abcdef\n")},
		"/etc/cloud/cloud.cfg.d/99-lab.cfg":        {Data: []byte(cloud)},
		"/usr/local/share/ca-certificates/lab.crt": {Data: a.pem},
	}
	for _, bundle := range []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"} {
		if text, err := os.ReadFile(l.Path(bundle)); err == nil {
			files[bundle] = File{Data: slices.Concat(text, a.pem)}
		}
	}
	sources, err := filepath.Glob(l.Path(ec2Source))
	if err != nil || len(sources) != 1 {
		return fmt.Errorf("cloud-init's EC2 source: found %v (%w)", sources, err)
	}
	text, err := os.ReadFile(sources[0])
	if err != nil {
		return err
	}
	patched := bytes.ReplaceAll(text, []byte("/sys/hypervisor/uuid"), []byte("/etc/lab-hypervisor-uuid"))
	if bytes.Equal(text, patched) {
		return errors.New("cloud-init's EC2 source does not ask /sys/hypervisor/uuid any more: the lab's patch has to follow")
	}
	files[strings.TrimPrefix(sources[0], l.Path("/"))] = File{Data: patched}
	for path, file := range l.options.Files {
		files[path] = file
	}
	for path, file := range files {
		if err := l.put(path, file); err != nil {
			return err
		}
	}
	// The address is there already, and nobody answers DHCP: a minute of waiting.
	if err := os.Remove(l.Path("/usr/sbin/dhclient")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	// They would ask for the network and for the processor; nothing here is about them.
	for _, unit := range []string{"apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer", "systemd-timesyncd.service", "e2scrub_reap.service"} {
		path := l.Path("/etc/systemd/system/" + unit)
		_ = os.Remove(path)
		if err := os.Symlink("/dev/null", path); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) put(path string, file File) error {
	target := l.Path(path)
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	if file.Mode == 0 {
		file.Mode = 0o644
	}
	if err := os.Remove(target); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(target, file.Data, file.Mode); err != nil {
		return err
	}
	return os.Chmod(target, file.Mode)
}

func (l *Lab) start() error {
	l.cloud.mu.Lock()
	l.cloud.started = time.Now()
	l.cloud.mu.Unlock()
	_, err := io.WriteString(l.commands, "start\n")
	return err
}

// Close ends the host and removes what was made for it. It may be called twice.
func (l *Lab) Close() {
	l.close.Do(func() {
		if l.commands != nil {
			use(l)
			_ = l.commands.Close()
			_ = l.supervisor.Wait()
		}
		if l.cloud != nil {
			l.cloud.close()
		}
		l.network.close()
		removeCgroup(filepath.Base(l.work))
		if l.options.MemoryMiB != 0 {
			_ = unix.Rmdir(filepath.Join(memoryCgroups, filepath.Base(l.work)))
		}
		_ = os.RemoveAll(l.work)
	})
}

// A Use is what a host took, all its boots together.
type Use struct {
	Name         string
	Elapsed, CPU time.Duration
}

var uses struct {
	sync.Mutex
	list []Use
}

// Uses are those of the hosts that were closed.
func Uses() []Use {
	uses.Lock()
	defer uses.Unlock()
	return slices.Clone(uses.list)
}

func use(l *Lab) {
	var microseconds int64
	text, _ := os.ReadFile(filepath.Join(cgroups(), filepath.Base(l.work), "cpu.stat"))
	_, _ = fmt.Sscanf(string(text), "usage_usec %d", &microseconds)
	uses.Lock()
	defer uses.Unlock()
	uses.list = append(uses.list, Use{l.options.Name, time.Since(l.made), time.Duration(microseconds) * time.Microsecond})
}

var leftover = regexp.MustCompile(`^postern-lab-(\d+)-`)

// sweep removes what runs left that were killed: their processes are gone already.
var sweep = sync.OnceFunc(func() {
	dead := func(name string) bool {
		match := leftover.FindStringSubmatch(name)
		if match == nil {
			return false
		}
		_, err := os.Stat("/proc/" + match[1])
		return err != nil
	}
	for _, folder := range []string{os.TempDir(), cgroups(), memoryCgroups} {
		entries, _ := os.ReadDir(folder)
		for _, entry := range entries {
			switch {
			case !dead(entry.Name()):
			case folder == os.TempDir():
				_ = os.RemoveAll(filepath.Join(folder, entry.Name()))
			case folder == memoryCgroups:
				_ = unix.Rmdir(filepath.Join(folder, entry.Name()))
			default:
				removeCgroup(entry.Name())
			}
		}
	}
})

// cgroups is where the second version is mounted, or "".
func cgroups() string {
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		before, after, _ := strings.Cut(line, " - ")
		if fields := strings.Fields(before); strings.HasPrefix(after, "cgroup2 ") && len(fields) > 4 {
			return fields[4]
		}
	}
	return ""
}

// memoryCgroups is where the first version has those of memory, on a machine that mixes
// versions.
const memoryCgroups = "/sys/fs/cgroup/memory"

// removeCgroup removes a tree of empty groups; they take a moment to be empty.
func removeCgroup(name string) {
	top := cgroups()
	if top == "" {
		return
	}
	for range 100 {
		var folders []string
		_ = filepath.WalkDir(filepath.Join(top, name), func(path string, entry os.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				folders = append(folders, path)
			}
			return nil
		})
		if len(folders) == 0 {
			return
		}
		slices.Reverse(folders)
		for _, folder := range folders {
			_ = unix.Rmdir(folder)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// pid is that of the host's first process as this machine sees it, or 0.
func (l *Lab) pid() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first == 0 || !isFirst(l.first) {
		l.first = l.find()
	}
	return l.first
}

// isFirst says whether a process is the first of a payload.
func isFirst(pid int) bool {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if ids, ok := strings.CutPrefix(line, "NSpid:"); ok {
			// Ours, the supervisor's, the payload's.
			levels := strings.Fields(ids)
			return len(levels) == 3+outerLevels() && levels[len(levels)-1] == "1"
		}
	}
	return false
}

func (l *Lab) find() int {
	queue := []int{l.supervisor.Process.Pid}
	for len(queue) > 0 {
		parent := queue[0]
		queue = queue[1:]
		if isFirst(parent) {
			return parent
		}
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
		for _, thread := range threads {
			text, _ := os.ReadFile(thread)
			for _, child := range strings.Fields(string(text)) {
				if id, err := strconv.Atoi(child); err == nil {
					queue = append(queue, id)
				}
			}
		}
	}
	return 0
}

// outerLevels is how many PID namespaces this process itself is in, beyond one.
var outerLevels = sync.OnceValue(func() int {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if ids, ok := strings.CutPrefix(line, "NSpid:"); ok {
			return len(strings.Fields(ids)) - 1
		}
	}
	return 0
})

// Console is everything that was written to the host's console.
func (l *Lab) Console() string {
	text, _ := os.ReadFile(filepath.Join(l.work, "console"))
	return string(text)
}

// Journal is the journal of this boot as text; arguments go to journalctl.
func (l *Lab) Journal(t testing.TB, arguments ...string) string {
	t.Helper()
	out, _ := l.Root(t, "journalctl --no-pager -b "+strings.Join(arguments, " "))
	return out
}

// Requests are all that the services saw so far, IMDS included.
func (l *Lab) Requests() []Request {
	l.cloud.mu.Lock()
	defer l.cloud.mu.Unlock()
	return slices.Clone(l.cloud.requests)
}

// Fault makes requests fail until the returned function is called.
func (l *Lab) Fault(f Fault) (remove func()) { return l.cloud.addFault(f) }

// Signals are those that CloudFormation got.
func (l *Lab) Signals() []Signal {
	l.cloud.mu.Lock()
	defer l.cloud.mu.Unlock()
	return slices.Clone(l.cloud.signals)
}

// BootTimeout is how long a host may take until it signals, on a busy machine.
const BootTimeout = 2 * time.Minute

// WaitSignal waits for the first signal.
func (l *Lab) WaitSignal(t testing.TB) Signal {
	t.Helper()
	signal, err := l.TrySignal()
	if err != nil {
		t.Fatal(err)
	}
	return signal
}

// TrySignal is [Lab.WaitSignal] where there is no test to fail.
func (l *Lab) TrySignal() (Signal, error) {
	deadline := time.After(BootTimeout)
	for {
		l.cloud.mu.Lock()
		changed, signals := l.cloud.changed, l.cloud.signals
		l.cloud.mu.Unlock()
		if len(signals) > 0 {
			return signals[0], nil
		}
		select {
		case <-changed:
		case <-time.After(time.Second):
			if code, over := l.exited(); over {
				return Signal{}, fmt.Errorf("the host went down with status %d, unsignalled:\n%s", code, tail(l.Console(), 40))
			}
		case <-deadline:
			return Signal{}, fmt.Errorf("no signal in %s:\n%s", BootTimeout, tail(l.Console(), 60))
		}
	}
}

// Eventually waits until condition holds, and fails the test where it never does.
func Eventually(t testing.TB, within time.Duration, what string, condition func() bool) {
	t.Helper()
	if !eventually(within, condition) {
		t.Fatalf("not within %s: %s", within, what)
	}
}

// eventually asks often what may be soon: to ask has its price on the host.
func eventually(within time.Duration, condition func() bool) bool {
	for began := time.Now(); ; {
		if condition() {
			return true
		}
		waited := time.Since(began)
		if waited > within {
			return false
		}
		time.Sleep(min(max(waited/8, 20*time.Millisecond), time.Second))
	}
}

func (l *Lab) exited() (code int, over bool) {
	text, err := os.ReadFile(filepath.Join(l.work, "exit"))
	if err != nil {
		return 0, false
	}
	code, _ = strconv.Atoi(strings.TrimSpace(string(text)))
	return code, true
}

func (l *Lab) waitExit(t testing.TB) {
	t.Helper()
	Eventually(t, BootTimeout, "the host is down", func() bool { _, over := l.exited(); return over })
}

// Kill is a power cut: the host's processes end without a shutdown. What they had
// written stays; see the package comment.
func (l *Lab) Kill(t testing.TB) {
	t.Helper()
	pid := l.pid()
	if pid == 0 {
		t.Fatal("the host is not running")
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	l.waitExit(t)
}

// Shutdown ends the host as EC2 does when it terminates an instance.
func (l *Lab) Shutdown(t testing.TB) {
	t.Helper()
	l.last(t, "systemctl poweroff --no-block")
	l.waitExit(t)
}

// Start boots a host again that was shut down or killed, with the same disk.
func (l *Lab) Start(t testing.TB) {
	t.Helper()
	_ = os.Remove(filepath.Join(l.work, "exit"))
	if _, err := io.WriteString(l.commands, "start\n"); err != nil {
		t.Fatal(err)
	}
	Eventually(t, BootTimeout, "the host runs", func() bool { return l.pid() != 0 })
}

// Reboot restarts the host in an orderly way.
func (l *Lab) Reboot(t testing.TB) {
	t.Helper()
	l.last(t, "systemctl reboot --no-block")
	l.waitExit(t)
	l.Start(t)
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
