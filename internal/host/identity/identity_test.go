package identity

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/settings"
)

const at = "/postern/Access/Bastion"

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestMain(m *testing.M) {
	if url := os.Getenv("IDENTITY_CHILD"); url != "" {
		child(url)
		return
	}
	os.Exit(m.Run())
}

// host is a root folder and what its programs say.
type host struct {
	settings.Settings
	root  string
	said  bytes.Buffer
	store *parameterStore
}

func newHost(t *testing.T, store *parameterStore, kinds ...string) *host {
	t.Helper()
	h := &host{root: t.TempDir(), store: store}
	require.NoError(t, os.MkdirAll(filepath.Join(h.root, "etc/ssh"), 0o755))
	h.ParameterPath, h.KeyID = at, "alias/postern"
	h.HostKeys.Kinds = kinds
	return h
}

func (h *host) run(t *testing.T) (bool, error) {
	t.Helper()
	h.said.Reset()
	return Run(t.Context(), h.Settings, h.options(), &event.Log{Out: &h.said, Console: &bytes.Buffer{}})
}

func (h *host) options() Options {
	return Options{Root: h.root, Parameters: parametersAt(h.store.URL), Now: func() time.Time { return now }, pause: time.Millisecond}
}

func (h *host) file(name string) string { return filepath.Join(h.root, "etc/ssh", name) }

func (h *host) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(h.file(name))
	require.NoError(t, err)
	return string(text)
}

// alarms are the names of those that were written.
func (h *host) alarms() []string {
	var names []string
	for line := range strings.Lines(h.said.String()) {
		var entry struct{ Postern, Name string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Postern == "alarm" {
			names = append(names, entry.Name)
		}
	}
	return names
}

// cloudInit leaves a key of its own, as at each first boot.
func (h *host) cloudInit(t *testing.T, kinds ...string) {
	t.Helper()
	for _, kind := range kinds {
		file := h.file("ssh_host_" + kind + "_key")
		_ = os.Remove(file)
		made, err := exec.Command("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "root@ip", "-f", file).CombinedOutput()
		require.NoError(t, err, string(made))
		// As the packages of Amazon Linux and Fedora leave it.
		require.NoError(t, os.Chmod(file, 0o640))
	}
}

func TestAKeyOutlivesItsInstance(t *testing.T) {
	store := newParameterStore(t)
	first, second := newHost(t, store, Kinds()...), newHost(t, store, Kinds()...)
	first.cloudInit(t, Kinds()...)
	own := first.read(t, "ssh_host_ed25519_key.pub")
	changed, err := first.run(t)
	require.NoError(t, err)
	assert.True(t, changed)
	assert.Empty(t, first.alarms())
	assert.NotEqual(t, own, first.read(t, "ssh_host_ed25519_key.pub"), "a key that an image or cloud-init made is not for keeping")

	second.cloudInit(t, Kinds()...)
	changed, err = second.run(t)
	require.NoError(t, err)
	assert.True(t, changed)
	for _, kind := range Kinds() {
		name := "ssh_host_" + kind + "_key"
		assert.Equal(t, first.read(t, name), second.read(t, name))
		assert.Equal(t, first.read(t, name+".pub"), second.read(t, name+".pub"))
		info, err := os.Stat(second.file(name))
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode())
		derived, err := exec.Command("ssh-keygen", "-y", "-f", second.file(name)).Output()
		require.NoError(t, err, "OpenSSH takes the key")
		assert.Equal(t, string(derived), second.read(t, name+".pub"))
		kept := store.values[KeyParameter(at, "", kind)]
		assert.Equal(t, []string{"SecureString", "alias/postern", "Standard"}, []string{kept.Type, kept.KeyID, kept.Tier})
		assert.NotContains(t, first.said.String()+second.said.String(), strings.Split(kept.Value, "\n")[3], "no secret in a log")
	}
	assert.Equal(t, "String", store.values[at+"/known_hosts"].Type)

	store.after(nil)
	info, err := os.Stat(second.file("ssh_host_rsa_key"))
	require.NoError(t, err)
	changed, err = second.run(t)
	require.NoError(t, err)
	assert.False(t, changed)
	again, err := os.Stat(second.file("ssh_host_rsa_key"))
	require.NoError(t, err)
	assert.True(t, os.SameFile(info, again), "what is right is not touched")
	assert.Equal(t, map[string]int{"GetParameters": 1}, store.requests)
}

func TestKnownHostsIsWhatSSHReads(t *testing.T) {
	h := newHost(t, newParameterStore(t), Ed25519, RSA)
	_, err := h.run(t)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "known_hosts")
	require.NoError(t, os.WriteFile(file, []byte(h.store.value(at+"/known_hosts")+"\n"), 0o600))
	found, err := exec.Command("ssh-keygen", "-F", "postern-Access-Bastion", "-f", file).Output()
	require.NoError(t, err)
	for _, kind := range []string{Ed25519, RSA} {
		assert.Contains(t, string(found), "postern-Access-Bastion "+h.read(t, "ssh_host_"+kind+"_key.pub"))
	}
}

