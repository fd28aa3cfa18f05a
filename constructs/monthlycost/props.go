package monthlycost

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/aws/constructs-go/constructs/v10"

	"github.com/postern-cdk/postern/internal/check"
)

// Part is what gets a figure of its own.
type Part struct {
	// Name ends the output's ID, MonthlyCostNAME. Letters and digits. Required.
	Name string
	// Of are the constructs of it, with all below them. Of two parts that a
	// construct is below, the one with the nearer construct has it. Required.
	Of []constructs.IConstruct
}

// Props says what gets a figure.
type Props struct {
	// Parts get an output each, and so do the rest and the sum. Defaults to none: one
	// figure for all.
	Parts []Part

	// Within are the constructs below which resources count. Defaults to the whole app
	// or stage.
	Within []constructs.IConstruct

	// RestName is the part that what is below no construct of Parts belongs to.
	// Defaults to "Rest".
	RestName string
}

// DefaultRestName is the name of what belongs to no part.
const DefaultRestName = "Rest"

// total ends the ID of the output that is the sum.
const total = "Total"

var namePattern = regexp.MustCompile(`^[A-Za-z0-9]{1,100}$`)

func (p *Props) withDefaults() Props {
	var filled Props
	if p != nil {
		filled = *p
	}
	filled.Parts = slices.Clone(filled.Parts)
	if filled.RestName == "" {
		filled.RestName = DefaultRestName
	}
	return filled
}

func (p *Props) validate() error {
	var faults check.Faults
	seen := map[string]string{total: "the sum"}
	name := func(field, value string) {
		switch other, taken := seen[value]; {
		case !namePattern.MatchString(value):
			faults.Addf(field, "use letters and digits, such as Bastion", "%q can't end the ID of an output", value)
		case taken:
			faults.Addf(field, "use another name", "%q is %s already", value, other)
		}
		seen[value] = "the name of " + field
	}
	for i, part := range p.Parts {
		field := fmt.Sprintf("Parts[%d]", i)
		name(field+".Name", part.Name)
		if len(part.Of) == 0 {
			faults.Add(field+".Of", "is empty", "name the constructs whose cost the part is")
		}
		for j, construct := range part.Of {
			if construct == nil {
				faults.Addf(fmt.Sprintf("%s.Of[%d]", field, j), "pass a construct, or leave it out", "is nil")
			}
		}
	}
	name("RestName", p.RestName)
	return faults.Err()
}
