package template

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Env answers what lies outside the template. Answers may be [Unknown].
type Env interface {
	// Ref gives what Ref returns for a resource, GetAtt an attribute of it.
	Ref(logicalID string) (any, error)
	GetAtt(logicalID, attribute string) (any, error)
	// Import gives the value of an export.
	Import(name string) (any, error)
	// StackOutput gives an output of another stack.
	StackOutput(stack, output, region string) (any, error)
	// Zones lists the Availability Zones of a region.
	Zones(region string) ([]string, error)
	// Dynamic resolves "{{resolve:service:reference}}". It returns ok false to
	// leave the text as it is.
	Dynamic(service, reference string) (value string, ok bool, err error)
}

// Scope evaluates the functions of one template for one stack.
type Scope struct {
	Template *Template
	// Parameters holds the bound values.
	Parameters map[string]any
	// Pseudo holds the pseudo parameters, such as AWS::Region.
	Pseudo map[string]any
	Env    Env

	conditions map[string]bool
	deciding   []string
}

// Condition decides a condition of the template.
func (s *Scope) Condition(name string) (bool, error) {
	if v, ok := s.conditions[name]; ok {
		return v, nil
	}
	expr, ok := s.Template.Conditions[name]
	if !ok {
		return false, errorf("Template format error: Unresolved condition dependency %s in the Conditions block of the template", name)
	}
	if i := slices.Index(s.deciding, name); i >= 0 {
		return false, errorf("Template format error: Circular dependency between conditions: [%s]", strings.Join(s.deciding[i:], ", "))
	}
	s.deciding = append(s.deciding, name)
	defer func() { s.deciding = s.deciding[:len(s.deciding)-1] }()
	v, err := s.Eval(expr)
	if err != nil {
		return false, err
	}
	b, ok := truth(v)
	if !ok {
		return false, errorf("Template format error: Conditions can only be boolean operations on parameters and other conditions")
	}
	if s.conditions == nil {
		s.conditions = map[string]bool{}
	}
	s.conditions[name] = b
	return b, nil
}

// Live says whether the resource or output of this condition is made.
func (s *Scope) Live(condition string) (bool, error) {
	if condition == "" {
		return true, nil
	}
	return s.Condition(condition)
}

func truth(v any) (bool, bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case string:
		return v == "true", v == "true" || v == "false"
	}
	return false, false
}

// Call tells whether v is a function: a map whose only key names one.
func Call(v any) (name string, arg any, ok bool) {
	m, isMap := v.(map[string]any)
	if !isMap || len(m) != 1 {
		return "", nil, false
	}
	for k, a := range m {
		if k == "Ref" || strings.HasPrefix(k, "Fn::") {
			return k, a, true
		}
		if k == "Condition" {
			if _, isText := a.(string); isText {
				return k, a, true
			}
		}
	}
	return "", nil, false
}

// Eval evaluates a value. Maps and lists lose the members that are AWS::NoValue.
func (s *Scope) Eval(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		if name, arg, ok := Call(v); ok && (name != "Condition" || len(s.deciding) > 0) {
			return s.call(name, arg)
		}
		out := make(map[string]any, len(v))
		for _, k := range keys(v) {
			x, err := s.Eval(v[k])
			if err != nil {
				return nil, err
			}
			if _, no := x.(NoValue); !no && x != nil {
				out[k] = x
			}
		}
		return out, nil
	case []any:
		out := make([]any, 0, len(v))
		for _, e := range v {
			x, err := s.Eval(e)
			if err != nil {
				return nil, err
			}
			if _, no := x.(NoValue); !no {
				out = append(out, x)
			}
		}
		return out, nil
	case string:
		return s.dynamic(v)
	}
	return v, nil
}

var dynamicRef = regexp.MustCompile(`\{\{resolve:([a-z-]+):([^{}]+)\}\}`)

func (s *Scope) dynamic(text string) (any, error) {
	if s.Env == nil || !strings.Contains(text, "{{resolve:") {
		return text, nil
	}
	var failed error
	out := dynamicRef.ReplaceAllStringFunc(text, func(m string) string {
		parts := dynamicRef.FindStringSubmatch(m)
		v, ok, err := s.Env.Dynamic(parts[1], parts[2])
		if err != nil {
			failed = err
		}
		if !ok {
			return m
		}
		return v
	})
	return out, failed
}

