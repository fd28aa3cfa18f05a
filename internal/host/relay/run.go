//go:build linux

package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/settings"
)

// Run listens as the relay's own user until ctx ends. It is begun by root, who alone
// may read the settings and the program, and stays root no longer than that.
func Run(ctx context.Context, s settings.Settings, log *event.Log) error {
	if len(s.RelayTargets) == 0 {
		return errors.New("the relay has no targets")
	}
	if err := become(settings.RelayUser); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", Address(s.Relay))
	if err != nil {
		return err
	}
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		log.Note("systemd was not told that the relay is ready: " + err.Error())
	}
	return (&Server{Targets: s.RelayTargets, Log: log}).Serve(ctx, listener)
}

// become is another user from here on, without a way back.
func become(name string) error {
	account, err := user.Lookup(name)
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(account.Gid)
	if err != nil {
		return err
	}
	if uid == 0 || gid == 0 {
		return fmt.Errorf("%s is root", name)
	}
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("groups can't be left: %w", err)
	}
	if err := syscall.Setgid(gid); err != nil {
		return fmt.Errorf("can't become group %d: %w", gid, err)
	}
	if err := syscall.Setuid(uid); err != nil {
		return fmt.Errorf("can't become %s: %w", name, err)
	}
	if os.Geteuid() != uid || syscall.Setuid(0) == nil {
		return fmt.Errorf("still may become root after becoming %s", name)
	}
	return nil
}
