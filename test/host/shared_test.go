//go:build linux

package host_test

import (
	"sync"

	"github.com/postern-cdk/postern/test/host/lab"
)

// hosts that several tests use, each booted once.
type hosts struct {
	mu   sync.Mutex
	open []*lab.Lab
}

var shared hosts

func (h *hosts) keep(l *lab.Lab) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open = append(h.open, l)
}

func (h *hosts) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.open {
		l.Close()
	}
}
