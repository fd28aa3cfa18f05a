// Package uptime tells when things happened on a host by a clock that nobody sets:
// the time since the kernel started, suspension included. Clocks on the wall are
// stepped, by chrony or by who may, and then put things in the wrong order.
package uptime

import (
	"os"
	"strings"
	"time"
)

// Tick is the unit in which the kernel tells when a process started: a second has a
// hundred on all architectures of Linux that have programs for hosts.
const Tick = 10 * time.Millisecond

// Moment of a boot.
type Moment struct {
	// Boot is the kernel's name for this run of it, another one after each start.
	Boot string `json:"boot,omitempty"`
	// Since the start.
	Since time.Duration `json:"since,omitempty"`
}

// Now is the present moment.
func Now() (Moment, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Moment{}, err
	}
	since, err := sinceBoot()
	return Moment{Boot: strings.TrimSpace(string(id)), Since: since}, err
}
