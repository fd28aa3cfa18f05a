package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/postern-cdk/postern/internal/check"
)

// Key is the context key that holds the configuration or names its file.
const Key = "postern"

// Load turns the value of the CDK context key "postern" into a configuration:
// nothing gives the defaults, a string names a file, an object is the document
// itself.
func Load(context any) (*Config, error) {
	switch value := context.(type) {
	case nil:
		return Default(), nil
	case string:
		text, err := read(value)
		if err != nil {
			return nil, err
		}
		c, err := Parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s:\n%w", value, err)
		}
		return c, nil
	default:
		// As JSON, in which a number keeps all of its digits: an account has 12.
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("context key postern: %w", err)
		}
		c, err := Parse(text)
		if err != nil {
			return nil, fmt.Errorf("context key postern:\n%w", err)
		}
		return c, nil
	}
}

func read(file string) ([]byte, error) {
	given := "-c postern=" + file
	switch start := strings.TrimSpace(file); {
	case start == "":
		return nil, fmt.Errorf("%s: names no file: write -c postern=postern.yaml, or leave it out for the defaults", given)
	case strings.HasPrefix(start, "{"):
		return nil, fmt.Errorf("%s: is a document, and the command line takes the name of a file: save it as postern.yaml and write -c postern=postern.yaml, or put it under the key postern of the context in cdk.json", given)
	}
	text, err := os.ReadFile(file)
	if err == nil {
		return text, nil
	}
	fix := "name a file that can be read"
	if here, wdErr := os.Getwd(); errors.Is(err, fs.ErrNotExist) && wdErr == nil && !filepath.IsAbs(file) {
		fix = "the path is taken from " + here
	}
	return nil, fmt.Errorf("%s: %w: %s", given, err, fix)
}

// Misspelt returns a fault where a context key looks like "postern" and is not:
// the CDK ignores keys that nobody asks for, and the defaults would be deployed
// over what is there.
func Misspelt(keys []string) error {
	for _, key := range keys {
		if key != Key && check.Near(key, Key) {
			return &check.Fault{
				Field:   "context key " + strconv.Quote(key),
				Problem: "is read by nobody, so that the defaults would be deployed",
				Fix:     "did you mean postern? write -c postern=FILE",
			}
		}
	}
	return nil
}

// Parse reads a YAML or JSON document strictly. Its error joins every fault.
func Parse(text []byte) (*Config, error) {
	var document, second yaml.Node
	documents := yaml.NewDecoder(bytes.NewReader(text))
	if err := documents.Decode(&document); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("not YAML or JSON: %w%s", err, tab(text))
	}
	if err := documents.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, &check.Fault{Field: "the document", Problem: "is followed by another one after a line of ---", Fix: "write one document"}
	}
	d := decoder{unread: map[string]bool{}}
	c := &Config{}
	if len(document.Content) > 0 {
		d.decode(document.Content[0], reflect.ValueOf(c).Elem(), "")
	}
	var wrong check.Faults
	c.validate(&wrong)
	named := map[string]bool{}
	for _, fault := range check.List(wrong.Err()) {
		// What could not be read was not validated either: one message is enough.
		if !d.unread[fault.Field] {
			named[fault.Field] = true
			d.faults.Add(fault.Field, fault.Problem, fault.Fix)
		}
	}
	for _, fault := range d.nothing {
		if !named[fault.Field] {
			d.faults.Add(fault.Field, fault.Problem, fault.Fix)
		}
	}
	if err := d.faults.Err(); err != nil {
		return nil, err
	}
	c.fillDefaults()
	return c, nil
}

// tab says where a tab is that YAML doesn't take, which its parser does not.
func tab(text []byte) string {
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		return "" // JSON may be indented with tabs
	}
	for i, line := range strings.Split(string(text), "\n") {
		if indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]; strings.Contains(indent, "\t") {
			return fmt.Sprintf(": line %d begins with a tab: indent with spaces", i+1)
		}
	}
	return ""
}

// decoder collects what is wrong with a document as it is read.
type decoder struct {
	faults check.Faults
	// unread are fields whose value has the wrong type.
	unread map[string]bool
	// nothing are values that say nothing, where another was meant or none.
	nothing []*check.Fault
}

// decode fills value from node. It goes on after a fault, so that one run names
// them all, and leaves the field at its zero value.
func (d *decoder) decode(node *yaml.Node, value reflect.Value, path string) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Tag == "!!null" {
		return
	}
	switch value.Kind() {
	case reflect.Pointer:
		value.Set(reflect.New(value.Type().Elem()))
		d.decode(node, value.Elem(), path)
	case reflect.Struct:
		if d.wants(node, yaml.MappingNode, path) {
			d.decodeStruct(node, value, path)
		}
	case reflect.Map:
		if d.wants(node, yaml.MappingNode, path) {
			d.decodeMap(node, value, path)
		}
	case reflect.Slice:
		if d.wants(node, yaml.SequenceNode, path) {
			d.decodeList(node, value, path)
		}
	case reflect.String:
		// An unquoted account number or "off" is read as another type by YAML; what
		// was written is what is meant.
		if d.wants(node, yaml.ScalarNode, path) {
			value.SetString(node.Value)
			if node.Value == "" {
				d.says(path, "is an empty text", "leave the key out for its default, or write a value")
			}
		}
	case reflect.Int:
		d.decodeInt(node, value, path)
	case reflect.Bool:
		if node.Kind != yaml.ScalarNode || node.Value != "true" && node.Value != "false" {
			d.fault(path, "write true or false", "%s is neither true nor false", describe(node))
			return
		}
		value.SetBool(node.Value == "true")
	default:
		panic("config: no decoding for " + value.Type().String())
	}
}

