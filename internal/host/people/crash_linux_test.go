package people

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/settings"
)

// A process of its own is ended by SIGKILL between two steps, the next one begins
// where it was, and so on: what comes out must be what one undisturbed run makes.

const crashVariable = "POSTERN_PEOPLE_CRASH"

// crash is what such a process is told.
type crash struct {
	Root string
	URL  string
	// At is the step to die at, from 1. 0: none.
	At int
}

// diskOwners remembers owners in a file, so that they outlive a process.
type diskOwners struct{ *fakeOwners }

func (o diskOwners) chown(path string, uid int) error {
	if err := o.fakeOwners.chown(path, uid); err != nil {
		return err
	}
	return os.WriteFile(path+"/.owner", []byte(strconv.Itoa(uid)), 0o600)
}

func (o diskOwners) owner(info fs.FileInfo) int {
	return o.fakeOwners.owner(info)
}

type fileLog struct{ path string }

func (l fileLog) Append(lines []byte) error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(lines)
	return errors.Join(err, f.Close())
}

func TestMain(m *testing.M) {
	if text := os.Getenv(crashVariable); text != "" {
		os.Exit(crashing(text))
	}
	os.Exit(m.Run())
}

// crashing is the process that dies. Its exit code says how many steps it took.
func crashing(text string) int {
	var c crash
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		panic(err)
	}
	known := newOwners()
	homes, _ := filepath.Glob(filepath.Join(c.Root, "home/*"))
	for _, home := range homes {
		if text, err := os.ReadFile(home + "/.owner"); err == nil {
			uid, _ := strconv.Atoi(string(text))
			_ = known.chown(home, uid)
		}
	}
	steps := 0
	var s settings.Settings
	s.PeopleBucket, s.People.Prefix, s.People.Sudo = bucketName, prefix, []string{"alice", "carol"}
	err := Run(context.Background(), s, Options{
		Root: c.Root, Client: clientOf(c.URL, 3), Changelog: fileLog{filepath.Join(c.Root, "changelog")},
		clock:  func() time.Time { return noon },
		killer: func(context.Context, []int) map[int]error { return nil },
		owners: diskOwners{known},
		pause: func(string) {
			if steps++; steps == c.At {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		},
	}, &event.Log{Out: io.Discard, Console: io.Discard})
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error())
		return 255
	}
	return min(steps, 250)
}

// process runs one and returns its steps, or -1 where it was killed.
func process(t *testing.T, c crash) int {
	t.Helper()
	text, err := json.Marshal(c)
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashVariable+"="+string(text))
	out, err := cmd.CombinedOutput()
	if err == nil {
		return 0
	}
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		require.Equal(t, syscall.SIGKILL, status.Signal())
		return -1
	}
	require.NotEqual(t, 255, status.ExitStatus(), string(out))
	return status.ExitStatus()
}

// stage makes a host with people, and a bucket in which some came, some went and one
// changed.
func stage(t *testing.T, root string, b *bucket) {
	t.Helper()
	makeRoot(t, root)
	for _, name := range []string{"alice", "carol", "dave", "erin", "frank"} {
		b.put(prefix+name+".pub", keyOf(name))
	}
	require.Positive(t, process(t, crash{Root: root, URL: b.url}))
	for _, name := range []string{"alice", "dave"} {
		b.remove(prefix + name + ".pub")
		require.NoError(t, os.WriteFile(filepath.Join(root, "home", name, "file"), []byte(name), 0o600))
	}
	b.put(prefix+"erin.pub", keyOf("erin2"))
	b.put(prefix+"grace.pub", keyOf("grace"))
	b.put(prefix+"heidi.pub", keyOf("heidi"))
}

// result is all that a host is: its files, and what its changelog says, however often.
func result(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		name := strings.TrimPrefix(path, root)
		info, err := entry.Info()
		require.NoError(t, err)
		all[name] = info.Mode().String()
		if name == "/run/postern/people.json" || !info.Mode().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		switch name {
		case "/changelog":
			once := map[string]bool{}
			for line := range strings.Lines(string(text)) {
				once[line] = true
			}
			for line := range once {
				all["told: "+line] = ""
			}
			return nil
		case "/var/lib/postern/people.json":
			text = regexp.MustCompile(`"refused":\{\}`).ReplaceAll(text, nil)
		}
		all[name] += " " + string(text)
		return nil
	}))
	return all
}

func TestKilledAtEachStep(t *testing.T) {
	run := func(at ...int) (map[string]string, int) {
		b := newBucket(t, func() time.Time { return noon })
		root := t.TempDir()
		stage(t, root, b)
		for i, step := range at {
			ended := process(t, crash{Root: root, URL: b.url, At: step})
			if i == 0 {
				require.Equal(t, -1, ended, "it died")
			}
		}
		steps := process(t, crash{Root: root, URL: b.url})
		require.GreaterOrEqual(t, steps, 0)
		return result(t, root), steps
	}
	want, steps := run()
	require.Greater(t, steps, 25, "the steps are there to die between")
	assert.Contains(t, want, "/var/lib/postern/removed/alice-20000-20261121T120000Z/home/file")
	for at := 1; at <= steps; at++ {
		got, _ := run(at)
		require.Equal(t, want, got, "killed at step %d", at)
	}
	// And while it repairs what the first death left.
	for at := 2; at <= steps; at += 7 {
		got, _ := run(at, 3, 5)
		require.Equal(t, want, got, "killed at step %d and twice after that", at)
	}
}
