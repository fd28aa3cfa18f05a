// Command localcfn runs a local CloudFormation for the CDK CLI and the AWS SDKs.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/postern-cdk/postern/internal/localcfn"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var (
		o     localcfn.Options
		addr  string
		fails []string
	)
	c := &cobra.Command{
		Use:   "localcfn",
		Short: "A local CloudFormation that the CDK CLI deploys to",
		Long: `localcfn is a model of CloudFormation in one AWS account and region. Nothing runs
in it. It prints the environment that makes the CDK CLI, the AWS CLI and the
AWS SDKs talk to it, and serves until it is interrupted.`,
		Example: `  localcfn --state cloud.json                # paste what it prints into another shell
  localcfn --addr 127.0.0.1:4599
  localcfn --fail AWS::EC2::VPC:Create:2     # the second VPC can't be made`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, text := range fails {
				f, err := parseFail(text)
				if err != nil {
					return err
				}
				o.Faults = append(o.Faults, f)
			}
			return serve(cmd.Context(), cmd.OutOrStdout(), o, addr)
		},
	}
	f := c.Flags()
	f.StringVar(&addr, "addr", "127.0.0.1:0", "loopback address to listen on; port 0 takes a free one")
	f.StringVar(&o.StateFile, "state", "", "file that keeps everything over a restart")
	f.StringVar(&o.Account, "account", "000000000000", "account, twelve digits")
	f.StringVar(&o.Region, "region", "us-east-1", "region")
	f.DurationVar(&o.Delay, "delay", 0, "how long each operation on a resource takes, such as 300ms")
	f.StringArrayVar(&fails, "fail", nil, "make the Nth operation on a type fail, as TYPE:OPERATION:N (repeatable)")
	return c
}

func serve(ctx context.Context, out io.Writer, o localcfn.Options, addr string) error {
	s, err := localcfn.New(o)
	if err != nil {
		return err
	}
	if err := s.Start(addr); err != nil {
		return err
	}
	for _, e := range s.Env() {
		fmt.Fprintln(out, "export "+e)
	}
	<-ctx.Done()
	return s.Close()
}

// parseFail reads TYPE:OPERATION:N, such as AWS::EC2::VPC:Create:2.
func parseFail(text string) (localcfn.Fail, error) {
	parts := strings.Split(text, ":")
	n := len(parts)
	if n < 3 {
		return localcfn.Fail{}, fmt.Errorf("--fail %q: want TYPE:OPERATION:N, such as AWS::EC2::VPC:Create:2", text)
	}
	nth, err := strconv.Atoi(parts[n-1])
	if err != nil || nth < 1 {
		return localcfn.Fail{}, fmt.Errorf("--fail %q: %q is not a number from 1", text, parts[n-1])
	}
	return localcfn.Fail{Type: strings.Join(parts[:n-2], ":"), Operation: parts[n-2], Nth: nth}, nil
}