func TestTwoInstancesAtOnceAgree(t *testing.T) {
	store := newParameterStore(t)
	hosts := make([]*host, 6)
	var running sync.WaitGroup
	for i := range hosts {
		hosts[i] = newHost(t, store, Ed25519, ECDSA)
		running.Go(func() {
			_, err := hosts[i].run(t)
			assert.NoError(t, err)
		})
	}
	running.Wait()
	for _, h := range hosts {
		for _, kind := range []string{Ed25519, ECDSA} {
			assert.Equal(t, store.value(KeyParameter(at, "1", kind)), h.read(t, "ssh_host_"+kind+"_key"))
		}
		assert.Contains(t, store.value(at+"/known_hosts"), strings.TrimSpace(h.read(t, "ssh_host_ed25519_key.pub")))
	}
}

// Between the put of the other and our read the service may say that nothing is
// there yet.
func TestARacedKeyIsReadUntilItIsThere(t *testing.T) {
	store := newParameterStore(t)
	other, h := newHost(t, store, Ed25519), newHost(t, store, Ed25519)
	_, err := other.run(t)
	require.NoError(t, err)
	store.after(func(operation string, n int, w http.ResponseWriter) bool {
		if operation != "GetParameters" || n > 3 {
			return false
		}
		names := []string{at + "/known_hosts", KeyParameter(at, "1", Ed25519)}
		_ = json.NewEncoder(w).Encode(map[string]any{"InvalidParameters": names})
		return true
	})
	_, err = h.run(t)
	require.NoError(t, err)
	assert.Equal(t, other.read(t, "ssh_host_ed25519_key"), h.read(t, "ssh_host_ed25519_key"))
}

func hang(t *testing.T) func(string, int, http.ResponseWriter) bool {
	t.Helper()
	return func(_ string, _ int, w http.ResponseWriter) bool {
		connection, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = connection.Close()
		}
		return true
	}
}

func faults(t *testing.T) map[string]func(string, int, http.ResponseWriter) bool {
	t.Helper()
	status := func(status int, kind string) func(string, int, http.ResponseWriter) bool {
		return func(_ string, _ int, w http.ResponseWriter) bool {
			refuse(w, status, kind, "no")
			return true
		}
	}
	return map[string]func(string, int, http.ResponseWriter) bool{
		"denied":             status(http.StatusBadRequest, "AccessDeniedException"),
		"forbidden":          status(http.StatusForbidden, "UnrecognizedClientException"),
		"not found":          status(http.StatusNotFound, "NotFound"),
		"throttled":          status(http.StatusBadRequest, "ThrottlingException"),
		"down":               status(http.StatusInternalServerError, "InternalServerError"),
		"the key is off":     status(http.StatusBadRequest, "InvalidKeyId"),
		"connection cut off": hang(t),
		"half an answer": func(_ string, _ int, w http.ResponseWriter) bool {
			_, _ = w.Write([]byte(`{"Parameters":[{"Name":"` + at + `/host-keys/1/ed25519","Type":"Secure`))
			return true
		},
		"an empty answer": func(_ string, _ int, w http.ResponseWriter) bool {
			_, _ = w.Write([]byte(`{}`))
			return true
		},
		"not the service": func(_ string, _ int, w http.ResponseWriter) bool {
			_, _ = w.Write([]byte(`<html>log in to the hotel's network</html>`))
			return true
		},
	}
}

