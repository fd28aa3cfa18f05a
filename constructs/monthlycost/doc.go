// Package monthlycost shows what an app costs a month, door by door, as outputs
// of a stack and in its template's metadata.
//
//	monthlycost.New(stack, "MonthlyCost", &monthlycost.Props{Parts: []monthlycost.Part{
//		{Name: "Bastion", Of: []constructs.IConstruct{host}},
//		{Name: "Archive", Of: []constructs.IConstruct{evidence}},
//	}})
//
// It looks at the finished tree of the app or stage, so it prices whatever is below
// a construct, whoever made it, with Postern or without. A part's figure has two
// sides: what is billed whether or not anybody comes in, and what depends on use,
// at a use that the metadata states line by line. A resource of a type that no
// price is known for is named, and the figure begins with "over".
//
// Prices are AWS list prices of us-east-1 in US dollars, dated, each with its
// source, without tax, discounts, free tier and data transfer. Nothing is made
// that costs anything.
package monthlycost
