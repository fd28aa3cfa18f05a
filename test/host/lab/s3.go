//go:build linux

package lab

import (
	"bufio"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Buckets that the lab's host is told of.
const (
	PeopleBucket = "lab-people"
	RecordBucket = "lab-records"
	BundleBucket = "lab-assets"
)

// S3 keeps objects, any key that is valid UTF-8. Every bucket exists.
type S3 struct {
	c *cloud
	// PageSize is how many keys a listing has at most in one page.
	PageSize int

	buckets map[string]map[string]Object
}

// An Object in a bucket.
type Object struct {
	Data     []byte
	ETag     string
	Modified time.Time
	Header   http.Header // as it was put
}

// Put stores an object in the bucket of people.
func (s *S3) Put(key string, data []byte) { s.PutIn(PeopleBucket, key, data) }

// PutIn stores an object.
func (s *S3) PutIn(bucket, key string, data []byte) { s.PutAged(bucket, key, data, 0) }

// PutAged stores an object that is said to have been written so long ago.
func (s *S3) PutAged(bucket, key string, data []byte, age time.Duration) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.store(bucket, key, Object{Data: slices.Clone(data), Modified: time.Now().Add(-age)})
}

func (s *S3) store(bucket, key string, o Object) string {
	sum := md5.Sum(o.Data)
	o.ETag = `"` + hex.EncodeToString(sum[:]) + `"`
	if s.buckets[bucket] == nil {
		s.buckets[bucket] = map[string]Object{}
	}
	s.buckets[bucket][key] = o
	return o.ETag
}

// Delete removes an object from the bucket of people.
func (s *S3) Delete(key string) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	delete(s.buckets[PeopleBucket], key)
}

// Get is an object, and whether it is there.
func (s *S3) Get(bucket, key string) (Object, bool) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	o, ok := s.buckets[bucket][key]
	return o, ok
}

// Keys lists a bucket.
func (s *S3) Keys(bucket, prefix string) []string {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.keys(bucket, prefix)
}

func (s *S3) keys(bucket, prefix string) []string {
	list := slices.Sorted(maps.Keys(s.buckets[bucket]))
	return slices.DeleteFunc(list, func(key string) bool { return !strings.HasPrefix(key, prefix) })
}

// name finds out what a call is.
func (s *S3) name(c *call) {
	path := strings.TrimPrefix(c.r.URL.Path, "/")
	if c.Bucket == "" {
		c.Bucket, path, _ = strings.Cut(path, "/")
	}
	c.Key = path
	q := c.r.URL.Query()
	switch method := c.r.Method; {
	case path != "":
		c.Op = map[string]string{
			http.MethodGet: "GetObject", http.MethodHead: "HeadObject", http.MethodPut: "PutObject", http.MethodDelete: "DeleteObject",
		}[method]
		if method == http.MethodGet && q.Has("retention") {
			c.Op = "GetObjectRetention"
		}
	case method == http.MethodHead:
		c.Op = "HeadBucket"
	case method == http.MethodGet && q.Has("location"):
		c.Op = "GetBucketLocation"
	case method == http.MethodGet && q.Get("list-type") == "2":
		c.Op, c.Page = "ListObjectsV2", 1
		if token := q.Get("continuation-token"); token != "" {
			page, _, _ := strings.Cut(token, " ")
			c.Page, _ = strconv.Atoi(page)
		}
	case method == http.MethodGet:
		c.Op, c.Page = "ListObjects", 1
		if q.Get("marker") != "" {
			// Without state the page of this older call is only known by counting.
			s.c.mu.Lock()
			index := slices.Index(s.keys(c.Bucket, q.Get("prefix")), q.Get("marker"))
			c.Page = (index+1)/max(1, s.PageSize) + 1
			s.c.mu.Unlock()
		}
	}
}

