package identity

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

// parameterLimit is that of the standard tier, which costs nothing.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
const parameterLimit = 4096

// key is a private key as sshd reads it.
type key struct {
	text   []byte
	public ssh.PublicKey
}

// line is the public key as in a .pub file, without a comment.
func (k *key) line() string { return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.public))) }

// parse takes a stored key if it is one of that kind, strong enough, and whole.
func parse(kind, text string) (*key, error) {
	// A value that was put back by hand often lacks the last line break, and sshd
	// takes no key without it.
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")) + "\n"
	raw, err := ssh.ParseRawPrivateKey([]byte(text))
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return nil, errors.New("it has a passphrase, which nobody could type for sshd")
	case err != nil:
		return nil, fmt.Errorf("it is not a private key: %w", err)
	}
	switch private := raw.(type) {
	case *ed25519.PrivateKey:
		if kind != Ed25519 {
			return nil, fmt.Errorf("it is an Ed25519 key where one of kind %s belongs", kind)
		}
		if !bytes.Equal(ed25519.NewKeyFromSeed(private.Seed()), *private) {
			return nil, errors.New("its public half belongs to another key")
		}
	case *rsa.PrivateKey:
		if kind != RSA {
			return nil, fmt.Errorf("it is an RSA key where one of kind %s belongs", kind)
		}
		if bits := private.N.BitLen(); bits < minRSABits {
			return nil, fmt.Errorf("it is an RSA key of %d bits, fewer than %d", bits, minRSABits)
		}
	case *ecdsa.PrivateKey:
		if kind != ECDSA {
			return nil, fmt.Errorf("it is an ECDSA key where one of kind %s belongs", kind)
		}
		if private.Curve != elliptic.P256() {
			return nil, fmt.Errorf("it is on %s, not on P-256", private.Curve.Params().Name)
		}
	default:
		return nil, fmt.Errorf("it is a key of kind %T", raw)
	}
	signer, err := ssh.NewSignerFromKey(raw)
	if err != nil {
		return nil, err
	}
	proof := []byte("postern")
	signature, err := signer.Sign(rand.Reader, proof)
	if err != nil {
		return nil, fmt.Errorf("it can't sign: %w", err)
	}
	if err := signer.PublicKey().Verify(proof, signature); err != nil {
		return nil, errors.New("what it signs does not verify: it is damaged")
	}
	return &key{text: []byte(text), public: signer.PublicKey()}, nil
}

// generate makes a key by the host's own ssh-keygen, in a folder that only root
// may enter.
func generate(ctx context.Context, keygen, dir, kind string) (*key, error) {
	arguments := map[string][]string{
		Ed25519: {"-t", "ed25519"},
		RSA:     {"-t", "rsa", "-b", fmt.Sprint(minRSABits)},
		ECDSA:   {"-t", "ecdsa", "-b", "256"},
	}[kind]
	temp, err := os.MkdirTemp(dir, "keygen-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	file := filepath.Join(temp, "key")
	command := exec.CommandContext(ctx, keygen, append(arguments, "-q", "-N", "", "-C", "", "-f", file)...)
	if said, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s makes no key of kind %s: %w: %s", keygen, kind, err, bytes.TrimSpace(said))
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	made, err := parse(kind, string(text))
	if err != nil {
		return nil, fmt.Errorf("%s made a key of kind %s, but %w", keygen, kind, err)
	}
	if len(made.text) > parameterLimit {
		return nil, fmt.Errorf("a key of kind %s has %d bytes, and a parameter takes %d", kind, len(made.text), parameterLimit)
	}
	return made, nil
}
