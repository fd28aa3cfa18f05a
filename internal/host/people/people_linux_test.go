package people

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/settings"
)

func TestAddsPeople(t *testing.T) {
	h := newHost(t)
	h.add("alice", "carol")
	before := h.read("etc/passwd")
	h.must()

	assert.Equal(t, before+"alice:x:20000:20000::/home/alice:/opt/postern/bin/postern-shell\n"+
		"carol:x:20001:20001::/home/carol:/opt/postern/bin/postern-shell\n", h.read("etc/passwd"))
	assert.Equal(t, "alice:*:20778:0:99999:7:::", h.line("shadow", "alice"))
	assert.Equal(t, "alice:x:20000:", h.line("group", "alice"))
	assert.Equal(t, "postern:x:998:alice,carol", h.line("group", "postern"))
	assert.Equal(t, "postern:!::alice,carol", h.line("gshadow", "postern"))
	assert.Equal(t, "alice:!::", h.line("gshadow", "alice"))
	assert.Equal(t, keyOf("alice")+" alice\n", h.read("etc/postern/keys/alice"))
	for path, mode := range map[string]os.FileMode{
		"etc/passwd": 0o644, "etc/shadow": 0o640, "etc/postern/keys/alice": 0o644,
		"home/alice": 0o700 | os.ModeDir, "var/lib/postern/people.json": 0o600, "run/postern/people.json": 0o644,
	} {
		info, err := os.Lstat(filepath.Join(h.root, path))
		require.NoError(t, err)
		assert.Equal(t, mode, info.Mode(), path)
	}
	assert.Equal(t, []string{"added alice 20000", "added carol 20001"}, h.entries())
	assert.Contains(t, h.changes.lines.String(), `"fingerprints":["`+Fingerprint(keyOf("alice"))+`"]`)
	assert.Contains(t, h.changes.lines.String(), `"version":"v-`)
	assert.Contains(t, h.out.String(), `{"postern":"people","action":"added","person":"alice"`)

	status, err := ReadStatus(h.root)
	require.NoError(t, err)
	assert.Equal(t, 2, status.People)
	assert.Equal(t, noon, status.Success)
}

func TestSteadyRunAsksOnceAndWritesNothing(t *testing.T) {
	h := newHost(t)
	h.add("alice")
	h.must()
	h.bucket.calls()
	stat := func(path string) os.FileInfo {
		info, err := os.Stat(filepath.Join(h.root, path))
		require.NoError(t, err)
		return info
	}
	files := []string{"etc/passwd", "etc/shadow", "etc/group", "etc/gshadow", "etc/postern/keys/alice", "var/lib/postern/people.json"}
	var before []os.FileInfo
	for _, path := range files {
		before = append(before, stat(path))
	}
	h.must()
	assert.Len(t, h.bucket.calls(), 1)
	assert.Empty(t, h.entries())
	assert.Empty(t, h.out.String())
	for i, path := range files {
		assert.True(t, os.SameFile(before[i], stat(path)), path)
	}
}

func TestChangedKeysFollow(t *testing.T) {
	h := newHost(t)
	h.add("alice", "carol")
	h.must()
	h.bucket.calls()
	h.now = h.now.Add(time.Minute)
	h.bucket.put(prefix+"alice.pub", keyOf("new")+"\n\n# second\n"+keyOf("newer")+" x\r\n")
	h.must()
	assert.Len(t, h.bucket.calls(), 2)
	assert.Equal(t, keyOf("new")+" alice\n"+keyOf("newer")+" alice\n", h.read("etc/postern/keys/alice"))
	assert.Equal(t, []string{"key-changed alice 20000"}, h.entries())
	assert.Contains(t, h.changes.lines.String(), `"before":["`+Fingerprint(keyOf("alice"))+`"]`)
}

