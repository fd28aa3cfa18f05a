//go:build linux

package check

import "errors"

func delivered(string, string) (bool, error) { return false, errors.New("x") }
