package monthlycost

import (
	"fmt"
	"math"
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

// count prices what the tree holds.
func (m *MonthlyCost) count(s *survey.Survey) []Figure {
	owners := map[string]int{}
	for i := range m.props.Parts {
		for _, construct := range m.props.Parts[i].Of {
			owners[*construct.Node().Path()] = i
		}
	}
	var resources []cost.Resource
	var parts []int
	for _, node := range s.Nodes {
		resource, ok := node.(awscdk.CfnResource)
		if !ok {
			continue
		}
		kind := *resource.CfnResourceType()
		if cost.Free(kind) && kind != "AWS::EC2::LaunchTemplate" && kind != "AWS::AutoScaling::ScheduledAction" {
			continue
		}
		found := cost.Resource{Type: kind}
		if !cost.Plain(kind) || kind == "AWS::EC2::LaunchTemplate" {
			stack := resource.Stack()
			found.Stack = *stack.ArtifactId()
			found.LogicalID, _ = stack.Resolve(resource.LogicalId()).(string)
			found.Properties = properties(stack, resource)
		}
		resources = append(resources, found)
		parts = append(parts, owner(owners, *resource.ToString(), len(m.props.Parts)))
	}
	items := make([][]cost.Item, len(m.props.Parts)+1)
	for _, charge := range cost.Of(resources) {
		part := parts[charge.Of]
		items[part] = append(items[part], charge.Item)
	}
	var figures []Figure
	all := Figure{Name: total}
	for i := range items {
		figure := Figure{Name: m.props.RestName, lines: cost.Estimate(items[i])}
		if i < len(m.props.Parts) {
			figure.Name = m.props.Parts[i].Name
		}
		figure.sum = figure.lines.Sum()
		all.sum = all.sum.Add(figure.sum)
		figures = append(figures, figure)
	}
	return append(figures, all)
}

// owner is the part of the nearest construct above a path.
func owner(owners map[string]int, path string, rest int) int {
	for {
		if part, ok := owners[path]; ok {
			return part
		}
		slash := strings.LastIndexByte(path, '/')
		if slash < 0 {
			return rest
		}
		path = path[:slash]
	}
}

// properties are a resource's as its template will have them.
func properties(stack awscdk.Stack, resource awscdk.CfnResource) map[string]any {
	given := resource.CfnProperties()
	if given == nil {
		return nil
	}
	resolved, _ := capitals(stack.Resolve(given)).(map[string]any)
	return resolved
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
