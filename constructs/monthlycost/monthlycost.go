package monthlycost

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/cost"
	"github.com/postern-cdk/postern/internal/survey"
	"github.com/postern-cdk/postern/internal/tree"
)

// Prices says which prices the figures are made of: Region and month.
func Prices() string { return cost.Region + ", " + cost.AsOf.Format("January 2006") }

// MetadataKey is where a template holds the lines of the figures.
const MetadataKey = "Postern::MonthlyCost"

// MonthlyCost is the outputs. It makes no resource.
type MonthlyCost struct {
	constructs.Construct
	props   Props
	figures []Figure
}

var _ constructs.IConstruct = (*MonthlyCost)(nil)

// Figure is what a part costs a month in US dollars.
type Figure struct {
	// Name of the part; "Total" is the sum of the others.
	Name  string
	sum   cost.Sum
	lines cost.Lines
}

// Fixed is billed whether or not anybody comes in.
func (f Figure) Fixed() float64 { return f.sum.Fixed }

// Title is the name with spaces between its words, "Session Manager".
func (f Figure) Title() string { return cost.Title(f.Name) }

// Use is what depends on use, at the use that the lines assume.
func (f Figure) Use() float64 { return f.sum.Use }

// Unpriced are resource types, or parts of them, that no price is known for.
func (f Figure) Unpriced() []string {
	var list []string
	for _, part := range f.sum.Unpriced {
		list = append(list, string(part))
	}
	return list
}

// New adds the outputs to the stack of scope.
func New(scope constructs.Construct, id string, props *Props) *MonthlyCost {
	p := props.withDefaults()
	tree.Must("monthly cost", scope, id, p.validate())

	m := &MonthlyCost{props: p}
	constructs.NewConstruct_Override(m, scope, &id)
	stack := awscdk.Stack_Of(m)
	for i := range p.Parts {
		m.output(stack, p.Parts[i].Name)
	}
	if len(p.Parts) > 0 {
		m.output(stack, p.RestName)
	}
	m.output(stack, total)
	stack.AddMetadata(jsii.String(MetadataKey), awscdk.Lazy_UncachedAny(&metadata{m}, nil))
	survey.Validate(m, func(s *survey.Survey) []string {
		m.figures = m.count(s)
		return nil
	})
	return m
}

// Figures are the parts' figures in their order, with the rest and the sum. It is
// nil before the synthesis.
func (m *MonthlyCost) Figures() []Figure { return append([]Figure(nil), m.figures...) }

func (m *MonthlyCost) output(stack awscdk.Stack, name string) {
	about := "what " + cost.Title(name) + " costs a month"
	switch name {
	case total:
		about = "what all of it costs a month"
	case m.props.RestName:
		about = "what else costs a month"
	}
	awscdk.NewCfnOutput(stack, jsii.String(cost.OutputPrefix+name), &awscdk.CfnOutputProps{
		Value:       awscdk.Lazy_UncachedString(&value{m, name}, nil),
		Description: jsii.String(about + "; list prices of " + Prices() + "; lines in the template's metadata"),
	})
}

// count prices what the tree holds. Each call to the CDK is half a millisecond, and a
// tree has hundreds of resources: it asks for as little of each as it can.
func (m *MonthlyCost) count(s *survey.Survey) []Figure {
	rest := len(m.props.Parts)
	parts := make([]int, len(s.Nodes))
	for i := range parts {
		parts[i] = rest
	}
	var all []constructs.IConstruct
	part := map[constructs.IConstruct]int{}
	for i := range m.props.Parts {
		for _, construct := range m.props.Parts[i].Of {
			all, part[construct] = append(all, construct), i
		}
	}
	each(s, all, func(i int, construct constructs.IConstruct) { parts[i] = part[construct] })
	within := make([]bool, len(s.Nodes))
	each(s, m.props.Within, func(i int, _ constructs.IConstruct) { within[i] = true })

	var resources []cost.Resource
	var owners, priced []int
	var asked []awscdk.CfnResource
	types := map[reflect.Type]string{}
	for i, node := range s.Nodes {
		resource, ok := node.(awscdk.CfnResource)
		if !ok || len(m.props.Within) > 0 && !within[i] {
			continue
		}
		kind := kindOf(types, resource)
		template := kind == "AWS::EC2::LaunchTemplate"
		if cost.Free(kind) && !template && kind != "AWS::AutoScaling::ScheduledAction" {
			continue
		}
		if !cost.Plain(kind) || template {
			priced, asked = append(priced, len(resources)), append(asked, resource)
		}
		resources, owners = append(resources, cost.Resource{Type: kind}), append(owners, parts[i])
	}
	fill(s, resources, priced, asked)
	items := make([][]cost.Item, rest+1)
	for _, charge := range cost.Of(resources) {
		items[owners[charge.Of]] = append(items[owners[charge.Of]], charge.Item)
	}
	var figures []Figure
	sum := Figure{Name: total}
	for i := range items {
		figure := Figure{Name: m.props.RestName, lines: cost.Estimate(items[i])}
		if i < rest {
			figure.Name = m.props.Parts[i].Name
		}
		figure.sum = figure.lines.Sum()
		sum.sum = sum.sum.Add(figure.sum)
		figures = append(figures, figure)
	}
	return append(figures, sum)
}

