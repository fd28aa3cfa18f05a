package chain_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/postern-cdk/postern/internal/host/chain"
)

// recorded makes a session whose output is what came in, and returns its folder.
func recorded(t require.TestingT, base string, outputs ...string) string {
	dir := filepath.Join(base, "2026/11/21/i-0abc/20261121T234501Z-0a1b2c3d")
	o := options(chain.Cast)
	start := time.Date(2026, 11, 21, 23, 45, 1, 0, time.UTC)
	o.Elapsed = nil
	o.First = chain.Header{Width: 80, Height: 24, Session: chain.Session{
		ID: filepath.Base(dir), Person: "alice\x1b[31m", Address: "198.51.100.7", Instance: "i-0abc", Start: start,
	}}.Line
	w, err := chain.Open(dir, o)
	require.NoError(t, err)
	for i, output := range outputs {
		require.NoError(t, w.Append(chain.AppendEvent(nil, time.Duration(i)*time.Millisecond, chain.EventOutput, []byte(output))))
	}
	require.NoError(t, w.Close())
	return dir
}

var outputs = []string{"$ ", "ls\r\n", "gr\xfc\xdfe \x00\x1b[1m\"\\", "\xe2\x82", "\xac\r\n", "naïve \U0001F600 \u2028 </script>\r\n"}

func found(t require.TestingT, dir string) chain.Record {
	records, err := chain.Find(os.DirFS(dir))
	require.NoError(t, err)
	require.Len(t, records, 1)
	return records[0]
}

func TestEventsAreExact(t *testing.T) {
	root := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir := scratch(t, root)
		var all, text []string
		for _, data := range rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 30), 1, 20).Draw(t, "output") {
			all = append(all, string(data))
		}
		recorded(t, dir, all...)
		require.NoError(t, found(t, dir).Events(os.DirFS(dir), func(e chain.Event) error {
			if e.Code == chain.EventOutput {
				text = append(text, e.Data)
			}
			return nil
		}))
		require.Equal(t, all, text)
		for line := range strings.Lines(content(t, filepath.Join(dir, "2026/11/21/i-0abc/20261121T234501Z-0a1b2c3d"))) {
			require.True(t, json.Valid([]byte(line)), line)
		}
	})
}

// The players here are not ours.
func TestScriptreplay(t *testing.T) {
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "x")
	recorded(t, dir, outputs...)
	c := chain.ExportCommand()
	c.SetArgs([]string{dir, "--format", "script", "--out", out})
	require.NoError(t, c.Execute())
	player, err := exec.LookPath("scriptreplay")
	require.NoError(t, err, "install bsdextrautils or util-linux: nothing else can tell that scriptreplay takes it")
	played, err := exec.Command(player, "--timing="+out+".timing", out+".typescript").CombinedOutput()
	require.NoError(t, err, "%s", played)
	assert.Equal(t, strings.Join(outputs, ""), strings.TrimSuffix(string(played), "\n"))
	timing, err := os.ReadFile(out + ".timing")
	require.NoError(t, err)
	assert.Equal(t, len(outputs), bytes.Count(timing, []byte("\n")))
	require.ErrorIs(t, c.Execute(), os.ErrExist, "nothing is overwritten")
}

func TestExportSkipsWhatACrashLeft(t *testing.T) {
	base := t.TempDir()
	dir := recorded(t, base, outputs...)
	all := files(t, dir)
	last := all[len(all)-1]
	info, err := os.Stat(last)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(last, info.Size()-10))
	_, err = chain.Finish(dir, options(chain.Cast))
	require.NoError(t, err)
	report := verified(t, dir)
	require.Nil(t, report.Fault)
	assert.Equal(t, 1, report.Torn)
	var cast bytes.Buffer
	require.NoError(t, found(t, base).WriteCast(os.DirFS(base), &cast))
	for line := range strings.Lines(cast.String()) {
		require.True(t, json.Valid([]byte(line)), line)
	}
	assert.True(t, strings.HasPrefix(cast.String(), `{"version":2,`))
	assert.NotContains(t, cast.String(), `postern {`)
}

