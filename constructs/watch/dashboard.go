package watch

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/jsii-runtime-go"
)

func (h *watched) widgets() {
	name := h.options.Name
	h.watch.dashboard.AddWidgets(awscloudwatch.NewAlarmStatusWidget(&awscloudwatch.AlarmStatusWidgetProps{
		Title: &name, Alarms: &h.made, Width: jsii.Number(24), Height: jsii.Number(3),
	}))
	row := []awscloudwatch.IWidget{
		graph(name+": instances", h.instances),
		graph(name+": failed status checks", h.status),
		graph(name+": CPU", h.cpu),
	}
	if h.told != nil {
		row = append(row, graph(name+": checks and broken promises", h.told))
	}
	if !h.options.WithoutAgent {
		row = append(row, graph(name+": memory and disk", h.capacity), graph(name+": agent", h.agent))
	}
	h.watch.dashboard.AddWidgets(row...)
}

func graph(title string, metrics []awscloudwatch.IMetric) awscloudwatch.IWidget {
	return awscloudwatch.NewGraphWidget(&awscloudwatch.GraphWidgetProps{
		Title: &title, Left: &metrics, Width: jsii.Number(12), Height: jsii.Number(6),
		LeftYAxis: &awscloudwatch.YAxisProps{Min: jsii.Number(0), ShowUnits: jsii.Bool(false)},
	})
}

func (t *teller) widgets(title, counted string) {
	t.watch.dashboard.AddWidgets(awscloudwatch.NewAlarmStatusWidget(&awscloudwatch.AlarmStatusWidgetProps{
		Title: &title, Alarms: &t.alarms, Width: jsii.Number(12), Height: jsii.Number(6),
	}), graph(counted, t.counts()))
}

func (t *teller) counts() []awscloudwatch.IMetric {
	var list []awscloudwatch.IMetric
	for _, r := range t.rules {
		list = append(list, r.count("Invocations", r.label))
	}
	return list
}
