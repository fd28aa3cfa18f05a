package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"golang.org/x/crypto/ssh"

	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/settings"
)

// Options of [Run].
type Options struct {
	// Root is "" but in tests.
	Root string
	// Parameters is Parameter Store. nil: that of the region.
	Parameters Parameters
	// Keygen makes keys. "": ssh-keygen.
	Keygen string
	// Now is the clock. nil: the host's.
	Now func() time.Time

	pause time.Duration
	at    func(step string)
}

// Kept is what the host remembers of its last success.
type Kept struct {
	At time.Time `json:"at"`
	// Keys are the public keys by the parameter that has the private one.
	Keys map[string]string `json:"keys"`
}

const keptFile = settings.StateDir + "/host-keys.json"

// ReadKept is what the last successful [Run] kept. Where none was successful, the
// error is os.ErrNotExist.
func ReadKept(root string) (Kept, error) {
	var kept Kept
	text, err := os.ReadFile(filepath.Join(root, keptFile))
	if err != nil {
		return kept, err
	}
	if err := json.Unmarshal(text, &kept); err != nil {
		return kept, fmt.Errorf("%s: %w", keptFile, err)
	}
	return kept, nil
}

// Published reads the parameter with the public keys.
func Published(ctx context.Context, parameterPath string, parameters Parameters) (string, error) {
	name := KnownHostsParameter(parameterPath)
	found, err := store{api: parameters, pause: firstPause}.get(ctx, name)
	if err != nil {
		return "", err
	}
	parameter, ok := found[name]
	if !ok {
		return "", fmt.Errorf("the parameter %s doesn't exist", name)
	}
	return aws.ToString(parameter.Value), nil
}

// Run gives sshd the host keys that are kept, and keeps those that aren't yet.
// changed tells that sshd must be told to read its keys again. An error means that
// a promise does not hold; the alarm is written then, and the keys that could not
// be had are as they were.
func Run(ctx context.Context, s settings.Settings, o Options, log *event.Log) (changed bool, err error) {
	r := &run{Settings: s, Options: o, log: log}
	if r.Keygen == "" {
		r.Keygen = "ssh-keygen"
	}
	if r.Now == nil {
		r.Now = time.Now
	}
	if r.pause == 0 {
		r.pause = firstPause
	}
	if r.at == nil {
		r.at = func(string) {}
	}
	if s.ParameterPath == "" {
		log.Note("the host keys live as long as this instance: there is no path in Parameter Store to keep them")
		return false, nil
	}
	if r.slots, err = slots(s); err != nil {
		r.fault("host-keys-not-kept", err)
		return false, errors.Join(r.faults...)
	}
	unlock, err := lock(filepath.Join(o.Root, settings.RunDir, "identity.lock"))
	if err != nil {
		r.fault("host-keys-not-kept", err)
		return false, errors.Join(r.faults...)
	}
	defer unlock()
	r.do(ctx)
	return r.changed, errors.Join(r.faults...)
}

type run struct {
	settings.Settings
	Options
	log     *event.Log
	store   store
	slots   []slot
	changed bool
	faults  []error
}

func (r *run) fault(alarm string, err error, pairs ...any) {
	r.faults = append(r.faults, err)
	r.log.Alarm(alarm, err.Error(), pairs...)
}

func (r *run) path(name string) string { return filepath.Join(r.Root, name) }

func (r *run) do(ctx context.Context) {
	if err := os.MkdirAll(r.path(settings.StateDir), 0o700); err != nil {
		r.fault("host-keys-not-kept", err)
		return
	}
	r.tidy()
	known, err := ReadKept(r.Root)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		r.log.Note("what was kept the last time can't be read", "error", err)
	}
	stored, err := r.fetch(ctx)
	if err != nil {
		if r.have(known) {
			r.log.Note("Parameter Store could not be read; the host has the keys that were kept the last time",
				"at", known.At, "error", err)
			return
		}
		r.fault("host-keys-not-kept", fmt.Errorf("the kept host keys could not be read, so that people may see a changed key: %w", err))
		return
	}
	r.at("fetched")

	kept := Kept{At: r.Now().UTC(), Keys: map[string]string{}}
	keys := r.keys(ctx, stored, known)
	fingerprints := map[string]string{}
	for i, slot := range r.slots {
		if keys[i] == nil {
			// The host may still have what can't be had from elsewhere.
			if here := r.local(slot); here != nil && here.line() == known.Keys[slot.parameter] {
				kept.Keys[slot.parameter] = here.line()
			}
			continue
		}
		if err := r.write(slot, keys[i]); err != nil {
			r.fault("host-keys-not-kept", fmt.Errorf("the host key %s could not be written: %w", slot.name(), err))
			continue
		}
		kept.Keys[slot.parameter] = keys[i].line()
		fingerprints[slot.name()] = ssh.FingerprintSHA256(keys[i].public)
	}
	r.forgetNext()
	if r.HostKeys.Certificate {
		r.certificates(stored, keys)
	}
	// A shorter list would take a good line away from people.
	if len(kept.Keys) == len(r.slots) {
		r.publish(ctx, stored, kept)
	}
	text, err := json.Marshal(kept)
	if err == nil {
		_, err = place(r.path(keptFile), append(text, '\n'), 0o600)
	}
	if err != nil {
		r.log.Note("what is kept could not be noted down: the next run needs Parameter Store", "error", err)
	}
	r.at("noted")
	r.log.Event("host-keys", "changed", r.changed, "keys", fingerprints)
}

