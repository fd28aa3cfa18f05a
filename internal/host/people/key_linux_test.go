package people

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
)

// rsaLine is a key with a modulus of the test's choice.
func rsaLine(n *big.Int, e int64) string {
	blob := ssh.Marshal(struct {
		Type string
		E, N *big.Int
	}{ssh.KeyAlgoRSA, big.NewInt(e), n})
	return ssh.KeyAlgoRSA + " " + base64.StdEncoding.EncodeToString(blob)
}

func line(kind string, form any) string {
	return kind + " " + base64.StdEncoding.EncodeToString(ssh.Marshal(form))
}

func TestTokens(t *testing.T) {
	token, err := ecdh.P256().GenerateKey(rand.Reader)
	require.NoError(t, err)
	point := token.PublicKey().Bytes()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for application, good := range map[string]bool{"ssh:": true, "ssh:bastion": true, "https://example.com": false} {
		for _, key := range []string{
			line(ssh.KeyAlgoSKED25519, struct {
				Type        string
				Key         []byte
				Application string
			}{ssh.KeyAlgoSKED25519, public, application}),
			line(ssh.KeyAlgoSKECDSA256, struct {
				Type, Curve string
				Point       []byte
				Application string
			}{ssh.KeyAlgoSKECDSA256, "nistp256", point, application}),
		} {
			_, err := Key(key, Policy{})
			assert.Equal(t, good, err == nil, "%s %v", key, err)
			_, err = Key(key, Policy{FIPSKeysOnly: true})
			assert.ErrorContains(t, err, "FIPSKeysOnly")
		}
	}
}

func TestFIPSKeysOnly(t *testing.T) {
	policy := Policy{FIPSKeysOnly: true}
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	_, err = Key(lineOf(&key.PublicKey), policy)
	assert.NoError(t, err)
	_, err = Key(keyOf("x"), policy)
	assert.ErrorContains(t, err, "FIPSKeysOnly")
}

func TestWeakRSA(t *testing.T) {
	key := func(bits int) *big.Int {
		private, err := rsa.GenerateKey(rand.Reader, bits)
		require.NoError(t, err)
		return private.N
	}
	prime := func(bits int) *big.Int {
		p, err := rand.Prime(rand.Reader, bits)
		require.NoError(t, err)
		return p
	}
	good := key(3072)
	p := prime(1536)
	next := new(big.Int).Add(p, big.NewInt(2))
	for !next.ProbablyPrime(20) {
		next.Add(next, big.NewInt(2))
	}
	// Made as the chips did: 65537^a modulo the product of the first primes.
	primorial := big.NewInt(1)
	for _, prime := range primesBelow(168) {
		primorial.Mul(primorial, big.NewInt(prime))
	}
	residue := new(big.Int).Exp(big.NewInt(65537), big.NewInt(123456789), primorial)
	roca := new(big.Int).Mul(new(big.Int).Rsh(good, uint(primorial.BitLen())), primorial)
	roca.Add(roca, residue)
	for slices.ContainsFunc(smallPrimes, func(p int64) bool { return new(big.Int).Mod(roca, big.NewInt(p)).Sign() == 0 }) {
		roca.Add(roca, primorial)
	}
	for name, c := range map[string]struct {
		line   string
		policy Policy
		says   string
	}{
		"good":               {rsaLine(good, 65537), Policy{}, ""},
		"short":              {rsaLine(key(2048), 65537), Policy{}, "2048 bits, 3072 are the least"},
		"short by choice":    {rsaLine(key(2048), 65537), Policy{MinRSABits: 2048}, ""},
		"choice has a floor": {rsaLine(key(1024), 65537), Policy{MinRSABits: 512}, "2048 are the least"},
		"small exponent":     {rsaLine(good, 3), Policy{}, "exponent 3"},
		"even exponent":      {rsaLine(good, 65538), Policy{}, "exponent"},
		"even modulus":       {rsaLine(new(big.Int).Add(good, big.NewInt(1)), 65537), Policy{}, ""},
		"small factor":       {rsaLine(new(big.Int).Mul(good, big.NewInt(7)), 65537), Policy{}, "7 divides"},
		"square":             {rsaLine(new(big.Int).Mul(p, p), 65537), Policy{MinRSABits: 2048}, "a square"},
		"near primes":        {rsaLine(new(big.Int).Mul(p, next), 65537), Policy{MinRSABits: 2048}, "next to each other"},
		"ROCA":               {rsaLine(roca, 65537), Policy{MinRSABits: 2048}, "ROCA"},
		"huge":               {rsaLine(new(big.Int).Lsh(good, 20000), 65537), Policy{}, "can't be read"},
	} {
		_, err := Key(c.line, c.policy)
		if name == "even modulus" {
			assert.Error(t, err, name)
			continue
		}
		if c.says == "" {
			assert.NoError(t, err, name)
		} else {
			assert.ErrorContains(t, err, c.says, name)
		}
	}
}

