package ship

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/host/chain"
	"github.com/postern-cdk/postern/internal/host/settings"
)

var update = flag.Bool("update", false, "write what was shipped of the day of the queries' tests")

// dayDir has what a recorder and sshd wrote on one day.
const dayDir = "../../queries/testdata/day"

// dayLine is an event of a log group as the AWS CLI gives it out.
type dayLine struct {
	LogStreamName string `json:"logStreamName"`
	Timestamp     int64  `json:"timestamp"`
	Message       string `json:"message"`
}

// replayed is a journal that ends with what it has.
type replayed struct{ io.Reader }

func (replayed) Close() error { return nil }

// What the saved queries are tried on, and the guide to a day reads, is what this
// program ships of a day's records.
func TestDay(t *testing.T) {
	h := newHarness(t)
	require.NoError(t, os.CopyFS(filepath.Join(h.root, settings.LogDir), os.DirFS(dayDir+"/host")))
	journal, err := os.ReadFile(dayDir + "/host/journal.json")
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(h.root, settings.LogDir, "journal.json")))
	records, err := chain.Find(os.DirFS(dayDir + "/host"))
	require.NoError(t, err)
	require.Len(t, records, 4, "two sessions, commands, people")

	evening := firstTime(t, journal).Add(time.Hour)
	begun := time.Now()
	h.clock = func() time.Time { return evening.Add(time.Since(begun)) }
	h.run(t, func(s *Shipper) {
		s.Settings.InstanceID = "i-0123456789abcdef0"
		s.Settings.Recording.Prefix = "sessions/"
		s.now = h.clock
		s.Journal = func(_ context.Context, cursor string) (Journal, error) {
			if cursor != "" {
				return quietJournal(context.Background(), cursor)
			}
			r, w := io.Pipe()
			go func() { _, _ = w.Write(journal) }()
			return replayed{r}, nil
		}
	})
	entries := bytes.Count(journal, []byte("\n"))
	require.Eventually(t, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.objects) >= len(records) && len(dayLines(h.service)) >= entries+len(records)
	}, 20*time.Second, 50*time.Millisecond)
	h.stop()
	require.Empty(t, h.problems)

	var logs bytes.Buffer
	encoder := json.NewEncoder(&logs)
	encoder.SetEscapeHTML(false)
	for _, line := range dayLines(h.service) {
		require.NoError(t, encoder.Encode(line))
	}
	if *update {
		require.NoError(t, os.RemoveAll(dayDir+"/bucket"))
		for key, text := range h.objects {
			require.NoError(t, os.MkdirAll(filepath.Join(dayDir, "bucket", filepath.Dir(key)), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dayDir, "bucket", key), text, 0o600))
		}
		require.NoError(t, os.MkdirAll(dayDir+"/logs", 0o755))
		require.NoError(t, os.WriteFile(dayDir+"/logs/hosts.jsonl", logs.Bytes(), 0o600))
	}
	want, err := os.ReadFile(dayDir + "/logs/hosts.jsonl")
	require.NoError(t, err)
	assert.Equal(t, string(want), logs.String(), "go test ./internal/host/ship -run TestDay -update")
	kept := map[string]string{}
	require.NoError(t, fs.WalkDir(os.DirFS(dayDir+"/bucket"), ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			text, err := os.ReadFile(filepath.Join(dayDir, "bucket", path))
			kept[path] = string(text)
			return err
		}
		return err
	}))
	assert.Equal(t, slices.Sorted(maps.Keys(kept)), slices.Sorted(maps.Keys(h.objects)))
	for key, text := range h.objects {
		assert.Equal(t, kept[key], string(text), key)
	}
}

// dayLines are the lines that came, by stream. The marks of the journal's spool,
// which differ from run to run, are left out.
func dayLines(s *service) []dayLine {
	var all []dayLine
	for _, name := range slices.Sorted(maps.Keys(s.streams)) {
		_, stream, _ := strings.Cut(name, "|")
		_, kind, _ := strings.Cut(stream, "/")
		for i, message := range s.streams[name] {
			_, mark := chain.ParseMark([]byte(message))
			if mark && slices.Contains(journalKinds, settings.Log(kind)) {
				continue
			}
			all = append(all, dayLine{stream, s.times[name][i], message})
		}
	}
	return all
}

func firstTime(t *testing.T, journal []byte) time.Time {
	t.Helper()
	line, _, _ := bytes.Cut(journal, []byte("\n"))
	e, err := parseEntry(line)
	require.NoError(t, err)
	return time.UnixMilli(e.at)
}
