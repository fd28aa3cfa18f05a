package host

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/host/settings"
)

func choicesWithDefaults(c settings.Choices, s SSH) settings.Choices {
	if c.Recording.Prefix == "" {
		c.Recording.Prefix = DefaultRecordPrefix
	}
	if c.Recording.KeepDays == 0 {
		c.Recording.KeepDays = DefaultKeepDays
	}
	if c.Recording.IdleTimeout == 0 {
		c.Recording.IdleTimeout = s.IdleTimeout
	}
	if c.Recording.MinFreeMiB == 0 {
		c.Recording.MinFreeMiB = DefaultMinFreeMiB
	}
	if c.People.Prefix == "" {
		c.People.Prefix = DefaultPeoplePrefix
	}
	if c.People.MaxShrinkPercent == 0 {
		c.People.MaxShrinkPercent = DefaultMaxShrinkPercent
	}
	if c.People.MinRSABits == 0 {
		c.People.MinRSABits = s.MinRSABits
	}
	if len(c.HostKeys.Kinds) == 0 {
		c.HostKeys.Kinds = []string{"ed25519", "rsa"}
		if s.AllowECDSAHostKey {
			c.HostKeys.Kinds = append(c.HostKeys.Kinds, "ecdsa")
		}
	}
	c.Relay = relayWithDefaults(c.Relay)
	return c
}

// validateChoices examines filled choices. JSON is how they travel, in the
// payload: a token in it would never be resolved.
func validateChoices(c settings.Choices, s SSH) error {
	var f check.Faults
	if text, err := json.Marshal(c); err != nil || check.Token(string(text)) {
		f.Add("", "hold a token, whose value is not known when the payload is compressed", "write the value itself")
		return f.Err()
	}
	f.Merge("Recording", validateRecording(c.Recording))
	if c.Recording.IdleTimeout != s.IdleTimeout {
		f.Addf("Recording.IdleTimeout", "set SSH.IdleTimeout alone", "%s is not that of SSH, %s", c.Recording.IdleTimeout, s.IdleTimeout)
	}
	f.Merge("People", validatePeople(c.People, s))
	f.Merge("Certificates", validateCertificates(c.Certificates, c.People))
	f.Merge("HostKeys", validateHostKeys(c.HostKeys, c.People, s))
	return f.Err()
}

func validateRecording(r settings.Recording) error {
	var f check.Faults
	if r.Commands != settings.CommandsRefused && r.Commands != settings.CommandsRecorded {
		f.Addf("Commands", `write "record", or leave it out: then they are refused`, "%q is not known", r.Commands)
	}
	f.Check("Prefix", prefix(r.Prefix))
	f.Check("KeepDays", check.Between(r.KeepDays, 1, 3650))
	f.Check("MinFreeMiB", check.Between(r.MinFreeMiB, 64, 1<<20))
	return f.Err()
}

func validatePeople(p settings.People, s SSH) error {
	var f check.Faults
	f.Check("Prefix", prefix(p.Prefix))
	f.Check("MaxShrinkPercent", check.Between(p.MaxShrinkPercent, 1, 100))
	switch fault := check.Between(p.MinRSABits, 2048, 16384); {
	case p.MinRSABits == s.MinRSABits: // examined there
	case fault != nil:
		f.Check("MinRSABits", fault)
	case p.MinRSABits < s.MinRSABits:
		f.Addf("MinRSABits", fmt.Sprintf("use at least %d, or lower SSH.MinRSABits", s.MinRSABits),
			"%d lets in keys that sshd refuses", p.MinRSABits)
	}
	for field, age := range map[string]time.Duration{"WarnKeyAge": p.WarnKeyAge, "MaxKeyAge": p.MaxKeyAge} {
		if age != 0 {
			f.Check(field, check.Within(age, 24*time.Hour, 10*365*24*time.Hour))
		}
	}
	if p.MaxKeyAge != 0 && p.WarnKeyAge >= p.MaxKeyAge {
		f.Addf("WarnKeyAge", "warn earlier", "%s is not before MaxKeyAge, %s", p.WarnKeyAge, p.MaxKeyAge)
	}
	seen := map[string]bool{}
	for i, name := range p.Sudo {
		field := fmt.Sprintf("Sudo[%d]", i)
		switch {
		case !nameForm.MatchString(name):
			f.Addf(field, "write it as the object with their keys is called, without .pub", "%q is not the name of a person", name)
		case seen[name]:
			f.Addf(field, "name each person once", "%q is named twice", name)
		}
		seen[name] = true
	}
	return f.Err()
}

func validateCertificates(c settings.Certificates, p settings.People) error {
	var f check.Faults
	for i, line := range c.Authorities {
		f.Check(fmt.Sprintf("Authorities[%d]", i), authority(line, p))
	}
	if c.RevocationKey != "" && !objectForm.MatchString(c.RevocationKey) {
		f.Addf("RevocationKey", "write the key of an object: letters, digits and ._/- up to 255", "%q can't be read", c.RevocationKey)
	}
	return f.Err()
}

