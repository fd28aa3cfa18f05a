//go:build linux

package check

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/postern-cdk/postern/internal/host/chain"
	"github.com/postern-cdk/postern/internal/host/event"
	"github.com/postern-cdk/postern/internal/host/identity"
	"github.com/postern-cdk/postern/internal/host/people"
	"github.com/postern-cdk/postern/internal/host/settings"
	"github.com/postern-cdk/postern/internal/host/ship"
)

const parameterPath = "/postern/Access/Bastion"

// bastion is a host with an sshd and a recorder that keep every promise but those
// that are named.
type bastion struct {
	*Host
	t      *testing.T
	signer ssh.Signer
	// broken are the promises that are not kept.
	promises sync.Mutex
	broken   map[string]bool
	// published is the parameter with the public keys.
	published string
	// entered counts logins, and keys those that sshd ever saw in the key file.
	mu      sync.Mutex
	entered int
	lines   []string
	n       int
}

func newBastion(t *testing.T, broken ...string) *bastion {
	t.Helper()
	b := &bastion{t: t, broken: map[string]bool{}}
	for _, name := range broken {
		b.breaks(name)
	}
	root := t.TempDir()
	for _, dir := range []string{"/etc/ssh", settings.KeysDir, "/proc", settings.RunDir} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	for _, dir := range []string{settings.LogDir + "/sessions", settings.ShadowDir, settings.StateDir} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, dir), 0o700))
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	b.signer, err = ssh.NewSignerFromKey(private)
	require.NoError(t, err)
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(b.signer.PublicKey())))
	b.write(root, "/etc/ssh/ssh_host_ed25519_key.pub", line)
	b.published = identity.Alias(parameterPath) + " " + line
	kept, err := json.Marshal(identity.Kept{At: time.Now(), Keys: map[string]string{identity.KeyParameter(parameterPath, "", identity.Ed25519): line}})
	require.NoError(t, err)
	b.write(root, settings.StateDir+"/host-keys.json", string(kept))
	b.write(root, "/proc/meminfo", "MemTotal: 500000 kB\nMemAvailable:     200000 kB\n")
	b.say(root, "people", people.Status{Success: time.Now(), People: 3})
	b.say(root, "ship", ship.Status{Time: time.Now()})

	metadata := httptest.NewServer(http.HandlerFunc(b.metadata))
	t.Cleanup(metadata.Close)
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		at := time.Now()
		if b.is("clock") {
			at = at.Add(-10 * time.Second)
		}
		w.Header().Set("Date", at.UTC().Format(http.TimeFormat))
	}))
	t.Cleanup(served.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go b.serve(listener)

	b.Host = &Host{
		Root: root, SSH: listener.Addr().String(), IMDS: metadata.URL, Clock: served.URL, Parameters: b,
		Delivered: func(_, session string) (bool, bool, error) {
			return session != "" && !b.is("logs"), session != "" && !b.is("bucket"), nil
		},
		Canary: func(_, word string) (func() error, error) {
			assert.Regexp(t, "^[0-9a-f]{16}$", word)
			if b.is("journal down") {
				return nil, io.ErrClosedPipe
			}
			return func() error {
				if b.is("journal") {
					return errors.New("a line of the journal is not there")
				}
				return nil
			}, nil
		},
		Probe: func(_ context.Context, user, address string) error {
			assert.Equal(t, settings.CheckUser, user)
			switch {
			case b.is("imds open") && address == metadata.Listener.Addr().String(), b.is("egress open") && address == "192.0.2.1:9":
				return nil
			case b.is("egress silent") && address == "192.0.2.1:9":
				return errSilent
			}
			return errRefused
		},
		chronyc:    filepath.Join(root, "chronyc"),
		appendOnly: func(string) (bool, error) { return !b.is("changeable"), nil },
	}
	b.InstanceID, b.Region, b.ParameterPath = "i-0abc", "eu-west-1", parameterPath
	b.LogGroup, b.RecordBucket, b.PeopleBucket = "/postern", "records", "people"
	b.Recording.MinFreeMiB = 1
	b.HostKeys.Kinds = []string{identity.Ed25519}
	return b
}

func (b *bastion) breaks(promise string) {
	b.promises.Lock()
	defer b.promises.Unlock()
	b.broken[promise] = true
}

func (b *bastion) is(broken string) bool {
	b.promises.Lock()
	defer b.promises.Unlock()
	return b.broken[broken]
}

func (b *bastion) write(root, name, text string) {
	b.t.Helper()
	require.NoError(b.t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o700))
	require.NoError(b.t, os.WriteFile(filepath.Join(root, name), []byte(text+"\n"), 0o600))
}