// call evaluates one function. Messages are CloudFormation's own where they are known.
func (s *Scope) call(name string, arg any) (any, error) {
	switch name {
	case "Ref":
		id, ok := arg.(string)
		if !ok {
			return nil, errorf("Template format error: all Ref values must be strings")
		}
		return s.ref(id)
	case "Condition":
		return s.Condition(arg.(string))
	case "Fn::GetAtt":
		id, attribute, err := GetAttArgs(arg)
		if err != nil {
			return nil, err
		}
		a, err := s.Eval(attribute)
		if err != nil {
			return nil, err
		}
		text, ok := a.(string)
		if !ok {
			return nil, errGetAtt
		}
		return s.Env.GetAtt(id, text)
	case "Fn::If":
		return s.fnIf(arg)
	case "Fn::Sub":
		return s.sub(arg)
	case "Fn::Transform":
		return nil, errorf("Transform %s is not supported: this CloudFormation runs no macros", macroName(arg))
	}
	v, err := s.Eval(arg)
	if err != nil {
		return nil, err
	}
	if u, ok := unknown(v); ok && name != "Fn::Select" && name != "Fn::Equals" {
		return u, nil
	}
	switch name {
	case "Fn::Join":
		return join(v)
	case "Fn::Select":
		return choose(v)
	case "Fn::Split":
		return split(v)
	case "Fn::FindInMap":
		return s.find(v)
	case "Fn::Base64":
		text, ok := Text(v)
		if !ok {
			return nil, errorf("Template error: every Fn::Base64 object must have a String-typed value.")
		}
		return base64.StdEncoding.EncodeToString([]byte(text)), nil
	case "Fn::Cidr":
		return cidr(v)
	case "Fn::GetAZs":
		region, ok := v.(string)
		if !ok {
			return nil, errorf("Template error: Fn::GetAZs requires a string: the name of a region")
		}
		if region == "" {
			region, _ = s.Pseudo["AWS::Region"].(string)
		}
		zones, err := s.Env.Zones(region)
		out := []any{}
		for _, z := range zones {
			out = append(out, z)
		}
		return out, err
	case "Fn::ImportValue":
		text, ok := v.(string)
		if !ok {
			return nil, errorf("Template error: the attribute in Fn::ImportValue must be a string or a function that returns a string")
		}
		return s.Env.Import(text)
	case "Fn::GetStackOutput":
		m, _ := v.(map[string]any)
		stack, ok1 := m["StackName"].(string)
		output, ok2 := m["OutputName"].(string)
		region, _ := m["Region"].(string)
		if !ok1 || !ok2 {
			return nil, errorf("Template error: every Fn::GetStackOutput object requires StackName and OutputName")
		}
		return s.Env.StackOutput(stack, output, region)
	case "Fn::And", "Fn::Or":
		l, ok := v.([]any)
		if !ok || len(l) < 2 || len(l) > 10 {
			return nil, errorf("Template error: every %s object requires a list of at least 2 and at most 10 boolean parameters.", name)
		}
		result := name == "Fn::And"
		for _, x := range l {
			b, ok := truth(x)
			if !ok {
				return nil, errorf("Template error: every %s object requires a list of at least 2 and at most 10 boolean parameters.", name)
			}
			if name == "Fn::And" {
				result = result && b
			} else {
				result = result || b
			}
		}
		return result, nil
	case "Fn::Not":
		l, ok := v.([]any)
		if ok && len(l) == 1 {
			if b, ok := truth(l[0]); ok {
				return !b, nil
			}
		}
		return nil, errorf("Template error: every Fn::Not object requires one boolean parameter.")
	case "Fn::Equals":
		l, ok := v.([]any)
		if !ok || len(l) != 2 {
			return nil, errorf("Template error: every Fn::Equals object requires a list of 2 string parameters.")
		}
		return Equal(l[0], l[1]), nil
	}
	return s.ruleFunction(name, v)
}

