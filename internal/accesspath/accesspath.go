// Package accesspath decides whether subnets reach the AWS services that a door
// needs, and says what to add where they don't. It knows nothing of the CDK.
package accesspath

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-cdk/postern/internal/cost"
)

// S3 is the service that a gateway endpoint leads to.
const S3 = "s3"

// Subnet is where something stands that needs services.
type Subnet struct {
	Path string
	Zone string
	// Known tells that its routes are in the app; otherwise they are taken from
	// the group of subnets that it was imported in.
	Known bool
	// InternetGateway tells of a route to one, which needs a public address.
	InternetGateway bool
	// Egress tells of a route out that needs none: NAT, a transit gateway.
	Egress bool
	// S3Gateway tells that its route table leads to S3 by a gateway endpoint.
	S3Gateway bool
}

// Request is what is to be decided.
type Request struct {
	// For is what stands in the subnets, such as "the bastion".
	For           string
	Services      []string
	Subnets       []Subnet
	PublicAddress bool
	// Endpoints are the services whose usual name leads to an endpoint of the VPC.
	Endpoints []string
	// Nameless are the paths, by service, of endpoints with private DNS off.
	Nameless map[string]string
	// Existing are the services said to be reachable by what others made.
	Existing []string
}

// existing is where a user names endpoints that the app does not make.
const existing = "Existing (ExistingEndpoints of a bastion, endpoints.existing of a configuration)"

// Decide returns what is certainly missing, and what may be missing as it can't
// be known.
func Decide(r *Request) (faults, warnings []string) {
	type finding struct {
		missing []string
		subnets []Subnet
	}
	var findings []*finding
	for _, subnet := range r.Subnets {
		missing := r.missing(subnet)
		if len(missing) == 0 {
			continue
		}
		i := slices.IndexFunc(findings, func(f *finding) bool {
			return slices.Equal(f.missing, missing) && f.subnets[0].Known == subnet.Known &&
				f.subnets[0].InternetGateway == subnet.InternetGateway
		})
		if i < 0 {
			findings = append(findings, &finding{missing: missing})
			i = len(findings) - 1
		}
		findings[i].subnets = append(findings[i].subnets, subnet)
	}
	for _, f := range findings {
		if f.subnets[0].Known {
			faults = append(faults, r.fault(f.missing, f.subnets))
		} else {
			warnings = append(warnings, r.warning(f.missing, f.subnets))
		}
	}
	return faults, warnings
}

// missing returns the services that nothing leads to from a subnet.
func (r *Request) missing(subnet Subnet) []string {
	if subnet.Egress || subnet.InternetGateway && r.PublicAddress {
		return nil
	}
	var missing []string
	for _, service := range r.Services {
		switch {
		case slices.Contains(missing, service), slices.Contains(r.Existing, service):
		case service == S3 && subnet.S3Gateway:
		case service != S3 && slices.Contains(r.Endpoints, service):
		default:
			missing = append(missing, service)
		}
	}
	return missing
}

func (r *Request) fault(missing []string, subnets []Subnet) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s can't reach %s from %s: ", r.For, list(missing), paths(subnets))
	if subnets[0].InternetGateway {
		b.WriteString("the route to the internet gateway needs a public address, which it does not have")
	} else {
		b.WriteString("there is no route out")
	}
	b.WriteString(", and no endpoint in the VPC leads there.")
	for _, service := range missing {
		if path, ok := r.Nameless[service]; ok {
			fmt.Fprintf(&b, " %s is an endpoint for %s with private DNS off, so the usual name does not lead to it.", path, service)
		}
	}
	var options []string
	interfaces := slices.DeleteFunc(slices.Clone(missing), func(service string) bool { return service == S3 })
	if n := len(interfaces); n > 0 {
		zones := zones(subnets)
		options = append(options, fmt.Sprintf("add interface endpoints for %s, %.2f USD a month (%d in %s)",
			list(interfaces), cost.Monthly(cost.InterfaceEndpoint, float64(n*zones)), n, count(zones, "zone")))
	}
	if len(interfaces) < len(missing) {
		gateway := "add the S3 gateway endpoint, which is free"
		if len(options) > 0 {
			gateway = "the S3 gateway endpoint, which is free"
			options[0] += " and " + gateway
		} else {
			options = append(options, gateway)
		}
	}
	if subnets[0].InternetGateway {
		options = append(options, "give it a public address")
	} else {
		options = append(options, fmt.Sprintf("use subnets with NAT, %.2f USD a month a gateway",
			cost.Monthly(cost.NatGateway, 1)+cost.Monthly(cost.PublicIPv4, 1)))
	}
	options = append(options, "name what others made in "+existing)
	fmt.Fprintf(&b, " Either %s", strings.Join(options, "; or "))
	return b.String()
}

func (r *Request) warning(missing []string, subnets []Subnet) string {
	return fmt.Sprintf("%s needs %s from %s, whose VPC is not made in this app, so it can't be told whether an endpoint leads there: "+
		"make sure of it, and name what there is in %s", r.For, list(missing), paths(subnets), existing)
}

func zones(subnets []Subnet) int {
	var seen []string
	for _, subnet := range subnets {
		if !slices.Contains(seen, subnet.Zone) {
			seen = append(seen, subnet.Zone)
		}
	}
	return len(seen)
}

func paths(subnets []Subnet) string {
	all := make([]string, len(subnets))
	for i, subnet := range subnets {
		all[i] = subnet.Path
	}
	return list(all)
}

// list joins words as a sentence does.
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
