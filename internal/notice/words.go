package notice

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Words are a message with variables in it, such as "<who>".
type Words struct {
	// Lines are the message. The first says what happened.
	Lines []string
	// Paths are where in the event the variables are found.
	Paths map[string]string
}

// say makes words of texts of one line or more. Paths that no line asks for are
// left out: EventBridge would tell nobody that they are there for nothing.
func say(paths map[string]string, texts ...string) Words {
	w := Words{Lines: strings.Split(strings.Join(texts, "\n"), "\n"), Paths: map[string]string{}}
	text := strings.Join(texts, "\n")
	for name, path := range paths {
		if strings.Contains(text, "<"+name+">") {
			w.Paths[name] = path
		}
	}
	return w
}

// And has one more line at the end.
func (w Words) And(line string) Words {
	return Words{Lines: append(slices.Clone(w.Lines), line), Paths: w.Paths}
}

// Template is the message for an input transformer whose target is a topic.
// EventBridge takes a text only in quotes, and several lines only as several texts;
// so they are in quotes in an e-mail, too.
func (w Words) Template() string {
	all := make([]string, len(w.Lines))
	for i, line := range w.Lines {
		all[i] = `"` + line + `"`
	}
	return strings.Join(all, "\n")
}

// ChatTemplate is the message for an input transformer whose target is a topic of
// Amazon Q Developer in chat applications, which takes a notification of one's own
// in one form only.
//
// docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html
func (w Words) ChatTemplate() string { return quote(chat(w.Title(), w.Lines)) }

// Names are the variables, in order.
func (w Words) Names() []string { return slices.Sorted(maps.Keys(w.Paths)) }

// notification is what Amazon Q takes: a title, and text in its Markdown.
type notification struct {
	Version string  `json:"version"`
	Source  string  `json:"source"`
	Content content `json:"content"`
}

type content struct {
	TextType    string `json:"textType"`
	Title       string `json:"title"`
	Description string `json:"description"`
}

// chat is a notification of a message. The first line may be longer than a title
// can be, so it is in the text, too.
func chat(title string, lines []string) notification {
	return notification{Version: "1.0", Source: "custom", Content: content{
		TextType: "client-markdown", Title: title, Description: strings.Join(lines, "\n"),
	}}
}

// Title is what happened, before the variables begin.
func (w Words) Title() string {
	title, _, _ := strings.Cut(w.Lines[0], "<")
	return strings.TrimRight(title, ": ")
}

// quote is a value as JSON, whose "<" and "&" are for EventBridge and a reader.
func quote(value any) string {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err) // texts alone
	}
	return strings.TrimSuffix(text.String(), "\n")
}