func TestBrokenContentTakesTheOldKeysAway(t *testing.T) {
	h := newHost(t)
	h.add("alice")
	h.must()
	h.bucket.put(prefix+"alice.pub", "not a key at all\n")
	h.must()
	assert.Empty(t, h.read("etc/postern/keys/alice"))
	assert.NotEmpty(t, h.line("passwd", "alice"))
	assert.Equal(t, []string{"key-changed alice 20000", "refused alice 20000"}, h.entries())
	assert.Contains(t, h.alarms.String(), "people-keys-refused")
	h.must()
	assert.Empty(t, h.entries(), "told once")
	assert.Empty(t, h.alarms.String())
}

func TestRemovesPeople(t *testing.T) {
	h := newHost(t)
	h.add("alice", "carol", "dave")
	h.must()
	require.NoError(t, os.WriteFile(filepath.Join(h.root, "home/alice/notes"), []byte("x"), 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(h.root, "var/spool/cron"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(h.root, "var/spool/cron/alice"), []byte("* * * * * x"), 0o600))
	passwd := h.read("etc/passwd")
	var seen []string
	h.options.End = func(_ context.Context, name string) error {
		assert.Empty(t, h.read("etc/postern/keys/"+name), "the key goes first")
		assert.Contains(t, h.line("passwd", name), "/usr/sbin/nologin")
		assert.Equal(t, "alice:!*:0:0:99999:7::1:", h.line("shadow", name))
		seen = append(seen, "ended "+name)
		return nil
	}
	h.options.Forget = func(_ context.Context, name string) error { seen = append(seen, "forgot "+name); return nil }
	h.drop("alice")
	h.must()
	assert.Equal(t, []string{"ended alice", "forgot alice"}, seen)
	assert.Equal(t, []int{20000, 20000}, h.killed)
	assert.Equal(t, []string{"removed alice 20000"}, h.entries())
	assert.Equal(t, strings.Replace(passwd, "alice:x:20000:20000::/home/alice:/opt/postern/bin/postern-shell\n", "", 1), h.read("etc/passwd"))
	for _, file := range []string{"shadow", "group", "gshadow"} {
		assert.Empty(t, h.line(file, "alice"), file)
	}
	assert.Equal(t, "postern:x:998:carol,dave", h.line("group", "postern"))
	assert.NoDirExists(t, filepath.Join(h.root, "home/alice"))
	assert.NoFileExists(t, filepath.Join(h.root, "etc/postern/keys/alice"))
	kept := "var/lib/postern/removed/alice-20000-20261121T120000Z/"
	assert.Equal(t, "x", h.read(kept+"home/notes"))
	assert.Equal(t, "* * * * * x", h.read(kept+"cron-alice"))
	assert.NoFileExists(t, filepath.Join(h.root, "var/spool/cron/alice"))
	info, err := os.Stat(filepath.Join(h.root, kept))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700)|os.ModeDir, info.Mode())

	h.add("alice")
	h.must()
	assert.Equal(t, []string{"returned alice 20003"}, h.entries())
	assert.NoFileExists(t, filepath.Join(h.root, "home/alice/notes"))
}

func TestRemovalGoesOnWhileAProcessDoesNotEnd(t *testing.T) {
	h := newHost(t)
	h.add("alice", "carol", "dave")
	h.must()
	h.drop("alice")
	killer := h.options.killer
	h.options.killer = func(context.Context, []int) map[int]error { return map[int]error{20000: errors.New("it sleeps")} }
	require.ErrorContains(t, h.run(), "it sleeps")
	assert.Contains(t, h.line("passwd", "alice"), "nologin")
	assert.Contains(t, h.alarms.String(), "people-removal-stuck")
	// Who comes back meanwhile gets the old UID at no time.
	h.add("alice")
	require.Error(t, h.run())
	assert.Contains(t, h.line("passwd", "alice"), "20000:20000::/home/alice:/usr/sbin/nologin")
	assert.Empty(t, h.read("etc/postern/keys/alice"))
	h.options.killer = killer
	h.must()
	assert.Contains(t, h.line("passwd", "alice"), "alice:x:20003:")
}

