//go:build !linux

package host_test

import (
	"runtime"
	"testing"
)

func TestMain(*testing.M) {
	didNotRun("a host needs Linux and systemd-nspawn, this is " + runtime.GOOS)
}
