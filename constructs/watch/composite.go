package watch

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/runbook"
	"github.com/postern-cdk/postern/internal/tree"
)

// class is what an alarm puts in doubt. It decides who tells of it: the alarm
// itself, or a composite alarm of its door.
type class int

const (
	// evidence may be missing: records, checks, or what they are told by. It is what
	// an alarm is of that says nothing, and tells by itself, always.
	evidence class = iota
	// security is in doubt: somebody does what should not be done. It tells by
	// itself, always.
	security
	// availability of a door, and nothing else: nobody gets in. Gathered below a
	// door, so that one failure is one message.
	availability
	// strain on a door that still lets people in. Gathered below a door, and told
	// only while it is not down.
	strain
)

func (c class) gathered() bool { return c == availability || c == strain }

// How long the actions of a strain wait for the door to be down, and after it is
// up again, in seconds: a new instance works hard for a while.
//
// docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Create_Composite_Alarm_Suppression.html
const (
	suppressorWait      = 60
	suppressorExtension = 600
)

// made is an alarm of the watch, as the dashboard and the composite alarms need it.
type made struct {
	arn   string
	class class
}

// door gathers the alarms of one way in.
type door struct {
	watch *Watch
	scope constructs.Construct
	name  string
	made  []made
}

// alarm makes an alarm of the door. Where it is about the door alone, a composite
// alarm tells of it.
func (d *door) alarm(id, description string, c *condition) {
	c.door = true
	d.made = append(d.made, made{arn: d.watch.alarm(d.scope, id, description, c), class: c.class})
}

// gather makes the composite alarms, when all alarms of the door are there.
func (d *door) gather() {
	down := d.any(availability)
	if down == "" {
		return
	}
	closed := d.composite("Door", down, runbook.Page("door-down"), fmt.Sprintf(
		"Nobody gets in through %s, or nobody can tell. The alarms below this one say why; they send nothing by themselves, and this one tells when all of them are over.", d.name), "")
	if strained := d.any(strain); strained != "" {
		d.composite("Strained", strained, runbook.Page("door-strained"), fmt.Sprintf(
			"%s lets people in, but it is strained: a failed status check, CPU or memory. The alarms below this one say which; they send nothing by themselves. "+
				"While nobody gets in at all, this alarm is quiet, too.", d.name), closed)
	}
}

// any is a rule that holds while an alarm of a class is in the state ALARM, or "".
//
// docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
func (d *door) any(of class) string {
	var list []string
	for _, m := range d.made {
		if m.class == of {
			list = append(list, fmt.Sprintf(`ALARM("%s")`, m.arn))
		}
	}
	return strings.Join(list, " OR ")
}

func (d *door) composite(id, rule string, page runbook.Page, text, suppressor string) (arn string) {
	description, err := page.Description(text)
	tree.Must("watch alarm", d.scope, id, err)
	props := &awscloudwatch.CfnCompositeAlarmProps{
		AlarmRule: &rule, AlarmDescription: &description,
		AlarmActions: &[]any{*d.watch.action.topicARN}, OkActions: &[]any{*d.watch.action.topicARN},
	}
	if suppressor != "" {
		props.ActionsSuppressor = suppressor
		props.ActionsSuppressorWaitPeriod = jsii.Number(float64(suppressorWait))
		props.ActionsSuppressorExtensionPeriod = jsii.Number(float64(suppressorExtension))
	}
	arn = *awscloudwatch.NewCfnCompositeAlarm(d.scope, &id, props).AttrArn()
	d.watch.made = append(d.watch.made, made{arn: arn, class: availability})
	return arn
}
