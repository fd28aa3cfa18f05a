package people

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/postern-cdk/postern/internal/host/atomic"
	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/settings"
)

const (
	lockFile   = settings.RunDir + "/people.lock"
	statusFile = settings.RunDir + "/people.json"
	// lockWait is how long a run waits for another one.
	lockWait = 5 * time.Second
	// DefaultMaxShrinkPercent where the choice is 0.
	DefaultMaxShrinkPercent = 50
	// maxRefused objects that are remembered, so that they are told once.
	maxRefused = 1000
)

// ErrBusy says that another run is at work.
var ErrBusy = errors.New("another run of people is at work")

// Changelog takes lines of JSON before what they say is done.
type Changelog interface {
	// Append one or more lines, each with its line break. When it returns they are in
	// the record.
	Append(lines []byte) error
}

// Options of a run.
type Options struct {
	// Root is where the host's file system begins. "" but in tests.
	Root string
	// Client of S3. nil: NewClient's.
	Client Client
	// Changelog is required: nothing changes that nobody could read about.
	Changelog Changelog
	// End the recorded sessions of a person, and all that runs in them. nil: there is
	// no recorder.
	End func(ctx context.Context, name string) error
	// Forget what else is kept for a person who was removed, such as the second
	// factor: who has the name next is another person. nil: nothing is.
	Forget func(ctx context.Context, name string) error
	// AcceptRemovals lets this one run remove as many people as the listing lacks,
	// against MaxShrinkPercent and an empty listing: an operator has looked.
	AcceptRemovals bool

	// What tests put in place of the real ones.
	clock  func() time.Time
	killer func(ctx context.Context, uids []int) (stuck map[int]error)
	owners owners
	pause  func(step string)
}

// Status of the last run, in /run/postern/people.json.
type Status struct {
	Time time.Time `json:"time"`
	// Success is when a run last was without any fault; zero: never since the boot.
	Success      time.Time `json:"success"`
	People       int       `json:"people"`
	Refused      int       `json:"refused"`
	Removing     int       `json:"removing"`
	Milliseconds int64     `json:"milliseconds"`
	Requests     int64     `json:"requests"`
	Faults       []string  `json:"faults,omitempty"`
}

// ReadStatus of the last run below root.
func ReadStatus(root string) (Status, error) {
	var s Status
	text, err := os.ReadFile(filepath.Join(root, statusFile))
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(text, &s)
}

// Action of a line in the changelog.
type Action string

// What happens to people.
const (
	Added      Action = "added"
	Returned   Action = "returned"
	Removed    Action = "removed"
	KeyChanged Action = "key-changed"
	Refused    Action = "refused"
	Warned     Action = "warned"
)

// Entry is a line of the changelog.
type Entry struct {
	Time   string `json:"time"`
	Action Action `json:"action"`
	Person string `json:"person,omitempty"`
	UID    int    `json:"uid,omitempty"`
	// Fingerprints of the keys that the person has from now on.
	Fingerprints []string `json:"fingerprints,omitempty"`
	// Before are those of the keys until now.
	Before   []string `json:"before,omitempty"`
	Reason   string   `json:"reason,omitempty"`
	Object   string   `json:"object,omitempty"`
	ETag     string   `json:"etag,omitempty"`
	Version  string   `json:"version,omitempty"`
	Instance string   `json:"instance,omitempty"`
}

// run is one reconcile.
type run struct {
	Options
	settings settings.Settings
	log      *event.Log
	source   *source
	state    *state
	saved    []byte
	faults   []error
	// mute: the changelog can't be written. Access only shrinks then.
	mute bool
}

// Run makes the accounts on the host those that the bucket names. It may be ended at
// any moment: the next run finishes what it began.
func Run(ctx context.Context, s settings.Settings, o Options, log *event.Log) error {
	if o.Changelog == nil {
		return errors.New("people: a changelog is required")
	}
	if o.clock == nil {
		o.clock = time.Now
	}
	if o.killer == nil {
		o.killer = killAll
	}
	if o.owners == nil {
		o.owners = realOwners{}
	}
	if o.pause == nil {
		o.pause = func(string) {}
	}
	r := &run{Options: o, settings: s, log: log}
	unlock, err := r.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	began := time.Now()
	r.cycle(ctx)
	r.status(began)
	return errors.Join(r.faults...)
}

