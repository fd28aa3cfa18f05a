package watch

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/notice"
	"github.com/postern-cdk/postern/internal/runbook"
	"github.com/postern-cdk/postern/internal/tree"
)

// The IDs below which notices stand.
const (
	sessionsID   = "Sessions"
	breakGlassID = "BreakGlass"
	hoursID      = "Hours"
)

// SessionNotices says of which sessions people are told. Its zero value, and nil,
// stand for every session that is started in the account and region.
type SessionNotices struct {
	// Quiet are session documents, by name, whose sessions nobody is told of: those
	// of a tunnel that is opened all day. Sessions for emergencies, see
	// [Watch.AddBreakGlass], are told of whatever is named here.
	Quiet []string

	// Resumed tells of sessions that are taken up again, too. The CLI's plugin does
	// that by itself when a connection was lost, so it may be often.
	Resumed bool

	// Ended tells of sessions that somebody ends by a call, too, their own or another's.
	// One that is left by exit, or times out, makes no call and is not told of.
	Ended bool
}

// BreakGlass is a way in for emergencies. An operator with that intent is one.
type BreakGlass interface {
	constructs.IConstruct
	// BreakGlassDocuments are the names of the session documents that are for
	// emergencies only.
	BreakGlassDocuments() []string
}

func (n *SessionNotices) withDefaults() SessionNotices {
	if n == nil {
		return SessionNotices{}
	}
	return *n
}

func (n *SessionNotices) validate() error {
	var faults check.Faults
	for i, name := range n.Quiet {
		field := fmt.Sprintf("Quiet[%d]", i)
		for first, other := range n.Quiet[:i] {
			if other == name {
				faults.Addf(field, "leave it out", "%q is the same as Quiet[%d]", name, first)
				break
			}
		}
		if !check.Token(name) && !documentName.MatchString(name) {
			faults.Addf(field, "write the name alone, 3 to 128 letters, digits, hyphens, dots and underscores", "%q is no name of a session document", name)
		}
	}
	if faults.Empty() {
		n.validateLength(&faults)
	}
	return faults.Err()
}

// validateLength sees that the rule's pattern is one that EventBridge takes, wherever
// it is deployed.
func (n *SessionNotices) validateLength(faults *check.Faults) {
	var quiet []notice.Document
	for _, name := range n.Quiet {
		quiet = append(quiet, notice.Document{Name: name, Arn: "arn:aws-us-gov:ssm:ap-northeast-1:123456789012:document/" + name})
	}
	pattern, err := json.Marshal(notice.SessionStarted(quiet).Pattern)
	if err != nil {
		panic(err) // texts
	}
	if len(pattern) > notice.MaxPattern {
		faults.Addf("Quiet", "name fewer", "%d documents make a pattern of %d characters, and EventBridge takes %d", len(n.Quiet), len(pattern), notice.MaxPattern)
	}
}

// AddSessionNotices tells people of each session that is started through Session
// Manager: who, from which address, to what, with which document, when, and the
// commands that look closer and end it. Sessions that name no document have a
// notice of their own, as the account's default decides whether those are logged.
// Tunnels and SSH over Session Manager are sessions, too. options may be nil.
//
// EventBridge gets these calls from CloudTrail, within minutes and only while the
// account has a trail that logs; see [Props.ExistingTrail]
// (docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-auditing.html).
//
// What can't be delivered goes to a queue, for all notices of the watch, and an alarm
// says so.
func (w *Watch) AddSessionNotices(options *SessionNotices) {
	n := options.withDefaults()
	err := n.validate()
	if err == nil {
		err = w.once("AddSessionNotices", sessionsID)
	}
	tree.Must("watch", w, sessionsID, err)

	t := w.teller(w, sessionsID)
	t.add("Started", "Tells that a session was started", notice.SessionStarted(w.documents(n.Quiet)))
	t.add("DefaultDocument", "Tells that a session was started with the account's default document", notice.SessionStartedByDefault())
	if n.Resumed {
		t.add("Resumed", "Tells that a session was resumed", notice.SessionResumed())
	}
	if n.Ended {
		t.add("Ended", "Tells that a session was ended", notice.SessionEnded())
	}
	t.widgets("Sessions", "Sessions started")
}