func TestFaultsKeepWhatIsThereAndSaySo(t *testing.T) {
	for name, fault := range faults(t) {
		t.Run(name, func(t *testing.T) {
			store := newParameterStore(t)
			first := newHost(t, store, Ed25519)
			_, err := first.run(t)
			require.NoError(t, err)
			kept := store.value(KeyParameter(at, "1", Ed25519))

			h := newHost(t, store, Ed25519)
			h.cloudInit(t, Ed25519)
			own := h.read(t, "ssh_host_ed25519_key")
			store.after(fault)
			changed, err := h.run(t)
			require.Error(t, err)
			assert.False(t, changed)
			assert.Equal(t, []string{"host-keys-not-kept"}, h.alarms())
			assert.Equal(t, own, h.read(t, "ssh_host_ed25519_key"), "sshd still has a key")
			assert.Equal(t, attempts, store.count("GetParameters"))
			assert.Zero(t, store.count("PutParameter"), "nothing is made of a fault")
			_, err = ReadKept(h.root)
			require.ErrorIs(t, err, os.ErrNotExist)

			// A host that has the kept key is what people know.
			_, err = first.run(t)
			require.NoError(t, err)
			assert.Contains(t, first.said.String(), "the host has the keys that were kept the last time")
			require.NoError(t, os.Remove(first.file("ssh_host_ed25519_key")))
			first.cloudInit(t, Ed25519)
			_, err = first.run(t)
			require.Error(t, err, "it has another key by now")

			// What was wrong for a while is mended by itself.
			store.after(func(operation string, n int, w http.ResponseWriter) bool {
				return operation == "GetParameters" && n < attempts && fault(operation, n, w)
			})
			_, err = h.run(t)
			require.NoError(t, err)
			assert.Equal(t, kept, h.read(t, "ssh_host_ed25519_key"))
		})
	}
}

func TestFaultsOfPut(t *testing.T) {
	for name, fault := range faults(t) {
		if name == "an empty answer" {
			continue // that is what a put answers
		}
		t.Run(name, func(t *testing.T) {
			store := newParameterStore(t)
			h := newHost(t, store, Ed25519)
			h.cloudInit(t, Ed25519)
			own := h.read(t, "ssh_host_ed25519_key")
			store.after(func(operation string, n int, w http.ResponseWriter) bool {
				return operation == "PutParameter" && fault(operation, n, w)
			})
			_, err := h.run(t)
			require.ErrorContains(t, err, "could not be put")
			assert.Equal(t, []string{"host-keys-not-kept"}, h.alarms())
			assert.Equal(t, own, h.read(t, "ssh_host_ed25519_key"), "a key that nobody else would have is not offered")
			store.after(nil)
			_, err = h.run(t)
			require.NoError(t, err)
			assert.Equal(t, store.value(KeyParameter(at, "1", Ed25519)), h.read(t, "ssh_host_ed25519_key"))
		})
	}
}

// The put was done, only its answer was lost: the next try is told that the
// parameter exists.
func TestALostAnswerIsNotARace(t *testing.T) {
	store := newParameterStore(t)
	h := newHost(t, store, Ed25519)
	store.after(func(operation string, n int, w http.ResponseWriter) bool {
		if operation != "PutParameter" || n != 1 {
			return false
		}
		store.values[KeyParameter(at, "1", Ed25519)] = parameter{Type: "SecureString", Value: keyText(t, Ed25519)}
		return hang(t)(operation, n, w)
	})
	_, err := h.run(t)
	require.NoError(t, err)
	assert.Equal(t, store.value(KeyParameter(at, "1", Ed25519)), h.read(t, "ssh_host_ed25519_key"))
}

func keyText(t *testing.T, kind string, arguments ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	said, err := exec.Command("ssh-keygen", append([]string{"-q", "-t", kind, "-N", "", "-C", "", "-f", file}, arguments...)...).CombinedOutput()
	require.NoError(t, err, string(said))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}