func (r *run) path(parts ...string) string {
	return filepath.Join(append([]string{r.Root}, parts...)...)
}

func (r *run) now() time.Time { return r.clock() }

func (r *run) step(name string) { r.pause(name) }

// fail tells a broken promise, and goes on.
func (r *run) fail(alarm string, err error) {
	r.faults = append(r.faults, fmt.Errorf("%s: %w", alarm, err))
	r.log.Alarm(alarm, err.Error())
}

func (r *run) lock(ctx context.Context) (func(), error) {
	if err := os.MkdirAll(r.path(settings.RunDir), 0o755); err != nil { //nolint:gosec // others read what lies in it
		return nil, err
	}
	f, err := os.OpenFile(r.path(lockFile), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	until := time.Now().Add(lockWait)
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(until) || ctx.Err() != nil {
			_ = f.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return nil, fmt.Errorf("%w for more than %s", ErrBusy, lockWait)
			}
			return nil, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (r *run) status(began time.Time) {
	s, _ := ReadStatus(r.Root)
	s.Time = r.now().UTC()
	s.Milliseconds = time.Since(began).Milliseconds()
	s.Requests, s.Faults = 0, nil
	if r.source != nil {
		s.Requests = r.source.requests.Load()
	}
	if r.state != nil {
		s.People, s.Refused, s.Removing = len(r.state.People), len(r.state.Refused), len(r.state.Removing)
	}
	for _, fault := range r.faults {
		s.Faults = append(s.Faults, fault.Error())
	}
	if len(s.Faults) == 0 {
		s.Success = s.Time
	}
	text, err := json.Marshal(s)
	if err == nil {
		err = atomic.WriteSoon(r.path(statusFile), append(text, '\n'), 0o644)
	}
	if err != nil {
		r.fail("people-status-failed", err)
	}
}

// save the state. Where that fails the host is still right; the next run has more
// to do.
func (r *run) save() error {
	saved, err := r.state.save(r.Root, r.saved)
	r.saved = saved
	return err
}

// tell writes lines before what they say is done.
func (r *run) tell(entries ...Entry) {
	var lines []byte
	for i := range entries {
		e := &entries[i]
		e.Time, e.Instance = stamp(r.now()), r.settings.InstanceID
		line, err := json.Marshal(e)
		if err != nil {
			r.fail("people-log-failed", err)
			continue
		}
		lines = append(append(lines, line...), '\n')
	}
	if len(lines) == 0 {
		return
	}
	if err := r.Changelog.Append(lines); err != nil {
		r.mute = true
		r.fail("people-log-failed", fmt.Errorf("the changelog can't be written, nobody gets access until it can: %w", err))
	}
	for i := range entries {
		e := &entries[i]
		r.log.Event("people", "action", e.Action, "person", e.Person, "uid", e.UID, "fingerprints", e.Fingerprints,
			"before", e.Before, "reason", e.Reason, "object", e.Object, "etag", e.ETag, "version", e.Version)
	}
}

func (r *run) cycle(ctx context.Context) {
	a, err := readAccounts(r.Root)
	if err != nil {
		r.fail("people-accounts-broken", err)
		// Keys that were taken back must go even so; but what is gone can only be told
		// from what was there.
		a = nil
	}
	if err := r.load(a); err != nil {
		r.fail("people-state-broken", err)
	}
	if err := os.MkdirAll(r.path(settings.KeysDir), 0o755); err != nil { //nolint:gosec // sshd reads keys as the person
		r.fail("people-keys-failed", err)
		return
	}
	if err := r.authorities(); err != nil {
		r.fail("people-authorities-failed", err)
	}
	// What was decided once is finished, whatever the bucket says by now.
	r.finish(ctx)
	a = r.again(a)
	if r.settings.PeopleBucket == "" {
		r.sudoers(ctx)
		r.end()
		return
	}
	if r.Client == nil {
		client, err := NewClient(ctx, &r.settings)
		if err != nil {
			r.fail("people-listing-failed", err)
			return
		}
		r.Client = client
	}
	r.source = &source{client: r.Client, bucket: r.settings.PeopleBucket, prefix: r.settings.People.Prefix, now: r.now}
	r.revocation(ctx)
	l, err := r.source.list(ctx)
	if err != nil {
		r.fail("people-listing-failed", fmt.Errorf("nobody is added or removed: %w", err))
		r.end()
		return
	}
	r.reconcile(ctx, a, l)
	r.sudoers(ctx)
	r.end()
}

// again reads the accounts after they changed.
func (r *run) again(a *accounts) *accounts {
	if fresh, err := readAccounts(r.Root); err == nil && a != nil {
		return fresh
	}
	return nil
}

// end keeps what was learned.
func (r *run) end() {
	if err := r.save(); err != nil {
		r.fail("people-state-failed", err)
	}
}

// load the state, and learn from the accounts what it doesn't know.
func (r *run) load(a *accounts) error {
	state, saved, err := loadState(r.Root)
	r.state, r.saved = state, saved
	if absent(err) {
		err = nil
	}
	if policy := PolicyOf(&r.settings.People); state.Policy != policy {
		state.Policy = policy
		// What was refused by the old one may be taken by the new one, and the reverse.
		state.Objects = map[string]*object{}
	}
	if a == nil {
		return err
	}
	for name, uid := range a.ours(state.People) {
		if state.Removing[name] != nil {
			continue
		}
		if p := state.People[name]; p == nil {
			state.People[name] = &person{UID: uid}
		} else {
			p.UID = uid
		}
	}
	if state.NextUID == 0 {
		state.NextUID = firstFree(r.Root, a)
	}
	state.NextUID = max(state.NextUID, a.lastID()+1, settings.FirstUID)
	return err
}

// reconcile makes the host what a complete listing says.
func (r *run) reconcile(ctx context.Context, a *accounts, l *listing) {
	listed, refused := r.names(l)
	trusted := !l.clock.IsZero() && l.skew.Abs() <= clockTrust
	if !l.clock.IsZero() && !trusted {
		r.fail("people-clock-wrong", fmt.Errorf("the host's clock is %s from that of S3; no key is refused for its age until that is repaired: look at chronyc tracking", l.skew.Round(time.Second)))
	}
	if gone := r.gone(listed); len(gone) > 0 {
		r.remove(ctx, gone)
		a = r.again(a)
	}
	unread := r.read(ctx, listed)
	if trusted {
		r.age(l.clock)
	}
	want, reasons := r.want()

	// Keys that are no longer anybody's go before anything else is made.
	existing := slices.Sorted(maps.Keys(r.state.People))
	existing = slices.DeleteFunc(existing, func(name string) bool { return unread[name] || r.state.Objects[name] == nil })
	r.change(existing, want, reasons)
	r.keys(existing)

	var added []string
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		o := r.state.Objects[name]
		if unread[name] || o == nil || r.state.People[name] != nil || r.state.Removing[name] != nil {
			continue
		}
		reason := strings.Join(reasons[name], "; ")
		switch err := CheckName(name); {
		case a == nil:
			continue
		case err != nil:
			reason = err.Error()
		case a.taken(name) != nil:
			reason = a.taken(name).Error()
		case o.Size == 0:
			reason = "the object is empty; a comment line makes an account for certificates only"
		case len(want[name]) > 0 || reason == "":
			added = append(added, name)
			continue
		}
		refused[r.settings.People.Prefix+name+suffix] = reason
	}
	r.refuse(refused)
	if len(added) > 0 {
		added = r.admit(added, want)
	}
	if a != nil {
		r.accounts(ctx, a)
	}
	r.keys(added)
	r.change(added, want, reasons)
	if trusted {
		r.warn(l.clock)
	}
	for name := range r.state.Objects {
		if _, found := listed[name]; !found && r.state.People[name] == nil {
			delete(r.state.Objects, name)
		}
	}
}

// names sorts a listing into people and what can't be one.
func (r *run) names(l *listing) (listed map[string]*object, refused map[string]string) {
	listed, refused = map[string]*object{}, map[string]string{}
	prefix := r.settings.People.Prefix
	for _, o := range l.objects {
		// The folder that the console makes.
		if *o.Key == prefix || *o.Key == r.settings.Certificates.RevocationKey {
			continue
		}
		name, err := Name(*o.Key, prefix)
		// Who has an account keeps it where a name is reserved later on.
		if err != nil && r.state.People[name] == nil {
			refused[*o.Key] = err.Error()
			continue
		}
		listed[name] = &object{ETag: *o.ETag, Size: *o.Size, Modified: *o.LastModified}
	}
	for _, folder := range l.folders {
		refused[folder] = fmt.Sprintf("this is a folder; keys of a person are %sNAME%s, nothing deeper", prefix, suffix)
	}
	return listed, refused
}

// gone are the people whom the listing lacks and who are removed for that.
func (r *run) gone(listed map[string]*object) []string {
	var gone []string
	for name := range r.state.People {
		if listed[name] == nil {
			gone = append(gone, name)
		}
	}
	slices.Sort(gone)
	limit := r.settings.People.MaxShrinkPercent
	if limit == 0 {
		limit = DefaultMaxShrinkPercent
	}
	known := len(r.state.People)
	const hint = "nobody is removed. If it is right: postern-host people --accept-removals, on the host as root"
	switch {
	case len(gone) == 0 || r.AcceptRemovals:
	case len(listed) == 0 && r.settings.People.AllowEmpty:
	case len(listed) == 0:
		r.fail("people-listing-empty", fmt.Errorf("there are no keys below s3://%s/%s and %d people on the host: %s",
			r.settings.PeopleBucket, r.settings.People.Prefix, known, hint))
		return nil
	case len(gone) >= 2 && len(gone)*100 > limit*known:
		r.fail("people-listing-shrunk", fmt.Errorf("%d of %d people have no key below s3://%s/%s any more, more than %d %%: %s",
			len(gone), known, r.settings.PeopleBucket, r.settings.People.Prefix, limit, hint))
		return nil
	}
	return gone
}

// read gets what changed, and returns whose object could not be read.
func (r *run) read(ctx context.Context, listed map[string]*object) map[string]bool {
	type result struct {
		object *object
		err    error
	}
	var names []string
	for name, o := range listed {
		had := r.state.Objects[name]
		if had == nil || had.ETag != o.ETag || had.Size != o.Size || !had.Modified.Equal(o.Modified) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	results := make([]result, len(names))
	var group errgroup.Group
	group.SetLimit(readers)
	for i, name := range names {
		group.Go(func() error {
			o := listed[name]
			results[i] = result{o, r.source.read(ctx, r.settings.People.Prefix+name+suffix, o, r.state.Policy)}
			return nil
		})
	}
	_ = group.Wait()
	unread := map[string]bool{}
	var faults []error
	for i, name := range names {
		switch err := results[i].err; {
		case errors.Is(err, errMoved):
			// The next listing tells what became of it.
			r.log.Note("an object changed while it was read; the next run reads it", "person", name)
			unread[name] = true
		case err != nil:
			unread[name] = true
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
		default:
			if had := r.state.Objects[name]; had != nil && had.Modified.Equal(results[i].object.Modified) {
				results[i].object.Expired = had.Expired
			}
			r.state.Objects[name] = results[i].object
		}
	}
	if len(faults) > 0 {
		r.fail("people-read-failed", fmt.Errorf("the keys of %d people could not be read and stay as they are; the first: %w", len(faults), faults[0]))
	}
	return unread
}

// age decides by the clock of S3 which keys are too old.
func (r *run) age(clock time.Time) {
	limit := r.settings.People.MaxKeyAge
	for _, o := range r.state.Objects {
		o.Expired = limit > 0 && clock.Sub(o.Modified) > limit
	}
}

// want are the keys that each person is to have, and the reasons for those refused.
func (r *run) want() (want, reasons map[string][]string) {
	want, reasons = map[string][]string{}, map[string][]string{}
	owner := map[string]string{}
	for name, o := range r.state.Objects {
		if o.Expired {
			continue
		}
		for _, key := range o.Keys {
			if other, found := owner[key]; !found || r.first(name, other, key) {
				owner[key] = name
			}
		}
	}
	for name, o := range r.state.Objects {
		reasons[name] = slices.Clone(o.Faults)
		if o.Expired {
			reasons[name] = append(reasons[name], fmt.Sprintf("the keys are from %s, %s is the most they may be old: put new ones in their place",
				o.Modified.UTC().Format(time.DateOnly), days(r.settings.People.MaxKeyAge)))
			continue
		}
		for _, key := range o.Keys {
			if owner[key] == name {
				want[name] = append(want[name], key)
				continue
			}
			reasons[name] = append(reasons[name], fmt.Sprintf("the key %s is %s's: nobody could tell the two apart", Fingerprint(key), owner[key]))
		}
	}
	return want, reasons
}

// first says which of two people keeps a key that both bring: who has it now, or
// who brought it first.
func (r *run) first(name, other, key string) bool {
	has := func(name string) bool {
		p := r.state.People[name]
		return p != nil && slices.Contains(p.Keys, key)
	}
	a, b := r.state.Objects[name], r.state.Objects[other]
	switch {
	case has(name) != has(other):
		return has(name)
	case !a.Modified.Equal(b.Modified):
		return a.Modified.Before(b.Modified)
	}
	return name < other
}

func days(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
	return d.String()
}

// change tells, for people who have an account, what becomes of their keys.
func (r *run) change(names []string, want, reasons map[string][]string) {
	type change struct {
		person *person
		keys   []string
	}
	var entries []Entry
	var changes []change
	for _, name := range names {
		p, o := r.state.People[name], r.state.Objects[name]
		keys := want[name]
		if !slices.Equal(keys, p.Keys) {
			e := r.entry(KeyChanged, name)
			e.Fingerprints, e.Before = fingerprints(keys), fingerprints(p.Keys)
			entries = append(entries, e)
			changes = append(changes, change{p, keys})
		}
		if slices.Equal(reasons[name], p.Told) {
			continue
		}
		if len(reasons[name]) > 0 {
			e := r.entry(Refused, name)
			e.Reason, e.Fingerprints = strings.Join(reasons[name], "; "), fingerprints(keys)
			entries = append(entries, e)
			if len(keys) == 0 && len(o.Faults)+len(p.Keys) > 0 {
				// Not a fault of the host: it did what it must. But somebody is locked out.
				r.log.Alarm("people-keys-refused", fmt.Sprintf("%s has no key left: %s", name, e.Reason))
			}
		}
		p.Told = reasons[name]
	}
	r.tell(entries...)
	r.step("keys told")
	for _, c := range changes {
		if r.mute {
			c.keys = slices.DeleteFunc(slices.Clone(c.keys), func(key string) bool { return !slices.Contains(c.person.Keys, key) })
		}
		c.person.Keys = c.keys
	}
}

func (r *run) entry(action Action, name string) Entry {
	e := Entry{Action: action, Person: name}
	if p := r.state.People[name]; p != nil {
		e.UID = p.UID
	}
	e.Object = r.settings.People.Prefix + name + suffix
	if o := r.state.Objects[name]; o != nil {
		e.ETag, e.Version = o.ETag, o.Version
	}
	return e
}

func fingerprints(keys []string) []string {
	var all []string
	for _, key := range keys {
		all = append(all, Fingerprint(key))
	}
	return all
}

// keys puts into sshd's directory what the state says, and repairs what differs.
func (r *run) keys(names []string) {
	var faults []error
	for _, name := range names {
		var text strings.Builder
		for _, key := range r.state.People[name].Keys {
			text.WriteString(key + " " + name + "\n")
		}
		path := r.keyFile(name)
		had, err := os.ReadFile(path)
		if err == nil && string(had) == text.String() {
			continue
		}
		// Not synced one by one: what a crash leaves differs, and is written again.
		if err := atomic.WriteSoon(path, []byte(text.String()), 0o644); err != nil {
			// The old keys must not stay because there is no room for the new ones.
			faults = append(faults, fmt.Errorf("%s: %w", name, errors.Join(err, atomic.Remove(path))))
		}
		r.step("key written")
	}
	if len(faults) > 0 {
		r.fail("people-keys-failed", fmt.Errorf("the keys of %d people could not be written and are taken away; the first: %w", len(faults), faults[0]))
	}
}

// refuse tells once about each object that makes nobody.
func (r *run) refuse(refused map[string]string) {
	var entries []Entry
	more := 0
	told := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(refused)) {
		reason := refused[key]
		if len(told) == maxRefused {
			more++
			continue
		}
		id := Clip(key)
		told[id] = reason
		if r.state.Refused[id] != reason {
			entries = append(entries, Entry{Action: Refused, Object: id, Reason: reason})
		}
	}
	if more > 0 {
		r.log.Note("more objects that are no keys", "count", more)
	}
	r.tell(entries...)
	r.state.Refused = told
}

// admit gives UIDs to new people, in the state first: a UID is never given twice.
func (r *run) admit(names []string, want map[string][]string) []string {
	if free := settings.LastUID + 1 - r.state.NextUID; len(names) > free {
		r.fail("people-uids-exhausted", fmt.Errorf("%d people can't be added: all UIDs from %d to %d were given away, and none is given twice; replace the instance",
			len(names)-max(free, 0), settings.FirstUID, settings.LastUID))
		names = names[:max(free, 0)]
	}
	next := r.state.NextUID
	var entries []Entry
	for i, name := range names {
		e := r.entry(Added, name)
		e.UID, e.Fingerprints = next+i, fingerprints(want[name])
		if last, found := r.state.Gone[name]; found {
			e.Action, e.Reason = Returned, fmt.Sprintf("was removed before, with UID %d", last)
		}
		entries = append(entries, e)
	}
	r.tell(entries...)
	r.step("added told")
	if r.mute {
		return nil
	}
	for i, name := range names {
		r.state.People[name] = &person{UID: next + i, Keys: want[name]}
	}
	r.state.NextUID = next + len(names)
	if err := r.save(); err != nil {
		for _, name := range names {
			delete(r.state.People, name)
		}
		r.fail("people-state-failed", fmt.Errorf("nobody is added, for a UID might be given twice: %w", err))
		return nil
	}
	r.step("added saved")
	return names
}

// accounts makes all accounts and homes what they must be.
func (r *run) accounts(ctx context.Context, a *accounts) {
	people := map[string]int{}
	for name, p := range r.state.People {
		people[name] = p.UID
	}
	fix := func(a *accounts) error {
		for _, name := range slices.SortedFunc(maps.Keys(people), func(x, y string) int { return people[x] - people[y] }) {
			a.ensure(name, people[name], r.now())
		}
		return a.members(people)
	}
	if err := fix(a); err != nil {
		r.fail("people-accounts-failed", err)
		return
	}
	if a.changed() {
		// passwd last: an account is whole before it can be used.
		if err := edit(ctx, r.Root, fix, r.tables("group", "gshadow", "shadow", "passwd")...); err != nil {
			r.fail("people-accounts-failed", err)
			return
		}
	}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(people)) {
		if err := r.home(name, people[name]); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
		}
	}
	if len(faults) > 0 {
		r.fail("people-homes-failed", fmt.Errorf("%d people have no home; the first: %w", len(faults), faults[0]))
	}
}

