package watch

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/postern-cdk/postern/internal/accountalarm"
	"github.com/postern-cdk/postern/internal/check"
	"github.com/postern-cdk/postern/internal/runbook"
	"github.com/postern-cdk/postern/internal/tree"
)

const (
	accountID        = "Account"
	accountNamespace = "Postern/Account"
	accountMinutes   = 5
	// A week of five-minute periods has 2016; a threshold above what can happen in
	// one period alarms never.
	maxAccountCount = 100000
)

// AccountAlarm is one of the alarms that [Watch.AddAccountAlarms] makes. The
// comments have the numbers of the controls of Security Hub for it.
type AccountAlarm string

// What happened in the account.
const (
	// AccountRootUse is any use of the root user (CloudWatch.1).
	AccountRootUse AccountAlarm = "root-use"
	// AccountRefusedCalls are calls that were not authorized (CloudWatch.2).
	AccountRefusedCalls AccountAlarm = "refused-calls"
	// AccountConsoleWithoutMfa is a login of an IAM user to the console by password alone
	// (CloudWatch.3). Logins through Identity Center or another provider are left out:
	// CloudTrail says of all of them that no second factor was used.
	AccountConsoleWithoutMfa AccountAlarm = "console-without-mfa"
	// AccountIamPolicies are changes to what principals may do (CloudWatch.4).
	AccountIamPolicies AccountAlarm = "iam-policies"
	// AccountTrails are changes to the record of API calls (CloudWatch.5).
	AccountTrails AccountAlarm = "trails"
	// AccountConsoleFailures are failed logins to the console (CloudWatch.6).
	AccountConsoleFailures AccountAlarm = "console-failures"
	// AccountKeys are KMS keys disabled, about to be deleted or given another policy
	// (CloudWatch.7).
	AccountKeys AccountAlarm = "keys"
	// AccountBucketPolicies are changes to who may use buckets and what they keep
	// (CloudWatch.8).
	AccountBucketPolicies AccountAlarm = "bucket-policies"
	// AccountConfigRecorder are changes to AWS Config (CloudWatch.9).
	AccountConfigRecorder AccountAlarm = "config-recorder"
	// AccountSecurityGroups are changes to security groups (CloudWatch.10).
	AccountSecurityGroups AccountAlarm = "security-groups"
	// AccountNetworkAcls are changes to network ACLs (CloudWatch.11).
	AccountNetworkAcls AccountAlarm = "network-acls"
	// AccountGateways are changes to gateways (CloudWatch.12).
	AccountGateways AccountAlarm = "gateways"
	// AccountRouteTables are changes to routes (CloudWatch.13).
	AccountRouteTables AccountAlarm = "route-tables"
	// AccountVpcs are changes to VPCs, their peerings, endpoints and flow logs (CloudWatch.14).
	AccountVpcs AccountAlarm = "vpcs"
)

// AccountAlarms says which alarms on the account are made. Its zero value, and nil,
// stand for all fourteen, each at the first event, as the benchmark asks for.
type AccountAlarms struct {
	// Only are the alarms to make. Empty stands for all.
	Only []AccountAlarm

	// Without are alarms to leave out.
	Without []AccountAlarm

	// RefusedCalls is how many calls must be refused within five minutes for an alarm.
	// 0 stands for 1. In an account where scanners or consoles run, 1 alarms all the
	// time: see QuietCallers first.
	RefusedCalls int

	// ConsoleFailures is how many logins must fail within five minutes for an alarm. 0
	// stands for 1.
	ConsoleFailures int

	// QuietCallers are IAM users and roles, by ARN, whose refused calls don't count,
	// such as that of a scanner. Security Hub's control CloudWatch.2 then fails: it wants
	// the benchmark's pattern to the letter.
	QuietCallers []string
}

