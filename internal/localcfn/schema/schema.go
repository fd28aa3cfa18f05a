// Package schema tells what CloudFormation knows of each resource type: its
// properties to any depth, which are required, which can't be set, which can't
// be changed without a new resource, and what identifies it.
//
// The knowledge is AWS's own, taken from the CloudFormation provider schemas
// and from the service database of the CDK CLI; see README.md beside the
// localcfn package for sources and versions.
//
//go:generate go run ./gen -cdk ../../../node_modules/aws-cdk -out schemas.zip
package schema

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

//go:embed schemas.zip
var archive []byte

// Node describes one value: a property, an item of a list, a value of a map.
type Node struct {
	// Types holds one letter for each primitive type that is allowed: s string,
	// i integer, n number, b boolean, a list, o map. Empty means any.
	Types string `json:"t,omitempty"`
	// Ref names a definition of the type that describes the value.
	Ref string `json:"r,omitempty"`
	// Items describes the items of a list.
	Items *Node `json:"i,omitempty"`
	// Props describes the keys of a map that are known by name.
	Props map[string]*Node `json:"p,omitempty"`
	// Required lists the keys that must be there.
	Required []string `json:"q,omitempty"`
	// Closed says that no other keys than Props are allowed.
	Closed bool `json:"c,omitempty"`
	// Values describes the values of keys not in Props.
	Values *Node `json:"m,omitempty"`
	// Enum lists the allowed strings.
	Enum []string `json:"e,omitempty"`
	// Min and Max bound a number.
	Min *float64 `json:"mn,omitempty"`
	Max *float64 `json:"mx,omitempty"`
}

// Type is one resource type.
type Type struct {
	Name string `json:"-"`
	// Root describes the properties.
	Root Node `json:"root"`
	// Defs holds what Node.Ref names.
	Defs map[string]*Node `json:"d,omitempty"`
	// CreateOnly and ConditionalCreateOnly hold property paths such as
	// "A/B" or "A/*/B"; a star stands for every item of a list.
	CreateOnly            []string `json:"co,omitempty"`
	ConditionalCreateOnly []string `json:"cco,omitempty"`
	ReadOnly              []string `json:"ro,omitempty"`
	WriteOnly             []string `json:"wo,omitempty"`
	// PrimaryIdentifier holds the paths whose values identify a resource.
	PrimaryIdentifier []string `json:"id,omitempty"`
	// RefReturns names the properties that Ref returns where that differs from
	// PrimaryIdentifier.
	RefReturns []string `json:"ref,omitempty"`
	// Attributes lists further names that Fn::GetAtt takes.
	Attributes []string `json:"att,omitempty"`
	// Arn is the format of the resource's ARN, such as
	// "arn:${Partition}:kms:${Region}:${Account}:key/${KeyId}".
	Arn string `json:"arn,omitempty"`
	// TagProperty is the property that stack tags are added to, where the type
	// takes them.
	TagProperty string `json:"tag,omitempty"`
	// TagMap says that tags are a map rather than a list of Key and Value.
	TagMap bool `json:"tagmap,omitempty"`
	// DeleteFirst says that the provider replaces by delete and create.
	DeleteFirst bool `json:"delfirst,omitempty"`
}

var (
	openOnce sync.Once
	openErr  error
	files    map[string]*zip.File // by service, such as AWS::EC2
	names    []string

	mu     sync.Mutex
	loaded = map[string]map[string]*Type{}
)

func open() error {
	openOnce.Do(func() {
		r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
		if err != nil {
			openErr = fmt.Errorf("schema: %w", err)
			return
		}
		files = map[string]*zip.File{}
		for _, f := range r.File {
			if f.Name == "names" {
				b, err := read(f)
				if err != nil {
					openErr = err
					return
				}
				names = strings.Split(strings.TrimSpace(string(b)), "\n")
				continue
			}
			files[strings.ReplaceAll(strings.TrimSuffix(f.Name, ".json"), ".", "::")] = f
		}
	})
	return openErr
}

func read(f *zip.File) ([]byte, error) {
	rc, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	b, err := io.ReadAll(rc)
	if err = errors.Join(err, rc.Close()); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return b, nil
}

// Names lists all types, sorted.
func Names() []string {
	if err := open(); err != nil {
		panic(err)
	}
	return names
}

// IsCustom says that a type is a custom resource, answered by a function of the
// user's.
func IsCustom(name string) bool {
	return strings.HasPrefix(name, "Custom::") || name == "AWS::CloudFormation::CustomResource"
}

// custom is what CloudFormation knows of a custom resource: any properties, none of
// which needs a new resource, and any attributes.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-customresource.html
func custom(name string) *Type {
	least, most := 1.0, 3600.0
	return &Type{Name: name, Root: Node{
		Props: map[string]*Node{
			"ServiceToken":   {Types: "s"},
			"ServiceTimeout": {Types: "i", Min: &least, Max: &most},
		},
		Required: []string{"ServiceToken"},
		Values:   &Node{},
	}}
}

// Lookup returns the type, or nil where there is none of that name. Types are
// read by service on first use.
func Lookup(name string) *Type {
	if IsCustom(name) {
		return custom(name)
	}
	if err := open(); err != nil {
		panic(err)
	}
	service := name
	if i := strings.LastIndex(name, "::"); i > 0 {
		service = name[:i]
	}
	f := files[service]
	if f == nil {
		return nil
	}
	mu.Lock()
	defer mu.Unlock()
	types, ok := loaded[service]
	if !ok {
		b, err := read(f)
		if err == nil {
			err = json.Unmarshal(b, &types)
		}
		if err != nil {
			panic(fmt.Errorf("schema: %s: %w", service, err))
		}
		for n, t := range types {
			t.Name = service + "::" + n
		}
		loaded[service] = types
	}
	return types[name[len(service)+2:]]
}

// Resolve follows Node.Ref.
func (t *Type) Resolve(n *Node) *Node {
	for range 16 {
		if n == nil || n.Ref == "" {
			return n
		}
		n = t.Defs[n.Ref]
	}
	return nil
}

// At returns the node at a path such as "A/*/B", or nil.
func (t *Type) At(path string) *Node {
	n := &t.Root
	for _, part := range strings.Split(path, "/") {
		n = t.Resolve(n)
		if n == nil {
			return nil
		}
		switch {
		case part == "*" && n.Items != nil:
			n = n.Items
		case n.Props[part] != nil:
			n = n.Props[part]
		case n.Values != nil:
			n = n.Values
		default:
			return nil
		}
	}
	return t.Resolve(n)
}

// IsReadOnly says that the property as a whole can't be set.
func (t *Type) IsReadOnly(path string) bool { return slices.Contains(t.ReadOnly, path) }

// AttributeNames lists what Fn::GetAtt takes, sorted.
func (t *Type) AttributeNames() []string {
	var out []string
	for _, p := range t.ReadOnly {
		if !strings.Contains(p, "*") {
			out = append(out, strings.ReplaceAll(p, "/", "."))
		}
	}
	out = append(out, t.Attributes...)
	slices.Sort(out)
	return slices.Compact(out)
}
