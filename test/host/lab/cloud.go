//go:build linux

package lab

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// services have an address each, in this order, so that one can be unreachable
// while another isn't. "" is whatever else a host asks for.
var services = []string{"", "s3", "logs", "ssm", "cloudformation", "ec2", "autoscaling", "sts", "monitoring", "kms"}

func serviceIP(i int) string { return awsNetwork + strconv.Itoa(10+i) }

// A Request is one call as a service saw it.
type Request struct {
	At      time.Duration // since the payload was started
	Service string        // "s3", "logs", "imds" ...
	Op      string        // "ListObjectsV2"; for imds method and path
	Bucket  string
	Key     string // an object's key, a parameter's name, a log stream
	Page    int    // of a listing, from 1
	Bytes   int    // of the request's body
	Status  int    // what was answered; 0: the connection was cut
	// AccessKey is who signed it: that of the instance role begins with ASIALAB.
	AccessKey string
	UserAgent string
	// Faulty says that a [Fault] decided the answer.
	Faulty bool
}

// A Fault makes requests fail. Its empty fields match everything.
type Fault struct {
	Service string
	Op      string
	Key     string // part of the object's key or parameter's name
	Page    int    // of a listing, from 1
	// After lets so many matching requests through; Times ends it after so many. 0: no end.
	After, Times int

	// Delay comes before anything else, and may be all there is.
	Delay time.Duration
	// Status refuses without effect: 403, 404, 500, 503. Code is the error's name;
	// "" takes the service's usual one.
	Status int
	Code   string
	// Throttle refuses as the service does when it is asked too often.
	Throttle bool
	// CutBody sends half of the answer: the request had its effect.
	CutBody bool
	// Drop closes the connection after the request had its effect, without an answer.
	Drop bool
	// ConnRefused and NoDNS are about the service as a whole; no other field but
	// Service counts then. NoDNS answers SERVFAIL.
	ConnRefused, NoDNS bool
}

// An apiError is an answer that refuses.
type apiError struct {
	status        int
	code, message string
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

// A call is a request on its way through the fakes.
type call struct {
	Request
	r    *http.Request
	body []byte
	form url.Values // of the Query protocol
}

// cloud is what the host takes for AWS.
type cloud struct {
	mu        sync.Mutex
	started   time.Time
	network   network
	authority *authority
	requests  []Request
	faults    []*fault
	changed   chan struct{} // closed and replaced with every request
	servers   map[string]*http.Server
	dns       []io.Closer

	s3      *S3
	logs    *Logs
	ssm     *SSM
	imds    *IMDS
	signals []Signal
	other   []url.Values // of Query calls that are only recorded
}

type fault struct {
	Fault
	seen int
}

// A Signal is what CloudFormation gets to hear.
type Signal struct {
	At       time.Duration // since the payload was started
	Status   string        // SUCCESS or FAILURE
	Stack    string
	Resource string
	UniqueID string
}

func newCloud(n network, a *authority, imds *IMDS) (*cloud, error) {
	c := &cloud{
		started: time.Now(), network: n, authority: a, changed: make(chan struct{}),
		servers: map[string]*http.Server{}, imds: imds,
	}
	c.s3 = &S3{c: c, PageSize: 1000, buckets: map[string]map[string]Object{}}
	c.logs = &Logs{c: c, streams: map[string][]LogEvent{}}
	c.ssm = &SSM{c: c, parameters: map[string]Parameter{}}
	for _, service := range services {
		if err := c.listen(service); err != nil {
			c.close()
			return nil, err
		}
	}
	if err := errors.Join(c.listenIMDS(), c.listenDNS(), c.listenInternal()); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *cloud) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, server := range c.servers {
		_ = server.Close()
	}
	for _, closer := range c.dns {
		_ = closer.Close()
	}
}

