// Command gen writes schemas.zip: what CloudFormation knows of each resource
// type, in the compact form that package schema reads.
//
// It needs Python 3 with cfn-lint (pip install cfn-lint==1.51.0), whose copy of the
// CloudFormation provider schemas is the base, and the CDK CLI's folder
// (npm ci), whose service database adds what that copy lacks: newer types and
// properties, ARN formats, what Ref returns, and the documented attributes.
package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/postern-cdk/postern/internal/localcfn/schema"
)

func main() {
	cdk := flag.String("cdk", "node_modules/aws-cdk", "folder of the npm package aws-cdk")
	out := flag.String("out", "schemas.zip", "file to write")
	python := flag.String("python", "python3", "Python that has cfn-lint")
	flag.Parse()
	if err := run(*cdk, *out, *python); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(cdk, out, python string) error {
	types, version, err := fromLint(python)
	if err != nil {
		return err
	}
	before := len(types)
	added, err := fromCDK(types, filepath.Join(cdk, "db.json.gz"))
	if err != nil {
		return err
	}
	ours(types)
	if err := write(types, out); err != nil {
		return err
	}
	info, err := os.Stat(out)
	if err != nil {
		return err
	}
	fmt.Printf("%d types: %d of cfn-lint %s, %d with %d properties more of the CDK database; %d bytes\n",
		len(types), before, version, len(types)-before, added, info.Size())
	return nil
}

// lintSchema is what we read of a provider schema.
type lintSchema struct {
	TypeName              string                     `json:"typeName"`
	Definitions           map[string]json.RawMessage `json:"definitions"`
	CreateOnly            []string                   `json:"createOnlyProperties"`
	ConditionalCreateOnly []string                   `json:"conditionalCreateOnlyProperties"`
	ReadOnly              []string                   `json:"readOnlyProperties"`
	WriteOnly             []string                   `json:"writeOnlyProperties"`
	PrimaryIdentifier     []string                   `json:"primaryIdentifier"`
	ReplacementStrategy   string                     `json:"replacementStrategy"`
	Taggable              *bool                      `json:"taggable"`
	Tagging               *struct {
		Taggable    *bool  `json:"taggable"`
		TagProperty string `json:"tagProperty"`
	} `json:"tagging"`
}

func fromLint(python string) (map[string]*schema.Type, string, error) {
	script := filepath.Join("gen", "dump.py")
	if _, err := os.Stat(script); err != nil {
		script = "dump.py"
	}
	cmd := exec.Command(python, script)
	cmd.Stderr = os.Stderr
	b, err := cmd.Output()
	if err != nil {
		return nil, "", fmt.Errorf("%s %s: %w", python, script, err)
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, 8<<20)
	lines.Scan()
	var head struct{ Version string }
	if err := json.Unmarshal(lines.Bytes(), &head); err != nil {
		return nil, "", err
	}
	types := map[string]*schema.Type{}
	for lines.Scan() {
		var s lintSchema
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			return nil, "", err
		}
		t := &schema.Type{Defs: map[string]*schema.Node{}}
		t.Root = *node(lines.Bytes())
		t.Root.Types = ""
		for name, d := range s.Definitions {
			t.Defs["#/definitions/"+name] = node(d)
		}
		t.CreateOnly = paths(s.CreateOnly)
		t.ConditionalCreateOnly = paths(s.ConditionalCreateOnly)
		t.ReadOnly = paths(s.ReadOnly)
		t.WriteOnly = paths(s.WriteOnly)
		t.PrimaryIdentifier = ordered(s.PrimaryIdentifier)
		t.DeleteFirst = s.ReplacementStrategy == "delete_then_create"
		switch {
		case s.Tagging != nil && s.Tagging.Taggable != nil && !*s.Tagging.Taggable:
		case s.Tagging != nil && s.Tagging.TagProperty != "":
			t.TagProperty = paths([]string{s.Tagging.TagProperty})[0]
		case s.Taggable != nil && !*s.Taggable:
		case t.Root.Props["Tags"] != nil:
			t.TagProperty = "Tags"
		}
		if n := t.At(t.TagProperty); t.TagProperty != "" {
			if n == nil || strings.Contains(t.TagProperty, "/") {
				t.TagProperty = ""
			} else {
				t.TagMap = !strings.Contains(n.Types, "a")
			}
		}
		types[s.TypeName] = t
	}
	return types, head.Version, lines.Err()
}

