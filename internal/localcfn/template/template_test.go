package template_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/localcfn/template"
)

// known answers for one resource, A, and one export.
type known struct{}

func (known) Ref(id string) (any, error) {
	if id == "New" {
		return template.Unknown{Causes: []template.Cause{{LogicalID: id}}}, nil
	}
	return "ref-of-" + id, nil
}

func (known) GetAtt(id, attribute string) (any, error) {
	if attribute == "List" {
		return []any{"x", "y"}, nil
	}
	return id + "/" + attribute, nil
}

func (known) Import(name string) (any, error) { return "imported " + name, nil }

func (known) StackOutput(stack, output, _ string) (any, error) { return stack + "/" + output, nil }

func (known) Zones(region string) ([]string, error) { return []string{region + "a", region + "b"}, nil }

func (known) Dynamic(service, reference string) (string, bool, error) {
	return "<" + reference + ">", service == "ssm", nil
}

const body = `
Parameters:
  P: {Type: String, Default: v}
  L: {Type: CommaDelimitedList, Default: "a, b,c"}
Mappings:
  M: {us-east-1: {k: found, list: [1, 2]}}
Conditions:
  Yes: !Equals [!Ref P, v]
  No: !Not [!Condition Yes]
  Both: !And [!Condition Yes, !Condition No]
  Either: !Or [!Condition Yes, !Condition No]
Resources:
  A: {Type: AWS::SNS::Topic}
`

func scope(t *testing.T) *template.Scope {
	t.Helper()
	tmpl, err := template.Parse(body)
	require.NoError(t, err)
	return &template.Scope{
		Template: tmpl, Env: known{},
		Parameters: map[string]any{"P": "v", "L": tmpl.Parameters["L"].Bind("a, b,c")},
		Pseudo:     map[string]any{"AWS::Region": "us-east-1", "AWS::AccountId": "111122223333"},
	}
}

// eval evaluates a value written in YAML.
func eval(t *testing.T, text string) (any, error) {
	t.Helper()
	s := scope(t)
	tmpl, err := template.Parse(body + "    \n  B:\n    Type: AWS::SNS::Topic\n    Properties:\n      V: " + text + "\n")
	require.NoError(t, err, text)
	out, err := s.Eval(any(tmpl.Resources["B"].Properties))
	if err != nil {
		return nil, err
	}
	return out.(map[string]any)["V"], nil
}

func TestFunctions(t *testing.T) {
	for text, want := range map[string]any{
		`!Ref P`:                     "v",
		`!Ref A`:                     "ref-of-A",
		`!Ref AWS::Region`:           "us-east-1",
		`!Ref L`:                     []any{"a", "b", "c"},
		`!Ref AWS::NoValue`:          nil,
		`[1, !Ref AWS::NoValue, x]`:  []any{num("1"), "x"},
		`!GetAtt A.Arn`:              "A/Arn",
		`!GetAtt A.Endpoint.Address`: "A/Endpoint.Address",
		`{"Fn::GetAtt": [A, Arn]}`:   "A/Arn",
		`!Sub "${P}-${A}-${A.Arn}-${AWS::Region}-${!Literal}"`:  "v-ref-of-A-A/Arn-us-east-1-${Literal}",
		`!Sub ["${X}/${P}", {X: !Ref A}]`:                       "ref-of-A/v",
		`!Join ["-", [a, !Ref P, 5, true]]`:                     "a-v-5-true",
		`!Join [",", !GetAtt A.List]`:                           "x,y",
		`!Select [1, !Ref L]`:                                   "b",
		`!Select ["0", !GetAZs ""]`:                             "us-east-1a",
		`!Split ["/", a/b]`:                                     []any{"a", "b"},
		`!FindInMap [M, !Ref AWS::Region, k]`:                   "found",
		`!FindInMap [M, us-east-1, list]`:                       []any{num("1"), num("2")},
		`!If [Yes, 1, 2]`:                                       num("1"),
		`!If [No, 1, 2]`:                                        num("2"),
		`!If [Both, 1, 2]`:                                      num("2"),
		`!If [Either, 1, !Ref AWS::NoValue]`:                    num("1"),
		`!Base64 hello`:                                         "aGVsbG8=",
		`!ImportValue x`:                                        "imported x",
		`{"Fn::ImportValue": !Sub "${P}-x"}`:                    "imported v-x",
		`{"Fn::GetStackOutput": {StackName: s, OutputName: o}}`: "s/o",
		`"a {{resolve:ssm:/x:1}} b"`:                            "a </x:1> b",
		`"{{resolve:secretsmanager:s}}"`:                        "{{resolve:secretsmanager:s}}",
		`!Cidr ["10.0.0.0/16", 2, 8]`:                           []any{"10.0.0.0/24", "10.0.1.0/24"},
		`!Select [5, !Cidr ["192.168.0.0/24", 6, 5]]`:           "192.168.0.160/27",
		`!Cidr ["2001:db8::/56", 2]`:                            []any{"2001:db8::/64", "2001:db8:0:1::/64"},
		`!Join ["-", [!Ref New]]`:                               template.Unknown{Causes: []template.Cause{{LogicalID: "New"}}},
		`!Select [1, [!Ref New, b]]`:                            "b",
		`{Statement: {Condition: {StringEquals: {a: b}}}}`:      map[string]any{"Statement": map[string]any{"Condition": map[string]any{"StringEquals": map[string]any{"a": "b"}}}},
		`2012-10-17`:                                            "2012-10-17",
		`!Sub "${P}{{resolve:ssm:/y}}"`:                         "v</y>",
		`!Split [",", !Join [",", [a, b]]]`:                     []any{"a", "b"},
	} {
		t.Run(text, func(t *testing.T) {
			got, err := eval(t, text)
			require.NoError(t, err)
			assert.Equal(t, want, got)
		})
	}
}

