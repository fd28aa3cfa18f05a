package ship

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// service is CloudWatch Logs and S3 as far as shipping needs them: with their
// limits, and with faults.
type service struct {
	*httptest.Server
	mu       sync.Mutex
	streams  map[string][]string // of "group|stream"
	times    map[string][]int64
	objects  map[string][]byte
	requests int
	faults   []fault
	limit    time.Duration // how old a line may be
	clock    func() time.Time
	problems []string
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
}

// fault answers a request in place of the service, or says that it doesn't. op is
// PutLogEvents, CreateLogStream or PutObject.
type fault func(op, name string, w http.ResponseWriter, r *http.Request) bool

func newService(t *testing.T) *service {
	t.Helper()
	f := &service{streams: map[string][]string{}, times: map[string][]int64{}, objects: map[string][]byte{}, limit: 14 * 24 * time.Hour, clock: time.Now}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *service) clients() (*cloudwatchlogs.Client, *s3.Client) {
	credentials := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b"}, nil
	})
	cfg := aws.Config{
		Region: "eu-west-1", BaseEndpoint: aws.String(f.URL), Credentials: credentials,
		Retryer:    func() aws.Retryer { return aws.NopRetryer{} },
		HTTPClient: &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DialContext: f.dial}},
	}
	return cloudwatchlogs.NewFromConfig(cfg), s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
}

func (f *service) problem(format string, values ...any) {
	f.problems = append(f.problems, fmt.Sprintf(format, values...))
}

func (f *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests++
	w.Header().Set("Date", f.clock().UTC().Format(http.TimeFormat))
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		f.logs(w, r, strings.TrimPrefix(target, "Logs_20140328."), body)
		return
	}
	f.put(w, r, body)
}

func (f *service) broken(op, name string, w http.ResponseWriter, r *http.Request) bool {
	for _, fault := range f.faults {
		if fault(op, name, w, r) {
			return true
		}
	}
	return false
}

func (f *service) put(w http.ResponseWriter, r *http.Request, body []byte) {
	key := strings.TrimPrefix(r.URL.Path, "/records/")
	if f.broken("PutObject", key, w, r) {
		return
	}
	sum := sha256.Sum256(body)
	if r.Header.Get("X-Amz-Checksum-Sha256") != base64.StdEncoding.EncodeToString(sum[:]) {
		f.problem("%s has the checksum %q", key, r.Header.Get("X-Amz-Checksum-Sha256"))
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if before, ok := f.objects[key]; ok && string(before) != string(body) {
		f.problem("%s was put twice, with another content", key)
	}
	f.objects[key] = body
}

func refuse(w http.ResponseWriter, status int, kind string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"__type":%q,"message":"no"}`, kind)
}

func (f *service) logs(w http.ResponseWriter, r *http.Request, op string, body []byte) {
	var in struct {
		Group  string `json:"logGroupName"`
		Stream string `json:"logStreamName"`
		Events []struct {
			Timestamp int64
			Message   string
		} `json:"logEvents"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		f.problem("%v", err)
	}
	name := in.Group + "|" + in.Stream
	if f.broken(op, name, w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	lines, there := f.streams[name]
	switch {
	case op == "CreateLogStream" && there:
		refuse(w, http.StatusBadRequest, "ResourceAlreadyExistsException")
		return
	case op == "CreateLogStream":
		f.streams[name] = []string{}
		_, _ = io.WriteString(w, "{}")
		return
	case !there:
		refuse(w, http.StatusBadRequest, "ResourceNotFoundException")
		return
	}
	size, last := 0, int64(0)
	now := f.clock()
	old, young := 0, len(in.Events)
	for i, e := range in.Events {
		size += len(e.Message) + 26
		if e.Timestamp < last {
			f.problem("%s: times go back", name)
		}
		if len(e.Message) > 256<<10-26 || e.Message == "" {
			f.problem("%s: an event of %d bytes", name, len(e.Message))
		}
		last = e.Timestamp
		if now.Sub(time.UnixMilli(e.Timestamp)) > f.limit {
			old = i + 1
		}
		if time.UnixMilli(e.Timestamp).Sub(now) > 2*time.Hour {
			young = min(young, i)
		}
	}
	if size > 1<<20 || len(in.Events) > 10000 || len(in.Events) == 0 {
		f.problem("%s: %d events of %d bytes", name, len(in.Events), size)
	}
	if n := len(in.Events); n > 0 && last-in.Events[0].Timestamp > (24*time.Hour).Milliseconds() {
		f.problem("%s: a batch over more than a day", name)
	}
	for _, e := range in.Events[old:max(old, young)] {
		lines = append(lines, e.Message)
		f.times[name] = append(f.times[name], e.Timestamp)
	}
	f.streams[name] = lines
	info := map[string]int{}
	if old > 0 {
		info["tooOldLogEventEndIndex"] = old
	}
	if young < len(in.Events) {
		info["tooNewLogEventStartIndex"] = young
	}
	answer := map[string]any{}
	if len(info) > 0 {
		answer["rejectedLogEventsInfo"] = info
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (f *service) lines(name string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{}, f.streams[name]...)
}

func (f *service) set(faults ...fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = faults
}

func (f *service) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests
}
