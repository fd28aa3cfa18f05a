//go:build linux

package host_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/postern-cdk/postern/test/host/lab"
)

// revoke takes the attacker's key out of the bucket, and lets the host know.
func (x *Target) revoke() {
	x.T.Helper()
	require.NotEmpty(x.T, x.Others, "where nobody is left, nobody is removed")
	x.S3.Delete("public-keys/" + x.Person + ".pub")
	x.Cycle()
}

// beats says whether something still writes to a file.
func (x *Target) beats(file string) bool {
	x.T.Helper()
	out, _ := x.Root(x.T, "rm -f "+file+"; for i in {1..15}; do sleep 0.1; if [[ -e "+file+" ]]; then echo beats; break; fi; done")
	return strings.Contains(out, "beats")
}

// withdrawn takes objects out of the bucket of people and gives them back.
func (x *Target) withdrawn(keys ...string) (restore func()) {
	objects := map[string]lab.Object{}
	for _, key := range keys {
		objects[key], _ = x.S3.Get(lab.PeopleBucket, key)
		x.S3.Delete(key)
	}
	return func() {
		if x.Classic {
			return // They are removed by now, and forgotten.
		}
		for key, o := range objects {
			x.S3.Put(key, o.Data)
		}
		x.Cycle()
	}
}