// each visits the nodes at and below constructs; what is below several of them is
// visited last for the nearest.
func each(s *survey.Survey, of []constructs.IConstruct, visit func(i int, construct constructs.IConstruct)) {
	type span struct {
		construct   constructs.IConstruct
		first, last int
	}
	var spans []span
	for _, construct := range of {
		first, last := s.Range(construct)
		spans = append(spans, span{construct, first, last})
	}
	slices.SortStableFunc(spans, func(a, b span) int { return a.first - b.first })
	for _, span := range spans {
		for i := span.first; i < span.last; i++ {
			visit(i, span.construct)
		}
	}
}

// kindOf is a resource's type, which those of one class of the CDK share.
func kindOf(types map[reflect.Type]string, resource awscdk.CfnResource) string {
	class := reflect.TypeOf(resource)
	if kind, ok := types[class]; ok {
		return kind
	}
	kind := *resource.CfnResourceType()
	// The class CfnResource itself takes any type.
	if class.Kind() == reflect.Pointer && strings.HasPrefix(class.Elem().PkgPath(), "github.com/aws/aws-cdk-go/awscdk/v2/") {
		types[class] = kind
	}
	return kind
}

// fill gives resources their properties as their templates will have them, a stack at
// a time.
func fill(s *survey.Survey, resources []cost.Resource, at []int, asked []awscdk.CfnResource) {
	var stacks []constructs.IConstruct
	for _, node := range s.Nodes {
		if _, ok := node.(awscdk.Stack); ok {
			stacks = append(stacks, node)
		}
	}
	of := map[constructs.IConstruct]awscdk.Stack{}
	each(s, stacks, func(i int, stack constructs.IConstruct) { of[s.Nodes[i]], _ = stack.(awscdk.Stack) })
	for _, node := range stacks {
		stack, _ := node.(awscdk.Stack)
		var mine []*cost.Resource
		given := []any{}
		for i, resource := range asked {
			if of[resource] != stack {
				continue
			}
			mine = append(mine, &resources[at[i]])
			properties := map[string]any{"properties": resource.CfnProperties()}
			if resources[at[i]].Type == "AWS::EC2::LaunchTemplate" { // which a group refers to
				properties["id"] = resource.LogicalId()
			}
			given = append(given, properties)
		}
		if len(given) == 0 {
			continue
		}
		name := *stack.ArtifactId()
		resolved, _ := stack.Resolve(given).([]any)
		for i, r := range mine {
			properties, _ := resolved[i].(map[string]any)
			r.Stack = name
			r.LogicalID, _ = properties["id"].(string)
			r.Properties, _ = capitals(properties["properties"]).(map[string]any)
		}
	}
}

// capitals gives the keys of objects the capital that CloudFormation's have.
func capitals(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, inner := range v {
			runes := []rune(key)
			if len(runes) > 0 {
				runes[0] = unicode.ToUpper(runes[0])
			}
			out[string(runes)] = capitals(inner)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = capitals(v[i])
		}
		return out
	default:
		return value
	}
}

func (m *MonthlyCost) figure(name string) (Figure, bool) {
	for _, figure := range m.figures {
		if figure.Name == name {
			return figure, true
		}
	}
	return Figure{}, false
}

// String is the figure in a line: "USD 10.42, and about USD 0.35 by use".
func (f Figure) String() string { return f.sum.String() }

// value is an output's, once the tree is finished.
type value struct {
	of   *MonthlyCost
	name string
}

var _ awscdk.IStringProducer = (*value)(nil)

// Produce implements awscdk.IStringProducer.
func (v *value) Produce(awscdk.IResolveContext) *string {
	figure, ok := v.of.figure(v.name)
	if !ok {
		return jsii.String("known after the synthesis")
	}
	return jsii.String(figure.String())
}

type metadata struct{ of *MonthlyCost }

var _ awscdk.IAnyProducer = (*metadata)(nil)

// Produce implements awscdk.IAnyProducer.
func (p *metadata) Produce(awscdk.IResolveContext) any {
	parts := map[string]any{}
	for _, figure := range p.of.figures {
		if figure.Name == total {
			continue
		}
		lines := []any{}
		for _, line := range figure.lines {
			// As texts: numbers with a fraction are no metadata to cfn-lint.
			entry := map[string]any{"What": string(line.Part), "Quantity": strconv.FormatFloat(math.Round(line.Quantity*1000)/1000, 'f', -1, 64)}
			if line.Known {
				entry["What"], entry["USD"] = line.Price.What, fmt.Sprintf("%.2f", line.USD)
				entry["Price"] = fmt.Sprintf("USD %g per %s", line.Price.USD, line.Price.Unit)
				entry["Source"] = line.Price.Source
			}
			if line.Note != "" {
				entry["Note"] = line.Note
			}
			lines = append(lines, entry)
		}
		parts[figure.Name] = lines
	}
	return map[string]any{"AsOf": cost.AsOf.Format("2006-01-02"), "Region": cost.Region, "HoursAMonth": cost.HoursPerMonth, "Parts": parts}
}
