package watch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/constructs/endpoints"
	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/dashboard"
	"github.com/postern-cdk/postern/internal/tree"
)

// DefaultDroppedPackets is how many packets an endpoint may drop in five minutes.
const DefaultDroppedPackets = 100

const droppedMinutes = 5

// Endpoints are interface endpoints that Session Manager goes through.
// [endpoints.Endpoints] is one.
type Endpoints interface {
	constructs.IConstruct
	// Services that have an endpoint.
	Services() []endpoints.Service
	// Dimensions of the metrics of a service's endpoint.
	Dimensions(endpoints.Service) map[string]string
}

var _ Endpoints = (*endpoints.Endpoints)(nil)

// EndpointOptions says when endpoints are reported. Its zero value, and nil, stand
// for the defaults.
type EndpointOptions struct {
	// Name is how titles, notices and IDs call the door. Empty stands for
	// Session Manager.
	Name string

	// DroppedPackets is how many packets an endpoint may drop in five minutes, three
	// times in a row, from 1. 0 stands for [DefaultDroppedPackets].
	DroppedPackets int
}

func (o *EndpointOptions) withDefaults() EndpointOptions {
	var q EndpointOptions
	if o != nil {
		q = *o
	}
	if q.Name == "" {
		q.Name = "Session Manager"
	}
	if q.DroppedPackets == 0 {
		q.DroppedPackets = DefaultDroppedPackets
	}
	return q
}

func (o *EndpointOptions) validate() error {
	var faults check.Faults
	if strings.Contains(o.Name, "/") || check.Token(o.Name) {
		faults.Addf("Name", "use plain text without slashes", "%q can't be the ID of a construct", o.Name)
	}
	if o.DroppedPackets < 1 {
		faults.Addf("DroppedPackets", "use 1 or more", "%d can't be a number of packets", o.DroppedPackets)
	}
	return faults.Err()
}

// AddEndpoints watches the door that Session Manager is, as far as it can be
// measured: an alarm for each interface endpoint that sessions go through, on
// packets that it drops, and a composite alarm that tells of them. AWS says that
// more of them may mean an endpoint or a service that is not healthy; none are
// counted where nobody uses it. Whether the agent of an instance answers is no
// metric: a bastion's own checks tell that. options may be nil.
//
// AWS documents no metric of EC2 Instance Connect Endpoint, so it can't be added.
//
// docs.aws.amazon.com/vpc/latest/privatelink/privatelink-cloudwatch-metrics.html
func (w *Watch) AddEndpoints(of Endpoints, options *EndpointOptions) {
	o := options.withDefaults()
	var faults check.Faults
	faults.Merge("", o.validate())
	var watched []endpoints.Service
	if of == nil {
		faults.Add("of", "is nil", "pass endpoints")
		tree.Must("watch endpoints", w, o.Name, faults.Err())
	}
	for _, service := range endpoints.Known() {
		if service.CarriesSessions() && slices.Contains(of.Services(), service) {
			watched = append(watched, service)
		}
	}
	if len(watched) == 0 {
		faults.Add("of", "has no endpoint that sessions go through", "make those of ssm and ssmmessages here, or leave it out")
	}
	if faults.Empty() && w.Node().TryFindChild(&o.Name) != nil {
		faults.Addf("Name", "give it another in EndpointOptions", "the watch already has a %q", o.Name)
	}
	tree.Must("watch endpoints", w, o.Name, faults.Err())

	d := &sessions{
		door:    door{watch: w, scope: constructs.NewConstruct(w, &o.Name), name: o.Name},
		options: &o, endpoints: of, services: watched,
	}
	period := awscdk.Duration_Minutes(jsii.Number(float64(droppedMinutes)))
	for _, service := range watched {
		dimensions := map[string]*string{}
		for _, m := range d.dimensions(service) {
			dimensions[m.Name] = jsii.String(m.Value)
		}
		d.alarm(strings.ToUpper(string(service[:1]))+string(service[1:]), d.dropped(service), &condition{
			metric: awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
				Namespace: jsii.String(linkMetrics), MetricName: jsii.String("PacketsDropped"), Statistic: jsii.String("Sum"),
				Period: period, DimensionsMap: &dimensions,
			}),
			at: o.DroppedPackets, periods: 3, missing: awscloudwatch.TreatMissingData_NOT_BREACHING, class: availability, runbook: "endpoint-drops",
		})
	}
	d.gather()
	w.sessions = append(w.sessions, d)
}

const linkMetrics = "AWS/PrivateLinkEndpoints"

// sessions is Session Manager as a door.
type sessions struct {
	door
	options   *EndpointOptions
	endpoints Endpoints
	services  []endpoints.Service
}

func (s *sessions) dropped(service endpoints.Service) string {
	return fmt.Sprintf("The interface endpoint of %s drops packets: %d or more in %d minutes, three times in a row. "+
		"Sessions of Session Manager and the agents of instances without another way out may not get through. "+
		"See the health of AWS in the region, and whether the endpoint's security group or policy was changed.",
		service, s.options.DroppedPackets, droppedMinutes)
}

// dimensions in an order that stays.
func (s *sessions) dimensions(service endpoints.Service) []dashboard.Dimension {
	var list []dashboard.Dimension
	all := s.endpoints.Dimensions(service)
	for _, name := range []string{"Endpoint Type", "Service Name", "VPC Endpoint Id", "VPC Id"} {
		list = append(list, dashboard.Dimension{Name: name, Value: all[name]})
	}
	return list
}

func (s *sessions) rows() []dashboard.Row {
	size := dashboard.Size{Width: half, Height: graphs}
	var active, dropped []dashboard.Metric
	for _, service := range s.services {
		m := dashboard.Metric{Namespace: linkMetrics, Name: "ActiveConnections", Dimensions: s.dimensions(service), Statistic: "Maximum", Period: droppedMinutes * minute, Label: string(service)}
		active = append(active, m)
		m.Name, m.Statistic = "PacketsDropped", "Sum"
		dropped = append(dropped, m)
	}
	return []dashboard.Row{
		{dashboard.Text{Size: dashboard.Size{Width: dashboard.Columns, Height: 1}, Markdown: "## " + s.name, Plain: true}},
		{
			dashboard.Graph{Size: size, Title: s.name + ": connections through endpoints", Unit: "connections", Metrics: active},
			dashboard.Graph{
				Size: size, Title: s.name + ": packets dropped at endpoints", Unit: "packets", Metrics: dropped,
				Thresholds: []dashboard.Threshold{{Value: float64(s.options.DroppedPackets), Label: "alarm"}},
			},
		},
	}
}