func TestUIDsAreNeverGivenTwice(t *testing.T) {
	h := newHost(t)
	h.add("alice", "carol", "dave")
	h.must()
	h.drop("dave")
	h.must()
	// The state is lost; what was kept of dave still says whose 20002 was.
	require.NoError(t, os.Remove(filepath.Join(h.root, "var/lib/postern/people.json")))
	h.add("dave")
	h.must()
	assert.Contains(t, h.line("passwd", "dave"), ":20003:")
	assert.Contains(t, h.line("passwd", "alice"), ":20000:")
	assert.Contains(t, h.line("passwd", "carol"), ":20001:")
	assert.Equal(t, keyOf("alice")+" alice\n", h.read("etc/postern/keys/alice"))
}

func TestBrokenStateIsKeptAndTold(t *testing.T) {
	h := newHost(t)
	h.add("alice")
	h.must()
	require.NoError(t, os.WriteFile(filepath.Join(h.root, "var/lib/postern/people.json"), []byte("{"), 0o600))
	require.ErrorContains(t, h.run(), "people-state-broken")
	assert.Equal(t, "{", h.read("var/lib/postern/people.json.broken"))
	assert.Contains(t, h.line("passwd", "alice"), ":20000:")
	h.must()
}

func TestUIDsEnd(t *testing.T) {
	h := newHost(t)
	h.add("alice")
	h.must()
	s, _, err := loadState(h.root)
	require.NoError(t, err)
	s.NextUID = settings.LastUID
	_, err = s.save(h.root, nil)
	require.NoError(t, err)
	h.add("carol", "dave")
	require.ErrorContains(t, h.run(), "people-uids-exhausted: 1 people can't be added")
	assert.Contains(t, h.line("passwd", "carol"), ":59999:")
	assert.Empty(t, h.line("passwd", "dave"))
}

func TestWhoIsNotOursIsNeverTouched(t *testing.T) {
	h := newHost(t)
	before := h.line("passwd", "bob") + h.line("shadow", "bob") + h.line("group", "bob")
	for _, name := range []string{"bob", "root", "ec2-user", "videographers", "postern-check", "a", "-x", "x-", "Alice", "café", "al;ce", "alice$(id)", "x\ny", "x y", "12", strings.Repeat("a", 33), "..", "a\x01b"} {
		h.bucket.put(prefix+name+".pub", keyOf("x"+name))
	}
	h.bucket.put(prefix+"deeper/alice.pub", keyOf("deeper"))
	h.bucket.put(prefix+"alice.txt", "x")
	h.bucket.put(prefix, "")
	h.bucket.put(prefix+"alice.pub.pub", keyOf("twice"))
	h.must()
	assert.Equal(t, before, h.line("passwd", "bob")+h.line("shadow", "bob")+h.line("group", "bob"))
	entries, err := os.ReadDir(filepath.Join(h.root, "etc/postern/keys"))
	require.NoError(t, err)
	assert.Empty(t, entries)
	told := h.entries()
	assert.Len(t, told, 21)
	for _, line := range told {
		assert.True(t, strings.HasPrefix(line, "refused "), line)
	}
	assert.Equal(t, 21, strings.Count(h.changes.lines.String(), "\n"), "no name breaks a line")
	h.must()
	assert.Empty(t, h.entries(), "told once")
}

func TestAdministratorsLinesStay(t *testing.T) {
	h := newHost(t)
	h.add("alice")
	h.must()
	for _, line := range []string{"+nis::::::\n", "# a comment\n", "odd line\n"} {
		assert.Contains(t, h.read("etc/passwd"), line)
	}
	// The shell is the recorder: an account of ours never keeps another.
	text := strings.Replace(h.read("etc/passwd"), "alice:/opt/postern/bin/postern-shell", "alice:/bin/bash", 1)
	require.NoError(t, os.WriteFile(filepath.Join(h.root, "etc/passwd"), []byte(text), 0o644))
	h.must()
	assert.Contains(t, h.line("passwd", "alice"), "/opt/postern/bin/postern-shell")
}

