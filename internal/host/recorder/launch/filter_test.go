//go:build linux

package launch

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// verdict runs a filter as the kernel would.
func verdict(t *testing.T, rules []rule, arch, call uint32, args ...uint64) uint32 {
	t.Helper()
	code := program(rules)
	_, err := assemble(code)
	require.NoError(t, err)
	// The machine of the package takes packets, and so big-endian words.
	data := make([]byte, 64)
	binary.BigEndian.PutUint32(data[offsetCall:], call)
	binary.BigEndian.PutUint32(data[offsetArch:], arch)
	for i, arg := range args {
		binary.BigEndian.PutUint32(data[offsetArgs+8*i:], uint32(arg))
		binary.BigEndian.PutUint32(data[offsetArgs+8*i+4:], uint32(arg>>32))
	}
	vm, err := bpf.NewVM(code)
	require.NoError(t, err)
	n, err := vm.Run(data)
	require.NoError(t, err)
	return uint32(n)
}

func TestFilter(t *testing.T) {
	eperm, enosys, family := refuse(unix.EPERM), refuse(unix.ENOSYS), refuse(unix.EAFNOSUPPORT)
	for _, c := range []struct {
		name                   string
		call                   uint32
		args                   []uint64
		people, administrators uint32
	}{
		{"execve", unix.SYS_EXECVE, nil, notify, notify},
		{"execveat", unix.SYS_EXECVEAT, nil, notify, notify},
		{"read", unix.SYS_READ, nil, allow, allow},
		{"clone of a thread", unix.SYS_CLONE, []uint64{unix.CLONE_VM | unix.CLONE_THREAD | unix.CLONE_SIGHAND}, allow, allow},
		{"clone of a process", unix.SYS_CLONE, []uint64{uint64(unix.SIGCHLD)}, allow, allow},
		{"clone into a namespace", unix.SYS_CLONE, []uint64{unix.CLONE_NEWUSER | uint64(unix.SIGCHLD)}, eperm, allow},
		{"clone3", unix.SYS_CLONE3, nil, enosys, allow},
		{"unshare of files", unix.SYS_UNSHARE, []uint64{unix.CLONE_FILES}, allow, allow},
		{"unshare of users", unix.SYS_UNSHARE, []uint64{unix.CLONE_NEWUSER}, eperm, allow},
		{"unshare of time", unix.SYS_UNSHARE, []uint64{unix.CLONE_NEWTIME}, eperm, allow},
		{"window size", unix.SYS_IOCTL, []uint64{0, unix.TIOCGWINSZ}, allow, allow},
		{"typing into a terminal", unix.SYS_IOCTL, []uint64{0, unix.TIOCSTI}, eperm, eperm},
		{"typing, with bits that the kernel ignores", unix.SYS_IOCTL, []uint64{0, unix.TIOCSTI | 1<<40}, eperm, eperm},
		{"console", unix.SYS_IOCTL, []uint64{0, unix.TIOCLINUX}, eperm, eperm},
		{"ptrace", unix.SYS_PTRACE, nil, eperm, allow},
		{"mount", unix.SYS_MOUNT, nil, eperm, allow},
		{"io_uring", unix.SYS_IO_URING_SETUP, nil, eperm, eperm},
		{"kexec", unix.SYS_KEXEC_LOAD, nil, eperm, eperm},
		{"bpf", unix.SYS_BPF, nil, eperm, allow},
		{"socket of IPv6", unix.SYS_SOCKET, []uint64{unix.AF_INET6}, allow, allow},
		{"socket of the system", unix.SYS_SOCKET, []uint64{unix.AF_UNIX}, allow, allow},
		{"socket of netlink", unix.SYS_SOCKET, []uint64{unix.AF_NETLINK}, allow, allow},
		{"socket to the hypervisor", unix.SYS_SOCKET, []uint64{unix.AF_VSOCK}, family, allow},
		{"socket of packets", unix.SYS_SOCKET, []uint64{unix.AF_PACKET}, family, allow},
		{"x32", 0x40000000 | unix.SYS_EXECVE, nil, kill, kill},
		{"no call", 0xffffffff, nil, kill, kill},
	} {
		assert.Equal(t, c.people, verdict(t, forPeople(), nativeArch, c.call, c.args...), c.name)
		assert.Equal(t, c.administrators, verdict(t, forEverybody(), nativeArch, c.call, c.args...), c.name+", by an administrator")
	}
	// Execve has the number 11 on i386, and 221 on arm64.
	assert.Equal(t, kill, verdict(t, forPeople(), unix.AUDIT_ARCH_I386, 11))
	assert.Equal(t, kill, verdict(t, forPeople(), unix.AUDIT_ARCH_ARM, 11))
	assert.Equal(t, kill, verdict(t, forEverybody(), unix.AUDIT_ARCH_I386, unix.SYS_READ))
}

func TestEveryRuleIsReached(t *testing.T) {
	for _, r := range forPeople() {
		args := make([]uint64, 6)
		for _, c := range r.when {
			args[c.arg] = uint64(c.value)
		}
		if r.call == unix.SYS_SOCKET {
			args[0] = unix.AF_ALG
		}
		assert.Equal(t, r.action, verdict(t, forPeople(), nativeArch, r.call, args...), "call %d", r.call)
	}
}
