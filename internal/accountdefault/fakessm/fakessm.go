// Package fakessm is an endpoint that does with session documents and parameters what
// Systems Manager does, for the SDK's own client, and fails as it is told to. It is
// for tests.
//
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/
package fakessm

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Version is one version of a document.
type Version struct {
	Number  int
	Content string
}

// Document is one document.
type Document struct {
	Type     string
	Versions []Version
	Default  int
	// Shared documents can't be deleted.
	Shared bool
}

// Content of a version, or "".
func (d *Document) Content(number int) string {
	for _, v := range d.Versions {
		if v.Number == number {
			return v.Content
		}
	}
	return ""
}

// Parameter is one parameter, with its history.
type Parameter struct {
	Values []string
	Tier   string
}

// Fault makes calls of an operation fail.
type Fault struct {
	Operation string
	// Nth is the call that fails, from 1. 0 is the first.
	Nth int
	// Times is how many fail from there on. 0 is one, and below 0 all.
	Times int
	// Code such as "ThrottlingException". "" loses the connection.
	Code   string
	Status int // of HTTP. 0: 400
	// Done says that the operation takes effect all the same.
	Done bool
	// Before is run before the operation.
	Before func()
}

// Server is the endpoint.
type Server struct {
	mu         sync.Mutex
	Documents  map[string]*Document
	Parameters map[string]*Parameter
	// Calls are the operations that were asked for, in order.
	Calls []string
	// Stuck makes UpdateDocumentDefaultVersion do nothing and say it had.
	Stuck bool
	// Lagging is how many times DescribeDocument says that a new document is being created.
	Lagging int
	// LatestOnly compares new content with the latest version, not with all.
	LatestOnly bool
	// MaxVersions of a document. 0: 1000
	MaxVersions int

	faults  []*Fault
	counted map[*Fault]int
	server  *httptest.Server
}

// New starts one. Close ends it.
func New() *Server {
	s := &Server{Documents: map[string]*Document{}, Parameters: map[string]*Parameter{}, counted: map[*Fault]int{}}
	s.server = httptest.NewServer(http.HandlerFunc(s.serve))
	return s
}

// Close ends serving.
func (s *Server) Close() { s.server.Close() }

// Config makes the SDK's clients speak to this endpoint.
func (s *Server) Config() aws.Config {
	return aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(s.server.URL),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
}

// Fail adds a fault.
func (s *Server) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Heal takes all faults back.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.Stuck = nil, false
}

// Reset takes everything back.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Documents, s.Parameters, s.Calls, s.faults, s.counted = map[string]*Document{}, map[string]*Parameter{}, nil, nil, map[*Fault]int{}
	s.Stuck, s.LatestOnly, s.Lagging, s.MaxVersions = false, false, 0, 0
}

// Put makes a document with those contents, the last one being the default.
func (s *Server) Put(name string, contents ...string) *Document {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &Document{Type: "Session"}
	for i, content := range contents {
		d.Versions = append(d.Versions, Version{i + 1, content})
		d.Default = i + 1
	}
	s.Documents[name] = d
	return d
}

// Edit is somebody else's new version of a document, put in force.
func (s *Server) Edit(name, content string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.Documents[name]
	n := d.Versions[len(d.Versions)-1].Number + 1
	d.Versions, d.Default = append(d.Versions, Version{n, content}), n
	return n
}

// InForce is the content of the default version, or "" without a document.
func (s *Server) InForce(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.Documents[name]
	if d == nil {
		return ""
	}
	return d.Content(d.Default)
}

// Value of a parameter, or "".
func (s *Server) Value(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.Parameters[name]; p != nil {
		return p.Values[len(p.Values)-1]
	}
	return ""
}

