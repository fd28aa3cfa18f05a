package people

import (
	"bytes"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"github.com/postern-cdk/postern/internal/host/settings"
)

// Limits of what a person may bring.
const (
	// MaxSize of an object with keys, in bytes.
	MaxSize = 16 << 10
	// MaxKeys that a person may have; those after them are refused.
	MaxKeys = 20
	// DefaultRSABits is the least size of an RSA key where nothing else is chosen:
	// 128 bits of strength by NIST SP 800-57 part 1.
	DefaultRSABits = 3072
	// leastRSABits can't be undercut by choice: sshd's own limit since 9.1 is lower.
	leastRSABits = 2048
)

// Policy says which keys are taken. Its zero value is the default.
type Policy struct {
	// MinRSABits. 0: DefaultRSABits. Below 2048: 2048.
	MinRSABits int
	// FIPSKeysOnly takes ECDSA and RSA only: AL2023's OpenSSL has no approved
	// Ed25519, and keys of tokens are made outside it.
	FIPSKeysOnly bool
}

// PolicyOf the choices.
func PolicyOf(p *settings.People) Policy {
	return Policy{MinRSABits: p.MinRSABits, FIPSKeysOnly: p.FIPSKeysOnly}
}

func (p Policy) rsaBits() int {
	if p.MinRSABits == 0 {
		return DefaultRSABits
	}
	return max(p.MinRSABits, leastRSABits)
}

// kinds of keys that are taken, and whether by FIPSKeysOnly too.
var kinds = map[string]bool{
	ssh.KeyAlgoED25519:    false,
	ssh.KeyAlgoECDSA256:   true,
	ssh.KeyAlgoECDSA384:   true,
	ssh.KeyAlgoECDSA521:   true,
	ssh.KeyAlgoRSA:        true,
	ssh.KeyAlgoSKED25519:  false,
	ssh.KeyAlgoSKECDSA256: false,
}

// Keys reads the content of an object: one key a line, comment lines and empty
// lines between them. The keys come back as "TYPE BASE64", made anew from what was
// understood, so that nothing else of the input ever reaches sshd; each fault names
// its line. Content with no key and no fault is that of a person who logs in with
// certificates only.
func Keys(content []byte, policy Policy) (keys []string, faults []error) {
	if len(content) > MaxSize {
		return nil, []error{fmt.Errorf("the object has %d bytes or more, %d are the most", len(content), MaxSize)}
	}
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(content) || bytes.IndexByte(content, 0) >= 0 {
		return nil, []error{errors.New("the object is not UTF-8 text (PowerShell's > writes UTF-16: use ssh-keygen's own file)")}
	}
	if bytes.HasPrefix(content, []byte("-----BEGIN ")) || bytes.HasPrefix(content, []byte("PuTTY-User-Key-File")) {
		return nil, []error{errors.New("the object is a private key or not in OpenSSH's format: throw a private key away that was put here, and give the .pub file")}
	}
	for i, line := range strings.Split(string(content), "\n") {
		line = strings.Trim(line, " \t\r")
		if line == "" || line[0] == '#' {
			continue
		}
		key, err := Key(line, policy)
		switch {
		case err != nil:
			faults = append(faults, fmt.Errorf("line %d: %w", i+1, err))
		case slices.Contains(keys, key):
		case len(keys) == MaxKeys:
			faults = append(faults, fmt.Errorf("line %d: %d keys are the most that a person may have", i+1, MaxKeys))
		default:
			keys = append(keys, key)
			continue
		}
		// A file of nothing but faults says enough with its first ones.
		if len(faults) == 5 {
			return keys, append(faults, errors.New("the lines after that were not read"))
		}
	}
	return keys, faults
}

