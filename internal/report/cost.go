package report

import (
	"cmp"
	"slices"
	"strings"

	"github.com/postern-cdk/postern/internal/cost"
)

// bill prices what is deployed, the dearest first; what depends on use comes last.
func (r *Report) bill() cost.Lines {
	resources := make([]cost.Resource, len(r.Inventory.Resources))
	for i, resource := range r.Inventory.Resources {
		resources[i] = cost.Resource(resource)
	}
	lines := cost.Estimate(cost.Items(cost.Of(resources)))
	slices.SortStableFunc(lines, func(a, b cost.Line) int {
		if a.Assumed != b.Assumed {
			if a.Assumed {
				return 1
			}
			return -1
		}
		return cmp.Compare(b.USD, a.USD)
	})
	return lines
}

// figures are what the stacks say that each door costs, which must come to what
// stands there.
func (r *Report) figures() {
	for _, output := range r.Inventory.Outputs {
		name, ok := strings.CutPrefix(output.Key, cost.OutputPrefix)
		if !ok {
			continue
		}
		if output.Key == cost.OutputTotal {
			if here := r.Cost.Sum().String(); here != output.Value {
				r.note("the stacks say that all of it costs "+output.Value+" a month, but what stands there comes to "+here,
					"Deploy all stacks from the same configuration, or look for what was changed by hand")
			}
			continue
		}
		fixed, use, _ := strings.Cut(output.Value, ", and ")
		r.CostOf = append(r.CostOf, Row{What: cost.Title(name), State: fixed, Detail: use})
	}
}

// commands picks the outputs that can be pasted.
func (r *Report) commands() {
	for _, output := range r.Inventory.Outputs {
		for _, start := range []string{"aws ", "ssh ", "Host ", "Match ", "# "} {
			if strings.HasPrefix(output.Value, start) {
				r.Commands = append(r.Commands, output)
				break
			}
		}
	}
}
