package atomic

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// label is where SELinux keeps what a file is. A file made anew in /etc would get
// etc_t, and passwd and shadow have labels of their own.
const label = "security.selinux"

func copyLabel(from string, to *os.File) error {
	value := make([]byte, 256)
	n, err := unix.Lgetxattr(from, label, value)
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "read label", Path: from, Err: err}
	}
	if err := unix.Fsetxattr(int(to.Fd()), label, value[:n], 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
		return &os.PathError{Op: "write label", Path: to.Name(), Err: err}
	}
	return nil
}