type refusal struct{ code, message string }

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSSM.")
	body, err := io.ReadAll(r.Body)
	var in map[string]any
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.Calls = append(s.Calls, operation)
	fault := s.hit(operation)
	s.mu.Unlock()
	if fault != nil && fault.Before != nil {
		fault.Before()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out any
	var no *refusal
	if fault == nil || fault.Done || fault.Before != nil && fault.Code == "" {
		out, no = s.do(operation, in)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	switch {
	case fault != nil && fault.Code == "" && fault.Before == nil:
		panic(http.ErrAbortHandler)
	case fault != nil && fault.Code != "":
		status := fault.Status
		if status == 0 {
			status = http.StatusBadRequest
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": fault.Code, "message": "told to fail"})
	case no != nil:
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": no.code, "message": no.message})
	default:
		_ = json.NewEncoder(w).Encode(out)
	}
}

func (s *Server) hit(operation string) *Fault {
	for _, f := range s.faults {
		if f.Operation != operation {
			continue
		}
		s.counted[f]++
		n, from, times := s.counted[f], max(f.Nth, 1), f.Times
		if times == 0 {
			times = 1
		}
		if n >= from && (times < 0 || n < from+times) {
			return f
		}
	}
	return nil
}

func (s *Server) do(operation string, in map[string]any) (any, *refusal) {
	text := func(name string) string {
		v, _ := in[name].(string)
		return v
	}
	switch operation {
	case "GetParameter":
		p := s.Parameters[text("Name")]
		if p == nil {
			return nil, &refusal{"ParameterNotFound", ""}
		}
		return map[string]any{"Parameter": map[string]any{"Name": text("Name"), "Type": "String", "Value": p.Values[len(p.Values)-1], "Version": len(p.Values)}}, nil
	case "PutParameter":
		return s.putParameter(text, in["Overwrite"] == true)
	}
	d := s.Documents[text("Name")]
	if d == nil && operation != "CreateDocument" {
		return nil, &refusal{"InvalidDocument", "Document with name " + text("Name") + " does not exist."}
	}
	switch operation {
	case "CreateDocument":
		if d != nil {
			return nil, &refusal{"DocumentAlreadyExists", "Document with same name " + text("Name") + " already exists"}
		}
		if no := refused(text("Content")); no != nil {
			return nil, no
		}
		s.Documents[text("Name")] = &Document{Type: text("DocumentType"), Versions: []Version{{1, text("Content")}}, Default: 1}
		return map[string]any{"DocumentDescription": s.description(text("Name"), 1)}, nil
	case "UpdateDocument":
		return s.updateDocument(d, text)
	case "UpdateDocumentDefaultVersion":
		n, _ := strconv.Atoi(text("DocumentVersion"))
		if d.Content(n) == "" {
			return nil, &refusal{"InvalidDocumentVersion", "Document version " + text("DocumentVersion") + " does not exist"}
		}
		if !s.Stuck {
			d.Default = n
		}
		return map[string]any{"Description": map[string]any{"Name": text("Name"), "DefaultVersion": strconv.Itoa(n)}}, nil
	case "DescribeDocument":
		return map[string]any{"Document": s.description(text("Name"), d.Default)}, nil
	case "GetDocument":
		n, _ := strconv.Atoi(text("DocumentVersion"))
		if v := text("DocumentVersion"); v == "" || v == "$DEFAULT" {
			n = d.Default
		}
		content := d.Content(n)
		if content == "" {
			return nil, &refusal{"InvalidDocumentVersion", "Document version " + text("DocumentVersion") + " does not exist"}
		}
		return map[string]any{"Name": text("Name"), "Content": content, "DocumentVersion": strconv.Itoa(n), "DocumentFormat": "JSON", "DocumentType": d.Type}, nil
	case "DeleteDocument":
		if d.Shared {
			return nil, &refusal{"InvalidDocumentOperation", "Document is shared"}
		}
		delete(s.Documents, text("Name"))
		return map[string]any{}, nil
	}
	return nil, &refusal{"UnknownOperationException", operation}
}

func refused(content string) *refusal {
	if len(content) > 64<<10 {
		return &refusal{"MaxDocumentSizeExceeded", ""}
	}
	var plain map[string]any
	if json.Unmarshal([]byte(content), &plain) != nil || plain["schemaVersion"] != "1.0" {
		return &refusal{"InvalidDocumentContent", "not a session document"}
	}
	return nil
}

func (s *Server) updateDocument(d *Document, text func(string) string) (any, *refusal) {
	last := d.Versions[len(d.Versions)-1].Number
	if v := text("DocumentVersion"); v != "$LATEST" && v != strconv.Itoa(last) {
		return nil, &refusal{"InvalidDocumentVersion", "Version provided for document is not latest."}
	}
	if no := refused(text("Content")); no != nil {
		return nil, no
	}
	compared := d.Versions
	if s.LatestOnly {
		compared = compared[len(compared)-1:]
	}
	if slices.ContainsFunc(compared, func(v Version) bool { return v.Content == text("Content") }) {
		return nil, &refusal{"DuplicateDocumentContent", "The content of the association document matches another document."}
	}
	most := s.MaxVersions
	if most == 0 {
		most = 1000
	}
	if len(d.Versions) >= most {
		return nil, &refusal{"DocumentVersionLimitExceeded", ""}
	}
	d.Versions = append(d.Versions, Version{last + 1, text("Content")}) // not the default
	return map[string]any{"DocumentDescription": s.description(text("Name"), last+1)}, nil
}

func (s *Server) description(name string, version int) map[string]any {
	d := s.Documents[name]
	status := "Active"
	if s.Lagging > 0 {
		s.Lagging--
		status = "Creating"
	}
	return map[string]any{
		"Name": name, "DocumentType": d.Type, "Status": status, "DocumentVersion": strconv.Itoa(version),
		"DefaultVersion": strconv.Itoa(d.Default), "LatestVersion": strconv.Itoa(d.Versions[len(d.Versions)-1].Number),
		"CreatedDate": float64(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Unix()),
	}
}

func (s *Server) putParameter(text func(string) string, overwrite bool) (any, *refusal) {
	value := text("Value")
	limit := 4 << 10
	if text("Tier") == "Advanced" {
		limit = 8 << 10
	}
	p := s.Parameters[text("Name")]
	switch {
	case strings.Contains(value, "{{") && strings.Contains(value, "}}"):
		return nil, &refusal{"ValidationException", `Parameter value can't nest another parameter. Do not use "{{}}" in the value.`}
	case len(value) > limit:
		return nil, &refusal{"ValidationException", fmt.Sprintf("%s tier parameters support a maximum parameter value of %d characters.", text("Tier"), limit)}
	case p != nil && !overwrite:
		return nil, &refusal{"ParameterAlreadyExists", "The parameter already exists."}
	case p != nil && p.Tier == "Advanced" && text("Tier") == "Standard":
		return nil, &refusal{"ValidationException", "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter tier to the standard-parameter tier."}
	case p == nil:
		p = &Parameter{}
		s.Parameters[text("Name")] = p
	}
	p.Values, p.Tier = append(p.Values, value), text("Tier")
	return map[string]any{"Version": len(p.Values)}, nil
}
