//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/settings"
	"github.com/postern-cdk/postern/internal/host/totp"
)

// totpTime is what a person waits at a prompt, at most.
const totpTime = 20 * time.Second

// toJournal is where events of programs go whose output a person sees.
type toJournal struct{}

func (toJournal) Write(line []byte) (int, error) {
	err := journal.Send(string(line[:max(len(line)-1, 0)]), journal.PriInfo, map[string]string{"SYSLOG_IDENTIFIER": "postern"})
	return len(line), err
}

func init() {
	store := func() (*totp.Store, error) {
		s, err := settings.Load("")
		return &totp.Store{Settings: s, Log: &event.Log{Out: toJournal{}}}, err
	}
	var unenrolled bool
	command := &cobra.Command{
		Use:   "totp",
		Short: "Check the one-time code on the standard input, for pam_exec",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(command.Context(), totpTime)
			defer cancel()
			s, err := store()
			if err != nil {
				return err
			}
			p := totp.FromEnvironment(os.Getenv)
			if unenrolled {
				return s.Unenrolled(ctx, p)
			}
			return s.Authenticate(ctx, p, os.Stdin)
		},
	}
	command.Flags().BoolVar(&unenrolled, "unenrolled", false, "succeed for who has no second factor yet, at login only")
	command.AddCommand(&cobra.Command{
		Use:   "reset NAME",
		Short: "Make a person one who is not enrolled, such as after the device was lost",
		Args:  cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			s, err := store()
			if err != nil {
				return err
			}
			if err := s.Reset(command.Context(), args[0]); err != nil {
				return err
			}
			fmt.Printf("%s is not enrolled\n", args[0])
			return nil
		},
	})
	commands = append(commands, command, &cobra.Command{
		Use:   "enrol NAME",
		Short: "Give a person who sits at this terminal a second factor",
		Args:  cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			s, err := store()
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(command.Context(), unix.SIGTERM, unix.SIGINT)
			defer stop()
			return s.Enrol(ctx, os.Stdin, os.Stdout, args[0])
		},
	})
}