// A signature for the neutral point that Go's own ed25519 takes: whoever put such a
// key there let everybody in.
func TestPointsOfSmallOrder(t *testing.T) {
	identity := make([]byte, 32)
	identity[0] = 1
	forged := append(bytes.Clone(identity), make([]byte, 32)...)
	require.True(t, ed25519.Verify(identity, []byte("any message"), forged))
	for _, point := range []string{
		"0100000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	} {
		blob, err := hex.DecodeString(point)
		require.NoError(t, err)
		_, err = Key(lineOf(ed25519.PublicKey(blob)), Policy{})
		assert.ErrorContains(t, err, "small order", point)
	}
}

func TestRefusedLines(t *testing.T) {
	good := keyOf("good")
	_, blob, _ := strings.Cut(good, " ")
	raw, err := base64.StdEncoding.DecodeString(blob)
	require.NoError(t, err)
	longer := base64.StdEncoding.EncodeToString(append(raw, 0))
	negative := line(ssh.KeyAlgoRSA, struct {
		Type string
		E    *big.Int
		N    []byte
	}{ssh.KeyAlgoRSA, big.NewInt(65537), bytes.Repeat([]byte{0xff}, 400)})
	padded := line(ssh.KeyAlgoRSA, struct {
		Type string
		E    *big.Int
		N    []byte
	}{ssh.KeyAlgoRSA, big.NewInt(65537), append([]byte{0, 0, 0}, bytes.Repeat([]byte{0xf1}, 400)...)})
	for name, c := range map[string]struct{ line, says string }{
		"command":          {`command="/bin/sh" ` + good, "begins with options"},
		"option":           {`restrict,pty ` + good, "begins with options"},
		"authority":        {`cert-authority ` + good, "begins with options"},
		"environment":      {`environment="LD_PRELOAD=x" ` + good, "begins with options"},
		"quoted space":     {`from="10.0.0.1, x" ` + good, "begins with options"},
		"certificate":      {"ssh-ed25519-cert-v01@openssh.com " + blob, "certificates are not taken"},
		"DSA":              {"ssh-dss AAAAB3NzaC1kc3MAAACBAP", "DSA"},
		"other type":       {"ssh-rsa " + blob, "the line says ssh-rsa"},
		"unknown":          {"ssh-foo AAAA", "no type of key"},
		"alone":            {"ssh-ed25519", "nothing behind"},
		"trailing bytes":   {"ssh-ed25519 " + longer, "can't be read"},
		"half":             {good[:61], "not base64"},
		"url alphabet":     {"ssh-ed25519 " + strings.ReplaceAll(blob, "A", "-"), "not base64"},
		"no padding":       {strings.TrimRight("ssh-ed25519 "+longer, "="), "base64"},
		"text":             {"hello world", "no type of key"},
		"negative modulus": {negative, ""},
		"padded modulus":   {padded, ""},
	} {
		_, err := Key(c.line, Policy{})
		assert.ErrorContains(t, err, c.says, name)
	}
}

