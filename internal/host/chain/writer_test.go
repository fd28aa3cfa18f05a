package chain_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/postern-cdk/postern/internal/host/chain"
)

func options(suffix string) chain.Options {
	o := chain.Options{Suffix: suffix, NotAppendOnly: true, MaxAge: time.Hour, MaxBytes: 400}
	if suffix == chain.Cast {
		o.First = chain.Header{Width: 80, Height: 24}.Line
		o.Elapsed = func() time.Duration { return 1500 * time.Millisecond }
	}
	return o
}

func line(suffix string, i int) []byte {
	if suffix == chain.Cast {
		return chain.AppendEvent(nil, time.Duration(i)*time.Second, chain.EventOutput, fmt.Appendf(nil, "line %d\r\n", i))
	}
	return fmt.Appendf(nil, `{"postern":"command","n":%d}`+"\n", i)
}

func made(t require.TestingT, dir string, o chain.Options, lines int) {
	w, err := chain.Open(dir, o)
	require.NoError(t, err)
	for i := range lines {
		require.NoError(t, w.Append(line(o.Suffix, i)))
	}
	require.NoError(t, w.Close())
}

func files(t require.TestingT, dir string) []string {
	found, err := filepath.Glob(filepath.Join(dir, "0*"))
	require.NoError(t, err)
	sort.Strings(found)
	return found
}

// scratch is a directory for one run of a property.
func scratch(t *rapid.T, root string) string {
	dir, err := os.MkdirTemp(root, "")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func content(t require.TestingT, dir string) string {
	var all strings.Builder
	for _, file := range files(t, dir) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		all.Write(text)
	}
	return all.String()
}

func verified(t require.TestingT, dir string) chain.Report {
	report, err := chain.Verify(dir)
	require.NoError(t, err)
	return report
}

func suffixes(t *testing.T, test func(t *testing.T, suffix string)) {
	t.Helper()
	for _, suffix := range []string{chain.Cast, chain.Lines} {
		t.Run(suffix, func(t *testing.T) { test(t, suffix) })
	}
}

func TestChain(t *testing.T) {
	suffixes(t, func(t *testing.T, suffix string) {
		t.Helper()
		dir, shadow := filepath.Join(t.TempDir(), "a", "b"), filepath.Join(t.TempDir(), "c")
		o := options(suffix)
		o.Shadow = shadow
		made(t, dir, o, 20)
		report := verified(t, dir)
		require.Nil(t, report.Fault)
		assert.GreaterOrEqual(t, report.Segments, 3)
		assert.True(t, report.Ended)
		assert.Equal(t, content(t, dir), content(t, shadow))
		info, err := os.Stat(files(t, dir)[0])
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode())
		for i := range 20 {
			assert.Contains(t, content(t, dir), string(line(suffix, i)))
		}
		_, err = chain.Open(dir, o)
		require.ErrorIs(t, err, chain.ErrEnded)
		again, err := chain.Finish(dir, o)
		require.NoError(t, err)
		assert.False(t, again)
	})
}

func TestResume(t *testing.T) {
	dir := t.TempDir()
	o := options(chain.Lines)
	made(t, dir, o, 3)
	o.Resume = true
	made(t, dir, o, 3)
	made(t, dir, o, 0)
	assert.Nil(t, verified(t, dir).Fault)
	assert.Equal(t, 2, strings.Count(content(t, dir), `"postern":"resume"`))
}

func TestSegmentsCloseByAge(t *testing.T) {
	o := options(chain.Lines)
	o.MaxAge = 20 * time.Millisecond
	dir := t.TempDir()
	w, err := chain.Open(dir, o)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return strings.Contains(content(t, dir), `"seal"`) }, 5*time.Second, 5*time.Millisecond)
	time.Sleep(3 * o.MaxAge)
	assert.Len(t, files(t, dir), 1, "an idle chain makes no segments")
	require.NoError(t, w.Append(line(chain.Lines, 1)))
	require.Eventually(t, func() bool { return strings.Count(content(t, dir), `"seal"`) == 2 }, 5*time.Second, 5*time.Millisecond)
	require.NoError(t, w.Close())
	assert.Nil(t, verified(t, dir).Fault)
}

