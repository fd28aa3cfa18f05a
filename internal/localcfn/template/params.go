package template

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Parameter is one member of Parameters as written.
type Parameter struct {
	Name                  string
	Type                  string
	Default               any // nil where there is none
	Description           string
	NoEcho                bool
	AllowedValues         []string
	AllowedPattern        string
	ConstraintDescription string
	MinLength, MaxLength  *float64
	MinValue, MaxValue    *float64
}

// awsTypes are the parameter types that name something in the account.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-supplied-parameter-types.html
var awsTypes = []string{
	"AWS::EC2::AvailabilityZone::Name", "AWS::EC2::Image::Id", "AWS::EC2::Instance::Id", "AWS::EC2::KeyPair::KeyName",
	"AWS::EC2::SecurityGroup::GroupName", "AWS::EC2::SecurityGroup::Id", "AWS::EC2::Subnet::Id", "AWS::EC2::Volume::Id",
	"AWS::EC2::VPC::Id", "AWS::Route53::HostedZone::Id",
}

// SSM says that the value given is the name of an SSM parameter whose value is meant.
func (p *Parameter) SSM() bool { return strings.HasPrefix(p.Type, "AWS::SSM::Parameter::Value<") }

// inner is the type of the value itself.
func (p *Parameter) inner() string {
	if p.SSM() {
		return strings.TrimSuffix(strings.TrimPrefix(p.Type, "AWS::SSM::Parameter::Value<"), ">")
	}
	return p.Type
}

// List says that the value is a list.
func (p *Parameter) List() bool {
	return p.inner() == "CommaDelimitedList" || strings.HasPrefix(p.inner(), "List<")
}

func validType(t string, nested bool) bool {
	switch t {
	case "String", "CommaDelimitedList":
		return true
	case "Number", "List<Number>", "AWS::SSM::Parameter::Name":
		return !nested
	case "List<String>":
		return true
	}
	if inner, ok := strings.CutPrefix(t, "List<"); ok {
		t = strings.TrimSuffix(inner, ">")
	} else if inner, ok := strings.CutPrefix(t, "AWS::SSM::Parameter::Value<"); ok && !nested {
		return validType(strings.TrimSuffix(inner, ">"), true)
	}
	return slices.Contains(awsTypes, t)
}

func parseParameters(v any) (map[string]*Parameter, error) {
	out := map[string]*Parameter{}
	m, err := section(map[string]any{"Parameters": v}, "Parameters")
	if err != nil {
		return nil, err
	}
	if len(m) > maxParameters {
		return nil, errorf("Template format error: Number of parameters, %d, is greater than maximum allowed, %d", len(m), maxParameters)
	}
	for _, name := range keys(m) {
		if err := checkName("Parameter", name); err != nil {
			return nil, err
		}
		d, ok := m[name].(map[string]any)
		if !ok {
			return nil, errorf("Template format error: [/Parameters/%s] must be an object", name)
		}
		p := &Parameter{Name: name}
		for _, k := range keys(d) {
			text, scalar := Text(d[k])
			var number *float64
			if f, err := strconv.ParseFloat(text, 64); err == nil {
				number = &f
			}
			switch k {
			case "Type":
				p.Type = text
			case "Default":
				if !scalar {
					return nil, errorf("Template format error: Every Default member must be a string.")
				}
				p.Default = text
			case "Description":
				p.Description = text
			case "NoEcho":
				p.NoEcho = text == "true"
			case "AllowedValues":
				list, ok := d[k].([]any)
				if !ok {
					return nil, errorf("Template format error: AllowedValues of parameter %s must be a list", name)
				}
				for _, x := range list {
					s, _ := Text(x)
					p.AllowedValues = append(p.AllowedValues, s)
				}
			case "AllowedPattern":
				p.AllowedPattern = text
			case "ConstraintDescription":
				p.ConstraintDescription = text
			case "MinLength":
				p.MinLength = number
			case "MaxLength":
				p.MaxLength = number
			case "MinValue":
				p.MinValue = number
			case "MaxValue":
				p.MaxValue = number
			default:
				return nil, errorf("Invalid template parameter property '%s'", k)
			}
		}
		if p.Type == "" {
			return nil, errorf("Template format error: Every Parameters object must contain a Type member.")
		}
		if !validType(p.Type, false) {
			return nil, errorf("Template format error: Unrecognized parameter type: %s", p.Type)
		}
		out[name] = p
	}
	return out, nil
}