// ordered turns JSON pointers into paths.
func ordered(pointers []string) []string {
	var out []string
	for _, p := range pointers {
		p = strings.TrimPrefix(p, "/properties/")
		p = strings.ReplaceAll(p, "/properties/", "/")
		p = strings.ReplaceAll(p, "/items/", "/*/")
		out = append(out, p)
	}
	return out
}

func paths(pointers []string) []string {
	out := ordered(pointers)
	slices.Sort(out)
	return slices.Compact(out)
}

var letters = map[string]string{"string": "s", "integer": "i", "number": "n", "boolean": "b", "array": "a", "object": "o"}

// node reads one JSON schema. Patterns, lengths and formats are left out:
// values are often only known in part.
func node(raw json.RawMessage) *schema.Node {
	var s struct {
		Type       json.RawMessage
		Ref        string `json:"$ref"`
		Items      json.RawMessage
		Properties map[string]json.RawMessage
		Patterns   map[string]json.RawMessage `json:"patternProperties"`
		Required   []string
		Additional json.RawMessage `json:"additionalProperties"`
		Enum       []any
		Minimum    *float64
		Maximum    *float64
		OneOf      []json.RawMessage `json:"oneOf"`
		AnyOf      []json.RawMessage `json:"anyOf"`
		AllOf      []json.RawMessage `json:"allOf"`
	}
	n := &schema.Node{}
	if json.Unmarshal(raw, &s) != nil {
		return n // `true`
	}
	var one string
	var many []string
	if json.Unmarshal(s.Type, &one) == nil {
		many = []string{one}
	} else if s.Type != nil {
		_ = json.Unmarshal(s.Type, &many)
	}
	for _, m := range many {
		n.Types += letters[m]
	}
	n.Ref = s.Ref
	if n.Ref != "" {
		return &schema.Node{Ref: n.Ref}
	}
	if s.Items != nil {
		n.Items = node(s.Items)
	}
	if len(s.Properties) > 0 {
		n.Props = map[string]*schema.Node{}
		for k, p := range s.Properties {
			n.Props[k] = node(p)
		}
	}
	n.Required = s.Required
	slices.Sort(n.Required)
	n.Min, n.Max = s.Minimum, s.Maximum
	for _, e := range s.Enum {
		if v, ok := e.(string); ok {
			n.Enum = append(n.Enum, v)
		}
	}
	if len(n.Enum) != len(s.Enum) {
		n.Enum = nil
	}
	switch string(s.Additional) {
	case "false":
		n.Closed = true
	case "", "true":
	default:
		n.Values = node(s.Additional)
	}
	for _, k := range slices.Sorted(maps.Keys(s.Patterns)) {
		n.Closed = false
		n.Values = node(s.Patterns[k])
	}
	if len(s.Patterns) > 1 {
		n.Values = &schema.Node{}
	}
	// Alternatives: known are the properties of any of them; what only one of them asks for isn't checked.
	for _, list := range [][]json.RawMessage{s.OneOf, s.AnyOf, s.AllOf} {
		for _, a := range list {
			alt := node(a)
			if alt.Ref != "" || (n.Types == "" && alt.Types != "" && n.Props == nil && alt.Props == nil) {
				if len(list) == 1 {
					return alt
				}
				if n.Props == nil {
					return &schema.Node{} // one of several shapes
				}
				continue
			}
			for k, p := range alt.Props {
				if n.Props[k] == nil {
					if n.Props == nil {
						n.Props = map[string]*schema.Node{}
					}
					n.Props[k] = p
				}
			}
			if n.Items == nil {
				n.Items = alt.Items
			}
		}
	}
	return n
}

// The CDK database.
type cdkType struct {
	Type      string
	Element   *cdkType
	Types     []*cdkType
	Reference struct {
		Ref string `json:"$ref"`
	}
	AllowedValues []any
}

type cdkProp struct {
	Type              *cdkType
	Required          bool
	CausesReplacement string
}

