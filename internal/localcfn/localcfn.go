package localcfn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/postern-cdk/postern/internal/localcfn/engine"
	"github.com/postern-cdk/postern/internal/localcfn/server"
)

// Options configure a [Server]. The zero value is a good one.
type Options struct {
	// Account is the account's twelve digits; default 000000000000.
	Account string
	// Region is the one region there is; default us-east-1.
	Region string
	// StateFile keeps everything over a restart, in one JSON file that is
	// replaced as a whole. Empty keeps nothing.
	StateFile string
	// Delay is how long each operation on a resource takes; default none. With
	// a delay, stacks change behind the call, as AWS's do.
	Delay time.Duration
	// Quotas overrides how many resources of a type there may be, such as
	// {"AWS::EC2::VPC": 20}.
	Quotas map[string]int
	// CustomResources answer for custom resources, by resource type such as
	// Custom::Thing, or by service token. Others are refused.
	CustomResources map[string]CustomResource
	// Faults are injected from the start.
	Faults []Fail
}

// Fail makes an operation on a resource type fail, once.
type Fail = engine.Fault

// Server is a local CloudFormation.
type Server struct {
	options  Options
	engine   *engine.Engine
	handler  http.Handler
	listener net.Listener
	custom   *responder
	http     *http.Server
	done     chan error
}

var (
	accountPattern = regexp.MustCompile(`^\d{12}$`)
	regionPattern  = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d$`)
)

// New makes a server and reads its state file, if there is one. It doesn't
// listen yet: call Start, or serve Handler yourself.
func New(o Options) (*Server, error) {
	if o.Account == "" {
		o.Account = "000000000000"
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if !accountPattern.MatchString(o.Account) {
		return nil, fmt.Errorf("localcfn: account %q is not twelve digits", o.Account)
	}
	if !regionPattern.MatchString(o.Region) {
		return nil, fmt.Errorf("localcfn: region %q does not look like us-east-1", o.Region)
	}
	partition := "aws"
	switch {
	case strings.HasPrefix(o.Region, "cn-"):
		partition = "aws-cn"
	case strings.HasPrefix(o.Region, "us-gov-"):
		partition = "aws-us-gov"
	}
	options := engine.Options{
		Account: o.Account, Region: o.Region, Partition: partition, StateFile: o.StateFile, Delay: o.Delay, Quotas: o.Quotas,
	}
	var custom *responder
	if len(o.CustomResources) > 0 {
		var err error
		if custom, err = newResponder(o.CustomResources); err != nil {
			return nil, fmt.Errorf("localcfn: %w", err)
		}
		options.AnswersCustom, options.Custom = custom.answers, custom.ask
	}
	e, err := engine.New(options)
	if err != nil {
		return nil, fmt.Errorf("localcfn: %w", err)
	}
	for _, f := range o.Faults {
		if err := e.Inject(f); err != nil {
			return nil, fmt.Errorf("localcfn: %w", err)
		}
	}
	return &Server{options: o, engine: e, custom: custom, handler: loopback(server.New(e, o.Account, o.Region, partition))}, nil
}

// loopback refuses requests that come from elsewhere, or that a page in a
// browser sends: the server does whatever it is asked, by anyone.
func loopback(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !a.Addr().Unmap().IsLoopback() {
			http.Error(w, "loopback only", http.StatusForbidden)
			return
		}
		if !local(r.Host) {
			// A page may have its own name resolve to this machine.
			http.Error(w, "not a name of this machine", http.StatusForbidden)
			return
		}
		if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
			http.Error(w, "not for browsers", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// local says that a Host header names this machine: localhost, a bucket's name
// before it, or a loopback address.
func local(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return a.Unmap().IsLoopback()
	}
	host = strings.ToLower(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// Handler answers the AWS calls. It refuses callers that are not on this machine.
func (s *Server) Handler() http.Handler { return s.handler }

// Start listens on an address such as "127.0.0.1:0" and serves until Close.
// An address that is not a loopback address is refused.
func (s *Server) Start(addr string) error {
	if s.listener != nil {
		return errors.New("localcfn: already started")
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("localcfn: address %q: %w", addr, err)
	}
	if host != "localhost" {
		if a, err := netip.ParseAddr(host); err != nil || !a.IsLoopback() {
			return fmt.Errorf("localcfn: address %q is not a loopback address: this server checks no credentials and must not be reached from elsewhere; use 127.0.0.1:0", addr)
		}
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("localcfn: %w", err)
	}
	if a, ok := l.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		_ = l.Close()
		return fmt.Errorf("localcfn: %q resolves to %s, which is not a loopback address", addr, l.Addr())
	}
	s.listener = l
	s.http = &http.Server{Handler: s.handler, ReadHeaderTimeout: 10 * time.Second}
	s.done = make(chan error, 1)
	go func() { s.done <- s.http.Serve(l) }()
	return nil
}

// URL is the endpoint, by the name localhost; empty before Start.
func (s *Server) URL() string {
	if s.listener == nil {
		return ""
	}
	_, port, _ := net.SplitHostPort(s.listener.Addr().String())
	return "http://localhost:" + port
}

// Env lists the environment variables, as NAME=value, that make the CDK CLI,
// the AWS CLI and the AWS SDKs talk to this server and to nothing else.
func (s *Server) Env() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + s.URL(),
		"AWS_ACCESS_KEY_ID=test",
		"AWS_SECRET_ACCESS_KEY=test",
		"AWS_REGION=" + s.options.Region,
		"AWS_DEFAULT_REGION=" + s.options.Region,
		"AWS_EC2_METADATA_DISABLED=true",
		"CDK_DEFAULT_ACCOUNT=" + s.options.Account,
		"CDK_DEFAULT_REGION=" + s.options.Region,
		"CDK_DISABLE_CLI_TELEMETRY=true",
		"CDK_DISABLE_VERSION_CHECK=1",
	}
}

// Fail injects a fault.
func (s *Server) Fail(f Fail) error { return s.engine.Inject(f) }

// ClearFaults takes all faults back.
func (s *Server) ClearFaults() { s.engine.ClearFaults() }

// Close ends serving, waits for what is under way and writes the state file.
func (s *Server) Close() error {
	var err error
	if s.http != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err = s.http.Shutdown(ctx); err != nil {
			err = errors.Join(err, s.http.Close())
		}
		if e := <-s.done; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
		s.http = nil
	}
	err = errors.Join(err, s.engine.Close())
	if s.custom != nil {
		err = errors.Join(err, s.custom.server.Close())
	}
	return err
}
