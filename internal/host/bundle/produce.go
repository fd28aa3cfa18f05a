package bundle

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/postern-cdk/postern/internal/compile"
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

func programNames() []string {
	var names []string
	for _, program := range programs {
		names = append(names, program.name)
	}
	return names
}

func (o *Options) recipe() *compile.Recipe {
	makeIt := o.produce
	if makeIt == nil {
		makeIt = produce
	}
	return &compile.Recipe{
		What:      "the host bundle for " + o.Architecture,
		Elsewhere: "bin/hostbundle -arch " + o.Architecture + " -o FILE",
		Otherwise: "the bundle of the host",
		Extension: ".tar.gz",
		Programs:  programNames(),
		Packers:   []string{"internal/host/bundle"},
		Key:       hashFixed,
		Produce: func(ctx context.Context, module, file string) error {
			return makeIt(ctx, module, o.Architecture, file)
		},
	}
}

// hashFixed adds the files that no compiler makes.
func hashFixed(sum io.Writer) error {
	entries, err := fixed()
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if _, err := fmt.Fprintf(sum, "%s %d %d\n%s", entry.name, entry.mode, len(entry.data), entry.data); err != nil {
			return err
		}
	}
	return nil
}

// produce compiles and packs.
func produce(ctx context.Context, module, architecture, file string) error {
	return compile.Pinned(ctx, module, func() error {
		return compileAndPack(ctx, module, architecture, file)
	}, "./bin/hostbundle", "-arch", architecture, "-o", file)
}

func compileAndPack(ctx context.Context, module, architecture, file string) error {
	temp, err := os.MkdirTemp(filepath.Dir(file), "programs-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }()

	if err := compile.Programs(ctx, module, architecture, temp, "", programNames()...); err != nil {
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
