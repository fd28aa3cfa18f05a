package bundle

import (
	"context"
	"fmt"
	"io"

	"github.com/postern-cdk/postern/internal/compile"
)

// Toolchain compiles the programs and packs the bundle. Another one gives other
// bytes, and so replaces every bastion: it changes with a release only.
const Toolchain = compile.Toolchain

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

// Build finds the bundle in the cache, or makes it. Several may do so at once.
func Build(ctx context.Context, o Options) (Bundle, error) {
	if compile.Architectures[o.Architecture] == "" {
		return Bundle{}, unknown(o.Architecture)
	}
	if o.File != "" {
		return examined(o.File, o.Architecture)
	}
	file, err := o.recipe().Build(ctx, compile.Options{CacheDir: o.CacheDir, Progress: o.Progress, Module: o.module})
	return Bundle(file), err
}

// Write makes a bundle in file, past the cache.
func Write(ctx context.Context, architecture, file string) error {
	if compile.Architectures[architecture] == "" {
		return unknown(architecture)
	}
	return (&Options{Architecture: architecture}).recipe().Write(ctx, file)
}

func unknown(architecture string) error {
	return fmt.Errorf("no host bundle for the architecture %q: use arm64 or x86_64", architecture)
}
