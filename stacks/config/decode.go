package config

import (
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/postern-cdk/postern/internal/check"
)

// Load turns the value of the CDK context key "postern" into a configuration:
// nothing gives the defaults, a string names a file, an object is the document
// itself.
func Load(context any) (*Config, error) {
	switch value := context.(type) {
	case nil:
		return Default(), nil
	case string:
		text, err := os.ReadFile(value)
		if err != nil {
			return nil, fmt.Errorf("configuration named by -c postern=%s: %w", value, err)
		}
		c, err := Parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s:\n%w", value, err)
		}
		return c, nil
	default:
		text, err := yaml.Marshal(value)
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

// Parse reads a YAML or JSON document strictly. Its error joins every fault.
func Parse(text []byte) (*Config, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("not YAML or JSON: %w", err)
	}
	c := &Config{}
	var faults check.Faults
	if len(document.Content) > 0 {
		decode(document.Content[0], reflect.ValueOf(c).Elem(), "", &faults)
	}
	c.validate(&faults)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	c.fillDefaults()
	return c, nil
}

// decode fills value from node. It goes on after a fault, so that one run names
// them all, and leaves the field at its zero value.
func decode(node *yaml.Node, value reflect.Value, path string, faults *check.Faults) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Tag == "!!null" {
		return
	}
	switch value.Kind() {
	case reflect.Pointer:
		value.Set(reflect.New(value.Type().Elem()))
		decode(node, value.Elem(), path, faults)
	case reflect.Struct:
		if wants(node, yaml.MappingNode, path, "a mapping of keys to values", faults) {
			decodeStruct(node, value, path, faults)
		}
	case reflect.Map:
		if !wants(node, yaml.MappingNode, path, "a mapping of keys to values", faults) {
			return
		}
		value.Set(reflect.MakeMap(value.Type()))
		for i := 0; i < len(node.Content); i += 2 {
			element := reflect.New(value.Type().Elem()).Elem()
			decode(node.Content[i+1], element, join(path, node.Content[i].Value), faults)
			value.SetMapIndex(reflect.ValueOf(node.Content[i].Value), element)
		}
	case reflect.Slice:
		if !wants(node, yaml.SequenceNode, path, "a list", faults) {
			return
		}
		value.Set(reflect.MakeSlice(value.Type(), len(node.Content), len(node.Content)))
		for i, item := range node.Content {
			decode(item, value.Index(i), fmt.Sprintf("%s[%d]", path, i), faults)
		}
	case reflect.String:
		// An unquoted account number or "off" is read as another type by YAML; what
		// was written is what is meant.
		if wants(node, yaml.ScalarNode, path, "a text", faults) {
			value.SetString(node.Value)
		}
	case reflect.Int:
		n, err := strconv.Atoi(node.Value)
		if node.Kind != yaml.ScalarNode || err != nil {
			faults.Addf(name(path), "write it as digits, without quotes or unit", "%s is not a whole number", describe(node))
			return
		}
		value.SetInt(int64(n))
	case reflect.Bool:
		if node.Kind != yaml.ScalarNode || node.Value != "true" && node.Value != "false" {
			faults.Addf(name(path), "write true or false", "%s is neither true nor false", describe(node))
			return
		}
		value.SetBool(node.Value == "true")
	default:
		panic("config: no decoding for " + value.Type().String())
	}
}

func decodeStruct(node *yaml.Node, value reflect.Value, path string, faults *check.Faults) {
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
			faults.Addf(join(path, key), keyFix(key, keys), "%s is not a key here", describe(node.Content[i]))
		case seen[key]:
			faults.Add(join(path, key), "is written twice", "keep one of them")
		default:
			decode(item, value.Field(field), join(path, key), faults)
		}
		seen[key] = true
	}
}

func keyFix(key string, keys []string) string {
	fix := "the keys here are " + strings.Join(keys, ", ")
	if near := check.Nearest(key, keys); near != "" {
		fix = fmt.Sprintf("did you mean %q? %s", near, fix)
	}
	return fix
}

func wants(node *yaml.Node, kind yaml.Kind, path, what string, faults *check.Faults) bool {
	if node.Kind == kind {
		return true
	}
	faults.Addf(name(path), "write "+what, "%s is not %s", describe(node), what)
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
