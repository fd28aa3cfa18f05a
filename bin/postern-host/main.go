// Command postern-host is what runs as root on a bastion: it records sessions,
// ships records, keeps people's accounts, the host's identity and its promises.
// The bootstrap installs it; systemd runs it.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// commands are added by the files beside this one.
var commands []*cobra.Command

func main() {
	root := &cobra.Command{
		Use:           "postern-host",
		Short:         "What runs on a bastion",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(commands...)
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "postern-host:", err)
		os.Exit(1)
	}
}