func (o *AccountAlarms) withDefaults() AccountAlarms {
	var q AccountAlarms
	if o != nil {
		q = *o
	}
	if q.RefusedCalls == 0 {
		q.RefusedCalls = 1
	}
	if q.ConsoleFailures == 0 {
		q.ConsoleFailures = 1
	}
	return q
}

// docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns
var callerARN = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:(user|role)/[\x21-\x7e]+$`)

// validate examines options whose defaults are filled in.
func (o *AccountAlarms) validate() error {
	var faults check.Faults
	names := make([]AccountAlarm, 0, len(accountalarm.All()))
	for _, a := range accountalarm.All() {
		names = append(names, AccountAlarm(a.Name))
	}
	for _, list := range []struct {
		field  string
		alarms []AccountAlarm
	}{{"Only", o.Only}, {"Without", o.Without}} {
		for i, alarm := range list.alarms {
			faults.Check(fmt.Sprintf("%s[%d]", list.field, i), check.OneOf(alarm, names...))
		}
	}
	if faults.Empty() && len(o.chosen()) == 0 {
		faults.Add("Without", "leaves no alarm", "leave some of them in, or don't call AddAccountAlarms")
	}
	faults.Check("RefusedCalls", check.Between(o.RefusedCalls, 1, maxAccountCount))
	faults.Check("ConsoleFailures", check.Between(o.ConsoleFailures, 1, maxAccountCount))
	whole := true
	for i, arn := range o.QuietCallers {
		if !check.Token(arn) && !callerARN.MatchString(arn) || strings.ContainsAny(arn, `"\*`) {
			whole = false
			faults.Addf(fmt.Sprintf("QuietCallers[%d]", i), "write the ARN of an IAM user or role, such as arn:aws:iam::111122223333:role/Scanner, not of a session",
				"%q is no ARN of a user or role", arn)
		}
	}
	if whole {
		for _, pattern := range o.patterns(accountAlarm(AccountRefusedCalls)) {
			faults.Check("QuietCallers", accountalarm.Check(pattern))
		}
	}
	return faults.Err()
}

// chosen are the alarms in the order of the set.
func (o *AccountAlarms) chosen() []accountalarm.Alarm {
	in := func(list []AccountAlarm, name string) bool {
		for _, alarm := range list {
			if string(alarm) == name {
				return true
			}
		}
		return false
	}
	var chosen []accountalarm.Alarm
	for _, a := range accountalarm.All() {
		if (len(o.Only) == 0 || in(o.Only, a.Name)) && !in(o.Without, a.Name) {
			chosen = append(chosen, a)
		}
	}
	return chosen
}

func accountAlarm(alarm AccountAlarm) accountalarm.Alarm {
	a, _ := accountalarm.Named(string(alarm))
	return a
}

// patterns are what the filters of an alarm count.
func (o *AccountAlarms) patterns(a accountalarm.Alarm) []string {
	patterns := a.Patterns()
	if a.Name != string(AccountRefusedCalls) || len(o.QuietCallers) == 0 {
		return patterns
	}
	var users, roles []string
	for _, arn := range o.QuietCallers {
		if strings.Contains(arn, ":user/") {
			users = append(users, arn)
		} else {
			roles = append(roles, arn)
		}
	}
	quiet := make([]string, len(patterns))
	for i, pattern := range patterns {
		quiet[i] = accountalarm.Without(pattern, users, roles)
	}
	return quiet
}

// accountPages say what to do about each alarm.
var accountPages = []struct {
	alarm   AccountAlarm
	runbook runbook.Page
}{
	{alarm: AccountRootUse, runbook: "account-root-use"},
	{alarm: AccountRefusedCalls, runbook: "account-refused-calls"},
	{alarm: AccountConsoleWithoutMfa, runbook: "account-console-login"},
	{alarm: AccountIamPolicies, runbook: "account-iam-policies"},
	{alarm: AccountTrails, runbook: "account-trails"},
	{alarm: AccountConsoleFailures, runbook: "account-console-login"},
	{alarm: AccountKeys, runbook: "account-keys"},
	{alarm: AccountBucketPolicies, runbook: "account-bucket-policies"},
	{alarm: AccountConfigRecorder, runbook: "account-config-recorder"},
	{alarm: AccountSecurityGroups, runbook: "account-network"},
	{alarm: AccountNetworkAcls, runbook: "account-network"},
	{alarm: AccountGateways, runbook: "account-network"},
	{alarm: AccountRouteTables, runbook: "account-network"},
	{alarm: AccountVpcs, runbook: "account-network"},
}