// tables to save, in turn.
func (r *run) tables(names ...string) []func(*accounts) error {
	var steps []func(*accounts) error
	for _, name := range names {
		steps = append(steps, func(a *accounts) error {
			r.step("before " + name)
			t := map[string]*table{"passwd": a.passwd, "shadow": a.shadow, "group": a.group, "gshadow": a.gshadow}[name]
			return t.save()
		})
	}
	return steps
}

// warn about keys that grow old, once a day.
func (r *run) warn(clock time.Time) {
	limit := r.settings.People.WarnKeyAge
	today := clock.UTC().Format(time.DateOnly)
	var entries []Entry
	for _, name := range slices.Sorted(maps.Keys(r.state.People)) {
		o := r.state.Objects[name]
		if limit == 0 || o == nil || o.Expired || o.Warned == today || clock.Sub(o.Modified) <= limit {
			continue
		}
		o.Warned = today
		e := r.entry(Warned, name)
		e.Reason = fmt.Sprintf("the keys are %s old", days(clock.Sub(o.Modified)))
		if most := r.settings.People.MaxKeyAge; most > 0 {
			e.Reason += "; they are refused from " + o.Modified.Add(most).UTC().Format(time.DateOnly)
		}
		entries = append(entries, e)
	}
	r.tell(entries...)
}

