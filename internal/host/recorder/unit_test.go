//go:build linux

package recorder

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/chain"
)

func FuzzTextLine(f *testing.F) {
	f.Add("ls", "/home/alice", "alice")
	f.Add("a\n[ON]:x", "/tmp/x [USER]:root: rm", "bob\x1b[2K")
	f.Add("\xff\u202e\\n", "", "a b")
	shape := regexp.MustCompile(`^\[ON\]:\S+ \[FROM\]:("([^"\\]|\\.)*"|[^\s"]+) \[USER\]:("([^"\\]|\\.)*"|[^\s"]+) \[SESSION\]:id \[BY\]:kernel \[PWD\]:("([^"\\]|\\.)*"|[^\s"]+): `)
	f.Fuzz(func(t *testing.T, command, dir, person string) {
		line := textLine(time.Unix(0, 0), person, person, "id", "kernel", dir, command)
		assert.True(t, utf8.ValidString(line))
		assert.Equal(t, len(line)-1, strings.IndexByte(line, '\n'))
		for _, c := range line[:len(line)-1] {
			assert.False(t, c < ' ' || c == 0x7f || c == 0x202e, "%q", line)
		}
		assert.Regexp(t, shape, line)
		head := shape.FindString(line)
		assert.Equal(t, printable(command), strings.TrimSuffix(line[len(head):], "\n"))
	})
}

func FuzzReports(f *testing.F) {
	f.Add([]byte("typed\x00/home\x00   12  ls -l\n\x000\x00/home\x00   12* ls -l\n\x00"))
	f.Add([]byte("typed\x00\xff\x00x\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		n := 0
		reports(strings.NewReader(string(data)), func(p report) {
			n++
			assert.LessOrEqual(t, len(p.kind), maxField)
			assert.True(t, utf8.ValidString(p.dir+p.line))
		})
		assert.Equal(t, strings.Count(string(data), "\x00")/3, n)
	})
}

func TestReports(t *testing.T) {
	var got []report
	reports(strings.NewReader("start\x00/\x00\x00typed\x00/home/a b\x00   12  for i in 1\ndo x; done\n\x00127\x00/tmp\x00   12* ls\n\x00typed\x00/\x00   13  "+strings.Repeat("x", 2*maxField)+"\x00typed\x00cut off"),
		func(p report) { got = append(got, p) })
	require.Len(t, got, 4)
	assert.Equal(t, report{kind: "start", dir: "/"}, got[0])
	assert.Equal(t, report{kind: "typed", dir: "/home/a b", line: "for i in 1\ndo x; done", number: 12}, got[1])
	assert.Equal(t, report{kind: "127", dir: "/tmp", line: "ls", number: 12}, got[2])
	assert.True(t, got[3].cut)
	assert.Len(t, got[3].line, maxField-len("   13  "))
}

func TestCommand(t *testing.T) {
	for _, c := range []struct {
		args     []string
		original string
		want     string
	}{
		{[]string{"-postern-shell"}, "", ""},
		{[]string{"-postern-shell"}, "id", ""},
		{[]string{"postern-shell", "-c", "/opt/postern/bin/postern-shell"}, "", ""},
		{[]string{"postern-shell", "-c", "/opt/postern/bin/postern-shell"}, "scp -t /", "scp -t /"},
		{[]string{"postern-shell", "-c", "id"}, "", "id"},
		{[]string{"postern-shell", "-c", "id"}, "other", "id"},
	} {
		assert.Equal(t, c.want, command(c.args, c.original), c)
	}
}

func TestInherited(t *testing.T) {
	got := inherited(map[string]string{
		"TERM": "xterm-256color", "LANG": "de_DE.UTF-8", "LC_ALL": "../../x", "LC_TIME": "C", "LC_x": "C", "PATH": "/tmp", "BASH_ENV": "/tmp/x",
		"SSH_CONNECTION": "203.0.113.9 1 10.0.0.1 22", "SSH_CLIENT": "a\nb",
	})
	assert.Equal(t, []string{
		"LANG=de_DE.UTF-8", "LC_TIME=C", `SSH_CLIENT=a\nb`, "SSH_CONNECTION=203.0.113.9 1 10.0.0.1 22", "TERM=xterm-256color",
	}, got)
	for _, bad := range []string{"", "../x", "x/y", "a\nb", "-x", strings.Repeat("x", 65)} {
		assert.Contains(t, inherited(map[string]string{"TERM": bad}), "TERM=dumb", bad)
	}
}

func TestLookup(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "etc"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("root:x:0:0::/root:/bin/sh\nbroken\nalice:x:20001:20001::/home/alice:/s\nalias:x:20001:20001::/home/alias:/s\nbad:x:20002:0::/:/s\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc/group"), []byte("postern:x:20000:bob,alice\nalice:x:20001:\nx:y\nother:x:7:bob\n"), 0o600))
	got, err := lookup(root, 20001, "")
	require.NoError(t, err)
	assert.Equal(t, account{name: "alice", uid: 20001, gid: 20001, home: "/home/alice", groups: []int{20001, 20000}}, got)
	got, err = lookup(root, 20001, "alias")
	require.NoError(t, err)
	assert.Equal(t, "alias", got.name)
	_, err = lookup(root, 20002, "bad")
	require.ErrorContains(t, err, "group of root")
	_, err = lookup(root, 30000, "alice")
	require.ErrorContains(t, err, "no account")
}