// authority examines one line as of authorized_keys, without options.
func authority(line string, p settings.People) *check.Fault {
	const fix = "write the public key of the authority as ssh-keygen writes it, in one line, without options"
	key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	switch {
	case err != nil:
		return &check.Fault{Problem: fmt.Sprintf("%.40q is not a public key", line), Fix: fix}
	case len(options) > 0 || len(strings.TrimSpace(string(rest))) > 0 || strings.ContainsAny(line, "\r\n"):
		return &check.Fault{Problem: fmt.Sprintf("%.40q is more than one public key", line), Fix: fix}
	}
	if _, isCertificate := key.(*ssh.Certificate); isCertificate {
		return &check.Fault{Problem: "is a certificate", Fix: "write the public key of the authority that signed it"}
	}
	switch kind := key.Type(); {
	case kind == ssh.KeyAlgoRSA:
		if bits := rsaBits(key); bits < p.MinRSABits {
			return &check.Fault{Problem: fmt.Sprintf("is an RSA key of %d bits", bits), Fix: fmt.Sprintf("use %d bits or more", p.MinRSABits)}
		}
	case strings.HasPrefix(kind, "ecdsa-sha2-"):
	case !slices.Contains(caSignatureAlgorithms, kind):
		return &check.Fault{Problem: kind + " is not a kind of key that is trusted", Fix: "use Ed25519, ECDSA or RSA"}
	case p.FIPSKeysOnly:
		return &check.Fault{Problem: kind + " is outside FIPS, yet FIPSKeysOnly is set", Fix: "use ECDSA or RSA"}
	}
	return nil
}

func rsaBits(key ssh.PublicKey) int {
	var wire struct {
		Kind string
		E, N []byte
	}
	if ssh.Unmarshal(key.Marshal(), &wire) != nil {
		return 0
	}
	return 8 * len(strings.TrimLeft(string(wire.N), "\x00"))
}

func validateHostKeys(h settings.HostKeys, p settings.People, s SSH) error {
	var f check.Faults
	for i, kind := range h.Kinds {
		field := fmt.Sprintf("Kinds[%d]", i)
		fault := check.OneOf(kind, "ed25519", "rsa", "ecdsa")
		switch {
		case fault != nil:
			f.Check(field, fault)
		case slices.Contains(h.Kinds[:i], kind):
			f.Addf(field, "name each kind once", "%q is named twice", kind)
		case kind == "ecdsa" && !s.AllowECDSAHostKey:
			f.Add(field, `is "ecdsa", which isn't offered`, "set SSH.AllowECDSAHostKey, or leave it out")
		}
	}
	if p.FIPSKeysOnly && len(h.Kinds) == 1 && h.Kinds[0] == "ed25519" {
		f.Add("Kinds", "hold Ed25519 alone, which no client in FIPS mode can verify", `add "rsa", or "ecdsa" with SSH.AllowECDSAHostKey`)
	}
	for _, v := range []struct{ field, given string }{{"Version", h.Version}, {"Next", h.Next}} {
		if !versionForm.MatchString(v.given) {
			f.Addf(v.field, "use letters, digits and ._- up to 64", "%q can't be part of a parameter's name", v.given)
		}
	}
	return f.Err()
}

// prefix accepts what objects' keys may begin with.
func prefix(s string) *check.Fault {
	if !prefixForm.MatchString(s) || strings.Contains(s, "..") {
		return &check.Fault{Problem: fmt.Sprintf("%q is not a prefix", s), Fix: "use letters, digits, ._-= and end it with a slash, such as access/keys/"}
	}
	return nil
}

var (
	nameForm    = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}[a-z0-9]$`) // as the people program has it
	objectForm  = regexp.MustCompile(`^[A-Za-z0-9._/-]{1,255}$`)
	prefixForm  = regexp.MustCompile(`^([A-Za-z0-9._=-]{1,64}/){1,8}$`)
	versionForm = regexp.MustCompile(`^[A-Za-z0-9_.-]{0,64}$`)
)

// choices writes what the bootstrap itself goes by, as shell. Every value is of
// a form in which the shell sees nothing but text.
func (c Config) choices() []byte {
	var b strings.Builder
	flag := func(key string, set bool) { fmt.Fprintf(&b, "%s=%s\n", key, map[bool]string{true: "yes"}[set]) }
	flag("GOLDEN_IMAGE", c.Hardening.GoldenImage)
	flag("UPDATES", !c.Hardening.NoUpdates && !c.Hardening.GoldenImage)
	fmt.Fprintf(&b, "UPDATE_RELEASE=%s\n", c.Hardening.UpdateRelease)
	flag("INTEGRITY", !c.Hardening.NoIntegrityCheck)
	flag("BANS", !c.Hardening.NoBans)
	flag("AUDIT_IMMUTABLE", !c.Hardening.MutableAuditRules)
	flag("SECOND_FACTOR", c.Choices.SecondFactor.AtLogin)
	fmt.Fprintf(&b, "RECORD_PREFIX=%s\n", c.Choices.Recording.Prefix)
	fmt.Fprintf(&b, "RELAY_PORT=%d\n", c.Choices.Relay.Port)
	return []byte(b.String())
}