func TestDamagedKeysAreNeitherUsedNorReplaced(t *testing.T) {
	good := keyText(t, Ed25519)
	lines := strings.Split(good, "\n")
	for name, broken := range map[string]struct{ kind, text, says string }{
		"empty":       {Ed25519, " ", "not a private key"},
		"cut off":     {Ed25519, strings.Join(lines[:3], "\n"), "not a private key"},
		"public":      {Ed25519, "ssh-ed25519 AAAA", "not a private key"},
		"other kind":  {Ed25519, keyText(t, ECDSA), "ECDSA key where one of kind ed25519 belongs"},
		"passphrase":  {Ed25519, keyText(t, Ed25519, "-N", "secret"), "passphrase"},
		"short RSA":   {RSA, keyText(t, RSA, "-b", "2048"), "2048 bits, fewer than 3072"},
		"other curve": {ECDSA, keyText(t, ECDSA, "-b", "384"), "not on P-256"},
		"two halves":  {Ed25519, halves(t), "belongs to another key"},
	} {
		t.Run(name, func(t *testing.T) {
			store := newParameterStore(t)
			h := newHost(t, store, broken.kind)
			h.cloudInit(t, broken.kind)
			own := h.read(t, "ssh_host_"+broken.kind+"_key")
			store.put(KeyParameter(at, "1", broken.kind), "SecureString", broken.text)
			_, err := h.run(t)
			require.ErrorContains(t, err, broken.says)
			require.ErrorContains(t, err, "put-parameter --name "+KeyParameter(at, "1", broken.kind), "how to mend it")
			assert.Equal(t, []string{"host-keys-not-kept"}, h.alarms())
			assert.Equal(t, own, h.read(t, "ssh_host_"+broken.kind+"_key"))
			assert.Equal(t, broken.text, store.value(KeyParameter(at, "1", broken.kind)))
			assert.Empty(t, store.value(at+"/known_hosts"))
			assert.NotContains(t, h.said.String(), lines[2])
		})
	}
}

// halves is the text of a key whose public half is another's: OpenSSH's own
// format has it twice.
func halves(t *testing.T) string {
	t.Helper()
	_, one, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	two, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	mixed := slices.Concat(one.Seed(), two)
	block, err := ssh.MarshalPrivateKey(ed25519.PrivateKey(mixed), "")
	require.NoError(t, err)
	return string(pem.EncodeToMemory(block))
}

func TestOneDamagedKeyTakesNoOtherWithIt(t *testing.T) {
	store := newParameterStore(t)
	first := newHost(t, store, Ed25519, ECDSA)
	_, err := first.run(t)
	require.NoError(t, err)
	known := store.value(at + "/known_hosts")
	store.put(KeyParameter(at, "1", ECDSA), "SecureString", "damaged")

	h := newHost(t, store, Ed25519, ECDSA)
	_, err = h.run(t)
	require.Error(t, err)
	assert.Equal(t, first.read(t, "ssh_host_ed25519_key"), h.read(t, "ssh_host_ed25519_key"))
	assert.Equal(t, known, store.value(at+"/known_hosts"), "no line is taken away from people")

	_, err = first.run(t)
	require.Error(t, err)
	kept, err := ReadKept(first.root)
	require.NoError(t, err)
	assert.Len(t, kept.Keys, 2, "the first host still has what was kept")
}

func TestAValueThatWasPutBackByHand(t *testing.T) {
	store := newParameterStore(t)
	good := keyText(t, Ed25519)
	store.put(KeyParameter(at, "1", Ed25519), "SecureString", strings.ReplaceAll(strings.TrimSpace(good), "\n", "\r\n"))
	h := newHost(t, store, Ed25519)
	_, err := h.run(t)
	require.NoError(t, err)
	assert.Equal(t, good, h.read(t, "ssh_host_ed25519_key"))

	store.put(KeyParameter(at, "1", Ed25519), "String", good)
	_, err = h.run(t)
	require.NoError(t, err)
	assert.Equal(t, []string{"host-key-not-encrypted"}, h.alarms())
}

func TestADeletedParameterIsPutBackFromTheHost(t *testing.T) {
	store := newParameterStore(t)
	h := newHost(t, store, Ed25519)
	_, err := h.run(t)
	require.NoError(t, err)
	was := store.value(KeyParameter(at, "1", Ed25519))
	delete(store.values, KeyParameter(at, "1", Ed25519))
	changed, err := h.run(t)
	require.NoError(t, err)
	assert.False(t, changed)
	assert.Equal(t, was, store.value(KeyParameter(at, "1", Ed25519)))
	assert.Contains(t, h.said.String(), "put back from this host")
}

