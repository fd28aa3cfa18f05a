//go:build linux

// Package host_test boots the user data of the bastion on a real operating system,
// attacks it there and measures it.
package host_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/postern-cdk/postern/test/host/lab"
)

func TestMain(m *testing.M) {
	if err := lab.Missing(); err != nil {
		didNotRun(err.Error())
	}
	start := time.Now()
	bundled := make(chan error, 1)
	go func() {
		_, err := lab.Bundle()
		bundled <- err
	}()
	restore, err := lab.Room()
	if err != nil {
		fmt.Fprintf(os.Stderr, "test/host: %v\n", err)
		os.Exit(1)
	}
	folder, err := lab.RootFS()
	if err != nil {
		fmt.Fprintf(os.Stderr, "test/host: no operating system to boot: %v\n", err)
		os.Exit(1)
	}
	if err := <-bundled; err != nil {
		fmt.Fprintf(os.Stderr, "test/host: no bundle for the hosts: %v\n", err)
		os.Exit(1)
	}
	if took := time.Since(start); took > time.Second {
		fmt.Printf("made %s and the bundle in %s\n", folder, took.Round(time.Second))
	}
	// Most tests wait for a host, and the attacks have turns of their own.
	flag.Parse()
	if err := flag.Set("test.parallel", "256"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	closeShared()
	restore()
	for _, use := range lab.Uses() {
		fmt.Printf("%-40s %7.1f s %7.1f s of CPU\n", use.Name, use.Elapsed.Seconds(), use.CPU.Seconds())
	}
	os.Exit(code)
}
