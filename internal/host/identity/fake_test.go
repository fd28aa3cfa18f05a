package identity

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/stretchr/testify/assert"
)

// parameter as the fake keeps it.
type parameter struct{ Name, Type, Value, KeyID, Tier string }

// parameterStore answers as Parameter Store does, over HTTP, so that the SDK's
// own reading of answers is part of what is tested.
type parameterStore struct {
	*httptest.Server
	mu     sync.Mutex
	values map[string]parameter
	// requests that came, by operation.
	requests map[string]int
	// fault may answer in the place of the fake; it is asked with the lock held.
	fault func(operation string, n int, w http.ResponseWriter) bool
}

func newParameterStore(t *testing.T) *parameterStore {
	t.Helper()
	s := &parameterStore{values: map[string]parameter{}, requests: map[string]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.answer))
	t.Cleanup(s.Close)
	return s
}

func refuse(w http.ResponseWriter, status int, kind, text string) {
	w.Header().Set("X-Amzn-ErrorType", kind)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": kind, "message": text})
}

func (s *parameterStore) answer(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSSM.")
	s.requests[operation]++
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if s.fault != nil && s.fault(operation, s.requests[operation], w) {
		return
	}
	var input struct {
		Names                          []string
		WithDecryption, Overwrite      bool
		Name, Type, Value, KeyId, Tier string
	}
	_ = json.NewDecoder(r.Body).Decode(&input)
	switch operation {
	case "GetParameters":
		if len(input.Names) > 10 {
			refuse(w, http.StatusBadRequest, "ValidationException", "at most 10 names")
			return
		}
		var found []map[string]any
		invalid := []string{}
		for _, name := range input.Names {
			value, ok := s.values[name]
			if !ok {
				invalid = append(invalid, name)
				continue
			}
			text := value.Value
			if value.Type == "SecureString" && !input.WithDecryption {
				text = "encrypted"
			}
			found = append(found, map[string]any{"Name": name, "Type": value.Type, "Value": text})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"Parameters": found, "InvalidParameters": invalid})
	case "PutParameter":
		if _, ok := s.values[input.Name]; ok && !input.Overwrite {
			refuse(w, http.StatusBadRequest, "ParameterAlreadyExists", "exists")
			return
		}
		if len(input.Value) > 4096 {
			refuse(w, http.StatusBadRequest, "ValidationException", "too long for the standard tier")
			return
		}
		s.values[input.Name] = parameter{input.Name, input.Type, input.Value, input.KeyId, input.Tier}
		_ = json.NewEncoder(w).Encode(map[string]any{"Version": 1})
	default:
		refuse(w, http.StatusBadRequest, "InvalidAction", operation)
	}
}

func (s *parameterStore) value(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[name].Value
}

func (s *parameterStore) put(name, kind, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[name] = parameter{Name: name, Type: kind, Value: value}
}

func (s *parameterStore) count(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[operation]
}

// after puts a fault in place, or takes it away, and counts anew.
func (s *parameterStore) after(fault func(operation string, n int, w http.ResponseWriter) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault, s.requests = fault, map[string]int{}
}

func parametersAt(url string) Parameters {
	return ssm.New(ssm.Options{
		Region: "eu-west-1", BaseEndpoint: aws.String(url), Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "SECRET"}, nil
		}),
	})
}

// The fake is of no use where it takes what the service refuses.
func TestTheFakeRefusesWhatTheServiceRefuses(t *testing.T) {
	s := newParameterStore(t)
	api := parametersAt(s.URL)
	put := func(name, value string, overwrite bool) error {
		_, err := api.PutParameter(t.Context(), &ssm.PutParameterInput{Name: &name, Value: &value, Type: "SecureString", Overwrite: &overwrite})
		return err
	}
	assert.NoError(t, put("/a", "1", false))
	assert.ErrorContains(t, put("/a", "2", false), "ParameterAlreadyExists")
	assert.NoError(t, put("/a", "3", true))
	assert.ErrorContains(t, put("/b", strings.Repeat("x", 4097), false), "too long")
	_, err := api.GetParameters(t.Context(), &ssm.GetParametersInput{Names: make([]string, 11)})
	assert.ErrorContains(t, err, "at most 10")
}
