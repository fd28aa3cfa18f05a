//go:build linux

// Command postern-session is what postern-host record starts for each session: it
// becomes the person's shell. It does nothing by itself, and is root's alone.
package main

import "github.com/postern-cdk/postern/internal/host/recorder/launch"

func main() { launch.Become() }
