package bundle

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/postern-cdk/postern/internal/host"
)

// programs are compiled from bin/NAME to bin/NAME of the bundle. People run their
// shell, and nobody but root anything else.
var programs = []struct {
	name string
	mode int64
}{
	{"postern-host", 0o700},
	{"postern-session", 0o700},
	{"postern-shell", 0o711},
}

// remade is set for the process that produce starts, so that it starts none itself.
const remade = "POSTERN_HOSTBUNDLE"

// produce compiles and packs. By another toolchain than ours, it has ours do it.
func produce(ctx context.Context, module, architecture, file string) error {
	if runtime.Version() == Toolchain {
		return compileAndPack(ctx, module, architecture, file)
	}
	if os.Getenv(remade) != "" {
		return fmt.Errorf("asked for %s, the go command used %s", Toolchain, runtime.Version())
	}
	return goCommand(ctx, module, []string{remade + "=1"},
		"run", "./bin/hostbundle", "-arch", architecture, "-o", file)
}

func compileAndPack(ctx context.Context, module, architecture, file string) error {
	temp, err := os.MkdirTemp(filepath.Dir(file), "programs-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }()

	// What a person's own settings may say otherwise, and what -trimpath doesn't
	// cover. See https://go.dev/ref/mod#build-commands and `go help environment`.
	arguments := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", temp + string(filepath.Separator)}
	for _, program := range programs {
		arguments = append(arguments, "./bin/"+program.name)
	}
	environment := []string{
		"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + goArchitectures[architecture],
		"GOAMD64=v1", "GOARM64=v8.0", "GOFIPS140=off", "GOEXPERIMENT=",
	}
	if err := goCommand(ctx, module, environment, arguments...); err != nil {
		return err
	}
	entries, err := fixed()
	if err != nil {
		return err
	}
	for _, program := range programs {
		data, err := os.ReadFile(filepath.Join(temp, program.name))
		if err != nil {
			return err
		}
		entries = append(entries, entry{"bin/" + program.name, program.mode, data})
	}
	return pack(entries, file)
}

// fixed are the files that no compiler makes.
func fixed() ([]entry, error) {
	files, err := host.BundleFiles()
	if err != nil {
		return nil, err
	}
	entries := make([]entry, len(files))
	for i, file := range files {
		entries[i] = entry{file.Name, int64(file.Mode.Perm()), file.Data}
	}
	return entries, nil
}

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
		return fmt.Errorf("in %s: go %s: %w%s", module, strings.Join(slices.Clone(arguments), " "), err, words(out))
	}
	return nil
}
