package ship

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/host/chain"
	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/settings"
)

// backlog is POSTERN_BACKLOG_MIB, or a gigabyte.
var backlog = func() int {
	if n, err := strconv.Atoi(os.Getenv("POSTERN_BACKLOG_MIB")); err == nil {
		return n << 20
	}
	return 1 << 30
}()

// BenchmarkBacklog delivers a gigabyte that could not be delivered before, by a
// process of its own, and tells what that needs at most.
func BenchmarkBacklog(b *testing.B) {
	root := b.TempDir()
	w, err := chain.Open(filepath.Join(root, settings.LogDir, "sessions", session), chain.Options{
		Suffix: chain.Cast, NotAppendOnly: true, First: chain.Header{Session: chain.Session{Start: time.Now()}}.Line,
	})
	require.NoError(b, err)
	screen := bytes.Repeat([]byte("\x1b[32mthe quick brown fox\x1b[0m jumps over the lazy dog\r\n"), 80)
	written := 0
	for i := 0; written < backlog; i++ {
		line := chain.AppendEvent(nil, time.Duration(i)*time.Millisecond, chain.EventOutput, screen)
		require.NoError(b, w.Append(line))
		written += len(line)
	}
	require.NoError(b, w.Close())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = io.WriteString(w, "{}")
	}))
	b.Cleanup(server.Close)
	b.ResetTimer()
	for b.Loop() {
		require.NoError(b, os.RemoveAll(filepath.Join(root, stateDir)))
		cmd := exec.Command(os.Args[0], "-test.run=^TestBacklogOfOne$")
		cmd.Env = append(os.Environ(), "POSTERN_SHIP_BACKLOG="+root, "AWS_ENDPOINT_URL="+server.URL,
			"AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b", "AWS_EC2_METADATA_DISABLED=true")
		out, err := cmd.CombinedOutput()
		require.NoError(b, err, "%s", out)
		found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(out)
		require.NotNil(b, found, "%s", out)
		kilobytes, err := strconv.Atoi(string(found[1]))
		require.NoError(b, err)
		b.ReportMetric(float64(kilobytes)/1024, "RSS-MiB")
		b.ReportMetric(cmd.ProcessState.UserTime().Seconds()+cmd.ProcessState.SystemTime().Seconds(), "CPU-s")
	}
}

// TestBacklogOfOne delivers what BenchmarkBacklog made, and otherwise one line.
func TestBacklogOfOne(t *testing.T) {
	root := os.Getenv("POSTERN_SHIP_BACKLOG")
	if root == "" {
		h := newHarness(t)
		s := h.chain(t, "sessions", session)
		require.NoError(t, s.Close())
		h.run(t)
		require.Eventually(t, func() bool { return delivered(h.root) }, 10*time.Second, 20*time.Millisecond)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	s, err := newShipper(ctx, chosen(), &event.Log{Console: io.Discard})
	require.NoError(t, err)
	s.Root, s.Journal = root, quietJournal
	go func() {
		for !delivered(root) {
			time.Sleep(100 * time.Millisecond)
		}
		cancel()
	}()
	require.NoError(t, s.Run(ctx))
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	_, _ = os.Stdout.Write(status)
}

func delivered(root string) bool {
	logs, bucket, err := Delivered(root, session)
	return err == nil && logs && bucket
}