// listen serves one service; a second call is without effect.
func (c *cloud) listen(service string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.servers[service] != nil {
		return nil
	}
	return c.network.aws.do(func() error {
		plain, err := new(net.ListenConfig).Listen(context.Background(), "tcp4", serviceIP(slices.Index(services, service))+":443")
		if err != nil {
			return err
		}
		server := &http.Server{Handler: http.HandlerFunc(c.serve), ReadHeaderTimeout: time.Minute, ErrorLog: quiet}
		c.servers[service] = server
		go func() {
			_ = server.Serve(tls.NewListener(plain, &tls.Config{GetCertificate: c.authority.certificate, MinVersion: tls.VersionTLS12}))
		}()
		return nil
	})
}

// listenInternal is the server in the private network that nobody may reach who
// wasn't given a way.
func (c *cloud) listenInternal() error {
	return c.network.aws.do(func() error {
		for _, port := range []string{"5432", "8080"} {
			listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp4", InternalIP+":"+port)
			if err != nil {
				return err
			}
			c.dns = append(c.dns, listener)
			go func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					_, _ = io.WriteString(conn, "internal database\n")
					_ = conn.Close()
				}
			}()
		}
		return nil
	})
}

// serviceOf finds the service and the bucket in a host name.
func serviceOf(host string) (service, bucket string) {
	host, _, _ = strings.Cut(host, ":")
	host = strings.TrimSuffix(strings.TrimSuffix(host, "."), ".cn")
	host, ok := strings.CutSuffix(host, ".amazonaws.com")
	if !ok {
		return "", ""
	}
	labels := strings.Split(host, ".")
	for i, label := range labels {
		if label == "s3" || strings.HasPrefix(label, "s3-") {
			return "s3", strings.Join(labels[:i], ".")
		}
	}
	if slices.Contains(services, labels[0]) {
		return labels[0], ""
	}
	return "", ""
}

func (c *cloud) serve(w http.ResponseWriter, r *http.Request) {
	service, bucket := serviceOf(r.Host)
	in := &call{r: r}
	in.Service, in.Bucket, in.UserAgent = service, bucket, r.UserAgent()
	if _, rest, ok := strings.Cut(r.Header.Get("Authorization"), "Credential="); ok {
		in.AccessKey, _, _ = strings.Cut(rest, "/")
	}
	var err error
	if in.body, err = readBody(r); err != nil {
		return // the client went away
	}
	in.Bytes = len(in.body)
	var answer func(*call) (any, error)
	var write func(http.ResponseWriter, *call, any, error)
	switch {
	case service == "s3":
		c.s3.name(in)
		answer, write = c.s3.answer, writeS3
	case r.Header.Get("X-Amz-Target") != "":
		_, in.Op, _ = strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		answer, write = c.json, writeJSON
	default:
		in.form, _ = url.ParseQuery(string(in.body))
		for key, values := range r.URL.Query() {
			in.form[key] = append(in.form[key], values...)
		}
		in.Op = in.form.Get("Action")
		answer, write = c.query, writeQuery
	}
	c.reply(w, in, answer, write)
}