// say writes what a service says of itself.
func (b *bastion) say(root, service string, status any) {
	b.t.Helper()
	text, err := json.Marshal(status)
	require.NoError(b.t, err)
	b.write(root, settings.RunDir+"/"+service+".json", string(text))
}

// line is what one check printed.
type line struct {
	Postern, Name, Result, Detail string
	Ms                            *int64
}

// check runs the named checks.
func (b *bastion) check(names ...string) (map[string]line, error) {
	b.t.Helper()
	var out bytes.Buffer
	err := b.Run(b.t.Context(), names, &event.Log{Out: &out})
	lines := map[string]line{}
	for text := range strings.Lines(out.String()) {
		var l line
		require.NoError(b.t, json.Unmarshal([]byte(text), &l), text)
		assert.Equal(b.t, "check", l.Postern)
		assert.NotNil(b.t, l.Ms)
		lines[l.Name] = l
	}
	assert.NoFileExists(b.t, b.keyFile())
	return lines, err
}

func (b *bastion) GetParameters(_ context.Context, in *ssm.GetParametersInput, _ ...func(*ssm.Options)) (*ssm.GetParametersOutput, error) {
	assert.Equal(b.t, []string{parameterPath + "/known_hosts"}, in.Names)
	return &ssm.GetParametersOutput{Parameters: []types.Parameter{{Name: &in.Names[0], Value: &b.published}}}, nil
}

func (b *bastion) PutParameter(context.Context, *ssm.PutParameterInput, ...func(*ssm.Options)) (*ssm.PutParameterOutput, error) {
	assert.Fail(b.t, "a check puts nothing")
	return nil, io.EOF
}

// metadata is IMDSv2.
func (b *bastion) metadata(w http.ResponseWriter, r *http.Request) {
	token := r.Header.Get("X-aws-ec2-metadata-token")
	switch {
	case b.is("imds down"):
		w.WriteHeader(http.StatusInternalServerError)
	case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token" && r.Header.Get("X-aws-ec2-metadata-token-ttl-seconds") != "":
		_, _ = io.WriteString(w, "TOKEN")
	case token == "TOKEN", b.is("imds v1"):
		id := "i-0abc"
		if b.is("imds other") {
			id = "i-0other"
		}
		_, _ = io.WriteString(w, id)
	default:
		w.WriteHeader(http.StatusUnauthorized)
	}
}

func (b *bastion) serve(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go b.connection(connection)
	}
}

func (b *bastion) connection(connection net.Conn) {
	if b.is("sshd down") {
		_ = connection.Close()
		return
	}
	config := &ssh.ServerConfig{PublicKeyCallback: func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		text, err := os.ReadFile(filepath.Join(b.Root, settings.KeysDir, meta.User()))
		if err != nil {
			return nil, err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.lines = append(b.lines, string(text))
		given, _, _, _, err := ssh.ParseAuthorizedKey(text)
		if err != nil || !bytes.Equal(given.Marshal(), key.Marshal()) {
			return nil, fmt.Errorf("another key")
		}
		b.entered++
		return &ssh.Permissions{}, nil
	}}
	signer := b.signer
	if b.is("other key") {
		_, private, _ := ed25519.GenerateKey(rand.Reader)
		signer, _ = ssh.NewSignerFromKey(private)
	}
	config.AddHostKey(signer)
	server, channels, requests, err := ssh.NewServerConn(connection, config)
	if err != nil {
		return
	}
	go func() {
		for request := range requests {
			_ = request.Reply(b.is(request.Type), nil)
		}
	}()
	for channel := range channels {
		kind := channel.ChannelType()
		switch {
		case kind == "session":
			go b.session(server, channel)
		case b.is(kind):
			if accepted, requests, err := channel.Accept(); err == nil {
				go ssh.DiscardRequests(requests)
				_ = accepted.Close()
			}
		case b.is("tries " + kind):
			_ = channel.Reject(ssh.ConnectionFailed, "Connection refused")
		case kind == "direct-tcpip":
			_ = channel.Reject(ssh.Prohibited, "open failed")
		default:
			// So says OpenSSH.
			_ = channel.Reject(ssh.ConnectionFailed, "open failed")
		}
	}
}

