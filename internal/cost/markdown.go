package cost

import (
	"fmt"
	"strings"
)

// Door is a way in, as it is deployed by default, with what it is made of.
type Door struct {
	Name  string
	Items []Item
}

// Doors lists the ways in with the least that each needs, in two Availability
// Zones without a NAT gateway.
func Doors() []Door {
	return []Door{
		{"EC2 Instance Connect Endpoint", []Item{{Part: InstanceConnect, Quantity: 1}}},
		{"Bastion with an Elastic IP, t4g.micro", []Item{
			{Part: InstanceT4gMicro, Quantity: 1}, {Part: VolumeGp3, Quantity: 8}, {Part: PublicIPv4, Quantity: 1},
		}},
		{"Bastion behind a Network Load Balancer, t4g.micro", []Item{
			{Part: InstanceT4gMicro, Quantity: 1}, {Part: VolumeGp3, Quantity: 8}, {Part: NetworkLB, Quantity: 1}, {Part: PublicIPv4, Quantity: 2},
		}},
		{"Session Manager, endpoints ssm and ssmmessages", []Item{{Part: InterfaceEndpoint, Quantity: 4}}},
		{"Session Manager over one NAT gateway", []Item{{Part: NatGateway, Quantity: 1}, {Part: PublicIPv4, Quantity: 1}}},
		{"One more interface endpoint, such as logs or kms", []Item{{Part: InterfaceEndpoint, Quantity: 2}}},
		{"Key, dashboard and ten alarms beside it", []Item{{Part: Key, Quantity: 1}, {Part: Dashboard, Quantity: 1}, {Part: Alarm, Quantity: 10}}},
	}
}

// Markdown is the table of [Doors] for the documentation.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| What | USD a month |\n|---|---:|\n")
	for _, door := range Doors() {
		fmt.Fprintf(&b, "| %s | %.2f |\n", door.Name, Estimate(door.Items).Total())
	}
	fmt.Fprintf(&b, "\nList prices of %s as of %s, %d hours a month, without data transfer, tax, discounts and free tier.\n",
		Region, AsOf.Format("2 January 2006"), HoursPerMonth)
	return b.String()
}
