//go:build linux

package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Environment variables that choose the operating system.
const (
	rootfsVariable = "POSTERN_ROOTFS"
	cacheVariable  = "POSTERN_LAB_CACHE"
)

// A recipe is an operating system that mmdebstrap builds.
type recipe struct {
	suite    string
	packages []string
	// after is run in the finished root.
	after string
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
	// What nobody reads here, a third of the bytes.
	after: `rm -rf "$1"/usr/share/doc/* "$1"/usr/share/man/* "$1"/usr/share/info/* "$1"/usr/share/locale/* ` +
		`"$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/usr/share/awscli/examples "$1"/usr/lib/python3/dist-packages/awscli/examples`,
}

// more is what an operating system gets beside.
type more struct {
	name     string
	packages []string
	after    string
}

// judges are for those who judge a host.
var judges = more{
	name:     "judges",
	packages: []string{"lynis", "ssh-audit", "openscap-scanner", "ssg-debderived"},
	// The content is for Ubuntu, and says so of each rule. Nobody here runs Lynis but a test.
	after: `cd /usr/share/xml/scap/ssg/content && find . -type f ! -name ssg-ubuntu2204-ds.xml -delete && ` +
		`sed -i '/<[a-z0-9.-]*:platform idref=/d' ssg-ubuntu2204-ds.xml && rm -f /etc/systemd/system/*/lynis.timer && ` +
		`rm -rf /usr/share/doc/* /usr/share/man/* /var/cache/apt/* /var/lib/apt/lists/*`,
}

// integrity compares files with a baseline, which takes the time of many logins: most
// hosts here go without.
var integrity = more{
	name:     "integrity",
	packages: []string{"aide"},
	after:    `rm -rf /usr/share/doc/* /usr/share/man/* /var/cache/apt/* /var/lib/apt/lists/*`,
}

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
	sum := sha256.Sum256([]byte(strings.Join(m.packages, ",") + "\n" + m.after))
	return cached(filepath.Base(base)+"-"+m.name+"-"+hex.EncodeToString(sum[:6]), func(folder string) error {
		script := `set -e
cp -a --reflink=auto "$1" "$2"
cp -L /etc/resolv.conf "$2/etc/resolv.conf"
mount -t proc proc "$2/proc"
mount -t tmpfs tmpfs "$2/dev"
for name in null zero random urandom tty; do touch "$2/dev/$name"; mount --bind "/dev/$name" "$2/dev/$name"; done
chroot "$2" apt-get update -q
DEBIAN_FRONTEND=noninteractive chroot "$2" apt-get install -qy --no-install-recommends $3
umount -R "$2/dev" "$2/proc"
chroot "$2" sh -c "$4"`
		cmd := exec.Command("unshare", "--mount", "--propagation", "private",
			"bash", "-c", script, m.name, base, folder, strings.Join(m.packages, " "), m.after)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(m.packages, ", "), err, out)
		}
		return nil
	})
}

func (r recipe) key() string {
	sum := sha256.Sum256([]byte(r.suite + "\n" + strings.Join(r.packages, ",") + "\n" + r.after))
	return hex.EncodeToString(sum[:6])
}

// build makes the root at folder, which must not exist yet.
func (r recipe) build(folder string) error {
	// Several packages open /dev/null and the like as root: mmdebstrap mounts in a namespace of its own.
	cmd := exec.Command("unshare", "--mount", "--propagation", "private",
		"mmdebstrap", "--quiet", "--variant=minbase", `--aptopt=Apt::Install-Recommends "false"`, `--aptopt=Acquire::Languages "none"`,
		// A root that was cut off is made again: nothing has to be on the disk at once.
		"--dpkgopt=force-unsafe-io", "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
		"--dpkgopt=path-exclude=/usr/share/doc/*",
		"--customize-hook="+r.after, "--include="+strings.Join(r.packages, ","), r.suite, folder)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mmdebstrap: %w\n%s", err, out)
	}
	return nil
}

var rootfs struct {
	sync.Once
	folder string
	err    error
}

// RootFS is the folder of the operating system that labs boot, built or unpacked
// where it isn't yet. Nobody may write below it.
func RootFS() (string, error) {
	rootfs.Do(func() {
		given := os.Getenv(rootfsVariable)
		if given == "" {
			rootfs.folder, rootfs.err = cached(bookworm.suite+"-"+bookworm.key(), bookworm.build)
			return
		}
		info, err := os.Stat(given)
		switch {
		case err != nil:
			rootfs.err = fmt.Errorf("%s: %w", rootfsVariable, err)
		case info.IsDir():
			rootfs.folder, rootfs.err = filepath.Abs(given)
		default:
			sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %s", given, info.Size(), info.ModTime()))
			rootfs.folder, rootfs.err = cached("given-"+hex.EncodeToString(sum[:6]), func(folder string) error {
				if err := os.Mkdir(folder, 0o755); err != nil {
					return err
				}
				if out, err := exec.Command("tar", "-x", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-C", folder, "-f", given).CombinedOutput(); err != nil {
					return fmt.Errorf("tar -x %s: %w\n%s", given, err, out)
				}
				return nil
			})
		}
	})
	return rootfs.folder, rootfs.err
}

// cached is the folder of that name in the cache. One process makes it while
// others wait; a half-made one never gets its name.
func cached(name string, fill func(folder string) error) (string, error) {
	top := os.Getenv(cacheVariable)
	if top == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no cache folder, set %s: %w", cacheVariable, err)
		}
		top = filepath.Join(user, "postern-lab")
	}
	if err := os.MkdirAll(top, 0o700); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(top, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Close() }()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", err
	}
	folder := filepath.Join(top, name)
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	half := folder + ".half"
	if err := os.RemoveAll(half); err != nil {
		return "", err
	}
	if err := fill(half); err != nil {
		_ = os.RemoveAll(half)
		return "", err
	}
	return folder, os.Rename(half, folder)
}