// ruleFunction evaluates what only the Rules section knows.
func (s *Scope) ruleFunction(name string, v any) (any, error) {
	l, _ := v.([]any)
	switch name {
	case "Fn::Contains":
		if len(l) == 2 {
			set, ok := l[0].([]any)
			if ok {
				return slices.ContainsFunc(set, func(x any) bool { return Equal(x, l[1]) }), nil
			}
		}
	case "Fn::EachMemberEquals":
		if len(l) == 2 {
			set, ok := l[0].([]any)
			if ok {
				return !slices.ContainsFunc(set, func(x any) bool { return !Equal(x, l[1]) }), nil
			}
		}
	case "Fn::EachMemberIn":
		if len(l) == 2 {
			set, ok := l[0].([]any)
			all, ok2 := l[1].([]any)
			if ok && ok2 {
				return !slices.ContainsFunc(set, func(x any) bool {
					return !slices.ContainsFunc(all, func(y any) bool { return Equal(x, y) })
				}), nil
			}
		}
	case "Fn::RefAll":
		if text, ok := v.(string); ok {
			out := []any{}
			for _, n := range keys(s.Template.Parameters) {
				if s.Template.Parameters[n].inner() == text {
					out = append(out, s.Parameters[n])
				}
			}
			return out, nil
		}
	default:
		return nil, errorf("Template format error: %s is not a function that this CloudFormation knows", name)
	}
	return nil, errorf("Template error: %s has not the arguments it requires", name)
}

func (s *Scope) ref(id string) (any, error) {
	if id == "AWS::NoValue" {
		return NoValue{}, nil
	}
	if v, ok := s.Pseudo[id]; ok {
		return v, nil
	}
	if v, ok := s.Parameters[id]; ok {
		return v, nil
	}
	if s.Env == nil {
		return nil, errorf("Template format error: Unresolved dependencies [%s]. Cannot reference resources in the Conditions block of the template", id)
	}
	return s.Env.Ref(id)
}

var errGetAtt = Error("Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute")

// GetAttArgs reads the argument of Fn::GetAtt in its two forms.
func GetAttArgs(arg any) (id string, attribute any, err error) {
	switch a := arg.(type) {
	case string:
		id, rest, ok := strings.Cut(a, ".")
		if ok && id != "" && rest != "" {
			return id, rest, nil
		}
	case []any:
		if len(a) == 2 {
			if id, ok := a[0].(string); ok && id != "" && a[1] != "" {
				return id, a[1], nil
			}
		}
	}
	return "", nil, errGetAtt
}

func (s *Scope) fnIf(arg any) (any, error) {
	l, ok := arg.([]any)
	if !ok || len(l) != 3 {
		return nil, errorf("Template error: Fn::If requires a list argument with three elements")
	}
	name, ok := l[0].(string)
	if !ok {
		return nil, errorf("Template error: Fn::If requires a list argument with the first element being a condition")
	}
	yes, err := s.Condition(name)
	if err != nil {
		return nil, err
	}
	if yes {
		return s.Eval(l[1])
	}
	return s.Eval(l[2])
}

var subVariable = regexp.MustCompile(`\$\{([^}]*)\}`)

// SubArgs reads the argument of Fn::Sub in its two forms.
func SubArgs(arg any) (string, map[string]any, error) {
	switch a := arg.(type) {
	case string:
		return a, nil, nil
	case []any:
		if len(a) == 2 {
			text, ok1 := a[0].(string)
			vars, ok2 := a[1].(map[string]any)
			if ok1 && ok2 {
				return text, vars, nil
			}
		}
	}
	return "", nil, errorf("Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first argument, and an optional second argument to specify a mapping of values to replace in the string")
}

// SubNames lists the variables in the text of Fn::Sub, without ${!Literal}.
func SubNames(text string) []string {
	var out []string
	for _, m := range subVariable.FindAllStringSubmatch(text, -1) {
		if !strings.HasPrefix(m[1], "!") {
			out = append(out, strings.TrimSpace(m[1]))
		}
	}
	return out
}

var subName = regexp.MustCompile(`^[A-Za-z0-9_.:]+$`)

func (s *Scope) sub(arg any) (any, error) {
	text, vars, err := SubArgs(arg)
	if err != nil {
		return nil, err
	}
	var waiting Unknown
	isUnknown := false
	out := subVariable.ReplaceAllStringFunc(text, func(m string) string {
		name := strings.TrimSpace(m[2 : len(m)-1])
		if literal, ok := strings.CutPrefix(name, "!"); ok {
			return "${" + literal + "}"
		}
		if err != nil {
			return ""
		}
		if !subName.MatchString(name) {
			err = errorf("Template error: variable names in Fn::Sub syntax must contain only alphanumeric characters, underscores, periods, and colons")
			return ""
		}
		var v any
		if x, ok := vars[name]; ok {
			v, err = s.Eval(x)
		} else if id, attribute, ok := strings.Cut(name, "."); ok {
			v, err = s.Env.GetAtt(id, attribute)
		} else {
			v, err = s.ref(name)
		}
		if err != nil {
			return ""
		}
		if u, ok := unknown(v); ok {
			isUnknown = true
			waiting.Causes = append(waiting.Causes, u.Causes...)
			return ""
		}
		str, ok := Text(v)
		if !ok {
			err = errorf("Template error: Fn::Sub expression %s does not resolve to a string", m)
		}
		return str
	})
	if err != nil {
		return nil, err
	}
	if isUnknown {
		return waiting, nil
	}
	return s.dynamic(out)
}

