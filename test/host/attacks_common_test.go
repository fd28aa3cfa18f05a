//go:build linux

package host_test

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-cdk/postern/test/host/lab"
)

// Attacks on what all programs of a host have in common: ports, locks, the memory
// between processes, and who serves them all.
func init() {
	const common = "what all share"
	attacks = append(attacks,
		Attack{
			Group: "forwarding", Name: "sockets of the host are forwarded (-L, -R), or a network (-w)",
			Try: func(x *Target) (bool, string) {
				client, err := x.Dial(x.Person, lab.SSHOptions{Wait: 5 * time.Second})
				if err != nil {
					return false, err.Error()
				}
				defer func() { _ = client.Close() }()
				conn, to := client.Dial("unix", "/run/dbus/system_bus_socket")
				if to == nil {
					_ = conn.Close()
				}
				listener, from := client.ListenUnix("/home/" + x.Person + "/door")
				if from == nil {
					_ = listener.Close()
				}
				tunnel, _, network := client.OpenChannel("tun@openssh.com", ssh.Marshal(struct{ Mode, Unit uint32 }{1, 0x7fffffff}))
				if network == nil {
					_ = tunnel.Close()
				}
				return to == nil || from == nil || network == nil, fmt.Sprintf("%v; %v; %v", to, from, network)
			},
			Weaken: func(x *Target) func() {
				return x.withoutSSHD("AllowStreamLocalForwarding", "AllowTcpForwarding", "PermitOpen", "PermitListen", "DisableForwarding")
			},
		},
		Attack{
			// Nothing is shipped then, and nobody is removed.
			Group: common, Name: "a person takes all ports, so that root can't ask for a name", Alone: true,
			Try: func(x *Target) (bool, string) {
				return x.Try(func(s *lab.Session) (bool, string) {
					s.Type(`python3 -S -c 'import os, socket, resource, time
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
for first in range(32768, 61000, 4000):
    done, tell = os.pipe()
    if os.fork() == 0:
        taken = []
        for port in range(first, min(first + 4000, 61000)):
            s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            try: s.bind(("::", port))
            except OSError: continue
            taken.append(s)
        os.close(tell); os.close(1); time.sleep(20); os._exit(0)
    os.close(tell); os.read(done, 1)
print("all-%s" % "taken", flush=True); time.sleep(20)'`)
					_, err := s.Wait("all-taken", 10*time.Second)
					out, _ := x.Root(x.T, `for i in {1..10}; do if (exec 3<>/dev/udp/`+lab.InternalIP+`/53) 2>/dev/null; then echo free; break; fi; sleep 0.5; done; cat /proc/net/sockstat`)
					return !strings.HasPrefix(out, "free"), fmt.Sprintf("%q, %v", out, err)
				})
			},
		},
		Attack{
			Group: common, Name: "locks of a person's keep others from logging in, and updates from being installed",
			Try: func(x *Target) (bool, string) {
				files := `"/run/utmp", "/var/log/wtmp", "/var/log/lastlog", "/var/cache/debconf/config.dat"`
				x.Root(x.T, "for f in "+strings.NewReplacer(`"`, "", ",", "").Replace(files)+"; do [[ -e $f ]] || install -m 0644 -D /dev/null $f; done")
				return x.Try(func(s *lab.Session) (bool, string) {
					s.Type(`python3 -S -c 'import fcntl, time
keep = []
for path in (` + files + `):
    try:
        f = open(path)
        keep.append(f); fcntl.lockf(f, fcntl.LOCK_SH | fcntl.LOCK_NB); fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e: print(e)
print("all-%s" % "locked", flush=True); time.sleep(1)'`)
					if _, err := s.Wait("all-locked", lab.Expectation); err != nil {
						return false, err.Error()
					}
					out, _ := x.Root(x.T, `python3 -S -c 'import fcntl
for path in (`+files+`):
    f = open(path, "r+b")
    try: fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB); fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError: print("held", path)'`)
					return strings.Contains(out, "held"), fmt.Sprintf("%q", out)
				})
			},
		},
		Attack{
			// Far fewer than there are: those are all sessions' on this machine.
			Group: common, Name: "a person takes the terminals, so that no session can begin",
			Try: func(x *Target) (bool, string) {
				return output(x, `python3 -S -c 'import os
n = 0
try:
    while n < 200: os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY); n += 1
except OSError as e: print(e)
print("taken-%d" % n)'`, func(out string) bool { return strings.Contains(out, "taken-200") })
			},
		},
		Attack{
			// It counts as the memory of all sessions, and passes from one person to another.
			Group: common, Name: "what programs share in memory outlives the session",
			Try: func(x *Target) (bool, string) {
				_, why := output(x, `python3 -S -c 'import ctypes
c = ctypes.CDLL(None)
print(c.shmget(0, 1 << 20, 0o1666), c.semget(0, 1, 0o1666), c.msgget(0, 0o1666), c.mq_open(b"/$USER", 0o102, 0o666, None))'; : >/dev/mqueue/left-by-$USER`, func(string) bool { return true })
				out := ""
				for range 15 {
					// The last of its programs may still be ending.
					out, _ = x.Root(x.T, x.named(`ipcs -m -s -q | grep -w PERSON; find /dev/mqueue -user PERSON`))
					if strings.TrimSpace(out) == "" {
						break
					}
					time.Sleep(200 * time.Millisecond)
				}
				return strings.TrimSpace(out) != "", why + ": " + out
			},
		},
		Attack{
			// Process 1, asked who is who as fast as it can answer, starts nothing for minutes:
			// no removal either.
			Group: common, Name: "a service of root's takes questions from the person",
			Try: func(x *Target) (bool, string) {
				return output(x, `python3 -S -c 'import os, socket, stat
for top in ("/run", "/var", "/tmp", "/dev"):
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            if path == "/run/postern/recorder.sock": continue
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
                try:
                    if not stat.S_ISSOCK(os.stat(path).st_mode): break
                    socket.socket(socket.AF_UNIX, kind).connect(path); print("connected-to", path)
                except OSError: pass'`, func(out string) bool { return strings.Contains(out, "connected-to ") })
			},
		},
		Attack{
			Group: common, Name: "a person begins more connections than the kernel keeps for all", Alone: true,
			Try: func(x *Target) (bool, string) {
				return output(x, `python3 -S -c 'import socket
resolvers = [line.split()[1] for line in open("/etc/resolv.conf") if line.startswith("nameserver")]
for port in range(32768, 38768):
    try:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", port)); s.sendto(b"question", (resolvers[0], 53))
    except OSError: pass
    finally: s.close()
print("kept-%s" % open("/proc/sys/net/netfilter/nf_conntrack_count").read())'`, func(out string) bool {
					var kept int
					_, err := fmt.Sscanf(out, "kept-%d", &kept)
					return err == nil && kept > 3000
				})
			},
			Weaken: func(x *Target) func() {
				x.MustRoot(x.T, `nft delete rule inet postern people handle $(nft -a list chain inet postern people | sed -n 's/.*more connections than.*# handle //p')`)
				return func() { x.MustRoot(x.T, "nft -f /etc/postern/firewall.nft") }
			},
		},
	)
}
