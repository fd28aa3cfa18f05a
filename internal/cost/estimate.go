package cost

import (
	"fmt"
	"regexp"
	"slices"
)

// Item is a quantity of one part that a deployment holds.
type Item struct {
	Part Part
	// Quantity in the part's unit, without the hours of the month: 2 endpoints
	// in 2 zones each are 4. Zero where it depends on use, such as GB of logs.
	Quantity float64
	// Note says what the quantity is made of: "2 services in 2 zones".
	Note string
	// Assumed tells of a quantity that depends on use.
	Assumed bool
}

// Line is one item with its price.
type Line struct {
	Item
	Price Price
	// Known is false for a part that the table lacks; its USD is 0 then.
	Known bool
	// USD a month.
	USD float64
}

// ByUse reports whether the line only costs what is used; its USD stand for the
// use that its note assumes.
func (l Line) ByUse() bool { return l.Known && l.Price.USD > 0 && (l.Assumed || l.Quantity == 0) }

// Lines is a month's bill.
type Lines []Line

// Estimate prices items, in their order. Items of the same part and note are
// added up.
func Estimate(items []Item) Lines {
	var lines Lines
	at := map[Item]int{}
	for _, item := range items {
		key := Item{Part: item.Part, Note: item.Note, Assumed: item.Assumed}
		i, seen := at[key]
		if !seen {
			price, known := Lookup(item.Part)
			i = len(lines)
			at[key] = i
			lines = append(lines, Line{Item: key, Price: price, Known: known})
		}
		lines[i].Quantity += item.Quantity
		lines[i].USD = Monthly(item.Part, lines[i].Quantity)
	}
	return lines
}

// Total is what the lines cost a month together, use apart.
func (l Lines) Total() float64 {
	total := 0.0
	for _, line := range l {
		if !line.Assumed {
			total += line.USD
		}
	}
	return total
}

// Use is what the lines that depend on use cost a month together, as far as
// assumed.
func (l Lines) Use() float64 {
	total := 0.0
	for _, line := range l {
		if line.Assumed {
			total += line.USD
		}
	}
	return total
}

// Sum is a figure with its two sides: what is billed whether or not anybody comes
// in, and what depends on use.
type Sum struct {
	Fixed, Use float64
	// Unpriced are the parts that no price is known for: the figure is at least
	// what it says.
	Unpriced []Part
}

// Sum adds the lines up.
func (l Lines) Sum() Sum { return Sum{Fixed: l.Total(), Use: l.Use(), Unpriced: l.Unknown()} }

// Add is both together.
func (s Sum) Add(other Sum) Sum {
	return Sum{s.Fixed + other.Fixed, s.Use + other.Use, append(slices.Clone(s.Unpriced), other.Unpriced...)}
}

// String is the figure in a line: "USD 10.42, and about USD 0.35 by use".
func (s Sum) String() string {
	text := fmt.Sprintf("USD %.2f", s.Fixed)
	if len(s.Unpriced) > 0 {
		text = "over " + text
	}
	if s.Use >= 0.005 {
		text += fmt.Sprintf(", and about USD %.2f by use", s.Use)
	}
	if len(s.Unpriced) > 0 {
		text += "; no price is known for "
		for i, part := range s.Unpriced {
			if i > 0 {
				text += ", "
			}
			text += string(part)
		}
	}
	return text
}

// Title is the name of a part of an app with spaces between its words.
func Title(name string) string { return word.ReplaceAllString(name, "$1 $2") }

// word is where one ends within a name and another begins.
var word = regexp.MustCompile(`([a-z])([A-Z])`)

// OutputPrefix begins the key of a stack's output that holds a figure, and
// OutputTotal is that of the sum.
const (
	OutputPrefix = "MonthlyCost"
	OutputTotal  = OutputPrefix + "Total"
)

// Unknown lists the parts that the table has no price for: the total is at
// least what it says.
func (l Lines) Unknown() []Part {
	var parts []Part
	for _, line := range l {
		if !line.Known {
			parts = append(parts, line.Part)
		}
	}
	return parts
}

// Instance is the part of an EC2 instance type such as "t4g.nano".
func Instance(instanceType string) Part { return Part("ec2/" + instanceType) }
