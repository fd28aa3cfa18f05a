package cost

// Item is a quantity of one part that a deployment holds.
type Item struct {
	Part Part
	// Quantity in the part's unit, without the hours of the month: 2 endpoints
	// in 2 zones each are 4. Zero where it depends on use, such as GB of logs.
	Quantity float64
	// Note says what the quantity is made of: "2 services in 2 zones".
	Note string
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

// ByUse reports whether the line only costs what is used.
func (l Line) ByUse() bool { return l.Known && l.Quantity == 0 && l.Price.USD > 0 }

// Lines is a month's bill.
type Lines []Line

// Estimate prices items, in their order. Items of the same part and note are
// added up.
func Estimate(items []Item) Lines {
	var lines Lines
	at := map[Item]int{}
	for _, item := range items {
		key := Item{Part: item.Part, Note: item.Note}
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
		total += line.USD
	}
	return total
}

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
