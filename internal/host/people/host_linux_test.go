package people

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/settings"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

const prefix = "public-keys/"

// host is a file system with Debian's accounts, a bucket, and what a run needs.
type host struct {
	t        testing.TB
	root     string
	bucket   *bucket
	settings settings.Settings
	options  Options
	now      time.Time
	out      bytes.Buffer
	alarms   bytes.Buffer
	changes  *changelog
	killed   []int
}

type changelog struct {
	lines bytes.Buffer
	err   error
}

func (c *changelog) Append(lines []byte) error {
	if c.err != nil {
		return c.err
	}
	c.lines.Write(lines)
	return nil
}

func newHost(t testing.TB) *host {
	t.Helper()
	h := &host{t: t, root: t.TempDir(), now: noon, changes: &changelog{}}
	h.bucket = newBucket(t, func() time.Time { return h.now })
	h.settings.PeopleBucket, h.settings.People.Prefix = bucketName, prefix
	h.settings.InstanceID = "i-0abc"
	h.options = Options{
		Root: h.root, Client: h.bucket.client(), Changelog: h.changes,
		clock:  func() time.Time { return h.now },
		killer: func(_ context.Context, uids []int) map[int]error { h.killed = append(h.killed, uids...); return nil },
		owners: newOwners(),
	}
	makeRoot(t, h.root)
	return h
}

func makeRoot(t testing.TB, root string) {
	t.Helper()
	for _, dir := range []string{"etc/sudoers.d", "home", "run", "var/lib"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	for name, text := range map[string]string{
		"passwd":  "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n+nis::::::\n# a comment\nodd line\nbob:x:1001:1001::/home/bob:/bin/bash\n",
		"shadow":  "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\nbob:$y$secret:19000:0:99999:7:::\n",
		"group":   "root:x:0:\ndaemon:x:1:\nadm:x:4:bob\nvideographers:x:999:\nbob:x:1001:\n",
		"gshadow": "root:*::\ndaemon:*::\nadm:*::bob\nvideographers:!::\nbob:!::\n",
	} {
		mode := fs.FileMode(0o644)
		if strings.HasSuffix(name, "shadow") {
			mode = 0o640
		}
		require.NoError(t, os.WriteFile(filepath.Join(root, "etc", name), []byte(text), mode))
	}
}

// fakeOwners remembers who owns what by inode, so that no test needs root.
type fakeOwners struct {
	mu sync.Mutex
	of map[uint64]int
}

func newOwners() *fakeOwners { return &fakeOwners{of: map[uint64]int{}} }

func (o *fakeOwners) chown(path string, uid int) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.of[info.Sys().(*syscall.Stat_t).Ino] = uid
	return nil
}

func (o *fakeOwners) owner(info fs.FileInfo) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.of[info.Sys().(*syscall.Stat_t).Ino]
}

func (h *host) run() error {
	h.t.Helper()
	h.out.Reset()
	h.alarms.Reset()
	h.changes.lines.Reset()
	return Run(context.Background(), h.settings, h.options, &event.Log{Out: &h.out, Console: &h.alarms})
}

func (h *host) must() {
	h.t.Helper()
	require.NoError(h.t, h.run())
}

func (h *host) read(path string) string {
	h.t.Helper()
	text, err := os.ReadFile(filepath.Join(h.root, path))
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	require.NoError(h.t, err)
	return string(text)
}

func (h *host) line(file, name string) string {
	h.t.Helper()
	for line := range strings.Lines(h.read("etc/" + file)) {
		if strings.HasPrefix(line, name+":") {
			return strings.TrimSuffix(line, "\n")
		}
	}
	return ""
}

// entries of the changelog, without what is the same in all.
func (h *host) entries() []string {
	h.t.Helper()
	var all []string
	for line := range strings.Lines(h.changes.lines.String()) {
		var e Entry
		require.NoError(h.t, json.Unmarshal([]byte(line), &e))
		who := e.Person
		if who == "" {
			who = e.Object
		}
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %d", e.Action, who, e.UID)))
	}
	return all
}

func (h *host) add(names ...string) {
	for _, name := range names {
		h.bucket.put(prefix+name+".pub", keyOf(name)+" "+name+"@laptop\n")
	}
}

func (h *host) drop(names ...string) {
	for _, name := range names {
		h.bucket.remove(prefix + name + ".pub")
	}
}

// keyOf is always the same key for a name.
func keyOf(name string) string {
	seed := int64(1)
	for _, c := range name {
		seed = seed*131 + int64(c)
	}
	public, _, err := ed25519.GenerateKey(rand.New(rand.NewSource(seed)))
	if err != nil {
		panic(err)
	}
	return lineOf(public)
}

func lineOf(public any) string {
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		panic(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}
