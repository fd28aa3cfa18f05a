//go:build linux

package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Logs is CloudWatch Logs. Every group exists; streams must be made.
type Logs struct {
	c       *cloud
	streams map[string][]LogEvent
}

// A LogEvent as it was put.
type LogEvent struct {
	Time     time.Time // as the host says
	Received time.Duration
	Message  string
}

// Events are those of a stream, in the order they came.
func (l *Logs) Events(group, stream string) []LogEvent {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	return slices.Clone(l.streams[group+"\n"+stream])
}

// All is every event of every stream of a group ("": of all groups).
func (l *Logs) All(group string) []LogEvent {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	var all []LogEvent
	for key, events := range l.streams {
		if group == "" || strings.HasPrefix(key, group+"\n") {
			all = append(all, events...)
		}
	}
	slices.SortFunc(all, func(a, b LogEvent) int { return int(a.Received - b.Received) })
	return all
}

// Streams lists "GROUP STREAM".
func (l *Logs) Streams() []string {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	var names []string
	for key := range l.streams {
		names = append(names, strings.ReplaceAll(key, "\n", " "))
	}
	slices.Sort(names)
	return names
}

// SSM is Parameter Store.
type SSM struct {
	c          *cloud
	parameters map[string]Parameter
}

// A Parameter in Parameter Store.
type Parameter struct {
	Name, Value, Type, KeyID string
	Version                  int
	Modified                 time.Time
}

// Put stores a SecureString.
func (s *SSM) Put(name, value string) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.parameters[name] = Parameter{Name: name, Value: value, Type: "SecureString", Version: s.parameters[name].Version + 1, Modified: time.Now()}
}

// Get is a parameter, and whether it is there.
func (s *SSM) Get(name string) (Parameter, bool) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	p, ok := s.parameters[name]
	return p, ok
}

// Names lists the parameters.
func (s *SSM) Names() []string {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.names("")
}

