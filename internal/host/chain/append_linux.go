package chain

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// appendOnly is FS_APPEND_FL of linux/fs.h.
const appendOnly = 0x20

// setAppendOnly sets it: from then on the file can't be changed, cut,
// renamed or removed, by root either, until someone with CAP_LINUX_IMMUTABLE takes
// the flag away.
func setAppendOnly(f *os.File, on bool) error {
	flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil {
		want := flags &^ appendOnly
		if on {
			want |= appendOnly
		}
		if want == flags {
			return nil
		}
		err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, int(want))
	}
	if err != nil {
		return fmt.Errorf("%s: can't be made append-only: %w (the file system must know that flag, and the program be root)", f.Name(), err)
	}
	return nil
}
