package people

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const bucketName = "keys"

// bucket is an S3 that does what people asks of it, as the API reference has it, and
// fails in the ways that a test wants.
type bucket struct {
	mu       sync.Mutex
	objects  map[string]stored
	clock    func() time.Time
	requests []string
	// fault answers in its place where it returns true.
	fault func(w http.ResponseWriter, r *http.Request) bool
	url   string
}

type stored struct {
	content  string
	etag     string
	modified time.Time
}

func newBucket(t testing.TB, clock func() time.Time) *bucket {
	t.Helper()
	b := &bucket{objects: map[string]stored{}, clock: clock}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

func (b *bucket) put(key, content string) { b.putAt(key, content, b.clock()) }

func (b *bucket) putAt(key, content string, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	sum := md5.Sum([]byte(content))
	b.objects[key] = stored{content, `"` + hex.EncodeToString(sum[:]) + `"`, at.UTC().Truncate(time.Second)}
}

func (b *bucket) remove(keys ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, key := range keys {
		delete(b.objects, key)
	}
}

// calls since the last time they were asked for.
func (b *bucket) calls() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	calls := b.requests
	b.requests = nil
	return calls
}

func (b *bucket) client() Client { return clientOf(b.url, 3) }

func clientOf(endpoint string, attempts int) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(endpoint), UsePathStyle: true, Region: "eu-west-1",
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
		HTTPClient:  &http.Client{Timeout: 2 * time.Second},
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff, o.RateLimiter = attempts, time.Millisecond, ratelimit.None
		}),
	})
}

type answer struct {
	XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name                  string
	Prefix                string
	Delimiter             string
	EncodingType          string
	MaxKeys               int
	KeyCount              int
	IsTruncated           bool
	NextContinuationToken string `xml:",omitempty"`
	Contents              []content
	CommonPrefixes        []folder
}

type content struct {
	Key          string
	LastModified string
	ETag         string
	Size         int
}

type folder struct{ Prefix string }

func (b *bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	b.requests = append(b.requests, r.Method+" "+r.URL.RequestURI())
	fault := b.fault
	b.mu.Unlock()
	w.Header().Set("Date", b.clock().UTC().Format(http.TimeFormat))
	if fault != nil && fault(w, r) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	key, isObject := strings.CutPrefix(r.URL.Path, "/"+bucketName+"/")
	if isObject && key != "" {
		b.get(w, r, key)
		return
	}
	b.list(w, r.URL.Query())
}

func (b *bucket) get(w http.ResponseWriter, r *http.Request, key string) {
	o, found := b.objects[key]
	match := r.Header.Get("If-Match")
	switch {
	case !found:
		refuse(w, http.StatusNotFound, "NoSuchKey")
	case match != "" && match != o.etag:
		refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
	case r.Header.Get("If-None-Match") == o.etag:
		w.WriteHeader(http.StatusNotModified)
	default:
		w.Header().Set("ETag", o.etag)
		w.Header().Set("x-amz-version-id", "v-"+o.etag[1:5])
		w.Header().Set("Content-Length", strconv.Itoa(len(o.content)))
		_, _ = io.WriteString(w, o.content)
	}
}

func (b *bucket) list(w http.ResponseWriter, q url.Values) {
	prefix, after := q.Get("prefix"), q.Get("continuation-token")
	a := answer{Name: bucketName, Prefix: prefix, Delimiter: q.Get("delimiter"), EncodingType: q.Get("encoding-type"), MaxKeys: 1000}
	var keys []string
	for key := range b.objects {
		if strings.HasPrefix(key, prefix) && key > after {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	encode := func(key string) string {
		if a.EncodingType == "url" {
			return strings.ReplaceAll(url.QueryEscape(key), "%2F", "/")
		}
		return key
	}
	for _, key := range keys {
		if a.KeyCount == a.MaxKeys {
			a.IsTruncated = true
			break
		}
		a.NextContinuationToken = key
		if i := strings.Index(key[len(prefix):], "/"); i >= 0 && a.Delimiter == "/" {
			deeper := encode(key[:len(prefix)+i+1])
			if n := len(a.CommonPrefixes); n == 0 || a.CommonPrefixes[n-1].Prefix != deeper {
				a.CommonPrefixes = append(a.CommonPrefixes, folder{deeper})
				a.KeyCount++
			}
			continue
		}
		o := b.objects[key]
		a.Contents = append(a.Contents, content{encode(key), o.modified.Format("2006-01-02T15:04:05.000Z"), o.etag, len(o.content)})
		a.KeyCount++
	}
	if !a.IsTruncated {
		a.NextContinuationToken = ""
	}
	text, err := xml.Marshal(a)
	if err != nil {
		panic(err)
	}
	// S3 writes what XML can't hold as a reference, which no decoder takes.
	text = bytes.ReplaceAll(text, []byte("\uFFFD"), []byte("&#x1;"))
	w.Header().Set("Content-Type", "application/xml")
	_, _ = w.Write(append([]byte(xml.Header), text...))
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>said the test</Message></Error>", code)
}