func TestIncompleteCharacters(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "abc": 0, "a\xe2": 1, "a\xe2\x82": 2, "a\xe2\x82\xac": 0, "\xf0\x9f\x98": 3, "\xf0\x9f\x98\x80": 0, "\xff": 0, "\x82": 0, "\xe2\x82\xff": 0,
	} {
		assert.Equal(t, want, incomplete([]byte(text)), "%q", text)
	}
}

func TestThrottle(t *testing.T) {
	th := throttle{burst: 100, rate: 1000}
	assert.Zero(t, th.take(100))
	wait := th.take(50)
	assert.InDelta(t, 50, wait.Milliseconds(), 2)
	th.last = th.last.Add(-time.Second)
	assert.Zero(t, th.take(100))
}

func TestExactEvents(t *testing.T) {
	assert.Equal(t, `[1.000000,"o","text"]`+"\n", string(exact(time.Second, chain.EventOutput, []byte("text"))))
	assert.Equal(t, `[1.000000,"i",""]`+"\n"+`[1.000000,"I","/w=="]`+"\n", string(exact(time.Second, chain.EventInput, []byte{0xff})))
}

func TestTextLogRotates(t *testing.T) {
	dir := t.TempDir()
	paths := []string{filepath.Join(dir, "bastion.log"), filepath.Join(dir, "shadow", "bastion.log")}
	log, err := openText(paths...)
	require.NoError(t, err)
	log.limit = 100
	for range 50 {
		require.NoError(t, log.write(strings.Repeat("x", 30)+"\n"))
	}
	require.NoError(t, log.there())
	for _, path := range paths {
		found, err := filepath.Glob(path + "*")
		require.NoError(t, err)
		assert.Len(t, found, textKept+1)
	}
	for _, f := range log.files {
		setAppendOnly(f, false)
	}
	require.NoError(t, os.Rename(paths[0], paths[0]+".away"))
	require.Error(t, log.there())
	log.close()
	old, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	require.NoError(t, err)
	older, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	for _, path := range append(old, older...) {
		if f, err := os.Open(path); err == nil {
			setAppendOnly(f, false)
			_ = f.Close()
		}
	}
}

func TestEndRefusesTheSystem(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "etc"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("root:x:0:0::/root:/bin/sh\nodd:x:z:0::/:/s\n"), 0o600))
	require.ErrorContains(t, End(root, "root"), "user of the system")
	require.ErrorContains(t, End(root, "odd"), "user number")
	require.ErrorContains(t, End(root, "nobody-here"), "no user")
}

func TestIdentityIsReadFromARegularFileOnly(t *testing.T) {
	root, path := t.TempDir(), "/tmp/sshauth.x"
	require.NoError(t, os.Mkdir(root+"/tmp", 0o700))
	require.NoError(t, os.WriteFile(root+path, []byte("publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6nQ7oYy8v8X4Zt3m1H0Tq1y0Vt5mYl9h0n8pC0aQ1k\n"), 0o600))
	got := readIdentity(root, path, os.Getuid())
	assert.True(t, strings.HasPrefix(got.Fingerprint, "SHA256:"), got)
	assert.Empty(t, readIdentity(root, path, os.Getuid()+1))
	require.NoError(t, os.Symlink(root+path, root+path+".link"))
	assert.Empty(t, readIdentity(root, path+".link", os.Getuid()))
	require.NoError(t, unix.Mkfifo(root+path+".pipe", 0o600))
	assert.Empty(t, readIdentity(root, path+".pipe", os.Getuid()))
	assert.Empty(t, readIdentity(root, "", os.Getuid()))
	require.NoError(t, os.Rename(root+path, root+"/tmp/mine"))
	assert.Empty(t, readIdentity(root, "/tmp/mine", os.Getuid()), "not sshd's")
	assert.Empty(t, readIdentity(root, "/tmp/sshauth./../mine", os.Getuid()), "not sshd's")
}

// A shell whose history is off tells the last line that it kept, again and again.
func TestALineOutsideOfTheHistoryIsNotTheLastOne(t *testing.T) {
	dir := t.TempDir()
	w, err := chain.Open(dir, chain.Options{Suffix: chain.Lines, NotAppendOnly: true})
	require.NoError(t, err)
	text, err := openText(filepath.Join(dir, "bastion.log"))
	require.NoError(t, err)
	s := &session{
		r: &Recorder{commands: w, text: text}, peer: &peer{}, ending: make(chan struct{}),
		bytes: &throttle{burst: 1 << 20, rate: 1}, lines: &throttle{burst: 100, rate: 1},
	}
	for _, p := range []report{
		{kind: "start"},
		{kind: "typed", number: 1, line: "set +o history"},
		{kind: "0", number: 1, line: "set +o history"},
		{kind: "typed", number: 1, line: "set +o history"},
		{kind: "0", number: 1, line: "set +o history"},
		{kind: "typed"},
	} {
		s.report(p)
	}
	require.NoError(t, w.Close())
	setAppendOnly(text.files[0], false)
	text.close()
	log, err := os.ReadFile(filepath.Join(dir, "bastion.log"))
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(string(log), "set +o history"), string(log))
	assert.Equal(t, 2, strings.Count(string(log), untold), string(log))
}
