package server

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-cdk/postern/internal/localcfn/engine"
	"github.com/postern-cdk/postern/internal/localcfn/template"
)

const s3Space = "http://s3.amazonaws.com/doc/2006-03-01/"

// s3 answers S3's REST calls, the bucket in the path or in the host.
func (s *Server) s3(w http.ResponseWriter, r *http.Request) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if host, ok := strings.CutSuffix(hostname(r.Host), ".localhost"); ok {
		bucket, key = host, strings.TrimPrefix(r.URL.Path, "/")
	}
	var err error
	switch {
	case bucket == "" && r.Method == http.MethodGet:
		s.listBuckets(w)
	case bucket == "":
		err = &engine.APIError{Code: "NotImplemented", Message: "This local CloudFormation doesn't know the call"}
	case key == "":
		err = s.bucket(w, r, bucket)
	default:
		err = s.object(w, r, bucket, key)
	}
	if err == nil {
		return
	}
	code, message := fault(err)
	status := map[string]int{"NoSuchBucket": 404, "NoSuchKey": 404, "NoSuchUpload": 404, "ServerSideEncryptionConfigurationNotFoundError": 404}[code]
	if status == 0 {
		status = http.StatusBadRequest
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(status)
		return
	}
	s.xml(w, status, group("Error", text("Code", code), text("Message", message), text("Resource", r.URL.Path), text("RequestId", s.id())))
}

func hostname(host string) string {
	h, _, _ := strings.Cut(host, ":")
	return h
}

func (s *Server) listBuckets(w http.ResponseWriter) {
	list := el{name: "Buckets"}
	for _, o := range s.engine.Buckets() {
		list.kids = append(list.kids, group("Bucket", text("Name", o.ID), stamp("CreationDate", o.Created)))
	}
	s.xml(w, http.StatusOK, el{name: "ListAllMyBucketsResult", space: s3Space, kids: []el{
		group("Owner", text("ID", s.account)), list,
	}})
}

func (s *Server) bucket(w http.ResponseWriter, r *http.Request, bucket string) error {
	props, err := s.engine.Bucket(bucket)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	w.Header().Set("x-amz-bucket-region", s.region)
	switch {
	case r.Method == http.MethodHead:
		w.WriteHeader(http.StatusOK)
		return nil
	case r.Method == http.MethodPost && q.Has("delete"):
		return s.deleteObjects(w, r, bucket)
	case r.Method != http.MethodGet:
	case q.Has("location"):
		region := s.region
		if region == "us-east-1" {
			region = ""
		}
		s.xml(w, http.StatusOK, el{name: "LocationConstraint", space: s3Space, text: region})
		return nil
	case q.Has("encryption"):
		s.xml(w, http.StatusOK, encryption(props))
		return nil
	case q.Has("versioning"):
		v, _ := props["VersioningConfiguration"].(map[string]any)
		status, _ := v["Status"].(string)
		s.xml(w, http.StatusOK, el{name: "VersioningConfiguration", space: s3Space, kids: maybe("Status", status)})
		return nil
	case len(q) == 0 || q.Has("list-type") || q.Has("prefix") || q.Has("max-keys") || q.Has("x-id") && len(q) == 1:
		return s.listObjects(w, r, bucket)
	}
	return &engine.APIError{Code: "NotImplemented", Message: "This local CloudFormation doesn't know the call " + r.Method + " " + r.URL.String()}
}

// encryption gives the bucket's default encryption: every bucket has one.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-encryption-faq.html
func encryption(props map[string]any) el {
	algorithm, key := "AES256", ""
	if m, ok := props["BucketEncryption"].(map[string]any); ok {
		rules, _ := m["ServerSideEncryptionConfiguration"].([]any)
		for _, x := range rules {
			rule, _ := x.(map[string]any)
			d, ok := rule["ServerSideEncryptionByDefault"].(map[string]any)
			if ok {
				algorithm, _ = template.Text(d["SSEAlgorithm"])
				key, _ = template.Text(d["KMSMasterKeyID"])
			}
		}
	}
	d := append([]el{text("SSEAlgorithm", algorithm)}, maybe("KMSMasterKeyID", key)...)
	return el{name: "ServerSideEncryptionConfiguration", space: s3Space, kids: []el{
		group("Rule", group("ApplyServerSideEncryptionByDefault", d...), flag("BucketKeyEnabled", false)),
	}}
}

func (s *Server) listObjects(w http.ResponseWriter, r *http.Request, bucket string) error {
	q := r.URL.Query()
	after := q.Get("continuation-token")
	if after == "" {
		after = q.Get("start-after")
	}
	keys, objects, err := s.engine.ListObjects(bucket, q.Get("prefix"), after)
	if err != nil {
		return err
	}
	size := 1000
	if v, err := strconv.Atoi(q.Get("max-keys")); err == nil && v >= 0 && v < size {
		size = v
	}
	more := len(keys) > size
	keys = keys[:min(size, len(keys))]
	out := el{name: "ListBucketResult", space: s3Space, kids: []el{
		text("Name", bucket), text("Prefix", q.Get("prefix")), text("KeyCount", strconv.Itoa(len(keys))),
		text("MaxKeys", strconv.Itoa(size)), flag("IsTruncated", more),
	}}
	if more && len(keys) > 0 {
		out.kids = append(out.kids, text("NextContinuationToken", keys[len(keys)-1]))
	}
	for _, k := range keys {
		o := objects[k]
		out.kids = append(out.kids, group("Contents", text("Key", k), stamp("LastModified", o.Modified),
			text("ETag", `"`+o.ETag+`"`), text("Size", strconv.Itoa(len(o.Body))), text("StorageClass", "STANDARD")))
	}
	s.xml(w, http.StatusOK, out)
	return nil
}

