package bundle

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"time"

	"github.com/postern-cdk/postern/internal/compile"
)

// entry is one file of a bundle.
type entry struct {
	name string
	mode int64
	data []byte
}

// pack writes entries so that the same ones give the same bytes: sorted, without
// times and owners.
func pack(entries []entry, file string) error {
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	var out bytes.Buffer
	zipped, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(zipped)
	folders := map[string]bool{".": true}
	for _, entry := range entries {
		if err := packFolder(archive, path.Dir(entry.name), folders); err != nil {
			return err
		}
		header := &tar.Header{
			Typeflag: tar.TypeReg, Name: entry.name, Mode: entry.mode, Size: int64(len(entry.data)),
			ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR,
		}
		if err := archive.WriteHeader(header); err != nil {
			return fmt.Errorf("%s: %w", entry.name, err)
		}
		if _, err := archive.Write(entry.data); err != nil {
			return err
		}
	}
	if err := errors.Join(archive.Close(), zipped.Close()); err != nil {
		return err
	}
	return os.WriteFile(file, out.Bytes(), 0o600)
}

// packFolder adds a folder and those that it is in. Everybody passes through
// bin, to run their shell.
func packFolder(archive *tar.Writer, name string, done map[string]bool) error {
	if done[name] {
		return nil
	}
	done[name] = true
	if err := packFolder(archive, path.Dir(name), done); err != nil {
		return err
	}
	mode := int64(0o700)
	if name == "bin" {
		mode = 0o711
	}
	return archive.WriteHeader(&tar.Header{
		Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR,
	})
}

var machines = map[string]elf.Machine{"arm64": elf.EM_AARCH64, "x86_64": elf.EM_X86_64}

// A bundle has some 30 MB of programs. What unpacks to far more is none.
const maxEntry = 256 << 20

// examined accepts a bundle that somebody made before: all parts, for the right
// machine, and of this version.
func examined(file, architecture string) (Bundle, error) {
	refuse := func(format string, arguments ...any) (Bundle, error) {
		return Bundle{}, fmt.Errorf("%s is no host bundle for %s: %w: make it by go run %s/bin/hostbundle -arch %s -o %s, of the same version as the app requires",
			file, architecture, fmt.Errorf(format, arguments...), compile.ModulePath, architecture, file)
	}
	found, err := unpack(file)
	if err != nil {
		return refuse("%w", err)
	}
	expected, err := fixed()
	if err != nil {
		return Bundle{}, err
	}
	for _, entry := range expected {
		if data, ok := found[entry.name]; !ok || !bytes.Equal(data, entry.data) {
			return refuse("its %s is not that of this version", entry.name)
		}
	}
	for _, program := range programs {
		data, ok := found["bin/"+program.name]
		if !ok {
			return refuse("it has no bin/%s", program.name)
		}
		binary, err := elf.NewFile(bytes.NewReader(data))
		if err != nil {
			return refuse("bin/%s is no program: %w", program.name, err)
		}
		if binary.Machine != machines[architecture] {
			return refuse("bin/%s is for %s", program.name, binary.Machine)
		}
	}
	if n := len(expected) + len(programs); len(found) != n {
		return refuse("it has %d files, not %d", len(found), n)
	}
	sum, err := compile.Digest(file)
	return Bundle{Path: file, SHA256: sum}, err
}

func unpack(file string) (map[string][]byte, error) {
	in, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	zipped, err := gzip.NewReader(in)
	if err != nil {
		return nil, err
	}
	archive := tar.NewReader(zipped)
	found := map[string][]byte{}
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		if header.Typeflag == tar.TypeDir {
			continue
		}
		if header.Typeflag != tar.TypeReg {
			return nil, fmt.Errorf("%s is neither a file nor a folder", header.Name)
		}
		data, err := io.ReadAll(io.LimitReader(archive, maxEntry))
		if err != nil {
			return nil, err
		}
		found[header.Name] = data
	}
}
