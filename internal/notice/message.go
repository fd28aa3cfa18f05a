package notice

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Payload is what the function gets of a rule: the words, and the whole event.
type Payload struct {
	Lines []string          `json:"lines"`
	Paths map[string]string `json:"paths"`
	Event json.RawMessage   `json:"event"`
}

// FunctionTemplate is the message for an input transformer whose target is the
// function, which puts the variables in. They are in braces there, so that EventBridge
// leaves them alone.
func (w Words) FunctionTemplate() string {
	braces := make([]string, len(w.Lines))
	for i, line := range w.Lines {
		braces[i] = strings.NewReplacer("<", "{", ">", "}").Replace(line)
	}
	const event = `"event":null`
	payload := quote(Payload{Lines: braces, Paths: w.Paths, Event: json.RawMessage("null")})
	return strings.TrimSuffix(payload, event+"}") + `"event":<aws.events.event.json>}`
}

// Message is what people get.
type Message struct {
	// Subject is of an e-mail: one line of ASCII, 100 characters at most.
	Subject string
	Text    string
	// Chat is the same for Amazon Q Developer in chat applications.
	Chat string
}

// SNS takes 262,144 bytes. JSON makes at most six of each.
//
// docs.aws.amazon.com/sns/latest/api/API_Publish.html
const (
	maxSubject = 100
	maxRaw     = 32 << 10
	maxValue   = 1024
	maxLines   = 100
)

// Message makes a message of what the function got. It never fails: what can't be
// read is told as it is.
func (j *Judge) Message(payload []byte) Message {
	var p Payload
	var c call
	if err := json.Unmarshal(payload, &p); err != nil || len(p.Lines) == 0 || len(p.Lines) > maxLines {
		return raw(payload)
	}
	decoder := json.NewDecoder(bytes.NewReader(p.Event))
	decoder.UseNumber()
	var event map[string]any
	if err := decoder.Decode(&event); err != nil || len(event) == 0 {
		return raw(payload)
	}
	// A field of another type than expected is left empty, and judged so.
	_ = json.Unmarshal(p.Event, &c)

	lines := make([]string, len(p.Lines))
	for i, line := range p.Lines {
		lines[i] = variables.ReplaceAllStringFunc(line, func(name string) string {
			return j.value(&c, p.Paths[name[1:len(name)-1]], event)
		})
	}
	title, _, _ := strings.Cut(p.Lines[0], "{")
	title = strings.TrimRight(title, ": ")
	if reasons := j.abnormal(&c); len(reasons) > 0 {
		why := strings.Join(reasons, ", ")
		title = "ABNORMAL: " + title
		lines[0] = "ABNORMAL: " + lines[0]
		lines = append(lines[:1:1], append([]string{"Abnormal: " + why + "."}, lines[1:]...)...)
	}
	return Message{Subject: subject(title), Text: strings.Join(lines, "\n"), Chat: quote(chat(subject(title), lines))}
}

var variables = regexp.MustCompile(`\{[a-z]+\}`)

func raw(payload []byte) Message {
	text := strings.ToValidUTF8(string(payload), "?")
	if len(text) > maxRaw {
		text = strings.ToValidUTF8(text[:maxRaw], "") + " (cut here: CloudTrail has the whole)"
	}
	lines := []string{"NOTICE THAT COULD NOT BE READ: here is what EventBridge sent.", text}
	return Message{Subject: subject(lines[0]), Text: strings.Join(lines, "\n"), Chat: quote(chat("NOTICE THAT COULD NOT BE READ", lines))}
}

// value is what stands for a variable. The two that a person wants in other words
// than the event has are put in them.
func (j *Judge) value(c *call, path string, event map[string]any) string {
	text := plain(at(event, path))
	switch path {
	case caller["when"]:
		when, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return text
		}
		local := when.In(j.zone).Format("Monday 2006-01-02 15:04:05 MST")
		if j.zone == time.UTC {
			return local
		}
		return local + " (" + text + ")"
	case caller["from"]:
		if endpoint := plain(c.Detail.Endpoint); endpoint != "" {
			text += " (through " + endpoint
			if c.Detail.EndpointOf != "" && c.Detail.EndpointOf != c.Account {
				text += " of account " + plain(c.Detail.EndpointOf)
			}
			text += ")"
		}
	}
	return text
}

// at follows a path of the kind that input transformers know.
func at(value any, path string) string {
	rest, ok := strings.CutPrefix(path, "$.")
	if !ok {
		return ""
	}
	for key := range strings.SplitSeq(rest, ".") {
		object, ok := value.(map[string]any)
		if !ok {
			return ""
		}
		value = object[key]
	}
	switch value := value.(type) {
	case string:
		return value
	case json.Number:
		return value.String()
	case bool:
		return strconv.FormatBool(value)
	}
	return ""
}

// plain keeps a value within its line. What is not to be seen, or would begin another
// line, could make people read what nobody wrote.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	if utf8.RuneCountInString(text) > maxValue {
		text = string([]rune(text)[:maxValue]) + "..."
	}
	return text
}

// subject is what SNS takes as one: ASCII that can be seen, beginning with a letter or
// the like.
//
// docs.aws.amazon.com/sns/latest/api/API_Publish.html
func subject(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	if len(text) > maxSubject {
		text = text[:maxSubject]
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return "Notice"
	}
	return text
}
