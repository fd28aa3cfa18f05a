package template_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/postern-cdk/postern/internal/localcfn/template"
)

// judge does what is done with a template before anything is deployed.
func judge(body string, params ...string) error {
	tmpl, err := template.Parse(body)
	if err == nil {
		err = tmpl.Check(nil)
	}
	if err != nil {
		return err
	}
	given := map[string]template.Given{}
	for i := 0; i < len(params); i += 2 {
		given[params[i]] = template.Given{Value: params[i+1]}
	}
	values, err := tmpl.Values(given, nil)
	if err != nil {
		return err
	}
	s := &template.Scope{Template: tmpl, Parameters: map[string]any{}, Pseudo: map[string]any{"AWS::Region": "us-east-1"}}
	for name, p := range tmpl.Parameters {
		s.Parameters[name] = p.Bind(values[name])
	}
	if _, _, err = s.Order(); err != nil {
		return err
	}
	return s.Assert()
}

// "Circular dependency" of the troubleshooting page, by each way in which one
// resource can need another.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/troubleshooting.html
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-dependson.html
func TestCircles(t *testing.T) {
	const topic = "  %s: {Type: AWS::SNS::Topic, %s}\n"
	resources := func(pairs ...string) string {
		out := "Parameters: {On: {Type: String, Default: 'yes'}}\nConditions: {C: !Equals [!Ref On, 'yes']}\nResources:\n"
		for i := 0; i < len(pairs); i += 2 {
			out += fmt.Sprintf(topic, pairs[i], pairs[i+1])
		}
		return out
	}
	for name, c := range map[string]struct {
		body   string
		circle string
	}{
		"itself":               {resources("A", "DependsOn: A"), "[A]"},
		"itself by Ref":        {resources("A", "Properties: {DisplayName: !Ref A}"), "[A]"},
		"DependsOn":            {resources("A", "DependsOn: [B]", "B", "DependsOn: A"), "[A, B]"},
		"Sub":                  {resources("A", "DependsOn: B", "B", `Properties: {DisplayName: !Sub "x-${A}"}`), "[A, B]"},
		"Sub of an attribute":  {resources("A", "DependsOn: B", "B", `Properties: {DisplayName: !Sub "x-${A.TopicName}"}`), "[A, B]"},
		"Sub's own variables":  {resources("A", "DependsOn: B", "B", `Properties: {DisplayName: !Sub ["${v}", {v: !Ref A}]}`), "[A, B]"},
		"GetAtt":               {resources("A", "DependsOn: B", "B", "Properties: {DisplayName: !GetAtt A.TopicName}"), "[A, B]"},
		"deep in functions":    {resources("A", "DependsOn: B", "B", `Properties: {DisplayName: !Select [0, !Split [",", !Join [",", [!Ref A]]]]}`), "[A, B]"},
		"by Metadata":          {resources("A", "DependsOn: B", "B", "Metadata: {x: !Ref A}"), "[A, B]"},
		"the branch taken":     {resources("A", "DependsOn: B", "B", "Properties: {DisplayName: !If [C, !Ref A, x]}"), "[A, B]"},
		"three, two hang on":   {resources("A", "DependsOn: B", "B", "DependsOn: D", "D", "DependsOn: A", "E", "DependsOn: A", "F", "DependsOn: E"), "[A, B, D]"},
		"branch not taken":     {resources("A", "DependsOn: B", "B", "Properties: {DisplayName: !If [C, x, !Ref A]}"), ""},
		"one is off":           {strings.Replace(resources("A", "DependsOn: B, Condition: C", "B", "DependsOn: A"), "Default: 'yes'", "Default: 'no'", 1), ""},
		"Sub's variable hides": {resources("A", "DependsOn: B", "B", `Properties: {DisplayName: !Sub ["${A}", {A: x}]}`), ""},
		"Sub's literal":        {resources("A", "DependsOn: B", "B", `Properties: {DisplayName: !Sub "${!A}"}`), ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := judge(c.body)
			if c.circle == "" {
				assert.NoError(t, err)
			} else {
				assert.EqualError(t, err, "Circular dependency between resources: "+c.circle)
			}
		})
	}
	assert.ErrorContains(t, judge("Conditions: {A: !Not [!Condition B], B: !Not [!Condition A]}\nResources: {T: {Type: AWS::SNS::Topic}}"),
		"Circular dependency between conditions: [A, B]", "though no resource uses them")
}

