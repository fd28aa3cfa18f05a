package people

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// grammar is what useradd, sshd, utmp and a path take without quoting. Its end is
// no dash: a name is never read as the start of an option that follows it.
var grammar = regexp.MustCompile(`\A[a-z][a-z0-9-]{0,30}[a-z0-9]\z`)

// suffix of the objects that hold keys.
const suffix = ".pub"

// reserved names belong to systems that Postern runs on, or may once their package
// is installed: such a package would take over the account. Names that exist on
// the host are refused besides.
var reserved = []string{
	"abrt", "adm", "admin", "administrator", "aide", "all", "amazon", "anonymous", "apache", "audio", "audit",
	"avahi", "aws", "backup", "bin", "cdrom", "centos", "chrony", "clamav", "cloud-user", "cockpit-ws", "colord",
	"crontab", "cwagent", "daemon", "dbus", "debian", "default", "dialout", "dip", "disk", "dnsmasq", "docker", "ec2-instance-connect",
	"ec2-user", "fail2ban", "fapolicyd", "fax", "fedora", "floppy", "ftp", "fwupd-refresh", "games", "gdm", "gnats", "guest",
	"halt", "input", "irc", "kmem", "kvm", "landscape", "libstoragemgmt", "libvirt", "list", "lock", "lp",
	"lpadmin", "lxd", "mail", "man", "messagebus", "mysql", "netdev", "news", "nfsnobody", "nginx", "nobody", "nogroup",
	"ntp", "operator", "oprofile", "plugdev", "polkitd", "pollinate", "postfix", "postgres", "printadmin",
	"proxy", "pulse", "render", "root", "rpc", "rpcuser", "rtkit", "saned", "sasl", "screen", "setroubleshoot",
	"sgx", "shadow", "shutdown", "slocate", "src", "ssh", "sshd", "ssl-cert", "ssm-user", "sssd",
	"staff", "stapusr", "sudo", "suse", "sync", "sys", "syslog", "tape", "tcpdump", "telegraf", "tlog", "toor", "tss", "tty",
	"ubuntu", "ubuntu-core-launcher", "unbound", "usbmux", "usbmuxd", "users", "utempter", "utmp", "uucp", "uuidd",
	"vagrant", "video", "voice", "wheel", "whoopsie", "www-data", "xfs",
}

// reservedPrefixes of names that are Postern's or systemd's own.
var reservedPrefixes = []string{"postern", "systemd-", "ec2-", "aws-", "ssm-", "debian-", "rpc-"}

// Name is the person whose keys the object is, or why there is none. Nobody says
// what keys of objects are made of but who can write to the bucket.
func Name(key, prefix string) (string, error) {
	rest, found := strings.CutPrefix(key, prefix)
	if !found {
		return "", fmt.Errorf("the object is not below %q", prefix)
	}
	name, found := strings.CutSuffix(rest, suffix)
	switch {
	case !found:
		return "", fmt.Errorf("the object's name doesn't end in %s; keys of a person are %sNAME%s", suffix, prefix, suffix)
	case strings.Contains(name, "/"):
		return "", fmt.Errorf("the object lies in a folder; keys of a person are %sNAME%s, nothing deeper", prefix, suffix)
	}
	return name, CheckName(name)
}

// CheckName says why nobody can have the name on a bastion, or nil. It can't know
// which names exist there already.
func CheckName(name string) error {
	if !grammar.MatchString(name) {
		return fmt.Errorf("%q can't be a name: 2 to 32 of a-z, 0-9 and -, a letter first, no - at the end", Clip(name))
	}
	if slices.Contains(reserved, name) {
		return fmt.Errorf("%q is reserved for the system; choose another name", name)
	}
	for _, prefix := range reservedPrefixes {
		if strings.HasPrefix(name, prefix) || name+"-" == prefix {
			return fmt.Errorf("%q is reserved: names that begin with %q belong to the system; choose another name", name, prefix)
		}
	}
	return nil
}

// Clip shortens text from outside, so that nobody fills a log with it.
func Clip(text string) string {
	const most = 100
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}