func TestBrokenTablesAreNotWritten(t *testing.T) {
	for _, broken := range []string{"", "\x00\x00", "daemon:x:1:1::/:/bin/sh\n"} {
		h := newHost(t)
		h.add("alice")
		require.NoError(t, os.WriteFile(filepath.Join(h.root, "etc/passwd"), []byte(broken), 0o644))
		require.ErrorContains(t, h.run(), "people-accounts-broken")
		assert.Equal(t, broken, h.read("etc/passwd"))
	}
}

func TestKeysGoEvenWhereTablesAreBroken(t *testing.T) {
	h := newHost(t)
	h.add("alice", "carol", "dave")
	h.must()
	good := h.read("etc/passwd")
	require.NoError(t, os.WriteFile(filepath.Join(h.root, "etc/passwd"), nil, 0o644))
	h.drop("alice")
	require.Error(t, h.run())
	assert.NoFileExists(t, filepath.Join(h.root, "etc/postern/keys/alice"))
	assert.Equal(t, []int{20000}, h.killed)
	require.NoError(t, os.WriteFile(filepath.Join(h.root, "etc/passwd"), []byte(good), 0o644))
	h.must()
	assert.Empty(t, h.line("passwd", "alice"))
}

func TestHomesAreNeverFollowedOrHandedOn(t *testing.T) {
	h := newHost(t)
	victim := filepath.Join(h.root, "victim")
	require.NoError(t, os.MkdirAll(victim, 0o755))
	require.NoError(t, os.Symlink(victim, filepath.Join(h.root, "home/alice")))
	old := filepath.Join(h.root, "home/carol")
	require.NoError(t, os.Mkdir(old, 0o755))
	require.NoError(t, os.WriteFile(old+"/secret", []byte("x"), 0o600))
	require.NoError(t, h.options.owners.chown(old, 1234))
	h.add("alice", "carol")
	h.must()
	for _, name := range []string{"alice", "carol"} {
		info, err := os.Lstat(filepath.Join(h.root, "home", name))
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o700)|os.ModeDir, info.Mode(), name)
		entries, err := os.ReadDir(filepath.Join(h.root, "home", name))
		require.NoError(t, err)
		assert.Empty(t, entries)
	}
	assert.Equal(t, "x", h.read("var/lib/postern/removed/carol-1234-20261121T120000Z/home/secret"))
	info, err := os.Stat(victim)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o755)|os.ModeDir, info.Mode())
}

func TestKeyOfTwo(t *testing.T) {
	h := newHost(t)
	h.add("bert")
	h.must()
	// Earlier by name, later in time: it stays bert's.
	h.bucket.put(prefix+"anna.pub", keyOf("bert")+"\n"+keyOf("anna"))
	h.bucket.put(prefix+"mallory.pub", keyOf("bert"))
	h.must()
	assert.Equal(t, keyOf("bert")+" bert\n", h.read("etc/postern/keys/bert"))
	assert.Equal(t, keyOf("anna")+" anna\n", h.read("etc/postern/keys/anna"))
	assert.Empty(t, h.line("passwd", "mallory"))
	assert.Contains(t, h.changes.lines.String(), "is bert's: nobody could tell the two apart")
	// bert takes another one: now anna was first by name.
	h.bucket.put(prefix+"bert.pub", keyOf("other"))
	h.must()
	assert.Equal(t, keyOf("bert")+" anna\n"+keyOf("anna")+" anna\n", h.read("etc/postern/keys/anna"))
}

