//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// sample is one run of a command.
type sample struct {
	wall, cpu float64 // seconds; cpu is of all processes
	peakMB    float64 // of the process that took most; 1 MB is 1024 KiB, as time and top count
	stderr    []byte
}

// measure runs a command to its end.
func measure(cmd *exec.Cmd) (sample, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start)
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w\n%s", cmd, err, stderr.Bytes())
	}
	state := cmd.ProcessState
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return sample{}, fmt.Errorf("%s: no resource usage", cmd)
	}
	return sample{
		wall:   wall.Seconds(),
		cpu:    (state.UserTime() + state.SystemTime()).Seconds(),
		peakMB: float64(usage.Maxrss) / 1024,
		stderr: stderr.Bytes(),
	}, nil
}

// footprint is the memory of a tree of processes when it was largest. Memory
// that processes share counts once: it is the sum of their PSS.
type footprint struct {
	totalMB float64
	parts   []string
}

// watch runs a command and looks at the memory of its processes meanwhile, which
// slows it down.
func watch(cmd *exec.Cmd) (footprint, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		return footprint{}, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	var peak footprint
	for {
		select {
		case err := <-done:
			if err != nil {
				return footprint{}, fmt.Errorf("%s: %w\n%s", cmd, err, stderr.Bytes())
			}
			return peak, nil
		case <-time.After(10 * time.Millisecond):
			if now := treeMemory(cmd.Process.Pid); now.totalMB > peak.totalMB {
				peak = now
			}
		}
	}
}

func treeMemory(root int) footprint {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		// The command's name, in parentheses, may hold anything.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		pid, err1 := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		parent, err2 := strconv.Atoi(fields[1])
		if err1 == nil && err2 == nil {
			children[parent] = append(children[parent], pid)
		}
	}
	var f footprint
	for queue := []int{root}; len(queue) > 0; queue = queue[1:] {
		pid := queue[0]
		queue = append(queue, children[pid]...)
		if mb := pss(pid); mb > 0 {
			name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
			f.totalMB += mb
			f.parts = append(f.parts, fmt.Sprintf("%s %.0f", strings.TrimSpace(string(name)), mb))
		}
	}
	return f
}

func pss(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Pss:" {
			kib, _ := strconv.ParseFloat(fields[1], 64)
			return kib / 1024
		}
	}
	return 0
}

func load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	one, _, _ := strings.Cut(string(text), " ")
	return one
}

func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown CPU"
}

func nodeVersion() string {
	out, err := exec.Command("node", "--version").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
