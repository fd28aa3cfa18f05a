package report

import (
	"fmt"
	"strings"

	"github.com/postern-cdk/postern/internal/property"
)

// host is an Auto Scaling group with the launch template that it starts.
type host struct {
	group    Resource
	template Resource
	desired  float64
	types    []string
	spot     bool
}

func (h host) data(path ...string) any {
	return h.template.at(append([]string{"LaunchTemplateData"}, path...)...)
}

// volumes lists sizes in GB, and whether all are encrypted.
func (h host) volumes() (sizes []float64, encrypted bool) {
	mappings, _ := h.data("BlockDeviceMappings").([]any)
	encrypted = len(mappings) > 0
	for _, mapping := range mappings {
		ebs := property.At(mapping, "Ebs")
		if ebs == nil {
			continue
		}
		if size, ok := property.Number(property.At(ebs, "VolumeSize")); ok {
			sizes = append(sizes, size)
		}
		encrypted = encrypted && property.Yes(property.At(ebs, "Encrypted"))
	}
	return sizes, encrypted
}

func (inv *Inventory) hosts() []host {
	var hosts []host
	for _, group := range inv.of("AWS::AutoScaling::AutoScalingGroup") {
		h := host{group: group}
		size := group.at("DesiredCapacity")
		if size == nil {
			size = group.at("MinSize")
		}
		h.desired, _ = property.Number(size)
		spec := group.at("LaunchTemplate")
		if mixed := group.at("MixedInstancesPolicy"); mixed != nil {
			spec = property.At(mixed, "LaunchTemplate", "LaunchTemplateSpecification")
			overrides, _ := property.At(mixed, "LaunchTemplate", "Overrides").([]any)
			for _, override := range overrides {
				if s := property.Text(property.At(override, "InstanceType")); s != "" {
					h.types = append(h.types, s)
				}
			}
			_, h.spot = property.At(mixed, "InstancesDistribution", "SpotAllocationStrategy").(string)
		}
		id, name := property.Text(property.At(spec, "LaunchTemplateId")), property.Text(property.At(spec, "LaunchTemplateName"))
		for _, template := range inv.of("AWS::EC2::LaunchTemplate") {
			if (id != "" && template.Identifier == id) || (name != "" && template.text("LaunchTemplateName") == name) {
				h.template = template
			}
		}
		if h.data("InstanceMarketOptions", "MarketType") == "spot" {
			h.spot = true
		}
		if s := property.Text(h.data("InstanceType")); s != "" && len(h.types) == 0 {
			h.types = []string{s}
		}
		hosts = append(hosts, h)
	}
	return hosts
}

func (r *Report) hosts() {
	for _, h := range r.Inventory.hosts() {
		name := h.group.label()
		if h.template.Type == "" {
			r.Hosts = append(r.Hosts, Row{What: name, State: "unread", Detail: "its launch template could not be read"})
			r.note(name+": its launch template could not be read, so nothing is known of its disk and metadata service",
				"Look at the group in the console")
			continue
		}
		var good []string
		if property.Text(h.data("MetadataOptions", "HttpTokens")) == "required" {
			hops := "hop limit of the image"
			if n, ok := property.Number(h.data("MetadataOptions", "HttpPutResponseHopLimit")); ok {
				hops = fmt.Sprintf("hop limit %.0f", n)
			}
			good = append(good, "IMDSv2 only, "+hops)
		} else {
			r.fail(name+" answers IMDSv1: a server-side request forgery can read the role's credentials",
				"Set HttpTokens to required in the launch template")
		}
		if _, encrypted := h.volumes(); encrypted {
			good = append(good, "encrypted disk")
		} else {
			r.fail(name+" has a disk that is not encrypted", "Set Encrypted in every block device of the launch template")
		}
		if h.data("KeyName") == nil {
			good = append(good, "no key pair")
		} else {
			r.note(name+" has an EC2 key pair, which nobody rotates", "Leave the key pair out")
		}
		market := ""
		if h.spot {
			market = "Spot "
		}
		r.Hosts = append(r.Hosts, Row{
			What:   name,
			State:  fmt.Sprintf("%.0f x %s%s", h.desired, market, strings.Join(h.types, "/")),
			Detail: strings.Join(good, "; "),
		})
	}
}
