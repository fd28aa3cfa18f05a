//go:build linux

package host_test

import (
	"fmt"
	"time"

	"github.com/postern-cdk/postern/test/host/lab"
)

// Attacks that make the records tell what was not.
func init() {
	// forged lets the person run commands and says whether a line of a log begins with
	// what only another line would, or holds bytes that direct a terminal.
	forged := func(x *Target, pattern, command string) (bool, string) {
		return x.Try(func(s *lab.Session) (bool, string) {
			out, code, err := s.Run(command)
			if err != nil {
				return false, fmt.Sprintf("%q, %d, %v", out, code, err)
			}
			end := "end-of-" + x.Person
			if _, _, err := s.Run("/bin/echo " + end); err != nil {
				return false, err.Error()
			}
			lab.Eventually(x.T, lab.Expectation, "what was done is in the logs", func() bool {
				_, code := x.Root(x.T, "grep -rqs "+end+" "+x.LogDir())
				return code == 0
			})
			found, code := x.Root(x.T, "grep -raPhs -m 1 '"+pattern+"' "+x.LogDir())
			return code == 0, fmt.Sprintf("%.200q", found)
		})
	}
	attacks = append(attacks,
		Attack{Group: "log forging", Name: "an argument with line breaks writes lines", Try: func(x *Target) (bool, string) {
			line := "[ON]:2026-01-01T00:00:00Z [FROM]:10.0.0.1 [USER]:root [BY]:" + x.Person
			return forged(x, `^\[ON\]:2026\S+ \[FROM\]:\S+ \[USER\]:root \[BY\]:`+x.Person, `/bin/echo $'x\n`+line+`\r\n`+line+`'`)
		}},
		Attack{Group: "log forging", Name: "a folder's name writes lines", Try: func(x *Target) (bool, string) {
			line := "[ON]:2026 [USER]:root [BY]:" + x.Person
			return forged(x, `^\[ON\]:2026 \[USER\]:root \[BY\]:`+x.Person, `mkdir $'x\n`+line+`\n' && cd $'x\n`+line+`\n' && /bin/pwd; cd`)
		}},
		Attack{Group: "log forging", Name: "escape sequences reach the terminal of who reads the logs", Try: func(x *Target) (bool, string) {
			// Up a line, erase it: cat shows another log than is there.
			return forged(x, `\x1b\[1A\x1b\[2K`+x.Person, `/bin/echo $'\e[1A\e[2K`+x.Person+`'`)
		}},
		Attack{Group: "log forging", Name: "a line for another reader is in bytes that are not text", Try: func(x *Target) (bool, string) {
			// A C1 control and a direction mark do what an escape does.
			return forged(x, `(\x9b2J|\xc2\x9b2J)`+x.Person, `/bin/echo $'\x9b2J`+x.Person+` \xc2\x9b2J`+x.Person+`'`)
		}},
		Attack{Group: "log forging", Name: "marks of the chain are among the output", Try: func(x *Target) (bool, string) {
			return forged(x, `^(\[1\.0,"m","postern|{"postern":"end","chain":")`+x.Person,
				`printf '%s\n' '[1.0,"m","postern`+x.Person+`"]' '{"postern":"end","chain":"`+x.Person+`","segment":1}'`)
		}},
		Attack{Group: "log forging", Name: "the pipe of the shell's hook takes lines of others", Try: func(x *Target) (bool, string) {
			line := "[ON]:2026 [USER]:root [BY]:" + x.Person
			return forged(x, `^\[ON\]:2026 \[USER\]:root \[BY\]:`+x.Person,
				`{ printf 'typed\0/\n`+line+`\n\0  9 x\n`+line+`\n\0'; printf '{"time":"x","event":"end"}\n`+line+`\n\0'; } >/dev/fd/200 || printf '\n`+line+`\n'`)
		}},
		Attack{Group: "log forging", Name: "the name of the terminal writes lines", Try: func(x *Target) (bool, string) {
			client, err := x.Dial(x.Person, lab.SSHOptions{Wait: 5 * time.Second})
			if err != nil {
				return false, err.Error()
			}
			defer func() { _ = client.Close() }()
			session, err := client.NewSession()
			if err != nil {
				return false, err.Error()
			}
			out, err := typed(session, "x\nforged by "+x.Person+"\n", "exit")
			lab.Eventually(x.T, lab.Expectation, "the session is in the logs", func() bool {
				_, code := x.Root(x.T, "grep -rqs "+x.Person+" "+x.LogDir()+" || ls "+x.LogDir()+" | grep -q "+x.Person)
				return code == 0
			})
			found, code := x.Root(x.T, "grep -rahs '^forged by "+x.Person+"' "+x.LogDir())
			return code == 0, fmt.Sprintf("%q, %.100q, %v", found, out, err)
		}},
		Attack{Group: "log forging", Name: "a session is recorded under the name of somebody else", Try: func(x *Target) (bool, string) {
			return x.Try(func(s *lab.Session) (bool, string) {
				victim := "victim-of-" + x.Person
				if _, _, err := s.Run(`mkdir -p bin; printf '#!/bin/sh\necho ` + victim + `\n' >bin/whoami; cp bin/whoami bin/id; chmod +x bin/*; ` +
					`echo 'PATH=~/bin:$PATH USER=` + victim + ` LOGNAME=` + victim + `' >.bashrc; cp .bashrc .bash_profile; ` +
					`printf 'LOGNAME DEFAULT=` + victim + `\nUSER DEFAULT=` + victim + `\nSSH_CONNECTION DEFAULT=1.2.3.4\n' >.pam_environment`); err != nil {
					return false, err.Error()
				}
				return x.Try(func(second *lab.Session) (bool, string) {
					if _, _, err := second.Run("true"); err != nil {
						return false, err.Error()
					}
					// A name of a file, or a person in a line.
					out, _ := x.Root(x.T, `ls `+x.LogDir()+` | grep `+victim+`; grep -rahsE '"(person|address)":"(`+victim+`|1\.2\.3\.4)' `+x.LogDir())
					return out != "", fmt.Sprintf("%.200q", out)
				})
			})
		}},
		Attack{Group: "log forging", Name: "a line of the person is among the alarms", Try: func(x *Target) (bool, string) {
			line := `{"postern":"alarm","name":"forged","text":"by ` + x.Person + `"}`
			return x.Try(func(s *lab.Session) (bool, string) {
				out, _, err := s.Run(`logger -t postern '` + line + `'; systemd-cat -t postern echo '` + line + `'`)
				found, _ := x.Root(x.T, "journalctl --sync; journalctl -q -b -o cat -t postern | grep -F '"+line+"'")
				return found != "", fmt.Sprintf("the journal has %q, %.200q, %v", found, out, err)
			})
		}},
	)
}
