//go:build !linux

package ship

import "os/exec"

func endWithUs(*exec.Cmd) {}