func TestContents(t *testing.T) {
	many := ""
	for i := range MaxKeys + 3 {
		many += keyOf(strings.Repeat("k", i+1)) + "\n"
	}
	for name, c := range map[string]struct {
		content string
		keys    int
		says    string
	}{
		"empty":           {"", 0, ""},
		"comments":        {"# a\n\n#b", 0, ""},
		"twice":           {keyOf("a") + "\n" + keyOf("a"), 1, ""},
		"one bad":         {keyOf("a") + "\nbad\n" + keyOf("b"), 2, "line 2: "},
		"many":            {many, MaxKeys, "line 21: 20 keys are the most"},
		"nothing but bad": {strings.Repeat("bad\n", 1000), 0, "the lines after that were not read"},
		"large":           {strings.Repeat("#", MaxSize+1), 0, "16384 are the most"},
		"UTF-16":          {"\xff\xfes\x00s\x00h\x00", 0, "not UTF-8"},
		"NUL":             {keyOf("a") + " \x00", 0, "not UTF-8"},
		"private":         {"-----BEGIN OPENSSH PRIVATE KEY-----\nx", 0, "private key"},
		"carriage return": {keyOf("a") + "\rssh-ed25519 AAAA", 0, "not base64"},
		"line separator":  {keyOf("a") + "\u2028" + keyOf("b"), 0, "not base64"},
	} {
		keys, faults := Keys([]byte(c.content), Policy{})
		assert.Len(t, keys, c.keys, name)
		if c.says == "" {
			assert.Empty(t, faults, name)
			continue
		}
		var all []string
		for _, fault := range faults {
			all = append(all, fault.Error())
		}
		assert.Contains(t, strings.Join(all, "\n"), c.says, name)
	}
}

func FuzzName(f *testing.F) {
	for _, seed := range []string{"public-keys/alice.pub", "public-keys/../x.pub", "public-keys/a\n.pub", "", "public-keys/.pub"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, key string) {
		name, err := Name(key, "public-keys/")
		if err != nil {
			return
		}
		if "public-keys/"+name+".pub" != key {
			t.Fatalf("%q became %q", key, name)
		}
		if len(name) > 32 || strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }) ||
			name[0] < 'a' || strings.HasSuffix(name, "-") || name == "root" {
			t.Fatalf("%q was taken", name)
		}
	})
}

func FuzzKeys(f *testing.F) {
	for _, seed := range []string{keyOf("a") + " c\n", "# x\r\n" + keyOf("b"), `command="x" ` + keyOf("c"), "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ==", "\xef\xbb\xbf"} {
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, content []byte, fips bool) {
		policy := Policy{FIPSKeysOnly: fips}
		keys, faults := Keys(content, policy)
		if len(keys) > MaxKeys || len(faults) > 6 {
			t.Fatalf("%d keys, %d faults", len(keys), len(faults))
		}
		for _, key := range keys {
			if strings.ContainsAny(key, "\n\r\x00\"#,") || strings.Count(key, " ") != 1 {
				t.Fatalf("%q", key)
			}
			// What sshd reads is one key without options, the same key.
			public, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(key + " name\n"))
			if err != nil || len(options) > 0 || len(rest) > 0 || strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))) != key {
				t.Fatalf("%q: %v", key, err)
			}
			again, faults := Keys([]byte(key), policy)
			if len(faults) > 0 || len(again) != 1 || again[0] != key {
				t.Fatalf("%q is not taken again: %v", key, faults)
			}
		}
	})
}

func FuzzRevoked(f *testing.F) {
	f.Add(emptyRevoked())
	f.Add(append(emptyRevoked(), 2, 0, 0, 0, 1, 0))
	f.Fuzz(func(_ *testing.T, list []byte) { _ = checkRevoked(list) })
}