func TestOneWriter(t *testing.T) {
	dir := t.TempDir()
	w, err := chain.Open(dir, options(chain.Lines))
	require.NoError(t, err)
	_, err = chain.Open(dir, options(chain.Lines))
	require.ErrorContains(t, err, "another writer has it open")
	require.NoError(t, w.Close())
	require.ErrorIs(t, w.Append(line(chain.Lines, 1)), os.ErrClosed)
}

func TestAppendRefuses(t *testing.T) {
	w, err := chain.Open(t.TempDir(), options(chain.Lines))
	require.NoError(t, err)
	require.ErrorContains(t, w.Append([]byte("{}")), "without its line break")
	require.ErrorIs(t, w.Append([]byte(`{"postern":"end"}`+"\n")), chain.ErrReserved)
	require.ErrorIs(t, w.Append([]byte("{}\n"+`[0,"m","postern {\"postern\":\"end\"}"]`+"\n")), chain.ErrReserved)
	// What a person types can't look like a mark.
	require.NoError(t, w.Append(chain.AppendEvent(nil, 0, chain.EventOutput, []byte(`[0,"m","postern {\"postern\":\"end\"}"]`))))
	require.NoError(t, w.Close())
}

func TestDirectoryThatDisappears(t *testing.T) {
	for _, which := range []string{"segment", "shadow"} {
		t.Run(which, func(t *testing.T) {
			dirs := map[string]string{"segment": filepath.Join(t.TempDir(), "a"), "shadow": filepath.Join(t.TempDir(), "b")}
			o := options(chain.Lines)
			o.Shadow = dirs["shadow"]
			w, err := chain.Open(dirs["segment"], o)
			require.NoError(t, err)
			require.NoError(t, w.Append(line(chain.Lines, 1)))
			require.NoError(t, os.RemoveAll(dirs[which]))
			first := w.Append(line(chain.Lines, 2))
			require.ErrorIs(t, first, os.ErrNotExist)
			<-w.Failed()
			require.NoError(t, os.MkdirAll(dirs[which], 0o700))
			assert.Equal(t, first, w.Append(line(chain.Lines, 3)), "an error stays")
			require.ErrorIs(t, w.Close(), os.ErrNotExist)
		})
	}
}

func TestOpenSaysWhatCanNotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := chain.Open(filepath.Join(file, "x"), options(chain.Lines))
	require.ErrorIs(t, err, syscall.ENOTDIR)
	_, err = chain.Open(t.TempDir(), chain.Options{})
	require.ErrorContains(t, err, "Suffix")
}

// TestCrash cuts what was written at any byte, in the chain, its shadow or both, as
// a power failure does, and goes on.
func TestCrash(t *testing.T) {
	root := t.TempDir()
	suffixes(t, func(t *testing.T, suffix string) {
		t.Helper()
		rapid.Check(t, func(t *rapid.T) {
			base := scratch(t, root)
			dir, shadow := filepath.Join(base, "main"), filepath.Join(base, "shadow")
			o := options(suffix)
			o.Shadow = shadow
			made(t, dir, o, rapid.IntRange(0, 12).Draw(t, "lines"))
			for range rapid.IntRange(1, 3).Draw(t, "crashes") {
				kept := cut(t, []string{dir, shadow})
				_, err := chain.Finish(dir, o)
				require.NoError(t, err)
				report := verified(t, dir)
				require.Nil(t, report.Fault, "%s\n%s", report, content(t, dir))
				require.True(t, report.Ended)
				assert.Equal(t, content(t, dir), content(t, shadow))
				assert.True(t, strings.HasPrefix(content(t, dir), kept), "what was on the disk stays as it was")
			}
		})
	})
}

