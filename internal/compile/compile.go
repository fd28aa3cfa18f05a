package compile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// Toolchain compiles the programs and packs them. Another one gives other bytes,
// and so replaces every bastion: it changes with a release only.
const Toolchain = "go1.26.8"

// ModulePath is this module.
const ModulePath = "github.com/postern-cdk/postern"

// Architectures are Go's names of the processors that AWS spells so.
var Architectures = map[string]string{"arm64": "arm64", "x86_64": "amd64"}

// Recipe says how one file is made.
type Recipe struct {
	// What is made, as in "the host bundle for arm64".
	What string
	// Elsewhere is the command below the module that makes the file, with FILE for
	// its name, such as "bin/hostbundle -arch arm64 -o FILE".
	Elsewhere string
	// Otherwise says where the user names the file that Elsewhere made.
	Otherwise string
	// Extension of the file, such as ".zip".
	Extension string
	// Programs are the folders below bin that are compiled.
	Programs []string
	// Packers are the packages of the module that make a file of the programs.
	Packers []string
	// Key adds what else the file is made of. nil: nothing.
	Key func(io.Writer) error
	// Produce makes the file of the module in that folder, by [Toolchain] or by
	// another Go: see [Pinned].
	Produce func(ctx context.Context, module, file string) error
}

// Options say where.
type Options struct {
	// CacheDir holds what was built. "": postern in the user's cache folder.
	CacheDir string
	// Progress is told in one line that something is built, which takes a while.
	// nil: the standard error.
	Progress io.Writer
	// Module is the folder of the module. "": where this package was compiled from.
	Module string
}

// File is what was made.
type File struct {
	Path string
	// SHA256 of the file, 64 hexadecimal digits.
	SHA256 string
}

// Build finds the file in the cache, or makes it. Several may do so at once.
func (r *Recipe) Build(ctx context.Context, o Options) (File, error) {
	f, err := r.build(ctx, o)
	if err != nil {
		return File{}, r.wayOut(err)
	}
	return f, nil
}

// Write makes the file, past the cache.
func (r *Recipe) Write(ctx context.Context, file string) error {
	dir, err := ModuleDir(ctx)
	if err != nil {
		return r.wayOut(err)
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	if err := r.Produce(ctx, dir, path); err != nil {
		return r.wayOut(err)
	}
	return nil
}

// wayOut says what to do without whatever was missing.
func (r *Recipe) wayOut(err error) error {
	return fmt.Errorf("%s can't be built: %w\n"+
		"It takes Go, the source of %s, and the modules that it requires (from the module cache or the proxy). "+
		"Where they can't be had, make it elsewhere, by\n"+
		"  go run %s/%s\n"+
		"of the same version, and name FILE as %s",
		r.What, err, ModulePath, ModulePath, r.Elsewhere, r.Otherwise)
}

func (r *Recipe) build(ctx context.Context, o Options) (File, error) {
	if o.CacheDir == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			// Not the temporary folder: what others can write there would be deployed.
			return File{}, fmt.Errorf("there is no cache folder: %w", err)
		}
		o.CacheDir = filepath.Join(dir, "postern")
	}
	if o.Module == "" {
		var err error
		if o.Module, err = ModuleDir(ctx); err != nil {
			return File{}, err
		}
	}
	key, err := r.CacheKey(o.Module)
	if err != nil {
		return File{}, err
	}
	dir := filepath.Join(o.CacheDir, key)
	if f, found := r.cached(dir); found {
		return f, nil
	}
	if err := os.MkdirAll(o.CacheDir, 0o700); err != nil {
		return File{}, err
	}
	lock := flock.New(filepath.Join(o.CacheDir, key+".lock"))
	if _, err := lock.TryLockContext(ctx, 100*time.Millisecond); err != nil {
		return File{}, fmt.Errorf("waiting for another synthesis that builds it, %s: %w", lock.Path(), err)
	}
	defer func() { _ = lock.Unlock() }()
	if f, found := r.cached(dir); found {
		return f, nil
	}

	progress := o.Progress
	if progress == nil {
		progress = os.Stderr
	}
	_, _ = fmt.Fprintf(progress, "postern: building %s, once\n", r.What)
	temp, err := os.MkdirTemp(o.CacheDir, "building-")
	if err != nil {
		return File{}, err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	file := filepath.Join(temp, "file")
	if err := r.Produce(ctx, o.Module, file); err != nil {
		return File{}, err
	}
	f, err := r.keep(file, dir)
	prune(o.CacheDir)
	return f, err
}

