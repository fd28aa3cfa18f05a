//go:build linux

package lab

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Addresses in every lab: its networks are its own.
const (
	BastionIP  = "10.0.1.10"
	RouterIP   = "10.0.1.1"
	ClientIP   = "198.51.100.10"
	InternalIP = "10.0.2.20" // a server inside the private network
	imdsIP     = "169.254.169.254"
	imdsIPv6   = "fd00:ec2::254"
	dnsIP      = "169.254.169.253"
	awsNetwork = "52.94.0."
)

// A namespace is a network namespace, kept by an open file.
type namespace struct{ file *os.File }

func newNamespace() (namespace, error) {
	type result struct {
		file *os.File
		err  error
	}
	made := make(chan result)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and its namespace with the last file.
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- result{nil, fmt.Errorf("a new network namespace: %w", err)}
			return
		}
		file, err := os.Open("/proc/thread-self/ns/net")
		made <- result{file, err}
	}()
	r := <-made
	return namespace{r.file}, r.err
}

// do runs f on a thread in the namespace. Sockets that f opens and programs that
// it starts stay in there.
func (n namespace) do(f func() error) error {
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			failed <- fmt.Errorf("enter network namespace: %w", err)
			return
		}
		failed <- f()
	}()
	return <-failed
}

func (n namespace) path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.file.Fd()) }

// ip runs a batch of ip(8) in the namespace.
func (n namespace) ip(lines ...string) error {
	return n.do(func() error {
		cmd := exec.Command("ip", "-batch", "-")
		cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("ip: %w\n%s", err, out)
		}
		return nil
	})
}

// A network is the three namespaces of a lab.
type network struct{ bastion, aws, client namespace }

func newNetwork() (n network, err error) {
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	for _, ns := range []*namespace{&n.bastion, &n.aws, &n.client} {
		if *ns, err = newNamespace(); err != nil {
			return n, err
		}
	}
	up := []string{
		"link set lo up",
		"link add bastion type veth peer name ens5 netns " + n.bastion.path(),
		"link add client type veth peer name eth0 netns " + n.client.path(),
		"address add " + RouterIP + "/24 dev bastion", "link set bastion up",
		"address add fd00:1::1/64 dev bastion nodad", "address add " + imdsIPv6 + "/128 dev lo nodad",
		"address add 198.51.100.1/24 dev client", "link set client up",
		"address add " + imdsIP + "/32 dev lo", "address add " + dnsIP + "/32 dev lo", "address add " + InternalIP + "/32 dev lo",
	}
	for i := range services {
		up = append(up, "address add "+serviceIP(i)+"/32 dev lo")
	}
	if err = n.aws.ip(up...); err != nil {
		return n, err
	}
	if err = n.aws.do(func() error {
		return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0)
	}); err != nil {
		return n, err
	}
	if err = n.bastion.ip("link set lo up", "address add "+BastionIP+"/24 dev ens5", "link set ens5 up",
		"route add default via "+RouterIP,
		// The metadata service is all that answers there.
		"address add fd00:1::10/64 dev ens5 nodad", "route add "+imdsIPv6+"/128 via fd00:1::1"); err != nil {
		return n, err
	}
	client := []string{"link set lo up"}
	for last := 10; last < 20; last++ {
		client = append(client, fmt.Sprintf("address add 198.51.100.%d/24 dev eth0", last))
	}
	return n, n.client.ip(append(client, "link set eth0 up", "route add default via 198.51.100.1")...)
}

func (n network) close() {
	for _, ns := range []namespace{n.bastion, n.aws, n.client} {
		if ns.file != nil {
			_ = ns.file.Close()
		}
	}
}
