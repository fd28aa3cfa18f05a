package host

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/postern-cdk/postern/internal/host/settings"
)

// Where sshd reads what certificates are held against.
const (
	authoritiesFile = "/etc/postern/authorities.pub"
	revokedFile     = "/etc/postern/revoked.krl"
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

// fips keeps of a list what a FIPS 140-3 module may sign with: no Ed25519, and no
// hardware token, whose key is Ed25519 or made outside.
func fips(list []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(name string) bool {
		return strings.Contains(name, "ed25519") || strings.HasPrefix(name, "sk-")
	})
}

// pubkeyAlgorithms are the signatures accepted of people, each as a bare key and
// as a certificate.
func pubkeyAlgorithms(signatures []string) []string {
	var list []string
	for _, name := range signatures {
		bare, vendor, _ := strings.Cut(name, "@")
		if vendor == "" {
			vendor = "openssh.com"
		}
		list = append(list, name, bare+"-cert-v01@"+vendor)
	}
	return list
}

// dropIn writes what becomes the drop-in of sshd. A line that begins with "?" is
// conditional and settled by sshd.sh on the host: "?kex", "?cipher", "?mac" and
// "?key-sig" keep of the list what `ssh -Q` names; "?opt" keeps the line where
// sshd knows the keyword; "?host" writes the host keys that there are, "?open" the
// targets from the environment. What follows the first Match line holds for that block alone.
func (c Config) dropIn() []byte {
	s, second := c.SSH, c.Choices.SecondFactor.AtLogin
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }

	line("# Written by Postern. The first value of a keyword counts, so this file goes first.")
	if second {
		line("AuthenticationMethods publickey,keyboard-interactive:pam")
		line("KbdInteractiveAuthentication yes")
	} else {
		line("AuthenticationMethods publickey")
		line("KbdInteractiveAuthentication no")
	}
	line("AllowGroups %s", settings.PeopleGroup)
	line("PubkeyAuthentication yes")
	line("PasswordAuthentication no")
	line("PermitEmptyPasswords no")
	line("HostbasedAuthentication no")
	line("?opt GSSAPIAuthentication no")
	line("?opt KerberosAuthentication no")
	line("PermitRootLogin no")
	line("UsePAM yes")
	line("StrictModes yes")
	// Keys are where their owner can't write. The command that EC2 Instance Connect
	// brings is asked besides.
	line("AuthorizedKeysFile %s/%%u", settings.KeysDir)
	line("AuthorizedPrincipalsFile none")
	if len(c.Choices.Certificates.Authorities) > 0 {
		line("TrustedUserCAKeys %s", authoritiesFile)
	} else {
		line("TrustedUserCAKeys none")
	}
	if c.Choices.Certificates.RevocationKey != "" {
		line("RevokedKeys %s", revokedFile)
	} else {
		line("RevokedKeys none")
	}
	line("ExposeAuthInfo yes")
	line("ForceCommand %s/postern-shell", settings.BinDir)
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
	// Three addresses that hold all they may, before anybody is turned away at random.
	line("MaxStartups 30:30:60")
	line("LoginGraceTime %d", s.LoginGraceTime/time.Second)
	line("TCPKeepAlive no")
	// A network load balancer forgets a flow after 350 s of silence.
	// https://docs.aws.amazon.com/elasticloadbalancing/latest/network/update-idle-timeout.html
	line("ClientAliveInterval 60")
	line("ClientAliveCountMax 3")
	line("?opt PerSourceMaxStartups 10")
	if s.IdleTimeout > 0 {
		line("?opt ChannelTimeout session:*=%d", s.IdleTimeout/time.Second)
		line("?opt UnusedConnectionTimeout %d", s.IdleTimeout/time.Second)
	}
	line("Compression no")

	line("?kex KexAlgorithms %s", strings.Join(kexAlgorithms, ","))
	line("?cipher Ciphers %s", strings.Join(ciphers, ","))
	line("?mac MACs %s", strings.Join(macs, ","))
	signatures := caSignatureAlgorithms
	if c.Choices.People.FIPSKeysOnly {
		signatures = fips(signatures)
	}
	line("?key-sig PubkeyAcceptedAlgorithms %s", strings.Join(pubkeyAlgorithms(signatures), ","))
	line("?key-sig CASignatureAlgorithms %s", strings.Join(signatures, ","))
	line("?opt RequiredRSASize %d", s.MinRSABits)
	line("?host %d %s", s.MinRSABits, strings.Join(c.Choices.HostKeys.Kinds, " "))
	if second {
		// The recording is proven by a loopback session, for which nobody types a code.
		line("Match User %s LocalAddress 127.0.0.1,::1 Address 127.0.0.1,::1", settings.CheckUser)
		line("AuthenticationMethods publickey")
	}
	return []byte(b.String())
}
