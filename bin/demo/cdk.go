package main

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

// cli is the CDK's command line, unmodified.
type cli struct {
	path    string
	environ []string
	out     io.Writer
}

// stopTime is how long the CLI may take to end after an interrupt.
const stopTime = 5 * time.Second

// run shows what the CLI prints as it prints it. When ctx ends, the CLI is
// interrupted first and killed later.
func (c cli) run(ctx context.Context, folder string, args ...string) error {
	command := exec.CommandContext(ctx, c.path, append([]string{"--no-notices"}, args...)...)
	command.Dir = folder
	command.Env = c.environ
	command.Stdin = os.Stdin
	command.Stdout = c.out
	command.Stderr = c.out // the CLI shows its progress there: one stream keeps it in order
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = stopTime
	err := command.Run()
	if cause := ctx.Err(); err != nil && cause != nil {
		return errors.Join(cause, err)
	}
	return err
}

// stackNames reads from a cloud assembly which stacks the app has, in the order
// of their dependencies.
func stackNames(assembly string) ([]string, error) {
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
