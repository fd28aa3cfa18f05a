package watch

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/function"
	"github.com/postern-cdk/postern/internal/lambda"
	"github.com/postern-cdk/postern/internal/notice"
	"github.com/postern-cdk/postern/internal/policy"
)

// judges tells whether somebody has said what is usual.
func (p *Props) judges() bool {
	return p.TimeZone != "" || p.OfficeHours != nil || len(p.KnownRanges) > 0
}

// maxRanges is what is left for addresses of the 4 KB that Lambda has for all
// environment variables of a function, beside time zone, hours and topics:
// docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html.
const maxRanges = 2560

func (p *Props) validateUsual(faults *check.Faults) {
	if check.Token(p.TimeZone) {
		faults.Add("TimeZone", "is a token, and is looked up now", "write the name of the time zone")
	} else {
		faults.Check("TimeZone", check.TimeZone(p.TimeZone))
	}
	if h := p.OfficeHours; h != nil && p.TimeZone != "" && h.TimeZone != p.TimeZone {
		faults.Addf("TimeZone", "name it in one place", "%q is not that of OfficeHours, %q", p.TimeZone, h.TimeZone)
	}
	for i, cidr := range p.KnownRanges {
		field := fmt.Sprintf("KnownRanges[%d]", i)
		faults.Check(field, check.CIDR(cidr))
		if check.Everyone(cidr) {
			faults.Addf(field, "name the addresses that people work from, or leave KnownRanges out", "%q is every address, so none would be unknown", cidr)
		}
		if first := slices.Index(p.KnownRanges, cidr); first < i {
			faults.Addf(field, "leave it out", "%q is the same as KnownRanges[%d]", cidr, first)
		}
	}
	if text, err := json.Marshal(p.KnownRanges); err == nil && len(text) > maxRanges {
		faults.Addf("KnownRanges", "name wider blocks, or fewer", "%d blocks are %d characters, and the settings of the function have room for %d", len(p.KnownRanges), len(text), maxRanges)
	}
	if check.Token(p.FunctionFile) {
		faults.Add("FunctionFile", "is a token, and the file is read now", "write the path of the file")
	} else if p.FunctionFile != "" && !p.judges() {
		faults.Add("FunctionFile", "is for the function that TimeZone, OfficeHours and KnownRanges need, and none of them is set", "set one of them, or leave it out")
	}
}

// settings are what the function is told.
func (p *Props) settings() notice.Settings {
	s := notice.Settings{TimeZone: p.TimeZone, Known: p.KnownRanges}
	h := p.OfficeHours
	if h == nil {
		return s
	}
	if s.TimeZone == "" {
		s.TimeZone = h.TimeZone
	}
	const midnight = 24 * 60
	from, until := h.windows()
	if from < until {
		s.Hours = []notice.Window{{Days: h.Days, From: from, Until: until}}
		return s
	}
	after := make([]time.Weekday, len(h.Days))
	for i, day := range h.Days {
		after[i] = (day + 1) % 7
	}
	s.Hours = []notice.Window{{Days: h.Days, From: from, Until: midnight}, {Days: after, From: 0, Until: until}}
	return s
}

// function makes what the function runs, where there is one.
func (p *Props) function() (function.File, error) {
	if !p.judges() {
		return function.File{}, nil
	}
	return lambda.Build(notice.Program, p.FunctionFile)
}

// newFunction makes what puts notices into words, and may do nothing else. What it
// can't tell goes to the queue, as what EventBridge can't bring to it does.
func (d *delivery) newFunction(file function.File, settings notice.Settings) {
	w := d.watch
	key := w.key
	if key == nil {
		key = w.newKey(d.scope)
	}
	if !attach.ToKey(key, policy.LogGroupKeyStatements(w.scope)) {
		attach.Ask(w, "watch-log-key", "Key", "the log group of the function can't be made",
			policy.LogGroupKeyStatements(policy.Placeholders()))
	}
	text, err := json.Marshal(settings)
	if err != nil {
		panic(err) // texts and numbers
	}
	environment := map[string]any{notice.SettingsVariable: string(text), notice.TopicVariable: *w.topic.TopicArn()}
	if w.chat != nil {
		environment[notice.ChatTopicVariable] = *w.chat.TopicArn()
	}
	const what = "Says what EventBridge rules saw, and what is not usual in it"
	f := lambda.New(d.scope, "Function", &lambda.Props{
		File:              file,
		Description:       what,
		FileDescription:   "What tells of calls",
		PolicyDescription: what,
		Statements: func(logGroupArn string) []policy.Statement {
			topicKey := ""
			if w.key != nil {
				topicKey = *w.key.KeyArn()
			}
			return policy.NoticeSender(w.topicArns(), topicKey, *d.queueArn, logGroupArn)
		},
		Key:          key,
		Timeout:      30 * time.Second, // for two messages
		Environment:  environment,
		Unreserved:   "new accounts have no concurrency to reserve, and what is throttled is tried again for six hours and then kept",
		NoDeadLetter: "what it can't tell goes to the queue, which is its destination on failure",
		NoVpc:        "it speaks to SNS alone, and is asked by EventBridge alone: nothing of it is in a VPC",
	})
	// docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
	awscdk.NewCfnResource(d.scope, jsii.String("FunctionTries"), &awscdk.CfnResourceProps{
		Type: jsii.String("AWS::Lambda::EventInvokeConfig"),
		Properties: &map[string]any{
			"FunctionName": *f.Ref(), "Qualifier": "$LATEST", "MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 6 * 3600,
			"DestinationConfig": map[string]any{"OnFailure": map[string]any{"Destination": *d.queueArn}},
		},
	})
	d.functionName = f.Ref()
	d.functionArn = awscdk.Token_AsString(f.GetAtt(jsii.String("Arn"), awscdk.ResolutionTypeHint_STRING), nil)
	w.alarm(d.scope, "FunctionLost", functionLost, &condition{
		metric: awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
			Namespace: jsii.String("AWS/Lambda"), MetricName: jsii.String("DestinationDeliveryFailures"), Statistic: jsii.String("Sum"),
			DimensionsMap: &map[string]*string{"FunctionName": f.Ref()},
		}),
		at: 1, periods: 1, missing: awscloudwatch.TreatMissingData_NOT_BREACHING, class: evidence, runbook: "notice-lost",
	})
}

// functionLost is about the one way in which an event may be gone: neither told nor
// kept.
//
// docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
const functionLost = "A notice was lost, and is not in the queue either: the function could not tell it, and Lambda could not put it there. " +
	"See the log of the function for what it could not tell, and whether its role may still send to the queue. " +
	"What was not told is in CloudTrail."