func (s *Server) deleteObjects(w http.ResponseWriter, r *http.Request, bucket string) error {
	var in struct {
		Object []struct{ Key string }
	}
	if err := xml.NewDecoder(r.Body).Decode(&in); err != nil {
		return &engine.APIError{Code: "MalformedXML", Message: err.Error()}
	}
	out := el{name: "DeleteResult", space: s3Space}
	for _, o := range in.Object {
		if err := s.engine.DeleteObject(bucket, o.Key); err != nil {
			return err
		}
		out.kids = append(out.kids, group("Deleted", text("Key", o.Key)))
	}
	s.xml(w, http.StatusOK, out)
	return nil
}

func (s *Server) object(w http.ResponseWriter, r *http.Request, bucket, key string) error {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodPut && q.Has("partNumber"):
		return s.part(w, r)
	case r.Method == http.MethodPut && r.Header.Get("X-Amz-Copy-Source") == "":
		b, err := body(r)
		if err != nil {
			return err
		}
		o, err := s.engine.PutObject(bucket, key, engine.S3Object{Body: b, ContentType: r.Header.Get("Content-Type"), Metadata: metadata(r)})
		if err != nil {
			return err
		}
		w.Header().Set("ETag", `"`+o.ETag+`"`)
		w.WriteHeader(http.StatusOK)
		return nil
	case r.Method == http.MethodPost && q.Has("uploads"):
		if _, err := s.engine.Bucket(bucket); err != nil {
			return err
		}
		id := s.id()
		s.mu.Lock()
		s.uploads[id] = map[int][]byte{}
		s.mu.Unlock()
		s.xml(w, http.StatusOK, el{name: "InitiateMultipartUploadResult", space: s3Space, kids: []el{
			text("Bucket", bucket), text("Key", key), text("UploadId", id),
		}})
		return nil
	case r.Method == http.MethodPost && q.Has("uploadId"):
		return s.complete(w, r, bucket, key)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		o, err := s.engine.GetObject(bucket, key)
		if err != nil {
			return err
		}
		if o.ContentType != "" {
			w.Header().Set("Content-Type", o.ContentType)
		}
		for k, v := range o.Metadata {
			w.Header().Set("X-Amz-Meta-"+k, v)
		}
		w.Header().Set("ETag", `"`+o.ETag+`"`)
		http.ServeContent(w, r, "", o.Modified, bytes.NewReader(o.Body))
		return nil
	case r.Method == http.MethodDelete:
		if id := q.Get("uploadId"); id != "" {
			s.mu.Lock()
			delete(s.uploads, id)
			s.mu.Unlock()
		} else if err := s.engine.DeleteObject(bucket, key); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return &engine.APIError{Code: "NotImplemented", Message: "This local CloudFormation doesn't know the call " + r.Method + " " + r.URL.String()}
}

func metadata(r *http.Request) map[string]string {
	out := map[string]string{}
	for k := range r.Header {
		if name, ok := strings.CutPrefix(k, "X-Amz-Meta-"); ok {
			out[name] = r.Header.Get(k)
		}
	}
	return out
}

func (s *Server) part(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	n, err := strconv.Atoi(q.Get("partNumber"))
	if err != nil {
		return &engine.APIError{Code: "InvalidArgument", Message: "partNumber must be a number"}
	}
	b, err := body(r)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	parts, ok := s.uploads[q.Get("uploadId")]
	if !ok {
		return &engine.APIError{Code: "NoSuchUpload", Message: "The specified upload does not exist."}
	}
	parts[n] = b
	w.Header().Set("ETag", fmt.Sprintf(`"part-%d"`, n))
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *Server) complete(w http.ResponseWriter, r *http.Request, bucket, key string) error {
	id := r.URL.Query().Get("uploadId")
	s.mu.Lock()
	parts, ok := s.uploads[id]
	delete(s.uploads, id)
	s.mu.Unlock()
	if !ok {
		return &engine.APIError{Code: "NoSuchUpload", Message: "The specified upload does not exist."}
	}
	var numbers []int
	for n := range parts {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	var all []byte
	for _, n := range numbers {
		all = append(all, parts[n]...)
	}
	o, err := s.engine.PutObject(bucket, key, engine.S3Object{Body: all})
	if err != nil {
		return err
	}
	s.xml(w, http.StatusOK, el{name: "CompleteMultipartUploadResult", space: s3Space, kids: []el{
		text("Bucket", bucket), text("Key", key), text("ETag", `"`+o.ETag+`"`),
	}})
	return nil
}

// body reads what is uploaded, of AWS's chunks only what they hold.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
func body(r *http.Request) ([]byte, error) {
	if !strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") && !strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked") {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, &engine.APIError{Code: "IncompleteBody", Message: err.Error()}
		}
		return b, nil
	}
	broken := func(err error) error {
		return &engine.APIError{Code: "IncompleteBody", Message: "chunks are broken: " + err.Error()}
	}
	in := bufio.NewReader(r.Body)
	var out bytes.Buffer
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, broken(err)
		}
		size, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		n, err := strconv.ParseInt(size, 16, 32)
		if err != nil || n < 0 {
			return nil, broken(errors.New("no size in " + strconv.Quote(line)))
		}
		if n == 0 {
			return out.Bytes(), nil
		}
		// The size is only what the client says: read before room is made.
		before := out.Len()
		if _, err := io.CopyN(&out, in, n); err != nil {
			return nil, broken(fmt.Errorf("%d of %d bytes: %w", out.Len()-before, n, err))
		}
		if _, err := in.ReadString('\n'); err != nil {
			return nil, broken(err)
		}
	}
}
