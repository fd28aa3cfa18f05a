// Package cdkcli runs the unmodified CDK CLI against an endpoint of the caller's
// choice: what makes it quiet, keeps it offline and keeps real credentials from it.
package cdkcli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// CLI is the CDK's command line, unmodified.
type CLI struct {
	// Path is where its executable is, such as node_modules/.bin/cdk.
	Path string
	// Environ is all it sees of the environment; see [Environment]. Nil is the
	// process's own.
	Environ []string
	// In answers its questions. Nil answers none, so that it asks none.
	In io.Reader
	// Out gets what it prints, progress included. Nil drops it.
	Out io.Writer
}

// stopTime is how long the CLI may take to end after an interrupt.
const stopTime = 5 * time.Second

// Run runs it in a folder and shows what it prints as it prints it. The error
// is an [exec.ExitError] where it ended by itself. When ctx ends, it is
// interrupted first and killed later.
func (c CLI) Run(ctx context.Context, folder string, args ...string) error {
	command := exec.CommandContext(ctx, c.Path, append([]string{"--no-notices"}, args...)...)
	command.Dir = folder
	command.Env = c.Environ
	command.Stdin = c.In
	command.Stdout = c.Out
	command.Stderr = c.Out // the CLI shows its progress there: one stream keeps it in order
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = stopTime
	err := command.Run()
	if cause := ctx.Err(); err != nil && cause != nil {
		return errors.Join(cause, err)
	}
	return err
}

// StackNames reads from a cloud assembly which stacks the app has, in the order
// of their dependencies.
func StackNames(assembly string) ([]string, error) {
	var manifest struct {
		Artifacts map[string]struct {
			Type         string   `json:"type"`
			DisplayName  string   `json:"displayName"`
			Dependencies []string `json:"dependencies"`
			Properties   struct {
				StackName string `json:"stackName"`
			} `json:"properties"`
		} `json:"artifacts"`
	}
	path := filepath.Join(assembly, "manifest.json")
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &manifest); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var names, ids []string
	for id := range manifest.Artifacts {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	seen := map[string]bool{}
	var visit func(id string)
	visit = func(id string) {
		artifact, ok := manifest.Artifacts[id]
		if !ok || seen[id] {
			return
		}
		seen[id] = true
		for _, dependency := range artifact.Dependencies {
			visit(dependency)
		}
		if artifact.Type != "aws:cloudformation:stack" {
			return
		}
		name := artifact.Properties.StackName
		if name == "" {
			name = id
		}
		names = append(names, name)
	}
	for _, id := range ids {
		visit(id)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: the app has no stack", path)
	}
	return names, nil
}
