package bastion

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/constructs-go/constructs/v10"

	"github.com/postern-cdk/postern/internal/check"
)

// placement is where in a VPC the parts of a bastion go.
type placement struct {
	subnets []awsec2.ISubnet // of the instances
	front   []awsec2.ISubnet // of the load balancer
	closed  bool             // the subnets have no way out of the VPC
	ready   constructs.IDependable
}

// place finds the subnets that fit the address. It only reads the tree.
func place(p *Props) (placement, error) {
	var faults check.Faults
	open, outward, isolated := *p.Vpc.PublicSubnets(), *p.Vpc.PrivateSubnets(), *p.Vpc.IsolatedSubnets()
	w := placement{subnets: p.Subnets}

	if len(w.subnets) == 0 {
		switch {
		case p.Address == AddressElasticIP:
			w.subnets = open
		case len(outward) > 0:
			w.subnets = outward
		default:
			w.subnets, w.closed = isolated, true
		}
	} else {
		kinds := kindsOf(open, outward, isolated)
		for i, subnet := range w.subnets {
			field := fmt.Sprintf("Subnets[%d]", i)
			switch kind := kinds[*subnet.SubnetId()]; {
			case p.Address == AddressElasticIP && kind != "" && kind != "public":
				faults.Addf(field, "choose public subnets, or another Address", "is %s, and an Elastic IP needs a route from the internet", kind)
			case p.Address != AddressElasticIP && kind == "public":
				faults.Addf(field, "choose private or isolated subnets, or bastion.AddressElasticIP",
					"is public, and a host without a public address has no way out there")
			}
		}
		w.closed = closed(w.subnets, kindsOf(open, outward, nil))
	}
	if len(w.subnets) == 0 {
		if p.Address == AddressElasticIP {
			faults.Add("Vpc", "has no public subnets for bastion.AddressElasticIP", "add some, or leave Address out")
		} else {
			faults.Add("Vpc", "has no private or isolated subnets", "add some, or choose bastion.AddressElasticIP")
		}
	}
	if p.Address == AddressNetworkLoadBalancer {
		w.front = open
		if len(open) == 0 {
			faults.Add("Vpc", "has no public subnets for the load balancer", "add some, or leave Address out")
		}
	}
	if err := faults.Err(); err != nil {
		return w, err
	}
	selected := p.Vpc.SelectSubnets(&awsec2.SubnetSelection{Subnets: &w.subnets})
	w.ready = selected.InternetConnectivityEstablished
	return w, nil
}

func kindsOf(open, outward, isolated []awsec2.ISubnet) map[string]string {
	kinds := map[string]string{}
	for _, group := range []struct {
		kind    string
		subnets []awsec2.ISubnet
	}{{"isolated", isolated}, {"private", outward}, {"public", open}} {
		for _, subnet := range group.subnets {
			kinds[*subnet.SubnetId()] = group.kind
		}
	}
	return kinds
}

// closed reports whether any subnet is not known to have a way out.
func closed(subnets []awsec2.ISubnet, wayOut map[string]string) bool {
	for _, subnet := range subnets {
		if wayOut[*subnet.SubnetId()] == "" {
			return true
		}
	}
	return false
}
