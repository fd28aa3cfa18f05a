// Package function makes the files of the functions that stand behind custom
// resources and rules: a program of this module, compiled for Lambda's runtime
// provided.al2023 on arm64, in a zip archive.
//
//	f, err := function.Build(ctx, accountdefault.Program, function.Options{})
//	// f.Path is a file of the cache, f.SHA256 its digest
//
// It is compiled at synthesis, from source, so that the same version gives the same
// bytes on every machine: see package compile. Anything else would deploy the function
// anew whenever another colleague deploys. Where Go or its modules can't be had at
// synthesis, [Options.File] names a file that bin/functionzip made elsewhere.
package function

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/postern-cdk/postern/internal/accountdefault"
	"github.com/postern-cdk/postern/internal/compile"
	"github.com/postern-cdk/postern/internal/notice"
)

// What a Lambda function of these files is to be made with.
const (
	Architecture = "arm64"
	Runtime      = "provided.al2023"
	Handler      = "bootstrap"
)

// Programs that are functions, below bin.
func Programs() []string { return []string{accountdefault.Program, notice.Program} }

// Options say which file is wanted.
type Options struct {
	// File is one that bin/functionzip made: it is examined and taken instead of
	// building one. "": build.
	File string
	// CacheDir holds what was built. "": postern in the user's cache folder.
	CacheDir string
	// Progress is told in one line that something is built, which takes a while.
	// nil: the standard error.
	Progress io.Writer

	module string // its folder; "": where this package was compiled from
}

// File is what a function runs.
type File = compile.File

// Build finds the file in the cache, or makes it. Several may do so at once.
func Build(ctx context.Context, program string, o Options) (File, error) {
	if err := known(program); err != nil {
		return File{}, err
	}
	if o.File != "" {
		return examined(program, o.File)
	}
	return recipe(program).Build(ctx, compile.Options{CacheDir: o.CacheDir, Progress: o.Progress, Module: o.module})
}

// Write makes the file, past the cache.
func Write(ctx context.Context, program, file string) error {
	if err := known(program); err != nil {
		return err
	}
	return recipe(program).Write(ctx, file)
}

func known(program string) error {
	if !slices.Contains(Programs(), program) {
		return fmt.Errorf("no function %q: use one of %s", program, strings.Join(Programs(), ", "))
	}
	return nil
}

func recipe(program string) *compile.Recipe {
	return &compile.Recipe{
		What:      "the function " + program,
		Elsewhere: "bin/functionzip -function " + program + " -o FILE",
		Otherwise: "the function's file",
		Extension: ".zip",
		Programs:  []string{program},
		Packers:   []string{"internal/function"},
		Produce: func(ctx context.Context, module, file string) error {
			return compile.Pinned(ctx, module, func() error {
				return compileAndPack(ctx, module, program, file)
			}, "./bin/functionzip", "-function", program, "-o", file)
		},
	}
}

func compileAndPack(ctx context.Context, module, program, file string) error {
	temp, err := os.MkdirTemp(filepath.Dir(file), "program-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	// The interface of the runtime go1.x, which is no more, is left out:
	// https://docs.aws.amazon.com/lambda/latest/dg/golang-package.html
	if err := compile.Programs(ctx, module, Architecture, temp, "lambda.norpc", program); err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(temp, program))
	if err != nil {
		return err
	}
	return pack(data, file)
}

// pack writes the one file of the archive, so that the same gives the same bytes.
func pack(program []byte, file string) error {
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(w, flate.BestCompression)
	})
	// The earliest time that the format has; Lambda runs as another user than it unpacks.
	header := &zip.FileHeader{Name: Handler, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	header.SetMode(0o755)
	entry, err := archive.CreateHeader(header)
	if err == nil {
		_, err = entry.Write(program)
	}
	if err = errors.Join(err, archive.Close()); err != nil {
		return err
	}
	return os.WriteFile(file, out.Bytes(), 0o600)
}

// A function has some 8 MB. What unpacks to far more is none.
const largest = 128 << 20

// examined accepts a file that somebody made before: this program, for the right
// machine.
func examined(program, file string) (File, error) {
	refuse := func(format string, arguments ...any) (File, error) {
		return File{}, fmt.Errorf("%s is not the function %s: %w: make it by go run %s/bin/functionzip -function %s -o %s, of the same version as the app requires",
			file, program, fmt.Errorf(format, arguments...), compile.ModulePath, program, file)
	}
	archive, err := zip.OpenReader(file)
	if err != nil {
		return refuse("%w", err)
	}
	defer func() { _ = archive.Close() }()
	if len(archive.File) != 1 || archive.File[0].Name != Handler || archive.File[0].Mode().Perm() != 0o755 {
		return refuse("it does not hold the one program %s", Handler)
	}
	in, err := archive.File[0].Open()
	if err != nil {
		return refuse("%w", err)
	}
	defer func() { _ = in.Close() }()
	data, err := io.ReadAll(io.LimitReader(in, largest))
	if err != nil {
		return refuse("%w", err)
	}
	binary, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return refuse("%s is no program: %w", Handler, err)
	}
	if binary.Machine != elf.EM_AARCH64 {
		return refuse("%s is for %s", Handler, binary.Machine)
	}
	info, err := buildinfo.Read(bytes.NewReader(data))
	if err != nil {
		return refuse("%s is no Go program: %w", Handler, err)
	}
	if want := compile.ModulePath + "/bin/" + program; info.Path != want {
		return refuse("%s is %s", Handler, info.Path)
	}
	if info.GoVersion != compile.Toolchain {
		return refuse("%s was compiled by %s, not by %s", Handler, info.GoVersion, compile.Toolchain)
	}
	sum, err := compile.Digest(file)
	return File{Path: file, SHA256: sum}, err
}
