//go:build linux

package relay

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// peerUID is who holds the other end of a loopback connection, as the kernel has
// it. An end that was closed already belongs to nobody, which the kernel writes as
// user 0, and inode 0 with it.
func peerUID(c net.Conn) (int, error) {
	// Its local address is our remote one.
	want := procAddress(c.RemoteAddr()) + " " + procAddress(c.LocalAddr())
	for _, name := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		uid, found, err := peerIn(name, want)
		if found || err != nil && !os.IsNotExist(err) {
			return uid, err
		}
	}
	return 0, fmt.Errorf("nobody holds the connection from %s any more", c.RemoteAddr())
}

func peerIn(name, want string) (uid int, found bool, err error) {
	file, err := os.Open(name)
	if err != nil {
		return 0, false, err
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		// sl local remote st queues timer retransmits uid timeout inode ...
		words := strings.Fields(lines.Text())
		if len(words) < 10 || mapped(words[1])+" "+mapped(words[2]) != want {
			continue
		}
		if words[9] == "0" {
			continue // of no program
		}
		uid, err := strconv.Atoi(words[7])
		return uid, err == nil, err
	}
	return 0, false, lines.Err()
}

// mapped takes the IPv4 address out of an IPv6 one of /proc/net/tcp6.
func mapped(address string) string {
	return strings.TrimPrefix(address, "0000000000000000FFFF0000")
}

// procAddress writes an IPv4 address as /proc/net/tcp has it: the bytes of the
// address as a number of this machine.
func procAddress(a net.Addr) string {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return a.String()
	}
	ip := at.Addr().Unmap().As4()
	return fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip[:]), at.Port())
}