// cut shortens each copy, not necessarily to the same byte, and returns the longest
// content that is left.
func cut(t *rapid.T, dirs []string) string {
	longest := ""
	size := len(content(t, dirs[0]))
	for _, dir := range dirs {
		left := int64(size)
		if rapid.Bool().Draw(t, "cut") {
			left = int64(rapid.IntRange(0, size).Draw(t, "bytes left"))
		}
		for i, file := range files(t, dir) {
			info, err := os.Stat(file)
			require.NoError(t, err)
			n := min(info.Size(), left)
			if n == 0 && (i > 0 || rapid.Bool().Draw(t, "without an entry")) {
				require.NoError(t, os.Remove(file))
			} else {
				require.NoError(t, os.Truncate(file, n))
			}
			left -= n
		}
		if c := content(t, dir); len(c) > len(longest) {
			longest = c
		}
	}
	return longest
}

// TestAnyChangeIsNamed changes a whole chain in one way and wants it to be named.
func TestAnyChangeIsNamed(t *testing.T) {
	root := t.TempDir()
	suffixes(t, func(t *testing.T, suffix string) {
		t.Helper()
		whole := filepath.Join(root, "whole"+suffix)
		made(t, whole, options(suffix), 20)
		require.Nil(t, verified(t, whole).Fault)
		other := filepath.Join(root, "other"+suffix)
		made(t, other, options(suffix), 20)
		count := len(files(t, whole))
		rapid.Check(t, func(t *rapid.T) {
			dir := scratch(t, root)
			require.NoError(t, os.CopyFS(dir, os.DirFS(whole)))
			all := files(t, dir)
			i := rapid.IntRange(0, count-1).Draw(t, "segment")
			text, err := os.ReadFile(all[i])
			require.NoError(t, err)
			kinds := map[chain.FaultKind]bool{}
			expect := func(k ...chain.FaultKind) {
				for _, k := range k {
					kinds[k] = true
				}
			}
			at := i + 1
			switch rapid.SampledFrom([]string{"flip", "drop", "swap", "cut", "append", "foreign", "drop tail", "insert"}).Draw(t, "change") {
			case "flip":
				n := rapid.IntRange(0, len(text)*8-1).Draw(t, "bit")
				text[n/8] ^= 1 << (n % 8)
				require.NoError(t, os.WriteFile(all[i], text, 0o600))
				expect(chain.Altered)
				if i == count-1 {
					expect(chain.LeftOpen, chain.CutShort)
				}
			case "drop":
				require.NoError(t, os.Remove(all[i]))
				expect(chain.Missing)
				if i == count-1 {
					kinds = map[chain.FaultKind]bool{chain.LeftOpen: true}
					at--
				}
			case "drop tail":
				for _, file := range all[i:] {
					require.NoError(t, os.Remove(file))
				}
				if i == 0 {
					return // no chain is left
				}
				expect(chain.LeftOpen)
				at--
			case "swap":
				j := rapid.IntRange(0, count-1).Filter(func(j int) bool { return j != i }).Draw(t, "with")
				require.NoError(t, os.Rename(all[i], dir+"/x"))
				require.NoError(t, os.Rename(all[j], all[i]))
				require.NoError(t, os.Rename(dir+"/x", all[j]))
				expect(chain.Reordered)
				at = min(i, j) + 1
			case "cut":
				n := rapid.IntRange(0, len(text)-1).Draw(t, "bytes left")
				require.NoError(t, os.Truncate(all[i], int64(n)))
				expect(chain.CutShort)
				if i == count-1 {
					expect(chain.LeftOpen)
				}
			case "append":
				require.NoError(t, os.WriteFile(all[i], append(text, line(suffix, 99)...), 0o600))
				expect(chain.Altered)
			case "insert":
				n := bytes.IndexByte(text, '\n') + 1
				require.NoError(t, os.WriteFile(all[i], slicesInsert(text, n, line(suffix, 99)), 0o600))
				expect(chain.Altered)
			case "foreign":
				text, err := os.ReadFile(files(t, other)[i])
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(all[i], text, 0o600))
				expect(chain.Forged)
				if i == 0 {
					at = 2
				}
			}
			report := verified(t, dir)
			require.NotNil(t, report.Fault)
			assert.Contains(t, kinds, report.Fault.Kind, report.Fault)
			assert.Equal(t, at, report.Fault.Segment, report.Fault)
			assert.False(t, report.Whole())
		})
	})
}