func TestKeyAge(t *testing.T) {
	h := newHost(t)
	h.settings.People.WarnKeyAge, h.settings.People.MaxKeyAge = 60*24*time.Hour, 90*24*time.Hour
	h.bucket.putAt(prefix+"alice.pub", keyOf("alice"), noon.Add(-61*24*time.Hour))
	h.bucket.putAt(prefix+"carol.pub", keyOf("carol"), noon.Add(-91*24*time.Hour))
	h.add("dave")
	h.must()
	assert.Equal(t, []string{"added alice 20000", "added dave 20001"}, h.entries()[1:3])
	assert.Contains(t, h.changes.lines.String(), "the keys are 61 days old; they are refused from 2026-12-20")
	assert.Contains(t, h.changes.lines.String(), "90 days is the most")
	h.must()
	assert.Empty(t, h.entries(), "one warning a day")
	h.now = h.now.Add(24 * time.Hour)
	h.must()
	assert.Equal(t, []string{"warned alice 20000"}, h.entries())
	h.now = h.now.Add(29 * 24 * time.Hour)
	h.must()
	assert.Equal(t, []string{"key-changed alice 20000", "refused alice 20000"}, h.entries())
	assert.Empty(t, h.read("etc/postern/keys/alice"))
	assert.Contains(t, h.alarms.String(), "people-keys-refused")
	h.bucket.put(prefix+"alice.pub", keyOf("fresh"))
	h.must()
	assert.Equal(t, keyOf("fresh")+" alice\n", h.read("etc/postern/keys/alice"))
}

func TestWrongClockRefusesNoKey(t *testing.T) {
	h := newHost(t)
	h.settings.People.MaxKeyAge = 24 * time.Hour
	h.add("alice")
	h.must()
	h.options.clock = func() time.Time { return noon.Add(365 * 24 * time.Hour) }
	require.ErrorContains(t, h.run(), "people-clock-wrong")
	assert.NotEmpty(t, h.read("etc/postern/keys/alice"))
	// And S3's clock alone does not decide either.
	h.options.clock = func() time.Time { return noon }
	h.now = noon.Add(365 * 24 * time.Hour)
	require.ErrorContains(t, h.run(), "people-clock-wrong")
	assert.NotEmpty(t, h.read("etc/postern/keys/alice"))
	h.options.clock = func() time.Time { return h.now }
	h.must()
	assert.Empty(t, h.read("etc/postern/keys/alice"))
}

func TestCertificateOnly(t *testing.T) {
	h := newHost(t)
	h.bucket.put(prefix+"alice.pub", "# by certificate\n")
	h.bucket.put(prefix+"carol.pub", "")
	h.settings.Certificates.Authorities = []string{keyOf("ca") + " ca@corp", "nonsense"}
	require.ErrorContains(t, h.run(), "authority 2 is not one public key")
	assert.NotEmpty(t, h.line("passwd", "alice"))
	assert.Empty(t, h.line("passwd", "carol"))
	assert.Equal(t, keyOf("ca")+"\n", h.read("etc/postern/authorities.pub"))
	h.settings.Certificates.Authorities = nil
	h.must()
	assert.NoFileExists(t, filepath.Join(h.root, "etc/postern/authorities.pub"))
}

func TestRevocationList(t *testing.T) {
	h := newHost(t)
	h.settings.Certificates.RevocationKey = prefix + "revoked.krl"
	require.ErrorContains(t, h.run(), "people-revocation-failed")
	assert.Equal(t, string(emptyRevoked()), h.read("etc/postern/revoked.krl"), "without the file sshd lets nobody in")
	list := string(emptyRevoked()) + "\x02\x00\x00\x00\x00"
	h.bucket.put(prefix+"revoked.krl", list)
	h.must()
	assert.Equal(t, list, h.read("etc/postern/revoked.krl"))
	assert.Equal(t, []string{"key-changed " + prefix + "revoked.krl 0"}, h.entries())
	h.bucket.calls()
	h.must()
	assert.Len(t, h.bucket.calls(), 2)
	assert.Empty(t, h.entries())
	for _, broken := range []string{"", "SSHKRL", list + "\x02\x00\x00\xff\xff", "<Error/>"} {
		h.bucket.put(prefix+"revoked.krl", broken)
		require.ErrorContains(t, h.run(), "people-revocation-failed")
		assert.Equal(t, list, h.read("etc/postern/revoked.krl"))
	}
	h.bucket.remove(prefix + "revoked.krl")
	require.ErrorContains(t, h.run(), "the last good list stays")
	assert.Equal(t, list, h.read("etc/postern/revoked.krl"))
}

