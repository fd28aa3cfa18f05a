package people

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/postern-cdk/postern/internal/host/atomic"
)

// sudoersFile names those who may become root. sudo passes over names with a dot
// in that directory, which the ones that are being written have.
const sudoersFile = "/etc/sudoers.d/postern"

// sudoersText for people who are there.
func sudoersText(names []string) string {
	if len(names) == 0 {
		return ""
	}
	list := strings.Join(names, ",")
	var b strings.Builder
	b.WriteString("# Written by postern-host people: edits are overwritten.\n")
	// A code is asked for each time; targetpw and the like would ask for another
	// person's; passwd_tries stays below what locks the code.
	fmt.Fprintf(&b, "Defaults:%s !targetpw, !rootpw, !runaspw, authenticate, timestamp_timeout=0, passwd_tries=3\n", list)
	fmt.Fprintf(&b, "Defaults:%s env_reset, !setenv, use_pty, syslog=authpriv, log_allowed, log_denied\n", list)
	fmt.Fprintf(&b, "Defaults:%s passprompt_override, passprompt=\"One-time code of %%p for sudo: \"\n", list)
	for _, name := range names {
		fmt.Fprintf(&b, "%s ALL=(ALL:ALL) ALL\n", name)
	}
	return b.String()
}

// sudoers writes who may become root: of those named at synthesis, those who have
// an account made from keys.
func (r *run) sudoers(ctx context.Context) {
	var names, absent []string
	for _, name := range r.settings.People.Sudo {
		if r.state.People[name] != nil && grammar.MatchString(name) {
			names = append(names, name)
		} else {
			absent = append(absent, name)
		}
	}
	slices.Sort(names)
	slices.Sort(absent)
	names, absent = slices.Compact(names), slices.Compact(absent)
	if !slices.Equal(absent, r.state.NoSudo) {
		r.state.NoSudo = absent
		if len(absent) > 0 {
			r.log.Note("people who may use sudo have no account", "names", absent)
		}
	}
	text, path := sudoersText(names), r.path(sudoersFile)
	had, err := os.ReadFile(path)
	switch {
	case text == "" && errors.Is(err, os.ErrNotExist), err == nil && string(had) == text:
		return
	case text == "":
		err = atomic.Remove(path)
	default:
		err = r.placeSudoers(ctx, path, text)
	}
	if err != nil {
		r.fail("people-sudo-failed", err)
	}
}

func (r *run) placeSudoers(ctx context.Context, path, text string) error {
	program, err := exec.LookPath("visudo")
	if err != nil {
		if _, err := os.Stat(r.path("/etc/sudoers.d")); err != nil {
			return errors.New("people are to use sudo, and there is no sudo on the host")
		}
		r.log.Note("there is no visudo: sudoers are written unchecked")
		return atomic.Write(path, []byte(text), 0o440)
	}
	check := path + ".postern-check"
	if err := atomic.WriteSoon(check, []byte(text), 0o440); err != nil {
		return err
	}
	defer func() { _ = os.Remove(check) }()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, program, "-c", "-q", "-f", check).CombinedOutput(); err != nil {
		// A broken file here takes sudo away from everybody, operators too.
		return fmt.Errorf("visudo refuses the sudoers: %s", Clip(string(bytes.TrimSpace(out))))
	}
	return atomic.Write(path, []byte(text), 0o440)
}
