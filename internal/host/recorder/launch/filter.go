//go:build linux

//nolint:gosec // numbers as the kernel has them, and groups that systemd makes so too
package launch

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// rule says what becomes of one system call.
type rule struct {
	call uint32
	// when are conditions that must all hold; none: always.
	when   []condition
	action uint32
}

// condition is about the low 32 bits of an argument. Flags and requests of ioctl
// are 32 bits wide in the kernel, whatever stands above them.
type condition struct {
	arg   int
	test  bpf.JumpTest
	value uint32
}

// What the kernel does with a call.
const (
	notify = uint32(unix.SECCOMP_RET_USER_NOTIF)
	allow  = uint32(unix.SECCOMP_RET_ALLOW)
	kill   = uint32(unix.SECCOMP_RET_KILL_PROCESS)
)

func refuse(errno unix.Errno) uint32 { return uint32(unix.SECCOMP_RET_ERRNO) | uint32(errno) }

// Offsets in struct seccomp_data.
const (
	offsetCall = 0
	offsetArch = 4
	offsetArgs = 16
)

// The flags of clone that make namespaces. CLONE_NEWTIME is not among them: in
// clone it is part of the signal number.
const cloneNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// forEverybody is what holds for administrators too, who become root by sudo:
// every program that starts is told, and what would go around that is shut.
func forEverybody() []rule {
	rules := []rule{
		{call: unix.SYS_EXECVE, action: notify},
		{call: unix.SYS_EXECVEAT, action: notify},
		// Would type into a terminal what nobody typed.
		{call: unix.SYS_IOCTL, when: []condition{{1, bpf.JumpEqual, unix.TIOCSTI}}, action: refuse(unix.EPERM)},
		{call: unix.SYS_IOCTL, when: []condition{{1, bpf.JumpEqual, unix.TIOCLINUX}}, action: refuse(unix.EPERM)},
	}
	// Large parts of the kernel that nobody needs here: io_uring does files and
	// network past this filter, userfaultfd is what exploits stop the kernel with.
	for _, call := range []uint32{
		unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
		unix.SYS_USERFAULTFD, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD,
	} {
		rules = append(rules, rule{call: call, action: refuse(unix.EPERM)})
	}
	return rules
}

// forPeople is what else those without sudo are refused.
func forPeople() []rule {
	rules := forEverybody()
	for _, call := range append([]uint32{
		unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_GETFD,
		unix.SYS_PROCESS_MADVISE, unix.SYS_KCMP,
		unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN,
		unix.SYS_SETNS, unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT,
		unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT, unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT,
		unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR,
		unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
		unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
		unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL,
		unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_FANOTIFY_INIT, unix.SYS_LOOKUP_DCOOKIE,
		unix.SYS_VHANGUP, unix.SYS_MOVE_PAGES, unix.SYS_MIGRATE_PAGES,
		unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_SYSLOG,
	}, archCalls...) {
		rules = append(rules, rule{call: call, action: refuse(unix.EPERM)})
	}
	return append(
		rules,
		rule{call: unix.SYS_UNSHARE, when: []condition{{0, bpf.JumpBitsSet, cloneNamespaces | unix.CLONE_NEWTIME}}, action: refuse(unix.EPERM)},
		rule{call: unix.SYS_CLONE, when: []condition{{0, bpf.JumpBitsSet, cloneNamespaces}}, action: refuse(unix.EPERM)},
		// Its flags are in memory, where a filter can't look; C libraries then use clone.
		rule{call: unix.SYS_CLONE3, action: refuse(unix.ENOSYS)},
		rule{
			call: unix.SYS_SOCKET,
			when: []condition{
				{0, bpf.JumpNotEqual, unix.AF_UNIX},
				{0, bpf.JumpNotEqual, unix.AF_INET},
				{0, bpf.JumpNotEqual, unix.AF_INET6},
				{0, bpf.JumpNotEqual, unix.AF_NETLINK},
			},
			action: refuse(unix.EAFNOSUPPORT),
		},
	)
}

// program makes rules what the kernel runs. The system calls of another
// architecture end the process: they have other numbers, and so would be past the
// rules.
func program(rules []rule) []bpf.Instruction {
	code := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: nativeArch, SkipTrue: 1},
		bpf.RetConstant{Val: kill},
		bpf.LoadAbsolute{Off: offsetCall, Size: 4},
		// x32, which shares the number of the native architecture.
		bpf.JumpIf{Cond: bpf.JumpLessThan, Val: 0x40000000, SkipTrue: 1},
		bpf.RetConstant{Val: kill},
	}
	for _, r := range rules {
		var body []bpf.Instruction
		for i, c := range r.when {
			// Behind this test are two instructions for each that follows, the verdict
			// and the reload.
			skip := uint8(2*(len(r.when)-1-i) + 1)
			body = append(body,
				bpf.LoadAbsolute{Off: offsetArgs + uint32(8*c.arg), Size: 4},
				bpf.JumpIf{Cond: c.test, Val: c.value, SkipFalse: skip})
		}
		body = append(body, bpf.RetConstant{Val: r.action})
		if len(r.when) > 0 {
			body = append(body, bpf.LoadAbsolute{Off: offsetCall, Size: 4})
		}
		code = append(code, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: r.call, SkipTrue: uint8(len(body))})
		code = append(code, body...)
	}
	return append(code, bpf.RetConstant{Val: allow})
}

// assemble makes a program what seccomp(2) takes.
func assemble(code []bpf.Instruction) ([]unix.SockFilter, error) {
	raw, err := bpf.Assemble(code)
	if err != nil {
		return nil, err
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return filter, nil
}
