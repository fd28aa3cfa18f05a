package watch

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/filterpattern"
	"github.com/postern-cdk/postern/internal/hostalarm"
	"github.com/postern-cdk/postern/internal/runbook"
	"github.com/postern-cdk/postern/internal/tree"
)

// occurrences alarms on what happens on a host, by its lines.
func (h *watched) occurrences() {
	o, n := h.options, h.notice
	for _, a := range []struct {
		id, text string
		at       int
		class    class
		runbook  runbook.Page
	}{
		{id: hostalarm.FailedKeys, text: n.failedKeys(o.FailedKeysPerTenMinutes), at: o.FailedKeysPerTenMinutes, class: security, runbook: "failed-keys"},
		{id: hostalarm.InvalidUsers, text: n.invalidUsers(o.InvalidUsersPerTenMinutes), at: o.InvalidUsersPerTenMinutes, class: security, runbook: "invalid-users"},
		{id: hostalarm.Sudo, text: n.sudo(o.SudoPerTenMinutes), at: o.SudoPerTenMinutes, class: security, runbook: "sudo"},
		{id: hostalarm.IntegrityChanged, text: n.integrity(), at: 1, class: security, runbook: "integrity"},
		{id: hostalarm.AuditStopped, text: n.auditStopped(), at: 1, class: evidence, runbook: "audit-stopped"},
		{id: hostalarm.PeopleFailed, text: n.peopleFailed(), at: 1, class: security, runbook: "people-failed"},
		{id: hostalarm.UsersRefused, text: n.usersRefused(), at: 1, class: security, runbook: "refused-users"},
		{id: hostalarm.RecordingGap, text: n.recordingGap(), at: 1, class: evidence, runbook: "recording-gap"},
		{id: hostalarm.DiskFilled, text: n.diskFilled(), at: 1, class: evidence, runbook: "disk-filling"},
	} {
		h.alarm(a.id, a.text, &condition{
			metric: h.counted(a.id), at: a.at, periods: 1, missing: awscloudwatch.TreatMissingData_NOT_BREACHING, class: a.class, runbook: a.runbook,
		})
	}
	h.logins()
}

// logins counts who came in, and alarms on who did outside of the office hours. Each
// minute stands for itself: a longer one could begin inside of them.
func (h *watched) logins() {
	logins := h.countedEach(hostalarm.LoginOutsideHours, 1)
	if h.watch.officeHours == nil {
		return
	}
	hours := h.watch.officeHours
	known := map[string]awscloudwatch.IMetric{hostalarm.Logins: logins}
	var outside awscloudwatch.IMetric
	for _, e := range hours.hours().Expressions() {
		outside = h.expression(e.Text, 1, copied(known))
		known[e.ID] = outside
	}
	h.alarm(hostalarm.LoginOutsideHours, h.notice.loginOutsideHours(hours), &condition{
		metric: outside, at: 1, periods: 1, missing: awscloudwatch.TreatMissingData_NOT_BREACHING, class: security, runbook: "login-outside-hours",
	})
}

// balanced alarms on a load balancer that leads nobody in.
func (h *watched) balanced(wanted awscloudwatch.IMetric) {
	targets := awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String("AWS/NetworkELB"), MetricName: jsii.String("HealthyHostCount"), Statistic: jsii.String("Maximum"), Period: h.period(1),
		DimensionsMap: &map[string]*string{"LoadBalancer": &h.loadBalancer, "TargetGroup": &h.targetGroup},
	})
	h.alarm("NoHealthyDoor", h.notice.noHealthyDoor(h.options.UnhealthyMinutes), &condition{
		metric: h.expression(unhealthy, 1, map[string]awscloudwatch.IMetric{desired: wanted, healthy: targets}),
		at:     1, periods: h.options.UnhealthyMinutes, missing: awscloudwatch.TreatMissingData_BREACHING, class: availability, runbook: "no-healthy-door",
	})
}

// counted is how many lines of the host's records are for an alarm, in ten minutes.
func (h *watched) counted(alarm string) awscloudwatch.IMetric {
	return h.countedEach(alarm, promisePeriodMinutes)
}

// countedEach is counted in steps of some minutes. The metric has no dimension, as it
// could only come from the lines; its name tells the host. It has no default value,
// either: one that is not sent costs nothing.
func (h *watched) countedEach(alarm string, minutes int) awscloudwatch.IMetric {
	var name string
	for _, f := range hostalarm.Of(alarm) {
		name = f.Metric + " " + h.path
		newMetricFilter(h.scope, f.ID, h.group(f.Log), f.Pattern, &awslogs.CfnMetricFilter_MetricTransformationProperty{
			MetricNamespace: &h.options.MetricsNamespace, MetricName: &name, MetricValue: jsii.String("1"),
		})
	}
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: &h.options.MetricsNamespace, MetricName: &name, Statistic: jsii.String("Sum"), Period: h.period(minutes),
	})
}

// newMetricFilter makes a metric filter whose pattern was read: one that CloudWatch
// refuses fails a deployment, and one that it misunderstands looks like a quiet night.
func newMetricFilter(scope constructs.Construct, id string, group awslogs.ILogGroup, pattern string, to *awslogs.CfnMetricFilter_MetricTransformationProperty) {
	var faults check.Faults
	if !check.Token(pattern) {
		if _, err := filterpattern.Parse(pattern); err != nil {
			faults.Addf("filter pattern", "write it as in docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntaxForMetricFilters.html", "%v", err)
		}
	}
	tree.Must("watch filter", scope, id, faults.Err())
	awslogs.NewCfnMetricFilter(scope, &id, &awslogs.CfnMetricFilterProps{
		LogGroupName: jsii.String(attach.LogGroupName(group)), FilterPattern: &pattern, MetricTransformations: []any{to},
	})
}

func copied(metrics map[string]awscloudwatch.IMetric) map[string]awscloudwatch.IMetric {
	list := make(map[string]awscloudwatch.IMetric, len(metrics))
	for id, metric := range metrics {
		list[id] = metric
	}
	return list
}
