//go:build linux

package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/chain"
	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/people"
	"github.com/postern-cdk/postern/internal/host/recorder"
	"github.com/postern-cdk/postern/internal/host/settings"
	"github.com/postern-cdk/postern/internal/host/totp"
)

// peopleTime is what one run may take: ten thousand people at first, on a small
// instance. The next one goes on where it ends.
const peopleTime = 5 * time.Minute

func init() {
	var o people.Options
	command := &cobra.Command{
		Use:   "people",
		Short: "Make the accounts on this host those that the bucket names",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			// Keys and homes have the modes that are asked for.
			unix.Umask(0o022)
			s, err := settings.Load("")
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(command.Context(), unix.SIGTERM, unix.SIGINT)
			defer stop()
			ctx, cancel := context.WithTimeout(ctx, peopleTime)
			defer cancel()
			log := &event.Log{}
			changes := &changelog{}
			second := &totp.Store{Settings: s, Log: log}
			o.Changelog = changes
			o.End = func(_ context.Context, name string) error { return recorder.End("", name) }
			o.Forget = second.Reset
			err = people.Run(ctx, s, o, log)
			if closed := changes.close(); err == nil {
				err = closed
			}
			return err
		},
	}
	command.Flags().BoolVar(&o.AcceptRemovals, "accept-removals", false,
		"remove everybody whom the bucket lacks, however many: you have looked at it")
	commands = append(commands, command)
}

// changelog opens its chain when there is something to say: most runs have nothing.
type changelog struct{ chain *chain.Writer }

func (c *changelog) Append(lines []byte) error {
	if c.chain == nil {
		kind := string(settings.LogPeople)
		for _, dir := range []string{settings.LogDir, settings.ShadowDir} {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return err
			}
		}
		w, err := chain.Open(filepath.Join(settings.LogDir, kind), chain.Options{
			Suffix: chain.Lines, Shadow: filepath.Join(settings.ShadowDir, kind), Resume: true,
		})
		if err != nil {
			return err
		}
		c.chain = w
	}
	if err := c.chain.Append(lines); err != nil {
		return err
	}
	return c.chain.Sync()
}

func (c *changelog) close() error {
	if c.chain == nil {
		return nil
	}
	return c.chain.Close()
}
