package compile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"hash"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// ModuleDir is where the module's source is: the compiler knew, as long as it
// was not told to forget (-trimpath) and the app runs where it was compiled.
func ModuleDir(ctx context.Context) (string, error) {
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		dir := filepath.Dir(filepath.Dir(filepath.Dir(file))) // internal/compile/source.go
		if isModule(dir) {
			return dir, nil
		}
	}
	program, err := exec.LookPath("go")
	if err != nil {
		return "", errNoGo
	}
	command := exec.CommandContext(ctx, program, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", ModulePath)
	var told bytes.Buffer
	command.Stderr = &told
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("its source is not found: go list -m %s: %w%s", ModulePath, err, words(told.Bytes()))
	}
	dir := strings.TrimSpace(string(out))
	if !isModule(dir) {
		return "", fmt.Errorf("its source is not in the module cache (go list -m names the folder %q): a vendor folder holds only what an app imports; run go mod download %s", dir, ModulePath)
	}
	return dir, nil
}

func isModule(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil || !bytes.HasPrefix(text, []byte("module "+ModulePath+"\n")) {
		return false
	}
	// A vendor folder has packages of the module, but not its commands.
	_, err = os.Stat(filepath.Join(dir, "bin"))
	return err == nil
}

// released is the version of the module where its folder is that of the module
// cache, whose content the go command has verified; otherwise "".
func released(dir string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, module := range info.Deps {
		if module.Path == ModulePath && module.Replace == nil && filepath.Base(dir) == "postern@"+module.Version {
			return module.Version
		}
	}
	return ""
}

// CacheKey names everything that the file is made of.
func (r *Recipe) CacheKey(module string) (string, error) {
	sum := sha256.New()
	fmt.Fprintln(sum, Toolchain, r.What, r.Extension)
	if r.Key != nil {
		if err := r.Key(sum); err != nil {
			return "", err
		}
	}
	if version := released(module); version != "" {
		fmt.Fprintln(sum, version)
	} else if err := r.hashSource(sum, module); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil))[:32], nil
}

// hashSource adds the module's packages that the programs import, and what
// decides on the others.
func (r *Recipe) hashSource(sum hash.Hash, dir string) error {
	for _, name := range []string{"go.mod", "go.sum"} {
		if err := hashFile(sum, dir, name); err != nil {
			return err
		}
	}
	// What makes the file of them is a part of it as well.
	queue := append([]string{"internal/compile"}, r.Packers...)
	for _, program := range r.Programs {
		queue = append(queue, "bin/"+program)
	}
	seen := map[string]bool{}
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		imports, err := hashPackage(sum, dir, name)
		if err != nil {
			return err
		}
		queue = append(queue, imports...)
	}
	return nil
}

// hashPackage adds one package's files and returns which packages of the module
// they import. Files for other systems are among them: they cost nothing but a
// build that was not needed.
func hashPackage(sum hash.Hash, dir, name string) (imports []string, err error) {
	entries, err := os.ReadDir(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		path := name + "/" + entry.Name()
		if entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			continue
		}
		if err := hashFile(sum, dir, path); err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, path), nil, parser.ImportsOnly)
		if err != nil {
			return nil, err
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return nil, err
			}
			if inner, ok := strings.CutPrefix(imported, ModulePath+"/"); ok {
				imports = append(imports, inner)
			}
			if imported == "embed" {
				if err := hashTree(sum, dir, name); err != nil {
					return nil, err
				}
			}
		}
	}
	return imports, nil
}

func hashTree(sum hash.Hash, dir, name string) error {
	return filepath.WalkDir(filepath.Join(dir, name), func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == "testdata":
			return filepath.SkipDir
		case entry.IsDir(), strings.HasSuffix(path, "_test.go"):
			return nil
		}
		relative, err := filepath.Rel(dir, path)
		return errors.Join(err, hashFile(sum, dir, filepath.ToSlash(relative)))
	})
}

func hashFile(sum hash.Hash, dir, name string) error {
	data, err := os.ReadFile(filepath.Join(dir, name))
	fmt.Fprintln(sum, name, len(data))
	sum.Write(data)
	return err
}
