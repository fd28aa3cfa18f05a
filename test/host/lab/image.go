//go:build linux

package lab

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// An Image is the disk of a host as it was at one moment, with what its cloud kept
// for it: others start from it without what the first boot takes.
type Image struct {
	folder     string
	name       string
	userData   []byte
	buckets    map[string]map[string]Object
	parameters map[string]Parameter
	keys       map[string]ssh.Signer
}

// Image takes one of a host that runs, which stands still meanwhile. What its
// programs had not written by then is not in it, as after a power cut. The caller
// removes it.
func (l *Lab) Image() (*Image, error) {
	folder, err := os.MkdirTemp("", fmt.Sprintf("postern-lab-%d-image-", os.Getpid()))
	if err != nil {
		return nil, err
	}
	i := &Image{folder: folder, name: l.HostName, userData: l.options.UserData}
	if err := l.still(func() error {
		upper := filepath.Join(fmt.Sprintf("/proc/%d/root", l.supervisor.Process.Pid), l.work, "disk", "upper")
		if out, err := exec.Command("cp", "-a", "-T", upper, folder).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		// Instances of one image are told apart by what asks for it; that they boot for
		// the first time is not what these are for.
		return os.WriteFile(filepath.Join(folder, "etc/cloud/cloud-init.disabled"), nil, 0o644)
	}); err != nil {
		i.Remove()
		return nil, fmt.Errorf("an image of %s: %w", l.options.Name, err)
	}
	l.cloud.mu.Lock()
	defer l.cloud.mu.Unlock()
	i.buckets, i.parameters = map[string]map[string]Object{}, maps.Clone(l.cloud.ssm.parameters)
	for name, objects := range l.cloud.s3.buckets {
		i.buckets[name] = maps.Clone(objects)
	}
	// Another host's records are none of its own.
	maps.DeleteFunc(i.buckets[RecordBucket], func(key string, _ Object) bool { return !strings.HasPrefix(key, "public-keys/") })
	l.mu.Lock()
	defer l.mu.Unlock()
	i.keys = maps.Clone(l.keys)
	return i, nil
}

// Remove deletes the image, which no host may use any more.
func (i *Image) Remove() { _ = os.RemoveAll(i.folder) }

// still stops all processes of the host while f runs.
func (l *Lab) still(f func() error) error {
	group := filepath.Join(cgroups(), filepath.Base(l.work))
	freeze := func(value string) error {
		if err := os.WriteFile(filepath.Join(group, "cgroup.freeze"), []byte(value), 0); err != nil {
			return err
		}
		if !eventually(10*time.Second, func() bool {
			text, _ := os.ReadFile(filepath.Join(group, "cgroup.events"))
			return strings.Contains(string(text), "frozen "+value+"\n")
		}) {
			return fmt.Errorf("the processes are not frozen (%s)", value)
		}
		return nil
	}
	err := freeze("1")
	if err == nil {
		err = f()
	}
	if thaw := freeze("0"); err == nil {
		err = thaw
	}
	return err
}

// furnishFrom makes of an image's cloud that of the lab.
func (l *Lab) furnishFrom(i *Image) error {
	l.cloud.mu.Lock()
	for name, objects := range i.buckets {
		l.S3.buckets[name] = maps.Clone(objects)
	}
	l.SSM.parameters = maps.Clone(i.parameters)
	l.cloud.mu.Unlock()
	l.keys = maps.Clone(i.keys)
	for path, file := range l.options.Files {
		if err := l.put(path, file); err != nil {
			return err
		}
	}
	return nil
}

// Up waits until all is started of a host that boots again, or from an image.
func (l *Lab) Up() error {
	out := ""
	if !eventually(BootTimeout, func() bool {
		var err error
		out, _, err = l.TryRoot("systemctl is-system-running --wait")
		return err == nil && (strings.HasPrefix(out, "running") || strings.HasPrefix(out, "degraded"))
	}) {
		return fmt.Errorf("%s is not up in %s: %s\n%s", l.options.Name, BootTimeout, out, tail(l.Console(), 60))
	}
	return nil
}
