package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/postern-cdk/postern/internal/cdkcli"
	"github.com/postern-cdk/postern/internal/report"
)

// demo is one run. Its zero value lacks everything; see main.
type demo struct {
	out      io.Writer
	environ  []string
	terminal bool
	app, cdk string
	endpoint string
	keep     bool
	// start starts a local CloudFormation.
	start func(region string) (engine, error)
}

// engine is a local CloudFormation.
type engine interface {
	URL() string
	Close() error
}

// run deploys and reports. The code is the report's where err is nil.
func (d *demo) run(ctx context.Context) (code int, err error) {
	if err := d.prepare(); err != nil {
		return exitError, err
	}
	work, err := os.MkdirTemp("", "postern-demo-")
	if err != nil {
		return exitError, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()

	began := time.Now()
	local := d.endpoint == ""
	if local {
		running, startErr := d.start(cdkcli.Region(d.environ))
		if startErr != nil {
			return exitError, fmt.Errorf("local CloudFormation: %w", startErr)
		}
		defer func() { err = errors.Join(err, running.Close()) }()
		d.endpoint = running.URL()
		d.say("Started a local CloudFormation on %s: no AWS account is touched.", d.endpoint)
	} else {
		d.say("Deploying to %s.", d.where())
	}

	environ := cdkcli.Environment(d.environ, d.endpoint, work)
	cloud, err := connect(ctx, environ)
	if err != nil {
		return exitError, d.unreachable(err)
	}
	account, inRegion, err := cloud.identity(ctx)
	if err != nil {
		return exitError, d.unreachable(err)
	}

	cli := cdkcli.CLI{Path: d.cdk, Environ: environ, In: os.Stdin, Out: d.out}
	if err := d.bootstrap(ctx, cli, work, fmt.Sprintf("aws://%s/%s", account, inRegion)); err != nil {
		return exitError, err
	}
	assembly := filepath.Join(work, "cdk.out")
	if err := d.deploy(ctx, cli, assembly); err != nil {
		return exitError, err
	}

	d.say("Asking the AWS API what is there now.")
	stacks, err := cdkcli.StackNames(assembly)
	if err != nil {
		return exitError, err
	}
	inventory, err := cloud.inventory(ctx, stacks)
	if err != nil {
		return exitError, err
	}
	inventory.Where, inventory.Local = d.where(), local
	inventory.Account, inventory.Region = account, inRegion
	verdict := report.Make(inventory)
	fmt.Fprintln(d.out)
	if err := verdict.Render(d.out, d.terminal && !slices.ContainsFunc(d.environ, noColour)); err != nil {
		return exitError, err
	}
	fmt.Fprintf(d.out, "\n%s after %s.\n", d.where(), time.Since(began).Round(100*time.Millisecond))
	if local {
		d.after(ctx)
	}
	return verdict.ExitCode(), nil
}

// prepare turns what was given into paths that hold in every folder.
func (d *demo) prepare() error {
	for _, path := range []*string{&d.cdk, &d.app} {
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		if _, err := os.Stat(absolute); err != nil {
			return &hintedError{err, "Run it as `make demo` from the top of the repository: that installs the CDK CLI and builds the app."}
		}
		*path = absolute
	}
	if d.endpoint == "" || d.endpoint == cdkcli.RealAccount {
		return nil
	}
	u, err := url.Parse(d.endpoint)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return &hintedError{
			fmt.Errorf("POSTERN_ENDPOINT: %q is no URL", d.endpoint),
			`Write it like http://localhost:4566, or "aws" for the real account of your credentials.`,
		}
	}
	// moto takes a bucket's name from a host that is an address.
	if host, port, err := net.SplitHostPort(u.Host); err == nil && host == "127.0.0.1" {
		u.Host = net.JoinHostPort("localhost", port)
		d.endpoint = u.String()
	}
	return nil
}

func (d *demo) bootstrap(ctx context.Context, cli cdkcli.CLI, work, environment string) error {
	d.say("Bootstrapping %s with the CDK CLI.", environment)
	// In an empty folder, or the CLI synthesizes the app of this one first.
	empty := filepath.Join(work, "empty")
	if err := os.Mkdir(empty, 0o700); err != nil {
		return err
	}
	if err := cli.Run(ctx, empty, "bootstrap", environment); err != nil {
		return &hintedError{fmt.Errorf("cdk bootstrap: %w", err), "What the CLI said is above. Does the endpoint speak CloudFormation, S3, SSM and STS?"}
	}
	return nil
}

func (d *demo) deploy(ctx context.Context, cli cdkcli.CLI, assembly string) error {
	d.say("Deploying every stack with the CDK CLI.")
	// On a real account the CLI asks before it widens anybody's permissions.
	approval, progress := "never", "events"
	if d.endpoint == cdkcli.RealAccount {
		approval = "broadening"
	}
	if d.terminal {
		progress = "bar"
	}
	err := cli.Run(ctx, ".", "deploy", "--all", "--require-approval", approval, "--progress", progress,
		"--app", d.app, "--output", assembly)
	if err != nil {
		return &hintedError{
			fmt.Errorf("cdk deploy: %w", err),
			"What the CLI said is above: a fault in the configuration names its key; a failed resource names its stack.",
		}
	}
	return nil
}

// after says how to see more, and waits where the engine is to stay.
func (d *demo) after(ctx context.Context) {
	if !d.keep {
		fmt.Fprintln(d.out, "The local CloudFormation is gone again. `make demo KEEP=1` leaves it up to be asked.")
		return
	}
	fmt.Fprintf(d.out, `
The local CloudFormation stays up on %[1]s until Ctrl-C. In another terminal:

  export AWS_ENDPOINT_URL=%[1]s AWS_ACCESS_KEY_ID=%[2]s AWS_SECRET_ACCESS_KEY=%[2]s
  export AWS_REGION=%[3]s AWS_DEFAULT_REGION=%[3]s
  aws cloudformation list-stacks
  aws cloudcontrol list-resources --type-name AWS::EC2::SecurityGroup
  %[4]s diff --app %[5]s
`, d.endpoint, cdkcli.TestCredential, cdkcli.Region(d.environ), relative(d.cdk), relative(d.app))
	<-ctx.Done()
}

func (d *demo) where() string {
	if d.endpoint == cdkcli.RealAccount {
		return "AWS"
	}
	return d.endpoint
}

func (d *demo) unreachable(err error) error {
	hint := "Is an emulator listening there?"
	if d.endpoint == cdkcli.RealAccount {
		hint = "Are there credentials? Try `aws sts get-caller-identity`."
	}
	return &hintedError{fmt.Errorf("%s: %w", d.where(), err), hint}
}

func (d *demo) say(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if d.terminal && !slices.ContainsFunc(d.environ, noColour) {
		line = "\x1b[1m" + line + "\x1b[0m"
	}
	fmt.Fprintf(d.out, "\n%s\n", line)
}

// relative shortens a path for the eye.
func relative(path string) string {
	if here, err := os.Getwd(); err == nil {
		if short, err := filepath.Rel(here, path); err == nil {
			return short
		}
	}
	return path
}

// noColour is https://no-color.org: set and not empty.
func noColour(pair string) bool {
	value, ok := strings.CutPrefix(pair, "NO_COLOR=")
	return ok && value != ""
}