// tidy deletes what a run that was killed left behind: keys that nobody took.
func (r *run) tidy() {
	for _, pattern := range []string{"/etc/ssh/.*.postern-new", settings.StateDir + "/keygen-*"} {
		left, _ := filepath.Glob(r.path(pattern))
		for _, path := range left {
			_ = os.RemoveAll(path)
		}
	}
}

// fetch reads all that the host has in Parameter Store, by one request.
func (r *run) fetch(ctx context.Context) (map[string]types.Parameter, error) {
	if r.Parameters == nil {
		var err error
		if r.Parameters, err = NewParameters(ctx, r.Region); err != nil {
			return nil, err
		}
	}
	r.store = store{api: r.Parameters, pause: r.pause}
	names := []string{KnownHostsParameter(r.ParameterPath)}
	for _, slot := range r.slots {
		names = append(names, slot.parameter)
		if r.HostKeys.Certificate && !slot.next {
			names = append(names, CertificateParameter(r.ParameterPath, slot.kind))
		}
	}
	return r.store.get(ctx, names...)
}

// local is the key that the host has, or nil.
func (r *run) local(slot slot) *key {
	text, err := os.ReadFile(r.path(slot.file()))
	if err != nil {
		return nil
	}
	here, err := parse(slot.kind, string(text))
	if err != nil {
		return nil
	}
	return here
}

// have tells whether the host has every key that it kept the last time.
func (r *run) have(known Kept) bool {
	for _, slot := range r.slots {
		if here := r.local(slot); here == nil || here.line() != known.Keys[slot.parameter] {
			return false
		}
	}
	return true
}

// keys are those that the slots shall have; nil where there is a fault.
func (r *run) keys(ctx context.Context, stored map[string]types.Parameter, known Kept) []*key {
	keys := make([]*key, len(r.slots))
	faults := make([]error, len(r.slots))
	var made sync.WaitGroup
	for i, slot := range r.slots {
		if parameter, ok := stored[slot.parameter]; ok {
			keys[i], faults[i] = r.take(slot, parameter)
			continue
		}
		made.Go(func() { keys[i], faults[i] = r.keep(ctx, slot, known) })
	}
	made.Wait()
	for i, err := range faults {
		if err != nil {
			r.fault("host-keys-not-kept", err, "kind", r.slots[i].name())
		}
	}
	return keys
}

// take uses a stored key.
func (r *run) take(slot slot, parameter types.Parameter) (*key, error) {
	if parameter.Type != types.ParameterTypeSecureString {
		r.log.Alarm("host-key-not-encrypted", fmt.Sprintf("the parameter %s is a %s and not a SecureString: "+
			"whoever may read parameters has the key. Name another HostKeys.Version", slot.parameter, parameter.Type))
	}
	taken, err := parse(slot.kind, aws.ToString(parameter.Value))
	if err != nil {
		return nil, fmt.Errorf("the parameter %[1]s is neither used nor changed: %[2]w. Put a good copy back by "+
			"aws ssm put-parameter --name %[1]s --type SecureString --overwrite --value file://KEY, "+
			"or name another HostKeys.Version, which makes new keys", slot.parameter, err)
	}
	return taken, nil
}

// keep puts a key that isn't stored yet: the one that was, where somebody deleted
// the parameter, otherwise a new one. Where another instance was faster, it is
// that one's.
func (r *run) keep(ctx context.Context, slot slot, known Kept) (*key, error) {
	mine := r.local(slot)
	if mine == nil || mine.line() != known.Keys[slot.parameter] {
		var err error
		if mine, err = generate(ctx, r.Keygen, r.path(settings.StateDir), slot.kind); err != nil {
			return nil, err
		}
		r.at("made " + slot.name())
	} else {
		r.log.Note("the parameter "+slot.parameter+" is gone: the key is put back from this host", "kind", slot.name())
	}
	input := &ssm.PutParameterInput{
		Name:        aws.String(slot.parameter),
		Value:       aws.String(string(mine.text)),
		Type:        types.ParameterTypeSecureString,
		Tier:        types.ParameterTierStandard,
		Description: aws.String("Host key of a Postern bastion. Never changed; another HostKeys.Version makes another one."),
	}
	if r.KeyID != "" {
		input.KeyId = aws.String(r.KeyID)
	}
	exists, err := r.store.add(ctx, input)
	if err != nil {
		return nil, fmt.Errorf("the new host key %s could not be put: %w", slot.parameter, err)
	}
	r.at("put " + slot.name())
	if !exists {
		return mine, nil
	}
	theirs, err := r.store.wait(ctx, slot.parameter)
	if err != nil {
		return nil, fmt.Errorf("the host key %s, which another instance put, could not be read: %w", slot.parameter, err)
	}
	return r.take(slot, theirs)
}

