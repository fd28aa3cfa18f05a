//go:build linux

package main

import (
	"github.com/spf13/cobra"

	"github.com/postern-cdk/postern/internal/host/check"
	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/settings"
)

func init() {
	commands = append(commands, &cobra.Command{
		Use:       "check [NAME...]",
		Short:     "Ask this host whether it keeps its promises",
		Long:      "Makes the named checks, or all of them, prints a line of JSON for each, and fails if one did.",
		ValidArgs: append(check.Names(), "all"),
		RunE: func(command *cobra.Command, names []string) error {
			s, err := settings.Load("")
			if err != nil {
				return err
			}
			host := check.Host{Settings: s}
			return host.Run(command.Context(), names, &event.Log{})
		},
	})
}
