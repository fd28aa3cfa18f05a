package people

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/crypto/ssh"

	"github.com/postern-cdk/postern/internal/host/atomic"
)

// Where sshd finds what it needs for certificates: TrustedUserCAKeys and RevokedKeys.
const (
	AuthoritiesFile = "/etc/postern/authorities.pub"
	RevokedFile     = "/etc/postern/revoked.krl"
)

// maxRevoked is the size of a revocation list, in bytes.
const maxRevoked = 4 << 20

// authorities writes those that were chosen. One that can't be read is left out:
// the others must still work.
func (r *run) authorities() error {
	var faults []error
	var text strings.Builder
	for i, line := range r.settings.Certificates.Authorities {
		key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil || len(options) > 0 || len(bytes.TrimSpace(rest)) > 0 {
			faults = append(faults, fmt.Errorf("authority %d is not one public key without options", i+1))
			continue
		}
		text.Write(ssh.MarshalAuthorizedKey(key))
	}
	path := r.path(AuthoritiesFile)
	had, err := os.ReadFile(path)
	switch {
	case text.Len() == 0 && err != nil:
	case text.Len() == 0:
		faults = append(faults, atomic.Remove(path))
	case err != nil || string(had) != text.String():
		faults = append(faults, atomic.Write(path, []byte(text.String()), 0o644))
	}
	return errors.Join(faults...)
}

// revocation places the list of revoked keys. sshd refuses everybody where the file
// that it was told can't be read or is broken: there always is one, and a new one is
// looked at first.
func (r *run) revocation(ctx context.Context) {
	key := r.settings.Certificates.RevocationKey
	if key == "" {
		return
	}
	path := r.path(RevokedFile)
	place := func(list []byte) error { return atomic.Write(path, list, 0o644) }
	if had, err := os.ReadFile(path); err != nil || checkRevoked(had) != nil {
		r.state.Revoked = ""
		if err := place(emptyRevoked()); err != nil {
			r.fail("people-revocation-failed", err)
			return
		}
	}
	in := &s3.GetObjectInput{Bucket: &r.settings.PeopleBucket, Key: &key}
	if r.state.Revoked != "" {
		in.IfNoneMatch = &r.state.Revoked
	}
	list, version, etag, err := r.source.get(ctx, in, maxRevoked)
	if errors.Is(err, errUnchanged) {
		return
	}
	if err == nil {
		err = r.checkRevoked(ctx, list)
	}
	if err == nil {
		r.tell(Entry{Action: KeyChanged, Reason: fmt.Sprintf("a new revocation list of %d bytes", len(list)), Object: key, ETag: etag, Version: version})
		err = place(list)
	}
	if err != nil {
		r.fail("people-revocation-failed", fmt.Errorf("s3://%s/%s; the last good list stays: %w", r.settings.PeopleBucket, key, err))
		return
	}
	r.state.Revoked = etag
}

// checkRevoked asks ssh-keygen too, which reads a list as sshd does.
func (r *run) checkRevoked(ctx context.Context, list []byte) error {
	if err := checkRevoked(list); err != nil {
		return err
	}
	program, err := exec.LookPath("ssh-keygen")
	if err != nil {
		r.log.Note("there is no ssh-keygen: the revocation list was only looked at by its frame")
		return nil
	}
	path := r.path(RevokedFile) + ".postern-check"
	if err := atomic.WriteSoon(path, list, 0o600); err != nil {
		return err
	}
	defer func() { _ = os.Remove(path) }()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, program, "-Q", "-l", "-f", path).CombinedOutput(); err != nil {
		return fmt.Errorf("ssh-keygen can't read it: %s", Clip(string(bytes.TrimSpace(out))))
	}
	return nil
}

// The form of a revocation list, from PROTOCOL.krl of OpenSSH.
const (
	revokedMagic   = "SSHKRL\n\x00"
	revokedVersion = 1
	// revokedFixed: magic, format, version of the list, time, flags.
	revokedFixed = len(revokedMagic) + 4 + 8 + 8 + 8
)

var errRevoked = errors.New("this is no revocation list as ssh-keygen -k makes it")

// checkRevoked goes through the frame of a list.
func checkRevoked(list []byte) error {
	if len(list) < revokedFixed || !bytes.HasPrefix(list, []byte(revokedMagic)) ||
		binary.BigEndian.Uint32(list[len(revokedMagic):]) != revokedVersion {
		return errRevoked
	}
	rest := list[revokedFixed:]
	next := func() bool {
		if len(rest) < 4 {
			return false
		}
		size := int64(binary.BigEndian.Uint32(rest))
		if size > int64(len(rest)-4) {
			return false
		}
		rest = rest[4+size:]
		return true
	}
	for range 2 { // what is reserved, and the comment
		if !next() {
			return errRevoked
		}
	}
	for len(rest) > 0 {
		rest = rest[1:] // the section's type
		if !next() {
			return errRevoked
		}
	}
	return nil
}

// emptyRevoked is a list that revokes nothing.
func emptyRevoked() []byte {
	list := append([]byte(revokedMagic), 0, 0, 0, revokedVersion)
	return append(list, make([]byte, 8+8+8+4+4)...)
}