func TestSudo(t *testing.T) {
	h := newHost(t)
	h.settings.People.Sudo = []string{"carol", "alice", "bob", "ghost"}
	h.add("alice", "carol", "dave", "erin")
	h.must()
	text := h.read("etc/sudoers.d/postern")
	assert.Contains(t, text, "\nalice ALL=(ALL:ALL) ALL\ncarol ALL=(ALL:ALL) ALL\n")
	assert.NotContains(t, text, "bob")
	assert.NotContains(t, text, "NOPASSWD")
	assert.Contains(t, h.out.String(), `"names":["bob","ghost"]`)
	info, err := os.Stat(filepath.Join(h.root, "etc/sudoers.d/postern"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o440), info.Mode())
	h.options.End = func(context.Context, string) error {
		assert.NotContains(t, h.read("etc/sudoers.d/postern"), "alice", "before the sessions end")
		return nil
	}
	h.drop("alice")
	h.must()
	h.options.End = nil
	h.drop("carol")
	h.must()
	assert.NoFileExists(t, filepath.Join(h.root, "etc/sudoers.d/postern"))
}

// Without its record access only shrinks.
func TestChangelogThatFails(t *testing.T) {
	h := newHost(t)
	h.bucket.put(prefix+"alice.pub", keyOf("alice")+"\n"+keyOf("alice2"))
	h.add("carol", "dave")
	h.must()
	h.changes.err = errors.New("no space left")
	h.bucket.put(prefix+"alice.pub", keyOf("alice2")+"\n"+keyOf("alice3"))
	h.drop("carol")
	h.add("erin")
	require.ErrorContains(t, h.run(), "people-log-failed")
	assert.Equal(t, keyOf("alice2")+" alice\n", h.read("etc/postern/keys/alice"))
	assert.Empty(t, h.line("passwd", "carol"))
	assert.Empty(t, h.line("passwd", "erin"))
	h.changes.err = nil
	h.must()
	assert.Equal(t, keyOf("alice2")+" alice\n"+keyOf("alice3")+" alice\n", h.read("etc/postern/keys/alice"))
	assert.Equal(t, []string{"key-changed alice 20000", "added erin 20003"}, h.entries())
}

func TestNoChangelogNoRun(t *testing.T) {
	h := newHost(t)
	h.options.Changelog = nil
	require.ErrorContains(t, h.run(), "a changelog is required")
}

func TestShrunkListing(t *testing.T) {
	h := newHost(t)
	h.add("alice", "carol", "dave", "erin")
	h.must()
	h.drop("alice", "carol", "dave")
	h.add("frank")
	h.bucket.put(prefix+"erin.pub", keyOf("rotated"))
	require.ErrorContains(t, h.run(), "people-listing-shrunk: 3 of 4 people")
	assert.NotEmpty(t, h.line("passwd", "alice"))
	assert.Equal(t, keyOf("alice")+" alice\n", h.read("etc/postern/keys/alice"))
	assert.Equal(t, keyOf("rotated")+" erin\n", h.read("etc/postern/keys/erin"), "a stolen key can be replaced even so")
	assert.NotEmpty(t, h.line("passwd", "frank"))
	// 3 of 5 is still over the limit; an operator who looked may say so.
	require.Error(t, h.run())
	h.options.AcceptRemovals = true
	h.must()
	assert.Empty(t, h.line("passwd", "alice"))
}

func TestHalfMayGo(t *testing.T) {
	h := newHost(t)
	h.add("alice", "carol", "dave", "erin")
	h.must()
	h.drop("alice", "carol")
	h.must()
	assert.Equal(t, []string{"removed alice 20000", "removed carol 20001"}, h.entries())
	h.settings.People.MaxShrinkPercent = 10
	h.add("alice", "carol")
	h.must()
	h.drop("dave")
	h.must()
	assert.Equal(t, []string{"removed dave 20002"}, h.entries(), "one may always go")
}