// remove begins to remove people: their keys go at once, whatever fails after that.
func (r *run) remove(ctx context.Context, names []string) {
	var entries []Entry
	for _, name := range names {
		e := r.entry(Removed, name)
		e.Before, e.Reason = fingerprints(r.state.People[name].Keys), "there is no such object any more"
		entries = append(entries, e)
	}
	r.tell(entries...)
	r.step("removed told")
	for _, name := range names {
		if err := os.Remove(r.keyFile(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			r.fail("people-removal-stuck", fmt.Errorf("%s: %w", name, err))
		}
		r.step("key removed")
		r.state.Removing[name] = &removal{UID: r.state.People[name].UID, Since: r.now().UTC()}
		delete(r.state.People, name)
		delete(r.state.Objects, name)
	}
	if err := r.save(); err != nil {
		r.fail("people-state-failed", err)
	}
	r.step("removed saved")
	r.finish(ctx)
}

// finish the removals that have begun.
func (r *run) finish(ctx context.Context) {
	if len(r.state.Removing) == 0 {
		return
	}
	stuck := func(err error) { r.fail("people-removal-stuck", fmt.Errorf("it goes on with the next run: %w", err)) }
	names := slices.Sorted(maps.Keys(r.state.Removing))
	var uids []int
	for _, name := range names {
		uids = append(uids, r.state.Removing[name].UID)
		if err := os.Remove(r.keyFile(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			stuck(err)
		}
	}
	err := edit(ctx, r.Root, func(a *accounts) error {
		for _, name := range names {
			if uid, ours := a.uid(name, r.state.Removing[name].UID); ours && uid == r.state.Removing[name].UID {
				a.lock(name, uid)
			}
		}
		return nil
	}, r.tables("passwd", "shadow")...)
	if err != nil {
		// Sessions end even so.
		stuck(fmt.Errorf("accounts can't be locked: %w", err))
	}
	r.step("locked")
	r.sudoers(ctx)
	ended := r.endSessions(ctx, names, uids)
	r.step("sessions ended")
	if err != nil {
		return
	}
	err = edit(ctx, r.Root, func(a *accounts) error {
		for _, name := range ended {
			if uid, ours := a.uid(name, r.state.Removing[name].UID); a.passwd.get(name) == nil || ours && uid == r.state.Removing[name].UID {
				a.drop(name)
			}
		}
		people := map[string]int{}
		for name, p := range r.state.People {
			people[name] = p.UID
		}
		return a.members(people)
	}, r.tables("passwd", "shadow", "group", "gshadow")...)
	if err != nil {
		stuck(fmt.Errorf("accounts can't be removed: %w", err))
		return
	}
	r.step("accounts removed")
	// A login that was under way between the lock and now.
	for uid, err := range r.killer(ctx, uids) {
		stuck(fmt.Errorf("UID %d: %w", uid, err))
	}
	for _, name := range ended {
		uid := r.state.Removing[name].UID
		err := errors.Join(r.keepSpools(name, uid), r.keepHome(name, uid))
		r.step("home kept")
		if r.Forget != nil {
			err = errors.Join(err, r.Forget(ctx, name))
		}
		if err != nil {
			stuck(fmt.Errorf("%s: %w", name, err))
			continue
		}
		delete(r.state.Removing, name)
		r.state.Gone[name] = uid
		r.step("forgotten")
	}
	if err := r.save(); err != nil {
		stuck(err)
	}
	r.step("removal saved")
}

// keepHome of a person; one that is not theirs belongs to somebody else.
func (r *run) keepHome(name string, uid int) error {
	path := r.path(homes, name)
	info, err := os.Lstat(path)
	if err != nil || r.owners.owner(info) != uid {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	return r.keep(path, name, uid, "home")
}

// endSessions returns those of whom nothing runs any more.
func (r *run) endSessions(ctx context.Context, names []string, uids []int) []string {
	if a, err := readAccounts(r.Root); r.End != nil {
		for _, name := range names {
			// A run before this one may have come as far as the account.
			if err == nil && a.passwd.get(name) == nil {
				continue
			}
			if err := r.End(ctx, name); err != nil {
				// The processes are ended below; what ran as root in a session is not.
				r.fail("people-removal-stuck", fmt.Errorf("the recorder could not end the sessions of %s: %w", name, err))
			}
		}
	}
	stuck := r.killer(ctx, uids)
	var ended []string
	for _, name := range names {
		if err := stuck[r.state.Removing[name].UID]; err != nil {
			r.fail("people-removal-stuck", fmt.Errorf("%s: %w", name, err))
			continue
		}
		ended = append(ended, name)
	}
	return ended
}
