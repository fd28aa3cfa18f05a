//go:build !unix

package chain

import (
	"errors"
	"os"
)

func lock(string) (*os.File, error) { return nil, errors.New("chain: writing needs a Unix system") }
