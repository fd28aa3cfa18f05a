//go:build !linux

package chain

import (
	"errors"
	"os"
)

func setAppendOnly(*os.File, bool) error {
	return errors.New("chain: append-only files need Linux")
}