// "At stack creation or stack update, CloudFormation evaluates all the
// conditions before creating any resources. Resources associated with a false
// condition are ignored."
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/conditions-section-structure.html
func TestWhatIsOffCannotBeUsed(t *testing.T) {
	body := func(output string) string {
		return `
Parameters: {On: {Type: String}}
Conditions: {C: !Equals [!Ref On, 'yes']}
Resources:
  A: {Type: AWS::SNS::Topic, Condition: C}
  B: {Type: AWS::SNS::Topic, DependsOn: A}
Outputs:
  O: ` + output + "\n"
	}
	const want = "Template format error: Unresolved resource dependencies [A] in the Outputs block of the template"
	for _, bad := range []string{
		"{Value: !Ref A}", "{Value: !GetAtt A.TopicName}", `{Value: !Sub "${A}"}`, `{Value: x, Export: {Name: !Sub "${A.TopicName}"}}`,
		"{Value: !If [C, x, !Ref A]}",
	} {
		assert.EqualError(t, judge(body(bad), "On", "no"), want, bad)
	}
	assert.NoError(t, judge(body("{Value: !Ref A}"), "On", "yes"))
	assert.NoError(t, judge(body("{Value: !Ref A, Condition: C}"), "On", "no"))
	assert.NoError(t, judge(body("{Value: !If [C, !Ref A, none]}"), "On", "no"))
}

func TestPropertiesAreNoFunction(t *testing.T) {
	for name, properties := range map[string]string{"Ref": "!Ref AWS::NoValue", "Fn::If": "!If [C, {a: b}, {c: d}]", "Fn::Sub": "!Sub x"} {
		err := judge("Conditions: {C: !Equals [a, a]}\nResources: {A: {Type: AWS::SNS::Topic, Properties: " + properties + "}}")
		assert.EqualError(t, err, "Template format error: [/Resources/A/Properties] must be an object, not "+name)
	}
	assert.EqualError(t, judge("Resources: {A: {Type: AWS::SNS::Topic, Properties: {'Fn::Transform': {Name: AWS::Include}}}}"),
		"Transform AWS::Include is not supported: this CloudFormation runs no macros")
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html:
// CloudFormation doesn't support aliases in YAML.
func TestNoAliases(t *testing.T) {
	const want = "Template error: YAML aliases are not allowed in CloudFormation templates"
	assert.EqualError(t, judge("Resources: {A: &a {Type: AWS::SNS::Topic}, B: *a}"), want)
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", c-1), 10), ","))
	}
	assert.EqualError(t, judge(bomb), want)
	assert.EqualError(t, judge("a: &a [*a]"), want)
	assert.ErrorContains(t, judge("Resources: "+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)), "YAML not well-formed")
	assert.Error(t, judge(`{"Resources":`+strings.Repeat("[", 20000)))
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
func TestQuotasOfTemplates(t *testing.T) {
	many := func(n int, member string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "  N%d: %s\n", i, member)
		}
		return b.String()
	}
	const resources = "Resources: {A: {Type: AWS::SNS::Topic}}\n"
	for _, c := range []struct {
		section, member string
		limit           int
		want            string
		rest            string
	}{
		{"Resources", "{Type: AWS::SNS::Topic}", 500, "Number of resources, 501, is greater than maximum allowed, 500", ""},
		{"Parameters", "{Type: String, Default: x}", 200, "Number of parameters, 201, is greater than maximum allowed, 200", resources},
		{"Outputs", "{Value: x}", 200, "Number of outputs, 201, is greater than maximum allowed, 200", resources},
		{"Mappings", "{a: {b: c}}", 200, "Number of mappings, 201, is greater than maximum allowed, 200", resources},
		{"Mappings: {M: {x: {b: c}}}\nMetadata", "{a: {b: c}}", 300, "", resources},
	} {
		assert.NoError(t, judge(c.section+":\n"+many(c.limit, c.member)+c.rest), c.section)
		if c.want != "" {
			assert.EqualError(t, judge(c.section+":\n"+many(c.limit+1, c.member)+c.rest), "Template format error: "+c.want)
		}
	}
	attributes := strings.ReplaceAll(many(201, "{b: c}"), "  N", "    N")
	assert.EqualError(t, judge("Mappings:\n  M:\n"+attributes+resources),
		"Template format error: Number of attributes for mapping M, 201, is greater than maximum allowed, 200")
	long := strings.Repeat("x", 256)
	for _, body := range []string{
		"Resources: {? " + long + " : {Type: AWS::SNS::Topic}}", "Parameters: {? " + long + " : {Type: String, Default: v}}\n" + resources,
		"Outputs: {? " + long + " : {Value: x}}\n" + resources,
	} {
		assert.ErrorContains(t, judge(body), "is longer than 255 characters")
		assert.NoError(t, judge(strings.Replace(body, long, long[1:], 1)))
	}
	assert.EqualError(t, judge("Description: "+strings.Repeat("x", 1025)+"\n"+resources), "Template format error: 'Description' length is greater than 1024.")
	parameter := "Parameters: {P: {Type: String}}\n" + resources
	assert.NoError(t, judge(parameter, "P", strings.Repeat("x", 4096)))
	assert.EqualError(t, judge(parameter, "P", strings.Repeat("x", 4097)), "Parameter 'P' must not be longer than 4096 bytes")
}

