// Package server answers AWS's protocols for an [engine.Engine]:
// CloudFormation, STS and EC2 in Query and XML, S3 in REST, SSM and Cloud
// Control in JSON. Requests aren't authenticated.
package server

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/postern-cdk/postern/internal/localcfn/engine"
	"github.com/postern-cdk/postern/internal/localcfn/template"
)

// Server is an [http.Handler].
type Server struct {
	engine    *engine.Engine
	account   string
	region    string
	partition string

	mu      sync.Mutex
	serial  int
	uploads map[string]map[int][]byte
}

// New makes a server for an engine.
func New(e *engine.Engine, account, region, partition string) *Server {
	return &Server{engine: e, account: account, region: region, partition: partition, uploads: map[string]map[int][]byte{}}
}

// ControlPath is where tests reach the engine itself: POST a fault as JSON to
// ControlPath+"faults", DELETE it to take all back, GET ControlPath+"health".
const ControlPath = "/_localcfn/"

// Objects may be large, other requests hold at most an inline template and
// parameters.
const maxBody, maxCall = 512 << 20, 8 << 20

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	w.Header().Set("x-amzn-RequestId", s.id())
	switch {
	case strings.HasPrefix(r.URL.Path, ControlPath):
		s.control(w, r)
	case r.Header.Get("X-Amz-Target") != "":
		r.Body = http.MaxBytesReader(w, r.Body, maxCall)
		s.json(w, r)
	case r.Method == http.MethodPost && r.URL.Path == "/" && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		r.Body = http.MaxBytesReader(w, r.Body, maxCall)
		s.query(w, r)
	default:
		s.s3(w, r)
	}
}

func (s *Server) id() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	return fmt.Sprintf("00000000-0000-4000-8000-%012d", s.serial)
}

func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	reply := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	switch r.Method + " " + strings.TrimPrefix(r.URL.Path, ControlPath) {
	case "GET health":
		reply(http.StatusOK, map[string]string{"status": "ok", "account": s.account, "region": s.region})
	case "POST faults":
		var f engine.Fault
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		err := d.Decode(&f)
		if err == nil {
			err = s.engine.Inject(f)
		}
		if err != nil {
			reply(http.StatusBadRequest, map[string]string{"error": err.Error()})
			return
		}
		reply(http.StatusOK, f)
	case "DELETE faults":
		s.engine.ClearFaults()
		reply(http.StatusOK, map[string]string{"status": "ok"})
	default:
		reply(http.StatusNotFound, map[string]string{"error": "there is GET health, POST faults and DELETE faults"})
	}
}

// form gives the parameters of a Query request.
type form url.Values

func (f form) get(k string) string {
	if v := f[k]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// list gives Prefix.member.1, .2 ...
func (f form) list(prefix string) []string {
	var out []string
	for i := 1; ; i++ {
		k := prefix + ".member." + strconv.Itoa(i)
		if _, ok := f[k]; !ok {
			return out
		}
		out = append(out, f.get(k))
	}
}

func (f form) bool(k string) bool { return f.get(k) == "true" }

func (s *Server) query(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		s.fault(w, r, "InvalidRequest", err.Error())
		return
	}
	values, err := url.ParseQuery(string(b))
	if err != nil {
		s.fault(w, r, "MalformedQueryString", err.Error())
		return
	}
	f := form(values)
	action, version := f.get("Action"), f.get("Version")
	if action == "" {
		s.fault(w, r, "MissingAction", "The request is missing an action or a required parameter.")
		return
	}
	var answer []el
	var namespace string
	switch version {
	case "2010-05-15":
		namespace = "http://cloudformation.amazonaws.com/doc/2010-05-15/"
		answer, err = s.cloudFormation(action, f)
	case "2011-06-15":
		namespace = "https://sts.amazonaws.com/doc/2011-06-15/"
		answer, err = s.sts(action, f)
	case "2016-11-15":
		s.ec2(w, action, f)
		return
	default:
		err = unsupported("service of version "+version, action)
	}
	if err != nil {
		s.refuse(w, namespace, err)
		return
	}
	s.xml(w, http.StatusOK, el{name: action + "Response", space: namespace, kids: []el{
		{name: action + "Result", kids: answer},
		group("ResponseMetadata", text("RequestId", s.id())),
	}})
}

