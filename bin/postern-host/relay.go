//go:build linux

package main

import (
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/relay"
	"github.com/postern-cdk/postern/internal/host/settings"
)

func init() {
	commands = append(commands, &cobra.Command{
		Use:   "relay",
		Short: "Lead tunnels on to the targets of this host, until it is told to stop",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			s, err := settings.Load("")
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(command.Context(), unix.SIGTERM, unix.SIGINT)
			defer stop()
			return relay.Run(ctx, s, &event.Log{})
		},
	})
}