func TestCommands(t *testing.T) {
	base := t.TempDir()
	dir := recorded(t, base, outputs...)
	log := filepath.Join(base, "2026/11/21/i-0abc/commands.0a1b2c3d")
	w, err := chain.Open(log, options(chain.Lines))
	require.NoError(t, err)
	require.NoError(t, w.Append([]byte(`{"time":"2026-11-21T23:45:02Z","event":"typed","session":"s","person":"alice","address":"198.51.100.7","dir":"/home/alice","line":"cat \u001b]0;x\u0007 /etc/passwd"}`+"\n")))
	require.NoError(t, w.Close())
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		command := chain.VerifyCommand()
		switch args[0] {
		case "list":
			command = chain.ListCommand()
		case "show":
			command = chain.ShowCommand()
		}
		command.SilenceUsage, command.SilenceErrors = true, true
		command.SetOut(&out)
		command.SetArgs(args[1:])
		err := command.Execute()
		return out.String(), err
	}
	text, err := run("verify", base)
	require.NoError(t, err)
	assert.Equal(t, 2, strings.Count(text, ": whole\n"))
	text, err = run("list", base)
	require.NoError(t, err)
	assert.Contains(t, text, "20261121T234501Z-0a1b2c3d  alice\\x1b[31m  198.51.100.7  2026-11-21 23:45:01  0s      i-0abc    whole\n")
	text, err = run("show", base)
	require.NoError(t, err)
	assert.Equal(t, `2026-11-21T23:45:02Z  s  198.51.100.7  alice  /home/alice  typed  cat \x1b]0;x\a /etc/passwd`+"\n", text)
	require.NoError(t, os.Remove(files(t, dir)[1]))
	text, err = run("verify", base)
	require.ErrorIs(t, err, chain.ErrNotWhole)
	assert.Contains(t, text, "segment 000002: missing")
	_, err = run("verify", t.TempDir())
	require.ErrorContains(t, err, "no record")
}

func FuzzMark(f *testing.F) {
	f.Add([]byte(`{"postern":"seal","chain":"5e0c9a41","segment":1,"sum":"00"}`))
	f.Add([]byte(`[1.5,"m","postern {\"postern\":\"end\",\"segment\":2}"]`))
	f.Add([]byte(`[1.5,"o","postern {\"postern\":\"end\",\"segment\":2}"]`))
	f.Fuzz(func(t *testing.T, line []byte) {
		m, ok := chain.ParseMark(line)
		if ok && m.Kind == "" {
			t.Errorf("%q is a mark of no kind", line)
		}
		// Whatever a person's bytes are, as an event they are no mark.
		for event := range bytes.Lines(chain.AppendEvent(nil, time.Second, chain.EventOutput, line)) {
			if _, ok := chain.ParseMark(event); ok {
				t.Errorf("%q is a mark", event)
			}
			if !json.Valid(event) {
				t.Errorf("%q is no JSON", event)
			}
		}
		_ = chain.Text(line)
	})
}

func FuzzVerify(f *testing.F) {
	dir := f.TempDir()
	made(f, dir, options(chain.Lines), 3)
	text, err := os.ReadFile(files(f, dir)[0])
	require.NoError(f, err)
	f.Add(text)
	f.Fuzz(func(t *testing.T, other []byte) {
		fsys := fstest.MapFS{"a/000001.jsonl": {Data: other}}
		records, err := chain.Find(fsys)
		require.NoError(t, err)
		report, err := records[0].Verify(fsys, chain.Leave{})
		require.NoError(t, err)
		if report.Whole() && !bytes.Contains(other, []byte(`"postern":"end"`)) {
			t.Errorf("%q is whole", other)
		}
	})
}
