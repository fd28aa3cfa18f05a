// Package cloud is the account that stacks are deployed to: its resources with
// their identifiers, attributes, unique names and quotas. Nothing runs in it.
package cloud

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/postern-cdk/postern/internal/localcfn/schema"
	"github.com/postern-cdk/postern/internal/localcfn/template"
)

// Object is one resource that exists.
type Object struct {
	Type string `json:"type"`
	// ID is the primary identifier, its parts joined by "|".
	ID string `json:"id"`
	// Ref is what Ref returns: the physical ID in CloudFormation's answers.
	Ref string `json:"ref"`
	// Properties are the properties as deployed, with all functions resolved.
	Properties map[string]any `json:"properties"`
	// Attributes are the read-only ones, by dotted path.
	Attributes map[string]any `json:"attributes,omitempty"`
	// Stack is the ID of the stack that owns the resource; empty once it was retained.
	Stack     string    `json:"stack,omitempty"`
	LogicalID string    `json:"logicalId,omitempty"`
	Created   time.Time `json:"created"`
}

// Clone copies the object to the bottom.
func (o *Object) Clone() *Object {
	if o == nil {
		return nil
	}
	c := *o
	c.Properties = template.CloneMap(o.Properties)
	c.Attributes = template.CloneMap(o.Attributes)
	return &c
}

// Fault is a provider's refusal, as CloudFormation reports it.
type Fault struct {
	Message string
	Code    string // HandlerErrorCode, such as AlreadyExists
}

func (f *Fault) Error() string { return f.Message }

// Handler gives the message as the resource's status reason.
func (f *Fault) Handler(token string) string {
	return fmt.Sprintf("Resource handler returned message: \"%s\" (RequestToken: %s, HandlerErrorCode: %s)", f.Message, token, f.Code)
}

// Cloud is one account in one region. It is not safe for concurrent use.
type Cloud struct {
	Account   string
	Region    string
	Partition string
	// Quotas overrides how many resources of a type there may be.
	Quotas map[string]int
	Now    func() time.Time

	objects map[string]map[string]*Object
	serial  int
}

// New makes an empty account.
func New(account, region, partition string) *Cloud {
	return &Cloud{
		Account: account, Region: region, Partition: partition,
		Now: time.Now, objects: map[string]map[string]*Object{},
	}
}

// State is what a [Cloud] keeps over a restart.
type State struct {
	Serial  int       `json:"serial"`
	Objects []*Object `json:"objects"`
}

// State gives all objects, sorted.
func (c *Cloud) State() State {
	s := State{Serial: c.serial, Objects: []*Object{}}
	for _, t := range slices.Sorted(maps.Keys(c.objects)) {
		for _, id := range slices.Sorted(maps.Keys(c.objects[t])) {
			s.Objects = append(s.Objects, c.objects[t][id])
		}
	}
	return s
}

// Restore takes the state over.
func (c *Cloud) Restore(s State) {
	c.serial = s.Serial
	c.objects = map[string]map[string]*Object{}
	for _, o := range s.Objects {
		c.put(o)
	}
}

func (c *Cloud) put(o *Object) {
	if c.objects[o.Type] == nil {
		c.objects[o.Type] = map[string]*Object{}
	}
	c.objects[o.Type][o.ID] = o
}

// Get returns a resource by primary identifier, or nil.
func (c *Cloud) Get(typ, id string) *Object { return c.objects[typ][id] }

// List returns the resources of a type, oldest first.
func (c *Cloud) List(typ string) []*Object {
	return slices.SortedFunc(maps.Values(c.objects[typ]), func(a, b *Object) int {
		if d := a.Created.Compare(b.Created); d != 0 {
			return d
		}
		return strings.Compare(a.ID, b.ID)
	})
}

// Find returns the resource of a type that Ref returns as ref, or nil.
func (c *Cloud) Find(typ, ref string) *Object {
	if o := c.objects[typ][ref]; o != nil {
		return o
	}
	for _, o := range c.objects[typ] {
		if o.Ref == ref {
			return o
		}
	}
	return nil
}

// Owner says for which member of which stack a resource is made.
type Owner struct{ StackName, StackID, LogicalID string }

// Create makes a resource.
func (c *Cloud) Create(typ string, properties map[string]any, owner Owner) (*Object, *Fault) {
	t := schema.Lookup(typ)
	if t == nil {
		return nil, &Fault{"Unrecognized resource type " + typ, "InvalidRequest"}
	}
	c.serial++
	b := &builder{
		cloud: c, t: t, owner: owner,
		seed: fmt.Sprintf("%s|%s|%s|%d", typ, owner.StackName, owner.LogicalID, c.serial),
		o: &Object{
			Type: typ, Properties: template.CloneMap(properties), Attributes: map[string]any{},
			Stack: owner.StackID, LogicalID: owner.LogicalID, Created: c.Now().UTC(),
		},
	}
	if b.o.Properties == nil {
		b.o.Properties = map[string]any{}
	}
	b.identify()
	if f := c.refuse(b); f != nil {
		return nil, f
	}
	b.attributes()
	c.put(b.o)
	return b.o, nil
}

