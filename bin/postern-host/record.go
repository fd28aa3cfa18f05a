//go:build linux

package main

import (
	"fmt"
	"os"
	"os/signal"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/recorder"
	"github.com/postern-cdk/postern/internal/host/settings"
)

func init() {
	commands = append(commands, &cobra.Command{
		Use:   "record",
		Short: "Record people's sessions, until it is told to stop",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := settings.Load("")
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), unix.SIGTERM, unix.SIGINT)
			defer stop()
			return recorder.Run(ctx, s, &event.Log{})
		},
	}, &cobra.Command{
		Use:   "sessions",
		Short: "List the sessions that are going on",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			open, err := recorder.List("")
			if err != nil {
				return fmt.Errorf("the recorder doesn't answer (systemctl status postern-recorder): %w", err)
			}
			table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(table, "SESSION\tPERSON\tFROM\tSINCE\tTYPED\tCOMMAND")
			for _, s := range open {
				fmt.Fprintf(table, "%s\t%s\t%s port %d\t%s\t%s ago\t%q\n", s.Session, s.Person, s.Address, s.Port,
					s.Start.Format(time.RFC3339), time.Since(s.Typed).Round(time.Second), s.Command)
			}
			return table.Flush()
		},
	}, &cobra.Command{
		Use:   "end PERSON|SESSION",
		Short: "End one session, or all that a person has on this host",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if ended, err := recorder.EndSession("", args[0]); err == nil && ended {
				return nil
			}
			return recorder.End("", args[0])
		},
	})
}