func (s *SSM) names(prefix string) []string {
	var names []string
	for name := range s.parameters {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

type object = map[string]any

// json answers the JSON 1.0 and 1.1 protocols.
func (c *cloud) json(call *call) (any, error) {
	var in struct {
		Name, Value, Type, KeyID, Path, NextToken string // ssm
		Names                                     []string
		Overwrite, WithDecryption, Recursive      bool
		MaxResults                                int

		LogGroupName, LogStreamName, LogStreamNamePrefix string // logs
		LogEvents                                        []struct {
			Timestamp int64
			Message   string
		}
	}
	if err := json.Unmarshal(call.body, &in); err != nil {
		return nil, &apiError{http.StatusBadRequest, "SerializationException", err.Error()}
	}
	if call.Key = in.Name + in.Path + in.LogStreamName; call.Key == "" {
		call.Key = strings.Join(in.Names, ",")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	shown := func(p Parameter) object {
		value := p.Value
		if p.Type == "SecureString" && !in.WithDecryption {
			value = "encrypted by the lab"
		}
		return object{
			"Name": p.Name, "Value": value, "Type": p.Type, "Version": p.Version, "DataType": "text",
			"ARN":              "arn:aws:ssm:" + Region + ":" + Account + ":parameter/" + strings.TrimPrefix(p.Name, "/"),
			"LastModifiedDate": float64(p.Modified.UnixMilli()) / 1000,
		}
	}
	switch call.Service + " " + call.Op {
	case "ssm GetParameter":
		p, ok := c.ssm.parameters[in.Name]
		if !ok {
			return nil, &apiError{http.StatusBadRequest, "ParameterNotFound", ""}
		}
		return object{"Parameter": shown(p)}, nil
	case "ssm GetParameters":
		if len(in.Names) > 10 {
			return nil, &apiError{http.StatusBadRequest, "ValidationException", "names: at most 10"}
		}
		found, missing := []object{}, []string{}
		for _, name := range in.Names {
			if p, ok := c.ssm.parameters[name]; ok {
				found = append(found, shown(p))
			} else {
				missing = append(missing, name)
			}
		}
		return object{"Parameters": found, "InvalidParameters": missing}, nil
	case "ssm GetParametersByPath":
		if in.MaxResults == 0 {
			in.MaxResults = 10
		}
		prefix := strings.TrimSuffix(in.Path, "/") + "/"
		out := object{}
		found := []object{}
		for _, name := range c.ssm.names(prefix) {
			if !in.Recursive && strings.Contains(strings.TrimPrefix(name, prefix), "/") || name <= in.NextToken {
				continue
			}
			if len(found) == min(in.MaxResults, 10) {
				out["NextToken"] = found[len(found)-1]["Name"]
				break
			}
			found = append(found, shown(c.ssm.parameters[name]))
		}
		out["Parameters"] = found
		return out, nil
	case "ssm PutParameter":
		old, exists := c.ssm.parameters[in.Name]
		if exists && !in.Overwrite {
			return nil, &apiError{http.StatusBadRequest, "ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true."}
		}
		if len(in.Value) > 4096 {
			return nil, &apiError{http.StatusBadRequest, "ValidationException", "Standard tier parameters support a maximum parameter value of 4096 characters."}
		}
		if in.Type == "" {
			in.Type = old.Type
		}
		c.ssm.parameters[in.Name] = Parameter{in.Name, in.Value, in.Type, in.KeyID, old.Version + 1, time.Now()}
		return object{"Version": old.Version + 1, "Tier": "Standard"}, nil
	case "ssm DeleteParameter":
		if _, ok := c.ssm.parameters[in.Name]; !ok {
			return nil, &apiError{http.StatusBadRequest, "ParameterNotFound", ""}
		}
		delete(c.ssm.parameters, in.Name)
		return object{}, nil
	case "ssm AddTagsToResource", "logs CreateLogGroup":
		return object{}, nil
	case "logs CreateLogStream":
		key := in.LogGroupName + "\n" + in.LogStreamName
		if _, ok := c.logs.streams[key]; ok {
			return nil, &apiError{http.StatusBadRequest, "ResourceAlreadyExistsException", "The specified log stream already exists"}
		}
		c.logs.streams[key] = []LogEvent{}
		return object{}, nil
	case "logs DescribeLogStreams":
		list := []object{}
		for key := range c.logs.streams {
			group, stream, _ := strings.Cut(key, "\n")
			if group == in.LogGroupName && strings.HasPrefix(stream, in.LogStreamNamePrefix) {
				list = append(list, object{"logStreamName": stream, "creationTime": c.started.UnixMilli()})
			}
		}
		return object{"logStreams": list}, nil
	case "logs DescribeLogGroups":
		return object{"logGroups": []object{}}, nil
	case "logs PutLogEvents":
		key := in.LogGroupName + "\n" + in.LogStreamName
		if _, ok := c.logs.streams[key]; !ok {
			return nil, &apiError{http.StatusBadRequest, "ResourceNotFoundException", "The specified log stream does not exist."}
		}
		invalid := func(format string, args ...any) error {
			return &apiError{http.StatusBadRequest, "InvalidParameterException", fmt.Sprintf(format, args...)}
		}
		// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
		total, last := 0, int64(0)
		rejected := object{}
		var accepted []LogEvent
		for i, e := range in.LogEvents {
			total += len(e.Message) + 26
			at := time.UnixMilli(e.Timestamp)
			switch {
			case e.Message == "":
				return nil, invalid("logEvents.%d.message: minimum length 1", i+1)
			case len(e.Message)+26 > 1<<20:
				return nil, invalid("Log event too large: %d bytes exceeds limit of %d", len(e.Message)+26, 1<<20)
			case e.Timestamp < last:
				return nil, invalid("Log events in a single PutLogEvents request must be in chronological order.")
			case e.Timestamp-in.LogEvents[0].Timestamp > 24*time.Hour.Milliseconds():
				return nil, invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
			case time.Since(at) > 14*24*time.Hour:
				rejected["tooOldLogEventEndIndex"] = i + 1
			case time.Until(at) > 2*time.Hour:
				if _, ok := rejected["tooNewLogEventStartIndex"]; !ok {
					rejected["tooNewLogEventStartIndex"] = i
				}
			default:
				accepted = append(accepted, LogEvent{at, time.Since(c.started), e.Message})
			}
			last = e.Timestamp
		}
		if len(in.LogEvents) == 0 || len(in.LogEvents) > 10000 {
			return nil, invalid("logEvents: 1 to 10000, not %d", len(in.LogEvents))
		}
		if total > 1<<20 {
			return nil, invalid("Upload too large: %d bytes exceeds limit of %d", total, 1<<20)
		}
		c.logs.streams[key] = append(c.logs.streams[key], accepted...)
		out := object{"nextSequenceToken": "lab"}
		if len(rejected) > 0 {
			out["rejectedLogEventsInfo"] = rejected
		}
		return out, nil
	}
	return nil, &apiError{http.StatusBadRequest, "UnknownOperationException", "the lab does not know " + call.Service + " " + call.Op}
}

func writeJSON(w http.ResponseWriter, c *call, out any, err error) {
	w.Header().Set("Content-Type", c.r.Header.Get("Content-Type"))
	var e *apiError
	if errors.As(err, &e) {
		w.Header().Set("X-Amzn-Errortype", e.code)
		w.WriteHeader(e.status)
		out = object{"__type": e.code, "message": e.message}
	}
	text, err := json.Marshal(out)
	if err != nil {
		panic(err)
	}
	_, _ = w.Write(text)
}
