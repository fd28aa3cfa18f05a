package bundle

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	goversion "go/version"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/compile"
)

func here(t *testing.T) string {
	t.Helper()
	dir, err := compile.ModuleDir(t.Context())
	require.NoError(t, err)
	return dir
}

// sourcesOf lists what of the module a bundle may be made of.
func sourcesOf(t *testing.T, dir string) []string {
	t.Helper()
	list := []string{"go.mod", "go.sum", "LICENSE"}
	for _, top := range []string{"bin", "internal"} {
		require.NoError(t, filepath.WalkDir(filepath.Join(dir, top), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			name, err := filepath.Rel(dir, path)
			list = append(list, name)
			return err
		}))
	}
	return list
}

// copied is a copy of the module in another folder.
func copied(t *testing.T) string {
	t.Helper()
	from, to := here(t), t.TempDir()
	for _, name := range sourcesOf(t, from) {
		data, err := os.ReadFile(filepath.Join(from, name))
		require.NoError(t, err)
		path := filepath.Join(to, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, data, 0o600))
	}
	return to
}

// small is a copy of the module whose programs are compiled in no time: one of them
// imports another module, as ours do.
func small(t *testing.T) string {
	t.Helper()
	dir := copied(t)
	for _, program := range programs {
		text := "package main\n\nfunc main() {}\n"
		if program.name == "postern-host" {
			text = "package main\n\nimport \"github.com/spf13/cobra\"\n\nfunc main() { _ = new(cobra.Command) }\n"
		}
		folder := filepath.Join(dir, "bin", program.name)
		require.NoError(t, os.RemoveAll(folder))
		require.NoError(t, os.Mkdir(folder, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(folder, "main.go"), []byte(text), 0o600))
	}
	return dir
}

func keyOf(t *testing.T, dir string) string {
	t.Helper()
	key, err := (&Options{Architecture: "arm64"}).recipe().CacheKey(dir)
	require.NoError(t, err)
	return key
}

func TestEverywhereTheSameBytes(t *testing.T) {
	// Of this folder, made now or before: a cache that is the user's saves a build.
	first, err := Build(t.Context(), Options{Architecture: "arm64"})
	require.NoError(t, err)
	assert.Regexp(t, `^[0-9a-f]{64}$`, first.SHA256)
	var told bytes.Buffer

	// Another folder, and settings of a person's own.
	t.Setenv("GOFLAGS", "-tags=theirs")
	t.Setenv("GOAMD64", "v3")
	t.Setenv("GOARM64", "v9.0")
	second, err := Build(t.Context(), Options{Architecture: "arm64", CacheDir: t.TempDir(), Progress: &told, module: copied(t)})
	require.NoError(t, err)
	assert.Equal(t, "postern: building the host bundle for arm64, once\n", told.String())
	assert.Equal(t, first.SHA256, second.SHA256)

	other, err := Build(t.Context(), Options{Architecture: "x86_64"})
	require.NoError(t, err)
	assert.NotEqual(t, first.SHA256, other.SHA256)

	// What was made elsewhere is taken as it is, where it fits.
	given, err := Build(t.Context(), Options{Architecture: "arm64", File: first.Path})
	require.NoError(t, err)
	assert.Equal(t, first, given)
	_, err = Build(t.Context(), Options{Architecture: "arm64", File: other.Path})
	assert.ErrorContains(t, err, "is no host bundle for arm64: bin/postern-host is for EM_X86_64: make it by go run github.com/postern-cdk/postern/bin/hostbundle -arch arm64 -o")
}

func TestArchive(t *testing.T) {
	b, err := Build(t.Context(), Options{Architecture: "x86_64"})
	require.NoError(t, err)
	in, err := os.Open(b.Path)
	require.NoError(t, err)
	defer func() { _ = in.Close() }()
	zipped, err := gzip.NewReader(in)
	require.NoError(t, err)
	assert.True(t, zipped.ModTime.IsZero())
	archive := tar.NewReader(zipped)
	modes, last := map[string]int64{}, ""
	for {
		header, err := archive.Next()
		if err != nil {
			break
		}
		modes[header.Name] = header.Mode
		assert.Zero(t, header.Uid+header.Gid, header.Name)
		assert.Empty(t, header.Uname+header.Gname, header.Name)
		assert.Zero(t, header.ModTime.Unix(), header.Name)
		assert.Less(t, last, header.Name, "sorted")
		last = header.Name
	}
	assert.Equal(t, int64(0o711), modes["bin/"], "people run their shell there")
	for _, program := range programs {
		assert.Equal(t, program.mode, modes["bin/"+program.name], program.name)
	}
	for name, mode := range modes {
		if name != "bin/" && name != "bin/postern-shell" {
			assert.Zero(t, mode&0o077, "%s is root's alone", name)
		}
	}
}

