package host

import (
	"bytes"
	"io/fs"
	"slices"
	"strings"
)

// File is one file of the bundle.
type File struct {
	// Name is its path below /opt/postern, with slashes.
	Name string
	Mode fs.FileMode
	Data []byte
}

// BundleFiles lists what the bundle holds beside the programs bin/postern-host
// (0700) and bin/postern-shell (0711), sorted by name. The bundle is a tar.gz of
// them all, owned by root, that the host unpacks to /opt/postern; its digest is
// [Config.BundleSHA256]. The same for every configuration.
func BundleFiles() ([]File, error) {
	const root = "files/bundle"
	var list []File
	err := fs.WalkDir(files, root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o600)
		if bytes.HasPrefix(data, []byte("#!")) {
			mode = 0o700
		}
		list = append(list, File{strings.TrimPrefix(path, root+"/"), mode, data})
		return nil
	})
	slices.SortFunc(list, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return list, err
}
