package operator

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/attach"
	"github.com/postern-cdk/postern/internal/policy"
	"github.com/postern-cdk/postern/internal/tree"
)

func (o *Operator) leases() bool { return len(o.props.Only.Weekly) > 0 }

// inline are the limits that the leased policies of a kind of caller must keep.
func (o *Operator) inline(who policy.Caller) []policy.Limit {
	var limits []policy.Limit
	if !o.leases() {
		return nil
	}
	if who == policy.Role {
		return []policy.Limit{policy.RoleInline}
	}
	if len(o.props.Users) > 0 {
		limits = append(limits, policy.UserInline)
	}
	if len(o.props.Groups) > 0 {
		limits = append(limits, policy.GroupInline)
	}
	return limits
}

// holder is a principal with an inline policy that is written anew.
type holder struct {
	kind  string // "Role", as IAM's actions and fields call it
	name  string
	arn   string
	plan  string // by whose policy
	order int    // among those of its kind
}

func (o *Operator) holders(p plan) []holder {
	var holders []holder
	if p.who == policy.Role {
		for i, role := range o.props.Roles {
			holders = append(holders, holder{"Role", *role.RoleName(), *role.RoleArn(), p.id, i})
		}
		return holders
	}
	for i, user := range o.props.Users {
		holders = append(holders, holder{"User", *user.UserName(), *user.UserArn(), p.id, i})
	}
	for i, group := range o.props.Groups {
		holders = append(holders, holder{"Group", *group.GroupName(), *group.GroupArn(), p.id, i})
	}
	return holders
}

// lease makes the inline policies, closed, and what opens them in the weekly
// windows: at the beginning of each it writes the policy of each principal anew,
// with the end of the window in it. So nothing has to happen for the doors to
// close.
func (o *Operator) lease(plans []plan) {
	scope := constructs.NewConstruct(o, jsii.String("Hours"))
	name := *awscdk.Names_UniqueResourceName(scope, &awscdk.UniqueResourceNameOptions{MaxLength: jsii.Number(128), Separator: jsii.String("-")})
	var all []holder
	closed := map[string]string{}
	arns := map[string][]string{}
	for _, p := range plans {
		closed[p.id] = policy.Document(p.leased)
		for _, h := range o.holders(p) {
			all = append(all, h)
			arns[h.kind] = append(arns[h.kind], h.arn)
			// It is a resource for what is in it until the first window opens, and for
			// nothing to be left when the stack is deleted.
			awscdk.NewCfnResource(scope, jsii.String(h.kind+strconv.Itoa(h.order)), &awscdk.CfnResourceProps{
				Type: jsii.String("AWS::IAM::" + h.kind + "Policy"),
				Properties: &map[string]any{
					h.kind + "Name":  h.name,
					"PolicyName":     name,
					"PolicyDocument": attach.Document(p.leased),
				},
			})
		}
	}
	var allow []policy.Statement
	for _, kind := range []string{"User", "Group", "Role"} {
		if len(arns[kind]) > 0 {
			allow = append(allow, policy.Statement{Effect: policy.Allow, Action: []string{"iam:Put" + kind + "Policy"}, Resource: arns[kind]})
		}
	}
	role, permission := o.serviceRole(scope, "OpenerRole", "states", "stateMachine:*", allow)
	o.opener = awscdk.NewCfnResource(scope, jsii.String("Opener"), &awscdk.CfnResourceProps{
		Type: jsii.String("AWS::StepFunctions::StateMachine"),
		Properties: &map[string]any{
			"DefinitionString": opener(o.scope.Partition, name, all, closed),
			"RoleArn":          *role.RoleArn(),
			"StateMachineType": "STANDARD",
		},
	})
	o.opener.Node().AddDependency(permission)
	tree.Acknowledge(o.opener, "It puts one policy to each principal and keeps the history of its runs itself; CloudTrail has the calls.", "AwsSolutions-SF1", "AwsSolutions-SF2")
	o.schedule(scope)
}