func num(s string) any {
	t, err := template.Parse(`{"Resources":{"A":{"Type":"T","Properties":{"N":` + s + `}}}}`)
	if err != nil {
		panic(err)
	}
	return t.Resources["A"].Properties["N"]
}

func TestFunctionFaults(t *testing.T) {
	for text, want := range map[string]string{
		`!Join ["-"]`:                      "Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined.",
		`!Select [9, [a]]`:                 "Template error: Fn::Select cannot select nonexistent value at index 9",
		`!Select [a]`:                      "Template error: Fn::Select requires a list argument with two elements: an integer index and a list",
		`!Split [a]`:                       "Template error: every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split or a function that returns a string to be split.",
		`!FindInMap [Nope, a, b]`:          "Template error: Mapping named 'Nope' is not present in the 'Mappings' section of template.",
		`!FindInMap [M, eu-west-1, k]`:     "Template error: Unable to get mapping for M::eu-west-1::k",
		`!Sub [a]`:                         "Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first argument, and an optional second argument to specify a mapping of values to replace in the string",
		`!Sub "${a b}"`:                    "Template error: variable names in Fn::Sub syntax must contain only alphanumeric characters, underscores, periods, and colons",
		`!If [Yes, a]`:                     "Template error: Fn::If requires a list argument with three elements",
		`!Base64 [a]`:                      "Template error: every Fn::Base64 object must have a String-typed value.",
		`!GetAtt A`:                        "Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute",
		`!Cidr ["10.0.0.0/24", 300, 4]`:    "Template error: Fn::Cidr: count must be a number from 1 to 256, not \"300\"",
		`!Cidr ["10.0.0.0/24", 5, 6]`:      "Template error: Fn::Cidr: 10.0.0.0/24 does not hold 5 blocks of 6 host bits",
		`{"Fn::Transform": {Name: Macro}}`: "Transform Macro is not supported: this CloudFormation runs no macros",
		`{"Fn::GetStackOutput": {}}`:       "Template error: every Fn::GetStackOutput object requires StackName and OutputName",
	} {
		t.Run(text, func(t *testing.T) {
			_, err := eval(t, text)
			assert.EqualError(t, err, want)
		})
	}
}

func TestJSONAndYAMLAreTheSame(t *testing.T) {
	y, err := template.Parse("Resources:\n  A:\n    Type: AWS::SNS::Topic\n    Properties:\n      TopicName: !Sub '${AWS::StackName}-x'\n      DisplayName: 5\n      FifoTopic: true\n")
	require.NoError(t, err)
	j, err := template.Parse(`{"Resources":{"A":{"Type":"AWS::SNS::Topic","Properties":{"TopicName":{"Fn::Sub":"${AWS::StackName}-x"},"DisplayName":5,"FifoTopic":true}}}}`)
	require.NoError(t, err)
	assert.Equal(t, j.Resources["A"].Properties, y.Resources["A"].Properties)
	_, err = template.Parse("Resources:\n  A: {Type: x}\n  A: {Type: y}\n")
	assert.ErrorContains(t, err, "Template format error: YAML not well-formed.")
}