// reply lets the faults have their say, answers and records.
func (c *cloud) reply(w http.ResponseWriter, in *call, answer func(*call) (any, error), write func(http.ResponseWriter, *call, any, error)) {
	f := c.match(in)
	if f.Delay > 0 {
		select {
		case <-time.After(f.Delay):
		case <-in.r.Context().Done():
		}
	}
	recorder := &response{header: http.Header{}, status: http.StatusOK}
	switch {
	case f.Throttle:
		write(recorder, in, nil, throttled(in.Service))
	case f.Status != 0:
		write(recorder, in, nil, refusal(in.Service, f.Status, f.Code))
	case in.AccessKey == "" && in.Service != "imds":
		write(recorder, in, nil, refusal(in.Service, http.StatusForbidden, ""))
	default:
		out, err := answer(in)
		write(recorder, in, out, err)
	}
	in.Status = recorder.status
	if f.Drop {
		in.Status = 0
	}
	c.record(in.Request)
	if f.Drop {
		panic(http.ErrAbortHandler)
	}
	for key, values := range recorder.header {
		w.Header()[key] = values
	}
	w.Header().Set("X-Amzn-Requestid", fmt.Sprintf("lab-%d", time.Now().UnixNano()))
	if in.r.Method != http.MethodHead {
		w.Header().Set("Content-Length", strconv.Itoa(recorder.body.Len()))
	}
	w.WriteHeader(recorder.status)
	if f.CutBody {
		_, _ = w.Write(recorder.body.Bytes()[:recorder.body.Len()/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(recorder.body.Bytes())
}

type response struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *response) Header() http.Header         { return r.header }
func (r *response) WriteHeader(status int)      { r.status = status }
func (r *response) Write(p []byte) (int, error) { return r.body.Write(p) }

func (c *cloud) record(request Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	request.At = time.Since(c.started)
	c.requests = append(c.requests, request)
	close(c.changed)
	c.changed = make(chan struct{})
}

// match is the first fault that is meant for the call, or none.
func (c *cloud) match(call *call) Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.faults {
		if f.ConnRefused || f.NoDNS ||
			f.Service != "" && f.Service != call.Service ||
			f.Op != "" && f.Op != call.Op ||
			f.Page != 0 && f.Page != call.Page ||
			!strings.Contains(call.Key, f.Key) {
			continue
		}
		f.seen++
		if f.seen <= f.After || f.Times > 0 && f.seen > f.After+f.Times {
			continue
		}
		call.Faulty = true
		return f.Fault
	}
	return Fault{}
}

func (c *cloud) addFault(f Fault) (remove func()) {
	added := &fault{Fault: f}
	c.mu.Lock()
	c.faults = append(c.faults, added)
	var server *http.Server
	if f.ConnRefused {
		server = c.servers[f.Service]
		delete(c.servers, f.Service)
	}
	c.mu.Unlock()
	if server != nil {
		_ = server.Close()
	}
	return sync.OnceFunc(func() {
		c.mu.Lock()
		c.faults = slices.DeleteFunc(c.faults, func(f *fault) bool { return f == added })
		c.mu.Unlock()
		if f.ConnRefused {
			_ = c.listen(f.Service)
		}
	})
}

// noDNS says whether a fault keeps the name from being resolved.
func (c *cloud) noDNS(service string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.faults, func(f *fault) bool {
		return f.NoDNS && (f.Service == "" || f.Service == service)
	})
}

func refusal(service string, status int, code string) *apiError {
	if code == "" {
		switch status {
		case http.StatusForbidden:
			code = "AccessDenied"
			if service != "s3" && service != "cloudformation" {
				code = "AccessDeniedException"
			}
		case http.StatusNotFound:
			code = map[string]string{"s3": "NoSuchBucket", "logs": "ResourceNotFoundException", "ssm": "ParameterNotFound"}[service]
		case http.StatusServiceUnavailable:
			code = "ServiceUnavailable"
		default:
			code = "InternalError"
			if service != "s3" {
				code = "InternalFailure"
			}
		}
	}
	return &apiError{status, code, "the lab was told to refuse this"}
}

func throttled(service string) *apiError {
	if service == "s3" {
		return &apiError{http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate."}
	}
	if service == "ssm" || service == "logs" {
		return &apiError{http.StatusBadRequest, "ThrottlingException", "Rate exceeded"}
	}
	return &apiError{http.StatusBadRequest, "Throttling", "Rate exceeded"}
}

// readBody undoes the encodings that the SDKs use.
func readBody(r *http.Request) ([]byte, error) {
	var source io.Reader = r.Body
	if strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		source = &chunked{r: newLineReader(r.Body)}
	}
	if r.Header.Get("Content-Encoding") == "gzip" && r.Header.Get("X-Amz-Target") != "" {
		zipped, err := gzip.NewReader(source)
		if err != nil {
			return nil, err
		}
		source = zipped
	}
	return io.ReadAll(io.LimitReader(source, 256<<20))
}
