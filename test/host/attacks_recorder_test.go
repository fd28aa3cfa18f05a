//go:build linux

package host_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/postern-cdk/postern/test/host/lab"
)

// Attacks before, around and against the recorder.
func init() {
	const secret = "42-unrecorded"
	// The line that is typed must not hold what its output holds.
	const show = `echo 4"2-unrec"orded`

	attacks = append(attacks,
		Attack{Group: "before the recorder", Name: "a line in .bashrc runs the refused command", Try: func(x *Target) (bool, string) {
			return x.Try(func(s *lab.Session) (bool, string) {
				if _, _, err := s.Run(`echo '[[ -z $SSH_ORIGINAL_COMMAND ]] || { eval "$SSH_ORIGINAL_COMMAND"; exit; }' >.bashrc; cp .bashrc .bash_profile; cp .bashrc .profile`); err != nil {
					return false, err.Error()
				}
				out, err := x.Exec(x.Person, show)
				return strings.Contains(out, secret) && !x.IsRecorded(secret), fmt.Sprintf("ssh host command: %q, %v", out, err)
			})
		}},
		Attack{Group: "before the recorder", Name: "a line in .bashrc replaces the recorded shell", Try: func(x *Target) (bool, string) {
			return x.Try(func(s *lab.Session) (bool, string) {
				// The shell that sshd starts is not interactive, the recorded one is.
				if _, _, err := s.Run(`echo '[[ $- == *i* ]] || exec /bin/bash --norc -i' >.bashrc; cp .bashrc .bash_profile`); err != nil {
					return false, err.Error()
				}
				return x.Try(func(second *lab.Session) (bool, string) {
					out, _, err := second.Run(show)
					return strings.Contains(out, secret) && !x.IsRecorded(secret), fmt.Sprintf("shell: %q, %v", out, err)
				})
			})
		}},
		Attack{Group: "before the recorder", Name: "a line in .bashrc lets a tunnel through", Try: func(x *Target) (bool, string) {
			return x.Try(func(s *lab.Session) (bool, string) {
				if _, _, err := s.Run(`echo '[[ -z $SSH_ORIGINAL_COMMAND ]] || { eval "$SSH_ORIGINAL_COMMAND"; exit; }' >.bashrc; cp .bashrc .bash_profile`); err != nil {
					return false, err.Error()
				}
				out, err := x.Exec(x.Person, "cat </dev/tcp/"+lab.InternalIP+"/5432")
				return strings.Contains(out, "internal database"), fmt.Sprintf("ProxyCommand: %q, %v", out, err)
			})
		}},
		Attack{Group: "before the recorder", Name: "sshd runs .ssh/rc of the person", Try: func(x *Target) (bool, string) {
			return x.Try(func(s *lab.Session) (bool, string) {
				if _, _, err := s.Run(`mkdir -p .ssh; echo 'id >$HOME/from-rc' >.ssh/rc`); err != nil {
					return false, err.Error()
				}
				return x.Try(func(second *lab.Session) (bool, string) {
					_, _, err := second.Run("true")
					return x.Exists("/home/" + x.Person + "/from-rc"), fmt.Sprintf("a second login: %v", err)
				})
			})
		}, Weaken: func(x *Target) func() {
			// sshd leaves it out where a command is forced, too, and else runs it by the
			// login shell, which refuses.
			restore := x.withoutSSHD("PermitUserRC", "ForceCommand")
			x.MustRoot(x.T, "usermod -s /bin/bash "+x.Person)
			return restore
		}},

		Attack{Group: "around the recorder", Name: "a program writes to the outer terminal", Try: func(x *Target) (bool, string) {
			return x.Try(func(s *lab.Session) (bool, string) {
				// Every terminal that the person owns but the one of the recorded shell.
				_, _, err := s.Run(`for t in /dev/pts/[0-9]*; do [[ ! -O $t || $t == $(tty) ]] || ` + show + ` >$t; done 2>/dev/null`)
				return strings.Contains(s.Output(), secret) && !x.IsRecorded(secret), fmt.Sprintf("shown %v, %v", strings.Contains(s.Output(), secret), err)
			})
		}},
		Attack{Group: "around the recorder", Name: "a detached process outlives the session", Try: func(x *Target) (bool, string) {
			_, why := x.Try(func(s *lab.Session) (bool, string) {
				_, _, err := s.Run(`setsid nohup bash -c 'sleep 3; touch ~/outlived' >/dev/null 2>&1 & disown`)
				s.Type("exit").Ended(5 * time.Second)
				return false, fmt.Sprint(err)
			})
			time.Sleep(4 * time.Second)
			return x.Exists("/home/" + x.Person + "/outlived"), why
		}},
		Attack{Group: "around the recorder", Name: "a crontab runs without a session", Try: func(x *Target) (bool, string) {
			return x.Try(func(s *lab.Session) (bool, string) {
				out, code, err := s.Run(`echo '* * * * * touch ~/from-cron' | crontab - && crontab -l`)
				return code == 0 && strings.Contains(out, "from-cron") && err == nil, fmt.Sprintf("%q, %v", out, err)
			})
		}},

		Attack{Group: "against the recorder", Name: "killing the recorder leaves a shell that works", Try: func(x *Target) (bool, string) {
			return x.Try(func(s *lab.Session) (bool, string) {
				s.Type(`trap '' HUP; ( sleep 2; touch ~/unwatched ) & for p in $PPID $(pgrep -u $UID -x 'script|postern-shell'); do kill -9 $p; done`)
				over := s.Ended(3 * time.Second)
				time.Sleep(3 * time.Second)
				return x.Exists("/home/"+x.Person+"/unwatched") && over, fmt.Sprintf("session over: %v", over)
			})
		}},
		Attack{Group: "against the recorder", Name: "a person learns the record's name and overwrites it", Try: func(x *Target) (bool, string) {
			return x.Try(func(s *lab.Session) (bool, string) {
				// A program of the person's stands before the recorder in the PATH, where the person's shell starts it.
				if _, _, err := s.Run(`mkdir -p bin; printf '#!/bin/bash\necho "$@" >~/args\nexec /usr/bin/script "$@"\n' >bin/script; chmod +x bin/script; ` +
					`echo 'PATH=~/bin:$PATH' >.bashrc; cp .bashrc .bash_profile`); err != nil {
					return false, err.Error()
				}
				return x.Try(func(second *lab.Session) (bool, string) {
					second.Type(`echo inc"riminating"`)
					if _, err := second.Wait("incriminating", lab.Expectation); err != nil || !x.IsRecorded("incriminating") {
						return false, fmt.Sprintf("nothing to overwrite: %v", err)
					}
					out, _, err := second.Run(`for f in $(tr ' ' '\n' <args | grep -o '/var/log/.*') $(readlink /proc/[0-9]*/fd/* 2>/dev/null | grep ^/var/log/); do ` +
						`/usr/bin/script -q -c true "$f"; done`)
					return !x.IsRecorded("incriminating"), fmt.Sprintf("%q, %v", out, err)
				})
			})
		}},

		Attack{Group: "log forging", Name: "a program of the recorder's group writes a record of somebody else", Try: func(x *Target) (bool, string) {
			return x.Try(func(s *lab.Session) (bool, string) {
				forged := x.LogDir() + "/2020-01-01_00-00-00_root_" + x.Person + ".data"
				_, _, err := s.Run(`script -q -c 'echo rm -rf /' ` + forged + ` || echo forged >` + forged)
				return x.Exists(forged), fmt.Sprint(err)
			})
		}},
	)
}
