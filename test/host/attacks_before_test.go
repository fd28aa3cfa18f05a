//go:build linux

package host_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-cdk/postern/test/host/lab"
)

// Attacks by what runs, or is read, before the recorder.
func init() {
	// login runs a preparation in one session and says whether a later login left
	// the file behind that the person's own code makes.
	login := func(x *Target, prepare, left string) (bool, string) {
		return x.Try(func(s *lab.Session) (bool, string) {
			if out, code, err := s.Run(prepare); err != nil || code != 0 {
				return false, fmt.Sprintf("%q, %d, %v", out, code, err)
			}
			return x.Try(func(second *lab.Session) (bool, string) {
				_, _, err := second.Run("true")
				_, code := x.Root(x.T, "compgen -G '/home/"+x.Person+"/"+left+"*'")
				return code == 0, fmt.Sprintf("a second login: %v", err)
			})
		})
	}
	attacks = append(attacks,
		Attack{Group: "before the recorder", Name: "BASH_ENV of .pam_environment runs a script", Try: func(x *Target) (bool, string) {
			return login(x, `echo "[[ \$- == *i* ]] || : >$HOME/before" >run.sh; echo "BASH_ENV DEFAULT=$HOME/run.sh" >.pam_environment`, "before")
		}},
		Attack{Group: "before the recorder", Name: "SHELLOPTS and PS4 of .pam_environment run a command", Try: func(x *Target) (bool, string) {
			return login(x, `echo 'SHELLOPTS DEFAULT=xtrace' >.pam_environment; echo "PS4 DEFAULT=\\\$(:>$HOME/before)" >>.pam_environment`, "before")
		}},
		Attack{Group: "before the recorder", Name: "LD_DEBUG_OUTPUT of .pam_environment makes the loader write", Try: func(x *Target) (bool, string) {
			// What takes this from the environment takes LD_PRELOAD too.
			return login(x, `echo 'LD_DEBUG DEFAULT=libs' >.pam_environment; echo "LD_DEBUG_OUTPUT DEFAULT=$HOME/loader" >>.pam_environment`, "loader")
		}},
		Attack{Group: "before the recorder", Name: "a program in the PATH stands in for the recorder", Try: func(x *Target) (bool, string) {
			return x.Try(func(s *lab.Session) (bool, string) {
				if _, _, err := s.Run(`mkdir -p bin; for p in script postern-shell bash; do printf '#!/bin/sh\necho stand-in\nexec /bin/bash --norc\n' >bin/$p; chmod +x bin/$p; done; ` +
					`echo "PATH DEFAULT=$HOME/bin:/usr/bin:/bin" >.pam_environment; echo PATH=$HOME/bin:/usr/bin:/bin >.bashrc`); err != nil {
					return false, err.Error()
				}
				return x.Try(func(second *lab.Session) (bool, string) {
					out, _, err := second.Run(`echo not"-recor"ded`)
					return out == "not-recorded" && !x.IsRecorded("not-recorded"), fmt.Sprintf("%q, %v", out, err)
				})
			})
		}},
		Attack{Group: "before the recorder", Name: "a locale of the client carries a command", Try: func(x *Target) (bool, string) {
			const payload = `() { :; }; $(id)`
			return environment(x, "LC_PAPER", payload)
		}},
		Attack{Group: "before the recorder", Name: "a locale of the client leads into the home", Try: func(x *Target) (bool, string) {
			// glibc loads what it finds there into every program.
			return environment(x, "LC_ALL", "../../../home/"+x.Person+"/locale")
		}},
		Attack{Group: "before the recorder", Name: "start files redirect the terminal before the recorder has it", Try: func(x *Target) (bool, string) {
			return x.Try(func(s *lab.Session) (bool, string) {
				// What the recorded shell shows goes to the terminal that it has; the way around goes by what was there before.
				if _, _, err := s.Run(`printf 'exec 9>&1\n' >.bashrc; cp .bashrc .bash_profile; cp .bashrc .profile`); err != nil {
					return false, err.Error()
				}
				return x.Try(func(second *lab.Session) (bool, string) {
					_, _, err := second.Run(`for f in 9 /proc/[0-9]*/fd/9; do [[ $f == 9 ]] && f=/dev/fd/9; [[ $(readlink -f $f) == $(tty) ]] || echo by-a"-side-door" >$f; done 2>/dev/null`)
					shown := strings.Contains(second.Output(), "by-a-side-door")
					return shown && !x.IsRecorded("by-a-side-door"), fmt.Sprintf("shown %v, %v", shown, err)
				})
			})
		}},
	)
}

// environment says whether a variable of the client reaches the shell as it is.
func environment(x *Target, key, value string) (bool, string) {
	client, err := x.Dial(x.Person, lab.SSHOptions{Wait: 5 * time.Second})
	if err != nil {
		return false, err.Error()
	}
	defer func() { _ = client.Close() }()
	session, err := client.NewSession()
	if err != nil {
		return false, err.Error()
	}
	if err := session.Setenv(key, value); err != nil {
		return false, "sshd refuses it: " + err.Error()
	}
	out, err := typed(session, "xterm", `builtin printf '<%s>' "$`+key+`"; exit`)
	return strings.Contains(out, "<"+value+">"), fmt.Sprintf("%.200q, %v", out, err)
}

// typed opens a shell with a terminal of that name, types one line and returns what
// the session showed up to its end.
func typed(session *ssh.Session, term, line string) (string, error) {
	if err := session.RequestPty(term, 40, 400, ssh.TerminalModes{ssh.ECHO: 0}); err != nil {
		return "", err
	}
	input, err := session.StdinPipe()
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	session.Stdout = &out // with a terminal there is nothing else
	if err := session.Shell(); err != nil {
		return "", err
	}
	_, _ = io.WriteString(input, line+"\r")
	done := make(chan error, 1)
	go func() { done <- session.Wait() }()
	select {
	case err := <-done:
		return out.String(), err
	case <-time.After(lab.Expectation):
		return "", fmt.Errorf("not over after %s", lab.Expectation)
	}
}