func TestHitIsFast(t *testing.T) {
	_, err := Build(t.Context(), Options{Architecture: "arm64"})
	require.NoError(t, err)
	t.Setenv("PATH", "") // no process
	var told bytes.Buffer
	fastest := time.Hour
	for range 5 {
		began := time.Now()
		_, err := Build(t.Context(), Options{Architecture: "arm64", Progress: &told})
		require.NoError(t, err)
		fastest = min(fastest, time.Since(began))
	}
	assert.Empty(t, told.String())
	t.Logf("a hit takes %s", fastest)
	assert.Less(t, fastest, time.Second) // 20 ms without the race detector on an idle machine; a build takes a minute
}

// counted is a producer whose bundles differ each time, so that who gets the bytes
// of another build is found out.
func counted(builds *atomic.Int32) func(context.Context, string, string, string) error {
	return func(_ context.Context, _, architecture, file string) error {
		n := builds.Add(1)
		time.Sleep(50 * time.Millisecond)
		return pack([]entry{{"built", 0o600, fmt.Appendf(nil, "%s %d %s", architecture, n, strings.Repeat("x", 1<<10))}}, file)
	}
}

func TestDamagedCacheIsNoBundle(t *testing.T) {
	var builds atomic.Int32
	options := Options{Architecture: "arm64", CacheDir: t.TempDir(), Progress: io.Discard, produce: counted(&builds)}
	build := func() Bundle {
		b, err := Build(t.Context(), options)
		require.NoError(t, err)
		sum, err := compile.Digest(b.Path)
		require.NoError(t, err)
		require.Equal(t, sum, b.SHA256)
		return b
	}
	first := build()
	assert.Equal(t, first, build())
	assert.EqualValues(t, 1, builds.Load(), "taken from the cache")
	for i, damage := range []func() error{
		func() error { return os.Truncate(first.Path, 100) },
		func() error { return os.Truncate(first.Path, 0) },
		func() error { return os.WriteFile(first.Path, []byte("theirs"), 0o600) },
		func() error { return os.Remove(first.Path) },
	} {
		require.NoError(t, damage())
		first = build()
		assert.EqualValues(t, i+2, builds.Load(), "built again")
	}
}

