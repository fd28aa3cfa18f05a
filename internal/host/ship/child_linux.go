package ship

import (
	"os/exec"
	"syscall"
)

// endWithUs lets no follower of the journal outlive a process that was killed.
func endWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
