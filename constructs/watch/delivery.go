package watch

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/tree"
)

// Delivery is what takes log events of other accounts through a Firehose stream. An
// archive with Sources is one.
type Delivery interface {
	constructs.IConstruct
	// DeliveryStreamName is the name of the stream.
	DeliveryStreamName() string
}

// What a delivery may do before somebody is told. Firehose holds what it can't
// deliver for 24 hours and then drops it, as CloudWatch Logs does what it can't
// send.
//
// docs.aws.amazon.com/firehose/latest/dev/retry.html,
// docs.aws.amazon.com/AmazonCloudWatch/latest/logs/Subscriptions.html
const (
	deliveryPeriodMinutes = 5
	deliveryDelayMinutes  = 30 // more than the longest buffer, which is 15
	deliverySilentMinutes = 60
	throttledPeriods      = 3
	secondsPerMinute      = 60
)

// AddDelivery adds the alarms of the way that log events of other accounts take into
// an archive: that they are late, can't be unpacked, come faster than the stream
// takes them, or don't come at all. The last goes off until the first source sends
// something. $0.10 a month for each of the four.
//
// docs.aws.amazon.com/firehose/latest/dev/monitoring-with-cloudwatch-metrics.html
func (w *Watch) AddDelivery(delivery Delivery) {
	var faults check.Faults
	switch {
	case delivery == nil:
		faults.Add("delivery", "is nil", "pass an archive with Sources")
	case delivery.DeliveryStreamName() == "":
		faults.Addf("delivery", "give it Sources, or leave this out", "%s takes no log events of other accounts", *delivery.Node().Path())
	}
	tree.Must("watch delivery", w, "Delivery", faults.Err())
	id := *delivery.Node().Id() + " delivery"
	if w.Node().TryFindChild(&id) != nil {
		faults.Addf("delivery", "add it once", "the watch already has %q", id)
		tree.Must("watch delivery", w, id, faults.Err())
	}

	d := &delivered{scope: constructs.NewConstruct(w, &id), stream: delivery.DeliveryStreamName(), of: *delivery.Node().Path()}
	text := func(format string, args ...any) string {
		return fmt.Sprintf("Archive %s: ", d.of) + fmt.Sprintf(format, args...)
	}
	w.alarm(d.scope, "DeliveryDelayed", text("log events of other accounts have waited %d minutes to get into the bucket. "+
		"Firehose tries for 24 hours and then drops them; they are in the log groups of their accounts still.", deliveryDelayMinutes), &condition{
		metric: d.metric("DeliveryToS3.DataFreshness", "Maximum", deliveryPeriodMinutes),
		at:     deliveryDelayMinutes * secondsPerMinute, periods: 2,
		missing: awscloudwatch.TreatMissingData_NOT_BREACHING,
		class:   evidence, runbook: "log-delivery",
	})
	w.alarm(d.scope, "DeliveryNotUnpacked", text("log events of other accounts could not be unpacked and lie below logs-failed/ as they came."), &condition{
		metric: d.metric("OutputDecompressedRecords.Failed", "Sum", deliveryPeriodMinutes),
		at:     1, periods: 1,
		missing: awscloudwatch.TreatMissingData_NOT_BREACHING,
		class:   evidence, runbook: "log-delivery",
	})
	w.alarm(d.scope, "DeliveryThrottled", text("log events of other accounts come faster than the stream takes them. "+
		"CloudWatch Logs tries for 24 hours and then drops them; they are in the log groups of their accounts still."), &condition{
		metric: d.metric("ThrottledRecords", "Sum", deliveryPeriodMinutes),
		at:     1, periods: throttledPeriods,
		missing: awscloudwatch.TreatMissingData_NOT_BREACHING,
		class:   evidence, runbook: "log-delivery",
	})
	w.alarm(d.scope, "DeliverySilent", text("no log event of another account has come for %d minutes: a destination, a subscription or a source may be gone.",
		deliverySilentMinutes), &condition{
		metric: awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
			Expression: jsii.String("IF(incoming < 1, 1, 0)"),
			Period:     awscdk.Duration_Minutes(jsii.Number(deliverySilentMinutes)),
			UsingMetrics: &map[string]awscloudwatch.IMetric{
				"incoming": d.metric("IncomingRecords", "Sum", deliverySilentMinutes),
			},
		}),
		at: 1, periods: 1,
		missing: awscloudwatch.TreatMissingData_BREACHING,
		class:   evidence, runbook: "log-delivery",
	})
}

// delivered is a delivery while its alarms are made.
type delivered struct {
	scope      constructs.Construct
	stream, of string
}

func (d *delivered) metric(name, statistic string, minutes float64) awscloudwatch.Metric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String("AWS/Firehose"), MetricName: &name, Statistic: &statistic,
		Period:        awscdk.Duration_Minutes(&minutes),
		DimensionsMap: &map[string]*string{"DeliveryStreamName": &d.stream},
	})
}
