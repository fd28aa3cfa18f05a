package identity

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/postern-cdk/postern/internal/host/settings"
)

// The kinds of keys.
const (
	Ed25519 = "ed25519"
	RSA     = "rsa"
	ECDSA   = "ecdsa" // on P-256
)

// minRSABits is what NIST SP 800-57 part 1 asks of keys in use after 2030.
const minRSABits = 3072

// Kinds are all that there are, the preferred first.
func Kinds() []string { return []string{Ed25519, RSA, ECDSA} }

// Alias is the name that known_hosts has the host under: the path of its
// parameters with dashes for slashes.
func Alias(parameterPath string) string {
	return strings.ReplaceAll(strings.Trim(parameterPath, "/"), "/", "-")
}

// KeyParameter is the name of the parameter that keeps a key.
func KeyParameter(parameterPath, version, kind string) string {
	if version == "" {
		version = "1"
	}
	return parameterPath + "/host-keys/" + version + "/" + kind
}

// CertificateParameter is the name of the parameter that a certificate for the
// key of that kind is taken from.
func CertificateParameter(parameterPath, kind string) string {
	return parameterPath + "/host-certs/" + kind
}

// KnownHostsParameter is the name of the parameter with the public keys.
func KnownHostsParameter(parameterPath string) string { return parameterPath + "/known_hosts" }

// slot is a key of the host: of a kind, of the present version or of the next.
type slot struct {
	kind      string
	next      bool
	parameter string
}

// name as in the state file and in events.
func (s slot) name() string {
	if s.next {
		return s.kind + "-next"
	}
	return s.kind
}

// file of the private key.
func (s slot) file() string {
	if s.next {
		return "/etc/ssh/ssh_host_" + s.kind + "_next_key"
	}
	return "/etc/ssh/ssh_host_" + s.kind + "_key"
}

// The form of a version is that of one level in a parameter's name.
var version = regexp.MustCompile(`^[A-Za-z0-9_.-]{0,64}$`)

// slots lists the keys that the host shall have.
func slots(s settings.Settings) ([]slot, error) {
	if len(s.HostKeys.Kinds) == 0 {
		return nil, fmt.Errorf("HostKeys.Kinds is empty: name at least one of %s", strings.Join(Kinds(), ", "))
	}
	for _, v := range []string{s.HostKeys.Version, s.HostKeys.Next} {
		if !version.MatchString(v) {
			return nil, fmt.Errorf("HostKeys: the version %q has not the form %s", v, version)
		}
	}
	var list []slot
	for _, next := range []bool{false, true} {
		if next && (s.HostKeys.Next == "" || s.HostKeys.Next == s.HostKeys.Version) {
			break
		}
		name := s.HostKeys.Version
		if next {
			name = s.HostKeys.Next
		}
		for i, kind := range s.HostKeys.Kinds {
			if !slices.Contains(Kinds(), kind) {
				return nil, fmt.Errorf("HostKeys.Kinds[%d]: %q is none of %s", i, kind, strings.Join(Kinds(), ", "))
			}
			list = append(list, slot{kind: kind, next: next, parameter: KeyParameter(s.ParameterPath, name, kind)})
		}
	}
	return list, nil
}
