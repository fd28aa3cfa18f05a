package main

import (
	"context"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/identity"
	"github.com/postern-cdk/postern/internal/host/settings"
)

// identityTime is what the bootstrap can wait for Parameter Store.
const identityTime = time.Minute

func init() {
	var reload []string
	command := &cobra.Command{
		Use:   "identity",
		Short: "Give sshd the host keys that are kept in Parameter Store",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			s, err := settings.Load("")
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(command.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			ctx, cancel := context.WithTimeout(ctx, identityTime)
			defer cancel()
			log := &event.Log{}
			changed, err := identity.Run(ctx, s, identity.Options{}, log)
			if changed && len(reload) > 0 {
				if said, err := exec.CommandContext(ctx, reload[0], reload[1:]...).CombinedOutput(); err != nil {
					log.Alarm("host-keys-not-kept", "sshd was not told of its new keys: "+err.Error(), "said", string(said))
					return err
				}
			}
			return err
		},
	}
	command.Flags().StringSliceVar(&reload, "reload", nil, "what to run when a key or certificate changed, such as systemctl,reload,sshd")
	commands = append(commands, command)
}
