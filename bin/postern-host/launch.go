package main

import (
	"github.com/spf13/cobra"

	"github.com/postern-cdk/postern/internal/host/launch"
	"github.com/postern-cdk/postern/internal/host/settings"
)

func init() {
	instance := func() (*launch.Instance, error) {
		s, err := settings.Load("")
		return &launch.Instance{Region: s.Region, ID: s.InstanceID}, err
	}
	command := &cobra.Command{Use: "launch", Short: "Ask AWS for what this instance needs once, one attempt each"}
	command.AddCommand(&cobra.Command{
		Use:   "address ALLOCATION",
		Short: "Take an Elastic IP address",
		Args:  cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			i, err := instance()
			if err != nil {
				return err
			}
			return i.Address(command.Context(), args[0])
		},
	}, &cobra.Command{
		Use:   "service HOOK",
		Short: "Let the Auto Scaling group take this instance into service",
		Args:  cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			i, err := instance()
			if err != nil {
				return err
			}
			return i.Service(command.Context(), args[0])
		},
	}, &cobra.Command{
		Use:   "signal STACK RESOURCE SUCCESS|FAILURE",
		Short: "Tell CloudFormation how the bootstrap went",
		Args:  cobra.ExactArgs(3),
		RunE: func(command *cobra.Command, args []string) error {
			i, err := instance()
			if err != nil {
				return err
			}
			return i.Signal(command.Context(), args[0], args[1], args[2])
		},
	})
	commands = append(commands, command)
}