func unsupported(service, action string) error {
	return &engine.APIError{Code: "InvalidAction", Message: fmt.Sprintf("%s is not supported by this local CloudFormation (%s)", action, service)}
}

func (s *Server) refuse(w http.ResponseWriter, namespace string, err error) {
	code, message := fault(err)
	s.xml(w, http.StatusBadRequest, el{name: "ErrorResponse", space: namespace, kids: []el{
		group("Error", text("Type", "Sender"), text("Code", code), text("Message", message)),
		text("RequestId", s.id()),
	}})
}

func (s *Server) fault(w http.ResponseWriter, _ *http.Request, code, message string) {
	s.refuse(w, "", &engine.APIError{Code: code, Message: message})
}

func fault(err error) (code, message string) {
	var a *engine.APIError
	if errors.As(err, &a) {
		return a.Code, a.Message
	}
	var t template.Error
	if errors.As(err, &t) {
		return "ValidationError", string(t)
	}
	return "InternalFailure", err.Error()
}

// el is one element of an XML answer.
type el struct {
	name  string
	space string
	text  string
	kids  []el
}

func text(name, value string) el       { return el{name: name, text: value} }
func group(name string, kids ...el) el { return el{name: name, kids: kids} }
func flag(name string, value bool) el  { return text(name, strconv.FormatBool(value)) }
func stamp(name string, t time.Time) el {
	return text(name, t.UTC().Format("2006-01-02T15:04:05.000Z"))
}

// maybe gives the element only where it has text.
func maybe(name, value string) []el {
	if value == "" {
		return nil
	}
	return []el{text(name, value)}
}

// members gives a list in Query's form.
func members[T any](name string, list []T, f func(T) []el) el {
	out := el{name: name}
	for _, x := range list {
		out.kids = append(out.kids, el{name: "member", kids: f(x)})
	}
	return out
}

func textMembers(name string, list []string) el {
	out := el{name: name}
	for _, x := range list {
		out.kids = append(out.kids, text("member", x))
	}
	return out
}

func (e el) write(b *strings.Builder) {
	b.WriteString("<" + e.name)
	if e.space != "" {
		b.WriteString(` xmlns="` + e.space + `"`)
	}
	b.WriteString(">")
	if len(e.kids) == 0 {
		_ = xml.EscapeText(b, []byte(e.text))
	}
	for _, k := range e.kids {
		k.write(b)
	}
	b.WriteString("</" + e.name + ">")
}

func (s *Server) xml(w http.ResponseWriter, status int, e el) {
	var b strings.Builder
	b.WriteString(xml.Header)
	e.write(&b)
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, b.String())
}

func (s *Server) sts(action string, f form) ([]el, error) {
	switch action {
	case "GetCallerIdentity":
		return []el{
			text("Arn", fmt.Sprintf("arn:%s:iam::%s:user/local", s.partition, s.account)),
			text("UserId", "AIDALOCALCFNUSER00000"), text("Account", s.account),
		}, nil
	case "AssumeRole":
		role := f.get("RoleArn")
		session := f.get("RoleSessionName")
		assumed := strings.Replace(strings.Replace(role, ":iam:", ":sts:", 1), ":role/", ":assumed-role/", 1) + "/" + session
		return []el{
			group("AssumedRoleUser", text("AssumedRoleId", "AROALOCALCFNROLE00000:"+session), text("Arn", assumed)),
			group("Credentials", text("AccessKeyId", "ASIALOCALCFN00000000"), text("SecretAccessKey", "local"),
				text("SessionToken", "local"), stamp("Expiration", time.Now().Add(time.Hour))),
		}, nil
	}
	return nil, unsupported("STS", action)
}
