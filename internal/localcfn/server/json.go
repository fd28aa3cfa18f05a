package server

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/postern-cdk/postern/internal/localcfn/engine"
)

// json answers the services that speak JSON with a target header.
func (s *Server) json(w http.ResponseWriter, r *http.Request) {
	target := r.Header.Get("X-Amz-Target")
	service, action, _ := strings.Cut(target, ".")
	if i := strings.LastIndex(target, "."); i > 0 {
		action = target[i+1:]
	}
	b, err := io.ReadAll(r.Body)
	var answer any
	if err == nil {
		switch service {
		case "AmazonSSM":
			answer, err = s.ssm(action, b)
		case "CloudApiService":
			answer, err = s.cloudControl(action, b)
		default:
			err = unsupported(service, action)
		}
	}
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	status := http.StatusOK
	if err != nil {
		code, message := fault(err)
		if code == "InvalidAction" {
			code = "UnknownOperationException"
		}
		status = http.StatusBadRequest
		w.Header().Set("X-Amzn-ErrorType", code)
		answer = map[string]string{"__type": code, "message": message}
	}
	out, err := json.Marshal(answer)
	if err != nil {
		status, out = http.StatusBadRequest, []byte(`{"__type":"InternalFailure"}`)
	}
	w.WriteHeader(status)
	_, _ = w.Write(out)
}

func decode(b []byte, v any) error {
	if len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, v); err != nil {
		return &engine.APIError{Code: "SerializationException", Message: err.Error()}
	}
	return nil
}

func (s *Server) ssm(action string, b []byte) (any, error) {
	var in struct {
		Name  string
		Names []string
	}
	if err := decode(b, &in); err != nil {
		return nil, err
	}
	parameter := func(name string) (map[string]any, bool) {
		v, ok := s.engine.Parameter(name)
		return map[string]any{
			"Name": name, "Type": "String", "Value": v, "Version": 1, "DataType": "text",
			"ARN": fmt.Sprintf("arn:%s:ssm:%s:%s:parameter/%s", s.partition, s.region, s.account, strings.TrimPrefix(name, "/")),
		}, ok
	}
	switch action {
	case "GetParameter":
		p, ok := parameter(in.Name)
		if !ok {
			return nil, &engine.APIError{Code: "ParameterNotFound", Message: fmt.Sprintf("Parameter %s not found.", in.Name)}
		}
		return map[string]any{"Parameter": p}, nil
	case "GetParameters":
		found, missing := []any{}, []string{}
		for _, n := range in.Names {
			if p, ok := parameter(n); ok {
				found = append(found, p)
			} else {
				missing = append(missing, n)
			}
		}
		return map[string]any{"Parameters": found, "InvalidParameters": missing}, nil
	}
	return nil, unsupported("SSM", action)
}

func (s *Server) cloudControl(action string, b []byte) (any, error) {
	var in struct {
		TypeName   string
		Identifier string
		NextToken  string
		MaxResults int
	}
	if err := decode(b, &in); err != nil {
		return nil, err
	}
	describe := func(m engine.Model) map[string]string {
		return map[string]string{"Identifier": m.ID, "Properties": m.Properties}
	}
	switch action {
	case "GetResource":
		m, err := s.engine.GetModel(in.TypeName, in.Identifier)
		if err != nil {
			return nil, err
		}
		return map[string]any{"TypeName": in.TypeName, "ResourceDescription": describe(m)}, nil
	case "ListResources":
		all, err := s.engine.ListModels(in.TypeName)
		if err != nil {
			return nil, err
		}
		from, err := start(in.NextToken, len(all))
		if err != nil {
			return nil, err
		}
		size := in.MaxResults
		if size <= 0 || size > 100 {
			size = 100
		}
		to := min(from+size, len(all))
		list := []any{}
		for _, m := range all[from:to] {
			list = append(list, describe(m))
		}
		out := map[string]any{"TypeName": in.TypeName, "ResourceDescriptions": list}
		if to < len(all) {
			out["NextToken"] = strconv.Itoa(to)
		}
		return out, nil
	}
	return nil, unsupported("Cloud Control", action)
}

// start reads a token that tells where the next page begins.
func start(token string, n int) (int, error) {
	if token == "" {
		return 0, nil
	}
	i, err := strconv.Atoi(token)
	if err != nil || i < 0 || i > n {
		return 0, &engine.APIError{Code: "ValidationException", Message: "Invalid NextToken"}
	}
	return i, nil
}