func TestEmptyListing(t *testing.T) {
	h := newHost(t)
	h.must()
	h.add("alice", "carol")
	h.must()
	h.drop("alice", "carol")
	require.ErrorContains(t, h.run(), "people-listing-empty")
	h.bucket.put(prefix+"not-a-key.txt", "x")
	require.ErrorContains(t, h.run(), "people-listing-empty")
	assert.NotEmpty(t, h.line("passwd", "alice"))
	h.settings.People.AllowEmpty = true
	h.must()
	assert.Empty(t, h.line("passwd", "alice"))
}

func isList(r *http.Request) bool { return r.URL.Query().Get("list-type") == "2" }

func TestFaultsOfTheListing(t *testing.T) {
	answers := map[string]func(http.ResponseWriter, *http.Request){
		"403":        func(w http.ResponseWriter, _ *http.Request) { refuse(w, 403, "AccessDenied") },
		"404":        func(w http.ResponseWriter, _ *http.Request) { refuse(w, 404, "NoSuchBucket") },
		"500":        func(w http.ResponseWriter, _ *http.Request) { refuse(w, 500, "InternalError") },
		"throttling": func(w http.ResponseWriter, _ *http.Request) { refuse(w, 503, "SlowDown") },
		"empty 200":  func(http.ResponseWriter, *http.Request) {},
		"portal": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("<html><body>Log in</body></html>"))
		},
		"truncated XML": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`<ListBucketResult><Name>keys</Name><KeyCount>1</KeyCount><IsTruncated>false</IsTruncated><Contents><Key>public-keys/al`))
		},
		"fewer than counted": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`<ListBucketResult><Name>keys</Name><KeyCount>3</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>`))
		},
		"no next page": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`<ListBucketResult><Name>keys</Name><KeyCount>0</KeyCount><IsTruncated>true</IsTruncated></ListBucketResult>`))
		},
		"for ever": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`<ListBucketResult><Name>keys</Name><KeyCount>0</KeyCount><IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken></ListBucketResult>`))
		},
		"another bucket's": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`<ListBucketResult><Name>other</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>`))
		},
		"broken line": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5000")
			_, _ = w.Write([]byte("<ListBucketResult>"))
		},
		"slow": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			h.add("alice", "carol", "dave")
			h.must()
			before := h.read("etc/passwd")
			h.drop("alice", "carol", "dave")
			h.settings.People.AllowEmpty = true // a failed listing is not an empty one
			if name == "slow" {
				h.options.Client = clientOf(h.bucket.url, 1)
			}
			h.bucket.fault = func(w http.ResponseWriter, r *http.Request) bool { answer(w, r); return true }
			require.ErrorContains(t, h.run(), "people-listing-failed")
			assert.Equal(t, before, h.read("etc/passwd"))
			assert.Equal(t, keyOf("alice")+" alice\n", h.read("etc/postern/keys/alice"))
			assert.Contains(t, h.alarms.String(), "people-listing-failed")
			status, err := ReadStatus(h.root)
			require.NoError(t, err)
			assert.NotEmpty(t, status.Faults)
			assert.Equal(t, noon, status.Success)
		})
	}
}

func TestNoName(t *testing.T) {
	h := newHost(t)
	h.add("alice")
	h.must()
	h.options.Client = clientOf("http://s3.invalid", 1)
	require.ErrorContains(t, h.run(), "people-listing-failed")
	assert.NotEmpty(t, h.line("passwd", "alice"))
}

func TestSecondPageFails(t *testing.T) {
	h := newHost(t)
	for i := range 1200 {
		h.add("p" + strconv.Itoa(10000+i))
	}
	h.must()
	before := h.read("etc/passwd")
	pages := 0
	h.bucket.fault = func(w http.ResponseWriter, r *http.Request) bool {
		if !isList(r) {
			return false
		}
		if pages++; pages > 1 {
			refuse(w, 500, "InternalError")
			return true
		}
		return false
	}
	require.ErrorContains(t, h.run(), "page 2")
	assert.Equal(t, before, h.read("etc/passwd"))
}