func accountPage(alarm AccountAlarm) runbook.Page {
	for _, page := range accountPages {
		if page.alarm == alarm {
			return page.runbook
		}
	}
	return ""
}

// threshold is how many events within five minutes are told.
func (o *AccountAlarms) threshold(a accountalarm.Alarm) int {
	switch AccountAlarm(a.Name) {
	case AccountRefusedCalls:
		return o.RefusedCalls
	case AccountConsoleFailures:
		return o.ConsoleFailures
	default:
		return 1
	}
}

// AddAccountAlarms alarms people on what happens in the whole account, as the CIS
// AWS Foundations Benchmark asks for: use of the root user, refused calls, logins
// without a second factor, changes of policies, keys, trails, buckets and networks.
// The alarms count events in the log group of a trail, of every Region that the trail
// records; nil stands for [Props.Trail]. options may be nil.
//
// The filters have the benchmark's patterns, so that the controls CloudWatch.1 to
// CloudWatch.14 of Security Hub pass, and beside them patterns of calls that the
// benchmark leaves out and that do the same, such as ModifySecurityGroupRules.
//
// Each alarm costs $0.10 a month and its metric $0.30 in months in which it counts.
func (w *Watch) AddAccountAlarms(trail Trail, options *AccountAlarms) {
	o := options.withDefaults()
	if trail == nil {
		trail = w.trail
	}
	var faults check.Faults
	switch {
	case trail == nil:
		faults.Add("trail", "is nil, and the watch has none", "pass one, or name it as Trail in the watch's Props")
	case trail.LogGroup() == nil:
		faults.Addf("trail", "set LogGroup or WithLogGroup of trail.Props, or LogGroupName of trail.Attributes",
			"%q has no log group that alarms could count in", trail.TrailArn())
	}
	faults.Merge("", o.validate())
	faults.Merge("", w.once("AddAccountAlarms", accountID))
	tree.Must("watch", w, accountID, faults.Err())

	scope := constructs.NewConstruct(w, jsii.String(accountID))
	five := awscdk.Duration_Minutes(jsii.Number(accountMinutes))
	path := *scope.Node().Path()
	for _, a := range o.chosen() {
		own := constructs.NewConstruct(scope, jsii.String(a.ID))
		name := a.ID + " " + path
		for i, pattern := range o.patterns(a) {
			awslogs.NewCfnMetricFilter(own, jsii.String([]string{"Filter", "BeyondFilter"}[i]), &awslogs.CfnMetricFilterProps{
				LogGroupName:  trail.LogGroup().LogGroupName(),
				FilterPattern: jsii.String(pattern),
				MetricTransformations: []any{&awslogs.CfnMetricFilter_MetricTransformationProperty{
					MetricNamespace: jsii.String(accountNamespace), MetricName: &name, MetricValue: jsii.String("1"),
				}},
			})
		}
		w.alarm(own, "Alarm", a.Text(*trail.LogGroup().LogGroupName()), &condition{
			metric: awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
				Namespace: jsii.String(accountNamespace), MetricName: &name, Statistic: jsii.String("Sum"), Period: five,
			}),
			at: o.threshold(a), periods: 1, missing: awscloudwatch.TreatMissingData_NOT_BREACHING,
			class: security, runbook: accountPage(AccountAlarm(a.Name)),
		})
	}
}
