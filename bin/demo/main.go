// Command demo deploys the whole reference architecture with the unmodified CDK
// CLI to a local CloudFormation that it starts itself, asks the AWS API what is
// there now, and reports on it. It needs no AWS account.
//
// Another endpoint, such as an emulator that is up already, is named by
// POSTERN_ENDPOINT; the word aws means the real account of the caller's
// credentials.
//
// It exits with 0 where the report's verdict is good, 1 where it is bad, 2 where
// it did not get as far as a report, and 130 when it is interrupted.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
)

const (
	exitError       = 2
	exitInterrupted = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	code := 0
	d := demo{out: out, environ: os.Environ(), terminal: isTerminal(out), start: startLocal}
	command := &cobra.Command{
		Use:           "demo",
		Short:         "Deploy the reference architecture without an AWS account, and report on it",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(command *cobra.Command, _ []string) (err error) {
			code, err = d.run(command.Context())
			return err
		},
	}
	flags := command.Flags()
	flags.StringVar(&d.app, "app", ".cache/bin/postern", "the CDK app's command: a binary spares compiling it at every synthesis")
	flags.StringVar(&d.cdk, "cdk", "node_modules/.bin/cdk", "the CDK CLI")
	flags.StringVar(&d.endpoint, "endpoint", os.Getenv("POSTERN_ENDPOINT"),
		`endpoint to deploy to instead of a local CloudFormation; "aws" is the real account`)
	flags.BoolVar(&d.keep, "keep", false, "leave the local CloudFormation up afterwards, until Ctrl-C")
	command.SetArgs(args)
	command.SetOut(out)
	command.SetErr(errOut)

	err := command.ExecuteContext(ctx)
	switch {
	case err == nil:
		return code
	case ctx.Err() != nil:
		fmt.Fprintln(errOut, "\nInterrupted: everything that the demo started is stopped.")
		return exitInterrupted
	}
	fmt.Fprintf(errOut, "\ndemo: %v\n", err)
	var hinted *hintedError
	if errors.As(err, &hinted) {
		fmt.Fprintf(errOut, "%s\n", hinted.hint)
	}
	return exitError
}

// hintedError is an error with what to do next.
type hintedError struct {
	err  error
	hint string
}

func (e *hintedError) Error() string { return e.err.Error() }
func (e *hintedError) Unwrap() error { return e.err }

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