type cdkEntity struct {
	ID                string `json:"$id"`
	CloudFormation    string `json:"cloudFormationType"`
	Properties        map[string]cdkProp
	Attributes        map[string]cdkProp
	PrimaryIdentifier []string
	RefIdentifier     []string `json:"cfnRefIdentifier"`
	ArnTemplate       string
	Transform         string `json:"cloudFormationTransform"`
	Tag               *struct {
		Property string `json:"tagPropertyName"`
		Variant  string
	} `json:"tagInformation"`
}

type cdkDB struct {
	Schema struct {
		Resource       struct{ Entities []*cdkEntity }
		TypeDefinition struct{ Entities []*cdkEntity }
	}
	defs map[string]*cdkEntity
}

func fromCDK(types map[string]*schema.Type, file string) (int, error) {
	packed, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("%w (run npm ci)", err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return 0, err
	}
	b, err := io.ReadAll(z)
	if err != nil {
		return 0, err
	}
	var db cdkDB
	if err := json.Unmarshal(b, &db); err != nil {
		return 0, err
	}
	db.defs = map[string]*cdkEntity{}
	for _, e := range db.Schema.TypeDefinition.Entities {
		db.defs[e.ID] = e
	}
	added := 0
	for _, e := range db.Schema.Resource.Entities {
		if e.Transform != "" {
			continue // expanded by a macro, no type of CloudFormation's own
		}
		t, known := types[e.CloudFormation]
		if !known {
			t = &schema.Type{Defs: map[string]*schema.Node{}, PrimaryIdentifier: e.PrimaryIdentifier}
			t.Root = schema.Node{Closed: true, Props: map[string]*schema.Node{}}
			for _, name := range slices.Sorted(maps.Keys(e.Attributes)) {
				if _, settable := e.Properties[name]; settable || strings.Contains(name, ".") {
					continue
				}
				t.ReadOnly = append(t.ReadOnly, name)
				t.Root.Props[name] = db.node(t, e.Attributes[name].Type)
			}
			types[e.CloudFormation] = t
		}
		if t.Root.Props == nil {
			t.Root.Props = map[string]*schema.Node{}
		}
		m := merger{db: &db, t: t, seen: map[[2]any]bool{}}
		m.props(&t.Root, e)
		added += m.added
		if !known {
			for _, name := range slices.Sorted(maps.Keys(e.Properties)) {
				switch p := e.Properties[name]; p.CausesReplacement {
				case "yes":
					t.CreateOnly = append(t.CreateOnly, name)
				case "maybe":
					t.ConditionalCreateOnly = append(t.ConditionalCreateOnly, name)
				}
				if e.Properties[name].Required {
					t.Root.Required = append(t.Root.Required, name)
				}
			}
		}
		t.Arn = e.ArnTemplate
		t.RefReturns = e.RefIdentifier
		for _, name := range slices.Sorted(maps.Keys(e.Attributes)) {
			if !slices.Contains(t.ReadOnly, strings.ReplaceAll(name, ".", "/")) {
				t.Attributes = append(t.Attributes, name)
			}
		}
		if e.Tag != nil && t.TagProperty == "" && (!known || e.Tag.Property != "Tags") && t.Root.Props[e.Tag.Property] != nil {
			t.TagProperty, t.TagMap = e.Tag.Property, e.Tag.Variant == "map"
		}
	}
	return added, nil
}

type merger struct {
	db    *cdkDB
	t     *schema.Type
	seen  map[[2]any]bool
	added int
}

// props adds the properties that n lacks.
func (m *merger) props(n *schema.Node, e *cdkEntity) {
	if m.seen[[2]any{n, e}] {
		return
	}
	m.seen[[2]any{n, e}] = true
	for _, name := range slices.Sorted(maps.Keys(e.Properties)) {
		p := e.Properties[name]
		if have := n.Props[name]; have != nil {
			m.deep(have, p.Type)
			continue
		}
		if n.Props == nil && (n.Values != nil || !n.Closed) {
			continue // takes any key
		}
		if n.Props == nil {
			n.Props = map[string]*schema.Node{}
		}
		n.Props[name] = m.db.node(m.t, p.Type)
		m.added++
	}
}

func (m *merger) deep(n *schema.Node, c *cdkType) {
	n = m.t.Resolve(n)
	if n == nil || c == nil {
		return
	}
	switch c.Type {
	case "ref":
		if e := m.db.defs[c.Reference.Ref]; e != nil {
			m.props(n, e)
		}
	case "array":
		if n.Items != nil {
			m.deep(n.Items, c.Element)
		}
	case "map":
		if n.Values != nil {
			m.deep(n.Values, c.Element)
		}
	}
}

