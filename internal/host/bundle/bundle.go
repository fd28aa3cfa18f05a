package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// Toolchain compiles the programs and packs the bundle. Another one gives other
// bytes, and so replaces every bastion: it changes with a release only.
const Toolchain = "go1.26.8"

// Options say which bundle is wanted.
type Options struct {
	// Architecture is "arm64" or "x86_64", as AWS spells them. Required.
	Architecture string
	// File is a bundle that bin/hostbundle made: it is examined and taken instead
	// of building one. "": build.
	File string
	// CacheDir holds what was built. "": postern in the user's cache folder.
	CacheDir string
	// Progress is told in one line that something is built, which takes a while.
	// nil: the standard error.
	Progress io.Writer

	module string // its folder; "": where this package was compiled from
	// produce makes the bundle. nil: the compiler and the packer.
	produce func(ctx context.Context, module, architecture, file string) error
}

// Bundle is one file for the host.
type Bundle struct {
	Path string
	// SHA256 of the file, 64 hexadecimal digits.
	SHA256 string
}

var goArchitectures = map[string]string{"arm64": "arm64", "x86_64": "amd64"}

// Build finds the bundle in the cache, or makes it. Several may do so at once.
func Build(ctx context.Context, o Options) (Bundle, error) {
	if goArchitectures[o.Architecture] == "" {
		return Bundle{}, fmt.Errorf("no host bundle for the architecture %q: use arm64 or x86_64", o.Architecture)
	}
	if o.File != "" {
		return examined(o.File, o.Architecture)
	}
	b, err := build(ctx, &o)
	if err != nil {
		return Bundle{}, o.wayOut(err)
	}
	return b, nil
}

// wayOut says what to do without whatever was missing.
func (o *Options) wayOut(err error) error {
	return fmt.Errorf("the host bundle for %s can't be built: %w\n"+
		"It takes Go, the source of %s, and the modules that it requires (from the module cache or the proxy). "+
		"Where they can't be had, make the bundle elsewhere, by\n"+
		"  go run %s/bin/hostbundle -arch %s -o FILE\n"+
		"of the same version, and name FILE as the bundle of the host",
		o.Architecture, err, modulePath, modulePath, o.Architecture)
}

func build(ctx context.Context, o *Options) (Bundle, error) {
	if o.CacheDir == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			// Not the temporary folder: what others can write there would end up on the host.
			return Bundle{}, fmt.Errorf("there is no cache folder: %w", err)
		}
		o.CacheDir = filepath.Join(dir, "postern")
	}
	if o.module == "" {
		var err error
		if o.module, err = moduleDir(ctx); err != nil {
			return Bundle{}, err
		}
	}
	key, err := o.key()
	if err != nil {
		return Bundle{}, err
	}
	dir := filepath.Join(o.CacheDir, key)
	if b, found := cached(dir); found {
		return b, nil
	}
	if err := os.MkdirAll(o.CacheDir, 0o700); err != nil {
		return Bundle{}, err
	}
	lock := flock.New(filepath.Join(o.CacheDir, key+".lock"))
	if _, err := lock.TryLockContext(ctx, 100*time.Millisecond); err != nil {
		return Bundle{}, fmt.Errorf("waiting for another synthesis that builds it, %s: %w", lock.Path(), err)
	}
	defer func() { _ = lock.Unlock() }()
	if b, found := cached(dir); found {
		return b, nil
	}

	progress := o.Progress
	if progress == nil {
		progress = os.Stderr
	}
	_, _ = fmt.Fprintf(progress, "postern: building the host bundle for %s, once\n", o.Architecture)
	temp, err := os.MkdirTemp(o.CacheDir, "building-")
	if err != nil {
		return Bundle{}, err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	file := filepath.Join(temp, "bundle")
	if o.produce == nil {
		o.produce = produce
	}
	if err := o.produce(ctx, o.module, o.Architecture, file); err != nil {
		return Bundle{}, err
	}
	b, err := keep(file, dir)
	prune(o.CacheDir)
	return b, err
}

// The name of a file in the cache is its digest: a file that was cut short or
// changed is none.
const extension = ".tar.gz"

func cached(dir string) (Bundle, bool) {
	files, err := filepath.Glob(filepath.Join(dir, "*"+extension))
	if err != nil {
		return Bundle{}, false
	}
	for _, file := range files {
		sum, err := digest(file)
		if err == nil && sum+extension == filepath.Base(file) {
			now := time.Now()
			_ = os.Chtimes(dir, now, now) // in use: see prune
			return Bundle{Path: file, SHA256: sum}, true
		}
	}
	return Bundle{}, false
}

func keep(file, dir string) (Bundle, error) {
	sum, err := digest(file)
	if err != nil {
		return Bundle{}, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Bundle{}, err
	}
	path := filepath.Join(dir, sum+extension)
	return Bundle{Path: path, SHA256: sum}, os.Rename(file, path)
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

// Write makes a bundle in file, past the cache.
func Write(ctx context.Context, architecture, file string) error {
	o := &Options{Architecture: architecture}
	if goArchitectures[architecture] == "" {
		return fmt.Errorf("no host bundle for the architecture %q: use arm64 or x86_64", architecture)
	}
	dir, err := moduleDir(ctx)
	if err != nil {
		return o.wayOut(err)
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	if err := produce(ctx, dir, architecture, path); err != nil {
		return o.wayOut(err)
	}
	return nil
}

var errNoGo = errors.New("there is no go command in the PATH")

// words is what a command said, as the end of an error's text.
func words(out []byte) string {
	if text := strings.TrimSpace(string(out)); text != "" {
		return ":\n" + text
	}
	return ""
}