func (o *Operator) schedule(scope constructs.Construct) {
	o.unopened = awscdk.NewCfnResource(scope, jsii.String("NotOpened"), &awscdk.CfnResourceProps{
		Type:       jsii.String("AWS::SQS::Queue"),
		Properties: &map[string]any{"SqsManagedSseEnabled": true, "MessageRetentionPeriod": int((14 * 24 * time.Hour).Seconds())},
	})
	tree.Acknowledge(o.unopened, "It is a dead-letter queue itself.", "AwsSolutions-SQS3")
	queueArn := o.NotOpenedQueueArn()
	awscdk.NewCfnResource(scope, jsii.String("NotOpenedPolicy"), &awscdk.CfnResourceProps{
		Type: jsii.String("AWS::SQS::QueuePolicy"),
		Properties: &map[string]any{
			"Queues": []any{*o.unopened.Ref()},
			"PolicyDocument": map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
				"Sid": "OnlyTLS", "Effect": "Deny", "Principal": map[string]any{"AWS": "*"}, "Action": "sqs:*", "Resource": queueArn,
				"Condition": map[string]any{"Bool": map[string]any{"aws:SecureTransport": "false"}},
			}}},
		},
	})
	role, permission := o.serviceRole(scope, "ScheduleRole", "scheduler", "schedule-group/*", []policy.Statement{
		{Effect: policy.Allow, Action: []string{"states:StartExecution"}, Resource: []string{*o.opener.Ref()}},
		{Effect: policy.Allow, Action: []string{"sqs:SendMessage"}, Resource: []string{queueArn}},
	})
	for i, w := range o.props.Only.Weekly {
		length := int((w.Until - w.From).Seconds())
		schedule := awscdk.NewCfnResource(scope, jsii.String("Window"+strconv.Itoa(i)), &awscdk.CfnResourceProps{
			Type: jsii.String("AWS::Scheduler::Schedule"),
			Properties: &map[string]any{
				"Description":                *o.Node().Path() + " opens",
				"ScheduleExpression":         cron(w),
				"ScheduleExpressionTimezone": o.props.Only.TimeZone,
				"FlexibleTimeWindow":         map[string]any{"Mode": "OFF"},
				"Target": map[string]any{
					"Arn":     *o.opener.Ref(),
					"RoleArn": *role.RoleArn(),
					"Input":   fmt.Sprintf(`{"opened":"<aws.scheduler.scheduled-time>","seconds":%d}`, length),
					// No later than the window ends: there would be nothing to open.
					"RetryPolicy":      map[string]any{"MaximumEventAgeInSeconds": min(max(length, 60), 86400), "MaximumRetryAttempts": 185},
					"DeadLetterConfig": map[string]any{"Arn": queueArn},
				},
			},
		})
		schedule.Node().AddDependency(permission)
	}
}

// serviceRole is a role that a service takes on for resources of the account, and
// what it may do.
func (o *Operator) serviceRole(scope constructs.Construct, id, service, resource string, allow []policy.Statement) (awsiam.Role, awsiam.ManagedPolicy) {
	role := awsiam.NewRole(scope, &id, &awsiam.RoleProps{
		Description: jsii.String("Opens the doors of " + *o.Node().Path() + " in its hours"),
		AssumedBy: awsiam.NewServicePrincipal(jsii.String(service+".amazonaws.com"), &awsiam.ServicePrincipalOpts{
			Conditions: &map[string]any{
				"StringEquals": map[string]any{"aws:SourceAccount": o.scope.Account},
				"ArnLike":      map[string]any{"aws:SourceArn": o.scope.ARN(service, resource)},
			},
		}),
	})
	permission := awsiam.NewManagedPolicy(role, jsii.String("Policy"), &awsiam.ManagedPolicyProps{
		Roles:    &[]awsiam.IRole{role},
		Document: attach.Document(allow),
	})
	return role, permission
}

// cron is when a window begins
// (docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#cron-based).
func cron(w Window) string {
	days := make([]string, len(w.Days))
	for i, day := range w.Days {
		days[i] = strings.ToUpper(day.String()[:3])
	}
	return fmt.Sprintf("cron(%d %d ? * %s *)", int(w.From.Minutes())%60, int(w.From.Hours()), strings.Join(days, ","))
}