func join(v any) (any, error) {
	fault := errorf("Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined.")
	l, ok := v.([]any)
	if !ok || len(l) != 2 {
		return nil, fault
	}
	delimiter, ok := l[0].(string)
	items, ok2 := l[1].([]any)
	if !ok || !ok2 {
		return nil, fault
	}
	texts := make([]string, len(items))
	for i, x := range items {
		if texts[i], ok = Text(x); !ok {
			return nil, fault
		}
	}
	return strings.Join(texts, delimiter), nil
}

func choose(v any) (any, error) {
	fault := errorf("Template error: Fn::Select requires a list argument with two elements: an integer index and a list")
	l, ok := v.([]any)
	if !ok || len(l) != 2 {
		return nil, fault
	}
	if u, ok := l[1].(Unknown); ok {
		return u, nil
	}
	text, _ := Text(l[0])
	index, err := strconv.Atoi(text)
	if err != nil {
		return nil, fault
	}
	items, ok := l[1].([]any)
	if !ok {
		return nil, fault
	}
	if index < 0 || index >= len(items) {
		return nil, errorf("Template error: Fn::Select cannot select nonexistent value at index %d", index)
	}
	return items[index], nil
}

func split(v any) (any, error) {
	l, ok := v.([]any)
	if ok && len(l) == 2 {
		delimiter, ok1 := l[0].(string)
		text, ok2 := Text(l[1])
		if ok1 && ok2 && delimiter != "" {
			out := []any{}
			for _, p := range strings.Split(text, delimiter) {
				out = append(out, p)
			}
			return out, nil
		}
	}
	return nil, errorf("Template error: every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split or a function that returns a string to be split.")
}

func (s *Scope) find(v any) (any, error) {
	l, ok := v.([]any)
	if !ok || len(l) != 3 {
		return nil, errorf("Template error: every Fn::FindInMap object requires three parameters, the map name, map key and the attribute for return value")
	}
	var k [3]string
	for i := range k {
		if k[i], ok = Text(l[i]); !ok {
			return nil, errorf("Template error: every Fn::FindInMap object requires three parameters, the map name, map key and the attribute for return value")
		}
	}
	m, ok := s.Template.Mappings[k[0]].(map[string]any)
	if !ok {
		return nil, errorf("Template error: Mapping named '%s' is not present in the 'Mappings' section of template.", k[0])
	}
	top, _ := m[k[1]].(map[string]any)
	out, ok := top[k[2]]
	if !ok {
		return nil, errorf("Template error: Unable to get mapping for %s::%s::%s", k[0], k[1], k[2])
	}
	return Clone(out), nil
}

// cidr divides a block as Fn::Cidr does: count blocks of the given host bits.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-cidr.html
func cidr(v any) (any, error) {
	l, ok := v.([]any)
	if !ok || len(l) < 2 || len(l) > 3 {
		return nil, errorf("Template error: every Fn::Cidr object requires an IP address block, a count and, if given, cidrBits")
	}
	block, _ := Text(l[0])
	prefix, err := netip.ParsePrefix(block)
	if err != nil {
		return nil, errorf("Template error: Fn::Cidr: %q is no IP address block", block)
	}
	countText, _ := Text(l[1])
	count, err := strconv.Atoi(countText)
	if err != nil || count < 1 || count > 256 {
		return nil, errorf("Template error: Fn::Cidr: count must be a number from 1 to 256, not %q", countText)
	}
	width := prefix.Addr().BitLen()
	bits := 8
	if width == 128 {
		bits = 64
	}
	if len(l) == 3 {
		t, _ := Text(l[2])
		if bits, err = strconv.Atoi(t); err != nil || bits < 1 || bits > width {
			return nil, errorf("Template error: Fn::Cidr: cidrBits must be a number of host bits, not %q", t)
		}
	}
	size := width - bits
	if size < prefix.Bits() || (size-prefix.Bits() < 9 && count > 1<<(size-prefix.Bits())) {
		return nil, errorf("Template error: Fn::Cidr: %s does not hold %d blocks of %d host bits", block, count, bits)
	}
	out := []any{}
	base := prefix.Masked().Addr().AsSlice()
	for i := range count {
		b := slices.Clone(base)
		addShifted(b, i, bits)
		addr, _ := netip.AddrFromSlice(b)
		out = append(out, fmt.Sprintf("%s/%d", addr, size))
	}
	return out, nil
}