func TestRotation(t *testing.T) {
	store := newParameterStore(t)
	h := newHost(t, store, Ed25519, RSA)
	_, err := h.run(t)
	require.NoError(t, err)
	one := h.read(t, "ssh_host_ed25519_key")

	h.HostKeys.Next = "2"
	changed, err := h.run(t)
	require.NoError(t, err)
	assert.True(t, changed, "sshd must offer the next one too")
	assert.Equal(t, one, h.read(t, "ssh_host_ed25519_key"))
	two := h.read(t, "ssh_host_ed25519_next_key")
	assert.Equal(t, two, store.value(at+"/host-keys/2/ed25519"))
	known := store.value(at + "/known_hosts")
	assert.Equal(t, 4, strings.Count(known, "postern-Access-Bastion "))
	assert.Less(t, strings.Index(known, strings.TrimSpace(h.read(t, "ssh_host_rsa_key.pub"))),
		strings.Index(known, strings.TrimSpace(h.read(t, "ssh_host_ed25519_next_key.pub"))), "present ones first")

	successor := newHost(t, store, Ed25519, RSA)
	successor.HostKeys.Version = "2"
	_, err = successor.run(t)
	require.NoError(t, err)
	assert.Equal(t, two, successor.read(t, "ssh_host_ed25519_key"))

	h.HostKeys.Version, h.HostKeys.Next = "2", ""
	changed, err = h.run(t)
	require.NoError(t, err)
	assert.True(t, changed)
	assert.Equal(t, two, h.read(t, "ssh_host_ed25519_key"))
	assert.NoFileExists(t, h.file("ssh_host_ed25519_next_key"))
	assert.NoFileExists(t, h.file("ssh_host_ed25519_next_key.pub"))
	assert.Equal(t, one, store.value(at+"/host-keys/1/ed25519"), "the way back stays open")
}

func TestWithoutAPathKeysLiveAsLongAsTheInstance(t *testing.T) {
	h := newHost(t, newParameterStore(t), Ed25519)
	h.ParameterPath = ""
	changed, err := h.run(t)
	require.NoError(t, err)
	assert.False(t, changed)
	assert.Contains(t, h.said.String(), "live as long as this instance")
	assert.Empty(t, h.store.requests)
}

func TestChoicesThatCannotBe(t *testing.T) {
	h := newHost(t, newParameterStore(t))
	_, err := h.run(t)
	require.EqualError(t, err, "HostKeys.Kinds is empty: name at least one of ed25519, rsa, ecdsa")
	assert.Equal(t, []string{"host-keys-not-kept"}, h.alarms())
	h.HostKeys.Kinds = []string{Ed25519, "dsa"}
	_, err = h.run(t)
	require.EqualError(t, err, `HostKeys.Kinds[1]: "dsa" is none of ed25519, rsa, ecdsa`)
	h.HostKeys.Kinds, h.HostKeys.Version = []string{Ed25519}, "a/b"
	_, err = h.run(t)
	require.ErrorContains(t, err, `the version "a/b"`)
	assert.Empty(t, h.store.requests)
}

func TestAKeygenThatFails(t *testing.T) {
	h := newHost(t, newParameterStore(t), Ed25519)
	options := h.options()
	options.Keygen = "false"
	_, err := Run(t.Context(), h.Settings, options, &event.Log{Out: &h.said, Console: &bytes.Buffer{}})
	require.ErrorContains(t, err, "false makes no key of kind ed25519")
	assert.Empty(t, h.store.values)
}