// AddBreakGlass tells people loudly whenever somebody uses a way in that is for
// emergencies, by a notice and by an alarm that reports, shows and keeps the use.
// What it needs is said at [Watch.AddSessionNotices], which it does not depend on.
func (w *Watch) AddBreakGlass(way BreakGlass) {
	var faults check.Faults
	if way == nil {
		faults.Add("way", "is nil", "pass an operator with break-glass")
		tree.Must("watch", w, breakGlassID, faults.Err())
	}
	name := *way.Node().Id()
	documents := way.BreakGlassDocuments()
	if len(documents) == 0 {
		faults.Addf("way", "give it a session document for emergencies", "%q has no document, so its use could not be told", name)
	}
	if strings.ContainsAny(name, "\"\\<>\n") {
		faults.Addf("way", `give it an ID without quotes, backslashes, "<" and ">"`, "%q would break the notice", name)
	}
	if w.breakGlass != nil && w.breakGlass.Node().TryFindChild(&name) != nil {
		faults.Addf("way", "add it once", "the watch already tells of %q", name)
	}
	tree.Must("watch", w, breakGlassID+"/"+name, faults.Err())

	if w.breakGlass == nil {
		w.breakGlass = constructs.NewConstruct(w, jsii.String(breakGlassID))
	}
	t := w.teller(w.breakGlass, name)
	rule := t.addLoud("Used", "Tells that break-glass access was used", runbook.Page("break-glass"), notice.BreakGlass(name, w.documents(documents)))
	w.alarm(t.scope, "InUse", breakGlassUsed(name), &condition{
		metric: rule.count("Invocations"), at: 1, periods: 1, missing: awscloudwatch.TreatMissingData_NOT_BREACHING, class: security, runbook: "break-glass",
	})
	t.widgets("Break-glass: "+name, "Break-glass sessions: "+name)
}

// Hours is what opens doors at some hours of the week, by a state machine that is
// called on a schedule. An operator with weekly hours is one.
type Hours interface {
	constructs.IConstruct
	// OpenerArn is the ARN of the state machine, or "" where there are no hours.
	OpenerArn() string
	// NotOpenedQueueArn is the ARN of the queue of calls that did not get through.
	NotOpenedQueueArn() string
}

// AddHours alarms people when doors did not open at their hours: those who may
// use them stand outside.
func (w *Watch) AddHours(of Hours) {
	var faults check.Faults
	if of == nil {
		faults.Add("of", "is nil", "pass an operator with weekly hours")
		tree.Must("watch", w, hoursID, faults.Err())
	}
	name := *of.Node().Id()
	if of.OpenerArn() == "" {
		faults.Addf("of", "leave it out", "%q has no weekly hours", name)
	}
	if w.hours != nil && w.hours.Node().TryFindChild(&name) != nil {
		faults.Addf("of", "add it once", "the watch already has the hours of %q", name)
	}
	tree.Must("watch", w, hoursID+"/"+name, faults.Err())

	if w.hours == nil {
		w.hours = constructs.NewConstruct(w, jsii.String(hoursID))
	}
	queue := awscdk.Fn_Select(jsii.Number(5), awscdk.Fn_Split(jsii.String(":"), jsii.String(of.NotOpenedQueueArn()), nil))
	failed := awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String("AWS/States"), MetricName: jsii.String("ExecutionsFailed"), Statistic: jsii.String("Sum"),
		DimensionsMap: &map[string]*string{"StateMachineArn": jsii.String(of.OpenerArn())},
	})
	lost := awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String("AWS/SQS"), MetricName: jsii.String("ApproximateNumberOfMessagesVisible"), Statistic: jsii.String("Maximum"),
		DimensionsMap: &map[string]*string{"QueueName": queue},
	})
	w.alarm(w.hours, name, notOpened(name), &condition{
		metric: awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
			Expression:   jsii.String(unopened),
			UsingMetrics: &map[string]awscloudwatch.IMetric{"failed": failed, "lost": lost},
		}),
		at: 1, periods: 1, missing: awscloudwatch.TreatMissingData_NOT_BREACHING, class: security, runbook: "hours-not-opened",
	})
}