func TestThrottledOnceIsNoFault(t *testing.T) {
	h := newHost(t)
	h.add("alice")
	n := 0
	h.bucket.fault = func(w http.ResponseWriter, _ *http.Request) bool {
		if n++; n%2 == 1 {
			refuse(w, 503, "SlowDown")
			return true
		}
		return false
	}
	h.must()
	assert.NotEmpty(t, h.line("passwd", "alice"))
}

func TestFaultsOfReading(t *testing.T) {
	for name, status := range map[string]int{"403": 403, "500": 500, "gone": 404, "changed": 412} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			h.add("alice", "carol")
			h.must()
			h.bucket.put(prefix+"alice.pub", keyOf("new"))
			h.add("dave", "erin")
			h.bucket.fault = func(w http.ResponseWriter, r *http.Request) bool {
				if isList(r) || strings.Contains(r.URL.Path, "erin") {
					return false
				}
				refuse(w, status, "said")
				return true
			}
			err := h.run()
			if status == 404 || status == 412 {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, "people-read-failed")
			}
			assert.Equal(t, keyOf("alice")+" alice\n", h.read("etc/postern/keys/alice"))
			assert.Empty(t, h.line("passwd", "dave"))
			assert.NotEmpty(t, h.line("passwd", "erin"), "one object in the way stops nobody else")
			h.bucket.fault = nil
			h.must()
			assert.Equal(t, keyOf("new")+" alice\n", h.read("etc/postern/keys/alice"))
			assert.NotEmpty(t, h.line("passwd", "dave"))
		})
	}
}

func TestTwoAtOnce(t *testing.T) {
	h := newHost(t)
	h.add("alice")
	inside, leave := make(chan bool), make(chan bool)
	o := h.options
	o.pause = func(step string) {
		if step == "added saved" {
			close(inside)
			<-leave
		}
	}
	first := make(chan error)
	go func() { first <- Run(context.Background(), h.settings, o, &event.Log{Out: &h.out, Console: &h.alarms}) }()
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := Run(ctx, h.settings, h.options, &event.Log{Out: os.NewFile(0, ""), Console: &h.alarms})
	assert.ErrorIs(t, err, ErrBusy)
	close(leave)
	assert.NoError(t, <-first)
	assert.Equal(t, "alice:x:20000:20000::/home/alice:/opt/postern/bin/postern-shell", h.line("passwd", "alice"))
}

func TestPolicyThatChangesIsAppliedToAll(t *testing.T) {
	h := newHost(t)
	h.add("alice", "carol")
	h.must()
	h.settings.People.FIPSKeysOnly = true
	h.must()
	assert.Empty(t, h.read("etc/postern/keys/alice"))
	assert.Equal(t, 2, strings.Count(h.alarms.String(), "people-keys-refused"))
	h.settings.People.FIPSKeysOnly = false
	h.must()
	assert.NotEmpty(t, h.read("etc/postern/keys/alice"))
}

func TestManyHostileObjects(t *testing.T) {
	h := newHost(t)
	for i := range 1500 {
		h.bucket.put(prefix+fmt.Sprintf("!%d", i), "x")
	}
	h.add("alice")
	h.must()
	assert.Len(t, h.entries(), maxRefused+1)
	assert.NotEmpty(t, h.line("passwd", "alice"))
	h.must()
	assert.Empty(t, h.entries())
}

// As many requests as pages, whatever the number of people; the benchmarks have
// ten thousand.
func TestManyPages(t *testing.T) {
	const count = 2300
	h := newHost(t)
	for i := range count {
		h.add(fmt.Sprintf("person-%05d", i))
	}
	h.must()
	assert.Len(t, h.entries(), count)
	assert.Len(t, h.bucket.calls(), count+3)
	began := time.Now()
	h.must()
	assert.Less(t, time.Since(began), 10*time.Second)
	assert.Len(t, h.bucket.calls(), 3)
	h.drop("person-00000", "person-02299")
	h.must()
	assert.Equal(t, []string{"removed person-00000 20000", "removed person-02299 22299"}, h.entries())
}
