//go:build linux

package lab

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Environment variables that choose the operating system.
const (
	rootfsVariable = "POSTERN_ROOTFS"
	cacheVariable  = "POSTERN_LAB_CACHE"
)

//go:embed rootfs.sh
var rootfsScript string

// A recipe is an operating system that mmdebstrap builds.
type recipe struct {
	suite    string
	packages []string
}

var bookworm = recipe{
	suite: "bookworm",
	packages: []string{
		"systemd", "systemd-sysv", "dbus", "libpam-systemd", "cloud-init", "awscli", "ca-certificates", "netbase",
		"openssh-server", "openssh-client", "sudo", "fail2ban", "python3-systemd", "nftables", "iproute2",
		"acl", "curl", "e2fsprogs", "jq", "procps", "python3", "xz-utils",
		"cron",         // the classic script's crontab; Amazon Linux 2023 has none
		"at", "strace", // an attacker's tools
	},
}

// more is what an operating system gets beside.
type more struct {
	name     string
	packages []string
	// paths are what dpkg leaves out ("-") of the packages and what it doesn't ("+").
	paths []string
	after string
}

const content = "/usr/share/xml/scap/ssg/content/"

// judges are for those who judge a host.
var judges = more{
	name:     "judges",
	packages: []string{"lynis", "ssh-audit", "openscap-scanner", "ssg-debderived"},
	paths:    []string{"-" + content + "*", "+" + content + "ssg-ubuntu2204-ds.xml"},
	// The content is for Ubuntu, and says so of each rule. Nobody here runs Lynis but a test.
	after: `sed -i '/<[a-z0-9.-]*:platform idref=/d' ` + content + `ssg-ubuntu2204-ds.xml && rm -f /etc/systemd/system/*/lynis.timer`,
}

// integrity compares files with a baseline, which takes the time of many logins: most
// hosts here go without.
var integrity = more{name: "integrity", packages: []string{"aide"}}

// JudgesRootFS is [RootFS] with tools that judge a host: ssh-audit, Lynis and
// OpenSCAP with its content for Ubuntu. Where POSTERN_ROOTFS names another system,
// it has to have them.
func JudgesRootFS() (string, error) { return judges.rootFS() }

// IntegrityRootFS is [RootFS] with AIDE. Where POSTERN_ROOTFS names another system,
// it has to have it.
func IntegrityRootFS() (string, error) { return integrity.rootFS() }

func (m more) rootFS() (string, error) {
	base, err := RootFS()
	if err != nil || os.Getenv(rootfsVariable) != "" {
		return base, err
	}
	packages, paths := strings.Join(m.packages, ","), strings.Join(m.paths, ",")
	layer, err := cached(filepath.Base(base)+"-"+m.name+"-"+digest(packages, paths, m.after), func(folder string) error {
		return build("more", folder, base, packages, paths, m.after)
	})
	return layer + ":" + base, err
}

func (r recipe) rootFS() (string, error) {
	packages := strings.Join(r.packages, ",")
	return cached(r.suite+"-"+digest(rootfsScript, packages), func(folder string) error {
		return build("base", folder, r.suite, packages)
	})
}

func digest(of ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(of, "\n")))
	return hex.EncodeToString(sum[:6])
}

// build runs rootfs.sh, which ends with this process: nothing writes to what another
// process may take for its own.
func build(what, folder string, arguments ...string) error {
	cmd := exec.Command("unshare", append([]string{
		"--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc",
		"bash", "-c", rootfsScript, "rootfs", what, folder,
	}, arguments...)...)
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	// The signal comes when the thread ends that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("rootfs.sh %s %s: %w\n%s", what, strings.Join(arguments, " "), err, out)
	}
	return nil
}

var rootfs struct {
	sync.Once
	folder string
	err    error
}

// RootFS is the folder of the operating system that labs boot, built or unpacked
// where it isn't yet. Nobody may write below it. Others are folders in a row, the
// upper first, with colons between them, as an overlay takes them.
func RootFS() (string, error) {
	rootfs.Do(func() {
		given := os.Getenv(rootfsVariable)
		if given == "" {
			rootfs.folder, rootfs.err = bookworm.rootFS()
			return
		}
		info, err := os.Stat(given)
		switch {
		case err != nil:
			rootfs.err = fmt.Errorf("%s: %w", rootfsVariable, err)
		case info.IsDir():
			if rootfs.folder, rootfs.err = filepath.Abs(given); rootfs.err == nil {
				rootfs.err = layer(rootfs.folder, rootfsVariable)
			}
		default:
			rootfs.folder, rootfs.err = cached("given-"+digest(fmt.Sprintf("%s %d %s", given, info.Size(), info.ModTime())), func(folder string) error {
				root := filepath.Join(folder, "root")
				if err := os.Mkdir(root, 0o755); err != nil {
					return err
				}
				if out, err := exec.Command("tar", "-x", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-C", root, "-f", given).CombinedOutput(); err != nil {
					return fmt.Errorf("tar -x %s: %w\n%s", given, err, out)
				}
				return nil
			})
		}
	})
	return rootfs.folder, rootfs.err
}

// layer says why an overlay can't be made over a folder.
func layer(folder, variable string) error {
	if strings.ContainsAny(folder, `:,\`) {
		return fmt.Errorf("an overlay can't be made over %q: no colon, comma or backslash in its path, set %s", folder, variable)
	}
	return nil
}

// cached is the folder of that name in the cache. One process makes it while others
// wait for that one; fill leaves it in a folder of its own as "root", with "apt" for
// what is made from it. One that is half made never gets the name.
func cached(name string, fill func(folder string) error) (string, error) {
	top := os.Getenv(cacheVariable)
	if top == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no cache folder, set %s: %w", cacheVariable, err)
		}
		top = filepath.Join(user, "postern-lab")
	}
	if err := layer(top, cacheVariable); err != nil {
		return "", err
	}
	folder := filepath.Join(top, name)
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	if err := os.MkdirAll(top, 0o700); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(folder+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Close() }()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", err
	}
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	// Those of a process that was killed.
	abandoned, err := filepath.Glob(folder + ".half-*")
	if err != nil {
		return "", err
	}
	for _, half := range append(abandoned, folder+".apt") {
		if err := os.RemoveAll(half); err != nil {
			return "", err
		}
	}
	half, err := os.MkdirTemp(top, name+".half-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(half) }()
	if err := fill(half); err != nil {
		return "", err
	}
	// After a power cut, files could have names and nothing in them.
	if err := unix.Syncfs(int(lock.Fd())); err != nil {
		return "", err
	}
	if err := os.Rename(filepath.Join(half, "apt"), folder+".apt"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	return folder, os.Rename(filepath.Join(half, "root"), folder)
}
