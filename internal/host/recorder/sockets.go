//go:build linux

package recorder

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Who has all ports of the range that connections begin from keeps everybody else
// from connecting: names can't be asked for any more, nothing is shipped, and nobody
// is removed. Sockets of all kinds are counted, as the kernel lists those that are
// merely bound nowhere.

// watchSockets ends the sessions of those who have so many sockets that ports could get
// scarce, where there are many at all.
func (r *Recorder) watchSockets() {
	many := portRange() / 4
	if socketsUsed() < many {
		return
	}
	type person struct {
		name    string
		sockets map[string]bool // several processes may have one
		all     []*session
	}
	people := map[int]*person{}
	for _, s := range r.all() {
		p := people[s.peer.uid]
		if p == nil {
			p = &person{name: s.peer.name, sockets: map[string]bool{}}
			people[s.peer.uid] = p
		}
		p.all = append(p.all, s)
		for _, pid := range r.cgroups.processes(s.id) {
			addSockets(p.sockets, pid)
		}
	}
	for _, p := range people {
		// Those that are on the way from one process to another are in none.
		if len(p.sockets) < many/4 {
			continue
		}
		r.log.Alarm("ports-taken", "a person's programs have so many sockets that others could have none: their sessions end", "person", p.name, "sockets", len(p.sockets))
		for _, s := range p.all {
			s.end(whyPorts)
			s.destroy()
		}
	}
}

// portRange is how many ports connections begin from.
func portRange() int {
	var first, last int
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 28232 // what kernels begin with
	}
	if _, err := fmt.Sscan(string(text), &first, &last); err != nil || last < first {
		return 28232
	}
	return last - first + 1
}

// socketsUsed is how many sockets of all kinds there are on the host.
func socketsUsed() int {
	for _, line := range lines("/proc/net/sockstat") {
		var n int
		if _, err := fmt.Sscanf(line, "sockets: used %d", &n); err == nil {
			return n
		}
	}
	return 0
}

// addSockets adds those that a process has open.
func addSockets(to map[string]bool, pid int) {
	dir, err := os.Open(procPath(pid, "fd"))
	if err != nil {
		return
	}
	defer func() { _ = dir.Close() }()
	names, _ := dir.Readdirnames(-1)
	var target [64]byte
	for _, name := range names {
		if n, err := unix.Readlinkat(int(dir.Fd()), name, target[:]); err == nil && strings.HasPrefix(string(target[:n]), "socket:") {
			to[string(target[:n])] = true
		}
	}
}