func TestParameterFaults(t *testing.T) {
	parse := func(definition string) *template.Template {
		tmpl, err := template.Parse("Parameters:\n  P: " + definition + "\nResources:\n  A: {Type: AWS::SNS::Topic}\n")
		require.NoError(t, err)
		return tmpl
	}
	for _, c := range []struct{ definition, value, want string }{
		{"{Type: String, AllowedValues: [a, b]}", "c", "Parameter 'P' must be one of AllowedValues"},
		{"{Type: String, AllowedPattern: '[a-z]+'}", "A1", "Parameter 'P' must match pattern [a-z]+"},
		{"{Type: String, AllowedPattern: '[a-z]+', ConstraintDescription: small letters}", "A1", "Parameter P failed to satisfy constraint: small letters"},
		{"{Type: String, MinLength: 3}", "ab", "Parameter 'P' must contain at least 3 characters"},
		{"{Type: String, MaxLength: 3}", "abcd", "Parameter 'P' must contain at most 3 characters"},
		{"{Type: Number}", "x", "Parameter 'P' must be a number."},
		{"{Type: Number, MinValue: 5}", "4", "Parameter 'P' must be a number not less than 5."},
		{"{Type: Number, MaxValue: 5}", "6", "Parameter 'P' must be a number not greater than 5."},
		{"{Type: List<Number>}", "1,x", "Parameter 'P' must be a number."},
	} {
		_, err := parse(c.definition).Values(map[string]template.Given{"P": {Value: c.value}}, nil)
		assert.EqualError(t, err, c.want, c.definition)
	}
	_, err := parse("{Type: String}").Values(map[string]template.Given{"P": {Value: "x"}, "Q": {}}, nil)
	assert.EqualError(t, err, "Parameters: [Q] do not exist in the template")
	_, err = parse("{Type: String}").Values(nil, map[string]string{"P": "old"})
	assert.EqualError(t, err, "Parameters: [P] must have values", "a previous value must be asked for")
	got, err := parse("{Type: String, Default: d}").Values(map[string]template.Given{"P": {UsePrevious: true}}, map[string]string{"P": "old"})
	require.NoError(t, err)
	assert.Equal(t, "old", got["P"])
	_, err = template.Parse("Parameters:\n  P: {Type: Strin}\nResources:\n  A: {Type: AWS::SNS::Topic}\n")
	assert.EqualError(t, err, "Template format error: Unrecognized parameter type: Strin")
}

func TestRules(t *testing.T) {
	parse := func(rule string) error {
		tmpl, err := template.Parse(body + "\nRules:\n  R: " + rule + "\n")
		require.NoError(t, err)
		s := scope(t)
		s.Template = tmpl
		return s.Assert()
	}
	assert.NoError(t, parse(`{Assertions: [{Assert: {"Fn::Contains": [[v, w], !Ref P]}}]}`))
	assert.NoError(t, parse(`{RuleCondition: !Equals [!Ref P, other], Assertions: [{Assert: {"Fn::Equals": [a, b]}}]}`), "its condition is false")
	assert.NoError(t, parse(`{Assertions: [{Assert: {"Fn::EachMemberIn": [!Ref L, [a, b, c, d]]}}]}`))
	assert.EqualError(t, parse(`{Assertions: [{Assert: {"Fn::Not": [{"Fn::Equals": [!Ref P, v]}]}, AssertDescription: not v}]}`), "Template validation error: Rule R failed: not v")
	assert.Error(t, parse(`{Assertions: [{Assert: {"Fn::EachMemberEquals": [!Ref L, a]}, AssertDescription: x}]}`))
}

func TestOrder(t *testing.T) {
	tmpl, err := template.Parse(`
Conditions: {Off: !Equals [a, b]}
Resources:
  A: {Type: AWS::SNS::Topic, Properties: {TopicName: !Sub "${B}"}}
  B: {Type: AWS::SNS::Topic, DependsOn: C}
  C: {Type: AWS::SNS::Topic, Properties: {TopicName: !If [Off, !Ref A, x]}}
  D: {Type: AWS::SNS::Topic, Condition: Off}
  E: {Type: AWS::SNS::Topic, DependsOn: D}
`)
	require.NoError(t, err)
	s := &template.Scope{Template: tmpl}
	order, needs, err := s.Order()
	require.NoError(t, err)
	assert.Equal(t, []string{"C", "E", "B", "A"}, order)
	assert.Equal(t, []string{"B"}, needs["A"])
	assert.Empty(t, needs["C"], "the branch that isn't taken binds nothing")

	tmpl.Resources["C"].Properties = map[string]any{"TopicName": map[string]any{"Ref": "D"}}
	_, _, err = s.Order()
	assert.EqualError(t, err, "Template format error: Unresolved resource dependencies [D] in the Resources block of the template")
	tmpl.Resources["C"].Properties = map[string]any{"TopicName": map[string]any{"Ref": "A"}}
	_, _, err = s.Order()
	assert.EqualError(t, err, "Circular dependency between resources: [A, B, C]")
}

func TestEqualComparesAsText(t *testing.T) {
	assert.True(t, template.Equal(map[string]any{"a": num("5"), "b": true}, map[string]any{"a": "5", "b": "true"}))
	assert.False(t, template.Equal([]any{"a", "b"}, []any{"b", "a"}))
	assert.False(t, template.Equal(template.Unknown{}, template.Unknown{}))
}

func TestNearest(t *testing.T) {
	assert.Equal(t, "CidrBlock", template.Nearest("CidrBlok", []string{"CidrBlock", "Tags"}))
	assert.Empty(t, template.Nearest("Something", []string{"CidrBlock", "Tags"}))
	assert.Empty(t, template.Nearest(strings.Repeat("x", 200), []string{"CidrBlock"}))
}
