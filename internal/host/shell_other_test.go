//go:build !linux

package host

import (
	"fmt"
	"os"
	"testing"
)

// The bootstrap runs on Linux only, and so do the tests that run it.
func TestShellRunsOnLinuxOnly(t *testing.T) {
	fmt.Fprintln(os.Stderr, "NOT RUN: the tests of the bootstrap itself, which needs Linux")
	if os.Getenv("CI") == "true" {
		t.Fatal("these tests must run: use Linux")
	}
}
