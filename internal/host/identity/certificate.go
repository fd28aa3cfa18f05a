package identity

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// renewBefore is when an alarm asks for a new certificate.
const renewBefore = 14 * 24 * time.Hour

// certificate takes a stored host certificate for public if sshd and clients
// would take it now.
func certificate(text string, public ssh.PublicKey, now time.Time) (*ssh.Certificate, error) {
	parsed, _, _, _, err := ssh.ParseAuthorizedKey([]byte(text)) //nolint:dogsled // comment, options and rest say nothing here
	if err != nil {
		return nil, fmt.Errorf("it is not a certificate: %w", err)
	}
	cert, ok := parsed.(*ssh.Certificate)
	switch {
	case !ok:
		return nil, errors.New("it is a bare public key: put the signed ...-cert.pub")
	case cert.CertType != ssh.HostCert:
		return nil, errors.New("it is a certificate for a person: sign with ssh-keygen -h")
	case !bytes.Equal(cert.Key.Marshal(), public.Marshal()):
		return nil, fmt.Errorf("it is for the key %s, and the host has %s", ssh.FingerprintSHA256(cert.Key), ssh.FingerprintSHA256(public))
	case len(cert.ValidPrincipals) == 0:
		return nil, errors.New("it holds for every host: sign with -n and the names of this one")
	case cert.Signature.Format == ssh.KeyAlgoRSA:
		return nil, fmt.Errorf("it is signed by %s, which clients refuse: sign with -t rsa-sha2-512", cert.Signature.Format)
	}
	checker := ssh.CertChecker{Clock: func() time.Time { return now }}
	if err := checker.CheckCert(cert.ValidPrincipals[0], cert); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "ssh: "))
	}
	return cert, nil
}

// expires is when the certificate ends, or nil.
func expires(cert *ssh.Certificate) *time.Time {
	if cert.ValidBefore == ssh.CertTimeInfinity {
		return nil
	}
	at := time.Unix(int64(cert.ValidBefore), 0).UTC() //nolint:gosec // CheckCert refuses what does not fit
	return &at
}
