//go:build unix

package chain

import (
	"fmt"
	"os"
	"syscall"
)

// lock makes the process the only writer of a directory, for as long as the file
// that it returns is open.
func lock(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s: another writer has it open: %w", dir, err)
	}
	return f, nil
}