// opener is a state machine that puts a policy to each holder with the end of the
// window in it, counted from the time at which it was to open: who is late opens
// for as much less. A holder that fails, as it was deleted, does not keep the
// others out.
//
// docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html
func opener(partition, policyName string, holders []holder, closed map[string]string) string {
	states := map[string]any{
		"Window": map[string]any{
			"Type": "Pass",
			"Assign": map[string]any{
				"policies": closed,
				"closes":   closesExpression,
				"failed":   false,
			},
			"Next": "Put0",
		},
		"Opened": map[string]any{
			"Type":    "Choice",
			"Choices": []any{map[string]any{"Condition": "{% $failed %}", "Next": "NotAll"}},
			"Default": "All",
		},
		"NotAll": map[string]any{"Type": "Fail", "Error": "NotAllOpened", "Cause": "A principal could not be given its policy: see the steps before."},
		"All":    map[string]any{"Type": "Succeed"},
	}
	for i, h := range holders {
		next := "Opened"
		if i+1 < len(holders) {
			next = fmt.Sprintf("Put%d", i+1)
		}
		states[fmt.Sprintf("Put%d", i)] = map[string]any{
			"Type":     "Task",
			"Resource": "arn:" + partition + ":states:::aws-sdk:iam:put" + h.kind + "Policy",
			"Arguments": map[string]any{
				h.kind + "Name":  h.name,
				"PolicyName":     policyName,
				"PolicyDocument": documentExpression(h.plan),
			},
			"Retry": []any{map[string]any{"ErrorEquals": []any{"States.ALL"}, "IntervalSeconds": 5, "MaxAttempts": 6, "BackoffRate": 2, "JitterStrategy": "FULL"}},
			"Catch": []any{map[string]any{"ErrorEquals": []any{"States.ALL"}, "Assign": map[string]any{"failed": true}, "Next": next}},
			"Next":  next,
		}
	}
	text, err := json.Marshal(map[string]any{"QueryLanguage": "JSONata", "StartAt": "Window", "States": states})
	if err != nil {
		panic(err) // maps of strings
	}
	// "${" begins a substitution in a definition, and is part of IAM's variables.
	return strings.ReplaceAll(string(text), "${aws:", `$\u007baws:`)
}

// A day from now at most, whatever it is told.
//
// docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html
const closesExpression = "{% $fromMillis($min([$toMillis($states.input.opened), $toMillis($states.context.Execution.StartTime)]) + 1000 * $min([$states.input.seconds, 86400]), '[Y0001]-[M01]-[D01]T[H01]:[m01]:[s01]Z') %}"

// documentExpression replaces the end that a closed policy has.
func documentExpression(plan string) string {
	return "{% $replace($policies." + plan + ", '" + stamp(policy.Closed) + "', $closes) %}"
}

// OpenerArn is the ARN of the state machine that opens the weekly windows, whose
// failed executions are worth an alarm. It is "" where there are none.
func (o *Operator) OpenerArn() string {
	if o.opener == nil {
		return ""
	}
	return *o.opener.Ref()
}

// NotOpenedQueueArn is the ARN of the queue that holds a message for each window
// that could not be opened, for 14 days. It is "" where there are no windows.
func (o *Operator) NotOpenedQueueArn() string {
	if o.unopened == nil {
		return ""
	}
	return *o.unopened.GetAtt(jsii.String("Arn"), awscdk.ResolutionTypeHint_STRING).ToString()
}

// OpenCommand is a command to paste that opens the doors now, for some time, as
// after a deployment in the middle of a window: a changed policy is closed until
// the next one begins. It is "" where there are no weekly hours.
func (o *Operator) OpenCommand(length time.Duration) string {
	if o.opener == nil {
		return ""
	}
	return fmt.Sprintf(`aws stepfunctions start-execution --region %s --state-machine-arn %s --input "{\"opened\":\"$(date -u +%%FT%%TZ)\",\"seconds\":%d}"`,
		o.scope.Region, *o.opener.Ref(), int(length.Seconds()))
}