func (d *decoder) decodeMap(node *yaml.Node, value reflect.Value, path string) {
	value.Set(reflect.MakeMap(value.Type()))
	for i := 0; i < len(node.Content); i += 2 {
		key, item := node.Content[i].Value, node.Content[i+1]
		field := join(path, key)
		name := reflect.ValueOf(key)
		if value.MapIndex(name).IsValid() {
			d.faults.Add(field, "is written twice", "keep one of them")
			continue
		}
		element := reflect.New(value.Type().Elem()).Elem()
		// A tag may well have no value.
		if item.Kind != yaml.ScalarNode || item.Value != "" {
			d.decode(item, element, field)
		}
		value.SetMapIndex(name, element)
	}
}

func (d *decoder) decodeList(node *yaml.Node, value reflect.Value, path string) {
	value.Set(reflect.MakeSlice(value.Type(), len(node.Content), len(node.Content)))
	for i, item := range node.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		if item.Tag == "!!null" || item.Kind == yaml.ScalarNode && item.Value == "" {
			d.says(at, "is empty", "write a value, or leave the entry out")
			continue
		}
		d.decode(item, value.Index(i), at)
	}
}

func (d *decoder) decodeInt(node *yaml.Node, value reflect.Value, path string) {
	n, err := strconv.Atoi(node.Value)
	switch {
	case node.Kind == yaml.ScalarNode && errors.Is(err, strconv.ErrRange):
		d.fault(path, "write a smaller one", "%s is too large a number", node.Value)
	case node.Kind != yaml.ScalarNode || err != nil:
		d.fault(path, "write it as digits, without unit", "%s is not a whole number", describe(node))
	default:
		value.SetInt(int64(n))
		if n == 0 {
			d.says(path, "0 is neither a limit nor the lack of one", "leave the key out for its default, or write 1 or more")
		}
	}
}

// fault is about a value that could not be read.
func (d *decoder) fault(path, fix, format string, args ...any) {
	d.unread[path] = true
	d.faults.Addf(name(path), fix, format, args...)
}

// says records a value that says nothing. What validates the field has the better
// words for it, if it has any.
func (d *decoder) says(path, problem, fix string) {
	d.nothing = append(d.nothing, &check.Fault{Field: path, Problem: problem, Fix: fix})
}

func (d *decoder) decodeStruct(node *yaml.Node, value reflect.Value, path string) {
	fields, keys := map[string]int{}, []string{}
	for i := range value.NumField() {
		key := value.Type().Field(i).Tag.Get("yaml")
		fields[key] = i
		keys = append(keys, key)
	}
	seen := map[string]bool{}
	for i := 0; i < len(node.Content); i += 2 {
		key, item := node.Content[i].Value, node.Content[i+1]
		field, known := fields[key]
		switch {
		case !known:
			d.faults.Addf(join(path, key), keyFix(path, key, keys), "%s is not a key here", describe(node.Content[i]))
		case seen[key]:
			d.faults.Add(join(path, key), "is written twice", "keep one of them")
		default:
			d.decode(item, value.Field(field), join(path, key))
		}
		seen[key] = true
	}
}

func keyFix(path, key string, keys []string) string {
	fix := "the keys here are " + strings.Join(keys, ", ")
	if near := check.Nearest(key, keys); near != "" {
		return fmt.Sprintf("did you mean %q? %s", near, fix)
	}
	if path == "" && key == Key {
		return "the document begins below it: leave this line out and indent the rest less"
	}
	last, dotted := cutLast(key)
	var places []string
	for _, known := range paths(reflect.TypeFor[Config](), "") {
		if dotted && known == join(path, key) {
			return "write each part as a key of its own, indented below the one before: " + strings.ReplaceAll(known, ".", ": {") +
				": ..." + strings.Repeat("}", strings.Count(known, "."))
		}
		if end, _ := cutLast(known); strings.EqualFold(end, last) {
			places = append(places, known)
		}
	}
	if len(places) > 0 && len(places) <= 3 {
		return fmt.Sprintf("did you mean %s? %s", strings.Join(places, " or "), fix)
	}
	return fix
}

// paths are all keys from the top that no list is above of.
func paths(t reflect.Type, at string) []string {
	var all []string
	for i := range t.NumField() {
		field := t.Field(i)
		path, inner := join(at, field.Tag.Get("yaml")), field.Type
		all = append(all, path)
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			all = append(all, paths(inner, path)...)
		}
	}
	return all
}

// cutLast is the last key of a path, and whether there is one before it.
func cutLast(path string) (last string, dotted bool) {
	i := strings.LastIndex(path, ".")
	return path[i+1:], i >= 0
}

func (d *decoder) wants(node *yaml.Node, kind yaml.Kind, path string) bool {
	if node.Kind == kind {
		return true
	}
	what, fix := "a text", ""
	switch kind {
	case yaml.MappingNode:
		what = "a mapping of keys to values"
	case yaml.SequenceNode:
		what = "a list"
		if node.Kind == yaml.MappingNode {
			fix = ": begin each entry with a hyphen"
		} else {
			fix = fmt.Sprintf(", such as [%q]", node.Value)
		}
	case yaml.ScalarNode, yaml.AliasNode, yaml.DocumentNode:
	}
	d.fault(path, "write "+what+fix, "%s is not %s", describe(node), what)
	return false
}

func describe(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode, yaml.AliasNode, yaml.DocumentNode:
	}
	return strconv.Quote(node.Value)
}

func name(path string) string {
	if path == "" {
		return "the document"
	}
	return path
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
