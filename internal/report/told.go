package report

import (
	"strconv"
	"strings"

	"github.com/postern-cdk/postern/internal/property"
	"github.com/postern-cdk/postern/internal/words"
)

func (r *Report) told() {
	listeners := 0
	for _, topic := range r.Inventory.of("AWS::SNS::Topic") {
		var who []string
		for _, subscription := range r.Inventory.of("AWS::SNS::Subscription") {
			if arn := subscription.text("TopicArn"); arn == topic.Identifier || arn == topic.text("TopicArn") {
				who = append(who, subscription.text("Protocol")+" "+subscription.text("Endpoint"))
			}
		}
		for _, inline := range topic.list("Subscription") {
			who = append(who, property.Text(property.At(inline, "Protocol"))+" "+property.Text(property.At(inline, "Endpoint")))
		}
		who = sortedUnique(who)
		listeners += len(who)
		name := topic.label("TopicName")
		row := Row{What: "Topic " + topic.label("TopicName"), State: words.Count(len(who), "subscriber"), Detail: strings.Join(who, ", ")}
		if len(who) == 0 {
			row.State, row.Detail = "NOBODY", "alarms go off and no one hears them"
			r.note("nobody is subscribed to topic "+name, "Name e-mail addresses in the watch, or subscribe your pager to the topic")
		}
		if topic.text("KmsMasterKeyId") == "" {
			r.note("topic "+name+" is not encrypted with a key of yours", "Give it the archive's key")
		}
		r.Told = append(r.Told, row)
	}
	r.alarms()
	r.notices()
	for _, dashboard := range r.Inventory.of("AWS::CloudWatch::Dashboard") {
		r.Told = append(r.Told, Row{What: "Dashboard " + dashboard.label("DashboardName"), State: "there"})
	}
}

// notices are what rules of EventBridge tell, and the questions that are saved.
func (r *Report) notices() {
	var told []string
	for _, rule := range r.Inventory.of("AWS::Events::Rule") {
		if about, ok := strings.CutPrefix(rule.text("Description"), "Tells that "); ok && rule.text("State") != "DISABLED" {
			told = append(told, about)
		}
	}
	told = sortedUnique(told)
	if len(told) > 0 {
		r.Told = append(r.Told, Row{What: "Notices", State: words.Count(len(told), "kind"), Detail: strings.Join(told, "; ")})
	}
	if n := len(r.Inventory.of("AWS::Logs::QueryDefinition")); n > 0 {
		r.Told = append(r.Told, Row{What: "Saved queries", State: strconv.Itoa(n), Detail: "who did what, when, from where: CloudWatch Logs Insights"})
	}
}

func (r *Report) alarms() {
	alarms := r.Inventory.of("AWS::CloudWatch::Alarm")
	if len(alarms) == 0 {
		r.fail("there is no alarm: a host that is gone or an agent that is silent is not noticed", "Deploy the watch")
		return
	}
	// What an alarm without an action says may be told by a composite alarm.
	told := ""
	doors := r.Inventory.of("AWS::CloudWatch::CompositeAlarm")
	for _, door := range doors {
		if acts(door) {
			told += door.text("AlarmRule")
		}
	}
	var mute []string
	for _, alarm := range append(alarms, doors...) {
		if !acts(alarm) && !named(told, alarm.text("AlarmName")) && !named(told, alarm.Identifier) {
			mute = append(mute, alarm.label("AlarmName"))
		}
	}
	row := Row{What: "Alarms", State: words.Count(len(alarms), "alarm"), Detail: "each with an action"}
	if len(doors) > 0 {
		row.Detail += ", or below one of " + words.Count(len(doors), "composite alarm")
	}
	if len(mute) > 0 {
		row.Detail = "no action: " + few(mute)
		r.fail("no action on "+few(mute), "Give every alarm the topic as its action")
	}
	r.Told = append(r.Told, row)
}

// named tells whether the rules of composite alarms have an alarm, by its name or
// by its ARN, which ends with the name.
func named(rules, name string) bool {
	return name != "" && (strings.Contains(rules, `:`+name+`"`) || strings.Contains(rules, `"`+name+`"`))
}

func acts(alarm Resource) bool {
	return property.Text(alarm.at("ActionsEnabled")) != "false" && len(alarm.list("AlarmActions")) > 0
}
