package owner

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// digest of what a document says, whatever its spaces and the order of its fields.
func digest(content string) string {
	if value, err := parse(content); err == nil {
		if canonical, err := json.Marshal(value); err == nil {
			content = string(canonical)
		}
	}
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

func parse(content string) (map[string]any, error) {
	decoder := json.NewDecoder(strings.NewReader(content))
	decoder.UseNumber()
	var value map[string]any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the document")
	}
	if value == nil {
		return nil, errors.New("it is null")
	}
	return value, nil
}

// merge puts our preferences over theirs. What ours leave empty stays as it is:
//
//   - a destination stands or falls as a whole: ours where it is named, otherwise
//     theirs with its encryption;
//   - of two timeouts, the shorter one;
//   - the stricter of two runAsEnabled; their default user where ours names none;
//   - shell profiles by system;
//   - whatever the document says that ours know nothing of.
func merge(theirs, ours string) (string, error) {
	base, err := parse(theirs)
	if err != nil {
		return "", fmt.Errorf("the preferences that exist can't be merged with: %w: choose %s", err, "AdoptByReplace")
	}
	over, err := parse(ours)
	if err != nil {
		return "", err
	}
	if kind := base["sessionType"]; kind != over["sessionType"] {
		return "", fmt.Errorf("the preferences that exist can't be merged with: their sessionType is %v, not %v: choose %s", kind, over["sessionType"], "AdoptByReplace")
	}
	were, _ := base["inputs"].(map[string]any)
	are, _ := over["inputs"].(map[string]any)
	inputs := map[string]any{}
	for name, value := range were {
		inputs[name] = value
	}
	for name, value := range are {
		if empty(value) && !empty(were[name]) {
			continue
		}
		inputs[name] = value
	}
	for _, destination := range [][]string{
		{"s3BucketName", "s3KeyPrefix", "s3EncryptionEnabled"},
		{"cloudWatchLogGroupName", "cloudWatchEncryptionEnabled", "cloudWatchStreamingEnabled"},
	} {
		from := are
		if empty(are[destination[0]]) && !empty(were[destination[0]]) {
			from = were
		}
		for _, name := range destination {
			delete(inputs, name)
			if value, ok := from[name]; ok {
				inputs[name] = value
			}
		}
		// The schema wants it: https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-schema.html
		for _, name := range destination[1:] {
			if _, ok := inputs[name]; !ok && strings.HasSuffix(name, "Enabled") && are[name] != nil {
				inputs[name] = are[name]
			}
		}
	}
	if were["runAsEnabled"] == true {
		inputs["runAsEnabled"] = true
	}
	for _, name := range []string{"idleSessionTimeout", "maxSessionDuration"} {
		inputs[name] = shorter(were[name], are[name])
		if inputs[name] == nil {
			delete(inputs, name)
		}
	}
	if theirProfile, ok := were["shellProfile"].(map[string]any); ok {
		profile := map[string]any{}
		for name, value := range theirProfile {
			profile[name] = value
		}
		ourProfile, _ := are["shellProfile"].(map[string]any)
		for name, value := range ourProfile {
			if _, ok := profile[name]; !ok || !empty(value) {
				profile[name] = value
			}
		}
		inputs["shellProfile"] = profile
	}
	for name, value := range over {
		base[name] = value
	}
	base["inputs"] = inputs
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err = encoder.Encode(base)
	return strings.TrimSpace(text.String()), err
}

func empty(value any) bool { return value == nil || value == "" }

// shorter of two numbers of minutes. What is no number yields to what is one.
func shorter(a, b any) any {
	minutes := func(value any) (int, bool) {
		n, err := strconv.Atoi(fmt.Sprint(value))
		return n, err == nil && n > 0
	}
	x, okX := minutes(a)
	y, okY := minutes(b)
	switch {
	case !okX && !okY && b == nil:
		return a
	case !okX || okY && y <= x:
		return b
	default:
		return a
	}
}