// Attacks by what stays: after the session, after the key, after a fault.
func init() {
	const revocation = "revocation"
	attacks = append(attacks,
		Attack{
			Group: revocation, Name: "detached processes of somebody who was removed go on", Serial: true, Others: 1,
			Try: func(x *Target) (bool, string) {
				return x.Try(func(s *lab.Session) (bool, string) {
					if _, _, err := s.Run(`setsid nohup bash -c 'trap "" HUP TERM; while sleep 0.2; do : beat-` + x.Person + `; done' >/dev/null 2>&1 & disown -a`); err != nil {
						return false, err.Error()
					}
					beats := func() bool {
						_, code := x.Root(x.T, "pgrep -f [b]eat-"+x.Person)
						return code == 0
					}
					lab.Eventually(x.T, lab.Expectation, "something runs that could go on", beats)
					x.revoke()
					return beats(), "a process still runs, or not"
				})
			},
		},
		Attack{
			Group: revocation, Name: "a crontab of somebody who was removed waits for the next", Serial: true, Others: 1,
			Try: func(x *Target) (bool, string) {
				x.MustRoot(x.T, x.named(`echo '* * * * * touch /var/tmp/late' >/var/spool/cron/crontabs/PERSON; chown PERSON /var/spool/cron/crontabs/PERSON; chmod 600 /var/spool/cron/crontabs/PERSON`))
				x.revoke()
				out, _ := x.Root(x.T, "ls -ln /var/spool/cron/crontabs")
				return strings.Contains(out, x.Person), out
			},
		},
		Attack{
			Group: revocation, Name: "who comes next owns the files of who was removed", Serial: true, Others: 1,
			Try: func(x *Target) (bool, string) {
				// useradd goes on after the highest ID: that of whoever came last.
				x.Person, x.Others[0] = x.Others[0], x.Person
				x.MustRoot(x.T, x.named("install -o PERSON -m 600 /dev/null /var/tmp/left-PERSON"))
				x.revoke()
				next := fresh()
				x.Person = next
				x.Lab.Person(next)
				x.Cycle()
				if x.Classic {
					defer x.ClassicForget(x.T, next)
				}
				out, _ := x.Root(x.T, "stat -c %U /var/tmp/left-*")
				return strings.Contains(out, next), fmt.Sprintf("%s comes next, the files are of %q", next, out)
			},
		},
		Attack{
			Group: revocation, Name: "who returns finds the old home", Serial: true, Others: 1,
			Try: func(x *Target) (bool, string) {
				// On the classic host a home stays where something in it can't be removed.
				x.MustRoot(x.T, x.named("echo old-secret >/home/PERSON/notes; chown PERSON /home/PERSON/notes; "+
					"mkdir /home/PERSON/kept; echo old-secret >/home/PERSON/kept/notes; mount --bind /home/PERSON/kept /home/PERSON/kept"))
				defer x.Root(x.T, "umount /home/*/kept /var/lib/postern/removed/*/home/kept")
				x.revoke()
				x.Lab.Person(x.Person)
				x.Cycle()
				out, _ := x.Root(x.T, x.named("find /home/PERSON -mindepth 1"))
				return strings.Contains(out, "notes"), fmt.Sprintf("%q", out)
			},
		},
		Attack{
			Group: revocation, Name: "a thief of a key stays when it is replaced", Serial: true, Others: 1,
			Try: func(x *Target) (bool, string) {
				thief := lab.NewKey()
				_, placed := x.Try(func(s *lab.Session) (bool, string) {
					out, code, err := s.Run(`mkdir -p .ssh; echo '` + strings.TrimSpace(string(lab.AuthorizedKey(thief))) + `' >.ssh/authorized_keys2; ls -l .ssh`)
					return false, fmt.Sprintf("%s (%d, %v)", out, code, err)
				})
				stolen := lab.SSHOptions{Auth: []ssh.AuthMethod{ssh.PublicKeys(x.Lab.Person(x.Person), thief)}}
				x.S3.Put("public-keys/"+x.Person+".pub", lab.AuthorizedKey(lab.NewKey()))
				x.Cycle()
				ok, err := x.opens(x.Person, stolen)
				there, _ := x.Root(x.T, x.named("ls -l /home/PERSON/.ssh"))
				return ok, fmt.Sprintf("%v, after %s, with %s", err, placed, there)
			},
		},
		Attack{
			Group: revocation, Name: "who is removed while logging in stays", Serial: true, Others: 1,
			Try: func(x *Target) (bool, string) {
				stop := make(chan struct{})
				sessions := make(chan *lab.Session, 100)
				for range 3 {
					go func() {
						for {
							select {
							case <-stop:
								sessions <- nil
								return
							default:
							}
							s, err := x.Open(x.Person, lab.SSHOptions{})
							if err != nil {
								sessions <- nil
								return
							}
							sessions <- s
							s.Ended(200 * time.Millisecond)
						}
					}()
				}
				first := <-sessions
				x.revoke()
				close(stop)
				open, ended := []*lab.Session{first}, 0
				for ended < 3 {
					if s := <-sessions; s == nil {
						ended++
					} else {
						open = append(open, s)
					}
				}
				alive := 0
				deadline := time.Now().Add(2 * time.Second)
				for _, s := range open {
					if s != nil && !s.Ended(time.Until(deadline)) {
						alive++
					}
					if s != nil {
						s.Close()
					}
				}
				return alive > 0, fmt.Sprintf("%d of %d sessions are open", alive, len(open))
			},
		},
	)

	const faults = "reconcile under faults"
	harmed := func(x *Target) (bool, string) {
		lost := 0
		for _, name := range append([]string{x.Person}, x.Others...) {
			if _, code := x.Root(x.T, "id "+name); code != 0 {
				lost++
			}
		}
		return lost > 0, fmt.Sprintf("%d of %d accounts are gone", lost, 1+len(x.Others))
	}
	under := func(f lab.Fault) func(*Target) (bool, string) {
		return func(x *Target) (bool, string) {
			defer x.Fault(f)()
			x.Cycle()
			return harmed(x)
		}
	}
	attacks = append(attacks,
		Attack{Group: faults, Name: "a bucket that is not there removes everybody", Serial: true, Others: 1, Try: under(lab.Fault{Service: "s3", Status: 404})},
		Attack{Group: faults, Name: "half a listing removes everybody", Serial: true, Others: 1, Try: under(lab.Fault{Service: "s3", CutBody: true})},
		Attack{Group: faults, Name: "a service that is asked too often removes everybody", Serial: true, Others: 1, Try: under(lab.Fault{Service: "s3", Throttle: true})},
		Attack{Group: faults, Name: "a service that is not there removes everybody", Serial: true, Others: 1, Try: under(lab.Fault{Service: "s3", ConnRefused: true})},
		Attack{
			Group: faults, Name: "a listing without most removes most", Serial: true, Others: 3,
			Try: func(x *Target) (bool, string) {
				keep := "public-keys/" + x.Others[2] + ".pub"
				var most []string
				for _, key := range x.S3.Keys(lab.PeopleBucket, "public-keys/") {
					if key != keep {
						most = append(most, key)
					}
				}
				if x.Classic {
					most = []string{"public-keys/" + x.Person + ".pub", "public-keys/" + x.Others[0] + ".pub", "public-keys/" + x.Others[1] + ".pub"}
				}
				restore := x.withdrawn(most...)
				x.Cycle()
				succeeded, evidence := harmed(x)
				restore()
				return succeeded, evidence
			},
		},
		Attack{
			Group: faults, Name: "a storm of starts keeps a removal from being done", Serial: true, Others: 1,
			Try: func(x *Target) (bool, string) {
				x.Root(x.T, "for i in {1..6}; do systemctl start postern-people.service; done")
				x.revoke()
				_, code := x.Root(x.T, "id "+x.Person)
				return code == 0, fmt.Sprintf("id: %d", code)
			},
			Weaken: weaken(`mkdir -p /run/systemd/system/postern-people.service.d; printf '[Unit]\nStartLimitIntervalSec=30\n' >/run/systemd/system/postern-people.service.d/lab.conf; systemctl daemon-reload`,
				`rm -r /run/systemd/system/postern-people.service.d; systemctl daemon-reload; systemctl reset-failed postern-people.service; systemctl start postern-people.service || { journalctl -q -b -o cat -u postern-people -n 20; false; }`),
		},
	)

	const persistence = "persistence"
	attacks = append(attacks,
		Attack{
			Group: persistence, Name: "a service of the person's own manager outlives the session",
			Try: func(x *Target) (bool, string) {
				file := "/home/" + x.Person + "/unit"
				x.Try(func(s *lab.Session) (bool, string) {
					out, _, err := s.Run(`export XDG_RUNTIME_DIR=/run/user/$UID; systemd-run --user bash -c 'while sleep 0.2; do touch ` + file + `; done'`)
					return false, fmt.Sprint(out, err)
				})
				return x.beats(file), "something still writes, or not"
			},
		},
		Attack{
			Group: persistence, Name: "a person who lingers has services without a session", Serial: true,
			Try: func(x *Target) (bool, string) {
				// Where polkit is, a person may ask for it themselves.
				file := "/home/" + x.Person + "/lingers"
				x.Try(func(s *lab.Session) (bool, string) {
					_, _, err := s.Run(`d=~/.config/systemd/user; mkdir -p $d/default.target.wants; ` +
						`printf '[Service]\nExecStart=/bin/bash -c "while sleep 0.2; do touch ` + file + `; done"\n' >$d/x.service; ln -s ../x.service $d/default.target.wants/x.service`)
					return false, fmt.Sprint(err)
				})
				// As at a boot: logind starts the manager of whoever lingers.
				out, _ := x.Root(x.T, x.named("loginctl enable-linger PERSON; systemctl restart user@$(id -u PERSON)"))
				defer x.Root(x.T, x.named("loginctl disable-linger PERSON; rm -f /var/lib/systemd/linger/PERSON; systemctl stop user@$(id -u PERSON)"))
				return x.beats(file), "something writes, or not; " + out
			},
		},
		Attack{
			Group: persistence, Name: "a job of at runs without a session",
			Try: command(`echo 'touch ~/from-at' | at now + 1 hour; atq | sed 's/.* /job-of-/'`, "job-of-"),
		},
		Attack{
			Group: persistence, Name: "a daemon that left its session and its parents outlives it",
			Try: func(x *Target) (bool, string) {
				file := "/home/" + x.Person + "/daemon"
				x.Try(func(s *lab.Session) (bool, string) {
					_, _, err := s.Run(`python3 -c 'import os, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
for fd in range(3, 256):
    try: os.close(fd)
    except OSError: pass
n = os.open("/dev/null", os.O_RDWR); [os.dup2(n, i) for i in range(3)]
while True: open("` + file + `", "w").close(); time.sleep(0.2)'`)
					return false, fmt.Sprint(err)
				})
				return x.beats(file), "something still writes, or not"
			},
		},
		Attack{
			Group: persistence, Name: "a startup file runs what nobody typed, before the record begins",
			Try: func(x *Target) (bool, string) {
				x.Try(func(s *lab.Session) (bool, string) {
					out, _, err := s.Run(`mkdir -p .ssh .config/autostart; for f in .bashrc .bash_profile .profile .bash_login .ssh/rc .pam_environment .config/autostart/x; do ` +
						`echo 'touch ~/early-$$' >$f; done; echo BASH_ENV=$HOME/.bashrc >.ssh/environment`)
					return false, fmt.Sprint(out, err)
				})
				// A command, which is refused, and so nothing of it is recorded.
				_, _ = x.Exec(x.Person, "true")
				out, _ := x.Root(x.T, x.named("ls /home/PERSON | grep early-"))
				return out != "", fmt.Sprintf("%q", out)
			},
		},
		Attack{
			Group: persistence, Name: "a key in .ssh opens the door", Serial: true,
			Try: func(x *Target) (bool, string) {
				key := lab.NewKey()
				x.Try(func(s *lab.Session) (bool, string) {
					line := strings.TrimSpace(string(lab.AuthorizedKey(key)))
					_, _, err := s.Run(`mkdir -p .ssh; for f in authorized_keys authorized_keys2; do echo '` + line + `' >>.ssh/$f; done; chmod -R go= .ssh`)
					return false, fmt.Sprint(err)
				})
				ok, err := x.opens(x.Person, lab.SSHOptions{Key: key})
				return ok, fmt.Sprint(err)
			},
		},
		Attack{
			Group: persistence, Name: "a terminal left open keeps a shell for the next connection",
			Try: func(x *Target) (bool, string) {
				// What tmux and screen do: a shell behind a socket that a later session talks to.
				file := "/home/" + x.Person + "/door"
				x.Try(func(s *lab.Session) (bool, string) {
					_, _, err := s.Run(`setsid -f python3 -c 'import socket, subprocess
s = socket.socket(socket.AF_UNIX); s.bind("` + file + `"); s.listen()
while True:
    c, _ = s.accept(); c.send(subprocess.run(c.recv(999), shell=True, capture_output=True).stdout); c.close()' >/dev/null 2>&1 </dev/null; sleep 0.3`)
					return false, fmt.Sprint(err)
				})
				return x.Try(func(s *lab.Session) (bool, string) {
					out, _, err := s.Run(`python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.connect("` + file + `"); s.send(b"echo un"b"seen"); print(s.recv(99).decode())'`)
					return strings.HasPrefix(out, "unseen"), fmt.Sprintf("%.100q, %v", out, err)
				})
			},
		},
	)

	const memory = "memory"
	attacks = append(attacks,
		Attack{
			Group: memory, Name: "a bomb of processes has no end",
			Try: command(`python3 -c 'import os, time
n = 0
try:
    while n < 1400:
        if os.fork() == 0: time.sleep(3); os._exit(0)
        n += 1
except OSError: pass
print("forked-%s" % ("all" if n == 1400 else "fewer"))'`, "forked-all"),
		},
		Attack{
			Group: memory, Name: "who eats all memory ends the sessions of others", Alone: true, MemoryMiB: 1024, Others: 1,
			Try: func(x *Target) (bool, string) {
				return x.as(x.Others[0], func(other *lab.Session) (bool, string) {
					if _, _, err := other.Run("true"); err != nil {
						return false, err.Error()
					}
					// Many processes, none of which is as large as the recorder.
					said, why := x.Try(func(s *lab.Session) (bool, string) {
						_, _, err := s.RunFor(`python3 -S -c 'import os, time
for _ in range(200):
    if os.fork() == 0:
        keep = bytearray(12 << 20); time.sleep(3); os._exit(0)
time.sleep(4)' 2>&1 | tail -n 1`, time.Minute)
						return err != nil, fmt.Sprint(err)
					})
					out, _, err := other.RunFor(`echo still"-here"`, 30*time.Second)
					kills, _ := x.Root(x.T, "journalctl -q -b -o cat -u postern-recorder | grep -ciE 'oom|killed'")
					return out != "still-here", fmt.Sprintf("the other: %q, %v; the attacker's session over: %v, %s; %s lines of kills", out, err, said, why, strings.TrimSpace(kills))
				})
			},
			Weaken: weaken(`for p in $(pgrep -x postern-host); do echo 1000 >/proc/$p/oom_score_adj; done`, "true"),
		},
		Attack{
			Group: memory, Name: "the kernel ends the recorder before who eats the memory",
			Try: func(x *Target) (bool, string) {
				return x.Try(func(s *lab.Session) (bool, string) {
					_, _, err := s.Run(`echo -900 >/proc/self/oom_score_adj; exec -a eater sleep 5 & echo -900 >/proc/$!/oom_score_adj`)
					out, _ := x.Root(x.T, x.named(`adj() { cat /proc/$1/oom_score_adj; }; e=$(adj $(pgrep -nu PERSON -x sleep)); `+
						`for p in $(pgrep -x 'script|postern-host|sshd'); do [[ $(adj $p) -lt $e ]] || [[ $(ps -o uid= -p $p) -ge 20000 ]] || echo "$p $(cat /proc/$p/comm) $(adj $p), the eater $e"; done`))
					return strings.Contains(out, "script") || strings.Contains(out, "postern-host"), fmt.Sprintf("%q, %v", out, err)
				})
			},
		},
	)
}
