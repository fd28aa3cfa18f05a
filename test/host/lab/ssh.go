//go:build linux

package lab

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// NewKey is a new Ed25519 key.
func NewKey() ssh.Signer {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		panic(err)
	}
	return signer
}

// AuthorizedKey is the public half as a line of authorized_keys.
func AuthorizedKey(key ssh.Signer) []byte { return ssh.MarshalAuthorizedKey(key.PublicKey()) }

// Person makes a key for a person, stores its public half where the host looks for
// people, and keeps it for [Lab.SSH] and [Lab.Login].
func (l *Lab) Person(name string) ssh.Signer {
	key := NewKey()
	l.Know(name, key)
	l.S3.Put("public-keys/"+name+".pub", AuthorizedKey(key))
	return key
}

// Know keeps a key for [Lab.SSH] and [Lab.Login], and gives it to nobody.
func (l *Lab) Know(name string, key ssh.Signer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keys[name] = key
}

// Key is the one that is kept of a person.
func (l *Lab) Key(name string) ssh.Signer {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.keys[name]
}

// SSHOptions of a connection. The zero value logs in with the person's key.
type SSHOptions struct {
	Key  ssh.Signer       // instead of the person's
	Auth []ssh.AuthMethod // instead of any key
	From string           // client address, [ClientIP] to 198.51.100.19
	// Wait tries again for so long, as long as sshd can't be reached or knows nobody yet.
	Wait time.Duration
}