// unopened counts the windows that did not open. Neither service sends a metric
// while nothing happens.
const unopened = "FILL(failed, 0) + FILL(lost, 0)"

func notOpened(name string) string {
	return fmt.Sprintf("The doors of %s did not open at their hour, or not for everybody: people who should get in are refused. "+
		"See why in the last executions of its state machine, or in its queue of lost calls; CloudTrail has the calls to IAM. "+
		"The output Open%s, or OpenCommand of the operator, opens them by hand.", name, name)
}

func breakGlassUsed(name string) string {
	return fmt.Sprintf("Somebody used break-glass access: %s. The notice beside this alarm says who, from where and to what; "+
		"so does CloudTrail: aws cloudtrail lookup-events --lookup-attributes AttributeKey=EventName,AttributeValue=StartSession. "+
		"If nobody declared an emergency, end the session (aws ssm describe-sessions --state Active, aws ssm terminate-session --session-id ID), "+
		"take the user or role its rights, and keep the records.", name)
}

// documents spells names out as a call may have them.
func (w *Watch) documents(names []string) []notice.Document {
	var list []notice.Document
	for _, name := range names {
		list = append(list, notice.Document{
			Name: name,
			Arn:  fmt.Sprintf("arn:%s:ssm:%s:%s:document/%s", w.scope.Partition, w.scope.Region, w.scope.Account, name),
		})
	}
	return list
}

// teller is one scope of notices while it is made.
type teller struct {
	watch *Watch
	scope constructs.Construct
	rules []*rule
}

// teller makes notices of calls, which EventBridge gets from CloudTrail.
func (w *Watch) teller(parent constructs.Construct, id string) *teller {
	if !w.existingTrail && !w.askedForTrail {
		w.askedForTrail = true
		tree.Warn(w, "watch-no-trail", "notices of sessions come from CloudTrail by EventBridge, and only while the account has a trail "+
			"that logs management events in this region: make one with package trail and pass it as Trail, or say by ExistingTrail that there is one")
	}
	return w.tellerOf(parent, id)
}

// tellerOf makes notices of any events.
func (w *Watch) tellerOf(parent constructs.Construct, id string) *teller {
	if !w.toldByEvents {
		w.toldByEvents = true
		w.delivery = w.newDelivery()
	}
	return &teller{watch: w, scope: constructs.NewConstruct(parent, &id)}
}

func (t *teller) add(id, description string, told notice.Rule) *rule {
	made := awsevents.NewCfnRule(t.scope, &id, &awsevents.CfnRuleProps{
		Description:  &description,
		EventPattern: told.Pattern,
		State:        jsii.String("ENABLED"), // no call that is told of only reads, which would need more
	})
	t.watch.delivery.connect(made, told.Words)
	r := &rule{made: made, name: made.Ref(), label: description}
	t.rules = append(t.rules, r)
	return r
}

// addLoud adds a message that says where to read on.
func (t *teller) addLoud(id, description string, page runbook.Page, told notice.Rule) *rule {
	told.Words = told.And("Runbook: " + page.URL())
	return t.add(id, description, told)
}

// rule is an EventBridge rule on the default bus.
type rule struct {
	made  awsevents.CfnRule
	name  *string
	label string
}

// count is a metric of the rule.
//
// docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
func (r *rule) count(metric string) awscloudwatch.IMetric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String("AWS/Events"), MetricName: &metric, Statistic: jsii.String("Sum"),
		DimensionsMap: &map[string]*string{"RuleName": r.name},
	})
}
