//go:build linux

package host_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/pkg/sftp"

	"github.com/postern-cdk/postern/test/host/lab"
)

// ownProcesses lists in $pids all processes that the person may send a signal to,
// seen or not.
const ownProcesses = `pids=; read -r _ _ _ _ last </proc/loadavg; for ((p = 2; p <= last; p++)); do kill -0 $p 2>/dev/null && pids+=" $p"; done; `

// Attacks by ways past the recorder.
func init() {
	attacks = append(attacks,
		Attack{Group: "around the recorder", Name: "sftp takes files away", Try: func(x *Target) (bool, string) {
			return x.Try(func(s *lab.Session) (bool, string) {
				if _, _, err := s.Run(`echo '[[ -z $SSH_ORIGINAL_COMMAND ]] || { eval "exec $SSH_ORIGINAL_COMMAND"; }' >.bashrc; cp .bashrc .bash_profile; echo stolen >f`); err != nil {
					return false, err.Error()
				}
				client, err := x.Dial(x.Person, lab.SSHOptions{})
				if err != nil {
					return false, err.Error()
				}
				defer func() { _ = client.Close() }()
				defer time.AfterFunc(lab.Expectation, func() { _ = client.Close() }).Stop()
				files, err := sftp.NewClient(client)
				if err != nil {
					return false, err.Error()
				}
				defer func() { _ = files.Close() }()
				info, err := files.Stat("f")
				return err == nil && info.Size() == 7, fmt.Sprintf("sftp f: %v", err)
			})
		}},
		Attack{Group: "around the recorder", Name: "files of the shell before it lead to the outer terminal", Try: func(x *Target) (bool, string) {
			return x.Try(func(s *lab.Session) (bool, string) {
				_, _, err := s.Run(ownProcesses + `for f in $(printf '/proc/%s/fd/1 /proc/%s/fd/2 ' $(for p in $pids; do echo $p $p; done)); do ` +
					`[[ $(readlink $f) == $(tty) || ! -c $f ]] || echo through" the back" >$f; done 2>/dev/null`)
				shown := strings.Contains(s.Output(), "through the back")
				return shown && !x.IsRecorded("through the back"), fmt.Sprintf("shown %v, %v", shown, err)
			})
		}},
		Attack{Group: "around the recorder", Name: "a debugger takes the shell before it", Try: func(x *Target) (bool, string) {
			return x.Try(func(s *lab.Session) (bool, string) {
				// Not what the session itself started.
				out, _, err := s.Run(ownProcesses + `for p in $pids; do case $p in $$ | $PPID) continue ;; esac; timeout -s INT 1 strace -p $p -o trace 2>&1 & done; wait; cat trace 2>/dev/null | head -n 1`)
				return strings.Contains(out, " attached"), fmt.Sprintf("%.300q, %v", out, err)
			})
		}},
		Attack{Group: "around the recorder", Name: "a namespace of the person's makes root of him", Try: func(x *Target) (bool, string) {
			return output(x, `unshare --user --map-root-user --mount sh -c 'mount -t tmpfs none /mnt && id -u'`, func(out string) bool { return strings.HasSuffix(out, "\n0") || out == "0" })
		}},
		Attack{Group: "around the recorder", Name: "a set-uid program has the rights of root", Try: func(x *Target) (bool, string) {
			// It reads /etc/shadow for its caller.
			return output(x, `chage -l $USER`, func(out string) bool { return strings.Contains(out, "Last password change") })
		}},
		Attack{Group: "around the recorder", Name: "io_uring does files and network past the filter", Try: func(x *Target) (bool, string) {
			return output(x, `python3 -c 'import ctypes; print("ring", ctypes.CDLL(None).syscall(425, 1, ctypes.create_string_buffer(120)))'`, func(out string) bool {
				return strings.HasPrefix(out, "ring ") && !strings.HasPrefix(out, "ring -")
			})
		}},
		Attack{Group: "around the recorder", Name: "a session through the loopback hides where it is from", Try: func(x *Target) (bool, string) {
			return output(x, `exec 3<>/dev/tcp/127.0.0.1/22 && read -r -t 5 -u 3 banner; echo "$banner"`, func(out string) bool { return strings.Contains(out, "SSH-2.0") })
		}},
		Attack{Group: "around the recorder", Name: "the message bus answers the person", Try: func(x *Target) (bool, string) {
			// Who else is on, what runs, and the way to ask services of root for more.
			return output(x, `busctl --timeout=5 call org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager ListSessions`, func(out string) bool {
				return strings.HasPrefix(out, "a(susso)")
			})
		}},
	)
}

// output runs one command in a session of the attacker, and says whether what it
// wrote is what the attack is for.
func output(x *Target, command string, success func(string) bool) (bool, string) {
	return x.Try(func(s *lab.Session) (bool, string) {
		out, code, err := s.Run(command)
		return success(out), fmt.Sprintf("%.300q, %d, %v", out, code, err)
	})
}
