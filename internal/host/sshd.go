package host

import (
	"fmt"
	"strings"
	"time"
)

// The algorithms, the preferred first. The host drops what its sshd does not
// know, so that the list may name what only newer releases have.
//
// ChaCha20-Poly1305 is left out: it is the cipher that the Terrapin attack works
// best on where a client lacks strict key exchange, and every client that has it
// has AES-GCM too. https://terrapin-attack.com
var (
	kexAlgorithms = []string{
		"mlkem768x25519-sha256",
		"sntrup761x25519-sha512",
		"sntrup761x25519-sha512@openssh.com",
		"curve25519-sha256",
		"curve25519-sha256@libssh.org",
		"diffie-hellman-group18-sha512",
		"diffie-hellman-group16-sha512",
	}
	ciphers = []string{
		"aes256-gcm@openssh.com",
		"aes128-gcm@openssh.com",
		"aes256-ctr",
		"aes192-ctr",
		"aes128-ctr",
	}
	macs = []string{
		"hmac-sha2-512-etm@openssh.com",
		"hmac-sha2-256-etm@openssh.com",
		"umac-128-etm@openssh.com",
	}
	caSignatureAlgorithms = []string{
		"ssh-ed25519",
		"sk-ssh-ed25519@openssh.com",
		"ecdsa-sha2-nistp256",
		"ecdsa-sha2-nistp384",
		"ecdsa-sha2-nistp521",
		"sk-ecdsa-sha2-nistp256@openssh.com",
		"rsa-sha2-512",
		"rsa-sha2-256",
	}
)

// pubkeyAlgorithms are the signatures accepted of people, each as a bare key and
// as a certificate.
func pubkeyAlgorithms() []string {
	var list []string
	for _, name := range caSignatureAlgorithms {
		bare, vendor, _ := strings.Cut(name, "@")
		if vendor == "" {
			vendor = "openssh.com"
		}
		list = append(list, name, bare+"-cert-v01@"+vendor)
	}
	return list
}

// dropIn writes what becomes the drop-in of sshd. A line that begins with "?" is
// conditional and settled by files/sshd.sh on the host: "?kex", "?cipher",
// "?mac" and "?key-sig" keep of the list what `ssh -Q` names; "?opt" keeps the
// line where sshd knows the keyword; "?host" writes the host keys that there are,
// "?open" the targets from the environment; "?idle" is for the login shell where
// sshd has no ChannelTimeout.
func (s SSH) dropIn() []byte {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }

	line("# Written by Postern. The first value of a keyword counts, so this file goes first.")
	line("AuthenticationMethods publickey")
	line("PubkeyAuthentication yes")
	line("PasswordAuthentication no")
	line("PermitEmptyPasswords no")
	line("KbdInteractiveAuthentication no")
	line("HostbasedAuthentication no")
	line("?opt GSSAPIAuthentication no")
	line("PermitRootLogin no")
	line("UsePAM yes")
	line("StrictModes yes")
	line("PermitUserEnvironment no")
	line("PermitUserRC no")
	line("LogLevel VERBOSE")

	// Each kind by its own keyword: before 10.0, DisableForwarding left agent and
	// X11 forwarding on (CVE-2025-32728).
	line("AllowAgentForwarding no")
	line("AllowStreamLocalForwarding no")
	line("X11Forwarding no")
	line("PermitTunnel no")
	line("GatewayPorts no")
	line("PermitListen none")
	if len(s.PermitOpen) == 0 {
		line("AllowTcpForwarding no")
		line("PermitOpen none")
		line("DisableForwarding yes")
	} else {
		line("AllowTcpForwarding local")
		line("?open %d", len(s.PermitOpen))
	}

	line("MaxAuthTries %d", s.MaxAuthTries)
	line("MaxSessions %d", s.MaxSessions)
	line("MaxStartups 10:30:60")
	line("LoginGraceTime %d", s.LoginGraceTime/time.Second)
	line("TCPKeepAlive no")
	// A network load balancer forgets a flow after 350 s of silence.
	// https://docs.aws.amazon.com/elasticloadbalancing/latest/network/update-idle-timeout.html
	line("ClientAliveInterval 60")
	line("ClientAliveCountMax 3")
	line("?opt PerSourceMaxStartups 10")
	if s.IdleTimeout > 0 {
		line("?idle %d", s.IdleTimeout/time.Second)
		line("?opt ChannelTimeout session:*=%d", s.IdleTimeout/time.Second)
		line("?opt UnusedConnectionTimeout %d", s.IdleTimeout/time.Second)
	}
	line("Compression no")

	line("?kex KexAlgorithms %s", strings.Join(kexAlgorithms, ","))
	line("?cipher Ciphers %s", strings.Join(ciphers, ","))
	line("?mac MACs %s", strings.Join(macs, ","))
	line("?key-sig PubkeyAcceptedAlgorithms %s", strings.Join(pubkeyAlgorithms(), ","))
	line("?key-sig CASignatureAlgorithms %s", strings.Join(caSignatureAlgorithms, ","))
	line("?opt RequiredRSASize %d", s.MinRSABits)
	if s.AllowECDSAHostKey {
		line("?host %d ed25519 rsa ecdsa", s.MinRSABits)
	} else {
		line("?host %d ed25519 rsa", s.MinRSABits)
	}
	return []byte(b.String())
}
