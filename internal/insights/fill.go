package insights

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// placeholder of a saved query.
//
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_QueryParameter.html
var placeholder = regexp.MustCompile(`\{\{([a-zA-Z_][a-zA-Z0-9_]*)\}\}`)

// Placeholders are the names in {{double braces}}, each once, in order.
func Placeholders(query string) []string {
	var names []string
	for _, found := range placeholder.FindAllStringSubmatch(query, -1) {
		if !slices.Contains(names, found[1]) {
			names = append(names, found[1])
		}
	}
	return names
}

// Fill puts values in the place of placeholders. A value that could end the text it
// is put into is refused.
func Fill(query string, values map[string]string) (string, error) {
	for _, name := range Placeholders(query) {
		v, given := values[name]
		switch {
		case !given:
			return "", fmt.Errorf("{{%s}} has no value", name)
		case strings.ContainsAny(v, "\"'`\\/|{}\n\r"):
			return "", fmt.Errorf("{{%s}}: %q has a character that could end the text around it", name, v)
		}
		query = strings.ReplaceAll(query, "{{"+name+"}}", v)
	}
	return query, nil
}
