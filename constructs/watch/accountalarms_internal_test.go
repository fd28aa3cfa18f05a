package watch

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/postern-cdk/postern/internal/accountalarm"
	"github.com/postern-cdk/postern/internal/cdktest"
)

func TestAccountAlarms(t *testing.T) {
	var none *AccountAlarms
	defaults := AccountAlarms{RefusedCalls: 1, ConsoleFailures: 1}
	assert.Equal(t, defaults, none.withDefaults())
	given := &AccountAlarms{}
	assert.Equal(t, defaults, given.withDefaults())
	assert.Equal(t, &AccountAlarms{}, given, "the caller's options stay as they are")

	var many []string
	for i := range 12 {
		many = append(many, fmt.Sprintf("arn:aws:iam::111122223333:role/Scanner%d", i))
	}
	all := "root-use, refused-calls, console-without-mfa, iam-policies, trails, console-failures, keys, bucket-policies, config-recorder, " +
		"security-groups, network-acls, gateways, route-tables, vpcs"
	for name, test := range map[string]struct {
		options AccountAlarms
		want    string
	}{
		"nothing": {AccountAlarms{}, ""},
		"everything": {AccountAlarms{
			Only: []AccountAlarm{AccountRefusedCalls, AccountKeys}, Without: []AccountAlarm{AccountKeys}, RefusedCalls: 50, ConsoleFailures: 5,
			QuietCallers: []string{"arn:aws:iam::111122223333:user/path/alice", "arn:aws-cn:iam::111122223333:role/Scanner", "${Token[TOKEN.1]}"},
		}, ""},
		"unknown alarm": {AccountAlarms{Only: []AccountAlarm{"root-usage"}}, `Only[0]: "root-usage" is not known: did you mean "root-use"? use one of ` + all},
		"none left":     {AccountAlarms{Only: []AccountAlarm{AccountVpcs}, Without: []AccountAlarm{AccountVpcs}}, "Without: leaves no alarm: leave some of them in, or don't call AddAccountAlarms"},
		"too many": {
			AccountAlarms{QuietCallers: many},
			"QuietCallers: make a filter of 1323 characters, and CloudWatch takes 1024: name fewer, such as one role that they share",
		},
		"all at once": {
			AccountAlarms{Without: []AccountAlarm{"x"}, RefusedCalls: -1, ConsoleFailures: 100001, QuietCallers: []string{"arn:aws:sts::111122223333:assumed-role/A/b"}},
			`Without[0]: "x" is not known: use one of ` + all + "\n" +
				"RefusedCalls: -1 is out of range: use 1 to 100000\n" +
				"ConsoleFailures: 100001 is out of range: use 1 to 100000\n" +
				`QuietCallers[0]: "arn:aws:sts::111122223333:assumed-role/A/b" is no ARN of a user or role: write the ARN of an IAM user or role, such as arn:aws:iam::111122223333:role/Scanner, not of a session`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := test.options.withDefaults()
			cdktest.EqualError(t, o.validate(), test.want)
		})
	}
}

func TestAccountAlarmsChosen(t *testing.T) {
	names := func(o AccountAlarms) string {
		var list []string
		for _, a := range o.chosen() {
			list = append(list, a.Name)
		}
		return strings.Join(list, " ")
	}
	assert.Len(t, strings.Fields(names(AccountAlarms{})), 14)
	for _, a := range accountalarm.All() {
		one := AccountAlarm(a.Name)
		assert.Equal(t, a.Name, names(AccountAlarms{Only: []AccountAlarm{one}}))
		assert.NotContains(t, strings.Fields(names(AccountAlarms{Without: []AccountAlarm{one}})), a.Name)
	}
	assert.Equal(t, "root-use vpcs", names(AccountAlarms{Only: []AccountAlarm{AccountVpcs, AccountTrails, AccountRootUse}, Without: []AccountAlarm{AccountTrails}}))
}

// Every constant is an alarm of the set, so that none can be chosen in vain.
func TestAccountAlarmConstants(t *testing.T) {
	var have []string
	for _, alarm := range []AccountAlarm{
		AccountRootUse, AccountRefusedCalls, AccountConsoleWithoutMfa, AccountIamPolicies, AccountTrails, AccountConsoleFailures, AccountKeys,
		AccountBucketPolicies, AccountConfigRecorder, AccountSecurityGroups, AccountNetworkAcls, AccountGateways, AccountRouteTables, AccountVpcs,
	} {
		have = append(have, string(alarm))
		assert.NotEmpty(t, accountPage(alarm), alarm)
	}
	var want []string
	for _, a := range accountalarm.All() {
		want = append(want, a.Name)
	}
	assert.Equal(t, want, have)
}