// "CloudFormation validates the parameter value as a number; however, when you
// use the parameter elsewhere in your template, the parameter value becomes a string."
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
func TestNumberParameterIsText(t *testing.T) {
	tmpl, err := template.Parse("Parameters: {P: {Type: Number}}\nResources: {A: {Type: AWS::SNS::Topic}}")
	require.NoError(t, err)
	for _, good := range []string{"5", "05", "+5", "-5", ".5", "5.", "1e3"} {
		values, err := tmpl.Values(map[string]template.Given{"P": {Value: good}}, nil)
		require.NoError(t, err, good)
		assert.Equal(t, good, tmpl.Parameters["P"].Bind(values["P"]))
	}
	for _, bad := range []string{"NaN", "Inf", "-inf", "0x1p2", "5 ", "", "five"} {
		_, err := tmpl.Values(map[string]template.Given{"P": {Value: bad}}, nil)
		assert.EqualError(t, err, "Parameter 'P' must be a number.", bad)
	}
}

func FuzzTemplate(f *testing.F) {
	for _, body := range []string{
		"Resources: {A: {Type: AWS::SNS::Topic, Properties: {DisplayName: !Sub ['${x}', {x: !GetAtt A.TopicName}]}}}",
		`{"Parameters":{"P":{"Type":"Number","Default":"5"}},"Rules":{"R":{"Assertions":[{"Assert":{"Fn::Contains":[["5"],{"Ref":"P"}]}}]}},"Conditions":{"C":{"Fn::And":[{"Condition":"D"},{"Fn::Equals":["a","b"]}]},"D":{"Fn::Not":[{"Fn::Equals":["a","b"]}]}},"Resources":{"A":{"Type":"AWS::SNS::Topic","Properties":{"DisplayName":{"Fn::If":["C","x",{"Ref":"AWS::NoValue"}]}}}},"Outputs":{"O":{"Value":{"Fn::Join":["",["a",{"Ref":"A"}]]},"Export":{"Name":"x"}}}}`,
		"Mappings: {M: {a: {b: c}}}\nResources: {A: {Type: AWS::EC2::VPC, Properties: {CidrBlock: !Select [1, !Cidr [10.0.0.0/8, 2, 16]], Tags: [{Key: !FindInMap [M, a, b], Value: !Base64 x}]}, UpdatePolicy: !If [C, {}, {}]}}",
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		tmpl, err := template.Parse(body)
		if err != nil || tmpl.Check(nil) != nil {
			return
		}
		values, err := tmpl.Values(nil, nil)
		if err != nil {
			return
		}
		s := &template.Scope{Template: tmpl, Parameters: map[string]any{}, Pseudo: map[string]any{"AWS::Region": "us-east-1"}, Env: known{}}
		for name, p := range tmpl.Parameters {
			s.Parameters[name] = p.Bind(values[name])
		}
		order, _, err := s.Order()
		if err != nil || s.Assert() != nil {
			return
		}
		for _, id := range order {
			x, err := s.Eval(any(tmpl.Resources[id].Properties))
			if err != nil {
				continue
			}
			if _, ok := x.(map[string]any); !ok && tmpl.Resources[id].Properties != nil {
				t.Fatalf("properties of %s are %T", id, x)
			}
			template.JSON(x)
		}
	})
}