func TestSeveralAtOnceBuildOnce(t *testing.T) {
	cache := t.TempDir()
	var builds atomic.Int32
	var mu sync.Mutex
	var told bytes.Buffer
	progress := writer(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return told.Write(p)
	})
	var group sync.WaitGroup
	sums := [4]Bundle{}
	for i := range sums {
		group.Go(func() {
			b, err := Build(context.Background(), Options{Architecture: "arm64", CacheDir: cache, Progress: progress, produce: counted(&builds)})
			assert.NoError(t, err)
			sums[i] = b
		})
	}
	group.Wait()
	for _, b := range sums {
		assert.Equal(t, sums[0], b)
	}
	assert.EqualValues(t, 1, builds.Load())
	assert.Equal(t, 1, strings.Count(told.String(), "\n"), told.String())
	left, err := filepath.Glob(filepath.Join(cache, "building-*"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestKeyFollowsWhatTheProgramsAreMadeOf(t *testing.T) {
	dir := copied(t)
	before := keyOf(t, dir)
	assert.Equal(t, keyOf(t, here(t)), before, "not by the folder")

	change := func(name string) string {
		file, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
		require.NoError(t, err)
		_, err = file.WriteString("\n")
		require.NoError(t, err)
		require.NoError(t, file.Close())
		return keyOf(t, dir)
	}
	assert.Equal(t, before, change("bin/demo/main.go"), "another program")
	assert.Equal(t, before, change("internal/host/settings/settings_test.go"), "a test")
	for _, name := range []string{"go.mod", "go.sum", "bin/postern-host/main.go", "internal/host/bundle/pack.go"} {
		after := change(name)
		assert.NotEqual(t, before, after, name)
		before = after
	}
	other, err := (&Options{Architecture: "x86_64"}).recipe().CacheKey(dir)
	require.NoError(t, err)
	assert.NotEqual(t, before, other)
}

func TestFaultsSayWhatToDo(t *testing.T) {
	_, err := Build(t.Context(), Options{Architecture: "riscv64"})
	require.EqualError(t, err, `no host bundle for the architecture "riscv64": use arm64 or x86_64`)

	dir := copied(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bin/postern-host/broken.go"), []byte("package main\n\nvar x = y\n"), 0o600))
	_, err = Build(t.Context(), Options{Architecture: "arm64", CacheDir: t.TempDir(), Progress: &bytes.Buffer{}, module: dir})
	require.ErrorContains(t, err, "broken.go:3:9: undefined: y", "the compiler's own words")
	assert.ErrorContains(t, err, "go run github.com/postern-cdk/postern/bin/hostbundle -arch arm64 -o FILE")

	t.Setenv("PATH", "")
	_, err = Build(t.Context(), Options{Architecture: "arm64", CacheDir: t.TempDir(), Progress: &bytes.Buffer{}})
	require.ErrorContains(t, err, "the host bundle for arm64 can't be built: there is no go command in the PATH")

	for name, data := range map[string]string{"none": "", "text": "hello"} {
		file := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(file, []byte(data), 0o600))
		_, err = Build(t.Context(), Options{Architecture: "arm64", File: file})
		require.ErrorContains(t, err, file+" is no host bundle for arm64: ")
	}
	file := filepath.Join(t.TempDir(), "empty.tar.gz")
	require.NoError(t, pack(nil, file))
	_, err = Build(t.Context(), Options{Architecture: "arm64", File: file})
	require.ErrorContains(t, err, " is no host bundle for arm64: ")
}

// As a user's module has it: ours comes from a module proxy into a module cache
// that nobody may write to, and the user's go.sum knows nothing of what our
// programs import.
func TestFromTheModuleCache(t *testing.T) {
	dir := small(t)
	reference, err := Build(t.Context(), Options{Architecture: "arm64", CacheDir: t.TempDir(), Progress: io.Discard, module: dir})
	require.NoError(t, err)

	const version = "v0.0.1"
	proxy, cache, app := t.TempDir(), t.TempDir(), t.TempDir()
	t.Cleanup(func() {
		command := exec.Command("go", "clean", "-modcache")
		command.Env = append(os.Environ(), "GOMODCACHE="+cache, "GOFLAGS=")
		assert.NoError(t, command.Run())
	})
	versions := filepath.Join(proxy, filepath.FromSlash(compile.ModulePath), "@v")
	require.NoError(t, os.MkdirAll(versions, 0o755))
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	require.NoError(t, err)
	var zipped bytes.Buffer
	archive := zip.NewWriter(&zipped)
	for _, name := range sourcesOf(t, dir) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		out, err := archive.Create(compile.ModulePath + "@" + version + "/" + filepath.ToSlash(name))
		require.NoError(t, err)
		_, err = out.Write(data)
		require.NoError(t, err)
	}
	require.NoError(t, archive.Close())
	for name, data := range map[string][]byte{
		filepath.Join(versions, "list"):          []byte(version + "\n"),
		filepath.Join(versions, version+".info"): []byte(`{"Version":"` + version + `"}`),
		filepath.Join(versions, version+".mod"):  mod,
		filepath.Join(versions, version+".zip"):  zipped.Bytes(),
		filepath.Join(app, "go.mod"):             []byte("module example.com/app\n\ngo 1.26.0\n"),
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, data, 0o600))
	}
	downloads, err := exec.Command("go", "env", "GOMODCACHE", "GOPROXY").Output()
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(downloads)), "\n")
	run := func(arguments ...string) string {
		t.Helper()
		command := exec.Command("go", arguments...)
		command.Dir = app
		command.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "GONOSUMDB="+compile.ModulePath, "GOMODCACHE="+cache,
			"GOPROXY=file://"+filepath.ToSlash(proxy)+",file://"+filepath.ToSlash(filepath.Join(lines[0], "cache", "download"))+","+lines[1])
		out, err := command.CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	run("get", compile.ModulePath+"/bin/hostbundle@"+version)
	sums, err := os.ReadFile(filepath.Join(app, "go.sum"))
	require.NoError(t, err)
	require.NotContains(t, string(sums), "github.com/spf13/cobra v1.10.2 h1:", "the programs' own needs are not the user's")
	same := func(flags ...string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "arm64.tar.gz")
		run(append(append([]string{"run"}, flags...), compile.ModulePath+"/bin/hostbundle", "-arch", "arm64", "-o", file)...)
		sum, err := compile.Digest(file)
		require.NoError(t, err)
		assert.Equal(t, reference.SHA256, sum)
	}
	same()

	// The path of a replace is as good.
	run("mod", "edit", "-replace", compile.ModulePath+"="+dir)
	same()

	// Without the source's path in the program, the go command knows it.
	same("-trimpath")
}

// go.mod may ask for a newer Go than this one, which would then build nothing.
func TestToolchainIsNewEnough(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(here(t), "go.mod"))
	require.NoError(t, err)
	line := regexp.MustCompile(`(?m)^go (\S+)$`).FindSubmatch(text)
	require.NotNil(t, line)
	assert.GreaterOrEqual(t, goversion.Compare(Toolchain, "go"+string(line[1])), 0)
}