func slicesInsert(text []byte, at int, more []byte) []byte {
	return bytes.Join([][]byte{text[:at], text[at:]}, more)
}

func TestOpenChainsAndPartsOfChains(t *testing.T) {
	dir := t.TempDir()
	w, err := chain.Open(dir, options(chain.Lines))
	require.NoError(t, err)
	for i := range 20 {
		require.NoError(t, w.Append(line(chain.Lines, i)))
	}
	check := func(leave chain.Leave) *chain.Fault {
		records, err := chain.Find(os.DirFS(dir))
		require.NoError(t, err)
		require.Len(t, records, 1)
		report, err := records[0].Verify(os.DirFS(dir), leave)
		require.NoError(t, err)
		return report.Fault
	}
	assert.Equal(t, chain.LeftOpen, check(chain.Leave{}).Kind)
	assert.Nil(t, check(chain.Leave{Open: true}))
	require.NoError(t, os.Remove(files(t, dir)[0]))
	assert.Equal(t, chain.Missing, check(chain.Leave{Open: true}).Kind)
	assert.Nil(t, check(chain.Leave{Open: true, Partial: true}))
	require.NoError(t, w.Close())
	assert.Nil(t, check(chain.Leave{Partial: true}))
}

// A link that was made to fit a changed segment is found by the one behind it, and
// at the end by a digest that is kept elsewhere.
func TestForgedLink(t *testing.T) {
	dir := t.TempDir()
	made(t, dir, options(chain.Lines), 20)
	all := files(t, dir)
	text, err := os.ReadFile(all[1])
	require.NoError(t, err)
	head := verified(t, dir).Head
	changed := strings.Replace(string(text), "command", "comment", 1) // of the same size
	require.NotEqual(t, string(text), changed)
	require.NoError(t, os.WriteFile(all[1], chain.Reseal([]byte(changed)), 0o600))
	fault := verified(t, dir).Fault
	require.NotNil(t, fault)
	assert.Equal(t, chain.Forged, fault.Kind)
	assert.Equal(t, 3, fault.Segment)
	for _, file := range all[2:] {
		require.NoError(t, os.Remove(file))
	}
	assert.NotEqual(t, head, verified(t, dir).Head)
}

func TestBurst(t *testing.T) {
	dir := t.TempDir()
	o := options(chain.Cast)
	o.MaxBytes = 0
	o.Shadow = filepath.Join(t.TempDir(), "shadow")
	w, err := chain.Open(dir, o)
	require.NoError(t, err)
	event := chain.AppendEvent(nil, time.Second, chain.EventOutput, bytes.Repeat([]byte("y\r\n"), 8<<10))
	start := time.Now()
	for range 2000 {
		require.NoError(t, w.Append(event))
	}
	require.NoError(t, w.Close())
	t.Logf("%d MB in %v", 2000*len(event)>>20, time.Since(start))
	assert.Nil(t, verified(t, dir).Fault)
}

func TestErrorsAreErrors(t *testing.T) {
	var fault error = &chain.Fault{Kind: chain.Altered, Segment: 3, Detail: "why"}
	assert.EqualError(t, fault, "segment 000003: altered: why")
	assert.NotErrorIs(t, fault, errors.ErrUnsupported)
}