// Given is a parameter value in a request.
type Given struct {
	Value       string
	UsePrevious bool
}

// Values decides the value of each parameter of the template from those given,
// those of the stack before, and defaults.
func (t *Template) Values(given map[string]Given, previous map[string]string) (map[string]string, error) {
	var strange, missing []string
	for name := range given {
		if t.Parameters[name] == nil {
			strange = append(strange, name)
		}
	}
	if len(strange) > 0 {
		slices.Sort(strange)
		return nil, errorf("Parameters: [%s] do not exist in the template", strings.Join(strange, ", "))
	}
	out := map[string]string{}
	for _, name := range keys(t.Parameters) {
		p := t.Parameters[name]
		g, ok := given[name]
		old, had := previous[name]
		switch {
		case ok && !g.UsePrevious:
			out[name] = g.Value
		case ok && had:
			out[name] = old
		case p.Default != nil:
			out[name], _ = Text(p.Default)
		default:
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, errorf("Parameters: [%s] must have values", strings.Join(missing, ", "))
	}
	for _, name := range keys(t.Parameters) {
		if err := t.Parameters[name].check(out[name]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// decimal leaves out what [strconv.ParseFloat] takes besides: NaN, infinity, hexadecimals.
var decimal = regexp.MustCompile(`^[-+0-9.eE]+$`)

func (p *Parameter) check(value string) error {
	fault := func(format string, args ...any) error {
		if p.ConstraintDescription != "" {
			return errorf("Parameter %s failed to satisfy constraint: %s", p.Name, p.ConstraintDescription)
		}
		return errorf(format, args...)
	}
	if len(value) > maxValue {
		return errorf("Parameter '%s' must not be longer than %d bytes", p.Name, maxValue)
	}
	items := []string{value}
	if p.List() && !p.SSM() {
		items = SplitList(value)
	}
	for _, item := range items {
		if strings.HasSuffix(p.Type, "Number") || p.Type == "List<Number>" {
			f, err := strconv.ParseFloat(item, 64)
			if err != nil || !decimal.MatchString(item) {
				return fault("Parameter '%s' must be a number.", p.Name)
			}
			if p.MinValue != nil && f < *p.MinValue {
				return fault("Parameter '%s' must be a number not less than %v.", p.Name, *p.MinValue)
			}
			if p.MaxValue != nil && f > *p.MaxValue {
				return fault("Parameter '%s' must be a number not greater than %v.", p.Name, *p.MaxValue)
			}
		}
		if len(p.AllowedValues) > 0 && !slices.Contains(p.AllowedValues, item) {
			if p.ConstraintDescription != "" {
				return fault("")
			}
			return errorf("Parameter '%s' must be one of AllowedValues", p.Name)
		}
		if p.AllowedPattern != "" {
			// CloudFormation's patterns are Java's; those that Go can't read aren't checked.
			if re, err := regexp.Compile("^(?:" + p.AllowedPattern + ")$"); err == nil && !re.MatchString(item) {
				return fault("Parameter '%s' must match pattern %s", p.Name, p.AllowedPattern)
			}
		}
	}
	if p.MinLength != nil && float64(len(value)) < *p.MinLength {
		return fault("Parameter '%s' must contain at least %v characters", p.Name, *p.MinLength)
	}
	if p.MaxLength != nil && float64(len(value)) > *p.MaxLength {
		return fault("Parameter '%s' must contain at most %v characters", p.Name, *p.MaxLength)
	}
	return nil
}

// SplitList reads a comma-delimited list.
func SplitList(s string) []string {
	parts := strings.Split(s, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// Bind turns the text of a parameter into the value that Ref gives. A Number
// is checked as one, but Ref gives its text.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
func (p *Parameter) Bind(text string) any {
	if !p.List() {
		return text
	}
	out := []any{}
	for _, s := range SplitList(text) {
		out = append(out, s)
	}
	return out
}