// addShifted adds n<<bits to a big-endian number.
func addShifted(b []byte, n, bits int) {
	at, shift := len(b)-1-bits/8, bits%8
	carry := n << shift
	for ; carry > 0 && at >= 0; at-- {
		carry += int(b[at])
		b[at] = byte(carry & 0xff)
		carry >>= 8
	}
}

// Assert checks the rules of the template on its parameters.
func (s *Scope) Assert() error {
	inner := *s
	inner.deciding = []string{""} // {"Condition": name} is a function here
	for _, name := range keys(s.Template.Rules) {
		rule := s.Template.Rules[name]
		if c, ok := rule["RuleCondition"]; ok {
			v, err := inner.Eval(c)
			if err != nil {
				return err
			}
			if yes, _ := truth(v); !yes {
				continue
			}
		}
		for _, a := range rule["Assertions"].([]any) {
			m, _ := a.(map[string]any)
			v, err := inner.Eval(m["Assert"])
			if err != nil {
				return err
			}
			if yes, _ := truth(v); !yes {
				description, _ := m["AssertDescription"].(string)
				return errorf("Template validation error: Rule %s failed: %s", name, description)
			}
		}
	}
	return nil
}

// Reference is a use of a resource in a value.
type Reference struct {
	LogicalID string
	Attribute string // empty for Ref
}

// References lists the resources and parameters that the value uses where it
// is live: of Fn::If only the branch that is taken.
func (s *Scope) References(v any) ([]Reference, error) {
	seen := map[Reference]bool{}
	if err := s.references(v, seen); err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Keys(seen), func(a, b Reference) int {
		return strings.Compare(a.LogicalID+"."+a.Attribute, b.LogicalID+"."+b.Attribute)
	}), nil
}

func (s *Scope) references(v any, seen map[Reference]bool) error {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			if err := s.references(x, seen); err != nil {
				return err
			}
		}
	case map[string]any:
		name, arg, ok := Call(v)
		switch {
		case ok && name == "Ref":
			id, isText := arg.(string)
			if !isText {
				return errorf("Template format error: all Ref values must be strings")
			}
			if !strings.HasPrefix(id, "AWS::") {
				seen[Reference{LogicalID: id}] = true
			}
			return nil
		case ok && name == "Fn::GetAtt":
			id, attribute, err := GetAttArgs(arg)
			if err != nil {
				return err
			}
			text, isText := attribute.(string)
			if !isText {
				if err := s.references(attribute, seen); err != nil {
					return err
				}
				x, err := s.Eval(attribute)
				if err != nil {
					return err
				}
				text, _ = x.(string)
			}
			seen[Reference{id, text}] = true
			return nil
		case ok && name == "Fn::Sub":
			text, vars, err := SubArgs(arg)
			if err != nil {
				return err
			}
			for _, n := range SubNames(text) {
				if _, own := vars[n]; own || strings.HasPrefix(n, "AWS::") {
					continue
				}
				id, attribute, _ := strings.Cut(n, ".")
				seen[Reference{id, attribute}] = true
			}
			return s.references(vars, seen)
		case ok && name == "Fn::If":
			l, isList := arg.([]any)
			if !isList || len(l) != 3 {
				return errorf("Template error: Fn::If requires a list argument with three elements")
			}
			condition, _ := l[0].(string)
			yes, err := s.Condition(condition)
			if err != nil {
				return err
			}
			if yes {
				return s.references(l[1], seen)
			}
			return s.references(l[2], seen)
		}
		for _, k := range keys(v) {
			if err := s.references(v[k], seen); err != nil {
				return err
			}
		}
	}
	return nil
}
