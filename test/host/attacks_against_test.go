//go:build linux

package host_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/postern-cdk/postern/test/host/lab"
)

// Attacks against the recorder itself.
func init() {
	attacks = append(attacks,
		Attack{Group: "against the recorder", Name: "a shell outlives the killing of everything else", Try: func(x *Target) (bool, string) {
			return x.Try(func(s *lab.Session) (bool, string) {
				// The built-in kill leaves out who calls it. What follows starts no program.
				s.Type(`mkfifo f; exec 9<>f; trap '' HUP TERM; kill -9 -1; read -r -t 2 -u 9; : >~/alone`)
				over := s.Ended(10 * time.Second)
				time.Sleep(2500 * time.Millisecond)
				return over && x.Exists("/home/"+x.Person+"/alone"), fmt.Sprintf("session over: %v", over)
			})
		}},
		Attack{Group: "against the recorder", Name: "the recorder is stopped", Try: func(x *Target) (bool, string) {
			return x.Try(func(s *lab.Session) (bool, string) {
				defer x.Root(x.T, "pkill -CONT -u "+x.Person)
				s.Type(ownProcesses + `for p in $pids; do [[ $p == $$ ]] || kill -STOP $p; done; : >~/stopped`)
				lab.Eventually(x.T, lab.Expectation, "the signals are sent", func() bool { return x.Exists("/home/" + x.Person + "/stopped") })
				out, _ := x.Root(x.T, `for p in $(pgrep -u `+x.Person+` -x script) $(pgrep -x postern-host); do grep -H '^State:.*stopped' /proc/$p/status; done`)
				return out != "", fmt.Sprintf("%q", out)
			})
		}},
		Attack{Group: "against the recorder", Name: "a limit of file sizes keeps the record empty", Try: func(x *Target) (bool, string) {
			return x.Try(func(s *lab.Session) (bool, string) {
				if _, _, err := s.Run(`printf "trap '' XFSZ\nulimit -f 1\n" >.bashrc; cp .bashrc .bash_profile`); err != nil {
					return false, err.Error()
				}
				return x.Try(func(second *lab.Session) (bool, string) {
					out, _, err := second.Run(`printf '%02000d\n' 0; echo beyond"-the-limit"`)
					return strings.Contains(out, "beyond-the-limit") && !x.IsRecorded("beyond-the-limit"), fmt.Sprintf("%d bytes, %v", len(out), err)
				})
			})
		}},
		Attack{Group: "against the recorder", Name: "what is typed without echo leaves no trace", Try: func(x *Target) (bool, string) {
			return x.Try(func(s *lab.Session) (bool, string) {
				if _, _, err := s.Run(`bind 'set enable-bracketed-paste off'; stty -echo; HISTCONTROL=ignoreboth; HISTSIZE=0; HISTIGNORE='*'`); err != nil {
					return false, err.Error()
				}
				s.Type(` s=typed-in-silence; : >~/` + "done")
				lab.Eventually(x.T, lab.Expectation, "the line was run", func() bool { return x.Exists("/home/" + x.Person + "/done") })
				traced := false
				for range 8 {
					if _, code := x.Root(x.T, "grep -rqs typed-in-silence "+x.LogDir()); code == 0 {
						traced = true
						break
					}
					time.Sleep(250 * time.Millisecond)
				}
				return !traced, fmt.Sprintf("traced: %v", traced)
			})
		}},
		Attack{Group: "against the recorder", Name: "idle connections of one address keep everybody out", Serial: true, Try: func(x *Target) (bool, string) {
			var idle []net.Conn
			defer func() {
				for _, conn := range idle {
					_ = conn.Close()
				}
			}()
			greeted := func(from string) (net.Conn, bool) {
				conn, err := x.Connect(net.JoinHostPort(lab.BastionIP, "22"), from)
				if err != nil {
					return nil, false
				}
				_ = conn.SetDeadline(time.Now().Add(lab.Expectation))
				line, _ := bufio.NewReader(conn).ReadString('\n')
				return conn, strings.HasPrefix(line, "SSH-2.0")
			}
			held := 0
			for range 40 {
				conn, ok := greeted("198.51.100.19")
				if conn != nil {
					idle = append(idle, conn)
				}
				if ok {
					held++
				}
			}
			refused := 0
			for range 15 {
				conn, ok := greeted("")
				if conn != nil {
					_ = conn.Close()
				}
				if !ok {
					refused++
				}
			}
			return refused > 0, fmt.Sprintf("%d connections are held from one address, %d of 15 from another are refused", held, refused)
		}},
		Attack{Group: "against the recorder", Name: "lines of the person fill what the journal takes of the recorder", Try: func(x *Target) (bool, string) {
			// journald counts by unit, and drops what is beyond: the recorder's alarms, too.
			text := "filler-" + x.Person
			return x.Try(func(s *lab.Session) (bool, string) {
				out, _, err := s.Run(`logger ` + text + `; python3 -c 'import socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"MESSAGE=` + text + `", "/run/systemd/journal/socket")' 2>&1 | tail -n 1`)
				taken, _ := x.Root(x.T, "journalctl --sync; journalctl -q -b -o cat -g '^"+text+"'")
				return taken != "", fmt.Sprintf("the journal has %q of it, %.200q, %v", taken, out, err)
			})
		}},
	)
}