// write gives sshd a key. Where the public file is of another key than the
// private one sshd uses neither, so that it is gone in between.
func (r *run) write(slot slot, wanted *key) error {
	file := r.path(slot.file())
	here := r.local(slot)
	if here == nil || here.line() != wanted.line() {
		if _, err := remove(file + ".pub"); err != nil {
			return err
		}
		r.at("unpublished " + slot.name())
	}
	private, err := place(file, wanted.text, 0o600)
	if err != nil {
		return err
	}
	r.changed = r.changed || private
	r.at("private " + slot.name())
	if _, err := place(file+".pub", []byte(wanted.line()+"\n"), 0o644); err != nil {
		return err
	}
	r.at("public " + slot.name())
	return nil
}

// forgetNext deletes the keys of a next version that isn't one any more.
func (r *run) forgetNext() {
	wanted := map[string]bool{}
	for _, slot := range r.slots {
		wanted[slot.file()] = true
	}
	for _, kind := range Kinds() {
		file := slot{kind: kind, next: true}.file()
		if wanted[file] {
			continue
		}
		for _, name := range []string{file, file + ".pub"} {
			gone, err := remove(r.path(name))
			if err != nil {
				r.log.Note("the key of a version that is over could not be deleted", "file", name, "error", err)
			}
			r.changed = r.changed || gone
		}
	}
}

// publish puts the public keys where people can read them.
func (r *run) publish(ctx context.Context, stored map[string]types.Parameter, kept Kept) {
	var lines strings.Builder
	for _, slot := range r.slots {
		fmt.Fprintf(&lines, "%s %s\n", Alias(r.ParameterPath), kept.Keys[slot.parameter])
	}
	// Parameter Store may drop the last line break.
	text, name := strings.TrimSuffix(lines.String(), "\n"), KnownHostsParameter(r.ParameterPath)
	if parameter, ok := stored[name]; ok && strings.TrimSpace(aws.ToString(parameter.Value)) == text {
		return
	}
	err := r.store.set(ctx, &ssm.PutParameterInput{
		Name:        aws.String(name),
		Value:       aws.String(text),
		Type:        types.ParameterTypeString,
		Tier:        types.ParameterTierStandard,
		Description: aws.String("Public host keys of a Postern bastion, for ~/.ssh/known_hosts."),
	})
	if err != nil {
		r.fault("known-hosts-not-published", fmt.Errorf("the public host keys could not be put to %s: %w", name, err))
		return
	}
	r.at("published")
}

// certificates gives sshd the certificates that were signed for its keys. One
// that nobody would take is worse than none: people would be refused, where
// without it they are asked for the key that they know.
func (r *run) certificates(stored map[string]types.Parameter, keys []*key) {
	for i, slot := range r.slots {
		if slot.next || keys[i] == nil {
			continue
		}
		name, file := CertificateParameter(r.ParameterPath, slot.kind), r.path(slot.file()+"-cert.pub")
		parameter, ok := stored[name]
		text := strings.TrimSpace(aws.ToString(parameter.Value)) + "\n"
		if !ok {
			r.log.Note(fmt.Sprintf("there is no certificate at %s yet: sign the %s key of %s by ssh-keygen -s CA -h -I %s -n %s,ADDRESS -V +52w KEY.pub, and put it there",
				// ssh compares the names of a certificate in lower case.
				name, slot.kind, KnownHostsParameter(r.ParameterPath), Alias(r.ParameterPath), strings.ToLower(Alias(r.ParameterPath))), "kind", slot.kind)
		}
		var err error
		var cert *ssh.Certificate
		if ok {
			if cert, err = certificate(text, keys[i].public, r.Now()); err != nil {
				r.fault("host-certificate", fmt.Errorf("the certificate at %s is not used: %w", name, err), "kind", slot.kind)
			}
		}
		if cert == nil {
			here, err := os.ReadFile(file)
			if err != nil {
				continue
			}
			if cert, err = certificate(string(here), keys[i].public, r.Now()); err != nil {
				gone, _ := remove(file)
				r.changed = r.changed || gone
				continue
			}
			text = string(here)
		}
		wrote, err := place(file, []byte(text), 0o644)
		if err != nil {
			r.fault("host-certificate", err, "kind", slot.kind)
			continue
		}
		r.changed = r.changed || wrote
		if until := expires(cert); until != nil && until.Sub(r.Now()) < renewBefore {
			r.log.Alarm("host-certificate", fmt.Sprintf("the certificate at %s ends %s: sign the key again", name, until.Format(time.RFC3339)), "kind", slot.kind)
		}
		r.at("certificate " + slot.name())
	}
}