type listResult struct {
	XMLName               xml.Name   `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name                  string     `xml:"Name"`
	Prefix                string     `xml:"Prefix"`
	Marker                *string    `xml:"Marker"`
	KeyCount              *int       `xml:"KeyCount"`
	MaxKeys               int        `xml:"MaxKeys"`
	EncodingType          string     `xml:"EncodingType,omitempty"`
	IsTruncated           bool       `xml:"IsTruncated"`
	NextContinuationToken string     `xml:"NextContinuationToken,omitempty"`
	Contents              []contents `xml:"Contents"`
}

type contents struct {
	Key          string
	LastModified string
	ETag         string
	Size         int
	StorageClass string
}

// answer is *listResult, Object, or nil.
func (s *S3) answer(c *call) (any, error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	switch c.Op {
	case "HeadBucket", "GetBucketLocation":
		return nil, nil
	case "ListObjectsV2", "ListObjects":
		return s.list(c), nil
	case "GetObject", "HeadObject":
		o, ok := s.buckets[c.Bucket][c.Key]
		if !ok {
			return nil, &apiError{http.StatusNotFound, "NoSuchKey", "The specified key does not exist."}
		}
		if match := c.r.Header.Get("If-Match"); match != "" && strings.Trim(match, `"`) != strings.Trim(o.ETag, `"`) {
			return nil, &apiError{http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"}
		}
		return o, nil
	case "PutObject":
		if _, ok := s.buckets[c.Bucket][c.Key]; ok && c.r.Header.Get("If-None-Match") == "*" {
			return nil, &apiError{http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"}
		}
		if sum := c.r.Header.Get("Content-Md5"); sum != "" {
			want := md5.Sum(c.body)
			if sum != base64.StdEncoding.EncodeToString(want[:]) {
				return nil, &apiError{http.StatusBadRequest, "BadDigest", "The Content-MD5 you specified did not match what we received."}
			}
		}
		etag := s.store(c.Bucket, c.Key, Object{Data: c.body, Modified: time.Now(), Header: c.r.Header.Clone()})
		return Object{ETag: etag}, nil
	case "DeleteObject":
		delete(s.buckets[c.Bucket], c.Key)
		return nil, nil
	}
	return nil, &apiError{http.StatusNotImplemented, "NotImplemented", "the lab's S3 does not know " + c.r.Method + " " + c.r.URL.String()}
}

func (s *S3) list(c *call) *listResult {
	q := c.r.URL.Query()
	result := &listResult{Name: c.Bucket, Prefix: q.Get("prefix"), MaxKeys: s.PageSize, EncodingType: q.Get("encoding-type")}
	if n, err := strconv.Atoi(q.Get("max-keys")); err == nil && n < result.MaxKeys {
		result.MaxKeys = n
	}
	after := q.Get("start-after")
	if c.Op == "ListObjects" {
		after = q.Get("marker")
		result.Marker = &after
	} else if token := q.Get("continuation-token"); token != "" {
		_, after, _ = strings.Cut(token, " ")
	}
	encode := func(text string) string { return text }
	if result.EncodingType == "url" {
		encode = url.QueryEscape
	}
	for _, key := range s.keys(c.Bucket, result.Prefix) {
		if key <= after {
			continue
		}
		if len(result.Contents) == result.MaxKeys {
			result.IsTruncated = true
			if c.Op == "ListObjectsV2" {
				result.NextContinuationToken = fmt.Sprintf("%d %s", c.Page+1, after)
			}
			break
		}
		o := s.buckets[c.Bucket][key]
		result.Contents = append(result.Contents, contents{
			encode(key), o.Modified.UTC().Format("2006-01-02T15:04:05.000Z"), o.ETag, len(o.Data), "STANDARD",
		})
		after = key
	}
	result.Prefix = encode(result.Prefix)
	if c.Op == "ListObjectsV2" {
		n := len(result.Contents)
		result.KeyCount = &n
	}
	return result
}

func writeS3(w http.ResponseWriter, c *call, out any, err error) {
	w.Header().Set("X-Amz-Bucket-Region", Region)
	if err != nil {
		var e *apiError
		if !errors.As(err, &e) {
			e = &apiError{http.StatusInternalServerError, "InternalError", err.Error()}
		}
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(e.status)
		if c.r.Method != http.MethodHead {
			writeXML(w, struct {
				XMLName xml.Name `xml:"Error"`
				Code    string
				Message string
				Key     string
			}{Code: e.code, Message: e.message, Key: c.Key})
		}
		return
	}
	switch out := out.(type) {
	case *listResult:
		w.Header().Set("Content-Type", "application/xml")
		writeXML(w, out)
	case Object:
		w.Header().Set("Etag", out.ETag)
		if c.Op == "PutObject" {
			return
		}
		w.Header().Set("Last-Modified", out.Modified.UTC().Format(http.TimeFormat))
		w.Header().Set("Content-Type", "binary/octet-stream")
		if c.Op == "HeadObject" {
			w.Header().Set("Content-Length", strconv.Itoa(len(out.Data)))
			return
		}
		from, to, partial := byteRange(c.r.Header.Get("Range"), len(out.Data))
		if partial {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(out.Data)))
			w.WriteHeader(http.StatusPartialContent)
		}
		_, _ = w.Write(out.Data[from:to])
	default:
		if c.Op == "DeleteObject" {
			w.WriteHeader(http.StatusNoContent)
		}
		if c.Op == "GetBucketLocation" {
			writeXML(w, struct {
				XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ LocationConstraint"`
				Value   string   `xml:",chardata"`
			}{Value: Region})
		}
	}
}

// byteRange understands "bytes=FROM-TO" and "bytes=FROM-".
func byteRange(header string, size int) (from, to int, partial bool) {
	first, last, ok := strings.Cut(strings.TrimPrefix(header, "bytes="), "-")
	from, err := strconv.Atoi(first)
	if !ok || err != nil || from > size {
		return 0, size, false
	}
	to, err = strconv.Atoi(last)
	if err != nil || to >= size {
		return from, size, true
	}
	return from, to + 1, true
}

func writeXML(w io.Writer, v any) {
	text, err := xml.Marshal(v)
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(w, xml.Header)
	_, _ = w.Write(text)
}

func newLineReader(r io.Reader) *bufio.Reader { return bufio.NewReader(r) }

// chunked reads aws-chunked, with signatures and trailers that nobody checks here.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
type chunked struct {
	r    *bufio.Reader
	left int64
	done bool
}

func (c *chunked) Read(p []byte) (int, error) {
	for c.left == 0 {
		if c.done {
			return 0, io.EOF
		}
		line, err := c.r.ReadString('\n')
		if err != nil {
			return 0, err
		}
		if line = strings.TrimSpace(line); line == "" {
			continue // the end of the chunk before
		}
		size, _, _ := strings.Cut(line, ";")
		if c.left, err = strconv.ParseInt(size, 16, 64); err != nil {
			return 0, fmt.Errorf("aws-chunked: %w", err)
		}
		if c.left == 0 {
			c.done = true
			_, _ = io.Copy(io.Discard, c.r)
		}
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}