// Key reads one line, as Keys does.
func Key(line string, policy Policy) (string, error) {
	fields := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(fields) == 0 {
		return "", errors.New("the line is empty")
	}
	kind := fields[0]
	approved, known := kinds[kind]
	switch {
	case strings.Contains(kind, "-cert-v01@"):
		return "", errors.New("certificates are not taken as keys: name their authority in Certificates")
	case kind == "ssh-dss": // x/crypto's name of it is deprecated
		return "", errors.New("DSA keys are not taken; make an Ed25519 key")
	case !known:
		for _, field := range fields[1:] {
			if _, known := kinds[field]; known {
				return "", fmt.Errorf("the line begins with options (%q), which are not taken; it must begin with the type of the key", Clip(kind))
			}
		}
		return "", fmt.Errorf("%q is no type of key that is taken", Clip(kind))
	case policy.FIPSKeysOnly && !approved:
		return "", fmt.Errorf("%s is not taken by a bastion with FIPSKeysOnly; make an ECDSA key (ssh-keygen -t ecdsa -b 384)", kind)
	case len(fields) == 1:
		return "", fmt.Errorf("there is nothing behind the type %s", kind)
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(fields[1])
	// Decoding passes over line breaks, which a line has none of but \r.
	if err != nil || base64.StdEncoding.EncodeToString(blob) != fields[1] {
		return "", errors.New("what stands behind the type of the key is not base64")
	}
	key, err := ssh.ParsePublicKey(blob)
	if err != nil {
		return "", fmt.Errorf("the key can't be read: %w", err)
	}
	if key.Type() != kind {
		return "", fmt.Errorf("the line says %s, the key in it is %s", kind, Clip(key.Type()))
	}
	if !bytes.Equal(key.Marshal(), blob) {
		return "", errors.New("the key has another form than OpenSSH writes")
	}
	if err := strong(key, blob, policy); err != nil {
		return "", err
	}
	return key.Type() + " " + fields[1], nil
}

// strong says what is wrong with a key that can be read.
func strong(key ssh.PublicKey, blob []byte, policy Policy) error {
	switch key.Type() {
	case ssh.KeyAlgoRSA:
		public, ok := key.(ssh.CryptoPublicKey).CryptoPublicKey().(*rsa.PublicKey)
		if !ok {
			return errors.New("the key is no RSA key")
		}
		return strongRSA(public, policy.rsaBits())
	case ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519:
		var form struct {
			Type   string
			Public []byte
			Rest   []byte `ssh:"rest"`
		}
		if err := ssh.Unmarshal(blob, &form); err != nil {
			return err
		}
		if smallOrder(form.Public) {
			return errors.New("anybody can sign for this key: it is a point of small order")
		}
	}
	switch key.Type() {
	case ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return application(key.Type(), blob)
	}
	return nil
}

// application of a key in a security token: for what is not SSH's, the token's
// owner may have signed things for others.
func application(kind string, blob []byte) error {
	var name string
	if kind == ssh.KeyAlgoSKECDSA256 {
		var form struct{ Type, Curve, Point, Application string }
		if err := ssh.Unmarshal(blob, &form); err != nil {
			return err
		}
		name = form.Application
	} else {
		var form struct{ Type, Public, Application string }
		if err := ssh.Unmarshal(blob, &form); err != nil {
			return err
		}
		name = form.Application
	}
	if !strings.HasPrefix(name, "ssh:") {
		return fmt.Errorf("the key of the security token is for %q; SSH's begin with ssh:, as ssh-keygen makes them", Clip(name))
	}
	return nil
}

func strongRSA(key *rsa.PublicKey, least int) error {
	if bits := key.N.BitLen(); bits < least {
		return fmt.Errorf("the RSA key has %d bits, %d are the least; better make an Ed25519 key", bits, least)
	}
	if key.E < 65537 || key.E%2 == 0 {
		return fmt.Errorf("the RSA key has the exponent %d; 65537 is the least, and it must be odd", key.E)
	}
	for _, prime := range smallPrimes {
		if new(big.Int).Mod(key.N, big.NewInt(prime)).Sign() == 0 {
			return fmt.Errorf("the RSA key is broken: %d divides its modulus", prime)
		}
	}
	root := new(big.Int).Sqrt(key.N)
	if root.Mul(root, root).Cmp(key.N) == 0 {
		return errors.New("the RSA key is broken: its modulus is a square")
	}
	if near(key.N) {
		return errors.New("the RSA key is broken: its two primes lie next to each other")
	}
	if infineon(key.N) {
		return errors.New("the RSA key was made by a chip whose keys can be factored (ROCA, CVE-2017-15361); make another one")
	}
	return nil
}

// near tries some steps of Fermat's way to factor (CVE-2022-26320): good primes
// are never that near to each other.
func near(n *big.Int) bool {
	one := big.NewInt(1)
	a := new(big.Int).Sqrt(n)
	b, root := new(big.Int), new(big.Int)
	for range 64 {
		a.Add(a, one)
		b.Mul(a, a).Sub(b, n)
		// Squares end in 0, 1, 4 or 9 in base 16: most numbers need no root.
		switch b.Bit(3)<<3 | b.Bit(2)<<2 | b.Bit(1)<<1 | b.Bit(0) {
		case 0, 1, 4, 9:
			if root.Sqrt(b).Mul(root, root).Cmp(b) == 0 {
				return true
			}
		}
	}
	return false
}

var smallPrimes = primesBelow(1000)

func primesBelow(limit int64) (primes []int64) {
	for n := int64(2); n < limit; n++ {
		if !slices.ContainsFunc(primes, func(p int64) bool { return n%p == 0 }) {
			primes = append(primes, n)
		}
	}
	return primes
}

// infineon knows the keys of ROCA: modulo each of the first odd primes, the modulus
// is a power of 65537 (Nemec and others, The Return of Coppersmith's Attack, 2017).
// Another key is one with a chance of 2^-27 or so.
func infineon(n *big.Int) bool {
	for _, prime := range smallPrimes {
		if prime == 2 {
			continue
		}
		if prime > 167 {
			break
		}
		residue := new(big.Int).Mod(n, big.NewInt(prime)).Int64()
		power, hit := int64(1), false
		for range prime {
			hit = hit || power == residue
			power = power * 65537 % prime
		}
		if !hit {
			return false
		}
	}
	return true
}

// smallOrder knows the points of Ed25519 whose order divides 8, by their y. A
// signature for one of them can be made by anybody.
func smallOrder(public []byte) bool {
	if len(public) != 32 {
		return true
	}
	y := slices.Clone(public)
	y[31] &= 0x7f
	slices.Reverse(y)
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	value := new(big.Int).Mod(new(big.Int).SetBytes(y), p)
	minus := new(big.Int).Mod(new(big.Int).Neg(value), p)
	for _, v := range []*big.Int{value, minus} {
		if v.Sign() == 0 || v.Cmp(big.NewInt(1)) == 0 || v.Cmp(order8) == 0 {
			return true
		}
	}
	return false
}

// order8 is the y of half of the points of order 8; the others have its negative.
var order8, _ = new(big.Int).SetString("05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826", 16)

// Fingerprint of a key as Keys returns it, as ssh-keygen -l shows it.
func Fingerprint(key string) string {
	_, text, _ := strings.Cut(key, " ")
	blob, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return ""
	}
	public, err := ssh.ParsePublicKey(blob)
	if err != nil {
		return ""
	}
	return ssh.FingerprintSHA256(public)
}
