//go:build linux

package check

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/settings"
)

// maxOffset of the clock: evidence of two hosts is told in order by it. AWS itself
// refuses requests that are minutes off.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
const maxOffset = 5 * time.Second

func (h *Host) clock(ctx context.Context) (string, error) {
	offset, source, err := h.chrony(ctx)
	if err != nil {
		why := err
		if offset, err = h.served(ctx); err != nil {
			return "", fmt.Errorf("nobody could be asked for the time: %w; %w", why, err)
		}
		source = h.Clock
	}
	if offset.Abs() > maxOffset {
		return "", fmt.Errorf("the clock is %s off by %s: evidence has the wrong time, and AWS will refuse requests", offset.Round(time.Millisecond), source)
	}
	return fmt.Sprintf("%s off by %s", offset.Round(time.Millisecond), source), nil
}

// chrony asks the daemon that keeps the time.
func (h *Host) chrony(ctx context.Context) (time.Duration, string, error) {
	out, err := exec.CommandContext(ctx, h.chronyc, "-c", "tracking").Output()
	if err != nil {
		return 0, "", fmt.Errorf("chronyc: %w", err)
	}
	record, err := csv.NewReader(strings.NewReader(string(out))).Read()
	if err != nil || len(record) < 14 {
		return 0, "", fmt.Errorf("chronyc says %q", strings.TrimSpace(string(out)))
	}
	if leap := record[len(record)-1]; leap == "Not synchronised" {
		return 0, "", errors.New("chronyd is not synchronised")
	}
	seconds, err := strconv.ParseFloat(record[4], 64)
	if err != nil {
		return 0, "", fmt.Errorf("chronyc says %q", record[4])
	}
	return time.Duration(seconds * float64(time.Second)), "chronyd, which asks " + record[1], nil
}

// served asks a server, whose answer has whole seconds.
func (h *Host) served(ctx context.Context) (time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, h.Clock, nil)
	if err != nil {
		return 0, err
	}
	begin := h.now()
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	_ = answer.Body.Close()
	end := h.now()
	date, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return 0, fmt.Errorf("%s has no date: %w", h.Clock, err)
	}
	return begin.Add(end.Sub(begin) / 2).Sub(date.Add(time.Second / 2)), nil
}

// The disk must take what sessions write until somebody has reacted to the alarm.
const (
	spare         = 3
	minInodeShare = 5 // percent
)

func (h *Host) disk(context.Context) (string, error) {
	need := uint64(max(h.Recording.MinFreeMiB, 0)) * spare << 20
	var told string
	for _, dir := range []string{settings.LogDir, settings.ShadowDir, settings.StateDir} {
		var fs unix.Statfs_t
		if err := unix.Statfs(h.path(dir), &fs); err != nil {
			return "", fmt.Errorf("%s: %w", dir, err)
		}
		free := fs.Bavail * uint64(fs.Bsize) //nolint:gosec // a block has no negative size
		if free < need {
			return "", fmt.Errorf("%s has %d MiB free, fewer than %d: below %d sessions end", dir, free>>20, need>>20, h.Recording.MinFreeMiB)
		}
		// Some file systems make inodes as they need them, and say 0.
		if fs.Files > 0 && fs.Ffree*100 < fs.Files*minInodeShare {
			return "", fmt.Errorf("%s has %d of %d inodes free, fewer than %d %%", dir, fs.Ffree, fs.Files, minInodeShare)
		}
		if told == "" {
			told = fmt.Sprintf("%d MiB free", free>>20)
		}
	}
	return told, nil
}

// minMemory is what one more recorded session and one reconcile want, with room.
const minMemory = 48 // MiB

func (h *Host) memory(context.Context) (string, error) {
	text, err := os.ReadFile(h.path("/proc/meminfo"))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "MemAvailable:" {
			continue
		}
		kib, err := strconv.Atoi(fields[1])
		if err != nil {
			return "", fmt.Errorf("/proc/meminfo says %q", line)
		}
		if kib>>10 < minMemory {
			return "", fmt.Errorf("%d MiB of memory are available, fewer than %d", kib>>10, minMemory)
		}
		return fmt.Sprintf("%d MiB available", kib>>10), nil
	}
	return "", errors.New("/proc/meminfo does not say what is available")
}