func (db *cdkDB) node(t *schema.Type, c *cdkType) *schema.Node {
	if c == nil {
		return &schema.Node{}
	}
	switch c.Type {
	case "string", "date-time":
		n := &schema.Node{Types: "s"}
		for _, v := range c.AllowedValues {
			if s, ok := v.(string); ok {
				n.Enum = append(n.Enum, s)
			}
		}
		return n
	case "integer", "number", "boolean":
		return &schema.Node{Types: letters[c.Type]}
	case "array":
		return &schema.Node{Types: "a", Items: db.node(t, c.Element)}
	case "map":
		return &schema.Node{Types: "o", Values: db.node(t, c.Element)}
	case "tag":
		return &schema.Node{
			Types: "o", Closed: true, Required: []string{"Key", "Value"},
			Props: map[string]*schema.Node{"Key": {Types: "s"}, "Value": {Types: "s"}},
		}
	case "ref":
		key := "cdk" + c.Reference.Ref
		e := db.defs[c.Reference.Ref]
		if e == nil {
			return &schema.Node{}
		}
		if t.Defs[key] == nil {
			n := &schema.Node{Types: "o", Closed: true, Props: map[string]*schema.Node{}}
			t.Defs[key] = n
			for _, name := range slices.Sorted(maps.Keys(e.Properties)) {
				n.Props[name] = db.node(t, e.Properties[name].Type)
				if e.Properties[name].Required {
					n.Required = append(n.Required, name)
				}
			}
		}
		return &schema.Node{Ref: key}
	}
	return &schema.Node{}
}

// ours adds what neither source has.
func ours(types map[string]*schema.Type) {
	types["AWS::CDK::Metadata"] = &schema.Type{Root: schema.Node{
		Closed: true,
		Props:  map[string]*schema.Node{"Analytics": {Types: "s"}},
	}}
	for _, name := range []string{"AWS::CloudFormation::WaitConditionHandle", "AWS::CloudFormation::WaitCondition"} {
		if types[name] == nil {
			types[name] = &schema.Type{Root: schema.Node{}}
		}
	}
}

func write(types map[string]*schema.Type, out string) error {
	services := map[string]map[string]*schema.Type{}
	for name, t := range types {
		prune(t)
		i := strings.LastIndex(name, "::")
		if services[name[:i]] == nil {
			services[name[:i]] = map[string]*schema.Type{}
		}
		services[name[:i]][name[i+2:]] = t
	}
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(w, flate.BestCompression)
	})
	add := func(name string, body []byte) error {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)})
		if err == nil {
			_, err = w.Write(body)
		}
		return err
	}
	if err := add("names", []byte(strings.Join(slices.Sorted(maps.Keys(types)), "\n"))); err != nil {
		return err
	}
	for _, s := range slices.Sorted(maps.Keys(services)) {
		b, err := json.Marshal(services[s])
		if err != nil {
			return err
		}
		if err := add(strings.ReplaceAll(s, "::", ".")+".json", b); err != nil {
			return err
		}
	}
	if err := z.Close(); err != nil {
		return err
	}
	return os.WriteFile(out, buf.Bytes(), 0o600)
}

// prune drops definitions that nothing refers to and shortens the names of the others.
func prune(t *schema.Type) {
	short := map[string]string{}
	keep := map[string]*schema.Node{}
	var walk func(n *schema.Node)
	walk = func(n *schema.Node) {
		if n == nil {
			return
		}
		if n.Ref != "" {
			old := n.Ref
			if s, ok := short[old]; ok {
				n.Ref = s
				return
			}
			d := t.Defs[old]
			if d == nil {
				*n = schema.Node{}
				return
			}
			s := fmt.Sprint(len(short))
			short[old], keep[s], n.Ref = s, d, s
			walk(d)
			return
		}
		walk(n.Items)
		walk(n.Values)
		for _, k := range slices.Sorted(maps.Keys(n.Props)) {
			walk(n.Props[k])
		}
	}
	walk(&t.Root)
	t.Defs = keep
}