// The name of a file in the cache is its digest: a file that was cut short or
// changed is none.
func (r *Recipe) cached(dir string) (File, bool) {
	files, err := filepath.Glob(filepath.Join(dir, "*"+r.Extension))
	if err != nil {
		return File{}, false
	}
	for _, file := range files {
		sum, err := Digest(file)
		if err == nil && sum+r.Extension == filepath.Base(file) {
			now := time.Now()
			_ = os.Chtimes(dir, now, now) // in use: see prune
			return File{Path: file, SHA256: sum}, true
		}
	}
	return File{}, false
}

func (r *Recipe) keep(file, dir string) (File, error) {
	sum, err := Digest(file)
	if err != nil {
		return File{}, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return File{}, err
	}
	path := filepath.Join(dir, sum+r.Extension)
	return File{Path: path, SHA256: sum}, os.Rename(file, path)
}

const unused = 30 * 24 * time.Hour

// prune forgets what nobody asked for in a month.
func prune(cache string) {
	entries, err := os.ReadDir(cache)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > unused {
			_ = os.RemoveAll(filepath.Join(cache, entry.Name()))
		}
	}
}

// Digest is the SHA-256 of a file, in hexadecimal digits.
func Digest(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// remade is set for the process that Pinned starts, so that it starts none itself.
const remade = "POSTERN_REMADE"

// Pinned runs make where this process was built by [Toolchain]; otherwise it has
// the toolchain run a command of the module that comes to the same.
func Pinned(ctx context.Context, module string, makeIt func() error, command ...string) error {
	if runtime.Version() == Toolchain {
		return makeIt()
	}
	if os.Getenv(remade) != "" {
		return fmt.Errorf("asked for %s, the go command used %s", Toolchain, runtime.Version())
	}
	return goCommand(ctx, module, []string{remade + "=1"}, append([]string{"run"}, command...)...)
}

// Programs compiles programs of the module for Linux into a folder.
func Programs(ctx context.Context, module, architecture, folder, tags string, names ...string) error {
	// What a person's own settings may say otherwise, and what -trimpath doesn't
	// cover. See https://go.dev/ref/mod#build-commands and `go help environment`.
	arguments := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid="}
	if tags != "" {
		arguments = append(arguments, "-tags", tags)
	}
	arguments = append(arguments, "-o", folder+string(filepath.Separator))
	for _, name := range names {
		arguments = append(arguments, "./bin/"+name)
	}
	return goCommand(ctx, module, []string{
		"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + Architectures[architecture],
		"GOAMD64=v1", "GOARM64=v8.0", "GOFIPS140=off", "GOEXPERIMENT=",
	}, arguments...)
}

var errNoGo = errors.New("there is no go command in the PATH")

// goCommand runs go in the folder of our module, as if it were nobody's.
func goCommand(ctx context.Context, module string, environment []string, arguments ...string) error {
	program, err := exec.LookPath("go")
	if err != nil {
		return errNoGo
	}
	command := exec.CommandContext(ctx, program, arguments...)
	command.Dir = module
	command.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly", "GOTOOLCHAIN="+Toolchain, "PWD="+module)
	command.Env = append(command.Env, environment...)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("in %s: go %s: %w%s", module, strings.Join(arguments, " "), err, words(out))
	}
	return nil
}

// words is what a command said, as the end of an error's text.
func words(out []byte) string {
	if text := strings.TrimSpace(string(out)); text != "" {
		return ":\n" + text
	}
	return ""
}