// CreateCustom keeps what a custom resource answered. Two may have the same physical ID.
func (c *Cloud) CreateCustom(typ, physical string, properties, attributes map[string]any, owner Owner) *Object {
	c.serial++
	o := &Object{
		Type: typ, ID: fmt.Sprintf("%s|%d", physical, c.serial), Ref: physical, Properties: template.CloneMap(properties),
		Attributes: attributes, Stack: owner.StackID, LogicalID: owner.LogicalID, Created: c.Now().UTC(),
	}
	if o.Properties == nil {
		o.Properties = map[string]any{}
	}
	if o.Attributes == nil {
		o.Attributes = map[string]any{}
	}
	c.put(o)
	return o
}

// Adopt gives a resource that belongs to no stack, and has the identifier or
// name that these properties ask for, to the owner. It returns nil where there is none.
func (c *Cloud) Adopt(typ string, properties map[string]any, owner Owner) *Object {
	t := schema.Lookup(typ)
	name := NameProperty(t)
	if name == "" || properties[name] == nil {
		return nil
	}
	probe := &Object{Type: typ, Properties: properties, ID: "?"}
	o := c.taken(t, probe)
	if o == nil || o.Stack != "" {
		return nil
	}
	c.Update(o, properties)
	o.Stack, o.LogicalID = owner.StackID, owner.LogicalID
	return o
}

// Update gives a resource new properties; its identifiers stay. It returns the
// resource as it was.
func (c *Cloud) Update(o *Object, properties map[string]any) *Object {
	before := o.Clone()
	t := schema.Lookup(o.Type)
	named := o.Properties
	o.Properties = template.CloneMap(properties)
	if o.Properties == nil {
		o.Properties = map[string]any{}
	}
	// Names that were generated stay.
	for _, p := range append([]string{NameProperty(t)}, t.PrimaryIdentifier...) {
		if p != "" && !t.IsReadOnly(p) && o.Properties[p] == nil && named[p] != nil {
			o.Properties[p] = named[p]
		}
	}
	if f := updated[o.Type]; f != nil {
		f(c, before, o)
	}
	return before
}

// Revert brings a resource back to what it was before.
func (c *Cloud) Revert(before *Object) { c.put(before.Clone()) }

// Delete removes a resource.
func (c *Cloud) Delete(o *Object) { delete(c.objects[o.Type], o.ID) }

// Attribute gives what Fn::GetAtt returns, or false where the type has no such attribute.
func (c *Cloud) Attribute(o *Object, name string) (any, bool) {
	if v, ok := o.Attributes[name]; ok {
		return v, true
	}
	t := schema.Lookup(o.Type)
	if t == nil {
		return nil, false
	}
	if v := dig(o.Properties, strings.Split(name, ".")); v != nil && slices.Contains(t.AttributeNames(), name) {
		return v, true
	}
	// An attribute within another, such as Endpoint.Address of Endpoint.
	parts := strings.Split(name, ".")
	for i := len(parts) - 1; i > 0; i-- {
		if m, ok := o.Attributes[strings.Join(parts[:i], ".")].(map[string]any); ok {
			if v := dig(m, parts[i:]); v != nil {
				return v, true
			}
		}
	}
	if slices.Contains(t.AttributeNames(), name) {
		return "", true
	}
	return nil, false
}

func dig(v any, path []string) any {
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[p]
	}
	return v
}

// Model gives the properties with the read-only ones, as Cloud Control does.
func (c *Cloud) Model(o *Object) map[string]any {
	out := template.CloneMap(o.Properties)
	t := schema.Lookup(o.Type)
	for _, name := range slices.Sorted(maps.Keys(o.Attributes)) {
		if t != nil && !slices.Contains(t.ReadOnly, strings.ReplaceAll(name, ".", "/")) {
			continue
		}
		parts := strings.Split(name, ".")
		m := out
		for _, p := range parts[:len(parts)-1] {
			next, ok := m[p].(map[string]any)
			if !ok {
				next = map[string]any{}
				m[p] = next
			}
			m = next
		}
		m[parts[len(parts)-1]] = template.Clone(o.Attributes[name])
	}
	return out
}

func (c *Cloud) sum(seed string) [sha256.Size]byte {
	return sha256.Sum256([]byte(c.Account + c.Region + seed))
}

func (c *Cloud) hash(seed string) string {
	sum := c.sum(seed)
	return hex.EncodeToString(sum[:])
}

// UUID gives a new one.
func (c *Cloud) UUID(salt string) string {
	c.serial++
	return uuid(c.hash(fmt.Sprintf("uuid|%s|%d", salt, c.serial)))
}

func uuid(h string) string {
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:32]
}

// Owned lists the resources of a stack.
func (c *Cloud) Owned(stackID string) []*Object {
	var out []*Object
	for _, t := range slices.Sorted(maps.Keys(c.objects)) {
		for _, id := range slices.Sorted(maps.Keys(c.objects[t])) {
			if o := c.objects[t][id]; o.Stack == stackID {
				out = append(out, o)
			}
		}
	}
	return out
}
