//go:build linux && !hostroot

package recorder

import (
	"fmt"
	"os"
	"testing"
)

// TestMain says what these tests don't show.
func TestMain(m *testing.M) {
	code := m.Run()
	fmt.Fprintln(os.Stderr, "NOT RUN: sessions, and attacks on them, through a real sshd. As root on Linux: go test -tags hostroot ./internal/host/recorder")
	os.Exit(code)
}