// Dial connects from the client's namespace.
func (l *Lab) Dial(user string, o SSHOptions) (*ssh.Client, error) {
	deadline := time.Now().Add(o.Wait)
	for {
		client, err := l.dial(user, o)
		if err == nil || !time.Now().Before(deadline) {
			return client, err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (l *Lab) dial(user string, o SSHOptions) (*ssh.Client, error) {
	key := l.Key(user)
	if o.Key != nil {
		key = o.Key
	}
	auth := o.Auth
	if auth == nil {
		if key == nil {
			return nil, fmt.Errorf("no key for %s: make the person first", user)
		}
		auth = []ssh.AuthMethod{ssh.PublicKeys(key)}
	}
	conn, err := l.Connect(net.JoinHostPort(BastionIP, "22"), o.From)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	c, channels, requests, err := ssh.NewClientConn(conn, BastionIP, &ssh.ClientConfig{
		User: user, Auth: auth,
		// What OpenSSH's client asks for first; this library would take RSA.
		HostKeyAlgorithms: append([]string{ssh.KeyAlgoED25519}, ssh.SupportedAlgorithms().HostKeys...),
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.hostKeys[key.Type()] = key
			return nil
		},
	})
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	return ssh.NewClient(c, channels, requests), nil
}

// HostKeys are those that clients were shown, by type.
func (l *Lab) HostKeys() map[string]ssh.PublicKey {
	l.mu.Lock()
	defer l.mu.Unlock()
	keys := map[string]ssh.PublicKey{}
	for kind, key := range l.hostKeys {
		keys[kind] = key
	}
	return keys
}

// Connect opens a TCP connection from the client's namespace; from may be "".
func (l *Lab) Connect(address, from string) (conn net.Conn, err error) {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	err = l.network.client.do(func() (err error) {
		conn, err = dialer.DialContext(context.Background(), "tcp4", address)
		return err
	})
	return conn, err
}

// Exec runs a command as ssh user@host command does: its output, and its exit
// status or why there is none.
func (l *Lab) Exec(user, command string) (string, error) {
	client, err := l.Dial(user, SSHOptions{})
	if err != nil {
		return "", err
	}
	defer func() { _ = client.Close() }()
	session, err := client.NewSession()
	if err != nil {
		return "", err
	}
	defer func() { _ = session.Close() }()
	done := time.AfterFunc(30*time.Second, func() { _ = client.Close() })
	defer done.Stop()
	out, err := session.CombinedOutput(command)
	return string(out), err
}

// A Session is a shell with a terminal.
type Session struct {
	t       testing.TB
	client  *ssh.Client
	session *ssh.Session
	input   io.Writer
	marks   int

	mu     sync.Mutex
	output bytes.Buffer
	read   int           // what Expect has consumed
	more   chan struct{} // closed and replaced with more output
	ended  chan struct{}
}

// Expectation is how long [Session.Expect] waits.
const Expectation = 15 * time.Second

// Login opens a shell with a terminal, as ssh user@bastion does.
func (l *Lab) Login(t testing.TB, user string) *Session {
	t.Helper()
	s, err := l.Open(user, SSHOptions{})
	if err != nil {
		t.Fatalf("ssh %s@bastion: %v", user, err)
	}
	s.t = t
	t.Cleanup(s.Close)
	return s
}

// Open is [Lab.Login] for who expects to fail. Its Expect panics where it fails.
func (l *Lab) Open(user string, o SSHOptions) (*Session, error) {
	client, err := l.Dial(user, o)
	if err != nil {
		return nil, err
	}
	s, err := Shell(client)
	if err != nil {
		_ = client.Close()
	}
	return s, err
}

// Shell opens one more shell on a connection.
func Shell(client *ssh.Client) (*Session, error) { return Terminal(client, "") }

// Terminal runs a command with a terminal, as ssh -t does. "": a shell.
func Terminal(client *ssh.Client, command string) (*Session, error) {
	session, err := client.NewSession()
	if err != nil {
		return nil, err
	}
	s := &Session{client: client, session: session, more: make(chan struct{}), ended: make(chan struct{})}
	if s.input, err = session.StdinPipe(); err != nil {
		return nil, err
	}
	output, err := session.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := session.RequestPty("xterm", 40, 400, ssh.TerminalModes{}); err != nil {
		return nil, err
	}
	begin := session.Shell
	if command != "" {
		begin = func() error { return session.Start(command) }
	}
	if err := begin(); err != nil {
		return nil, err
	}
	go s.collect(output)
	return s, nil
}

func (s *Session) collect(output io.Reader) {
	buffer := make([]byte, 32*1024)
	for {
		n, err := output.Read(buffer)
		s.mu.Lock()
		s.output.Write(buffer[:n])
		close(s.more)
		s.more = make(chan struct{})
		s.mu.Unlock()
		if err != nil {
			_ = s.session.Wait()
			close(s.ended)
			return
		}
	}
}

// Send sends bytes as they are.
func (s *Session) Send(text string) *Session {
	_, _ = io.WriteString(s.input, text)
	return s
}

// Type types a line. The terminal echoes it: write what to expect so that the line
// itself doesn't match, as in Type(`echo a"b"`).Expect("ab").
func (s *Session) Type(line string) *Session { return s.Send(line + "\r") }

// Expect waits until the pattern shows up behind what was expected before, and
// fails the test where it doesn't. It returns the match.
func (s *Session) Expect(pattern string) string {
	if s.t != nil {
		s.t.Helper()
	}
	found, err := s.Wait(pattern, Expectation)
	if err != nil {
		if s.t == nil {
			panic(err)
		}
		s.t.Fatal(err)
	}
	return found
}

// ErrEnded says that the session was over before it showed what was waited for.
var ErrEnded = errors.New("the session ended")

// Wait is [Session.Expect] with a time and an error.
func (s *Session) Wait(pattern string, within time.Duration) (string, error) {
	form := regexp.MustCompile(pattern)
	deadline := time.After(within)
	over := false
	for {
		s.mu.Lock()
		rest, more := s.output.Bytes()[s.read:], s.more
		if at := form.FindIndex(rest); at != nil {
			found := string(rest[at[0]:at[1]])
			s.read += at[1]
			s.mu.Unlock()
			return found, nil
		}
		shown := string(rest)
		s.mu.Unlock()
		if over {
			return "", fmt.Errorf("%w before it showed %q. It showed: %q", ErrEnded, pattern, shown)
		}
		select {
		case <-more:
		case <-s.ended:
			over = true
		case <-deadline:
			return "", fmt.Errorf("the session did not show %q in %s. It showed: %q", pattern, within, shown)
		}
	}
}

// Run types a command, waits for its end and returns what it wrote and its exit
// status. The shell must show a prompt or be about to.
func (s *Session) Run(command string) (out string, code int, err error) {
	return s.RunFor(command, Expectation)
}

// RunFor is [Session.Run] with a time.
func (s *Session) RunFor(command string, within time.Duration) (out string, code int, err error) {
	s.marks++
	s.mu.Lock()
	s.read = s.output.Len()
	start := s.read
	s.mu.Unlock()
	s.Type(fmt.Sprintf(`echo "@""@%[2]d<"; %[1]s; echo "@""@%[2]d:$?:"`, command, s.marks))
	found, err := s.Wait(fmt.Sprintf(`@@%d:(\d+):`, s.marks), within)
	s.mu.Lock()
	text := s.output.String()[start:]
	s.mu.Unlock()
	text, _, _ = strings.Cut(text, fmt.Sprintf("@@%d:", s.marks))
	// What the terminal echoed is not the command's.
	_, text, _ = strings.Cut(text, fmt.Sprintf("@@%d<", s.marks))
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r", ""))
	if err != nil {
		return text, 0, err
	}
	code, _ = strconv.Atoi(strings.Split(found, ":")[1])
	return text, code, nil
}

// Output is everything the session showed so far.
func (s *Session) Output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.output.String()
}

// Ended waits for the end of the session, and says whether it came.
func (s *Session) Ended(within time.Duration) bool {
	select {
	case <-s.ended:
		return true
	case <-time.After(within):
		return false
	}
}

// Close hangs up, as a closed lid does.
func (s *Session) Close() { _ = s.client.Close() }