func (b *bastion) session(server *ssh.ServerConn, channel ssh.NewChannel) {
	accepted, requests, err := channel.Accept()
	if err != nil {
		return
	}
	exit := func(status uint32) {
		_, _ = accepted.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
		_ = accepted.Close()
	}
	for request := range requests {
		switch request.Type {
		case "pty-req":
			_ = request.Reply(true, nil)
		case "shell":
			_ = request.Reply(true, nil)
			go func() {
				b.shell(server, accepted)
				exit(0)
			}()
		case "exec", "subsystem":
			_ = request.Reply(true, nil)
			switch {
			case b.is("exec") && request.Type == "exec":
				_, _ = io.WriteString(accepted, "postern-42\n")
				exit(0)
			case b.is("sftp") && request.Type == "subsystem":
				_, _ = accepted.Write([]byte{0, 0, 0, 5, 2, 0, 0, 0, 3})
				exit(0)
			case b.is("exec says well"):
				exit(0)
			default:
				_, _ = io.WriteString(accepted.Stderr(), "refused\n")
				exit(254)
			}
		default:
			_ = request.Reply(b.is(request.Type), nil)
		}
	}
}

// shell is a person's bash, recorded.
func (b *bastion) shell(server *ssh.ServerConn, terminal ssh.Channel) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.is("recorder down") {
		_, _ = io.WriteString(terminal, "Sessions can't be recorded on this bastion now\r\n")
		return
	}
	b.n++
	start := time.Now().UTC()
	id := fmt.Sprintf("%s-%08x", start.Format("20060102T150405Z"), b.n)
	address := server.RemoteAddr().(*net.TCPAddr)
	begin := chain.Header{Width: 80, Height: 24, Session: chain.Session{ID: id, Person: server.User(), Address: address.IP.String(), Port: address.Port, Start: start}}
	name := filepath.Join(string(settings.LogSessions), id)
	dir, shadow := filepath.Join(b.Root, settings.LogDir, name), filepath.Join(b.Root, settings.ShadowDir, name)
	if b.is("no recording") {
		dir = b.t.TempDir()
	}
	cast, err := chain.Open(dir, chain.Options{Suffix: chain.Cast, Shadow: shadow, NotAppendOnly: true, First: begin.Line})
	if !assert.NoError(b.t, err) {
		return
	}
	log := func(event string, rest string) {
		if b.is("no " + event) {
			return
		}
		file, _ := os.OpenFile(filepath.Join(b.Root, settings.LogDir, "commands", "000001.jsonl"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		_, _ = fmt.Fprintf(file, `{"event":%q,"session":%q%s}`+"\n", event, id, rest)
		_ = file.Close()
	}
	_ = os.MkdirAll(filepath.Join(b.Root, settings.LogDir, "commands"), 0o700)
	log("begin", "")
	show := func(text string) {
		_, _ = io.WriteString(terminal, text)
		if b.is("not the output") && strings.HasPrefix(text, "postern-") {
			return
		}
		// In two halves, as a terminal may bring it.
		half := len(text) / 2
		for _, part := range []string{text[:half], text[half:]} {
			_ = cast.Append(chain.AppendEvent(nil, time.Since(start), chain.EventOutput, []byte(part)))
		}
	}
	typed := bufio.NewScanner(terminal)
	for typed.Scan() && typed.Text() != "exit" {
		command := typed.Text()
		show(command + "\r\n")
		word := strings.ReplaceAll(strings.TrimPrefix(command, "env echo "), `"`, "")
		quoted, _ := json.Marshal(command)
		log("typed", `,"source":"shell","line":`+string(quoted))
		source := "kernel"
		if b.is("exec by the shell") {
			source = "shell"
		}
		log("exec", fmt.Sprintf(`,"source":%q,"argv":["env","echo",%q]`, source, word))
		show(word + "\r\n")
	}
	for _, dir := range []string{settings.LogDir, settings.ShadowDir} {
		if !b.is("no text") {
			b.write(b.Root, dir+"/bastion.log", "[ON]:x [SESSION]:"+id+" [BY]:shell")
		}
	}
	log("end", "")
	first := filepath.Join(dir, "000001.cast")
	if !b.is("left open") {
		assert.NoError(b.t, cast.Close())
	}
	if b.is("forged") {
		text, _ := os.ReadFile(first)
		_ = os.WriteFile(first, bytes.Replace(text, []byte("echo"), []byte("true"), 1), 0o600)
	}
	if b.is("shadow") {
		_ = os.WriteFile(filepath.Join(shadow, "000001.cast"), []byte("x"), 0o600)
	}
	if b.is("no shadow") {
		_ = os.RemoveAll(shadow)
	}
	if b.is("readable") {
		_ = os.Chmod(first, 0o644)
	}
	if b.is("open folder") {
		_ = os.Chmod(dir, 0o711)
	}
}
