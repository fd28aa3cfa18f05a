package report

import (
	"strings"

	"github.com/postern-cdk/postern/internal/cost"
)

// items lists what is billed, hosts first. What depends on use comes last, with
// no quantity.
func (r *Report) items() []cost.Item {
	inv := &r.Inventory
	var items []cost.Item
	add := func(part cost.Part, quantity float64, note string) {
		if quantity > 0 {
			items = append(items, cost.Item{Part: part, Quantity: quantity, Note: note})
		}
	}
	addresses := float64(len(inv.of("AWS::EC2::EIP")))
	scheduled := len(inv.of("AWS::AutoScaling::ScheduledAction")) > 0
	free := addresses - float64(len(inv.of("AWS::EC2::NatGateway")))
	for _, h := range inv.hosts() {
		var notes []string
		if h.spot {
			notes = append(notes, "Spot costs less")
		}
		if scheduled {
			notes = append(notes, "less by its schedule")
		}
		if len(h.types) > 0 {
			add(cost.Instance(h.types[0]), h.desired, strings.Join(notes, ", "))
		}
		sizes, _ := h.volumes()
		for _, size := range sizes {
			add(cost.VolumeGp3, size*h.desired, "")
		}
		if yes(h.data("Monitoring", "Enabled")) {
			add(cost.DetailedMonitoring, h.desired, "")
		}
		// An Elastic IP takes the place of the address that the instance had.
		if h.public() {
			extra := max(0, h.desired-max(0, free))
			free -= h.desired
			addresses += extra
		}
	}
	add(cost.PublicIPv4, addresses, "")
	add(cost.NatGateway, float64(len(inv.of("AWS::EC2::NatGateway"))), "")
	for _, endpoint := range inv.of("AWS::EC2::VPCEndpoint") {
		name := endpoint.text("ServiceName")
		service := name[strings.LastIndex(name, ".")+1:]
		if endpoint.text("VpcEndpointType") == "Interface" {
			zones := len(endpoint.list("SubnetIds"))
			add(cost.InterfaceEndpoint, float64(zones), service+" in "+plural(zones, "zone"))
		} else {
			add(cost.GatewayEndpoint, 1, service)
		}
	}
	add(cost.InstanceConnect, float64(len(inv.of("AWS::EC2::InstanceConnectEndpoint"))), "")
	for _, lb := range inv.of("AWS::ElasticLoadBalancingV2::LoadBalancer") {
		if lb.text("Type") == "network" {
			add(cost.NetworkLB, 1, "")
		}
	}
	add(cost.Key, float64(len(inv.of("AWS::KMS::Key"))), "")
	alarms := inv.of("AWS::CloudWatch::Alarm")
	add(cost.Alarm, float64(len(alarms)), "")
	add(cost.CompositeAlarm, float64(len(inv.of("AWS::CloudWatch::CompositeAlarm"))), "")
	add(cost.CustomMetric, float64(customMetrics(alarms)), "those that alarms watch, at least")
	add(cost.Dashboard, float64(len(inv.of("AWS::CloudWatch::Dashboard"))), "")
	if len(inv.of("AWS::Logs::LogGroup")) > 0 {
		items = append(items, cost.Item{Part: cost.LogIngest}, cost.Item{Part: cost.LogStorage})
	}
	if len(inv.of("AWS::S3::Bucket")) > 0 {
		items = append(items, cost.Item{Part: cost.S3Standard}, cost.Item{Part: cost.S3Put})
	}
	return items
}

// customMetrics counts the different metrics outside AWS's own namespaces.
func customMetrics(alarms []Resource) int {
	var names []string
	for _, alarm := range alarms {
		metrics := []any{alarm.Properties}
		for _, query := range alarm.list("Metrics") {
			metrics = append(metrics, at(query, "MetricStat", "Metric"))
		}
		for _, metric := range metrics {
			namespace := text(at(metric, "Namespace"))
			if namespace != "" && !strings.HasPrefix(namespace, "AWS/") {
				names = append(names, namespace+" "+text(at(metric, "MetricName")))
			}
		}
	}
	return len(sortedUnique(names))
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
