//go:build !linux

package atomic

import "os"

// copyLabel has nothing to copy: only Linux has labels.
func copyLabel(string, *os.File) error { return nil }