func TestKnownHostsThatCannotBePublished(t *testing.T) {
	h := newHost(t, newParameterStore(t), Ed25519)
	_, err := h.run(t)
	require.NoError(t, err)
	h.store.put(at+"/known_hosts", "String", "somebody else's")
	h.store.after(func(operation string, _ int, w http.ResponseWriter) bool {
		if operation == "PutParameter" {
			refuse(w, http.StatusBadRequest, "AccessDeniedException", "no")
		}
		return operation == "PutParameter"
	})
	_, err = h.run(t)
	require.ErrorContains(t, err, "could not be put to "+at+"/known_hosts")
	assert.Equal(t, []string{"known-hosts-not-published"}, h.alarms())
	h.store.after(nil)
	_, err = h.run(t)
	require.NoError(t, err)
	assert.Contains(t, h.store.value(at+"/known_hosts"), "postern-Access-Bastion ssh-ed25519 ")
}

// child runs once, and dies by SIGKILL at the step that it is told.
func child(url string) {
	var mu sync.Mutex
	var n, last int
	_, _ = fmt.Sscan(os.Getenv("IDENTITY_DIES_AT"), &last)
	var s settings.Settings
	s.ParameterPath = at
	s.HostKeys = settings.HostKeys{Kinds: []string{Ed25519, ECDSA}, Next: "2"}
	_, err := Run(context.Background(), s, Options{
		Root: os.Getenv("IDENTITY_ROOT"), Parameters: parametersAt(url), pause: time.Millisecond,
		at: func(string) {
			mu.Lock()
			defer mu.Unlock()
			if n++; n == last {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		},
	}, &event.Log{Console: &bytes.Buffer{}})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func TestKilledAtEachStep(t *testing.T) {
	executable, err := os.Executable()
	require.NoError(t, err)
	start := func(store *parameterStore, root string, diesAt int) error {
		command := exec.CommandContext(t.Context(), executable)
		command.Env = append(os.Environ(), "IDENTITY_CHILD="+store.URL, "IDENTITY_ROOT="+root, fmt.Sprintf("IDENTITY_DIES_AT=%d", diesAt))
		return command.Run()
	}
	died := 0
	for ; ; died++ {
		store := newParameterStore(t)
		h := newHost(t, store, Ed25519, ECDSA)
		h.HostKeys.Next = "2"
		h.cloudInit(t, Ed25519, ECDSA)
		if start(store, h.root, died+1) == nil {
			break
		}
		store.mu.Lock() // a request of the killed one may still be answered
		before := maps.Clone(store.values)
		store.mu.Unlock()
		// Between any two steps sshd can read what is there.
		for _, kind := range []string{Ed25519, ECDSA} {
			private, err := parse(kind, h.read(t, "ssh_host_"+kind+"_key"))
			require.NoError(t, err, "step %d", died+1)
			if public, err := os.ReadFile(h.file("ssh_host_" + kind + "_key.pub")); err == nil {
				fields := strings.Fields(string(public))
				assert.Equal(t, private.line(), strings.Join(fields[:2], " "), "step %d", died+1)
			}
		}
		// As if it had been killed within a step.
		half := h.file(".ssh_host_ed25519_key.postern-new")
		require.NoError(t, os.WriteFile(half, []byte("half"), 0o600))
		keygen := filepath.Join(h.root, settings.StateDir, "keygen-1")
		require.NoError(t, os.MkdirAll(keygen, 0o700))
		require.NoError(t, start(store, h.root, 0), "step %d", died+1)
		assert.NoFileExists(t, half)
		assert.NoDirExists(t, keygen)
		store.mu.Lock()
		after := maps.Clone(store.values)
		store.mu.Unlock()
		for name, value := range before {
			if strings.Contains(name, "/host-keys/") {
				assert.Equal(t, value, after[name], "a put key is for ever")
			}
		}
		for _, slot := range []struct{ version, file string }{{"1", "ssh_host_%s_key"}, {"2", "ssh_host_%s_next_key"}} {
			for _, kind := range []string{Ed25519, ECDSA} {
				assert.Equal(t, store.value(KeyParameter(at, slot.version, kind)), h.read(t, fmt.Sprintf(slot.file, kind)))
				derived, err := exec.Command("ssh-keygen", "-y", "-f", h.file(fmt.Sprintf(slot.file, kind))).Output()
				require.NoError(t, err)
				assert.Equal(t, string(derived), h.read(t, fmt.Sprintf(slot.file, kind)+".pub"))
			}
		}
		changed, err := h.run(t)
		require.NoError(t, err)
		assert.False(t, changed)
	}
	assert.Greater(t, died, 20, "steps")
}
